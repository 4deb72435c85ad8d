"""The request budget through the whole client, against the simulator's own 300 a minute."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, Literal

import pytest
from clock import ClockLoop
from support import client_for

from presence_async import (
    LimiterWaited,
    PresenceClient,
    PresenceConnectionError,
    RateLimitedError,
    ServerError,
    StaticToken,
    fan_out,
)
from presence_async.simulator import Fault, Simulator

if TYPE_CHECKING:
    from collections.abc import Iterable

READ = "GET /api/v2/users/{userId}/presences/purecloud"
SOURCES = "GET /api/v2/presence/sources"


def now() -> float:
    """Time of the running loop."""
    return asyncio.get_running_loop().time()


def wall() -> Any:
    """The wall clock that moves with the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    return loop.wall


def statuses(sim: Simulator) -> list[int | None]:
    """What the API answered, token requests aside."""
    return [record.status for record in sim.requests if record.path_template != "/oauth/token"]


def arrivals(sim: Simulator) -> list[float]:
    """When requests arrived at the API."""
    return [record.received_at for record in sim.requests if record.path_template != "/oauth/token"]


async def spend(client: PresenceClient, sim: Simulator, count: int) -> None:
    """Make so many reads at once."""
    await asyncio.gather(*(client.user_presences.get(sim.user_ids[0]) for _ in range(count)))


def some(ids: Iterable[str], count: int) -> list[str]:
    """`count` ids, repeated as often as needed."""
    ids = list(ids)
    return [ids[index % len(ids)] for index in range(count)]


def dice(seed: int) -> random.Random:
    """Repeatable chance."""
    return random.Random(seed)  # noqa: S311  # chance, no secret


@pytest.mark.parametrize("window", ["rolling", "fixed"])
async def test_650_requests_of_a_fan_out_never_meet_a_429(window: Literal["rolling", "fixed"]):
    """With answers that take up to half a second the simulator's own limit is never hit."""
    chance = dice(5)
    async with Simulator(users=120, rate_window=window, wall_clock=wall()) as sim:
        sim.faults.add(Fault(times=None, delay=lambda: chance.uniform(0, 0.5)))
        async with client_for(sim) as client:
            start = now()
            ids = some(sim.user_ids, 650)
            outcomes = await fan_out(client.user_presences.get, ids, concurrency=60)
            assert all(outcome.ok for outcome in outcomes)
            assert len(outcomes) == 650
            assert set(statuses(sim)) == {200}
            assert len(statuses(sim)) == 650
            # Two whole minutes of permits, then the rest.
            assert 122 <= now() - start <= 125


async def test_waiting_calls_are_served_in_order_and_told_to_the_hook():
    """The budget can be read at every moment: what is left, who waits, when the next is free."""
    waits: list[float] = []

    def hook(record: object) -> None:
        if isinstance(record, LimiterWaited):
            waits.append(record.seconds)

    async with (
        Simulator(users=20, wall_clock=wall()) as sim,
        client_for(sim, rate_limit=5, hook=hook) as client,
    ):
        fresh = client.rate_limit
        assert (fresh.limit, fresh.remaining, fresh.in_flight, fresh.waiting) == (5, 5, 0, 0)
        assert fresh.next_free == fresh.paused_for == 0.0
        await spend(client, sim, 3)
        # The token request is the login host's business: only the reads count.
        assert client.rate_limit.remaining == 2
        start = now()
        order: list[str] = []

        async def one(user_id: str) -> None:
            await client.user_presences.get(user_id)
            order.append(user_id)

        tasks = [asyncio.create_task(one(user_id)) for user_id in sim.user_ids[:6]]
        await asyncio.sleep(30)
        status = client.rate_limit
        assert (status.remaining, status.in_flight, status.waiting) == (0, 0, 4)
        # Four are ahead of the next: three in this round, one in the next with it.
        assert status.next_free == pytest.approx(61 - 30, abs=0.01)
        await asyncio.gather(*tasks)
        assert order == list(sim.user_ids[:6])
        assert now() - start == pytest.approx(61, abs=0.01)
        assert waits == pytest.approx([61] * 4, abs=0.01)


async def test_a_429_pauses_every_call_of_the_client(sim: Simulator):
    """Nobody sends before Retry-After is over, and then everybody succeeds."""
    sim.faults.add(Fault(route=READ, status=429, retry_after=20))
    async with client_for(sim) as client:
        first = asyncio.create_task(client.user_presences.get(sim.user_ids[0]))
        await asyncio.sleep(1)
        start = arrivals(sim)[0]
        assert client.rate_limit.paused_for == pytest.approx(19, abs=0.01)
        assert client.rate_limit.remaining == 0
        others = [client.user_presences.get(user_id) for user_id in sim.user_ids[:30]]
        derived = client.with_options(retries=0).sources.list()
        await asyncio.gather(first, *others, derived)
        assert statuses(sim)[0] == 429
        assert set(statuses(sim)[1:]) == {200}
        assert all(moment >= start + 20 for moment in arrivals(sim)[1:])
        assert now() - start == pytest.approx(20, abs=0.1)


async def test_a_retry_after_beyond_max_wait_is_an_error_at_once(sim: Simulator):
    """The refused call and every later one hear it at once; when it is over, all is well."""
    sim.faults.add(Fault(route=READ, status=429, retry_after=600))
    async with client_for(sim) as client:
        start = now()
        with pytest.raises(RateLimitedError) as refused:
            await client.user_presences.get(sim.user_ids[0])
        assert refused.value.status == 429
        assert refused.value.code == "too.many.requests.retry.after"
        assert refused.value.retry_after == 600
        assert refused.value.attempts == 1
        with pytest.raises(RateLimitedError) as later:
            await client.sources.list()
        assert later.value.status is None
        assert later.value.retry_after == pytest.approx(600, abs=0.01)
        assert later.value.attempts == 0
        assert later.value.path_template == "/api/v2/presence/sources"
        assert now() == pytest.approx(start, abs=0.01)
        assert len(statuses(sim)) == 1
        # Who is willing to wait that long may.
        await client.with_options(max_wait=700, timeout=700).sources.list()
        assert now() - start == pytest.approx(600, abs=0.1)


async def test_who_waits_for_a_permit_hears_of_a_long_retry_after_at_once(sim: Simulator):
    """A waiter in the queue does not wait for a moment that comes too late for it."""
    sim.faults.add(Fault(route=READ, status=429, retry_after=300, delay=5))
    async with client_for(sim, rate_limit=1, retries=0) as client:
        first = asyncio.create_task(client.user_presences.get(sim.user_ids[0]))
        await asyncio.sleep(1)
        assert client.rate_limit.in_flight == 1
        start = now()
        with pytest.raises(RateLimitedError) as refused:
            await client.sources.list()
        assert now() - start == pytest.approx(4, abs=0.01)
        assert refused.value.retry_after == pytest.approx(300, abs=0.01)
        with pytest.raises(RateLimitedError):
            await first


async def test_a_429_without_retry_after_is_retried_with_backoff_and_bounded(sim: Simulator):
    """Nothing says how long: four attempts, then a typed error."""
    sim.faults.add(Fault(route=READ, status=429, times=None))
    async with client_for(sim) as client:
        with pytest.raises(RateLimitedError) as refused:
            await client.user_presences.get(sim.user_ids[0])
        assert refused.value.retry_after is None
        assert refused.value.attempts == 4
        assert statuses(sim) == [429] * 4
        assert client.rate_limit.paused_for == 0.0
        assert client.rate_limit.remaining == 300 - 4


@pytest.mark.parametrize("retry_after", ["soon", "-5", "1.5", "99999999999", "Wed, 21 Oct 2026"])
async def test_a_retry_after_that_is_no_whole_number_is_ignored(sim: Simulator, retry_after: str):
    """The vendor sends whole seconds; anything else pauses nobody."""
    sim.faults.add(Fault(route=READ, status=429, retry_after=retry_after))
    async with client_for(sim) as client:
        await client.user_presences.get(sim.user_ids[0])
        assert client.rate_limit.paused_for == 0.0
        assert statuses(sim) == [429, 200]


async def test_a_call_that_cannot_be_served_before_its_deadline_fails_at_once(sim: Simulator):
    """No request, no wait; `retry_after` says when, and then it works."""
    async with client_for(sim, rate_limit=2) as client:
        await spend(client, sim, 2)
        start = now()
        for hasty in (client.with_options(timeout=60), client.with_options(max_wait=60)):
            with pytest.raises(RateLimitedError, match="beyond its max_wait or timeout") as refused:
                await hasty.sources.list()
            assert refused.value.retry_after == pytest.approx(61, abs=0.01)
        assert now() == start
        assert len(statuses(sim)) == 2
        await asyncio.sleep(refused.value.retry_after or 0)
        await client.with_options(timeout=1).sources.list()


async def test_max_wait_zero_never_waits(sim: Simulator):
    """With a permit it goes on, without one it fails at once."""
    async with client_for(sim, rate_limit=1, max_wait=0) as client:
        await client.sources.list()
        with pytest.raises(RateLimitedError):
            await client.sources.list()


async def test_cancelled_calls_give_their_place_back(sim: Simulator):
    """Two hundred waiters are cancelled; the next call is the next to be served."""
    async with client_for(sim, rate_limit=2, max_wait=10_000, timeout=20_000) as client:
        await spend(client, sim, 2)
        tasks = [asyncio.create_task(client.settings.get()) for _ in range(200)]
        await asyncio.sleep(1)
        assert client.rate_limit.waiting == 200
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert client.rate_limit.waiting == 0
        start = now()
        await client.sources.list()
        assert now() - start == pytest.approx(60, abs=0.01)
        assert len(statuses(sim)) == 3


async def test_two_clients_have_budgets_of_their_own(sim: Simulator):
    """One of them spent and paused, the other goes on."""
    sim.faults.add(Fault(route=SOURCES, status=429, retry_after=80))
    async with (
        client_for(sim, rate_limit=3) as one,
        client_for(sim, rate_limit=3, retries=0) as other,
    ):
        await spend(one, sim, 3)
        with pytest.raises(RateLimitedError):
            await other.sources.list()
        assert one.rate_limit.remaining == 0
        assert one.rate_limit.paused_for == 0.0
        assert other.rate_limit.paused_for == pytest.approx(80, abs=0.01)
        start = now()
        await asyncio.gather(spend(one, sim, 2), spend(other, sim, 2))
        assert now() - start == pytest.approx(80, abs=0.1)


async def test_the_old_rate_limit_headers_change_nothing(sim: Simulator):
    """`inin-ratelimit-*` went away in 2021; where a gateway still sends them, they are noise."""
    headers = {
        "inin-ratelimit-count": "299",
        "inin-ratelimit-allowed": "300",
        "inin-ratelimit-reset": "55",
    }
    sim.faults.add(Fault(route=SOURCES, body=b'{"entities": []}', headers=headers))
    async with client_for(sim) as client:
        await client.sources.list()
        assert client.rate_limit.remaining == 299
        await client.sources.list()
        assert client.rate_limit.remaining == 298


async def test_every_attempt_spends_a_permit(sim: Simulator):
    """Retries and the replay after a 401 are wire requests like any other."""
    sim.faults.add(Fault(route=READ, status=503, times=2), Fault(route=READ, status=401))
    async with client_for(sim) as client:
        await client.user_presences.get(sim.user_ids[0])
        assert statuses(sim) == [503, 503, 401, 200]
        assert client.rate_limit.remaining == 300 - 4


async def test_a_lost_answer_costs_its_permit_65_seconds(sim: Simulator):
    """The request may have been counted at any moment until we gave up."""
    sim.faults.add(Fault(route=SOURCES, drop="after"))
    async with client_for(sim, rate_limit=1, retries=0) as client:
        with pytest.raises(PresenceConnectionError):
            await client.sources.list()
        gave_up = now()
        assert client.rate_limit.next_free == pytest.approx(65)
        await client.sources.list()
        assert now() - gave_up == pytest.approx(65, abs=0.01)


async def test_a_request_cancelled_in_flight_costs_its_permit_65_seconds(sim: Simulator):
    """Nobody knows whether it arrived."""
    sim.faults.add(Fault(route="GET /api/v2/presence/settings", stall=True))
    async with client_for(sim, rate_limit=1) as client:
        task = asyncio.create_task(client.settings.get())
        await asyncio.sleep(3)
        assert client.rate_limit.in_flight == 1
        task.cancel()
        await asyncio.wait({task})
        assert client.rate_limit.in_flight == 0
        assert client.rate_limit.next_free == pytest.approx(65)


async def test_a_request_that_never_left_costs_nothing(sim: Simulator):
    """Where no connection could be made, the permit is free again at once."""
    async with client_for(sim, auth=StaticToken("t"), retries=0, rate_limit=1) as client:
        await sim.aclose()
        for _ in range(3):
            with pytest.raises(PresenceConnectionError):
                await client.sources.list()
        assert client.rate_limit.remaining == 1


async def test_nothing_is_held_while_a_call_sleeps_before_its_retry(sim: Simulator):
    """One connection and two permits: another call goes through during the pause."""
    sim.faults.add(Fault(route=READ, status=503, retry_after=30))
    async with client_for(sim, pool_size=1, rate_limit=3) as client:
        start = now()
        sleeper = asyncio.create_task(client.user_presences.get(sim.user_ids[0]))
        await asyncio.sleep(1)
        assert not sleeper.done()
        assert client.rate_limit.in_flight == 0
        await client.sources.list()
        assert now() - start == pytest.approx(1, abs=0.01)
        await sleeper
        assert now() - start == pytest.approx(30, abs=0.1)


async def test_nothing_is_held_while_calls_wait_for_permits(sim: Simulator):
    """Waiters hold no connection: the pool of one serves the next permit's owner."""
    async with client_for(sim, pool_size=1, rate_limit=2) as client:
        await asyncio.gather(*(client.sources.list() for _ in range(4)))
        assert set(statuses(sim)) == {200}


async def test_an_outage_is_not_amplified(sim: Simulator):
    """The retry budget bounds what a hundred failing calls send."""
    sim.faults.add(Fault(route=READ, status=503, times=None))
    async with client_for(sim) as client:
        outcomes = await fan_out(
            client.user_presences.get, some(sim.user_ids, 100), concurrency=100
        )
        assert all(isinstance(outcome.error, ServerError) for outcome in outcomes)
        assert 100 < len(statuses(sim)) <= 120


async def test_two_processes_that_share_a_token_obey_the_servers_429(sim: Simulator):
    """Each believes in a budget of its own; Retry-After brings them together, and all succeed."""
    token = sim.issue_token()
    usual = {"auth": StaticToken(token), "timeout": 600.0, "max_wait": 100.0, "retries": 8}
    async with client_for(sim, **usual) as one, client_for(sim, **usual) as other:
        ids = some(sim.user_ids, 250)
        start = now()
        results = await asyncio.gather(
            fan_out(one.user_presences.get, ids, concurrency=20),
            fan_out(other.user_presences.get, ids, concurrency=20),
        )
        assert all(outcome.ok for outcomes in results for outcome in outcomes)
        refused = statuses(sim).count(429)
        assert 1 <= refused <= 2 * 20 * 3
        assert statuses(sim).count(200) == 500
        assert now() - start < 130
