"""The grants of `POST /oauth/token` and the authorize step in front of two of them."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from presence_async.simulator.oauth import Code, OAuthClient, Refresh, TokenError, s256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from presence_async.simulator.oauth import AccessToken, Authority

SAML2_BEARER = "urn:ietf:params:oauth:grant-type:saml2-bearer"
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


class Grants:
    """Answers token requests.

    Args:
        authority: Clients, codes and tokens.
    """

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._switches = authority.switches

    def token(self, form: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        """Return the body of a successful token answer.

        Args:
            form: The form fields.
            authorization: The `Authorization` header.

        Raises:
            TokenError: For whatever is wrong with the client or the grant.
        """
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
        """Return the address the authorize page redirects to, with a code or an error.

        Raises:
            TokenError: When there is no address to redirect to, or not the registered one.
        """
        redirect_uri = query.get("redirect_uri", "")
        client = self._authority.client(query.get("client_id", ""))
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
        code = self._authority.redeem_code(form.get("code", ""))
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
        refresh = self._authority.refresh(value)
        # RFC 6749, section 6: only a client with a secret has to show it.
        public = refresh is not None and refresh.public and authorization is None
        client = self._public_client(form) if public else self._client(authorization)
        if refresh is None or refresh.client_id != client.id:
            raise self._grant_error("invalid_grant", "invalid refresh token")
        if self._switches.refresh_rotates:
            self._authority.drop_refresh(value)
            value = self._authority.issue_refresh(refresh)
        return self._answer(self._authority.issue_token(client, refresh.user_id), value)

    def _saml2_bearer(self, form: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        client = self._client(authorization)
        assertion, org_name = form.get("assertion", ""), form.get("orgName", "")
        user_id = self._authority.asserted_user(assertion, org_name)
        if user_id is None:
            raise self._grant_error("invalid_grant", "invalid assertion")
        refresh = None
        if self._switches.saml_refresh:
            refresh = self._authority.issue_refresh(Refresh(client.id, user_id))
        return self._answer(self._authority.issue_token(client, user_id), refresh)

    def _client(self, authorization: str | None) -> OAuthClient:
        client_id, secret = _basic(authorization)
        client = self._authority.client(client_id)
        if client is None:
            raise self._client_error("client not found")
        if not hmac.compare_digest(client.secret.encode(), secret.encode()):
            raise self._client_error("authentication failed")
        return client

    def _public_client(self, form: Mapping[str, str]) -> OAuthClient:
        client = self._authority.client(form.get("client_id", ""))
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
    """Return id and secret of a Basic header; empty strings for anything else."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    client_id, _, secret = text.partition(":")
    return client_id, secret
