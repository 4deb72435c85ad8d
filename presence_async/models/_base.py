"""What every model shares: gaps that stay gaps, unknown fields that survive, a plain repr.

The vendor leaves out what has no value, and what an explicit null does on a write is not
documented. So the two never melt into one: missing on the wire is `UNSET`, null on the wire is
None, in both directions.
"""

import enum
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NoReturn, TypeAlias, TypeVar

import attrs

from presence_async.errors import RowFailure
from presence_async.secret import MASK

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


def masked(value: object) -> str:
    """The `repr` of a field whose text opens something: ``attrs.field(repr=masked)``."""
    return repr(value) if value is None else f"'{MASK}'"


class EmptyMapping(Mapping[str, Any]):  # noqa: PLW1641  # like a dict it has no hash
    """A mapping without entries, equal to ``{}``, safe to share as a default."""

    __slots__ = ()

    def __getitem__(self, key: str) -> NoReturn:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        # Mapping's own makes two dicts; a poll compares models by the thousand.
        if other is self:
            return True
        return not other if isinstance(other, Mapping) else NotImplemented

    def __repr__(self) -> str:
        return "{}"

    def __reduce__(self) -> str:
        # A string is the name of a module global: copies and pickles are EMPTY itself.
        return "EMPTY"


EMPTY: Final[Mapping[str, Any]] = EmptyMapping()


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class Model:
    """Base of all models: frozen values, compared by value, keyword arguments only.

    What many of them have is told once, here:

    * `id`, `name`, `self_uri`: of the record itself, the last one its path relative to the API
      host. Read-only, unless something else is said.
    * `user_id`, `source`, `source_id`: whose presence, and where from: a name such as PURECLOUD,
      or the id of a registered source. The vendor deprecated the name, and still answers with it.
    * `presence_definition`, `system_presence`: the chosen definition, and what it maps to;
      `future_presence_definition`: read-only; where the user wants to move to later.
    * `message`: free text shown next to the presence; its limit is undocumented.
    * `modified_date`: the last change. `deactivated`: true after a delete.
    * `entity_id`, `entity_name`: of the record at fault.
    * `entities`, `total`: the rows of a list (or page), and how many there are.

    Attributes:
        extra: Fields of the vendor's answer this version does not know, under their wire
            names and verbatim. They survive reading, ``attrs.evolve`` and writing back,
            because the vendor adds fields without changing the version of the API.
    """

    # Not part of the hash: JSON objects are dicts, and dicts have none.
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, hash=False)

    def __repr__(self) -> str:
        """The fields that are there; `extra` last, and only when it holds something."""
        first, *rest = attrs.fields(type(self))
        shown = [_shown(self, field) for field in rest if getattr(self, field.name) is not UNSET]
        shown += [_shown(self, first)] if self.extra else []
        return f"{type(self).__name__}({', '.join(shown)})"


def _shown(model: Model, field: "attrs.Attribute[Any]") -> str:
    write = field.repr if callable(field.repr) else repr
    return f"{field.name}={write(getattr(model, field.name))}"


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class EntityListing(Model):
    """A list answer.

    Attributes:
        failures: Rows that could not be understood. Not a wire field.
    """

    failures: tuple[RowFailure, ...] = ()


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class PagedListing(EntityListing):
    """One page of a list.

    Attributes:
        page_size: Records to a page.
        page_number: Number of this page, from 1.
        page_count: Pages. Stop by this one: recorded answers had no links at all.
        first_uri: Path of the first page.
        last_uri: Path of the last page.
        next_uri: Path of the next page; missing on the last.
        previous_uri: Path of the page before; missing on the first.
    """

    page_size: Maybe[int] = UNSET
    page_number: Maybe[int] = UNSET
    total: Maybe[int] = UNSET
    page_count: Maybe[int] = UNSET
    first_uri: Maybe[str] = UNSET
    last_uri: Maybe[str] = UNSET
    next_uri: Maybe[str] = UNSET
    previous_uri: Maybe[str] = UNSET
    self_uri: Maybe[str] = UNSET
