"""Which topic goes to which channel: as few channels as will do, and no topic ever moves. Pure.

A channel takes 1,000 topics and a user has 20 channels (`resources.channels` has the sources).
Whether a combined topic counts once or once for each of its parts is documented nowhere. So
topics are combined only where the single ones have no room, which is right either way: if each
part counts, there is no room for them at all, and the vendor says so.

To take a topic out of a channel, all of them have to be replaced, and nobody says that the others
are never without a subscription in between. So a topic that is removed stays with its channel,
unheard, until its room is needed or the subscriptions are made anew for another reason. Is it
wanted again before, it was not heard for a while, and its channel is told so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from presence_async.errors import InvalidRequestError
from presence_async.notifications import (
    TOPICS_PER_CHANNEL,
    check_topic,
    single_topics,
    split_topic,
    topic_key,
    user_topic,
)
from presence_async.resources._base import check_texts

if TYPE_CHECKING:
    from collections.abc import Iterable

CHANNELS: Final = 20
"""Channels of one user through one OAuth client; one more evicts another."""

# A combined name is shorter than the vendor's bound on names with so many parts.
_PARTS: Final = 4


def check_wanted(user_ids: Iterable[str], topics: Iterable[str]) -> list[str]:
    """The single topics of users' presences and of names; InvalidRequestError names a bad one."""
    names = []
    for index, user_id in enumerate(check_texts("user_ids", user_ids)):
        try:
            names.append(user_topic(user_id, "presence"))
        except InvalidRequestError as error:
            field = f"user_ids[{index}]"
            raise InvalidRequestError(f"{field}: {error.message}", field=field) from None
    for index, name in enumerate(check_texts("topics", topics)):
        names += single_topics(check_topic(f"topics[{index}]", name))
    return names


class Step(NamedTuple):
    """The topics that a channel is to have from now on; some again, unheard for a while."""

    channel: int
    topics: tuple[str, ...]
    again: tuple[str, ...] = ()


class _Shard:
    """One channel: names by key, and those that are removed."""

    __slots__ = ("names", "removed")

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.removed: dict[str, str] = {}

    @property
    def full(self) -> bool:
        return len(self.names) + len(self.removed) >= TOPICS_PER_CHANNEL


class Shards:
    """The topics of a stream, and where they are. Keys are those of `topic_key`.

    Attributes:
        channels: Channels at most.
        unheard: Keys of single topics that are subscribed and not wanted any more.
    """

    def __init__(self) -> None:
        self.channels = CHANNELS
        self._wanted: dict[str, str] = {}
        self.unheard: set[str] = set()
        self._places: dict[str, int] = {}
        self._shards: list[_Shard] = []

    def __len__(self) -> int:
        """How many channels there are."""
        return len(self._shards)

    def __contains__(self, key: object) -> bool:
        """Whether a single topic is wanted, by its key."""
        return key in self._wanted

    @property
    def topics(self) -> int:
        """How many single topics are wanted."""
        return len(self._wanted)

    @property
    def combined(self) -> bool:
        """Whether topics had to be combined."""
        return len(self._places) < len(self._wanted)

    def heard(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the names that somebody still wants something of."""
        return tuple(name for name in names if any(key in self._wanted for key in _keys(name)))

    def change(self, add: Iterable[str], remove: Iterable[str] = ()) -> list[Step]:
        """Want other single topics; returns what to tell which channels, new ones included.

        Raises:
            InvalidRequestError: They are too many; nothing has changed then.
        """
        before, added = self.combined, dict[str, str]()
        for name in add:
            added.setdefault(topic_key(name), name)
        fresh = {key: name for key, name in added.items() if key not in self._wanted}
        gone = {key for key in map(topic_key, remove) if key in self._wanted and key not in added}
        gone, fresh = self._want(gone, fresh)
        for key in gone:
            shard = self._shards[self._places.pop(key)]
            shard.removed[key] = shard.names.pop(key)
            self.unheard.update(_keys(key))
        touched = self._take_back(fresh)
        place = 0
        for key, name in fresh.items():
            if self.unheard:
                self.unheard.difference_update(_keys(key))
            if key not in self._places:
                place = self._room(place)
                self._shards[place].names[key] = name
                self._places[key] = place
                touched.setdefault(place, [])
        if before or self.combined:  # names that overlap would bring the same event twice
            for place, shard in enumerate(self._shards):
                if shard.removed and shard.names:
                    self._let_go(shard)
                    touched.setdefault(place, [])
        return [self._step(place, again) for place, again in touched.items()]

    def settle(self, channel: int) -> Step | None:
        """Forget what was removed, as the subscriptions of this channel are made anew anyhow.

        No channel is ever without a topic: what the vendor thinks of that nobody says.
        """
        shard = self._shards[channel]
        if not shard.removed or not shard.names:
            return None
        self._let_go(shard)
        return self._step(channel)

    def steps(self) -> list[Step]:
        """All channels as they are to be, when nothing is subscribed yet."""
        for shard in self._shards:
            self._let_go(shard)
        return [self._step(place) for place in range(len(self._shards))]

    def _want(self, gone: set[str], fresh: dict[str, str]) -> tuple[set[str], dict[str, str]]:
        """Want other single topics; returns which names go and which come for that."""
        topics = len(self._wanted) - len(gone) + len(fresh)
        if not self.combined and topics <= self.channels * TOPICS_PER_CHANNEL:
            for key in gone:
                del self._wanted[key]
            self._wanted |= fresh
            return gone, fresh
        wanted = {key: name for key, name in self._wanted.items() if key not in gone} | fresh
        names = _named(wanted, self.channels)
        self._wanted = wanted
        coming = {key: name for key, name in names.items() if key not in self._places}
        return self._places.keys() - names.keys(), coming

    def _take_back(self, fresh: dict[str, str]) -> dict[int, list[str]]:
        """What was removed and comes again is still where it was; returns where."""
        back: dict[int, list[str]] = {}
        for place, shard in enumerate(self._shards):
            for key in [key for key in fresh if key in shard.removed]:
                del shard.removed[key]
                shard.names[key] = fresh[key]
                self._places[key] = place
                back.setdefault(place, []).append(fresh[key])
        return back

    def _room(self, place: int) -> int:
        """The first channel with room, from one on; there is some, by count."""
        while place < len(self._shards) and self._shards[place].full:
            place += 1
        if place == len(self._shards) < self.channels:
            self._shards.append(_Shard())
        elif place == len(self._shards):
            place = next(n for n, shard in enumerate(self._shards) if shard.removed)
            self._let_go(self._shards[place])
        return place

    def _step(self, place: int, again: Iterable[str] = ()) -> Step:
        shard = self._shards[place]
        return Step(place, (*shard.names.values(), *shard.removed.values()), tuple(again))

    def _let_go(self, shard: _Shard) -> None:
        shard.removed.clear()
        left = {single for one in self._shards for name in one.removed for single in _keys(name)}
        self.unheard = left - self._wanted.keys()


def _keys(name: str) -> list[str]:
    """Those of the single topics that a name stands for."""
    return [topic_key(single) for single in single_topics(name)]


def _named(wanted: dict[str, str], channels: int) -> dict[str, str]:
    """The names to subscribe to, by key."""
    room = channels * TOPICS_PER_CHANNEL
    names = wanted if len(wanted) <= room else _combined(wanted.values())
    if len(names) > room:
        left = " that other streams of this client leave" if channels < CHANNELS else ""
        raise InvalidRequestError(
            f"{len(names):,} topics are too many: there is room for {room:,}, "
            f"{TOPICS_PER_CHANNEL:,} on each of the {channels} channels{left}; follow the other "
            f"{len(names) - room:,} users with client.poll",
            field="user_ids",
        )
    return names


def _combined(singles: Iterable[str]) -> dict[str, str]:
    """One name for all topics of a user, or for a few of them where they are many."""
    names: dict[str, str] = {}
    users: dict[str, tuple[str, list[str]]] = {}
    for name in singles:
        topic = split_topic(name)
        if topic is None:
            names[topic_key(name)] = name
        else:
            users.setdefault(topic.user_id.casefold(), (topic.user_id, []))[1].extend(
                topic.suffixes
            )
    for user_id, suffixes in users.values():
        for start in range(0, len(suffixes), _PARTS):
            name = user_topic(user_id, *suffixes[start : start + _PARTS])
            names[topic_key(name)] = name
    return names
