"""Channels, topics and the bodies of events."""

import pickle

import pytest

from presence_async.models import (
    AgentActivityEvent,
    AvailableTopic,
    Channel,
    ChannelTopicEntityListing,
    PresenceDefinition,
    PresenceEventUserPresence,
    SystemMessageEvent,
    SystemPresenceName,
)
from presence_async.secret import MASK, Secret

URI = "wss://streaming.mypurecloud.com/channels/streaming-4-canary"


def test_repr_hides_what_opens_the_socket():
    """Neither the address of the socket nor the id it ends in is shown."""
    channel = Channel(connect_uri=Secret(URI), id="streaming-4-canary")
    assert "canary" not in repr(channel)
    assert repr(channel) == f"Channel(connect_uri=Secret('{MASK}'), id='{MASK}')"
    assert repr(Channel(id=None)) == "Channel(id=None)"
    assert (str(channel.connect_uri), channel.id) == (MASK, "streaming-4-canary")


def test_a_channel_with_an_address_is_not_pickled():
    """A credential does not end up in a file by accident."""
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Channel(connect_uri=Secret(URI)))


def test_schemas_have_no_part_in_the_hash():
    """A topic is hashable although its JSON schema is a dict."""
    assert hash(AvailableTopic(id="t", schema={"type": "object"})) == hash(AvailableTopic(id="t"))


def test_listings_start_empty():
    """A listing has no rows and no failures until it is given some."""
    listing = ChannelTopicEntityListing()
    assert (listing.entities, listing.failures) == ((), ())


def test_an_event_says_the_same_as_a_read():
    """The definition of an event compares with that of a presence that was read."""
    event = PresenceEventUserPresence(
        presence_definition=PresenceDefinition(
            id="d", system_presence=SystemPresenceName("ON_QUEUE")
        )
    )
    read = PresenceDefinition(id="d", system_presence=SystemPresenceName("On Queue"))
    assert event.presence_definition == read


def test_system_messages_hide_the_channel():
    """The id of the channel is masked here as it is in a channel."""
    message = SystemMessageEvent(channel_id="canary", reason="user_tokens_revoked")
    assert "canary" not in repr(message)
    assert "user_tokens_revoked" in repr(message)


def test_events_with_objects_in_them_are_hashable():
    """What the vendor sent as a dict has no part in the hash."""
    assert hash(AgentActivityEvent(id="u", routing_status={"status": "IDLE"})) == hash(
        AgentActivityEvent(id="u")
    )
