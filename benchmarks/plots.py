"""The benchmarks' figures as SVG. matplotlib is only needed for this: `--plots DIR`.

Text stays text, ids are the same in every run and there is no date in it: a file changes only
where its figures do.
"""

from __future__ import annotations

import statistics
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

Curves: TypeAlias = "dict[str, dict[int, list[float]]]"
"""Of each line its name, and at each place what the rounds measured."""

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "presence_async",
    "font.family": "sans-serif",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    # Distinguishable without colour vision (Okabe and Ito).
    "axes.prop_cycle": "cycler(color=['#0072B2', '#D55E00', '#009E73', '#CC79A7'])",
}


@contextmanager
def _figure(directory: Path, name: str, title: str) -> Iterator[Any]:
    """The axes of a plot that is written when the block ends."""
    import matplotlib as mpl  # noqa: PLC0415  # not needed for the figures themselves
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.add_subplot(title=title)
        yield axes
        path = directory / f"{name}.svg"
        directory.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
    # matplotlib ends lines of paths with a space.
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("".join(f"{line.rstrip()}\n" for line in lines), encoding="utf-8")
    print(f"\nwritten: {path}")


def _thousands(value: float, _position: object) -> str:
    return f"{value:,.0f}"


def _lines(axes: Any, curves: Curves) -> None:
    """A line through the medians, and a band from least to most."""
    for name, places in curves.items():
        where = list(places)
        axes.plot(where, [statistics.median(places[at]) for at in where], marker="o", label=name)
        least, most = ([edge(places[at]) for at in where] for edge in (min, max))
        axes.fill_between(where, least, most, alpha=0.15)
    axes.set_xscale("log")
    axes.set_xticks(sorted({at for places in curves.values() for at in places}))
    axes.minorticks_off()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_thousands)


def throughput(rates: Curves, latency: float, directory: Path) -> None:
    """Users a second against requests in flight."""
    title = f"Bulk reads of 50 users, answers {latency * 1000:.0f} ms late, no rate limit"
    with _figure(directory, "throughput", title) as axes:
        _lines(axes, rates)
        axes.set_xlabel("requests in flight")
        axes.set_ylabel("users read a second")
        axes.set_ylim(bottom=0)
        axes.legend()


def memory(peaks: Curves, directory: Path) -> None:
    """Peak memory against the number of users."""
    with _figure(directory, "memory", "Peak memory of reading many users") as axes:
        _lines(axes, peaks)
        axes.set_xlabel("users")
        axes.set_ylabel("MB above what the imports take")
        axes.set_ylim(bottom=0)
        axes.legend()


def budget(
    lanes: Mapping[str, Sequence[int]], minutes: Sequence[float], limit: int, directory: Path
) -> None:
    """Requests in the minute before each moment, one lane above the other."""
    title = "Requests in the last 60 s, three lanes sharing one budget"
    with _figure(directory, "budget", title) as axes:
        axes.stackplot(minutes, list(lanes.values()), labels=list(lanes), alpha=0.85)
        axes.axhline(limit, color="black", linestyle="--", label=f"the vendor's {limit}")
        axes.set_xlabel("minutes")
        axes.set_ylabel("requests in the last 60 s")
        axes.set_xlim(minutes[0], minutes[-1])
        axes.set_ylim(0, limit * 1.35)
        axes.legend(ncols=4, loc="upper center")
