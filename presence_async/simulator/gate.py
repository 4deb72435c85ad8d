"""Between aiohttp's low-level server and a service: reading, recording, faults, writing.

Nothing of the vendor is decided here. A service answers synchronously, so a request changes what
it changes at once, and a fault only decides when and whether the client hears of it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import struct
import time
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aiohttp import StreamReader, web

from presence_async.simulator.errors import ApiError
from presence_async.simulator.exchange import MAX_BODY_BYTES, Answer, Exchange
from presence_async.simulator.faults import Fault, deafen, delivery, gzip_bomb
from presence_async.simulator.identity import Numbering, uuid_for
from presence_async.simulator.recorder import RecordedRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from presence_async.simulator.faults import FaultPlan
    from presence_async.simulator.recorder import Recorder
    from presence_async.simulator.services import Service

Host: TypeAlias = Literal["api", "login", "streaming", "control"]
Upgrade: TypeAlias = "Callable[[web.BaseRequest, bool], Awaitable[web.StreamResponse | None]]"
_log = logging.getLogger("presence_async.simulator")

_COMMON_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
}
# Headers whose values nobody gets to see.
_SECRETS = ("Authorization", "Proxy-Authorization", "Cookie")
_TOKEN_IN_QUERY = re.compile(r"(?<=[?&]access_token=)[^&]*")
_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
_CORRELATION = "ININ-Correlation-Id"
# SO_LINGER on with zero seconds: closing sends a reset instead of a goodbye.
_RESET = struct.pack("ii", 1, 0)
# How long a body may take. The vendor answers a slow one with 408 `client.timeout`; after how
# long is not published.
BODY_SECONDS = 30.0
_TOO_SLOW = Fault(status=408, message="The request body did not come in time.")


class _Protocol(web.RequestHandler):
    """Answers what the HTTP parser refuses with an ErrorBody, like everything else."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  aiohttp's signature
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError):
            raise exc
        if isinstance(exc, web.RequestPayloadError):
            status = 400
        code, text = "bad.request", "The request could not be understood."
        if status >= 500:  # our own fault
            _log.error("the simulator failed", exc_info=exc)
            code, text = "internal.server.error", "The simulator failed."
        correlation_id = uuid_for(id(request), "refused", status)
        answer = Answer(status, ApiError(status, code, text).body(correlation_id))
        response = to_response(answer, correlation_id)
        response.force_close()
        return response


class GateServer(web.Server):
    """aiohttp's low-level server; it also tells the gate when a connection is gone."""

    def __init__(self, gate: Gate) -> None:
        # Bodies are read here or not at all; aiohttp would go on reading them for a while,
        # and hold up the end of the simulator.
        super().__init__(gate.handle, access_log=None, max_line_size=1 << 16, lingering_time=0)
        self._gate = gate

    def __call__(self) -> web.RequestHandler:
        """The protocol of a new connection."""
        return _Protocol(self, loop=self._loop, **self._kwargs)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Let go of a stalled request whose client has left."""
        super().connection_lost(handler, exc)
        self._gate.forget(handler)


class Gate:
    """Handles the requests of one port."""

    def __init__(
        self,
        *,
        service: Service,
        recorder: Recorder,
        faults: FaultPlan,
        seed: int,
        host: Host,
        wall_clock: Callable[[], float] = time.time,
        login: Gate | None = None,
        login_prefix: str = "",
    ) -> None:
        """With `login`, requests for the login server, below its prefix, are handed over.

        The vendor's SDKs take such a gateway: one host, protocol and port, and a path prefix
        each for API and login (`gateway_configuration.py` of the Python SDK 269.0.0).
        """
        self._wall_clock = wall_clock
        self._service = service
        self._recorder = recorder
        self._faults = faults
        self._correlation_ids = Numbering(seed, host)
        self._is_login = host == "login"
        self._login = login
        # The API has nothing below /oauth/, so even two empty prefixes never clash.
        self._login_start = f"{login_prefix}/oauth/"
        self._running: set[asyncio.Task[Any]] = set()
        self._stalled: dict[Any, asyncio.Future[None]] = {}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if self._login is not None and request.raw_path.startswith(self._login_start):
            return await self._login.handle(request)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine of the server always has a task
        self._running.add(task)
        try:
            return await self._handle(request)
        finally:
            self._running.discard(task)

    def forget(self, connection: Any) -> None:
        """Tell whoever waits for it that a connection is gone."""
        waiting = self._stalled.pop(connection, None)
        if waiting is not None:
            waiting.set_result(None)
        if self._login is not None:
            self._login.forget(connection)

    async def cancel(self) -> None:
        """Cancel the requests in flight and wait until they are gone."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._login is not None:
            await self._login.cancel()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = _origin_form(request.raw_path).partition("?")
        headers = request.headers
        match = self._service.match(request.method, path)
        body, too_large, too_slow = b"", False, False
        fault, judged = None, False
        if request.body_exists:
            if self._faults.by_head:
                fault = self._faults.take(self._record(request, match, body))
                judged = True
            if fault is None or fault.drop != "before":
                if headers.get("Expect", "").lower() == "100-continue":
                    await request.writer.write(_GO_ON)
                try:
                    body, too_large = await _read(request.content)
                except TimeoutError:
                    too_slow = True
        correlation_id = self._correlation_ids.next()
        exchange = Exchange(request.method, path, query, headers, body, too_large, correlation_id)
        record = self._record(request, match, body)
        number = self._recorder.arrive(record)
        try:
            if too_slow:
                return self._hurry(number, correlation_id)
            if not judged:
                fault = self._faults.take(record)
            if fault is not None:
                return await self._spoil(request, exchange, match, number, fault)
            answer = self._service.answer(exchange, match)
            self._recorder.finish(number, answer.status, None)
            if answer.upgrade is not None:
                return await self._upgraded(request, answer.upgrade, half_open=False)
            return self._response(answer, correlation_id)
        finally:
            self._recorder.end(number)

    def _record(self, request: web.BaseRequest, match: Any, body: bytes) -> RecordedRequest:
        headers = request.headers
        return RecordedRequest(
            method=request.method,
            target=_TOKEN_IN_QUERY.sub("***", request.raw_path),
            path_template=None if match is None else match.route.template,
            headers=_masked(request),
            body=body,
            token_label=self._service.label(headers),
            received_at=asyncio.get_running_loop().time(),
        )

    def _hurry(self, number: int, correlation_id: str) -> web.StreamResponse:
        """Refuse a request whose body is too slow; what comes of it later is not wanted."""
        answer = _TOO_SLOW.answer(correlation_id, login=self._is_login)
        self._recorder.finish(number, answer.status, None)
        response = self._response(answer, correlation_id)
        response.force_close()
        return response

    def _response(self, answer: Answer, correlation_id: str) -> web.Response:
        """The response, its `Date` by the clock that the dates in bodies are by."""
        response = to_response(answer, correlation_id)
        response.headers.setdefault("Date", http_date(int(self._wall_clock())))
        return response

    async def _spoil(
        self, request: web.BaseRequest, exchange: Exchange, match: Any, number: int, fault: Fault
    ) -> web.StreamResponse:
        """Let a fault have its way with a request."""
        self._recorder.finish(number, None, fault)
        seconds = fault.seconds
        if seconds > 0:
            await asyncio.sleep(seconds)
        if fault.after_effect:
            self._service.answer(exchange, match)
        if fault.raw_answer is not None:
            _write_raw(request, fault.raw_answer)
        if fault.stall:
            await self._stall(request)
        elif fault.raw_answer is not None:
            _hang_up(request)
        elif fault.drop == "before":
            reset(request.transport)
        elif fault.drop == "after":
            self._service.answer(exchange, match)
            reset(request.transport)
        else:
            return await self._answer_spoilt(request, exchange, match, number, fault)
        return web.Response()

    async def _answer_spoilt(
        self, request: web.BaseRequest, exchange: Exchange, match: Any, number: int, fault: Fault
    ) -> web.StreamResponse:
        answer = self._spoilt_answer(exchange, match, fault)
        if fault.drop is None:
            self._recorder.finish(number, answer.status, fault)
            if answer.upgrade is not None:
                return await self._upgraded(request, answer.upgrade, half_open=fault.half_open)
        if fault.spoils_delivery:
            return await self._deliver(request, answer, exchange.correlation_id, fault)
        return self._response(answer, exchange.correlation_id)

    def _spoilt_answer(self, exchange: Exchange, match: Any, fault: Fault) -> Answer:
        if fault.gzip_bomb is not None:
            return gzip_bomb(fault.gzip_bomb)
        if not fault.scripted:
            return self._service.answer(exchange, match)
        return fault.answer(exchange.correlation_id, login=self._is_login)

    async def _deliver(
        self, request: web.BaseRequest, answer: Answer, correlation_id: str, fault: Fault
    ) -> web.StreamResponse:
        """Send an answer slowly, with a wrong length, in half, or as the last sign of life."""
        bodiless = request.method == "HEAD" or answer.status in (204, 304)
        plan = delivery(b"" if bodiless else answer.body, fault)
        headers = self._response(answer, correlation_id).headers
        headers["Content-Length"] = str(plan.declared)
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        for piece in plan.pieces:
            if plan.pause and await self._left(request, plan.pause):
                return response
            await response.write(piece)
        _write_raw(request, plan.surplus)
        if fault.half_open:
            await self._stall(request)
        elif not plan.complete:
            _hang_up(request)
        return response

    async def _upgraded(
        self, request: web.BaseRequest, upgrade: Upgrade, *, half_open: bool
    ) -> web.StreamResponse:
        """Serve a WebSocket; one that went silent stays so until the client has left."""
        response = await upgrade(request, half_open)
        if response is None:
            await self._stall(request)
            return web.Response()
        return response

    async def _stall(self, request: web.BaseRequest) -> None:
        """Be deaf and mute until the client has left or the simulator is closed."""
        deafen(request)
        await self._left(request)

    async def _left(self, request: web.BaseRequest, seconds: float | None = None) -> bool:
        """Whether the client has left, after waiting for it for so many seconds."""
        if request.transport is None:
            return True
        gone = asyncio.get_running_loop().create_future()
        self._stalled[request.protocol] = gone
        try:
            done, _ = await asyncio.wait({gone}, timeout=seconds)
        finally:
            self._stalled.pop(request.protocol, None)
        return bool(done)


@lru_cache(maxsize=16)
def http_date(epoch_seconds: int) -> str:
    """E.g. `Mon, 07 Mar 2022 08:15:03 GMT`, the form of the `Date` header."""
    return formatdate(epoch_seconds, usegmt=True)


def _origin_form(target: str) -> str:
    """A target without the `http://host` that proxies put before it (RFC 9112, 3.2.2)."""
    if target.startswith("/") or "://" not in target:
        return target
    return f"/{target.partition('://')[2].partition('/')[2]}"


def to_response(answer: Answer, correlation_id: str) -> web.Response:
    """The response with the headers every answer of the vendor has."""
    headers = {**_COMMON_HEADERS, _CORRELATION: correlation_id, **answer.headers}
    if not answer.body:
        del headers["Content-Type"]
    return web.Response(status=answer.status, body=answer.body, headers=headers)


def _masked(request: web.BaseRequest) -> Mapping[str, str]:
    """Headers without credentials; of `Authorization` a known scheme stays."""
    headers = request.headers
    secret = [name for name in _SECRETS if name in headers]
    if not secret:
        return headers
    masked = headers.copy()
    for name in secret:
        scheme, space, _ = headers[name].partition(" ")
        known = space and scheme.lower() in ("bearer", "basic")
        masked[name] = f"{scheme} ***" if known else "***"
    return masked


async def _read(content: StreamReader) -> tuple[bytes, bool]:
    """The body and whether it is too large, when nothing of it is kept; or TimeoutError.

    It is read to its end all the same: a client that is still sending would rather see the
    connection break than the answer.
    """
    if content.is_eof():  # it came together with the head, as nearly always
        body = content.read_nowait()
        return (b"", True) if len(body) > MAX_BODY_BYTES else (body, False)
    chunks: list[bytes] = []
    size = 0
    async with asyncio.timeout(BODY_SECONDS):
        async for chunk in content.iter_any():
            size += len(chunk)
            chunks.append(chunk)
            if size > MAX_BODY_BYTES:
                chunks.clear()
    return b"".join(chunks), size > MAX_BODY_BYTES


def reset(transport: asyncio.Transport | None) -> None:
    """Reset a connection, so that the client sees ECONNRESET and no farewell."""
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()


def _write_raw(request: web.BaseRequest, data: bytes) -> None:
    if request.transport is not None:
        request.transport.write(data)


def _hang_up(request: web.BaseRequest) -> None:
    """Close the connection once everything is written."""
    if request.transport is not None:
        request.transport.close()
