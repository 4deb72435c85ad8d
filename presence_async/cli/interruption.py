"""Ctrl-C and SIGTERM: the first ends the work in good order, the second at once."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible() -> Iterator[None]:
    """Cancel the task at the first signal; the second is the operating system's.

    The loop's own handlers would wait for it, and it may wait for whoever reads our output.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # who waits here is one

    def interrupt(_number: int, _frame: Any) -> None:
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_DFL)
        task.cancel()
        loop.call_soon_threadsafe(_nothing)  # it may be asleep

    before = {one: signal.signal(one, interrupt) for one in _SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _nothing() -> None:
    """What the loop wakes up for."""
