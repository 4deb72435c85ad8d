"""Dates on the wire: ISO-8601, UTC, milliseconds and a Z (recorded in 2022)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache


# Presences nobody has written share one date, so most dates are asked for again.
@lru_cache(maxsize=4096)
def wire_date(epoch_seconds: float) -> str:
    """Return e.g. `2022-03-07T08:15:03.625Z` for seconds since 1970."""
    text = datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="milliseconds")
    return f"{text.removesuffix('+00:00')}Z"


@lru_cache(maxsize=16)
def http_date(epoch_seconds: int) -> str:
    """Return e.g. `Mon, 07 Mar 2022 08:15:03 GMT`, the form of the `Date` header."""
    return formatdate(epoch_seconds, usegmt=True)


def is_date(text: str) -> bool:
    """Return whether the vendor would read `text` as a date."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return "T" in text
