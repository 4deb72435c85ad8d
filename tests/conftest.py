"""Fixtures for every test: the hand-moved clock, a simulator, a client, and no leftovers."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import TYPE_CHECKING

import pytest
from clock import ClockLoop, check_no_leftovers
from hypothesis import HealthCheck, settings
from support import client_for

from presence_async.simulator import Simulator

# Examples are not timed: machines are noisy. Under CI hypothesis has a profile of its own
# that does the same and repeats the same examples.
if "CI" not in os.environ:
    settings.register_profile(
        "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("untimed")

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from presence_async import PresenceClient


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every async test runs on the hand-moved clock, or with `real_loop` on a real one.

    Threads, name look-ups and subprocesses need real time.
    """
    if item.get_closest_marker("real_loop") is not None:
        return {"real": asyncio.SelectorEventLoop}
    return {"clock": ClockLoop}


def pytest_collection_finish(session: pytest.Session) -> None:
    """In each process that runs tests: processes that they start are not measured.

    And its modules and thousands of tests stay for good: no garbage collection looks at them.
    """
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
async def no_leftovers() -> AsyncIterator[None]:
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


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[PresenceClient]:
    """An open client on `sim`."""
    async with client_for(sim) as opened:
        yield opened
