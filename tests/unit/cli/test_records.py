"""Results as JSON and as lines for people."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from presence_async import (
    BulkUpdateJob,
    MutableUserPresence,
    PresenceConnectionError,
    PresenceDefinition,
    ServerError,
    SystemPresenceName,
    UcUserPresence,
    UpdateRow,
    UserPresence,
)
from presence_async.cli.records import (
    change_json,
    change_line,
    dry_run_json,
    dry_run_line,
    outcome_json,
    outcome_line,
)
from presence_async.jobs.entries import DryRunOutcome, JobOutcome
from presence_async.resources.changes import PresenceChange

if TYPE_CHECKING:
    from pathlib import Path

    from presence_async import PresenceClient
    from presence_async.simulator import Simulator

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MEAL = PresenceDefinition(id="d1", system_presence=SystemPresenceName("Meal"))
BEFORE = UcUserPresence(user_id="u", presence_definition=PresenceDefinition(id="d2"), message="")
AFTER = UcUserPresence(user_id="u", presence_definition=MEAL, message="back at 2")
DOWN = ServerError("down", status=503, code="busy", correlation_id="c-1", method="GET")
ROW = UpdateRow(line=7, email="ada@example.com", definition_label="Lunch")


def change(**changed: Any) -> PresenceChange:
    """A change."""
    fields: dict[str, Any] = {
        "user_id": "u",
        "kind": "changed",
        "before": BEFORE,
        "after": AFTER,
        "seen_at": NOON,
        "age": 1.5,
    }
    return PresenceChange(**(fields | changed))


def outcome(**changed: Any) -> JobOutcome:
    """An outcome of a job."""
    fields: dict[str, Any] = {
        "number": 5,
        "user_id": "u",
        "source": "PURECLOUD",
        "item": MutableUserPresence(id="u", presence_definition=PresenceDefinition(id="d1")),
        "status": "applied",
        "repeated": False,
        "sends": 1,
        "before": BEFORE,
        "after": UserPresence(presence_definition=MEAL),
        "error": None,
        "sent": NOON,
        "finished": NOON,
    }
    return JobOutcome(**(fields | changed))


def dry(**changed: Any) -> DryRunOutcome:
    """An outcome of a dry run."""
    fields: dict[str, Any] = {
        "number": 5,
        "user_id": "u",
        "source": "PURECLOUD",
        "item": MutableUserPresence(id="u", presence_definition=PresenceDefinition(id="d1")),
        "status": "change",
        "before": BEFORE,
        "error": None,
    }
    return DryRunOutcome(**(fields | changed))


def test_a_change_as_json():
    """Presences are under the vendor's names, what is ours under ours."""
    assert json.loads(change_json(change())) == {
        "user_id": "u",
        "kind": "changed",
        "before": {"userId": "u", "presenceDefinition": {"id": "d2"}, "message": ""},
        "after": {
            "userId": "u",
            "presenceDefinition": {"id": "d1", "systemPresence": "Meal"},
            "message": "back at 2",
        },
        "seen_at": "2026-01-01T12:00:00+00:00",
        "age": 1.5,
        "stale": False,
        "error": None,
        "http_status": None,
        "code": None,
        "correlation_id": None,
    }


def test_an_error_as_json():
    """With all that the vendor's support asks for."""
    told = json.loads(change_json(change(kind="stale", before=None, after=None, error=DOWN)))
    assert told["after"] is told["before"] is None
    assert told["error"] == "ServerError: down"
    assert [told[name] for name in ("http_status", "code", "correlation_id")] == [
        503,
        "busy",
        "c-1",
    ]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, 'u d2 -> Meal "back at 2"'),
        ({"kind": "first", "before": None, "after": BEFORE}, "u d2"),
        ({"kind": "first", "before": None, "after": None}, "u no presence"),
        ({"after": None}, "u d2 -> no presence"),
        ({"after": UcUserPresence(message="x")}, 'u d2 -> "x"'),
        ({"kind": "first", "after": UcUserPresence()}, "u as it is"),
        ({"kind": "fresh", "before": AFTER}, 'u Meal "back at 2" (fresh again)'),
        ({"kind": "fresh", "after": None}, "u d2 -> no presence (fresh again)"),
        ({"kind": "stale", "after": BEFORE, "stale": True}, "u d2 (stale)"),
        (
            {"kind": "stale", "after": BEFORE, "error": PresenceConnectionError("gone")},
            "u d2 (stale: gone)",
        ),
    ],
)
def test_a_change_for_people(changed: dict[str, Any], text: str):
    """The time of day, who, and what is new."""
    clock, _, rest = change_line(change(**changed)).partition(" ")
    assert clock == f"{NOON.astimezone():%H:%M:%S}"
    assert rest == text


@pytest.mark.real_loop
async def test_an_outcome_is_the_same_as_in_an_export(client: PresenceClient, tmp_path: Path):
    """What is printed line by line is what an export of the journal has."""
    printed: list[str] = []
    user_ids = [user.id async for user in client.users.list()][:3]
    items = [(str(user_id), "Meal") for user_id in user_ids]
    exported = io.StringIO()
    async with BulkUpdateJob(client, tmp_path / "journal", items) as job:
        await job.run(on_outcome=lambda one: printed.append(outcome_json(one)))
        await job.export(exported, "jsonl")
    assert exported.getvalue().splitlines() == printed
    assert json.loads(printed[0])["status"] == "applied"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, None),
        ({"status": "unchanged"}, None),
        ({"status": "rejected", "error": DOWN}, f"line 7: ada@example.com rejected: {DOWN}"),
        ({"status": "unknown", "error": DOWN}, f"line 7: ada@example.com unknown: {DOWN}"),
        ({"status": "superseded"}, "line 7: ada@example.com superseded, shows Meal"),
        ({"status": "superseded", "after": None}, "line 7: ada@example.com superseded"),
    ],
)
def test_an_outcome_for_people(changed: dict[str, Any], text: str | None):
    """What went well is not worth a line; the rest is told with its line in the file."""
    one = outcome(**changed)
    assert outcome_line(one, ROW) == text
    without = None if text is None else text.replace("line 7: ada@example.com", "u")
    assert outcome_line(one, None) == without


def test_a_dry_run_as_json():
    """The names are those of an export."""
    told = json.loads(dry_run_json(dry()))
    exported = json.loads(outcome_json(outcome()))
    assert told["item"] == exported["item"] == {"id": "u", "presenceDefinition": {"id": "d1"}}
    assert told["before"] == exported["before"]
    assert told["status"] == "change"
    assert told.keys() <= exported.keys()


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "line 7: ada@example.com change: d2 -> Lunch"),
        ({"before": None}, "line 7: ada@example.com change: no presence -> Lunch"),
        ({"status": "unchanged"}, "line 7: ada@example.com unchanged: d2"),
        ({"status": "rejected", "error": DOWN}, f"line 7: ada@example.com rejected: {DOWN}"),
    ],
)
def test_a_dry_run_for_people(changed: dict[str, Any], text: str):
    """Everything is told, in the words of the file."""
    assert dry_run_line(dry(**changed), ROW) == text


def test_a_dry_run_without_a_file():
    """The ids are all there is; a row with an id of the user has no address."""
    assert dry_run_line(dry(), None) == "u change: d2 -> d1"
    row = UpdateRow(line=2, user_id="u", system_presence="Meal")
    assert dry_run_line(dry(), row) == "line 2: u change: d2 -> Meal"
    only_message = attrs.evolve(dry(), item=MutableUserPresence(id="u", message="x"))
    assert dry_run_line(only_message, None) == 'u change: d2 -> "x"'


async def test_an_answer_of_the_simulator_for_people(sim: Simulator, client: PresenceClient):
    """A real presence has its system presence."""
    async with client.poll(sim.user_ids[:1], interval=60) as poll:
        line = change_line(await anext(poll))
    assert re.fullmatch(rf"\d\d:\d\d:\d\d {sim.user_ids[0]} Available", line)
