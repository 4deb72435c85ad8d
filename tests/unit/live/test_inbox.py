"""What waits for a consumer: the latest of everything, and never more than a few of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from presence_async.errors import DecodeError
from presence_async.live import inbox as module
from presence_async.live.inbox import Inbox
from presence_async.live.outputs import Connected, Disconnected, Folded, Gap, Rejected
from presence_async.live.sharding import Shards
from presence_async.models import ChannelTopic
from presence_async.notifications import OtherNotification, UndecodableFrame, user_topic

if TYPE_CHECKING:
    import pytest

    from presence_async.live.outputs import StreamEvent

A, B, C = (user_topic(name, "presence") for name in "abc")


def inbox_of(*topics: str) -> Inbox:
    """Where these are wanted."""
    shards = Shards()
    shards.change(topics or (A, B))
    return Inbox(shards)


def said(topic: str, body: Any = None) -> OtherNotification:
    """A notification."""
    return OtherNotification(topic=topic, body=body)


def all_of(inbox: Inbox) -> list[StreamEvent]:
    """Everything that waits, taken."""
    taken = []
    while (event := inbox.pop()) is not None:
        taken.append(event)
    assert len(inbox) == 0
    return taken


def test_events_come_in_order() -> None:
    """As long as nothing has to be folded."""
    inbox = inbox_of()
    rejected = Rejected((ChannelTopic(id=C),))
    events = [Connected(1), rejected, said(A), Gap(1, 2, (A, B)), said(B), Disconnected(3, "gone")]
    for event in events:
        inbox.put(event)
    assert len(inbox) == 6
    assert all_of(inbox) == events
    assert inbox.pop() is None


def test_the_latest_of_a_topic_and_a_marker() -> None:
    """In the place of the first; what comes after the marker is counted anew."""
    inbox = inbox_of()
    for event in (said(A, 1), said(B), said(A.upper(), 2), said(A, 3)):
        inbox.put(event)
    assert len(inbox) == 2
    assert inbox.pop() == Folded(A, 2)
    inbox.put(said(A, 4))
    assert all_of(inbox) == [Folded(A, 1), said(A, 4), said(B)]
    assert inbox.folded == 3


def test_the_latest_word_about_a_channel() -> None:
    """One for each."""
    inbox = inbox_of()
    for event in (Connected(1), Disconnected(1.0, "closed", 2), Disconnected(1.0, "closed", 1)):
        inbox.put(event)
    inbox.put(Connected(2))
    assert all_of(inbox) == [Disconnected(1.0, "closed", 1), Connected(2)]


def test_gaps_are_joined_at_the_end() -> None:
    """An event from before a gap is never told after it."""
    inbox = inbox_of()
    for event in (Gap(5, 6, (A,)), said(B), Gap(4, 9, (B, A))):
        inbox.put(event)
    assert all_of(inbox) == [said(B), Gap(4, 9, (A, B))]


def test_joined_gaps_reach_from_the_first_to_the_last() -> None:
    """In whatever order they come."""
    inbox = inbox_of()
    inbox.put(Gap(3, 9, (A,)))
    inbox.put(Gap(5, 7, (B,)))
    assert all_of(inbox) == [Gap(3, 9, (A, B))]


def test_rejections_are_joined() -> None:
    """Each topic once."""
    inbox = inbox_of()
    one, two = ChannelTopic(id=A), ChannelTopic(id=B)
    for event in (Rejected((one,)), Rejected((one, two))):
        inbox.put(event)
    assert all_of(inbox) == [Rejected((one, two))]


def test_what_is_unreadable_takes_nobodys_place() -> None:
    """The latest event that could be read is kept beside it."""
    inbox = inbox_of()
    broken = UndecodableFrame(topic=A, error=DecodeError("no"))
    for event in (said(A, 1), broken, broken):
        inbox.put(event)
    assert all_of(inbox) == [said(A, 1), Folded(A, 1), broken]


def test_topics_nobody_asked_for_are_bounded() -> None:
    """Whatever a vendor sends; what was asked for has a place of its own all the same."""
    inbox = inbox_of()
    for number in range(module._UNASKED + 5):
        inbox.put(said(f"t{number}"))
    inbox.put(said("t3", "again"))
    inbox.put(said(A))
    assert len(inbox) == module._UNASKED + 2
    events = all_of(inbox)
    assert said("t3", "again") in events
    assert events[-3:] == [Folded("t1004", 4), said("t1004"), said(A)]
    inbox.put(said("t0"))
    inbox.put(said("t1"))
    assert all_of(inbox) == [said("t0"), said("t1")]


def test_a_marker_put_in_is_none_of_its_own() -> None:
    """Markers are made when something is taken."""
    inbox = inbox_of()
    inbox.put(Folded(A, 1))
    assert all_of(inbox) == []


def test_what_is_not_wanted_any_more_is_dropped() -> None:
    """Notifications, unreadable ones too, and its part of the gaps."""
    inbox = inbox_of()
    events = [said(A), UndecodableFrame(topic=A, error=DecodeError("no")), said(B), Gap(1, 2, (A,))]
    for event in events:
        inbox.put(event)
    inbox._shards.change((), [A])
    inbox.drop([A.upper(), C])
    assert all_of(inbox) == [said(B)]
    inbox.drop([C])
    inbox.put(Gap(1, 2, (A, B)))
    inbox.drop([A])
    assert all_of(inbox) == [Gap(1, 2, (B,))]


def test_what_is_dropped_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """For others that nobody asked for."""
    monkeypatch.setattr(module, "_UNASKED", 1)
    inbox = inbox_of()
    inbox.put(said(C))
    inbox.drop([C])
    for topic in ("one", "two", "three"):
        inbox.put(said(topic))
    assert all_of(inbox) == [said("one"), Folded("three", 1), said("three")]


def test_everything_is_forgotten() -> None:
    """And there is room again."""
    inbox = inbox_of()
    for number in range(module._UNASKED):
        inbox.put(said(f"t{number}"))
    inbox.clear()
    assert all_of(inbox) == []
    inbox.put(said("new"))
    inbox.put(said("newer"))
    assert len(inbox) == 2


@given(st.lists(st.tuples(st.sampled_from("ABab"), st.booleans()), max_size=60))
def test_nothing_is_lost_but_what_is_folded(history: list[tuple[str, bool]]) -> None:
    """Taken and counted events are all that came; the last of a topic is the last one taken."""
    inbox, last, taken = inbox_of("a", "b"), {}, {}
    count = folded = 0

    def take() -> None:
        nonlocal count, folded
        event = inbox.pop()
        if isinstance(event, Folded):
            folded += event.count
        elif isinstance(event, OtherNotification):
            count += 1
            taken[event.topic.casefold()] = event.body

    for number, (topic, taking) in enumerate(history):
        inbox.put(said(topic, number))
        last[topic.casefold()] = number
        assert len(inbox) <= 2
        if taking:
            take()
    for _ in range(4):
        take()
    assert taken == last
    assert (count + folded, folded) == (len(history), inbox.folded)
