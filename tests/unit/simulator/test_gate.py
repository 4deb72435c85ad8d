"""Faults, recording and malformed requests over real sockets."""

import asyncio
import contextlib

import aiohttp
import orjson
import pytest
from unit.simulator.lab import Lab, OpenLab

from presence_async.simulator import Fault
from presence_async.simulator.recorder import RecordedRequest

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
    assert lab.sim._api._gate._stalled == {}
    assert lab.sim._api._gate._running == set()
    assert (await lab.call("GET", SYSTEM)).status == 200


@pytest.mark.parametrize(
    "fault",
    [
        Fault(delay=5, stall=True),
        Fault(delay=5, drop="before"),
        Fault(delay=5, drop="mid_body"),
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
    assert lab.sim._api._gate._running == set()
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
