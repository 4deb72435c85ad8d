"""SQLite for a job, through aiosqlite, which keeps a thread for it.

A statement that its caller stops waiting for runs on in there. So whatever is begun is waited
for to its end, cancelled or not: the next transaction never starts inside another.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from presence_async.errors import ClosedError, ConfigurationError, JournalError, JournalLockedError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator, Sequence

    import aiosqlite

T = TypeVar("T")
_Statement: TypeAlias = "tuple[str, Iterable[Sequence[Any]] | None]"
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def check_driver() -> None:
    """Raise ConfigurationError where the driver is not installed."""
    try:
        import aiosqlite  # noqa: F401, PLC0415  # an extra: only jobs need it
    except ImportError:
        raise ConfigurationError("jobs need aiosqlite: pip install presence_async[jobs]") from None


async def uncut(work: Coroutine[Any, Any, T]) -> T:
    """Wait for the end of `work`, whatever comes; cancelled meanwhile, raise that then."""
    task = asyncio.get_running_loop().create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from task.exception()
    return task.result()


class Database:
    """One connection; its statements run one after another. Without one: ClosedError."""

    def __init__(self, name: str) -> None:
        """`name` is for messages."""
        self._name = name
        # Held for a transaction, never while anything else is waited for.
        self._lock = asyncio.Lock()
        self._connection: aiosqlite.Connection | None = None

    async def connect(self, target: str) -> None:
        """Open `target`, a path or a `file:` address; nothing is read or locked yet."""
        await uncut(self._in_turn(self._connect(target)))

    async def read(self, statement: str, parameters: Iterable[Any] = ()) -> list[Any]:
        """All rows of one statement."""
        return await uncut(self._in_turn(self._read(statement, parameters)))

    async def write(self, *statements: _Statement) -> None:
        """One transaction: each statement for each of its rows of parameters, or once for None."""
        await uncut(self._in_turn(self._write(statements)))

    async def close(self) -> None:
        """Close the connection, if there is one; its thread has ended then."""
        await uncut(self._in_turn(self._close()))

    async def _connect(self, target: str) -> None:
        import aiosqlite  # noqa: PLC0415  # as above

        self._connection = await aiosqlite.connect(
            # The lock is of the journal's whole life: there is nothing to wait for.
            target,
            isolation_level=None,
            timeout=0,
            uri=target.startswith("file:"),
        )

    async def _read(self, statement: str, parameters: Iterable[Any]) -> list[Any]:
        return list(await self._open.execute_fetchall(statement, parameters))

    async def _write(self, statements: Iterable[_Statement]) -> None:
        connection = self._open
        try:
            await connection.execute("BEGIN IMMEDIATE")
            for statement, rows in statements:
                if rows is None:
                    await connection.execute(statement)
                else:
                    await connection.executemany(statement, rows)
            await connection.commit()
        except BaseException:
            # Nothing happens where the transaction has ended by itself, as with a full disk.
            await connection.rollback()
            raise

    async def _close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    @property
    def _open(self) -> aiosqlite.Connection:
        if self._connection is None:
            raise ClosedError(f"{self._name} is closed")
        return self._connection

    async def _in_turn(self, work: Coroutine[Any, Any, T]) -> T:
        async with self._lock:
            with self._translated():
                return await work

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:  # of a message about a bad file
            # Of an extended code the lowest byte is the primary one.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY:
                raise JournalLockedError(
                    f"{self._name} is in use by another job, here or in another process"
                ) from error
            raise JournalError(f"{self._name} cannot be used: {error}") from error
