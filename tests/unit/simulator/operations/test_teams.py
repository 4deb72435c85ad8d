"""The removed Teams path."""

from unit.simulator.lab import OpenLab, Pick

from presence_async.simulator import Switches


def path(user: str):
    """Return the Teams path of a user."""
    return f"/api/v2/users/{user}/presences/microsoftteams"


async def test_the_path_is_gone(open_lab: OpenLab):
    """Today it is a source nobody has written."""
    lab = await open_lab()
    assert (await lab.call("GET", path(lab.user))).code == "not.found"


async def test_the_path_by_switch(open_lab: OpenLab, definition: Pick):
    """By switch it shows all presences of the user."""
    lab = await open_lab(switches=Switches(microsoft_teams_route=True))
    lab.sim.organization.set_presence(lab.user, definition("Busy"), source="MicrosoftTeams")
    reply = await lab.call("GET", path(lab.user))
    assert set(reply.json) == {"id", "presences", "outOfOffices", "selfUri"}
    assert [one["source"] for one in reply.json["presences"]] == ["PURECLOUD", "MicrosoftTeams"]
    assert (await lab.call("GET", path("nobody"))).status == 404
    body = {"message": "x"}
    assert (await lab.call("PATCH", path(lab.user), json=body)).status == 200


async def test_both_permissions_are_needed(open_lab: OpenLab):
    """One of the two permissions is not enough."""
    lab = await open_lab(switches=Switches(microsoft_teams_route=True))
    token = lab.sim.issue_token(permissions=["integration:microsoftTeams:view"])
    reply = await lab.call("GET", path(lab.user), token=token)
    assert (reply.status, reply.code) == (403, "missing.permissions")
    assert "integrations:integration:view" in reply.json["message"]
