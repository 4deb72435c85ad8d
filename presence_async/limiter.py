"""Permits: how many requests the token may still make, and the queue of those who wait.

The accounting is the ledger's; this is the waiting around it: a queue in arrival order for each
lane, one timer, no task. A waiter that is cancelled after it was served hands its permit on.

Lanes take turns only while permits are short. Of any four served in succession, at most
one is not interactive while interactive calls wait; of any eight at least one is of bulk
while bulk waits; of any twelve at least one is of polling while it waits and its share has
permits.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import OrderedDict
from itertools import cycle
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from presence_async.errors import RateLimitedError
from presence_async.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from presence_async.config import Lane

__all__ = ["LANES", "Limiter", "RateLimitStatus"]

# Whose turn it is, round and round; who does not wait is passed over.
_TURNS: Final[tuple[Lane, ...]] = (
    *("interactive", "interactive", "interactive", "bulk"),
    *("interactive", "interactive", "interactive", "bulk"),
    *("interactive", "interactive", "interactive", "polling"),
)
LANES: Final[tuple[Lane, ...]] = ("interactive", "bulk", "polling")
# A queue of so many is looked through at every change; a longer one so many seconds for each who
# waits in it after the last time: else thousands would be, for every permit that comes back.
MANY: Final = 256
LOOK_AFTER: Final = 1e-4
# The value is the loop time up to which the waiter is willing to wait. Leaving from the middle is
# slow in a deque, and in a plain dict so is finding the first key once many before it are gone.
_Queue: TypeAlias = OrderedDict[asyncio.Future[None], float]


@attrs.frozen
class RateLimitStatus:
    """The budget at one moment.

    Attributes:
        limit: Requests a minute.
        remaining: Requests that could be sent right now, by an interactive call.
        in_flight: Requests sent and not answered yet.
        waiting: Calls that wait for a permit.
        next_free: Seconds until the next interactive call could be served, 0.0 when at once;
            a lower bound while every permit is in flight.
        paused_for: Seconds for which the vendor's Retry-After still holds everyone, or 0.0.
    """

    limit: int
    remaining: int
    in_flight: int
    waiting: int
    next_free: float
    paused_for: float


class Limiter:
    """One gate for everyone who shares a token."""

    def __init__(
        self, limit: int, loop: asyncio.AbstractEventLoop, *, polling_limit: int | None = None
    ) -> None:
        self._ledger = Ledger(limit)
        # What polling has of it, counted the same way: so many in any window.
        self._share = Ledger(limit if polling_limit is None else polling_limit)
        whole = (self._ledger,)
        self._ledgers = dict.fromkeys(LANES, whole) | {"polling": (self._ledger, self._share)}
        self._loop = loop
        self._waiters: Mapping[Lane, _Queue] = {lane: OrderedDict() for lane in LANES}
        self._turn = 0
        self._paused_until = 0.0
        # Set exactly while somebody waits.
        self._timer: asyncio.TimerHandle | None = None
        # The timer may outlive the call that sets it: it keeps nobody's context variables.
        self._context = contextvars.Context()
        self._look_again = 0.0
        self._closed = False

    def status(self) -> RateLimitStatus:
        """The budget right now."""
        now = self._loop.time()
        paused = max(0.0, self._paused_until - now)
        return RateLimitStatus(
            limit=self._ledger.limit,
            remaining=0 if paused or self._contended(now) else self._ledger.free(now),
            in_flight=self._ledger.in_flight,
            waiting=sum(map(len, self._waiters.values())),
            next_free=self._soonest(now, "interactive") - now,
            paused_for=paused,
        )

    def room(self, lane: Lane) -> tuple[int, int]:
        """Permits that `lane` could still take now, and how many it has in all."""
        now = self._loop.time()
        ledger = self._share if lane == "polling" else self._ledger
        return min(ledger.free(now), self._ledger.free(now)), ledger.limit

    def gap(self, lane: Lane) -> float:
        """Seconds between requests of `lane` that spread its permits.

        None in a pause: who must wait that long, or cannot, is to hear it now.
        """
        now = self._loop.time()
        if now < self._paused_until:
            return 0.0
        gap = self._ledger.gap(now)
        return max(gap, self._share.gap(now)) if lane == "polling" else gap

    def try_acquire(self, lane: Lane = "interactive") -> bool:
        """Take a permit if one is to be had at once and nobody waits for it."""
        now = self._loop.time()
        if (
            (self._timer is not None and self._contended(now))
            or now < self._paused_until
            or self._ledger.free(now) <= 0
        ):
            return False
        if lane == "polling":
            if self._share.free(now) <= 0:
                return False
            self._share.take()
        self._ledger.take()
        return True

    def _contended(self, now: float) -> bool:
        """Whether somebody waits for any permit, and not only for polling's share."""
        interactive, bulk, polling = self._waiters.values()
        return bool(interactive or bulk or (polling and self._share.free(now) > 0))

    async def acquire(self, latest: float, lane: Lane = "interactive") -> None:
        """Take a permit, in order of arrival within the lane.

        Args:
            latest: Loop time up to which the caller is willing to wait.
            lane: Whose turns it takes.

        Raises:
            RateLimitedError: It cannot be served by then; said as soon as that is clear, mostly
                at once, with `retry_after` the seconds until it could be.
        """
        if self.try_acquire(lane):
            return
        now = self._loop.time()
        soonest = self._soonest(now, lane)
        if soonest > latest:
            raise self._too_late(soonest - now, lane)
        waiter = self._loop.create_future()
        self._waiters[lane][waiter] = latest
        first = self._first(now)
        if self._timer is None or first < self._timer.when():
            self._arm(first)
        try:
            await waiter
        except asyncio.CancelledError:
            self._leave(waiter, lane)
            raise

    def _leave(self, waiter: asyncio.Future[None], lane: Lane) -> None:
        """A cancelled waiter goes; what it was just handed goes to the next one."""
        if waiter.cancelled():
            # It may be out of the queue already, passed over in this same turn.
            self._waiters[lane].pop(waiter, None)
            if not any(self._waiters.values()):
                self._disarm()
        elif waiter.exception() is None:
            self.unused(lane)

    def answered(self, lane: Lane = "interactive") -> float:
        """The holder's request was answered now; the loop time, for whoever measures it."""
        now = self._loop.time()
        for ledger in self._ledgers[lane]:
            ledger.answered(now)
        return now

    def lost(self, lane: Lane = "interactive") -> None:
        """The holder's request may have arrived, and no answer will come."""
        now = self._loop.time()
        for ledger in self._ledgers[lane]:
            ledger.lost(now)

    def unused(self, lane: Lane = "interactive") -> None:
        """The holder's request certainly never left: its permit is free again."""
        for ledger in self._ledgers[lane]:
            ledger.unused()
        if self._loop.time() < self._paused_until:
            # It serves somebody when the pause ends, which may be before the timer.
            self._look_ahead()
        elif self._timer is not None:
            self._serve()

    def pause(self, seconds: float) -> None:
        """Obey a Retry-After on behalf of everyone; who cannot wait that long hears it now."""
        until = self._loop.time() + seconds
        if until > self._paused_until:
            self._paused_until = until
            self._look_ahead()

    def close(self) -> None:
        """Drop the timer, for good. Waiters are woken by whoever owns their calls."""
        self._closed = True
        self._disarm()

    def _first(self, now: float) -> float:
        """When the next of those who wait could be served."""
        first = self._ledger.soonest(now, self._paused_until)
        if self._waiters["interactive"] or self._waiters["bulk"]:
            return first
        return max(first, self._share.soonest(now, self._paused_until))

    def _soonest(self, now: float, lane: Lane) -> float:
        """When one who joins `lane` now could be served."""
        place = len(self._waiters[lane])
        position = place + self._ahead(now, lane, place)
        places = zip(self._ledgers[lane], (position, place), strict=False)
        return max(
            ledger.forecast(now, self._paused_until, index + 1)[index] for ledger, index in places
        )

    def _ahead(self, now: float, lane: Lane, place: int) -> int:
        """How many of those who wait in other lanes are served before `place` of `lane`.

        At least: whoever waits for polling's share is not counted on.
        """
        if not any(queue for other, queue in self._waiters.items() if other != lane):
            return 0
        rounds, left = divmod(place, _TURNS.count(lane))
        others = {other: rounds * _TURNS.count(other) for other in LANES if other != lane}
        turn = self._turn
        while (whose := _TURNS[turn % len(_TURNS)]) != lane or left:
            turn += 1
            if whose == lane:
                left -= 1
            else:
                others[whose] += 1
        room = {"polling": self._share.free(now)}
        return sum(
            min(turns, len(self._waiters[other]), room.get(other, turns))
            for other, turns in others.items()
        )

    def _too_late(self, wait: float, lane: Lane) -> RateLimitedError:
        now = self._loop.time()
        paused = self._paused_until > now
        why = f"the budget of {self._ledger.limit} requests a minute is spent"
        if paused:
            why = "the vendor asked everyone with this token to pause (429)"
        elif lane == "polling" and self._share.free(now) <= 0 < self._ledger.free(now):
            why = f"polling's share of {self._share.limit} requests a minute is spent"
        return RateLimitedError(
            f"{why}; this call could be served in {wait:.1f} s at the soonest, which is beyond "
            "its max_wait or timeout",
            paused=paused,
            retry_after=wait,
        )

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, when: float) -> None:
        self._disarm()
        if not self._closed:
            self._timer = self._loop.call_at(when, self._due, context=self._context)

    def _due(self) -> None:
        """The moment the timer was set for: serve, then wait for the next moment."""
        self._timer = None
        self._serve()
        self._look_ahead()

    def _serve(self) -> None:
        """Hand free permits to those whose turn it is."""
        now = self._loop.time()
        free = 0 if now < self._paused_until else self._ledger.free(now)
        while free > 0 and (waiter := self._next(now)) is not None:
            self._ledger.take()
            free -= 1
            waiter.set_result(None)
        if not any(self._waiters.values()):
            self._disarm()

    def _next(self, now: float) -> asyncio.Future[None] | None:
        """Take whoever's turn it is out of the queue; None when nobody can be served."""
        for turn in range(self._turn, self._turn + len(_TURNS)):
            lane = _TURNS[turn % len(_TURNS)]
            queue = self._waiters[lane]
            while queue and (lane != "polling" or self._share.free(now) > 0):
                waiter, _ = queue.popitem(last=False)
                if not waiter.done():
                    self._turn = (turn + 1) % len(_TURNS)
                    if lane == "polling":
                        self._share.take()
                    return waiter
        return None

    def _look_ahead(self) -> None:
        """Turn away who turns out to come too late; set the timer for the next moment.

        Nobody who stays is willing to wait for less than the timer, so nobody waits for
        longer than that.
        """
        self._disarm()
        waiting = sum(map(len, self._waiters.values()))
        if not waiting:
            return
        now, again = self._loop.time(), self._look_again
        if waiting <= MANY or now >= again:
            self._turn_away(now, waiting)
            self._look_again, again = now + waiting * LOOK_AFTER, math.inf
        if any(self._waiters.values()):
            self._arm(min(self._first(now), again))

    def _turn_away(self, now: float, left: int) -> None:
        """Refuse those of the `left` who wait that cannot be served in time any more.

        The forecast is a lower bound, which moves while answers are late.
        """
        forecast = self._ledger.forecast(now, self._paused_until, left)
        # One more than needed: nobody may wait for polling.
        share = self._share.forecast(now, self._paused_until, len(self._waiters["polling"]) + 1)
        room = self._share.free(now)
        staying: dict[Lane, _Queue] = {lane: OrderedDict() for lane in LANES}
        position = 0
        turns = (*_TURNS[self._turn :], *_TURNS[: self._turn])
        lanes = cycle([lane for lane in turns if self._waiters[lane]])
        while left:
            lane = next(lanes)
            place, queue = len(staying[lane]), self._waiters[lane]
            while queue:
                waiter, latest = queue.popitem(last=False)
                left -= 1
                if waiter.done():
                    continue
                soonest = forecast[position]
                if lane == "polling":
                    soonest = max(soonest, share[place])
                if soonest <= latest:
                    staying[lane][waiter] = latest
                    # Who waits for polling's share is not counted on.
                    position += lane != "polling" or place < room
                    break
                waiter.set_exception(self._too_late(soonest - now, lane))
        self._waiters = staying
