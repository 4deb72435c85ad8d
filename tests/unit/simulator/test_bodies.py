"""Typed reading of JSON bodies."""

from collections.abc import Callable
from typing import Any

import pytest

from presence_async.simulator.bodies import Fields, parse_json
from presence_async.simulator.errors import ApiError
from presence_async.simulator.switches import Switches


def fields(value: Any, **switches: Any):
    """Return the fields of a value under some switches."""
    return Fields(value, Switches(**switches))


def refused(attempt: Callable[[], object]):
    """Return the code of the refusal."""
    with pytest.raises(ApiError) as caught:
        attempt()
    assert caught.value.status == 400
    return caught.value.code


@pytest.mark.parametrize("body", [b"", b"{", b'"\xff"', b'"\\ud800"', b"[" * 5000, b"NaN"])
def test_what_is_not_json_is_400(body: bytes):
    """Broken syntax, encoding and nesting are all the same 400."""
    assert refused(lambda: parse_json(body)) == "bad.request"


def test_only_objects_have_fields():
    """A body that should be an object and is not is a 400."""
    for value in ([], "x", 1, None):
        assert refused(lambda value=value: fields(value)) == "bad.request"


def test_texts():
    """Strings are read, absent ones are None, other types are refused."""
    assert fields({"a": "x"}).text("a") == "x"
    assert fields({}).text("a") is None
    assert fields({"a": None}).text("a") is None
    assert refused(lambda: fields({"a": 1}).text("a")) == "bad.request"
    assert refused(lambda: fields({"a": None}, nulls="reject").text("a")) == "bad.request"


def test_required_texts():
    """A required string must be there and not blank."""
    assert fields({"a": "x"}).required_text("a") == "x"
    for value in ({}, {"a": " "}):
        assert refused(lambda value=value: fields(value).required_text("a")) == "bad.request"


def test_flags():
    """Booleans are booleans only."""
    assert fields({"a": False}).flag("a") is False
    assert fields({"a": False}).required_flag("a") is False
    assert refused(lambda: fields({"a": 1}).flag("a")) == "bad.request"
    assert refused(lambda: fields({}).required_flag("a")) == "bad.request"


def test_integers():
    """Integers are in range; booleans, floats and huge numbers are none."""
    assert fields({"a": 5}).required_integer("a", 1) == 5
    for value in (True, 1.5, "5", 2.0**70):
        code = refused(lambda value=value: fields({"a": value}).required_integer("a", 1))
        assert code == "bad.request"
    assert refused(lambda: fields({"a": 0}).required_integer("a", 1)) == "invalid.value"
    assert refused(lambda: fields({"a": 2**31}).required_integer("a", 1)) == "invalid.value"
    assert refused(lambda: fields({}).required_integer("a", 1)) == "bad.request"


def test_objects():
    """Nested objects are read the same way."""
    inner = fields({"a": {"b": "x"}}).object("a")
    assert inner is not None
    assert inner.text("b") == "x"
    assert fields({}).object("a") is None
    assert refused(lambda: fields({"a": []}).object("a")) == "bad.request"


def test_labels():
    """Labels are a non-empty map of strings."""
    assert fields({"l": {"en_US": "x"}}).labels("l") == {"en_US": "x"}
    for value in ({}, {"l": {}}, {"l": {"en_US": 1}}, {"l": "x"}):
        assert refused(lambda value=value: fields(value).labels("l")) == "bad.request"


def test_dates():
    """A date that is none has a code of its own."""
    fields({"d": "2022-03-07T08:15:03Z"}).check_date("d")
    fields({}).check_date("d")
    assert refused(lambda: fields({"d": "soon"}).check_date("d")) == "invalid.date"


def test_read_only_fields():
    """Read-only fields are ignored, or refused by switch."""
    fields({"id": "x"}).check_read_only("id")
    fields({}, read_only_fields="reject").check_read_only("id")
    strict = fields({"id": "x"}, read_only_fields="reject")
    assert refused(lambda: strict.check_read_only("id")) == "bad.request"
