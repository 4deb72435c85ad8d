"""What a subscribe call did not get."""

from typing import Any

import pytest

from presence_async.live.rejections import rejected_topics
from presence_async.models import UNSET, ChannelTopic, ChannelTopicEntityListing

ONE, BOTH = "v2.users.u.presence", "v2.users.u?presence&activity"


def answer(*topics: ChannelTopic) -> ChannelTopicEntityListing:
    """An answer with these topics."""
    return ChannelTopicEntityListing(entities=topics)


@pytest.mark.parametrize("state", [UNSET, None, "Permitted", "Whatever"])
def test_what_is_in_the_answer_is_subscribed(state: Any):
    """In any case of letters, and with any state but one."""
    assert rejected_topics([ONE], answer(ChannelTopic(id=ONE.upper(), state=state))) == ()


def test_what_is_rejected_says_why():
    """The reason and the permissions are handed on, under the name that was asked for."""
    refused = ChannelTopic(
        id=ONE, state="Rejected", rejection_reason="no", missing_permissions=("a:b:c",)
    )
    assert rejected_topics([ONE], answer(refused)) == (refused,)


def test_what_is_not_in_the_answer_is_not_subscribed():
    """Silence is taken for a refusal: the other way round, events would be missed unnoticed."""
    (found,) = rejected_topics([ONE, "x.y"], answer(ChannelTopic(id="x.y"), ChannelTopic()))
    assert (found.id, found.state, found.rejection_reason) == (ONE, "Rejected", "not in the answer")
    assert [topic.id for topic in rejected_topics(["x.y"], answer())] == ["x.y"]


@pytest.mark.parametrize(
    ("state", "second", "rejected"),
    [("Permitted", True, False), ("Rejected", True, True), ("Permitted", False, True)],
)
def test_a_combined_topic_may_be_answered_by_its_parts(state: str, *, second: bool, rejected: bool):
    """Then all of them count."""
    parts = [ChannelTopic(id=ONE, state="Permitted")]
    parts += [ChannelTopic(id="v2.users.u.activity", state=state)] if second else []
    assert bool(rejected_topics([BOTH], answer(*parts))) is rejected
    assert rejected_topics([BOTH], answer(ChannelTopic(id=BOTH))) == ()
