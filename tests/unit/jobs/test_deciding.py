"""What is sent, and what takes a job back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from unit.jobs.vendor import BUSY, MEAL, NOON, OTHER, planned

from presence_async.errors import (
    AuthenticationError,
    DecodeError,
    NotFoundError,
    PresenceError,
    PresenceTimeoutError,
)
from presence_async.jobs.deciding import decision, since, taken_back
from presence_async.models import (
    UNSET,
    MutableUserPresence,
    PresenceDefinition,
    UcUserPresence,
    UserPresence,
)
from presence_async.resources.reading import PresenceOutcome
from presence_async.resources.updating import Wanted


def shown(definition: str) -> PresenceOutcome:
    """A user on a definition."""
    reference = PresenceDefinition(id=definition)
    presence = UcUserPresence(user_id="u", presence_definition=reference, modified_date=NOON)
    return PresenceOutcome("u", presence)


MISSING = PresenceOutcome("u")
PRIMARY = b'{"id":"u","source":"x","presenceDefinition":{"id":"d-busy"},"primary":true}'


def test_by_what_the_user_shows() -> None:
    """Sent unless it is there already; more than is shown is sent in any case."""
    assert decision(planned("u"), shown(MEAL)) == "change"
    assert decision(planned("u"), MISSING) == "change"
    assert decision(planned("u"), shown(BUSY)) == "unchanged"
    assert decision(planned("u", body=PRIMARY), shown(BUSY)) == "change"


def test_a_guard_must_still_be_shown() -> None:
    """Else the user has moved on; who shows the wanted one already is unchanged."""
    entry = planned("u", guard=Wanted(MEAL))
    assert decision(entry, shown(MEAL)) == "change"
    assert decision(entry, shown(OTHER)) == "superseded"
    assert decision(entry, MISSING) == "superseded"
    assert decision(entry, shown(BUSY)) == "unchanged"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotFoundError("no", status=404), "change"),
        (DecodeError("no"), "change"),
        (PresenceTimeoutError("no"), "rejected"),
        (PresenceError("no"), "rejected"),
    ],
)
def test_who_cannot_be_read(error: PresenceError, expected: str) -> None:
    """Where the vendor gives nothing out it is sent; where nobody answers it is not."""
    assert decision(planned("u"), PresenceOutcome("u", error=error)) == expected


def test_what_is_not_about_the_item_is_raised() -> None:
    """It stops the job."""
    with pytest.raises(AuthenticationError):
        decision(planned("u"), PresenceOutcome("u", error=AuthenticationError("no")))


def test_since_when_a_change_counts() -> None:
    """Behind the last change before; always, where there was no presence at all."""
    entry = planned("u")
    assert since(entry, shown(MEAL)) == NOON
    assert since(entry, MISSING) == datetime.min.replace(tzinfo=UTC)
    assert since(planned("u", registered=True), MISSING) is None
    assert since(entry, PresenceOutcome("u", error=PresenceError("no"))) is None
    assert since(entry, PresenceOutcome("u", UcUserPresence())) is None


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
