"""The timer over all exchanges that wait for their answers."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from presence_async.silence import Silence


class _Connection:
    """A connection that notes when it is broken off; `gone` when it was given back before."""

    def __init__(self, *, gone: bool = False) -> None:
        self.transport: Any = None if gone else self
        self.aborted: list[float] = []

    def abort(self) -> None:
        self.aborted.append(now())


def now() -> float:
    """Time of the running loop."""
    return asyncio.get_running_loop().time()


def timers() -> list[float]:
    """When the timers of the loop that are not cancelled are due."""
    scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [timer.when() for timer in scheduled if not timer.cancelled()]


async def exchange(silence: Silence, connection: _Connection, *pieces: float) -> bool:
    """An exchange whose answer comes in pieces after so many seconds; whether it was broken off."""
    silence.begin(connection)
    for seconds in pieces:
        await asyncio.sleep(seconds)
        silence.heard()
    return silence.end()


async def test_who_says_nothing_is_broken_off_in_time() -> None:
    """Each exchange has its own time from when the other side was last heard."""
    silence = Silence(asyncio.get_running_loop(), 7)
    started = now()
    connections = [_Connection() for _ in range(3)]

    async def later() -> bool:
        await asyncio.sleep(2)
        return await exchange(silence, connections[1], 20)

    broken = await asyncio.gather(
        exchange(silence, connections[0], 20),
        later(),
        exchange(silence, connections[2], 6, 6, 6, 1),
    )
    assert broken == [True, True, False]
    assert connections[0].aborted == [pytest.approx(started + 7)]
    assert connections[1].aborted == [pytest.approx(started + 9)]
    assert connections[2].aborted == []
    assert timers() == [pytest.approx(started + 25)]
    silence.close()
    assert timers() == []
    silence.close()


async def test_what_is_over_is_not_watched() -> None:
    """The timer finds nobody behind the last answer, and is not set again."""
    silence = Silence(asyncio.get_running_loop(), 7)
    connection = _Connection()
    assert await exchange(silence, connection, 1) is False
    assert len(timers()) == 1
    await asyncio.sleep(10)
    assert timers() == []
    assert connection.aborted == []


async def test_a_connection_that_was_given_back_is_left_alone() -> None:
    """The exchange is told all the same; the connection is somebody else's by now."""
    silence = Silence(asyncio.get_running_loop(), 7)
    assert await exchange(silence, _Connection(gone=True), 8) is True
    assert silence.end() is False


async def test_who_is_not_watched_changes_nothing() -> None:
    """On a caller's session aiohttp itself counts: pieces are not noted, ends not counted."""
    silence = Silence(asyncio.get_running_loop(), 7)
    silence.heard()
    assert silence.end() is False
    assert timers() == []


async def test_the_timer_keeps_no_context_variables() -> None:
    """It may outlive the exchange that set it, by the whole read timeout."""
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(1)
    silence = Silence(asyncio.get_running_loop(), 7)
    seen: list[int] = []
    connection = _Connection()
    connection.transport = connection
    connection.abort = lambda: seen.append(variable.get())  # type: ignore[method-assign]
    assert await exchange(silence, connection, 8) is True
    assert seen == [0]
