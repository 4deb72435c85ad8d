"""The way of a request, one concern per stage.

    retrying       verdict after each attempt; one replay after a 401; sleeps holding nothing
     └ limiting       a token, and one permit per wire request
        └ transport      one exchange

Retrying stands outside the limiter: every wire request spends a permit, most of all when the
vendor is complaining. Knows no endpoint.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from presence_async.errors import PresenceConnectionError, PresenceError, PresenceTimeoutError
from presence_async.failures import api_error
from presence_async.hooks import AttemptFinished, LimiterWaited
from presence_async.retry import RetryBudget, backoff, may_repeat, outcome_open
from presence_async.transport import Exchange
from presence_async.wire import Response, retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async.auth import Token, TokenKeeper
    from presence_async.calls import Call
    from presence_async.hooks import Record
    from presence_async.limiter import Limiter
    from presence_async.transport import Transport

_LOGGER: Final = logging.getLogger("presence_async.sending")


class SendPath:
    """The stages, over what a session owns."""

    def __init__(
        self,
        base: str,
        transport: Transport,
        limiter: Limiter,
        keeper: TokenKeeper,
        *,
        loop: asyncio.AbstractEventLoop,
        chance: Callable[[], float],
        emit: Callable[[Record], None] | None,
    ) -> None:
        """`base` is the API's URL, to which targets are appended; `emit` takes records, if any."""
        self._base = base
        self._transport = transport
        self._limiter = limiter
        self._keeper = keeper
        self._loop = loop
        self._chance = chance
        self._emit = emit
        self._budget = RetryBudget()
        self.latency: float | None = None
        """Seconds from sending to the end of an answer: a moving mean, None before the first.

        Each answer counts an eighth, as in the round-trip times of TCP (RFC 6298).
        """

    async def perform(self, call: Call) -> Response:
        """Attempts until one succeeds or nothing speaks for another."""
        attempt = 0
        while True:
            attempt += 1
            exchange = Exchange()
            failure: PresenceError
            try:
                response = await self._limiting(call, exchange)
                while response.status == 401 and self._may_replay(call):
                    response = await self._limiting(call, exchange)
            except (PresenceConnectionError, PresenceTimeoutError) as error:
                failure = error
            else:
                if response.ok:
                    self._budget.succeeded()
                    response.attempts = call.attempts
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
        return repeated and response.status == 404

    def _pause_before_retry(
        self, call: Call, failure: PresenceError, attempt: int, exchange: Exchange
    ) -> float | None:
        """Seconds to pause before the next attempt, or None for no further attempt."""
        repeatable = may_repeat(call.request.route, status=failure.status, sent=exchange.sent)
        if attempt > call.retries or not repeatable:
            return None
        if exchange.stale and attempt == 1:
            # Most likely idle for too long. A server that hangs up on everybody looks the same.
            return 0.0 if self._budget.withdraw() else None
        wait, now = failure.retry_after or 0.0, self._loop.time()
        if failure.status == 429 and wait:
            # The limiter is paused already; the next attempt queues up there, in order.
            return 0.0 if now + wait <= call.latest(now) else None
        delay = max(wait, backoff(attempt, self._chance()))
        too_late = wait > call.max_wait or now + delay > call.deadline
        if too_late or not self._budget.withdraw():
            return None
        return delay

    def _may_replay(self, call: Call) -> bool:
        """After a 401: whether to send it once more, with a new token."""
        keeper = self._keeper
        keeper.invalidate(call.token)
        if call.replayed or (keeper.fresh() is None and not keeper.renewable):
            return False
        call.replayed = True
        return True

    async def _token(self, call: Call) -> Token:
        """Wait for a token. What fails here is about the token: the call is not repeated."""
        if call.pacer is not None:
            call.pacer.end()  # all wait for the same one, and not some after the others
        try:
            return await self._keeper.acquire()
        except (PresenceConnectionError, PresenceTimeoutError):
            call.retries = 0  # the keeper has made its own attempts
            raise

    async def _limiting(self, call: Call, exchange: Exchange) -> Response:
        """One wire request with a token, under one permit."""
        limiter, lane = self._limiter, call.lane
        token = self._keeper.fresh() or await self._token(call)
        if not limiter.try_acquire(lane):
            await self._wait_for_permit(call)
            # The wait may have outlived the token.
            token = self._keeper.fresh() or token
        call.token = token
        if call.pacer is not None:
            call.pacer.end()
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
        seconds = limiter.answered(lane) - started
        latency = self.latency
        self.latency = seconds if latency is None else latency + (seconds - latency) / 8
        if response.status >= 400:
            self._refused(call, response)
        if self._emit is not None:
            self._attempt_finished(call, started, response, None)
        return response

    async def _wait_for_permit(self, call: Call) -> None:
        now = self._loop.time()
        await self._limiter.acquire(call.latest(now), call.lane)
        waited = self._loop.time() - now
        route = call.request.route
        _LOGGER.debug("%s %s waited %.2f s for a permit", route.method, route.template, waited)
        if self._emit is not None:
            self._emit(LimiterWaited(call.number, route.method, route.template, waited))

    def _unanswered(
        self, call: Call, exchange: Exchange, error: BaseException, started: float
    ) -> None:
        """Book a wire request that no answer came to."""
        if exchange.sent:
            self._limiter.lost(call.lane)
            call.maybe_applied |= call.request.route.writes
        else:
            self._limiter.unused(call.lane)
        failure = error if isinstance(error, PresenceError) else call.interruption
        self._attempt_finished(call, started, None, failure)

    def _refused(self, call: Call, response: Response) -> None:
        """Take from an unsuccessful answer what concerns more than this call."""
        call.maybe_applied |= outcome_open(call.request.route, response.status)
        wait = retry_after_seconds(response.headers)
        if response.status == 429 and wait is not None:
            _LOGGER.warning("the vendor asks to pause for %g s (429)", wait)
            self._limiter.pause(wait)

    def _attempt_finished(
        self, call: Call, started: float, response: Response | None, error: PresenceError | None
    ) -> None:
        if self._emit is None:
            return
        route = call.request.route
        self._emit(
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
