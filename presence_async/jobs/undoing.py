"""A job that takes back another one: its items, made from what that one has journaled. Pure.

Definition and message are put back to what they were before, of the items that took effect
or may have. What a user must still show for that is the item's guard: who does not has
moved on. Nothing is put back where nothing was read before, and never the primary source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from presence_async.models import UNSET, MutableUserPresence, PresenceDefinition
from presence_async.resources.updating import Wanted

if TYPE_CHECKING:
    from presence_async.jobs.entries import Entry
    from presence_async.models import UcUserPresence, UserPresence

__all__ = ["taken_back"]

_TOOK_EFFECT = frozenset({"applied", "in flight", "unknown"})


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
