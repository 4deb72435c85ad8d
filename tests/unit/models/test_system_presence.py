"""One value, three spellings, and values nobody told us about."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presence_async.models import SystemPresence, SystemPresenceName
from presence_async.models.system_presence import _CACHE, _SPELLINGS

SPELLINGS = ["On Queue", "OnQueue", "ON_QUEUE"]
NAMES = st.sampled_from([s for row in _SPELLINGS for s in row] + ["Lunch", "LUNCH", "x y", "X_Y"])


@pytest.mark.parametrize("left", SPELLINGS)
@pytest.mark.parametrize("right", SPELLINGS)
def test_spellings_are_equal(left: str, right: str):
    """All spellings of a value are equal, to names and to plain strings on either side."""
    name = SystemPresenceName(left)
    assert name == SystemPresenceName(right)
    assert name == right
    assert right == name
    assert not name != SystemPresenceName(right)  # noqa: SIM202  # __ne__ is its own method
    assert not right != name  # noqa: SIM202  # same


@pytest.mark.parametrize("other", ["Busy", SystemPresenceName.BUSY, "", None, 1])
def test_other_values_differ(other: object):
    """Other values differ, whatever their type."""
    name = SystemPresenceName("On Queue")
    assert name != other
    assert not name == other  # noqa: SIM201  # __eq__ is its own method


@pytest.mark.parametrize("spelling", [*SPELLINGS, "on queue", "Lunch", "LUNCH_TIME", ""])
def test_spelling_stays_what_it_was(spelling: str):
    """The text is kept verbatim, so writing back changes nothing."""
    name = SystemPresenceName(spelling)
    assert str.__str__(name) == spelling
    assert f"{name}" == spelling
    assert orjson.dumps([name]) == orjson.dumps([spelling])


def test_wrapping_a_name_keeps_its_spelling():
    """A name made of a name is that name, not the one of another spelling."""
    name = SystemPresenceName("ON_QUEUE")
    assert SystemPresenceName(name) is name


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_gives_each_spelling(spelling: str):
    """Every name of a known value can be had in the vendor's three spellings."""
    name = SystemPresenceName(spelling)
    assert name.is_known
    assert [name.rest, name.definition, name.event] == SPELLINGS
    assert {type(text) for text in (name.rest, name.definition, name.event)} == {str}


def test_unknown_values_stay_verbatim():
    """An unknown value is marked as such and has the one spelling it came with."""
    name = SystemPresenceName("Lunch Time")
    assert not name.is_known
    assert [name.rest, name.definition, name.event] == ["Lunch Time"] * 3
    assert type(name.rest) is str
    assert name == SystemPresenceName("LUNCH_TIME")


def test_constants_are_the_ten_known_values():
    """The class has one constant for each built-in system presence, in REST spelling."""
    constants = [getattr(SystemPresenceName, event) for _, _, event in _SPELLINGS]
    assert [str.__str__(name) for name in constants] == [rest for rest, _, _ in _SPELLINGS]
    assert len(set(constants)) == 10
    assert all(name.is_known for name in constants)


@given(NAMES, NAMES)
def test_equal_names_have_equal_hashes(left: str, right: str):
    """Equality is an equivalence that the hash agrees with."""
    one, other = SystemPresenceName(left), SystemPresenceName(right)
    assert (one == other) is (other == one)
    if one == other:
        assert hash(one) == hash(other)


def test_dicts_are_found_by_name_and_by_rest_spelling():
    """In a dict keyed by names, any name and the plain REST spelling find the entry."""
    counts = {SystemPresenceName("ON_QUEUE"): 1}
    assert counts[SystemPresenceName.ON_QUEUE] == 1
    assert counts["On Queue"] == 1
    assert {"On Queue": 2}[SystemPresenceName("OnQueue")] == 2


@pytest.mark.parametrize("spelling", [*SPELLINGS, "Lunch"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_survives_pickles(spelling: str, protocol: int):
    """Pickling keeps the class and the spelling."""
    name = SystemPresenceName(spelling)
    clone = pickle.loads(pickle.dumps(name, protocol))  # noqa: S301  # our own bytes
    assert type(clone) is SystemPresenceName
    assert str.__str__(clone) == spelling


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy])
def test_survives_copies(clone: Callable[[Any], Any]):
    """Copying keeps the class, the spelling and what is known about the value."""
    name = clone(SystemPresenceName("Lunch"))
    assert type(name) is SystemPresenceName
    assert name == "Lunch"
    assert not name.is_known


def test_known_spellings_are_shared_and_nothing_is_added():
    """The vendor's spellings are single instances; other values leave nothing behind."""
    before = len(_CACHE)
    assert SystemPresenceName("Busy") is SystemPresenceName.BUSY
    assert SystemPresenceName("BUSY") is SystemPresenceName("BUSY")
    assert SystemPresenceName("Lunch") is not SystemPresenceName("Lunch")
    assert len(_CACHE) == before


def test_system_presence_holds_a_name():
    """The vendor's record carries the same open enum."""
    record = SystemPresence(id="x", name=SystemPresenceName("ON_QUEUE"))
    assert record.name == "On Queue"
    assert repr(record) == "SystemPresence(id='x', name='ON_QUEUE')"
