"""The live store as its users hold it: entered, looked at, listened to, changed, left."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import Any

import pytest
from clock import check_no_leftovers
from unit.live.world import LATENCY, World, failing, frame
from unit.resources.polled import ROW, Vendor

from presence_async import PresenceClient, StaticToken
from presence_async.errors import (
    AuthenticationError,
    ClosedError,
    InvalidRequestError,
    PermissionDeniedError,
)
from presence_async.live import sharding
from presence_async.live.store import PresenceStore
from presence_async.notifications import user_topic

# Creating, opening, subscribing; then the read.
START = 4 * LATENCY + 0.1


def said(user_id: str, message: str, *, date: str = "2026-01-02T00:00:00.000Z") -> bytes:
    """An event."""
    body = ROW | {"message": message, "modifiedDate": date}
    return frame(user_topic(user_id, "presence"), body)


class Lab:
    """A world of sockets, and a vendor whose reads show what is the truth."""

    def __init__(self) -> None:
        self.world, self.vendor = World(), Vendor()

    def store(self, *user_ids: str, **options: Any) -> PresenceStore:
        """A store that is not entered yet."""
        usual: dict[str, Any] = {
            "notifications": True,
            "interval": None,
            "reconcile": None,
            "concurrency": 4,
            "forecast": self.forecast,
        }
        sends = (self.world.send, self.vendor.send, self.vendor.send)
        return PresenceStore(self.world, sends, user_ids=user_ids, **(usual | options))

    def forecast(self, users: int, interval: float = 60.0) -> Any:
        """What the client would say."""
        return self.vendor.forecast(users, interval)

    def say(self, *frames: bytes) -> None:
        """Let events arrive over the latest socket."""
        self.world.sockets[-1].say(*frames)


@pytest.fixture
def lab() -> Lab:
    """A world and a vendor."""
    return Lab()


def message(live: PresenceStore, user_id: str) -> object:
    """The message of a user."""
    presence = live[user_id].presence
    return presence and presence.message


async def test_a_life(lab: Lab) -> None:
    """Nobody is known, then everybody; events arrive; leaving leaves nothing."""
    async with lab.store("a", "b") as live:
        assert (live["a"].status, live.statistics.unread) == ("unknown", 2)
        await live.ready()
        assert asyncio.get_running_loop().time() == pytest.approx(1000 + START - 0.1)
        assert live.counts() == {"Available": 2}
        changes = live.changes()
        lab.say(said("a", "soup"))
        change = await anext(changes)
        assert (change.user_id, change.kind, message(live, "a")) == ("a", "changed", "soup")
        figures = live.statistics
        assert (figures.users, figures.unread, figures.stale) == (2, 0, 0)
        assert (figures.mode, figures.channels, figures.live_channels) == ("notifications", 1, 1)
        assert (figures.events, figures.gaps, figures.reconnects) == (1, 1, 0)
        assert (figures.reads, figures.requests, figures.sweeps) == (2, 5, 0)
        assert figures.lag is not None
        assert figures.lag == figures.lag_max > 0
    with pytest.raises(ClosedError, match="the store is closed"):
        await anext(changes)
    await live.aclose()
    check_no_leftovers(asyncio.get_running_loop())


def test_it_is_a_map(lab: Lab) -> None:
    """Of those who are followed, in their order; equal to itself only. It needs no loop yet."""
    live = lab.store("a", "b")
    assert list(live) == ["a", "b"]
    assert list(live.snapshot()) == ["a", "b"]
    assert live.snapshot()["a"] == live["a"]
    assert "a" in live
    assert "c" not in live
    assert len(live) == 2
    with pytest.raises(KeyError):
        live["c"]
    assert live != lab.store("a", "b")
    assert len({live, live}) == 1
    assert live.statistics.lag_max is None


async def test_looking_for_users(lab: Lab) -> None:
    """In any spelling of a system presence, by definition, or the stale ones."""
    async with lab.store("a", "ghost") as live:
        await live.ready()

        def where(**wanted: Any) -> list[str]:
            return [row.user_id for row in live.where(**wanted)]

        assert where() == ["a", "ghost"]
        assert where(system_presence="AVAILABLE") == ["a"]
        definition_id = ROW["presenceDefinition"]["id"]  # type: ignore[index]
        assert where(definition_id=definition_id, stale=False) == ["a"]
        assert where(stale=True) == []
        for wrong in (5, ""):
            with pytest.raises(InvalidRequestError, match="system_presence"):
                where(system_presence=wrong)
        assert live["ghost"].status == "missing"
        assert live.counts() == {"Available": 1, None: 1}


async def test_a_lag_is_never_negative(lab: Lab) -> None:
    """The vendor's clock may be ahead of ours; the most there was is kept."""
    async with lab.store("a") as live:
        await live.ready()
        lab.say(said("a", "m", date="2099-01-01T00:00:00.000Z"))
        await asyncio.sleep(0.1)
        assert (live.statistics.lag, live.statistics.lag_max) == (0, 0)
        lab.say(said("a", "m"), frame(user_topic("a", "presence"), {"message": "no date"}))
        await asyncio.sleep(0.1)
        assert live.statistics.lag == live.statistics.lag_max
        assert live.statistics.events == 3


async def test_a_socket_that_breaks(lab: Lab) -> None:
    """Its users are stale until they were read after the gap; what changed meanwhile is told."""
    async with lab.store("a", "b") as live:
        await live.ready()
        changes = live.changes()
        lab.world.sockets[0].end()
        kinds = [(await anext(changes)).kind for _ in range(2)]
        assert kinds == ["stale", "stale"]
        assert len(live.where(stale=True)) == live.statistics.stale == 2
        lab.vendor.messages["b"] = "new"
        told = [await anext(changes) for _ in range(2)]
        assert [(one.user_id, one.kind) for one in told] == [("a", "fresh"), ("b", "fresh")]
        assert told[1].fields == ("message",)
        assert (live.statistics.stale, live.statistics.reconnects) == (0, 1)


async def test_an_event_that_was_read_before_it_came(lab: Lab) -> None:
    """While the seed is under way: the event is the newer one."""
    async with lab.store("a") as live:
        await asyncio.sleep(START - LATENCY)
        lab.say(said("a", "event"))
        await live.ready()
        assert (message(live, "a"), live["a"].origin) == ("event", "event")
        await asyncio.sleep(5)
        assert message(live, "a") == "event"
        assert live.statistics.reads == 1


async def test_an_event_that_says_too_little(lab: Lab) -> None:
    """Is a reason to read the user."""
    async with lab.store("a") as live:
        await live.ready()
        lab.vendor.messages["a"] = "read"
        lab.say(frame(user_topic("a", "presence"), {"message": "event"}))
        await asyncio.sleep(1)
        assert (message(live, "a"), live.statistics.stale) == ("read", 0)


async def test_a_subscription_that_is_taken_away(lab: Lab) -> None:
    """Said over a living socket: stale until there is another one and a read."""
    async with lab.store("a") as live:
        await live.ready()
        lab.say(frame("v2.system.no_longer_subscribed.x", {"channelId": "c1"}))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert live["a"].stale
        await asyncio.sleep(5)
        assert not live["a"].stale


async def test_waiting_for_somebody(lab: Lab) -> None:
    """Until it is so; a timeout around it harms nobody."""
    async with lab.store("a") as live:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await live.wait_for("a", lambda row: row.presence)
        row = await live.wait_for("a", lambda row: row.presence)
        assert row.system_presence == "AVAILABLE"


async def test_added_and_removed(lab: Lab) -> None:
    """Who is added is read as soon as the events arrive; who is removed is gone at once."""
    async with lab.store("a") as live:
        await live.ready()
        changes = live.changes()
        live.add(["b", "a"])
        live.remove(["a", "z"])
        assert list(live) == ["b"]
        await live.ready()
        assert [(await anext(changes)).user_id] == ["b"]
        lab.say(said("a", "gone"), said("b", "here"))
        assert (await anext(changes)).user_id == "b"
        live.add(["a"])
        assert live["a"].status == "unknown"
        await live.ready()
        assert not live["a"].stale


async def test_who_cannot_be_added(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is, then; what would work is said."""
    with pytest.raises(InvalidRequestError) as caught:
        lab.store("a", "b c")
    assert caught.value.field == "user_ids[1]"
    monkeypatch.setattr(sharding, "TOPICS_PER_CHANNEL", 1)
    monkeypatch.setattr("presence_async.live.feed.CHANNELS", 2)
    live = lab.store("a")
    with pytest.raises(InvalidRequestError, match=r"client\.poll"):
        live.add(["b", "c"])
    assert list(live) == ["a"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("interval", 0),
        ("reconcile", "daily"),
        ("concurrency", 0),
        ("notifications", None),
    ],
)
def test_arguments_that_cannot_be(lab: Lab, field: str, value: Any) -> None:
    """Are refused by name."""
    with pytest.raises(InvalidRequestError, match=field) as caught:
        lab.store(**{field: value})
    assert caught.value.field == field


# -- without notifications


async def test_polling_from_the_start(lab: Lab) -> None:
    """The same, without a channel; who is added is read at once."""
    async with lab.store("a", notifications=False, interval=30) as live:
        await live.ready()
        assert not live["a"].stale
        live.add(["b"])
        await live.ready()
        assert len(lab.vendor.asked) == 2
        changes = live.changes()
        lab.vendor.messages["a"] = "new"
        assert (await anext(changes)).kind == "changed"
        assert asyncio.get_running_loop().time() == pytest.approx(1030.5)
        live.remove(["b"])
        figures = live.statistics
        assert (figures.mode, figures.channels, figures.sweeps) == ("polling", 0, 1)
        assert (figures.users, lab.world.requests) == (1, [])


@pytest.mark.parametrize(("budget", "seconds"), [(300, 10), (1, 61.5)])
async def test_the_interval_that_can_be_had(lab: Lab, budget: int, seconds: float) -> None:
    """Is taken where none is asked for, but not too short a one."""
    lab.vendor.budget = budget
    async with lab.store("a", notifications=False):
        await asyncio.sleep(seconds - 0.1)
        assert len(lab.vendor.asked) == 1
        await asyncio.sleep(0.2)
        assert len(lab.vendor.asked) == 2


def test_the_budget_of_polling() -> None:
    """Is that of its lane, a share of the client's: the interval can be had by the forecast."""
    client = PresenceClient(region="us_east_1", auth=StaticToken("token"))
    live = client.live([f"u{number}" for number in range(20_000)], notifications=False)
    assert live._seconds() == client.forecast(20_000, 10).shortest_interval
    assert live._sweeps().meets_interval


async def test_notifications_are_refused(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """It goes on by polling, and says so once."""
    caplog.set_level(logging.WARNING)
    lab.world.channel = failing(PermissionDeniedError("no notifications", status=403))
    async with lab.store("a") as live:
        await live.ready()
        await asyncio.sleep(35)
        assert (live.statistics.mode, live.statistics.sweeps, live.statistics.stale) == (
            "polling",
            4,
            0,
        )
        live.add(["b"])
        await live.ready()
        assert len(caplog.records) == 1
        assert "polled: a sweep of 1 user" in caplog.text


async def test_notifications_are_refused_later(lab: Lab) -> None:
    """The same: permissions are taken away, too."""
    async with lab.store("a", interval=10) as live:
        await live.ready()
        lab.world.answer = failing(PermissionDeniedError("no more", status=403))
        lab.world.sockets[0].end()
        await asyncio.sleep(5)
        assert (live.statistics.mode, live["a"].stale) == ("polling", False)
        lab.vendor.messages["a"] = "new"
        await asyncio.sleep(10)
        assert message(live, "a") == "new"


async def test_topics_that_are_refused(lab: Lab) -> None:
    """Their users are polled, and the others heard."""
    lab.world.answer = lambda topics: {
        "entities": [
            {"id": topic, "state": "Rejected" if ".b." in topic else "Permitted"}
            for topic in topics
        ]
    }
    async with lab.store("a", "b", interval=10) as live:
        await live.ready()
        await asyncio.sleep(25)
        assert live.statistics.mode == "notifications"
        assert live.statistics.stale == 0
        assert [ids for ids in lab.vendor.asked if "a" in ids] == [lab.vendor.asked[0]]
        assert lab.vendor.asked[-1] == ["b"]


async def test_reconciling(lab: Lab) -> None:
    """Finds what no event said."""
    async with lab.store("a", reconcile=60) as live:
        await live.ready()
        lab.vendor.messages["a"] = "lost"
        await asyncio.sleep(61)
        assert message(live, "a") == "lost"
        assert (live.statistics.sweeps, live.statistics.differences) == (1, 1)


# -- the end


async def test_before_it_is_entered(lab: Lab) -> None:
    """It can be changed, and nobody can wait; afterwards it is over."""
    live = lab.store("a")
    live.add(["b"])
    live.remove(["a"])
    for waiting in (live.ready(), live.wait_for("b", bool)):
        with pytest.raises(ClosedError, match="not entered"):
            await waiting
    with pytest.raises(ClosedError, match="not entered"):
        live.changes()
    async with live:
        assert list(live) == ["b"]
        with pytest.raises(ClosedError, match="once"):
            await live.__aenter__()
    for change in (live.add, live.remove):
        with pytest.raises(ClosedError, match="the store is closed"):
            change(["c"])
    with pytest.raises(ClosedError, match="the store is closed"):
        await live.__aenter__()
    with pytest.raises(ClosedError, match="the store is closed"):
        await live.ready()


async def test_what_nothing_helps_against(lab: Lab) -> None:
    """Ends it, whether it befalls a channel or a read; nothing goes on behind it."""
    lab.world.channel = failing(AuthenticationError("who?", status=401))
    async with lab.store("a") as live:
        with pytest.raises(AuthenticationError, match="who"):
            await live.ready()
    lab = Lab()
    lab.vendor.fails = lambda ids: AuthenticationError("who?", status=401)
    async with lab.store("a") as live:
        changes = live.changes()
        with pytest.raises(AuthenticationError, match="who"):
            await live.ready()
        with pytest.raises(AuthenticationError, match="who"):
            await anext(changes)
        await asyncio.sleep(1)
        assert live.statistics.channels == 0
        assert all(socket.closed for socket in lab.world.sockets)
        with pytest.raises(AuthenticationError):
            live.add(["b"])


async def test_the_client_is_closed(lab: Lab) -> None:
    """Whoever waits hears so."""
    async with lab.store("a") as live:
        waiting = asyncio.create_task(live.wait_for("a", lambda row: row.stale))
        await asyncio.sleep(START)
        for adopted in lab.world.adopted:
            await adopted.abort(ClosedError("the client is closed"))
        with pytest.raises(ClosedError, match="client is closed"):
            await waiting
        assert lab.world.sockets[0].closed
        assert live["a"].stale
        assert (live.statistics.stale, live.where(stale=False)) == (1, [])


async def test_a_task_of_ours_that_is_cancelled(lab: Lab) -> None:
    """Ends it: better heard than waited for."""
    async with lab.store("a") as live:
        task = next(iter(live._tasks))
        task.cancel()
        with pytest.raises(ClosedError, match="was cancelled"):
            await live.ready()


@pytest.mark.parametrize("steps", range(0, 60, 4))
async def test_cancelling_who_holds_it(lab: Lab, steps: int) -> None:
    """After any number of turns of the loop, and nothing is left."""

    async def hold() -> None:
        async with lab.store("a", "b", interval=0.5, reconcile=0.5) as live:
            await live.ready()
            lab.world.sockets[-1].end()
            async for _ in live.changes():
                pass

    task = asyncio.create_task(hold())
    for _ in range(steps):
        await asyncio.sleep(0)
    await asyncio.sleep(steps / 20)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    check_no_leftovers(asyncio.get_running_loop())


async def test_its_tasks_keep_nobodys_context(lab: Lab) -> None:
    """They live for long, and what is in there may be large."""
    variable = contextvars.ContextVar("request", default="")
    variable.set("mine")
    found = []

    def forecast(*args: Any) -> Any:
        found.append(variable.get())
        return lab.forecast(*args)

    async with lab.store("a", notifications=False, forecast=forecast):
        await asyncio.sleep(11)
    assert set(found) == {""}


async def test_too_many_channels(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other streams of the client have them: entering is refused, and leaves nothing."""
    live = lab.store("a")
    monkeypatch.setattr("presence_async.live.feed.CHANNELS", 0)
    with pytest.raises(InvalidRequestError, match=r"client\.poll"):
        await live.__aenter__()
    assert lab.world.requests == []
