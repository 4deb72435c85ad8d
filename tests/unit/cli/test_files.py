"""The files a command line names."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from presence_async import ConfigurationError, RowsError
from presence_async.cli.files import first_line, format_of, read_ids, read_rows

if TYPE_CHECKING:
    from pathlib import Path


def test_ids_come_from_a_file_or_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """One id a line; blank lines and a byte order mark do not count."""
    file = tmp_path / "ids.txt"
    file.write_bytes(b"\xef\xbb\xbfa\r\n\n b \n")
    assert read_ids(str(file)) == ["a", "b"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"c\nd")))
    assert read_ids("-") == ["c", "d"]


def test_the_first_line_is_all_that_is_read(monkeypatch: pytest.MonkeyPatch):
    """Whoever writes the rest may not have written it yet."""
    stream = io.BytesIO(b"first\nsecond\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
    assert first_line("-") == "first\n"
    assert stream.read() == b"second\n"


def test_other_encodings_are_refused(tmp_path: Path):
    """The message names the file."""
    file = tmp_path / "ids.txt"
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"ids\.txt is not UTF-8"):
        read_ids(str(file))
    with pytest.raises(ConfigurationError, match=r"ids\.txt is not UTF-8"):
        first_line(str(file))


def test_a_missing_file_is_an_error_of_the_system(tmp_path: Path):
    """It says which file."""
    with pytest.raises(FileNotFoundError, match="none"):
        read_ids(str(tmp_path / "none"))


def test_rows_of_both_forms(tmp_path: Path):
    """CSV with line breaks inside quotes, and JSON Lines."""
    table, lines = tmp_path / "rows.csv", tmp_path / "rows.jsonl"
    table.write_bytes(b'\xef\xbb\xbfuser_id,message\r\na,"b\r\nc"\r\n')
    lines.write_bytes(b'{"user_id": "a", "message": "b\\r\\nc"}\n')
    for file in (table, lines):
        (row,) = read_rows(str(file), format_of(str(file)))
        assert (row.user_id, row.message) == ("a", "b\r\nc")
    with pytest.raises(RowsError):
        read_rows(str(lines), "csv")


def test_the_name_tells_the_format():
    """In any case of letters; what is none of them is told."""
    names = {"a.csv": "csv", "A.CSV": "csv", "a.b.jsonl": "jsonl", "a.ndjson": "jsonl"}
    assert {name: format_of(name) for name in names} == names
    for name in ("a", "csv", "a.json", "a.csv.gz"):
        with pytest.raises(
            ConfigurationError, match=r"must end in one of \.csv, \.jsonl, \.ndjson"
        ):
            format_of(name)
