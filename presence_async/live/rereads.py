"""The reads of a live store: who is due, who must be polled, and at times everybody."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from contextlib import suppress
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from presence_async.errors import (
    AuthenticationError,
    ClosedError,
    PermissionDeniedError,
    PresenceError,
)
from presence_async.fanout import FanOut
from presence_async.resources._base import counted
from presence_async.resources.reading import BULK_READ_LIMIT, PURECLOUD, PresenceReader
from presence_async.resources.updating import Moment
from presence_async.retry import backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import Self

    from presence_async.live.table import LiveTable
    from presence_async.resources._base import Send
    from presence_async.resources.changes import PresenceChange
    from presence_async.resources.reading import PresenceOutcome

__all__ = ["Rereads"]

# Seconds with nothing but invalid tokens until it is no hiccup of the vendor's any more.
_HICCUP: Final = 60.0


class _Batch(NamedTuple):
    """What one request brought."""

    asked: Moment
    seen: Moment
    outcomes: Sequence[PresenceOutcome]


class Rereads:
    """Reads users of a table, and counts that; to its fan-out, the users due, without end.

    `tell` gets what changed, or None, for each outcome; `send_idle` sends what can wait;
    `polling` is set as soon as no events will arrive at all.
    """

    def __init__(
        self,
        table: LiveTable,
        tell: Callable[[PresenceChange | None, Moment], None],
        adopt: Callable[[Any], None],
        *,
        send: Send,
        send_idle: Send,
        concurrency: int,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._tell = tell
        self._adopt = adopt
        self._sends = send, send_idle
        self._reader = self._reader_of(send)
        self._concurrency = concurrency
        self._chance = chance
        self._come = asyncio.Event()
        self._rested = asyncio.Event()
        self._chunks = self._failures = 0
        self._again_at: float | None = None
        self._refused_since: float | None = None
        self._read_any = False
        # Differences that an event may still explain, by user: the dates of what was found.
        self._found: dict[str, datetime | None] = {}
        self._differences = 0
        self.polling = asyncio.Event()
        self.requests = self.reads = self.sweeps = 0

    @property
    def differences(self) -> int:
        """What sweeps found that no event has said."""
        return self._differences

    def explained(self, user_id: str, date: object) -> None:
        """An event arrived: what a sweep found before was on its way."""
        if self._found and self._found.get(user_id, self) == date:
            del self._found[user_id]
            self._differences -= 1

    # -- who is due

    async def run(self) -> None:
        """Read whoever is due, for ever."""
        batches: FanOut[_Batch] = FanOut(
            self._read, self, concurrency=self._concurrency, on_start=self._adopt
        )
        async with batches:
            async for batch in batches:
                self._take(batch)
                self._chunks -= 1
                if not self._chunks and not self._table.due:
                    self._rested.set()

    def wake(self) -> None:
        """Somebody is due."""
        self._rested.clear()
        self._come.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[str]:
        """Wait for the users of the next request."""
        table = self._table
        while not (chunk := table.take(table.due, BULK_READ_LIMIT)):
            self._come.clear()
            if not self._chunks:
                self._rested.set()
            try:
                async with asyncio.timeout_at(self._again_at):
                    await self._come.wait()
            except TimeoutError:
                self._again_at = None
                table.due.update(table.later)
                table.later.clear()
        if not self._chunks:
            # What was accepted before says nothing about what is to come.
            self._reader = self._reader_of(self._sends[self.polling.is_set()])
        self._chunks += 1
        return chunk

    def __length_hint__(self) -> int:
        """Requests that are due."""
        return -(-len(self._table.due) // BULK_READ_LIMIT)

    async def _read(self, chunk: Sequence[str]) -> Sequence[_Batch]:
        asked = Moment.now()
        outcomes = await self._reader.read(chunk)
        return (_Batch(asked, Moment.now(), outcomes),)

    def _take(self, batch: _Batch, *, sweeping: bool = False) -> None:
        pause = 0.0
        for outcome in batch.outcomes:
            self.reads += 1
            if outcome.error is None:
                self._read_any, self._refused_since = True, None
            else:
                self._check(outcome.error, batch.seen.loop)
                pause = max(pause, outcome.error.retry_after or 0.0)
            change = self._table.read(outcome, batch.asked, batch.seen)
            if sweeping and change and change.kind == "changed" and not change.stale:
                presence = outcome.presence
                date = presence.modified_date if presence is not None else None
                self._found[outcome.user_id] = date or None
                self._differences += 1
            self._tell(change, batch.seen)
        if not self._table.later:
            self._failures = 0
        elif self._again_at is None:
            self._failures += 1
            self._again_at = batch.seen.loop + max(pause, backoff(self._failures, self._chance()))
            self._come.set()  # there is something to wait for now

    def _check(self, error: PresenceError, now: float) -> None:
        """Raise an error that no repetition helps against."""
        if isinstance(error, ClosedError):
            raise error
        if isinstance(error, AuthenticationError):
            self._refused_since = now if self._refused_since is None else self._refused_since
            if not self._read_any or now - self._refused_since > _HICCUP:
                raise copy(error)
        if isinstance(error, PermissionDeniedError) and not self._read_any:
            raise copy(error)

    # -- everybody

    async def poll(self, interval: Callable[[], float]) -> None:
        """Read whose events do not arrive, every so many seconds; at once, where nobody's do."""
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            if not self.polling.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(interval()):
                        await self.polling.wait()
            self._table.due.update(dict.fromkeys(self._table.unheard))
            self.wake()
            if self.polling.is_set():
                await self._rested.wait()
                self.sweeps += 1
                await asyncio.sleep(begun + interval() - loop.time())

    async def reconcile(self, seconds: float) -> None:
        """At times, one request after the other, read everybody: the vendor may lose events."""
        while True:
            await asyncio.sleep(seconds)
            if self.polling.is_set():
                return
            self._found.clear()
            queue = OrderedDict.fromkeys(self._table)
            reader = self._reader_of(self._sends[1])
            while chunk := self._table.take(queue, BULK_READ_LIMIT):
                asked = Moment.now()
                outcomes = await reader.read(chunk)
                self._take(_Batch(asked, Moment.now(), outcomes), sweeping=True)
            self.sweeps += 1

    # -- requests

    def _reader_of(self, send: Send) -> PresenceReader:
        return PresenceReader(partial(counted, self, send), PURECLOUD)
