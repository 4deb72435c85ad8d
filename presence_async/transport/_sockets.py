"""One WebSocket: opened, read and ended, with nothing left behind.

The address of a channel's socket is its only credential: it is in no error of ours, no token
goes along, and no redirect is followed.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from yarl import URL

from presence_async.errors import PresenceConnectionError, PresenceError
from presence_async.transport._reasons import OnceError, proxy_reason, translated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.client_middlewares import ClientHandlerType
    from multidict import CIMultiDict

    from presence_async.secret import Secret
    from presence_async.transport._connector import Connector

# Longer messages end the socket; no event is nearly as long.
_MESSAGE_BYTES: Final = 4_194_304
_SWITCHED: Final = 101
_TEXT: Final = aiohttp.WSMsgType.TEXT
_BINARY: Final = aiohttp.WSMsgType.BINARY
_EXPECTED: Final = (
    OnceError,
    aiohttp.ClientError,
    OSError,
    asyncio.IncompleteReadError,
    RuntimeError,
)
# An aborted connection ends in the next turns of the loop; this is only a safety net.
_ABORT_SECONDS: Final = 1.0


class _RefusedError(Exception):
    """The other side did not switch protocols."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class Socket:
    """A WebSocket over a connector, from `open` to `aclose`; both belong to one task."""

    def __init__(
        self, connector: aiohttp.BaseConnector, *, own: Connector | None, connect_timeout: float
    ) -> None:
        """Nothing is opened yet.

        Args:
            connector: Where the connection comes from.
            own: The same, if it is for this socket alone.
            connect_timeout: Seconds to open a connection.
        """
        self._http = aiohttp.ClientSession(
            connector=connector,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout),
            middlewares=(self._switch,),
        )
        self._own = own
        self.ended = False
        self._transport: asyncio.Transport | None = None
        self._gone: asyncio.Future[None] | None = None
        self._socket: aiohttp.ClientWebSocketResponse[Any] | None = None

    async def _switch(
        self, request: aiohttp.ClientRequest, handler: ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Client middleware: refusals end here, redirects included, and connections are known."""
        answer = await handler(request)
        if answer.status != _SWITCHED or answer.connection is None:
            answer.close()
            raise _RefusedError(answer.status)
        protocol = answer.connection.protocol
        self._transport = answer.connection.transport
        self._gone = None if protocol is None else protocol.closed
        return answer

    async def open(
        self, connect_uri: Secret, headers: CIMultiDict[str], options: Mapping[str, Any]
    ) -> None:
        """Connect and upgrade. How long that may take is the caller's business.

        Args:
            connect_uri: The address; that it is one that may be opened was checked.
            headers: Header fields of the upgrade; those for a proxy are added.
            options: TLS and proxy, as aiohttp takes them.

        Raises:
            PresenceConnectionError: No connection, or the upgrade was refused: `status`.
            PresenceTimeoutError: The connection did not come in time.
        """
        failure: PresenceError
        if connect_uri.reveal().startswith("ws:"):  # no tunnel, they go into the request
            headers.update(options.get("proxy_headers", {}))
        try:
            self._socket = await self._http.ws_connect(
                URL(connect_uri.reveal(), encoded=True),
                headers=headers,
                max_msg_size=_MESSAGE_BYTES,
                # What is not UTF-8 is an event that cannot be read, and no end of the socket.
                decode_text=False,
                **options,
            )
        except _RefusedError as error:
            # The proxy's refusal says nothing about the channel.
            if error.status == 407 and "proxy" in options:
                failure = PresenceConnectionError(proxy_reason(error.status))
            else:
                reason = f"the socket was refused ({error.status})"
                failure = PresenceConnectionError(reason, status=error.status)
        except _EXPECTED as error:
            failure, _ = translated(error.reason if isinstance(error, OnceError) else error)
        else:
            return
        # Raised out here, so that no aiohttp exception (they print addresses) is its context.
        raise failure

    async def receive(self) -> bytes | None:
        """The next message, or None at the end; pings and goodbyes are answered."""
        socket = self._socket
        if socket is None:
            return None
        message = await socket.receive()
        kind = message.type  # of an enum, whose hash is slow
        return message.data if kind is _TEXT or kind is _BINARY else None

    async def send(self, text: str) -> None:
        """Send a text; a socket that is gone swallows it, and whoever reads it will see."""
        with suppress(aiohttp.ClientError, OSError):
            if self._socket is not None:
                await self._socket.send_str(text)

    async def aclose(self) -> None:
        """Say goodbye without waiting for an answer, and end the connection; safe to repeat."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(0):  # at once, but the goodbye is written before
                    if self._socket is not None:
                        await self._socket.close()
        finally:
            self.ended = True
            self._http.detach()
            if self._transport is not None:
                self._transport.abort()
            try:
                if self._own is not None:
                    await self._own.close()
                    await self._own.abort()
            finally:
                await self._ended()

    async def _ended(self) -> None:
        if self._gone is not None:
            await asyncio.wait([self._gone], timeout=_ABORT_SECONDS)
            if self._gone.done():
                self._gone.exception()  # looked at, so that asyncio does not report it
