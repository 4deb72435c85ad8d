"""The reads of a live store: who is due, who is polled, who is looked at in idle budget."""

from __future__ import annotations

import asyncio
from operator import length_hint
from typing import TYPE_CHECKING, Any

import pytest
from unit.live.test_table import at
from unit.resources.polled import LATENCY, Vendor, users

from presence_async.errors import (
    AuthenticationError,
    ClosedError,
    InvalidRequestError,
    PermissionDeniedError,
    PresenceError,
    RateLimitedError,
    ServerError,
)
from presence_async.live.rereads import Rereads
from presence_async.live.table import LiveTable
from presence_async.resources.updating import Moment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from typing import Self

    from presence_async import PresenceChange


class Lab:
    """Reads of a vendor's users, none of whom is heard unless it is said."""

    def __init__(self, count: int, *, concurrency: int = 2) -> None:
        self.vendor, self.idle = Vendor(), Vendor()
        self.idle.messages = self.vendor.messages
        self.table = LiveTable()
        self.told: list[tuple[str, str]] = []
        self.reads = Rereads(
            self.table,
            self.tell,
            self.vendor.adopted.append,
            send=self.vendor.send,
            send_idle=self.idle.send,
            concurrency=concurrency,
            chance=lambda: 1.0,
        )
        self.ids = users(count)
        self.table.add(self.ids, Moment.now())
        self.tasks: list[asyncio.Task[None]] = []

    def tell(self, change: PresenceChange | None, _: Moment) -> None:
        """Remember what is new."""
        if change is not None:
            self.told.append((change.user_id, change.kind))

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a task until the end of the test."""
        self.tasks.append(asyncio.create_task(work))
        return self.tasks[-1]

    def gap(self, *user_ids: str) -> None:
        """A gap of these users ends."""
        now = Moment.now()
        for user_id in user_ids or self.ids:
            self.tell(self.table.gap(user_id, now.loop, now), now)
        self.reads.wake()

    async def __aenter__(self) -> Self:
        self.start(self.reads.run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """With 120 users."""
    async with Lab(120) as made:
        yield made


def sizes(vendor: Vendor) -> list[int]:
    """Users of each request."""
    return [len(ids) for ids in vendor.asked]


async def test_who_is_due(lab: Lab) -> None:
    """Fifty in a request, so many requests at a time; nothing more afterwards."""
    lab.gap()
    assert length_hint(lab.reads) == 3
    await asyncio.sleep(10)
    assert sizes(lab.vendor) == [50, 50, 20]
    assert lab.vendor.peak == 2
    assert lab.told == [(user_id, "first") for user_id in lab.ids]
    assert (lab.reads.requests, lab.reads.reads, lab.reads.sweeps) == (3, 120, 0)
    assert (lab.table.stale, lab.table.unread, lab.table.due) == (0, 0, {})
    (fan_out,) = lab.vendor.adopted
    assert fan_out.left() == 1  # it waits for somebody


async def test_a_gap_while_a_read_is_under_way() -> None:
    """It is read once more: what was asked for before says nothing about now."""
    async with Lab(1) as lab:
        lab.gap()
        await asyncio.sleep(LATENCY / 2)
        lab.gap()
        await asyncio.sleep(LATENCY)
        assert lab.table.stale == 1
        assert lab.told == [("u0", "first")]
        await asyncio.sleep(LATENCY)
        assert lab.table.stale == 0
        assert sizes(lab.vendor) == [1, 1]


async def test_reads_that_fail_are_repeated(lab: Lab) -> None:
    """Later each time, and not before the vendor said so; whoever is due else does not wait."""
    errors: list[PresenceError] = [ServerError("no"), RateLimitedError("slow", retry_after=30.0)]
    lab.vendor.fails = lambda ids: errors.pop() if errors else None
    lab.vendor.attempts = 2
    lab.gap("u0")
    await asyncio.sleep(10)
    assert (lab.table.stale, lab.reads.requests) == (1, 2)
    lab.gap("u1")
    await asyncio.sleep(10)
    assert isinstance(lab.table.get("u1", Moment.now()).error, ServerError)
    assert lab.reads.requests == 4
    await asyncio.sleep(20)
    assert sizes(lab.vendor) == [1, 1, 2]
    assert lab.table.stale == 0
    lab.vendor.fails = lambda ids: ServerError("no")
    lab.gap("u2")
    await asyncio.sleep(60)
    # After 0.5, 1, 2, 4, 8, 16 and 20 seconds.
    assert sizes(lab.vendor)[3:] == [1] * 8


async def test_a_user_who_is_refused(lab: Lab) -> None:
    """Is found, stays stale with the error, and is not asked for again by itself."""
    lab.vendor.fails = lambda ids: InvalidRequestError("no id", status=400) if "u3" in ids else None
    lab.gap()
    await asyncio.sleep(600)
    assert len(lab.vendor.asked) <= 3 + 12
    assert (lab.table.stale, lab.table.refused) == (1, 1)
    before = len(lab.vendor.asked)
    lab.gap()
    await asyncio.sleep(600)
    assert sizes(lab.vendor)[before:] == [50, 50, 19, 1]


async def test_a_token_that_is_refused() -> None:
    """Ends it where nothing was ever read; later only when that lasts."""
    async with Lab(1) as lab:
        lab.vendor.fails = lambda ids: AuthenticationError("who?")
        lab.gap()
        await asyncio.wait(lab.tasks)
        with pytest.raises(AuthenticationError, match="who"):
            lab.tasks[0].result()
    async with Lab(1) as lab:
        lab.gap()
        await asyncio.sleep(1)
        lab.vendor.fails = lambda ids: AuthenticationError("who?")
        lab.gap()
        await asyncio.sleep(30)
        lab.vendor.fails = lambda ids: None
        await asyncio.sleep(30)
        assert lab.table.stale == 0
        lab.vendor.fails = lambda ids: AuthenticationError("who?")
        lab.gap()
        await asyncio.sleep(55)
        assert not lab.tasks[0].done()
        await asyncio.sleep(60)
        assert isinstance(lab.tasks[0].exception(), AuthenticationError)


async def test_reads_that_are_not_allowed() -> None:
    """End it where nothing was ever read; later they may be allowed again."""
    async with Lab(1) as lab:
        lab.vendor.fails = lambda ids: PermissionDeniedError("no")
        lab.gap()
        await asyncio.wait(lab.tasks)
        assert isinstance(lab.tasks[0].exception(), PermissionDeniedError)
    async with Lab(1) as lab:
        lab.gap()
        await asyncio.sleep(1)
        lab.vendor.fails = lambda ids: PermissionDeniedError("no")
        lab.gap()
        await asyncio.sleep(1000)
        assert lab.table.stale == 1
        lab.vendor.fails = lambda ids: None
        await asyncio.sleep(21)
        assert lab.table.stale == 0


async def test_the_client_is_closed() -> None:
    """Then a read is no outcome."""
    async with Lab(1) as lab:
        lab.vendor.fails = lambda ids: ClosedError("over")
        lab.gap()
        await asyncio.wait(lab.tasks)
        assert isinstance(lab.tasks[0].exception(), ClosedError)


# -- polling


async def test_polling(lab: Lab) -> None:
    """At once, and then every so many seconds, in the lane for that."""
    lab.reads.polling.set()
    lab.table.due.update(dict.fromkeys(lab.ids))
    lab.start(lab.reads.poll(lambda: 10.0))
    await asyncio.sleep(35)
    assert lab.reads.sweeps == 4
    assert sizes(lab.idle) == [50, 50, 20] * 4
    assert lab.vendor.asked == []
    starts = [moment - lab.idle.times[0] for moment in lab.idle.times[::3]]
    assert starts == pytest.approx([0, 10, 20, 30])


async def test_polling_that_is_too_slow(lab: Lab) -> None:
    """One sweep follows the other, and they never overlap."""
    lab.idle.latency = 8.0
    lab.reads.polling.set()
    lab.start(lab.reads.poll(lambda: 10.0))
    await asyncio.sleep(50)
    assert [moment - lab.idle.times[0] for moment in lab.idle.times] == [
        pytest.approx(16 * sweep + start) for sweep in range(4) for start in (0, 0, 8)
    ][: len(lab.idle.times)]
    assert lab.idle.peak == 2


async def test_who_is_not_heard_is_polled() -> None:
    """While the others are; so a channel that does not come up is no reason to know nothing."""
    async with Lab(2) as lab:
        lab.start(lab.reads.poll(lambda: 10.0))
        await asyncio.sleep(1)
        lab.gap("u0")
        await asyncio.sleep(30)
        assert lab.vendor.asked == [["u0"], ["u1"], ["u1"], ["u1"]]
        assert lab.table.where(None, None, stale=True) == ["u1"]
        assert lab.reads.sweeps == 0
        lab.reads.polling.set()
        await asyncio.sleep(1)
        assert lab.vendor.asked[-1] == ["u1"]
        assert lab.reads.sweeps == 1


# -- reconciling


async def test_looking_at_everybody(lab: Lab) -> None:
    """One request after the other, so long after the last time; differences are counted."""
    lab.gap()
    lab.start(lab.reads.reconcile(100.0))
    await asyncio.sleep(99)
    lab.told.clear()
    lab.vendor.messages["u7"] = "lost"
    await asyncio.sleep(5)
    assert (sizes(lab.idle), lab.idle.peak) == ([50, 50, 20], 1)
    assert lab.told == [("u7", "changed")]
    assert (lab.reads.differences, lab.reads.sweeps, lab.reads.requests) == (1, 1, 6)
    lab.reads.explained("u7", "another date")
    assert lab.reads.differences == 1
    presence = lab.table.get("u7", at(0)).presence
    assert presence is not None
    lab.reads.explained("u7", presence.modified_date)
    lab.reads.explained("u7", presence.modified_date)
    assert lab.reads.differences == 0
    await asyncio.sleep(100)
    assert lab.reads.sweeps == 2
    lab.reads.polling.set()
    await asyncio.sleep(200)
    assert lab.reads.sweeps == 2
    assert lab.tasks[-1].done()


async def test_a_difference_of_somebody_stale(lab: Lab) -> None:
    """Is none: nobody said that it was right. Nor do failures matter."""
    lab.gap()
    await asyncio.sleep(5)
    for user_id in lab.ids:
        lab.table.lose(user_id, Moment.now())
    lab.vendor.messages |= {"u7": "new", "ghost": "x"}
    lab.idle.fails = lambda ids: ServerError("no") if "u60" in ids else None
    lab.start(lab.reads.reconcile(10.0))
    await asyncio.sleep(12)
    assert (lab.reads.differences, lab.reads.sweeps) == (0, 1)


async def test_somebody_who_vanished(lab: Lab) -> None:
    """Is a difference that no date belongs to."""
    lab.gap()
    await asyncio.sleep(5)
    rows = lab.idle._rows
    lab.idle._rows = lambda ids: (row for row in rows(ids) if row["userId"] != "u5")  # type: ignore[method-assign]
    lab.start(lab.reads.reconcile(10.0))
    await asyncio.sleep(15)
    assert lab.reads.differences == 1
    assert lab.table.get("u5", Moment.now()).status == "missing"


@pytest.mark.parametrize("seconds", [0.1, 0.6, 1.2])
async def test_cancelling_it(seconds: float) -> None:
    """At any moment, and nothing is left."""
    async with Lab(120) as lab:
        lab.gap()
        lab.start(lab.reads.poll(lambda: 0.5))
        lab.start(lab.reads.reconcile(0.5))
        await asyncio.sleep(seconds)
    assert lab.vendor.in_flight + lab.idle.in_flight == 0
