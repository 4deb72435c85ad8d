"""The table of `watch`: what is in it, and that it ends well."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from unit.test_progress import Terminal

from presence_async.cli.picture import _state, draw
from presence_async.limiter import RateLimitStatus
from presence_async.live.rows import StoreStatistics
from presence_async.simulator import BUILT_IN_IDS

if TYPE_CHECKING:
    import io
    from collections.abc import AsyncIterator

    from presence_async import PresenceClient
    from presence_async.simulator import Simulator


async def pictures(out: io.StringIO) -> AsyncIterator[str]:
    """What is drawn in each of the next seconds."""
    for _ in range(60):
        out.seek(0)
        out.truncate()
        await asyncio.sleep(1)
        yield out.getvalue()


async def seen(out: io.StringIO, *words: str) -> None:
    """Until a picture has all of these."""
    async for text in pictures(out):
        if all(word in text for word in words):
            return
    pytest.fail(out.getvalue())


async def test_it_shows_everyone_and_what_changes(
    sim: Simulator, client: PresenceClient, monkeypatch: pytest.MonkeyPatch
):
    """Counts, changes by name, warnings above; nothing a terminal obeys; the cursor comes back."""
    screen = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    first, second = sim.user_ids[:2]
    async with client.live(sim.user_ids) as live:
        drawing = asyncio.create_task(draw(live, client, {first: "Ada\x1b[2J", second: ""}))
        await seen(screen, "Available", "120", "0 not read yet, 0 stale", "1 of 1 channels")
        sim.organization.set_presence(first, BUILT_IN_IDS["OnQueue"])
        sim.organization.set_presence(second, BUILT_IN_IDS["Meal"])
        await seen(
            screen,
            "On Queue",
            "118",
            "Ada?[2J Available -> On Queue",
            f"{second} Available -> Meal",
        )
        logging.getLogger("presence_async").warning("something is odd")
        assert "presence_async: something is odd\n" in screen.getvalue()
        drawing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await drawing
    assert screen.getvalue().endswith("\x1b[?25h")


STATISTICS = StoreStatistics(
    **dict.fromkeys(attrs.fields_dict(StoreStatistics), 0)
    | {"mode": "notifications", "users": 2000, "channels": 2, "lag": None}
)
BUDGET = RateLimitStatus(300, 250, 0, 0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("changed", "paused", "text"),
    [
        ({}, 0.0, "notifications: 0 of 2 channels live, 0 gaps, 0 events"),
        ({"lag": 0.25}, 0.0, "0 events, lag 0.2 s"),
        ({"mode": "polling", "sweeps": 3}, 0.0, "polling: 3 sweeps"),
        ({"requests": 44}, 0.0, "budget: 250 of 300 requests left for this minute, 44 spent"),
        ({}, 12.3, "0 spent, paused for 12 s"),
        ({"unread": 5, "stale": 1100}, 0.0, "2,000 users, 5 not read yet, 1,100 stale"),
    ],
)
def test_how_it_goes(changed: dict[str, Any], paused: float, text: str):
    """One line each for users, connection and budget."""
    budget = attrs.evolve(BUDGET, paused_for=paused)
    lines = list(_state(attrs.evolve(STATISTICS, **changed), budget))
    assert len(lines) == 3
    assert any(line.endswith(text) for line in lines)
