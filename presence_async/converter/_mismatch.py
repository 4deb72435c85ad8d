"""A value that does not fit: how it is found, carried up and told, without being shown."""

from __future__ import annotations

from operator import length_hint
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["JSON_TYPES", "Mismatch", "attempt", "each", "misfit", "place", "wrong"]

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
    """What is wrong with a value, and the path to it, which grows on the way up.

    Attributes:
        reason: What was expected and what came: types, never the value.
        field: The path, e.g. "entities[3].id"; "" for the outermost value.
    """

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
    """Convert, and return what is wrong instead of raising it.

    The error made of it can then be raised outside of any ``except``, so that it drags no
    context along that could show the value.
    """
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
