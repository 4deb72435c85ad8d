"""The calls in flight: one deadline each, and a way to end them all when the client closes.

`asyncio.timeout` costs 6 to 9 µs a call, most of it for a timer that hardly ever fires. Here
one timer, set for the earliest deadline, stands for all. A call is cancelled as `asyncio.timeout`
does it, so that a cancellation by somebody else is never mistaken for ours.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING

from presence_async.errors import ClosedError, PresenceError, PresenceTimeoutError

if TYPE_CHECKING:
    from presence_async.auth import Token
    from presence_async.config import CallOptions, Lane
    from presence_async.pacing import Pacer
    from presence_async.wire import Request


class Call:
    """One call in flight and what is known about it so far."""

    __slots__ = (
        "attempts",
        "cancelling",
        "deadline",
        "interruption",
        "lane",
        "max_wait",
        "maybe_applied",
        "number",
        "pacer",
        "replayed",
        "request",
        "retries",
        "started",
        "task",
        "token",
    )

    def __init__(
        self,
        request: Request,
        options: CallOptions,
        number: int,
        now: float,
        pacer: Pacer | None = None,
    ) -> None:
        task = asyncio.current_task()
        if task is None:
            raise ClosedError("the client works inside an asyncio task only")
        self.request = request
        self.number = number
        self.started = now
        self.deadline = now + options.timeout
        self.max_wait = options.max_wait
        self.pacer = pacer
        self.lane: Lane = options.lane or ("interactive" if pacer is None else pacer.lane)
        self.retries = options.retries
        self.attempts = 0  # wire requests made
        self.replayed = False  # the one replay after a 401 is spent
        self.maybe_applied = False  # a write left, and nobody knows what became of it
        self.interruption: PresenceError | None = None
        self.task = task
        self.token: Token  # that of the last wire request
        self.cancelling = task.cancelling()

    def latest(self, now: float) -> float:
        """Loop time up to which this call is willing to wait, starting now."""
        return min(self.deadline, now + self.max_wait)

    def interrupt(self, reason: PresenceError) -> None:
        """End the call with `reason`, at its current await."""
        if self.interruption is None:
            self.interruption = reason
            self.task.cancel()


class Calls:
    """All calls of one session."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: set[Call] = set()
        self._timer: asyncio.TimerHandle | None = None
        # The timer outlives the call that sets it: it keeps nobody's context variables.
        self._context = contextvars.Context()
        self._drained: asyncio.Event | None = None

    def enter(self, call: Call) -> None:
        """Watch over `call` from now on."""
        self._calls.add(call)
        if self._timer is None or call.deadline < self._timer.when():
            self._arm(call.deadline)

    def leave(self, call: Call) -> PresenceError | None:
        """Stop watching `call`; why its cancellation was ours, if it was. Safe to repeat."""
        if call not in self._calls:
            return None
        self._calls.remove(call)
        if self._drained is not None and not self._calls:
            self._drained.set()
        if call.interruption is None or call.task.uncancel() > call.cancelling:
            return None
        return call.interruption

    async def drained(self) -> None:
        """Return once no call is left; only after `close`."""
        if self._calls:
            self._drained = asyncio.Event()
            await self._drained.wait()

    def close(self, reason: ClosedError) -> None:
        """Interrupt every call with a copy of `reason` and drop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for call in self._calls:
            call.interrupt(ClosedError(reason.message))

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._sweep, context=self._context)

    def _sweep(self) -> None:
        """Interrupt who is due; look again at the earliest deadline that is left."""
        self._timer = None
        now = self._loop.time()
        earliest: float | None = None
        for call in self._calls:
            if call.deadline <= now:
                call.interrupt(
                    PresenceTimeoutError(f"no answer within {call.deadline - call.started:g} s")
                )
            elif earliest is None or call.deadline < earliest:
                earliest = call.deadline
        if earliest is not None:
            self._arm(earliest)
