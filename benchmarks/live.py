"""Live presence: latency, CPU beside a bare WebSocket loop, memory, and requests in an hour.

    python -m benchmarks.live

Who is measured is a process of its own, in turn with the others; so is the simulator that raises
the events. The bare loop is what one writes without a library: `aiohttp`'s WebSockets and
`orjson.loads`, no models, nothing mended, nothing known of gaps.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import platform
import statistics
import sys
import time
import tracemalloc
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs
import orjson

from benchmarks.figures import ratios, spread
from benchmarks.processes import own_process
from benchmarks.pusher import Pusher, pushing
from benchmarks.simulator import token_of
from presence_async import ClientCredentials, PresenceClient, PresenceNotification, user_topic
from presence_async.simulator import Simulator
from tests.clock import ClockLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from presence_async import PresenceStream

BARE, STREAM, STORE = "bare loop", "client.stream", "client.live"
_BATCH = 1000
# Between two looks at whether everything has come.
_LOOK = 0.01
# The slowest machine has all events by then.
_PATIENCE = 30.0


@attrs.define
class Tally:
    """The events that came; with `late`, also how many ms after their change."""

    seen: int = 0
    late: list[float] | None = None

    def take(self, message: Any) -> None:
        """One event, by the message of its presence."""
        self.seen += 1
        if self.late is not None:
            self.late.append((time.monotonic() - float(message)) * 1e3)


@attrs.frozen
class Measured:
    """What a run gave: CPU microseconds an event, and ms from change to consumer."""

    cpu: float
    late: list[float]

    def percentile(self, percent: int) -> float:
        """So many of a hundred events came faster."""
        return statistics.quantiles(self.late, n=100)[percent - 1]


def client_for(pusher: Pusher) -> PresenceClient:
    """A client as usual; the limit is out of the way."""
    return PresenceClient(
        base_url=pusher.base_url,
        login_url=pusher.login_url,
        allow_loopback_http=True,
        auth=ClientCredentials(pusher.client_id, pusher.client_secret),
        rate_limit=100_000_000,
    )


@asynccontextmanager
async def _reading(read: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(read())
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})


@asynccontextmanager
async def bare(pusher: Pusher, tally: Tally) -> AsyncIterator[None]:
    """Twenty sockets, each read by a loop."""
    token = await token_of(attrs.asdict(pusher))
    headers = {"Authorization": f"Bearer {token}"}
    channels = f"{pusher.base_url}/api/v2/notifications/channels"
    names = [user_topic(user_id, "presence") for user_id in pusher.user_ids]

    async def read(socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            event = orjson.loads(message.data)
            if event["topicName"] != "channel.metadata":
                tally.take(event["eventBody"]["message"])

    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
        for start in range(0, len(names), _BATCH):
            async with session.post(channels) as answer:
                channel = await answer.json()
            topics = [{"id": name} for name in names[start : start + _BATCH]]
            subscriptions = f"{channels}/{channel['id']}/subscriptions"
            async with session.post(subscriptions, json=topics) as answer:
                answer.raise_for_status()
            socket = await stack.enter_async_context(session.ws_connect(channel["connectUri"]))
            await stack.enter_async_context(_reading(lambda socket=socket: read(socket)))
        yield


async def _until_live(stream: PresenceStream) -> None:
    """All channels are there; what they said so far is taken."""
    waiting = True
    while waiting:
        try:
            async with asyncio.timeout(1):
                await anext(stream)
        except TimeoutError:
            figures = stream.statistics
            waiting = figures.live < figures.channels


@asynccontextmanager
async def stream(pusher: Pusher, tally: Tally) -> AsyncIterator[None]:
    """`client.stream`, iterated."""
    async with client_for(pusher) as client, client.stream(pusher.user_ids) as events:
        await _until_live(events)

        async def read() -> None:
            async for event in events:
                if isinstance(event, PresenceNotification):
                    tally.take(event.body.message)

        async with _reading(read):
            yield


@asynccontextmanager
async def store(pusher: Pusher, tally: Tally) -> AsyncIterator[None]:
    """`client.live`, and one consumer of its changes."""
    async with (
        client_for(pusher) as client,
        client.live(pusher.user_ids, reconcile=None) as live,
    ):
        await live.ready()
        while live.statistics.stale or live.statistics.unread:  # noqa: ASYNC110  # no event for it
            await asyncio.sleep(0.1)
        changes = live.changes()

        async def read() -> None:
            async for change in changes:
                if change.after is not None:
                    tally.take(change.after.message)

        async with _reading(read):
            yield


WAYS = {BARE: bare, STREAM: stream, STORE: store}


async def _watch(name: str, pusher: Pusher, rate: int, seconds: float, *, late: bool) -> Measured:
    tally = Tally(late=[] if late else None)
    async with WAYS[name](pusher, tally):
        gc.collect()
        await asyncio.sleep(0.5)
        tally.seen = 0
        if tally.late:
            tally.late.clear()
        started = time.process_time()
        changes = await pusher.push(rate, seconds)
        async with asyncio.timeout(_PATIENCE):
            while tally.seen < changes:  # noqa: ASYNC110  # looking costs less than an event each time
                await asyncio.sleep(_LOOK)
        return Measured((time.process_time() - started) / changes * 1e6, tally.late or [])


def watched(name: str, pusher: Pusher, rate: int, seconds: float, *, late: bool) -> Measured:
    """One run, in the process this is called in."""
    return asyncio.run(_watch(name, pusher, rate, seconds, late=late))


def resident() -> float:
    """Resident bytes of this process (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024.0


async def _held(name: str, pusher: Pusher, *, traced: bool) -> float:
    few = attrs.evolve(pusher, user_ids=pusher.user_ids[:100])
    async with WAYS[name](few, Tally()):
        pass  # what is made once is made
    gc.collect()
    before = resident()
    if traced:
        tracemalloc.start()
    async with WAYS[name](pusher, Tally()):
        gc.collect()
        after = tracemalloc.get_traced_memory()[0] if traced else resident() - before
    return after / len(pusher.user_ids)


def held(name: str, pusher: Pusher, *, traced: bool) -> float:
    """Bytes a user, in the process this is called in: a fresh one."""
    return asyncio.run(_held(name, pusher, traced=traced))


def measure_events(pusher: Pusher, rounds: int, seconds: float) -> None:
    """CPU at 2,000 events a second, and latency at 200 and 2,000."""
    with ExitStack() as stack:
        processes = {name: stack.enter_context(own_process()) for name in WAYS}

        def run(name: str, rate: int, *, late: bool) -> Measured:
            done = processes[name].submit(watched, name, pusher, rate, seconds, late=late)
            return done.result()

        cpu: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(rounds):
            for name in WAYS:
                cpu[name].append(run(name, 2000, late=False).cpu)
        print("\nClient CPU for each event, at 2,000 a second")
        for name, values in cpu.items():
            print(
                f"  {name:<14} {spread(values, 1):>24} us   "
                f"{spread(ratios(values, cpu[BARE]))} x the bare loop"
            )
        for rate in (200, 2000):
            print(f"\nFrom the change to the consumer, at {rate:,} events a second, ms")
            for name in WAYS:
                runs = [run(name, rate, late=True) for _ in range(rounds)]
                p50, p99 = ([one.percentile(percent) for one in runs] for percent in (50, 99))
                print(f"  {name:<14} p50 {spread(p50):>22}   p99 {spread(p99):>24}")


def measure_memory(pusher: Pusher, rounds: int) -> None:
    """What is held for each user once everything is quiet."""
    print("\nMemory held for each user, bytes")

    def fresh(name: str, *, traced: bool) -> float:
        with own_process() as process:
            return process.submit(held, name, pusher, traced=traced).result()

    for name in WAYS:
        values = [fresh(name, traced=False) for _ in range(rounds)]
        traced = fresh(name, traced=True)
        print(f"  {name:<14} resident {spread(values, 0):>20}   traced {traced:.0f}")


async def _hours(users: int, hours: int, interval: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)  # noqa: S101  # nobody waits for the other kind
    async with (
        Simulator(users=users, wall_clock=loop.wall, history=0) as sim,
        PresenceClient(
            base_url=sim.base_url,
            login_url=sim.login_url,
            allow_loopback_http=True,
            auth=ClientCredentials(sim.client_id, sim.client_secret),
        ) as client,
        client.live(sim.user_ids) as live,
    ):
        forecast = client.forecast(users, interval)
        polling = forecast.requests * 3600 / max(interval, forecast.shortest_interval)
        print(f"\nRequests in an hour; polling every {interval:g} s takes {polling:,.0f}")
        before = 0
        for hour in range(hours):
            await asyncio.sleep(3600)
            spent = live.statistics.requests - before
            before += spent
            print(f"  {STORE}, hour {hour + 1}: {spent:,}, {polling / max(spent, 1):.0f} x less")


def measure_hours(users: int, hours: int) -> None:
    """Requests, counted on the hand-moved clock."""
    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        runner.run(_hours(users, hours, 120.0))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.live", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run")
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--hours", type=int, default=3, help="in simulated time")
    options = parser.parse_args()
    print(
        f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}, {options.users:,} "
        f"users, {options.rounds} rounds in turn, loopback.\nMedian (min to max) over the rounds."
    )
    with pushing(options.users) as pusher:
        measure_events(pusher, options.rounds, options.seconds)
        measure_memory(pusher, options.rounds)
    measure_hours(options.users, options.hours)


if __name__ == "__main__":
    sys.exit(main())
