"""The table of a live store: of events and reads in any order the newest wins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from presence_async.errors import (
    InvalidRequestError,
    PresenceError,
    RateLimitedError,
)
from presence_async.live import table as module
from presence_async.live.table import LiveTable
from presence_async.models import (
    UNSET,
    PresenceDefinition,
    PresenceEventUserPresence,
    SystemPresenceName,
    UcUserPresence,
)
from presence_async.resources.reading import PresenceOutcome
from presence_async.resources.updating import Moment

if TYPE_CHECKING:
    from presence_async import LivePresence, PresenceChange

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> Moment:
    """A moment of that day."""
    return Moment(seconds, DAY.timestamp() + seconds)


def definition(name: str) -> PresenceDefinition:
    """A definition of its own for each spelling that is no other's."""
    return PresenceDefinition(id=name.casefold(), system_presence=SystemPresenceName(name))


def event(message: str = "", date: float | None = None, **fields: Any) -> Any:
    """The body of an event, by default of PURECLOUD."""
    usual = {
        "source": "PURECLOUD",
        "presence_definition": definition("BUSY"),
        "message": message,
        "modified_date": UNSET if date is None else DAY + timedelta(seconds=date),
    }
    return PresenceEventUserPresence(**(usual | fields))


def shown(message: str = "", date: float | None = None, **fields: Any) -> UcUserPresence:
    """A row of a bulk read."""
    usual = {
        "user_id": "u",
        "source": "PURECLOUD",
        "presence_definition": definition("Busy"),
        "message": message,
        "modified_date": UNSET if date is None else DAY + timedelta(seconds=date),
        "self_uri": "/uri",
    }
    return UcUserPresence(**(usual | fields))


class Lab:
    """A table with one user whose events arrive from the first second on."""

    def __init__(self, *, heard: bool = True) -> None:
        self.table = LiveTable()
        self.table.add(["u"], at(0))
        self.now = 1.0
        if heard:
            assert self.table.gap("u", 1.0, at(1)) is None
            self.table.due.clear()

    def event(self, message: str = "", date: float | None = None, **fields: Any) -> Any:
        """An event arrives, a second later."""
        self.now += 1
        return self.table.event("u", event(message, date, **fields), at(self.now))

    def read(
        self, presence: UcUserPresence | PresenceError | None, *, ago: float = 0.5
    ) -> PresenceChange | None:
        """A read is answered, a second later; it was asked for that long ago."""
        self.now += 1
        error = presence if isinstance(presence, PresenceError) else None
        outcome = PresenceOutcome("u", None if error else presence, error)  # type: ignore[arg-type]
        return self.table.read(outcome, at(self.now - ago), at(self.now))

    @property
    def row(self) -> LivePresence:
        """What is known of the user."""
        return self.table.get("u", at(self.now))

    @property
    def message(self) -> object:
        """The user's message."""
        return self.row.presence and self.row.presence.message


# -- the newest wins


def test_a_life() -> None:
    """First the read, then the events, each with a change."""
    lab = Lab()
    assert (lab.row.status, lab.table.unread, lab.table.stale) == ("unknown", 1, 0)
    first = lab.read(shown("a", 0))
    assert first is not None
    assert (first.kind, first.before, first.after) == ("first", None, shown("a", 0))
    assert (first.age, first.stale, lab.table.unread) == (None, False, 0)
    assert lab.row.origin == "read"
    assert lab.row.as_of == DAY + timedelta(seconds=1.5)
    change = lab.event("b", 2)
    assert (change.kind, change.before.message, change.after.message) == ("changed", "a", "b")
    assert (change.age, change.seen_at) == (1.5, DAY + timedelta(seconds=3))
    assert change.fields == ("message", "modified_date")
    assert lab.row.origin == "event"
    assert lab.row.as_of == DAY + timedelta(seconds=3)
    assert lab.event("b", 2) is None
    assert not lab.row.stale


def test_an_event_keeps_what_only_reads_tell() -> None:
    """In the form of a bulk read, with a definition that is shared."""
    lab = Lab()
    lab.read(shown("a", 0, id="i", name="n", source_id="s", extra={"x": 1}))
    lab.event("b", 1)
    presence = lab.row.presence
    assert presence == shown(
        "b", 1, id="i", name="n", source_id="s", presence_definition=definition("BUSY")
    )
    lab.event("c", 2)
    assert lab.row.presence is not None
    assert presence is not None
    assert lab.row.presence.presence_definition is presence.presence_definition


def test_an_event_before_the_first_read() -> None:
    """Is enough: it is the newest there is."""
    lab = Lab()
    change = lab.event("b", 1)
    assert (change.kind, change.stale) == ("first", False)
    assert lab.row.presence == shown("b", 1, self_uri=UNSET, presence_definition=definition("BUSY"))
    assert lab.read(shown("a", 0)) is None
    assert lab.message == "b"


@pytest.mark.parametrize("date", [0.0, 1.0])
def test_an_older_event(date: float) -> None:
    """Is no news; of two with the same date the later one counts."""
    lab = Lab()
    lab.event("a", 1)
    change = lab.event("b", date)
    assert lab.message == ("b" if date else "a")
    assert (change is None) == (not date)


def test_an_event_and_then_an_older_read() -> None:
    """The read was asked for before the event came, and shows what was before it."""
    lab = Lab()
    lab.read(shown("a", 0))
    lab.event("b", 5)
    assert lab.read(shown("a", 0), ago=3) is None
    assert lab.message == "b"
    assert lab.table.later == {}


def test_a_read_that_is_newer_than_an_event() -> None:
    """Counts, whenever it was asked for."""
    lab = Lab()
    lab.event("b", 5)
    change = lab.read(shown("c", 6), ago=3)
    assert change is not None
    assert (change.kind, lab.message, lab.row.origin) == ("changed", "c", "read")


def test_the_same_date_and_another_value() -> None:
    """A read decides if it was asked for afterwards; who is stale is read again if not."""
    lab = Lab()
    lab.read(shown("a", 0))
    lab.event("b", 5)
    assert lab.read(shown("c", 5), ago=1.5) is None
    assert lab.message == "b"
    lab.table.lose("u", at(lab.now))
    assert lab.read(shown("c", 5), ago=3) is None
    assert list(lab.table.later) == ["u"]
    assert lab.read(shown("c", 5)) is not None
    assert lab.message == "c"


def test_without_a_date_arrival_decides() -> None:
    """Of events, and of reads that were asked for afterwards."""
    lab = Lab()
    lab.event("b", 5)
    lab.event("c")
    assert lab.message == "c"
    assert lab.read(shown("b", 9), ago=3) is None
    assert lab.message == "c"
    lab.read(shown("d"))
    assert lab.message == "d"
    lab.read(shown("e", 1))
    assert lab.message == "e"


def test_missing_and_there_again() -> None:
    """Having no presence is something that is known."""
    lab = Lab()
    first = lab.read(None)
    assert first is not None
    assert (first.kind, first.after, lab.row.status) == ("first", None, "missing")
    assert lab.read(None) is None
    lab.event("b", 5)
    assert lab.read(None, ago=3) is None
    assert lab.row.status == "present"
    gone = lab.read(None)
    assert gone is not None
    assert (gone.kind, gone.after) == ("changed", None)


def test_reads_that_lag_behind() -> None:
    """Are asked for again where it matters; three in a row are believed."""
    lab = Lab()
    lab.read(shown("b", 5))
    for _ in range(2):
        assert lab.read(shown("a", 0)) is None
    lab.event("c", 6)  # which proves that they lagged
    for _ in range(2):
        assert lab.read(shown("a", 0)) is None
    assert lab.table.later == {}
    change = lab.read(shown("a", 0))
    assert change is not None
    assert lab.message == "a"


def test_a_read_that_confirms_an_event() -> None:
    """Is the later evidence, unless it was asked for before."""
    lab = Lab()
    lab.event("b", 5)
    then = lab.row.as_of
    assert lab.read(shown("b", 5, presence_definition=definition("BUSY")), ago=3) is None
    lab.read(shown("b", 5))
    assert lab.row.origin == "read"
    assert lab.row.as_of != then
    same = lab.row.presence
    assert lab.read(shown("b", 5)) is None
    assert lab.row.presence is same
    now = lab.row.as_of
    assert lab.read(shown("b", 5), ago=5) is None
    assert lab.row.as_of == now


def test_when_it_was_so_by_the_clock_that_is_right_now() -> None:
    """A wall clock that was set back is no reason to show a time in the future."""
    lab = Lab()
    lab.event("b", 5)
    later = Moment(12.0, DAY.timestamp() - 3590)
    assert lab.table.get("u", later).as_of == DAY - timedelta(seconds=3600)


# -- whose presence it is


def test_another_source() -> None:
    """Has a presence of its own, which the bulk read does not show."""
    lab = Lab()
    lab.read(shown("a", 0))
    assert lab.event("b", 5, source="MicrosoftTeams") is None
    assert lab.message == "a"
    lab.event("c", 5, source="pureCloud")
    assert lab.message == "c"
    lab.event("d", 6, source=UNSET)
    assert lab.message == "d"
    assert lab.row.source == "PURECLOUD"


def test_somebody_else() -> None:
    """Is passed over, whatever is said of them."""
    table = LiveTable()
    now = at(0)
    assert table.event("x", event(), now) is None
    assert table.read(PresenceOutcome("x"), now, now) is None
    assert table.gap("x", 0.0, now) is None
    assert table.lose("x", now) is None
    assert table.poll("x", now) is None
    assert table.remove("x") is None
    assert table.first("x", now) is None
    assert table.due == {}
    with pytest.raises(KeyError):
        table.get("x", now)


def test_ids_in_any_case() -> None:
    """Topics are compared without case, and so are ids; the first spelling is shown."""
    table = LiveTable()
    table.add(["Ab", "aB", "c", "C"], at(0))
    assert list(table) == ["Ab", "c"]
    assert "AB" in table
    assert 1 not in table
    with pytest.raises(KeyError):
        table.get(1, at(0))  # type: ignore[arg-type]  # as of a dict
    table.event("ab", event("m", 1), at(1))
    assert table.get("aB", at(1)).user_id == "Ab"
    assert table.get("Ab", at(1)).presence is not None
    assert table.remove("ab") == "Ab"
    assert "ab" not in table
    assert len(table) == 1


def test_an_event_without_a_definition() -> None:
    """Says that something happened, but not what: the user is read."""
    lab = Lab()
    lab.read(shown("a", 0))
    change = lab.event("b", 5, presence_definition=UNSET)
    assert (change.kind, lab.message, list(lab.table.due)) == ("stale", "a", ["u"])
    lab.read(shown("b", 5), ago=1.5)
    assert lab.row.stale
    change = lab.read(shown("b", 5))
    assert change is not None
    assert change.kind == "fresh"


def test_definitions_are_shared_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vendor that has ever other ones costs no memory; a new meaning is taken over."""
    monkeypatch.setattr(module, "_SHARED", 2)
    lab = Lab()
    for number, name in enumerate(["BUSY", "AWAY", "MEAL", "BUSY"]):
        lab.event("m", number, presence_definition=definition(name))
        assert lab.row.system_presence == name
    other = attrs.evolve(definition("BUSY"), system_presence=SystemPresenceName("AWAY"))
    lab.event("m", 9, presence_definition=other)
    assert lab.row.system_presence == "AWAY"
    spelled = attrs.evolve(other, system_presence=SystemPresenceName("Away"))
    lab.event("m", 10, presence_definition=spelled)
    assert lab.row.system_presence == "AWAY"


# -- whether events arrive


def test_from_losing_the_events_to_the_read_after_them() -> None:
    """Stale all the time; a read that was asked for before is not enough."""
    lab = Lab()
    lab.read(shown("a", 0))
    change = lab.table.lose("u", at(10))
    assert change is not None
    assert (change.kind, change.error, change.stale) == ("stale", None, True)
    assert (lab.row.stale, lab.table.stale, lab.table.unheard) == (True, 1, ["u"])
    assert lab.table.lose("u", at(11)) is None
    lab.now = 12
    change = lab.read(shown("b", 11))
    assert change is not None
    assert (change.kind, change.stale, lab.table.stale) == ("changed", True, 1)
    assert lab.table.gap("u", 20.0, at(20)) is None
    assert list(lab.table.due) == ["u"]
    lab.now = 20
    assert lab.read(shown("b", 11), ago=1.5) is None
    assert lab.row.stale
    change = lab.read(shown("b", 11))
    assert change is not None
    assert (change.kind, change.fields, lab.table.stale) == ("fresh", (), 0)
    assert lab.table.unheard == []


def test_a_newer_event_after_the_gap() -> None:
    """Makes it fresh at once; one that was known already does not."""
    lab = Lab()
    lab.event("a", 5)
    lab.table.lose("u", at(10))
    lab.now = 10
    assert lab.event("b", 6).kind == "changed"
    assert lab.row.stale
    lab.table.gap("u", 20.0, at(20))
    lab.now = 20
    assert lab.event("b", 6) is None
    assert lab.row.stale
    assert lab.event("c", 7).kind == "fresh"


def test_a_gap_of_somebody_fresh() -> None:
    """An event could not be understood, say: stale until there is a read."""
    lab = Lab()
    lab.event("a", 5)
    change = lab.table.gap("u", 10.0, at(10))
    assert change is not None
    assert change.kind == "stale"


def test_where_events_are_not_allowed() -> None:
    """Reads have to do, from then on."""
    lab = Lab(heard=False)
    assert lab.table.poll("u", at(1)) is None
    assert list(lab.table.due) == ["u"]
    change = lab.read(shown("a", 0))
    assert change is not None
    assert not change.stale
    assert lab.table.poll("u", at(5)) is None
    assert lab.table.unheard == ["u"]
    heard = Lab()
    heard.event("a", 1)
    change = heard.table.poll("u", at(5))
    assert change is not None
    assert change.kind == "stale"


# -- reads that fail


def test_a_read_that_fails() -> None:
    """Is repeated, and the user stale with the error, unless events tell."""
    lab = Lab(heard=False)
    lab.table.poll("u", at(1))
    first = lab.read(RateLimitedError("slow"))
    assert first is not None
    assert (first.kind, first.after, first.stale) == ("first", None, True)
    assert (lab.row.status, lab.row.stale, lab.table.unread, lab.table.stale) == (
        "unknown",
        True,
        0,
        1,
    )
    assert lab.row.error is first.error
    assert list(lab.table.later) == ["u"]
    assert lab.read(RateLimitedError("slow")) is None
    change = lab.read(shown("a", 0))
    assert change is not None
    assert (change.kind, lab.row.error) == ("fresh", None)
    heard = Lab()
    heard.event("a", 1)
    assert heard.read(RateLimitedError("slow")) is None
    assert (heard.row.stale, heard.table.later) == (False, {})


def test_a_refused_user() -> None:
    """Is not read again at once, and later alone; an event is worth more."""
    lab = Lab()
    lab.read(InvalidRequestError("no such id"))
    assert (lab.table.later, lab.table.refused) == ({}, 1)
    lab.table.add(["a", "b", "c"], at(0))
    queue = lab.table.due
    queue.update(dict.fromkeys(["a", "u", "b", "gone", "c"]))
    assert [lab.table.take(queue, 2) for _ in range(4)] == [["a", "b"], ["c"], ["u"], []]
    assert lab.event("m", 1).kind == "fresh"
    assert (lab.table.refused, lab.row.error) == (0, None)
    lab.table.lose("u", at(9))
    lab.read(InvalidRequestError("no such id"))
    lab.table.remove("u")
    assert (lab.table.refused, lab.table.stale) == (0, 0)


def test_where_everybody_is_refused() -> None:
    """It cannot be because of them, so they are read together."""
    table = LiveTable()
    ids = [str(number) for number in range(13)]
    table.add(ids, at(0))
    for user_id in ids:
        table.read(PresenceOutcome(user_id, error=InvalidRequestError("no")), at(1), at(1))
    table.due.update(dict.fromkeys(ids))
    assert table.take(table.due, 50) == ids


# -- looking


def test_looking_at_everybody() -> None:
    """By presence, by definition, by staleness, and by number."""
    table = LiveTable()
    table.add(["a", "b", "c", "d"], at(0))
    for user_id in "abc":
        table.gap(user_id, 0.0, at(0))
    table.event("a", event("", 1), at(1))
    table.event("b", event("", 1, presence_definition=definition("Busy")), at(1))
    table.event("c", event("", 1, presence_definition=PresenceDefinition(id="?")), at(1))
    table.lose("b", at(2))
    busy = SystemPresenceName("busy")
    assert table.where(busy, None, stale=None) == ["a", "b"]
    assert table.where(None, "?", stale=None) == ["c"]
    assert table.where(busy, "busy", stale=True) == ["b"]
    assert table.where(None, None, stale=False) == ["a", "c", "d"]
    assert table.counts == {busy: 2, None: 2}
    change = table.first("b", at(3))
    assert change is not None
    assert (change.kind, change.stale, change.before) == ("first", True, None)
    assert table.first("d", at(3)) is None


def test_nobody_listens() -> None:
    """Then events are taken in without a word; what else happens is told."""
    lab = Lab()
    lab.table.quiet = True
    assert lab.event("a", 1).kind == "first"
    assert lab.event("b", 2) is None
    assert lab.message == "b"


def test_the_end() -> None:
    """Everybody who was known is stale from then on, whatever still comes."""
    lab = Lab()
    lab.table.add(["unread"], at(0))
    lab.table.gap("u", 0.0, at(0))
    lab.event("a", 1)
    assert not lab.table.get("u", at(1)).stale
    lab.table.end()
    lab.event("b", 2)
    assert (lab.message, lab.table.get("u", at(2)).stale) == ("b", True)
    assert (lab.table.stale, lab.table.unread) == (1, 1)
    assert not lab.table.get("unread", at(2)).stale


def test_who_is_removed_is_forgotten() -> None:
    """With what was due, and without disturbing the figures."""
    lab = Lab()
    lab.table.gap("u", 1.0, at(1))
    assert lab.table.unread == 1
    assert lab.table.remove("u") == "u"
    assert (lab.table.unread, lab.table.stale, len(lab.table), lab.table.due) == (0, 0, 0, {})
    lab.table.add(["u"], at(3))
    assert lab.row.status == "unknown"


class Histories(RuleBasedStateMachine):
    """Changes, events on their way, reads under way, and gaps, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.table = LiveTable()
        self.table.add(["u"], at(0))
        self.now = 0.0
        self.date = 0
        self.versions = [("0", 0)]  # what the vendor had, one after the other
        self.events: list[tuple[str, int]] = []
        self.asked: list[tuple[float, int]] = []
        self.heard = False
        self.newest = -1

    def tick(self) -> Moment:
        """A second later."""
        self.now += 1
        return at(self.now)

    @rule(same=st.booleans())
    def change(self, same: bool) -> None:  # drawn
        """Somebody changes it, perhaps within the same millisecond."""
        self.date += not same
        self.versions.append((str(len(self.versions)), self.date))
        self.events.append(self.versions[-1])

    @precondition(lambda self: self.heard and self.events)
    @rule()
    def arrive(self) -> None:
        """An event arrives, in the order in which they were sent."""
        message, date = self.events.pop(0)
        self.table.event("u", event(message, date), self.tick())

    @rule()
    def ask(self) -> None:
        """Somebody is due, or sent for by a sweep."""
        self.table.due.pop("u", None)
        self.table.later.pop("u", None)
        self.asked.append((self.tick().loop, len(self.versions) - 1))

    @precondition(lambda self: self.asked)
    @rule(which=st.integers(0, 9), what=st.integers(0, 9))
    def answer(self, which: int, what: int) -> None:
        """Any of the reads is answered, with anything that was true meanwhile."""
        asked, first = self.asked.pop(which % len(self.asked))
        message, date = self.versions[first + what % (len(self.versions) - first)]
        read = PresenceOutcome("u", shown(message, date))
        self.table.read(read, at(asked), self.tick())

    @precondition(lambda self: self.asked)
    @rule()
    def fail(self) -> None:
        """A read fails."""
        asked, _ = self.asked.pop(0)
        read = PresenceOutcome("u", error=RateLimitedError("slow"))
        self.table.read(read, at(asked), self.tick())

    @precondition(lambda self: self.heard)
    @rule()
    def lose(self) -> None:
        """The socket is gone."""
        self.heard = False
        self.table.lose("u", self.tick())

    @precondition(lambda self: not self.heard)
    @rule(lost=st.integers(0, 5))
    def cover(self, lost: int) -> None:
        """Another one is there; of what was sent meanwhile the last may still arrive."""
        self.heard = True
        del self.events[: max(lost, len(self.events) - 1)]
        self.table.gap("u", self.tick().loop, at(self.now))

    @invariant()
    def it_never_goes_backwards(self) -> None:
        """By its dates; what is fresh is the truth, as soon as no event is on its way."""
        row = self.table.get("u", at(self.now))
        if row.presence is not None:
            assert isinstance(row.presence.modified_date, datetime)
            date = int((row.presence.modified_date - DAY).total_seconds())
            assert date >= self.newest
            self.newest = date
            if not row.stale and not self.events:
                assert row.presence.message == self.versions[-1][0]
        assert self.table.stale == row.stale
        assert self.heard or row.stale or row.status == "unknown"

    @invariant()
    def who_is_heard_and_stale_will_be_read(self) -> None:
        """Due, to be repeated, or asked for already."""
        row = self.table.get("u", at(self.now))
        waits = self.table.due or self.table.later or self.asked
        assert waits or not self.heard or not (row.stale or row.status == "unknown")


def test_any_history() -> None:
    """Whatever happens in whatever order, what is fresh is true, and what is not will be read."""
    run_state_machine_as_test(Histories, settings=settings(max_examples=60))
