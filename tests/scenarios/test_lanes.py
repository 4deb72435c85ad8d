"""Lanes, pacing and the forecast through the whole client, against the simulator's own limit."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import pytest
from clock import ClockLoop
from support import client_for

from presence_async import ClosedError, LimiterWaited, PresenceClient, RateLimitedError
from presence_async.simulator import BUILT_IN_IDS, Fault, Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from presence_async import Lane

BULK_READ = "GET /api/v2/users/presences/purecloud/bulk"
SOURCES = "GET /api/v2/presence/sources"
SETTINGS = "GET /api/v2/presence/settings"


def now() -> float:
    """Time of the running loop."""
    return asyncio.get_running_loop().time()


def wall() -> Any:
    """The wall clock that moves with the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    return loop.wall


def arrivals(sim: Simulator, route: str) -> list[float]:
    """When requests of a route arrived, in seconds since the first one."""
    method, template = route.split(" ")
    times = [
        record.received_at
        for record in sim.requests
        if (record.method, record.path_template) == (method, template)
    ]
    return [moment - times[0] for moment in times]


def most_in_a_minute(times: list[float]) -> int:
    """Most arrivals in any closed minute."""
    return max(bisect_right(times, first + 60) - index for index, first in enumerate(times))


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@pytest.fixture
async def org() -> AsyncIterator[Simulator]:
    """1,500 users behind a budget of twelve requests a minute."""
    async with Simulator(users=1500, rate_limit=12, wall_clock=wall()) as simulator:
        yield simulator


@pytest.fixture
async def client(org: Simulator) -> AsyncIterator[PresenceClient]:
    """A client that knows that budget and gives polling a quarter of it."""
    async with client_for(org, rate_limit=12, polling_share=0.25) as opened:
        yield opened


def lanes_used(client: PresenceClient) -> list[str]:
    """A list to which the lane of every permit asked for is added from now on."""
    limiter, lanes = client._session._limiter, []
    ask = limiter.try_acquire

    def spy(lane: Lane = "interactive") -> bool:
        lanes.append(lane)
        return ask(lane)

    limiter.try_acquire = spy  # type: ignore[method-assign]
    return lanes


# -- the number to reach


@pytest.mark.parametrize("window", ["rolling", "fixed"])
async def test_150_000_users_are_read_in_619_seconds_without_a_429(
    window: Literal["rolling", "fixed"],
):
    """3,000 requests at 300 a minute, answers within half a second; the forecast says as much."""
    chance = random.Random(4)  # noqa: S311  # chance, no secret
    async with Simulator(users=150_000, rate_window=window, wall_clock=wall()) as sim:
        sim.faults.add(Fault(times=None, delay=lambda: chance.uniform(0, 0.5)))
        async with client_for(sim) as client:
            expected = client.forecast(sim.user_ids).shortest_sweep
            start, present = now(), 0
            async with client.user_presences.get_many(sim.user_ids) as outcomes:
                async for outcome in outcomes:
                    present += outcome.status == "present"
            seconds = now() - start
        assert present == 150_000
        assert {record.status for record in sim.requests} == {200}
        assert len(arrivals(sim, BULK_READ)) == 3000
        assert seconds <= 619
        assert seconds == pytest.approx(expected, rel=0.01)


# -- which lane


async def test_each_operation_has_a_lane_of_its_own(client: PresenceClient, org: Simulator):
    """Calls about many users are bulk, all others interactive."""
    used = lanes_used(client)
    await client.sources.list()
    await client.user_presences.get(org.user_ids[0])
    await client.user_presences.update(org.user_ids[0], definition_id=BUILT_IN_IDS["Meal"])
    assert set(used) == {"interactive"}
    used.clear()
    await client.user_presences.get_many(org.user_ids[:60])
    await client.bulk.get(org.user_ids[:60])
    await client.bulk.update([(org.user_ids[0], BUILT_IN_IDS["Busy"])])
    assert set(used) == {"bulk"}


@pytest.mark.parametrize("lane", ["interactive", "bulk", "polling"])
async def test_a_client_can_put_everything_into_one_lane(
    client: PresenceClient, org: Simulator, lane: Lane
):
    """`with_options(lane=...)` wins over the lane of the operation, and only there."""
    used = lanes_used(client)
    derived = client.with_options(lane=lane)
    await derived.user_presences.get_many(org.user_ids[:60])
    await derived.settings.get()
    assert set(used) == {lane}
    used.clear()
    await client.settings.get()
    assert used == ["interactive"]


# -- pacing


async def test_a_short_sweep_is_not_slowed(client: PresenceClient, org: Simulator):
    """Ten requests while the budget is whole go out at once, from a generator six of them."""
    start = now()
    await client.bulk.get(org.user_ids[:500])
    assert now() - start < 0.1
    async with client_for(org, rate_limit=12) as other:
        await asyncio.sleep(70)
        start = now()
        await other.bulk.get(user_id for user_id in org.user_ids[:300])
        assert now() - start < 0.1


async def test_a_long_sweep_is_spread_evenly(client: PresenceClient, org: Simulator):
    """Thirty requests under twelve a minute: one every five seconds, from the first one on."""
    outcomes = await client.bulk.get(org.user_ids)
    assert Counter(outcome.status for outcome in outcomes) == {"present": 1500}
    times = arrivals(org, BULK_READ)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) == 30
    assert min(gaps) > 4.9
    assert max(gaps) < 6.2
    assert most_in_a_minute(times) <= 12


async def test_a_bulk_update_is_spread_as_well(client: PresenceClient, org: Simulator):
    """Its length is known too."""
    await client.bulk.update([(user_id, BUILT_IN_IDS["Meal"]) for user_id in org.user_ids])
    times = arrivals(org, "PUT /api/v2/users/presences/bulk")
    assert len(times) == 30
    assert times[5] == pytest.approx(25, abs=1)


async def test_a_burst_uses_the_budget_up_at_once(client: PresenceClient, org: Simulator):
    """Twelve, and twelve more when they are back."""
    await client.with_options(pacing="burst").bulk.get(org.user_ids)
    times = arrivals(org, BULK_READ)
    assert times[11] < 0.1
    assert times[12] == pytest.approx(61, abs=0.1)
    assert times[29] == pytest.approx(122, abs=0.1)


async def test_interactive_calls_do_not_wait_while_a_sweep_is_spread(org: Simulator):
    """In its first minute there is a permit for each; a burst leaves none for an hour of calls."""
    waited: list[float] = []

    def hook(record: object) -> None:
        if isinstance(record, LimiterWaited) and record.path_template == SETTINGS.split()[1]:
            waited.append(record.seconds)

    async with client_for(org, rate_limit=12, hook=hook) as client:
        sweep = asyncio.ensure_future(client.bulk.get(org.user_ids))
        for _ in range(4):
            await asyncio.sleep(12)
            await client.settings.get()
        assert waited == []
        await sweep
    async with client_for(org, rate_limit=12, hook=hook, pacing="burst") as client:
        await asyncio.sleep(70)
        sweep = asyncio.ensure_future(client.bulk.get(org.user_ids))
        await asyncio.sleep(12)
        await client.settings.get()
        assert waited == pytest.approx([49], abs=0.1)
        await sweep


# -- when the budget is short


async def test_interactive_calls_go_ahead_of_a_crowd_of_requests(
    client: PresenceClient, org: Simulator
):
    """Six calls come while thirty bulk requests wait for permits: at most two go before them."""
    hasty = client.with_options(pacing="burst")
    sweep = asyncio.ensure_future(hasty.bulk.get(org.user_ids))
    await asyncio.sleep(1)
    assert client.rate_limit.remaining == 0
    await asyncio.gather(*(client.settings.get() for _ in range(6)))
    order = [record.path_template for record in org.requests if record.method == "GET"][12:]
    last = max(i for i, path in enumerate(order) if path == SETTINGS.split()[1])
    assert last <= 7
    await sweep


async def test_nobody_starves_beside_a_steady_stream_of_interactive_calls(
    client: PresenceClient, org: Simulator
):
    """The stream could use every permit; bulk and polling both get on, as the turns say."""
    patient = client.with_options(max_wait=10_000, timeout=10_000)

    async def stream() -> None:
        while True:
            await patient.settings.get()

    streams = [asyncio.create_task(stream()) for _ in range(20)]
    await asyncio.sleep(1)
    polling = client.with_options(lane="polling")
    sweeps = [
        asyncio.ensure_future(client.bulk.get(org.user_ids[:600])),
        asyncio.ensure_future(polling.bulk.get(org.user_ids[600:900])),
    ]
    results = await asyncio.gather(*sweeps)
    assert {outcome.status for result in results for outcome in result} == {"present"}
    # Six turns of polling and twelve of bulk: of every twelve permits one and two.
    assert len(arrivals(org, SETTINGS)) <= 9 * 7 + 12
    await ended(*streams)


async def test_polling_never_has_more_than_its_share_in_a_minute(
    client: PresenceClient, org: Simulator
):
    """A quarter of twelve, whatever else is free; the rest is there for the others at once."""
    polling = client.with_options(lane="polling")
    sweep = asyncio.ensure_future(polling.bulk.get(org.user_ids[:600]))
    await asyncio.sleep(30)
    start = now()
    await asyncio.gather(*(client.settings.get() for _ in range(9)))
    assert now() - start < 0.1
    await sweep
    times = arrivals(org, BULK_READ)
    assert len(times) == 12
    assert most_in_a_minute(times) == 3
    assert times[-1] < 4 * 62


async def test_a_429_pauses_every_lane(client: PresenceClient, org: Simulator):
    """Whatever lane it came to."""
    org.faults.add(Fault(route=SOURCES, status=429, retry_after=20))
    start = now()
    await asyncio.gather(
        client.sources.list(),
        *(client.with_options(lane=lane).settings.get() for lane in ("bulk", "polling")),
        client.bulk.get(org.user_ids[:100]),
    )
    assert now() - start == pytest.approx(20, abs=0.5)


# -- what goes wrong


async def test_a_sweep_waits_although_answers_are_late(org: Simulator):
    """Turned away in the queue because an answer takes long, it queues up again."""
    org.faults.add(Fault(route=SETTINGS, delay=50))
    async with client_for(org, rate_limit=1, read_timeout=100) as client:
        start = now()
        slow = asyncio.ensure_future(client.settings.get())
        await asyncio.sleep(1)
        outcomes = await client.bulk.get(org.user_ids[:50])
        assert {outcome.status for outcome in outcomes} == {"present"}
        assert now() - start == pytest.approx(50 + 61, abs=0.1)
        await slow


async def test_a_sweep_waits_behind_more_than_a_minute_of_others(org: Simulator):
    """Three interactive calls with a minute each go first: it rests, and is served after them."""
    async with client_for(org, rate_limit=1) as client:
        patient = client.with_options(max_wait=1000, timeout=1000)
        await client.settings.get()
        start = now()
        calls = [asyncio.ensure_future(patient.settings.get()) for _ in range(3)]
        await asyncio.sleep(1)
        await client.bulk.get(org.user_ids[:50])
        assert now() - start == pytest.approx(4 * 61, abs=0.1)
        await asyncio.gather(*calls)


async def test_a_sweep_that_does_not_wait_is_told_what_would_work(org: Simulator):
    """Which settings make it wait, how much is still to be sent, and how long that takes."""
    async with client_for(org, rate_limit=1, max_wait=10) as client:
        outcomes = await client.bulk.get(org.user_ids[:200], concurrency=1)
        messages = [outcome.error.message for outcome in outcomes if outcome.error]
        assert len(messages) == 150
        assert messages[0].endswith(
            "beyond its max_wait or timeout; a sweep waits for its turns with max_wait and timeout "
            "from 65 s: the 2 requests still to be sent take at least 61 s"
        )
        assert messages[-1].endswith("max_wait and timeout from 65 s")
        # The error that is pickled and shown is the one that was raised.
        assert "from 65 s" in str(outcomes[-1].error)


async def test_a_sweep_whose_time_is_up_after_an_attempt_is_not_sent_again(org: Simulator):
    """The first attempt failed late, and its deadline is before the next permit."""
    org.faults.add(Fault(route=BULK_READ, status=503, delay=20, times=None))
    async with client_for(org, rate_limit=1, timeout=70) as client:
        (outcome,) = await client.bulk.get(org.user_ids[:1])
        assert isinstance(outcome.error, RateLimitedError)
        assert outcome.error.attempts == 1
        assert len(arrivals(org, BULK_READ)) == 1


async def test_closing_wakes_everyone_in_every_lane(org: Simulator):
    """Those at rest, those waiting for their turn and those waiting for a permit."""
    client = client_for(org, rate_limit=2)
    async with client:
        lanes: list[Lane] = ["interactive", "bulk", "polling"]
        tasks = [
            asyncio.ensure_future(client.with_options(lane=lane).bulk.get(org.user_ids))
            for lane in lanes
        ]
        patient = client.with_options(max_wait=10_000, timeout=10_000)
        tasks += [asyncio.ensure_future(patient.settings.get()) for _ in range(3)]
        await asyncio.sleep(5)
        start = now()
        await client.aclose()
        assert now() == start
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {ClosedError}


async def test_closing_is_no_outcome(client: PresenceClient, org: Simulator):
    """Of many sweeps, each raises the reason: none of them makes a list of it."""
    lanes: list[Lane] = ["interactive", "bulk", "polling"]
    tasks = [
        asyncio.ensure_future(
            client.with_options(lane=lane).bulk.get(org.user_ids, concurrency=concurrency)
        )
        for lane in lanes
        for concurrency in (1, 2, 16)
    ]
    await asyncio.sleep(5)
    await client.aclose()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {ClosedError}


async def test_a_share_of_one_request_a_minute_is_enough_for_polling(org: Simulator):
    """However small the share is; the others do not notice."""
    async with client_for(org, rate_limit=12, polling_share=0.001) as client:
        start = now()
        sweep = asyncio.ensure_future(
            client.with_options(lane="polling").bulk.get(org.user_ids[:200])
        )
        await asyncio.sleep(30)
        before = now()
        await asyncio.gather(*(client.settings.get() for _ in range(11)))
        assert now() - before < 0.1
        outcomes = await sweep
        assert {outcome.status for outcome in outcomes} == {"present"}
        assert now() - start == pytest.approx(3 * 61, abs=0.5)


async def test_a_sweep_left_early_holds_nobody_up(client: PresenceClient, org: Simulator):
    """Cancelled while its requests wait for their pace, it leaves the lane to the next one."""
    async with client.user_presences.get_many(org.user_ids) as outcomes:
        async for _ in outcomes:
            break
    start = now()
    await client.bulk.get(org.user_ids[:100])
    assert now() - start < 0.1


async def test_many_sweeps_at_once_are_weighed_together(client: PresenceClient, org: Simulator):
    """Each of four would fit; all of them do not, and so they are spread."""
    parts = [org.user_ids[index : index + 300] for index in range(0, 1200, 300)]
    await asyncio.gather(*(client.bulk.get(part) for part in parts))
    times = arrivals(org, BULK_READ)
    assert len(times) == 24
    assert times[11] > 40
