"""Every question, one command: `make bench`, or `python -m benchmarks`."""

from __future__ import annotations

import argparse
import asyncio
import platform
import subprocess
import sys
from pathlib import Path

import aiohttp

from benchmarks import decoding, importing, peers
from benchmarks.figures import table


async def measure_reads(base: str, rounds: int, requests: int, *, vendor: bool) -> None:
    """Client CPU per request of single and bulk reads; every round takes everyone in turn."""
    sdk = peers.vendor_reads(base) if vendor else None
    names = ("single", "bulk", "sweep")
    ours: dict[str, list[float]] = {name: [] for name in names}
    raw: dict[str, list[float]] = {name: [] for name in names}
    theirs: dict[str, list[float]] = {name: [] for name in names}
    async with aiohttp.ClientSession() as session, peers.our_client(base) as client:
        raw_single, raw_bulk = peers.raw_reads(session, base)

        async def our_single() -> object:
            return await client.user_presences.get(peers.IDS[0])

        async def our_bulk() -> object:
            return await client.bulk.get(peers.IDS)

        for round_ in range(-1, rounds):  # the first is for warming up
            few = requests if round_ >= 0 else requests // 10
            sample = {
                "single": (
                    await peers.cpu_per_request(raw_single, few),
                    await peers.cpu_per_request(our_single, few),
                ),
                "bulk": (
                    await peers.cpu_per_request(raw_bulk, few // 2),
                    await peers.cpu_per_request(our_bulk, few // 2),
                ),
                "sweep": (
                    await peers.cpu_per_request(raw_bulk, few // 2),
                    await peers.our_sweep(client, few // 2),
                ),
            }
            if sdk is not None and round_ >= 0:
                slow = await asyncio.to_thread(peers.vendor_cpu, sdk[0], max(few // 20, 20))
                theirs["single"].append(slow)
                slow = await asyncio.to_thread(peers.vendor_cpu, sdk[1], max(few // 40, 20))
                theirs["bulk"].append(slow)
                theirs["sweep"].append(slow)
            if round_ >= 0:
                for name, (raw_figure, our_figure) in sample.items():
                    raw[name].append(raw_figure)
                    ours[name].append(our_figure)
    titles = {
        "single": "Read one presence: client.user_presences.get",
        "bulk": "Read 50 presences: client.bulk.get of 50 ids, one request",
        "sweep": "Read many: client.user_presences.get_many, per request of 50",
    }
    for name, title in titles.items():
        others = {"raw aiohttp + orjson.loads": raw[name]}
        if theirs[name]:
            others["vendor's SDK, 16 threads"] = theirs[name]
        table(title, "us CPU", ours[name], others)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=3000, help="requests a round")
    parser.add_argument("--no-vendor", action="store_true", help="leave the vendor's SDK out")
    options = parser.parse_args()
    vendor = not options.no_vendor
    print(
        f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}, "
        f"{options.rounds} rounds in turn, concurrency {peers.CONCURRENCY}, plain HTTP on "
        "loopback, server in a process of its own.\nMedian (min to max) over the rounds."
    )
    server = subprocess.Popen(  # our own code
        [sys.executable, "-m", "benchmarks.server"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    try:
        assert server.stdout is not None  # noqa: S101  # stdout=PIPE
        base = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        asyncio.run(measure_reads(base, options.rounds, options.requests, vendor=vendor))
    finally:
        server.kill()
        server.wait()
    decoding.measure(options.rounds, vendor=vendor)
    importing.measure(options.rounds, vendor=vendor)


if __name__ == "__main__":
    main()
