"""The forecast of a sweep: arithmetic that users plan by."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presence_async import InvalidRequestError, SweepForecast
from presence_async.forecast import forecast, sweep_seconds


def forecast_of(users: Any, interval: Any = None, **options: Any) -> SweepForecast:
    """A forecast under the vendor's usual budget."""
    usual: dict[str, Any] = {
        "budget": 300,
        "latency": 0.25,
        "concurrency": 16,
        "pacing": "even",
    }
    return forecast(users, interval, **(usual | options))


@pytest.mark.parametrize(
    ("users", "requests"), [(0, 0), (1, 1), (50, 1), (51, 2), (150_000, 3000), (["a"] * 120, 3)]
)
def test_fifty_users_go_into_a_request(users: Any, requests: int):
    """Users are a number or a collection."""
    assert forecast_of(users).requests == requests


def test_a_sweep_within_the_budget_takes_as_long_as_its_answers():
    """Ten requests sixteen at a time: one latency. A hundred: seven."""
    assert forecast_of(0).shortest_sweep == 0.0
    assert forecast_of(500).shortest_sweep == 0.25
    assert forecast_of(5000).shortest_sweep == 7 * 0.25


def test_a_sweep_beyond_the_budget_takes_turns_of_it():
    """A permit comes back 61 s after its answer; spread evenly the last turn is a whole one."""
    assert forecast_of(150_000).shortest_sweep == pytest.approx(2999 * 61.25 / 300 + 0.25)
    burst = forecast_of(150_000, pacing="burst").shortest_sweep
    assert burst == pytest.approx(9 * 61.25 + 19 * 0.25)


def test_few_requests_at_a_time_may_be_slower_than_the_budget():
    """One at a time, each takes its latency."""
    assert forecast_of(150_000, concurrency=1).shortest_sweep == 750.0
    assert forecast_of(150_000, concurrency=1).shortest_interval == 750.0
    assert forecast_of(150_000, 60, concurrency=1).most_users == 12_000


def test_an_interval_that_can_be_met():
    """20,000 users every two minutes under the usual share of polling."""
    result = forecast_of(20_000, 120, budget=240)
    assert result.requests == 400
    assert result.shortest_interval == pytest.approx(400 * 61.25 / 240)
    assert result.meets_interval is True
    assert result.requests_per_month == 8_640_000
    assert result.budget_used == pytest.approx(400 * 61.25 / 240 / 120)
    assert str(result) == (
        "a sweep of 20,000 users takes 400 requests and 102.1 s or more with 240 requests a "
        "minute; every 120 s that is 8,640,000 requests a month and 85% of the budget"
    )


def test_an_interval_that_cannot_be_met():
    """It says what would work: a longer interval, or fewer users."""
    result = forecast_of(20_000, 60, budget=240)
    assert result.meets_interval is False
    assert result.budget_used == pytest.approx(1.70, abs=0.01)
    assert result.most_users == 11_750
    assert str(result) == (
        "a sweep of 20,000 users takes 400 requests and 102.1 s or more with 240 requests a "
        "minute; every 60 s that is 17,280,000 requests a month, which cannot be had: sweep "
        "every 103 s or more, or at most 11,750 users"
    )


def test_fewer_users_are_no_way_out_where_nobody_could_be_read():
    """An interval without time for a single request is only to be made longer."""
    result = forecast_of(100, 0.1, budget=240)
    assert result.most_users == 0
    assert str(result).endswith("which cannot be had: sweep every 1 s or more")


def test_without_an_interval_there_is_nothing_about_one():
    """One sweep is one sweep."""
    result = forecast_of(7)
    assert result.meets_interval is None
    assert (result.interval, result.requests_per_month, result.budget_used) == (None, None, None)
    assert result.most_users is None
    assert str(result) == (
        "a sweep of 7 users takes 1 request and 0.2 s or more with 300 requests a minute"
    )
    assert str(forecast_of(1, budget=1)).startswith("a sweep of 1 user takes 1 request and")


def test_before_anything_is_measured_a_usual_latency_is_taken():
    """0.25 s; what was measured counts, be it nothing."""
    assert forecast_of(50, latency=None).shortest_sweep == 0.25
    assert forecast_of(5000, 60, latency=0.0).shortest_sweep == 0.0
    assert forecast_of(5000, 60, latency=0.0).most_users == 14_750


@given(
    users=st.integers(0, 10**7),
    interval=st.floats(0.001, 2_592_000),
    budget=st.integers(1, 3000),
    latency=st.floats(0, 30),
    concurrency=st.integers(1, 500),
)
def test_what_it_proposes_works(
    users: int, interval: float, budget: int, latency: float, concurrency: int
):
    """The shortest interval can be met, and so can the most users at the interval asked for."""
    options: dict[str, Any] = {"budget": budget, "latency": latency, "concurrency": concurrency}
    result = forecast_of(users, interval, **options)
    assert result.meets_interval == (result.budget_used <= 1 and result.meets_interval)
    if 0.001 <= result.shortest_interval <= 2_592_000:
        assert forecast_of(users, result.shortest_interval, **options).meets_interval
    assert result.most_users is not None
    if result.most_users:
        shortest = forecast_of(result.most_users, **options).shortest_interval
        assert shortest <= interval * (1 + 1e-9)
    assert str(result)


def test_the_sweep_of_a_crowd_of_unknown_size_is_bound_by_the_budget():
    """Without a concurrency only the budget counts."""
    assert sweep_seconds(600, budget=300, latency=0.5, pacing="burst") == 62.0


@pytest.mark.parametrize("users", [-1, 1.5, True, None, "abc", b"abc", 10**400, iter([])])
def test_users_that_are_no_number_and_no_collection_are_refused(users: Any):
    """`field` says which argument it is."""
    with pytest.raises(InvalidRequestError, match="whole number from 0 or a collection") as caught:
        forecast_of(users)
    assert caught.value.field == "users"


@pytest.mark.parametrize("interval", [0, -5, True, "60", float("nan"), float("inf"), 10**400, 1e-9])
def test_an_interval_that_is_none_is_refused(interval: Any):
    """From a millisecond to a month."""
    with pytest.raises(InvalidRequestError, match=r"seconds from 0\.001 to 30 days") as caught:
        forecast_of(5, interval)
    assert caught.value.field == "interval"
