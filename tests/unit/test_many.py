"""What a client offers about many users: the forecast here, the rest with what it makes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from support import client_for

from presence_async import ClosedError, InvalidRequestError, PresenceClient, StaticToken
from presence_async.simulator import Fault

if TYPE_CHECKING:
    from presence_async.simulator import Simulator

TOKEN = StaticToken("canary")


def test_the_forecast_is_that_of_the_lane() -> None:
    """One sweep has the whole budget; with an interval it is polling, unless the lane is given."""
    client = PresenceClient(region="us_east_1", auth=TOKEN, rate_limit=100, polling_share=0.3)
    assert client.forecast(5000).budget == 100
    assert client.forecast(5000, 60).budget == 30
    assert client.with_options(lane="bulk").forecast(range(5000), 60).budget == 100
    assert client.with_options(lane="polling").forecast(5000).budget == 30
    assert client.with_options(pacing="burst").forecast(5100).shortest_sweep < 62
    assert client.forecast(5100).shortest_sweep > 61
    with pytest.raises(InvalidRequestError) as caught:
        client.forecast(5, concurrency=0)
    assert caught.value.field == "concurrency"


async def test_the_forecast_uses_the_measured_latency(sim: Simulator) -> None:
    """Before the first answer a usual one; then the mean of what was seen, closed or not."""
    sim.faults.add(Fault(route="GET /api/v2/presence/sources", delay=1.0, times=2))
    async with client_for(sim) as client:
        assert client.forecast(50).latency == 0.25
        await client.sources.list()
        assert client.forecast(50).latency == pytest.approx(1, abs=0.01)
        await client.sources.list()
        await client.sources.list()
        assert client.forecast(50).latency == pytest.approx(7 / 8, abs=0.01)
    assert client.forecast(50).latency == pytest.approx(7 / 8, abs=0.01)


@pytest.mark.parametrize("lane", [None, "interactive"])
async def test_the_lanes_of_a_live_store(sim: Simulator, lane: Any) -> None:
    """Reads in bulk, sweeps in polling, unless the lane is given; closing the client ends it."""
    async with client_for(sim) as client:
        derived = client if lane is None else client.with_options(lane=lane)
        async with derived.live(sim.user_ids, reconcile=5) as live:
            await live.ready()
            assert [partial_of(send) for send in live._reads._sends] == (
                ["bulk", "polling"] if lane is None else [lane, lane]
            )
            await asyncio.sleep(10)
            assert live.statistics.sweeps == 1
            assert len(live) == 120
            await client.aclose()
            with pytest.raises(ClosedError, match="client is closed"):
                await live.ready()


def partial_of(send: Any) -> Any:
    """The lane of a way to send."""
    return send.keywords["options"].lane
