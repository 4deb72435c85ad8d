"""The shell of a channel: commands carried out, answers handed in, and nothing left behind."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
from clock import leftovers
from unit.live.world import LATENCY, LOST, World, failing, frame

from presence_async.errors import (
    ClosedError,
    ConfigurationError,
    PresenceConnectionError,
)
from presence_async.live.outputs import Connected, Disconnected, Gap, Rejected
from presence_async.live.shell import ChannelShell, Outside
from presence_async.notifications import PING, PresenceNotification, user_topic
from presence_async.resources.channels import Channels

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

A, B, C = (user_topic(name, "presence") for name in "abc")
# A moment after an answer, and after those to channel, socket and topics.
SOON = LATENCY + 0.1
START = 3 * LATENCY + 0.1


class Harness:
    """A shell, what it told and what it failed with."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.events: list[Any] = []
        self.failures: list[BaseException] = []
        self.tell: Callable[[Any], None] = self.events.append
        outside = Outside(
            channels=Channels(world.send),
            open_socket=world.open_socket,
            gate=asyncio.Semaphore(2),
            chance=lambda: 0.5,
        )
        self.shell = ChannelShell([A, B], outside, tell=self._told, fail=self.failures.append)

    def _told(self, event: Any) -> None:
        self.tell(event)

    async def live(self) -> None:
        """Start and wait until it is live and covered."""
        self.shell.start()
        await asyncio.sleep(START)
        assert self.shell.live
        self.events.clear()

    def taken(self) -> list[Any]:
        """What was told since the last time."""
        taken, self.events[:] = list(self.events), []
        return taken

    async def stopped(self) -> None:
        """Stop it, and wait."""
        self.shell.stop()
        self.shell.stop()
        if self.shell.tasks:
            await asyncio.wait(self.shell.tasks)


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A shell that is not started, and stopped in the end."""
    made = Harness(World())
    yield made
    await made.stopped()
    assert leftovers() == []


async def test_from_nothing_to_events(harness: Harness) -> None:
    """A channel, a socket, the topics, a gap from the start on, and then what happens."""
    world, now = harness.world, asyncio.get_running_loop().time()
    harness.shell.start()
    await asyncio.sleep(START)
    assert harness.taken() == [Connected(), Gap(now, now + 3 * LATENCY, (A, B))]
    assert world.asked == [("POST", [A, B])]
    assert [socket.sent for socket in world.sockets] == [[PING]]
    world.sockets[0].say(frame(A, {"message": "m"}))
    await asyncio.sleep(0)
    (event,) = harness.taken()
    assert isinstance(event, PresenceNotification)


async def test_the_end_of_a_socket(harness: Harness) -> None:
    """Another one is opened, the topics are subscribed again, the gap is told."""
    await harness.live()
    world, now = harness.world, asyncio.get_running_loop().time()
    world.sockets[0].say(frame("channel.metadata"))
    world.sockets[0].end()
    await asyncio.sleep(30)
    lost, live, gap = harness.taken()
    assert lost == Disconnected(now, "closed")
    assert live == Connected()
    assert (gap.since, gap.topics) == (now, (A, B))
    assert [socket.closed for socket in world.sockets] == [True, False]
    assert len(world.asked) == 2


async def test_a_closing_notice(harness: Harness) -> None:
    """The socket is closed, and what it had still to say is not heard any more."""
    await harness.live()
    late = frame(A)
    harness.world.sockets[0].say(frame("v2.system.socket_closing"), late, late)
    await asyncio.sleep(START)
    kinds = [type(event).__name__ for event in harness.taken()]
    assert kinds == ["ClosingNotice", "Disconnected", "Connected", "Gap"]
    assert [socket.closed for socket in harness.world.sockets] == [True, False]


async def test_silence(harness: Harness) -> None:
    """A ping, and then another socket: the timer is there at the deadline."""
    await harness.live()
    first = harness.world.sockets[0]
    first.mute = True
    await asyncio.sleep(39)
    assert first.sent == [PING]
    await asyncio.sleep(3)
    assert first.sent == [PING, PING]
    await asyncio.sleep(40)
    assert [type(event) for event in harness.taken()] == [Disconnected, Connected, Gap]
    assert first.closed


async def test_a_day_and_a_half_without_an_event(harness: Harness) -> None:
    """Heartbeats keep the socket, a subscribe call keeps the channel; nothing is told."""
    await harness.live()
    for _ in range(36 * 120):
        await asyncio.sleep(30)
        harness.world.sockets[0].say(frame("channel.metadata"))
    assert harness.taken() == []
    assert [method for method, _ in harness.world.asked] == ["POST"] * 3


async def test_requests_that_fail(harness: Harness) -> None:
    """They are made again after a while, with the same channel."""
    harness.world.answer = failing(LOST, 2)
    harness.shell.start()
    await asyncio.sleep(60)
    assert harness.shell.live
    assert len(harness.world.requests) == 4
    assert LOST.__traceback__ is None


async def test_sockets_that_are_refused(harness: Harness) -> None:
    """Without a status it is tried again; with 404 there is another channel."""
    errors = [PresenceConnectionError("gone", status=404), LOST]

    def opens() -> None:
        if errors:
            raise errors.pop()

    harness.world.opens = opens
    harness.shell.start()
    await asyncio.sleep(60)
    assert harness.shell.live
    assert [socket.address for socket in harness.world.sockets] == ["wss://host/c2"]


@pytest.mark.parametrize("body", [{}, {"id": "c"}, {"connectUri": "wss://host/c"}])
async def test_a_channel_without_id_or_address(harness: Harness, body: Any) -> None:
    """It is no channel; another one is asked for."""
    usual = harness.world.channel
    harness.world.channel = lambda number: body if number == 1 else usual(number)
    harness.shell.start()
    await asyncio.sleep(60)
    assert [socket.address for socket in harness.world.sockets] == ["wss://host/c2"]


@pytest.mark.parametrize("error", [ClosedError("closed"), ConfigurationError("not admitted")])
async def test_a_socket_that_can_never_be_opened(harness: Harness, error: Any) -> None:
    """Such as with a session of the caller's that is closed: it is no use to try again."""

    def opens() -> None:
        raise error

    harness.world.opens = opens
    harness.shell.start()
    await asyncio.sleep(START)
    assert harness.failures == [error]
    assert len(harness.world.requests) == 1


async def test_rejected_topics(harness: Harness) -> None:
    """They are told, and the others are followed."""
    harness.world.answer = lambda _: {"entities": [{"id": A, "state": "Permitted"}]}
    harness.shell.start()
    await asyncio.sleep(START)
    _, rejected, gap = harness.taken()
    assert isinstance(rejected, Rejected)
    assert [topic.id for topic in rejected.topics] == [B]
    assert gap.topics == (A,)


async def test_other_topics(harness: Harness) -> None:
    """New ones are added; to take some out, all are replaced."""
    await harness.live()
    harness.shell.set_topics([A, B, C])
    await asyncio.sleep(SOON)
    harness.shell.set_topics([A])
    await asyncio.sleep(SOON)
    assert harness.world.asked[1:] == [("POST", [A, B, C]), ("PUT", [A])]
    assert [event.topics for event in harness.taken()] == [(C,), (A,)]


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_request_that_was_given_up_is_gone_before_the_next(
    harness: Harness, stubborn: Any
) -> None:
    """What is decided last is what the vendor hears last, and an answer all the same is none."""
    await harness.live()
    world = harness.world
    world.stubborn, world.latency = stubborn, 100.0
    harness.shell.set_topics([A, B, C])
    await asyncio.sleep(LATENCY / 2)
    world.latency = LATENCY
    world.sockets[0].say(frame("v2.system.no_longer_subscribed"))
    await asyncio.sleep(30)
    assert (world.cancelled, world.peak) == (1, 1)
    assert len(world.asked) == 3
    gaps = [event for event in harness.taken() if isinstance(event, Gap)]
    assert {topic for gap in gaps for topic in gap.topics} == {A, B, C}


async def test_what_a_listener_does_comes_after_what_it_hears(harness: Harness) -> None:
    """It may change the topics, or stop everything, in the middle of the outputs."""
    await harness.live()
    usual = harness.tell

    def tell(event: Any) -> None:
        usual(event)
        if isinstance(event, Disconnected):
            harness.shell.set_topics([A])
        if isinstance(event, Gap):
            harness.shell.stop()

    harness.tell = tell
    harness.world.sockets[0].say(frame("v2.system.socket_closing"), frame(A))
    await asyncio.sleep(30)
    assert harness.world.asked[1:] == [("PUT", [A])]
    assert harness.taken()[-1].topics == (A,)
    assert not harness.shell.live


async def test_a_listener_is_not_interrupted(harness: Harness) -> None:
    """What follows from what it does is told when it has heard this event."""
    await harness.live()
    usual = harness.tell

    def tell(event: Any) -> None:
        harness.shell.set_topics([A, B])
        usual(type(event).__name__)
        usual("heard")

    harness.tell = tell
    harness.world.sockets[0].say(b"{")
    await asyncio.sleep(0.1)
    assert harness.taken() == ["UndecodableFrame", "heard", "Gap", "heard"]


async def test_nothing_follows_when_a_listener_stops_it(harness: Harness) -> None:
    """Neither events nor commands."""
    await harness.live()
    usual = harness.tell

    def tell(event: Any) -> None:
        usual(event)
        harness.shell.stop()

    harness.tell = tell
    harness.world.sockets[0].say(frame("v2.system.socket_closing"))
    await asyncio.sleep(START)
    assert len(harness.taken()) == 1
    assert (harness.shell.tasks, len(harness.world.sockets)) == (set(), 1)


async def test_nobodys_context_is_kept() -> None:
    """Neither by tasks nor by timers, which may outlive whoever made them for long."""
    variable: ContextVar[int] = ContextVar("variable")
    variable.set(7)
    made, seen = Harness(World()), set()
    made.tell = lambda _: seen.add(variable.get(0))
    made.world.opens = lambda: seen.add(variable.get(0))
    made.shell.start()
    await asyncio.sleep(START)
    made.world.sockets[0].mute = True
    await asyncio.sleep(60)
    await made.stopped()
    assert seen == {0}


@pytest.mark.parametrize("seconds", [LATENCY * n / 4 for n in range(16)])
async def test_it_can_be_stopped_at_any_moment(harness: Harness, seconds: float) -> None:
    """No task, no socket, no timer."""
    harness.shell.start()
    await asyncio.sleep(seconds)
    harness.shell.set_topics([B])
    await asyncio.sleep(0)
    await harness.stopped()
    assert all(socket.closed for socket in harness.world.sockets)


async def test_a_bug_is_heard(harness: Harness) -> None:
    """Whether it comes up in a task or in the timer."""
    await harness.live()

    def tell(event: Any) -> None:
        raise ZeroDivisionError

    harness.tell = tell
    harness.world.sockets[0].say(frame(A))
    await asyncio.sleep(SOON)
    assert [type(error) for error in harness.failures] == [ZeroDivisionError]
    await asyncio.sleep(60)
    assert [type(error) for error in harness.failures] == [ZeroDivisionError] * 2


async def test_tasks_that_somebody_else_cancels(harness: Harness) -> None:
    """It cannot go on without them and says so; cancelled by itself, they are no failure."""
    harness.shell.start()
    await asyncio.sleep(0)
    (request,) = harness.shell.tasks
    request.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [type(error) for error in harness.failures] == [ClosedError]
    assert harness.taken() == []


async def test_a_reader_that_somebody_else_cancels(harness: Harness) -> None:
    """The same."""
    await harness.live()
    (reader,) = harness.shell.tasks
    reader.cancel()
    await asyncio.wait([reader])
    await asyncio.sleep(0)
    assert [type(error) for error in harness.failures] == [ClosedError]
    assert harness.world.sockets[0].closed


async def test_a_ping_for_a_socket_that_is_closing(harness: Harness) -> None:
    """It is not sent any more."""
    await harness.live()
    socket = harness.world.sockets[0]
    socket.closing = 30
    await asyncio.sleep(20)
    socket.end()
    await asyncio.sleep(25)
    assert socket.sent == [PING]
