"""What became of writes that nobody answered: wait, read back, judge, send again.

The rules, their reasons and limits are in docs/limits-and-failures.md ("Lost bulk updates"). In
doubt a presence is left alone: the vendor has no conditional update.
"""

from __future__ import annotations

import asyncio
import copy
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar

import attrs

from presence_async import converter, routes
from presence_async.errors import ClosedError, PresenceError
from presence_async.models import (
    PresenceDefinition,
    UcUserPresence,
    UserPresence,
    UserPrimarySource,
)
from presence_async.resources._base import Send, decoded
from presence_async.resources.reading import PresenceOutcome, PresenceReader, common
from presence_async.resources.updating import Moment, Row

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from presence_async.resources.updating import UpdateOutcome, Wanted
    from presence_async.wire import Request, Response

RowT = TypeVar("RowT", bound=Row)
SETTLING_TIME: Final = 15.0
# The first send and the repeated ones. Each is followed by a look, if it is lost.
SENDS: Final = 3
# How far the clock of `Date`, in whole seconds, may be ahead of that of `modifiedDate`.
CLOCK_MARGIN: Final = 1.0

Verdict: TypeAlias = Literal["applied", "not applied", "superseded", "open"]


def shows(wanted: Wanted, presence: UcUserPresence) -> bool:
    """Whether a presence is what was asked for; `primary` cannot be seen in it."""
    if wanted.message is not None and wanted.message != (presence.message or ""):
        return False
    if wanted.definition_id is None:
        return True
    return wanted.definition_id in (_id(presence.presence_definition), _future_id(presence))


def _id(definition: object) -> object:
    return definition.id if isinstance(definition, PresenceDefinition) else None


def _future_id(presence: UcUserPresence) -> object:
    """Where a user On Queue goes once leaving is granted: the update has been accepted."""
    future = presence.extra.get("futurePresenceDefinition")
    return future.get("id") if isinstance(future, dict) else None


def verdict(
    row: Row, shown: PresenceOutcome, since: datetime | None, *, promoted: bool = True
) -> Verdict:
    """What became of a row, by what its user shows after the settling time. Pure.

    `since`: a change up to this moment, on the vendor's clock, was there before the row was
    sent; None when it is not known. `promoted`: whether the source is the user's primary one,
    where that was asked for.
    """
    presence = shown.presence
    if presence is None:
        return "open" if shown.error is not None or row.registered else "not applied"
    if promoted and shows(row.wanted, presence):
        return "applied"
    modified = presence.modified_date
    if since is None or not modified:
        return "open"
    return "not applied" if modified <= since else "superseded"


@attrs.frozen
class Judged:
    """A verdict, with the presence it was made from, or why there is none."""

    verdict: Verdict
    presence: UserPresence | None = None
    error: PresenceError | None = None


class _Dated:
    """A way out that keeps the date of the latest answer, and when that came."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._date: datetime | None = None

    async def send(self, request: Request) -> Response:
        response = await self._send(request)
        self._date, self._came = _date_of(response), Moment.now()
        return response

    def at(self, moment: Moment | None) -> datetime | None:
        """What the vendor's clock showed at an earlier moment, at least."""
        if self._date is None or moment is None:
            return None
        passed = moment.seconds_until(self._came) + CLOCK_MARGIN
        return self._date - timedelta(seconds=passed)


def _date_of(response: Response) -> datetime | None:
    """The `Date` header (RFC 9110), or None without a usable one."""
    try:
        date = parsedate_to_datetime(response.headers.get("Date", ""))
    except (ValueError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date


async def look(send: Send, rows: Sequence[RowT]) -> dict[RowT, PresenceOutcome]:
    """Read the users of at most fifty rows, of any sources; fails for none of them together."""
    shown: dict[RowT, PresenceOutcome] = {}
    for source in dict.fromkeys(row.source for row in rows):
        group = [row for row in rows if row.source == source]
        try:
            read = await PresenceReader(send, source).read([row.user_id for row in group])
        except PresenceError as error:  # a name that cannot stand in a path
            read = [PresenceOutcome(row.user_id, error=error) for row in group]
        shown |= zip(group, read, strict=True)
    return shown


async def read_back(send: Send, rows: Sequence[Row]) -> dict[Row, Judged]:
    """Look at the users of at most fifty rows, of any sources, and judge each row.

    One that has no `since` and was never `sent` by this process is either applied or open.
    """
    judged: dict[Row, Judged] = {}
    for source in dict.fromkeys(row.source for row in rows):
        group = [row for row in rows if row.source == source]
        dated = _Dated(send)
        shown = await look(dated.send, group)
        asked = [row for row in group if row.wanted.primary and _shows(row, shown[row])]
        promoted = await _promoted(send, asked)
        if promoted:
            # That was a request for each of them. Who has moved on meanwhile is left alone.
            shown = await look(dated.send, group)
        for row in group:
            since = row.since or dated.at(row.sent)
            judged[row] = _judged(row, shown[row], since, promoted=promoted.get(row))
    return judged


def _judged(
    row: Row,
    shown: PresenceOutcome,
    since: datetime | None,
    *,
    promoted: bool | PresenceError | None,
) -> Judged:
    presence = shown.presence
    if presence is None:
        return Judged(verdict(row, shown, since), error=shown.error)
    if not (row.wanted.primary and _shows(row, shown)):
        promoted = True  # nobody asks
    if not isinstance(promoted, bool):
        # It could not be read; or all else is shown since the second look only.
        return Judged("open", error=promoted)
    return Judged(verdict(row, shown, since, promoted=promoted), _as_presence(presence))


def _shows(row: Row, shown: PresenceOutcome) -> bool:
    return shown.presence is not None and shows(row.wanted, shown.presence)


async def _promoted(send: Send, rows: Iterable[Row]) -> dict[Row, bool | PresenceError]:
    """Whether the source of each row is its user's primary one, or why nobody knows."""
    found: dict[Row, bool | PresenceError] = {}
    for row in rows:
        try:
            found[row] = await _is_primary(send, row)
        except PresenceError as error:
            found[row] = error
    return found


async def _is_primary(send: Send, row: Row) -> bool:
    request = routes.GET_PRIMARY_SOURCE.request(row.user_id)
    response = await send(request)
    primary = decoded(request, response, converter.structure, UserPrimarySource)
    return (primary.source_id or "").casefold() == row.source.casefold()


def _as_presence(row: UcUserPresence) -> UserPresence:
    """A bulk row in the shape of an update's answer, so that callers see one type."""
    return UserPresence(**common(row))


class Pause:
    """Sleeps that can be cut short, all of them and once and for all."""

    def __init__(self) -> None:
        self._cut = asyncio.get_running_loop().create_future()

    async def sleep(self, seconds: float) -> bool:
        """Whether the time has passed; False when it was cut short."""
        await asyncio.wait({self._cut}, timeout=seconds)
        return not self._cut.done()

    async def cut(self) -> None:
        """Wake all who sleep; none of their timers is left when this returns."""
        if not self._cut.done():
            self._cut.set_result(None)
        await asyncio.sleep(0)


class Settler:
    """Sends rows and does not rest until it knows what became of them, within bounds."""

    def __init__(
        self,
        write: Callable[[Sequence[Row]], Awaitable[Sequence[UpdateOutcome]]],
        send: Send,
        pause: Pause,
        seconds: float,
    ) -> None:
        """`write` sends rows, once; `send` is for the read-back, `seconds` the settling time."""
        self._write = write
        self._send = send
        self._pause = pause
        self._seconds = seconds

    async def outcomes(self, rows: Sequence[Row]) -> Sequence[UpdateOutcome]:
        """One outcome for each row, at most fifty, in order; what cannot be told stays unknown."""
        return await self.settled(rows, await self._write(rows), self._seconds)

    async def settled(
        self, rows: Sequence[Row], outcomes: Sequence[UpdateOutcome], seconds: float
    ) -> Sequence[UpdateOutcome]:
        """As `outcomes`, for rows that have been sent and need `seconds` yet to settle."""
        found = dict(zip(rows, outcomes, strict=True))
        for sends_left in reversed(range(SENDS)):
            lost = {row: error for row in rows if (error := _lost(row, found[row])) is not None}
            if not lost or not await self._waited(lost.values(), seconds):
                break
            seconds = self._seconds
            again = []
            for row, judged in (await read_back(self._send, [*lost])).items():
                if judged.verdict == "not applied" and sends_left:
                    row.repeated = True
                    again.append(row)
                else:
                    found[row] = _settled(row, lost[row], judged)
            if again:
                found |= zip(again, await self._write(again), strict=True)
        return [found[row] for row in rows]

    async def _waited(self, errors: Iterable[PresenceError], seconds: float) -> bool:
        """Give the requests time to take effect; False when the client was closed meanwhile."""
        over = all(error.status is not None and error.status < 300 for error in errors)
        return await self._pause.sleep(0.0 if over else seconds)


def _lost(row: Row, outcome: UpdateOutcome) -> PresenceError | None:
    """The error of a row whose fate can be found out."""
    error = outcome.error
    if outcome.status != "unknown" or isinstance(error, ClosedError) or not row.wanted:
        return None
    return error


def _settled(row: Row, lost: PresenceError, judged: Judged) -> UpdateOutcome:
    """The outcome of a row whose request was lost, after the last look at it or a verdict."""
    if judged.verdict == "applied":
        return row.outcome(presence=judged.presence)
    if judged.verdict == "superseded":
        return row.outcome(lost, judged.presence, superseded=True)
    error = copy.copy(lost)
    error.outcome_unknown = judged.verdict == "open"
    error.__cause__ = judged.error
    return row.outcome(error)
