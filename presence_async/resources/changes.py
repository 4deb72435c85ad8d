"""What is known of many users' presences, and how it changes. Pure: time comes in.

What counts as a difference, and when an older answer is believed: docs/high-volume.md.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar, cast

import attrs

from presence_async.errors import InvalidRequestError
from presence_async.models import PresenceDefinition, UcUserPresence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from presence_async.errors import PresenceError
    from presence_async.resources.reading import PresenceOutcome
    from presence_async.resources.updating import Moment

__all__ = ["KnownPresence", "PresenceChange"]

Kind: TypeAlias = Literal["first", "changed", "stale", "fresh"]
ValueT = TypeVar("ValueT")

# Answers with an older date, one after the other, until they count.
BELIEVED_AFTER: Final = 3
# Values that rows share, such as definitions: so many at most, then from the beginning.
_SHARED: Final = 1000
_FIELDS: Final = ("presence_definition", "message", "modified_date")


@attrs.frozen(kw_only=True)
class KnownPresence:
    """What is known of one user.

    Attributes:
        user_id: Id of the user.
        presence: The presence as it was read last, or None.
        checked_at: When the last successful read went out (aware, UTC), or None.
        age: Seconds since then, or None.
        error: Why the reads since then failed, or None.
    """

    user_id: str
    presence: UcUserPresence | None = None
    checked_at: datetime | None = None
    age: float | None = None
    error: PresenceError | None = None

    @property
    def status(self) -> Literal["present", "missing", "unknown"]:
        """Missing: the vendor has no presence for this user and source. Unknown: never read."""
        if self.checked_at is None:
            return "unknown"
        return "missing" if self.presence is None else "present"

    @property
    def stale(self) -> bool:
        """Whether the last read failed, so that this may be out of date."""
        return self.error is not None


@attrs.frozen(kw_only=True)
class PresenceChange:
    """Something new about one user.

    Attributes:
        user_id: Id of the user.
        kind: "first": part of the snapshot. "changed": another presence, or none any more.
            "stale": the user cannot be read, and `after` is what was known last. "fresh": a
            stale user can be read again, with or without a difference.
        before: The presence told last, or None.
        after: The presence now, or None where there is none (or none was ever read).
        seen_at: When this was seen (aware, UTC).
        age: It happened at most so many seconds before `seen_at`: since the last request that
            still showed `before`. None where there was none.
        error: Why the user cannot be read, or None.
        stale: Whether `after` may be out of date: the user cannot be read, or (of a live
            store) no events arrive.
    """

    user_id: str
    kind: Kind
    before: UcUserPresence | None
    after: UcUserPresence | None
    seen_at: datetime
    age: float | None = None
    error: PresenceError | None = None
    stale: bool = attrs.field(
        default=attrs.Factory(lambda change: change.error is not None, takes_self=True)
    )

    @property
    def fields(self) -> tuple[str, ...]:
        """Which of `presence_definition`, `message` and `modified_date` differ."""
        return differences(self.before, self.after)

    def then(self, later: PresenceChange, seconds: float) -> PresenceChange | None:
        """This change, and one seen so many seconds later, as one; None when they cancel out."""
        # Only what was folded already is "changed" and stale: it was stale before, too.
        was_stale = self.kind == "fresh" or (self.kind == "changed" and self.stale)
        kind = kind_of(
            first=self.kind == "first",
            was_stale=was_stale,
            is_stale=later.stale,
            differs=differ(self.before, later.after),
        )
        if kind is None:
            return None
        age = None if self.age is None else self.age + seconds
        return attrs.evolve(later, kind=kind, before=self.before, age=age)


def differences(before: UcUserPresence | None, after: UcUserPresence | None) -> tuple[str, ...]:
    """The names of what differs between two presences of a user; None has nothing."""
    return tuple(name for name in _FIELDS if _value(before, name) != _value(after, name))


def _value(presence: UcUserPresence | None, name: str) -> object:
    """A field as far as it counts: left out, null and the empty text are one."""
    value = getattr(presence, name, None) or None
    if isinstance(value, PresenceDefinition):
        return value.id or None, value.system_presence or None
    return value


def differ(before: UcUserPresence | None, after: UcUserPresence | None) -> bool:
    """Whether there is anything in `differences`, or a presence on one side only."""
    return (before is None) != (after is None) or bool(differences(before, after))


def kind_of(*, first: bool, was_stale: bool, is_stale: bool, differs: bool) -> Kind | None:
    """What to call it, or None when there is nothing to tell."""
    if first:
        return "first"
    if was_stale != is_stale:
        return "stale" if is_stale else "fresh"
    return "changed" if differs else None


class _Row:
    """What the table holds of one user."""

    __slots__ = ("checked", "error", "presence")

    def __init__(self) -> None:
        self.presence: UcUserPresence | None = None
        self.checked: Moment | None = None
        self.error: PresenceError | None = None


class Shared(dict[object, object]):
    """Values of rows that are equal: thousands of users have the same few definitions."""

    def slim(self, read: PresenceOutcome) -> UcUserPresence | None:
        """The presence, with everything shared that it has in common with others."""
        presence = read.presence
        if presence is None:
            return None
        return attrs.evolve(
            presence,
            user_id=read.user_id,
            source=self.same(presence.source),
            source_id=self.same(presence.source_id),
            presence_definition=self.same(presence.presence_definition),
        )

    def same(self, value: ValueT) -> ValueT:
        """An equal value that others have already, if there is one."""
        if len(self) >= _SHARED:
            self.clear()
        return cast("ValueT", self.setdefault(value, value))


class PresenceTable:
    """A row for each user; reads go in, changes come out."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        # How many answers in a row were older than what is known, where there are any.
        self._older: dict[str, int] = {}
        self._shared = Shared()
        self.stale = 0
        """Users whose last read failed."""
        self.unread = 0
        """Users who have never been read."""

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, user_id: object) -> bool:
        return user_id in self._rows

    @property
    def user_ids(self) -> list[str]:
        """The ids of all users, in the order in which they were added."""
        return list(self._rows)

    def add(self, user_ids: Iterable[str]) -> None:
        """Make rows for users that have none yet."""
        for user_id in user_ids:
            if user_id not in self._rows:
                self._rows[user_id] = _Row()
                self.unread += 1

    def remove(self, user_id: str) -> None:
        """Forget a user, if there is a row."""
        row = self._rows.pop(user_id, None)
        self._older.pop(user_id, None)
        if row is not None:
            self.stale -= row.error is not None
            self.unread -= row.checked is None

    def known(self, user_id: str, now: Moment) -> KnownPresence:
        """What is known of a user; KeyError for one without a row."""
        row = self._rows[user_id]
        checked = row.checked
        return KnownPresence(
            user_id=user_id,
            presence=row.presence,
            checked_at=None if checked is None else utc(checked),
            age=None if checked is None else checked.seconds_until(now),
            error=row.error,
        )

    def oldest(self) -> Moment | None:
        """The earliest of all users' last successful reads; looks at every row."""
        checked = (row.checked for row in self._rows.values() if row.checked is not None)
        return min(checked, key=lambda moment: moment.loop, default=None)

    def unread_since(self, moment: Moment) -> list[str]:
        """Users who are not stale and have not been read since then."""
        return [
            user_id
            for user_id, row in self._rows.items()
            if row.error is None and (row.checked is None or row.checked.loop < moment.loop)
        ]

    def refused(self) -> list[str]:
        """Users whose last read was refused as a bad request: no such id, it seems."""
        if not self.stale:  # mostly so, and the rows may be a million
            return []
        return [
            user_id
            for user_id, row in self._rows.items()
            if isinstance(row.error, InvalidRequestError)
        ]

    def apply(self, read: PresenceOutcome, asked: Moment, seen: Moment) -> PresenceChange | None:
        """What is new by a read, asked and seen then; None also for a user without a row."""
        row = self._rows.get(read.user_id)
        if row is None:
            return None
        before, checked, was_stale = row.presence, row.checked, row.error is not None
        if read.error is not None:
            row.error = bare(read.error)
        elif self._lags(read, row):
            return None
        else:
            row.error, row.checked = None, asked
            self.unread -= checked is None
            if read.presence != before:
                row.presence = self._shared.slim(read)
        self.stale += (row.error is not None) - was_stale
        kind = kind_of(
            first=checked is None and not was_stale,
            was_stale=was_stale,
            is_stale=row.error is not None,
            differs=row.presence is not before and differ(before, row.presence),
        )
        if kind is None:
            return None
        return PresenceChange(
            user_id=read.user_id,
            kind=kind,
            before=before,
            after=row.presence,
            seen_at=utc(seen),
            age=None if checked is None else checked.seconds_until(seen),
            error=row.error,
        )

    def _lags(self, read: PresenceOutcome, row: _Row) -> bool:
        """Whether an answer is older than what is known, and not to be believed yet."""
        then = row.presence and row.presence.modified_date
        now = read.presence and read.presence.modified_date
        if then and now and now < then:
            times = self._older.get(read.user_id, 0) + 1
            if times < BELIEVED_AFTER:
                self._older[read.user_id] = times
                return True
        if self._older:
            self._older.pop(read.user_id, None)
        return False


def utc(moment: Moment) -> datetime:
    """The moment by the wall clock."""
    return datetime.fromtimestamp(moment.wall, UTC)


def bare(error: PresenceError) -> PresenceError:
    """The error without its traceback, which would keep the frames of its request alive."""
    return error.with_traceback(None)
