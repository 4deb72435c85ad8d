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
import contextvars
from collections import OrderedDict, deque
from typing import Final

import attrs

from presence_async.errors import RateLimitedError

__all__ = ["LONGEST_TURN", "Ledger", "Limiter", "RateLimitStatus"]

WINDOW: Final = 60.0
MARGIN: Final = 1.0
LOST_MARGIN: Final = 5.0
# From serving a waiter to having its permit back, when the answer comes at once.
AGAIN: Final = WINDOW + MARGIN
# Within this every permit there is has come back once.
LONGEST_TURN: Final = WINDOW + LOST_MARGIN


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

    __slots__ = ("_answered", "_lost", "in_flight", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_flight = 0
        # The moments at which permits come back. Time only goes forward, so each of the two
        # is in order by itself, and no limit is too high to keep.
        self._answered: deque[float] = deque()
        self._lost: deque[float] = deque()

    def free(self, now: float) -> int:
        """Permits to be had now."""
        answered, lost = self._answered, self._lost
        while answered and answered[0] <= now:
            answered.popleft()
        while lost and lost[0] <= now:
            lost.popleft()
        return self.limit - self.in_flight - len(answered) - len(lost)

    def take(self) -> None:
        """One permit goes out; only after `free` said there is one."""
        self.in_flight += 1

    def answered(self, now: float) -> None:
        """The request of one permit was answered at `now`."""
        self.in_flight -= 1
        self._answered.append(now + AGAIN)

    def lost(self, now: float) -> None:
        """The request of one permit may have arrived, and no answer will come."""
        self.in_flight -= 1
        self._lost.append(now + LONGEST_TURN)

    def unused(self) -> None:
        """The request of one permit certainly never left."""
        self.in_flight -= 1

    def forecast(self, now: float, not_before: float, waiters: int) -> Forecast:
        """When `waiters` can be served, at the soonest, and none of them before `not_before`.

        A permit in flight comes back a window after an answer that may come now, and so
        does one that serves a waiter, counted from then.
        """
        # Of a limit so high that it is none, no more than there are waiters for.
        moments = [now] * min(self.free(now), waiters) + [now + AGAIN] * self.in_flight
        moments += (*self._answered, *self._lost)
        if not_before > now:
            moments = [max(moment, not_before) for moment in moments]
        # A permit that serves someone now may be back before a lost one is.
        moments += [moment + AGAIN for moment in moments]
        moments.sort()
        return Forecast(moments[: self.limit])


class Forecast:
    """The soonest moment for each position in the queue; 0 is next."""

    __slots__ = ("_moments",)

    def __init__(self, moments: list[float]) -> None:
        self._moments = moments  # of as many waiters as there are permits

    def __getitem__(self, position: int) -> float:
        rounds, index = divmod(position, len(self._moments))
        return self._moments[index] + rounds * AGAIN


class Limiter:
    """One gate for everyone who shares a token."""

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        self._ledger = Ledger(limit)
        self._loop = loop
        # In order of arrival; the value is the loop time up to which the waiter is willing
        # to wait. Who is cancelled leaves from the middle: too slow in a deque. And in a
        # plain dict the first key gets slow to find once many before it are gone.
        self._waiters: OrderedDict[asyncio.Future[None], float] = OrderedDict()
        self._paused_until = 0.0
        # Set exactly while somebody waits.
        self._timer: asyncio.TimerHandle | None = None
        # The timer may outlive the call that sets it: it keeps nobody's context variables.
        self._context = contextvars.Context()

    def status(self) -> RateLimitStatus:
        """The budget right now."""
        now = self._loop.time()
        paused = max(0.0, self._paused_until - now)
        waiting = len(self._waiters)
        return RateLimitStatus(
            limit=self._ledger.limit,
            remaining=0 if paused or waiting else self._ledger.free(now),
            in_flight=self._ledger.in_flight,
            waiting=waiting,
            next_free=self._forecast(now, waiting + 1)[waiting] - now,
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
            RateLimitedError: It cannot be served by then; said as soon as that is clear,
                mostly at once, with `retry_after` the seconds until it could be.
        """
        if self.try_acquire():
            return
        now = self._loop.time()
        waiting = len(self._waiters)
        forecast = self._forecast(now, waiting + 1)
        soonest = forecast[waiting]
        if soonest > latest:
            raise self._too_late(soonest - now)
        waiter = self._loop.create_future()
        self._waiters[waiter] = latest
        if self._timer is None:
            self._arm(forecast[0])
        try:
            await waiter
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def _leave(self, waiter: asyncio.Future[None]) -> None:
        """A cancelled waiter goes; what it was just handed goes to the next one."""
        if waiter.cancelled():
            # It may be out of the queue already, passed over in this same turn.
            self._waiters.pop(waiter, None)
            if not self._waiters:
                self.close()
        elif waiter.exception() is None:
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
        if self._loop.time() < self._paused_until:
            # It serves somebody when the pause ends, which may be before the timer.
            self._look_ahead()
        else:
            self._serve()

    def pause(self, seconds: float) -> None:
        """Obey a Retry-After on behalf of everyone; who cannot wait that long hears it now."""
        until = self._loop.time() + seconds
        if until > self._paused_until:
            self._paused_until = until
            self._look_ahead()

    def close(self) -> None:
        """Drop the timer. Waiters are woken by whoever owns their calls."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _forecast(self, now: float, waiters: int) -> Forecast:
        return self._ledger.forecast(now, self._paused_until, waiters)

    def _too_late(self, wait: float) -> RateLimitedError:
        paused = self._paused_until > self._loop.time()
        why = f"the budget of {self._ledger.limit} requests a minute is spent"
        if paused:
            why = "the vendor asked everyone with this token to pause (429)"
        return RateLimitedError(
            f"{why}; this call could be served in {wait:.1f} s at the soonest, which is beyond "
            "its max_wait or timeout",
            paused=paused,
            retry_after=wait,
        )

    def _arm(self, when: float) -> None:
        self._timer = self._loop.call_at(when, self._due, context=self._context)

    def _due(self) -> None:
        """The moment the timer was set for: serve, then wait for the next moment."""
        self._timer = None
        self._serve()
        self._look_ahead()

    def _serve(self) -> None:
        """Hand free permits to the head of the queue."""
        now = self._loop.time()
        free = 0 if now < self._paused_until else self._ledger.free(now)
        while free > 0 and self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                self._ledger.take()
                free -= 1
                waiter.set_result(None)
        if not self._waiters:
            self.close()

    def _look_ahead(self) -> None:
        """Turn away who turns out to come too late; set the timer for the next moment.

        The forecast is a lower bound that moves while answers are late. Nobody who stays
        is willing to wait for less than the timer, so nobody waits for longer than that.
        """
        self.close()
        if not self._waiters:
            return
        now = self._loop.time()
        forecast = self._forecast(now, len(self._waiters))
        staying: OrderedDict[asyncio.Future[None], float] = OrderedDict()
        for waiter, latest in self._waiters.items():
            soonest = forecast[len(staying)]
            if waiter.done():
                continue
            if soonest <= latest:
                staying[waiter] = latest
            else:
                waiter.set_exception(self._too_late(soonest - now))
        self._waiters = staying
        if staying:
            self._arm(forecast[0])
