"""Who keeps silent for too long: one timer for all exchanges that wait for their answers.

aiohttp sets a timer anew for every piece of an answer, a twentieth of what a request costs.
Here each exchange only notes when the other side was last heard.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import Protocol


class Connection(Protocol):
    """What an exchange goes over."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """None once it has been given back."""


class Silence:
    """The exchanges that wait, each under the task that makes it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        # Since when, and for whom.
        self._waiting: dict[asyncio.Task[object] | None, tuple[float, Connection]] = {}
        self._broken: set[asyncio.Task[object] | None] = set()
        self._timer: asyncio.TimerHandle | None = None
        # The timer outlives the exchange that sets it: it keeps nobody's context variables.
        self._context = contextvars.Context()

    def begin(self, connection: Connection) -> None:
        """The request of the running task is out: from now on an answer is due."""
        now = self._loop.time()
        self._waiting[asyncio.current_task()] = now, connection
        if self._timer is None:
            self._arm(now + self._seconds)

    def heard(self) -> None:
        """More of the answer came; nothing to note unless it was begun here."""
        task = asyncio.current_task()
        if task in self._waiting:
            self._waiting[task] = self._loop.time(), self._waiting[task][1]

    def end(self) -> bool:
        """The exchange is over; True when its connection was broken off here."""
        task = asyncio.current_task()
        self._waiting.pop(task, None)
        if task in self._broken:
            self._broken.remove(task)
            return True
        return False

    def close(self) -> None:
        """Drop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, when: float) -> None:
        self._timer = self._loop.call_at(when, self._look, context=self._context)

    def _look(self) -> None:
        """Break off who is due; look again at the earliest moment that is left."""
        self._timer = None
        now = self._loop.time()
        for task, (since, connection) in list(self._waiting.items()):
            if since + self._seconds <= now:
                del self._waiting[task]
                self._broken.add(task)
                if connection.transport is not None:
                    connection.transport.abort()
        if self._waiting:
            self._arm(min(since for since, _ in self._waiting.values()) + self._seconds)
