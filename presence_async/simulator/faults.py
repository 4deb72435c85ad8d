"""Scripted failures: what they are, which one strikes a request, and the broken answers."""

from __future__ import annotations

import asyncio
import math
import struct
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs

from presence_async.simulator.checks import check_number, kind, number, one_of, whole
from presence_async.simulator.errors import DEFAULT_CODES, ApiError, TokenError
from presence_async.simulator.exchange import Answer
from presence_async.simulator.identity import chance_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from aiohttp import web

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
# Every field needs one of those behind it.
_NEEDS = {
    "retry_after": _ANSWERS,
    "headers": _ANSWERS,
    "content_type": _ANSWERS,
    "after_effect": (*_ANSWERS, "gzip_bomb", "raw_answer", "stall"),
}


_TEXT = kind(str, optional=True)
_BYTES = kind(bytes, optional=True)
_FLAG = one_of(True, False)


@attrs.frozen(kw_only=True)
class Fault:
    """One scripted failure.

    Without an answer of its own and without `drop` and `stall` it lets the request be
    answered as usual, perhaps later, more slowly or with a wrong length. A value out of its
    range and fields that contradict each other, or have no effect together, are a ValueError.

    Attributes:
        route: Method and template, e.g. `POST /oauth/token`; a callable that judges the
            request; None for every request.
        times, skip: How many matching requests it strikes, None for all; how many pass before.
        probability: Chance of striking a request it could strike (repeatable by seed).
        delay: Seconds before anything else happens, or a callable returning them, such as
            one of `uniform`, `exponential`, `lognormal`.
        status, code, message, limit: Of the error to answer. By default code and text are the
            usual ones of the status, and a 429 with `retry_after` has the limit per minute or,
            when the wait is longer, per day.
        body: Body of the answer instead of an error body, `b""` for none; status 200 unless
            given.
        content_type, retry_after, headers: Of the answer.
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
        half_open: The answer still arrives; then nothing sent on the connection is recorded or
            answered, and it is never closed. A WebSocket is opened and silent from then on.
    """

    route: str | Callable[[RecordedRequest], bool] | None = attrs.field(
        default=None, validator=kind(str, optional=True, called=True)
    )
    times: int | None = attrs.field(default=1, validator=whole(1, optional=True))
    skip: int = attrs.field(default=0, validator=whole(0))
    probability: float = attrs.field(default=1.0, validator=number(0, 1))
    delay: float | Callable[[], float] = attrs.field(default=0.0, validator=number(0, called=True))
    status: int | None = attrs.field(default=None, validator=whole(200, 599, optional=True))
    code: str | None = attrs.field(default=None, validator=_TEXT)
    message: str | None = attrs.field(default=None, validator=_TEXT)
    limit: Mapping[str, Any] | None = attrs.field(
        default=None, validator=kind(Mapping, optional=True)
    )
    body: bytes | None = attrs.field(default=None, validator=_BYTES)
    content_type: str = attrs.field(default="application/json", validator=kind(str))
    retry_after: float | str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict, validator=kind(Mapping))
    drop: Literal["before", "after", "mid_body"] | None = attrs.field(
        default=None, validator=one_of(None, "before", "after", "mid_body")
    )
    stall: bool = attrs.field(default=False, validator=_FLAG)
    after_effect: bool = attrs.field(default=False, validator=_FLAG)
    gzip_bomb: int | None = attrs.field(default=None, validator=whole(0, optional=True))
    raw_answer: bytes | None = attrs.field(default=None, validator=_BYTES)
    slow_body: float = attrs.field(default=0.0, validator=number(0))
    wrong_length: int = attrs.field(default=0, validator=whole(-math.inf))
    half_open: bool = attrs.field(default=False, validator=_FLAG)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not isinstance(self.retry_after, str | None):
            check_number("retry_after", self.retry_after, 0)
        for name, value in {**self.headers, "content_type": self.content_type}.items():
            if not f"{name}{value}".isprintable():
                raise ValueError(f"headers must be printable, not {name!r}: {value!r}")
        self._check_together()

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
        """Whether the fault is meant for this request."""
        if self.route is None:
            return True
        if callable(self.route):
            return self.route(request)
        return self.route == f"{request.method} {request.path_template}"

    def answer(self, correlation_id: str, *, login: bool) -> Answer:
        """The scripted answer; the login server has error bodies of its own."""
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
        limit = self._exceeded if code == _TOLD_TO_WAIT and self.limit is None else self.limit
        kind = TokenError if login else ApiError
        return kind(status, code, message, limit=limit).body(correlation_id)

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
        """Arm faults, behind those already there; ValueError for a route that does not exist."""
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
        """The fault that strikes a request, using it up, or `otherwise`."""
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


_SLICE = b" " * (1 << 20)
_GZIP_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
# A body that trickles comes in so many pieces, if it has as many bytes.
_PIECES = 8


@attrs.frozen
class Delivery:
    """How a body goes out: the Content-Length, what is sent within it, and what follows it."""

    declared: int
    pieces: tuple[bytes, ...]
    pause: float = 0.0
    surplus: bytes = b""

    @property
    def complete(self) -> bool:
        """Whether as much is sent as is declared, so that the connection can be used on."""
        return sum(map(len, self.pieces)) == self.declared


def delivery(body: bytes, fault: Fault) -> Delivery:
    """How a body goes out under a fault."""
    if fault.drop == "mid_body":
        return Delivery(len(body) + 1, (body[: len(body) // 2],))
    declared = max(0, len(body) + fault.wrong_length)
    within, surplus = body[:declared], body[declared:]
    if not fault.slow_body:
        return Delivery(declared, (within,), 0.0, surplus)
    step = -(-len(within) // _PIECES) or 1
    pieces = tuple(within[at : at + step] for at in range(0, len(within), step))
    return Delivery(declared, pieces, fault.slow_body / max(1, len(pieces)), surplus)


def gzip_bomb(size: int) -> Answer:
    """An answer whose gzip body grows to `size` bytes of white space.

    After a full flush the packed form refers to nothing before it, so one slice is repeated.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(_SLICE) + packer.flush(zlib.Z_FULL_FLUSH)
    whole, rest = divmod(size, len(_SLICE))
    last = packer.compress(_SLICE[:rest]) + packer.flush()
    checksum = 0
    for _ in range(whole):
        checksum = zlib.crc32(_SLICE, checksum)
    checksum = zlib.crc32(_SLICE[:rest], checksum)
    trailer = struct.pack("<II", checksum, size % (1 << 32))
    body = _GZIP_HEADER + packed * whole + last + trailer
    return Answer(200, body, {"Content-Encoding": "gzip"})


class _Deaf(asyncio.Protocol):
    """Hears nothing but the end of a connection, which it reports."""

    def __init__(self, reported_to: asyncio.BaseProtocol) -> None:
        self._reported_to = reported_to

    def connection_lost(self, exc: Exception | None) -> None:
        self._reported_to.connection_lost(exc)


def deafen(request: web.BaseRequest) -> None:
    """Throw away whatever the client still sends, and notice only that it leaves."""
    transport = request.transport
    if transport is not None:
        transport.set_protocol(_Deaf(transport.get_protocol()))
        transport.resume_reading()
