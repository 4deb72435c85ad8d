"""Broken and hostile bodies, as bytes."""

import gzip

import pytest

from presence_async.simulator.faults import Fault
from presence_async.simulator.wreckage import Delivery, delivery, gzip_bomb


@pytest.mark.parametrize("size", [0, 10, 1 << 20, 3_500_000])
def test_bombs_are_valid_gzip(size: int):
    """A bomb unpacks, checksum included, to exactly the size asked for."""
    bomb = gzip_bomb(size)
    assert bomb.headers == {"Content-Encoding": "gzip"}
    assert gzip.decompress(bomb.body) == b" " * size
    assert len(bomb.body) < 20_000


@pytest.mark.parametrize(
    ("fault", "expected", "complete"),
    [
        (Fault(), Delivery(10, (b"0123456789",)), True),
        (Fault(drop="mid_body"), Delivery(11, (b"01234",)), False),
        (Fault(wrong_length=3), Delivery(13, (b"0123456789",)), False),
        (Fault(wrong_length=-3), Delivery(7, (b"0123456",), 0, b"789"), True),
        (Fault(wrong_length=-30), Delivery(0, (b"",), 0, b"0123456789"), True),
        (Fault(slow_body=10), Delivery(10, (b"01", b"23", b"45", b"67", b"89"), 2), True),
        (Fault(slow_body=6, wrong_length=-7), Delivery(3, (b"0", b"1", b"2"), 2, b"3456789"), True),
    ],
)
def test_deliveries(fault: Fault, expected: Delivery, complete: bool):
    """A fault decides what is declared, what is sent, in which pieces, and what follows."""
    plan = delivery(b"0123456789", fault)
    assert plan == expected
    assert plan.complete is complete


def test_a_slow_body_comes_in_eight_pieces_at_most():
    """Long bodies have eight pieces, and a body of nothing has none."""
    plan = delivery(bytes(1000), Fault(slow_body=8))
    assert [len(piece) for piece in plan.pieces] == [125] * 8
    assert plan.pause == 1
    assert delivery(b"", Fault(slow_body=8)).pieces == ()
    assert delivery(b"", Fault(drop="mid_body")) == Delivery(1, (b"",))
