"""Notification channels, what they subscribe to, and what there is to subscribe to.

Fields are those of the vendor's Python SDK 269.0.0 (`notifications_api.py` and its models).
Who knows a channel's id can make the address of its socket, and knowing the address is all
it takes to listen: neither is shown by `repr`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from presence_async.errors import RowFailure
from presence_async.models._base import Model, masked
from presence_async.models._unset import UNSET, Maybe
from presence_async.secret import Secret

__all__ = [
    "AvailableTopic",
    "AvailableTopicEntityListing",
    "Channel",
    "ChannelEntityListing",
    "ChannelTopic",
    "ChannelTopicEntityListing",
    "PermissionDetails",
]


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
class ChannelEntityListing(Model):
    """The channels of a token or of an OAuth client; this list is never paged.

    Attributes:
        entities: The channels. Those of other tokens come without id and address.
        failures: Rows of `entities` that could not be understood. Not a wire field.
    """

    entities: tuple[Channel, ...] = ()
    failures: tuple[RowFailure, ...] = ()


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class ChannelTopic(Model):
    """A topic of a channel, or one that was refused.

    Attributes:
        id: Name of the topic.
        state: "Permitted" or "Rejected"; other values may come. Only in the answer to a
            subscribe call with `ignore_errors`.
        rejection_reason: Why it is rejected.
        missing_permissions: The permissions it would take.
        self_uri: Read-only; a path relative to the API host.
    """

    id: Maybe[str] = UNSET
    state: Maybe[str] = UNSET
    rejection_reason: Maybe[str] = UNSET
    missing_permissions: Maybe[tuple[str, ...]] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class ChannelTopicEntityListing(Model):
    """The topics of a channel; this list is never paged.

    Attributes:
        entities: The topics, rejected ones included where `ignore_errors` was asked for.
        failures: Rows of `entities` that could not be understood. Not a wire field.
    """

    entities: tuple[ChannelTopic, ...] = ()
    failures: tuple[RowFailure, ...] = ()


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class PermissionDetails(Model):
    """One rule about who may subscribe to a topic.

    Attributes:
        type: "requiresCurrentUser", "requiresPermissions", "requiresDivisionPermissions",
            "requiresAnyDivisionPermissions" or "requiresUserBeConversationParticipant";
            other values may come.
        permissions: The permissions.
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
        description: What it tells of.
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
class AvailableTopicEntityListing(Model):
    """Every kind of topic; this list is never paged.

    Attributes:
        entities: The topics.
        failures: Rows of `entities` that could not be understood. Not a wire field.
    """

    entities: tuple[AvailableTopic, ...] = ()
    failures: tuple[RowFailure, ...] = ()
