"""Reading many users' presences: ids in, one outcome per id out.

Fifty ids go into one bulk request (the vendor's limit). A source without a bulk read is
read user by user. A chunk that the vendor refuses is split until the id at fault is found.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs

from presence_async import converter, routes
from presence_async.errors import (
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    PresenceError,
    RowFailure,
)
from presence_async.models import UcUserPresence, UserPresence
from presence_async.resources._base import Send, check_ids, check_text, decoded
from presence_async.wire import repeated

if TYPE_CHECKING:
    from presence_async.wire import Request

__all__ = ["BULK_READ_LIMIT", "PURECLOUD", "Dedupe", "PresenceOutcome", "PresenceReader"]

BULK_READ_LIMIT: Final = 50
PURECLOUD: Final = "purecloud"
DEDUPE_WINDOW: Final = 10_000

Dedupe: TypeAlias = Literal["window", "all"]


@attrs.frozen
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


def check_dedupe(dedupe: Any) -> Dedupe:
    """`dedupe` if it is one of the two, else InvalidRequestError."""
    if dedupe not in ("window", "all"):
        raise InvalidRequestError(
            f"dedupe must be 'window' or 'all', not {dedupe!r}", field="dedupe"
        )
    return "all" if dedupe == "all" else "window"


class _Chunker:
    """Distinct ids in chunks of fifty; an id that is none becomes a chunk of its own error."""

    def __init__(self, dedupe: Dedupe) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._bound = DEDUPE_WINDOW if dedupe == "window" else None
        self._chunk: list[str] = []

    def add(self, user_id: str) -> Sequence[str] | PresenceOutcome | None:
        """A full chunk, the outcome of a bad id, or None."""
        try:
            check_text("ids", user_id)
        except InvalidRequestError as error:
            return PresenceOutcome(user_id, error=error)
        seen = self._seen
        if user_id in seen:
            return None
        seen[user_id] = None
        if self._bound is not None and len(seen) > self._bound:
            seen.popitem(last=False)
        self._chunk.append(user_id)
        return self.rest() if len(self._chunk) == BULK_READ_LIMIT else None

    def rest(self) -> Sequence[str]:
        """What is left over at the end."""
        chunk, self._chunk = self._chunk, []
        return chunk


_Chunk: TypeAlias = Sequence[str] | PresenceOutcome


def _chunks(ids: Iterable[str], dedupe: Dedupe) -> Iterator[_Chunk]:
    chunker = _Chunker(dedupe)
    for user_id in ids:
        if chunk := chunker.add(user_id):
            yield chunk
    if rest := chunker.rest():
        yield rest


async def _async_chunks(ids: AsyncIterable[str], dedupe: Dedupe) -> AsyncIterator[_Chunk]:
    chunker = _Chunker(dedupe)
    async for user_id in ids:
        if chunk := chunker.add(user_id):
            yield chunk
    if rest := chunker.rest():
        yield rest


def chunked(
    ids: Iterable[str] | AsyncIterable[str], dedupe: Dedupe
) -> Iterator[_Chunk] | AsyncIterator[_Chunk]:
    """Chunks of at most fifty distinct ids, pulled as they are needed.

    Raises:
        InvalidRequestError: `ids` is no iterable of ids, or a collection with a bad one.
    """
    check_ids("ids", ids)
    if isinstance(ids, AsyncIterable):
        return _async_chunks(ids, dedupe)
    return _chunks(ids, dedupe)


class PresenceReader:
    """Reads chunks of users on one source."""

    def __init__(self, send: Send, source: str) -> None:
        self._send = send
        self._source = check_text("source", source)
        self._is_purecloud = source.casefold() == PURECLOUD
        self._has_bulk = True

    async def read(self, chunk: _Chunk) -> Sequence[PresenceOutcome]:
        """One outcome per id of the chunk, in its order; fails for none of them together."""
        if isinstance(chunk, PresenceOutcome):
            return (chunk,)
        if not self._has_bulk:
            return await self._one_by_one(chunk)
        outcome = await self._bulk(chunk)
        if isinstance(outcome, InvalidRequestError | NotFoundError):
            return await self._split(chunk, outcome)
        if isinstance(outcome, PresenceError):
            return [PresenceOutcome(user_id, error=outcome) for user_id in chunk]
        return outcome

    async def _bulk(self, chunk: Sequence[str]) -> Sequence[PresenceOutcome] | PresenceError:
        try:
            request = self._bulk_request(chunk)
            response = await self._send(request)
            rows = decoded(
                request, response, lambda body: converter.structure_rows(body, UcUserPresence)
            )
        except PresenceError as error:
            return error
        return _match(chunk, rows.decoded, rows.failures)

    def _bulk_request(self, chunk: Sequence[str]) -> Request:
        if self._is_purecloud:
            request = routes.BULK_GET_PURECLOUD.request()
        else:
            request = routes.BULK_GET.request(self._source)
        request.target += repeated("id", chunk)
        return request

    async def _split(
        self, chunk: Sequence[str], refusal: InvalidRequestError | NotFoundError
    ) -> Sequence[PresenceOutcome]:
        """Find who is at fault in a refused chunk, by halves.

        When both halves are refused as well, it is no single id: a 404 then means that
        there is nothing to read in bulk, anything else that the request itself is wrong.
        """
        if len(chunk) == 1:
            return (_alone(chunk[0], refusal),)
        middle = len(chunk) // 2
        halves = chunk[:middle], chunk[middle:]
        left, right = await self._bulk(halves[0]), await self._bulk(halves[1])
        if isinstance(left, PresenceError) and isinstance(right, PresenceError):
            if isinstance(left, NotFoundError) and isinstance(right, NotFoundError):
                # The dedicated bulk read of Genesys Cloud's own source is always there.
                self._has_bulk = self._is_purecloud
                return await self._one_by_one(chunk)
            if (left.status, left.code) == (right.status, right.code):
                return [PresenceOutcome(user_id, error=refusal) for user_id in chunk]
        outcomes: list[PresenceOutcome] = []
        for half, outcome in zip(halves, (left, right), strict=True):
            if isinstance(outcome, InvalidRequestError | NotFoundError):
                outcomes += await self._split(half, outcome)
            elif isinstance(outcome, PresenceError):
                outcomes += [PresenceOutcome(user_id, error=outcome) for user_id in half]
            else:
                outcomes += outcome
        return outcomes

    async def _one_by_one(self, chunk: Sequence[str]) -> Sequence[PresenceOutcome]:
        return [await self._single(user_id) for user_id in chunk]

    async def _single(self, user_id: str) -> PresenceOutcome:
        try:
            request = presence_request(user_id, self._source)
            response = await self._send(request)
            presence = decoded(
                request, response, lambda body: converter.structure(body, UserPresence)
            )
        except NotFoundError:
            return PresenceOutcome(user_id)
        except PresenceError as error:
            return PresenceOutcome(user_id, error=error)
        return PresenceOutcome(user_id, presence=_as_bulk_row(user_id, presence))


def presence_request(user_id: str, source: str) -> Request:
    """The single read of one user on one source."""
    if check_text("source", source).casefold() == PURECLOUD:
        return routes.GET_PURECLOUD_PRESENCE.request(user_id)
    return routes.GET_PRESENCE.request(user_id, source)


def _alone(user_id: str, refusal: InvalidRequestError | NotFoundError) -> PresenceOutcome:
    """The outcome of an id that is refused by itself: unknown to the vendor, or bad."""
    if isinstance(refusal, NotFoundError):
        return PresenceOutcome(user_id)
    return PresenceOutcome(user_id, error=refusal)


def _match(
    chunk: Sequence[str], rows: Sequence[UcUserPresence], failures: Sequence[RowFailure]
) -> Sequence[PresenceOutcome]:
    """Rows by user id; their order is not to be relied on."""
    found = {row.user_id: row for row in rows}
    if not failures:
        return [PresenceOutcome(user_id, found.get(user_id)) for user_id in chunk]
    errors = {failure.row_id: _row_error(failure) for failure in failures}
    # A bad row that names no user may be anybody's who is not accounted for.
    stray = errors.get(None)
    outcomes = []
    for user_id in chunk:
        presence = found.get(user_id)
        error = None if presence is not None else errors.get(user_id, stray)
        outcomes.append(PresenceOutcome(user_id, presence, error))
    return outcomes


def _row_error(failure: RowFailure) -> DecodeError:
    return DecodeError(
        f"row {failure.row} of the bulk read could not be understood: "
        f"{failure.field or 'the row'} {failure.reason}",
        row=failure.row,
        field=failure.field,
        failures=(failure,),
        method=routes.BULK_GET.method,
        path_template=routes.BULK_GET.template,
    )


def _as_bulk_row(user_id: str, presence: UserPresence) -> UcUserPresence:
    """A single read in the shape of a bulk row, so that callers see one type."""
    return UcUserPresence(
        id=presence.id,
        name=presence.name,
        user_id=user_id,
        source=presence.source,
        source_id=presence.source_id,
        presence_definition=presence.presence_definition,
        message=presence.message,
        modified_date=presence.modified_date,
        self_uri=presence.self_uri,
        extra=presence.extra,
    )
