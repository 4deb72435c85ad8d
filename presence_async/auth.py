"""The token keeper: one token for everyone, at most one refresh in flight.

Waiters use `asyncio.wait({task})`: cancelling one cancels only that one, not the refresh. That
runs in a context of its own, to keep nobody's context variables alive. Token requests do not go
through the API's limiter: the login host counts them apart.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import inspect
import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from presence_async.errors import (
    AuthenticationError,
    ClosedError,
    PresenceConnectionError,
    PresenceError,
    PresenceTimeoutError,
    RateLimitedError,
    ServerError,
)
from presence_async.failures import token_error
from presence_async.grants import Auth, RefreshToken, StaticToken, TokenRequest
from presence_async.hooks import TokenRefreshed
from presence_async.retry import backoff
from presence_async.routes import TOKEN
from presence_async.secret import MaskedStr, Secret

if TYPE_CHECKING:
    from presence_async.hooks import Record
    from presence_async.wire import Response

_LOGGER: Final = logging.getLogger("presence_async.auth")

ATTEMPTS: Final = 3
# The shortest lifetime an OAuth client can be given; assumed when none is told.
ASSUMED_LIFETIME: Final = 300.0
LONGEST_LIFETIME: Final = 172_800.0
# A token is not used in its last seconds: it may expire on its way.
EXPIRY_MARGIN: Final = 5.0
# Renewal starts between these shares of the lifetime, by chance: processes that started
# together do not renew together.
RENEW_FROM, RENEW_SPREAD = 0.75, 0.15
# How long nobody asks again when the login host throttles without saying how long.
THROTTLE_PAUSE: Final = 10.0
# How long closing waits for a new refresh token to be stored.
STORING_GRACE: Final = 10.0
# Nothing asks for a token on its own more often than this, however short a token lives.
RENEW_PAUSE: Final = 10.0

_NOT_STORED: Final = "on_refresh_token failed; the new refresh token is not stored"
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)

OnRefreshToken = Callable[[str], Awaitable[object] | object]
"""Called with every new refresh token, so that it can be stored."""


@attrs.frozen(eq=False)
class Token:
    """Header fields with an access token, without and with a JSON body; compared by identity."""

    headers: dict[str, str] = attrs.field(repr=False)
    body_headers: dict[str, str] = attrs.field(repr=False)
    expires_at: float  # loop time


def _token(secret: Secret, expires_at: float, user_agent: str) -> Token:
    headers = {
        "Authorization": MaskedStr(f"Bearer {secret.reveal()}"),
        "Accept": "application/json",
        "User-Agent": user_agent,
    }
    return Token(headers, headers | {"Content-Type": "application/json"}, expires_at)


@attrs.frozen
class _Issued:
    """What the token endpoint granted."""

    access_token: Secret
    refresh_token: Secret | None
    lifetime: float
    asked_at: float


def _read_issued(response: Response, asked_at: float) -> _Issued:
    """The grant in an answer of the token endpoint, or its error."""
    grant = _issued(response, asked_at)
    if grant is None:
        # Raised here, where no local variable holds the answer: it may echo a secret.
        raise token_error(TOKEN, response)
    return grant


def _issued(response: Response, asked_at: float) -> _Issued | None:
    """The grant, or None where there is none; some errors come as 200 too."""
    try:
        body: Any = json.loads(response.body)
    except (ValueError, RecursionError):
        body = None
    if not response.ok or not isinstance(body, dict) or "error" in body:
        return None
    access, kind = body.get("access_token"), body.get("token_type", "bearer")
    if not isinstance(access, str) or not _VISIBLE.fullmatch(access):
        return None
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return None
    told = body.get("expires_in")
    lifetime = ASSUMED_LIFETIME
    if isinstance(told, int | float) and not isinstance(told, bool) and told > 0:
        lifetime = float(min(told, LONGEST_LIFETIME))
    refresh = body.get("refresh_token")
    # RFC 6749, appendix A.17: printable ASCII; anything else could not be sent back.
    renewing = None
    if isinstance(refresh, str) and refresh and refresh.isascii() and refresh.isprintable():
        renewing = Secret(refresh)
    return _Issued(Secret(access), renewing, lifetime, asked_at)


class TokenKeeper:
    """Holds the token, renews it before it expires, and gives everyone the same one."""

    def __init__(
        self,
        auth: Auth,
        post: Callable[[TokenRequest], Awaitable[Response]],
        *,
        loop: asyncio.AbstractEventLoop,
        chance: Callable[[], float],
        emit: Callable[[Record], None],
        on_refresh_token: OnRefreshToken | None,
        timeout: float,
        user_agent: str,
    ) -> None:
        self._auth = auth
        self._post = post
        self._loop = loop
        self._chance = chance
        self._emit = emit
        self._on_refresh_token = on_refresh_token
        self._timeout = timeout
        self._user_agent = user_agent
        self._token: Token | None = None
        self._refresh_token = auth.refresh_token if isinstance(auth, RefreshToken) else None
        self._asked = False  # the first request may have arrived: a code is used up by it
        self._refused = False
        self._closed = False
        self._task: asyncio.Task[Token | PresenceError] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._throttled: PresenceError | None = None
        self._throttled_until = 0.0
        self._storing = False
        if isinstance(auth, StaticToken):
            self._token = _token(auth.access_token, float("inf"), user_agent)

    def fresh(self) -> Token | None:
        """The token, if there is one that is good to use now."""
        token = self._token
        if token is not None and self._loop.time() < token.expires_at:
            return token
        return None

    async def acquire(self) -> Token:
        """A good token, after waiting for a refresh where one is needed; or PresenceError."""
        if (token := self.fresh()) is not None:
            return token
        if self._closed:
            raise ClosedError("the client is closed")
        task = self._task
        if task is None:
            self._refuse_when_throttled()
            task = self._start(background=False)
        await asyncio.wait({task})
        if task.cancelled():
            raise ClosedError("the client was closed while it waited for a token")
        outcome = task.result()
        if isinstance(outcome, PresenceError):
            # A copy each: waiters add their own traceback and call to it.
            raise copy.copy(outcome)
        return outcome

    def invalidate(self, token: Token) -> None:
        """The API refused `token`; forget it, unless it has been replaced already."""
        if self._token is token:
            self._token = None
            self._refused = True

    @property
    def renewable(self) -> bool:
        """Whether another token can be asked for at all."""
        return self._next_request() is not None

    async def aclose(self) -> None:
        """Stop renewing, also what is in flight; but a new refresh token gets to its store.

        For some seconds, that is: the one stored before may be worthless already.
        """
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        task = self._task
        if task is not None:
            if self._storing:
                await asyncio.wait({task}, timeout=STORING_GRACE)
            task.cancel()
            await asyncio.wait({task})

    def _next_request(self) -> TokenRequest | None:
        auth = self._auth
        if isinstance(auth, StaticToken):
            return None
        return auth.renewal(self._refresh_token) if self._asked else auth.first_request()

    def _refuse_when_throttled(self) -> None:
        """While the login host throttles, nobody asks it again."""
        wait = self._throttled_until - self._loop.time()
        if self._throttled is not None and wait > 0:
            error = copy.copy(self._throttled)
            error.retry_after = wait
            raise error

    def _start(self, *, background: bool) -> asyncio.Task[Token | PresenceError]:
        task = self._loop.create_task(
            self._refresh(background=background),
            name="presence_async token refresh",
            context=contextvars.Context(),
        )
        self._task = task
        task.add_done_callback(self._ended)
        return task

    def _ended(self, _: asyncio.Task[Token | PresenceError]) -> None:
        self._task = None

    async def _refresh(self, *, background: bool) -> Token | PresenceError:
        """Fetch a token; a failure is a result, for there may be nobody waiting for it."""
        try:
            async with asyncio.timeout(self._timeout):
                grant = await self._fetch()
        except PresenceError as error:
            outcome: PresenceError = error
        except TimeoutError:
            outcome = PresenceTimeoutError(f"no token within {self._timeout:g} s")
        else:
            return await self._accept(grant, background=background)
        self._note_failure(outcome, background=background)
        return outcome

    async def _fetch(self) -> _Issued:
        request = self._next_request()
        if request is None:
            raise AuthenticationError(self._dead_end())
        until = self._loop.time() + self._timeout
        attempt = 1
        while True:
            try:
                return await self._ask(request)
            except (ServerError, PresenceConnectionError, PresenceTimeoutError) as error:
                delay = max(error.retry_after or 0.0, backoff(attempt, self._chance()))
                harmless = request.repeatable or not error.outcome_unknown
                if not harmless or attempt == ATTEMPTS or self._loop.time() + delay > until:
                    raise
            await asyncio.sleep(delay)
            attempt += 1

    async def _ask(self, request: TokenRequest) -> _Issued:
        """One post; remembers that it was made, unless it was certainly never looked at."""
        before, self._asked = self._asked, True
        asked_at = self._loop.time()
        try:
            return _read_issued(await self._post(request), asked_at)
        except PresenceError as error:
            unsent = error.status is None and not error.outcome_unknown
            if unsent or isinstance(error, RateLimitedError):
                self._asked = before
            raise

    def _dead_end(self) -> str:
        if self._token is None and not self._refused:
            return "the login was used up by an attempt that brought no token: log in again"
        what = "was refused" if self._refused else "has expired"
        return f"the token {what} and {type(self._auth).__name__} cannot renew it: log in again"

    async def _accept(self, grant: _Issued, *, background: bool) -> Token:
        self._throttled_until = 0.0
        self._refused = False
        usable = max(grant.lifetime - EXPIRY_MARGIN, grant.lifetime / 2)
        self._token = _token(grant.access_token, grant.asked_at + usable, self._user_agent)
        if grant.refresh_token is not None and grant.refresh_token != self._refresh_token:
            self._refresh_token = grant.refresh_token
            self._storing = True
            await self._hand_out(grant.refresh_token)
            self._storing = False
        if self.renewable:
            share = RENEW_FROM + RENEW_SPREAD * self._chance()
            self._renew_at(grant.asked_at + grant.lifetime * share)
        _LOGGER.info("token obtained, expires in %.0f s", grant.lifetime)
        self._emit(TokenRefreshed(grant.lifetime, background=background, error=None))
        return self._token

    async def _hand_out(self, refresh_token: Secret) -> None:
        """Give a new refresh token to the caller's store; its failure is not ours."""
        if self._on_refresh_token is None:
            return
        try:
            result = self._on_refresh_token(refresh_token.reveal())
            if inspect.isawaitable(result):
                async with asyncio.timeout(self._timeout):
                    await result
        except asyncio.CancelledError:
            # With or without an end of the client: what happened to the token is said.
            _LOGGER.exception(_NOT_STORED)
            if cast("asyncio.Task[Any]", asyncio.current_task()).cancelling():
                raise
        except Exception:
            _LOGGER.exception(_NOT_STORED)

    def _note_failure(self, error: PresenceError, *, background: bool) -> None:
        now = self._loop.time()
        if isinstance(error, RateLimitedError) and not error.retry_after:
            error.retry_after = THROTTLE_PAUSE  # the vendor's throttling 400 names no time
        pause = error.retry_after or 0.0
        if error.code == "invalid_client":
            # Else every worker of a sweep posts the same wrong secret, one after the other.
            pause = THROTTLE_PAUSE
        if pause and isinstance(error, RateLimitedError | AuthenticationError):
            self._throttled, self._throttled_until = copy.copy(error), now + pause
        _LOGGER.warning("token refresh failed: %s", error)
        self._emit(TokenRefreshed(None, background=background, error=error))
        token = self._token
        if background and token is not None and now < token.expires_at:
            # Try again well before the old token ends. Once it has, the next call asks.
            left = token.expires_at - now
            self._renew_at(now + max(pause, left * (0.25 + 0.25 * self._chance())))

    def _renew_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._closed:
            soonest = max(self._loop.time() + RENEW_PAUSE, self._throttled_until)
            self._timer = self._loop.call_at(max(when, soonest), self._renew)

    def _renew(self) -> None:
        self._timer = None
        if self._loop.time() < self._throttled_until:
            self._renew_at(self._throttled_until)
        elif self._task is None:
            self._start(background=True)
