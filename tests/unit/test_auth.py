"""The token keeper: every interleaving of waiters, answers and the end; every answer."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import logging
import weakref
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from clock import dry
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async.auth import Token, TokenKeeper
from presence_async.errors import (
    AuthenticationError,
    ClosedError,
    PresenceConnectionError,
    PresenceError,
    PresenceTimeoutError,
    RateLimitedError,
    ServerError,
)
from presence_async.grants import (
    Auth,
    AuthorizationCode,
    AuthorizationCodePKCE,
    ClientCredentials,
    RefreshToken,
    Saml2Bearer,
    StaticToken,
    TokenRequest,
)
from presence_async.hooks import TokenRefreshed
from presence_async.wire import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CREDENTIALS = ClientCredentials("id", "secret")
CODE = AuthorizationCode("id", "secret", "the-code", "https://app/cb")
DAY = 86400.0


def now() -> float:
    """Time of the running loop."""
    return asyncio.get_running_loop().time()


async def turns(count: int = 6) -> None:
    """Let the loop turn a few times without moving the clock."""
    for _ in range(count):
        await asyncio.sleep(0)


def timers() -> list[float]:
    """When the timers of the loop that are not cancelled are due."""
    scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [timer.when() for timer in scheduled if not timer.cancelled()]


def answer(status: int = 200, *, retry_after: int | None = None, **body: Any) -> Response:
    """An answer of the token endpoint."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Response(status, headers, json.dumps(body).encode())


def granted(number: int = 1, expires_in: Any = DAY, **more: Any) -> Response:
    """A good answer with the token `token-<number>`."""
    return answer(
        access_token=f"token-{number}", token_type="bearer", expires_in=expires_in, **more
    )


def unsent() -> PresenceError:
    """The connection was never made."""
    return PresenceConnectionError("no connection")


def unanswered() -> PresenceError:
    """The request went out and no answer came."""
    return PresenceConnectionError("the connection broke", outcome_unknown=True)


Step = Response | PresenceError | float


class _Login:
    """A login host that answers by a script, or when told to."""

    def __init__(self, *script: Step) -> None:
        self.script = list(script)
        self.requests: list[TokenRequest] = []
        self.times: list[float] = []
        self.pending: asyncio.Future[Response] | None = None
        self.in_flight = 0
        self.cancelled = 0

    async def __call__(self, request: TokenRequest) -> Response:
        self.requests.append(request)
        self.times.append(now())
        self.in_flight += 1
        assert self.in_flight == 1, "two refreshes at a time"
        try:
            return await self._answer()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1

    async def _answer(self) -> Response:
        if not self.script:
            self.pending = asyncio.get_running_loop().create_future()
            return await self.pending
        step = self.script.pop(0)
        if isinstance(step, float):
            await asyncio.sleep(step)
            step = self.script.pop(0) if self.script else granted(len(self.requests))
            assert not isinstance(step, float)
        if isinstance(step, PresenceError):
            raise step
        return step

    @property
    def grant_types(self) -> list[str]:
        """What was asked for, in order."""
        return [str(request.form[0][1]) for request in self.requests]


@attrs.define
class _Kept:
    """A keeper with what it did."""

    keeper: TokenKeeper
    login: _Login
    records: list[Any] = attrs.field(factory=list)

    async def token(self) -> str:
        """The token that a caller gets now."""
        return bearer(await self.keeper.acquire())


def bearer(token: Token) -> str:
    """The token itself."""
    return token.headers["Authorization"].removeprefix("Bearer ")


def new_keeper(
    *script: Step,
    auth: Auth = CREDENTIALS,
    chance: float = 0.5,
    on_refresh_token: Callable[[str], Any] | None = None,
    timeout: float = 80.0,
) -> _Kept:
    """A keeper on the running loop whose login host follows `script`."""
    login = _Login(*script)
    records: list[Any] = []
    keeper = TokenKeeper(
        auth,
        login,
        loop=asyncio.get_running_loop(),
        chance=lambda: chance,
        emit=records.append,
        on_refresh_token=on_refresh_token,
        timeout=timeout,
        user_agent="tests",
    )
    return _Kept(keeper, login, records)


# -- every interleaving

SETTLED = 5  # turns after which an event has had all its consequences
EVENTS = ("arrive", "cancel", "succeed", "fail", "invalidate", "close")


class _Play:
    """One sequence of events, checked as it goes and at its end."""

    def __init__(self, breathe: int) -> None:
        self.kept = new_keeper()
        self.breathe = breathe
        self.waiters: list[asyncio.Task[Token]] = []
        self.cancelled: set[asyncio.Task[Token]] = set()
        self.issued: list[str] = []
        self.failed = False
        self.closing: asyncio.Task[None] | None = None
        self.last: Token | None = None

    async def play(self, events: Sequence[str]) -> None:
        for event in events:
            getattr(self, event)()
            await turns(self.breathe)
            if self.breathe >= SETTLED:
                self.check_running()
        await self.end()

    def arrive(self) -> None:
        self.waiters.append(asyncio.create_task(self.kept.keeper.acquire()))

    def cancel(self) -> None:
        """Cancel the first waiter that is not done: the one that started the refresh."""
        waiter = next((waiter for waiter in self.waiters if not waiter.done()), None)
        if waiter is not None:
            waiter.cancel()
            self.cancelled.add(waiter)

    def settle(self, step: Step) -> None:
        pending = self.kept.login.pending
        if pending is not None and not pending.done():
            if isinstance(step, Response):
                pending.set_result(step)
            elif isinstance(step, PresenceError):
                pending.set_exception(step)

    def succeed(self) -> None:
        self.issued.append(f"token-{len(self.issued) + 1}")
        self.settle(granted(len(self.issued)))

    def fail(self) -> None:
        self.failed = True
        self.settle(AuthenticationError("refused", status=400))

    def invalidate(self) -> None:
        """The API refuses the newest token, and once more the one before it."""
        token = self.kept.keeper.fresh()
        for refused in (token, self.last):
            if refused is not None:
                self.kept.keeper.invalidate(refused)
        if token is not None:
            self.last = token
            assert self.kept.keeper.fresh() is None

    def close(self) -> None:
        if self.closing is None:
            self.closing = asyncio.create_task(self.kept.keeper.aclose())

    def check_running(self) -> None:
        login = self.kept.login
        assert login.in_flight <= 1
        assert login.cancelled == 0 or self.closing is not None
        alive = [waiter for waiter in self.waiters if not waiter.done()]
        assert not alive or login.in_flight == 1, "somebody waits for nothing"
        for waiter in self.cancelled:
            assert waiter.done()

    async def end(self) -> None:
        """Answer what is asked still; then everyone has an end of their own."""
        self.kept.login.script = [granted(99), granted(99), granted(99)]
        self.issued.append("token-99")
        await turns()
        self.settle(granted(99))
        await turns()
        assert all(waiter.done() for waiter in self.waiters)
        errors = [self.check_end(waiter) for waiter in self.waiters]
        raised = [id(error) for error in errors if error is not None]
        assert len(raised) == len(set(raised)), "two waiters share one exception"
        self.close()
        assert self.closing is not None
        await self.closing
        await turns()
        assert timers() == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def check_end(self, waiter: asyncio.Task[Token]) -> BaseException | None:
        if waiter.cancelled():
            assert waiter in self.cancelled, "cancelled by somebody else's cancellation"
            return None
        error = waiter.exception()
        if error is None:
            assert bearer(waiter.result()) in self.issued
        elif isinstance(error, ClosedError):
            assert self.closing is not None
        else:
            assert isinstance(error, AuthenticationError)
            assert self.failed
        return error


@pytest.mark.parametrize(("breathe", "length"), [(0, 4), (1, 4), (2, 4), (SETTLED, 4)])
def test_every_interleaving_ends_well(breathe: int, length: int):
    """One refresh at a time, everyone ends, nothing is left: with so many turns between events."""

    async def main() -> None:
        for events in product(EVENTS, repeat=length):
            await _Play(breathe).play(events)

    dry(main())


@given(events=st.lists(st.sampled_from(EVENTS), max_size=60), breathe=st.integers(0, SETTLED))
@settings(max_examples=80, deadline=None)
def test_long_sequences_end_well(events: list[str], breathe: int):
    """The same for long sequences with many waiters."""

    async def main() -> None:
        await _Play(breathe).play(events)

    dry(main())


async def test_a_thousand_waiters_make_one_request():
    """Half of them are cancelled, the first one among them, and the others get the token."""
    kept = new_keeper()
    tasks = [asyncio.create_task(kept.token()) for _ in range(1000)]
    await turns()
    for task in tasks[::2]:
        task.cancel()
    await turns()
    assert kept.login.pending is not None
    kept.login.pending.set_result(granted())
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks[::2])
    assert {task.result() for task in tasks[1::2]} == {"token-1"}
    assert len(kept.login.requests) == 1
    await kept.keeper.aclose()


async def test_a_refresh_that_nobody_waits_for_any_more_is_still_of_use():
    """All waiters are cancelled, the refresh goes on, and the next caller has the token."""
    kept = new_keeper(2.0, granted())
    task = asyncio.create_task(kept.token())
    await turns()
    task.cancel()
    await asyncio.sleep(3)
    assert task.cancelled()
    assert await kept.token() == "token-1"
    assert len(kept.login.requests) == 1
    await kept.keeper.aclose()


async def test_a_failure_reaches_every_waiter_as_a_copy_of_its_own():
    """Same class, text and context; not the same object, so tracebacks stay apart."""
    kept = new_keeper(
        2.0, answer(401, error="invalid_client", error_description="client not found")
    )
    tasks = [asyncio.create_task(kept.token()) for _ in range(5)]
    await asyncio.wait(tasks)
    errors = [task.exception() for task in tasks]
    for error in errors:
        assert isinstance(error, AuthenticationError)
        assert error.status == 401
        assert error.code == "invalid_client"
        assert "unknown client id, wrong secret, or wrong region" in error.message
    assert len({id(error) for error in errors}) == 5
    assert len({id(error.__traceback__) for error in errors if error}) == 5
    assert [record.error.status for record in kept.records] == [401]


async def test_after_a_failure_the_next_caller_asks_again():
    """A failure is not remembered for client credentials."""
    kept = new_keeper(answer(400, error="invalid_request"), granted())
    with pytest.raises(AuthenticationError):
        await kept.token()
    assert await kept.token() == "token-1"
    await kept.keeper.aclose()


async def test_wrong_credentials_are_not_posted_again_and_again():
    """Callers in the next ten seconds get the same refusal without another request."""
    kept = new_keeper(answer(401, error="invalid_client"), granted())
    for _ in range(50):
        with pytest.raises(AuthenticationError, match="wrong secret, or wrong region"):
            await kept.token()
    assert len(kept.login.requests) == 1
    await asyncio.sleep(10)
    assert await kept.token() == "token-1"
    await kept.keeper.aclose()


@pytest.mark.parametrize(("seconds", "stored"), [(5.0, ["NEW"]), (60.0, [])])
async def test_closing_lets_a_new_refresh_token_reach_its_store(
    seconds: float, stored: list[str], caplog: pytest.LogCaptureFixture
):
    """A store of some seconds finishes; one that takes too long is cut off and said."""
    arrived: list[str] = []

    async def store(token: str) -> None:
        await asyncio.sleep(seconds)
        arrived.append(token)

    kept = new_keeper(granted(refresh_token="NEW"), on_refresh_token=store)
    waiter = asyncio.create_task(kept.token())
    await turns()
    waiter.cancel()
    await kept.keeper.aclose()
    assert arrived == stored
    assert ("the new refresh token is not stored" in caplog.text) is (not stored)


async def test_closing_wakes_every_waiter_and_ends_the_refresh():
    """ClosedError for all, the post is cancelled, and later callers hear it at once."""
    kept = new_keeper()
    tasks = [asyncio.create_task(kept.token()) for _ in range(20)]
    await turns()
    await asyncio.gather(kept.keeper.aclose(), kept.keeper.aclose())
    await asyncio.wait(tasks)
    assert all(isinstance(task.exception(), ClosedError) for task in tasks)
    assert kept.login.cancelled == 1
    with pytest.raises(ClosedError):
        await kept.token()
    await kept.keeper.aclose()


async def test_a_keeper_that_was_never_used_closes():
    """Closing needs no token."""
    kept = new_keeper()
    await kept.keeper.aclose()
    assert kept.login.requests == []


async def test_a_good_token_survives_closing_for_the_calls_that_hold_it():
    """`fresh` goes on after closing; nothing is renewed any more."""
    kept = new_keeper(granted())
    await kept.token()
    await kept.keeper.aclose()
    assert timers() == []
    assert kept.keeper.fresh() is not None


# -- context variables

VARIABLE: contextvars.ContextVar[object] = contextvars.ContextVar("VARIABLE", default=None)


class _Precious:
    """Something whose end can be seen."""


async def test_a_refresh_keeps_no_callers_context_variables():
    """Neither the post nor the renewal sees them, and what they held is freed."""
    seen: list[object] = []
    kept = new_keeper(
        granted(1, 1000, refresh_token="r1"),
        granted(2, 1000, refresh_token="r2"),
        auth=CODE,
        on_refresh_token=lambda _: seen.append(VARIABLE.get()),
    )
    emit = kept.records.append
    kept.keeper._emit = lambda record: (emit(record), seen.append(VARIABLE.get()))  # type: ignore[func-returns-value, assignment]
    precious = _Precious()
    reference = weakref.ref(precious)
    context = contextvars.Context()
    context.run(VARIABLE.set, precious)
    task = asyncio.get_running_loop().create_task(kept.token(), context=context)
    await asyncio.wait({task})
    assert task.result() == "token-1"
    del precious, context, task
    gc.collect()
    assert reference() is None
    assert len(timers()) == 1
    await asyncio.sleep(950)
    assert await kept.token() == "token-2"
    assert seen == [None] * 4
    await kept.keeper.aclose()


# -- what an answer holds


@pytest.mark.parametrize(
    ("expires_in", "lifetime"),
    [
        (3600, 3600.0),
        (3600.5, 3600.5),
        (172_800, 172_800.0),
        (172_801, 172_800.0),
        (10**400, 172_800.0),
        (float("inf"), 172_800.0),
        (float("nan"), 300.0),
        (0, 300.0),
        (-5, 300.0),
        (True, 300.0),
        (None, 300.0),
        ("3600", 300.0),
        ([3600], 300.0),
    ],
)
async def test_the_lifetime_is_the_told_one_where_it_makes_sense(
    expires_in: object, lifetime: float
):
    """Nonsense counts as the shortest lifetime there is, and eternity as two days."""
    kept = new_keeper(granted(1, expires_in))
    start = now()
    token = await kept.keeper.acquire()
    assert token.expires_at == pytest.approx(start + lifetime - 5)
    assert kept.records == [TokenRefreshed(lifetime, background=False, error=None)]
    await kept.keeper.aclose()


async def test_a_missing_lifetime_counts_as_the_shortest_there_is():
    """300 s, of which the last five are not used."""
    kept = new_keeper(answer(access_token="t"))
    assert (await kept.keeper.acquire()).expires_at == pytest.approx(now() + 295)
    await kept.keeper.aclose()


async def test_the_lifetime_counts_from_the_question():
    """A slow login host does not make its tokens live longer."""
    kept = new_keeper(20.0, granted(1, 300))
    start = now()
    token = await kept.keeper.acquire()
    assert now() - start == pytest.approx(20)
    assert token.expires_at == pytest.approx(start + 295)
    await kept.keeper.aclose()


@pytest.mark.parametrize("kind", ["bearer", "Bearer", "BEARER"])
async def test_the_token_type_is_compared_without_regard_to_case(kind: str):
    """The vendor writes `bearer`."""
    kept = new_keeper(answer(access_token="t", token_type=kind, expires_in=300))
    assert await kept.token() == "t"
    await kept.keeper.aclose()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>login</html>",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"token"',
        b"{}",
        b'{"access_token": null}',
        b'{"access_token": ""}',
        b'{"access_token": 7}',
        b'{"access_token": "a\\r\\nX-Evil: 1"}',
        b'{"access_token": "a b"}',
        b'{"access_token": "a\\u0000"}',
        b'{"access_token": "\\u00e9"}',
        b'{"access_token": "\\ud800"}',
        b'{"access_token": "t", "token_type": "mac"}',
        b'{"access_token": "t", "token_type": null}',
        b'{"access_token": "t", "token_type": 1}',
        b'{"error": "invalid_grant", "access_token": "t"}',
        b'{"error": null, "access_token": "t"}',
        b"[" * 100_000,
        b'{"access_token": "t", "expires_in": ' + b"9" * 10_000 + b"}",
    ],
)
async def test_garbage_instead_of_a_token_is_an_authentication_error(body: bytes):
    """Whatever a 200 holds that is no token; asked once, nothing is kept, nothing is shown."""
    kept = new_keeper(Response(200, {}, body))
    with pytest.raises(AuthenticationError) as refused:
        await kept.token()
    assert refused.value.status == 200
    assert len(kept.login.requests) == 1
    assert kept.keeper.fresh() is None
    assert timers() == []


@pytest.mark.parametrize("refresh", ["", None, 7, "a\r\nb", "\ud800", "é"])
async def test_a_refresh_token_that_could_not_be_sent_back_is_no_refresh_token(refresh: object):
    """It is left out, and the login lasts as long as its access token."""
    handed: list[str] = []
    kept = new_keeper(
        granted(1, 1000, refresh_token=refresh), auth=CODE, on_refresh_token=handed.append
    )
    assert await kept.token() == "token-1"
    assert handed == []
    assert not kept.keeper.renewable
    assert timers() == []


async def test_a_redirect_of_the_login_host_is_an_error():
    """302 is neither followed nor taken for a token."""
    kept = new_keeper(Response(302, {"Location": "https://evil.test"}, b'{"access_token": "t"}'))
    with pytest.raises(AuthenticationError):
        await kept.token()


async def test_nothing_that_is_logged_shown_or_raised_holds_a_secret(
    caplog: pytest.LogCaptureFixture,
):
    """Records, logs, reprs and errors of good and bad refreshes show no canary."""
    caplog.set_level(logging.DEBUG, "presence_async")
    kept = new_keeper(
        answer(access_token="CANARY-access", expires_in=300, refresh_token="CANARY-refresh"),
        unanswered(),
        auth=AuthorizationCode("id", "CANARY-secret", "CANARY-code", "https://app"),
        on_refresh_token=lambda token: 1 / 0,
    )
    token = await kept.keeper.acquire()
    kept.keeper.invalidate(token)
    with pytest.raises(PresenceConnectionError) as lost:
        await kept.token()
    shown = f"{token!r} {kept.records!r} {kept.login.requests!r} {lost.value!r} {lost.value}"
    assert "CANARY" not in shown + caplog.text
    assert "on_refresh_token failed" in caplog.text
    await kept.keeper.aclose()


# -- attempts


async def test_client_credentials_are_asked_for_up_to_three_times():
    """Failures of the login host and of the network are retried with a pause."""
    kept = new_keeper(answer(503), unanswered(), granted())
    start = now()
    assert await kept.token() == "token-1"
    assert len(kept.login.requests) == 3
    # Full jitter at a chance of one half: 0.25 s, then 0.5 s.
    assert now() - start == pytest.approx(0.75)
    await kept.keeper.aclose()


async def test_after_three_attempts_the_failure_is_told():
    """No fourth request; the last failure is the one that counts."""
    kept = new_keeper(answer(500), answer(502), Response(504, {}, b"<html>"), granted())
    with pytest.raises(ServerError) as failed:
        await kept.token()
    assert failed.value.status == 504
    assert len(kept.login.requests) == 3


async def test_the_pause_is_at_least_the_retry_after_of_a_503():
    """The login host's own wish counts where it is longer than the jitter."""
    kept = new_keeper(answer(503, retry_after=7), granted())
    start = now()
    await kept.token()
    assert now() - start == pytest.approx(7)
    await kept.keeper.aclose()


async def test_a_retry_after_beyond_the_patience_is_told_at_once():
    """No long sleep that could not end well."""
    kept = new_keeper(answer(503, retry_after=81), granted(), timeout=80)
    start = now()
    with pytest.raises(ServerError) as failed:
        await kept.token()
    assert now() == start
    assert failed.value.retry_after == 81


async def test_a_login_host_that_never_answers_is_given_up():
    """After the time for a whole refresh every waiter hears it."""
    kept = new_keeper(timeout=80)
    start = now()
    tasks = [asyncio.create_task(kept.token()) for _ in range(3)]
    await asyncio.wait(tasks)
    assert now() - start == pytest.approx(80)
    assert all(isinstance(task.exception(), PresenceTimeoutError) for task in tasks)
    assert len({id(task.exception()) for task in tasks}) == 3


@pytest.mark.parametrize(
    "outcome",
    [unanswered(), answer(500), answer(408), answer(400, error="invalid_grant"), answer(200)],
    ids=["lost", "500", "408", "refused", "200 without a token"],
)
async def test_a_code_is_never_posted_twice_after_it_may_have_arrived(outcome: Step):
    """The first caller hears what happened, all later ones that the login is used up."""
    kept = new_keeper(outcome, granted(), auth=CODE)
    with pytest.raises(PresenceError):
        await kept.token()
    for _ in range(3):
        with pytest.raises(AuthenticationError, match=r"used up .* log in again"):
            await kept.token()
    assert len(kept.login.requests) == 1
    assert not kept.keeper.renewable


async def test_a_code_is_not_posted_again_after_a_refresh_that_took_too_long():
    """Nobody knows whether it arrived."""
    kept = new_keeper(auth=CODE)
    with pytest.raises(PresenceTimeoutError):
        await kept.token()
    with pytest.raises(AuthenticationError, match="used up"):
        await kept.token()
    assert len(kept.login.requests) == 1


async def test_a_code_that_never_left_is_posted_again():
    """A refused connection uses nothing up, within one refresh and after it."""
    kept = new_keeper(unsent(), unsent(), unsent(), unsent(), granted(), auth=CODE)
    with pytest.raises(PresenceConnectionError):
        await kept.token()
    assert len(kept.login.requests) == 3
    assert await kept.token() == "token-1"
    assert len(kept.login.requests) == 5


async def test_a_code_that_was_throttled_is_posted_again():
    """Who throttles has not looked at the code."""
    kept = new_keeper(answer(429, retry_after=5), granted(), auth=CODE)
    with pytest.raises(RateLimitedError):
        await kept.token()
    await asyncio.sleep(5)
    assert await kept.token() == "token-1"


async def test_a_refresh_token_is_not_posted_twice_in_one_refresh():
    """It may rotate; only the next caller tries it again, for there is nothing else to try."""
    kept = new_keeper(unanswered(), granted(2), auth=RefreshToken("id", "r0"))
    with pytest.raises(PresenceConnectionError):
        await kept.token()
    assert len(kept.login.requests) == 1
    assert await kept.token() == "token-2"
    await kept.keeper.aclose()


async def test_a_saml_assertion_is_presented_again_for_a_renewal():
    """Without a refresh token there is nothing else."""
    kept = new_keeper(
        granted(1, 300), granted(2, 300), auth=Saml2Bearer("id", "secret", "assertion", "org")
    )
    assert await kept.token() == "token-1"
    await asyncio.sleep(280)
    assert await kept.token() == "token-2"
    assert kept.login.grant_types == ["urn:ietf:params:oauth:grant-type:saml2-bearer"] * 2
    await kept.keeper.aclose()


# -- one token for everyone


async def test_a_good_token_needs_no_request():
    """The second caller gets the very same object."""
    kept = new_keeper(granted())
    assert await kept.keeper.acquire() is await kept.keeper.acquire()
    assert len(kept.login.requests) == 1
    await kept.keeper.aclose()


async def test_only_the_refused_token_is_invalidated():
    """A late refusal of the old token does not cost the new one."""
    kept = new_keeper(granted(1), granted(2))
    first = await kept.keeper.acquire()
    kept.keeper.invalidate(first)
    second = await kept.keeper.acquire()
    kept.keeper.invalidate(first)
    assert kept.keeper.fresh() is second
    await kept.keeper.aclose()


async def test_a_static_token_is_used_as_it_is_and_never_asked_for():
    """It has no end; once refused, every caller is told to log in again, without a request."""
    kept = new_keeper(auth=StaticToken("the-token"))
    assert await kept.token() == "the-token"
    assert not kept.keeper.renewable
    await asyncio.sleep(10 * DAY)
    kept.keeper.invalidate(await kept.keeper.acquire())
    for _ in range(2):
        with pytest.raises(AuthenticationError, match="was refused and StaticToken cannot renew"):
            await kept.token()
    assert kept.login.requests == []


@pytest.mark.parametrize(
    "auth", [CODE, AuthorizationCodePKCE("id", "code", "https://app", "v" * 43)]
)
async def test_a_code_without_a_refresh_token_ends_with_its_token(auth: Auth):
    """After its expiry, or a refusal, the error says to log in again."""
    kept = new_keeper(granted(1, 300), auth=auth)
    token = await kept.keeper.acquire()
    assert timers() == []
    await asyncio.sleep(300)
    with pytest.raises(AuthenticationError, match=r"has expired and .* cannot renew it"):
        await kept.token()
    kept.keeper.invalidate(token)
    with pytest.raises(AuthenticationError, match=r"was refused and .* cannot renew it"):
        await kept.token()
    assert len(kept.login.requests) == 1


# -- refresh tokens


async def test_a_rotating_refresh_token_is_followed_and_handed_out():
    """Each renewal uses the newest one; the callback gets every new one, once."""
    handed: list[str] = []
    kept = new_keeper(
        granted(1, 300, refresh_token="r1"),
        granted(2, 300, refresh_token="r2"),
        granted(3, 300, refresh_token="r2"),
        granted(4, 300),
        auth=RefreshToken("id", "r0", "secret"),
        on_refresh_token=handed.append,
    )
    for expected in ("token-1", "token-2", "token-3", "token-4"):
        assert await kept.token() == expected
        await asyncio.sleep(260)
    used = [request.body().decode().rpartition("=")[2] for request in kept.login.requests[:4]]
    assert used == ["r0", "r1", "r2", "r2"]
    assert handed == ["r1", "r2"]
    await kept.keeper.aclose()


async def test_a_refresh_token_that_comes_back_unchanged_is_not_handed_out():
    """Where the vendor does not rotate, there is nothing new to store."""
    handed: list[str] = []
    kept = new_keeper(
        granted(1, refresh_token="r0"),
        auth=RefreshToken("id", "r0"),
        on_refresh_token=handed.append,
    )
    await kept.token()
    assert handed == []
    await kept.keeper.aclose()


async def test_a_coroutine_callback_has_stored_the_token_before_anyone_goes_on():
    """The waiters wait for it: what they do next cannot outrun the store."""
    stored: list[str] = []

    async def store(refresh_token: str) -> None:
        await asyncio.sleep(3)
        stored.append(refresh_token)

    kept = new_keeper(granted(refresh_token="r1"), auth=CODE, on_refresh_token=store)
    assert await kept.token() == "token-1"
    assert stored == ["r1"]
    await kept.keeper.aclose()


def _raises(refresh_token: str) -> None:
    raise ValueError(len(refresh_token))


async def _raises_later(refresh_token: str) -> None:
    await asyncio.sleep(1)
    _raises(refresh_token)


async def _waits_for_something_cancelled(refresh_token: str) -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def _hangs(refresh_token: str) -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(
    "callback", [_raises, _raises_later, _waits_for_something_cancelled, _hangs]
)
async def test_a_callback_that_fails_costs_nobody_the_token(
    callback: Callable[[str], Any], caplog: pytest.LogCaptureFixture
):
    """It is logged, without the token; the token is good and the renewal goes on."""
    kept = new_keeper(
        granted(1, 1000, refresh_token="r1-canary"),
        granted(2, 1000),
        auth=CODE,
        on_refresh_token=callback,
    )
    assert await kept.token() == "token-1"
    assert "on_refresh_token failed" in caplog.text
    assert "canary" not in caplog.text
    await asyncio.sleep(940)
    assert await kept.token() == "token-2"
    await kept.keeper.aclose()


async def test_closing_ends_a_callback_that_hangs():
    """No task is left; the waiters hear that the client is closed."""
    kept = new_keeper(granted(refresh_token="r1"), auth=CODE, on_refresh_token=_hangs)
    task = asyncio.create_task(kept.token())
    await turns()
    await kept.keeper.aclose()
    with pytest.raises(ClosedError):
        await task


async def test_a_callback_that_swallows_the_end_brings_no_timer_back():
    """Nothing is renewed after closing, whatever the callback does."""

    async def stubborn(refresh_token: str) -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return

    kept = new_keeper(granted(refresh_token="r1"), auth=CODE, on_refresh_token=stubborn)
    task = asyncio.create_task(kept.token())
    await turns()
    await kept.keeper.aclose()
    await task
    assert timers() == []


async def test_without_a_callback_a_rotating_refresh_token_is_just_followed():
    """Nobody has to store it while the client lives."""
    kept = new_keeper(granted(1, 300, refresh_token="r1"), granted(2, 300), auth=CODE)
    await kept.token()
    await asyncio.sleep(280)
    assert await kept.token() == "token-2"
    await kept.keeper.aclose()


async def test_a_callback_may_use_the_token_itself():
    """It is in place before the callback runs: no deadlock."""
    kept = new_keeper(granted(refresh_token="r1"), auth=CODE)
    seen: list[str] = []

    async def callback(refresh_token: str) -> None:
        seen.append(await kept.token())

    kept.keeper._on_refresh_token = callback
    assert await kept.token() == "token-1"
    assert seen == ["token-1"]
    await kept.keeper.aclose()


# -- renewal in the background


@pytest.mark.parametrize(("chance", "share"), [(0.0, 0.75), (0.5, 0.825), (0.999, 0.9)])
async def test_a_token_is_renewed_in_the_background_before_it_expires(chance: float, share: float):
    """Between 75 % and 90 % of its life, by chance; nobody ever waits."""
    kept = new_keeper(granted(1, 1000), granted(2, 1000), granted(3, 1000), chance=chance)
    start = now()
    await kept.token()
    await asyncio.sleep(2000)
    assert kept.login.times[1] - start == pytest.approx(1000 * share, abs=1)
    assert kept.login.times[2] - kept.login.times[1] == pytest.approx(1000 * share, abs=1)
    assert [record.background for record in kept.records] == [False, True, True]
    assert kept.keeper.fresh() is not None
    await kept.keeper.aclose()


async def test_calls_go_on_with_the_old_token_while_it_is_renewed():
    """A renewal in flight delays nobody."""
    kept = new_keeper(granted(1, 1000), 60.0, granted(2, 1000))
    await kept.token()
    await asyncio.sleep(850)
    assert kept.login.in_flight == 1
    before = now()
    assert await kept.token() == "token-1"
    assert now() == before
    await asyncio.sleep(60)
    assert await kept.token() == "token-2"
    await kept.keeper.aclose()


async def test_a_refusal_during_a_renewal_waits_for_that_renewal():
    """The refused call joins it instead of starting another one."""
    kept = new_keeper(granted(1, 1000), 20.0, granted(2, 1000))
    token = await kept.keeper.acquire()
    await asyncio.sleep(830)
    assert kept.login.in_flight == 1
    kept.keeper.invalidate(token)
    assert await kept.token() == "token-2"
    assert len(kept.login.requests) == 2
    await kept.keeper.aclose()


async def test_a_refused_token_is_replaced_in_the_background_when_nobody_calls():
    """The renewal that was planned for it takes place."""
    kept = new_keeper(granted(1, 1000), granted(2, 1000))
    kept.keeper.invalidate(await kept.keeper.acquire())
    await asyncio.sleep(900)
    assert kept.keeper.fresh() is not None
    assert len(kept.login.requests) == 2
    await kept.keeper.aclose()


async def test_a_renewal_that_fails_is_tried_again_while_the_old_token_works():
    """Sooner and sooner, until it works; no caller notices."""
    kept = new_keeper(granted(1, 10_000), *[answer(500)] * 9, granted(2, 10_000))
    start = now()
    await kept.token()
    await asyncio.sleep(9_900)
    assert await kept.token() == "token-2"
    assert kept.login.times[-1] < start + 9_995
    failures = [record for record in kept.records if record.error is not None]
    assert len(failures) == 3
    assert all(record.background for record in failures)
    await kept.keeper.aclose()


async def test_renewals_that_go_on_failing_end_with_the_token():
    """An idle client does not hammer a login host for ever; the next caller asks again."""
    kept = new_keeper(granted(1, 86_400), *[answer(400, error="invalid_client")] * 100)
    await kept.token()
    await asyncio.sleep(10 * DAY)
    assert 5 <= len(kept.login.requests) <= 40
    assert timers() == []
    gaps = [b - a for a, b in pairwise(kept.login.times)]
    assert min(gaps) >= 10
    kept.login.script = [granted(2)]
    assert await kept.token() == "token-2"
    await kept.keeper.aclose()


async def test_a_renewal_whose_token_was_refused_meanwhile_gives_up_when_it_fails():
    """There is no old token to fall back on: the next caller asks."""
    kept = new_keeper(granted(1, 1000), 20.0, answer(400, error="invalid_client"), granted(2))
    token = await kept.keeper.acquire()
    await asyncio.sleep(830)
    kept.keeper.invalidate(token)
    await asyncio.sleep(30)
    assert timers() == []
    assert await kept.token() == "token-2"
    await kept.keeper.aclose()


@pytest.mark.parametrize("expires_in", [0.001, 0.5, 1, 3, 9])
async def test_tokens_that_hardly_live_are_not_fetched_in_a_busy_loop(expires_in: float):
    """An idle client asks every ten seconds at most; a caller still gets one."""
    kept = new_keeper(*[granted(1, expires_in)] * 1000)
    assert await kept.token() == "token-1"
    await asyncio.sleep(3600)
    assert len(kept.login.requests) <= 361
    await asyncio.sleep(9.99)
    assert await kept.token() == "token-1"
    await kept.keeper.aclose()


async def test_many_keepers_that_started_together_do_not_renew_together():
    """Chance spreads them over an eighth of the lifetime and more."""
    many = [new_keeper(granted(), granted(), chance=index / 50) for index in range(50)]
    await asyncio.gather(*(kept.token() for kept in many))
    await asyncio.sleep(0.95 * DAY)
    moments = sorted(kept.login.times[1] for kept in many)
    assert moments[-1] - moments[0] > DAY / 8
    assert min(b - a for a, b in pairwise(moments)) > 60
    await asyncio.gather(*(kept.keeper.aclose() for kept in many))


# -- throttled by the login host


@pytest.mark.parametrize(
    "throttled",
    [
        answer(429, retry_after=120),
        answer(400, retry_after=120, error="x", error_description="Rate limit exceeded"),
    ],
    ids=["429", "400 rate limit exceeded"],
)
async def test_while_the_login_host_throttles_nobody_asks_it(throttled: Response):
    """Everyone is told at once when, and the first one after that asks."""
    kept = new_keeper(throttled, granted())
    with pytest.raises(RateLimitedError) as first:
        await kept.token()
    assert first.value.retry_after == 120
    await asyncio.sleep(50)
    before = now()
    errors = await asyncio.gather(*(kept.token() for _ in range(9)), return_exceptions=True)
    assert now() == before
    for error in errors:
        assert isinstance(error, RateLimitedError)
        assert error.retry_after == pytest.approx(70)
    assert len({id(error) for error in errors}) == 9
    assert len(kept.login.requests) == 1
    await asyncio.sleep(70)
    assert await kept.token() == "token-1"
    await kept.keeper.aclose()


async def test_a_throttled_renewal_holds_its_next_attempt_back():
    """The pause told is obeyed by the background too, while callers use the old token."""
    kept = new_keeper(granted(1, 1000), answer(429, retry_after=150), granted(2, 1000))
    await kept.token()
    await asyncio.sleep(830)
    assert len(kept.login.requests) == 2
    assert await kept.token() == "token-1"
    await asyncio.sleep(150)
    assert len(kept.login.requests) == 3
    assert kept.login.times[2] - kept.login.times[1] == pytest.approx(150)
    assert await kept.token() == "token-2"
    await kept.keeper.aclose()


async def test_a_renewal_that_was_planned_before_waits_for_the_end_of_the_throttling():
    """A refused token, a throttled caller, and the old token's renewal comes due."""
    kept = new_keeper(granted(1, 1000), answer(429, retry_after=900), granted(2, 1000))
    kept.keeper.invalidate(await kept.keeper.acquire())
    with pytest.raises(RateLimitedError):
        await kept.token()
    await asyncio.sleep(899)
    assert len(kept.login.requests) == 2
    await asyncio.sleep(2)
    assert len(kept.login.requests) == 3
    assert await kept.token() == "token-2"
    await kept.keeper.aclose()


async def test_a_renewal_that_comes_due_during_a_refresh_is_left_to_it():
    """One at a time: the caller's refresh counts for both."""
    kept = new_keeper(granted(1, 1000), 70.0, granted(2, 1000))
    token = await kept.keeper.acquire()
    await asyncio.sleep(800)
    kept.keeper.invalidate(token)
    assert await kept.token() == "token-2"
    assert len(kept.login.requests) == 2
    await kept.keeper.aclose()


async def test_throttling_without_a_time_holds_everybody_for_a_while():
    """The vendor's 400 names none: ten seconds pass before anybody asks again."""
    kept = new_keeper(answer(400, error="x", description="rate limit exceeded"), granted())
    for _ in range(2):
        with pytest.raises(RateLimitedError) as throttled:
            await kept.token()
        assert throttled.value.retry_after == 10
    assert len(kept.login.requests) == 1
    await asyncio.sleep(10)
    assert await kept.token() == "token-1"
    await kept.keeper.aclose()
