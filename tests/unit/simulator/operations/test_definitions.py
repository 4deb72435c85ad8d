"""Both definition families over the wire."""

from typing import Any

import pytest
from unit.simulator.lab import Lab, OpenLab

from presence_async.simulator import BUILT_IN_IDS, Switches

LIST = "/api/v2/presence/definitions"
LUNCH = {"languageLabels": {"en_US": "Lunch", "fr": "Repas"}, "systemPresence": "Meal"}


async def create(lab: Lab, **more: Any):
    """Create a definition and return it."""
    return (await lab.call("POST", LIST, json={**LUNCH, **more})).json


async def test_listing(open_lab: OpenLab):
    """The listing has a total and a link and is never paged."""
    lab = await open_lab()
    reply = await lab.call("GET", LIST)
    assert set(reply.json) == {"total", "entities", "selfUri"}
    assert reply.json["total"] == len(reply.json["entities"]) == 10
    assert reply.json["selfUri"] == LIST
    assert {entity["systemPresence"] for entity in reply.json["entities"]} == set(BUILT_IN_IDS)


async def test_life_of_a_definition(open_lab: OpenLab):
    """Created with 201, changed, deactivated by delete, still readable, revived by put."""
    lab = await open_lab()
    reply = await lab.call("POST", LIST, json=LUNCH)
    assert reply.status == 201
    record = reply.json
    assert (record["type"], record["divisionId"]) == ("User", "*")
    assert record["languageLabels"] == LUNCH["languageLabels"]
    one = f"{LIST}/{record['id']}"
    changed = {**LUNCH, "languageLabels": {"en_US": "Dinner"}, "name": "n"}
    assert (await lab.call("PUT", one, json=changed)).json["name"] == "n"
    reply = await lab.call("DELETE", one)
    assert (reply.status, reply.body) == (204, b"")
    assert (await lab.call("GET", one)).json["deactivated"] is True
    for query, there in (("", False), ("?deactivated=TRUE", True), ("?deactivated=true", True)):
        entities = (await lab.call("GET", LIST + query)).json["entities"]
        assert (record["id"] in [entity["id"] for entity in entities]) is there
    revived = await lab.call("PUT", one, json={**changed, "deactivated": False})
    assert revived.json["deactivated"] is False


async def test_created_status_switch(open_lab: OpenLab):
    """By switch a creation answers 200."""
    lab = await open_lab(switches=Switches(definition_created_status=200))
    assert (await lab.call("POST", LIST, json=LUNCH)).status == 200


async def test_deactivated_all(open_lab: OpenLab):
    """ALL is not understood here, unless the switch says so."""
    lab = await open_lab()
    assert (await lab.call("GET", f"{LIST}?deactivated=ALL")).code == "invalid.value"
    lenient = await open_lab(switches=Switches(deactivated_all=True))
    assert (await lenient.call("GET", f"{LIST}?deactivated=all")).json["total"] == 10


async def test_locale_code(open_lab: OpenLab):
    """A locale narrows the labels in list and record, ALL shows all, others are 400."""
    lab = await open_lab()
    record = await create(lab)
    one = f"{LIST}/{record['id']}"
    for query, labels in (
        ("", {"en_US": "Lunch"}),
        ("?localeCode=fr", {"fr": "Repas"}),
        ("?localeCode=ALL", LUNCH["languageLabels"]),
    ):
        assert (await lab.call("GET", one + query)).json["languageLabels"] == labels
        entities = (await lab.call("GET", LIST + query)).json["entities"]
        assert entities[-1]["languageLabels"] == labels
    assert (await lab.call("GET", f"{one}?localeCode=xx")).code == "invalid.value"


async def test_divisions(open_lab: OpenLab):
    """The division filter takes both array styles, and * means all."""
    lab = await open_lab()
    for division in ("d1", "d2"):
        await create(lab, divisionId=division)
    for query, divisions in (
        ("divisionId=d1", {"d1"}),
        ("divisionId=d1&divisionId=d2", {"d1", "d2"}),
        ("divisionId=d1%2Cd2", {"d1", "d2"}),
        ("divisionId=*", {"d1", "d2", "*"}),
        ("", {"d1", "d2", "*"}),
    ):
        entities = (await lab.call("GET", f"{LIST}?{query}")).json["entities"]
        assert {entity["divisionId"] for entity in entities} == divisions


async def test_division_permissions(open_lab: OpenLab):
    """Definitions of divisions that are not granted are hidden, or refused by name."""
    lab = await open_lab()
    record = await create(lab, divisionId="d1")
    one = f"{LIST}/{record['id']}"
    lab.sim.add_client("narrow", "s", divisions=["d2"])
    token = lab.sim.issue_token("narrow")
    assert (await lab.call("GET", LIST, token=token)).json["total"] == 10
    for method, target, body in (
        ("GET", f"{LIST}?divisionId=d1", None),
        ("GET", one, None),
        ("PUT", one, LUNCH),
        ("DELETE", one, None),
        ("POST", LIST, {**LUNCH, "divisionId": "d1"}),
    ):
        more = {} if body is None else {"json": body}
        reply = await lab.call(method, target, token=token, **more)
        assert (reply.status, reply.code) == (403, "missing.division.permission")
    allowed = {**LUNCH, "divisionId": "d2"}
    assert (await lab.call("POST", LIST, json=allowed, token=token)).status == 201


async def test_permissions(open_lab: OpenLab):
    """The list works without permission for unbound records; the rest needs its own."""
    lab = await open_lab()
    record = await create(lab, divisionId="d1")
    one = f"{LIST}/{record['id']}"
    token = lab.sim.issue_token(permissions=())
    assert (await lab.call("GET", LIST, token=token)).json["total"] == 10
    reply = await lab.call("GET", f"{LIST}?divisionId=d1", token=token)
    assert reply.code == "missing.division.permission"
    for method, target, code in (
        ("GET", one, "missing.permissions"),
        ("POST", LIST, "missing.permissions"),
        ("PUT", one, "missing.permissions"),
        ("DELETE", one, "missing.any.permissions"),
    ):
        body = b"{}" if method in {"POST", "PUT"} else None
        reply = await lab.call(method, target, body=body, token=token)
        assert (reply.status, reply.code) == (403, code)
    editor = lab.sim.issue_token(permissions=["presence:presenceDefinition:edit"])
    assert (await lab.call("DELETE", one, token=editor)).status == 204


@pytest.mark.parametrize(
    "change",
    [
        {"languageLabels": None},
        {"languageLabels": {}},
        {"systemPresence": None},
        {"systemPresence": "Sleeping"},
        {"type": "System"},
        {"deactivated": "no"},
        {"divisionId": 1},
    ],
)
async def test_bad_definitions(open_lab: OpenLab, change: dict[str, Any]):
    """Missing labels, an unknown system presence and wrong types are 400."""
    lab = await open_lab()
    assert (await lab.call("POST", LIST, json={**LUNCH, **change})).status == 400


async def test_system_definitions_are_fixed(open_lab: OpenLab):
    """Built-in definitions can be neither changed nor deleted."""
    lab = await open_lab()
    one = f"{LIST}/{BUILT_IN_IDS['Meal']}"
    assert (await lab.call("PUT", one, json=LUNCH)).code == "bad.request"
    assert (await lab.call("DELETE", one)).code == "bad.request"
    assert (await lab.call("GET", f"{LIST}/nope")).code == "not.found"


async def test_read_lag(open_lab: OpenLab):
    """By switch a new definition is a 404 for a moment."""
    lab = await open_lab(switches=Switches(definition_read_lag=2))
    one = f"{LIST}/{(await create(lab))['id']}"
    assert (await lab.call("GET", one)).status == 404
    lab.loop.advance(2)
    assert (await lab.call("GET", one)).status == 200


async def test_system_presences(open_lab: OpenLab):
    """There are ten names in upper snake case; ids and links come by switch."""
    lab = await open_lab()
    reply = await lab.call("GET", "/api/v2/systempresences")
    assert {"name": "ON_QUEUE"} in reply.json
    assert len(reply.json) == 10
    rich = await open_lab(switches=Switches(system_presence_ids=True))
    first = (await rich.call("GET", "/api/v2/systempresences")).json[0]
    assert set(first) == {"id", "name", "selfUri"}


async def test_order_of_system_presences(open_lab: OpenLab):
    """They come in the order of the built-in definitions, or by name."""
    for order, names in (("usual", list(BUILT_IN_IDS)), ("by_name", sorted(BUILT_IN_IDS))):
        lab = await open_lab(switches=Switches(system_presence_order=order))
        listed = [one["name"] for one in (await lab.call("GET", "/api/v2/systempresences")).json]
        assert listed == [name.upper().replace("ONQUEUE", "ON_QUEUE") for name in names]


LEGACY = "/api/v2/presencedefinitions"
ON_QUEUE_LUNCH = {"languageLabels": {"en_US": "Lunch"}, "systemPresence": "On Queue"}


async def test_recorded_page(open_lab: OpenLab):
    """The page has the recorded fields, no links, and sparse items."""
    lab = await open_lab()
    reply = await lab.call("GET", LEGACY)
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
        page = (await lab.call("GET", f"{LEGACY}?pageNumber={number}")).json
        sizes.append(len(page["entities"]))
    assert sizes == [4, 4, 2, 0]
    assert page["pageCount"] == 3
    assert page["previousUri"] == f"{LEGACY}?pageSize=4&pageNumber=3"
    for query in ("pageSize=7", "pageSize=0", "pageNumber=x"):
        assert (await lab.call("GET", f"{LEGACY}?{query}")).status == 400


async def test_one_store_behind_both_families(open_lab: OpenLab):
    """What one family creates the other shows, spelled its own way."""
    lab = await open_lab()
    reply = await lab.call("POST", LEGACY, json={**ON_QUEUE_LUNCH, "primary": False})
    assert reply.status == 200
    record = reply.json
    assert (record["systemPresence"], record["primary"]) == ("On Queue", False)
    current = f"/api/v2/presence/definitions/{record['id']}"
    assert (await lab.call("GET", current)).json["systemPresence"] == "OnQueue"
    one = f"{LEGACY}/{record['id']}"
    changed = {**ON_QUEUE_LUNCH, "languageLabels": {"en_US": "x", "de": "y"}}
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
    record = (await lab.call("POST", LEGACY, json=ON_QUEUE_LUNCH)).json
    reply = await lab.call("DELETE", f"{LEGACY}/{record['id']}")
    assert (reply.status, bool(reply.body)) == (status, has_body)
    for flag, total in (("false", 10), ("TRUE", 1), ("True", 1), ("ALL", 11), ("all", 11)):
        page = (await lab.call("GET", f"{LEGACY}?deleted={flag}")).json
        assert page["total"] == total


async def test_permissions_of_the_legacy_family(open_lab: OpenLab):
    """The list needs nothing, the rest its own permission, and records have divisions."""
    lab = await open_lab()
    one = f"{LEGACY}/{BUILT_IN_IDS['Meal']}"
    token = lab.sim.issue_token(permissions=["presence:presenceDefinition:edit"])
    assert (await lab.call("GET", LEGACY, token=token)).status == 200
    for method, target in (("GET", one), ("POST", LEGACY), ("DELETE", one)):
        body = b"{}" if method == "POST" else None
        reply = await lab.call(method, target, body=body, token=token)
        assert (reply.status, reply.code) == (403, "missing.permissions")
    lab.sim.add_client("narrow", "s", divisions=[])
    body = {**ON_QUEUE_LUNCH, "divisionId": "d1"}
    record = (await lab.call("POST", LEGACY, json=body)).json
    reply = await lab.call("GET", f"{LEGACY}/{record['id']}", token=lab.sim.issue_token("narrow"))
    assert reply.code == "missing.division.permission"


async def test_families_with_records_of_their_own(open_lab: OpenLab):
    """By switch a definition is seen only in the family it was made in, and used in both."""
    lab = await open_lab(switches=Switches(shared_definitions=False))
    current = "/api/v2/presence/definitions"
    for made_in, other in ((LEGACY, current), (current, LEGACY)):
        one = (await lab.call("POST", made_in, json=ON_QUEUE_LUNCH)).json["id"]
        for family, there in ((made_in, True), (other, False)):
            listed = (await lab.call("GET", family)).json["entities"]
            assert (one in [entity["id"] for entity in listed]) is there
            assert set(BUILT_IN_IDS.values()) <= {entity["id"] for entity in listed}
            status = 200 if there else 404
            assert (await lab.call("GET", f"{family}/{one}")).status == status
            assert (await lab.call("PUT", f"{family}/{one}", json=ON_QUEUE_LUNCH)).status == status
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
    inside, outside = {**ON_QUEUE_LUNCH, "divisionId": "d1"}, {**ON_QUEUE_LUNCH, "divisionId": "d2"}
    for family in (LEGACY, "/api/v2/presence/definitions"):
        made = await lab.call("POST", family, json=inside, token=token)
        one = f"{family}/{made.json['id']}"
        for method, target in (("POST", family), ("PUT", one)):
            reply = await lab.call(method, target, json=outside, token=token)
            assert (reply.status, reply.code) == (403, "missing.division.permission")
        assert (await lab.call("PUT", one, json=inside, token=token)).status == 200
