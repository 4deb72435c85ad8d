"""Single gets merged into bulk reads: each ends once, with the outcome of its own."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import sys
import weakref
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlsplit

import clock
import pytest
from clock import check_no_leftovers, leftovers
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from presence_async.errors import (
    ClosedError,
    InvalidRequestError,
    NotFoundError,
    ServerError,
)
from presence_async.resources.coalescing import CoalescedReads
from presence_async.wire import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from presence_async.models import UcUserPresence

LATENCY = 0.1


class Vendor:
    """Answers after a while; knows everybody but ghosts, and refuses what is bad."""

    def __init__(self, *, bulk: bool = True) -> None:
        self.bulk = bulk
        self.latency = LATENCY
        self.takes_to_end = 0.0  # for a request that was cancelled
        self.failure: Exception | None = None
        self.asked: list[list[str]] = []
        self.times: list[float] = []
        self.in_flight = 0
        self.peak = 0
        self.cancelled = 0
        self.adopted: list[CoalescedReads] = []

    def reads(self, **options: Any) -> CoalescedReads:
        """A loader on this vendor."""
        return CoalescedReads(self.send, self.adopted.append, **options)

    async def send(self, request: Request) -> Response:
        """One request in, one 2xx response out."""
        parts = urlsplit(request.target)
        is_bulk = parts.path.endswith("/bulk")
        ids = [v for _, v in parse_qsl(parts.query)] if is_bulk else [parts.path.split("/")[4]]
        self.asked.append(ids)
        self.times.append(asyncio.get_running_loop().time())
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await asyncio.sleep(self.latency)
        except asyncio.CancelledError:
            await asyncio.sleep(self.takes_to_end)
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1
        if self.failure is not None:
            raise self.failure
        rows = self._rows(ids, bulk=is_bulk)
        return Response(200, {}, json.dumps(rows if is_bulk else rows[0]).encode())

    def _rows(self, ids: list[str], *, bulk: bool) -> list[Any]:
        if bulk and not self.bulk:
            raise NotFoundError("no such path", status=404)
        if any(user_id.startswith("bad") for user_id in ids):
            raise InvalidRequestError("bad id", status=400)
        rows = [{"userId": user_id} for user_id in ids if not user_id.startswith("ghost")]
        if not rows and not bulk:
            raise NotFoundError("nobody", status=404)
        return rows

    @property
    def sizes(self) -> list[int]:
        """Users of each request."""
        return [len(ids) for ids in self.asked]


def users(count: int) -> list[str]:
    """That many ids."""
    return [f"u{number}" for number in range(count)]


async def together(reads: CoalescedReads, ids: Iterable[str]) -> list[Any]:
    """Get all of them at once: presences, or what was raised."""
    return await asyncio.gather(*(reads.get(user_id) for user_id in ids), return_exceptions=True)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, [1]), (2, [2]), (49, [49]), (50, [50]), (51, [50, 1]), (120, [50, 50, 20])],
)
async def test_gets_at_the_same_time_share_requests(count: int, sizes: list[int]) -> None:
    """Fifty to a request, in order of arrival, and each caller has its own user's presence."""
    vendor = Vendor()
    ids = users(count)
    async with vendor.reads() as reads:
        found = await together(reads, ids)
    assert [presence.user_id for presence in found] == ids
    assert vendor.sizes == sizes
    assert [user_id for asked in vendor.asked for user_id in asked] == ids


async def test_ten_thousand_gets_in_two_hundred_requests() -> None:
    """And with no more tasks than requests may be in flight."""
    vendor = Vendor()
    tasks = 0
    ids = users(10_000)
    async with vendor.reads(concurrency=7) as reads:
        gets = [asyncio.create_task(reads.get(user_id)) for user_id in ids]
        for _ in range(20):
            tasks = max(tasks, len(leftovers()) - len(ids))
            await asyncio.sleep(LATENCY)
        assert [presence.user_id for presence in await asyncio.gather(*gets)] == ids
    assert vendor.sizes == [50] * 200
    assert vendor.peak == 7
    assert 0 < tasks <= 7


async def test_a_get_waits_a_few_milliseconds_for_company() -> None:
    """Whoever comes within that is in the same request; it goes in time."""
    vendor = Vendor()
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with vendor.reads() as reads:
        gets = []
        for user_id in users(4):
            gets.append(asyncio.create_task(reads.get(user_id)))
            await asyncio.sleep(0.002)
        await asyncio.gather(*gets)
    assert vendor.asked == [["u0", "u1", "u2"], ["u3"]]
    assert [round(when - start, 4) for when in vendor.times] == [0.005, 0.011]


async def test_a_full_request_waits_for_nobody() -> None:
    """Nor does one get when it shall not linger, but for those of the same turn."""
    vendor = Vendor()
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with vendor.reads(linger=30) as reads:
        await together(reads, users(100))
    assert loop.time() == pytest.approx(start + LATENCY)
    async with vendor.reads(linger=0) as reads:
        await together(reads, users(3))
    assert loop.time() == pytest.approx(start + 2 * LATENCY)
    assert vendor.sizes == [50, 50, 3]


async def test_who_waits_for_a_free_request_goes_with_all_who_came_meanwhile() -> None:
    """While the requests allowed are in flight, the next ones fill up."""
    vendor = Vendor()
    async with vendor.reads(concurrency=1) as reads:
        gets = []
        for user_id in users(60):
            gets.append(asyncio.create_task(reads.get(user_id)))
            await asyncio.sleep(0.006)
        await asyncio.gather(*gets)
    assert vendor.peak == 1
    assert vendor.sizes[0] == 1
    assert max(vendor.sizes[1:]) > 15
    assert sum(vendor.sizes) == 60


async def test_the_same_user_is_read_once() -> None:
    """Asked for together, or while the answer is on its way; and again after that."""
    vendor = Vendor()
    async with vendor.reads() as reads:
        first = asyncio.gather(*(reads.get("a") for _ in range(500)))
        await asyncio.sleep(LATENCY / 2)
        assert (await reads.get("a")).user_id == "a"
        assert {presence.user_id for presence in await first} == {"a"}
        assert vendor.asked == [["a"]]
        await reads.get("a")
        assert vendor.asked == [["a"], ["a"]]


async def test_everybody_gets_an_outcome_of_its_own() -> None:
    """Present, missing, refused by the vendor: one does not disturb the other."""
    vendor = Vendor()
    async with vendor.reads() as reads:
        await reads.get("known")
        a, ghost, bad, b = await together(reads, ["a", "ghost", "bad", "b"])
    assert (a.user_id, b.user_id) == ("a", "b")
    assert isinstance(ghost, NotFoundError)
    assert isinstance(bad, InvalidRequestError)
    assert bad.status == 400


async def test_one_bad_id_costs_at_most_twelve_requests() -> None:
    """A request refused for it is split, and nobody else hears of it."""
    vendor = Vendor()
    async with vendor.reads() as reads:
        found = await together(reads, [*users(49), "bad"])
    assert [type(result).__name__ for result in found].count("UcUserPresence") == 49
    assert len(vendor.asked) <= 1 + 12


async def test_each_caller_has_an_error_of_its_own() -> None:
    """A shared one would grow a traceback of everybody who raised it."""
    vendor = Vendor()
    vendor.failure = ServerError("down", status=503, correlation_id="c-1")
    async with vendor.reads() as reads:
        errors = await together(reads, ["a", "b", "a"])
    assert len({id(error) for error in errors}) == 3
    assert {(type(e), e.message, e.status, e.correlation_id) for e in errors} == {
        (ServerError, "down", 503, "c-1")
    }


async def test_an_error_of_ours_reaches_the_callers() -> None:
    """Nobody waits for ever for a request that broke in here."""
    vendor = Vendor()
    vendor.failure = ZeroDivisionError("a bug")
    async with vendor.reads() as reads:
        errors = await together(reads, ["a", "b"])
        assert [type(error) for error in errors] == [ZeroDivisionError] * 2
        vendor.failure = None
        assert (await reads.get("a")).user_id == "a"


@pytest.mark.parametrize("bad", ["", None, 5, b"u", ["u"], "\ud800"])
async def test_a_bad_id_fails_its_caller_before_any_request(bad: Any) -> None:
    """By the name of the argument; the others of the same moment are read."""
    vendor = Vendor()
    async with vendor.reads() as reads:
        error, good = await together(reads, [bad, "ü☃"])
    assert isinstance(error, InvalidRequestError)
    assert error.field == "user_id"
    assert good.user_id == "ü☃"
    assert vendor.asked == [["ü☃"]]


@pytest.mark.parametrize("wait", [0.001, 0.05])
async def test_a_cancelled_caller_harms_nobody(wait: float) -> None:
    """Before the request is sent or after it."""
    vendor = Vendor()
    async with vendor.reads() as reads:
        gets = [asyncio.create_task(reads.get(user_id)) for user_id in ("a", "b", "b", "c")]
        await asyncio.sleep(wait)
        gets[0].cancel()
        gets[1].cancel()
        results: list[Any] = await asyncio.gather(*gets, return_exceptions=True)
    assert [type(result).__name__ for result in results[:2]] == ["CancelledError"] * 2
    assert [result.user_id for result in results[2:]] == ["b", "c"]
    assert vendor.asked == [["b", "c"] if wait < 0.005 else ["a", "b", "c"]]
    assert vendor.cancelled == 0


async def test_a_request_that_nobody_waits_for_is_not_sent() -> None:
    """Its timer goes with the last caller."""
    vendor = Vendor()
    loop = asyncio.get_running_loop()
    async with vendor.reads() as reads:
        gets = [asyncio.create_task(reads.get(user_id)) for user_id in ("a", "b")]
        await asyncio.sleep(0.001)
        for get in gets:
            get.cancel()
        await asyncio.gather(*gets, return_exceptions=True)
        check_no_leftovers(loop)
        await asyncio.sleep(1)
        assert vendor.asked == []
        assert (await reads.get("a")).user_id == "a"


async def test_a_request_that_nobody_waits_for_any_more_is_cancelled() -> None:
    """Not before the last caller is gone; who asks after that gets a request anew."""
    vendor = Vendor()
    async with vendor.reads() as reads:
        gets = [asyncio.create_task(reads.get(user_id)) for user_id in ("a", "b")]
        await asyncio.sleep(0.05)
        gets[0].cancel()
        await asyncio.sleep(0.01)
        assert (vendor.in_flight, vendor.cancelled) == (1, 0)
        gets[1].cancel()
        again = asyncio.create_task(reads.get("b"))
        await asyncio.sleep(0)
        assert vendor.in_flight == 1
        await asyncio.sleep(0.001)
        assert (vendor.in_flight, vendor.cancelled) == (0, 1)
        assert (await again).user_id == "b"
    assert vendor.asked == [["a", "b"], ["b"]]


async def test_a_cancelled_request_does_not_end_the_next_read_of_its_user() -> None:
    """That one may be in flight already when the cancelled one comes to its end."""
    vendor = Vendor()
    vendor.takes_to_end = 0.01
    async with vendor.reads() as reads:
        first = asyncio.create_task(reads.get("u0"))
        await asyncio.sleep(0.05)
        first.cancel()
        second = asyncio.create_task(together(reads, users(50)))
        await asyncio.sleep(0.05)
        assert vendor.cancelled == 1
        assert (await reads.get("u0")).user_id == "u0"
        assert len(await second) == 50
    assert vendor.sizes == [1, 50]


async def test_a_freed_place_is_used() -> None:
    """A cancelled request makes room for the next."""
    vendor = Vendor()
    vendor.latency = 50
    async with vendor.reads(concurrency=1) as reads:
        first = asyncio.create_task(reads.get("a"))
        await asyncio.sleep(1)
        second = asyncio.create_task(reads.get("b"))
        await asyncio.sleep(1)
        assert vendor.asked == [["a"]]
        first.cancel()
        await asyncio.sleep(0.001)
        assert vendor.asked == [["a"], ["b"]]
        assert (await second).user_id == "b"


async def test_a_caller_may_bound_its_own_wait() -> None:
    """`asyncio.timeout` around a get ends that get only."""
    vendor = Vendor()
    async with vendor.reads() as reads:
        other = asyncio.create_task(reads.get("b"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reads.get("a")
        assert (await other).user_id == "b"


@pytest.mark.parametrize("turns", range(6))
async def test_cancelled_at_the_very_moment_of_the_answer(turns: int) -> None:
    """The cancellation is the caller's, and nothing is left of the get."""
    vendor = Vendor()
    async with vendor.reads() as reads:
        get = asyncio.create_task(reads.get("a"))
        await asyncio.sleep(0.005 + LATENCY)
        for _ in range(turns):
            await asyncio.sleep(0)
        stopped = get.cancel()
        result = (await asyncio.gather(get, return_exceptions=True))[0]
        assert isinstance(result, asyncio.CancelledError) is stopped
        await asyncio.sleep(0)
        assert (reads._waiting, reads._reading) == ({}, {})


@pytest.mark.parametrize("wait", [0.001, 0.05])
async def test_closing_ends_every_get(wait: float) -> None:
    """Whether its request was sent or not; the loader can be closed again."""
    vendor = Vendor()
    vendor.takes_to_end = 0.01
    loop = asyncio.get_running_loop()
    async with vendor.reads() as reads:
        gets = [asyncio.create_task(reads.get(user_id)) for user_id in users(60)]
        await asyncio.sleep(wait)
        await reads.aclose()
        errors = await asyncio.gather(*gets, return_exceptions=True)
        assert {(type(error), str(error)) for error in errors} == {
            (ClosedError, "the loader is closed")
        }
        check_no_leftovers(loop)
        await reads.aclose()
    with pytest.raises(ClosedError, match="the loader is closed"):
        await reads.get("a")
    with pytest.raises(ClosedError, match="the loader is closed"):
        await reads.__aenter__()
    assert vendor.cancelled == (2 if wait > 0.005 else 1)


async def test_closing_with_requests_still_to_come() -> None:
    """What could not be sent yet is never sent."""
    vendor = Vendor()
    async with vendor.reads(concurrency=2) as reads:
        gets = asyncio.gather(*(reads.get(u) for u in users(500)), return_exceptions=True)
        await asyncio.sleep(0.05)
    assert {type(error) for error in await gets} == {ClosedError}
    assert (len(vendor.asked), vendor.cancelled) == (2, 2)


async def test_cancelled_and_closed_in_the_same_turn() -> None:
    """A get that waits unsent hears of its cancellation, and the books stay right."""
    vendor = Vendor()
    async with vendor.reads() as reads:
        get = asyncio.create_task(reads.get("a"))
        await asyncio.sleep(0)
        get.cancel()
        await reads.aclose()
        with pytest.raises(asyncio.CancelledError):
            await get
    assert (reads._waiting, reads._reading) == ({}, {})


async def test_the_session_ends_a_loader_with_its_reason() -> None:
    """A loader is adopted when it is entered."""
    vendor = Vendor()
    async with vendor.reads() as reads:
        assert vendor.adopted == [reads]
        get = asyncio.create_task(reads.get("a"))
        await asyncio.sleep(0.05)
        await reads.abort(ClosedError("the client is closed"))
        with pytest.raises(ClosedError, match="the client is closed"):
            await get
        with pytest.raises(ClosedError, match="the client is closed"):
            await reads.get("b")


async def test_a_loader_is_entered_once() -> None:
    """And used inside only."""
    vendor = Vendor()
    reads = vendor.reads()
    with pytest.raises(ClosedError, match="not entered"):
        await reads.get("a")
    async with reads:
        with pytest.raises(ClosedError, match="entered once"):
            await reads.__aenter__()
    await vendor.reads().aclose()


async def test_a_client_that_is_closed_lends_no_loader() -> None:
    """Entering fails where adopting does."""

    def refuse(loader: CoalescedReads) -> None:
        raise ClosedError("the client is closed")

    with pytest.raises(ClosedError, match="the client is closed"):
        async with CoalescedReads(Vendor().send, refuse):
            pass


def test_another_loop() -> None:
    """A loader belongs to the loop that entered it."""
    reads = Vendor().reads()

    async def enter() -> None:
        await reads.__aenter__()

    async def use() -> None:
        with pytest.raises(ClosedError, match="another event loop"):
            await reads.get("a")

    clock.run(enter())
    clock.run(use())


async def test_a_request_cancelled_from_outside_is_told() -> None:
    """Whoever cancels every task of the loop leaves no caller waiting."""
    vendor = Vendor()
    async with vendor.reads() as reads:
        get = asyncio.create_task(reads.get("a"))
        await asyncio.sleep(0.05)
        for task in leftovers():
            if task is not get:
                task.cancel()
        with pytest.raises(ClosedError, match="the request was cancelled"):
            await get
        assert (await reads.get("a")).user_id == "a"


async def test_requests_keep_nobodys_context() -> None:
    """Neither of the one who came first, nor of the one who closed a gap."""
    variable = contextvars.ContextVar("variable", default="nobody")
    seen = []

    class Watching(Vendor):
        async def send(self, request: Request) -> Response:
            seen.append(variable.get())
            return await super().send(request)

    vendor = Watching()
    variable.set("somebody")
    async with vendor.reads(concurrency=1) as reads:
        await together(reads, users(120))
    assert seen == ["nobody"] * 3


class Burden:
    """Something big in a context variable."""


@pytest.mark.parametrize("count", [1, 50])
async def test_whoever_came_first_is_not_remembered(count: int) -> None:
    """What was in the context of a caller who is gone is free, timer and request or not."""
    variable = contextvars.ContextVar[Burden]("variable")
    burdens: list[weakref.ref[Burden]] = []

    async def burdened(user_ids: list[str]) -> None:
        burden = Burden()
        burdens.append(weakref.ref(burden))
        variable.set(burden)
        await together(reads, user_ids)

    async with Vendor().reads() as reads:
        first = asyncio.create_task(burdened(users(count)))
        await asyncio.sleep(0.001)
        second = asyncio.create_task(reads.get("u0"))
        await asyncio.sleep(0.001)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        del first
        await asyncio.sleep(0)
        gc.collect()
        assert burdens[0]() is None
        await second


async def test_requests_that_end_before_they_are_awaited() -> None:
    """Eager tasks (Python 3.12) run at once; a crowd of requests that fail at once is no depth."""
    vendor = Vendor()
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        loop.set_task_factory(asyncio.eager_task_factory)

    async def refuse(request: Request) -> Response:
        raise ServerError("at once")

    async with vendor.reads(concurrency=2) as reads:
        found = await together(reads, users(220))
        assert [presence.user_id for presence in found] == users(220)
    async with CoalescedReads(refuse, lambda _: None) as reads:
        errors = await together(reads, users(5_000))
        assert {type(error) for error in errors} == {ServerError}
    loop.set_task_factory(None)
    assert sorted(vendor.sizes) == [20, 50, 50, 50, 50]


async def test_a_source_without_bulk_is_read_singly() -> None:
    """Once that is known, users are read side by side and nobody waits for another."""
    vendor = Vendor(bulk=False)
    loop = asyncio.get_running_loop()
    async with vendor.reads(source="Outlook", concurrency=4) as reads:
        await together(reads, ["a", "b"])
        vendor.asked.clear()
        start = loop.time()
        found = await together(reads, [*users(8), "ghost"])
        assert [getattr(result, "user_id", None) for result in found] == [*users(8), None]
        assert isinstance(found[-1], NotFoundError)
        assert vendor.sizes == [1] * 9
        assert loop.time() == pytest.approx(start + 3 * LATENCY)
        assert vendor.peak == 4


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"linger": -1}, "linger"),
        ({"linger": "soon"}, "linger"),
        ({"concurrency": 0}, "concurrency"),
        ({"source": ""}, "source"),
        ({"source": ".."}, "source"),
    ],
)
def test_options_are_checked(options: dict[str, Any], field: str) -> None:
    """Before the loader exists."""
    with pytest.raises(InvalidRequestError) as caught:
        Vendor().reads(**options)
    assert caught.value.field == field


class _Get:
    """A get of the machine below, and what may become of it."""

    def __init__(self, user_id: str, task: asyncio.Task[UcUserPresence]) -> None:
        self.user_id = user_id
        self.task = task
        self.is_cancelled = False
        self.may_fail = False
        self.may_be_closed = False


class LoaderMachine(RuleBasedStateMachine):
    """Gets that come, are cancelled, fail and are closed in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=clock.DryLoop)
        self.vendor = Vendor()
        self.gets: list[_Get] = []
        self.concurrency = 1
        self.open = True

    def do(self, action: Callable[[], Any]) -> None:
        """Run an action, and one turn of the loop."""

        async def main() -> None:
            result = action()
            if result is not None:
                await result
            await asyncio.sleep(0)

        self.runner.run(main())

    @initialize(concurrency=st.integers(1, 3))
    def enter(self, concurrency: int) -> None:
        """Open the loader; the source is known to have a bulk read."""
        self.concurrency = concurrency
        self.reads = self.vendor.reads(concurrency=concurrency)
        self.do(self.reads.__aenter__)
        self.do(lambda: self.reads.get("known"))

    @rule(
        numbers=st.lists(st.integers(0, 70), min_size=1, max_size=60),
        kind=st.sampled_from(["u", "u", "u", "ghost", "bad"]),
    )
    def arrive(self, numbers: list[int], kind: str) -> None:
        """Some users are asked for at once; of the bad ones few."""

        def ask() -> None:
            for number in numbers if kind != "bad" else numbers[:2]:
                user_id = f"{kind}{number}"
                task = asyncio.get_running_loop().create_task(self.reads.get(user_id))
                get = _Get(user_id, task)
                get.may_fail = self.vendor.failure is not None
                get.may_be_closed = not self.open
                self.gets.append(get)

        self.do(ask)

    @precondition(lambda self: self.gets)
    @rule(data=st.data(), share=st.sampled_from([0.1, 0.5, 1.0]))
    def cancel(self, data: st.DataObject, share: float) -> None:
        """Some callers, or all, lose interest."""
        count = max(1, int(len(self.gets) * share))
        start = data.draw(st.integers(0, len(self.gets) - count))

        def stop() -> None:
            for get in self.gets[start : start + count]:
                get.is_cancelled = get.task.cancel() or get.is_cancelled

        self.do(stop)

    @rule(seconds=st.sampled_from([0.001, 0.004, 0.005, 0.05, 0.1, 1.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.do(lambda: asyncio.sleep(seconds))

    @rule(failing=st.booleans())
    def weather(self, failing: bool) -> None:  # a case
        """The vendor goes down, or comes back."""
        self.vendor.failure = ServerError("down") if failing else None
        for get in self.gets:
            get.may_fail = get.may_fail or failing

    @precondition(lambda self: self.open)
    @rule(by_session=st.booleans())
    def close(self, by_session: bool) -> None:  # a case
        """By its owner or by the session."""
        self.open = False
        for get in self.gets:
            get.may_be_closed = True
        self.do(
            lambda: self.reads.abort(ClosedError("over")) if by_session else self.reads.aclose()
        )
        self.do(lambda: None)
        assert all(get.task.done() for get in self.gets)
        self.do(self.nothing_left)

    def nothing_left(self) -> None:
        """No task but callers, no timer."""
        check_no_leftovers(asyncio.get_running_loop())

    @invariant()
    def the_bound_holds(self) -> None:
        """No more requests than allowed, none too big, no user in two of them."""
        assert self.vendor.peak <= self.concurrency
        assert all(size <= 50 for size in self.vendor.sizes)

    @invariant()
    def who_has_ended_has_ended_rightly(self) -> None:
        """Exactly one outcome, of the kinds that were possible."""
        for get in [get for get in self.gets if get.task.done()]:
            self.gets.remove(get)
            self.check(get)

    def check(self, get: _Get) -> None:
        """Right for this user and for what has happened to the get."""
        if get.task.cancelled():
            assert get.is_cancelled
            return
        assert not get.is_cancelled
        error = get.task.exception()
        if error is None:
            assert get.user_id.startswith("u")
            assert get.task.result().user_id == get.user_id
        elif isinstance(error, ClosedError):
            assert get.may_be_closed
        elif isinstance(error, ServerError):
            assert get.may_fail
        else:
            expected = InvalidRequestError if get.user_id.startswith("bad") else NotFoundError
            assert type(error) is expected
            assert not get.user_id.startswith("u")

    def teardown(self) -> None:
        """Everybody gets an answer in the end, and nothing is left."""
        if hasattr(self, "reads"):
            self.do(lambda: asyncio.sleep(100))
            assert all(get.task.done() for get in self.gets)
            self.who_has_ended_has_ended_rightly()
            assert (self.reads._waiting, self.reads._reading) == ({}, {})
            self.do(self.nothing_left)
        self.runner.close()


def test_every_get_ends_once_with_the_right_outcome() -> None:
    """Under random arrival, cancellation, failures and closing."""
    run_state_machine_as_test(
        cast("type[RuleBasedStateMachine]", LoaderMachine),
        settings=settings(max_examples=60, stateful_step_count=30, deadline=None),
    )
