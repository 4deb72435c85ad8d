"""System presences: the list, and the way from a name to a built-in definition."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from presence_async import (
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ServerError,
    SystemPresenceName,
)

if TYPE_CHECKING:
    from fake_http import FakeApi

    from presence_async import PresenceClient
    from presence_async.simulator import Simulator

LIST = "GET /api/v2/systempresences"
CURRENT = "GET /api/v2/presence/definitions"
LEGACY = "GET /api/v2/presencedefinitions?pageNumber=1&pageSize=25"
QUEUE: dict[str, Any] = {"id": "d-q", "type": "System", "systemPresence": "OnQueue"}
OWN: dict[str, Any] = {"id": "d-own", "type": "User", "systemPresence": "OnQueue"}
DENIED: dict[str, Any] = {"code": "missing.permissions", "message": "presence:x:view"}


async def test_list_is_a_bare_array(api: FakeApi) -> None:
    """Only the name is dependable; spellings compare equal."""
    api.answer("GET", [{"name": "ON_QUEUE"}, {"name": "AVAILABLE", "id": "1"}])
    found = await api.client.system_presences.list()
    assert [one.name for one in found] == ["On Queue", "Available"]
    assert api.lines == [LIST]


async def test_a_bad_row_of_the_list_is_named(api: FakeApi) -> None:
    """It costs no other row."""
    api.answer("GET", [{"name": 5}, {"name": "BUSY"}])
    with pytest.raises(DecodeError) as caught:
        await api.client.system_presences.list()
    assert [one.name for one in caught.value.decoded] == ["Busy"]
    assert caught.value.field == "name"
    assert caught.value.path_template == "/api/v2/systempresences"


async def test_definition_id_is_looked_up_once(api: FakeApi) -> None:
    """One request for the life of a client and of those derived from it; own ones are not it."""
    api.answer("GET", {"entities": [OWN, QUEUE, {"type": "System", "id": None}]})
    for spelling in ("On Queue", "OnQueue", "ON_QUEUE", SystemPresenceName.ON_QUEUE):
        assert await api.client.system_presences.definition_id(spelling) == "d-q"
    derived = api.client.with_options(retries=0)
    assert await derived.system_presences.definition_id("onqueue") == "d-q"
    assert api.lines == [CURRENT]


async def test_a_bad_row_does_not_spoil_the_look_up(api: FakeApi) -> None:
    """Some other definition that cannot be understood is no reason to fail."""
    api.answer("GET", {"entities": [{"id": 5}, QUEUE]})
    assert await api.client.system_presences.definition_id("On Queue") == "d-q"


@pytest.mark.parametrize("first", ["denied", "empty"])
async def test_definition_id_falls_back_to_the_older_definitions(api: FakeApi, first: str) -> None:
    """A token that may not see the current definitions looks at the older ones."""
    if first == "denied":
        api.answer("GET", DENIED, status=403)
    else:
        api.answer("GET", {"entities": [OWN]})
    legacy = {"id": "d-l", "systemPresence": "On Queue", "primary": True}
    api.answer(
        "GET",
        {"entities": [{"id": "d-x", "systemPresence": "Busy", "primary": False}, legacy]}
        | {"pageCount": 1},
    )
    assert await api.client.system_presences.definition_id("ON_QUEUE") == "d-l"
    assert api.lines == [CURRENT, LEGACY]


async def test_definition_id_of_something_that_is_not_there(api: FakeApi) -> None:
    """An organization without a built-in one is NotFoundError, found out by one look-up."""
    api.answer("GET", {"entities": [QUEUE]})
    for _ in range(3):
        with pytest.raises(NotFoundError, match="'Lunch'"):
            await api.client.system_presences.definition_id("Lunch")
    assert api.lines == [CURRENT]


async def test_a_failed_look_up_is_not_remembered(api: FakeApi) -> None:
    """Whatever else goes wrong comes out, and the next call tries again."""
    api.answer("GET", {"message": "down"}, status=500)
    with pytest.raises(ServerError):
        await api.client.system_presences.definition_id("Busy")
    api.answer("GET", DENIED, status=403)
    api.answer("GET", DENIED, status=403)
    with pytest.raises(PermissionDeniedError):
        await api.client.system_presences.definition_id("Busy")
    api.answer("GET", {"entities": [QUEUE]})
    assert await api.client.system_presences.definition_id("OnQueue") == "d-q"


@pytest.mark.parametrize("bad", ["", None, 5])
async def test_definition_id_refuses(api: FakeApi, bad: Any) -> None:
    """A name that is none is refused before any request."""
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.system_presences.definition_id(bad)
    assert caught.value.field == "system_presence"
    assert api.sent == []


async def test_many_first_uses_look_up_once(sim: Simulator, client: PresenceClient) -> None:
    """Twenty concurrent updates by name share one look-up of the built-in definitions."""
    await asyncio.gather(
        *(
            client.user_presences.update(user_id, system_presence="Busy")
            for user_id in sim.user_ids[:20]
        )
    )
    assert sim.count("/api/v2/presence/definitions") == 1
