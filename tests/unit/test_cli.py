"""The command line: what it prints, and the exit codes a job runner sees."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from presence_async import cli
from presence_async.errors import PresenceConnectionError


def options(*words: str) -> Any:
    """Parsed options of a command line."""
    return cli._parser().parse_args(words)


@pytest.mark.real_loop
@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
async def test_simulate_prints_one_json_line_and_stops_on_a_signal(
    name: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    """`simulate` announces itself in one line of JSON and ends cleanly when interrupted."""
    serving = asyncio.create_task(cli._simulate(options("simulate", "--users", "250")))
    printed = ""
    while "\n" not in printed:
        await asyncio.sleep(0.01)
        printed += capsys.readouterr().out
    announcement = json.loads(printed)
    assert set(announcement) >= {"base_url", "login_url", "client_id", "client_secret", "user_ids"}
    assert len(announcement["user_ids"]) == 100
    os.kill(os.getpid(), name)
    assert await serving == 0
    assert "served 0 requests" in capsys.readouterr().err
    for handled in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(handled)


def test_the_module_runs_as_a_program() -> None:
    """`python -m presence_async simulate` serves a real socket and exits 0 on Ctrl-C."""
    with subprocess.Popen(
        [sys.executable, "-m", "presence_async", "simulate", "--users", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        announcement = json.loads(process.stdout.readline())
        host, port = announcement["base_url"].removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port))
        connection.request("GET", "/api/v2/systempresences")
        assert connection.getresponse().status == 401
        connection.close()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "served 1 requests" in errors


def test_demo_runs_on_the_simulator(capsys: pytest.CaptureFixture[str]) -> None:
    """`demo` ends with its summary and exit code 0."""
    assert cli.main(["demo", "--users", "30"]) == 0
    assert "changes seen       30 of 30" in capsys.readouterr().out


def test_demo_real_without_environment_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`demo --real` without credentials exits 2 and names what is missing."""
    for name in list(os.environ):
        if name.startswith("GENESYSCLOUD_"):
            monkeypatch.delenv(name)
    assert cli.main(["demo", "--real"]) == 2
    assert "GENESYSCLOUD_OAUTHCLIENT_ID is not set" in capsys.readouterr().err


def test_ids_without_real_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """`--ids` makes no sense on the simulator, and says so."""
    assert cli.main(["demo", "--ids", "x"]) == 2
    assert "--ids goes with --real" in capsys.readouterr().err


def test_a_failed_run_exits_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of the run itself is one line on standard error and exit code 1."""

    async def fail(_: Any) -> int:
        raise PresenceConnectionError("no route")

    monkeypatch.setitem(cli._COMMANDS, "demo", fail)
    assert cli.main(["demo"]) == 1
    assert capsys.readouterr().err == "presence_async: no route\n"


def test_a_missing_ids_file_exits_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file that cannot be read is said, not traced."""
    assert cli.main(["demo", "--real", "--ids", str(tmp_path / "none")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_an_interrupt_exits_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is the shell's 130."""

    async def interrupted(_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli._COMMANDS, "demo", interrupted)
    assert cli.main(["demo"]) == 130


@pytest.mark.parametrize(
    "words",
    [
        ["simulate", "--port", "70000"],
        ["simulate", "--port", "x"],
        ["simulate", "--users", "-1"],
        ["demo", "--users", "-5"],
        [],
    ],
)
def test_a_wrong_command_line_exits_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Bad options are refused by the parser."""
    with pytest.raises(SystemExit) as refused:
        cli.main(words)
    assert refused.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_the_options_of_simulate() -> None:
    """A port and the size of the organization can be chosen; 0 switches the rate limit off."""
    chosen = options("simulate", "--port", "8080", "--users", "7", "--rate-limit", "0")
    assert (chosen.port, chosen.users, chosen.rate_limit) == (8080, 7, 0)


def test_ids_come_from_a_file_or_standard_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One id a line; blank lines do not count; no file is everyone."""
    file = tmp_path / "ids.txt"
    file.write_text("a\n\n b \n", encoding="utf-8")
    assert cli._ids(str(file)) == ["a", "b"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("c\nd"))
    assert cli._ids("-") == ["c", "d"]
    assert cli._ids(None) is None


def test_the_package_is_runnable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m presence_async` ends with the exit code of the command."""
    monkeypatch.setattr(sys, "argv", ["presence_async", "demo", "--ids", "x"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("presence_async", run_name="__main__")
    assert ended.value.code == 2
    assert "--ids goes with --real" in capsys.readouterr().err
