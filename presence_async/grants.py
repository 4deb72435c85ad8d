"""The OAuth grants as values: what each one posts to the token endpoint. Pure.

Endpoint, form fields and headers: `api_client.py` of the vendor's Python SDK. Secrets may be
given as `str`; they are kept as `Secret` and never shown.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

import attrs

from presence_async.config import login_base
from presence_async.errors import ConfigurationError
from presence_async.secret import MaskedBytes, MaskedStr, Secret, encodable

__all__ = [
    "Auth",
    "AuthorizationCode",
    "AuthorizationCodePKCE",
    "ClientCredentials",
    "PKCEPair",
    "RefreshToken",
    "Saml2Bearer",
    "StaticToken",
    "TokenRequest",
    "authorize_url",
    "check_state",
]

_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def _given(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Validator: a non-empty str or Secret; the message names the field, not the value."""
    if not isinstance(value, str | Secret) or not value or not encodable(value):
        raise ConfigurationError(
            f"{type(instance).__name__}: {attribute.name} must be a non-empty str of Unicode text"
        )


def _secret(value: str | Secret) -> Secret:
    """Hide strings at once; leave anything else to the validator."""
    return Secret(value) if isinstance(value, str) else value


def _maybe_secret(value: str | Secret | None) -> Secret | None:
    return None if value is None else _secret(value)


@attrs.frozen
class TokenRequest:
    """One POST to the token endpoint, with a Basic header if there is a `client_secret`.

    Not `repeatable`: a code is used up by the first post, and a rotating refresh token too.
    """

    form: tuple[tuple[str, str | Secret], ...] = attrs.field(repr=False)
    client_id: str
    client_secret: Secret | None
    repeatable: bool

    def headers(self) -> dict[str, str]:
        """Header fields of the post; the Basic value shows as a mask."""
        headers = {"Accept": "application/json", "Content-Type": _FORM_TYPE}
        if self.client_secret is not None:
            pair = f"{self.client_id}:{self.client_secret.reveal()}".encode()
            headers["Authorization"] = MaskedStr(f"Basic {base64.b64encode(pair).decode()}")
        return headers

    def body(self) -> bytes:
        """The urlencoded form; shows as a mask."""
        form = [(name, Secret(value).reveal()) for name, value in self.form]
        return MaskedBytes(urlencode(form).encode())


def _refresh(client_id: str, client_secret: Secret | None, token: Secret) -> TokenRequest:
    """Renewal with a refresh token; without a secret the client id goes into the form."""
    form: tuple[tuple[str, str | Secret], ...] = (
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
    )
    if client_secret is None:
        form += (("client_id", client_id),)
    return TokenRequest(form, client_id, client_secret, repeatable=False)


@attrs.frozen
class ClientCredentials:
    """A service of its own: no user behind the token, rights from the client's roles."""

    client_id: str = attrs.field(validator=_given)
    client_secret: Secret = attrs.field(converter=_secret, validator=_given)

    def first_request(self) -> TokenRequest:
        """How the first token is asked for."""
        form = (("grant_type", "client_credentials"),)
        return TokenRequest(form, self.client_id, self.client_secret, repeatable=True)

    def renewal(self, refresh_token: Secret | None) -> TokenRequest | None:  # noqa: ARG002
        """How the next one is: the same way, as often as needed."""
        return self.first_request()


@attrs.frozen
class StaticToken:
    """A token that somebody else obtained. It is used as it is and never renewed."""

    access_token: Secret = attrs.field(converter=_secret, validator=_given)

    def __attrs_post_init__(self) -> None:
        if not _VISIBLE.fullmatch(self.access_token.reveal()):
            raise ConfigurationError("StaticToken: access_token has characters no token has")


@attrs.frozen
class AuthorizationCode:
    """A code that the login page sent to `redirect_uri`, with the client's secret."""

    client_id: str = attrs.field(validator=_given)
    client_secret: Secret = attrs.field(converter=_secret, validator=_given)
    code: Secret = attrs.field(converter=_secret, validator=_given)
    redirect_uri: str = attrs.field(validator=_given)

    def first_request(self) -> TokenRequest:
        """How the code is exchanged."""
        form = (
            ("grant_type", "authorization_code"),
            ("code", self.code),
            ("redirect_uri", self.redirect_uri),
        )
        return TokenRequest(form, self.client_id, self.client_secret, repeatable=False)

    def renewal(self, refresh_token: Secret | None) -> TokenRequest | None:
        """With the refresh token that came along, if one did."""
        if refresh_token is None:
            return None
        return _refresh(self.client_id, self.client_secret, refresh_token)


@attrs.frozen
class AuthorizationCodePKCE:
    """A code obtained with PKCE: no client secret, the verifier proves who asks.

    `code_verifier` is the one whose challenge went into `authorize_url`.
    """

    client_id: str = attrs.field(validator=_given)
    code: Secret = attrs.field(converter=_secret, validator=_given)
    redirect_uri: str = attrs.field(validator=_given)
    code_verifier: Secret = attrs.field(converter=_secret, validator=_given)

    def first_request(self) -> TokenRequest:
        """How the code is exchanged."""
        form = (
            ("grant_type", "authorization_code"),
            ("code", self.code),
            ("redirect_uri", self.redirect_uri),
            ("code_verifier", self.code_verifier),
            ("client_id", self.client_id),
        )
        return TokenRequest(form, self.client_id, None, repeatable=False)

    def renewal(self, refresh_token: Secret | None) -> TokenRequest | None:
        """With the refresh token that came along, if one did."""
        if refresh_token is None:
            return None
        return _refresh(self.client_id, None, refresh_token)


@attrs.frozen
class RefreshToken:
    """A refresh token kept from an earlier session.

    Give `on_refresh_token` to the client as well: the vendor may rotate the token.
    """

    client_id: str = attrs.field(validator=_given)
    refresh_token: Secret = attrs.field(converter=_secret, validator=_given)
    client_secret: Secret | None = attrs.field(
        default=None, converter=_maybe_secret, validator=attrs.validators.optional(_given)
    )

    def first_request(self) -> TokenRequest:
        """How the first access token is asked for."""
        return _refresh(self.client_id, self.client_secret, self.refresh_token)

    def renewal(self, refresh_token: Secret | None) -> TokenRequest | None:
        """With the newest refresh token known."""
        return _refresh(self.client_id, self.client_secret, refresh_token or self.refresh_token)


@attrs.frozen
class Saml2Bearer:
    """A SAML2 assertion of the organization's identity provider, base64 as the vendor takes it.

    Renewed by presenting the assertion again, for as long as it is valid.
    """

    client_id: str = attrs.field(validator=_given)
    client_secret: Secret = attrs.field(converter=_secret, validator=_given)
    assertion: Secret = attrs.field(converter=_secret, validator=_given)
    org_name: str = attrs.field(validator=_given)

    def first_request(self) -> TokenRequest:
        """How the assertion is exchanged."""
        form = (
            ("grant_type", "urn:ietf:params:oauth:grant-type:saml2-bearer"),
            ("assertion", self.assertion),
            ("orgName", self.org_name),
        )
        return TokenRequest(form, self.client_id, self.client_secret, repeatable=False)

    def renewal(self, refresh_token: Secret | None) -> TokenRequest | None:
        """With a refresh token if one came along, else with the assertion again."""
        if refresh_token is not None:
            return _refresh(self.client_id, self.client_secret, refresh_token)
        return self.first_request()


Auth: TypeAlias = (
    ClientCredentials
    | StaticToken
    | AuthorizationCode
    | AuthorizationCodePKCE
    | RefreshToken
    | Saml2Bearer
)
"""Every way to get a token."""


@attrs.frozen
class PKCEPair:
    """A PKCE verifier (43 to 128 characters) and its S256 challenge.

    Make one with `PKCEPair.generate()`, or from a verifier kept across the login.
    """

    verifier: Secret = attrs.field(converter=_secret, validator=_given)

    def __attrs_post_init__(self) -> None:
        if not _VERIFIER.fullmatch(self.verifier.reveal()):
            raise ConfigurationError(
                "PKCEPair: verifier must be 43 to 128 characters of A-Z a-z 0-9 . _ ~ -"
            )

    @classmethod
    def generate(cls) -> PKCEPair:
        """A fresh verifier from the system's randomness (86 characters)."""
        return cls(Secret(secrets.token_urlsafe(64)))

    @property
    def challenge(self) -> str:
        """The verifier's SHA-256, base64url without padding; goes into `authorize_url`."""
        digest = hashlib.sha256(self.verifier.reveal().encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def authorize_url(
    *,
    client_id: str,
    redirect_uri: str,
    state: str,
    code_challenge: str | None = None,
    region: str | None = None,
    login_url: str | None = None,
    allow_loopback_http: bool = False,
) -> str:
    """The address to send a user's browser to, `/oauth/authorize` on the login host.

    Args:
        client_id: Id of the OAuth client.
        redirect_uri: Where the code is sent; registered with the client.
        state: An unguessable value; `check_state` compares what comes back.
        code_challenge: `PKCEPair.challenge` for PKCE, or None.
        region: Region key or domain; or give `login_url`.
        login_url: Explicit login base.
        allow_loopback_http: Lets `login_url` be plain http on this machine.

    Raises:
        ConfigurationError: Unknown region, unsafe login_url, empty value, no challenge.
    """
    for name, value in (("client_id", client_id), ("redirect_uri", redirect_uri), ("state", state)):
        if not isinstance(value, str) or not value or not encodable(value):
            raise ConfigurationError(f"{name} must be a non-empty str of Unicode text")
    base = login_base(region=region, login_url=login_url, allow_loopback_http=allow_loopback_http)
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "state": state,
    }
    if code_challenge is not None:
        if not isinstance(code_challenge, str) or not _CHALLENGE.fullmatch(code_challenge):
            raise ConfigurationError("code_challenge must be a PKCEPair's challenge")
        query |= {"code_challenge": code_challenge, "code_challenge_method": "S256"}
    return f"{base}/oauth/authorize?{urlencode(query, quote_via=quote)}"


def check_state(expected: str, received: str | None) -> bool:
    """True when the `state` that came back is ours, compared in constant time.

    A state that is missing or empty, on either side, is never ours.
    """
    if not expected or not received:
        return False
    return Secret(expected) == Secret(received)
