"""The API and the login server behind one port."""

import asyncio
from typing import Any

import aiohttp
import pytest
from unit.simulator.lab import OpenLab

from presence_async.simulator import Fault

SYSTEM = "/api/v2/systempresences"
AUTHORIZE = "/oauth/authorize"
GRANT = {"grant_type": "client_credentials"}


@pytest.mark.parametrize(
    ("prefix", "login_prefix"), [("", ""), ("/api-gate", ""), ("", "/in"), ("/gate/", "/gate/in/")]
)
async def test_both_services_share_a_port(open_lab: OpenLab, prefix: str, login_prefix: str):
    """Both addresses differ in their prefixes only, and each service answers at its own."""
    lab = await open_lab(one_port=True, path_prefix=prefix, login_path_prefix=login_prefix)
    origin = lab.sim.base_url.removesuffix(prefix.rstrip("/"))
    assert lab.sim.login_url == origin + login_prefix.rstrip("/")
    token = (await lab.login(GRANT)).json["access_token"]
    assert (await lab.call("GET", SYSTEM, token=token)).status == 200
    assert lab.sim.token_requests == 1
    assert lab.sim.announcement()["login_url"] == lab.sim.login_url


async def test_each_service_keeps_its_manners(open_lab: OpenLab):
    """Unknown pages, scripted failures and the authorize page answer as on two ports."""
    lab = await open_lab(one_port=True)
    nowhere = await lab.call("GET", "/oauth/nowhere", token=None)
    assert (nowhere.status, nowhere.code) == (404, "not.found")  # the API would ask for a token
    assert (await lab.call("GET", "/oauth", token=None)).code == "authentication.required"
    assert (await lab.call("GET", AUTHORIZE)).json["error"] == "invalid_request"
    lab.sim.faults.add(Fault(status=503, times=2))
    assert (await lab.login(GRANT)).json["error"] == "service.unavailable"
    assert (await lab.call("GET", SYSTEM)).code == "service.unavailable"


async def test_closing_ends_a_stall_at_either_gate(open_lab: OpenLab):
    """Closing cancels requests of both services; nothing is left running."""
    lab = await open_lab(one_port=True)
    lab.sim.faults.add(Fault(stall=True, times=2))
    calls = [
        asyncio.create_task(lab.login(GRANT)),
        asyncio.create_task(lab.call("GET", SYSTEM)),
    ]
    await asyncio.sleep(1)  # the clock jumps once both requests have arrived
    assert lab.sim.count() == len(calls)
    await lab.sim.aclose()
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, aiohttp.ClientConnectionError)


async def test_a_login_client_that_left_is_forgotten(open_lab: OpenLab):
    """A stalled login request ends when its client hangs up."""
    lab = await open_lab(one_port=True)
    lab.sim.faults.add(Fault(stall=True))
    call = asyncio.create_task(lab.login(GRANT))
    await asyncio.sleep(1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await asyncio.sleep(1)
    gateway: Any = lab.sim._ports._api._gate
    assert gateway._login_gate._stalled == {}


async def test_one_port_has_no_login_port(open_lab: OpenLab):
    """Asking for both is a contradiction."""
    with pytest.raises(ValueError, match="login_port"):
        await open_lab(one_port=True, login_port=8443)
