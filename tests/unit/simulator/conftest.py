"""A simulator with a plain aiohttp session beside it, on a clock moved by hand."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
from clock import ClockLoop, leftovers
from unit.simulator.lab import Lab

from presence_async.simulator import BUILT_IN_IDS, Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from unit.simulator.lab import OpenLab, Pick


@pytest_asyncio.fixture
async def open_lab() -> AsyncIterator[OpenLab]:
    """Open simulators with any options; close them and check that nothing is left."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    async with contextlib.AsyncExitStack() as stack:

        async def open_one(**options: Any) -> Lab:
            options.setdefault("users", 3)
            options.setdefault("wall_clock", loop.wall)
            sim = await stack.enter_async_context(Simulator(**options))
            http = await stack.enter_async_context(aiohttp.ClientSession())
            lab = Lab(sim, http, sim.issue_token())
            stack.push_async_callback(lab.aclose)
            return lab

        yield open_one
    # The session's own transports need a turn to close.
    await asyncio.sleep(0)
    assert leftovers() == []


@pytest.fixture
def definition() -> Pick:
    """Return the id of a built-in definition by the name of its system presence."""
    return BUILT_IN_IDS.__getitem__
