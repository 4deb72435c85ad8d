"""Ids into chunks: each once, packed full, pulled as needed, and not waited for for ever."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import clock
import pytest
from clock import leftovers
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async.errors import InvalidRequestError
from presence_async.outcomes import Progress, Tally
from presence_async.resources._chunking import (
    DEDUPE_WINDOW,
    check_dedupe,
    check_linger,
    chunked,
)
from presence_async.resources.reading import BULK_READ_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

IDS = [f"u{number}" for number in range(50)]


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 5000])
@pytest.mark.parametrize("dedupe", ["window", "all"])
def test_chunks_hold_fifty(count: int, dedupe: Any) -> None:
    """Every id once, in order, fifty to a chunk."""
    ids = [f"u{number}" for number in range(count)]
    chunks = [list(chunk) for chunk in chunked(ids, dedupe)]  # type: ignore[union-attr]
    assert [user_id for chunk in chunks for user_id in chunk] == ids
    assert all(len(chunk) == BULK_READ_LIMIT for chunk in chunks[:-1])


def test_dedupe_window_forgets_and_all_does_not() -> None:
    """An id is read once within ten thousand others, again after twice as many, or never."""
    others = [f"u{number}" for number in range(2 * DEDUPE_WINDOW)]
    near = ["a", *others[: DEDUPE_WINDOW - 1], "a"]
    far = ["a", *others, "a"]

    def reads(ids: list[str], dedupe: Any) -> int:
        return sum(chunk.count("a") for chunk in map(list, chunked(ids, dedupe)))  # type: ignore[arg-type]

    assert [reads(ids, "window") for ids in (near, far)] == [1, 2]
    assert [reads(ids, "all") for ids in (near, far)] == [1, 1]


@pytest.mark.parametrize("before", [0, 49, 9_849, 9_899, 9_949, 9_998, 9_999])
def test_the_window_is_not_an_id_shorter(before: int) -> None:
    """An id that was there ten thousand ids ago is known, wherever it stood."""
    ids = [f"u{number}" for number in range(before)]
    ids += ["a", *(f"v{number}" for number in range(DEDUPE_WINDOW - 1)), "a"]
    chunks = chunked(iter(ids), "window")
    assert [user_id for chunk in chunks for user_id in chunk].count("a") == 1  # type: ignore[union-attr]


def test_the_window_counts_from_the_last_time_an_id_was_there() -> None:
    """An id that comes again and again within ten thousand others is read once."""
    others = (f"u{number}" for number in range(6 * DEDUPE_WINDOW))
    ids = [user_id for one in others for user_id in ((one, "a") if one.endswith("999") else (one,))]
    chunks = chunked(iter(ids), "window")
    assert [user_id for chunk in chunks for user_id in chunk].count("a") == 1  # type: ignore[union-attr]


def test_chunks_are_pulled_as_needed() -> None:
    """Fifty ids are taken for the first chunk and not one more."""
    source = iter(IDS * 3)
    chunks = iter(chunked((f"{number}{one}" for number, one in enumerate(source)), "window"))  # type: ignore[arg-type]
    assert len(next(chunks)) == 50
    assert len(list(source)) == 100


async def numbers(count: int, closed: list[str]) -> AsyncIterator[str]:
    """Ids from an async generator that tells when it ends."""
    try:
        for number in range(count):
            yield f"u{number}"
    finally:
        closed.append("closed")


@pytest.mark.parametrize("count", [0, 50, 51, 120])
async def test_async_ids(count: int) -> None:
    """An async iterator gives the same chunks."""
    chunks = [list(chunk) async for chunk in chunked(numbers(count, []), "all")]  # type: ignore[union-attr]
    assert [user_id for chunk in chunks for user_id in chunk] == [f"u{n}" for n in range(count)]


async def test_a_generator_of_ids_is_closed_with_its_chunks() -> None:
    """Leaving early ends the caller's generator at once, not in some later turn."""
    closed: list[str] = []
    chunks: Any = chunked(numbers(500, closed), "window")
    assert len(await anext(chunks)) == 50
    await chunks.aclose()
    assert closed == ["closed"]


class Plain:
    """An async iterator that is no generator and has nothing to close."""

    def __init__(self) -> None:
        self.left = 3

    def __aiter__(self) -> Plain:
        return self

    async def __anext__(self) -> str:
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return f"u{self.left}"


async def test_a_plain_async_iterator_of_ids() -> None:
    """Any async iterator will do."""
    chunks: Any = chunked(Plain(), "window")
    assert [chunk async for chunk in chunks] == [["u2", "u1", "u0"]]


@pytest.mark.parametrize("value", ["window", "all"])
def test_check_dedupe(value: Any) -> None:
    """The two there are."""
    assert check_dedupe(value) == value


@pytest.mark.parametrize("value", ["", None, "ALL", ["all"]])
def test_check_dedupe_refuses(value: Any) -> None:
    """And no other."""
    with pytest.raises(InvalidRequestError) as caught:
        check_dedupe(value)
    assert caught.value.field == "dedupe"


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_ids_before_a_failing_source_are_read(kind: str) -> None:
    """What the caller's iterable gave before it failed comes out as chunks first."""

    def some() -> Iterator[str]:
        yield from ("a", "b")
        raise LookupError("no more")

    async def some_async() -> AsyncIterator[str]:
        for user_id in some():
            yield user_id

    chunks: list[list[Any]] = []

    async def read() -> None:
        source = chunked(some() if kind == "sync" else some_async(), "all")
        if isinstance(source, AsyncIterator):
            async for chunk in source:
                chunks.append(list(chunk))  # noqa: PERF401  # kept when it raises
        else:
            chunks.extend(list(chunk) for chunk in source)

    with pytest.raises(LookupError, match="no more"):
        await read()
    assert chunks == [["a", "b"]]


async def slowly(*plan: tuple[float, str]) -> AsyncIterator[str]:
    """Ids, each after its pause."""
    for pause, user_id in plan:
        await asyncio.sleep(pause)
        yield user_id


def now() -> float:
    """The time on the loop."""
    return asyncio.get_running_loop().time()


async def arrivals(ids: AsyncIterator[str], **options: Any) -> list[tuple[float, list[Any]]]:
    """Each chunk and when it came, in seconds since the beginning."""
    start = now()
    chunks: Any = chunked(ids, "window", **options)
    return [(round(now() - start, 3), list(chunk)) async for chunk in chunks]


async def test_a_trickle_is_packed_full() -> None:
    """While ids come faster than the chunk's patience ends, every chunk is a full one."""
    ids = [f"u{number}" for number in range(120)]
    found = await arrivals(slowly(*((0.01, user_id) for user_id in ids)))
    assert [user_id for _, chunk in found for user_id in chunk] == ids
    assert [(when, len(chunk)) for when, chunk in found] == [(0.5, 50), (1.0, 50), (1.2, 20)]


async def test_a_half_full_chunk_waits_so_long_and_no_longer() -> None:
    """From its first id on, its patience; a source that ends is not waited for."""
    source = slowly((5.0, "a"), (0.3, "b"), (0.3, "c"), (20.0, "d"), (0.1, "e"))
    assert await arrivals(source) == [(6.0, ["a", "b", "c"]), (25.7, ["d", "e"])]


@pytest.mark.parametrize(("linger", "when"), [(0, 2.0), (0.25, 2.25), (30, 32.0)])
async def test_the_patience_is_an_option(linger: float, when: float) -> None:
    """Any number of seconds from none at all."""
    (first, _) = await arrivals(slowly((2.0, "a"), (50.0, "b")), linger=linger)
    assert first == (when, ["a"])


async def test_repeated_ids_do_not_keep_a_chunk_waiting() -> None:
    """An endless stream of ids that were seen already holds no new one back."""

    async def hot() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        while True:
            await asyncio.sleep(0.001)
            yield "a"

    chunks: Any = chunked(hot(), "window")
    start = now()
    assert await anext(chunks) == ["a", "b"]
    assert now() - start == pytest.approx(1.0)
    await chunks.aclose()


async def test_nobody_waits_while_nobody_asks() -> None:
    """Ids that were left over while no chunk was wanted are not overdue: the next is full."""

    async def burst() -> AsyncIterator[str]:
        for number in (*range(40), *range(10), *range(40, 130)):
            yield f"u{number}"

    sizes = []
    async for chunk in chunked(burst(), "window"):  # type: ignore[union-attr]
        sizes.append(len(chunk))
        await asyncio.sleep(100)
    assert sizes == [50, 50, 30]


async def test_at_most_one_batch_is_pulled_ahead() -> None:
    """Who does not ask for the next chunk does not make the source run."""
    pulled = 0

    async def counting() -> AsyncIterator[str]:
        nonlocal pulled
        while True:
            pulled += 1
            yield f"u{pulled}"

    chunks: Any = chunked(counting(), "window")
    await anext(chunks)
    await asyncio.sleep(10)
    assert pulled == 100
    await chunks.aclose()


@settings(max_examples=150)
@given(
    plan=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.0, 0.01, 0.4, 3.0]), st.integers(0, 150), st.integers(1, 70)
        ),
        max_size=20,
    ),
    linger=st.sampled_from([0, 0.05, 1.0]),
    pause=st.sampled_from([0.0, 0.3, 5.0]),
)
def test_whatever_the_rhythm_each_id_comes_once_and_in_time(
    plan: list[tuple[float, int, int]], linger: float, pause: float
) -> None:
    """No id is lost or doubled, and none waits longer than its due while chunks are wanted."""
    came: dict[str, float] = {}
    chunks: list[list[Any]] = []

    async def source() -> AsyncIterator[str]:
        for wait, first, count in plan:
            if wait:
                await asyncio.sleep(wait)
            for number in range(first, first + count):
                came.setdefault(f"u{number}", now())
                yield f"u{number}"

    async def consume() -> None:
        asked = now()
        async for chunk in chunked(source(), "all", linger=linger):  # type: ignore[union-attr]
            chunks.append(list(chunk))
            if len(chunk) < BULK_READ_LIMIT:
                oldest = min(came[user_id] for user_id in chunk)
                assert now() <= max(asked, oldest) + linger + 1e-6
            await asyncio.sleep(pause)
            asked = now()

    clock.dry(consume())
    assert [user_id for chunk in chunks for user_id in chunk] == list(came)
    assert all(0 < len(chunk) <= BULK_READ_LIMIT for chunk in chunks)


async def test_the_source_runs_in_one_task_and_the_readers_context() -> None:
    """A generator with a timeout inside it works, and sees the variables of who reads."""
    variable = contextvars.ContextVar("variable", default="")
    seen = set()

    async def guarded() -> AsyncIterator[str]:
        async with asyncio.timeout(50):
            for number in range(120):
                seen.add((asyncio.current_task(), variable.get()))
                await asyncio.sleep(0)
                yield f"u{number}"

    variable.set("mine")
    chunks: Any = chunked(guarded(), "window")
    assert len(await asyncio.create_task(anext(chunks))) == 50
    assert len([chunk async for chunk in chunks]) == 2
    assert [name for _, name in seen] == ["mine"]


@pytest.mark.parametrize("when", [0.05, 0.2, 0.5, 1.5, 6.9])
async def test_a_reader_cancelled_at_any_time_leaves_nothing(when: float) -> None:
    """The source is closed with it."""
    closed: list[str] = []

    async def endless() -> AsyncIterator[str]:
        try:
            for number in range(10_000):
                await asyncio.sleep(0.1 if number != 3 else 2.0)
                yield f"u{number}"
        finally:
            closed.append("closed")

    async def read() -> None:
        async for _ in chunked(endless(), "window", linger=0.3):  # type: ignore[union-attr]
            pass

    reading = asyncio.create_task(read())
    await asyncio.sleep(when)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert reading.cancelled()
    assert leftovers() == []
    assert closed == ["closed"]


async def test_a_source_that_swallows_its_cancellation() -> None:
    """The id it gives all the same is its last."""
    pulled = 0

    async def stubborn() -> AsyncIterator[str]:
        nonlocal pulled
        while True:
            pulled += 1
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                pulled = 1000
            yield f"u{pulled}"

    chunks: Any = chunked(stubborn(), "window")
    await anext(chunks)
    await asyncio.sleep(0.5)
    await chunks.aclose()
    assert pulled == 1000
    assert leftovers() == []


async def test_a_source_that_cancels_itself() -> None:
    """Whoever reads hears it; it is not mistaken for the end."""

    async def cancelled() -> AsyncIterator[str]:
        yield "a"
        raise asyncio.CancelledError

    chunks: Any = chunked(cancelled(), "window")
    assert await anext(chunks) == ["a"]
    reading = asyncio.create_task(anext(chunks))
    await asyncio.gather(reading, return_exceptions=True)
    assert reading.cancelled()


async def test_a_clean_up_that_fails() -> None:
    """The error of the caller's generator comes out of closing."""

    async def untidy() -> AsyncIterator[str]:
        try:
            for number in range(500):
                yield f"u{number}"
        finally:
            raise LookupError("untidy")

    chunks: Any = chunked(untidy(), "window")
    await anext(chunks)
    await asyncio.sleep(0)
    with pytest.raises(LookupError, match="untidy"):
        await chunks.aclose()
    assert leftovers() == []


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_repeated_ids_are_taken_off_the_total(kind: str) -> None:
    """The tally hears of each; a bad id is none of them."""
    reports: list[Progress] = []
    tally = Tally(reports.append, 10)
    ids: list[Any] = ["a", "b", "a", "", "", "c", "c"]
    source = chunked(
        iter(ids) if kind == "sync" else slowly(*((0, i) for i in ids)), "all", tally=tally
    )
    chunks = [chunk async for chunk in source] if isinstance(source, AsyncIterator) else [*source]
    assert [len(chunk) for chunk in chunks] == [5]
    tally.start(asyncio.get_running_loop())
    assert reports[0].total == 8


@pytest.mark.parametrize("value", [0, 0.005, 1, 60])
def test_check_linger(value: Any) -> None:
    """Seconds up to a minute."""
    assert check_linger(value) == value


@pytest.mark.parametrize("value", [-1, 61, None, "1", True, float("nan"), float("inf")])
def test_check_linger_refuses(value: Any) -> None:
    """And nothing else."""
    with pytest.raises(InvalidRequestError) as caught:
        check_linger(value)
    assert caught.value.field == "linger"
