"""Helpers that tests import: `from support import client_for`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clock import leftovers

from presence_async import ClientCredentials, PresenceClient

if TYPE_CHECKING:
    import asyncio

    from presence_async.simulator import Simulator


def check_no_leftovers(loop: asyncio.AbstractEventLoop) -> None:
    """Fail when a task, a socket or a timer is still alive."""
    assert leftovers() == []
    selector: Any = getattr(loop, "_selector", None)
    if selector is not None:  # uvloop has none
        own = loop._ssock.fileno()  # type: ignore[attr-defined]
        assert [key.fd for key in selector.get_map().values() if key.fd != own] == []
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert timers == []


def client_for(simulator: Simulator, **options: Any) -> PresenceClient:
    """A client for `simulator`, not entered yet; `options` win over the usual ones."""
    usual: dict[str, Any] = {
        "base_url": simulator.base_url,
        "login_url": simulator.login_url,
        "allow_loopback_http": True,
        "auth": ClientCredentials(simulator.client_id, simulator.client_secret),
    }
    return PresenceClient(**(usual | options))
