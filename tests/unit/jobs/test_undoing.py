"""Items that take back what a job did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from unit.jobs.vendor import BUSY, MEAL, planned

from presence_async.jobs.undoing import taken_back
from presence_async.models import (
    UNSET,
    MutableUserPresence,
    PresenceDefinition,
    UcUserPresence,
    UserPresence,
)
from presence_async.resources.updating import Wanted

if TYPE_CHECKING:
    from presence_async.jobs.entries import Entry

BEFORE = UcUserPresence(presence_definition=PresenceDefinition(id=MEAL), message="lunch")
ONLY_MESSAGE = b'{"id":"u","sourceId":"desk","message":"new"}'


def applied(**fields: Any) -> Entry:
    """An entry that took effect."""
    return planned("u", state="applied", before=BEFORE, **fields)


def test_definition_and_message_are_put_back() -> None:
    """Guarded by what the job asked for, and by all that the vendor answered."""
    item = MutableUserPresence(
        id="u",
        source="purecloud",
        presence_definition=PresenceDefinition(id=MEAL),
        message="lunch",
    )
    assert taken_back(applied()) == (item, Wanted(BUSY))
    after = UserPresence(presence_definition=PresenceDefinition(id="d-queue"), message="")
    assert taken_back(applied(after=after)) == (item, Wanted(BUSY, ""))


def test_a_message_is_put_back_alone() -> None:
    """The definition was not asked for; but it must still be the one there was then."""
    entry = applied(body=ONLY_MESSAGE)
    after = UserPresence(presence_definition=PresenceDefinition(id=MEAL), message=None)
    item = MutableUserPresence(id="u", source_id="desk", message="lunch")
    assert taken_back(entry) == (item, Wanted(None, "new"))
    entry.after = after
    assert taken_back(entry) == (item, Wanted(MEAL, "new"))


@pytest.mark.parametrize("state", ["planned", "unchanged", "rejected", "superseded"])
def test_what_took_no_effect_is_left(state: Any) -> None:
    """There is nothing to take back."""
    assert taken_back(planned("u", state=state, before=BEFORE)) is None


@pytest.mark.parametrize("state", ["in flight", "unknown"])
def test_what_may_have_taken_effect_is_taken_back(state: Any) -> None:
    """The guard tells."""
    assert taken_back(planned("u", state=state, before=BEFORE)) is not None


def test_what_cannot_be_put_back_is_left() -> None:
    """Nothing read before, no definition in it, or only the primary source asked for."""
    primary = b'{"id":"u","source":"x","primary":true}'
    assert taken_back(planned("u", state="applied")) is None
    nothing = UcUserPresence(presence_definition=UNSET)
    assert taken_back(planned("u", state="applied", before=nothing)) is None
    assert taken_back(applied(body=primary)) is None
