"""The sweeps of a poll: one task that reads everybody, again and again, on a grid of time.

How it keeps time, fails, and folds what waits for a slow reader: docs/high-volume.md.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from presence_async.errors import (
    AuthenticationError,
    ClosedError,
    InvalidRequestError,
    PermissionDeniedError,
    PresenceError,
)
from presence_async.fanout import FanOut, check_concurrency
from presence_async.forecast import check_interval
from presence_async.resources._base import Send, check_ids, check_text, check_texts, counted
from presence_async.resources.changes import PresenceTable
from presence_async.resources.reading import PresenceOutcome, PresenceReader
from presence_async.resources.updating import Moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async.forecast import SweepForecast
    from presence_async.resources.changes import PresenceChange

# A bound for ids that never end; at 300 requests a minute this many take over an hour.
MOST_USERS: Final = 1_000_000

# Users gone through before others get their turn on the loop.
_AT_A_TIME: Final = 500

# Requests that finding one bad id among fifty takes.
_SEARCH: Final = 12

_LOGGER: Final = logging.getLogger("presence_async.polling")


class News:
    """Changes on their way to the one task that takes them: at most one for each user."""

    def __init__(self) -> None:
        # Ordered, because in a plain dict the first key gets slow to find once many before
        # it are gone.
        self._changes: OrderedDict[str, tuple[PresenceChange, Moment]] = OrderedDict()
        self._come = asyncio.Event()
        self._awaited = False
        self.reason: BaseException | None = None
        """Why no more will come."""

    def __len__(self) -> int:
        return len(self._changes)

    def put(self, change: PresenceChange, seen: Moment) -> None:
        """Add a change to those that wait, or to the one of the same user."""
        user_id = change.user_id
        waiting = self._changes.get(user_id)
        folded: PresenceChange | None = change
        if waiting is not None:
            folded = waiting[0].then(change, waiting[1].seconds_until(seen))
        if folded is None:
            del self._changes[user_id]
        else:
            self._changes[user_id] = folded, seen
            self._come.set()

    def drop(self, user_id: str) -> None:
        """Forget the change of a user, if one waits."""
        self._changes.pop(user_id, None)

    def end(self, reason: BaseException, *, at_once: bool = False) -> None:
        """No more will come: whoever takes gets what is left, or nothing, and then `reason`."""
        if self.reason is None:
            self.reason = reason
        if at_once:
            self._changes.clear()
        self._come.set()

    async def take(self) -> PresenceChange:
        """The next change. Cancelling it loses none."""
        if self._awaited:
            raise InvalidRequestError("another task iterates this; it has one reader")
        while not self._changes:
            if self.reason is not None:
                raise self.reason
            self._come.clear()
            self._awaited = True
            try:
                await self._come.wait()
            finally:
                self._awaited = False
        return self._changes.popitem(last=False)[1][0]


class _Batch(NamedTuple):
    """What one request brought."""

    asked: Moment
    seen: Moment
    outcomes: Sequence[PresenceOutcome]


class Sweeps:
    """The task, what it knows, and what it counts. Holds no reference to the `PresencePoll`."""

    def __init__(
        self,
        send: Send,
        adopt: Callable[[Any], None],
        *,
        ids: Iterable[str] | AsyncIterable[str],
        interval: float,
        source: str,
        concurrency: int,
        forecast: Callable[[int, float], SweepForecast],
    ) -> None:
        """Args are those of `client.poll`; `adopt` ends task and sweeps with the session."""
        self._adopt = adopt
        self._interval = check_interval(interval)
        self._reader = PresenceReader(partial(counted, self, send), source)
        self._concurrency = check_concurrency(concurrency)
        self._forecast = forecast
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._said = False
        self._refused = False
        self.table = PresenceTable()
        self.news = News()
        self.sweeps = self.stretched = 0
        self.requests = self.reads = self.failures = self.changes = 0
        self.sweep_seconds: float | None = None
        self.lag = 0.0
        check_ids("ids", ids)
        self._source = ids if isinstance(ids, AsyncIterable) else None
        if not isinstance(ids, AsyncIterable):
            self.add(ids)

    # -- whom

    def add(self, ids: Iterable[str]) -> None:
        """Read these users too, from the next sweep on; none of them if one is no id."""
        check_ids("ids", ids)
        if isinstance(ids, AsyncIterable):
            raise InvalidRequestError("ids must be iterable, not async", field="ids")
        fresh: dict[str, None] = {}
        for index, user_id in enumerate(ids):
            self._check(index, user_id, len(fresh))
            if user_id not in self.table:
                fresh[user_id] = None
        self.table.add(fresh)

    def remove(self, ids: Iterable[str]) -> None:
        """Forget these users, and what waits to be told about them."""
        for user_id in check_texts("ids", ids):
            self.table.remove(user_id)
            self.news.drop(user_id)

    def _check(self, index: int, user_id: Any, fresh: int) -> None:
        if user_id.__class__ is not str or not user_id or not user_id.isascii():
            check_text(f"ids[{index}]", user_id)
        if len(self.table) + fresh >= MOST_USERS and user_id not in self.table:
            raise InvalidRequestError(f"a poll has at most {MOST_USERS:,} users", field="ids")

    async def _collect(self) -> None:
        """Take everybody out of an async iterable."""
        source, self._source = self._source, None
        if source is None:
            return
        index = 0
        try:
            async for user_id in source:
                if self.news.reason is not None:  # and the source swallowed its cancellation
                    break
                self._check(index, user_id, 0)
                self.table.add((user_id,))
                index += 1
                if index % _AT_A_TIME == 0:  # the source may never wait for anything
                    await asyncio.sleep(0)
        finally:
            if isinstance(source, AsyncGenerator):
                await source.aclose()

    # -- lifetime

    def now(self) -> Moment:
        """This moment by the clock of the poll's loop, which need not be running."""
        return Moment(0.0 if self._loop is None else self._loop.time(), time.time())

    def start(self) -> None:
        """Start the task, unless it was started already."""
        if self._loop is not None:
            if asyncio.get_running_loop() is not self._loop:
                raise ClosedError("the poll was started on another event loop")
            return
        if self.news.reason is not None:
            raise self.news.reason
        self._adopt(self)
        self._loop = loop = asyncio.get_running_loop()
        # What is done here for long keeps nobody's context variables.
        context = contextvars.Context()
        self._task = loop.create_task(self._run(loop), name="presence_async poll", context=context)
        self._task.add_done_callback(self._ended, context=context)

    def _ended(self, _: asyncio.Task[None]) -> None:
        self.news.end(ClosedError("the task of the poll was cancelled"))

    async def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            await self._collect()
            await self._sweep_for_ever(loop)
        except Exception as error:  # noqa: BLE001  # whatever it is, whoever iterates hears it
            self.news.end(error)

    def cancel(self, reason: PresenceError) -> None:
        """Ask the task to stop; whoever iterates gets `reason` from now on."""
        self.news.end(reason, at_once=True)
        task = self._task
        if task is not None and not task.get_loop().is_closed():
            task.cancel()

    async def abort(self, reason: PresenceError) -> None:
        """Stop the task and wait until it has stopped."""
        self.cancel(reason)
        if self._task is not None:
            await asyncio.wait({self._task})

    # -- when

    async def _sweep_for_ever(self, loop: asyncio.AbstractEventLoop) -> None:
        first = loop.time()
        number = 0
        late = False
        while self.news.reason is None:
            started = loop.time()
            self.lag = max(0.0, started - first - number * self._interval)
            self._say_once(late=late)
            await self._sweep()
            ended = loop.time()
            self.sweeps += 1
            self.sweep_seconds = ended - started
            _LOGGER.debug("sweep %d of %d users: %.1f s", number, len(self.table), ended - started)
            number += 1
            wait = first + number * self._interval - ended
            late = wait < 0
            if late:
                self.stretched += 1
                number += int(-wait // self._interval)
            else:
                await asyncio.sleep(wait)

    def _say_once(self, *, late: bool) -> None:
        """Warn of an interval that cannot be met; again only after it could be met."""
        forecast = self._forecast(len(self.table), self._interval)
        misses = late or not forecast.meets_interval
        if misses and not self._said:
            note = ""
            if self._reader.chunk_size == 1:
                note = "; this source has no bulk read: a request for each user"
            elif forecast.meets_interval:
                note = "; something else uses the lane, or the vendor asks to pause"
            _LOGGER.warning(
                "sweeps take longer than their interval, and follow one another at once: %s%s",
                forecast,
                note,
            )
        self._said = misses

    # -- what

    async def _sweep(self) -> None:
        """Read everybody once. Users fail one by one; what is raised ends the poll."""
        self._reader = self._reader.again()
        started, reads = self.now(), self.reads
        refusal: PresenceError | None = None
        batches: FanOut[_Batch] = FanOut(
            self._read, self._chunks(), concurrency=self._concurrency, on_start=self._adopt
        )
        async with batches:
            async for batch in batches:
                refusal = self._take(batch) or refusal
                if isinstance(refusal, AuthenticationError):
                    break
        if isinstance(refusal, AuthenticationError) or (refusal and self.reads == reads):
            await self._is_refused(refusal, started)
        else:
            self._refused = False

    def _chunks(self) -> list[list[str]]:
        """Users by the request; who was refused last time is read alone, unless too many were.

        That is one request, and finding the one at fault among fifty takes twelve.
        """
        size, ids, refused = self._reader.chunk_size, self.table.user_ids, self.table.refused()
        if len(refused) > max(len(ids) // size, _SEARCH):
            refused = []
        if refused:
            alone = set(refused)
            ids = [user_id for user_id in ids if user_id not in alone]
        # A list, because requests are spread by how many are to come.
        chunks = [ids[index : index + size] for index in range(0, len(ids), size)]
        return [*chunks, *([user_id] for user_id in refused)]

    async def _read(self, chunk: Sequence[str]) -> Sequence[_Batch]:
        asked = self.now()
        outcomes = await self._reader.read(chunk)
        return (_Batch(asked, self.now(), outcomes),)

    def _take(self, batch: _Batch) -> PresenceError | None:
        """Tell what is new in a batch; the refusal, if there is one in it."""
        refusal = None
        for outcome in batch.outcomes:
            error = outcome.error
            if error is None:
                self.reads += 1
            elif isinstance(error, ClosedError):
                raise error
            else:
                self.failures += 1
                if isinstance(error, AuthenticationError | PermissionDeniedError):
                    refusal = error
            change = self.table.apply(outcome, batch.asked, batch.seen)
            if change is not None:
                self.changes += 1
                self.news.put(change, batch.seen)
        return refusal

    async def _is_refused(self, refusal: PresenceError, started: Moment) -> None:
        """A sweep in vain: it ends the poll where nothing was ever read, or if it is the second.

        Going on with the same sweep would ask for a new token with every request.
        """
        if not self.reads or self._refused:
            raise copy(refusal)
        self._refused = True
        unread = self.table.unread_since(started)
        for index in range(0, len(unread), _AT_A_TIME):
            left = unread[index : index + _AT_A_TIME]
            outcomes = [PresenceOutcome(user_id, error=refusal) for user_id in left]
            self._take(_Batch(started, self.now(), outcomes))
            await asyncio.sleep(0)
