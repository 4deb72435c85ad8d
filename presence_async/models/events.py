"""Presences from outside: events of registered sources, and what integrations report.

Fields are those of the vendor's Python SDK 269.0.0; which are required is from its
JavaScript typings. Every datetime is aware and UTC.
"""

from datetime import datetime

import attrs

from presence_async.errors import RowFailure
from presence_async.models._base import Model
from presence_async.models._unset import UNSET, Maybe

__all__ = ["BatchEventResponse", "EventError", "UCThirdPartyPresence", "UserPresenceEvent"]


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class UserPresenceEvent(Model):
    """One presence event of a registered source.

    All but `presence_definition_id` and `message` are required on the wire.
    `client.events.inject` fills in an `event_id` and an `event_date_time` that are left out.

    Attributes:
        user_id: Id of the user.
        source_id: Id of the registered source.
        event_id: What the vendor's answer calls the event by. The same one in a repeat.
        event_date_time: When it happened.
        presence_definition_id: Id of the definition the user is on now.
        message: Free text shown next to the presence. Its limit is undocumented.
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
        event_id: The event.
        message: The vendor's reason.
        retryable: Whether sending the event again may work.
    """

    event_id: Maybe[str] = UNSET
    message: Maybe[str] = UNSET
    retryable: Maybe[bool] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class BatchEventResponse(Model):
    """The answer to a batch of events: those it does not list were taken.

    Attributes:
        errors: The events that were refused.
        failures: Rows of `errors` that could not be understood. Not a wire field.
    """

    errors: tuple[EventError, ...] = ()
    failures: tuple[RowFailure, ...] = ()


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class UCThirdPartyPresence(Model):
    """What a unified-communications integration says about one person.

    Attributes:
        email: By which the vendor finds the user.
        presence: The integration's word for it, which the vendor maps onto a definition
            of the organization.
        message: Free text shown next to the presence. Its limit is undocumented.
        date_modified: When it changed.
    """

    email: Maybe[str]
    presence: Maybe[str]
    message: Maybe[str] = UNSET
    date_modified: Maybe[datetime] = UNSET
