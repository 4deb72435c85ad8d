"""The ports of a simulator: all open or none, and closed at once."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from presence_async.simulator.gate import Gate
from presence_async.simulator.gateway import Gateway
from presence_async.simulator.listener import Listener

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from presence_async.simulator.faults import FaultPlan
    from presence_async.simulator.gate import Service
    from presence_async.simulator.recorder import Recorder


class Ports:
    """The API, the login server and the sockets, each on a port of its own.

    Args:
        services: API, login server, sockets.
        numbers: Their ports, 0 for any; None for a login server on the API's port.
        prefixes: Path prefixes of API and login server, without a slash at the end.
        host: Address to listen on.
        ssl_context: Serve https and wss with it.
        recorder: Notes the requests.
        faults: Spoils them.
        seed: Makes correlation ids repeatable.
        wall_clock: Seconds since 1970, for the `Date` of the answers.
    """

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
            api_gate = Gateway(
                login_gate, self._login_prefix, service=api, host="api", **gate.keywords
            )
        self._api = listener(api_gate, port=port, prefix=self._prefix)
        self._streaming = listener(
            gate(service=sockets, host="streaming"), port=streaming_port, prefix=""
        )
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
        """Open all ports.

        Raises:
            OSError: If one cannot be opened; none is open then.
            RuntimeError: If they are open already.
        """
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
