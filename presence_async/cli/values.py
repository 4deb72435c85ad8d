"""What the words of a command line are read as. A word that is refused says what is accepted."""

from __future__ import annotations

import argparse
import math
import re
import types
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from presence_async.simulator import Switches

if TYPE_CHECKING:
    from collections.abc import Callable

PORTS = 65535  # the range of TCP ports
_LATENCY = re.compile(r"(\d*\.?\d+)(?:-(\d*\.?\d+))?", re.ASCII)
_NONE = "none"
_NUMBERS = {int: "a whole number", float: "a number"}


def whole(most: int | None = None, *, least: int = 0) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` to `most`."""

    def read(word: str) -> int:
        number = int(word) if re.fullmatch("[0-9]{1,18}", word) else least - 1
        if number < least or (most is not None and number > most):
            limit = "on" if most is None else f"to {most}"
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} {limit}")
        return number

    return read


def seconds(word: str) -> float:
    """Read a number of seconds."""
    value = _number(float, word)
    if value is None:
        raise argparse.ArgumentTypeError("must be a number of seconds")
    return value


def latency(word: str) -> tuple[float, float]:
    """Read `SECONDS` or `LOW-HIGH`; the first is the second with two equal bounds."""
    match = _LATENCY.fullmatch(word)
    if match is not None:
        low = float(match[1])
        high = low if match[2] is None else float(match[2])
        if low <= high:
            return low, high
    raise argparse.ArgumentTypeError("must be SECONDS or LOW-HIGH, such as 0.05 or 0.01-0.06")


def switch(word: str) -> tuple[str, Any]:
    """Read `NAME=VALUE` with a field of `Switches` and a value of its type."""
    name, _, value = word.partition("=")
    kinds = _switches().get(name)
    if kinds is None:
        known = "\n".join(f"  {one}: {_shown(kinds)}" for one, kinds in _switches().items())
        raise argparse.ArgumentTypeError(f"there is no switch {name!r}; there are:\n{known}")
    for kind in kinds:
        found = _words(kind).get(value, _number(kind, value) if kind in _NUMBERS else None)
        if found is not None or (kind is types.NoneType and value == _NONE):
            return name, found
    raise argparse.ArgumentTypeError(f"{name} must be {_shown(kinds)}")


@cache
def _switches() -> dict[str, tuple[Any, ...]]:
    """The types of each switch; most have one."""
    hints = get_type_hints(Switches)
    return {name: get_args(hint) if _is_union(hint) else (hint,) for name, hint in hints.items()}


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _words(kind: Any) -> dict[str, Any]:
    """The words a type accepts, with their values."""
    if get_origin(kind) is Literal:
        return {str(value): value for value in get_args(kind)}
    return {"true": True, "false": False} if kind is bool else {}


def _number(kind: type[int | float], word: str) -> float | None:
    """The number a word stands for; None for a negative one, or none at all."""
    try:
        value = kind(word)
    except ValueError:
        return None
    return value if 0 <= value < math.inf else None


def _shown(kinds: tuple[Any, ...]) -> str:
    others = {**_NUMBERS, types.NoneType: _NONE}
    return " or ".join(word for kind in kinds for word in _words(kind) or [others[kind]])
