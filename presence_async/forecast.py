"""What a sweep costs and how often it can be had: arithmetic, before anything is sent."""

from __future__ import annotations

import math
import sys
from collections.abc import Sized
from typing import TYPE_CHECKING, Any, Final

import attrs

from presence_async.errors import InvalidRequestError
from presence_async.ledger import AGAIN

if TYPE_CHECKING:
    from presence_async.config import Pacing

__all__ = ["SweepForecast", "check_interval", "forecast", "sweep_seconds"]

# The vendor's limit of a bulk read, and what third-party clients send in a bulk update.
USERS_PER_REQUEST: Final = 50
MONTH: Final = 30 * 24 * 3600.0
# Taken until an answer has been measured.
USUAL_LATENCY: Final = 0.25
SHORTEST_INTERVAL: Final = 0.001


@attrs.frozen(kw_only=True)
class SweepForecast:
    """What reading or updating some users in bulk takes. Its `str` is a sentence about it.

    A permit comes back 61 seconds after its answer, so a budget of 300 requests a minute is
    300 in 61 seconds and a latency.

    Attributes:
        users: Users of a sweep.
        requests: Requests of a sweep: fifty users in each.
        budget: Requests a minute that its lane may make.
        latency: Seconds from a request to its answer: measured by this client, or else 0.25.
        shortest_sweep: Seconds of a sweep that has its lane's budget to itself.
        shortest_interval: Seconds from one start to the next of sweeps without end.
        interval: The interval asked about in seconds, or None; so are the next three.
        requests_per_month: Requests in 30 days at that interval.
        budget_used: Part of the lane's budget that this uses up; above 1.0 it cannot be had.
        most_users: Users that can be swept at that interval.
    """

    users: int
    requests: int
    budget: int
    latency: float
    shortest_sweep: float
    shortest_interval: float
    interval: float | None = None
    requests_per_month: int | None = None
    budget_used: float | None = None
    most_users: int | None = None

    @property
    def meets_interval(self) -> bool | None:
        """Whether a sweep can start every `interval` seconds; None without one."""
        return None if self.interval is None else self.interval >= self.shortest_interval

    def __str__(self) -> str:
        """What it takes and, where the interval is too short, what would work."""
        text = (
            f"a sweep of {_some(self.users, 'user')} takes {_some(self.requests, 'request')} and "
            f"{self.shortest_sweep:,.1f} s or more with {_some(self.budget, 'request')} a minute"
        )
        if self.interval is None:
            return text
        month = _some(self.requests_per_month or 0, "request")
        text += f"; every {self.interval:g} s that is {month} a month"
        if self.meets_interval:
            return f"{text} and {self.budget_used:.0%} of the budget"
        longer = f"{math.ceil(self.shortest_interval):,} s or more"
        text += f", which cannot be had: sweep every {longer}"
        return f"{text}, or at most {_some(self.most_users, 'user')}" if self.most_users else text


def forecast(
    users: int | Sized,
    interval: float | None = None,
    *,
    budget: int,
    latency: float | None,
    concurrency: int,
    pacing: Pacing,
) -> SweepForecast:
    """The forecast for `users` under the settings of a client, which checks those itself.

    Raises:
        InvalidRequestError: Users or an interval that are none; `field` names the argument.
    """
    count = _count(users)
    if latency is None:
        latency = USUAL_LATENCY
    requests = -(-count // USERS_PER_REQUEST)
    turn = AGAIN + latency
    result = SweepForecast(
        users=count,
        requests=requests,
        budget=budget,
        latency=latency,
        shortest_sweep=sweep_seconds(
            requests, budget=budget, latency=latency, concurrency=concurrency, pacing=pacing
        ),
        shortest_interval=max(requests * turn / budget, -(-requests // concurrency) * latency),
    )
    if interval is None:
        return result
    interval = check_interval(interval)
    at_once = int(interval / max(latency, 1e-9)) * concurrency
    return attrs.evolve(
        result,
        interval=interval,
        requests_per_month=math.ceil(requests * MONTH / interval),
        budget_used=requests * turn / budget / interval,
        most_users=USERS_PER_REQUEST * int(min(interval * budget / turn, at_once)),
    )


def sweep_seconds(
    requests: int,
    *,
    budget: int,
    latency: float,
    pacing: Pacing,
    concurrency: int = sys.maxsize,
) -> float:
    """Seconds that so many requests take at least, beginning with a whole budget."""
    if not requests:
        return 0.0
    turn = AGAIN + latency
    busy = -(-requests // concurrency) * latency
    if pacing == "even" and requests > budget:
        return max(busy, (requests - 1) * turn / budget + latency)
    rounds, last = divmod(requests - 1, budget)
    return max(busy, rounds * turn + (last // concurrency + 1) * latency)


def _some(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _count(users: Any) -> int:
    if isinstance(users, Sized) and not isinstance(users, str | bytes):
        return len(users)
    if not isinstance(users, int) or isinstance(users, bool) or not 0 <= users <= sys.maxsize:
        raise InvalidRequestError(
            f"users must be a whole number from 0 or a collection, not {users!r}", field="users"
        )
    return users


def check_interval(interval: Any, field: str = "interval") -> float:
    """`interval` if it is a number of seconds, 0.001 to 30 days; else InvalidRequestError."""
    number = isinstance(interval, int | float) and not isinstance(interval, bool)
    if not number or not SHORTEST_INTERVAL <= interval <= MONTH:
        raise InvalidRequestError(
            f"{field} must be seconds from {SHORTEST_INTERVAL} to 30 days, not {interval!r}",
            field=field,
        )
    return float(interval)
