"""Registered sources and their shapes."""

from collections.abc import Callable

import pytest

from presence_async.simulator.errors import ApiError
from presence_async.simulator.sources import (
    PrimarySource,
    Settings,
    SourceDraft,
    Sources,
    primary_source_json,
    settings_json,
    source_json,
)


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
