"""Between HTTP and the services: reading, recording, faults, writing; and the gateway."""

import asyncio
import contextlib
import ssl
from email.utils import formatdate
from typing import Any

import aiohttp
import attrs
import orjson
import pytest
import trustme
from aiohttp import web
from clock import leftovers
from unit.simulator.lab import Lab, OpenLab, Wire, handshake

from presence_async.simulator import Fault
from presence_async.simulator.exchange import Answer, Exchange
from presence_async.simulator.faults import FaultPlan
from presence_async.simulator.gate import BODY_SECONDS, Gate, http_date
from presence_async.simulator.ports import Listener
from presence_async.simulator.recorder import RecordedRequest, Recorder

SYSTEM = "/api/v2/systempresences"


def presence_path(user: str):
    """Return the purecloud path of a user."""
    return f"/api/v2/users/{user}/presences/purecloud"


async def raw(lab: Lab, data: bytes, count: int = -1):
    """Send bytes and return the bytes that come back."""
    host, port = lab.sim.base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    answer = await reader.read(count)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return answer


@contextlib.asynccontextmanager
async def wired(url: str, sent: bytes = b"", **options: Any):
    """Open a connection, send something, and close it in the end."""
    host, port = url.partition("://")[2].split(":")
    wire = Wire(*await asyncio.open_connection(host, int(port), **options))
    wire.writer.write(sent)
    try:
        yield wire
    finally:
        await wire.aclose()


def request(lab: Lab, method: str = "GET", path: str = SYSTEM, body: bytes = b"", length: int = 0):
    """Return a request as bytes, with a body that may be shorter than promised."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {lab.token}",
        "Content-Type: application/json",
        f"Content-Length: {length or len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def change(lab: Lab, length: int = 0):
    """Return a request that changes a message."""
    return request(lab, "PATCH", presence_path(lab.user), b'{"message":"x"}', length)


async def whole(wire: Wire):
    """Return status, declared length and body of the next answer."""
    status, head = await wire.head()
    length = int(head.partition(b"Content-Length: ")[2].split(b"\r")[0])
    return status, length, await wire.reader.readexactly(length)


async def silent(wire: Wire, seconds: float):
    """Assert that nothing comes within a time, not even the end."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await wire.reader.read(1)


def idle(lab: Lab):
    """Return whether no request is in the hands of any gate."""
    gates = [listener._gate for listener in lab.sim._ports._all]
    return not any(gate._running or gate._stalled for gate in gates)


async def patch(lab: Lab, message: str):
    """Change a message; POST and PATCH are not repeated by aiohttp behind our back."""
    return await lab.call("PATCH", presence_path(lab.user), json={"message": message})


async def test_every_answer_has_the_vendor_headers(open_lab: OpenLab):
    """Correlation id and cache headers are on good and bad answers, rate headers on none."""
    lab = await open_lab()
    for target in (SYSTEM, "/nope"):
        reply = await lab.call("GET", target)
        assert len(reply.headers["ININ-Correlation-Id"]) == 36
        assert "no-store" in reply.headers["Cache-Control"]
        assert reply.headers["Expires"] == "0"
        assert "Strict-Transport-Security" in reply.headers
        assert not [name for name in reply.headers if "ratelimit" in name.lower()]


async def test_requests_are_recorded_raw(open_lab: OpenLab):
    """The target is as sent, credentials are masked, the token has a label."""
    lab = await open_lab()
    reply = await lab.call("GET", f"{SYSTEM}?x=%2C&y=a+b", headers={"X-Mine": "1"})
    record = lab.sim.requests[-1]
    assert record.target == f"{SYSTEM}?x=%2C&y=a+b"
    assert (record.method, record.path_template) == ("GET", SYSTEM)
    assert record.headers["authorization"] == "Bearer ***"
    assert record.headers["x-mine"] == "1"
    assert (record.token_label, record.status, record.fault) == ("token-1", reply.status, None)
    assert record.received_at <= lab.loop.time()
    assert lab.token not in repr(record)
    await patch(lab, "x")
    assert orjson.loads(lab.sim.requests[-1].body) == {"message": "x"}
    await lab.call("GET", "/nope", token=None)
    record = lab.sim.requests[-1]
    assert (record.path_template, record.token_label) == (None, None)
    assert "Authorization" not in record.headers


async def test_every_request_ends(open_lab: OpenLab):
    """Whoever listens hears of each request once: answered, reset, left or still stalled."""
    lab = await open_lab()
    ended: list[tuple[int | None, Fault | None]] = []
    lab.sim.listeners.append(lambda request: ended.append((request.status, request.fault)))
    faults = [Fault(status=503), Fault(drop="before"), Fault(drop="mid_body")]
    faults += [Fault(slow_body=1), Fault(stall=True)]
    for fault in faults:
        lab.sim.faults.add(fault)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(100):
                await patch(lab, "x")
        await asyncio.sleep(1)
    await patch(lab, "x")
    lab.sim.faults.add(faults[-1])
    waiting = asyncio.create_task(patch(lab, "x"))
    await asyncio.sleep(1)
    assert lab.sim.count() == len(ended) + 1
    await lab.sim.aclose()
    await asyncio.gather(waiting, return_exceptions=True)
    statuses = [503, None, None, 200, None, 200, None]
    assert ended == list(zip(statuses, [*faults, None, faults[-1]], strict=True))


async def test_scripted_status(open_lab: OpenLab):
    """A scripted status replaces the answer and changes nothing."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(status=503, retry_after=3))
    reply = await patch(lab, "x")
    assert (reply.status, reply.code) == (503, "service.unavailable")
    assert reply.headers["Retry-After"] == "3"
    assert lab.sim.organization.presence(lab.user).message == ""
    assert lab.sim.requests[-1].fault is not None
    assert lab.sim.requests[-1].status == 503
    assert (await patch(lab, "y")).status == 200


async def test_scripted_status_after_effect(open_lab: OpenLab):
    """With after_effect the change is made before the failure is answered."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(status=504, after_effect=True))
    assert (await patch(lab, "x")).code == "request.timeout"
    assert lab.sim.organization.presence(lab.user).message == "x"


@pytest.mark.parametrize(("drop", "message"), [("before", ""), ("after", "x")])
async def test_drops_reset_the_connection(open_lab: OpenLab, drop: str, message: str):
    """The connection is reset before or after the change, and no status is recorded."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(drop=drop))
    with pytest.raises(aiohttp.ClientOSError) as caught:
        await patch(lab, "x")
    assert isinstance(caught.value, ConnectionResetError) or caught.value.errno == 104
    assert lab.sim.organization.presence(lab.user).message == message
    assert lab.sim.requests[-1].status is None


async def test_drop_in_the_body(open_lab: OpenLab):
    """The answer breaks off in its body after the change was made."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(drop="mid_body"))
    with pytest.raises(aiohttp.ClientPayloadError):
        await patch(lab, "x")
    assert lab.sim.organization.presence(lab.user).message == "x"


async def test_delay(open_lab: OpenLab):
    """A fault with nothing but a delay only delays."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(delay=7.5))
    before = lab.loop.time()
    assert (await lab.call("GET", SYSTEM)).status == 200
    assert 7.5 <= lab.loop.time() - before < 7.6
    assert lab.sim.requests[-1].fault is not None


async def test_stall_ends_with_the_client(open_lab: OpenLab):
    """A stalled request never answers, and ends when its client gives up."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(stall=True))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await patch(lab, "x")
    await asyncio.sleep(0.1)
    assert idle(lab)
    assert (await lab.call("GET", SYSTEM)).status == 200


@pytest.mark.parametrize(
    "fault",
    [
        Fault(delay=5, stall=True),
        Fault(delay=5, drop="before"),
        Fault(delay=5, drop="mid_body"),
        Fault(delay=5, raw_answer=b"junk", after_effect=True),
        Fault(delay=5, slow_body=5),
        Fault(delay=5, half_open=True),
        Fault(delay=5),
    ],
)
async def test_clients_that_leave_during_a_delay(open_lab: OpenLab, fault: Fault):
    """A client that is gone when the fault strikes disturbs nobody."""
    lab = await open_lab()
    lab.sim.faults.add(fault)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await patch(lab, "x")
    await asyncio.sleep(10)
    assert idle(lab)
    expected = "" if fault.stall or fault.drop == "before" else "x"
    assert lab.sim.organization.presence(lab.user).message == expected


async def test_raw_answers(open_lab: OpenLab):
    """Raw bytes go to the socket as they are, then it is closed, or stalls."""
    lab = await open_lab()
    request = f"GET {SYSTEM} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    lab.sim.faults.add(Fault(raw_answer=b"junk"))
    assert await raw(lab, request) == b"junk"
    lab.sim.faults.add(Fault(raw_answer=b"HTTP/1.1 200 OK\r\n", stall=True))
    assert await raw(lab, request, 17) == b"HTTP/1.1 200 OK\r\n"


async def test_gzip_bomb(open_lab: OpenLab):
    """A small answer grows to the size asked for."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(gzip_bomb=2_500_000))
    reply = await lab.call("GET", SYSTEM)
    assert len(reply.body) == 2_500_000


async def test_login_faults(open_lab: OpenLab):
    """Faults strike the login server too, in its own words."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(route="POST /oauth/token", status=400, code="invalid_request"))
    reply = await lab.login({"grant_type": "client_credentials"})
    assert (reply.status, reply.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "fault",
    [Fault(stall=True, after_effect=True), Fault(raw_answer=b"junk", after_effect=True)],
)
async def test_no_answer_after_the_effect(open_lab: OpenLab, fault: Fault):
    """A change can be made and then be answered by silence or junk."""
    lab = await open_lab()
    lab.sim.faults.add(fault)
    async with wired(lab.sim.base_url, change(lab)) as wire:
        if fault.stall:
            await silent(wire, 9999)
        else:
            assert await wire.reader.read() == b"junk"
        assert lab.sim.organization.presence(lab.user).message == "x"
    await asyncio.sleep(1)
    record = lab.sim.requests[-1]
    assert (record.status, record.ended_at is None) == (None, False)


# -- resets before the body


@pytest.mark.parametrize("others", [(), (Fault(route="POST /oauth/token", stall=True),)])
async def test_a_reset_does_not_wait_for_the_body(open_lab: OpenLab, others: tuple[Fault, ...]):
    """The head is enough: the connection is reset at once and the body never read."""
    lab = await open_lab()
    lab.sim.faults.add(*others, Fault(drop="before"))
    before = lab.loop.time()
    async with wired(lab.sim.base_url, change(lab, length=1000)) as wire:
        with pytest.raises(ConnectionResetError):
            await wire.reader.read()
    assert lab.loop.time() - before < 0.1
    record = lab.sim.requests[-1]
    assert (record.path_template is None, record.body, record.status) == (False, b"", None)
    assert record.fault == Fault(drop="before")
    assert lab.sim.organization.presence(lab.user).message == ""
    assert lab.sim.faults.pending == others
    assert idle(lab)


async def test_a_reset_waits_for_the_body_that_a_callable_may_look_at(open_lab: OpenLab):
    """A fault whose route is a callable is asked about the whole request first."""
    lab = await open_lab()
    seen = []

    def looks(record: RecordedRequest):
        seen.append(record.body)
        return False

    lab.sim.faults.add(Fault(route=looks, status=503), Fault(drop="before"))
    with pytest.raises(aiohttp.ClientOSError):
        await patch(lab, "x")
    assert seen == [lab.sim.requests[-1].body] == [b'{"message":"x"}']


async def test_faults_chosen_by_the_head_strike_once(open_lab: OpenLab):
    """A request judged before its body is not judged again, whatever became of it."""
    lab = await open_lab()
    reset = Fault(route="POST /oauth/token", drop="before", times=None)
    lab.sim.faults.add(reset, Fault(skip=1, status=503))
    assert (await patch(lab, "x")).status == 200
    assert (await patch(lab, "y")).status == 503
    assert lab.sim.requests[-1].body == b'{"message":"y"}'
    assert lab.sim.faults.pending == (reset,)


# -- bodies that are slow or of a wrong length


async def test_slow_answers(open_lab: OpenLab):
    """The head comes at once, the body in pieces up to the given second, then all goes on."""
    lab = await open_lab()
    usual = await lab.call("GET", SYSTEM)
    lab.sim.faults.add(Fault(slow_body=16))
    start = lab.loop.time()
    async with wired(lab.sim.base_url, request(lab)) as wire:
        assert (await wire.head())[0] == 200
        assert lab.loop.time() - start < 0.1
        pieces, times = [], []
        while len(b"".join(pieces)) < len(usual.body):
            pieces.append(await wire.reader.read(100_000))
            times.append(lab.loop.time() - start)
        assert b"".join(pieces) == usual.body
        assert times == pytest.approx([2, 4, 6, 8, 10, 12, 14, 16], abs=0.1)
        wire.writer.write(request(lab))
        assert await whole(wire) == (200, len(usual.body), usual.body)
    assert lab.sim.requests[-2].status == 200


async def test_slow_answers_end_with_the_client(open_lab: OpenLab):
    """Nothing is sent any more to a client that has left."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(slow_body=8000))
    async with wired(lab.sim.base_url, request(lab)) as wire:
        await wire.head()
        await wire.reader.read(1)
    await asyncio.sleep(1)
    assert idle(lab)


async def test_slow_answers_do_not_delay_closing(open_lab: OpenLab):
    """Closing the simulator cuts a trickling answer off."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(slow_body=8000))
    async with wired(lab.sim.base_url, request(lab)) as wire:
        await wire.head()
        await wire.reader.read(1)
        before = lab.loop.time()
        await lab.sim.aclose()
        assert lab.loop.time() - before < 1
        with contextlib.suppress(ConnectionResetError):
            assert not (await wire.reader.read()).endswith(b"]")


async def test_answers_shorter_than_promised(open_lab: OpenLab):
    """Content-Length promises more than there is, then the connection is closed."""
    lab = await open_lab()
    usual = await lab.call("GET", SYSTEM)
    lab.sim.faults.add(Fault(wrong_length=7))
    async with wired(lab.sim.base_url, request(lab)) as wire:
        _, head = await wire.head()
        assert f"Content-Length: {len(usual.body) + 7}\r\n".encode() in head
        assert await wire.reader.read() == usual.body
    assert lab.sim.requests[-1].status == 200


async def test_answers_longer_than_promised(open_lab: OpenLab):
    """What Content-Length does not cover follows as surplus on a connection that lives on."""
    lab = await open_lab()
    usual = await lab.call("GET", SYSTEM)
    lab.sim.faults.add(Fault(wrong_length=-7))
    async with wired(lab.sim.base_url, request(lab)) as wire:
        assert await whole(wire) == (200, len(usual.body) - 7, usual.body[:-7])
        assert await wire.reader.readexactly(7) == usual.body[-7:]
        wire.writer.write(request(lab))
        assert await whole(wire) == (200, len(usual.body), usual.body)


async def test_statuses_without_a_body_have_no_length_to_be_wrong(open_lab: OpenLab):
    """A 204 stays a 204."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(status=204, wrong_length=-7, slow_body=3))
    async with wired(lab.sim.base_url, request(lab)) as wire:
        status, head = await wire.head()
        assert (status, b"Content-Length" in head) == (204, False)


# -- connections that die without a sign


async def test_half_open_connections(open_lab: OpenLab):
    """One more answer arrives; from then on nothing is read, recorded, answered or closed."""
    lab = await open_lab()
    usual = await lab.call("GET", SYSTEM)
    lab.sim.faults.add(Fault(half_open=True))
    async with wired(lab.sim.base_url, request(lab)) as wire:
        assert await whole(wire) == (200, len(usual.body), usual.body)
        # Longer than idle connections live.
        await silent(wire, 7200)
        wire.writer.write(request(lab) + change(lab) * 10_000)
        await wire.writer.drain()
        await silent(wire, 7200)
        assert lab.sim.count() == 2
        assert lab.sim.requests[-1].status == 200
        assert lab.sim.organization.presence(lab.user).message == ""
        assert not idle(lab)
    await asyncio.sleep(1)
    assert idle(lab)


async def test_pipelined_requests_die_with_their_connection(open_lab: OpenLab):
    """What had arrived behind the last answered request is not answered either."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(half_open=True))
    async with wired(lab.sim.base_url, request(lab) * 3) as wire:
        await whole(wire)
        await silent(wire, 60)
        assert lab.sim.count() == 1


async def test_promises_kept_by_nobody(open_lab: OpenLab):
    """A half-open connection can end within an answer."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(half_open=True, wrong_length=5, status=503))
    async with wired(lab.sim.base_url, request(lab)) as wire:
        assert (await wire.head())[0] == 503
        await wire.reader.readuntil(b"}")
        await silent(wire, 7200)


async def test_half_open_tls_connections(open_lab: OpenLab):
    """Under TLS a dead connection is as dead, and its client can leave as well."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    lab = await open_lab(ssl_context=server)
    lab.sim.faults.add(Fault(half_open=True))
    async with wired(lab.sim.base_url, request(lab), ssl=client) as wire:
        await whole(wire)
        wire.writer.write(request(lab))
        await silent(wire, 60)
        assert lab.sim.count() == 1
        wire.writer.transport.abort()
        await asyncio.sleep(1)
        assert idle(lab)


async def test_a_stalled_client_with_more_to_say_can_leave(open_lab: OpenLab):
    """A stalled request ends with its client, however much that goes on sending."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(stall=True))
    large = request(lab, "PATCH", presence_path(lab.user), bytes(3_000_000))
    # So many waiting requests make the server stop reading.
    async with wired(lab.sim.base_url, request(lab) * 100 + large) as wire:
        await wire.writer.drain()
        await silent(wire, 60)
        assert not idle(lab)
    await asyncio.sleep(1)
    assert idle(lab)


# -- a server that is down


async def test_a_stalled_server(open_lab: OpenLab):
    """Nobody is answered, on no route and at no port, and closing leaves nothing behind."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(stall=True, times=None))
    form = b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na="
    sent = [b"", b"GET /", request(lab), change(lab), change(lab, length=1000), request(lab) * 40]
    async with contextlib.AsyncExitStack() as stack:
        wires = [
            await stack.enter_async_context(wired(url, data))
            for url, data in [(lab.sim.login_url, form), *((lab.sim.base_url, d) for d in sent)]
            for _ in range(20)
        ]
        await asyncio.sleep(10)
        assert lab.sim.count() == 80
        assert {record.status for record in lab.sim.requests} == {None}
        before = lab.loop.time()
        await lab.sim.aclose()
        assert lab.loop.time() - before < 1
        assert idle(lab)
        assert leftovers() == []
        for wire in wires:
            with contextlib.suppress(ConnectionResetError):
                assert await wire.reader.read() == b""


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (Fault(status=400, code="invalid_client"), 400, b"invalid_client"),
        (Fault(status=401, body=b""), 401, b""),
        (Fault(status=429, retry_after=43200), 429, b"too.many.requests.retry.after"),
        (Fault(status=500), 500, b"internal.server.error"),
        (Fault(status=502), 502, b"<html>"),
        (Fault(body=b"{}"), 200, b"{}"),
        (Fault(slow_body=60), 200, b"access_token"),
        (Fault(half_open=True), 200, b"access_token"),
        (Fault(delay=60), 200, b"access_token"),
    ],
)
async def test_token_endpoint_failures(open_lab: OpenLab, fault: Fault, status: int, body: bytes):
    """The login server fails in every way the API does, and only its own routes if asked."""
    lab = await open_lab()
    lab.sim.faults.add(attrs.evolve(fault, route="POST /oauth/token"))
    assert (await lab.call("GET", SYSTEM)).status == 200
    reply = await lab.login({"grant_type": "client_credentials"})
    assert (reply.status, body in reply.body) == (status, True)
    assert lab.sim.faults.pending == ()


# -- request bodies


async def test_bodies_that_come_too_slowly(open_lab: OpenLab):
    """A body that is not whole after half a minute is a 408, and the connection ends."""
    lab = await open_lab()
    start = lab.loop.time()
    async with wired(lab.sim.base_url, change(lab, length=1000)) as wire:
        status, head = await wire.head()
        assert (status, b"Connection: close" in head) == (408, True)
        assert orjson.loads(await wire.reader.readuntil(b"}"))["code"] == "client.timeout"
        assert lab.loop.time() - start == pytest.approx(BODY_SECONDS, abs=0.1)
        assert await wire.reader.read() == b""
    record = lab.sim.requests[-1]
    assert (record.status, record.body, record.fault) == (408, b"", None)
    assert lab.sim.organization.presence(lab.user).message == ""
    async with wired(
        lab.sim.login_url, b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
    ) as wire:
        status, _, body = await whole(wire)
        assert (status, orjson.loads(body)["error"]) == (408, "client.timeout")


async def test_bodies_that_come_just_in_time(open_lab: OpenLab):
    """A slow body is read as any other while it does come."""
    lab = await open_lab()
    sent = change(lab)
    async with wired(lab.sim.base_url, sent[:-3]) as wire:
        for at in (-3, -2, -1):
            await asyncio.sleep(BODY_SECONDS / 3 - 0.1)
            wire.writer.write(sent[at:][:1])
        assert (await whole(wire))[0] == 200
    assert lab.sim.organization.presence(lab.user).message == "x"


@pytest.mark.parametrize("seconds", [1, BODY_SECONDS + 0.001, BODY_SECONDS + 1])
@pytest.mark.parametrize("sent", [10, 600_000])
async def test_stalled_uploads_do_not_delay_closing(open_lab: OpenLab, seconds: float, sent: int):
    """Closing does not wait for bodies that are awaited or have been refused as slow."""
    lab = await open_lab()
    data = request(lab, "PATCH", presence_path(lab.user), bytes(sent), length=900_000)
    async with wired(lab.sim.base_url, data):
        await asyncio.sleep(seconds)
        before = lab.loop.time()
        await lab.sim.aclose()
        assert lab.loop.time() - before < 1
        assert idle(lab)
        assert leftovers() == []


async def test_large_bodies(open_lab: OpenLab):
    """512,000 bytes are read, one more is a 413, chunked or not."""
    lab = await open_lab()
    target = presence_path(lab.user)
    fits = orjson.dumps({"message": "x" * (512_000 - 14)})
    assert len(fits) == 512_000
    assert (await lab.call("PATCH", target, body=fits)).status == 200
    reply = await lab.call("PATCH", target, body=fits + b" ")
    assert (reply.status, reply.code) == (413, "request.entity.too.large")
    assert reply.json["limit"]["value"] == 512_000

    async def chunks():
        for _ in range(60):
            yield b" " * 10_000

    reply = await lab.call("PATCH", target, body=chunks())
    assert reply.code == "request.entity.too.large"
    assert [len(record.body) for record in lab.sim.requests] == [512_000, 0, 0]


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST " + SYSTEM.encode() + b" HTTP/1.1\r\nHost: x\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PATCH " + SYSTEM.encode() + b" HTTP/1.1\r\nHost: x\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    ],
)
async def test_what_is_not_http_is_400(open_lab: OpenLab, data: bytes):
    """Malformed requests get the usual error body."""
    lab = await open_lab()
    answer = await raw(lab, data)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert orjson.loads(body)["code"] == "bad.request"


async def test_clients_that_leave_during_the_body(
    open_lab: OpenLab, caplog: pytest.LogCaptureFixture
):
    """A request whose body never comes is no request and no error."""
    lab = await open_lab()
    host, port = lab.sim.base_url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    await asyncio.sleep(0.1)
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.1)
    assert list(lab.sim.requests) == []
    assert caplog.records == []


async def test_own_failures_are_logged(open_lab: OpenLab, caplog: pytest.LogCaptureFixture):
    """A failure of the simulator itself is a logged 500 with an error body."""
    lab = await open_lab()

    def fails(request: RecordedRequest):
        raise RuntimeError("broken on purpose")

    lab.sim.faults.add(Fault(route=fails))
    reply = await lab.call("GET", SYSTEM)
    assert (reply.status, reply.code) == (500, "internal.server.error")
    assert "the simulator failed" in caplog.text


# -- upgrades


class Upgrading:
    """A service that upgrades every request to a WebSocket."""

    def __init__(self) -> None:
        self.half_open: list[bool] = []

    def match(self, method: str, path: str):
        """Know no path."""

    def label(self, headers: Any):
        """Know no token."""

    def answer(self, exchange: Exchange, match: Any):
        """Return an upgrade."""
        return Answer(101, upgrade=self._serve)

    async def _serve(self, request: web.BaseRequest, half_open: bool):
        self.half_open.append(half_open)
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        if half_open:
            return None
        async for message in connection:
            await connection.send_str(message.data)
        return connection


@contextlib.asynccontextmanager
async def upgrading(*faults: Fault):
    """Open a port that upgrades, with faults."""
    service, plan = Upgrading(), FaultPlan(0, [])
    plan.add(*faults)
    recorder = Recorder(9, asyncio.get_running_loop().time)
    gate = Gate(service=service, recorder=recorder, faults=plan, seed=0, host="api")
    listener = Listener(gate, "127.0.0.1", 0, None, "")
    await listener.start()
    try:
        async with aiohttp.ClientSession() as http:
            yield listener, service, recorder, http
    finally:
        await listener.aclose()
    assert gate._running == set()


@pytest.mark.parametrize("faults", [(), (Fault(delay=5),), (Fault(slow_body=5),)])
async def test_upgrades(faults: tuple[Fault, ...]):
    """An answer may upgrade the request, which is recorded as 101; a fault may come before."""
    async with upgrading(*faults) as (listener, service, recorder, http):
        before = asyncio.get_running_loop().time()
        async with http.ws_connect(listener.url) as socket:
            took = asyncio.get_running_loop().time() - before
            assert took == pytest.approx(5 if faults and faults[0].delay else 0, abs=0.1)
            await socket.send_str("a")
            assert (await socket.receive()).data == "a"
            assert recorder.requests[-1].status == 101
        assert service.half_open == [False]


async def test_closing_ends_upgrades():
    """An open WebSocket does not delay the end."""
    async with upgrading() as (listener, _, _, http), http.ws_connect(listener.url) as socket:
        before = asyncio.get_running_loop().time()
        await listener.aclose()
        assert asyncio.get_running_loop().time() - before < 1
        ended = (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert (await socket.receive()).type in ended


@pytest.mark.parametrize("leaving", [True, False])
async def test_half_open_upgrades(leaving: bool):
    """The service is told, and what it abandons stays silent until the client leaves."""
    async with upgrading(Fault(half_open=True)) as (listener, service, recorder, _):
        async with wired(listener.url, handshake("/")) as wire:
            assert (await wire.head())[0] == 101
            assert service.half_open == [True]
            wire.writer.write(bytes(3_000_000))
            await wire.writer.drain()
            await silent(wire, 7200)
            assert recorder.requests[-1].status == 101
            assert listener._gate._running
            if not leaving:
                await listener.aclose()
        await asyncio.sleep(1)
        assert listener._gate._running == set()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault(body=b"no"),
        Fault(drop="before", times=2),  # aiohttp asks once more
        Fault(drop="mid_body"),
    ],
)
async def test_refused_upgrades(fault: Fault):
    """A fault that answers or drops keeps the request from being upgraded."""
    async with upgrading(fault) as (listener, service, _, http):
        with pytest.raises(aiohttp.ClientError):
            await http.ws_connect(listener.url)
        assert service.half_open == []
        async with http.ws_connect(listener.url):
            assert service.half_open == [False]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Authorization: canary", "***"),
        ("Authorization: Bearer canary", "Bearer ***"),
        ("Authorization: Bearer\tcanary", "***"),
        ("Authorization: basic canary", "basic ***"),
        ("Authorization: canary secret", "***"),
        ("Proxy-Authorization: Basic canary", "Basic ***"),
        ("Cookie: canary", "***"),
    ],
)
async def test_no_secret_is_recorded(open_lab: OpenLab, sent: str, kept: str):
    """Credentials are masked in whatever form they come; of a known scheme its name stays."""
    lab = await open_lab()
    asked = f"GET {SYSTEM}?a=b&access_token=canary&c=d HTTP/1.1\r\nHost: x\r\n{sent}\r\n\r\n"
    async with wired(lab.sim.base_url, asked.encode()) as wire:
        await wire.head()
    record = lab.sim.requests[-1]
    assert record.headers[sent.partition(":")[0]] == kept
    assert record.target == f"{SYSTEM}?a=b&access_token=***&c=d"


async def test_expect_continue(open_lab: OpenLab):
    """A client that asks before it sends its body is told to go on."""
    lab = await open_lab()
    asked = change(lab).replace(b"Host: x", b"Host: x\r\nExpect: 100-continue")
    head, _, body = asked.partition(b"\r\n\r\n")
    async with wired(lab.sim.base_url, head + b"\r\n\r\n") as wire:
        assert await wire.head() == (100, b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.writer.write(body)
        assert (await wire.head())[0] == 200


async def test_absolute_targets(open_lab: OpenLab):
    """The form of a target that proxies send is understood."""
    lab = await open_lab()
    async with wired(lab.sim.base_url, request(lab, path=f"http://x{SYSTEM}")) as wire:
        assert (await wire.head())[0] == 200


async def test_head_has_no_body(open_lab: OpenLab):
    """A fault in the delivery gives the answer to a HEAD no body, so the connection goes on."""
    lab = await open_lab()
    lab.sim.faults.add(Fault(slow_body=1))
    gone = request(lab, "HEAD", "/api/v2/notifications/channels/none")
    async with wired(lab.sim.base_url, gone + request(lab)) as wire:
        assert (await wire.head())[0] == 404
        assert (await wire.head())[0] == 200


async def test_a_reset_before_changes_nothing(open_lab: OpenLab):
    """Also a request without a body, which is all there when it is reset, has no effect."""
    lab = await open_lab()
    made = await lab.call("POST", "/api/v2/presence/sources", json={"name": "PBX"})
    one = f"/api/v2/presence/sources/{made.json['id']}"
    lab.sim.faults.add(Fault(drop="before"))
    async with wired(lab.sim.base_url, request(lab, "DELETE", one)) as wire:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await wire.head()
    assert (await lab.call("GET", one)).json["deactivated"] is False


async def test_dates_follow_the_wall_clock(open_lab: OpenLab):
    """The `Date` of an answer is by the clock that the dates in its body are by."""
    lab = await open_lab()
    reply = await lab.call("GET", SYSTEM)
    assert reply.headers["Date"] == formatdate(lab.loop.wall(), usegmt=True)


SYSTEM = "/api/v2/systempresences"
AUTHORIZE = "/oauth/authorize"
GRANT = {"grant_type": "client_credentials"}


@pytest.mark.parametrize(
    ("prefix", "login_prefix"), [("", ""), ("/api-gate", ""), ("", "/in"), ("/gate/", "/gate/in/")]
)
async def test_both_services_share_a_port(open_lab: OpenLab, prefix: str, login_prefix: str):
    """Both addresses differ in their prefixes only, and each service answers at its own."""
    lab = await open_lab(one_port=True, path_prefix=prefix, login_path_prefix=login_prefix)
    origin = lab.sim.base_url.removesuffix(prefix.rstrip("/"))
    assert lab.sim.login_url == origin + login_prefix.rstrip("/")
    token = (await lab.login(GRANT)).json["access_token"]
    assert (await lab.call("GET", SYSTEM, token=token)).status == 200
    assert lab.sim.token_requests == 1
    assert lab.sim.announcement()["login_url"] == lab.sim.login_url


async def test_each_service_keeps_its_manners(open_lab: OpenLab):
    """Unknown pages, scripted failures and the authorize page answer as on two ports."""
    lab = await open_lab(one_port=True)
    nowhere = await lab.call("GET", "/oauth/nowhere", token=None)
    assert (nowhere.status, nowhere.code) == (404, "not.found")  # the API would ask for a token
    assert (await lab.call("GET", "/oauth", token=None)).code == "authentication.required"
    assert (await lab.call("GET", AUTHORIZE)).json["error"] == "invalid_request"
    lab.sim.faults.add(Fault(status=503, times=2))
    assert (await lab.login(GRANT)).json["error"] == "service.unavailable"
    assert (await lab.call("GET", SYSTEM)).code == "service.unavailable"


async def test_closing_ends_a_stall_at_either_gate(open_lab: OpenLab):
    """Closing cancels requests of both services; nothing is left running."""
    lab = await open_lab(one_port=True)
    lab.sim.faults.add(Fault(stall=True, times=2))
    calls = [
        asyncio.create_task(lab.login(GRANT)),
        asyncio.create_task(lab.call("GET", SYSTEM)),
    ]
    await asyncio.sleep(1)  # the clock jumps once both requests have arrived
    assert lab.sim.count() == len(calls)
    await lab.sim.aclose()
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, aiohttp.ClientConnectionError)


async def test_a_login_client_that_left_is_forgotten(open_lab: OpenLab):
    """A stalled login request ends when its client hangs up."""
    lab = await open_lab(one_port=True)
    lab.sim.faults.add(Fault(stall=True))
    call = asyncio.create_task(lab.login(GRANT))
    await asyncio.sleep(1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await asyncio.sleep(1)
    gateway: Any = lab.sim._ports._api._gate
    assert gateway._login._stalled == {}


async def test_one_port_has_no_login_port(open_lab: OpenLab):
    """Asking for both is a contradiction."""
    with pytest.raises(ValueError, match="login_port"):
        await open_lab(one_port=True, login_port=8443)


def test_http_dates():
    """The header has whole seconds and its own form."""
    assert http_date(1646640903) == "Mon, 07 Mar 2022 08:15:03 GMT"
