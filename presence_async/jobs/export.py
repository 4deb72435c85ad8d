"""Outcomes of a job as lines of CSV and JSON Lines. Pure.

A spreadsheet runs a cell that begins like a formula, and messages are written by anybody. So in
CSV such a cell gets an apostrophe before it. JSON Lines has everything as it is.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from presence_async import converter
from presence_async.errors import InvalidRequestError
from presence_async.models import UNSET, PresenceDefinition

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async.jobs.entries import JobOutcome
    from presence_async.models import UcUserPresence, UserPresence

COLUMNS: Final = (
    "number", "user_id", "source", "status", "repeated", "sends", "error", "http_status", "code",
    "correlation_id", "definition_before", "message_before", "definition_after", "message_after",
    "sent", "finished",
)  # fmt: skip
# White space is skipped by some programs on the way to the formula, and wide signs are
# taken for the usual ones.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def lines_of(form: Any) -> tuple[str, Callable[[JobOutcome], str]]:
    """The head of a file, and what makes a line of an outcome, in a form that we know."""
    if form == "csv":
        return _csv(COLUMNS), _csv_line
    if form == "jsonl":
        return "", _json_line
    raise InvalidRequestError(f"form must be 'csv' or 'jsonl', not {form!r}", field="form")


def _values(outcome: JobOutcome) -> dict[str, Any]:
    """What both forms have in common."""
    error = outcome.error
    plain = ("number", "user_id", "source", "status", "repeated", "sends")
    return {name: getattr(outcome, name) for name in plain} | {
        "error": None if error is None else f"{type(error).__name__}: {error.message}",
        "http_status": None if error is None else error.status,
        "code": None if error is None else error.code,
        "correlation_id": None if error is None else error.correlation_id,
        "sent": outcome.sent and outcome.sent.isoformat(),
        "finished": outcome.finished and outcome.finished.isoformat(),
    }


def _json_line(outcome: JobOutcome) -> str:
    values = _values(outcome) | {
        "item": converter.to_dict(outcome.item),
        "before": outcome.before and converter.to_dict(outcome.before),
        "after": outcome.after and converter.to_dict(outcome.after),
    }
    return converter.dumps(values).decode() + "\n"


def _csv_line(outcome: JobOutcome) -> str:
    values = _values(outcome) | _seen("before", outcome.before) | _seen("after", outcome.after)
    return _csv(_cell(values[name]) for name in COLUMNS)


def _seen(when: str, presence: UcUserPresence | UserPresence | None) -> dict[str, Any]:
    definition = presence and presence.presence_definition
    return {
        f"definition_{when}": definition.id if isinstance(definition, PresenceDefinition) else None,
        f"message_{when}": presence and presence.message,
    }


def _cell(value: Any) -> str:
    """A value as text: lower-case flags, nothing for none, and no formulas."""
    if isinstance(value, bool):
        return str(value).lower()
    text = "" if value in (None, UNSET) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv(cells: Any) -> str:
    line = io.StringIO(newline="")
    csv.writer(line).writerow(cells)
    return line.getvalue()
