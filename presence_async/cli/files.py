"""The files a command line names; - is standard input. What is no good is a ConfigurationError."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, TypeAlias, get_args

from presence_async.errors import ConfigurationError
from presence_async.rows import parse_csv, parse_json_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from presence_async.rows import UpdateRow

STANDARD_INPUT: Final = "-"
Format: TypeAlias = Literal["csv", "jsonl"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_SUFFIXES: Final[dict[str, Format]] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def first_line(name: str) -> str:
    """Return the first line, and leave the rest unread."""
    with _opened(name) as file:
        return _text(name, file.readline())


def read_ids(name: str) -> list[str]:
    """Return the lines that are not blank, without the blanks around them."""
    with _opened(name) as file:
        lines = _text(name, file.read()).splitlines()
    return [line.strip() for line in lines if line.strip()]


def read_rows(name: str, form: Format) -> list[UpdateRow]:
    """Return the rows of a file of presence updates; RowsError has all that cannot be used."""
    with _opened(name) as file:
        return parse_csv(file) if form == "csv" else parse_json_lines(file)


def format_of(name: str) -> Format:
    """Return which of FORMATS a file has by its name."""
    form = _SUFFIXES.get(Path(name).suffix.lower())
    if form is None:
        raise ConfigurationError(f"the name {name} must end in one of {', '.join(_SUFFIXES)}")
    return form


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == STANDARD_INPUT:
        yield sys.stdin.buffer
    else:
        with open(name, "rb") as file:  # noqa: PTH123  # a name as typed
            yield file


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name} is not UTF-8 text") from None
