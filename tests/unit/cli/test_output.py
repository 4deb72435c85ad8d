"""What goes to standard output and standard error, and who reads it."""

from __future__ import annotations

import errno
import io
import logging
import os
import re

import pytest
from unit.test_progress import Clock, Terminal

from presence_async.cli.output import Output, abandon


def tell(output: Output, line: str | None = "for people") -> None:
    """A result."""
    output.result(lambda: '{"for": "machines"}', lambda: line)


def without_reader() -> io.TextIOWrapper:
    """A stream into a pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    return open(writer, "w", encoding="utf-8")  # noqa: PTH123  # a descriptor


def test_a_terminal_gets_lines_for_people():
    """And none where there is nothing to tell."""
    out = Terminal()
    output = Output("x", out, io.StringIO())
    tell(output)
    tell(output, None)
    assert out.getvalue() == "for people\n"


def test_a_file_gets_json_lines():
    """Each result, on a line of its own."""
    out = io.StringIO()
    output = Output("x", out, io.StringIO())
    tell(output)
    tell(output, None)
    assert out.getvalue() == '{"for": "machines"}\n' * 2


def test_each_result_is_written_at_once():
    """Nothing waits in a buffer; JSON is UTF-8 wherever it goes."""
    stream = io.BytesIO()
    output = Output("x", io.TextIOWrapper(stream, encoding="ascii"), io.StringIO())
    output.result(lambda: '"\xe9\x85"', lambda: None)
    assert stream.getvalue() == '"\xe9\x85"\n'.encode()


def test_nobodys_text_commands_the_terminal():
    """What is not printable, or not in the terminal's encoding, is replaced."""
    stream = io.BytesIO()
    out = io.TextIOWrapper(stream, encoding="ascii")
    out.isatty = lambda: True  # type: ignore[method-assign]
    err = io.StringIO()
    output = Output("x", out, err)
    tell(output, "a\x1b[31mb\nc\u202ed\xe9")
    output.say("\x07e")
    assert stream.getvalue() == b"a?[31mb?c?d\\xe9\n"
    assert err.getvalue() == "?e\n"


def test_lines_stand_above_the_progress(capsys: pytest.CaptureFixture[str]):
    """The progress makes room for a line, and comes back below it."""
    both = Terminal()
    clock = Clock()
    with Output("reading", both, both, clock=clock) as output:
        output.progress(1, 2, 0)
        tell(output)
        clock.now = 1
        output.progress(2, 2, 1)
    first, blank, rest, last = both.getvalue().split("\r")[1:]
    assert "reading" in first
    assert blank == " " * len(first)
    assert rest == "for people\n"
    assert re.fullmatch(r"  reading +2 / 2, 1 failed +\[#+\]\n", last)
    assert capsys.readouterr() == ("", "")


def test_warnings_of_the_library_are_told():
    """Inside the block, each line of them apart; outside nothing listens."""
    err = io.StringIO()
    logger = logging.getLogger("presence_async.polling")
    before = logging.getLogger("presence_async").handlers[:]
    with Output("x", io.StringIO(), err):
        logger.warning("a\nb")
        logger.info("c")
        logger.error("d", exc_info=ZeroDivisionError("e"))
    assert logging.getLogger("presence_async").handlers == before
    lines = err.getvalue().splitlines()
    assert lines[:3] == ["presence_async: a", "presence_async: b", "presence_async: d"]
    assert lines[3:] == ["presence_async: ZeroDivisionError: e"]


def test_a_reader_that_has_gone_away():
    """It is noticed, and what is written afterwards goes nowhere without an error."""
    with without_reader() as out:
        output = Output("x", out, io.StringIO())
        assert not output.gone
        tell(output)
        assert output.gone
        tell(output)
        assert output.gone


def test_nobody_reads_standard_error():
    """Results are still told; messages and progress go nowhere."""
    out = io.StringIO()
    for steps in (("say", "progress"), ("progress", "say")):
        with without_reader() as err:
            output = Output("x", out, err)
            for step in steps:
                output.say("y") if step == "say" else output.progress(1, 1, 0)
            output.finish()
            assert not output.gone
    tell(output)
    assert out.getvalue() == '{"for": "machines"}\n'


def test_the_end_finds_nobody_left():
    """A progress line whose reader goes away before its last state ends quietly."""
    reader, writer = os.pipe()
    with open(writer, "w", encoding="utf-8") as err:  # noqa: PTH123  # a descriptor
        output = Output("x", io.StringIO(), err)
        output.progress(1, None, 0)
        os.close(reader)
        output.finish()
        output.say("still no error")


def test_a_stream_without_a_file_is_left_alone():
    """There is no reader to lose."""
    out = io.StringIO()
    abandon(out)
    out.write("x")
    assert out.getvalue() == "x"


class Full(io.StringIO):
    """A stream on a disk without room."""

    def write(self, text: str) -> int:
        """No."""
        raise OSError(errno.ENOSPC, "No space left on device")


def test_results_that_cannot_be_written_are_an_error():
    """A reader that is gone wants no more; a full disk has lost what somebody wants."""
    output = Output("x", Full(), io.StringIO())
    with pytest.raises(OSError, match="No space left on device: 'standard output'"):
        tell(output)
    assert not output.gone


def test_no_room_for_standard_error():
    """Progress, messages and the library's warnings are not worth a failure."""
    out = io.StringIO()
    with Output("x", out, Full()) as output:
        output.progress(1, 1, 0)
        output.say("y")
        logging.getLogger("presence_async.polling").warning("z")
        tell(output)
    assert out.getvalue() == '{"for": "machines"}\n'


def test_a_terminal_that_is_gone_takes_no_results_with_it():
    """The progress that cannot be cleared any more is no failure of the results."""
    out = io.StringIO()
    err = Terminal()
    output = Output("x", out, err)
    output.progress(1, 2, 0)
    err.write = Full().write  # type: ignore[method-assign]
    tell(output)
    assert (out.getvalue(), output.gone) == ('{"for": "machines"}\n', False)
