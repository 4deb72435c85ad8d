"""`bulk-update`: which journal, what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import pytest_asyncio
from unit.cli.test_output import Full
from unit.test_progress import Terminal

from presence_async import cli
from presence_async.cli import bulk_updating
from presence_async.errors import (
    AuthenticationError,
    ConfigurationError,
    JournalError,
    JournalLockedError,
)
from presence_async.simulator import BUILT_IN_IDS, Fault

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from presence_async.simulator import Simulator

# The journal has a thread, and threads need real time.
pytestmark = pytest.mark.real_loop

PUT = "PUT /api/v2/users/presences/bulk"


def options(*words: str) -> Any:
    """Parsed options of a command line."""
    return cli._parser().parse_args(["bulk-update", *words])


class Said(NamedTuple):
    """What one run ended with."""

    code: int
    results: list[dict[str, Any]]
    errors: list[str]

    @property
    def statuses(self) -> list[str]:
        """Of the results."""
        return [one["status"] for one in self.results]


class Site:
    """A simulator, a folder with a file of moves, and runs of the command."""

    def __init__(self, sim: Simulator, sim_file: str, folder: Path, capsys: Any) -> None:
        self.sim = sim
        self.journal = folder / "moves.journal"
        self.folder = folder
        self.file = self.write("moves.csv", sim.user_ids)
        self.connection = ("--simulator", sim_file)
        self._capsys = capsys

    def write(self, name: str, user_ids: Sequence[str], presence: str = "Meal") -> str:
        """A file that moves users."""
        file = self.folder / name
        rows = [f"{user_id},{presence}\n" for user_id in user_ids]
        file.write_text(f"user_id,system_presence\n{''.join(rows)}", encoding="utf-8")
        return str(file)

    async def run(self, *words: str) -> Said:
        """Run it, with the journal."""
        return await self.bare(*words, "--journal", str(self.journal))

    async def bare(self, *words: str) -> Said:
        """Run it."""
        self._capsys.readouterr()
        code = await bulk_updating.run(options(*words, *self.connection))
        said = self._capsys.readouterr()
        results = [json.loads(line) for line in said.out.splitlines()]
        return Said(code, results, said.err.splitlines())

    def said(self) -> list[str]:
        """What a run that raised has said."""
        return str(self._capsys.readouterr().err).splitlines()

    def showing(self, presence: str) -> int:
        """How many users show a presence."""
        organization = self.sim.organization
        shown = [organization.presence(user_id).definition_id for user_id in self.sim.user_ids]
        return shown.count(BUILT_IN_IDS[presence])


def slow(sim: Simulator, skip: int = 0) -> asyncio.Event:
    """From one on, updates take a second; the event says that it has come."""
    struck = asyncio.Event()

    def delay() -> float:
        struck.set()
        return 1.0

    sim.faults.add(Fault(route=PUT, delay=delay, skip=skip, times=None))
    return struck


@pytest_asyncio.fixture
async def site(
    sim: Simulator, sim_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Site:
    """120 users, all to be moved to Meal."""
    return Site(sim, sim_file, tmp_path, capsys)


async def test_everyone_is_moved(site: Site):
    """Each outcome is a line of JSON, and the last line for people is the sum."""
    said = await site.run(site.file)
    assert said.code == 0
    assert site.showing("Meal") == 120
    assert sorted(one["number"] for one in said.results) == list(range(120))
    assert set(said.statuses) == {"applied"}
    assert said.errors[-1] == "120 items: 120 applied"


async def test_a_dry_run_changes_nothing(site: Site):
    """It tells what would be changed, and leaves no journal behind."""
    site.sim.organization.set_presence(site.sim.user_ids[0], BUILT_IN_IDS["Meal"])
    for said in (await site.run(site.file, "--dry-run"), await site.bare(site.file, "--dry-run")):
        assert said.code == 0
        assert sorted(said.statuses) == ["change"] * 119 + ["unchanged"]
        assert said.errors[-1].startswith("nothing was changed; 120 items: ")
    assert site.showing("Meal") == 1
    assert not site.journal.exists()


async def test_a_dry_run_of_what_cannot_be_read(site: Site):
    """What would be rejected is exit code 3."""
    site.sim.faults.add(
        Fault(route="GET /api/v2/users/presences/purecloud/bulk", status=500, times=None)
    )
    said = await site.bare(site.file, "--dry-run")
    assert (said.code, set(said.statuses)) == (3, {"rejected"})


async def test_a_finished_journal_is_not_done_again(site: Site):
    """That would do nothing, and whoever gives the command wants something done."""
    await site.run(site.file)
    with pytest.raises(JournalError, match=r"is finished \(120 items: 120 applied\)"):
        await site.run(site.file)
    for words in ([site.file, "--resume"], ["--resume"]):
        said = await site.run(*words)
        assert (said.code, said.results) == (0, [])
        assert said.errors[-1] == "120 items: 120 applied"


async def test_an_interrupted_job_goes_on(site: Site):
    """The same command finishes it, without --resume, and says how far it was."""
    struck = slow(site.sim, skip=1)
    task = asyncio.create_task(site.run(site.file, "--concurrency", "1"))
    await struck.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(asyncio.CancelledError):
        await task
    stopped = site.said()[-1]
    assert stopped.startswith("stopped; 120 items: ")
    assert "50 applied" in stopped
    assert stopped.endswith("The same command goes on from there")
    site.sim.faults.clear()
    dry = await site.run("--dry-run", "--resume")
    assert 0 < len(dry.results) <= 70
    said = await site.run(site.file, "--settling-time", "0.1")
    assert (said.code, site.showing("Meal")) == (0, 120)
    assert len(said.results) == 70


async def test_what_failed_is_tried_again_on_demand(site: Site):
    """A rejected item is exit code 3; with --retry-failed it is sent again, alone."""
    site.sim.faults.add(Fault(route=PUT, status=403, times=1))
    first = await site.run(site.file, "--concurrency", "1")
    assert (first.code, sorted(set(first.statuses))) == (3, ["applied", "rejected"])
    assert {one["http_status"] for one in first.results} == {403, None}
    assert first.errors[-1] == "120 items: 70 applied, 50 rejected"
    assert (await site.run("--resume")).code == 3
    said = await site.run("--retry-failed")
    assert (said.code, set(said.statuses), len(said.results)) == (0, {"applied"}, 50)


async def test_there_is_nothing_to_retry_or_resume(site: Site):
    """Without a journal there is no job, and none is begun."""
    with pytest.raises(JournalError, match="there is no journal"):
        await site.run(site.file, "--retry-failed")
    for words in (["--resume"], ["--resume", "--dry-run"], ["--undo"]):
        with pytest.raises(JournalError):
            await site.run(*words)
    assert [path.name for path in site.folder.iterdir() if "journal" in path.name] == []


async def test_a_job_is_undone(site: Site):
    """Everyone shows what they showed before; the undo has a journal beside the other one."""
    await site.run(site.file)
    user_id = site.sim.user_ids[0]
    site.sim.organization.set_presence(user_id, BUILT_IN_IDS["Busy"])
    dry = await site.run("--undo", "--dry-run")
    assert sorted(dry.statuses) == ["change"] * 119 + ["superseded"]
    assert site.showing("Meal") == 119
    said = await site.run("--undo")
    assert said.code == 0
    assert (site.showing("Available"), site.showing("Busy")) == (119, 1)
    assert (site.folder / "moves.journal.undo").exists()
    with pytest.raises(JournalError, match=r"moves\.journal\.undo is finished"):
        await site.run("--undo")
    assert (await site.run("--undo", "--resume")).code == 0


@pytest.mark.parametrize("name", ["outcomes.csv", "outcomes.jsonl"])
async def test_outcomes_are_exported(site: Site, name: str):
    """All of them, those of earlier runs too."""
    await site.run(site.file)
    export = site.folder / name
    await site.run("--resume", "--export", str(export))
    text = export.read_text(encoding="utf-8")
    if name.endswith("csv"):
        rows: list[Any] = list(csv.DictReader(io.StringIO(text)))
    else:
        rows = [json.loads(line) for line in text.splitlines()]
    assert [row["user_id"] for row in rows] == list(site.sim.user_ids)


async def test_the_plan_of_a_journal_is_kept(site: Site):
    """Another file needs another journal, finished or not."""
    await site.run(site.file)
    other = site.write("other.csv", site.sim.user_ids, "Busy")
    for words in ([other], [other, "--resume"]):
        with pytest.raises(JournalError, match="was made for other items"):
            await site.run(*words)
    assert site.showing("Busy") == 0


async def test_one_journal_has_one_job(site: Site):
    """A second run at the same time is refused, and the first goes on."""
    struck = slow(site.sim)
    task = asyncio.create_task(site.run(site.file))
    await struck.wait()
    with pytest.raises(JournalLockedError):
        await bulk_updating.run(
            options("--resume", "--journal", str(site.journal), *site.connection)
        )
    assert (await task).code == 0


async def test_bad_rows_are_told_with_their_lines(site: Site):
    """All of them, found here or by the organization; nothing was sent."""
    file = site.folder / "bad.csv"
    text = (
        "user_id,email,system_presence\na,,Meal\n,x,Meal\n,nobody@example.com,Snack\na,b@c,Meal\n"
    )
    file.write_text(text, encoding="utf-8")
    said = await site.run(str(file))
    assert (said.code, said.results) == (2, [])
    assert [line.rpartition(": ")[0] for line in said.errors[:-1]] == [
        f"{file}:3: email",
        f"{file}:4: system_presence",
        f"{file}:5: user_id",
    ]
    assert said.errors[-1] == "presence_async: these rows cannot be used; nothing was sent"
    file.write_text("email,system_presence\nnobody@example.com,Meal\n", encoding="utf-8")
    said = await site.run(str(file))
    assert said.errors[0] == f"{file}:2: email: no active user has this address"
    assert site.sim.count(PUT) == 0


async def test_bad_rows_without_end_are_cut_short(site: Site):
    """The first hundred, and how many more there are; a bad column has no line of its own."""
    file = site.folder / "bad.csv"
    file.write_text("user_id,primary\n" + "a,maybe\n" * 103, encoding="utf-8")
    said = await site.run(str(file))
    assert len(said.errors) == 102
    assert said.errors[100] == "... and 3 more"
    file.write_text("user_id,who\n", encoding="utf-8")
    said = await site.run(str(file))
    assert said.errors[0].startswith(f"{file}:1: column 2 has an unknown name")


async def test_a_file_that_went_bad_does_not_stop_the_job(site: Site):
    """Who has left since the plan was made is no reason to leave the others waiting."""
    await site.run(site.file)
    file = site.folder / "moves.csv"
    file.write_text("email,system_presence\ngone@example.com,Meal\n", encoding="utf-8")
    said = await site.run(str(file))
    assert said.errors[-1] == f"without FILE, --resume goes on with what {site.journal} has"


async def test_wrong_credentials(site: Site):
    """Nothing is sent, the journal keeps the plan, and the right ones finish the job."""
    right = site.connection
    wrong = site.folder / "wrong.json"
    announced = site.sim.announcement() | {"client_secret": "wrong"}
    wrong.write_text(json.dumps(announced), encoding="utf-8")
    file = site.folder / "ids.csv"
    file.write_text("user_id,definition_id\n", encoding="utf-8")
    with file.open("a", encoding="utf-8") as rows:
        rows.writelines(f"{one},{BUILT_IN_IDS['Meal']}\n" for one in site.sim.user_ids)
    site.connection = ("--simulator", str(wrong))
    with pytest.raises(AuthenticationError):
        await site.run(str(file))
    assert site.said()[-1].startswith("stopped; 120 items: 120 planned.")
    site.connection = right
    assert (await site.run(str(file))).code == 0


async def test_a_terminal_gets_what_needs_attention(site: Site, monkeypatch: pytest.MonkeyPatch):
    """What was applied is in the sum; what was not has its line in the file."""
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    dry = await site.bare(site.file, "--dry-run")
    assert dry.results == []
    user_id = site.sim.user_ids[0]
    assert f"line 2: {user_id} change: Available -> Meal\n" in out.getvalue()
    site.sim.faults.add(Fault(route=PUT, status=403, times=1))
    out.truncate(0)
    await site.run(site.file, "--concurrency", "1")
    lines = out.getvalue().strip("\0").splitlines()
    assert len(lines) == 50
    assert lines[0].startswith(f"line 2: {user_id} rejected: ")
    out.truncate(0)
    await site.run("--undo", "--dry-run")
    assert "Meal -> 6a3af858" in out.getvalue()


async def test_a_job_goes_on_without_a_reader(site: Site, monkeypatch: pytest.MonkeyPatch):
    """Its outcomes are in the journal; a dry run has nothing else to do, and ends."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as out:  # noqa: ASYNC230, PTH123  # a descriptor
        monkeypatch.setattr(sys, "stdout", out)
        assert (await site.bare(site.file, "--dry-run")).code == 0
        assert (await site.run(site.file)).code == 0
    assert site.showing("Meal") == 120


async def test_rows_from_standard_input(site: Site, monkeypatch: pytest.MonkeyPatch):
    """With --format, which the name does not tell."""
    line = json.dumps({"user_id": site.sim.user_ids[0], "system_presence": "Meal"})
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line.encode())))
    said = await site.run("-", "--format", "jsonl")
    assert (said.code, said.errors[-1]) == (0, "1 item: 1 applied")


async def test_what_is_repeated_is_told(site: Site):
    """A lost request is settled after the settling time, sent again, and marked."""
    site.sim.faults.add(Fault(route=PUT, drop="before", times=1))
    loop = asyncio.get_running_loop()
    started = loop.time()
    said = await site.run(site.write("one.csv", site.sim.user_ids[:1]), "--settling-time", "0.4")
    assert said.errors[-1] == "1 item: 1 applied (1 sent again)"
    assert loop.time() - started > 0.4


async def test_an_empty_file_is_a_finished_job(site: Site):
    """There is nothing to do, and that is done."""
    said = await site.run(site.write("none.csv", []))
    assert (said.code, said.errors[-1]) == (0, "0 items")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "FILE is missing"),
        (["m.csv"], "--journal is missing"),
        (["--resume"], "--journal is missing"),
        (["--undo", "--dry-run"], "--journal is missing"),
        (["m.csv", "--undo", "--journal", "j"], "--undo takes no FILE"),
        (["m.csv", "--dry-run", "--export", "e.csv"], "--dry-run goes with neither"),
        (["--retry-failed", "--dry-run", "--journal", "j"], "--dry-run goes with neither"),
        (["-", "--dry-run", "--simulator", "-"], "cannot both be standard input"),
        (["-", "--dry-run"], "need --format"),
        (["m.txt", "--dry-run"], "must end in one of .csv"),
        (["m.csv", "--journal", "j", "--export", "o.txt"], "must end in one of .csv"),
        (["m.csv", "--journal", "j", "--export", "./m.csv"], "would overwrite"),
        (["m.csv", "--journal", "j.csv", "--export", "j.csv"], "would overwrite"),
        (["m.csv", "--journal", "j", "--export", "x/../m.csv"], "would overwrite"),
        (["m.csv", "--journal", ""], "--journal is missing"),
    ],
)
async def test_what_makes_no_sense_is_refused(words: list[str], text: str):
    """Before a file is read or a connection made."""
    with pytest.raises(ConfigurationError) as refused:
        await bulk_updating.run(options(*words))
    assert text in str(refused.value)


async def test_an_export_that_cannot_be_written_is_found_first(site: Site):
    """Nobody wants to hear of it when all is done."""
    with pytest.raises(FileNotFoundError):
        await site.run(site.file, "--export", str(site.folder / "none" / "o.csv"))
    assert not site.journal.exists()


async def test_outcomes_that_cannot_be_told_fail_the_command(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    """The job is finished all the same, and its journal has them; a full disk is not hidden."""
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OSError, match="'standard output'"):
        await site.run(site.file)
    assert site.showing("Meal") == len(site.sim.user_ids)
    monkeypatch.undo()
    assert (await site.run("--resume")).code == 0


async def test_a_missing_file(site: Site):
    """It is an error of the system that names it."""
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        await site.run(str(site.folder / "none.csv"))


def test_the_options_that_are_not_given():
    """Four requests at a time, fifteen seconds to settle, into Genesys Cloud's own source."""
    assert vars(options("m.csv")) == {
        "command": "bulk-update",
        "file": "m.csv",
        "journal": None,
        "resume": False,
        "retry_failed": False,
        "undo": False,
        "dry_run": False,
        "export": None,
        "format": None,
        "source": "PURECLOUD",
        "concurrency": 4,
        "settling_time": 15.0,
        "simulator": None,
    }


def test_the_help_names_everything(capsys: pytest.CaptureFixture[str]):
    """`bulk-update --help` has every option, the exit codes and the rules of journals."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["bulk-update", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name in vars(options()).keys() - {"command", "file"}:
        assert f"--{name.replace('_', '-')}" in text
    for title in ("which journal:", "exit codes:", "environment:"):
        assert f"\n{title}\n" in text
