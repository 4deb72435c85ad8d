"""Verdicts, backoff and budget: every case, and properties of the numbers."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from presence_async import routes
from presence_async.retry import BACKOFF_CAP, RetryBudget, backoff, may_repeat, outcome_open
from presence_async.routes import ALL_ROUTES, TOKEN, Route

# GET, HEAD, DELETE, PUT of one definition, source, setting or primary source, and subscribing
# (a topic is not there twice) may be repeated; bulk PUT, PATCH and any other POST only when they
# certainly took no effect.
REPEATABLE_WRITES = {
    routes.ADD_SUBSCRIPTIONS,
    routes.REPLACE_SUBSCRIPTIONS,
    routes.REPLACE_DEFINITION,
    routes.REPLACE_LEGACY_DEFINITION,
    routes.REPLACE_SOURCE,
    routes.REPLACE_SETTINGS,
    routes.SET_PRIMARY_SOURCE,
}
HARMLESS = REPEATABLE_WRITES | {
    route for route in ALL_ROUTES if route.method in {"GET", "HEAD", "DELETE"}
}
RETRIED = {408, 429, 502, 503, 504}
STATUSES = range(100, 700)
ROUTES = (*ALL_ROUTES, TOKEN)


def name(route: Route) -> str:
    """An operation as the id of a test."""
    return f"{route.method} {route.template}"


@pytest.mark.parametrize("route", ROUTES, ids=name)
def test_verdict_for_every_route_status_and_fate(route: Route):
    """The whole table: each route with each status, sent or not."""
    for status, sent in itertools.product((None, *STATUSES), (True, False)):
        if status is None:
            expected = route in HARMLESS or not sent
        elif route in HARMLESS:
            expected = status in RETRIED
        else:
            expected = status == 429
        assert may_repeat(route, status=status, sent=sent) is expected, (status, sent)


@pytest.mark.parametrize("route", ROUTES, ids=name)
def test_repeatable_is_exactly_what_does_no_harm_twice(route: Route):
    """Reads, deletes, single PUTs and subscribing always are; bulk PUT, PATCH and POST never."""
    assert route.repeatable is (route in HARMLESS)


@pytest.mark.parametrize("route", ROUTES, ids=name)
def test_outcome_is_open_for_writes_the_server_may_have_done(route: Route):
    """After 408 or any 5xx a write may have taken effect; a read never, a refusal never."""
    for status in STATUSES:
        expected = route.method not in {"GET", "HEAD"} and (status == 408 or status >= 500)
        assert outcome_open(route, status) is expected, status


def test_a_write_that_may_have_happened_is_never_sent_twice():
    """Over all routes and statuses: an open outcome of a write that adds up forbids repeating."""
    for route, status in itertools.product(set(ROUTES) - HARMLESS, STATUSES):
        assert not (outcome_open(route, status) and may_repeat(route, status=status, sent=True))


@given(attempt=st.integers(1, 10**6), chance=st.floats(0, 1, exclude_max=True))
@settings(max_examples=200)
def test_backoff_is_a_share_of_a_doubling_ceiling(attempt: int, chance: float):
    """Full jitter: from nothing up to half a second, doubled each time, never above the cap."""
    ceiling = min(20.0, 0.5 * 2.0 ** min(attempt - 1, 60))
    pause = backoff(attempt, chance)
    assert 0.0 <= pause <= ceiling
    assert pause == pytest.approx(chance * ceiling)


def test_backoff_spans_the_whole_range():
    """Chance alone decides: none of it gives no pause, nearly all of it nearly the ceiling."""
    assert backoff(1, 0.0) == 0.0
    assert [backoff(attempt, 0.5) for attempt in range(1, 8)] == [0.25, 0.5, 1, 2, 4, 8, 10]
    assert backoff(10**9, 1.0) == BACKOFF_CAP


class Budget(RuleBasedStateMachine):
    """Successes and withdrawals in any order, next to exact arithmetic in tenths."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = RetryBudget()
        self.tenths = 200
        self.successes = self.retries = 0

    @rule(times=st.integers(1, 60))
    def succeed(self, times: int) -> None:
        """Some calls succeed."""
        for _ in range(times):
            self.budget.succeeded()
        self.successes += times
        self.tenths = min(200, self.tenths + times)

    @rule(times=st.integers(1, 30))
    def retry(self, times: int) -> None:
        """Some retries are asked for; each is granted exactly when a whole one is there."""
        for _ in range(times):
            granted = self.budget.withdraw()
            assert granted is (self.tenths >= 10)
            self.tenths -= 10 * granted
            self.retries += granted

    @invariant()
    def bounded(self) -> None:
        """Between nothing and its size, and retries at most twenty and a tenth of successes."""
        assert 0.0 <= self.budget.left <= 20.0
        assert self.budget.left == pytest.approx(self.tenths / 10, abs=1e-6)
        assert self.retries <= 20 + self.successes / 10 + 1e-9


TestBudget = Budget.TestCase
TestBudget.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_an_outage_is_not_amplified():
    """With no success at all, twenty retries are made and not one more."""
    budget = RetryBudget()
    assert sum(budget.withdraw() for _ in range(1000)) == 20


def test_ten_successes_pay_for_one_retry():
    """Exactly ten, though ten tenths make a little less than one in floating point."""
    budget = RetryBudget(size=20.0)
    while budget.withdraw():
        pass
    for _ in range(9):
        budget.succeeded()
    assert not budget.withdraw()
    budget.succeeded()
    assert budget.withdraw()
    assert budget.left == 0.0


def test_budget_starts_full_at_any_size():
    """The size is the most it ever holds."""
    budget = RetryBudget(size=2.0, refill=5.0)
    assert budget.left == 2.0
    budget.succeeded()
    assert budget.left == 2.0
    assert budget.withdraw()
    budget.succeeded()
    assert budget.left == 2.0
