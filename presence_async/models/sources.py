"""Presence sources and what comes from them, primary sources, and the presence settings.

Fields are those of the vendor's Python SDK 269.0.0; which are required is from its
JavaScript typings. Every datetime is aware and UTC.
"""

from datetime import datetime

import attrs

from presence_async.models._base import UNSET, EntityListing, Maybe, Model


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class Source(Model):
    """A registered source of presences.

    Attributes:
        name: Name. Required in a write; `UNSET` only in an answer that lacks it.
        type: "System" or "User"; other values may come.
    """

    name: Maybe[str]
    id: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    type: Maybe[str] = UNSET
    deactivated: Maybe[bool] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class SourceEntityListing(EntityListing):
    """All registered sources at once; this list is never paged."""

    entities: tuple[Source, ...] = ()
    total: Maybe[int] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class UserPrimarySource(Model):
    """The source of a user's presence that the others see.

    Attributes:
        source_id: The source: a registered one's id, or a name such as PURECLOUD.
        registered: Whether `source_id` is the id of a registered source.
    """

    id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    source_id: Maybe[str] = UNSET
    registered: Maybe[bool] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class RestorePresenceSettings(Model):
    """What happens to a presence when the user's connection drops unexpectedly.

    All three are required in a write, and `UNSET` only in an answer that lacks them.

    Attributes:
        enabled: Whether the last presence comes back on a reconnect.
        restore_time_milliseconds: The reconnect window, in milliseconds. The vendor's
            help offers 1 to 1440 minutes (60,000 to 86,400,000), 1 minute by default;
            a later reconnect becomes Available.
        restore_on_queue_enabled: Whether On Queue comes back too.
    """

    enabled: Maybe[bool]
    restore_time_milliseconds: Maybe[int]
    restore_on_queue_enabled: Maybe[bool]


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class PresenceSettings(Model):
    """Presence settings of the whole organization.

    Attributes:
        requesting_off_queue_enabled: Whether users may ask to leave the queue.
        default_primary_presence_registered_source_id: The registered source that is
            primary by default.
    """

    id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    restore_presence_settings: Maybe[RestorePresenceSettings] = UNSET
    requesting_off_queue_enabled: Maybe[bool] = UNSET
    default_primary_presence_registered_source_id: Maybe[str] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class UserPresenceEvent(Model):
    """One presence event of a registered source.

    All but `presence_definition_id` and `message` are required on the wire.
    `client.events.inject` fills in an `event_id` and an `event_date_time` that are left out.

    Attributes:
        event_id: What the vendor's answer calls the event by. The same one in a repeat.
        presence_definition_id: Id of the definition the user is on now.
    """

    user_id: Maybe[str]
    source_id: Maybe[str]
    event_id: Maybe[str] = UNSET
    event_date_time: Maybe[datetime] = UNSET
    presence_definition_id: Maybe[str] = UNSET
    message: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class EventError(Model):
    """Why the vendor refused one event of a batch.

    Attributes:
        message: The vendor's reason.
        retryable: Whether sending the event again may work.
    """

    event_id: Maybe[str] = UNSET
    message: Maybe[str] = UNSET
    retryable: Maybe[bool] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class BatchEventResponse(EntityListing):
    """The answer to a batch of events: those it does not list were taken."""

    errors: tuple[EventError, ...] = ()


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class UCThirdPartyPresence(Model):
    """What a unified-communications integration says about one person.

    Attributes:
        email: By which the vendor finds the user.
        presence: The integration's word for it, which the vendor maps onto a definition
            of the organization.
    """

    email: Maybe[str]
    presence: Maybe[str]
    message: Maybe[str] = UNSET
    date_modified: Maybe[datetime] = UNSET
