"""The same reads by raw aiohttp, by us and by the vendor's SDK in threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from benchmarks.server import DEFINITION, user_ids
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


class Calls(NamedTuple):
    """The same four requests, made by somebody."""

    single: Any
    update: Any
    bulk: Any
    definitions: Any


def raw_calls(session: aiohttp.ClientSession, base: str) -> Calls:
    """What one writes without a library: default session, `orjson.loads`, no models."""
    presence_url = f"{base}/api/v2/users/{IDS[0]}/presences/purecloud"
    headers = {"Content-Type": "application/json"}

    async def read(url: str) -> object:
        async with session.get(url) as response:
            return orjson.loads(await response.read())

    async def update() -> object:
        body = orjson.dumps({"presenceDefinition": {"id": DEFINITION}})
        async with session.patch(presence_url, data=body, headers=headers) as response:
            return orjson.loads(await response.read())

    return Calls(
        partial(read, presence_url),
        update,
        partial(read, f"{base}{BULK_PATH}?id=" + "&id=".join(IDS)),
        partial(read, f"{base}/api/v2/presence/definitions"),
    )


def raw_reads(session: aiohttp.ClientSession, base: str) -> tuple[Read, Read]:
    """A single read and a bulk read in this way."""
    calls = raw_calls(session, base)
    return calls.single, calls.bulk


def our_calls(client: PresenceClient) -> Calls:
    """The same by us."""

    async def definitions() -> object:
        return await client.definitions.list()

    return Calls(
        partial(client.user_presences.get, IDS[0]),
        partial(client.user_presences.update, IDS[0], definition_id=DEFINITION),
        partial(client.bulk.get, IDS),
        definitions,
    )


async def loop_lags(measure: Callable[[int], Awaitable[float]], requests: int) -> list[float]:
    """How late in milliseconds a timer of 1 ms comes meanwhile, in rising order."""
    lags: list[float] = []
    loop = asyncio.get_running_loop()

    async def watch() -> None:
        while True:
            due = loop.time() + 0.001
            await asyncio.sleep(0.001)
            lags.append((loop.time() - due) * 1e3)

    watcher = asyncio.create_task(watch())
    await measure(requests)
    watcher.cancel()
    return sorted(lags)


def our_client(base: str, **options: Any) -> PresenceClient:
    """Models, limiter, retry and deadline all on; the limit is out of the way."""
    return PresenceClient(
        base_url=base,
        allow_loopback_http=True,
        auth=StaticToken("benchmark"),
        rate_limit=100_000_000,
        **options,
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


def vendor_api(base: str) -> Any:
    """The vendor's SDK, pointed at our server."""
    import PureCloudPlatformClientV2 as vendor  # noqa: N813, PLC0415  # 205 MB: only when asked for

    vendor.configuration.host = base
    api_client = vendor.api_client.ApiClient(host=base)
    api_client.access_token = "benchmark"
    return vendor.PresenceApi(api_client)


def vendor_reads(base: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """A single read and a bulk read by the vendor's SDK."""
    api = vendor_api(base)

    def single() -> object:
        return api.get_user_presences_purecloud(IDS[0])

    def bulk() -> Any:
        return api.get_users_presences_purecloud_bulk(id=IDS)

    assert len(bulk()) == len(IDS)  # noqa: S101  # a benchmark of half the work is none
    return single, bulk


def vendor_calls(base: str) -> Calls:
    """All four by the vendor's SDK."""
    single, bulk = vendor_reads(base)
    api = vendor_api(base)
    body = {"presenceDefinition": {"id": DEFINITION}}
    return Calls(
        single,
        lambda: api.patch_user_presences_purecloud(IDS[0], body),
        bulk,
        api.get_presence_definitions,
    )


def vendor_cpu(read: Callable[[], object], requests: int) -> float:
    """CPU microseconds per request, sixteen threads."""
    started = time.process_time()
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        for future in [pool.submit(read) for _ in range(requests)]:
            future.result()
    return (time.process_time() - started) / requests * 1e6
