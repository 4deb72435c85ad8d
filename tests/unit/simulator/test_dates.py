"""Dates on the wire."""

import pytest

from presence_async.simulator.dates import http_date, is_date, wire_date


def test_dates_have_milliseconds_and_z():
    """A date looks exactly like the recorded one."""
    assert wire_date(1646640903.625) == "2022-03-07T08:15:03.625Z"
    assert wire_date(0) == "1970-01-01T00:00:00.000Z"


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


def test_http_dates():
    """The header has whole seconds and its own form."""
    assert http_date(1646640903) == "Mon, 07 Mar 2022 08:15:03 GMT"
