"""What hooks and logs show of calls, what requests look like on the wire, and what it costs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from rawserver import (
    CLOSE,
    EVERY_KIND,
    ONCE,
    REPEATABLE,
    STALL,
    RawServer,
    ok,
    raw_client,
    refused_port,
    send,
)
from support import client_for

from presence_async import (
    AuthenticationError,
    ClosedError,
    PresenceConnectionError,
    PresenceTimeoutError,
    RateLimitedError,
    ServerError,
    StaticToken,
)
from presence_async.hooks import (
    AttemptFinished,
    LimiterWaited,
    Record,
    RequestFinished,
    RequestStarted,
    TokenRefreshed,
)
from presence_async.simulator import Fault, Simulator

if TYPE_CHECKING:
    from presence_async import PresenceClient

GET, PATCH = REPEATABLE["GET"], ONCE["PATCH"]
UNAVAILABLE = ok(b"", status="503 Unavailable")


def told(records: list[Record]) -> list[Any]:
    """The records in short: their kind and what tells them apart."""
    short: list[Any] = []
    for record in records:
        match record:
            case RequestStarted():
                short.append(("started", record.call))
            case LimiterWaited():
                short.append(("waited", record.call, round(record.seconds)))
            case AttemptFinished():
                what = record.status if record.error is None else type(record.error)
                short.append(("attempt", record.call, record.attempt, what))
            case RequestFinished():
                what = type(record.error) if record.error else record.cancelled
                short.append(("finished", record.call, record.attempts, what))
            case TokenRefreshed():
                short.append(("token", record.background, record.error and type(record.error)))
    return short


async def test_a_call_that_succeeds() -> None:
    """Started, one attempt, finished; each record says which operation, none says more."""
    records: list[Any] = []
    answer = ok(b"{}", "ININ-Correlation-Id: abc-1")
    async with RawServer(answer) as server, raw_client(server, hook=records.append) as client:
        for _ in range(2):
            await send(client, GET, "/api/v2/users/secret-id/presences/purecloud")
    assert told(records) == [
        ("started", 1), ("attempt", 1, 1, 200), ("finished", 1, 1, False),
        ("started", 2), ("attempt", 2, 1, 200), ("finished", 2, 1, False),
    ]  # fmt: skip
    assert {record.path_template for record in records} == {GET.template}
    assert {record.method for record in records} == {"GET"}
    assert "secret-id" not in repr(records)
    assert records[1].correlation_id == "abc-1"
    assert 0 <= records[1].seconds <= records[2].seconds < 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        records[0].call = 7


async def test_a_call_that_is_repeated() -> None:
    """Every wire request is an attempt of its own, with what came of it."""
    records: list[Any] = []
    replies = (UNAVAILABLE, CLOSE, ok(b"", "Retry-After: 1", status="429 Slow down"), ok())
    async with RawServer(*replies) as server, raw_client(server, hook=records.append) as client:
        await send(client, GET)
    assert told(records) == [
        ("started", 1),
        ("attempt", 1, 1, 503),
        ("attempt", 1, 2, PresenceConnectionError),
        ("attempt", 1, 3, 429),
        ("waited", 1, 1),
        ("attempt", 1, 4, 200),
        ("finished", 1, 4, False),
    ]


async def test_a_call_that_fails() -> None:
    """The last record holds the very error that the caller gets."""
    records: list[Any] = []
    async with (
        RawServer(UNAVAILABLE) as server,
        raw_client(server, retries=0, hook=records.append) as client,
    ):
        with pytest.raises(ServerError) as caught:
            await send(client, GET)
    assert told(records) == [
        ("started", 1),
        ("attempt", 1, 1, 503),
        ("finished", 1, 1, ServerError),
    ]
    assert records[-1].error is caught.value


async def test_a_call_that_waits_for_a_permit() -> None:
    """The wait has its record, before the attempt that it delayed."""
    records: list[Any] = []
    async with (
        RawServer(ok()) as server,
        raw_client(server, rate_limit=1, hook=records.append) as client,
    ):
        await send(client, GET)
        await send(client, GET)
        with pytest.raises(RateLimitedError):
            await send(client.with_options(max_wait=1), GET)
    assert told(records)[3:] == [
        ("started", 2),
        ("waited", 2, 61),
        ("attempt", 2, 1, 200),
        ("finished", 2, 1, False),
        ("started", 3),
        ("finished", 3, 0, RateLimitedError),
    ]
    assert records[6].seconds == pytest.approx(61, abs=0.1)


async def test_calls_that_end_early() -> None:
    """Cancelled, out of time, closed: each attempt and each call still gets its last record."""
    records: list[Any] = []
    async with RawServer(STALL) as server:
        client = raw_client(server, hook=records.append)
        await client.__aenter__()
        cancelled = asyncio.ensure_future(send(client, PATCH))
        await asyncio.sleep(1)
        cancelled.cancel()
        await asyncio.wait({cancelled})
        with pytest.raises(PresenceTimeoutError):
            await send(client.with_options(timeout=2), PATCH)
        closed = asyncio.ensure_future(send(client, PATCH))
        await asyncio.sleep(1)
        await client.aclose()
        await asyncio.wait({closed})
        assert isinstance(closed.exception(), ClosedError)
    assert told(records) == [
        ("started", 1), ("attempt", 1, 1, None), ("finished", 1, 1, True),
        ("started", 2), ("attempt", 2, 1, PresenceTimeoutError),
        ("finished", 2, 1, PresenceTimeoutError),
        ("started", 3), ("attempt", 3, 1, ClosedError), ("finished", 3, 1, ClosedError),
    ]  # fmt: skip


async def test_tokens_fetched_renewed_and_refused(sim: Simulator) -> None:
    """A token that a call waited for, one renewed behind its back, one after a 401, none at all."""
    records: list[Any] = []
    async with client_for(sim, hook=records.append) as client:
        await client.settings.get()
        assert told(records)[:3] == [("started", 1), ("token", False, None), ("attempt", 1, 1, 200)]
        assert records[1].expires_in == 86400
        await asyncio.sleep(86400 * 0.91)
        assert told(records)[4:] == [("token", True, None)]
        records.clear()
        sim.revoke_tokens()
        await client.settings.get()
        assert told(records) == [
            ("started", 2),
            ("attempt", 2, 1, 401),
            ("token", False, None),
            ("attempt", 2, 2, 200),
            ("finished", 2, 2, False),
        ]
        records.clear()
        sim.revoke_tokens()
        sim.faults.add(Fault(route="POST /oauth/token", status=400, code="invalid_client"))
        with pytest.raises(AuthenticationError):
            await client.settings.get()
        assert told(records) == [
            ("started", 3),
            ("attempt", 3, 1, 401),
            ("token", False, AuthenticationError),
            ("finished", 3, 1, AuthenticationError),
        ]


async def test_a_failing_hook_is_logged_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What a hook raises ends up in the log, once a record, and the call goes on."""

    def broken(record: Record) -> None:
        raise ZeroDivisionError

    async with RawServer(UNAVAILABLE, ok()) as server, raw_client(server, hook=broken) as client:
        assert (await send(client, GET)).status == 200
    failed = [entry for entry in caplog.records if entry.levelno == logging.ERROR]
    assert [entry.getMessage() for entry in failed] == [
        "the hook failed on RequestStarted",
        "the hook failed on AttemptFinished",
        "the hook failed on AttemptFinished",
        "the hook failed on RequestFinished",
    ]
    assert {entry.name for entry in failed} == {"presence_async.session"}


class StopEverythingError(BaseException):
    """Like KeyboardInterrupt, without stopping pytest."""


@pytest.mark.parametrize("kind", [RequestStarted, AttemptFinished, RequestFinished])
async def test_a_hook_that_stops_everything_leaves_no_call_behind(kind: type[Record]) -> None:
    """Even an interpreter exit from a hook lets the client close."""

    def stop(record: Record) -> None:
        if isinstance(record, kind):
            raise StopEverythingError

    async with (
        RawServer(ok()) as server,
        asyncio.timeout(5),
        raw_client(server, hook=stop) as client,
    ):
        with pytest.raises(StopEverythingError):
            await send(client, GET)
        assert client.rate_limit.in_flight == 0


async def test_without_a_hook_no_record_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of an ordinary call does not even ask for a record."""
    async with RawServer(ok()) as server, raw_client(server) as client:
        monkeypatch.setattr(client._session, "emit", None)
        for name in ("session.RequestStarted", "session.RequestFinished"):
            monkeypatch.setattr(f"presence_async.{name}", None)
        for name in ("sending.AttemptFinished", "sending.LimiterWaited"):
            monkeypatch.setattr(f"presence_async.{name}", None)
        for route in EVERY_KIND.values():
            assert (await send(client, route)).status == 200


async def test_the_levels_of_the_log(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """Routine is DEBUG, a token INFO, what an operator should know WARNING; all under one name."""
    caplog.set_level(logging.DEBUG, logger="presence_async")
    sim.faults.add(
        Fault(route="GET /api/v2/presence/settings", status=503),
        Fault(route="GET /api/v2/presence/settings", status=429, retry_after=2),
        Fault(route="GET /api/v2/presence/settings", drop="before"),
    )
    async with client_for(sim) as client:
        await client.settings.get()
    lines = [(entry.levelname, entry.getMessage()) for entry in caplog.records]
    levels = {level for level, _ in lines}
    assert levels == {"DEBUG", "INFO", "WARNING"}
    assert [text for level, text in lines if level == "INFO"] == [
        "token obtained, expires in 86400 s"
    ]
    assert [text for level, text in lines if level == "WARNING"] == [
        "the vendor asks to pause for 2 s (429)"
    ]
    assert sum("trying again" in text for _, text in lines) == 3
    assert sum("waited 2.00 s for a permit" in text for _, text in lines) == 1


async def test_an_uneventful_call_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Success leaves no line, at any level."""
    caplog.set_level(logging.DEBUG, logger="presence_async")
    async with RawServer(ok()) as server, raw_client(server) as client:
        await send(client, GET)
        await send(client, PATCH)
    assert [entry for entry in caplog.records if entry.name.startswith("presence_async")] == []


async def test_a_failed_connection_costs_attempts_but_no_permit() -> None:
    """Attempts that never left are in the records, and not in the budget."""
    records: list[Any] = []
    url = f"http://127.0.0.1:{refused_port()}"
    async with raw_client(url, retries=1, hook=records.append) as client:
        with pytest.raises(PresenceConnectionError):
            await send(client, GET)
        assert client.rate_limit.remaining == 300
    assert [entry[0] for entry in told(records)] == ["started", "attempt", "attempt", "finished"]


# -- on the wire


@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_the_header_fields_of_each_kind(kind: str) -> None:
    """Exactly what belongs there, once, and Content-Type only beside a body."""
    async with RawServer(ok()) as server, raw_client(server) as client:
        await send(client, EVERY_KIND[kind])
    (request,) = server.requests
    names = [name for name, _ in request.fields]
    assert len(names) == len(set(names))
    assert request["accept"] == "application/json"
    assert request["authorization"] == "Bearer static-token"
    assert request["user-agent"] == "presence_async"
    assert request["host"] == server.url.removeprefix("http://")
    with_body = kind not in {"GET", "DELETE"}
    assert request["content-type"] == ("application/json" if with_body else None)
    assert request["content-length"] == {"GET": None, "DELETE": "0"}.get(kind, "7")
    assert request["transfer-encoding"] is None
    assert request["cookie"] is None


HOSTILE = {
    "../../../oauth/token": "..%2F..%2F..%2Foauth%2Ftoken",
    "a/b": "a%2Fb",
    "a?b=c#d": "a%3Fb%3Dc%23d",
    "100%": "100%25",
    "%2e%2e%2f": "%252e%252e%252f",
    "a\r\nX-Evil: 1": "a%0D%0AX-Evil%3A%201",
    "a\tb\x00": "a%09b%00",
    "ü 💥": "%C3%BC%20%F0%9F%92%A5",
    "a;b=c": "a%3Bb%3Dc",
    "\\..\\": "%5C..%5C",
}


@pytest.mark.parametrize("id_", HOSTILE)
async def test_hostile_ids_stay_in_their_place(id_: str) -> None:
    """The raw request line holds the id as one segment or one value, whatever is in it."""
    async with RawServer(ok(), ok(b"[]")) as server, raw_client(server) as client:
        await client.user_presences.get(id_)
        await client.user_presences.get_many([id_])
    first, second = server.requests
    assert first.line == f"GET /api/v2/users/{HOSTILE[id_]}/presences/purecloud HTTP/1.1"
    bulk = "/api/v2/users/presences/purecloud/bulk"
    assert second.line == f"GET {bulk}?id={HOSTILE[id_]} HTTP/1.1"
    assert first["x-evil"] is None


async def _prefixed(client: PresenceClient) -> str:
    await client.settings.get()
    return "/gateway/v1/api/v2/presence/settings"


async def test_a_prefix_stands_before_every_path() -> None:
    """Behind a gateway, API and login keep their own prefixes."""
    async with RawServer(ok()) as server, raw_client(f"{server.url}/gateway/v1/") as client:
        expected = await _prefixed(client)
        assert server.requests[0].line == f"GET {expected} HTTP/1.1"
    async with (
        Simulator(users=1, path_prefix="/gateway/v1", login_path_prefix="/login") as sim,
        client_for(sim) as client,
    ):
        await client.settings.get()
        assert [request.target for request in sim.requests] == ["/login/oauth/token", expected]


async def test_a_static_token_never_asks_the_login_host(sim: Simulator) -> None:
    """It is used as it is; a 401 is an error after one request."""
    async with client_for(sim, auth=StaticToken("unknown"), login_url=None) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.settings.get()
        assert (caught.value.attempts, sim.count(), sim.token_requests) == (1, 1, 0)
