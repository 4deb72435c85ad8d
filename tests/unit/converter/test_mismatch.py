"""Findings that carry a path and never a value."""

from typing import NoReturn

import pytest

from presence_async.converter._mismatch import Mismatch, attempt, each, misfit, wrong


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({}, "object"),
        ([], "array"),
        ("secret", "string"),
        (True, "boolean"),
        (7, "integer"),
        (7.5, "number"),
        (None, "null"),
    ],
)
def test_names_the_json_type_and_not_the_value(value: object, name: str):
    """A wrong value is told by its JSON type."""
    mismatch = wrong("date", value, "modifiedDate")
    assert mismatch.reason == f"expected date, got {name}"
    assert mismatch.field == "modifiedDate"


def test_names_the_python_type_of_what_a_caller_gave():
    """A wrong value in a model is told by its Python type."""
    assert misfit(str, b"secret").reason == "expected str, got bytes"


def test_path_grows_outwards():
    """Names and indexes on the way up make one path, with dots between names only."""
    mismatch = wrong("string", 1)
    assert mismatch.of("User") == "User: expected string, got integer"
    for name in ("systemPresence", "presenceDefinition", "[3]", "entities"):
        mismatch.under(name)
    assert mismatch.field == "entities[3].presenceDefinition.systemPresence"
    assert mismatch.of("Listing").startswith("Listing.entities[3].")
    outermost = wrong("string", 1, "[3].id")
    assert outermost.of("") == "[3].id: expected string, got integer"


def fail(mismatch: Exception) -> NoReturn:
    """Raise what is given."""
    raise mismatch


def test_attempt_returns_what_is_wrong():
    """Mismatches and endless nesting come back as values, without their traceback."""
    mismatch = Mismatch("reason")
    assert attempt(int, "7") == 7
    assert attempt(fail, mismatch) is mismatch
    assert mismatch.__traceback__ is None
    too_deep = attempt(fail, RecursionError())
    assert isinstance(too_deep, Mismatch)
    assert too_deep.reason == "nested too deeply"


def test_attempt_lets_bugs_through():
    """Only findings are turned into values; anything else is an error of ours."""
    with pytest.raises(ZeroDivisionError):
        attempt(fail, ZeroDivisionError())


def test_each_names_the_row():
    """The first bad row is named by its index."""
    rows = [None, None, wrong("string", 1, "id"), None]
    assert each(str, [1, 2]) == ["1", "2"]
    with pytest.raises(Mismatch) as caught:
        each(lambda row: row and fail(row), rows)
    assert caught.value.field == "[2].id"
