"""Jobs in real processes that are killed, again and again, with SIGKILL."""

from __future__ import annotations

import pytest

from benchmarks.kills import killed

pytestmark = pytest.mark.real_loop


async def test_killed_at_random_instants_nothing_is_lost() -> None:
    """Settled: everybody is where he should be, and nobody was sent twice in vain.

    `benchmarks.kills` kills a job of 100,000 fifty times.
    """
    found = await killed(items=1500, kills=4, seed=1)
    assert found.kills == 4
    assert (found.wrong, found.without, found.unmarked) == (0, 0, 0)
    assert set(found.statuses) <= {"applied", "unchanged"}
    assert found.applied_twice == 0


async def test_killed_without_settling_few_chunks_are_repeated() -> None:
    """As many after a kill as are sent at a time, each item marked."""
    found = await killed(items=1000, kills=3, settle=False, concurrency=3, seed=2)
    assert (found.wrong, found.without, found.unmarked) == (0, 0, 0)
    assert found.marked > 0  # the kills did strike something
    assert found.most_again <= 3
    assert found.chunks_again <= 3 * 3
