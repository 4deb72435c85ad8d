"""Missing, null and present stay three different things."""

import copy
import pickle
from collections.abc import Callable

import pytest

from presence_async.models import UNSET, Unset


def test_is_false_without_being_none():
    """UNSET is falsy, so ``value or None`` turns it into None."""
    assert not UNSET
    assert UNSET is not None
    assert (UNSET or None) is None


def test_shows_as_its_name():
    """UNSET reads as UNSET in a REPL."""
    assert repr(UNSET) == "UNSET"


def pickled(value: object) -> object:
    """Through a pickle and back."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301  # our own bytes


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, pickled])
def test_is_one_object(clone: Callable[[object], object]):
    """Copies and pickles of UNSET are UNSET itself, so ``is`` works everywhere."""
    assert clone(UNSET) is UNSET
    assert list(Unset) == [UNSET]
