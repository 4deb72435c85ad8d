"""Who wants to hear of changes in a live store: consumers, and who waits for one user."""

from __future__ import annotations

import asyncio
import inspect
from copy import copy
from typing import TYPE_CHECKING, TypeAlias

from presence_async.errors import ClosedError, InvalidRequestError
from presence_async.resources._sweeping import News
from presence_async.resources.updating import Moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from presence_async.live.rows import LivePresence
    from presence_async.live.table import LiveTable
    from presence_async.resources.changes import PresenceChange

__all__ = ["Listeners", "LiveChanges", "Predicate"]

Predicate: TypeAlias = "Callable[[LivePresence], object]"
# Errors are results, too: nobody complains of one that is not taken.
_Waiter: TypeAlias = "asyncio.Future[LivePresence | BaseException]"
_Reader: TypeAlias = "asyncio.Future[BaseException | None]"


class LiveChanges:
    """What `live.changes()` gives: changes from now on, for one task; folded while it is slow.

    Of each user one change waits at most: from what was told last to what is known now.
    """

    def __init__(self, listeners: Listeners, *, snapshot: bool) -> None:
        """Use `live.changes`."""
        self._listeners = listeners
        self._news = listeners.listen()
        self._known = list(listeners.table)[::-1] if snapshot else []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PresenceChange:
        table, news = self._listeners.table, self._news
        while self._known and news.reason is None:
            user_id = self._known.pop()
            change = table.first(user_id, Moment.now())
            if change is not None:
                news.drop(user_id)
                return change
        return await news.take()

    async def aclose(self) -> None:
        """Hear no more; safe to repeat."""
        self._known.clear()
        self._listeners.forget(self._news)
        self._news.end(ClosedError("the iterator is closed"), at_once=True)

    def __del__(self) -> None:
        self._listeners.forget(self._news)


class Listeners:
    """All who listen to a table. Each event of a store comes by here, so most is looked up."""

    def __init__(self, table: LiveTable) -> None:
        self.table = table
        self.reason: BaseException | None = None
        """Why nothing more will come."""
        self._news: list[News] = []
        self._waiters: dict[str, dict[_Waiter, Predicate]] = {}
        self._readers: set[_Reader] = set()
        table.quiet = True

    def listen(self) -> News:
        """A queue for changes from now on."""
        news = News()
        if self.reason is not None:
            news.end(copy(self.reason))
        else:
            self._news.append(news)
        self._look()
        return news

    def forget(self, news: News) -> None:
        """Nobody takes from this queue any more."""
        if news in self._news:
            self._news.remove(news)
        self._look()

    def put(self, change: PresenceChange | None, seen: Moment) -> None:
        """Tell everybody of a change, if it is one."""
        if change is None:
            return
        for news in tuple(self._news):  # one may be collected, and forgotten, meanwhile
            news.put(change, seen)
        if self._waiters and change.user_id in self._waiters:
            self._ask(change.user_id, seen)
        if self._readers and not self.table.unread:
            self._all_read()

    def _ask(self, user_id: str, seen: Moment) -> None:
        """Ask those who wait for a user whether this is it; their errors are theirs alone."""
        row = self.table.get(user_id, seen)
        for waiter, predicate in list(self._waiters[user_id].items()):
            if waiter.done():
                continue
            found: LivePresence | Exception | None
            try:
                found = row if predicate(row) else None
            except Exception as error:  # noqa: BLE001  # whatever it is, it is the waiter's
                found = error
            if found is not None and not waiter.done():  # it may have removed the user
                waiter.set_result(found)

    async def wait_for(self, user_id: str, predicate: Predicate) -> LivePresence:
        """Wait until a predicate is true of a user."""
        if not callable(predicate) or inspect.iscoroutinefunction(predicate):
            raise InvalidRequestError(
                f"predicate must be a plain function, not {predicate!r}: nobody awaits it",
                field="predicate",
            )
        row = self.table.get(user_id, Moment.now())
        if self.reason is not None:
            raise copy(self.reason)  # one object would collect the traceback of each caller
        if predicate(row):
            return row
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(row.user_id, {})
        waiters[waiter] = predicate
        self._look()
        try:
            result = await waiter
        finally:
            del waiters[waiter]
            if not waiters and self._waiters.get(row.user_id) is waiters:
                del self._waiters[row.user_id]
            self._look()
        if isinstance(result, BaseException):
            raise result
        return result

    async def ready(self) -> None:
        """Wait until everybody has been read, or has failed once."""
        if self.reason is not None:
            raise copy(self.reason)
        if self.table.unread:
            reader: _Reader = asyncio.get_running_loop().create_future()
            self._readers.add(reader)
            self._look()
            try:
                reason = await reader
            finally:
                self._readers.discard(reader)
                self._look()
            if reason is not None:
                raise reason

    def _all_read(self, reason: BaseException | None = None) -> None:
        for reader in self._readers:
            if not reader.done():
                reader.set_result(copy(reason))

    def _look(self) -> None:
        self.table.quiet = not (self._news or self._waiters or self._readers)

    def drop(self, user_id: str) -> None:
        """The user is not followed any more."""
        for news in tuple(self._news):
            news.drop(user_id)
        for waiter in self._waiters.pop(user_id, ()):
            if not waiter.done():
                waiter.set_result(KeyError(user_id))
        if not self.table.unread:
            self._all_read()

    def end(self, reason: BaseException) -> None:
        """Nothing more will come: everybody gets `reason`."""
        self.reason = reason
        for news in tuple(self._news):
            news.end(copy(reason), at_once=True)
        self._news.clear()
        for waiters in self._waiters.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(copy(reason))
        self._all_read(reason)
