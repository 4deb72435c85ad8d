"""`BulkUpdateJob` on the simulator: starting, starting again, undoing, and what it refuses."""

# ruff: noqa: ASYNC240  # small files

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from support import client_for

from presence_async import (
    BulkUpdateJob,
    ClosedError,
    ConfigurationError,
    InvalidRequestError,
    JobOutcome,
    JournalError,
    JournalLockedError,
    MutableUserPresence,
    PresenceDefinition,
    Progress,
    RateLimitedError,
)
from presence_async.simulator import BUILT_IN_IDS, Fault

if TYPE_CHECKING:
    from pathlib import Path

    from presence_async import PresenceClient
    from presence_async.simulator import Simulator

pytestmark = pytest.mark.real_loop

UPDATE = "PUT /api/v2/users/presences/bulk"
READ = "GET /api/v2/users/presences/purecloud/bulk"
BUSY, MEAL = BUILT_IN_IDS["Busy"], BUILT_IN_IDS["Meal"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is to be."""
    return tmp_path / "moves.journal"


def moves(sim: Simulator, to: str = BUSY) -> list[tuple[str, str]]:
    """Everybody."""
    return [(user_id, to) for user_id in sim.user_ids]


def job_of(client: PresenceClient, *args: Any, **options: Any) -> BulkUpdateJob:
    """A job that settles at once."""
    return BulkUpdateJob(client, *args, **({"settling_time": 0.05} | options))


def on(sim: Simulator, definition: str) -> int:
    """How many users are on it."""
    return sum(sim.organization.presence(user).definition_id == definition for user in sim.user_ids)


async def statuses(job: BulkUpdateJob) -> dict[str, int]:
    """How often each."""
    return dict(Counter([outcome.status async for outcome in job.outcomes()]))


async def test_a_job_from_start_to_end(sim: Simulator, client: PresenceClient, path: Path) -> None:
    """Everybody is moved, told and counted; afterwards there is one file, and nothing to do."""
    told: list[JobOutcome] = []
    reports: list[Progress] = []
    async with job_of(client, path, moves(sim)) as job:
        assert (job.summary.planned, job.summary.total) == (120, 120)
        summary = await job.run(on_outcome=told.append, on_progress=reports.append)
        assert summary == job.summary
        assert (summary.applied, summary.finished) == (120, True)
        assert await statuses(job) == {"applied": 120}
        assert "moves.journal open" in repr(job)
    assert on(sim, BUSY) == 120
    assert sorted(outcome.number for outcome in told) == [*range(120)]
    assert [report.done for report in reports][0::3] == [0, 120]
    assert {(report.total, report.failed) for report in reports} == {(120, 0)}
    assert (sim.count(READ), sim.count(UPDATE)) == (3, 3)
    assert [file.name for file in path.parent.iterdir()] == ["moves.journal"]
    assert job.summary.applied == 120
    async with job_of(client, path, moves(sim)) as job:
        assert (await job.run()).applied == 120
    assert sim.count(UPDATE) == 3


async def test_it_goes_on_without_the_items_too(
    sim: Simulator, client: PresenceClient, path: Path
) -> None:
    """The journal knows them; it counts from where it was."""
    async with job_of(client, path, moves(sim)):
        pass
    reports: list[Progress] = []
    async with job_of(client, path) as job:
        assert (await job.run(on_progress=reports.append)).applied == 120
    assert reports[0].done == 0
    async with job_of(client, path) as job:
        await job.run(on_progress=reports.append)
    assert reports[-1].done == 120


async def test_a_journal_is_for_its_items(
    sim: Simulator, client: PresenceClient, path: Path
) -> None:
    """Others, fewer, or in another order: refused, and nothing is touched or sent."""
    async with job_of(client, path, moves(sim)):
        pass
    before = path.read_bytes()
    for items in (moves(sim, MEAL), moves(sim)[1:], moves(sim)[::-1]):
        with pytest.raises(JournalError, match="was made for other items"):
            async with job_of(client, path, items):
                pass
    assert path.read_bytes() == before
    with pytest.raises(JournalError, match=r"there is no journal .*, and there are no items"):
        async with job_of(client, path.with_name("none")):
            pass
    assert sim.count(UPDATE) == sim.count(READ) == 0


async def test_a_bad_item_leaves_no_journal(client: PresenceClient, path: Path) -> None:
    """It is found before anything is made; the job is closed."""
    job = job_of(client, path, [("", BUSY)])
    with pytest.raises(InvalidRequestError) as refused:
        await job.__aenter__()
    assert refused.value.field == "items[0][0]"
    assert not path.exists()
    with pytest.raises(ClosedError, match="the job is closed; it is entered once"):
        await job.__aenter__()


async def test_one_job_at_a_time(sim: Simulator, client: PresenceClient, path: Path) -> None:
    """A second one is told so, and the first does not mind."""
    async with job_of(client, path, moves(sim)) as job:
        with pytest.raises(JournalLockedError):
            async with job_of(client, path):
                pass
        assert (await job.run()).applied == 120


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"settling_time": -1}, "settling_time"),
        ({"concurrency": 0}, "concurrency"),
        ({"journal": 7}, "journal"),
        ({"journal": "x\0"}, "journal"),
        ({"undo": 7, "items": None}, "undo"),
        ({"undo": "other"}, "undo"),
    ],
)
async def test_arguments(client: PresenceClient, arguments: dict[str, Any], field: str) -> None:
    """They are checked at once."""
    with pytest.raises(InvalidRequestError) as refused:
        BulkUpdateJob(client, **({"journal": "x", "items": []} | arguments))
    assert refused.value.field == field


async def test_without_the_driver(client: PresenceClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "aiosqlite", None)
    with pytest.raises(ConfigurationError, match=r"pip install presence_async\[jobs\]"):
        BulkUpdateJob(client, "x")


async def test_it_is_used_inside_its_block(client: PresenceClient, path: Path) -> None:
    """Before and after it, it says so."""
    job = job_of(client, path, [])
    with pytest.raises(ClosedError, match="use it inside `async with`"):
        _ = job.summary
    with pytest.raises(ClosedError, match="use it inside `async with`"):
        job.dry_run()
    await job.aclose()
    async with job:
        assert (await job.run()).finished
    with pytest.raises(ClosedError, match="the job is closed"):
        await job.run()


async def test_a_dry_run_in_memory(sim: Simulator, client: PresenceClient, path: Path) -> None:
    """Says what would change; only reads are sent, and there is no file."""
    sim.organization.set_presence(sim.user_ids[0], definition_id=BUSY)
    reports: list[Progress] = []
    async with job_of(client, None, moves(sim)) as job:
        found = await job.dry_run(on_progress=reports.append)
        with pytest.raises(JournalError, match="can be run dry only"):
            await job.run()
    assert Counter(outcome.status for outcome in found) == {"change": 119, "unchanged": 1}
    assert [outcome.number for outcome in found] == [*range(120)]
    assert (reports[-1].done, reports[-1].total) == (120, 120)
    assert (sim.count(READ), sim.count(UPDATE)) == (3, 0)
    assert list(path.parent.iterdir()) == []


async def test_failed_items_are_done_again(
    sim: Simulator, client: PresenceClient, path: Path
) -> None:
    """The rejected are sent again, the unknown settled first; the others are left alone."""
    sim.faults.add(Fault(route=UPDATE, status=403))
    sim.faults.add(Fault(route=UPDATE, drop="after"))
    async with job_of(client, path, moves(sim), concurrency=1, settle=False) as job:
        summary = await job.run()
        assert (summary.rejected, summary.unknown, summary.applied) == (50, 50, 20)
        assert summary.failed == 100
        assert [one.error.status async for one in job.outcomes() if one.status == "rejected"] == (
            [403] * 50
        )
    async with job_of(client, path) as job:
        summary = await job.retry_failed()
    assert (summary.applied, summary.repeated) == (120, 0)
    assert sim.count(UPDATE) == 4
    assert on(sim, BUSY) == 120


async def test_a_retry_that_is_refused_gives_up_no_outcome(
    sim: Simulator, client: PresenceClient, path: Path
) -> None:
    """Neither for a bad argument, nor while the job runs."""
    sim.faults.add(Fault(route=UPDATE, status=403))
    async with job_of(client, path, moves(sim), concurrency=1) as job:
        await job.run()
        with pytest.raises(InvalidRequestError):
            await job.retry_failed(on_outcome=3)  # type: ignore[arg-type]
        assert job.summary.rejected == 50
        job.pause()
        running = asyncio.ensure_future(job.retry_failed())
        await asyncio.sleep(0.1)
        assert (job.summary.rejected, job.summary.planned) == (0, 50)
        with pytest.raises(ClosedError, match="runs already"):
            await job.retry_failed()
        job.resume()
        assert (await running).applied == 120


@pytest.mark.parametrize("name", ["link", "dangling", "file:moves", ":memory:"])
async def test_any_name_will_do(
    sim: Simulator,
    client: PresenceClient,
    path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A link is what it leads to, and nothing is taken for an address of SQLite's."""
    monkeypatch.chdir(path.parent)
    if name in ("link", "dangling"):
        path.with_name(name).symlink_to(path)
    if name == "link":
        async with job_of(client, path, moves(sim)):
            pass
    async with job_of(client, name, moves(sim)) as job:
        assert (await job.run()).applied == 120
    async with job_of(client, name) as job:
        assert job.summary.applied == 120


async def test_a_job_is_taken_back(sim: Simulator, client: PresenceClient, path: Path) -> None:
    """Everybody is where he was, but for who has moved on; with a journal of its own."""
    mine, moved = sim.user_ids[0], sim.user_ids[1]
    sim.organization.set_presence(mine, definition_id=MEAL, message="lunch")
    async with job_of(client, path, moves(sim)) as job:
        await job.run()
    sim.organization.set_presence(moved, definition_id=BUILT_IN_IDS["Break"])
    undo = path.with_name("undo.journal")
    async with job_of(client, None, undo=path) as job:
        found = await job.dry_run()
    assert Counter(one.status for one in found) == {"change": 119, "superseded": 1}
    async with job_of(client, undo, undo=path) as job:
        summary = await job.run()
    assert (summary.applied, summary.superseded) == (119, 1)
    assert sim.organization.presence(mine).definition_id == MEAL
    assert sim.organization.presence(mine).message == "lunch"
    assert sim.organization.presence(moved).definition_id == BUILT_IN_IDS["Break"]
    assert on(sim, BUSY) == 0
    async with job_of(client, undo, undo=path) as job:
        assert job.summary.finished
    with pytest.raises(JournalError, match="No such file"):
        async with job_of(client, None, undo=path.with_name("none")):
            pass


async def test_a_spent_budget_stops_the_job(
    sim: Simulator, client: PresenceClient, path: Path
) -> None:
    """It says when to come back; nothing is lost, and so far can be taken back."""
    sim.faults.add(Fault(route=UPDATE, skip=1, status=429, retry_after=3600))
    async with job_of(client, path, moves(sim), concurrency=1) as job:
        with pytest.raises(RateLimitedError) as spent:
            await job.run()
        assert spent.value.retry_after == 3600
        assert (job.summary.applied, job.summary.planned) == (50, 70)
        assert await statuses(job) == {"applied": 50}
    async with job_of(client, None, undo=path) as job:
        assert job.summary.total == 50
    async with client_for(sim) as later, job_of(later, path) as job:
        assert (await job.run()).applied == 120


async def test_other_kinds_of_items(sim: Simulator, client: PresenceClient, path: Path) -> None:
    """Rows, names of system presences, from an async iterator; other sources."""
    first, second, third = sim.user_ids[:3]

    async def items() -> Any:
        yield first, "Meal"
        yield MutableUserPresence(
            id=second, source="Desk", presence_definition=PresenceDefinition(id=BUSY)
        )
        yield MutableUserPresence(id=third, message="x")

    async with job_of(client, path, items()) as job:
        assert (await job.run()).applied == 3
        found = [outcome async for outcome in job.outcomes()]
    assert [outcome.source for outcome in found] == ["PURECLOUD", "Desk", "PURECLOUD"]
    assert found[1].before is None
    assert sim.organization.presence(second, "Desk").definition_id == BUSY


async def test_paused_it_waits(sim: Simulator, client: PresenceClient, path: Path) -> None:
    """`run` goes on waiting, with nothing in flight, until it is resumed."""
    async with job_of(client, path, moves(sim), concurrency=1) as job:
        running = asyncio.ensure_future(job.run(on_progress=lambda progress: _pause(job, progress)))
        while job.summary.done < 50:  # noqa: ASYNC110  # real time, another thread
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.1)
        assert job.paused
        assert (job.summary.done, job.summary.in_flight, job.summary.planned) == (50, 0, 70)
        assert not running.done()
        with pytest.raises(ClosedError, match="the job runs already"):
            await job.run()
        with pytest.raises(ClosedError, match="the job runs already"):
            await job.retry_failed()
        job.resume()
        assert (await running).applied == 120
        assert not job.paused


def _pause(job: BulkUpdateJob, progress: Progress) -> None:
    if progress.done == 50:
        job.pause()


@pytest.mark.parametrize("ending", ["cancelled", "client closed", "job closed"])
async def test_ended_in_flight_it_goes_on(sim: Simulator, path: Path, ending: str) -> None:
    """The journal is clean: what was in flight is known, found out about, and not repeated."""
    sim.faults.add(Fault(route=UPDATE, delay=0.3, times=3))
    async with client_for(sim) as client, job_of(client, path, moves(sim)) as job:
        running = asyncio.ensure_future(job.run())
        while sim.count(UPDATE) < 3:  # noqa: ASYNC110  # real time, another thread
            await asyncio.sleep(0.001)
        if ending == "cancelled":
            running.cancel()
        else:
            await (client if ending == "client closed" else job).aclose()
        with pytest.raises(asyncio.CancelledError if ending == "cancelled" else ClosedError):
            await running
        assert job.summary.planned == 0
        assert job.summary.in_flight == 120
    async with client_for(sim) as client, job_of(client, path, settling_time=0.5) as job:
        assert job.summary.in_flight == 120
        summary = await job.run()
    assert (summary.applied, summary.repeated) == (120, 0)
    assert sim.count(UPDATE) == 3


async def test_a_full_disk_ends_the_run(sim: Simulator, client: PresenceClient, path: Path) -> None:
    """Nothing is half-written, and the next run goes on."""
    async with job_of(client, path, moves(sim)) as job:
        pages = await job._journal._database.read("PRAGMA page_count")
        await job._journal._database.read(f"PRAGMA max_page_count = {pages[0][0]}")
        with pytest.raises(JournalError, match="is full"):
            await job.run()
        assert job.summary.done < 120
    async with job_of(client, path) as job:
        assert (await job.run()).applied == 120
    assert on(sim, BUSY) == 120


@pytest.mark.parametrize("turns", range(0, 60, 6))
async def test_cancelled_while_it_is_opened(
    sim: Simulator, client: PresenceClient, path: Path, turns: int
) -> None:
    """There is a whole journal or none, and nothing is left open."""

    async def enter() -> None:
        async with job_of(client, path, moves(sim)):
            await asyncio.sleep(60)

    entering = asyncio.ensure_future(enter())
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert {file.name for file in path.parent.iterdir()} <= {"moves.journal"}
    async with job_of(client, path, moves(sim)) as job:
        assert (await job.run()).applied == 120


async def test_a_callback_that_fails_is_logged(
    sim: Simulator, client: PresenceClient, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And the job goes on. One that cannot be called is refused."""

    def fail(outcome: JobOutcome) -> None:
        raise LookupError(outcome.user_id)

    async with job_of(client, path, moves(sim)) as job:
        with pytest.raises(InvalidRequestError):
            await job.run(on_outcome=3)  # type: ignore[arg-type]
        with caplog.at_level(logging.ERROR, "presence_async.jobs"):
            assert (await job.run(on_outcome=fail)).applied == 120
    assert [record.message for record in caplog.records] == ["on_outcome failed"] * 120


async def test_outcomes_are_exported(sim: Simulator, client: PresenceClient, path: Path) -> None:
    """In both forms, those that there are."""
    file = io.StringIO(newline="")
    async with job_of(client, path, moves(sim)) as job:
        assert await job.export(file) == 0
        await job.run()
        assert await job.export(file, "jsonl") == 120
        with pytest.raises(InvalidRequestError):
            await job.export(file, "xlsx")  # type: ignore[arg-type]
    header, *lines = file.getvalue().splitlines()
    assert header.startswith("number,user_id,source,status")
    assert [json.loads(line)["user_id"] for line in lines] == list(sim.user_ids)
