"""`poll`: its options, what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from unit.test_progress import Terminal

from presence_async import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    cli,
)
from presence_async.cli import polling
from presence_async.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from presence_async.simulator import Simulator

BULK = "GET /api/v2/users/presences/purecloud/bulk"


def options(*words: str) -> Any:
    """Parsed options of a command line."""
    return cli._parser().parse_args(["poll", *words])


class Polled:
    """A `poll` under way."""

    def __init__(self, task: asyncio.Task[int], capsys: pytest.CaptureFixture[str]) -> None:
        self.task = task
        self._capsys = capsys
        self._text = ""

    async def told(self, count: int) -> list[dict[str, Any]]:
        """So many more changes."""
        async with asyncio.timeout(600):
            while self._text.count("\n") < count:
                await asyncio.sleep(0.1)
                assert not self.task.done(), self.task.result()
                self._text += self._capsys.readouterr().out
        *lines, self._text = self._text.split("\n", count)
        return [json.loads(line) for line in lines]


@contextlib.asynccontextmanager
async def polled(sim_file: str, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Polled]:
    """Everyone is polled once a minute; interrupted at the end."""
    words = ("--simulator", sim_file, "--interval", "60")
    task = asyncio.create_task(polling.run(options(*words)))
    yield Polled(task, capsys)
    assert not task.done()
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_first_everyone_then_what_changes(
    sim: Simulator, sim_file: str, capsys: pytest.CaptureFixture[str]
):
    """The snapshot has every user; after that a change is all there is to tell."""
    async with polled(sim_file, capsys) as poll:
        snapshot = await poll.told(120)
        assert {one["user_id"] for one in snapshot} == set(sim.user_ids)
        assert {one["kind"] for one in snapshot} == {"first"}
        user_id = sim.user_ids[7]
        sim.organization.set_presence(user_id, message="back at 2")
        (change,) = await poll.told(1)
    assert (change["user_id"], change["kind"]) == (user_id, "changed")
    assert (change["before"]["message"], change["after"]["message"]) == ("", "back at 2")
    assert 0 < change["age"] < 61


async def test_users_who_cannot_be_read_are_told(
    sim: Simulator, sim_file: str, capsys: pytest.CaptureFixture[str]
):
    """A failed sweep makes them stale, and the next good one fresh again; the poll goes on."""
    async with polled(sim_file, capsys) as poll:
        await poll.told(120)
        sim.faults.add(Fault(route=BULK, status=500, times=3))
        told = await poll.told(120)
        assert {one["kind"] for one in told} == {"stale"}
        assert {one["http_status"] for one in told} == {500}
        assert {one["kind"] for one in await poll.told(120)} == {"fresh"}


async def test_once_is_a_snapshot(
    sim: Simulator, sim_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """With --once it ends by itself; ids come from a file, and repeated ones count once."""
    ids = tmp_path / "ids"
    ids.write_text("\n".join([*sim.user_ids[:3], sim.user_ids[0], "unknown"]), encoding="utf-8")
    words = ("--simulator", sim_file, "--ids", str(ids), "--once")
    assert await polling.run(options(*words)) == 0
    said = capsys.readouterr()
    told = [json.loads(line) for line in said.out.splitlines()]
    assert [one["user_id"] for one in told] == [*sim.user_ids[:3], "unknown"]
    assert told[3]["after"] is None
    assert said.err.splitlines()[-1].split() == ["reading", "presences", "4", "/", "4"]


async def test_once_with_failures_is_3(
    sim: Simulator, sim_file: str, capsys: pytest.CaptureFixture[str]
):
    """A job runner sees that the snapshot has holes."""
    sim.faults.add(Fault(route=BULK, status=500, times=1))
    assert await polling.run(options("--simulator", sim_file, "--once")) == 3
    kinds = [json.loads(line)["error"] for line in capsys.readouterr().out.splitlines()]
    assert sum(error is None for error in kinds) == 70
    assert len(kinds) == 120


async def test_nobody_to_poll_ends_at_once(sim: Simulator, sim_file: str, tmp_path: Path):
    """A snapshot of nobody is complete."""
    (tmp_path / "ids").touch()
    words = ("--simulator", sim_file, "--ids", str(tmp_path / "ids"), "--once")
    assert await polling.run(options(*words)) == 0


async def test_polling_nobody_for_ever_is_refused(sim: Simulator, sim_file: str, tmp_path: Path):
    """An empty file of ids is a mistake that nobody would ever notice."""
    (tmp_path / "ids").write_text("\n \n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="there is nobody to follow"):
        await polling.run(options("--simulator", sim_file, "--ids", str(tmp_path / "ids")))


async def test_a_terminal_gets_lines_for_people(
    sim: Simulator, sim_file: str, monkeypatch: pytest.MonkeyPatch
):
    """Who, and in which presence."""
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    assert await polling.run(options("--simulator", sim_file, "--once")) == 0
    assert f" {sim.user_ids[0]} Available\n" in out.getvalue()


async def test_it_ends_when_nobody_reads_it(
    sim: Simulator, sim_file: str, monkeypatch: pytest.MonkeyPatch
):
    """Like any filter whose reader has seen enough."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as out:  # noqa: ASYNC230, PTH123  # a descriptor
        monkeypatch.setattr(sys, "stdout", out)
        assert await polling.run(options("--simulator", sim_file)) == 0


async def test_the_warning_of_a_short_interval_is_told(
    sim: Simulator, sim_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """It says what would work."""
    words = ("--simulator", sim_file, "--once", "--interval", "0.01")
    assert await polling.run(options(*words)) == 0
    assert "presence_async: sweeps take longer than their interval" in capsys.readouterr().err


async def test_wrong_credentials_end_it(sim: Simulator, sim_file: str, tmp_path: Path):
    """Nothing can be read without them."""
    wrong = sim.announcement() | {"client_secret": "wrong"}
    (tmp_path / "sim.json").write_text(json.dumps(wrong), encoding="utf-8")
    with pytest.raises(AuthenticationError):
        await polling.run(options("--simulator", sim_file))


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--interval", "0"), InvalidRequestError),
        (("--source", ""), InvalidRequestError),
        (("--ids", "-", "--simulator", "-"), ConfigurationError),
    ],
)
async def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...], error: type[Exception], sim_file: str
):
    """Before any presence is read."""
    with pytest.raises(error):
        await polling.run(options("--simulator", sim_file, *words))


def test_the_options_that_are_not_given():
    """Everyone of the environment's organization, every two minutes, for ever."""
    assert vars(options()) == {
        "command": "poll",
        "user_ids": [],
        "ids": None,
        "interval": 120.0,
        "once": False,
        "source": "purecloud",
        "concurrency": 16,
        "simulator": None,
    }


def test_the_help_names_everything(capsys: pytest.CaptureFixture[str]):
    """`poll --help` has every option, the exit codes and the variables."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["poll", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name in vars(options()).keys() - {"command", "user_ids"}:
        assert f"--{name}" in text
    assert "exit codes:" in text
    assert "GENESYSCLOUD_REGION" in text
