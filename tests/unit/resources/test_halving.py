"""The search for bad rows, by halves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import clock
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from presence_async.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PresenceError,
    ServerError,
)
from presence_async.resources._halving import Halving

if TYPE_CHECKING:
    from collections.abc import Sequence


class Vendor:
    """Refuses a request that holds a bad row, and counts."""

    def __init__(self, *bad: int, error: type[PresenceError] = InvalidRequestError) -> None:
        self.bad = set(bad)
        self.error = error
        self.asked: list[Sequence[int]] = []
        self.halving: Halving[int, Any] = Halving(self.attempt, lambda row, error: (row, error))

    async def attempt(self, rows: Sequence[int]) -> Sequence[Any] | PresenceError:
        """One request."""
        self.asked.append(rows)
        if self.bad.intersection(rows):
            return self.error(f"bad {sorted(self.bad.intersection(rows))}")
        return [(row, None) for row in rows]

    async def outcomes(self, rows: Sequence[int]) -> list[Any]:
        """Rows and what went wrong with them, in words."""
        found = await self.halving.outcomes(rows)
        return [(row, error and error.message) for row, error in found]


async def test_good_rows_are_one_request() -> None:
    """Nothing is split that is not refused."""
    vendor = Vendor()
    assert await vendor.outcomes(range(50)) == [(row, None) for row in range(50)]
    assert len(vendor.asked) == 1


@pytest.mark.parametrize("bad", [0, 1, 24, 25, 36, 49])
@pytest.mark.parametrize("error", [InvalidRequestError, NotFoundError])
async def test_one_bad_row_costs_twelve_requests(bad: int, error: type[PresenceError]) -> None:
    """And none of the other forty-nine."""
    vendor = Vendor(bad, error=error)
    found = await vendor.outcomes(range(50))
    assert found == [(row, f"bad [{bad}]" if row == bad else None) for row in range(50)]
    assert len(vendor.asked) <= 1 + 12


@pytest.mark.parametrize("error", [ServerError, ConflictError])
async def test_what_is_no_refusal_is_not_split(error: type[PresenceError]) -> None:
    """An outage is about the request and not about a row."""
    vendor = Vendor(3, error=error)
    assert await vendor.outcomes(range(50)) == [(row, "bad [3]") for row in range(50)]
    assert len(vendor.asked) == 1


async def test_a_request_that_is_always_refused_is_given_up() -> None:
    """When row after row is refused and nothing was ever accepted, it is not the rows."""
    vendor = Vendor(*range(500))
    for start in range(0, 500, 50):
        found = await vendor.outcomes(range(start, start + 50))
        assert all(message is not None for _, message in found)
    assert len(vendor.asked) == 10 + 16


async def test_what_was_accepted_once_is_split_ever_after() -> None:
    """A request that was right before is right now: only rows can be at fault."""
    vendor = Vendor(*range(50, 100))
    await vendor.outcomes(range(50))
    found = await vendor.outcomes(range(50, 100))
    assert [message for _, message in found] == [f"bad [{row}]" for row in range(50, 100)]


async def test_both_halves_not_found_are_handed_over() -> None:
    """Who reads may know another way."""
    vendor = Vendor(0, 49, error=NotFoundError)

    async def singly(rows: Sequence[int]) -> Sequence[Any]:
        return [(row, None) for row in rows]

    halving: Halving[int, Any] = Halving(vendor.attempt, lambda *_: None, not_found=singly)
    assert await halving.outcomes(range(50)) == [(row, None) for row in range(50)]
    assert len(vendor.asked) == 3


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 50), st.sets(st.integers(0, 49), max_size=4))
@example(2, {0, 1})
@example(3, {0, 1})
@example(3, {0, 2})
@example(4, {0, 1, 2})
@example(50, {0, 24, 25, 49})
def test_every_row_gets_its_own_verdict(size: int, bad: set[int]) -> None:
    """Up to four bad rows: exactly they fail, in order, each with a refusal that names it."""
    vendor = Vendor(*bad)
    found = clock.run(vendor.outcomes(range(size)))
    assert [row for row, _ in found] == list(range(size))
    refused = {row: message for row, message in found if message}
    assert refused.keys() == {row for row in bad if row < size}
    assert len(vendor.asked) <= 1 + 12 * max(1, len(refused))
