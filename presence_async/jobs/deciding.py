"""Whether an item has to be sent, by what its user shows just before. Pure.

* Who shows what is asked for is left alone: **unchanged**. An item that asks for more than
  a presence shows (`primary`, an explicit null, a name) is sent whatever the user shows.
* In a job that undoes another, who does not show any more what that job set has moved on:
  **superseded**.
* Of a presence that cannot be read because nobody answers, neither can be told, and the
  change could not be undone: **rejected**, nothing is sent. Trying again may help.
* One that the vendor does not give out (refused, or not to be understood: a registered
  source may not be readable at all) keeps nobody from being changed. It cannot be undone.
* Refused credentials, a spent budget and a closed client are about the job and not about
  its items: everything stays as it is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

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
from presence_async.resources.settling import shows

if TYPE_CHECKING:
    from presence_async.jobs.entries import Entry
    from presence_async.resources.reading import PresenceOutcome

__all__ = ["STOPPING", "Decision", "decision", "since"]

# What stops a job, with nothing lost, instead of becoming the outcome of its items.
STOPPING: Final = (AuthenticationError, ClosedError, RateLimitedError)
_UNREADABLE: Final = (
    ConflictError,
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

Decision: TypeAlias = Literal["change", "unchanged", "superseded", "rejected"]


def decision(entry: Entry, shown: PresenceOutcome) -> Decision:
    """What to do with an item.

    Raises:
        AuthenticationError, ClosedError, RateLimitedError: It is not about this item.
    """
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

    Who has no presence had never had one there, so any change is a later one; but on a
    registered source that may as well mean that it cannot be read.
    """
    if shown.presence is not None:
        return shown.presence.modified_date or None
    return None if shown.error is not None or entry.registered else _LONG_AGO
