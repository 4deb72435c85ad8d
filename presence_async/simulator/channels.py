"""Notification channels: who has which, what they subscribe to, and when they lapse. No HTTP.

The vendor's forum ("Notifications service limits & concepts", thread 10312) and the docstrings of
its Python SDK 269.0.0: 20 channels for a user and application, 1,000 topics a channel, 24 hours
of life, extended by every new subscribe call; one more channel evicts the least recently used,
unconnected ones first. What counts as a use is documented nowhere: here creating, subscribing,
unsubscribing and connecting do, looking does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

from presence_async.simulator.errors import ApiError, not_found
from presence_async.simulator.identity import channel_id_for
from presence_async.simulator.permissions import PRESENCE_VIEW, needs_all
from presence_async.simulator.topics import PRESENCE_SUFFIXES, Topic, read_topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from presence_async.simulator.oauth import AccessToken
    from presence_async.simulator.switches import Switches

CHANNELS = 20
TOPICS = 1000
LIFETIME_SECONDS = 24 * 3600.0
_WATCHING_OTHERS = needs_all(PRESENCE_VIEW)


class Sink(Protocol):
    """The socket of a channel."""

    def send(self, text: bytes) -> bool:
        """Send one frame; False from a socket that sends nothing any more."""
        ...

    def close(self, code: int | None = None) -> None:
        """Say goodbye."""
        ...


@attrs.define(eq=False)
class Channel:
    """One channel.

    Attributes:
        id: Last segment of the address of its socket, and the only credential of it.
        token: The token that made it.
        lapses_at: When it lapses, loop time.
        expires: The same in seconds since 1970.
        used: Rank of its last use among all channels.
        entries: Topics as they were written, by folded name.
        covered: Keys of the topics its entries cover.
        sink: Its socket, None while nobody is connected.
    """

    id: str
    token: AccessToken
    lapses_at: float = 0.0
    expires: float = 0.0
    used: int = 0
    entries: dict[str, tuple[str, tuple[Topic, ...]]] = attrs.field(factory=dict)
    covered: frozenset[str] = frozenset()
    sink: Sink | None = None

    @property
    def owner(self) -> tuple[str, str | None]:
        """Application and user, which channels are counted by."""
        return owner_of(self.token)

    @property
    def topics(self) -> list[str]:
        """The topics as they were written, in order."""
        return [name for name, _ in self.entries.values()]


def owner_of(token: AccessToken) -> tuple[str, str | None]:
    """Return application and user of a token."""
    return (token.client_id, token.user_id)


@attrs.frozen
class Rejection:
    """A topic that was not subscribed, and why."""

    topic: str
    reason: str
    missing_permissions: tuple[str, ...] = ()


class Channels:
    """All channels.

    Args:
        seed: Which ids they get.
        switches: How combined topics count, and what watching others needs.
        clock: Loop time.
        wall_clock: Seconds since 1970.
        address: Base address of the sockets.
    """

    def __init__(
        self,
        *,
        seed: int,
        switches: Switches,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        address: Callable[[], str],
    ) -> None:
        self._seed = seed
        self._switches = switches
        self._clock = clock
        self._wall_clock = wall_clock
        self._address = address
        self._made = 0
        self._uses = 0
        self._channels: dict[str, Channel] = {}
        # In the order of subscribing, so that what is drawn by seed repeats.
        self._subscribers: dict[str, dict[Channel, None]] = {}

    def create(self, token: AccessToken) -> Channel:
        """Open a channel; the least recently used one of too many is gone."""
        mine = self.of_owner(token)
        if len(mine) >= CHANNELS:
            self.remove(min(mine, key=lambda one: (one.sink is not None, one.used)))
        self._made += 1
        made = Channel(channel_id_for(self._seed, self._made), token)
        self._channels[made.id] = made
        self._extend(made)
        return made

    def touch(self, channel: Channel) -> None:
        """Note that a channel was used."""
        self._uses += 1
        channel.used = self._uses

    def find(self, channel_id: str) -> Channel | None:
        """Return a living channel or None."""
        channel = self._channels.get(channel_id)
        if channel is not None and self._clock() >= channel.lapses_at:
            self.remove(channel)
            return None
        return channel

    def get(self, channel_id: str, token: AccessToken) -> Channel:
        """Return a living channel of a token's application and user.

        Raises:
            ApiError: 404 for any other.
        """
        channel = self.find(channel_id)
        if channel is None or channel.owner != owner_of(token):
            raise not_found("channel", channel_id)
        return channel

    def of_owner(self, token: AccessToken) -> list[Channel]:
        """Return the living channels of a token's application and user."""
        owner = owner_of(token)
        return [channel for channel in self.all() if channel.owner == owner]

    def all(self) -> list[Channel]:
        """Return all living channels, in order of creation."""
        self.remove_lapsed()
        return list(self._channels.values())

    def connect_uri(self, channel: Channel) -> str:
        """Return the address of a channel's socket; knowing it is the only credential."""
        return f"{self._address()}/channels/{channel.id}"

    def subscribe(
        self,
        channel: Channel,
        names: Iterable[str],
        token: AccessToken,
        *,
        replace: bool,
        ignore_errors: bool,
    ) -> list[Rejection]:
        """Add topics to a channel, or replace what it has; its life starts anew.

        Args:
            channel: The channel.
            names: Topics, plain or combined; one that is there already changes nothing.
            token: Whose permissions count.
            replace: Drop what was subscribed before.
            ignore_errors: Leave bad topics out instead of refusing all.

        Returns:
            The topics left out.

        Raises:
            ApiError: 400 for a name that is no topic or for too many topics, 403 for one that
                is not allowed; nothing has changed then.
        """
        entries = {} if replace else dict(channel.entries)
        rejections = []
        for name in names:
            try:
                entries.setdefault(name.casefold(), (name, self._permitted(name, token)))
            except ApiError as error:
                if not ignore_errors:
                    raise
                missing = error.params.get("permissions") if error.params else None
                rejections.append(Rejection(name, error.message, (missing,) if missing else ()))
        self._check_count(entries)
        self._cover(channel, entries)
        self._extend(channel)
        return rejections

    def clear(self, channel: Channel) -> None:
        """Drop all topics of a channel; its life is not extended."""
        self._cover(channel, {})
        self.touch(channel)

    def subscribers(self, key: str) -> tuple[Channel, ...]:
        """Return the living channels that cover a topic (its key), in the order of subscribing."""
        holders, now = self._subscribers.get(key, ()), self._clock()
        return tuple(channel for channel in holders if now < channel.lapses_at)

    @property
    def watched(self) -> bool:
        """Whether any topic is subscribed at all."""
        return bool(self._subscribers)

    def remove(self, channel: Channel) -> None:
        """End a channel and its socket."""
        self._cover(channel, {})
        self._channels.pop(channel.id, None)
        if channel.sink is not None:
            channel.sink.close()

    def remove_lapsed(self) -> None:
        """End the channels whose time is over."""
        now = self._clock()
        for channel in [one for one in self._channels.values() if now >= one.lapses_at]:
            self.remove(channel)

    def _extend(self, channel: Channel) -> None:
        channel.lapses_at = self._clock() + LIFETIME_SECONDS
        channel.expires = self._wall_clock() + LIFETIME_SECONDS
        self.touch(channel)

    def _permitted(self, name: str, token: AccessToken) -> tuple[Topic, ...]:
        topics = read_topics(name)
        if self._switches.presence_topic_permission and any(
            topic.suffix in PRESENCE_SUFFIXES and not topic.is_about(token.user_id)
            for topic in topics
        ):
            _WATCHING_OTHERS.check(token.permissions)
        return topics

    def _check_count(self, entries: Mapping[str, tuple[str, tuple[Topic, ...]]]) -> None:
        count = len(entries)
        if self._switches.combined_topics_count == "each":
            count = sum(len(topics) for _, topics in entries.values())
        if count > TOPICS:
            raise ApiError(
                400,
                "notification.subscription.too.many.subscriptions",
                f"A channel has at most {TOPICS} topics, not [{count}]",
                limit={"key": "topics.per.channel", "namespace": "notifications", "value": TOPICS},
            )

    def _cover(self, channel: Channel, entries: dict[str, tuple[str, tuple[Topic, ...]]]) -> None:
        """Give a channel its topics and keep the way from topic to channels."""
        covered = frozenset(topic.key for _, topics in entries.values() for topic in topics)
        for key in channel.covered - covered:
            holders = self._subscribers[key]
            del holders[channel]
            if not holders:
                del self._subscribers[key]
        for key in covered - channel.covered:
            self._subscribers.setdefault(key, {})[channel] = None
        channel.entries = entries
        channel.covered = covered
