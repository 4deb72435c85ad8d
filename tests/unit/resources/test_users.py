"""The organization's users, requests and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from presence_async import InvalidRequestError

if TYPE_CHECKING:
    from fake_http import FakeApi

ADA: dict[str, Any] = {"id": "u-1", "name": "Ada", "state": "active", "chat": {"jabberId": "x"}}
PATH = "/api/v2/users"


async def test_list_by_number(api: FakeApi) -> None:
    """Page after page by number, links ignored."""
    for number in (1, 2):
        api.answer(
            "GET",
            {
                "entities": [ADA | {"id": f"u-{number}"}],
                "pageCount": 2,
                "nextUri": "https://evil.test/next",
            },
        )
    assert [user.id async for user in api.client.users.list()] == ["u-1", "u-2"]
    assert api.lines == [
        f"GET {PATH}?pageNumber=1&pageSize=100&state=active",
        f"GET {PATH}?pageNumber=2&pageSize=100&state=active",
    ]


async def test_list_with_everything(api: FakeApi) -> None:
    """Arrays go out as repeated parameters."""
    api.answer(
        "GET",
        {
            "entities": [
                ADA | {"presence": {"source": "PURECLOUD"}, "integrationPresence": None},
                ADA,
            ],
            "pageCount": 1,
        },
    )
    users = await api.client.users.list(
        page_size=2,
        state="any",
        ids=iter(["u-1", "u/2"]),
        sort_order="descending",
        expand=("presence", "integrationPresence"),
        integration_presence_source="MicrosoftTeams",
    )
    assert api.lines == [
        (
            f"GET {PATH}?pageNumber=1&pageSize=2&state=any&id=u-1&id=u%2F2&sortOrder=descending"
            "&expand=presence&expand=integrationPresence"
            "&integrationPresenceSource=MicrosoftTeams"
        )
    ]
    assert users[0].presence
    assert users[0].presence.source == "PURECLOUD"
    # Best effort at the vendor: null and missing are both no presence.
    assert [bool(user.integration_presence) for user in users] == [False, False]
    assert users[0].extra == {"chat": {"jabberId": "x"}}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"page_size": 0}, "page_size"),
        ({"page_size": 501}, "page_size"),
        (
            {
                "page_size": 101,
                "expand": ["presence"],
                "integration_presence_source": "ZoomPhone",
            },
            "page_size",
        ),
        ({"state": "asleep"}, "state"),
        ({"state": None}, "state"),
        ({"state": []}, "state"),
        ({"sort_order": "sideways"}, "sort_order"),
        ({"sort_order": ""}, "sort_order"),
        ({"ids": "u-1"}, "ids"),
        ({"ids": ["u-1", ""]}, "ids[1]"),
        ({"expand": "presence"}, "expand"),
        ({"expand": [None]}, "expand[0]"),
        ({"integration_presence_source": "ZoomPhone"}, "integration_presence_source"),
        (
            {"expand": ["presence"], "integration_presence_source": ""},
            "integration_presence_source",
        ),
    ],
)
async def test_list_refuses(api: FakeApi, arguments: dict[str, Any], field: str) -> None:
    """A bad argument is refused where it is given, and named."""
    with pytest.raises(InvalidRequestError) as caught:
        api.client.users.list(**arguments)
    assert caught.value.field == field
    assert api.sent == []


async def test_me(api: FakeApi) -> None:
    """The user of the token, plain and expanded."""
    api.answer("GET", ADA)
    api.answer("GET", ADA)
    assert (await api.client.users.me()).id == "u-1"
    await api.client.users.me(
        expand=["integrationPresence"], integration_presence_source="RingCentral"
    )
    assert api.lines == [
        f"GET {PATH}/me",
        f"GET {PATH}/me?expand=integrationPresence&integrationPresenceSource=RingCentral",
    ]


async def test_me_of_a_token_without_user(api: FakeApi) -> None:
    """A client-credentials token has no user; the vendor's code says so."""
    api.answer("GET", {"code": "not.a.user", "message": "no", "status": 400}, status=400)
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.users.me()
    assert caught.value.code == "not.a.user"


async def test_me_refuses(api: FakeApi) -> None:
    """An integration without the expansion it belongs to is refused."""
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.users.me(integration_presence_source="ZoomPhone")
    assert caught.value.field == "integration_presence_source"
    assert api.sent == []
