"""`bulk-update`: presences from a file, by a job with a journal that survives its process."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from presence_async.cli.connection import add_connected, connect
from presence_async.cli.exit_codes import DONE, PARTLY, USAGE
from presence_async.cli.files import FORMATS, STANDARD_INPUT, format_of, read_rows
from presence_async.cli.interruption import interruptible
from presence_async.cli.output import Output
from presence_async.cli.records import dry_run_json, dry_run_line, outcome_json, outcome_line
from presence_async.cli.values import seconds
from presence_async.errors import ConfigurationError, JournalError, PresenceError
from presence_async.jobs.job import BulkUpdateJob
from presence_async.rows import RowsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from presence_async.client import PresenceClient
    from presence_async.jobs.entries import JobOutcome, JobSummary
    from presence_async.rows import UpdateRow

_DESCRIPTION = """\
Changes the presences of the users in FILE, and keeps in a journal what became of each. Killed at
any moment and started again with the same command line, it goes on where it was: nobody is
forgotten, and nobody who has moved on meanwhile is overwritten.

The columns of FILE are user_id or email; one of definition_id, definition_label, system_presence;
message, primary, source. Every bad row is told before anything is sent.

On a terminal only what was not applied is told, for people; elsewhere each outcome is a JSON
object on a line of its own.
"""
_EPILOG = """\
which journal:
  There is none yet         it is made, and the job begins
  Unfinished, of this FILE  the job goes on
  Finished, of this FILE    exit code 4: this was done already. Another run needs another journal.
                            With --resume that is no error
  Of another FILE           exit code 4, always

"""
_UNDO: Final = ".undo"


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `bulk-update` and its options to the commands."""
    parser = add_connected(
        commands,
        "bulk-update",
        what="change the presences of the users in a file, whatever happens meanwhile",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        concurrency=4,
    )
    add = parser.add_argument
    add("file", nargs="?", metavar="FILE", help="rows of CSV or JSON Lines; - is standard input")
    add("--journal", metavar="FILE", help="where the job keeps what it has done")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument(
        "--resume",
        action="store_true",
        help="go on with the job of the journal; FILE may be left out, and a finished job is "
        "no error",
    )
    modes.add_argument(
        "--retry-failed",
        action="store_true",
        help="send again what the job of the journal could not apply; FILE may be left out",
    )
    add(
        "--undo",
        action="store_true",
        help="give back what the job of the journal has changed; the journal of that is beside "
        "it, with .undo at the end",
    )
    what = "tell what would be changed, and change nothing"
    add("--dry-run", action="store_true", help=what)
    what = "write all outcomes here at the end: .csv or .jsonl"
    add("--export", metavar="FILE", help=what)
    add("--format", choices=FORMATS, help="what FILE is (default: what its name says)")
    what = "presence source of the rows that name none (default: %(default)s)"
    add("--source", default="PURECLOUD", metavar="NAME", help=what)
    what = "from losing a request to looking what became of it (default: %(default)g)"
    add("--settling-time", type=seconds, default=15.0, metavar="SECONDS", help=what)


async def run(options: argparse.Namespace) -> int:
    """Begin the job, or go on with it; returns the exit code."""
    _check(options)
    client = connect(options)
    with interruptible(), Output("updating presences") as output:
        try:
            rows = None if options.file is None else read_rows(options.file, options.format)
            async with client:
                return await _work(client, rows, options, output)
        except RowsError as error:
            _tell_bad_rows(error, options, output)
            return USAGE


def _check(options: argparse.Namespace) -> None:
    """Refuse what makes no sense; find out the format."""
    known = options.resume or options.retry_failed or options.undo
    if options.file is None and not known:
        raise ConfigurationError("FILE is missing; with --resume the journal alone will do")
    if options.file is not None and options.undo:
        raise ConfigurationError("--undo takes no FILE: the journal knows what to give back")
    if not options.journal and (known or not options.dry_run):
        raise ConfigurationError("--journal is missing")
    if options.dry_run and (options.retry_failed or options.export):
        raise ConfigurationError("--dry-run goes with neither --retry-failed nor --export")
    if options.file == options.simulator == STANDARD_INPUT:
        raise ConfigurationError("FILE and --simulator cannot both be standard input")
    if options.file is not None and options.format is None:
        if options.file == STANDARD_INPUT:
            raise ConfigurationError("rows from standard input need --format")
        options.format = format_of(options.file)
    if options.export is not None:
        _check_export(options)


def _check_export(options: argparse.Namespace) -> None:
    """Better now than when all is done."""
    format_of(options.export)
    export = Path(options.export).resolve()
    if export in {Path(name).resolve() for name in (options.file, options.journal) if name}:
        raise ConfigurationError("--export would overwrite FILE or the journal")
    with export.open("a"):
        pass


async def _work(
    client: PresenceClient,
    rows: Sequence[UpdateRow] | None,
    options: argparse.Namespace,
    output: Output,
) -> int:
    journal, undo = options.journal, None
    if options.undo:
        journal, undo = f"{journal}{_UNDO}", journal
    exists = _exists(journal)
    if options.retry_failed and not exists:
        raise JournalError(f"there is no journal {journal}")
    if options.dry_run and not exists and (rows is not None or undo is not None):
        journal = None
    job = BulkUpdateJob(
        client,
        journal,
        None if rows is None else await client.bulk.resolve(rows),
        undo=undo,
        source=options.source,
        concurrency=options.concurrency,
        settling_time=options.settling_time,
    )
    async with job:
        if options.dry_run:
            return await _dry_run(job, rows, output)
        if exists and job.summary.finished and not (options.resume or options.retry_failed):
            raise JournalError(
                f"the job of the journal {journal} is finished ({_counted(job.summary)}): for "
                "another run take another journal; --retry-failed tries again what has failed, "
                "and with --resume this is no error"
            )
        return await _run(job, rows, options, output)


async def _dry_run(job: BulkUpdateJob, rows: Sequence[UpdateRow] | None, output: Output) -> int:
    counts: Counter[str] = Counter()
    to_do = job.summary.total - job.summary.done
    async with job.dry_run() as outcomes:
        async for outcome in outcomes:
            counts[outcome.status] += 1
            row = None if rows is None else rows[outcome.number]
            output.result(partial(dry_run_json, outcome), partial(dry_run_line, outcome, row))
            output.progress(counts.total(), to_do, counts["rejected"])
            if output.gone:
                return DONE
    output.finish()
    output.say(f"nothing was changed; {_listed(counts)}")
    return PARTLY if counts["rejected"] else DONE


async def _run(
    job: BulkUpdateJob,
    rows: Sequence[UpdateRow] | None,
    options: argparse.Namespace,
    output: Output,
) -> int:
    lost: list[OSError] = []

    def tell(outcome: JobOutcome) -> None:
        # Should nobody read it any more, the job goes on: the journal has it, too.
        if lost:
            return
        row = None if rows is None else rows[outcome.number]
        try:
            output.result(partial(outcome_json, outcome), partial(outcome_line, outcome, row))
        except OSError as error:  # no room left, say: it is told at the end
            lost.append(error)

    work = job.retry_failed if options.retry_failed else job.run
    try:
        summary = await work(
            on_outcome=tell,
            on_progress=lambda now: output.progress(now.done, now.total, now.failed),
        )
    except (PresenceError, asyncio.CancelledError):
        output.finish()
        output.say(f"stopped; {_counted(job.summary)}. The same command goes on from there")
        raise
    if options.export is not None:
        with open(options.export, "w", encoding="utf-8", newline="") as file:  # noqa: ASYNC230, PTH123  # nothing else is left to do
            await job.export(file, format_of(options.export))
    output.finish()
    output.say(_counted(summary))
    if lost:
        raise lost[0]
    return PARTLY if summary.failed else DONE


def _exists(journal: str | None) -> bool:
    return journal is not None and Path(journal).exists()


def _counted(summary: JobSummary) -> str:
    """Such as `3 items: 2 applied, 1 unknown (1 sent again)`."""
    counts = attrs.asdict(summary)
    repeated = counts.pop("repeated")
    again = f" ({repeated:,} sent again)" if repeated else ""
    return f"{_listed(counts)}{again}"


def _listed(counts: Mapping[str, int]) -> str:
    """The counts that are not 0, after that of all items."""
    named = {name.replace("_", " "): count for name, count in counts.items() if count}
    total = named.pop("total", sum(named.values()))
    parts = [f"{count:,} {name}" for name, count in named.items()]
    items = "1 item" if total == 1 else f"{total:,} items"
    return f"{items}: {', '.join(parts)}" if parts else items


def _tell_bad_rows(error: RowsError, options: argparse.Namespace, output: Output) -> None:
    for bad in error.failures:
        output.say(f"{options.file}:{bad.line}: {f'{bad.field}: ' * bool(bad.field)}{bad.reason}")
    more = error.total - len(error.failures)
    if more:
        output.say(f"... and {more:,} more")
    output.say("presence_async: these rows cannot be used; nothing was sent")
    if _exists(options.journal):
        output.say(f"without FILE, --resume goes on with what {options.journal} has")
