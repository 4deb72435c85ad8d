"""One user of a live store: what is shown, and what the table holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from datetime import datetime

    from presence_async.errors import PresenceError
    from presence_async.models import SystemPresenceName, UcUserPresence
    from presence_async.resources.updating import Moment

__all__ = ["LivePresence", "Row", "StoreStatistics", "definition_of", "system_presence"]


@attrs.frozen(kw_only=True)
class LivePresence:
    """What is known of one user.

    Attributes:
        user_id: Id of the user.
        presence: The presence, or None.
        as_of: When it was so (UTC): when its event arrived, or its read went out. Or None.
        origin: What told it last: "event", "read", or None.
        stale: Whether it may be out of date: events do not arrive, or the user cannot be read.
        error: Why the user cannot be read, or None.
    """

    user_id: str
    presence: UcUserPresence | None = None
    as_of: datetime | None = None
    origin: Literal["event", "read"] | None = None
    stale: bool = False
    error: PresenceError | None = None

    @property
    def status(self) -> Literal["present", "missing", "unknown"]:
        """Missing: the vendor has no presence for this user. Unknown: nothing was heard yet."""
        if self.origin is None:
            return "unknown"
        return "missing" if self.presence is None else "present"

    @property
    def source(self) -> str | None:
        """Name of the source of the presence, or None."""
        return (self.presence.source or None) if self.presence is not None else None

    @property
    def system_presence(self) -> SystemPresenceName | None:
        """The system presence, or None."""
        return system_presence(self.presence)


@attrs.frozen(kw_only=True)
class StoreStatistics:
    """A live store at one moment.

    Attributes:
        users: Users that are followed.
        unread: Those of whom nothing is known, with no failed read either.
        stale: Those whose presence may be out of date.
        mode: "notifications", or "polling" where these are refused or unwanted.
        channels: Channels it has or is making.
        live_channels: Those whose socket is proven to be alive.
        events: Notifications that arrived.
        gaps: Gaps that were told.
        reconnects: How often a channel was live again.
        reads: Users read, or failed to.
        requests: Requests sent, repeated ones included.
        sweeps: Sweeps ended, reconciling or polling.
        lag: Seconds from the latest event's `modified_date` to its arrival, by both sides'
            clocks; at least 0, None before the first.
        lag_max: The most there was.
        differences: What reconciling sweeps found that no event had said.
    """

    users: int
    unread: int
    stale: int
    mode: Literal["notifications", "polling"]
    channels: int
    live_channels: int
    events: int
    gaps: int
    reconnects: int
    reads: int
    requests: int
    sweeps: int
    lag: float | None
    lag_max: float | None
    differences: int


def system_presence(presence: UcUserPresence | None) -> SystemPresenceName | None:
    """That of a presence, or None."""
    definition = presence.presence_definition if presence is not None else None
    return (definition.system_presence or None) if definition else None


def definition_of(presence: UcUserPresence | None) -> object:
    """The id of its definition, if there is one."""
    definition = presence.presence_definition if presence is not None else None
    return definition.id if definition else None


class Row:
    """What the table holds of one user.

    `heard`: events arrive; `polled`: reads have to do. A read asked for before `needs` does not
    make it fresh. `told`: known, or failed once.
    """

    __slots__ = (
        "as_of",
        "error",
        "fresh",
        "heard",
        "needs",
        "origin",
        "polled",
        "presence",
        "seen",
        "told",
        "user_id",
    )

    def __init__(self, user_id: str, needs: float) -> None:
        self.user_id = user_id
        self.needs = self.seen = needs
        self.presence: UcUserPresence | None = None
        self.as_of: Moment | None = None
        self.origin: Literal["event", "read"] | None = None
        self.error: PresenceError | None = None
        self.fresh = self.heard = self.polled = self.told = False
