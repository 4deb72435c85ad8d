"""Presences over the wire: of one user, and of many."""

from typing import Any
from urllib.parse import quote

import pytest
from unit.simulator.lab import Lab, OpenLab, Pick

from presence_async.simulator import Switches


def path(user: str, source: str = "purecloud"):
    """Return the path of a presence, strictly encoded."""
    return f"/api/v2/users/{quote(user, safe='')}/presences/{quote(source, safe='')}"


async def test_reading_has_the_recorded_shape(open_lab: OpenLab, definition: Pick):
    """Both paths show the same record, with exactly the recorded fields."""
    lab = await open_lab()
    lab.sim.organization.set_presence(lab.user, definition("OnQueue"), message="hi")
    reply = await lab.call("GET", path(lab.user))
    assert reply.status == 200
    assert reply.json == {
        "source": "PURECLOUD",
        "presenceDefinition": {
            "id": definition("OnQueue"),
            "systemPresence": "On Queue",
            "selfUri": f"/api/v2/presencedefinitions/{definition('OnQueue')}",
        },
        "message": "hi",
        "modifiedDate": "2026-01-01T00:00:00.000Z",
        "selfUri": f"/api/v2/users/{lab.user}/presences",
    }
    assert (await lab.call("GET", path(lab.user, "PureCloud"))).json == reply.json


async def test_route_precedence(open_lab: OpenLab):
    """The literal purecloud is a route of its own; other spellings are a source name."""
    lab = await open_lab()
    for source, template in (("purecloud", "purecloud"), ("PURECLOUD", "{sourceId}")):
        await lab.call("GET", path(lab.user, source))
        assert lab.sim.requests[-1].path_template == (
            f"/api/v2/users/{{userId}}/presences/{template}"
        )


async def test_unknown_users_and_sources(open_lab: OpenLab):
    """A user nobody knows and a source never written are both 404."""
    lab = await open_lab()
    for target in (path("nobody"), path(lab.user, "LYNC"), path("me")):
        reply = await lab.call("GET", target)
        assert (reply.status, reply.code) == (404, "not.found")
    reply = await lab.call("PATCH", path("nobody"), json={"message": "x"})
    assert (reply.status, reply.code) == (404, "not.found")


async def test_changes(open_lab: OpenLab, definition: Pick):
    """Definition, message and primary change alone or together, and the date moves on."""
    lab = await open_lab()
    lab.loop.advance(1.5)
    busy = {"presenceDefinition": {"id": definition("Busy"), "systemPresence": "ignored"}}
    reply = await lab.call("PATCH", path(lab.user), json=busy)
    assert reply.json["presenceDefinition"]["systemPresence"] == "Busy"
    assert reply.json["modifiedDate"] == "2026-01-01T00:00:01.500Z"
    reply = await lab.call("PATCH", path(lab.user), json={"message": "lunch"})
    assert (reply.json["message"], reply.json["presenceDefinition"]["id"]) == (
        "lunch",
        definition("Busy"),
    )
    both = {"message": "", "presenceDefinition": {"id": definition("Away")}, "primary": True}
    reply = await lab.call("PATCH", path(lab.user), json=both)
    assert (reply.json["message"], reply.json["presenceDefinition"]["id"]) == (
        "",
        definition("Away"),
    )
    assert (await lab.call("GET", path(lab.user))).json == reply.json


async def test_ad_hoc_sources(open_lab: OpenLab, definition: Pick):
    """A source comes into being with a definition, in any case, and can become primary."""
    lab = await open_lab()
    body = {"presenceDefinition": {"id": definition("Meal")}, "primary": True}
    assert (await lab.call("PATCH", path(lab.user, "Lync"), json={"message": "x"})).status == 404
    reply = await lab.call("PATCH", path(lab.user, "Lync"), json=body)
    assert reply.json["source"] == "Lync"
    assert (await lab.call("GET", path(lab.user, "LYNC"))).json == reply.json
    assert lab.sim.organization.primary_source(lab.user).source_id == "Lync"


@pytest.mark.parametrize(
    "odd", ["a/b", "100%", "..", ".", "ü ß", "%2F", "a+b", "?#&=", "purecloud/"]
)
async def test_odd_ids_round_trip(open_lab: OpenLab, definition: Pick, odd: str):
    """Ids and source names with reserved characters reach the state unchanged."""
    lab = await open_lab()
    lab.sim.organization.add_user(odd)
    body = {"presenceDefinition": {"id": definition("Busy")}}
    reply = await lab.call("PATCH", path(odd, odd), json=body)
    assert (reply.status, reply.json["source"]) == (200, odd)
    assert lab.sim.organization.presence(odd, odd).definition_id == definition("Busy")
    assert reply.json["selfUri"] == f"/api/v2/users/{quote(odd, safe='')}/presences"


async def test_permission_for_others(open_lab: OpenLab):
    """One's own presence needs nothing, somebody else's the permission."""
    lab = await open_lab(permissions=())
    own = lab.sim.issue_token(user_id=lab.user)
    change = {"message": "x"}
    assert (await lab.call("PATCH", path(lab.user), json=change, token=own)).status == 200
    for token, user in ((own, lab.sim.user_ids[1]), (lab.token, lab.user)):
        reply = await lab.call("PATCH", path(user), json=change, token=token)
        assert (reply.status, reply.code) == (403, "missing.any.permissions")
        assert "[presence:userPresence:edit]" in reply.json["message"]
    assert (await lab.call("GET", path(lab.user), token=lab.token)).status == 200


@pytest.mark.parametrize("status", [400, 404])
async def test_unusable_definitions(open_lab: OpenLab, definition: Pick, status: int):
    """Unknown and deactivated definitions are refused with the status of the switch."""
    switches = Switches(unknown_definition_status=status, system_definition_edit="allow")
    lab = await open_lab(switches=switches)
    lab.sim.organization.definition_store.deactivate(definition("Meal"))
    for chosen in ("nope", definition("Meal")):
        body = {"presenceDefinition": {"id": chosen}}
        assert (await lab.call("PATCH", path(lab.user), json=body)).status == status


@pytest.mark.parametrize("policy", ["accept", "reject"])
async def test_empty_changes(open_lab: OpenLab, policy: str):
    """A body without a change is accepted and changes nothing, or is a 400."""
    lab = await open_lab(switches=Switches(empty_patch=policy))
    before = lab.sim.organization.presence(lab.user)
    lab.loop.advance(5)
    for body in ({}, {"primary": False}, {"message": None}):
        reply = await lab.call("PATCH", path(lab.user), json=body)
        assert reply.status == (200 if policy == "accept" else 400)
    assert lab.sim.organization.presence(lab.user) == before


async def test_strict_switches(open_lab: OpenLab, definition: Pick):
    """By switch primary false, nulls, long messages and read-only fields are 400."""
    switches = Switches(
        primary_false="reject", nulls="reject", message_limit=3, read_only_fields="reject"
    )
    lab = await open_lab(switches=switches)
    for body in (
        {"primary": False},
        {"message": None},
        {"message": "four"},
        {"message": "x", "selfUri": "/x"},
    ):
        assert (await lab.call("PATCH", path(lab.user), json=body)).code == "bad.request"
    assert (await lab.call("PATCH", path(lab.user), json={"message": "abc"})).status == 200


@pytest.mark.parametrize(
    "body",
    [
        [],
        "x",
        {"message": 1},
        {"primary": "true"},
        {"presenceDefinition": "x"},
        {"presenceDefinition": {}},
        {"presenceDefinition": {"id": 5}},
        {"presenceDefinition": {"id": ""}},
        {"id": 1},
        {"source": []},
        {"modifiedDate": "soon"},
    ],
)
async def test_wrong_types(open_lab: OpenLab, body: Any):
    """Wrong types anywhere are a 400, also in fields that do not matter."""
    lab = await open_lab()
    assert (await lab.call("PATCH", path(lab.user), json=body)).status == 400


@pytest.mark.parametrize("status", [400, 404])
async def test_registered_sources_are_not_supported(open_lab: OpenLab, status: int):
    """The id of a registered source on the ad hoc path is refused, by switch how."""
    lab = await open_lab(switches=Switches(registered_source_status=status))
    source = (await lab.call("POST", "/api/v2/presence/sources", json={"name": "x"})).json["id"]
    assert (await lab.call("GET", path(lab.user, source))).status == status
    assert (await lab.call("PATCH", path(lab.user, source), json={})).status == status
    assert (await lab.call("GET", path(lab.user, source.upper()))).status == status


async def test_on_queue_permission(open_lab: OpenLab, definition: Pick):
    """By switch On Queue needs its own permission."""
    lab = await open_lab(switches=Switches(on_queue_needs_permission=True))
    body = {"presenceDefinition": {"id": definition("OnQueue")}}
    assert (await lab.call("PATCH", path(lab.user), json=body)).status == 200
    token = lab.sim.issue_token(user_id=lab.user, permissions=())
    reply = await lab.call("PATCH", path(lab.user), json=body, token=token)
    assert (reply.status, reply.code) == (403, "missing.permissions")


async def test_me(open_lab: OpenLab):
    """By switch `me` is the user of the token, if it has one."""
    lab = await open_lab(switches=Switches(user_me=True))
    own = lab.sim.issue_token(user_id=lab.user)
    assert lab.user in (await lab.call("GET", path("me"), token=own)).json["selfUri"]
    assert (await lab.call("GET", path("me"))).status == 404


@pytest.mark.parametrize("status", [400, 404])
async def test_unknown_users_by_switch(open_lab: OpenLab, status: int):
    """A user nobody knows is refused with the status of the switch, reading and writing."""
    lab = await open_lab(switches=Switches(unknown_user_status=status))
    codes = {400: "bad.request", 404: "not.found"}
    for reply in (
        await lab.call("GET", path("nobody")),
        await lab.call("PATCH", path("nobody"), json={"message": "x"}),
    ):
        assert (reply.status, reply.code) == (status, codes[status])


async def ask_off_queue(lab: Lab, definition: Pick):
    """Put a user on the queue, let him ask for a meal, and return his token and the answer."""
    settings = {"requestingOffQueueEnabled": True}
    await lab.call("PUT", "/api/v2/presence/settings", json=settings)
    own = lab.sim.issue_token(user_id=lab.user, permissions=())
    for chosen in ("OnQueue", "Meal"):
        body = {"presenceDefinition": {"id": definition(chosen)}, "message": chosen}
        reply = await lab.call("PATCH", path(lab.user), json=body, token=own)
        assert reply.status == 200
    return own, reply.json


async def test_asking_to_leave_the_queue(open_lab: OpenLab, definition: Pick):
    """One stays On Queue and the wish shows, until somebody else's change grants it."""
    lab = await open_lab()
    own, asked = await ask_off_queue(lab, definition)
    assert asked["presenceDefinition"]["id"] == definition("OnQueue")
    assert asked["futurePresenceDefinition"] == {
        "id": definition("Meal"),
        "systemPresence": "Meal",
        "selfUri": f"/api/v2/presencedefinitions/{definition('Meal')}",
    }
    assert asked["message"] == "Meal"
    reply = await lab.call("PATCH", path(lab.user), json={"message": "soon"}, token=own)
    assert reply.json["futurePresenceDefinition"]["id"] == definition("Meal")
    granted = {"presenceDefinition": {"id": definition("Meal")}}
    reply = await lab.call("PATCH", path(lab.user), json=granted)
    assert reply.json["presenceDefinition"]["id"] == definition("Meal")
    assert "futurePresenceDefinition" not in reply.json


async def test_taking_the_wish_back(open_lab: OpenLab, definition: Pick):
    """Choosing On Queue again ends the request; the simulator itself can grant one."""
    lab = await open_lab()
    own, _ = await ask_off_queue(lab, definition)
    stay = {"presenceDefinition": {"id": definition("OnQueue")}}
    reply = await lab.call("PATCH", path(lab.user), json=stay, token=own)
    assert "futurePresenceDefinition" not in reply.json
    await ask_off_queue(lab, definition)
    granted = lab.sim.organization.set_presence(lab.user, definition("Meal"))
    assert (granted.definition_id, granted.future_definition_id) == (definition("Meal"), None)


async def test_asking_in_bulk(open_lab: OpenLab, definition: Pick):
    """Nobody grants himself the wish through the bulk write either."""
    lab = await open_lab()
    await ask_off_queue(lab, definition)
    item = {"id": lab.user, "presenceDefinition": {"id": definition("Meal")}}
    bulk = "/api/v2/users/presences/bulk"
    own = lab.sim.issue_token(user_id=lab.user)
    (asked,) = (await lab.call("PUT", bulk, json=[item], token=own)).json
    assert asked["presenceDefinition"]["id"] == definition("OnQueue")
    (granted,) = (await lab.call("PUT", bulk, json=[item])).json
    assert granted["presenceDefinition"]["id"] == definition("Meal")


async def test_leaving_the_queue_at_once(open_lab: OpenLab, definition: Pick):
    """By switch the setting changes nothing."""
    lab = await open_lab(switches=Switches(leaving_queue="at_once"))
    _, reply = await ask_off_queue(lab, definition)
    assert reply["presenceDefinition"]["id"] == definition("Meal")
    assert "futurePresenceDefinition" not in reply


GET = "/api/v2/users/presences/purecloud/bulk"
PUT = "/api/v2/users/presences/bulk"


def items(lab: Lab, definition_id: str, users: list[str] | None = None, **more: Any):
    """Return one item per user."""
    return [
        {"id": user, "presenceDefinition": {"id": definition_id}, **more}
        for user in (lab.sim.user_ids if users is None else users)
    ]


async def test_reading(open_lab: OpenLab):
    """The answer is an array of the recorded shape plus userId."""
    lab = await open_lab()
    reply = await lab.call("GET", f"{GET}?id={lab.user}")
    (entry,) = reply.json
    assert list(entry) == [
        "source", "presenceDefinition", "message", "modifiedDate", "selfUri", "userId",
    ]  # fmt: skip
    assert entry["userId"] == lab.user


@pytest.mark.parametrize("pattern", ["id={}&id={}", "id={},{}", "id={}%2C{}", "id={0},{1}&id={0}"])
async def test_array_styles(open_lab: OpenLab, pattern: str):
    """Ids are understood repeated and comma-joined, and answered once each."""
    lab = await open_lab()
    wanted = lab.sim.user_ids[:2]
    reply = await lab.call("GET", f"{GET}?{pattern.format(*wanted)}")
    assert [entry["userId"] for entry in reply.json] == list(wanted)


async def test_unknown_users(open_lab: OpenLab):
    """Unknown users are left out, or by switch the whole call is a 404."""
    lab = await open_lab()
    reply = await lab.call("GET", f"{GET}?id=nobody&id={lab.user}")
    assert len(reply.json) == 1
    strict = await open_lab(switches=Switches(bulk_get_unknown="reject"))
    reply = await strict.call("GET", f"{GET}?id=nobody&id={strict.user}")
    assert (reply.status, reply.code) == (404, "not.found")


@pytest.mark.parametrize(
    ("policy", "answered"), [("reject", None), ("truncate", 50), ("accept", 51)]
)
async def test_more_than_fifty_ids(open_lab: OpenLab, policy: str, answered: int | None):
    """Fifty ids are fine; one more is a 400, cut or answered, by switch."""
    lab = await open_lab(users=51, switches=Switches(bulk_get_over_limit=policy))
    ids = lab.sim.user_ids
    assert len((await lab.call("GET", f"{GET}?id={','.join(ids[:50])}")).json) == 50
    reply = await lab.call("GET", f"{GET}?id={','.join(ids)}")
    if answered is None:
        assert (reply.status, reply.code) == (400, "bad.request")
    else:
        assert len(reply.json) == answered


async def test_no_ids(open_lab: OpenLab):
    """Without ids the call is a 400, or by switch an empty array."""
    lab = await open_lab()
    assert (await lab.call("GET", GET)).code == "bad.request"
    lenient = await open_lab(switches=Switches(bulk_get_no_ids="empty"))
    assert (await lenient.call("GET", f"{GET}?id=")).json == []


async def test_other_sources(open_lab: OpenLab, definition: Pick):
    """Other sources show who has them, registered ones by sourceId; by switch none exist."""
    lab = await open_lab()
    source = (await lab.call("POST", "/api/v2/presence/sources", json={"name": "x"})).json["id"]
    first, second, _ = lab.sim.user_ids
    lab.sim.organization.set_presence(first, definition("Busy"), source="LYNC")
    lab.sim.organization.set_presence(second, definition("Meal"), source=source)
    query = "?id=" + ",".join(lab.sim.user_ids)
    (lync,) = (await lab.call("GET", f"/api/v2/users/presences/lync/bulk{query}")).json
    assert (lync["userId"], lync["source"]) == (first, "LYNC")
    (other,) = (await lab.call("GET", f"/api/v2/users/presences/{source}/bulk{query}")).json
    assert (other["userId"], other["sourceId"]) == (second, source)
    strict = await open_lab(switches=Switches(bulk_other_sources=False))
    reply = await strict.call("GET", f"/api/v2/users/presences/LYNC/bulk{query}")
    assert (reply.status, reply.code) == (404, "not.found")
    assert (
        await strict.call("GET", f"/api/v2/users/presences/PURECLOUD/bulk{query}")
    ).status == 200


async def test_writing(open_lab: OpenLab, definition: Pick):
    """Each item changes its user, and the answer shows all of them in order."""
    lab = await open_lab()
    body = items(lab, definition("Meal"), source="PURECLOUD", message="m")
    body[0]["primary"] = True
    reply = await lab.call("PUT", PUT, json=body)
    assert reply.status == 200
    assert [one["selfUri"] for one in reply.json] == [
        f"/api/v2/users/{user}/presences" for user in lab.sim.user_ids
    ]
    for user in lab.sim.user_ids:
        presence = lab.sim.organization.presence(user)
        assert (presence.definition_id, presence.message) == (definition("Meal"), "m")


async def test_writing_other_sources(open_lab: OpenLab, definition: Pick):
    """Items name a source by name or registered id; deactivated ones are refused."""
    lab = await open_lab()
    source = (await lab.call("POST", "/api/v2/presence/sources", json={"name": "x"})).json["id"]
    by_name = items(lab, definition("Meal"), [lab.user], source="Lync")
    by_id = items(lab, definition("Busy"), [lab.user], sourceId=source)
    reply = await lab.call("PUT", PUT, json=by_name + by_id)
    assert [one.get("source", one.get("sourceId")) for one in reply.json] == ["Lync", source]
    await lab.call("DELETE", f"/api/v2/presence/sources/{source}")
    assert (await lab.call("PUT", PUT, json=by_id)).code == "bad.request"


async def test_first_bad_item_fails_the_call(open_lab: OpenLab, definition: Pick):
    """One bad item fails everything, and nothing has changed."""
    lab = await open_lab()
    good = items(lab, definition("Meal"), [lab.user])
    for bad, status in (
        ({"id": "nobody"}, 404),
        ({"id": lab.user, "presenceDefinition": {"id": "nope"}}, 400),
        ({"presenceDefinition": {"id": definition("Meal")}}, 400),
        ({"id": lab.user, "source": "LYNC", "message": "x"}, 404),
        ("text", 400),
    ):
        assert (await lab.call("PUT", PUT, json=[*good, bad])).status == status
    assert lab.sim.organization.presence(lab.user).definition_id == definition("Available")


async def test_partial_writes(open_lab: OpenLab, definition: Pick):
    """By switch bad items are left out of the answer and the others change."""
    lab = await open_lab(switches=Switches(bulk_put_partial=True))
    body = items(lab, definition("Meal"), ["nobody", lab.user])
    reply = await lab.call("PUT", PUT, json=body)
    assert [one["selfUri"] for one in reply.json] == [f"/api/v2/users/{lab.user}/presences"]
    assert lab.sim.organization.presence(lab.user).definition_id == definition("Meal")


async def test_item_limit(open_lab: OpenLab, definition: Pick):
    """Fifty items are fine, one more is a 400, and by switch there is no limit."""
    lab = await open_lab(users=51)
    body = items(lab, definition("Meal"))
    assert len((await lab.call("PUT", PUT, json=body[:50])).json) == 50
    assert (await lab.call("PUT", PUT, json=body)).code == "bad.request"
    lenient = await open_lab(users=51, switches=Switches(bulk_put_limit=None))
    assert len((await lenient.call("PUT", PUT, json=body)).json) == 51


async def test_items_without_id(open_lab: OpenLab):
    """By switch an item without id means the user of the token; without changes it reads."""
    lab = await open_lab(switches=Switches(bulk_put_id_required=False))
    own = lab.sim.issue_token(user_id=lab.user)
    reply = await lab.call("PUT", PUT, json=[{}], token=own)
    assert reply.json[0]["selfUri"] == f"/api/v2/users/{lab.user}/presences"
    assert (await lab.call("PUT", PUT, json=[{}])).code == "bad.request"


async def test_body_and_permission(open_lab: OpenLab):
    """The body is an array, and the permission is needed even for oneself."""
    lab = await open_lab()
    assert (await lab.call("PUT", PUT, json={})).code == "bad.request"
    assert (await lab.call("PUT", PUT, json=[])).json == []
    token = lab.sim.issue_token(user_id=lab.user, permissions=())
    assert (await lab.call("PUT", PUT, json=[], token=token)).code == "missing.any.permissions"


def teams(user: str):
    """Return the Teams path of a user."""
    return f"/api/v2/users/{user}/presences/microsoftteams"


async def test_the_path_is_gone(open_lab: OpenLab):
    """Today it is a source nobody has written."""
    lab = await open_lab()
    assert (await lab.call("GET", teams(lab.user))).code == "not.found"


async def test_the_path_by_switch(open_lab: OpenLab, definition: Pick):
    """By switch it shows all presences of the user."""
    lab = await open_lab(switches=Switches(microsoft_teams_route=True))
    lab.sim.organization.set_presence(lab.user, definition("Busy"), source="MicrosoftTeams")
    reply = await lab.call("GET", teams(lab.user))
    assert set(reply.json) == {"id", "presences", "outOfOffices", "selfUri"}
    assert [one["source"] for one in reply.json["presences"]] == ["PURECLOUD", "MicrosoftTeams"]
    assert (await lab.call("GET", teams("nobody"))).status == 404
    body = {"message": "x"}
    assert (await lab.call("PATCH", teams(lab.user), json=body)).status == 200


async def test_both_permissions_are_needed(open_lab: OpenLab):
    """One of the two permissions is not enough."""
    lab = await open_lab(switches=Switches(microsoft_teams_route=True))
    token = lab.sim.issue_token(permissions=["integration:microsoftTeams:view"])
    reply = await lab.call("GET", teams(lab.user), token=token)
    assert (reply.status, reply.code) == (403, "missing.permissions")
    assert "integrations:integration:view" in reply.json["message"]
