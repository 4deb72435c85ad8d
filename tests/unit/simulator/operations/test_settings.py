"""The presence settings over the wire."""

from typing import Any

import pytest
from unit.simulator.lab import OpenLab

PATH = "/api/v2/presence/settings"
RESTORE = {"enabled": True, "restoreTimeMilliseconds": 120000, "restoreOnQueueEnabled": True}


async def test_reading_and_changing(open_lab: OpenLab):
    """Settings start at one minute; a put changes what it names and keeps the rest."""
    lab = await open_lab()
    before = (await lab.call("GET", PATH)).json
    assert before["restorePresenceSettings"]["restoreTimeMilliseconds"] == 60000
    assert (await lab.call("PUT", PATH, json=before)).json == before
    reply = await lab.call("PUT", PATH, json={"restorePresenceSettings": RESTORE})
    assert reply.json == {**before, "restorePresenceSettings": RESTORE}
    reply = await lab.call("PUT", PATH, json={"requestingOffQueueEnabled": True})
    assert reply.json["requestingOffQueueEnabled"] is True
    assert (await lab.call("GET", PATH)).json == reply.json


async def test_default_source(open_lab: OpenLab):
    """A registered source becomes everybody's default, an empty text takes it back."""
    lab = await open_lab()
    source = (await lab.call("POST", "/api/v2/presence/sources", json={"name": "x"})).json["id"]
    name = "defaultPrimaryPresenceRegisteredSourceId"
    assert (await lab.call("PUT", PATH, json={name: source})).json[name] == source
    primary = f"/api/v2/presence/users/{lab.user}/primarysource"
    assert (await lab.call("GET", primary)).json["sourceId"] == source
    assert (await lab.call("PUT", PATH, json={})).json[name] == source
    assert name not in (await lab.call("PUT", PATH, json={name: ""})).json
    await lab.call("DELETE", f"/api/v2/presence/sources/{source}")
    for bad in (source, "nope"):
        assert (await lab.call("PUT", PATH, json={name: bad})).code == "invalid.value"


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
    reply = await lab.call("PUT", PATH, json={"restorePresenceSettings": body})
    assert reply.status == 400


async def test_permissions(open_lab: OpenLab):
    """Reading and changing need their permissions."""
    lab = await open_lab()
    token = lab.sim.issue_token(permissions=())
    for method, body in (("GET", None), ("PUT", b"{}")):
        reply = await lab.call(method, PATH, body=body, token=token)
        assert (reply.status, reply.code) == (403, "missing.permissions")
