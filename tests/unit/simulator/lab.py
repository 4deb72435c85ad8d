"""A running simulator with a plain aiohttp session and a token, for tests."""

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

import aiohttp
import attrs
import orjson
import yarl
from clock import ClockLoop

from presence_async.simulator import Simulator

UNSET: Any = object()
CHANNELS = "/api/v2/notifications/channels"


@attrs.frozen
class Reply:
    """One answer, read whole."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        """The error code, after checking that the error body is complete and consistent."""
        error = self.json
        assert error["status"] == self.status
        assert error["contextId"] == self.headers["ININ-Correlation-Id"]
        assert isinstance(error["message"], str)
        code: str = error["code"]
        return code


@attrs.frozen
class Ear:
    """A client's end of the socket of a channel."""

    id: str
    socket: aiohttp.ClientWebSocketResponse

    async def hear(self, seconds: float = 1.0) -> list[Any]:
        """Return the JSON of all text frames that come within a time, or until the end."""
        heard = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for message in self.socket:
                    heard.append(orjson.loads(message.data))  # noqa: PERF401  kept at a timeout
        return heard

    async def events(self, suffix: str, seconds: float = 1.0) -> list[Any]:
        """Return the bodies of the events of one suffix that come within a time."""
        frames = await self.hear(seconds)
        return [one["eventBody"] for one in frames if one["topicName"].endswith(f".{suffix}")]

    @property
    def code(self) -> int | None:
        """The close code, 1006 after a reset; None while the socket is open."""
        return self.socket.close_code if self.socket.closed else None

    async def end(self, seconds: float = 100.0) -> int | None:
        """Return the close code once the server has ended the socket."""
        async with asyncio.timeout(seconds):
            async for _ in self.socket:
                pass
        return self.code


class Wire:
    """A WebSocket client that sends what it is told, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> tuple[int, bytes]:
        """Return status and head of an HTTP answer."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        return int(head.split(b" ")[1]), head

    async def frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of a frame; the server never masks and never splits."""
        first, size = await self.reader.readexactly(2)
        assert first & 0xF0 == 0x80
        if size > 125:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8))
        return first & 0x0F, await self.reader.readexactly(size)

    async def aclose(self) -> None:
        """Close the connection, whatever has become of it."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def masked(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Return a frame as a client sends it, its mask being of zeros (RFC 6455, 5.2)."""
    head = bytes([opcode | (0x80 if fin else 0)])
    if len(payload) < 126:
        return head + bytes([0x80 | len(payload)]) + bytes(4) + payload
    if len(payload) < 1 << 16:
        return head + b"\xfe" + len(payload).to_bytes(2) + bytes(4) + payload
    return head + b"\xff" + len(payload).to_bytes(8) + bytes(4) + payload


def handshake(path: str, **changes: str | None) -> bytes:
    """Return the request that opens a WebSocket, with some headers changed or left out."""
    headers: dict[str, str | None] = {
        "Host": "127.0.0.1",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    } | changes
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()


@attrs.frozen
class Lab:
    """A running simulator, a session and a token."""

    sim: Simulator
    http: aiohttp.ClientSession
    token: str
    ears: list[Ear] = attrs.field(factory=list, repr=False)

    async def aclose(self) -> None:
        """Close the sockets that are still open."""
        await asyncio.gather(*(ear.socket.close() for ear in self.ears))

    @property
    def user(self) -> str:
        """Some user."""
        return self.sim.user_ids[0]

    @property
    def loop(self) -> ClockLoop:
        """The clock."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ClockLoop)
        return loop

    async def call(
        self,
        method: str,
        target: str,
        *,
        json: Any = UNSET,
        body: bytes | None = None,
        token: str | None = UNSET,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send one API request; the target goes out as it is."""
        sent = {} if headers is None else dict(headers)
        bearer = self.token if token is UNSET else token
        if bearer is not None:
            sent.setdefault("Authorization", f"Bearer {bearer}")
        if json is not UNSET:
            body = orjson.dumps(json)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        url = yarl.URL(self.sim.base_url + target, encoded=True)
        return await self._send(method, url, body, sent)

    async def channel(self, *topics: str, token: str | None = UNSET) -> dict[str, Any]:
        """Create a channel, subscribe it, and return it as the API shows it."""
        reply = await self.call("POST", CHANNELS, token=token)
        assert reply.status == 200
        channel: dict[str, Any] = reply.json
        if topics:
            reply = await self.subscribe(channel["id"], topics, token=token)
            assert reply.status == 200
        return channel

    async def subscribe(
        self, channel_id: str, topics: Iterable[Any], method: str = "POST", **options: Any
    ) -> Reply:
        """Subscribe a channel; `query` is appended to the address."""
        target = f"{CHANNELS}/{channel_id}/subscriptions{options.pop('query', '')}"
        return await self.call(method, target, json=[{"id": name} for name in topics], **options)

    async def connect(self, channel: dict[str, Any], **options: Any) -> Ear:
        """Open the socket of a channel."""
        ear = Ear(channel["id"], await self.http.ws_connect(channel["connectUri"], **options))
        self.ears.append(ear)
        return ear

    async def listen(self, *topics: str) -> Ear:
        """Create a channel, subscribe it, and open its socket."""
        return await self.connect(await self.channel(*topics))

    async def wire(self, sent: bytes = b"") -> Wire:
        """Open a raw connection to the streaming host and send something."""
        host, port = self.sim.streaming_url.removeprefix("ws://").split(":")
        wire = Wire(*await asyncio.open_connection(host, int(port)))
        wire.writer.write(sent)
        return wire

    async def login(
        self, form: dict[str, str], basic: tuple[str, str] | None = UNSET, **options: Any
    ) -> Reply:
        """Ask for a token, by default as the built-in client."""
        headers = options.pop("headers", {})
        if basic is UNSET:
            basic = (self.sim.client_id, self.sim.client_secret)
        if basic is not None:
            encoded = base64.b64encode(":".join(basic).encode()).decode()
            headers["Authorization"] = f"Basic {encoded}"
        url = f"{self.sim.login_url}/oauth/token"
        async with self.http.post(url, data=form, headers=headers, **options) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    async def _send(self, method: str, url: yarl.URL, body: Any, headers: Any) -> Reply:
        async with self.http.request(
            method, url, data=body, headers=headers, allow_redirects=False
        ) as answer:
            return Reply(answer.status, answer.headers, await answer.read())


OpenLab: TypeAlias = Callable[..., Awaitable[Lab]]
Pick: TypeAlias = Callable[[str], str]
