"""Frozen values with gaps, and unknown fields that survive."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from presence_async.models import UNSET, Model, PresenceDefinition, Unset, UserPresence
from presence_async.models._base import EMPTY, masked

CLONES = [
    copy.copy,
    copy.deepcopy,
    lambda value: pickle.loads(pickle.dumps(value)),  # noqa: S301  # our own bytes
]


def test_empty_mapping_behaves_like_an_empty_dict():
    """The shared default equals an empty dict and holds nothing."""
    assert EMPTY == {}
    assert dict(EMPTY) == {}
    assert len(EMPTY) == 0
    assert repr(EMPTY) == "{}"
    assert "name" not in EMPTY
    with pytest.raises(KeyError):
        EMPTY["name"]


@pytest.mark.parametrize("clone", CLONES)
def test_empty_mapping_is_one_object(clone: Callable[[Any], Any]):
    """Copies and pickles of the shared default are the default itself."""
    assert clone(EMPTY) is EMPTY


@pytest.mark.parametrize("clone", CLONES)
def test_models_survive_copies_and_pickles(clone: Callable[[Any], Any]):
    """Copies and pickles of a model are equal to it, unknown fields included."""
    model = UserPresence(
        presence_definition=PresenceDefinition(id="d"), message=None, extra={"new": [1]}
    )
    assert clone(model) == model
    assert clone(model).extra == {"new": [1]}


def test_models_are_frozen_and_slotted():
    """A model cannot be changed and has no room for other attributes."""
    model = PresenceDefinition(id="d")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        model.id = "e"
    assert not hasattr(model, "__dict__")


def test_models_take_keywords_only():
    """Positional arguments are refused: the order of fields is nobody's interface."""
    with pytest.raises(TypeError):
        PresenceDefinition("d")


def test_models_compare_by_value_and_kind():
    """Equal fields of the same class make equal models; another class never does."""
    assert PresenceDefinition(id="d") == PresenceDefinition(id="d")
    assert PresenceDefinition(id="d") != PresenceDefinition(id="d", extra={"new": 1})
    assert PresenceDefinition() != UserPresence()


def test_models_are_hashable_whatever_their_extra_holds():
    """Unknown fields take no part in the hash, so models fit into sets."""
    one, other = PresenceDefinition(id="d", extra={"new": []}), PresenceDefinition(id="d")
    assert hash(one) == hash(other)
    assert len({one, other}) == 2


def test_evolve_keeps_unknown_fields():
    """A changed copy still carries what this version does not know."""
    model = attrs.evolve(UserPresence(message="a", extra={"new": 1}), message="b")
    assert model == UserPresence(message="b", extra={"new": 1})


def test_repr_shows_only_what_is_there():
    """A repr has no UNSET fields and no empty extra; null fields stay visible."""
    assert repr(UserPresence()) == "UserPresence()"
    assert repr(UserPresence(source="PURECLOUD", message=None)) == (
        "UserPresence(source='PURECLOUD', message=None)"
    )
    assert repr(PresenceDefinition(id="d", extra={"new": 1})) == (
        "PresenceDefinition(id='d', extra={'new': 1})"
    )


def test_base_has_extra_alone():
    """The base of all models holds unknown fields and nothing else."""
    assert [field.name for field in attrs.fields(Model)] == ["extra"]
    assert Model().extra is EMPTY


def test_a_masked_field_shows_only_that_it_is_there():
    """A text is masked; that there is none is no secret."""
    assert masked("canary") == "'**********'"
    assert masked(None) == "None"


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
