"""The vendor's SDK reads and changes presences of users: section 8.1 of the reference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from contract.vendor import NOW, SDK, WIRE_NOW, ApiException, Bench, built_in, error_of, reference

AT = datetime.fromtimestamp(NOW, UTC)


def wanted(name: str | None = None, message: str | None = None):
    """A body for PATCH; the models of the SDK take no arguments."""
    body = SDK.UserPresence()
    if name is not None:
        body.presence_definition = reference(name)
    body.message = message
    return body


def item(user_id: str, name: str, source: str = "PURECLOUD"):
    """An item for the bulk update."""
    body = SDK.MutableUserPresence()
    body.id = user_id
    body.source = source
    body.presence_definition = reference(name)
    return body


def registered_source(bench: Bench) -> str:
    """The id of a source just registered."""
    body = SDK.Source()
    body.name = "Badge reader"
    return bench.presence.post_presence_sources(body).id


def test_get_user_presences_purecloud(bench: Bench):
    """A whole UserPresence comes back, its date parsed, its absent fields None."""
    found = bench.presence.get_user_presences_purecloud(bench.user)
    assert isinstance(found, SDK.UserPresence)
    assert found.source == "PURECLOUD"
    assert found.presence_definition.id == built_in("Available")
    assert found.presence_definition.system_presence == "Available"
    assert found.presence_definition.self_uri.endswith(built_in("Available"))
    assert found.message == ""
    assert found.modified_date == AT
    assert found.modified_date.utcoffset() == timedelta(0)
    assert found.self_uri == f"/api/v2/users/{bench.user}/presences"
    assert (found.id, found.name, found.primary, found.source_id) == (None, None, None, None)


def test_get_user_presences_purecloud_of_nobody(bench: Bench):
    """An unknown user is an ApiException with the vendor's ErrorBody."""
    with pytest.raises(ApiException) as caught:
        bench.presence.get_user_presences_purecloud("nobody")
    assert error_of(caught) == (404, "not.found")


def test_patch_user_presences_purecloud(bench: Bench):
    """Definition and message change together; On Queue has its space here."""
    answer = bench.presence.patch_user_presences_purecloud(bench.user, wanted("On Queue", "Hi ☕"))
    assert answer.presence_definition.system_presence == "On Queue"
    assert (answer.message, answer.modified_date) == ("Hi ☕", AT)
    assert bench.presence.get_user_presences_purecloud(bench.user).to_dict() == answer.to_dict()


def test_patch_user_presences_purecloud_with_what_was_read(bench: Bench):
    """Read-only fields and dates sent back are ignored: the SDK sends whatever is set."""
    read = bench.presence.get_user_presences_purecloud(bench.user)
    read.presence_definition = reference("Busy")
    answer = bench.presence.patch_user_presences_purecloud(bench.user, read)
    assert answer.presence_definition.system_presence == "Busy"
    assert bench.sent["modifiedDate"] == WIRE_NOW.replace("625Z", "625000+00:00")
    assert bench.sent["selfUri"] == read.self_uri


def test_patch_user_presences_purecloud_of_others(bench: Bench):
    """One's own presence needs no permission, somebody else's does."""
    bench.sign_in(bench.user, "presence:settings:view")
    bench.presence.patch_user_presences_purecloud(bench.user, wanted("Meal"))
    with pytest.raises(ApiException) as caught:
        bench.presence.patch_user_presences_purecloud(bench.sim.user_ids[1], wanted("Meal"))
    assert error_of(caught) == (403, "missing.any.permissions")


@pytest.mark.parametrize("body", [None, [], "Busy", {"presenceDefinition": "Busy"}])
def test_patch_user_presences_purecloud_with_nonsense(bench: Bench, body: object):
    """What is no UserPresence is a 400; without a body the SDK refuses to call at all."""
    expected = ValueError if body is None else ApiException
    with pytest.raises(expected) as caught:
        bench.presence.patch_user_presences_purecloud(bench.user, body)
    if body is not None:
        assert error_of(caught) == (400, "bad.request")


def test_get_user_presence(bench: Bench):
    """The ad hoc path reaches the same record, in any case of the source name."""
    bench.presence.patch_user_presences_purecloud(bench.user, wanted("Break"))
    for source in ("PURECLOUD", "purecloud", "PureCloud"):
        found = bench.presence.get_user_presence(bench.user, source)
        assert found.presence_definition.system_presence == "Break"
    with pytest.raises(ApiException) as caught:
        bench.presence.get_user_presence(bench.user, registered_source(bench))
    assert error_of(caught) == (404, "not.found")


def test_patch_user_presence(bench: Bench):
    """An ad hoc source comes into being with its first presence."""
    answer = bench.presence.patch_user_presence(bench.user, "Lync", wanted("Meeting"))
    assert (answer.source, answer.presence_definition.system_presence) == ("Lync", "Meeting")
    assert bench.presence.get_user_presence(bench.user, "LYNC").to_dict() == answer.to_dict()
    plain = bench.presence.get_user_presences_purecloud(bench.user)
    assert plain.presence_definition.system_presence == "Available"


def test_get_users_presences_purecloud_bulk(bench: Bench):
    """The SDK joins ids with an encoded comma; that is read as several ids."""
    ids = list(bench.sim.user_ids[:3])
    found = bench.presence.get_users_presences_purecloud_bulk(id=[*ids, "nobody"])
    assert bench.last.target.endswith("/bulk?id=" + "%2C".join([*ids, "nobody"]))
    assert {one.user_id for one in found} == set(ids)
    first = found[0]
    assert isinstance(first, SDK.UcUserPresence)
    assert first.presence_definition.system_presence == "Available"
    assert (first.source, first.message, first.modified_date) == ("PURECLOUD", "", AT)


@pytest.mark.parametrize("count", [0, 51])
def test_get_users_presences_purecloud_bulk_of_too_many_or_none(bench: Bench, count: int):
    """Up to fifty ids, and at least one."""
    with pytest.raises(ApiException) as caught:
        bench.presence.get_users_presences_purecloud_bulk(id=[f"u{i}" for i in range(count)])
    assert error_of(caught) == (400, "bad.request")


def test_get_users_presence_bulk(bench: Bench):
    """Only users with a presence on that source are answered."""
    bench.presence.patch_user_presence(bench.user, "Lync", wanted("Meeting"))
    found = bench.presence.get_users_presence_bulk("lync", id=list(bench.sim.user_ids))
    assert [(one.user_id, one.source) for one in found] == [(bench.user, "Lync")]
    everyone = bench.presence.get_users_presence_bulk("PURECLOUD", id=list(bench.sim.user_ids))
    assert len(everyone) == len(bench.sim.user_ids)


def test_put_users_presences_bulk(bench: Bench):
    """Each item is answered with the presence it made."""
    pairs = list(zip(bench.sim.user_ids, ["Busy", "On Queue", "Away", "Offline"], strict=True))
    answer = bench.presence.put_users_presences_bulk([item(*pair) for pair in pairs])
    assert [one.presence_definition.system_presence for one in answer] == [n for _, n in pairs]
    assert all(isinstance(one, SDK.UserPresence) for one in answer)
    read = bench.presence.get_users_presences_purecloud_bulk(id=list(bench.sim.user_ids))
    assert {one.user_id: one.presence_definition.system_presence for one in read} == dict(pairs)


def test_put_users_presences_bulk_is_all_or_nothing(bench: Bench):
    """One bad item fails the call and changes nothing; the permission comes first."""
    items = [item(bench.user, "Busy"), item("nobody", "Busy")]
    with pytest.raises(ApiException) as caught:
        bench.presence.put_users_presences_bulk(items)
    assert error_of(caught) == (404, "not.found")
    found = bench.presence.get_user_presences_purecloud(bench.user)
    assert found.presence_definition.system_presence == "Available"
    bench.sign_in(None, "presence:source:view")
    with pytest.raises(ApiException) as caught:
        bench.presence.put_users_presences_bulk(items[:1])
    assert error_of(caught) == (403, "missing.any.permissions")


def test_get_presence_user_primarysource(bench: Bench):
    """Genesys Cloud itself is the source others see, until another one is chosen."""
    found = bench.presence.get_presence_user_primarysource(bench.user)
    assert isinstance(found, SDK.UserPrimarySource)
    assert (found.source_id, found.registered) == ("PURECLOUD", False)
    promoting = wanted("Meal")
    promoting.primary = True
    bench.presence.patch_user_presence(bench.user, "Lync", promoting)
    assert bench.presence.get_presence_user_primarysource(bench.user).source_id == "Lync"


def test_put_presence_user_primarysource(bench: Bench):
    """A registered source can become the primary one."""
    body = SDK.UserPrimarySource()
    body.source_id = registered_source(bench)
    body.registered = True
    answer = bench.presence.put_presence_user_primarysource(bench.user, body)
    assert (answer.source_id, answer.registered) == (body.source_id, True)
    found = bench.presence.get_presence_user_primarysource(bench.user)
    assert found.to_dict() == answer.to_dict()
    body.registered = False
    with pytest.raises(ApiException) as caught:
        bench.presence.put_presence_user_primarysource(bench.user, body)
    assert error_of(caught) == (400, "bad.request")
