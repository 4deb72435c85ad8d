"""The grants of the vendor's SDK: section 2 of the reference."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson
import pytest
import urllib3
from contract.vendor import SDK, ApiException, Bench, built_in

from presence_async.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

APP, SECRET, BACK = "app", "app-secret", "https://app.example/back"
TEMPLATE = "/api/v2/users/{userId}/presences/purecloud"


def form(bench: Bench) -> dict[str, str]:
    """The fields of the last token request."""
    sent = bench.sim.requests[-1]
    assert (sent.method, sent.path_template) == ("POST", "/oauth/token")
    assert sent.headers["Content-Type"] == "application/x-www-form-urlencoded"
    return {name: values[0] for name, values in parse_qs(sent.body.decode()).items()}


def authorized(bench: Bench, **options: str) -> str:
    """The code that the authorize page sends back, by a browser's way."""
    query = {"client_id": APP, "response_type": "code", "redirect_uri": BACK, **options}
    url = f"{bench.sim.login_url}/oauth/authorize?{urlencode(query)}"
    with urllib3.PoolManager() as browser:
        location = browser.request("GET", url, redirect=False).headers["Location"]
    assert location.startswith(BACK)
    return parse_qs(urlsplit(location).query)["code"][0]


@pytest.fixture
def app(bench: Bench) -> Bench:
    """A bench with an app that the first user signs in to."""
    bench.sim.add_client(APP, SECRET, user_id=bench.user, redirect_uri=BACK)
    return bench


def whoami(client: object) -> str:
    """Whose token a client holds."""
    return SDK.UsersApi(client).get_users_me().id


def test_client_credentials(bench: Bench):
    """The SDK's first call of all; the token it gets opens the API."""
    client = bench.new_client()
    assert client.get_client_credentials_token(bench.sim.client_id, bench.sim.client_secret)
    assert form(bench) == {"grant_type": "client_credentials"}
    assert bench.last.headers["Authorization"] == "Basic ***"
    assert SDK.PresenceApi(client).get_presence_settings().self_uri


@pytest.mark.parametrize(
    ("credentials", "description"),
    [(("nobody", "secret"), "client not found"), ((None, "wrong"), "authentication failed")],
)
def test_client_credentials_refused(
    bench: Bench, credentials: tuple[str | None, str], description: str
):
    """Both recorded refusals, in the body the login server has of its own."""
    client_id, secret = credentials
    with pytest.raises(ApiException) as caught:
        bench.new_client().get_client_credentials_token(client_id or bench.sim.client_id, secret)
    assert caught.value.status == 401
    assert orjson.loads(caught.value.body) == {
        "error": "invalid_client",
        "description": description,
        "error_description": description,
    }


def test_authorization_code(app: Bench):
    """A code from the authorize page becomes a token of its user."""
    client = app.new_client()
    same, answer = client.get_code_authorization_token(APP, SECRET, authorized(app), BACK)
    assert same is client
    assert set(form(app)) == {"grant_type", "code", "redirect_uri"}
    assert answer["token_type"].lower() == "bearer"
    assert answer["expires_in"] == 86400
    assert client.refresh_token == answer["refresh_token"]
    assert whoami(client) == app.user


def test_authorization_code_is_good_once(app: Bench):
    """A code is redeemed once, and only with the address it was sent to."""
    code = authorized(app)
    app.new_client().get_code_authorization_token(APP, SECRET, code, BACK)
    for spoilt, address in ((code, BACK), (authorized(app), "https://evil.example")):
        with pytest.raises(ApiException) as caught:
            app.new_client().get_code_authorization_token(APP, SECRET, spoilt, address)
        assert caught.value.status == 400
        assert orjson.loads(caught.value.body)["error"] == "invalid_grant"


def test_pkce(app: Bench):
    """With the SDK's own verifier and challenge, and without a secret."""
    client = app.new_client()
    verifier = client.generate_pkce_code_verifier(128)
    challenge = client.compute_pkce_code_challenge(verifier)
    code = authorized(app, code_challenge=challenge, code_challenge_method="S256")
    _, answer = client.get_pkce_token(APP, verifier, code, BACK)
    assert "Authorization" not in app.last.headers
    assert form(app)["client_id"] == APP
    assert answer["refresh_token"]
    assert whoami(client) == app.user


def test_pkce_with_another_verifier(app: Bench):
    """A verifier that does not fit is refused."""
    client = app.new_client()
    challenge = client.compute_pkce_code_challenge("a" * 43)
    code = authorized(app, code_challenge=challenge, code_challenge_method="S256")
    with pytest.raises(ApiException) as caught:
        client.get_pkce_token(APP, "b" * 43, code, BACK)
    assert orjson.loads(caught.value.body)["error"] == "invalid_grant"


def test_refresh_on_401(app: Bench):
    """A 401 makes the SDK refresh once and send the call again; the refresh token rotates."""
    client = app.new_client()
    _, first = client.get_code_authorization_token(APP, SECRET, authorized(app), BACK)
    app.sim.revoke_tokens()
    body = SDK.UserPresence()
    body.presence_definition = SDK.PresenceDefinition()
    body.presence_definition.id = built_in("Busy")
    changed = SDK.PresenceApi(client).patch_user_presences_purecloud(app.user, body)
    assert changed.presence_definition.system_presence == "Busy"
    refused, refresh, replayed = list(app.sim.requests)[-3:]
    assert (refused.status, refresh.path_template, replayed.status) == (401, "/oauth/token", 200)
    assert refused.body == replayed.body
    assert client.access_token != first["access_token"]
    assert client.refresh_token != first["refresh_token"]


def test_refresh_by_hand(app: Bench):
    """A used refresh token is dead once it has been rotated."""
    client = app.new_client()
    _, first = client.get_code_authorization_token(APP, SECRET, authorized(app), BACK)
    _, second = client.refresh_code_authorization_token(APP, SECRET, first["refresh_token"])
    assert second["access_token"] == client.access_token
    assert form(app) == {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    with pytest.raises(ApiException) as caught:
        client.refresh_code_authorization_token(APP, SECRET, first["refresh_token"])
    assert orjson.loads(caught.value.body)["error"] == "invalid_grant"


def test_dead_token_without_a_refresh_token(bench: Bench):
    """Client credentials have none, so the 401 reaches the caller."""
    bench.sim.revoke_tokens()
    with pytest.raises(ApiException) as caught:
        bench.presence.get_presence_settings()
    assert orjson.loads(caught.value.body)["code"] == "bad.credentials"


def test_saml2_bearer(bench: Bench):
    """An assertion of an organization becomes a token of its user."""
    assertion = base64.b64encode(b"<saml:Assertion/>").decode()
    bench.sim.add_assertion(assertion, "acme", bench.user)
    client = bench.new_client()
    bench_id, secret = bench.sim.client_id, bench.sim.client_secret
    client.get_saml2bearer_token(bench_id, secret, "acme", assertion)
    assert form(bench) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:saml2-bearer",
        "orgName": "acme",
        "assertion": assertion,
    }
    assert whoami(client) == bench.user
    with pytest.raises(ApiException) as caught:
        client.get_saml2bearer_token(bench_id, secret, "umbrella", assertion)
    assert orjson.loads(caught.value.body)["error"] == "invalid_grant"


def test_gateway(open_bench: Callable[..., Bench]):
    """The SDK's gateway: one host and port, a prefix for the API and one for login."""
    bench = open_bench(path_prefix="/genesys/api", login_path_prefix="/genesys/login")
    address = urlsplit(bench.sim.base_url)
    client = SDK.ApiClient()  # by itself it would go to the vendor's first region
    client.set_gateway(address.hostname, "http", address.port, "genesys/login/", "/genesys/api")
    client.get_client_credentials_token(bench.sim.client_id, bench.sim.client_secret)
    assert bench.last.target == "/genesys/login/oauth/token"
    found = SDK.PresenceApi(client).get_user_presences_purecloud(bench.user)
    assert found.presence_definition.system_presence == "Available"
    assert bench.last.target.startswith("/genesys/api/api/v2/users/")


@pytest.mark.parametrize("status", [413, 429, 503])
def test_retry_after(bench: Bench, status: int):
    """The SDK sends every method again, at once here, when an answer names a Retry-After."""
    route = f"PATCH {TEMPLATE}"
    bench.sim.faults.add(Fault(route=route, status=status, retry_after=0, times=2))
    body = SDK.UserPresence()
    body.message = "Back soon"
    assert bench.presence.patch_user_presences_purecloud(bench.user, body).message == body.message
    assert bench.sim.count(route) == 3
