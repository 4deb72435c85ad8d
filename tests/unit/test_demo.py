"""The demo: the main job end to end, and what its viewer reads."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

import pytest
from support import client_for

from presence_async.demo import real_demo, simulated_demo
from presence_async.simulator import Fault

if TYPE_CHECKING:
    from presence_async.simulator import Simulator


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


async def test_the_whole_job_fits_one_minute_of_budget() -> None:
    """5,000 users: listed, read, 500 moved, read again and followed, inside 300 requests."""
    out = io.StringIO()
    assert await simulated_demo(5000, out) == 0
    text = out.getvalue()
    assert "users read         5,000 twice" in text
    assert "changes seen       500 of 500" in text
    assert "seen live          12 changes of 500 users" in text
    assert text.count("  Meeting -> ") == 12
    # 50 list + 200 read + 10 write + 1 look-up of Meeting + 3 repeated after a 503, and live:
    # 10 read + a channel + its subscriptions
    assert "requests spent     276; one by one it takes 10,550" in text
    assert "budget left        24 of 300" in text
    assert "0 waits for the budget, 3 retries" in text


async def test_progress_is_a_bar_on_a_terminal() -> None:
    """On a terminal each step redraws one line, which ends at the total."""
    out = Terminal()
    assert await simulated_demo(40, out) == 0
    assert "\r  reading every presence" in out.getvalue()
    assert f"[{'#' * 21}]\n" in out.getvalue()


async def test_no_users_is_no_error() -> None:
    """An empty organization is read completely."""
    out = io.StringIO()
    assert await simulated_demo(0, out) == 0
    assert "users read         0 twice" in out.getvalue()


async def test_real_reads_everyone_and_never_writes(sim: Simulator) -> None:
    """The real run lists and reads; the server sees nothing but GETs."""
    out = io.StringIO()
    assert await real_demo(None, out, partial(client_for, sim)) == 0
    assert "users read         120" in out.getvalue()
    assert {r.method for r in sim.requests if r.path_template != "/oauth/token"} == {"GET"}


async def test_real_reports_missing_and_failed_users(sim: Simulator) -> None:
    """Unknown users are counted apart; failures are listed by kind, and exit code is 1."""
    sim.faults.add(Fault(route="GET /api/v2/users/presences/purecloud/bulk", status=500, skip=1))
    out = io.StringIO()
    ids = ["unknown", *sim.user_ids[:99]]
    assert await real_demo(ids, out, partial(client_for, sim)) == 1
    text = out.getvalue()
    assert "without a presence 1" in text
    assert "failed             50" in text
    assert "50 x ServerError: GET /api/v2/users/presences" in text


async def test_real_says_how_long_it_waited(sim: Simulator) -> None:
    """Waits for the budget are counted and summed."""
    out = io.StringIO()
    connect = partial(client_for, sim, rate_limit=2)
    assert await real_demo(list(sim.user_ids), out, connect) == 0
    assert "1 waits for the budget of 61." in out.getvalue()


@pytest.mark.parametrize("users", [1, 99])
async def test_small_organizations_move_everyone(users: int) -> None:
    """With fewer than 500 users all of them are moved."""
    out = io.StringIO()
    assert await simulated_demo(users, out) == 0
    assert f"changes seen       {users} of {users}" in out.getvalue()
