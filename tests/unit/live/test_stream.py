"""The stream as its users hold it: entered, iterated, changed, left."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clock import check_no_leftovers
from unit.live.world import LATENCY, World, failing, frame

from presence_async.errors import ClosedError, InvalidRequestError, PermissionDeniedError
from presence_async.live.outputs import Connected, Folded, Gap
from presence_async.live.stream import PresenceStream, StreamStatistics
from presence_async.notifications import PresenceNotification, user_topic

START = 3 * LATENCY + 0.1
A, B = (user_topic(name, "presence") for name in "ab")


def stream_of(world: World, *user_ids: str, topics: Any = ()) -> PresenceStream:
    """A stream that is not entered yet."""
    return PresenceStream(world, world.send, user_ids=user_ids, topics=topics)


async def take(stream: PresenceStream, count: int) -> list[Any]:
    """The next events."""
    return [await anext(stream) for _ in range(count)]


async def test_events_one_after_the_other() -> None:
    """First that a channel is there and whom to read, then what happens."""
    world = World()
    async with stream_of(world, "a", topics=[B]) as stream:
        assert aiter(stream) is stream
        connected, gap = await take(stream, 2)
        assert (connected, gap.users) == (Connected(1), ("a", "b"))
        world.sockets[0].say(frame(A, {"message": "m"}))
        (event,) = await take(stream, 1)
        assert isinstance(event, PresenceNotification)
        assert (event.user_id, event.body.message) == ("a", "m")
        assert stream.statistics == StreamStatistics(
            topics=2,
            channels=1,
            live=1,
            requests=4,
            events=1,
            gaps=1,
            reconnects=0,
            folded=0,
            waiting=0,
        )


async def test_a_slow_consumer() -> None:
    """Gets the latest of each user and a marker, while the socket is read all the time."""
    world = World()
    async with stream_of(world, "a", "b") as stream:
        await take(stream, 2)
        for number in range(1000):
            world.sockets[0].say(frame(A, {"message": str(number)}))
        world.sockets[0].say(frame(B))
        await asyncio.sleep(1)
        assert (stream.statistics.waiting, stream.statistics.folded) == (2, 999)
        marker, latest, other = await take(stream, 3)
        assert marker == Folded(A, 999)
        assert (latest.body.message, other.user_id) == ("999", "b")


async def test_a_timeout_around_one_step_loses_nothing() -> None:
    """Nor does leaving the loop."""
    world = World()
    async with stream_of(world, "a") as stream:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(stream)
        async for event in stream:
            assert event == Connected(1)
            break
        assert isinstance(await anext(stream), Gap)


async def test_added_and_removed() -> None:
    """A gap for who comes; of who goes not even what waits is told."""
    world = World()
    async with stream_of(world, "a") as stream:
        await take(stream, 2)
        stream.add(["b"], topics=["v2.users.b.activity"])
        assert (await anext(stream)).topics == (B, "v2.users.b.activity")
        world.sockets[0].say(frame(A), frame(B))
        await asyncio.sleep(0.1)
        stream.remove(["a"], topics=["v2.users.nobody.presence"])
        assert (await anext(stream)).user_id == "b"
        assert (stream.statistics.waiting, stream.statistics.topics) == (0, 2)
        for change in (stream.add, stream.remove):
            with pytest.raises(InvalidRequestError) as refused:
                change(["c", ""])
            assert refused.value.field == "user_ids[1]"
        assert stream.statistics.topics == 2


async def test_users_may_come_later() -> None:
    """Without any there is no channel; before it is entered, they are only noted."""
    world = World()
    stream = stream_of(world)
    async with stream:
        await asyncio.sleep(60)
        assert world.requests == []
        stream.add(["a"])
        assert await take(stream, 2) == [Connected(1), Gap(1060.0, 1061.5, (A,))]
    stream = stream_of(world)
    stream.add(["a", "b"])
    stream.remove(["a"])
    async with stream:
        await asyncio.sleep(START)
        assert world.asked[-1] == ("POST", [B])


async def test_times_of_events() -> None:
    """They are those of the loop's clock, and can be had as datetimes."""
    now = asyncio.get_running_loop().time()
    age = datetime.now(UTC) - PresenceStream.when(now - 60)
    assert abs(age - timedelta(seconds=60)) < timedelta(seconds=10)


async def test_it_is_entered_before_it_is_iterated() -> None:
    """And entered once."""
    stream = stream_of(World(), "a")
    with pytest.raises(ClosedError, match="async with"):
        await anext(stream)
    async with stream:
        with pytest.raises(ClosedError, match="once"):
            await stream.__aenter__()
    for again in (anext(stream), stream.__aenter__()):
        with pytest.raises(ClosedError, match="closed"):
            await again
    await stream.aclose()


async def test_two_events_for_one_who_waits() -> None:
    """Both are there when it wakes."""
    world = World()
    async with stream_of(world, "a", "b") as stream:
        await take(stream, 2)
        waiting = asyncio.create_task(take(stream, 2))
        await asyncio.sleep(0.1)
        world.sockets[0].say(frame(A), frame(B))
        assert [event.user_id for event in await waiting] == ["a", "b"]
        await asyncio.sleep(0.1)
        assert stream.statistics.live == 1


async def test_what_waits_is_gone_after_the_end() -> None:
    """Whoever closed it does not want it."""
    world = World()
    async with stream_of(world, "a") as stream:
        await asyncio.sleep(START)
        await stream.aclose()
        assert stream.statistics.waiting == 0
        with pytest.raises(ClosedError):
            await anext(stream)


async def test_one_task_at_a_time() -> None:
    """Another one that iterates is told so."""
    async with stream_of(World(), "a") as stream:
        first = asyncio.create_task(take(stream, 2))
        await asyncio.sleep(0)
        with pytest.raises(InvalidRequestError, match="one reader"):
            await anext(stream)
        await first


async def test_closing_wakes_who_waits() -> None:
    """With ClosedError, and nothing of what waits is told any more."""
    world = World()
    stream = stream_of(world, "a")
    async with stream:
        await take(stream, 2)
        waiting = asyncio.create_task(take(stream, 1))
        await asyncio.sleep(0)
        await stream.aclose()
        with pytest.raises(ClosedError):
            await waiting
    check_no_leftovers(asyncio.get_running_loop())


async def test_its_end_comes_after_what_was_said_before() -> None:
    """Then it is raised, again and again."""
    world = World()
    async with stream_of(world, "a") as stream:
        await take(stream, 2)
        world.sockets[0].say(frame(A))
        await asyncio.sleep(0.1)
        world.answer = failing(PermissionDeniedError("no"))
        stream.add(["b"])
        await asyncio.sleep(START)
        assert isinstance(await anext(stream), PresenceNotification)
        depths = set()
        for _ in range(2):
            with pytest.raises(PermissionDeniedError) as refused:
                await anext(stream)
            depths.add(len(refused.traceback))
        assert len(depths) == 1, "the error grows each time it is raised"


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_cancelled_at_any_moment(turns: int) -> None:
    """Whoever holds it is cancelled, and nothing is left."""
    world = World()

    async def hold() -> None:
        async with stream_of(world, "a", "b") as stream:
            async for _ in stream:
                stream.remove(["a"])

    holder = asyncio.create_task(hold())
    for _ in range(turns):
        await asyncio.sleep(LATENCY / 8)
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    assert all(socket.closed for socket in world.sockets)
    check_no_leftovers(asyncio.get_running_loop())
