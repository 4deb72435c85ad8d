"""Presences of users: what single and bulk reads return and what writes take.

Fields and meanings are those of the vendor's Python SDK 269.0.0, its API documentation and
recorded answers. Every datetime is aware and UTC; the vendor writes milliseconds.
"""

from datetime import datetime

import attrs

from presence_async.models._base import Model
from presence_async.models._unset import UNSET, Maybe
from presence_async.models.system_presence import SystemPresenceName

__all__ = ["MutableUserPresence", "PresenceDefinition", "UcUserPresence", "UserPresence"]


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class PresenceDefinition(Model):
    """The reference to a definition inside a presence, not the definition itself.

    Attributes:
        id: Id of the definition. The only part that counts in a write.
        system_presence: The system presence it maps to.
        self_uri: Read-only; a path relative to the API host.
    """

    id: Maybe[str] = UNSET
    system_presence: Maybe[SystemPresenceName] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class UserPresence(Model):
    """The presence of one user on one source.

    Recorded answers hold `source`, `presence_definition`, `message`, `modified_date` and
    `self_uri`, and nothing that names the user.

    Attributes:
        id: Read-only.
        name: Name.
        source: Name of the source, e.g. PURECLOUD. Deprecated by the vendor for
            `source_id`, yet still the one its answers carry.
        source_id: Id of a registered source.
        primary: True in an update promotes the source to the user's primary one.
        presence_definition: The chosen definition.
        future_presence_definition: Read-only; where the user wants to move to later.
        message: Free text shown next to the presence. Its limit is undocumented.
        modified_date: Last change.
        self_uri: Read-only. Ends in ``/presences`` without the source, so it cannot be
            used to read the presence again.
    """

    id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    source: Maybe[str] = UNSET
    source_id: Maybe[str] = UNSET
    primary: Maybe[bool] = UNSET
    presence_definition: Maybe[PresenceDefinition] = UNSET
    future_presence_definition: Maybe[PresenceDefinition] = UNSET
    message: Maybe[str] = UNSET
    modified_date: Maybe[datetime] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class MutableUserPresence(Model):
    """One row of a bulk write; like `UserPresence`, but `id` is the user's and writable.

    Attributes:
        id: Id of the user.
        name: Name.
        source: Name of the source, e.g. PURECLOUD. Deprecated by the vendor for
            `source_id`.
        source_id: Id of a registered source.
        primary: True promotes the source to the user's primary one.
        presence_definition: The definition to change to; only its id counts.
        future_presence_definition: Read-only; where the user wants to move to later.
        message: Free text shown next to the presence. Its limit is undocumented.
        modified_date: Last change.
        self_uri: Read-only; a path relative to the API host.
    """

    id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    source: Maybe[str] = UNSET
    source_id: Maybe[str] = UNSET
    primary: Maybe[bool] = UNSET
    presence_definition: Maybe[PresenceDefinition] = UNSET
    future_presence_definition: Maybe[PresenceDefinition] = UNSET
    message: Maybe[str] = UNSET
    modified_date: Maybe[datetime] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class UcUserPresence(Model):
    """One row of a bulk read; the only presence that says whose it is.

    Attributes:
        id: Read-only.
        name: Name.
        user_id: Id of the user.
        source: Name of the source, e.g. PURECLOUD. Deprecated by the vendor for
            `source_id`.
        source_id: Id of the registered source that set the presence.
        presence_definition: The chosen definition.
        message: Free text shown next to the presence; the empty string is common.
        modified_date: Last change.
        self_uri: Read-only; a path relative to the API host.
    """

    id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    user_id: Maybe[str] = UNSET
    source: Maybe[str] = UNSET
    source_id: Maybe[str] = UNSET
    presence_definition: Maybe[PresenceDefinition] = UNSET
    message: Maybe[str] = UNSET
    modified_date: Maybe[datetime] = UNSET
    self_uri: Maybe[str] = UNSET
