"""Results as JSON and as lines for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from presence_async.converter import dumps, to_dict
from presence_async.jobs.export import lines_of

if TYPE_CHECKING:
    from presence_async.errors import PresenceError
    from presence_async.jobs.entries import DryRunOutcome, JobOutcome
    from presence_async.models import MutableUserPresence, UcUserPresence, UserPresence
    from presence_async.resources.changes import PresenceChange
    from presence_async.rows import UpdateRow

    Presence = UcUserPresence | UserPresence | MutableUserPresence

_, _json_line = lines_of("jsonl")


def change_json(change: PresenceChange) -> str:
    """What a poll or the live store has seen, as JSON."""
    return _dumps(
        {
            "user_id": change.user_id,
            "kind": change.kind,
            "before": _fields(change.before),
            "after": _fields(change.after),
            "seen_at": change.seen_at.isoformat(),
            "age": change.age,
            "stale": change.stale,
        }
        | _error_fields(change.error)
    )


def change_line(change: PresenceChange, name: str | None = None) -> str:
    """The same for people, in local time; `name` is that of the user."""
    parts = [f"{change.seen_at.astimezone():%H:%M:%S}", name or change.user_id]
    if change.kind != "first" and change.fields:
        parts += [_shown(change.before), "->"]
    parts.append(_shown(change.after))
    if change.stale:
        parts.append(f"(stale: {change.error})" if change.error else "(stale)")
    elif change.kind == "fresh":
        parts.append("(fresh again)")
    return " ".join(parts)


def outcome_json(outcome: JobOutcome) -> str:
    """What became of one item, as in an export."""
    return _json_line(outcome).rstrip("\n")


def outcome_line(outcome: JobOutcome, row: UpdateRow | None) -> str | None:
    """The same for people; None where it is as they wanted it."""
    if outcome.status in {"applied", "unchanged"}:
        return None
    text = f"{_place(outcome, row)} {outcome.status}"
    if outcome.status == "superseded":
        return f"{text}, shows {_shown(outcome.after)}" if outcome.after else text
    return f"{text}: {outcome.error}"


def dry_run_json(outcome: DryRunOutcome) -> str:
    """What would become of one item, as JSON."""
    return _dumps(
        {
            "number": outcome.number,
            "user_id": outcome.user_id,
            "source": outcome.source,
            "status": outcome.status,
            "item": _fields(outcome.item),
            "before": _fields(outcome.before),
        }
        | _error_fields(outcome.error)
    )


def dry_run_line(outcome: DryRunOutcome, row: UpdateRow | None) -> str:
    """The same for people."""
    text = f"{_place(outcome, row)} {outcome.status}"
    if outcome.error is not None:
        return f"{text}: {outcome.error}"
    text = f"{text}: {_shown(outcome.before)}"
    return f"{text} -> {_wanted(outcome, row)}" if outcome.status == "change" else text


def _place(outcome: JobOutcome | DryRunOutcome, row: UpdateRow | None) -> str:
    return outcome.user_id if row is None else f"line {row.line}: {row.email or row.user_id}"


def _wanted(outcome: DryRunOutcome, row: UpdateRow | None) -> str:
    """What is asked for, in the words of the row where it has some."""
    name = None if row is None else row.definition_label or row.system_presence
    return _shown(outcome.item, name)


def _shown(presence: Presence | None, name: str | None = None) -> str:
    """What a person wants to know of a presence; `name` is that of its definition."""
    if presence is None:
        return "no presence"
    definition = presence.presence_definition
    if definition and not name:
        known = definition.system_presence
        name = known.rest if known else definition.id or ""
    parts = [name or "", f'"{presence.message}"' if presence.message else ""]
    return " ".join(part for part in parts if part) or "as it is"


def _fields(presence: Presence | None) -> dict[str, Any] | None:
    """A presence under the vendor's names."""
    return None if presence is None else to_dict(presence)


def _error_fields(error: PresenceError | None) -> dict[str, Any]:
    """An error with what the vendor's support asks for; the names are those of an export."""
    return {
        "error": None if error is None else f"{type(error).__name__}: {error.message}",
        "http_status": None if error is None else error.status,
        "code": None if error is None else error.code,
        "correlation_id": None if error is None else error.correlation_id,
    }


def _dumps(fields: dict[str, Any]) -> str:
    return dumps(fields).decode()
