"""The session: owns everything that lives, and sends requests in one canonical order.

    send          open? number, deadline, hooks
     └ retrying      verdict after each attempt; sleeps holding nothing
        └ authorizing   a token; one replay after a 401
           └ limiting      one permit per wire request
              └ transport     one exchange

Retrying stands outside the limiter on purpose: every wire request spends a permit, most of
all when the vendor is complaining. The session knows no endpoint.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import weakref
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Protocol

from presence_async.auth import OnRefreshToken, Token, TokenKeeper
from presence_async.calls import Call, Calls
from presence_async.errors import (
    ClosedError,
    ConfigurationError,
    PresenceConnectionError,
    PresenceError,
    PresenceTimeoutError,
)
from presence_async.failures import api_error
from presence_async.grants import Auth, StaticToken, TokenRequest
from presence_async.hooks import (
    AttemptFinished,
    Hook,
    LimiterWaited,
    Record,
    RequestFinished,
    RequestStarted,
)
from presence_async.limiter import Limiter, RateLimitStatus
from presence_async.retry import RetryBudget, backoff, may_repeat, outcome_open
from presence_async.routes import TOKEN
from presence_async.transport import Exchange, Transport
from presence_async.wire import Request, Response, retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from presence_async.config import CallOptions, ClientConfig

__all__ = ["PresenceSession"]

_LOGGER: Final = logging.getLogger("presence_async.session")
_OK_END, _UNAUTHORIZED, _NOT_FOUND, _TOO_MANY = 300, 401, 404, 429
_CLOSED: Final = "the client is closed"


class Closable(Protocol):
    """Something with tasks of its own that must end with the session."""

    async def abort(self, reason: PresenceError) -> None:
        """End now, whoever waits for it gets `reason`."""


class PresenceSession:
    """One pool, one token, one budget; made by the client, opened on one loop, closed once."""

    def __init__(
        self,
        config: ClientConfig,
        auth: Auth,
        *,
        user_agent: str,
        hook: Hook | None = None,
        on_refresh_token: OnRefreshToken | None = None,
        http: aiohttp.ClientSession | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if config.endpoints.login is None and not isinstance(auth, StaticToken):
            raise ConfigurationError("base_url needs a login_url beside it, but for a StaticToken")
        self._config = config
        self._auth = auth
        self._user_agent = user_agent
        self._hook = hook
        self._on_refresh_token = on_refresh_token
        self._http = http
        self._chance = chance
        self._base = config.endpoints.api
        self._budget = RetryBudget()
        self._numbers = 0
        self._state = "not entered"
        self._closing: asyncio.Event | None = None
        self._adopted: weakref.WeakSet[Closable] = weakref.WeakSet()

    # -- lifetime

    def open(self) -> None:
        """Make everything that lives on the running loop."""
        if self._state != "not entered":
            raise ClosedError(f"the client is {self._state}; it is entered once")
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._transport = Transport(self._config, self._http)
        self._calls = Calls(self._loop)
        self._limiter = Limiter(self._config.rate_limit, self._loop)
        self._keeper = TokenKeeper(
            self._auth,
            self._post_token_request,
            loop=self._loop,
            chance=self._chance,
            emit=self.emit,
            on_refresh_token=self._on_refresh_token,
            # Connecting, answering and the pauses of three attempts.
            timeout=2 * (self._config.connect_timeout + self._config.read_timeout),
            user_agent=self._user_agent,
        )
        self._state = "open"

    async def aclose(self) -> None:
        """Wake every waiter with ClosedError, then leave no task, socket or timer."""
        if self._closing is not None:
            await self._closing.wait()  # nothing is left when this returns, either
        if self._state != "open":
            self._state = "closed"
            return
        self.check_usable()
        self._state = "closed"
        self._closing = asyncio.Event()
        self._calls.close(ClosedError(_CLOSED))
        self._limiter.close()
        # The last first; each runs although the one before it failed or was cancelled.
        async with AsyncExitStack() as stack:
            stack.callback(self._closing.set)
            stack.push_async_callback(self._transport.aclose)
            stack.push_async_callback(self._keeper.aclose)
            stack.push_async_callback(self._calls.drained)
            for closable in list(self._adopted):
                stack.push_async_callback(closable.abort, ClosedError(_CLOSED))

    def describe(self) -> str:
        """Where it goes and how it is, for a repr."""
        return f"{self._config.endpoints.api} {self._state}"

    def check_usable(self) -> None:
        """Raise ClosedError, with the reason, where the session cannot be used."""
        if self._state != "open":
            hint = ": use it inside `async with`" if self._state == "not entered" else ""
            raise ClosedError(f"the client is {self._state}{hint}")
        if self._pid != os.getpid():
            raise ClosedError("the client was opened before a fork; open one in this process")
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is not self._loop:
            raise ClosedError("the client was opened on another event loop")

    def adopt(self, closable: Closable) -> None:
        """End `closable` when the session closes (if it still lives then)."""
        self.check_usable()
        self._adopted.add(closable)

    def rate_limit(self) -> RateLimitStatus:
        """The request budget right now."""
        self.check_usable()
        return self._limiter.status()

    def emit(self, record: Record) -> None:
        """Show `record` to the hook, if there is one."""
        if self._hook is None:
            return
        try:
            self._hook(record)
        except Exception:
            _LOGGER.exception("the hook failed on %s", type(record).__name__)

    # -- sending

    async def send(self, request: Request, options: CallOptions) -> Response:
        """Send one request, with everything that belongs to it; a 2xx answer comes back.

        Raises:
            PresenceError: Whatever kept it from succeeding; see `presence_async.errors`.
        """
        self.check_usable()
        self._numbers += 1
        call = Call(request, options, self._numbers, self._loop.time())
        if self._hook is not None:
            return await self._observed(call)
        return await self._guarded(call)

    async def _guarded(self, call: Call) -> Response:
        """Run the call under its deadline; what it raises knows what became of it."""
        failure: PresenceError
        self._calls.enter(call)
        try:
            return await self._retrying(call)
        except PresenceError as error:
            failure = error
        except asyncio.CancelledError:
            reason = self._calls.leave(call)
            if reason is None:
                raise
            failure = reason
        finally:
            self._calls.leave(call)
        route = call.request.route
        failure.method, failure.path_template = route.method, route.template
        failure.attempts, failure.outcome_unknown = call.attempts, call.maybe_applied
        raise failure

    async def _observed(self, call: Call) -> Response:
        """The call between its two records."""
        route = call.request.route
        self.emit(RequestStarted(call.number, route.method, route.template))
        error: BaseException | None = None
        try:
            return await self._guarded(call)
        except BaseException as raised:
            error = raised
            raise
        finally:
            cancelled = isinstance(error, asyncio.CancelledError)
            self.emit(
                RequestFinished(
                    call.number,
                    route.method,
                    route.template,
                    attempts=call.attempts,
                    error=None if cancelled else error,
                    cancelled=cancelled,
                    seconds=self._loop.time() - call.started,
                )
            )

    async def _retrying(self, call: Call) -> Response:
        """Attempts until one succeeds or nothing speaks for another."""
        attempt = 0
        while True:
            attempt += 1
            exchange = Exchange()
            failure: PresenceError
            try:
                response = await self._authorizing(call, exchange)
            except (PresenceConnectionError, PresenceTimeoutError) as error:
                failure = error
            else:
                if 200 <= response.status < _OK_END:  # noqa: PLR2004
                    self._budget.succeeded()
                    return response
                if self._deleted_before(call, response):
                    return Response(204, response.headers, b"")
                failure = api_error(call.request.route, response)
            delay = self._pause_before_retry(call, failure, attempt, exchange)
            if delay is None:
                raise failure
            _LOGGER.debug("%s; trying again in %.2f s", failure, delay)
            await asyncio.sleep(delay)

    def _deleted_before(self, call: Call, response: Response) -> bool:
        """404 to a repeated DELETE whose first attempt may have arrived: it did."""
        repeated = call.maybe_applied and call.request.route.method == "DELETE"
        return repeated and response.status == _NOT_FOUND

    def _pause_before_retry(
        self, call: Call, failure: PresenceError, attempt: int, exchange: Exchange
    ) -> float | None:
        """Seconds to pause before the next attempt, or None for no further attempt."""
        repeatable = may_repeat(call.request.route, status=failure.status, sent=exchange.sent)
        if attempt > call.retries or not repeatable:
            return None
        if exchange.stale and attempt == 1:
            # Most likely the connection had been idle too long, and nobody is in trouble.
            # A server that hangs up on everybody looks the same, so the budget counts.
            return 0.0 if self._budget.withdraw() else None
        wait, now = failure.retry_after or 0.0, self._loop.time()
        if failure.status == _TOO_MANY and wait:
            # The limiter is paused already; the next attempt queues up there, in order.
            return 0.0 if now + wait <= call.latest(now) else None
        delay = max(wait, backoff(attempt, self._chance()))
        if now + delay > call.latest(now) or not self._budget.withdraw():
            return None
        return delay

    async def _authorizing(self, call: Call, exchange: Exchange) -> Response:
        """The request with a token; after a 401 once more with a new one."""
        keeper = self._keeper
        token = keeper.fresh() or await self._token(call)
        response, token = await self._limiting(call, token, exchange)
        if response.status != _UNAUTHORIZED:
            return response
        keeper.invalidate(token)
        if call.renewed or (keeper.fresh() is None and not keeper.renewable):
            return response
        call.renewed = True
        return await self._authorizing(call, exchange)

    async def _token(self, call: Call) -> Token:
        """Wait for a token. What fails here is about the token: the call is not repeated."""
        try:
            return await self._keeper.acquire()
        except (PresenceConnectionError, PresenceTimeoutError):
            call.retries = 0  # the keeper has made its own attempts
            raise

    async def _limiting(
        self, call: Call, token: Token, exchange: Exchange
    ) -> tuple[Response, Token]:
        """One wire request under one permit; also tells which token it carried."""
        limiter = self._limiter
        if not limiter.try_acquire():
            await self._wait_for_permit(call)
            # The wait may have outlived the token.
            token = self._keeper.fresh() or token
        call.attempts += 1
        exchange.sent = exchange.stale = False
        request = call.request
        started = self._loop.time()
        try:
            response = await self._transport.exchange(
                request.route,
                self._base + request.target,
                token.headers if request.body is None else token.body_headers,
                request.body,
                exchange,
            )
        except BaseException as error:
            self._unanswered(call, exchange, error, started)
            raise
        limiter.answered()
        if response.status >= _OK_END:
            self._refused(call, response)
        if self._hook is not None:
            self._emit_attempt(call, started, response, None)
        return response, token

    async def _wait_for_permit(self, call: Call) -> None:
        now = self._loop.time()
        await self._limiter.acquire(call.latest(now))
        waited = self._loop.time() - now
        route = call.request.route
        _LOGGER.debug("%s %s waited %.2f s for a permit", route.method, route.template, waited)
        self.emit(LimiterWaited(call.number, route.method, route.template, waited))

    def _unanswered(
        self, call: Call, exchange: Exchange, error: BaseException, started: float
    ) -> None:
        """Book a wire request that no answer came to."""
        if exchange.sent:
            self._limiter.lost()
            call.maybe_applied |= call.request.route.writes
        else:
            self._limiter.unused()
        if self._hook is not None:
            failure = error if isinstance(error, PresenceError) else call.interruption
            self._emit_attempt(call, started, None, failure)

    def _refused(self, call: Call, response: Response) -> None:
        """Take from an unsuccessful answer what concerns more than this call."""
        call.maybe_applied |= outcome_open(call.request.route, response.status)
        wait = retry_after_seconds(response.headers)
        if response.status == _TOO_MANY and wait is not None:
            _LOGGER.warning("the vendor asks to pause for %g s (429)", wait)
            self._limiter.pause(wait)

    def _emit_attempt(
        self, call: Call, started: float, response: Response | None, error: PresenceError | None
    ) -> None:
        route = call.request.route
        self.emit(
            AttemptFinished(
                call.number,
                route.method,
                route.template,
                attempt=call.attempts,
                status=None if response is None else response.status,
                error=error,
                seconds=self._loop.time() - started,
                correlation_id=None if response is None else response.correlation_id,
            )
        )

    async def _post_token_request(self, token_request: TokenRequest) -> Response:
        """One POST to the login host, past the API's limiter."""
        exchange = Exchange()
        try:
            return await self._transport.exchange(
                TOKEN,
                f"{self._config.endpoints.login}{TOKEN.template}",
                token_request.headers() | {"User-Agent": self._user_agent},
                token_request.body(),
                exchange,
            )
        except PresenceError as error:
            error.outcome_unknown = exchange.sent
            raise
