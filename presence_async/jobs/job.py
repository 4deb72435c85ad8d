"""`BulkUpdateJob`: a bulk update that finishes, however often it is killed."""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, TypeAlias

from presence_async.errors import ClosedError, InvalidRequestError, JournalError
from presence_async.fanout import FanOut, check_concurrency
from presence_async.jobs.database import check_driver
from presence_async.jobs.deciding import taken_back
from presence_async.jobs.entries import OPEN, Counts, DryRunOutcome, JobOutcome, JobSummary
from presence_async.jobs.export import lines_of
from presence_async.jobs.journal import Journal, Plan
from presence_async.jobs.running import Chunks, Options, Run, dry_run
from presence_async.outcomes import OnProgress, tally_of
from presence_async.resources.bulk import check_on_outcome, check_settling_time
from presence_async.resources.settling import SETTLING_TIME
from presence_async.resources.updating import UpdateItem, Wanted, checked_items, encoded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from presence_async.client import PresenceClient
    from presence_async.jobs.entries import Entry
    from presence_async.outcomes import Tally

__all__ = ["BulkUpdateJob"]

_LOGGER: Final = logging.getLogger("presence_async.jobs")
_PAGE: Final = 100
_JournalPath: TypeAlias = str | os.PathLike[str]
_OnOutcome: TypeAlias = Callable[[JobOutcome], object]


class BulkUpdateJob:
    """A bulk update whose plan, and every step of it, are in a journal.

        async with BulkUpdateJob(client, "moves.journal", items) as job:
            summary = await job.run()

    The same lines start it and start it again after whatever ended it. No item is lost, and what
    was on its way is found out about before it is sent again. How, and with what limits:
    docs/jobs.md. The journal is an SQLite file (with its `-wal` beside it), locked while the job
    is open and readable by its owner only, for it holds presences.
    """

    def __init__(
        self,
        client: PresenceClient,
        journal: _JournalPath | None,
        items: Iterable[UpdateItem] | AsyncIterable[UpdateItem] | None = None,
        *,
        undo: _JournalPath | None = None,
        source: str = "PURECLOUD",
        concurrency: int = 4,
        settle: bool = True,
        settling_time: float = SETTLING_TIME,
    ) -> None:
        """Nothing is opened before `async with`.

        Args:
            client: An open client.
            journal: Path of the journal; made where there is none. None keeps it in memory,
                which will do for a dry run only.
            items: As for `client.bulk.update`. Where the journal exists they may be left
                out; given, they must be those it was made for, in the same order.
            undo: Journal of another job, instead of items: put back what it changed, but of
                nobody who has moved on since.
            source: Source name for the items that name none.
            concurrency: Requests in flight at most; without settling, so many may be repeated
                after a kill.
            settle: False reads nothing back: what was on its way when an earlier run ended
                is sent again, and marked `repeated`; what is lost otherwise is unknown.
            settling_time: Seconds from losing a request, or from starting again, to reading
                back: it may still be applied.

        Raises:
            ConfigurationError: aiosqlite is missing: ``pip install presence_async[jobs]``.
            InvalidRequestError: An argument that is none of these; `field` names it.
        """
        check_driver()
        check_settling_time(settling_time)
        if items is not None and undo is not None:
            raise InvalidRequestError("give either items or undo", field="undo")
        self._access = client.bulk.access
        self._options = Options(check_concurrency(concurrency), settle, settling_time)
        self._path = None if journal is None else _path("journal", journal)
        self._undo = None if undo is None else _path("undo", undo)
        self._items: Any = items
        self._source = source
        self._state: Literal["not entered", "open", "closed"] = "not entered"
        self._running = False
        self._works: weakref.WeakSet[FanOut[Any]] = weakref.WeakSet()
        self._going = asyncio.Event()
        self._going.set()

    # -- lifetime

    async def __aenter__(self) -> Self:
        """Open, lock and check the journal; plan the job where there is none.

        Raises:
            JournalLockedError: Another job has the journal open.
            JournalError: It is no journal, is damaged, or was made for other items; or there
                is none, and no items.
            InvalidRequestError: An item that is none; `field` names it.
            PresenceError: A system presence could not be looked up. Nothing has been sent.
        """
        if self._state != "not entered":
            raise ClosedError(f"the job is {self._state}; it is entered once")
        self._state = "open"
        self._journal = Journal(self._path)
        try:
            await self._open(self._journal)
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End whatever of it runs, and close and unlock the journal; safe to repeat."""
        if self._state != "open":
            return
        self._state = "closed"
        try:
            for work in list(self._works):
                await work.aclose()
        finally:
            await self._journal.close()

    async def _open(self, journal: Journal) -> None:
        exists = journal.exists
        if exists:
            await journal.open()
        plan = await self._plan()
        if not exists:
            if plan is None:
                raise JournalError(f"there is no journal {self._path}, and there are no items")
            await journal.create(plan)
            if self._path is not None:
                await journal.open()
        if plan is not None and journal.digest != plan.digest:
            raise JournalError(f"the journal {self._path} was made for other items")
        self._counts = Counts(await journal.groups())

    async def _plan(self) -> Plan | None:
        """The items, checked and encoded; they are not kept."""
        items, self._items = self._items, None
        guards: list[Wanted] = []
        if self._undo is not None:
            items = []
            async for item, guard in _taken_back(self._undo):
                items.append(item)
                guards.append(guard)
        if items is None:
            return None
        checked = await checked_items(items, self._source)
        return await Plan.of(await encoded(checked, self._access.system_presences), guards)

    # -- running

    @property
    def summary(self) -> JobSummary:
        """How many items are where, right now; also after the end."""
        if not hasattr(self, "_counts"):
            raise ClosedError(_UNUSABLE)
        return self._counts.summary

    async def run(
        self,
        *,
        on_outcome: _OnOutcome | None = None,
        on_progress: OnProgress | None = None,
    ) -> JobSummary:
        """Do what is still to do.

        Each user is read before it is sent; who shows the wanted presence already is left
        alone (`unchanged`). Any of `presence:userPresence:edit`.

        Args:
            on_outcome: A plain function that is called with every outcome of this run, once
                it is in the journal. What it raises is logged.
            on_progress: Called with a `Progress` at the start and about once a chunk. What
                earlier runs did counts.

        Returns:
            The summary, with everything done.

        Raises:
            AuthenticationError, RateLimitedError: Refused credentials, or a budget spent for
                longer than the client's `max_wait`. What was in flight has ended.
            ClosedError: The job is not open, runs already, or was closed meanwhile, or the
                client was. The next run settles what was in flight.
            JournalError: The journal is in memory only, or could not be written.
            asyncio.CancelledError: As with ClosedError.
        """
        return await self._run(on_outcome, on_progress)

    async def _run(
        self,
        on_outcome: _OnOutcome | None,
        on_progress: OnProgress | None,
        *,
        again: bool = False,
    ) -> JobSummary:
        check_on_outcome(on_outcome)
        tally = tally_of(on_progress, range(self.summary.total))
        journal = self._usable()
        if self._path is None:
            raise JournalError("a job without a journal can be run dry only")
        if self._running:
            raise ClosedError("the job runs already")
        chunks = Chunks(journal, self._counts, self._going)
        report = partial(self._report, tally, on_outcome)
        run = Run(
            journal,
            self._counts,
            chunks,
            send=self._access.send,
            options=self._options,
            report=report,
        )
        self._running = True
        try:
            if again:
                await run.reopen()
            report(())
            if tally is not None:
                tally.start(asyncio.get_running_loop())
            async with self._fan_out(run.step, chunks) as work:
                await anext(work, None)  # a step has no outcome; this is the end of all
        finally:
            self._running = False
        if chunks.reason is not None:
            raise chunks.reason
        return self.summary

    async def retry_failed(
        self,
        *,
        on_outcome: _OnOutcome | None = None,
        on_progress: OnProgress | None = None,
    ) -> JobSummary:
        """Do the rejected and the unknown items again, and whatever is still to do.

        The unknown ones are settled first: what turns out to be applied is not sent again.
        Arguments, result and errors are those of `run`.
        """
        return await self._run(on_outcome, on_progress, again=True)

    def dry_run(self, *, on_progress: OnProgress | None = None) -> FanOut[DryRunOutcome]:
        """What a run would do with every item that is still to do; only reads are sent.

            async for outcome in job.dry_run(): ...

        Args:
            on_progress: Called with a `Progress` at the start and after every chunk.

        Returns:
            An async iterator of one `DryRunOutcome` per item that has no outcome yet; await
            it for a list. What would stop a run is raised there.
        """
        journal, summary = self._usable(), self.summary
        tally = tally_of(on_progress, range(summary.total - summary.done))
        chunks = Chunks(journal, self._counts, self._going)
        return self._fan_out(partial(dry_run, self._access.send), chunks, tally)

    def pause(self) -> None:
        """Begin nothing new; what is in flight finishes, and `run` goes on waiting."""
        self._going.clear()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._going.set()

    @property
    def paused(self) -> bool:
        """Whether `pause` was the last of the two that was called."""
        return not self._going.is_set()

    # -- results

    async def outcomes(self) -> AsyncGenerator[JobOutcome, None]:
        """The outcomes there are so far, of all runs, in the order of the items."""
        first = 0
        while page := await self._usable().page(first, _PAGE):
            for entry in page:
                if entry.state not in OPEN:
                    yield JobOutcome.of(entry)
            first = page[-1].number + 1

    async def export(self, file: TextIO, form: Literal["csv", "jsonl"] = "csv") -> int:
        """Write the outcomes there are so far, a hundred at a time.

        Args:
            file: A text file that is open for writing; one for CSV with ``newline=""``.
            form: "csv", or "jsonl" for JSON Lines. In CSV a cell that a spreadsheet would
                take for a formula has an apostrophe before it.

        Returns:
            How many outcomes there were.

        Raises:
            InvalidRequestError: A `form` that is neither.
        """
        header, line = lines_of(form)
        file.write(header)
        count = 0
        async with aclosing(self.outcomes()) as outcomes:
            async for outcome in outcomes:
                file.write(line(outcome))
                count += 1
        return count

    # -- inside

    def _usable(self) -> Journal:
        if self._state != "open":
            raise ClosedError(_UNUSABLE if self._state == "not entered" else "the job is closed")
        return self._journal

    def _fan_out(self, step: Any, chunks: Chunks, tally: Tally | None = None) -> FanOut[Any]:
        work: FanOut[Any] = FanOut(
            step,
            chunks,
            concurrency=self._options.concurrency,
            ordered=True,
            on_start=self._access.adopt,
            tally=tally,
        )
        self._works.add(work)
        return work

    def _report(
        self, tally: Tally | None, on_outcome: _OnOutcome | None, entries: Sequence[Entry]
    ) -> None:
        """Entries that have just got their outcome."""
        if on_outcome is not None:
            for entry in entries:
                try:
                    on_outcome(JobOutcome.of(entry))
                except Exception:
                    _LOGGER.exception("on_outcome failed")
        if tally is not None:
            summary = self.summary
            tally.counted(summary.done, summary.failed)

    def __repr__(self) -> str:
        return f"<BulkUpdateJob {self._path or 'in memory'} {self._state}>"


_UNUSABLE: Final = "the job is not entered: use it inside `async with`"


def _path(name: str, value: Any) -> Path:
    """Absolute and without links, as SQLite names what it keeps beside the file."""
    try:
        return Path(os.path.realpath(value))
    except (TypeError, ValueError):  # no path, or one with a null character
        raise InvalidRequestError(f"{name} must be a path, not {value!r}", field=name) from None


async def _taken_back(path: Path) -> AsyncIterator[tuple[Any, Wanted]]:
    """The items that take back the job of another journal."""
    journal = Journal(path)
    try:
        await journal.open()
        first = 0
        while page := await journal.page(first, _PAGE):
            for entry in page:
                found = taken_back(entry)
                if found is not None:
                    yield found
            first = page[-1].number + 1
    finally:
        await journal.close()
