"""The live store against the simulator: right in the end, and never silently wrong before."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from clock import check_no_leftovers
from histories import ADD, CREATE, READ, UNNOTICED, UPGRADE, evict
from live_history import history
from support import client_for

from presence_async import (
    ClosedError,
    InvalidRequestError,
    PermissionDeniedError,
    PresenceClient,
    SystemPresenceName,
)
from presence_async.simulator import Fault, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async import PresenceChange, PresenceStore

ROOT = Path(__file__).parents[2]
HISTORIES = int(os.environ.get("PRESENCE_HISTORIES", "1000"))


async def settled(live: PresenceStore) -> None:
    """Wait until everything is known, and is to stay so."""
    await live.ready()
    figures = live.statistics
    while figures.stale or figures.live_channels < figures.channels:
        await asyncio.sleep(1)
        figures = live.statistics


def messages(live: PresenceStore) -> dict[str, str | None]:
    """What the store says."""
    return {user_id: row.presence and row.presence.message for user_id, row in live.items()}


def truth(sim: Simulator, live: PresenceStore) -> dict[str, str | None]:
    """What it should say."""
    return {user_id: sim.organization.presence(user_id).message for user_id in live}


async def taken(changes: Any, seconds: float = 1.0) -> list[PresenceChange]:
    """Everything that comes within so many seconds."""
    got = []
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                got.append(await anext(changes))
    return got


async def test_everybody_is_there_and_stays_so(sim: Simulator, client: PresenceClient) -> None:
    """Read once in bulk; from then on changes come by themselves, within a second."""
    async with client.live(sim.user_ids) as live:
        await settled(live)
        assert sim.count(READ) == 3
        before = sim.count()
        changes = live.changes()
        sim.organization.set_presence(sim.user_ids[7], message="soup")
        (change,) = await taken(changes)
        assert (change.user_id, change.kind) == (sim.user_ids[7], "changed")
        row = live[sim.user_ids[7]]
        assert row.presence == change.after
        assert (row.presence.message, row.origin, row.stale) == ("soup", "event", False)
        assert messages(live) == truth(sim, live)
        assert sim.count() == before


# What happens to 500 users on one channel, and how long nobody can know of it.
FAULTS: dict[str, tuple[float, Callable[[Simulator], object]]] = {
    "drop": (0, lambda sim: sim.sockets.drop()),
    "close": (0, lambda sim: sim.sockets.close()),
    "freeze": (UNNOTICED, lambda sim: sim.sockets.freeze()),
    "notice": (0, lambda sim: sim.sockets.notice()),
    "expire": (0, lambda sim: sim.sockets.expire()),
    "evict": (0, evict),
    "nonsense": (0, lambda sim: sim.sockets.send("{")),
    "revoked": (0, lambda sim: sim.sockets.send('{"topicName":"v2.system.token_revoked"}')),
    "refused": (0, lambda sim: (_arm(sim, UPGRADE, status=404), sim.sockets.drop())),
    "throttled": (0, lambda sim: (_arm(sim, READ, status=429, times=3), sim.sockets.drop())),
    "half-open": (0, lambda sim: (_arm(sim, UPGRADE, half_open=True), sim.sockets.drop())),
    "stalled": (0, lambda sim: (_arm(sim, UPGRADE, stall=True), sim.sockets.drop())),
    "lost-call": (0, lambda sim: (_arm(sim, ADD, drop="after"), sim.sockets.expire())),
    "no-channel": (0, lambda sim: (_arm(sim, CREATE, status=503, times=9), sim.sockets.expire())),
    "no-reads": (0, lambda sim: (_arm(sim, READ, status=503, times=40), sim.sockets.drop())),
    "lost-reads": (0, lambda sim: (_arm(sim, READ, drop="before", times=9), sim.sockets.drop())),
    "late-reads": (0, lambda sim: (_arm(sim, READ, slow_body=5.0, times=9), sim.sockets.drop())),
    "tokens": (0, lambda sim: (sim.revoke_tokens(), sim.sockets.drop())),
}


def _arm(sim: Simulator, route: str, **fields: Any) -> None:
    sim.faults.add(Fault(route=route, **fields))


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_alone(fault: str) -> None:
    """Of 500 users nobody is silently wrong, and soon everybody is right again."""
    loop: Any = asyncio.get_running_loop()
    unnoticed, strike = FAULTS[fault]
    async with (
        Simulator(users=500, wall_clock=loop.wall) as sim,
        client_for(sim) as client,
        client.live(sim.user_ids, reconcile=None) as live,
    ):
        await settled(live)
        changes = live.changes()
        told = messages(live)
        strike(sim)
        for number, user_id in enumerate(sim.user_ids[:100]):
            sim.organization.set_presence(user_id, message=f"{fault} {number}")
            await asyncio.sleep(0.5)
            if number % 10 == 0 and number * 0.5 > unnoticed:
                fresh = [row for row in live.values() if not row.stale and row.presence]
                assert all(
                    row.presence.message == sim.organization.presence(row.user_id).message
                    for row in fresh
                )
        await asyncio.sleep(unnoticed)
        await settled(live)
        await asyncio.sleep(1)
        assert messages(live) == truth(sim, live)
        for change in await taken(changes):
            told[change.user_id] = change.after and change.after.message
        assert told == messages(live)


async def test_a_closing_notice_costs_one_read(sim: Simulator, client: PresenceClient) -> None:
    """The same channel is opened again at once; whoever is stale is so for a moment only."""
    async with client.live(sim.user_ids, reconcile=None) as live:
        await settled(live)
        changes, before = live.changes(), live.statistics
        sim.sockets.notice()
        kinds = [change.kind for change in await taken(changes, 3)]
        assert kinds.count("changed") == 0
        after = live.statistics
        assert (after.stale, after.gaps - before.gaps) == (0, 1)
        assert after.requests - before.requests <= 4
        assert len(sim.channels.all()) == 1
        await taken(changes, 120)
        assert live.statistics.reconnects == after.reconnects


async def test_refused_notifications_turn_into_polling(sim: Simulator) -> None:
    """Where channels are forbidden, the same interface is fed by polling."""
    sim.faults.add(Fault(route=CREATE, status=403, times=None))
    async with client_for(sim) as client, client.live(sim.user_ids, interval=20) as live:
        await settled(live)
        assert (live.statistics.mode, live.statistics.channels) == ("polling", 0)
        changes = live.changes()
        sim.organization.set_presence(sim.user_ids[3], message="lunch")
        (change,) = await taken(changes, 25)
        assert change.after is not None
        assert change.after.message == "lunch"
        assert live[sim.user_ids[3]].origin == "read"
        assert live.statistics.sweeps >= 1


async def test_permission_taken_away_while_it_runs(sim: Simulator, client: PresenceClient) -> None:
    """Nobody is silently wrong on the way from notifications to polling."""
    async with client.live(sim.user_ids, interval=20) as live:
        await settled(live)
        for route in (CREATE, ADD):
            sim.faults.add(Fault(route=route, status=403, times=None))
        sim.sockets.expire()
        sim.organization.set_presence(sim.user_ids[3], message="lost")
        await asyncio.sleep(0.1)
        assert live[sim.user_ids[3]].stale
        await asyncio.sleep(60)
        await settled(live)
        assert live.statistics.mode == "polling"
        sim.organization.set_presence(sim.user_ids[4], message="polled")
        await asyncio.sleep(25)
        assert messages(live) == truth(sim, live)


async def test_unwanted_notifications(sim: Simulator, client: PresenceClient) -> None:
    """Then no channel is ever made."""
    async with client.live(sim.user_ids, notifications=False, interval=15) as live:
        await settled(live)
        sim.organization.set_presence(sim.user_ids[0], message="away")
        await asyncio.sleep(20)
        assert messages(live) == truth(sim, live)
    assert sim.count(CREATE) == 0


async def test_who_may_read_nobody(sim: Simulator, client: PresenceClient) -> None:
    """What nothing helps against is raised wherever one waits."""
    sim.faults.add(Fault(route=READ, status=403, times=None))
    async with client.live(sim.user_ids) as live:
        with pytest.raises(PermissionDeniedError):
            await taken(live.changes(), 600)
        with pytest.raises(PermissionDeniedError):
            await live.wait_for(sim.user_ids[0], lambda row: row.presence is not None)
        with pytest.raises(PermissionDeniedError):
            await live.ready()


async def test_a_slow_consumer_gets_the_latest(sim: Simulator, client: PresenceClient) -> None:
    """Of many changes one waits for each user; a fast consumer beside it gets them all."""
    async with client.live(sim.user_ids) as live:
        await settled(live)
        slow, fast = live.changes(), live.changes()
        got = []
        for number in range(20):
            for user_id in sim.user_ids[:50]:
                sim.organization.set_presence(user_id, message=str(number))
            got += await taken(fast)
        assert len(got) == 1000
        folded = await taken(slow)
        assert len(folded) == 50
        assert {change.after.message for change in folded if change.after} == {"19"}
        assert {change.before.message or None for change in folded if change.before} == {None}
        assert live.statistics.reconnects == 0


async def test_a_snapshot_and_then_changes(sim: Simulator, client: PresenceClient) -> None:
    """Everybody known comes first, once, and nothing is missed in between."""
    async with client.live(sim.user_ids) as live:
        await settled(live)
        changes = live.changes(snapshot=True)
        first = await anext(changes)
        sim.organization.set_presence(sim.user_ids[-1], message="meanwhile")
        sim.organization.set_presence(first.user_id, message="told already")
        await asyncio.sleep(1)
        rest = await taken(changes)
        assert [change.kind for change in rest] == ["first"] * 119 + ["changed"]
        assert len({change.user_id for change in rest}) == 120
        last = next(change for change in rest if change.user_id == sim.user_ids[-1])
        assert last.after is not None
        assert last.after.message == "meanwhile"


async def test_waiting_for_somebody(sim: Simulator, client: PresenceClient) -> None:
    """At once when it is so already, else with the change that makes it so."""
    user_id = sim.user_ids[5]
    async with client.live(sim.user_ids) as live:
        known = await live.wait_for(user_id, lambda row: row.status == "present")
        assert known.user_id == user_id
        waiting = asyncio.create_task(
            live.wait_for(user_id, lambda row: row.presence.message == "back")
        )
        for message in ("lunch", "back", "gone"):
            await asyncio.sleep(1)
            sim.organization.set_presence(user_id, message=message)
        assert (await waiting).presence.message == "back"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await live.wait_for(user_id, lambda row: row.presence.message == "never")
        with pytest.raises(KeyError):
            await live.wait_for("nobody", bool)


async def test_counts_and_searches(sim: Simulator, client: PresenceClient) -> None:
    """They follow every change."""
    definitions = {one.system_presence: one for one in sim.organization.definitions.values()}
    async with client.live([*sim.user_ids, "nobody"]) as live:
        await settled(live)
        assert live.counts() == {SystemPresenceName("Available"): 120, None: 1}
        for user_id in sim.user_ids[:5]:
            sim.organization.set_presence(user_id, definitions["Meal"].id)
        await asyncio.sleep(1)
        available, meal = SystemPresenceName("Available"), SystemPresenceName("Meal")
        assert live.counts() == {available: 115, meal: 5, None: 1}
        found = live.where(system_presence="MEAL")
        assert [row.user_id for row in found] == list(sim.user_ids[:5])
        again = live.where(definition_id=definitions["Meal"].id, stale=False)
        assert [row.presence for row in again] == [row.presence for row in found]
        assert live.where(stale=True) == []
        assert live["nobody"].status == "missing"


async def test_added_and_removed(sim: Simulator, client: PresenceClient) -> None:
    """Who is added is read and followed; who is removed is forgotten at once."""
    first, second, third = sim.user_ids[:3]
    async with client.live([first, second]) as live:
        await settled(live)
        changes = live.changes()
        live.add([third])
        live.remove([first])
        assert list(live) == [second, third]
        (told,) = await taken(changes, 5)
        assert (told.kind, told.user_id) == ("first", third)
        for user_id in (first, second, third):
            sim.organization.set_presence(user_id, message="busy")
        assert [change.user_id for change in await taken(changes)] == [second, third]
        assert first not in live
        with pytest.raises(KeyError):
            live[first]


async def test_too_many_users(sim: Simulator, client: PresenceClient) -> None:
    """Before any request; what to do with the others is said."""
    ids = [f"user-{number}" for number in range(20_001)]
    with pytest.raises(InvalidRequestError, match=r"other 1 users with client\.poll"):
        client.live(ids)
    assert sim.count() == 0


async def test_what_the_vendor_loses_is_found() -> None:
    """A sweep in the budget's idle part sees what no event has said."""
    loop: Any = asyncio.get_running_loop()
    async with (
        Simulator(users=120, event_loss=0.5, wall_clock=loop.wall) as sim,
        client_for(sim) as client,
        client.live(sim.user_ids, reconcile=900) as live,
    ):
        await settled(live)
        for user_id in sim.user_ids:
            sim.organization.set_presence(user_id, message="changed")
        await asyncio.sleep(10)
        lost = sum(message != "changed" for message in messages(live).values())
        assert lost > 20
        await asyncio.sleep(1000)
        assert messages(live) == truth(sim, live)
        assert live.statistics.differences == lost


async def test_closing_the_client_closes_its_store(sim: Simulator) -> None:
    """Who waits gets ClosedError, and the store can be left afterwards."""
    client = client_for(sim)
    async with client, client.live(sim.user_ids) as live:
        await settled(live)
        waiting: list[asyncio.Task[Any]] = [
            asyncio.create_task(anext(live.changes())),
            asyncio.create_task(live.wait_for(sim.user_ids[0], lambda row: False)),
        ]
        await asyncio.sleep(0)
        await client.aclose()
        for one in waiting:
            with pytest.raises(ClosedError):
                await one
        assert sim.sockets.connected == ()


@pytest.mark.parametrize("leave", ["block", "aclose", "cancel"])
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
async def test_left_in_the_midst_of_seeding(sim: Simulator, turns: int, leave: str) -> None:
    """At whatever moment: nothing is left behind in a client that stays open."""
    waiting = []

    async def follow() -> None:
        async with client.live(sim.user_ids) as live:
            waiting.append(asyncio.create_task(live.ready()))
            for _ in range(turns):
                await asyncio.sleep(0)
            if leave == "aclose":
                await live.aclose()
                await live.aclose()
            elif leave == "cancel":
                await asyncio.sleep(3600)

    async with client_for(sim) as client:
        await client.users.list().pages().__anext__()
        before = asyncio.all_tasks()
        following = asyncio.create_task(follow())
        if leave == "cancel":
            for _ in range(turns + 2):
                await asyncio.sleep(0)
            following.cancel()
        await asyncio.wait([following, *waiting])
        assert following.cancelled() == (leave == "cancel")
        await asyncio.gather(*waiting, return_exceptions=True)
        ours = [task for task in asyncio.all_tasks() - before if "presence" in task.get_name()]
        assert ours == []
        await asyncio.sleep(0.1)
        assert sim.sockets.connected == ()


@pytest.mark.parametrize("seed", range(20))
async def test_never_silently_wrong(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random histories, of which CI lives through more below; these ones count as covered."""
    monkeypatch.setattr("presence_async.live.sharding.TOPICS_PER_CHANNEL", 5)
    await history(seed)
    check_no_leftovers(asyncio.get_running_loop())


def test_many_histories() -> None:
    """A thousand of them in processes of their own, more by PRESENCE_HISTORIES."""
    half = -(-HISTORIES // 2)
    script = [sys.executable, str(ROOT / "tests" / "live_history.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(  # noqa: S603  # our own code
            [*script, str(first), str(half)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for first in (1000, 1000 + half)
    ]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "".join(said)
