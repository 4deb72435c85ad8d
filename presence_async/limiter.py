"""Permits: how many requests the token may still make, and the queue of those who wait.

The vendor counts 300 requests in a minute for a token and says nothing about its windows.
A request may have reached its counter at any moment until its response came, so a permit
comes back a whole window and a margin after the response; with no response, a little
later still, counted from when we gave up. Counting from the send instead let 319 requests
into a rolling minute when latency varied.

`Ledger` is the accounting, pure: time comes in. `Limiter` is the waiting around it: one
queue in arrival order, one timer, no task. A waiter that is cancelled after it was
served hands its permit on.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import deque
from typing import Final

import attrs

from presence_async.errors import RateLimitedError

__all__ = ["Ledger", "Limiter", "RateLimitStatus"]

WINDOW: Final = 60.0
MARGIN: Final = 1.0
LOST_MARGIN: Final = 5.0


@attrs.frozen
class RateLimitStatus:
    """The budget at one moment.

    Attributes:
        limit: Requests a minute.
        remaining: Requests that could be sent right now.
        in_flight: Requests sent and not answered yet.
        waiting: Calls that wait for a permit.
        next_free: Seconds until the next call could be served; 0.0 when at once. A lower
            bound while every permit is in flight.
        paused_for: Seconds for which the vendor's Retry-After still holds everyone, or 0.0.
    """

    limit: int
    remaining: int
    in_flight: int
    waiting: int
    next_free: float
    paused_for: float


class Ledger:
    """Pure accounting of permits; `now` is any monotonic clock in seconds."""

    __slots__ = ("_cooling", "in_flight", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_flight = 0
        self._cooling: list[float] = []  # a heap of the moments at which permits come back

    def free(self, now: float) -> int:
        """Permits to be had now."""
        cooling = self._cooling
        while cooling and cooling[0] <= now:
            heapq.heappop(cooling)
        return self.limit - self.in_flight - len(cooling)

    def take(self) -> None:
        """One permit goes out; only after `free` said there is one."""
        self.in_flight += 1

    def answered(self, now: float) -> None:
        """The request of one permit was answered at `now`."""
        self.in_flight -= 1
        heapq.heappush(self._cooling, now + WINDOW + MARGIN)

    def lost(self, now: float) -> None:
        """The request of one permit may have arrived, and no answer will come."""
        self.in_flight -= 1
        heapq.heappush(self._cooling, now + WINDOW + LOST_MARGIN)

    def unused(self) -> None:
        """The request of one permit certainly never left."""
        self.in_flight -= 1

    def earliest(self, position: int, now: float) -> float:
        """When the waiter at `position` (0 is next) can be served, at the soonest.

        Permits in flight come back a window after an answer that may come now; a permit
        that serves someone ahead comes back a window after that.
        """
        free = self.free(now)
        rounds, index = divmod(position, self.limit)
        if index < free:
            soonest = now
        elif index - free < len(self._cooling):
            soonest = heapq.nsmallest(index - free + 1, self._cooling)[-1]
        else:
            soonest = now + WINDOW + MARGIN
        return soonest + rounds * (WINDOW + MARGIN)


@attrs.define(eq=False)
class _Waiter:
    future: asyncio.Future[None]
    latest: float


class Limiter:
    """One gate for everyone who shares a token."""

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        self._ledger = Ledger(limit)
        self._loop = loop
        self._waiters: deque[_Waiter] = deque()
        self._paused_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def status(self) -> RateLimitStatus:
        """The budget right now."""
        now = self._loop.time()
        paused = max(0.0, self._paused_until - now)
        free = self._ledger.free(now)
        return RateLimitStatus(
            limit=self._ledger.limit,
            remaining=0 if paused else free,
            in_flight=self._ledger.in_flight,
            waiting=len(self._waiters),
            next_free=self._soonest(len(self._waiters), now) - now,
            paused_for=paused,
        )

    def try_acquire(self) -> bool:
        """Take a permit if one is to be had at once and nobody waits for it."""
        now = self._loop.time()
        if self._waiters or now < self._paused_until or self._ledger.free(now) <= 0:
            return False
        self._ledger.take()
        return True

    async def acquire(self, latest: float) -> None:
        """Take a permit, in order of arrival.

        Args:
            latest: Loop time up to which the caller is willing to wait.

        Raises:
            RateLimitedError: It cannot be served by then; said at once, with
                `retry_after` the seconds until it could be.
        """
        if self.try_acquire():
            return
        now = self._loop.time()
        soonest = self._soonest(len(self._waiters), now)
        if soonest > latest:
            raise self._too_late(soonest - now)
        waiter = _Waiter(self._loop.create_future(), latest)
        self._waiters.append(waiter)
        self._arm(now)
        try:
            await waiter.future
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def _leave(self, waiter: _Waiter) -> None:
        """A cancelled waiter goes; what it was just handed goes to the next one."""
        if waiter.future.cancelled():
            # It may be out of the queue already, passed over in this same turn.
            with contextlib.suppress(ValueError):
                self._waiters.remove(waiter)
            self._arm(self._loop.time())
        elif waiter.future.exception() is None:
            self.unused()

    def answered(self) -> None:
        """The holder's request was answered now."""
        self._ledger.answered(self._loop.time())

    def lost(self) -> None:
        """The holder's request may have arrived, and no answer will come."""
        self._ledger.lost(self._loop.time())

    def unused(self) -> None:
        """The holder's request certainly never left: its permit is free again."""
        self._ledger.unused()
        self._serve()

    def pause(self, seconds: float) -> None:
        """Obey a Retry-After on behalf of everyone; who cannot wait that long hears it now."""
        now = self._loop.time()
        until = now + seconds
        if until <= self._paused_until:
            return
        self._paused_until = until
        for waiter in self._waiters:
            if waiter.latest < until and not waiter.future.done():
                waiter.future.set_exception(self._too_late(seconds))
        self._waiters = deque(waiter for waiter in self._waiters if not waiter.future.done())
        self._arm(now)

    def close(self) -> None:
        """Drop the timer. Waiters are woken by whoever owns their calls."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _soonest(self, position: int, now: float) -> float:
        return max(self._ledger.earliest(position, now), self._paused_until)

    def _too_late(self, wait: float) -> RateLimitedError:
        return RateLimitedError(
            f"the budget of {self._ledger.limit} requests a minute is spent; this call could be "
            f"served in {wait:.1f} s at the soonest, which is beyond its max_wait or timeout",
            retry_after=wait,
        )

    def _arm(self, now: float) -> None:
        """One timer, at the next moment someone can be served; none for an empty queue.

        The soonest moment is a lower bound that moves while answers are late, so who
        turns out to have come too late hears it here.
        """
        self.close()
        while self._waiters:
            soonest = self._soonest(0, now)
            head = self._waiters[0]
            if soonest <= head.latest and not head.future.done():
                self._timer = self._loop.call_at(soonest, self._serve)
                return
            self._waiters.popleft()
            if not head.future.done():
                head.future.set_exception(self._too_late(soonest - now))

    def _serve(self) -> None:
        """Hand free permits to the head of the queue, then wait for the next moment."""
        now = self._loop.time()
        if now >= self._paused_until:
            free = self._ledger.free(now)
            while free > 0 and self._waiters:
                waiter = self._waiters.popleft()
                if not waiter.future.done():
                    self._ledger.take()
                    free -= 1
                    waiter.future.set_result(None)
        self._arm(now)
