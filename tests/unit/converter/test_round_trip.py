"""Any model there and back, any bytes in: nothing is lost and nothing else is raised."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from presence_async import models
from presence_async.converter import (
    from_dict,
    structure,
    structure_listing,
    structure_rows,
    to_dict,
    to_json,
)
from presence_async.errors import DecodeError
from presence_async.models import (
    UNSET,
    ErrorBody,
    Model,
    SystemPresenceName,
    UcUserPresence,
    Unset,
    UserEntityListing,
    UserPresence,
)
from presence_async.secret import Secret

MODELS = [
    value
    for name in models.__all__
    if isinstance(value := getattr(models, name), type)
    and issubclass(value, Model)
    and value is not Model
]

# --- strategies: any model with any mixture of missing, null, known and unknown ----------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INTEGERS = st.integers(-(2**63), 2**64 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
# No wire name holds an underscore, so these never collide with one.
EXTRA = st.dictionaries(TEXT.map("_{}".format), JSON, max_size=2)
MOMENTS = st.datetimes(timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    bool: st.booleans(),
    int: INTEGERS,
    datetime: MOMENTS,
    Unset: st.just(UNSET),
    NoneType: st.none(),
    Mapping[str, str]: st.dictionaries(TEXT, TEXT, max_size=2),
    Mapping[str, Any]: st.dictionaries(TEXT, JSON, max_size=2),
    Secret: TEXT.map(Secret),
    SystemPresenceName: st.sampled_from(["On Queue", "OnQueue", "ON_QUEUE", "Lunch"]).map(
        SystemPresenceName
    ),
}


@cache
def values(hint: Any, depth: int) -> st.SearchStrategy[Any]:
    """Anything a field with this hint can hold; at depth 0, nothing with fields of its own."""
    if hint in LEAVES:
        return LEAVES[hint]
    if get_origin(hint) is tuple:
        return st.lists(values(get_args(hint)[0], depth), max_size=2).map(tuple)
    if isinstance(hint, type):
        return instances(hint, depth - 1)
    return st.one_of([values(arg, depth) for arg in get_args(hint) if depth or arg in LEAVES])


@cache
def instances(cls: type[Any], depth: int = 2) -> st.SearchStrategy[Any]:
    """Any instance of a model, nested a few levels deep."""
    hints = get_type_hints(cls)
    ours = ("extra", "failures")
    fields = {name: values(hint, depth) for name, hint in hints.items() if name not in ours}
    return st.builds(cls, extra=EXTRA, **fields)


@pytest.mark.parametrize("cls", MODELS)
@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_model_survives_a_round_trip(cls: type[Any], data: st.DataObject):
    """Writing and reading back gives an equal model and the same JSON, whatever it holds."""
    model = data.draw(instances(cls))
    document = to_json(model)
    again = structure(document, cls)
    assert again == model
    assert to_json(again) == document
    assert from_dict(to_dict(model), cls) == model


def attempt(read: Callable[..., Any], *args: object) -> Any:
    """What is read, or the one error that is allowed."""
    try:
        return read(*args)
    except DecodeError as error:
        return error


@given(st.binary(max_size=40) | JSON.map(orjson.dumps))
@settings(deadline=None)
def test_any_bytes_give_a_value_or_a_decode_error(data: bytes):
    """No input makes another exception than DecodeError."""
    for read, cls in (
        (structure, UserPresence),
        (structure_rows, UcUserPresence),
        (structure_listing, UserEntityListing),
    ):
        found = attempt(read, data, cls)
        if isinstance(found, DecodeError):
            assert found.__cause__ is None
            assert found.__context__ is None


FIELD_NAMES = st.sampled_from(
    ["id", "userId", "presenceDefinition", "systemPresence", "modifiedDate", "entities", "errors"]
)


@given(st.dictionaries(FIELD_NAMES, JSON | st.dictionaries(FIELD_NAMES, JSON)))
@settings(deadline=None)
def test_known_names_with_any_values_give_a_value_or_a_decode_error(answer: dict[str, object]):
    """Any JSON under the vendor's names is either understood or refused by name."""
    for cls in (UserPresence, UcUserPresence, ErrorBody, UserEntityListing):
        found = attempt(structure, orjson.dumps(answer), cls)
        assert type(found) is cls or found.field
