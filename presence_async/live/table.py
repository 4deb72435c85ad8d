"""What a live store knows of its users: events and reads go in, changes come out. Pure.

Of two values the one with the later `modified_date` wins; these dates are the vendor's, and are
compared with one another only. Where they are equal, or one is missing, arrival decides: a read
that was asked for before an event arrived is repeated. One with an older date comes from a part
of the vendor's system that lags behind; three in a row are believed.

The bulk reads are those of source PURECLOUD, and each source has a presence of its own. So events
of others are passed over, but not those that name none: PURECLOUD is the default.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from presence_async.errors import InvalidRequestError
from presence_async.live.rows import LivePresence, Row, definition_of, system_presence
from presence_async.models import UcUserPresence
from presence_async.resources.changes import (
    BELIEVED_AFTER,
    PresenceChange,
    Shared,
    bare,
    differ,
    kind_of,
    utc,
)
from presence_async.resources.reading import is_purecloud

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from presence_async.errors import PresenceError
    from presence_async.models import (
        PresenceDefinition,
        PresenceEventUserPresence,
        SystemPresenceName,
    )
    from presence_async.resources.changes import Kind
    from presence_async.resources.reading import PresenceOutcome
    from presence_async.resources.updating import Moment

__all__ = ["LiveTable"]

# Requests that finding one bad id among fifty takes.
_SEARCH: Final = 12
# Definitions that events share: so many at most, then from the beginning.
_SHARED: Final = 1000
# Seconds by which two clocks may differ.
_DRIFT: Final = 0.05
_NOTHING: Final = UcUserPresence()


class LiveTable:
    """A row for each user; ids are compared as topics are, without case.

    Attributes:
        due: Users who are to be read, the first first.
        later: Users whose read has to be repeated.
        unread: How many have neither been heard of nor read, nor failed once.
        refused: How many the vendor refuses as bad ids.
        quiet: Nobody listens: events need not say what changed.
    """

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._spelled: dict[str, str] = {}
        self._older: dict[str, int] = {}
        self._shared = Shared()
        self._definitions: dict[object, PresenceDefinition] = {}
        # Ordered: in a plain dict the first key gets slow to find once many before it are gone.
        self.due: OrderedDict[str, None] = OrderedDict()
        self.later: dict[str, None] = {}
        self.stale = self.unread = self.refused = 0
        self.quiet = False

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._rows))

    def __contains__(self, user_id: object) -> bool:
        return isinstance(user_id, str) and self._find(user_id) is not None

    def _find(self, user_id: Any) -> Row | None:
        row = self._rows.get(user_id)
        if row is None and isinstance(user_id, str):
            folded = user_id.casefold()
            row = self._rows.get(self._spelled.get(folded, folded))
        return row

    # -- whom

    def add(self, user_ids: Iterable[str], now: Moment) -> None:
        """Make rows for users that have none yet."""
        for user_id in user_ids:
            if self._find(user_id) is None:
                self._rows[user_id] = Row(user_id, now.loop)
                self.unread += 1
                if (folded := user_id.casefold()) != user_id:
                    self._spelled[folded] = user_id

    def remove(self, user_id: str) -> str | None:
        """Forget a user; returns the id that it was known by, if it was."""
        row = self._find(user_id)
        if row is None:
            return None
        known = row.user_id
        del self._rows[known]
        self._spelled.pop(known.casefold(), None)
        for one in (self._older, self.due, self.later):
            one.pop(known, None)
        self.stale -= row.told and not row.fresh
        self.unread -= not row.told
        self.refused -= isinstance(row.error, InvalidRequestError)
        return known

    def get(self, user_id: str, now: Moment) -> LivePresence:
        """What is known of a user; KeyError for one without a row."""
        row = self._find(user_id)
        if row is None:
            raise KeyError(user_id)
        as_of = None
        if row.as_of is not None:
            drift = row.as_of.seconds_until(now) - (now.wall - row.as_of.wall)
            # Of a wall clock that was set back, the moment is what it would show by now.
            as_of = utc(row.as_of) - timedelta(0, drift if drift > _DRIFT else 0.0)
        return LivePresence(
            user_id=row.user_id,
            presence=row.presence,
            as_of=as_of,
            origin=row.origin,
            stale=row.told and not row.fresh,
            error=row.error,
        )

    def first(self, user_id: str, now: Moment) -> PresenceChange | None:
        """The user as part of a snapshot, or None where nothing is known."""
        row = self._rows.get(user_id)
        return self._change(row, "first", None, now) if row is not None and row.told else None

    def where(
        self, name: SystemPresenceName | None, definition_id: str | None, *, stale: bool | None
    ) -> list[str]:
        """Users with all of this; None for anything."""
        return [
            row.user_id
            for row in self._rows.values()
            if (name is None or system_presence(row.presence) == name)
            and (definition_id is None or definition_of(row.presence) == definition_id)
            and (stale is None or (row.told and not row.fresh) == stale)
        ]

    @property
    def counts(self) -> dict[SystemPresenceName | None, int]:
        """Users of each system presence; None is for those without one."""
        # Definitions are few objects, and comparing names by the thousand would take long.
        presences = [row.presence for row in self._rows.values()]
        found = [one.presence_definition if one is not None else None for one in presences]
        definitions = {id(one): one for one in found}
        counts: dict[SystemPresenceName | None, int] = {}
        for key, count in Counter(map(id, found)).items():
            definition = definitions[key]
            name = (definition.system_presence or None) if definition else None
            counts[name] = counts.get(name, 0) + count
        return counts

    @property
    def unheard(self) -> list[str]:
        """Users whose events do not arrive."""
        return [row.user_id for row in self._rows.values() if not row.heard]

    def take(self, queue: OrderedDict[str, None], size: int) -> list[str]:
        """Users off a queue for the next request; who was refused as no id is read alone.

        But not if so many were refused that it cannot be because of them.
        """
        chunk: list[str] = []
        put_off: str | None = None
        alone = self.refused <= max(len(self._rows) // size, _SEARCH)
        while queue and len(chunk) < size:
            user_id = next(iter(queue))
            row = self._rows.get(user_id)
            if alone and row is not None and isinstance(row.error, InvalidRequestError):
                if user_id == put_off:
                    break
                if chunk:
                    put_off = put_off or user_id
                    queue.move_to_end(user_id)
                    continue
                size = 1
            del queue[user_id]
            if row is not None:
                chunk.append(user_id)
        if not queue:
            queue.clear()  # gives back the memory, too
        return chunk

    # -- whether events arrive

    def gap(self, user_id: str, until: float, seen: Moment) -> PresenceChange | None:
        """Events were missed; now they arrive, so a read asked for from `until` on will do."""
        row = self._find(user_id)
        if row is None:
            return None
        row.heard, row.polled, row.needs = True, False, until
        self._read_soon(row)
        return self._doubt(row, seen)

    def lose(self, user_id: str, seen: Moment) -> PresenceChange | None:
        """Events do not arrive any more."""
        row = self._find(user_id)
        if row is None or not row.heard:
            return None
        row.heard = False
        return self._doubt(row, seen)

    def poll(self, user_id: str, seen: Moment) -> PresenceChange | None:
        """Events will not arrive: reads have to do."""
        row = self._find(user_id)
        if row is None or row.polled:
            return None
        row.heard, row.polled, row.needs = False, True, seen.loop
        self._read_soon(row)
        return self._doubt(row, seen)

    def end(self) -> None:
        """Nothing will be heard or read any more: what is shown gets old."""
        for row in self._rows.values():
            self.stale += row.fresh
            row.fresh = row.heard = row.polled = False

    def _read_soon(self, row: Row) -> None:
        self.due[row.user_id] = None
        self.later.pop(row.user_id, None)

    def _doubt(self, row: Row, seen: Moment) -> PresenceChange | None:
        return self._settle(row, row.presence, row.as_of, seen, fresh=False) if row.fresh else None

    # -- what is said

    def event(
        self, user_id: str, body: PresenceEventUserPresence, seen: Moment
    ) -> PresenceChange | None:
        """What is new by an event that arrived now, or None (also while `quiet`)."""
        row = self._rows.get(user_id) or self._find(user_id)
        source = body.source
        if row is None or (source and source != "PURECLOUD" and not is_purecloud(source)):
            return None
        if not body.presence_definition:
            row.needs = seen.loop
            self._read_soon(row)
            return self._doubt(row, seen)
        before, as_of, date = row.presence, row.as_of, body.modified_date
        then = before.modified_date if before is not None else None
        if then and date and date < then:
            return None
        newer = not then or date != then
        row.presence = self._merged(row.user_id, body, body.presence_definition, before)
        row.origin, row.as_of, row.seen = "event", seen, seen.loop
        if self._older:
            self._older.pop(row.user_id, None)
        if not row.fresh:
            self._set_error(row, None)
            # The same date again proves nothing: an old event may be delivered twice.
            return self._settle(row, before, as_of, seen, fresh=row.heard and newer)
        if self.quiet or not (newer or differ(before, row.presence)):
            return None
        return self._change(row, "changed", before, seen, as_of)

    def _merged(
        self,
        user_id: str,
        body: PresenceEventUserPresence,
        definition: PresenceDefinition,
        before: UcUserPresence | None,
    ) -> UcUserPresence:
        """What an event says, in the form of a bulk read; `attrs.evolve` would be slow."""
        known = self._definitions.get(definition.id)
        if known is None or (
            known.system_presence is not definition.system_presence
            and known.system_presence != definition.system_presence
        ):
            if len(self._definitions) >= _SHARED:
                self._definitions.clear()
            known = self._definitions[definition.id] = definition
        before = before or _NOTHING
        return UcUserPresence(
            id=before.id,
            name=before.name,
            user_id=user_id,
            source=before.source or self._shared.same(body.source),
            source_id=before.source_id,
            presence_definition=known,
            message=body.message,
            modified_date=body.modified_date,
            self_uri=before.self_uri,
        )

    def read(self, read: PresenceOutcome, asked: Moment, seen: Moment) -> PresenceChange | None:
        """Take in what became of a read, asked for and answered then; what is new, or None."""
        row = self._rows.get(read.user_id)
        if row is None:
            return None
        if read.error is not None:
            return self._failed(row, read.error, seen)
        if self._overruled(row, read, asked):
            if not row.fresh:
                self.later[row.user_id] = None
            return None
        before, as_of = row.presence, row.as_of
        same = row.origin is not None and before == read.presence
        presence = before if same else self._shared.slim(read)
        if not same or as_of is None or as_of.loop < asked.loop:
            row.presence, row.origin, row.as_of = presence, "read", asked
        row.seen = max(row.seen, seen.loop)
        self._set_error(row, None)
        enough = (row.heard or row.polled) and asked.loop >= row.needs
        return self._settle(row, before, as_of, seen, fresh=row.fresh or enough)

    def _overruled(self, row: Row, read: PresenceOutcome, asked: Moment) -> bool:
        """Whether what is known is newer than an answer, or may be."""
        if row.origin is None:
            return False
        then = row.presence.modified_date if row.presence is not None else None
        now = read.presence.modified_date if read.presence is not None else None
        if then and now and now < then:
            if asked.loop < row.seen:
                return True
            times = self._older.get(row.user_id, 0) + 1
            if times < BELIEVED_AFTER:
                self._older[row.user_id] = times
                return True
        elif asked.loop < row.seen and not (then and now and now > then):
            return differ(row.presence, read.presence)
        self._older.pop(row.user_id, None)
        return False

    def _failed(self, row: Row, error: PresenceError, seen: Moment) -> PresenceChange | None:
        if row.fresh and row.heard:
            return None  # nobody needs the read
        if not isinstance(error, InvalidRequestError):
            self.later[row.user_id] = None
        self._set_error(row, bare(error))
        return self._settle(row, row.presence, row.as_of, seen, fresh=False)

    def _set_error(self, row: Row, error: PresenceError | None) -> None:
        if row.error is error:
            return
        self.refused += isinstance(error, InvalidRequestError)
        self.refused -= isinstance(row.error, InvalidRequestError)
        row.error = error

    def _settle(
        self,
        row: Row,
        before: UcUserPresence | None,
        as_of: Moment | None,
        seen: Moment,
        *,
        fresh: bool,
    ) -> PresenceChange | None:
        """Note whether the row is fresh; the change to be told, if any."""
        was_stale, first = not row.fresh, not row.told
        self.stale += (not fresh) - (was_stale and not first)
        self.unread -= first
        row.fresh, row.told = fresh, True
        after = row.presence
        kind = kind_of(
            first=first,
            was_stale=was_stale,
            is_stale=not fresh,
            differs=after is not before and differ(before, after),
        )
        return None if kind is None else self._change(row, kind, before, seen, as_of)

    @staticmethod
    def _change(
        row: Row,
        kind: Kind,
        before: UcUserPresence | None,
        seen: Moment,
        as_of: Moment | None = None,
    ) -> PresenceChange:
        return PresenceChange(
            user_id=row.user_id,
            kind=kind,
            before=before,
            after=row.presence,
            seen_at=utc(seen),
            age=None if as_of is None else as_of.seconds_until(seen),
            error=row.error,
            stale=not row.fresh,
        )
