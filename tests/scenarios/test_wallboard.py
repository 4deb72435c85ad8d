"""The wallboard example, as a browser hears it; in a real browser: tests/browser."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web
from support import client_for

from examples.wallboard.__main__ import application, simulated
from presence_async.simulator import BUILT_IN_IDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from presence_async import PresenceClient
    from presence_async.simulator import Simulator


@asynccontextmanager
async def heard(
    connected: AbstractAsyncContextManager[PresenceClient],
) -> AsyncIterator[aiohttp.StreamReader]:
    """The events of a wallboard, which closes while they are being listened to."""
    runner = web.AppRunner(application(connected))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = "http://{}:{}/".format(*runner.addresses[0])
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as page:
            assert "new EventSource" in await page.text()
        async with session.get(f"{url}events") as events:
            assert events.content_type == "text/event-stream"
            yield events.content
            async with asyncio.timeout(5):
                await runner.cleanup()
                await events.content.read()


async def message(events: aiohttp.StreamReader) -> dict[str, Any]:
    """The next message."""
    while not (line := await events.readline()).startswith(b"data: "):
        assert line, "it is over"
    return dict(json.loads(line.removeprefix(b"data: ")))


async def test_everyone_and_then_who_moves(sim: Simulator) -> None:
    """A browser hears of all, of each change, and in between that the server is there."""
    async with heard(client_for(sim)) as events:
        rows: dict[str, Any] = {}
        while len(rows) < 120:
            told = await message(events)
            rows |= {row["id"]: row for row in told["rows"]}
        while told["state"]["stale"] or told["state"]["unread"]:
            told = await message(events)
        assert told["state"]["counts"] == {"Available": 120}
        assert await events.readline() == b"\n"
        assert await events.readline() == b": still here\n"
        user_id = sim.user_ids[5]
        sim.organization.set_presence(user_id, BUILT_IN_IDS["OnQueue"], message="hello")
        (row,) = (await message(events))["rows"]
    assert row.pop("changed")
    name = sim.organization.users[user_id].name
    assert row == {
        "id": user_id,
        "name": name,
        "presence": "On Queue",
        "message": "hello",
        "stale": False,
    }


async def test_the_simulated_organization_lives() -> None:
    """Without an organization of one's own there is something to see."""
    async with heard(simulated(60)) as events:
        changes = 0
        while changes < 5:
            changes += sum(row["changed"] is not None for row in (await message(events))["rows"])
