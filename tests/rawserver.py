"""A server that tests script byte by byte: `from rawserver import RawServer, ok`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Any

import attrs

from presence_async import PresenceClient, StaticToken, routes
from presence_async.wire import Request

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Self

    from presence_async.routes import Route
    from presence_async.wire import Response

# One operation of each kind: what may be repeated and what may not.
REPEATABLE = {
    "GET": routes.GET_PURECLOUD_PRESENCE,
    "PUT": routes.REPLACE_DEFINITION,
    "DELETE": routes.DELETE_DEFINITION,
}
ONCE = {
    "PATCH": routes.UPDATE_PURECLOUD_PRESENCE,
    "POST": routes.CREATE_DEFINITION,
    "BULK": routes.BULK_UPDATE,
}
EVERY_KIND = REPEATABLE | ONCE


@attrs.frozen
class RawRequest:
    """One request as it came.

    Attributes:
        line: The request line.
        fields: Header fields in their order, names in lower case.
        connection: Number of the connection, from 1.
        at: Loop time of its arrival.
    """

    line: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    connection: int
    at: float

    def __getitem__(self, name: str) -> str | None:
        return dict(self.fields).get(name.lower())


@attrs.frozen
class Reply:
    """What to do with a request: write, then perhaps close, reset or say nothing more."""

    data: bytes = b""
    then: str = "keep"  # "keep", "close", "reset", "stall"


def ok(body: bytes = b"{}", *fields: str, status: str = "200 OK", then: str = "keep") -> Reply:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return Reply("\r\n".join(lines).encode() + body, then)


CLOSE, RESET, STALL = Reply(then="close"), Reply(then="reset"), Reply(then="stall")


class RawServer:
    """Answers requests one after the other as scripted; the last reply is repeated.

    Args:
        replies: What each request gets, whatever its connection; or one callable.
        ssl_context: Serve TLS with it.
    """

    def __init__(
        self,
        *replies: Reply | Callable[[RawRequest], Reply],
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._replies = replies
        self._ssl = ssl_context
        self.requests: list[RawRequest] = []
        self.connections = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._ssl)
        self.port = self._server.sockets[0].getsockname()[1]
        scheme = "http" if self._ssl is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._connection(reader, writer))
        self._tasks.add(task)
        # The task of this callback must end well: Python 3.11 reports a cancelled one.
        await asyncio.wait({task})
        self._tasks.discard(task)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    request = await _read(reader, number)
                    reply = self._reply(request)
                    self.requests.append(request)
                    writer.write(reply.data)
                    if reply.then == "stall":
                        await reader.read()
                    if reply.then == "reset":
                        linger = struct.pack("ii", 1, 0)
                        raw = writer.get_extra_info("socket")
                        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    if reply.then != "keep":
                        with contextlib.suppress(ConnectionError):
                            await writer.drain()
                        return
        finally:
            if writer.transport.get_write_buffer_size():
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
            writer.transport.abort()

    def _reply(self, request: RawRequest) -> Reply:
        reply = self._replies[min(len(self.requests), len(self._replies) - 1)]
        return reply if isinstance(reply, Reply) else reply(request)


async def _read(reader: asyncio.StreamReader, connection: int) -> RawRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.rstrip("\r\n").split("\r\n")
    pairs = [field.partition(":") for field in rest]
    fields = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
    length = int(dict(fields).get("content-length", "0"))
    body = await reader.readexactly(length)
    return RawRequest(line, fields, body, connection, asyncio.get_running_loop().time())


def raw_client(server: RawServer | str, **options: Any) -> PresenceClient:
    """A client with a static token for a raw server or address, not entered yet."""
    usual: dict[str, Any] = {
        "base_url": server if isinstance(server, str) else server.url,
        "allow_loopback_http": True,
        "auth": StaticToken("static-token"),
    }
    return PresenceClient(**(usual | options))


async def send(client: PresenceClient, route: Route, target: str = "/any") -> Response:
    """Send one request of a kind past the resource modules."""
    body = b'{"a":1}' if route.method in {"PATCH", "POST", "PUT"} else None
    return await client._session.send(Request(route, target, body), client._options)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn, without letting time pass, until `condition` holds."""
    while not condition():  # noqa: ASYNC110  # an event would need a hand in what is observed
        await asyncio.sleep(0)


def spent(client: PresenceClient) -> int:
    """Permits that are not free, whether or not a Retry-After pauses everybody just now."""
    ledger = client._session._limiter._ledger
    return ledger.limit - ledger.free(asyncio.get_running_loop().time())


def refused_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
