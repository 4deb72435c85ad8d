"""Notification topics of users, and events: from accepted changes to frames on sockets.

Names of topics follow the vendor's iOS SDK 201.0.0 (`notificationMappings.json`) and .NET SDK
270.0.0 (`NotificationTopics.cs`), which compares them in any case; the combined form and the bound
on a name are those of the vendor's streaming client. Body fields are those of the iOS SDK and of
the Python SDK 269.0.0 event models; the frame is recorded (March 2022). Only the topic's name says
whose presence it is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import attrs
import orjson

from presence_async.simulator.definitions import ON_QUEUE, shouted
from presence_async.simulator.errors import ApiError
from presence_async.simulator.identity import Numbering, chance_for
from presence_async.simulator.records import PURECLOUD, source_key, wire_date
from presence_async.simulator.services import PRESENCE_VIEW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from presence_async.simulator.channels import Channel, Channels
    from presence_async.simulator.organization import Organization
    from presence_async.simulator.records import Change, Presence

PRESENCE: Final = "presence"
ACTIVITY: Final = "activity"
INTEGRATION: Final = "integrationpresence"
# What the simulator raises events for; the neighbours can be subscribed to and stay silent.
PRESENCE_SUFFIXES = (PRESENCE, ACTIVITY, INTEGRATION)
_NEIGHBOURS = ("outofoffice", "routingStatus", "station", "tokens")
_SUFFIXES = {name.casefold(): name for name in (*PRESENCE_SUFFIXES, *_NEIGHBOURS)}
_PREFIX = "v2.users."
# Names are shorter than this.
NAME_LENGTH = 200


@attrs.frozen
class Topic:
    """One topic of one user; a combined name stands for several."""

    user_id: str
    suffix: str

    @property
    def key(self) -> str:
        """What makes two spellings of a topic one."""
        return topic_key(self.user_id, self.suffix)

    def is_about(self, user_id: str | None) -> bool:
        """Whether it is a topic of a user, in any case of the id; never of None."""
        return user_id is not None and self.user_id.casefold() == user_id.casefold()


def topic_key(user_id: str, suffix: str) -> str:
    """What makes two spellings of a user's topic one."""
    return f"{user_id}.{suffix}".casefold()


def topic_name(user_id: str, suffix: str) -> str:
    """The name events carry."""
    return f"{_PREFIX}{user_id}.{suffix}"


def read_topics(name: str) -> tuple[Topic, ...]:
    """The topics that a name in any case subscribes: one, or several if it is combined.

    ApiError 400 `notification.invalid.topic` for anything else, and for what comes without being
    asked (`channel.metadata`, `v2.system.*`).
    """
    head, rest = name[: len(_PREFIX)], name[len(_PREFIX) :]
    user_id, combined, listed = rest.partition("?")
    suffixes = listed.split("&")
    if not combined:
        user_id, _, suffix = rest.rpartition(".")
        suffixes = [suffix]
    known = [_SUFFIXES.get(suffix.casefold()) for suffix in suffixes]
    good = [suffix for suffix in known if suffix is not None]
    if (
        len(name) >= NAME_LENGTH
        or head.casefold() != _PREFIX
        or not user_id
        or len(good) != len(known)
    ):
        raise ApiError(
            400, "notification.invalid.topic", f"Invalid notification topic [{name[:100]}]"
        )
    return tuple(Topic(user_id, suffix) for suffix in dict.fromkeys(good))


def available_topics(
    expansions: frozenset[str], *, permission_needed: bool
) -> list[dict[str, Any]]:
    """The published list of topics, each with `id` and the fields asked for."""
    return [
        {"id": topic_name("{id}", suffix)}
        | {
            field: value
            for field, value in _details(suffix, permission_needed=permission_needed).items()
            if field in expansions
        }
        for suffix in _SUFFIXES.values()
    ]


EXPANSIONS = (
    "description", "enforced", "schema", "visibility", "transports",
    "publicApiTemplateUriPaths", "requiresPermissions", "permissionDetails", "topicParameters",
)  # fmt: skip


def _details(suffix: str, *, permission_needed: bool) -> dict[str, Any]:
    needed = [PRESENCE_VIEW] if permission_needed and suffix in PRESENCE_SUFFIXES else []
    paths = {
        PRESENCE: ["/api/v2/users/{id}/presences/purecloud"],
        INTEGRATION: ["/api/v2/users/{id}/presences/{sourceId}"],
    }
    return {
        "description": f"The {suffix} of a user",
        "enforced": bool(needed),
        "schema": {"type": "object"},
        "visibility": "Public",
        "transports": ["All"],
        "publicApiTemplateUriPaths": paths.get(suffix, []),
        "requiresPermissions": needed,
        "permissionDetails": [
            {
                "type": "requiresPermissions",
                "permissions": needed,
                "allowsCurrentUser": True,
                "enforced": True,
            }
        ]
        if needed
        else [],
        "topicParameters": ["id"],
    }


METADATA_TOPIC = "channel.metadata"
CLOSING_TOPIC = "v2.system.socket_closing"
HEARTBEAT = orjson.dumps(
    {"topicName": METADATA_TOPIC, "eventBody": {"message": "WebSocket Heartbeat"}}
)
PONG = orjson.dumps({"topicName": METADATA_TOPIC, "eventBody": {"message": "pong"}})


def frame(topic: str, body: dict[str, Any], correlation_id: str) -> bytes:
    """An event as text of a WebSocket frame."""
    return orjson.dumps(
        {
            "topicName": topic,
            "version": "2",
            "eventBody": body,
            "metadata": {"CorrelationId": correlation_id},
        }
    )


def system_message(topic: str, body: dict[str, Any]) -> bytes:
    """A message the vendor sends without being asked."""
    return orjson.dumps({"topicName": topic, "eventBody": body})


def suffixes_of(change: Change) -> tuple[str, ...]:
    """Which topics of its user a change raises."""
    presence = change.presence
    elsewhere = presence is not None and source_key(presence.source) != source_key(PURECLOUD)
    if elsewhere or change.switches_primary:
        return (PRESENCE, ACTIVITY, INTEGRATION)
    return (PRESENCE, ACTIVITY)


def body_of(organization: Organization, change: Change, suffix: str) -> dict[str, Any]:
    """The event body of a change for one of its topics, as things are now."""
    if suffix == ACTIVITY:
        return _activity(organization, change)
    presence = change.presence or organization.visible_presence(change.user_id)
    if suffix == INTEGRATION:
        return _integration(organization, change, presence)
    primary = source_key(presence.source) == source_key(change.primary.source_id)
    return dict(_presence(organization, presence, "message")) | {
        "source": presence.source,
        "primary": primary,
    }


def _presence(
    organization: Organization, presence: Presence, message: str
) -> Iterator[tuple[str, Any]]:
    yield "presenceDefinition", _reference(organization, presence.definition_id)
    yield message, presence.message
    yield "modifiedDate", wire_date(presence.modified)
    if presence.future_definition_id is not None and message == "message":
        future = _reference(organization, presence.future_definition_id)
        yield "futurePresenceDefinition", future


def _reference(organization: Organization, definition_id: str) -> dict[str, str]:
    record = organization.definition_store.shown(definition_id)
    return {"id": record.id, "systemPresence": shouted(record.system_presence)}


def _activity(organization: Organization, change: Change) -> dict[str, Any]:
    visible = organization.visible_presence(change.user_id)
    record = organization.definition_store.shown(visible.definition_id)
    date = wire_date(visible.modified)
    # Routing is not simulated: the status follows the presence.
    status = "IDLE" if record.system_presence == ON_QUEUE else "OFF_QUEUE"
    return {
        "id": change.user_id,
        "routingStatus": {"userId": change.user_id, "status": status, "startTime": date},
        "presence": dict(_presence(organization, visible, "presenceMessage")),
        "outOfOffice": {"active": False, "modifiedDate": date},
        "activeQueueIds": [],
        "dateActiveQueuesChanged": date,
    }


def _integration(organization: Organization, change: Change, presence: Presence) -> dict[str, Any]:
    kind = (
        "UserPrimaryPresenceSourceChanged"
        if change.switches_primary
        else "UserPresenceStatusChanged"
    )
    return {
        "userId": change.user_id,
        "eventType": kind,
        "source": presence.source,
        "currentDisplaySourceId": change.primary.source_id,
        "previousDisplaySourceId": change.primary_before.source_id,
        **dict(_presence(organization, presence, "message")),
    }


@attrs.frozen
class _Due:
    """One event on its way to the channels that had subscribed when it was raised."""

    at: float
    channels: tuple[Channel, ...]
    text: bytes


class Broadcast:
    """Delivers events a moment after the change; who has no socket then never hears of them.

    A channel gets an event once, however many of its entries cover the topic, and no event
    overtakes an earlier one.

    Attributes:
        delivered: Frames handed to sockets.
        lost: Frames lost by chance, or for want of a socket that still sends.
    """

    def __init__(
        self,
        *,
        organization: Organization,
        channels: Channels,
        delay: float | Callable[[], float],
        loss: float,
        seed: int,
    ) -> None:
        self.delivered = 0
        self.lost = 0
        self._organization = organization
        self._channels = channels
        self._delay = delay
        self._loss = loss
        self._seed = seed
        self._correlation_ids = Numbering(seed, "event")
        self._drawn = 0
        self._due: deque[_Due] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Listen to the organization."""
        self._organization.listeners.append(self._raise)

    def stop(self) -> None:
        """Listen no more and forget what is on its way; again is harmless."""
        if self._raise in self._organization.listeners:
            self._organization.listeners.remove(self._raise)
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _raise(self, change: Change) -> None:
        if not self._channels.watched:
            return
        for suffix in suffixes_of(change):
            subscribers = self._channels.subscribers(topic_key(change.user_id, suffix))
            if subscribers:
                body = body_of(self._organization, change, suffix)
                name = topic_name(change.user_id, suffix)
                text = frame(name, body, self._correlation_ids.next())
                self._send(subscribers, text)

    def _send(self, channels: tuple[Channel, ...], text: bytes) -> None:
        loop = asyncio.get_running_loop()
        delay = self._delay() if callable(self._delay) else self._delay
        at = loop.time() + delay
        self._due.append(_Due(at, channels, text))
        if self._timer is None:
            self._timer = loop.call_at(at, self._deliver)

    def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        while self._due and self._due[0].at <= loop.time():
            event = self._due.popleft()
            for channel in event.channels:
                sink = channel.sink
                if sink is not None and not self._strikes() and sink.send(event.text):
                    self.delivered += 1
                else:
                    self.lost += 1
        self._timer = loop.call_at(self._due[0].at, self._deliver) if self._due else None

    def _strikes(self) -> bool:
        if not self._loss:
            return False
        self._drawn += 1
        return chance_for(self._seed, "event", self._drawn) < self._loss
