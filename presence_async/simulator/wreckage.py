"""Broken and hostile answers, as bytes."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from presence_async.simulator.exchange import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

_SLICE = b" " * (1 << 20)
_GZIP_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"


def cut_off(answer: Answer, headers: Mapping[str, str]) -> bytes:
    """Return a response that promises more than the half body it brings."""
    lines = [f"HTTP/1.1 {answer.status} Cut off", f"Content-Length: {len(answer.body) + 1}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name != "Content-Length"]
    return "\r\n".join([*lines, "", ""]).encode() + answer.body[: len(answer.body) // 2]


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
