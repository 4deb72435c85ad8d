"""Helpers that tests import: `from support import client_for`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from presence_async import ClientCredentials, PresenceClient

if TYPE_CHECKING:
    from presence_async.simulator import Simulator


def client_for(simulator: Simulator, **options: Any) -> PresenceClient:
    """A client for `simulator`, not entered yet; `options` win over the usual ones."""
    usual: dict[str, Any] = {
        "base_url": simulator.base_url,
        "login_url": simulator.login_url,
        "allow_loopback_http": True,
        "auth": ClientCredentials(simulator.client_id, simulator.client_secret),
    }
    return PresenceClient(**(usual | options))
