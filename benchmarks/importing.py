"""Import time and memory, each in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.figures import table

# Peak memory from /proc: getrusage() would tell that of the process that started this one.
_PROBE = """
import time
started = time.process_time()
{statement}
spent = time.process_time() - started
status = open("/proc/self/status").read()
print(spent * 1000, int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""

OURS = "from presence_async import PresenceClient"
DEPENDENCIES = "import aiohttp, attrs, cattrs, orjson"
VENDOR = "import PureCloudPlatformClientV2"


def _probe(statement: str) -> tuple[float, float]:
    code = _PROBE.format(statement=statement)
    finished = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    milliseconds, megabytes = finished.stdout.split()
    return float(milliseconds), float(megabytes)


def measure(rounds: int, *, vendor: bool) -> None:
    """Print import CPU time and peak memory against the dependencies and the vendor's SDK."""
    statements = {"the four dependencies alone": DEPENDENCIES}
    if vendor:
        statements["vendor's SDK"] = VENDOR
    for statement in (OURS, *statements.values()):
        _probe(statement)  # compiles what is not compiled yet
    bare = [_probe("pass")[1] for _ in range(3)]
    ours: list[tuple[float, float]] = []
    peers: dict[str, list[tuple[float, float]]] = {name: [] for name in statements}
    for _ in range(rounds):
        ours.append(_probe(OURS))
        for name, statement in statements.items():
            peers[name].append(_probe(statement))
    table(
        "Import of PresenceClient",
        "ms CPU",
        [time for time, _ in ours],
        {name: [time for time, _ in values] for name, values in peers.items()},
    )
    table(
        "Memory after the import, above a bare interpreter",
        "MiB",
        [memory - min(bare) for _, memory in ours],
        {name: [memory - min(bare) for _, memory in values] for name, values in peers.items()},
    )
