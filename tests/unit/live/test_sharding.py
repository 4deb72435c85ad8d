"""Which topic goes to which channel, and that no topic ever moves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async.errors import InvalidRequestError
from presence_async.live import sharding
from presence_async.live.sharding import CHANNELS, Shards, Step, check_wanted
from presence_async.notifications import TOPICS_PER_CHANNEL, single_topics, user_topic

ROOM = CHANNELS * TOPICS_PER_CHANNEL


def presence(*names: object) -> list[str]:
    """The presence topic of each."""
    return [user_topic(f"u{name}", "presence") for name in names]


def shards_of(topics: list[str]) -> Shards:
    """With these topics."""
    shards = Shards()
    shards.change(topics)
    return shards


def test_users_and_topics_are_made_single() -> None:
    """A combined name stands for its parts; users are followed for their presence."""
    assert check_wanted(["a"], ["v2.users.B?presence&activity", "x.y"]) == [
        "v2.users.a.presence",
        "v2.users.B.presence",
        "v2.users.B.activity",
        "x.y",
    ]


@pytest.mark.parametrize(
    ("user_ids", "topics", "field"),
    [
        ("abc", (), "user_ids"),
        (["a", ""], (), "user_ids[1]"),
        (["a", "b c"], (), "user_ids[1]"),
        ((), 7, "topics"),
        ((), ["x", "v2.system.socket_closing"], "topics[1]"),
        ((), ["x" * 200], "topics[0]"),
    ],
)
def test_what_cannot_be_is_named(user_ids: Any, topics: Any, field: str) -> None:
    """Before any request."""
    with pytest.raises(InvalidRequestError) as refused:
        check_wanted(user_ids, topics)
    assert refused.value.field == field


def test_a_thousand_a_channel() -> None:
    """The next one begins another channel."""
    shards = shards_of(presence(*range(1001)))
    assert [len(step.topics) for step in shards.steps()] == [1000, 1]
    assert (len(shards), shards.topics, shards.combined) == (2, 1001, False)
    assert shards.change(presence("new")) == [Step(1, (*presence(1000), *presence("new")))]


def test_known_topics_change_nothing() -> None:
    """In any case of letters, neither added again nor removed without being there."""
    shards = shards_of(presence("a"))
    assert shards.change(["V2.USERS.UA.PRESENCE"]) == []
    assert shards.change((), presence("b")) == []
    assert "v2.users.ua.presence" in shards
    (step,) = shards.change(["v2.users.Ub.presence", "v2.users.uB.presence"])
    assert step.topics[1:] == ("v2.users.Ub.presence",)


def test_twenty_thousand_and_no_more() -> None:
    """The error says what there is room for and what to do with the others; nothing changes."""
    shards = shards_of(presence(*range(ROOM)))
    assert len(shards) == CHANNELS
    with pytest.raises(InvalidRequestError, match=r"other 5 users with client\.poll") as refused:
        shards.change(presence(*range(ROOM, ROOM + 5)))
    assert refused.value.field == "user_ids"
    assert shards.topics == ROOM
    shards.channels = 19
    with pytest.raises(InvalidRequestError, match=r"room for 19,000, .* other streams"):
        shards.change(presence("more"))


def test_combined_where_single_ones_have_no_room() -> None:
    """Not before, because nobody knows how they count; one name for each user then."""
    users = [f"u{n}" for n in range(ROOM // 2)]
    both = [user_topic(user, suffix) for user in users for suffix in ("presence", "activity")]
    shards = shards_of(both)
    assert not shards.combined
    shards.change([*presence("one-more"), "v2.routing.queues.q.users"])
    assert (shards.combined, shards.topics) == (True, ROOM + 2)
    names = {name for step in shards.steps() for name in step.topics}
    assert len(names) == ROOM // 2 + 2
    assert "v2.users.u7?presence&activity" in names
    assert {"v2.users.uone-more.presence", "v2.routing.queues.q.users"} <= names
    assert not shards.unheard


def test_combined_names_do_not_overlap_with_removed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same event would come twice; a channel with other names lets go of the single ones."""
    monkeypatch.setattr(sharding, "TOPICS_PER_CHANNEL", 4)
    shards = Shards()
    shards.channels = 1
    shards.change([*presence(1, 2, 3), "x"])
    (step,) = shards.change([user_topic("u1", "activity")])
    assert set(step.topics) == {"v2.users.u1?presence&activity", *presence(2, 3), "x"}
    shards.change((), presence(2))
    (step,) = shards.change([user_topic("u3", "activity")])
    combined = {"v2.users.u1?presence&activity", "v2.users.u3?presence&activity"}
    assert set(step.topics) == {*combined, "x"}
    assert not shards.unheard


def test_single_names_beside_a_combined_one_are_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from a channel that gets nothing new."""
    monkeypatch.setattr(sharding, "TOPICS_PER_CHANNEL", 2)
    shards = Shards()
    shards.channels = 2
    shards.change([*(user_topic("u1", suffix) for suffix in ("presence", "a", "b")), "x"])
    first, second = shards.change(presence(2))
    assert set(first.topics) == {"v2.users.u1?presence&a&b", *presence(2)}
    assert second == Step(1, ("x",))
    assert not shards.unheard


def test_a_topic_that_has_another_name_now_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the combined name that it had is subscribed as well."""
    monkeypatch.setattr(sharding, "TOPICS_PER_CHANNEL", 2)
    shards = Shards()
    shards.channels = 2
    activity = ["v2.users.u1.activity", "v2.users.u2.activity"]
    shards.change([*presence(1, 2), *activity, *presence(3)])
    assert shards.combined
    shards.change((), [*activity, *presence(2)])
    assert shards.unheard == {*activity, *presence(2)}
    shards.change((), presence(3))
    shards.settle(1)
    assert shards.unheard == {*activity, *presence(2)}


def test_many_topics_of_a_user_make_several_names() -> None:
    """Names have a longest length."""
    few = sharding._PARTS + 1
    wanted = [user_topic("u", f"kind{n}") for n in range(few)]
    named = sharding._combined(wanted)
    assert [len(single_topics(name)) for name in named.values()] == [few - 1, 1]


def test_what_is_removed_stays_until_its_room_is_needed() -> None:
    """No request is made for it; it is not heard; a full channel lets go of it."""
    shards = shards_of(presence(*range(ROOM)))
    assert shards.change((), presence(1000, 1001)) == []
    assert shards.unheard == {"v2.users.u1000.presence", "v2.users.u1001.presence"}
    assert shards.heard([*presence(1, 1000), "v2.users.u1000?presence&activity"]) == tuple(
        presence(1)
    )
    (step,) = shards.change(presence("a"))
    assert step.channel == 1
    assert len(step.topics) == 999
    assert not shards.unheard


def test_a_channel_that_is_subscribed_anew_lets_go() -> None:
    """Then it costs nothing; a channel without removed topics has nothing to be told."""
    shards = shards_of(presence(1, 2))
    assert shards.settle(0) is None
    shards.change((), presence(1))
    assert shards.settle(0) == Step(0, tuple(presence(2)))
    assert not shards.unheard


def test_what_comes_again_is_still_there() -> None:
    """Nobody heard it in between, so it needs a gap; the others of its channel do not."""
    shards = shards_of(presence(1, 2))
    shards.change((), presence(1))
    (step,) = shards.change(presence(3, 1))
    assert (set(step.topics), step.again) == (set(presence(1, 2, 3)), tuple(presence(1)))
    assert not shards.unheard


def test_what_is_added_beside_the_removed_disturbs_nobody() -> None:
    """As long as there is room, nothing is taken out of a channel."""
    shards = shards_of(presence(1, 2))
    shards.change((), presence(1))
    (step,) = shards.change(presence(3))
    assert set(step.topics) == set(presence(1, 2, 3))
    assert shards.unheard == set(presence(1))


def test_what_comes_again_in_a_full_channel_keeps_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even if the room of others that were removed is needed at the same time."""
    monkeypatch.setattr(sharding, "TOPICS_PER_CHANNEL", 3)
    shards = Shards()
    shards.channels = 1
    shards.change(presence(1, 2, 3))
    shards.change((), presence(1, 2))
    (step,) = shards.change(presence(4, 1))
    assert (set(step.topics), step.again) == (set(presence(1, 3, 4)), tuple(presence(1)))


def test_no_channel_is_ever_without_a_topic() -> None:
    """What the vendor thinks of that is documented nowhere."""
    shards = shards_of(presence(1))
    shards.change((), presence(1))
    assert shards.settle(0) is None
    assert shards.unheard == set(presence(1))


def test_nothing_removed_is_subscribed_in_the_first_place() -> None:
    """Before the stream is entered, nothing has to be kept."""
    shards = shards_of(presence(1, 2))
    shards.change((), presence(1))
    assert shards.steps() == [Step(0, tuple(presence(2)))]
    assert not shards.unheard


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30))), max_size=8),
    st.data(),
)
def test_channels_have_what_is_wanted(
    changes: list[tuple[set[int], set[int]]], data: st.DataObject
) -> None:
    """After any changes: each topic on one channel, none over its size, told in full."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharding, "TOPICS_PER_CHANNEL", 4)
        shards, told, wanted = Shards(), {}, set[int]()
        for add, remove in changes:
            after = (wanted - remove) | add
            steps = shards.change(presence(*add), presence(*remove))
            places = {topic: place for place, topics in told.items() for topic in topics}
            told.update({step.channel: step.topics for step in steps})
            wanted = after
            if len(shards) and data.draw(st.booleans()):
                step = shards.settle(data.draw(st.integers(0, len(shards) - 1)))
                told.update({} if step is None else {step.channel: step.topics})
            assert all(len(topics) <= 4 for topics in told.values())
            subscribed = [topic for topics in told.values() for topic in topics]
            assert len(subscribed) == len(set(subscribed))
            assert set(subscribed) - set(presence(*wanted)) == shards.unheard
            assert set(presence(*wanted)) <= set(subscribed)
            moved = [
                topic
                for place, topics in told.items()
                for topic in topics
                if places.get(topic, place) != place and topic not in presence(*add)
            ]
            assert moved == []
