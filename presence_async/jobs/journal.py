"""The file of a job: its plan, and what became of every item. See docs/jobs.md.

A journal gets its name when it is whole, so a file that is not is damaged. Everything is checked
before the first byte is written: marks (`application_id`, `user_version`), schema, structure, the
plan against its digest, each item against its checksum, for SQLite has none. What fails is left as
it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import stat
import zlib
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

import attrs

from presence_async import converter
from presence_async.errors import JournalError, JournalLockedError
from presence_async.jobs.database import Database
from presence_async.jobs.entries import Entry, State
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
from presence_async.resources.updating import ITEMS, Row, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_SCHEMA: Final = {
    "job": "CREATE TABLE job (digest TEXT NOT NULL)",
    "items": """CREATE TABLE items (
        number INTEGER PRIMARY KEY,
        chunk INTEGER NOT NULL,
        body BLOB NOT NULL,
        guard BLOB,
        state TEXT NOT NULL,
        repeated INTEGER NOT NULL,
        kept BLOB NOT NULL,
        checksum INTEGER NOT NULL
    )""",
}
_INSERT: Final = "INSERT INTO items VALUES (?, ?, ?, ?, 'planned', 0, x'7b7d', ?)"
_UPDATE: Final = "UPDATE items SET state = ?, repeated = ?, kept = ?, checksum = ? WHERE number = ?"
_SELECT: Final = "SELECT number, chunk, body, guard, state, repeated, kept FROM items"
_SELECT_ALL: Final = "SELECT * FROM items WHERE number > ? ORDER BY number LIMIT ?"
# Items that are checked, or made part of a plan, before the loop gets its turn.
_TOGETHER: Final = 200
# Journals that are open in this process, by device and inode: opening and closing a file
# takes away every lock that the process has on it (POSIX), also SQLite's.
_OPEN: Final[set[tuple[int, int]]] = set()


@attrs.frozen
class Plan:
    """What a job is to do: number, chunk, body and guard of each item; a digest of all that."""

    items: Sequence[tuple[int, int, bytes, bytes | None]]
    digest: str

    @classmethod
    async def of(cls, rows: Sequence[Row], guards: Iterable[Wanted] = ()) -> Plan:
        """A plan for rows, and for each what its user must still show, if that matters."""
        digest, items = hashlib.sha256(), []
        kept = map(_guard_to, guards) if guards else repeat(None)
        for number, (chunk, row) in enumerate(_numbered(ITEMS.batches(rows))):
            guard = next(kept)
            _digested(digest, row.body, guard)
            items.append((number, chunk, row.body, guard))
            if not number % _TOGETHER:
                await asyncio.sleep(0)
        return cls(items, digest.hexdigest())

    def parameters(self) -> Iterator[tuple[Any, ...]]:
        """The rows of the table `items`."""
        for number, chunk, body, guard in self.items:
            checksum = _checksum(number, chunk, "planned", 0, b"{}")
            yield number, chunk, body, guard, checksum


def _numbered(batches: Iterable[Iterable[Row]]) -> Iterator[tuple[int, Row]]:
    return ((number, row) for number, batch in enumerate(batches) for row in batch)


class Journal:
    """The open journal of a job, locked until `close`."""

    def __init__(self, path: Path | None) -> None:
        """`path` is None for a journal that is kept in memory only."""
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._database = Database(f"the journal {path or 'in memory'}")
        self.digest = ""

    # -- making and opening

    @property
    def exists(self) -> bool:
        """Whether there is a file of this name."""
        with file_errors():
            return self._path is not None and self._path.exists()

    async def create(self, plan: Plan) -> None:
        """Make the file, whole or not at all; or the tables, in memory."""
        if self._path is None:
            await self._database.connect(":memory:")
            await self._fill(self._database, plan)
            self.digest = plan.digest
            return
        with file_errors(), new_file(self._path) as new:
            database = Database(f"the journal {self._path}")
            try:
                await database.connect(str(new))
                await self._fill(database, plan)
                await database.read("PRAGMA journal_mode = WAL")
            finally:
                await database.close()
            name_file(new, self._path)

    async def _fill(self, database: Database, plan: Plan) -> None:
        await database.write(
            *((statement, None) for statement in _SCHEMA.values()),
            (f"PRAGMA application_id = {APPLICATION}", None),
            (f"PRAGMA user_version = {VERSION}", None),
            ("INSERT INTO job VALUES (?)", [(plan.digest,)]),
            (_INSERT, plan.parameters()),
        )

    async def open(self) -> None:
        """Lock and check the file."""
        path = self._path
        assert path is not None  # noqa: S101  # one in memory is made, not opened
        with file_errors():
            self._register(path)
            check_marks(path)
            if has_rest(path):
                # Closing the file would write what the last process left beside it, so
                # first a look that cannot.
                await self._look(path)
            await self._database.connect(str(path))
            try:
                await self._database.read("PRAGMA locking_mode = EXCLUSIVE")
                await self._database.read("PRAGMA synchronous = FULL")
                self.digest = await self._checked(self._database)
            except JournalError as error:
                if not isinstance(error, JournalLockedError):  # else it is somebody's
                    drop_empty_rest(path)
                raise

    def _register(self, path: Path) -> None:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise JournalError(f"{path} is not a file")
        identity = found.st_dev, found.st_ino
        if identity in _OPEN:
            raise JournalLockedError(f"the journal {path} is in use by another job here")
        _OPEN.add(identity)
        self._identity = identity

    async def _look(self, path: Path) -> None:
        database = Database(f"the journal {path}")
        try:
            await database.connect(read_only(path))
            await self._checked(database)
        finally:
            await database.close()
            drop_index(path)

    async def _checked(self, database: Database) -> str:
        """The digest of the plan, once all of it is found to be right."""
        tables = await database.read("SELECT name, sql FROM sqlite_master")
        if dict(tables) != _SCHEMA:
            raise self._damaged("its tables are others")
        (state,) = (await database.read("PRAGMA quick_check(1)"))[0]
        if state != "ok":
            raise self._damaged(state)
        digests = await database.read("SELECT digest FROM job")
        found = await self._digest_in(database)
        if digests != [(found,)]:
            raise self._damaged("its plan is not whole")
        return found

    def _damaged(self, how: str) -> JournalError:
        return JournalError(f"the journal {self._path} is damaged: {how}")

    async def _digest_in(self, database: Database) -> str:
        """The digest of the plan, every item of which has been compared with its checksum."""
        digest, last = hashlib.sha256(), -1
        while rows := await database.read(_SELECT_ALL, (last, _TOGETHER)):
            for number, chunk, body, guard, state, repeated, kept, checksum in rows:
                _digested(digest, body, guard)
                if checksum != _checksum(number, chunk, state, repeated, kept):
                    raise self._damaged(f"item {number} is not whole")
            last = rows[-1][0]
        return digest.hexdigest()

    async def close(self) -> None:
        """Unlock and close; safe to repeat."""
        try:
            await self._database.close()
        finally:
            _OPEN.discard(self._identity or (0, 0))
            self._identity = None

    # -- entries

    async def save(self, entries: Sequence[Entry]) -> None:
        """Write what has become of some entries, all of them or none."""
        await self._database.write((_UPDATE, [_changes(entry) for entry in entries]))

    async def next_chunk(self, state: State, after: int) -> list[Entry]:
        """The entries in a state of the first chunk that has some behind item `after`."""
        rows = await self._database.read(
            f"{_SELECT} WHERE state = ? AND number > ? ORDER BY number LIMIT ?",
            (state, after, ITEMS.count),
        )
        entries = [_entry(row) for row in rows]
        return [entry for entry in entries if entry.chunk == entries[0].chunk]

    async def page(self, first: int, count: int) -> list[Entry]:
        """Entries by number: at most `count`, from `first` on."""
        rows = await self._database.read(
            f"{_SELECT} WHERE number >= ? ORDER BY number LIMIT ?", (first, count)
        )
        return [_entry(row) for row in rows]

    async def groups(self) -> list[tuple[State, bool, int]]:
        """State, mark of repetition, number of items."""
        rows = await self._database.read(
            "SELECT state, repeated, count(*) FROM items GROUP BY state, repeated"
        )
        return [(state, bool(repeated), count) for state, repeated, count in rows]


def _changes(entry: Entry) -> tuple[Any, ...]:
    """Parameters of `_UPDATE`."""
    values = entry.state, int(entry.repeated), entry.kept
    return *values, _checksum(entry.number, entry.chunk, *values), entry.number


def _entry(columns: Sequence[Any]) -> Entry:
    """An entry from a row of the table `items`."""
    number, chunk, body, guard, state, repeated, kept = columns
    return Entry.from_journal(
        body,
        kept,
        number=number,
        chunk=chunk,
        guard=None if guard is None else Wanted(*converter.loads(guard)),
        state=state,
        repeated=bool(repeated),
        journaled=(state, bool(repeated)),
    )


def _guard_to(guard: Wanted) -> bytes:
    return converter.dumps(attrs.astuple(guard))


def _digested(digest: Any, *parts: object) -> None:
    """Add what an item asks for, as Python writes it: values of other types are others."""
    digest.update(ascii(parts).encode())


def _checksum(*parts: object) -> int:
    """Of what is kept of an item; its flags are numbers, as in the file."""
    return zlib.crc32(ascii(parts).encode())
