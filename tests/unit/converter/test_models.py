"""Generated readers and writers."""

from typing import Any

import attrs
import cattrs
import pytest

from presence_async.converter import _models, _values
from presence_async.converter._mismatch import Mismatch
from presence_async.models import (
    UNSET,
    ErrorBody,
    Maybe,
    Model,
    PresenceDefinition,
    SourceEntityListing,
    UserPresence,
)
from presence_async.models._base import EMPTY

DEFINITION = {"id": "d", "systemPresence": "On Queue", "selfUri": "/d"}


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class Plain(Model):
    """A model with one field of each plain kind."""

    some_text: Maybe[str] = UNSET
    some_number: Maybe[int] = UNSET
    some_flag: Maybe[bool] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class Validated(Model):
    """A model whose ``__init__`` does more than store."""

    name: Maybe[str] = attrs.field(
        default=UNSET, validator=attrs.validators.instance_of((str, type(UNSET)))
    )


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class PostInit(Model):
    """A model with a step after ``__init__``."""

    name: Maybe[str] = UNSET

    def __attrs_post_init__(self) -> None:
        """Refuse one name."""
        assert self.name != "refused"


@attrs.frozen(kw_only=True, slots=False, repr=False)
class Spacious(Model):
    """A model of another layout: with a dict."""

    name: Maybe[str] = UNSET


@pytest.fixture
def converter() -> cattrs.Converter:
    """A converter that has not generated anything yet."""
    fresh = cattrs.Converter()
    _values.register(fresh)
    _models.register(fresh)
    return fresh


def read(converter: cattrs.Converter, value: object, cls: type) -> Any:
    """Read an object."""
    return converter.get_structure_hook(cls)(value, cls)


def test_missing_null_and_present_are_told_apart(converter: cattrs.Converter):
    """Missing becomes UNSET, null becomes None, a value stays one."""
    assert read(converter, {}, Plain) == Plain()
    assert read(converter, {"someText": None, "someNumber": 0, "someFlag": False}, Plain) == Plain(
        some_text=None, some_number=0, some_flag=False
    )


@pytest.mark.parametrize(
    ("wire", "expected", "values"),
    [
        ("someText", "string", [1, True, 1.5, [], {}]),
        ("someNumber", "integer", ["1", True, 1.0, [], {}]),
        ("someFlag", "boolean", ["true", 1, 0.0, [], {}]),
    ],
)
def test_nothing_is_coerced(
    converter: cattrs.Converter, wire: str, expected: str, values: list[object]
):
    """Another JSON type than the documented one is a mismatch of that field."""
    for value in values:
        with pytest.raises(Mismatch, match=f"expected {expected}") as caught:
            read(converter, {wire: value}, Plain)
        assert caught.value.field == wire


@pytest.mark.parametrize("value", [[], "x", 1, None, True])
@pytest.mark.parametrize("cls", [Plain, PresenceDefinition])
def test_only_objects_are_models(converter: cattrs.Converter, cls: type, value: object):
    """Anything but an object is a mismatch of the whole."""
    with pytest.raises(Mismatch, match="expected object") as caught:
        read(converter, value, cls)
    assert caught.value.field == ""


def test_unknown_fields_go_to_extra(converter: cattrs.Converter):
    """Unknown fields are kept verbatim; without any, the shared empty mapping is used."""
    model = read(converter, {"someText": "a", "new": {"deep": [1]}, "extra": 2}, Plain)
    assert model == Plain(some_text="a", extra={"new": {"deep": [1]}, "extra": 2})
    assert read(converter, {"someText": "a"}, Plain).extra is EMPTY


def test_failures_is_no_wire_field(converter: cattrs.Converter):
    """A field of the vendor called like one of ours is an unknown one."""
    listing = read(converter, {"failures": 1}, SourceEntityListing)
    assert listing == SourceEntityListing(extra={"failures": 1})


@pytest.mark.parametrize("value", [{}, {"entities": None}, {"entities": []}])
def test_listings_without_rows_are_empty(converter: cattrs.Converter, value: object):
    """Missing, null and empty entities all mean no entities."""
    assert read(converter, value, SourceEntityListing).entities == ()


def test_nested_mismatches_have_their_path(converter: cattrs.Converter):
    """A field inside a field is named by both names."""
    with pytest.raises(Mismatch) as caught:
        read(converter, {"presenceDefinition": {"systemPresence": 1}}, UserPresence)
    assert caught.value.field == "presenceDefinition.systemPresence"


def test_models_may_contain_themselves(converter: cattrs.Converter):
    """A recursive model is read and written at any depth."""
    value = {"code": "a", "errors": [{"code": "b", "errors": [{"code": "c"}]}]}
    body = read(converter, value, ErrorBody)
    assert body.errors[0].errors[0] == ErrorBody(code="c")
    assert converter.get_unstructure_hook(ErrorBody)(body) == value


@pytest.mark.parametrize("cls", [Validated, PostInit, Spacious])
def test_other_classes_are_made_by_their_init(converter: cattrs.Converter, cls: type):
    """Where a twin is not safe, instances are made the ordinary way, with the same result."""
    assert _models._twin(cls) is None
    model = read(converter, {"name": "a", "new": 1}, cls)
    assert type(model) is cls
    assert model == cls(name="a", extra={"new": 1})


def test_post_init_runs(converter: cattrs.Converter):
    """A class with a step after init is not made behind its back."""
    with pytest.raises(AssertionError):
        read(converter, {"name": "refused"}, PostInit)


def test_models_made_by_a_twin_are_ordinary(converter: cattrs.Converter):
    """What a twin made is of the model's class, frozen, hashable and without a dict."""
    assert _models._twin(Plain) is not None
    model = read(converter, {"someText": "a"}, Plain)
    assert type(model) is Plain
    assert hash(model) == hash(Plain(some_text="a"))
    assert attrs.evolve(model, some_text="b") == Plain(some_text="b")
    assert not hasattr(model, "__dict__")
    for change in (lambda: setattr(model, "some_text", "b"), lambda: delattr(model, "some_text")):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            change()


def test_equal_definitions_are_shared(converter: cattrs.Converter):
    """Definitions with the same contents are one instance; other contents are others."""
    first = read(converter, dict(DEFINITION), PresenceDefinition)
    assert read(converter, dict(DEFINITION), PresenceDefinition) is first
    other = read(converter, DEFINITION | {"systemPresence": "ON_QUEUE"}, PresenceDefinition)
    assert other is not first
    assert str.__str__(other.system_presence) == "ON_QUEUE"


def test_shared_definitions_do_not_follow_their_source(converter: cattrs.Converter):
    """Changing a dict after it was read changes nothing that is shared."""
    value = dict(DEFINITION)
    read(converter, value, PresenceDefinition)
    value["systemPresence"] = "Busy"
    assert read(converter, value, PresenceDefinition).system_presence == "Busy"


@pytest.mark.parametrize(
    "value", [{"selfUri": "/d"}, {"id": None}, {"id": "d", "new": True}, {"id": "d", "new": 1}]
)
def test_other_definitions_are_not_shared(converter: cattrs.Converter, value: dict[str, Any]):
    """Without an id, or with unknown fields, every definition is its own."""
    first = read(converter, dict(value), PresenceDefinition)
    again = read(converter, dict(value), PresenceDefinition)
    assert first == again
    assert first is not again
    assert list(map(type, again.extra.values())) == [
        type(v) for k, v in value.items() if k == "new"
    ]


def test_sharing_is_bounded(converter: cattrs.Converter, monkeypatch: pytest.MonkeyPatch):
    """When there are too many definitions, the shared ones are let go."""
    monkeypatch.setattr(_models, "_SHARED_AT_MOST", 2)
    first = read(converter, {"id": "a"}, PresenceDefinition)
    for id_ in ("b", "c"):
        read(converter, {"id": id_}, PresenceDefinition)
    again = read(converter, {"id": "a"}, PresenceDefinition)
    assert again == first
    assert again is not first


def test_unset_is_not_written_and_null_is(converter: cattrs.Converter):
    """UNSET is left out, None is written, and known fields come before unknown ones."""
    write = converter.get_unstructure_hook(Plain)
    model = Plain(some_text=None, some_flag=False, extra={"new": 1, "someText": "stale"})
    assert write(model) == {"someText": None, "someFlag": False, "new": 1}
    assert list(write(model)) == ["someText", "someFlag", "new"]
    assert write(Plain()) == {}


def test_nested_models_are_written(converter: cattrs.Converter):
    """Models inside models become objects, null stays null."""
    write = converter.get_unstructure_hook(UserPresence)
    model = UserPresence(
        presence_definition=PresenceDefinition(id="d"), future_presence_definition=None
    )
    assert write(model) == {"presenceDefinition": {"id": "d"}, "futurePresenceDefinition": None}


def test_misplaced_values_are_named_as_the_caller_wrote_them(converter: cattrs.Converter):
    """A value no model can hold is told under the field's name in Python."""
    write = converter.get_unstructure_hook(UserPresence)
    with pytest.raises(Mismatch, match="expected PresenceDefinition, got dict") as caught:
        write(UserPresence(presence_definition={"id": "d"}))
    assert caught.value.field == "presence_definition"


def reader(cls: type[Model]) -> Any:
    """A reader that has learned nothing yet."""
    converter = cattrs.Converter()
    _values.register(converter)
    _models.register(converter)
    read = converter.get_structure_hook(cls)
    return lambda obj: read(obj, cls)


def test_objects_like_those_before_are_read_the_same() -> None:
    """The third object of its kind gives what the first gave; so does one of other fields."""
    read = reader(UserPresence)
    usual = {"source": "PURECLOUD", "presenceDefinition": DEFINITION, "message": None}
    models = [read(dict(usual)) for _ in range(4)]
    assert models == models[:1] * 4
    assert models[3].message is None
    assert models[3].primary is UNSET
    assert models[3].extra is EMPTY
    other = read({"name": "n", "primary": True, "modifiedDate": "2026-03-07T08:15:03.625Z"})
    assert (other.name, other.primary, other.message) == ("n", True, UNSET)


def test_unknown_fields_survive_in_usual_objects() -> None:
    """A field that all rows have and no model knows ends up in `extra` of each."""
    read = reader(UserPresence)
    models = [read({"new": [number], "message": "m", "newer": None}) for number in range(4)]
    assert [model.extra for model in models] == [
        {"new": [number], "newer": None} for number in range(4)
    ]
    assert [model.message for model in models] == ["m"] * 4


@pytest.mark.parametrize(
    ("wire", "value", "reason"),
    [
        ("message", 1, "expected string, got integer"),
        ("modifiedDate", "soon", "not an ISO-8601 date-time"),
        ("presenceDefinition", [], "expected object, got array"),
    ],
)
def test_a_misfit_in_a_usual_object_is_named(wire: str, value: Any, reason: str) -> None:
    """However often such objects were good, the bad field of a later one is told."""
    read = reader(UserPresence)
    good = {
        "message": "m",
        "modifiedDate": "2026-03-07T08:15:03.625Z",
        "presenceDefinition": DEFINITION,
    }
    for _ in range(3):
        read(dict(good))
    with pytest.raises(Mismatch) as caught:
        read(good | {wire: value})
    assert (caught.value.field, caught.value.reason) == (wire, reason)


def test_a_field_alone_and_a_huge_object_are_read_field_by_field() -> None:
    """Neither is worth learning, and both come out right every time."""
    read = reader(Plain)
    huge = {f"field{number}": number for number in range(100)}
    for _ in range(4):
        assert read({"someText": "t"}) == Plain(some_text="t")
        assert read(huge | {"someText": "t"}) == Plain(some_text="t", extra=huge)
