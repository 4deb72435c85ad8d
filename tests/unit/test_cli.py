"""The command line: what it prints, and the exit codes a job runner sees."""

from __future__ import annotations

import asyncio
import builtins
import os
import runpy
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from unit.cli.test_output import Full

from presence_async import cli
from presence_async.errors import (
    ConfigurationError,
    InvalidRequestError,
    JournalError,
    PresenceConnectionError,
)

if TYPE_CHECKING:
    from pathlib import Path


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
        ["simulate", "--switch", "user_me=maybe"],
        ["simulate", "--latency", "2-1"],
        ["simulate", "--rate-window", "sliding"],
        ["demo", "--users", "-5"],
        ["poll", "--concurrency", "0"],
        ["poll", "--interval", "soon"],
        ["bulk-update", "m.csv", "--resume", "--retry-failed"],
        ["bulk-update", "m.csv", "--format", "xml"],
        [],
    ],
)
def test_a_wrong_command_line_exits_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Bad options are refused by the parser."""
    with pytest.raises(SystemExit) as refused:
        cli.main(words)
    assert refused.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_ids_of_a_file_are_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """They are at fault before any connection is made."""
    file = tmp_path / "ids"
    file.write_bytes(b"\xff")
    assert cli.main(["demo", "--real", "--ids", str(file)]) == 2
    assert "ids is not UTF-8 text" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (asyncio.CancelledError(), 130),
        (ConfigurationError("x"), 2),
        (JournalError("x"), 4),
        (InvalidRequestError("x", status=400), 1),
    ],
)
def test_errors_become_exit_codes(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancelled run was interrupted; else the error tells who has to do something."""

    async def fail(_: Any) -> int:
        raise error

    monkeypatch.setitem(cli._COMMANDS, "demo", fail)
    assert cli.main(["demo"]) == code


def test_a_reader_that_has_seen_enough_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`demo | head` ends quietly."""

    async def fail(_: Any) -> int:
        raise BrokenPipeError

    monkeypatch.setitem(cli._COMMANDS, "demo", fail)
    assert cli.main(["demo"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_package_is_runnable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m presence_async` ends with the exit code of the command."""
    monkeypatch.setattr(sys, "argv", ["presence_async", "demo", "--ids", "x"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("presence_async", run_name="__main__")
    assert ended.value.code == 2
    assert "--ids goes with --real" in capsys.readouterr().err


def test_streams_that_are_closed_are_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`>&- 2>&- <&-` as some job runners start a command: no output, no input, no traceback."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert cli.main(["demo", "--ids", "-"]) == 2
    streams = [sys.stdin, sys.stdout, sys.stderr]
    assert [stream.name for stream in streams] == [os.devnull] * 3
    for stream in streams:
        stream.close()


def test_an_error_commands_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever wrote its text: what is not printable is replaced."""

    async def fail(_: Any) -> int:
        raise PresenceConnectionError("a\x1b[31mb\nc")

    monkeypatch.setitem(cli._COMMANDS, "demo", fail)
    assert cli.main(["demo"]) == 1
    assert capsys.readouterr().err == "presence_async: a?[31mb\nc\n"


def test_an_error_that_cannot_be_told_keeps_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """No room for standard error hides nothing from a job runner."""
    monkeypatch.setattr(sys, "stderr", Full())
    assert cli.main(["demo", "--ids", "-"]) == 2


@pytest.mark.parametrize("before", [signal.default_int_handler, signal.SIG_IGN])
def test_loading_the_command_line_can_be_interrupted(
    before: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends it without a traceback, and later does what it did; `nohup` stays as it is."""
    seen: list[Any] = []
    load = builtins.__import__

    def look(name: str, *rest: Any, **options: Any) -> Any:
        if name == "presence_async.cli":
            seen.append(signal.getsignal(signal.SIGINT))
        return load(name, *rest, **options)

    usual = signal.signal(signal.SIGINT, before)
    try:
        monkeypatch.setattr(builtins, "__import__", look)
        monkeypatch.setattr(cli, "main", lambda: 7)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("presence_async", run_name="__main__")
        assert ended.value.code == 7
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGINT, usual)
    assert seen == [signal.SIG_IGN if before is signal.SIG_IGN else signal.SIG_DFL]
