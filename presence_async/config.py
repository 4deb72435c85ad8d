"""Settings as frozen values, checked when they are made. Never reads the environment.

Regions and hosts: `purecloud_region_hosts.py` and `configuration.py` of the vendor's
Python SDK. API base `https://api.{domain}`, login base `https://login.{domain}`.
"""

from __future__ import annotations

import ipaddress
import re
import ssl as ssl_module
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

import attrs

from presence_async.errors import ConfigurationError
from presence_async.secret import Secret, encodable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "REGIONS",
    "CallOptions",
    "ClientConfig",
    "Endpoints",
    "Lane",
    "Pacing",
    "ProxySettings",
    "login_base",
    "positive",
]

REGIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "us_east_1": "mypurecloud.com",
        "eu_west_1": "mypurecloud.ie",
        "ap_southeast_2": "mypurecloud.com.au",
        "ap_northeast_1": "mypurecloud.jp",
        "eu_central_1": "mypurecloud.de",
        "us_west_2": "usw2.pure.cloud",
        "ca_central_1": "cac1.pure.cloud",
        "ap_northeast_2": "apne2.pure.cloud",
        "eu_west_2": "euw2.pure.cloud",
        "us_east_2": "use2.us-gov-pure.cloud",
        "sa_east_1": "sae1.pure.cloud",
        "me_central_1": "mec1.pure.cloud",
        "ap_northeast_3": "apne3.pure.cloud",
        "eu_central_2": "euc2.pure.cloud",
        "mx_central_1": "mxc1.pure.cloud",
        "ap_southeast_1": "apse1.pure.cloud",
        "eusc_de_east_1": "edee1.eusc-pure.cloud",
        "ap_south_1": "aps1.pure.cloud",
    }
)
"""The 18 regions: key to domain."""

Lane: TypeAlias = Literal["interactive", "bulk", "polling"]
"""Who goes first when the budget is short; see docs/limits-and-failures.md."""

Pacing: TypeAlias = Literal["even", "burst"]
"""Whether sweeps that exceed what is left of the budget are spread over the minute."""

_LABEL: Final = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_NAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)
# A last label that resolvers take for a number: 2130706433, 0x7f000001, 127.1 and so on.
_NUMERIC: Final = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)", re.ASCII)
# RFC 1035; what is longer fails inside the resolver, far from here.
_LONGEST_NAME: Final = 253
_LONGEST_LABEL: Final = 63
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*", re.ASCII)


def _region_domain(region: str) -> str:
    """The domain of a region given by key (dashes or underscores, any case) or domain."""
    if not isinstance(region, str):
        raise ConfigurationError(f"region must be a str, not {type(region).__name__}")
    wanted = region.strip().lower()
    domain = REGIONS.get(wanted.replace("-", "_"))
    if domain is None and wanted in REGIONS.values():
        domain = wanted
    if domain is None:
        known = ", ".join(f"{key} ({value})" for key, value in REGIONS.items())
        raise ConfigurationError(f"unknown region {region!r}; known regions: {known}")
    return domain


def is_loopback(host: str) -> bool:
    """True for ``localhost`` and for addresses of the loopback ranges."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_host(host: str) -> bool:
    """An IP address in its usual form, or a name that no resolver takes for a number."""
    if ":" in host or _NUMERIC.fullmatch(host):
        # ipaddress takes a zone after %, which readers and parsers disagree about.
        return "%" not in host and _is_address(host)
    labels = host.split(".")
    return (
        _NAME.fullmatch(host) is not None
        and len(host) <= _LONGEST_NAME
        and max(map(len, labels)) <= _LONGEST_LABEL
    )


@attrs.frozen
class _Base:
    """A URL that reads the same to every parser."""

    scheme: str
    host: str
    port: int | None
    text: str
    path: str


def _base(name: str, url: Any, shape: str) -> _Base:
    """`url` taken apart, in lower case up to its path; ConfigurationError for all that could leak.

    User info, a query, a fragment, dot segments, what two parsers read differently.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"{name} must be a str, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError(f"{name} is not a URL") from None
    shown = f"[{host}]" if ":" in host else host
    path = parts.path.rstrip("/")
    text = f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "") + path
    # Rebuilding must give the text back (but for case): what urlsplit drops or changes silently
    # (CR LF, tabs, user info, an empty port) makes the two differ. ASCII comes first: the Kelvin
    # sign in lower case is an ordinary k.
    if (
        not url.isascii()
        or text.lower() != url.rstrip("/").lower()
        or port == 0
        or not _is_host(host)
        or not _PATH.fullmatch(path)
        or any(segment in {".", ".."} for segment in path.split("/"))
    ):
        raise ConfigurationError(
            f"{name} must look like {shape}, without user info, query or fragment"
        )
    return _Base(parts.scheme, host, port, text, path)


def _checked_base(name: str, url: Any, *, allow_loopback_http: bool) -> str:
    """A base URL without a trailing slash that a token may be sent to."""
    base = _base(name, url, "https://host[:port][/prefix]")
    if base.scheme == "https":
        return base.text
    if base.scheme != "http":
        raise ConfigurationError(f"{name} must be https, not {base.scheme or 'without a scheme'}")
    if not is_loopback(base.host):
        raise ConfigurationError(f"{name}: plain http would send the token in the clear; use https")
    if allow_loopback_http is not True:
        raise ConfigurationError(
            f"{name}: plain http to this machine needs allow_loopback_http=True"
        )
    return base.text


def _domain(api_host: str) -> str:
    """The domain that a host of the API is in: what follows `api.`, or else the host itself."""
    head, _, rest = api_host.partition(".")
    # Never a single label: everybody's hosts end in one of those.
    return rest if head == "api" and "." in rest else api_host


@attrs.frozen
class Endpoints:
    """Where tokens may go: the API base and the login base, nothing else."""

    api: str
    login: str | None

    @classmethod
    def of(
        cls,
        *,
        region: str | None,
        base_url: str | None,
        login_url: str | None,
        allow_loopback_http: bool,
    ) -> Endpoints:
        """Endpoints of a region, or of explicit base URLs (a gateway, a simulator)."""
        if region is not None and (base_url is not None or login_url is not None):
            raise ConfigurationError("give either region or base_url and login_url, not both")
        if region is not None:
            domain = _region_domain(region)
            return cls(api=f"https://api.{domain}", login=f"https://login.{domain}")
        if base_url is None:
            raise ConfigurationError(
                "give a region such as 'us_east_1' or 'mypurecloud.ie', or a base_url"
            )
        api = _checked_base("base_url", base_url, allow_loopback_http=allow_loopback_http)
        login = (
            None
            if login_url is None
            else _checked_base("login_url", login_url, allow_loopback_http=allow_loopback_http)
        )
        return cls(api=api, login=login)

    def admits_socket(self, connect_uri: Secret) -> bool:
        """Whether a channel's socket may be opened at the address the API gave for it.

        It must be wss on the default port, and a name in the domain of the API's host; the
        vendor promises no more about it. Behind a gateway it may be the vendor's own, or the
        gateway's on its own port; behind one on this machine, anything on this machine.
        """
        try:
            socket = _base("connectUri", connect_uri.reveal(), "wss://host/path")
        except ConfigurationError:
            return False
        api = _base("base_url", self.api, "https://host")
        if is_loopback(api.host) and is_loopback(socket.host):
            # Plain http had to be allowed for the API, so it is for the sockets.
            return socket.scheme == "wss" or (socket.scheme, api.scheme) == ("ws", "http")
        domain, own = _domain(api.host), socket.host == api.host
        known = [f".{domain}", *(f".{other}" for other in REGIONS.values())]
        hosts = tuple(known[:1] if domain in REGIONS.values() else known)
        return (
            socket.scheme == "wss"
            and socket.port in ({None, 443, api.port} if own else {None, 443})
            and (own or socket.host.endswith(hosts))
        )


def positive(name: str, value: Any, *, zero: bool = False) -> float:
    """`value` as a finite float above 0 (or from 0), or ConfigurationError naming it."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # Compared, not converted: a whole number may be too large for a float.
    if not number or not 0 <= value <= sys.float_info.max or (value == 0 and not zero):
        raise ConfigurationError(
            f"{name} must be a finite number {'from' if zero else 'above'} 0, not {value!r}"
        )
    return float(value)


def login_base(*, region: str | None, login_url: str | None, allow_loopback_http: bool) -> str:
    """The login base of a region, or an explicit one; ConfigurationError for neither or both."""
    if (region is None) == (login_url is None):
        raise ConfigurationError("give either region or login_url")
    if region is not None:
        return f"https://login.{_region_domain(region)}"
    return _checked_base("login_url", login_url, allow_loopback_http=allow_loopback_http)


def _whole(name: str, value: Any, *, lowest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
        raise ConfigurationError(f"{name} must be a whole number from {lowest}, not {value!r}")
    return value


def _one_of(name: str, value: Any, choices: Any) -> None:
    if not isinstance(value, str) or value not in get_args(choices):
        known = ", ".join(map(repr, get_args(choices)))
        raise ConfigurationError(f"{name} must be one of {known}, not {value!r}")


def _proxy_url(url: Any) -> str:
    base = _base("proxy url", url, "http://host:port (username and password apart)")
    if base.scheme not in {"http", "https"} or base.path:
        raise ConfigurationError("proxy url must look like http://host:port")
    return base.text


def _proxy_secret(value: str | Secret | None) -> Secret | None:
    if value is not None and not isinstance(value, str | Secret):
        raise ConfigurationError("proxy password must be a str")
    return None if value is None else Secret(value)


@attrs.frozen
class ProxySettings:
    """An explicit HTTP proxy; the environment is never asked for one.

    Attributes:
        url: ``http://host:port``, without credentials.
        username: User for Basic proxy authentication, or None.
        password: Its password, kept as a `Secret`.
    """

    url: str = attrs.field(converter=_proxy_url)
    username: str | None = None
    password: Secret | None = attrs.field(default=None, converter=_proxy_secret)

    def __attrs_post_init__(self) -> None:
        if self.username is None:
            if self.password is not None:
                raise ConfigurationError("the proxy's password needs a username beside it")
            return
        # Basic authentication ends the user at the first colon.
        user = self.username if isinstance(self.username, str) else ""
        if not user or ":" in user or not encodable(user):
            raise ConfigurationError("proxy username must be a non-empty str without a colon")
        if self.password is not None and not encodable(self.password):
            raise ConfigurationError("proxy password must be Unicode text")


@attrs.frozen
class CallOptions:
    """What may differ from call to call; `PresenceClient` tells what each means."""

    timeout: float = 150.0
    max_wait: float = 90.0
    retries: int = 3
    lane: Lane | None = None
    pacing: Pacing = "even"

    def __attrs_post_init__(self) -> None:
        positive("timeout", self.timeout)
        positive("max_wait", self.max_wait, zero=True)
        _whole("retries", self.retries, lowest=0)
        if self.lane is not None:
            _one_of("lane", self.lane, Lane)
        _one_of("pacing", self.pacing, Pacing)


@attrs.frozen(kw_only=True)
class ClientConfig:
    """Everything about a session that never changes; `PresenceClient` tells what each means.

    Keep `pool_size` above the concurrency: a request that waits for a connection holds a permit.
    `keep_alive` is short, for a write on a connection just dropped has an unknown outcome.
    """

    endpoints: Endpoints
    pool_size: int = 100
    keep_alive: float = 15.0
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    rate_limit: int = 300
    polling_share: float = 0.8
    max_response_bytes: int = 33_554_432
    proxy: ProxySettings | None = None
    ssl: ssl_module.SSLContext | None = None

    def __attrs_post_init__(self) -> None:
        _whole("pool_size", self.pool_size, lowest=1)
        positive("keep_alive", self.keep_alive, zero=True)
        positive("connect_timeout", self.connect_timeout)
        positive("read_timeout", self.read_timeout)
        _whole("rate_limit", self.rate_limit, lowest=1)
        if positive("polling_share", self.polling_share) > 1:
            raise ConfigurationError(f"polling_share must be at most 1, not {self.polling_share!r}")
        _whole("max_response_bytes", self.max_response_bytes, lowest=1)
        # Also refuses False, which would turn verification off.
        if self.ssl is not None and not isinstance(self.ssl, ssl_module.SSLContext):
            raise ConfigurationError(
                f"ssl must be an ssl.SSLContext, not {type(self.ssl).__name__}"
            )
        if self.proxy is not None and not isinstance(self.proxy, ProxySettings):
            raise ConfigurationError("proxy must be a ProxySettings or a URL")
