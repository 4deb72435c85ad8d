"""What the machine of a channel wants done, and what it has to say. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from presence_async.notifications import Notification, shown_topic, split_topic

if TYPE_CHECKING:
    from presence_async.errors import PresenceError
    from presence_async.models import ChannelTopic
    from presence_async.secret import Secret

__all__ = [
    "CloseSocket",
    "Command",
    "Connected",
    "CreateChannel",
    "Disconnected",
    "Event",
    "Failed",
    "Folded",
    "Gap",
    "OpenSocket",
    "Output",
    "Reason",
    "Rejected",
    "SendText",
    "StreamEvent",
    "Subscribe",
]

Reason: TypeAlias = Literal[
    "closed", "closing", "silent", "unsubscribed", "revoked", "expired", "gone"
]
"""What ended a socket."""

# -- commands


@attrs.frozen
class CreateChannel:
    """Make a channel; answered by `channel_created` or `request_failed`."""

    request: int


@attrs.frozen
class Subscribe:
    """Add topics, or replace all, with `ignore_errors`; answered by `subscribed` or as above."""

    request: int
    channel_id: str = attrs.field(repr=False)
    topics: tuple[str, ...]
    replace: bool


@attrs.frozen
class OpenSocket:
    """Open the socket; answered by `socket_opened` or `socket_refused`."""

    socket: int
    connect_uri: Secret


@attrs.frozen
class SendText:
    """Send a text over the open socket."""

    socket: int
    text: str


@attrs.frozen
class CloseSocket:
    """Close a socket, open or not yet; whatever it still says is ignored."""

    socket: int


Command: TypeAlias = CreateChannel | Subscribe | OpenSocket | SendText | CloseSocket

# -- events


@attrs.frozen
class Connected:
    """The socket is proven to be alive.

    Attributes:
        channel: Which of the channels of a stream, from 1.
    """

    channel: int = 0


@attrs.frozen
class Disconnected:
    """There is no live socket any more; events since its latest frame may be lost.

    Attributes:
        since: When that was.
        reason: What ended it.
        channel: Which, from 1.
    """

    since: float
    reason: Reason
    channel: int = 0


@attrs.frozen
class Gap:
    """Events of these topics may have been missed; from now on they arrive. Read the users now.

    Attributes:
        since: When it began, by the loop's clock; `PresenceStream.when` has the datetime.
        until: When it ended.
        topics: The topics, as they were asked for.
    """

    since: float
    until: float
    topics: tuple[str, ...]

    @property
    def users(self) -> tuple[str, ...]:
        """The users these topics are about, each once."""
        found = (split_topic(topic) for topic in self.topics)
        return tuple(dict.fromkeys(topic.user_id for topic in found if topic))


@attrs.frozen
class Rejected:
    """Topics that were not subscribed, told once; the others are."""

    topics: tuple[ChannelTopic, ...]


@attrs.frozen
class Folded:
    """A slow consumer's marker: the next notification stands for others that are gone.

    Attributes:
        topic: Its topic.
        count: How many there were before it that were never taken.
    """

    topic: str = attrs.field(repr=shown_topic)
    count: int


@attrs.frozen
class Failed:
    """The end: nothing will help against this error."""

    error: PresenceError


Event: TypeAlias = Connected | Disconnected | Gap | Rejected | Failed | Notification
Output: TypeAlias = Command | Event
StreamEvent: TypeAlias = Connected | Disconnected | Gap | Rejected | Folded | Notification
"""What a stream gives."""
