"""One exchange on the wire: what goes out, what comes back, and what every failure becomes."""

from __future__ import annotations

import asyncio
import gzip
import warnings
import zlib
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver
from rawserver import CLOSE, RESET, STALL, RawServer, Reply, ok, refused_port, until

from presence_async import routes
from presence_async.config import ClientConfig, Endpoints, ProxySettings
from presence_async.errors import (
    ClosedError,
    ConfigurationError,
    DecodeError,
    PresenceConnectionError,
    PresenceError,
    PresenceTimeoutError,
)
from presence_async.transport import Exchange, Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from presence_async.routes import Route
    from presence_async.wire import Response

GET, PATCH = routes.GET_PURECLOUD_PRESENCE, routes.UPDATE_PURECLOUD_PRESENCE
PUT, DELETE = routes.REPLACE_DEFINITION, routes.DELETE_DEFINITION
HEADERS = {"Accept": "application/json", "Content-Type": "application/json"}


@asynccontextmanager
async def opened(
    session: aiohttp.ClientSession | None = None, **options: Any
) -> AsyncIterator[Transport]:
    """A transport that is closed in the end."""
    config = ClientConfig(endpoints=Endpoints("https://api.test", None), **options)
    transport = Transport(config, session)
    try:
        yield transport
    finally:
        await transport.aclose()


async def attempt(
    transport: Transport, url: str, route: Route = GET
) -> tuple[Response | PresenceError, Exchange]:
    """One exchange: its response or its error, and what is known about it."""
    exchange = Exchange()
    body = b'{"a":1}' if route.method in {"PATCH", "PUT", "POST"} else None
    try:
        return await transport.exchange(route, f"{url}/x", HEADERS, body, exchange), exchange
    except PresenceError as error:
        return error, exchange


async def test_a_whole_answer_comes_back_and_the_connection_is_kept() -> None:
    """Status, headers in any case and body arrive; the next request shares the connection."""
    async with (
        RawServer(ok(b"[1]", "X-Y: z", status="418 Teapot")) as server,
        opened() as transport,
    ):
        for _ in range(3):
            response, exchange = await attempt(transport, server.url)
            assert (response.status, response.body) == (418, b"[1]")
            assert response.headers["x-y"] == "z"
            assert exchange.sent
            assert not exchange.stale
        assert server.connections == 1


CUT = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "close")
CUT_CHUNKED = Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}", "close")
NO_HTTP = Reply(b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "close")
NO_GZIP = ok(b"plain", "Content-Encoding: gzip")
HALF = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "stall")


@pytest.mark.parametrize("route", [GET, PATCH, PUT, DELETE], ids=lambda route: route.method)
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (CLOSE, PresenceConnectionError),
        (RESET, PresenceConnectionError),
        (CUT, PresenceConnectionError),
        (CUT_CHUNKED, PresenceConnectionError),
        (NO_HTTP, PresenceConnectionError),
        (NO_GZIP, PresenceConnectionError),
        (STALL, PresenceTimeoutError),
        (HALF, PresenceTimeoutError),
    ],
    ids=["close", "reset", "cut", "chunk", "no-http", "no-gzip", "stall", "half"],
)
async def test_a_broken_answer_is_one_error_after_one_send(
    reply: Reply, kind: type[PresenceError], route: Route
) -> None:
    """Whatever breaks, one request went out, one clean error comes, and it may have arrived."""
    loop = asyncio.get_running_loop()
    async with RawServer(reply) as server, opened(read_timeout=7) as transport:
        started = loop.time()
        error, exchange = await attempt(transport, server.url, route)
        assert type(error) is kind
        assert (error.method, error.path_template) == (route.method, route.template)
        assert error.__context__ is None
        assert error.__cause__ is None
        assert exchange.sent
        assert len(server.requests) == 1
        assert loop.time() - started == pytest.approx(
            7 if kind is PresenceTimeoutError else 0, abs=1
        )


@pytest.mark.parametrize("route", [GET, PUT, DELETE, PATCH], ids=lambda route: route.method)
@pytest.mark.parametrize("end", [CLOSE, RESET], ids=["close", "reset"])
async def test_aiohttp_never_sends_a_second_time_by_itself(route: Route, end: Reply) -> None:
    """A kept connection that dies under a request ends the exchange instead of repeating it."""
    async with RawServer(ok(), end, ok()) as server, opened() as transport:
        await attempt(transport, server.url)
        error, exchange = await attempt(transport, server.url, route)
        assert isinstance(error, PresenceConnectionError)
        assert exchange.stale is (route is not PATCH)
        assert len(server.requests) == 2
        response, _ = await attempt(transport, server.url, route)
        assert response.status == 200


@pytest.mark.parametrize("route", [GET, PATCH], ids=["GET", "PATCH"])
async def test_nothing_was_sent_without_a_connection(route: Route) -> None:
    """A refused connection says so, and that nothing can have taken effect."""
    async with opened() as transport:
        error, exchange = await attempt(transport, f"http://127.0.0.1:{refused_port()}", route)
        assert isinstance(error, PresenceConnectionError)
        assert "no connection (" in str(error)
        assert not exchange.sent


@pytest.mark.parametrize("route", [GET, PATCH], ids=["GET", "PATCH"])
async def test_a_connection_that_does_not_open_times_out(route: Route) -> None:
    """A TLS handshake that nobody answers ends at the connect timeout, nothing sent."""
    loop = asyncio.get_running_loop()
    async with RawServer(STALL) as server, opened(connect_timeout=4) as transport:
        started = loop.time()
        url = server.url.replace("http:", "https:")
        error, exchange = await attempt(transport, url, route)
        assert isinstance(error, PresenceTimeoutError)
        assert "could not be opened" in str(error)
        assert not exchange.sent
        assert loop.time() - started == pytest.approx(4, abs=1)


class _NoSuchHost(AbstractResolver):
    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    async def resolve(self, *_: Any, **__: Any) -> Any:
        raise self._failure

    async def close(self) -> None:
        """Nothing to close."""


async def test_an_unknown_host_says_so() -> None:
    """A name that cannot be resolved is a connection error without the address in it."""
    connector = aiohttp.TCPConnector(resolver=_NoSuchHost(OSError(None, "nobody")))
    async with _session(connector=connector) as session, opened(session) as transport:
        error, exchange = await attempt(transport, "http://some.where.test")
        assert "host name cannot be resolved" in str(error)
        assert "some.where" not in repr(error)
        assert not exchange.sent


async def test_a_fault_of_the_program_is_not_hidden() -> None:
    """A RuntimeError that has nothing to do with a closed session comes out as it is."""
    connector = aiohttp.TCPConnector(resolver=_NoSuchHost(RuntimeError("a bug")))
    async with _session(connector=connector) as session, opened(session) as transport:
        with pytest.raises(RuntimeError, match="a bug"):
            await attempt(transport, "http://some.where.test")


# -- the length of answers


def _chunked(body: bytes, *fields: str) -> Reply:
    head = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *fields, "", ""]
    return Reply("\r\n".join(head).encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))


@pytest.mark.parametrize(
    "make",
    [
        ok,
        _chunked,
        lambda body: ok(gzip.compress(body), "Content-Encoding: gzip"),
        lambda body: _chunked(zlib.compress(body), "Content-Encoding: deflate"),
    ],
    ids=["plain", "chunked", "gzip", "deflate"],
)
async def test_an_answer_is_read_up_to_the_limit_and_no_further(
    make: Callable[[bytes], Reply],
) -> None:
    """The limit counts decompressed bytes: exactly as many are read, one more is refused."""
    fits, too_long = make(b"x" * 5000), make(b"x" * 5001)
    async with (
        RawServer(fits, too_long, fits) as server,
        opened(max_response_bytes=5000) as transport,
    ):
        first, _ = await attempt(transport, server.url)
        assert first.body == b"x" * 5000
        error, exchange = await attempt(transport, server.url, PATCH)
        assert isinstance(error, DecodeError)
        assert "longer than 5000 bytes" in str(error)
        assert exchange.sent
        again, _ = await attempt(transport, server.url)
        assert again.body == b"x" * 5000


async def test_an_answer_in_pieces_is_read_as_long_as_it_moves() -> None:
    """The read timeout counts from the last piece; the limit from the first."""
    async with opened(read_timeout=7, max_response_bytes=30) as transport:

        async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _piece in range(4):
                await asyncio.sleep(5)
                writer.write(b"8\r\n12345678\r\n")
            writer.close()

        server = await asyncio.start_server(trickle, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            error, exchange = await attempt(transport, url)
        assert isinstance(error, DecodeError)
        assert exchange.sent


async def test_a_promised_length_over_the_limit_is_not_waited_for() -> None:
    """An answer that announces too much is refused before its body comes."""
    endless = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "stall")
    loop = asyncio.get_running_loop()
    async with RawServer(endless) as server, opened() as transport:
        started = loop.time()
        error, _ = await attempt(transport, server.url)
        assert isinstance(error, DecodeError)
        assert loop.time() - started < 1


# -- sessions of the caller


def _session(**options: Any) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(**({"cookie_jar": aiohttp.DummyCookieJar()} | options))


def _with_auth() -> aiohttp.ClientSession:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # aiohttp says: use headers
        return _session(auth=aiohttp.BasicAuth("user", "password"))


def _elsewhere() -> aiohttp.ClientSession:
    session = _session()
    session._loop = asyncio.new_event_loop()
    session._loop.close()
    return session


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: _session(raise_for_status=True), "raise_for_status"),
        (lambda: _session(base_url="https://example.test"), "base URL"),
        (lambda: _session(cookie_jar=None), "keeps cookies"),
        (_with_auth, "default auth"),
        (lambda: _session(trust_env=True), ".netrc"),
        (lambda: _session(auto_decompress=False), "decompress"),
        (lambda: _session(headers={"authorization": "Bearer x"}), "Authorization"),
        (lambda: _session(headers={"Expect": "100-continue", "host": "x"}), "Expect, Host"),
        (lambda: _session(proxy="http://127.0.0.1:1"), "proxy of its own"),
        (_elsewhere, "another event loop"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_unsuited_session_is_refused_with_the_reason(
    make: Callable[[], aiohttp.ClientSession], reason: str
) -> None:
    """A session whose settings would break us or leak is refused before anything is sent."""
    session = make()
    try:
        with pytest.raises(ConfigurationError, match=reason):
            async with opened(session):
                """Never entered."""
    finally:
        await session.close()


async def test_something_else_than_a_session_is_refused() -> None:
    """A base URL or a connector in place of a session is named as what it is."""
    with pytest.raises(ConfigurationError, match=r"must be an aiohttp\.ClientSession, not str"):
        async with opened("https://example.test"):  # type: ignore[arg-type]
            """Never entered."""


async def test_a_closed_session_is_refused() -> None:
    """A session that its owner has closed already is of no use."""
    session = _session()
    await session.close()
    with pytest.raises(ConfigurationError, match="is closed"):
        async with opened(session):
            """Never entered."""


async def test_a_callers_session_is_used_as_it_is_and_not_closed() -> None:
    """It stays open behind us, and neither its middlewares nor its timeout touch our requests."""
    seen: list[str] = []

    async def meddle(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        seen.append(request.method)
        request.headers["Authorization"] = "Bearer else"
        return await handler(request)

    timeout = aiohttp.ClientTimeout(total=0.001)
    async with (
        RawServer(ok()) as server,
        _session(middlewares=(meddle,), timeout=timeout, headers={"X-Own": "1"}) as session,
    ):
        async with opened(session) as transport:
            for route in (GET, PATCH):
                response, _ = await attempt(transport, server.url, route)
                assert response.status == 200
        assert not session.closed
        assert seen == []
        assert [request["x-own"] for request in server.requests] == ["1", "1"]
        assert [request["authorization"] for request in server.requests] == [None, None]


@pytest.mark.parametrize("route", [GET, PATCH], ids=["GET", "PATCH"])
async def test_a_session_closed_under_us_is_a_clear_error(route: Route) -> None:
    """When the owner closes it, requests fail with ClosedError, certainly unsent."""
    session = _session()
    async with opened(session) as transport:
        await session.close()
        error, exchange = await attempt(transport, "http://127.0.0.1:9", route)
        assert isinstance(error, ClosedError)
        assert "ClientSession was closed" in str(error)
        assert not exchange.sent


# -- proxies (the real ones are in tests/scenarios/test_tls_and_proxy.py)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (ProxySettings("http://127.0.0.1:1"), None),
        (ProxySettings("http://127.0.0.1:1", "me"), "Basic bWU6"),
        (ProxySettings("http://127.0.0.1:1", "me", "pässword"), "Basic bWU6cMOkc3N3b3Jk"),
    ],
    ids=["open", "user", "password"],
)
async def test_a_plain_proxy_gets_the_absolute_address_and_its_own_credentials(
    settings: ProxySettings, expected: str | None
) -> None:
    """Without a tunnel the request names its host in the line and carries the proxy's login."""
    async with RawServer(ok()) as proxy:
        real = ProxySettings(proxy.url, settings.username, settings.password)
        async with opened(proxy=real) as transport:
            response, _ = await attempt(transport, "http://127.0.0.1:9")
            assert response.status == 200
        (request,) = proxy.requests
        assert request.line == "GET http://127.0.0.1:9/x HTTP/1.1"
        assert request["proxy-authorization"] == expected


async def test_a_proxy_that_is_not_there_is_named() -> None:
    """A refused connection to the proxy says that it was the proxy."""
    async with opened(proxy=ProxySettings(f"http://127.0.0.1:{refused_port()}")) as transport:
        error, exchange = await attempt(transport, "https://127.0.0.1:9", PATCH)
        assert "no connection to the proxy (" in str(error)
        assert not exchange.sent


@pytest.mark.parametrize("end", [CLOSE, RESET], ids=["close", "reset"])
async def test_a_proxy_that_hangs_up_is_asked_once(end: Reply) -> None:
    """A second tunnel is not asked for by aiohttp itself either."""
    async with (
        RawServer(end) as proxy,
        opened(proxy=ProxySettings(proxy.url)) as transport,
    ):
        error, exchange = await attempt(transport, "https://127.0.0.1:9")
        assert isinstance(error, PresenceConnectionError)
        assert exchange.stale
        assert len(proxy.requests) == 1


# -- header fields


async def test_the_fields_of_each_token_go_out_and_few_are_kept() -> None:
    """Many tokens, one after the other, each with its own fields."""
    async with RawServer(ok()) as server, opened() as transport:
        for number in range(20):
            fields = {"Authorization": f"Bearer {number}"}
            for _ in range(2):
                await transport.exchange(GET, f"{server.url}/x", fields, None, Exchange())
        sent = [request["authorization"] for request in server.requests]
        assert sent == [f"Bearer {number}" for number in range(20) for _ in range(2)]
        assert len(transport._prepared) < 10


# -- closing


async def test_closing_ends_an_answer_that_is_still_read() -> None:
    """An exchange in flight fails at once when the transport is closed under it."""
    async with RawServer(HALF) as server, opened() as transport:
        task = asyncio.ensure_future(attempt(transport, server.url))
        await until(lambda: server.requests)
        await transport.aclose()
        error, _ = await task
        assert isinstance(error, PresenceConnectionError)


async def test_a_connection_lost_before_it_was_handed_over_is_not_tracked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connector copes with a connection that is gone by the time it has it."""

    async def gone(*_: Any) -> Any:
        return SimpleNamespace(closed=None, transport=None)

    async with opened() as transport:
        monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", gone)
        connector = transport._connector
        assert connector is not None
        await connector._create_connection(None, [], None)
        assert connector._alive == {}
