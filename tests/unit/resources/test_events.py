"""Presences from outside: what goes out, how it is split, and what became of each item."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from uuid import UUID

import attrs
import clock
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async.errors import (
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PresenceConnectionError,
    PresenceError,
    ServerError,
)
from presence_async.models import (
    UNSET,
    EventError,
    SystemPresenceName,
    UCThirdPartyPresence,
    UserPresenceEvent,
)
from presence_async.resources._batches import BODY_LIMIT
from presence_async.resources.events import EventOutcome, Events, ThirdPartyOutcome
from presence_async.wire import Request, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from fake_http import FakeApi

    from presence_async.outcomes import Progress

INJECT = "POST /api/v2/events/users/presence"
INGEST = "PUT /api/v2/integrations/unifiedcommunications/{}/thirdpartypresences"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def event(number: int = 0, **fields: Any) -> UserPresenceEvent:
    """An event of a user of its own."""
    usual: dict[str, Any] = {"user_id": f"u{number}", "source_id": "s", "event_id": f"e{number}"}
    return UserPresenceEvent(**(usual | fields))


def events(count: int) -> list[UserPresenceEvent]:
    """That many."""
    return [event(number) for number in range(count)]


def report(number: int = 0, **fields: Any) -> UCThirdPartyPresence:
    """A third-party presence of a person of its own."""
    usual: dict[str, Any] = {"email": f"p{number}@example.com", "presence": "Busy"}
    return UCThirdPartyPresence(**(usual | fields))


class Vendor:
    """Takes batches; refuses as a whole those with an item in `bad`, by the event's message."""

    def __init__(self, *bad: str, error: PresenceError | None = None) -> None:
        self.bad = set(bad)
        self.error = error or InvalidRequestError("bad item", status=400)
        self.bodies: list[bytes] = []
        self.most = 0
        self._now = 0

    async def send(self, request: Request) -> Response:
        """One request in, one 2xx response out."""
        assert request.body is not None
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(0)
        self._now -= 1
        self.bodies.append(request.body)
        items = self.items(request.body)
        if self.bad.intersection(item.get("eventId") or item["email"] for item in items):
            raise self.error
        return Response(200, {}, self.answer(items))

    @staticmethod
    def items(body: bytes) -> Any:
        """The items of a request of either kind."""
        value = json.loads(body)
        return value if isinstance(value, list) else value["userPresenceEvents"]

    def answer(self, items: list[Any]) -> bytes:
        """The body of the answer."""
        return b'{"errors":[]}'

    @property
    def sizes(self) -> list[int]:
        """Items of each request."""
        return [len(self.items(body)) for body in self.bodies]

    def events(self) -> Events:
        """A resource on this vendor."""
        return Events(self.send, lambda _: None)


class Listing(Vendor):
    """Answers every batch with the same errors."""

    def __init__(self, *errors: Any) -> None:
        super().__init__()
        self.errors = errors

    def answer(self, items: list[Any]) -> bytes:
        """These errors."""
        return json.dumps({"errors": self.errors}).encode()


def statuses(outcomes: Iterable[EventOutcome | ThirdPartyOutcome]) -> list[str]:
    """Status of each, in order."""
    return [outcome.status for outcome in outcomes]


# -- what goes out


async def test_an_event_as_it_is_given(api: FakeApi) -> None:
    """Every field under the vendor's name, in one list under one name."""
    api.answer("POST", {"errors": []})
    whole = event(
        event_date_time=datetime(2026, 1, 1, 13, 0, 0, 5999, timezone(timedelta(hours=1))),
        presence_definition_id="d",
        message="back at 2",
        extra={"later": 1},
    )
    outcomes = await api.client.events.inject([whole])
    assert outcomes == [EventOutcome(whole)]
    assert outcomes[0].status == "applied"
    assert api.lines == [INJECT]
    assert api.last.json == {
        "userPresenceEvents": [
            {
                "userId": "u0",
                "sourceId": "s",
                "eventId": "e0",
                "eventDateTime": "2026-01-01T12:00:00.005Z",
                "presenceDefinitionId": "d",
                "message": "back at 2",
                "later": 1,
            }
        ]
    }


@pytest.mark.parametrize("missing", [UNSET, None])
async def test_id_and_time_are_filled_in(api: FakeApi, missing: Any) -> None:
    """A random id each, and one time for all; the outcome has what was sent."""
    api.answer("POST", {})
    bare = [event(n, event_id=missing, event_date_time=missing, message=missing) for n in (0, 1)]
    earlier = event(2, event_date_time=NOON - timedelta(hours=1))
    outcomes = await api.client.events.inject([*bare, earlier], event_date_time=NOON)
    sent = api.last.json["userPresenceEvents"]
    assert [row["eventId"] for row in sent] == [outcome.event.event_id for outcome in outcomes]
    assert sent[2]["eventId"] == "e2"
    assert {UUID(row["eventId"]).version for row in sent[:2]} == {4}
    assert sent[0]["eventId"] != sent[1]["eventId"]
    assert [row["eventDateTime"][11:13] for row in sent] == ["12", "12", "11"]
    assert [outcome.event.event_date_time for outcome in outcomes[:2]] == [NOON, NOON]
    assert outcomes[2].event == earlier


async def test_the_time_of_the_call_is_the_time_of_events_that_have_none(api: FakeApi) -> None:
    """Nothing given, it is now."""
    api.answer("POST", {})
    before = datetime.now(UTC)
    (outcome,) = await api.client.events.inject([event()])
    assert isinstance(outcome.event.event_date_time, datetime)
    assert before <= outcome.event.event_date_time <= datetime.now(UTC)


async def test_third_party_presences_as_they_are_given(api: FakeApi) -> None:
    """A bare list; the id of the integration is encoded; 202 with any text is acceptance."""
    api.answer("PUT", body=b"Accepted", status=202)
    whole = report(presence=SystemPresenceName.BUSY, message="", date_modified=NOON)
    outcomes = await api.client.events.ingest_third_party("teams /1", (whole, report(1)))
    assert outcomes == [ThirdPartyOutcome(whole), ThirdPartyOutcome(report(1))]
    assert statuses(outcomes) == ["accepted", "accepted"]
    assert api.lines == [INGEST.format("teams%20%2F1")]
    assert api.last.json == [
        {
            "email": "p0@example.com",
            "presence": str(SystemPresenceName.BUSY),
            "message": "",
            "dateModified": "2026-01-01T12:00:00.000Z",
        },
        {"email": "p1@example.com", "presence": "Busy"},
    ]


async def test_any_iterable_will_do() -> None:
    """Lists, generators, sets of frozen values, and async iterables."""

    async def trickling() -> AsyncIterator[UserPresenceEvent]:
        for number in range(3):
            await asyncio.sleep(1)
            yield event(number)

    for given_events in (events(3), tuple(events(3)), iter(events(3)), set(events(3)), trickling()):
        outcomes = await Vendor().events().inject(given_events)
        assert sorted(str(outcome.event.event_id) for outcome in outcomes) == ["e0", "e1", "e2"]

    async def reports() -> AsyncIterator[UCThirdPartyPresence]:
        yield report()

    assert statuses(await Vendor().events().ingest_third_party("i", reports())) == ["accepted"]


async def test_nothing_to_send_sends_nothing(api: FakeApi) -> None:
    """No items, no request."""
    assert await api.client.events.inject([]) == []
    assert await api.client.events.ingest_third_party("i", iter(())) == []
    assert api.sent == []


async def test_progress_is_shown() -> None:
    """At the start and after every request, with the number of all from the start."""
    seen: list[tuple[int, int | None, int]] = []

    def note(progress: Progress) -> None:
        seen.append((progress.done, progress.total, progress.failed))

    vendor = Listing({"eventId": "e0"})
    await vendor.events().inject(iter(events(1)), concurrency=1, on_progress=note)
    reports = (report(number) for number in range(150))
    resource = Vendor().events()
    await resource.ingest_third_party("i", reports, concurrency=1, on_progress=note)
    assert seen == [(0, 1, 0), (1, 1, 1), (0, 150, 0), (100, 150, 0), (150, 150, 0)]


# -- what is refused before any request


@pytest.mark.parametrize(
    ("given_events", "field"),
    [
        ("e", "events"),
        (b"e", "events"),
        (5, "events"),
        (event(), "events"),
        ({"eventId": "e"}, "events[0]"),
        ([event(), ("u", "s")], "events[1]"),
        ([event(), report()], "events[1]"),
        ([event(user_id="")], "events[0].user_id"),
        ([event(user_id=None)], "events[0].user_id"),
        ([event(source_id=UNSET)], "events[0].source_id"),
        ([event(source_id=5)], "events[0].source_id"),
        ([event(event_id="")], "events[0].event_id"),
        ([event(event_id=UUID(int=0))], "events[0].event_id"),
        ([event(presence_definition_id="")], "events[0].presence_definition_id"),
        ([event(message=5)], "events[0].message"),
        ([event(message="\ud800")], "events[0].message"),
        ([event(event_date_time="2026-01-01")], "events[0].event_date_time"),
        ([event(event_date_time=datetime(2026, 1, 1))], "events[0].event_date_time"),  # noqa: DTZ001
        ([event(extra={"x": object()})], "events[0]"),
        ([event(message="x" * BODY_LIMIT)], "events[0]"),
        ([event(), event(1), event(2, event_id="e0")], "events[2]"),
        ([event(), event(1, user_id="u0")], "events[1]"),
    ],
)
async def test_bad_events_are_refused(api: FakeApi, given_events: Any, field: str) -> None:
    """No request has gone out by then, and what is wrong is named."""
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.events.inject(given_events)
    assert caught.value.field == field
    assert caught.value.__cause__ is None
    assert api.sent == []


@pytest.mark.parametrize(
    ("presences", "field"),
    [
        ("p", "presences"),
        (None, "presences"),
        ([event()], "presences[0]"),
        ([report(email="")], "presences[0].email"),
        ([report(email=UNSET)], "presences[0].email"),
        ([report(presence=None)], "presences[0].presence"),
        ([report(message=b"m")], "presences[0].message"),
        ([report(date_modified=5)], "presences[0].date_modified"),
        ([report(message="x" * BODY_LIMIT)], "presences[0]"),
        ([report(), report(email="P0@Example.com")], "presences[1]"),
    ],
)
async def test_bad_presences_are_refused(api: FakeApi, presences: Any, field: str) -> None:
    """As with events."""
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.events.ingest_third_party("i", presences)
    assert caught.value.field == field
    assert api.sent == []


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"event_date_time": "now"}, "event_date_time"),
        ({"event_date_time": datetime(2026, 1, 1)}, "event_date_time"),  # noqa: DTZ001
    ],
)
async def test_bad_options_are_refused(api: FakeApi, options: dict[str, Any], field: str) -> None:
    """Before the first item is taken."""
    items = iter(events(1))
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.events.inject(items, **options)
    assert caught.value.field == field
    assert next(items)


@pytest.mark.parametrize(
    ("integration", "concurrency", "field"),
    [("", 4, "uc_integration_id"), (5, 4, "uc_integration_id"), ("i", -1, "concurrency")],
)
async def test_a_bad_integration_is_refused(
    api: FakeApi, integration: Any, concurrency: int, field: str
) -> None:
    """Even with nothing to send."""
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.events.ingest_third_party(integration, [], concurrency=concurrency)
    assert caught.value.field == field


async def test_a_progress_that_nobody_can_show_is_refused(api: FakeApi) -> None:
    """Before any request as well."""
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.events.inject(events(1), on_progress=5)  # type: ignore[arg-type]
    assert caught.value.field == "on_progress"
    assert api.sent == []


async def test_a_user_may_have_several_events_at_different_times() -> None:
    """On one source, and at one time on several; persons of integrations alike."""
    several = [
        event(0, event_date_time=NOON),
        event(1, user_id="u0", event_date_time=NOON + timedelta(milliseconds=1)),
        event(2, user_id="u0", source_id="other", event_date_time=NOON),
    ]
    assert statuses(await Vendor().events().inject(several)) == ["applied"] * 3
    again = attrs.evolve(several[1], event_date_time=NOON + timedelta(microseconds=999))
    with pytest.raises(InvalidRequestError, match="user, source and event_date_time"):
        await Vendor().events().inject([several[0], again])
    twice = [report(date_modified=NOON), report()]
    accepted = await Vendor().events().ingest_third_party("i", twice)
    assert statuses(accepted) == ["accepted"] * 2


async def test_an_iterable_that_fails_fails_before_anything_is_sent() -> None:
    """The caller hears its own error."""

    async def failing() -> AsyncIterator[UserPresenceEvent]:
        yield event()
        raise ZeroDivisionError

    vendor = Vendor()
    with pytest.raises(ZeroDivisionError):
        await vendor.events().inject(failing())
    assert vendor.bodies == []


# -- splitting


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250])
async def test_split_by_count(count: int) -> None:
    """A hundred to a request, one outcome per item, in order."""
    vendor = Vendor()
    outcomes = await vendor.events().inject(events(count))
    assert [outcome.event.event_id for outcome in outcomes] == [f"e{n}" for n in range(count)]
    assert set(statuses(outcomes)) == {"applied"}
    assert sum(vendor.sizes) == count
    assert len(vendor.sizes) == -(-count // 100)
    reports = [report(number) for number in range(count)]
    accepted = await vendor.events().ingest_third_party("i", reports)
    assert [outcome.presence for outcome in accepted] == reports
    assert max(vendor.sizes) <= 100


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 200_000) | st.integers(0, 9), max_size=30).map(
        lambda found: found * 5
    ),
    refused=st.sets(st.integers(0, 149), max_size=3),
    listed=st.sets(st.integers(0, 149), max_size=3),
    concurrency=st.integers(1, 5),
    letter=st.sampled_from("xé\n"),
)
def test_every_item_has_exactly_one_outcome(
    lengths: list[int], refused: set[int], listed: set[int], concurrency: int, letter: str
) -> None:
    """Whatever the sizes and refusals: outcomes in order, batches within both limits."""

    class Mixed(Vendor):
        def answer(self, items: list[Any]) -> bytes:
            ids = {f"e{number}" for number in listed} & {item["eventId"] for item in items}
            return json.dumps({"errors": [{"eventId": id_} for id_ in ids]}).encode()

    vendor = Mixed(*(f"e{number}" for number in refused))
    wanted = [
        event(n, message=letter * (length // 2), event_date_time=NOON)
        for n, length in enumerate(lengths)
    ]
    outcomes = clock.run(vendor.events().inject(wanted, concurrency=concurrency))
    assert [outcome.event for outcome in outcomes] == wanted
    bad = {number for number in refused | listed if number < len(wanted)}
    assert {n for n, outcome in enumerate(outcomes) if outcome.status == "rejected"} == bad
    assert set(statuses(outcomes)) <= {"applied", "rejected"}
    assert vendor.most <= concurrency
    taken = [0] * len(wanted)
    for body in vendor.bodies:
        assert len(body) <= BODY_LIMIT
        items = vendor.items(body)
        assert 0 < len(items) <= 100
        if not vendor.bad.intersection(item["eventId"] for item in items):
            for item in items:
                taken[int(item["eventId"][1:])] += 1
    # Taken by the vendor once, and those of a refused batch that are at fault never.
    assert all(times == (n not in refused) for n, times in enumerate(taken))


async def test_huge_input_leaves_the_loop_its_turns() -> None:
    """Others run in between while many items are made ready."""
    vendor = Vendor()
    sending = asyncio.ensure_future(vendor.events().inject(events(5_000), concurrency=2))
    turns = 0
    while not vendor.bodies:
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 50
    assert set(statuses(await sending)) == {"applied"}
    assert len(vendor.bodies) == 50
    assert vendor.most == 2


# -- batches that are refused as a whole


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("bad", [["e0"], ["e99"], ["e3", "e80"]])
async def test_a_bad_event_costs_no_others(bad: list[str], status: int) -> None:
    """A refused batch is split; exactly the events at fault are rejected."""
    kind = InvalidRequestError if status == 400 else NotFoundError
    vendor = Vendor(*bad, error=kind("no", status=status))
    outcomes = await vendor.events().inject(events(100))
    assert [o.event.event_id for o in outcomes if o.status == "rejected"] == bad
    assert set(statuses(outcomes)) == {"rejected", "applied"}
    assert {o.error for o in outcomes} == {None, vendor.error}
    assert {o.reason for o in outcomes} == {None}
    assert len(vendor.bodies) <= 1 + 14 * len(bad)


async def test_a_bad_presence_costs_no_others() -> None:
    """As with events."""
    vendor = Vendor("p7@example.com")
    reports = [report(number) for number in range(120)]
    outcomes = await vendor.events().ingest_third_party("i", reports)
    rejected = [outcome for outcome in outcomes if outcome.status != "accepted"]
    assert rejected == [ThirdPartyOutcome(reports[7], vendor.error)]
    assert rejected[0].status == "rejected"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PermissionDeniedError("no", status=403), "rejected"),
        (PresenceConnectionError("gone", outcome_unknown=True), "unknown"),
    ],
)
async def test_other_errors_are_everybodys(error: PresenceError, status: str) -> None:
    """They are not split and not sent again; other batches go out all the same."""
    vendor = Vendor("e7", error=error)
    outcomes = await vendor.events().inject(events(120))
    assert statuses(outcomes) == [status] * 100 + ["applied"] * 20
    assert outcomes[0].error is error
    assert vendor.sizes == [100, 20]
    vendor = Vendor("p7@example.com", error=error)
    reports = [report(number) for number in range(120)]
    accepted = await vendor.events().ingest_third_party("i", reports)
    assert statuses(accepted) == [status] * 100 + ["accepted"] * 20


async def test_what_is_not_ours_is_raised() -> None:
    """A bug behind `send` is nobody's outcome."""
    vendor = Vendor("e0", error=ZeroDivisionError())  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError):
        await vendor.events().inject(events(1))


# -- what the vendor says about single events


async def test_refused_events_have_the_vendors_reason(api: FakeApi) -> None:
    """The reason as it came, and an error by whether trying again may work."""
    listed = [
        {"eventId": "e2", "message": "busy\nright now", "retryable": True},
        {"eventId": "e0", "message": "no such user", "retryable": False},
        {"eventId": "e3"},
    ]
    api.answer("POST", {"errors": listed}, headers={"ININ-Correlation-Id": "c-1"})
    outcomes = await api.client.events.inject(events(4))
    assert statuses(outcomes) == ["rejected", "applied", "rejected", "rejected"]
    assert [outcome.reason for outcome in outcomes] == [
        EventError(event_id="e0", message="no such user", retryable=False),
        None,
        EventError(event_id="e2", message="busy\nright now", retryable=True),
        EventError(event_id="e3"),
    ]
    refused, _, later, mute = (outcome.error for outcome in outcomes)
    assert type(refused) is type(mute) is InvalidRequestError
    assert type(later) is ServerError
    assert (refused.message, later.message) == ("no such user", "busy right now")
    assert (refused.status, refused.correlation_id, refused.attempts) == (200, "c-1", 1)
    assert refused.path_template == "/api/v2/events/users/presence"


@pytest.mark.parametrize("answer", [{}, {"errors": None}, {"errors": [], "new": 1}])
async def test_who_is_not_listed_was_applied(api: FakeApi, answer: Any) -> None:
    """No list of errors is an empty one: the vendor leaves out what has no value."""
    api.answer("POST", answer)
    assert statuses(await api.client.events.inject(events(2))) == ["applied"] * 2


@pytest.mark.parametrize(
    "stray",
    [
        {"eventId": "stranger", "retryable": True},
        {"eventId": None, "message": "whose?"},
        {"message": "whose?"},
        {"eventId": 5},
        {"eventId": "stranger", "retryable": "yes"},
        7,
        None,
    ],
    ids=str,
)
async def test_a_refusal_that_names_nobody_may_be_anybodys(stray: Any) -> None:
    """Who is not named otherwise may be the one that was refused."""
    vendor = Listing(stray, {"eventId": "e1", "message": "no"})
    outcomes = await vendor.events().inject(events(3))
    assert statuses(outcomes) == ["unknown", "rejected", "unknown"]
    error = outcomes[0].error
    assert isinstance(error, DecodeError)
    assert (error.status, error.outcome_unknown) == (200, True)


async def test_a_refusal_that_is_not_understood_is_about_its_event() -> None:
    """Its event can be told; the others were applied."""
    vendor = Listing({"eventId": "e1", "retryable": "yes"})
    outcomes = await vendor.events().inject(events(3))
    assert statuses(outcomes) == ["applied", "unknown", "applied"]
    error = outcomes[1].error
    assert isinstance(error, DecodeError)
    assert error.failures[0].field == "retryable"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"errors":{}}', b"<html>"])
async def test_an_answer_that_is_none_leaves_all_unknown(api: FakeApi, body: bytes) -> None:
    """The write succeeded; what became of the events nobody knows. Nothing is repeated."""
    api.answer("POST", body=body)
    outcomes = await api.client.events.inject(events(2))
    assert statuses(outcomes) == ["unknown"] * 2
    assert isinstance(outcomes[0].error, DecodeError)
    assert api.lines == [INJECT]


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_an_outcome_that_is_unknown_is_not_repeated(api: FakeApi, status: int) -> None:
    """The id makes a repeat known, and nobody documents that it is ignored."""
    for method in ("POST", "PUT"):
        api.answer(method, status=status, body=b"")
    assert statuses(await api.client.events.inject(events(1))) == ["unknown"]
    accepted = await api.client.events.ingest_third_party("i", [report()])
    assert statuses(accepted) == ["unknown"]
    assert api.lines == [INJECT, INGEST.format("i")]


async def test_an_unknown_event_is_repeated_with_its_id(api: FakeApi) -> None:
    """Injecting the event of an outcome repeats the id and the time it was sent with."""
    api.answer("POST", status=504, body=b"")
    api.answer("POST", {})
    outcomes = await api.client.events.inject([event(event_id=UNSET)])
    again = await api.client.events.inject(outcome.event for outcome in outcomes)
    assert statuses(again) == ["applied"]
    first, second = (sent.json for sent in api.sent)
    assert first == second


# -- cancellation


@pytest.mark.parametrize("steps", range(11))
async def test_cancelled_at_any_step_nothing_is_left(steps: int) -> None:
    """While items are taken, made ready or sent: the caller is cancelled, no task is left."""
    closed = 0

    async def trickling() -> AsyncIterator[UserPresenceEvent]:
        nonlocal closed
        try:
            for number in range(250):
                if number % 100 == 0:
                    await asyncio.sleep(0)
                yield event(number)
        finally:
            closed += 1

    vendor = Vendor()
    sending = asyncio.ensure_future(vendor.events().inject(trickling(), concurrency=2))
    for _ in range(steps):
        await asyncio.sleep(0)
    assert not sending.done()
    sending.cancel()
    await asyncio.wait({sending})
    assert sending.cancelled()
    assert closed == (steps > 0)
    assert clock.leftovers() == []
