"""Requests per minute, counted at the server.

The vendor's limits page: 300 a minute for one token, 3000 for one user through one OAuth
client and for one user in all. A 429 carries `Retry-After` in whole seconds; the old
`inin-ratelimit` headers were withdrawn in June 2021.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Literal

from presence_async.simulator.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

WINDOW_SECONDS = 60.0
PER_USER = 3000

WindowKind = Literal["rolling", "fixed"]
Hold = tuple[str, "Hashable", int]


class Window:
    """The requests of one key. Only admitted requests count.

    Args:
        kind: `rolling` looks back 60 s; `fixed` starts afresh at every full minute of the
            clock, wherever the first request fell.
    """

    __slots__ = ("_admitted", "_kind")

    def __init__(self, kind: WindowKind) -> None:
        self._kind = kind
        self._admitted: deque[float] = deque()

    def wait(self, now: float, limit: int) -> float:
        """Return the seconds until one more request fits, 0 if it does now."""
        admitted = self._admitted
        if self._kind == "fixed":
            start = now - now % WINDOW_SECONDS
            while admitted and admitted[0] < start:
                admitted.popleft()
        else:
            start = now - WINDOW_SECONDS
            # Half open: what came exactly 60 s ago is outside.
            while admitted and admitted[0] <= start:
                admitted.popleft()
        if len(admitted) < limit:
            return 0.0
        first = start if self._kind == "fixed" else admitted[len(admitted) - limit]
        return first + WINDOW_SECONDS - now

    def admit(self, now: float) -> None:
        """Count one request."""
        self._admitted.append(now)


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
        """Count one request against each (limit name, key, limit), or against none.

        Raises:
            ApiError: 429 when one of the windows is full.
        """
        now = self._clock()
        windows = []
        for name, key, limit in holds:
            window = self._windows.get((name, key))
            if window is None:
                window = self._windows[(name, key)] = Window(self._kind)
            wait = window.wait(now, limit)
            if wait > 0:
                raise too_many_requests(name, limit, math.ceil(wait))
            windows.append(window)
        for window in windows:
            window.admit(now)


def too_many_requests(name: str, limit: int, seconds: int) -> ApiError:
    """Return the 429 for a full window."""
    return ApiError(
        429,
        "too.many.requests.retry.after",
        f"Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds",
        params={"retryAfter": str(seconds)},
        limit={"key": name, "namespace": "platform.api", "value": limit},
        headers={"Retry-After": str(seconds)},
    )
