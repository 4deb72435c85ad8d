"""A bulk update job that is killed again and again: is anything lost, and what is repeated?

The simulator runs in this process, without a rate limit and with some latency, so that
kills strike requests on their way. The job runs in processes of its own. Each is killed
(SIGKILL) at a random instant, the next one starts on the same journal, and the last one
lives. Then every user must show the wanted presence, every outcome must be in the journal,
and whatever was sent twice must be marked.

    python -m benchmarks.kills --items 100000 --kills 50
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs

from presence_async import BulkUpdateJob, ClientCredentials, PresenceClient
from presence_async.simulator import BUILT_IN_IDS, Fault, Simulator, uniform

ROOT = Path(__file__).parent.parent
WANTED = BUILT_IN_IDS["Meeting"]
WRITE = "/api/v2/users/presences/bulk"
# One kill of so many strikes at any time since the process began, also before it sends.
EARLY = 5
# Seconds within which a process has begun to send, about.
BEGINNING = 1.5


@attrs.frozen(kw_only=True)
class Kills:
    """What became of a job and its kills.

    Attributes:
        kills: Processes that were killed.
        seconds: From the first start to the end.
        statuses: Outcomes in the journal by status.
        wrong: Users who do not show the wanted presence.
        without: Items without an outcome.
        requests: Writes that arrived.
        chunks_again: Those of them with a body that had arrived before.
        most_again: The most of these after one kill.
        unmarked: Users who were sent twice and are not marked in the journal.
        applied_twice: Users to whom two writes were applied.
        marked: Users who are marked.
        megabytes: Resident memory of the job's processes while they run, smallest and
            largest; making and checking the plan is over then.
        journal_megabytes: Size of the journal.
    """

    kills: int
    seconds: float
    statuses: dict[str, int]
    wrong: int
    without: int
    requests: int
    chunks_again: int
    most_again: int
    unmarked: int
    applied_twice: int
    marked: int
    megabytes: tuple[float, float]
    journal_megabytes: float


async def work(options: dict[str, Any]) -> None:
    """The job, in a process of its own; it prints how many items are done."""
    auth = ClientCredentials(options.pop("client_id"), options.pop("client_secret"))
    journal, definition_id = options.pop("journal"), options.pop("definition_id")
    users = options.pop("users")
    async with PresenceClient(
        base_url=options.pop("base_url"),
        login_url=options.pop("login_url"),
        allow_loopback_http=True,
        rate_limit=1_000_000,
        auth=auth,
    ) as client:
        items = ((user_id, definition_id) for user_id in users)
        async with BulkUpdateJob(client, journal, items, **options) as job:
            await job.run(on_progress=lambda progress: print(progress.done, _memory(), flush=True))


def _memory() -> float:
    """Resident memory of this process in MB (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


async def killed(
    *,
    items: int,
    kills: int,
    settle: bool = True,
    concurrency: int = 4,
    settling_time: float = 0.5,
    latency: tuple[float, float] = (0.01, 0.06),
    seed: int = 0,
) -> Kills:
    """Run a job over `items` users and kill it so often."""
    chance = random.Random(seed)  # noqa: S311  no secret
    async with Simulator(users=items, seed=seed, rate_limit=None, history=200_000) as sim:
        sim.faults.otherwise = Fault(delay=uniform(*latency, seed))
        with tempfile.TemporaryDirectory() as folder:
            users = Path(folder) / "users"
            users.write_text("\n".join(sim.user_ids), encoding="ascii")
            journal = Path(folder) / "moves.journal"
            options = {
                "base_url": sim.base_url,
                "login_url": sim.login_url,
                "client_id": sim.client_id,
                "client_secret": sim.client_secret,
                "journal": str(journal),
                "definition_id": WANTED,
                "users": str(users),
                "concurrency": concurrency,
                "settle": settle,
                "settling_time": settling_time,
            }
            began, done = time.perf_counter(), 0
            memory: list[float] = []
            arrivals = []  # writes that had arrived when a process had ended
            for left in reversed(range(kills)):
                further = chance.uniform(0, 2 * (items - done) / (left + 2))
                done = await _life(options, chance, done, done + further, memory)
                arrivals.append(len(_writes(sim)))
            await _life(options, chance, done, None, memory)
            seconds = time.perf_counter() - began
            found = await _found(sim, journal)
            return Kills(
                kills=kills,
                seconds=seconds,
                most_again=_most_again(_writes(sim), arrivals),
                megabytes=(min(memory), max(memory)),
                journal_megabytes=journal.stat().st_size / 1e6,
                **found,
            )


async def _life(
    options: dict[str, Any],
    chance: random.Random,
    done: int,
    last: float | None,
    memory: list[float],
) -> int:
    """One process, killed soon after `last` items are done; without it, it may live.

    Its memory goes to `memory`.

    Returns:
        How many items are done, as far as it told.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.kills", "--work"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None  # noqa: S101  both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(json.dumps(options).encode())
    process.stdin.close()
    loop = asyncio.get_running_loop()
    killing = None
    if last is not None and chance.randrange(EARLY) == 0:
        killing = loop.call_later(chance.uniform(0, BEGINNING), process.kill)
    async for line in process.stdout:
        told, megabytes = line.split()
        done = max(done, int(told))
        memory.append(float(megabytes))
        if last is not None and killing is None and done >= last:
            killing = loop.call_later(chance.uniform(0, 0.1), process.kill)
    if killing is not None:
        killing.cancel()
    code = await process.wait()
    if code != (0 if last is None else -signal.SIGKILL):
        raise SystemExit(f"a process ended with {code}")
    return done


def _writes(sim: Simulator) -> list[bytes]:
    """The bodies of all writes that have arrived, in order."""
    return [request.body for request in sim.requests if request.path_template == WRITE]


def _most_again(bodies: list[bytes], arrivals: list[int]) -> int:
    """The most writes that a process made of what earlier ones had written."""
    most, earlier = 0, set[bytes]()
    for first, behind in pairwise([0, *arrivals, len(bodies)]):
        most = max(most, sum(body in earlier for body in bodies[first:behind]))
        earlier |= set(bodies[first:behind])
    return most


async def _found(sim: Simulator, journal: Path) -> dict[str, Any]:
    """What the simulator and the journal say in the end."""
    writes = [request for request in sim.requests if request.path_template == WRITE]
    sent = Counter(user for request in writes for user in _users(request.body))
    applied = Counter(
        user for request in writes if request.status == 200 for user in _users(request.body)
    )
    auth = ClientCredentials(sim.client_id, sim.client_secret)
    statuses: Counter[str] = Counter()
    marked = set()
    async with (
        PresenceClient(
            base_url=sim.base_url, login_url=sim.login_url, allow_loopback_http=True, auth=auth
        ) as client,
        BulkUpdateJob(client, journal) as job,
    ):
        async for outcome in job.outcomes():
            statuses[outcome.status] += 1
            if outcome.repeated:
                marked.add(outcome.user_id)
    shown = (sim.organization.presence(user).definition_id for user in sim.user_ids)
    return {
        "statuses": dict(statuses),
        "wrong": sum(definition_id != WANTED for definition_id in shown),
        "without": len(sim.user_ids) - statuses.total(),
        "requests": len(writes),
        "chunks_again": len(writes) - len({request.body for request in writes}),
        "unmarked": sum(count > 1 and user not in marked for user, count in sent.items()),
        "applied_twice": sum(count > 1 for count in applied.values()),
        "marked": len(marked),
    }


def _users(body: bytes) -> list[str]:
    return [row["id"] for row in json.loads(body)]


def main() -> None:
    """Run it, with settling and without, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        options = json.load(sys.stdin)
        options["users"] = Path(options["users"]).read_text(encoding="ascii").split()
        asyncio.run(work(options))
        return
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for settle in (True, False):
        found = asyncio.run(
            killed(
                items=arguments.items,
                kills=arguments.kills,
                settle=settle,
                concurrency=arguments.concurrency,
                seed=arguments.seed,
            )
        )
        print(f"\n{'with' if settle else 'without'} settling")
        for name, value in attrs.asdict(found).items():
            print(
                f"  {name:18} {value:,.1f}" if isinstance(value, float) else f"  {name:18} {value}"
            )


if __name__ == "__main__":
    main()
