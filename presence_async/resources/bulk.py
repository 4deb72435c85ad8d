"""Bulk reads and bulk updates, any number of users."""

from __future__ import annotations

import inspect
import logging
import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from presence_async.errors import ClosedError, InvalidRequestError, PresenceError
from presence_async.fanout import FanOut, check_concurrency
from presence_async.outcomes import OnProgress, tally_of
from presence_async.resources._base import Resource, Send, check_ids
from presence_async.resources._halving import Halving
from presence_async.resources.definitions import Definitions
from presence_async.resources.reading import (
    BULK_READ_LIMIT,
    PURECLOUD,
    PresenceOutcome,
    PresenceReader,
)
from presence_async.resources.resolving import resolved
from presence_async.resources.settling import SETTLING_TIME, Pause, Settler
from presence_async.resources.updating import (
    ITEMS,
    Row,
    UpdateItem,
    UpdateOutcome,
    checked_items,
    encoded,
    put,
)
from presence_async.resources.users import Users

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence

    from presence_async.models import MutableUserPresence
    from presence_async.resources.system_presences import SystemPresences
    from presence_async.resources.user_presences import UserPresences
    from presence_async.rows import UpdateRow

_LOGGER: Final = logging.getLogger("presence_async.bulk")


class BulkAccess(NamedTuple):
    """What it takes to write in bulk; `adopt` ends a fan-out together with the session."""

    send: Send
    system_presences: SystemPresences
    adopt: Callable[[FanOut[Any]], None]


class Bulk(Resource):
    """Many users in one call: fifty to a request, as many requests as it takes."""

    __slots__ = ("_adopt", "_system_presences", "_user_presences")

    def __init__(
        self,
        send: Send,
        system_presences: SystemPresences,
        user_presences: UserPresences,
        adopt: Callable[[FanOut[Any]], None],
    ) -> None:
        """`adopt` ends a fan-out together with the session."""
        super().__init__(send)
        self._system_presences = system_presences
        self._user_presences = user_presences
        self._adopt = adopt

    @property
    def access(self) -> BulkAccess:
        """What it works with, for jobs that do it in steps of their own."""
        return BulkAccess(self._send, self._system_presences, self._adopt)

    async def get(
        self,
        ids: Iterable[str] | AsyncIterable[str],
        *,
        source: str = PURECLOUD,
        concurrency: int = 16,
        on_progress: OnProgress | None = None,
    ) -> list[PresenceOutcome]:
        """Read the presences of any number of users, as `client.user_presences.get_many`.

        No permission needed.

        Args:
            ids: User ids; each distinct one is read once.
            source: As for `get_many`.
            concurrency: Requests in flight at most.
            on_progress: As for `get_many`.

        Returns:
            One outcome per distinct id, in the order of their first appearance.

        Raises:
            InvalidRequestError: A bad argument, before any request.
        """
        check_concurrency(concurrency)
        if isinstance(ids, list) and 0 < len(ids) <= BULK_READ_LIMIT and on_progress is None:
            return await self._get_few(ids, source)
        return await self._user_presences.get_many(
            ids,
            source=source,
            concurrency=concurrency,
            ordered=True,
            dedupe="all",
            on_progress=on_progress,
        )

    async def _get_few(self, ids: list[str], source: str) -> list[PresenceOutcome]:
        """As `get`, for what fits into one request: that needs no fan-out."""
        reader = PresenceReader(self._send, source)
        check_ids("ids", ids)
        outcomes = await reader.read(list(dict.fromkeys(ids)))
        for error in [outcome.error for outcome in outcomes if outcome.error is not None]:
            if isinstance(error, ClosedError):
                raise error
        return [*outcomes]

    async def update(
        self,
        items: Iterable[UpdateItem] | AsyncIterable[UpdateItem],
        *,
        source: str = "PURECLOUD",
        concurrency: int = 4,
        settle: bool = True,
        settling_time: float = SETTLING_TIME,
        on_outcome: Callable[[UpdateOutcome], object] | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[UpdateOutcome]:
        """Change the presences of any number of users (bulk PUT).

        Any of `presence:userPresence:edit`. Split by 50 items and by 512,000 bytes; a chunk
        that the vendor refuses is split until the item at fault is found.

        A request that is lost (the connection broke, no answer in time, 408 or 5xx) may have
        taken effect. Its users are read back: what was not applied is sent again, twice at
        most; who has moved on is left alone; what cannot be told stays unknown. The rules and
        their limits: docs/limits-and-failures.md. Items with `primary` need
        `presence:userPrimarySource:view` for it.

        Args:
            items: `MutableUserPresence` rows (their `id` is the user's), or pairs of user id
                and presence. All are taken and checked before the first request.
            source: Source name for the items that name none.
            concurrency: Requests in flight at most.
            settle: False sends nothing twice and reads nothing back: what is lost is unknown.
            settling_time: Seconds from giving a request up to reading back, with neither a
                permit nor a connection held.
            on_outcome: A plain function, called once with each item's outcome, as soon as it
                is final. What it raises is logged. If the update is cancelled it is called for
                every item left, unknown (on their way) or rejected (not sent); for none while
                items are still being checked.
            on_progress: Called with a `Progress` at the start and after every chunk.

        Returns:
            One outcome per item, in order. Also when the client is closed meanwhile.

        Raises:
            PresenceError: A system presence could not be looked up. Nothing has been sent.
            InvalidRequestError: A bad argument or item, or a user twice on one source. Nothing
                has been sent; `field` names the item, e.g. ``items[3]``.
        """
        check_concurrency(concurrency)
        check_settling_time(settling_time)
        check_on_outcome(on_outcome)
        checked = await checked_items(items, source)
        tally = tally_of(on_progress, checked)
        rows = await encoded(checked, self._system_presences)
        write = Halving(partial(put, self._send), Row.outcome).outcomes
        pause = Pause()
        if settle:
            write = Settler(write, self._send, pause, settling_time).outcomes
        reports = _Reports(rows, on_outcome)
        try:
            return await _Update(
                partial(reports.told, write),
                list(ITEMS.batches(rows)),
                pause,
                concurrency=concurrency,
                ordered=True,
                on_start=self._adopt,
                loses_nothing=True,
                tally=tally,
            )
        finally:
            reports.finish()

    async def resolve(self, rows: Iterable[UpdateRow]) -> list[MutableUserPresence]:
        """Items for `update` from rows of a file: addresses and names become ids.

            items = await client.bulk.resolve(parse_csv(text))
            outcomes = await client.bulk.update(items)

        Addresses are looked up among the active users (one request for a hundred), labels in
        every language (one request), both whole and without regard to case; system presences
        as by `update`.

        Args:
            rows: From `parse_csv` or `parse_json_lines`.

        Returns:
            One item per row, in their order, so that ``zip(rows, outcomes)`` fits.

        Raises:
            InvalidRequestError: What is no `UpdateRow`; `field` names it, e.g. ``rows[3]``.
            RowsError: With every row that names nobody, more than one user or definition, or
                a user and source of an earlier row.
            PresenceError: A list could not be read.
        """
        return await resolved(
            rows, Users(self._send), Definitions(self._send), self._system_presences
        )


class _Update(FanOut[UpdateOutcome]):
    """A bulk update under way; closing the session also ends its sleep."""

    def __init__(
        self,
        step: Callable[[Any], Awaitable[Sequence[UpdateOutcome]]],
        items: Iterable[Any],
        pause: Pause,
        **options: Any,
    ) -> None:
        super().__init__(step, items, **options)
        self._pause = pause

    async def abort(self, reason: PresenceError) -> None:
        await self._pause.cut()
        await super().abort(reason)


class _Reports:
    """Tells each row's outcome once, whatever happens."""

    def __init__(
        self, rows: Sequence[Row], on_outcome: Callable[[UpdateOutcome], object] | None
    ) -> None:
        self._on_outcome = on_outcome
        self._untold = {} if on_outcome is None else dict.fromkeys(rows)

    async def told(
        self,
        write: Callable[[Sequence[Row]], Awaitable[Sequence[UpdateOutcome]]],
        rows: Sequence[Row],
    ) -> Sequence[UpdateOutcome]:
        """What `write` makes of the rows, told."""
        outcomes = await write(rows)
        for row, outcome in zip(rows, outcomes, strict=True):
            self._tell(row, outcome)
        return outcomes

    def finish(self) -> None:
        """Tell what is left when the update has been cut off."""
        for row in list(self._untold):
            self._tell(row, row.latest or _cut_off(row))

    def _tell(self, row: Row, outcome: UpdateOutcome) -> None:
        if self._on_outcome is None:
            return
        del self._untold[row]
        try:
            self._on_outcome(outcome)
        except Exception:
            _LOGGER.exception("on_outcome failed")


def _cut_off(row: Row) -> UpdateOutcome:
    if row.sent is None:
        return row.outcome(ClosedError("the bulk update was cancelled before this item was sent"))
    reason = "the bulk update was cancelled with this item on its way"
    return row.outcome(ClosedError(reason, outcome_unknown=True))


def check_settling_time(value: Any) -> None:
    """Seconds from 0, else InvalidRequestError."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf:
        raise InvalidRequestError(
            f"settling_time must be seconds from 0, not {value!r}", field="settling_time"
        )


def check_on_outcome(value: Any) -> None:
    """A plain function or None, else InvalidRequestError."""
    if value is not None and (not callable(value) or inspect.iscoroutinefunction(value)):
        raise InvalidRequestError(
            f"on_outcome must be a plain function, not {value!r}: nobody awaits it",
            field="on_outcome",
        )
