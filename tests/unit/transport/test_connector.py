"""Connections that are known until they are gone."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from rawserver import STALL, RawServer, ok, until

from presence_async.transport._connector import Connector


async def test_no_connection_outlives_it() -> None:
    """Neither one that is in use nor one that is kept."""
    connector = Connector(10.0)
    forever = aiohttp.ClientTimeout(total=None)
    async with (
        RawServer(ok(), STALL) as server,
        aiohttp.ClientSession(connector=connector, timeout=forever) as http,
    ):
        async with http.get(server.url) as kept:
            await kept.read()
        assert len(connector._alive) == 1
        waiting = asyncio.create_task(http.post(server.url))
        await until(lambda: len(server.requests) == 2)
        await connector.abort()
        assert connector._alive == {}
        with pytest.raises(aiohttp.ClientError):
            await waiting


async def test_connecting_takes_so_long_at_most() -> None:
    """With a proxy that never answers, too."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    async with (
        RawServer(STALL) as proxy,
        aiohttp.ClientSession(connector=Connector(5.0)) as http,
    ):
        with pytest.raises(aiohttp.ConnectionTimeoutError):
            await http.get("https://nowhere.test", proxy=proxy.url)
    assert loop.time() - before == 5


async def test_a_connection_that_is_gone_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to wait for."""

    async def gone(*args: Any) -> Any:
        return SimpleNamespace(closed=None)

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", gone)
    connector: Any = Connector(10.0)
    await connector._create_connection(None, [], None)
    assert connector._alive == {}
    await connector.close()
