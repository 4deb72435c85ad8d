"""One listening port, opened and closed without anything left behind."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING

from aiohttp import web

from presence_async.simulator.gate import GateServer

if TYPE_CHECKING:
    import ssl

    from presence_async.simulator.gate import Gate

# Requests in flight are cancelled and connections reset before aiohttp starts to wait; zero
# would mean "for ever".
_SHUTDOWN_SECONDS = 0.05
# Loop turns until aborted transports and their tasks are gone.
_SETTLING_TURNS = 5


class Listener:
    """A port behind which a gate answers.

    Args:
        gate: Handles the requests.
        host: Address to listen on.
        port: Port to listen on, 0 for any.
        ssl_context: Serve https with it; None for http.
        prefix: Path prefix, shown in the address.
    """

    def __init__(
        self, gate: Gate, host: str, port: int, ssl_context: ssl.SSLContext | None, prefix: str
    ) -> None:
        self._gate = gate
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._prefix = prefix.rstrip("/")
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """Base address without a slash at its end.

        Raises:
            RuntimeError: If the port is not open.
        """
        if self._runner is None:
            raise RuntimeError("the simulator is not running")
        scheme = "http" if self._ssl_context is None else "https"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self._runner.addresses[0][1]}{self._prefix}"

    async def start(self) -> None:
        """Open the port.

        Raises:
            RuntimeError: If it is open already.
            OSError: If it cannot be opened.
        """
        if self._runner is not None:
            raise RuntimeError("the simulator is already running")
        runner = web.ServerRunner(GateServer(self._gate), shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        site = web.TCPSite(runner, self._host, self._port, ssl_context=self._ssl_context)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner

    async def aclose(self) -> None:
        """Close the port and every connection, whatever they are doing."""
        runner = self._runner
        if runner is None:
            return
        for site in list(runner.sites):
            await site.stop()
        for connection in runner.server.connections if runner.server is not None else ():
            if connection.transport is not None:
                connection.transport.abort()
        await self._gate.cancel()
        await runner.cleanup()
        self._runner = None  # not before: who was cancelled here can close again
        for _ in range(_SETTLING_TURNS):
            await asyncio.sleep(0)


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on cannot be reached from other machines."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
