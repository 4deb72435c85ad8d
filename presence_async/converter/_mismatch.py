"""A value that does not fit: how it is found, carried up and told, without being shown."""

from __future__ import annotations

from operator import length_hint
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_T = TypeVar("_T")

JSON_TYPES: Final[dict[type, str]] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    NoneType: "null",
}


class Mismatch(Exception):  # noqa: N818 - a finding on its way up, never seen outside
    """What is wrong with a value (types, never the value); its path grows on the way up."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field

    def under(self, name: str) -> None:
        """Add the name of the field, or the "[index]", that holds the value."""
        self.field = self._below(name)

    def of(self, subject: str) -> str:
        """The message of the error it becomes."""
        return f"{self._below(subject)}: {self.reason}"

    def _below(self, name: str) -> str:
        joint = "" if self.field.startswith("[") or not self.field else "."
        return f"{name}{joint}{self.field}"


def wrong(expected: str, value: object, field: str = "") -> Mismatch:
    """The mismatch of a JSON value of another type than `expected`."""
    return Mismatch(f"expected {expected}, got {JSON_TYPES[type(value)]}", field)


def misfit(expected: type, value: object) -> Mismatch:
    """The mismatch of a Python value in a model; type checks are optional, so it happens."""
    return Mismatch(f"expected {expected.__name__}, got {type(value).__name__}")


def attempt(convert: Callable[..., _T], *args: Any) -> _T | Mismatch:
    """Return what is wrong: raised outside of any ``except``, it drags no context along."""
    try:
        return convert(*args)
    except Mismatch as mismatch:
        return mismatch.with_traceback(None)
    except RecursionError:
        return Mismatch("nested too deeply")


def each(convert: Callable[[Any], _T], rows: Sequence[Any]) -> list[_T]:
    """Convert every row; a mismatch is told with the index of its row."""
    left = iter(rows)
    try:
        return [convert(row) for row in left]
    except Mismatch as mismatch:
        mismatch.under(place(rows, left))
        raise


def place(rows: Sequence[Any], left: Iterator[Any]) -> str:
    """The "[index]" of the row that was taken last; they are counted only when one is bad."""
    return f"[{len(rows) - length_hint(left) - 1}]"
