"""Lost writes: what read-backs say about them, and what is sent again."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs
import pytest
from clock import dry
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async.errors import (
    ClosedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PresenceConnectionError,
    PresenceError,
    ServerError,
)
from presence_async.models import (
    MutableUserPresence,
    PresenceDefinition,
    UcUserPresence,
    UserPresence,
)
from presence_async.resources._halving import Halving
from presence_async.resources.reading import PresenceOutcome
from presence_async.resources.settling import (
    CLOCK_MARGIN,
    SENDS,
    SETTLING_TIME,
    Pause,
    Settler,
    read_back,
    verdict,
)
from presence_async.resources.system_presences import BuiltinIds, SystemPresences
from presence_async.resources.updating import (
    Moment,
    Row,
    UpdateOutcome,
    checked_items,
    encoded,
    put,
)
from presence_async.wire import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BUSY, MEAL, OTHER = "d-busy", "d-meal", "d-other"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
Fate = Literal["fine", "before", "after", "late", "partial", "refused", "closed"]


@attrs.define
class Shown:
    """What one user shows on one source."""

    definition: str
    message: str
    modified: float


@attrs.frozen
class Change:
    """Somebody changed a user, and when."""

    who: Literal["we", "they"]
    definition: str
    at: float


class World:
    """A vendor that loses requests, in all the ways there are, and other people.

    Nothing takes any time but what says so: nobody is faster than a second send that
    follows its read-back.
    """

    def __init__(self, fates: Iterable[Fate] = (), reads: Iterable[bool] = ()) -> None:
        self.fates = iter(fates)
        self.reads = iter(reads)
        self.skew = 0.0  # of both of the vendor's clocks
        self.drift = 0.0  # of the one of presences
        self.dated = True
        self.modified_dates = True
        self.shown: dict[tuple[str, str], Shown] = {}
        self.primary: dict[str, str] = defaultdict(lambda: "PURECLOUD")
        self.primary_error: PresenceError | None = None
        self.changes: dict[str, list[Change]] = defaultdict(list)
        self.puts: list[tuple[float, list[str]]] = []
        self.gets: list[str] = []

    @property
    def now(self) -> float:
        """Seconds since noon, as nobody knows them."""
        return asyncio.get_running_loop().time() - 1000

    def has(self, *users: str, source: str = "purecloud") -> World:
        """These users have a presence for a long time already."""
        for user in users:
            self.shown[user, source] = Shown(MEAL, "old", -1000.0)
        return self

    def change(
        self, who: Literal["we", "they"], user: str, definition: str = OTHER, **other: Any
    ) -> None:
        """Somebody changes a presence."""
        key = user, other.get("source", "PURECLOUD").casefold()
        before = self.shown.get(key) or Shown(MEAL, "", 0.0)
        message = other.get("message", before.message)
        self.shown[key] = Shown(definition, message, self.now + self.drift)
        self.changes[user].append(Change(who, definition, self.now))

    async def send(self, request: Request) -> Response:
        """One request in, one 2xx response out."""
        await asyncio.sleep(0)
        path = urlsplit(request.target)
        if request.body is not None:
            return await self._put(json.loads(request.body))
        self.gets.append(request.target)
        if path.path.endswith("/primarysource"):
            if self.primary_error is not None:
                raise self.primary_error
            user = path.path.split("/")[-2]
            return self._answer({"sourceId": self.primary[user], "registered": False})
        if not next(self.reads, True):
            raise ServerError("cannot be read", status=500)
        source = unquote(path.path.split("/")[-2]).casefold()
        ids = [value for _, value in parse_qsl(path.query)]
        return self._answer([self._row(u, source) for u in ids if (u, source) in self.shown])

    async def _put(self, items: list[dict[str, Any]]) -> Response:
        self.puts.append((self.now, [item["id"] for item in items]))
        fate = next(self.fates, "fine")
        if fate == "refused":
            raise InvalidRequestError("bad", status=400)
        if fate == "closed":
            raise ClosedError("closed", outcome_unknown=True)
        done = items[1:] if fate == "partial" else items
        if fate in ("fine", "after", "partial"):
            self._apply(done)
        if fate == "late":
            asyncio.get_running_loop().call_later(SETTLING_TIME - 1, self._apply, items)
        if fate in ("before", "after", "late"):
            raise PresenceConnectionError("lost", outcome_unknown=True)
        return self._answer([self._row(i["id"], _source_of(i)) | {"id": i["id"]} for i in done])

    def _apply(self, items: list[dict[str, Any]]) -> None:
        for item in items:
            key = item["id"], _source_of(item)
            before = self.shown.get(key) or Shown(MEAL, "", 0.0)
            definition = item.get("presenceDefinition", {}).get("id", before.definition)
            message = item.get("message", before.message)
            self.change("we", key[0], definition, message=message, source=key[1])
            if item.get("primary"):
                self.primary[key[0]] = key[1].upper()

    def _row(self, user: str, source: str) -> dict[str, Any]:
        shown = self.shown[user, source]
        row = {
            "userId": user,
            "presenceDefinition": {"id": shown.definition},
            "message": shown.message,
        }
        if self.modified_dates:
            modified = NOON + timedelta(seconds=shown.modified + self.skew)
            row["modifiedDate"] = modified.isoformat(timespec="milliseconds")
        return row

    def _answer(self, body: Any) -> Response:
        date = NOON + timedelta(seconds=self.now + self.skew)
        headers = {"Date": format_datetime(date, usegmt=True)} if self.dated else {}
        return Response(200, headers, json.dumps(body).encode())


def _source_of(item: dict[str, Any]) -> str:
    return str(item.get("sourceId") or item["source"]).casefold()


async def rows_of(*items: Any) -> list[Row]:
    """Rows of a bulk update."""
    presences = SystemPresences(World().send, BuiltinIds())
    return await encoded(await checked_items(items, "PURECLOUD"), presences)


def settler(world: World, pause: Pause | None = None) -> Settler:
    """The whole thing on that vendor."""
    write = Halving(partial(put, world.send), Row.outcome).outcomes
    return Settler(write, world.send, pause or Pause(), SETTLING_TIME)


async def update(world: World, *items: Any) -> Sequence[UpdateOutcome]:
    """Update, and settle what is lost."""
    return await settler(world).outcomes(await rows_of(*items))


# -- the verdict

SINCE = NOON


def row(**wanted: Any) -> Row:
    """A row that asks for that."""
    made: list[Row] = []

    async def make() -> None:
        made.extend(await rows_of(MutableUserPresence(id="u", **wanted)))

    dry(make())
    return made[0]


def shown(definition: str = MEAL, message: Any = "", at: float | None = 0.0) -> PresenceOutcome:
    """What a user shows, last changed so many seconds after `SINCE`."""
    fields: dict[str, Any] = {} if at is None else {"modified_date": SINCE + timedelta(seconds=at)}
    if message is not None:
        fields["message"] = message
    definition_of = PresenceDefinition(id=definition)
    return PresenceOutcome("u", UcUserPresence(presence_definition=definition_of, **fields))


TO_BUSY: dict[str, Any] = {"presence_definition": PresenceDefinition(id=BUSY)}


@pytest.mark.parametrize(
    ("wanted", "seen", "since", "expected"),
    [
        (TO_BUSY, shown(BUSY), SINCE, "applied"),
        (TO_BUSY, shown(BUSY, at=9), SINCE, "applied"),
        (TO_BUSY, shown(BUSY, at=None), None, "applied"),
        (TO_BUSY, shown(BUSY, "kept from before"), SINCE, "applied"),
        (TO_BUSY, shown(MEAL), SINCE, "not applied"),
        (TO_BUSY, shown(MEAL, at=-900), SINCE, "not applied"),
        (TO_BUSY, shown(MEAL, at=0.001), SINCE, "superseded"),
        (TO_BUSY, shown(MEAL), None, "open"),
        (TO_BUSY, shown(MEAL, at=None), SINCE, "open"),
        (TO_BUSY | {"message": "m"}, shown(BUSY, "m"), SINCE, "applied"),
        (TO_BUSY | {"message": "m"}, shown(BUSY, "n"), SINCE, "not applied"),
        (TO_BUSY | {"message": "m"}, shown(BUSY, "n", at=1), SINCE, "superseded"),
        (TO_BUSY | {"message": "m"}, shown(MEAL, "m", at=1), SINCE, "superseded"),
        (TO_BUSY | {"message": None}, shown(BUSY, "kept"), SINCE, "applied"),
        ({"message": "m"}, shown(OTHER, "m"), SINCE, "applied"),
        ({"message": ""}, shown(OTHER, None), SINCE, "applied"),
        ({"message": ""}, shown(OTHER, "n"), SINCE, "not applied"),
        ({"primary": True}, shown(OTHER), SINCE, "applied"),
        (TO_BUSY, PresenceOutcome("u"), SINCE, "not applied"),
        (TO_BUSY, PresenceOutcome("u"), None, "not applied"),
        (TO_BUSY, PresenceOutcome("u", error=ServerError("x")), SINCE, "open"),
        (TO_BUSY | {"source_id": "s"}, PresenceOutcome("u"), SINCE, "open"),
        (TO_BUSY | {"source_id": "s"}, shown(MEAL), SINCE, "not applied"),
    ],
)
def test_the_verdict(
    wanted: Any, seen: PresenceOutcome, since: datetime | None, expected: str
) -> None:
    """It is made of what was asked for, what is shown, and the date of the last change."""
    assert verdict(row(**wanted), seen, since) == expected


@pytest.mark.parametrize(("at", "expected"), [(0, "not applied"), (1, "superseded")])
def test_the_verdict_without_the_promotion_that_was_asked_for(at: float, expected: str) -> None:
    """All else may be shown: without it the item is not applied."""
    wanted = row(**TO_BUSY, primary=True)
    assert verdict(wanted, shown(BUSY, at=at), SINCE, promoted=False) == expected
    assert verdict(wanted, shown(BUSY, at=at), SINCE, promoted=True) == "applied"


@pytest.mark.parametrize("future", [{"id": BUSY}, {"id": OTHER}, {}, None, "d-busy"])
def test_who_has_to_ask_to_leave_the_queue_has_been_updated(future: Any) -> None:
    """Then the definition is shown as the future one, in a field that bulk rows may have."""
    seen = PresenceOutcome("u", UcUserPresence(extra={"futurePresenceDefinition": future}))
    expected = "applied" if future == {"id": BUSY} else "open"
    assert verdict(row(**TO_BUSY), seen, SINCE) == expected


# -- the read-back


def test_the_read_back_asks_for_each_source_once() -> None:
    """Rows of several sources are read together, each with its own; primary ones apart."""
    world = World().has("a", "b").has("b", "c", source="out look").has("d", source="s-1")

    async def main() -> None:
        world.shown["b", "out look"].definition = BUSY
        rows = await rows_of(
            ("a", BUSY),
            MutableUserPresence(id="b", source="Out look", primary=True, **TO_BUSY),
            ("b", MEAL),
            MutableUserPresence(id="c", source="Out look", primary=True, **TO_BUSY),
            MutableUserPresence(id="d", source_id="s-1", message="x"),
        )
        for one in rows:
            one.sent = Moment.now()
        await asyncio.sleep(3)
        judged = await read_back(world.send, rows)
        assert [judged[one].verdict for one in rows] == [
            "not applied",
            "not applied",
            "applied",
            "not applied",
            "not applied",
        ]
        kept = judged[rows[2]].presence
        assert isinstance(kept, UserPresence)
        assert kept.message == "old"

    dry(main())
    assert world.gets == [
        "/api/v2/users/presences/purecloud/bulk?id=a&id=b",
        "/api/v2/users/presences/Out%20look/bulk?id=b&id=c",
        "/api/v2/presence/users/b/primarysource",
        "/api/v2/users/presences/Out%20look/bulk?id=b&id=c",
        "/api/v2/users/presences/s-1/bulk?id=d",
    ]


class Busy(World):
    """Somebody changes presences whenever a primary source is read: that takes its time."""

    def __init__(self, **definitions: str) -> None:
        super().__init__()
        self.definitions = definitions

    async def send(self, request: Request) -> Response:
        """One request in, one 2xx response out."""
        if request.target.endswith("/primarysource"):
            await asyncio.sleep(30)
            for user, definition in self.definitions.items():
                self.change("they", user, definition)
        return await super().send(request)


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (OTHER, ["applied", "superseded", "superseded"]),
        (BUSY, ["applied", "open", "applied"]),
    ],
)
def test_who_moves_on_while_primary_sources_are_read(definition: str, expected: Any) -> None:
    """They are left alone, and of whom nobody asked for the source nothing is known."""
    world = Busy(b=definition, c=definition)
    world.has("a", "b", "c").shown["a", "purecloud"].definition = BUSY

    async def main() -> None:
        rows = await rows_of(
            ("a", UserPresence(primary=True, **TO_BUSY)),
            ("b", UserPresence(primary=True, **TO_BUSY)),
            ("c", BUSY),
        )
        for one in rows:
            one.sent = Moment.now()
        await asyncio.sleep(3)
        judged = await read_back(world.send, rows)
        assert [judged[one].verdict for one in rows] == expected

    dry(main())


@pytest.mark.parametrize(
    ("primary", "error", "expected"),
    [
        ("PureCloud", None, "applied"),
        ("Outlook", None, "not applied"),
        ("", None, "not applied"),
        ("", PermissionDeniedError("no", status=403), "open"),
    ],
)
def test_the_primary_source_is_asked_for(
    primary: str, error: PresenceError | None, expected: str
) -> None:
    """In any case of its name; when it cannot be read, nothing is known."""
    world = World().has("u")
    world.primary["u"], world.primary_error = primary, error

    async def main() -> None:
        (wanted,) = await rows_of(("u", UserPresence(primary=True)))
        wanted.sent = Moment.now()
        await asyncio.sleep(2)
        judged = (await read_back(world.send, [wanted]))[wanted]
        assert (judged.verdict, judged.error) == (expected, error)

    dry(main())


def test_a_source_that_cannot_be_read_leaves_everything_open() -> None:
    """A name that cannot stand in a path, say; nothing is raised."""

    async def main() -> None:
        (wanted,) = await rows_of(MutableUserPresence(id="u", source=".", **TO_BUSY))
        judged = (await read_back(World().send, [wanted]))[wanted]
        assert judged.verdict == "open"
        assert isinstance(judged.error, InvalidRequestError)

    dry(main())


def test_a_row_that_was_never_sent_is_applied_or_open() -> None:
    """Without a time of sending the date of the last change says nothing."""
    world = World().has("a", "b")
    world.shown["a", "purecloud"].definition = BUSY

    async def main() -> None:
        rows = await rows_of(("a", BUSY), ("b", BUSY))
        judged = await read_back(world.send, rows)
        assert [judged[one].verdict for one in rows] == ["applied", "open"]

    dry(main())


@pytest.mark.parametrize("skew", [0.0, -86_400.0, 3e7, 0.3])
@pytest.mark.parametrize("drift", [0.0, CLOCK_MARGIN, -CLOCK_MARGIN])
@pytest.mark.parametrize("later", [0.0, 4.2, 300.0])
def test_a_change_since_the_send_is_seen_whatever_the_clocks(
    skew: float, drift: float, later: float
) -> None:
    """Whoever changes the presence after the send, at any time up to the read, is seen."""
    world = World().has("u")
    world.skew, world.drift = skew, drift

    async def main() -> None:
        await asyncio.sleep(100.7)
        (wanted,) = await rows_of(("u", BUSY))
        wanted.sent = Moment.now()
        await asyncio.sleep(0.001)
        world.change("they", "u")
        await asyncio.sleep(later)
        assert (await read_back(world.send, [wanted]))[wanted].verdict == "superseded"

    dry(main())


@pytest.mark.parametrize("skew", [0.0, -86_400.0, 0.3])
@pytest.mark.parametrize("later", [0.0, 300.0])
def test_a_change_well_before_the_send_is_no_change_since(skew: float, later: float) -> None:
    """Three seconds are enough: one for whole seconds, one for the margin, one for the drift."""
    world = World().has("u")
    world.skew, world.drift = skew, CLOCK_MARGIN

    async def main() -> None:
        await asyncio.sleep(100.7)
        world.change("they", "u")
        await asyncio.sleep(3.01)
        (wanted,) = await rows_of(("u", BUSY))
        wanted.sent = Moment.now()
        await asyncio.sleep(later)
        assert (await read_back(world.send, [wanted]))[wanted].verdict == "not applied"

    dry(main())


def test_a_suspended_machine_is_noticed() -> None:
    """The loop's clock stands still meanwhile; the wall clock tells how long it was."""
    world = World().has("u")

    async def main() -> None:
        (wanted,) = await rows_of(("u", BUSY))
        now = Moment.now()
        wanted.sent = attrs.evolve(now, wall=now.wall - 3600)
        world.shown["u", "purecloud"].modified = world.now - 1800
        assert (await read_back(world.send, [wanted]))[wanted].verdict == "superseded"

    dry(main())


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ Jan \d+ \d+:\d+:\d+ [-+]?\d+"))
@settings(max_examples=60)
def test_a_date_header_that_is_none_is_none(text: str) -> None:
    """Whatever a gateway makes of it, nothing is raised."""

    async def send(request: Request) -> Response:
        return Response(200, {"Date": text}, b'[{"userId":"u"}]')

    async def main() -> None:
        (wanted,) = await rows_of(("u", BUSY))
        wanted.sent = Moment.now()
        assert (await read_back(send, [wanted]))[wanted].verdict == "open"

    dry(main())


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_a_date_without_a_zone_is_utc(zone: str) -> None:
    """RFC 9110 says GMT, RFC 5322 allows others."""
    modified = "2026-01-01T11:59:00Z"

    async def send(request: Request) -> Response:
        body = [{"userId": "u", "modifiedDate": modified}]
        date = f"Thu, 01 Jan 2026 12:00:00 {zone}"
        return Response(200, {"Date": date}, json.dumps(body).encode())

    async def main() -> None:
        (wanted,) = await rows_of(("u", BUSY))
        wanted.sent = Moment.now()
        assert (await read_back(send, [wanted]))[wanted].verdict == "not applied"

    dry(main())


# -- waiting and sending again


@pytest.mark.parametrize(
    ("fates", "status", "puts", "waits"),
    [
        (["fine"], "applied", 1, 0),
        (["before"], "applied", 2, 1),
        (["after"], "applied", 1, 1),
        (["late"], "applied", 1, 1),
        (["before", "after"], "applied", 2, 2),
        (["before", "before"], "applied", 3, 2),
        (["before"] * 9, "rejected", SENDS, SENDS),
        (["before", "refused"], "rejected", 2, 1),
        (["refused"], "rejected", 1, 0),
        (["partial"], "applied", 2, 0),
        (["partial"] * 9, "rejected", SENDS, 0),
        (["closed"], "unknown", 1, 0),
    ],
)
def test_one_item(fates: list[Fate], status: str, puts: int, waits: int) -> None:
    """What is lost is waited for and looked at; what was not applied is sent again, twice."""
    world = World(fates).has("u")

    async def main() -> None:
        await asyncio.sleep(10)
        started = world.now
        (outcome,) = await update(world, ("u", BUSY))
        assert outcome.status == status
        assert outcome.repeated is (puts > 1)
        assert len(world.puts) == puts
        assert world.now - started == pytest.approx(waits * SETTLING_TIME)
        assert (outcome.error is None) is (status == "applied")
        if status == "applied":
            assert outcome.presence is not None
            assert outcome.presence.presence_definition == PresenceDefinition(id=BUSY)
        if status == "rejected":
            assert world.shown["u", "purecloud"].definition == MEAL

    dry(main())


def test_only_what_was_not_applied_is_sent_again() -> None:
    """Of a lost request some users show the wanted presence, some the old, some another one."""
    world = World(["before"]).has("a", "b", "c", "d")

    async def main() -> None:
        await asyncio.sleep(10)
        loop = asyncio.get_running_loop()
        loop.call_later(3, world.change, "they", "b", BUSY)
        loop.call_later(3, world.change, "they", "c", OTHER)
        outcomes = await update(world, *((user, BUSY) for user in "abcd"))
        statuses = [(outcome.status, outcome.repeated) for outcome in outcomes]
        assert statuses == [
            ("applied", True),
            ("applied", False),
            ("superseded", False),
            ("applied", True),
        ]
        assert [users for _, users in world.puts] == [["a", "b", "c", "d"], ["a", "d"]]
        assert outcomes[2].presence is not None
        assert outcomes[2].presence.presence_definition == PresenceDefinition(id=OTHER)
        assert isinstance(outcomes[2].error, PresenceConnectionError)
        assert world.shown["c", "purecloud"].definition == OTHER

    dry(main())


def test_a_change_after_the_second_send_counts_too() -> None:
    """Whoever changes the presence at any time since the first send is left alone."""
    world = World(["before", "before"]).has("u")

    async def main() -> None:
        await asyncio.sleep(10)
        asyncio.get_running_loop().call_later(20, world.change, "they", "u")
        (outcome,) = await update(world, ("u", BUSY))
        assert (outcome.status, outcome.repeated) == ("superseded", True)
        assert world.shown["u", "purecloud"].definition == OTHER

    dry(main())


@pytest.mark.parametrize(("unread", "status"), [(1, "applied"), (2, "rejected"), (3, "unknown")])
def test_a_read_back_that_fails_is_tried_again(unread: int, status: str) -> None:
    """Nothing is sent while nothing is known, nor after the last look; it stays honest."""
    world = World(["before"], [False] * unread).has("u")

    async def main() -> None:
        await asyncio.sleep(10)
        (outcome,) = await update(world, ("u", BUSY))
        assert outcome.status == status
        assert len(world.puts) == (2 if status == "applied" else 1)
        if outcome.error is not None:
            assert isinstance(outcome.error, PresenceConnectionError)
            assert outcome.error.outcome_unknown is (status == "unknown")
            assert isinstance(outcome.error.__cause__, ServerError) is (status == "unknown")

    dry(main())


@pytest.mark.parametrize("missing", ["date", "modified"])
@pytest.mark.parametrize(("fate", "status"), [("before", "unknown"), ("after", "applied")])
def test_without_dates_only_success_can_be_told(missing: str, fate: Fate, status: str) -> None:
    """Nothing is sent again on a guess."""
    world = World([fate]).has("u")
    world.dated, world.modified_dates = missing != "date", missing != "modified"

    async def main() -> None:
        (outcome,) = await update(world, ("u", BUSY))
        assert outcome.status == status
        assert len(world.puts) == 1

    dry(main())


@pytest.mark.parametrize("wanted", [{}, {"message": None}, {"primary": False}, {"name": "n"}])
def test_an_item_that_cannot_be_seen_stays_unknown(wanted: dict[str, Any]) -> None:
    """It is not even looked for."""
    world = World(["before"]).has("u")

    async def main() -> None:
        (outcome,) = await update(world, MutableUserPresence(id="u", **wanted))
        assert outcome.status == "unknown"
        assert world.gets == []

    dry(main())


@pytest.mark.parametrize("registered", [False, True])
def test_a_source_never_written(registered: bool) -> None:
    """Of an ad hoc source that means not applied; a registered one may not be readable."""
    world = World(["before"])
    source = {"source_id": "s-1"} if registered else {"source": "Outlook"}

    async def main() -> None:
        (outcome,) = await update(world, MutableUserPresence(id="u", **source, **TO_BUSY))
        assert outcome.status == ("unknown" if registered else "applied")
        assert len(world.puts) == (1 if registered else 2)

    dry(main())


def test_a_user_who_is_not_there_gets_the_reason_of_the_vendor() -> None:
    """The second send is refused for him, and split."""

    class Strict(World):
        async def send(self, request: Request) -> Response:
            if request.body is not None and len(self.puts) and b"ghost" in request.body:
                raise NotFoundError("no such user", status=404)
            return await super().send(request)

    world = Strict(["before"]).has("a", "b")

    async def main() -> None:
        await asyncio.sleep(10)
        outcomes = await update(world, ("a", BUSY), ("ghost", BUSY), ("b", BUSY))
        assert [outcome.status for outcome in outcomes] == ["applied", "rejected", "applied"]
        assert isinstance(outcomes[1].error, NotFoundError)

    dry(main())


@pytest.mark.parametrize("when", [0.0, 7.0])
def test_a_pause_that_is_cut_short_leaves_the_outcome_unknown(when: float) -> None:
    """Whoever sleeps is woken at once, and who comes later does not sleep at all."""
    world = World(["before"] * 9).has("u", "v")

    async def main() -> None:
        pause = Pause()
        working = settler(world, pause)
        sleeping = asyncio.create_task(working.outcomes(await rows_of(("u", BUSY))))
        await asyncio.sleep(when)
        await pause.cut()
        assert world.now == when
        (outcome,) = await sleeping
        assert (outcome.status, world.gets) == ("unknown", [])
        await pause.cut()
        (outcome,) = await working.outcomes(await rows_of(("v", BUSY)))
        assert (outcome.status, world.gets) == ("unknown", [])
        assert world.now == when

    dry(main())


# -- any server, anybody

FATES: list[Fate] = ["fine", "before", "after", "late", "partial", "refused", "closed"]
USERS = [f"u{number}" for number in range(6)]


@settings(max_examples=300)
@given(
    fates=st.lists(st.sampled_from(FATES), max_size=12),
    reads=st.lists(st.booleans(), max_size=6),
    moves=st.lists(
        st.tuples(
            st.integers(-60, 600), st.sampled_from(USERS), st.sampled_from([BUSY, OTHER, MEAL])
        ),
        max_size=8,
    ),
    skew=st.floats(-1e6, 1e6),
    drift=st.floats(-CLOCK_MARGIN, CLOCK_MARGIN),
    unwritten=st.sets(st.sampled_from(USERS)),
)
def test_nothing_is_lost_and_nobody_is_overwritten(
    *,
    fates: list[Fate],
    reads: list[bool],
    moves: list[tuple[int, str, str]],
    skew: float,
    drift: float,
    unwritten: set[str],
) -> None:
    """Whatever gets lost and whoever interferes, each outcome is one that really happened."""
    world = World(fates, reads).has(*set(USERS) - unwritten)
    world.skew, world.drift = skew, drift

    async def main() -> None:
        loop = asyncio.get_running_loop()
        begun = world.now + 10
        for tenths, user, definition in moves:
            # Never at the very moment of one of ours.
            loop.call_later(10 + tenths / 10 + 0.037, world.change, "they", user, definition)
        await asyncio.sleep(10)
        before = {user: world.shown.get((user, "purecloud")) for user in USERS}
        outcomes = await update(world, *((user, BUSY) for user in USERS))
        assert [outcome.user_id for outcome in outcomes] == USERS
        for outcome in outcomes:
            judge(world, outcome, begun, before[outcome.user_id])
        await asyncio.sleep(100)

    dry(main())


def judge(world: World, outcome: UpdateOutcome, begun: float, before: Shown | None) -> None:
    """What is said of one item is what happened to it."""
    user = outcome.user_id
    sends = [at for at, users in world.puts if user in users]
    since = [change for change in world.changes[user] if change.at >= begun]
    ours = [change for change in since if change.who == "we"]
    theirs = [change for change in since if change.who == "they"]
    lost = [at for at in sends if at > sends[0]]
    for at in lost:
        # Sent again only if nobody had changed the presence since the first time.
        assert not any(change.at < at for change in theirs)
    if outcome.status == "applied":
        was = before is not None and before.definition == BUSY
        assert was or any(change.definition == BUSY for change in since)
    if outcome.status == "rejected":
        assert not ours
    if outcome.status == "superseded":
        recent = [c for c in world.changes[user] if c.who == "they" and c.at > begun - 4]
        assert recent
    if outcome.status == "unknown":
        assert outcome.error is not None
        closed = isinstance(outcome.error, ClosedError)
        assert closed or isinstance(outcome.error.__cause__, ServerError)
