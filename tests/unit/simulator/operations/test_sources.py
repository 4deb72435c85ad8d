"""Registered sources over the wire."""

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
