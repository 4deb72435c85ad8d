"""Topics, granted or not, covered or in a gap."""

import pytest

from presence_async.errors import InvalidRequestError
from presence_async.live.coverage import Coverage
from presence_async.live.outputs import Gap, Rejected
from presence_async.models import ChannelTopic


def granted(*topics: str) -> Coverage:
    """Topics that were asked for at 0 and are covered since 1."""
    coverage = Coverage(topics)
    coverage.begin(0)
    coverage.grant(coverage.wanted, (), 1)
    coverage.cover(1)
    return coverage


def test_the_first_gap_ends_with_the_first_cover():
    """Until then nothing arrives, so everything has to be read."""
    coverage = Coverage(["a", "b"])
    coverage.begin(0)
    assert coverage.cover(1) == []
    assert coverage.grant(coverage.wanted, (), 1) == []
    assert coverage.covered == ()
    assert coverage.cover(2) == [Gap(0, 2, ("a", "b"))]
    assert coverage.cover(3) == []
    assert coverage.covered == ("a", "b")


def test_a_gap_begins_once():
    """The earliest loss counts."""
    coverage = granted("a")
    coverage.lose(5)
    coverage.lose(6)
    assert coverage.covered == ()
    assert coverage.cover(9) == [Gap(5, 9, ("a",))]


def test_forgotten_subscriptions_have_to_be_granted_again():
    """Without a subscription there is nothing to cover."""
    coverage = granted("a")
    coverage.lose(5)
    coverage.forget()
    assert coverage.cover(6) == []
    coverage.grant(["a"], (), 7)
    assert coverage.cover(8) == [Gap(5, 8, ("a",))]


def test_gaps_are_told_apart_by_their_start():
    """Topics added later have a gap of their own."""
    coverage = granted("a")
    coverage.lose(5)
    assert coverage.change(["A", "b"], 6) == (True, False)
    coverage.grant(coverage.wanted, (), 7)
    assert coverage.cover(8) == [Gap(5, 8, ("A",)), Gap(6, 8, ("b",))]


def test_removed_topics_leave_nothing_behind():
    """Neither a gap nor a grant, not even one that was under way."""
    coverage = granted("a", "b", "c")
    coverage.lose(5)
    asked = tuple(coverage.wanted)
    assert coverage.change(["b"], 6) == (False, True)
    coverage.grant(asked, (), 7)
    assert coverage.cover(8) == [Gap(5, 8, ("b",))]
    assert coverage.covered == ("b",)


def test_bad_topics_change_nothing():
    """A topic that cannot be is refused before anything happens."""
    coverage = granted("a")
    with pytest.raises(InvalidRequestError):
        coverage.change(["b", "channel.metadata"], 6)
    assert coverage.covered == ("a",)


def test_a_rejection_is_told_once():
    """As long as it lasts; what it takes away is in a gap."""
    coverage = granted("a", "b")
    no = ChannelTopic(id="B", state="Rejected")
    assert coverage.grant(("a", "b"), [no], 5) == [Rejected((no,))]
    assert coverage.covered == ("a",)
    assert coverage.grant(("a", "b"), [no], 6) == []
    assert coverage.cover(7) == []
    assert coverage.grant(("a", "b"), (), 8) == []
    assert coverage.cover(9) == [Gap(5, 9, ("b",))]
    assert coverage.grant(("a", "b"), [no], 10) == [Rejected((no,))]
