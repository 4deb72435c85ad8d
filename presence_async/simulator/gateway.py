"""The API and the login server behind one port, as behind a gateway of one's own.

The vendor's SDKs take such a gateway: one host, protocol and port, and a path prefix each for
the API and for login (`gateway_configuration.py` of the Python SDK 269.0.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from presence_async.simulator.gate import Gate

if TYPE_CHECKING:
    from aiohttp import web


class Gateway(Gate):
    """The gate of the API that passes requests for the login server on to its gate.

    Args:
        login_gate: Handles everything below `/oauth/`.
        login_prefix: Path prefix of the login server, empty for none.
        options: What `Gate` takes, for the API.
    """

    def __init__(self, login_gate: Gate, login_prefix: str, **options: Any) -> None:
        super().__init__(**options)
        self._login_gate = login_gate
        # The API has nothing below /oauth/, so even two empty prefixes never clash.
        self._login_start = f"{login_prefix}/oauth/"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, or have it answered."""
        if request.raw_path.startswith(self._login_start):
            return await self._login_gate.handle(request)
        return await super().handle(request)

    def forget(self, connection: Any) -> None:
        """End the stall of a connection that is gone, at whichever gate."""
        super().forget(connection)
        self._login_gate.forget(connection)

    async def cancel(self) -> None:
        """Cancel the requests in flight at both gates and wait until they are gone."""
        await super().cancel()
        await self._login_gate.cancel()
