"""The pace of sweeps: not too soon, and not too many at a time.

As long as what the sweeps still have to send fits into what is left of the budget, they go at
full speed. Beyond that their requests are spaced so that what is left lasts until more comes
back: something is left for interactive calls, and every permit is used all the same. A sweep of
unknown length goes at full speed through half of the budget.

Of a crowd only a few ask for a permit; the others wait here, in order of arrival, so that
even in the slowest lane those few have their turns before they would have waited too long.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from presence_async.config import CallOptions, Lane
    from presence_async.limiter import Limiter

# In a budget of 300 the last of them has a permit within 40 s although every lane is full:
# polling has one turn in twelve.
AT_ONCE: Final = 16


class Pacer:
    """The pace of the sweeps in one lane."""

    def __init__(
        self,
        lane: Lane,
        limiter: Limiter,
        *,
        loop: asyncio.AbstractEventLoop,
        work: Callable[[], int | None],
        rest: Callable[[float], Awaitable[None]],
    ) -> None:
        """`work` tells how many requests all sweeps still have to send; None: nobody knows.

        `rest` sleeps for some seconds, or less when the session is closed meanwhile.
        """
        self.lane = lane
        self._limiter = limiter
        self._loop = loop
        self._work = work
        self._rest = rest
        self._next = 0.0
        self._crowd = 0  # who waits here, and is no work to come any more
        self._room = asyncio.Semaphore(AT_ONCE)
        self._inside: set[asyncio.Task[object] | None] = set()
        self._turn = asyncio.Lock()

    async def begin(self, options: CallOptions) -> None:
        """Wait until the running task may ask for a permit, in order of arrival.

        Who would wait longer than `max_wait` goes at once: the limiter says what is to be said.
        """
        self._crowd += 1
        try:
            await self._room.acquire()
            self._inside.add(asyncio.current_task())
            if self.lane != "interactive" and options.pacing == "even":
                # Who is alone here and not too soon has its turn at once.
                if self._crowd > 1 or self._next > self._loop.time():
                    async with self._turn:
                        await self._pace(options.max_wait)
                else:
                    self._book()
        except BaseException:
            self.end()
            raise
        finally:
            self._crowd -= 1

    def end(self) -> None:
        """The running task has its permit, or gives up: room for the next. Safe to repeat."""
        task = asyncio.current_task()
        if task in self._inside:
            self._inside.remove(task)
            self._room.release()

    async def _pace(self, max_wait: float) -> None:
        wait = self._next - self._loop.time()
        if 0 < wait <= max_wait and self._exceeds():
            await self._rest(wait)
        self._book()

    def _book(self) -> None:
        """Note when the next may go."""
        due, now, gap = self._next, self._loop.time(), self._limiter.gap(self.lane)
        # Who is a little late, because a timer was, does not make all behind it later.
        self._next = (due if due <= now < due + gap else now) + gap

    def _exceeds(self) -> bool:
        """Whether the sweeps ask for more than is left."""
        free, limit = self._limiter.room(self.lane)
        work = self._work()
        return free < limit / 2 if work is None else free < work + self._crowd
