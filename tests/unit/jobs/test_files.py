"""The file of a journal, as the operating system sees it."""

from __future__ import annotations

import os
import sqlite3
import stat
from typing import TYPE_CHECKING

import pytest

from presence_async.errors import JournalError, JournalLockedError
from presence_async.jobs import files
from presence_async.jobs.files import (
    APPLICATION,
    VERSION,
    check_marks,
    drop_empty_rest,
    drop_index,
    file_errors,
    has_rest,
    name_file,
    new_file,
    read_only,
)

if TYPE_CHECKING:
    from pathlib import Path


def marked(path: Path, application: int = APPLICATION, version: int = VERSION) -> Path:
    """A database with these marks."""
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id = {application}")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("CREATE TABLE t (n)")
    connection.close()
    return path


def test_our_marks(tmp_path: Path) -> None:
    """A journal has them; other databases, other files, and an empty one have not."""
    check_marks(marked(tmp_path / "ours"))
    other = marked(tmp_path / "other", application=7)
    text, empty = tmp_path / "text", tmp_path / "empty"
    text.write_text("moves\n" * 100)
    empty.touch()
    for path in (other, text, empty):
        with pytest.raises(JournalError, match="is not the journal of a job"):
            check_marks(path)


def test_a_later_version(tmp_path: Path) -> None:
    """It is refused, and both versions are named."""
    with pytest.raises(JournalError, match="is of version 9, and only 1 can be used here"):
        check_marks(marked(tmp_path / "later", version=9))


def test_a_new_file_is_ours_alone(tmp_path: Path) -> None:
    """It lies beside its later place; what an earlier process left there goes."""
    path = tmp_path / "moves.journal"
    others = {".moves.journal.note", ".moves.journal.undo.abcd_123.new"}
    left = {f".moves.journal.abcd_123.new{end}" for end in ("", "-journal", "-wal", "-shm")}
    for name in others | left:
        (tmp_path / name).touch()
    with new_file(path) as new:
        assert new.parent == tmp_path
        assert stat.S_IMODE(new.stat().st_mode) == 0o600
        assert {file.name for file in tmp_path.iterdir()} == others | {new.name}
    assert {file.name for file in tmp_path.iterdir()} == others


def test_a_new_file_that_is_gone_is_another_jobs_doing(tmp_path: Path) -> None:
    """What fails for that says so; what fails with the file there is what it is."""
    path = tmp_path / "moves.journal"

    def fail(*, gone: bool) -> None:
        with new_file(path) as new:
            if gone:
                new.unlink()
            raise JournalError("disk I/O error")

    with pytest.raises(JournalLockedError, match="another job is making"):
        fail(gone=True)
    with pytest.raises(JournalError, match="disk I/O error"):
        fail(gone=False)


def test_a_name_is_given_once(tmp_path: Path) -> None:
    """Who comes second, and who lost his file to another, hears of the other."""
    path = tmp_path / "moves.journal"
    new = tmp_path / "new"
    new.write_bytes(b"first")
    name_file(new, path)
    with pytest.raises(JournalLockedError, match="another job is making"):
        name_file(new, path)
    new.unlink()
    path.unlink()
    with pytest.raises(JournalLockedError, match="another job is making"):
        name_file(new, path)


def test_where_folders_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: the name is given all the same."""

    def refuse(*_: object) -> int:
        raise PermissionError

    path, new = tmp_path / "moves.journal", tmp_path / "new"
    new.touch()
    monkeypatch.setattr(files.os, "open", refuse)
    name_file(new, path)
    assert path.exists()


def test_what_a_dead_process_leaves(tmp_path: Path) -> None:
    """A rest that is not empty."""
    path = tmp_path / "moves.journal"
    assert not has_rest(path)
    rest = tmp_path / "moves.journal-wal"
    rest.touch()
    assert not has_rest(path)
    rest.write_bytes(b"x")
    assert has_rest(path)
    drop_empty_rest(path)
    assert rest.exists()
    rest.write_bytes(b"")
    drop_empty_rest(path)
    drop_empty_rest(path)
    assert not rest.exists()


def test_a_look_cannot_write(tmp_path: Path) -> None:
    """The address is read-only, and what it leaves can be removed."""
    path = marked(tmp_path / "a b?c#d")
    connection = sqlite3.connect(read_only(path), uri=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("CREATE TABLE u (n)")
    connection.close()
    drop_index(path)
    (tmp_path / "a b?c#d-shm").touch()
    drop_index(path)
    assert os.listdir(tmp_path) == ["a b?c#d"]  # noqa: PTH208


def test_the_operating_system_refuses() -> None:
    """As a JournalError."""
    with pytest.raises(JournalError, match="cannot be used"), file_errors():
        raise IsADirectoryError("no")
