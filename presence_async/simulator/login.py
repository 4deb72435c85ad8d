"""The login service: token endpoint and authorize page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import attrs

from presence_async.simulator.api import (
    check_size,
    error_answer,
    media_type,
    unrouted,
)
from presence_async.simulator.errors import ApiError
from presence_async.simulator.exchange import Answer, Exchange, json_answer
from presence_async.simulator.grants import Grants
from presence_async.simulator.oauth import TokenError
from presence_async.simulator.paths import Match, PathTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from presence_async.simulator.oauth import Authority

TOKEN_TEMPLATE = "/oauth/token"  # noqa: S105  a path, not a secret
_MAX_FIELDS = 50


@attrs.frozen
class Page:
    """One address of the login server."""

    method: str
    template: str
    handle: Callable[[Exchange], Answer]

    @property
    def key(self) -> str:
        """Method and template, the way faults name a route."""
        return f"{self.method} {self.template}"


class Login:
    """Everything behind the login address.

    Args:
        authority: Clients, codes and tokens.
        prefix: Path prefix of a gateway, empty for none.
    """

    def __init__(self, authority: Authority, prefix: str) -> None:
        self._grants = Grants(authority)
        self._prefix = prefix
        self._table: PathTable[Page] = PathTable()
        self.route_keys: list[str] = []
        pages = (
            Page("POST", TOKEN_TEMPLATE, self._token),
            Page("GET", "/oauth/authorize", self._authorize),
        )
        for page in pages:
            self._table.add(page.method, page.template, page)
            self.route_keys.append(page.key)

    def match(self, method: str, path: str) -> Match[Page] | None:
        """Return the page of a method and raw path, or None."""
        if not path.startswith(f"{self._prefix}/"):
            return None
        return self._table.match(method, path[len(self._prefix) :])

    def label(self, headers: Mapping[str, str]) -> str | None:  # noqa: ARG002  shared protocol
        """Return None: requests to the login server carry no token."""
        return None

    def answer(self, exchange: Exchange, match: Match[Page] | None) -> Answer:
        """Return the answer to a request; only the two pages have bodies of their own kind."""
        try:
            check_size(exchange)
            if match is None:
                raise unrouted(self._table, exchange.path, self._prefix)
            return match.route.handle(exchange)
        except ApiError as error:
            return error_answer(error, exchange.correlation_id)
        except TokenError as error:
            return json_answer(error.body(), error.status)

    def _token(self, exchange: Exchange) -> Answer:
        if media_type(exchange) != "application/x-www-form-urlencoded":
            raise TokenError(400, "invalid_request", "the body must be form-encoded")
        form = _pairs(exchange.body)
        return json_answer(self._grants.token(form, exchange.headers.get("Authorization")))

    def _authorize(self, exchange: Exchange) -> Answer:
        query = _pairs(exchange.query.encode("utf-8", "surrogateescape"))
        return Answer(302, headers={"Location": self._grants.authorize(query)})


def _pairs(encoded: bytes) -> dict[str, str]:
    """Return form fields or query parameters.

    Raises:
        TokenError: 400 for bytes that are not UTF-8, and for a field given twice (RFC 6749,
            3.2).
    """
    try:
        text = encoded.decode()
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise TokenError(400, "invalid_request", "the parameters are malformed") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise TokenError(400, "invalid_request", "a parameter is given twice")
    return fields
