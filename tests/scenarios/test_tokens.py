"""Every way to a token, end to end: grants, renewal, refusals, throttling, garbage."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from clock import ClockLoop
from support import client_for

from presence_async import (
    AuthenticationError,
    AuthorizationCode,
    AuthorizationCodePKCE,
    ClientCredentials,
    PKCEPair,
    PresenceClient,
    PresenceConnectionError,
    PresenceError,
    PresenceTimeoutError,
    RateLimitedError,
    RefreshToken,
    RequestFinished,
    Saml2Bearer,
    ServerError,
    StaticToken,
    TokenRefreshed,
    authorize_url,
    check_state,
)
from presence_async.simulator import Fault, Simulator, Switches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

TOKEN = "POST /oauth/token"
CALLBACK = "https://app.example/callback"
APP = "app-id"
HOUR = 3600.0


def now() -> float:
    """Time of the running loop."""
    return asyncio.get_running_loop().time()


def simulator(**options: Any) -> Simulator:
    """A simulator on the clock, with an app that its first user signs in to."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    made = Simulator(users=20, wall_clock=loop.wall, **options)
    made.add_client(APP, "app-secret", user_id=made.user_ids[0], redirect_uri=CALLBACK)
    return made


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """A simulator whose tokens live for an hour."""
    async with simulator(token_lifetime=HOUR) as made:
        yield made


def statuses(sim: Simulator) -> list[int | None]:
    """What the API answered, token requests aside."""
    return [record.status for record in sim.requests if record.path_template != "/oauth/token"]


def token_times(sim: Simulator) -> list[float]:
    """When token requests arrived."""
    return [record.received_at for record in sim.requests if record.path_template == "/oauth/token"]


def code(sim: Simulator, challenge: str | None = None) -> str:
    """An authorization code for the app."""
    return sim.issue_code(APP, sim.user_ids[0], CALLBACK, challenge)


def code_auth(sim: Simulator) -> AuthorizationCode:
    """The app's login of its user."""
    return AuthorizationCode(APP, "app-secret", code(sim), CALLBACK)


class _Notes:
    """A hook that sorts what it hears."""

    def __init__(self) -> None:
        self.refreshes: list[TokenRefreshed] = []
        self.finished: list[RequestFinished] = []

    def __call__(self, record: object) -> None:
        if isinstance(record, TokenRefreshed):
            self.refreshes.append(record)
        elif isinstance(record, RequestFinished):
            self.finished.append(record)


# -- a 401 storm


async def test_a_revoked_token_under_200_calls_costs_one_token_request(sim: Simulator):
    """All are refused, one asks, all are replayed with the new token and succeed."""
    async with client_for(sim, rate_limit=1000) as client:
        await client.sources.list()
        sim.revoke_tokens()
        await asyncio.gather(
            *(client.user_presences.get(sim.user_ids[index % 20]) for index in range(200))
        )
        assert sim.token_requests == 2
        assert statuses(sim).count(200) == 201
        assert 1 <= statuses(sim).count(401) <= 200


@pytest.mark.parametrize("delay", [0.0, 0.3])
async def test_calls_that_are_refused_late_use_the_token_that_is_there(
    sim: Simulator, delay: float
):
    """A slow 401 of the old token does not throw the new token away."""
    spread = itertools.cycle(range(7))
    async with client_for(sim, rate_limit=1000) as client:
        await client.sources.list()
        sim.revoke_tokens()
        sim.faults.add(
            Fault(
                route=lambda record: record.path_template != "/oauth/token",
                times=None,
                delay=lambda: delay * next(spread),
            )
        )
        await asyncio.gather(*(client.sources.list() for _ in range(50)))
        assert sim.token_requests == 2


async def test_a_second_401_is_an_error_and_no_loop(sim: Simulator):
    """The replay is refused too: AuthenticationError, two requests, one new token."""
    sim.faults.add(Fault(route="GET /api/v2/presence/sources", status=401, times=2))
    async with client_for(sim) as client:
        with pytest.raises(AuthenticationError) as refused:
            await client.sources.list()
        assert refused.value.status == 401
        assert refused.value.code == "bad.credentials"
        assert refused.value.attempts == 2
        assert statuses(sim) == [401, 401]
        assert sim.token_requests == 2
        await client.sources.list()


async def test_a_persistent_401_costs_a_bounded_number_of_requests(sim: Simulator):
    """However many calls: two wire requests each, and the token requests are shared."""
    sim.faults.add(
        Fault(route=lambda record: record.path_template != "/oauth/token", status=401, times=None)
    )
    async with client_for(sim, rate_limit=1000) as client:
        calls = [client.sources.list() for _ in range(50)]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(error, AuthenticationError) for error in errors)
        assert len(statuses(sim)) <= 100
        assert sim.token_requests <= 3
        before = len(statuses(sim))
        with pytest.raises(AuthenticationError):
            await client.sources.list()
        assert len(statuses(sim)) - before <= 2


async def test_a_write_is_replayed_after_a_401(sim: Simulator):
    """A refused request took no effect, so that a PATCH may be sent again."""
    async with client_for(sim) as client:
        await client.sources.list()
        sim.revoke_tokens()
        await client.user_presences.update(sim.user_ids[0], message="back")
        assert statuses(sim) == [200, 401, 200]


async def test_a_refused_static_token_is_an_error_without_a_token_request(sim: Simulator):
    """Nothing can renew it: one 401, then every call hears it without any request."""
    async with client_for(sim, auth=StaticToken("wrong"), login_url=None) as client:
        with pytest.raises(AuthenticationError) as refused:
            await client.sources.list()
        assert refused.value.status == 401
        with pytest.raises(AuthenticationError, match="StaticToken cannot renew it"):
            await client.sources.list()
        assert statuses(sim) == [401]
        assert sim.token_requests == 0


async def test_a_good_static_token_works_without_a_login_host(sim: Simulator):
    """It goes to the API only."""
    token = sim.issue_token()
    async with client_for(sim, auth=StaticToken(token), login_url=None) as client:
        await client.sources.list()
        assert sim.token_requests == 0


# -- the grants


async def test_client_credentials_bring_a_token_without_a_user(sim: Simulator):
    """Id and secret in a Basic header, nothing else in the form."""
    async with client_for(sim) as client:
        await client.sources.list()
        posted = sim.requests[0]
        assert posted.body == b"grant_type=client_credentials"
        assert posted.headers["Authorization"].startswith("Basic ")
        assert client.rate_limit.remaining == 299


async def test_an_authorization_code_brings_the_users_token(sim: Simulator):
    """The code is exchanged once; `me` is its user."""
    async with client_for(sim, auth=code_auth(sim)) as client:
        me = await client.users.me()
        assert me.id == sim.user_ids[0]
        assert sim.token_requests == 1


async def _sign_in(sim: Simulator, state: str, challenge: str | None) -> str:
    """Follow the login page as a browser would; the code that comes back."""
    url = authorize_url(
        client_id=APP,
        redirect_uri=CALLBACK,
        state=state,
        code_challenge=challenge,
        login_url=sim.login_url,
        allow_loopback_http=True,
    )
    async with aiohttp.ClientSession() as browser, browser.get(url, allow_redirects=False) as page:
        assert page.status == 302
        location = page.headers["Location"]
    assert location.startswith(CALLBACK)
    query = parse_qs(urlsplit(location).query)
    assert check_state(state, query["state"][0])
    return query["code"][0]


async def test_pkce_from_the_login_page_to_the_first_call(sim: Simulator):
    """Verifier, challenge, authorize page, code, token: without any client secret."""
    pair = PKCEPair.generate()
    received = await _sign_in(sim, "state-1", pair.challenge)
    auth = AuthorizationCodePKCE(APP, received, CALLBACK, pair.verifier)
    async with client_for(sim, auth=auth) as client:
        assert (await client.users.me()).id == sim.user_ids[0]
        assert "Authorization" not in sim.requests[1].headers


async def test_pkce_with_another_verifier_is_refused(sim: Simulator):
    """Whoever stole the code cannot use it."""
    received = await _sign_in(sim, "state-1", PKCEPair.generate().challenge)
    auth = AuthorizationCodePKCE(APP, received, CALLBACK, PKCEPair.generate().verifier)
    async with client_for(sim, auth=auth) as client:
        with pytest.raises(AuthenticationError) as refused:
            await client.users.me()
        assert refused.value.code == "invalid_grant"


async def test_the_login_page_without_pkce_gives_a_code_for_the_secret(sim: Simulator):
    """The plain authorization code grant, from the login page on."""
    received = await _sign_in(sim, "a state & more", None)
    auth = AuthorizationCode(APP, "app-secret", received, CALLBACK)
    async with client_for(sim, auth=auth) as client:
        assert (await client.users.me()).id == sim.user_ids[0]


async def test_a_rotating_refresh_token_is_followed_through_renewals(sim: Simulator):
    """Each renewal uses the newest one, each new one is handed out, a later login uses it."""
    handed: list[str] = []
    async with client_for(sim, auth=code_auth(sim), on_refresh_token=handed.append) as client:
        await client.users.me()
        await asyncio.sleep(4 * HOUR)
        await client.users.me()
        assert sim.token_requests >= 5
        assert len(handed) == len(set(handed)) == sim.token_requests
    later = RefreshToken(APP, handed[-1], "app-secret")
    async with client_for(sim, auth=later, on_refresh_token=handed.append) as client:
        assert (await client.users.me()).id == sim.user_ids[0]
    # The one before has been rotated away.
    async with client_for(sim, auth=RefreshToken(APP, handed[0], "app-secret")) as client:
        with pytest.raises(AuthenticationError) as refused:
            await client.users.me()
        assert refused.value.code == "invalid_grant"
    assert 401 not in statuses(sim)


async def test_a_refresh_token_that_does_not_rotate_is_handed_out_once():
    """The vendor's habit is not documented; both work."""
    handed: list[str] = []
    async with simulator(token_lifetime=HOUR, switches=Switches(refresh_rotates=False)) as sim:
        auth = code_auth(sim)
        async with client_for(sim, auth=auth, on_refresh_token=handed.append) as client:
            await client.users.me()
            await asyncio.sleep(3 * HOUR)
            await client.users.me()
            assert len(handed) == 1
        known = RefreshToken(APP, handed[0], "app-secret")
        async with client_for(sim, auth=known, on_refresh_token=handed.append) as client:
            await client.users.me()
            assert len(handed) == 1


async def _store_slowly(refresh_token: str) -> None:
    await asyncio.sleep(2)


async def _fail_later(refresh_token: str) -> None:
    await asyncio.sleep(1)
    raise OSError


def _fail(refresh_token: str) -> None:
    raise OSError


@pytest.mark.parametrize("callback", [_store_slowly, _fail_later, _fail])
async def test_whatever_the_callback_does_the_login_goes_on(
    sim: Simulator, callback: Callable[[str], Any]
):
    """Slow or failing, in the first login and in every renewal."""
    async with client_for(sim, auth=code_auth(sim), on_refresh_token=callback) as client:
        await client.users.me()
        await asyncio.sleep(3 * HOUR)
        await client.users.me()
        assert set(statuses(sim)) == {200}


@pytest.mark.parametrize("refreshable", [True, False])
async def test_a_saml_assertion_brings_and_renews_a_token(refreshable: bool):
    """With a refresh token where the vendor gives one, else with the assertion again."""
    switches = Switches(saml_refresh=refreshable)
    async with simulator(token_lifetime=HOUR, switches=switches) as sim:
        sim.add_assertion("PHNhbWw+", "acme", sim.user_ids[3])
        auth = Saml2Bearer(APP, "app-secret", "PHNhbWw+", "acme")
        async with client_for(sim, auth=auth) as client:
            assert (await client.users.me()).id == sim.user_ids[3]
            await asyncio.sleep(3 * HOUR)
            assert (await client.users.me()).id == sim.user_ids[3]
            assert set(statuses(sim)) == {200}
        wrong = Saml2Bearer(APP, "app-secret", "PHNhbWw+", "other org")
        async with client_for(sim, auth=wrong) as client:
            with pytest.raises(AuthenticationError):
                await client.users.me()


# -- renewal in the background


async def test_over_24_idle_hours_no_call_ever_waits_for_a_token(sim: Simulator):
    """An hour's token, a call every ten minutes: no 401, and only the first refresh was waited."""
    notes = _Notes()
    async with client_for(sim, hook=notes, keep_alive=900) as client:
        for _ in range(24 * 6):
            await client.sources.list()
            await asyncio.sleep(600)
        assert set(statuses(sim)) == {200}
        assert [record.background for record in notes.refreshes[:1]] == [False]
        assert all(record.background for record in notes.refreshes[1:])
        assert all(record.error is None for record in notes.refreshes)
        gaps = [b - a for a, b in itertools.pairwise(token_times(sim))]
        assert all(0.75 * HOUR <= gap <= 0.9 * HOUR for gap in gaps)
        # Chance moves each of them.
        assert len({round(gap) for gap in gaps}) > len(gaps) / 2
        assert all(record.seconds == 0.0 for record in notes.finished[1:])


async def test_24_entirely_idle_hours_leave_a_good_token(sim: Simulator):
    """Nobody calls for a day; the next call goes out at once and is accepted."""
    async with client_for(sim, keep_alive=900) as client:
        await client.sources.list()
        await asyncio.sleep(24 * HOUR)
        before = sim.token_requests
        await client.sources.list()
        assert sim.token_requests == before
        assert set(statuses(sim)) == {200}


async def test_a_renewal_that_fails_recovers_before_anyone_notices(sim: Simulator):
    """The login host is down for a while; the old token serves until it is back."""
    notes = _Notes()
    async with client_for(sim, hook=notes) as client:
        await client.sources.list()
        sim.faults.add(Fault(route=TOKEN, status=503, times=6))
        for _ in range(8):
            await asyncio.sleep(600)
            await client.sources.list()
        assert set(statuses(sim)) == {200}
        failed = [record for record in notes.refreshes if record.error is not None]
        assert len(failed) == 2
        assert all(record.background for record in notes.refreshes[1:])
        assert notes.refreshes[-1].error is None


async def test_a_login_host_that_stays_down_is_not_hammered_and_then_told(sim: Simulator):
    """A day of refusals on an idle client; when it is back, the next call works."""
    async with client_for(sim) as client:
        await client.sources.list()
        sim.faults.add(Fault(route=TOKEN, status=503, times=None))
        await asyncio.sleep(24 * HOUR)
        assert sim.token_requests < 100
        with pytest.raises(ServerError):
            await client.sources.list()
        sim.faults.clear()
        await client.sources.list()


# -- refusals and throttling


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("wrong", ["id", "secret"])
async def test_wrong_credentials_say_what_may_be_wrong(status: int, wrong: str):
    """Id, secret or region; whatever the status, which is not documented."""
    async with simulator(switches=Switches(token_client_error_status=status)) as sim:
        auth = (
            ClientCredentials("nobody", sim.client_secret)
            if wrong == "id"
            else ClientCredentials(sim.client_id, "SECRET-canary")
        )
        async with client_for(sim, auth=auth) as client:
            with pytest.raises(
                AuthenticationError, match="unknown client id, wrong secret, or wrong region"
            ) as refused:
                await client.sources.list()
        assert refused.value.status == status
        assert refused.value.code == "invalid_client"
        assert "canary" not in f"{refused.value!r} {refused.value}"
        assert sim.token_requests == 1
        assert statuses(sim) == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(route=TOKEN, status=429, retry_after=45),
        Fault(route=TOKEN, status=400, retry_after=45, message="Rate limit exceeded"),
    ],
    ids=["429", "400"],
)
async def test_a_throttling_login_host_is_left_alone_until_it_says(sim: Simulator, fault: Fault):
    """Everyone hears it, nobody asks before that, and then one does."""
    sim.faults.add(fault)
    async with client_for(sim) as client:
        errors = await asyncio.gather(
            *(client.sources.list() for _ in range(10)), return_exceptions=True
        )
        for error in errors:
            assert isinstance(error, RateLimitedError)
            assert error.retry_after == 45
            assert error.attempts == 0
        await asyncio.sleep(44)
        with pytest.raises(RateLimitedError) as later:
            await client.sources.list()
        assert later.value.retry_after == pytest.approx(1, abs=0.01)
        assert sim.token_requests == 1
        await asyncio.sleep(1)
        await asyncio.gather(*(client.sources.list() for _ in range(10)))
        assert sim.token_requests == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(route=TOKEN, status=503, times=2),
        Fault(route=TOKEN, status=502, times=2),
        Fault(route=TOKEN, drop="after", times=2),
        Fault(route=TOKEN, drop="before", times=2),
        Fault(route=TOKEN, drop="mid_body", times=2),
    ],
    ids=["503", "502 in html", "dropped after", "dropped before", "cut off"],
)
async def test_client_credentials_survive_two_failures_of_the_login_host(
    sim: Simulator, fault: Fault
):
    """Three attempts, and the calls that wait notice nothing but the time."""
    sim.faults.add(fault)
    async with client_for(sim) as client:
        await asyncio.gather(*(client.sources.list() for _ in range(5)))
        assert sim.token_requests == 3


@pytest.mark.parametrize(
    "fault",
    [
        Fault(route=TOKEN, status=503),
        Fault(route=TOKEN, drop="after"),
        Fault(route=TOKEN, drop="before"),
        Fault(route=TOKEN, drop="mid_body"),
        Fault(route=TOKEN, stall=True),
        Fault(route=TOKEN, body=b"<html>welcome</html>"),
    ],
    ids=["503", "dropped after", "dropped before", "cut off", "stalled", "html"],
)
async def test_an_authorization_code_is_never_posted_twice(sim: Simulator, fault: Fault):
    """It may have arrived: later calls are told to log in again, without a request."""
    sim.faults.add(fault)
    async with client_for(sim, auth=code_auth(sim)) as client:
        with pytest.raises(PresenceError):
            await client.users.me()
        for _ in range(3):
            with pytest.raises(AuthenticationError, match="log in again"):
                await client.users.me()
        assert sim.token_requests == 1


async def test_a_code_survives_a_login_host_that_cannot_be_reached():
    """Nothing arrived, so nothing is used up: it works once the host is there."""
    async with simulator() as before:
        ports = {
            "port": urlsplit(before.base_url).port,
            "login_port": urlsplit(before.login_url).port,
        }
        urls = {"base_url": before.base_url, "login_url": before.login_url}
    sim = simulator(**ports)
    client = PresenceClient(auth=code_auth(sim), allow_loopback_http=True, **urls)
    async with client:
        with pytest.raises(PresenceConnectionError):
            await client.users.me()
        async with sim:
            assert (await client.users.me()).id == sim.user_ids[0]
            assert sim.token_requests == 1


async def test_a_call_whose_deadline_passes_while_it_waits_for_a_token_says_so(sim: Simulator):
    """A login host that hangs does not hold a call beyond its time."""
    sim.faults.add(Fault(route=TOKEN, stall=True, times=None))
    async with client_for(sim, timeout=10) as client:
        start = now()
        with pytest.raises(PresenceTimeoutError, match="no answer within 10 s"):
            await client.sources.list()
        assert now() - start == pytest.approx(10, abs=0.01)
        assert statuses(sim) == []


@pytest.mark.parametrize(
    "body",
    [
        b"<html>login</html>",
        b"",
        b'{"error": "invalid_grant", "error_description": "no"}',
        b'{"token_type": "bearer", "expires_in": 3600}',
        b'{"access_token": "a\\r\\nX-Evil: 1", "expires_in": 3600}',
        b'{"access_token": "t", "token_type": "mac"}',
    ],
)
async def test_garbage_of_the_login_host_is_an_authentication_error(sim: Simulator, body: bytes):
    """A 200 without a usable token; nothing is sent to the API."""
    sim.faults.add(Fault(route=TOKEN, body=body))
    async with client_for(sim) as client:
        with pytest.raises(AuthenticationError):
            await client.sources.list()
        assert statuses(sim) == []
        await client.sources.list()


@pytest.mark.parametrize("expires_in", ["", "0", "-1", "true", '"3600"', "null", "1e400"])
async def test_an_odd_lifetime_does_not_harm(sim: Simulator, expires_in: str):
    """The token works, and is renewed before the shortest lifetime there is."""
    told = f', "expires_in": {expires_in}' if expires_in else ""
    body = f'{{"access_token": "{sim.issue_token()}", "token_type": "Bearer"{told}}}'
    sim.faults.add(Fault(route=TOKEN, body=body.encode()))
    async with client_for(sim) as client:
        await client.sources.list()
        await asyncio.sleep(280)
        assert sim.token_requests == (1 if expires_in == "1e400" else 2)
        await client.sources.list()
        assert set(statuses(sim)) == {200}


async def test_token_requests_spend_no_permits(sim: Simulator):
    """The login host counts them apart: a budget of one is left whole for the call."""
    async with client_for(sim, rate_limit=1, keep_alive=900) as client:
        start = now()
        await client.sources.list()
        assert now() == pytest.approx(start, abs=0.01)
        assert client.rate_limit.in_flight == 0
        await asyncio.sleep(10 * HOUR)
        assert sim.token_requests > 10
        assert client.rate_limit.remaining == 1


async def test_a_token_that_expires_in_the_queue_is_replaced_before_it_is_sent(sim: Simulator):
    """The wait for a permit may outlive the token: the newest one goes out."""
    sim.faults.add(Fault(route="GET /api/v2/presence/sources", status=429, retry_after=7200))
    async with client_for(sim, max_wait=8000, timeout=9000) as client:
        await client.sources.list()
        assert statuses(sim) == [429, 200]
        labels = [record.token_label for record in sim.requests if record.token_label]
        assert len(set(labels)) == 2


async def test_closing_wakes_calls_that_wait_for_a_token(sim: Simulator):
    """Each ends, the refresh is given up, nothing is left."""
    sim.faults.add(Fault(route=TOKEN, stall=True))
    client: PresenceClient = client_for(sim)
    async with client:
        tasks = [asyncio.create_task(client.settings.get()) for _ in range(20)]
        await asyncio.sleep(1)
    await asyncio.wait(tasks)
    errors = [task.exception() for task in tasks]
    assert {str(error) for error in errors} == {
        "GET /api/v2/presence/settings: the client is closed"
    }


async def test_a_pkce_login_is_renewed_without_a_secret(sim: Simulator) -> None:
    """A client without a secret refreshes by its id in the form (RFC 6749, section 6)."""
    sim.add_client("public", "unused", user_id=sim.user_ids[0], redirect_uri="https://app.test/cb")
    pair = PKCEPair.generate()
    code = sim.issue_code(
        "public", sim.user_ids[0], "https://app.test/cb", code_challenge=pair.challenge
    )
    auth = AuthorizationCodePKCE("public", code, "https://app.test/cb", pair.verifier)
    async with client_for(sim, auth=auth, keep_alive=900) as client:
        await client.users.me()
        await asyncio.sleep(86_400)
        assert (await client.users.me()).id == sim.user_ids[0]
    assert sim.token_requests > 2
    assert {request.status for request in sim.requests} == {200}


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refused_grant_says_so_whatever_its_status(status: int):
    """A code that is no good, under any status the login host may give it."""
    async with simulator(switches=Switches(token_grant_error_status=status)) as sim:
        auth = AuthorizationCode(APP, "app-secret", "no such code", CALLBACK)
        async with client_for(sim, auth=auth) as client:
            with pytest.raises(AuthenticationError) as refused:
                await client.users.me()
    assert (refused.value.status, refused.value.code) == (status, "invalid_grant")


async def test_a_user_has_a_limit_of_its_own():
    """Two tokens of one user share a limit that no token shows; its 429 is waited out."""
    async with simulator(switches=Switches(org_app_user_rate_limit=30)) as sim:
        tokens = [sim.issue_token(APP, sim.user_ids[0]) for _ in range(2)]
        started = now()
        for token in tokens:
            async with client_for(sim, auth=StaticToken(token)) as client:
                for _ in range(20):
                    await client.system_presences.list()
        assert now() - started >= 59
    assert statuses(sim).count(429) >= 1


async def test_a_token_pushed_out_by_others_is_replaced():
    """Where one client has so many living tokens only, the oldest dies and its user asks anew."""
    async with simulator(switches=Switches(token_limit=2)) as sim, client_for(sim) as client:
        await client.sources.list()
        for _ in range(2):
            sim.issue_token()
        await client.sources.list()
        assert statuses(sim) == [200, 401, 200]
        assert sim.token_requests == 2
