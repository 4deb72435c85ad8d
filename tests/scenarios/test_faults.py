"""What a call makes of every failure: how often it sends, what it says, how long it takes."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import attrs
import clock
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rawserver import (
    CLOSE,
    EVERY_KIND,
    ONCE,
    REPEATABLE,
    RESET,
    STALL,
    RawServer,
    Reply,
    ok,
    raw_client,
    refused_port,
    send,
    spent,
    until,
)
from support import client_for

from presence_async import StaticToken
from presence_async.errors import (
    AuthenticationError,
    ConflictError,
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PresenceConnectionError,
    PresenceError,
    PresenceTimeoutError,
    RateLimitedError,
    ServerError,
)
from presence_async.models import OrganizationPresenceDefinition, SystemPresenceName
from presence_async.simulator import Fault, Simulator, exponential

HTML = b"<html>502 Bad Gateway</html>"
LONG = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}", "close")
CUT = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "close")


def refusal(status: int, *fields: str, body: bytes = b"") -> Reply:
    """An answer with an error status."""
    return ok(body, *fields, status=f"{status} Refused")


# name: reply, error, is it repeated where repeating is harmless, is it also repeated for
# PATCH, POST and bulk PUT, does it leave open what became of a write
FAILURES: dict[str, tuple[Reply, type[PresenceError], bool, bool, bool]] = {
    "closed": (CLOSE, PresenceConnectionError, True, False, True),
    "reset": (RESET, PresenceConnectionError, True, False, True),
    "cut": (CUT, PresenceConnectionError, True, False, True),
    "no http": (Reply(b"HTP/7 what\r\n\r\n", "close"), PresenceConnectionError, True, False, True),
    "too long": (LONG, PresenceConnectionError, True, False, True),
    "stalled": (STALL, PresenceTimeoutError, True, False, True),
    "408": (refusal(408), PresenceTimeoutError, True, False, True),
    "429": (refusal(429), RateLimitedError, True, True, False),
    "429 wait": (refusal(429, "Retry-After: 2"), RateLimitedError, True, True, False),
    "429 at once": (refusal(429, "Retry-After: 0"), RateLimitedError, True, True, False),
    "500": (refusal(500), ServerError, False, False, True),
    "502": (refusal(502, "Content-Type: text/html", body=HTML), ServerError, True, False, True),
    "503": (refusal(503), ServerError, True, False, True),
    "503 wait": (refusal(503, "Retry-After: 3"), ServerError, True, False, True),
    "504": (refusal(504), ServerError, True, False, True),
    "400": (refusal(400), InvalidRequestError, False, False, False),
    "403": (refusal(403), PermissionDeniedError, False, False, False),
    "404": (refusal(404), NotFoundError, False, False, False),
    "409": (refusal(409), ConflictError, False, False, False),
    "413": (refusal(413), InvalidRequestError, False, False, False),
    "302": (refusal(302, "Location: /else"), ServerError, False, False, False),
}


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("failure", FAILURES)
async def test_a_lasting_failure(failure: str, kind: str) -> None:
    """Each failure of each kind of operation is sent as often as is safe, then told exactly."""
    reply, error_class, repeated, repeated_always, leaves_open = FAILURES[failure]
    route = EVERY_KIND[kind]
    expected = 3 if (repeated_always or (repeated and kind in REPEATABLE)) else 1
    loop = asyncio.get_running_loop()
    async with RawServer(reply) as server, raw_client(server, retries=2, read_timeout=5) as client:
        started = loop.time()
        with pytest.raises(error_class) as caught:
            await send(client, route)
        assert type(caught.value) is error_class
        assert len(server.requests) == expected
        assert caught.value.attempts == expected
        assert caught.value.outcome_unknown is (leaves_open and kind != "GET")
        assert caught.value.path_template == route.template
        assert caught.value.__context__ is None
        gaps = [b.at - a.at for a, b in zip(server.requests, server.requests[1:], strict=False)]
        told = caught.value.retry_after or 0.0
        assert all(gap >= told for gap in gaps)
        assert loop.time() - started < 20
        assert client.rate_limit.in_flight == 0
        assert spent(client) == expected


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("failure", [name for name, row in FAILURES.items() if row[2]])
async def test_a_passing_failure(failure: str, kind: str) -> None:
    """A failure that passes is got over where repeating is safe, and only there."""
    reply, error_class, _, repeated_always, _ = FAILURES[failure]
    async with (
        RawServer(reply, ok(b"1")) as server,
        raw_client(server, read_timeout=5) as client,
    ):
        if repeated_always or kind in REPEATABLE:
            assert (await send(client, EVERY_KIND[kind])).body == b"1"
            assert len(server.requests) == 2
        else:
            with pytest.raises(error_class):
                await send(client, EVERY_KIND[kind])
            assert len(server.requests) == 1


@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_what_was_never_sent_is_repeated_and_known_not_to_have_happened(kind: str) -> None:
    """A refused connection is tried again for every kind and costs no permit."""
    url = f"http://127.0.0.1:{refused_port()}"
    async with RawServer(ok()) as server, raw_client(server, retries=2, base_url=url) as client:
        with pytest.raises(PresenceConnectionError) as caught:
            await send(client, EVERY_KIND[kind])
        assert caught.value.attempts == 3
        assert caught.value.outcome_unknown is False
        assert spent(client) == 0


@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_a_dead_kept_connection_costs_a_second_permit_or_an_unknown_outcome(
    kind: str,
) -> None:
    """The second send is ours, under its own permit, and at once; a write is not sent again."""
    loop = asyncio.get_running_loop()
    async with RawServer(ok(), CLOSE, ok(b"2")) as server, raw_client(server) as client:
        await send(client, REPEATABLE["GET"])
        started = loop.time()
        if kind in ONCE:
            with pytest.raises(PresenceConnectionError) as caught:
                await send(client, EVERY_KIND[kind])
            assert caught.value.outcome_unknown
            assert caught.value.attempts == 1
        else:
            assert (await send(client, EVERY_KIND[kind])).body == b"2"
            assert loop.time() - started < 0.1
        assert len(server.requests) == (2 if kind in ONCE else 3)
        assert spent(client) == len(server.requests)


# -- answers that arrive whole and are wrong


@pytest.mark.parametrize(
    ("fault", "error_class"),
    [
        (Fault(body=HTML, content_type="text/html"), DecodeError),
        (Fault(body=b""), DecodeError),
        (Fault(body=b"[1, 2"), DecodeError),
        (Fault(body=b"\xff\xfe"), DecodeError),
        (Fault(gzip_bomb=40_000_000), DecodeError),
    ],
    ids=["html", "empty", "half", "bytes", "bomb"],
)
async def test_an_answer_that_cannot_be_read_is_not_asked_for_again(
    sim: Simulator, fault: Fault, error_class: type[PresenceError]
) -> None:
    """A 200 that makes no sense is a DecodeError after one request."""
    sim.faults.add(fault)
    async with client_for(sim, auth=StaticToken(sim.issue_token())) as client:
        with pytest.raises(error_class) as caught:
            await client.user_presences.get(sim.user_ids[0])
        assert caught.value.outcome_unknown is False
        assert sim.count() == 1
        assert (await client.user_presences.get(sim.user_ids[0])).presence_definition is not None


async def test_compressed_and_slow_answers_are_ordinary_answers() -> None:
    """A gzip body is unpacked, and a body that trickles is read for as long as it moves."""
    packed = ok(gzip.compress(b'{"message":"a"}'), "Content-Encoding: gzip")
    async with RawServer(packed) as server, raw_client(server) as client:
        assert (await client.user_presences.get("a")).message == "a"
    async with Simulator(users=1) as sim, client_for(sim, read_timeout=10) as client:
        sim.faults.add(Fault(route="GET /api/v2/users", delay=9))
        assert len(await client.users.list()) == 1


# -- writes at the simulator: what really happened


@pytest.mark.parametrize("effect", ["before", "after"])
async def test_a_lost_update_is_sent_once_and_may_have_happened(
    sim: Simulator, effect: Any
) -> None:
    """After a reset PATCH the error says that the outcome is unknown, whichever it was."""
    route = "PATCH /api/v2/users/{userId}/presences/purecloud"
    sim.faults.add(Fault(route=route, drop=effect))
    user = sim.user_ids[0]
    async with client_for(sim) as client:
        with pytest.raises(PresenceConnectionError) as caught:
            await client.user_presences.update(user, message="gone home")
        assert caught.value.outcome_unknown
        assert "may have taken effect" in str(caught.value)
        assert sim.count(route) == 1
        message = (await client.user_presences.get(user)).message
        assert (message == "gone home") is (effect == "after")


# -- answers and connections that are spoilt

READ = "GET /api/v2/users/{userId}/presences/purecloud"
WRITE = "PATCH /api/v2/users/{userId}/presences/purecloud"
TOKEN = "POST /oauth/token"

# name: fault, what an update makes of it, whether the change is made, how often a read is
# sent, the seconds until the client knows; reads wait five seconds for the next byte
SPOILT: dict[str, tuple[Fault, type[PresenceError] | None, bool, int, float]] = {
    "slow, but moving": (Fault(slow_body=20), None, True, 1, 20),
    "too slow": (Fault(slow_body=80), PresenceTimeoutError, True, 2, 5),
    "promises more": (Fault(wrong_length=5), PresenceConnectionError, True, 2, 0),
    "brings more": (Fault(wrong_length=-5), PresenceConnectionError, True, 2, 0),
    "brings what was not promised": (
        Fault(wrong_length=-9999),
        PresenceConnectionError,
        True,
        2,
        0,
    ),
    "dies within": (Fault(wrong_length=5, half_open=True), PresenceTimeoutError, True, 2, 5),
    "reset at the head": (Fault(drop="before"), PresenceConnectionError, False, 2, 0),
    "silent after the effect": (
        Fault(stall=True, after_effect=True),
        PresenceTimeoutError,
        True,
        2,
        5,
    ),
    "408": (Fault(status=408), PresenceTimeoutError, False, 2, 0),
}


@pytest.mark.parametrize("name", SPOILT)
async def test_an_update_whose_answer_is_spoilt(sim: Simulator, name: str) -> None:
    """An update is sent once; without a whole answer the error says it may have happened."""
    fault, error_class, happens, _, seconds = SPOILT[name]
    user, loop = sim.user_ids[0], asyncio.get_running_loop()
    async with client_for(sim, read_timeout=5) as client:
        await client.user_presences.get(user)
        sim.faults.add(attrs.evolve(fault, route=WRITE))
        started = loop.time()
        if error_class is None:
            assert (await client.user_presences.update(user, message="x")).message == "x"
        else:
            with pytest.raises(error_class, match="may have taken effect") as caught:
                await client.user_presences.update(user, message="x")
            assert caught.value.outcome_unknown
            assert caught.value.attempts == 1
        assert loop.time() - started == pytest.approx(seconds, abs=0.2)
        assert sim.count(WRITE) == 1
        assert sim.organization.presence(user).message == ("x" if happens else "")
        assert (await client.user_presences.get(user)).message == ("x" if happens else "")


@pytest.mark.parametrize("name", SPOILT)
async def test_a_read_whose_answer_is_spoilt(sim: Simulator, name: str) -> None:
    """A read is sent again and never returns half of an answer."""
    fault, _, _, sends, seconds = SPOILT[name]
    user, loop = sim.user_ids[0], asyncio.get_running_loop()
    async with client_for(sim, read_timeout=5) as client:
        expected = await client.user_presences.get(user)
        before = sim.count(READ)
        sim.faults.add(attrs.evolve(fault, route=READ))
        started = loop.time()
        assert await client.user_presences.get(user) == expected
        # The pause before a second send is half a second at most.
        assert seconds - 0.1 <= loop.time() - started < seconds + 0.7
        assert sim.count(READ) - before == sends


@pytest.mark.parametrize("write", [False, True], ids=["read", "update"])
async def test_a_connection_that_died_without_a_sign(sim: Simulator, write: bool) -> None:
    """The next call finds it dead by its timeout; a read goes on with another connection."""
    user, loop = sim.user_ids[0], asyncio.get_running_loop()
    async with client_for(sim, read_timeout=5) as client:
        sim.faults.add(Fault(route=READ, half_open=True))
        before = await client.user_presences.get(user)
        started = loop.time()
        if write:
            with pytest.raises(PresenceTimeoutError) as caught:
                await client.user_presences.update(user, message="x")
            assert caught.value.outcome_unknown
            assert loop.time() - started == pytest.approx(5, abs=0.1)
            # It never arrived, which the client cannot know.
            assert sim.count(WRITE) == 0
        else:
            assert await client.user_presences.get(user) == before
            assert 5 <= loop.time() - started < 6
        assert await client.user_presences.get(user) == before
        assert sim.count(READ) == (2 if write else 3)


@pytest.mark.parametrize(
    ("fault", "sends", "error_class"),
    [
        (Fault(slow_body=20), 1, None),
        (Fault(slow_body=80), 2, None),
        (Fault(wrong_length=5), 2, None),
        (Fault(wrong_length=-5), 2, None),
        (Fault(half_open=True), 1, None),
        (Fault(drop="before"), 2, None),
        (Fault(drop="after"), 2, None),
        (Fault(stall=True), 2, None),
        (Fault(status=502), 2, None),
        (Fault(status=503, body=b""), 2, None),
        (Fault(status=408, body=b""), 2, None),
        (Fault(gzip_bomb=40_000_000), 1, DecodeError),
        (Fault(status=429, retry_after=43200), 1, RateLimitedError),
        (Fault(status=400, code="invalid_client"), 1, AuthenticationError),
        (Fault(body=b"{}"), 1, AuthenticationError),
    ],
)
async def test_a_login_host_in_trouble(
    sim: Simulator, fault: Fault, sends: int, error_class: type[PresenceError] | None
) -> None:
    """A token is asked for again where that helps; else the call says why and is not sent."""
    sim.faults.add(attrs.evolve(fault, route=TOKEN))
    user = sim.user_ids[0]
    async with client_for(sim, read_timeout=5) as client:
        if error_class is None:
            assert (await client.user_presences.update(user, message="x")).message == "x"
        else:
            with pytest.raises(error_class) as caught:
                await client.user_presences.update(user, message="x")
            assert caught.value.outcome_unknown is False
            assert sim.count(WRITE) == 0
        assert sim.count(TOKEN) == sends


async def test_a_limit_per_day_is_told_at_once(sim: Simulator) -> None:
    """Nobody is made to wait for half a day."""
    sim.faults.add(Fault(route=READ, status=429, retry_after=43200))
    loop = asyncio.get_running_loop()
    async with client_for(sim) as client:
        started = loop.time()
        with pytest.raises(RateLimitedError) as caught:
            await client.user_presences.get(sim.user_ids[0])
        assert caught.value.retry_after == 43200
        assert loop.time() - started < 0.5


async def test_varying_latency_mixes_nothing_up(sim: Simulator) -> None:
    """However the answers overtake each other, each call gets its own."""
    sim.faults.add(Fault(route=READ, times=None, delay=exponential(0.5)))
    users = sim.user_ids[:50]
    for user in users:
        sim.organization.set_presence(user, message=user)
    async with client_for(sim) as client:
        read = await asyncio.gather(*map(client.user_presences.get, users))
    assert [presence.message for presence in read] == list(users)
    answered = [record.ended_at for record in sim.requests if record.target.endswith("purecloud")]
    assert len(answered) == 50
    assert answered != sorted(answered)


async def _definition(client: Any) -> str:
    made = await client.definitions.create(
        OrganizationPresenceDefinition(
            language_labels={"en_US": "Reading"}, system_presence=SystemPresenceName("Busy")
        )
    )
    return str(made.id)


DELETE = "DELETE /api/v2/presence/definitions/{definitionId}"


@pytest.mark.parametrize(
    ("faults", "sends"),
    [
        ([Fault(route=DELETE, drop="after")], 2),
        ([Fault(route=DELETE, drop="before")], 2),
        ([Fault(route=DELETE, status=503, after_effect=True)], 2),
        ([Fault(route=DELETE, status=503)], 2),
        ([Fault(route=DELETE, drop="after"), Fault(route=DELETE, status=429)], 3),
    ],
    ids=["lost after", "lost before", "503 after", "503", "lost and 429"],
)
async def test_a_repeated_delete_succeeds_whether_or_not_the_first_did(
    sim: Simulator, faults: list[Fault], sends: int
) -> None:
    """What became of the first does not matter: it is deleted in the end."""
    async with client_for(sim) as client:
        made = await _definition(client)
        sim.faults.add(*faults)
        assert await client.definitions.delete(made) is None
        assert sim.count(DELETE) == sends


@pytest.mark.parametrize("faults", [[], [Fault(route=DELETE, status=429)]], ids=["first", "429"])
async def test_a_delete_that_cannot_have_happened_before_is_not_found(
    sim: Simulator, faults: list[Fault]
) -> None:
    """A 404 is an error when no earlier send of the call can have deleted anything."""
    sim.faults.add(*faults)
    async with client_for(sim) as client:
        with pytest.raises(NotFoundError) as caught:
            await client.definitions.delete("00000000-0000-4000-8000-000000000000")
        assert caught.value.outcome_unknown is False


# -- bounds


@pytest.mark.parametrize("fault", [RESET, refusal(503), STALL], ids=["reset", "503", "stall"])
async def test_an_outage_is_not_amplified(fault: Reply) -> None:
    """Sixty calls with five retries each send sixty requests and the retry budget, no more."""
    async with (
        RawServer(fault) as server,
        raw_client(server, retries=5, read_timeout=2) as client,
    ):
        calls = [send(client, REPEATABLE["GET"]) for _ in range(60)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, PresenceError) for result in results)
        assert len(server.requests) <= 60 + 20


async def test_nothing_is_held_while_a_call_pauses() -> None:
    """With one connection in the pool a call proceeds while another sleeps out its pause."""
    async with (
        RawServer(refusal(503, "Retry-After: 20"), ok()) as server,
        raw_client(server, pool_size=1) as client,
    ):
        pausing = asyncio.ensure_future(send(client, REPEATABLE["GET"]))
        await until(lambda: spent(client) and not client.rate_limit.in_flight)
        await send(client, ONCE["PATCH"])
        assert not pausing.done()
        assert client.rate_limit.in_flight == 0
        assert (await pausing).status == 200
        assert server.connections == 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("options", "told", "sends"),
    [
        ({"max_wait": 9.0}, 10, 1),
        ({"max_wait": 10.0}, 10, 2),
        ({"timeout": 9.0}, 10, 1),
        ({"max_wait": 0.0}, 1, 1),
        ({}, 86_400, 1),
    ],
)
async def test_a_longer_wait_than_wanted_is_an_error_at_once(
    status: int, options: dict[str, float], told: int, sends: int
) -> None:
    """Retry-After is obeyed up to max_wait and the deadline; beyond, the error carries it."""
    loop = asyncio.get_running_loop()
    reply = refusal(status, f"Retry-After: {told}")
    async with RawServer(reply, ok()) as server, raw_client(server) as plain:
        client = plain.with_options(**options)  # type: ignore[arg-type]
        started = loop.time()
        if sends == 1:
            with pytest.raises(RateLimitedError if status == 429 else ServerError) as caught:
                await send(client, REPEATABLE["GET"])
            assert caught.value.retry_after == told
            assert loop.time() - started < 0.5
        else:
            await send(client, REPEATABLE["GET"])
            assert server.requests[1].at - server.requests[0].at >= told
        assert len(server.requests) == sends


async def test_options_of_a_derived_client_rule_its_calls_only() -> None:
    """Retrying can be turned off and the deadline shortened without touching the first client."""
    loop = asyncio.get_running_loop()
    async with RawServer(refusal(503)) as server, raw_client(server) as client:
        with pytest.raises(ServerError):
            await send(client.with_options(retries=0), REPEATABLE["GET"])
        assert len(server.requests) == 1
        with pytest.raises(ServerError):
            await send(client, REPEATABLE["GET"])
        assert len(server.requests) == 5
    async with RawServer(STALL) as server, raw_client(server) as client:
        started = loop.time()
        with pytest.raises(PresenceTimeoutError, match="no answer within 3 s") as caught:
            await send(client.with_options(timeout=3), ONCE["POST"])
        assert loop.time() - started == pytest.approx(3)
        assert caught.value.outcome_unknown


# -- any sequence of failures

_SCRIPTED = [reply for reply, *_ in FAILURES.values()]
_OPEN = [row[0] for row in FAILURES.values() if row[4]]
_TOLD = {"429 wait": 2, "503 wait": 3}


@settings(max_examples=120, deadline=None)
@given(
    script=st.lists(st.sampled_from([*FAILURES, "fine"]), min_size=1, max_size=6),
    kind=st.sampled_from(list(EVERY_KIND)),
    retries=st.integers(0, 4),
    chance=st.floats(0, 1, exclude_max=True),
    timeout=st.sampled_from([1.0, 7.5, 40.0]),
)
def test_any_sequence_of_failures_keeps_every_bound(
    script: list[str], kind: str, retries: int, chance: float, timeout: float
) -> None:
    """Attempts, time, pauses and permits stay within their bounds; writes arrive once."""

    async def main() -> None:
        replies = [FAILURES[name][0] if name in FAILURES else ok() for name in script]
        loop = asyncio.get_running_loop()
        async with (
            RawServer(*replies) as server,
            raw_client(server, retries=retries, read_timeout=5, timeout=timeout) as client,
        ):
            client._session._chance = lambda: chance
            started = loop.time()
            error: PresenceError | None = None
            try:
                await send(client, EVERY_KIND[kind])
            except PresenceError as caught:
                error = caught
            took = loop.time() - started
            arrived = [script[min(n, len(script) - 1)] for n in range(len(server.requests))]
            assert 1 <= len(arrived) <= retries + 1
            assert took <= timeout + 0.1
            for n, (first, second) in enumerate(
                zip(server.requests, server.requests[1:], strict=False)
            ):
                assert second.at - first.at >= _TOLD.get(arrived[n], 0)
            if kind in ONCE:
                assert sum(not name.startswith("429") for name in arrived) <= 1
            if error is not None:
                assert error.attempts == len(arrived)
                left_open = any(name in FAILURES and FAILURES[name][4] for name in arrived)
                assert error.outcome_unknown is (left_open and kind != "GET")
            assert client.rate_limit.in_flight == 0
            assert spent(client) == len(arrived)

    clock.run(main())
