"""Which topic goes to which channel: as few channels as will do, and no topic ever moves. Pure.

A channel takes 1,000 topics and a user has 20 channels (`resources.channels` has the sources).
Whether a combined topic counts once or once for each of its parts is documented nowhere. So
topics are combined only where the single ones have no room, which is right either way: if each
part counts, there is no room for them at all, and the vendor says so.

To take a topic out of a channel, all of them have to be replaced, and nobody says that the others
are never without a subscription in between. So a topic that is removed stays with its channel,
unheard, until its room is needed or the subscriptions are made anew for another reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from presence_async.errors import InvalidRequestError
from presence_async.notifications import (
    TOPICS_PER_CHANNEL,
    check_topic,
    single_topics,
    split_topic,
    user_topic,
)
from presence_async.resources._base import check_texts

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CHANNELS", "Shards", "Step", "check_wanted"]

CHANNELS: Final = 20
"""Channels of one user through one OAuth client; one more evicts another."""

# A combined name is shorter than the vendor's bound on names with so many parts.
_PARTS: Final = 4


def check_wanted(user_ids: Iterable[str], topics: Iterable[str]) -> list[str]:
    """The single topics that users and topics stand for.

    Args:
        user_ids: Users, for their presence.
        topics: Names, single or combined.

    Raises:
        InvalidRequestError: One that cannot be; `field` names it.
    """
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
    """The topics that a channel is to have from now on."""

    channel: int
    topics: tuple[str, ...]


class _Shard:
    """One channel: names by what makes two spellings one, and those that are removed."""

    __slots__ = ("names", "removed")

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.removed: set[str] = set()

    @property
    def full(self) -> bool:
        return len(self.names) + len(self.removed) >= TOPICS_PER_CHANNEL


class Shards:
    """The topics of a stream, and where they are.

    Attributes:
        channels: Channels at most.
        unheard: Single topics, in lower case, that are subscribed and not wanted any more.
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
        """Whether a single topic is wanted, in lower case."""
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
        return tuple(
            name
            for name in names
            if any(single.casefold() in self._wanted for single in single_topics(name))
        )

    def change(self, add: Iterable[str], remove: Iterable[str] = ()) -> list[Step]:
        """Want other single topics.

        Returns:
            What to tell which channels, in this order; one that is new is told as well.

        Raises:
            InvalidRequestError: They are too many; nothing has changed then.
        """
        wanted = dict(self._wanted)
        for name in remove:
            wanted.pop(name.casefold(), None)
        for name in add:
            wanted.setdefault(name.casefold(), name)
        names = _named(wanted, self.channels)
        self._wanted = wanted
        for key in [key for key in self._places if key not in names]:
            shard = self._shards[self._places.pop(key)]
            del shard.names[key]
            shard.removed.add(key)
        fresh = {key: name for key, name in names.items() if key not in self._places}
        # Added again, it has to be removed first: nobody has heard it in between.
        again = [place for place, one in enumerate(self._shards) if one.removed & fresh.keys()]
        steps = [self._step(place) for place in again]
        touched: dict[int, None] = {}
        place = 0
        for key, name in fresh.items():
            place = self._place(key, name, place)
            touched[place] = None
        steps += [self._step(place) for place in touched]
        self._look()
        return steps

    def settle(self, channel: int) -> Step | None:
        """Forget what was removed: the subscriptions of this channel are made anew anyhow.

        Returns:
            What to tell it, or None for nothing.
        """
        if not self._shards[channel].removed:
            return None
        step = self._step(channel)
        self._look()
        return step

    def steps(self) -> list[Step]:
        """All channels as they are to be."""
        return [self._step(place) for place in range(len(self._shards))]

    def _step(self, place: int) -> Step:
        shard = self._shards[place]
        shard.removed.clear()
        return Step(place, tuple(shard.names.values()))

    def _place(self, key: str, name: str, place: int) -> int:
        """Put a name into the first channel with room, from one on; there is some, by count."""
        while place < len(self._shards) and self._shards[place].full:
            place += 1
        if place == len(self._shards) < self.channels:
            self._shards.append(_Shard())
        elif place == len(self._shards):
            place = next(n for n, shard in enumerate(self._shards) if shard.removed)
            self._shards[place].removed.clear()
        self._shards[place].names[key] = name
        self._places[key] = place
        return place

    def _look(self) -> None:
        removed = (key for shard in self._shards for key in shard.removed)
        singles = {single.casefold() for key in removed for single in single_topics(key)}
        self.unheard = singles - self._wanted.keys()


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
            names[name.casefold()] = name
        else:
            users.setdefault(topic.user_id.casefold(), (topic.user_id, []))[1].extend(
                topic.suffixes
            )
    for user_id, suffixes in users.values():
        for start in range(0, len(suffixes), _PARTS):
            name = user_topic(user_id, *suffixes[start : start + _PARTS])
            names[name.casefold()] = name
    return names
