"""The eight operations of notification channels over HTTP."""

import asyncio
import re
from typing import Any

import pytest
from unit.simulator.lab import CHANNELS, Lab, OpenLab

from presence_async.simulator import Switches
from presence_async.simulator.channels import CHANNELS as MOST_CHANNELS
from presence_async.simulator.channels import LIFETIME_SECONDS
from presence_async.simulator.services import PRESENCE_VIEW

AVAILABLE = "/api/v2/notifications/availabletopics"
DAY = LIFETIME_SECONDS


def one(channel: dict[str, Any]) -> str:
    """Return the path of a channel."""
    return f"{CHANNELS}/{channel['id']}"


def topics(*users: str) -> list[str]:
    """Return the presence topics of users."""
    return [f"v2.users.{user}.presence" for user in users]


async def subscribed(lab: Lab, channel: dict[str, Any]) -> Any:
    """Return the subscriptions as the API lists them."""
    reply = await lab.call("GET", f"{one(channel)}/subscriptions")
    assert reply.status == 200
    return reply.json


async def test_create(open_lab: OpenLab):
    """A channel has the recorded fields: address, id as its last segment, and its end."""
    lab = await open_lab()
    reply = await lab.call("POST", CHANNELS)
    assert reply.status == 200
    channel = reply.json
    assert set(channel) == {"connectUri", "id", "expires"}
    assert re.fullmatch(r"streaming-4-[a-z0-9]{26}", channel["id"])
    assert channel["connectUri"] == f"{lab.sim.streaming_url}/channels/{channel['id']}"
    assert channel["connectUri"].startswith("ws://127.0.0.1:")
    assert channel["expires"] == "2026-01-02T00:00:00.000Z"


@pytest.mark.parametrize("body", [b"", b"{}", b"not json"])
async def test_create_takes_no_body(open_lab: OpenLab, body: bytes):
    """Whatever a body holds and is declared as, it is not looked at."""
    lab = await open_lab()
    reply = await lab.call("POST", CHANNELS, body=body, headers={"Content-Type": "text/plain"})
    assert reply.status == 200


async def test_list(open_lab: OpenLab):
    """By default the channels of the token; with `oauthclient` others exist without their id."""
    lab = await open_lab()
    mine = await lab.channel()
    lab.loop.advance(60)
    token = lab.sim.issue_token()
    other = await lab.channel(token=token)
    await lab.channel(token=lab.sim.issue_token(user_id=lab.user))
    for query in ("", "?includechannels=token"):
        assert (await lab.call("GET", CHANNELS + query)).json == {"entities": [mine]}
    reply = await lab.call("GET", f"{CHANNELS}?includechannels=oauthclient")
    assert reply.json == {"entities": [mine, {"expires": other["expires"]}]}
    reply = await lab.call("GET", f"{CHANNELS}?includechannels=oauthclient", token=token)
    assert reply.json == {"entities": [{"expires": mine["expires"]}, other]}
    reply = await lab.call("GET", f"{CHANNELS}?includechannels=everybody")
    assert (reply.status, reply.code) == (400, "invalid.value")


async def test_head(open_lab: OpenLab):
    """200 for a living channel, 404 for any other, both without a body."""
    lab = await open_lab()
    channel = await lab.channel()
    for target, status in ((one(channel), 200), (f"{CHANNELS}/gone", 404)):
        reply = await lab.call("HEAD", target)
        assert (reply.status, reply.body) == (status, b"")
        assert reply.headers["ININ-Correlation-Id"]
    lab.loop.advance(DAY)
    lab = Lab(lab.sim, lab.http, lab.sim.issue_token())
    assert (await lab.call("HEAD", one(channel))).status == 404


async def test_subscriptions(open_lab: OpenLab):
    """POST adds, PUT replaces, DELETE clears, and each answer has the ids as they were written."""
    lab = await open_lab()
    channel = await lab.channel()
    assert await subscribed(lab, channel) == {"entities": []}
    a, b, c = topics("a", "B", "c")
    reply = await lab.subscribe(channel["id"], [a, b])
    assert (reply.status, reply.json) == (200, {"entities": [{"id": a}, {"id": b}]})
    reply = await lab.subscribe(channel["id"], [b.upper(), c])
    assert reply.json == {"entities": [{"id": a}, {"id": b}, {"id": c}]}
    assert await subscribed(lab, channel) == reply.json
    reply = await lab.subscribe(channel["id"], [c, "v2.users.a?presence&station"], "PUT")
    assert reply.status == 200
    entities = [{"id": c}, {"id": "v2.users.a?presence&station"}]
    assert await subscribed(lab, channel) == reply.json == {"entities": entities}
    reply = await lab.call("DELETE", f"{one(channel)}/subscriptions")
    assert (reply.status, reply.body) == (200, b"")
    assert await subscribed(lab, channel) == {"entities": []}


async def test_delete_answers_by_switch(open_lab: OpenLab):
    """The status of the DELETE is a switch."""
    lab = await open_lab(switches=Switches(subscriptions_delete_status=204))
    channel = await lab.channel(*topics("a"))
    reply = await lab.call("DELETE", f"{one(channel)}/subscriptions")
    assert (reply.status, reply.body) == (204, b"")
    assert await subscribed(lab, channel) == {"entities": []}


OPERATIONS = [
    ("HEAD", "", None),
    ("GET", "/subscriptions", None),
    ("POST", "/subscriptions", []),
    ("PUT", "/subscriptions", []),
    ("DELETE", "/subscriptions", None),
]


@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS)
async def test_channels_of_others(open_lab: OpenLab, method: str, path: str, body: Any):
    """A token of another user or application gets 404, one of the same user and app does not."""
    lab = await open_lab()
    lab.sim.add_client("other", "s")
    owner = lab.sim.issue_token(user_id=lab.user)
    channel = await lab.channel(token=owner)
    same = lab.sim.issue_token(user_id=lab.user)
    options: dict[str, Any] = {} if body is None else {"json": body}
    for token in (owner, same):
        assert (await lab.call(method, one(channel) + path, token=token, **options)).status == 200
    strangers = (
        lab.token,
        lab.sim.issue_token(user_id=lab.sim.user_ids[1]),
        lab.sim.issue_token("other", lab.user),
    )
    for token in strangers:
        reply = await lab.call(method, one(channel) + path, token=token, **options)
        assert reply.status == 404
    for target in (f"{CHANNELS}/gone{path}", f"{CHANNELS}/%2e%2e{path}"):
        assert (await lab.call(method, target, **options)).status == 404


@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS)
async def test_a_token_is_needed(open_lab: OpenLab, method: str, path: str, body: Any):
    """The id alone is good for the socket only."""
    lab = await open_lab()
    channel = await lab.channel()
    options: dict[str, Any] = {} if body is None else {"json": body}
    reply = await lab.call(method, one(channel) + path, token=None, **options)
    assert reply.status == 401


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'"v2.users.a.presence"',
        b'["v2.users.a.presence"]',
        b"[null]",
        b"[{}]",
        b'[{"id": null}]',
        b'[{"id": 7}]',
        b'[{"id": " "}]',
        b'[{"id": "v2.users.a.presence", "state": 7}]',
        b'[{"id": "v2.users.a.presence", "rejectionReason": []}]',
    ],
)
async def test_bad_bodies(open_lab: OpenLab, method: str, body: bytes):
    """Anything but an array of topics is a 400, and nothing changes."""
    lab = await open_lab()
    channel = await lab.channel(*topics("kept"))
    target = f"{one(channel)}/subscriptions?ignoreErrors=true"
    reply = await lab.call(method, target, body=body)
    assert (reply.status, reply.code) == (400, "bad.request")
    assert await subscribed(lab, channel) == {"entities": [{"id": topics("kept")[0]}]}
    reply = await lab.call(method, target, body=b"[]", headers={"Content-Type": "text/plain"})
    assert (reply.status, reply.code) == (415, "unsupported.media.type")
    reply = await lab.call(method, target, body=b"[" + b" " * 512_000 + b"]")
    assert (reply.status, reply.code) == (413, "request.entity.too.large")


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("name", ["nonsense", "v2.users.a." + "x" * 200, "v2.system.token_revoked"])
async def test_bad_topics(open_lab: OpenLab, method: str, name: str):
    """One bad topic fails the call; with `ignoreErrors` each topic gets its state."""
    lab = await open_lab()
    channel = await lab.channel()
    (good,) = topics("a")
    reply = await lab.subscribe(channel["id"], [good, name], method)
    assert (reply.status, reply.code) == (400, "notification.invalid.topic")
    assert await subscribed(lab, channel) == {"entities": []}
    for spelling in ("true", "True"):
        query = f"?ignoreErrors={spelling}"
        reply = await lab.subscribe(channel["id"], [good, name], method, query=query)
        accepted, rejected = reply.json["entities"]
        assert (reply.status, accepted) == (200, {"id": good, "state": "Permitted"})
        assert set(rejected) == {"id", "state", "rejectionReason"}
        assert (rejected["id"], rejected["state"]) == (name, "Rejected")
    assert await subscribed(lab, channel) == {"entities": [{"id": good}]}
    reply = await lab.subscribe(channel["id"], [good], method, query="?ignoreErrors=maybe")
    assert (reply.status, reply.code) == (400, "invalid.value")


async def test_topics_that_are_not_permitted(open_lab: OpenLab):
    """By switch others' presence needs a permission: 403, or a rejected topic that names it."""
    lab = await open_lab(switches=Switches(presence_topic_permission=True))
    token = lab.sim.issue_token(user_id=lab.user, permissions=[])
    channel = await lab.channel(*topics(lab.user), token=token)
    (others,) = topics(lab.sim.user_ids[1])
    reply = await lab.subscribe(channel["id"], [others], token=token)
    assert (reply.status, reply.code) == (403, "missing.permissions")
    query = "?ignoreErrors=true"
    reply = await lab.subscribe(channel["id"], [others], token=token, query=query)
    rejected = reply.json["entities"][1]
    assert rejected.pop("rejectionReason")
    assert rejected == {
        "id": others,
        "state": "Rejected",
        "missingPermissions": [PRESENCE_VIEW],
    }
    granted = lab.sim.issue_token(user_id=lab.user, permissions=[PRESENCE_VIEW])
    assert (await lab.subscribe(channel["id"], [others], token=granted)).status == 200


async def test_no_permission_is_needed_by_default(open_lab: OpenLab):
    """A token without any permission may have channels and watch everybody."""
    lab = await open_lab()
    token = lab.sim.issue_token(permissions=[])
    channel = await lab.channel(*topics(*lab.sim.user_ids), token=token)
    assert (await lab.call("HEAD", one(channel), token=token)).status == 200
    assert (await lab.call("GET", AVAILABLE, token=token)).status == 200


async def test_too_many_topics(open_lab: OpenLab):
    """Beyond a thousand the call fails as a whole, ignoreErrors or not."""
    lab = await open_lab()
    channel = await lab.channel(*topics(*map(str, range(1000))))
    for query in ("", "?ignoreErrors=true"):
        reply = await lab.subscribe(channel["id"], topics("more"), query=query)
        assert reply.status == 400
        assert reply.code == "notification.subscription.too.many.subscriptions"
    assert (await lab.subscribe(channel["id"], topics("more"), "PUT")).status == 200


async def test_expiry_moves_with_subscribing(open_lab: OpenLab):
    """POST and PUT give another 24 hours; DELETE, GET, HEAD and a socket do not."""
    lab = await open_lab(token_lifetime=10 * DAY)
    channel = await lab.channel()

    async def expires() -> Any:
        return (await lab.call("GET", CHANNELS)).json["entities"][0]["expires"]

    for method, end in (("POST", "2026-01-02T01"), ("PUT", "2026-01-02T02")):
        lab.loop.advance(3600)
        await lab.subscribe(channel["id"], topics("a"), method)
        assert (await expires()).startswith(f"{end}:00:00")
    before = await expires()
    lab.loop.advance(3600)
    await lab.call("DELETE", f"{one(channel)}/subscriptions")
    await subscribed(lab, channel)
    await lab.call("HEAD", one(channel))
    await (await lab.connect(channel)).socket.close()
    assert await expires() == before
    lab.loop.advance(DAY - 3600 - 1)
    assert (await lab.call("HEAD", one(channel))).status == 200
    lab.loop.advance(1)
    for method, path, body in OPERATIONS:
        options: dict[str, Any] = {} if body is None else {"json": body}
        assert (await lab.call(method, one(channel) + path, **options)).status == 404
    assert (await lab.call("GET", CHANNELS)).json == {"entities": []}


async def test_the_twenty_first_channel_evicts_one(open_lab: OpenLab):
    """The least recently used one goes, unconnected ones first; a socket of it is closed."""
    lab = await open_lab()
    made = [await lab.channel() for _ in range(MOST_CHANNELS)]
    stranger = await lab.channel(token=lab.sim.issue_token(user_id=lab.user))
    ears = [await lab.connect(made[0])]
    await lab.subscribe(made[1]["id"], [])
    await lab.call("HEAD", one(made[2]))  # looking is no use
    await lab.channel()
    alive = [channel["id"] for channel in (await lab.call("GET", CHANNELS)).json["entities"]]
    assert [channel["id"] in alive for channel in made] == [True, True, False] + [True] * 17
    ears += [await lab.connect(channel) for channel in [*made[3:], made[1]]]
    ears += [await lab.connect({**made[0], "id": alive[-1], "connectUri": _uri(lab, alive[-1])})]
    assert len(lab.sim.sockets.connected) == MOST_CHANNELS
    await lab.channel()
    assert await ears[0].end() == 1001
    await asyncio.sleep(0.01)
    assert made[0]["id"] not in lab.sim.sockets.connected
    assert stranger["id"] in {channel.id for channel in lab.sim.channels.all()}


def _uri(lab: Lab, channel_id: str) -> str:
    return f"{lab.sim.streaming_url}/channels/{channel_id}"


async def test_available_topics(open_lab: OpenLab):
    """The published list with any expansions, in either array style; unknown ones are a 400."""
    lab = await open_lab()
    plain = (await lab.call("GET", AVAILABLE)).json["entities"]
    assert {"id": "v2.users.{id}.presence"} in plain
    assert all(set(topic) == {"id"} for topic in plain)
    for query in ("expand=enforced&expand=description", "expand=enforced%2Cdescription"):
        reply = await lab.call("GET", f"{AVAILABLE}?{query}&includePreview=True")
        assert all(
            set(topic) == {"id", "enforced", "description"} for topic in reply.json["entities"]
        )
    for query, code in (("expand=colour", "bad.request"), ("includePreview=7", "invalid.value")):
        reply = await lab.call("GET", f"{AVAILABLE}?{query}")
        assert (reply.status, reply.code) == (400, code)


@pytest.mark.parametrize(("needed", "names"), [(False, []), (True, [PRESENCE_VIEW])])
async def test_available_topics_publish_the_permission(
    open_lab: OpenLab, names: list[str], *, needed: bool
):
    """`permissionDetails` is the place to ask what watching others needs."""
    lab = await open_lab(switches=Switches(presence_topic_permission=needed))
    reply = await lab.call("GET", f"{AVAILABLE}?expand=requiresPermissions")
    assert reply.json["entities"][0]["requiresPermissions"] == names


async def test_other_methods(open_lab: OpenLab):
    """There is no operation to delete a channel, or to read one."""
    lab = await open_lab()
    channel = await lab.channel()
    for method in ("DELETE", "GET", "PUT"):
        reply = await lab.call(method, one(channel))
        assert (reply.status, reply.headers["Allow"]) == (405, "HEAD")


async def test_listening_everywhere(open_lab: OpenLab):
    """Bound to every address, sockets are announced on the host the client came by."""
    lab = await open_lab(host="0.0.0.0")  # noqa: S104  that is the point
    port = lab.sim.streaming_url.rpartition(":")[2]
    base = lab.sim.base_url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    for host, shown in (
        ("sim.test:8080", "sim.test"),
        ("[::1]:80", "[::1]"),
        ("sim.test", "sim.test"),
    ):
        headers = {"Authorization": f"Bearer {lab.token}", "Host": host}
        async with lab.http.post(
            f"{base}/api/v2/notifications/channels", headers=headers
        ) as answer:
            made = await answer.json()
        assert made["connectUri"] == f"ws://{shown}:{port}/channels/{made['id']}"
