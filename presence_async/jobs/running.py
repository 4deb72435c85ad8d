"""Works through the entries of a job, a chunk (one request) at a time, and journals every step.

How: docs/jobs.md. Whatever a run that ended leaves in flight may have been applied, and nothing
else. It counts as lost when the next run began, for nobody knows when its sender died, and is
judged like any other lost request (`settling`), by what was read before.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Literal, Protocol, cast

import attrs

from presence_async.errors import PresenceConnectionError, PresenceError
from presence_async.jobs.database import uncut
from presence_async.jobs.deciding import STOPPING, decision, since
from presence_async.jobs.entries import FAILED, OPEN, Counts, DryRunOutcome, Entry, State
from presence_async.resources._halving import Halving, is_refusal
from presence_async.resources.settling import Pause, Settler, look
from presence_async.resources.updating import ITEMS, Row, UpdateOutcome, put

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from presence_async.resources._base import Send


class Entries(Protocol):
    """Where the entries of a job are kept: the journal."""

    async def save(self, entries: Sequence[Entry]) -> None:
        """Keep what has become of some entries, all of them or none."""

    async def next_chunk(self, state: State, after: int) -> list[Entry]:
        """The entries in a state of the first chunk that has some behind item `after`."""


@attrs.frozen
class Options:
    """How a job is run; `concurrency` counts chunks, `wall` is the wall clock."""

    concurrency: int
    settle: bool
    settling_time: float
    wall: Callable[[], float] = time.time


class Chunks:
    """The chunks that have something to do: first those left in flight, then the planned."""

    def __init__(self, entries: Entries, counts: Counts, going: asyncio.Event) -> None:
        """While `going` is not set, there are no more."""
        self._entries = entries
        self._counts = counts
        self._going = going
        self._state: Literal["in flight", "planned"] = "in flight"
        self._after = -1
        self.reason: PresenceError | None = None

    def stop(self, reason: PresenceError) -> None:
        """Give no more at all."""
        self.reason = self.reason or reason

    def __aiter__(self) -> Chunks:
        return self

    async def __anext__(self) -> list[Entry]:
        while True:
            await self._going.wait()
            if self.reason is not None:
                raise StopAsyncIteration
            found = await self._entries.next_chunk(self._state, self._after)
            if found:
                self._after = found[-1].number
                return found
            if self._state == "planned":
                raise StopAsyncIteration
            self._state, self._after = "planned", -1

    def __length_hint__(self) -> int:
        """Requests still to be sent, about: a read and a write for fifty items."""
        return 2 * -(-self._counts.summary.planned // ITEMS.count)


class Run:
    """One run of a job: `step` does a chunk."""

    def __init__(
        self,
        entries: Entries,
        counts: Counts,
        chunks: Chunks,
        *,
        send: Send,
        options: Options,
        report: Callable[[Sequence[Entry]], object],
    ) -> None:
        """`chunks` are told what is about the whole job, `report` what has got its outcome."""
        self._entries = entries
        self._counts = counts
        self._chunks = chunks
        self._send = send
        self._options = options
        self._report = report
        self._halving = Halving(self._attempt, Row.outcome)
        self._settler = Settler(self._halving.outcomes, send, Pause(), options.settling_time)
        self._began = asyncio.get_running_loop().time()

    async def reopen(self) -> None:
        """Give up the outcomes that say failed: they are to be had again."""
        for state in FAILED:
            after = -1
            while entries := await self._entries.next_chunk(state, after):
                after = entries[-1].number
                for entry in entries:
                    entry.reopen()
                await self._save(entries)

    async def step(self, entries: list[Entry]) -> Sequence[object]:
        """Do what there is to do for one chunk."""
        try:
            if entries[0].state == "in flight":
                await self._recover(entries)
            else:
                await self._begin(entries)
        except STOPPING as error:
            self._chunks.stop(error)
        return ()

    async def _begin(self, entries: Sequence[Entry]) -> None:
        """Look, then send what has to be sent."""
        shown = await look(self._send, entries)
        now = self._options.wall()
        to_send, done = [], []
        for entry in entries:
            seen = shown[entry]
            entry.before, entry.since = seen.presence, since(entry, seen)
            what = decision(entry, seen)
            if what == "change":
                to_send.append(entry)
            else:
                entry.end(what, now, seen.error)
                done.append(entry)
        await self._save(done)
        if to_send:
            write = self._settler.outcomes if self._options.settle else self._halving.outcomes
            await self._finish(to_send, await write(to_send))

    async def _recover(self, entries: Sequence[Entry]) -> None:
        """Find out about what an earlier run left in flight, and send again what is needed."""
        if self._options.settle:
            lost = [entry.outcome(_left_behind()) for entry in entries]
            passed = asyncio.get_running_loop().time() - self._began
            seconds = max(0.0, self._options.settling_time - passed)
            outcomes = await self._settler.settled(entries, lost, seconds)
        else:
            for entry in entries:
                entry.repeated = True
            outcomes = await self._halving.outcomes(entries)
        await self._finish(entries, outcomes)

    async def _attempt(self, rows: Sequence[Row]) -> Sequence[UpdateOutcome] | PresenceError:
        """One request, journaled before and after."""
        entries = cast("Sequence[Entry]", rows)
        now = self._options.wall()
        for entry in entries:
            entry.state, entry.sent_at = "in flight", now
            entry.sends += 1
        await self._save(entries)
        result = await put(self._send, rows)
        if not isinstance(result, PresenceError):
            await self._note(entries, result)
        elif not result.outcome_unknown and (is_refusal(result) or isinstance(result, STOPPING)):
            # Nothing of it took effect, and it is not the last word about these items.
            await self._take_back(entries)
        if isinstance(result, STOPPING):
            raise result
        return result

    async def _note(self, entries: Sequence[Entry], outcomes: Sequence[UpdateOutcome]) -> None:
        """Journal what is final; what the answer leaves out may yet be settled."""
        applied = []
        for entry, outcome in zip(entries, outcomes, strict=True):
            if outcome.status == "applied":
                entry.finish(outcome, self._options.wall())
                applied.append(entry)
        await self._save(applied)

    async def _take_back(self, entries: Sequence[Entry]) -> None:
        """Planned again; but of a repeated one the first request may have taken effect."""
        planned = [entry for entry in entries if not entry.repeated]
        for entry in planned:
            entry.state = "planned"
        await self._save(planned)

    async def _finish(self, entries: Sequence[Entry], outcomes: Sequence[UpdateOutcome]) -> None:
        """Journal the outcomes of a chunk that are not journaled yet."""
        reason: PresenceError | None = None
        rest = []
        for entry, outcome in zip(entries, outcomes, strict=True):
            if (found := _stopped(outcome)) is not None:
                reason = found
            elif entry.state in OPEN:
                entry.finish(outcome, self._options.wall())
                rest.append(entry)
        await self._save(rest)
        if reason is not None:
            raise reason

    async def _save(self, entries: Sequence[Entry]) -> None:
        if entries:
            await uncut(self._saved(entries))

    async def _saved(self, entries: Sequence[Entry]) -> None:
        """Journaled, counted and told, all of it or nothing."""
        await self._entries.save(entries)
        self._counts.moved(entries)
        done = [entry for entry in entries if entry.state not in OPEN]
        if done:
            self._report(done)


def _left_behind() -> PresenceError:
    return PresenceConnectionError(
        "an earlier run of the job ended with this item on its way", outcome_unknown=True
    )


def _stopped(outcome: UpdateOutcome) -> PresenceError | None:
    """Why nobody could look for a lost item, where that is about the whole job."""
    cause = outcome.error.__cause__ if outcome.status == "unknown" and outcome.error else None
    return cause if isinstance(cause, STOPPING) else None


async def dry_run(send: Send, entries: Sequence[Entry]) -> Sequence[DryRunOutcome]:
    """What a run would do with one chunk."""
    shown = await look(send, entries)
    return [
        DryRunOutcome(
            **entry.named,
            status=decision(entry, shown[entry]),
            before=shown[entry].presence,
            error=shown[entry].error,
        )
        for entry in entries
    ]
