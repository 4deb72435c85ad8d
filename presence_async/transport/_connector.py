"""Connections that are known until they are gone: one that closes may take its time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

import aiohttp

from presence_async.transport._reasons import OnceError

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler

# Aborted connections end in the next turns of the loop; this is only a safety net.
_ABORT_SECONDS: Final = 1.0


class Connector(aiohttp.TCPConnector):
    """Knows every connection until it is gone, so that none outlives the client.

    aiohttp forgets a connection when it closes it, but a TLS one whose other side keeps
    silent then takes half a minute to go.
    """

    def __init__(self, connect_timeout: float, **options: Any) -> None:
        super().__init__(**options)
        self._connect_timeout = connect_timeout
        self._alive: dict[asyncio.Future[None], asyncio.Transport] = {}

    async def _create_connection(self, *args: Any) -> ResponseHandler:
        # aiohttp's own timeouts leave out name look-ups and the answer of a proxy.
        async with asyncio.timeout(self._connect_timeout):
            try:
                protocol = await super()._create_connection(*args)
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
                raise OnceError(error) from None  # a proxy hung up
        closed = protocol.closed
        if closed is not None:  # else it is gone again already
            self._alive[closed] = cast("asyncio.Transport", protocol.transport)
            closed.add_done_callback(self._gone)
        return protocol

    def _gone(self, closed: asyncio.Future[None]) -> None:
        del self._alive[closed]
        # Looked at, so that asyncio does not report it as overlooked.
        closed.exception()

    async def abort(self) -> None:
        """End what is still alive, without any farewell, and wait for it."""
        for transport in self._alive.values():
            transport.abort()
        if self._alive:
            await asyncio.wait(list(self._alive), timeout=_ABORT_SECONDS)
