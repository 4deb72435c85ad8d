"""Reading many users' presences: ids in, one outcome per id out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import attrs

from presence_async import converter, routes
from presence_async.errors import (
    DecodeError,
    NotFoundError,
    PresenceError,
    RowFailure,
)
from presence_async.models import UcUserPresence, UserPresence
from presence_async.resources._base import Send, check_text, context, decoded
from presence_async.resources._halving import Halving
from presence_async.wire import path_value, repeated

if TYPE_CHECKING:
    from presence_async.converter import Rows
    from presence_async.wire import Request

_ONLY_STR: Final = frozenset({str})

__all__ = ["BULK_READ_LIMIT", "PURECLOUD", "Chunk", "PresenceOutcome", "PresenceReader"]

BULK_READ_LIMIT: Final = 50
PURECLOUD: Final = "purecloud"


# Neither frozen nor slotted, for speed: a sweep makes fifty for each request.
@attrs.define(slots=False)
class PresenceOutcome:
    """What became of one user's read.

    Attributes:
        user_id: The id as it was given.
        presence: The presence, or None.
        error: Why it could not be read, or None.
    """

    user_id: str
    presence: UcUserPresence | None = None
    error: PresenceError | None = None

    @property
    def status(self) -> Literal["present", "missing", "failed"]:
        """Missing: the vendor answered, and has no presence for this user and source."""
        if self.error is not None:
            return "failed"
        return "missing" if self.presence is None else "present"


Chunk: TypeAlias = Sequence[str | PresenceOutcome]
"""At most fifty distinct ids; in place of one that is none stands its outcome already."""


class PresenceReader:
    """Reads chunks of users on one source."""

    def __init__(self, send: Send, source: str) -> None:
        self._send = send
        self._source = source
        self._is_purecloud = _is_checked_purecloud(source)
        # The dedicated bulk read of Genesys Cloud's own source is always there.
        self._has_bulk = True if self._is_purecloud else None
        self._halving = Halving(
            self._attempt,
            lambda user_id, error: PresenceOutcome(user_id, error=error),
            not_found=self._not_found,
        )

    @property
    def chunk_size(self) -> int:
        """Users to a request: one, once the source is known to have no bulk read."""
        return 1 if self._has_bulk is False else BULK_READ_LIMIT

    def again(self) -> PresenceReader:
        """A reader for another sweep: it knows of the bulk read, but not what was accepted before.

        Were everything refused this time, no chunk is to be searched for the user at fault.
        """
        reader = PresenceReader(self._send, self._source)
        reader._has_bulk = self._has_bulk
        return reader

    async def read(self, chunk: Chunk) -> Sequence[PresenceOutcome]:
        """One outcome per entry of the chunk, in its order; fails for none of them together."""
        ids = cast("Sequence[str]", chunk)
        if not _ONLY_STR.issuperset(map(type, chunk)):
            ids = [entry for entry in chunk if isinstance(entry, str)]
        outcomes = await self._halving.outcomes(ids) if ids else ()
        if len(ids) == len(chunk):
            return outcomes
        left = iter(outcomes)
        return [next(left) if isinstance(entry, str) else entry for entry in chunk]

    async def _attempt(self, ids: Sequence[str]) -> Sequence[PresenceOutcome] | PresenceError:
        """One bulk request, or single ones where the source has no bulk read."""
        if self._has_bulk is False:
            return await self._one_by_one(ids)
        request = self._bulk_request(ids)
        try:
            response = await self._send(request)
            rows = decoded(request, response, converter.structure_rows, UcUserPresence)
        except PresenceError as error:
            return error
        self._has_bulk = True
        return _in_order(ids, rows) or _matched(ids, rows, context(request, response))

    def _bulk_request(self, ids: Sequence[str]) -> Request:
        if self._is_purecloud:
            request = routes.BULK_GET_PURECLOUD.request()
        else:
            request = routes.BULK_GET.request(self._source)
        request.target += repeated("id", ids)
        return request

    async def _not_found(self, ids: Sequence[str]) -> Sequence[PresenceOutcome]:
        """One user, or both halves of some: they are unknown, or there is no bulk read."""
        if len(ids) == 1 and self._has_bulk:
            return [PresenceOutcome(ids[0])]
        outcomes = await self._one_by_one(ids)
        if len(ids) > 1 and self._has_bulk is None:
            # Which of the two, a user tells who can be read alone.
            present = [outcome.user_id for outcome in outcomes if outcome.presence is not None]
            if not present or isinstance(await self._attempt(present[:1]), NotFoundError):
                self._has_bulk = False
        return outcomes

    async def _one_by_one(self, chunk: Sequence[str]) -> Sequence[PresenceOutcome]:
        return [await self._single(user_id) for user_id in chunk]

    async def _single(self, user_id: str) -> PresenceOutcome:
        try:
            request = presence_request(user_id, self._source)
            response = await self._send(request)
            presence = decoded(request, response, converter.structure, UserPresence)
        except NotFoundError:
            return PresenceOutcome(user_id)
        except PresenceError as error:
            return PresenceOutcome(user_id, error=error)
        return PresenceOutcome(user_id, presence=_as_bulk_row(user_id, presence))


def is_purecloud(source: str) -> bool:
    """Whether it is Genesys Cloud's own source, which has paths of its own."""
    return source.casefold() == PURECLOUD


def check_source(source: Any) -> str:
    """A source name that can stand in a path."""
    path_value("source", check_text("source", source))
    return str(source)


def _is_checked_purecloud(source: str) -> bool:
    # The default is let through unchecked: this is the way of every single read.
    return source == PURECLOUD or is_purecloud(check_source(source))


def presence_request(user_id: str, source: str) -> Request:
    """The single read of one user on one source."""
    if _is_checked_purecloud(source):
        return routes.GET_PURECLOUD_PRESENCE.request(user_id)
    return routes.GET_PRESENCE.request(user_id, source)


def _in_order(ids: Sequence[str], rows: Rows[UcUserPresence]) -> Sequence[PresenceOutcome] | None:
    """The outcomes when the rows are those of the ids, one by one; None when they are not."""
    found = rows.decoded
    if [row.user_id for row in found] != list(ids):
        return None
    return [PresenceOutcome(user_id, row, None) for user_id, row in zip(ids, found, strict=True)]


def _matched(
    ids: Sequence[str], rows: Rows[UcUserPresence], exchange: dict[str, Any]
) -> Sequence[PresenceOutcome]:
    """Rows by user id, in any order.

    A row that cannot be understood, or names none of these users, may be anybody's who is
    not accounted for: such a user is not known to be missing.
    """
    found = {row.user_id: row for row in rows.decoded}
    wanted = set(ids)
    if not rows.failures and found.keys() <= wanted:
        return [PresenceOutcome(user_id, found.get(user_id), None) for user_id in ids]
    errors = {failure.row_id: _row_error(failure, exchange) for failure in rows.failures}
    stray = next((error for id_, error in errors.items() if id_ not in wanted), None)
    if stray is None and not found.keys() <= wanted:
        stray = DecodeError("a row of the bulk read names none of the users asked for", **exchange)
    outcomes = []
    for user_id in ids:
        presence = found.get(user_id)
        error = None if presence is not None else errors.get(user_id, stray)
        outcomes.append(PresenceOutcome(user_id, presence, error))
    return outcomes


def _row_error(failure: RowFailure, exchange: dict[str, Any]) -> DecodeError:
    return DecodeError(
        f"row {failure.row} of the bulk read could not be understood: "
        f"{failure.field or 'the row'} {failure.reason}",
        row=failure.row,
        field=failure.field,
        failures=(failure,),
        **exchange,
    )


def _as_bulk_row(user_id: str, presence: UserPresence) -> UcUserPresence:
    """A single read in the shape of a bulk row, so that callers see one type."""
    return UcUserPresence(user_id=user_id, **common(presence))


_COMMON: Final = (
    *("id", "name", "source", "source_id", "presence_definition"),
    *("message", "modified_date", "self_uri", "extra"),
)


def common(presence: UserPresence | UcUserPresence) -> dict[str, Any]:
    """The fields that a single presence and a row of a bulk read both have."""
    return {name: getattr(presence, name) for name in _COMMON}
