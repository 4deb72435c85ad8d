"""The table of operations: complete, right about permissions, and its calls do what it says."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from presence_async import (
    OrganizationPresence,
    OrganizationPresenceDefinition,
    PresenceClient,
    PresenceSettings,
    Source,
    StaticToken,
    UCThirdPartyPresence,
    UpdateRow,
    UserPresenceEvent,
    resources,
    routes,
)
from presence_async.resources.system_presences import BuiltinIds

if TYPE_CHECKING:
    from collections.abc import Awaitable

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "operations.md").read_text()
OPENAPI = json.loads((ROOT / "tests" / "data" / "presence-openapi.json").read_text())

_ROW = re.compile(
    r"^\| (GET|HEAD|POST|PUT|PATCH|DELETE) \| `([^`]+)` \| ([^|]+) \| (.+) \|$", re.MULTILINE
)
_CODE = re.compile(r"`([^`]+)`")


@attrs.frozen
class Row:
    """One line of the table."""

    operation: str
    mode: str
    permissions: tuple[str, ...]
    note: str
    calls: tuple[str, ...]


def rows() -> list[Row]:
    """Every line of every table of the page."""
    found = []
    for method, path, permissions, calls in _ROW.findall(PAGE):
        mode, _, rest = permissions.strip().partition(" ")
        note = rest.partition("(")[2].rstrip(")")
        names = tuple(_CODE.findall(rest))
        found.append(Row(f"{method} {path}", mode, names, note, tuple(_CODE.findall(calls))))
    return found


ROWS = rows()


def documented() -> dict[str, dict[str, Any]]:
    """The operations of the vendor's document that this version has."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in OPENAPI["paths"].items()
        for method, operation in methods.items()
        if isinstance(operation, dict) and operation["tags"] != ["OAuth"]  # the token endpoint
    }


def test_the_table_is_complete() -> None:
    """27 operations, the removed one, four neighbours and eight of channels, once each."""
    operations = [row.operation for row in ROWS]
    assert sorted(operations) == sorted(documented())
    presence = [name for name, found in documented().items() if found["tags"] == ["Presence"]]
    removed = [name for name in presence if documented()[name].get("x-status") == "removed"]
    assert removed == ["GET /api/v2/users/{userId}/presences/microsoftteams"]
    assert len(presence) == 27 + 1
    assert len(operations) == 27 + 1 + 4 + 8


def test_the_table_is_that_of_the_routes() -> None:
    """Every route is in it with its permissions, and nothing else is."""
    by_route = {f"{route.method} {route.template}": route for route in routes.ALL_ROUTES}
    assert {row.operation for row in ROWS} == by_route.keys()
    for row in ROWS:
        route = by_route[row.operation]
        assert row.permissions == route.permissions, row.operation
        expected = ("ALL" if route.needs_all else "ANY") if route.permissions else "none"
        assert row.mode == expected, row.operation


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.operation)
def test_permissions_are_the_documented_ones(row: Row) -> None:
    """ALL or ANY of the same names; a condition is told."""
    said = documented()[row.operation].get("x-permissions", {"mode": "NONE", "permissions": []})
    assert set(row.permissions) == set(said["permissions"])
    if said["mode"] == "CONDITIONAL":
        assert said["when"] == "when userId is not the token owner"
        assert row.note == "another user's only"
    else:
        assert row.mode.upper() == said["mode"]


class Seen(Exception):  # noqa: N818  # not an error: the request was seen
    """Ends a call at its first request."""


NAMES: dict[str, Any] = {
    "user_id": "u-1",
    "source": "Outlook",
    "ids": ["u-1"],
    "rows": [UpdateRow(line=2, email="ann@example.com", message="back soon")],
    "definition_id": "d-1",
    "presence_id": "p-1",
    "source_id": "s-1",
    "definition": OrganizationPresenceDefinition(language_labels={}),
    "older": OrganizationPresence(language_labels={}),
    "calendar": Source(name="Calendar"),
    "settings": PresenceSettings(),
    "uc_integration_id": "i-1",
    "event": UserPresenceEvent(user_id="u-1", source_id="s-1"),
    "report": UCThirdPartyPresence(email="ann@example.com", presence="Busy"),
    "channel_id": "c-1",
    "topics": ["v2.users.u-1.presence"],
}
CALLS = [(row.operation, call) for row in ROWS for call in row.calls]


@pytest.mark.parametrize(("operation", "call"), CALLS, ids=[call for _, call in CALLS])
async def test_each_call_is_the_operation_it_stands_beside(operation: str, call: str) -> None:
    """The code of the page, run: its first request is the operation of its line."""
    requests = []

    async def send(request: Any) -> Any:
        requests.append(request)
        raise Seen

    client = resources.build(send, send, BuiltinIds(), lambda _: None)
    made: Awaitable[Any] = eval(call, {"client": client} | NAMES)  # noqa: S307  # our own page
    with pytest.raises(Seen):
        await made
    route = requests[0].route
    assert f"{route.method} {route.template}" == operation
    await asyncio.sleep(0)


def test_every_call_exists_on_the_client_and_every_method_is_in_the_page() -> None:
    """No public method of a resource is missing from the page, none is invented."""
    client = PresenceClient(region="us_east_1", auth=StaticToken("t"))
    methods = {
        f"client.{area}.{name}"
        for area in resources.Resources._fields
        for name, _ in inspect.getmembers(getattr(client, area), callable)
        if not name.startswith("_")
    }
    named = {call.partition("(")[0] for _, call in CALLS}
    assert named == methods


def test_every_operation_has_a_docstring() -> None:
    """And one that names each permission of the vendor's in so many words."""
    client = PresenceClient(region="us_east_1", auth=StaticToken("t"))
    for row in ROWS:
        area, _, name = row.calls[0].removeprefix("client.").partition("(")[0].partition(".")
        text = inspect.getdoc(getattr(getattr(client, area), name)) or ""
        for permission in row.permissions:
            assert permission in text, row.operation
