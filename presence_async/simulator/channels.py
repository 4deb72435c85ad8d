"""Notification channels: who has which, what they subscribe to, and when they lapse. No HTTP.

The vendor's forum (thread 10312) and the docstrings of its Python SDK 269.0.0: 20 channels for a
user and application, 1,000 topics a channel, 24 hours of life, extended by every new subscribe
call; one more channel evicts the least recently used, unconnected ones first. What counts as a
use is documented nowhere: here all but looking does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from presence_async.simulator.errors import ApiError, not_found
from presence_async.simulator.events import PRESENCE_SUFFIXES, Topic, read_topics
from presence_async.simulator.identity import channel_id_for
from presence_async.simulator.services import PRESENCE_VIEW, needs_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from presence_async.simulator.oauth import AccessToken
    from presence_async.simulator.streaming import Socket
    from presence_async.simulator.switches import Switches

CHANNELS = 20
TOPICS = 1000
LIFETIME_SECONDS = 24 * 3600.0
_WATCHING_OTHERS = needs_all(PRESENCE_VIEW)


@attrs.define(eq=False)
class Channel:
    """One channel; its id, the last segment of its socket's address, is its only credential."""

    id: str
    token: AccessToken
    lapses_at: float = 0.0  # loop time
    expires: float = 0.0  # the same in seconds since 1970
    used: int = 0  # rank of its last use among all channels
    # Topics as they were written, by folded name; and the keys of all they cover.
    entries: dict[str, tuple[str, tuple[Topic, ...]]] = attrs.field(factory=dict)
    covered: frozenset[str] = frozenset()
    sink: Socket | None = None

    @property
    def owner(self) -> tuple[str, str | None]:
        """Application and user, which channels are counted by."""
        return self.token.owner

    @property
    def topics(self) -> list[str]:
        """The topics as they were written, in order."""
        return [name for name, _ in self.entries.values()]


@attrs.frozen
class Rejection:
    """A topic that was not subscribed, and why."""

    topic: str
    reason: str
    missing_permissions: tuple[str, ...] = ()


class Channels:
    """All channels."""

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
        """A living channel or None."""
        channel = self._channels.get(channel_id)
        if channel is not None and self._clock() >= channel.lapses_at:
            self.remove(channel)
            return None
        return channel

    def get(self, channel_id: str, token: AccessToken) -> Channel:
        """A living channel of a token's application and user; ApiError 404 for any other."""
        channel = self.find(channel_id)
        if channel is None or channel.owner != token.owner:
            raise not_found("channel", channel_id)
        return channel

    def of_owner(self, token: AccessToken) -> list[Channel]:
        """The living channels of a token's application and user."""
        return [channel for channel in self.all() if channel.owner == token.owner]

    def all(self) -> list[Channel]:
        """All living channels, in order of creation."""
        self.remove_lapsed()
        return list(self._channels.values())

    def connect_uri(self, channel: Channel) -> str:
        """The address of a channel's socket; knowing it is the only credential."""
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
        """Add topics to a channel (or replace what it has) and return those left out.

        With `ignore_errors` bad topics are left out; otherwise one is an ApiError, 400 or 403, and
        nothing has changed then.
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
        """The living channels that cover a topic's key, in the order of subscribing."""
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
