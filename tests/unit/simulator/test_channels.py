"""Channels without HTTP: limits, order of eviction, expiry, ownership, and coverage of topics.

The machine at the end compares them with a small model that knows none of their code.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from presence_async.simulator.channels import (
    CHANNELS,
    LIFETIME_SECONDS,
    TOPICS,
    Channel,
    Channels,
    Rejection,
)
from presence_async.simulator.errors import ApiError
from presence_async.simulator.events import topic_key
from presence_async.simulator.oauth import AccessToken
from presence_async.simulator.services import PRESENCE_VIEW
from presence_async.simulator.switches import Switches

WALL = 1_767_225_600.0


class FakeSink:
    """A socket that counts."""

    def __init__(self) -> None:
        self.closed = 0

    def send(self, text: bytes) -> bool:
        """Take anything."""
        return True

    def close(self, code: int | None = None) -> None:
        """Count the goodbyes."""
        self.closed += 1


class Rig:
    """Channels on a clock of their own."""

    def __init__(self, **switches: Any) -> None:
        self.now = 1000.0
        self.channels = Channels(
            seed=0,
            switches=Switches(**switches),
            clock=lambda: self.now,
            wall_clock=lambda: WALL + self.now,
            address=lambda: "ws://here:1",
        )

    def subscribe(self, channel: Channel, *names: str, **options: Any) -> list[Rejection]:
        """Subscribe with the token that made the channel."""
        usual = {"token": channel.token, "replace": False, "ignore_errors": False}
        return self.channels.subscribe(channel, names, **(usual | options))


def token(client: str = "app", user: str | None = None, *permissions: str) -> AccessToken:
    """Return a token of an application and a user."""
    return AccessToken("v", "l", client, user, frozenset(permissions), None, 0.0)


def presence(user: object) -> str:
    """Return the name of a user's presence topic."""
    return f"v2.users.{user}.presence"


def test_a_new_channel():
    """It has an id of the recorded form, an address that ends in it, and 24 hours."""
    rig = Rig()
    channel = rig.channels.create(token())
    assert channel.id.startswith("streaming-4-")
    assert rig.channels.connect_uri(channel) == f"ws://here:1/channels/{channel.id}"
    assert channel.lapses_at == rig.now + LIFETIME_SECONDS
    assert channel.expires == WALL + rig.now + LIFETIME_SECONDS
    assert channel.topics == []
    assert rig.channels.find(channel.id) is channel
    assert rig.channels.find("other") is None
    assert not rig.channels.watched


def test_the_least_recently_used_unconnected_one_is_evicted():
    """One more than twenty ends the one whose last use is longest ago, connected ones last."""
    rig, mine = Rig(), token()
    made = [rig.channels.create(mine) for _ in range(CHANNELS)]
    other = rig.channels.create(token(user="somebody"))
    connected = made[0]
    connected.sink = FakeSink()
    rig.subscribe(made[1], presence("a"))
    rig.channels.clear(made[2])
    rig.channels.touch(made[3])
    rig.channels.get(made[4].id, mine)
    for gone in (made[4], made[5]):
        rig.channels.create(mine)
        assert rig.channels.find(gone.id) is None
    left = rig.channels.of_owner(mine)
    assert len(left) == CHANNELS
    assert set(made[:4]) < set(left)
    assert rig.channels.all()[-3] is other


def test_when_all_are_connected_the_least_recently_used_one_is_closed():
    """Connections do not protect a channel when there is nothing else to evict."""
    rig, mine = Rig(), token()
    made = [rig.channels.create(mine) for _ in range(CHANNELS)]
    sinks = [FakeSink() for _ in made]
    for channel, sink in zip(made, sinks, strict=True):
        channel.sink = sink
    rig.channels.touch(made[0])
    rig.channels.create(mine)
    assert [sink.closed for sink in sinks] == [0, 1] + [0] * (CHANNELS - 2)


def test_lapsed_channels_make_room_before_anything_is_evicted():
    """A lapsed channel does not count against the twenty."""
    rig, mine = Rig(), token()
    made = [rig.channels.create(mine) for _ in range(CHANNELS)]
    rig.now += 3600
    for channel in made[1:]:
        rig.subscribe(channel)
    rig.now += LIFETIME_SECONDS - 3600
    rig.channels.create(mine)
    assert rig.channels.of_owner(mine)[:-1] == made[1:]


def test_channels_lapse_after_24_hours():
    """To the second; a connected one is closed, and what it watched is not watched any more."""
    rig = Rig()
    channel = rig.channels.create(token())
    channel.sink = sink = FakeSink()
    rig.subscribe(channel, presence("a"))
    assert rig.channels.watched
    rig.now += LIFETIME_SECONDS - 0.001
    rig.channels.remove_lapsed()
    assert rig.channels.find(channel.id) is channel
    assert rig.channels.subscribers(topic_key("a", "presence")) == (channel,)
    rig.now += 0.001
    assert rig.channels.subscribers(topic_key("a", "presence")) == ()
    assert rig.channels.find(channel.id) is None
    assert sink.closed == 1
    assert not rig.channels.watched
    rig.channels.remove(channel)
    assert rig.channels.all() == []


@pytest.mark.parametrize("replace", [False, True])
def test_subscribing_extends_a_channel(*, replace: bool):
    """Every subscribe call starts the 24 hours anew, also one that adds nothing."""
    rig = Rig()
    channel = rig.channels.create(token())
    rig.now += 5000
    rig.subscribe(channel, replace=replace)
    assert channel.lapses_at == rig.now + LIFETIME_SECONDS
    assert channel.expires == WALL + channel.lapses_at


def test_nothing_else_extends_a_channel():
    """Clearing, connecting and looking leave the end where it was."""
    rig = Rig()
    channel = rig.channels.create(token())
    end = channel.lapses_at
    rig.now += 5000
    rig.channels.clear(channel)
    rig.channels.touch(channel)
    rig.channels.get(channel.id, token())
    with pytest.raises(ApiError):
        rig.subscribe(channel, "nonsense")
    assert channel.lapses_at == end


def test_channels_belong_to_an_application_and_its_user():
    """Any token of the same application and user may use a channel; others get a 404."""
    rig = Rig()
    channel = rig.channels.create(token("app", "u"))
    assert rig.channels.get(channel.id, token("app", "u")) is channel
    for other in (token("app"), token("app", "v"), token("other", "u")):
        with pytest.raises(ApiError) as caught:
            rig.channels.get(channel.id, other)
        assert (caught.value.status, caught.value.code) == (404, "not.found")
        assert rig.channels.of_owner(other) == []
    assert token("app", "u").owner == channel.owner == ("app", "u")


def test_entries_keep_their_spelling_and_order():
    """A topic that is there already changes nothing, in whatever case it comes."""
    rig = Rig()
    channel = rig.channels.create(token())
    rig.subscribe(channel, presence("b"), presence("a"))
    rig.subscribe(channel, presence("B").upper(), presence("c"))
    assert channel.topics == [presence("b"), presence("a"), presence("c")]
    rig.subscribe(channel, presence("a"), replace=True)
    assert channel.topics == [presence("a")]


def test_however_many_entries_cover_a_topic_the_channel_is_listed_once():
    """Coverage ends with the last entry that covers a topic."""
    rig = Rig()
    one, two = rig.channels.create(token()), rig.channels.create(token())
    rig.subscribe(two, presence("a"))
    rig.subscribe(one, presence("a"), "v2.users.A?presence&activity")
    key = topic_key("a", "presence")
    assert rig.channels.subscribers(key) == (two, one)
    rig.subscribe(one, "v2.users.a?activity&presence", replace=True)
    assert rig.channels.subscribers(key) == (two, one)
    rig.subscribe(one, "v2.users.a.activity", replace=True)
    assert rig.channels.subscribers(key) == (two,)
    rig.channels.clear(two)
    assert rig.channels.subscribers(key) == ()
    assert rig.channels.watched
    rig.channels.remove(one)
    assert not rig.channels.watched


def test_a_thousand_topics_and_no_more():
    """The thousand and first is a 400 with its limit, and nothing has changed."""
    rig = Rig()
    channel = rig.channels.create(token())
    rig.subscribe(channel, *map(presence, range(TOPICS)))
    rig.subscribe(channel, presence(0))
    for ignore_errors in (False, True):
        with pytest.raises(ApiError) as caught:
            rig.subscribe(channel, presence(TOPICS), ignore_errors=ignore_errors)
        assert caught.value.code == "notification.subscription.too.many.subscriptions"
        assert caught.value.status == 400
        assert caught.value.limit is not None
        assert caught.value.limit["value"] == TOPICS
    assert len(channel.topics) == TOPICS
    assert rig.channels.subscribers(topic_key(str(TOPICS), "presence")) == ()
    rig.subscribe(channel, presence(TOPICS), replace=True)


@pytest.mark.parametrize(("count", "room"), [("once", TOPICS), ("each", TOPICS // 2)])
def test_how_combined_topics_count(count: str, room: int):
    """A combined topic of two counts once, or twice by switch."""
    rig = Rig(combined_topics_count=count)
    channel = rig.channels.create(token())
    names = [f"v2.users.{user}?presence&activity" for user in range(room)]
    rig.subscribe(channel, *names)
    with pytest.raises(ApiError):
        rig.subscribe(channel, presence("more"))
    assert channel.topics == names


def test_bad_topics_fail_the_call_or_are_left_out():
    """One bad name refuses all; with ignore_errors it is reported and the others are taken."""
    rig = Rig()
    channel = rig.channels.create(token())
    with pytest.raises(ApiError):
        rig.subscribe(channel, presence("a"), "bad")
    assert channel.topics == []
    (rejection,) = rig.subscribe(channel, presence("a"), "bad", ignore_errors=True)
    assert (rejection.topic, rejection.missing_permissions) == ("bad", ())
    assert "bad" in rejection.reason
    assert channel.topics == [presence("a")]


NEEDED = [presence("x"), "v2.users.x?station&activity", "V2.USERS.X.INTEGRATIONPRESENCE"]


@pytest.mark.parametrize("name", NEEDED)
def test_watching_others_needs_a_permission_by_switch(name: str):
    """By switch another user's presence needs the permission; otherwise nothing is needed."""
    rig = Rig(presence_topic_permission=True)
    for granted in (token("app", "x"), token("app", "X"), token("app", None, PRESENCE_VIEW)):
        channel = rig.channels.create(granted)
        assert rig.subscribe(channel, name) == []
    for refused in (token("app", "y"), token()):
        channel = rig.channels.create(refused)
        with pytest.raises(ApiError) as caught:
            rig.subscribe(channel, name)
        assert (caught.value.status, caught.value.code) == (403, "missing.permissions")
        (rejection,) = rig.subscribe(channel, name, ignore_errors=True)
        assert rejection.missing_permissions == (PRESENCE_VIEW,)
        assert PRESENCE_VIEW in rejection.reason
        assert rig.subscribe(channel, "v2.users.x?station&tokens") == []
        assert Rig().channels.subscribe(
            channel, [name], refused, replace=False, ignore_errors=False
        ) == []  # fmt: skip


# -- the machine

USERS = ["u1", "u2", "U1x", "u4"]
SUFFIXES = ["presence", "activity", "integrationpresence", "routingStatus", "tokens"]
GUARDED = set(SUFFIXES[:3])
TOKENS = [
    token("app"),
    token("app"),
    token("app", "u1"),
    token("app", "u2", PRESENCE_VIEW),
    token("other", "u1"),
]


@attrs.frozen
class Name:
    """A topic name and what it should mean: its topics, or nothing for a bad one."""

    text: str
    user: str = ""
    suffixes: frozenset[str] = frozenset()

    @property
    def keys(self) -> set[tuple[str, str]]:
        """What it covers."""
        return {(self.user.lower(), suffix) for suffix in self.suffixes}


@st.composite
def good_names(draw: st.DrawFn) -> Name:
    """Plain and combined names in several spellings."""
    user = draw(st.sampled_from(USERS))
    suffixes = draw(st.lists(st.sampled_from(SUFFIXES), min_size=1, max_size=3))
    combined = len(suffixes) > 1 or draw(st.booleans())
    text = f"v2.users.{user}{'?' if combined else '.'}{'&'.join(suffixes)}"
    spell = draw(st.sampled_from([str, str.upper, str.swapcase]))
    return Name(spell(text), user, frozenset(suffixes))


BAD_NAMES = st.sampled_from(["", "v2.users.u1.nothing", "channel.metadata", "v2.users..presence"])
SOME_NAMES = st.lists(st.one_of(good_names(), good_names(), BAD_NAMES.map(Name)), max_size=5)
MANY_NAMES = st.builds(
    lambda start, count: [
        Name(f"v2.users.n{n}?presence&station", f"n{n}", frozenset({"presence", "station"}))
        for n in range(start, start + count)
    ],
    st.sampled_from([0, 300, 600]),
    st.sampled_from([250, 500, 1001]),
)


@attrs.define(eq=False)
class Expected:
    """What the model knows of a channel."""

    channel: Channel
    token: AccessToken
    ends: float
    used: int
    names: dict[str, Name] = attrs.field(factory=dict)
    sink: FakeSink | None = None

    @property
    def owner(self) -> tuple[str, str | None]:
        """Whose it is."""
        return self.token.client_id, self.token.user_id


class ChannelsMachine(RuleBasedStateMachine):
    """Channels beside a model of them."""

    @initialize(count=st.sampled_from(["once", "each"]), permission=st.booleans())
    def open(self, count: str, *, permission: bool) -> None:
        """Start with none, under any switches."""
        self.count, self.permission = count, permission
        self.rig = Rig(combined_topics_count=count, presence_topic_permission=permission)
        self.channels = self.rig.channels
        self.living: list[Expected] = []
        self.gone: list[Channel] = []
        self.uses = 0

    def use(self) -> int:
        """Return the next rank."""
        self.uses += 1
        return self.uses

    def end(self, expected: Expected) -> None:
        """Take a channel out of the model."""
        self.living.remove(expected)
        self.gone.append(expected.channel)
        if expected.sink is not None:
            self.channels.remove_lapsed()
            assert expected.sink.closed == 1

    def pick(self, data: st.DataObject) -> Expected | None:
        """Choose a living channel, if there is one."""
        return data.draw(st.sampled_from(self.living)) if self.living else None

    @rule(token=st.sampled_from(TOKENS), count=st.sampled_from([1, 2, 9, 21]))
    def create(self, token: AccessToken, count: int) -> None:
        """Create some channels; of too many the least recently used goes."""
        for _ in range(count):
            channel = self.channels.create(token)
            fresh = Expected(channel, token, self.rig.now + 86400, self.use())
            mine = [one for one in self.living if one.owner == fresh.owner]
            if len(mine) == 20:
                idle = [one for one in mine if one.sink is None] or mine
                self.end(min(idle, key=lambda one: one.used))
            self.living.append(fresh)

    @rule(
        data=st.data(),
        names=st.one_of(SOME_NAMES, MANY_NAMES),
        replace=st.booleans(),
        ignore_errors=st.booleans(),
    )
    def subscribe(
        self, data: st.DataObject, names: list[Name], *, replace: bool, ignore_errors: bool
    ) -> None:
        """Subscribe with any token of the owner; a refusal changes nothing."""
        expected = self.pick(data)
        if expected is None:
            return
        token = data.draw(st.sampled_from([t for t in TOKENS if t.owner == expected.owner]))
        judged = [(name, self.verdict(name, token)) for name in names]
        wanted = {} if replace else dict(expected.names)
        for name, verdict in judged:
            if verdict is None:
                wanted.setdefault(name.text.lower(), name)
        refused = [(name.text, verdict) for name, verdict in judged if verdict is not None]
        failure = None
        if refused and not ignore_errors:
            failure = refused[0][1]
        elif self.weight(wanted) > 1000:
            failure = 400
        status, rejections = None, []
        try:
            rejections = self.channels.subscribe(
                expected.channel,
                [name.text for name in names],
                token,
                replace=replace,
                ignore_errors=ignore_errors,
            )
        except ApiError as error:
            status = error.status
        assert status == failure
        if failure is not None:
            return
        assert [one.topic for one in rejections] == [text for text, _ in refused]
        assert [bool(one.missing_permissions) for one in rejections] == [
            verdict == 403 for _, verdict in refused
        ]
        expected.names = wanted
        expected.ends, expected.used = self.rig.now + 86400, self.use()

    def verdict(self, name: Name, token: AccessToken) -> int | None:
        """Return the status a name is refused with, None for a good one."""
        if not name.suffixes:
            return 400
        others = (token.user_id or "").lower() != name.user.lower()
        guarded = self.permission and others and name.suffixes & GUARDED
        return 403 if guarded and PRESENCE_VIEW not in token.permissions else None

    def weight(self, names: dict[str, Name]) -> int:
        """Return how much names count."""
        if self.count == "once":
            return len(names)
        return sum(len(name.suffixes) for name in names.values())

    @rule(data=st.data())
    def clear(self, data: st.DataObject) -> None:
        """Drop all topics of a channel."""
        expected = self.pick(data)
        if expected is not None:
            self.channels.clear(expected.channel)
            expected.names, expected.used = {}, self.use()

    @rule(data=st.data())
    def connect(self, data: st.DataObject) -> None:
        """Connect a channel, in place of a socket it had."""
        expected = self.pick(data)
        if expected is not None:
            expected.channel.sink = expected.sink = FakeSink()
            self.channels.touch(expected.channel)
            expected.used = self.use()

    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        """Let the client of a channel leave."""
        expected = self.pick(data)
        if expected is not None:
            expected.channel.sink = expected.sink = None

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """End a channel by hand."""
        expected = self.pick(data)
        if expected is not None:
            self.channels.remove(expected.channel)
            self.end(expected)

    @rule(seconds=st.sampled_from([1.0, 40_000.0, 86_399.0, 86_400.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass; what is over is over."""
        self.rig.now += seconds
        for expected in [one for one in self.living if one.ends <= self.rig.now]:
            self.end(expected)

    @rule(data=st.data(), token=st.sampled_from(TOKENS))
    def get(self, data: st.DataObject, token: AccessToken) -> None:
        """Look for a channel, living or gone, with any token."""
        expected = self.pick(data)
        if expected is not None:
            if expected.owner == token.owner:
                assert self.channels.get(expected.channel.id, token) is expected.channel
            else:
                with pytest.raises(ApiError):
                    self.channels.get(expected.channel.id, token)
        for channel in self.gone[-3:]:
            assert self.channels.find(channel.id) is None

    @invariant()
    def the_same_channels_live(self) -> None:
        """In order of creation, with their topics, ends and sockets; ids are never used twice."""
        living = self.channels.all()
        assert living == [one.channel for one in self.living]
        for expected in self.living:
            channel = expected.channel
            assert channel.topics == [name.text for name in expected.names.values()]
            assert channel.lapses_at == expected.ends
            assert expected.sink is None or expected.sink.closed == 0
        everyone = [*living, *self.gone]
        assert len({channel.id for channel in everyone}) == len(everyone)
        for token in TOKENS:
            mine = [one.channel for one in self.living if one.owner == token.owner]
            assert self.channels.of_owner(token) == mine
            assert len(mine) <= CHANNELS

    @invariant()
    def events_reach_who_watches_once(self) -> None:
        """Each topic has the channels whose names cover it, each of them once."""
        watching: dict[tuple[str, str], list[Channel]] = {}
        for expected in self.living:
            for key in {key for name in expected.names.values() for key in name.keys}:
                watching.setdefault(key, []).append(expected.channel)
        universe = {(user.lower(), suffix) for user in USERS for suffix in SUFFIXES} | set(watching)
        for user, suffix in universe:
            found = self.channels.subscribers(topic_key(user, suffix))
            expected_channels = watching.get((user, suffix), [])
            assert len(found) == len(expected_channels)
            assert set(found) == set(expected_channels)
        self.channels.remove_lapsed()
        assert self.channels.watched is bool(watching)


TestChannels = ChannelsMachine.TestCase
TestChannels.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
