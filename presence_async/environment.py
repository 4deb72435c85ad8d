"""Client options from environment variables. Pure: the variables come in as a mapping.

Names and meanings: documentation of the vendor's Terraform provider (`docs/index.md`) and
its command-line client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from presence_async.config import ProxySettings
from presence_async.errors import ConfigurationError
from presence_async.grants import ClientCredentials, StaticToken

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["options_from"]

_PREFIX: Final = "GENESYSCLOUD_"


def options_from(environ: Mapping[str, str], *, given: Collection[str] = ()) -> dict[str, Any]:
    """Constructor arguments of `PresenceClient`.

    Args:
        environ: The variables.
        given: Names of arguments the caller gives anyway; their variables are not needed.

    Raises:
        ConfigurationError: A variable is missing or unusable; the message names it.
    """
    options: dict[str, Any] = {}
    if "auth" not in given:
        options["auth"] = _auth(environ)
    if not {"region", "base_url"} & set(given):
        options |= _endpoints(environ)
    if "proxy" not in given and (host := _value(environ, "PROXY_HOST")):
        options["proxy"] = ProxySettings(
            _url(environ, "PROXY", host, default_protocol="http"),
            _value(environ, "PROXY_AUTH_USERNAME"),
            _value(environ, "PROXY_AUTH_PASSWORD"),
        )
    return options


def _value(environ: Mapping[str, str], name: str) -> str | None:
    """A variable's text; an empty one counts as not set, as in a CI's blank settings."""
    return environ.get(_PREFIX + name, "").strip() or None


def _auth(environ: Mapping[str, str]) -> StaticToken | ClientCredentials:
    """The access token wins over the client credentials, as in the Terraform provider."""
    token = _value(environ, "ACCESS_TOKEN")
    if token is not None:
        return StaticToken(token)
    client_id = _value(environ, "OAUTHCLIENT_ID")
    secret = _value(environ, "OAUTHCLIENT_SECRET")
    if client_id is None or secret is None:
        missing = "OAUTHCLIENT_ID" if client_id is None else "OAUTHCLIENT_SECRET"
        raise ConfigurationError(
            f"{_PREFIX}{missing} is not set (nor is {_PREFIX}ACCESS_TOKEN, which would do alone)"
        )
    return ClientCredentials(client_id, secret)


def _endpoints(environ: Mapping[str, str]) -> dict[str, Any]:
    """A gateway, where one is set, else the region."""
    host = _value(environ, "GATEWAY_HOST")
    if host is not None:
        if _value(environ, "GATEWAY_AUTH_USERNAME") is not None:
            raise ConfigurationError(
                f"{_PREFIX}GATEWAY_AUTH_USERNAME: a gateway with a login of its own would need "
                "the Authorization header that carries the token"
            )
        base = _url(environ, "GATEWAY", host, default_protocol="https")
        # The one path parameter of the environment is the API's or the login's prefix.
        name, path = _value(environ, "GATEWAY_PATH_NAME"), _value(environ, "GATEWAY_PATH_VALUE")
        prefixes = {name: "/" + path.strip("/")} if name and path else {}
        return {
            "base_url": base + prefixes.get("api", ""),
            "login_url": base + prefixes.get("login", ""),
        }
    region = _value(environ, "REGION")
    if region is None:
        raise ConfigurationError(f"{_PREFIX}REGION is not set, e.g. us-east-1 or mypurecloud.ie")
    return {"region": region}


def _url(environ: Mapping[str, str], kind: str, host: str, *, default_protocol: str) -> str:
    protocol = _value(environ, f"{kind}_PROTOCOL") or default_protocol
    port = _value(environ, f"{kind}_PORT")
    if port is not None and not (port.isascii() and port.isdigit()):
        raise ConfigurationError(f"{_PREFIX}{kind}_PORT is not a port number")
    return f"{protocol}://{host}" + (f":{port}" if port else "")
