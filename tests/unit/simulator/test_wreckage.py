"""Hostile bodies, as bytes."""

import gzip

import pytest

from presence_async.simulator.exchange import Answer
from presence_async.simulator.wreckage import cut_off, gzip_bomb


@pytest.mark.parametrize("size", [0, 10, 1 << 20, 3_500_000])
def test_bombs_are_valid_gzip(size: int):
    """A bomb unpacks, checksum included, to exactly the size asked for."""
    bomb = gzip_bomb(size)
    assert bomb.headers == {"Content-Encoding": "gzip"}
    assert gzip.decompress(bomb.body) == b" " * size
    assert len(bomb.body) < 20_000


def test_cut_off_promises_more():
    """A cut-off answer declares one byte more than the whole and brings half of it."""
    raw = cut_off(Answer(200, b"0123456789"), {"X": "y", "Content-Length": "10"})
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [b"HTTP/1.1 200 Cut off", b"Content-Length: 11", b"X: y"]
    assert body == b"01234"
