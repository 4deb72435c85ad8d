"""The state machine of a channel: one example of each thing that happens, then all mixtures."""

from __future__ import annotations

import json
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from presence_async import (
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    OtherNotification,
    PermissionDeniedError,
    PresenceConnectionError,
    PresenceError,
    PresenceNotification,
    RateLimitedError,
    Secret,
    ServerError,
    UndecodableFrame,
    user_topic,
)
from presence_async.live.link import Timing
from presence_async.live.machine import ChannelMachine
from presence_async.live.outputs import (
    CloseSocket,
    Connected,
    CreateChannel,
    Disconnected,
    Failed,
    Gap,
    OpenSocket,
    Rejected,
    SendText,
    Subscribe,
)
from presence_async.models import ChannelTopic
from presence_async.notifications import PING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from presence_async.live.outputs import Output

DAY = 86_400.0
PAUSE = Timing().pause
URI = Secret("wss://streaming.mypurecloud.com/channels/canary")
A, B, C = (user_topic(name, "presence") for name in "abc")


def frame(topic: str, body: Any = None) -> str:
    """The text of a frame."""
    return json.dumps({"topicName": topic, "eventBody": {} if body is None else body})


BEAT = frame("channel.metadata", {"message": "WebSocket Heartbeat"})
NOTICE = frame("v2.system.socket_closing")
UNSUBSCRIBED = frame("v2.system.no_longer_subscribed.x")
REVOKED = frame("v2.system.token_revoked.x")
CHANGED = frame("v2.subscription.updated", {"systemTopicType": "subscription_changed"})


def machine_of(*topics: str, chance: float = 0.5, **timing: float) -> ChannelMachine:
    """A machine that is not started yet."""
    return ChannelMachine(topics, chance=lambda: chance, timing=Timing(**timing))


def live_machine(*topics: str, **options: float) -> ChannelMachine:
    """A machine at 103 whose second number, the socket's, is live; the next number is 4."""
    machine = machine_of(*(topics or (A, B)), **options)
    assert machine.start(100) == [CreateChannel(1)]
    machine.channel_created(101, 1, "c", URI, DAY)
    machine.socket_opened(102, 2)
    machine.subscribed(102, 3)
    machine.received(103, 2, BEAT)
    assert machine.live
    return machine


def reopen(machine: ChannelMachine, now: float, socket: int) -> list[Output]:
    """What comes out when a socket has opened, is subscribed, and says something."""
    ping, subscribe = machine.socket_opened(now, socket)
    assert ping == SendText(socket, PING)
    assert isinstance(subscribe, Subscribe)
    assert machine.subscribed(now, subscribe.request) == []
    return machine.received(now, socket, BEAT)


# -- the way to a live socket


def test_from_nothing_to_a_live_socket() -> None:
    """Channel, socket, ping and topics; the first frame ends the gap that began at the start."""
    machine = machine_of(A, B)
    assert machine.deadline is None
    assert machine.start(100) == [CreateChannel(1)]
    assert machine.start(100) == []
    assert machine.deadline is None
    assert machine.channel_created(101, 1, "c", URI, DAY) == [OpenSocket(2, URI)]
    assert machine.deadline == 131
    assert machine.socket_opened(102, 2) == [
        SendText(2, PING),
        Subscribe(3, "c", (A, B), replace=False),
    ]
    assert machine.subscribed(103, 3) == []
    assert (machine.live, machine.deadline) == (False, 142)
    assert machine.received(104, 2, BEAT) == [Connected(), Gap(100, 104, (A, B))]
    assert (machine.live, machine.deadline) == (True, 144)


def test_the_first_frame_may_come_before_the_topics() -> None:
    """The gap ends when there are both."""
    machine = machine_of(A)
    machine.start(100)
    machine.channel_created(101, 1, "c", URI, DAY)
    machine.socket_opened(102, 2)
    assert machine.received(103, 2, BEAT) == [Connected()]
    assert machine.subscribed(104, 3) == [Gap(100, 104, (A,))]


def test_events_are_handed_on() -> None:
    """Heartbeats and pongs are the machine's own, everything else is not."""
    machine = live_machine()
    (event,) = machine.received(104, 2, frame(A, {"message": "m"}))
    assert isinstance(event, PresenceNotification)
    assert isinstance(*machine.received(105, 2, "{}"), OtherNotification)
    assert machine.received(106, 2, frame("channel.metadata", {"message": "pong"})) == []
    assert len(machine.received(107, 2, CHANGED)) == 1


def test_time_does_not_go_back() -> None:
    """An earlier time is taken for the latest one."""
    machine = live_machine()
    machine.received(110, 2, BEAT)
    machine.tick(50)
    assert machine.deadline == 150


def test_without_topics_there_is_nothing_to_do() -> None:
    """A channel is made for the first topic."""
    machine = machine_of()
    assert machine.start(100) == []
    assert machine.deadline is None
    assert machine.set_topics(110, [A]) == [CreateChannel(1)]


# -- silence


def test_a_silent_socket_is_asked_and_given_up() -> None:
    """Silence, ping, and no answer: closed, and another one after a moment."""
    machine = live_machine()
    assert machine.tick(142) == []
    assert machine.tick(143) == [SendText(2, PING)]
    assert machine.deadline == 153
    assert machine.tick(153) == [CloseSocket(2), Disconnected(103, "silent")]
    assert machine.deadline == 153.25
    assert machine.tick(153.25) == [OpenSocket(4, URI)]
    assert reopen(machine, 155, 4) == [Connected(), Gap(103, 155, (A, B))]


def test_a_sign_of_life_is_enough() -> None:
    """Any frame answers the ping."""
    machine = live_machine()
    machine.tick(143)
    assert machine.received(150, 2, frame(A, {})) != []
    assert machine.deadline == 190


@pytest.mark.parametrize(("opened", "patience"), [(False, 30), (True, 40)])
def test_a_socket_that_never_speaks_is_given_up(patience: float, *, opened: bool) -> None:
    """Neither one that does not open nor one that opens and stays mute is waited for."""
    machine = machine_of(A)
    machine.start(100)
    machine.channel_created(100, 1, "c", URI, DAY)
    if opened:
        machine.socket_opened(100, 2)
    assert machine.tick(100 + patience - 1) == []
    assert machine.tick(100 + patience) == [CloseSocket(2)]


def test_three_mute_sockets_cost_the_channel() -> None:
    """One that takes sockets and says nothing is not worth a fourth."""
    machine = machine_of(A, chance=0.0)
    machine.start(100)
    machine.channel_created(100, 1, "c", URI, DAY)
    for socket in (2, 4):
        machine.socket_opened(100, socket)
        assert machine.socket_closed(100, socket) == [OpenSocket(socket + 2, URI)]
    machine.socket_opened(100, 6)
    assert machine.socket_closed(100, 6) == [CreateChannel(8)]


# -- the end of sockets


def test_a_closed_socket_is_followed_by_another() -> None:
    """After a moment that grows as long as none lives for a while."""
    machine = live_machine()
    assert machine.socket_closed(104, 2) == [Disconnected(103, "closed")]
    assert machine.deadline == 104.25
    assert machine.tick(104.25) == [OpenSocket(4, URI)]
    assert reopen(machine, 105, 4) == [Connected(), Gap(103, 105, (A, B))]
    machine.socket_closed(106, 4)
    assert machine.deadline == 106.5
    machine.tick(106.5)
    reopen(machine, 107, 6)
    machine.received(167, 6, BEAT)
    machine.socket_closed(167, 6)
    assert machine.deadline == 167.25


def test_subscriptions_are_made_again_for_each_socket() -> None:
    """That they were taken away may have been said to the old one, after its end."""
    machine = live_machine()
    machine.received(110, 2, NOTICE)
    machine.socket_opened(111, 4)
    assert machine.received(112, 4, BEAT) == [Connected()]
    assert machine.subscribed(113, 5) == [Gap(110, 113, (A, B))]


def test_a_closing_notice_is_answered_at_once() -> None:
    """The same address again in the same step; what came in between is a gap."""
    machine = live_machine()
    notice, *rest = machine.received(110, 2, NOTICE)
    assert notice.topic == "v2.system.socket_closing"  # type: ignore[union-attr]
    assert rest == [CloseSocket(2), Disconnected(110, "closing"), OpenSocket(4, URI)]
    assert machine.received(110, 2, BEAT) == []
    assert machine.socket_closed(110, 2) == []
    assert reopen(machine, 112, 4) == [Connected(), Gap(110, 112, (A, B))]


def test_a_second_notice_in_a_row_is_answered_later() -> None:
    """A server that closes whatever it opens is not run after."""
    machine = live_machine()
    machine.received(110, 2, NOTICE)
    machine.socket_opened(111, 4)
    assert machine.received(111, 4, NOTICE)[-1] == Disconnected(111, "closing")
    assert machine.deadline == 111.5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refused_upgrade_costs_the_channel(status: int) -> None:
    """It is gone; the next one is made after a moment, with all topics."""
    machine = live_machine()
    machine.socket_closed(104, 2)
    machine.tick(105)
    assert machine.socket_refused(106, 4, status) == []
    assert machine.deadline == 106.5
    assert machine.tick(106.5) == [CreateChannel(5)]
    assert machine.channel_created(107, 5, "d", URI, DAY) == [OpenSocket(6, URI)]
    assert reopen(machine, 110, 6) == [Connected(), Gap(103, 110, (A, B))]


@pytest.mark.parametrize("status", [None, 408, 429, 500, 503, 302])
def test_other_refusals_are_tried_again(status: int | None) -> None:
    """They say nothing about the channel."""
    machine = live_machine()
    machine.socket_closed(104, 2)
    machine.tick(105)
    assert machine.socket_refused(106, 4, status) == []
    assert machine.tick(106.5) == [OpenSocket(5, URI)]


# -- the life of the channel


def test_the_channel_is_renewed_in_time() -> None:
    """A subscribe call at half of its life, with everything; the socket is not disturbed."""
    machine = live_machine(silence=10 * DAY)
    half = 102 + DAY / 2
    assert machine.deadline == half
    assert machine.tick(half) == [Subscribe(4, "c", (A, B), replace=False)]
    assert machine.deadline == 102 + DAY
    assert machine.subscribed(half + 1, 4) == []
    assert machine.deadline == half + 1 + DAY / 2


def test_the_vendor_says_how_long_a_new_channel_lives() -> None:
    """One that lapses before it is subscribed is replaced."""
    machine = machine_of(A)
    machine.start(100)
    machine.channel_created(100, 1, "c", URI, 20)
    assert machine.deadline == 120
    assert machine.tick(120) == [CloseSocket(2)]
    assert machine.tick(120.25) == [CreateChannel(3)]


def test_a_channel_that_cannot_be_renewed_is_replaced() -> None:
    """The call is repeated until the life is over; then another channel is made."""
    machine = live_machine(silence=10 * DAY)
    now, request = 102 + DAY / 2, 4
    assert machine.tick(now) == [Subscribe(4, "c", (A, B), replace=False)]
    assert machine.request_failed(now, request, RateLimitedError("x", retry_after=DAY)) == []
    assert machine.deadline == 102 + DAY
    assert machine.tick(102 + DAY) == [CloseSocket(2), Disconnected(103, "expired")]
    assert machine.deadline == now + DAY
    assert machine.tick(now + DAY) == [CreateChannel(5)]


def test_a_channel_that_is_gone_is_replaced() -> None:
    """A renewal may be the first to hear of it."""
    machine = live_machine(silence=10 * DAY)
    machine.tick(102 + DAY / 2)
    out = machine.request_failed(102 + DAY / 2, 4, NotFoundError("x"))
    assert out == [CloseSocket(2), Disconnected(103, "gone")]
    assert machine.tick(103 + DAY / 2) == [CreateChannel(5)]


# -- requests that fail


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("x"),
        ClosedError("x"),
        ConfigurationError("x"),
        InvalidRequestError("x"),
        PermissionDeniedError("x"),
    ],
)
def test_what_cannot_be_helped_is_the_end(error: PresenceError) -> None:
    """It is told, and nothing is done any more."""
    machine = machine_of(A)
    machine.start(100)
    assert machine.request_failed(101, 1, error) == [Failed(error)]
    assert machine.deadline is None
    assert machine.tick(200) == []
    live = live_machine()
    live.tick(104)
    live.set_topics(104, [A])
    assert live.request_failed(105, 4, error) == [CloseSocket(2), Failed(error)]


@pytest.mark.parametrize(
    "error", [ServerError("x"), PresenceConnectionError("x"), DecodeError("x"), NotFoundError("x")]
)
def test_other_failures_are_tried_again(error: PresenceError) -> None:
    """After a moment that grows, and not before the vendor says."""
    machine = machine_of(A)
    machine.start(100)
    assert machine.request_failed(101, 1, error) == []
    assert machine.tick(101.25) == [CreateChannel(2)]
    machine.request_failed(102, 2, error)
    assert machine.deadline == 102.5
    machine.tick(102.5)
    machine.request_failed(103, 3, RateLimitedError("x", retry_after=33))
    assert machine.deadline == 136


# -- topics


def test_topics_come_and_go() -> None:
    """Added ones have a gap of their own; a removal is one of all, since nobody knows better."""
    machine = live_machine(A)
    assert machine.set_topics(104, [A, B]) == [Subscribe(4, "c", (A, B), replace=False)]
    assert machine.subscribed(105, 4) == [Gap(104, 105, (B,))]
    assert machine.set_topics(106, [B, A]) == []
    assert machine.set_topics(107, [A]) == [Subscribe(5, "c", (A,), replace=True)]
    assert machine.subscribed(108, 5) == [Gap(103, 108, (A,))]


def test_topics_that_change_during_a_call_need_another() -> None:
    """The answer covers what was asked for, and is still wanted."""
    machine = live_machine(A)
    machine.set_topics(104, [A, B])
    assert machine.set_topics(105, [A, C]) == []
    assert machine.subscribed(106, 4) == [Subscribe(5, "c", (A, C), replace=True)]
    assert machine.subscribed(107, 5) == [Gap(103, 107, (A,)), Gap(105, 107, (C,))]


def test_a_failed_removal_is_repeated_as_one() -> None:
    """What is to go must not stay, and the gap does not end before."""
    machine = live_machine(A, B)
    machine.set_topics(104, [A])
    machine.request_failed(105, 4, ServerError("x"))
    assert machine.tick(105.25) == [Subscribe(5, "c", (A,), replace=True)]
    assert machine.received(106, 2, BEAT) == []
    assert machine.subscribed(108, 5) == [Gap(103, 108, (A,))]


def test_a_removal_is_not_forgotten_with_the_socket() -> None:
    """What was under way when it ended is done again, as a removal."""
    machine = live_machine(A, B)
    machine.set_topics(104, [A])
    machine.socket_closed(105, 2)
    machine.tick(105.25)
    assert machine.subscribed(106, 4) == []
    assert machine.socket_opened(106, 5)[1:] == [Subscribe(6, "c", (A,), replace=True)]


def test_rejected_topics_are_told_and_the_others_live() -> None:
    """A topic that is not allowed is not fatal."""
    machine = machine_of(A, B)
    machine.start(100)
    machine.channel_created(101, 1, "c", URI, DAY)
    no = ChannelTopic(id=B, state="Rejected")
    machine.socket_opened(102, 2)
    assert machine.subscribed(102, 3, [no]) == [Rejected((no,))]
    assert machine.received(103, 2, BEAT) == [Connected(), Gap(100, 103, (A,))]


# -- what the vendor says about the channel


def test_lost_subscriptions_are_made_again() -> None:
    """Over another socket, so that it is told; the gap begins before the message."""
    machine = live_machine()
    out = machine.received(110, 2, UNSUBSCRIBED)
    assert out[1:] == [CloseSocket(2), Disconnected(103, "unsubscribed")]
    assert machine.tick(110.25) == [OpenSocket(4, URI)]
    assert reopen(machine, 111, 4) == [Connected(), Gap(103, 111, (A, B))]


def test_subscriptions_that_are_lost_again_and_again() -> None:
    """Two who fight for them do not do so every second: they wait longer each time."""
    machine, now = live_machine(chance=0.999), 110.0
    for turn in range(12):
        socket = 2 + 2 * turn
        machine.received(now, socket, UNSUBSCRIBED)
        pause = (machine.deadline or 0.0) - now
        assert pause > 0.99 * min(PAUSE, 0.5 * 2**turn)
        now += pause
        machine.tick(now)
        reopen(machine, now, socket + 2)


def test_the_first_of_several_attempts_may_have_taken_topics_away() -> None:
    """Its answer was lost; what the next one says is refused is in doubt since then."""
    machine = live_machine()
    machine.set_topics(104, [A, B, C])
    machine.received(110, 2, BEAT)
    machine.request_failed(111, 4, PresenceConnectionError("lost"))
    machine.tick(112)
    rejected, gap = machine.subscribed(113, 5, [ChannelTopic(id=B, state="Rejected")])
    assert (type(rejected), gap) == (Rejected, Gap(104, 113, (C,)))
    machine.set_topics(114, [A, B, C, "d"])
    assert machine.subscribed(115, 6) == [Gap(103, 115, (B,)), Gap(114, 115, ("d",))]


def test_topics_that_come_again_have_a_gap_at_once() -> None:
    """They are subscribed, and nobody heard them; the others are not concerned."""
    machine = live_machine()
    assert machine.set_topics(104, [A, B], [B]) == [Gap(104, 104, (B,))]


def test_topics_that_come_again_wait_for_a_replacement() -> None:
    """What is being replaced may be without a subscription."""
    machine = live_machine()
    machine.set_topics(104, [A])
    assert machine.set_topics(105, [A], [A]) == []
    assert machine.subscribed(106, 4) == [Gap(103, 106, (A,))]


def test_a_call_without_an_answer_is_in_doubt_beyond_its_socket() -> None:
    """It may have taken topics away while other events came."""
    machine = live_machine()
    machine.set_topics(104, [A, B, C])
    machine.received(110, 2, BEAT)
    machine.socket_closed(111, 2)
    machine.tick(112)
    machine.socket_opened(113, 5)
    machine.subscribed(114, 6)
    assert machine.received(115, 5, BEAT)[1:] == [Gap(103, 115, (A, B)), Gap(104, 115, (C,))]


def test_another_channel_gets_its_chance() -> None:
    """Mute sockets of the one before do not count against it."""
    machine = live_machine(chance=0.0)
    for socket in (4, 6, 8):
        machine.socket_closed(110, socket - 2)
        machine.socket_opened(110, socket)
    assert machine.socket_closed(110, 8) == [CreateChannel(10)]
    machine.channel_created(110, 10, "d", URI, DAY)
    machine.socket_opened(110, 11)
    assert machine.socket_closed(110, 11) == [OpenSocket(13, URI)]


def test_nothing_is_heard_before_a_socket_is_open() -> None:
    """Such a frame is of no socket."""
    machine = machine_of(A)
    machine.start(100)
    machine.channel_created(101, 1, "c", URI, DAY)
    assert machine.received(102, 2, BEAT) == []
    assert not machine.live


def test_mute_sockets_count_in_a_row() -> None:
    """One that speaks between them is proof that the channel is there."""
    machine = live_machine(chance=0.0)
    for socket in (4, 6, 8, 10, 12):
        machine.socket_closed(110, socket - 2)
        machine.socket_opened(110, socket)
        if socket == 8:
            machine.received(110, socket, BEAT)
    assert machine.socket_closed(110, 12) == [OpenSocket(14, URI)]


def test_an_answer_older_than_the_loss_does_not_count() -> None:
    """The call under way may have been undone; another one follows, with its removals."""
    machine = live_machine()
    machine.set_topics(104, [A])
    machine.received(110, 2, UNSUBSCRIBED)
    assert machine.subscribed(110.1, 4) == []
    machine.tick(110.25)
    assert machine.socket_opened(111, 5)[1:] == [Subscribe(6, "c", (A,), replace=True)]
    machine.received(111, 5, BEAT)
    assert machine.subscribed(111, 6) == [Gap(103, 111, (A,))]


def test_a_revoked_token_costs_the_channel() -> None:
    """The next channel is made with whatever token there is then."""
    machine = live_machine()
    out = machine.received(110, 2, REVOKED)
    assert out[1:] == [CloseSocket(2), Disconnected(103, "revoked")]
    assert machine.tick(110.25) == [CreateChannel(4)]
    assert machine.channel_created(111, 4, "d", URI, DAY) == [OpenSocket(5, URI)]
    assert reopen(machine, 112, 5) == [Connected(), Gap(103, 112, (A, B))]


@pytest.mark.parametrize(("channel_id", "ours"), [("c", True), ("d", False), (None, True)])
def test_messages_about_other_channels_do_not_count(channel_id: Any, *, ours: bool) -> None:
    """A message that names another channel is only handed on."""
    machine = live_machine()
    text = frame("v2.system.token_revoked.x", {"channelId": channel_id})
    assert (len(machine.received(110, 2, text)) > 1) is ours


def test_an_event_that_cannot_be_read_is_a_gap_of_its_user() -> None:
    """Something was said about one user."""
    machine = live_machine()
    frame_, gap = machine.received(110, 2, frame(A, ["?"]))
    assert isinstance(frame_, UndecodableFrame)
    assert gap == Gap(103, 110, (A,))


def test_a_frame_that_cannot_be_read_is_a_gap_of_all() -> None:
    """It may have been about anyone; without anyone it is about nobody."""
    machine = live_machine()
    assert machine.received(110, 2, "{")[1:] == [Gap(103, 110, (A, B))]
    machine = machine_of(A)
    machine.start(100)
    machine.channel_created(101, 1, "c", URI, DAY)
    machine.socket_opened(102, 2)
    assert [type(one) for one in machine.received(103, 2, "{")] == [Connected, UndecodableFrame]


# -- what is not current any more


def test_late_answers_are_ignored() -> None:
    """Whatever has another number than the latest is about something that is gone."""
    machine = live_machine()
    error = AuthenticationError("x")
    for late in (
        machine.channel_created(104, 1, "d", URI, DAY),
        machine.subscribed(104, 3),
        machine.request_failed(104, 3, error),
        machine.socket_opened(104, 2),
        machine.socket_opened(104, 3),
        machine.socket_refused(104, 3, 404),
        machine.socket_closed(104, 3),
        machine.received(104, 3, BEAT),
    ):
        assert late == []
    machine.socket_closed(105, 2)
    machine.tick(106)
    assert machine.received(107, 4, BEAT) == []


@pytest.mark.parametrize("make", [live_machine, lambda: machine_of(A)])
def test_after_close_there_is_nothing(make: Callable[[], ChannelMachine]) -> None:
    """The socket is closed, and that was all."""
    machine = make()
    assert machine.close(104) == ([CloseSocket(2)] if machine.live or make is live_machine else [])
    assert (machine.live, machine.deadline) == (False, None)
    for after in (
        machine.start(105),
        machine.tick(105 + DAY),
        machine.close(106),
        machine.set_topics(106, [C]),
        machine.received(106, 2, BEAT),
        machine.channel_created(106, 1, "c", URI, DAY),
    ):
        assert after == []


# -- all mixtures

ALL = (A, B, C)
TOPICS = st.lists(st.sampled_from(ALL), max_size=3, unique=True)
ERRORS = [
    ServerError("x"),
    PresenceConnectionError("x"),
    RateLimitedError("x", retry_after=7.0),
]


class Line:
    """The server's end of a socket."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.opened = False
        self.half_open = False
        self.closed = False
        self.on_the_way: list[str] = []

    def send(self, text: str) -> None:
        """Send a frame, which a half-open line loses."""
        if not self.half_open and not self.closed:
            self.on_the_way.append(text)


class World(RuleBasedStateMachine):
    """The vendor and the shell, in any order: nothing is lost without a word.

    The vendor has channels with topics, and lines. What happens is an event with a number.
    Whichever did not come out of the machine was lost, and must be within a gap that was told
    after it. The world knows nothing of how the machine comes to that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.wanted: dict[str, float] = {}
        self.channels: dict[str, set[str]] = {}
        self.lines: dict[int, Line] = {}
        self.requests: dict[int, CreateChannel | Subscribe] = {}
        self.answers: dict[int, Any] = {}
        self.happened: dict[str, tuple[str, float]] = {}
        self.arrived: set[str] = set()
        self.gaps: list[Gap] = []
        self.rejected: set[Any] = set()
        self.numbers: set[int] = set()
        self.connected = False
        self.pause = PAUSE

    @initialize(
        topics=TOPICS, chances=st.lists(st.sampled_from([0.0, 0.3, 0.999]), min_size=1, max_size=5)
    )
    def begin(self, topics: list[str], chances: list[float]) -> None:
        """Any topics and any luck."""
        self.wanted = dict.fromkeys(topics, self.now)
        luck = cycle(chances)
        self.machine = ChannelMachine(topics, chance=lambda: next(luck), timing=Timing(life=3600.0))
        self.carry_out(self.machine.start(self.now))

    # -- the shell

    def carry_out(self, out: list[Output]) -> None:
        """Do what is commanded and note what is said."""
        for one in out:
            match one:
                case CreateChannel() | Subscribe():
                    self.number(one.request)
                    self.requests[one.request] = one
                case OpenSocket():
                    self.number(one.socket)
                    assert not self.lines, "a second socket"
                    self.lines[one.socket] = Line(one.connect_uri.reveal())
                case CloseSocket():
                    del self.lines[one.socket]
                case SendText():
                    assert self.lines[one.socket].opened
                    self.lines[one.socket].send(frame("channel.metadata", {"message": "pong"}))
                case Connected() | Disconnected():
                    assert self.connected is isinstance(one, Disconnected)
                    self.connected = isinstance(one, Connected)
                case Gap():
                    assert self.connected, "it ends when there is a live socket"
                    assert one.since <= one.until == self.now
                    self.gaps.append(one)
                    self.rejected -= set(one.topics)
                case Rejected():
                    self.rejected |= {topic.id for topic in one.topics}
                case PresenceNotification():
                    self.arrived.add(str(one.body.message))

    def number(self, number: int) -> None:
        """A number means one thing for ever."""
        assert number not in self.numbers
        self.numbers.add(number)

    @invariant()
    def there_is_something_to_wait_for(self) -> None:
        """The next step is in the future; without one, an answer is on its way."""
        if not hasattr(self, "machine"):
            return
        assert self.machine.live is self.connected
        deadline = self.machine.deadline
        if deadline is None:
            assert self.requests or not self.wanted
            return
        assert deadline > self.now
        if not self.lines and not self.requests and self.wanted:
            assert deadline <= self.now + self.pause

    # -- time

    @rule(seconds=st.sampled_from([0.2, 3.0, 29.0, 61.0, 1800.0, 4000.0]))
    def time_passes(self, seconds: float) -> None:
        """What is on its way arrives before; the shell ticks when it should."""
        end = self.now + seconds
        self.everything_arrives()
        while (deadline := self.machine.deadline) is not None and deadline <= end:
            self.now = deadline
            self.things_happen()
            self.carry_out(self.machine.tick(self.now))
            self.everything_arrives()
        self.now = end
        self.carry_out(self.machine.tick(end))
        self.things_happen()

    @rule()
    def all_goes_well(self) -> None:
        """For a moment: requests are answered, the socket opens, what is on its way arrives."""
        for number in sorted(self.requests):
            self.fulfil(number)
        for number in sorted(self.requests):
            self.fulfil(number)
        if any(not line.opened for line in self.lines.values()):
            self.a_socket_is_opened_or_refused("open")
        self.everything_arrives()

    def everything_arrives(self) -> None:
        """Until nothing is on its way any more."""
        while any(line.on_the_way or line.closed for line in self.lines.values()):
            self.a_frame_arrives()

    # -- the vendor

    def line_of(self, channel: str) -> Line | None:
        """The open line of a channel."""
        lines = [one for one in self.lines.values() if one.channel == channel and one.opened]
        return lines[0] if lines else None

    def raise_event(self, topic: str, *, readable: bool = True) -> None:
        """Something happens to a user."""
        number = str(len(self.happened))
        self.happened[number] = (topic, self.now)
        for channel, topics in self.channels.items():
            line = self.line_of(channel)
            if topic in topics and line is not None:
                line.send(frame(topic, {"message": number} if readable else [number]))

    @rule()
    def things_happen(self) -> None:
        """To everybody."""
        for topic in ALL:
            self.raise_event(topic)

    @rule(topic=st.sampled_from(ALL))
    def something_unreadable_happens(self, topic: str) -> None:
        """An event that is told in a way nobody understands."""
        self.raise_event(topic, readable=False)

    @precondition(lambda self: self.requests.keys() - self.answers.keys())
    @rule(data=st.data(), refused=TOPICS, answered=st.booleans())
    def a_request_is_carried_out(
        self, data: st.DataObject, refused: list[str], *, answered: bool
    ) -> None:
        """At the vendor, which may refuse topics; the answer arrives, or is on its way."""
        open_ = sorted(self.requests.keys() - self.answers.keys())
        number = data.draw(st.sampled_from(open_))
        self.answers[number] = self.carried_out(number, refused)
        if answered:
            self.answer(number, self.answers.pop(number))

    def carried_out(self, number: int, refused: Sequence[str] = ()) -> Any:
        """What the vendor answers. A replacement is not done in one go."""
        request = self.requests[number]
        if isinstance(request, CreateChannel):
            self.channels[f"channel-{number}"] = set()
            return f"channel-{number}"
        topics = self.channels.get(request.channel_id)
        if topics is None:
            return NotFoundError("x")
        if request.replace:
            topics.clear()
            self.things_happen()
        topics |= set(request.topics)
        topics -= set(refused)
        found = sorted(set(request.topics) & set(refused))
        return [ChannelTopic(id=topic, state="Rejected") for topic in found]

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def an_answer_arrives(self, data: st.DataObject) -> None:
        """In any order, and maybe for something that is long gone."""
        number = data.draw(st.sampled_from(sorted(self.answers)))
        self.answer(number, self.answers.pop(number))

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), error=st.sampled_from(ERRORS))
    def a_request_fails(self, data: st.DataObject, error: PresenceError) -> None:
        """Whether the vendor has carried it out or not."""
        number = data.draw(st.sampled_from(sorted(self.requests)))
        self.answers.pop(number, None)
        self.pause = max(PAUSE, error.retry_after or 0.0)
        self.answer(number, error)

    def answer(self, number: int, answer: Any) -> None:
        """Tell the machine."""
        request = self.requests.pop(number)
        if isinstance(answer, PresenceError):
            out = self.machine.request_failed(self.now, number, answer)
        elif isinstance(request, CreateChannel):
            uri = Secret(answer)
            out = self.machine.channel_created(self.now, number, answer, uri, 3600.0)
        else:
            out = self.machine.subscribed(self.now, number, answer)
        self.carry_out(out)

    @precondition(lambda self: any(not line.opened for line in self.lines.values()))
    @rule(fate=st.sampled_from(["open", "open", "mute", "busy", "unreachable"]))
    def a_socket_is_opened_or_refused(self, fate: str) -> None:
        """By a channel that is there; one that is gone refuses."""
        ((number, line),) = self.lines.items()
        status = {"busy": 503, "unreachable": None}.get(fate, 404)
        if line.channel in self.channels and fate in ("open", "mute"):
            line.opened, line.half_open = True, fate == "mute"
            self.carry_out(self.machine.socket_opened(self.now, number))
        else:
            del self.lines[number]
            if status == 404 and line.channel in self.channels:
                status = 503
            self.carry_out(self.machine.socket_refused(self.now, number, status))

    @precondition(lambda self: self.lines)
    @rule()
    def a_frame_arrives(self) -> None:
        """The next one; after the last, the goodbye."""
        ((number, line),) = self.lines.items()
        if line.on_the_way:
            self.carry_out(self.machine.received(self.now, number, line.on_the_way.pop(0)))
        elif line.closed:
            del self.lines[number]
            self.carry_out(self.machine.socket_closed(self.now, number))

    @precondition(lambda self: any(line.opened for line in self.lines.values()))
    @rule(what=st.sampled_from(["beat", "notice", "close", "reset", "half-open", "{}", "{"]))
    def something_happens_to_the_line(self, what: str) -> None:
        """A heartbeat, the end in one of its forms, or nonsense."""
        (line,) = self.lines.values()
        self.things_happen()
        match what:
            case "beat":
                line.send(BEAT)
            case "notice":
                line.send(NOTICE)
            case "close":
                line.closed = True
            case "reset":
                line.closed = True
                line.on_the_way.clear()
            case "half-open":
                line.half_open = True
            case _:
                line.send(what)
        self.things_happen()

    @precondition(lambda self: self.channels)
    @rule(data=st.data(), what=st.sampled_from(["unsubscribed", "revoked", "gone"]))
    def something_happens_to_a_channel(self, data: st.DataObject, what: str) -> None:
        """It loses its topics or its life, and mostly says so."""
        channel = data.draw(st.sampled_from(sorted(self.channels)))
        line = self.line_of(channel)
        if what == "unsubscribed":
            self.channels[channel] = set()
            self.things_happen()
            if line is not None:
                line.send(UNSUBSCRIBED)
            return
        del self.channels[channel]
        if line is not None:
            if what == "revoked":
                line.send(REVOKED)
            line.closed = True

    @rule(topics=TOPICS, again=TOPICS)
    def others_are_wanted(self, topics: list[str], again: list[str]) -> None:
        """What is new is wanted from now on, and so is what nobody heard for a while."""
        again = [topic for topic in again if topic in topics]
        known = {topic: since for topic, since in self.wanted.items() if topic not in again}
        self.wanted = {topic: known.get(topic, self.now) for topic in topics}
        self.rejected &= known.keys() & set(topics)
        self.carry_out(self.machine.set_topics(self.now, topics, again))

    @rule(text=st.sampled_from([BEAT, NOTICE, REVOKED, "{"]))
    def something_stale_comes(self, text: str) -> None:
        """Of numbers that never were, nothing comes."""
        for out in (
            self.machine.received(self.now, -1, text),
            self.machine.socket_opened(self.now, -1),
            self.machine.socket_closed(self.now, -1),
            self.machine.socket_refused(self.now, -1, 404),
            self.machine.channel_created(self.now, -1, "x", URI, DAY),
            self.machine.subscribed(self.now, -1),
            self.machine.request_failed(self.now, -1, ClosedError("x")),
        ):
            assert out == []

    def teardown(self) -> None:
        """In a world that is kind again it gets live, and has accounted for everything."""
        if not hasattr(self, "machine"):
            return
        self.be_kind()
        for number, (topic, moment) in self.happened.items():
            asked_at = self.wanted.get(topic, self.now + 1)
            # What was rejected, and said to be, is owed to nobody.
            if asked_at <= moment and number not in self.arrived and topic not in self.rejected:
                assert any(
                    topic in gap.topics and gap.since <= moment <= gap.until for gap in self.gaps
                ), (number, topic, moment, self.gaps)
        out = self.machine.close(self.now)
        assert out == [CloseSocket(number) for number in self.lines]
        assert self.machine.tick(self.now + DAY) == []

    def be_kind(self) -> None:
        """Carry out, answer and open everything, until all topics have been live for a while."""
        calm = 0
        for _ in range(200):
            self.all_goes_well()
            calm = calm + 1 if self.machine.live and not self.requests else 0
            if calm > 5 or (not self.wanted and not self.requests):
                return
            for line in self.lines.values():
                line.send(BEAT)
            self.time_passes(29.0)
        raise AssertionError("not live, although everything was answered")

    def fulfil(self, number: int) -> None:
        """Carry out a request and answer it."""
        answer = self.answers.pop(number, None)
        self.answer(number, self.carried_out(number) if answer is None else answer)


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
