"""The file of a job: its plan, and what became of every item.

A journal is an SQLite database that is marked as ours (`application_id`, `user_version`),
written ahead (WAL) and synced with every transaction, and locked for as long as a job has
it open. The lock is the operating system's: it goes with the process, however that ends.

It is made under another name and gets its own when it is whole. So what is found under
that name is either a journal or somebody else's file, and a file that is not whole is
damaged. Everything is checked before the first byte is written: marks, schema, structure,
and the plan against its digest. What fails is left as it was.

It holds presences, so only its owner may read it.
"""

from __future__ import annotations

import hashlib
import stat
from datetime import datetime
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

import attrs

from presence_async import converter
from presence_async.errors import JournalError, JournalLockedError
from presence_async.jobs.database import Database
from presence_async.jobs.entries import Entry, State, error_from, error_to
from presence_async.jobs.files import (
    APPLICATION,
    VERSION,
    check_marks,
    drop_index,
    file_errors,
    has_rest,
    name_file,
    new_file,
    read_only,
)
from presence_async.models import UcUserPresence, UserPresence
from presence_async.resources.updating import ITEMS, Row, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["Journal", "Plan"]

_SCHEMA: Final = {
    "job": "CREATE TABLE job (digest TEXT NOT NULL)",
    "items": """CREATE TABLE items (
        number INTEGER PRIMARY KEY,
        chunk INTEGER NOT NULL,
        user_id TEXT NOT NULL,
        source TEXT NOT NULL,
        registered INTEGER NOT NULL,
        body BLOB NOT NULL,
        guard BLOB,
        state TEXT NOT NULL,
        repeated INTEGER NOT NULL,
        sends INTEGER NOT NULL,
        since TEXT,
        sent_at REAL,
        finished_at REAL,
        before BLOB,
        after BLOB,
        error BLOB
    )""",
    "chunks": "CREATE INDEX chunks ON items (state, chunk)",
}
_COLUMNS: Final = (
    "number, chunk, user_id, source, registered, body, guard, state, repeated, sends, since, "
    "sent_at, finished_at, before, after, error"
)
_INSERT: Final = (
    "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, 'planned', 0, 0, NULL, NULL, NULL, NULL, "
    "NULL, NULL)"
)
_UPDATE: Final = (
    "UPDATE items SET state = ?, repeated = ?, sends = ?, since = ?, sent_at = ?, "
    "finished_at = ?, before = ?, after = ?, error = ? WHERE number = ?"
)
# As bytes, whatever a damaged file holds.
_SELECT_PLAN: Final = (
    "SELECT CAST(user_id AS BLOB), CAST(source AS BLOB), CAST(registered AS BLOB), "
    "CAST(body AS BLOB), CAST(guard AS BLOB) "
    "FROM items WHERE number >= ? AND number < ? ORDER BY number"
)
_REOPEN: Final = (
    "UPDATE items SET error = NULL, after = NULL, finished_at = NULL, "
    "state = CASE state WHEN 'rejected' THEN 'planned' ELSE 'in flight' END "
    "WHERE state IN ('rejected', 'unknown')"
)
# Plans are read to be checked in parts, of so many items.
_PAGE: Final = 2000
# Journals that are open in this process, by device and inode: opening and closing a file
# takes away every lock that the process has on it (POSIX), also SQLite's.
_OPEN: Final[set[tuple[int, int]]] = set()


@attrs.frozen
class Plan:
    """What a job is to do.

    Attributes:
        rows: Checked and encoded, in order.
        guards: For each row what its user must still show; empty where that is no matter.
    """

    rows: Sequence[Row]
    guards: Sequence[Wanted] = ()

    @property
    def digest(self) -> str:
        """The same for the same items in the same order, and for no others."""
        digest = hashlib.sha256()
        for row, guard in zip(self.rows, self._guards(), strict=True):
            ids = row.user_id.encode(), row.source.encode(), b"%d" % row.registered
            _digested(digest, [(*ids, row.body, guard)])
        return digest.hexdigest()

    def _guards(self) -> Iterator[bytes | None]:
        return map(_guard_to, self.guards or repeat(None, len(self.rows)))

    def parameters(self) -> Iterator[tuple[Any, ...]]:
        """The rows of the table `items`."""
        guards = self._guards()
        number = 0
        for chunk, rows in enumerate(ITEMS.batches(self.rows)):
            for row in rows:
                place = number, chunk, row.user_id, row.source, row.registered
                yield *place, row.body, next(guards)
                number += 1


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
        return self._path is not None and self._path.exists()

    async def create(self, plan: Plan) -> None:
        """Make the file, whole or not at all; or the tables, in memory.

        Raises:
            JournalError: It cannot be written.
            JournalLockedError: Another process has made one of this name meanwhile.
        """
        if self._path is None:
            await self._database.connect(":memory:")
            await self._fill(self._database, plan)
            self.digest = plan.digest
            return
        with file_errors():
            new = new_file(self._path)
            database = Database(f"the journal {self._path}")
            try:
                await database.connect(str(new))
                await self._fill(database, plan)
                await database.read("PRAGMA journal_mode = WAL")
                await database.close()
                name_file(new, self._path)
            finally:
                await database.close()
                new.unlink(missing_ok=True)

    async def _fill(self, database: Database, plan: Plan) -> None:
        await database.write(
            *((statement, None) for statement in _SCHEMA.values()),
            (f"PRAGMA application_id = {APPLICATION}", None),
            (f"PRAGMA user_version = {VERSION}", None),
            ("INSERT INTO job VALUES (?)", [(plan.digest,)]),
            (_INSERT, plan.parameters()),
        )

    async def open(self) -> None:
        """Lock and check the file.

        Raises:
            JournalError: It is none of ours, or damaged. It is left as it was.
            JournalLockedError: Another job has it open, here or in another process.
        """
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
            await self._database.read("PRAGMA locking_mode = EXCLUSIVE")
            await self._database.read("PRAGMA synchronous = FULL")
            self.digest = await self._checked(self._database)

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
            raise JournalError(f"the journal {self._path} is damaged: its tables are others")
        (state,) = (await database.read("PRAGMA quick_check(1)"))[0]
        if state != "ok":
            raise JournalError(f"the journal {self._path} is damaged: {state}")
        digests = await database.read("SELECT digest FROM job")
        found = await _digest_in(database)
        if digests != [(found,)]:
            raise JournalError(f"the journal {self._path} is damaged: its plan is not whole")
        return found

    async def close(self) -> None:
        """Unlock and close; safe to repeat."""
        await self._database.close()
        _OPEN.discard(self._identity or (0, 0))
        self._identity = None

    # -- entries

    async def save(self, entries: Sequence[Entry]) -> None:
        """Write what has become of some entries, all of them or none."""
        await self._database.write((_UPDATE, [_changes(entry) for entry in entries]))

    async def next_chunk(self, state: State, after: int) -> list[Entry]:
        """The entries in a state of the next chunk behind `after` that has some."""
        rows = await self._database.read(
            f"SELECT {_COLUMNS} FROM items WHERE state = ?1 AND chunk = (SELECT min(chunk) "  # noqa: S608  # our own words
            "FROM items WHERE state = ?1 AND chunk > ?2) ORDER BY number",
            (state, after),
        )
        return [_entry(row) for row in rows]

    async def page(self, first: int, count: int) -> list[Entry]:
        """Entries by number: at most `count`, from `first` on."""
        rows = await self._database.read(
            f"SELECT {_COLUMNS} FROM items WHERE number >= ? ORDER BY number LIMIT ?",  # noqa: S608  # our own words
            (first, count),
        )
        return [_entry(row) for row in rows]

    async def groups(self) -> list[tuple[State, bool, int]]:
        """State, mark of repetition, number of items."""
        rows = await self._database.read(
            "SELECT state, repeated, count(*) FROM items GROUP BY state, repeated"
        )
        return [(state, bool(repeated), count) for state, repeated, count in rows]

    async def reopen(self) -> None:
        """Rejected items are planned again; unknown ones are as good as in flight."""
        await self._database.write(
            (_REOPEN, None),
        )


def _changes(entry: Entry) -> tuple[Any, ...]:
    """Parameters of `_UPDATE`."""
    return (
        entry.state,
        entry.repeated,
        entry.sends,
        entry.since and entry.since.isoformat(),
        entry.sent_at,
        entry.finished_at,
        entry.before and converter.to_json(entry.before),
        entry.after and converter.to_json(entry.after),
        error_to(entry.error),
        entry.number,
    )


def _entry(columns: Sequence[Any]) -> Entry:
    """An entry from a row of the table `items`."""
    (number, chunk, user_id, source, registered, body, guard, state, repeated, *rest) = columns
    sends, since, sent_at, finished_at, before, after, error = rest
    return Entry.of(
        user_id,
        source,
        body,
        registered=bool(registered),
        number=number,
        chunk=chunk,
        guard=None if guard is None else Wanted(*converter.loads(guard)),
        state=state,
        repeated=bool(repeated),
        sends=sends,
        since=None if since is None else datetime.fromisoformat(since),
        sent_at=sent_at,
        finished_at=finished_at,
        before=None if before is None else converter.structure(before, UcUserPresence),
        after=None if after is None else converter.structure(after, UserPresence),
        error=error_from(error),
        journaled=(state, bool(repeated)),
    )


def _guard_to(guard: Wanted | None) -> bytes | None:
    return None if guard is None else converter.dumps(attrs.astuple(guard))


def _digested(digest: Any, rows: Iterable[Iterable[bytes | None]]) -> None:
    """What the rows of a plan say, each part with its length, so that nothing runs together."""
    for row in rows:
        for part in row:
            digest.update(b"%d:%b" % (len(part or b""), part or b""))


async def _digest_in(database: Database) -> str:
    digest, first = hashlib.sha256(), 0
    while rows := await database.read(_SELECT_PLAN, (first, first + _PAGE)):
        _digested(digest, rows)
        first += _PAGE
    return digest.hexdigest()
