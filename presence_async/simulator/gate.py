"""Between aiohttp's low-level server and a service: reading, recording, faults, writing.

Nothing of the vendor is decided here. A service answers synchronously, so whatever one
request changes is changed at once, and a fault only decides when and whether the client
hears of it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from presence_async.simulator.errors import ApiError
from presence_async.simulator.exchange import MAX_BODY_BYTES, Answer, Exchange
from presence_async.simulator.identity import Numbering, uuid_for
from presence_async.simulator.recorder import RecordedRequest
from presence_async.simulator.wreckage import cut_off, gzip_bomb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from presence_async.simulator.faults import Fault, FaultPlan
    from presence_async.simulator.recorder import Recorder

_log = logging.getLogger("presence_async.simulator")

_COMMON_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
}
_CORRELATION = "ININ-Correlation-Id"
# SO_LINGER on with zero seconds: closing sends a reset instead of a goodbye.
_RESET = struct.pack("ii", 1, 0)


class Service(Protocol):
    """What answers behind a gate."""

    def match(self, method: str, path: str) -> Any:
        """Return the matched route or None."""
        ...

    def label(self, headers: Mapping[str, str]) -> str | None:
        """Return the label of the token a request carries."""
        ...

    def answer(self, exchange: Exchange, match: Any) -> Answer:
        """Return the answer."""
        ...


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
        super().__init__(gate.handle, access_log=None, max_line_size=1 << 16)
        self._gate = gate

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return _Protocol(self, loop=self._loop, **self._kwargs)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Let go of a stalled request whose client has left."""
        super().connection_lost(handler, exc)
        self._gate.forget(handler)


class Gate:
    """Handles the requests of one port.

    Args:
        service: Answers them.
        recorder: Notes them.
        faults: Spoils them.
        seed: Makes correlation ids repeatable.
        login: Whether this is the login server, which words its errors differently.
    """

    def __init__(
        self,
        *,
        service: Service,
        recorder: Recorder,
        faults: FaultPlan,
        seed: int,
        login: bool,
    ) -> None:
        self._service = service
        self._recorder = recorder
        self._faults = faults
        self._correlation_ids = Numbering(seed, "login" if login else "api")
        self._login = login
        self._running: set[asyncio.Task[Any]] = set()
        self._stalled: dict[Any, asyncio.Future[None]] = {}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine of the server always has a task
        self._running.add(task)
        try:
            return await self._handle(request)
        finally:
            self._running.discard(task)

    def forget(self, connection: Any) -> None:
        """End the stall of a connection that is gone."""
        stalled = self._stalled.pop(connection, None)
        if stalled is not None and not stalled.done():
            stalled.set_result(None)

    async def cancel(self) -> None:
        """Cancel the requests in flight and wait until they are gone."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body, too_large = await _read(request)
        path, _, query = request.raw_path.partition("?")
        headers = request.headers
        correlation_id = self._correlation_ids.next()
        exchange = Exchange(request.method, path, query, headers, body, too_large, correlation_id)
        match = self._service.match(request.method, path)
        record = RecordedRequest(
            method=request.method,
            target=request.raw_path,
            path_template=None if match is None else match.route.template,
            headers=_masked(request),
            body=body,
            token_label=self._service.label(headers),
            received_at=asyncio.get_running_loop().time(),
        )
        number = self._recorder.arrive(record)
        fault = self._faults.take(record)
        if fault is not None:
            return await self._spoil(request, exchange, match, number, fault)
        answer = self._service.answer(exchange, match)
        self._recorder.finish(number, answer.status, None)
        return to_response(answer, correlation_id)

    async def _spoil(
        self, request: web.BaseRequest, exchange: Exchange, match: Any, number: int, fault: Fault
    ) -> web.StreamResponse:
        """Let a fault have its way with a request."""
        self._recorder.finish(number, None, fault)
        seconds = fault.seconds
        if seconds > 0:
            await asyncio.sleep(seconds)
        if fault.raw_answer is not None:
            _write_raw(request, fault.raw_answer)
        if fault.stall:
            await self._stall(request)
            return web.Response()
        if fault.raw_answer is not None:
            _hang_up(request)
            return web.Response()
        if fault.drop == "before":
            _abort(request)
            return web.Response()
        answer = self._spoilt_answer(exchange, match, fault)
        if fault.drop == "after":
            _abort(request)
            return web.Response()
        if fault.drop == "mid_body":
            head = to_response(answer, exchange.correlation_id).headers
            _write_raw(request, cut_off(answer, head))
            _hang_up(request)
            return web.Response()
        self._recorder.finish(number, answer.status, fault)
        return to_response(answer, exchange.correlation_id)

    def _spoilt_answer(self, exchange: Exchange, match: Any, fault: Fault) -> Answer:
        if fault.gzip_bomb is not None:
            return gzip_bomb(fault.gzip_bomb)
        if not fault.scripted:
            return self._service.answer(exchange, match)
        if fault.after_effect:
            self._service.answer(exchange, match)
        return fault.answer(exchange.correlation_id, login=self._login)

    async def _stall(self, request: web.BaseRequest) -> None:
        """Wait until the client has left or the simulator is closed."""
        if request.transport is None:
            return
        stalled = asyncio.get_running_loop().create_future()
        self._stalled[request.protocol] = stalled
        try:
            await stalled
        finally:
            self._stalled.pop(request.protocol, None)


def to_response(answer: Answer, correlation_id: str) -> web.Response:
    """Return the response with the headers every answer of the vendor has."""
    headers = {**_COMMON_HEADERS, _CORRELATION: correlation_id, **answer.headers}
    if not answer.body:
        del headers["Content-Type"]
    return web.Response(status=answer.status, body=answer.body, headers=headers)


def _masked(request: web.BaseRequest) -> Mapping[str, str]:
    """Return the headers without credentials; the scheme of `Authorization` stays."""
    authorization = request.headers.get("Authorization")
    if authorization is None:
        return request.headers
    headers = request.headers.copy()
    headers["Authorization"] = f"{authorization.partition(' ')[0]} ***"
    return headers


async def _read(request: web.BaseRequest) -> tuple[bytes, bool]:
    """Return the body and whether it is too large, in which case it is left unread."""
    if not request.body_exists:
        return b"", False
    chunks = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            return b"", True
        chunks.append(chunk)
    return b"".join(chunks), False


def _abort(request: web.BaseRequest) -> None:
    """Reset the connection, so that the client sees ECONNRESET and no farewell."""
    transport = request.transport
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
