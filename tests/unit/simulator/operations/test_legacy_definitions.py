"""The deprecated definition family over the wire."""

import pytest
from unit.simulator.lab import OpenLab

from presence_async.simulator import BUILT_IN_IDS, Switches

LIST = "/api/v2/presencedefinitions"
LUNCH = {"languageLabels": {"en_US": "Lunch"}, "systemPresence": "On Queue"}


async def test_recorded_page(open_lab: OpenLab):
    """The page has the recorded fields, no links, and sparse items."""
    lab = await open_lab()
    reply = await lab.call("GET", LIST)
    page = reply.json
    assert set(page) == {"entities", "pageSize", "pageNumber", "total", "pageCount"}
    assert (page["pageSize"], page["pageNumber"], page["total"], page["pageCount"]) == (
        25, 1, 10, 1,
    )  # fmt: skip
    assert {tuple(entity) for entity in page["entities"]} == {
        ("id", "languageLabels", "systemPresence", "deactivated", "primary")
    }
    assert "On Queue" in {entity["systemPresence"] for entity in page["entities"]}


async def test_paging(open_lab: OpenLab):
    """Pages are cut by number and size, also beyond the end; sizes have a maximum."""
    switches = Switches(legacy_default_page_size=4, legacy_max_page_size=6, legacy_links=True)
    lab = await open_lab(switches=switches)
    sizes = []
    for number in (1, 2, 3, 4):
        page = (await lab.call("GET", f"{LIST}?pageNumber={number}")).json
        sizes.append(len(page["entities"]))
    assert sizes == [4, 4, 2, 0]
    assert page["pageCount"] == 3
    assert page["previousUri"] == f"{LIST}?pageSize=4&pageNumber=3"
    for query in ("pageSize=7", "pageSize=0", "pageNumber=x"):
        assert (await lab.call("GET", f"{LIST}?{query}")).status == 400


async def test_one_store_behind_both_families(open_lab: OpenLab):
    """What one family creates the other shows, spelled its own way."""
    lab = await open_lab()
    reply = await lab.call("POST", LIST, json={**LUNCH, "primary": False})
    assert reply.status == 200
    record = reply.json
    assert (record["systemPresence"], record["primary"]) == ("On Queue", False)
    current = f"/api/v2/presence/definitions/{record['id']}"
    assert (await lab.call("GET", current)).json["systemPresence"] == "OnQueue"
    one = f"{LIST}/{record['id']}"
    changed = {**LUNCH, "languageLabels": {"en_US": "x", "de": "y"}}
    assert (await lab.call("PUT", one, json=changed)).json["languageLabels"] == {
        "en_US": "x", "de": "y",
    }  # fmt: skip
    reply = await lab.call("GET", f"{one}?localeCode=de")
    assert reply.json["languageLabels"] == {"de": "y"}


@pytest.mark.parametrize(
    ("style", "status", "has_body"),
    [("no_content", 204, False), ("body", 200, True), ("empty", 200, False)],
)
async def test_deleting(open_lab: OpenLab, style: str, status: int, *, has_body: bool):
    """Deleting deactivates; status and body are a switch; the filter knows ALL."""
    lab = await open_lab(switches=Switches(legacy_delete=style))
    record = (await lab.call("POST", LIST, json=LUNCH)).json
    reply = await lab.call("DELETE", f"{LIST}/{record['id']}")
    assert (reply.status, bool(reply.body)) == (status, has_body)
    for flag, total in (("false", 10), ("TRUE", 1), ("True", 1), ("ALL", 11), ("all", 11)):
        page = (await lab.call("GET", f"{LIST}?deleted={flag}")).json
        assert page["total"] == total


async def test_permissions(open_lab: OpenLab):
    """The list needs nothing, the rest its own permission, and records have divisions."""
    lab = await open_lab()
    one = f"{LIST}/{BUILT_IN_IDS['Meal']}"
    token = lab.sim.issue_token(permissions=["presence:presenceDefinition:edit"])
    assert (await lab.call("GET", LIST, token=token)).status == 200
    for method, target in (("GET", one), ("POST", LIST), ("DELETE", one)):
        body = b"{}" if method == "POST" else None
        reply = await lab.call(method, target, body=body, token=token)
        assert (reply.status, reply.code) == (403, "missing.permissions")
    lab.sim.add_client("narrow", "s", divisions=[])
    body = {**LUNCH, "divisionId": "d1"}
    record = (await lab.call("POST", LIST, json=body)).json
    reply = await lab.call("GET", f"{LIST}/{record['id']}", token=lab.sim.issue_token("narrow"))
    assert reply.code == "missing.division.permission"


async def test_families_with_records_of_their_own(open_lab: OpenLab):
    """By switch a definition is seen only in the family it was made in, and used in both."""
    lab = await open_lab(switches=Switches(shared_definitions=False))
    current = "/api/v2/presence/definitions"
    for made_in, other in ((LIST, current), (current, LIST)):
        one = (await lab.call("POST", made_in, json=LUNCH)).json["id"]
        for family, there in ((made_in, True), (other, False)):
            listed = (await lab.call("GET", family)).json["entities"]
            assert (one in [entity["id"] for entity in listed]) is there
            assert set(BUILT_IN_IDS.values()) <= {entity["id"] for entity in listed}
            status = 200 if there else 404
            assert (await lab.call("GET", f"{family}/{one}")).status == status
            assert (await lab.call("PUT", f"{family}/{one}", json=LUNCH)).status == status
        assert (await lab.call("DELETE", f"{other}/{one}")).status == 404
        body = {"presenceDefinition": {"id": one}}
        target = f"/api/v2/users/{lab.user}/presences/purecloud"
        assert (await lab.call("PATCH", target, json=body)).status == 200
    own = lab.sim.issue_token(user_id=lab.user)
    expand = "expand=presencedefinitions,divisionedpresencedefinitions"
    me = (await lab.call("GET", f"/api/v2/users/me?{expand}", token=own)).json
    assert len(me["presenceDefinitions"]) == len(me["divisionedPresenceDefinitions"]) == 11


async def test_divisions_that_are_not_granted(open_lab: OpenLab):
    """Neither family puts a definition into a division where the permission is not granted."""
    lab = await open_lab()
    lab.sim.add_client("narrow", "s", divisions=["d1"])
    token = lab.sim.issue_token("narrow")
    inside, outside = {**LUNCH, "divisionId": "d1"}, {**LUNCH, "divisionId": "d2"}
    for family in (LIST, "/api/v2/presence/definitions"):
        made = await lab.call("POST", family, json=inside, token=token)
        one = f"{family}/{made.json['id']}"
        for method, target in (("POST", family), ("PUT", one)):
            reply = await lab.call(method, target, json=outside, token=token)
            assert (reply.status, reply.code) == (403, "missing.division.permission")
        assert (await lab.call("PUT", one, json=inside, token=token)).status == 200
