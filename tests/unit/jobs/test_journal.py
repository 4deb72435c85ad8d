"""The journal file: made whole, locked, checked, and never touched when it is not right."""

# ruff: noqa: ASYNC220, ASYNC240, S603  # small files, our own code in another process

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from unit.jobs.vendor import BUSY, MEAL, planned

from presence_async.errors import InvalidRequestError, JournalError, JournalLockedError
from presence_async.jobs.journal import Journal, Plan
from presence_async.models import PresenceDefinition, UcUserPresence, UserPresence
from presence_async.resources.updating import Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.real_loop

USERS = [f"user-{number}" for number in range(120)]
ROWS = [planned(user) for user in USERS]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is to be."""
    return tmp_path / "moves.journal"


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Journal]:
    """A journal that is there, or is made."""
    journal = Journal(path)
    try:
        if not journal.exists:
            await journal.create(await Plan.of(ROWS))
        await journal.open()
        yield journal
    finally:
        await journal.close()


async def test_a_plan_is_kept_and_comes_back_by_chunks(path: Path) -> None:
    """Fifty to a chunk, in order; nobody else may read the file."""
    async with opened(path) as journal:
        assert journal.digest == (await Plan.of(ROWS)).digest
        assert await journal.groups() == [("planned", False, 120)]
        first = await journal.next_chunk("planned", -1)
        second = await journal.next_chunk("planned", 49)
        rest = await journal.next_chunk("planned", 60)
        assert [entry.user_id for entry in first + second] == USERS[:100]
        assert [entry.user_id for entry in rest] == USERS[61:100]
        assert await journal.next_chunk("planned", 119) == []
        assert await journal.next_chunk("in flight", -1) == []
        assert [entry.number for entry in await journal.page(110, 5)] == [*range(110, 115)]
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["moves.journal"]  # noqa: PTH208


async def test_everything_about_an_entry_comes_back(path: Path) -> None:
    """Also after the journal was closed."""
    definition = PresenceDefinition(id=MEAL)
    async with opened(path) as journal:
        (entry,) = await journal.page(3, 1)
        entry.before = UcUserPresence(presence_definition=definition, message="x")
        entry.since, entry.sent_at, entry.sends = None, 5.0, 2
        entry.repeated = True
        error = InvalidRequestError("bad", status=400)
        entry.end("rejected", 6.5, error, UserPresence(presence_definition=definition))
        await journal.save([entry])
    async with opened(path) as journal:
        (again,) = await journal.page(3, 1)
        names = "before after since sent_at finished_at sends repeated state body item"
        for name in names.split():
            assert getattr(again, name) == getattr(entry, name)
        assert repr(again.error) == repr(entry.error)
        assert again.journaled == ("rejected", True)
        assert await journal.groups() == [("planned", False, 119), ("rejected", True, 1)]


async def test_guards_are_part_of_the_plan(path: Path) -> None:
    """They come back, and count in the digest."""
    guards = [Wanted(BUSY), Wanted(None, "x")]
    guarded = await Plan.of(ROWS[:2], guards)
    assert guarded.digest != (await Plan.of(ROWS[:2])).digest
    journal = Journal(path)
    await journal.create(guarded)
    async with opened(path) as journal:
        assert [entry.guard for entry in await journal.page(0, 9)] == guards


async def test_one_in_memory_leaves_nothing(tmp_path: Path) -> None:
    """It is made, never opened."""
    journal = Journal(None)
    assert not journal.exists
    plan = await Plan.of(ROWS)
    await journal.create(plan)
    assert journal.digest == plan.digest
    assert len(await journal.page(0, 500)) == 120
    await journal.close()
    assert list(tmp_path.iterdir()) == []


async def test_an_empty_plan(path: Path) -> None:
    """Nothing to do is done."""
    journal = Journal(path)
    await journal.create(await Plan.of([]))
    async with opened(path) as journal:
        assert await journal.groups() == []


async def test_two_cannot_have_it_open(path: Path) -> None:
    """Not in one process, nor under another name of the file; then it is free again."""
    async with opened(path):
        link = path.with_name("link")
        link.symlink_to(path)
        for name in (path, link):
            with pytest.raises(JournalLockedError, match="in use by another job here"):
                async with opened(name):
                    pass
    async with opened(path):
        pass


HOLD = """
import asyncio, sys
from pathlib import Path
from presence_async.jobs.journal import Journal

async def main():
    journal = Journal(Path(sys.argv[1]))
    await journal.open()
    (entry,) = await journal.page(0, 1)
    if sys.argv[2] == "write":
        entry.end("applied", 1.0)
        await journal.save([entry])
    print("held", flush=True)
    sys.stdin.readline()

asyncio.run(main())
"""


async def test_closing_is_not_cut_off(path: Path) -> None:
    """Cancelled meanwhile, it is free for the next all the same."""
    for turns in range(6):
        async with opened(path) as journal:
            closing = asyncio.ensure_future(journal.close())
            for _ in range(turns + 1):
                await asyncio.sleep(0)
            closing.cancel()
            with suppress(asyncio.CancelledError):
                await closing
            async with opened(path):
                pass


@pytest.mark.parametrize("what", ["write", "hold"])
async def test_another_process_has_it(path: Path, what: str) -> None:
    """The lock goes with the process when it is killed, and what it wrote is there."""
    async with opened(path):
        pass
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(JournalLockedError, match="in use by another job"):
            async with opened(path):
                pass
        assert path.with_name("moves.journal-wal").exists()
        process.kill()
        process.wait()
    async with opened(path) as journal:
        counts = {state: count for state, _, count in await journal.groups()}
        assert counts.get("applied", 0) == (what == "write")
        assert sum(counts.values()) == 120
    assert os.listdir(path.parent) == ["moves.journal"]  # noqa: PTH208


def contents(folder: Path) -> dict[str, bytes]:
    """Every file there."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


async def test_somebody_elses_file(path: Path) -> None:
    """Text, nothing at all, another database, a folder: refused and left as they are."""
    other = sqlite3.connect(path.with_name("other"))
    other.execute("CREATE TABLE t (n)")
    other.close()
    path.with_name("text").write_text("x" * 500)
    path.with_name("empty").touch()
    before = contents(path.parent)
    path.with_name("folder").mkdir()
    for name in ("other", "text", "empty", "folder"):
        with pytest.raises(JournalError):
            async with opened(path.with_name(name)):
                pass
    path.with_name("folder").rmdir()
    assert contents(path.parent) == before


async def test_a_damaged_journal(path: Path) -> None:
    """Cut short, or with any part of it overwritten: refused and left as it is."""
    async with opened(path):
        pass
    whole = path.read_bytes()
    damaged = [whole[: len(whole) // 2], whole[:4096], whole[:200]]
    damaged += [
        whole[:place] + b"\xff" * 64 + whole[place + 64 :]
        for place in range(4096, len(whole) - 64, 4096)
    ]
    # One letter of a state, and of what is kept: SQLite has nothing to find out by.
    for word in (b"planned", b"{}"):
        place = whole.rindex(word)
        damaged.append(whole[:place] + b"x" + whole[place + 1 :])
    # A schema that is no text, which breaks even the message about it.
    place = whole.index(b"chunk INTEGER")
    damaged.append(whole[:place] + b"\xe7" + whole[place + 1 :])
    index = whole.index(USERS[60].encode())
    damaged.append(whole[:index] + b"somebody" + whole[index + 8 :])
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(JournalError):
            async with opened(path):
                pass
        assert contents(path.parent) == {path.name: content}


async def test_other_tables(path: Path) -> None:
    """A journal is what has our tables and no others."""
    async with opened(path):
        pass
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE notes (n)")
    database.close()
    before = contents(path.parent)
    with pytest.raises(JournalError, match="its tables are others"):
        async with opened(path):
            pass
    assert contents(path.parent) == before


async def test_a_body_that_was_changed(path: Path) -> None:
    """The plan is compared with its digest, for SQLite would not notice."""
    async with opened(path):
        pass
    database = sqlite3.connect(path)
    database.execute("UPDATE items SET body = replace(body, 'd-busy', 'd-meal') WHERE number = 7")
    database.commit()
    database.close()
    with pytest.raises(JournalError, match="its plan is not whole"):
        async with opened(path):
            pass


async def test_damaged_with_a_rest_of_a_dead_process(path: Path) -> None:
    """The rest is not written into a journal that is damaged."""
    async with opened(path) as journal:
        (entry,) = await journal.page(0, 1)
        entry.end("applied", 1.0)
        await journal.save([entry])
        copied = path.with_name("copy.journal")
        shutil.copy(f"{path}-wal", f"{copied}-wal")
        whole = path.read_bytes()
    copied.write_bytes(whole[: len(whole) // 2])
    before = contents(path.parent)
    assert before["copy.journal-wal"]
    with pytest.raises(JournalError):
        async with opened(copied):
            pass
    assert contents(path.parent) == before


async def test_it_cannot_be_made_there(path: Path) -> None:
    """No such folder; or somebody makes one of this name meanwhile."""
    with pytest.raises(JournalError, match="No such file"):
        await Journal(path / "x" / "y").create(await Plan.of(ROWS))
    with pytest.raises(JournalError, match="too long"):
        assert Journal(path.with_name("x" * 300)).exists
    path.touch()
    with pytest.raises(JournalLockedError, match="another job is making"):
        await Journal(path).create(await Plan.of(ROWS))
    assert contents(path.parent) == {path.name: b""}
