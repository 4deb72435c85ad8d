"""Clients, tokens and codes."""

from typing import Any

import pytest

from presence_async.simulator.errors import ApiError
from presence_async.simulator.oauth import (
    TOKENS_KEPT,
    Authority,
    OAuthClient,
    Refresh,
    s256,
)
from presence_async.simulator.switches import Switches

NOW = [0.0]
CLIENT = OAuthClient("c", "canary", frozenset({"a"}))


def authority(**switches: Any):
    """Return an authority at time zero."""
    NOW[0] = 0.0
    return Authority(0, 100, Switches(**switches), lambda: NOW[0])


def refusal(store: Authority, header: str | None):
    """Return the code with which a header is refused."""
    with pytest.raises(ApiError) as caught:
        store.check(store.find(header), header)
    assert caught.value.status == 401
    return caught.value.code


def test_secrets_stay_out_of_reprs():
    """Neither a client nor a token shows its secret."""
    token = authority().issue_token(CLIENT)
    assert "canary" not in repr(CLIENT)
    assert token.value not in repr(token)


def test_tokens_expire_by_the_clock():
    """A token is good until its lifetime has passed."""
    store = authority()
    header = f"Bearer {store.issue_token(CLIENT).value}"
    NOW[0] = 99.9
    token = store.check(store.find(header), header)
    assert (token.permissions, token.label) == ({"a"}, "token-1")
    NOW[0] = 100.0
    assert refusal(store, header) == "bad.credentials"


def test_own_lifetime_and_permissions():
    """A token may live shorter and do less than its client."""
    token = authority().issue_token(CLIENT, permissions=[], lifetime=5)
    assert (token.permissions, token.expires_at) == (frozenset(), 5.0)


def test_bad_headers():
    """No bearer token and a token nobody knows have different codes."""
    store = authority()
    assert refusal(store, None) == "authentication.required"
    assert refusal(store, "Basic abc") == "authentication.required"
    assert refusal(store, "Bearer abc") == "bad.credentials"


def test_revoking():
    """All tokens die at once, refresh tokens live on."""
    store = authority()
    header = f"Bearer {store.issue_token(CLIENT).value}"
    refresh = store.issue_refresh(Refresh("c", "u"))
    store.revoke_tokens()
    assert refusal(store, header) == "bad.credentials"
    assert store.refreshes[refresh] == Refresh("c", "u")


def test_token_limit():
    """By switch one token too many kills the oldest of the same client and user."""
    store = authority(token_limit=2)
    tokens = [store.issue_token(CLIENT, "u") for _ in range(3)]
    store.issue_token(CLIENT, "other")
    assert [token.revoked for token in tokens] == [True, False, False]


def test_dead_tokens_do_not_count():
    """Expired and revoked tokens leave room: the limit is one of tokens that live."""
    store = authority(token_limit=2)
    long = store.issue_token(CLIENT, "u")
    store.issue_token(CLIENT, "u", lifetime=5)
    NOW[0] = 5.0
    after_expiry = store.issue_token(CLIENT, "u")
    assert (long.revoked, after_expiry.revoked) == (False, False)
    store.revoke_tokens()
    fresh = [store.issue_token(CLIENT, "u") for _ in range(3)]
    assert [token.revoked for token in fresh] == [True, False, False]


def test_token_limit_is_per_user_and_client():
    """Tokens of another user, another client or of no user at all do not crowd each other."""
    store = authority(token_limit=1)
    other = OAuthClient("other", "canary")
    owners = [(CLIENT, "u"), (CLIENT, "v"), (CLIENT, None), (other, "u"), (other, None)]
    tokens = [store.issue_token(client, user) for client, user in owners]
    assert [token.revoked for token in tokens] == [False] * 5
    header = f"Bearer {tokens[0].value}"
    store.issue_token(CLIENT, "u")
    assert refusal(store, header) == "bad.credentials"
    assert [token.revoked for token in tokens] == [True, *[False] * 4]


def test_challenge():
    """The S256 challenge is the one of RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert s256(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_dead_tokens_go():
    """Of dead tokens only the last are remembered; living ones all are."""
    store = authority()
    living = store.issue_token(CLIENT, lifetime=1e9)
    for _ in range(5 * TOKENS_KEPT):
        last = store.issue_token(CLIENT, lifetime=0)
    assert len(store._tokens) <= 2 * TOKENS_KEPT
    assert store.find(f"Bearer {living.value}") is living
    assert store.find(f"Bearer {last.value}") is last
