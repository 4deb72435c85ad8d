"""The rows of a bulk update: from the caller's items to one request and its answer."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterable, Container, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import unquote

import attrs

from presence_async import converter, routes
from presence_async.errors import DecodeError, InvalidRequestError, PresenceError, RowFailure
from presence_async.models import (
    MutableUserPresence,
    PresenceDefinition,
    SystemPresenceName,
    UserPresence,
)
from presence_async.resources._base import (
    Send,
    check_iterable,
    check_text,
    context,
    decoded,
    writable,
)
from presence_async.resources._batches import Envelope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import Self

    from presence_async.converter import Rows
    from presence_async.resources.system_presences import SystemPresences

__all__ = ["UpdateItem", "UpdateOutcome"]

# Items that are checked, or encoded, before the loop gets its turn: about a millisecond.
_TOGETHER: Final = 100
# The vendor publishes no item limit for the bulk write; a third-party client sends 50.
ITEMS: Final = Envelope(b"[", b"]", 50)

UpdateItem: TypeAlias = MutableUserPresence | tuple[str, str | PresenceDefinition | UserPresence]
"""A whole row, or (user id, presence): a definition id, the name of a system presence in any
spelling, a `PresenceDefinition`, or a `UserPresence` with whatever is to change."""

Checked: TypeAlias = tuple[UpdateItem, dict[str, Any], str | None]
"""An item, its row on the wire, and the system presence still to be looked up for it."""


@attrs.frozen
class UpdateOutcome:
    """What became of one item of a bulk update.

    Attributes:
        item: The item as it was given.
        user_id: Whose presence it is about.
        presence: The presence as the vendor answered or shows it now, or None.
        error: Why it is not known to be applied, or None. Of a superseded item it is what
            its own request failed with.
        superseded: Somebody changed the presence to something else after the item was sent,
            and that stands.
        repeated: It was sent again after a request whose outcome was unknown.
    """

    item: UpdateItem
    user_id: str
    presence: UserPresence | None = None
    error: PresenceError | None = None
    superseded: bool = False
    repeated: bool = False

    @property
    def status(self) -> Literal["applied", "rejected", "superseded", "unknown"]:
        """Applied: the user shows what was asked for, after the item was sent.

        Rejected: it certainly took no effect. Superseded: the user has moved on, and was left
        alone. Unknown: it may have taken effect; read the user back to find out.
        """
        if self.superseded:
            return "superseded"
        if self.error is None:
            return "applied"
        return "unknown" if self.error.outcome_unknown else "rejected"


@attrs.frozen
class Moment:
    """A moment by two clocks, because each alone can lie about how much time has passed.

    The loop's stands still while the machine is suspended; the wall clock may be set.
    """

    loop: float
    wall: float

    @classmethod
    def now(cls) -> Moment:
        """This one."""
        return cls(asyncio.get_running_loop().time(), time.time())

    def seconds_until(self, later: Moment) -> float:
        """How long it took at most."""
        return max(later.loop - self.loop, later.wall - self.wall)


@attrs.frozen
class Wanted:
    """What of an item can be seen in a presence that is read back; None is not asked for.

    A null message is None, too: what the vendor makes of it is not documented.
    """

    definition_id: str | None = None
    message: str | None = None
    primary: bool = False

    def __bool__(self) -> bool:
        return self != Wanted()

    @classmethod
    def of(cls, wire: dict[str, Any]) -> Wanted:
        """What a row on the wire asks for."""
        definition, message = wire.get("presenceDefinition"), wire.get("message")
        return cls(
            (definition.get("id") or None) if isinstance(definition, dict) else None,
            message if isinstance(message, str) else None,
            wire.get("primary") is True,
        )


@attrs.define(eq=False)
class Row:
    """One item, checked and encoded, and what is known about it so far.

    Attributes:
        registered: Whether `source` is the id of a registered source, not a name.
        sent: When it was first handed over for sending, or None.
        latest: What became of it so far; None while it is on its way and before.
        since: Changes up to this moment, on the vendor's clock, were there before it was
            sent; None where nobody has read the presence before.
    """

    item: UpdateItem
    user_id: str
    source: str
    registered: bool
    wanted: Wanted
    body: bytes = attrs.field(repr=False)
    sent: Moment | None = None
    repeated: bool = False
    latest: UpdateOutcome | None = None
    since: datetime | None = None

    @classmethod
    def of(cls, item: UpdateItem, wire: dict[str, Any], body: bytes, **fields: Any) -> Self:
        """A row from what it is on the wire; `body` is the JSON of `wire`."""
        source_id = wire.get("sourceId")
        source = source_id or wire["source"]
        return cls(item, wire["id"], source, bool(source_id), Wanted.of(wire), body, **fields)

    def outcome(
        self,
        error: PresenceError | None = None,
        presence: UserPresence | None = None,
        *,
        superseded: bool = False,
    ) -> UpdateOutcome:
        """Note, and return, what became of it."""
        self.latest = UpdateOutcome(
            self.item, self.user_id, presence, error, superseded, self.repeated
        )
        return self.latest


async def checked_items(items: Any, source: str) -> list[Checked]:
    """Every item, before the first request of any kind; InvalidRequestError for a bad one."""
    source = check_text("source", source)
    if isinstance(items, AsyncIterable):
        items = [item async for item in items]
    checked: list[Checked] = []
    for one in _checked(items, source):
        checked.append(one)
        if not len(checked) % _TOGETHER:
            await asyncio.sleep(0)
    return checked


async def encoded(checked: Sequence[Checked], system_presences: SystemPresences) -> list[Row]:
    """Every item as a row: system presences looked up, sizes checked."""
    rows: list[Row] = []
    for index, (item, wire, system_presence) in enumerate(checked):
        if system_presence is not None:
            id_ = await system_presences.definition_id(system_presence)
            wire["presenceDefinition"] = {"id": id_}
        row = Row.of(item, wire, converter.dumps(wire))
        ITEMS.check(f"items[{index}]", row)
        rows.append(row)
        if not len(rows) % _TOGETHER:
            await asyncio.sleep(0)
    return rows


def _checked(items: Any, source: str) -> Iterator[Checked]:
    seen: set[tuple[str, str]] = set()
    for index, item in enumerate(check_iterable("items", items)):
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
        yield item, wire, system_presence


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


async def put(send: Send, rows: Sequence[Row]) -> Sequence[UpdateOutcome] | PresenceError:
    """One request for some rows: an outcome for each, or why the request failed.

    However it ends, the rows know: `sent`, and `latest` when something is known.
    """
    request = routes.BULK_UPDATE.request(body=ITEMS.body(rows))
    now = Moment.now()
    for row in rows:
        row.sent, row.latest = row.sent or now, None
    try:
        response = await send(request)
        answer = decoded(request, response, converter.structure_rows, UserPresence)
    except PresenceError as error:
        for row in rows:
            row.outcome(error)
        return error
    return _matched(rows, answer, context(request, response))


_SELF_URI: Final = re.compile(r"/api/v2/users/([^/]+)/presences", re.ASCII)


def _matched(
    rows: Sequence[Row], answer: Rows[UserPresence], exchange: dict[str, Any]
) -> Sequence[UpdateOutcome]:
    """Answer rows to items: by user id where the answer has them, else by position.

    The vendor says nothing of partial failure: an item left out may or may not be applied.
    """
    wanted = Counter(row.user_id for row in rows)
    found: dict[str, list[UserPresence]] = {}
    for presence in answer.decoded:
        user_id = _user_of(presence, wanted)
        if user_id is not None:
            found.setdefault(user_id, []).append(presence)
    if not found and not answer.failures and len(answer.decoded) == len(rows):
        return [
            row.outcome(presence=presence)
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
        row.outcome(presence=next(matched[row.user_id]))
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
