"""The primary source over the wire."""

from typing import Any

import pytest
from unit.simulator.lab import OpenLab


def path(user: str):
    """Return the path of a user's primary source."""
    return f"/api/v2/presence/users/{user}/primarysource"


async def test_reading_and_choosing(open_lab: OpenLab):
    """Purecloud is primary until another source, ad hoc or registered, is chosen."""
    lab = await open_lab()
    reply = await lab.call("GET", path(lab.user))
    assert reply.json == {
        "sourceId": "PURECLOUD",
        "registered": False,
        "selfUri": path(lab.user),
    }
    reply = await lab.call("PUT", path(lab.user), json={"sourceId": "LYNC"})
    assert (reply.json["sourceId"], reply.json["registered"]) == ("LYNC", False)
    source = (await lab.call("POST", "/api/v2/presence/sources", json={"name": "x"})).json["id"]
    body = {"sourceId": source, "registered": True}
    assert (await lab.call("PUT", path(lab.user), json=body)).json["registered"] is True
    await lab.call("DELETE", f"/api/v2/presence/sources/{source}")
    assert (await lab.call("PUT", path(lab.user), json=body)).code == "bad.request"


@pytest.mark.parametrize(
    "body", [{}, {"sourceId": 1}, {"sourceId": "LYNC", "registered": True}, {"sourceId": " "}, []]
)
async def test_bad_choices(open_lab: OpenLab, body: Any):
    """A missing source, wrong types and a wrong kind of source are 400."""
    lab = await open_lab()
    assert (await lab.call("PUT", path(lab.user), json=body)).status == 400


async def test_unknown_users_and_permissions(open_lab: OpenLab):
    """Unknown users are 404, and both calls need their permission."""
    lab = await open_lab()
    assert (await lab.call("GET", path("nobody"))).status == 404
    assert (await lab.call("PUT", path("nobody"), json={"sourceId": "x"})).status == 404
    token = lab.sim.issue_token(user_id=lab.user, permissions=())
    for method, body in (("GET", None), ("PUT", b"{}")):
        reply = await lab.call(method, path(lab.user), body=body, token=token)
        assert (reply.status, reply.code) == (403, "missing.permissions")
