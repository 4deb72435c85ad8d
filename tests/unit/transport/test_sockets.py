"""One WebSocket: how it opens, what it reads, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import traceback
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from rawserver import CLOSE, RESET, STALL, RawRequest, RawServer, Reply, ok, refused_port, until

from presence_async import (
    ClosedError,
    ConfigurationError,
    PresenceConnectionError,
    PresenceTimeoutError,
    ProxySettings,
    Secret,
)
from presence_async.config import ClientConfig, Endpoints
from presence_async.transport import Transport
from presence_async.transport._sockets import Socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CLEAN = b"\x88\x02\x03\xe9"


def upgrade(*frames: bytes, then: str = "stall") -> Any:
    """An answer that switches protocols and says these frames."""

    def answer(request: RawRequest) -> Reply:
        key = f"{request['sec-websocket-key']}{GUID}".encode()
        accept = base64.b64encode(hashlib.sha1(key).digest()).decode()  # noqa: S324  # RFC 6455
        head = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        return Reply(head.encode() + b"".join(frames), then)

    return answer


def text(data: bytes, opcode: int = 1) -> bytes:
    """A short frame."""
    return bytes((0x80 | opcode, len(data))) + data


def config_of(**options: Any) -> ClientConfig:
    """Settings for a server of this machine."""
    endpoints = Endpoints.of(
        region=None, base_url="http://127.0.0.1", login_url=None, allow_loopback_http=True
    )
    return ClientConfig(endpoints=endpoints, **options)


@asynccontextmanager
async def transport_of(
    session: aiohttp.ClientSession | None = None, **options: Any
) -> AsyncIterator[Transport]:
    """A transport that is closed in the end; nothing is left then."""
    transport = Transport(config_of(**options), session)
    try:
        yield transport
    finally:
        await transport.aclose()


def address(server: RawServer) -> Secret:
    """Where its socket is."""
    return Secret(f"ws://127.0.0.1:{server.port}/channels/canary")


HEADERS = {"User-Agent": "presence_async"}


async def test_what_is_sent() -> None:
    """The handshake, who we are, and no token."""
    async with RawServer(upgrade()) as server, transport_of() as transport:
        socket = await transport.open_socket(address(server), HEADERS)
        (request,) = server.requests
        assert request.line == "GET /channels/canary HTTP/1.1"
        assert {name for name, _ in request.fields} == {
            *("host", "user-agent", "upgrade", "connection", "accept", "accept-encoding"),
            *("sec-websocket-version", "sec-websocket-key"),
        }
        assert request["user-agent"] == "presence_async"
        await socket.aclose()


async def test_texts_until_the_end() -> None:
    """As bytes, UTF-8 or not; then None, again and again."""
    frames = [text(b"one"), text(b"", 9), text(b"\xff"), text(b"two", 2), CLEAN]
    async with RawServer(upgrade(*frames)) as server, transport_of() as transport:
        socket = await transport.open_socket(address(server), HEADERS)
        assert [await socket.receive() for _ in range(5)] == [b"one", b"\xff", b"two", None, None]
        await socket.aclose()


@pytest.mark.parametrize("then", ["reset", "close"])
async def test_a_connection_that_breaks(then: str) -> None:
    """Is the end; what is sent then is lost without a word."""
    async with RawServer(upgrade(text(b"one"), then=then)) as server, transport_of() as transport:
        socket = await transport.open_socket(address(server), HEADERS)
        assert [await socket.receive() for _ in range(2)] == [b"one", None]
        await socket.send("anybody there?")
        await socket.aclose()
        await socket.aclose()


async def test_a_message_that_is_too_long() -> None:
    """Ends the socket."""
    huge = b"\x82\x7f" + (5_000_000).to_bytes(8, "big")
    async with RawServer(upgrade(huge)) as server, transport_of() as transport:
        socket = await transport.open_socket(address(server), HEADERS)
        assert await socket.receive() is None
        await socket.aclose()


async def test_a_goodbye_that_nobody_answers() -> None:
    """It is said, and not waited for; a text before it arrives."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = [line.partition(": ") for line in lines]
        fields = tuple((name.lower(), value) for name, _, value in pairs)
        writer.write(upgrade()(RawRequest("", fields, b"", 1, 0.0)).data)
        while data := await reader.read(100):
            heard.append(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with transport_of() as transport:
        before = asyncio.get_running_loop().time()
        socket = await transport.open_socket(Secret(f"ws://127.0.0.1:{port}/"), HEADERS)
        await socket.send("hello")
        await socket.aclose()
        assert asyncio.get_running_loop().time() == before
        await until(lambda: b"".join(heard)[-8:-7] == b"\x88")
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("status", ["401 No", "404 No", "429 No", "302 Found", "200 OK"])
async def test_a_refusal(status: str) -> None:
    """Its status is told; a redirect is one, too, and followed by nobody."""
    reply = ok(b"canary", "Location: /elsewhere", status=status)
    async with RawServer(reply) as server, transport_of() as transport:
        with pytest.raises(PresenceConnectionError) as refused:
            await transport.open_socket(address(server), HEADERS)
        assert refused.value.status == int(status[:3])
        assert len(server.requests) == 1


BAD_HANDSHAKE = Reply(
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: wrong\r\n\r\n"
)


@pytest.mark.parametrize("reply", [RESET, CLOSE, BAD_HANDSHAKE, Reply(b"no HTTP\r\n\r\n", "close")])
async def test_what_goes_wrong_on_the_way(reply: Reply) -> None:
    """Is an error of ours without a status, and without the address anywhere."""
    async with RawServer(reply) as server, transport_of() as transport:
        with pytest.raises(PresenceConnectionError) as failed:
            await transport.open_socket(address(server), HEADERS)
        assert failed.value.status is None
        assert "canary" not in "".join(traceback.format_exception(failed.value))
        assert failed.value.__context__ is None


async def test_nobody_is_there() -> None:
    """The same."""
    async with transport_of() as transport:
        with pytest.raises(PresenceConnectionError, match="no connection"):
            await transport.open_socket(Secret(f"ws://127.0.0.1:{refused_port()}/"), HEADERS)


async def test_an_upgrade_that_never_comes_is_cancelled() -> None:
    """By whoever waits for it; nothing is left."""
    async with RawServer(STALL) as server, transport_of() as transport:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await transport.open_socket(address(server), HEADERS)
        await until(lambda: not server._tasks)


async def test_connecting_takes_so_long_at_most() -> None:
    """With a proxy that never answers, too."""
    async with (
        RawServer(STALL) as server,
        transport_of(proxy=ProxySettings(server.url), connect_timeout=5) as transport,
    ):
        with pytest.raises(PresenceTimeoutError):
            await transport.open_socket(Secret("wss://nowhere.test/"), HEADERS)


@pytest.mark.parametrize("reply", [CLOSE, ok(status="407 No"), ok(status="403 No")])
async def test_a_proxy_that_refuses(reply: Reply) -> None:
    """Says nothing about the channel: there is no status. It gets its credentials."""
    async with RawServer(reply) as server:
        proxy = ProxySettings(server.url, "user", "password")
        async with transport_of(proxy=proxy) as transport:
            with pytest.raises(PresenceConnectionError) as refused:
                await transport.open_socket(Secret("wss://nowhere.test/canary"), HEADERS)
        assert refused.value.status is None
        assert server.requests[0].line.startswith("CONNECT nowhere.test:443")
        assert server.requests[0]["proxy-authorization"]


async def test_a_proxy_without_a_tunnel() -> None:
    """Plain ws, so to this machine: the credentials go into the request, a 407 is its own."""
    async with RawServer(ok(status="407 No")) as server:
        proxy = ProxySettings(server.url, "user", "password")
        async with transport_of(proxy=proxy) as transport:
            with pytest.raises(PresenceConnectionError, match="other credentials") as refused:
                await transport.open_socket(Secret("ws://127.0.0.1:1/canary"), HEADERS)
        assert refused.value.status is None
        assert server.requests[0]["proxy-authorization"]


async def test_over_the_callers_session() -> None:
    """Its connector and headers are used, and it is not closed; a closed one is said to be so."""
    async with RawServer(upgrade(text(b"one"))) as server:
        session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), headers={"user-agent": "caller", "X-Mine": "1"}
        )
        async with transport_of(session) as transport:
            socket = await transport.open_socket(address(server), HEADERS)
            assert await socket.receive() == b"one"
            assert server.requests[0]["x-mine"] == "1"
            assert server.requests[0]["user-agent"] == "presence_async"
            await socket.aclose()
            assert not session.closed
            await session.close()
            with pytest.raises(ClosedError):
                await transport.open_socket(address(server), HEADERS)


@pytest.mark.parametrize("limits", [{"limit": 2}, {"limit": 0, "limit_per_host": 2}])
async def test_the_callers_connections_are_not_all_taken(limits: Any) -> None:
    """A socket keeps one; the last one is for requests. One that has ended is not counted."""
    async with RawServer(upgrade()) as server:
        session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(**limits)
        )
        async with session, transport_of(session) as transport:
            for _ in range(3):
                socket = await transport.open_socket(address(server), HEADERS)
                with pytest.raises(ConfigurationError, match="for 2 connections"):
                    await transport.open_socket(address(server), HEADERS)
                await socket.aclose()


async def test_before_it_is_open() -> None:
    """There is nothing to read, to send or to end."""
    connector = aiohttp.TCPConnector()
    socket = Socket(connector, own=None, connect_timeout=1.0)
    assert await socket.receive() is None
    await socket.send("text")
    await socket.aclose()
    await connector.close()


async def test_a_connection_that_will_not_go() -> None:
    """Nobody waits for it for long."""
    connector = aiohttp.TCPConnector()
    socket = Socket(connector, own=None, connect_timeout=1.0)
    loop = asyncio.get_running_loop()
    before = loop.time()
    socket._gone = loop.create_future()
    await socket.aclose()
    assert loop.time() - before == 1
    await connector.close()
