"""Days of live presence: sockets come and go, channels are renewed, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks.scales import Scales
from presence_async import ClientCredentials, PresenceClient
from presence_async.simulator import Fault, Simulator, uniform
from tests.clock import ClockLoop

if TYPE_CHECKING:
    from presence_async import PresenceStore, StoreStatistics

LATENCY = 0.5
# Changes in a minute, among all users.
CHANGES = 10
# What an event takes, and a little more.
ON_ITS_WAY = 0.2
# By then a socket that went silent has been noticed, and its users have been read.
QUIET = 90.0
WAYS = ("drop", "close", "notice", "freeze", "expire")
_SUBSCRIBE = "POST /api/v2/notifications/channels/{channelId}/subscriptions"
_LOOKS = 200


@attrs.define
class Story:
    """What happened.

    Attributes:
        sim: The simulated organization.
        chance: When and what.
        told: The message of each user, by the changes of the store; as a number, since the
            text belongs to the store, and would be held twice from some moment on.
        changed: When the latest change was made.
        changes: How many there were.
        struck: How many sockets were disturbed, and in which way.
        checks: How often the store was compared with the truth.
        differing: Users for whom they were not the same, in all checks.
        scales: Memory, every hour.
        figures: The store's own at the end.
    """

    sim: Simulator
    chance: random.Random = attrs.Factory(lambda: random.Random(7))  # noqa: S311  # no secret
    told: dict[str, float] = attrs.Factory(dict)
    changed: float = 0.0
    changes: int = 0
    struck: dict[str, int] = attrs.Factory(lambda: dict.fromkeys(WAYS, 0))
    checks: int = 0
    differing: int = 0
    scales: Scales = attrs.Factory(Scales)
    figures: StoreStatistics | None = None

    async def live(self) -> None:
        """Users change their presences, one at a time."""
        loop, ids = asyncio.get_running_loop(), self.sim.user_ids
        while True:
            await asyncio.sleep(self.chance.expovariate(CHANGES / 60))
            message = f"{self.chance.random():.9f}"
            self.sim.organization.set_presence(self.chance.choice(ids), message=message)
            self.changed, self.changes = loop.time(), self.changes + 1

    async def listen(self, store: PresenceStore) -> None:
        """Take every change."""
        async for change in store.changes(snapshot=True):
            if change.after is not None:
                self.told[change.user_id] = float(change.after.message or 0)

    async def disconnect(self, store: PresenceStore, times: int, seconds: float) -> None:
        """Disturb a socket now and then; when all is quiet again, the store has the truth."""
        for _ in range(times):
            await asyncio.sleep(self.chance.uniform(0, 2 * (seconds / times - QUIET)))
            way = self.chance.choice(WAYS)
            connected = self.sim.sockets.connected
            if connected:
                self.struck[way] += getattr(self.sim.sockets, way)(self.chance.choice(connected))
            await asyncio.sleep(QUIET)
            await self.check(store)

    async def check(self, store: PresenceStore) -> None:
        """Compare, at a moment when nothing is on its way."""
        loop = asyncio.get_running_loop()
        for _ in range(_LOOKS):
            settled = not store.statistics.stale and not store.statistics.unread
            if settled and loop.time() - self.changed > ON_ITS_WAY:
                break
            await asyncio.sleep(1.0)
        else:
            self.differing += store.statistics.stale + store.statistics.unread
        truth = self.sim.organization.presence
        for user_id, row in store.items():
            message = truth(user_id).message
            self.differing += row.presence is None or row.presence.message != message
            self.differing += self.told.get(user_id) != float(message)
        self.checks += 1

    async def weigh(self) -> None:
        """Look at memory every hour, and say every day how it goes."""
        while True:
            await asyncio.sleep(3600)
            self.scales.weigh()
            days, hours = divmod(len(self.scales.blocks), 24)
            if not hours:
                print(
                    f"  day {days}: {self.changes:,} changes, {self.checks} comparisons, "
                    f"{self.differing} users differed; {self.scales.resident[-1]:.1f} MB",
                    flush=True,
                )

    def wrong(self) -> list[str]:
        """What is not as it must be."""
        figures = self.figures
        if figures is None:
            return ["the store ended early"]
        checks = {
            "the store did not have the truth": self.differing > 0,
            "a reconciling sweep found what no event and no gap had said": figures.differences > 0,
            "users are not known": figures.unread + figures.stale > 0,
            "a channel is not live": figures.live_channels < figures.channels,
            "memory grew": self.scales.grew,
        }
        return [what for what, is_so in checks.items() if is_so]


async def follow(users: int, days: float, disconnects: int) -> Story:
    """Follow an organization for so many simulated days."""
    loop: Any = asyncio.get_running_loop()
    async with Simulator(users=users, wall_clock=loop.wall, history=0) as sim:
        story = Story(sim)
        sim.faults.add(Fault(times=None, delay=uniform(0, LATENCY)))
        # Everybody has a message and a date of the usual kind before memory is looked at.
        for number, user_id in enumerate(sim.user_ids):
            loop.advance(0.001)
            sim.organization.set_presence(user_id, message=f"{number / 1e9:.9f}")
        async with (
            PresenceClient(
                base_url=sim.base_url,
                login_url=sim.login_url,
                allow_loopback_http=True,
                auth=ClientCredentials(sim.client_id, sim.client_secret),
            ) as client,
            client.live(sim.user_ids) as store,
        ):
            await _live_through(story, store, days * 86_400, disconnects)
        return story


async def _live_through(
    story: Story, store: PresenceStore, seconds: float, disconnects: int
) -> None:
    await store.ready()
    tasks = [asyncio.create_task(work) for work in (story.listen(store), story.live())]
    ends = asyncio.get_running_loop().time() + seconds
    tasks.append(asyncio.create_task(story.weigh()))
    await story.disconnect(store, disconnects, seconds)
    await asyncio.sleep(max(0.0, ends - asyncio.get_running_loop().time()))
    await story.check(store)
    story.scales.weigh()
    story.figures = store.statistics
    for task in tasks:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()  # raises what ended it


def run(users: int, days: float, disconnects: int) -> None:
    """Live through it, print, and fail where something is wrong."""
    print(
        f"A live store of {users:,} users for {days:g} days, {CHANGES} changes a minute and "
        f"{disconnects} disconnects, on the hand-moved clock"
    )
    started = time.perf_counter()
    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        story = runner.run(follow(users, days, disconnects))
    figures = story.figures
    if figures is not None:
        print(
            f"  {story.changes:,} changes, {figures.events:,} events, {figures.gaps:,} gaps, "
            f"{figures.reconnects:,} reconnects; {figures.sweeps} reconciling sweeps found "
            f"{figures.differences} differences\n"
            f"  {figures.requests:,} requests, {figures.requests / days:,.0f} a day, "
            f"{story.sim.count(_SUBSCRIBE):,} to subscribe; {story.sim.token_requests} tokens"
        )
    print(
        f"  sockets disturbed: {', '.join(f'{name} {n}' for name, n in story.struck.items())}\n"
        f"  compared with the truth {story.checks} times: {story.differing} users differed\n"
        f"  memory of client and simulator after an hour and at the end: {story.scales}\n"
        f"  lived through in {time.perf_counter() - started:.0f} s"
    )
    wrong = story.wrong()
    if wrong:
        sys.exit("  wrong: " + "; ".join(wrong))
