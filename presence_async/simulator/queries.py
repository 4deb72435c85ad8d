"""Typed reading of a raw query string."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from presence_async.simulator.errors import bad_request, invalid_value
from presence_async.simulator.paths import decode

if TYPE_CHECKING:
    from presence_async.simulator.switches import Switches

_INTEGER = re.compile(r"-?[0-9]{1,10}", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


class Query:
    """The decoded parameters of one request.

    Args:
        raw: The query string as it came, without the question mark.
        switches: Array style and case of flags follow them.

    Raises:
        ApiError: 400 when the query cannot be decoded.
    """

    def __init__(self, raw: str, switches: Switches) -> None:
        self._switches = switches
        self._values: dict[str, list[str]] = {}
        if not raw:
            return
        for pair in raw.split("&"):
            name, _, value = pair.partition("=")
            decoded = decode(value.replace("+", " "))
            self._values.setdefault(decode(name.replace("+", " ")), []).append(decoded)

    def text(self, name: str) -> str | None:
        """Return the first value, None when the parameter is absent or empty."""
        values = self._values.get(name)
        return (values[0] or None) if values else None

    def array(self, name: str) -> list[str]:
        """Return an array written as repeated parameters, as a comma list, or both."""
        values = self._values.get(name, [])
        if self._switches.array_style != "repeated":
            values = [part for value in values for part in value.split(",")]
        return [value for value in values if value]

    def integer(self, name: str, default: int, most: int = 2**31 - 1) -> int:
        """Return a number from 1 to `most`; 400 for anything else."""
        text = self.text(name)
        if text is None:
            return default
        if not _INTEGER.fullmatch(text):
            raise bad_request(f"{name} must be a number")
        value = int(text)
        if not 1 <= value <= most:
            raise invalid_value(name, text)
        return value

    def flag(self, name: str, *, knows_all: bool) -> bool | None:
        """Return a tri-state list filter: False by default, None for ALL.

        Raises:
            ApiError: 400 for a value that is not understood.
        """
        text = self.text(name)
        if text is None:
            return False
        folded = text.lower() if self._switches.flags_any_case else text
        if folded in _BOOLEANS:
            return _BOOLEANS[folded]
        if knows_all and folded.lower() == "all":
            return None
        raise invalid_value(name, text)

    def boolean(self, name: str, *, default: bool) -> bool:
        """Return a boolean, `true` or `True` (the Python SDK's form); 400 for anything else."""
        text = self.text(name)
        if text is None:
            return default
        if text.lower() not in _BOOLEANS:
            raise invalid_value(name, text)
        return _BOOLEANS[text.lower()]

    def choice(self, name: str, allowed: frozenset[str] | tuple[str, ...]) -> str | None:
        """Return one of `allowed`, None when absent; 400 for anything else."""
        text = self.text(name)
        if text is not None and text not in allowed:
            raise invalid_value(name, text)
        return text

    def order(self) -> Literal["ascending", "descending"]:
        """Return the sort order; the vendor's default is ascending."""
        text = (self.text("sortOrder") or "ascending").lower()
        if text in {"ascending", "asc"}:
            return "ascending"
        if text in {"descending", "desc"}:
            return "descending"
        raise invalid_value("sortOrder", text)
