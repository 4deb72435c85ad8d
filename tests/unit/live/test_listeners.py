"""Who listens to a live store: each hears everything, at its own pace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from unit.live.test_table import at, event

from presence_async.errors import ClosedError, InvalidRequestError
from presence_async.live.listeners import Listeners, LiveChanges
from presence_async.live.table import LiveTable

if TYPE_CHECKING:
    from presence_async import LivePresence


class Lab:
    """Listeners to a table of two users, whose events arrive."""

    def __init__(self) -> None:
        self.table = LiveTable()
        self.table.add(["u", "v"], at(0))
        self.listeners = Listeners(self.table)
        for user_id in "uv":
            self.table.gap(user_id, 0.0, at(0))
        self.now = 0.0

    def event(self, user_id: str, message: str) -> None:
        """Somebody changed something."""
        self.now += 1
        body = event(message, self.now)
        self.listeners.put(self.table.event(user_id, body, at(self.now)), at(self.now))

    def changes(self, *, snapshot: bool = False) -> LiveChanges:
        """A consumer."""
        return LiveChanges(self.listeners, snapshot=snapshot)


async def told(changes: LiveChanges, count: int) -> list[tuple[str, str, object]]:
    """The next changes, as user, kind and message."""
    found = [await anext(changes) for _ in range(count)]
    return [(one.user_id, one.kind, one.after and one.after.message) for one in found]


def waits(row: LivePresence) -> object:
    """Whether the message is what some test waits for."""
    return row.presence and row.presence.message == "b"


async def test_each_consumer_hears_everything() -> None:
    """From when it was made on; a slow one hears of each user what is new since last time."""
    lab = Lab()
    lab.event("u", "a")
    first = lab.changes()
    lab.event("u", "b")
    second = lab.changes()
    assert aiter(second) is second
    lab.event("v", "c")
    lab.event("u", "d")
    assert await told(first, 2) == [("u", "changed", "d"), ("v", "first", "c")]
    assert await told(second, 2) == [("v", "first", "c"), ("u", "changed", "d")]


async def test_a_consumer_that_begins_with_everybody() -> None:
    """Of whom something is known; what changes meanwhile is part of that."""
    lab = Lab()
    lab.table.add(["w"], at(0))
    lab.event("v", "a")
    lab.event("u", "b")
    changes = lab.changes(snapshot=True)
    lab.event("v", "c")
    assert await told(changes, 2) == [("u", "first", "b"), ("v", "first", "c")]
    lab.event("u", "d")
    assert await told(changes, 1) == [("u", "changed", "d")]


async def test_a_consumer_that_is_closed_or_dropped() -> None:
    """Is forgotten, with what waits for it; closed, it ends."""
    lab = Lab()
    changes = lab.changes(snapshot=True)
    assert not lab.table.quiet
    await changes.aclose()
    assert lab.table.quiet
    with pytest.raises(ClosedError, match="iterator is closed"):
        await anext(changes)
    await changes.aclose()
    lab.changes()
    assert lab.table.quiet


async def test_one_reader_for_each() -> None:
    """A second task is told so."""
    lab = Lab()
    changes = lab.changes()
    task = asyncio.create_task(told(changes, 1))
    await asyncio.sleep(0)
    with pytest.raises(InvalidRequestError, match="one reader"):
        await anext(changes)
    lab.event("u", "a")
    assert await task == [("u", "first", "a")]


async def test_waiting_for_a_user() -> None:
    """Until it is so, be it for a moment only; at once if it is so already."""
    lab = Lab()
    waiting = asyncio.create_task(lab.listeners.wait_for("U", waits))
    other = asyncio.create_task(lab.listeners.wait_for("u", lambda row: row.stale))
    await asyncio.sleep(0)
    for message in ("a", "b", "c"):
        lab.event("u", message)
    row = await waiting
    assert (row.user_id, row.presence and row.presence.message) == ("u", "b")
    lab.event("u", "b")
    assert await lab.listeners.wait_for("u", waits) == lab.table.get("u", at(lab.now))
    other.cancel()
    await asyncio.wait([other])
    assert lab.table.quiet
    with pytest.raises(KeyError):
        await lab.listeners.wait_for("x", waits)


async def test_a_predicate_that_fails() -> None:
    """Fails for the one who waits, and for nobody else."""
    lab = Lab()

    def bad(row: LivePresence) -> Any:
        return 1 / (row.status == "unknown") - 1

    failing = asyncio.create_task(lab.listeners.wait_for("u", bad))
    waiting = asyncio.create_task(lab.listeners.wait_for("u", waits))
    await asyncio.sleep(0)
    lab.event("v", "b")
    lab.event("u", "a")
    lab.event("u", "b")
    with pytest.raises(ZeroDivisionError):
        await failing
    assert waits(await waiting)


async def test_a_predicate_that_removes_the_user() -> None:
    """Has its way, and disturbs nobody."""
    lab = Lab()

    def remove(row: LivePresence) -> bool:
        if row.presence is not None:
            lab.listeners.drop("u")
        return row.presence is not None

    waiting = asyncio.create_task(lab.listeners.wait_for("u", remove))
    await asyncio.sleep(0)
    lab.event("u", "a")
    with pytest.raises(KeyError, match="u"):
        await waiting


@pytest.mark.parametrize("predicate", [None, "u", asyncio.sleep])
async def test_predicates_that_cannot_be(predicate: Any) -> None:
    """Are refused by name; the result of a coroutine function would always be true."""
    with pytest.raises(InvalidRequestError, match="plain function") as caught:
        await Lab().listeners.wait_for("u", predicate)
    assert caught.value.field == "predicate"


async def test_a_consumer_that_is_collected_while_others_are_told() -> None:
    """Garbage may be found at any time; no other consumer misses anything by it."""
    lab = Lab()
    gone, stays = lab.listeners.listen(), lab.changes()
    gone.put = lambda *_: lab.listeners.forget(gone)  # type: ignore[method-assign]
    lab.event("u", "a")
    assert await told(stays, 1) == [("u", "first", "a")]


async def test_a_user_who_is_removed() -> None:
    """Is heard of no more, and nobody waits for ever."""
    lab = Lab()
    changes = lab.changes()
    lab.event("u", "a")
    waiting = asyncio.create_task(lab.listeners.wait_for("u", waits))
    ready = asyncio.create_task(lab.listeners.ready())
    done = asyncio.create_task(lab.listeners.wait_for("u", waits))
    await asyncio.sleep(0)
    lab.event("u", "b")
    for user_id in "uv":
        lab.table.remove(user_id)
        lab.listeners.drop(user_id)
    assert waits(await waiting)
    assert waits(await done)
    await ready
    lab.table.add(["v"], at(9))
    waiting = asyncio.create_task(lab.listeners.wait_for("v", waits))
    await asyncio.sleep(0)
    lab.listeners.drop("v")
    with pytest.raises(KeyError, match="v"):
        await waiting
    lab.event("v", "a")
    assert await told(changes, 1) == [("v", "first", "a")]


async def test_ready() -> None:
    """When of everybody something is known."""
    lab = Lab()
    ready = [asyncio.create_task(lab.listeners.ready()) for _ in range(2)]
    await asyncio.sleep(0)
    lab.event("u", "a")
    await asyncio.sleep(0)
    assert not ready[0].done()
    ready[1].cancel()
    lab.event("v", "a")
    await ready[0]
    await asyncio.wait([ready[1]])
    await lab.listeners.ready()
    assert lab.table.quiet


async def test_the_end() -> None:
    """Everybody hears why, also those who come later, and nobody anything else."""
    lab = Lab()
    changes = lab.changes(snapshot=True)
    lab.event("u", "a")
    tasks = [
        asyncio.create_task(work)
        for work in (
            lab.listeners.wait_for("u", waits),
            lab.listeners.ready(),
            lab.listeners.wait_for("v", lambda row: row.presence),
        )
    ]
    await asyncio.sleep(0)
    lab.event("v", "a")
    lab.listeners.end(ClosedError("it is over"))
    lab.event("u", "b")
    with pytest.raises(ClosedError, match="it is over"):
        await tasks[0]
    await asyncio.gather(*tasks[1:])
    for late in (
        anext(changes),
        anext(lab.changes()),
        lab.listeners.ready(),
        lab.listeners.wait_for("u", waits),
    ):
        with pytest.raises(ClosedError, match="it is over") as caught:
            await late
        assert caught.value is not lab.listeners.reason  # which would keep all their frames


async def test_the_end_before_anybody_is_known() -> None:
    """Who waits for everybody hears why as well."""
    lab = Lab()
    ready = asyncio.create_task(lab.listeners.ready())
    await asyncio.sleep(0)
    lab.listeners.end(ClosedError("it is over"))
    with pytest.raises(ClosedError, match="it is over"):
        await ready
