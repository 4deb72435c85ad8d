"""The sweeps of a poll: on their grid, never two at a time, and outliving what fails."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from clock import leftovers
from hypothesis import given
from hypothesis import strategies as st
from unit.resources.polled import LATENCY, Vendor, quiet, take, users

from presence_async.errors import (
    AuthenticationError,
    ClosedError,
    InvalidRequestError,
    PermissionDeniedError,
    PresenceConnectionError,
    PresenceError,
    ServerError,
)
from presence_async.models import UcUserPresence
from presence_async.resources import _sweeping
from presence_async.resources._sweeping import News
from presence_async.resources.changes import PresenceChange
from presence_async.resources.updating import Moment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def now() -> float:
    """Time of the running loop."""
    return asyncio.get_running_loop().time()


def starts(vendor: Vendor, requests: int) -> list[float]:
    """When each sweep of so many requests began, counted from the first."""
    return [moment - vendor.times[0] for moment in vendor.times[::requests]]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said at WARNING."""
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


# -- when


async def test_sweeps_start_on_a_grid() -> None:
    """Sweep n starts at start + n * interval to the bit, whatever the sweeps take."""
    vendor = Vendor()
    async with vendor.poll(users(120), interval=0.7) as poll:
        await take(poll, 120)
        vendor.latency = 0.25
        await quiet(poll, 70)
        assert starts(vendor, 3)[:101] == pytest.approx([0.7 * n for n in range(101)], abs=1e-9)
        assert poll.statistics.sweeps == 101
        assert (poll.statistics.stretched, poll.statistics.lag) == (0, pytest.approx(0, abs=1e-9))
        assert poll.statistics.sweep_seconds == 0.25


async def test_a_sweep_that_takes_too_long_stretches() -> None:
    """The next one starts when it ends, and the one after it is on the grid again."""
    vendor = Vendor()
    async with vendor.poll(users(50), interval=10) as poll:
        await take(poll, 50)
        vendor.latency = 13.0
        await asyncio.sleep(20)
        vendor.latency = LATENCY
        await asyncio.sleep(30)
        assert starts(vendor, 1) == [0, 10, 23, 30, 40, 50]
        assert vendor.peak == 1
        assert poll.statistics.stretched == 1


async def test_the_lag_is_that_of_the_last_sweep() -> None:
    """How much too late it was started; nothing on the grid."""
    vendor = Vendor()
    vendor.latency = 25.0
    async with vendor.poll(users(50), interval=10) as poll:
        await asyncio.sleep(26)
        # Two points of the grid have passed; it is late for the second.
        assert (poll.statistics.lag, poll.statistics.stretched) == (5.0, 1)
        vendor.latency = 1.0
        await asyncio.sleep(30)
        assert poll.statistics.lag == 0
        assert starts(vendor, 1) == [0, 25, 50]


async def test_an_interval_that_cannot_be_met_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the words of the forecast, before anybody has waited for it."""
    vendor = Vendor()
    vendor.budget = 1
    async with vendor.poll(users(100), interval=30) as poll:
        await quiet(poll, 0)
        text = str(vendor.forecast(100, 30))
        assert warnings(caplog) == [
            f"sweeps take longer than their interval, and follow one another at once: {text}"
        ]
        assert "sweep every 123 s or more" in text
        await asyncio.sleep(200)
        assert len(warnings(caplog)) == 1
        poll.remove(users(99))
        await asyncio.sleep(200)
        assert len(warnings(caplog)) == 1


async def test_a_stretch_is_said_again_after_a_time_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once for each run of sweeps that are too long, though nobody could foresee it."""
    vendor = Vendor()
    async with vendor.poll(users(50), interval=10) as poll:
        for latency in (12.0, LATENCY, 12.0):
            vendor.latency = latency
            await asyncio.sleep(60)
        assert poll.statistics.stretched > 6
        assert len(warnings(caplog)) == 2


async def test_a_stretch_that_the_forecast_does_not_know_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Another poll of the same client, say: then there is something else to look for."""
    vendor = Vendor()
    usual = vendor.forecast(50, 10)
    vendor.forecast = lambda users, interval: usual  # type: ignore[method-assign]
    async with vendor.poll(users(50), interval=10):
        vendor.latency = 12.0
        await asyncio.sleep(60)
    (text,) = warnings(caplog)
    assert text.endswith(f"{usual}; something else uses the lane, or the vendor asks to pause")


async def test_a_source_without_bulk_is_read_user_by_user(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Found out once; the warning says that the forecast is not about such a source."""
    vendor = Vendor(bulk=False)
    ids = [*users(7), "ghost"]
    async with vendor.poll(ids, interval=2, source="Outlook") as poll:
        told = await take(poll, 8)
        assert {change.user_id: change.after is None for change in told} == {
            user_id: user_id == "ghost" for user_id in ids
        }
        await asyncio.sleep(20)
    assert sum(len(asked) > 1 for asked in vendor.asked) == 3  # the chunk and its halves
    assert vendor.peak == 4
    (text,) = warnings(caplog)
    assert text.endswith("; this source has no bulk read: a request for each user")


# -- what


async def test_only_what_differs_is_told() -> None:
    """First everybody, fifty to a request, then who has changed, and when."""
    vendor = Vendor()
    async with vendor.poll(users(120), interval=60) as poll:
        first = await take(poll, 120)
        assert {change.kind for change in first} == {"first"}
        assert sorted(change.user_id for change in first) == sorted(users(120))
        assert [len(asked) for asked in vendor.asked] == [50, 50, 20]
        await quiet(poll, 100)
        vendor.messages["u77"] = "lunch"
        change = await anext(poll)
        assert (change.user_id, change.kind, change.fields) == ("u77", "changed", ("message",))
        assert change.age == pytest.approx(60 + LATENCY, abs=1e-6)


async def test_users_that_fail_are_stale_and_the_others_are_not() -> None:
    """One change when it begins and one when it is over; the poll goes on."""
    vendor = Vendor()
    async with vendor.poll(users(100), interval=60) as poll:
        await take(poll, 100)
        vendor.fails = lambda ids: ServerError("down") if "u0" in ids else None
        told = await take(poll, 50)
        assert {change.kind for change in told} == {"stale"}
        assert {change.user_id for change in told} == set(users(50))
        await quiet(poll, 200)
        assert (poll.statistics.stale, poll.statistics.failures) == (50, 200)
        vendor.fails = lambda ids: None
        told = await take(poll, 50)
        assert {change.kind for change in told} == {"fresh"}
        assert poll.statistics.stale == 0


@pytest.mark.parametrize(
    "error", [PresenceConnectionError("refused"), ServerError("down"), InvalidRequestError("no")]
)
async def test_a_sweep_may_fail_as_a_whole(error: PresenceError) -> None:
    """Even the first one, and many; the sweeps stay on their grid."""
    vendor = Vendor()
    vendor.fails = lambda ids: error
    async with vendor.poll(users(4), interval=60) as poll:
        told = await take(poll, 4)
        assert {(change.kind, type(change.error)) for change in told} == {("first", type(error))}
        await quiet(poll, 600)
        vendor.fails = lambda ids: None
        told = await take(poll, 4)
        assert {change.kind for change in told} == {"fresh"}
        assert now() % 60 == pytest.approx((vendor.times[0] + LATENCY) % 60, abs=1e-6)


async def test_a_bad_id_is_read_alone_once_it_is_known() -> None:
    """Finding it takes twelve requests, and every later sweep one."""
    vendor = Vendor()
    vendor.fails = lambda ids: InvalidRequestError("bad id") if "u77" in ids else None
    async with vendor.poll(users(150), interval=60) as poll:
        told = await take(poll, 150)
        assert [change.user_id for change in told if change.error] == ["u77"]
        assert 3 < len(vendor.asked) <= 3 + 12
        vendor.asked.clear()
        await asyncio.sleep(60)
        assert sorted(len(ids) for ids in vendor.asked) == [1, 49, 50, 50]
        vendor.fails = lambda ids: None
        assert (await anext(poll)).kind == "fresh"
        vendor.asked.clear()
        await asyncio.sleep(60)
        assert [len(ids) for ids in vendor.asked] == [50, 50, 50]


async def test_a_bad_id_among_few_is_read_alone_as_well() -> None:
    """A small poll does not look for it in every sweep; nor does one with a dozen of them."""
    vendor = Vendor()
    bad = {"u1", "u5"}
    vendor.fails = lambda ids: InvalidRequestError("bad id") if bad & {*ids} else None
    async with vendor.poll(users(20), interval=60) as poll:
        await take(poll, 20)
        for _ in range(2):
            vendor.asked.clear()
            await asyncio.sleep(60)
            assert sorted(len(ids) for ids in vendor.asked) == [1, 1, 18]


async def test_when_everybody_is_refused_nobody_is_searched_for() -> None:
    """Were all chunks halved to the end, a sweep would be fifty sweeps."""
    vendor = Vendor()
    async with vendor.poll(users(1000), interval=60) as poll:
        await take(poll, 1000)
        vendor.fails = lambda ids: InvalidRequestError("no")
        for _ in range(3):
            vendor.asked.clear()
            await asyncio.sleep(60)
            assert len(vendor.asked) < 100
        assert poll.statistics.stale == 1000


@pytest.mark.parametrize("kind", [AuthenticationError, PermissionDeniedError])
async def test_a_refusal_at_the_beginning_ends_the_poll(kind: type[PresenceError]) -> None:
    """Wrong credentials are told at once and not an interval later, again and again."""
    vendor = Vendor()
    vendor.fails = lambda ids: kind("no")
    async with vendor.poll(users(50), interval=60) as poll:
        told = await take(poll, 50)
        assert {type(change.error) for change in told} == {kind}
        for _ in range(2):
            with pytest.raises(kind):
                await anext(poll)
        assert len(vendor.asked) == 1
        assert poll["u7"].error is not None
        assert poll["u7"].error.__traceback__ is None


async def test_a_refusal_later_on_ends_the_poll_when_it_lasts() -> None:
    """A hiccup makes everybody stale for one interval; the second sweep in vain is the end."""
    vendor = Vendor()
    async with vendor.poll(users(1000), interval=60) as poll:
        await take(poll, 1000)
        vendor.fails = lambda ids: AuthenticationError("no")
        asked = len(vendor.asked)
        told = await take(poll, 1000)
        assert {change.kind for change in told} == {"stale"}
        # Nobody asks twenty times: each time would cost a token.
        assert len(vendor.asked) - asked < 9
        vendor.fails = lambda ids: None
        told = await take(poll, 1000)
        assert {change.kind for change in told} == {"fresh"}
        vendor.fails = lambda ids: AuthenticationError("no")
        await take(poll, 1000)
        start = now()
        with pytest.raises(AuthenticationError):
            await anext(poll)
        assert now() - start == pytest.approx(60, abs=2)


async def test_a_refusal_in_the_middle_of_a_sweep() -> None:
    """Whoever was not read is stale; who was is not."""
    vendor = Vendor()
    async with vendor.poll(users(200), interval=60, concurrency=1) as poll:
        await take(poll, 200)
        vendor.fails = lambda ids: AuthenticationError("no") if "u50" in ids else None
        told = await take(poll, 150)
        assert {change.kind for change in told} == {"stale"}
        assert {change.user_id for change in told} == set(users(200)[50:])
        assert poll.statistics.failures == 150


async def test_some_whom_nobody_may_read_do_not_end_the_poll() -> None:
    """A 403 is about them, as long as others are read."""
    vendor = Vendor()
    async with vendor.poll(users(100), interval=60) as poll:
        vendor.fails = lambda ids: PermissionDeniedError("no") if "u0" in ids else None
        await take(poll, 100)
        await quiet(poll, 600)
        assert (poll.statistics.stale, poll.statistics.sweeps) == (50, 10)
        vendor.fails = lambda ids: PermissionDeniedError("no")
        told = await take(poll, 50)
        assert {change.kind for change in told} == {"stale"}
        with pytest.raises(PermissionDeniedError):
            await anext(poll)


async def test_a_closed_session_ends_the_poll() -> None:
    """What its requests fail with is no failure of users."""
    vendor = Vendor()
    async with vendor.poll(users(50), interval=60) as poll:
        await take(poll, 50)
        vendor.fails = lambda ids: ClosedError("the client is closed")
        with pytest.raises(ClosedError, match="the client is closed"):
            await anext(poll)
        assert poll.statistics.stale == 0


async def test_whatever_goes_wrong_inside_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug, or whatever else ends the task, is raised to who iterates."""

    def broken(*args: Any) -> Any:
        raise ZeroDivisionError

    vendor = Vendor()
    async with vendor.poll(users(50), interval=60) as poll:
        await take(poll, 50)
        monkeypatch.setattr(poll._sweeps.table, "apply", broken)
        with pytest.raises(ZeroDivisionError):
            await anext(poll)
    async with vendor.poll(users(50), interval=60) as poll:
        await take(poll, 50)
        (task,) = [task for task in leftovers() if task.get_name() == "presence_async poll"]
        task.cancel()
        with pytest.raises(ClosedError, match="the task of the poll was cancelled"):
            await anext(poll)


# -- whom


async def test_users_come_and_go() -> None:
    """Who is added is read with the next sweep; of who is removed nothing is told any more."""
    vendor = Vendor()
    async with vendor.poll(users(3), interval=60) as poll:
        await take(poll, 3)
        poll.add(["u1", "v1", "v1"])
        poll.remove(["u0", "nobody"])
        change = await anext(poll)
        assert (change.user_id, change.kind) == ("v1", "first")
        assert vendor.asked[1] == ["u1", "u2", "v1"]
        assert poll.statistics.users == 3


async def test_late_answers_of_who_was_removed_are_dropped() -> None:
    """Neither what is on its way nor what waits to be told is told."""
    vendor = Vendor()
    async with vendor.poll(users(100), interval=60) as poll:
        await asyncio.sleep(LATENCY / 2)
        poll.remove(users(40))
        await asyncio.sleep(LATENCY)
        poll.remove(users(60))
        told = await take(poll, 40)
        assert [change.user_id for change in told] == users(100)[60:]
        await quiet(poll, 600)


async def test_a_poll_may_begin_with_nobody() -> None:
    """Sweeps of nobody ask for nothing."""
    vendor = Vendor()
    async with vendor.poll([], interval=60) as poll:
        await quiet(poll, 150)
        assert vendor.asked == []
        poll.add(["u0"])
        assert (await anext(poll)).user_id == "u0"
        assert now() - 1000 == pytest.approx(180 + LATENCY, abs=1)


@pytest.mark.parametrize("many", [users, lambda n: iter(users(n)), lambda n: set(users(n) * 2)])
async def test_ids_from_anywhere(many: Any) -> None:
    """Lists, generators, sets: each distinct id once."""
    vendor = Vendor()
    async with vendor.poll(many(70), interval=60) as poll:
        told = await take(poll, 70)
        assert {change.user_id for change in told} == set(users(70))


async def agen(ids: Any, closed: list[str]) -> AsyncIterator[Any]:
    """The ids, ten seconds each."""
    try:
        for user_id in ids:
            await asyncio.sleep(10)
            if isinstance(user_id, Exception):
                raise user_id
            yield user_id
    finally:
        closed.append("closed")


class Source:
    """An async iterable that is no generator."""

    def __init__(self, ids: list[str]) -> None:
        self._ids = iter(ids)

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> str:
        for user_id in self._ids:
            return user_id
        raise StopAsyncIteration


async def test_ids_from_an_async_iterable() -> None:
    """Read to its end first; the grid begins with the first sweep."""
    vendor, closed = Vendor(), list[str]()
    async with vendor.poll(agen(["a", "b", "a"], closed), interval=60) as poll:
        told = await take(poll, 2)
        assert [change.user_id for change in told] == ["a", "b"]
        assert closed == ["closed"]
        await asyncio.sleep(60)
        assert starts(vendor, 1) == [0, 60]
    async with vendor.poll(Source(["c"]), interval=60) as poll:
        assert (await anext(poll)).user_id == "c"


async def test_an_async_iterable_that_never_waits() -> None:
    """Others get their turn while it is read."""

    async def ready() -> AsyncIterator[str]:
        for user_id in users(2000):
            yield user_id

    async with Vendor().poll(ready(), interval=60) as poll:
        counts = set()
        while poll.statistics.users < 2000:
            counts.add(poll.statistics.users)
            await asyncio.sleep(0)
        assert counts == {0, 500, 1000, 1500}


@pytest.mark.parametrize(("bad", "error"), [(7, InvalidRequestError), (KeyError("x"), KeyError)])
async def test_an_async_iterable_that_fails(bad: Any, error: type[Exception]) -> None:
    """Whoever iterates hears it, before anything is sent."""
    vendor, closed = Vendor(), list[str]()
    async with vendor.poll(agen(["a", bad, "b"], closed), interval=60) as poll:
        with pytest.raises(error) as failed:
            await anext(poll)
    assert getattr(failed.value, "field", "ids[1]") == "ids[1]"
    assert (vendor.asked, closed) == ([], ["closed"])


async def test_an_async_iterable_is_closed_with_the_poll() -> None:
    """Nothing of it is left, also when it never ends."""
    vendor, closed = Vendor(), list[str]()
    async with vendor.poll(agen(users(1000), closed), interval=60) as poll:
        await quiet(poll, 100)
    assert closed == ["closed"]


async def test_an_async_iterable_that_will_not_be_cancelled() -> None:
    """It ends with the poll all the same, when its next id comes."""

    async def stubborn() -> AsyncIterator[str]:
        while True:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                await asyncio.sleep(1)
            yield "a"

    vendor = Vendor()
    async with vendor.poll(stubborn(), interval=60) as poll:
        await quiet(poll, 5)
    assert vendor.asked == []


async def test_there_is_a_most_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that never end are refused; who is added too much changes nothing."""
    assert _sweeping.MOST_USERS == 1_000_000
    monkeypatch.setattr(_sweeping, "MOST_USERS", 5)
    vendor = Vendor()
    poll = vendor.poll(users(4))
    poll.add(["u0", "v0"])
    poll.add(users(4))
    with pytest.raises(InvalidRequestError, match="at most 5 users") as refused:
        poll.add(["v1"])
    assert refused.value.field == "ids"
    poll.remove(["u0"])
    with pytest.raises(InvalidRequestError):
        poll.add(f"w{number}" for number in range(10**9))
    assert poll.statistics.users == 4
    with pytest.raises(InvalidRequestError):
        vendor.poll(users(6))
    async with vendor.poll(agen(users(9), []), interval=60) as endless:
        with pytest.raises(InvalidRequestError, match="at most 5 users"):
            await anext(endless)


# -- context


async def test_the_task_keeps_no_context_of_its_caller() -> None:
    """What is read for hours holds no request's variables."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []
    vendor = Vendor()

    def look(ids: list[str]) -> None:
        seen.append(variable.get())

    vendor.fails = look
    variable.set("mine")
    async with vendor.poll(users(3), interval=60) as poll:
        await take(poll, 3)
    assert seen == ["none"]


# -- changes on their way


def news_of(user_id: str, message: str, before: str | None = None) -> PresenceChange:
    """A change from one message to another."""
    shows = [UcUserPresence(message=text) for text in (before or "", message)]
    return PresenceChange(
        user_id=user_id,
        kind="first" if before is None else "changed",
        before=None if before is None else shows[0],
        after=shows[1],
        seen_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.booleans())))
def test_changes_wait_in_order_and_one_for_each_user(
    events: list[tuple[str, str, bool]],
) -> None:
    """Whoever takes them has, of each user, the newest, and is told nothing twice."""

    async def run() -> None:
        news = News()
        told: dict[str, Any] = {}
        shown: dict[str, str] = {}
        for user_id, message, takes in events:
            before = shown.get(user_id)
            if before != message:
                shown[user_id] = message
                news.put(news_of(user_id, message, before), Moment(0, 0))
            assert len(news) <= 3
            if takes and len(news):
                change = await news.take()
                assert told.get(change.user_id) == getattr(change.before, "message", None)
                told[change.user_id] = change.after and change.after.message
        while len(news):
            change = await news.take()
            told[change.user_id] = change.after and change.after.message
        assert told == shown

    asyncio.run(run())


async def test_news_of_a_user_keep_their_place() -> None:
    """Who has waited longest comes first, with what is known now."""
    news, moment = News(), Moment(0, 0)
    for user_id in "ab":
        news.put(news_of(user_id, "x"), moment)
    news.put(news_of("a", "y", "x"), moment)
    change = await news.take()
    assert change.after is not None
    assert (change.user_id, change.kind, change.after.message) == ("a", "first", "y")
    news.drop("b")
    news.drop("nobody")
    news.end(ClosedError("over"))
    news.end(ClosedError("not that"))
    with pytest.raises(ClosedError, match="over"):
        await news.take()


async def test_what_waits_is_told_before_the_end() -> None:
    """Unless the end is at once."""
    news = News()
    news.put(news_of("a", "x"), Moment(0, 0))
    news.put(news_of("b", "x"), Moment(0, 0))
    news.end(ClosedError("over"))
    assert (await news.take()).user_id == "a"
    news.end(ClosedError("over"), at_once=True)
    with pytest.raises(ClosedError, match="over"):
        await news.take()


async def test_news_have_one_reader() -> None:
    """A second one is told so, and the first goes on waiting."""
    news = News()
    first = asyncio.create_task(news.take())
    await asyncio.sleep(0)
    with pytest.raises(InvalidRequestError, match="one reader"):
        await news.take()
    news.put(news_of("a", "x"), Moment(0, 0))
    assert (await first).user_id == "a"


async def test_a_cancelled_reader_loses_nothing() -> None:
    """Also when the change comes in the same turn."""
    news = News()
    reader = asyncio.create_task(news.take())
    await asyncio.sleep(0)
    news.put(news_of("a", "x"), Moment(0, 0))
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert (await news.take()).user_id == "a"
