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
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from presence_async.live.outputs import Connected, Disconnected, Folded, Gap, Rejected
from presence_async.notifications import UndecodableFrame

if TYPE_CHECKING:
    from collections.abc import Iterable

    from presence_async.live.outputs import StreamEvent
    from presence_async.live.sharding import Shards
    from presence_async.models import ChannelTopic
    from presence_async.notifications import Notification

__all__ = ["Inbox"]

# Topics that wait although nobody asked for them; further ones share a place.
_UNASKED: Final = 1000
# No name begins with a space.
_UNREADABLE: Final = " "


@attrs.define
class _Latest:
    """The latest notification of a topic, and how many before it are gone."""

    notification: Notification
    unasked: bool
    folded: int = 0


@attrs.define
class _Gaps:
    """All gaps that wait."""

    since: float
    until: float
    topics: dict[str, None]


@attrs.define
class _Rejections:
    """All rejections that wait."""

    topics: dict[str, ChannelTopic]


_Waiting: TypeAlias = _Latest | _Gaps | _Rejections | Connected | Disconnected


class Inbox:
    """Events on their way to the one who takes them.

    Args:
        shards: Which topics are wanted.

    Attributes:
        folded: How many notifications a later one has replaced, in all.
    """

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
        if isinstance(event, (Connected, Disconnected)):
            self._waiting[event.channel] = event
        elif isinstance(event, Gap):
            self._put_gap(event)
        elif isinstance(event, Rejected):
            waiting = self._waiting.get(Rejected)
            known = waiting.topics if isinstance(waiting, _Rejections) else {}
            topics = {str(topic.id): topic for topic in event.topics}
            self._waiting[Rejected] = _Rejections(known | topics)
        elif not isinstance(event, Folded):  # which is made here
            self._put_notification(event)

    def _put_notification(self, event: Notification) -> None:
        topic = event.topic.casefold()
        key = _UNREADABLE + topic if isinstance(event, UndecodableFrame) else topic
        unasked = topic not in self._shards
        if unasked and self._unasked >= _UNASKED and key not in self._waiting:
            key = _UNREADABLE
        waiting = self._waiting.get(key)
        if isinstance(waiting, _Latest):
            waiting.notification = event
            waiting.folded += 1
            self.folded += 1
        else:
            self._waiting[key] = _Latest(event, unasked)
            self._unasked += unasked

    def _put_gap(self, gap: Gap) -> None:
        gaps = self._waiting.pop(Gap, None)
        if not isinstance(gaps, _Gaps):
            gaps = _Gaps(gap.since, gap.until, {})
        gaps.since, gaps.until = min(gaps.since, gap.since), max(gaps.until, gap.until)
        gaps.topics.update(dict.fromkeys(gap.topics))
        self._waiting[Gap] = gaps

    def pop(self) -> StreamEvent | None:
        """The next event; before one that stands for others, a marker; None for nothing."""
        key = next(iter(self._waiting), None)
        if key is None:
            return None
        waiting = self._waiting[key]
        if isinstance(waiting, _Latest) and waiting.folded:
            count, waiting.folded = waiting.folded, 0
            return Folded(waiting.notification.topic, count)
        self._forget(key)
        if isinstance(waiting, _Latest):
            return waiting.notification
        if isinstance(waiting, _Gaps):
            return Gap(waiting.since, waiting.until, tuple(waiting.topics))
        if isinstance(waiting, _Rejections):
            return Rejected(tuple(waiting.topics.values()))
        return waiting

    def drop(self, topics: Iterable[str]) -> None:
        """Forget what waits about single topics that are not wanted any more."""
        for topic in topics:
            key = topic.casefold()
            for one in (key, _UNREADABLE + key):
                if one in self._waiting:
                    self._forget(one)
        gaps = self._waiting.get(Gap)
        if isinstance(gaps, _Gaps):
            gaps.topics = dict.fromkeys(self._shards.heard(gaps.topics))
            if not gaps.topics:
                self._forget(Gap)

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        self._unasked = 0

    def _forget(self, key: object) -> None:
        gone = self._waiting.pop(key)
        self._unasked -= isinstance(gone, _Latest) and gone.unasked
