"""Bulk updates whose requests get lost: every item ends where it should, nobody is overwritten."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from rawserver import spent
from support import client_for

from presence_async import (
    ClosedError,
    InvalidRequestError,
    MutableUserPresence,
    PermissionDeniedError,
    PresenceConnectionError,
    PresenceDefinition,
    ServerError,
    Source,
    StaticToken,
    UserPresence,
    parse_csv,
)
from presence_async.simulator import BUILT_IN_IDS, Fault, Simulator, Switches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from presence_async import UpdateOutcome

UPDATE = "PUT /api/v2/users/presences/bulk"
READ = "GET /api/v2/users/presences/purecloud/bulk"
READ_OF = "GET /api/v2/users/presences/{sourceId}/bulk"
PRIMARY = "GET /api/v2/presence/users/{userId}/primarysource"
BUSY, MEAL = BUILT_IN_IDS["Busy"], BUILT_IN_IDS["Meal"]
SETTLING = 15.0


@asynccontextmanager
async def organization(users: int = 120, **options: Any) -> AsyncIterator[Simulator]:
    """A simulator whose users have had their presences for a minute."""
    loop: Any = asyncio.get_running_loop()
    async with Simulator(users=users, wall_clock=loop.wall, **options) as simulator:
        await asyncio.sleep(60)
        yield simulator


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """One with 120 users."""
    async with organization() as simulator:
        yield simulator


def statuses(outcomes: list[UpdateOutcome]) -> dict[str, int]:
    """How often each."""
    return dict(Counter(outcome.status for outcome in outcomes))


def on(sim: Simulator, definition: str, source: str = "PURECLOUD") -> set[str]:
    """The users who are on a definition."""
    presences = {user: sim.organization.find_presence(user, source) for user in sim.user_ids}
    return {user for user, one in presences.items() if one and one.definition_id == definition}


LOST = [
    # fault, was it applied, seconds until that is known
    (Fault(route=UPDATE, drop="before"), False, 0),
    (Fault(route=UPDATE, drop="after"), True, 0),
    (Fault(route=UPDATE, drop="mid_body"), True, 0),
    (Fault(route=UPDATE, stall=True), False, 5),
    (Fault(route=UPDATE, stall=True, after_effect=True), True, 5),
    (Fault(route=UPDATE, slow_body=80), True, 5),
    (Fault(route=UPDATE, wrong_length=7), True, 0),
    (Fault(route=UPDATE, status=408), False, 0),
    (Fault(route=UPDATE, status=500, after_effect=True), True, 0),
    (Fault(route=UPDATE, status=502), False, 0),
    (Fault(route=UPDATE, status=503), False, 0),
    (Fault(route=UPDATE, status=503, after_effect=True), True, 0),
    (Fault(route=UPDATE, status=504, after_effect=True), True, 0),
]


@pytest.mark.parametrize(("fault", "applied", "seconds"), LOST, ids=repr)
async def test_a_lost_request_is_settled(
    sim: Simulator, fault: Fault, applied: bool, seconds: float
) -> None:
    """After the settling time everybody is where he should be, by as few sends as possible."""
    sim.faults.add(fault)
    loop = asyncio.get_running_loop()
    async with client_for(sim, read_timeout=5) as client:
        began = loop.time()
        outcomes = await client.bulk.update([(u, BUSY) for u in sim.user_ids], concurrency=1)
        assert loop.time() - began == pytest.approx(SETTLING + seconds, abs=1)
    assert statuses(outcomes) == {"applied": 120}
    assert on(sim, BUSY) == set(sim.user_ids)
    assert [outcome.repeated for outcome in outcomes] == [not applied] * 50 + [False] * 70
    assert sim.count(UPDATE) == (3 if applied else 4)
    assert sim.count(READ) == 1
    assert {outcome.presence and outcome.presence.source for outcome in outcomes} == {"PURECLOUD"}


@pytest.mark.parametrize(("fault", "applied", "seconds"), LOST, ids=repr)
async def test_without_settling_it_stays_unknown(
    sim: Simulator, fault: Fault, applied: bool, seconds: float
) -> None:
    """Nothing is sent twice, nothing is read back, nothing is waited for."""
    sim.faults.add(fault)
    loop = asyncio.get_running_loop()
    async with client_for(sim, read_timeout=5) as client:
        began = loop.time()
        items = [(user, BUSY) for user in sim.user_ids]
        outcomes = await client.bulk.update(items, concurrency=1, settle=False)
        assert loop.time() - began == pytest.approx(seconds, abs=1)
    assert [outcome.status for outcome in outcomes] == ["unknown"] * 50 + ["applied"] * 70
    assert (sim.count(UPDATE), sim.count(READ)) == (3, 0)
    assert len(on(sim, BUSY)) == (120 if applied else 70)


async def test_a_connection_that_dies_without_a_sign(sim: Simulator) -> None:
    """The next request on it is never heard; both it and the read-back find another way."""
    sim.faults.add(Fault(route=UPDATE, half_open=True))
    async with client_for(sim, read_timeout=5, pool_size=1) as client:
        outcomes = await client.bulk.update([(u, BUSY) for u in sim.user_ids], concurrency=1)
    assert statuses(outcomes) == {"applied": 120}
    assert [outcome.repeated for outcome in outcomes] == [False] * 50 + [True] * 50 + [False] * 20
    assert sim.count(UPDATE) == 3


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_who_moves_on_meanwhile_is_left_alone(sim: Simulator, drop: Any) -> None:
    """Whether or not the lost request had been applied before."""
    loop = asyncio.get_running_loop()
    ids = sim.user_ids[:50]
    moved, helped = ids[3], ids[4]
    sim.faults.add(Fault(route=UPDATE, drop=drop))
    loop.call_later(7, sim.organization.set_presence, moved, MEAL)
    loop.call_later(8, sim.organization.set_presence, helped, BUSY)
    async with client_for(sim) as client:
        outcomes = await client.bulk.update([(user, BUSY) for user in ids])
    assert statuses(outcomes) == {"applied": 49, "superseded": 1}
    assert outcomes[3].status == "superseded"
    assert isinstance(outcomes[3].error, PresenceConnectionError)
    assert outcomes[3].presence is not None
    assert outcomes[3].presence.presence_definition is not None
    assert outcomes[3].presence.presence_definition.id == MEAL
    assert on(sim, MEAL) == {moved}
    assert on(sim, BUSY) == set(ids) - {moved}
    assert outcomes[4].repeated is False
    last = sim.organization.find_presence(helped)
    assert last is not None
    assert last.modified == pytest.approx(loop.wall() - SETTLING + 8, abs=1)  # type: ignore[attr-defined]


async def test_a_vendor_that_loses_everything(sim: Simulator) -> None:
    """Three sends and three looks; then the items are known not to be applied."""
    sim.faults.add(Fault(route=UPDATE, drop="before", times=None))
    loop = asyncio.get_running_loop()
    async with client_for(sim) as client:
        began = loop.time()
        outcomes = await client.bulk.update([(u, BUSY) for u in sim.user_ids[:50]])
        assert loop.time() - began == pytest.approx(3 * SETTLING, abs=1)
    assert statuses(outcomes) == {"rejected": 50}
    assert {outcome.repeated for outcome in outcomes} == {True}
    assert (sim.count(UPDATE), sim.count(READ)) == (3, 3)
    assert on(sim, BUSY) == set()


async def test_what_cannot_be_read_back_stays_unknown(sim: Simulator) -> None:
    """It is not sent again on a guess; both errors are told."""
    sim.faults.add(Fault(route=UPDATE, drop="after"), Fault(route=READ, status=500, times=None))
    async with client_for(sim) as client:
        (outcome,) = await client.bulk.update([(sim.user_ids[0], BUSY)])
    assert outcome.status == "unknown"
    assert isinstance(outcome.error, PresenceConnectionError)
    assert isinstance(outcome.error.__cause__, ServerError)
    assert sim.count(UPDATE) == 1


async def test_a_token_that_expires_while_it_is_waited(sim: Simulator) -> None:
    """Reading back and sending again renew it like any other call."""
    sim.faults.add(Fault(route=UPDATE, drop="before"))
    asyncio.get_running_loop().call_later(5, sim.revoke_tokens)
    async with client_for(sim) as client:
        outcomes = await client.bulk.update([(user, BUSY) for user in sim.user_ids[:50]])
    assert statuses(outcomes) == {"applied": 50}
    assert sim.token_requests == 2


async def test_the_settling_time_is_the_callers(sim: Simulator) -> None:
    """A request may still be applied after its sender has given it up."""
    sim.faults.add(Fault(route=UPDATE, delay=9))  # applied and answered when nobody listens
    loop = asyncio.get_running_loop()
    async with client_for(sim, read_timeout=2) as client:
        began = loop.time()
        outcomes = await client.bulk.update([(sim.user_ids[0], BUSY)], settling_time=8)
        assert loop.time() - began == pytest.approx(10, abs=0.5)
    assert statuses(outcomes) == {"applied": 1}
    assert sim.count(UPDATE) == 1


async def test_nothing_is_held_while_it_waits(sim: Simulator) -> None:
    """No permit is out and no connection taken; other calls go on."""
    sim.faults.add(Fault(route=UPDATE, stall=True))
    async with client_for(sim, read_timeout=5, pool_size=1) as client:
        updating = asyncio.create_task(client.bulk.update([(sim.user_ids[0], BUSY)]))
        await asyncio.sleep(10)
        assert client.rate_limit.in_flight == 0
        connector = client._session._transport._connector
        assert connector is not None
        assert connector._acquired == set()
        await client.settings.get()
        assert not updating.done()
        assert statuses(await updating) == {"applied": 1}
        assert spent(client) == sim.count() - sim.token_requests


# -- whatever the vendor's habits


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("drop", ["before", "after"])
async def test_messages_that_are_kept_or_not(kept: bool, drop: Any) -> None:
    """Items are judged by what they ask for: a definition, a message, both, either empty."""
    async with organization(6, switches=Switches(message_kept=kept)) as sim:
        users = sim.user_ids
        for user in users:
            sim.organization.set_presence(user, MEAL, message="lunch")
        await asyncio.sleep(60)
        sim.faults.add(Fault(route=UPDATE, drop=drop))
        items: list[Any] = [
            (users[0], BUSY),
            (users[1], UserPresence(message="back at 2")),
            (users[2], UserPresence(message="")),
            (users[3], UserPresence(message="m", presence_definition=PresenceDefinition(id=BUSY))),
            (users[4], MEAL),
            (users[5], UserPresence(message=None)),
        ]
        async with client_for(sim) as client:
            outcomes = await client.bulk.update(items)
        assert [o.status for o in outcomes] == ["applied"] * 5 + ["unknown"]
        repeated = [drop == "before"] * 4 + [False] * 2
        assert [outcome.repeated for outcome in outcomes] == repeated
        stored = [sim.organization.presence(user) for user in users]
        assert [one.definition_id for one in stored] == [BUSY, MEAL, MEAL, BUSY, MEAL, MEAL]
        assert [one.message for one in stored[1:4]] == ["back at 2", "", "m"]


@pytest.mark.parametrize("drop", ["before", "after"])
@pytest.mark.parametrize("bulk", [True, False])
async def test_other_sources(drop: Any, bulk: bool) -> None:
    """Ad hoc ones are read with or without a bulk read, also where nothing was ever written."""
    async with organization(6, switches=Switches(bulk_other_sources=bulk)) as sim:
        for user in sim.user_ids[:3]:
            sim.organization.set_presence(user, MEAL, source="Outlook")
        await asyncio.sleep(60)
        sim.faults.add(Fault(route=UPDATE, drop=drop))
        async with client_for(sim) as client:
            items = [(user, BUSY) for user in sim.user_ids]
            outcomes = await client.bulk.update(items, source="outlook")
        assert statuses(outcomes) == {"applied": 6}
        assert on(sim, BUSY, "Outlook") == set(sim.user_ids)
        assert on(sim, BUSY) == set()


@pytest.mark.parametrize(
    ("drop", "bulk", "expected"),
    [
        ("after", True, "applied"),
        ("after", False, "unknown"),
        ("before", True, "unknown"),
        ("before", False, "unknown"),
    ],
)
async def test_a_registered_source(drop: Any, bulk: bool, expected: str) -> None:
    """Nothing to be seen there may as well mean that it cannot be read: nothing is repeated."""
    async with organization(1, switches=Switches(bulk_other_sources=bulk)) as sim:
        async with client_for(sim) as client:
            source = await client.sources.create(Source(name="Desk"))
            sim.faults.add(Fault(route=UPDATE, drop=drop))
            busy = PresenceDefinition(id=BUSY)
            item = MutableUserPresence(
                id=sim.user_ids[0], source_id=source.id, presence_definition=busy
            )
            (outcome,) = await client.bulk.update([item])
        assert outcome.status == expected
        assert sim.count(UPDATE) == 1


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_primary_sources(sim: Simulator, drop: Any) -> None:
    """The bulk read does not show them, so they are asked for, where all else is shown."""
    first, second = sim.user_ids[:2]
    sim.faults.add(Fault(route=UPDATE, drop=drop))
    busy = PresenceDefinition(id=BUSY)
    items = [
        MutableUserPresence(id=first, source="Outlook", presence_definition=busy, primary=True),
        MutableUserPresence(id=second, source="Outlook", presence_definition=busy),
    ]
    async with client_for(sim) as client:
        outcomes = await client.bulk.update(items)
    assert statuses(outcomes) == {"applied": 2}
    primary = [sim.organization.primary_source(user).source_id for user in (first, second)]
    assert primary == ["Outlook", "PURECLOUD"]
    assert sim.count(PRIMARY) == (0 if drop == "before" else 1)


async def test_a_promotion_alone(sim: Simulator) -> None:
    """It is not seen in the presence at all, and sent again when the primary source says so."""
    user = sim.user_ids[0]
    sim.organization.set_presence(user, MEAL, source="Outlook")
    await asyncio.sleep(60)
    sim.faults.add(Fault(route=UPDATE, drop="before"))
    item = MutableUserPresence(id=user, source="Outlook", primary=True)
    async with client_for(sim) as client:
        (outcome,) = await client.bulk.update([item])
    assert (outcome.status, outcome.repeated) == ("applied", True)
    assert sim.organization.primary_source(user).source_id == "Outlook"
    assert sim.count(PRIMARY) == 1


async def test_a_primary_source_that_may_not_be_read() -> None:
    """That item stays unknown and says why; the others do not."""
    async with organization(2, permissions=["presence:userPresence:edit"]) as sim:
        sim.faults.add(Fault(route=UPDATE, drop="after"))
        items: list[Any] = [
            (sim.user_ids[0], UserPresence(primary=True)),
            (sim.user_ids[1], BUSY),
        ]
        async with client_for(sim) as client:
            outcomes = await client.bulk.update(items)
        assert [outcome.status for outcome in outcomes] == ["unknown", "applied"]
        assert outcomes[0].error is not None
        assert isinstance(outcomes[0].error.__cause__, PermissionDeniedError)


async def test_a_vendor_that_leaves_bad_items_out() -> None:
    """Its answer is an answer: they are looked at without delay, and found not applied."""
    async with organization(60, switches=Switches(bulk_put_partial=True)) as sim:
        loop = asyncio.get_running_loop()
        items = [(user, BUSY) for user in sim.user_ids]
        items[7] = ("ghost", BUSY)
        items[8] = (sim.user_ids[8], "no-such-definition")
        async with client_for(sim) as client:
            began = loop.time()
            outcomes = await client.bulk.update(items)
            assert loop.time() - began < 2
        assert statuses(outcomes) == {"applied": 58, "rejected": 2}
        assert [index for index, o in enumerate(outcomes) if o.status == "rejected"] == [7, 8]


async def test_many_requests_and_many_losses() -> None:
    """Faults at random on forty chunks: whoever is said to be applied is, and nobody else."""
    loop: Any = asyncio.get_running_loop()
    async with Simulator(users=2000, seed=3, wall_clock=loop.wall) as many:
        await asyncio.sleep(60)
        many.faults.add(
            Fault(route=UPDATE, drop="before", probability=0.2, times=None),
            Fault(route=UPDATE, drop="after", probability=0.2, times=None),
            Fault(route=READ, status=503, probability=0.2, times=None),
        )
        async with client_for(many) as client:
            outcomes = await client.bulk.update([(user, BUSY) for user in many.user_ids])
        by_status = Counter(outcome.status for outcome in outcomes)
        assert set(by_status) <= {"applied", "rejected"}
        applied = {outcome.user_id for outcome in outcomes if outcome.status == "applied"}
        assert on(many, BUSY) == applied
        assert len(applied) >= 1900


# -- cut off


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_closing_while_it_waits(sim: Simulator, concurrency: int) -> None:
    """The client closes at once, nothing is left, and every item has its outcome."""
    sim.faults.add(Fault(route=UPDATE, drop="after", times=2))
    loop = asyncio.get_running_loop()
    client = client_for(sim)
    async with client:
        items = [(user, BUSY) for user in sim.user_ids]
        updating = asyncio.create_task(client.bulk.update(items, concurrency=concurrency))
        await asyncio.sleep(9)
        began = loop.time()
        await client.aclose()
        assert loop.time() == began
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert timers == []
    outcomes = await updating
    assert [outcome.item for outcome in outcomes] == items
    if concurrency == 1:
        assert statuses(outcomes) == {"unknown": 50, "rejected": 70}
        assert {type(o.error) for o in outcomes[50:]} == {ClosedError}
    else:
        assert statuses(outcomes) == {"unknown": 100, "applied": 20}
    assert {type(o.error) for o in outcomes[:50]} == {PresenceConnectionError}


async def test_cancelling_while_items_are_checked(sim: Simulator) -> None:
    """Nobody hears of any of them, and nothing has been sent."""
    heard: list[UpdateOutcome] = []
    async with client_for(sim) as client:
        items = [(user, BUSY) for user in sim.user_ids]
        updating = asyncio.create_task(client.bulk.update(items, on_outcome=heard.append))
        await asyncio.sleep(0)
        updating.cancel()
        await asyncio.wait({updating})
    assert (updating.cancelled(), heard, sim.count()) == (True, [], 0)


@pytest.mark.parametrize("after", [0.001, 2.0, 9.0, 15.5, 17.0, 40.0])
async def test_cancelling_loses_no_outcome(sim: Simulator, after: float) -> None:
    """Whoever listens hears of every item once, whenever the update is cancelled."""
    sim.faults.add(
        Fault(route=UPDATE, drop="before", skip=1),
        Fault(route=READ, delay=1),
        Fault(route=UPDATE, delay=5),
    )
    heard: list[UpdateOutcome] = []
    async with client_for(sim) as client:
        items = [(user, BUSY) for user in sim.user_ids]
        updating = asyncio.create_task(
            client.bulk.update(items, concurrency=1, on_outcome=heard.append)
        )
        await asyncio.sleep(after)
        updating.cancel()
        await asyncio.wait({updating})
        assert updating.cancelled() is (after < 40)
        assert sorted(o.user_id for o in heard) == sorted(sim.user_ids)
        assert client.rate_limit.in_flight == 0
    for outcome in heard:
        is_busy = outcome.user_id in on(sim, BUSY)
        if outcome.status != "unknown":
            assert is_busy is (outcome.status == "applied")
    assert (statuses(heard) == {"applied": 120}) is (after == 40)


async def test_cancelling_keeps_what_is_known_of_a_request() -> None:
    """Its answer leaves one item out; the others are applied, though it is still looked for."""
    async with organization(3, switches=Switches(bulk_put_partial=True)) as sim:
        sim.faults.add(Fault(route=READ, delay=10))
        heard: list[UpdateOutcome] = []
        async with client_for(sim) as client:
            items = [(user, BUSY) for user in (*sim.user_ids, "ghost")]
            updating = asyncio.create_task(client.bulk.update(items, on_outcome=heard.append))
            await asyncio.sleep(5)
            updating.cancel()
            await asyncio.wait({updating})
        assert [outcome.status for outcome in heard] == ["applied"] * 3 + ["unknown"]
        assert isinstance(heard[3].error, InvalidRequestError)


async def test_a_listener_that_fails_disturbs_nothing(
    sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """What it raises is logged."""

    def listener(outcome: UpdateOutcome) -> None:
        raise ZeroDivisionError

    async with client_for(sim) as client:
        outcomes = await client.bulk.update([(sim.user_ids[0], BUSY)], on_outcome=listener)
    assert statuses(outcomes) == {"applied": 1}
    assert [record.message for record in caplog.records if record.name.endswith("bulk")] == [
        "on_outcome failed"
    ]


async def test_cancelled_at_every_step(sim: Simulator) -> None:
    """Sending, waiting, reading back, sending again: wherever it is cut, no permit stays out."""
    users = sim.user_ids[:3]
    steps, finished = 0, False
    while not finished:
        sim.faults.add(Fault(route=UPDATE, drop="before"))
        heard: list[UpdateOutcome] = []
        async with client_for(sim, auth=StaticToken(sim.issue_token())) as client:
            updating = asyncio.ensure_future(
                client.bulk.update(
                    [(user, BUSY) for user in users], settling_time=0, on_outcome=heard.append
                )
            )
            for _ in range(steps):
                await asyncio.sleep(0)
            finished = updating.done()
            updating.cancel()
            await asyncio.wait({updating})
            assert updating.cancelled() is not finished
            assert client.rate_limit.in_flight == 0
        # Cancelled before its first step it has not even looked at its items.
        assert sorted(o.user_id for o in heard) == (sorted(users) if steps else [])
        sim.faults.clear()
        steps += 1
    assert statuses(heard) == {"applied": 3}
    assert sim.count(READ) > 5


# -- from a file


async def test_a_file_of_moves(sim: Simulator) -> None:
    """Addresses, labels and names become ids; a lost request is settled as ever."""
    people = [sim.organization.users[user] for user in sim.user_ids[:60]]
    lines = ["email,definition_label,system_presence,message"]
    for number, person in enumerate(people):
        how = ",On Queue" if number % 2 else "meal,"
        lines.append(f'{person.email.upper()},{how},"till {number}, or so"')
    rows = parse_csv("\r\n".join(lines))
    sim.faults.add(Fault(route=UPDATE, drop="before", skip=1))
    async with client_for(sim) as client:
        outcomes = await client.bulk.update(await client.bulk.resolve(rows))
    assert statuses(outcomes) == {"applied": 60}
    for number, (row, outcome) in enumerate(zip(rows, outcomes, strict=True)):
        assert row.line == number + 2
        assert outcome.user_id == people[number].id
        stored = sim.organization.presence(outcome.user_id)
        name = "OnQueue" if number % 2 else "Meal"
        assert stored.definition_id == sim.organization.definition_store.built_in(name).id
        assert stored.message == f"till {number}, or so"
