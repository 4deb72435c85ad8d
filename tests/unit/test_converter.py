"""JSON in and out: every byte string gives a value or DecodeError, and nothing is lost."""

import string
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType, NoneType
from typing import Any, get_args, get_origin, get_type_hints

import attrs
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from presence_async import converter, models
from presence_async.converter import (
    Rows,
    dumps,
    from_dict,
    from_json,
    loads,
    structure,
    structure_listing,
    structure_rows,
    to_dict,
    to_json,
)
from presence_async.errors import DecodeError, InvalidRequestError, RowFailure
from presence_async.models import (
    UNSET,
    ErrorBody,
    Model,
    MutableUserPresence,
    OrganizationPresence,
    OrganizationPresenceEntityListing,
    PresenceDefinition,
    RestorePresenceSettings,
    Source,
    SourceEntityListing,
    SystemPresence,
    SystemPresenceName,
    UcUserPresence,
    Unset,
    User,
    UserEntityListing,
    UserPresence,
)

MODELS = [
    value
    for name in models.__all__
    if isinstance(value := getattr(models, name), type)
    and issubclass(value, Model)
    and value is not Model
]
LISTINGS = [cls for cls in MODELS if cls.__name__.endswith("EntityListing")]

# A recorded answer of the single read, ids shortened.
RECORDED = b"""{
    "source": "PURECLOUD",
    "presenceDefinition": {
        "id": "e08eaf1b",
        "systemPresence": "On Queue",
        "selfUri": "/api/v2/presencedefinitions/e08eaf1b"
    },
    "message": "",
    "modifiedDate": "2022-03-07T08:15:03.625Z",
    "selfUri": "/api/v2/users/u1/presences"
}"""
CANARY = "canary-of-personal-data"

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
    SystemPresenceName: st.sampled_from(["On Queue", "OnQueue", "ON_QUEUE", "Lunch"]).map(
        SystemPresenceName
    ),
}


def values(hint: Any, depth: int) -> st.SearchStrategy[Any]:
    """Anything a field with this hint can hold."""
    if hint in LEAVES:
        return LEAVES[hint]
    if get_origin(hint) is tuple:
        return st.lists(values(get_args(hint)[0], depth), max_size=2).map(tuple)
    if isinstance(hint, type):
        return instances(hint, depth - 1) if depth else st.builds(hint, **dict.fromkeys([]))
    return st.one_of([values(arg, depth) for arg in get_args(hint)])


def instances(cls: type[Any], depth: int = 2) -> st.SearchStrategy[Any]:
    """Any instance of a model, nested a few levels deep."""
    hints = get_type_hints(cls)
    fields = {
        field.name: values(hints[field.name], depth)
        for field in attrs.fields(cls)
        if field.name not in ("extra", "failures")
    }
    return st.builds(cls, extra=EXTRA, **fields)
