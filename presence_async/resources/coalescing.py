"""Single reads made anywhere in a service, merged into bulk reads: a loader.

Each request in flight is one task; there is one timer; whoever waits costs a future.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import OrderedDict
from copy import copy
from itertools import repeat
from typing import TYPE_CHECKING, Final, TypeAlias

from presence_async.errors import ClosedError, NotFoundError
from presence_async.fanout import check_concurrency
from presence_async.models import UcUserPresence
from presence_async.resources._base import Send, check_text
from presence_async.resources._chunking import check_linger
from presence_async.resources.reading import PURECLOUD, PresenceReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from presence_async.errors import PresenceError

__all__ = ["LINGER", "CoalescedReads"]

LINGER: Final = 0.005
_NOT_ENTERED: Final = "the loader is not entered: use it inside `async with`"

_Result: TypeAlias = UcUserPresence | Exception | None
"""What a caller gets: the presence, an error, or None for a user who is missing."""


class _Read:
    """One user's read, and who waits for it."""

    __slots__ = ("chunk", "user_id", "waiters")

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.waiters: set[asyncio.Future[_Result]] = set()
        self.chunk: _Chunk


class _Chunk:
    """The reads of one request in flight, and its task."""

    __slots__ = ("reads", "task")

    def __init__(self, reads: list[_Read]) -> None:
        self.reads = reads
        self.task: asyncio.Task[None]


class CoalescedReads:
    """What `client.coalesced()` gives: `get` for one user, a request for fifty.

        async with client.coalesced() as reads:
            ...  # anywhere, in any number of tasks:
            presence = await reads.get(user_id)

    Leaving the block, or closing the client, ends whatever still waits with ClosedError.
    """

    def __init__(
        self,
        send: Send,
        adopt: Callable[[CoalescedReads], None],
        *,
        source: str = PURECLOUD,
        linger: float = LINGER,
        concurrency: int = 16,
    ) -> None:
        """Use `client.coalesced`; `adopt` ends a loader together with the session."""
        self._reader = PresenceReader(send, source)
        self._adopt = adopt
        self._linger = check_linger(linger)
        self._concurrency = check_concurrency(concurrency)
        self._unusable: str | None = _NOT_ENTERED
        # In order of arrival. Ordered, because in a plain dict the first key gets slow to
        # find once many before it are gone.
        self._waiting: OrderedDict[str, _Read] = OrderedDict()
        self._reading: dict[str, _Read] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # Not set while somebody waits: that is due, and goes as soon as a request may.
        self._timer: asyncio.TimerHandle | None = None
        # What is done for many keeps nobody's context variables.
        self._context = contextvars.Context()

    async def get(self, user_id: str) -> UcUserPresence:
        """Read one user's presence, in one request with whoever else is asked for now.

        Asked for again before the answer, a user is read once. Cancelling a get harms nobody
        else; a request that nobody waits for any more is not sent, or cancelled. The client's
        `timeout` and `max_wait` count for the request, from when its turn has come;
        `asyncio.timeout` bounds all of a get.

        Args:
            user_id: Id of the user.

        Returns:
            The presence, in the form of a bulk read.

        Raises:
            NotFoundError: No such user, or nothing was ever written on that source.
            InvalidRequestError: No id at all, before any request; or it was refused alone.
            ClosedError: The loader or the client is closed, or was while this waited.
            PresenceError: Whatever became of the request, an error of its own for each get.
        """
        if user_id.__class__ is not str or not user_id or not user_id.isascii():
            check_text("user_id", user_id)
        if self._unusable is not None or asyncio.get_running_loop() is not self._loop:
            raise ClosedError(self._unusable or "the loader was entered on another event loop")
        waiter: asyncio.Future[_Result] = self._loop.create_future()
        read = self._waiting.get(user_id) or self._reading.get(user_id)
        if read is not None:
            read.waiters.add(waiter)
        else:
            read = self._enqueue(user_id, waiter)
        try:
            result = await waiter
        except asyncio.CancelledError:
            read.waiters.discard(waiter)
            if not read.waiters:
                self._abandon(read)
            raise
        if isinstance(result, UcUserPresence):
            return result
        if result is None:
            raise NotFoundError("the source has no presence of this user")
        raise copy(result)

    def _enqueue(self, user_id: str, waiter: asyncio.Future[_Result]) -> _Read:
        read = self._waiting[user_id] = _Read(user_id)
        read.waiters.add(waiter)
        waiting = len(self._waiting)
        if waiting == 1:
            self._timer = self._loop.call_later(self._linger, self._due, context=self._context)
        if waiting >= self._reader.chunk_size:
            self._send_due()
        return read

    def _due(self) -> None:
        self._timer = None
        self._send_due()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send_due(self) -> None:
        """Send full chunks, and the rest when its time has come, as far as there is room."""
        size = self._reader.chunk_size
        while (
            self._waiting
            and len(self._tasks) < self._concurrency
            and (self._timer is None or len(self._waiting) >= size)
        ):
            count = min(size, len(self._waiting))
            self._start(_Chunk([self._waiting.popitem(last=False)[1] for _ in range(count)]))
            if not self._waiting:
                self._disarm()

    def _start(self, chunk: _Chunk) -> None:
        for read in chunk.reads:
            read.chunk = chunk
            self._reading[read.user_id] = read
        chunk.task = task = self._loop.create_task(
            self._read(chunk), name="presence_async coalesced read", context=contextvars.Context()
        )
        self._tasks.add(task)
        task.add_done_callback(self._ended, context=self._context)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._send_due()

    async def _read(self, chunk: _Chunk) -> None:
        results: Iterable[_Result] = repeat(ClosedError("the request was cancelled"))
        try:
            outcomes = await self._reader.read([read.user_id for read in chunk.reads])
            results = [outcome.error or outcome.presence for outcome in outcomes]
        except Exception as error:  # noqa: BLE001  # a bug of ours; better heard than waited for
            results = repeat(error)
        finally:
            for read, result in zip(chunk.reads, results, strict=False):
                self._settle(read, result)

    def _settle(self, read: _Read, result: _Result) -> None:
        """Tell everybody who waits; nobody does after that."""
        self._forget(read)
        for waiter in read.waiters:
            if not waiter.done():
                waiter.set_result(result)
        read.waiters.clear()

    def _forget(self, read: _Read) -> None:
        # Another read of the same user may have begun since this one was abandoned.
        if self._reading.get(read.user_id) is read:
            del self._reading[read.user_id]

    def _abandon(self, read: _Read) -> None:
        """Nobody waits for it any more (it may also be settled already)."""
        if self._waiting.get(read.user_id) is read:
            del self._waiting[read.user_id]
            if not self._waiting:
                self._disarm()
        elif self._reading.get(read.user_id) is read and not any(
            other.waiters for other in read.chunk.reads
        ):
            for other in read.chunk.reads:
                self._forget(other)
            read.chunk.task.cancel()

    async def __aenter__(self) -> Self:
        if self._unusable is not _NOT_ENTERED:
            raise ClosedError(self._unusable or "the loader is entered once")
        self._adopt(self)
        self._loop = asyncio.get_running_loop()
        self._unusable = None
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End every get with ClosedError and every request at once; safe to repeat."""
        await self._close("the loader is closed")

    async def abort(self, reason: PresenceError) -> None:
        """As `aclose`, for a reason of the session's."""
        await self._close(reason.message)

    async def _close(self, why: str) -> None:
        if self._unusable in (None, _NOT_ENTERED):
            self._unusable = why
        self._disarm()
        unread = [*self._waiting.values(), *self._reading.values()]
        self._waiting.clear()
        for read in unread:
            self._settle(read, ClosedError(why))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
