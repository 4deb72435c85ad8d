"""Notification channels, their topics, and the bodies of their events.

Fields are those of the vendor's Python SDK 269.0.0 (`notifications_api.py`, its models and event
models) and of its iOS SDK 201.0.0 (`notificationMappings.json`). Who knows a channel's id can
make the address of its socket, and knowing the address is all it takes to listen: neither is
shown by `repr`. Every datetime is aware and UTC.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from presence_async.models._base import UNSET, EntityListing, Maybe, Model, masked
from presence_async.models.presences import PresenceDefinition
from presence_async.secret import Secret


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class Channel(Model):
    """A notification channel, as it is made and listed.

    Attributes:
        connect_uri: Address of its WebSocket. Whoever has it may listen, so it is a `Secret`:
            `reveal()` gives the text, and neither this nor the channel can be pickled.
        id: Id of the channel; recorded addresses end in it. `repr` masks it.
        expires: When the channel lapses: 24 hours after the last subscribe call.
    """

    connect_uri: Maybe[Secret] = UNSET
    id: Maybe[str] = attrs.field(default=UNSET, repr=masked)
    expires: Maybe[datetime] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class ChannelEntityListing(EntityListing):
    """The channels of a token or of an OAuth client; this list is never paged.

    Attributes:
        entities: The channels. Those of other tokens come without id and address.
    """

    entities: tuple[Channel, ...] = ()


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class ChannelTopic(Model):
    """A topic of a channel (its `id` is the name), or one that was refused.

    Attributes:
        state: "Permitted" or "Rejected"; other values may come. Only in the answer to a
            subscribe call with `ignore_errors`.
        missing_permissions: The permissions it would take.
    """

    id: Maybe[str] = UNSET
    state: Maybe[str] = UNSET
    rejection_reason: Maybe[str] = UNSET
    missing_permissions: Maybe[tuple[str, ...]] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class ChannelTopicEntityListing(EntityListing):
    """The topics of a channel; this list is never paged.

    Attributes:
        entities: The topics, rejected ones included where `ignore_errors` was asked for.
    """

    entities: tuple[ChannelTopic, ...] = ()


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class PermissionDetails(Model):
    """One rule about who may subscribe to a topic.

    Attributes:
        type: "requiresCurrentUser", "requiresPermissions", "requiresDivisionPermissions",
            "requiresAnyDivisionPermissions" or "requiresUserBeConversationParticipant";
            other values may come.
        allows_current_user: Whether they are not needed for the user's own topic.
        enforced: Whether the rule is applied.
    """

    type: Maybe[str] = UNSET
    permissions: Maybe[tuple[str, ...]] = UNSET
    allows_current_user: Maybe[bool] = UNSET
    enforced: Maybe[bool] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class AvailableTopic(Model):
    """A kind of topic. Most fields come only when asked for by `expand`.

    Attributes:
        id: Name with placeholders, e.g. ``v2.users.{id}.presence``.
        permission_details: Who may subscribe.
        requires_permissions: Permissions it takes.
        requires_division_permissions: Whether they are needed in the division.
        requires_any_validator: The vendor does not say what this is.
        enforced: Whether the permissions are checked.
        visibility: "Public" or "Preview"; other values may come.
        schema: JSON schema of the events.
        requires_current_user: Whether only the user's own topic can be had.
        requires_current_user_or_permission: The same, unless there is the permission.
        transports: Ways to get it, such as "Websocket".
        public_api_template_uri_paths: Operations that read the same thing.
        topic_parameters: Names of the placeholders.
    """

    id: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    permission_details: Maybe[tuple[PermissionDetails, ...]] = UNSET
    requires_permissions: Maybe[tuple[str, ...]] = UNSET
    requires_division_permissions: Maybe[bool] = UNSET
    requires_any_validator: Maybe[bool] = UNSET
    enforced: Maybe[bool] = UNSET
    visibility: Maybe[str] = UNSET
    # JSON objects are dicts, which have no hash.
    schema: Maybe[Mapping[str, Any]] = attrs.field(default=UNSET, hash=False)
    requires_current_user: Maybe[bool] = UNSET
    requires_current_user_or_permission: Maybe[bool] = UNSET
    transports: Maybe[tuple[str, ...]] = UNSET
    public_api_template_uri_paths: Maybe[tuple[str, ...]] = UNSET
    topic_parameters: Maybe[tuple[str, ...]] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class AvailableTopicEntityListing(EntityListing):
    """Every kind of topic; this list is never paged."""

    entities: tuple[AvailableTopic, ...] = ()


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class PresenceEventUserPresence(Model):
    """Body of ``v2.users.{id}.presence``. Whose presence it is, only the topic says.

    Attributes:
        primary: Whether the source is the user's primary one.
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
        presence_message: Free text shown next to the presence; `message` everywhere else.
    """

    presence_definition: Maybe[PresenceDefinition] = UNSET
    presence_message: Maybe[str] = UNSET
    modified_date: Maybe[datetime] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class AgentActivityEvent(Model):
    """Body of ``v2.users.{id}.activity``: presence, routing and out of office at once.

    Attributes:
        id: Id of the user.
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
        event_type: "UserPresenceStatusChanged" or "UserPrimaryPresenceSourceChanged"; other
            values may come.
        current_display_source_id: The source that the others see now.
        previous_display_source_id: The source that they saw before.
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
        user_id: The user behind the token.
        reason: "another_channel_subscribed" or "user_tokens_revoked"; other values may come.
        data: Whatever else there is, as the vendor sent it. `repr` masks it, as it may name
            the channel.
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
    data: Maybe[Mapping[str, Any]] = attrs.field(default=UNSET, hash=False, repr=masked)
