"""Checks of options: what is wrong is refused with the option's name, before anything starts."""

from __future__ import annotations

import math
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    import attrs

    Validator: TypeAlias = Callable[[Any, attrs.Attribute[Any], Any], None]


def check_number(name: str, value: Any, low: float, high: float = math.inf) -> None:
    """Refuse what is no finite number from `low` to `high` with ValueError; so are truth values."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if not known or not low <= value <= high or value == math.inf:
        allowed = f"from {low:g} on" if high == math.inf else f"from {low:g} to {high:g}"
        raise ValueError(f"{name} must be a number {allowed}, not {value!r}")


def check_whole(name: str, value: Any, low: float, high: float = math.inf) -> None:
    """Refuse what is no whole number from `low` to `high` with ValueError."""
    check_number(name, value, low, high)
    if not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, not {value!r}")  # noqa: TRY004  as above


def check_choice(name: str, value: Any, *choices: Any) -> None:
    """Refuse what is none of some values with ValueError."""
    # 1 equals True, but is no truth value.
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        listed = " or ".join(map(repr, choices))
        raise ValueError(f"{name} must be {listed}, not {value!r}")


def _check_kind(name: str, value: Any, *kinds: type) -> None:
    if not isinstance(value, kinds):
        raise TypeError(f"{name} cannot be {value!r}")


def _validator(
    check: Callable[..., None], *arguments: Any, optional: bool = False, called: bool = False
) -> Validator:
    def judge(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not (optional and value is None) and not (called and callable(value)):
            check(attribute.name, value, *arguments)

    return judge


def number(low: float, high: float = math.inf, **also: bool) -> Validator:
    """The validator of a number; `optional` takes None as well, `called` callables."""
    return _validator(check_number, low, high, **also)


def whole(low: float, high: float = math.inf, **also: bool) -> Validator:
    """The validator of a whole number, likewise."""
    return _validator(check_whole, low, high, **also)


def one_of(*choices: Any) -> Validator:
    """The validator of a field that has one of some values."""
    return _validator(check_choice, *choices)


def kind(*kinds: type, **also: bool) -> Validator:
    """The validator of a field by its type; a wrong one is a TypeError."""
    return _validator(_check_kind, *kinds, **also)


def check_by_type(instance: Any) -> None:
    """Refuse values that do not fit the declared type of their field with ValueError.

    Numbers count from 0; None is for optional fields.
    """
    for name, hint in _hints(instance.__class__).items():
        value = getattr(instance, name)
        kinds = get_args(hint) if NoneType in get_args(hint) else (hint,)
        if value is None and NoneType in kinds:
            continue
        if kinds[0] is int:
            check_whole(name, value, 0)
        elif kinds[0] is float:
            check_number(name, value, 0)
        else:
            check_choice(name, value, *(get_args(hint) or (True, False)))


_hints = cache(get_type_hints)
