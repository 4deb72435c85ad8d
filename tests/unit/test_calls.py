"""The calls in flight: deadlines, one timer, and whose cancellation it was."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from itertools import product
from typing import Any

import attrs
import pytest
from clock import run
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async.calls import Call, Calls
from presence_async.config import CallOptions
from presence_async.errors import ClosedError, PresenceError, PresenceTimeoutError
from presence_async.limiter import Limiter
from presence_async.pacing import Pacer
from presence_async.routes import LIST_SOURCES
from presence_async.wire import Request

REQUEST = Request(LIST_SOURCES, "/api/v2/presence/sources")


def now() -> float:
    """Time of the running loop."""
    return asyncio.get_running_loop().time()


def timers() -> list[float]:
    """When the timers of the loop that are not cancelled are due."""
    scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [timer.when() for timer in scheduled if not timer.cancelled()]


async def turns(count: int = 4) -> None:
    """Let the loop turn a few times without moving the clock."""
    for _ in range(count):
        await asyncio.sleep(0)


def new_calls() -> Calls:
    """Calls of the running loop."""
    return Calls(asyncio.get_running_loop())


def new_call(timeout: float = 150.0, max_wait: float = 90.0) -> Call:
    """A call of the running task, beginning now."""
    return Call(REQUEST, CallOptions(timeout=timeout, max_wait=max_wait), 1, now())


@attrs.define(eq=False)
class _Guarded:
    """A call around some work, guarded as the session does it."""

    calls: Calls
    timeout: float = 150.0
    seconds: float = 1e9
    call: Call | None = None

    async def run(self) -> str:
        self.call = call = new_call(self.timeout)
        self.calls.enter(call)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            reason = self.calls.leave(call)
            if reason is None:
                raise
        else:
            return "done"
        finally:
            self.calls.leave(call)
        raise reason


def cancelling() -> int:
    """Cancellations that the running task still owes to somebody."""
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


# -- deadlines


async def test_a_call_ends_exactly_at_its_deadline():
    """Not a moment earlier or later, with the time it was given in the message."""
    calls = new_calls()
    start = now()
    with pytest.raises(PresenceTimeoutError, match=r"no answer within 7\.25 s"):
        await _Guarded(calls, 7.25).run()
    assert now() - start == 7.25
    assert cancelling() == 0
    await asyncio.sleep(1)
    assert timers() == []


async def test_a_call_that_ends_in_time_is_left_alone():
    """Its deadline passes later, and nobody is interrupted."""
    calls = new_calls()
    assert await _Guarded(calls, 5, seconds=4.999).run() == "done"
    await asyncio.sleep(10)
    assert timers() == []


async def test_every_call_ends_at_its_own_deadline():
    """Whatever the order in which they came."""
    calls = new_calls()
    start = now()

    async def one(limit: float) -> float:
        with pytest.raises(PresenceTimeoutError):
            await _Guarded(calls, limit).run()
        return now() - start

    timeouts = [5.0, 1.0, 9.0, 5.0, 0.001, 3.5]
    assert await asyncio.gather(*map(one, timeouts)) == pytest.approx(timeouts, abs=1e-9)


@given(
    plan=st.lists(
        st.tuples(st.integers(0, 20), st.integers(1, 20), st.integers(0, 40)), max_size=12
    )
)
@settings(max_examples=60, deadline=None)
def test_any_plan_of_calls_keeps_every_deadline_with_one_timer(plan: list[tuple[int, int, int]]):
    """Starts, deadlines and work in any mixture: each ends when the first of the two is due."""

    async def main() -> None:
        calls = new_calls()
        base = now()

        async def one(start: float, limit: float, seconds: float) -> tuple[str, float]:
            await asyncio.sleep(start)
            try:
                ending = await _Guarded(calls, limit, seconds).run()
            except PresenceTimeoutError:
                ending = "late"
            return ending, now() - base

        tasks = [asyncio.create_task(one(*(value / 8 for value in step))) for step in plan]
        for task, (start, timeout, seconds) in zip(tasks, plan, strict=True):
            ending, at = await task
            assert at == pytest.approx((start + min(timeout, seconds)) / 8)
            if timeout != seconds:
                assert ending == ("late" if timeout < seconds else "done")
        assert len(timers()) <= 1
        calls.close(ClosedError("closed"))
        assert timers() == []

    run(main())


async def test_many_calls_share_one_timer():
    """A thousand calls in flight, one timer, set for the earliest of them."""
    calls = new_calls()
    guarded = [_Guarded(calls, 1000 - index) for index in range(500)]
    guarded += [_Guarded(calls, 1001 + index) for index in range(500)]
    tasks = [asyncio.create_task(each.run()) for each in guarded]
    await turns(2)
    own = [timer for timer in timers() if timer < now() + 1e6]
    assert own == [now() + 501]
    await asyncio.sleep(600.5)
    assert sum(task.done() for task in tasks) == 100
    calls.close(ClosedError("closed"))
    await asyncio.wait(tasks)
    await calls.drained()
    kinds = [type(task.exception()) for task in tasks]
    assert kinds.count(PresenceTimeoutError) == 100
    assert kinds.count(ClosedError) == 900
    assert timers() == []


async def test_a_call_that_is_slow_to_end_does_not_keep_the_timer_busy():
    """A deadline that has struck is not looked at again and again."""
    calls = new_calls()

    async def stubborn() -> None:
        call = new_call(1)
        calls.enter(call)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(100)
        await asyncio.sleep(50)
        assert isinstance(calls.leave(call), PresenceTimeoutError)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(2)
    assert len(timers()) == 1  # its own sleep
    await task


def test_a_call_waits_until_the_sooner_of_deadline_and_max_wait():
    """`max_wait` counts from each wait, the deadline from the beginning."""

    async def main() -> None:
        call = new_call(timeout=100, max_wait=30)
        assert call.latest(call.started) == call.started + 30
        assert call.latest(call.started + 80) == call.started + 100

    asyncio.run(main())


# -- whose cancellation


async def test_a_cancellation_by_somebody_else_stays_one():
    """It is not turned into an error of ours, and is still owed."""
    calls = new_calls()
    guarded = _Guarded(calls)
    task = asyncio.create_task(guarded.run())
    await turns()
    task.cancel("theirs")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    await calls.drained()
    calls.close(ClosedError("closed"))


class _Both:
    """An interruption and a foreign cancellation, in any order, in one turn."""

    def __init__(self) -> None:
        self.calls = new_calls()
        self.guarded = _Guarded(self.calls)
        self.owed: int | None = None
        self.ending: BaseException | None = None

    async def run(self) -> None:
        try:
            await self.guarded.run()
        except BaseException as error:  # noqa: BLE001  # any ending is looked at
            self.ending = error
        self.owed = cancelling()


@pytest.mark.parametrize(
    "order", [order for length in (1, 2, 3) for order in product("if", repeat=length)]
)
async def test_with_both_at_once_the_foreign_cancellation_wins(order: tuple[str, ...]):
    """Ours is taken back, theirs is passed on, and what the task owes is right to the one."""
    both = _Both()
    task = asyncio.create_task(both.run())
    await turns()
    assert both.guarded.call is not None
    for event in order:
        if event == "i":
            both.guarded.call.interrupt(PresenceTimeoutError("late"))
        else:
            task.cancel()
    await task
    foreign = order.count("f")
    if foreign:
        assert isinstance(both.ending, asyncio.CancelledError)
    else:
        assert isinstance(both.ending, PresenceTimeoutError)
    assert both.owed == foreign
    both.calls.close(ClosedError("closed"))


async def test_a_call_in_a_task_that_is_being_cancelled_already_counts_from_there():
    """A clean-up handler may call us: our interruption is still told apart."""
    calls = new_calls()
    seen: list[Any] = []

    async def main() -> None:
        try:
            await asyncio.sleep(1e9)
        except asyncio.CancelledError:
            try:
                await _Guarded(calls, 3).run()
            except PresenceTimeoutError as error:
                seen.append(error)
            seen.append(cancelling())
            raise

    task = asyncio.create_task(main())
    await turns()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert isinstance(seen[0], PresenceTimeoutError)
    assert seen[1] == 1


async def test_a_timeout_around_our_call_ends_as_that_timeout():
    """`asyncio.timeout` of the caller is theirs, and nothing of it is left in the task."""
    calls = new_calls()
    start = now()
    with pytest.raises(TimeoutError) as late:
        async with asyncio.timeout(2):
            await _Guarded(calls, 5).run()
    assert not isinstance(late.value, PresenceError)
    assert now() - start == pytest.approx(2)
    assert cancelling() == 0
    calls.close(ClosedError("closed"))


async def test_our_deadline_inside_a_longer_timeout_ends_as_ours():
    """The outer timeout does not take it for its own."""
    calls = new_calls()
    async with asyncio.timeout(5) as outer:
        with pytest.raises(PresenceTimeoutError):
            await _Guarded(calls, 2).run()
        assert not outer.expired()
        await asyncio.sleep(2)
    assert cancelling() == 0


async def test_a_timeout_that_strikes_together_with_our_deadline_wins():
    """Both at the same moment: the caller's own timeout is what the caller sees."""
    calls = new_calls()
    with pytest.raises(TimeoutError) as late:
        async with asyncio.timeout(2):
            await _Guarded(calls, 2).run()
    assert not isinstance(late.value, PresenceError)
    assert cancelling() == 0


async def test_nested_timeouts_around_our_call_end_one_by_one():
    """Two of the caller's and ours, all at the same moment: the inner of theirs is seen."""
    calls = new_calls()
    async with asyncio.timeout(10) as outer:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2) as inner:
                await _Guarded(calls, 2).run()
        assert inner.expired()
        assert not outer.expired()
    assert cancelling() == 0


async def test_the_task_goes_on_after_an_interruption():
    """The cancellation is used up: later awaits and calls of the same task work."""
    calls = new_calls()
    for _ in range(3):
        with pytest.raises(PresenceTimeoutError):
            await _Guarded(calls, 1).run()
        assert await _Guarded(calls, 2, seconds=1).run() == "done"
    assert cancelling() == 0
    calls.close(ClosedError("closed"))


async def test_only_the_first_reason_counts():
    """A call that is late and then closed says that it was late; it is cancelled once."""
    both = _Both()
    task = asyncio.create_task(both.run())
    await turns()
    assert both.guarded.call is not None
    both.guarded.call.interrupt(PresenceTimeoutError("late"))
    both.calls.close(ClosedError("closed"))
    await task
    assert isinstance(both.ending, PresenceTimeoutError)
    assert both.owed == 0


# -- closing


async def test_closing_interrupts_every_call_with_an_error_of_its_own():
    """ClosedError for each, copies, and `drained` returns when the last one has gone."""
    calls = new_calls()
    tasks = [asyncio.create_task(_Guarded(calls).run()) for _ in range(10)]
    await turns()
    draining = asyncio.create_task(calls.drained())
    await turns()
    assert not draining.done()
    calls.close(ClosedError("the client is closed"))
    await draining
    await asyncio.wait(tasks)
    errors = [task.exception() for task in tasks]
    assert all(isinstance(error, ClosedError) for error in errors)
    assert {str(error) for error in errors} == {"the client is closed"}
    assert len({id(error) for error in errors}) == 10
    assert timers() == []


async def test_without_calls_closing_and_draining_are_at_once():
    """Nothing to wait for."""
    calls = new_calls()
    calls.close(ClosedError("closed"))
    await calls.drained()
    assert timers() == []


async def test_leaving_twice_is_harmless():
    """The second time says nothing and takes nothing back."""
    calls = new_calls()
    call = new_call()
    calls.enter(call)
    assert calls.leave(call) is None
    assert calls.leave(call) is None
    assert cancelling() == 0
    calls.close(ClosedError("closed"))


async def test_a_call_outside_a_task_is_refused():
    """A plain callback of the loop has no task that could be interrupted."""
    ending: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def callback() -> None:
        try:
            new_call()
        except ClosedError as error:
            ending.set_result(error)

    asyncio.get_running_loop().call_soon(callback)
    error = await ending
    assert "inside an asyncio task" in str(error)


VARIABLE: contextvars.ContextVar[object] = contextvars.ContextVar("VARIABLE")


class _Precious:
    """Something whose end can be seen."""


async def test_the_timer_keeps_no_context_variables_of_the_call_that_set_it():
    """It may tick for minutes after that call; what the call had in its context is freed."""
    calls = new_calls()
    precious = _Precious()
    reference = weakref.ref(precious)
    context = contextvars.Context()
    context.run(VARIABLE.set, precious)
    work = _Guarded(calls, 150, seconds=0)
    task = asyncio.get_running_loop().create_task(work.run(), context=context)
    await asyncio.wait({task})
    assert task.result() == "done"
    del precious, context, task, work
    gc.collect()
    assert len(timers()) == 1
    assert reference() is None
    calls.close(ClosedError("closed"))


# -- lanes


async def test_the_lane_of_a_call_is_that_of_its_options_or_of_its_kind():
    """Of one alone it is interactive, of one of many that of the pacer it came through."""
    limiter = Limiter(1, asyncio.get_running_loop())
    pacer = Pacer(
        "bulk", limiter, loop=asyncio.get_running_loop(), work=lambda: 0, rest=asyncio.sleep
    )
    polling = CallOptions(lane="polling")
    assert Call(REQUEST, CallOptions(), 1, now()).lane == "interactive"
    assert Call(REQUEST, polling, 1, now()).lane == "polling"
    assert Call(REQUEST, CallOptions(), 1, now(), pacer).lane == "bulk"
    assert Call(REQUEST, polling, 1, now(), pacer).lane == "polling"
