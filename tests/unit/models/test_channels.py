"""Channels and topics: values like any other, but for what opens a socket."""

import pickle

import pytest

from presence_async.models import AvailableTopic, Channel, ChannelTopicEntityListing
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


def test_listing_starts_empty():
    """A listing has no rows and no failures until it is given some."""
    listing = ChannelTopicEntityListing()
    assert (listing.entities, listing.failures) == ((), ())
