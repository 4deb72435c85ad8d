"""The streaming service: sockets of notification channels, on a host of its own.

Who knows the address may connect. That a second socket disconnects the first is said in the
vendor's forum (thread 10312); the closing notice is known from the .NET SDK's
`NotificationHandler.cs` and koodaamo/genesys-notifications, the heartbeat from the vendor's CLI
(`listenchannel.go`), the ping from the .NET SDK, its answer and the subscribe message from
koodaamo/genesys-notifications only. Periods, close codes and the body of the notice are published
nowhere.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from presence_async.simulator.errors import ApiError, bad_request
from presence_async.simulator.events import CLOSING_TOPIC, HEARTBEAT, PONG, system_message
from presence_async.simulator.exchange import Answer
from presence_async.simulator.gate import reset
from presence_async.simulator.services import Route, Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from presence_async.simulator.channels import Channel, Channels
    from presence_async.simulator.exchange import Exchange
    from presence_async.simulator.switches import Switches

# Frames waiting for a client that does not read. A server would not keep more for anybody.
BACKLOG = 10_000
# A client that has not taken the goodbye by then is cut off.
GOODBYE_SECONDS = 10.0
# Longest message a client may send; there is nothing long to say.
_MESSAGE_BYTES = 1 << 16
_ENDING = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


class Socket:
    """The connection of a channel."""

    def __init__(
        self, request: web.BaseRequest, channel: Channel, channels: Channels, switches: Switches
    ) -> None:
        self.channel = channel
        self._request = request
        self._channels = channels
        self._switches = switches
        self._frames: list[bytes] = []
        self._wake = asyncio.Event()
        self._close_code: int | None = None
        self._silent = False
        self._timers: list[asyncio.TimerHandle] = []

    def send(self, text: bytes) -> bool:
        """Send one frame and return whether it did; who leaves too many unread is cut off."""
        if self._silent or self._close_code is not None:
            return False
        self._queue(text)
        if len(self._frames) > BACKLOG:
            self.drop()
        return True

    def close(self, code: int | None = None) -> None:
        """Close cleanly once everything is sent, by default with the code of the switch."""
        if self._close_code is None and not self._silent:
            self._close_code = self._switches.socket_close_code if code is None else code
            self._wake.set()
            self.after(GOODBYE_SECONDS, self.drop)

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        """Do something later, unless the socket is gone by then."""
        self._timers.append(asyncio.get_running_loop().call_later(seconds, callback))

    def drop(self) -> None:
        """Reset the connection without a goodbye."""
        reset(self._request.transport)

    def freeze(self) -> None:
        """Go silent: nothing is sent or understood any more, and nobody is told."""
        self._silent = True
        self._frames.clear()

    async def run(self, *, half_open: bool) -> web.StreamResponse | None:
        """Upgrade the request and serve the socket to its end; None if it went silent."""
        # Answering pings and goodbyes is ours, because a frozen socket does neither.
        connection = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=False, max_msg_size=_MESSAGE_BYTES
        )
        try:
            writer = await connection.prepare(self._request)
            if half_open:
                self.freeze()
            async with asyncio.TaskGroup() as group:
                sender = group.create_task(self._send_all(connection, writer.drain))
                await self._receive_all(connection)
                sender.cancel()
        finally:
            for timer in self._timers:
                timer.cancel()
        return None if self._silent else connection

    async def _send_all(
        self, connection: web.WebSocketResponse, drain: Callable[[], Awaitable[None]]
    ) -> None:
        # The client may be gone, which the reader sees too.
        with contextlib.suppress(ConnectionError):
            while self._frames or self._close_code is None:
                if not self._frames:
                    self._wake.clear()
                    await self._wake.wait()
                # At once: frame by frame costs five times as much under a flood of events.
                flood, self._frames = b"".join(self._frames), []
                if self._request.transport is not None:
                    self._request.transport.write(flood)
                await drain()
            await connection.close(code=self._close_code)

    async def _receive_all(self, connection: web.WebSocketResponse) -> None:
        """Hear the client until it says goodbye, is gone, or was said goodbye to."""
        # It may be gone when its ping is answered.
        with contextlib.suppress(ConnectionError):
            while True:
                message = await connection.receive()
                if message.type in _ENDING:
                    break
                if message.type is WSMsgType.PING and not self._silent:
                    await connection.pong(message.data)
                elif message.type is WSMsgType.TEXT and not self._silent:
                    self._hear(message.data)
            if message.type is WSMsgType.CLOSE and not self._silent:
                await connection.close(code=message.data or WSCloseCode.OK)

    def _hear(self, text: str) -> None:
        """Answer a message; what makes no sense is ignored."""
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            return
        kind = message.get("message") if isinstance(message, dict) else None
        if kind == "ping":
            self.send(PONG)
        elif kind == "subscribe" and self._switches.in_band_subscribe:
            # Not `send`: that the channel is gone is the last word of a closing socket.
            self._queue(orjson.dumps(self._subscribe(message)))

    def _queue(self, text: bytes) -> None:
        self._frames.append(_framed(text))
        self._wake.set()

    def _subscribe(self, message: dict[str, Any]) -> dict[str, Any]:
        """The answer to a subscribe message."""
        answer = {"correlationId": message.get("correlationId")}
        topics = message.get("topics")
        channel = self._channels.find(self.channel.id)
        if channel is None:
            gone = {"result": "404", "status": "failure", "message": "There is no such channel"}
            return answer | gone
        if not isinstance(topics, list) or not all(isinstance(name, str) for name in topics):
            text = "topics must be an array of strings"
            return answer | {"result": "400", "status": "failure", "message": text}
        try:
            self._channels.subscribe(
                channel, topics, channel.token, replace=False, ignore_errors=False
            )
        except ApiError as error:
            return answer | {"result": "400", "status": "error", "message": error.message}
        return answer | {"result": "200", "status": "subscribed"}


def _framed(text: bytes) -> bytes:
    """A text message as one frame without a mask (RFC 6455, 5.2)."""
    size = len(text)
    if size < 126:
        return bytes((0x81, size)) + text
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2) + text
    return b"\x81\x7f" + size.to_bytes(8) + text


SOCKET_TEMPLATE = "/channels/{channelId}"
# Between the closing notice and the close there is about a minute (.NET and Java handlers).
NOTICE_SECONDS = 60.0


class Streaming(Service):
    """Everything behind the streaming address, and the means to disturb it.

    Each method that disturbs takes a channel id, or None for every socket, and returns how
    many sockets it struck.
    """

    def __init__(self, channels: Channels, switches: Switches, lifetime: float | None) -> None:
        super().__init__([Route("GET", SOCKET_TEMPLATE, self._upgrade)], "", switches.error_body)
        self._channels = channels
        self._switches = switches
        self._lifetime = lifetime
        self._open: dict[str, Socket] = {}
        self._ticker: asyncio.TimerHandle | None = None

    def _upgrade(self, exchange: Exchange, channel_id: str) -> Answer:
        """The upgrade of a living channel's socket, or raise why there is none."""
        if not _is_handshake(exchange.headers):
            raise bad_request("This address is for WebSockets")
        channel = self._channels.find(channel_id)
        if channel is None:
            status = self._switches.refused_upgrade_status
            code = {401: "authentication.required", 404: "not.found"}[status]
            raise ApiError(status, code, "There is no such channel")
        return Answer(101, upgrade=partial(self._serve, channel))

    @property
    def connected(self) -> tuple[str, ...]:
        """The ids of the channels that have a socket, in order of connection."""
        return tuple(self._open)

    def notice(self, channel_id: str | None = None) -> int:
        """Announce the end of sockets; they close a minute later."""
        return self._each(channel_id, self._announce_end)

    def close(self, channel_id: str | None = None, code: int | None = None) -> int:
        """Close sockets cleanly, by default with the code of the switch."""
        return self._each(channel_id, lambda socket: socket.close(code))

    def drop(self, channel_id: str | None = None) -> int:
        """Reset connections without a goodbye."""
        return self._each(channel_id, Socket.drop)

    def freeze(self, channel_id: str | None = None) -> int:
        """Make sockets half-open: nothing is sent or answered, and nobody is told."""
        return self._each(channel_id, Socket.freeze)

    def send(self, text: str, channel_id: str | None = None) -> int:
        """Send any text to clients, whatever they may make of it."""
        return self._each(channel_id, lambda socket: socket.send(text.encode()))

    def expire(self, channel_id: str | None = None) -> int:
        """Make channels lapse at once, connected or not; returns how many there were."""
        channels = [one for one in self._channels.all() if channel_id in (None, one.id)]
        for channel in channels:
            self._channels.remove(channel)
        return len(channels)

    def stop(self) -> None:
        """Stop the heartbeat; again is harmless."""
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None

    def _each(self, channel_id: str | None, strike: Callable[[Socket], object]) -> int:
        struck = [one for key, one in self._open.items() if channel_id in (None, key)]
        for socket in struck:
            strike(socket)
        return len(struck)

    def _announce_end(self, socket: Socket) -> None:
        body = {}
        if self._switches.closing_notice == "full":
            body = {"channelId": socket.channel.id, "message": "The socket is about to close."}
        socket.send(system_message(CLOSING_TOPIC, body))
        socket.after(NOTICE_SECONDS, socket.close)

    async def _serve(
        self,
        channel: Channel,
        request: web.BaseRequest,
        half_open: bool,  # noqa: FBT001  the gate's call
    ) -> web.StreamResponse | None:
        """Connect a channel; a socket it had before is closed."""
        socket = Socket(request, channel, self._channels, self._switches)
        before, channel.sink = channel.sink, socket
        self._channels.touch(channel)
        self._open.pop(channel.id, None)
        self._open[channel.id] = socket
        if before is not None:
            before.close()
        if self._lifetime is not None:
            socket.after(self._lifetime, lambda: self._announce_end(socket))
        if self._ticker is None:
            self._tick_later()
        try:
            return await socket.run(half_open=half_open)
        finally:
            if channel.sink is socket:
                channel.sink = None
                del self._open[channel.id]
            if not self._open:
                self.stop()

    def _tick_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._ticker = loop.call_later(self._switches.heartbeat_seconds, self._tick)

    def _tick(self) -> None:
        """One heartbeat for every socket; the last one of a channel that lapsed meanwhile."""
        for socket in self._open.values():
            socket.send(HEARTBEAT)
        self._channels.remove_lapsed()
        self._tick_later()


def _is_handshake(headers: Mapping[str, str]) -> bool:
    """Whether a request opens a WebSocket (RFC 6455, 4.2.1)."""
    try:
        nonce = base64.b64decode(headers.get("Sec-WebSocket-Key", ""), validate=True)
    except ValueError:
        return False
    options = headers.get("Connection", "").lower().split(",")
    return (
        headers.get("Upgrade", "").lower() == "websocket"
        and "upgrade" in [option.strip() for option in options]
        and headers.get("Sec-WebSocket-Version") == "13"
        and len(nonce) == 16
    )
