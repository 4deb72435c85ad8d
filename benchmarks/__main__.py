"""The questions of CPU, imports and memory; `make bench` asks all the others as well."""

from __future__ import annotations

import argparse
import asyncio
import platform
from typing import Final

import aiohttp

from benchmarks import cpu, decoding, importing, peers
from benchmarks.processes import canned_server

_LATE: Final = 0.02  # seconds


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
    with canned_server() as server:
        asyncio.run(cpu.measure(server.base, options.rounds, options.requests, vendor=vendor))
    with canned_server(_LATE) as server:
        asyncio.run(cpu.measure_lag(server.base, options.rounds, options.requests, _LATE))
    decoding.measure(options.rounds, vendor=vendor)
    importing.measure(options.rounds, vendor=vendor)


if __name__ == "__main__":
    main()
