"""Scripted failures: what they are, and which one strikes a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs
import orjson

from presence_async.simulator.errors import DEFAULT_CODES, ApiError
from presence_async.simulator.exchange import Answer
from presence_async.simulator.identity import chance_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from presence_async.simulator.recorder import RecordedRequest

# What a load balancer in front of the API is known to answer: no JSON.
BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head></html>"
_BAD_GATEWAY_STATUS = 502
_FIRST_ERROR = 400


@attrs.frozen(kw_only=True)
class Fault:
    """One scripted failure.

    With neither status, body, drop, stall, gzip_bomb nor raw_answer it only delays.

    Attributes:
        route: Method and template, e.g. `GET /api/v2/users/{userId}/presences/purecloud` or
            `POST /oauth/token`; a callable that judges the request; None for every request.
        times: How many requests it strikes; None for all.
        skip: How many matching requests pass before the first one struck.
        probability: Chance of striking a request it could strike (repeatable by seed).
        delay: Seconds before anything else happens, or a callable returning them.
        status: Answer with this status.
        code: Error code of the answer; by default the usual one of the status.
        message: Error text of the answer.
        body: Body of the answer instead of an error body; status 200 unless given.
        content_type: Content type of the answer.
        retry_after: `Retry-After` of the answer.
        headers: Further headers of the answer.
        drop: Reset the connection `before` the change, or `after` it and without an answer;
            or cut the answer off in `mid_body`.
        stall: Never answer (after `raw_answer`, if that is given too).
        after_effect: With status or body: apply the change first.
        gzip_bomb: Answer with a gzip body that grows to this many bytes.
        raw_answer: Bytes for the socket, which is closed afterwards.
    """

    route: str | Callable[[RecordedRequest], bool] | None = None
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    delay: float | Callable[[], float] = 0.0
    status: int | None = None
    code: str | None = None
    message: str | None = None
    body: bytes | None = None
    content_type: str = "application/json"
    retry_after: float | str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    drop: Literal["before", "after", "mid_body"] | None = None
    stall: bool = False
    after_effect: bool = False
    gzip_bomb: int | None = None
    raw_answer: bytes | None = None

    @property
    def seconds(self) -> float:
        """The delay, asked anew each time if it is a callable."""
        return self.delay() if callable(self.delay) else self.delay

    @property
    def scripted(self) -> bool:
        """Whether the fault brings its own answer."""
        return self.status is not None or self.body is not None

    def matches(self, request: RecordedRequest) -> bool:
        """Return whether the fault is meant for this request."""
        if self.route is None:
            return True
        if callable(self.route):
            return self.route(request)
        return self.route == f"{request.method} {request.path_template}"

    def answer(self, correlation_id: str, *, login: bool) -> Answer:
        """Return the scripted answer; the login server has error bodies of its own."""
        status = 200 if self.status is None else self.status
        headers = {"Content-Type": self.content_type}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        body = self.body
        if body is None and status == _BAD_GATEWAY_STATUS and self.code is None:
            body, headers["Content-Type"] = BAD_GATEWAY, "text/html"
        if body is None:
            body = self._error_body(status, correlation_id, login=login)
        return Answer(status, body, {**headers, **self.headers})

    def _error_body(self, status: int, correlation_id: str, *, login: bool) -> bytes:
        if status < _FIRST_ERROR:
            return b""
        code = self.code or DEFAULT_CODES.get(status, "internal.server.error")
        if code == "too.many.requests" and self.code is None and self.retry_after is not None:
            code = "too.many.requests.retry.after"
        message = self.message or f"Scripted failure [{status}]"
        if login:
            return orjson.dumps(
                {"error": code, "description": message, "error_description": message}
            )
        return ApiError(status, code, message).body(correlation_id)


@attrs.define
class _Armed:
    fault: Fault
    to_skip: int
    left: int | None


class FaultPlan:
    """The faults waiting for their requests; the first that strikes wins.

    Args:
        seed: Makes probabilities repeatable.
        routes: The route names that exist, so that a misspelt one is noticed.
    """

    def __init__(self, seed: int, routes: Collection[str]) -> None:
        self._seed = seed
        self._routes = frozenset(routes)
        self._armed: list[_Armed] = []
        self._drawn = 0

    def add(self, *faults: Fault) -> None:
        """Arm faults, to be tried after those already there.

        Raises:
            ValueError: For a route name no request can match.
        """
        for fault in faults:
            if isinstance(fault.route, str) and fault.route not in self._routes:
                raise ValueError(f"no such route: {fault.route!r}")
            self._armed.append(_Armed(fault, fault.skip, fault.times))

    def clear(self) -> None:
        """Disarm all faults."""
        self._armed.clear()

    @property
    def pending(self) -> tuple[Fault, ...]:
        """The faults that can still strike."""
        return tuple(armed.fault for armed in self._armed)

    def take(self, request: RecordedRequest) -> Fault | None:
        """Return the fault that strikes a request, using it up, or None."""
        for armed in self._armed:
            if armed.fault.matches(request) and self._strikes(armed):
                if armed.left == 0:
                    self._armed.remove(armed)
                return armed.fault
        return None

    def _strikes(self, armed: _Armed) -> bool:
        if armed.to_skip > 0:
            armed.to_skip -= 1
            return False
        if armed.fault.probability < 1:
            self._drawn += 1
            if chance_for(self._seed, "fault", self._drawn) >= armed.fault.probability:
                return False
        if armed.left is not None:
            armed.left -= 1
        return True
