"""Opening and closing a port."""

import asyncio
import ssl

import aiohttp
import pytest
import trustme
from clock import leftovers
from unit.simulator.lab import OpenLab

from presence_async.simulator import Fault, Simulator
from presence_async.simulator.listener import is_loopback

SYSTEM = "/api/v2/systempresences"


async def test_addresses_need_a_running_simulator():
    """Before the start and after the end there is no address."""
    sim = Simulator(users=0)
    with pytest.raises(RuntimeError, match="not running"):
        _ = sim.base_url
    async with sim:
        assert sim.base_url.startswith("http://127.0.0.1:")
        assert sim.base_url != sim.login_url
        with pytest.raises(RuntimeError, match="already running"):
            await sim.start()
    with pytest.raises(RuntimeError, match="not running"):
        _ = sim.login_url
    await sim.aclose()


async def test_a_simulator_can_be_started_again():
    """State survives closing; the ports are new."""
    sim = Simulator(users=1)
    for _ in range(2):
        async with sim:
            assert sim.user_ids


@pytest.mark.parametrize("option", ["port", "login_port"])
async def test_ports_in_use(option: str):
    """A port that is taken is an OSError and leaves nothing open."""
    async with Simulator(users=0) as first:
        taken = int(first.base_url.rpartition(":")[2])
        second = Simulator(users=0, **{option: taken})
        with pytest.raises(OSError, match="in use"):
            await second.start()
        with pytest.raises(RuntimeError):
            _ = second.base_url
    await asyncio.sleep(0)
    assert leftovers() == []


async def test_closing_is_immediate(open_lab: OpenLab):
    """Requests that are stalled, delayed or idle do not hold the end up."""
    lab = await open_lab()
    await lab.call("GET", SYSTEM)
    lab.sim.faults.add(Fault(stall=True), Fault(delay=1000))
    calls = [
        asyncio.create_task(lab.call("PATCH", f"/api/v2/users/{lab.user}/presences/x", json={}))
        for _ in range(2)
    ]
    await asyncio.sleep(1)
    assert lab.sim.count() == 3
    before = lab.loop.time()
    await lab.sim.aclose()
    assert lab.loop.time() - before < 1
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, aiohttp.ClientConnectionError) for result in results)
    assert leftovers() == []


async def test_https(open_lab: OpenLab):
    """With a context both ports speak TLS, and drops still reset."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    lab = await open_lab(ssl_context=server)
    assert lab.sim.base_url.startswith("https://")
    client = ssl.create_default_context()
    authority.configure_trust(client)
    url = lab.sim.base_url + SYSTEM
    headers = {"Authorization": f"Bearer {lab.token}"}
    async with lab.http.get(url, headers=headers, ssl=client) as answer:
        assert answer.status == 200
    lab.sim.faults.add(Fault(drop="before"))
    with pytest.raises(aiohttp.ClientOSError):
        await lab.http.patch(url, headers=headers, ssl=client)


async def test_ipv6():
    """An IPv6 address is written in brackets."""
    async with Simulator(users=0, host="::1") as sim:
        assert sim.base_url.startswith("http://[::1]:")


@pytest.mark.parametrize(
    ("host", "reachable"),
    [("::1", False), ("127.0.0.9", False), ("localhost", False), ("0.0.0.0", True),  # noqa: S104
     ("example.com", True)],
)  # fmt: skip
def test_loopback(host: str, *, reachable: bool):
    """A name that is not known to be loopback counts as beyond it."""
    assert is_loopback(host) is not reachable
