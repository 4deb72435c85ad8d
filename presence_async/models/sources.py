"""Presence sources, a user's primary source, and the organization's presence settings.

Fields are those of the vendor's Python SDK 269.0.0; which are required is from its
JavaScript typings.
"""

import attrs

from presence_async.errors import RowFailure
from presence_async.models._base import Model
from presence_async.models._unset import UNSET, Maybe

__all__ = [
    "PresenceSettings",
    "RestorePresenceSettings",
    "Source",
    "SourceEntityListing",
    "UserPrimarySource",
]


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class Source(Model):
    """A registered source of presences.

    Attributes:
        name: Name. Required in a write; `UNSET` only in an answer that lacks it.
        id: Read-only.
        description: Description.
        type: "System" or "User"; other values may come.
        deactivated: True after a delete.
        self_uri: Read-only; a path relative to the API host.
    """

    name: Maybe[str]
    id: Maybe[str] = UNSET
    description: Maybe[str] = UNSET
    type: Maybe[str] = UNSET
    deactivated: Maybe[bool] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class SourceEntityListing(Model):
    """All registered sources at once; this list is never paged.

    Attributes:
        entities: The sources.
        total: Their number.
        self_uri: A path relative to the API host.
        failures: Rows of `entities` that could not be understood. Not a wire field.
    """

    entities: tuple[Source, ...] = ()
    total: Maybe[int] = UNSET
    self_uri: Maybe[str] = UNSET
    failures: tuple[RowFailure, ...] = ()


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class UserPrimarySource(Model):
    """The source of a user's presence that the others see.

    Attributes:
        id: Read-only.
        name: Name.
        source_id: The source: a registered one's id, or a name such as PURECLOUD.
        registered: Whether `source_id` is the id of a registered source.
        self_uri: Read-only; a path relative to the API host.
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
        id: Read-only.
        name: Name.
        restore_presence_settings: What happens when a connection drops.
        requesting_off_queue_enabled: Whether users may ask to leave the queue.
        default_primary_presence_registered_source_id: The registered source that is
            primary by default.
        self_uri: Read-only; a path relative to the API host.
    """

    id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    restore_presence_settings: Maybe[RestorePresenceSettings] = UNSET
    requesting_off_queue_enabled: Maybe[bool] = UNSET
    default_primary_presence_registered_source_id: Maybe[str] = UNSET
    self_uri: Maybe[str] = UNSET
