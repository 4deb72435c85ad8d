"""The topics of one channel: which are subscribed, and which are in a gap since when. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from presence_async.live.outputs import Gap, Rejected
from presence_async.notifications import topic_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from presence_async.models import ChannelTopic


class Coverage:
    """What is wanted (names by `topic_key`), what was granted, and the gaps."""

    def __init__(self, topics: Iterable[str]) -> None:
        self.wanted = _by_key(topics)
        self._uncovered: dict[str, float] = {}
        self._permitted: set[str] = set()
        self._rejected: set[str] = set()

    def begin(self, now: float) -> None:
        """Everything is in a gap from now on."""
        self._uncovered = dict.fromkeys(self.wanted, now)

    def change(self, topics: Iterable[str], again: Iterable[str], now: float) -> tuple[bool, bool]:
        """Want these topics; what is new, or comes again unheard, is in a gap from now on.

        Returns:
            Whether there is something to subscribe, and whether something to take out.
        """
        wanted, unheard = _by_key(topics), {topic_key(name) for name in again}
        before, self.wanted = self.wanted, wanted
        added, removed = wanted.keys() - before.keys(), before.keys() - wanted.keys()
        for key in removed:
            self._uncovered.pop(key, None)
        self._rejected -= removed | unheard
        self._uncover(added | unheard, now)
        missing = added | (unheard - self._permitted)
        self._permitted -= removed
        return bool(missing), bool(removed)

    def grant(
        self, asked: Iterable[str], rejected: Iterable[ChannelTopic], since: float
    ) -> list[Rejected]:
        """The asked keys are subscribed, but for the rejected; returns what is new of these."""
        refused = {topic_key(str(topic.id)): topic for topic in rejected}
        self._uncover(self._permitted & refused.keys(), since)
        # What was taken out meanwhile is wanted no more.
        self._permitted = {key for key in asked if key not in refused and key in self.wanted}
        told = tuple(topic for key, topic in refused.items() if key not in self._rejected)
        self._rejected = set(refused)
        return [Rejected(told)] if told else []

    def lose(self, since: float) -> None:
        """Events may be lost from `since` on, unless a gap has begun before."""
        self._uncover(self._permitted, since)

    def forget(self) -> None:
        """Nothing is subscribed any more."""
        self._permitted.clear()

    def cover(self, now: float) -> list[Gap]:
        """A live socket covers what is subscribed: the gaps that end, one for each start."""
        ended: dict[float, list[str]] = {}
        left = {}
        for key, since in self._uncovered.items():
            if key in self._permitted:
                ended.setdefault(since, []).append(self.wanted[key])
            else:
                left[key] = since
        self._uncovered = left
        return [Gap(since, now, tuple(topics)) for since, topics in sorted(ended.items())]

    @property
    def covered(self) -> tuple[str, ...]:
        """The topics that are in no gap."""
        covered = self._permitted - self._uncovered.keys()
        return tuple(name for key, name in self.wanted.items() if key in covered)

    @property
    def uncovered(self) -> tuple[str, ...]:
        """The topics that are in a gap."""
        return tuple(self.wanted[key] for key in self._uncovered)

    def _uncover(self, keys: AbstractSet[str], since: float) -> None:
        for key in self.wanted:  # in the caller's order
            if key in keys:
                self._uncovered.setdefault(key, since)


def _by_key(topics: Iterable[str]) -> dict[str, str]:
    return {topic_key(name): name for name in topics}
