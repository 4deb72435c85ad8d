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
    """Refuse what is no finite number from `low` to `high`; a truth value is none.

    Raises:
        ValueError: With the name.
    """
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if not known or not low <= value <= high or value == math.inf:
        allowed = f"from {low:g} on" if high == math.inf else f"from {low:g} to {high:g}"
        raise ValueError(f"{name} must be a number {allowed}, not {value!r}")


def check_whole(name: str, value: Any, low: float, high: float = math.inf) -> None:
    """Refuse what is no whole number from `low` to `high`.

    Raises:
        ValueError: With the name.
    """
    check_number(name, value, low, high)
    if not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, not {value!r}")  # noqa: TRY004  as above


def number(
    low: float, high: float = math.inf, *, optional: bool = False, called: bool = False
) -> Validator:
    """Return the validator of a number; also of None, or of a callable that returns one."""

    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not (optional and value is None) and not (called and callable(value)):
            check_number(attribute.name, value, low, high)

    return check


def whole(low: float, high: float = math.inf, *, optional: bool = False) -> Validator:
    """Return the validator of a whole number, also of None if it is optional."""

    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not (optional and value is None):
            check_whole(attribute.name, value, low, high)

    return check


def one_of(*choices: Any) -> Validator:
    """Return the validator of a field that has one of some values."""

    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        check_choice(attribute.name, value, choices)

    return check


def check_by_type(instance: Any) -> None:
    """Refuse values that do not fit the declared type of their field.

    Numbers count from 0; None is for optional fields.

    Raises:
        ValueError: With the field's name.
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
            check_choice(name, value, get_args(hint) or (True, False))


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Refuse what is none of some values.

    Raises:
        ValueError: With the name.
    """
    # 1 equals True, but is no truth value.
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        listed = " or ".join(map(repr, choices))
        raise ValueError(f"{name} must be {listed}, not {value!r}")


_hints = cache(get_type_hints)
