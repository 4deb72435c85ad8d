"""Typed reading of query strings."""

from typing import Any

import pytest

from presence_async.simulator.errors import ApiError
from presence_async.simulator.queries import Query
from presence_async.simulator.switches import Switches


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


def test_integers():
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
def test_flags(raw: str, expected: Any):
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
