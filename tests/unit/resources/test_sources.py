"""Registered sources, requests and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

from presence_async import UNSET, InvalidRequestError, Source

if TYPE_CHECKING:
    from fake_http import FakeApi

CALENDAR: dict[str, Any] = {"id": "s-1", "name": "Calendar", "type": "User", "more": {"x": 1}}
PATH = "/api/v2/presence/sources"


@pytest.mark.parametrize(
    ("deactivated", "query"),
    [(False, ""), (True, "?deactivated=TRUE"), ("all", "?deactivated=ALL")],
)
async def test_list(api: FakeApi, deactivated: Any, query: str) -> None:
    """One request, never a second page."""
    api.answer("GET", {"total": 1, "entities": [CALENDAR]})
    sources = await api.client.sources.list(deactivated=deactivated)
    assert [source.name for source in sources] == ["Calendar"]
    assert api.lines == [f"GET {PATH}{query}"]


@pytest.mark.parametrize("bad", [None, "perhaps", 1])
async def test_list_refuses(api: FakeApi, bad: Any) -> None:
    """Any other flag is named."""
    with pytest.raises(InvalidRequestError) as caught:
        api.client.sources.list(deactivated=bad)
    assert caught.value.field == "deactivated"
    assert api.sent == []


@pytest.mark.parametrize("status", [200, 201])
async def test_create(api: FakeApi, status: int) -> None:
    """Only what was given goes out."""
    api.answer("POST", CALENDAR, status=status)
    assert (await api.client.sources.create(Source(name="Calendar"))).id == "s-1"
    assert api.lines == [f"POST {PATH}"]
    assert api.last.body == b'{"name":"Calendar"}'


async def test_get_evolve_replace(api: FakeApi) -> None:
    """Unknown fields survive the way there and back."""
    api.answer("GET", CALENDAR)
    api.answer("PUT", CALENDAR)
    source = await api.client.sources.get("s/1")
    await api.client.sources.replace("s-1", attrs.evolve(source, deactivated=False))
    assert api.lines == [f"GET {PATH}/s%2F1", f"PUT {PATH}/s-1"]
    sent = {name: value for name, value in CALENDAR.items() if name != "id"}
    assert api.last.json == sent | {"deactivated": False}


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_delete(api: FakeApi, body: bytes) -> None:
    """DELETE returns None, whatever the answer holds."""
    api.answer("DELETE", body=body)
    assert await api.client.sources.delete("s-1") is None
    assert api.lines == [f"DELETE {PATH}/s-1"]


@pytest.mark.parametrize("bad", ["", None, UNSET, "."])
async def test_bad_ids_are_refused(api: FakeApi, bad: Any) -> None:
    """An id that cannot stand in a path is named."""
    sources = api.client.sources
    for call in (sources.get(bad), sources.replace(bad, Source(name="x")), sources.delete(bad)):
        with pytest.raises(InvalidRequestError) as caught:
            await call
        assert caught.value.field == "source_id"
    assert api.sent == []


async def test_bad_bodies_are_refused(api: FakeApi) -> None:
    """Only a Source is a body."""
    bad: Any = {"name": "x"}
    for call in (api.client.sources.create(bad), api.client.sources.replace("s", bad)):
        with pytest.raises(InvalidRequestError) as caught:
            await call
        assert caught.value.field == "source"
    assert api.sent == []
