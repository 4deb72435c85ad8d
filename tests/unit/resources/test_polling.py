"""A poll as its users hold it: iterated, left, closed, looked at."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import clock
import pytest
from clock import check_no_leftovers, leftovers
from unit.resources.polled import LATENCY, Vendor, quiet, take, users

from presence_async.errors import (
    ClosedError,
    InvalidRequestError,
    PresenceConnectionError,
    ServerError,
)
from presence_async.resources.polling import PollStatistics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from presence_async.resources.polling import PresencePoll


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"ids": "one"}, "ids"),
        ({"ids": 7}, "ids"),
        ({"ids": ["a", ""]}, "ids[1]"),
        ({"ids": iter(["a", None])}, "ids[1]"),
        ({"ids": ["a", "\ud800"]}, "ids[1]"),
        ({"interval": 0}, "interval"),
        ({"interval": "5"}, "interval"),
        ({"interval": 10**9}, "interval"),
        ({"source": ""}, "source"),
        ({"source": ".."}, "source"),
        ({"concurrency": 0}, "concurrency"),
    ],
)
def test_bad_arguments_are_refused_at_once(options: dict[str, Any], field: str) -> None:
    """With the name of the argument, and nothing is left that could complain later."""
    with pytest.raises(InvalidRequestError) as refused:
        Vendor().poll(**({"ids": ["a"]} | options))
    assert refused.value.field == field


@pytest.mark.parametrize("bad", ["one", 7, ["v0", ""]])
async def test_bad_ids_are_not_added(bad: Any) -> None:
    """Not even the good ones among them."""
    poll = Vendor().poll(["a"])
    with pytest.raises(InvalidRequestError):
        poll.add(bad)
    assert poll.statistics.users == 1
    with pytest.raises(InvalidRequestError):
        poll.remove(bad)
    assert "a" in poll


async def test_ids_from_an_async_iterable_are_not_added() -> None:
    """`add` is no coroutine: collect them first."""

    async def ids() -> AsyncIterator[str]:
        yield "b"

    poll = Vendor().poll(["a"])
    for change in (poll.add, poll.remove):
        with pytest.raises(InvalidRequestError) as refused:
            change(ids())  # type: ignore[arg-type]
        assert refused.value.field == "ids"


async def test_statistics_at_any_time() -> None:
    """Before, during and after; every figure is of the moment."""
    vendor = Vendor()
    vendor.attempts = 2
    nothing = PollStatistics(
        users=120,
        unread=120,
        stale=0,
        sweeps=0,
        requests=0,
        reads=0,
        failures=0,
        changes=0,
        waiting=0,
        sweep_seconds=None,
        lag=0.0,
        stretched=0,
        oldest=None,
    )
    poll = vendor.poll(users(120), interval=60)
    assert poll.statistics == nothing
    async with poll:
        await asyncio.sleep(LATENCY / 2)
        assert poll.statistics == nothing
        vendor.fails = lambda ids: ServerError("down") if "u0" in ids else None
        await asyncio.sleep(LATENCY)
        figures = poll.statistics
        assert (figures.unread, figures.stale, figures.sweeps) == (50, 50, 1)
        assert (figures.requests, figures.reads, figures.failures) == (6, 70, 50)
        assert (figures.changes, figures.waiting) == (120, 120)
        assert figures.oldest == pytest.approx(LATENCY * 1.5)
        assert figures.sweep_seconds == pytest.approx(LATENCY)
        await take(poll, 119)
        assert (poll.statistics.waiting, poll.statistics.changes) == (1, 120)
        await take(poll, 1)
        vendor.fails = lambda ids: None
        await asyncio.sleep(60)
        figures = poll.statistics
        assert (figures.unread, figures.stale, figures.sweeps) == (0, 0, 2)
        assert (figures.changes, figures.waiting) == (170, 50)
    assert poll.statistics.sweeps == 2


async def test_what_is_known_of_whom() -> None:
    """One user, everybody, nobody, also between the first sweep and the second."""
    vendor = Vendor()
    poll = vendor.poll(["a", "ghost"], interval=60)
    assert poll["a"].status == "unknown"
    async with poll:
        await take(poll, 2)
        await asyncio.sleep(10)
        known = poll["a"]
        assert known.presence is not None
        assert (known.user_id, known.status, known.stale) == ("a", "present", False)
        assert known.age == pytest.approx(10 + LATENCY)
        snapshot = poll.snapshot()
        assert {user_id: known.status for user_id, known in snapshot.items()} == {
            "a": "present",
            "ghost": "missing",
        }
        poll.remove(["a"])
        assert "a" not in poll
        assert "ghost" in poll
        assert set(snapshot) == {"a", "ghost"}
        with pytest.raises(KeyError):
            _ = poll["a"]


async def test_leaving_the_loop_and_coming_back() -> None:
    """The next `async for` goes on where the last one stopped."""
    vendor = Vendor()
    seen = []
    async with vendor.poll(users(10), interval=60) as poll:
        async for change in poll:
            seen.append(change.user_id)
            if len(seen) == 3:
                break
        async for change in poll:
            seen.append(change.user_id)
            if len(seen) == 10:
                break
    assert seen == users(10)


async def test_a_timeout_around_a_step_loses_nothing() -> None:
    """Nor does it disturb the sweep."""
    vendor = Vendor()
    async with vendor.poll(users(3), interval=60) as poll:
        seen = []
        while len(seen) < 3:
            try:
                async with asyncio.timeout(LATENCY / 7):
                    seen.append((await anext(poll)).user_id)
            except TimeoutError:
                pass
        assert seen == users(3)
        assert (len(vendor.asked), vendor.cancelled) == (1, 0)


async def test_a_slow_reader_gets_the_newest() -> None:
    """Changes wait folded, one for each user, and the sweeps keep their time."""
    vendor = Vendor()
    async with vendor.poll(users(50), interval=10) as poll:
        await anext(poll)
        for number in range(20):
            vendor.messages["u0"] = f"number {number}"
            vendor.messages["u1"] = f"number {number}"
            await asyncio.sleep(10)
        figures = poll.statistics
        assert (figures.sweeps, figures.lag, figures.waiting) == (20, 0, 50)
        told = {change.user_id: change for change in await take(poll, 50)}
        assert told["u0"].after is not None
        assert (told["u0"].kind, told["u0"].after.message) == ("changed", "number 19")
        assert told["u0"].age == pytest.approx(190 + LATENCY)
        assert (told["u1"].kind, told["u1"].before) == ("first", None)


async def test_there_is_one_reader_at_a_time() -> None:
    """Two tasks would each get a part of the changes."""
    vendor = Vendor()
    async with vendor.poll(users(1), interval=60) as poll:
        first = asyncio.ensure_future(anext(poll))
        await asyncio.sleep(0)
        with pytest.raises(InvalidRequestError, match="another task iterates this"):
            await anext(poll)
        assert (await first).user_id == "u0"
        # One after the other is fine.
        vendor.messages["u0"] = "lunch"
        assert (await asyncio.create_task(take(poll, 1)))[0].kind == "changed"


@pytest.mark.parametrize("wait", [0.0, LATENCY / 2, LATENCY * 2])
async def test_closing_ends_it(wait: float) -> None:
    """In a sweep or between two; whoever iterates is told; it can be closed again."""
    vendor = Vendor()
    async with vendor.poll(users(500), interval=60) as poll:
        await asyncio.sleep(wait)
        reader = asyncio.create_task(take(poll, 10_000))
        await asyncio.sleep(0)
        await poll.aclose()
        with pytest.raises(ClosedError, match="the poll is closed"):
            await reader
        check_no_leftovers(asyncio.get_running_loop())
        await poll.aclose()
    with pytest.raises(ClosedError, match="the poll is closed"):
        await anext(poll)
    assert len(vendor.asked) <= 10
    assert vendor.in_flight == 0


async def test_closing_drops_what_waits() -> None:
    """Who closes a poll wants no more of it."""
    vendor = Vendor()
    async with vendor.poll(users(50), interval=60) as poll:
        await anext(poll)
    with pytest.raises(ClosedError):
        await anext(poll)


async def test_a_poll_that_was_closed_before_it_began() -> None:
    """It cannot be entered, and asks for nothing."""
    vendor = Vendor()
    poll = vendor.poll(users(5))
    await poll.aclose()
    with pytest.raises(ClosedError, match="the poll is closed"):
        await poll.__aenter__()
    with pytest.raises(ClosedError, match="the poll is closed"):
        await anext(poll)
    assert (vendor.asked, vendor.adopted) == ([], [])


async def test_without_a_block_it_ends_when_it_is_dropped() -> None:
    """A plain `async for` that is left early leaves nothing running."""
    vendor = Vendor()
    async for change in vendor.poll(users(500), interval=60):
        assert change.kind == "first"
        break
    gc.collect()
    for _ in range(20):
        await asyncio.sleep(0)
    assert leftovers() == []
    assert vendor.in_flight == 0


async def test_the_session_ends_it_with_its_reason() -> None:
    """The task and each sweep are adopted when they begin."""
    vendor = Vendor()
    async with vendor.poll(users(50), interval=60) as poll:
        await take(poll, 50)
        assert vendor.adopted[0] is poll._sweeps
        assert len(vendor.adopted) == 2
        await poll._sweeps.abort(ClosedError("the client is closed"))
        with pytest.raises(ClosedError, match="the client is closed"):
            await anext(poll)


@pytest.mark.parametrize("turns", range(0, 40, 2))
async def test_cancelling_the_reader_at_any_step(turns: int) -> None:
    """It ends with its block, and nothing of the poll is left."""
    vendor = Vendor()
    vendor.latency = 0.0

    async def run() -> None:
        async with vendor.poll(users(120), interval=1) as poll:
            async for _ in poll:
                await asyncio.sleep(0)

    reader = asyncio.create_task(run())
    for _ in range(turns):
        await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    check_no_leftovers(asyncio.get_running_loop())


async def test_eager_tasks_know_the_time_as_well() -> None:
    """With an eager task factory (Python 3.12) the first request goes out before anything."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(getattr(asyncio, "eager_task_factory", None))
    vendor = Vendor()
    async with vendor.poll(users(120), interval=60) as poll:
        await take(poll, 120)
        vendor.messages["u0"] = "lunch"
        change = await anext(poll)
        assert change.age == pytest.approx(60 + LATENCY, abs=1)
        assert poll.statistics.lag == 0


def test_it_belongs_to_one_loop() -> None:
    """On another one it says so instead of waiting for ever."""
    vendor = Vendor()
    poll = vendor.poll(users(1), interval=60)

    async def begin() -> PresencePoll:
        await anext(poll)
        return poll

    async def go_on() -> None:
        with pytest.raises(ClosedError, match="another event loop"):
            await anext(poll)

    clock.run(begin())
    clock.run(go_on())
    assert poll.statistics.reads == 1


async def test_memory_is_flat_over_an_hour() -> None:
    """Thirty sweeps of 2,000 users, six of which fail, leave what the first one left."""
    vendor, ids = Vendor(), users(2000)
    held: list[int] = []
    async with vendor.poll(ids, interval=120) as poll:
        reader = asyncio.create_task(drain(poll))
        await asyncio.sleep(60)
        for number in range(31):
            vendor.asked.clear()
            vendor.times.clear()
            vendor.adopted.clear()
            gc.collect()
            held.append(sys.getallocatedblocks())
            for user_id in ids[::100]:
                vendor.messages[user_id] = f"number {number}"
            down = PresenceConnectionError("down") if number % 5 == 1 else None
            vendor.fails = lambda _, down=down: down  # type: ignore[misc]
            await asyncio.sleep(120)
        assert (poll.statistics.sweeps, poll.statistics.stale) == (32, 0)
        assert poll.statistics.changes > 2000 * 13
        reader.cancel()
        await asyncio.wait({reader})
    # A user is some ten blocks.
    assert held[-1] - held[0] < 1000


def test_a_user_is_less_than_half_a_kilobyte() -> None:
    """All that is known of one; the id is the caller's own."""
    vendor, ids = Vendor(), [f"{number:036}" for number in range(2000)]
    held: list[int] = []

    async def sweep() -> None:
        async with vendor.poll(ids, interval=120) as poll:
            await take(poll, 2000)
            await asyncio.sleep(60)
            vendor.asked.clear()
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])

    clock.dry(sweep())  # what is made once is made
    tracemalloc.start()
    try:
        clock.dry(sweep())
    finally:
        tracemalloc.stop()
    assert held[-1] < 2000 * 512


async def drain(poll: PresencePoll) -> None:
    """Take every change and keep none."""
    async for _ in poll:
        pass


async def test_quiet_users_are_not_told_again() -> None:
    """Thirty sweeps of nothing new are thirty sweeps of silence."""
    vendor = Vendor()
    async with vendor.poll(users(50), interval=60) as poll:
        await take(poll, 50)
        await quiet(poll, 1800)
        assert (poll.statistics.sweeps, poll.statistics.changes) == (30, 50)
