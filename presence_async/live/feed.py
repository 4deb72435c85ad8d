"""All channels of a stream: which topics go where, and one function that hears everything.

This is the seam for whoever wants more than an iterator: each event goes to `tell` at once, in
the task that received it; nothing is queued, and nothing waits for anybody. `PresenceStream`
puts a folding queue behind it.
"""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from presence_async.errors import ClosedError, InvalidRequestError, PresenceError
from presence_async.live.outputs import Connected, Disconnected, Failed, Gap, Rejected
from presence_async.live.sharding import CHANNELS
from presence_async.live.shell import ChannelShell, Outside
from presence_async.notifications import topic_key
from presence_async.resources._base import counted
from presence_async.resources.channels import Channels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from presence_async.live.outputs import Event, StreamEvent
    from presence_async.live.sharding import Shards, Step
    from presence_async.resources._base import Send
    from presence_async.secret import Secret
    from presence_async.transport import Socket

# Requests in flight: a stream that starts, or lost all its channels, makes up to forty.
_REQUESTS: Final = 4
_OF_CHANNELS: Final = frozenset({Connected, Disconnected, Gap, Rejected, Failed})


class Session(Protocol):
    """What a feed needs of the session."""

    @property
    def adopted(self) -> Iterable[Any]:
        """What ends together with the session."""

    def adopt(self, closable: Any) -> None:
        """End it together with the session."""

    async def open_socket(self, connect_uri: Secret) -> Socket:
        """Open a socket, or ConfigurationError for an address that is not admitted."""


class Feed:
    """The channels of a stream, from `start` to `abort` or an error that nothing helps against.

    `tell` gets each event at once and must not raise; `ended` is called when there will be no
    more, and `reason` says why. The counts are those of `StreamStatistics`.
    """

    def __init__(
        self,
        session: Session,
        send: Send,
        shards: Shards,
        *,
        tell: Callable[[StreamEvent], None],
        ended: Callable[[], None],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._session = session
        self._send = send
        self._shards = shards
        self._tell = tell
        self._ended = ended
        self._chance = chance
        self._shells: list[ChannelShell] = []
        self._seen: set[int] = set()
        self._outside: Outside | None = None
        self.reason: BaseException | None = None
        self.requests = self.events = self.gaps = self.reconnects = 0

    @property
    def channels(self) -> int:
        """How many channels it has or is making."""
        return 0 if self.reason is not None else len(self._shells)

    @property
    def live(self) -> int:
        """How many of them have a socket that is proven to be alive."""
        return sum(shell.live for shell in self._shells)

    def uncovered(self, channel: int | None = None) -> list[str]:
        """The topics that are in a gap, of one channel (from 1) or of all."""
        shells = self._shells if channel is None else self._shells[channel - 1 : channel]
        return [name for shell in shells for name in shell.uncovered]

    # -- lifetime

    def start(self) -> None:
        """Begin, on the running loop.

        Raises:
            ClosedError: It was started before, or the client is closed.
            InvalidRequestError: Other streams of the client have too many channels already.
        """
        if self.reason is not None or self._outside is not None:
            raise self.reason or ClosedError("the stream is entered once")
        self._session.adopt(self)
        self._share()
        if len(self._shards) > self._shards.channels:
            raise InvalidRequestError(
                f"{len(self._shards)} channels are needed, and other streams of this client leave "
                f"{self._shards.channels} of {CHANNELS}: follow some users with client.poll",
                field="user_ids",
            )
        self._outside = Outside(
            channels=Channels(partial(counted, self, self._send)),
            open_socket=self._session.open_socket,
            gate=asyncio.Semaphore(_REQUESTS),
            chance=self._chance,
        )
        self._take(self._outside, self._shards.steps())

    def change(self, add: Iterable[str], remove: Iterable[str] = ()) -> None:
        """Follow other single topics from now on.

        Raises:
            InvalidRequestError: They are too many; nothing has changed then.
            PresenceError: It has ended, for this reason.
        """
        if self.reason is not None:
            raise self.reason
        self._share()
        steps = self._shards.change(add, remove)
        if self._outside is not None:
            self._take(self._outside, steps)

    async def abort(self, reason: PresenceError) -> None:
        """End it for a reason, and wait until no task, socket or timer is left."""
        self._end(reason)
        while tasks := [task for shell in self._shells for task in shell.tasks]:
            await asyncio.wait(tasks)

    def _end(self, reason: BaseException) -> None:
        if self.reason is not None:
            return
        self.reason = reason
        for shell in self._shells:
            shell.stop()
        self._ended()

    def _share(self) -> None:
        """The channels are those of one user: all streams of a client share them."""
        others = (one for one in self._session.adopted if isinstance(one, Feed) and one is not self)
        self._shards.channels = CHANNELS - sum(other.channels for other in others)

    def _take(self, outside: Outside, steps: Iterable[Step]) -> None:
        for channel, topics, again in steps:
            if channel < len(self._shells):
                self._shells[channel].set_topics(topics, again)
            else:
                tell = partial(self._hear, channel)
                shell = ChannelShell(topics, outside, tell=tell, fail=self._end)
                self._shells.append(shell)
                shell.start()

    # -- events

    def _hear(self, channel: int, event: Event) -> None:
        """Hand an event on, without what nobody wants any more."""
        if type(event) in _OF_CHANNELS:
            self._hear_of_channel(channel, event)  # type: ignore[arg-type]  # just seen
            return
        unheard = self._shards.unheard
        if not unheard or topic_key(event.topic) not in unheard:  # type: ignore[union-attr]
            self.events += 1
            self._tell(event)  # type: ignore[arg-type]  # a notification

    def _hear_of_channel(
        self, channel: int, event: Connected | Disconnected | Gap | Rejected | Failed
    ) -> None:
        if isinstance(event, Failed):
            self._end(self._explained(event.error))
        elif isinstance(event, Gap):
            topics = self._shards.heard(event.topics) if self._shards.unheard else event.topics
            if topics:
                self.gaps += 1
                self._tell(attrs.evolve(event, topics=topics))
        elif isinstance(event, Rejected):
            wanted = set(self._shards.heard(str(topic.id) for topic in event.topics))
            topics_left = tuple(topic for topic in event.topics if topic.id in wanted)
            if topics_left:
                self._tell(Rejected(topics_left))
        else:
            self._tell(attrs.evolve(event, channel=channel + 1))
            if isinstance(event, Connected):
                self.reconnects += channel in self._seen
                self._seen.add(channel)
            elif (step := self._shards.settle(channel)) is not None:
                self._shells[channel].set_topics(step.topics)

    def _explained(self, error: PresenceError) -> PresenceError:
        """What the vendor does not say when there is no room for combined topics."""
        if isinstance(error, InvalidRequestError) and self._shards.combined:
            error.message += (
                f"; {self._shards.topics:,} topics had to be combined to have room in {CHANNELS} "
                "channels, which may count each of them: follow some users with client.poll"
            )
        return error
