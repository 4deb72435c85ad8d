"""Outcomes as CSV and JSON Lines."""

from __future__ import annotations

import csv
import json

import pytest
from unit.jobs.vendor import BUSY, MEAL, planned

from presence_async.errors import InvalidRequestError
from presence_async.jobs.entries import JobOutcome
from presence_async.jobs.export import COLUMNS, lines_of
from presence_async.models import PresenceDefinition, UcUserPresence, UserPresence


def outcome(message: str | None = "back") -> JobOutcome:
    """One with everything."""
    entry = planned("u", 7, repeated=True, sends=2, sent_at=0.0)
    entry.before = UcUserPresence(presence_definition=PresenceDefinition(id=MEAL), message=message)
    after = UserPresence(presence_definition=PresenceDefinition(id=BUSY))
    error = InvalidRequestError("bad, really", status=400, code="bad", correlation_id="c-1")
    entry.end("rejected", 1.5, error, after)
    return JobOutcome.of(entry)


def cells(message: str | None) -> dict[str, str]:
    """The CSV line, read again."""
    header, line = lines_of("csv")
    names, values = csv.reader([header, line(outcome(message))])
    assert tuple(names) == COLUMNS
    return dict(zip(names, values, strict=True))


def test_a_line_of_csv() -> None:
    """All there is to know, flat."""
    assert cells("back") == {
        "number": "7",
        "user_id": "u",
        "source": "purecloud",
        "status": "rejected",
        "repeated": "true",
        "sends": "2",
        "error": "InvalidRequestError: bad, really",
        "http_status": "400",
        "code": "bad",
        "correlation_id": "c-1",
        "definition_before": MEAL,
        "message_before": "back",
        "definition_after": BUSY,
        "message_after": "",
        "sent": "1970-01-01T00:00:00+00:00",
        "finished": "1970-01-01T00:00:01.500000+00:00",
    }


@pytest.mark.parametrize("message", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_no_cell_is_a_formula(message: str) -> None:
    """An apostrophe keeps spreadsheets from running it."""
    assert cells(message)["message_before"] == f"'{message}"


def test_an_outcome_without_presences() -> None:
    """Empty cells, null in JSON."""
    entry = planned("u")
    entry.end("unchanged", 0.0)
    _, line = lines_of("csv")
    assert line(JobOutcome.of(entry)).startswith("0,u,purecloud,unchanged,false,0,,,,,,,,,,1970")
    _, line = lines_of("jsonl")
    found = json.loads(line(JobOutcome.of(entry)))
    assert (found["before"], found["after"], found["error"], found["sent"]) == (None,) * 4


def test_a_line_of_json() -> None:
    """The presences are whole, and nothing is changed."""
    header, line = lines_of("jsonl")
    assert header == ""
    text = line(outcome("=1+1"))
    assert text.endswith("}\n")
    found = json.loads(text)
    assert found["before"] == {"presenceDefinition": {"id": MEAL}, "message": "=1+1"}
    assert found["item"]["presenceDefinition"] == {"id": BUSY}
    assert found["http_status"] == 400


def test_there_are_two_forms() -> None:
    """Any other is refused."""
    with pytest.raises(InvalidRequestError) as refused:
        lines_of("xlsx")
    assert refused.value.field == "form"
