"""Closing the client under a bulk update: every item still has its outcome."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from clock import leftovers
from support import client_for

from presence_async import ClosedError
from presence_async.simulator import BUILT_IN_IDS, Fault

if TYPE_CHECKING:
    from presence_async.simulator import Simulator

BULK_UPDATE = "PUT /api/v2/users/presences/bulk"


@pytest.mark.parametrize("concurrency", [1, 2, 4])
async def test_a_bulk_update_loses_no_outcome_when_the_client_closes(
    sim: Simulator, concurrency: int
) -> None:
    """Applied, in flight and not sent yet are told apart, and no worker is left behind."""
    sim.faults.add(Fault(route=BULK_UPDATE, skip=1, times=None, delay=30))
    items = [(user_id, BUILT_IN_IDS["Busy"]) for user_id in sim.user_ids] + [
        (f"stranger-{number}", BUILT_IN_IDS["Busy"]) for number in range(100)
    ]
    client = client_for(sim)
    async with client:
        updating = asyncio.create_task(client.bulk.update(items, concurrency=concurrency))
        await asyncio.sleep(10)
        await client.aclose()
        assert [task for task in leftovers() if "fan-out" in task.get_name()] == []
    outcomes = await updating
    assert [outcome.item for outcome in outcomes] == items
    in_flight = min(50 * concurrency, len(items) - 50)
    expected = {"applied": 50, "unknown": in_flight, "rejected": len(items) - 50 - in_flight}
    counted = Counter(outcome.status for outcome in outcomes)
    assert counted == {status: count for status, count in expected.items() if count}
    assert {type(o.error) for o in outcomes if o.status != "applied"} == {ClosedError}
