"""The values that pass between the HTTP side and the two services: request, call, answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import orjson

from presence_async.simulator.bodies import Fields, parse_json
from presence_async.simulator.queries import Query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiohttp import web

    from presence_async.simulator.channels import Channels
    from presence_async.simulator.oauth import AccessToken
    from presence_async.simulator.organization import Organization
    from presence_async.simulator.switches import Switches

# The default of `request.bytes.max` on the vendor's limits page.
MAX_BODY_BYTES = 512_000


@attrs.frozen
class Exchange:
    """One request as it came: the target is raw, the body whole or known to be too large."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    too_large: bool
    correlation_id: str


@attrs.frozen
class Call:
    """What an operation gets: decoded path values, lazily read query and body."""

    organization: Organization
    channels: Channels
    switches: Switches
    token: AccessToken
    path: tuple[str, ...]
    exchange: Exchange

    def query(self) -> Query:
        """Return the query; ApiError 400 if it cannot be decoded."""
        return Query(self.exchange.query, self.switches)

    def json(self) -> Any:
        """Return the JSON body; ApiError 400 if it is not JSON."""
        return parse_json(self.exchange.body)

    def fields(self) -> Fields:
        """Return the JSON body, which must be an object; ApiError 400 otherwise."""
        return Fields(self.json(), self.switches)

    def user_id(self, raw: str) -> str:
        """Return a user id of a request, `me` resolved if the switch allows it."""
        if raw == "me" and self.switches.user_me and self.token.user_id is not None:
            return self.token.user_id
        return raw


@attrs.frozen
class Answer:
    """One response: a status, a body and what goes beyond the usual headers.

    Attributes:
        status: HTTP status.
        body: The body.
        headers: What goes beyond the usual headers, or replaces them.
        upgrade: With status 101: turns the request into a WebSocket and serves it to its
            end. Its second argument says that the socket is to be half-open: upgraded, and
            silent from then on. Returns None for a connection that is to stay as it is
            until the client leaves.
    """

    status: int
    body: bytes = attrs.field(default=b"", repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict)
    upgrade: Callable[[web.BaseRequest, bool], Awaitable[web.StreamResponse | None]] | None = None


def json_answer(value: Any, status: int = 200) -> Answer:
    """Return an answer with a JSON body."""
    return Answer(status, orjson.dumps(value))
