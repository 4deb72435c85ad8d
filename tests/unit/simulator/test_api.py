"""The order of checks, and the limits."""

import pytest
from unit.simulator.lab import OpenLab

from presence_async.simulator import Switches
from presence_async.simulator.api import (
    DAY,
    PER_USER,
    WINDOWS_SWEPT,
    Hold,
    RateLimiter,
    Window,
    WindowKind,
)
from presence_async.simulator.errors import ApiError

SYSTEM = "/api/v2/systempresences"
SOURCES = "/api/v2/presence/sources"


async def test_tokens_are_required(open_lab: OpenLab):
    """Without a good token everything is a 401, unknown paths included."""
    lab = await open_lab()
    for target in (SYSTEM, "/nope"):
        reply = await lab.call("GET", target, token=None)
        assert (reply.status, reply.code) == (401, "authentication.required")
    reply = await lab.call("GET", SYSTEM, token="canary")
    assert (reply.status, reply.code) == (401, "bad.credentials")


async def test_unknown_paths_and_methods(open_lab: OpenLab):
    """Both have an error body, and a 405 names the methods there are."""
    lab = await open_lab()
    reply = await lab.call("GET", "/api/v2/nope")
    assert (reply.status, reply.code) == (404, "not.found")
    reply = await lab.call("PUT", SYSTEM, json={})
    assert (reply.status, reply.code) == (405, "method.not.allowed")
    assert reply.headers["Allow"] == "GET"
    assert (await lab.call("HEAD", SYSTEM)).status == 405


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded"])
async def test_bodies_must_be_declared_as_json(open_lab: OpenLab, content_type: str):
    """Another content type is a 415, whatever the body."""
    lab = await open_lab()
    headers = {"Content-Type": content_type}
    reply = await lab.call("POST", SOURCES, json={"name": "x"}, headers=headers)
    assert (reply.status, reply.code) == (415, "unsupported.media.type")


async def test_json_with_parameters(open_lab: OpenLab):
    """Parameters and case of the content type do not matter."""
    lab = await open_lab()
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    reply = await lab.call("POST", SOURCES, json={"name": "x"}, headers=headers)
    assert reply.status == 200


async def test_malformed_path_values(open_lab: OpenLab):
    """An id that cannot be decoded is a 400."""
    lab = await open_lab()
    reply = await lab.call("GET", "/api/v2/users/%zz/presences/purecloud")
    assert (reply.status, reply.code) == (400, "bad.request")


@pytest.mark.parametrize("window", ["rolling", "fixed"])
async def test_requests_per_minute(open_lab: OpenLab, window: str):
    """One token has its limit, refused requests do not count, and the wait is honest."""
    lab = await open_lab(rate_limit=3, rate_window=window)
    other = lab.sim.issue_token()
    lab.loop.advance(60 - lab.loop.time() % 60 + 10)
    for _ in range(3):
        assert (await lab.call("GET", SYSTEM)).status == 200
    reply = await lab.call("GET", SYSTEM)
    assert (reply.status, reply.code) == (429, "too.many.requests.retry.after")
    assert reply.json["limit"]["key"] == "client.credentials.token.rate.per.minute"
    assert not [name for name in reply.headers if "ratelimit" in name.lower()]
    wait = int(reply.headers["Retry-After"])
    assert wait == (60 if window == "rolling" else 50)
    assert (await lab.call("GET", SYSTEM, token=other)).status == 200
    lab.loop.advance(wait - 1.5)
    assert (await lab.call("GET", SYSTEM)).status == 429
    lab.loop.advance(1.5)
    assert (await lab.call("GET", SYSTEM)).status == 200


@pytest.mark.parametrize(("window", "wait"), [("rolling", 86400), ("fixed", 82800)])
async def test_requests_per_day(open_lab: OpenLab, window: str, wait: int):
    """One token has its limit, with or without one per minute; the wait is hours and honest."""
    for rate_limit in (300, None):
        lab = await open_lab(day_limit=2, rate_window=window, rate_limit=rate_limit)
        lab.loop.advance(86400 - lab.loop.time() % 86400 + 3600)
        token, other = lab.sim.issue_token(lifetime=1e6), lab.sim.issue_token(lifetime=1e6)
        for _ in range(2):
            assert (await lab.call("GET", SYSTEM, token=token)).status == 200
        reply = await lab.call("GET", SYSTEM, token=token)
        assert (reply.status, reply.code) == (429, "too.many.requests.retry.after")
        limit = {"key": "token.rate.per.day", "namespace": "presence", "value": 2}
        assert reply.json["limit"] == limit
        assert reply.headers["Retry-After"] == str(wait)
        assert (await lab.call("GET", SYSTEM, token=other)).status == 200
        lab.loop.advance(wait - 1)
        assert (await lab.call("GET", SYSTEM, token=token)).status == 429
        lab.loop.advance(1)
        assert (await lab.call("GET", SYSTEM, token=token)).status == 200


async def test_the_smallest_error_body(open_lab: OpenLab):
    """By switch an error has message, code and status, and the correlation id in its header."""
    lab = await open_lab(switches=Switches(error_body="smallest"))
    reply = await lab.call("GET", "/api/v2/users/nobody/presences/purecloud")
    assert set(reply.json) == {"message", "code", "status"}
    assert (reply.json["code"], reply.json["status"]) == ("not.found", reply.status)
    assert reply.headers["ININ-Correlation-Id"]


async def test_limits_of_users(open_lab: OpenLab):
    """Tokens of one user share the limit of client and user."""
    lab = await open_lab(rate_limit=3, switches=Switches(org_app_user_rate_limit=4))
    first, second = (lab.sim.issue_token(user_id=lab.user) for _ in range(2))
    for token in (first, first, second, second):
        assert (await lab.call("GET", SYSTEM, token=token)).status == 200
    reply = await lab.call("GET", SYSTEM, token=second)
    assert reply.json["limit"]["key"] == "org.app.user.rate.per.minute"


async def test_limits_of_users_are_their_own(open_lab: OpenLab):
    """Another user, and the same user through another client, have limits of their own."""
    lab = await open_lab(switches=Switches(org_app_user_rate_limit=2))
    lab.sim.add_client("other", "s")
    other = lab.sim.user_ids[1]
    for client, user in ((None, lab.user), (None, other), ("other", lab.user)):
        token = lab.sim.issue_token(client, user)
        statuses = [(await lab.call("GET", SYSTEM, token=token)).status for _ in range(3)]
        assert statuses == [200, 200, 429]


async def test_limit_of_a_user_in_all(open_lab: OpenLab, monkeypatch: pytest.MonkeyPatch):
    """All tokens of a user together have 3000 requests a minute, whatever the clients."""
    assert PER_USER == 3000
    monkeypatch.setattr("presence_async.simulator.api.PER_USER", 30)
    lab = await open_lab(rate_limit=10_000, switches=Switches(org_app_user_rate_limit=10_000))
    lab.sim.add_client("other", "s")
    tokens = [lab.sim.issue_token(client, lab.user) for client in (None, "other")]
    for number in range(30):
        assert (await lab.call("GET", SYSTEM, token=tokens[number % 2])).status == 200
    reply = await lab.call("GET", SYSTEM, token=tokens[0])
    assert (reply.status, reply.json["limit"]["key"]) == (429, "org.user.rate.per.minute")


async def test_limits_off(open_lab: OpenLab):
    """Without a rate limit nothing is counted, not even per user."""
    lab = await open_lab(rate_limit=None, switches=Switches(org_app_user_rate_limit=0))
    token = lab.sim.issue_token(user_id=lab.user)
    assert (await lab.call("GET", SYSTEM, token=token)).status == 200


async def test_prefix(open_lab: OpenLab):
    """Behind a gateway prefix only prefixed addresses exist; links stay as they are."""
    lab = await open_lab(path_prefix="/gate/api/")
    assert lab.sim.base_url.endswith("/gate/api")
    target = f"/api/v2/users/{lab.user}/presences/purecloud"
    reply = await lab.call("GET", target)
    assert reply.json["selfUri"].startswith("/api/v2/users/")
    assert (await lab.call("PUT", SYSTEM, json={})).status == 405
    bare = lab.sim.base_url.removesuffix("/gate/api")
    headers = {"Authorization": f"Bearer {lab.token}"}
    async with lab.http.get(bare + target, headers=headers) as answer:
        assert answer.status == 404


class Clock:
    """A clock set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_rolling_window_looks_back_sixty_seconds():
    """A slot comes free exactly 60 s after the request that took it."""
    window = Window("rolling")
    for now in (0.0, 10.0):
        assert window.wait(now, 2) == 0
        window.admit(now)
    assert window.wait(30.0, 2) == 30.0
    assert window.wait(59.999, 2) > 0
    assert window.wait(60.0, 2) == 0
    window.admit(60.0)
    assert window.wait(60.0, 2) == 10.0


def test_fixed_window_starts_at_the_full_minute():
    """All slots come free at the next full minute, wherever the first request fell."""
    window = Window("fixed")
    for now in (118.0, 119.0):
        assert window.wait(now, 2) == 0
        window.admit(now)
    assert window.wait(119.5, 2) == 0.5
    assert window.wait(120.0, 2) == 0
    window.admit(120.0)
    window.admit(120.0)
    assert window.wait(121.0, 2) == 59.0


def test_limiter_names_the_full_window():
    """A refusal tells limit, namespace and whole seconds, and counts nowhere."""
    clock = Clock()
    limiter = RateLimiter("rolling", clock)
    wide = Hold("wide", "user", 2)
    limiter.admit([wide, Hold("narrow", "token", 1)])
    clock.now += 0.5
    with pytest.raises(ApiError) as caught:
        limiter.admit([wide, Hold("narrow", "token", 1)])
    error = caught.value
    assert (error.status, error.code) == (429, "too.many.requests.retry.after")
    assert error.headers == {"Retry-After": "60"}
    assert "[60]" in error.message
    assert error.limit == {"key": "narrow", "namespace": "platform.api", "value": 1}
    # The wide window was not charged for the refused request.
    limiter.admit([wide, Hold("narrow", "other token", 1)])


@pytest.mark.parametrize(("kind", "wait"), [("rolling", 86400), ("fixed", 82800)])
def test_days(kind: WindowKind, wait: int):
    """A day is counted like a minute, and a wait can be as long as a day."""
    clock = Clock()
    clock.now = 3600.0
    limiter = RateLimiter(kind, clock)
    day = Hold("day", "token", 1, DAY, "presence")
    limiter.admit([Hold("minute", "token", 2), day])
    with pytest.raises(ApiError) as caught:
        limiter.admit([Hold("minute", "token", 2), day])
    assert caught.value.headers == {"Retry-After": str(wait)}
    assert caught.value.limit == {"key": "day", "namespace": "presence", "value": 1}
    clock.now += wait
    limiter.admit([day])


def test_idle_windows_go():
    """Windows of keys that are heard of no more do not pile up; busy ones stay."""
    clock = Clock()
    limiter = RateLimiter("rolling", clock)
    for number in range(5 * WINDOWS_SWEPT):
        limiter.admit([Hold("l", number, 1)])
        clock.now += 0.1
    assert len(limiter._windows) <= 2 * WINDOWS_SWEPT
    with pytest.raises(ApiError):
        limiter.admit([Hold("l", 5 * WINDOWS_SWEPT - 1, 1)])
