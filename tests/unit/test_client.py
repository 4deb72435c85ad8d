"""What users hold: its arguments, its derived clients, and what it shows of itself."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs
import pytest
from rawserver import REPEATABLE, RawServer, ok, raw_client, refused_port, send
from support import client_for

from presence_async import (
    AuthorizationCode,
    ClientCredentials,
    ConfigurationError,
    PresenceClient,
    ProxySettings,
    StaticToken,
)
from presence_async.config import REGIONS, CallOptions, ClientConfig

if TYPE_CHECKING:
    from presence_async.simulator import Simulator

TOKEN = StaticToken("canary")


# -- arguments


@pytest.mark.parametrize("region", [*REGIONS, *REGIONS.values(), "US-EAST-1", " eu-west-1 "])
def test_every_region_by_key_or_domain(region: str) -> None:
    """Keys with dashes or underscores and domains give the region's two hosts."""
    client = PresenceClient(region=region, auth=ClientCredentials("id", "secret"))
    domain = REGIONS.get(region.strip().lower().replace("-", "_"), region)
    endpoints = client._session._config.endpoints
    assert (endpoints.api, endpoints.login) == (f"https://api.{domain}", f"https://login.{domain}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"region": "mars_1"}, "unknown region 'mars_1'; known regions: us_east_1"),
        ({}, "give a region"),
        ({"region": "us_east_1", "base_url": "https://a.test"}, "not both"),
        ({"base_url": "http://a.test"}, "use https"),
        ({"base_url": "http://127.0.0.1"}, "allow_loopback_http=True"),
        ({"region": "us_east_1", "auth": "token"}, "auth must be one of the grants"),
        ({"region": "us_east_1", "auth": None}, "not NoneType"),
        ({"base_url": "https://a.test", "auth": ClientCredentials("a", "b")}, "login_url"),
        ({"region": "us_east_1", "timeout": 0}, "timeout"),
        ({"region": "us_east_1", "timeout": float("inf")}, "timeout"),
        ({"region": "us_east_1", "timeout": "5"}, "timeout"),
        ({"region": "us_east_1", "max_wait": -1}, "max_wait"),
        ({"region": "us_east_1", "retries": -1}, "retries"),
        ({"region": "us_east_1", "retries": True}, "retries"),
        ({"region": "us_east_1", "retries": 1.5}, "retries"),
        ({"region": "us_east_1", "pool_size": 0}, "pool_size"),
        ({"region": "us_east_1", "keep_alive": -1}, "keep_alive"),
        ({"region": "us_east_1", "connect_timeout": 0}, "connect_timeout"),
        ({"region": "us_east_1", "read_timeout": None}, "read_timeout"),
        ({"region": "us_east_1", "rate_limit": 0}, "rate_limit"),
        ({"region": "us_east_1", "polling_share": 0}, "polling_share"),
        ({"region": "us_east_1", "polling_share": 1.5}, "polling_share must be at most 1"),
        ({"region": "us_east_1", "lane": "fast"}, "lane must be one of 'interactive', 'bulk'"),
        ({"region": "us_east_1", "pacing": None}, "pacing must be one of 'even', 'burst'"),
        ({"region": "us_east_1", "max_response_bytes": 0}, "max_response_bytes"),
        ({"region": "us_east_1", "proxy": "socks5://a:1"}, "proxy url"),
        ({"region": "us_east_1", "proxy": "http://user:pass@a:1"}, "apart"),
        ({"region": "us_east_1", "proxy": 7}, "proxy"),
        # False would turn verification off in aiohttp.
        ({"region": "us_east_1", "ssl": False}, "ssl must be an ssl.SSLContext, not bool"),
        ({"region": "us_east_1", "ssl": "x"}, "ssl must be"),
        ({"region": "us_east_1", "hook": 5}, "hook must be callable, not int"),
        ({"region": "us_east_1", "hook": asyncio.sleep}, "hook must be a plain function"),
        ({"base_url": "http://127.0.0.1", "allow_loopback_http": "no"}, "allow_loopback_http=True"),
        ({"region": "us_east_1", "on_refresh_token": 5}, "on_refresh_token must be callable"),
    ],
)
def test_what_cannot_work_is_refused_when_the_client_is_made(
    options: dict[str, Any], message: str
) -> None:
    """A bad argument is a ConfigurationError that names it, before anything is opened."""
    with pytest.raises(ConfigurationError, match=message.replace("(", r"\(")):
        PresenceClient(**({"auth": TOKEN} | options))


def test_the_arguments_reach_their_places() -> None:
    """Every option of the constructor ends up in the configuration or in the call options."""
    context = ssl.create_default_context()
    proxy = ProxySettings("http://127.0.0.1:1", "me", "password")
    limits = {
        "pool_size": 7,
        "keep_alive": 1.5,
        "connect_timeout": 2.5,
        "read_timeout": 3.5,
        "rate_limit": 17,
        "polling_share": 0.3,
        "max_response_bytes": 1000,
    }
    calls: dict[str, Any] = {
        "timeout": 9.0,
        "max_wait": 8.0,
        "retries": 7,
        "lane": "polling",
        "pacing": "burst",
    }
    client = PresenceClient(
        region="us_east_1", auth=TOKEN, ssl=context, proxy=proxy, **limits, **calls
    )
    config = client._session._config
    assert attrs.asdict(client._options) == calls
    assert {name: getattr(config, name) for name in limits} == limits
    assert (config.ssl, config.proxy) == (context, proxy)
    plain = PresenceClient(region="us_east_1", auth=TOKEN, proxy="http://127.0.0.1:1")
    assert plain._session._config.proxy == ProxySettings("http://127.0.0.1:1")


def test_the_defaults_are_those_of_the_values_behind() -> None:
    """The constructor repeats the defaults of its parts, finite all of them."""
    shown = {
        name: parameter.default
        for name, parameter in inspect.signature(PresenceClient).parameters.items()
    }
    for kind in (ClientConfig, CallOptions):
        for field in attrs.fields(kind):
            if field.default is not attrs.NOTHING:
                assert shown[field.name] == field.default


async def test_the_environment_gives_what_was_not_given() -> None:
    """Variables fill in; arguments win; os.environ is read when nothing else is given."""
    async with RawServer(ok()) as server:
        environ = {"GENESYSCLOUD_REGION": "eu-west-1", "GENESYSCLOUD_ACCESS_TOKEN": "from-env"}
        client = PresenceClient.from_env(
            environ, base_url=server.url, allow_loopback_http=True, retries=0
        )
        assert client._options.retries == 0
        async with client:
            await send(client, REPEATABLE["GET"])
        assert server.requests[0]["authorization"] == "Bearer from-env"


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mapping from_env looks at os.environ, and names what is missing there."""
    monkeypatch.setenv("GENESYSCLOUD_REGION", "mypurecloud.ie")
    monkeypatch.setenv("GENESYSCLOUD_ACCESS_TOKEN", "token")
    assert repr(PresenceClient.from_env()) == (
        "<PresenceClient https://api.mypurecloud.ie not entered>"
    )
    monkeypatch.delenv("GENESYSCLOUD_REGION")
    with pytest.raises(ConfigurationError, match="GENESYSCLOUD_REGION"):
        PresenceClient.from_env()


# -- derived clients


async def test_a_derived_client_differs_in_its_call_options_only(sim: Simulator) -> None:
    """It shares session, token, budget and looked-up ids, and has resources of its own."""
    async with client_for(sim) as client:
        derived = client.with_options(timeout=5)
        again = derived.with_options(retries=0, max_wait=1, lane="bulk", pacing="burst")
        assert type(derived) is PresenceClient
        assert (derived._options.timeout, derived._options.retries) == (5, 3)
        assert again._options == CallOptions(5, 1, 0, "bulk", "burst")
        assert client._options == CallOptions()
        assert again._session is client._session
        await client.user_presences.update(sim.user_ids[0], system_presence="Busy")
        looked_up = sim.count("/api/v2/presence/definitions")
        await again.user_presences.update(sim.user_ids[0], system_presence="Busy")
        assert sim.count("/api/v2/presence/definitions") == looked_up
        assert again.rate_limit == client.rate_limit


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1.0},
        {"max_wait": -1},
        {"retries": -1},
        {"lane": "slow"},
        {"pacing": "uneven"},
    ],
)
def test_a_derived_client_checks_its_options(options: dict[str, Any]) -> None:
    """What the constructor refuses, with_options refuses."""
    client = PresenceClient(region="us_east_1", auth=TOKEN)
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        client.with_options(**options)


class _Own(PresenceClient):
    """A subclass as a user might write it."""


def test_a_subclass_derives_its_own_kind() -> None:
    """with_options keeps the class."""
    assert type(_Own(region="us_east_1", auth=TOKEN).with_options(retries=0)) is _Own


# -- what it shows


async def test_a_client_shows_where_it_goes_and_no_secret() -> None:
    """The repr names base address and state; secrets are in none of its parts."""
    auth = AuthorizationCode("id", "canary-secret", "canary-code", "https://app.test/")
    client = PresenceClient(
        region="us_east_1",
        auth=auth,
        proxy=ProxySettings("http://127.0.0.1:1", "me", "canary-password"),
    )
    assert repr(client) == "<PresenceClient https://api.mypurecloud.com not entered>"
    async with client:
        assert repr(client) == "<PresenceClient https://api.mypurecloud.com open>"
        assert "canary" not in repr(client._session._config) + repr(client._session._auth)
    assert repr(client).endswith("closed>")


def test_a_client_that_could_not_be_made_can_be_shown() -> None:
    """A debugger or a traceback with local variables may ask for the repr of half a client."""
    assert repr(object.__new__(PresenceClient)) == "<PresenceClient not made>"


async def test_the_budget_can_be_read() -> None:
    """Limit, what is left, who waits, and when the next is free."""
    async with RawServer(ok()) as server, raw_client(server, rate_limit=2) as client:
        assert attrs.asdict(client.rate_limit) == {
            "limit": 2,
            "remaining": 2,
            "in_flight": 0,
            "waiting": 0,
            "next_free": 0.0,
            "paused_for": 0.0,
        }
        await send(client, REPEATABLE["GET"])
        await send(client, REPEATABLE["GET"])
        status = client.rate_limit
        assert (status.remaining, status.in_flight) == (0, 0)
        assert status.next_free == pytest.approx(61, abs=0.1)


# -- what it shares and what not


async def test_a_derived_client_neither_opens_nor_closes_anything(sim: Simulator) -> None:
    """Leaving a derived client's block leaves the first one open; they share pool and budget."""
    async with client_for(sim) as client:
        async with client.with_options(timeout=5) as derived:
            await derived.users.list()
            assert derived.rate_limit == client.rate_limit
        await derived.aclose()
        await client.users.list()
        assert sim.token_requests == 1


async def test_a_callers_session_outlives_the_client(sim: Simulator) -> None:
    """Our calls on it end, the session itself and its connections stay the caller's."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        async with client_for(sim, session=session) as client:
            await client.users.list()
        assert not session.closed
        async with client_for(sim, session=session) as client:
            await client.users.list()


async def test_an_unsuited_session_leaves_the_client_unopened() -> None:
    """The refusal comes when entering, and nothing has to be closed."""
    async with aiohttp.ClientSession() as session:
        client = PresenceClient(region="us_east_1", auth=TOKEN, session=session)
        with pytest.raises(ConfigurationError, match="keeps cookies"):
            await client.__aenter__()
        assert "not entered" in repr(client)


async def test_two_clients_know_nothing_of_each_other() -> None:
    """Tokens, proxies, budgets and pools are a client's own."""
    target = f"http://127.0.0.1:{refused_port()}"
    async with RawServer(ok()) as one, RawServer(ok()) as two:
        first = raw_client(one, auth=StaticToken("first"), base_url=target, proxy=one.url)
        second = raw_client(two, auth=StaticToken("second"), base_url=target, proxy=two.url)
        async with first, second:
            await asyncio.gather(*[send(c, REPEATABLE["GET"]) for c in (first, second, second)])
            assert first.rate_limit.remaining == 299
            assert second.rate_limit.remaining == 298
        assert {request["authorization"] for request in one.requests} == {"Bearer first"}
        assert {request["authorization"] for request in two.requests} == {"Bearer second"}
