"""The live store: a map of who is in which presence, fed by events and by reads."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import time
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, Final

from presence_async.errors import ClosedError, InvalidRequestError, PermissionDeniedError
from presence_async.fanout import check_concurrency
from presence_async.forecast import check_interval
from presence_async.live.feed import Feed
from presence_async.live.listeners import Listeners, LiveChanges
from presence_async.live.outputs import Disconnected, Gap, Rejected
from presence_async.live.rereads import Rereads
from presence_async.live.rows import StoreStatistics
from presence_async.live.sharding import Shards, check_wanted
from presence_async.live.table import LiveTable
from presence_async.models import SystemPresenceName
from presence_async.notifications import PresenceNotification, SystemNotification, split_topic
from presence_async.resources._base import check_text
from presence_async.resources.updating import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator
    from typing import Self

    from presence_async.errors import PresenceError
    from presence_async.forecast import SweepForecast
    from presence_async.live.feed import Session
    from presence_async.live.listeners import Predicate
    from presence_async.live.outputs import StreamEvent
    from presence_async.live.rows import LivePresence
    from presence_async.resources._base import Send

__all__ = ["PresenceStore"]


# Polling more often than this is of no use where nobody asks for it.
_SHORTEST: Final = 10.0
_LOGGER: Final = logging.getLogger("presence_async.live")


class PresenceStore(Mapping[str, "LivePresence"]):
    """What `client.live()` gives: a map from user id to `LivePresence` that keeps itself right.

        async with client.live(user_ids) as live:
            await live.ready()
            print(live[user_id].system_presence, live.counts())
            async for change in live.changes():
                ...

    Reading the map never waits and makes no request. Who may be out of date is `stale`; that
    ends by itself. Leaving the block ends everything: who listens or waits gets ClosedError.
    """

    def __init__(
        self,
        session: Session,
        sends: tuple[Send, Send, Send],
        *,
        user_ids: Iterable[str],
        notifications: bool,
        interval: float | None,
        reconcile: float | None,
        concurrency: int,
        forecast: Callable[..., SweepForecast],
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Use `client.live`; the session and its lanes interactive, bulk and polling come first."""
        if not isinstance(notifications, bool):
            raise InvalidRequestError("notifications must be a bool", field="notifications")
        self._interval = None if interval is None else check_interval(interval)
        self._reconcile = None if reconcile is None else check_interval(reconcile, "reconcile")
        self._session = session
        self._forecast = forecast
        self._table = LiveTable()
        self._listeners = Listeners(self._table)
        self._reads = Rereads(
            self._table,
            self._listeners.put,
            session.adopt,
            send=sends[1],
            send_idle=sends[2],
            concurrency=check_concurrency(concurrency),
            chance=chance,
        )
        self._shards = Shards()
        self._feed = Feed(
            session, sends[0], self._shards, tell=self._hear, ended=self._feed_ended, chance=chance
        )
        self._lag: float | None = None
        self._lag_max = -1.0
        self._entered = False
        self._clock: Callable[[], float] = float
        self._tasks: set[asyncio.Task[Any]] = set()
        if not notifications:
            self._reads.polling.set()
        self.add(user_ids)

    # -- the map

    def __getitem__(self, user_id: str) -> LivePresence:
        return self._table.get(user_id, self._now())

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, user_id: object) -> bool:
        return user_id in self._table

    # A store is itself and no other, as things with tasks are.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def snapshot(self) -> dict[str, LivePresence]:
        """What is known of every user right now."""
        now = self._now()
        return {user_id: self._table.get(user_id, now) for user_id in self._table}

    def where(
        self,
        *,
        system_presence: str | None = None,
        definition_id: str | None = None,
        stale: bool | None = None,
    ) -> list[LivePresence]:
        """The users with all of this.

        Args:
            system_presence: In any spelling.
            definition_id: Id of a definition.
            stale: Whether they may be out of date.
        """
        name = None
        if system_presence is not None:
            name = SystemPresenceName(check_text("system_presence", system_presence))
        now = self._now()
        found = self._table.where(name, definition_id, stale=stale)
        return [self._table.get(user_id, now) for user_id in found]

    def counts(self) -> dict[SystemPresenceName | None, int]:
        """How many users are in each system presence; None is for those without one."""
        return self._table.counts

    # -- whom

    def add(self, user_ids: Iterable[str]) -> None:
        """Follow these users too. Who is followed already stays.

        Raises:
            InvalidRequestError: One that cannot be, or they are too many; none is added.
            PresenceError: The store has ended, for this reason.
        """
        names, now = self._names(user_ids), self._now()
        fresh = {name: user_id for name, user_id in names.items() if user_id not in self._table}
        self._table.add(fresh.values(), now)
        if self._reads.polling.is_set():
            self._poll(fresh.values(), now)
            return
        try:
            self._feed.change(fresh)
        except BaseException:
            for user_id in fresh.values():
                self._table.remove(user_id)
            raise

    def remove(self, user_ids: Iterable[str]) -> None:
        """Forget these users at once; who is not followed is passed over.

        Raises:
            InvalidRequestError: One that cannot be; none is removed.
            PresenceError: The store has ended, for this reason.
        """
        names = self._names(user_ids)
        if not self._reads.polling.is_set():
            self._feed.change((), names)
        for user_id in names.values():
            known = self._table.remove(user_id)
            if known is not None:
                self._listeners.drop(known)

    def _names(self, user_ids: Iterable[str]) -> dict[str, str]:
        """The users by topic."""
        if self._listeners.reason is not None:
            raise copy(self._listeners.reason)
        return {name: _user_of(name) for name in check_wanted(user_ids, ())}

    # -- who listens

    def changes(self, *, snapshot: bool = False) -> LiveChanges:
        """The changes from now on, for one task; any number of tasks may each have their own.

        Args:
            snapshot: Begin with everybody of whom something is known, as kind "first".

        Returns:
            An async iterator of `PresenceChange` that ends with what ends the store. Of a user
            one change waits at most; more are folded into it. "stale" comes without an error
            when it is only that events do not arrive just now.

        Raises:
            ClosedError: The store is not entered.
        """
        self._check_entered()
        return LiveChanges(self._listeners, snapshot=snapshot)

    async def wait_for(self, user_id: str, predicate: Predicate) -> LivePresence:
        """Wait until a user is as you want; `asyncio.timeout` bounds it.

        Args:
            user_id: A user who is followed.
            predicate: A plain function of a `LivePresence`: called now, and whenever something
                has changed. What it raises is raised here.

        Raises:
            InvalidRequestError: The predicate is no plain function.
            KeyError: The user is not followed, or was removed meanwhile.
            PresenceError: The store has ended, for this reason.
        """
        self._check_entered()
        return await self._listeners.wait_for(user_id, predicate)

    async def ready(self) -> None:
        """Wait until every user is known, or a read has failed.

        Raises:
            PresenceError: The store has ended, for this reason.
        """
        self._check_entered()
        await self._listeners.ready()

    @property
    def statistics(self) -> StoreStatistics:
        """How it goes, at any time."""
        table, feed, reads = self._table, self._feed, self._reads
        polling = reads.polling.is_set()
        return StoreStatistics(
            users=len(table),
            unread=table.unread,
            stale=table.stale,
            mode="polling" if polling else "notifications",
            channels=feed.channels,
            live_channels=feed.live,
            events=feed.events,
            gaps=feed.gaps,
            reconnects=feed.reconnects,
            reads=reads.reads,
            requests=reads.requests + feed.requests,
            sweeps=reads.sweeps,
            lag=self._lag,
            lag_max=None if self._lag is None else self._lag_max,
            differences=reads.differences,
        )

    # -- lifetime

    def _check_entered(self) -> None:
        if not self._entered and self._listeners.reason is None:
            raise ClosedError("the store is not entered: use it inside `async with`")

    async def __aenter__(self) -> Self:
        if self._entered or self._listeners.reason is not None:
            raise copy(self._listeners.reason) or ClosedError("the store is entered once")
        self._session.adopt(self)
        self._clock = asyncio.get_running_loop().time
        if self._reads.polling.is_set():
            self._reads.wake()
        else:
            self._feed.start()
        self._entered = True
        self._spawn(self._reads.run())
        self._spawn(self._reads.poll(self._seconds))
        if self._reconcile is not None:
            self._spawn(self._reads.reconcile(self._reconcile))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End it, and wait until no task, socket or timer is left; safe to repeat."""
        await self.abort(ClosedError("the store is closed"))

    async def abort(self, reason: PresenceError) -> None:
        """As `aclose`, for a reason of the session's."""
        self._end(reason)
        await self._feed.abort(reason)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # What is done here for long keeps nobody's context variables.
        context = contextvars.Context()
        loop = asyncio.get_running_loop()
        task = loop.create_task(work, name="presence_async live", context=context)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended, context=context)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self._end(ClosedError("a task of the store was cancelled"))
        elif (error := task.exception()) is not None:
            self._end(error)

    def _end(self, reason: BaseException) -> None:
        """Nothing more will come, for a reason; the first one counts."""
        if self._listeners.reason is not None:
            return
        self._listeners.end(reason)
        self._table.end()
        for task in self._tasks:
            task.cancel()
        if self._entered and self._feed.reason is None:
            self._spawn(self._feed.abort(ClosedError("the store has ended")))

    # -- what is heard

    def _hear(self, event: StreamEvent) -> None:
        """Take in an event, of thousands a second."""
        now = Moment(self._clock(), time.time())
        if type(event) is not PresenceNotification:
            self._hear_of_channel(event, now)
            return
        date = event.body.modified_date
        if date:
            self._lag = lag = max(0.0, now.wall - date.timestamp())
            self._lag_max = max(self._lag_max, lag)
        self._reads.explained(event.user_id, date)
        change = self._table.event(event.user_id, event.body, now)
        if change is not None:
            self._listeners.put(change, now)
        if self._table.due:
            self._reads.wake()

    def _hear_of_channel(self, event: StreamEvent, now: Moment) -> None:
        """Who is heard from now on, and who is not."""
        if isinstance(event, Gap):
            for user_id in event.users:
                self._listeners.put(self._table.gap(user_id, event.until, now), now)
            self._reads.wake()
        elif isinstance(event, Rejected):
            self._poll((_user_of(str(topic.id)) for topic in event.topics), now)
        elif isinstance(event, Disconnected | SystemNotification):
            channel = event.channel if isinstance(event, Disconnected) else None
            for name in self._feed.uncovered(channel):
                self._listeners.put(self._table.lose(_user_of(name), now), now)

    def _poll(self, user_ids: Iterable[str], now: Moment) -> None:
        for user_id in user_ids:
            self._listeners.put(self._table.poll(user_id, now), now)
        self._reads.wake()

    def _feed_ended(self) -> None:
        """Without permission for notifications it goes on by polling; else it ends."""
        reason = self._feed.reason
        if not isinstance(reason, PermissionDeniedError):
            self._end(reason or ClosedError("the stream has ended"))
        else:
            self._reads.polling.set()
            self._poll(self._table, self._now())
            _LOGGER.warning("notifications are refused, so users are polled: %s", self._sweeps())

    def _now(self) -> Moment:
        """This moment by the clock of the loop, which need not be running."""
        return Moment(self._clock(), time.time())

    def _seconds(self) -> float:
        """From one sweep of polling to the next."""
        return self._sweeps().interval or _SHORTEST

    def _sweeps(self) -> SweepForecast:
        users = len(self._table)
        interval = self._interval or max(
            _SHORTEST, self._forecast(users, _SHORTEST).shortest_interval
        )
        return self._forecast(users, interval)


def _user_of(name: str) -> str:
    topic = split_topic(name)
    return topic.user_id if topic else ""
