"""What is known of many users' presences, and how it changes. Pure: time comes in.

A table has a row for each user. Every read goes in, and out comes a change, or nothing
when the read shows what was known already. Who feeds it (a poll), and when, is not its
business.

What counts as a difference: the definition (its id or its system presence), the message,
and `modified_date`. A date that alone is new says that something was set in between, if
only the same thing again: whoever counts the time in a presence needs to hear of it. All
else that an answer carries is kept as it comes and never reported.

An answer that was last modified before the one that is known comes from a part of the
vendor's system that lags behind, and changes nothing. When several in a row insist on it,
it is no lag, and they are believed.
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

__all__ = ["BELIEVED_AFTER", "KnownPresence", "PresenceChange", "PresenceTable", "differences"]

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
        checked_at: When the request went out that read it last (aware, UTC); None as long
            as no read has succeeded.
        age: Seconds since then, or None.
        error: Why the reads since then failed; None when the last one succeeded.
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
        kind: "first": nothing was told of this user before; this is part of the snapshot.
            "changed": another presence, or none any more. "stale": the user cannot be read,
            and `after` is what was known last. "fresh": a stale user can be read again, with
            or without a difference.
        before: The presence told last, or None.
        after: The presence now, or None where the vendor has none (or none was ever read,
            when there is an `error`).
        seen_at: When this was seen (aware, UTC).
        age: The change happened at most so many seconds before `seen_at`: since the last
            request that still showed `before`. None where there was none.
        error: Why the user is stale, or None.
    """

    user_id: str
    kind: Kind
    before: UcUserPresence | None
    after: UcUserPresence | None
    seen_at: datetime
    age: float | None = None
    error: PresenceError | None = None

    @property
    def stale(self) -> bool:
        """Whether `after` may be out of date, because the user cannot be read."""
        return self.error is not None

    @property
    def fields(self) -> tuple[str, ...]:
        """Which of `presence_definition`, `message` and `modified_date` differ."""
        return differences(self.before, self.after)

    def then(self, later: PresenceChange, seconds: float) -> PresenceChange | None:
        """This change and the one that follows it as one; None when they cancel out.

        Args:
            later: What came next for the same user.
            seconds: From seeing this one to seeing the later one.
        """
        # Only what was folded already is "changed" and stale: it was stale before, too.
        was_stale = self.kind == "fresh" or (self.kind == "changed" and self.stale)
        kind = _kind(
            first=self.kind == "first",
            was_stale=was_stale,
            is_stale=later.stale,
            differs=_differ(self.before, later.after),
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


def _differ(before: UcUserPresence | None, after: UcUserPresence | None) -> bool:
    return (before is None) != (after is None) or bool(differences(before, after))


def _kind(*, first: bool, was_stale: bool, is_stale: bool, differs: bool) -> Kind | None:
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


class PresenceTable:
    """A row for each user; reads go in, changes come out."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        # How many answers in a row were older than what is known, where there are any.
        self._older: dict[str, int] = {}
        # Thousands of users have the same few definitions, which come anew in every answer.
        self._shared: dict[object, object] = {}
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
            checked_at=None if checked is None else _utc(checked),
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
        """Take in what became of one read.

        Args:
            read: The outcome.
            asked: When its request was made.
            seen: When its answer was there.

        Returns:
            What is new, or None: also for a user without a row, who was removed meanwhile.
        """
        row = self._rows.get(read.user_id)
        if row is None:
            return None
        before, checked, was_stale = row.presence, row.checked, row.error is not None
        if read.error is not None:
            row.error = _bare(read.error)
        elif self._lags(read, row):
            return None
        else:
            row.error, row.checked = None, asked
            self.unread -= checked is None
            if read.presence != before:
                row.presence = self._slim(read)
        self.stale += (row.error is not None) - was_stale
        kind = _kind(
            first=checked is None and not was_stale,
            was_stale=was_stale,
            is_stale=row.error is not None,
            differs=row.presence is not before and _differ(before, row.presence),
        )
        if kind is None:
            return None
        return PresenceChange(
            user_id=read.user_id,
            kind=kind,
            before=before,
            after=row.presence,
            seen_at=_utc(seen),
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

    def _slim(self, read: PresenceOutcome) -> UcUserPresence | None:
        """The presence, with everything shared that it has in common with others."""
        presence = read.presence
        if presence is None:
            return None
        return attrs.evolve(
            presence,
            user_id=read.user_id,
            source=self._same(presence.source),
            source_id=self._same(presence.source_id),
            presence_definition=self._same(presence.presence_definition),
        )

    def _same(self, value: ValueT) -> ValueT:
        """An equal value that others have already, if there is one."""
        if len(self._shared) >= _SHARED:
            self._shared.clear()
        return cast("ValueT", self._shared.setdefault(value, value))


def _utc(moment: Moment) -> datetime:
    return datetime.fromtimestamp(moment.wall, UTC)


def _bare(error: PresenceError) -> PresenceError:
    """The error without its traceback, which would keep the frames of its request alive."""
    return error.with_traceback(None)
