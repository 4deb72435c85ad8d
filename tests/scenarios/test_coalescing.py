"""Single reads merged by `client.coalesced`, against the simulator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from clock import leftovers
from support import client_for

from presence_async import (
    ClosedError,
    NotFoundError,
    PresenceTimeoutError,
    RateLimitedError,
    ServerError,
    UcUserPresence,
)
from presence_async.simulator import Fault, Simulator, Switches

if TYPE_CHECKING:
    from presence_async import CoalescedReads, PresenceClient

BULK = "GET /api/v2/users/presences/purecloud/bulk"
SINGLE_OF = "GET /api/v2/users/{userId}/presences/{sourceId}"


async def together(reads: CoalescedReads, ids: Any) -> list[Any]:
    """Get all of them at once: presences, or what was raised."""
    return await asyncio.gather(*(reads.get(user_id) for user_id in ids), return_exceptions=True)


def of_loader() -> list[asyncio.Task[Any]]:
    """The loader's own tasks."""
    return [task for task in leftovers() if task.get_name() == "presence_async coalesced read"]


async def test_ten_thousand_gets_spend_two_hundred_requests() -> None:
    """Within one minute's budget, and everybody gets the own presence."""
    async with Simulator(users=10_000) as sim, client_for(sim) as client:
        async with client.coalesced() as reads:
            found = await together(reads, sim.user_ids)
        assert [presence.user_id for presence in found] == list(sim.user_ids)
        assert sim.count(BULK) == 200
        assert client.rate_limit.remaining == 100


async def test_a_service_of_many_handlers(sim: Simulator, client: PresenceClient) -> None:
    """Whoever asks at about the same time, wherever, shares a request; others are missing."""

    async def handler(number: int) -> Any:
        await asyncio.sleep(number * 0.0001)
        try:
            return await reads.get("ghost" if number == 7 else sim.user_ids[number])
        except NotFoundError as error:
            return error

    async with client.coalesced() as reads:
        found = await asyncio.gather(*(handler(number) for number in range(40)))
    assert isinstance(found.pop(7), NotFoundError)
    assert all(isinstance(presence, UcUserPresence) for presence in found)
    assert sim.count(BULK) == 1


async def test_a_bad_id_fails_alone(sim: Simulator, client: PresenceClient) -> None:
    """At most twelve requests find it."""
    sim.faults.add(Fault(route=lambda r: "id=bad" in r.target, times=None, status=400))
    async with client.coalesced() as reads:
        found = await together(reads, [*sim.user_ids[:49], "bad"])
    assert [type(result).__name__ for result in found] == ["UcUserPresence"] * 49 + [
        "InvalidRequestError"
    ]
    assert sim.count(BULK) <= 1 + 12


async def test_a_source_without_bulk() -> None:
    """Users are read one by one from then on."""
    async with (
        Simulator(users=20, switches=Switches(bulk_other_sources=False)) as sim,
        client_for(sim) as client,
    ):
        away = sim.organization.definition_store.built_in("Away").id
        for user_id in sim.user_ids[::2]:
            sim.organization.set_presence(user_id, away, source="Outlook")
        async with client.coalesced(source="Outlook") as reads:
            found = await together(reads, sim.user_ids)
            again = await together(reads, sim.user_ids)
        for results in (found, again):
            assert [getattr(result, "user_id", None) for result in results[::2]] == list(
                sim.user_ids[::2]
            )
            assert {type(result) for result in results[1::2]} == {NotFoundError}
        assert sim.count(SINGLE_OF) == 40


async def test_beyond_the_budget_the_rest_comes_with_the_next_minutes() -> None:
    """No get fails because there are many; no 429 comes of it."""
    loop = asyncio.get_running_loop()
    async with (
        Simulator(users=3000, rate_limit=20, wall_clock=loop.wall) as sim,  # type: ignore[attr-defined]
        client_for(sim, rate_limit=20) as client,
    ):
        start = loop.time()
        async with client.coalesced() as reads:
            found = await together(reads, sim.user_ids)
        assert all(isinstance(presence, UcUserPresence) for presence in found)
        assert sim.count(BULK) == 60
        assert 120 < loop.time() - start < 130
        assert [r.status for r in sim.requests if r.status == 429] == []


async def test_the_options_of_the_client_count(sim: Simulator, client: PresenceClient) -> None:
    """Each request has the client's deadline and retries; its failure is each caller's."""
    sim.faults.add(Fault(route=BULK, delay=1000))
    hasty = client.with_options(timeout=5, retries=0)
    async with hasty.coalesced() as reads:
        errors = await together(reads, sim.user_ids[:3])
        assert {type(error) for error in errors} == {PresenceTimeoutError}
        assert len({id(error) for error in errors}) == 3
        sim.faults.add(Fault(route=BULK, status=503))
        (error,) = await together(reads, sim.user_ids[:1])
        assert isinstance(error, ServerError)
        assert error.path_template == "/api/v2/users/presences/purecloud/bulk"
        sim.faults.add(Fault(route=BULK, status=429, retry_after=400))
        (error,) = await together(reads, sim.user_ids[:1])
        assert isinstance(error, RateLimitedError)
        assert error.retry_after == 400


@pytest.mark.parametrize("wait", [0.0, 0.001, 0.006, 0.5])
async def test_closing_the_client_under_a_loader(sim: Simulator, wait: float) -> None:
    """Every get ends with ClosedError at once; nothing of the loader is left."""
    sim.faults.add(Fault(route=BULK, times=None, delay=1000))
    loop = asyncio.get_running_loop()
    async with client_for(sim) as client, client.coalesced(concurrency=1) as reads:
        gets = asyncio.create_task(together(reads, sim.user_ids))
        await asyncio.sleep(wait)
        await asyncio.sleep(0)
        await client.aclose()
        errors = await gets
        assert {(type(error), error.message) for error in errors} == {
            (ClosedError, "the client is closed")
        }
        assert of_loader() == []
        with pytest.raises(ClosedError, match="the client is closed"):
            await reads.get(sim.user_ids[0])
        assert loop.time() < 1010


async def test_a_loader_of_a_closed_client(client: PresenceClient) -> None:
    """It cannot be entered."""
    await client.aclose()
    with pytest.raises(ClosedError, match="the client is closed"):
        async with client.coalesced():
            pass


@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_cancelled_or_closed_at_any_step(sim: Simulator, turns: int) -> None:
    """A get that ends early leaves no permit out and no connection taken."""
    async with client_for(sim) as client:
        async with client.coalesced(linger=0) as reads:
            first = asyncio.create_task(reads.get(sim.user_ids[0]))
            for _ in range(turns):
                await asyncio.sleep(0)
            second = asyncio.create_task(reads.get(sim.user_ids[1]))
            await asyncio.sleep(0)
            first.cancel()
            assert (await second).user_id == sim.user_ids[1]
            await asyncio.gather(first, return_exceptions=True)
            last = asyncio.create_task(reads.get(sim.user_ids[2]))
            for _ in range(turns):
                await asyncio.sleep(0)
        result = (await asyncio.gather(last, return_exceptions=True))[0]
        assert isinstance(result, ClosedError | UcUserPresence)
        assert of_loader() == []
        assert (client.rate_limit.in_flight, client.rate_limit.waiting) == (0, 0)
        assert len(await client.bulk.get(sim.user_ids)) == 120
