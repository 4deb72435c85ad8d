"""Rows into requests: both limits, and not one request too many."""

from __future__ import annotations

from itertools import pairwise

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presence_async.errors import InvalidRequestError
from presence_async.resources._batches import BODY_LIMIT, Envelope


@attrs.frozen
class Row:
    """An encoded item."""

    body: bytes


FRAMES = [(b"[", b"]"), (b'{"events":[', b"]}"), (b"", b"")]


@pytest.mark.parametrize(("head", "tail"), FRAMES)
@given(
    lengths=st.lists(st.integers(1, 300_000) | st.integers(1, 9), max_size=40),
    count=st.integers(1, 12),
)
def test_every_batch_is_within_both_limits_and_as_full_as_can_be(
    head: bytes, tail: bytes, lengths: list[int], count: int
) -> None:
    """No row is lost or moved; no batch could have taken the first row of the next."""
    envelope = Envelope(head, tail, count)
    rows = [Row(b"x" * length) for length in lengths]
    batches = envelope.batches(iter(rows))
    assert [row for batch in batches for row in batch] == rows
    assert all(batches)
    for batch in batches:
        body = envelope.body(batch)
        assert body == head + b",".join(row.body for row in batch) + tail
        assert len(body) <= BODY_LIMIT
        assert len(batch) <= count
    for batch, following in pairwise(batches):
        bytes_together = len(envelope.body([*batch, following[0]]))
        assert len(batch) == count or bytes_together > BODY_LIMIT


@pytest.mark.parametrize(("head", "tail"), FRAMES)
@pytest.mark.parametrize(("more", "batches"), [(0, [3, 1]), (1, [2, 2])])
def test_every_byte_counts(head: bytes, tail: bytes, more: int, batches: list[int]) -> None:
    """Frame and commas too: what fills a body exactly is one batch, one byte more is none."""
    room = BODY_LIMIT - len(head) - len(tail) - 2 * len(b",")
    rows = [Row(b"x" * 1000), Row(b"x" * 1000), Row(b"x" * (room - 2000 + more)), Row(b"x" * 9)]
    assert [len(batch) for batch in Envelope(head, tail, 50).batches(rows)] == batches


@pytest.mark.parametrize(("head", "tail"), FRAMES)
def test_a_row_that_fits_nowhere_is_refused(head: bytes, tail: bytes) -> None:
    """The largest row fills a body to the last byte; one byte more is refused by name."""
    envelope = Envelope(head, tail, 50)
    largest = Row(b"x" * (BODY_LIMIT - len(head) - len(tail)))
    envelope.check("items[3]", largest)
    assert len(envelope.body([largest])) == BODY_LIMIT
    assert [len(batch) for batch in envelope.batches([largest, largest])] == [1, 1]
    with pytest.raises(InvalidRequestError, match="longer than the 512000 bytes") as caught:
        envelope.check("items[3]", Row(largest.body + b"x"))
    assert caught.value.field == "items[3]"
