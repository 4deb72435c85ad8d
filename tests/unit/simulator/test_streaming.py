"""Sockets of channels: frames, pings, closes, takeovers, and how they are disturbed."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import orjson
import pytest
import trustme
from unit.simulator.lab import Ear, Lab, OpenLab, Wire, handshake, masked

from presence_async.simulator import Fault, Simulator, Switches
from presence_async.simulator.channels import LIFETIME_SECONDS
from presence_async.simulator.events import HEARTBEAT
from presence_async.simulator.streaming import (
    BACKLOG,
    GOODBYE_SECONDS,
    NOTICE_SECONDS,
    SOCKET_TEMPLATE,
)

BEAT = orjson.loads(HEARTBEAT)
ROUTE = f"GET {SOCKET_TEMPLATE}"
NOTICE = "v2.system.socket_closing"


@pytest.fixture(autouse=True)
def no_failures(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing a client does, or that happens to a socket, is a failure of the simulator."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []


async def settle() -> None:
    """Let everything under way happen."""
    await asyncio.sleep(0.01)


def path_of(channel: dict[str, Any]) -> str:
    """Return the path of a channel's socket."""
    return f"/channels/{channel['id']}"


# -- handshakes


async def refused(lab: Lab, sent: bytes) -> tuple[int, str]:
    """Return status and code of a refused upgrade; the connection can be used again."""
    wire = await lab.wire(sent)
    status, head = await wire.head()
    size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    error = orjson.loads(await wire.reader.readexactly(size))
    assert error["status"] == status
    assert error["contextId"].encode() in head
    wire.writer.write(handshake("/channels/gone"))
    assert (await wire.head())[0] in {401, 404}
    await wire.aclose()
    return status, error["code"]


@pytest.mark.parametrize(("status", "code"), [(401, "authentication.required"), (404, "not.found")])
async def test_the_socket_of_no_channel_is_refused(open_lab: OpenLab, status: int, code: str):
    """An unknown, lapsed or evicted channel has no socket; the status is a switch."""
    lab = await open_lab(switches=Switches(refused_upgrade_status=status))
    lapsed = await lab.channel()
    assert await refused(lab, handshake("/channels/unknown")) == (status, code)
    lab.loop.advance(LIFETIME_SECONDS)
    assert await refused(lab, handshake(path_of(lapsed))) == (status, code)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await lab.connect(lapsed)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": None},
        {"Upgrade": "h2c"},
        {"Connection": None},
        {"Connection": "keep-alive"},
        {"Sec_WebSocket_Version": None},
        {"Sec_WebSocket_Version": "8"},
        {"Sec_WebSocket_Key": None},
        {"Sec_WebSocket_Key": "c2hvcnQ="},
        {"Sec_WebSocket_Key": "!" * 24},
        {"Sec_WebSocket_Key": "é" * 24},
    ],
)
async def test_requests_that_are_no_handshake(open_lab: OpenLab, changes: dict[str, Any]):
    """Whatever does not open a WebSocket is a 400, and the channel is free."""
    lab = await open_lab()
    channel = await lab.channel()
    sent = handshake(path_of(channel), **changes)
    assert await refused(lab, sent) == (400, "bad.request")
    assert lab.sim.channels.all()[0].sink is None


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/", 404, "not.found"),
        ("/channels", 404, "not.found"),
        ("/channels/", 404, "not.found"),
        ("/channels/a/b", 404, "not.found"),
        ("/channels/%zz", 400, "bad.request"),
        ("/channels/%ff", 400, "bad.request"),
    ],
)
async def test_other_addresses(open_lab: OpenLab, path: str, status: int, code: str):
    """There is one address; anything else is refused like on the other hosts."""
    lab = await open_lab()
    assert await refused(lab, handshake(path)) == (status, code)


async def test_other_methods(open_lab: OpenLab):
    """A socket is opened with GET."""
    lab = await open_lab()
    url = (await lab.channel())["connectUri"].replace("ws", "http", 1)
    async with lab.http.post(url) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")


async def test_handshakes_in_other_spellings(open_lab: OpenLab):
    """Header values are read in any case, the options of `Connection` in any order."""
    lab = await open_lab()
    channel = await lab.channel()
    sent = handshake(path_of(channel), Upgrade="WebSocket", Connection="keep-alive, UPGRADE")
    wire = await lab.wire(sent)
    assert (await wire.head())[0] == 101
    await wire.aclose()
    await settle()


async def test_the_smallest_error_body(open_lab: OpenLab):
    """The switch of error bodies holds here too."""
    lab = await open_lab(switches=Switches(error_body="smallest"))
    async with lab.http.get(f"{lab.sim.streaming_url.replace('ws', 'http')}/channels/x") as answer:
        assert set(await answer.json()) == {"message", "code", "status"}


async def test_no_token_is_needed(open_lab: OpenLab):
    """The address is the credential: it works after every token has been revoked."""
    lab = await open_lab()
    channel = await lab.channel()
    lab.sim.revoke_tokens()
    ear = await lab.connect(channel)
    assert lab.sim.sockets.connected == (ear.id,)


async def test_handshakes_are_recorded(open_lab: OpenLab):
    """An upgrade is a request with a status like any other, and faults may name its route."""
    lab = await open_lab()
    await lab.listen()
    record = lab.sim.requests[-1]
    assert (record.path_template, record.status) == (SOCKET_TEMPLATE, 101)
    assert lab.sim.count(ROUTE) == 1
    assert ROUTE in lab.sim.routes


async def test_faults_strike_handshakes(open_lab: OpenLab):
    """A handshake can be refused, delayed, reset, or end in a socket that is half-open."""
    lab = await open_lab()
    channel = await lab.channel()
    lab.sim.faults.add(Fault(status=503, route=ROUTE))
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await lab.connect(channel)
    assert caught.value.status == 503
    for drop in ("before", "after"):
        lab.sim.faults.add(Fault(drop=drop, route=ROUTE))
        wire = await lab.wire(handshake(path_of(channel)))
        with pytest.raises(ConnectionResetError):
            await wire.head()
        await wire.aclose()
    assert lab.sim.sockets.connected == ()
    lab.sim.faults.add(Fault(delay=5, half_open=True, route=ROUTE))
    before = lab.loop.time()
    ear = await lab.connect(channel)
    assert lab.loop.time() - before == pytest.approx(5)
    lab.sim.sockets.send("unheard")
    assert await ear.hear(100) == []


# -- one socket a channel


async def test_a_second_socket_disconnects_the_first(open_lab: OpenLab):
    """With the usual close code; events go to the second from then on."""
    lab = await open_lab()
    channel = await lab.channel(f"v2.users.{lab.user}.presence")
    first = await lab.connect(channel)
    other = await lab.listen()
    second = await lab.connect(channel)
    assert await first.end() == 1001
    assert lab.sim.sockets.connected == (other.id, second.id)
    lab.sim.organization.set_presence(lab.user, message="x")
    assert len(await second.events("presence")) == 1
    await second.socket.close()
    await settle()
    assert lab.sim.sockets.connected == (other.id,)


async def test_connecting_is_a_use(open_lab: OpenLab):
    """A channel that had a socket is evicted after those that were left alone."""
    lab = await open_lab()
    channels = [await lab.channel() for _ in range(20)]
    await (await lab.connect(channels[0])).socket.close()
    await settle()
    await lab.channel()
    alive = {channel.id for channel in lab.sim.channels.all()}
    assert channels[0]["id"] in alive
    assert channels[1]["id"] not in alive


async def test_a_second_socket_beside_a_frozen_one(open_lab: OpenLab):
    """The frozen one stays as it is until its client leaves, and takes nothing with it."""
    lab = await open_lab()
    channel = await lab.channel()
    first = await lab.connect(channel)
    lab.sim.sockets.freeze()
    second = await lab.connect(channel)
    lab.sim.sockets.send("x", channel["id"])
    assert (await second.socket.receive()).data == "x"
    assert await first.hear(100) == []
    await first.socket.close()
    assert lab.sim.sockets.connected == (second.id,)


# -- heartbeats


async def test_heartbeats_come_by_themselves(open_lab: OpenLab):
    """Every thirty seconds, subscribed or not, to every socket."""
    lab = await open_lab()
    one = await lab.listen()
    await asyncio.sleep(10)
    two = await lab.listen("v2.users.a.presence")
    assert await one.hear(81) == [BEAT] * 3
    assert await two.hear(0.1) == [BEAT] * 3


@pytest.mark.parametrize("seconds", [5.0, 600.0])
async def test_the_period_is_a_switch(open_lab: OpenLab, seconds: float):
    """Any number of seconds between heartbeats."""
    lab = await open_lab(switches=Switches(heartbeat_seconds=seconds))
    ear = await lab.listen()
    assert await ear.hear(10 * seconds + 1) == [BEAT] * 10


async def test_heartbeats_stop_with_the_last_socket(open_lab: OpenLab):
    """And start anew with the next one, a whole period later."""
    lab = await open_lab()
    channel = await lab.channel()
    for _ in range(2):
        ear = await lab.connect(channel)
        await asyncio.sleep(20)
        assert await ear.hear(9) == []
        assert await ear.hear(2) == [BEAT]
        await ear.socket.close()
        await settle()
        assert lab.sim.sockets._ticker is None


@pytest.mark.parametrize("channels", [1, 5])
async def test_a_day_of_heartbeats(open_lab: OpenLab, channels: int):
    """Each of several channels hears 2,880 heartbeats in 24 hours, and then its end."""
    lab = await open_lab()
    ears = [await lab.listen() for _ in range(channels)]

    async def count(ear: Ear) -> int:
        beats = 0
        async for message in ear.socket:
            assert message.data == HEARTBEAT.decode()
            beats += 1
        assert ear.code == 1001
        return beats

    # The last one goes out before the channel lapses at the same moment.
    assert await asyncio.gather(*map(count, ears)) == [2880] * channels
    assert lab.loop.time() == pytest.approx(1000 + LIFETIME_SECONDS, abs=31)
    assert lab.sim.channels.all() == []


# -- the end of sockets


@pytest.mark.parametrize(("shape", "code"), [("empty", 1001), ("full", 4321)])
async def test_notice_then_close(open_lab: OpenLab, shape: str, code: int):
    """A minute after the notice the socket closes; body and code are switches."""
    lab = await open_lab(switches=Switches(closing_notice=shape, socket_close_code=code))
    ear = await lab.listen()
    start = lab.loop.time()
    assert lab.sim.sockets.notice() == 1
    (frame,) = await ear.hear(1)
    assert frame["topicName"] == NOTICE
    assert set(frame["eventBody"]) == ({"channelId", "message"} if shape == "full" else set())
    assert frame["eventBody"].get("channelId", ear.id) == ear.id
    assert await ear.end() == code
    assert lab.loop.time() - start == pytest.approx(NOTICE_SECONDS)


async def test_a_socket_replaced_after_its_notice(open_lab: OpenLab):
    """The new socket of the same address stays, with the subscriptions of the channel."""
    lab = await open_lab()
    channel = await lab.channel(f"v2.users.{lab.user}.presence")
    first = await lab.connect(channel)
    lab.sim.sockets.notice()
    await asyncio.sleep(30)
    second = await lab.connect(channel)
    assert await first.end() == 1001
    await asyncio.sleep(5 * NOTICE_SECONDS)
    lab.sim.organization.set_presence(lab.user, message="x")
    assert len(await second.events("presence")) == 1


async def test_a_client_that_leaves_after_the_notice(open_lab: OpenLab):
    """Its timer goes with it."""
    lab = await open_lab()
    channel = await lab.channel()
    ear = await lab.connect(channel)
    lab.sim.sockets.notice()
    await ear.socket.close()
    await asyncio.sleep(2 * NOTICE_SECONDS)
    assert await (await lab.connect(channel)).hear(1) == []


async def test_sockets_with_a_lifetime(open_lab: OpenLab):
    """Each socket gets its notice so long after it was opened, and the channel lives on."""
    lab = await open_lab(socket_lifetime=600)
    channel = await lab.channel()
    for _ in range(2):
        ear = await lab.connect(channel)
        start = lab.loop.time()
        frames = await ear.hear(1000)
        assert lab.loop.time() - start == pytest.approx(600 + NOTICE_SECONDS)
        assert [frame["topicName"] for frame in frames].count(NOTICE) == 1
        assert frames[-2 if frames[-1] == BEAT else -1]["topicName"] in {NOTICE, BEAT["topicName"]}
        assert ear.code == 1001


async def test_a_handshake_that_fails_leaves_no_timer(open_lab: OpenLab):
    """A client that is gone before its socket is open leaves nothing, lifetime or not."""
    lab = await open_lab(socket_lifetime=600)
    channel = await lab.channel()
    lab.sim.faults.add(Fault(delay=5, route=ROUTE))
    wire = await lab.wire(handshake(path_of(channel)))
    await asyncio.sleep(1)
    wire.writer.transport.abort()
    await asyncio.sleep(10)
    assert lab.sim.sockets.connected == ()
    assert lab.sim.channels.all()[0].sink is None
    assert lab.sim.sockets._ticker is None


async def test_a_lapsed_channel_ends_with_a_heartbeat(open_lab: OpenLab):
    """An idle socket is closed when its channel has had its 24 hours, and is not reopened."""
    lab = await open_lab()
    channel = await lab.channel()
    await asyncio.sleep(10)
    ear = await lab.connect(channel)
    assert await ear.end(2 * LIFETIME_SECONDS) == 1001
    assert LIFETIME_SECONDS <= lab.loop.time() - 1000 < LIFETIME_SECONDS + 30
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await lab.connect(channel)


# -- disturbances


async def three(lab: Lab) -> list[Ear]:
    """Open three sockets."""
    return [await lab.listen() for _ in range(3)]


DISTURB: dict[str, Callable[[Simulator, str | None], int]] = {
    "notice": lambda sim, one: sim.sockets.notice(one),
    "close": lambda sim, one: sim.sockets.close(one),
    "drop": lambda sim, one: sim.sockets.drop(one),
    "freeze": lambda sim, one: sim.sockets.freeze(one),
    "send": lambda sim, one: sim.sockets.send("{}", one),
    "expire": lambda sim, one: sim.sockets.expire(one),
}
# Whether the socket hears something, and the code it ends with within two minutes.
EFFECTS: dict[str, tuple[bool, int | None]] = {
    "notice": (True, 1001),
    "close": (False, 1001),
    "drop": (False, 1006),
    "freeze": (False, None),
    "send": (True, None),
    "expire": (False, 1001),
}


async def suffered(ear: Ear) -> tuple[bool, int | None]:
    """Return whether a socket heard anything but heartbeats, and how it ended."""
    frames = await ear.hear(2 * NOTICE_SECONDS)
    return any(frame != BEAT for frame in frames), ear.code


@pytest.mark.parametrize("name", DISTURB)
async def test_one_socket_is_disturbed(open_lab: OpenLab, name: str):
    """Named by its channel; the others do not notice."""
    lab = await open_lab()
    ears = await three(lab)
    assert DISTURB[name](lab.sim, ears[1].id) == 1
    effects = await asyncio.gather(*map(suffered, ears))
    assert effects == [(False, None), EFFECTS[name], (False, None)]
    alive = {channel.id for channel in lab.sim.channels.all()}
    assert alive == {ear.id for ear in ears} - ({ears[1].id} if name == "expire" else set())


@pytest.mark.parametrize("name", DISTURB)
async def test_all_sockets_are_disturbed(open_lab: OpenLab, name: str):
    """Without a name everybody is struck; an unknown name strikes nobody."""
    lab = await open_lab()
    ears = await three(lab)
    assert DISTURB[name](lab.sim, "unknown") == 0
    assert DISTURB[name](lab.sim, None) == 3
    assert await asyncio.gather(*map(suffered, ears)) == [EFFECTS[name]] * 3
    assert len(lab.sim.channels.all()) == (0 if name == "expire" else 3)


async def test_close_with_another_code(open_lab: OpenLab):
    """Any code can be given; one that cannot be sent ends the connection without a goodbye."""
    lab = await open_lab()
    ears = await three(lab)
    lab.sim.sockets.close(ears[0].id, 4000)
    lab.sim.sockets.close(ears[1].id, 70_000)
    assert [await ear.end() for ear in ears[:2]] == [4000, 1006]


async def test_channels_expire_unconnected_too(open_lab: OpenLab):
    """Expiring strikes channels, not sockets, and ends their subscriptions."""
    lab = await open_lab()
    channel = await lab.channel("v2.users.a.presence")
    assert lab.sim.sockets.expire(channel["id"]) == 1
    assert lab.sim.sockets.expire(channel["id"]) == 0
    assert not lab.sim.channels.watched


async def test_without_sockets_nothing_is_struck(open_lab: OpenLab):
    """Channels without a socket are left alone by everything else."""
    lab = await open_lab()
    await lab.channel()
    assert [DISTURB[name](lab.sim, None) for name in DISTURB] == [0, 0, 0, 0, 0, 1]


# -- closing the simulator


async def test_closing_with_sockets_in_every_state(open_lab: OpenLab):
    """Fresh, frozen, noticed, closing, in handshake, with a full backlog: nothing is left."""
    lab = await open_lab(socket_lifetime=1000)
    channels = [await lab.channel() for _ in range(20)]
    lab.sim.faults.add(Fault(delay=1000, times=2, route=ROUTE))
    wires = [await lab.wire(handshake(path_of(channel))) for channel in channels[:2]]
    wires.append(await lab.wire(handshake(path_of(channels[2]))[:30]))
    await settle()
    for channel in channels[3:]:
        wires.append(await lab.wire(handshake(path_of(channel))))
        await wires[-1].head()
        transport: Any = wires[-1].writer.transport
        transport.pause_reading()
    ids = [channel["id"] for channel in channels]
    sockets = lab.sim.sockets
    assert sockets.connected == tuple(ids[3:])
    for one in ids[3:6]:
        sockets.freeze(one)
    wires[3].writer.write(masked(8, b"\x03\xe8"))  # the goodbye of a frozen one's client
    for one in ids[6:12]:
        for _ in range(500):
            sockets.send("x" * 20_000, one)
    await settle()
    for one in ids[8:14]:
        sockets.close(one)
    for one in ids[14:16]:
        sockets.notice(one)
    sockets.expire(ids[16])
    second = await lab.wire(handshake(path_of(channels[17])))
    await second.head()
    sockets.close(ids[18])
    sockets.close(ids[11])
    await lab.sim.aclose()
    assert sockets.connected == ()
    assert sockets._ticker is None
    assert [channel.sink for channel in lab.sim.channels.all()] == [None] * 19
    for wire in (*wires, second):
        await wire.aclose()


@pytest.mark.parametrize("turns", range(12))
async def test_closing_is_safe_to_cancel(open_lab: OpenLab, turns: int):
    """Whoever gives up on closing, wherever that is, can close again, and nothing is left."""
    lab = await open_lab()
    channel = await lab.channel()
    ears = await three(lab)
    task = asyncio.create_task(lab.sim.aclose())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await lab.sim.aclose()
    assert [await ear.end() for ear in ears] == [1006] * 3
    assert lab.sim.sockets.connected == ()
    with pytest.raises(OSError, match="Connect call failed"):
        await lab.connect(channel)


async def test_sockets_over_tls(open_lab: OpenLab):
    """With a certificate the address is `wss`, and everything else is the same."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    lab = await open_lab(ssl_context=server)
    token = lab.sim._authority.find(f"Bearer {lab.token}")
    assert token is not None
    channel = lab.sim.channels.create(token)
    uri = lab.sim.channels.connect_uri(channel)
    assert uri.startswith("wss://127.0.0.1:")
    shape = {"id": channel.id, "connectUri": uri}
    for strike, code in ((lab.sim.sockets.close, 1001), (lab.sim.sockets.drop, 1006)):
        ear = await lab.connect(shape, ssl=client)
        lab.sim.sockets.send("{}")
        assert await ear.hear(1) == [{}]
        strike()
        assert await ear.end() == code


TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
PONG_BODY = {"topicName": "channel.metadata", "eventBody": {"message": "pong"}}
ASK = b'{"message":"ping"}'


def code_of(payload: bytes) -> int:
    """Return the code of a close frame."""
    return int.from_bytes(payload[:2])


@contextlib.asynccontextmanager
async def wired(lab: Lab, *topics: str) -> AsyncIterator[Wire]:
    """A raw socket of a new channel, its handshake done."""
    channel = await lab.channel(*topics)
    wire = await lab.wire(handshake(f"/channels/{channel['id']}"))
    status, head = await wire.head()
    assert status == 101
    # The accept of the sample nonce in RFC 6455, 1.3.
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    try:
        yield wire
    finally:
        await wire.aclose()
        await asyncio.sleep(0.01)
        assert lab.sim.sockets.connected == ()


async def alive(wire: Wire) -> None:
    """Check that a socket still answers."""
    wire.writer.write(masked(TEXT, ASK))
    assert await wire.frame() == (TEXT, orjson.dumps(PONG_BODY))


# -- what a client may say


async def test_ping(open_lab: OpenLab):
    """The vendor's own ping is answered with a pong message."""
    lab = await open_lab()
    ear = await lab.listen()
    await ear.socket.send_str('{"message": "ping"}')
    assert await ear.hear() == [PONG_BODY]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ping",
        "[]",
        "7",
        "null",
        "[" * 5000,
        '{"message": "PING"}',
        '{"message": ["ping"]}',
        '{"message": "subscribe", "topics": []}',
    ],
)
async def test_what_makes_no_sense_is_ignored(open_lab: OpenLab, text: str):
    """Text that is no known message gets no answer and does no harm; nor do bytes."""
    lab = await open_lab()
    ear = await lab.listen()
    await ear.socket.send_str(text)
    await ear.socket.send_bytes(ASK)
    assert await ear.hear() == []
    await ear.socket.send_str('{"message": "ping"}')
    assert await ear.hear() == [PONG_BODY]


async def test_control_frames(open_lab: OpenLab):
    """A ping frame gets a pong frame with its payload; a pong nobody asked for is ignored."""
    async with wired(await open_lab()) as wire:
        wire.writer.write(masked(PING, b"payload") + masked(PONG, b"?"))
        assert await wire.frame() == (PONG, b"payload")
        await alive(wire)


async def test_fragments(open_lab: OpenLab):
    """A message may come in pieces, with control frames between them."""
    async with wired(await open_lab()) as wire:
        wire.writer.write(masked(TEXT, ASK[:5], fin=False) + masked(0, ASK[5:9], fin=False))
        wire.writer.write(masked(PING, b"x") + masked(0, ASK[9:]))
        assert await wire.frame() == (PONG, b"x")
        assert await wire.frame() == (TEXT, orjson.dumps(PONG_BODY))


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (masked(TEXT, b"\xff\xfe"), 1007),  # not UTF-8
        (masked(TEXT, b"x" * (1 << 20)), 1009),  # 1 MB
        (masked(TEXT, b"x" * 60_000, fin=False) + masked(0, b"x" * 60_000), 1009),
        (masked(3, b""), 1002),  # an opcode that does not exist
        (masked(0, b"tail"), 1002),  # the rest of nothing
        (masked(PING, b"x" * 126), 1002),  # control frames are short
        (masked(PING, b"x", fin=False), 1002),  # and whole
        (b"\xff" * 40, 1002),
    ],
    ids=["utf8", "huge", "huge-in-pieces", "opcode", "rest", "long-ping", "half-ping", "garbage"],
)
async def test_broken_frames_end_the_socket(open_lab: OpenLab, sent: bytes, code: int):
    """What breaks the protocol is answered with its close code, and the channel lives on."""
    lab = await open_lab()
    async with wired(lab) as wire:
        wire.writer.write(sent)
        opcode, payload = await wire.frame()
        assert (opcode, code_of(payload)) == (CLOSE, code)
        with contextlib.suppress(ConnectionError):
            assert await wire.reader.read() == b""
    (channel,) = lab.sim.channels.all()
    assert channel.sink is None


async def test_unmasked_frames_are_taken(open_lab: OpenLab):
    """RFC 6455 wants a mask of clients; who sends none is understood all the same."""
    async with wired(await open_lab()) as wire:
        wire.writer.write(bytes([0x81, len(ASK)]) + ASK)
        assert await wire.frame() == (TEXT, orjson.dumps(PONG_BODY))


async def test_frames_that_come_with_the_handshake(open_lab: OpenLab):
    """A client need not wait for the answer before it speaks."""
    lab = await open_lab()
    channel = await lab.channel()
    wire = await lab.wire(handshake(f"/channels/{channel['id']}") + masked(TEXT, ASK))
    assert (await wire.head())[0] == 101
    assert await wire.frame() == (TEXT, orjson.dumps(PONG_BODY))
    await wire.aclose()
    await asyncio.sleep(0.01)


# -- goodbyes


@pytest.mark.parametrize(
    ("payload", "code"), [(b"", 1000), (b"\x03\xe8", 1000), (b"\x0f\xa0bye", 4000)]
)
async def test_a_goodbye_of_the_client_is_answered(open_lab: OpenLab, payload: bytes, code: int):
    """With its own code, and the connection ends; events before it are sent."""
    lab = await open_lab()
    async with wired(lab) as wire:
        lab.sim.sockets.send("first")
        assert await wire.frame() == (TEXT, b"first")
        wire.writer.write(masked(CLOSE, payload))
        opcode, answer = await wire.frame()
        assert (opcode, code_of(answer)) == (CLOSE, code)
        assert await wire.reader.read() == b""


async def test_everything_sent_before_a_close_arrives(open_lab: OpenLab):
    """A clean close comes after what was on its way; nothing follows it."""
    lab = await open_lab()
    async with wired(lab) as wire:
        for number in range(3):
            lab.sim.sockets.send(str(number))
        lab.sim.sockets.close()
        lab.sim.sockets.close(code=4000)
        lab.sim.sockets.send("late")
        frames = [await wire.frame() for _ in range(4)]
        assert [payload for _, payload in frames[:3]] == [b"0", b"1", b"2"]
        assert (frames[3][0], code_of(frames[3][1])) == (CLOSE, 1001)
        assert await wire.reader.read() == b""


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
async def test_frames_of_any_size(open_lab: OpenLab, size: int):
    """Each of the three forms of a length is right at its bounds."""
    lab = await open_lab()
    async with wired(lab) as wire:
        lab.sim.sockets.send("x" * size)
        assert await wire.frame() == (TEXT, b"x" * size)


# -- clients that vanish, or do not read


def vanish(wire: Wire) -> None:
    """Reset a connection."""
    raw = wire.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.writer.transport.abort()


async def test_a_client_that_vanishes(open_lab: OpenLab):
    """A reset frees the channel and is no failure."""
    lab = await open_lab()
    async with wired(lab, f"v2.users.{lab.user}.presence") as wire:
        vanish(wire)
        lab.sim.organization.set_presence(lab.user, message="x")
        lab.sim.sockets.send("unheard")
        await asyncio.sleep(1)
        assert lab.sim.sockets.connected == ()
    assert lab.sim.broadcast.lost == 1


async def test_a_client_that_asks_and_is_gone(open_lab: OpenLab):
    """Answers that find nobody at home do no harm."""
    async with wired(await open_lab()) as wire:
        wire.writer.write(masked(PING, b"x") * 50 + masked(TEXT, ASK) * 50)
        wire.writer.transport.abort()


async def test_a_client_that_hangs_up_without_a_goodbye(open_lab: OpenLab):
    """The end of the stream is the end of the socket."""
    lab = await open_lab()
    async with wired(lab) as wire:
        wire.writer.write_eof()
        assert await wire.reader.read() == b""


def deaf(wire: Wire) -> None:
    """Read no more."""
    transport = wire.writer.transport
    assert isinstance(transport, asyncio.ReadTransport)
    transport.pause_reading()


TALL = "x" * 20_000


async def flood(lab: Lab, count: int) -> None:
    """Send tall frames to everybody, and let them go out."""
    for _ in range(count):
        lab.sim.sockets.send(TALL)
    await asyncio.sleep(0.01)


async def test_a_client_that_does_not_read_is_cut_off(open_lab: OpenLab):
    """So many frames wait for it; one more is too many, and others are not disturbed."""
    lab = await open_lab()
    async with wired(lab) as wire:
        ear = await lab.listen()
        deaf(wire)
        await flood(lab, 500)
        for _ in range(BACKLOG):
            lab.sim.sockets.send("x", wire_id(lab))
        await asyncio.sleep(0.01)
        assert len(lab.sim.sockets.connected) == 2
        lab.sim.sockets.send("x", wire_id(lab))
        await asyncio.sleep(0.01)
        assert lab.sim.sockets.connected == (ear.id,)
        with pytest.raises(ConnectionResetError):
            await drained(wire)
        await ear.socket.close()


def wire_id(lab: Lab) -> str:
    """Return the channel that was connected first."""
    return lab.sim.sockets.connected[0]


async def drained(wire: Wire) -> None:
    """Read what there is, to the end."""
    transport = wire.writer.transport
    assert isinstance(transport, asyncio.ReadTransport)
    transport.resume_reading()
    while await wire.reader.read(1 << 20):
        pass


async def test_a_client_that_does_not_take_the_goodbye_is_cut_off(open_lab: OpenLab):
    """A close that cannot be sent ends in a reset after a while."""
    lab = await open_lab()
    async with wired(lab) as wire:
        deaf(wire)
        await flood(lab, 500)
        lab.sim.sockets.close()
        await asyncio.sleep(GOODBYE_SECONDS - 0.1)
        assert len(lab.sim.sockets.connected) == 1
        await asyncio.sleep(0.2)
        assert lab.sim.sockets.connected == ()
        with pytest.raises(ConnectionResetError):
            await drained(wire)


async def test_a_client_that_says_goodbye_and_does_not_read(open_lab: OpenLab):
    """It gets rid of its socket all the same once it hangs up."""
    lab = await open_lab()
    async with wired(lab) as wire:
        deaf(wire)
        await flood(lab, 500)
        wire.writer.write(masked(CLOSE, b"\x03\xe8"))
        await asyncio.sleep(0.01)
        vanish(wire)


async def test_a_slow_reader_gets_everything_in_order(open_lab: OpenLab):
    """Frames wait for a client that pauses."""
    lab = await open_lab()
    async with wired(lab) as wire:
        deaf(wire)
        await flood(lab, 500)
        for number in range(100):
            lab.sim.sockets.send(str(number))
        transport = wire.writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.resume_reading()
        frames = [await wire.frame() for _ in range(600)]
        assert [payload for _, payload in frames[500:]] == [b"%d" % n for n in range(100)]


# -- silence


async def test_a_frozen_socket_says_nothing(open_lab: OpenLab):
    """Neither events nor pings nor a goodbye are answered; only the connection is there."""
    lab = await open_lab()
    async with wired(lab, f"v2.users.{lab.user}.presence") as wire:
        assert lab.sim.sockets.freeze() == 1
        lab.sim.sockets.send("unheard")
        lab.sim.organization.set_presence(lab.user, message="unheard")
        wire.writer.write(masked(PING, b"x") + masked(TEXT, ASK))
        lab.sim.sockets.close()
        await asyncio.sleep(1)
        wire.writer.write(masked(CLOSE, b"\x03\xe8"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await wire.reader.read(1)
        # Half-open is half-open: the goodbye was heard by nobody.
        wire.writer.write(masked(TEXT, ASK))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await wire.reader.read(1)


async def test_frozen_with_frames_waiting(open_lab: OpenLab):
    """What waits for a slow client is never sent once the socket is frozen."""
    lab = await open_lab()
    async with wired(lab) as wire:
        deaf(wire)
        await flood(lab, 500)
        lab.sim.sockets.send("unheard")
        lab.sim.sockets.freeze()
        transport = wire.writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.resume_reading()
        for _ in range(500):
            await wire.frame()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await wire.frame()


async def test_a_frozen_socket_can_be_reset(open_lab: OpenLab):
    """That is the only thing it still does."""
    lab = await open_lab()
    ear = await lab.listen()
    lab.sim.sockets.freeze()
    assert lab.sim.sockets.drop() == 1
    assert await ear.end() == 1006


# -- the undocumented subscribe


def ask(*topics: Any, **fields: Any) -> str:
    """Return a subscribe message."""
    message = {"message": "subscribe", "topics": topics, "correlationId": "c1"}
    return orjson.dumps(message | fields).decode()


async def answer(ear: Ear, text: str) -> dict[str, Any]:
    """Return the answer to a message, without its text."""
    await ear.socket.send_str(text)
    reply: dict[str, Any] = orjson.loads((await ear.socket.receive()).data)
    assert ("message" in reply) is (reply["result"] != "200")
    return {key: reply[key] for key in reply.keys() - {"message"}}


async def test_subscribing_over_the_socket(open_lab: OpenLab):
    """By switch it adds topics like a POST, and extends the channel."""
    lab = await open_lab(switches=Switches(in_band_subscribe=True, heartbeat_seconds=1e6))
    ear = await lab.listen("v2.users.a.presence")
    (channel,) = lab.sim.channels.all()
    lab.loop.advance(3600)
    reply = await answer(ear, ask(f"v2.users.{lab.user}.presence"))
    assert reply == {"correlationId": "c1", "result": "200", "status": "subscribed"}
    assert channel.topics == ["v2.users.a.presence", f"v2.users.{lab.user}.presence"]
    assert channel.lapses_at == lab.loop.time() + LIFETIME_SECONDS
    lab.sim.organization.set_presence(lab.user, message="x")
    assert len(await ear.events("presence")) == 1


async def test_subscribing_over_the_socket_by_default(open_lab: OpenLab):
    """Without the switch there is no answer and no subscription."""
    lab = await open_lab()
    ear = await lab.listen()
    await ear.socket.send_str(ask("v2.users.a.presence"))
    assert await ear.hear() == []
    assert lab.sim.channels.all()[0].topics == []


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (ask("v2.users.a.presence", "nonsense"), "error"),
        (ask(*(f"v2.users.{number}.tokens" for number in range(1001))), "error"),
        (ask("v2.users.a.presence"), "error"),
        (ask(topics="v2.users.a.presence"), "failure"),
        (ask(topics=[7]), "failure"),
        (ask(topics=None), "failure"),
    ],
    ids=["topic", "too-many", "permission", "no-list", "number", "none"],
)
async def test_refused_over_the_socket(open_lab: OpenLab, text: str, status: str):
    """What the operation refuses is a 400 here, and nothing changes."""
    switches = Switches(in_band_subscribe=True, presence_topic_permission=True)
    lab = await open_lab(switches=switches, permissions=[])
    ear = await lab.listen()
    reply = await answer(ear, text)
    assert reply == {"correlationId": "c1", "result": "400", "status": status}
    assert lab.sim.channels.all()[0].topics == []


async def test_subscribing_to_a_channel_that_is_gone(open_lab: OpenLab):
    """404 is the last word on the socket of a channel that has lapsed."""
    lab = await open_lab(switches=Switches(in_band_subscribe=True, heartbeat_seconds=1e6))
    ear = await lab.listen()
    await asyncio.sleep(LIFETIME_SECONDS)
    reply = await answer(ear, ask("v2.users.a.presence"))
    assert reply == {"correlationId": "c1", "result": "404", "status": "failure"}
    assert await ear.end() == 1001


async def test_compression_is_not_offered(open_lab: OpenLab):
    """A client that could compress talks plainly."""
    lab = await open_lab()
    ear = await lab.connect(await lab.channel(), compress=15)
    assert ear.socket.compress == 0
    lab.sim.sockets.send("x" * 100)
    message = await ear.socket.receive()
    assert (message.type, message.data) == (aiohttp.WSMsgType.TEXT, "x" * 100)
