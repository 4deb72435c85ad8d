"""Bounded concurrency over any coroutine function. Knows no HTTP and no presence.

A fixed number of workers pulls from one iterator, so tasks and memory are in proportion to the
concurrency. Every item ends in exactly one outcome; a failing one never disturbs another (a
TaskGroup would cancel its siblings). A slow consumer slows the workers down.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Sequence,
)
from operator import length_hint
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from presence_async.errors import ClosedError, InvalidRequestError, PresenceError
from presence_async.outcomes import (
    OnProgress,
    Outcome,
    Tally,
    check_concurrency,
    tally_of,
)

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["FanOut", "Outcome", "check_concurrency", "fan_out"]

ItemT = TypeVar("ItemT")
ValueT = TypeVar("ValueT")
OutcomeT = TypeVar("OutcomeT")
_END: Final = object()
_CLOSED: Final = "the fan-out is closed"


class _Run(Generic[ItemT, OutcomeT]):
    """The workers and what they share. Holds no reference to the consumer's `FanOut`."""

    def __init__(
        self,
        step: Callable[[ItemT], Awaitable[Sequence[OutcomeT]]],
        items: Iterable[ItemT] | AsyncIterable[ItemT],
        concurrency: int,
        *,
        ordered: bool,
        tally: Tally | None,
    ) -> None:
        self._step = step
        self._items = items
        self._async_source: AsyncIterator[ItemT] | None = None
        self._source: Any = None
        self._concurrency = concurrency
        self._ordered = ordered
        self._tally = tally
        # Items pulled but not consumed: those in work and as many others, of which one is
        # looked ahead to.
        self._window = 2 * concurrency - 1
        self._pulled = 0
        self._consumed = 0
        self._exhausted = False
        self._ahead: Any = _END
        self._source_error: Exception | None = None
        self._finished: dict[int, Sequence[OutcomeT]] = {}
        self.outcomes: deque[OutcomeT] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._hired = 0
        self.reason: BaseException | str | None = None
        self.started = False

    def start(self) -> None:
        """Start on the running loop, without any worker yet."""
        self.started = True
        self._loop = asyncio.get_running_loop()
        self._pull_lock = asyncio.Lock()
        self._room = asyncio.Event()
        self._ready = asyncio.Event()
        items = self._items
        if isinstance(items, AsyncIterable):
            self._async_source = aiter(items)
        else:
            self._source = iter(items)
            self._look_ahead()
        if self._tally is not None:
            self._tally.start(self._loop)

    def left(self) -> int | None:
        """Items that nobody has taken yet, about (PEP 424); None when nobody knows."""
        known = length_hint(self._async_source or self._source, -1) + 1  # the one ahead
        return 0 if self._exhausted or self.reason is not None else known or None

    async def collect(self) -> list[OutcomeT]:
        """All outcomes. The caller is a worker itself, so a single item needs no task."""
        self._window = sys.maxsize
        self._hired = 1
        await self._work()
        await self.ended()
        if (error := self._error() or self._source_error) is not None:
            raise error
        finished = sorted(self._finished.items()) if self._ordered else self._finished.items()
        return [outcome for _, outcomes in finished for outcome in outcomes]

    def add_worker(self) -> None:
        """Start one worker; it adds the others as items come."""
        # Counted first: an eager task runs, and adds workers itself, before it is returned.
        self._hired += 1
        worker = self._loop.create_task(self._work(), name="presence_async fan-out")
        self._workers.add(worker)
        worker.add_done_callback(self._worker_ended)

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if worker.cancelled():
            if self.reason is None:
                self.cancel(ClosedError("a worker of the fan-out was cancelled"))
        elif (error := worker.exception()) is not None:
            # Not a failing item: those are outcomes. The consumer hears it.
            self.cancel(error)
        self._ready.set()

    async def _work(self) -> None:
        while not self._exhausted and (taken := await self._take()) is not None:
            index, item = taken
            if self._hired < self._concurrency and not self._exhausted:
                # Each item brings one more worker, so few items never start many.
                self.add_worker()
            outcomes = self._finished[index] = await self._step(item)
            if self._tally is not None:
                self._tally.add(outcomes)
            self._ready.set()

    async def _take(self) -> tuple[int, ItemT] | None:
        """The next item and its number; None when there is none, or no more is wanted."""
        if self._async_source is None:
            return await self._next()
        async with self._pull_lock:  # an async iterator is asked for one item at a time
            return await self._next()

    async def _next(self) -> tuple[int, ItemT] | None:
        while self._pulled - self._consumed >= self._window and self.reason is None:
            self._room.clear()
            await self._room.wait()
        # A function that swallows its cancellation leads back here.
        if self._exhausted or self.reason is not None:
            return None
        if self._async_source is None:
            item = cast("ItemT", self._ahead)
            self._look_ahead()
        else:
            try:
                item = await anext(self._async_source)
            except Exception as error:  # noqa: BLE001  # the caller's iterator; it hears it
                self._exhausted = True
                self._source_error = None if isinstance(error, StopAsyncIteration) else error
                return None
        self._pulled += 1
        return self._pulled - 1, item

    def _look_ahead(self) -> None:
        """Know of the last item that it is the last: no worker is added in vain."""
        try:
            self._ahead = next(self._source, _END)
        except Exception as error:  # noqa: BLE001  # the caller's iterator; it hears it
            self._ahead = _END
            self._source_error = error
        self._exhausted = self._ahead is _END

    async def fill(self) -> None:
        """Return once `outcomes` holds something; StopAsyncIteration after the last."""
        while not self.outcomes:
            if (error := self._error()) is not None:
                raise error
            index = self._consumed if self._ordered else next(iter(self._finished), -1)
            finished = self._finished.pop(index, None)
            if finished is not None:
                self.outcomes.extend(finished)
                self._consumed += 1
                self._room.set()
            elif not self._workers:
                self._end()
            else:
                self._ready.clear()
                await self._ready.wait()

    def _end(self) -> None:
        error, self._source_error = self._source_error, None
        raise error or StopAsyncIteration

    def _error(self) -> BaseException | None:
        # Most fan-outs are closed when all is done, and nobody hears of it.
        return ClosedError(self.reason) if isinstance(self.reason, str) else self.reason

    def cancel(self, reason: BaseException | str) -> None:
        """Ask the workers to stop; the consumer gets `reason`, or a ClosedError, from now on."""
        if self.reason is None:
            self.reason = reason
        if not self.started or self._loop.is_closed():
            return
        for worker in self._workers:
            worker.cancel()
        self._finished.clear()
        self.outcomes.clear()
        self._ready.set()

    def drop(self) -> None:
        """Nobody consumes any more; the source ends with the last worker, or now.

        The error of an outcome, which somebody may keep, holds all this by its traceback.
        """
        self.cancel(_CLOSED)
        self._items = self._source = ()
        self._async_source = None

    async def stop(self, reason: BaseException | str) -> None:
        """Stop the workers and wait until they have stopped."""
        self.cancel(reason)
        if self._workers:
            await asyncio.wait(self._workers)
        if isinstance(self._async_source, AsyncGenerator):
            await self._close_source(self._async_source)

    async def ended(self) -> None:
        """Wait until every item has its outcome."""
        while self._workers:
            await asyncio.wait(self._workers)

    async def _close_source(self, source: AsyncGenerator[ItemT, Any]) -> None:
        """Left to the garbage collector it would end in some later turn of the loop."""
        try:
            await source.aclose()
        except Exception as error:  # noqa: BLE001  # the caller's cleanup; asyncio reports it
            message = "the source of a fan-out failed when it was closed"
            self._loop.call_exception_handler(
                {"message": message, "exception": error, "asyncgen": source}
            )


class FanOut(Generic[OutcomeT]):
    """Outcomes as they come: iterate it, once, or await it for a list.

        async with client.user_presences.get_many(ids) as outcomes:
            async for outcome in outcomes: ...

    `async with` guarantees that nothing is left running behind the block. A plain
    `async for` that is left early cancels what is in flight too, which ends soon after.
    """

    def __init__(
        self,
        step: Callable[[Any], Awaitable[Sequence[OutcomeT]]],
        items: Iterable[Any] | AsyncIterable[Any],
        *,
        concurrency: int,
        ordered: bool = False,
        on_start: Callable[[FanOut[Any]], None] | None = None,
        loses_nothing: bool = False,
        tally: Tally | None = None,
    ) -> None:
        """Use `fan_out`.

        `step` makes the outcomes of one item and fails for none of them; `on_start` is called
        when the first is asked for. With `loses_nothing` (only where awaited) aborting does not
        cut the steps off: they fail by themselves and every item keeps its outcome.
        """
        self._run: _Run[Any, OutcomeT] = _Run(
            step, items, concurrency, ordered=ordered, tally=tally
        )
        self.left = self._run.left
        self._on_start = on_start
        self._loses_nothing = loses_nothing

    def __aiter__(self) -> FanOut[OutcomeT]:
        return self

    async def __anext__(self) -> OutcomeT:
        outcomes = self._run.outcomes
        if not outcomes:
            await self._fill()
        return outcomes.popleft()

    async def _fill(self) -> None:
        run = self._run
        if not run.started and run.reason is None:
            self._start()
            run.add_worker()
        try:
            await run.fill()
        except asyncio.CancelledError:
            await run.stop(ClosedError("the fan-out was cancelled"))
            raise

    def _start(self) -> None:
        if self._on_start is not None:
            self._on_start(self)
        self._run.start()

    async def _collect(self) -> list[OutcomeT]:
        async with self:
            if self._run.started or self._run.reason is not None:
                # Somebody has begun to iterate: the rest, then.
                return [outcome async for outcome in self]
            self._start()
            return await self._run.collect()

    def __await__(self) -> Generator[Any, None, list[OutcomeT]]:
        return self._collect().__await__()

    async def __aenter__(self) -> FanOut[OutcomeT]:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel what is in flight and wait for its end; safe to repeat."""
        await self._run.stop(_CLOSED)

    def interrupt(self, reason: PresenceError) -> None:
        """Begin to `abort`, which has to follow."""
        if not self._loses_nothing:
            self._run.cancel(reason)

    async def abort(self, reason: PresenceError) -> None:
        """As `aclose`, and whoever still iterates gets `reason`."""
        if self._loses_nothing:
            await self._run.ended()
        else:
            await self._run.stop(reason)

    def __del__(self) -> None:
        self._run.drop()


def fan_out(
    function: Callable[[ItemT], Awaitable[ValueT]],
    items: Iterable[ItemT] | AsyncIterable[ItemT],
    *,
    concurrency: int = 16,
    ordered: bool = False,
    on_progress: OnProgress | None = None,
) -> FanOut[Outcome[ItemT, ValueT]]:
    """Call `function` on every item, at most `concurrency` at a time.

    Args:
        function: Any coroutine function of one argument.
        items: List, generator or async iterator; pulled only as fast as it is consumed.
        concurrency: Calls in flight at most.
        ordered: Outcomes in the order of the items; a slow one holds back twice `concurrency`
            at most.
        on_progress: Called with a `Progress` at the start and after every item. What it
            raises is logged.

    Returns:
        An async iterator of one `Outcome` per item; await it for a list. An exception of
        `items` itself is raised after the outcomes of the items it gave.

    Raises:
        InvalidRequestError: A concurrency below 1, items that cannot be iterated, or an
            `on_progress` that is no plain function.
    """
    if not isinstance(items, Iterable | AsyncIterable):
        raise InvalidRequestError("items must be iterable or async iterable", field="items")

    async def step(item: ItemT) -> Sequence[Outcome[ItemT, ValueT]]:
        try:
            return (Outcome(item, await function(item)),)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is this item's outcome
            return (Outcome(item, error=error),)
        except asyncio.CancelledError as error:
            if cast("asyncio.Task[Any]", asyncio.current_task()).cancelling():
                raise
            # Raised by the function, not sent to this worker: an outcome like any other.
            return (Outcome(item, error=error),)

    return FanOut(
        step,
        items,
        concurrency=check_concurrency(concurrency),
        ordered=ordered,
        tally=tally_of(on_progress, items),
    )
