"""Presence updates from files: CSV or JSON Lines in, checked rows out. Pure.

    user_id,email,definition_id,definition_label,system_presence,message,primary,source
    ,ada@example.com,,Stocktaking,,back at 2,,

The first line of a CSV file names the columns, in any order; those that are not needed may be
missing. An empty cell is no value. JSON Lines are objects with the same names; null is no value,
and `primary` is a boolean. Empty lines are skipped. Every bad row is told with its line number;
what it holds is never quoted: it may be personal data.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import attrs

from presence_async import converter
from presence_async.errors import DecodeError, InvalidRequestError
from presence_async.models import SystemPresenceName

__all__ = ["BadRow", "BadRows", "RowsError", "UpdateRow", "parse_csv", "parse_json_lines"]

_Source: TypeAlias = str | bytes | Iterable[str] | Iterable[bytes]
# Enough to see what is wrong with a file; all of a million would not fit in a log.
_KEPT: Final = 100


@attrs.frozen(kw_only=True)
class UpdateRow:
    """One row: whose presence is to change, and to what.

    Attributes:
        line: Line of the file it begins on, from 1.
        user_id: Id of the user, or None.
        email: Address of the user instead, or None.
        definition_id: Id of the definition to change to, or None.
        definition_label: Its label in any language instead, or None.
        system_presence: The built-in definition of this system presence instead, or None.
        message: Free text, or None to leave it alone. (Only JSON Lines can empty it.)
        primary: Whether the source is to become the user's primary one.
        source: Source name, or None for the one that the update is told.
    """

    line: int
    user_id: str | None = None
    email: str | None = None
    definition_id: str | None = None
    definition_label: str | None = None
    system_presence: str | None = None
    message: str | None = None
    primary: bool = False
    source: str | None = None


@attrs.frozen
class BadRow:
    """What is wrong with one row.

    Attributes:
        line: Line of the file it begins on, from 1.
        field: Column at fault, "" for the whole row.
        reason: What is wrong; never the value.
    """

    line: int
    field: str
    reason: str


class RowsError(InvalidRequestError):
    """Rows that cannot be used; nothing has been sent.

    Attributes:
        failures: What is wrong, in the order of the lines: the first hundred.
        total: How many there are altogether.
    """

    def __init__(
        self, message: str, *, failures: tuple[BadRow, ...] = (), total: int = 0, **context: Any
    ) -> None:
        super().__init__(message, **context)
        self.failures = failures
        self.total = total


class BadRows:
    """Collects what is wrong, and raises it all together."""

    def __init__(self) -> None:
        self._kept: list[BadRow] = []
        self._total = 0

    def add(self, line: int, field: str, reason: str) -> None:
        """Something is wrong with a row."""
        self._total += 1
        if self._total <= _KEPT:
            self._kept.append(BadRow(line, field, reason))

    @property
    def total(self) -> int:
        """How much is wrong so far."""
        return self._total

    def check(self) -> None:
        """Raise RowsError if anything is wrong."""
        if not self._kept:
            return
        first = self._kept[0]
        where = f"line {first.line}, {first.field}" if first.field else f"line {first.line}"
        many = f" ({self._total} failures, this is the first)" if self._total > 1 else ""
        raise RowsError(
            f"{where}: {first.reason}{many}",
            failures=tuple(self._kept),
            total=self._total,
            field=first.field or None,
        )


_USER: Final = ("user_id", "email")
_DEFINITION: Final = ("definition_id", "definition_label", "system_presence")
_COLUMNS: Final = (*_USER, *_DEFINITION, "message", "primary", "source")
_KNOWN: Final = f"it must be one of {', '.join(_COLUMNS)}"


def parse_csv(source: _Source) -> list[UpdateRow]:
    """Read rows from CSV, separated by commas and quoted with ``"``.

    Args:
        source: The whole text, or lines with their ends, as a file gives them: open it
            with ``newline=""``. Bytes are UTF-8, with or without a byte order mark.

    Raises:
        RowsError: With every row that cannot be used.
    """
    bad = BadRows()
    lines = csv.reader(_lines(source, newline=""), strict=True)
    records = _records(lines, bad)
    columns = _header(next(records, (1, [])), bad)
    bad.check()
    rows = []
    for line, cells in records:
        if len(cells) != len(columns):
            bad.add(line, "", f"it has {len(cells)} cells, and there are {len(columns)} columns")
            continue
        values = {name: cell or None for name, cell in zip(columns, cells, strict=True)}
        rows.append(_row(line, values, _flag_in_text, bad))
    bad.check()
    return rows


def parse_json_lines(source: _Source) -> list[UpdateRow]:
    """Read rows from JSON Lines.

    Args:
        source: The whole text, or its lines; bytes as for `parse_csv`.

    Raises:
        RowsError: With every row that cannot be used.
    """
    bad = BadRows()
    rows = []
    for line, text in enumerate(_lines(source, newline="\n"), 1):
        if text.strip():
            values = _object(line, text, bad)
            if values is not None:
                rows.append(_row(line, values, _flag_in_json, bad))
    bad.check()
    return rows


def _lines(source: Any, *, newline: str) -> Iterator[str]:
    """The lines as text, without a byte order mark; what is not UTF-8 ends up as surrogates."""
    if isinstance(source, bytes):
        source = _decoded(source)
    if isinstance(source, str):
        source = io.StringIO(source, newline=newline)
    if not isinstance(source, Iterable):
        raise InvalidRequestError(
            f"source must be text or lines, not {type(source).__name__}", field="source"
        )
    mark = "\ufeff"
    for line in source:
        if not isinstance(line, str | bytes):
            raise InvalidRequestError(
                f"source must be lines of str or bytes, not {type(line).__name__}", field="source"
            )
        yield (_decoded(line) if isinstance(line, bytes) else line).removeprefix(mark)
        mark = ""


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _records(lines: Any, bad: BadRows) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not empty, with the line it begins on."""
    while True:
        begins = lines.line_num + 1
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            # What follows a quote gone wrong cannot be told apart any more.
            bad.add(begins, "", f"not CSV from here on: {error}")
            return
        if cells:
            yield begins, cells


def _header(record: tuple[int, list[str]], bad: BadRows) -> list[str]:
    line, cells = record
    columns = [cell.strip() for cell in cells]
    for index, name in enumerate(columns):
        if name not in _COLUMNS:
            bad.add(line, "", f"column {index + 1} has an unknown name: {_KNOWN}")
        elif name in columns[:index]:
            bad.add(line, name, "there are two columns of this name")
    if not bad.total and not set(_USER) & set(columns):
        bad.add(line, "", "the first line must name the columns, user_id or email among them")
    return columns


def _object(line: int, text: str, bad: BadRows) -> Mapping[str, Any] | None:
    """A line's object with the names we know, or None."""
    if not _is_utf8(text):
        bad.add(line, "", "it is not UTF-8")
        return None
    try:
        values = converter.loads(text)
    except DecodeError:
        bad.add(line, "", "it is not valid JSON")
        return None
    if not isinstance(values, dict):
        bad.add(line, "", "it is not an object")
        return None
    if not values.keys() <= set(_COLUMNS):
        bad.add(line, "", f"it has an unknown name: {_KNOWN}")
        return None
    return values


_Flag: TypeAlias = Callable[[Any], bool | None]


def _flag_in_text(value: Any) -> bool | None:
    return {"": False, "false": False, "true": True}.get((value or "").strip().lower())


def _flag_in_json(value: Any) -> bool | None:
    return value or False if isinstance(value, bool | None) else None


def _row(line: int, values: Mapping[str, Any], flag: _Flag, bad: BadRows) -> UpdateRow:
    """The row; of one that is bad the caller hears through `bad`."""
    before = bad.total
    texts = {name: _text(line, name, values.get(name), bad) for name in _COLUMNS if name != _FLAG}
    primary = flag(values.get(_FLAG))
    if primary is None:
        bad.add(line, _FLAG, "it must be true or false")
    row = UpdateRow(line=line, primary=bool(primary), **texts)
    if bad.total == before:
        _check(row, bad)
    return row


_FLAG: Final = "primary"


def _text(line: int, name: str, value: Any, bad: BadRows) -> str | None:
    """The value, without the blanks around it unless it is the message; None for none."""
    if value is None:
        return None
    if not isinstance(value, str):
        bad.add(line, name, "it must be a string")
        return None
    if not _is_utf8(value):
        bad.add(line, name, "it is not UTF-8")
        return None
    return value if name == "message" else value.strip() or None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check(row: UpdateRow, bad: BadRows) -> None:
    given = {name for name in _COLUMNS if getattr(row, name) is not None}
    if len(given.intersection(_USER)) != 1:
        bad.add(row.line, "user_id", "give either a user_id or an email")
    if row.email is not None and "@" not in row.email:
        bad.add(row.line, "email", "it is not an e-mail address")
    definitions = given.intersection(_DEFINITION)
    if len(definitions) > 1:
        bad.add(row.line, "definition_id", f"give one of {', '.join(_DEFINITION)}")
    if not definitions and row.message is None and not row.primary:
        bad.add(row.line, "", "it changes nothing: no definition, no message, no primary")
    name = row.system_presence
    if name is not None and not SystemPresenceName(name).is_known:
        bad.add(row.line, "system_presence", "there is no such system presence")
