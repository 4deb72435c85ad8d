"""What every model shares: unknown fields that survive, and a repr without the noise."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

import attrs

from presence_async.models._unset import UNSET

__all__ = ["EMPTY", "EmptyMapping", "Model"]


class EmptyMapping(Mapping[str, Any]):
    """A mapping without entries, equal to ``{}``, safe to share as a default."""

    __slots__ = ()

    def __getitem__(self, key: str) -> NoReturn:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

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
        values = {f.name: getattr(self, f.name) for f in attrs.fields(type(self))}
        values["extra"] = values.pop("extra") or UNSET
        shown = ", ".join(f"{name}={v!r}" for name, v in values.items() if v is not UNSET)
        return f"{type(self).__name__}({shown})"
