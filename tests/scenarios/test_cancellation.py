"""Calls cancelled at every single step, and calls that run into deadlines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import clock
import pytest
from clock import check_no_leftovers
from rawserver import ONCE, REPEATABLE, STALL, RawServer, ok, raw_client, send, spent, until
from support import client_for

from presence_async import ClosedError, PresenceTimeoutError, RateLimitedError
from presence_async.simulator import Fault, Simulator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from presence_async import PresenceClient

GET, PATCH = REPEATABLE["GET"], ONCE["PATCH"]


async def turns(number: int) -> None:
    """Let the loop turn so often, without letting time pass."""
    for _ in range(number):
        await asyncio.sleep(0)


async def _settled(client: PresenceClient) -> None:
    """Nothing of an ended call is left: no permit out, nobody queued, no connection taken."""
    # A refresh goes on for whoever comes next.
    await until(lambda: client._session._keeper._task is None)
    await turns(5)
    status = client.rate_limit
    assert (status.in_flight, status.waiting) == (0, 0)
    session = client._session
    assert session._calls._calls == set()
    connector = session._transport._connector
    assert connector is not None
    assert connector._acquired == set()


async def _first_read(sim: Simulator, client: PresenceClient) -> Any:
    return await client.user_presences.get(sim.user_ids[0])


async def _warm_read(sim: Simulator, client: PresenceClient) -> Any:
    return await client.user_presences.get(sim.user_ids[1])


async def _write(sim: Simulator, client: PresenceClient) -> Any:
    return await client.user_presences.update(sim.user_ids[0], message="x")


async def _fan_out(sim: Simulator, client: PresenceClient) -> Any:
    return await client.user_presences.get_many(sim.user_ids[:120], concurrency=2)


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("hooked", [False, True], ids=["plain", "hooked"])
@pytest.mark.parametrize("call", [_first_read, _write, _fan_out])
def test_a_call_cancelled_after_any_number_of_steps_leaves_nothing(
    call: Callable[[Simulator, PresenceClient], Awaitable[Any]],
    hooked: bool,
    warm: bool,
) -> None:
    """Token, connection, sending, reading: cancelled at each step, the next call works."""

    async def cancelled_after(sim: Simulator, steps: int) -> bool:
        records: list[Any] = []
        async with client_for(sim, pool_size=1, hook=records.append if hooked else None) as client:
            if warm:
                await client.settings.get()
            task = asyncio.ensure_future(call(sim, client))
            await turns(steps)
            finished = task.done()
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled() is not finished
            await _settled(client)
            assert spent(client) >= sim.count() - sim.token_requests - before
            assert await _first_read(sim, client)
            if hooked:
                numbers = [r.call for r in records if type(r).__name__ == "RequestStarted"]
                ended = [r.call for r in records if type(r).__name__ == "RequestFinished"]
                assert sorted(numbers) == sorted(ended)
        await turns(3)
        return finished

    before = 0

    async def main() -> None:
        nonlocal before
        steps = 0
        finished = False
        async with Simulator(users=120) as sim:
            while not finished:
                before = sim.count() - sim.token_requests
                finished = await cancelled_after(sim, steps)
                steps += 1
                await asyncio.sleep(70)
        assert steps > 5
        await turns(3)
        check_no_leftovers(asyncio.get_running_loop())

    clock.run(main())


@pytest.mark.parametrize("early", [0.0, 1e-6])
@pytest.mark.parametrize("steps", range(5))
async def test_a_call_cancelled_as_its_permit_comes_hands_it_on(
    sim: Simulator, steps: int, early: float
) -> None:
    """At the very moment of being served a cancelled waiter passes its permit to the next."""
    loop = asyncio.get_running_loop()
    async with client_for(sim, rate_limit=1, timeout=500, max_wait=400) as client:
        await _first_read(sim, client)
        first = asyncio.ensure_future(_warm_read(sim, client))
        second = asyncio.ensure_future(_warm_read(sim, client))
        await turns(2)
        assert client.rate_limit.waiting == 2
        await asyncio.sleep(61 - (loop.time() - sim.requests[-1].received_at) - early)
        await turns(steps)
        first.cancel()
        await asyncio.wait({first})
        assert first.cancelled()
        assert await second
        # At once where the first had sent nothing; else when its lost request has cooled. Looked
        # at only now, since what was sent takes a moment to arrive.
        reached = sim.count() - sim.token_requests == 3
        gap = sim.requests[-1].received_at - sim.requests[-2].received_at
        assert gap == pytest.approx(65 if reached else 61, abs=0.2)
        await _settled(client)


async def test_a_cancelled_waiter_lets_the_next_one_in(sim: Simulator) -> None:
    """With two permits and four calls, the third cancelled, the fourth takes its place."""
    loop = asyncio.get_running_loop()
    async with client_for(sim, rate_limit=2, timeout=500, max_wait=400) as client:
        started = loop.time()
        calls = [asyncio.ensure_future(_warm_read(sim, client)) for _ in range(5)]
        await asyncio.sleep(10)
        assert [call.done() for call in calls] == [True, True, False, False, False]
        calls[2].cancel()
        await asyncio.wait(calls)
        assert calls[2].cancelled()
        assert all(call.result() for call in calls if call is not calls[2])
        assert loop.time() - started == pytest.approx(61, abs=0.1)


@pytest.mark.parametrize("pause", [0.0, 0.5, 29.9])
async def test_a_call_cancelled_in_its_pause_is_not_repeated(sim: Simulator, pause: float) -> None:
    """A cancelled backoff ends there: no further request."""
    sim.faults.add(Fault(route="GET /api/v2/presence/settings", status=503, retry_after=30))
    async with client_for(sim) as client:
        task = asyncio.ensure_future(client.settings.get())
        await until(lambda: sim.count("/api/v2/presence/settings"))
        await turns(20)
        await asyncio.sleep(pause)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        await asyncio.sleep(40)
        assert sim.count("/api/v2/presence/settings") == 1


async def test_cancelling_one_waiter_for_the_token_leaves_the_others(sim: Simulator) -> None:
    """Whoever is cancelled while a token is fetched goes alone; one fetch serves the rest."""
    sim.faults.add(Fault(route="POST /oauth/token", delay=3))
    async with client_for(sim) as client:
        calls = [asyncio.ensure_future(_warm_read(sim, client)) for _ in range(4)]
        await asyncio.sleep(1)
        calls[0].cancel()
        calls[2].cancel()
        await asyncio.wait(calls)
        assert [call.cancelled() for call in calls] == [True, False, True, False]
        assert sim.token_requests == 1
        await _settled(client)


async def test_a_task_group_that_fails_cancels_its_calls(sim: Simulator) -> None:
    """Structured cancellation reaches a call and the error of the group comes out."""
    sim.faults.add(Fault(route="GET /api/v2/users", stall=True))
    listings: list[asyncio.Task[Any]] = []

    async def group_that_fails(client: PresenceClient) -> None:
        async with asyncio.TaskGroup() as group:
            listings.append(group.create_task(client.users.list()._collect()))
            await asyncio.sleep(1)
            raise ZeroDivisionError

    async with client_for(sim) as client:
        with pytest.raises(ExceptionGroup) as caught:
            await group_that_fails(client)
        assert caught.group_contains(ZeroDivisionError)
        assert [listing.cancelled() for listing in listings] == [True]
        await _settled(client)


async def test_a_cancellation_wins_over_a_closing_client(sim: Simulator) -> None:
    """Cancelled from outside in the same turn as the client closes, a call is cancelled."""
    sim.faults.add(Fault(stall=True, times=None))
    for cancel_first in (True, False):
        client = client_for(sim)
        await client.__aenter__()
        task = asyncio.ensure_future(_first_read(sim, client))
        await turns(20)
        if cancel_first:
            task.cancel()
        closing = asyncio.ensure_future(client.aclose())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task, closing})
        assert task.cancelled()


async def test_a_permit_of_a_cancelled_request_comes_back(sim: Simulator) -> None:
    """A request that was on its way counts for 65 s after it was given up, then no more."""
    sim.faults.add(Fault(route="GET /api/v2/presence/settings", stall=True))
    async with client_for(sim) as client:
        task = asyncio.ensure_future(client.settings.get())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        assert client.rate_limit.remaining == 299
        await asyncio.sleep(64.9)
        assert client.rate_limit.remaining == 299
        await asyncio.sleep(0.2)
        assert client.rate_limit.remaining == 300


# -- deadlines


@pytest.mark.parametrize("kind", ["GET", "PUT", "DELETE", "PATCH", "POST", "BULK"])
async def test_a_deadline_ends_a_call_and_says_what_may_have_happened(kind: str) -> None:
    """A write on its way when time is up may have taken effect; a read never has."""
    loop = asyncio.get_running_loop()
    route = (REPEATABLE | ONCE)[kind]
    async with RawServer(STALL) as server, raw_client(server, timeout=4) as client:
        started = loop.time()
        with pytest.raises(PresenceTimeoutError, match="no answer within 4 s") as caught:
            await send(client, route)
        assert loop.time() - started == pytest.approx(4)
        assert caught.value.outcome_unknown is (kind != "GET")
        assert caught.value.attempts == 1
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
        await _settled(client)


@pytest.mark.parametrize("kind", ["PUT", "PATCH", "POST", "BULK"])
async def test_a_write_that_waited_for_a_connection_certainly_did_nothing(kind: str) -> None:
    """Time is up before a connection was free: the outcome is known and the permit is back."""
    async with RawServer(STALL) as server, raw_client(server, pool_size=1) as client:
        blocking = asyncio.ensure_future(send(client, GET))
        await until(lambda: server.requests)
        with pytest.raises(PresenceTimeoutError) as caught:
            await send(client.with_options(timeout=3), (REPEATABLE | ONCE)[kind])
        assert caught.value.outcome_unknown is False
        assert client.rate_limit.in_flight == 1
        assert spent(client) == 1
        blocking.cancel()
        await asyncio.wait({blocking})


async def test_a_deadline_covers_the_token_too(sim: Simulator) -> None:
    """A call whose token does not come in time ends at its own deadline, nothing sent."""
    loop = asyncio.get_running_loop()
    sim.faults.add(Fault(route="POST /oauth/token", delay=10))
    async with client_for(sim) as client:
        patient = asyncio.ensure_future(_first_read(sim, client))
        started = loop.time()
        with pytest.raises(PresenceTimeoutError) as caught:
            await _first_read(sim, client.with_options(timeout=2))
        assert loop.time() - started == pytest.approx(2)
        assert (caught.value.attempts, caught.value.outcome_unknown) == (0, False)
        assert await patient


async def test_a_foreign_timeout_works_as_anywhere() -> None:
    """asyncio.timeout around a call cancels it and turns that into TimeoutError."""
    loop = asyncio.get_running_loop()
    async with RawServer(STALL) as server, raw_client(server) as client:
        started = loop.time()
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(3):
                await send(client, PATCH)
        assert type(caught.value) is TimeoutError
        assert loop.time() - started == pytest.approx(3)
        await _settled(client)


@pytest.mark.parametrize("theirs", [2.9999999, 3.0, 3.0000001])
async def test_two_deadlines_at_one_moment_do_not_confuse_each_other(theirs: float) -> None:
    """The caller's timeout and ours at one instant: a TimeoutError, no cancellation left."""
    async with RawServer(STALL) as server, raw_client(server, timeout=3) as client:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(theirs):
                await send(client, PATCH)
        assert task.cancelling() == 0
        await asyncio.sleep(0)
        await _settled(client)


async def test_calls_with_different_deadlines_end_each_at_its_own() -> None:
    """One timer serves them all, whatever the order in which they came."""
    loop = asyncio.get_running_loop()
    async with RawServer(STALL) as server, raw_client(server) as client:
        started = loop.time()

        async def timed(seconds: float) -> float:
            with pytest.raises(PresenceTimeoutError):
                await send(client.with_options(timeout=seconds), PATCH)
            return loop.time() - started

        wanted = [9.0, 2.0, 5.0, 2.0, 28.0, 1.0]
        assert await asyncio.gather(*map(timed, wanted)) == pytest.approx(wanted)
        assert loop.time() - started == pytest.approx(28)


async def test_a_call_that_cannot_be_served_in_time_fails_at_once() -> None:
    """With the budget spent, the error comes before the deadline and says when it could be."""
    loop = asyncio.get_running_loop()
    async with RawServer(ok()) as server, raw_client(server, rate_limit=1) as client:
        await send(client, GET)
        started = loop.time()
        with pytest.raises(RateLimitedError) as caught:
            await send(client.with_options(timeout=60), PATCH)
        assert loop.time() == started
        assert caught.value.retry_after == pytest.approx(61)
        assert (caught.value.status, caught.value.attempts) == (None, 0)
        assert caught.value.outcome_unknown is False
        await send(client.with_options(timeout=62), PATCH)
        assert loop.time() - started == pytest.approx(61)


async def test_a_call_outside_a_task_is_refused(sim: Simulator) -> None:
    """Driven by hand, without a task to interrupt, a call says what it needs."""
    loop = asyncio.get_running_loop()
    async with client_for(sim) as client:
        caught: list[BaseException] = []

        def drive() -> None:
            try:
                _first_read(sim, client).send(None)
            except ClosedError as error:
                caught.append(error)

        loop.call_soon(drive)
        await turns(2)
        assert "inside an asyncio task" in str(caught[0])
