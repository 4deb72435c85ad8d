"""User ids in, chunks of fifty distinct ones out, pulled as they are needed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Iterator,
    Sequence,
    Sized,
)
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from presence_async.errors import InvalidRequestError
from presence_async.resources._base import are_plain, check_ids, check_text
from presence_async.resources.reading import BULK_READ_LIMIT, PresenceOutcome

if TYPE_CHECKING:
    from presence_async.outcomes import Tally
    from presence_async.resources.reading import Chunk

DEDUPE_WINDOW: Final = 10_000
# A fifth of the vendor's budget at the worst: sixty half-full requests a minute.
LINGER: Final = 1.0

Dedupe: TypeAlias = Literal["window", "all"]


def check_dedupe(dedupe: Any) -> Dedupe:
    """`dedupe` if it is one of the two, else InvalidRequestError."""
    if dedupe not in ("window", "all"):
        raise InvalidRequestError(
            f"dedupe must be 'window' or 'all', not {dedupe!r}", field="dedupe"
        )
    return "all" if dedupe == "all" else "window"


def check_linger(linger: Any) -> float:
    """`linger` if it is a number of seconds from 0 to 60, else InvalidRequestError."""
    if not isinstance(linger, int | float) or isinstance(linger, bool) or not 0 <= linger <= 60:
        raise InvalidRequestError(
            f"linger must be a number of seconds from 0 to 60, not {linger!r}", field="linger"
        )
    return linger


class _Chunker:
    """Distinct ids in chunks of fifty, worked on by the batch: this sees every id of a sweep."""

    def __init__(self, dedupe: Dedupe, tally: Tally | None) -> None:
        # Two generations: what is in either has been seen, and the older one is dropped
        # when the younger is full. So an id is remembered for at least the window.
        self._recent: set[str] = set()
        self._older: set[str] = set()
        self._bound = DEDUPE_WINDOW if dedupe == "window" else sys.maxsize
        self._tally = tally
        self._entries: list[str | PresenceOutcome] = []

    def add(self, ids: Sequence[str]) -> None:
        """Take a batch of ids."""
        fresh = self._distinct(ids)
        if self._tally is not None:
            self._tally.fewer(len(ids) - len(fresh))
        self._entries += fresh

    @property
    def missing(self) -> int:
        """How many more make a full chunk; none, or less, when there is one."""
        return BULK_READ_LIMIT - len(self._entries)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing at all."""
        return not self._entries

    def pop(self) -> Chunk:
        """The next chunk, full or not."""
        chunk = self._entries[:BULK_READ_LIMIT]
        del self._entries[:BULK_READ_LIMIT]
        return chunk

    def _distinct(self, ids: Sequence[str]) -> Chunk:
        if are_plain(ids):
            return self._fresh(ids)
        entries: list[str | PresenceOutcome] = []
        for user_id in ids:
            refused = _refused(user_id)
            entries += self._fresh((user_id,)) if refused is None else (refused,)
        return entries

    def _fresh(self, ids: Sequence[str]) -> Sequence[str]:
        recent, older = self._recent, self._older
        batch = set(ids)
        if len(batch) < len(ids) or not (batch.isdisjoint(recent) and batch.isdisjoint(older)):
            fresh = batch - recent - older
            # The first of its kind, each.
            ids = [user_id for user_id in dict.fromkeys(ids) if user_id in fresh]
        # Repeated ones as well: an id is remembered since it was last there, not last read.
        recent |= batch
        if len(recent) >= self._bound:
            self._older, self._recent = recent, set()
        return ids


def _refused(user_id: str) -> PresenceOutcome | None:
    """The outcome of an id that cannot be one; None for one that can."""
    try:
        check_text("ids", user_id)
    except InvalidRequestError as error:
        return PresenceOutcome(user_id, error=error)
    return None


def _chunks(ids: Iterable[str], chunker: _Chunker) -> Iterator[Chunk]:
    left = iter(ids)
    failure: Exception | None = None
    more = True
    while more:
        batch: list[str] = []
        try:
            # Extending keeps what came before a failure; list(islice()) would drop it.
            batch.extend(islice(left, BULK_READ_LIMIT))
        except Exception as error:  # noqa: BLE001  # the caller's iterable; raised below
            failure = error
        more = len(batch) == BULK_READ_LIMIT and failure is None
        chunker.add(batch)
        while chunker.missing <= 0 or not (more or chunker.is_empty):
            yield chunker.pop()
    if failure is not None:
        raise failure


class _Counted(Iterator["Chunk"]):
    """The chunks of a collection, and about how many are left (PEP 424)."""

    def __init__(self, chunks: Iterator[Chunk], count: int) -> None:
        self._chunks = chunks
        self._left = count

    def __next__(self) -> Chunk:
        self._left -= 1
        return next(self._chunks)

    def __length_hint__(self) -> int:
        return max(0, self._left)


class _Pump:
    """Pulls an async iterable in one task of its own, at most one batch ahead.

    A time limit around `anext` would end what is cancelled in there, and a generator with a timeout
    inside it needs the same task from beginning to end.
    """

    def __init__(self, ids: AsyncIterable[str]) -> None:
        self._ids = ids
        self._batch: list[str] = []
        self._room = asyncio.Event()
        self._closing = False
        self._needed = 1
        self._enough = asyncio.Event()
        self.ended = False
        self.failure: Exception | None = None
        # It holds no reference to who reads from here, who can so be dropped.
        self.task = asyncio.create_task(self._pull(), name="presence_async ids")

    async def _pull(self) -> None:
        try:
            async for user_id in self._ids:
                if self._closing:  # and the generator swallowed its cancellation
                    break
                self._batch.append(user_id)
                if len(self._batch) >= self._needed:
                    self._enough.set()
                if len(self._batch) >= BULK_READ_LIMIT:
                    self._room.clear()
                    await self._room.wait()
        except Exception as error:  # noqa: BLE001  # the caller's iterable; raised by the reader
            self.failure = error
        finally:
            self.ended = True
            self._enough.set()
            if isinstance(self._ids, AsyncGenerator):
                await self._ids.aclose()

    def holds(self, count: int) -> bool:
        """Whether so many ids are there, or no more will come."""
        return self.ended or len(self._batch) >= count

    async def wait(self, count: int) -> None:
        """Return once it `holds` so many."""
        if not self.holds(count):
            self._needed = count
            self._enough.clear()
            await self._enough.wait()

    def drain(self) -> list[str]:
        """The ids that are there."""
        batch, self._batch = self._batch, []
        self._room.set()
        return batch

    async def aclose(self) -> None:
        """End the task and the generator it pulls; raises what that one's clean-up raised."""
        self._closing = True
        self.task.cancel()
        await asyncio.wait({self.task})
        if not self.task.cancelled():
            self.task.result()


async def _async_chunks(
    ids: AsyncIterable[str], chunker: _Chunker, linger: float
) -> AsyncIterator[Chunk]:
    pump = _Pump(ids)
    try:
        while True:
            if chunker.is_empty:
                await pump.wait(1)
            await _fill(chunker, pump, linger)
            if not chunker.is_empty:
                yield chunker.pop()
            elif pump.ended:
                break
        # Nothing, unless somebody cancelled it or the generator failed in its clean-up.
        await pump.task
    finally:
        await pump.aclose()
    if pump.failure is not None:
        raise pump.failure


async def _fill(chunker: _Chunker, pump: _Pump, linger: float) -> None:
    """Make a full chunk, or what can be made within `linger`."""
    if pump.holds(chunker.missing):
        chunker.add(pump.drain())
    # Mostly it is full now, and a timer is not paid for.
    if chunker.missing > 0 and not pump.ended:
        with suppress(TimeoutError):
            async with asyncio.timeout(linger):
                while chunker.missing > 0 and not pump.ended:
                    await pump.wait(chunker.missing)
                    chunker.add(pump.drain())
        chunker.add(pump.drain())


def chunked(
    ids: Iterable[str] | AsyncIterable[str],
    dedupe: Dedupe,
    *,
    linger: float = LINGER,
    tally: Tally | None = None,
) -> Iterator[Chunk] | AsyncIterator[Chunk]:
    """Chunks of at most fifty distinct ids; a half-full one waits `linger` seconds for more."""
    check_ids("ids", ids)
    chunker = _Chunker(dedupe, tally)
    if isinstance(ids, AsyncIterable):
        return _async_chunks(ids, chunker, linger)
    chunks = _chunks(ids, chunker)
    if isinstance(ids, Sized):
        return _Counted(chunks, -(-len(ids) // BULK_READ_LIMIT))
    return chunks
