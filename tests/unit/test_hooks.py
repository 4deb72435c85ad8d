"""Records for observers: frozen, sparse, and free of whatever names a person or a secret."""

import pickle
from typing import get_args, get_type_hints

import attrs
import pytest

from presence_async import hooks
from presence_async.errors import PresenceError, ServerError
from presence_async.hooks import (
    AttemptFinished,
    Hook,
    LimiterWaited,
    Record,
    RequestFinished,
    RequestStarted,
    TokenRefreshed,
)

TEMPLATE = "/api/v2/users/{userId}/presences/purecloud"
RECORDS = (
    RequestStarted(1, "GET", TEMPLATE),
    LimiterWaited(1, "GET", TEMPLATE, 2.5),
    AttemptFinished(1, "GET", TEMPLATE, 1, 200, None, 0.1, "5f0a"),
    RequestFinished(1, "GET", TEMPLATE, 1, None, cancelled=False, seconds=2.6),
    TokenRefreshed(86400.0, background=False, error=None),
)


def test_the_union_is_every_record():
    """A hook that handles each member of Record handles everything it can get."""
    assert set(get_args(Record)) == {type(record) for record in RECORDS}
    public = {kind.__name__ for kind in get_args(Record)}
    assert set(hooks.__all__) == public | {"Hook", "Record"}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_are_frozen_values(record: Record):
    """No observer can change what the next one sees; equal facts are equal records."""
    for field in attrs.fields(type(record)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(record, field.name, None)
    assert record == attrs.evolve(record)
    assert not hasattr(record, "__dict__")
    assert pickle.loads(pickle.dumps(record)) == record  # noqa: S301  # our own bytes


@pytest.mark.parametrize("kind", get_args(Record), ids=lambda kind: kind.__name__)
def test_records_have_no_place_for_ids_headers_or_bodies(kind: type):
    """The fields are counted facts, template paths and errors: nothing personal fits in."""
    allowed = {
        "attempt",
        "attempts",
        "background",
        "call",
        "cancelled",
        "correlation_id",
        "error",
        "expires_in",
        "method",
        "path_template",
        "seconds",
        "status",
    }
    assert {field.name for field in attrs.fields(kind)} <= allowed


def test_calls_are_told_apart_by_their_number():
    """Every record about a call carries the call's number, operation first of all."""
    for kind in set(get_args(Record)) - {TokenRefreshed}:
        assert [field.name for field in attrs.fields(kind)][:3] == [
            "call",
            "method",
            "path_template",
        ]


def test_an_error_in_a_record_is_one_of_ours():
    """A failed attempt holds the error itself, so that observers can decide by its class."""
    hints = get_type_hints(AttemptFinished, vars(hooks) | {"PresenceError": PresenceError})
    assert hints["error"] == PresenceError | None
    record = AttemptFinished(1, "GET", TEMPLATE, 1, 503, ServerError("no", status=503), 0.1, None)
    assert isinstance(record.error, ServerError)


def test_any_callable_of_one_record_is_a_hook():
    """A list's append, a function or an object with __call__ will do."""
    seen: list[Record] = []
    hook: Hook = seen.append
    for record in RECORDS:
        hook(record)
    assert seen == list(RECORDS)
