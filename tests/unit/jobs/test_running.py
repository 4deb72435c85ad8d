"""The steps of a job: what is read, sent and journaled, and what a crash anywhere leaves."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from clock import dry
from hypothesis import example, given, settings
from hypothesis import strategies as st
from unit.jobs.vendor import (
    BUSY,
    MEAL,
    NOON,
    OTHER,
    SETTLING,
    MemoryEntries,
    Vendor,
    plan,
    planned,
    run,
    run_of,
)

from presence_async.errors import (
    AuthenticationError,
    ClosedError,
    InvalidRequestError,
    PermissionDeniedError,
    PresenceConnectionError,
    PresenceError,
    RateLimitedError,
    ServerError,
)
from presence_async.fanout import FanOut
from presence_async.jobs.entries import Counts, Entry
from presence_async.jobs.running import Chunks, dry_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from presence_async.wire import Response

USERS = ["u0", "u1", "u2", "u3", "u4"]


def world(*users: str) -> tuple[Vendor, MemoryEntries]:
    """A vendor, and a journal with a plan for its users."""
    names = users or tuple(USERS)
    return Vendor(*names), MemoryEntries(*plan(names))


def lost() -> PresenceError:
    """A request whose outcome is unknown."""
    return PresenceConnectionError("lost", outcome_unknown=True)


async def test_each_chunk_is_read_journaled_sent_and_journaled() -> None:
    """One read, one write and two transactions a chunk; what was shown before is kept."""
    vendor, entries = world()
    told: list[Entry] = []
    summary = await run(vendor, entries, told=told)
    assert (summary.applied, summary.finished, summary.repeated) == (5, True, 0)
    assert sorted(vendor.writes) == sorted(vendor.reads) == [["u0", "u1"], ["u2", "u3"], ["u4"]]
    assert entries.saves == 6
    assert sorted(entry.user_id for entry in told) == USERS
    for entry in entries.all():
        assert entry.before is not None
        assert entry.after is not None
        assert entry.before.presence_definition == type(entry.before.presence_definition)(id=MEAL)
        assert entry.sends == 1
        assert entry.finished_at >= entry.sent_at


async def test_who_shows_it_already_is_not_sent() -> None:
    """Unchanged, after one read; the others of the chunk are sent."""
    vendor, entries = world()
    for user in ("u0", "u2", "u3"):
        vendor.shown[user] = BUSY, -5.0
    summary = await run(vendor, entries)
    assert (summary.applied, summary.unchanged) == (2, 3)
    assert vendor.writes == [["u1"], ["u4"]]


async def test_a_bad_item_is_found_and_the_others_are_applied() -> None:
    """The chunk is halved; a refusal is no last word about the others of it."""
    vendor, entries = world()
    vendor.bad = {"u1"}
    summary = await run(vendor, entries)
    assert (summary.applied, summary.rejected, summary.repeated) == (4, 1, 0)
    assert isinstance(entries.all()[1].error, InvalidRequestError)


@pytest.mark.parametrize("effect", ["before", "after"])
async def test_a_lost_request_is_settled(effect: str) -> None:
    """By what was read before: no `Date` header is needed."""
    vendor, entries = world()
    vendor.write_fates = [(effect, lost())]
    summary = await run(vendor, entries)
    assert summary.applied == 5
    assert summary.repeated == (2 if effect == "before" else 0)
    assert set(vendor.applied.values()) == {1}


async def test_a_lost_request_without_settling_is_unknown() -> None:
    """Nothing is read back, nothing sent again."""
    vendor, entries = world("u0")
    vendor.write_fates = [("after", lost())]
    summary = await run(vendor, entries, settle=False)
    assert summary.unknown == 1
    assert isinstance(entries.all()[0].error, PresenceConnectionError)
    assert len(vendor.writes) == len(vendor.reads) == 1


@pytest.mark.parametrize(
    "error",
    [AuthenticationError("no"), RateLimitedError("spent", status=429), ClosedError("closed")],
)
@pytest.mark.parametrize("when", ["read", "write"])
async def test_what_is_about_the_whole_job_stops_it(error: PresenceError, when: str) -> None:
    """It is raised, everything not sent is still planned, and the next run goes on."""
    vendor, entries = world()
    if when == "read":
        vendor.read_errors = [error]
    else:
        vendor.write_fates = [("before", error)]
    with pytest.raises(type(error)):
        await run(vendor, entries, concurrency=1)
    assert set(entries.states().values()) == {"planned"}
    summary = await run(vendor, entries)
    assert (summary.applied, summary.repeated) == (5, 0)


async def test_a_request_that_stops_the_job_in_flight_is_settled_by_the_next_run() -> None:
    """Closed with the request on its way: it stays in flight, and is not sent again."""
    vendor, entries = world()
    vendor.write_fates = [("after", ClosedError("closed", outcome_unknown=True))]
    with pytest.raises(ClosedError):
        await run(vendor, entries, concurrency=1)
    assert entries.states() == dict.fromkeys(USERS, "planned") | {
        "u0": "in flight",
        "u1": "in flight",
    }
    summary = await run(vendor, entries)
    assert (summary.applied, summary.repeated) == (5, 0)
    assert set(vendor.applied.values()) == {1}


async def test_nobody_could_look_so_the_next_run_does() -> None:
    """A read-back that stops the job leaves its items in flight instead of unknown."""
    vendor, entries = world("u0")
    vendor.write_fates = [("after", lost())]
    vendor.read_errors = [None, *[RateLimitedError("spent", status=429)] * 3]
    with pytest.raises(RateLimitedError):
        await run(vendor, entries)
    assert entries.states() == {"u0": "in flight"}
    assert (await run(vendor, entries)).applied == 1


async def test_a_presence_that_nobody_answers_for_rejects_its_items() -> None:
    """Nothing is sent that could not be undone; a second try may do."""
    vendor, entries = world("u0", "u1", "u2")
    vendor.read_errors = [ServerError("down", status=503)]
    summary = await run(vendor, entries, concurrency=1)
    assert (summary.rejected, summary.applied) == (2, 1)
    assert vendor.writes == [["u2"]]


async def test_a_presence_that_is_not_given_out_keeps_nobody_from_being_sent() -> None:
    """It cannot be undone, and cannot be told from a change when it is lost."""
    vendor, entries = world("u0")
    vendor.read_errors = [PermissionDeniedError("no", status=403)]
    assert (await run(vendor, entries)).applied == 1
    assert entries.all()[0].before is None


async def test_an_item_left_behind_is_settled_and_sent_again() -> None:
    """After the settling time, marked; who has moved on meanwhile is left alone."""
    vendor, entries = world()
    for number in (0, 1):
        entries.kept[number] |= {"state": "in flight", "since": NOON, "sends": 1}
    await asyncio.sleep(1)
    vendor.change("u1")
    loop = asyncio.get_running_loop()
    began = loop.time()
    summary = await run(vendor, entries)
    assert loop.time() - began >= SETTLING
    assert (summary.applied, summary.superseded, summary.repeated) == (4, 1, 1)
    assert vendor.shown["u1"][0] == OTHER
    assert entries.all()[0].sends == 2
    assert isinstance(entries.all()[1].error, PresenceConnectionError)


async def test_what_is_left_behind_settles_together() -> None:
    """It was lost before the run began, so many chunks take no longer than one."""
    users = [f"u{number}" for number in range(40)]
    vendor, entries = world(*users)
    for number in range(40):
        entries.kept[number] |= {"state": "in flight", "since": NOON, "sends": 1}
    loop = asyncio.get_running_loop()
    began = loop.time()
    summary = await run(vendor, entries, concurrency=1)
    assert (summary.applied, summary.repeated) == (40, 40)
    assert SETTLING <= loop.time() - began < 2 * SETTLING


async def test_failed_items_are_opened_again() -> None:
    """The rejected to be sent, the unknown to be looked at first."""
    vendor, entries = world()
    vendor.shown["u4"] = BUSY, -5.0
    for number, state in ((1, "rejected"), (2, "rejected"), (3, "unknown"), (4, "unchanged")):
        entries.kept[number] |= {"state": state, "since": NOON}
    one, _, _ = run_of(vendor, entries)
    await one.reopen()
    assert entries.states() == {
        "u0": "planned",
        "u1": "planned",
        "u2": "planned",
        "u3": "in flight",
        "u4": "unchanged",
    }
    summary = await run(vendor, entries)
    assert (summary.applied, summary.unchanged, summary.repeated) == (4, 1, 1)


async def test_what_was_applied_before_the_job_is_stopped_is_told() -> None:
    """Of a chunk in halves the first is applied, and the second is refused for now."""
    vendor, entries = world("u0", "u1")
    bad = InvalidRequestError("bad", status=400), RateLimitedError("spent", status=429)
    vendor.write_fates = [("before", bad[0]), None, ("before", bad[1])]
    told: list[Entry] = []
    with pytest.raises(RateLimitedError):
        await run(vendor, entries, told=told)
    assert [(entry.user_id, entry.state) for entry in told] == [("u0", "applied")]


async def test_cancelled_anywhere_the_counts_are_those_of_the_journal() -> None:
    """And whatever is journaled is told, once."""
    for milliseconds in range(0, 1400, 7):
        vendor, entries = world()
        vendor.write_fates = [None, ("after", lost())]
        told: list[Entry] = []
        one, chunks, counts = run_of(vendor, entries, told=told, settling_time=0.3)
        async with FanOut[object](one.step, chunks, concurrency=2) as work:
            with suppress(TimeoutError):
                async with asyncio.timeout(milliseconds / 1000):
                    await anext(work, None)
        assert counts.summary == entries.counts().summary
        done = [user for user, state in entries.states().items() if state == "applied"]
        assert sorted(entry.user_id for entry in told) == done


async def test_without_settling_an_item_left_behind_is_sent_again() -> None:
    """At once, marked, whoever did what meanwhile."""
    vendor, entries = world("u0")
    entries.kept[0] |= {"state": "in flight", "sends": 1}
    vendor.change("u0")
    summary = await run(vendor, entries, settle=False)
    assert (summary.applied, summary.repeated) == (1, 1)
    assert asyncio.get_running_loop().time() - 1000 < 1


async def test_a_repeated_item_that_is_refused_for_now_is_not_planned_again() -> None:
    """Its first request may have taken effect, so what was shown before it is kept."""
    vendor, entries = world("u0")
    entries.kept[0] |= {"state": "in flight", "sends": 1}
    vendor.write_fates = [("before", RateLimitedError("spent", status=429))]
    with pytest.raises(RateLimitedError):
        await run(vendor, entries, settle=False)
    assert entries.states() == {"u0": "in flight"}


async def test_an_item_that_the_answer_leaves_out_is_settled() -> None:
    """It is in flight until it has been looked at."""
    vendor, entries = world("u0", "u1")
    answer = vendor._answer

    def forgetful(users: list[str]) -> Response:
        return answer(users[:1] if vendor.writes and len(vendor.reads) == 1 else users)

    vendor._answer = forgetful  # type: ignore[method-assign]
    summary = await run(vendor, entries)
    assert summary.applied == 2


async def test_paused_it_begins_nothing_new() -> None:
    """The chunks wait; what is stopped meanwhile is told when it goes on."""
    _, entries = world()
    going = asyncio.Event()
    chunks = Chunks(entries, entries.counts(), going)
    taking = asyncio.ensure_future(anext(chunks))
    await asyncio.sleep(5)
    assert not taking.done()
    going.set()
    assert [entry.number for entry in await taking] == [0, 1]
    chunks.stop(ClosedError("first"))
    chunks.stop(ClosedError("second"))
    assert str(chunks.reason) == "first"
    with pytest.raises(StopAsyncIteration):
        await anext(chunks)


def test_the_chunks_know_how_many_requests_are_left() -> None:
    """About: a read and a write for each fifty items that are planned."""
    counts = Counts([("planned", False, 101), ("applied", False, 7)])
    assert Chunks(MemoryEntries(), counts, asyncio.Event()).__length_hint__() == 6


async def test_a_dry_run_reads_and_says_what_would_happen() -> None:
    """One outcome an item; nothing is sent or journaled."""
    vendor, entries = world("u0", "u1")
    vendor.shown["u1"] = BUSY, -5.0
    found = await dry_run(vendor.send, entries.all())
    assert [(one.user_id, one.status) for one in found] == [("u0", "change"), ("u1", "unchanged")]
    assert all(one.before is not None and one.error is None for one in found)
    assert (vendor.writes, entries.saves) == ([], 0)


# -- crashes


class CrashError(Exception):
    """The process dies here."""


class Fragile(MemoryEntries):
    """Dies before or after one of its transactions."""

    fuse = -1
    written = False

    async def save(self, entries: Sequence[Entry]) -> None:
        """As it is, unless it is its turn to die."""
        self.fuse -= 1
        if self.fuse == 0 and not self.written:
            raise CrashError
        await super().save(entries)
        if self.fuse == 0:
            raise CrashError


@settings(max_examples=150, deadline=None)
@given(
    deaths=st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.booleans()), max_size=6),
    # What is lost three times in a row, its sender's death included, is rejected.
    fates=st.lists(st.sampled_from(["fine", "before", "after"]), max_size=8).filter(
        lambda fates: fates.count("before") <= 1
    ),
    moving=st.lists(st.sampled_from([None, *USERS]), max_size=6),
    concurrency=st.integers(1, 3),
    settle=st.booleans(),
)
@example(deaths=[(1, True, True)], fates=[], moving=[], concurrency=2, settle=True)
@example(
    deaths=[(1, True, False), (2, False, True)],
    fates=["after"],
    moving=["u0"],
    concurrency=2,
    settle=True,
)
@example(deaths=[(1, True, False)] * 3, fates=[], moving=[], concurrency=3, settle=False)
def test_a_crash_anywhere_loses_nothing(
    deaths: list[tuple[int, bool, bool]],
    fates: list[str],
    moving: list[str | None],
    concurrency: int,
    settle: bool,
) -> None:
    """Whatever dies whenever: an outcome each, repeats marked, nobody overwritten."""

    async def main() -> None:
        vendor = Vendor(*USERS)
        if settle:  # else a lost request is unknown, by choice
            vendor.write_fates = [None if fate == "fine" else (fate, lost()) for fate in fates]
        entries = Fragile(*plan(USERS))
        moved: set[str] = set()
        for index, (fuse, written, late) in enumerate(deaths):
            entries.fuse, entries.written = fuse, written
            vendor.late = lambda late=late: late  # type: ignore[misc]
            before = len(vendor.writes), {tuple(users) for users in vendor.writes}
            with suppress(CrashError):
                await run(vendor, entries, concurrency=concurrency, settle=settle)
            if not settle:
                again = [w for w in vendor.writes[before[0] :] if tuple(w) in before[1]]
                assert len(again) <= concurrency
            user = moving[index] if index < len(moving) else None
            if user is not None and settle:
                await asyncio.sleep(2)  # what the dead one sent has taken effect
                if entries.states()[user] != "planned":
                    moved.add(user)
                vendor.change(user)
        entries.fuse = -1
        summary = await run(vendor, entries, concurrency=concurrency, settle=settle)
        assert summary.finished
        assert summary.failed == 0
        sent = [user for users in vendor.writes for user in users]
        for entry in entries.all():
            assert sent.count(entry.user_id) <= 1 or entry.repeated
            if entry.user_id in moved:
                assert vendor.shown[entry.user_id][0] == OTHER
            else:
                assert vendor.shown[entry.user_id][0] == BUSY
            if settle:
                assert vendor.applied[entry.user_id] <= 1
        await asyncio.sleep(2)

    dry(main())


def test_an_entry_is_what_its_body_says() -> None:
    """The twin and the journal keep the body, not what was made of it."""
    entry = planned("u9", body=json.dumps({"id": "u9", "sourceId": "s", "message": "x"}).encode())
    assert entry.wanted.message == "x"
    assert (entry.user_id, entry.source, entry.registered) == ("u9", "s", True)
