"""The topics of one channel: which are subscribed, and which are in a gap since when. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from presence_async.live.outputs import Gap, Rejected
from presence_async.notifications import check_topics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from presence_async.models import ChannelTopic

__all__ = ["Coverage"]


class Coverage:
    """What is wanted, what was granted, and the gaps.

    Args:
        topics: What is wanted.

    Attributes:
        wanted: The names by what makes two spellings of them one.

    Raises:
        InvalidRequestError: Topics that cannot be; `field` names the one.
    """

    def __init__(self, topics: Iterable[str]) -> None:
        self.wanted = _by_key(topics)
        self._uncovered: dict[str, float] = {}
        self._permitted: set[str] = set()
        self._rejected: set[str] = set()

    def begin(self, now: float) -> None:
        """Everything is in a gap from now on."""
        self._uncovered = dict.fromkeys(self.wanted, now)

    def change(self, topics: Iterable[str], now: float) -> tuple[bool, bool]:
        """Want these topics and no others; what is new is in a gap from now on.

        Returns:
            Whether topics were added, and whether some were removed.

        Raises:
            InvalidRequestError: As above; nothing has changed then.
        """
        wanted = _by_key(topics)
        before, self.wanted = self.wanted, wanted
        added, removed = wanted.keys() - before.keys(), before.keys() - wanted.keys()
        self._uncovered |= dict.fromkeys((key for key in wanted if key in added), now)
        for key in removed:
            self._uncovered.pop(key, None)
        self._permitted -= removed
        self._rejected -= removed
        return bool(added), bool(removed)

    def grant(
        self, asked: Iterable[str], rejected: Iterable[ChannelTopic], since: float
    ) -> list[Rejected]:
        """The asked keys are subscribed, but for the rejected ones.

        Returns:
            The rejections that have not been told yet.
        """
        refused = {str(topic.id).casefold(): topic for topic in rejected}
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
        for key in [key for key in self._uncovered if key in self._permitted]:
            ended.setdefault(self._uncovered.pop(key), []).append(self.wanted[key])
        return [Gap(since, now, tuple(topics)) for since, topics in sorted(ended.items())]

    @property
    def covered(self) -> tuple[str, ...]:
        """The topics that are in no gap."""
        covered = self._permitted - self._uncovered.keys()
        return tuple(name for key, name in self.wanted.items() if key in covered)

    def _uncover(self, keys: set[str], since: float) -> None:
        for key in self.wanted:  # in the caller's order
            if key in keys:
                self._uncovered.setdefault(key, since)


def _by_key(topics: Iterable[str]) -> dict[str, str]:
    return {name.casefold(): name for name in check_topics("topics", topics)}
