"""A vendor in memory that loses requests, and a journal in memory: jobs without threads."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from presence_async.errors import InvalidRequestError
from presence_async.fanout import FanOut
from presence_async.jobs.entries import Counts, Entry, JobSummary, State
from presence_async.jobs.running import Chunks, Options, Run
from presence_async.wire import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from presence_async.resources.updating import Wanted
    from presence_async.wire import Request

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BUSY, MEAL, OTHER = "d-busy", "d-meal", "d-other"
SETTLING = 15.0


class Vendor:
    """Users with presences. Every request takes a tenth of a second to it and one back."""

    def __init__(self, *users: str) -> None:
        self.shown: dict[str, tuple[str, float]] = dict.fromkeys(users, (MEAL, -1000.0))
        self.writes: list[list[str]] = []
        self.reads: list[list[str]] = []
        self.applied: Counter[str] = Counter()
        # What happens to the next requests: None, an error before or after taking effect.
        self.write_fates: list[tuple[str, Exception] | None] = []
        self.read_errors: list[Exception | None] = []
        self.bad: set[str] = set()
        # Whether a request whose sender dies takes effect all the same, a second later.
        self.late: Callable[[], bool] = lambda: False

    @property
    def now(self) -> float:
        """Seconds since noon."""
        return asyncio.get_running_loop().time() - 1000

    def change(self, user: str, definition: str = OTHER) -> None:
        """Somebody else changes a presence."""
        self.shown[user] = definition, self.now

    async def send(self, request: Request) -> Response:
        """One request in, one 2xx response out."""
        path = urlsplit(request.target)
        if request.body is not None:
            return await self._write(json.loads(request.body))
        self.reads.append(ids := [value for _, value in parse_qsl(path.query)])
        await asyncio.sleep(0.2)
        error = self.read_errors.pop(0) if self.read_errors else None
        if error is not None:
            raise error
        assert unquote(path.path.split("/")[-2]) == "purecloud"
        return self._answer([user for user in ids if user in self.shown])

    async def _write(self, items: list[dict[str, Any]]) -> Response:
        users = [item["id"] for item in items]
        self.writes.append(users)
        fate = self.write_fates.pop(0) if self.write_fates else None
        try:
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            if self.late():
                asyncio.get_running_loop().call_later(1.0, self._apply, items)
            raise
        if fate is not None and fate[0] == "before":
            raise fate[1]
        if self.bad.intersection(users):
            raise InvalidRequestError("bad item", status=400)
        self._apply(items)
        await asyncio.sleep(0.1)
        if fate is not None:
            raise fate[1]
        return self._answer(users)

    def _apply(self, items: list[dict[str, Any]]) -> None:
        for item in items:
            self.applied[item["id"]] += 1
            definition = item.get("presenceDefinition", {}).get("id")
            self.shown[item["id"]] = definition or self.shown[item["id"]][0], self.now

    def _answer(self, users: list[str]) -> Response:
        rows = [
            {
                "id": user,
                "userId": user,
                "presenceDefinition": {"id": self.shown[user][0]},
                "message": "",
                "modifiedDate": (NOON + timedelta(seconds=self.shown[user][1])).isoformat(
                    timespec="milliseconds"
                ),
            }
            for user in users
        ]
        return Response(200, {}, json.dumps(rows).encode())


_KEPT = (
    "state",
    "repeated",
    "sends",
    "since",
    "sent_at",
    "finished_at",
    "before",
    "after",
    "error",
)


class MemoryEntries:
    """The twin of the journal: keeps values, gives new entries."""

    def __init__(self, *entries: Entry) -> None:
        self.entries = {entry.number: entry for entry in entries}
        self.kept = {entry.number: _values(entry) for entry in entries}
        self.saves = 0

    async def save(self, entries: Sequence[Entry]) -> None:
        """All of them."""
        await asyncio.sleep(0.001)
        self.saves += 1
        self.kept |= {entry.number: _values(entry) for entry in entries}

    async def next_chunk(self, state: State, after: int) -> list[Entry]:
        """As the journal."""
        await asyncio.sleep(0.001)
        found = [entry for entry in self.all() if entry.state == state and entry.number > after]
        return [entry for entry in found if entry.chunk == found[0].chunk]

    def all(self) -> list[Entry]:
        """Every entry as it is kept."""
        return [
            planned(
                entry.user_id,
                number,
                entry.chunk,
                body=entry.body,
                guard=entry.guard,
                journaled=(self.kept[number]["state"], self.kept[number]["repeated"]),
                **self.kept[number],
            )
            for number, entry in self.entries.items()
        ]

    def counts(self) -> Counts:
        """For the summary."""
        return Counts((entry.state, entry.repeated, 1) for entry in self.all())

    def states(self) -> dict[str, str]:
        """State of every user."""
        return {entry.user_id: entry.state for entry in self.all()}


def _values(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in _KEPT}


def planned(
    user: str,
    number: int = 0,
    chunk: int = 0,
    *,
    body: bytes | None = None,
    guard: Wanted | None = None,
    registered: bool = False,
    **fields: Any,
) -> Entry:
    """An entry that asks for Busy."""
    wire: dict[str, Any] = {"id": user, "source": "purecloud"}
    wire["presenceDefinition"] = {"id": BUSY}
    if registered:
        wire["sourceId"] = wire.pop("source")
    return Entry.from_journal(
        body or json.dumps(wire).encode(),
        number=number,
        chunk=chunk,
        guard=guard,
        **fields,
    )


def plan(users: Sequence[str], size: int = 2) -> list[Entry]:
    """Entries for some users, so many to a chunk."""
    return [planned(user, number, number // size) for number, user in enumerate(users)]


def run_of(
    vendor: Vendor,
    entries: MemoryEntries,
    *,
    concurrency: int = 2,
    settle: bool = True,
    settling_time: float = SETTLING,
    told: list[Entry] | None = None,
) -> tuple[Run, Chunks, Counts]:
    """A run as the job makes it, with its chunks and counts."""
    counts = entries.counts()
    going = asyncio.Event()
    going.set()
    chunks = Chunks(entries, counts, going)
    report: Callable[[Sequence[Entry]], object] = (told if told is not None else []).extend
    options = Options(concurrency, settle, settling_time, wall=lambda: vendor.now)
    one = Run(entries, counts, chunks, send=vendor.send, options=options, report=report)
    return one, chunks, counts


async def run(
    vendor: Vendor, entries: MemoryEntries, *, concurrency: int = 2, **options: Any
) -> JobSummary:
    """One run to its end, or to what stops it."""
    one, chunks, counts = run_of(vendor, entries, concurrency=concurrency, **options)
    async with FanOut[object](one.step, chunks, concurrency=concurrency) as work:
        async for _ in work:
            pass
    if chunks.reason is not None:
        raise chunks.reason
    return counts.summary
