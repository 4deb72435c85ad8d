"""The permits: pure accounting against a model, the queue against a simulated server."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import random
import weakref
from bisect import bisect_right
from itertools import chain, pairwise
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
from presence_async.limiter import Limiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async.config import Lane

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


# -- what arrives at a server


@attrs.define
class _Wire:
    """A server far away: latency 0 to 500 ms, some answers lost, some requests never sent."""

    limiter: Limiter
    chance: random.Random
    lost: float = 0.0
    unsent: float = 0.0
    lane: Lane = "interactive"
    arrivals: list[float] = attrs.field(factory=list)

    async def request(self) -> None:
        await self.limiter.acquire(FOREVER, self.lane)
        sent, fate = now(), self.chance.random()
        if fate < self.unsent:
            await asyncio.sleep(self.chance.uniform(0, 0.5))
            self.limiter.unused(self.lane)
        elif fate < self.unsent + self.lost:
            gave_up = self.chance.uniform(0, 30)
            await asyncio.sleep(gave_up)
            self.limiter.lost(self.lane)
            # It may even have arrived a little after we gave up.
            self.arrivals.append(self.chance.uniform(sent, now() + 3.9))
        else:
            await asyncio.sleep(self.chance.uniform(0, 0.5))
            self.limiter.answered(self.lane)
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


@pytest.mark.parametrize("seed", range(2))
def test_no_window_at_the_server_exceeds_the_limit_at_full_speed(seed: int):
    """300 a minute with jitter: rolling, fixed and whole-second windows hold, at 98 %."""

    async def main() -> None:
        wire = _Wire(new_limiter(300), dice(seed))
        arrivals = await wire.saturate(workers=350, seconds=600)
        check_windows(arrivals, 300)
        steady = [arrival for arrival in arrivals if 1120 <= arrival < 1540]
        assert 290 <= len(steady) / 7 <= 300

    dry(main())


@pytest.mark.parametrize("seed", range(2))
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


LANES: tuple[Lane, ...] = ("interactive", "bulk", "polling")
# Permits in succession that may go to other lanes while somebody in this one can be served.
PASSED_OVER = {"interactive": 1, "bulk": 7, "polling": 11}


@attrs.define(eq=False)
class _Waiter:
    """One acquire of the machine below and what may become of it."""

    number: int
    lane: Lane
    latest: float
    task: asyncio.Task[float]


class _LimiterMachine(RuleBasedStateMachine):
    """Arrivals, cancellations, answers, pauses and time, in any order, on a small limit."""

    waiters = Bundle("waiters")

    @initialize(limit=st.integers(1, 4), share=st.integers(1, 4))
    def begin(self, limit: int, share: int) -> None:
        self.loop = DryLoop()
        self.limit = limit
        self.share = min(share, limit)
        self.limiter = Limiter(limit, self.loop, polling_limit=self.share)
        self.numbers = 0
        self.queue: list[_Waiter] = []
        self.served: list[int] = []  # numbers, in the order of their permits
        self.out: list[Lane] = []  # permits we hold
        self.back: list[tuple[float, Lane]] = []
        self.passed_over = dict.fromkeys(LANES, 0)
        self.paused_until = 0.0
        self.cancelled: set[_Waiter] = set()

    def used(self, lane: Lane | None = None) -> int:
        """Permits that are out or not back yet, of one lane or of all."""
        at = self.loop.time()
        lanes = self.out + [whose for moment, whose in self.back if moment > at]
        return len(lanes) if lane is None else lanes.count(lane)

    def ready(self, lane: Lane) -> bool:
        """Whether somebody in a lane waits for nothing but a permit."""
        room = lane != "polling" or self.used("polling") < self.share
        return room and any(w.lane == lane and w not in self.cancelled for w in self.queue)

    def turn(self, seconds: float = 0.0) -> None:
        """Let the loop run for a while, then take note of who was served or refused."""
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.loop.run_until_complete(turns())
        self.take_note()

    def take_note(self) -> None:
        by_number = {waiter.number: waiter for waiter in self.queue}
        served, self.served = [by_number[number] for number in self.served], []
        for waiter in served:
            self.was_served(waiter)
        for waiter in [waiter for waiter in self.queue if waiter.task.done()]:
            self.queue.remove(waiter)
            if waiter.task.cancelled():
                assert waiter in self.cancelled
            else:
                error = waiter.task.exception()
                assert isinstance(error, RateLimitedError)
                assert error.retry_after is not None
                assert error.retry_after > 0
                assert error.status is None

    def was_served(self, waiter: _Waiter) -> None:
        assert waiter.task.result() <= waiter.latest + 1e-6, "served after its time"
        ahead = [w for w in self.queue if w.lane == waiter.lane and w.number < waiter.number]
        for other in ahead:
            refused = other.task.done() and not other.task.cancelled() and other.task.exception()
            assert other in self.cancelled or refused, "served out of order"
        self.queue.remove(waiter)
        for lane in LANES:
            passed = lane != waiter.lane and self.ready(lane)
            self.passed_over[lane] = self.passed_over[lane] + 1 if passed else 0
            assert self.passed_over[lane] <= PASSED_OVER[lane], "starved"
        self.out.append(waiter.lane)

    @rule(
        target=waiters,
        wait=st.sampled_from([0.0, 5.0, 60.9, 61.0, 62.0, 64.0, 130.0, FOREVER]),
        lane=st.sampled_from(LANES),
    )
    def arrive(self, wait: float, lane: Lane) -> _Waiter:
        self.numbers += 1
        latest = self.loop.time() + wait
        task = self.loop.create_task(self.served_at(self.numbers, latest, lane))
        waiter = _Waiter(self.numbers, lane, latest, task)
        self.queue.append(waiter)
        self.turn()
        return waiter

    @rule(lanes=st.lists(st.sampled_from(LANES), max_size=14))
    def crowd(self, lanes: list[Lane]) -> None:
        """Some who wait as long as it takes."""
        for lane in lanes:
            self.arrive(FOREVER, lane)

    async def served_at(self, number: int, latest: float, lane: Lane) -> float:
        await self.limiter.acquire(latest, lane)
        self.served.append(number)
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
            self.limiter.unused(self.out.pop())
        if not waiter.task.done():
            self.cancelled.add(waiter)
            waiter.task.cancel()
        self.turn()

    @precondition(lambda self: self.out)
    @rule(how=st.sampled_from(["answered", "lost", "unused"]), which=st.integers(0, 3))
    def finish(self, how: str, which: int) -> None:
        lane = self.out.pop(which % len(self.out))
        at = self.loop.time()
        self.back += {"answered": [(at + BACK, lane)], "lost": [(at + LOST, lane)]}.get(how, [])
        getattr(self.limiter, how)(lane)
        self.turn()

    @rule(rounds=st.integers(1, 15))
    def finish_all(self, rounds: int) -> None:
        """Several rounds in which every permit comes back at once."""
        for _ in range(rounds):
            at = self.loop.time()
            for lane in self.out:
                self.limiter.answered(lane)
                self.back.append((at + BACK, lane))
            self.out.clear()
            self.turn(BACK)

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
        used = self.used()
        contended = any(map(self.ready, LANES))
        assert used <= self.limit
        assert self.used("polling") <= self.share
        assert status.limit == self.limit
        assert status.in_flight == len(self.out)
        assert status.waiting == len(self.queue)
        assert status.paused_for == max(0.0, self.paused_until - at)
        blocked = contended or at < self.paused_until
        assert status.remaining == (0 if blocked else self.limit - used)
        assert (status.next_free == 0.0) == (status.remaining > 0)
        # Nobody waits beside a permit, nor past the time they were willing to.
        if contended and at >= self.paused_until:
            assert used == self.limit
        assert all(waiter.latest >= at for waiter in self.queue)
        assert len(timers(self.loop)) == bool(self.queue)
        assert self.limiter.room("bulk") == (self.limit - used, self.limit)
        share = min(self.limit - used, self.share - self.used("polling"))
        assert self.limiter.room("polling") == (share, self.share)

    def everybody_gets_there(self) -> None:
        """When requests are answered, whoever has the patience is served: no wake-up is lost."""
        self.turn(max(0.0, self.paused_until - self.loop.time()))
        # At least one a round, after those that are lost or not answered yet.
        self.finish_all(2 + len(self.queue))
        assert self.queue == []
        self.turn(LOST)
        assert self.limiter.status().remaining == self.limit
        assert self.limiter.room("polling") == (self.share, self.share)

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        self.everybody_gets_there()
        self.limiter.close()
        self.loop.run_until_complete(ended(*(waiter.task for waiter in self.queue)))
        assert timers(self.loop) == []
        assert self.limiter.status().waiting == 0
        self.loop.close()


_LimiterMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
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


@pytest.mark.parametrize("seconds", [0, 5])
async def test_a_closed_limiter_sets_no_timer_while_its_waiters_leave(seconds: float):
    """Closing drops the timer, and what ends afterwards does not bring it back, pause or not."""
    loop = asyncio.get_running_loop()
    limiter = new_limiter(3, spent=3)
    limiter.pause(seconds)
    tasks = [waiting(limiter) for _ in range(5)]
    await turns()
    limiter.close()
    limiter.close()
    tasks[0].cancel()
    limiter.unused()
    limiter.unused()
    assert timers(loop) == []
    await ended(*tasks)
    limiter.unused()
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
async def test_ten_thousand_waiters_come_and_go(order: Callable[[Any], Any]):
    """All are queued and all leave, first, last or any first, within moments."""
    limiter = new_limiter(300, spent=300)
    tasks = [waiting(limiter) for _ in range(10_000)]
    await turns()
    assert limiter.status().waiting == 10_000
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


async def test_a_long_queue_is_not_looked_through_for_every_permit():
    """Permits that come back one by one to 3,000 waiters: a handful of looks, not hundreds."""
    limiter = new_limiter(300)
    looks: list[int] = []
    turn_away = limiter._turn_away

    def spy(at: float, waiting: int) -> None:
        looks.append(waiting)
        turn_away(at, waiting)

    limiter._turn_away = spy  # type: ignore[method-assign]
    for _ in range(300):
        assert limiter.try_acquire()
        limiter.answered()
        await asyncio.sleep(0.003)
    served: list[int] = []

    async def one(number: int) -> None:
        await limiter.acquire(FOREVER)
        served.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(3000)]
    await asyncio.sleep(62)
    assert served == list(range(300))
    assert len(looks) <= 0.9 / (2700 * 1e-4) + 2
    await ended(*tasks)


async def test_in_a_long_queue_who_comes_too_late_hears_it_a_moment_later():
    """A tenth of a second for a thousand who wait; at once in a short queue."""
    limiter = new_limiter(300, spent=300)
    patient = [waiting(limiter) for _ in range(1000)]
    hasty = [waiting(limiter, 400) for _ in range(2)]
    await turns()
    limiter.pause(1)  # everybody is looked through
    start = now()
    limiter.pause(300)
    await turns()
    assert not any(task.done() for task in hasty)
    await asyncio.wait(hasty)
    assert now() - start == pytest.approx(1002 * 1e-4, abs=1e-6)
    for task in hasty:
        assert isinstance(task.exception(), RateLimitedError)
    assert limiter.status().waiting == 1000
    await ended(*patient)


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


# -- lanes


def in_lane(limiter: Limiter, lane: Lane, wait: float = FOREVER) -> asyncio.Task[None]:
    """A task that waits in a lane for `wait` seconds at most."""
    return asyncio.create_task(limiter.acquire(now() + wait, lane))


def laned(limit: int, share: int) -> Limiter:
    """A limiter on the running loop whose polling has `share` of the permits."""
    return Limiter(limit, asyncio.get_running_loop(), polling_limit=share)


async def test_lanes_take_turns_while_permits_are_short():
    """Of four served in succession three are interactive; of the others bulk has two in three."""
    limiter = new_limiter(1, spent=1)
    order: list[str] = []

    async def one(lane: Lane) -> None:
        await limiter.acquire(FOREVER, lane)
        order.append(lane[0])
        limiter.unused(lane)

    tasks = [
        asyncio.create_task(one(lane))
        for lane in ("polling", "bulk", "interactive")  # whoever came first
        for _ in range(20)
    ]
    await turns()
    limiter.unused()
    await asyncio.gather(*tasks)
    assert "".join(order) == "iiibiiibiiip" * 2 + "iib" + "bp" + "bbp" * 7 + "p" * 10


async def test_a_lane_that_does_not_wait_is_passed_over():
    """Alone, each lane has every permit."""
    for lane in LANES:
        limiter = new_limiter(1, spent=1)
        tasks = [in_lane(limiter, lane) for _ in range(5)]
        await turns()
        limiter.unused()
        for task in tasks:
            await task
            limiter.unused(lane)


async def test_polling_has_its_share_and_no_more():
    """Two of five: the others stay for the rest, although polling waits."""
    limiter = laned(5, 2)
    assert limiter.try_acquire("polling")
    assert limiter.try_acquire("polling")
    assert not limiter.try_acquire("polling")
    waiter = in_lane(limiter, "polling")
    await turns()
    assert limiter.status().remaining == 3
    assert limiter.room("polling") == (0, 2)
    assert all(limiter.try_acquire() for _ in range(2))
    assert limiter.try_acquire("bulk")
    assert not limiter.try_acquire()
    start = now()
    limiter.answered("polling")
    await waiter
    assert now() - start == pytest.approx(BACK, abs=1e-6)


async def test_a_request_of_polling_that_is_lost_or_never_left_is_counted_so():
    """65 s for the one, nothing for the other, in its share as in the budget."""
    limiter = laned(5, 1)
    assert limiter.try_acquire("polling")
    limiter.unused("polling")
    assert limiter.try_acquire("polling")
    limiter.lost("polling")
    start = now()
    await limiter.acquire(FOREVER, "polling")
    assert now() - start == pytest.approx(LOST, abs=1e-6)


async def test_polling_beyond_its_share_is_told_so():
    """The error names the share where it is that, and not the budget, that is spent."""
    limiter = laned(3, 1)
    assert limiter.try_acquire("polling")
    with pytest.raises(RateLimitedError, match="polling's share of 1 requests a minute") as refused:
        await limiter.acquire(now() + 5, "polling")
    assert refused.value.retry_after == pytest.approx(BACK)
    assert all(limiter.try_acquire() for _ in range(2))
    with pytest.raises(RateLimitedError, match="the budget of 3 requests a minute"):
        await limiter.acquire(now() + 5, "polling")


async def test_polling_does_not_slip_in_before_those_who_wait():
    """With room in its share and a permit just back it still queues."""
    limiter = laned(1, 1)
    assert limiter.try_acquire()
    limiter.answered()
    waiter = waiting(limiter)
    await turns()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    loop.advance(BACK)
    assert not limiter.try_acquire("polling")
    await waiter


async def test_nobody_slips_in_before_polling_that_waits_for_a_permit():
    """A permit is back and its timer not run yet: it is that of the waiter."""
    limiter = laned(1, 1)
    assert limiter.try_acquire()
    limiter.answered()
    waiter = in_lane(limiter, "polling")
    await turns()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    loop.advance(BACK)
    assert not limiter.try_acquire()
    await waiter


async def test_the_timer_is_moved_for_somebody_who_can_be_served_sooner():
    """Polling waits for its share for long; an interactive call then for a permit."""
    limiter = laned(2, 1)
    assert limiter.try_acquire("polling")
    assert limiter.try_acquire()
    limiter.answered()
    start = now()
    await asyncio.sleep(30)
    polling = in_lane(limiter, "polling")
    await turns()
    assert timers(asyncio.get_running_loop()) == [start + 30 + BACK]
    await waiting(limiter)
    assert now() - start == pytest.approx(BACK, abs=1e-6)
    assert len(timers(asyncio.get_running_loop())) == 1
    await ended(polling)


async def test_the_turns_of_other_lanes_count_for_the_forecast():
    """Three interactive calls go first, so the first of bulk has the fourth permit."""
    limiter = new_limiter(1, spent=1)
    limiter.answered()
    others = [waiting(limiter) for _ in range(5)]
    await turns()
    with pytest.raises(RateLimitedError) as refused:
        await limiter.acquire(now() + 4 * BACK - 0.1, "bulk")
    assert refused.value.retry_after == pytest.approx(4 * BACK)
    # The second of bulk has three more before it, of which two are there.
    first = in_lane(limiter, "bulk", 4 * BACK)
    await turns()
    with pytest.raises(RateLimitedError) as later:
        await limiter.acquire(now(), "bulk")
    assert later.value.retry_after == pytest.approx(7 * BACK)
    await ended(first, *others)


async def test_the_forecast_knows_whose_turn_is_next():
    """After three interactive calls that had to wait, the next permit is that of bulk."""
    limiter = new_limiter(1, spent=1)
    for _ in range(3):
        waiter = waiting(limiter)
        await turns()
        limiter.unused()
        await waiter
    limiter.answered()
    other = waiting(limiter, BACK + 1)
    bulk = in_lane(limiter, "bulk", BACK)
    await turns()
    assert not bulk.done()
    limiter.pause(0.5)
    with pytest.raises(RateLimitedError) as refused:
        await other
    assert refused.value.retry_after == pytest.approx(2 * BACK)
    await bulk


async def test_polling_that_waits_for_its_share_is_not_counted_on():
    """Nobody is turned away, when they come or later, because of turns it may not have."""
    limiter = laned(2, 1)
    assert limiter.try_acquire("polling")
    assert limiter.try_acquire()
    limiter.answered()
    start = now()
    await asyncio.sleep(10)
    held = [in_lane(limiter, "polling") for _ in range(2)]
    bulk = [in_lane(limiter, "bulk", 10_000) for _ in range(2)]
    await turns()
    # Permits at 61, 71 (were the answer to come now), 122 and 132 s; the third is its.
    bulk.append(in_lane(limiter, "bulk", 2 * BACK - 10))
    await turns()
    limiter.pause(0.5)
    await turns()
    assert limiter.status().waiting == 5
    with pytest.raises(RateLimitedError):
        await bulk[2]  # the answer comes too late after all
    assert now() - start <= 2 * BACK
    await ended(*held, *bulk)


async def test_the_share_counts_for_who_waits_and_for_who_comes():
    """Of two who wait for one permit of polling in a minute the second has the second minute."""
    limiter = laned(9, 1)
    assert limiter.try_acquire("polling")
    limiter.answered("polling")
    first, second = in_lane(limiter, "polling", BACK), in_lane(limiter, "polling", 2 * BACK)
    await turns()
    with pytest.raises(RateLimitedError) as refused:
        await limiter.acquire(now() + 2 * BACK, "polling")
    assert refused.value.retry_after == pytest.approx(3 * BACK)
    limiter.pause(1)
    await first
    start = now()
    await asyncio.sleep(1)
    limiter.answered("polling")  # a second too late for the second one
    with pytest.raises(RateLimitedError) as late:
        await second
    assert now() - start <= BACK
    assert late.value.retry_after == pytest.approx(start + 1 + BACK - now(), abs=1e-6)


async def test_the_gap_of_a_lane_is_the_wider_of_its_share_and_the_budget():
    """Nothing is spread in a pause."""
    limiter = laned(300, 30)
    assert limiter.gap("bulk") == pytest.approx(61 / 300)
    assert limiter.gap("polling") == pytest.approx(61 / 30)
    for _ in range(299):
        limiter.try_acquire()
        limiter.answered()
    assert limiter.gap("bulk") == limiter.gap("polling") == pytest.approx(61)
    limiter.pause(5)
    assert limiter.gap("bulk") == 0.0


@attrs.define
class _Unsteady(_Wire):
    """Its calls are cancelled at any moment; what has left by then may have arrived."""

    async def request(self) -> None:
        await self.limiter.acquire(FOREVER, self.lane)
        sent, book = now(), self.limiter.unused
        try:
            if self.chance.random() < 0.8:
                book = self.limiter.lost
                await asyncio.sleep(self.chance.uniform(0, 5))
                if self.chance.random() < 0.9:
                    book = self.limiter.answered
        finally:
            if book != self.limiter.unused:
                self.arrivals.append(self.chance.uniform(sent, now()))
            book(self.lane)

    async def saturate(self, workers: int, seconds: float) -> list[float]:
        """As ever, with somebody who cancels and pauses."""
        until = now() + seconds
        tasks = [asyncio.create_task(self.worker(until)) for _ in range(workers)]
        while now() < until:
            await asyncio.sleep(self.chance.expovariate(1 / 4))
            index = self.chance.randrange(workers)
            if self.chance.random() < 0.1:
                self.limiter.pause(self.chance.uniform(0, 20))
            tasks[index].cancel()
            await asyncio.sleep(0)
            tasks[index] = asyncio.create_task(self.worker(until))
        await ended(*tasks)
        return sorted(self.arrivals)


@given(seed=st.integers(0, 2**32), limit=st.integers(1, 12), share=st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_cancellations_and_pauses_cost_no_permit_and_exceed_no_window(
    seed: int, limit: int, share: int
):
    """In every window the limit and the share hold; in the end every permit is back."""

    async def main() -> None:
        limiter = laned(limit, min(share, limit))
        wires = {
            lane: _Unsteady(limiter, dice(seed + i), lane=lane) for i, lane in enumerate(LANES)
        }
        arrivals = await asyncio.gather(*(wire.saturate(6, 400) for wire in wires.values()))
        check_windows(sorted(chain.from_iterable(arrivals)), limit)
        if arrivals[2]:
            check_windows(arrivals[2], min(share, limit))
        await asyncio.sleep(LOST)
        status = limiter.status()
        assert (status.waiting, status.in_flight, status.remaining) == (0, 0, limit)
        assert limiter.room("polling") == (min(share, limit),) * 2

    dry(main())


@given(seed=st.integers(0, 2**32), limit=st.integers(2, 12), share=st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_no_window_holds_more_than_the_limit_or_the_share(seed: int, limit: int, share: int):
    """All lanes at full speed, answers late, lost and never sent: every window holds."""
    share = min(share, limit)

    async def main() -> None:
        limiter = laned(limit, share)
        chance = dice(seed)
        wires = {
            lane: _Wire(limiter, chance, lost=0.1, unsent=0.1, lane=lane)
            for lane in LANES
            if lane == "polling" or chance.random() < 0.7
        }
        arrivals = await asyncio.gather(*(wire.saturate(8, 400) for wire in wires.values()))
        check_windows(sorted(chain.from_iterable(arrivals)), limit)
        polled = sorted(wires["polling"].arrivals)
        if polled:  # with few permits its turn may not have come yet
            check_windows(polled, share)

    dry(main())
