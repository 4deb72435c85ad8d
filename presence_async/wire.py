"""Requests and responses as values, and how their parts are written. Pure.

Path values are percent-encoded strictly: the vendor's own SDK leaves `/` alone, so an id
with a slash changes the route there. Arrays go out as repeated parameters (`id=a&id=b`),
as the JavaScript and Go SDKs send them.
"""

from __future__ import annotations

from string import ascii_letters, digits
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import attrs

from presence_async.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from presence_async.routes import Route

# What needs no encoding and cannot be a dot segment: every id the vendor hands out.
_PLAIN: Final = f"{ascii_letters}{digits}_-".encode()


@attrs.define(slots=False)
class Request:
    """One operation, with its percent-encoded path and query. Unfrozen only for speed.

    The body is left out of `repr`: it may hold personal data.
    """

    route: Route
    target: str
    body: bytes | None = attrs.field(default=None, repr=False)


@attrs.define(slots=False)
class Response:
    """One complete answer, decompressed. Treat it as frozen (it is not, for speed).

    `headers` looks up names without regard to case; `attempts` are the call's wire requests.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    attempts: int = attrs.field(default=1, repr=False)

    @property
    def ok(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300

    @property
    def correlation_id(self) -> str | None:
        """`ININ-Correlation-Id`, on every answer of the vendor."""
        return self.headers.get("ININ-Correlation-Id")


def path_value(name: str, value: Any) -> str:
    """`value` encoded for one path segment.

    Raises:
        InvalidRequestError: Not a str, empty, a dot segment (proxies resolve those even
            when encoded), or not encodable as UTF-8. `field` is `name`.
    """
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name} must be a str, not {type(value).__name__}", field=name)
    if _is_plain(value):
        return value
    if not value or value in {".", ".."}:
        raise InvalidRequestError(f"{name} must not be {value!r}", field=name)
    return _quoted(name, value)


def _is_plain(text: str) -> bool:
    """Whether all of it is, which for long texts is twice as fast to see as by an expression."""
    return text != "" and text.isascii() and not text.encode().translate(None, _PLAIN)


def _quoted(name: str, value: str) -> str:
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        pass
    raise InvalidRequestError(f"{name} is not encodable as UTF-8", field=name)


def query_string(pairs: Iterable[tuple[str, str]]) -> str:
    """``?a=b&a=c`` from pairs, or the empty string for none."""
    joined = "&".join(
        f"{name}={value if _is_plain(value) else _quoted(name, value)}" for name, value in pairs
    )
    return f"?{joined}" if joined else ""


def repeated(name: str, values: Sequence[str]) -> str:
    """``?id=a&id=b`` for many values; one check covers them when all are plain."""
    if _is_plain("".join(values)):
        return f"?{name}=" + f"&{name}=".join(values)
    return query_string((name, value) for value in values)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds: the vendor sends whole seconds; anything else is ignored."""
    text = headers.get("Retry-After", "").strip()
    # Ten digits are three centuries.
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
