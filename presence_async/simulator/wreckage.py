"""Broken and hostile answers, as bytes, and connections that went deaf."""

from __future__ import annotations

import asyncio
import struct
import zlib
from typing import TYPE_CHECKING

import attrs

from presence_async.simulator.exchange import Answer

if TYPE_CHECKING:
    from aiohttp import web

    from presence_async.simulator.faults import Fault

_SLICE = b" " * (1 << 20)
_GZIP_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
# A body that trickles comes in so many pieces, if it has as many bytes.
_PIECES = 8


@attrs.frozen
class Delivery:
    """How a body goes out.

    Attributes:
        declared: The Content-Length.
        pieces: What of the body is sent within it, in the order of sending.
        pause: Seconds before each piece.
        surplus: What follows it on the connection.
    """

    declared: int
    pieces: tuple[bytes, ...]
    pause: float = 0.0
    surplus: bytes = b""

    @property
    def complete(self) -> bool:
        """Whether as much is sent as is declared, so that the connection can be used on."""
        return sum(map(len, self.pieces)) == self.declared


def delivery(body: bytes, fault: Fault) -> Delivery:
    """Return how a body goes out under a fault."""
    if fault.drop == "mid_body":
        return Delivery(len(body) + 1, (body[: len(body) // 2],))
    declared = max(0, len(body) + fault.wrong_length)
    within, surplus = body[:declared], body[declared:]
    if not fault.slow_body:
        return Delivery(declared, (within,), 0.0, surplus)
    step = -(-len(within) // _PIECES) or 1
    pieces = tuple(within[at : at + step] for at in range(0, len(within), step))
    return Delivery(declared, pieces, fault.slow_body / max(1, len(pieces)), surplus)


def gzip_bomb(size: int) -> Answer:
    """Return an answer whose gzip body grows to `size` bytes of white space.

    After a full flush the packed form refers to nothing before it, so one packed slice can
    be repeated: 200 MB take milliseconds to build.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(_SLICE) + packer.flush(zlib.Z_FULL_FLUSH)
    whole, rest = divmod(size, len(_SLICE))
    last = packer.compress(_SLICE[:rest]) + packer.flush()
    checksum = 0
    for _ in range(whole):
        checksum = zlib.crc32(_SLICE, checksum)
    checksum = zlib.crc32(_SLICE[:rest], checksum)
    trailer = struct.pack("<II", checksum, size % (1 << 32))
    body = _GZIP_HEADER + packed * whole + last + trailer
    return Answer(200, body, {"Content-Encoding": "gzip"})


class _Deaf(asyncio.Protocol):
    """Hears nothing but the end of a connection, which it reports."""

    def __init__(self, reported_to: asyncio.BaseProtocol) -> None:
        self._reported_to = reported_to

    def connection_lost(self, exc: Exception | None) -> None:
        self._reported_to.connection_lost(exc)


def deafen(request: web.BaseRequest) -> None:
    """Throw away whatever the client still sends, and notice only that it leaves.

    A connection that is not read would fill up, and its end would go unnoticed.
    """
    transport = request.transport
    if transport is not None:
        transport.set_protocol(_Deaf(transport.get_protocol()))
        transport.resume_reading()
