"""The ports of a simulator: all open or none, and closed at once with nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from presence_async.simulator.gate import Gate, GateServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from presence_async.simulator.faults import FaultPlan
    from presence_async.simulator.recorder import Recorder
    from presence_async.simulator.services import Service

# Requests in flight are cancelled and connections reset before aiohttp starts to wait; zero
# would mean "for ever".
_SHUTDOWN_SECONDS = 0.05
# Loop turns until aborted transports and their tasks are gone.
_SETTLING_TURNS = 5


class Listener:
    """A port behind which a gate answers."""

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
        """Base address without a slash at its end; RuntimeError while the port is closed."""
        if self._runner is None:
            raise RuntimeError("the simulator is not running")
        scheme = "http" if self._ssl_context is None else "https"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self._runner.addresses[0][1]}{self._prefix}"

    async def start(self) -> None:
        """Open the port; RuntimeError if it is open already, OSError if it cannot be opened."""
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
    """Whether an address to listen on cannot be reached from other machines."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Ports:
    """The API, the login server and the sockets, each on a port of its own."""

    def __init__(
        self,
        services: tuple[Service, Service, Service],
        numbers: tuple[int, int | None, int],
        prefixes: tuple[str, str],
        *,
        host: str,
        ssl_context: ssl.SSLContext | None,
        recorder: Recorder,
        faults: FaultPlan,
        seed: int,
        wall_clock: Callable[[], float],
    ) -> None:
        api, login, sockets = services
        port, login_port, streaming_port = numbers
        self._prefix, self._login_prefix = prefixes
        gate = partial(Gate, recorder=recorder, faults=faults, seed=seed, wall_clock=wall_clock)
        listener = partial(Listener, host=host, ssl_context=ssl_context)
        login_gate = gate(service=login, host="login")
        api_gate = gate(service=api, host="api")
        if login_port is None:
            api_gate = gate(
                service=api, host="api", login=login_gate, login_prefix=self._login_prefix
            )
        self._api = listener(api_gate, port=port, prefix=self._prefix)
        streaming_gate = gate(service=sockets, host="streaming")
        self._streaming = listener(streaming_gate, port=streaming_port, prefix="")
        self._login = self._api
        self._all = [self._api, self._streaming]
        if login_port is not None:
            self._login = listener(login_gate, port=login_port, prefix=self._login_prefix)
            self._all.append(self._login)

    @property
    def base_url(self) -> str:
        """Base address of the API, prefix included; RuntimeError while it is closed."""
        return self._api.url

    @property
    def login_url(self) -> str:
        """Base address of the login server, prefix included; RuntimeError while it is closed."""
        if self._login is self._api:
            return self._api.url.removesuffix(self._prefix) + self._login_prefix
        return self._login.url

    @property
    def streaming_url(self) -> str:
        """Base address of the sockets, `ws` or `wss`; RuntimeError while it is closed."""
        return self._streaming.url.replace("http", "ws", 1)

    async def start(self) -> None:
        """Open all ports; none is open when one cannot be, which is an OSError."""
        async with contextlib.AsyncExitStack() as opened:
            for listener in self._all:
                await listener.start()
                opened.push_async_callback(listener.aclose)
            opened.pop_all()

    async def aclose(self) -> None:
        """Close all ports and every connection, whatever they are doing."""
        async with contextlib.AsyncExitStack() as closing:  # each, whatever becomes of one
            for listener in self._all:
                closing.push_async_callback(listener.aclose)
