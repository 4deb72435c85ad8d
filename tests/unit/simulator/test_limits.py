"""Windows of requests per minute and per day."""

import pytest

from presence_async.simulator.errors import ApiError
from presence_async.simulator.limits import (
    DAY,
    WINDOWS_SWEPT,
    Hold,
    RateLimiter,
    Window,
    WindowKind,
)


class Clock:
    """A clock set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_rolling_window_looks_back_sixty_seconds():
    """A slot comes free exactly 60 s after the request that took it."""
    window = Window("rolling")
    for now in (0.0, 10.0):
        assert window.wait(now, 2) == 0
        window.admit(now)
    assert window.wait(30.0, 2) == 30.0
    assert window.wait(59.999, 2) > 0
    assert window.wait(60.0, 2) == 0
    window.admit(60.0)
    assert window.wait(60.0, 2) == 10.0


def test_fixed_window_starts_at_the_full_minute():
    """All slots come free at the next full minute, wherever the first request fell."""
    window = Window("fixed")
    for now in (118.0, 119.0):
        assert window.wait(now, 2) == 0
        window.admit(now)
    assert window.wait(119.5, 2) == 0.5
    assert window.wait(120.0, 2) == 0
    window.admit(120.0)
    window.admit(120.0)
    assert window.wait(121.0, 2) == 59.0


def test_limiter_names_the_full_window():
    """A refusal tells limit, namespace and whole seconds, and counts nowhere."""
    clock = Clock()
    limiter = RateLimiter("rolling", clock)
    wide = Hold("wide", "user", 2)
    limiter.admit([wide, Hold("narrow", "token", 1)])
    clock.now += 0.5
    with pytest.raises(ApiError) as caught:
        limiter.admit([wide, Hold("narrow", "token", 1)])
    error = caught.value
    assert (error.status, error.code) == (429, "too.many.requests.retry.after")
    assert error.headers == {"Retry-After": "60"}
    assert "[60]" in error.message
    assert error.limit == {"key": "narrow", "namespace": "platform.api", "value": 1}
    # The wide window was not charged for the refused request.
    limiter.admit([wide, Hold("narrow", "other token", 1)])


@pytest.mark.parametrize(("kind", "wait"), [("rolling", 86400), ("fixed", 82800)])
def test_days(kind: WindowKind, wait: int):
    """A day is counted like a minute, and a wait can be as long as a day."""
    clock = Clock()
    clock.now = 3600.0
    limiter = RateLimiter(kind, clock)
    day = Hold("day", "token", 1, DAY, "presence")
    limiter.admit([Hold("minute", "token", 2), day])
    with pytest.raises(ApiError) as caught:
        limiter.admit([Hold("minute", "token", 2), day])
    assert caught.value.headers == {"Retry-After": str(wait)}
    assert caught.value.limit == {"key": "day", "namespace": "presence", "value": 1}
    clock.now += wait
    limiter.admit([day])


def test_idle_windows_go():
    """Windows of keys that are heard of no more do not pile up; busy ones stay."""
    clock = Clock()
    limiter = RateLimiter("rolling", clock)
    for number in range(5 * WINDOWS_SWEPT):
        limiter.admit([Hold("l", number, 1)])
        clock.now += 0.1
    assert len(limiter._windows) <= 2 * WINDOWS_SWEPT
    with pytest.raises(ApiError):
        limiter.admit([Hold("l", 5 * WINDOWS_SWEPT - 1, 1)])
