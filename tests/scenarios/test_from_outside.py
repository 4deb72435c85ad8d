"""Events and third-party presences through the simulator: limits, lost answers, closing."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from clock import leftovers
from support import client_for

from presence_async import (
    ClosedError,
    EventOutcome,
    NotFoundError,
    PresenceConnectionError,
    RateLimitedError,
    Source,
    UCThirdPartyPresence,
    UserPresenceEvent,
)
from presence_async.simulator import BUILT_IN_IDS, Fault, Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from presence_async import PresenceClient, ThirdPartyOutcome

INJECT = "POST /api/v2/events/users/presence"
INGEST = "PUT /api/v2/integrations/unifiedcommunications/{ucIntegrationId}/thirdpartypresences"
BUSY = BUILT_IN_IDS["Busy"]


def sent(sim: Simulator, operation: str) -> int:
    """How many requests of an operation have arrived."""
    method, template = operation.split()
    return sim.count(template, method)


def counted(outcomes: Iterable[EventOutcome | ThirdPartyOutcome]) -> dict[str, int]:
    """How many of each status."""
    return dict(Counter(outcome.status for outcome in outcomes))


async def registered(client: PresenceClient) -> str:
    """The id of a new source."""
    source = await client.sources.create(Source(name="Phones"))
    assert isinstance(source.id, str)
    return source.id


def events_of(user_ids: Iterable[str], source_id: str) -> list[UserPresenceEvent]:
    """Everyone is busy."""
    return [
        UserPresenceEvent(user_id=user_id, source_id=source_id, presence_definition_id=BUSY)
        for user_id in user_ids
    ]


def reports(count: int) -> list[UCThirdPartyPresence]:
    """People whom nobody knows, all of them busy."""
    return [
        UCThirdPartyPresence(email=f"p{number}@example.com", presence="Busy")
        for number in range(count)
    ]


async def test_more_events_than_a_minute_has_requests_for() -> None:
    """A crowd of batches behind a small budget queues up; nobody is ever refused."""
    wall: Any = asyncio.get_running_loop()
    async with (
        Simulator(users=1_000, rate_limit=3, wall_clock=wall.wall) as sim,
        client_for(sim, rate_limit=3) as client,
    ):
        source_id = await registered(client)

        async def trickling() -> AsyncIterator[UserPresenceEvent]:
            for event in events_of(sim.user_ids, source_id):
                await asyncio.sleep(0.01)
                yield event

        outcomes = await client.events.inject(trickling(), concurrency=8)
        assert counted(outcomes) == {"applied": 1_000}
        accepted = await client.events.ingest_third_party("Teams", reports(450), concurrency=8)
        assert counted(accepted) == {"accepted": 450}
        assert (sent(sim, INJECT), sent(sim, INGEST)) == (10, 5)
        assert {request.status for request in sim.requests} == {200, 202}
        for user_id in sim.user_ids:
            assert sim.organization.presence(user_id, source_id).definition_id == BUSY


async def test_a_malformed_batch_costs_only_the_event_at_fault(
    sim: Simulator, client: PresenceClient
) -> None:
    """A blank id is a 400 for the whole call; it is split until that event is alone."""
    source_id = await registered(client)
    events = events_of(sim.user_ids, source_id)
    events[60] = UserPresenceEvent(user_id=" ", source_id=source_id)
    outcomes = await client.events.inject(events)
    assert [n for n, outcome in enumerate(outcomes) if outcome.status != "applied"] == [60]
    assert outcomes[60].status == "rejected"
    applied = [outcome.event.user_id for outcome in outcomes if outcome.status == "applied"]
    for user_id in applied:
        assert sim.organization.presence(str(user_id), source_id).definition_id == BUSY
    people = reports(120)
    people[7] = UCThirdPartyPresence(email=" ", presence="Busy")
    accepted = await client.events.ingest_third_party("Teams", people)
    assert [n for n, outcome in enumerate(accepted) if outcome.status != "accepted"] == [7]
    assert accepted[7].status == "rejected"


async def test_a_registered_source_is_no_integration(
    sim: Simulator, client: PresenceClient
) -> None:
    """A 404 for every batch: all are rejected, and the search for a bad item gives up."""
    source_id = await registered(client)
    outcomes = await client.events.ingest_third_party(source_id, reports(1_000))
    assert counted(outcomes) == {"rejected": 1_000}
    assert {type(outcome.error) for outcome in outcomes} == {NotFoundError}
    assert sent(sim, INGEST) <= 10 + 4 * 14


@pytest.mark.parametrize("drop", ["before", "after", "mid_body"])
async def test_a_lost_answer_leaves_its_batch_unknown(
    sim: Simulator, client: PresenceClient, drop: Any
) -> None:
    """Applied or not, nobody can tell, so nothing is sent twice; the other batch is told."""
    source_id = await registered(client)
    for route in (INJECT, INGEST):
        sim.faults.add(Fault(route=route, drop=drop))
    outcomes = await client.events.inject(events_of(sim.user_ids, source_id), concurrency=1)
    assert [o.status for o in outcomes] == ["unknown"] * 100 + ["applied"] * 20
    assert isinstance(outcomes[0].error, PresenceConnectionError)
    accepted = await client.events.ingest_third_party("Teams", reports(120), concurrency=1)
    assert [o.status for o in accepted] == ["unknown"] * 100 + ["accepted"] * 20
    assert (sent(sim, INJECT), sent(sim, INGEST)) == (2, 2)
    again = await client.events.inject(o.event for o in outcomes if o.status == "unknown")
    assert counted(again) == {"applied": 100}
    assert [o.event for o in again] == [o.event for o in outcomes[:100]]


async def test_a_batch_that_was_told_to_wait_is_repeated(
    sim: Simulator, client: PresenceClient
) -> None:
    """A 429 certainly took no effect."""
    source_id = await registered(client)
    for route in (INJECT, INGEST):
        sim.faults.add(Fault(route=route, status=429, retry_after=2))
    outcomes = await client.events.inject(events_of(sim.user_ids, source_id))
    assert counted(outcomes) == {"applied": 120}
    assert counted(await client.events.ingest_third_party("Teams", reports(1))) == {"accepted": 1}


async def test_a_pause_of_hours_rejects(sim: Simulator, client: PresenceClient) -> None:
    """Beyond `max_wait` every batch is refused at once, and certainly did nothing."""
    source_id = await registered(client)
    sim.faults.add(Fault(route=INJECT, status=429, retry_after=7_200, times=None))
    outcomes = await client.events.inject(events_of(sim.user_ids, source_id))
    assert counted(outcomes) == {"rejected": 120}
    assert {type(outcome.error) for outcome in outcomes} == {RateLimitedError}


@pytest.mark.parametrize("concurrency", [1, 2, 4])
async def test_closing_loses_no_outcome(sim: Simulator, concurrency: int) -> None:
    """Applied, in flight and not sent yet are told apart, and no worker is left behind."""
    client = client_for(sim)
    async with client:
        source_id = await registered(client)
        sim.faults.add(Fault(route=INJECT, skip=1, times=None, delay=30))
        strangers = [f"stranger-{number}" for number in range(380)]
        events = events_of([*sim.user_ids[:100], *strangers], source_id)
        injecting = asyncio.create_task(client.events.inject(events, concurrency=concurrency))
        await asyncio.sleep(10)
        await client.aclose()
        assert [task for task in leftovers() if "fan-out" in task.get_name()] == []
    outcomes = await injecting
    assert [outcome.event.user_id for outcome in outcomes] == [e.user_id for e in events]
    in_flight = min(100 * concurrency, 380)
    expected = {"applied": 100, "unknown": in_flight, "rejected": 380 - in_flight}
    assert counted(outcomes) == {status: count for status, count in expected.items() if count}
    assert {type(o.error) for o in outcomes if o.status != "applied"} == {ClosedError}


async def test_closing_loses_no_third_party_presence(sim: Simulator) -> None:
    """The same for the other operation."""
    sim.faults.add(Fault(route=INGEST, skip=1, times=None, delay=30))
    client = client_for(sim)
    async with client:
        ingesting = asyncio.create_task(
            client.events.ingest_third_party("Teams", reports(350), concurrency=2)
        )
        await asyncio.sleep(10)
        await client.aclose()
    outcomes = await ingesting
    assert counted(outcomes) == {"accepted": 100, "unknown": 200, "rejected": 50}
    assert [outcome.presence for outcome in outcomes] == reports(350)


async def test_a_client_that_closes_while_events_are_taken_sends_nothing(sim: Simulator) -> None:
    """The call fails as a whole, which is said before anything was sent."""
    never = asyncio.Event()

    async def waiting() -> AsyncIterator[UserPresenceEvent]:
        await never.wait()
        yield UserPresenceEvent(user_id="u", source_id="s")

    async with client_for(sim) as client:
        injecting = asyncio.create_task(client.events.inject(waiting()))
        await asyncio.sleep(1)
    never.set()
    with pytest.raises(ClosedError):
        await injecting
    assert sim.count() == 0
    with pytest.raises(ClosedError):
        await client_for(sim).events.inject([])


@pytest.mark.parametrize("after", [0.0, 0.5, 5.0, 40.0])
async def test_cancelling_ends_what_is_in_flight(sim: Simulator, after: float) -> None:
    """The caller is cancelled while batches are under way; the client goes on to work."""
    async with client_for(sim) as client:
        source_id = await registered(client)
        sim.faults.add(Fault(route=INJECT, times=None, delay=30))
        events = events_of([f"stranger-{number}" for number in range(1_000)], source_id)
        injecting = asyncio.create_task(client.events.inject(events, concurrency=3))
        await asyncio.sleep(after)
        injecting.cancel()
        await asyncio.wait({injecting})
        assert injecting.cancelled()
        assert client.rate_limit.waiting == client.rate_limit.in_flight == 0
        assert await client.settings.get()
