"""Settings: regions, addresses a token may go to, numbers, proxies."""

import ipaddress
import ssl
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from yarl import URL

from presence_async.config import (
    REGIONS,
    CallOptions,
    ClientConfig,
    Endpoints,
    ProxySettings,
    is_loopback,
    positive,
)
from presence_async.errors import ConfigurationError, InvalidRequestError
from presence_async.routes import GET_PRESENCE
from presence_async.secret import Secret

# The regions of the vendor's Python SDK 269.0.0, once more by hand.
DOCUMENTED = {
    "us_east_1": "mypurecloud.com",
    "us_east_2": "use2.us-gov-pure.cloud",
    "eu_west_1": "mypurecloud.ie",
    "sa_east_1": "sae1.pure.cloud",
    "ap_southeast_2": "mypurecloud.com.au",
    "me_central_1": "mec1.pure.cloud",
    "ap_northeast_1": "mypurecloud.jp",
    "ap_northeast_3": "apne3.pure.cloud",
    "eu_central_1": "mypurecloud.de",
    "eu_central_2": "euc2.pure.cloud",
    "us_west_2": "usw2.pure.cloud",
    "mx_central_1": "mxc1.pure.cloud",
    "ca_central_1": "cac1.pure.cloud",
    "ap_southeast_1": "apse1.pure.cloud",
    "ap_northeast_2": "apne2.pure.cloud",
    "eusc_de_east_1": "edee1.eusc-pure.cloud",
    "eu_west_2": "euw2.pure.cloud",
    "ap_south_1": "aps1.pure.cloud",
}
ENDPOINTS = Endpoints.of(
    region="us_east_1",
    base_url=None,
    login_url=None,
    allow_loopback_http=False,
)


def of(**given: Any) -> Endpoints:
    """Endpoints of the arguments given."""
    usual = {"region": None, "base_url": None, "login_url": None, "allow_loopback_http": False}
    return Endpoints.of(**(usual | given))


# -- regions


def test_the_regions_are_the_documented_ones():
    """18 keys and domains, none missing, none invented, and nobody can change them."""
    assert dict(REGIONS) == DOCUMENTED
    assert len(REGIONS) == 18
    with pytest.raises(TypeError):
        REGIONS["mars_1"] = "mars.test"  # type: ignore[index]


@pytest.mark.parametrize(("key", "domain"), DOCUMENTED.items())
def test_every_region_by_every_spelling(key: str, domain: str):
    """Key with underscores or dashes or both, domain, any case, spaces around: one place."""
    mixed = key.replace("_", "-", 1)
    expected = Endpoints(api=f"https://api.{domain}", login=f"https://login.{domain}")
    for spelling in (key, key.replace("_", "-"), mixed, domain):
        for written in (spelling, spelling.upper(), spelling.title(), f" {spelling}\n"):
            assert of(region=written) == expected


@pytest.mark.parametrize(
    "region",
    [
        "",
        "mars_1",
        "us east 1",
        "useast1",
        "inindca.com",
        "api.mypurecloud.com",
        "https://api.mypurecloud.com",
        "mypurecloud.com.evil.test",
        "mypurecloud.com/",
        "mypurecloud-com",
        "mypurecloud.com@evil.test",
        "evil.test#mypurecloud.com",
        "use2.us_gov_pure.cloud",
        "us_east_1\0",
        "ｕs_east_1",  # noqa: RUF001  # look-alikes are the point
    ],
)
def test_unknown_region_lists_the_known_ones(region: str):
    """The error shows what was given and all 18 keys with their domains."""
    with pytest.raises(ConfigurationError, match="unknown region") as caught:
        of(region=region)
    assert repr(region) in str(caught.value)
    for key, domain in DOCUMENTED.items():
        assert f"{key} ({domain})" in str(caught.value)


@pytest.mark.parametrize("region", [1, b"us_east_1", ["us_east_1"], True])
def test_a_region_is_text(region: Any):
    """Anything but str is named by its type."""
    with pytest.raises(ConfigurationError, match="region must be a str, not "):
        of(region=region)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give a region such as"),
        ({"login_url": "https://l.test"}, "give a region such as"),
        ({"region": "us_east_1", "base_url": "https://a.test"}, "not both"),
        ({"region": "us_east_1", "login_url": "https://l.test"}, "not both"),
    ],
)
def test_region_or_addresses(arguments: dict[str, str], message: str):
    """Exactly one of the two ways, and a login address never alone."""
    with pytest.raises(ConfigurationError, match=message):
        of(**arguments)


# -- addresses


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://gw.example.com", "https://gw.example.com"),
        ("https://gw.example.com/", "https://gw.example.com"),
        ("https://gw.example.com//", "https://gw.example.com"),
        ("https://gw.example.com:8443", "https://gw.example.com:8443"),
        ("https://gw.example.com:443", "https://gw.example.com:443"),
        ("https://gw.example.com:65535/a", "https://gw.example.com:65535/a"),
        ("https://gw.example.com/genesys/API", "https://gw.example.com/genesys/API"),
        ("https://gw.example.com/genesys/", "https://gw.example.com/genesys"),
        ("HTTPS://GW.Example.COM/Genesys", "https://gw.example.com/Genesys"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://gw", "https://gw"),
        ("https://10.0.0.7:8443/x", "https://10.0.0.7:8443/x"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("https://a.test/@x", "https://a.test/@x"),
        ("https://a.test/...", "https://a.test/..."),
    ],
)
def test_gateway_addresses_are_kept_with_port_and_prefix(url: str, expected: str):
    """Host and scheme in lower case, path as written, no slash at the end."""
    assert of(base_url=url, login_url=url) == Endpoints(api=expected, login=expected)


def test_base_url_alone_has_no_login():
    """A static token needs no login address."""
    assert of(base_url="https://gw.test") == Endpoints(api="https://gw.test", login=None)


REFUSED = [
    "",
    " ",
    "gw.example.com",
    "//gw.example.com",
    "https:gw.example.com",
    "https:/gw.example.com",
    "https:///gw.example.com",
    "https://",
    "https://:443",
    "https://user@gw.example.com",
    "https://user:secret@gw.example.com",
    "https://@gw.example.com",
    "https://:@gw.example.com",
    "https://api.mypurecloud.com@evil.test",
    "https://api.mypurecloud.com:443@evil.test",
    "https://api.mypurecloud.com%40evil.test",
    "https://evil.test\\@api.mypurecloud.com",
    "https://evil.test\\.mypurecloud.com",
    "https:\\\\evil.test",
    "https://evil.test#@api.mypurecloud.com",
    "https://evil.test#.mypurecloud.com",
    "https://evil.test?.mypurecloud.com",
    "https://gw.test?",
    "https://gw.test#",
    "https://gw.test/?a=b",
    "https://gw.test/#x",
    "https://gw.test/x?y#z",
    "https://gw.test:",
    "https://gw.test:/x",
    "https://gw.test:0",
    "https://gw.test:00443",
    "https://gw.test:65536",
    "https://gw.test:-1",
    "https://gw.test:+443",
    "https://gw.test:4 43",
    "https://gw.test:٤٤٣",
    "https://gw.test:http",
    "https://gw.test:443:443",
    "https://gw.test/a/../b",
    "https://gw.test/a/./b",
    "https://gw.test/..",
    "https://gw.test/.",
    "https://gw.test/%2e%2e/b",
    "https://gw.test/a%2Fb",
    "https://gw.test//a",
    "https://gw.test/a//b",
    "https://gw.test/a b",
    "https://gw.test/a\\b",
    "https://gw.test/a\tb",
    "https://gw.test/zoë",
    "https://gw.test\n",
    "https://gw.te\nst",
    "https://gw.test/\r\nHost: evil",
    "https://gw.te\tst",
    " https://gw.test",
    "https://gw.test ",
    "\x00https://gw.test",
    "https://gw.test\x00",
    "https://gw .test",
    "https://bücher.example",
    "https://ｇｗ.test",  # noqa: RUF001  # look-alikes are the point
    "https://" + "a" * 64 + ".test",
    "https://" + "a.b" * 90 + ".test",
    "https://gw。test",
    "https://\u212aiwi.test",
    "https://gw\u2024test",
    "https://%67w.test",
    "https://gw.test%00.evil.test",
    "https://.gw.test",
    "https://gw.test.",
    "https://gw..test",
    "https://...",
    "https://-gw.test",
    "https://gw-.test",
    "https://gw_1.test",
    "https://*.test",
    "https://2130706433",
    "https://0x7f000001",
    "https://0x7f.1",
    "https://127.1",
    "https://0177.0.0.1",
    "https://127.0.0.1.",
    "https://127.0.0.01",
    "https://256.0.0.1",
    "https://1.2.3.4.5",
    "https://gw.test.5",
    "https://[::1",
    "https://::1",
    "https://[::1]x",
    "https://[::1]:",
    "https://[gw.test]",
    "https://[v1.fe80]",
    "https://[127.0.0.1]",
    "https://[fe80::1%25eth0]",
    "https://[fe80::1%eth0]",
    "https://[::1%@evil.test]",
]


@pytest.mark.parametrize("url", REFUSED, ids=ascii)
def test_addresses_that_could_be_misread_are_refused(url: str):
    """Whatever two parsers may see differently is refused, naming the argument, not showing it."""
    for written in (url, url.replace("https:", "http:")):
        for argument in ("base_url", "login_url"):
            urls = {"base_url": "https://gw.test", argument: written}
            with pytest.raises(ConfigurationError, match=f"^{argument} ") as caught:
                of(**urls, allow_loopback_http=True)
            assert "secret" not in str(caught.value)
            assert "evil" not in str(caught.value)


@pytest.mark.parametrize("url", [5, b"https://gw.test", URL("https://gw.test"), Secret("x")])
def test_an_address_is_text(url: Any):
    """Anything but str is named by its type."""
    with pytest.raises(ConfigurationError, match="base_url must be a str, not "):
        of(base_url=url)


@pytest.mark.parametrize("scheme", ["ftp", "ws", "wss", "file", "javascript", "httpss", "h"])
def test_other_schemes_are_refused(scheme: str):
    """Only https, and http where it is allowed."""
    with pytest.raises(ConfigurationError, match=f"must be https, not {scheme}"):
        of(base_url=f"{scheme}://gw.test", allow_loopback_http=True)


LOOPBACK = [
    "http://localhost:8080",
    "http://127.0.0.1:8080",
    "http://127.0.0.1",
    "http://127.255.255.254:1/api",
    "http://[::1]:8080",
    "http://[0:0:0:0:0:0:0:1]:8080",
    "HTTP://LOCALHOST:8080",
]


@pytest.mark.parametrize("url", LOOPBACK)
def test_plain_http_to_this_machine_needs_a_word(url: str):
    """Loopback works with the option, and without it the error names the option."""
    assert of(base_url=url, allow_loopback_http=True).api == url.lower()
    with pytest.raises(ConfigurationError, match="needs allow_loopback_http=True"):
        of(base_url=url)


@pytest.mark.parametrize(
    "host",
    [
        "gw.test",
        "localhost.evil.test",
        "evil-localhost",
        "localhost4",
        "127.0.0.1.evil.test",
        "127.0.0.1.nip.io",
        "10.0.0.1",
        "0.0.0.0",  # noqa: S104  # refused, not bound
        "128.0.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "[::]",
        "[::2]",
        "[fe80::1]",
        "[2001:db8::1]",
    ],
)
def test_plain_http_to_anywhere_else_is_refused(host: str):
    """A token in the clear is refused, option or not; https to the same host is fine."""
    for allowed in (True, False):
        with pytest.raises(ConfigurationError, match="in the clear"):
            of(base_url=f"http://{host}:8080", allow_loopback_http=allowed)
    assert of(base_url=f"https://{host}:8080").api == f"https://{host}:8080"


def test_loopback_is_judged_by_address():
    """The whole 127 network, ::1 and the one name; nothing that only looks like it."""
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("", "127.1", "localhost.", "127.0.0.1.x", "126.0.0.1")))


PARTS = st.lists(
    st.sampled_from(
        [
            *(
                "https://",
                "http://",
                "//",
                "/",
                "\\",
                "@",
                ":",
                "#",
                "?",
                "%",
                "%40",
                "%2e",
                "..",
                ".",
            ),
            *(
                "api.mypurecloud.com",
                "evil.test",
                "localhost",
                "127.0.0.1",
                "[::1]",
                "[",
                "]",
                "0x7f",
            ),
            *(
                "443",
                ":8080",
                ":0",
                "a",
                "Z",
                "-",
                "_",
                " ",
                "\t",
                "\n",
                "\r",
                "\0",
                "\u212a",
                "é",
                "。",
            ),
            *("\uff0f", "2130706433", "%00", "&", ";", "=", "/../", "/./", "user:pass@", "\ud800"),
        ]
    ),
    min_size=1,
    max_size=7,
).map("".join)
TARGET = GET_PRESENCE.request("@evil.test/..", "//evil.test", query=[("a", "#@evil.test")]).target


@given(url=PARTS | PARTS.map("https://".__add__) | PARTS.map("https://gw.test".__add__))
@example("https://api.mypurecloud.com@evil.test")
@example("https://\u212a.test")
@example("https://gw.test:443/prefix")
@example("http://127.0.0.1.evil.test")
@settings(max_examples=500)
def test_accepted_addresses_read_the_same_to_everyone(url: str):
    """For every accepted address the host aiohttp connects to is the host a reader sees."""
    try:
        base = of(base_url=url, allow_loopback_http=True).api
    except ConfigurationError:
        return
    # What a reader sees: everything between the slashes, up to the next slash.
    seen = url.split("/")[2].lower()
    connected = URL(base + TARGET, encoded=True)
    parsed = urlsplit(base)
    name = f"[{connected.raw_host}]" if ":" in (connected.raw_host or "") else connected.raw_host
    assert seen in {name, f"{name}:{connected.port}"}
    assert (parsed.hostname, parsed.scheme) == (connected.raw_host, connected.scheme)
    assert connected.origin() == URL(base).origin() == URL(url).origin()
    assert (connected.user, connected.password, connected.fragment) == (None, None, "")
    assert connected.raw_path_qs == parsed.path + TARGET
    assert base.isascii()
    assert base.isprintable()
    if connected.scheme != "https":
        assert (
            connected.raw_host == "localhost" or ipaddress.ip_address(parsed.hostname).is_loopback
        )


@given(
    host=st.from_regex(r"\A[a-z][a-z0-9-]{0,8}[a-z](\.[a-z]{2,5}){0,3}\Z"),
    port=st.none() | st.integers(1, 65535),
    path=st.lists(st.from_regex(r"\A[A-Za-z0-9._~-]{1,6}\Z"), max_size=3),
)
@settings(max_examples=100)
def test_ordinary_addresses_are_accepted(host: str, port: int | None, path: list[str]):
    """Being careful refuses no plain host, port and prefix."""
    assume(not {".", ".."} & set(path))
    url = f"https://{host}" + (f":{port}" if port else "") + "".join(f"/{part}" for part in path)
    assert of(base_url=url).api == url


def test_a_target_of_any_other_kind_never_gets_to_an_address():
    """Dot segments, the one thing encoding cannot defuse, are refused before the base is met."""
    with pytest.raises(InvalidRequestError):
        GET_PRESENCE.request("..", "purecloud")


# -- numbers


@pytest.mark.parametrize("value", [0.001, 1, 2.5, 1e300, 2**1000])
def test_positive_numbers_are_positive(value: float):
    """Whole or not, any finite number above 0 comes back as a float."""
    number = positive("timeout", value)
    assert number == value
    assert type(number) is float


@pytest.mark.parametrize(
    "value",
    [
        0,
        0.0,
        -1,
        -0.5,
        float("nan"),
        float("inf"),
        float("-inf"),
        10**400,
        -(10**400),
        True,
        "5",
        None,
        b"5",
        [5],
        1 + 0j,
    ],
)
def test_what_is_no_positive_number_is_refused_by_name(value: Any):
    """Zero, negative, infinite, not a number, too large, or no number: named and shown."""
    with pytest.raises(ConfigurationError, match=r"^timeout must be a finite number above 0, not"):
        positive("timeout", value)


def test_zero_where_zero_makes_sense():
    """Some settings start from 0, and say so."""
    assert positive("max_wait", 0, zero=True) == 0.0
    with pytest.raises(
        ConfigurationError,
        match=r"^max_wait must be a finite number from 0, not -1",
    ):
        positive("max_wait", -1, zero=True)


NONSENSE = (-1, float("nan"), float("inf"), "5", None, True)


@pytest.mark.parametrize("value", NONSENSE)
@pytest.mark.parametrize("option", ["timeout", "max_wait", "retries"])
def test_call_options_are_checked(option: str, value: Any):
    """Each option refuses nonsense when it is made, and when it is changed later."""
    with pytest.raises(ConfigurationError, match=f"^{option} must be "):
        CallOptions(**{option: value})
    with pytest.raises(ConfigurationError, match=f"^{option} must be "):
        attrs.evolve(CallOptions(), **{option: value})


def test_call_options_at_their_edges():
    """No waiting and no retrying are allowed; no time at all is not; retries are whole."""
    assert CallOptions(timeout=0.001, max_wait=0, retries=0) == CallOptions(0.001, 0, 0)
    for wrong in ({"timeout": 0}, {"retries": 1.5}, {"retries": 1.0}):
        with pytest.raises(ConfigurationError):
            CallOptions(**wrong)


@pytest.mark.parametrize("value", NONSENSE)
@pytest.mark.parametrize(
    "option",
    [
        "pool_size",
        "keep_alive",
        "connect_timeout",
        "read_timeout",
        "rate_limit",
        "polling_share",
        "max_response_bytes",
    ],
)
def test_client_settings_are_checked(option: str, value: Any):
    """No setting of the pool, the timeouts or the limits can be switched off by accident."""
    with pytest.raises(ConfigurationError, match=f"^{option} must be "):
        ClientConfig(endpoints=ENDPOINTS, **{option: value})


@pytest.mark.parametrize("wrong", ["Bulk", "", 1, ["bulk"], b"bulk"])
def test_lane_and_pacing_are_words_that_are_known(wrong: Any):
    """The error lists them. Without a lane the operation's own counts."""
    with pytest.raises(ConfigurationError, match=r"^lane must be one of 'interactive', 'bulk', 'p"):
        CallOptions(lane=wrong)
    with pytest.raises(ConfigurationError, match=r"^pacing must be one of 'even', 'burst', not"):
        CallOptions(pacing=wrong)
    assert (CallOptions().lane, CallOptions().pacing) == (None, "even")


def test_polling_may_have_all_of_the_budget_and_not_nothing():
    """Its share is a part: above 0, up to 1."""
    assert ClientConfig(endpoints=ENDPOINTS, polling_share=1).polling_share == 1
    for wrong in (0, 1.01):
        with pytest.raises(ConfigurationError, match=r"^polling_share must be "):
            ClientConfig(endpoints=ENDPOINTS, polling_share=wrong)


@pytest.mark.parametrize("option", ["pool_size", "rate_limit", "max_response_bytes"])
def test_counts_are_whole_and_from_one(option: str):
    """A pool, a limit or a body of nothing would only hang."""
    for wrong in (0, 1.5):
        with pytest.raises(ConfigurationError, match=f"^{option} must be a whole number from 1"):
            ClientConfig(endpoints=ENDPOINTS, **{option: wrong})
    assert getattr(ClientConfig(endpoints=ENDPOINTS, **{option: 1}), option) == 1


def test_defaults_are_finite():
    """Nobody waits for ever by default, and the rate is the vendor's."""
    config, options = ClientConfig(endpoints=ENDPOINTS), CallOptions()
    for value in (config.connect_timeout, config.read_timeout, options.timeout, options.max_wait):
        assert 0 < value <= 300
    assert config.keep_alive <= 60
    assert config.rate_limit == 300
    assert ClientConfig(endpoints=ENDPOINTS, keep_alive=0).keep_alive == 0


def test_settings_are_frozen():
    """What a session was made with stays what it is."""
    for value, name in (
        (ClientConfig(endpoints=ENDPOINTS), "rate_limit"),
        (CallOptions(), "timeout"),
        (ENDPOINTS, "api"),
        (ProxySettings("http://p:3128"), "url"),
    ):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, name, None)


def test_tls_and_proxy_are_taken_as_they_are():
    """A context and a proxy are kept; a proxy that is neither settings nor URL is refused."""
    context = ssl.create_default_context()
    proxy = ProxySettings("http://p:3128")
    config = ClientConfig(endpoints=ENDPOINTS, ssl=context, proxy=proxy)
    assert config.ssl is context
    assert config.proxy is proxy
    with pytest.raises(ConfigurationError, match=r"proxy must be"):
        ClientConfig(endpoints=ENDPOINTS, proxy="http://p:3128")  # type: ignore[arg-type]


# -- proxies


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy.test:3128", "http://proxy.test:3128"),
        ("https://proxy.test", "https://proxy.test"),
        ("http://proxy.test:3128/", "http://proxy.test:3128"),
        ("HTTP://Proxy.Test:3128", "http://proxy.test:3128"),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_proxy_addresses(url: str, expected: str):
    """Plain http to a proxy is normal anywhere: inside it, the connection is TLS."""
    assert ProxySettings(url).url == expected
    assert ProxySettings(url).username is None


@pytest.mark.parametrize(
    "url",
    [
        *(url.replace("https:", "http:") for url in REFUSED),
        "socks5://proxy.test:1080",
        "http://proxy.test/path",
        5,
        None,
        b"http://proxy.test",
    ],
    ids=ascii,
)
def test_proxy_addresses_that_are_none(url: Any):
    """A proxy is a scheme, a host and a port; a password in it is not repeated."""
    with pytest.raises(ConfigurationError, match=r"^proxy url ") as caught:
        ProxySettings(url)
    assert "secret" not in str(caught.value)


def test_proxy_credentials_are_kept_apart_and_hidden():
    """The password is a secret from the start, given as text or as a Secret."""
    for password in ("canary", Secret("canary")):
        proxy = ProxySettings("http://p:3128", "user", password)
        assert proxy.password == Secret("canary")
        assert "canary" not in repr(proxy)
        assert "canary" not in repr(ClientConfig(endpoints=ENDPOINTS, proxy=proxy))
    assert ProxySettings("http://p:3128", "user").password is None
    assert ProxySettings("http://p:3128", "zoë", "zoë").username == "zoë"


@pytest.mark.parametrize(
    ("username", "password", "message"),
    [
        ("us:er", "canary", "without a colon"),
        ("", "canary", "non-empty"),
        (5, "canary", "must be a non-empty str"),
        ("us\udc80er", "canary", "must be a non-empty str"),
        ("user", "canary\udc80", "must be Unicode text"),
        ("user", b"canary", "must be a str"),
        ("user", 5, "must be a str"),
        (None, "canary", "needs a username"),
    ],
)
def test_proxy_credentials_that_cannot_be_sent(username: Any, password: Any, message: str):
    """What Basic authentication cannot carry is refused at once, and not shown."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        ProxySettings("http://p:3128", username, password)
    assert "canary" not in repr(caught.value)


# -- addresses of sockets

REGION = of(region="us_east_1")
NEW_REGION = of(base_url="https://api.new1.pure.cloud")
GATEWAY = of(base_url="https://gw.test:8443/genesys")
PLAIN = of(base_url="http://127.0.0.1:8080", allow_loopback_http=True)
SECURE = of(base_url="https://localhost:8080")


@pytest.mark.parametrize(
    ("endpoints", "connect_uri"),
    [
        (REGION, "wss://streaming.mypurecloud.com/channels/streaming-4-abc"),
        (REGION, "wss://streaming.mypurecloud.com:443/channels/c"),
        (REGION, "WSS://STREAMING.MyPureCloud.com/channels/C"),
        (REGION, "wss://a.b.mypurecloud.com/c"),
        (REGION, "wss://api.mypurecloud.com/c"),
        (of(region="us_east_2"), "wss://streaming.use2.us-gov-pure.cloud/c"),
        (NEW_REGION, "wss://streaming.new1.pure.cloud/c"),
        (GATEWAY, "wss://gw.test:8443/sockets/c"),
        (GATEWAY, "wss://streaming.gw.test/c"),
        (GATEWAY, "wss://streaming.mypurecloud.de/c"),
        (PLAIN, "ws://127.0.0.1:9/c"),
        (PLAIN, "ws://[::1]:9/c"),
        (PLAIN, "wss://localhost:9/c"),
        (PLAIN, "wss://streaming.mypurecloud.de/c"),
        (SECURE, "wss://127.0.0.1:9/c"),
    ],
)
def test_sockets_of_the_domain_are_admitted(endpoints: Endpoints, connect_uri: str) -> None:
    """A name in the API's domain by wss; behind a gateway also the vendor's or its own."""
    assert endpoints.admits_socket(Secret(connect_uri))


@pytest.mark.parametrize("endpoints", [REGION, NEW_REGION, GATEWAY, PLAIN, SECURE])
@pytest.mark.parametrize(
    "connect_uri",
    [
        "",
        "wss://",
        "wss:///c",
        "//streaming.mypurecloud.com/c",
        "https://streaming.mypurecloud.com/c",
        "ws://streaming.mypurecloud.com/c",
        "wss://mypurecloud.com.evil.test/c",
        "wss://evilmypurecloud.com/c",
        "wss://streaming.mypurecloud.com.evil.test/c",
        "wss://streaming.mypurecloud.com@evil.test/c",
        "wss://user:pass@streaming.mypurecloud.com/c",
        "wss://@streaming.mypurecloud.com/c",
        "wss://evil.test/streaming.mypurecloud.com",
        "wss://evil.test#streaming.mypurecloud.com",
        "wss://evil.test?.mypurecloud.com",
        "wss://evil.test\\.mypurecloud.com/c",
        "wss://evil.test\\@streaming.mypurecloud.com/c",
        "wss://evil.test%2f.mypurecloud.com/c",
        "wss://evil.test%00.mypurecloud.com/c",
        "wss://streaming.mypurecloud.com./c",
        "wss://.mypurecloud.com/c",
        "wss://streaming.mypurecloud.com:444/c",
        "wss://streaming.mypurecloud.com:0/c",
        "wss://streaming.mypurecloud.com:/c",
        "wss://streaming.mypurecloud.com:port/c",
        "wss://streaming.mypurecloud.com/../c",
        "wss://streaming.mypurecloud.com/c?x=1",
        "wss://streaming.mypurecloud.com/c#x",
        "wss://streaming.mypurecloud.com/c\r\nX: y",
        "wss://strea\tming.mypurecloud.com/c",
        " wss://streaming.mypurecloud.com/c",
        "wss://streaming.mypurecloud.com/c ",
        "wss://streaming.mypureсloud.com/c",  # noqa: RUF001  # a Cyrillic letter is the point
        "wss://streaming.mypurecloud.com。evil.test/c",
        "wss://xn--streaming-.evil.test/c",
        "wss://streaming.mypurecloud.\u212aom/c",
        "wss://[::1%25lo]:9/c",
        "wss://[::ffff:8.8.8.8]/c",
        "wss://8.8.8.8/c",
        "wss://2130706433/c",
        "wss://0x7f.1/c",
        "wss://\ud800/c",
        "wss://localhost.evil.test/c",
    ],
)
def test_tricky_addresses_of_sockets_are_refused(endpoints: Endpoints, connect_uri: str) -> None:
    """Whatever another parser might take for another host is refused by every client."""
    assert not endpoints.admits_socket(Secret(connect_uri))


@pytest.mark.parametrize(
    ("endpoints", "connect_uri"),
    [
        (REGION, "wss://streaming.mypurecloud.de/c"),
        (REGION, "wss://mypurecloud.com/c"),
        (REGION, "wss://streaming.mypurecloud.com.au/c"),
        (REGION, "ws://127.0.0.1/c"),
        (REGION, "wss://127.0.0.1/c"),
        (REGION, "wss://localhost/c"),
        (NEW_REGION, "wss://streaming.new2.pure.cloud/c"),
        (of(base_url="https://api.com"), "wss://evil.com/c"),
        (GATEWAY, "wss://gw.test:9/c"),
        (GATEWAY, "wss://streaming.gw.test:8443/c"),
        (GATEWAY, "wss://127.0.0.1/c"),
        (PLAIN, "wss://10.0.0.1/c"),
        (SECURE, "ws://127.0.0.1:9/c"),
    ],
)
def test_sockets_elsewhere_are_refused(endpoints: Endpoints, connect_uri: str) -> None:
    """Another region, another port, this machine: nothing but where the API is."""
    assert not endpoints.admits_socket(Secret(connect_uri))


GOOD = ["wss", "://", "streaming", ".", "mypurecloud", ".com", "/channels", "/c"]
MARKS = [*"@:/\\#?%.[] -_cK\t\n\0\u017f\u212a\u3002", ":443", ":80", "%2e", "u:p@", "evil.test"]
PIECES = st.sampled_from([*GOOD, *MARKS]) | st.characters()


@st.composite
def nearly_good(draw: st.DrawFn) -> str:
    """The address of a socket with a few pieces put in, taken out or exchanged."""
    pieces = list(GOOD)
    for _ in range(draw(st.integers(0, 3))):
        index = draw(st.integers(0, len(pieces)))
        pieces[index : index + draw(st.integers(0, 1))] = draw(st.lists(PIECES, max_size=2))
    return "".join(pieces)


@given(nearly_good())
@settings(max_examples=300)
def test_an_admitted_socket_is_where_every_parser_says(connect_uri: str) -> None:
    """Two parsers agree on scheme, host and port of what is admitted, and both are right."""
    if not REGION.admits_socket(Secret(connect_uri)):
        return
    url, parts = URL(connect_uri), urlsplit(connect_uri)
    assert url.scheme == parts.scheme == "wss"
    assert url.host == parts.hostname
    assert str(url.host).endswith(".mypurecloud.com")
    assert (url.port, parts.port) in {(443, None), (443, 443)}
    assert (url.user, url.password, parts.username, parts.password) == (None,) * 4
    assert not url.query_string
    assert connect_uri.isascii()
    assert connect_uri.isprintable()
