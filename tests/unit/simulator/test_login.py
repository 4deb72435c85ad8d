"""The login server's own rules: form encoding, authorize page, addresses."""

from urllib.parse import parse_qsl, urlsplit

import pytest
import yarl
from unit.simulator.lab import Lab, OpenLab

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
