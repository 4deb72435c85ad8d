"""All channels of a stream: who is on which, what is told, and how it ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from clock import check_no_leftovers
from unit.live.world import LATENCY, World, failing, frame

from presence_async.errors import (
    ClosedError,
    InvalidRequestError,
    PermissionDeniedError,
)
from presence_async.live import sharding
from presence_async.live.feed import Feed
from presence_async.live.outputs import Connected, Disconnected, Gap, Rejected
from presence_async.live.sharding import CHANNELS, Shards
from presence_async.notifications import (
    OtherNotification,
    PresenceNotification,
    UndecodableFrame,
    user_topic,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

A, B, C, D, E = (user_topic(name, "presence") for name in "abcde")
SOON = LATENCY + 0.1
START = 3 * LATENCY + 0.1
WHY = ClosedError("the test is over")


class Heard:
    """A feed and everything it told."""

    def __init__(self, world: World, *topics: str) -> None:
        self.world = world
        self.events: list[Any] = []
        self.ends = 0
        self.shards = Shards()
        self.feed = Feed(
            world,
            world.send,
            self.shards,
            tell=self.events.append,
            ended=self._end,
            chance=lambda: 0.5,
        )
        self.feed.change(topics)

    def _end(self) -> None:
        self.ends += 1

    async def live(self) -> None:
        """Start it and wait."""
        self.feed.start()
        await asyncio.sleep(2 * START)
        assert self.feed.live == len(self.shards)
        self.events.clear()

    def taken(self) -> list[Any]:
        """What was told since the last time."""
        taken, self.events[:] = list(self.events), []
        return taken


@pytest.fixture(autouse=True)
def small_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two topics a channel, so that there are some."""
    monkeypatch.setattr(sharding, "TOPICS_PER_CHANNEL", 2)


@pytest.fixture
async def heard() -> AsyncIterator[Heard]:
    """Three topics on two channels, not started."""
    made = Heard(World(), A, B, C)
    yield made
    await made.feed.abort(WHY)
    check_no_leftovers(asyncio.get_running_loop())


async def test_each_channel_says_who_it_is(heard: Heard) -> None:
    """From 1; and how it goes is counted, all attempts of a request."""
    heard.feed.start()
    await asyncio.sleep(START)
    events = heard.taken()
    assert [event for event in events if isinstance(event, Connected)] == [
        Connected(1),
        Connected(2),
    ]
    gaps = [event.topics for event in events if isinstance(event, Gap)]
    assert gaps == [(A, B), (C,)]
    feed = heard.feed
    assert (feed.channels, feed.live, feed.requests, feed.gaps) == (2, 2, 8, 2)
    heard.world.sockets[1].end()
    await asyncio.sleep(0.1)
    assert [feed.uncovered(number) for number in (None, 1, 2)] == [[C], [], [C]]
    await asyncio.sleep(30)
    assert feed.uncovered() == []
    lost, live, gap = heard.taken()
    assert (type(lost), lost.channel, live, gap.topics) == (Disconnected, 2, Connected(2), (C,))
    assert (feed.reconnects, feed.gaps) == (1, 3)


async def test_twenty_channels_do_not_come_all_at_once() -> None:
    """A few requests are in flight at a time."""
    world = World()
    heard = Heard(world, *(user_topic(f"u{n}", "presence") for n in range(2 * CHANNELS)))
    heard.feed.start()
    await asyncio.sleep(60)
    assert (heard.feed.live, heard.feed.requests, world.peak) == (CHANNELS, 4 * CHANNELS, 4)
    await heard.feed.abort(WHY)


async def test_it_may_grow_to_twenty_channels(heard: Heard) -> None:
    """Its own channels are not those of others."""
    await heard.live()
    more = [user_topic(f"u{n}", "presence") for n in range(2 * CHANNELS - 3)]
    heard.feed.change(more)
    assert heard.feed.channels == CHANNELS


async def test_added_and_removed(heard: Heard) -> None:
    """A gap for who comes; of who goes nothing is heard, and nobody else has a gap for it."""
    await heard.live()
    heard.feed.change([D, E], [A])
    await asyncio.sleep(2 * START)
    assert [e.topics for e in heard.taken() if isinstance(e, Gap)] == [(D,), (E,)]
    assert heard.world.asked[2:] == [("POST", [C, D]), ("POST", [E])]
    first = heard.world.sockets[0]
    first.say(frame(A), frame(A.upper()), frame("v2.other"), frame(B), b"{")
    await asyncio.sleep(0.1)
    events = heard.taken()
    kinds = [OtherNotification, PresenceNotification, UndecodableFrame, Gap]
    assert [type(event) for event in events] == kinds
    assert events[-1].topics == (B,)
    assert heard.feed.events == 3
    first.say(frame(A, 7))
    await asyncio.sleep(0.1)
    assert heard.taken() == []


async def test_what_was_removed_goes_with_the_socket(heard: Heard) -> None:
    """When everything is subscribed anew anyhow."""
    await heard.live()
    heard.feed.change((), [A])
    heard.world.sockets[0].end()
    await asyncio.sleep(30)
    assert heard.world.asked[2:] == [("PUT", [B])]
    assert [e.topics for e in heard.taken() if isinstance(e, Gap)] == [(B,)]
    assert not heard.shards.unheard


async def test_rejections_of_who_was_removed_are_not_told(heard: Heard) -> None:
    """Those of the others are."""
    heard.world.answer = lambda _: {"entities": [{"id": B}]}
    heard.feed.start()
    await asyncio.sleep(2.5 * LATENCY)
    heard.feed.change((), [C])
    await asyncio.sleep(SOON)
    rejected = [event for event in heard.taken() if isinstance(event, Rejected)]
    assert [[topic.id for topic in event.topics] for event in rejected] == [[A]]


async def test_what_helps_against_nothing_ends_it(heard: Heard) -> None:
    """Every channel; afterwards it cannot be changed."""
    heard.world.answer = failing(PermissionDeniedError("no"))
    heard.feed.start()
    await asyncio.sleep(60)
    assert isinstance(heard.feed.reason, PermissionDeniedError)
    assert (heard.ends, heard.feed.channels, heard.feed.live) == (1, 0, 0)
    check_no_leftovers(asyncio.get_running_loop())
    for again in (heard.feed.start, lambda: heard.feed.change([D])):
        with pytest.raises(PermissionDeniedError):
            again()


async def test_no_room_for_combined_topics() -> None:
    """If the vendor counts each part, the error says what to do."""
    topics = [
        user_topic(f"u{n}", suffix) for n in range(CHANNELS + 1) for suffix in ("presence", "x")
    ]
    heard = Heard(World(), *topics)
    refusal = InvalidRequestError("too many")
    heard.world.answer = failing(refusal)
    heard.feed.start()
    await asyncio.sleep(60)
    assert heard.feed.reason is refusal
    assert "42 topics had to be combined" in str(refusal)
    assert "client.poll" in str(refusal)


async def test_a_refusal_that_has_another_reason(heard: Heard) -> None:
    """Is told as it is."""
    heard.world.answer = failing(InvalidRequestError("bad"))
    heard.feed.start()
    await asyncio.sleep(60)
    assert str(heard.feed.reason) == "bad (3 attempts)"


async def test_streams_of_a_client_share_the_channels(heard: Heard) -> None:
    """Else they would evict each other for ever; one that has ended needs none."""
    other = Heard(heard.world, *(user_topic(f"u{n}", "presence") for n in range(2 * CHANNELS - 2)))
    await heard.live()
    with pytest.raises(InvalidRequestError, match="leave 18 of 20") as refused:
        other.feed.start()
    assert refused.value.field == "user_ids"
    with pytest.raises(InvalidRequestError, match="each of the 18 channels that other"):
        other.feed.change([A])
    await heard.feed.abort(WHY)
    other.feed.start()
    await other.feed.abort(WHY)


async def test_it_is_started_once(heard: Heard) -> None:
    """And not after its end."""
    heard.feed.start()
    with pytest.raises(ClosedError, match="once"):
        heard.feed.start()
    await heard.feed.abort(WHY)
    await heard.feed.abort(ClosedError("again"))
    assert (heard.feed.reason, heard.ends) == (WHY, 1)
    with pytest.raises(ClosedError, match="over"):
        heard.feed.start()


async def test_whoever_listens_may_end_it(heard: Heard) -> None:
    """In the middle of what is told: a channel that is lost just now is not set up again."""
    await heard.live()
    heard.feed.change((), [A])
    tell: Any = heard.feed

    def end(event: Any) -> None:
        heard.feed._end(WHY)

    tell._tell = end
    heard.world.sockets[0].end()
    await asyncio.sleep(10)
    assert len(heard.world.asked) == 2
