"""Canaries: no secret shows in an error, log, record, repr or traceback, or goes elsewhere."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from rawserver import CLOSE, ONCE, REPEATABLE, RESET, STALL, RawServer, Reply, ok, raw_client, send
from support import client_for

from presence_async import (
    AuthenticationError,
    AuthorizationCode,
    AuthorizationCodePKCE,
    ClientCredentials,
    PresenceClient,
    ProxySettings,
    RefreshToken,
    Saml2Bearer,
    ServerError,
    StaticToken,
    errors,
)
from presence_async.errors import PresenceError
from presence_async.simulator import Fault, Simulator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

SECRET, ACCESS, REFRESH = "canary-client-secret", "canary-access-token", "canary-refresh-token"
CODE, VERIFIER = "canary-code", "canary-verifier-0123456789-0123456789-0123456789"
ASSERTION, PASSWORD = "canary-assertion", "canary-proxy-password"
# Basic credentials hide their secret from a plain search: these are their base64 forms.
MARKS = ("canary", "Y2FuYXJ5", "NhbmFye", "jYW5hcn")

GRANT = ok(
    json.dumps(
        {
            "access_token": ACCESS,
            "token_type": "bearer",
            "refresh_token": REFRESH,
            "expires_in": 600,
        }
    ).encode()
)
GRANTS = {
    "client credentials": ClientCredentials("id", SECRET),
    "code": AuthorizationCode("id", SECRET, CODE, "https://app.test/"),
    "pkce": AuthorizationCodePKCE("id", CODE, "https://app.test/", VERIFIER),
    "refresh": RefreshToken("id", REFRESH, SECRET),
    "saml": Saml2Bearer("id", SECRET, ASSERTION, "org"),
    "static": StaticToken(ACCESS),
}


def refusal(status: int, message: str = "no") -> Reply:
    """An error answer of the API or the login host, whose text may quote the request."""
    texts = {"message": message, "error": "invalid_grant", "error_description": message}
    return ok(json.dumps(texts).encode(), status=f"{status} Refused")


QUOTE = f"refused: Authorization: Bearer {ACCESS} and grant code={CODE}&refresh_token={REFRESH}"


def found_in(text: str | bytes) -> list[str]:
    """The canaries that sing in `text`."""
    shown = text.decode("latin-1") if isinstance(text, bytes) else text
    return [mark for mark in MARKS if mark in shown]


def found_in_frames(error: BaseException) -> list[str]:
    """Frames of a traceback with local variables that show one; a test's own do not count."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return [
        f"{frame.filename}:{frame.lineno} {name} = {value}"
        for frame in shown.stack
        if frame.filename != __file__
        for name, value in (frame.locals or {}).items()
        if found_in(value)
    ]


def check_error(error: BaseException) -> None:
    """An error shows no secret in any of the ways in which errors are shown or stored."""
    assert found_in(str(error)) == []
    assert found_in(repr(error)) == []
    assert found_in(pickle.dumps(error)) == []
    assert error.__cause__ is None
    assert error.__context__ is None
    assert found_in_frames(error) == []


def check_record(record: Any) -> None:
    """Neither does a hook's record, nor the error in it."""
    assert found_in(repr(record)) == []
    if getattr(record, "error", None) is not None:
        check_error(record.error)


async def provoke(
    call: Callable[[PresenceClient], Awaitable[Any]],
    login: Reply,
    api: Reply,
    caplog: pytest.LogCaptureFixture,
    *,
    auth: Any = GRANTS["client credentials"],
    scheme: str = "http",
    **options: Any,
) -> BaseException | None:
    """Make one call against scripted hosts and look at everything that can be seen of it."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    records: list[Any] = []
    failure: BaseException | None = None
    async with RawServer(login) as login_host, RawServer(api) as api_host:
        client = PresenceClient(
            auth=auth,
            base_url=api_host.url.replace("http:", f"{scheme}:"),
            login_url=login_host.url,
            allow_loopback_http=True,
            hook=records.append,
            **({"retries": 1, "read_timeout": 2.0, "max_wait": 3.0} | options),
        )
        async with client:
            try:
                await call(client)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is looked at
                failure = error
            session = client._session
            for shown in (client, session, session._config, session._auth, session._keeper._token):
                assert found_in(repr(shown)) == []
    if failure is not None:
        check_error(failure)
    for record in records:
        check_record(record)
    for entry in caplog.records:
        assert found_in(entry.getMessage()) == []
        assert found_in(entry.exc_text or "") == []
    assert found_in(caplog.text) == []
    return failure


async def read(client: PresenceClient) -> Any:
    """A read."""
    return await send(client, REPEATABLE["GET"])


async def write(client: PresenceClient) -> Any:
    """A write."""
    return await send(client, ONCE["PATCH"])


async def typed(client: PresenceClient) -> Any:
    """A read that is decoded."""
    return await client.user_presences.get("some-user")


async def closed(client: PresenceClient) -> Any:
    """A read on a client that is closed under it."""
    asyncio.get_running_loop().call_later(1, asyncio.ensure_future, client.aclose())
    return await send(client, REPEATABLE["GET"])


async def misused(client: PresenceClient) -> Any:
    """A call that is refused before it is sent."""
    return await client.user_presences.get("")


async def misconfigured(client: PresenceClient) -> Any:
    """Options that cannot work, beside credentials that could."""
    proxy = ProxySettings("http://127.0.0.1:1", "me", PASSWORD)
    return PresenceClient(auth=GRANTS["code"], region="nowhere", proxy=proxy)


FAILURES: dict[str, tuple[Callable[..., Awaitable[Any]], Reply, Reply, type[BaseException]]] = {
    "login refuses": (read, refusal(400, QUOTE), ok(), errors.AuthenticationError),
    "login throttles": (read, refusal(429, QUOTE), ok(), errors.RateLimitedError),
    "login fails": (read, refusal(503, QUOTE), ok(), errors.ServerError),
    "login hangs up": (read, RESET, ok(), errors.PresenceConnectionError),
    "login stalls": (read, STALL, ok(), errors.PresenceTimeoutError),
    "login babbles": (read, ok(f"<p>{ACCESS}</p>".encode()), ok(), errors.AuthenticationError),
    "login answers another kind of token": (
        read,
        ok(json.dumps({"access_token": ACCESS, "token_type": "mac"}).encode()),
        ok(),
        errors.AuthenticationError,
    ),
    "401": (read, GRANT, refusal(401, QUOTE), errors.AuthenticationError),
    "403": (read, GRANT, refusal(403, QUOTE), errors.PermissionDeniedError),
    "404": (read, GRANT, refusal(404, QUOTE), errors.NotFoundError),
    "400": (write, GRANT, refusal(400, QUOTE), errors.InvalidRequestError),
    "409": (write, GRANT, refusal(409, QUOTE), errors.ConflictError),
    "429": (write, GRANT, refusal(429, QUOTE), errors.RateLimitedError),
    "500": (write, GRANT, refusal(500, QUOTE), errors.ServerError),
    "302": (read, GRANT, refusal(302, QUOTE), errors.ServerError),
    "hang-up": (read, GRANT, CLOSE, errors.PresenceConnectionError),
    "lost write": (write, GRANT, RESET, errors.PresenceConnectionError),
    "no http": (read, GRANT, Reply(b"no\r\n\r\n", "close"), errors.PresenceConnectionError),
    "stall": (read, GRANT, STALL, errors.PresenceTimeoutError),
    "nonsense": (typed, GRANT, ok(b"<html>"), errors.DecodeError),
    "closed": (closed, GRANT, STALL, errors.ClosedError),
    "misused": (misused, GRANT, ok(), errors.InvalidRequestError),
    "misconfigured": (misconfigured, GRANT, ok(), errors.ConfigurationError),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_no_failure_shows_a_secret(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Every class of error, from the login host or the API, keeps every secret to itself."""
    call, login, api, expected = FAILURES[name]
    failure = await provoke(call, login, api, caplog)
    assert type(failure) is expected


def test_every_error_class_is_provoked() -> None:
    """The table above leaves no class of the tree out, but for those about a file."""
    # A job's journal: no request is made, and no credential is in reach (tests/unit/jobs).
    of_files = {errors.JournalError, errors.JournalLockedError}
    classes = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, PresenceError) and kind is not PresenceError
    }
    assert {expected for *_, expected in FAILURES.values()} == classes - of_files


@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize(
    "login",
    [GRANT, refusal(400, QUOTE), refusal(503), RESET, STALL],
    ids=["granted", "refused", "failed", "reset", "stalled"],
)
async def test_no_grant_shows_its_secrets(
    grant: str, login: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever becomes of a token request, its form and its answer stay hidden."""
    failure = await provoke(read, login, refusal(404, QUOTE), caplog, auth=GRANTS[grant])
    assert isinstance(failure, PresenceError)


@pytest.mark.parametrize(
    "proxy_answer",
    [ok(b"", status="407 No"), ok(b"", status="502 Bad"), RESET, STALL],
    ids=["407", "502", "reset", "stall"],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_proxy_failure_shows_its_password(
    scheme: str, proxy_answer: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    """The proxy's password stays hidden whether it tunnels or forwards."""
    async with RawServer(proxy_answer) as server:
        proxy = ProxySettings(server.url, "me", PASSWORD)
        failure = await provoke(
            read, GRANT, ok(), caplog, auth=GRANTS["static"], scheme=scheme, proxy=proxy
        )
        assert isinstance(failure, PresenceError)


async def test_a_cancelled_call_shows_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """The traceback of a cancelled call, through the HTTP library, holds none either."""

    async def cancelled(client: PresenceClient) -> None:
        task = asyncio.ensure_future(read(client))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert found_in_frames(caught.value) == []

    async with RawServer(STALL) as server:
        proxy = ProxySettings(server.url, "me", PASSWORD)
        for options in ({}, {"proxy": proxy}):
            assert (
                await provoke(cancelled, GRANT, STALL, caplog, auth=GRANTS["static"], **options)
                is None
            )


async def test_the_token_goes_out_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    """The canaries are on the wire, where they belong: the search above is not in vain."""
    async with RawServer(GRANT) as login, RawServer(ok()) as api:
        client = PresenceClient(
            auth=GRANTS["code"],
            base_url=api.url,
            login_url=login.url,
            allow_loopback_http=True,
        )
        async with client:
            await read(client)
        assert api.requests[0]["authorization"] == f"Bearer {ACCESS}"
        assert found_in(login.requests[0]["authorization"] or "")
        assert CODE.encode() in login.requests[0].body
        assert found_in(repr(login.requests[0]))


# -- where nothing goes


async def test_the_environment_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Proxy variables and .netrc are not looked at."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password canary\n")
    async with RawServer(ok()) as trap, RawServer(ok()) as server:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, trap.url)
        monkeypatch.setenv("NETRC", str(netrc))
        async with raw_client(server) as client:
            await send(client, REPEATABLE["GET"])
        assert trap.connections == 0
        assert server.requests[0]["authorization"] == "Bearer static-token"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", ["GET", "PATCH", "POST", "PUT", "DELETE"])
async def test_a_redirect_is_never_followed(kind: str, status: int) -> None:
    """The other host hears nothing, above all no token; the caller gets an error at once."""
    async with RawServer(ok()) as other:
        away = ok(b"", f"Location: {other.url}/steal", status=f"{status} Away")
        async with RawServer(away) as server, raw_client(server) as client:
            with pytest.raises(ServerError, match="redirect") as caught:
                await send(client, (REPEATABLE | ONCE)[kind])
            assert (caught.value.status, caught.value.attempts) == (status, 1)
            assert caught.value.outcome_unknown is False
            assert len(server.requests) == 1
        assert other.connections == 0


@pytest.mark.parametrize("status", [302, 307, 308])
async def test_a_token_request_is_never_redirected(sim: Simulator, status: int) -> None:
    """Client id and secret stay with the login host, whatever it answers."""
    async with RawServer(ok()) as other:
        headers = {"Location": f"{other.url}/oauth/token"}
        sim.faults.add(Fault(route="POST /oauth/token", status=status, headers=headers, times=None))
        async with client_for(sim) as client:
            with pytest.raises(PresenceError) as caught:
                await client.user_presences.get(sim.user_ids[0])
            assert isinstance(caught.value, AuthenticationError | ServerError)
        assert other.connections == 0


async def test_cookies_are_not_kept() -> None:
    """What a server sets is not sent back."""
    async with (
        RawServer(ok(b"{}", "Set-Cookie: session=abc; Path=/")) as server,
        raw_client(server) as client,
    ):
        for _ in range(2):
            await send(client, REPEATABLE["GET"])
        assert [request["cookie"] for request in server.requests] == [None, None]
