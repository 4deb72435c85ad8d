"""The session: owns everything that lives, from `async with` to `aclose()`.

It guards each call with a deadline and hands it to the send path. It knows no endpoint.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import random
import weakref
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from presence_async.auth import OnRefreshToken, TokenKeeper
from presence_async.calls import Call, Calls
from presence_async.errors import (
    ClosedError,
    ConfigurationError,
    PresenceError,
    RateLimitedError,
)
from presence_async.fanout import FanOut, check_concurrency
from presence_async.forecast import SweepForecast, forecast, sweep_seconds
from presence_async.grants import Auth, StaticToken, TokenRequest
from presence_async.hooks import (
    Hook,
    Record,
    RequestFinished,
    RequestStarted,
)
from presence_async.ledger import LONGEST_TURN, share_of
from presence_async.limiter import LANES, Limiter, RateLimitStatus
from presence_async.pacing import Pacer
from presence_async.routes import TOKEN
from presence_async.sending import SendPath
from presence_async.transport import Exchange, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sized

    import aiohttp

    from presence_async.config import CallOptions, ClientConfig, Lane
    from presence_async.secret import Secret
    from presence_async.transport import Socket
    from presence_async.wire import Request, Response

_LOGGER: Final = logging.getLogger("presence_async.session")
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
        _check_objects(auth, hook, on_refresh_token)
        if config.endpoints.login is None and not isinstance(auth, StaticToken):
            raise ConfigurationError("base_url needs a login_url beside it, but for a StaticToken")
        self._config = config
        self._auth = auth
        self._user_agent = user_agent
        self._hook = hook
        self._on_refresh_token = on_refresh_token
        self._http = http
        self._chance = chance
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
        self._ending = asyncio.Event()
        self._transport = Transport(self._config, self._http)
        self._calls = Calls(self._loop)
        self._limiter = Limiter(
            self._config.rate_limit, self._loop, polling_limit=self._budget("polling")
        )
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
        self._path = SendPath(
            self._config.endpoints.api,
            self._transport,
            self._limiter,
            self._keeper,
            loop=self._loop,
            chance=self._chance,
            emit=None if self._hook is None else self.emit,
        )
        self._pacers = {
            lane: Pacer(lane, self._limiter, loop=self._loop, work=self._work, rest=self._rest)
            for lane in LANES
        }
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
        self._ending.set()
        for adopted in list(self._adopted):
            if isinstance(adopted, FanOut):
                # Before its calls end: they are not to be taken for outcomes.
                adopted.interrupt(ClosedError(_CLOSED))
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
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if self._state != "open" or here is not self._loop:
            raise ClosedError(self._unusable())

    def _unusable(self) -> str:
        """Why. In a forked child the loop does not run, so the pid need not be asked for before."""
        if self._state != "open":
            hint = ": use it inside `async with`" if self._state == "not entered" else ""
            return f"the client is {self._state}{hint}"
        if self._pid != os.getpid():
            return "the client was opened before a fork; open one in this process"
        return "the client was opened on another event loop"

    def adopt(self, closable: Closable) -> None:
        """End `closable` when the session closes (if it still lives then)."""
        self.check_usable()
        self._adopted.add(closable)

    @property
    def adopted(self) -> Iterable[Closable]:
        """What was adopted and is still referred to."""
        return tuple(self._adopted)

    def admits_socket(self, connect_uri: Secret) -> bool:
        """Whether a WebSocket may be opened at an address that the API gave."""
        return self._config.endpoints.admits_socket(connect_uri)

    async def open_socket(self, connect_uri: Secret) -> Socket:
        """Open a WebSocket, past the API's limiter and without a token. Who opens it ends it."""
        self.check_usable()
        if not self.admits_socket(connect_uri):
            raise ConfigurationError("the API gave the address of a socket outside its domain")
        return await self._transport.open_socket(connect_uri, {"User-Agent": self._user_agent})

    def rate_limit(self) -> RateLimitStatus:
        """The request budget right now."""
        self.check_usable()
        return self._limiter.status()

    def forecast(
        self, users: int | Sized, interval: float | None, options: CallOptions, concurrency: int
    ) -> SweepForecast:
        """What a sweep of `users` takes in the lane of `options`; needs no open session."""
        return forecast(
            users,
            interval,
            budget=self._budget(options.lane),
            latency=None if self._state == "not entered" else self._path.latency,
            concurrency=check_concurrency(concurrency),
            pacing=options.pacing,
        )

    def _budget(self, lane: Lane | None) -> int:
        """Requests a minute that a lane may make."""
        limit = self._config.rate_limit
        return share_of(limit, self._config.polling_share) if lane == "polling" else limit

    def _work(self) -> int | None:
        """Requests that the sweeps under way still have to send; None when nobody knows."""
        total = 0
        for adopted in self._adopted:
            left = adopted.left() if isinstance(adopted, FanOut) else 0
            if left is None:
                return None
            total += left
        return total

    def emit(self, record: Record) -> None:
        """Show `record` to the hook, if there is one."""
        if self._hook is None:
            return
        try:
            self._hook(record)
        except Exception:
            _LOGGER.exception("the hook failed on %s", type(record).__name__)

    # -- sending

    def send(
        self, request: Request, options: CallOptions, pacer: Pacer | None = None
    ) -> Coroutine[Any, Any, Response]:
        """Send one request, with everything that belongs to it; a 2xx answer comes back.

        To be awaited at once, in the task that calls it. At `pacer`, for `send_in_turn`, its turn
        ends once it has its permit.
        """
        self.check_usable()
        self._numbers += 1
        call = Call(request, options, self._numbers, self._loop.time(), pacer)
        if self._hook is not None:
            return self._observed(call)
        return self._guarded(call)

    async def send_in_turn(self, request: Request, options: CallOptions) -> Response:
        """As `send`, for one request of many: a long queue is no reason to refuse it.

        Who comes too late for the limiter rests, and queues up again. The vendor's own pauses
        and a `max_wait` too short for one turn of the budget are refusals as ever.
        """
        self.check_usable()
        pacer = self._pacers[options.lane or "bulk"]
        await pacer.begin(options)
        try:
            while True:
                try:
                    return await self.send(request, options, pacer)
                except RateLimitedError as error:
                    rest = error.retry_after or 0.0
                    if error.status is not None or error.paused:
                        raise
                    if rest <= LONGEST_TURN and (error.attempts or _hasty(options)):
                        error.message += self._advice(options)
                        raise
                await self._rest(rest - LONGEST_TURN)
        finally:
            pacer.end()

    def _advice(self, options: CallOptions) -> str:
        """What would work for a sweep that the budget had no turn for in time."""
        advice = f"; a sweep waits for its turns with max_wait and timeout from {LONGEST_TURN:g} s"
        left = self._work()
        if not left:
            return advice
        seconds = sweep_seconds(
            left,
            budget=self._budget(options.lane),
            latency=self._path.latency or 0.0,
            pacing=options.pacing,
        )
        return f"{advice}: the {left:,} requests still to be sent take at least {seconds:.0f} s"

    async def _rest(self, seconds: float) -> None:
        """Sleep, or less when the session is closed meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()

    async def _guarded(self, call: Call) -> Response:
        """Run the call under its deadline; what it raises knows what became of it."""
        failure: PresenceError
        self._calls.enter(call)
        try:
            return await self._path.perform(call)
        except PresenceError as error:
            failure = error
        except asyncio.CancelledError:
            reason = self._calls.leave(call)
            if reason is None:
                raise
            failure = reason
        finally:
            self._calls.leave(call)
        if failure.path_template is None:  # else it is this route, or the login host's
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


def _hasty(options: CallOptions) -> bool:
    """Whether a call waits for less than one turn of the budget."""
    return min(options.max_wait, options.timeout) < LONGEST_TURN


def _check_objects(auth: Any, hook: Any, on_refresh_token: Any) -> None:
    """The arguments that are neither numbers nor texts."""
    if not isinstance(auth, Auth):
        raise ConfigurationError(
            f"auth must be one of the grants, such as ClientCredentials, not {type(auth).__name__}"
        )
    for name, callback in (("hook", hook), ("on_refresh_token", on_refresh_token)):
        if callback is not None and not callable(callback):
            raise ConfigurationError(f"{name} must be callable, not {type(callback).__name__}")
    if inspect.iscoroutinefunction(hook):
        raise ConfigurationError("hook must be a plain function: nobody awaits it")
