"""The same reads by raw aiohttp, by us and by the vendor's SDK in threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks.server import user_ids
from presence_async import PresenceClient, StaticToken

if TYPE_CHECKING:
    import aiohttp

CONCURRENCY = 16
IDS = user_ids(50)
BULK_PATH = "/api/v2/users/presences/purecloud/bulk"

Read = Callable[[], Awaitable[object]]


async def cpu_per_request(read: Read, requests: int) -> float:
    """CPU microseconds of this process for each of `requests` reads, 16 at a time."""
    numbers = iter(range(requests))

    async def worker() -> None:
        for _ in numbers:
            await read()

    started = time.process_time()
    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
    return (time.process_time() - started) / requests * 1e6


def raw_reads(session: aiohttp.ClientSession, base: str) -> tuple[Read, Read]:
    """What one writes without a library: default session, `orjson.loads`, no models."""
    single_url = f"{base}/api/v2/users/{IDS[0]}/presences/purecloud"
    bulk_url = f"{base}{BULK_PATH}?id=" + "&id=".join(IDS)

    async def single() -> object:
        async with session.get(single_url) as response:
            return orjson.loads(await response.read())

    async def bulk() -> object:
        async with session.get(bulk_url) as response:
            return orjson.loads(await response.read())

    return single, bulk


def our_client(base: str) -> PresenceClient:
    """Models, limiter, retry and deadline all on; the limit is out of the way."""
    return PresenceClient(
        base_url=base,
        allow_loopback_http=True,
        auth=StaticToken("benchmark"),
        rate_limit=100_000_000,
    )


async def our_sweep(client: PresenceClient, requests: int) -> float:
    """CPU microseconds per bulk request of one `get_many` over `requests` x 50 users."""
    ids = [f"{number:032x}" for number in range(requests * 50)]
    started = time.process_time()
    outcomes = client.user_presences.get_many(ids, concurrency=CONCURRENCY)
    present = 0
    async for outcome in outcomes:
        present += outcome.presence is not None
    spent = time.process_time() - started
    assert present == len(ids)  # noqa: S101  # a benchmark of half the work is none
    return spent / requests * 1e6


def vendor_reads(base: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """The vendor's SDK, pointed at our server."""
    import PureCloudPlatformClientV2 as vendor  # noqa: N813, PLC0415  # 205 MB: only when asked for

    vendor.configuration.host = base
    api_client = vendor.api_client.ApiClient(host=base)
    api_client.access_token = "benchmark"
    api: Any = vendor.PresenceApi(api_client)

    def single() -> object:
        return api.get_user_presences_purecloud(IDS[0])

    def bulk() -> Any:
        return api.get_users_presences_purecloud_bulk(id=IDS)

    assert len(bulk()) == len(IDS)  # noqa: S101  # a benchmark of half the work is none
    return single, bulk


def vendor_cpu(read: Callable[[], object], requests: int) -> float:
    """CPU microseconds per request, sixteen threads."""
    started = time.process_time()
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        for future in [pool.submit(read) for _ in range(requests)]:
            future.result()
    return (time.process_time() - started) / requests * 1e6
