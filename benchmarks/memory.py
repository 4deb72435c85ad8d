"""Peak memory of reading many users, against their number.

Every figure is of a fresh process: resident memory above what its imports take, and the most
that Python's allocator held at a time (`tracemalloc`), which repeats exactly, is slow, and misses
what C libraries allocate. The ids come from a generator.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import platform
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from benchmarks import peers, plots
from benchmarks.figures import spread
from benchmarks.processes import canned_server, own_process
from benchmarks.server import user_id

if TYPE_CHECKING:
    from collections.abc import Iterator

USERS = (50_000, 200_000, 1_000_000)
DROPPED, KEPT, POLLED = "get_many, results not kept", "get_many, results kept", "poll"
SWEEPS = 3


def _ids(count: int) -> Iterator[str]:
    return map(user_id, range(count))


async def dropped(base: str, count: int) -> int:
    """Each outcome is forgotten before the next."""
    async with peers.our_client(base) as client:
        present = 0
        async for outcome in client.user_presences.get_many(_ids(count)):
            present += outcome.presence is not None
        return present


async def kept(base: str, count: int) -> int:
    """All outcomes in a list."""
    async with peers.our_client(base) as client:
        outcomes = await client.user_presences.get_many(_ids(count))
        return sum(outcome.presence is not None for outcome in outcomes)


async def polled(base: str, count: int) -> int:
    """A poll, which knows the last presence of every user, until it has swept three times."""
    # It warns that its sweeps follow one another at once: here they are meant to.
    logging.getLogger("presence_async").setLevel(logging.ERROR)
    async with (
        peers.our_client(base) as client,
        client.poll(_ids(count), interval=0.1) as poll,
    ):
        known = 0
        async for change in poll:
            known += change.after is not None
            if known == count:
                break
        while poll.statistics.sweeps < SWEEPS:  # noqa: ASYNC110  # there is no event for it
            await asyncio.sleep(0.5)
        return known


_READS = {DROPPED: dropped, KEPT: kept, POLLED: polled}


def resident_peak() -> float:
    """MB; from /proc: getrusage() would tell that of the process that started this one."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def measured(name: str, base: str, users: int, *, traced: bool) -> float:
    """The peak of one read, in the process this is called in."""
    read = _READS[name]
    asyncio.run(read(base, 100))  # what is made once is made
    before = resident_peak()
    if traced:
        tracemalloc.start()
    present = asyncio.run(read(base, users))
    assert present == users  # noqa: S101  # a benchmark of half the work is none
    return tracemalloc.get_traced_memory()[1] / 1e6 if traced else resident_peak() - before


def peak(name: str, base: str, users: int, *, traced: bool = False) -> float:
    """The same in a fresh process."""
    with own_process() as process:
        return process.submit(measured, name, base, users, traced=traced).result()


def main() -> None:
    """Measure, print, and draw."""
    parser = argparse.ArgumentParser(prog="benchmarks.memory", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--users", type=int, nargs="+", default=USERS)
    parser.add_argument("--kept", type=int, default=200_000, help="presences kept at most")
    parser.add_argument("--plots", type=Path, help="directory for the plot")
    options = parser.parse_args()
    print(
        f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}, {options.rounds} "
        "rounds.\nPeak in MB above the imports: resident, median (min to max); traced, of one run."
    )
    peaks: plots.Curves = {name: {} for name in _READS}
    with canned_server() as server:
        for name in _READS:
            print(f"\n{name}")
            fewest = 0.0
            for users in options.users:
                if name != DROPPED and users > options.kept:
                    continue
                resident = [peak(name, server.base, users) for _ in range(options.rounds)]
                traced = peak(name, server.base, users, traced=True)
                peaks[name][users] = resident
                fewest = fewest or traced
                print(
                    f"  {users:>9,} users  resident {spread(resident, 1):>24}   "
                    f"traced {traced:6.2f}, {traced / fewest:.2f} x the first"
                )
    if options.plots:
        plots.memory(peaks, options.plots)


if __name__ == "__main__":
    main()
