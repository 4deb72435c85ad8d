"""Bulk reads and updates: what goes out, how it is split, whose row an answer is."""

from __future__ import annotations

import asyncio
import json
import math
from typing import TYPE_CHECKING, Any

import clock
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async.errors import (
    ClosedError,
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PresenceConnectionError,
    PresenceError,
)
from presence_async.models import (
    UNSET,
    MutableUserPresence,
    PresenceDefinition,
    SystemPresenceName,
    UserPresence,
)
from presence_async.resources._batches import BODY_LIMIT
from presence_async.resources.bulk import Bulk, UpdateOutcome
from presence_async.resources.system_presences import BuiltinIds, SystemPresences
from presence_async.resources.user_presences import UserPresences
from presence_async.wire import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fake_http import FakeApi

PATH = "/api/v2/users/presences/bulk"
QUEUE: dict[str, Any] = {"entities": [{"id": "d-q", "type": "System", "systemPresence": "OnQueue"}]}
BUSY = "d-busy"


def recorded(user_id: str, **fields: Any) -> dict[str, Any]:
    """An answer row in the recorded shape: no id, the user in the path only."""
    return {"source": "PURECLOUD", "selfUri": f"/api/v2/users/{user_id}/presences"} | fields


class Vendor:
    """Takes bulk updates; refuses those with a user in `bad`."""

    def __init__(self, *bad: str, error: PresenceError | None = None) -> None:
        self.bad = set(bad)
        self.error = error or InvalidRequestError("bad item", status=400)
        self.bodies: list[bytes] = []

    async def send(self, request: Request) -> Response:
        """One request in, one 2xx response out."""
        assert request.body is not None
        self.bodies.append(request.body)
        items = json.loads(request.body)
        if self.bad.intersection(item["id"] for item in items):
            raise self.error
        return Response(200, {}, json.dumps(self.answer(items)).encode())

    def answer(self, items: list[Any]) -> Any:
        """The rows of the answer."""
        return [recorded(item["id"], message=item.get("message", "")) for item in items]

    @property
    def sizes(self) -> list[int]:
        """Items of each request."""
        return [len(json.loads(body)) for body in self.bodies]

    def bulk(self) -> Bulk:
        """A resource on this vendor."""
        presences = SystemPresences(self.send, BuiltinIds({SystemPresenceName("Busy"): BUSY}))
        return Bulk(
            self.send,
            presences,
            UserPresences(self.send, self.send, presences, lambda _: None),
            lambda _: None,
        )


def pairs(count: int) -> list[tuple[str, str]]:
    """That many updates."""
    return [(f"u{number}", "d-1") for number in range(count)]


def verdicts(outcomes: Iterable[UpdateOutcome]) -> dict[str, str]:
    """Status by user."""
    return {outcome.user_id: outcome.status for outcome in outcomes}


async def test_every_form_of_an_item(api: FakeApi) -> None:
    """Models and pairs; a system presence in any spelling is looked up once for all."""
    api.answer("GET", QUEUE)
    api.answer("PUT", [])
    items: list[Any] = [
        MutableUserPresence(id="u1", source_id="s-1", message=None),
        MutableUserPresence(
            id="u2", source="Outlook", primary=True, self_uri="/x", extra={"later": 1}
        ),
        ("u3", "d-3"),
        ("u4", "ON_QUEUE"),
        ("u5", SystemPresenceName("OnQueue")),
        ("u6", PresenceDefinition(id="d-6", system_presence=SystemPresenceName("Busy"))),
        ("u7", PresenceDefinition(system_presence=SystemPresenceName("On Queue"))),
        ("u8", UserPresence(message="m", id="other", self_uri="/x", extra={"x": None})),
    ]
    outcomes = await api.client.bulk.update(iter(items), settle=False)
    assert [outcome.item for outcome in outcomes] == items
    assert api.lines == ["GET /api/v2/presence/definitions", f"PUT {PATH}"]
    own = {"source": "PURECLOUD"}
    on_queue = {"presenceDefinition": {"id": "d-q"}}
    assert api.last.json == [
        {"id": "u1", "sourceId": "s-1", "message": None},
        {"id": "u2", "source": "Outlook", "primary": True, "later": 1},
        {"id": "u3", "presenceDefinition": {"id": "d-3"}} | own,
        {"id": "u4"} | own | on_queue,
        {"id": "u5"} | own | on_queue,
        {"id": "u6", "presenceDefinition": {"id": "d-6"}} | own,
        {"id": "u7"} | own | on_queue,
        {"id": "u8", "message": "m", "x": None} | own,
    ]


async def test_a_source_for_all_items(api: FakeApi) -> None:
    """It goes to the items that name none."""
    api.answer("PUT", [])
    items: list[Any] = [
        ("u1", "d"),
        MutableUserPresence(id="u2", source="Lync"),
        MutableUserPresence(id="u3", source_id=None, source=None),
    ]
    await api.client.bulk.update(items, source="Outlook", settle=False)
    sources = [(row.get("source"), row.get("sourceId")) for row in api.last.json]
    assert sources == [("Outlook", None), ("Lync", None), ("Outlook", None)]


async def test_nothing_to_update_sends_nothing(api: FakeApi) -> None:
    """No items, no request."""
    assert await api.client.bulk.update([]) == []
    assert await api.client.bulk.update(iter(())) == []
    assert api.sent == []


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ("u1", "items"),
        (b"u1", "items"),
        (5, "items"),
        ([("u1", "ON_QUEUE"), "u2"], "items[1]"),
        ([("u1", "ON_QUEUE"), ("u2",)], "items[1]"),
        ([("u1", "ON_QUEUE"), ("u2", "d", "m")], "items[1]"),
        ([("u1", "ON_QUEUE"), ["u2", "d"]], "items[1]"),
        ([("", "d")], "items[0][0]"),
        ([(None, "d")], "items[0][0]"),
        ([("u1", "")], "items[0][1]"),
        ([("u1", None)], "items[0][1]"),
        ([("u1", PresenceDefinition())], "items[0][1]"),
        ([MutableUserPresence()], "items[0].id"),
        ([MutableUserPresence(id="")], "items[0].id"),
        ([MutableUserPresence(id=UNSET, message="x")], "items[0].id"),
        ([MutableUserPresence(id="u", source=5)], "items[0].source"),  # type: ignore[arg-type]
        ([("u1", "d"), ("u2", "d"), ("u1", "e")], "items[2]"),
        ([("u1", "d"), MutableUserPresence(id="u1", source="PureCloud")], "items[1]"),
        ([("u1", "d"), ("u2", UserPresence(message="x" * BODY_LIMIT))], "items[1]"),
    ],
)
async def test_bad_items_are_refused(api: FakeApi, items: Any, field: str) -> None:
    """No request of any kind has gone out by then, and the item is named."""
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.bulk.update(items)
    assert caught.value.field == field
    assert api.sent == []


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"source": ""}, "source"),
        ({"source": None}, "source"),
        ({"concurrency": 0}, "concurrency"),
        ({"settling_time": -1}, "settling_time"),
        ({"settling_time": math.inf}, "settling_time"),
        ({"settling_time": math.nan}, "settling_time"),
        ({"settling_time": True}, "settling_time"),
        ({"settling_time": "15"}, "settling_time"),
        ({"on_outcome": 5}, "on_outcome"),
        ({"on_outcome": asyncio.sleep}, "on_outcome"),
    ],
)
async def test_bad_options_are_refused(api: FakeApi, arguments: dict[str, Any], field: str) -> None:
    """Before the look-up of a system presence."""
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.bulk.update([("u1", "Busy")], **arguments)
    assert caught.value.field == field
    assert api.sent == []


async def test_one_user_on_two_sources(api: FakeApi) -> None:
    """That is no duplicate, and each item gets its own row of the answer."""
    api.answer("PUT", [recorded("u1", message="first"), recorded("u1", message="second")])
    outcomes = await api.client.bulk.update(
        [("u1", "d"), MutableUserPresence(id="u1", source="Outlook")]
    )
    assert [outcome.presence and outcome.presence.message for outcome in outcomes] == [
        "first",
        "second",
    ]


async def test_one_user_on_two_sources_with_one_row(api: FakeApi) -> None:
    """With a row missing nobody knows which of the two it is."""
    api.answer("PUT", [recorded("u1"), recorded("u2")])
    outcomes = await api.client.bulk.update(
        [("u1", "d"), MutableUserPresence(id="u1", source="Outlook"), ("u2", "d")]
    )
    assert [outcome.status for outcome in outcomes] == ["unknown", "unknown", "applied"]


@pytest.mark.parametrize("settle", [True, False])
async def test_outcomes_are_told_once_and_in_chunks(settle: bool) -> None:
    """As soon as they are final; and the list that comes back is the same."""
    vendor = Vendor("u60")
    told: list[UpdateOutcome] = []

    async def items() -> Any:
        for pair in pairs(120):
            yield pair

    outcomes = await vendor.bulk().update(
        items(), concurrency=1, settle=settle, on_outcome=told.append
    )
    assert told == outcomes
    assert [outcome.user_id for outcome in outcomes if outcome.status == "rejected"] == ["u60"]


@pytest.mark.parametrize("count", [1, 49, 50, 51, 120])
async def test_split_by_count(count: int) -> None:
    """Fifty to a request, one outcome per item, in order."""
    vendor = Vendor()
    items = pairs(count)
    outcomes = await vendor.bulk().update(items)
    assert [outcome.item for outcome in outcomes] == items
    assert set(verdicts(outcomes).values()) == {"applied"}
    assert sum(vendor.sizes) == count
    assert len(vendor.sizes) == -(-count // 50)


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600", '"', "\n"])
async def test_split_by_bytes(letter: str) -> None:
    """No body is longer than 512,000 bytes, counted as they are encoded."""
    vendor = Vendor()
    length = 30_000 // (len(json.dumps(letter, ensure_ascii=False).encode()) - 2)
    items = [(f"u{number}", UserPresence(message=letter * length)) for number in range(50)]
    outcomes = await vendor.bulk().update(items)
    assert set(verdicts(outcomes).values()) == {"applied"}
    assert [outcome.user_id for outcome in outcomes] == [user_id for user_id, _ in items]
    assert max(map(len, vendor.bodies)) <= BODY_LIMIT
    assert len(vendor.bodies) > 1


async def test_the_largest_item_there_can_be() -> None:
    """One item that fills a body to the last byte is sent alone; one byte more is refused."""
    vendor = Vendor()
    frame = len(b'[{"message":"","id":"u1","source":"PURECLOUD"}]')
    largest = UserPresence(message="x" * (BODY_LIMIT - frame))
    assert (await vendor.bulk().update([("u0", "d"), ("u1", largest)]))[1].status == "applied"
    assert [len(body) for body in vendor.bodies][1] == BODY_LIMIT
    with pytest.raises(InvalidRequestError, match="longer than the 512000 bytes"):
        await vendor.bulk().update([("u12", largest)])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 200_000), max_size=30))
def test_bodies_always_fit(lengths: list[int]) -> None:
    """Whatever the sizes: every body fits, none could have taken the next item as well."""
    vendor = Vendor()
    items = [(f"u{n}", UserPresence(message="x" * length)) for n, length in enumerate(lengths)]
    outcomes = clock.run(vendor.bulk().update(items, concurrency=1))
    assert len(outcomes) == len(items)
    assert all(len(body) <= BODY_LIMIT for body in vendor.bodies)
    for body, following in zip(vendor.bodies, vendor.bodies[1:], strict=False):
        first = json.dumps(json.loads(following)[0], separators=(",", ":"))
        assert len(body) + len(first) + 1 > BODY_LIMIT


@pytest.mark.parametrize("bad", [["u0"], ["u49"], ["u3", "u30"], ["u0", "u1", "u2", "u49"]])
async def test_bad_items_cost_no_others(bad: list[str]) -> None:
    """A refused chunk is split; exactly the items at fault are rejected."""
    vendor = Vendor(*bad)
    outcomes = await vendor.bulk().update(pairs(50))
    assert {user for user, verdict in verdicts(outcomes).items() if verdict == "rejected"} == {*bad}
    assert set(verdicts(outcomes).values()) == {"rejected", "applied"}
    assert len(vendor.bodies) <= 1 + 12 * len(bad)


async def test_an_unknown_user_is_rejected() -> None:
    """A 404 is about an item as well."""
    vendor = Vendor("u7", error=NotFoundError("user", status=404))
    outcomes = await vendor.bulk().update(pairs(20))
    assert [o.user_id for o in outcomes if o.status == "rejected"] == ["u7"]


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (PermissionDeniedError("no", status=403), "rejected"),
        (PresenceConnectionError("gone", outcome_unknown=True), "unknown"),
    ],
)
async def test_other_errors_are_everybodys(error: PresenceError, verdict: str) -> None:
    """They are not split; later chunks go out all the same."""
    vendor = Vendor("u7", error=error)
    outcomes = await vendor.bulk().update(pairs(70), settle=False)
    assert [outcome.status for outcome in outcomes] == [verdict] * 50 + ["applied"] * 20
    assert outcomes[0].error is error
    assert vendor.sizes == [50, 20]


async def test_rows_with_an_id() -> None:
    """By id in any order; a row of somebody else is nobody's."""

    class WithIds(Vendor):
        def answer(self, items: list[Any]) -> Any:
            rows = [{"id": item["id"], "message": item["id"]} for item in items]
            return [{"id": "stranger"}, *reversed(rows)]

    outcomes = await WithIds().bulk().update(pairs(3))
    assert [o.presence and o.presence.message for o in outcomes] == ["u0", "u1", "u2"]


async def test_rows_by_an_encoded_path() -> None:
    """The user in `selfUri` may be percent-encoded."""

    class Encoded(Vendor):
        def answer(self, items: list[Any]) -> Any:
            return [recorded("u%20%2F1"), recorded("u2")][::-1]

    outcomes = await Encoded().bulk().update([("u /1", "d"), ("u2", "d")])
    assert verdicts(outcomes) == {"u /1": "applied", "u2": "applied"}
    assert outcomes[0].presence
    assert outcomes[0].presence.self_uri == "/api/v2/users/u%20%2F1/presences"


async def test_rows_by_position() -> None:
    """Rows that name nobody belong to the items in order, if there are as many."""

    class Nameless(Vendor):
        def answer(self, items: list[Any]) -> Any:
            return [{"message": str(number)} for number, _ in enumerate(items)]

    outcomes = await Nameless().bulk().update(pairs(3))
    assert [o.presence and o.presence.message for o in outcomes] == ["0", "1", "2"]


@pytest.mark.parametrize("answer", [[], [{"message": "whose?"}], [{}, {}, {}, {}]])
async def test_an_answer_that_fits_nobody_leaves_all_unknown(answer: Any) -> None:
    """An item that the answer leaves out may or may not be applied."""

    class Partial(Vendor):
        def answer(self, items: list[Any]) -> Any:
            return answer

    outcomes = await Partial().bulk().update(pairs(3), settle=False)
    assert set(verdicts(outcomes).values()) == {"unknown"}
    error = outcomes[0].error
    assert isinstance(error, InvalidRequestError)
    assert (error.status, error.path_template, error.outcome_unknown) == (200, PATH, True)


async def test_a_partial_answer() -> None:
    """Who is there is applied, who is not is unknown."""

    class Partial(Vendor):
        def answer(self, items: list[Any]) -> Any:
            return super().answer(items)[1:]

    assert verdicts(await Partial().bulk().update(pairs(3), settle=False)) == {
        "u0": "unknown",
        "u1": "applied",
        "u2": "applied",
    }


async def test_a_bad_row_of_the_answer() -> None:
    """It says nothing about the others, and its item is unknown with the reason."""

    class Odd(Vendor):
        def answer(self, items: list[Any]) -> Any:
            rows = super().answer(items)
            rows[1] = recorded("u1", message=5)
            return rows

    outcomes = await Odd().bulk().update(pairs(3), settle=False)
    assert verdicts(outcomes) == {"u0": "applied", "u1": "unknown", "u2": "applied"}
    error = outcomes[1].error
    assert isinstance(error, DecodeError)
    assert error.failures[0].field == "message"


async def test_nameless_rows_with_a_bad_one_are_not_counted_off() -> None:
    """Positions mean nothing once a row is missing among them."""

    class Odd(Vendor):
        def answer(self, items: list[Any]) -> Any:
            return [{}, {"message": 5}, {}]

    outcomes = await Odd().bulk().update(pairs(2), settle=False)
    assert set(verdicts(outcomes).values()) == {"unknown"}


async def test_an_answer_that_is_no_list() -> None:
    """The write succeeded; what became of the items nobody knows."""

    class Odd(Vendor):
        def answer(self, items: list[Any]) -> Any:
            return {"ok": True}

    outcomes = await Odd().bulk().update(pairs(2), settle=False)
    assert set(verdicts(outcomes).values()) == {"unknown"}


async def test_get_is_get_many_collected(api: FakeApi) -> None:
    """Every distinct id once, in the order of first appearance, from any iterable."""
    rows = [{"userId": user_id} for user_id in ("c", "a")]
    for _ in range(2):
        api.answer("GET", rows)

    async def ids() -> Any:
        for user_id in ("c", "b", "c", "a", "b"):
            yield user_id

    expected = [("c", "present"), ("b", "missing"), ("a", "present")]
    for given_ids in (ids(), ["c", "b", "c", "a", "b"]):
        outcomes = await api.client.bulk.get(given_ids, source="Out look")
        assert [(outcome.user_id, outcome.status) for outcome in outcomes] == expected
    assert set(api.lines) == {"GET /api/v2/users/presences/Out%20look/bulk?id=c&id=b&id=a"}


async def test_get_of_a_closed_client(api: FakeApi) -> None:
    """Few users take no fan-out and hear the same; any other error is their outcome."""
    api.answer("GET", {}, status=403)
    (outcome,) = await api.client.bulk.get(["u1"])
    assert isinstance(outcome.error, PermissionDeniedError)
    await api.client.aclose()
    for count in (1, 51):
        with pytest.raises(ClosedError, match="the client is closed"):
            await api.client.bulk.get([f"u{number}" for number in range(count)])


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"ids": "u1"}, "ids"),
        ({"ids": ["u1", ""]}, "ids[1]"),
        ({"ids": ["u1"], "source": "."}, "source"),
        ({"ids": ["u1"], "concurrency": -1}, "concurrency"),
    ],
)
async def test_get_refuses(api: FakeApi, arguments: dict[str, Any], field: str) -> None:
    """Before any request, with the argument's name."""
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.bulk.get(**arguments)
    assert caught.value.field == field
    assert api.sent == []
