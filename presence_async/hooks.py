"""What an observer of the client sees: one callable, frozen records.

Pass any callable as `hook=`; it is called on the event loop, with one record at a time, and must
return quickly. What it raises is logged. Records carry no ids, headers or bodies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

import attrs

if TYPE_CHECKING:
    from presence_async.errors import PresenceError

__all__ = [
    "AttemptFinished",
    "Hook",
    "LimiterWaited",
    "Record",
    "RequestFinished",
    "RequestStarted",
    "TokenRefreshed",
]


@attrs.frozen
class RequestStarted:
    """A call began. `call` numbers the calls of a client; the other records repeat it."""

    call: int
    method: str
    path_template: str


@attrs.frozen
class LimiterWaited:
    """An attempt got its permit only after waiting `seconds`."""

    call: int
    method: str
    path_template: str
    seconds: float


@attrs.frozen
class AttemptFinished:
    """One wire request ended.

    Attributes:
        attempt: Number of the wire request within the call, from 1.
        status: Its HTTP status, or None without a complete answer.
        error: What came instead of an answer, or None.
        seconds: From sending to the end of the body.
        correlation_id: The vendor's id of the exchange, when it gave one.
    """

    call: int
    method: str
    path_template: str
    attempt: int
    status: int | None
    error: PresenceError | None
    seconds: float
    correlation_id: str | None


@attrs.frozen
class RequestFinished:
    """A call ended, well, with the `error` that the caller gets, or `cancelled` by its caller.

    `seconds` covers waiting and every attempt.
    """

    call: int
    method: str
    path_template: str
    attempts: int
    error: BaseException | None
    cancelled: bool
    seconds: float


@attrs.frozen
class TokenRefreshed:
    """The token was fetched or renewed, or could not be.

    Attributes:
        expires_in: Seconds the new token lives, or None.
        background: True when no call was waiting for it.
        error: Why it failed, or None.
    """

    expires_in: float | None
    background: bool
    error: PresenceError | None


Record: TypeAlias = (
    RequestStarted | LimiterWaited | AttemptFinished | RequestFinished | TokenRefreshed
)
"""Whatever a hook may be called with."""


class Hook(Protocol):
    """Anything that can be called with a record."""

    def __call__(self, record: Record, /) -> object:
        """Take note of one record."""
        ...
