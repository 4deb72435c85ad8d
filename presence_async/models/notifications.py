"""Bodies of notification events: what the vendor says over a channel's socket.

Fields are those of the vendor's iOS SDK 201.0.0 (`notificationMappings.json`) and the event
models of its Python SDK 269.0.0. The definition in an event is the same small reference as in
a user presence; its system presence comes in the spelling of events ("ON_QUEUE"), which
`SystemPresenceName` takes for the same value. Every datetime is aware and UTC.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from presence_async.models._base import Model, masked
from presence_async.models._unset import UNSET, Maybe
from presence_async.models.presences import PresenceDefinition

__all__ = [
    "AgentActivityEvent",
    "AgentActivityPresence",
    "IntegrationPresenceEvent",
    "PresenceEventUserPresence",
    "SystemMessageEvent",
]


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class PresenceEventUserPresence(Model):
    """Body of ``v2.users.{id}.presence``. Whose presence it is, only the topic says.

    Attributes:
        source: Name of the source, e.g. PURECLOUD.
        presence_definition: The definition the user is on now.
        primary: Whether the source is the user's primary one.
        message: Free text shown next to the presence.
        modified_date: When it changed.
        future_presence_definition: Where the user wants to move to later.
    """

    source: Maybe[str] = UNSET
    presence_definition: Maybe[PresenceDefinition] = UNSET
    primary: Maybe[bool] = UNSET
    message: Maybe[str] = UNSET
    modified_date: Maybe[datetime] = UNSET
    future_presence_definition: Maybe[PresenceDefinition] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class AgentActivityPresence(Model):
    """The presence in an `AgentActivityEvent`.

    Attributes:
        presence_definition: The definition the user is on now.
        presence_message: Free text shown next to the presence; `message` everywhere else.
        modified_date: When it changed.
    """

    presence_definition: Maybe[PresenceDefinition] = UNSET
    presence_message: Maybe[str] = UNSET
    modified_date: Maybe[datetime] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class AgentActivityEvent(Model):
    """Body of ``v2.users.{id}.activity``: presence, routing and out of office at once.

    Attributes:
        id: Id of the user.
        presence: The presence.
        routing_status: The routing status, which is not a presence, as the vendor sent it.
        out_of_office: The out-of-office status as the vendor sent it.
        active_queue_ids: Queues the user is active on.
        date_active_queues_changed: When those changed.
    """

    id: Maybe[str] = UNSET
    presence: Maybe[AgentActivityPresence] = UNSET
    # JSON objects are dicts, which have no hash.
    routing_status: Maybe[Mapping[str, Any]] = attrs.field(default=UNSET, hash=False)
    out_of_office: Maybe[Mapping[str, Any]] = attrs.field(default=UNSET, hash=False)
    active_queue_ids: Maybe[tuple[str, ...]] = UNSET
    date_active_queues_changed: Maybe[datetime] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class IntegrationPresenceEvent(Model):
    """Body of ``v2.users.{id}.integrationpresence``.

    Attributes:
        user_id: Id of the user.
        event_type: "UserPresenceStatusChanged" or "UserPrimaryPresenceSourceChanged"; other
            values may come.
        source: Name of the source.
        modified_date: When it changed.
        presence_definition: The definition the user is on now.
        message: Free text shown next to the presence.
        current_display_source_id: The source that the others see now.
        previous_display_source_id: The source that they saw before.
        future_presence_definition: Where the user wants to move to later.
    """

    user_id: Maybe[str] = UNSET
    event_type: Maybe[str] = UNSET
    source: Maybe[str] = UNSET
    modified_date: Maybe[datetime] = UNSET
    presence_definition: Maybe[PresenceDefinition] = UNSET
    message: Maybe[str] = UNSET
    current_display_source_id: Maybe[str] = UNSET
    previous_display_source_id: Maybe[str] = UNSET
    future_presence_definition: Maybe[PresenceDefinition] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class SystemMessageEvent(Model):
    """Body of what the vendor says about the channel itself, without being asked.

    Attributes:
        channel_id: The channel. `repr` masks it, as that of `Channel` does.
        system_topic_type: "no_longer_subscribed", "subscription_changed" or
            "token_revoked"; other values may come.
        correlation_id: The vendor's id of the occasion.
        organization_id: The organization.
        user_id: The user behind the token.
        oauth_client_id: The OAuth client.
        oauth_client_org_id: The organization of the OAuth client.
        reason: "another_channel_subscribed" or "user_tokens_revoked"; other values may come.
        message: A text.
        data: Whatever else there is, as the vendor sent it.
    """

    channel_id: Maybe[str] = attrs.field(default=UNSET, repr=masked)
    system_topic_type: Maybe[str] = UNSET
    correlation_id: Maybe[str] = UNSET
    organization_id: Maybe[str] = UNSET
    user_id: Maybe[str] = UNSET
    oauth_client_id: Maybe[str] = UNSET
    oauth_client_org_id: Maybe[str] = UNSET
    reason: Maybe[str] = UNSET
    message: Maybe[str] = UNSET
    # JSON objects are dicts, which have no hash.
    data: Maybe[Mapping[str, Any]] = attrs.field(default=UNSET, hash=False)
