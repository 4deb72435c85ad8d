"""What a command's exit code says to a job runner."""

from __future__ import annotations

from typing import Final

from presence_async.errors import (
    ConfigurationError,
    InvalidRequestError,
    JournalError,
    PresenceError,
)

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2  # also what argparse exits with
PARTLY: Final = 3
JOURNAL: Final = 4
INTERRUPTED: Final = 130  # what a shell makes of Ctrl-C

EXIT_CODES: Final = """\
exit codes:
  0    done
  1    the run as a whole failed: no connection, credentials refused, a file not readable
  2    the command line, the environment or the input is wrong; nothing was sent
  3    ended, and something failed for some of the users
  4    the journal cannot be used: in use, finished, damaged, of another job, no room
  130  interrupted (Ctrl-C, SIGTERM)
"""


def exit_code_of(error: PresenceError | OSError) -> int:
    """Return the exit code of a run that ended with an error."""
    if isinstance(error, JournalError):
        return JOURNAL
    if isinstance(error, ConfigurationError):
        return USAGE
    # With a status it is the vendor who refuses, and something was sent.
    if isinstance(error, InvalidRequestError) and error.status is None:
        return USAGE
    return FAILED
