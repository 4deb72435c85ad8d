"""One socket: messages of the client, garbage, control frames, floods, goodbyes and losses."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import orjson
import pytest
from unit.simulator.lab import Ear, Lab, OpenLab, Wire, handshake, masked

from presence_async.simulator import Switches
from presence_async.simulator.channels import LIFETIME_SECONDS
from presence_async.simulator.sockets import BACKLOG, GOODBYE_SECONDS

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
PONG_BODY = {"topicName": "channel.metadata", "eventBody": {"message": "pong"}}
ASK = b'{"message":"ping"}'


@pytest.fixture(autouse=True)
def no_failures(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing a client does is a failure of the simulator."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []


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
