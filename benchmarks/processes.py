"""The canned server, and those who are measured, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent


@attrs.frozen
class Server:
    """Where the canned server listens, and its process."""

    base: str
    pid: int

    def cpu(self) -> float:
        """CPU seconds it has used so far (Linux)."""
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def canned_server(latency: float = 0.0) -> Iterator[Server]:
    """`benchmarks.server`, answering `latency` seconds late."""
    process = subprocess.Popen(  # noqa: S603  # our own code
        [sys.executable, "-m", "benchmarks.server", "--latency", str(latency)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None  # noqa: S101  # stdout=PIPE
        yield Server(f"http://127.0.0.1:{process.stdout.readline().strip()}", process.pid)
    finally:
        process.kill()
        process.wait()


def own_process() -> ProcessPoolExecutor:
    """One fresh interpreter that runs what it is given, and sleeps in between.

    What the vendor's SDK leaves behind in memory slows nobody else down.
    """
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
