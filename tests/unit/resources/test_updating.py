"""Rows of a bulk update: what they ask for, and what they know of themselves."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import attrs
import clock
import pytest
from clock import dry
from hypothesis import given
from hypothesis import strategies as st

from presence_async.errors import (
    ClosedError,
    InvalidRequestError,
    PresenceConnectionError,
    PresenceError,
)
from presence_async.models import MutableUserPresence, PresenceDefinition, UserPresence
from presence_async.resources.system_presences import BuiltinIds, SystemPresences
from presence_async.resources.updating import (
    Moment,
    Row,
    UpdateOutcome,
    Wanted,
    checked_items,
    encoded,
    put,
)
from presence_async.wire import Request, Response

LOST = PresenceConnectionError("lost", outcome_unknown=True)


async def no_network(request: Request) -> Response:
    """Nothing is to be sent."""
    raise AssertionError(request)


async def rows_of(items: Any) -> list[Row]:
    """Rows of a bulk update."""
    presences = SystemPresences(no_network, BuiltinIds())
    return await encoded(await checked_items(items, "PURECLOUD"), presences)


@pytest.mark.parametrize(
    ("item", "wanted", "source", "registered"),
    [
        (("u", "d"), Wanted("d"), "PURECLOUD", False),
        (("u", UserPresence(message="")), Wanted(message=""), "PURECLOUD", False),
        (("u", UserPresence(primary=True)), Wanted(primary=True), "PURECLOUD", False),
        (("u", UserPresence(primary=False, message=None)), Wanted(), "PURECLOUD", False),
        (("u", UserPresence(source="Lync", name="n")), Wanted(), "Lync", False),
        (
            MutableUserPresence(
                id="u",
                source_id="s",
                source="ignored",
                message="m",
                primary=True,
                presence_definition=PresenceDefinition(id="d"),
            ),
            Wanted("d", "m", primary=True),
            "s",
            True,
        ),
        (("u", UserPresence(presence_definition=PresenceDefinition())), Wanted(), "PURECLOUD", 0),
        (("u", UserPresence(presence_definition=None)), Wanted(), "PURECLOUD", False),
        (("u", UserPresence(extra={"presenceDefinition": 5})), Wanted(), "PURECLOUD", False),
    ],
)
async def test_what_an_item_asks_for(
    item: Any, wanted: Wanted, source: str, registered: bool
) -> None:
    """Only what can be seen in a presence that is read back, and where."""
    (row,) = await rows_of([item])
    assert (row.wanted, row.source, row.registered) == (wanted, source, registered)
    assert bool(row.wanted) is (wanted != Wanted())
    assert (row.sent, row.latest, row.repeated) == (None, None, False)


async def test_others_get_their_turn_while_many_items_are_checked() -> None:
    """A job of a hundred thousand items would stop the loop for seconds."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(others())
    checked = await checked_items(((f"u{number}", "d") for number in range(1000)), "PURECLOUD")
    assert turns >= 9
    turns = 0
    assert len(await encoded(checked, SystemPresences(no_network, BuiltinIds()))) == 1000
    assert turns >= 9
    task.cancel()


async def test_items_may_come_from_an_async_iterator() -> None:
    """They are taken to the end, and a bad one is named by its place all the same."""

    async def items(*bad: Any) -> Any:
        for number in range(3):
            await asyncio.sleep(0)
            yield f"u{number}", "d"
        for item in bad:
            yield item

    assert [row.user_id for row in await rows_of(items())] == ["u0", "u1", "u2"]
    with pytest.raises(InvalidRequestError) as caught:
        await rows_of(items("none"))
    assert caught.value.field == "items[3]"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "applied"),
        ({"error": InvalidRequestError("no", status=400)}, "rejected"),
        ({"error": LOST}, "unknown"),
        ({"error": LOST, "superseded": True}, "superseded"),
        ({"superseded": True}, "superseded"),
    ],
)
def test_the_status_of_an_outcome(fields: dict[str, Any], status: str) -> None:
    """It follows from the error, unless the user has moved on."""
    assert UpdateOutcome(("u", "d"), "u", **fields).status == status


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_of_two_clocks_the_one_that_moved_more_is_believed(loop: float, wall: float) -> None:
    """Too long a time leaves somebody alone; too short a time would overwrite him."""
    seconds = Moment(0.0, 0.0).seconds_until(Moment(loop, wall))
    assert seconds == max(loop, wall)


def test_now_is_told_by_the_loop_and_by_the_wall() -> None:
    """The loop's clock can be moved by hand, the other one cannot."""

    async def main() -> None:
        first = Moment.now()
        await asyncio.sleep(3600)
        later = Moment.now()
        assert later.loop - first.loop == 3600
        assert first.seconds_until(later) == 3600
        assert first.wall > 1.7e9

    dry(main())


async def test_rows_know_what_became_of_them_however_the_request_ends() -> None:
    """Answered, failed, or cancelled: `latest` is there unless nothing is known."""
    answer: Any = {}
    gate = asyncio.Event()

    async def send(request: Request) -> Response:
        await gate.wait()
        if isinstance(answer, PresenceError):
            raise answer
        items = json.loads(request.body or b"")
        return Response(200, {}, json.dumps([{"id": item["id"]} for item in items]).encode())

    rows = await rows_of([("a", "d"), ("b", "d")])
    sending = asyncio.ensure_future(put(send, rows))
    await asyncio.sleep(0)
    first = [row.sent for row in rows]
    assert None not in first
    sending.cancel()
    await asyncio.wait({sending})
    assert [row.latest for row in rows] == [None, None]

    loop = asyncio.get_running_loop()
    assert isinstance(loop, clock.ClockLoop)
    loop.advance(10)
    gate.set()
    answer = LOST
    assert await put(send, rows) is LOST
    assert [row.latest and row.latest.status for row in rows] == ["unknown", "unknown"]

    answer = None
    outcomes = await put(send, rows)
    assert not isinstance(outcomes, PresenceError)
    assert [row.latest for row in rows] == outcomes
    assert {outcome.status for outcome in outcomes} == {"applied"}
    # Whatever has happened since the first time counts.
    assert [row.sent for row in rows] == first


async def test_rows_are_told_apart_by_themselves() -> None:
    """Two rows that look alike are two, also in a dict."""
    (row,) = await rows_of([("u", "d")])
    twin = attrs.evolve(row)
    assert len({row, twin}) == 2
    assert row.outcome(ClosedError("x")) == twin.outcome(row.latest and row.latest.error)
