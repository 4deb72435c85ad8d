"""Notification channels against the simulator: operations, limits, and what its sockets say."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from support import client_for

from presence_async import (
    ActivityNotification,
    ClosingNotice,
    InvalidRequestError,
    NotFoundError,
    OtherNotification,
    PermissionDeniedError,
    PresenceNotification,
    Secret,
    StaticToken,
    SystemPresenceName,
    user_topic,
)
from presence_async.notifications import PING, Heartbeat, read_notification
from presence_async.simulator import Simulator, Switches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from presence_async import Channel, PresenceClient


async def channel_of(client: PresenceClient) -> str:
    """The id of a new channel."""
    channel = await client.channels.create()
    assert isinstance(channel.id, str)
    return channel.id


def topics_of(ids: list[str]) -> list[str]:
    """The presence topic of each user."""
    return [user_topic(user_id, "presence") for user_id in ids]


async def subscribed(client: PresenceClient, channel_id: str) -> list[Any]:
    """What a channel has, as the vendor tells it."""
    return [topic.id for topic in await client.channels.list_subscriptions(channel_id)]


async def test_a_channel_from_start_to_end(sim: Simulator, client: PresenceClient) -> None:
    """Made, listed, alive for 24 hours, then gone; its address is one that may be opened."""
    channel = await client.channels.create()
    assert isinstance(channel.connect_uri, Secret)
    assert client._session._config.endpoints.admits_socket(channel.connect_uri)
    assert isinstance(channel.expires, datetime)
    start = datetime.fromtimestamp(asyncio.get_running_loop().wall(), UTC)  # type: ignore[attr-defined]
    assert timedelta(hours=23.9) < channel.expires - start <= timedelta(hours=24)
    assert await client.channels.list() == [channel]
    assert isinstance(channel.id, str)
    assert await client.channels.exists(channel.id)
    await asyncio.sleep(24 * 3600)
    assert not await client.channels.exists(channel.id)
    assert await client.channels.list() == []


async def test_subscriptions(sim: Simulator, client: PresenceClient) -> None:
    """Added once, replaced by others, and removed altogether."""
    channel_id = await channel_of(client)
    first, second = topics_of(sim.user_ids[:2])
    both = user_topic(sim.user_ids[2], "presence", "routingStatus")
    listing = await client.channels.add_subscriptions(channel_id, [first, first.upper()])
    assert [(topic.id, bool(topic.state)) for topic in listing.entities] == [(first, False)]
    await client.channels.add_subscriptions(channel_id, [second])
    assert await subscribed(client, channel_id) == [first, second]
    await client.channels.replace_subscriptions(channel_id, [both])
    assert await subscribed(client, channel_id) == [both]
    await client.channels.delete_subscriptions(channel_id)
    assert await subscribed(client, channel_id) == []
    assert await client.channels.exists(channel_id)


async def test_deleting_with_either_status() -> None:
    """200 and 204 are both success."""
    async with (
        Simulator(users=1, switches=Switches(subscriptions_delete_status=204)) as simulator,
        client_for(simulator) as client,
    ):
        channel_id = await channel_of(client)
        await client.channels.add_subscriptions(channel_id, topics_of(simulator.user_ids))
        await client.channels.delete_subscriptions(channel_id)
        assert await subscribed(client, channel_id) == []


@pytest.mark.parametrize("name", ["add_subscriptions", "replace_subscriptions"])
async def test_subscribing_extends_the_life(client: PresenceClient, name: str) -> None:
    """A channel lives for 24 hours from the last subscribe call."""
    channel_id = await channel_of(client)
    await asyncio.sleep(20 * 3600)
    await getattr(client.channels, name)(channel_id, [])
    await asyncio.sleep(20 * 3600)
    assert await client.channels.exists(channel_id)
    await asyncio.sleep(4 * 3600)
    assert not await client.channels.exists(channel_id)


@pytest.fixture
async def strict() -> AsyncIterator[Simulator]:
    """A simulator where other users' topics need a permission."""
    switches = Switches(presence_topic_permission=True)
    async with Simulator(users=3, switches=switches) as simulator:
        yield simulator


async def test_a_topic_that_is_not_allowed(strict: Simulator) -> None:
    """It fails them all, or is left out and said so, as one asks."""
    mine, other, _ = topics_of(strict.user_ids)
    token = strict.issue_token(user_id=strict.user_ids[0], permissions=())
    async with client_for(strict, auth=StaticToken(token)) as client:
        channel_id = await channel_of(client)
        for call in (client.channels.add_subscriptions, client.channels.replace_subscriptions):
            with pytest.raises(PermissionDeniedError) as caught:
                await call(channel_id, [mine, other])
            assert caught.value.missing_permissions == ("presence:userPresence:view",)
            assert await subscribed(client, channel_id) == []
        listing = await client.channels.add_subscriptions(
            channel_id, [mine, other], ignore_errors=True
        )
        assert [(topic.id, topic.state) for topic in listing.entities] == [
            (mine, "Permitted"),
            (other, "Rejected"),
        ]
        assert listing.entities[1].missing_permissions == ("presence:userPresence:view",)
        assert await subscribed(client, channel_id) == [mine]


async def test_who_may_see_what_can_be_asked(sim: Simulator, strict: Simulator) -> None:
    """The kinds of topics tell the permissions they take."""
    for simulator, needed in ((sim, False), (strict, True)):
        async with client_for(simulator) as client:
            topics = await client.channels.list_available_topics(expand=["permissionDetails"])
            details = {topic.id: topic.permission_details for topic in topics}
            assert bool(details["v2.users.{id}.presence"]) is needed
            assert not details["v2.users.{id}.station"]
            plain = await client.channels.list_available_topics(include_preview=False)
            assert {topic.id for topic in plain} == set(details)


async def test_the_vendor_refuses_what_we_let_through(
    sim: Simulator, client: PresenceClient
) -> None:
    """A topic it does not know, and more than a thousand on a channel, are its own 400."""
    channel_id = await channel_of(client)
    with pytest.raises(InvalidRequestError) as caught:
        await client.channels.add_subscriptions(channel_id, ["v2.unheard.of"])
    assert caught.value.code == "notification.invalid.topic"
    many = topics_of([f"user-{n}" for n in range(1000)])
    assert len((await client.channels.add_subscriptions(channel_id, many)).entities) == 1000
    with pytest.raises(InvalidRequestError) as caught:
        await client.channels.add_subscriptions(channel_id, topics_of(["one-more"]))
    assert caught.value.code == "notification.subscription.too.many.subscriptions"
    assert len(await subscribed(client, channel_id)) == 1000


@pytest.mark.parametrize(("counting", "fits"), [("once", True), ("each", False)])
async def test_combined_topics_count_either_way(counting: Any, *, fits: bool) -> None:
    """Whether a thousand combined topics fit, the vendor decides; it says so either way."""
    switches = Switches(combined_topics_count=counting)
    many = [user_topic(f"user-{n}", "presence", "activity") for n in range(1000)]
    async with Simulator(users=1, switches=switches) as simulator, client_for(simulator) as client:
        channel_id = await channel_of(client)
        if fits:
            await client.channels.add_subscriptions(channel_id, many)
            assert len(await subscribed(client, channel_id)) == 1000
        else:
            with pytest.raises(InvalidRequestError, match="1000"):
                await client.channels.add_subscriptions(channel_id, many)


async def test_nothing_is_sent_for_topics_that_cannot_be(
    sim: Simulator, client: PresenceClient
) -> None:
    """What comes by itself, and more than a thousand, are refused before any request."""
    channel_id = await channel_of(client)
    before = sim.count()
    for topics in (
        ["channel.metadata"],
        ["v2.system.socket_closing"],
        topics_of([f"user-{n}" for n in range(1001)]),
    ):
        with pytest.raises(InvalidRequestError):
            await client.channels.replace_subscriptions(channel_id, topics)
    assert sim.count() == before


async def test_a_channel_that_is_gone(client: PresenceClient) -> None:
    """`exists` answers, everything else fails with 404."""
    assert not await client.channels.exists("gone")
    calls = client.channels
    for call in (
        calls.add_subscriptions("gone", []),
        calls.replace_subscriptions("gone", []),
        calls.delete_subscriptions("gone"),
        calls.list_subscriptions("gone"),
    ):
        with pytest.raises(NotFoundError):
            await call


async def test_one_channel_too_many(client: PresenceClient) -> None:
    """The twenty-first evicts the one that was not used for longest."""
    ids = [await channel_of(client) for _ in range(20)]
    await client.channels.add_subscriptions(ids[0], [])
    newest = await channel_of(client)
    alive = [channel.id for channel in await client.channels.list()]
    assert alive == [ids[0], *ids[2:], newest]
    assert not await client.channels.exists(ids[1])


async def test_channels_of_other_tokens(sim: Simulator) -> None:
    """Of the client's other tokens one learns that there are channels, and no more."""
    async with client_for(sim) as one, client_for(sim) as other:
        mine = await channel_of(one)
        await channel_of(other)
        assert [channel.id for channel in await one.channels.list()] == [mine]
        everyone = await one.channels.list(include_channels="oauthclient")
        assert [(bool(channel.id), bool(channel.expires)) for channel in everyone] == [
            (True, True),
            (False, True),
        ]


# -- what comes over the socket of a channel


class Listener:
    """A plain WebSocket on a channel, read frame by frame."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def next(self) -> Any:
        """The next notification."""
        return read_notification(await self.socket.receive_str())


@pytest.fixture
async def channel(sim: Simulator, client: PresenceClient) -> Channel:
    """A channel with the first user's presence, activity and integration presence."""
    made = await client.channels.create()
    assert isinstance(made.id, str)
    topic = user_topic(sim.user_ids[0], "presence", "activity", "integrationpresence", "station")
    await client.channels.add_subscriptions(made.id, [topic])
    return made


@pytest.fixture
async def listener(channel: Channel) -> AsyncIterator[Listener]:
    """A socket on it."""
    assert isinstance(channel.connect_uri, Secret)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(channel.connect_uri.reveal()) as socket,
    ):
        yield Listener(socket)


async def test_events_are_typed(sim: Simulator, client: PresenceClient, listener: Listener) -> None:
    """A change arrives under the single names, and says what a read of it says."""
    user_id = sim.user_ids[0]
    await client.user_presences.update(user_id, system_presence="On Queue", message="hello")
    presence, activity = await listener.next(), await listener.next()
    assert isinstance(presence, PresenceNotification)
    assert isinstance(activity, ActivityNotification)
    assert presence.user_id == activity.user_id == user_id
    assert presence.correlation_id
    (read,) = await client.bulk.get([user_id])
    assert read.presence
    assert presence.body.presence_definition
    assert read.presence.presence_definition
    name = presence.body.presence_definition.system_presence
    assert name == read.presence.presence_definition.system_presence == "OnQueue"
    assert isinstance(name, SystemPresenceName)
    assert presence.body.modified_date == read.presence.modified_date
    assert activity.body.presence
    texts = presence.body.message, activity.body.presence.presence_message, read.presence.message
    assert texts == ("hello",) * 3


async def test_heartbeat_pong_and_closing_notice(sim: Simulator, listener: Listener) -> None:
    """What the vendor says about the socket is told apart."""
    await listener.socket.send_str(PING)
    assert isinstance(await listener.next(), Heartbeat)
    assert isinstance(await listener.next(), Heartbeat)
    sim.sockets.notice()
    assert type(await listener.next()) is ClosingNotice


@pytest.mark.parametrize("text", ["{", "[]", '{"topicName":5}', '{"result":"200"}'])
async def test_whatever_comes_is_read(sim: Simulator, listener: Listener, text: str) -> None:
    """Garbage and answers nobody documents are values, and the next frame is read as ever."""
    sim.sockets.send(text)
    found = await listener.next()
    assert isinstance(found, OtherNotification) is ("result" in text)
    await listener.socket.send_str(PING)
    assert isinstance(await listener.next(), Heartbeat)


async def test_the_address_is_nowhere_to_be_seen(
    sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """No log, no record of the hook and no error of an operation names the channel."""
    caplog.set_level(logging.DEBUG, logger="presence_async")
    records: list[Any] = []
    async with client_for(sim, hook=records.append) as client:
        channel = await client.channels.create()
        channel_id = str(channel.id)
        await client.channels.add_subscriptions(channel_id, [])
        await client.channels.exists(channel_id)
        with pytest.raises(InvalidRequestError) as caught:
            await client.channels.add_subscriptions(channel_id, ["v2.unheard.of"])
        sim.sockets.expire()
        with pytest.raises(NotFoundError) as gone:
            await client.channels.delete_subscriptions(channel_id)
    assert isinstance(channel.connect_uri, Secret)
    shown = [repr(records), caplog.text, repr(channel), str(channel)]
    shown += [repr(caught.value), str(caught.value), repr(gone.value)]
    assert len(records) > 4
    for text in shown:
        assert channel_id not in text
