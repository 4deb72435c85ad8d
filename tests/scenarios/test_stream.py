"""The notification stream against the simulator: every change is an event, or lies in a gap."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from clock import check_no_leftovers
from histories import CREATE, UPGRADE, World
from support import client_for

from presence_async import (
    ClosedError,
    Gap,
    InvalidRequestError,
    PermissionDeniedError,
    PresenceClient,
    PresenceNotification,
    Rejected,
    StaticToken,
    user_topic,
)
from presence_async.simulator import Fault, Simulator, Switches

if TYPE_CHECKING:
    from presence_async import PresenceStream, StreamEvent


async def taken(stream: PresenceStream, seconds: float = 5.0) -> list[StreamEvent]:
    """Everything that comes within so many seconds."""
    events = []
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                events.append(await anext(stream))
    return events


async def settled(stream: PresenceStream) -> None:
    """Wait until all channels are live and what they said so far is taken."""
    while stream.statistics.live < stream.statistics.channels:
        await taken(stream, 10)
    await taken(stream)


async def test_a_change_is_an_event_at_once(sim: Simulator, client: PresenceClient) -> None:
    """Within the vendor's own delay, under the user's id; it costs no request."""
    async with client.stream(sim.user_ids) as stream:
        await settled(stream)
        before = sim.count()
        sim.organization.set_presence(sim.user_ids[3], message="soup")
        (event,) = await taken(stream, 0.1)
        assert isinstance(event, PresenceNotification)
        assert (event.user_id, event.body.message) == (sim.user_ids[3], "soup")
        await taken(stream, 3600)
        assert sim.count() == before


async def test_many_users_on_few_channels() -> None:
    """A thousand on each; all of them are there after a few seconds, in as many requests."""
    async with (
        Simulator(users=2500) as sim,
        client_for(sim) as client,
        client.stream(sim.user_ids) as stream,
    ):
        await settled(stream)
        assert stream.statistics.channels == 3
        assert [len(channel.topics) for channel in sim.channels.all()] == [1000, 1000, 500]
        assert stream.statistics.requests == 6


async def test_too_many_users(sim: Simulator, client: PresenceClient) -> None:
    """Before any request; what to do with the others is said."""
    ids = [f"user-{number}" for number in range(20_001)]
    with pytest.raises(InvalidRequestError, match=r"other 1 users with client\.poll"):
        client.stream(ids)
    assert sim.count() == 0


@pytest.mark.parametrize(("counting", "fits"), [("once", True), ("each", False)])
async def test_combined_topics_either_way(
    counting: Any, fits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where single ones have no room: they fit, or the error says what is the matter."""
    for module in ("feed", "sharding"):
        monkeypatch.setattr(f"presence_async.live.{module}.CHANNELS", 1)
    switches = Switches(combined_topics_count=counting)
    async with Simulator(users=600, switches=switches) as sim, client_for(sim) as client:
        names = [
            user_topic(user, kind) for user in sim.user_ids for kind in ("presence", "activity")
        ]
        stream = client.stream(topics=names)
        async with stream:
            if fits:
                await settled(stream)
                (channel,) = sim.channels.all()
                assert len(channel.topics) == 600
            else:
                with pytest.raises(InvalidRequestError, match=r"combined.*client\.poll"):
                    await taken(stream, 60)


@pytest.mark.parametrize("counting", ["once", "each"])
async def test_topics_of_all_kinds(counting: Any) -> None:
    """As long as there is room, both ways of counting are the same to us."""
    switches = Switches(combined_topics_count=counting)
    async with Simulator(users=400, switches=switches) as sim, client_for(sim) as client:
        names = [user_topic(user, "presence", "activity", "station") for user in sim.user_ids]
        async with client.stream(topics=names) as stream:
            await settled(stream)
            assert stream.statistics.topics == 1200
            assert stream.statistics.channels == 2
            sim.organization.set_presence(sim.user_ids[0], message="away")
            assert len(await taken(stream)) == 2


async def test_a_topic_that_is_not_allowed() -> None:
    """Is told, and the others are followed."""
    async with Simulator(users=3, switches=Switches(presence_topic_permission=True)) as sim:
        token = sim.issue_token(user_id=sim.user_ids[0], permissions=())
        async with (
            client_for(sim, auth=StaticToken(token)) as client,
            client.stream(sim.user_ids) as stream,
        ):
            events = await taken(stream)
            (rejected,) = [event for event in events if isinstance(event, Rejected)]
            assert len(rejected.topics) == 2
            assert rejected.topics[0].missing_permissions == ("presence:userPresence:view",)
            (gap,) = [event for event in events if isinstance(event, Gap)]
            assert gap.users == (sim.user_ids[0],)


async def test_where_channels_are_refused(sim: Simulator, client: PresenceClient) -> None:
    """Nothing helps against a 403: the stream raises it."""
    sim.faults.add(Fault(route=CREATE, status=403))
    async with client.stream(sim.user_ids) as stream:
        with pytest.raises(PermissionDeniedError):
            await taken(stream)
        with pytest.raises(PermissionDeniedError):
            stream.add(["somebody-else"])


async def test_added_and_removed(sim: Simulator, client: PresenceClient) -> None:
    """Who is added has a gap when the events arrive; who is removed is not heard."""
    first, second, third = sim.user_ids[:3]
    async with client.stream([first, second]) as stream:
        await settled(stream)
        stream.add([third])
        stream.remove([first])
        (gap,) = await taken(stream)
        assert isinstance(gap, Gap)
        assert gap.users == (third,)
        for user_id in (first, second, third):
            sim.organization.set_presence(user_id, message="busy")
        events = await taken(stream)
        assert [getattr(event, "user_id", None) for event in events] == [second, third]


async def test_days_without_a_gap(sim: Simulator, client: PresenceClient) -> None:
    """Channels are extended and tokens renewed, and nobody notices."""
    async with client.stream(sim.user_ids[:5]) as stream:
        await settled(stream)
        events = await taken(stream, 3 * 86_400)
        assert events == []
        assert sim.token_requests > 3
        assert 4 <= stream.statistics.requests < 12


async def test_sockets_with_a_lifetime() -> None:
    """After a notice the same channel is opened again at once; the overlap is a gap."""
    loop: Any = asyncio.get_running_loop()
    async with (
        Simulator(users=5, socket_lifetime=3600, wall_clock=loop.wall) as sim,
        client_for(sim) as client,
        client.stream(sim.user_ids) as stream,
    ):
        await settled(stream)
        events = await taken(stream, 3 * 3600)
        gaps = [event for event in events if isinstance(event, Gap)]
        assert len(gaps) == 3
        assert max(gap.until - gap.since for gap in gaps) < 1
        assert len(sim.channels.all()) == 1


async def test_the_address_is_nowhere_to_be_seen(
    sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """In no log, no record and no event, whatever happens to the sockets."""
    caplog.set_level(logging.DEBUG)
    records: list[Any] = []
    shown = []
    async with (
        client_for(sim, hook=records.append) as client,
        client.stream(sim.user_ids[:3]) as stream,
    ):
        await settled(stream)
        ids = [channel.id for channel in sim.channels.all()]
        for disturb in (sim.sockets.drop, sim.sockets.notice, sim.sockets.expire):
            disturb()
            sim.faults.add(Fault(route=UPGRADE, status=503))
            shown += [repr(event) for event in await taken(stream, 200)]
            shown.append(repr(stream.statistics))
        ids += [channel.id for channel in sim.channels.all()]
    logged = [
        record.getMessage()
        for record in caplog.records
        if not record.name.startswith(("presence_async.simulator", "aiohttp.access"))
    ]
    assert len(set(ids)) == 2
    text = "\n".join([*shown, *logged, repr(records)])
    assert not any(one in text for one in ids)


async def test_closing_the_client_closes_its_streams(sim: Simulator) -> None:
    """Who waits gets ClosedError; no task, socket or timer is left."""
    client = client_for(sim)
    async with client:
        stream = client.stream(sim.user_ids)
        await stream.__aenter__()
        await settled(stream)
        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        await client.aclose()
        with pytest.raises(ClosedError, match="the client is closed"):
            await waiting
        assert sim.sockets.connected == ()


@pytest.mark.parametrize("turns", range(0, 60, 4))
async def test_left_at_any_moment(sim: Simulator, turns: int) -> None:
    """The stream leaves nothing behind in a client that stays open."""
    async with client_for(sim) as client:
        await client.users.list().pages().__anext__()
        async with client.stream(sim.user_ids):
            for _ in range(turns):
                await asyncio.sleep(0)
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert "presence_async channel" not in names
        await asyncio.sleep(0.1)
        assert sim.sockets.connected == ()


async def test_over_the_callers_session(sim: Simulator) -> None:
    """Sockets use its connector, and it is left open."""
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        client_for(sim, session=session) as client,
    ):
        async with client.stream(sim.user_ids[:2]) as stream:
            await settled(stream)
            assert stream.statistics.live == 1
        assert not session.closed


class Watcher:
    """Does what the docs tell a consumer to: keeps what events say, and reads after gaps."""

    def __init__(self, sim: Simulator, stream: PresenceStream) -> None:
        self.sim = sim
        self.stream = stream
        self.followed = set(sim.user_ids)
        self.known: dict[str, str | None] = {}
        self.seen: set[tuple[str, str | None]] = set()
        self.gaps: list[Gap] = []

    def truth(self, user_id: str) -> str | None:
        """What a read would say now."""
        return self.sim.organization.presence(user_id).message

    async def take(self, seconds: float) -> None:
        """Everything that comes within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    self.hear(await anext(self.stream))

    def hear(self, event: StreamEvent) -> None:
        """One event."""
        if isinstance(event, PresenceNotification):
            message = event.body.message or None
            self.known[event.user_id] = message
            self.seen.add((event.user_id, message))
        elif isinstance(event, Gap):
            self.gaps.append(event)
            self.known |= {user_id: self.truth(user_id) for user_id in event.users}

    def follow(self, user_id: str) -> None:
        """Add a user, or remove one that is followed."""
        if user_id in self.followed:
            self.stream.remove([user_id])
        else:
            self.stream.add([user_id])
        self.followed ^= {user_id}

    def covers(self, user_id: str, at: float) -> bool:
        """Whether a change at that time lies in a gap; its event is on its way for a moment."""
        delay = 0.1
        return any(
            gap.since - delay <= at <= gap.until and user_id in gap.users for gap in self.gaps
        )


async def history(seed: int) -> None:
    """One random history: changes and disturbances; then everything is an event or in a gap."""
    random = Random(seed)  # noqa: S311  # a test that repeats
    world = World(random, users=40)
    async with (
        world.sim as sim,
        client_for(sim) as client,
        client.stream(sim.user_ids) as stream,
    ):
        watcher = Watcher(sim, stream)
        changes: dict[str, tuple[float, str]] = {}
        for _ in range(30):
            if random.random() < 0.4:
                world.disturb()
            if random.random() < 0.2:
                user_id = random.choice(sim.user_ids)
                watcher.follow(user_id)
                changes.pop(user_id, None)  # nobody owed it to who was not followed
            for user_id in random.sample(sim.user_ids, random.randrange(4)):
                changes[user_id] = (world.loop.time(), world.change(user_id))
            if random.random() < 0.7:  # else a slow consumer
                await watcher.take(random.choice([0.01, 0.5, 5, 60, 400]))
            else:
                await asyncio.sleep(random.choice([0.5, 60]))
        await watcher.take(1200)
        assert stream.statistics.live == stream.statistics.channels == 3
        truth = {user_id: watcher.truth(user_id) for user_id in watcher.followed}
        assert {user_id: watcher.known.get(user_id) for user_id in truth} == truth
        lost = [
            (user_id, at, message)
            for user_id, (at, message) in changes.items()
            if user_id in watcher.followed
            and (user_id, message) not in watcher.seen
            and not watcher.covers(user_id, at)
        ]
        assert lost == []


@pytest.mark.parametrize("seed", range(40))
async def test_nothing_is_lost_silently(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's last change was an event or lies in a gap; who reads after gaps knows the truth."""
    monkeypatch.setattr("presence_async.live.sharding.TOPICS_PER_CHANNEL", 15)
    await history(seed)
    check_no_leftovers(asyncio.get_running_loop())
