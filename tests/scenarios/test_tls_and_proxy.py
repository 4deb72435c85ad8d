"""Real TLS and real proxies on loopback, and where the token must never go."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trustme
from clock import check_no_leftovers
from rawserver import ONCE, REPEATABLE, STALL, RawServer, Reply, ok, raw_client, send, spent, until
from support import client_for

from presence_async import (
    ClosedError,
    PresenceClient,
    PresenceConnectionError,
    PresenceTimeoutError,
    ProxySettings,
    ServerError,
    StaticToken,
)
from presence_async.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GET, PATCH, POST = REPEATABLE["GET"], ONCE["PATCH"], ONCE["POST"]


@attrs.frozen
class Authority:
    """A private certificate authority and contexts made with it."""

    ca: trustme.CA = attrs.field(factory=trustme.CA)

    def server(self, host: str = "127.0.0.1", *, wants_client: bool = False) -> ssl.SSLContext:
        """A server's context, its certificate issued for `host`."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.ca.issue_cert(host).configure_cert(context)
        if wants_client:
            self.ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, *, certificate: bool = False) -> ssl.SSLContext:
        """A client's context that trusts this authority."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if certificate:
            self.ca.issue_cert("client@example.test").configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority() -> Authority:
    """One authority for all tests: making keys takes time."""
    return Authority()


# -- TLS


async def test_a_private_authority_is_trusted_through_a_context(authority: Authority) -> None:
    """Login, reads and writes work over TLS with the caller's SSLContext."""
    async with (
        Simulator(users=120, ssl_context=authority.server()) as sim,
        client_for(sim, ssl=authority.client(), allow_loopback_http=False) as client,
    ):
        assert sim.base_url.startswith("https:")
        outcomes = await client.user_presences.get_many(sim.user_ids)
        assert len(outcomes) == 120
        await client.user_presences.update(sim.user_ids[0], message="x")


@pytest.mark.parametrize("kind", ["GET", "PATCH"])
async def test_an_unknown_authority_is_not_trusted(authority: Authority, kind: str) -> None:
    """Without the private authority the connection is refused, nothing is sent, and it says why."""
    async with (
        RawServer(ok(), ssl_context=authority.server()) as server,
        raw_client(server, retries=1) as client,
    ):
        with pytest.raises(PresenceConnectionError, match="certificate is not trusted") as caught:
            await send(client, (REPEATABLE | ONCE)[kind])
        assert caught.value.outcome_unknown is False
        assert server.requests == []
        assert spent(client) == 0


async def test_a_certificate_of_another_host_is_not_trusted(authority: Authority) -> None:
    """A trusted authority does not help when the name is another."""
    async with (
        RawServer(ok(), ssl_context=authority.server("elsewhere.test")) as server,
        raw_client(server, retries=0, ssl=authority.client()) as client,
    ):
        with pytest.raises(PresenceConnectionError, match="certificate is not trusted"):
            await send(client, GET)
        assert server.requests == []


async def test_a_server_without_tls_is_told_apart() -> None:
    """TLS to a plain server is a TLS failure, not a broken answer."""
    plain = Reply(b"HTTP/1.1 400 What\r\n\r\n", "close")
    async with RawServer(plain) as server:
        url = server.url.replace("http:", "https:")
        async with raw_client(url, retries=0, connect_timeout=2) as client:
            with pytest.raises((PresenceConnectionError, PresenceTimeoutError)) as caught:
                await send(client, GET)
            assert caught.value.outcome_unknown is False
    async with await asyncio.start_server(_greet, "127.0.0.1", 0) as greeter:
        url = f"https://127.0.0.1:{greeter.sockets[0].getsockname()[1]}"
        async with raw_client(url, retries=0) as client:
            with pytest.raises(PresenceConnectionError, match=r"TLS failed \(\w+\)"):
                await send(client, POST)
    await asyncio.sleep(0)


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.test ESMTP\r\n")
    await reader.read(1)
    writer.close()


async def test_a_client_certificate_is_presented(authority: Authority) -> None:
    """Mutual TLS works with the context's certificate and fails without one."""
    context = authority.server(wants_client=True)
    async with RawServer(ok(), ssl_context=context) as server:
        async with raw_client(server, ssl=authority.client(certificate=True)) as client:
            assert (await send(client, GET)).status == 200
        async with raw_client(server, ssl=authority.client(), retries=0) as client:
            with pytest.raises(PresenceConnectionError):
                await send(client, GET)
        assert len(server.requests) == 1


def _reject(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Shake hands on one connection and refuse it the way web servers do, with an alert."""
    accepted, _ = listener.accept()
    with context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as tls:
        with pytest.raises(ssl.SSLError):
            tls.do_handshake()
        socket.socket.shutdown(tls, socket.SHUT_WR)
        while socket.socket.recv(tls, 65536):
            """Unread bytes would turn the alert into a reset."""


@pytest.mark.real_loop
@pytest.mark.parametrize("kind", ["GET", "PATCH"])
async def test_a_missing_client_certificate_is_told(authority: Authority, kind: str) -> None:
    """The alert of a server that wants a certificate is in the error."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        context = authority.server(wants_client=True)
        server = asyncio.ensure_future(asyncio.to_thread(_reject, listener, context))
        async with raw_client(url, ssl=authority.client(), retries=0) as client:
            with pytest.raises(PresenceConnectionError, match=r"TLS failed \(\w+REQUIRED\)"):
                await send(client, (REPEATABLE | ONCE)[kind])
        await server
    await asyncio.get_running_loop().shutdown_default_executor()


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "stalled"])
async def test_closing_does_not_wait_for_a_silent_tls_server(
    authority: Authority,
    answered: bool,
) -> None:
    """A server that never says goodbye leaves no socket and no timer of ours behind."""
    loop = asyncio.get_running_loop()
    writers: list[asyncio.StreamWriter] = []
    head = "Content-Length: 2\r\nConnection: close\r\n\r\n{}"

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        # The socket itself is not read any more: a TLS farewell goes unanswered.
        writer.transport._ssl_protocol._transport.pause_reading()
        if answered:
            writer.write(f"HTTP/1.1 200 OK\r\n{head}".encode())
        writers.append(writer)

    started = await asyncio.start_server(silent, "127.0.0.1", 0, ssl=authority.server())
    url = f"https://127.0.0.1:{started.sockets[0].getsockname()[1]}"
    client = raw_client(url, ssl=authority.client())
    await client.__aenter__()
    call = asyncio.ensure_future(send(client, GET))
    await until(lambda: writers)
    if answered:
        await call
    before = loop.time()
    await client.aclose()
    assert loop.time() - before < 0.1
    if not answered:
        with pytest.raises(ClosedError):
            await call
    for writer in writers:
        writer.transport.abort()
    started.close()
    await started.wait_closed()
    for _ in range(3):
        await asyncio.sleep(0)
    check_no_leftovers(loop)


# -- a proxy


class Proxy:
    """An HTTP proxy: tunnels by CONNECT, forwards plain requests, may ask for a login.

    Attributes:
        heads: Everything it could read: request heads, never what goes through a tunnel.
    """

    def __init__(self, login: str | None = None, refusal: int | None = None) -> None:
        self._login = login
        self._refusal = refusal
        self.heads: list[str] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._connection(reader, writer))
        self._tasks.add(task)
        await asyncio.wait({task})
        self._tasks.discard(task)
        writer.transport.abort()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        method, target, _ = head.split("\r\n")[0].split(" ")
        expected = None if self._login is None else base64.b64encode(self._login.encode()).decode()
        status = self._refusal
        if expected is not None and f"Proxy-Authorization: Basic {expected}\r\n" not in head:
            status = 407
        if status is not None:
            writer.write(f"HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            return
        address = target if method == "CONNECT" else target.split("/")[2]
        host, port = address.rsplit(":", 1)
        upstream_reader, upstream = await asyncio.open_connection(host, int(port))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = "/" + target.split("/", 3)[3]
            kept = [line for line in head.split("\r\n")[1:] if not line.startswith("Proxy-")]
            upstream.write("\r\n".join([f"{method} {path} HTTP/1.1", *kept]).encode())
        pumps = [
            asyncio.ensure_future(_pump(reader, upstream)),
            asyncio.ensure_future(_pump(upstream_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when="FIRST_COMPLETED")
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            upstream.transport.abort()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Listen; the proxy's URL comes out."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for _ in range(3):
                await asyncio.sleep(0)
            await server.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def test_a_tunnel_shows_the_proxy_neither_token_nor_paths(authority: Authority) -> None:
    """Through CONNECT the proxy learns host and port; its own login goes to nobody else."""
    proxy = Proxy(login="me:proxy-password")
    async with (
        proxy.open() as url,
        Simulator(users=60, ssl_context=authority.server()) as sim,
        client_for(
            sim, ssl=authority.client(), proxy=ProxySettings(url, "me", "proxy-password")
        ) as client,
    ):
        outcomes = await client.user_presences.get_many(sim.user_ids)
        assert {outcome.status for outcome in outcomes} == {"present"}
        assert len(proxy.heads) >= 2
        for head in proxy.heads:
            assert head.startswith("CONNECT 127.0.0.1:")
            assert "\r\nAuthorization" not in head
            assert "/api/" not in head
        assert not any("Proxy-Authorization" in request.headers for request in sim.requests)


async def test_plain_requests_to_this_machine_go_through_a_proxy_too() -> None:
    """Without TLS (loopback only) the proxy forwards, after its own login."""
    proxy = Proxy(login="me:proxy-password")
    async with (
        proxy.open() as url,
        Simulator(users=1) as sim,
        client_for(sim, proxy=ProxySettings(url, "me", "proxy-password")) as client,
    ):
        await client.user_presences.get(sim.user_ids[0])
        assert sim.token_requests == 1
        assert len(proxy.heads) == 2
        assert not any("Proxy-Authorization" in request.headers for request in sim.requests)


@pytest.mark.parametrize("kind", ["GET", "PATCH"])
@pytest.mark.parametrize("tls", [True, False], ids=["tunnel", "plain"])
@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        (Proxy(login="other:login"), r"the proxy wants other credentials \(407\)"),
        (Proxy(refusal=502), r"the proxy refused to connect \(502\)"),
    ],
    ids=["407", "502"],
)
async def test_a_proxy_that_refuses_is_named(
    authority: Authority,
    proxy: Proxy,
    reason: str,
    tls: bool,
    kind: str,
) -> None:
    """The error tells the proxy's refusal from the vendor's, and that nothing was sent."""
    context = authority.server() if tls else None
    async with proxy.open() as url, RawServer(ok(), ssl_context=context) as server:
        settings = ProxySettings(url, "me", "proxy-password")
        trusted = authority.client()
        async with raw_client(server, proxy=settings, retries=1, ssl=trusted) as client:
            if not tls and "502" in reason:
                # Without a tunnel a 502 of the proxy is one of the vendor's to us.
                with pytest.raises(ServerError):
                    await send(client, (REPEATABLE | ONCE)[kind])
                return
            with pytest.raises(PresenceConnectionError, match=reason) as caught:
                await send(client, (REPEATABLE | ONCE)[kind])
            assert caught.value.outcome_unknown is False
            assert caught.value.attempts == 2
            assert spent(client) == 0
            assert "proxy-password" not in f"{caught.value!r}"
        assert server.requests == []


async def test_an_untrusted_server_behind_a_proxy_is_not_trusted(authority: Authority) -> None:
    """A tunnel does not loosen the check of the certificate."""
    async with (
        Proxy().open() as url,
        RawServer(ok(), ssl_context=authority.server()) as server,
        raw_client(server, proxy=url, retries=0) as client,
    ):
        with pytest.raises(PresenceConnectionError, match="certificate is not trusted"):
            await send(client, PATCH)
        assert server.requests == []


async def test_a_proxy_that_hangs_on_connect_is_left_in_time() -> None:
    """The connect timeout covers the proxy's answer to CONNECT, and nothing counts as sent."""
    async with (
        RawServer(STALL) as proxy,
        PresenceClient(
            base_url="https://api.example.test",
            auth=StaticToken("token"),
            proxy=proxy.url,
            connect_timeout=1,
            retries=0,
        ) as client,
    ):
        before = asyncio.get_running_loop().time()
        with pytest.raises(PresenceTimeoutError, match="could not be opened in time"):
            await client.user_presences.get("u")
        assert asyncio.get_running_loop().time() - before == pytest.approx(1, abs=0.1)
        assert client.rate_limit.remaining == 300
