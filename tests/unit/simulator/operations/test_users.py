"""The user list and the own profile over the wire."""

import pytest
from unit.simulator.lab import OpenLab, Pick

from presence_async.simulator import Switches

LIST = "/api/v2/users"


async def test_pages(open_lab: OpenLab):
    """Pages follow each other without gap or overlap, with relative links."""
    lab = await open_lab(users=7)
    seen = []
    for number in (1, 2, 3):
        page = (await lab.call("GET", f"{LIST}?pageSize=3&pageNumber={number}")).json
        seen += [user["id"] for user in page["entities"]]
    assert sorted(seen) == sorted(lab.sim.user_ids)
    assert (page["total"], page["pageCount"]) == (7, 3)
    assert "nextUri" not in page
    assert page["firstUri"] == f"{LIST}?pageSize=3&pageNumber=1"


async def test_defaults_and_limits(open_lab: OpenLab):
    """A page has 25 users by default and 500 at most."""
    lab = await open_lab(users=30)
    page = (await lab.call("GET", LIST)).json
    assert (page["pageSize"], len(page["entities"])) == (25, 25)
    assert (await lab.call("GET", f"{LIST}?pageSize=500")).json["total"] == 30
    for query in ("pageSize=501", "pageNumber=0", "state=asleep", "sortOrder=x"):
        assert (await lab.call("GET", f"{LIST}?{query}")).status == 400


async def test_order(open_lab: OpenLab):
    """Users come by name, in either direction."""
    lab = await open_lab(users=9)
    up = [user["name"] for user in (await lab.call("GET", LIST)).json["entities"]]
    down = (await lab.call("GET", f"{LIST}?sortOrder=descending")).json["entities"]
    assert up == sorted(up)
    assert [user["name"] for user in down] == up[::-1]


async def test_ids_and_states(open_lab: OpenLab):
    """Ids are taken in both array styles; only active users show unless asked otherwise."""
    lab = await open_lab()
    first, second, third = lab.sim.user_ids
    lab.sim.organization.set_user_state(second, "inactive")
    for query, expected in (
        (f"id={first},{second}&id={third}&id=nobody", {first, third}),
        (f"id={first},{second}&state=any", {first, second}),
        ("state=inactive", {second}),
        ("state=deleted", set()),
        ("", {first, third}),
    ):
        page = (await lab.call("GET", f"{LIST}?{query}")).json
        assert {user["id"] for user in page["entities"]} == expected


async def test_expansions(open_lab: OpenLab, definition: Pick):
    """Presence shows the primary source, integration presence the source asked for."""
    lab = await open_lab()
    lab.sim.organization.set_presence(lab.user, definition("Busy"), source="MicrosoftTeams")
    one = f"{LIST}?id={lab.user}"
    (plain,) = (await lab.call("GET", one)).json["entities"]
    assert "presence" not in plain
    assert plain["division"]["id"] == lab.sim.organization.division_id
    (user,) = (await lab.call("GET", f"{one}&expand=presence,routingStatus")).json["entities"]
    assert user["presence"]["source"] == "PURECLOUD"
    assert "integrationPresence" not in user
    for expand in ("presence", "integrationPresence"):
        query = f"{one}&expand={expand}&integrationPresenceSource=MicrosoftTeams"
        (user,) = (await lab.call("GET", query)).json["entities"]
        assert user["integrationPresence"]["presenceDefinition"]["id"] == definition("Busy")
    query = f"{one}&expand=presence&integrationPresenceSource=ZoomPhone"
    (user,) = (await lab.call("GET", query)).json["entities"]
    assert "integrationPresence" not in user
    lab.sim.organization.set_presence(lab.user, source="MicrosoftTeams", primary=True)
    (user,) = (await lab.call("GET", f"{one}&expand=presence")).json["entities"]
    assert user["presence"]["source"] == "MicrosoftTeams"


async def test_integration_limits(open_lab: OpenLab):
    """With integration presences a page has 100 users at most; sources are known."""
    lab = await open_lab()
    query = f"{LIST}?expand=presence&integrationPresenceSource=MicrosoftTeams&pageSize="
    assert (await lab.call("GET", f"{query}100")).status == 200
    assert (await lab.call("GET", f"{query}101")).code == "bad.request"
    reply = await lab.call("GET", f"{LIST}?integrationPresenceSource=Lync")
    assert reply.code == "invalid.value"


@pytest.mark.parametrize(
    ("expand", "extra"),
    [
        ("", set()),
        ("presence", {"presence"}),
        ("presencedefinitions", {"presenceDefinitions"}),
        ("divisionedpresencedefinitions", {"divisionedPresenceDefinitions"}),
    ],
)
async def test_me(open_lab: OpenLab, expand: str, extra: set[str]):
    """The own profile has the fields of a user and what was asked for."""
    lab = await open_lab()
    token = lab.sim.issue_token(user_id=lab.user)
    plain = set((await lab.call("GET", f"{LIST}/me", token=token)).json)
    reply = await lab.call("GET", f"{LIST}/me?expand={expand}", token=token)
    assert reply.json["id"] == lab.user
    assert set(reply.json) - plain == extra


async def test_me_needs_a_user(open_lab: OpenLab):
    """A client-credentials token has no user."""
    lab = await open_lab(switches=Switches(user_me=True))
    reply = await lab.call("GET", f"{LIST}/me")
    assert (reply.status, reply.code) == (400, "not.a.user")
