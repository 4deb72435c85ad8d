"""The vendor's SDK on registered sources and presence settings: section 8.3 of the reference."""

from __future__ import annotations

import pytest
from contract.vendor import SDK, ApiException, Bench, error_of


def draft(name: str | None = "Badge reader", description: str | None = None):
    """A body for POST and PUT."""
    body = SDK.Source()
    body.name = name
    body.description = description
    return body


def restore(milliseconds: int):
    """Restore settings with this window."""
    body = SDK.RestorePresenceSettings()
    body.enabled = True
    body.restore_time_milliseconds = milliseconds
    body.restore_on_queue_enabled = True
    return body


def test_post_presence_sources(bench: Bench):
    """A source is made of type User; its name is required."""
    made = bench.presence.post_presence_sources(draft(description="At the gate"))
    assert isinstance(made, SDK.Source)
    assert (made.name, made.description) == ("Badge reader", "At the gate")
    assert (made.type, made.deactivated) == ("User", False)
    assert made.self_uri == f"/api/v2/presence/sources/{made.id}"
    with pytest.raises(ApiException) as caught:
        bench.presence.post_presence_sources(draft(name=None))
    assert error_of(caught) == (400, "bad.request")


def test_get_presence_source(bench: Bench):
    """One source by id; an unknown id is a 404."""
    made = bench.presence.post_presence_sources(draft())
    found = bench.presence.get_presence_source(made.id)
    assert found.to_dict() == made.to_dict()
    assert found.description is None
    with pytest.raises(ApiException) as caught:
        bench.presence.get_presence_source("nothing")
    assert error_of(caught) == (404, "not.found")


def test_get_presence_sources(bench: Bench):
    """Active sources unless the deactivated ones are asked for."""
    kept, gone = (bench.presence.post_presence_sources(draft(name)) for name in ("A", "B"))
    bench.presence.delete_presence_source(gone.id)
    listing = bench.presence.get_presence_sources()
    assert isinstance(listing, SDK.SourceEntityListing)
    assert (listing.total, [one.id for one in listing.entities]) == (1, [kept.id])
    listing = bench.presence.get_presence_sources(deactivated="TRUE")
    assert [(one.id, one.deactivated) for one in listing.entities] == [(gone.id, True)]
    bench.sign_in(None, "presence:settings:view")
    with pytest.raises(ApiException) as caught:
        bench.presence.get_presence_sources()
    assert error_of(caught) == (403, "missing.permissions")


def test_put_presence_source(bench: Bench):
    """What was read, changed and sent back whole is accepted."""
    made = bench.presence.post_presence_sources(draft())
    made.name = "Door"
    changed = bench.presence.put_presence_source(made.id, made)
    assert (changed.id, changed.name) == (made.id, "Door")


def test_delete_presence_source(bench: Bench):
    """Deleting deactivates; a PUT revives."""
    made = bench.presence.post_presence_sources(draft())
    assert bench.presence.delete_presence_source(made.id) is None
    assert bench.last.status == 204
    assert bench.presence.get_presence_source(made.id).deactivated is True
    made.deactivated = False
    assert bench.presence.put_presence_source(made.id, made).deactivated is False


def test_get_presence_settings(bench: Bench):
    """A window of one minute, and no registered source by default."""
    found = bench.presence.get_presence_settings()
    assert isinstance(found, SDK.PresenceSettings)
    assert isinstance(found.restore_presence_settings, SDK.RestorePresenceSettings)
    assert found.restore_presence_settings.restore_time_milliseconds == 60_000
    assert found.requesting_off_queue_enabled is False
    assert found.default_primary_presence_registered_source_id is None
    assert found.self_uri == "/api/v2/presence/settings"


def test_put_presence_settings(bench: Bench):
    """Each part can be set; a window below a minute is refused."""
    body = SDK.PresenceSettings()
    body.restore_presence_settings = restore(120_000)
    body.requesting_off_queue_enabled = True
    body.default_primary_presence_registered_source_id = bench.presence.post_presence_sources(
        draft()
    ).id
    changed = bench.presence.put_presence_settings(body)
    assert changed.restore_presence_settings.to_dict() == restore(120_000).to_dict()
    assert changed.requesting_off_queue_enabled is True
    assert bench.presence.get_presence_settings().to_dict() == changed.to_dict()
    body.restore_presence_settings = restore(1)
    with pytest.raises(ApiException) as caught:
        bench.presence.put_presence_settings(body)
    assert error_of(caught) == (400, "invalid.value")
