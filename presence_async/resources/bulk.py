"""Bulk reads and bulk updates, any number of users."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterable, Container, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import unquote

import attrs

from presence_async import converter, routes
from presence_async.errors import DecodeError, InvalidRequestError, PresenceError, RowFailure
from presence_async.fanout import FanOut, check_concurrency
from presence_async.models import (
    MutableUserPresence,
    PresenceDefinition,
    SystemPresenceName,
    UserPresence,
)
from presence_async.resources._base import Resource, Send, check_text, context, decoded, writable
from presence_async.resources._halving import Halving
from presence_async.resources.reading import PURECLOUD, PresenceOutcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async.converter import Rows
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

    def outcome(self, error: PresenceError) -> UpdateOutcome:
        """What became of it when its request failed."""
        return UpdateOutcome(self.item, self.user_id, error=error)


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
            unknown. Also when the client is closed meanwhile.

        Raises:
            PresenceError: A system presence could not be looked up. Nothing has been sent.
            InvalidRequestError: An item that is none, or a user twice on one source
                (which of the two would win?). Nothing has been sent then; `field` names
                the item, e.g. ``items[3]``.
        """
        check_concurrency(concurrency)
        rows = await self._encoded(_checked(items, check_text("source", source)))
        halving = Halving(self._put, _Row.outcome)
        return await FanOut(
            halving.outcomes,
            _split_rows(rows),
            concurrency=concurrency,
            ordered=True,
            on_start=self._adopt,
            loses_nothing=True,
        )

    async def _encoded(self, checked: Sequence[_Checked]) -> list[_Row]:
        """Every item as a row: system presences looked up, sizes checked."""
        rows = []
        for index, (item, wire, system_presence) in enumerate(checked):
            if system_presence is not None:
                id_ = await self._system_presences.definition_id(system_presence)
                wire["presenceDefinition"] = {"id": id_}
            body = converter.dumps(wire)
            if len(body) + 2 > BODY_LIMIT:
                name = f"items[{index}]"
                raise InvalidRequestError(
                    f"{name} is longer than the {BODY_LIMIT} bytes of a request", field=name
                )
            rows.append(_Row(item, wire["id"], body))
        return rows

    async def _put(self, rows: Sequence[_Row]) -> Sequence[UpdateOutcome] | PresenceError:
        request = routes.BULK_UPDATE.request(body=b"[" + b",".join(r.body for r in rows) + b"]")
        try:
            response = await self._send(request)
            answer = decoded(request, response, converter.structure_rows, UserPresence)
        except PresenceError as error:
            return error
        return _matched(rows, answer, context(request, response))


_Checked: TypeAlias = tuple[UpdateItem, dict[str, Any], str | None]
"""An item, its row on the wire, and the system presence still to be looked up for it."""


def _checked(items: Any, source: str) -> list[_Checked]:
    """Every item, before the first request of any kind.

    Raises:
        InvalidRequestError: For the first one that is none; `field` names it.
    """
    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        raise InvalidRequestError(
            f"items must be an iterable, not {type(items).__name__}", field="items"
        )
    checked = []
    seen: set[tuple[str, str]] = set()
    for index, item in enumerate(items):
        name = f"items[{index}]"
        wire, system_presence = _wire_row(name, item)
        if not wire.get("sourceId"):
            wire["source"] = wire.get("source") or source
        of_source = check_text(f"{name}.source", wire.get("sourceId") or wire["source"])
        key = (wire["id"], of_source.casefold())
        if key in seen:
            raise InvalidRequestError(
                f"{name} is about a user and source that an earlier item is about", field=name
            )
        seen.add(key)
        checked.append((item, wire, system_presence))
    return checked


def _wire_row(name: str, item: Any) -> tuple[dict[str, Any], str | None]:
    """An item's row, and its system presence when that has to be looked up."""
    if isinstance(item, MutableUserPresence):
        wire = converter.to_dict(writable(item, keep="id"))
        check_text(f"{name}.id", wire.get("id"))
        return wire, None
    if not isinstance(item, tuple) or len(item) != 2:  # a pair
        raise InvalidRequestError(
            f"{name} must be a MutableUserPresence or a pair of user id and presence",
            field=name,
        )
    user_id, presence = item
    check_text(f"{name}[0]", user_id)
    if isinstance(presence, UserPresence):
        return converter.to_dict(writable(presence)) | {"id": user_id}, None
    if isinstance(presence, PresenceDefinition):
        presence = presence.id or presence.system_presence
    text = check_text(f"{name}[1]", presence)
    if SystemPresenceName(text).is_known:
        return {"id": user_id}, text
    return {"id": user_id, "presenceDefinition": {"id": text}}, None


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
    rows: Sequence[_Row], answer: Rows[UserPresence], exchange: dict[str, Any]
) -> Sequence[UpdateOutcome]:
    """Answer rows to items: by user id where the answer has them, else by position.

    An item that the answer leaves out may or may not be applied: the vendor says nothing
    about partial failure.
    """
    wanted = Counter(row.user_id for row in rows)
    found: dict[str, list[UserPresence]] = {}
    for presence in answer.decoded:
        user_id = _user_of(presence, wanted)
        if user_id is not None:
            found.setdefault(user_id, []).append(presence)
    if not found and not answer.failures and len(answer.decoded) == len(rows):
        return [
            UpdateOutcome(row.item, row.user_id, presence)
            for row, presence in zip(rows, answer.decoded, strict=True)
        ]
    # A user on several sources has as many rows, in the order asked for; with one missing
    # nobody knows which.
    matched = {
        user_id: iter(presences)
        for user_id, presences in found.items()
        if len(presences) == wanted[user_id]
    }
    return [
        UpdateOutcome(row.item, row.user_id, next(matched[row.user_id]))
        if row.user_id in matched
        else row.outcome(_left_out(answer.failures, exchange))
        for row in rows
    ]


def _user_of(presence: UserPresence, wanted: Container[str]) -> str | None:
    """Whose row it is: `id`, or the user in `selfUri` (recorded rows have no id)."""
    if presence.id and presence.id in wanted:
        return presence.id
    match = _SELF_URI.search(presence.self_uri or "")
    user_id = unquote(match[1]) if match else None
    return user_id if user_id in wanted else None


def _left_out(failures: tuple[RowFailure, ...], exchange: dict[str, Any]) -> PresenceError:
    if failures:
        return DecodeError(
            "the row about this item could not be understood", failures=failures, **exchange
        )
    return InvalidRequestError("the vendor's answer leaves this item out", **exchange)
