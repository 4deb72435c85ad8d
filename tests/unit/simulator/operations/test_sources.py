"""Registered sources, primary sources and settings over the wire."""

from typing import Any

import pytest
from unit.simulator.lab import OpenLab

LIST = "/api/v2/presence/sources"


async def test_life_of_a_source(open_lab: OpenLab):
    """Created, listed, changed, deactivated by delete and still readable."""
    lab = await open_lab()
    reply = await lab.call("POST", LIST, json={"name": "PBX", "description": "d"})
    assert reply.status == 200
    one = f"{LIST}/{reply.json['id']}"
    assert (await lab.call("GET", one)).json == reply.json
    listing = await lab.call("GET", LIST)
    assert listing.json == {"total": 1, "entities": [reply.json], "selfUri": LIST}
    assert (await lab.call("PUT", one, json={"name": "PBX 2"})).json["name"] == "PBX 2"
    assert (await lab.call("DELETE", one)).status == 204
    assert (await lab.call("GET", one)).json["deactivated"] is True
    assert (await lab.call("GET", LIST)).json["total"] == 0
    assert (await lab.call("GET", f"{LIST}?deactivated=TRUE")).json["total"] == 1


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 1}, {"name": "x", "type": 1}, []])
async def test_bad_sources(open_lab: OpenLab, body: Any):
    """A name is required and types are checked."""
    lab = await open_lab()
    assert (await lab.call("POST", LIST, json=body)).status == 400


async def test_unknown_sources(open_lab: OpenLab):
    """An id nobody knows is a 404 in all three calls."""
    lab = await open_lab()
    for method, body in (("GET", None), ("PUT", b'{"name":"x"}'), ("DELETE", None)):
        assert (await lab.call(method, f"{LIST}/nope", body=body)).code == "not.found"


async def test_permissions(open_lab: OpenLab):
    """Each call needs its permission; deleting is content with the one for editing."""
    lab = await open_lab()
    one = f"{LIST}/{(await lab.call('POST', LIST, json={'name': 'x'})).json['id']}"
    token = lab.sim.issue_token(permissions=())
    for method, target in (("GET", LIST), ("POST", LIST), ("GET", one), ("PUT", one)):
        body = b"{}" if method in {"POST", "PUT"} else None
        reply = await lab.call(method, target, body=body, token=token)
        assert (reply.status, reply.code) == (403, "missing.permissions")
    assert (await lab.call("DELETE", one, token=token)).code == "missing.any.permissions"
    editor = lab.sim.issue_token(permissions=["presence:source:edit"])
    assert (await lab.call("DELETE", one, token=editor)).status == 204


def primary(user: str):
    """Return the path of a user's primary source."""
    return f"/api/v2/presence/users/{user}/primarysource"


async def test_reading_and_choosing(open_lab: OpenLab):
    """Purecloud is primary until another source, ad hoc or registered, is chosen."""
    lab = await open_lab()
    reply = await lab.call("GET", primary(lab.user))
    assert reply.json == {
        "sourceId": "PURECLOUD",
        "registered": False,
        "selfUri": primary(lab.user),
    }
    reply = await lab.call("PUT", primary(lab.user), json={"sourceId": "LYNC"})
    assert (reply.json["sourceId"], reply.json["registered"]) == ("LYNC", False)
    source = (await lab.call("POST", "/api/v2/presence/sources", json={"name": "x"})).json["id"]
    body = {"sourceId": source, "registered": True}
    assert (await lab.call("PUT", primary(lab.user), json=body)).json["registered"] is True
    await lab.call("DELETE", f"/api/v2/presence/sources/{source}")
    assert (await lab.call("PUT", primary(lab.user), json=body)).code == "bad.request"


@pytest.mark.parametrize(
    "body", [{}, {"sourceId": 1}, {"sourceId": "LYNC", "registered": True}, {"sourceId": " "}, []]
)
async def test_bad_choices(open_lab: OpenLab, body: Any):
    """A missing source, wrong types and a wrong kind of source are 400."""
    lab = await open_lab()
    assert (await lab.call("PUT", primary(lab.user), json=body)).status == 400


async def test_unknown_users_and_permissions(open_lab: OpenLab):
    """Unknown users are 404, and both calls need their permission."""
    lab = await open_lab()
    assert (await lab.call("GET", primary("nobody"))).status == 404
    assert (await lab.call("PUT", primary("nobody"), json={"sourceId": "x"})).status == 404
    token = lab.sim.issue_token(user_id=lab.user, permissions=())
    for method, body in (("GET", None), ("PUT", b"{}")):
        reply = await lab.call(method, primary(lab.user), body=body, token=token)
        assert (reply.status, reply.code) == (403, "missing.permissions")


SETTINGS = "/api/v2/presence/settings"
RESTORE = {"enabled": True, "restoreTimeMilliseconds": 120000, "restoreOnQueueEnabled": True}


async def test_reading_and_changing(open_lab: OpenLab):
    """Settings start at one minute; a put changes what it names and keeps the rest."""
    lab = await open_lab()
    before = (await lab.call("GET", SETTINGS)).json
    assert before["restorePresenceSettings"]["restoreTimeMilliseconds"] == 60000
    assert (await lab.call("PUT", SETTINGS, json=before)).json == before
    reply = await lab.call("PUT", SETTINGS, json={"restorePresenceSettings": RESTORE})
    assert reply.json == {**before, "restorePresenceSettings": RESTORE}
    reply = await lab.call("PUT", SETTINGS, json={"requestingOffQueueEnabled": True})
    assert reply.json["requestingOffQueueEnabled"] is True
    assert (await lab.call("GET", SETTINGS)).json == reply.json


async def test_default_source(open_lab: OpenLab):
    """A registered source becomes everybody's default, an empty text takes it back."""
    lab = await open_lab()
    source = (await lab.call("POST", "/api/v2/presence/sources", json={"name": "x"})).json["id"]
    name = "defaultPrimaryPresenceRegisteredSourceId"
    assert (await lab.call("PUT", SETTINGS, json={name: source})).json[name] == source
    primary = f"/api/v2/presence/users/{lab.user}/primarysource"
    assert (await lab.call("GET", primary)).json["sourceId"] == source
    assert (await lab.call("PUT", SETTINGS, json={})).json[name] == source
    assert name not in (await lab.call("PUT", SETTINGS, json={name: ""})).json
    await lab.call("DELETE", f"/api/v2/presence/sources/{source}")
    for bad in (source, "nope"):
        assert (await lab.call("PUT", SETTINGS, json={name: bad})).code == "invalid.value"


@pytest.mark.parametrize(
    "change",
    [
        {"enabled": None},
        {"restoreTimeMilliseconds": 59_999},
        {"restoreTimeMilliseconds": 86_400_001},
        {"restoreTimeMilliseconds": 2**80},
        {"restoreTimeMilliseconds": "1"},
        {"restoreOnQueueEnabled": 1},
    ],
)
async def test_bad_settings(open_lab: OpenLab, change: dict[str, Any]):
    """All three restore fields are required, in type and range."""
    lab = await open_lab()
    body = {**RESTORE, **{k: float(v) if v == 2**80 else v for k, v in change.items()}}
    reply = await lab.call("PUT", SETTINGS, json={"restorePresenceSettings": body})
    assert reply.status == 400


async def test_permissions_of_settings(open_lab: OpenLab):
    """Reading and changing need their permissions."""
    lab = await open_lab()
    token = lab.sim.issue_token(permissions=())
    for method, body in (("GET", None), ("PUT", b"{}")):
        reply = await lab.call(method, SETTINGS, body=body, token=token)
        assert (reply.status, reply.code) == (403, "missing.permissions")
