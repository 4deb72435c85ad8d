"""The progress line, on a terminal and elsewhere."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios
from typing import TYPE_CHECKING

import pytest

from presence_async.progress import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminal(io.StringIO):
    """A text stream that says it is a terminal, of 80 columns as long as nobody says more."""

    def isatty(self) -> bool:
        """Yes."""
        return True


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at 0."""
    return Clock()


@pytest.fixture
def terminal(request: pytest.FixtureRequest) -> Iterator[io.TextIOWrapper]:
    """A real terminal with as many columns as the test is told."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, request.param, 0, 0))
    with open(writer, "w", encoding="utf-8") as file:  # noqa: PTH123  # a descriptor
        yield file
    os.close(reader)


def lines(out: io.StringIO) -> list[str]:
    """What has been drawn, one after the other."""
    return out.getvalue().split("\r")[1:]


def test_a_terminal_has_one_line(clock: Clock):
    """Each state is drawn over the one before it; the last one is left standing."""
    out = Terminal()
    line = ProgressLine("reading", out, clock=clock)
    for done in (0, 500, 1000):
        line.show(done, 1000)
        clock.now += 1
    line.finish()
    title = f"  {'reading':<34} "
    assert lines(out) == [
        f"{title}     0 / 1,000     [{' ' * 21}]",
        f"{title}   500 / 1,000     [{'#' * 10}{' ' * 11}]",
        f"{title} 1,000 / 1,000     [{'#' * 21}]\n",
    ]


def test_it_is_drawn_ten_times_a_second_at_most(clock: Clock):
    """What comes in between is drawn at the end, if nothing came after it."""
    out = Terminal()
    line = ProgressLine("reading", out, clock=clock)
    for done in range(1000):
        line.show(done + 1, 1000)
        clock.now += 0.001
    assert len(lines(out)) == 10
    line.finish()
    assert len(lines(out)) == 11
    assert " 1,000 / 1,000 " in lines(out)[-1]


def test_what_is_shown_already_is_not_drawn_again(clock: Clock):
    """The same state twice is one drawing, and the end adds no more than its line end."""
    out = Terminal()
    line = ProgressLine("reading", out, clock=clock)
    line.show(1, 2)
    clock.now += 1
    line.show(1, 2)
    line.finish()
    line.finish()
    assert len(lines(out)) == 1
    assert out.getvalue().count("\n") == 1


def test_a_shorter_text_covers_a_longer_one(clock: Clock):
    """Nothing of the state before is left at the end of the line."""
    out = Terminal()
    line = ProgressLine("reading", out, clock=clock)
    line.show(1, 2, 1)
    clock.now += 1
    line.show(1)
    before, after = lines(out)
    assert before.endswith("]")
    assert len(after) == len(before)
    assert after.rstrip().endswith(" 1")


def test_the_line_makes_room(clock: Clock):
    """Hidden, it is blank with the cursor at its start; it comes back by itself."""
    out = Terminal()
    line = ProgressLine("reading", out, clock=clock)
    line.hide()
    assert out.getvalue() == ""
    line.show(1, 2)
    line.hide()
    drawn, blank, rest = lines(out)
    assert (blank, rest) == (" " * len(drawn), "")
    line.finish()
    assert lines(out)[-1] == f"{drawn}\n"


def test_failures_are_counted():
    """They are named where there are some."""
    out = Terminal()
    ProgressLine("reading", out).show(7, 10, 2)
    assert "      7 / 10, 2 failed" in out.getvalue()


def test_an_unknown_total_has_no_bar():
    """Then there is the count alone; elsewhere than on a terminal it comes at the end."""
    out, file = Terminal(), io.StringIO()
    ProgressLine("reading", out).show(7)
    assert lines(out) == [f"  {'reading':<34}      7"]
    line = ProgressLine("reading", file)
    line.show(7)
    assert file.getvalue() == ""
    line.finish()
    assert file.getvalue() == f"  {'reading':<34}      7\n"


def test_a_file_gets_four_lines():
    """One for each quarter, however often it is shown; none is drawn over another."""
    out = io.StringIO()
    line = ProgressLine("reading", out)
    for done in range(101):
        line.show(done, 100)
    line.finish()
    line.hide()
    counts = [text.split()[1] for text in out.getvalue().splitlines()]
    assert counts == ["25", "50", "75", "100"]


def test_nothing_done_is_nothing_said():
    """Without a state there is no line, and with a total of 0 there is one at the end."""
    out = io.StringIO()
    ProgressLine("reading", out).finish()
    assert out.getvalue() == ""
    line = ProgressLine("reading", out)
    line.show(0, 0)
    assert out.getvalue() == ""
    line.finish()
    assert out.getvalue().endswith(" 0 / 0\n")


def test_the_total_may_shrink():
    """More done than there is does not make the bar longer."""
    out = Terminal()
    ProgressLine("reading", out).show(3, 2)
    assert f"[{'#' * 21}]" in out.getvalue()


@pytest.mark.parametrize(
    ("terminal", "width", "hashes"),
    [(200, 88, 30), (80, 79, 21), (60, 59, 1), (59, 48, 0), (20, 19, 0), (1, 0, 0)],
    indirect=["terminal"],
)
def test_nothing_ever_wraps(terminal: io.TextIOWrapper, width: int, hashes: int):
    """The bar takes what is left, then the title gives way, and the count comes last."""
    line = ProgressLine("reading", terminal)
    line.show(10, 10)
    text = line._text()
    assert (len(text), text.count("#")) == (width, hashes)
    assert "10 / 10" in text or width < 12


@pytest.mark.parametrize("terminal", [0], indirect=True)
def test_a_terminal_that_does_not_know_its_width(terminal: io.TextIOWrapper):
    """It is taken to have 80 columns."""
    line = ProgressLine("reading", terminal)
    line.show(10, 10)
    assert len(line._text()) == 79
