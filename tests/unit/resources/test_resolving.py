"""Rows of a file: addresses, labels and names looked up, and what cannot be told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from presence_async import parse_json_lines
from presence_async.errors import InvalidRequestError, PermissionDeniedError
from presence_async.models import MutableUserPresence, PresenceDefinition
from presence_async.rows import BadRow, RowsError, UpdateRow

if TYPE_CHECKING:
    from fake_http import FakeApi

USERS = [
    {"id": "u-ada", "email": "Ada@Example.com"},
    {"id": "u-bob", "email": "bob@example.com"},
    {"id": "u-twin1", "email": "twin@example.com"},
    {"id": "u-twin2", "email": "TWIN@example.com"},
    {"id": "u-none"},
    {"email": "no-id@example.com"},
    {"id": "u-odd", "email": 5},
]
DEFINITIONS = [
    {
        "id": "d-stock",
        "type": "User",
        "systemPresence": "Busy",
        "languageLabels": {"en_US": "Stocktaking", "de": "Inventur"},
    },
    {"id": "d-s1", "type": "User", "systemPresence": "Away", "languageLabels": {"en_US": "Same"}},
    {"id": "d-s2", "type": "User", "systemPresence": "Away", "languageLabels": {"de": "same"}},
    {"type": "User", "languageLabels": {"en_US": "No id"}},
    {"id": "d-bare"},
    {"id": "d-meal", "type": "System", "systemPresence": "Meal", "languageLabels": {"en_US": "X"}},
]


def answers(api: FakeApi, *, users: bool = True, definitions: int = 1) -> None:
    """The lists of the organization, the users on two pages."""
    if users:
        for number, entities in enumerate((USERS[:3], USERS[3:]), 1):
            page = {"pageNumber": number, "pageSize": 3, "pageCount": 2, "total": len(USERS)}
            api.answer("GET", page | {"entities": entities})
    for _ in range(definitions):
        api.answer("GET", {"entities": DEFINITIONS})


async def test_everything_is_looked_up_once(api: FakeApi) -> None:
    """Addresses and labels in any case, labels in any language, the order is kept."""
    answers(api, definitions=2)
    rows = [
        UpdateRow(line=2, email="ada@example.COM", definition_label="INVENTUR", message="m"),
        UpdateRow(line=3, user_id="u-x", definition_id="d-x", source="Lync", primary=True),
        UpdateRow(line=4, email="bob@example.com", system_presence="MEAL"),
        UpdateRow(line=5, user_id="u-x", message=""),
    ]
    assert await api.client.bulk.resolve(iter(rows)) == [
        MutableUserPresence(
            id="u-ada", presence_definition=PresenceDefinition(id="d-stock"), message="m"
        ),
        MutableUserPresence(
            id="u-x",
            presence_definition=PresenceDefinition(id="d-x"),
            source="Lync",
            primary=True,
        ),
        MutableUserPresence(id="u-bob", presence_definition=PresenceDefinition(id="d-meal")),
        MutableUserPresence(id="u-x", message=""),
    ]
    assert api.lines == [
        "GET /api/v2/users?pageNumber=1&pageSize=100&state=active",
        "GET /api/v2/users?pageNumber=2&pageSize=100&state=active",
        "GET /api/v2/presence/definitions?localeCode=ALL",
        "GET /api/v2/presence/definitions",
    ]


async def test_ids_need_no_look_up(api: FakeApi) -> None:
    """Rows that have ids already cost no request, and no rows none either."""
    rows = parse_json_lines('{"user_id": "u", "definition_id": "d"}')
    items = await api.client.bulk.resolve(rows)
    assert items == [MutableUserPresence(id="u", presence_definition=PresenceDefinition(id="d"))]
    assert await api.client.bulk.resolve([]) == []
    assert api.sent == []


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"email": "nobody@example.com"}, "email", "no active user has this address"),
        ({"email": "no-id@example.com"}, "email", "no active user has this address"),
        ({"email": "twin@example.com"}, "email", "more than one active user has this address"),
        (
            {"user_id": "u", "definition_label": "Stock"},
            "definition_label",
            "no active definition has this label",
        ),
        (
            {"user_id": "u", "definition_label": "No id"},
            "definition_label",
            "no active definition has this label",
        ),
        (
            {"user_id": "u", "definition_label": "same"},
            "definition_label",
            "more than one active definition has this label",
        ),
        (
            {"user_id": "u", "system_presence": "Training"},
            "system_presence",
            "the organization has no built-in definition for it",
        ),
    ],
)
async def test_what_cannot_be_told_is_reported_by_line(
    api: FakeApi, fields: dict[str, Any], field: str, reason: str
) -> None:
    """Unknown and ambiguous ones alike, and good rows beside them do not hide them."""
    answers(api, users="email" in fields, definitions="email" not in fields)
    good = UpdateRow(line=3, user_id="u-good", message="m")
    with pytest.raises(RowsError) as caught:
        await api.client.bulk.resolve([good, UpdateRow(line=7, **({"message": "m"} | fields))])
    assert caught.value.failures == (BadRow(7, field, reason),)


async def test_a_user_and_source_that_came_before(api: FakeApi) -> None:
    """Also when one row has the id and the other one the address; other sources are others."""
    answers(api, definitions=0)
    rows = [
        UpdateRow(line=2, user_id="u-ada", message="m"),
        UpdateRow(line=3, user_id="u-ada", message="m", source="Lync"),
        UpdateRow(line=4, email="ada@example.com", message="m"),
        UpdateRow(line=5, user_id="u-ada", message="m", source="LYNC"),
    ]
    with pytest.raises(RowsError) as caught:
        await api.client.bulk.resolve(rows)
    assert caught.value.failures == (
        BadRow(4, "", "line 2 is about the same user and source"),
        BadRow(5, "", "line 3 is about the same user and source"),
    )


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        (None, "rows"),
        ("user_id", "rows"),
        ([None], "rows[0]"),
        ([UpdateRow(line=2, email="ada@example.com"), {"user_id": "u"}], "rows[1]"),
    ],
)
async def test_what_is_no_row(api: FakeApi, rows: Any, field: str) -> None:
    """It is refused by its place, before any request."""
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.bulk.resolve(rows)
    assert caught.value.field == field
    assert not isinstance(caught.value, RowsError)
    assert api.sent == []


async def test_many_rows_leave_the_loop_its_turns(api: FakeApi) -> None:
    """Others run in between."""
    rows = [UpdateRow(line=n, user_id=f"u{n}", message="m") for n in range(5_000)]
    resolving = asyncio.ensure_future(api.client.bulk.resolve(rows))
    turns = 0
    while not resolving.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 50
    assert [item.id for item in await resolving] == [row.user_id for row in rows]


async def test_a_list_that_may_not_be_read(api: FakeApi) -> None:
    """That is the error of the list, not one of the rows."""
    api.answer("GET", {"message": "no", "code": "missing.permissions", "status": 403}, status=403)
    with pytest.raises(PermissionDeniedError):
        await api.client.bulk.resolve(
            [UpdateRow(line=1, user_id="u", definition_label="Stocktaking")]
        )
