"""Rows of a write, cut into requests within the limits of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import attrs

from presence_async.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

# `request.bytes.max` of the vendor's limits page: 413 beyond it.
BODY_LIMIT: Final = 512_000


class Row(Protocol):
    """One encoded item."""

    @property
    def body(self) -> bytes:
        """Its JSON."""
        ...


RowT = TypeVar("RowT", bound=Row)


@attrs.frozen
class Envelope:
    """What stands around the rows of a request (`head`, `tail`), and how many (`count`) fit."""

    head: bytes
    tail: bytes
    count: int

    def check(self, name: str, row: Row) -> None:
        """Refuse a row that is too long even alone; `name` is the caller's for it."""
        if len(self.head) + len(row.body) + len(self.tail) > BODY_LIMIT:
            raise InvalidRequestError(
                f"{name} is longer than the {BODY_LIMIT} bytes of a request", field=name
            )

    def batches(self, rows: Iterable[RowT]) -> list[list[RowT]]:
        """Rows in order, as many together as both limits allow."""
        batches: list[list[RowT]] = []
        size = 0
        for row in rows:
            size += 1 + len(row.body)  # with its comma
            if not batches or len(batches[-1]) == self.count or size > BODY_LIMIT:
                batches.append([])
                # The first row of a batch has no comma.
                size = len(self.head) + len(row.body) + len(self.tail)
            batches[-1].append(row)
        return batches

    def body(self, rows: Iterable[Row]) -> bytes:
        """The body of one request."""
        return self.head + b",".join([row.body for row in rows]) + self.tail
