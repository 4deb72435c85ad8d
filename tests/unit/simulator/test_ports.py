"""The ports of a simulator."""

import asyncio
import socket

import pytest
from unit.simulator.lab import OpenLab

from presence_async.simulator import Simulator


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
