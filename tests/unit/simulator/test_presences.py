"""Presences of users, sparse and case-insensitive."""

from presence_async.simulator.definitions import BUILT_IN_IDS, Definition
from presence_async.simulator.presences import Presence, Presences, presence_json, source_key

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
