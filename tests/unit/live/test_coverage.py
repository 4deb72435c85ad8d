"""Topics, granted or not, covered or in a gap."""

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
    assert coverage.change(["A", "b"], (), 6) == (True, False)
    coverage.grant(coverage.wanted, (), 7)
    assert coverage.cover(8) == [Gap(5, 8, ("A",)), Gap(6, 8, ("b",))]


def test_removed_topics_leave_nothing_behind():
    """Neither a gap nor a grant, not even one that was under way."""
    coverage = granted("a", "b", "c")
    coverage.lose(5)
    asked = tuple(coverage.wanted)
    assert coverage.change(["b"], (), 6) == (False, True)
    coverage.grant(asked, (), 7)
    assert coverage.cover(8) == [Gap(5, 8, ("b",))]
    assert coverage.covered == ("b",)


def test_what_was_removed_has_to_be_granted_again():
    """Also if the call that asked for it is answered after that."""
    coverage = granted("a", "b")
    coverage.change(["a"], (), 6)
    coverage.change(["a", "b"], (), 7)
    assert coverage.cover(8) == []
    coverage.change(["a"], (), 9)
    coverage.grant(["a", "b"], (), 9)
    coverage.change(["a", "b"], (), 10)
    assert coverage.cover(11) == []
    assert coverage.uncovered == ("b",)


def test_topics_that_come_again_are_in_a_gap():
    """Nobody heard them in between; what is not subscribed has to be, and is told anew."""
    coverage = granted("a", "b", "c")
    no = ChannelTopic(id="b", state="Rejected")
    coverage.grant(coverage.wanted, [no], 2)
    assert coverage.change(["a", "b", "c"], ["C"], 6) == (False, False)
    assert coverage.covered == ("a",)
    assert coverage.cover(6) == [Gap(6, 6, ("c",))]
    assert coverage.change(["a", "b", "c"], ["b"], 7) == (True, False)
    assert coverage.grant(coverage.wanted, [no], 8) == [Rejected((no,))]


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
