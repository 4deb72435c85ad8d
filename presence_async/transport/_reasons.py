"""What aiohttp raises, as errors of our tree. Their texts are left out: they hold addresses."""

from __future__ import annotations

import logging
import os
import ssl as ssl_module
from typing import Final

import aiohttp

from presence_async.errors import PresenceConnectionError, PresenceError, PresenceTimeoutError

_LOGGER: Final = logging.getLogger("presence_async.transport")
SILENT: Final = "the server stopped answering"


class OnceError(Exception):
    """Carries what a send failed with past aiohttp, which sends again on some of it."""

    def __init__(self, reason: aiohttp.ClientError | OSError) -> None:
        super().__init__()
        self.reason = reason


def translated(error: Exception) -> tuple[PresenceError, bool]:
    """Our error, and whether the request may have been sent all the same."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return PresenceTimeoutError("the connection could not be opened in time"), False
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientProxyConnectionError):
        return PresenceConnectionError(_connect_reason(error)), False
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return PresenceConnectionError(proxy_reason(error.status)), False
    if isinstance(error, TimeoutError):
        return PresenceTimeoutError(SILENT), True
    cause = error.__cause__
    if isinstance(cause, ssl_module.SSLError):
        return PresenceConnectionError(_tls_reason(cause)), True
    _LOGGER.debug("exchange failed with %s", type(error).__name__)
    reason = f"the connection broke before the answer was complete ({type(error).__name__})"
    return PresenceConnectionError(reason), True


def is_stale(error: aiohttp.ClientError | OSError) -> bool:
    """True when a connection that was open is lost without an answer."""
    return isinstance(
        error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError
    ) and not isinstance(error, aiohttp.ClientConnectorError)


def _connect_reason(error: aiohttp.ClientConnectorError) -> str:
    """Why no connection could be opened, without the address."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "the server's certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name cannot be resolved"
    cause = error.os_error
    if isinstance(cause, ssl_module.SSLError):
        return _tls_reason(cause)
    where = " to the proxy" if isinstance(error, aiohttp.ClientProxyConnectionError) else ""
    # Not `cause.strerror`: asyncio writes the address into it.
    reason = os.strerror(cause.errno) if cause.errno else type(cause).__name__
    return f"no connection{where} ({reason})"


def _tls_reason(error: ssl_module.SSLError) -> str:
    return f"TLS failed ({error.reason or type(error).__name__})"


def proxy_reason(status: int) -> str:
    """Why the proxy did not let the request through."""
    if status == 407:
        return "the proxy wants other credentials (407)"
    return f"the proxy refused to connect ({status})"
