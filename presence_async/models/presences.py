"""Presences of users: what single and bulk reads return and what writes take.

Fields and meanings are those of the vendor's Python SDK 269.0.0, its API documentation and
recorded answers. Every datetime is aware and UTC; the vendor writes milliseconds.
"""

from datetime import datetime

import attrs

from presence_async.models._base import UNSET, Maybe, Model
from presence_async.models.system_presence import SystemPresenceName


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class PresenceDefinition(Model):
    """The reference to a definition inside a presence, not the definition itself.

    Attributes:
        id: Id of the definition. The only part that counts in a write.
    """

    id: Maybe[str] = UNSET
    system_presence: Maybe[SystemPresenceName] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class _Presence(Model):
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
class UserPresence(_Presence):
    """The presence of one user on one source.

    Recorded answers hold `source`, `presence_definition`, `message`, `modified_date` and
    `self_uri`, and nothing that names the user.

    Attributes:
        primary: True in an update promotes the source to the user's primary one.
        self_uri: Read-only. Ends in ``/presences`` without the source, so it cannot be
            used to read the presence again.
    """


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class MutableUserPresence(_Presence):
    """One row of a bulk write; like `UserPresence`, but `id` is the user's and writable.

    Of `presence_definition` only the id counts.
    """


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class UcUserPresence(Model):
    """One row of a bulk read; the only presence that says whose it is.

    Attributes:
        source_id: Id of the registered source that set the presence.
        message: Free text shown next to the presence; the empty string is common.
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
