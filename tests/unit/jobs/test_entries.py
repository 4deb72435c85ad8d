"""Entries, summaries, and errors that are kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.jobs.vendor import planned

from presence_async import errors
from presence_async.errors import (
    InvalidRequestError,
    PermissionDeniedError,
    PresenceError,
    RateLimitedError,
)
from presence_async.jobs.entries import Counts, JobOutcome, error_from, error_to
from presence_async.models import UcUserPresence, UserPresence

DEFINITION = {"presenceDefinition": {"id": "d"}}


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        (DEFINITION, True),
        ({"message": "x"}, True),
        ({"message": ""} | DEFINITION, True),
        ({"message": None}, False),
        ({"message": None} | DEFINITION, False),
        ({"presenceDefinition": {}, "message": "x"}, False),
        ({"primary": True} | DEFINITION, False),
        ({"primary": False} | DEFINITION, False),
        ({"name": "x"} | DEFINITION, False),
        ({}, False),
    ],
)
def test_what_a_presence_shows_of_an_item(fields: dict[str, Any], shown: bool) -> None:
    """Definition and message; whoever asks for more is sent in any case."""
    body = json.dumps({"id": "u", "source": "PURECLOUD"} | fields).encode()
    assert planned("u", body=body).is_shown is shown


def test_counts_follow_the_journal() -> None:
    """Every entry is in one state; marks are counted apart."""
    entry = planned("u")
    counts = Counts([("planned", False, 3), ("in flight", True, 1), ("unknown", True, 2)])
    assert counts.summary.total == 6
    assert (counts.summary.in_flight, counts.summary.repeated) == (1, 3)
    entry.end("rejected", 5.0)
    counts.moved([entry])
    summary = counts.summary
    assert (summary.planned, summary.rejected, summary.done, summary.failed) == (2, 1, 3, 3)
    assert not summary.finished


def test_an_entry_is_opened_again() -> None:
    """Without its outcome; what was shown before, and how often it was sent, stays."""
    for status, state in (("rejected", "planned"), ("unknown", "in flight")):
        entry = planned("u", sends=2, before=UcUserPresence(message="x"))
        entry.end(status, 5.0, PresenceError("no"), UserPresence())  # type: ignore[arg-type]
        entry.reopen()
        assert (entry.state, entry.error, entry.after, entry.finished_at) == (state, *[None] * 3)
        assert (entry.sends, entry.before) == (2, UcUserPresence(message="x"))


def test_an_outcome_has_moments_in_utc() -> None:
    """What was never sent has none for that."""
    entry = planned("u")
    entry.end("unchanged", 0.0)
    outcome = JobOutcome.of(entry)
    assert outcome.sent is None
    assert outcome.finished is not None
    assert outcome.finished.isoformat() == "1970-01-01T00:00:00+00:00"
    assert outcome.item.id == "u"


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequestError("bad", status=400, code="bad.request", correlation_id="c-1"),
        PermissionDeniedError("no", status=403),
        RateLimitedError("spent", retry_after=3.5, attempts=2, outcome_unknown=True),
    ],
)
def test_an_error_is_kept(error: PresenceError) -> None:
    """Class, message and context come back."""
    again = error_from(json.loads(json.dumps(error_to(error))))
    assert type(again) is type(error)
    assert repr(again) == repr(error)


def test_an_error_of_a_later_version() -> None:
    """An unknown class, or what is no error, becomes the base of all."""
    for name in ("LaterError", "attrs", "RowFailure"):
        kept = error_to(PresenceError("x")) | {"class": name}
        assert type(error_from(kept)) is PresenceError
    assert errors.PresenceError is PresenceError
