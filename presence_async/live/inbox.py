"""What a consumer has not taken yet: the latest of each topic, however slow it is. Pure.

Of each topic one notification waits at most, of each channel one word about its connection;
gaps are joined, and rejections. Whatever else a vendor may say is bounded, too. So there are
never more than a few things for each topic, and nobody ever has to wait for room.

What is folded keeps the place of what it replaces, so that everybody's turn comes. Only gaps go
to the end: a gap calls for reading the users, and an event from before it, told after it, would
take them back to what they were.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from presence_async.live.outputs import Connected, Disconnected, Folded, Gap, Rejected
from presence_async.notifications import Notification, UndecodableFrame, topic_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from presence_async.live.outputs import StreamEvent
    from presence_async.live.sharding import Shards

# Topics that wait although nobody asked for them; further ones share a place.
_UNASKED: Final = 1000
# No name begins with a space.
_UNREADABLE: Final = " "


@attrs.define
class _Latest:
    """The latest notification of a topic, and how many before it are gone."""

    notification: Notification
    unasked: bool = False
    folded: int = 0


@attrs.define
class _Gaps:
    """All gaps that wait."""

    since: float
    until: float
    topics: dict[str, None]


_Waiting: TypeAlias = Notification | _Latest | _Gaps | Rejected | Connected | Disconnected
# They come seldom; all others are notifications.
_SELDOM: Final = frozenset({Connected, Disconnected, Gap, Rejected, Folded})


class Inbox:
    """Events on their way to the one who takes them; `folded` counts what was replaced."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        # By topic, by channel, or by kind. Ordered, because in a plain dict the first key
        # gets slow to find once many before it are gone.
        self._waiting: OrderedDict[object, _Waiting] = OrderedDict()
        self._unasked = 0
        self.folded = 0

    def __len__(self) -> int:
        """How many events wait, without the markers."""
        return len(self._waiting)

    def put(self, event: StreamEvent) -> None:
        """Add an event to those that wait, or fold it into one of them."""
        if type(event) not in _SELDOM:
            self._put_notification(event)  # type: ignore[arg-type]  # see there
        elif isinstance(event, (Connected, Disconnected)):
            self._waiting[event.channel] = event
        elif isinstance(event, Gap):
            self._put_gap(event)
        elif isinstance(event, Rejected):
            waiting = self._waiting.get(Rejected)
            before = waiting.topics if isinstance(waiting, Rejected) else ()
            topics = {topic.id: topic for topic in (*before, *event.topics)}
            self._waiting[Rejected] = Rejected(tuple(topics.values()))

    def _put_notification(self, event: Notification) -> None:
        topic = topic_key(event.topic)
        key = _UNREADABLE + topic if type(event) is UndecodableFrame else topic
        waiting: Any = self._waiting.get(key)
        if waiting is None:
            if topic in self._shards:
                self._waiting[key] = event
                return
            if self._unasked >= _UNASKED:
                key = _UNREADABLE
                waiting = self._waiting.get(key)
        if waiting is None:
            self._waiting[key] = _Latest(event, unasked=True)
            self._unasked += 1
            return
        if type(waiting) is not _Latest:
            self._waiting[key] = waiting = _Latest(event)
        waiting.notification = event
        waiting.folded += 1
        self.folded += 1

    def _put_gap(self, gap: Gap) -> None:
        gaps = self._waiting.pop(Gap, None)
        if not isinstance(gaps, _Gaps):
            gaps = _Gaps(gap.since, gap.until, {})
        gaps.since, gaps.until = min(gaps.since, gap.since), max(gaps.until, gap.until)
        gaps.topics.update(dict.fromkeys(gap.topics))
        self._waiting[Gap] = gaps

    def pop(self) -> StreamEvent | None:
        """The next event; before one that stands for others, a marker; None for nothing."""
        if not self._waiting:
            return None
        key, waiting = self._waiting.popitem(last=False)
        if isinstance(waiting, _Latest):
            if waiting.folded:
                self._waiting[key] = waiting
                self._waiting.move_to_end(key, last=False)
                count, waiting.folded = waiting.folded, 0
                return Folded(waiting.notification.topic, count)
            self._unasked -= waiting.unasked
            return waiting.notification
        if isinstance(waiting, _Gaps):
            return Gap(waiting.since, waiting.until, tuple(waiting.topics))
        return waiting

    def drop(self, topics: Iterable[str]) -> None:
        """Forget what waits about single topics that are not wanted any more."""
        for topic in topics:
            key = topic_key(topic)
            for one in (key, _UNREADABLE + key):
                gone = self._waiting.pop(one, None)
                self._unasked -= isinstance(gone, _Latest) and gone.unasked
        gaps = self._waiting.get(Gap)
        if isinstance(gaps, _Gaps):
            gaps.topics = dict.fromkeys(self._shards.heard(gaps.topics))
            if not gaps.topics:
                del self._waiting[Gap]

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        self._unasked = 0
