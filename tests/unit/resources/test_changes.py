"""The table of what is known: each read changes it as it should, and says so once."""

from __future__ import annotations

import asyncio
import gc
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from presence_async.errors import PresenceError, ServerError
from presence_async.models import (
    UNSET,
    PresenceDefinition,
    SystemPresenceName,
    UcUserPresence,
)
from presence_async.resources import changes
from presence_async.resources.changes import (
    BELIEVED_AFTER,
    KnownPresence,
    PresenceChange,
    PresenceTable,
    differences,
)
from presence_async.resources.reading import PresenceOutcome
from presence_async.resources.updating import Moment

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> Moment:
    """A moment by both clocks, so many seconds after the first."""
    return Moment(1000.0 + seconds, DAY.timestamp() + seconds)


def presence(
    name: str = "Available", *, date: float | None = 0, user_id: str = "u", **fields: Any
) -> UcUserPresence:
    """A row of a bulk read, modified so many seconds after the first moment."""
    definition = PresenceDefinition(id=f"id of {name}", system_presence=SystemPresenceName(name))
    modified = UNSET if date is None else DAY + timedelta(seconds=date)
    usual: dict[str, Any] = {
        "user_id": user_id,
        "source": "PURECLOUD",
        "presence_definition": definition,
        "message": "",
        "modified_date": modified,
    }
    return UcUserPresence(**(usual | fields))


class Lab:
    """A table with one user, read again and again, a second from asking to seeing."""

    def __init__(self) -> None:
        self.table = PresenceTable()
        self.table.add(["u"])
        self.now = 0.0

    def read(
        self, shown: UcUserPresence | None = None, *, error: PresenceError | None = None
    ) -> PresenceChange | None:
        """One read, ten seconds after the one before."""
        self.now += 10
        outcome = PresenceOutcome("u", shown, error)
        return self.table.apply(outcome, at(self.now), at(self.now + 1))

    @property
    def known(self) -> KnownPresence:
        """What is known of the user, two seconds after asking."""
        return self.table.known("u", at(self.now + 2))


def test_a_life() -> None:
    """First everything, then nothing as long as nothing differs, then what differs."""
    lab = Lab()
    assert lab.known == KnownPresence(user_id="u")
    assert lab.known.status == "unknown"
    here, gone = presence(), presence("Away", date=25)
    assert lab.read(here) == PresenceChange(
        user_id="u", kind="first", before=None, after=here, seen_at=DAY + timedelta(seconds=11)
    )
    assert lab.read(presence()) is None
    change = lab.read(gone)
    assert change == PresenceChange(
        user_id="u",
        kind="changed",
        before=here,
        after=gone,
        seen_at=DAY + timedelta(seconds=31),
        age=11.0,  # since the request that still showed the one before was made
    )
    assert change.fields == ("presence_definition", "modified_date")
    assert not change.stale
    assert lab.known == KnownPresence(
        user_id="u", presence=gone, checked_at=DAY + timedelta(seconds=30), age=2.0
    )
    assert lab.known.status == "present"


def test_a_user_who_is_missing() -> None:
    """No presence is something that is known, and getting one is a change."""
    lab = Lab()
    first = lab.read(None)
    assert first is not None
    assert (first.kind, first.after, first.fields) == ("first", None, ())
    assert lab.known.status == "missing"
    assert lab.read(None) is None
    there = lab.read(presence())
    assert there is not None
    assert (there.kind, there.before, there.after) == ("changed", None, presence())
    assert there.fields == ("presence_definition", "modified_date")
    gone = lab.read(None)
    assert gone is not None
    assert (gone.kind, gone.before, gone.after) == ("changed", presence(), None)


def test_a_user_who_fails_for_a_while() -> None:
    """The last value stays; one change when it gets stale and one when it is fresh again."""
    lab = Lab()
    lab.read(presence())
    lost, later = ServerError("lost"), ServerError("still")
    stale = lab.read(error=lost)
    assert stale is not None
    assert (stale.kind, stale.stale, stale.error) == ("stale", True, lost)
    assert (stale.before, stale.after, stale.age) == (presence(), presence(), 11.0)
    assert lab.read(error=later) is None
    assert (lab.known.presence, lab.known.stale, lab.known.error) == (presence(), True, later)
    assert (lab.known.status, lab.known.age) == ("present", 22.0)
    assert lab.table.stale == 1
    fresh = lab.read(presence())
    assert fresh is not None
    assert (fresh.kind, fresh.fields, fresh.error, fresh.age) == ("fresh", (), None, 31.0)
    assert lab.table.stale == 0
    lab.read(error=lost)
    moved = lab.read(presence("Away", date=1))
    assert moved is not None
    assert moved.kind == "fresh"
    assert moved.fields == ("presence_definition", "modified_date")


def test_a_user_who_fails_from_the_start() -> None:
    """That is the first that is told; the first success makes the user fresh."""
    lab = Lab()
    assert (lab.table.unread, lab.table.stale) == (1, 0)
    first = lab.read(error=ServerError("lost"))
    assert first is not None
    assert (first.kind, first.stale, first.after, first.age) == ("first", True, None, None)
    assert (lab.known.status, lab.known.checked_at, lab.known.age) == ("unknown", None, None)
    assert lab.read(error=ServerError("lost")) is None
    assert (lab.table.unread, lab.table.stale) == (1, 1)
    fresh = lab.read(presence())
    assert fresh is not None
    assert (fresh.kind, fresh.before, fresh.after, fresh.age) == ("fresh", None, presence(), None)
    assert (lab.table.unread, lab.table.stale) == (0, 0)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"message": "lunch"}, ("message",)),
        ({"modified_date": DAY + timedelta(seconds=9)}, ("modified_date",)),
        (
            {"presence_definition": PresenceDefinition(id="other", system_presence="Available")},
            ("presence_definition",),
        ),
        ({"presence_definition": UNSET, "message": None}, ("presence_definition",)),
        # The vendor's spellings of one and the same thing, and what nobody asked about.
        ({"message": None}, ()),
        ({"message": UNSET}, ()),
        ({"self_uri": "/elsewhere", "extra": {"new": 1}}, ()),
        (
            {
                "presence_definition": PresenceDefinition(
                    id="id of Available", system_presence=SystemPresenceName("AVAILABLE")
                )
            },
            (),
        ),
    ],
)
def test_what_counts_as_a_difference(change: dict[str, Any], fields: tuple[str, ...]) -> None:
    """Definition, message and date; anything else is kept without a word."""
    before = presence()
    after = attrs.evolve(before, **change)
    assert differences(before, after) == fields
    lab = Lab()
    lab.read(before)
    told = lab.read(after)
    assert (told is not None) == bool(fields)
    assert lab.known.presence == after


def test_an_answer_from_the_past_changes_nothing() -> None:
    """One that lags behind is passed over, and does not count as a look at the user."""
    lab = Lab()
    lab.read(presence("Away", date=100))
    for _ in range(BELIEVED_AFTER - 1):
        assert lab.read(presence(date=50)) is None
    assert lab.known.presence == presence("Away", date=100)
    assert lab.known.age == 2.0 + 10 * (BELIEVED_AFTER - 1)
    # The same again, or news: the count begins anew.
    assert lab.read(presence("Away", date=100)) is None
    assert lab.read(presence(date=50)) is None
    assert lab.known.presence == presence("Away", date=100)


def test_a_past_that_is_insisted_on_is_believed() -> None:
    """Dates that go back for good must not freeze a user for ever."""
    lab = Lab()
    lab.read(presence("Away", date=100))
    told = [lab.read(presence(date=50)) for _ in range(BELIEVED_AFTER)]
    assert told[:-1] == [None] * (BELIEVED_AFTER - 1)
    assert told[-1] is not None
    assert (told[-1].kind, told[-1].after) == ("changed", presence(date=50))
    assert lab.table._older == {}


def test_an_answer_from_the_past_leaves_a_stale_user_stale() -> None:
    """It says nothing about now."""
    lab = Lab()
    lab.read(presence(date=100))
    lab.read(error=ServerError("lost"))
    assert lab.read(presence("Away", date=50)) is None
    assert lab.known.stale


@pytest.mark.parametrize("dates", [(None, 5), (5, None), (5, 5)])
def test_answers_whose_dates_tell_nothing_count(dates: tuple[float | None, float | None]) -> None:
    """Without a date, or with the same one, what was read last is what is known."""
    lab = Lab()
    lab.read(presence(date=dates[0]))
    told = lab.read(presence("Away", date=dates[1]))
    assert told is not None
    assert told.kind == "changed"


def test_a_user_who_was_removed() -> None:
    """A late answer is dropped, and coming back starts from nothing."""
    lab = Lab()
    lab.read(presence(date=100))
    lab.read(presence(date=50))
    lab.read(error=ServerError("lost"))
    lab.table.add(["other", "u"])
    lab.table.remove("u")
    lab.table.remove("nobody")
    assert (len(lab.table), lab.table.stale, lab.table.unread) == (1, 0, 1)
    assert "u" not in lab.table
    assert lab.read(presence()) is None
    with pytest.raises(KeyError):
        _ = lab.known
    lab.table.add(["u"])
    assert lab.table.user_ids == ["other", "u"]
    told = lab.read(presence(date=1))
    assert told is not None
    assert told.kind == "first"


def test_who_was_not_read_and_who_is_oldest() -> None:
    """Stale users are known to be; the others are judged by their last request."""
    table = PresenceTable()
    assert table.oldest() is None
    table.add(["early", "late", "stale", "never"])
    for user_id, seconds in (("early", 5), ("late", 7), ("stale", 6)):
        table.apply(PresenceOutcome(user_id), at(seconds), at(seconds + 1))
    table.apply(PresenceOutcome("stale", error=ServerError("lost")), at(8), at(9))
    assert table.oldest() == at(5)
    assert table.unread_since(at(5)) == ["never"]
    assert table.unread_since(at(6)) == ["early", "never"]


def test_rows_share_what_they_have_in_common() -> None:
    """Definitions and names of sources are held once, ids are the caller's own."""
    table = PresenceTable()
    ids = [f"user-{number}" for number in range(3)]
    table.add(ids)
    for user_id in ids:
        row = presence(user_id="".join(user_id), source=b"PURECLOUD".decode())
        table.apply(PresenceOutcome(user_id, row), at(0), at(1))
    held = [table.known(user_id, at(1)).presence for user_id in ids]
    assert len({id(row.presence_definition) for row in held if row}) == 1
    assert len({id(row.source) for row in held if row}) == 1
    assert all(row and row.user_id is user_id for row, user_id in zip(held, ids, strict=True))


def test_what_is_shared_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values come from the network: past a bound the table begins anew."""
    monkeypatch.setattr(changes, "_SHARED", 10)
    lab = Lab()
    for number in range(50):
        lab.read(presence(f"Custom {number}", date=number))
        assert len(lab.table._shared) <= 10


def test_errors_keep_no_frames_alive() -> None:
    """A stale user holds the error, and not the request that failed with it."""
    lab = Lab()

    class Big:
        """Something a frame holds."""

    def fail() -> None:
        _big = Big()
        raise ServerError("lost")

    try:
        fail()
    except ServerError as error:
        lab.read(error=error)
    gc.collect()
    assert [thing for thing in gc.get_objects() if isinstance(thing, Big)] == []
    assert isinstance(lab.known.error, ServerError)


# -- two changes in one


def change(kind: Any, before: Any, after: Any, **fields: Any) -> PresenceChange:
    """A change, seen ten seconds after the first moment unless said otherwise."""
    usual = {"seen_at": DAY + timedelta(seconds=10), "age": 10.0}
    return PresenceChange(user_id="u", kind=kind, before=before, after=after, **(usual | fields))


A, B, C = presence("Available"), presence("Away", date=1), presence("Busy", date=2)
LOST = ServerError("lost")


@pytest.mark.parametrize(
    ("earlier", "later", "folded"),
    [
        (change("first", None, A), change("changed", A, B), ("first", None, B, None)),
        (change("first", None, A), change("stale", A, A, error=LOST), ("first", None, A, LOST)),
        (
            change("first", None, None, error=LOST),
            change("fresh", None, A),
            ("first", None, A, None),
        ),
        (change("changed", A, B), change("changed", B, C), ("changed", A, C, None)),
        (change("changed", A, B), change("changed", B, A), None),
        (change("changed", A, B), change("stale", B, B, error=LOST), ("stale", A, B, LOST)),
        (change("stale", A, A, error=LOST), change("fresh", A, A), None),
        (change("stale", A, A, error=LOST), change("fresh", A, B), ("changed", A, B, None)),
        (change("fresh", A, A), change("stale", A, A, error=LOST), None),
        (change("fresh", A, B), change("stale", B, B, error=LOST), ("changed", A, B, LOST)),
        (change("fresh", A, B), change("changed", B, C), ("fresh", A, C, None)),
        (change("fresh", A, B), change("changed", B, A), ("fresh", A, A, None)),
        (change("changed", A, B, error=LOST), change("fresh", B, B), ("fresh", A, B, None)),
    ],
)
def test_two_changes_as_one(earlier: Any, later: Any, folded: Any) -> None:
    """From what was told before the first to what is known after the second."""
    result = earlier.then(attrs.evolve(later, seen_at=DAY + timedelta(seconds=40)), 30.0)
    if folded is None:
        assert result is None
        return
    assert (result.kind, result.before, result.after, result.error) == folded
    assert (result.age, result.seen_at) == (40.0, DAY + timedelta(seconds=40))


def test_what_had_no_age_gets_none() -> None:
    """Nobody knows since when it has been so."""
    result = change("first", None, A, age=None).then(change("changed", A, B), 30.0)
    assert result is not None
    assert result.age is None


class Reader:
    """Whoever takes changes, now and then, and believes them."""

    def __init__(self) -> None:
        self.told = False
        self.presence: UcUserPresence | None = None
        self.stale = False

    def take(self, change: PresenceChange) -> None:
        """Check that the change follows from what was told before; take it over."""
        assert (change.kind == "first") == (not self.told)
        assert change.before == self.presence
        if change.kind == "stale":
            assert (self.stale, change.stale) == (False, True)
        elif change.kind == "fresh":
            assert (self.stale, change.stale) == (True, False)
        elif change.kind == "changed":
            assert self.stale == change.stale
            assert change.fields or (change.before is None) != (change.after is None)
        self.told, self.presence, self.stale = True, change.after, change.stale


class TableMachine(RuleBasedStateMachine):
    """Any reads in any order, and a reader who is told now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.table = PresenceTable()
        self.table.add(["u"])
        self.reader = Reader()
        self.waiting: PresenceChange | None = None
        self.folded_at = 0.0
        self.now = 0.0
        self.lagging = 0

    @rule(
        name=st.sampled_from(["Available", "Away"]),
        date=st.sampled_from([None, 0, 1, 2]),
        message=st.sampled_from([UNSET, None, "", "a"]),
    )
    def shows(self, name: str, date: float | None, message: Any) -> None:
        """The vendor shows a presence."""
        self.apply(PresenceOutcome("u", presence(name, date=date, message=message)))

    @rule()
    def is_missing(self) -> None:
        """The vendor has no presence."""
        self.apply(PresenceOutcome("u"))

    @rule()
    def fails(self) -> None:
        """The read fails."""
        self.apply(PresenceOutcome("u", error=ServerError("lost")))

    def apply(self, outcome: PresenceOutcome) -> None:
        """One read, and what comes of it."""
        self.now += 1
        before = self.table.known("u", at(self.now)).presence
        change = self.table.apply(outcome, at(self.now), at(self.now + 0.5))
        known = self.table.known("u", at(self.now + 0.5))
        if outcome.error is not None:
            assert known.presence is before
            assert known.stale
        elif before is not None and older(outcome.presence, before):
            self.lagging += 1
            believed = self.lagging == BELIEVED_AFTER
            assert known.presence == (outcome.presence if believed else before)
            self.lagging %= BELIEVED_AFTER
        else:
            self.lagging = 0
            assert known.presence == outcome.presence
            assert known.checked_at == DAY + timedelta(seconds=self.now)
            assert not known.stale
        if change is None:
            return
        assert change.after is known.presence
        assert change.stale == known.stale
        if self.waiting is not None:
            self.waiting = self.waiting.then(change, self.now - self.folded_at)
        else:
            self.waiting = change
        self.folded_at = self.now

    @rule()
    def tell(self) -> None:
        """The reader takes what waits."""
        if self.waiting is not None:
            self.reader.take(self.waiting)
            self.waiting = None

    @invariant()
    def a_reader_who_is_told_everything_knows_everything(self) -> None:
        """Nothing that counts differs from the table when nothing waits."""
        if self.waiting is None and self.reader.told:
            known = self.table.known("u", at(self.now))
            assert differences(self.reader.presence, known.presence) == ()
            assert (self.reader.presence is None) == (known.presence is None)
            assert self.reader.stale == known.stale
            assert self.table.stale == known.stale
            self.reader.presence = known.presence  # what does not count may differ


def older(shown: UcUserPresence | None, known: UcUserPresence) -> bool:
    """Whether a presence was modified before another."""
    dates = (shown.modified_date if shown else None, known.modified_date)
    return bool(dates[0] and dates[1] and dates[0] < dates[1])


def test_whatever_is_read_the_reader_is_right() -> None:
    """Any reads, told at any time, folded or not, bring the reader to what is known."""
    run_state_machine_as_test(TableMachine, settings=settings(max_examples=60))


def test_models_are_not_held_twice() -> None:
    """A read that shows the same leaves the object that is known, for it is compared by `is`."""
    lab = Lab()
    lab.read(presence())
    held = lab.known.presence
    lab.read(presence())
    assert lab.known.presence is held


async def test_moments_of_the_loop_count_when_the_wall_clock_is_set_back() -> None:
    """An age is never too small: the clock that says more is believed."""
    table = PresenceTable()
    table.add(["u"])
    loop = asyncio.get_running_loop()
    first = Moment(loop.time(), 5000.0)
    table.apply(PresenceOutcome("u", presence()), first, first)
    await asyncio.sleep(60)
    later = Moment(loop.time(), 1000.0)
    told = table.apply(PresenceOutcome("u", presence("Away", date=1)), later, later)
    assert told is not None
    assert told.age == 60.0
