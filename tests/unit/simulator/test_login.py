"""The login server: its rules, its grants, its authorize page."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yarl
from unit.simulator.lab import Lab, OpenLab

from presence_async.simulator import Switches
from presence_async.simulator.login import SAML2_BEARER
from presence_async.simulator.oauth import s256

REDIRECT = "https://app.test/back?keep=1"


async def authorize(lab: Lab, **query: str):
    """Ask the authorize page and return status and either query or error."""
    url = yarl.URL(f"{lab.sim.login_url}/oauth/authorize").with_query(query)
    async with lab.http.get(url, allow_redirects=False) as answer:
        if answer.status != 302:
            return answer.status, await answer.json()
        return 302, dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


@pytest.fixture
async def lab(open_lab: OpenLab):
    """A simulator with a client somebody is signed in at."""
    lab = await open_lab()
    lab.sim.add_client("web", "s", user_id=lab.user)
    return lab


async def test_authorize_redirects_with_code_and_state(lab: Lab):
    """The page answers at once with a code that can be redeemed."""
    status, query = await authorize(
        lab, response_type="code", client_id="web", redirect_uri=REDIRECT, state="s t"
    )
    assert (status, query["state"], query["keep"]) == (302, "s t", "1")
    form = {"grant_type": "authorization_code", "redirect_uri": REDIRECT, "code": query["code"]}
    assert (await lab.login(form, ("web", "s"))).status == 200


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_id": "nobody"}, "unauthorized_client"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": "x"}, "invalid_pkce_package"),
        ({"code_challenge": "x", "code_challenge_method": "plain"}, "invalid_pkce_package"),
        ({"client_id": "headless"}, "access_denied"),
    ],
)
async def test_authorize_errors_come_back_as_query(lab: Lab, change: dict[str, str], error: str):
    """Errors of the authorize step are query parameters of the redirect."""
    lab.sim.add_client("headless", "s")
    query = {"response_type": "code", "client_id": "web", "redirect_uri": "https://a.test"}
    assert await authorize(lab, **{**query, **change}) == (302, {"error": error})


async def test_authorize_redirects_nowhere_else(lab: Lab):
    """Without an address, or with one that is not registered, there is no redirect."""
    lab.sim.add_client("web", "s", user_id=lab.user, redirect_uri="https://app.test")
    for uri in ("", "https://evil.test"):
        status, body = await authorize(lab, response_type="code", client_id="web", redirect_uri=uri)
        assert (status, body["error"]) == (400, "invalid_request")


async def test_only_forms_are_read(lab: Lab):
    """JSON at the token endpoint is an `invalid_request`, as RFC 6749 (5.2) has it."""
    headers = {"Content-Type": "application/json"}
    url = f"{lab.sim.login_url}/oauth/token"
    async with lab.http.post(url, data=b"{}", headers=headers) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"] == "invalid_request"
        assert "ININ-Correlation-Id" in answer.headers


@pytest.mark.parametrize("body", [b"\xff", b"a=%ff", b"a=1&a=2", b"&".join([b"a=1"] * 60)])
async def test_malformed_forms(lab: Lab, body: bytes):
    """Bad encoding, fields given twice and floods of fields are a 400."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    url = f"{lab.sim.login_url}/oauth/token"
    async with lab.http.post(url, data=body, headers=headers) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"] == "invalid_request"


async def test_other_addresses(lab: Lab):
    """Unknown paths are 404, known ones with another method 405, bodies are limited."""
    for method, path, body, status in (
        ("GET", "/oauth/nope", None, 404),
        ("GET", "/oauth/token", None, 405),
        ("POST", "/oauth/token", b"x" * 512_001, 413),
    ):
        url = lab.sim.login_url + path
        async with lab.http.request(method, url, data=body) as answer:
            assert answer.status == status
            assert (await answer.json())["status"] == status


async def test_login_prefix(open_lab: OpenLab):
    """Behind a gateway prefix only prefixed addresses exist."""
    lab = await open_lab(login_path_prefix="/gate/login/", users=1)
    assert lab.sim.login_url.endswith("/gate/login")
    assert (await lab.login({"grant_type": "client_credentials"})).status == 200
    bare = lab.sim.login_url.removesuffix("/gate/login")
    async with lab.http.post(f"{bare}/oauth/token", data={}) as answer:
        assert answer.status == 404
    assert lab.sim.token_requests == 1


@pytest.mark.parametrize("uri", ["http://x/%0d%0aA:b", "http://x/%00"])
async def test_redirects_cannot_be_split(open_lab: OpenLab, uri: str):
    """An address with control characters is refused instead of sent."""
    lab = await open_lab()
    target = f"/oauth/authorize?client_id={lab.sim.client_id}&redirect_uri={uri}"
    url = yarl.URL(lab.sim.login_url + target, encoded=True)
    async with lab.http.get(url, allow_redirects=False) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"] == "invalid_request"


VERIFIER = "v" * 43
GRANT_REDIRECT = "https://app.test/back"
SYSTEM = "/api/v2/systempresences"


def code_form(code: str, **more: Any):
    """Return the form of an authorization code grant."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": GRANT_REDIRECT,
        **more,
    }


async def test_client_credentials(open_lab: OpenLab):
    """The grant answers a token that works, without refresh token and without a user."""
    lab = await open_lab(token_lifetime=300)
    reply = await lab.login({"grant_type": "client_credentials"})
    assert reply.status == 200
    assert set(reply.json) == {"access_token", "token_type", "expires_in"}
    assert (reply.json["token_type"], reply.json["expires_in"]) == ("bearer", 300)
    token = reply.json["access_token"]
    assert (await lab.call("GET", SYSTEM, token=token)).status == 200
    me = await lab.call("GET", "/api/v2/users/me", token=token)
    assert (me.status, me.code) == (400, "not.a.user")
    lab.loop.advance(301)
    assert (await lab.call("GET", SYSTEM, token=token)).code == "bad.credentials"


@pytest.mark.parametrize(
    ("basic", "description"),
    [
        (("nobody", "x"), "client not found"),
        (None, "client not found"),
        (("", ""), "authentication failed"),
    ],
)
async def test_client_trouble(open_lab: OpenLab, basic: tuple[str, str] | None, description: str):
    """An unknown client and a wrong secret are told apart by their description only."""
    lab = await open_lab()
    if basic == ("", ""):
        basic = (lab.sim.client_id, "wrong")
    reply = await lab.login({"grant_type": "client_credentials"}, basic)
    assert reply.status == 401
    assert reply.json == {
        "error": "invalid_client",
        "description": description,
        "error_description": description,
    }


@pytest.mark.parametrize("header", ["Basic ???", "Basic /w==", "Bearer abc"])
async def test_malformed_basic_header(open_lab: OpenLab, header: str):
    """A header that cannot be read names no client."""
    lab = await open_lab()
    reply = await lab.login(
        {"grant_type": "client_credentials"}, None, headers={"Authorization": header}
    )
    assert reply.json["error"] == "invalid_client"


async def test_status_switches(open_lab: OpenLab):
    """The statuses of token errors are switches."""
    switches = Switches(token_client_error_status=400, token_grant_error_status=401)
    lab = await open_lab(switches=switches)
    assert (await lab.login({"grant_type": "client_credentials"}, ("x", "y"))).status == 400
    assert (await lab.login({"grant_type": "password"})).status == 401


async def test_unknown_grant(open_lab: OpenLab):
    """Grants the vendor does not offer are refused by name."""
    lab = await open_lab()
    for form in ({"grant_type": "password"}, {"x": "y"}):
        reply = await lab.login(form)
        assert (reply.status, reply.json["error"]) == (400, "unsupported_grant_type")


async def test_authorization_code(open_lab: OpenLab):
    """A code gives a token with its user and a refresh token, once."""
    lab = await open_lab()
    code = lab.sim.issue_code(lab.sim.client_id, lab.user, GRANT_REDIRECT)
    reply = await lab.login(code_form(code))
    assert reply.status == 200
    assert "refresh_token" in reply.json
    me = await lab.call("GET", "/api/v2/users/me", token=reply.json["access_token"])
    assert me.json["id"] == lab.user
    again = await lab.login(code_form(code))
    assert (again.status, again.json["error"]) == (400, "invalid_grant")


async def test_code_must_fit(open_lab: OpenLab):
    """Another client or another redirect address cannot redeem a code."""
    lab = await open_lab()
    lab.sim.add_client("other", "secret")
    code = lab.sim.issue_code(lab.sim.client_id, lab.user, GRANT_REDIRECT)
    reply = await lab.login(code_form(code), ("other", "secret"))
    assert reply.json["error"] == "invalid_grant"
    code = lab.sim.issue_code(lab.sim.client_id, lab.user, "https://elsewhere.test")
    assert (await lab.login(code_form(code))).json["error"] == "invalid_grant"


async def test_pkce(open_lab: OpenLab):
    """With a verifier no secret is needed."""
    lab = await open_lab()
    code = lab.sim.issue_code(lab.sim.client_id, lab.user, GRANT_REDIRECT, s256(VERIFIER))
    form = code_form(code, code_verifier=VERIFIER, client_id=lab.sim.client_id)
    reply = await lab.login(form, None)
    assert reply.status == 200


@pytest.mark.parametrize(
    ("challenge", "verifier"),
    [
        (s256(VERIFIER), "w" * 43),
        (s256("short"), "short"),
        (s256("é" * 43), "é" * 43),
        (None, VERIFIER),
        ("é", VERIFIER),
    ],
)
async def test_pkce_mismatch(open_lab: OpenLab, challenge: str | None, verifier: str):
    """A wrong, malformed or uncalled-for verifier spoils the grant."""
    lab = await open_lab()
    code = lab.sim.issue_code(lab.sim.client_id, lab.user, GRANT_REDIRECT, challenge)
    form = code_form(code, code_verifier=verifier, client_id=lab.sim.client_id)
    reply = await lab.login(form, None)
    assert (reply.status, reply.json["error"]) == (400, "invalid_grant")


async def test_pkce_without_verifier_or_client(open_lab: OpenLab):
    """A challenge needs its verifier even from a client with a secret, which must exist."""
    lab = await open_lab()
    code = lab.sim.issue_code(lab.sim.client_id, lab.user, GRANT_REDIRECT, s256(VERIFIER))
    assert (await lab.login(code_form(code))).json["error"] == "invalid_grant"
    reply = await lab.login(code_form("x", code_verifier=VERIFIER, client_id="no"), None)
    assert (reply.status, reply.json["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("rotates", [True, False])
async def test_refresh(open_lab: OpenLab, *, rotates: bool):
    """A refresh keeps the user; the old refresh token dies if the switch says so."""
    lab = await open_lab(switches=Switches(refresh_rotates=rotates))
    code = lab.sim.issue_code(lab.sim.client_id, lab.user, GRANT_REDIRECT)
    old = (await lab.login(code_form(code))).json["refresh_token"]
    reply = await lab.login({"grant_type": "refresh_token", "refresh_token": old})
    assert (reply.json["refresh_token"] != old) is rotates
    me = await lab.call("GET", "/api/v2/users/me", token=reply.json["access_token"])
    assert me.json["id"] == lab.user
    again = await lab.login({"grant_type": "refresh_token", "refresh_token": old})
    assert again.status == (400 if rotates else 200)


async def test_refresh_of_another_client(open_lab: OpenLab):
    """A refresh token belongs to its client."""
    lab = await open_lab()
    lab.sim.add_client("other", "secret")
    code = lab.sim.issue_code(lab.sim.client_id, lab.user, GRANT_REDIRECT)
    value = (await lab.login(code_form(code))).json["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": value}
    assert (await lab.login(form, ("other", "secret"))).json["error"] == "invalid_grant"


@pytest.mark.parametrize("refresh", [True, False])
async def test_saml2_bearer(open_lab: OpenLab, *, refresh: bool):
    """An accepted assertion gives a user token, a refresh token only by switch."""
    lab = await open_lab(switches=Switches(saml_refresh=refresh))
    lab.sim.add_assertion("signed", "acme", lab.user)
    form = {"grant_type": SAML2_BEARER, "assertion": "signed", "orgName": "acme"}
    reply = await lab.login(form)
    assert reply.status == 200
    assert ("refresh_token" in reply.json) is refresh
    wrong = await lab.login({**form, "orgName": "other"})
    assert (wrong.status, wrong.json["error"]) == (400, "invalid_grant")
