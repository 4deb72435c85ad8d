"""One HTTP exchange: the only importer of aiohttp's client side.

Reads the body whole, gives the connection back on every path, and turns what aiohttp
raises into our errors. Never follows a redirect (aiohttp would carry the token along) and
never lets aiohttp send a request a second time by itself.
"""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.payload import BytesPayload
from multidict import CIMultiDict
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
from presence_async.silence import Silence
from presence_async.transport._connector import Connector
from presence_async.transport._reasons import (
    SILENT,
    OnceError,
    is_stale,
    proxy_reason,
    translated,
)
from presence_async.transport._sockets import Socket
from presence_async.wire import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.client_middlewares import ClientHandlerType
    from aiohttp.connector import Connection

    from presence_async.config import ClientConfig, ProxySettings
    from presence_async.routes import Route
    from presence_async.secret import Secret

__all__ = ["Exchange", "Socket", "Transport"]

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
# How connections are made, whatever goes over them.
_NETWORK: Final = ("ssl", "proxy", "proxy_headers")
_SESSION_CLOSED: Final = "the given ClientSession was closed"
# What aiohttp itself sends a second time on a connection that turns out to be dead.
_RESENT_BY_AIOHTTP: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
# Two for a token; a few more while a new one takes its place.
_PREPARED_AT_MOST: Final = 8


class _TooLongError(Exception):
    """The body is over the limit."""


_EXPECTED: Final = (
    OnceError,
    _TooLongError,
    aiohttp.ClientError,
    OSError,
    asyncio.IncompleteReadError,
    RuntimeError,
)


async def _once(
    request: aiohttp.ClientRequest, handler: ClientHandlerType
) -> aiohttp.ClientResponse:
    """Client middleware against a second send: each wire request has a permit of its own.

    For a caller's session; on our own the same is done in `_watched`, at less cost.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError) as error:
        raise OnceError(error) from None


def _watched(silence: Silence) -> type[aiohttp.ClientResponse]:
    """The class of the answers in our own session: watched over, and asked for once only."""

    class Answer(aiohttp.ClientResponse):
        async def start(self, connection: Connection) -> aiohttp.ClientResponse:
            silence.begin(connection)
            try:
                return await super().start(connection)
            except (aiohttp.ClientError, OSError) as error:
                raise OnceError(error) from None

    return Answer


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
    cookies = not isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
    proxy = getattr(session, "_default_proxy", None)
    unsuited = [
        reason
        for reason, present in (
            ("is closed", session.closed),
            ("belongs to another event loop", getattr(session, "_loop", loop) is not loop),
            ("has raise_for_status", session.raise_for_status is not False),
            ("has a base URL", getattr(session, "_base_url", None) is not None),
            ("keeps cookies (give it a DummyCookieJar)", cookies),
            ("has default auth", session.auth is not None),
            ("has trust_env, which sends .netrc credentials", session.trust_env),
            ("does not decompress", not session.auto_decompress),
            ("has a proxy of its own (give it to the client)", proxy is not None),
            (f"has default headers that are ours to set ({', '.join(ours)})", bool(ours)),
        )
        if present
    ]
    if unsuited:
        raise ConfigurationError(f"the given ClientSession {', '.join(unsuited)}")


class Transport:
    """Sends one request at a time over one aiohttp session, its own or the caller's."""

    def __init__(self, config: ClientConfig, session: aiohttp.ClientSession | None) -> None:
        """Must be called on the running loop.

        Raises:
            ConfigurationError: The caller's session has settings that would break us.
        """
        if session is not None:
            _refuse_unsuited(session)
        self._silence = Silence(asyncio.get_running_loop(), config.read_timeout)
        self._connector: Connector | None = None
        self._options: dict[str, Any] = {"allow_redirects": False}
        # No total: the call's own deadline covers it, and a total would also run while the
        # request waits for a connection.
        timeout = aiohttp.ClientTimeout(
            total=None,
            sock_connect=config.connect_timeout,
            sock_read=None if session is None else config.read_timeout,  # see `_watched`
        )
        if session is None:
            self._connector = Connector(
                config.connect_timeout, limit=config.pool_size, keepalive_timeout=config.keep_alive
            )
            session = aiohttp.ClientSession(
                connector=self._connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                response_class=_watched(self._silence),
                timeout=timeout,
            )
        else:
            self._options["timeout"] = timeout
            # Also keeps the session's own middlewares out of our requests.
            self._options["middlewares"] = (_once,)
        self._session = session
        self._connect_timeout = config.connect_timeout
        self._limit = config.max_response_bytes
        self._lodgers: list[Socket] = []  # sockets over the caller's connector
        self._untunnelled: dict[str, str] = {}
        self._prepared: dict[int, tuple[Mapping[str, str], CIMultiDict[str]]] = {}
        if config.ssl is not None:
            self._options["ssl"] = config.ssl
        if config.proxy is not None:
            self._options["proxy"] = URL(config.proxy.url)
            self._options["proxy_headers"] = _proxy_headers(config.proxy)
            # Without a tunnel (plain http, so to this machine) they go into the request.
            self._untunnelled = self._options["proxy_headers"]

    async def aclose(self) -> None:
        """Close the session and its sockets, unless they are the caller's."""
        self._silence.close()
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
        answer: Response | None = None
        failure: PresenceError
        options = self._options
        if body is None:
            exchange.sent = True
        else:
            data = _Body(body, exchange, headers["Content-Type"])
            options = {**options, "data": data}
        try:
            response = await self._session.request(
                route.method,
                URL(url, encoded=True),
                headers=self._fields(url, headers),
                **options,
            )
            # Mostly the answer is here as a whole, and its connection is back already.
            whole = response.content.is_eof()
            content = response.content.read_nowait() if whole else await self._read(response)
            if len(content) > self._limit:
                raise _TooLongError  # `_read` does so as well
            if response.status == 407 and "proxy" in self._options:
                exchange.sent = False  # no further than the proxy
                failure = PresenceConnectionError(proxy_reason(response.status))
            else:
                answer = Response(response.status, response.headers, content)
        except _EXPECTED as error:
            failure = self._failure(error, route, exchange)
        finally:
            broken_off = self._silence.end()
        if broken_off:
            exchange.stale = False
            failure = PresenceTimeoutError(SILENT)
        elif answer is not None:
            return answer
        # Raised out here, so that no aiohttp exception (they print tokens and queries)
        # hangs on to ours as its context.
        failure.method, failure.path_template = route.method, route.template
        raise failure

    async def open_socket(self, connect_uri: Secret, headers: Mapping[str, str]) -> Socket:
        """Open a WebSocket with the same TLS and proxy settings, on a connection of its own.

        Raises:
            PresenceConnectionError: No connection, or it was refused, with `status`.
            PresenceTimeoutError: The connection did not come in time.
            ConfigurationError: The caller's session has no connection to spare for it.
            ClosedError: The caller's session was closed.
        """
        own = None if self._connector is None else Connector(self._connect_timeout, limit=1)
        connector = own or self._session.connector
        if connector is None:
            raise ClosedError(_SESSION_CLOSED)
        if own is None:
            self._check_room(connector)
        network = {name: value for name, value in self._options.items() if name in _NETWORK}
        fields = CIMultiDict(self._session.headers)
        fields.update(headers)
        socket = Socket(connector, own=own, connect_timeout=self._connect_timeout)
        if own is None:
            self._lodgers.append(socket)
        try:
            await socket.open(connect_uri, fields, network)
        except BaseException:
            await socket.aclose()
            raise
        return socket

    def _check_room(self, connector: aiohttp.BaseConnector) -> None:
        """A socket keeps its connection; with all of them kept, no request would ever go out."""
        self._lodgers = [socket for socket in self._lodgers if not socket.ended]
        for limit in (connector.limit, connector.limit_per_host):
            if 0 < limit <= len(self._lodgers) + 1:
                raise ConfigurationError(
                    f"the given ClientSession has a connector for {limit} connections: each "
                    "WebSocket keeps one, and requests need some"
                )

    def _fields(self, url: str, headers: Mapping[str, str]) -> CIMultiDict[str]:
        """The header fields as aiohttp wants them; those of a token are made once."""
        known, fields = self._prepared.get(id(headers), (None, None))
        if fields is None or known is not headers:
            fields = CIMultiDict(headers)
            if url.startswith("http:"):
                fields.update(self._untunnelled)
            if len(self._prepared) >= _PREPARED_AT_MOST:
                self._prepared.clear()
            self._prepared[id(headers)] = headers, fields
        return fields

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body as it comes, to its end or not much further than the limit."""
        chunks = []
        size = 0
        try:
            length = response.content_length or 0
            if length > self._limit and "Content-Encoding" not in response.headers:
                raise _TooLongError
            while size <= self._limit and (chunk := await response.content.readany()):
                self._silence.heard()
                size += len(chunk)
                chunks.append(chunk)
        finally:
            # Gives the connection back after a complete read, closes it otherwise.
            response.release()
        return b"".join(chunks)

    def _failure(self, error: Exception, route: Route, exchange: Exchange) -> PresenceError:
        """Our error for what an exchange failed with, and what that says about it."""
        if isinstance(error, _TooLongError):
            return DecodeError(f"the answer is longer than {self._limit} bytes")
        if isinstance(error, RuntimeError):
            if not self._session.closed:
                raise error
            exchange.sent = False
            return ClosedError(_SESSION_CLOSED)
        if isinstance(error, OnceError):
            error = error.reason
            exchange.stale = route.method in _RESENT_BY_AIOHTTP and is_stale(error)
        failure, may_be_sent = translated(error)
        exchange.sent = exchange.sent and may_be_sent
        return failure


def _proxy_headers(proxy: ProxySettings) -> dict[str, str]:
    """Credentials for the proxy and nobody else; not as `proxy_auth`, which prints them."""
    if proxy.username is None:
        return {}
    pair = f"{proxy.username}:{proxy.password.reveal() if proxy.password else ''}".encode()
    return {"Proxy-Authorization": MaskedStr(f"Basic {base64.b64encode(pair).decode()}")}
