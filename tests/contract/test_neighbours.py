"""The vendor's SDK on the neighbours of the Presence API: users, events, integrations."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from contract.vendor import NOW, SDK, ApiException, Bench, built_in, error_of, reference

AT = datetime.fromtimestamp(NOW, UTC)


def event(bench: Bench, source_id: str, user_id: str | None = None):
    """An event of a registered source that puts a user at a meal."""
    body = SDK.UserPresenceEvent()
    body.event_id = f"event of {user_id}"
    body.event_date_time = AT
    body.user_id = user_id or bench.user
    body.source_id = source_id
    body.presence_definition_id = built_in("Meal")
    body.message = "Soup"
    return body


def inject(bench: Bench, *events: object):
    """The SDK's answer to a batch of events."""
    batch = SDK.BatchUserPresenceEventRequest()
    batch.user_presence_events = list(events)
    return SDK.EventsApi(bench.client).post_events_users_presence(batch)


def registered_source(bench: Bench) -> str:
    """The id of a source just registered."""
    body = SDK.Source()
    body.name = "Badge reader"
    return bench.presence.post_presence_sources(body).id


def test_get_users(bench: Bench):
    """A page of whole users with their presences, filtered by encoded comma lists."""
    users = SDK.UsersApi(bench.client)
    page = users.get_users(page_size=3, expand=["presence", "routingStatus"])
    assert bench.last.target.endswith("expand=presence%2CroutingStatus")
    assert isinstance(page, SDK.UserEntityListing)
    assert (page.total, page.page_count, len(page.entities)) == (4, 2, 3)
    assert page.next_uri == "/api/v2/users?pageSize=3&pageNumber=2"
    user = page.entities[0]
    assert isinstance(user, SDK.User)
    assert user.name
    assert "@" in user.email
    assert user.division.name == "Home"
    assert user.presence.presence_definition.system_presence == "Available"
    wanted = list(bench.sim.user_ids[1:3])
    some = users.get_users(id=wanted, state="any", sort_order="DESC")
    assert {one.id for one in some.entities} == set(wanted)


def test_get_users_with_integration_presence(bench: Bench):
    """The way Teams presences are read today."""
    body = SDK.UserPresence()
    body.presence_definition = reference("Meeting")
    bench.presence.patch_user_presence(bench.user, "MicrosoftTeams", body)
    page = SDK.UsersApi(bench.client).get_users(
        id=[bench.user],
        expand=["integrationPresence"],
        integration_presence_source="MicrosoftTeams",
    )
    found = page.entities[0].integration_presence
    assert (found.source, found.presence_definition.system_presence) == (
        "MicrosoftTeams",
        "Meeting",
    )


def test_get_users_me(bench: Bench):
    """A user sees themselves with both kinds of definitions; a client is not a user."""
    users = SDK.UsersApi(bench.client)
    with pytest.raises(ApiException) as caught:
        users.get_users_me()
    assert error_of(caught) == (400, "not.a.user")
    bench.sign_in(bench.user)
    me = users.get_users_me(
        expand=["presence", "presencedefinitions", "divisionedpresencedefinitions"]
    )
    assert isinstance(me, SDK.UserMe)
    assert me.id == bench.user
    assert me.presence.presence_definition.system_presence == "Available"
    assert "On Queue" in {one.system_presence for one in me.presence_definitions}
    assert "OnQueue" in {one.system_presence for one in me.divisioned_presence_definitions}


def test_post_events_users_presence(bench: Bench):
    """Events of a registered source become presences; bad ones are named one by one."""
    source = registered_source(bench)
    answer = inject(bench, event(bench, source), event(bench, source, "nobody"))
    assert isinstance(answer, SDK.BatchEventResponse)
    assert [(one.event_id, one.retryable) for one in answer.errors] == [("event of nobody", False)]
    found = bench.presence.get_users_presence_bulk(source, id=[bench.user])[0]
    assert (found.presence_definition.system_presence, found.message) == ("Meal", "Soup")


def test_post_events_users_presence_of_too_many(bench: Bench):
    """A hundred events at most, and only with the permission to inject."""
    events = [event(bench, "any")] * 101
    with pytest.raises(ApiException) as caught:
        inject(bench, *events)
    assert error_of(caught) == (400, "bad.request")
    bench.sign_in(None, "presence:settings:view")
    with pytest.raises(ApiException) as caught:
        inject(bench, *events[:1])
    assert error_of(caught) == (403, "missing.any.permissions")


def test_put_integrations_unifiedcommunication_thirdpartypresences(bench: Bench):
    """What an integration reports is accepted with a 202 and a string, matched by email."""
    report = SDK.UCThirdPartyPresence()
    report.email = bench.sim.organization.users[bench.user].email
    report.presence = "Busy"
    report.date_modified = AT
    answer = SDK.IntegrationsApi(
        bench.client
    ).put_integrations_unifiedcommunication_thirdpartypresences("ZoomPhone", [report])
    assert isinstance(answer, str)
    assert bench.last.status == 202
    found = bench.presence.get_user_presence(bench.user, "ZoomPhone")
    assert found.presence_definition.system_presence == "Busy"
