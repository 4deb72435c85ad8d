"""The questions of CPU, imports and memory; `make bench` asks all the others as well."""

from __future__ import annotations

import argparse
import asyncio
import platform
import subprocess
import sys
from pathlib import Path

import aiohttp

from benchmarks import cpu, decoding, importing, peers


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
        asyncio.run(cpu.measure(base, options.rounds, options.requests, vendor=vendor))
    finally:
        server.kill()
        server.wait()
    decoding.measure(options.rounds, vendor=vendor)
    importing.measure(options.rounds, vendor=vendor)


if __name__ == "__main__":
    main()
