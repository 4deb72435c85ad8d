"""Events as they go over a socket: from one accepted change to bodies and frames.

Body fields are those of the vendor's iOS SDK 201.0.0 and Python SDK 269.0.0 event models; the
frame is recorded (March 2022). The message of a presence is `message` in `.presence` and
`presenceMessage` in `.activity`; only the topic's name says whose presence it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from presence_async.simulator.dates import wire_date
from presence_async.simulator.definitions import ON_QUEUE, shouted
from presence_async.simulator.presences import PURECLOUD, source_key
from presence_async.simulator.topics import ACTIVITY, INTEGRATION, PRESENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from presence_async.simulator.changes import Change
    from presence_async.simulator.organization import Organization
    from presence_async.simulator.presences import Presence

METADATA_TOPIC = "channel.metadata"
CLOSING_TOPIC = "v2.system.socket_closing"
HEARTBEAT = orjson.dumps(
    {"topicName": METADATA_TOPIC, "eventBody": {"message": "WebSocket Heartbeat"}}
)
PONG = orjson.dumps({"topicName": METADATA_TOPIC, "eventBody": {"message": "pong"}})


def frame(topic: str, body: dict[str, Any], correlation_id: str) -> bytes:
    """Return an event as text of a WebSocket frame."""
    return orjson.dumps(
        {
            "topicName": topic,
            "version": "2",
            "eventBody": body,
            "metadata": {"CorrelationId": correlation_id},
        }
    )


def system_message(topic: str, body: dict[str, Any]) -> bytes:
    """Return a message the vendor sends without being asked."""
    return orjson.dumps({"topicName": topic, "eventBody": body})


def suffixes_of(change: Change) -> tuple[str, ...]:
    """Return which topics of its user a change raises.

    Every accepted change raises `.presence` and `.activity`; `.integrationpresence` tells of a
    switch of the primary source, and of sources other than PURECLOUD.
    """
    presence = change.presence
    elsewhere = presence is not None and source_key(presence.source) != source_key(PURECLOUD)
    if elsewhere or change.switches_primary:
        return (PRESENCE, ACTIVITY, INTEGRATION)
    return (PRESENCE, ACTIVITY)


def body_of(organization: Organization, change: Change, suffix: str) -> dict[str, Any]:
    """Return the event body of a change for one of its topics, as things are now."""
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
