"""From accepted changes to frames on sockets: best effort, in order, never twice."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import attrs

from presence_async.simulator.events import body_of, frame, suffixes_of
from presence_async.simulator.identity import Numbering, chance_for
from presence_async.simulator.topics import topic_key, topic_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async.simulator.changes import Change
    from presence_async.simulator.channels import Channel, Channels
    from presence_async.simulator.organization import Organization


@attrs.frozen
class _Due:
    """One event on its way to the channels that had subscribed when it was raised."""

    at: float
    channels: tuple[Channel, ...]
    text: bytes


class Broadcast:
    """Delivers events a moment after the change; who has no socket then never hears of them.

    A channel gets an event once, however many of its entries cover the topic.

    Args:
        organization: Whose changes are told.
        channels: Who listens.
        delay: Seconds until an event is delivered, or a callable returning them; an event
            never overtakes an earlier one.
        loss: Chance of an event being lost on its way, drawn by seed.
        seed: Which events are lost, and their correlation ids.

    Attributes:
        delivered: Frames handed to sockets.
        lost: Frames lost by chance, or for want of a socket that still sends.
    """

    def __init__(
        self,
        *,
        organization: Organization,
        channels: Channels,
        delay: float | Callable[[], float],
        loss: float,
        seed: int,
    ) -> None:
        self.delivered = 0
        self.lost = 0
        self._organization = organization
        self._channels = channels
        self._delay = delay
        self._loss = loss
        self._seed = seed
        self._correlation_ids = Numbering(seed, "event")
        self._drawn = 0
        self._due: deque[_Due] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Listen to the organization."""
        self._organization.listeners.append(self._raise)

    def stop(self) -> None:
        """Listen no more and forget what is on its way; again is harmless."""
        if self._raise in self._organization.listeners:
            self._organization.listeners.remove(self._raise)
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _raise(self, change: Change) -> None:
        if not self._channels.watched:
            return
        for suffix in suffixes_of(change):
            subscribers = self._channels.subscribers(topic_key(change.user_id, suffix))
            if subscribers:
                body = body_of(self._organization, change, suffix)
                name = topic_name(change.user_id, suffix)
                text = frame(name, body, self._correlation_ids.next())
                self._send(subscribers, text)

    def _send(self, channels: tuple[Channel, ...], text: bytes) -> None:
        loop = asyncio.get_running_loop()
        delay = self._delay() if callable(self._delay) else self._delay
        at = loop.time() + delay
        self._due.append(_Due(at, channels, text))
        if self._timer is None:
            self._timer = loop.call_at(at, self._deliver)

    def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        while self._due and self._due[0].at <= loop.time():
            event = self._due.popleft()
            for channel in event.channels:
                sink = channel.sink
                if sink is not None and not self._strikes() and sink.send(event.text):
                    self.delivered += 1
                else:
                    self.lost += 1
        self._timer = loop.call_at(self._due[0].at, self._deliver) if self._due else None

    def _strikes(self) -> bool:
        if not self._loss:
            return False
        self._drawn += 1
        return chance_for(self._seed, "event", self._drawn) < self._loss
