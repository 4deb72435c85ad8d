"""Client options from environment variables. Pure: the variables come in as a mapping.

Names and meanings: documentation of the vendor's Terraform provider (`docs/index.md`) and
its command-line client.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from presence_async.config import ProxySettings
from presence_async.errors import ConfigurationError
from presence_async.grants import ClientCredentials, StaticToken
from presence_async.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_PREFIX: Final = "GENESYSCLOUD_"
_PORT_DIGITS: Final = 5


class _Variables:
    """No mapping, so that a traceback with local variables does not print them all."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def get(self, name: str) -> str | None:
        """A variable's text; an empty one counts as not set, as in a CI's blank settings."""
        return self._environ.get(_PREFIX + name, "").strip() or None

    def secret(self, name: str) -> Secret | None:
        """The same, for a value that nothing may show."""
        return Secret(value) if (value := self.get(name)) is not None else None


def options_from(environ: Mapping[str, str], *, given: Collection[str] = ()) -> dict[str, Any]:
    """Constructor arguments of `PresenceClient`, without those that are `given` anyway."""
    variables = _Variables(environ)
    del environ  # it holds secrets, and tracebacks may print local variables
    options: dict[str, Any] = {}
    if "auth" not in given:
        options["auth"] = _auth(variables)
    if not {"region", "base_url"} & set(given):
        options |= _endpoints(variables)
    if "proxy" not in given and variables.get("PROXY_HOST") is not None:
        options["proxy"] = _proxy(variables)
    return options


def _auth(variables: _Variables) -> StaticToken | ClientCredentials:
    """The access token wins over the client credentials, as in the Terraform provider."""
    token = variables.secret("ACCESS_TOKEN")
    if token is not None:
        with _naming("ACCESS_TOKEN"):
            return StaticToken(token)
    client_id = variables.get("OAUTHCLIENT_ID")
    secret = variables.secret("OAUTHCLIENT_SECRET")
    if client_id is None or secret is None:
        missing = "OAUTHCLIENT_ID" if client_id is None else "OAUTHCLIENT_SECRET"
        raise ConfigurationError(
            f"{_PREFIX}{missing} is not set (nor is {_PREFIX}ACCESS_TOKEN, which would do alone)"
        )
    with _naming("OAUTHCLIENT_ID or OAUTHCLIENT_SECRET"):
        return ClientCredentials(client_id, secret)


def _proxy(variables: _Variables) -> ProxySettings:
    with _naming("PROXY_…"):
        return ProxySettings(
            _url(variables, "PROXY", default_protocol="http"),
            variables.get("PROXY_AUTH_USERNAME"),
            variables.secret("PROXY_AUTH_PASSWORD"),
        )


def _endpoints(variables: _Variables) -> dict[str, Any]:
    """A gateway, where one is set, else the region."""
    if variables.get("GATEWAY_HOST") is not None:
        return _gateway(variables)
    region = variables.get("REGION")
    if region is None:
        raise ConfigurationError(f"{_PREFIX}REGION is not set, e.g. us-east-1 or mypurecloud.ie")
    return {"region": region}


def _gateway(variables: _Variables) -> dict[str, Any]:
    if variables.get("GATEWAY_AUTH_USERNAME") is not None:
        raise ConfigurationError(
            f"{_PREFIX}GATEWAY_AUTH_USERNAME: a gateway with a login of its own would need "
            "the Authorization header that carries the token"
        )
    base = _url(variables, "GATEWAY", default_protocol="https")
    # The one path parameter of the environment is the API's or the login's prefix.
    name, path = variables.get("GATEWAY_PATH_NAME"), variables.get("GATEWAY_PATH_VALUE")
    if (name or "api").lower() not in {"api", "login"}:
        raise ConfigurationError(f"{_PREFIX}GATEWAY_PATH_NAME must be api or login, not {name!r}")
    prefixes = {name.lower(): "/" + path.strip("/")} if name and path else {}
    return {
        "base_url": base + prefixes.get("api", ""),
        "login_url": base + prefixes.get("login", ""),
    }


def _url(variables: _Variables, kind: str, *, default_protocol: str) -> str:
    protocol = variables.get(f"{kind}_PROTOCOL") or default_protocol
    host = variables.get(f"{kind}_HOST") or ""
    # A scheme or a path in there would swallow the port or move it elsewhere.
    if not host.isprintable() or set(host) & set("/\\?#@% "):
        raise ConfigurationError(f"{_PREFIX}{kind}_HOST must be a host name, nothing around it")
    port = variables.get(f"{kind}_PORT")
    if port is None:
        return f"{protocol}://{host}"
    if not (port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS):
        raise ConfigurationError(f"{_PREFIX}{kind}_PORT is not a port number")
    return f"{protocol}://{host}:{int(port)}"


@contextmanager
def _naming(names: str) -> Iterator[None]:
    """Put the variables' names before the message of what they were used for."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{_PREFIX}{names}: {error.message}") from None
