"""Names of topics, and frames of a channel's socket: any text in, a typed value out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presence_async import (
    ActivityNotification,
    ClosingNotice,
    DecodeError,
    Folded,
    IntegrationPresenceNotification,
    InvalidRequestError,
    OtherNotification,
    PresenceNotification,
    SystemNotification,
    SystemPresenceName,
    UndecodableFrame,
    user_topic,
)
from presence_async.models import SystemMessageEvent
from presence_async.notifications import (
    TOPICS_PER_CHANNEL,
    Heartbeat,
    check_topic,
    check_topics,
    read_notification,
    single_topics,
    split_topic,
    topic_key,
)

USER = "4c6a2b31-0c8c-4f6e-9c3f-9f2c1f0a7b11"
ON_QUEUE = {"id": "e08eaf1b", "systemPresence": "ON_QUEUE"}
MOMENT = datetime(2022, 3, 7, 8, 15, 3, 625_000, tzinfo=UTC)
DATE = "2022-03-07T08:15:03.625Z"


def frame(topic: Any, body: Any = None, **more: Any) -> str:
    """The text of an event as it was recorded."""
    metadata = {"CorrelationId": "c-1"}
    return json.dumps(
        {"topicName": topic, "version": "2", "eventBody": body, "metadata": metadata} | more
    )


# -- names


@pytest.mark.parametrize(
    ("suffixes", "name"),
    [
        (("presence",), f"v2.users.{USER}.presence"),
        (("presence", "routingStatus"), f"v2.users.{USER}?presence&routingStatus"),
        (("conversations.calls",), f"v2.users.{USER}.conversations.calls"),
    ],
)
def test_names_there_and_back(suffixes: tuple[str, ...], name: str) -> None:
    """One topic of a user stands behind a dot, several behind a question mark."""
    assert user_topic(USER, *suffixes) == name
    assert split_topic(name) == (USER, suffixes)
    upper = split_topic(name.upper())
    assert upper is not None
    assert upper.user_id.casefold() == USER


@pytest.mark.parametrize(
    "name",
    [
        "",
        "v2.users.",
        "v2.users.u",
        "v2.users..presence",
        "v2.users.?presence",
        "v2.users.u?",
        "v2.users.u?presence&",
        "v2.users.u.presence?activity",
        "v2.routing.queues.q.users",
        "channel.metadata",
    ],
)
def test_other_names_are_of_no_user(name: str) -> None:
    """Whatever does not name a user and a topic is not taken apart."""
    assert split_topic(name) is None


@pytest.mark.parametrize("bad", ["", "a b", "a?b", "a&b", "a.b", "a/b", "ä", "a\n", None, 7])
def test_ids_that_would_change_the_name(bad: Any) -> None:
    """An id with a character that means something in a name is refused."""
    with pytest.raises(InvalidRequestError) as caught:
        user_topic(bad, "presence")
    assert caught.value.field == "user_id"


@pytest.mark.parametrize("bad", [(), ("",), ("a&b",), ("presence", "a b"), (None,)])
def test_suffixes_that_would_change_the_name(bad: tuple[Any, ...]) -> None:
    """So is a suffix, and none at all."""
    with pytest.raises(InvalidRequestError) as caught:
        user_topic(USER, *bad)
    assert caught.value.field == "suffixes"


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "",
        "a b",
        "v2.users.ü.presence",
        "v2.users.u.presence\n",
        "x" * 200,
        "channel.metadata",
        "Channel.Metadata",
        "v2.system.socket_closing",
        "V2.SYSTEM.token_revoked.u",
    ],
)
def test_names_that_cannot_be_subscribed_to(bad: Any) -> None:
    """No name, too long a one, and what comes by itself."""
    with pytest.raises(InvalidRequestError) as caught:
        check_topic("topics[3]", bad)
    assert caught.value.field == "topics[3]"


def test_the_longest_name() -> None:
    """199 characters are fine."""
    assert check_topic("topic", "x" * 199) == "x" * 199


def test_names_count_once_in_any_case() -> None:
    """Repetitions are dropped before they are counted, the first spelling stays."""
    names = [f"v2.users.u{n}.presence" for n in range(TOPICS_PER_CHANNEL)]
    assert check_topics("topics", [*names, *map(str.upper, names)]) == names
    with pytest.raises(InvalidRequestError, match="1000 topics at most") as caught:
        check_topics("topics", [*names, "one.more"])
    assert caught.value.field == "topics"


def test_a_name_that_is_its_own_key_is_not_copied() -> None:
    """There are thousands of them."""
    assert topic_key(USER) is USER
    assert topic_key(USER.upper()) == USER


def test_endless_names_are_not_all_taken() -> None:
    """Counting stops at the first name too many."""
    with pytest.raises(InvalidRequestError):
        check_topics("topics", endless())


def endless() -> Any:
    """Names without an end."""
    number = 0
    while True:
        number += 1
        yield f"t{number}"


# -- frames


@pytest.mark.parametrize("topic", [f"v2.users.{USER}.presence", f"V2.Users.{USER}.PRESENCE"])
def test_presence(topic: str) -> None:
    """The user is in the name, in any case; the presence is typed."""
    body = {
        "source": "PURECLOUD",
        "presenceDefinition": ON_QUEUE,
        "primary": True,
        "message": "m",
        "modifiedDate": DATE,
        "new": 1,
    }
    found = read_notification(frame(topic, body))
    assert isinstance(found, PresenceNotification)
    assert (found.user_id, found.topic, found.correlation_id) == (USER, topic, "c-1")
    assert (found.body.message, found.body.modified_date) == ("m", MOMENT)
    assert found.body.extra == {"new": 1}
    definition = found.body.presence_definition
    assert definition
    assert definition.system_presence == "On Queue" == SystemPresenceName("OnQueue")


def test_activity() -> None:
    """The message is called otherwise there; routing comes as it is."""
    body = {
        "id": USER,
        "presence": {
            "presenceDefinition": ON_QUEUE,
            "presenceMessage": "m",
            "modifiedDate": DATE,
        },
        "routingStatus": {"status": "IDLE"},
        "activeQueueIds": ["q"],
    }
    found = read_notification(frame(f"v2.users.{USER}.activity", body))
    assert isinstance(found, ActivityNotification)
    assert found.user_id == USER
    assert found.body.presence
    assert found.body.presence.presence_message == "m"
    assert found.body.active_queue_ids == ("q",)
    assert found.body.routing_status == {"status": "IDLE"}


def test_integration_presence() -> None:
    """The sources before and after are there."""
    body = {
        "userId": USER,
        "eventType": "UserPrimaryPresenceSourceChanged",
        "currentDisplaySourceId": "new",
        "previousDisplaySourceId": "old",
    }
    found = read_notification(frame(f"v2.users.{USER}.integrationpresence", body))
    assert isinstance(found, IntegrationPresenceNotification)
    assert found.body.event_type == "UserPrimaryPresenceSourceChanged"
    assert (found.body.current_display_source_id, found.body.previous_display_source_id) == (
        "new",
        "old",
    )


@pytest.mark.parametrize("name", ["CorrelationId", "correlationId"])
def test_the_correlation_id_has_two_spellings(name: str) -> None:
    """Both are read; anything else is none."""
    topic = f"v2.users.{USER}.station"
    assert read_notification(frame(topic, metadata={name: "c"})).correlation_id == "c"
    for bad in (None, [], {name: 5}, "x"):
        assert read_notification(frame(topic, metadata=bad)).correlation_id is None


@pytest.mark.parametrize(
    ("topic", "user_id"),
    [
        (f"v2.users.{USER}.routingStatus", USER),
        (f"v2.users.{USER}.conversations.presence", USER),
        ("v2.users..presence", None),
        ("v2.routing.queues.q.presence", None),
        ("presence", None),
    ],
)
def test_unknown_topics_are_handed_on(topic: str, user_id: str | None) -> None:
    """The body stays what it was."""
    found = read_notification(frame(topic, [1, {"a": None}]))
    assert isinstance(found, OtherNotification)
    assert (found.topic, found.body, found.user_id) == (topic, [1, {"a": None}], user_id)


@pytest.mark.parametrize("body", [{"message": "WebSocket Heartbeat"}, {"message": "pong"}, None])
def test_heartbeat_and_pong(body: Any) -> None:
    """Both come as channel metadata, and say that the socket is alive."""
    assert type(read_notification(frame("Channel.Metadata", body))) is Heartbeat


@pytest.mark.parametrize("name", ["v2.system.no_longer_subscribed.canary", "V2.SYSTEM.x.canary"])
def test_the_id_of_a_channel_is_not_shown(name: str) -> None:
    """Who knows it can listen; a user's id is no secret."""
    found = read_notification(frame(name, {"channelId": "canary", "data": {"id": "canary"}}))
    assert "canary" not in repr([found, Folded(name, 2)])
    assert USER in repr(read_notification(frame(f"v2.users.{USER}.x")))


@pytest.mark.parametrize("body", [None, {}, [], "closing", {"channelId": 5}])
def test_closing_notice(body: Any) -> None:
    """Its body is documented nowhere, so that any will do."""
    found = read_notification(frame("v2.system.socket_closing", body))
    assert type(found) is ClosingNotice
    assert found.body == SystemMessageEvent()
    full = read_notification(frame("V2.SYSTEM.SOCKET_CLOSING", {"message": "bye"}))
    assert isinstance(full, ClosingNotice)
    assert full.body.message == "bye"


@pytest.mark.parametrize(
    ("topic", "body", "kind"),
    [
        ("v2.system.no_longer_subscribed.x", {}, "no_longer_subscribed"),
        ("v2.system.token_revoked.x", None, "token_revoked"),
        ("v2.system.x", {"systemTopicType": "token_revoked"}, "token_revoked"),
        ("v2.subscription.updated", {"systemTopicType": "subscription_changed"}, None),
    ],
)
def test_system_messages(topic: str, body: Any, kind: str | None) -> None:
    """What they are about is in the body, or else in the name."""
    found = read_notification(frame(topic, body))
    assert type(found) is SystemNotification
    assert found.kind == (kind or "subscription_changed")


def test_a_system_message_of_no_kind() -> None:
    """A name without a third part says nothing."""
    found = SystemNotification(topic="v2.system", body=SystemMessageEvent())
    assert found.kind == ""


@pytest.mark.parametrize(
    "answer",
    [
        {"result": "200", "status": "subscribed", "correlationId": "1"},
        {"result": "404", "status": "failure"},
        {},
    ],
)
def test_answers_to_subscriptions_over_the_socket(answer: dict[str, Any]) -> None:
    """They have no topic and are handed on whole."""
    assert read_notification(json.dumps(answer)) == OtherNotification(body=answer)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        ("\ud800", "not valid JSON"),
        ("[" * 2000, "not valid JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('{"topicName":["x"]}', "expected string"),
        (" " * 1_000_001, "longer than 1000000"),
    ],
)
def test_garbage_is_a_value(text: str | bytes, reason: str) -> None:
    """What is no frame at all is told as lost, and nothing is raised."""
    found = read_notification(text)
    assert isinstance(found, UndecodableFrame)
    assert reason in found.error.message
    assert (found.user_id, found.topic) == (None, "")


@pytest.mark.parametrize("suffix", ["presence", "activity", "integrationpresence"])
@pytest.mark.parametrize("body", [None, [], "x", {"presenceDefinition": 5, "presence": 5}])
def test_a_bad_event_still_says_whose_it_is(suffix: str, body: Any) -> None:
    """The event is lost, and it is known for whom; the error does not hold what was said."""
    topic = f"v2.users.{USER}.{suffix}"
    found = read_notification(frame(topic, body))
    assert isinstance(found, UndecodableFrame)
    assert (found.user_id, found.topic, found.correlation_id) == (USER, topic, "c-1")
    assert type(found.error) is DecodeError
    assert found.error.__traceback__ is None
    assert found.error.__context__ is None


TEXT = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
TOPICS = st.sampled_from(
    [
        f"v2.users.{USER}.presence",
        f"v2.users.{USER}.activity",
        f"v2.users.{USER}.integrationpresence",
        "v2.system.socket_closing",
        "v2.system.token_revoked.x",
        "channel.metadata",
        "",
    ]
)
NAMES = st.sampled_from(["presenceDefinition", "presence", "modifiedDate", "message", "userId"])


@given(
    st.text()
    | st.binary()
    | st.builds(
        lambda topic, body, metadata: json.dumps(
            {"topicName": topic, "eventBody": body, "metadata": metadata}
        ),
        TOPICS | JSON,
        JSON | st.dictionaries(NAMES, JSON),
        JSON,
    )
)
def test_any_text_gives_a_value(text: str | bytes) -> None:
    """Whatever comes over a socket, nothing is raised, and its repr does not fail."""
    assert repr(read_notification(text))


@given(st.text(max_size=250))
def test_any_name_is_accepted_or_refused(name: str) -> None:
    """A name is fit to be sent, or refused with the field; taking it apart never fails."""
    split_topic(name)
    fit = name.isascii() and name.isprintable() and " " not in name and 0 < len(name) < 200
    if fit and not name.casefold().startswith(("channel.metadata", "v2.system.")):
        assert check_topic("topic", name) == name
    else:
        with pytest.raises(InvalidRequestError) as caught:
            check_topic("topic", name)
        assert caught.value.field == "topic"


def test_a_combined_topic_stands_for_single_ones() -> None:
    """Any other name stands for itself."""
    assert single_topics("v2.users.u?presence&activity") == [
        "v2.users.u.presence",
        "v2.users.u.activity",
    ]
    assert single_topics("V2.Users.u.presence") == ["v2.users.u.presence"]
    assert single_topics("v2.routing.queues.q.users") == ["v2.routing.queues.q.users"]
