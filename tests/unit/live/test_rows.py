"""One user as a live store shows it."""

from __future__ import annotations

from datetime import UTC, datetime

from presence_async.live.rows import LivePresence, Row, definition_of, system_presence
from presence_async.models import PresenceDefinition, SystemPresenceName, UcUserPresence

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_user_of_whom_nothing_is_known() -> None:
    """Is unknown, and not stale."""
    row = LivePresence(user_id="a")
    assert (row.status, row.source, row.system_presence, row.stale) == (
        "unknown",
        None,
        None,
        False,
    )


def test_a_user_who_has_no_presence() -> None:
    """Is missing: that is known."""
    row = LivePresence(user_id="a", as_of=NOW, origin="read")
    assert (row.status, row.source, row.system_presence) == ("missing", None, None)


def test_a_user_with_a_presence() -> None:
    """Shows its source and its system presence, as far as there are any."""
    presence = UcUserPresence(
        source="PURECLOUD",
        presence_definition=PresenceDefinition(
            id="d", system_presence=SystemPresenceName("ON_QUEUE")
        ),
    )
    row = LivePresence(user_id="a", presence=presence, as_of=NOW, origin="event")
    assert (row.status, row.source, row.system_presence) == ("present", "PURECLOUD", "On Queue")
    assert definition_of(presence) == "d"
    bare = LivePresence(user_id="a", presence=UcUserPresence(), as_of=NOW, origin="event")
    assert (bare.status, bare.source, bare.system_presence) == ("present", None, None)


def test_what_is_missing() -> None:
    """Has no definition and no system presence."""
    assert system_presence(None) is None
    assert definition_of(None) is None
    assert definition_of(UcUserPresence()) is None
    assert not Row("a", 1.0).told
