"""What to send, by what a user shows just before; and what takes a job back. Pure.

The rules are in docs/jobs.md. An item that asks for more than a presence shows (`primary`, an
explicit null, a name) is sent whatever the user shows. A presence that the vendor does not give out
(a registered source may not be readable at all) keeps nobody from being changed. What is about the
job and not about its items leaves everything as it is. The guard of an item that undoes another is
what its user must still show.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from presence_async.errors import (
    AuthenticationError,
    ClosedError,
    ConflictError,
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
)
from presence_async.models import UNSET, MutableUserPresence, PresenceDefinition
from presence_async.resources.settling import shows
from presence_async.resources.updating import Wanted

if TYPE_CHECKING:
    from presence_async.jobs.entries import Entry
    from presence_async.models import UcUserPresence, UserPresence
    from presence_async.resources.reading import PresenceOutcome

# What stops a job, with nothing lost, instead of becoming the outcome of its items.
STOPPING: Final = (AuthenticationError, ClosedError, RateLimitedError)
_UNREADABLE: Final = (
    ConflictError,
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
)
_TOOK_EFFECT: Final = frozenset({"applied", "in flight", "unknown"})
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

Decision: TypeAlias = Literal["change", "unchanged", "superseded", "rejected"]


def decision(entry: Entry, shown: PresenceOutcome) -> Decision:
    """What to do with an item; what is not about it but `STOPPING` is raised."""
    error, presence = shown.error, shown.presence
    if error is not None:
        if isinstance(error, STOPPING):
            raise error
        return "change" if isinstance(error, _UNREADABLE) else "rejected"
    if presence is not None and entry.is_shown and shows(entry.wanted, presence):
        return "unchanged"
    if entry.guard is not None and (presence is None or not shows(entry.guard, presence)):
        return "superseded"
    return "change"


def since(entry: Entry, shown: PresenceOutcome) -> datetime | None:
    """Changes up to this moment, on the vendor's clock, were there before the item was sent.

    Where there is no presence any change is a later one; but on a registered source there being
    none may as well mean that it cannot be read.
    """
    if shown.presence is not None:
        return shown.presence.modified_date or None
    return None if shown.error is not None or entry.registered else _LONG_AGO


def taken_back(entry: Entry) -> tuple[MutableUserPresence, Wanted] | None:
    """The item that takes an entry back, and its guard; None where there is nothing to do."""
    before, wanted = entry.before, entry.wanted
    if entry.state not in _TOOK_EFFECT or before is None:
        return None
    definition_id = _definition_id(before)
    if definition_id is None or not (wanted.definition_id or wanted.message is not None):
        return None
    item = MutableUserPresence(
        id=entry.user_id,
        # A change of the definition may have taken the message with it.
        presence_definition=PresenceDefinition(id=definition_id) if wanted.definition_id else UNSET,
        message=before.message or "",
        source=UNSET if entry.registered else entry.source,
        source_id=entry.source if entry.registered else UNSET,
    )
    return item, _guard(entry)


def _guard(entry: Entry) -> Wanted:
    """All that the job left behind: a user may have changed what it did not ask for."""
    guard = attrs.evolve(entry.wanted, primary=False)
    after = entry.after
    if after is not None:
        definition_id = guard.definition_id or _definition_id(after)
        message = after.message if isinstance(after.message, str) else guard.message
        guard = Wanted(definition_id, message)
    return guard


def _definition_id(presence: UcUserPresence | UserPresence) -> str | None:
    definition = presence.presence_definition
    return (definition.id or None) if isinstance(definition, PresenceDefinition) else None
