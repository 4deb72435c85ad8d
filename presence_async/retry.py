"""Whether and when a failed attempt is repeated. Pure: chance and time come in.

The vendor's official clients retry 429, 502, 503 and 504 (Java, .NET, Go) and 408 (their
streaming client). We retry what they agree on, and only where repeating is harmless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from presence_async.routes import Route

RETRIED_STATUSES: Final = frozenset({408, 429, 502, 503, 504})

BACKOFF_BASE: Final = 0.5
BACKOFF_CAP: Final = 20.0

_ROUNDING: Final = 1e-9


def outcome_open(route: Route, status: int) -> bool:
    """True when a write that was answered `status` may still have taken effect."""
    return route.writes and (status == 408 or status >= 500)


def may_repeat(route: Route, *, status: int | None, sent: bool) -> bool:
    """True when an attempt that ended so may be followed by another one.

    `status` is None when the connection failed; `sent`: it may have reached the vendor.
    """
    if status is None:
        return route.repeatable or not sent
    if status not in RETRIED_STATUSES:
        return False
    return route.repeatable or status == 429


def backoff(attempt: int, chance: float, cap: float = BACKOFF_CAP) -> float:
    """Full jitter: a uniform share (`chance`) of a ceiling that doubles up to `cap` seconds.

    `attempt` is the one that failed, from 1.
    """
    # The exponent is capped first: attempts may be many, floats are not.
    return chance * min(cap, BACKOFF_BASE * 2.0 ** min(attempt - 1, 16))


@attrs.define
class RetryBudget:
    """Keeps an outage from being amplified: a retry costs one, a success gives back a tenth."""

    size: float = 20.0
    refill: float = 0.1
    left: float = attrs.field(init=False)

    @left.default
    def _full(self) -> float:
        return self.size

    def succeeded(self) -> None:
        """A call succeeded."""
        if self.left < self.size:
            self.left = min(self.size, self.left + self.refill)

    def withdraw(self) -> bool:
        """Take one retry out; False when the budget does not hold one."""
        # Ten tenths make a little less than one in floating point.
        if self.left < 1.0 - _ROUNDING:
            return False
        self.left = max(0.0, self.left - 1.0)
        return True
