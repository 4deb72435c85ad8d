"""Reading many users: matching of rows, and the ways around a refusal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import clock
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async.errors import (
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    PresenceError,
    ServerError,
)
from presence_async.resources._chunking import chunked
from presence_async.resources.reading import PresenceOutcome, PresenceReader
from presence_async.wire import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterable


def row(user_id: str) -> dict[str, Any]:
    """A bulk row in the recorded shape."""
    return {"userId": user_id, "source": "PURECLOUD", "message": f"of {user_id}"}


class Vendor:
    """Answers bulk and single reads; knows every user but those in `unknown`."""

    def __init__(self, *, bulk: bool = True, unknown: Iterable[str] = ()) -> None:
        self.bulk = bulk
        self.unknown = set(unknown)
        self.unknown_is_404 = False
        self.refused: set[str] = set()
        self.bulk_reads: list[list[str]] = []
        self.single_reads: list[str] = []

    async def send(self, request: Request) -> Response:
        """One request in, one 2xx response out."""
        parts = urlsplit(request.target)
        if parts.path.endswith("/bulk"):
            ids = [value for _, value in parse_qsl(parts.query)]
            self.bulk_reads.append(ids)
            return self._answer(self._bulk(parts.path, ids))
        user_id = parts.path.split("/")[4]
        self.single_reads.append(user_id)
        if user_id in self.unknown:
            raise NotFoundError("user")
        if user_id in self.refused:
            raise ServerError("single")
        return self._answer({"message": f"of {user_id}"})

    def _bulk(self, path: str, ids: list[str]) -> list[Any]:
        if not self.bulk and "purecloud" not in path:
            raise NotFoundError("no such path")
        if self.unknown_is_404 and self.unknown.intersection(ids):
            raise NotFoundError("user")
        if self.refused.intersection(ids):
            raise InvalidRequestError("bad id", status=400)
        return [row(user_id) for user_id in reversed(ids) if user_id not in self.unknown]

    @staticmethod
    def _answer(value: Any) -> Response:
        return Response(200, {"ININ-Correlation-Id": "c-1"}, json.dumps(value).encode())

    def reader(self, source: str = "purecloud") -> PresenceReader:
        """A reader on this vendor."""
        return PresenceReader(self.send, source)


class Rows(Vendor):
    """Answers every bulk read with the same rows."""

    def __init__(self, *rows: Any) -> None:
        super().__init__()
        self.rows = rows

    def _bulk(self, path: str, ids: list[str]) -> list[Any]:
        return list(self.rows)


def statuses(outcomes: Iterable[PresenceOutcome]) -> dict[str, str]:
    """Status by user."""
    return {outcome.user_id: outcome.status for outcome in outcomes}


IDS = [f"u{number}" for number in range(50)]


async def test_rows_out_of_order_find_their_users() -> None:
    """Outcomes come in the order of the ids, whatever the order of the answer."""
    vendor = Vendor(unknown=["u3"])
    outcomes = await vendor.reader().read(IDS)
    assert [outcome.user_id for outcome in outcomes] == IDS
    assert [o.user_id for o in outcomes if o.status == "missing"] == ["u3"]
    assert all(o.presence.message == f"of {o.user_id}" for o in outcomes if o.presence)
    assert vendor.bulk_reads == [IDS]


async def test_a_bad_row_fails_its_user_only() -> None:
    """The row names its user; the error names row, field and exchange."""
    outcomes = await Rows(row("a"), row("b") | {"message": 5}).reader().read(["a", "b", "c"])
    assert statuses(outcomes) == {"a": "present", "b": "failed", "c": "missing"}
    error = outcomes[1].error
    assert isinstance(error, DecodeError)
    assert (error.row, error.field, error.status) == (1, "message", 200)
    assert error.failures[0].row_id == "b"
    assert error.path_template == "/api/v2/users/presences/purecloud/bulk"
    assert (error.correlation_id, error.outcome_unknown) == ("c-1", False)


@pytest.mark.parametrize("stray", [None, {"userId": 5}, {"userId": 5, "id": "not-a-user"}])
async def test_a_bad_row_without_a_user_may_be_anybodys(stray: Any) -> None:
    """Who is not accounted for is not known to be missing."""
    outcomes = await Rows(row("a"), stray).reader().read(["a", "b"])
    assert statuses(outcomes) == {"a": "present", "b": "failed"}
    assert isinstance(outcomes[1].error, DecodeError)


@pytest.mark.parametrize("stray", [{"message": ""}, {"userId": None}, row("A"), row("b ")])
async def test_a_good_row_of_nobody_asked_for_may_be_anybodys(stray: Any) -> None:
    """A row without a user, or of another one, leaves the rest in doubt."""
    outcomes = await Rows(row("a"), stray).reader().read(["a", "b"])
    assert statuses(outcomes) == {"a": "present", "b": "failed"}
    with pytest.raises(DecodeError, match="none of the users asked for"):
        raise outcomes[1].error or AssertionError


async def test_an_answer_that_is_no_list_fails_the_chunk() -> None:
    """Every user of the chunk hears it; nobody is called missing."""

    class Odd(Vendor):
        def _bulk(self, path: str, ids: list[str]) -> Any:
            return {"entities": []}

    vendor = Odd()
    outcomes = await vendor.reader().read(["a", "b"])
    assert statuses(outcomes) == {"a": "failed", "b": "failed"}
    assert len(vendor.bulk_reads) == 1


@pytest.mark.parametrize("bad", [{"u0"}, {"u49"}, {"u10", "u40"}, {"u0", "u49"}])
async def test_a_refused_chunk_is_split(bad: set[str]) -> None:
    """One bad id costs at most twelve requests, two bad ones cost no good id either."""
    vendor = Vendor()
    vendor.refused = bad
    outcomes = await vendor.reader().read(IDS)
    assert {outcome.user_id for outcome in outcomes if outcome.status == "failed"} == bad
    assert len(vendor.bulk_reads) <= 1 + 12 * len(bad)
    assert vendor.single_reads == []


async def test_a_request_that_is_wrong_in_itself_is_given_up() -> None:
    """When nothing is ever accepted, later chunks cost one request each."""
    vendor = Vendor()
    vendor.refused = set(IDS)
    reader = vendor.reader()
    for _ in range(20):
        assert set(statuses(await reader.read(IDS)).values()) == {"failed"}
    assert len(vendor.bulk_reads) <= 20 + 16


@pytest.mark.parametrize("unknown", [["u7"], ["u0", "u49"], ["u1", "u2"], IDS])
@pytest.mark.parametrize("source", ["purecloud", "Outlook"])
async def test_whole_call_404_for_unknown_users(unknown: list[str], source: str) -> None:
    """Where one unknown user makes the whole call 404, present and missing come out right."""
    vendor = Vendor(unknown=unknown)
    vendor.unknown_is_404 = True
    outcomes = await vendor.reader(source).read(IDS)
    assert {outcome.user_id for outcome in outcomes if outcome.status == "missing"} == set(unknown)
    assert all(outcome.status != "failed" for outcome in outcomes)


async def test_a_bulk_read_that_worked_once_is_not_given_up() -> None:
    """Unknown users in both halves do not turn a source into one without a bulk read."""
    vendor = Vendor(unknown=["u0", "u49"])
    vendor.unknown_is_404 = True
    reader = vendor.reader("Outlook")
    await reader.read(["a", "b"])
    await reader.read(IDS)
    assert len(vendor.single_reads) == 50
    await reader.read(["c", "d"])
    assert vendor.bulk_reads[-1] == ["c", "d"]


async def test_unknown_users_in_both_halves_of_the_very_first_chunk() -> None:
    """A user of theirs who is there tells whether the source has a bulk read."""
    vendor = Vendor(unknown=["u0", "u49"])
    vendor.unknown_is_404 = True
    reader = vendor.reader("Outlook")
    outcomes = await reader.read(IDS)
    assert [o.user_id for o in outcomes if o.status == "missing"] == ["u0", "u49"]
    assert vendor.bulk_reads[3:] == [["u1"]]
    await reader.read(["a", "b"])
    assert vendor.bulk_reads[4:] == [["a", "b"]]


async def test_a_source_where_nobody_is() -> None:
    """Nobody there to ask for: it is read singly from then on."""
    vendor = Vendor(bulk=False, unknown=IDS)
    reader = vendor.reader("Outlook")
    assert set(statuses(await reader.read(IDS)).values()) == {"missing"}
    assert len(vendor.bulk_reads) == 3
    assert reader.chunk_size == 1


@pytest.mark.parametrize("size", [1, 2, 3, 50])
async def test_a_source_without_bulk_is_read_singly(size: int) -> None:
    """Once that is known, for good; a single id is no exception."""
    vendor = Vendor(bulk=False, unknown=["u1"])
    reader = vendor.reader("Outlook")
    outcomes = await reader.read(IDS[:size])
    expected = ["missing" if user_id == "u1" else "present" for user_id in IDS[:size]]
    assert [outcome.status for outcome in outcomes] == expected
    assert all(o.presence.user_id == o.user_id for o in outcomes if o.presence)
    asked = len(vendor.bulk_reads)
    assert asked <= 4
    assert reader.chunk_size == (1 if size > 1 else 50)
    await reader.read(["x", "y", "z"])
    await reader.read(["v", "w"])
    assert len(vendor.bulk_reads) == (asked if size > 1 else 1 + 4)


async def test_single_reads_fail_one_by_one() -> None:
    """One user's failure is that user's outcome."""
    vendor = Vendor(bulk=False)
    vendor.refused = {"b"}
    outcomes = await vendor.reader("Outlook").read(["a", "b", ".."])
    assert statuses(outcomes) == {"a": "present", "b": "failed", "..": "failed"}
    assert isinstance(outcomes[2].error, InvalidRequestError)
    assert vendor.single_reads == ["a", "b"]


async def test_the_own_source_always_has_a_bulk_read() -> None:
    """A 404 to one user alone is that user's, without a second request."""
    vendor = Vendor(unknown=["a"])
    vendor.unknown_is_404 = True
    assert statuses(await vendor.reader("PURECLOUD").read(["a"])) == {"a": "missing"}
    assert vendor.single_reads == []


async def test_an_outage_of_one_chunk() -> None:
    """Whatever is no refusal fails the chunk without any splitting."""

    class Down(Vendor):
        def _bulk(self, path: str, ids: list[str]) -> Any:
            raise ServerError("down", status=503)

    vendor = Down()
    assert set(statuses(await vendor.reader().read(IDS)).values()) == {"failed"}
    assert len(vendor.bulk_reads) == 1


async def test_only_presence_errors_are_outcomes() -> None:
    """A bug in here is not dressed up as an outcome."""

    async def send(request: Request) -> Response:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await PresenceReader(send, "purecloud").read(["a"])


async def test_a_generators_bad_ids_keep_their_place() -> None:
    """A bad id is a failed outcome where it stood, and costs no request."""
    vendor = Vendor()
    reader = vendor.reader()
    bad: list[Any] = ["", None, b"x", "\ud800", ["u"]]
    ids: list[Any] = ["a", *bad[:2], "b", *bad[2:]]
    (chunk,) = chunked(iter(ids), "window")  # type: ignore[misc]
    outcomes = await reader.read(chunk)
    assert [outcome.user_id for outcome in outcomes] == ids
    assert [outcome.status for outcome in outcomes].count("failed") == len(bad)
    assert all(outcome.error.field == "ids" for outcome in outcomes if outcome.error)  # type: ignore[attr-defined]
    assert vendor.bulk_reads == [["a", "b"]]


async def test_bad_ids_alone_cost_nothing() -> None:
    """A chunk without one good id is no request."""
    vendor = Vendor()
    chunks = list(chunked(iter([""] * 120), "window"))  # type: ignore[arg-type]
    assert [len(chunk) for chunk in chunks] == [50, 50, 20]
    assert len(await vendor.reader().read(chunks[0])) == 50
    assert vendor.bulk_reads == []


def test_outcome_status() -> None:
    """A failure counts before a presence, and neither is missing."""
    assert PresenceOutcome("u").status == "missing"
    assert PresenceOutcome("u", error=PresenceError("x")).status == "failed"


USERS = [f"u{number}" for number in range(12)]


@settings(max_examples=100, deadline=None)
@given(
    ids=st.lists(st.sampled_from([*USERS, "", None]), max_size=80),
    unknown=st.sets(st.sampled_from(USERS)),
    refused=st.sets(st.sampled_from(USERS), max_size=4),
    whole_call=st.booleans(),
)
def test_one_right_outcome_per_id(
    ids: list[Any], unknown: set[str], refused: set[str], whole_call: Any
) -> None:
    """Whatever is unknown, refused or no id: one outcome each, in order, and the right one."""
    vendor = Vendor(unknown=unknown)
    vendor.unknown_is_404 = whole_call

    async def everything() -> list[PresenceOutcome]:
        reader = vendor.reader()
        await reader.read(["known-good"])
        vendor.refused = refused
        return [o for chunk in chunked(iter(ids), "all") for o in await reader.read(chunk)]  # type: ignore[union-attr]

    outcomes = clock.run(everything())
    good = [user_id for user_id in dict.fromkeys(ids) if user_id]
    assert [outcome.user_id for outcome in outcomes if outcome.user_id] == good
    assert len(outcomes) == len(good) + sum(not user_id for user_id in ids)
    for outcome in outcomes:
        if not outcome.user_id:
            assert outcome.status == "failed"
        elif outcome.user_id not in refused:
            expected = "missing" if outcome.user_id in unknown else "present"
            assert outcome.status == expected
        else:
            # Refused and unknown at once: the vendor may say either.
            assert outcome.status == "failed" or outcome.user_id in unknown
