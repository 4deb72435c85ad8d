"""SQLite behind a job: whole transactions, and errors that say what to do."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from presence_async.errors import ClosedError, ConfigurationError, JournalError, JournalLockedError
from presence_async.jobs.database import Database, check_driver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.real_loop


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    """One in memory, with a table."""
    database = Database("it")
    await database.connect(":memory:")
    await database.write(("CREATE TABLE t (n INTEGER PRIMARY KEY)", None))
    yield database
    await database.close()


async def numbers(database: Database) -> list[int]:
    """What is in the table."""
    return [number for (number,) in await database.read("SELECT n FROM t ORDER BY n")]


INSERT = "INSERT INTO t VALUES (?)"


async def test_a_transaction_is_whole(database: Database) -> None:
    """All of its statements take effect, or none."""
    await database.write((INSERT, [(1,), (2,)]), (INSERT, [(3,)]))
    with pytest.raises(JournalError, match="it cannot be used: UNIQUE constraint failed"):
        await database.write((INSERT, [(4,)]), (INSERT, [(1,)]))
    assert await numbers(database) == [1, 2, 3]


@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_it_is_whole_as_well(database: Database, turns: int) -> None:
    """The cancellation is heard at the end of the transaction, which has taken effect."""
    rows = [(number,) for number in range(2000)]
    task = asyncio.ensure_future(database.write((INSERT, rows), (INSERT, [(9999,)])))
    await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0.0002)
    if not task.done():
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(await numbers(database)) == 2001


async def test_a_failure_is_the_cause_of_the_cancellation(database: Database) -> None:
    """It is not swallowed."""
    task = asyncio.ensure_future(database.read("SELECT nothing"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    assert isinstance(cancelled.value.__cause__, JournalError)


async def test_transactions_wait_for_one_another(database: Database) -> None:
    """A hundred at once are a hundred one after another."""
    await asyncio.gather(*(database.write((INSERT, [(n,)])) for n in range(100)))
    assert await numbers(database) == list(range(100))


async def test_closed_it_cannot_be_used(database: Database) -> None:
    """Closing may be repeated."""
    await database.close()
    await database.close()
    with pytest.raises(ClosedError, match="it is closed"):
        await database.read("SELECT 1")


async def test_what_is_locked_says_so(tmp_path: Path) -> None:
    """At once: nobody waits for a lock that is held for a job's life."""
    first, second = Database("first"), Database("second")
    await first.connect(str(tmp_path / "x"))
    await second.connect(str(tmp_path / "x"))
    try:
        await first.read("PRAGMA locking_mode = EXCLUSIVE")
        await first.write(("CREATE TABLE t (n)", None))
        with pytest.raises(JournalLockedError, match="second is in use by another job"):
            await second.read("SELECT * FROM t")
    finally:
        await first.close()
        await second.close()


def test_without_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    check_driver()
    monkeypatch.setitem(sys.modules, "aiosqlite", None)
    with pytest.raises(ConfigurationError, match=r"pip install presence_async\[jobs\]"):
        check_driver()
