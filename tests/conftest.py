"""Fixtures for every test: the hand-moved clock, a simulator, a client, and no leftovers."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# `tests` is no package, so that test files may share names; its helpers are top-level modules.
sys.path.insert(0, str(Path(__file__).parent))

from clock import ClockLoop, leftovers
from presence_async import ClientCredentials, PresenceClient
from presence_async.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every async test runs on the hand-moved clock, or with `real_loop` on a real one.

    Threads, name look-ups, subprocesses and files of a journal need real time.
    """
    if item.get_closest_marker("real_loop") is not None:
        return {"real": asyncio.SelectorEventLoop}
    return {"clock": ClockLoop}


def check_no_leftovers(loop: asyncio.AbstractEventLoop) -> None:
    """Fail when a task, a socket or a timer is still alive."""
    assert leftovers() == []
    selector: Any = getattr(loop, "_selector", None)
    if selector is not None:  # uvloop has none
        own = loop._ssock.fileno()  # type: ignore[attr-defined]
        assert [key.fd for key in selector.get_map().values() if key.fd != own] == []
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert timers == []


@pytest.fixture(autouse=True)
async def no_leftovers(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """After every async test: 0 tasks, sockets, timers."""
    yield
    await asyncio.sleep(0)
    check_no_leftovers(asyncio.get_running_loop())


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """A simulator with 120 users whose wall clock moves with the loop."""
    loop = asyncio.get_running_loop()
    wall = getattr(loop, "wall", None)
    options = {} if wall is None else {"wall_clock": wall}
    async with Simulator(users=120, **options) as simulator:
        yield simulator


def client_for(simulator: Simulator, **options: Any) -> PresenceClient:
    """A client for `simulator`, not entered yet; `options` win over the usual ones."""
    usual: dict[str, Any] = {
        "base_url": simulator.base_url,
        "login_url": simulator.login_url,
        "allow_loopback_http": True,
        "auth": ClientCredentials(simulator.client_id, simulator.client_secret),
    }
    return PresenceClient(**(usual | options))


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[PresenceClient]:
    """An open client on `sim`."""
    async with client_for(sim) as opened:
        yield opened
