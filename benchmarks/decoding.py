"""Decoding the bulk answer of fifty presences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from benchmarks.figures import cpu_of, table
from benchmarks.server import BULK
from presence_async.converter import structure_rows
from presence_async.models import UcUserPresence

if TYPE_CHECKING:
    from collections.abc import Callable


def vendor_decode() -> Callable[[], object]:
    """The vendor's deserializer on the same bytes."""
    import PureCloudPlatformClientV2 as vendor  # noqa: N813, PLC0415  # 205 MB: only when asked for

    api_client: Any = vendor.api_client.ApiClient(host="http://127.0.0.1")

    class Answer:
        data = BULK

        @staticmethod
        def getheader(_: str) -> str:
            return "application/json"

    return lambda: api_client.deserialize(Answer(), "list[UcUserPresence]")


def measure(rounds: int, *, vendor: bool) -> None:
    """Print our decoding against `orjson.loads` alone and against the vendor's."""
    theirs = vendor_decode() if vendor else None
    rows = structure_rows(BULK, UcUserPresence)
    assert len(rows.decoded) == 50  # noqa: S101  # a benchmark of half the work is none
    ours: list[float] = []
    floor: list[float] = []
    sdk: list[float] = []
    for _ in range(rounds):
        floor.append(cpu_of(lambda: orjson.loads(BULK), 2000))
        ours.append(cpu_of(lambda: structure_rows(BULK, UcUserPresence), 1000))
        if theirs is not None:
            sdk.append(cpu_of(theirs, 20))
    peers = {"orjson.loads, no models": floor}
    if theirs is not None:
        peers["vendor's SDK"] = sdk
    table("Decode a bulk answer of 50 presences", "us CPU", ours, peers)
