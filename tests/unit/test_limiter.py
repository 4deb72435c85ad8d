"""The permits: pure accounting against a model, the queue against a simulated server."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import heapq
import random
import weakref
from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from clock import ClockLoop, DryLoop, dry
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from presence_async.errors import RateLimitedError
from presence_async.limiter import AGAIN, Ledger, Limiter

if TYPE_CHECKING:
    from collections.abc import Callable

FOREVER = 1e12
BACK = 61.0  # seconds from an answer to the permit
LOST = 65.0  # seconds from giving up to the permit


def now() -> float:
    """Time of the running loop."""
    return asyncio.get_running_loop().time()


def new_limiter(limit: int, *, spent: int = 0) -> Limiter:
    """A limiter on the running loop with `spent` requests in flight."""
    limiter = Limiter(limit, asyncio.get_running_loop())
    for _ in range(spent):
        assert limiter.try_acquire()
    return limiter


def waiting(limiter: Limiter, wait: float = FOREVER) -> asyncio.Task[None]:
    """A task that waits for a permit for `wait` seconds at most."""
    return asyncio.create_task(limiter.acquire(now() + wait))


async def turns(count: int = 4) -> None:
    """Let the loop turn a few times without moving the clock."""
    for _ in range(count):
        await asyncio.sleep(0)


def dice(seed: int) -> random.Random:
    """Repeatable chance."""
    return random.Random(seed)  # noqa: S311  # chance, no secret


def timers(loop: asyncio.AbstractEventLoop) -> list[float]:
    """When the timers of the loop that are not cancelled are due."""
    return [timer.when() for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their end."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


# -- the ledger against a model


@attrs.define
class _ModelOfLedger:
    """Every permit by itself: the moment it comes back, or in flight."""

    limit: int
    in_flight: int = 0
    back: list[float] = attrs.field(factory=list)

    def free(self, at: float) -> int:
        return self.limit - self.in_flight - sum(moment > at for moment in self.back)

    def moment(self, position: int, at: float, not_before: float) -> float:
        """Serve `position` + 1 waiters, one after the other; when was the last one's turn?"""
        moments = [moment for moment in self.back if moment > at]
        moments += [at] * self.free(at) + [at + BACK] * self.in_flight
        heap = [max(moment, not_before) for moment in moments]
        heapq.heapify(heap)
        served = 0.0
        for _ in range(position + 1):
            served = heap[0]
            heapq.heapreplace(heap, served + BACK)
        return served

    def spread(self, at: float, not_before: float) -> float:
        moments = [max(moment, not_before) for moment in self.back if moment > at]
        moments += [max(at, not_before)] * (self.free(at) > 0)
        moments += [max(at + BACK, not_before)] * (self.in_flight > 0)
        return max(moments) - min(moments)


@given(
    limit=st.integers(1, 6),
    steps=st.lists(
        st.tuples(st.sampled_from(["take", "answered", "lost", "unused"]), st.integers(0, 70)),
        max_size=40,
    ),
    pause=st.integers(-10, 150),
)
@settings(max_examples=300, deadline=None)
def test_the_ledger_agrees_with_a_model_of_single_permits(
    limit: int, steps: list[tuple[str, int]], pause: int
):
    """Free permits are counted exactly, and the forecast is the moment of a replay."""
    ledger, model, at = Ledger(limit), _ModelOfLedger(limit), 1000.0
    for step, seconds in steps:
        at += seconds / 4
        assert ledger.free(at) == model.free(at)
        if step == "take" and model.free(at) > 0:
            ledger.take()
            model.in_flight += 1
        elif step != "take" and model.in_flight:
            getattr(ledger, step)(*() if step == "unused" else (at,))
            model.in_flight -= 1
            model.back += {"answered": [at + BACK], "lost": [at + LOST]}.get(step, [])
        assert ledger.in_flight == model.in_flight
        forecast = ledger.forecast(at, at + pause, 3 * limit + 2)
        for position in range(3 * limit + 2):
            exact = model.moment(position, at, at + pause)
            if position < limit or model.spread(at, at + pause) <= BACK:
                assert forecast[position] == pytest.approx(exact, abs=1e-6)
            else:  # later rounds behind a lost request: never too late
                assert forecast[position] <= exact + 1e-6


def test_a_limit_that_is_none_costs_no_memory():
    """A limit of a billion is counted without a list of a billion permits."""
    ledger = Ledger(1_000_000_000)
    ledger.take()
    ledger.lost(0.0)
    assert ledger.forecast(0.0, 7.0, 2)[1] == 7.0
    assert ledger.free(0.0) == 999_999_999


def test_the_ledger_forgets_permits_that_have_come_back():
    """Memory is in proportion to the limit, not to the requests made."""
    ledger = Ledger(3)
    for second in range(0, 10_000, 61):
        for _ in range(3):
            assert ledger.free(second) > 0
            ledger.take()
            ledger.answered(second)
    assert len(ledger._answered) == 3


# -- what arrives at a server


@attrs.define
class _Wire:
    """A server far away: latency 0 to 500 ms, some answers lost, some requests never sent."""

    limiter: Limiter
    chance: random.Random
    lost: float = 0.0
    unsent: float = 0.0
    arrivals: list[float] = attrs.field(factory=list)

    async def request(self) -> None:
        await self.limiter.acquire(FOREVER)
        sent, fate = now(), self.chance.random()
        if fate < self.unsent:
            await asyncio.sleep(self.chance.uniform(0, 0.5))
            self.limiter.unused()
        elif fate < self.unsent + self.lost:
            gave_up = self.chance.uniform(0, 30)
            await asyncio.sleep(gave_up)
            self.limiter.lost()
            # It may even have arrived a little after we gave up.
            self.arrivals.append(self.chance.uniform(sent, now() + 3.9))
        else:
            await asyncio.sleep(self.chance.uniform(0, 0.5))
            self.limiter.answered()
            # At any moment until the response, with a taste for the ends.
            moment = self.chance.choice([sent, now(), self.chance.uniform(sent, now())])
            self.arrivals.append(moment)

    async def worker(self, until: float) -> None:
        while now() < until:
            await self.request()

    async def saturate(self, workers: int, seconds: float) -> list[float]:
        """Arrivals, sorted, of so many workers that always have something to send."""
        until = now() + seconds
        tasks = [asyncio.create_task(self.worker(until)) for _ in range(workers)]
        await asyncio.sleep(seconds)
        await ended(*tasks)
        return sorted(self.arrivals)


def most_in_rolling(arrivals: list[float], window: float = 60.0) -> int:
    """Most arrivals in any closed window."""
    return max(
        bisect_right(arrivals, first + window) - index for index, first in enumerate(arrivals)
    )


def most_in_fixed(arrivals: list[float], phase: float) -> int:
    """Most arrivals in one of the minutes that start at `phase`."""
    counts: dict[float, int] = {}
    for arrival in arrivals:
        minute = (arrival - phase) // 60
        counts[minute] = counts.get(minute, 0) + 1
    return max(counts.values())


def check_windows(arrivals: list[float], limit: int) -> None:
    """No kind of window that a server may use holds more than `limit`."""
    assert most_in_rolling(arrivals) <= limit
    # A server that only knows whole seconds, both ends included.
    assert most_in_rolling([float(int(arrival)) for arrival in arrivals]) <= limit
    for phase in range(0, 60, 7):
        assert most_in_fixed(arrivals, phase + 0.25) <= limit


@pytest.mark.parametrize("seed", range(3))
def test_no_window_at_the_server_exceeds_the_limit_at_full_speed(seed: int):
    """300 a minute with jitter: rolling, fixed and whole-second windows hold, at 98 %."""

    async def main() -> None:
        wire = _Wire(new_limiter(300), dice(seed))
        arrivals = await wire.saturate(workers=350, seconds=600)
        check_windows(arrivals, 300)
        steady = [arrival for arrival in arrivals if 1120 <= arrival < 1540]
        assert 290 <= len(steady) / 7 <= 300

    dry(main())


@pytest.mark.parametrize("seed", range(3))
def test_no_window_is_exceeded_when_answers_are_lost(seed: int):
    """A tenth of the answers lost and a tenth never sent: the windows hold all the same."""

    async def main() -> None:
        wire = _Wire(new_limiter(100), dice(seed), lost=0.1, unsent=0.1)
        arrivals = await wire.saturate(workers=130, seconds=900)
        assert len(arrivals) > 900
        check_windows(arrivals, 100)

    dry(main())


@given(seed=st.integers(0, 2**32), limit=st.integers(1, 12), workers=st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_no_window_is_exceeded_for_any_limit_and_concurrency(seed: int, limit: int, workers: int):
    """The same for small limits and any number of workers."""

    async def main() -> None:
        wire = _Wire(new_limiter(limit), dice(seed), lost=0.2, unsent=0.2)
        check_windows(await wire.saturate(workers=workers, seconds=600), limit)

    dry(main())


def test_counting_from_the_send_would_fail_this_very_check():
    """The check can tell: a limiter whose permits come back 60 s after the send is caught."""
    chance = dice(1)
    sends = [60.0 * minute + index * 1e-3 for minute in range(5) for index in range(300)]
    arrivals = sorted(moment + chance.uniform(0, 0.5) for moment in sends)
    assert most_in_rolling(arrivals) > 300


# -- the queue, step by step


@attrs.define(eq=False)
class _Waiter:
    """One acquire of the machine below and what may become of it."""

    task: asyncio.Task[float]
    latest: float


class _LimiterMachine(RuleBasedStateMachine):
    """Arrivals, cancellations, answers, pauses and time, in any order, on a small limit."""

    waiters = Bundle("waiters")

    @initialize(limit=st.integers(1, 3))
    def begin(self, limit: int) -> None:
        self.loop = DryLoop()
        self.limiter = Limiter(limit, self.loop)
        self.limit = limit
        self.queue: list[_Waiter] = []
        self.out: list[float] = []  # permits we hold: when they were taken
        self.back: list[float] = []
        self.paused_until = 0.0
        self.cancelled: set[_Waiter] = set()

    def turn(self, seconds: float = 0.0) -> None:
        """Let the loop run for a while, then take note of who was served or refused."""
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.loop.run_until_complete(turns())
        self.take_note()

    def take_note(self) -> None:
        at = self.loop.time()
        done = [waiter for waiter in self.queue if waiter.task.done()]
        self.queue = [waiter for waiter in self.queue if not waiter.task.done()]
        for waiter in done:
            if waiter.task.cancelled():
                assert waiter in self.cancelled
            elif (error := waiter.task.exception()) is not None:
                assert isinstance(error, RateLimitedError)
                assert error.retry_after is not None
                assert error.retry_after > 0
                assert error.status is None
            else:
                self.out.append(at)
                assert waiter.task.result() <= waiter.latest + 1e-6, "served after its time"
        served = [w for w in done if not w.task.cancelled() and w.task.exception() is None]
        if served and self.queue:
            arrived_before = self.order[served[-1]] < min(self.order[w] for w in self.queue)
            assert arrived_before, "served out of order"

    @property
    def order(self) -> dict[_Waiter, int]:
        return {waiter: index for index, waiter in enumerate(self.everyone)}

    everyone: list[_Waiter]

    @rule(target=waiters, wait=st.sampled_from([0.0, 5.0, 60.9, 61.0, 62.0, 64.0, 130.0, FOREVER]))
    def arrive(self, wait: float) -> _Waiter:
        latest = self.loop.time() + wait
        waiter = _Waiter(self.loop.create_task(self.served_at(latest)), latest)
        if not hasattr(self, "everyone"):
            self.everyone = []
        self.everyone.append(waiter)
        self.queue.append(waiter)
        self.turn()
        return waiter

    async def served_at(self, latest: float) -> float:
        await self.limiter.acquire(latest)
        return self.loop.time()

    @rule(waiter=consumes(waiters))
    def cancel(self, waiter: _Waiter) -> None:
        self.cancelled.add(waiter)
        waiter.task.cancel()
        self.turn()

    @rule(waiter=consumes(waiters), how=st.sampled_from(["unused", "pause"]))
    def cancel_in_the_turn_of(self, waiter: _Waiter, how: str) -> None:
        """Cancelled in the very turn in which a permit comes free or a pause begins."""
        if how == "pause":
            self.limiter.pause(3.0)
            self.paused_until = max(self.paused_until, self.loop.time() + 3.0)
        elif self.out:
            self.out.pop()
            self.limiter.unused()
        if not waiter.task.done():
            self.cancelled.add(waiter)
            waiter.task.cancel()
        self.turn()

    @precondition(lambda self: self.out)
    @rule(how=st.sampled_from(["answered", "lost", "unused"]))
    def finish(self, how: str) -> None:
        self.out.pop()
        getattr(self.limiter, how)()
        at = self.loop.time()
        self.back += {"answered": [at + BACK], "lost": [at + LOST]}.get(how, [])
        self.turn()

    @rule(seconds=st.sampled_from([0.0, 1.0, 30.0, 59.0, 61.0, 65.0]))
    def wait(self, seconds: float) -> None:
        self.turn(seconds)

    @rule(seconds=st.sampled_from([0.0, 2.0, 30.0, 62.5, 200.0]))
    def pause(self, seconds: float) -> None:
        self.limiter.pause(seconds)
        self.paused_until = max(self.paused_until, self.loop.time() + seconds)
        self.turn()

    @invariant()
    def numbers_are_right(self) -> None:
        if not hasattr(self, "loop"):
            return
        at = self.loop.time()
        status = self.limiter.status()
        used = len(self.out) + sum(moment > at for moment in self.back)
        assert used <= self.limit
        assert status.limit == self.limit
        assert status.in_flight == len(self.out)
        assert status.waiting == len(self.queue)
        assert status.paused_for == max(0.0, self.paused_until - at)
        blocked = bool(self.queue) or at < self.paused_until
        assert status.remaining == (0 if blocked else self.limit - used)
        assert (status.next_free == 0.0) == (status.remaining > 0)
        # Nobody waits beside a permit, nor past the time they were willing to.
        if self.queue and at >= self.paused_until:
            assert used == self.limit
        assert all(waiter.latest >= at for waiter in self.queue)
        assert len(timers(self.loop)) == bool(self.queue)

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        self.limiter.close()
        self.loop.run_until_complete(ended(*(waiter.task for waiter in self.queue)))
        assert timers(self.loop) == []
        assert self.limiter.status().waiting == 0
        self.loop.close()


_LimiterMachine.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None
)
TestLimiterMachine = _LimiterMachine.TestCase
TestLimiterMachine.__doc__ = "Any sequence of events leaves order, numbers and timers right."


# -- single facts


async def test_a_permit_comes_back_61_s_after_its_answer():
    """Not a moment earlier than 60 s and the margin, and at that moment exactly."""
    limiter = new_limiter(1, spent=1)
    await asyncio.sleep(7)
    limiter.answered()
    answered = now()
    await limiter.acquire(FOREVER)
    assert now() - answered == pytest.approx(BACK, abs=1e-6)
    limiter.unused()


async def test_a_permit_whose_answer_is_lost_comes_back_after_65_s():
    """Counted from giving up."""
    limiter = new_limiter(1, spent=1)
    limiter.lost()
    gave_up = now()
    await limiter.acquire(FOREVER)
    assert now() - gave_up == pytest.approx(LOST, abs=1e-6)
    limiter.unused()


async def test_an_unused_permit_goes_to_the_next_waiter_at_once():
    """A request that never left costs nothing."""
    limiter = new_limiter(1, spent=1)
    waiter = waiting(limiter)
    await turns()
    before = now()
    limiter.unused()
    await waiter
    assert now() == before
    assert limiter.status().in_flight == 1


async def test_a_permit_that_returns_in_a_pause_is_given_when_the_pause_ends():
    """And not when its request, had it been sent, would have given it back."""
    limiter = new_limiter(1, spent=1)
    limiter.pause(2)
    waiter = waiting(limiter)
    await turns()
    before = now()
    limiter.unused()
    await waiter
    assert now() - before == pytest.approx(2, abs=1e-6)


async def test_a_refusal_during_a_pause_names_the_pause():
    """Who is turned away because of a 429 is not told that the budget is spent."""
    limiter = new_limiter(1)
    limiter.pause(60)
    with pytest.raises(RateLimitedError, match=r"asked everyone with this token to pause \(429\)"):
        await limiter.acquire(now() + 1)


async def test_waiters_are_served_in_order_of_arrival():
    """Whoever came first goes first, and a newcomer does not slip in before them."""
    limiter = new_limiter(2, spent=2)
    order: list[int] = []

    async def one(number: int) -> None:
        await limiter.acquire(FOREVER)
        order.append(number)
        limiter.answered()

    tasks = [asyncio.create_task(one(number)) for number in range(7)]
    await turns()
    limiter.unused()
    assert not limiter.try_acquire()
    limiter.unused()
    await asyncio.gather(*tasks)
    assert order == list(range(7))


async def test_a_call_that_comes_too_late_is_refused_at_once_and_told_when():
    """The error comes without a wait, and after its `retry_after` there is a permit."""
    limiter = new_limiter(1, spent=1)
    limiter.answered()
    await asyncio.sleep(21)
    before = now()
    with pytest.raises(RateLimitedError, match=r"served in 40\.0 s") as refused:
        await limiter.acquire(now() + 39.9)
    assert now() == before
    assert refused.value.retry_after == pytest.approx(40, abs=1e-6)
    assert refused.value.status is None
    await asyncio.sleep(refused.value.retry_after)
    assert limiter.try_acquire()


async def test_a_call_that_is_served_at_its_very_latest_is_not_refused():
    """The last moment is still in time."""
    limiter = new_limiter(1, spent=1)
    limiter.answered()
    await limiter.acquire(now() + BACK)
    assert limiter.status().in_flight == 1


async def test_the_place_in_the_queue_counts_for_the_forecast():
    """With everyone ahead considered, the third waiter of a limit of two waits two rounds."""
    limiter = new_limiter(2, spent=2)
    limiter.answered()
    limiter.answered()
    waiters = [waiting(limiter) for _ in range(2)]
    await turns()
    with pytest.raises(RateLimitedError) as refused:
        await limiter.acquire(now() + 2 * BACK - 0.1)
    assert refused.value.retry_after == pytest.approx(2 * BACK, abs=1e-6)
    waiters.append(waiting(limiter, 2 * BACK))
    await asyncio.sleep(BACK)
    assert [task.done() for task in waiters] == [True, True, False]
    limiter.answered()
    limiter.answered()
    await waiters[2]


async def test_a_lost_request_does_not_hide_a_permit_that_comes_back_sooner():
    """One permit lost (65 s), one in flight (61 s at the soonest): the sooner one counts."""
    limiter = new_limiter(2, spent=2)
    limiter.lost()
    assert limiter.status().next_free == pytest.approx(BACK, abs=1e-6)
    limiter.answered()
    start = now()
    await limiter.acquire(now() + 62)
    assert now() - start == pytest.approx(BACK, abs=1e-6)


async def test_late_answers_turn_away_who_cannot_be_served_in_time_any_more():
    """Everyone in the queue hears it, behind a patient head too, and no later than `latest`."""
    limiter = new_limiter(2, spent=2)
    patient = waiting(limiter, 300)
    hasty = waiting(limiter, 70)
    await asyncio.sleep(30)
    limiter.answered()
    limiter.answered()
    start = now()
    with pytest.raises(RateLimitedError) as refused:
        await hasty
    assert now() - start <= 31 + 1e-6
    assert refused.value.retry_after == pytest.approx(start + BACK - now(), abs=1e-6)
    assert limiter.status().waiting == 1
    await patient
    assert now() - start == pytest.approx(BACK, abs=1e-6)


async def test_a_waiter_turned_away_makes_room_for_those_behind_it():
    """Who stays is judged by the place that is left after the others went."""
    limiter = new_limiter(1, spent=1)
    hasty = waiting(limiter, BACK)
    behind = waiting(limiter, 2 * BACK)
    await asyncio.sleep(1)
    limiter.answered()
    await asyncio.sleep(BACK)
    assert isinstance(hasty.exception(), RateLimitedError)
    await behind
    assert now() == pytest.approx(1000 + 1 + BACK, abs=1e-6)


async def test_a_cancelled_waiter_is_passed_over():
    """The permit goes to the one behind, and the position of the rest moves up."""
    limiter = new_limiter(1, spent=1)
    first, second, third = (waiting(limiter) for _ in range(3))
    await turns()
    await ended(second)
    limiter.unused()
    await first
    limiter.unused()
    await third
    assert limiter.status().in_flight == 1


async def test_cancelled_in_the_turn_it_was_served_a_waiter_hands_its_permit_on():
    """The permit it never used goes to the next one, however many are cancelled so."""
    limiter = new_limiter(1, spent=1)
    tasks = [waiting(limiter) for _ in range(50)]
    await turns()
    limiter.unused()
    for task in tasks[:-1]:
        task.cancel()
    await tasks[-1]
    assert all(task.cancelled() for task in tasks[:-1])
    assert limiter.status().in_flight == 1
    assert limiter.status().waiting == 0


async def test_cancelled_after_it_was_served_and_before_it_runs_a_waiter_hands_on():
    """The permit is not lost when the cancellation finds the future done already."""
    limiter = new_limiter(1, spent=1)
    first, second = waiting(limiter), waiting(limiter)
    await turns()
    asyncio.get_running_loop().call_soon(first.cancel)
    limiter.unused()
    await second
    assert first.cancelled()
    assert limiter.status().in_flight == 1


async def test_cancelled_in_the_turn_of_a_refusal_a_waiter_is_just_cancelled():
    """The refusal is dropped silently, and nothing is given back that was never had."""
    limiter = new_limiter(1, spent=1)
    waiter = waiting(limiter, 70)
    await turns()
    limiter.pause(500)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert limiter.status().in_flight == 1
    assert limiter.status().waiting == 0


async def test_cancelled_in_the_turn_before_a_pause_a_waiter_is_just_cancelled():
    """The pause does not resurrect it."""
    limiter = new_limiter(1, spent=1)
    gone, stays = waiting(limiter), waiting(limiter)
    await turns()
    gone.cancel()
    limiter.pause(500)
    limiter.pause(10)
    assert limiter.status().waiting == 1
    assert limiter.status().paused_for == 500
    await turns()
    assert gone.cancelled()
    limiter.unused()
    start = now()
    await stays
    assert now() - start == pytest.approx(500, abs=1e-6)


async def test_a_waiter_cancelled_before_its_first_await_leaves_nothing():
    """Cancelled before it ever ran, it is never in the queue or leaves it at once."""
    limiter = new_limiter(1, spent=1)
    task = waiting(limiter)
    task.cancel()
    await asyncio.wait({task})
    assert limiter.status().waiting == 0
    assert timers(asyncio.get_running_loop()) == []


# -- pauses


async def test_a_pause_holds_everyone_although_permits_are_free():
    """Those who come during the pause and those who wait already are served at its end."""
    limiter = new_limiter(3, spent=1)
    limiter.pause(12)
    assert limiter.status().remaining == 0
    assert limiter.status().next_free == 12
    assert not limiter.try_acquire()
    tasks = [waiting(limiter) for _ in range(2)]
    start = now()
    await asyncio.gather(*tasks)
    assert now() - start == pytest.approx(12, abs=1e-6)
    assert limiter.status().paused_for == 0


async def test_who_cannot_wait_for_the_end_of_a_pause_hears_it_at_once():
    """In the same turn, with the seconds until they could be served; the others stay."""
    limiter = new_limiter(1, spent=1)
    limiter.answered()
    hasty, patient = waiting(limiter, 90), waiting(limiter, 1000)
    await turns()
    before = now()
    limiter.pause(300)
    with pytest.raises(RateLimitedError) as refused:
        await hasty
    assert now() == before
    assert refused.value.retry_after == pytest.approx(300)
    with pytest.raises(RateLimitedError) as newcomer:
        await limiter.acquire(now() + 90)
    # One more is ahead of the newcomer.
    assert newcomer.value.retry_after == pytest.approx(300 + BACK)
    await patient
    assert now() - before == pytest.approx(300, abs=1e-6)


async def test_after_a_pause_the_second_round_is_a_window_later():
    """The forecast of a pause counts the queue, not only the pause."""
    limiter = new_limiter(2)
    limiter.pause(100)
    tasks = [waiting(limiter, 100) for _ in range(2)]
    await turns()
    with pytest.raises(RateLimitedError) as refused:
        await limiter.acquire(now() + 160.9)
    assert refused.value.retry_after == pytest.approx(161)
    await asyncio.gather(*tasks)


async def test_a_shorter_pause_does_not_end_a_longer_one():
    """The longest Retry-After counts."""
    limiter = new_limiter(1)
    limiter.pause(50)
    limiter.pause(20)
    limiter.pause(0)
    start = now()
    await limiter.acquire(FOREVER)
    assert now() - start == pytest.approx(50, abs=1e-6)


async def test_a_longer_pause_moves_the_timer():
    """Extended while somebody waits, it is obeyed in full with one timer."""
    limiter = new_limiter(1)
    limiter.pause(10)
    waiter = waiting(limiter)
    await asyncio.sleep(9)
    limiter.pause(10)
    assert timers(asyncio.get_running_loop()) == [now() + 10]
    await waiter
    assert now() == pytest.approx(1019, abs=1e-6)


# -- timers, memory, size


async def test_there_is_one_timer_while_somebody_waits_and_none_otherwise():
    """However many wait; it goes with the last of them."""
    loop = asyncio.get_running_loop()
    limiter = new_limiter(1, spent=1)
    assert timers(loop) == []
    tasks = [waiting(limiter) for _ in range(100)]
    await turns()
    assert len(timers(loop)) == 1
    await ended(*tasks[1:])
    assert len(timers(loop)) == 1
    await ended(tasks[0])
    assert timers(loop) == []


async def test_a_closed_limiter_sets_no_timer_while_its_waiters_leave():
    """Closing drops the timer, and waiters that end afterwards do not bring it back."""
    loop = asyncio.get_running_loop()
    limiter = new_limiter(2, spent=2)
    tasks = [waiting(limiter) for _ in range(5)]
    await turns()
    limiter.close()
    limiter.close()
    for task in tasks:
        task.cancel()
    limiter.unused()
    await turns()
    assert timers(loop) == []
    assert limiter.status().waiting == 0


VARIABLE: contextvars.ContextVar[object] = contextvars.ContextVar("VARIABLE")


class _Precious:
    """Something whose end can be seen."""


async def test_the_timer_keeps_no_context_variables_of_the_call_that_set_it():
    """Once that call is gone, what it had in its context is gone, timer or not."""
    limiter = new_limiter(1, spent=1)

    async def first() -> None:
        await limiter.acquire(FOREVER)

    context = contextvars.Context()
    precious = _Precious()
    reference = weakref.ref(precious)
    context.run(VARIABLE.set, precious)
    gone = asyncio.get_running_loop().create_task(first(), context=context)
    stays = waiting(limiter)
    await turns()
    await ended(gone)
    del context, precious, gone
    gc.collect()
    assert reference() is None
    assert len(timers(asyncio.get_running_loop())) == 1
    await ended(stays)


@pytest.mark.parametrize("order", [iter, reversed, lambda tasks: dice(1).sample(tasks, len(tasks))])
async def test_twenty_thousand_waiters_come_and_go(order: Callable[[Any], Any]):
    """All are queued and all leave, first, last or any first, within moments."""
    limiter = new_limiter(300, spent=300)
    tasks = [waiting(limiter) for _ in range(20_000)]
    await turns()
    assert limiter.status().waiting == 20_000
    await ended(*order(tasks))
    assert limiter.status() == attrs.evolve(limiter.status(), waiting=0, in_flight=300, remaining=0)
    assert timers(asyncio.get_running_loop()) == []


async def test_thousands_cancelled_in_the_turn_they_were_served_lose_no_permit():
    """A whole minute's permits handed out and every holder cancelled: all are back."""
    limiter = new_limiter(2000, spent=2000)
    for _ in range(2000):
        limiter.answered()
    tasks = [waiting(limiter) for _ in range(5000)]
    await turns()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    loop.advance(BACK)
    limiter._due()
    await ended(*tasks)
    assert all(task.cancelled() for task in tasks)
    assert limiter.status().remaining == 2000
    assert limiter.status().in_flight == 0


async def test_the_look_ahead_counts_every_waiter_once_a_timer():
    """Serving thousands one permit at a time asks the loop for time in proportion to them."""
    limiter = new_limiter(50, spent=50)
    limiter._loop = counting = _Counting(asyncio.get_running_loop())
    for _ in range(50):
        limiter.answered()

    async def one() -> None:
        await limiter.acquire(FOREVER)
        limiter.answered()

    await asyncio.gather(*(one() for _ in range(1000)))
    assert counting.asked < 20 * 1000


class _Counting:
    """A loop that counts how often it is asked for anything."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        self.asked += 1
        return getattr(self._loop, name)


async def test_the_windows_of_one_waiter_at_a_time_are_even():
    """Steady callers are spread by the answers of a minute ago, never bunched anew."""
    limiter = new_limiter(3)
    served: list[float] = []
    for _ in range(9):
        await limiter.acquire(FOREVER)
        served.append(now())
        await asyncio.sleep(1)
        limiter.answered()
    assert all(later >= earlier for earlier, later in pairwise(served))
    assert served[3] - served[0] == pytest.approx(BACK + 1, abs=1e-6)
    assert served[8] - served[2] == pytest.approx(2 * (BACK + 1), abs=1e-6)


def test_the_second_of_margin_is_the_documented_one():
    """60 s and 1 s after an answer."""
    assert AGAIN == BACK
