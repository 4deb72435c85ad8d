"""Presences of many users over the wire."""

from typing import Any

import pytest
from unit.simulator.lab import Lab, OpenLab, Pick

from presence_async.simulator import Switches

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
