"""`watch`: its options, what it prints where there is no terminal, and how it ends."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from unit.test_progress import Terminal

from presence_async import ConfigurationError, InvalidRequestError, cli
from presence_async.cli import watching
from presence_async.simulator import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from presence_async.simulator import Simulator

CREATE = "POST /api/v2/notifications/channels"
BULK = "GET /api/v2/users/presences/purecloud/bulk"


def options(*words: str) -> Any:
    """Parsed options of a command line."""
    return cli._parser().parse_args(["watch", *words])


@pytest.mark.parametrize("words", [(), ("--no-notifications",)])
async def test_everyone_is_told_as_json(
    sim: Simulator,
    sim_file: str,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
):
    """First all of them; at the end of `--for` all are known and fresh, which is exit code 0."""
    assert await watching.run(options("--simulator", sim_file, "--for", "30", *words)) == 0
    said = capsys.readouterr()
    told = {one["user_id"]: one for one in map(json.loads, said.out.splitlines())}
    assert set(told) == set(sim.user_ids)
    assert {one["stale"] for one in told.values()} == {False}
    assert "120 / 120" in said.err
    assert (sim.count(CREATE) == 0) == bool(words)


async def test_who_cannot_be_read_is_an_exit_code(
    sim: Simulator, sim_file: str, capsys: pytest.CaptureFixture[str]
):
    """A job runner sees that not everyone is known; ids may be words."""
    sim.faults.add(Fault(route=BULK, status=500, times=None))
    words = ("--simulator", sim_file, "--for", "5", *sim.user_ids[:2])
    assert await watching.run(options(*words)) == 3
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["user_id"] for one in told} <= set(sim.user_ids[:2])


async def test_a_terminal_has_the_table(
    sim: Simulator, sim_file: str, monkeypatch: pytest.MonkeyPatch
):
    """Users by presence, and how it goes."""
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "xterm")
    assert await watching.run(options("--simulator", sim_file, "--for", "5")) == 0
    assert "120 users, 0 not read yet, 0 stale" in out.getvalue()


async def test_the_table_needs_rich(sim_file: str, monkeypatch: pytest.MonkeyPatch):
    """Without it the error names the extra, and what works nevertheless."""
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.delitem(sys.modules, "presence_async.cli.picture", raising=False)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(ConfigurationError, match=r"presence_async\[cli\]; `watch \| cat`"):
        await watching.run(options("--simulator", sim_file))


async def test_it_ends_when_nobody_reads_it(
    sim: Simulator, sim_file: str, monkeypatch: pytest.MonkeyPatch
):
    """As `watch | head` does, and in order."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as out:  # noqa: ASYNC230, PTH123  # a descriptor
        monkeypatch.setattr(sys, "stdout", out)
        assert await watching.run(options("--simulator", sim_file)) == 0


async def test_what_makes_no_sense_is_refused(sim: Simulator, sim_file: str, tmp_path: Path):
    """Nobody to follow, or no interval."""
    (tmp_path / "ids").touch()
    words = ("--simulator", sim_file)
    with pytest.raises(ConfigurationError, match="nobody to follow"):
        await watching.run(options(*words, "--ids", str(tmp_path / "ids")))
    with pytest.raises(InvalidRequestError):
        await watching.run(options(*words, "--interval", "0"))


def test_the_options_that_are_not_given():
    """Everyone of the environment's organization, by notifications, for ever."""
    assert vars(options()) == {
        "command": "watch",
        "user_ids": [],
        "ids": None,
        "no_notifications": False,
        "interval": None,
        "duration": None,
        "concurrency": 16,
        "simulator": None,
    }
