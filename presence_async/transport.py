"""One HTTP exchange: the only importer of aiohttp's client side.

Reads the body whole, gives the connection back on every path, and turns what aiohttp
raises into our errors. Never follows a redirect (aiohttp would carry the token along) and
never lets aiohttp send a request a second time by itself.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import ssl as ssl_module
from typing import TYPE_CHECKING, Any, Final, cast

import aiohttp
from aiohttp.payload import BytesPayload
from yarl import URL

from presence_async.errors import (
    ClosedError,
    ConfigurationError,
    DecodeError,
    PresenceConnectionError,
    PresenceError,
    PresenceTimeoutError,
)
from presence_async.secret import MaskedStr
from presence_async.wire import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.client_middlewares import ClientHandlerType
    from aiohttp.client_proto import ResponseHandler

    from presence_async.config import ClientConfig, ProxySettings
    from presence_async.routes import Route

__all__ = ["Exchange", "Transport"]

_LOGGER: Final = logging.getLogger("presence_async.transport")
# They say who we are, where to, or how our bodies are to be read.
_OURS: Final = (
    "Authorization",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "Expect",
    "Host",
    "Proxy-Authorization",
    "Transfer-Encoding",
)
# What aiohttp itself sends a second time on a connection that turns out to be dead.
_RESENT_BY_AIOHTTP: Final = frozenset({"GET", "PUT", "DELETE"})
# Aborted connections end in the next turns of the loop; this is only a safety net.
_ABORT_SECONDS: Final = 1.0


class _OnceError(Exception):
    """Carries what a send failed with past aiohttp, which sends again on some of it."""

    def __init__(self, reason: aiohttp.ClientError | OSError) -> None:
        super().__init__()
        self.reason = reason


async def _once(
    request: aiohttp.ClientRequest, handler: ClientHandlerType
) -> aiohttp.ClientResponse:
    """Client middleware against a second send: each wire request has a permit of its own."""
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError) as error:
        raise _OnceError(error) from None


class _Body(BytesPayload):
    """A JSON body that tells when it starts to leave: before that, nothing took effect."""

    def __init__(self, value: bytes, exchange: Exchange, content_type: str) -> None:
        super().__init__(value, content_type=content_type)
        self._exchange = exchange

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        self._exchange.sent = True
        await super().write_with_length(writer, content_length)


class Exchange:
    """What is known about one wire request, also when it ends in an exception.

    Attributes:
        sent: The request may have reached the other side.
        stale: The connection was lost without an answer. Most often it is a kept one
            that the other side had closed meanwhile.
    """

    __slots__ = ("sent", "stale")

    def __init__(self) -> None:
        self.sent = False
        self.stale = False


def _refuse_unsuited(session: aiohttp.ClientSession) -> None:
    """A caller's session must not change what we send or how answers are judged."""
    if not isinstance(session, aiohttp.ClientSession):
        raise ConfigurationError(
            f"session must be an aiohttp.ClientSession, not {type(session).__name__}"
        )
    loop = asyncio.get_running_loop()
    ours = [name for name in _OURS if name in session.headers]
    unsuited = [
        reason
        for reason, present in (
            ("is closed", session.closed),
            ("belongs to another event loop", getattr(session, "_loop", loop) is not loop),
            ("has raise_for_status", session.raise_for_status is not False),
            ("has a base URL", getattr(session, "_base_url", None) is not None),
            ("keeps cookies (give it a DummyCookieJar)", _keeps_cookies(session)),
            ("has default auth", session.auth is not None),
            ("has trust_env, which sends .netrc credentials", session.trust_env),
            ("does not decompress", not session.auto_decompress),
            ("has a proxy of its own (give it to the client)", _has_proxy(session)),
            (f"has default headers that are ours to set ({', '.join(ours)})", bool(ours)),
        )
        if present
    ]
    if unsuited:
        raise ConfigurationError(f"the given ClientSession {', '.join(unsuited)}")


def _has_proxy(session: aiohttp.ClientSession) -> bool:
    return getattr(session, "_default_proxy", None) is not None


def _keeps_cookies(session: aiohttp.ClientSession) -> bool:
    return not isinstance(session.cookie_jar, aiohttp.DummyCookieJar)


class Transport:
    """Sends one request at a time over one aiohttp session, its own or the caller's."""

    def __init__(self, config: ClientConfig, session: aiohttp.ClientSession | None) -> None:
        """Must be called on the running loop.

        Raises:
            ConfigurationError: The caller's session has settings that would break us.
        """
        if session is not None:
            _refuse_unsuited(session)
        self._connector: _Connector | None = None
        if session is None:
            self._connector = _Connector(
                config.connect_timeout, limit=config.pool_size, keepalive_timeout=config.keep_alive
            )
            session = aiohttp.ClientSession(
                connector=self._connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        self._session = session
        self._untunnelled: dict[str, str] = {}
        self._limit = config.max_response_bytes
        self._options: dict[str, Any] = {
            "allow_redirects": False,
            "raise_for_status": False,
            # No total: the call's own deadline covers it, and a total would also run
            # while the request waits for a connection.
            "timeout": aiohttp.ClientTimeout(
                total=None, sock_connect=config.connect_timeout, sock_read=config.read_timeout
            ),
        }
        if config.ssl is not None:
            self._options["ssl"] = config.ssl
        if config.proxy is not None:
            self._options["proxy"] = URL(config.proxy.url)
            self._options["proxy_headers"] = _proxy_headers(config.proxy)
            # Without a tunnel (plain http, so to this machine) they go into the request.
            self._untunnelled = self._options["proxy_headers"]

    async def aclose(self) -> None:
        """Close the session and its sockets, unless they are the caller's."""
        if self._connector is None:
            return
        try:
            await self._session.close()
        finally:
            await self._connector.abort()

    async def exchange(
        self,
        route: Route,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        exchange: Exchange,
    ) -> Response:
        """Send one request and read its whole answer.

        Args:
            route: Names the operation in errors.
            url: Complete and percent-encoded already.
            headers: All header fields to send, Content-Type of a body among them.
            body: The body, or None.
            exchange: Filled in as the request proceeds, for callers that see it fail.

        Raises:
            PresenceConnectionError: No connection, or it broke before the answer's end.
            PresenceTimeoutError: The connection or the next byte did not come in time.
            DecodeError: The answer is longer than the configured limit.
        """
        failure: PresenceError
        try:
            response = await self._request(route.method, url, headers, body, exchange)
            try:
                content = await self._read(response)
            finally:
                # Gives the connection back after a complete read, closes it otherwise.
                response.release()
            if response.status != 407 or "proxy" not in self._options:
                return Response(response.status, response.headers, content)
            exchange.sent = False  # no further than the proxy
            failure = PresenceConnectionError(_proxy_reason(response.status))
        except _OnceError as wrapped:
            exchange.stale = _is_stale(wrapped.reason)
            failure = self._failure(wrapped.reason, exchange)
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            failure = self._failure(error, exchange)
        except _TooLongError:
            failure = DecodeError(f"the answer is longer than {self._limit} bytes")
        except RuntimeError:
            if not self._session.closed:
                raise
            exchange.sent = False
            failure = ClosedError("the given ClientSession was closed")
        # Raised out here, so that no aiohttp exception (they print tokens and queries)
        # hangs on to ours as its context.
        failure.method, failure.path_template = route.method, route.template
        raise failure

    async def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        exchange: Exchange,
    ) -> aiohttp.ClientResponse:
        data = None
        if body is None:
            exchange.sent = True
        else:
            data = _Body(body, exchange, headers["Content-Type"])
        if self._untunnelled and url.startswith("http:"):
            headers = {**headers, **self._untunnelled}
        return await self._session.request(
            method,
            URL(url, encoded=True),
            headers=headers,
            data=data,
            # Also keeps the middlewares of a caller's session out of our requests.
            middlewares=(_once,) if method in _RESENT_BY_AIOHTTP else (),
            **self._options,
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body, or _TooLongError before much more than the limit is in memory."""
        length = response.content_length
        if length is not None and "Content-Encoding" not in response.headers:
            if length > self._limit:
                response.close()
                raise _TooLongError
            return await response.read()
        chunks = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self._limit:
                response.close()
                raise _TooLongError
            chunks.append(chunk)
        return b"".join(chunks)

    def _failure(self, error: Exception, exchange: Exchange) -> PresenceError:
        """Our error for one of aiohttp's. Their texts are left out: they hold addresses."""
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            exchange.sent = False
            return PresenceTimeoutError("the connection could not be opened in time")
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientProxyConnectionError):
            exchange.sent = False
            return PresenceConnectionError(_connect_reason(error))
        if isinstance(error, aiohttp.ClientHttpProxyError):
            exchange.sent = False
            return PresenceConnectionError(_proxy_reason(error.status))
        if isinstance(error, TimeoutError):
            return PresenceTimeoutError("the server stopped answering")
        cause = error.__cause__
        if isinstance(cause, ssl_module.SSLError):
            return PresenceConnectionError(_tls_reason(cause))
        _LOGGER.debug("exchange failed with %s", type(error).__name__)
        return PresenceConnectionError(
            f"the connection broke before the answer was complete ({type(error).__name__})"
        )


def _is_stale(error: aiohttp.ClientError | OSError) -> bool:
    """True when a connection that was open is lost without an answer."""
    return isinstance(
        error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError
    ) and not isinstance(error, aiohttp.ClientConnectorError)


class _TooLongError(Exception):
    """The body is over the limit."""


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


def _proxy_reason(status: int) -> str:
    if status == 407:
        return "the proxy wants other credentials (407)"
    return f"the proxy refused to connect ({status})"


def _proxy_headers(proxy: ProxySettings) -> dict[str, str]:
    """Credentials for the proxy and nobody else; not as `proxy_auth`, which prints them."""
    if proxy.username is None:
        return {}
    pair = f"{proxy.username}:{proxy.password.reveal() if proxy.password else ''}".encode()
    return {"Proxy-Authorization": MaskedStr(f"Basic {base64.b64encode(pair).decode()}")}


class _Connector(aiohttp.TCPConnector):
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
            protocol = await super()._create_connection(*args)
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
