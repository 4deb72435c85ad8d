"""One WebSocket of a notification channel: frames out, the client's few messages in.

The ping is that of the .NET SDK's `NotificationHandler.cs`; its answer and the undocumented
subscribe message are written down in koodaamo/genesys-notifications only.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from presence_async.simulator.errors import ApiError
from presence_async.simulator.events import PONG
from presence_async.simulator.gate import reset

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from presence_async.simulator.channels import Channel, Channels
    from presence_async.simulator.switches import Switches

# Frames waiting for a client that does not read. A server would not keep more for anybody.
BACKLOG = 10_000
# A client that has not taken the goodbye by then is cut off.
GOODBYE_SECONDS = 10.0
# Longest message a client may send; there is nothing long to say.
_MESSAGE_BYTES = 1 << 16
_ENDING = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


class Socket:
    """The connection of a channel.

    Args:
        request: The handshake.
        channel: The channel.
        channels: All of them, for subscriptions sent over the socket.
        switches: Close code and undocumented messages.
    """

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
        """Send one frame; a client that leaves too many unread is cut off.

        Returns:
            False from a socket that is closing or silent.
        """
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
        """Upgrade the request and serve the socket to its end.

        Args:
            half_open: Go silent as soon as it is open.

        Returns:
            The finished response, None for a socket that went silent and stays so.
        """
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
        """Return the answer to a subscribe message."""
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
    """Return a text message as one frame without a mask (RFC 6455, 5.2)."""
    size = len(text)
    if size < 126:
        return bytes((0x81, size)) + text
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2) + text
    return b"\x81\x7f" + size.to_bytes(8) + text
