"""The vendor's SDK on notification channels: section 11 of the reference."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import aiohttp
import orjson
import pytest
from contract.vendor import NOW, SDK, ApiException, Bench, built_in, error_of, reference

AT = datetime.fromtimestamp(NOW, UTC)


def topics(*names: str) -> list[object]:
    """Topics to subscribe to."""
    found = []
    for name in names:
        topic = SDK.ChannelTopic()
        topic.id = name
        found.append(topic)
    return found


def subscribed(bench: Bench, channel_id: str) -> list[str]:
    """The topics of a channel."""
    listing = bench.notifications.get_notifications_channel_subscriptions(channel_id)
    assert isinstance(listing, SDK.ChannelTopicEntityListing)
    return [one.id for one in listing.entities]


@pytest.fixture
def channel(bench: Bench) -> str:
    """The id of a channel."""
    return bench.notifications.post_notifications_channels().id


@pytest.fixture
def topic(bench: Bench) -> str:
    """The presence topic of a user."""
    return f"v2.users.{bench.user}.presence"


def test_post_notifications_channels(bench: Bench):
    """A channel lives for a day; the SDK sends `null` for the body it does not have."""
    made = bench.notifications.post_notifications_channels()
    assert bench.last.body in (b"", b"null")
    assert isinstance(made, SDK.Channel)
    assert made.connect_uri.startswith("ws://")
    assert made.connect_uri.endswith(f"/channels/{made.id}")
    assert abs(made.expires - AT - timedelta(days=1)) < timedelta(seconds=1)


def test_get_notifications_channels(bench: Bench, channel: str):
    """The token's own channels, and of others of its OAuth client only that they exist."""
    listing = bench.notifications.get_notifications_channels()
    assert isinstance(listing, SDK.ChannelEntityListing)
    assert [one.id for one in listing.entities] == [channel]
    assert listing.entities[0].connect_uri.endswith(channel)
    bench.sign_in(None, "presence:settings:view")
    assert bench.notifications.get_notifications_channels().entities == []
    listing = bench.notifications.get_notifications_channels(includechannels="oauthclient")
    assert [(one.id, one.connect_uri) for one in listing.entities] == [(None, None)]
    assert listing.entities[0].expires > AT


def test_head_notifications_channel(bench: Bench, channel: str):
    """200 while it is alive, 404 once it is gone, and no body either way."""
    assert bench.notifications.head_notifications_channel(channel) is None
    with pytest.raises(ApiException) as caught:
        bench.notifications.head_notifications_channel("gone")
    assert (caught.value.status, caught.value.body) == (404, "")


def test_post_notifications_channel_subscriptions(bench: Bench, channel: str, topic: str):
    """Topics are added to those already there."""
    add = bench.notifications.post_notifications_channel_subscriptions
    answer = add(channel, topics(topic))
    assert [(one.id, one.state) for one in answer.entities] == [(topic, None)]
    add(channel, topics(f"v2.users.{bench.user}?activity&routingStatus"))
    assert set(subscribed(bench, channel)) == {
        topic,
        f"v2.users.{bench.user}?activity&routingStatus",
    }


def test_post_notifications_channel_subscriptions_with_errors(
    bench: Bench, channel: str, topic: str
):
    """One bad topic fails the call, or is marked when errors are to be ignored."""
    add = bench.notifications.post_notifications_channel_subscriptions
    wanted = topics(topic, "v2.users.nothing")
    with pytest.raises(ApiException) as caught:
        add(channel, wanted)
    assert error_of(caught) == (400, "notification.invalid.topic")
    answer = add(channel, wanted, ignore_errors=True)
    assert bench.last.target.endswith("?ignoreErrors=true")
    assert {one.id: one.state for one in answer.entities} == {
        topic: "Permitted",
        "v2.users.nothing": "Rejected",
    }
    assert answer.entities[-1].rejection_reason


def test_put_notifications_channel_subscriptions(bench: Bench, channel: str, topic: str):
    """Topics are replaced."""
    replace = bench.notifications.put_notifications_channel_subscriptions
    replace(channel, topics(topic, f"v2.users.{bench.user}.activity"))
    replace(channel, topics(topic))
    assert subscribed(bench, channel) == [topic]


def test_get_notifications_channel_subscriptions(bench: Bench, channel: str):
    """A new channel has no topics; one that never was is a 404."""
    assert subscribed(bench, channel) == []
    with pytest.raises(ApiException) as caught:
        subscribed(bench, "gone")
    assert error_of(caught) == (404, "not.found")


def test_delete_notifications_channel_subscriptions(bench: Bench, channel: str, topic: str):
    """All topics go; the channel stays."""
    bench.notifications.post_notifications_channel_subscriptions(channel, topics(topic))
    assert bench.notifications.delete_notifications_channel_subscriptions(channel) is None
    assert subscribed(bench, channel) == []


def test_get_notifications_availabletopics(bench: Bench):
    """The published topics, with whatever parts are asked for."""
    found = bench.notifications.get_notifications_availabletopics(
        expand=["description", "permissionDetails"], include_preview=True
    )
    assert isinstance(found, SDK.AvailableTopicEntityListing)
    by_id = {one.id: one for one in found.entities}
    assert by_id["v2.users.{id}.presence"].description
    plain = bench.notifications.get_notifications_availabletopics()
    assert {one.id for one in plain.entities} == set(by_id)


def test_an_event_is_what_the_sdk_has_a_model_for(bench: Bench, topic: str):
    """A change made by the SDK arrives on the socket, in its own event model."""
    channel = bench.notifications.post_notifications_channels()
    bench.notifications.post_notifications_channel_subscriptions(channel.id, topics(topic))

    async def listen() -> dict[str, object]:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(channel.connect_uri) as socket,
        ):
            body = SDK.UserPresence()
            body.presence_definition = reference("On Queue")
            await asyncio.to_thread(bench.presence.patch_user_presences_purecloud, bench.user, body)
            return orjson.loads(await socket.receive_str(timeout=5))

    frame = asyncio.run(listen())
    assert frame["topicName"] == topic
    answer = SimpleNamespace(
        data=orjson.dumps(frame["eventBody"]), getheader=lambda _: "application/json"
    )
    event = bench.client.deserialize(answer, "PresenceEventUserPresence")
    assert (event.source, event.primary, event.message) == ("PURECLOUD", True, "")
    assert event.modified_date == AT
    assert event.presence_definition.id == built_in("On Queue")
    assert event.presence_definition.system_presence == "ON_QUEUE"
