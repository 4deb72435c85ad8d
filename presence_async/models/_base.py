"""What every model shares: unknown fields that survive, and a repr without the noise."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

import attrs

from presence_async.models._unset import UNSET
from presence_async.secret import MASK

__all__ = ["EMPTY", "EmptyMapping", "Model", "masked"]


def masked(value: object) -> str:
    """The `repr` of a field whose text opens something: ``attrs.field(repr=masked)``."""
    return f"'{MASK}'" if isinstance(value, str) else repr(value)


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
