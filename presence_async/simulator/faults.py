"""Scripted failures: what they are, and which one strikes a request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs
import orjson

from presence_async.simulator.checks import check_choice, check_number, check_whole
from presence_async.simulator.errors import DEFAULT_CODES, ApiError
from presence_async.simulator.exchange import Answer
from presence_async.simulator.identity import chance_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from presence_async.simulator.recorder import RecordedRequest

# What a load balancer in front of the API is known to answer: no JSON.
BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head></html>"
_BAD_GATEWAY_STATUS = 502
_FIRST_ERROR = 400
_TOLD_TO_WAIT = "too.many.requests.retry.after"
_MINUTE = 60
_PER_MINUTE = {"key": "token.rate.per.minute", "namespace": "platform.api", "value": 300}
# A longer wait belongs to a limit of one service, counted per day. The vendor publishes no
# key or value of one: these are made up.
_PER_DAY = {"key": "token.rate.per.day", "namespace": "presence", "value": 10_000}

_ANSWERS = ("status", "body")
_IN_ERROR_BODY = ("code", "message", "limit")
_DELIVERIES = ("slow_body", "wrong_length", "half_open")
# No field goes together with those behind it.
_EXCLUSIVE = {
    "stall": (*_ANSWERS, "gzip_bomb", "drop", *_DELIVERIES),
    "raw_answer": (*_ANSWERS, "gzip_bomb", "drop", *_DELIVERIES),
    "gzip_bomb": _ANSWERS,
    "drop": _DELIVERIES,
    "body": _IN_ERROR_BODY,
}
# A connection that is reset shows no answer, and `drop` itself says when.
_NOT_WITH_RESET = (*_ANSWERS, "gzip_bomb", "after_effect")
_WHOLE = {
    "times": (1, math.inf),
    "skip": (0, math.inf),
    "status": (200, 599),
    "gzip_bomb": (0, math.inf),
    "wrong_length": (-math.inf, math.inf),
}
_OPTIONAL_TEXT = (str, type(None))
_KINDS: dict[str, tuple[type, ...]] = {
    "code": _OPTIONAL_TEXT,
    "message": _OPTIONAL_TEXT,
    "content_type": (str,),
    "headers": (Mapping,),
    "limit": (Mapping, type(None)),
    "body": (bytes, type(None)),
    "raw_answer": (bytes, type(None)),
    "retry_after": (int, float, *_OPTIONAL_TEXT),
}
# Every field needs one of those behind it.
_NEEDS = {
    "retry_after": _ANSWERS,
    "headers": _ANSWERS,
    "content_type": _ANSWERS,
    "after_effect": (*_ANSWERS, "gzip_bomb", "raw_answer", "stall"),
}


@attrs.frozen(kw_only=True)
class Fault:
    """One scripted failure.

    Without an answer of its own and without `drop` and `stall` it lets the request be
    answered as usual, perhaps later, more slowly or with a wrong length.

    Attributes:
        route: Method and template, e.g. `GET /api/v2/users/{userId}/presences/purecloud` or
            `POST /oauth/token`; a callable that judges the request; None for every request.
        times: How many requests it strikes; None for all.
        skip: How many matching requests pass before the first one struck.
        probability: Chance of striking a request it could strike (repeatable by seed).
        delay: Seconds before anything else happens, or a callable returning them, such as
            one of `uniform`, `exponential`, `lognormal`.
        status: Answer with this status.
        code: Error code of the answer; by default the usual one of the status.
        message: Error text of the answer.
        limit: The `limit` object of the answer; by default a 429 with `retry_after` has one,
            of a limit per minute or, when the wait is longer, per day.
        body: Body of the answer instead of an error body, `b""` for none; status 200 unless
            given.
        content_type: Content type of the answer.
        retry_after: `Retry-After` of the answer.
        headers: Further headers of the answer.
        drop: Reset the connection `before` the change, or `after` it and without an answer;
            or cut the answer off in `mid_body`. `before` does not wait for the body of the
            request, unless a fault whose route is a callable is armed too and may want it.
        stall: Never answer (after `raw_answer`, if that is given too), and hear nothing more.
        after_effect: With an answer of its own or `stall`: apply the change first.
        gzip_bomb: Answer with a gzip body that grows to this many bytes.
        raw_answer: Bytes for the socket, which is closed afterwards.
        slow_body: Seconds over which the body of the answer comes, in eight pieces. The
            headers come at once.
        wrong_length: By how many bytes Content-Length is above the body, after which the
            connection is closed; negative: below it, and the rest follows as surplus bytes on
            the open connection.
        half_open: The answer still arrives; then the connection is dead without a sign:
            nothing sent on it is recorded or answered, and it is never closed. A WebSocket is
            opened and silent from then on.

    Raises:
        ValueError: For a value out of its range, and for fields that contradict each other or
            have no effect together.
    """

    route: str | Callable[[RecordedRequest], bool] | None = None
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    delay: float | Callable[[], float] = 0.0
    status: int | None = None
    code: str | None = None
    message: str | None = None
    limit: Mapping[str, Any] | None = None
    body: bytes | None = None
    content_type: str = "application/json"
    retry_after: float | str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    drop: Literal["before", "after", "mid_body"] | None = None
    stall: bool = False
    after_effect: bool = False
    gzip_bomb: int | None = None
    raw_answer: bytes | None = None
    slow_body: float = 0.0
    wrong_length: int = 0
    half_open: bool = False

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant."""
        self._check_kinds()
        self._check_ranges()
        self._check_together()

    def _check_ranges(self) -> None:
        for name, (low, high) in _WHOLE.items():
            value = getattr(self, name)
            if value is not None or name in ("skip", "wrong_length"):
                check_whole(name, value, low, high)
        check_number("probability", self.probability, 0, 1)
        check_number("slow_body", self.slow_body, 0)
        if not callable(self.delay):
            check_number("delay", self.delay, 0)
        if isinstance(self.retry_after, int | float):
            check_number("retry_after", self.retry_after, 0)
        check_choice("drop", self.drop, (None, "before", "after", "mid_body"))
        for name in ("stall", "after_effect", "half_open"):
            check_choice(name, getattr(self, name), (True, False))

    def _check_kinds(self) -> None:
        for name, kinds in _KINDS.items():
            if not isinstance(getattr(self, name), kinds):
                raise TypeError(f"{name} cannot be {getattr(self, name)!r}")
        if not (self.route is None or isinstance(self.route, str) or callable(self.route)):
            raise TypeError(f"route cannot be {self.route!r}")
        for name, value in {**self.headers, "content_type": self.content_type}.items():
            if not f"{name}{value}".isprintable():
                raise ValueError(f"headers must be printable, not {name!r}: {value!r}")

    def _check_together(self) -> None:
        given = {name for name, default in _DEFAULTS.items() if getattr(self, name) != default}
        exclusive = dict(_EXCLUSIVE)
        if self.drop in ("before", "after"):
            exclusive["drop"] += _NOT_WITH_RESET
        for name, others in exclusive.items():
            for other in others:
                if given.issuperset((name, other)):
                    raise ValueError(f"{other} does not go together with {name}")
        for name, needed in _NEEDS.items():
            if name in given and given.isdisjoint(needed):
                raise ValueError(f"{name} needs {' or '.join(needed)}")
        for name in _IN_ERROR_BODY:
            if name in given and (self.status is None or self.status < _FIRST_ERROR):
                raise ValueError(f"{name} needs the status of an error")

    @property
    def spoils_delivery(self) -> bool:
        """Whether the answer goes out in another way than usual."""
        return bool(self.drop or self.slow_body or self.wrong_length or self.half_open)

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
        told = self.code is not None or self.message is not None or self.limit is not None
        if body is None and status == _BAD_GATEWAY_STATUS and not told:
            body, headers["Content-Type"] = BAD_GATEWAY, "text/html"
        if body is None:
            body = self._error_body(status, correlation_id, login=login)
        return Answer(status, body, {**headers, **self.headers})

    def _error_body(self, status: int, correlation_id: str, *, login: bool) -> bytes:
        if status < _FIRST_ERROR:
            return b""
        code = self.code or DEFAULT_CODES.get(status, "internal.server.error")
        if code == "too.many.requests" and self.code is None and self.retry_after is not None:
            code = _TOLD_TO_WAIT
        message = self.message or f"Scripted failure [{status}]"
        if login:
            return orjson.dumps(
                {"error": code, "description": message, "error_description": message}
            )
        limit = self._exceeded if code == _TOLD_TO_WAIT and self.limit is None else self.limit
        return ApiError(status, code, message, limit=limit).body(correlation_id)

    @property
    def _exceeded(self) -> Mapping[str, Any]:
        wait = 0 if isinstance(self.retry_after, str | None) else self.retry_after
        return _PER_DAY if wait > _MINUTE else _PER_MINUTE


_DEFAULTS: dict[str, Any] = {
    field.name: {} if field.name == "headers" else field.default for field in attrs.fields(Fault)
}


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

    Attributes:
        otherwise: What befalls the requests that no armed fault strikes, such as the usual
            latency; it is neither pending nor cleared.
    """

    def __init__(self, seed: int, routes: Collection[str]) -> None:
        self._seed = seed
        self._routes = frozenset(routes)
        self._armed: list[_Armed] = []
        self.otherwise: Fault | None = None
        self._drawn = 0

    def add(self, *faults: Fault) -> None:
        """Arm faults, to be tried after those already there.

        Raises:
            ValueError: For a route name no request can match.
        """
        for fault in faults:
            if isinstance(fault.route, str) and fault.route not in self._routes:
                raise ValueError(f"no such route: {fault.route!r}")
        for fault in faults:
            self._armed.append(_Armed(fault, fault.skip, fault.times))

    def clear(self) -> None:
        """Disarm all faults."""
        self._armed.clear()

    @property
    def pending(self) -> tuple[Fault, ...]:
        """The faults that can still strike."""
        return tuple(armed.fault for armed in self._armed)

    @property
    def by_head(self) -> bool:
        """Whether the fault for a request is chosen before its body is read."""
        faults = self.pending
        reset = any(fault.drop == "before" for fault in faults)
        return reset and not any(callable(fault.route) for fault in faults)

    def take(self, request: RecordedRequest) -> Fault | None:
        """Return the fault that strikes a request, using it up, or `otherwise`."""
        for armed in self._armed:
            if armed.fault.matches(request) and self._strikes(armed):
                if armed.left == 0:
                    self._armed.remove(armed)
                return armed.fault
        return self.otherwise

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
