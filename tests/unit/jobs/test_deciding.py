"""Whether an item has to be sent."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from unit.jobs.vendor import BUSY, MEAL, NOON, OTHER, planned

from presence_async.errors import (
    AuthenticationError,
    DecodeError,
    NotFoundError,
    PresenceError,
    PresenceTimeoutError,
)
from presence_async.jobs.deciding import decision, since
from presence_async.models import PresenceDefinition, UcUserPresence
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
