"""The mark of a field that is not there, which is not the same as a field that is null.

The vendor leaves out what has no value, and what an explicit null does on a write is not
documented. So the two never melt into one here: missing on the wire is `UNSET`, null on
the wire is None, in both directions.
"""

import enum
from typing import Final, Literal, TypeAlias, TypeVar

__all__ = ["UNSET", "Maybe", "Unset"]

_T = TypeVar("_T")


class Unset(enum.Enum):
    """The type of `UNSET`; a single-member enum, because type checkers narrow those."""

    # The value is one that no JSON writer knows, so that an UNSET which strays into a
    # hand-written body is refused instead of being sent as some string.
    UNSET = ...

    def __bool__(self) -> Literal[False]:
        """False, so that ``if value:`` and ``value or None`` read well."""
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""Missing on the wire. Default of every optional field; never written."""

Maybe: TypeAlias = _T | Unset | None
"""``Maybe[str]``: a string, or null on the wire (None), or missing on the wire (UNSET)."""
