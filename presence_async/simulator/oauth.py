"""OAuth clients, tokens and codes of the login server. No HTTP here.

The grants are those of the vendor's Python SDK 269.0.0.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import attrs

from presence_async.simulator.errors import ApiError
from presence_async.simulator.identity import secret_for
from presence_async.simulator.services import ALL_PERMISSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from presence_async.simulator.switches import Switches


@attrs.frozen
class OAuthClient:
    """A registered OAuth client.

    Of `user_id`, `redirect_uri` and `divisions` None means: nobody signs in, any address, all.
    """

    id: str
    secret: str = attrs.field(repr=False)
    permissions: frozenset[str] = ALL_PERMISSIONS
    user_id: str | None = None
    redirect_uri: str | None = None
    divisions: frozenset[str] | None = None


@attrs.define
class AccessToken:
    """An access token; `label` names it where the value must not appear."""

    value: str = attrs.field(repr=False)
    label: str
    client_id: str
    user_id: str | None
    permissions: frozenset[str]
    divisions: frozenset[str] | None
    expires_at: float
    revoked: bool = False

    @property
    def owner(self) -> tuple[str, str | None]:
        """Application and user, which tokens and channels are counted by."""
        return self.client_id, self.user_id

    def alive(self, now: float) -> bool:
        """Whether the token is neither revoked nor expired."""
        return not self.revoked and now < self.expires_at


@attrs.frozen
class Code:
    """An authorization code waiting to be redeemed."""

    client_id: str
    user_id: str
    redirect_uri: str
    challenge: str | None


@attrs.frozen
class Refresh:
    """What a refresh token stands for."""

    client_id: str
    user_id: str
    public: bool = False  # from a PKCE login: its client has no secret to show


# So many of the last tokens are remembered dead or alive.
TOKENS_KEPT = 1000


class Authority:
    """Who may do what, and until when.

    Attributes:
        clients: The OAuth clients by id.
        codes: What codes and refresh tokens stand for.
        refreshes: Likewise.
        assertions: The user of each accepted SAML2 assertion and organization.
    """

    def __init__(
        self, seed: int, lifetime: float, switches: Switches, clock: Callable[[], float]
    ) -> None:
        self.lifetime = lifetime
        self.switches = switches
        self._seed = seed
        self._clock = clock
        self._issued = 0
        self.clients: dict[str, OAuthClient] = {}
        self._tokens: dict[str, AccessToken] = {}
        self._live: dict[tuple[str, str | None], list[AccessToken]] = {}
        self.codes: dict[str, Code] = {}
        self.refreshes: dict[str, Refresh] = {}
        self.assertions: dict[tuple[str, str], str] = {}

    def issue_token(
        self,
        client: OAuthClient,
        user_id: str | None = None,
        permissions: Iterable[str] | None = None,
        lifetime: float | None = None,
    ) -> AccessToken:
        """A new token, by default with the permissions of its client."""
        self._issued += 1
        token = AccessToken(
            value=secret_for(self._seed, "token", self._issued),
            label=f"token-{self._issued}",
            client_id=client.id,
            user_id=user_id,
            permissions=client.permissions if permissions is None else frozenset(permissions),
            divisions=client.divisions,
            expires_at=self._clock() + (self.lifetime if lifetime is None else lifetime),
        )
        self._tokens[token.value] = token
        if len(self._tokens) % TOKENS_KEPT == 0:
            self._forget_dead()
        self._enforce_token_limit(token)
        return token

    def issue_code(self, code: Code) -> str:
        """A new single-use authorization code."""
        self._issued += 1
        value = secret_for(self._seed, "code", self._issued)
        self.codes[value] = code
        return value

    def issue_refresh(self, refresh: Refresh) -> str:
        """A new refresh token."""
        self._issued += 1
        value = secret_for(self._seed, "refresh", self._issued)
        self.refreshes[value] = refresh
        return value

    def revoke_tokens(self) -> None:
        """Make every access token worthless; refresh tokens live on."""
        for token in self._tokens.values():
            token.revoked = True

    def find(self, authorization: str | None) -> AccessToken | None:
        """The token of an `Authorization` header, dead or alive, or None."""
        if authorization is None:
            return None
        scheme, _, value = authorization.partition(" ")
        return self._tokens.get(value.strip()) if scheme.lower() == "bearer" else None

    def check(self, token: AccessToken | None, authorization: str | None) -> AccessToken:
        """The token of a request if it is good; ApiError 401 otherwise."""
        if authorization is None or not authorization.lower().startswith("bearer "):
            raise ApiError(401, "authentication.required", "No authentication bearer token.")
        if token is None or not token.alive(self._clock()):
            raise ApiError(401, "bad.credentials", "Invalid login credentials.")
        return token

    def _forget_dead(self) -> None:
        """Drop the dead tokens, but for the last ones: their labels are still wanted."""
        now, tokens = self._clock(), list(self._tokens.values())
        old = [token for token in tokens[:-TOKENS_KEPT] if token.alive(now)]
        self._tokens = {token.value: token for token in old + tokens[-TOKENS_KEPT:]}

    def _enforce_token_limit(self, token: AccessToken) -> None:
        limit = self.switches.token_limit
        if limit is None:
            return
        owner, now = token.owner, self._clock()
        live = [one for one in self._live.get(owner, ()) if one.alive(now)]
        if len(live) >= limit:
            live.pop(0).revoked = True
        self._live[owner] = [*live, token]


def s256(verifier: str) -> str:
    """The PKCE challenge of a verifier (RFC 7636, method S256)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
