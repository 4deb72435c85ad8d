"""One random history of a live store, checked all along and at its end.

PYTHONPATH=. python tests/live_history.py 0 1000   # so many, from this seed on
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
import traceback
from random import Random
from typing import TYPE_CHECKING, Any

from clock import check_no_leftovers, run
from histories import CREATE, READ, UNNOTICED, World
from support import client_for

from presence_async.live import sharding
from presence_async.resources.changes import differences
from presence_async.simulator import PrimarySource

if TYPE_CHECKING:
    from datetime import datetime

    from presence_async import LivePresence, PresenceChange, PresenceStore, UcUserPresence

# A read that fails is repeated, later each time.
REPEATS = 120.0
STRANGER = "nobody-knows-this-one"


class Reader:
    """A consumer that applies changes to a dict, at its own pace."""

    def __init__(self, live: PresenceStore, random: Random) -> None:
        self.live, self.random = live, random
        self.laziness = random.choice([0.0, 0.0, 0.2, 1.0])
        self.rows: dict[str, UcUserPresence | None] = {}
        self.stale: dict[str, bool] = {}
        snapshot = random.random() < 0.5
        if not snapshot:
            for user_id, row in live.snapshot().items():
                if row.status != "unknown" or row.stale:
                    self.rows[user_id], self.stale[user_id] = row.presence, row.stale
        self.changes = live.changes(snapshot=snapshot)
        self.task = asyncio.create_task(self.read())

    async def read(self) -> None:
        """Take changes for ever."""
        async for change in self.changes:
            self.apply(change)
            if self.random.random() < self.laziness:
                await asyncio.sleep(self.random.choice([0.01, 1.0, 40.0]))

    def apply(self, change: PresenceChange) -> None:
        """One change: it begins with what was told last."""
        user_id = change.user_id
        assert user_id in self.live, "told of somebody who is not followed"
        assert (change.kind == "first") == (user_id not in self.rows), change
        assert not differences(self.rows.get(user_id), change.before), change
        if change.kind in ("stale", "fresh"):
            assert self.stale[user_id] == (change.kind == "fresh"), change
            self.stale[user_id] = change.kind == "stale"
        self.stale.setdefault(user_id, change.stale)
        self.rows[user_id] = change.after

    def forget(self, user_id: str) -> None:
        """The user is not followed any more."""
        self.rows.pop(user_id, None)
        self.stale.pop(user_id, None)

    def check(self) -> None:
        """It ended up with what the store has."""
        for user_id, row in self.live.items():
            told = self.rows[user_id]
            assert not differences(told, row.presence), (told, row)
            assert self.stale[user_id] == row.stale, row


def message_of(row: LivePresence) -> str | None:
    """The message of a presence, if there is one."""
    return row.presence.message if row.presence else None


class Follower:
    """A store in a world, and what must hold of it at every moment.

    Args:
        random: The chance.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        slowest = random.choice([0.05, 2.0])
        self.lossy = random.random() < 0.15
        options: dict[str, Any] = {"event_delay": lambda: random.uniform(0.0, slowest)}
        if self.lossy:
            # No notice, or everybody is read again before a sweep would find what was lost.
            options |= {"event_loss": 0.2, "socket_lifetime": None}
        self.on_its_way = slowest + 0.05
        self.world = World(random, users=16, **options)
        self.sim, self.loop = self.world.sim, self.world.loop
        if random.random() < 0.5:
            # The answer is made at once, and old when it is there.
            self.world.fault(READ, slow_body=random.choice([0.5, 5.0]), probability=0.7, times=None)
        self.busy = random.sample(self.sim.user_ids, 3)
        self.interval = self.random.choice([10.0, 30.0])
        self.reconcile = self.random.choice([600.0] if self.lossy else [None, None, 600.0])
        self.readers: list[Reader] = []
        self.tasks: list[asyncio.Task[Any]] = []

    def open(self, client: Any) -> PresenceStore:
        """The store, with some of the users and somebody unknown."""
        ids = self.random.sample(self.sim.user_ids, 12)
        self.live = client.live(
            [*ids, STRANGER],
            notifications=self.random.random() < 0.9,
            interval=self.interval,
            reconcile=self.reconcile,
            concurrency=self.random.choice([1, 4]),
        )
        return self.live

    def toggle(self) -> None:
        """Add a user, or remove one that is followed."""
        user_id = self.random.choice([*self.sim.user_ids, STRANGER])
        if user_id in self.live:
            self.live.remove([user_id])
            for reader in self.readers:
                reader.forget(user_id)
        else:
            self.live.add([user_id])

    def disturb(self) -> None:
        """Something happens to sockets, channels, requests, tokens or permissions."""
        random, fault = self.random, self.world.fault
        often = self.world.disturbances()
        often += [
            lambda: fault(READ, status=random.choice([429, 503]), times=random.choice([1, 4])),
            lambda: fault(READ, drop="before"),
            lambda: fault(READ, delay=3.0, times=2),
            self.sim.revoke_tokens,
            self.elsewhere,
            lambda: random.random() < 0.3 and fault(CREATE, status=403),
        ]
        random.choice(often)()

    def elsewhere(self) -> None:
        """Somebody is busy on another source, which may be what others see from now on."""
        people, user_id = self.sim.organization, self.random.choice(self.busy)
        definition = self.random.choice(list(people.definitions))
        people.set_presence(
            user_id, definition, source="DESK", message="no", primary=self.random.random() < 0.5
        )
        if self.random.random() < 0.5:
            people.set_primary_source(user_id, PrimarySource("PURECLOUD"))

    # -- what must hold

    def grace(self, now: float) -> float:
        """How long a value may be wrong that is not called stale."""
        if self.live.statistics.mode == "polling":
            return self.interval + REPEATS
        if self.lossy:
            return math.inf
        frozen = now - self.world.frozen < UNNOTICED + self.on_its_way
        return UNNOTICED + self.on_its_way if frozen else self.on_its_way

    def check(self) -> None:
        """Each value is one the vendor had since its as-of; a wrong one is stale, or soon."""
        now, live = self.loop.time(), self.live
        rows = live.snapshot()
        grace, wall = self.grace(now), time.time()
        for user_id, row in rows.items():
            if row.status == "present":
                assert row.presence is not None
                until = self.world.until(user_id, row.presence.message or "")
                since = self.seconds(row.as_of, now, wall) - self.on_its_way
                assert until >= since, (row, until, now)
                assert row.stale or now - until <= grace, (row, until, now, live.statistics)
            else:
                assert row.presence is None, row
                assert row.status == "unknown" or user_id == STRANGER, row
        figures = live.statistics
        assert figures.users == len(live) == len(rows)
        # Who failed to be read is stale instead.
        unread = [row for row in rows.values() if row.status == "unknown" and not row.stale]
        assert figures.unread == len(unread)
        assert (
            figures.stale == sum(row.stale for row in rows.values()) == len(live.where(stale=True))
        )

    @staticmethod
    def seconds(as_of: datetime | None, now: float, wall: float) -> float:
        """The as-of of a row by the loop's clock, at the earliest."""
        assert as_of is not None
        return now - (wall - as_of.timestamp())

    def settled(self) -> bool:
        """Whether nothing is under way any more, as far as one can see."""
        figures = self.live.statistics
        return (
            not figures.unread and not figures.stale and figures.live_channels == figures.channels
        )

    async def quiesce(self) -> None:
        """Wait until whatever happened has been noticed and mended, and the readers know."""
        for reader in self.readers:
            reader.laziness = 0.0
        polling = self.live.statistics.mode == "polling"
        await asyncio.sleep(2 * self.interval if polling else UNNOTICED)
        if self.lossy and not polling:
            await asyncio.sleep(2 * self.reconcile + REPEATS)
        async with asyncio.timeout(3600):
            calm = 0
            while calm < 10:
                await asyncio.sleep(5)
                calm = calm + 1 if self.settled() else 0

    def check_end(self) -> None:
        """The store has the truth, and so has everybody who heard its changes."""
        counts: dict[Any, int] = {}
        for user_id, row in self.live.items():
            assert not row.stale, row
            if user_id == STRANGER:
                assert row.status == "missing", row
                counts[None] = counts.get(None, 0) + 1
                continue
            self.check_truth(row)
            counts[row.system_presence] = counts.get(row.system_presence, 0) + 1
        assert self.live.counts() == counts
        for name, count in counts.items():
            assert name is None or len(self.live.where(system_presence=name)) == count
        for reader in self.readers:
            reader.check()

    def check_truth(self, row: LivePresence) -> None:
        """A row is what a read would say now."""
        truth = self.sim.organization.presence(row.user_id)
        assert row.presence is not None, row
        assert (row.presence.message or "") == truth.message, (row, truth)
        assert row.presence.presence_definition is not None, row
        assert row.presence.presence_definition.id == truth.definition_id, (row, truth)

    # -- the history

    async def go_on(self) -> None:
        """A few users change their presences all the time, whatever else happens."""
        while True:
            await asyncio.sleep(self.random.expovariate(0.7))
            self.world.change(self.random.choice(self.busy))

    async def step(self) -> None:
        """Something happens, or nothing, and then time passes."""
        random = self.random
        if random.random() < 0.5:
            self.disturb()
        if random.random() < 0.25:
            self.toggle()
        if random.random() < 0.25:
            self.readers.append(Reader(self.live, random))
        for user_id in random.sample(self.sim.user_ids, random.randrange(4)):
            for _ in range(random.choice([1, 1, 1, 2])):
                self.world.change(user_id)
                await asyncio.sleep(random.choice([0.0, 0.01]))
        for _ in range(2):
            await asyncio.sleep(random.choice([0.0, 0.01, 0.06, 0.06, 1.0, 5.0, 35.0]))
            self.check()

    async def live_through(self, steps: int) -> None:
        """So many steps, the quiet after them, and the end."""
        self.tasks.append(living := asyncio.create_task(self.go_on()))
        for _ in range(steps):
            await self.step()
        living.cancel()
        for user_id in self.sim.user_ids[::2]:
            self.world.change(user_id)
        user_id = self.random.choice([one for one in self.live if one != STRANGER])
        final = self.world.change(user_id)
        told = self.live.wait_for(user_id, lambda row: message_of(row) == final)
        self.tasks.append(waiting := asyncio.create_task(told))
        await self.quiesce()
        self.check()
        self.check_end()
        assert waiting.done()
        assert waiting.result().user_id == user_id

    async def leave(self) -> None:
        """Stop reading; what went wrong with a reader is raised."""
        tasks = [*self.tasks, *(reader.task for reader in self.readers)]
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result


async def history(seed: int, steps: int = 8) -> None:
    """One history: the store is never silently wrong, and right in the end."""
    random = Random(seed)  # noqa: S311  # a test that repeats
    follower = Follower(random)
    async with follower.sim as sim, client_for(sim) as client, follower.open(client):
        try:
            await follower.live_through(steps)
        finally:
            await follower.leave()


async def _checked(seed: int) -> None:
    await history(seed)
    await asyncio.sleep(0)
    check_no_leftovers(asyncio.get_running_loop())


def main(first: int, count: int) -> int:
    """Live through histories; print those that fail, and how many."""
    sharding.TOPICS_PER_CHANNEL = 5  # type: ignore[misc]
    failed = 0
    for seed in range(first, first + count):
        try:
            run(_checked(seed))
        except Exception:  # noqa: BLE001  # whatever it is
            failed += 1
            sys.stdout.write(f"history {seed}:\n{traceback.format_exc()}\n")
    sys.stdout.write(f"{failed} of {count} histories failed\n")
    return failed


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])) > 0)
