"""One channel and its socket: what happened in; what to do, and what to say, out. Pure.

The shell around it owns the socket, the requests and the clock. It calls one method for whatever
happened, with the time, carries out the commands among the outputs and hands the events on; at
`deadline` it calls `tick`.

- Commands that something answers have a number, and the answer carries it. An answer to what was
  given up is ignored.
- What is missing is looked for after every input (`_advance`): no channel, ask for one; no
  socket, open it; topics not subscribed, subscribe. There is no other order of events.
- Subscriptions belong to the channel and survive its sockets. They are made again for each
  socket all the same: that they were taken away is said over a socket only, once.
- The vendor closes a channel's first socket when a second one connects, and what went where in
  between nobody says; so the first is closed before the next is opened.
- A socket counts from its first frame, which a ping calls for. All that was sent to it until
  its latest frame has arrived; from then on, topics that no such socket covers are in a gap. The
  `Gap` is told when it is over, since that is when reading the users helps. The first begins
  with `start`.

The vendor's facts: a heartbeat about every 30 seconds (koodaamo/genesys-notifications alarms
after 40); a closing notice a minute before the end, upon which the same address is opened again
(.NET and Java SDKs); 24 hours of life, extended by subscribing; upgrades of what is gone refused.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final, Literal

from presence_async.errors import (
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PresenceError,
)
from presence_async.live.coverage import Coverage
from presence_async.live.link import ChannelLink, SocketLink, Timing
from presence_async.live.outputs import (
    CloseSocket,
    Connected,
    CreateChannel,
    Disconnected,
    Failed,
    Gap,
    OpenSocket,
    SendText,
    Subscribe,
)
from presence_async.notifications import (
    PING,
    PLAIN,
    ClosingNotice,
    SystemNotification,
    UndecodableFrame,
    read_notification,
)
from presence_async.retry import backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from presence_async.live.outputs import Output, Reason
    from presence_async.models import ChannelTopic
    from presence_async.secret import Secret

# No repetition helps against these.
_FINAL: Final = (
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    InvalidRequestError,
    PermissionDeniedError,
)
# Refused upgrades that say nothing about the channel.
_PASSING: Final = frozenset({408, 429})
# Sockets in a row that never said a word, after which the channel is given up.
_MUTE_SOCKETS: Final = 3


class ChannelMachine:
    """One channel with at most a thousand topics, from `start` to `close` or `Failed`."""

    def __init__(
        self, topics: Iterable[str], *, chance: Callable[[], float], timing: Timing | None = None
    ) -> None:
        self._coverage = Coverage(topics)
        self._chance = chance
        self._timing = timing or Timing()
        self._numbers = count(1)
        self._now = 0.0
        self._phase: Literal["new", "running", "closed"] = "new"
        self._changed = True
        self._removed = False
        self._replacing = False
        self._channel: ChannelLink | None = None
        self._request: int | None = None
        self._asked: tuple[str, ...] = ()
        # Since when a subscribe call is unanswered; it may have taken topics away as well.
        self._doubt: float | None = None
        self._ask_at = 0.0
        self._failures = 0
        self._socket: SocketLink | None = None
        self._open_at = 0.0
        self._setbacks = 0
        self._mute = 0

    @property
    def live(self) -> bool:
        """Whether there is a socket that is proven to be alive."""
        return self._socket is not None and self._socket.state == "live"

    @property
    def uncovered(self) -> tuple[str, ...]:
        """The topics that are in a gap."""
        return self._coverage.uncovered

    @property
    def deadline(self) -> float | None:
        """When to call `tick`, unless something happens before; None for never."""
        if self._phase != "running":
            return None
        times, channel, socket = [], self._channel, self._socket
        if self._request is None and self._can_ask:
            renew_at = 0.0 if channel is None or self._changed else channel.renew_at
            times.append(max(self._ask_at, renew_at))
        if channel is not None:
            times.append(channel.expires_at)
            if socket is None:
                times.append(self._open_at)
        if socket is not None:
            times.append(socket.patience(self._timing))
        return min(times, default=None)

    # -- what happens

    def start(self, now: float) -> list[Output]:
        """Begin; the first gap does, too."""
        self._now = now
        if self._phase == "new":
            self._phase = "running"
            self._coverage.begin(now)
        return self._advance()

    def tick(self, now: float) -> list[Output]:
        """Time has passed."""
        self._pass(now)
        return self._advance()

    def set_topics(
        self, now: float, topics: Iterable[str], again: Iterable[str] = ()
    ) -> list[Output]:
        """Subscribe to these from now on; nobody has heard those of them that come again."""
        self._pass(now)
        missing, removed = self._coverage.change(topics, again, self._now)
        self._changed, self._removed = self._changed or missing or removed, self._removed or removed
        return [*self._cover(), *self._advance()]

    def channel_created(
        self, now: float, request: int, channel_id: str, connect_uri: Secret, life: float
    ) -> list[Output]:
        """There is a channel for `life` seconds."""
        self._pass(now)
        if self._answered(request):
            self._channel = ChannelLink(channel_id, connect_uri)
            self._channel.extend(self._now, life)
        return self._advance()

    def subscribed(
        self, now: float, request: int, rejected: Iterable[ChannelTopic] = ()
    ) -> list[Output]:
        """A subscribe call was answered; `rejected_topics` tells what was not taken."""
        self._pass(now)
        out: list[Output] = []
        channel, doubt = self._channel, self._doubt
        if self._answered(request) and channel is not None and doubt is not None:
            self._replacing, self._doubt = False, None
            channel.extend(self._now, self._timing.life)
            out += self._coverage.grant(self._asked, rejected, doubt)
            out += self._cover()
        return out + self._advance()

    def request_failed(self, now: float, request: int, error: PresenceError) -> list[Output]:
        """A request failed, after all the attempts the session makes."""
        self._pass(now)
        failures = self._failures
        if not self._answered(request):
            return self._advance()
        if isinstance(error, _FINAL):
            return [*self._end(), Failed(error)]
        if self._channel is not None and isinstance(error, NotFoundError):
            return self._drop("gone") + self._advance()
        self._changed, self._removed = True, self._removed or self._replacing
        self._failures = failures + 1
        pause = backoff(self._failures, self._chance(), self._timing.pause)
        self._ask_at = self._now + max(pause, error.retry_after or 0.0)
        return self._advance()

    def socket_opened(self, now: float, socket: int) -> list[Output]:
        """The upgrade succeeded; a ping calls for the first frame."""
        self._pass(now)
        current = self._current(socket)
        if current is None or current.state != "opening":
            return self._advance()
        current.state, current.heard_at = "open", self._now
        return [SendText(socket, PING), *self._advance()]

    def socket_refused(self, now: float, socket: int, status: int | None) -> list[Output]:
        """The upgrade was refused with a status, or with None did not come about."""
        self._pass(now)
        if self._current(socket):
            self._socket = None
            if status is not None and 400 <= status < 500 and status not in _PASSING:
                return self._drop("gone") + self._advance()
            self._open_at = self._setback()
        return self._advance()

    def socket_closed(self, now: float, socket: int) -> list[Output]:
        """The socket ended, with a goodbye or without."""
        self._pass(now)
        out = self._lose("closed", ended=True) if self._current(socket) else []
        return out + self._advance()

    def received(self, now: float, socket: int, text: str | bytes) -> list[Output]:
        """A frame arrived."""
        self._pass(now)
        current = self._socket  # as `_current` has it: frames are many
        if current is None or current.number != socket or current.state == "opening":
            return self._advance()
        before = current.heard_at
        current.heard_at, current.pinged_at = self._now, None
        out: list[Output] = []
        if current.state == "open":
            current.state, current.live_since, self._mute = "live", self._now, 0
            out += [Connected(), *self._cover()]
        notification = read_notification(text)
        if type(notification) in PLAIN:
            out.append(notification)  # makes nothing due, and this is what is done most
        elif isinstance(notification, (SystemNotification, UndecodableFrame)):
            out += [notification, *self._consequences(notification, current, before)]
            out += self._advance()
        return out

    def close(self, now: float) -> list[Output]:
        """End it; nothing is said or done afterwards."""
        self._pass(now)
        return self._end()

    # -- what follows

    def _pass(self, now: float) -> None:
        self._now = max(self._now, now)

    def _advance(self) -> list[Output]:
        """Look for what is missing or overdue, and command it."""
        if self._phase != "running":
            return []
        out = self._watch()
        if self._channel is not None and self._now >= self._channel.expires_at:
            out += self._drop("expired")
        if self._channel is not None and self._socket is None and self._now >= self._open_at:
            self._socket = SocketLink(next(self._numbers), self._now)
            out.append(OpenSocket(self._socket.number, self._channel.connect_uri))
        if self._request is None and self._can_ask and self._now >= self._ask_at:
            out += self._ask()
        return out

    def _watch(self) -> list[Output]:
        """Ask a silent socket for a sign of life; give it up when there is none."""
        socket = self._socket
        if socket is None or self._now < socket.patience(self._timing):
            return []
        if socket.state != "live" or socket.pinged_at is not None:
            return self._lose("silent")
        socket.pinged_at = self._now
        return [SendText(socket.number, PING)]

    @property
    def _can_ask(self) -> bool:
        """A channel is made for topics, and they are subscribed to when its socket is open."""
        if self._channel is None:
            return bool(self._coverage.wanted)
        return self._socket is not None and self._socket.state != "opening"

    def _ask(self) -> list[Output]:
        """Make the request that is due, if one is."""
        channel, socket, wanted = self._channel, self._socket, self._coverage.wanted
        if channel is None or socket is None:
            self._request = next(self._numbers)
            return [CreateChannel(self._request)]
        if not self._changed and self._now < channel.renew_at:
            return []
        self._request = next(self._numbers)
        self._asked = tuple(wanted)
        self._replacing, self._changed, self._removed = self._removed, False, False
        self._doubt = socket.heard_at if self._doubt is None else self._doubt
        if self._replacing:
            # Nobody says that what stays is never without a subscription in between.
            self._coverage.lose(self._doubt)
        return [Subscribe(self._request, channel.id, tuple(wanted.values()), self._replacing)]

    def _answered(self, request: int) -> bool:
        """Whether this is the answer to the request under way, which it then ends."""
        if self._request != request:
            return False
        self._request, self._failures = None, 0
        return True

    def _current(self, number: int) -> SocketLink | None:
        return self._socket if self._socket and self._socket.number == number else None

    def _consequences(
        self, notification: SystemNotification | UndecodableFrame, socket: SocketLink, before: float
    ) -> list[Output]:
        """What a frame means for the channel itself."""
        if isinstance(notification, UndecodableFrame):
            # Without a topic it may have been about anyone.
            topics = (notification.topic,) if notification.user_id else self._coverage.covered
            return [Gap(before, self._now, topics)] if topics else []
        if isinstance(notification, ClosingNotice):
            return self._lose("closing", at_once=True)
        lost = notification.kind == "no_longer_subscribed"
        if self._is_ours(notification) and (lost or notification.kind == "token_revoked"):
            socket.heard_at = before  # it was so when this was said
            # The socket is given up as well: what is told and done then is told and done here.
            return self._lose("unsubscribed") if lost else self._drop("revoked")
        return []

    def _forget(self, since: float) -> None:
        """Subscribe again; the answer to a call that is under way may be older than this."""
        self._coverage.lose(since if self._doubt is None else min(since, self._doubt))
        self._coverage.forget()
        self._doubt = None
        self._changed, self._request = True, None
        self._removed, self._replacing = self._removed or self._replacing, False

    def _is_ours(self, notification: SystemNotification) -> bool:
        channel_id = notification.body.channel_id
        return not channel_id or (self._channel is not None and channel_id == self._channel.id)

    def _cover(self) -> list[Gap]:
        return self._coverage.cover(self._now) if self.live and not self._replacing else []

    def _lose(self, reason: Reason, *, ended: bool = False, at_once: bool = False) -> list[Output]:
        """Give up the socket; another one follows, at once or after a while."""
        socket = self._socket
        if socket is None:
            return []
        out: list[Output] = [] if ended else [CloseSocket(socket.number)]
        if socket.state == "live":
            out.append(Disconnected(socket.heard_at, reason))
        self._forget(socket.heard_at)
        self._mute += socket.state == "open"
        self._open_at = self._setback(at_once=at_once)
        self._socket = None
        return out + (self._drop("gone") if self._mute >= _MUTE_SOCKETS else [])

    def _drop(self, reason: Reason) -> list[Output]:
        """Give up the channel, and its socket; another one follows after a while."""
        out = self._lose(reason)
        self._mute = 0
        self._forget(self._now)
        self._channel = None
        # Where a socket was lost, that was the setback.
        self._ask_at = max(self._ask_at, self._open_at if out else self._setback())
        self._open_at = self._now
        return out

    def _setback(self, *, at_once: bool = False) -> float:
        """When to try again: later each time, until a socket has lived for a while."""
        if self._socket is not None and self._socket.lived(self._now) >= self._timing.stable:
            self._setbacks = 0
        self._setbacks += 1
        if at_once and self._setbacks == 1:
            return self._now
        return self._now + backoff(self._setbacks, self._chance(), self._timing.pause)

    def _end(self) -> list[Output]:
        socket, self._socket = self._socket, None
        self._phase, self._channel, self._request = "closed", None, None
        return [] if socket is None else [CloseSocket(socket.number)]
