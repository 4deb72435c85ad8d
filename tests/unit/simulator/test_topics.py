"""Names of topics, and the published list of them."""

import pytest

from presence_async.simulator.errors import ApiError
from presence_async.simulator.permissions import PRESENCE_VIEW
from presence_async.simulator.topics import (
    EXPANSIONS,
    Topic,
    available_topics,
    read_topics,
    topic_key,
    topic_name,
)

SUFFIXES = {
    "presence", "activity", "integrationpresence", "outofoffice", "routingStatus", "station",
    "tokens",
}  # fmt: skip


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_a_name_is_read_in_any_case(suffix: str):
    """Each suffix of a user is a topic, however it is spelled; the user's id stays as written."""
    name = topic_name("aB-1", suffix)
    assert read_topics(name) == (Topic("aB-1", suffix),)
    (topic,) = read_topics(name.upper())
    assert topic.suffix == suffix
    assert topic.key == topic_key("aB-1", suffix)


def test_a_combined_name_stands_for_several_topics():
    """The combined form is read in any case; what is named twice counts once."""
    topics = read_topics("V2.Users.a.b?Presence&routingstatus&PRESENCE")
    assert topics == (Topic("a.b", "presence"), Topic("a.b", "routingStatus"))
    assert read_topics("v2.users.a?activity") == read_topics("v2.users.a.activity")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "v2.users.",
        "v2.users..presence",
        "v2.users.?presence",
        "v2.users.presence",
        "v2.users.a",
        "v2.users.a?",
        "v2.users.a?presence&",
        "v2.users.a?presence&nonsense",
        "v2.users.a.primarypresence",
        "v2.groups.a.presence",
        "channel.metadata",
        "v2.system.socket_closing",
    ],
)
def test_anything_else_is_no_topic(name: str):
    """Unknown suffixes, missing ids, and what comes without being asked are a 400."""
    with pytest.raises(ApiError) as caught:
        read_topics(name)
    assert (caught.value.status, caught.value.code) == (400, "notification.invalid.topic")


def test_names_are_shorter_than_200_characters():
    """199 characters are a name, 200 are none, and the refusal does not repeat them all."""
    room = 200 - len(topic_name("", "presence"))
    assert read_topics(topic_name("a" * (room - 1), "presence"))
    with pytest.raises(ApiError) as caught:
        read_topics(topic_name("a" * room, "presence"))
    assert caught.value.code == "notification.invalid.topic"
    assert len(caught.value.message) < 200


def test_whom_a_topic_is_about():
    """A topic is about a user in any case of the id, and about nobody without one."""
    topic = Topic("Ab", "presence")
    assert topic.is_about("aB")
    assert not topic.is_about("b")
    assert not topic.is_about(None)


def test_the_published_list():
    """Without expansions each topic has its id only, the user being a parameter."""
    topics = available_topics(frozenset(), permission_needed=False)
    assert topics == [{"id": f"v2.users.{{id}}.{name}"} for name in [
        "presence", "activity", "integrationpresence", "outofoffice", "routingStatus", "station",
        "tokens",
    ]]  # fmt: skip


def test_expansions_show_what_is_asked_for():
    """Every expansion adds its field to every topic, and no other."""
    for field in EXPANSIONS:
        for topic in available_topics(frozenset([field]), permission_needed=False):
            assert set(topic) == {"id", field}
    everything = available_topics(frozenset(EXPANSIONS), permission_needed=False)
    assert everything[0] == {
        "id": "v2.users.{id}.presence",
        "description": "The presence of a user",
        "enforced": False,
        "schema": {"type": "object"},
        "visibility": "Public",
        "transports": ["All"],
        "publicApiTemplateUriPaths": ["/api/v2/users/{id}/presences/purecloud"],
        "requiresPermissions": [],
        "permissionDetails": [],
        "topicParameters": ["id"],
    }


def test_a_needed_permission_is_published():
    """Where watching others needs a permission, the presence topics say so, the others not."""
    fields = frozenset({"enforced", "requiresPermissions", "permissionDetails"})
    topics = {one["id"]: one for one in available_topics(fields, permission_needed=True)}
    for suffix in ("presence", "activity", "integrationpresence"):
        topic = topics[f"v2.users.{{id}}.{suffix}"]
        assert topic["enforced"] is True
        assert topic["requiresPermissions"] == [PRESENCE_VIEW]
        assert topic["permissionDetails"] == [
            {
                "type": "requiresPermissions",
                "permissions": [PRESENCE_VIEW],
                "allowsCurrentUser": True,
                "enforced": True,
            }
        ]
    assert topics["v2.users.{id}.station"]["requiresPermissions"] == []
    assert topics["v2.users.{id}.station"]["enforced"] is False
