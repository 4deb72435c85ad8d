"""Ctrl-C and SIGTERM: the first is a cancellation, the second the operating system's."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from presence_async.cli.interruption import interruptible

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", SIGNALS)
async def test_the_first_signal_cancels(number: signal.Signals):
    """The task ends where it waits; from then on a signal ends the process."""
    before = [signal.getsignal(one) for one in SIGNALS]
    seen: list[object] = []

    async def work() -> None:
        with interruptible():
            try:
                os.kill(os.getpid(), number)
                await asyncio.Event().wait()
            finally:
                seen.extend(signal.getsignal(one) for one in SIGNALS)

    task = asyncio.create_task(work())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [signal.SIG_DFL, signal.SIG_DFL]
    assert [signal.getsignal(one) for one in SIGNALS] == before


@pytest.mark.real_loop
async def test_it_wakes_a_sleeping_loop():
    """A loop with nothing to do notices the signal at once."""
    loop = asyncio.get_running_loop()

    async def sleep() -> None:
        with interruptible():
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            await asyncio.sleep(60)

    started = loop.time()
    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    task = asyncio.create_task(sleep())
    with pytest.raises(asyncio.CancelledError):
        await task
    signal.signal(signal.SIGALRM, before)
    assert loop.time() - started < 30


async def test_without_a_signal_nothing_happens():
    """The handlers are there inside, and those of before are there again outside."""
    before = [signal.getsignal(one) for one in SIGNALS]
    with interruptible():
        assert [signal.getsignal(one) for one in SIGNALS] != before
    assert [signal.getsignal(one) for one in SIGNALS] == before
