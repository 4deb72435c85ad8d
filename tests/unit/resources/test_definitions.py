"""The current definitions: requests exactly as they go out, answers as they come back."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from fake_http import TOKEN, FakeApi

from presence_async import (
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    OrganizationPresenceDefinition,
    SystemPresenceName,
)
from presence_async.resources.definitions import Definitions

LUNCH: dict[str, Any] = {
    "id": "d-1",
    "type": "User",
    "languageLabels": {"en_US": "Lunch", "de": "Mittag"},
    "systemPresence": "OnQueue",
    "divisionId": "*",
    "deactivated": False,
    "selfUri": "/api/v2/presence/definitions/d-1",
    "invented": {"later": [1, None]},
}
BUSY: dict[str, Any] = {
    "id": "d-2",
    "type": "System",
    "languageLabels": {"en_US": "Busy"},
    "systemPresence": "Busy",
}


async def test_list_asks_for_nothing_it_was_not_asked_for(api: FakeApi) -> None:
    """A plain list is one GET without a query, with a token and the JSON Accept header."""
    api.answer("GET", {"total": 2, "entities": [LUNCH, BUSY], "selfUri": "/x"})
    found = await api.client.definitions.list()
    assert [definition.id for definition in found] == ["d-1", "d-2"]
    assert api.lines == ["GET /api/v2/presence/definitions"]
    assert api.last.headers["Accept"] == "application/json"
    assert api.last.headers["Authorization"] == f"Bearer {TOKEN}"
    assert "Content-Type" not in api.last.headers
    assert api.last.body is None


@pytest.mark.parametrize(
    ("deactivated", "spelled"),
    [(True, "TRUE"), ("true", "TRUE"), ("False", "FALSE"), ("aLL", "ALL")],
)
async def test_list_query(api: FakeApi, deactivated: Any, spelled: str) -> None:
    """Flags go out in upper case, divisions as repeated parameters, all strictly encoded."""
    api.answer("GET", {"entities": []})
    listing = api.client.definitions.list(
        deactivated=deactivated, division_ids=iter(["*", "a/b&c=ü"]), locale_code="en_US"
    )
    assert await listing == []
    assert api.lines == [
        (
            f"GET /api/v2/presence/definitions?deactivated={spelled}&divisionId=%2A"
            "&divisionId=a%2Fb%26c%3D%C3%BC&localeCode=en_US"
        )
    ]


async def _division_ids() -> Any:
    yield "d"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"deactivated": "maybe"}, "deactivated"),
        ({"deactivated": None}, "deactivated"),
        ({"deactivated": 0}, "deactivated"),
        ({"deactivated": ""}, "deactivated"),
        ({"division_ids": "one-id"}, "division_ids"),
        ({"division_ids": ["a", ""]}, "division_ids[1]"),
        ({"division_ids": [None]}, "division_ids[0]"),
        ({"division_ids": ["\ud800"]}, "division_ids[0]"),
        ({"division_ids": 5}, "division_ids"),
        ({"locale_code": ""}, "locale_code"),
        ({"locale_code": 5}, "locale_code"),
    ],
)
def test_list_refuses(arguments: dict[str, Any], field: str) -> None:
    """A bad argument is refused where it is given, and named."""
    with pytest.raises(InvalidRequestError) as caught:
        Definitions(None).list(**arguments)  # type: ignore[arg-type]
    assert caught.value.field == field


async def test_list_refuses_an_async_iterable_of_divisions(api: FakeApi) -> None:
    """A list is built at once, so an async iterable cannot feed it."""
    ids = _division_ids()
    with pytest.raises(InvalidRequestError, match="division_ids must be an iterable of str"):
        api.client.definitions.list(division_ids=ids)
    await ids.aclose()
    assert api.sent == []


async def test_iterating_sends_once_per_iteration(api: FakeApi) -> None:
    """A listing is lazy and can be iterated again, which asks again."""
    for _ in range(2):
        api.answer("GET", {"entities": [LUNCH]})
    listing = api.client.definitions.list()
    assert api.sent == []
    assert [definition.id async for definition in listing] == ["d-1"]
    assert [len(page.entities) async for page in listing.pages()] == [1]
    assert len(api.sent) == 2


async def test_get(api: FakeApi) -> None:
    """One definition by id, its labels of one locale."""
    api.answer("GET", LUNCH)
    definition = await api.client.definitions.get("a/../b", locale_code="ALL")
    assert api.lines == ["GET /api/v2/presence/definitions/a%2F..%2Fb?localeCode=ALL"]
    assert definition.system_presence == SystemPresenceName.ON_QUEUE
    assert definition.language_labels == {"en_US": "Lunch", "de": "Mittag"}
    assert definition.extra == {"invented": {"later": [1, None]}}


async def test_get_without_locale_has_no_query(api: FakeApi) -> None:
    """What is not given is not sent."""
    api.answer("GET", BUSY)
    assert (await api.client.definitions.get("d-2")).id == "d-2"
    assert api.lines == ["GET /api/v2/presence/definitions/d-2"]


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("spelling", ["On Queue", "OnQueue", "ON_QUEUE"])
async def test_create(api: FakeApi, status: int, spelling: str) -> None:
    """POST may answer 200 or 201; the system presence goes out as this family spells it."""
    api.answer("POST", LUNCH, status=status)
    created = await api.client.definitions.create(
        OrganizationPresenceDefinition(
            language_labels={"en_US": "Lunch"}, system_presence=SystemPresenceName(spelling)
        )
    )
    assert created.id == "d-1"
    assert api.lines == ["POST /api/v2/presence/definitions"]
    assert api.last.body == b'{"languageLabels":{"en_US":"Lunch"},"systemPresence":"OnQueue"}'
    assert api.last.headers["Content-Type"] == "application/json"


async def test_null_is_sent_only_when_asked_for(api: FakeApi) -> None:
    """None is a null on the wire, UNSET is nothing at all."""
    api.answer("POST", LUNCH)
    await api.client.definitions.create(
        OrganizationPresenceDefinition(language_labels={"fr": "Déjeuner"}, name=None)
    )
    assert api.last.json == {"languageLabels": {"fr": "Déjeuner"}, "name": None}


async def test_read_evolve_replace_keeps_what_is_unknown(api: FakeApi) -> None:
    """Fields this version does not know survive the way there and back."""
    api.answer("GET", LUNCH)
    api.answer("PUT", LUNCH | {"deactivated": True})
    definition = await api.client.definitions.get("d-1")
    replaced = await api.client.definitions.replace(
        "d-1", attrs.evolve(definition, deactivated=True)
    )
    assert replaced.deactivated is True
    assert api.lines[1] == "PUT /api/v2/presence/definitions/d-1"
    # Read-only fields stay at home: nobody knows that the vendor always ignores them.
    sent = {name: value for name, value in LUNCH.items() if name not in ("id", "selfUri")}
    assert api.last.json == sent | {"deactivated": True}


async def test_an_unknown_system_presence_goes_out_verbatim(api: FakeApi) -> None:
    """A value of tomorrow is not bent into one of today."""
    api.answer("PUT", BUSY)
    await api.client.definitions.replace(
        "d-2",
        OrganizationPresenceDefinition(
            language_labels={}, system_presence=SystemPresenceName("Deep Work")
        ),
    )
    assert api.last.json == {"languageLabels": {}, "systemPresence": "Deep Work"}


@pytest.mark.parametrize("body", [b"", b"{}"])
@pytest.mark.parametrize("status", [200, 204])
async def test_delete_takes_any_body(api: FakeApi, body: bytes, status: int) -> None:
    """DELETE returns None, whatever the answer holds."""
    api.answer("DELETE", status=status, body=body)
    assert await api.client.definitions.delete("d-1") is None
    assert api.lines == ["DELETE /api/v2/presence/definitions/d-1"]
    assert api.last.body is None


@pytest.mark.parametrize("bad", ["", None, 5, ".", "..", "\ud800"])
async def test_bad_ids_are_refused(api: FakeApi, bad: Any) -> None:
    """An id that cannot stand in a path is refused before any request, and named."""
    definitions = api.client.definitions
    model = OrganizationPresenceDefinition(language_labels={})
    for call in (definitions.get(bad), definitions.replace(bad, model), definitions.delete(bad)):
        with pytest.raises(InvalidRequestError) as caught:
            await call
        assert caught.value.field == "definition_id"
    assert api.sent == []


@pytest.mark.parametrize("bad", [None, {"languageLabels": {}}, 5])
async def test_bodies_that_are_no_models_are_refused(api: FakeApi, bad: Any) -> None:
    """Only the model of this family is a body."""
    for call in (api.client.definitions.create(bad), api.client.definitions.replace("d", bad)):
        with pytest.raises(InvalidRequestError, match="OrganizationPresenceDefinition") as caught:
            await call
        assert caught.value.field == "definition"
    assert api.sent == []


async def test_a_system_presence_that_is_no_text_is_refused(api: FakeApi) -> None:
    """A field of a wrong type becomes our error, not an AttributeError."""
    odd: Any = OrganizationPresenceDefinition(language_labels={}, system_presence=5)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.definitions.create(odd)
    assert caught.value.field == "system_presence"
    assert api.sent == []


async def test_an_answer_that_is_no_definition_names_the_exchange(api: FakeApi) -> None:
    """A DecodeError of a write knows its exchange, and that the write took effect."""
    api.answer("POST", [], headers={"ININ-Correlation-Id": "c-1"})
    with pytest.raises(DecodeError) as caught:
        await api.client.definitions.create(OrganizationPresenceDefinition(language_labels={}))
    error = caught.value
    assert (error.method, error.path_template) == ("POST", "/api/v2/presence/definitions")
    assert (error.status, error.correlation_id, error.attempts) == (200, "c-1", 1)
    assert error.outcome_unknown is True


async def test_an_unreadable_answer_to_a_read_leaves_nothing_open(api: FakeApi) -> None:
    """A read that cannot be understood has changed nothing."""
    api.answer("GET", {"languageLabels": {}, "deactivated": "no"})
    with pytest.raises(DecodeError) as caught:
        await api.client.definitions.get("d")
    assert caught.value.field == "deactivated"
    assert caught.value.outcome_unknown is False


async def test_not_found(api: FakeApi) -> None:
    """A 404 is NotFoundError, with the vendor's code."""
    api.answer("GET", {"code": "not.found", "message": "none", "status": 404}, status=404)
    with pytest.raises(NotFoundError) as caught:
        await api.client.definitions.get("d")
    assert (caught.value.code, caught.value.attempts) == ("not.found", 1)


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (("LUNCH",), ["d-1"]),
        (("mittag",), ["d-1"]),
        (("Lun",), []),
        ((), []),
    ],
)
async def test_find_by_label(api: FakeApi, arguments: tuple[str, ...], ids: list[str]) -> None:
    """A label is compared whole, in any language and case."""
    api.answer("GET", {"entities": [LUNCH, BUSY]})
    if not arguments:
        with pytest.raises(InvalidRequestError) as caught:
            await api.client.definitions.find()
        assert caught.value.field == "label"
        assert api.sent == []
        return
    found = await api.client.definitions.find(*arguments)
    assert [definition.id for definition in found] == ids
    assert api.lines == ["GET /api/v2/presence/definitions?localeCode=ALL"]


@pytest.mark.parametrize("spelling", ["On Queue", "OnQueue", "on_queue"])
async def test_find_by_system_presence(api: FakeApi, spelling: str) -> None:
    """Any spelling finds it, alone or together with a label."""
    entities = [LUNCH, BUSY, {"languageLabels": None}]
    for _ in range(2):
        api.answer("GET", {"entities": entities})
    find = api.client.definitions.find
    found = await find(system_presence=spelling, deactivated=True)
    assert [definition.id for definition in found] == ["d-1"]
    assert await find("busy", system_presence=spelling) == ()
    assert api.lines[0] == "GET /api/v2/presence/definitions?deactivated=TRUE&localeCode=ALL"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"label": ""}, "label"),
        ({"label": 5}, "label"),
        ({"system_presence": ""}, "system_presence"),
        ({"system_presence": 5}, "system_presence"),
        ({"label": "x", "deactivated": "?"}, "deactivated"),
    ],
)
async def test_find_refuses(api: FakeApi, arguments: dict[str, Any], field: str) -> None:
    """Bad arguments of a look-up are named before any request."""
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.definitions.find(**arguments)
    assert caught.value.field == field
    assert api.sent == []
