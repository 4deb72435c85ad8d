"""Presences from outside: events of registered sources, and what integrations report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Hashable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar
from uuid import uuid4

import attrs

from presence_async import converter, routes
from presence_async.errors import DecodeError, InvalidRequestError, PresenceError
from presence_async.failures import item_error
from presence_async.fanout import FanOut, check_concurrency
from presence_async.models import (
    BatchEventResponse,
    EventError,
    Model,
    UCThirdPartyPresence,
    Unset,
    UserPresenceEvent,
)
from presence_async.outcomes import OnProgress, tally_of
from presence_async.resources._base import (
    Resource,
    Send,
    check_is,
    check_iterable,
    check_text,
    context,
    decoded,
)
from presence_async.resources._batches import Envelope
from presence_async.resources._halving import Halving

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async.wire import Request, Response

__all__ = ["EventOutcome", "Events", "ThirdPartyOutcome"]

# A hundred events are the vendor's limit. None is published for third-party presences.
_EVENTS: Final = Envelope(b'{"userPresenceEvents":[', b"]}", 100)
_PRESENCES: Final = Envelope(b"[", b"]", 100)
# Items made ready in a row, about a millisecond of work: many must not hold up the loop.
_AT_A_TIME: Final = 25

ModelT = TypeVar("ModelT", bound=Model)
OutcomeT = TypeVar("OutcomeT")


@attrs.frozen
class EventOutcome:
    """What became of one injected event.

    Attributes:
        event: The event as it was sent, with its id and its time; injecting it again repeats
            the id.
        reason: Why the vendor refused this single event (`retryable`: sending it again may
            work), or None.
        error: Why it is not known to be applied, or None.
    """

    event: UserPresenceEvent
    reason: EventError | None = None
    error: PresenceError | None = None

    @property
    def status(self) -> Literal["applied", "rejected", "unknown"]:
        """Unknown: it may have taken effect."""
        if self.error is None:
            return "applied"
        return "unknown" if self.error.outcome_unknown else "rejected"


@attrs.frozen
class ThirdPartyOutcome:
    """What became of one third-party presence.

    Attributes:
        presence: The presence as it was given.
        error: Why it is not known to be accepted, or None.
    """

    presence: UCThirdPartyPresence
    error: PresenceError | None = None

    @property
    def status(self) -> Literal["accepted", "rejected", "unknown"]:
        """Accepted: the vendor will look for the user. Whether it found one, it never says."""
        if self.error is None:
            return "accepted"
        return "unknown" if self.error.outcome_unknown else "rejected"


@attrs.frozen
class _Row(Generic[ModelT]):
    """One item, checked and encoded."""

    item: ModelT
    body: bytes = attrs.field(repr=False)


class Events(Resource):
    """Any number of presences from outside: a hundred to a request, one outcome each."""

    __slots__ = ("_adopt",)

    def __init__(self, send: Send, adopt: Callable[[FanOut[Any]], None]) -> None:
        """`adopt` ends a fan-out together with the session."""
        super().__init__(send)
        self._adopt = adopt

    async def inject(
        self,
        events: Iterable[UserPresenceEvent] | AsyncIterable[UserPresenceEvent],
        *,
        event_date_time: datetime | None = None,
        concurrency: int = 4,
        on_progress: OnProgress | None = None,
    ) -> list[EventOutcome]:
        """Inject presence events of registered sources.

        Any of `presence:userPresence:inject`. Split by 100 events and by 512,000 bytes; a
        batch that the vendor refuses is split until the event at fault is found. Nothing is
        sent twice unless the first certainly took no effect: nobody documents that the vendor
        ignores a repeated id. Batches arrive in any order; `event_date_time` says which event
        is the later one.

        Args:
            events: The events, all taken before the first request. One without an
                `event_id` gets a random one.
            event_date_time: For the events that have none; by default the time of the call.
            concurrency: Requests in flight at most.
            on_progress: Called with a `Progress` at the start and after every request.

        Returns:
            One outcome per event, in order. Also when the client is closed meanwhile.

        Raises:
            InvalidRequestError: A bad argument, an id twice, or a user twice on one source at
                the same millisecond. Nothing has been sent; `field` names it, e.g.
                ``events[3].user_id``.
            ClosedError: The client is not open. Nothing has been sent.
        """
        check_concurrency(concurrency)
        moment = _moment(event_date_time)
        rows = await _rows("events", events, _EVENTS, partial(_event, moment), _event_keys)
        halving = Halving(self._inject, _event_failed)
        return await self._send_all(rows, _EVENTS, halving, concurrency, on_progress)

    async def ingest_third_party(
        self,
        uc_integration_id: str,
        presences: Iterable[UCThirdPartyPresence] | AsyncIterable[UCThirdPartyPresence],
        *,
        concurrency: int = 4,
        on_progress: OnProgress | None = None,
    ) -> list[ThirdPartyOutcome]:
        """Hand in presences that a unified-communications integration reports.

        Any of `integration:presence:edit`. The vendor looks for the users by email address
        afterwards: an address it does not know, or a word it cannot map, is nobody's error.
        Split, sent and never blindly repeated as by `inject`.

        Args:
            uc_integration_id: Id of the integration.
            presences: The presences, all taken before the first request.
            concurrency: As for `inject`.
            on_progress: As for `inject`.

        Returns:
            One outcome per presence, in order. Also when the client is closed meanwhile.

        Raises:
            InvalidRequestError: A bad argument, or an address twice with the same
                `date_modified` or without one. Nothing has been sent; `field` names it, e.g.
                ``presences[3].email``.
            ClosedError: The client is not open. Nothing has been sent.
        """
        check_concurrency(concurrency)
        routes.INGEST_THIRD_PARTY.request(uc_integration_id)  # checks the id
        rows = await _rows("presences", presences, _PRESENCES, _presence, _presence_keys)
        halving = Halving(partial(self._ingest, uc_integration_id), _presence_failed)
        return await self._send_all(rows, _PRESENCES, halving, concurrency, on_progress)

    async def _send_all(
        self,
        rows: Sequence[_Row[ModelT]],
        envelope: Envelope,
        halving: Halving[_Row[ModelT], OutcomeT],
        concurrency: int,
        on_progress: OnProgress | None,
    ) -> list[OutcomeT]:
        return await FanOut(
            halving.outcomes,
            list(envelope.batches(rows)),
            concurrency=concurrency,
            ordered=True,
            on_start=self._adopt,
            loses_nothing=True,
            tally=tally_of(on_progress, rows),
        )

    async def _inject(
        self, rows: Sequence[_Row[UserPresenceEvent]]
    ) -> Sequence[EventOutcome] | PresenceError:
        request = routes.INJECT_EVENTS.request(body=_EVENTS.body(rows))
        structure = partial(converter.structure_listing, rows="errors")
        try:
            response = await self._send(request)
            answer = decoded(request, response, structure, BatchEventResponse)
        except PresenceError as error:
            return error
        return _matched([row.item for row in rows], answer, request, response)

    async def _ingest(
        self, uc_integration_id: str, rows: Sequence[_Row[UCThirdPartyPresence]]
    ) -> Sequence[ThirdPartyOutcome] | PresenceError:
        body = _PRESENCES.body(rows)
        try:
            await self._send(routes.INGEST_THIRD_PARTY.request(uc_integration_id, body=body))
        except PresenceError as error:
            return error
        return [ThirdPartyOutcome(row.item) for row in rows]


def _event_failed(row: _Row[UserPresenceEvent], error: PresenceError) -> EventOutcome:
    return EventOutcome(row.item, error=error)


def _presence_failed(row: _Row[UCThirdPartyPresence], error: PresenceError) -> ThirdPartyOutcome:
    return ThirdPartyOutcome(row.item, error)


async def _rows(
    argument: str,
    items: Any,
    envelope: Envelope,
    checked: Callable[[str, Any], ModelT],
    keys: Callable[[dict[str, Any]], Iterable[tuple[str, Hashable]]],
) -> list[_Row[ModelT]]:
    """Every item, `checked` before the first request; no two have one of their `keys` alike."""
    rows = []
    seen: set[tuple[str, Hashable]] = set()
    for index, given in enumerate(await _all(argument, items)):
        if index % _AT_A_TIME == 0:
            await asyncio.sleep(0)
        name = f"{argument}[{index}]"
        item = checked(name, given)
        wire, body = _encoded(name, item)
        for key in keys(wire):
            if key in seen:
                raise InvalidRequestError(f"{name} has the {key[0]} of an earlier item", field=name)
            seen.add(key)
        row = _Row(item, body)
        envelope.check(name, row)
        rows.append(row)
    return rows


async def _all(argument: str, items: Any) -> list[Any]:
    if isinstance(items, AsyncIterable):
        return [item async for item in items]
    return list(check_iterable(argument, items))


def _encoded(name: str, item: Model) -> tuple[dict[str, Any], bytes]:
    try:
        wire = converter.to_dict(item)
        return wire, converter.dumps(wire)
    except InvalidRequestError as error:
        field = f"{name}.{error.field}" if error.field else name
        raise InvalidRequestError(f"{name}: {error.message}", field=field) from None


def _moment(event_date_time: Any) -> datetime:
    if event_date_time is None:
        return datetime.now(UTC)
    if isinstance(event_date_time, datetime) and event_date_time.utcoffset() is not None:
        return event_date_time
    raise InvalidRequestError(
        "event_date_time must be a datetime with a time zone", field="event_date_time"
    )


def _event(moment: datetime, name: str, given: Any) -> UserPresenceEvent:
    """The event with an id and a time."""
    item = check_is(name, given, UserPresenceEvent)
    check_text(f"{name}.user_id", item.user_id)
    check_text(f"{name}.source_id", item.source_id)
    _check_optional(f"{name}.event_id", item.event_id)
    _check_optional(f"{name}.presence_definition_id", item.presence_definition_id)
    _check_message(name, item.message)
    changes: dict[str, Any] = {}
    if _is_missing(item.event_id):
        changes["event_id"] = str(uuid4())
    if _is_missing(item.event_date_time):
        changes["event_date_time"] = moment
    return attrs.evolve(item, **changes)


def _event_keys(wire: dict[str, Any]) -> Iterable[tuple[str, Hashable]]:
    yield "event_id", wire["eventId"]
    # As it goes out: with milliseconds and no more.
    moment = wire["userId"], wire["sourceId"], wire["eventDateTime"]
    yield "user, source and event_date_time", moment


def _presence(name: str, item: Any) -> UCThirdPartyPresence:
    presence = check_is(name, item, UCThirdPartyPresence)
    check_text(f"{name}.email", presence.email)
    check_text(f"{name}.presence", presence.presence)
    _check_message(name, presence.message)
    return presence


def _presence_keys(wire: dict[str, Any]) -> Iterable[tuple[str, Hashable]]:
    yield "email and date_modified", (wire["email"].casefold(), wire.get("dateModified"))


def _is_missing(value: Any) -> bool:
    return value is None or isinstance(value, Unset)


def _check_optional(name: str, value: Any) -> None:
    if not _is_missing(value):
        check_text(name, value)


def _check_message(name: str, message: Any) -> None:
    if message != "":
        _check_optional(f"{name}.message", message)


def _matched(
    events: Sequence[UserPresenceEvent],
    answer: BatchEventResponse,
    request: Request,
    response: Response,
) -> Sequence[EventOutcome]:
    """The refusals of the answer to their events; whom it does not name was applied.

    After a refusal that names none of them, those not named are not known to be applied.
    """
    reasons = {reason.event_id: reason for reason in answer.errors}
    unread = {failure.row_id for failure in answer.failures}
    astray = not reasons.keys() | unread <= {event.event_id for event in events}
    outcomes = []
    for event in events:
        reason = reasons.get(event.event_id)
        error: PresenceError | None = None
        if reason is not None:
            error = item_error(
                request.route, response, reason.message, retryable=reason.retryable is True
            )
        elif astray or event.event_id in unread:
            error = DecodeError(
                "a refusal in the answer names no event that was sent, or could not be understood",
                failures=answer.failures,
                **context(request, response),
            )
        outcomes.append(EventOutcome(event, reason, error))
    return outcomes
