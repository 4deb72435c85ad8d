"""The accounting of permits, pure: time comes in, and the moments of permits come out.

The vendor counts 300 requests in a minute for a token and says nothing about its windows.
A request may have reached its counter at any moment until its response came, so a permit
comes back a whole window and a margin after the response; with no response, a little
later still, counted from when we gave up. Counting from the send instead let 319 requests
into a rolling minute when latency varied.
"""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW: Final = 60.0
MARGIN: Final = 1.0
LOST_MARGIN: Final = 5.0
# From serving a waiter to having its permit back, when the answer comes at once.
AGAIN: Final = WINDOW + MARGIN
# Within this every permit there is has come back once.
LONGEST_TURN: Final = WINDOW + LOST_MARGIN


def share_of(limit: int, share: float) -> int:
    """The requests a minute that a share of `limit` comes to: rounded down, but one at least."""
    # 0.7 of 10 is a little more than 7 in binary, and 0.29 of 100 a little less than 29.
    return min(limit, max(1, int(limit * share + 1e-6)))


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

    def gap(self, now: float) -> float:
        """Seconds between requests that spread what is left until more comes back.

        Never less than what spreads the whole budget over the minute.
        """
        free = self.free(now)
        even = WINDOW / self.limit
        if free <= 0:
            return even
        heads = [queue[0] for queue in (self._answered, self._lost) if queue]
        return max(even, (min(heads, default=now + AGAIN) - now) / free)

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

    def soonest(self, now: float, not_before: float) -> float:
        """When somebody could have the next permit, at the soonest; not before `not_before`."""
        if self.free(now) > 0:
            return max(now, not_before)
        moments = [queue[0] for queue in (self._answered, self._lost) if queue]
        if self.in_flight:
            moments.append(now + AGAIN)
        return max(min(moments), not_before)

    def forecast(self, now: float, not_before: float, waiters: int) -> Forecast:
        """When `waiters` can be served, at the soonest, and none of them before `not_before`.

        The answer to what is in flight may come now, and a waiter's as soon as it is served.
        """
        # Of a limit so high that it is none, no more than there are waiters for.
        moments = [now] * min(self.free(now), waiters) + [now + AGAIN] * self.in_flight
        moments += (*self._answered, *self._lost)
        if not_before > now:
            moments = [max(moment, not_before) for moment in moments]
        if self._lost:
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
