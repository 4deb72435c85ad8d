"""What exit codes say to a job runner."""

from __future__ import annotations

import re

import pytest

from presence_async import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    PresenceConnectionError,
    RowsError,
)
from presence_async.cli import exit_codes
from presence_async.cli.exit_codes import EXIT_CODES, exit_code_of
from presence_async.errors import JournalError, JournalLockedError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 2),
        (InvalidRequestError("ids[3] must be a str", field="ids"), 2),
        (RowsError("x"), 2),
        (InvalidRequestError("refused by the vendor", status=400), 1),
        (JournalError("x"), 4),
        (JournalLockedError("x"), 4),
        (AuthenticationError("x", status=401), 1),
        (PresenceConnectionError("x"), 1),
        (FileNotFoundError("x"), 1),
    ],
)
def test_errors(error: Exception, code: int):
    """What the user has to change is 2, what is wrong with the journal 4, and the rest 1."""
    assert exit_code_of(error) == code  # type: ignore[arg-type]


def test_the_help_lists_them_all():
    """Each code there is has its line, and no other."""
    values = [value for name, value in vars(exit_codes).items() if name.isupper()]
    codes = [value for value in values if isinstance(value, int)]
    assert [int(code) for code in re.findall(r"^  (\d+) ", EXIT_CODES, re.MULTILINE)] == sorted(
        codes
    )
