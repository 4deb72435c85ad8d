"""One item of a job: its states, its outcome, and what is kept of it. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import attrs

from presence_async import converter, errors
from presence_async.errors import PresenceError
from presence_async.models import MutableUserPresence, UcUserPresence, UserPresence
from presence_async.resources.updating import Row, UpdateOutcome, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "FAILED",
    "OPEN",
    "Counts",
    "DryRunOutcome",
    "Entry",
    "JobOutcome",
    "JobSummary",
    "State",
    "error_from",
    "error_to",
]

Status: TypeAlias = Literal["applied", "unchanged", "rejected", "superseded", "unknown"]
State: TypeAlias = Literal[
    "planned", "in flight", "applied", "unchanged", "rejected", "superseded", "unknown"
]

OPEN: Final = frozenset({"planned", "in flight"})
# What may be tried again.
FAILED: Final[tuple[State, ...]] = ("rejected", "unknown")
# Fields of a row that its user's presence shows.
_SHOWN: Final = frozenset({"id", "source", "sourceId", "presenceDefinition", "message"})


@attrs.define(eq=False, kw_only=True)
class Entry(Row):
    """A row of an update in a job, and what the journal keeps of it; most as in `JobOutcome`.

    Attributes:
        chunk: Which items go out in one request with it.
        guard: In a job that undoes another: what the user must still show.
        sent_at: In seconds of the wall clock.
        journaled: State and mark as the journal has them.
    """

    number: int
    chunk: int
    guard: Wanted | None = None
    state: State = "planned"
    before: UcUserPresence | None = None
    after: UserPresence | None = None
    error: PresenceError | None = None
    sends: int = 0
    sent_at: float | None = None
    finished_at: float | None = None
    journaled: tuple[State, bool] = ("planned", False)

    @classmethod
    def from_journal(cls, body: bytes, kept: bytes = b"{}", **fields: Any) -> Entry:
        """An entry from its body, which says what it asks for, and what is `kept` of it."""
        found = converter.loads(kept)
        for name, read in _READ.items():
            if found.get(name) is not None:
                found[name] = read(found[name])
        item = converter.structure(body, MutableUserPresence)
        return cls.of(item, converter.loads(body), body, **found, **fields)

    @property
    def named(self) -> dict[str, Any]:
        """What every outcome says of its item."""
        return {name: getattr(self, name) for name in ("number", "user_id", "source", "item")}

    @property
    def kept(self) -> bytes:
        """What is known of it by now, but for its state and its mark."""
        return converter.dumps(
            {
                "since": self.since and self.since.isoformat(),
                "sends": self.sends,
                "sent_at": self.sent_at,
                "finished_at": self.finished_at,
                "before": self.before,
                "after": self.after,
                "error": self.error and error_to(self.error),
            }
        )

    @property
    def is_shown(self) -> bool:
        """Whether all it asks for can be seen in a presence: not `primary`, not a null."""
        wire = converter.loads(self.body)
        return (
            wire.keys() <= _SHOWN
            and bool(self.wanted)
            and ("message" in wire) == (self.wanted.message is not None)
            and ("presenceDefinition" in wire) == (self.wanted.definition_id is not None)
        )

    def finish(self, outcome: UpdateOutcome, now: float) -> None:
        """Note what became of it."""
        self.end(outcome.status, now, outcome.error, outcome.presence)

    def end(
        self,
        status: Status,
        now: float,
        error: PresenceError | None = None,
        after: UserPresence | None = None,
    ) -> None:
        """Note its outcome."""
        self.state, self.error, self.after, self.finished_at = status, error, after, now

    def reopen(self) -> None:
        """Rejected it is planned again; unknown it is as good as in flight."""
        self.state = "planned" if self.state == "rejected" else "in flight"
        self.error = self.after = self.finished_at = None


@attrs.frozen(kw_only=True)
class JobOutcome:
    """What became of one item of a job.

    Attributes:
        number: Its place among the items, from 0.
        user_id: Whose presence it is about.
        source: Name or id of the source.
        item: What was asked for, as a row of the bulk update.
        status: Applied: the user showed what was asked for, after it was sent. Unchanged: did
            so before, and nothing was sent. Rejected: it certainly took no effect.
            Superseded: somebody else's change stands. Unknown: it may have taken effect.
        repeated: It was sent again after a request whose outcome was unknown.
        sends: In how many requests it was.
        before: What the user showed before, or None where that could not be read.
        after: The presence as the vendor answered or shows it, or None.
        error: Why it is not known to be applied, or None. Read from the journal it is a new
            one of the same class, with message, status, code and correlation id.
        sent: When it was last handed over for sending (UTC, clock of this machine).
        finished: When its outcome was known, likewise.
    """

    number: int
    user_id: str
    source: str
    item: MutableUserPresence
    status: Status
    repeated: bool
    sends: int
    before: UcUserPresence | None
    after: UserPresence | None
    error: PresenceError | None
    sent: datetime | None
    finished: datetime | None

    @classmethod
    def of(cls, entry: Entry) -> JobOutcome:
        """The outcome of an entry that has one."""
        return cls(
            **entry.named,
            status=cast("Status", entry.state),
            repeated=entry.repeated,
            sends=entry.sends,
            before=entry.before,
            after=entry.after,
            error=entry.error,
            sent=_moment(entry.sent_at),
            finished=_moment(entry.finished_at),
        )


@attrs.frozen(kw_only=True)
class DryRunOutcome:
    """What a run would do with one item; what is not told here is as in `JobOutcome`.

    Attributes:
        status: Change: it would be sent. Unchanged: the user shows it already. Superseded: the
            user has moved on since the job to be undone. Rejected: the presence could not be
            read, and the item would not be sent.
        before: What the user shows, or None.
        error: Why the presence could not be read, or None.
    """

    number: int
    user_id: str
    source: str
    item: MutableUserPresence
    status: Literal["change", "unchanged", "superseded", "rejected"]
    before: UcUserPresence | None
    error: PresenceError | None


@attrs.frozen(kw_only=True)
class JobSummary:
    """How many items of a job are where; what is not told here is as in `JobOutcome`.

    Attributes:
        planned: Not sent yet.
        in_flight: Handed over for sending, and nothing heard yet.
        repeated: Those of any state that were sent again after an unknown outcome.
    """

    total: int
    planned: int
    in_flight: int
    applied: int
    unchanged: int
    rejected: int
    superseded: int
    unknown: int
    repeated: int

    @property
    def done(self) -> int:
        """Items that have an outcome."""
        return self.total - self.planned - self.in_flight

    @property
    def failed(self) -> int:
        """Items that `retry_failed` would try again."""
        return self.rejected + self.unknown

    @property
    def finished(self) -> bool:
        """True when every item has its outcome."""
        return self.done == self.total


class Counts:
    """How many items are in which state, kept up with the journal."""

    def __init__(self, groups: Iterable[tuple[State, bool, int]]) -> None:
        """`groups`: state, mark of repetition, number of items."""
        self._counter: Counter[tuple[State, bool]] = Counter()
        for state, repeated, count in groups:
            self._counter[state, repeated] += count

    def moved(self, entries: Iterable[Entry]) -> None:
        """Entries that have just been journaled."""
        for entry in entries:
            self._counter[entry.journaled] -= 1
            entry.journaled = entry.state, entry.repeated
            self._counter[entry.journaled] += 1

    @property
    def summary(self) -> JobSummary:
        """The counts right now."""
        states: Counter[str] = Counter()
        for (state, _), count in self._counter.items():
            states[state.replace(" ", "_")] += count
        repeated = sum(count for (_, mark), count in self._counter.items() if mark)
        names = [field.name for field in attrs.fields(JobSummary)][1:-1]
        return JobSummary(
            total=states.total(), repeated=repeated, **{name: states[name] for name in names}
        )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


_KEPT: Final = ("message", *errors.CONTEXT)
_CLASSES: Final = {
    name: kind
    for name in errors.__all__
    if issubclass(kind := getattr(errors, name), PresenceError)
}


def error_to(error: PresenceError) -> dict[str, Any]:
    """What is kept of an error: its class and its context."""
    return {"class": type(error).__name__} | {name: getattr(error, name) for name in _KEPT}


def error_from(kept: dict[str, Any]) -> PresenceError:
    """The error again; of a class that this version does not know, the base of all."""
    kind: type[PresenceError] = _CLASSES.get(kept["class"], PresenceError)
    return kind(kept["message"], **{name: kept[name] for name in _KEPT[1:]})


# What is kept and is not a value of JSON.
_READ: Final[dict[str, Callable[[Any], Any]]] = {
    "since": datetime.fromisoformat,
    "before": partial(converter.structure_value, cls=UcUserPresence),
    "after": partial(converter.structure_value, cls=UserPresence),
    "error": error_from,
}
