"""An event loop whose clock is moved by hand, sockets included.

The loop polls its sockets first. Only when nothing is ready does it jump to the next
timer, so client and simulator in one loop live through hours in milliseconds and never
sleep. Threads, name look-ups and subprocesses look like "nothing is ready": keep them out.
"""

from __future__ import annotations

import asyncio
import os
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

# With no timer pending and nothing ready for this many real seconds, the test is stuck.
STUCK_AFTER = 5.0
# How often the sockets are looked at before the clock jumps.
LOOKS = 5


class _JumpingSelector(selectors.DefaultSelector):
    """Polls; jumps the clock when there is nothing to do before the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            ready = super().select(STUCK_AFTER)
            if not ready:
                msg = "nothing is ready and no timer is pending: the test is stuck"
                raise RuntimeError(msg)
            return ready
        # A datagram of loopback traffic may still be on its way to us. Waiting for it would
        # cost a millisecond, the least epoll can wait; a few more looks do as well.
        for _ in range(LOOKS):
            os.sched_yield()
            ready = super().select(0)
            if ready:
                return ready
        self.now += timeout
        return ready


class ClockLoop(asyncio.SelectorEventLoop):
    """A selector loop with `time()` under the test's control."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        # Timers closer than this run together; exact steps keep assertions exact.
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """The hand-moved clock, in seconds."""
        return self._jumping.now

    def advance(self, seconds: float) -> None:
        """Move the clock without running anything."""
        self._jumping.now += seconds

    def wall(self) -> float:
        """Wall time that moves with the loop: 2026-01-01T00:00:00Z at loop time 1000."""
        return 1767225600.0 + self._jumping.now - 1000.0


class DryLoop(ClockLoop):
    """The clock without sockets: it need not poll before it jumps."""

    def __init__(self) -> None:
        super().__init__()
        self._jumping.select = self._jump  # type: ignore[method-assign]

    def _jump(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "nothing is ready and no timer is pending"
        self.advance(timeout)
        return []


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run one coroutine on a fresh ClockLoop, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        return runner.run(main)


def leftovers() -> list[asyncio.Task[Any]]:
    """Tasks other than the current one that are still alive in the running loop."""
    current = asyncio.current_task()
    return [task for task in asyncio.all_tasks() if task is not current]


def check_no_leftovers(loop: asyncio.AbstractEventLoop) -> None:
    """Fail when a task, a socket or a timer is still alive."""
    assert leftovers() == []
    selector: Any = getattr(loop, "_selector", None)
    if selector is not None:  # uvloop has none
        own = loop._ssock.fileno()  # type: ignore[attr-defined]
        assert [key.fd for key in selector.get_map().values() if key.fd != own] == []
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert timers == []


def dry(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that needs time and no sockets; check that it leaves nothing."""

    async def checked() -> None:
        await main
        check_no_leftovers(asyncio.get_running_loop())

    with asyncio.Runner(loop_factory=DryLoop) as runner:
        runner.run(checked())
