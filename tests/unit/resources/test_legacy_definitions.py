"""The older definitions, requests and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

from presence_async import (
    DecodeError,
    InvalidRequestError,
    OrganizationPresence,
    SystemPresenceName,
)

if TYPE_CHECKING:
    from fake_http import FakeApi

QUEUE: dict[str, Any] = {
    "id": "p-1",
    "languageLabels": {"en_US": "On Queue"},
    "systemPresence": "On Queue",
    "deactivated": False,
    "primary": True,
    "invented": 7,
}
PATH = "/api/v2/presencedefinitions"


async def test_list_pages_by_number(api: FakeApi) -> None:
    """Pages are asked for by number; the recorded pages have no links and other sizes."""
    for number in (1, 2):
        api.answer(
            "GET",
            {
                "entities": [QUEUE | {"id": f"p-{number}"}],
                "pageSize": 20,
                "pageNumber": number,
                "total": 21,
                "pageCount": 2,
            },
        )
    assert [one.id async for one in api.client.legacy_definitions.list()] == ["p-1", "p-2"]
    assert api.lines == [
        f"GET {PATH}?pageNumber=1&pageSize=25",
        f"GET {PATH}?pageNumber=2&pageSize=25",
    ]


@pytest.mark.parametrize(
    ("deleted", "spelled"),
    [(True, "&deleted=TRUE"), ("all", "&deleted=ALL"), ("FALSE", "&deleted=FALSE"), (False, "")],
)
async def test_list_query(api: FakeApi, deleted: Any, spelled: str) -> None:
    """`deleted` in either case, a locale, and the page size."""
    api.answer("GET", {"entities": [], "pageCount": 0})
    listing = api.client.legacy_definitions.list(page_size=500, deleted=deleted, locale_code="de")
    assert [page.entities async for page in listing.pages()] == [()]
    assert api.lines == [f"GET {PATH}?pageNumber=1&pageSize=500{spelled}&localeCode=de"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"page_size": 0}, "page_size"),
        ({"page_size": 501}, "page_size"),
        ({"page_size": "25"}, "page_size"),
        ({"page_size": True}, "page_size"),
        ({"deleted": "some"}, "deleted"),
        ({"deleted": None}, "deleted"),
        ({"locale_code": ""}, "locale_code"),
    ],
)
async def test_list_refuses(api: FakeApi, arguments: dict[str, Any], field: str) -> None:
    """Bad arguments are refused where they are given, and named."""
    with pytest.raises(InvalidRequestError) as caught:
        api.client.legacy_definitions.list(**arguments)
    assert caught.value.field == field
    assert api.sent == []


async def test_get(api: FakeApi) -> None:
    """One definition, with and without a locale."""
    api.answer("GET", QUEUE)
    api.answer("GET", QUEUE)
    legacy = api.client.legacy_definitions
    assert (await legacy.get("p 1")).primary is True
    assert (await legacy.get("p-1", locale_code="ALL")).extra == {"invented": 7}
    assert api.lines == [f"GET {PATH}/p%201", f"GET {PATH}/p-1?localeCode=ALL"]


@pytest.mark.parametrize("spelling", ["On Queue", "OnQueue", "ON_QUEUE"])
async def test_create_in_this_familys_spelling(api: FakeApi, spelling: str) -> None:
    """The older family writes "On Queue" whatever was given."""
    api.answer("POST", QUEUE)
    created = await api.client.legacy_definitions.create(
        OrganizationPresence(
            language_labels={"en_US": "Q"}, system_presence=SystemPresenceName(spelling)
        )
    )
    assert created.id == "p-1"
    assert api.lines == [f"POST {PATH}"]
    assert api.last.body == b'{"languageLabels":{"en_US":"Q"},"systemPresence":"On Queue"}'


async def test_read_evolve_replace(api: FakeApi) -> None:
    """Unknown fields survive; nothing else is added."""
    api.answer("GET", QUEUE)
    api.answer("PUT", QUEUE)
    legacy = api.client.legacy_definitions
    read = await legacy.get("p-1")
    await legacy.replace("p-1", attrs.evolve(read, language_labels={"en_US": "Queue"}))
    assert api.last.line == f"PUT {PATH}/p-1"
    sent = {name: value for name, value in QUEUE.items() if name != "id"}
    assert api.last.json == sent | {"languageLabels": {"en_US": "Queue"}}


@pytest.mark.parametrize(("status", "body"), [(204, b""), (200, b""), (200, b" \r\n")])
async def test_delete_without_a_body(api: FakeApi, status: int, body: bytes) -> None:
    """Empty is how it is documented today."""
    api.answer("DELETE", status=status, body=body)
    assert await api.client.legacy_definitions.delete("p-1") is None
    assert api.lines == [f"DELETE {PATH}/p-1"]


async def test_delete_with_a_body(api: FakeApi) -> None:
    """The oldest document answers the definition."""
    api.answer("DELETE", QUEUE | {"deactivated": True})
    deleted = await api.client.legacy_definitions.delete("p-1")
    assert deleted is not None
    assert deleted.deactivated is True


async def test_delete_with_a_body_that_is_none(api: FakeApi) -> None:
    """What cannot be understood is an error that says the delete took effect."""
    api.answer("DELETE", body=b"deleted!")
    with pytest.raises(DecodeError, match="not valid JSON") as caught:
        await api.client.legacy_definitions.delete("p-1")
    assert caught.value.outcome_unknown is True
    assert caught.value.path_template == f"{PATH}/{{presenceId}}"


@pytest.mark.parametrize("bad", ["", None, ".."])
async def test_bad_ids_are_refused(api: FakeApi, bad: Any) -> None:
    """An id that cannot stand in a path is named."""
    legacy = api.client.legacy_definitions
    model = OrganizationPresence(language_labels={})
    for call in (legacy.get(bad), legacy.replace(bad, model), legacy.delete(bad)):
        with pytest.raises(InvalidRequestError) as caught:
            await call
        assert caught.value.field == "presence_id"
    assert api.sent == []


@pytest.mark.parametrize("bad", [None, {}, "x"])
async def test_bad_bodies_are_refused(api: FakeApi, bad: Any) -> None:
    """Only the model of this family is a body."""
    with pytest.raises(InvalidRequestError, match="OrganizationPresence") as caught:
        await api.client.legacy_definitions.create(bad)
    assert caught.value.field == "definition"
    assert api.sent == []
