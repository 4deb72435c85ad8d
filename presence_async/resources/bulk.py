"""Bulk reads and bulk updates, any number of users."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs

from presence_async import converter, routes
from presence_async.errors import InvalidRequestError, NotFoundError, PresenceError
from presence_async.fanout import FanOut, check_concurrency
from presence_async.models import (
    MutableUserPresence,
    PresenceDefinition,
    SystemPresenceName,
    UserPresence,
)
from presence_async.resources._base import Resource, Send, check_text, decoded
from presence_async.resources.reading import PURECLOUD, PresenceOutcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async.resources.system_presences import SystemPresences
    from presence_async.resources.user_presences import UserPresences

__all__ = ["Bulk", "UpdateItem", "UpdateOutcome"]

# The vendor publishes no item limit for the bulk write; a third-party client sends 50.
BULK_UPDATE_LIMIT: Final = 50
# `request.bytes.max` of the vendor's limits page: 413 beyond it.
BODY_LIMIT: Final = 512_000

UpdateItem: TypeAlias = MutableUserPresence | tuple[str, str | PresenceDefinition | UserPresence]
"""A whole row, or (user id, presence): a definition id, the name of a system presence in any
spelling, a `PresenceDefinition`, or a `UserPresence` with whatever is to change."""


@attrs.frozen
class UpdateOutcome:
    """What became of one item of a bulk update.

    Attributes:
        item: The item as it was given.
        user_id: Whose presence it is about.
        presence: The presence as the vendor answered it, or None.
        error: Why it is not known to be applied, or None.
    """

    item: UpdateItem
    user_id: str
    presence: UserPresence | None = None
    error: PresenceError | None = None

    @property
    def status(self) -> Literal["applied", "rejected", "unknown"]:
        """Unknown: it may have taken effect; read the user back to find out."""
        if self.error is None:
            return "applied"
        return "unknown" if self.error.outcome_unknown else "rejected"


@attrs.frozen
class _Row:
    """One item, checked and encoded."""

    item: UpdateItem
    user_id: str
    body: bytes = attrs.field(repr=False)


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

    async def get(
        self,
        ids: Iterable[str] | AsyncIterable[str],
        *,
        source: str = PURECLOUD,
        concurrency: int = 16,
    ) -> list[PresenceOutcome]:
        """Read the presences of any number of users. No permission needed.

        This is `client.user_presences.get_many` collected.

        Args:
            ids: User ids; each distinct one is read once.
            source: "purecloud" or an ad hoc source name.
            concurrency: Requests in flight at most.

        Returns:
            One outcome per distinct id, in the order of their first appearance.

        Raises:
            InvalidRequestError: An argument that is none of these, before any request.
        """
        return await self._user_presences.get_many(
            ids, source=source, concurrency=concurrency, ordered=True, dedupe="all"
        )

    async def update(
        self,
        items: Iterable[UpdateItem],
        *,
        source: str = "PURECLOUD",
        concurrency: int = 4,
    ) -> list[UpdateOutcome]:
        """Change the presences of any number of users (bulk PUT).

        Any of `presence:userPresence:edit`. Split by 50 items and by 512,000 bytes. A
        request is never sent twice unless the first certainly took no effect; a chunk
        that the vendor refuses is split until the item at fault is found.

        Args:
            items: `MutableUserPresence` rows (their `id` is the user's), or pairs of user
                id and presence.
            source: Source name for the items that name none.
            concurrency: Requests in flight at most.

        Returns:
            One outcome per item, in order: applied, rejected with the vendor's reason, or
            unknown.

        Raises:
            InvalidRequestError: An item that is none, or a user twice on one source
                (which of the two would win?). Nothing has been sent then; `field` names
                the item, e.g. ``items[3]``.
        """
        rows = await self._encoded(items, check_text("source", source))
        chunks = FanOut(
            self._write,
            _split_rows(rows),
            concurrency=check_concurrency(concurrency),
            ordered=True,
            on_start=self._adopt,
        )
        return await chunks

    async def _encoded(self, items: Iterable[UpdateItem], source: str) -> list[_Row]:
        """Every item as a row, before the first request."""
        if isinstance(items, str | bytes) or not isinstance(items, Iterable):
            raise InvalidRequestError(
                f"items must be an iterable, not {type(items).__name__}", field="items"
            )
        rows = []
        seen: set[tuple[str, str]] = set()
        for index, item in enumerate(items):
            name = f"items[{index}]"
            wire = await self._wire_row(name, item)
            if "sourceId" not in wire:
                wire.setdefault("source", source)
            key = (wire["id"], str(wire.get("sourceId") or wire.get("source")).casefold())
            if key in seen:
                raise InvalidRequestError(
                    f"{name} is about a user and source that an earlier item is about",
                    field=name,
                )
            seen.add(key)
            body = converter.dumps(wire)
            if len(body) + 2 > BODY_LIMIT:
                raise InvalidRequestError(
                    f"{name} is longer than the {BODY_LIMIT} bytes of a request", field=name
                )
            rows.append(_Row(item, wire["id"], body))
        return rows

    async def _wire_row(self, name: str, item: Any) -> dict[str, Any]:
        if isinstance(item, MutableUserPresence):
            wire = converter.to_dict(item)
            check_text(f"{name}.id", wire.get("id"))
            return wire
        if not isinstance(item, tuple) or len(item) != 2:  # noqa: PLR2004  # a pair
            raise InvalidRequestError(
                f"{name} must be a MutableUserPresence or a pair of user id and presence",
                field=name,
            )
        user_id, presence = item
        check_text(f"{name}[0]", user_id)
        if isinstance(presence, UserPresence):
            return converter.to_dict(presence) | {"id": user_id}
        if isinstance(presence, PresenceDefinition):
            presence = presence.id or presence.system_presence
        return {
            "id": user_id,
            "presenceDefinition": {"id": await self._definition_id(f"{name}[1]", presence)},
        }

    async def _definition_id(self, name: str, presence: Any) -> str:
        """A definition id as it is, or that of a system presence."""
        text = check_text(name, presence)
        if SystemPresenceName(text).is_known:
            return await self._system_presences.definition_id(text)
        return text

    async def _write(self, rows: Sequence[_Row]) -> Sequence[UpdateOutcome]:
        """One outcome per row; fails for none of them together."""
        result = await self._put(rows)
        if not isinstance(result, PresenceError):
            return result
        if not isinstance(result, InvalidRequestError | NotFoundError) or len(rows) == 1:
            return [UpdateOutcome(row.item, row.user_id, error=result) for row in rows]
        return await self._split(rows, result)

    async def _split(self, rows: Sequence[_Row], refusal: PresenceError) -> Sequence[UpdateOutcome]:
        """Find the item at fault in a refused chunk, by halves; stop when both are refused."""
        middle = len(rows) // 2
        halves = rows[:middle], rows[middle:]
        left, right = await self._put(halves[0]), await self._put(halves[1])
        if (
            len(rows) > 2  # noqa: PLR2004  # of two items each half is one: both are at fault
            and isinstance(left, PresenceError)
            and isinstance(right, PresenceError)
            and _verdict(left) == _verdict(right)
        ):
            return [UpdateOutcome(row.item, row.user_id, error=refusal) for row in rows]
        outcomes: list[UpdateOutcome] = []
        for half, result in zip(halves, (left, right), strict=True):
            if not isinstance(result, PresenceError):
                outcomes += result
            elif isinstance(result, InvalidRequestError | NotFoundError) and len(half) > 1:
                outcomes += await self._split(half, result)
            else:
                outcomes += [UpdateOutcome(row.item, row.user_id, error=result) for row in half]
        return outcomes

    async def _put(self, rows: Sequence[_Row]) -> Sequence[UpdateOutcome] | PresenceError:
        request = routes.BULK_UPDATE.request(body=b"[" + b",".join(r.body for r in rows) + b"]")
        try:
            response = await self._send(request)
            answer = decoded(
                request, response, lambda body: converter.structure_rows(body, UserPresence)
            )
        except PresenceError as error:
            return error
        return _matched(rows, answer.decoded, whole=not answer.failures)


def _verdict(error: PresenceError) -> tuple[int | None, str | None]:
    return error.status, error.code


def _split_rows(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    """Chunks within both limits: fifty items, and the bytes of a body."""
    chunk: list[_Row] = []
    size = 1  # the opening bracket; each item brings its comma or the closing one
    for row in rows:
        if len(chunk) == BULK_UPDATE_LIMIT or size + len(row.body) + 1 > BODY_LIMIT:
            yield chunk
            chunk, size = [], 1
        chunk.append(row)
        size += len(row.body) + 1
    if chunk:
        yield chunk


_SELF_URI: Final = re.compile(r"/api/v2/users/([^/]+)/presences", re.ASCII)


def _matched(
    rows: Sequence[_Row], answer: Sequence[UserPresence], *, whole: bool
) -> Sequence[UpdateOutcome]:
    """Answer rows to items: by user id where the answer has them, else by position.

    An item that the answer leaves out may or may not be applied: the vendor says nothing
    about partial failure.
    """
    wanted = {row.user_id for row in rows}
    found: dict[str, UserPresence] = {}
    for presence in answer:
        user_id = _user_of(presence, wanted)
        if user_id is not None:
            found[user_id] = presence
    if not found and whole and len(answer) == len(rows):
        return [
            UpdateOutcome(row.item, row.user_id, presence)
            for row, presence in zip(rows, answer, strict=True)
        ]
    return [
        UpdateOutcome(row.item, row.user_id, found[row.user_id])
        if row.user_id in found
        else UpdateOutcome(row.item, row.user_id, error=_left_out())
        for row in rows
    ]


def _user_of(presence: UserPresence, wanted: set[str]) -> str | None:
    """Whose row it is: `id`, or the user in `selfUri` (recorded rows have no id)."""
    if presence.id and presence.id in wanted:
        return presence.id
    match = _SELF_URI.search(presence.self_uri or "")
    return match[1] if match and match[1] in wanted else None


def _left_out() -> PresenceError:
    return InvalidRequestError(
        "the vendor's answer leaves this item out",
        method=routes.BULK_UPDATE.method,
        path_template=routes.BULK_UPDATE.template,
        outcome_unknown=True,
    )
