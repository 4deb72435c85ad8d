"""Requests per minute and per day, counted at the server.

The vendor's limits page: 300 a minute for one token, 3000 for one user through one OAuth
client and for one user in all. A 429 carries `Retry-After` in whole seconds; the old
`inin-ratelimit` headers were withdrawn in June 2021. Single services have limits of their own,
some of them per day, whose `Retry-After` is minutes or hours; no number is published.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Literal, NamedTuple

from presence_async.simulator.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

MINUTE = 60.0
DAY = 86400.0
PER_USER = 3000

WindowKind = Literal["rolling", "fixed"]


class Hold(NamedTuple):
    """One limit a request counts against.

    Attributes:
        name: Key of the limit in the `limit` object of a refusal.
        key: Whose requests are counted.
        limit: How many fit into a window.
        seconds: Length of the window.
        namespace: The service the limit belongs to.
    """

    name: str
    key: Hashable
    limit: int
    seconds: float = MINUTE
    namespace: str = "platform.api"


class Window:
    """The requests of one key. Only admitted requests count.

    Args:
        kind: `rolling` looks back; `fixed` starts afresh at every full minute (or day) of the
            clock, wherever the first request fell.
        seconds: Its length.
    """

    __slots__ = ("_admitted", "_kind", "_seconds")

    def __init__(self, kind: WindowKind, seconds: float = MINUTE) -> None:
        self._kind = kind
        self._seconds = seconds
        self._admitted: deque[float] = deque()

    def wait(self, now: float, limit: int) -> float:
        """Return the seconds until one more request fits, 0 if it does now."""
        admitted = self._admitted
        if self._kind == "fixed":
            start = now - now % self._seconds
            while admitted and admitted[0] < start:
                admitted.popleft()
        else:
            start = now - self._seconds
            # Half open: what came exactly one length ago is outside.
            while admitted and admitted[0] <= start:
                admitted.popleft()
        if len(admitted) < limit:
            return 0.0
        first = start if self._kind == "fixed" else admitted[len(admitted) - limit]
        return first + self._seconds - now

    def idle(self, now: float) -> bool:
        """Return whether the last request is out of any window by now."""
        return bool(self._admitted) and self._admitted[-1] <= now - self._seconds

    def admit(self, now: float) -> None:
        """Count one request."""
        self._admitted.append(now)


# With every so many windows the idle ones are dropped.
WINDOWS_SWEPT = 1000


class RateLimiter:
    """All windows of the simulator.

    Args:
        kind: Kind of the windows.
        clock: Loop time.
    """

    def __init__(self, kind: WindowKind, clock: Callable[[], float]) -> None:
        self._kind = kind
        self._clock = clock
        self._windows: dict[tuple[str, Hashable], Window] = {}

    def admit(self, holds: list[Hold]) -> None:
        """Count one request against each limit, or against none.

        Raises:
            ApiError: 429 when one of the windows is full.
        """
        now = self._clock()
        windows = []
        for hold in holds:
            window = self._windows.get((hold.name, hold.key))
            if window is None:
                window = Window(self._kind, hold.seconds)
                self._windows[(hold.name, hold.key)] = window
                if len(self._windows) % WINDOWS_SWEPT == 0:
                    self._forget_idle(now)
            wait = window.wait(now, hold.limit)
            if wait > 0:
                raise too_many_requests(hold, math.ceil(wait))
            windows.append(window)
        for window in windows:
            window.admit(now)

    def _forget_idle(self, now: float) -> None:
        """Drop windows that hold nothing any more, such as those of tokens long gone."""
        busy = {key: one for key, one in self._windows.items() if not one.idle(now)}
        self._windows = busy


def too_many_requests(hold: Hold, seconds: int) -> ApiError:
    """Return the 429 for a full window."""
    return ApiError(
        429,
        "too.many.requests.retry.after",
        f"Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds",
        params={"retryAfter": str(seconds)},
        limit={"key": hold.name, "namespace": hold.namespace, "value": hold.limit},
        headers={"Retry-After": str(seconds)},
    )
