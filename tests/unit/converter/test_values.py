"""Values in fields: strict in their JSON type, exact in what they become."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import cattrs
import pytest

from presence_async.converter import _values
from presence_async.converter._mismatch import Mismatch
from presence_async.models import SystemPresenceName
from presence_async.secret import Secret

CONVERTER = cattrs.Converter()
_values.register(CONVERTER)
EAST = timezone(timedelta(hours=5, minutes=30))


def read(value: object, hint: Any) -> Any:
    """Read a value of a field."""
    return CONVERTER.get_structure_hook(hint)(value, hint)


def write(value: object, hint: Any) -> Any:
    """Write a value of a field."""
    return CONVERTER.get_unstructure_hook(hint)(value)


@pytest.mark.parametrize(
    "text",
    [
        "2022-03-07T08:15:03.625Z",
        "2022-03-07T08:15:03.625+00:00",
        "2022-03-07T13:45:03.625+05:30",
        "2022-03-07T08:15:03.625",
    ],
)
def test_datetimes_become_utc(text: str):
    """Any offset is converted; a time without one is taken as UTC."""
    moment = read(text, datetime)
    assert moment == datetime(2022, 3, 7, 8, 15, 3, 625_000, tzinfo=UTC)
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("yesterday", "not an ISO-8601 date-time"),
        ("", "not an ISO-8601 date-time"),
        ("2022-13-07T08:15:03Z", "not an ISO-8601 date-time"),
        ("0001-01-01T00:00:00+05:30", "not an ISO-8601 date-time"),
        (1646640903, "expected string, got integer"),
        ([], "expected string, got array"),
    ],
)
def test_other_dates_are_refused(value: object, reason: str):
    """What is no date, or none that exists in UTC, is a mismatch."""
    with pytest.raises(Mismatch, match=reason):
        read(value, datetime)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2022, 3, 7, 8, 15, 3, 625_999, tzinfo=UTC), "2022-03-07T08:15:03.625Z"),
        (datetime(2022, 3, 7, 8, 15, tzinfo=UTC), "2022-03-07T08:15:00.000Z"),
        (datetime(2022, 3, 7, 13, 45, tzinfo=EAST), "2022-03-07T08:15:00.000Z"),
        (datetime(9, 3, 7, tzinfo=UTC), "0009-03-07T00:00:00.000Z"),
    ],
)
def test_datetimes_are_written_like_the_vendor_does(moment: datetime, text: str):
    """Dates go out in UTC with milliseconds and Z."""
    assert write(moment, datetime) == text


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (datetime(2022, 3, 7), "naive"),  # noqa: DTZ001  # the case under test
        (datetime(1, 1, 1, tzinfo=EAST), "outside the years 1 to 9999"),
        ("2022-03-07T08:15:03Z", "expected datetime, got str"),
    ],
)
def test_moments_nobody_can_tell_are_not_written(moment: object, reason: str):
    """Naive datetimes, and those UTC has no year for, are refused."""
    with pytest.raises(Mismatch, match=reason):
        write(moment, datetime)


def test_names_keep_their_spelling():
    """System presences are open enums on the way in and plain strings on the way out."""
    name = read("ON_QUEUE", SystemPresenceName)
    assert type(name) is SystemPresenceName
    assert type(write(name, SystemPresenceName)) is str
    assert write(name, SystemPresenceName) == "ON_QUEUE"
    with pytest.raises(Mismatch, match="expected string, got boolean"):
        read(True, SystemPresenceName)
    with pytest.raises(Mismatch, match="expected str, got int"):
        write(1, SystemPresenceName)


def test_maps_of_strings_hold_strings_only():
    """Labels are passed through when all of them are strings; keys are not told."""
    labels = {"en_US": "Lunch"}
    hint = Mapping[str, str]
    assert read(labels, hint) is labels
    assert write(MappingProxyType(labels), hint) == labels
    assert type(write(MappingProxyType(labels), hint)) is dict
    with pytest.raises(Mismatch, match="expected object, got string"):
        read("Lunch", hint)
    with pytest.raises(Mismatch, match=r"^expected an object of strings$"):
        read({"en_US": None}, hint)
    with pytest.raises(Mismatch, match="expected Mapping, got str"):
        write("Lunch", hint)


@pytest.mark.parametrize("value", [1.5, 2])
def test_numbers_may_be_whole(value: float):
    """An integer is fine where a number is expected."""
    assert read(value, float) == value


@pytest.mark.parametrize("value", [True, "1.5", None])
def test_numbers_are_not_coerced(value: object):
    """A boolean or a string is not a number."""
    with pytest.raises(Mismatch, match="expected number"):
        read(value, float)


def test_arrays_become_tuples():
    """Arrays are tuples in models, and a bad entry is named by its index."""
    hint = tuple[SystemPresenceName, ...]
    assert read(["Busy", "Lunch"], hint) == ("Busy", "Lunch")
    assert write((SystemPresenceName.BUSY,), hint) == ["Busy"]
    assert write([SystemPresenceName.BUSY], hint) == ["Busy"]
    with pytest.raises(Mismatch, match="expected array, got object"):
        read({}, hint)
    with pytest.raises(Mismatch, match="expected tuple, got str"):
        write("Busy", hint)
    with pytest.raises(Mismatch) as caught:
        read(["Busy", 1], hint)
    assert caught.value.field == "[1]"


def test_texts_in_arrays_are_texts():
    """An item of an array of strings is one, in both directions."""
    assert read(["a", ""], tuple[str, ...]) == ("a", "")
    assert write(("a",), tuple[str, ...]) == ["a"]
    with pytest.raises(Mismatch, match="expected string, got integer") as caught:
        read(["a", 1], tuple[str, ...])
    assert caught.value.field == "[1]"
    with pytest.raises(Mismatch, match="expected str, got int"):
        write(("a", 1), tuple[str, ...])


def test_secrets_are_wrapped_and_unwrapped():
    """A secret is hidden from the moment it is read, and written as it was."""
    secret = read("canary", Secret)
    assert secret == Secret("canary")
    assert write(secret, Secret) == "canary"
    with pytest.raises(Mismatch, match="expected string, got null"):
        read(None, Secret)
    with pytest.raises(Mismatch, match="expected Secret, got str"):
        write("canary", Secret)


def test_objects_of_anything_are_kept():
    """A field that may hold any object is read and written as it is, and as an object."""
    assert read({"a": [1, None]}, Mapping[str, Any]) == {"a": [1, None]}
    assert write(MappingProxyType({"a": 1}), Mapping[str, Any]) == {"a": 1}
    with pytest.raises(Mismatch, match="expected object, got array"):
        read([], Mapping[str, Any])
    with pytest.raises(Mismatch, match="expected Mapping, got list"):
        write([], Mapping[str, Any])


def test_any_number_of_names_is_read_and_few_are_kept():
    """Names come out as they are spelled, however many the network makes up."""
    names = [f"Name {number}" for number in range(2 * _values._NAMES_AT_MOST)]
    for _ in range(2):
        read_names = [read(name, SystemPresenceName) for name in names]
        assert [str(name) for name in read_names] == names
    assert len(_values._NAMES) <= _values._NAMES_AT_MOST
