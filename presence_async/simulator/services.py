"""What answers behind a port: operations, the permissions they need, errors in the vendor's form.

The permissions are those the vendor's JavaScript and iOS SDKs document for the operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs

from presence_async.simulator.errors import ApiError
from presence_async.simulator.exchange import MAX_BODY_BYTES, Answer, json_answer
from presence_async.simulator.paths import Match, PathTable, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from presence_async.simulator.exchange import Exchange

# Invented: no permission is documented for watching another user's presence.
PRESENCE_VIEW = "presence:userPresence:view"

ALL_PERMISSIONS = frozenset(
    {
        "integration:microsoftTeams:view",
        "integration:presence:edit",
        "integrations:integration:view",
        "presence:presenceDefinition:add",
        "presence:presenceDefinition:delete",
        "presence:presenceDefinition:edit",
        "presence:presenceDefinition:view",
        "presence:settings:edit",
        "presence:settings:view",
        "presence:source:add",
        "presence:source:delete",
        "presence:source:edit",
        "presence:source:view",
        "presence:userPresence:edit",
        "presence:userPresence:inject",
        PRESENCE_VIEW,
        "presence:userPrimarySource:edit",
        "presence:userPrimarySource:view",
        "routing:agent:onqueue",
    }
)


@attrs.frozen
class Need:
    """The permissions of an operation: `all` of them, or `any` one."""

    mode: Literal["all", "any"]
    permissions: tuple[str, ...]

    def check(self, granted: AbstractSet[str]) -> None:
        """Refuse a token that lacks them with 403."""
        missing = [name for name in self.permissions if name not in granted]
        if self.mode == "all" and missing:
            raise _missing(
                "missing.permissions",
                "Unable to perform the requested action. "
                f"You are missing the following permission(s): {', '.join(missing)}",
                missing,
            )
        if self.mode == "any" and len(missing) == len(self.permissions):
            raise _missing(
                "missing.any.permissions",
                "Unable to perform the requested action. You must have at least one of the "
                f"following permissions assigned: [{', '.join(missing)}]",
                missing,
            )


def _missing(code: str, message: str, permissions: Sequence[str], **params: str) -> ApiError:
    return ApiError(403, code, message, params={"permissions": ", ".join(permissions), **params})


def needs_all(*permissions: str) -> Need:
    """The need for every one of the permissions."""
    return Need("all", permissions)


def needs_any(*permissions: str) -> Need:
    """The need for at least one of the permissions."""
    return Need("any", permissions)


def missing_division(permission: str, division_id: str) -> ApiError:
    """The 403 for a permission that is not granted in a division."""
    text = f"You are missing the following permission(s) in division [{division_id}]: {permission}"
    return _missing("missing.division.permission", text, [permission], divisionId=division_id)


@attrs.frozen
class Route:
    """One operation.

    `handle` changes what it changes at once, and returns an `Answer`, the JSON value of a 200, or
    None for a 204.
    """

    method: str
    template: str  # parameters in braces, spelled as in the vendor's documentation
    handle: Callable[..., Any]
    need: Need | None = None
    bodyless: bool = False  # a POST without a body

    @property
    def takes_body(self) -> bool:
        """Whether the operation reads a JSON body."""
        return self.method in {"PATCH", "POST", "PUT"} and not self.bodyless

    @property
    def key(self) -> str:
        """Method and template, the way faults name a route."""
        return f"{self.method} {self.template}"


class Service:
    """Operations below the path prefix of a gateway, which is empty for none."""

    def __init__(self, routes: Iterable[Route], prefix: str = "", error_body: str = "full") -> None:
        self._prefix = prefix
        self._smallest = error_body == "smallest"
        self._table: PathTable[Route] = PathTable()
        self.route_keys: list[str] = []
        for route in routes:
            self._table.add(route.method, route.template, route)
            self.route_keys.append(route.key)

    def match(self, method: str, path: str) -> Match[Route] | None:
        """The operation of a method and raw path, or None."""
        if not path.startswith(f"{self._prefix}/"):
            return None
        return self._table.match(method, path[len(self._prefix) :])

    def label(self, headers: Mapping[str, str]) -> str | None:  # noqa: ARG002  for those with tokens
        """The label of the token a request carries, or None."""
        return None

    def answer(self, exchange: Exchange, match: Match[Route] | None) -> Answer:
        """The answer to a request, errors included."""
        try:
            value = self._answer(exchange, match)
        except ApiError as error:
            body = error.body(exchange.correlation_id, smallest=self._smallest)
            return Answer(error.status, body, error.headers)
        if value is None:
            return Answer(204)
        return value if isinstance(value, Answer) else json_answer(value)

    def _answer(self, exchange: Exchange, match: Match[Route] | None) -> Any:
        check_size(exchange)
        return self._found(exchange, match).handle(exchange, *decoded(match))

    def _found(self, exchange: Exchange, match: Match[Route] | None) -> Route:
        """The route; else the 404 of no path, or the 405 of one that has other methods."""
        if match is not None:
            return match.route
        path = exchange.path
        known = path.startswith(f"{self._prefix}/")
        methods = self._table.methods(path[len(self._prefix) :]) if known else []
        if not methods:
            raise ApiError(404, "not.found", "HTTP 404 Not Found")
        allow = {"Allow": ", ".join(methods)}
        raise ApiError(405, "method.not.allowed", "HTTP 405 Method Not Allowed", headers=allow)


def decoded(match: Match[Route] | None) -> tuple[str, ...]:
    """The decoded values in a path."""
    return () if match is None else tuple(map(decode, match.raw_values))


def check_size(exchange: Exchange) -> None:
    """Refuse a body beyond the documented limit with 413."""
    if exchange.too_large:
        limit = {"key": "request.bytes.max", "namespace": "platform.api", "value": MAX_BODY_BYTES}
        message = f"The request is larger than {MAX_BODY_BYTES} bytes"
        raise ApiError(413, "request.entity.too.large", message, limit=limit)
