"""The file behind a journal, as the operating system sees it: its marks, its making."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from presence_async.errors import JournalError, JournalLockedError

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION: Final = 0x70724A31  # "prJ1"
VERSION: Final = 1
_MAGIC: Final = b"SQLite format 3\0"
# Where the header of an SQLite file has the two marks (https://sqlite.org/fileformat.html).
_VERSION_AT: Final = slice(60, 64)
_APPLICATION_AT: Final = slice(68, 72)
_NEW: Final = ".new"
# The same, what `mkstemp` puts before it, and what SQLite puts beside it.
_LEFT: Final = r"[a-z0-9_]{8}\.new(-journal|-wal|-shm)?"


@contextmanager
def file_errors() -> Iterator[None]:
    """What the operating system refuses, as JournalError."""
    try:
        yield
    except OSError as error:
        raise JournalError(f"the journal cannot be used: {error}") from error


def check_marks(path: Path) -> None:
    """Refuse a file that is no journal of ours, or of another version, by its first bytes."""
    with path.open("rb") as file:
        header = file.read(100)
    application = int.from_bytes(header[_APPLICATION_AT])
    if not header.startswith(_MAGIC) or application != APPLICATION:
        raise JournalError(f"{path} is not the journal of a job")
    version = int.from_bytes(header[_VERSION_AT])
    if version != VERSION:
        raise JournalError(
            f"the journal {path} is of version {version}, and only {VERSION} can be used here"
        )


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """An empty file beside the place of a journal, readable by nobody else; it goes at the end.

    So does what a process left that was killed here; if it lives, it gets a JournalLockedError.
    """
    folder, prefix = path.absolute().parent, f".{path.name}."
    pattern = re.compile(re.escape(prefix) + _LEFT)
    # The file goes before what is beside it, so that who misses that misses the file too.
    for left in sorted(folder.iterdir()):
        if pattern.fullmatch(left.name):
            left.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(_NEW, prefix, folder)
    os.close(handle)
    new = Path(name)
    try:
        yield new
    except JournalError as error:
        if not new.exists():
            raise _overtaken(path) from error
        raise
    finally:
        new.unlink(missing_ok=True)


def name_file(new: Path, path: Path) -> None:
    """Give a file that is whole its name, if no file has it; it outlives a power failure then."""
    try:
        os.link(new, path)
    except (FileExistsError, FileNotFoundError):
        raise _overtaken(path) from None
    with suppress(PermissionError):  # Windows opens no folders
        folder = os.open(path.absolute().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _overtaken(path: Path) -> JournalLockedError:
    return JournalLockedError(f"another job is making the journal {path}")


def has_rest(path: Path) -> bool:
    """Whether the last process left a part of the journal beside it, as one does that dies."""
    rest = _rest(path)
    return rest.exists() and rest.stat().st_size > 0


def drop_empty_rest(path: Path) -> None:
    """Remove the empty one that SQLite begins, and leaves where it cannot read on."""
    rest = _rest(path)
    if rest.exists() and not has_rest(path):
        rest.unlink()


def _rest(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def read_only(path: Path) -> str:
    """An address of the file that SQLite cannot write through."""
    return f"{path.absolute().as_uri()}?mode=ro"


def drop_index(path: Path) -> None:
    """Remove what such an address leaves; who has the journal locked does not need it."""
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
