"""The accounting of permits, against a model of single permits."""

from __future__ import annotations

import heapq

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async.ledger import AGAIN, Ledger, share_of

BACK = 61.0  # seconds from an answer to the permit
LOST = 65.0  # seconds from giving up to the permit


@attrs.define
class _ModelOfLedger:
    """Every permit by itself: the moment it comes back, or in flight."""

    limit: int
    in_flight: int = 0
    back: list[float] = attrs.field(factory=list)

    def free(self, at: float) -> int:
        return self.limit - self.in_flight - sum(moment > at for moment in self.back)

    def moment(self, position: int, at: float, not_before: float) -> float:
        """Serve `position` + 1 waiters, one after the other; when was the last one's turn?"""
        moments = [moment for moment in self.back if moment > at]
        moments += [at] * self.free(at) + [at + BACK] * self.in_flight
        heap = [max(moment, not_before) for moment in moments]
        heapq.heapify(heap)
        served = 0.0
        for _ in range(position + 1):
            served = heap[0]
            heapq.heapreplace(heap, served + BACK)
        return served

    def spread(self, at: float, not_before: float) -> float:
        moments = [max(moment, not_before) for moment in self.back if moment > at]
        moments += [max(at, not_before)] * (self.free(at) > 0)
        moments += [max(at + BACK, not_before)] * (self.in_flight > 0)
        return max(moments) - min(moments)


@given(
    limit=st.integers(1, 6),
    steps=st.lists(
        st.tuples(st.sampled_from(["take", "answered", "lost", "unused"]), st.integers(0, 70)),
        max_size=40,
    ),
    pause=st.integers(-10, 150),
)
@settings(max_examples=300, deadline=None)
def test_the_ledger_agrees_with_a_model_of_single_permits(
    limit: int, steps: list[tuple[str, int]], pause: int
):
    """Free permits are counted exactly, and the forecast is the moment of a replay."""
    ledger, model, at = Ledger(limit), _ModelOfLedger(limit), 1000.0
    for step, seconds in steps:
        at += seconds / 4
        assert ledger.free(at) == model.free(at)
        if step == "take" and model.free(at) > 0:
            ledger.take()
            model.in_flight += 1
        elif step != "take" and model.in_flight:
            getattr(ledger, step)(*() if step == "unused" else (at,))
            model.in_flight -= 1
            model.back += {"answered": [at + BACK], "lost": [at + LOST]}.get(step, [])
        assert ledger.in_flight == model.in_flight
        forecast = ledger.forecast(at, at + pause, 3 * limit + 2)
        assert ledger.soonest(at, at + pause) == pytest.approx(forecast[0], abs=1e-6)
        for position in range(3 * limit + 2):
            exact = model.moment(position, at, at + pause)
            if position < limit or model.spread(at, at + pause) <= BACK:
                assert forecast[position] == pytest.approx(exact, abs=1e-6)
            else:  # later rounds behind a lost request: never too late
                assert forecast[position] <= exact + 1e-6


def test_a_limit_that_is_none_costs_no_memory():
    """A limit of a billion is counted without a list of a billion permits."""
    ledger = Ledger(1_000_000_000)
    ledger.take()
    ledger.lost(0.0)
    assert ledger.forecast(0.0, 7.0, 2)[1] == 7.0
    assert ledger.free(0.0) == 999_999_999


def test_the_ledger_forgets_permits_that_have_come_back():
    """Memory is in proportion to the limit, not to the requests made."""
    ledger = Ledger(3)
    for second in range(0, 10_000, 61):
        for _ in range(3):
            assert ledger.free(second) > 0
            ledger.take()
            ledger.answered(second)
    assert len(ledger._answered) == 3


def test_the_second_of_margin_is_the_documented_one():
    """60 s and 1 s after an answer."""
    assert AGAIN == BACK


@pytest.mark.parametrize(
    ("limit", "share", "expected"),
    [(300, 0.8, 240), (300, 1, 300), (10, 0.7, 7), (100, 0.29, 29), (10, 0.79, 7), (1, 0.01, 1)],
)
def test_a_share_is_rounded_down_to_whole_requests(limit: int, share: float, expected: int):
    """But it is never less than one, nor more than there are."""
    assert share_of(limit, share) == expected


def test_the_share_of_a_limit_that_is_none_fits_into_it():
    """However the number is rounded as a float."""
    assert share_of(2**63 - 1, 1.0) == 2**63 - 1


# -- the gap that spreads what is left


def test_the_gap_of_a_whole_budget_is_even():
    """Nothing spent yet: the budget lasts until its first permit is back."""
    assert Ledger(300).gap(1000.0) == pytest.approx(61 / 300)


def test_the_gap_spreads_what_is_left_until_a_permit_comes_back():
    """200 of 300 spent at once: what is left lasts for the rest of their minute."""
    ledger = Ledger(300)
    for _ in range(200):
        ledger.take()
        ledger.answered(1000.0)
    assert ledger.gap(1011.0) == pytest.approx(50 / 100)
    # A lost one is later: it changes nothing. Behind them it is the next to come.
    ledger.take()
    ledger.lost(1011.0)
    assert ledger.gap(1011.0) == pytest.approx(50 / 99)
    assert ledger.gap(1061.5) == pytest.approx(max(0.2, 14.5 / 299))


def test_with_nothing_left_the_gap_is_that_of_the_whole_budget():
    """There is nothing to spread; the pace stays even for what comes back."""
    ledger = Ledger(2)
    for _ in range(2):
        ledger.take()
    assert ledger.gap(1000.0) == 30.0


@given(
    limit=st.integers(1, 40),
    spent=st.lists(st.integers(0, 60), max_size=40),
    at=st.integers(0, 60),
)
@settings(max_examples=200, deadline=None)
def test_what_is_left_lasts_until_a_permit_is_back(limit: int, spent: list[int], at: int):
    """Sent one gap apart, the last permit that is left goes when the next one comes, or later."""
    ledger = Ledger(limit)
    moments = sorted(min(moment, at) for moment in spent[:limit])
    for moment in moments:
        ledger.take()
        ledger.answered(1000.0 + moment)
    free, gap = ledger.free(1000.0 + at), ledger.gap(1000.0 + at)
    back = 1000.0 + (moments[0] if moments else at) + BACK
    assert gap >= 60 / limit
    assert free == 0 or 1000.0 + at + free * gap >= back - 1e-6
