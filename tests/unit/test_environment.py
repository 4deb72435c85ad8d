"""Client options from the names that people have in their environment already."""

import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async.config import Endpoints, ProxySettings
from presence_async.environment import options_from
from presence_async.errors import ConfigurationError
from presence_async.grants import ClientCredentials, StaticToken
from presence_async.secret import Secret

CANARY = "canary-5e5c5c66"
REGION = {"GENESYSCLOUD_REGION": "eu-west-1"}
TOKEN = {"GENESYSCLOUD_ACCESS_TOKEN": CANARY}
LOGIN = {
    "GENESYSCLOUD_OAUTHCLIENT_ID": "the-id",
    "GENESYSCLOUD_OAUTHCLIENT_SECRET": CANARY,
}


def gateway(**values: str) -> dict[str, Any]:
    """Options of a gateway."""
    return options_from(TOKEN | {f"GENESYSCLOUD_GATEWAY_{k}": v for k, v in values.items()})


def proxy(**values: str) -> ProxySettings:
    """The proxy of the variables."""
    variables = {f"GENESYSCLOUD_PROXY_{k}": v for k, v in values.items()}
    found = options_from(TOKEN | REGION | variables)["proxy"]
    assert isinstance(found, ProxySettings)
    return found


def test_client_credentials_and_region():
    """The three names that everybody has make a client."""
    assert options_from(LOGIN | REGION) == {
        "auth": ClientCredentials("the-id", CANARY),
        "region": "eu-west-1",
    }


def test_the_access_token_wins():
    """With a token in the environment, the client's id and secret are not used."""
    assert options_from(LOGIN | REGION | TOKEN)["auth"] == StaticToken(CANARY)


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_blank_variables_are_not_set(blank: str):
    """A CI's empty settings do not count, and spaces around a value do not either."""
    empty = dict.fromkeys(
        (
            "GENESYSCLOUD_ACCESS_TOKEN",
            "GENESYSCLOUD_GATEWAY_HOST",
            "GENESYSCLOUD_PROXY_HOST",
            "GENESYSCLOUD_PROXY_PORT",
        ),
        blank,
    )
    padded = {name: f"{blank}{value}{blank}" for name, value in (LOGIN | REGION).items()}
    assert options_from(padded | empty) == options_from(LOGIN | REGION)


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "GENESYSCLOUD_OAUTHCLIENT_ID"),
        (REGION, "GENESYSCLOUD_OAUTHCLIENT_ID"),
        ({"GENESYSCLOUD_OAUTHCLIENT_ID": "i"} | REGION, "GENESYSCLOUD_OAUTHCLIENT_SECRET"),
        ({"GENESYSCLOUD_OAUTHCLIENT_SECRET": CANARY} | REGION, "GENESYSCLOUD_OAUTHCLIENT_ID"),
        (LOGIN, "GENESYSCLOUD_REGION"),
        (TOKEN, "GENESYSCLOUD_REGION"),
    ],
)
def test_a_missing_variable_is_named(environ: dict[str, str], name: str):
    """The error says which variable is not set."""
    with pytest.raises(ConfigurationError, match=f"^{name} is not set"):
        options_from(environ)


def test_what_the_caller_gives_is_not_asked_of_the_environment():
    """Arguments given make their variables unnecessary, and unusable ones harmless."""
    assert options_from({}, given=["auth", "region"]) == {}
    assert options_from({}, given=["auth", "base_url", "login_url"]) == {}
    assert options_from(REGION, given=["auth"]) == {"region": "eu-west-1"}
    bad = {"GENESYSCLOUD_PROXY_HOST": "???", "GENESYSCLOUD_GATEWAY_HOST": "???"}
    assert options_from(TOKEN | bad, given=["region", "proxy"]) == {"auth": StaticToken(CANARY)}


def test_other_variables_do_not_matter():
    """The usual proxy variables and other people's names are not read."""
    noise = {"HTTPS_PROXY": "http://p", "REGION": "mars", "genesyscloud_region": "mars"}
    assert options_from(LOGIN | REGION | noise) == options_from(LOGIN | REGION)


# -- proxy


def test_proxy_with_everything():
    """Host, port, protocol and credentials make the settings, the password hidden."""
    found = proxy(
        HOST="proxy.test",
        PORT="3128",
        PROTOCOL="https",
        AUTH_USERNAME="u",
        AUTH_PASSWORD=CANARY,
    )
    assert found == ProxySettings("https://proxy.test:3128", "u", Secret(CANARY))


def test_proxy_with_a_host_only():
    """The protocol is http unless told otherwise; a port alone makes no proxy."""
    assert proxy(HOST="proxy.test") == ProxySettings("http://proxy.test")
    assert "proxy" not in options_from(TOKEN | REGION | {"GENESYSCLOUD_PROXY_PORT": "3128"})


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"HOST": "http://proxy.test"}, "GENESYSCLOUD_PROXY_HOST"),
        ({"HOST": "u:p@proxy.test"}, "GENESYSCLOUD_PROXY_HOST"),
        ({"HOST": "proxy.test/x"}, "GENESYSCLOUD_PROXY_HOST"),
        ({"HOST": "proxy.test", "PORT": "http"}, "GENESYSCLOUD_PROXY_PORT"),
        ({"HOST": "proxy.test", "PORT": "-1"}, "GENESYSCLOUD_PROXY_PORT"),
        ({"HOST": "proxy.test", "PORT": "٣"}, "GENESYSCLOUD_PROXY_PORT"),
        ({"HOST": "proxy.test", "PORT": "9" * 5000}, "GENESYSCLOUD_PROXY_PORT"),
        ({"HOST": "proxy.test", "PORT": "65536"}, "GENESYSCLOUD_PROXY_"),
        ({"HOST": "proxy.test", "PORT": "0"}, "GENESYSCLOUD_PROXY_"),
        ({"HOST": "proxy.test", "PROTOCOL": "socks5"}, "GENESYSCLOUD_PROXY_"),
        ({"HOST": "proxy.test", "AUTH_USERNAME": "a:b"}, "GENESYSCLOUD_PROXY_"),
        ({"HOST": "proxy.test", "AUTH_PASSWORD": CANARY}, "GENESYSCLOUD_PROXY_"),
    ],
)
def test_unusable_proxy_variables_are_named(values: dict[str, str], name: str):
    """What makes no proxy is refused with the name of the variable, before anything is sent."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        proxy(**values)
    assert CANARY not in str(caught.value)


# -- gateway


def test_gateway_wins_over_the_region():
    """API and login both go to the gateway, over https unless told otherwise."""
    found = options_from(
        TOKEN
        | REGION
        | {"GENESYSCLOUD_GATEWAY_HOST": "gw.test", "GENESYSCLOUD_GATEWAY_PORT": "8443"}
    )
    assert "region" not in found
    assert found["base_url"] == found["login_url"] == "https://gw.test:8443"


@pytest.mark.parametrize(
    ("name", "base", "login"),
    [
        ("api", "https://gw.test/pre/fix", "https://gw.test"),
        ("API", "https://gw.test/pre/fix", "https://gw.test"),
        ("login", "https://gw.test", "https://gw.test/pre/fix"),
    ],
)
@pytest.mark.parametrize("path", ["pre/fix", "/pre/fix/"])
def test_gateway_prefix_of_one_of_the_two(name: str, path: str, base: str, login: str):
    """The one path parameter of the environment is the API's or the login's."""
    found = gateway(HOST="gw.test", PATH_NAME=name, PATH_VALUE=path)
    assert (found["base_url"], found["login_url"]) == (base, login)


def test_gateway_prefix_needs_name_and_value():
    """Either alone changes nothing."""
    plain = gateway(HOST="gw.test")
    assert gateway(HOST="gw.test", PATH_NAME="api") == plain
    assert gateway(HOST="gw.test", PATH_VALUE="x") == plain


def test_gateway_on_loopback_over_http():
    """The protocol is taken as it is; whether it is allowed is the client's decision."""
    assert gateway(HOST="127.0.0.1", PROTOCOL="http")["base_url"] == "http://127.0.0.1"


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"HOST": "https://gw.test"}, "HOST"),
        ({"HOST": "gw.test/api"}, "HOST"),
        ({"HOST": "gw.test@evil.test"}, "HOST"),
        ({"HOST": "gw.test#x"}, "HOST"),
        ({"HOST": "gw.test?x"}, "HOST"),
        ({"HOST": "gw.test\\x"}, "HOST"),
        ({"HOST": "gw.test%2f"}, "HOST"),
        ({"HOST": "gw\r\n.test"}, "HOST"),
        ({"HOST": "gw.test", "PORT": "x"}, "PORT"),
        ({"HOST": "gw.test", "PORT": "44 3"}, "PORT"),
        ({"HOST": "gw.test", "PATH_NAME": "other", "PATH_VALUE": "x"}, "PATH_NAME"),
        ({"HOST": "gw.test", "AUTH_USERNAME": "u"}, "AUTH_USERNAME"),
    ],
)
def test_unusable_gateway_variables_are_named(values: dict[str, str], name: str):
    """What cannot be a gateway is refused with the name of the variable."""
    with pytest.raises(ConfigurationError, match=f"^GENESYSCLOUD_GATEWAY_{name}"):
        gateway(**values)


@given(
    host=st.text("gw.test:/\\@#?%[] \n0", min_size=1, max_size=14),
    port=st.text("0123456789 -x", max_size=7),
    path=st.text("api/.%?#@\\ ", max_size=6),
)
@settings(max_examples=300)
def test_no_gateway_variable_can_name_another_host(host: str, port: str, path: str):
    """Either it is refused, here or by the client, or host and port are the variables' own."""
    try:
        found = gateway(HOST=host, PORT=port, PATH_NAME="api", PATH_VALUE=path)
        endpoints = Endpoints.of(region=None, allow_loopback_http=False, **_urls(found))
    except ConfigurationError:
        return
    except KeyError:
        assert not host.strip()
        return
    assert endpoints.api.split("/")[2] == endpoints.login.split("/")[2]
    written = host.strip().lower() + (f":{int(port)}" if port.strip() else "")
    assert endpoints.api.split("/")[2] == written


def _urls(found: dict[str, Any]) -> dict[str, str]:
    return {"base_url": found["base_url"], "login_url": found["login_url"]}


# -- secrets


@pytest.mark.parametrize(
    "environ",
    [
        LOGIN,
        TOKEN,
        LOGIN | {"GENESYSCLOUD_REGION": " "},
        TOKEN | {"GENESYSCLOUD_GATEWAY_HOST": "a/b"},
        TOKEN
        | REGION
        | {"GENESYSCLOUD_PROXY_HOST": "p", "GENESYSCLOUD_PROXY_AUTH_PASSWORD": CANARY},
        TOKEN
        | REGION
        | {
            "GENESYSCLOUD_PROXY_HOST": "p",
            "GENESYSCLOUD_PROXY_AUTH_USERNAME": "u:",
            "GENESYSCLOUD_PROXY_AUTH_PASSWORD": CANARY,
        },
        REGION | {"GENESYSCLOUD_ACCESS_TOKEN": f"{CANARY} x"},
        REGION | {"GENESYSCLOUD_OAUTHCLIENT_SECRET": CANARY},
        REGION | LOGIN | {"GENESYSCLOUD_OAUTHCLIENT_SECRET": f"{CANARY}\udc80"},
        REGION | LOGIN | {"GENESYSCLOUD_OAUTHCLIENT_ID": "\udc80"},
    ],
)
def test_no_secret_of_the_environment_is_in_an_error(environ: dict[str, str]):
    """Neither the error nor a traceback that prints our local variables shows one."""
    try:
        options_from(environ)
    except ConfigurationError as error:
        caught = error
    else:
        pytest.fail("these variables are unusable")
    assert "GENESYSCLOUD_" in str(caught)
    assert CANARY not in str(caught) + repr(caught)
    shown = traceback.TracebackException.from_exception(caught, capture_locals=True)
    ours = [frame for frame in shown.stack if "test_environment" not in frame.filename]
    assert len(ours) >= 2
    assert CANARY not in repr([frame.locals for frame in ours])
    assert shown.__context__ is None or shown.__suppress_context__


@pytest.mark.parametrize("environ", [LOGIN | REGION, TOKEN | REGION])
def test_no_secret_is_in_the_repr_of_the_options(environ: dict[str, str]):
    """The options can be logged."""
    assert CANARY not in repr(options_from(environ))
