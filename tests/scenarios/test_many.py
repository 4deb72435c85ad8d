"""Many users at once, against the simulator and against a vendor made of thin air."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import clock
import pytest
from clock import leftovers
from support import client_for

from presence_async import (
    ClosedError,
    InvalidRequestError,
    MutableUserPresence,
    PermissionDeniedError,
    PresenceConnectionError,
    ServerError,
    StaticToken,
    UserPresence,
    fan_out,
)
from presence_async.resources.system_presences import BuiltinIds, SystemPresences
from presence_async.resources.user_presences import UserPresences
from presence_async.simulator import Fault, Simulator, Switches
from presence_async.wire import Request, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from presence_async import PresenceClient, Progress


BULK = "GET /api/v2/users/presences/purecloud/bulk"
BULK_OF = "GET /api/v2/users/presences/{sourceId}/bulk"
SINGLE_OF = "GET /api/v2/users/{userId}/presences/{sourceId}"
UPDATE = "PUT /api/v2/users/presences/bulk"


async def agen(ids: Any) -> AsyncIterator[Any]:
    """The ids from an async generator, a turn of the loop each."""
    for user_id in ids:
        await asyncio.sleep(0)
        yield user_id


def as_list(ids: Any) -> Any:
    """The ids as a list."""
    return list(ids)


@pytest.mark.parametrize("make", [as_list, iter, agen])
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 120])
async def test_any_number_of_ids(
    sim: Simulator, client: PresenceClient, make: Any, ordered: Any, count: int
) -> None:
    """One outcome per id from a list, a generator or an async iterator, fifty to a request."""
    ids = sim.user_ids[:count]
    many = client.user_presences.get_many(make(ids), ordered=ordered)
    found = [outcome.user_id async for outcome in many if outcome.status == "present"]
    assert (found if ordered else sorted(found)) == (list(ids) if ordered else sorted(ids))
    assert sim.count(BULK) == -(-count // 50)


async def test_five_thousand_users_in_a_hundred_requests() -> None:
    """And all of them within one minute's budget."""
    async with Simulator(users=5000) as sim, client_for(sim) as client:
        outcomes = await client.bulk.get(sim.user_ids)
        assert [outcome.user_id for outcome in outcomes] == list(sim.user_ids)
        assert {outcome.status for outcome in outcomes} == {"present"}
        assert sim.count(BULK) == 100
        assert client.rate_limit.remaining == 200


@pytest.mark.parametrize(("dedupe", "asked"), [("window", 3), ("all", 3)])
async def test_duplicates(sim: Simulator, client: PresenceClient, dedupe: Any, asked: int) -> None:
    """An id that comes again is neither read nor reported again."""
    ids = list(sim.user_ids) * 3
    outcomes = await client.user_presences.get_many(iter(ids), dedupe=dedupe)
    assert sorted(outcome.user_id for outcome in outcomes) == sorted(sim.user_ids)
    assert sim.count(BULK) == asked


async def test_bad_ids_of_a_list_and_of_a_generator(sim: Simulator, client: PresenceClient) -> None:
    """Of a list they are refused before any request; of a generator each is an outcome."""
    ids: list[Any] = [sim.user_ids[0], "", sim.user_ids[1], None]
    with pytest.raises(InvalidRequestError) as caught:
        client.user_presences.get_many(ids)
    assert caught.value.field == "ids[1]"
    assert sim.count() == 0
    for make in (iter, agen):
        outcomes = await client.user_presences.get_many(make(ids), ordered=True)
        assert [outcome.user_id for outcome in outcomes] == ids
        assert [o.status for o in outcomes] == ["present", "failed", "present", "failed"]


HOSTILE = [
    "../../me",
    "a/b",
    "a?b=c",
    "a&id=b",
    "a%2Fb",
    "a\r\nX: y",
    "ü☃\U0001f600",
    "..",
    "#",
    " ",
]


async def test_hostile_ids_stay_ids(sim: Simulator, client: PresenceClient) -> None:
    """Whatever is in them, they reach the vendor as they are, and as no other request."""
    for user_id in HOSTILE:
        sim.organization.add_user(user_id)
    outcomes = await client.user_presences.get_many([*HOSTILE, sim.user_ids[0]], ordered=True)
    assert {outcome.status for outcome in outcomes} == {"present"}
    assert sim.count() - sim.token_requests == sim.count(BULK) == 1


async def test_missing_users(sim: Simulator, client: PresenceClient) -> None:
    """Who is not there is missing, and disturbs nobody."""
    ids = [f"ghost-{n}" if n % 3 == 0 else sim.user_ids[n] for n in range(110)]
    outcomes = await client.bulk.get(ids)
    assert [outcome.status for outcome in outcomes] == [
        "missing" if n % 3 == 0 else "present" for n in range(110)
    ]
    assert sim.count(BULK) == 3


@pytest.mark.parametrize("bad", [[7], [0, 49], [3, 30, 45]])
async def test_a_chunk_refused_for_bad_ids(
    sim: Simulator, client: PresenceClient, bad: list[int]
) -> None:
    """It is split by halves until they are alone; no good id is lost."""
    ids = list(sim.user_ids[:50])
    for index in bad:
        ids[index] = f"bad-{index}"
    sim.faults.add(Fault(route=lambda r: "bad-" in r.target, times=None, status=400))
    outcomes = await client.bulk.get(ids)
    assert [o.user_id for o in outcomes if o.status == "failed"] == [f"bad-{n}" for n in bad]
    assert sim.count(BULK) <= 1 + 12 * len(bad)


async def test_a_read_that_is_always_refused(sim: Simulator, client: PresenceClient) -> None:
    """It is given up after one search of at most sixteen requests, not searched chunk by chunk."""
    sim.faults.add(Fault(route=BULK, times=None, status=400))
    outcomes = await client.user_presences.get_many(sim.user_ids, concurrency=1)
    assert {outcome.status for outcome in outcomes} == {"failed"}
    assert sim.count(BULK) == 3 + 16


@pytest.mark.parametrize("status", [500, 503])
async def test_a_chunk_that_fails_leaves_the_others_alone(
    sim: Simulator, client: PresenceClient, status: int
) -> None:
    """A server error is the outcome of the ids of its request, and of no others."""
    unlucky = sim.user_ids[60]
    sim.faults.add(Fault(route=lambda r: unlucky in r.target, times=None, status=status))
    outcomes = await client.bulk.get(sim.user_ids)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert [outcome.user_id for outcome in failed] == list(sim.user_ids[50:100])
    assert isinstance(failed[0].error, ServerError)
    assert failed[0].error.status == status


async def test_a_bad_row(sim: Simulator, client: PresenceClient) -> None:
    """A row that cannot be understood fails its user."""
    first, second, third = sim.user_ids[:3]
    body = json.dumps([{"userId": first}, {"userId": second, "modifiedDate": "never"}]).encode()
    sim.faults.add(Fault(route=BULK, body=body))
    outcomes = await client.bulk.get([first, second, third])
    assert [outcome.status for outcome in outcomes] == ["present", "failed", "missing"]


async def test_a_source_without_bulk_falls_back_for_good() -> None:
    """Four requests find it out; from then on users are read one by one."""
    async with (
        Simulator(users=60, switches=Switches(bulk_other_sources=False)) as sim,
        client_for(sim) as client,
    ):
        definition = sim.organization.definition_store.built_in("Away").id
        for user_id in sim.user_ids[::2]:
            sim.organization.set_presence(user_id, definition, source="Outlook")
        many = client.user_presences.get_many(
            sim.user_ids, source="Outlook", concurrency=1, ordered=True
        )
        outcomes = await many
        assert [o.status for o in outcomes] == ["present", "missing"] * 30
        presence = outcomes[0].presence
        assert presence
        assert presence.user_id == sim.user_ids[0]
        assert presence.source == "Outlook"
        # Paths nobody knows have no template: they are counted as requests without one.
        assert sim.count(BULK_OF) == 4
        assert sim.count(SINGLE_OF) == 60


async def test_a_slow_consumer_holds_the_reading_back(client: PresenceClient) -> None:
    """Ids are pulled only as fast as outcomes are taken."""
    pulled = 0

    def ids() -> Iterator[str]:
        nonlocal pulled
        for number in range(10_000):
            pulled += 1
            yield f"ghost-{number}"

    async with client.user_presences.get_many(ids(), concurrency=2) as many:
        async for _ in many:
            break
        await asyncio.sleep(30)
        assert pulled <= 5 * 50


@pytest.mark.parametrize("leave", ["break", "aclose", "cancel"])
async def test_leaving_early(sim: Simulator, client: PresenceClient, leave: str) -> None:
    """What is in flight is cancelled at once; the client works on."""
    sim.faults.add(Fault(route=BULK, skip=1, times=None, delay=1000))
    loop = asyncio.get_running_loop()
    many = client.user_presences.get_many(sim.user_ids, concurrency=3)
    if leave == "cancel":
        task = asyncio.create_task(many._collect())
        await asyncio.sleep(5)
        task.cancel()
        assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], BaseException)
    elif leave == "break":
        async with many:
            async for _ in many:
                break
    else:
        await anext(many)
        await many.aclose()
    assert loop.time() < 1020
    assert [task for task in leftovers() if task.get_name().endswith("fan-out")] == []
    sim.faults.clear()
    assert len(await client.bulk.get(sim.user_ids)) == 120


@pytest.mark.parametrize("busy", [True, False])
async def test_closing_the_client_under_a_fan_out(sim: Simulator, busy: Any) -> None:
    """The consumer hears it, whether it waits or works; nothing runs on."""
    sim.faults.add(Fault(route=BULK, skip=1, times=None, delay=1000))
    async with client_for(sim) as client:
        many = client.user_presences.get_many(sim.user_ids, concurrency=3)
        await anext(many)
        if busy:
            await client.aclose()
            with pytest.raises(ClosedError, match="the client is closed"):
                await anext(many)
        else:

            async def rest() -> int:
                return len([outcome async for outcome in many])

            waiting = asyncio.create_task(rest())
            await asyncio.sleep(5)
            await client.aclose()
            with pytest.raises(ClosedError, match="the client is closed"):
                await waiting
        assert [task for task in leftovers() if task.get_name().endswith("fan-out")] == []


@pytest.mark.parametrize("users", [50, 51])
async def test_closing_the_client_under_a_bulk_read(sim: Simulator, users: int) -> None:
    """An error of the call and not the outcome of its users, in one request as in more."""
    sim.faults.add(Fault(route=BULK, times=None, delay=1000))
    async with client_for(sim) as client:
        waiting = asyncio.create_task(client.bulk.get(sim.user_ids[:users]))
        await asyncio.sleep(5)
        await client.aclose()
        with pytest.raises(ClosedError, match="the client is closed"):
            await waiting


async def test_bulk_update_by_bytes(sim: Simulator, client: PresenceClient) -> None:
    """Long messages split a chunk by its bytes, and all of them arrive."""
    message = "é☃" * 6000
    items = [(user_id, UserPresence(message=message)) for user_id in sim.user_ids[:60]]
    outcomes = await client.bulk.update(items)
    assert [outcome.status for outcome in outcomes] == ["applied"] * 60
    assert [outcome.item for outcome in outcomes] == items
    bodies = [len(r.body) for r in sim.requests if r.method == "PUT"]
    assert len(bodies) == 4
    assert max(bodies) <= 512_000
    assert all(sim.organization.find_presence(u).message == message for u in sim.user_ids[:60])  # type: ignore[union-attr]


async def test_bulk_update_isolates_what_the_vendor_refuses(
    sim: Simulator, client: PresenceClient
) -> None:
    """Each item at fault gets the vendor's reason, all others are applied."""
    definition = sim.organization.definition_store.built_in("Busy").id
    items: list[Any] = [(user_id, "busy") for user_id in sim.user_ids[:50]]
    items[4] = (sim.user_ids[4], "no-such-definition")
    items[41] = MutableUserPresence(id="ghost", message="x")
    outcomes = await client.bulk.update(items)
    rejected = {index for index, o in enumerate(outcomes) if o.status == "rejected"}
    assert rejected == {4, 41}
    assert outcomes[4].error is not None
    assert outcomes[41].error is not None
    assert (outcomes[4].error.status, outcomes[41].error.status) == (400, 404)
    for index, user_id in enumerate(sim.user_ids[:50]):
        presence = sim.organization.find_presence(user_id)
        assert presence is not None
        assert (presence.definition_id == definition) is (index not in rejected)


@pytest.mark.parametrize(
    ("fault", "verdict", "applied"),
    [
        (Fault(route=UPDATE, drop="after"), "unknown", True),
        (Fault(route=UPDATE, drop="mid_body"), "unknown", True),
        (Fault(route=UPDATE, drop="before"), "unknown", False),
        (Fault(route=UPDATE, status=503), "unknown", False),
        (Fault(route=UPDATE, status=503, after_effect=True), "unknown", True),
        (Fault(route=UPDATE, status=403), "rejected", False),
        (Fault(route=UPDATE, status=409), "rejected", False),
        (Fault(route=UPDATE, status=429, retry_after=3), "applied", True),
    ],
    ids=repr,
)
async def test_bulk_update_under_faults(
    sim: Simulator, client: PresenceClient, fault: Fault, verdict: str, applied: Any
) -> None:
    """Unsettled, never sent twice unless the first certainly did nothing; the verdict is honest."""
    sim.faults.add(fault)
    definition = sim.organization.definition_store.built_in("Meal").id
    ids = sim.user_ids[:70]
    items = [(user_id, definition) for user_id in ids]
    outcomes = await client.bulk.update(items, concurrency=1, settle=False)
    assert [outcome.status for outcome in outcomes] == [verdict] * 50 + ["applied"] * 20
    assert sim.count(UPDATE) == (3 if verdict == "applied" else 2)
    for number, user_id in enumerate(ids):
        presence = sim.organization.find_presence(user_id)
        assert presence is not None
        assert (presence.definition_id == definition) is (applied or number >= 50)
    error = outcomes[0].error
    if fault.drop:
        assert isinstance(error, PresenceConnectionError)
    if fault.status == 403:
        assert isinstance(error, PermissionDeniedError)
        assert error.missing_permissions == ("presence:userPresence:edit",)


async def test_fan_out_over_any_operation(sim: Simulator, client: PresenceClient) -> None:
    """The general helper takes any coroutine function; a failing item is its own outcome."""
    ids = [*sim.user_ids[:20], "ghost"]
    outcomes = await fan_out(client.user_presences.get_primary_source, ids, concurrency=4)
    assert sorted(o.item for o in outcomes if o.ok) == sorted(sim.user_ids[:20])
    assert [o.item for o in outcomes if not o.ok] == ["ghost"]


def presences(send: Callable[[Request], Any]) -> UserPresences:
    """The resource on a bare `send`."""
    return UserPresences(send, send, SystemPresences(send, BuiltinIds()), lambda _: None)


async def thin_air(request: Request) -> Response:
    """Knows everybody."""
    await asyncio.sleep(0)
    rows = ",".join(f'{{"userId":"{u}"}}' for _, u in parse_qsl(urlsplit(request.target).query))
    return Response(200, {}, f"[{rows}]".encode())


async def sweep(count: int) -> int:
    """Read that many users and keep nothing."""
    present = 0
    async for outcome in presences(thin_air).get_many(f"user-{n}" for n in range(count)):
        present += outcome.presence is not None
    return present


def test_fifty_thousand_and_one() -> None:
    """Nobody is lost at any size."""
    assert clock.run(sweep(50_001)) == 50_001


def peak(main: Coroutine[Any, Any, int]) -> int:
    """Most bytes held during a sweep."""
    tracemalloc.start()
    try:
        clock.run(main)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def trickle(count: int) -> int:
    """The same from an async generator, with progress watched."""
    done = 0

    async def ids() -> AsyncIterator[str]:
        for number in range(count):
            yield f"user-{number}"

    def watch(progress: Progress) -> None:
        nonlocal done
        done = progress.done

    async with presences(thin_air).get_many(ids(), on_progress=watch) as outcomes:
        async for _ in outcomes:
            pass
    return done


@pytest.mark.parametrize("read", [sweep, trickle])
def test_memory_does_not_grow_with_the_input(read: Any) -> None:
    """Twice the users, the same peak: held is what is in flight, and the last 20,000 ids.

    `benchmarks.memory` reads a million.
    """
    clock.run(read(100))  # what is made once is made
    small = peak(read(20_000))
    assert peak(read(40_000)) < small * 1.02  # three bytes for each id would be too much
    assert small < 4_000_000


async def test_requests_are_full_although_the_ids_trickle_in(
    sim: Simulator, client: PresenceClient
) -> None:
    """Nobody waits for more than a second for the rest of a request, nor at the end."""
    loop = asyncio.get_running_loop()
    start = loop.time()

    async def ids() -> AsyncIterator[str]:
        for number, user_id in enumerate(sim.user_ids):
            await asyncio.sleep(20 if number == 110 else 0.01)
            yield user_id

    seen: dict[str, float] = {}
    async with client.user_presences.get_many(ids()) as outcomes:
        async for outcome in outcomes:
            seen[outcome.user_id] = round(loop.time() - start, 1)
    assert sim.count(BULK) == 4
    assert list(seen) == list(sim.user_ids)
    assert [list(seen.values()).count(when) for when in (0.5, 1.0, 2.0, 21.2)] == [50, 50, 10, 10]


@pytest.mark.parametrize("leave", ["break", "drop", "cancel", "close client"])
async def test_leaving_a_trickle_of_ids(sim: Simulator, leave: str) -> None:
    """The caller's generator is closed, and nothing of ours runs on."""
    closed: list[str] = []

    async def ids() -> AsyncIterator[str]:
        try:
            for user_id in sim.user_ids:
                yield user_id
                await asyncio.sleep(0.02)
        finally:
            closed.append("closed")

    async def read_all(many: Any) -> None:
        async for _ in many:
            pass

    async with client_for(sim) as client:
        many = client.user_presences.get_many(ids())
        assert (await anext(many)).status == "present"
        if leave == "break":
            await many.aclose()
        elif leave == "drop":
            del many
            await asyncio.sleep(0.01)
        else:
            reading = asyncio.create_task(read_all(many))
            await asyncio.sleep(0.3)
            if leave == "cancel":
                reading.cancel()
            else:
                await client.aclose()
            await asyncio.gather(reading, return_exceptions=True)
        assert closed == ["closed"]
        names = {task.get_name() for task in leftovers()}
        assert not names & {"presence_async ids", "presence_async fan-out"}


async def test_progress_of_a_sweep(sim: Simulator, client: PresenceClient) -> None:
    """After every request; repeated ids are taken off the total, so that it is reached."""
    reports: list[Progress] = []
    ids = [*sim.user_ids, *sim.user_ids[:30], "ghost"]
    sim.faults.add(Fault(route=lambda r: sim.user_ids[60] in r.target, times=None, status=500))
    outcomes = await client.bulk.get(ids, concurrency=1, on_progress=reports.append)
    assert len(outcomes) == 121
    assert [(r.done, r.total, r.failed) for r in reports] == [
        (0, 151, 0),
        (50, 151, 0),
        (100, 121, 50),
        (121, 121, 50),
    ]
    reports.clear()
    async for _ in client.user_presences.get_many(iter(ids), on_progress=reports.append):
        pass
    assert {report.total for report in reports} == {None}
    assert reports[-1].done == 121


async def test_progress_of_a_bulk_update(sim: Simulator, client: PresenceClient) -> None:
    """After every request, with what the vendor refused as failed."""
    reports: list[Progress] = []
    items: list[Any] = [(user_id, "busy") for user_id in sim.user_ids[:70]]
    items[60] = (sim.user_ids[60], "no-such-definition")
    await client.bulk.update(items, concurrency=1, on_progress=reports.append)
    assert [(r.done, r.total, r.failed) for r in reports] == [(0, 70, 0), (50, 70, 0), (70, 70, 1)]
    with pytest.raises(InvalidRequestError) as caught:
        await client.bulk.update(items, on_progress=5)  # type: ignore[arg-type]
    assert caught.value.field == "on_progress"


async def test_a_fan_out_of_a_derived_client_closes_with_its_owner(sim: Simulator) -> None:
    """It hangs on the session, not on the client it was made with."""
    async with client_for(sim, auth=StaticToken(sim.issue_token())) as client:
        sim.faults.add(Fault(route=BULK, times=None, delay=1000))
        many = client.with_options(timeout=500).user_presences.get_many(sim.user_ids)
        waiting = asyncio.create_task(anext(many))
        await asyncio.sleep(1)
        await client.aclose()
        with pytest.raises(ClosedError):
            await waiting
