"""Use of the request budget over time: a sweep, polling and interactive calls share 300 a minute.

Client and simulator live on the hand-moved clock of the tests, so that an hour takes a minute,
and every run is the same. Answers take 0 to 500 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from bisect import bisect_right
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qs, urlsplit

import attrs

from benchmarks import plots
from benchmarks.figures import spread
from presence_async import ClientCredentials, PresenceClient
from presence_async.simulator import Fault, Simulator
from tests.clock import ClockLoop

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 300
POLLING_INTERVAL = 60.0
# Interactive calls come at random, so many a minute, and once a crowd at one instant.
CALLS_A_MINUTE = 30
CROWD = 60
CROWD_AFTER = 240.0
SINGLE = "/api/v2/users/{userId}/presences/purecloud"
LANES = ("interactive", "polling", "sweep")

Arrivals: TypeAlias = dict[str, list[float]]


@attrs.frozen
class Story:
    """What happened, in simulated seconds since the start.

    Attributes:
        arrivals: When requests reached the vendor, by lane.
        refused: How many were answered with 429.
        sweep: How long the sweep took.
        calls: How long each interactive call took.
    """

    arrivals: Arrivals
    refused: int
    sweep: float
    calls: Sequence[float]


async def sweep(client: PresenceClient, user_ids: Sequence[str]) -> None:
    """Everyone once, in the lane of bulk calls."""
    present = 0
    async for outcome in client.user_presences.get_many(user_ids):
        present += outcome.presence is not None
    assert present == len(user_ids)  # noqa: S101  # a benchmark of half the work is none


async def poll(client: PresenceClient, user_ids: Sequence[str]) -> None:
    """A few again and again."""
    async with client.poll(user_ids, interval=POLLING_INTERVAL) as changes:
        async for _ in changes:
            pass


async def call(client: PresenceClient, user_ids: Sequence[str], took: list[float]) -> None:
    """Single reads of anybody, as somebody's clicks would make them."""
    chance = random.Random(4)  # noqa: S311  # chance, no secret
    loop = asyncio.get_running_loop()

    async def one() -> None:
        started = loop.time()
        await client.user_presences.get(chance.choice(user_ids))
        took.append(loop.time() - started)

    async def stream() -> None:
        while True:
            await asyncio.sleep(chance.expovariate(CALLS_A_MINUTE / 60))
            clicks.create_task(one())

    async with asyncio.TaskGroup() as clicks:
        clicks.create_task(stream())
        await asyncio.sleep(CROWD_AFTER)
        for _ in range(CROWD):
            clicks.create_task(one())


async def live(users: int, polled: int) -> Story:
    """Until the sweep is through."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)  # noqa: S101  # nobody waits for the other kind
    chance = random.Random(4)  # noqa: S311  # chance, no secret
    took: list[float] = []
    async with Simulator(
        users=users + polled, rate_limit=LIMIT, wall_clock=loop.wall, history=100_000
    ) as simulator:
        simulator.faults.add(Fault(times=None, delay=lambda: chance.uniform(0, 0.5)))
        async with PresenceClient(
            base_url=simulator.base_url,
            login_url=simulator.login_url,
            allow_loopback_http=True,
            auth=ClientCredentials(simulator.client_id, simulator.client_secret),
            rate_limit=LIMIT,
        ) as client:
            few, many = simulator.user_ids[:polled], simulator.user_ids[polled:]
            started = loop.time()
            others = [
                asyncio.create_task(poll(client, few)),
                asyncio.create_task(call(client, many, took)),
            ]
            await sweep(client, many)
            seconds = loop.time() - started
            for task in others:
                task.cancel()
            await asyncio.wait(others)
        arrivals = _arrivals(simulator, frozenset(few), started)
        refused = sum(record.status == 429 for record in simulator.requests)
    return Story(arrivals, refused, seconds, took)


def _arrivals(simulator: Simulator, polled: frozenset[str], started: float) -> Arrivals:
    """When each lane's requests came; the two that read in bulk read different users."""
    arrivals: Arrivals = {lane: [] for lane in LANES}
    for record in simulator.requests:
        if record.path_template == SINGLE:
            lane = "interactive"
        elif record.method == "GET":
            first = parse_qs(urlsplit(record.target).query)["id"][0]
            lane = "polling" if first in polled else "sweep"
        else:
            continue  # the token
        arrivals[lane].append(record.received_at - started)
    return arrivals


def in_last_minute(times: Sequence[float], moment: float) -> int:
    """Arrivals in the minute that ends at `moment`."""
    return bisect_right(times, moment) - bisect_right(times, moment - 60)


def report(story: Story, users: int, real_seconds: float) -> None:
    """Print what the plot does not show, too."""
    every = sorted(time for times in story.arrivals.values() for time in times)
    most = max(in_last_minute(every, moment) for moment in every)
    for lane, times in story.arrivals.items():
        print(f"  {lane:<12} {len(times):>6,} requests")
    print(
        f"  the sweep of {users:,} users took {story.sweep:.0f} simulated seconds\n"
        f"  at most {most} requests in 60 s of {LIMIT}, {story.refused} answered with 429\n"
        f"  an interactive call took {spread(story.calls)} s\n"
        f"  lived through in {real_seconds:.0f} s"
    )


def main() -> None:
    """Live through it, print, and draw."""
    parser = argparse.ArgumentParser(prog="benchmarks.budget", description=__doc__)
    parser.add_argument("--users", type=int, default=150_000, help="in the sweep")
    parser.add_argument("--polled", type=int, default=2_500, help="users polled every minute")
    parser.add_argument("--plots", type=Path, help="directory for the plot")
    options = parser.parse_args()
    print(f"Use of a budget of {LIMIT} requests a minute, on the hand-moved clock")
    started = time.perf_counter()
    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        story = runner.run(live(options.users, options.polled))
    report(story, options.users, time.perf_counter() - started)
    if options.plots:
        moments = range(0, int(story.sweep) + 1, 5)
        lanes = {
            lane: [in_last_minute(times, moment) for moment in moments]
            for lane, times in story.arrivals.items()
        }
        plots.budget(lanes, [moment / 60 for moment in moments], LIMIT, options.plots)


if __name__ == "__main__":
    main()
