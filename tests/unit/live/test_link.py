"""A channel and its socket, and how long the machine bears with them."""

from presence_async.live.link import ChannelLink, SocketLink, Timing
from presence_async.secret import Secret

TIMING = Timing(silence=40, pong=10, opening=30)


def test_a_channel_is_renewed_at_half_of_its_life():
    """Each subscribe call starts the life anew."""
    channel = ChannelLink("c", Secret("wss://x"))
    channel.extend(100, 50)
    assert (channel.expires_at, channel.renew_at) == (150, 125)
    assert "'c'" not in repr(channel)


def test_a_socket_may_be_silent_for_a_while():
    """It has a time to open, a time without a frame, and a time to answer a ping."""
    socket = SocketLink(1, 100)
    assert socket.patience(TIMING) == 130
    socket.state = "open"
    assert socket.patience(TIMING) == 140
    socket.pinged_at = 140
    assert socket.patience(TIMING) == 150


def test_only_a_live_socket_has_lived():
    """What counts is the time since the first frame."""
    socket = SocketLink(1, 100, live_since=90)
    assert socket.lived(200) == 0
    socket.state = "live"
    assert socket.lived(200) == 110
