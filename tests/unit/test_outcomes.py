"""Outcomes of items, and how far a fan-out has come."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from presence_async.errors import InvalidRequestError
from presence_async.outcomes import Outcome, Progress, Tally, tally_of

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_outcome() -> None:
    """`unwrap` gives the value or raises the error."""
    assert Outcome(1, "x").ok
    assert Outcome(1, "x").unwrap() == "x"
    failed: Outcome[int, str] = Outcome(1, error=LookupError("no"))
    assert not failed.ok
    with pytest.raises(LookupError, match="no"):
        failed.unwrap()


def test_progress_is_a_value() -> None:
    """It can be kept and compared, and does not change."""
    report = Progress(done=1, total=2, failed=0, seconds=0.5)
    assert report == Progress(1, 2, 0, 0.5)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        report.done = 2  # type: ignore[misc]


async def test_a_tally_counts_outcomes_and_failures() -> None:
    """Every report is whole: what is done, what failed, the total, the time."""
    reports: list[Progress] = []
    tally = Tally(reports.append, 6)
    tally.start(asyncio.get_running_loop())
    await asyncio.sleep(2)
    tally.add([Outcome(1, "x"), Outcome(2, error=LookupError())])
    tally.fewer(1)
    tally.fewer(0)
    tally.add([])
    assert reports == [
        Progress(0, 6, 0, 0.0),
        Progress(2, 6, 1, 2.0),
        Progress(2, 5, 1, 2.0),
    ]


async def test_somebody_else_may_count() -> None:
    """Counts given before the start are where the reports begin."""
    reports: list[Progress] = []
    tally = Tally(reports.append, 6)
    tally.counted(2, 1)
    assert reports == []
    tally.start(asyncio.get_running_loop())
    tally.counted(4, 1)
    assert reports == [Progress(2, 6, 1, 0.0), Progress(4, 6, 1, 0.0)]


async def test_an_unknown_total_stays_unknown() -> None:
    """Nothing is taken off from what nobody counted."""
    reports: list[Progress] = []
    tally = Tally(reports.append, None)
    tally.fewer(3)
    tally.start(asyncio.get_running_loop())
    assert [report.total for report in reports] == [None]


async def test_a_callback_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It disturbs nobody, and is called again."""
    calls: list[Progress] = []

    def failing(progress: Progress) -> None:
        calls.append(progress)
        raise ZeroDivisionError("mine")

    tally = Tally(failing, 1)
    with caplog.at_level(logging.ERROR, "presence_async.fanout"):
        tally.start(asyncio.get_running_loop())
        tally.add([Outcome(1, "x")])
    assert [call.done for call in calls] == [0, 1]
    assert [record.message for record in caplog.records] == [
        "on_progress failed at 0 of 1",
        "on_progress failed at 1 of 1",
    ]
    assert "ZeroDivisionError: mine" in caplog.text


def numbers() -> Iterator[int]:
    """An iterable that cannot be counted."""
    yield from range(3)


@pytest.mark.parametrize(
    ("items", "total"),
    [([1, 2], 2), (range(5), 5), ({"a"}, 1), (numbers(), None), (iter([1]), None)],
)
async def test_the_total_is_known_of_what_has_a_length(items: Any, total: int | None) -> None:
    """Of a generator it is not."""
    reports: list[Progress] = []
    tally = tally_of(reports.append, items)
    assert tally is not None
    tally.start(asyncio.get_running_loop())
    assert reports[0].total == total


def test_no_callback_no_tally() -> None:
    """Who does not ask pays nothing."""
    assert tally_of(None, [1]) is None


async def _waiting(progress: Progress) -> None:
    """Would never be awaited."""


@pytest.mark.parametrize("bad", [5, "print", _waiting])
def test_the_callback_is_checked(bad: Any) -> None:
    """It is a plain function, or the call fails before it begins."""
    with pytest.raises(InvalidRequestError) as caught:
        tally_of(bad, [1])
    assert caught.value.field == "on_progress"
