"""Users read a second: `get_many`, a hand-written loop, and the vendor's SDK in threads.

All read in bulk, fifty users to a request, at the same concurrency, from a server that answers
20 ms late. Each is one process; the server is another. There is no rate limit.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import attrs
import orjson

from benchmarks import peers, plots
from benchmarks.figures import spread, table
from benchmarks.processes import Server, canned_server, own_process
from benchmarks.server import user_ids

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

CHUNK = 50
CONCURRENCIES = (1, 2, 4, 8, 16, 32, 64, 128)
OURS, BY_HAND, VENDOR = "presence_async", "aiohttp + orjson by hand", "vendor's SDK in threads"


@attrs.frozen
class Run:
    """Seconds that a read took, by the clock and of this process's CPU."""

    seconds: float
    cpu: float


async def our_read(base: str, ids: Sequence[str], concurrency: int) -> int:
    """`get_many`, everything on."""
    async with peers.our_client(base, pool_size=max(100, concurrency)) as client:
        present = 0
        async for outcome in client.user_presences.get_many(ids, concurrency=concurrency):
            present += outcome.presence is not None
        return present


async def read_by_hand(base: str, ids: Sequence[str], concurrency: int) -> int:
    """What one writes without a library: workers over one iterator, no models, no checks."""
    present = 0
    chunks = (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))

    async def worker(session: aiohttp.ClientSession) -> None:
        nonlocal present
        for chunk in chunks:
            url = f"{base}{peers.BULK_PATH}?id=" + "&id=".join(chunk)
            async with session.get(url) as response:
                present += len(orjson.loads(await response.read()))

    connector = aiohttp.TCPConnector(limit=max(100, concurrency))
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(worker(session) for _ in range(concurrency)))
    return present


def vendor_read(base: str, ids: Sequence[str], concurrency: int) -> int:
    """The vendor's SDK, its connection pool as it comes."""
    api = peers.vendor_api(base)

    def read(chunk: Sequence[str]) -> int:
        return len(api.get_users_presences_purecloud_bulk(id=chunk))

    chunks = [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]
    with ThreadPoolExecutor(concurrency) as threads:
        return sum(threads.map(read, chunks))


def measured(name: str, base: str, users: int, concurrency: int) -> Run:
    """One read, in the process this is called in."""
    ids = user_ids(users)
    wall, cpu = time.perf_counter(), time.process_time()
    if name == VENDOR:
        present = vendor_read(base, ids, concurrency)
    else:
        read = our_read if name == OURS else read_by_hand
        present = asyncio.run(read(base, ids, concurrency))
    run = Run(time.perf_counter() - wall, time.process_time() - cpu)
    assert present == users  # noqa: S101  # a benchmark of half the work is none
    return run


@attrs.frozen
class Contest:
    """Everyone's process, the server, and how many users the slow one reads at most."""

    processes: dict[str, Executor]
    server: Server
    vendor_users: int

    def run(self, name: str, users: int, concurrency: int) -> tuple[Run, int]:
        """One read by one of them, and of how many users it was."""
        if name == VENDOR:
            users = min(users, self.vendor_users)
        process = self.processes[name]
        return process.submit(measured, name, self.server.base, users, concurrency).result(), users

    def warm_up(self) -> None:
        """Import and compile what is made once."""
        for name in self.processes:
            self.run(name, 10 * CHUNK, 8)


def sweep(contest: Contest, rounds: int, users: int, concurrency: int) -> None:
    """Print the seconds for `users`; the vendor's SDK reads fewer, and is scaled."""
    seconds: dict[str, list[float]] = {name: [] for name in contest.processes}
    cpu: dict[str, list[float]] = {name: [] for name in contest.processes}
    busy: dict[str, list[float]] = {name: [] for name in contest.processes}
    for _ in range(rounds):
        for name in contest.processes:
            before = contest.server.cpu()
            run, read = contest.run(name, users, concurrency)
            seconds[name].append(run.seconds * users / read)
            cpu[name].append(run.cpu * users / read)
            busy[name].append((contest.server.cpu() - before) / run.seconds * 100)
    title = f"Read {users:,} users, concurrency {concurrency}"
    for what, figures in (("time", seconds), ("CPU", cpu)):
        ours = figures.pop(OURS)
        table(f"{title}: {what}", "s", ours, figures, digits=2)
    print("\nHow busy the server was meanwhile")
    for name, shares in busy.items():
        print(f"  {name:<28} {spread(shares, 0):>28} % of a core")


def curve(contest: Contest, rounds: int, users: int, concurrencies: Sequence[int]) -> plots.Curves:
    """Print users a second at each concurrency, and return them."""
    rates: plots.Curves = {name: {} for name in contest.processes}
    print("\nUsers a second, by concurrency")
    for concurrency in concurrencies:
        # Forty answers for each of those in flight: with 20 ms each, 0.8 s.
        few = min(users, 40 * concurrency * CHUNK)
        found: dict[str, list[float]] = {name: [] for name in contest.processes}
        for _ in range(rounds):
            for name in contest.processes:
                run, read = contest.run(name, few, concurrency)
                found[name].append(read / run.seconds)
        for name, values in found.items():
            rates[name][concurrency] = values
            print(f"  {concurrency:>4}  {name:<28} {spread(values, 0):>28}")
    return rates


def main() -> None:
    """Measure, print, and draw."""
    parser = argparse.ArgumentParser(prog="benchmarks.throughput", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--vendor-users", type=int, default=10_000, help="read by its SDK at most")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--curve-rounds", type=int, default=3, help="0 leaves the curve out")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds")
    parser.add_argument("--no-vendor", action="store_true", help="leave the vendor's SDK out")
    parser.add_argument("--plots", type=Path, help="directory for the plot")
    options = parser.parse_args()
    names = [OURS, BY_HAND] if options.no_vendor else [OURS, BY_HAND, VENDOR]
    print(
        f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}, {options.rounds} "
        f"rounds in turn, answers {options.latency * 1000:.0f} ms late, plain HTTP on loopback.\n"
        "Median (min to max) over the rounds."
    )
    with ExitStack() as stack:
        server = stack.enter_context(canned_server(options.latency))
        processes: dict[str, Executor] = {
            name: stack.enter_context(own_process()) for name in names
        }
        contest = Contest(processes, server, options.vendor_users)
        contest.warm_up()
        sweep(contest, options.rounds, options.users, options.concurrency)
        if options.curve_rounds:
            rates = curve(contest, options.curve_rounds, options.users, CONCURRENCIES)
            if options.plots:
                plots.throughput(rates, options.latency, options.plots)


if __name__ == "__main__":
    main()
