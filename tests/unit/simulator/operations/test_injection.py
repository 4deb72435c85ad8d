"""Presences from outside over the wire: injected events and reports of integrations."""

from typing import Any

import pytest
from unit.simulator.lab import Lab, OpenLab, Pick

from presence_async.simulator import Switches
from presence_async.simulator.records import SourceDraft

EVENTS = "/api/v2/events/users/presence"


def third_party(integration: str = "teams-1"):
    """Return the path of an integration."""
    return f"/api/v2/integrations/unifiedcommunications/{integration}/thirdpartypresences"


def register(lab: Lab, **more: Any):
    """Register a source and return its id."""
    return lab.sim.organization.source_store.add(SourceDraft(name="PBX", **more)).id


def event(user: str, source: str, number: int = 1, **more: Any):
    """Return an event that says nothing but what is required, and `more`."""
    required = {
        "eventId": f"e-{number}",
        "eventDateTime": "2026-01-01T00:00:00Z",
        "userId": user,
        "sourceId": source,
    }
    return {**required, **more}


async def inject(lab: Lab, *events: Any):
    """Inject events and return the answer."""
    return await lab.call("POST", EVENTS, json={"userPresenceEvents": events})


async def test_events_change_the_registered_source(open_lab: OpenLab, definition: Pick):
    """An event sets definition and message of its source, and listeners hear of it."""
    lab = await open_lab()
    organization, source = lab.sim.organization, register(lab)
    changes: list[Any] = []
    organization.listeners.append(changes.append)
    lab.loop.advance(5)
    busy = event(lab.user, source, presenceDefinitionId=definition("Busy"), message="call")
    reply = await inject(lab, busy, event(lab.user, source, 2, message="longer call"))
    assert (reply.status, reply.json) == (200, {"errors": []})
    presence = organization.presence(lab.user, source)
    assert (presence.definition_id, presence.message) == (definition("Busy"), "longer call")
    assert presence.registered
    assert presence.modified == lab.loop.wall()
    assert [change.presence.message for change in changes] == ["call", "longer call"]
    assert organization.presence(lab.user).definition_id == definition("Available")


async def test_bad_events_are_listed_and_good_ones_applied(open_lab: OpenLab, definition: Pick):
    """Each event is refused by itself, by its id, and never worth sending again."""
    switches = Switches(message_limit=5, system_definition_edit="allow")
    lab = await open_lab(switches=switches)
    organization, source = lab.sim.organization, register(lab)
    unwritten, retired = register(lab), register(lab, deactivated=True)
    organization.definition_store.deactivate(definition("Meal"))
    busy = {"presenceDefinitionId": definition("Busy")}
    reply = await inject(
        lab,
        event("nobody", source, 1, **busy),
        event(lab.user, "unregistered", 2, **busy),
        event(lab.user, retired, 3, **busy),
        event(lab.user, source, 4, presenceDefinitionId="nope"),
        event(lab.user, source, 5, presenceDefinitionId=definition("Meal")),
        event(lab.user, unwritten, 6, message="x"),
        event(lab.user, source, 7, message="too long", **busy),
        event(lab.user, source, 8, **busy),
    )
    assert reply.status == 200
    assert [error["eventId"] for error in reply.json["errors"]] == [f"e-{n}" for n in range(1, 8)]
    for error in reply.json["errors"]:
        assert set(error) == {"eventId", "message", "retryable"}
        assert error["message"]
        assert error["retryable"] is False
    assert organization.presence(lab.user, source).definition_id == definition("Busy")
    assert organization.find_presence(lab.user, unwritten) is None


async def test_events_count_in_the_order_they_arrive(open_lab: OpenLab, definition: Pick):
    """The date of an event orders nothing, and dates of presences never go back."""
    lab = await open_lab()
    source = register(lab)
    await inject(lab, event(lab.user, source, presenceDefinitionId=definition("Busy")))
    lab.loop.advance(1)
    older = {"eventDateTime": "2001-01-01T00:00:00Z", "presenceDefinitionId": definition("Away")}
    await inject(lab, event(lab.user, source, 2, **older))
    presence = lab.sim.organization.presence(lab.user, source)
    assert (presence.definition_id, presence.modified) == (definition("Away"), lab.loop.wall())


async def test_an_event_without_a_change(open_lab: OpenLab):
    """An event that names neither definition nor message is fine and changes nothing."""
    lab = await open_lab()
    source = register(lab)
    assert (await inject(lab, event(lab.user, source))).json == {"errors": []}
    assert lab.sim.organization.find_presence(lab.user, source) is None


@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        ({"eventId": None}, "bad.request"),
        ({"eventId": 5}, "bad.request"),
        ({"userId": " "}, "bad.request"),
        ({"sourceId": None}, "bad.request"),
        ({"eventDateTime": None}, "bad.request"),
        ({"eventDateTime": "soon"}, "invalid.date"),
        ({"presenceDefinitionId": {}}, "bad.request"),
        ({"message": []}, "bad.request"),
    ],
)
async def test_malformed_events_fail_the_call(
    open_lab: OpenLab, definition: Pick, spoilt: dict[str, Any], code: str
):
    """One event with a wrong or missing field is a 400, and nothing has changed."""
    lab = await open_lab()
    source = register(lab)
    good = event(lab.user, source, presenceDefinitionId=definition("Busy"))
    reply = await inject(lab, good, {**good, **spoilt})
    assert (reply.status, reply.code) == (400, code)
    assert lab.sim.organization.find_presence(lab.user, source) is None


@pytest.mark.parametrize(
    "body", [{}, [], {"userPresenceEvents": {}}, {"userPresenceEvents": ["x"]}]
)
async def test_malformed_batches(open_lab: OpenLab, body: Any):
    """A body that is no batch of events is a 400."""
    lab = await open_lab()
    assert (await lab.call("POST", EVENTS, json=body)).code == "bad.request"


async def test_a_hundred_events(open_lab: OpenLab, definition: Pick):
    """A hundred events fit into a call, one more is a 400."""
    lab = await open_lab()
    source = register(lab)
    one = event(lab.user, source, presenceDefinitionId=definition("Busy"))
    assert (await inject(lab, *[one] * 100)).status == 200
    assert (await inject(lab, *[one] * 101)).code == "bad.request"
    assert (await inject(lab)).json == {"errors": []}


async def test_permissions(open_lab: OpenLab):
    """Both operations need a permission of their own."""
    lab = await open_lab()
    for method, target, permission in (
        ("POST", EVENTS, "presence:userPresence:inject"),
        ("PUT", third_party(), "integration:presence:edit"),
    ):
        others = lab.sim.issue_token(permissions={"presence:userPresence:edit"})
        reply = await lab.call(method, target, json={}, token=others)
        assert (reply.status, reply.code) == (403, "missing.any.permissions")
        assert f"[{permission}]" in reply.json["message"]
        token = lab.sim.issue_token(permissions={permission})
        assert (await lab.call(method, target, json={}, token=token)).status == 400


async def test_third_party_presences(open_lab: OpenLab, definition: Pick):
    """People are found by email in any case; their presence is on a source of that name."""
    lab = await open_lab()
    organization = lab.sim.organization
    first, second, third = (organization.user(user) for user in lab.sim.user_ids)
    changes: list[Any] = []
    organization.listeners.append(changes.append)
    reply = await lab.call(
        "PUT",
        third_party("MicrosoftTeams"),
        json=[
            {"email": first.email.upper(), "presence": "On Queue", "message": "m"},
            {"email": second.email, "presence": "BUSY", "dateModified": "2026-01-01T00:00:00Z"},
            {"email": third.email, "presence": "BeRightBack"},
            {"email": "nobody@example.com", "presence": "Busy"},
        ],
    )
    assert (reply.status, reply.json) == (202, "Accepted")
    presence = organization.presence(first.id, "microsoftteams")
    assert (presence.definition_id, presence.message) == (definition("OnQueue"), "m")
    assert (presence.source, presence.registered) == ("MicrosoftTeams", False)
    assert organization.presence(second.id, "MicrosoftTeams").definition_id == definition("Busy")
    assert organization.find_presence(third.id, "MicrosoftTeams") is None
    assert [change.user_id for change in changes] == [first.id, second.id]
    expand = "expand=integrationPresence&integrationPresenceSource=MicrosoftTeams"
    entities = (await lab.call("GET", f"/api/v2/users?{expand}")).json["entities"]
    assert [one["id"] for one in entities if "integrationPresence" in one] == [
        one["id"] for one in entities if one["id"] in {first.id, second.id}
    ]


async def test_third_party_presences_that_cannot_be_stored(open_lab: OpenLab, definition: Pick):
    """A deactivated definition or a message too long changes nothing, and nobody is told."""
    lab = await open_lab(switches=Switches(message_limit=3, system_definition_edit="allow"))
    organization = lab.sim.organization
    organization.definition_store.deactivate(definition("Meal"))
    email = organization.user(lab.user).email
    for item in (
        {"email": email, "presence": "Meal"},
        {"email": email, "presence": "Busy", "message": "four"},
    ):
        assert (await lab.call("PUT", third_party(), json=[item])).status == 202
    assert organization.find_presence(lab.user, "teams-1") is None


@pytest.mark.parametrize(
    "spoilt",
    [
        {"email": None},
        {"email": " "},
        {"email": 1},
        {"presence": None},
        {"presence": []},
        {"message": 1},
        {"dateModified": "soon"},
    ],
)
async def test_malformed_items_fail_the_call(open_lab: OpenLab, spoilt: dict[str, Any]):
    """One item with a wrong or missing field is a 400, and nothing has changed."""
    lab = await open_lab()
    good = {"email": lab.sim.organization.user(lab.user).email, "presence": "Busy"}
    reply = await lab.call("PUT", third_party(), json=[good, {**good, **spoilt}])
    assert reply.status == 400
    for body in ({}, "x", ["x"]):
        assert (await lab.call("PUT", third_party(), json=body)).code == "bad.request"
    assert lab.sim.organization.find_presence(lab.user, "teams-1") is None


async def test_what_is_no_integration(open_lab: OpenLab):
    """Neither Genesys Cloud itself nor a registered source is an integration."""
    lab = await open_lab()
    for name in ("PureCloud", register(lab)):
        reply = await lab.call("PUT", third_party(name), json=[])
        assert (reply.status, reply.code) == (404, "not.found")
