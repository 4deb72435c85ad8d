"""The API service: from one request to one answer, in the order a gateway checks things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from presence_async.simulator.errors import ApiError
from presence_async.simulator.exchange import MAX_BODY_BYTES, Answer, Call, Exchange
from presence_async.simulator.limits import DAY, PER_USER, Hold
from presence_async.simulator.operations import all_routes
from presence_async.simulator.paths import Match, PathTable, decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from presence_async.simulator.channels import Channels
    from presence_async.simulator.limits import RateLimiter
    from presence_async.simulator.oauth import AccessToken, Authority
    from presence_async.simulator.organization import Organization
    from presence_async.simulator.routes import Route
    from presence_async.simulator.switches import Switches


class Api:
    """Everything behind the API's base address.

    Args:
        organization: The state.
        channels: The notification channels.
        authority: Judges tokens.
        limiter: Counts requests.
        rate_limit: Requests a minute of one token; None for no limits per minute at all.
        day_limit: Requests a day of one token; None for no limit.
        prefix: Path prefix of a gateway, empty for none.
        switches: The vendor's unknown habits.
    """

    def __init__(
        self,
        *,
        organization: Organization,
        channels: Channels,
        authority: Authority,
        limiter: RateLimiter,
        rate_limit: int | None,
        day_limit: int | None = None,
        prefix: str,
        switches: Switches,
    ) -> None:
        self._organization = organization
        self._channels = channels
        self._authority = authority
        self._limiter = limiter
        self._rate_limit = rate_limit
        self._day_limit = day_limit
        self._prefix = prefix
        self._switches = switches
        self._table: PathTable[Route] = PathTable()
        self.route_keys: list[str] = []
        for route in all_routes(switches):
            self._table.add(route.method, route.template, route)
            self.route_keys.append(route.key)

    def match(self, method: str, path: str) -> Match[Route] | None:
        """Return the operation of a method and raw path, or None."""
        if self._prefix:
            if not path.startswith(f"{self._prefix}/"):
                return None
            path = path[len(self._prefix) :]
        return self._table.match(method, path)

    def label(self, headers: Mapping[str, str]) -> str | None:
        """Return the label of the token a request carries, or None."""
        token = self._authority.find(headers.get("Authorization"))
        return None if token is None else token.label

    def answer(self, exchange: Exchange, match: Match[Route] | None) -> Answer:
        """Return the answer to a request, errors as `ErrorBody`."""
        try:
            return self._answer(exchange, match)
        except ApiError as error:
            smallest = self._switches.error_body == "smallest"
            return error_answer(error, exchange.correlation_id, smallest=smallest)

    def _answer(self, exchange: Exchange, match: Match[Route] | None) -> Answer:
        authorization = exchange.headers.get("Authorization")
        token = self._authority.check(self._authority.find(authorization), authorization)
        self._limiter.admit(self._holds(token))
        if match is None:
            raise unrouted(self._table, exchange.path, self._prefix)
        check_size(exchange)
        if match.route.takes_body:
            check_json_type(exchange)
        if match.route.need is not None:
            match.route.need.check(token.permissions)
        path = tuple(decode(value) for value in match.raw_values)
        return match.route.handle(
            Call(self._organization, self._channels, self._switches, token, path, exchange)
        )

    def _holds(self, token: AccessToken) -> list[Hold]:
        limit, holds = self._rate_limit, []
        if limit is not None and token.user_id is None:
            holds = [Hold("client.credentials.token.rate.per.minute", token.label, limit)]
        elif limit is not None:
            app_user = (token.client_id, token.user_id)
            per_app_user = self._switches.org_app_user_rate_limit
            holds = [
                Hold("token.rate.per.minute", token.label, limit),
                Hold("org.app.user.rate.per.minute", app_user, per_app_user),
                Hold("org.user.rate.per.minute", token.user_id, PER_USER),
            ]
        if self._day_limit is not None:
            # The name is invented in the manner of the others.
            daily = Hold("token.rate.per.day", token.label, self._day_limit, DAY, "presence")
            holds.append(daily)
        return holds


def unrouted(table: PathTable[Any], path: str, prefix: str = "") -> ApiError:
    """Return the 404 for a path nobody knows, or the 405 for one that knows other methods."""
    methods = table.methods(path[len(prefix) :]) if path.startswith(f"{prefix}/") else []
    if not methods:
        return ApiError(404, "not.found", "HTTP 404 Not Found")
    return ApiError(
        405,
        "method.not.allowed",
        "HTTP 405 Method Not Allowed",
        headers={"Allow": ", ".join(methods)},
    )


def check_size(exchange: Exchange) -> None:
    """Refuse a body beyond the documented limit with 413."""
    if exchange.too_large:
        raise ApiError(
            413,
            "request.entity.too.large",
            f"The request is larger than {MAX_BODY_BYTES} bytes",
            limit={
                "key": "request.bytes.max",
                "namespace": "platform.api",
                "value": MAX_BODY_BYTES,
            },
        )


def media_type(exchange: Exchange) -> str:
    """Return the media type of a request in lower case, without its parameters."""
    return exchange.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def check_json_type(exchange: Exchange) -> None:
    """Refuse a body that is not declared as JSON with 415."""
    if media_type(exchange) != "application/json":
        raise ApiError(415, "unsupported.media.type", "HTTP 415 Unsupported Media Type")


def error_answer(error: ApiError, correlation_id: str, *, smallest: bool = False) -> Answer:
    """Return the answer that carries an error, in full or in the smallest body recorded."""
    return Answer(error.status, error.body(correlation_id, smallest=smallest), error.headers)
