"""Notification channels, requests and answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from presence_async import (
    ChannelTopic,
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    Secret,
    ServerError,
)

if TYPE_CHECKING:
    from fake_http import FakeApi

PATH = "/api/v2/notifications/channels"
URI = "wss://streaming.mypurecloud.com/channels/streaming-4-canary"
CHANNEL: dict[str, Any] = {
    "connectUri": URI,
    "id": "streaming-4-canary",
    "expires": "2022-03-08T08:15:03.625Z",
}
TOPIC = "v2.users.u-1.presence"
REJECTED = {
    "id": "v2.users.u-2.presence",
    "state": "Rejected",
    "rejectionReason": "no",
    "missingPermissions": ["presence:userPresence:view"],
}


async def test_create(api: FakeApi) -> None:
    """The address comes as a secret, the rest typed; there is no body to send."""
    api.answer("POST", CHANNEL)
    channel = await api.client.channels.create()
    assert channel.connect_uri == Secret(URI)
    assert channel.id == "streaming-4-canary"
    assert channel.expires == datetime(2022, 3, 8, 8, 15, 3, 625_000, tzinfo=UTC)
    assert "canary" not in repr(channel)
    assert (api.lines, api.last.body) == ([f"POST {PATH}"], None)


async def test_an_address_of_another_type_is_an_error_that_hides_it(api: FakeApi) -> None:
    """Nothing is coerced, and no error holds what came."""
    api.answer("POST", CHANNEL | {"connectUri": [URI]})
    with pytest.raises(DecodeError, match="expected string, got array") as caught:
        await api.client.channels.create()
    assert caught.value.field == "connectUri"
    assert "canary" not in repr(caught.value)


async def test_create_is_not_repeated(api: FakeApi) -> None:
    """One more channel may push another one out, so a lost answer is told."""
    api.answer("POST", status=503)
    with pytest.raises(ServerError) as caught:
        await api.client.channels.create()
    assert caught.value.outcome_unknown
    assert len(api.sent) == 1


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({}, ""),
        ({"include_channels": "token"}, ""),
        ({"include_channels": "oauthclient"}, "?includechannels=oauthclient"),
    ],
)
async def test_list(api: FakeApi, options: dict[str, Any], query: str) -> None:
    """Channels of other tokens come without id and address."""
    api.answer("GET", {"entities": [CHANNEL, {"expires": None}]})
    channels = await api.client.channels.list(**options)
    assert [bool(channel.id) for channel in channels] == [True, False]
    assert api.lines == [f"GET {PATH}{query}"]


async def test_a_bad_row_of_the_list_keeps_its_id_to_itself(api: FakeApi) -> None:
    """The failure of a row does not name the channel: its id opens the socket."""
    api.answer("GET", {"entities": [CHANNEL | {"expires": 5}]})
    with pytest.raises(DecodeError) as caught:
        await api.client.channels.list()
    (failure,) = caught.value.failures
    assert (failure.field, failure.row_id) == ("expires", None)


@pytest.mark.parametrize("bad", [None, "", "TOKEN", 1])
async def test_list_refuses(api: FakeApi, bad: Any) -> None:
    """Whose channels is one of two words."""
    with pytest.raises(InvalidRequestError) as caught:
        api.client.channels.list(include_channels=bad)
    assert caught.value.field == "include_channels"


@pytest.mark.parametrize(("status", "alive"), [(200, True), (404, False)])
async def test_exists(api: FakeApi, status: int, *, alive: bool) -> None:
    """404 is an answer, not an error; there is no body either way."""
    api.answer("HEAD", body=b"", status=status)
    assert await api.client.channels.exists("c/1") is alive
    assert api.lines == [f"HEAD {PATH}/c%2F1"]


async def test_exists_fails_on_anything_else(api: FakeApi) -> None:
    """Not knowing is not the same as gone."""
    api.answer("HEAD", body=b"", status=500)
    with pytest.raises(ServerError) as caught:
        await api.client.channels.exists("c")
    assert not caught.value.outcome_unknown


async def test_list_subscriptions(api: FakeApi) -> None:
    """Recorded entries have their id only."""
    api.answer("GET", {"entities": [{"id": TOPIC}]})
    assert await api.client.channels.list_subscriptions("c") == [ChannelTopic(id=TOPIC)]
    assert api.lines == [f"GET {PATH}/c/subscriptions"]


@pytest.mark.parametrize(
    ("name", "method"), [("add_subscriptions", "POST"), ("replace_subscriptions", "PUT")]
)
@pytest.mark.parametrize(("options", "query"), [({}, ""), ({"ignore_errors": True}, "true")])
async def test_subscribe(
    api: FakeApi, name: str, method: str, options: dict[str, Any], query: str
) -> None:
    """Each topic goes out once; the answer says which were refused, and why."""
    api.answer(method, {"entities": [{"id": TOPIC, "state": "Permitted"}, REJECTED, {"id": 5}]})
    call = getattr(api.client.channels, name)
    listing = await call("c", iter([TOPIC, TOPIC.upper(), "v2.users.u-2?a&b"]), **options)
    query = query and "?ignoreErrors=true"
    assert api.lines == [f"{method} {PATH}/c/subscriptions{query}"]
    assert api.last.json == [{"id": TOPIC}, {"id": "v2.users.u-2?a&b"}]
    assert [topic.state for topic in listing.entities] == ["Permitted", "Rejected"]
    assert listing.entities[1].missing_permissions == ("presence:userPresence:view",)
    assert [failure.field for failure in listing.failures] == ["id"]


@pytest.mark.parametrize("name", ["add_subscriptions", "replace_subscriptions"])
async def test_subscribing_is_repeated(api: FakeApi, name: str) -> None:
    """The second does what the first did, so a lost answer is no reason to fail."""
    method = "POST" if name == "add_subscriptions" else "PUT"
    api.answer(method, status=503)
    api.answer(method, {"entities": []})
    await getattr(api.client.channels, name)("c", [TOPIC])
    assert len(api.sent) == 2


async def test_a_refusal_names_the_permission(api: FakeApi) -> None:
    """Without ignore_errors one topic fails them all, with 403."""
    body = {"code": "missing.permissions", "message": "[presence:userPresence:view]"}
    api.answer("POST", body, status=403)
    with pytest.raises(PermissionDeniedError) as caught:
        await api.client.channels.add_subscriptions("c", [TOPIC])
    assert caught.value.missing_permissions == ("presence:userPresence:view",)


@pytest.mark.parametrize(
    ("topics", "field"),
    [
        (None, "topics"),
        (5, "topics"),
        (TOPIC, "topics"),
        (b"x", "topics"),
        ([TOPIC, 5], "topics[1]"),
        ([""], "topics[0]"),
        (["x" * 200], "topics[0]"),
        ([TOPIC, "channel.metadata"], "topics[1]"),
        (["v2.system.socket_closing"], "topics[0]"),
        ([f"v2.users.u{n}.presence" for n in range(1001)], "topics"),
    ],
)
async def test_bad_topics_are_refused(api: FakeApi, topics: Any, field: str) -> None:
    """Before any request, and by name."""
    for call in (api.client.channels.add_subscriptions, api.client.channels.replace_subscriptions):
        with pytest.raises(InvalidRequestError) as caught:
            await call("c", topics)
        assert caught.value.field == field
    assert api.sent == []


async def test_a_thousand_of_the_longest_topics_fit_into_a_request(api: FakeApi) -> None:
    """The vendor takes 512,000 bytes."""
    api.answer("PUT", {})
    topics = [f"{n:0199d}" for n in range(1000)]
    assert (await api.client.channels.replace_subscriptions("c", topics)).entities == ()
    assert len(api.last.body or b"") < 512_000


async def test_bad_flags_are_refused(api: FakeApi) -> None:
    """A word is not a flag."""
    bad: Any = "true"
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.channels.add_subscriptions("c", [TOPIC], ignore_errors=bad)
    assert caught.value.field == "ignore_errors"
    with pytest.raises(InvalidRequestError) as caught:
        api.client.channels.list_available_topics(include_preview=bad)
    assert caught.value.field == "include_preview"


@pytest.mark.parametrize("status", [200, 204])
async def test_delete_subscriptions(api: FakeApi, status: int) -> None:
    """Which status it has is documented nowhere."""
    api.answer("DELETE", body=b"", status=status)
    assert await api.client.channels.delete_subscriptions("c") is None
    assert api.lines == [f"DELETE {PATH}/c/subscriptions"]


async def test_available_topics(api: FakeApi) -> None:
    """Every field that can be asked for is typed."""
    api.answer(
        "GET",
        {
            "entities": [
                {
                    "id": "v2.users.{id}.presence",
                    "schema": {"type": "object"},
                    "transports": ["All"],
                    "permissionDetails": [
                        {"type": "requiresPermissions", "permissions": ["a"], "enforced": True}
                    ],
                }
            ]
        },
    )
    (topic,) = await api.client.channels.list_available_topics(
        expand=["schema", "permissionDetails"], include_preview=False
    )
    assert topic.schema == {"type": "object"}
    assert topic.transports == ("All",)
    assert topic.permission_details
    assert topic.permission_details[0].permissions == ("a",)
    query = "expand=schema&expand=permissionDetails&includePreview=false"
    assert api.lines == [f"GET /api/v2/notifications/availabletopics?{query}"]


async def test_available_topics_by_default(api: FakeApi) -> None:
    """What is the vendor's default is not sent."""
    api.answer("GET", {"entities": []})
    assert await api.client.channels.list_available_topics() == []
    assert api.lines == ["GET /api/v2/notifications/availabletopics"]
    with pytest.raises(InvalidRequestError):
        api.client.channels.list_available_topics(expand="schema")


@pytest.mark.parametrize("bad", ["", None, "."])
async def test_bad_ids_are_refused(api: FakeApi, bad: Any) -> None:
    """An id that cannot stand in a path is named."""
    channels = api.client.channels
    for call in (
        channels.exists(bad),
        channels.add_subscriptions(bad, []),
        channels.replace_subscriptions(bad, []),
        channels.delete_subscriptions(bad),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            await call
        assert caught.value.field == "channel_id"
    with pytest.raises(InvalidRequestError):
        channels.list_subscriptions(bad)
    assert api.sent == []


async def test_a_channel_that_is_gone(api: FakeApi) -> None:
    """Everything but `exists` says so with an error that does not name the channel."""
    api.answer("GET", {"code": "not.found", "message": "gone"}, status=404)
    with pytest.raises(NotFoundError) as caught:
        await api.client.channels.list_subscriptions("canary")
    assert "canary" not in repr(caught.value)
