"""Everything this library raises, in one tree, split by what a caller does about it.

    PresenceError
    ├── ConfigurationError        fix the arguments of the client
    ├── ClosedError               open the client first, or stop using it
    ├── AuthenticationError       fix the credentials or log in again
    ├── PermissionDeniedError     ask for the missing permission
    ├── NotFoundError             the thing is not there
    ├── InvalidRequestError       fix the arguments of the call
    ├── ConflictError             read again, then decide
    ├── RateLimitedError          come back later (`retry_after` says when)
    ├── ServerError               Genesys Cloud failed; retries did not help
    ├── PresenceConnectionError   no usable answer came over the network
    ├── PresenceTimeoutError      no answer in time
    ├── DecodeError               an answer came and could not be understood
    └── JournalError              the journal of a job cannot be used
        └── JournalLockedError    another job has it: wait for its end

No error holds a secret: it knows the method and the path *template*, never the address, the
headers or the body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AuthenticationError",
    "ClosedError",
    "ConfigurationError",
    "ConflictError",
    "DecodeError",
    "InvalidRequestError",
    "JournalError",
    "JournalLockedError",
    "NotFoundError",
    "PermissionDeniedError",
    "PresenceConnectionError",
    "PresenceError",
    "PresenceTimeoutError",
    "RateLimitedError",
    "RowFailure",
    "ServerError",
]

CONTEXT: Final = (
    "status",
    "code",
    "correlation_id",
    "method",
    "path_template",
    "retry_after",
    "outcome_unknown",
    "attempts",
)


class PresenceError(Exception):
    """Base of every error of this library.

    Attributes:
        message: What happened, in one sentence, without the context below.
        status: HTTP status, or None when no answer came.
        code: Vendor error code such as ``missing.any.permissions``, or None. Decide on
            this and the type, never on the message: the vendor's texts change.
        correlation_id: The vendor's id of the failed exchange, for their support.
        method: HTTP method of the failed operation.
        path_template: Its path with placeholders, e.g. ``/api/v2/users/{userId}/…``.
        retry_after: Seconds after which trying again makes sense, when known.
        outcome_unknown: True when a write, never a read, may have taken effect all the same.
        attempts: Wire requests made for this call.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        correlation_id: str | None = None,
        method: str | None = None,
        path_template: str | None = None,
        retry_after: float | None = None,
        outcome_unknown: bool = False,
        attempts: int = 0,
    ) -> None:
        # args is just the message, so that pickle and copy can call the class again.
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.correlation_id = correlation_id
        self.method = method
        self.path_template = path_template
        self.retry_after = retry_after
        self.outcome_unknown = outcome_unknown
        self.attempts = attempts

    def __str__(self) -> str:
        """One line: operation, status and code, message, then what helps to act on it."""
        head = f"{self.method} {self.path_template}: " if self.path_template else ""
        verdict = " ".join(str(part) for part in (self.status, self.code) if part is not None)
        verdict = f"{verdict}: " if verdict else ""
        notes = []
        if self.retry_after is not None:
            notes.append(f"retry after {self.retry_after:g} s")
        if self.outcome_unknown:
            notes.append("the request may have taken effect")
        if self.attempts > 1:
            notes.append(f"{self.attempts} attempts")
        if self.correlation_id:
            notes.append(f"correlation id {self.correlation_id}")
        tail = f" ({'; '.join(notes)})" if notes else ""
        return f"{head}{verdict}{self.message}{tail}"

    def __repr__(self) -> str:
        """The class, the message and the context that is set."""
        context = "".join(
            f", {name}={value!r}"
            for name in CONTEXT
            if (value := getattr(self, name)) not in (None, False, 0)
        )
        return f"{type(self).__name__}({self.message!r}{context})"


class ConfigurationError(PresenceError, ValueError):
    """The client was given settings it cannot work with. Nothing was sent."""


class ClosedError(PresenceError, RuntimeError):
    """The client is not open here: not entered yet, closed, another loop, another process."""


class AuthenticationError(PresenceError):
    """No valid token: refused by the login host, or refused by the API after a renewal."""


class PermissionDeniedError(PresenceError):
    """The token lacks a permission (403).

    Attributes:
        missing_permissions: The permissions named by the vendor, or by the documentation
            of the operation when the vendor names none. Empty when neither does.
        needs_all: True when all of them are needed, False when any one is enough.
    """

    def __init__(
        self,
        message: str,
        *,
        missing_permissions: tuple[str, ...] = (),
        needs_all: bool = True,
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.missing_permissions = missing_permissions
        self.needs_all = needs_all


class NotFoundError(PresenceError):
    """The addressed thing does not exist, or not any more (404)."""


class InvalidRequestError(PresenceError, ValueError):
    """The call itself is wrong: refused here before sending, or by the vendor (400, 413, 415).

    Attributes:
        field: Name of the argument or body field at fault, when known.
    """

    def __init__(self, message: str, *, field: str | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.field = field


class ConflictError(PresenceError):
    """The state changed under the request (409): read again, then decide."""


class RateLimitedError(PresenceError):
    """The budget of requests is spent; `retry_after` says when a call can be served.

    For an answer of 429; and, with `status` None, when the local limiter knows that the call
    could not be sent within its `max_wait` or its deadline.

    Attributes:
        paused: Whether the vendor asked everyone with the token to pause.
    """

    def __init__(self, message: str, *, paused: bool = False, **context: Any) -> None:
        super().__init__(message, **context)
        self.paused = paused


class ServerError(PresenceError):
    """Genesys Cloud, or something in front of it, failed (5xx), or answered a redirect."""


class PresenceConnectionError(PresenceError, ConnectionError):
    """The connection could not be made, or broke before the answer was complete."""


class PresenceTimeoutError(PresenceError, TimeoutError):
    """The answer, or the connection, did not come in time."""


@attrs.frozen
class RowFailure:
    """One row of a list answer that could not be understood.

    Attributes:
        row: Index in the answer's list, from 0.
        field: Wire name of the field at fault (dotted when nested), "" for the whole row.
        reason: What was expected and which JSON type came; never the value itself.
        row_id: The row's user id, id or event id, when that much could be read.
    """

    row: int
    field: str
    reason: str
    row_id: str | None = None


class DecodeError(PresenceError):
    """An answer arrived whole but is not what the API documents.

    Attributes:
        row: Index of the first bad row of a list answer, or None.
        field: Wire name of the first field at fault, or None.
        failures: Every bad row.
        decoded: The rows that could be read, in order: they are not lost.
    """

    def __init__(
        self,
        message: str,
        *,
        row: int | None = None,
        field: str | None = None,
        failures: tuple[RowFailure, ...] = (),
        decoded: Sequence[Any] = (),
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.row = row
        self.field = field
        self.failures = failures
        self.decoded = decoded


class JournalError(PresenceError):
    """The journal of a job cannot be used: not one, damaged, of another job, disk full.

    A file found to be wrong is left as it was.
    """


class JournalLockedError(JournalError):
    """Another job has the journal open, here or in another process."""
