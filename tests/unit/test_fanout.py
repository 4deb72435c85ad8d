"""Bounded concurrency: one outcome per item, whatever happens, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import clock
import pytest
from clock import leftovers
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async.errors import ClosedError, InvalidRequestError
from presence_async.fanout import FanOut, Outcome, check_concurrency, fan_out

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from presence_async.outcomes import Progress


class Boom(Exception):  # noqa: N818  # it is a bang, not an error
    """What a function of a test raises."""


class Gauge:
    """A function to fan out, and what was seen of it."""

    def __init__(self, seconds: Any = lambda item: 0.0, fails: Any = lambda item: False) -> None:
        self.seconds = seconds
        self.fails = fails
        self.running = 0
        self.peak = 0
        self.started: list[Any] = []

    async def __call__(self, item: Any) -> str:
        """Work on one item."""
        self.started.append(item)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            if (seconds := self.seconds(item)) is not None:
                await asyncio.sleep(seconds)
            if self.fails(item):
                raise Boom(item)
            return f"done {item}"
        finally:
            self.running -= 1


async def counting(count: int) -> AsyncIterator[int]:
    """Numbers, with a turn of the loop between them."""
    for number in range(count):
        await asyncio.sleep(0)
        yield number


def source(kind: str, count: int) -> Any:
    """That many numbers, as one kind of iterable."""
    if kind == "async":
        return counting(count)
    return {"list": list(range(count)), "iterator": iter(range(count)), "range": range(count)}[kind]


@settings(max_examples=120, deadline=None)
@given(
    plan=st.lists(
        st.tuples(st.sampled_from([None, 0.0, 0.5, 1.0, 7.0]), st.booleans()), max_size=40
    ),
    concurrency=st.integers(1, 9),
    ordered=st.booleans(),
    kind=st.sampled_from(["list", "iterator", "range", "async"]),
    pause=st.sampled_from([None, 0.0, 3.0]),
)
def test_exactly_one_outcome_per_item(
    plan: list[tuple[float | None, bool]],
    concurrency: int,
    ordered: Any,
    kind: str,
    pause: float | None,
) -> None:
    """One outcome each, bounded calls, bounded reading ahead, failures alone."""
    gauge = Gauge(lambda item: plan[item][0], lambda item: plan[item][1])
    ahead = 0
    pulled = 0

    def watched(items: Iterable[int]) -> Iterator[int]:
        nonlocal pulled
        for item in items:
            pulled += 1
            yield item

    async def everything() -> list[Outcome[int, str]]:
        nonlocal ahead
        items = source(kind, len(plan))
        many = fan_out(
            gauge,
            items if kind == "async" else watched(items),
            concurrency=concurrency,
            ordered=ordered,
        )
        found = []
        async for outcome in many:
            found.append(outcome)
            ahead = max(ahead, pulled - len(found))
            if pause is not None:
                await asyncio.sleep(pause)
        assert leftovers() == []
        return found

    outcomes = clock.run(everything())
    items = [outcome.item for outcome in outcomes]
    assert sorted(items) == list(range(len(plan)))
    assert len(gauge.started) == len(plan)
    if ordered:
        assert items == sorted(items)
    for outcome in outcomes:
        failing = plan[outcome.item][1]
        assert outcome.ok is not failing
        assert isinstance(outcome.error, Boom) is failing
        assert outcome.value == (None if failing else f"done {outcome.item}")
    assert gauge.peak <= concurrency
    assert ahead <= 2 * concurrency


@pytest.mark.parametrize(("ordered", "count"), [(False, 20_000), (True, 10_000)])
async def test_thousands_of_items_take_a_handful_of_tasks(ordered: Any, count: int) -> None:
    """Tasks are in proportion to the bound and never to the input."""
    before = len(asyncio.all_tasks())
    most = 0

    async def step(item: int) -> int:
        nonlocal most
        if item % 997 == 0:
            most = max(most, len(asyncio.all_tasks()))
            await asyncio.sleep(0)
        return item

    seen = 0
    async for outcome in fan_out(step, range(count), concurrency=64, ordered=ordered):
        seen += outcome.ok
    assert seen == count
    assert most - before <= 64


async def test_outcomes_come_as_they_are_done() -> None:
    """A slow item holds nobody up, unless order is asked for."""
    seconds = [5.0, 1.0, 3.0]
    as_done = await fan_out(Gauge(seconds.__getitem__), range(3))
    assert [outcome.item for outcome in as_done] == [1, 2, 0]
    in_order = await fan_out(Gauge(seconds.__getitem__), range(3), ordered=True)
    assert [outcome.item for outcome in in_order] == [0, 1, 2]


async def test_calls_overlap_up_to_the_bound() -> None:
    """Ten items of a second, five at a time, take two seconds."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    gauge = Gauge(lambda _: 1.0)
    await fan_out(gauge, range(10), concurrency=5)
    assert loop.time() - started == pytest.approx(2.0)
    assert gauge.peak == 5


@pytest.mark.parametrize("ordered", [False, True])
async def test_a_slow_consumer_slows_the_workers(ordered: Any) -> None:
    """Backpressure: at most twice the bound is pulled and not consumed."""
    gauge = Gauge()
    consumed = 0
    async for _ in fan_out(gauge, iter(range(60)), concurrency=3, ordered=ordered):
        await asyncio.sleep(100)
        consumed += 1
        assert len(gauge.started) - consumed <= 6
    assert consumed == 60


async def test_nothing_starts_before_the_first_outcome_is_wanted() -> None:
    """Making a fan-out costs nothing; dropping one neither."""
    gauge = Gauge()
    many = fan_out(gauge, range(5))
    await asyncio.sleep(1)
    assert gauge.started == []
    await many.aclose()
    with pytest.raises(ClosedError):
        await anext(many)
    assert gauge.started == []


def exploding(count: int) -> Iterator[int]:
    """Numbers, and then a bang."""
    yield from range(count)
    raise Boom("source")


async def exploding_later(count: int) -> AsyncIterator[int]:
    """Numbers, and then a bang, asynchronously."""
    async for number in counting(count):
        yield number
    raise Boom("source")


@pytest.mark.parametrize("make", [exploding, exploding_later])
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("count", [0, 1, 7])
async def test_errors_of_the_source_come_after_its_items(
    make: Any, ordered: Any, count: int
) -> None:
    """What it gave is finished first; the error comes once, then the end."""
    many = fan_out(Gauge(lambda item: float(item % 3)), make(count), concurrency=3, ordered=ordered)
    seen: list[int] = []

    async def consume() -> None:
        async for outcome in many:
            seen.append(outcome.item)  # noqa: PERF401  # what was seen before the error counts

    with pytest.raises(Boom, match="source"):
        await consume()
    assert sorted(seen) == list(range(count))
    with pytest.raises(StopAsyncIteration):
        await anext(many)


class Unwilling:
    """An iterable that cannot be iterated."""

    def __iter__(self) -> Any:
        raise Boom("iter")


async def test_a_source_that_cannot_be_iterated() -> None:
    """Its error comes out, nothing hangs, nothing is left."""
    many = fan_out(Gauge(), Unwilling())
    with pytest.raises(Boom):
        await anext(many)
    with pytest.raises(StopAsyncIteration):
        await anext(many)
    await many.aclose()


async def test_break_stops_at_once() -> None:
    """A plain loop left early cancels what is in flight within the next turns."""
    gauge = Gauge(lambda item: 0.0 if item == 0 else 1000.0)
    async for outcome in fan_out(gauge, range(100), concurrency=4):
        assert outcome.item == 0
        break
    started = asyncio.get_running_loop().time()
    for _ in range(3):
        await asyncio.sleep(0)
    assert leftovers() == []
    assert gauge.running == 0
    assert asyncio.get_running_loop().time() == started
    assert len(gauge.started) <= 8


@pytest.mark.parametrize("kind", ["generator", "async generator"])
async def test_an_error_that_is_kept_keeps_no_source(kind: str) -> None:
    """A dropped fan-out ends its source, though its frames live on in the error's traceback."""
    closed: list[str] = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.append("generator")

    async def async_numbers() -> AsyncIterator[int]:
        try:
            for number in range(100):
                yield number
        finally:
            closed.append("async generator")

    gauge = Gauge(fails=lambda item: True)
    many = fan_out(gauge, numbers() if kind == "generator" else async_numbers(), concurrency=2)
    outcome = await anext(many)
    del many
    for _ in range(5):
        await asyncio.sleep(0)
    assert not outcome.ok
    assert closed == [kind]


async def test_a_fan_out_that_is_dropped_stops() -> None:
    """Garbage collection ends it as well."""
    gauge = Gauge(lambda item: 0.0 if item == 0 else 1000.0)
    many = fan_out(gauge, range(100), concurrency=4)
    await anext(many)
    del many
    gc.collect()
    for _ in range(3):
        await asyncio.sleep(0)
    assert leftovers() == []


def test_a_fan_out_that_outlives_its_loop_is_dropped_quietly() -> None:
    """Collected after its loop was closed, it touches nothing."""
    kept: list[Any] = []

    async def leave() -> None:
        many = fan_out(Gauge(lambda item: 1000.0 if item else 0.0), range(9), concurrency=2)
        kept.append(many)
        await anext(many)

    clock.run(leave())
    kept.clear()
    gc.collect()
    assert kept == []


async def test_async_with_waits_for_the_end() -> None:
    """Behind the block nothing runs, not even for one more turn."""
    gauge = Gauge(lambda item: 0.0 if item == 0 else 1000.0)
    async with fan_out(gauge, range(100), concurrency=4) as many:
        async for _ in many:
            break
    assert leftovers() == []
    assert gauge.running == 0
    with pytest.raises(ClosedError, match="the fan-out is closed"):
        await anext(many)


async def test_aclose_can_be_repeated_and_works_at_any_time() -> None:
    """Before, during and after."""
    many = fan_out(Gauge(lambda _: 1.0), range(10), concurrency=2)
    await anext(many)
    await many.aclose()
    await many.aclose()
    assert leftovers() == []
    done = fan_out(Gauge(), range(3))
    assert len(await done) == 3
    await done.aclose()


async def test_a_cancelled_consumer_leaves_nothing() -> None:
    """Cancelled while it waits: by the time it ends, every call has ended."""
    gauge = Gauge(lambda item: 0.0 if item == 0 else 1000.0)
    many = fan_out(gauge, range(100), concurrency=4)

    async def consume() -> None:
        async for _ in many:
            pass

    task = asyncio.create_task(consume())
    await asyncio.sleep(10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert leftovers() == []
    assert gauge.running == 0
    with pytest.raises(ClosedError, match="cancelled"):
        await anext(many)


@pytest.mark.parametrize("when", range(8))
async def test_a_consumer_cancelled_at_every_await(when: int) -> None:
    """However far it came: nothing is left, and nothing hangs."""
    gauge = Gauge(lambda item: 0.0)

    async def consume() -> int:
        return len(await fan_out(gauge, counting(6), concurrency=2))

    task = asyncio.create_task(consume())
    for _ in range(when):
        await asyncio.sleep(0)
    task.cancel()
    results = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert leftovers() == []
    assert gauge.running == 0


async def test_a_function_that_swallows_its_cancellation_ends_the_run_all_the_same() -> None:
    """Closing waits for it, and it gets no further item."""
    started = []

    async def stubborn(item: int) -> int:
        started.append(item)
        try:
            await asyncio.sleep(1000 if item else 0)
        except asyncio.CancelledError:
            await asyncio.sleep(5)
        return item

    async with fan_out(stubborn, range(100), concurrency=2) as many:
        assert (await anext(many)).item == 0
    assert leftovers() == []
    assert len(started) <= 4


async def test_a_worker_cancelled_from_outside_is_told() -> None:
    """Its item's outcome is lost, so the consumer hears of it, and nothing hangs."""
    gauge = Gauge(lambda _: 1000.0)
    many = fan_out(gauge, range(100), concurrency=3)
    waiter = asyncio.create_task(anext(many))
    await asyncio.sleep(1)
    (victim, *_) = [task for task in asyncio.all_tasks() if task.get_name().endswith("fan-out")]
    victim.cancel()
    with pytest.raises(ClosedError, match="a worker of the fan-out was cancelled"):
        await waiter
    await many.aclose()
    assert leftovers() == []


async def test_a_cancelled_error_of_the_function_is_an_outcome() -> None:
    """Raised by the function itself, it is no cancellation of the worker."""

    async def raising(item: int) -> int:
        if item == 1:
            raise asyncio.CancelledError
        return item

    outcomes = await fan_out(raising, range(4), concurrency=2, ordered=True)
    assert [outcome.ok for outcome in outcomes] == [True, False, True, True]
    with pytest.raises(asyncio.CancelledError):
        outcomes[1].unwrap()


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration, GeneratorExit, Boom])
async def test_awkward_errors_of_the_function(error: type[BaseException]) -> None:
    """Control-flow exceptions do not end the run for the others."""

    def sync_raising(item: int) -> Any:
        if item == 2:
            raise error
        return asyncio.sleep(0, item)

    many = fan_out(sync_raising, range(5), concurrency=2)
    if error is GeneratorExit:
        with pytest.raises(GeneratorExit):
            await many
        return
    outcomes = await many
    assert sorted(outcome.item for outcome in outcomes) == list(range(5))
    assert sorted(outcome.item for outcome in outcomes if not outcome.ok) == [2]


async def test_a_failing_step_reaches_the_consumer() -> None:
    """What is no outcome of an item, a bug of the step itself, is raised and ends the run."""

    async def step(item: int) -> list[int]:
        if item == 2:
            raise Boom("step")
        return [item]

    many = FanOut(step, range(100), concurrency=1)
    with pytest.raises(Boom, match="step"):
        await many
    assert leftovers() == []


@pytest.mark.parametrize("consumers", [2, 5])
async def test_consumers_side_by_side(consumers: int) -> None:
    """Several tasks may share one fan-out: each outcome goes to exactly one of them."""
    many = fan_out(Gauge(lambda item: float(item % 3)), range(40), concurrency=4)

    async def consume() -> list[int]:
        return [outcome.item async for outcome in many]

    shares = await asyncio.gather(*(consume() for _ in range(consumers)))
    assert sorted(item for share in shares for item in share) == list(range(40))


async def test_concurrent_anexts_share_one_chunk() -> None:
    """One finished step with many outcomes serves everyone who waits."""

    async def step(item: int) -> list[int]:
        await asyncio.sleep(1)
        return [10 * item + digit for digit in range(10)]

    many = FanOut(step, [1], concurrency=1)
    waiters: list[Any] = [asyncio.ensure_future(anext(many)) for _ in range(11)]
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert sorted(result for result in results if isinstance(result, int)) == list(range(10, 20))
    assert sum(isinstance(result, StopAsyncIteration) for result in results) == 1


async def test_a_step_may_have_no_outcome() -> None:
    """Nothing is waited for that does not come."""

    async def step(item: int) -> list[int]:
        return [item] if item % 2 else []

    assert await FanOut(step, range(6), concurrency=2, ordered=True) == [1, 3, 5]


async def test_abort_tells_the_reason() -> None:
    """Who still iterates gets it, busy or waiting."""
    many = fan_out(Gauge(lambda item: 0.0 if item < 3 else 1000.0), range(10), concurrency=2)
    await anext(many)
    await many.abort(ClosedError("the client is closed"))
    await many.aclose()
    with pytest.raises(ClosedError, match="the client is closed"):
        await anext(many)
    waiting = fan_out(Gauge(lambda _: 1000.0), range(10), concurrency=2)
    task = asyncio.create_task(anext(waiting))
    await asyncio.sleep(1)
    await waiting.abort(ClosedError("the client is closed"))
    with pytest.raises(ClosedError, match="the client is closed"):
        await task


async def test_an_interrupted_fan_out_makes_no_outcome_of_what_fails_next() -> None:
    """Its calls may end by themselves from then on; whoever awaits it gets the reason."""
    ending = asyncio.Event()

    async def call(_: int) -> None:
        await ending.wait()
        raise ClosedError("the client is closed")

    many = fan_out(call, range(10), concurrency=2)
    task = asyncio.ensure_future(many)
    await asyncio.sleep(1)
    many.interrupt(ClosedError("for this reason"))
    ending.set()
    with pytest.raises(ClosedError, match="for this reason"):
        await task


async def test_a_fan_out_that_loses_nothing_is_not_interrupted() -> None:
    """Every item keeps its outcome."""

    async def step(item: int) -> list[int]:
        await asyncio.sleep(1)
        return [item]

    update: FanOut[int] = FanOut(step, range(3), concurrency=1, loses_nothing=True)
    task = asyncio.ensure_future(update)
    await asyncio.sleep(0.5)
    update.interrupt(ClosedError("the client is closed"))
    await update.abort(ClosedError("the client is closed"))
    assert await task == [0, 1, 2]


async def test_what_is_left_is_counted_where_that_is_known() -> None:
    """Items that nobody has taken: of a list all, of a generator nobody knows, at the end none."""
    known = fan_out(_echo, [1, 2, 3, 4], concurrency=1)
    unknown = fan_out(_echo, (item for item in range(4)), concurrency=1)
    await anext(known)
    assert known.left() == 3
    await known.aclose()
    assert known.left() == 0
    await anext(unknown)
    assert unknown.left() is None
    await unknown.aclose()
    assert unknown.left() == 0


async def test_on_start_comes_with_the_first_outcome_and_may_refuse() -> None:
    """Whoever ends it is told when it starts; a refusal keeps it from starting."""
    told: list[Any] = []

    async def step(item: int) -> list[int]:
        return [item]

    many = FanOut(step, range(2), concurrency=1, on_start=told.append)
    assert told == []
    assert await many == [0, 1]
    assert told == [many]

    def refuse(_: Any) -> None:
        raise ClosedError("not open")

    refused = FanOut(step, range(2), concurrency=1, on_start=refuse)
    with pytest.raises(ClosedError, match="not open"):
        await refused


class Tidy:
    """An async generator of numbers that remembers how it ended."""

    def __init__(self, cleanup: BaseException | None = None) -> None:
        self.closed = False
        self.cleanup = cleanup

    async def numbers(self) -> AsyncIterator[int]:
        """Without end."""
        number = 0
        try:
            while True:
                yield number
                number += 1
                await asyncio.sleep(0)
        finally:
            self.closed = True
            if self.cleanup is not None:
                raise self.cleanup


async def test_leaving_early_closes_the_generator_it_read() -> None:
    """Its own clean-up is done behind the block, not in some later turn."""
    tidy = Tidy()
    async with fan_out(Gauge(), tidy.numbers(), concurrency=2) as many:
        await anext(many)
    assert tidy.closed


async def test_a_generator_that_fails_in_its_clean_up_is_reported() -> None:
    """Closing goes on; asyncio's exception handler gets the error."""
    loop = asyncio.get_running_loop()
    reports: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, report: reports.append(report))
    tidy = Tidy(Boom("clean-up"))
    many = fan_out(Gauge(), tidy.numbers(), concurrency=2)
    await anext(many)
    await asyncio.sleep(1)  # until it waits for room, and the generator for the next call
    await many.aclose()
    assert tidy.closed
    assert [str(report["exception"]) for report in reports] == ["clean-up"]


async def test_few_items_start_few_workers() -> None:
    """The bound is the most there are, not what there always is."""
    most = 0

    async def step(item: int) -> None:
        nonlocal most
        await asyncio.sleep(1)
        most = max(most, len(leftovers()))

    await fan_out(step, range(3), concurrency=10_000)
    assert most <= 4


async def test_awaiting_gives_a_list() -> None:
    """And an empty source an empty one."""
    assert await fan_out(Gauge(), []) == []
    assert len(await fan_out(Gauge(), {3, 4})) == 2


@pytest.mark.parametrize("bad", [0, -1, 1.0, "2", True, None])
def test_concurrency_is_checked(bad: Any) -> None:
    """A whole number from 1."""
    with pytest.raises(InvalidRequestError) as caught:
        fan_out(Gauge(), [], concurrency=bad)
    assert caught.value.field == "concurrency"
    assert check_concurrency(7) == 7


@pytest.mark.parametrize("bad", [None, 5, object()])
def test_items_are_checked(bad: Any) -> None:
    """Something that can be iterated."""
    with pytest.raises(InvalidRequestError) as caught:
        fan_out(Gauge(), bad)
    assert caught.value.field == "items"


async def _echo(item: int) -> int:
    """The item, a moment later."""
    await asyncio.sleep(1)
    return item


async def test_an_awaited_fan_out_raises_the_error_of_its_source() -> None:
    """Every item that came before it has been worked on by then."""
    seen: list[int] = []

    async def note(item: int) -> None:
        seen.append(item)
        await asyncio.sleep(1)

    def items() -> Iterator[int]:
        yield from range(5)
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        await fan_out(note, items(), concurrency=2)
    assert seen == [0, 1, 2, 3, 4]


async def test_awaiting_the_rest_of_one_that_was_begun() -> None:
    """After some were iterated, awaiting gives the others."""
    outcomes = fan_out(_echo, range(10), concurrency=3, ordered=True)
    first = await anext(outcomes)
    assert [first.value, *(outcome.value for outcome in await outcomes)] == list(range(10))


async def test_a_step_that_fails_itself_is_told_to_who_iterates() -> None:
    """A mistake in a step is no outcome of an item: the consumer gets it."""

    async def step(item: int) -> list[int]:
        raise ArithmeticError(item)

    outcomes: FanOut[int] = FanOut(step, range(3), concurrency=2)
    with pytest.raises(ArithmeticError):
        await anext(outcomes)
    await outcomes.aclose()


async def test_a_single_item_needs_no_task() -> None:
    """Awaiting works in the caller, so that one item is one call and nothing else."""

    async def alone(_: int) -> list[Any]:
        return leftovers()

    assert [outcome.value for outcome in await fan_out(alone, [1])] == [[]]


async def test_closing_ends_an_awaited_fan_out_with_the_reason() -> None:
    """Whoever awaits it gets the reason once the call in hand has ended."""
    outcomes = fan_out(_echo, range(100), concurrency=2)
    collecting = asyncio.ensure_future(outcomes)
    await asyncio.sleep(0.5)
    await outcomes.abort(ClosedError("the client is closed"))
    with pytest.raises(ClosedError, match="the client is closed"):
        await collecting


def reported(reports: list[Progress]) -> list[tuple[int, int | None, int]]:
    """Done, total and failed of each report."""
    return [(report.done, report.total, report.failed) for report in reports]


@pytest.mark.parametrize("awaited", [True, False])
@pytest.mark.parametrize(("kind", "total"), [("list", 4), ("iterator", None), ("async", None)])
async def test_progress(kind: str, total: int | None, awaited: Any) -> None:
    """A report at the start and after each item, before the consumer has its outcome."""
    reports: list[Progress] = []
    gauge = Gauge(lambda item: item, lambda item: item == 2)
    many = fan_out(gauge, source(kind, 4), concurrency=4, on_progress=reports.append)
    assert reports == []
    if awaited:
        await many
    else:
        async for _ in many:
            seen = len(reports)
            assert seen >= 2
    assert reported(reports) == [
        (0, total, 0),
        (1, total, 0),
        (2, total, 0),
        (3, total, 1),
        (4, total, 1),
    ]
    assert [report.seconds for report in reports] == [0, 0, 1, 2, 3]


async def test_progress_of_nothing() -> None:
    """There is one report: the total is none."""
    reports: list[Progress] = []
    assert await fan_out(Gauge(), [], on_progress=reports.append) == []
    assert reported(reports) == [(0, 0, 0)]


async def test_a_failing_progress_callback_loses_no_outcome() -> None:
    """What it raises is logged, and the work goes on."""

    def failing(progress: Progress) -> None:
        raise Boom(progress)

    assert len(await fan_out(Gauge(), range(9), on_progress=failing)) == 9


async def test_progress_counts_what_was_made_and_not_what_was_taken() -> None:
    """A consumer that leaves early hears no more."""
    reports: list[Progress] = []
    async with fan_out(Gauge(), range(100), concurrency=2, on_progress=reports.append) as many:
        await anext(many)
        await asyncio.sleep(5)
    assert reports[-1].done == 4
    await asyncio.sleep(5)
    assert reports[-1].done == 4


def test_a_bad_progress_callback_is_refused() -> None:
    """Before anything is done."""
    with pytest.raises(InvalidRequestError) as caught:
        fan_out(Gauge(), [1], on_progress="print")  # type: ignore[arg-type]
    assert caught.value.field == "on_progress"
