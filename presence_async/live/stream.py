"""The notification stream: an async iterator of events that says whatever may be missing."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from presence_async.errors import ClosedError, InvalidRequestError
from presence_async.live.feed import Feed
from presence_async.live.inbox import Inbox
from presence_async.live.sharding import Shards, check_wanted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from presence_async.live.feed import Session
    from presence_async.live.outputs import StreamEvent
    from presence_async.resources._base import Send

__all__ = ["PresenceStream", "StreamStatistics"]


@attrs.frozen(kw_only=True)
class StreamStatistics:
    """A stream at one moment.

    Attributes:
        topics: Topics that are followed; one for each user, unless others were asked for.
        channels: Channels they are on.
        live: Channels whose socket is proven to be alive.
        requests: Requests sent, repeated ones included.
        events: Notifications that arrived.
        gaps: Gaps that were told.
        reconnects: How often a channel was live again.
        folded: Notifications that were replaced by a later one before they were taken.
        waiting: Events that have not been taken yet.
    """

    topics: int
    channels: int
    live: int
    requests: int
    events: int
    gaps: int
    reconnects: int
    folded: int
    waiting: int


class PresenceStream:
    """What `client.stream()` gives: an async iterator of events that never ends by itself.

        async with client.stream(user_ids) as stream:
            async for event in stream:
                match event:
                    case PresenceNotification():
                        print(event.user_id, event.body.presence_definition)
                    case Gap():
                        ...  # read event.users now: what they did meanwhile may be missing

    One task at a time iterates; leaving the loop and coming back, or a timeout around one step,
    loses nothing. The first event of each channel is a `Gap` from its start on: read the users
    then, and nothing is missed. Leaving the block ends everything.
    """

    def __init__(
        self, session: Session, send: Send, *, user_ids: Iterable[str], topics: Iterable[str]
    ) -> None:
        """Use `client.stream`; session and send are the ways out."""
        self._shards = Shards()
        self._inbox = Inbox(self._shards)
        self._feed = Feed(session, send, self._shards, tell=self._put, ended=self._wake)
        self._entered = False
        self._awaited: asyncio.Future[None] | None = None
        self.add(user_ids, topics=topics)

    def __aiter__(self) -> PresenceStream:
        return self

    async def __anext__(self) -> StreamEvent:
        if not self._entered:
            raise ClosedError("the stream is not entered: use it inside `async with`")
        if self._awaited is not None:
            raise InvalidRequestError("another task iterates this stream; it has one reader")
        while (event := self._inbox.pop()) is None:
            if self._feed.reason is not None:
                raise self._feed.reason.with_traceback(None)  # else it grows each time
            self._awaited = asyncio.get_running_loop().create_future()
            try:
                await self._awaited
            finally:
                self._awaited = None
        return event

    def add(self, user_ids: Iterable[str] = (), *, topics: Iterable[str] = ()) -> None:
        """Follow these too. For each there will be a `Gap` when its events arrive.

        Args:
            user_ids: Users, for their presence. Who is followed already stays.
            topics: Names of topics.

        Raises:
            InvalidRequestError: One that cannot be, or they are too many; none is added.
            PresenceError: The stream has ended, for this reason.
        """
        self._feed.change(check_wanted(user_ids, topics))

    def remove(self, user_ids: Iterable[str] = (), *, topics: Iterable[str] = ()) -> None:
        """Follow these no more; what waits about them is forgotten.

        Who is not followed is passed over. No request is made for it, and nobody else gets
        into a gap.

        Args:
            user_ids: Users, for their presence.
            topics: Names of topics.

        Raises:
            InvalidRequestError: One that cannot be; none is removed.
            PresenceError: The stream has ended, for this reason.
        """
        names = check_wanted(user_ids, topics)
        self._feed.change((), names)
        self._inbox.drop(names)

    @property
    def statistics(self) -> StreamStatistics:
        """How it goes, at any time."""
        feed, inbox = self._feed, self._inbox
        return StreamStatistics(
            topics=self._shards.topics,
            channels=feed.channels,
            live=feed.live,
            requests=feed.requests,
            events=feed.events,
            gaps=feed.gaps,
            reconnects=feed.reconnects,
            folded=inbox.folded,
            waiting=len(inbox),
        )

    @staticmethod
    def when(seconds: float) -> datetime:
        """A time in an event, which is one of the running loop's clock, as a UTC datetime."""
        age = asyncio.get_running_loop().time() - seconds
        return datetime.fromtimestamp(time.time() - age, UTC)

    def _put(self, event: StreamEvent) -> None:
        self._inbox.put(event)
        self._wake()

    def _wake(self) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)

    async def __aenter__(self) -> Self:
        self._feed.start()
        self._entered = True
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End it, and wait until no task, socket or timer is left; safe to repeat."""
        self._inbox.clear()
        await self._feed.abort(ClosedError("the stream is closed"))
