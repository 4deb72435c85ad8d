"""Measuring two or more things in turn, and printing their ratios."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median with minimum and maximum."""
    return (
        f"{statistics.median(values):.{digits}f} "
        f"({min(values):.{digits}f} to {max(values):.{digits}f})"
    )


def cpu_of(action: Callable[[], object], times: int) -> float:
    """CPU microseconds of this process for each of `times` runs of `action`."""
    started = time.process_time()
    for _ in range(times):
        action()
    return (time.process_time() - started) / times * 1e6


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Round by round, so that a machine whose speed drifts drifts in both."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def table(
    title: str,
    unit: str,
    ours: Sequence[float],
    peers: Mapping[str, Sequence[float]],
    digits: int = 1,
) -> None:
    """Ours and each peer, with the ratio that matters."""
    print(f"\n{title}")
    print(f"  {'presence_async':<28} {spread(ours, digits):>28} {unit}")
    for name, values in peers.items():
        print(
            f"  {name:<28} {spread(values, digits):>28} {unit}"
            f"   ours is {spread(ratios(ours, values))} x, theirs {spread(ratios(values, ours))} x"
        )
