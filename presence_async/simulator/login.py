"""The login service: token endpoint with its grants, and authorize page."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from presence_async.simulator.errors import TokenError
from presence_async.simulator.exchange import Answer, Exchange
from presence_async.simulator.oauth import Code, OAuthClient, Refresh, s256
from presence_async.simulator.services import Route, Service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from presence_async.simulator.oauth import AccessToken, Authority

TOKEN_TEMPLATE = "/oauth/token"  # noqa: S105  a path, not a secret
_MAX_FIELDS = 50
SAML2_BEARER = "urn:ietf:params:oauth:grant-type:saml2-bearer"
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


class Login(Service):
    """Everything behind the login address."""

    def __init__(self, authority: Authority, prefix: str) -> None:
        self._grants = Grants(authority)
        pages = (
            Route("POST", TOKEN_TEMPLATE, self._token),
            Route("GET", "/oauth/authorize", self._authorize),
        )
        super().__init__(pages, prefix)

    def _token(self, exchange: Exchange) -> dict[str, Any]:
        if exchange.media_type != "application/x-www-form-urlencoded":
            raise TokenError(400, "invalid_request", "the body must be form-encoded")
        return self._grants.token(_pairs(exchange.body), exchange.headers.get("Authorization"))

    def _authorize(self, exchange: Exchange) -> Answer:
        query = _pairs(exchange.query.encode("utf-8", "surrogateescape"))
        return Answer(302, headers={"Location": self._grants.authorize(query)})


def _pairs(encoded: bytes) -> dict[str, str]:
    """Form fields or query parameters; TokenError for what is not UTF-8 or comes twice.

    A parameter must not come twice (RFC 6749, 3.2).
    """
    try:
        text = encoded.decode()
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise TokenError(400, "invalid_request", "the parameters are malformed") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise TokenError(400, "invalid_request", "a parameter is given twice")
    return fields


class Grants:
    """Answers token requests."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._switches = authority.switches

    def token(self, form: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        """The body of a successful token answer; TokenError for anything else."""
        grant = form.get("grant_type", "")
        if grant == "authorization_code":
            return self._authorization_code(form, authorization)
        if grant == "client_credentials":
            return self._answer(self._authority.issue_token(self._client(authorization)))
        if grant == "refresh_token":
            return self._refresh_token(form, authorization)
        if grant == SAML2_BEARER:
            return self._saml2_bearer(form, authorization)
        raise self._grant_error("unsupported_grant_type", "unsupported grant type")

    def authorize(self, query: Mapping[str, str]) -> str:
        """The address the authorize page redirects to; TokenError where there is none."""
        redirect_uri = query.get("redirect_uri", "")
        client = self._authority.clients.get(query.get("client_id", ""))
        registered = None if client is None else client.redirect_uri
        known = registered in (None, redirect_uri)
        if not redirect_uri or not redirect_uri.isprintable() or not known:
            raise self._grant_error("invalid_request", "redirect_uri is missing or unknown")
        answer = self._authorized(client, query, redirect_uri)
        if "state" in query:
            answer["state"] = query["state"]
        separator = "&" if "?" in redirect_uri else "?"
        return f"{redirect_uri}{separator}{urlencode(answer)}"

    def _authorized(
        self, client: OAuthClient | None, query: Mapping[str, str], redirect_uri: str
    ) -> dict[str, str]:
        if client is None:
            return {"error": "unauthorized_client"}
        if query.get("response_type") != "code":
            return {"error": "unsupported_response_type"}
        challenge = query.get("code_challenge")
        if challenge is not None and query.get("code_challenge_method") != "S256":
            return {"error": "invalid_pkce_package"}
        if client.user_id is None:
            return {"error": "access_denied"}
        code = Code(client.id, client.user_id, redirect_uri, challenge)
        return {"code": self._authority.issue_code(code)}

    def _authorization_code(
        self, form: Mapping[str, str], authorization: str | None
    ) -> dict[str, Any]:
        verifier = form.get("code_verifier")
        public = verifier is not None and authorization is None
        client = self._public_client(form) if public else self._client(authorization)
        code = self._authority.codes.pop(form.get("code", ""), None)
        if code is None or code.client_id != client.id:
            raise self._grant_error("invalid_grant", "invalid authorization code")
        if code.redirect_uri != form.get("redirect_uri"):
            raise self._grant_error("invalid_grant", "redirect_uri does not match")
        self._check_verifier(code.challenge, verifier)
        refresh = self._authority.issue_refresh(Refresh(client.id, code.user_id, public))
        return self._answer(self._authority.issue_token(client, code.user_id), refresh)

    def _check_verifier(self, challenge: str | None, verifier: str | None) -> None:
        if challenge is None and verifier is None:
            return
        # A verifier without a challenge is a downgrade attempt (RFC 9700, 2.1.1).
        if challenge is None or verifier is None:
            raise self._grant_error("invalid_grant", "code_verifier and code_challenge differ")
        good = _VERIFIER.fullmatch(verifier) is not None
        if not good or not hmac.compare_digest(s256(verifier).encode(), challenge.encode()):
            raise self._grant_error("invalid_grant", "code_verifier is wrong")

    def _refresh_token(self, form: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        value = form.get("refresh_token", "")
        refresh = self._authority.refreshes.get(value)
        # RFC 6749, section 6: only a client with a secret has to show it.
        public = refresh is not None and refresh.public and authorization is None
        client = self._public_client(form) if public else self._client(authorization)
        if refresh is None or refresh.client_id != client.id:
            raise self._grant_error("invalid_grant", "invalid refresh token")
        if self._switches.refresh_rotates:
            del self._authority.refreshes[value]
            value = self._authority.issue_refresh(refresh)
        return self._answer(self._authority.issue_token(client, refresh.user_id), value)

    def _saml2_bearer(self, form: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        client = self._client(authorization)
        asserted = form.get("assertion", ""), form.get("orgName", "")
        user_id = self._authority.assertions.get(asserted)
        if user_id is None:
            raise self._grant_error("invalid_grant", "invalid assertion")
        refresh = None
        if self._switches.saml_refresh:
            refresh = self._authority.issue_refresh(Refresh(client.id, user_id))
        return self._answer(self._authority.issue_token(client, user_id), refresh)

    def _client(self, authorization: str | None) -> OAuthClient:
        client_id, secret = _basic(authorization)
        client = self._authority.clients.get(client_id)
        if client is None:
            raise self._client_error("client not found")
        if not hmac.compare_digest(client.secret.encode(), secret.encode()):
            raise self._client_error("authentication failed")
        return client

    def _public_client(self, form: Mapping[str, str]) -> OAuthClient:
        client = self._authority.clients.get(form.get("client_id", ""))
        if client is None:
            raise self._client_error("client not found")
        return client

    def _answer(self, token: AccessToken, refresh: str | None = None) -> dict[str, Any]:
        body: dict[str, Any] = {
            "access_token": token.value,
            "token_type": "bearer",
            "expires_in": int(self._authority.lifetime),
        }
        if refresh is not None:
            body["refresh_token"] = refresh
        return body

    def _grant_error(self, error: str, description: str) -> TokenError:
        return TokenError(self._switches.token_grant_error_status, error, description)

    def _client_error(self, description: str) -> TokenError:
        status = self._switches.token_client_error_status
        return TokenError(status, "invalid_client", description)


def _basic(authorization: str | None) -> tuple[str, str]:
    """Id and secret of a Basic header; empty strings for anything else."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    client_id, _, secret = text.partition(":")
    return client_id, secret
