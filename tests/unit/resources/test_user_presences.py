"""Presences of single users, requests and answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from presence_async import (
    ClosedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PresenceClient,
    PresenceDefinition,
    PresenceTimeoutError,
    ServerError,
    StaticToken,
    UserPresence,
    UserPrimarySource,
)

if TYPE_CHECKING:
    from fake_http import FakeApi

PRESENCE: dict[str, Any] = {
    "source": "PURECLOUD",
    "presenceDefinition": {
        "id": "d-q",
        "systemPresence": "On Queue",
        "selfUri": "/api/v2/presencedefinitions/d-q",
    },
    "message": "",
    "modifiedDate": "2026-01-02T03:04:05.678Z",
    "selfUri": "/api/v2/users/u-1/presences",
    "mood": {"of": "tomorrow"},
}
QUEUE: dict[str, Any] = {"entities": [{"id": "d-q", "type": "System", "systemPresence": "OnQueue"}]}
OWN = "/api/v2/users/u-1/presences/purecloud"


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (None, OWN),
        ("PureCloud", OWN),
        ("PURECLOUD", OWN),
        ("Outlook", "/api/v2/users/u-1/presences/Outlook"),
        ("a/b?c%d", "/api/v2/users/u-1/presences/a%2Fb%3Fc%25d"),
        ("\r\nX: y", "/api/v2/users/u-1/presences/%0D%0AX%3A%20y"),
        ("ß", "/api/v2/users/u-1/presences/%C3%9F"),
    ],
)
async def test_get(api: FakeApi, source: str | None, target: str) -> None:
    """The own source has a path of its own, others are encoded strictly."""
    api.answer("GET", PRESENCE)
    get = api.client.user_presences.get
    presence = await (get("u-1") if source is None else get("u-1", source))
    assert api.lines == [f"GET {target}"]
    assert presence.presence_definition
    assert presence.presence_definition.system_presence == "ON_QUEUE"
    assert presence.extra == {"mood": {"of": "tomorrow"}}


@pytest.mark.parametrize("bad", ["", None, 5, b"u", ".", "..", "\ud800"])
async def test_bad_users_are_refused(api: FakeApi, bad: Any) -> None:
    """Every operation names `user_id` before any request, look-ups included."""
    users = api.client.user_presences
    for call in (
        users.get(bad),
        users.get(bad, "Outlook"),
        users.get_teams(bad),
        users.update(bad, message="x"),
        users.update(bad, system_presence="Busy", source="Outlook"),
        users.get_primary_source(bad),
        users.set_primary_source(bad, "PURECLOUD"),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            await call
        assert caught.value.field == "user_id"
    assert api.sent == []


@pytest.mark.parametrize("bad", ["", None, 5, ".", "..", "\ud800"])
async def test_bad_sources_are_refused(api: FakeApi, bad: Any) -> None:
    """Every operation names `source` before any request."""
    users = api.client.user_presences
    for call in (
        users.get("u", bad),
        users.update("u", source=bad, message="x"),
        users.update("u", UserPresence(message="x"), source=bad),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            await call
        assert caught.value.field == "source"
    with pytest.raises(InvalidRequestError) as refused:
        users.get_many(["u"], source=bad)
    assert refused.value.field == "source"
    assert api.sent == []


async def test_get_teams(api: FakeApi) -> None:
    """The operation of the older documents, where it still answers."""
    api.answer("GET", {"id": "u-1", "presences": [PRESENCE], "outOfOffices": []})
    expanded = await api.client.user_presences.get_teams("u-1")
    assert api.lines == ["GET /api/v2/users/u-1/presences/microsoftteams"]
    assert expanded.presences
    assert expanded.presences[0].message == ""


async def test_get_teams_explains_its_404(api: FakeApi) -> None:
    """The vendor removed it; the error says so and names today's way."""
    api.answer("GET", {"code": "not.found", "message": "HTTP 404"}, status=404)
    with pytest.raises(NotFoundError, match="removed this operation in April 2022") as caught:
        await api.client.user_presences.get_teams("u-1")
    assert "integrationPresence" in caught.value.message


DEFINITION = {"presenceDefinition": {"id": "d-q"}}


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({"primary": True}, {"primary": True}),
        ({"definition_id": "d-q"}, DEFINITION),
        ({"system_presence": "ON_QUEUE"}, DEFINITION),
        ({"message": "back soon"}, {"message": "back soon"}),
        ({"message": ""}, {"message": ""}),
        ({"message": None}, {"message": None}),
        ({"primary": True, "definition_id": "d-q"}, DEFINITION | {"primary": True}),
        ({"primary": True, "message": "m"}, {"primary": True, "message": "m"}),
        ({"system_presence": "OnQueue", "message": "m"}, DEFINITION | {"message": "m"}),
        (
            {"primary": True, "system_presence": "On Queue", "message": "ü"},
            DEFINITION | {"primary": True, "message": "ü"},
        ),
        ({"primary": False, "message": "m"}, {"primary": False, "message": "m"}),
    ],
)
@pytest.mark.parametrize("source", ["purecloud", "Outlook"])
async def test_update_with_keywords(
    api: FakeApi, changes: dict[str, Any], body: dict[str, Any], source: str
) -> None:
    """Any combination goes out as exactly these fields, with the definition's id alone."""
    if "system_presence" in changes:
        api.answer("GET", QUEUE)
    api.answer("PATCH", PRESENCE)
    changed = await api.client.user_presences.update("u-1", source=source, **changes)
    assert changed.source == "PURECLOUD"
    assert api.last.line == f"PATCH /api/v2/users/u-1/presences/{source}"
    assert api.last.json == body
    assert api.last.headers["Content-Type"] == "application/json"


async def test_update_with_a_body(api: FakeApi) -> None:
    """Read, evolve, update: what is unknown goes back as it came."""
    future = {"futurePresenceDefinition": {"id": "d-2"}}
    api.answer("GET", PRESENCE | {"id": "u-1"} | future)
    api.answer("PATCH", PRESENCE)
    presence = await api.client.user_presences.get("u-1")
    await api.client.user_presences.update("u-1", attrs.evolve(presence, message="new"))
    # Read-only fields stay at home: nobody knows that the vendor always ignores them.
    sent = {name: value for name, value in PRESENCE.items() if name != "selfUri"}
    assert api.last.json == sent | {"message": "new"}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "definition_id"),
        ({"primary": False}, "definition_id"),
        ({"presence": UserPresence()}, "presence"),
        ({"presence": UserPresence(id="u-1", self_uri="/x")}, "presence"),
        ({"presence": UserPresence(message="x"), "message": "y"}, "presence"),
        ({"presence": UserPresence(message="x"), "primary": False}, "presence"),
        ({"presence": {"message": "x"}}, "presence"),
        ({"presence": PresenceDefinition(id="d")}, "presence"),
        ({"definition_id": "d", "system_presence": "Busy"}, "system_presence"),
        ({"definition_id": ""}, "definition_id"),
        ({"definition_id": None}, "definition_id"),
        ({"system_presence": ""}, "system_presence"),
        ({"system_presence": None}, "system_presence"),
        ({"primary": None}, "primary"),
        ({"primary": "yes"}, "primary"),
        ({"message": 5}, "message"),
        ({"message": "half \ud83d"}, "message"),
    ],
)
async def test_update_refuses(api: FakeApi, arguments: dict[str, Any], field: str) -> None:
    """Nothing to change, a definition given twice and odd values are refused before sending."""
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.user_presences.update("u-1", **arguments)
    assert caught.value.field == field
    assert api.sent == []


async def test_update_names_the_missing_permission(api: FakeApi) -> None:
    """The documents list no permission for a PATCH; ours name the one it needs."""
    api.answer("PATCH", {"code": "missing.any.permissions", "message": "no"}, status=403)
    with pytest.raises(PermissionDeniedError) as caught:
        await api.client.user_presences.update("u-1", message="x")
    assert caught.value.missing_permissions == ("presence:userPresence:edit",)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_update_is_never_repeated_blindly(api: FakeApi, status: int) -> None:
    """A PATCH that may have taken effect goes out once and says so."""
    api.answer("PATCH", {}, status=status)
    with pytest.raises((ServerError, PresenceTimeoutError)) as caught:
        await api.client.user_presences.update("u-1", message="x")
    assert caught.value.outcome_unknown is True
    assert len(api.sent) == 1


PRIMARY = "/api/v2/presence/users/u-1/primarysource"


async def test_primary_source(api: FakeApi) -> None:
    """Read, and set by id, by id and kind, or by a whole body."""
    answer = {"sourceId": "PURECLOUD", "registered": False, "more": 1}
    api.answer("GET", answer)
    for _ in range(3):
        api.answer("PUT", answer)
    users = api.client.user_presences
    source = await users.get_primary_source("u-1")
    assert (source.source_id, source.extra) == ("PURECLOUD", {"more": 1})
    await users.set_primary_source("u-1", "Outlook")
    await users.set_primary_source("u-1", "s-1", registered=True)
    await users.set_primary_source("u-1", attrs.evolve(source, name="n"))
    assert api.lines == [f"GET {PRIMARY}", *[f"PUT {PRIMARY}"] * 3]
    assert [sent.json for sent in api.sent[1:]] == [
        {"sourceId": "Outlook"},
        {"sourceId": "s-1", "registered": True},
        answer | {"name": "n"},
    ]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("",), "source_id"),
        ((None,), "source_id"),
        (({"sourceId": "x"},), "source_id"),
        (("s", "yes"), "registered"),
        (("s", None), "registered"),
        ((UserPrimarySource(source_id="s"), True), "registered"),
    ],
)
async def test_set_primary_source_refuses(
    api: FakeApi, arguments: tuple[Any, ...], field: str
) -> None:
    """Odd values, and a kind given beside a whole body, are refused before sending."""
    options = {"registered": arguments[1]} if len(arguments) > 1 else {}
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.user_presences.set_primary_source("u-1", arguments[0], **options)
    assert caught.value.field == field
    assert api.sent == []


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"ids": "u-1"}, "ids"),
        ({"ids": 5}, "ids"),
        ({"ids": ["u-1", ""]}, "ids[1]"),
        ({"ids": ["u-1"] * 3 + [None]}, "ids[3]"),
        ({"ids": ["\udc80"]}, "ids[0]"),
        ({"ids": ["u"], "concurrency": 0}, "concurrency"),
        ({"ids": ["u"], "concurrency": True}, "concurrency"),
        ({"ids": ["u"], "concurrency": 2.0}, "concurrency"),
        ({"ids": ["u"], "dedupe": "some"}, "dedupe"),
        ({"ids": ["u"], "dedupe": []}, "dedupe"),
    ],
)
async def test_get_many_refuses(api: FakeApi, arguments: dict[str, Any], field: str) -> None:
    """Arguments are judged when they are given, not when the first outcome is taken."""
    with pytest.raises(InvalidRequestError) as caught:
        api.client.user_presences.get_many(**arguments)
    assert caught.value.field == field
    assert api.sent == []


async def test_get_many(api: FakeApi) -> None:
    """Ids are repeated parameters of one request; the outcome carries the row."""
    api.answer("GET", [PRESENCE | {"userId": "u/1"}])
    outcomes = await api.client.user_presences.get_many(["u/1", "u-2", "u/1"], ordered=True)
    assert api.lines == ["GET /api/v2/users/presences/purecloud/bulk?id=u%2F1&id=u-2"]
    assert [(outcome.user_id, outcome.status) for outcome in outcomes] == [
        ("u/1", "present"),
        ("u-2", "missing"),
    ]
    assert outcomes[0].presence
    assert json.loads(json.dumps(outcomes[0].presence.extra)) == {"mood": {"of": "tomorrow"}}


async def test_get_many_needs_an_open_client() -> None:
    """On a client that is not entered the first outcome is a clear error."""
    client = PresenceClient(base_url="https://api.mypurecloud.com", auth=StaticToken("t"))
    many = client.user_presences.get_many(["u"])
    with pytest.raises(ClosedError, match="async with"):
        await anext(many)
