"""The streaming service: sockets of notification channels, on a host of its own.

Clients send no header to it: who knows the address may connect. That a second socket disconnects
the first is said in the vendor's forum (thread 10312); the closing notice is known from the .NET
SDK's `NotificationHandler.cs` and koodaamo/genesys-notifications, the heartbeat from the vendor's
CLI (`listenchannel.go`). Periods, close codes and the body of the notice are published nowhere.
"""

from __future__ import annotations

import asyncio
import base64
from functools import partial
from typing import TYPE_CHECKING

import attrs

from presence_async.simulator.api import error_answer, unrouted
from presence_async.simulator.errors import ApiError, bad_request
from presence_async.simulator.events import CLOSING_TOPIC, HEARTBEAT, system_message
from presence_async.simulator.exchange import Answer
from presence_async.simulator.paths import Match, PathTable, decode
from presence_async.simulator.sockets import Socket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web

    from presence_async.simulator.channels import Channel, Channels
    from presence_async.simulator.exchange import Exchange
    from presence_async.simulator.switches import Switches

SOCKET_TEMPLATE = "/channels/{channelId}"
# Between the closing notice and the close there is about a minute (.NET and Java handlers).
NOTICE_SECONDS = 60.0


@attrs.frozen
class Door:
    """The one address of the streaming host."""

    template: str = SOCKET_TEMPLATE


class Streaming:
    """Everything behind the streaming address, and the means to disturb it.

    Each method that disturbs takes a channel id, or None for every socket, and returns how
    many sockets it struck.

    Args:
        channels: The channels.
        switches: Heartbeat, closing notice, close code, refused upgrades.
        lifetime: Seconds until a socket gets its closing notice by itself; None for never.
    """

    def __init__(
        self,
        *,
        channels: Channels,
        switches: Switches,
        lifetime: float | None,
    ) -> None:
        self._channels = channels
        self._switches = switches
        self._lifetime = lifetime
        self._table: PathTable[Door] = PathTable()
        self._table.add("GET", SOCKET_TEMPLATE, Door())
        self.route_keys = [f"GET {SOCKET_TEMPLATE}"]
        self._open: dict[str, Socket] = {}
        self._ticker: asyncio.TimerHandle | None = None

    def match(self, method: str, path: str) -> Match[Door] | None:
        """Return the match of a method and raw path, or None."""
        return self._table.match(method, path)

    def label(self, headers: Mapping[str, str]) -> str | None:  # noqa: ARG002  shared protocol
        """Return None: a socket carries no token, its address is the credential."""
        return None

    def answer(self, exchange: Exchange, match: Match[Door] | None) -> Answer:
        """Return the upgrade of a living channel's socket, or why there is none."""
        try:
            if match is None:
                raise unrouted(self._table, exchange.path)
            if not _is_handshake(exchange.headers):
                raise bad_request("This address is for WebSockets")
            channel = self._channels.find(decode(match.raw_values[0]))
            if channel is None:
                raise self._refusal()
        except ApiError as error:
            smallest = self._switches.error_body == "smallest"
            return error_answer(error, exchange.correlation_id, smallest=smallest)
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

    def _refusal(self) -> ApiError:
        status = self._switches.refused_upgrade_status
        code = {401: "authentication.required", 404: "not.found"}[status]
        return ApiError(status, code, "There is no such channel")

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
    """Return whether a request opens a WebSocket (RFC 6455, 4.2.1)."""
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
