"""The send path: the order of its stages, when it repeats and when it stops."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import clock
import pytest
from clock import check_no_leftovers
from hypothesis import given, settings
from hypothesis import strategies as st
from rawserver import (
    CLOSE,
    EVERY_KIND,
    ONCE,
    REPEATABLE,
    STALL,
    RawServer,
    Reply,
    ok,
    raw_client,
    send,
    spent,
)
from support import client_for

from presence_async import ClientCredentials, PresenceClient, StaticToken
from presence_async.config import CallOptions, ClientConfig, Endpoints
from presence_async.errors import (
    AuthenticationError,
    DecodeError,
    NotFoundError,
    PresenceConnectionError,
    PresenceError,
    RateLimitedError,
    ServerError,
)
from presence_async.session import PresenceSession
from presence_async.simulator import Fault, Simulator
from presence_async.wire import Request

if TYPE_CHECKING:
    from rawserver import RawRequest

GET, PATCH = REPEATABLE["GET"], ONCE["PATCH"]
SETTINGS = "GET /api/v2/presence/settings"
UNAVAILABLE = ok(b"", status="503 Unavailable")
EXPIRED = ok(b"", status="401 Expired")


def session_for(api: str, login: str | None = None, auth: Any = None, **options: Any) -> Any:
    """A session that is not open yet."""
    config = ClientConfig(endpoints=Endpoints(api, login))
    return PresenceSession(config, auth or StaticToken("token"), user_agent="agent", **options)


async def ask(session: PresenceSession, **options: Any) -> Any:
    """One GET."""
    return await session.send(Request(GET, "/x"), CallOptions(**options))


# -- the order of sending: every wire request has a permit, repeated ones too


async def test_each_wire_request_spends_a_permit(sim: Simulator) -> None:
    """401, 429, 503 and 200 make four requests and four permits; logging in costs none."""
    settings = "GET /api/v2/presence/settings"
    sim.faults.add(
        Fault(route=settings, status=401),
        Fault(route=settings, status=429),
        Fault(route=settings, status=503),
    )
    async with client_for(sim) as client:
        await client.settings.get()
        assert sim.count(settings) == 4
        assert spent(client) == 4
        assert sim.token_requests == 2


async def test_one_replay_after_a_401_and_no_more(sim: Simulator) -> None:
    """A second 401 is an error, also when another failure lies between the two."""
    settings = "GET /api/v2/presence/settings"
    for between in ([], [Fault(route=settings, status=503)]):
        refused = Fault(route=settings, status=401)
        sim.faults.add(refused, *between, refused)
        async with client_for(sim) as client:
            with pytest.raises(AuthenticationError) as caught:
                await client.settings.get()
            assert caught.value.attempts == 2 + len(between)
            # The refused token is not used again.
            await client.settings.get()
        assert sim.faults.pending == ()


async def test_a_401_to_a_write_is_replayed_because_nothing_happened() -> None:
    """PATCH, POST and bulk PUT are sent again after a 401, with the new token."""

    def login(request: RawRequest) -> Reply:
        number = len(login_host.requests) + 1
        return ok(b'{"access_token":"token-%d"}' % number)

    for route in EVERY_KIND.values():
        async with RawServer(login) as login_host, RawServer(EXPIRED, ok()) as server:
            client = PresenceClient(
                auth=ClientCredentials("id", "secret"),
                base_url=server.url,
                login_url=login_host.url,
                allow_loopback_http=True,
            )
            async with client:
                assert (await send(client, route)).status == 200
            tokens = [request["authorization"] for request in server.requests]
            assert tokens == ["Bearer token-1", "Bearer token-2"]


async def test_a_call_that_waited_uses_the_token_of_the_day() -> None:
    """A permit that comes after the token was renewed is spent with the new token."""
    async with (
        Simulator(users=1, token_lifetime=60) as sim,
        client_for(sim, rate_limit=1) as client,
    ):
        await client.settings.get()
        await client.settings.get()
        assert sim.count("/api/v2/presence/settings") == 2
        assert sim.token_requests == 2


async def test_a_login_that_fails_is_not_tried_again_by_every_call(sim: Simulator) -> None:
    """The token keeper has made its own attempts; the call adds none and sends nothing."""
    sim.faults.add(Fault(route="POST /oauth/token", drop="before", times=None))
    async with client_for(sim) as client:
        with pytest.raises(PresenceConnectionError) as caught:
            await client.user_presences.update(sim.user_ids[0], message="x")
        assert (caught.value.attempts, caught.value.outcome_unknown) == (0, False)
        assert sim.token_requests == 3
        assert spent(client) == 0


GONE = ok(b"", status="404 Gone")


@pytest.mark.parametrize("kind", ["DELETE", "PUT", "GET"])
@pytest.mark.parametrize(
    ("first", "maybe_done"),
    [
        (CLOSE, True),
        (STALL, True),
        (UNAVAILABLE, True),
        (ok(b"", status="408 Slow"), True),
        (ok(b"", status="429 Many"), False),
    ],
    ids=["closed", "stalled", "503", "408", "429"],
)
async def test_a_404_to_a_repeated_delete_is_success(
    first: Reply,
    maybe_done: bool,
    kind: str,
) -> None:
    """Only of a DELETE, and only where an earlier send of the call may have done it."""
    async with RawServer(first, GONE) as server, raw_client(server, read_timeout=3) as client:
        if kind == "DELETE" and maybe_done:
            response = await send(client, REPEATABLE[kind])
            assert (response.status, response.body) == (204, b"")
        else:
            with pytest.raises(NotFoundError) as caught:
                await send(client, REPEATABLE[kind])
            assert caught.value.outcome_unknown is (kind == "PUT" and maybe_done)
        assert len(server.requests) == 2


# -- pauses


@pytest.mark.parametrize(
    ("chance", "pauses"), [(0.0, [0, 0, 0]), (0.5, [0.25, 0.5, 1.0]), (0.99, [0.495, 0.99, 1.98])]
)
async def test_pauses_double_by_chance(chance: float, pauses: list[float]) -> None:
    """Full jitter: a share of half a second, one second, two seconds."""
    async with RawServer(UNAVAILABLE) as server:
        session = session_for(server.url, chance=lambda: chance)
        session.open()
        with pytest.raises(ServerError):
            await ask(session)
        await session.aclose()
        times = [request.at for request in server.requests]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert gaps == pytest.approx(pauses, abs=0.05)


async def test_a_lost_connection_is_replaced_at_once_but_only_the_first_time() -> None:
    """The second loss in a row is no stale connection any more and pauses."""
    async with RawServer(CLOSE) as server:
        session = session_for(server.url, chance=lambda: 0.9)
        session.open()
        with pytest.raises(PresenceConnectionError):
            await ask(session, retries=2)
        await session.aclose()
        first, second, third = (request.at for request in server.requests)
        assert second - first == pytest.approx(0, abs=0.05)
        assert third - second == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("reply", [CLOSE, UNAVAILABLE], ids=["closed", "503"])
async def test_with_the_retry_budget_spent_nothing_is_repeated(reply: Reply) -> None:
    """Twenty retries without a success in between, and each call sends once from then on."""
    async with RawServer(reply) as server:
        session = session_for(server.url, chance=lambda: 0.0)
        session.open()
        for _ in range(30):
            with pytest.raises(PresenceError):
                await ask(session, retries=1)
        assert len(server.requests) == 30 + 20
        await session.aclose()


async def test_a_429_without_a_time_pauses_like_any_failure() -> None:
    """No Retry-After, or one of zero seconds or of another form: a pause by chance."""
    replies = [
        ok(b"", *fields, status="429 Slow down")
        for fields in ([], ["Retry-After: 0"], ["Retry-After: Wed, 21 Oct 2026 07:28:00 GMT"])
    ]
    async with RawServer(*replies, ok()) as server:
        session = session_for(server.url, chance=lambda: 0.8)
        session.open()
        await ask(session)
        await session.aclose()
        times = [request.at for request in server.requests]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert gaps == pytest.approx([0.4, 0.8, 1.6], abs=0.05)


async def test_a_retry_after_holds_everyone_who_shares_the_token() -> None:
    """While one call waits as told, others wait too, in order, instead of asking again."""
    async with RawServer(ok(b"", "Retry-After: 20", status="429 Slow"), ok()) as server:
        session = session_for(server.url)
        session.open()
        first = asyncio.ensure_future(ask(session))
        await asyncio.sleep(1)
        assert session.rate_limit().paused_for == pytest.approx(19, abs=0.1)
        others = [asyncio.ensure_future(ask(session)) for _ in range(3)]
        with pytest.raises(RateLimitedError) as caught:
            await ask(session, max_wait=5)
        assert caught.value.retry_after == pytest.approx(19, abs=0.1)
        await asyncio.gather(first, *others)
        assert [round(r.at - server.requests[0].at) for r in server.requests] == [0, 20, 20, 20, 20]
        await session.aclose()


async def test_a_pause_that_outlasts_the_deadline_is_not_begun() -> None:
    """A backoff that would end after the deadline is an error at once."""
    loop = asyncio.get_running_loop()
    async with RawServer(UNAVAILABLE) as server:
        session = session_for(server.url, chance=lambda: 0.99)
        session.open()
        started = loop.time()
        with pytest.raises(ServerError):
            await ask(session, timeout=0.4)
        assert loop.time() - started < 0.1
        await session.aclose()


async def test_the_deadline_runs_while_the_call_pauses() -> None:
    """One deadline over all attempts and pauses."""
    async with RawServer(ok(b"", "Retry-After: 3", status="503 No")) as server:
        session = session_for(server.url)
        session.open()
        with pytest.raises(ServerError) as caught:
            await ask(session, timeout=7, retries=9)
        assert caught.value.attempts == 3
        await session.aclose()


# -- anything a server could say

_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}1234567\r\n0\r\n\r\n"
_SEEDS = (
    ok().data,
    _CHUNKED,
    ok(gzip.compress(b"{}" * 99), "Content-Encoding: gzip").data,
    b"HTTP/1.1 100 Continue\r\n\r\n" + ok().data,
    b"HTTP/1.1 101 Up\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n{}",
)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.sampled_from(_SEEDS),
    cut=st.integers(0, 200),
    change=st.tuples(st.integers(0, 200), st.binary(max_size=6)),
    then=st.sampled_from(["keep", "close", "reset", "stall"]),
    kind=st.sampled_from(list(EVERY_KIND)),
)
def test_whatever_a_server_answers_is_a_response_or_one_of_our_errors(
    seed: bytes, cut: int, change: tuple[int, bytes], then: str, kind: str
) -> None:
    """Mutilated answers raise nothing foreign, in time, and leave nothing behind."""
    position, inserted = change
    data = (seed[:position] + inserted + seed[position:])[: len(seed) + 6 - cut]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with (
            RawServer(Reply(data, then)) as server,
            raw_client(server, read_timeout=3, timeout=9) as client,
        ):
            started = loop.time()
            with suppress(PresenceError):
                await send(client, EVERY_KIND[kind])
            assert loop.time() - started <= 9.1
            assert client.rate_limit.in_flight == 0
            assert spent(client) == len(server.requests)
            if kind in ONCE and not data.startswith(b"HTTP/1.1 429"):
                assert len(server.requests) == 1
        await asyncio.sleep(0)
        check_no_leftovers(loop)

    clock.run(main())


async def test_an_answer_that_makes_no_sense_knows_its_attempts(sim: Simulator) -> None:
    """A success that cannot be decoded after two retries says three attempts."""
    sim.faults.add(
        Fault(route=SETTINGS, status=503, times=2), Fault(route=SETTINGS, body=b"<html>")
    )
    async with client_for(sim) as client:
        with pytest.raises(DecodeError) as caught:
            await client.settings.get()
    assert (caught.value.status, caught.value.attempts) == (200, 3)
