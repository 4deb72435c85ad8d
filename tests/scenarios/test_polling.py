"""Polling through the whole client, against the simulator: an hour in seconds."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from clock import ClockLoop
from rawserver import refused_port
from support import client_for

from presence_async import (
    AuthenticationError,
    ClientCredentials,
    ClosedError,
    PermissionDeniedError,
    StaticToken,
)
from presence_async.simulator import Fault, Simulator, Switches, uniform

if TYPE_CHECKING:
    from presence_async import PresenceChange, PresenceClient, PresencePoll

BULK = "GET /api/v2/users/presences/purecloud/bulk"
SINGLE_OF = "GET /api/v2/users/{userId}/presences/{sourceId}"
SETTINGS = "GET /api/v2/presence/settings"


def clock() -> ClockLoop:
    """The running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    return loop


def simulator(**options: Any) -> Simulator:
    """A simulator whose dates move with the loop."""
    return Simulator(**({"users": 120, "wall_clock": clock().wall} | options))


def arrivals(sim: Simulator) -> list[float]:
    """When the bulk reads arrived, in seconds since the first."""
    times = [r.received_at for r in sim.requests if r.path_template == BULK.partition(" ")[2]]
    return [moment - times[0] for moment in times]


def statuses(sim: Simulator) -> Counter[int | None]:
    """How often the simulator answered what."""
    return Counter(record.status for record in sim.requests)


async def take(poll: PresencePoll, count: int) -> list[PresenceChange]:
    """The next changes."""
    return [await anext(poll) for _ in range(count)]


async def within(poll: PresencePoll, seconds: float) -> list[PresenceChange]:
    """The changes of so many seconds."""
    found = []
    try:
        async with asyncio.timeout(seconds):
            async for change in poll:
                found.append(change)  # noqa: PERF401  # the timeout must not lose them
    except TimeoutError:
        pass
    return found


async def test_a_snapshot_and_then_what_differs(sim: Simulator, client: PresenceClient) -> None:
    """Everybody once; a change is told once, with what was before and how old it may be."""
    async with client.poll(sim.user_ids, interval=60) as poll:
        first = await take(poll, 120)
        assert {change.user_id for change in first} == set(sim.user_ids)
        assert sim.count(BULK) == 3
        await asyncio.sleep(30)
        changed = clock().time()
        meal = sim.organization.definition_store.built_in("Meal").id
        sim.organization.set_presence(sim.user_ids[5], meal, message="back at 2")
        change = await anext(poll)
        assert (change.user_id, change.kind) == (sim.user_ids[5], "changed")
        assert change.fields == ("presence_definition", "message", "modified_date")
        assert change.before is not None
        assert change.before.presence_definition.system_presence == "Available"  # type: ignore[union-attr]
        assert change.after is not None
        assert (change.after.message, change.after.presence_definition.id) == ("back at 2", meal)  # type: ignore[union-attr]
        seen = clock().time()
        assert change.age is not None
        assert seen - changed <= change.age <= 61
        assert await within(poll, 300) == []


async def test_without_a_block(sim: Simulator, client: PresenceClient) -> None:
    """The issue's own words: an async iterator of changes."""
    seen = []
    async for change in client.poll(sim.user_ids, interval=120):
        seen.append(change.user_id)
        if len(seen) == 120:
            break
    assert sorted(seen) == sorted(sim.user_ids)


async def test_a_user_comes_into_being(sim: Simulator, client: PresenceClient) -> None:
    """Missing until there is a presence."""
    async with client.poll(["ghost"], interval=60) as poll:
        assert (await anext(poll)).after is None
        sim.organization.add_user("ghost")
        change = await anext(poll)
        assert (change.kind, change.before, change.after is None) == ("changed", None, False)


async def test_other_sources() -> None:
    """A source without a bulk read is polled user by user."""
    async with (
        simulator(users=20, switches=Switches(bulk_other_sources=False)) as sim,
        client_for(sim) as client,
    ):
        away = sim.organization.definition_store.built_in("Away").id
        sim.organization.set_presence(sim.user_ids[3], away, source="Outlook")
        async with client.poll(sim.user_ids, interval=60, source="Outlook") as poll:
            told = await take(poll, 20)
            assert [change.user_id for change in told if change.after] == [sim.user_ids[3]]
            await asyncio.sleep(70)
            assert sim.count(SINGLE_OF) == 40


async def test_tokens_that_expire_are_nobodys_business() -> None:
    """An hour with tokens of five minutes, and all of them revoked now and then."""
    async with simulator(token_lifetime=300) as sim, client_for(sim) as client:
        async with client.poll(sim.user_ids, interval=60) as poll:
            await take(poll, 120)
            for _ in range(20):
                sim.revoke_tokens()
                assert await within(poll, 180) == []
            assert (poll.statistics.failures, poll.statistics.sweeps) == (0, 60)
        assert sim.token_requests > 20


@pytest.mark.parametrize(("length", "kinds"), [(25, set()), (200, {"stale", "fresh"})])
async def test_a_storm_of_429s(length: int, kinds: set[str]) -> None:
    """Retry-After is obeyed; nobody gets stale while retries last; the grid is found again."""
    async with (
        simulator(users=500) as sim,
        client_for(sim) as client,
        client.poll(sim.user_ids, interval=60) as poll,
    ):
        await take(poll, 500)
        sim.faults.add(Fault(route=BULK, status=429, retry_after=25, times=length))
        told = await within(poll, 900)
        assert Counter(change.kind for change in told) == dict.fromkeys(kinds, 500)
        figures = poll.statistics
        assert figures.stretched > 0
        assert figures.stale == 0
        assert not sim.faults.pending
        assert await within(poll, 600) == []
        assert poll.statistics.sweeps == figures.sweeps + 10
        assert poll.statistics.stretched == figures.stretched
        assert poll.statistics.lag == pytest.approx(0, abs=1e-6)


async def test_a_pause_of_hours_makes_users_stale_until_it_is_over() -> None:
    """A daily limit: no request is sent meanwhile, the poll goes on, and everybody is fresh."""
    async with (
        simulator() as sim,
        client_for(sim) as client,
        client.poll(sim.user_ids, interval=60) as poll,
    ):
        await take(poll, 120)
        sim.faults.add(Fault(route=BULK, status=429, retry_after=7200))
        told = await take(poll, 120)
        assert {change.kind for change in told} == {"stale"}
        sent = sim.count(BULK)
        assert await within(poll, 7000) == []
        assert sim.count(BULK) == sent
        told = await take(poll, 120)
        assert {change.kind for change in told} == {"fresh"}


async def test_a_restart_of_the_server() -> None:
    """Connections are refused for some minutes: everybody stale once, and fresh once."""
    ports = {"port": refused_port(), "login_port": refused_port()}
    sim = simulator(users=120, **ports)
    await sim.start()
    async with client_for(sim) as client, client.poll(sim.user_ids, interval=60) as poll:
        await take(poll, 120)
        await sim.aclose()
        told = await within(poll, 300)
        assert Counter(change.kind for change in told) == {"stale": 120}
        assert all(change.after == change.before is not None for change in told)
        assert poll.statistics.stale == 120
        sim.organization.set_presence(sim.user_ids[0], message="meanwhile")
        await sim.start()
        told = await within(poll, 120)
        assert Counter(change.kind for change in told) == {"fresh": 120}
        moved = [change for change in told if change.fields]
        assert [change.user_id for change in moved] == [sim.user_ids[0]]
        assert moved[0].age is not None
        assert moved[0].age > 300
        assert (poll.statistics.stale, poll.statistics.lag) == (0, 0)
        await sim.aclose()


async def test_wrong_credentials_are_told_at_once() -> None:
    """Nobody waits an interval for that, and the login host is not asked by everybody."""
    async with simulator(users=2000) as sim:
        wrong = client_for(sim, auth=ClientCredentials(sim.client_id, "wrong"))
        async with wrong as client, client.poll(sim.user_ids, interval=60) as poll:
            start = clock().time()
            with pytest.raises(AuthenticationError):
                await take(poll, 2001)
            assert clock().time() - start < 1
            assert sim.token_requests == 1


async def test_a_login_that_ends_ends_the_poll() -> None:
    """A token that cannot be renewed: everybody stale, and an interval later the error."""
    async with simulator() as sim:
        auth = StaticToken(sim.issue_token())
        async with (
            client_for(sim, auth=auth) as client,
            client.poll(sim.user_ids, interval=60) as poll,
        ):
            await take(poll, 120)
            sim.revoke_tokens()
            told = await take(poll, 120)
            assert {change.kind for change in told} == {"stale"}
            start = clock().time()
            with pytest.raises(AuthenticationError):
                await anext(poll)
            assert clock().time() - start == pytest.approx(60, abs=1)


async def test_a_permission_that_is_gone_ends_the_poll() -> None:
    """As long as anybody can be read it does not; then it does."""
    async with (
        simulator() as sim,
        client_for(sim) as client,
        client.poll(sim.user_ids, interval=60) as poll,
    ):
        await take(poll, 120)
        sim.faults.add(Fault(route=BULK, status=403, times=None))
        await take(poll, 120)
        with pytest.raises(PermissionDeniedError):
            await anext(poll)


@pytest.mark.parametrize("wait", [0.0, 0.003, 0.2, 30.0, 60.1])
async def test_closing_the_client_under_a_poll(wait: float) -> None:
    """In a sweep or between two: whoever iterates is told at once, nothing is left."""
    async with simulator(users=500) as sim, client_for(sim) as client:
        sim.faults.add(Fault(route=BULK, times=None, delay=0.3))
        async with client.poll(sim.user_ids, interval=60, concurrency=2) as poll:
            reader = asyncio.create_task(take(poll, 10_000))
            await asyncio.sleep(wait)
            start = clock().time()
            await client.aclose()
            with pytest.raises(ClosedError, match="the client is closed"):
                await reader
            assert clock().time() == start
            assert poll.statistics.stale == 0
            with pytest.raises(ClosedError, match="the client is closed"):
                await anext(poll)


async def test_a_poll_of_a_closed_client(client: PresenceClient) -> None:
    """It cannot be entered."""
    await client.aclose()
    with pytest.raises(ClosedError, match="the client is closed"):
        async with client.poll(["a"], interval=60):
            pass


@pytest.mark.parametrize("turns", range(0, 120, 6))
async def test_cancelled_at_any_step(sim: Simulator, turns: int) -> None:
    """A reader that is cancelled leaves no permit out and no connection taken."""
    async with client_for(sim) as client:

        async def run() -> None:
            async with client.poll(sim.user_ids, interval=0.001) as poll:
                async for _ in poll:
                    await asyncio.sleep(0)

        reader = asyncio.create_task(run())
        for _ in range(turns):
            await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert (client.rate_limit.in_flight, client.rate_limit.waiting) == (0, 0)
        assert len(await client.bulk.get(sim.user_ids)) == 120


async def test_polling_keeps_to_its_share() -> None:
    """Spread evenly in the lane polling; what is left is for others, who do not wait."""
    async with (
        simulator(users=2000, rate_limit=30) as sim,
        client_for(sim, rate_limit=30, polling_share=0.5) as client,
    ):
        async with client.poll(sim.user_ids, interval=200) as poll:
            for _ in range(60):
                await asyncio.sleep(10)
                start = clock().time()
                await client.settings.get()
                assert clock().time() - start < 0.1
            times = arrivals(sim)
            busiest = max(sum(0 <= t - start < 60 for t in times) for start in times)
            assert busiest == 15
            assert poll.statistics.stretched == 0
        assert statuses(sim)[429] == 0


async def test_another_lane_may_be_named() -> None:
    """`with_options(lane=...)` has all of the budget, and the forecast says so."""
    async with (
        simulator(users=2000, rate_limit=30) as sim,
        client_for(sim, rate_limit=30, polling_share=0.5) as client,
    ):
        quick = client.with_options(lane="bulk")
        async with quick.poll(sim.user_ids, interval=100) as poll:
            await asyncio.sleep(100)
            assert poll.statistics.sweep_seconds is not None
            assert poll.statistics.sweep_seconds < 82


async def test_an_interval_that_cannot_be_met(caplog: pytest.LogCaptureFixture) -> None:
    """Said once, in the words of the forecast; sweeps follow one another, never two at a time."""
    async with (
        simulator(users=1000, rate_limit=10) as sim,
        client_for(sim, rate_limit=10) as client,
    ):
        async with client.poll(sim.user_ids, interval=60) as poll:
            await within(poll, 1000)
            figures = poll.statistics
            assert figures.stretched == figures.sweeps > 4
            assert figures.reads <= 1000 * (figures.sweeps + 1)
        said = [r.getMessage() for r in caplog.records if r.name == "presence_async.polling"]
        assert len(said) == 1
        assert "which cannot be had: sweep every 15" in said[0]
        assert caplog.records[0].levelno == logging.WARNING
        assert statuses(sim)[429] == 0


async def test_an_hour_of_polling() -> None:
    """A twentieth of 20,000 users every 120 s, in a twentieth of the budget, with jitter.

    Every value is seen within an interval and a latency, sweeps start to the microsecond,
    and nothing is refused. The whole of it, memory too: `python -m benchmarks.soak poll`.
    """
    latency = 0.5
    chance = random.Random(3)  # noqa: S311  # chance, no secret
    made: dict[str, float] = {}
    late: list[float] = []

    async def live(sim: Simulator) -> None:
        while True:
            await asyncio.sleep(chance.expovariate(0.5))
            user_id = chance.choice(sim.user_ids)
            made.setdefault(user_id, clock().time())
            sim.organization.set_presence(user_id, message=f"at {clock().time()}")

    async def watch(sim: Simulator, poll: PresencePoll) -> None:
        async for change in poll:
            assert change.after is not None
            if change.kind == "first":
                continue
            assert change.kind == "changed"
            late.append(clock().time() - made.pop(change.user_id))
            assert change.age is not None
            assert late[-1] <= change.age
            if change.after.message != sim.organization.presence(change.user_id).message:
                # Changed again while the answer was on its way.
                made[change.user_id] = clock().time() - latency

    async with (
        simulator(users=1000, rate_limit=15) as sim,
        client_for(sim, rate_limit=15) as client,
    ):
        sim.faults.add(Fault(route=BULK, times=None, delay=uniform(0, latency)))
        async with client.poll(sim.user_ids, interval=120) as poll:
            watching = asyncio.create_task(watch(sim, poll))
            await asyncio.sleep(119)
            living = asyncio.create_task(live(sim))
            for sweep in range(1, 31):
                figures = poll.statistics
                assert figures.sweeps == sweep
                assert figures.lag == pytest.approx(0, abs=1e-6)
                assert figures.oldest is not None
                assert figures.oldest < 125
                await asyncio.sleep(120)
            assert max(clock().time() - moment for moment in made.values()) <= 120 + latency
            assert not watching.done()
            figures = poll.statistics
            for task in (watching, living):
                task.cancel()
                await asyncio.wait({task})
        assert (figures.stretched, figures.failures, figures.requests) == (0, 0, 31 * 20)
        assert len(late) > 1000
        assert max(late) <= 120 + latency
        assert statuses(sim)[429] == 0
