"""Typed reading of JSON bodies: whatever a client sends, the answer is never a 500."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from presence_async.simulator.dates import is_date
from presence_async.simulator.errors import ApiError, bad_request, invalid_value

if TYPE_CHECKING:
    from presence_async.simulator.switches import Switches

INT32_MAX = 2**31 - 1


def parse_json(body: bytes) -> Any:
    """Return the JSON value of a body.

    Raises:
        ApiError: 400 for anything that is not JSON in UTF-8.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise bad_request("The request could not be understood: malformed JSON.") from None


class Fields:
    """One JSON object, read field by field.

    A field of a wrong type is a 400; unknown fields are ignored; an explicit null counts as
    absent or is refused, by switch.

    Args:
        value: The JSON value that should be an object.
        switches: How nulls and read-only fields are taken.
        where: Name of the object in error texts.

    Raises:
        ApiError: 400 when the value is no object.
    """

    def __init__(self, value: Any, switches: Switches, where: str = "body") -> None:
        if not isinstance(value, dict):
            raise bad_request(f"{where} must be an object")
        self._value: dict[str, Any] = value
        self._switches = switches
        self._where = where

    def _get(self, name: str, kind: type) -> Any:
        value = self._value.get(name)
        if value is None:
            if name in self._value and self._switches.nulls == "reject":
                raise bad_request(f"{self._where}.{name} must not be null")
            return None
        # bool is a subclass of int, and JSON tells them apart.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise bad_request(f"{self._where}.{name} has the wrong type")
        return value

    def text(self, name: str) -> str | None:
        """Return a string field or None."""
        value: str | None = self._get(name, str)
        return value

    def required_text(self, name: str) -> str:
        """Return a string field that must be there and not blank."""
        value = self.text(name)
        if value is None or not value.strip():
            raise bad_request(f"{self._where}.{name} is required")
        return value

    def flag(self, name: str) -> bool | None:
        """Return a boolean field or None."""
        value: bool | None = self._get(name, bool)
        return value

    def required_flag(self, name: str) -> bool:
        """Return a boolean field that must be there."""
        value = self.flag(name)
        if value is None:
            raise bad_request(f"{self._where}.{name} is required")
        return value

    def required_integer(self, name: str, least: int, most: int = INT32_MAX) -> int:
        """Return an integer field that must be there and within its range."""
        value: int | None = self._get(name, int)
        if value is None:
            raise bad_request(f"{self._where}.{name} is required")
        if not least <= value <= most:
            raise invalid_value(name, value)
        return value

    def object(self, name: str) -> Fields | None:
        """Return an object field or None."""
        value = self._get(name, dict)
        return None if value is None else Fields(value, self._switches, name)

    def labels(self, name: str) -> dict[str, str]:
        """Return a required, non-empty map of strings."""
        value: dict[str, Any] | None = self._get(name, dict)
        if not value:
            raise bad_request(f"{self._where}.{name} is required")
        if not all(isinstance(label, str) for label in value.values()):
            raise bad_request(f"{self._where}.{name} must map strings to strings")
        return dict(value)

    def check_texts(self, *names: str) -> None:
        """Refuse wrong types in string fields that are otherwise not used."""
        for name in names:
            self.text(name)

    def check_date(self, name: str) -> None:
        """Refuse a date field that is no ISO-8601 date, with the vendor's own code."""
        text = self.text(name)
        if text is not None and not is_date(text):
            raise ApiError(400, "invalid.date", f"Value [{text[:100]}] is not a valid date.")

    def check_read_only(self, *names: str) -> None:
        """Refuse read-only fields if the switch says so; they are ignored otherwise."""
        if self._switches.read_only_fields == "reject":
            for name in names:
                if self._value.get(name) is not None:
                    raise bad_request(f"{self._where}.{name} is read-only")
