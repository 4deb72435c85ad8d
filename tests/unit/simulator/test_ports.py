"""Ports open and close together, and leave nothing behind."""

import asyncio
import socket
import ssl

import aiohttp
import pytest
import trustme
from clock import leftovers
from unit.simulator.lab import OpenLab

from presence_async.simulator import Fault, Simulator
from presence_async.simulator.ports import is_loopback


@pytest.mark.parametrize("taken", ["port", "login_port", "streaming_port"])
async def test_all_or_none(taken: str):
    """When one port cannot be opened, none of the others stays open."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        sim = Simulator(users=0, **{taken: holder.getsockname()[1]})
        with pytest.raises(OSError, match="in use"):
            await sim.start()
    for address in ("base_url", "login_url", "streaming_url"):
        with pytest.raises(RuntimeError, match="not running"):
            getattr(sim, address)


async def test_addresses(open_lab: OpenLab):
    """API, login server and sockets have a port each; prefixes show, but not on sockets."""
    lab = await open_lab(path_prefix="/api-gate/", login_path_prefix="/in")
    addresses = [lab.sim.base_url, lab.sim.login_url, lab.sim.streaming_url]
    ports = {address.split(":")[2].split("/")[0] for address in addresses}
    assert len(ports) == 3
    assert addresses[0].endswith("/api-gate")
    assert addresses[1].endswith("/in")
    assert addresses[2].startswith("ws://127.0.0.1:")


async def test_again(open_lab: OpenLab):
    """Opening twice is refused; closing twice is harmless; it can be opened anew."""
    lab = await open_lab()
    with pytest.raises(RuntimeError, match="already"):
        await lab.sim.start()
    await lab.sim.aclose()
    await lab.sim.aclose()
    await lab.sim.start()
    assert (await lab.call("GET", "/api/v2/systempresences")).status == 200


async def test_a_close_that_is_cancelled(open_lab: OpenLab):
    """Cancelled at any moment, closing leaves nothing that another call cannot finish."""
    lab = await open_lab()
    for turns in range(12):
        closing = asyncio.ensure_future(lab.sim.aclose())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        await lab.sim.aclose()
        with pytest.raises(RuntimeError, match="not running"):
            _ = lab.sim.streaming_url
        await lab.sim.start()


@pytest.mark.parametrize("prefix", ["/gw", "/gw/"])
async def test_a_prefix_ends_at_a_slash(open_lab: OpenLab, prefix: str):
    """What merely begins like a prefix is not behind it."""
    lab = await open_lab(path_prefix=prefix, login_path_prefix="/in")
    for base, path in ((lab.sim.base_url, "JUNK/api/v2/systempresences"),
                       (lab.sim.login_url, "JUNK/oauth/authorize")):  # fmt: skip
        headers = {"Authorization": f"Bearer {lab.token}"}
        async with lab.http.get(f"{base}{path}", headers=headers) as answer:
            assert answer.status == 404


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
