"""Delays that vary like those of a network, the same for the same seed.

Each function returns a callable for `Fault.delay`: every call is one delay in seconds.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Latency:
    """A distribution of delays; ValueError for a parameter that is no finite number from 0 on."""

    def __init__(
        self, name: str, seed: int, draw: Callable[[random.Random], float], **parameters: float
    ) -> None:
        for parameter, value in parameters.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{parameter} must be a finite number from 0 on, not {value}")
        shown = [f"{parameter}={value}" for parameter, value in parameters.items()]
        self._text = f"{name}({', '.join([*shown, f'seed={seed}'])})"
        self._chance = random.Random(seed)  # noqa: S311  a delay is no secret
        self._draw = draw

    def __call__(self) -> float:
        """The next delay in seconds."""
        return self._draw(self._chance)

    def __repr__(self) -> str:
        """The call that made it."""
        return self._text


def uniform(low: float, high: float, seed: int = 0) -> Latency:
    """Delays spread evenly from `low` to `high` seconds; ValueError for wrong bounds."""
    delays = Latency("uniform", seed, lambda chance: chance.uniform(low, high), low=low, high=high)
    if high < low:
        raise ValueError(f"high must not be below low, {high} < {low}")
    return delays


def exponential(mean: float, seed: int = 0) -> Latency:
    """Delays of `mean` seconds on average: most are short, a few much longer."""
    return Latency("exponential", seed, lambda chance: mean * chance.expovariate(1.0), mean=mean)


def lognormal(median: float, sigma: float, seed: int = 0) -> Latency:
    """Delays of which half are below `median` seconds, with a long tail.

    About two thirds lie between `median / e**sigma` and `median * e**sigma`: a `sigma` of 0.5 is
    an ordinary network, 1.5 a bad one.
    """
    return Latency(
        "lognormal",
        seed,
        lambda chance: median * chance.lognormvariate(0.0, sigma),
        median=median,
        sigma=sigma,
    )
