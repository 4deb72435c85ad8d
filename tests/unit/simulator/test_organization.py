"""The state, changed and read directly."""

from collections.abc import Callable
from typing import Any

import pytest

from presence_async.simulator import BUILT_IN_IDS, ApiError, PrimarySource, Switches
from presence_async.simulator.organization import Organization
from presence_async.simulator.records import SourceDraft

BUSY, MEAL = BUILT_IN_IDS["Busy"], BUILT_IN_IDS["Meal"]


def organization(**switches: Any):
    """Return an organization of two users and its clock."""
    clock = [100.0]
    state = Organization(
        users=2,
        seed=0,
        switches=Switches(**switches),
        wall_clock=lambda: clock[0],
        monotonic=lambda: 0.0,
    )
    return state, next(iter(state.users)), clock


def refused(attempt: Callable[[], object]):
    """Return the status of the refusal."""
    with pytest.raises(ApiError) as caught:
        attempt()
    return caught.value.status


def test_default_presence():
    """Everybody starts Available on purecloud, in any case of the name."""
    state, user, _ = organization()
    presence = state.presence(user)
    assert presence.definition_id == BUILT_IN_IDS["Available"]
    assert (presence.message, presence.modified) == ("", 100.0)
    assert state.presence(user, "PureCloud") == presence


def test_changes_move_the_date_and_keep_the_rest():
    """A change of one thing keeps the others and bumps the date."""
    state, user, clock = organization()
    clock[0] = 200.0
    assert state.set_presence(user, BUSY, message="hi").modified == 200.0
    clock[0] = 300.0
    after = state.set_presence(user, MEAL)
    assert (after.definition_id, after.message, after.modified) == (MEAL, "hi", 300.0)
    after = state.set_presence(user, message="")
    assert (after.definition_id, after.message) == (MEAL, "")


def test_messages_may_be_cleared_by_a_change():
    """By switch a new definition clears the message, the same one does not."""
    state, user, _ = organization(message_kept=False)
    state.set_presence(user, BUSY, message="hi")
    assert state.set_presence(user, BUSY).message == "hi"
    assert state.set_presence(user, MEAL).message == ""


def test_unknown_things_are_refused():
    """Unknown users, definitions and sources are 404."""
    state, user, _ = organization()
    assert refused(lambda: state.presence("nobody")) == 404
    assert refused(lambda: state.presence(user, "LYNC")) == 404
    assert refused(lambda: state.set_presence("nobody", BUSY)) == 404
    assert refused(lambda: state.set_presence(user, "nope")) == 404
    assert refused(lambda: state.set_presence(user, future_definition_id="nope")) == 404
    assert refused(lambda: state.set_presence(user, source="LYNC", message="x")) == 404
    assert refused(lambda: state.primary_source("nobody")) == 404
    assert refused(lambda: state.set_primary_source("nobody", PrimarySource("x"))) == 404


def test_status_of_unknown_users():
    """By switch an unknown user is a 400."""
    state, _, _ = organization(unknown_user_status=400)
    assert refused(lambda: state.user("nobody")) == 400


def test_users_by_email():
    """An email address leads to its user in any case."""
    state, user, _ = organization()
    found = state.user(user)
    assert state.user_by_email(found.email.upper()) is found
    assert refused(lambda: state.user_by_email("nobody@example.com")) == 404


def test_unwritten_sources_may_read_as_offline():
    """By switch a source never written is Offline instead of a 404."""
    state, user, _ = organization(unwritten_source="offline")
    presence = state.presence(user, "LYNC")
    assert presence.definition_id == BUILT_IN_IDS["Offline"]
    assert state.set_presence(user, source="LYNC", message="x").source == "LYNC"


def test_primary_source():
    """Purecloud is primary until a change or the settings say otherwise."""
    state, user, _ = organization()
    assert state.primary_source(user) == PrimarySource("PURECLOUD")
    record = state.source_store.add(SourceDraft(name="PBX"))
    state.settings = type(state.settings)(default_source_id=record.id)
    assert state.primary_source(user) == PrimarySource(record.id, True)
    # A primary source without data does not hide the user.
    assert state.visible_presence(user) == state.presence(user)
    state.set_presence(user, BUSY, source="Lync", primary=True)
    assert state.primary_source(user) == PrimarySource("Lync")
    assert state.visible_presence(user).definition_id == BUSY


def test_future_presence():
    """A pending request to leave the queue shows as a future definition until the change."""
    state, user, _ = organization()
    presence = state.set_presence(user, future_definition_id=MEAL)
    assert state.presence_json(user, presence)["futurePresenceDefinition"]["id"] == MEAL
    presence = state.set_presence(user, message="x")
    assert presence.future_definition_id == MEAL
    presence = state.set_presence(user, MEAL)
    assert "futurePresenceDefinition" not in state.presence_json(user, presence)


def test_asking_to_leave_the_queue():
    """By the settings leaving the queue is a matter of asking, on purecloud; by switch never."""
    on_queue = BUILT_IN_IDS["OnQueue"]
    for answer, asks in (("pending", True), ("at_once", False)):
        state, user, _ = organization(leaving_queue=answer)
        state.set_presence(user, on_queue)
        assert not state.must_ask(user, MEAL, "PureCloud")
        state.settings = type(state.settings)(requesting_off_queue_enabled=True)
        assert state.must_ask(user, MEAL, "PureCloud") is asks
        assert not state.must_ask(user, on_queue, "PURECLOUD")
        assert not state.must_ask(user, MEAL, "Lync")
        state.set_presence(user, BUSY)
        assert not state.must_ask(user, MEAL, "PURECLOUD")


def test_extras():
    """By switch a presence carries id, primary and sourceId."""
    state, user, _ = organization(presence_extras=True)
    shape = state.presence_json(user, state.presence(user))
    assert (shape["id"], shape["primary"], shape["sourceId"]) == (user, True, "PURECLOUD")


def test_usable_definitions():
    """Unknown and deactivated definitions cannot be chosen; the status is a switch."""
    for status in (400, 404):
        state, _, _ = organization(unknown_definition_status=status, system_definition_edit="allow")
        assert state.usable_definition(BUSY).id == BUSY
        state.definition_store.deactivate(BUSY)
        assert refused(lambda s=state: s.usable_definition(BUSY)) == status
        assert refused(lambda s=state: s.usable_definition("nope")) == status


def test_users_can_be_added_and_change_state():
    """Added users get an id of the usual form or their own, and states follow changes."""
    state, user, _ = organization()
    assert len(state.add_user().id) == 36
    assert state.add_user("a/b", "X", "x@example.com").email == "x@example.com"
    assert len(state.users) == len(state.user_listing("any")) == 4
    assert state.set_user_state(user, "inactive").version == 2
    assert [one.id for one in state.user_listing("inactive")] == [user]
