"""The API service: from one request to one answer, in the order a gateway checks things.

The vendor's limits page: 300 requests a minute for one token, 3000 for one user through one OAuth
client and for one user in all. A 429 carries `Retry-After` in whole seconds; the `inin-ratelimit`
headers were withdrawn in June 2021. Limits of single services per day are not published.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from presence_async.simulator.errors import ApiError
from presence_async.simulator.exchange import Call, Exchange
from presence_async.simulator.operations import all_routes
from presence_async.simulator.services import Service, check_size, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from presence_async.simulator.channels import Channels
    from presence_async.simulator.oauth import AccessToken, Authority
    from presence_async.simulator.organization import Organization
    from presence_async.simulator.paths import Match
    from presence_async.simulator.services import Route
    from presence_async.simulator.switches import Switches

MINUTE = 60.0
DAY = 86400.0
PER_USER = 3000

WindowKind = Literal["rolling", "fixed"]


class Hold(NamedTuple):
    """One limit a request counts against: its name, whose requests count, how many fit."""

    name: str
    key: Hashable
    limit: int
    seconds: float = MINUTE
    namespace: str = "platform.api"


class Window:
    """The requests of one key; only admitted ones count.

    `rolling` looks back; `fixed` starts afresh at every full minute (or day) of the clock,
    wherever the first request fell.
    """

    __slots__ = ("_admitted", "_kind", "_seconds")

    def __init__(self, kind: WindowKind, seconds: float = MINUTE) -> None:
        self._kind = kind
        self._seconds = seconds
        self._admitted: deque[float] = deque()

    def wait(self, now: float, limit: int) -> float:
        """The seconds until one more request fits, 0 if it does now."""
        admitted = self._admitted
        if self._kind == "fixed":
            start = now - now % self._seconds
            while admitted and admitted[0] < start:
                admitted.popleft()
        else:
            start = now - self._seconds
            # Half open: what came exactly one length ago is outside.
            while admitted and admitted[0] <= start:
                admitted.popleft()
        if len(admitted) < limit:
            return 0.0
        first = start if self._kind == "fixed" else admitted[len(admitted) - limit]
        return first + self._seconds - now

    def idle(self, now: float) -> bool:
        """Whether the last request is out of any window by now."""
        return bool(self._admitted) and self._admitted[-1] <= now - self._seconds

    def admit(self, now: float) -> None:
        """Count one request."""
        self._admitted.append(now)


# With every so many windows the idle ones are dropped.
WINDOWS_SWEPT = 1000


class RateLimiter:
    """All windows of the simulator."""

    def __init__(self, kind: WindowKind, clock: Callable[[], float]) -> None:
        self._kind = kind
        self._clock = clock
        self._windows: dict[tuple[str, Hashable], Window] = {}

    def admit(self, holds: list[Hold]) -> None:
        """Count one request against each limit, or against none: ApiError 429 when one is full."""
        now = self._clock()
        windows = []
        for hold in holds:
            window = self._windows.get((hold.name, hold.key))
            if window is None:
                window = Window(self._kind, hold.seconds)
                self._windows[(hold.name, hold.key)] = window
                if len(self._windows) % WINDOWS_SWEPT == 0:
                    self._forget_idle(now)
            wait = window.wait(now, hold.limit)
            if wait > 0:
                raise too_many_requests(hold, math.ceil(wait))
            windows.append(window)
        for window in windows:
            window.admit(now)

    def _forget_idle(self, now: float) -> None:
        """Drop windows that hold nothing any more, such as those of tokens long gone."""
        busy = {key: one for key, one in self._windows.items() if not one.idle(now)}
        self._windows = busy


def too_many_requests(hold: Hold, seconds: int) -> ApiError:
    """The 429 for a full window."""
    return ApiError(
        429,
        "too.many.requests.retry.after",
        f"Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds",
        params={"retryAfter": str(seconds)},
        limit={"key": hold.name, "namespace": hold.namespace, "value": hold.limit},
        headers={"Retry-After": str(seconds)},
    )


class Api(Service):
    """Everything behind the API's base address."""

    def __init__(
        self,
        *,
        organization: Organization,
        channels: Channels,
        authority: Authority,
        limiter: RateLimiter,
        rate_limit: int | None,
        day_limit: int | None,
        prefix: str,
        switches: Switches,
    ) -> None:
        super().__init__(all_routes(switches), prefix, switches.error_body)
        self._organization = organization
        self._channels = channels
        self._authority = authority
        self._limiter = limiter
        self._rate_limit = rate_limit
        self._day_limit = day_limit
        self._switches = switches

    def label(self, headers: Mapping[str, str]) -> str | None:
        """The label of the token a request carries, or None."""
        token = self._authority.find(headers.get("Authorization"))
        return None if token is None else token.label

    def _answer(self, exchange: Exchange, match: Match[Route] | None) -> Any:
        authorization = exchange.headers.get("Authorization")
        token = self._authority.check(self._authority.find(authorization), authorization)
        self._limiter.admit(self._holds(token))
        route = self._found(exchange, match)
        check_size(exchange)
        if route.takes_body and exchange.media_type != "application/json":
            raise ApiError(415, "unsupported.media.type", "HTTP 415 Unsupported Media Type")
        if route.need is not None:
            route.need.check(token.permissions)
        path = decoded(match)
        return route.handle(
            Call(self._organization, self._channels, self._switches, token, path, exchange)
        )

    def _holds(self, token: AccessToken) -> list[Hold]:
        limit, holds = self._rate_limit, []
        if limit is not None and token.user_id is None:
            holds = [Hold("client.credentials.token.rate.per.minute", token.label, limit)]
        elif limit is not None:
            per_app_user = self._switches.org_app_user_rate_limit
            holds = [
                Hold("token.rate.per.minute", token.label, limit),
                Hold("org.app.user.rate.per.minute", token.owner, per_app_user),
                Hold("org.user.rate.per.minute", token.user_id, PER_USER),
            ]
        if self._day_limit is not None:
            # The name is invented in the manner of the others.
            daily = Hold("token.rate.per.day", token.label, self._day_limit, DAY, "presence")
            holds.append(daily)
        return holds
