"""How far a command has come: one line redrawn on a terminal, a few lines elsewhere."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

_LINES: Final = 4  # to a file or a pipe, where nothing can be overwritten
_PAUSE: Final = 0.1  # seconds between two drawings: a slow terminal must not slow the work
_COLUMNS: Final = 80  # where a terminal does not say
_TITLE: Final = 34
_COUNTS: Final = 55
_State: TypeAlias = tuple[int, int | None, int]  # done, total, failed
_BAR: Final = 30  # at most; a narrow terminal has a shorter one, or none


class ProgressLine:
    """The count of one piece of work, `title`; whether `out` is a terminal decides the form."""

    def __init__(
        self, title: str, out: TextIO, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._title = title
        self._out = out
        self._clock = clock
        self._terminal = out.isatty()
        self._state: _State = (0, None, 0)
        self._shown: _State | None = self._state
        self._drawn_at: float | None = None
        self._width = 0  # of what stands on the terminal's last line
        self._quarter = 0

    def show(self, done: int, total: int | None = None, failed: int = 0) -> None:
        """Take note, and draw where it is time to; a `total` of None is one nobody knows."""
        self._state = (done, total, failed)
        if self._due(done, total):
            self._draw()

    def hide(self) -> None:
        """Clear the line, so that something else can be written; a later `show` redraws it."""
        if self._width:
            self._out.write(f"\r{' ' * self._width}\r")
            self._out.flush()
            self._width = 0
            self._shown = None

    def finish(self) -> None:
        """Draw the last state, if it is not there yet, and leave the line standing."""
        self._draw()
        if self._width:
            self._out.write("\n")
            self._out.flush()
            self._width = 0

    def _due(self, done: int, total: int | None) -> bool:
        if self._terminal:
            return self._drawn_at is None or self._clock() - self._drawn_at >= _PAUSE
        quarter = min(done * _LINES // total, _LINES) if total else 0
        due, self._quarter = quarter > self._quarter, max(quarter, self._quarter)
        return due

    def _draw(self) -> None:
        if self._state == self._shown:
            return
        self._shown = self._state
        text = self._text()
        if self._terminal:
            self._drawn_at = self._clock()
            self._out.write(f"\r{text:<{self._width}}")
            self._width = len(text)
        else:
            self._out.write(f"{text}\n")
        self._out.flush()

    def _text(self) -> str:
        done, total, failed = self._state
        counts = f"{done:>6,}"
        if total is not None:
            counts += f" / {total:,}"
        if failed:
            counts += f", {failed:,} failed"
        if not self._terminal:
            return f"  {self._title:<{_TITLE}} {counts}"
        # One column is left free: a full line would wrap, and \r not find its start.
        room = max(_columns(self._out) - 1, 0)
        left = max(min(room - 3 - len(counts), _TITLE), 0)
        text = f"{f'  {self._title[:left]:<{left}} {counts}':<{_COUNTS}} "
        return f"{text}{_bar(done, total, room - len(text))}"[:room].rstrip(" ")


def _bar(done: int, total: int | None, room: int) -> str:
    """The bar for as much room as there is, its brackets included; nothing without a total."""
    length = min(room - 2, _BAR)
    if total is None or length < 1:
        return ""
    filled = length * min(done, total) // max(total, 1)
    return f"[{'#' * filled:<{length}}]"


def _columns(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns or _COLUMNS
    except (OSError, ValueError):  # not a real terminal after all
        return _COLUMNS
