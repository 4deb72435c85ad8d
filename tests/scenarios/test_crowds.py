"""More workers than the budget has permits: many-user calls queue, single calls are told."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import clock
import pytest
from support import client_for

from presence_async import ClosedError, RateLimitedError, fan_out
from presence_async.simulator import BUILT_IN_IDS, Fault, Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BULK_READ = "GET /api/v2/users/presences/purecloud/bulk"


@pytest.fixture
async def crowd() -> AsyncIterator[Simulator]:
    """1,200 users behind a budget of two requests a minute."""
    wall: Any = asyncio.get_running_loop()
    async with Simulator(users=1200, rate_limit=2, wall_clock=wall.wall) as simulator:
        yield simulator


async def test_a_sweep_with_more_workers_than_permits_reads_everyone(crowd: Simulator) -> None:
    """Sixteen workers share two permits: nobody fails, the server never refuses."""
    async with client_for(crowd, rate_limit=2) as client:
        outcomes = await client.bulk.get(crowd.user_ids)
    assert Counter(outcome.status for outcome in outcomes) == {"present": 1200}
    assert {request.status for request in crowd.requests} == {200}


async def test_a_bulk_update_with_more_workers_than_permits_moves_everyone(
    crowd: Simulator,
) -> None:
    """The same for writes, each sent once."""
    items = [(user_id, BUILT_IN_IDS["Meal"]) for user_id in crowd.user_ids]
    async with client_for(crowd, rate_limit=2) as client:
        outcomes = await client.bulk.update(items, concurrency=8)
    assert Counter(outcome.status for outcome in outcomes) == {"applied": 1200}
    assert crowd.count("/api/v2/users/presences/bulk", "PUT") == 24


async def test_closing_wakes_a_crowd_at_rest(crowd: Simulator) -> None:
    """Workers that rest before they queue again end with the client, at once."""
    items = [(user_id, BUILT_IN_IDS["Meal"]) for user_id in crowd.user_ids]
    client = client_for(crowd, rate_limit=2)
    async with client:
        # Spread over the minute only one request would have gone out by then.
        hasty = client.with_options(pacing="burst")
        updating = asyncio.create_task(hasty.bulk.update(items, concurrency=8))
        await asyncio.sleep(5)
        before = asyncio.get_running_loop().time()
        await client.aclose()
        assert asyncio.get_running_loop().time() == before
    outcomes = await updating
    assert Counter(outcome.status for outcome in outcomes) == {"applied": 100, "rejected": 1100}
    assert {type(o.error) for o in outcomes if o.status == "rejected"} == {ClosedError}


async def test_who_does_not_wait_for_a_turn_is_told_so(crowd: Simulator) -> None:
    """With a max_wait below a turn of the budget, users beyond it fail with RateLimitedError."""
    async with client_for(crowd, rate_limit=2, max_wait=0) as client:
        outcomes = await client.bulk.get(crowd.user_ids[:300], concurrency=6)
    assert Counter(outcome.status for outcome in outcomes) == {"present": 100, "failed": 200}
    assert {type(o.error) for o in outcomes if o.error} == {RateLimitedError}


async def test_a_long_pause_of_the_vendor_is_no_crowd(crowd: Simulator) -> None:
    """A Retry-After of hours fails what is left instead of sleeping it out."""
    crowd.faults.add(Fault(route=BULK_READ, status=429, retry_after=7200, times=None))
    async with client_for(crowd, rate_limit=2) as client:
        before = asyncio.get_running_loop().time()
        outcomes = await client.bulk.get(crowd.user_ids)
        # Who was at rest at the time hears it after that.
        assert asyncio.get_running_loop().time() - before < 61
    assert Counter(outcome.status for outcome in outcomes) == {"failed": 1200}
    assert any(isinstance(o.error, RateLimitedError) and o.error.paused for o in outcomes)


async def test_a_limit_that_is_none_can_be_read(sim: Simulator) -> None:
    """The budget of a client without a limit worth the name costs nothing to tell."""
    async with client_for(sim, rate_limit=sys.maxsize) as client:
        assert client.rate_limit.remaining == sys.maxsize


async def test_max_wait_is_about_the_budget_not_about_backoff(sim: Simulator) -> None:
    """With max_wait=0 a 503 is still retried: the deadline bounds that pause."""
    sim.faults.add(Fault(route="GET /api/v2/presence/settings", status=503))
    async with client_for(sim, max_wait=0) as client:
        await client.settings.get()
    assert sim.count("/api/v2/presence/settings") == 2


def test_eager_tasks_keep_to_the_bound() -> None:
    """An eager task factory (Python 3.12) starts no more calls at a time than the usual one."""
    running = peak = 0

    async def call(_: int) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(1)
        running -= 1

    async def main() -> None:
        factory = getattr(asyncio, "eager_task_factory", None)
        asyncio.get_running_loop().set_task_factory(factory)
        assert len(await fan_out(call, range(200), concurrency=5)) == 200

    clock.run(main())
    assert peak == 5
