"""The public face of the simulator."""

import logging
from typing import Any

import orjson
import pytest
from unit.simulator.lab import OpenLab

from presence_async import simulator
from presence_async.simulator import ALL_PERMISSIONS, Simulator
from presence_async.simulator.server import ANNOUNCED_USERS

SYSTEM = "/api/v2/systempresences"


def test_exports():
    """Everything promised is there, in order."""
    assert sorted(simulator.__all__) == sorted(set(simulator.__all__))
    assert all(hasattr(simulator, name) for name in simulator.__all__)


def test_seeds_repeat():
    """A seed decides ids, names and secrets; given ones win."""
    one, two, other = Simulator(seed=1), Simulator(seed=1), Simulator(seed=2)
    assert one.user_ids == two.user_ids
    assert len(one.user_ids) == 50
    assert (one.client_id, one.client_secret) == (two.client_id, two.client_secret)
    assert other.client_id != one.client_id
    named = Simulator(client_id="me", client_secret="canary")
    assert (named.client_id, named.client_secret) == ("me", "canary")


async def test_announcement(open_lab: OpenLab):
    """The announcement is JSON and holds at most a hundred users."""
    lab = await open_lab(users=ANNOUNCED_USERS + 1)
    announcement = orjson.loads(orjson.dumps(lab.sim.announcement()))
    assert announcement == {
        "base_url": lab.sim.base_url,
        "login_url": lab.sim.login_url,
        "streaming_url": lab.sim.streaming_url,
        "client_id": lab.sim.client_id,
        "client_secret": lab.sim.client_secret,
        "user_ids": list(lab.sim.user_ids[:ANNOUNCED_USERS]),
    }


async def test_counts(open_lab: OpenLab):
    """Requests are counted by route on both ports, also with the method in the name."""
    lab = await open_lab()
    await lab.call("GET", SYSTEM)
    await lab.call("GET", SYSTEM)
    await lab.login({"grant_type": "client_credentials"})
    assert lab.sim.count() == 3
    assert lab.sim.count(SYSTEM) == lab.sim.count(f"GET {SYSTEM}") == 2
    assert lab.sim.count(SYSTEM, "PUT") == 0
    assert lab.sim.token_requests == lab.sim.count("POST /oauth/token") == 1


async def test_history_is_bounded(open_lab: OpenLab):
    """Only the last requests are kept."""
    lab = await open_lab(history=2)
    for _ in range(3):
        await lab.call("GET", SYSTEM)
    assert len(lab.sim.requests) == 2


async def test_tokens_without_requests(open_lab: OpenLab):
    """Tokens can be issued for any client and user, and all be revoked."""
    lab = await open_lab()
    lab.sim.add_client("other", "s", permissions=["presence:source:view"])
    token = lab.sim.issue_token("other", lab.user)
    assert (await lab.call("GET", "/api/v2/users/me", token=token)).status == 200
    assert (await lab.call("GET", "/api/v2/presence/sources", token=token)).status == 200
    assert (await lab.call("GET", "/api/v2/presence/settings", token=token)).status == 403
    short = lab.sim.issue_token(lifetime=1, permissions=[])
    lab.loop.advance(1)
    assert (await lab.call("GET", SYSTEM, token=short)).code == "bad.credentials"
    lab.sim.revoke_tokens()
    assert (await lab.call("GET", SYSTEM, token=token)).code == "bad.credentials"
    with pytest.raises(ValueError, match="nobody"):
        lab.sim.issue_token("nobody")


async def test_permissions_of_the_built_in_client(open_lab: OpenLab):
    """The built-in client may do everything, or what it is told."""
    lab = await open_lab(permissions=ALL_PERMISSIONS - {"presence:source:view"})
    token = (await lab.login({"grant_type": "client_credentials"})).json["access_token"]
    assert (await lab.call("GET", "/api/v2/presence/settings", token=token)).status == 200
    reply = await lab.call("GET", "/api/v2/presence/sources", token=token)
    assert (reply.status, reply.code) == (403, "missing.permissions")


@pytest.mark.parametrize(
    ("host", "warns"),
    [
        ("127.0.0.1", False),
        ("localhost", False),
        ("0.0.0.0", True),  # noqa: S104  # nothing is opened in this test
    ],
)
async def test_warning_beyond_loopback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, host: str, *, warns: bool
):
    """Listening beyond this machine is said loudly."""
    sim = Simulator(users=0, host=host)

    async def opened():
        """Open nothing: this test is about the words."""

    monkeypatch.setattr(sim._ports, "start", opened)
    with caplog.at_level(logging.WARNING):
        async with sim:
            pass
    assert (f"LISTENS ON {host}" in caplog.text) is warns


@pytest.mark.parametrize(
    "wrong",
    [
        {"users": "x"}, {"users": -1}, {"users": 1.5}, {"history": -1},
        {"rate_window": "sliding"}, {"rate_limit": 0}, {"day_limit": True}, {"port": 65536},
        {"token_lifetime": -1}, {"event_loss": 1.1}, {"event_delay": float("nan")},
        {"socket_lifetime": "x"}, {"one_port": 1}, {"switches": {}}, {"users": None},
        {"port": None}, {"token_lifetime": None}, {"event_loss": lambda: 1}, {"history": None},
        {"host": ""}, {"client_id": "a:b"}, {"path_prefix": "gw"}, {"login_path_prefix": "in/"},
        {"permissions": "presence:source:view"},
    ],
)  # fmt: skip
def test_wrong_arguments(wrong: dict[str, Any]):
    """A wrong argument is refused at once, with its name."""
    with pytest.raises((TypeError, ValueError), match=list(wrong)[-1]):
        Simulator(**wrong)
