"""The pace of sweeps: when they are spread, when not, and what it costs them."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from clock import dry
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async.config import CallOptions
from presence_async.limiter import Limiter
from presence_async.pacing import Pacer

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async.config import Lane

FOREVER = 1e12
EVEN, BURST = CallOptions(), CallOptions(pacing="burst")


def now() -> float:
    """Time of the running loop."""
    return asyncio.get_running_loop().time()


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def turns(count: int = 6) -> None:
    """Let the loop turn a few times without moving the clock."""
    for _ in range(count):
        await asyncio.sleep(0)


@attrs.define(eq=False)
class _Sweep:
    """Requests of one lane, sent as the session sends them, and when they were."""

    limit: int = 60
    lane: Lane = "bulk"
    polling_limit: int | None = None
    work: int | None = None  # what is known to be left; counted down
    answer: Callable[[], float] = lambda: 0.0
    options: CallOptions = EVEN
    sent: list[float] = attrs.field(factory=list)
    limiter: Limiter = attrs.field(init=False)
    pacer: Pacer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.limiter = Limiter(self.limit, loop, polling_limit=self.polling_limit)
        self.pacer = Pacer(
            self.lane, self.limiter, loop=loop, work=lambda: self.work, rest=asyncio.sleep
        )

    async def one(self) -> None:
        """One request, from its turn to its answer."""
        if self.work is not None:
            self.work -= 1
        await self.pacer.begin(self.options)
        try:
            await self.limiter.acquire(FOREVER, self.lane)
        finally:
            self.pacer.end()
        self.sent.append(now())
        book = self.limiter.lost
        try:
            await asyncio.sleep(self.answer())
            book = self.limiter.answered
        finally:
            book(self.lane)

    async def run(self, count: int, workers: int = 16, *, known: bool = True) -> float:
        """`count` requests by some workers; the seconds that they took."""
        start = now()
        self.work = count if known else None
        left = iter(range(count))

        async def worker() -> None:
            for _ in left:
                await self.one()

        await asyncio.gather(*(worker() for _ in range(workers)))
        return now() - start

    def gaps(self) -> list[float]:
        """Seconds between one request and the next."""
        return [later - earlier for earlier, later in pairwise(self.sent)]


def jitter(seed: int) -> Callable[[], float]:
    """Answers that take up to half a second."""
    chance = random.Random(seed)  # noqa: S311  # chance, no secret
    return lambda: chance.uniform(0, 0.5)


# -- when


async def test_a_sweep_that_fits_into_what_is_left_goes_at_full_speed():
    """Sixty of sixty: no time passes."""
    assert await _Sweep().run(60) == 0


async def test_a_sweep_that_does_not_fit_is_spread_from_its_beginning():
    """Three times the budget: a request a second, from the first to the last."""
    sweep = _Sweep()
    assert await sweep.run(180) == pytest.approx(3 * 61, rel=0.02)
    assert max(sweep.gaps()) < 1.1
    assert sum(moment < sweep.sent[0] + 30 for moment in sweep.sent) == pytest.approx(30, abs=1)


async def test_what_others_have_used_counts():
    """Ten requests with five permits left: spread over what is left of the minute."""
    sweep = _Sweep()
    for _ in range(55):
        assert sweep.limiter.try_acquire()
        sweep.limiter.answered()
    await asyncio.sleep(11)
    await sweep.run(10)
    assert sweep.gaps()[:4] == pytest.approx([10] * 4)


async def test_a_sweep_of_unknown_length_goes_at_full_speed_through_half_the_budget():
    """What it then has left lasts until its first permits are back."""
    sweep = _Sweep()
    await sweep.run(60, known=False)
    assert sum(gap == 0 for gap in sweep.gaps()) == 30
    assert sweep.gaps()[-1] == pytest.approx(61 / 29, rel=0.05)


async def test_polling_is_spread_by_its_share():
    """Six of sixty in a minute: six times the share take six minutes."""
    sweep = _Sweep(lane="polling", polling_limit=6)
    assert await sweep.run(36) == pytest.approx(6 * 61, rel=0.05)
    assert min(sweep.gaps()) > 9
    assert await _Sweep(lane="polling", polling_limit=6).run(6) == 0


@pytest.mark.parametrize(
    ("lane", "options"), [("bulk", BURST), ("polling", BURST), ("interactive", EVEN)]
)
async def test_who_does_not_want_to_be_spread_is_not(lane: Lane, options: CallOptions):
    """With pacing="burst", and always in the interactive lane."""
    sweep = _Sweep(lane=lane, options=options)
    assert await sweep.run(180) == pytest.approx(2 * 61)


async def test_nobody_waits_for_the_pace_longer_than_for_a_permit():
    """Where `max_wait` is shorter the limiter is asked at once."""
    sweep = _Sweep(limit=2, options=CallOptions(max_wait=30))
    sweep.work = 100
    start = now()
    await sweep.one()
    await sweep.one()  # half a minute is a little more than 30 s
    assert now() == start


async def test_in_a_pause_nobody_is_spread():
    """They are to hear from the limiter how long it takes."""
    sweep = _Sweep()
    sweep.work = 1000
    sweep.limiter.pause(5)
    tasks = [asyncio.create_task(sweep.one()) for _ in range(3)]
    await ended(tasks[0])
    await asyncio.wait(tasks[1:])
    assert sweep.gaps() == [0]


@pytest.mark.parametrize("late", [0.05, 0.5])
async def test_timers_that_are_late_do_not_slow_a_sweep_down(late: float):
    """Each rest is that much too long; the requests keep to the grid all the same."""
    sweep = _Sweep()

    async def rest(seconds: float) -> None:
        await asyncio.sleep(seconds + late)

    sweep.pacer._rest = rest
    seconds = await sweep.run(180)
    assert seconds == pytest.approx(3 * 61, rel=0.02)
    assert min(sweep.gaps()) > 0.4


async def test_a_share_of_one_is_spread_one_by_one():
    """A request every 61 s, and nothing held up for longer."""
    sweep = _Sweep(limit=300, lane="polling", polling_limit=1)
    assert await sweep.run(5) == pytest.approx(4 * 61)
    assert sweep.gaps() == pytest.approx([61] * 4)


async def test_a_budget_of_one_is_spread_one_by_one():
    """Known or not, and with more workers than permits."""
    for known in (True, False):
        assert await _Sweep(limit=1).run(4, known=known) == pytest.approx(3 * 61)


# -- what it is for, and what it costs


async def test_interactive_calls_find_a_permit_at_any_moment_of_a_sweep():
    """In its first minute there is always something left; later they wait for a moment."""
    sweep = _Sweep()
    task = asyncio.create_task(sweep.run(1000))
    waits = []
    for _ in range(60):
        await asyncio.sleep(3.7)
        asked = now()
        await sweep.limiter.acquire(FOREVER)
        waits.append(now() - asked)
        sweep.limiter.answered()
    assert max(waits[:13]) == 0
    assert max(waits) < 4.1
    await ended(task)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("known", [True, False])
def test_3000_requests_of_a_sweep_take_619_seconds_at_most(seed: int, *, known: bool):
    """300 a minute, answers within half a second: spreading costs no more than its first minute."""

    async def main() -> None:
        sweep = _Sweep(limit=300, answer=jitter(seed))
        assert await sweep.run(3000, known=known) <= 619

    dry(main())


@given(
    answers=st.lists(st.floats(0, 0.5), min_size=1, max_size=30),
    limit=st.integers(1, 40),
    rounds=st.integers(1, 4),
    workers=st.integers(1, 50),
)
@settings(max_examples=60, deadline=None)
def test_spreading_uses_every_permit(answers: list[float], limit: int, rounds: int, workers: int):
    """Whatever the answers take, so many rounds of the budget take so many turns of it."""

    async def main() -> None:
        times = iter(answers * 200)
        sweep = _Sweep(limit=limit, answer=lambda: next(times))
        seconds = await sweep.run(rounds * limit + 1, workers)
        # With enough workers a turn is 61 s and the slowest answer; few are slower by themselves.
        slowest = max(answers)
        alone = (rounds * limit + 1) * slowest / min(workers, limit)
        assert seconds <= rounds * (61 + slowest) + alone + slowest + 1e-6

    dry(main())


# -- not too many at a time


async def test_of_a_crowd_sixteen_ask_for_permits_and_the_rest_wait_in_order():
    """The limiter's queue never holds more of them, and they are served as they came."""
    sweep = _Sweep(limit=1, options=BURST)
    served = []

    async def one(number: int) -> None:
        await sweep.one()
        served.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(100)]
    await turns()
    assert served == [0]
    assert sweep.limiter.status().waiting == 16
    await asyncio.wait(tasks)
    assert served == list(range(100))


async def test_only_who_is_inside_makes_room():
    """Ending it twice, or from another task, changes nothing."""
    pacer = _Sweep(options=BURST).pacer
    held = [asyncio.create_task(_hold(pacer)) for _ in range(15)]
    await turns()
    await pacer.begin(BURST)
    last = asyncio.create_task(_hold(pacer))

    async def end() -> None:
        pacer.end()

    await asyncio.create_task(end())
    await turns()
    assert len(pacer._inside) == 16
    pacer.end()
    pacer.end()
    await turns()
    assert len(pacer._inside) == 16
    await ended(last, *held)
    assert pacer._inside == set()


async def _hold(pacer: Pacer) -> None:
    """Come in and stay until cancelled."""
    await pacer.begin(BURST)
    try:
        await asyncio.sleep(FOREVER)
    finally:
        pacer.end()


async def test_who_is_cancelled_holds_nobody_up():
    """While it waits for its turn, for the pace, or for its permit."""
    sweep = _Sweep(limit=2)
    sweep.work = 1000
    await sweep.one()
    first, second, third = (asyncio.create_task(sweep.one()) for _ in range(3))
    await turns()
    start = now()
    await ended(second)
    await ended(first)  # it is its pace that is waited for
    await third
    assert now() - start == pytest.approx(61 / 2, abs=1)


async def test_who_is_cancelled_at_its_permit_holds_nobody_up():
    """Its turn ends with it."""
    sweep = _Sweep(limit=1, options=BURST)
    await sweep.one()
    start = now()
    tasks = [asyncio.create_task(sweep.one()) for _ in range(17)]
    await asyncio.sleep(1)
    assert sweep.limiter.status().waiting == 16
    await ended(*tasks[:16])
    await tasks[16]
    assert now() - start == pytest.approx(61)


@given(seed=st.integers(0, 2**32), limit=st.integers(1, 20), workers=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_cancellations_at_any_moment_leave_the_lane_as_it_was(seed: int, limit: int, workers: int):
    """Whoever is left gets through in order, and then nobody is inside and nothing is held."""

    async def main() -> None:
        chance = random.Random(seed)  # noqa: S311  # chance, no secret
        sweep = _Sweep(limit=limit, answer=jitter(seed))
        sweep.work = 1000
        done: list[int] = []

        async def one(number: int) -> None:
            await asyncio.sleep(number / 1000)
            await sweep.one()
            done.append(number)

        tasks = [asyncio.create_task(one(number)) for number in range(workers)]
        for task in chance.sample(tasks, workers // 2):
            await asyncio.sleep(chance.choice([0, 0.0005, chance.uniform(0, 90)]))
            task.cancel()
        await asyncio.wait(tasks)
        assert len(done) >= workers - workers // 2
        assert (sweep.pacer._inside, sweep.pacer._crowd) == (set(), 0)
        sweep.limiter.close()
        again = [asyncio.create_task(_hold(sweep.pacer)) for _ in range(20)]
        await asyncio.sleep(20 * 61)
        assert len(sweep.pacer._inside) == 16
        await ended(*again)

    dry(main())


async def test_closing_lets_everyone_through():
    """Whoever rests hears of it, and the rest after them, without a moment lost."""
    ending = asyncio.Event()

    async def rest(seconds: float) -> None:
        assert seconds > 0
        await ending.wait()

    loop = asyncio.get_running_loop()
    limiter = Limiter(2, loop)
    pacer = Pacer("bulk", limiter, loop=loop, work=lambda: 1000, rest=rest)
    through = []

    async def one(number: int) -> None:
        await pacer.begin(EVEN)
        pacer.end()
        through.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(50)]
    await turns()
    assert through == [0]
    start = now()
    ending.set()
    await asyncio.wait(tasks)
    assert now() == start
    assert through == list(range(50))
