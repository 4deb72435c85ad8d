"""Users, presences, sources and settings."""

import tracemalloc
from collections.abc import Callable

import pytest

from presence_async.simulator.definitions import BUILT_IN_IDS, Definition
from presence_async.simulator.errors import ApiError
from presence_async.simulator.records import (
    Change,
    People,
    Presence,
    Presences,
    PrimarySource,
    Settings,
    SourceDraft,
    Sources,
    User,
    generate_user,
    presence_json,
    primary_source_json,
    settings_json,
    source_json,
    source_key,
    user_json,
    wire_date,
)


def test_users_repeat_for_a_seed():
    """A seed decides ids, names and emails, whatever the number of users."""
    few, many = People(2, 7), People(9, 7)
    assert list(many.by_id)[:2] == list(few.by_id)
    assert generate_user(7, 1) == generate_user(7, 1)
    assert generate_user(8, 1).id != generate_user(7, 1).id


def test_listing_is_by_name_and_by_state():
    """The listing is sorted, filtered by state, and follows changes."""
    people = People(0, 0)
    people.put(User("1", "Zed", "z@example.com"))
    people.put(User("2", "Abe", "a@example.com"))
    assert [user.name for user in people.listing("active")] == ["Abe", "Zed"]
    assert people.listing("active") is people.listing("active")
    people.put(User("2", "Abe", "a@example.com", state="deleted"))
    assert [user.id for user in people.listing("active")] == ["1"]
    assert [user.id for user in people.listing("any")] == ["2", "1"]


def test_email_addresses():
    """Addresses are found in any case, follow changes, and belong to who had them last."""
    people = People(2, 0)
    for user in people.by_id.values():
        assert people.by_email(user.email.upper()) is user
    late = User("1", "Late", "LATE@example.com")
    people.put(late)
    assert people.by_email("late@EXAMPLE.com") is late
    heir = User("2", "Heir", "late@example.com")
    people.put(heir)
    assert people.by_email("late@example.com") is heir
    with pytest.raises(ApiError) as caught:
        people.by_email("nobody@example.com")
    assert caught.value.status == 404


def test_users_are_small():
    """A user takes less than a kilobyte, its address in the index included."""
    count = 5_000
    tracemalloc.start()
    try:
        people = People(count, 0)
        assert people.by_email(generate_user(0, 7).email).id == generate_user(0, 7).id
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < count * 1000


def test_user_shape():
    """A user shows the documented subset of fields, with an encoded link."""
    shape = user_json(User("a/b", "A B", "a@example.com"), {"id": "d"})
    assert shape == {
        "id": "a/b",
        "name": "A B",
        "division": {"id": "d"},
        "email": "a@example.com",
        "username": "a@example.com",
        "state": "active",
        "version": 1,
        "selfUri": "/api/v2/users/a%2Fb",
    }


DEFAULT = Presence("PURECLOUD", "d", "", 0.0)


def test_only_writes_are_stored():
    """Users nobody wrote share the default on purecloud and have nothing elsewhere."""
    presences = Presences(DEFAULT)
    assert presences.get("u", "PureCloud") is DEFAULT
    assert presences.get("u", "LYNC") is None
    lync = Presence("Lync", "d", "x", 1.0)
    presences.put("u", lync)
    assert presences.get("u", "LYNC") is lync
    assert list(presences.of_user("u")) == [DEFAULT, lync]
    assert list(presences.of_user("v")) == [DEFAULT]


def test_source_names_ignore_case():
    """Spellings of one name share a key."""
    assert source_key("PureCloud") == source_key("PURECLOUD")


def test_recorded_shape():
    """A presence has exactly the recorded fields."""
    on_queue = Definition(BUILT_IN_IDS["OnQueue"], "OnQueue", {"en_US": "On Queue"})
    presence = Presence("PURECLOUD", on_queue.id, "", 1646640903.625)
    assert presence_json("u", presence, on_queue) == {
        "source": "PURECLOUD",
        "presenceDefinition": {
            "id": on_queue.id,
            "systemPresence": "On Queue",
            "selfUri": f"/api/v2/presencedefinitions/{on_queue.id}",
        },
        "message": "",
        "modifiedDate": "2022-03-07T08:15:03.625Z",
        "selfUri": "/api/v2/users/u/presences",
    }


def test_registered_sources_are_named_by_id():
    """A registered source appears as sourceId."""
    shape = presence_json(
        "u", Presence("s", "d", "", 0.0, registered=True), Definition("d", "Busy", {})
    )
    assert shape["sourceId"] == "s"
    assert "source" not in shape


@pytest.mark.parametrize(
    ("before", "after", "switches"),
    [("PURECLOUD", "teams", True), ("PURECLOUD", "PureCloud", False), ("x", "x", False)],
)
def test_a_switch_of_the_primary_source(before: str, after: str, *, switches: bool):
    """A change switches the primary source when its name differs by more than case."""
    change = Change(
        user_id="a",
        presence=None,
        primary_before=PrimarySource(before),
        primary=PrimarySource(after),
    )
    assert change.switches_primary is switches


def test_dates_have_milliseconds_and_z():
    """A date looks exactly like the recorded one."""
    assert wire_date(1646640903.625) == "2022-03-07T08:15:03.625Z"
    assert wire_date(0) == "1970-01-01T00:00:00.000Z"


def refused(attempt: Callable[[], object]):
    """Return the status of the refusal."""
    with pytest.raises(ApiError) as caught:
        attempt()
    return caught.value.status


def test_life_of_a_source():
    """A source is created, changed, deactivated, and still there afterwards."""
    sources = Sources(0, reactivation=True)
    record = sources.add(SourceDraft(name="PBX", description="old", type="User"))
    assert source_json(record) == {
        "id": record.id,
        "name": "PBX",
        "description": "old",
        "type": "User",
        "deactivated": False,
        "selfUri": f"/api/v2/presence/sources/{record.id}",
    }
    assert sources.replace(record.id, SourceDraft(name="PBX 2")).description == "old"
    changed = sources.replace(record.id, SourceDraft(name="PBX 2", description="new"))
    assert (changed.name, changed.description) == ("PBX 2", "new")
    sources.deactivate(record.id)
    assert sources.get(record.id).deactivated
    assert sources.listing(deactivated=False) == []
    assert len(sources.listing(deactivated=True)) == len(sources.listing(deactivated=None)) == 1
    revived = sources.replace(record.id, SourceDraft(name="PBX", deactivated=False))
    assert not revived.deactivated


def test_usable_sources():
    """Presences come from registered sources that are not deactivated."""
    sources = Sources(0, reactivation=True)
    record = sources.add(SourceDraft(name="PBX"))
    assert sources.usable(record.id) is record
    sources.deactivate(record.id)
    assert refused(lambda: sources.usable(record.id)) == 400
    assert refused(lambda: sources.usable("nope")) == 404


def test_refusals():
    """Type System, unknown ids and (by switch) reviving are refused."""
    sources = Sources(0, reactivation=False)
    record = sources.add(SourceDraft(name="x", deactivated=True))
    assert "description" not in source_json(record)
    assert refused(lambda: sources.add(SourceDraft(name="x", type="System"))) == 400
    assert refused(lambda: sources.replace(record.id, SourceDraft(name="x", type="?"))) == 400
    revive = SourceDraft(name="x", deactivated=False)
    assert refused(lambda: sources.replace(record.id, revive)) == 400
    assert refused(lambda: sources.get("nope")) == 404
    assert refused(lambda: sources.deactivate("nope")) == 404


def test_other_shapes():
    """Primary source and settings leave out what has no value."""
    assert primary_source_json("a/b", PrimarySource("LYNC")) == {
        "sourceId": "LYNC",
        "registered": False,
        "selfUri": "/api/v2/presence/users/a%2Fb/primarysource",
    }
    assert settings_json(Settings()) == {
        "restorePresenceSettings": {
            "enabled": True,
            "restoreTimeMilliseconds": 60000,
            "restoreOnQueueEnabled": False,
        },
        "requestingOffQueueEnabled": False,
        "selfUri": "/api/v2/presence/settings",
    }
    with_source = settings_json(Settings(default_source_id="s"))
    assert with_source["defaultPrimaryPresenceRegisteredSourceId"] == "s"
