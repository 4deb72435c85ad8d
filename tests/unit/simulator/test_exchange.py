"""Requests as typed values, and answers."""

from collections.abc import Callable
from typing import Any

import pytest

from presence_async.simulator.errors import ApiError
from presence_async.simulator.exchange import (
    Exchange,
    Fields,
    Query,
    is_date,
    json_answer,
    parse_json,
)
from presence_async.simulator.switches import Switches


def test_json_answers():
    """A value becomes compact JSON with status 200 unless told otherwise."""
    assert json_answer({"a": [1]}).body == b'{"a":[1]}'
    assert (json_answer({}).status, json_answer({}, 201).status) == (200, 201)


def test_exchanges_hide_what_may_be_secret():
    """Headers and body stay out of the repr."""
    exchange = Exchange("GET", "/", "", {"Authorization": "canary"}, b"canary", False, "c")
    assert "canary" not in repr(exchange)


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


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("2022-03-07T08:15:03.625Z", True),
        ("2022-03-07T08:15:03Z", True),
        ("2022-03-07", False),
        ("yesterday", False),
    ],
)
def test_only_iso_dates_are_dates(text: str, *, good: bool):
    """Milliseconds are optional, the time of day is not."""
    assert is_date(text) is good


def query(raw: str, **switches: Any):
    """Return a query under some switches."""
    return Query(raw, Switches(**switches))


def test_text_is_decoded_and_empty_counts_as_absent():
    """Escapes and pluses are decoded, the first value wins, an empty value is none."""
    assert query("a=x+y%26z&a=2").text("a") == "x y&z"
    assert query("a=&b").text("a") is None
    assert query("").text("a") is None


@pytest.mark.parametrize(
    ("style", "expected"),
    [("both", ["1", "2", "3"]), ("repeated", ["1,2", "3"])],
)
def test_array_styles(style: str, expected: Any):
    """Arrays are understood repeated, comma-joined (also encoded) or both, by switch."""
    assert query("id=1%2C2&id=3&id=", array_style=style).array("id") == expected


def test_integers_in_queries():
    """Numbers are read within their range, the default stands in for nothing."""
    assert query("").integer("n", 25) == 25
    assert query("n=7").integer("n", 25) == 7


@pytest.mark.parametrize("raw", ["0", "-1", "101", "x", "1.5", "%D9%A3", "9" * 40])
def test_bad_integers_are_400(raw: str):
    """Anything but a number in range is a 400."""
    with pytest.raises(ApiError) as caught:
        query(f"n={raw}").integer("n", 1, 100)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("", False), ("f=TRUE", True), ("f=True", True), ("f=false", False), ("f=All", None)],
)
def test_flags_in_queries(raw: str, expected: Any):
    """List filters are read in any case, false by default, ALL as no filter."""
    assert query(raw).flag("f", knows_all=True) is expected


def test_flags_not_understood_are_400():
    """ALL where it is unknown, other words, and by switch another case are refused."""
    for attempt in (
        lambda: query("f=ALL").flag("f", knows_all=False),
        lambda: query("f=maybe").flag("f", knows_all=True),
        lambda: query("f=TRUE", flags_any_case=False).flag("f", knows_all=True),
    ):
        with pytest.raises(ApiError) as caught:
            attempt()
        assert caught.value.code == "invalid.value"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("", None), ("b=", None), ("b=true", True), ("b=True", True), ("b=FALSE", False)],
)
def test_booleans(raw: str, expected: Any):
    """Booleans are read in any case, whatever the switch of list filters says."""
    for default in (True, False):
        found = query(raw, flags_any_case=False).boolean("b", default=default)
        assert found is (default if expected is None else expected)


@pytest.mark.parametrize("raw", ["b=1", "b=yes", "b=all", "b=+true"])
def test_booleans_not_understood_are_400(raw: str):
    """Anything but the two words is refused."""
    with pytest.raises(ApiError) as caught:
        query(raw).boolean("b", default=True)
    assert caught.value.code == "invalid.value"


def test_choices():
    """A value outside the allowed set is a 400."""
    assert query("s=a").choice("s", ("a", "b")) == "a"
    assert query("").choice("s", ("a", "b")) is None
    with pytest.raises(ApiError):
        query("s=c").choice("s", ("a", "b"))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", "ascending"),
        ("sortOrder=ASC", "ascending"),
        ("sortOrder=descending", "descending"),
        ("sortOrder=desc", "descending"),
    ],
)
def test_order(raw: str, expected: Any):
    """Both spellings of both orders are read in any case."""
    assert query(raw).order() == expected


def test_unknown_order_is_400():
    """Another order is refused."""
    with pytest.raises(ApiError):
        query("sortOrder=sideways").order()


def page_of(total: int, number: int, size: int, path: str | None) -> dict[str, Any]:
    """Return a page of so many records."""
    return query(f"pageNumber={number}").page([{}] * total, dict, size, path)


def test_without_links():
    """The recorded envelope has no links at all."""
    assert page_of(3, 1, 2, None) == {
        "entities": [{}, {}],
        "pageSize": 2,
        "pageNumber": 1,
        "total": 3,
        "pageCount": 2,
    }


def test_links_are_relative_and_absent_at_the_ends():
    """The first page has no previous link, the last one no next link."""
    first, middle, last = (page_of(3, number, 1, "/a") for number in (1, 2, 3))
    assert first["nextUri"] == "/a?pageSize=1&pageNumber=2"
    assert "previousUri" not in first
    assert middle["previousUri"] == "/a?pageSize=1&pageNumber=1"
    assert middle["nextUri"] == last["selfUri"] == last["lastUri"]
    assert "nextUri" not in last
    assert first["firstUri"] == first["selfUri"]


def test_empty_listing():
    """A listing without records has one empty page as its last."""
    page = page_of(0, 1, 25, "/a")
    assert (page["pageCount"], page["lastUri"]) == (0, "/a?pageSize=25&pageNumber=1")
