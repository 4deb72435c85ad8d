"""Long runs in simulated time: what must not drift, grow, come late or be refused.

    python -m benchmarks.soak poll
    python -m benchmarks.soak live --days 7

Client and simulator live on the hand-moved clock of the tests. Answers take 0 to 500 ms, and
presences change at random all the time. The command fails where something is not as it must be.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from typing import TYPE_CHECKING

import attrs

from benchmarks import soak_live
from benchmarks.scales import Scales
from presence_async import ClientCredentials, PresenceClient
from presence_async.simulator import Fault, Simulator, uniform
from tests.clock import ClockLoop

if TYPE_CHECKING:
    from presence_async import PollStatistics, PresencePoll

LATENCY = 0.5
# Changes in a minute, among all users.
CHANGES = 120


@attrs.define
class Story:
    """What happened.

    Attributes:
        sim: The simulated organization.
        made: When each change was made that has not been seen yet, by user.
        seen: How many changes were seen.
        latest: The most seconds from making a change to seeing it.
        refused: How many requests were answered with 429.
        scales: Memory, a second before each sweep.
        figures: The poll's own figures at the end.
    """

    sim: Simulator
    made: dict[str, float] = attrs.Factory(dict)
    seen: int = 0
    latest: float = 0.0
    refused: int = 0
    scales: Scales = attrs.Factory(Scales)
    figures: PollStatistics | None = None

    async def live(self) -> None:
        """Users change their presences, one at a time."""
        chance = random.Random(4)  # noqa: S311  # chance, no secret
        loop, ids = asyncio.get_running_loop(), self.sim.user_ids
        while True:
            await asyncio.sleep(chance.expovariate(CHANGES / 60))
            user_id = chance.choice(ids)
            self.made.setdefault(user_id, loop.time())
            self.sim.organization.set_presence(user_id, message=f"{chance.random():.9f}")

    async def watch(self, poll: PresencePoll) -> None:
        """Take every change, and note how late it comes."""
        loop = asyncio.get_running_loop()
        async for change in poll:
            if change.kind != "changed" or change.after is None:
                continue
            self.seen += 1
            self.latest = max(self.latest, loop.time() - self.made.pop(change.user_id))
            if change.after.message != self.sim.organization.presence(change.user_id).message:
                # Changed again while the answer was on its way.
                self.made[change.user_id] = loop.time() - LATENCY

    def wrong(self, interval: float) -> list[str]:
        """What is not as it must be."""
        figures = self.figures
        if figures is None:
            return ["the poll ended early"]
        checks = {
            "a value was seen too late": self.latest > interval + LATENCY,
            "requests were refused": self.refused > 0,
            "users could not be read": figures.failures > 0,
            "sweeps took longer than the interval": figures.stretched > 0,
            "sweeps drifted": figures.lag > 1e-3,
            "memory grew": self.scales.grew,
        }
        return [what for what, is_so in checks.items() if is_so]


async def poll(users: int, interval: float, hours: float) -> Story:
    """Poll an organization for so many simulated hours.

    Args:
        users: How many there are.
        interval: Seconds from the start of one sweep to that of the next.
        hours: How long.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)  # noqa: S101  # nobody waits for the other kind
    async with Simulator(users=users, wall_clock=loop.wall, history=0) as sim:
        story = Story(sim)

        def count(record: object) -> None:
            story.refused += getattr(record, "status", None) == 429

        sim.listeners.append(count)
        sim.faults.add(Fault(times=None, delay=uniform(0, LATENCY)))
        # Everybody has a message and a date of the usual kind before memory is looked at.
        for number, user_id in enumerate(sim.user_ids):
            loop.advance(0.001)
            sim.organization.set_presence(user_id, message=f"{number / 1e9:.9f}")
        async with PresenceClient(
            base_url=sim.base_url,
            login_url=sim.login_url,
            allow_loopback_http=True,
            auth=ClientCredentials(sim.client_id, sim.client_secret),
        ) as client:
            print(f"  {client.forecast(users, interval)}")
            async with client.poll(sim.user_ids, interval=interval) as polling:
                await _live_through(story, polling, interval, round(hours * 3600 / interval))
        return story


async def _live_through(story: Story, polling: PresencePoll, interval: float, sweeps: int) -> None:
    loop = asyncio.get_running_loop()
    watching = asyncio.create_task(story.watch(polling))
    await asyncio.sleep(interval - 1)
    living = asyncio.create_task(story.live())
    for _ in range(sweeps):
        # The first sweep is behind us, and the limiter's memory is full after the second.
        await asyncio.sleep(interval)
        story.scales.weigh()
    if not watching.done():
        story.figures = polling.statistics
    story.latest = max([story.latest, *(loop.time() - made for made in story.made.values())])
    for task in (living, watching):
        task.cancel()
        await asyncio.wait({task})
    if not watching.cancelled():
        watching.result()  # raises what ended it


def report(story: Story, real_seconds: float) -> None:
    """Print what happened."""
    figures = story.figures
    if figures is not None:
        print(
            f"  {figures.sweeps} sweeps, {figures.requests:,} requests, the last sweep took "
            f"{figures.sweep_seconds:.1f} s and began {figures.lag:.6f} s late"
        )
    print(
        f"  {story.seen:,} changes, each seen within {story.latest:.2f} s; "
        f"{story.refused} answers of 429\n"
        f"  memory of client and simulator after the 2nd sweep and at the end: "
        f"{story.scales}\n"
        f"  lived through in {real_seconds:.0f} s"
    )


def main() -> None:
    """Live through it, print, and fail where something is wrong."""
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description=__doc__)
    parser.add_argument("what", choices=["poll", "live"])
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--interval", type=float, default=120.0, help="of a poll, in seconds")
    parser.add_argument("--hours", type=float, default=1.0, help="of a poll, in simulated time")
    parser.add_argument("--days", type=float, default=7.0, help="of live, in simulated time")
    parser.add_argument("--disconnects", type=int, default=500, help="of live")
    options = parser.parse_args()
    if options.what == "live":
        soak_live.run(options.users, options.days, options.disconnects)
        return
    print(
        f"A poll of {options.users:,} users every {options.interval:g} s for "
        f"{options.hours:g} h, on the hand-moved clock"
    )
    started = time.perf_counter()
    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        story = runner.run(poll(options.users, options.interval, options.hours))
    report(story, time.perf_counter() - started)
    wrong = story.wrong(options.interval)
    if wrong:
        sys.exit("  wrong: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
