"""What a command tells: results on standard output, everything else on standard error."""

from __future__ import annotations

import io
import logging
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from presence_async.progress import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self, TextIO


_LOGGER: Final = logging.getLogger("presence_async")


class Output:
    """The two streams of one command, and the progress line (`title`) between them.

    As a context manager it also tells what the library warns of, and leaves the last progress
    standing. Once the reader of the results is `gone`, writing goes on, to nobody.
    """

    def __init__(
        self,
        title: str,
        out: TextIO | None = None,
        err: TextIO | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._line = ProgressLine(title, self._err, clock=clock)
        self._log = _Log(self)
        self._for_people = self._out.isatty()
        if not self._for_people and isinstance(self._out, io.TextIOWrapper):
            self._out.reconfigure(encoding="utf-8")  # JSON is nothing else
        self.gone = False

    def __enter__(self) -> Self:
        _LOGGER.addHandler(self._log)
        return self

    def __exit__(self, *exc_info: object) -> None:
        _LOGGER.removeHandler(self._log)
        self.finish()

    def result(self, json: Callable[[], str], line: Callable[[], str | None]) -> None:
        """One result, at once; `line` gives None where people need not see it."""
        text = line() if self._for_people else json()
        if text is None:
            return
        self._aside(self._line.hide)
        try:
            _write(self._out, printable(text, self._out) if self._for_people else text)
        except BrokenPipeError:
            self.gone = True
            abandon(self._out)
        except OSError as error:
            error.filename = "standard output"
            raise

    def progress(self, done: int, total: int | None, failed: int) -> None:
        """How far it is."""
        self._aside(self._line.show, done, total, failed)

    def say(self, text: str) -> None:
        """A line on standard error."""
        self._aside(self._line.hide)
        self._aside(_write, self._err, printable(text, self._err))

    def finish(self) -> None:
        """Leave the last progress standing."""
        self._aside(self._line.finish)

    def _aside(self, write: Callable[..., None], *values: Any) -> None:
        """Write to standard error. Where that is not possible no work is worth less for it."""
        try:
            write(*values)
        except OSError:
            abandon(self._err)


class _Log(logging.Handler):
    """Tells what the library logs from warnings on, without tearing the progress line."""

    def __init__(self, output: Output) -> None:
        super().__init__(logging.WARNING)
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it, each line of a traceback on its own."""
        for line in self.format(record).splitlines():
            self._output.say(f"presence_async: {line}")


def _write(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")
    stream.flush()


def abandon(stream: TextIO) -> None:
    """Send to nowhere what is left for a stream without a reader; Python would complain."""
    with suppress(io.UnsupportedOperation):  # no file behind it, no reader to lose
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def printable(text: str, stream: TextIO) -> str:
    """The text without what a terminal would obey, and as far as the stream can show it."""
    shown = "".join(one if one.isprintable() else "?" for one in text)
    encoding = stream.encoding or "utf-8"
    return shown.encode(encoding, "backslashreplace").decode(encoding)
