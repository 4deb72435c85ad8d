"""`Control`: the running simulator scripted and looked at from another process, over HTTP.

A port of its own, never part of the API: nothing here imitates the vendor. Names are those of
the Python side. Errors have the form of the API's.
"""

from __future__ import annotations

import logging
import re
import time
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs

from presence_async.simulator.api import check_size, error_answer, unrouted
from presence_async.simulator.bodies import parse_json
from presence_async.simulator.definitions import canonical
from presence_async.simulator.errors import ApiError, bad_request, not_found
from presence_async.simulator.exchange import Answer, Exchange, json_answer
from presence_async.simulator.fault_json import (
    bytes_json,
    fault_json,
    flag,
    number,
    optional,
    read_faults,
    read_object,
    text,
    whole,
)
from presence_async.simulator.faults import FaultPlan
from presence_async.simulator.gate import Gate
from presence_async.simulator.listener import Listener, is_loopback
from presence_async.simulator.paths import Match, PathTable, decode
from presence_async.simulator.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from presence_async.simulator.people import User
    from presence_async.simulator.presences import Presence
    from presence_async.simulator.recorder import RecordedRequest, RouteCount
    from presence_async.simulator.server import Simulator

_log = logging.getLogger("presence_async.simulator")
# Entries of a list, unless more are asked for.
DEFAULT_LIMIT = 100
_LIMIT = re.compile(r"[0-9]{1,9}", re.ASCII)
# Close codes a server may send (RFC 6455, 7.4).
_CLOSE_CODES = range(1000, 5000)
_EVERY = "*"


class Control:
    """The control endpoint of a simulator.

    An async context manager, for example
    `async with Simulator() as simulator, Control(simulator) as control`. There are no
    credentials: whoever reaches the port may do everything.

    Args:
        simulator: What it controls.
        host: Address to listen on. Beyond loopback it warns.
        port: Port to listen on, 0 for any.
    """

    def __init__(self, simulator: Simulator, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._simulator = simulator
        self._host = host
        self._service = _Service(simulator, self.announcement)
        gate = Gate(
            service=self._service,
            # Requests to this port are neither kept nor spoilt.
            recorder=Recorder(0, time.monotonic),
            faults=FaultPlan(0, ()),
            seed=0,
            host="control",
        )
        self._listener = Listener(gate, host, port, None, "")

    @property
    def url(self) -> str:
        """Its base address, once started."""
        return self._listener.url

    def announcement(self) -> dict[str, Any]:
        """Return what the simulator announces, and `control_url`."""
        return {**self._simulator.announcement(), "control_url": self.url}

    async def start(self) -> None:
        """Open the port.

        Raises:
            OSError: If it cannot be opened.
        """
        if not is_loopback(self._host):
            _log.warning(
                "THE CONTROL ENDPOINT LISTENS ON %s, BEYOND THIS MACHINE. Whoever reaches it "
                "decides what the simulator does.",
                self._host,
            )
        await self._listener.start()

    async def aclose(self) -> None:
        """Close the port at once, requests in flight included; again is harmless."""
        await self._listener.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


@attrs.frozen
class _Resource:
    """One operation of the control endpoint."""

    method: str
    template: str
    handle: Callable[[Exchange, tuple[str, ...]], Answer]


class _Service:
    """What answers behind the port, through the public face of the simulator only."""

    def __init__(self, simulator: Simulator, announcement: Callable[[], dict[str, Any]]) -> None:
        self._simulator = simulator
        self._announcement = announcement
        self._table: PathTable[_Resource] = PathTable()
        sockets = simulator.sockets
        resources = [
            _Resource("GET", "/", self._announce),
            _Resource("GET", "/switches", self._switches),
            _Resource("GET", "/faults", self._pending),
            _Resource("POST", "/faults", self._arm),
            _Resource("DELETE", "/faults", self._disarm),
            _Resource("GET", "/requests", self._requests),
            _Resource("DELETE", "/requests", self._forget),
            _Resource("GET", "/counts", self._counts),
            _Resource("POST", "/tokens", self._issue),
            _Resource("POST", "/tokens/revoke", self._revoke),
            _Resource("GET", "/users", self._users),
            _Resource("PUT", "/users/{userId}/presence", self._put_presence),
            _Resource("GET", "/channels", self._connected),
            _Resource("POST", "/channels/{channelId}/close", self._close),
        ]
        for disturb in (sockets.notice, sockets.drop, sockets.freeze, sockets.expire):
            template = f"/channels/{{channelId}}/{disturb.__name__}"
            resources.append(_Resource("POST", template, partial(self._disturb, disturb)))
        for resource in resources:
            self._table.add(resource.method, resource.template, resource)

    def match(self, method: str, path: str) -> Match[_Resource] | None:
        """Return the operation of a method and raw path, or None."""
        return self._table.match(method, path)

    def label(self, headers: Mapping[str, str]) -> str | None:  # noqa: ARG002  shared protocol
        """Return None: there are no tokens here."""
        return None

    def answer(self, exchange: Exchange, match: Match[_Resource] | None) -> Answer:
        """Return the answer to a request, errors as `ErrorBody`."""
        try:
            check_size(exchange)
            if match is None:
                raise unrouted(self._table, exchange.path)
            return match.route.handle(exchange, tuple(map(decode, match.raw_values)))
        except ApiError as error:
            return error_answer(error, exchange.correlation_id)

    def _announce(self, _: Exchange, __: tuple[str, ...]) -> Answer:
        return json_answer(self._announcement())

    def _switches(self, _: Exchange, __: tuple[str, ...]) -> Answer:
        return json_answer(attrs.asdict(self._simulator.switches))

    def _pending(self, _: Exchange, __: tuple[str, ...]) -> Answer:
        return json_answer([fault_json(fault) for fault in self._simulator.faults.pending])

    def _arm(self, exchange: Exchange, _: tuple[str, ...]) -> Answer:
        faults = read_faults(parse_json(exchange.body), self._simulator.routes)
        self._simulator.faults.add(*faults)
        return json_answer([fault_json(fault) for fault in faults], 201)

    def _disarm(self, _: Exchange, __: tuple[str, ...]) -> Answer:
        self._simulator.faults.clear()
        return Answer(204)

    def _requests(self, exchange: Exchange, _: tuple[str, ...]) -> Answer:
        kept = self._simulator.requests
        first = max(0, len(kept) - _limit(exchange))
        return json_answer([_request_json(request) for request in islice(kept, first, None)])

    def _forget(self, _: Exchange, __: tuple[str, ...]) -> Answer:
        self._simulator.requests.clear()
        return Answer(204)

    def _counts(self, _: Exchange, __: tuple[str, ...]) -> Answer:
        return json_answer([_count_json(route) for route in self._simulator.counts()])

    def _issue(self, exchange: Exchange, _: tuple[str, ...]) -> Answer:
        fields = read_object(parse_json(exchange.body or b"{}"), _TOKEN)
        user_id = fields.get("user_id")
        if user_id is not None and user_id not in self._simulator.organization.users:
            raise bad_request("user_id names no user")
        try:
            token = self._simulator.issue_token(**fields)
        except ValueError:
            raise bad_request("client_id names no client") from None
        return json_answer({"access_token": token}, 201)

    def _revoke(self, _: Exchange, __: tuple[str, ...]) -> Answer:
        self._simulator.revoke_tokens()
        return Answer(204)

    def _users(self, exchange: Exchange, _: tuple[str, ...]) -> Answer:
        users = islice(self._simulator.organization.users.values(), _limit(exchange))
        return json_answer([self._user_json(user) for user in users])

    def _put_presence(self, exchange: Exchange, path: tuple[str, ...]) -> Answer:
        organization = self._simulator.organization
        user = organization.user(path[0])
        fields = read_object(parse_json(exchange.body), _PRESENCE)
        chosen = [name for name in ("definition_id", "system_presence") if name in fields]
        if len(chosen) != 1:
            raise bad_request("one of definition_id and system_presence is required")
        definition_id = fields.pop(chosen[0])
        if chosen == ["system_presence"]:
            definition_id = organization.definition_store.built_in(definition_id).id
        definition = organization.definitions.get(definition_id)
        if definition is None or definition.deactivated:
            raise bad_request(f"{chosen[0]} names no definition in use")
        return json_answer(
            self._presence_json(organization.set_presence(user.id, definition_id, **fields))
        )

    def _connected(self, _: Exchange, __: tuple[str, ...]) -> Answer:
        return json_answer(self._simulator.sockets.connected)

    def _close(self, exchange: Exchange, path: tuple[str, ...]) -> Answer:
        fields = read_object(parse_json(exchange.body or b"{}"), {"code": _close_code})
        return self._disturb(partial(self._simulator.sockets.close, **fields), exchange, path)

    def _disturb(
        self, disturb: Callable[[str | None], int], _: Exchange, path: tuple[str, ...]
    ) -> Answer:
        channel_id = None if path[0] == _EVERY else path[0]
        struck = disturb(channel_id)
        if channel_id is not None and not struck:
            raise not_found("channel", channel_id)
        return json_answer({"struck": struck})

    def _user_json(self, user: User) -> dict[str, Any]:
        presence = self._simulator.organization.visible_presence(user.id)
        return {**attrs.asdict(user), "presence": self._presence_json(presence)}

    def _presence_json(self, presence: Presence) -> dict[str, Any]:
        definition = self._simulator.organization.definitions[presence.definition_id]
        return {
            "source": presence.source,
            "definition_id": definition.id,
            "system_presence": definition.system_presence,
            "message": presence.message,
        }


def _limit(exchange: Exchange) -> int:
    """Return the `limit` of a query, which may hold nothing else."""
    limit = DEFAULT_LIMIT
    for pair in filter(None, exchange.query.split("&")):
        name, _, value = map(decode, pair.partition("="))
        if name != "limit":
            raise bad_request(f"{name[:100]} is unknown; there is: limit")
        if not _LIMIT.fullmatch(value):
            raise bad_request("limit must be a whole number from 0 to 999999999")
        limit = int(value)
    return limit


def _request_json(request: RecordedRequest) -> dict[str, Any]:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key, shown = str(name), _clean(value)  # names are of a subclass of str
        headers[key] = f"{headers[key]}, {shown}" if key in headers else shown
    return {
        "method": request.method,
        "target": _clean(request.target),
        "path_template": request.path_template,
        "headers": headers,
        "body": bytes_json(request.body),
        "token_label": request.token_label,
        "received_at": request.received_at,
        "ended_at": request.ended_at,
        "status": request.status,
        "fault": None if request.fault is None else fault_json(request.fault),
    }


def _count_json(route: RouteCount) -> dict[str, Any]:
    return {
        "method": route.method,
        "path_template": route.path_template,
        "requests": route.requests,
        "statuses": {str(status): count for status, count in route.statuses.items()},
        "unanswered": route.unanswered,
    }


def _clean(wire: str) -> str:
    """Return text without the surrogates that the HTTP parser makes of bytes outside UTF-8."""
    return wire.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _filled(value: Any, where: str) -> str:
    if not text(value, where):
        raise bad_request(f"{where} must not be empty")
    return text(value, where)


def _system_presence(value: Any, where: str) -> str:
    name = text(value, where)
    try:
        return canonical(name)
    except ApiError:
        raise bad_request(f"{where} must be a system presence") from None


def _lifetime(value: Any, where: str) -> float:
    if number(value, where) < 0:
        raise bad_request(f"{where} must not be negative")
    return number(value, where)


def _permissions(value: Any, where: str) -> list[str]:
    if not isinstance(value, list):
        raise bad_request(f"{where} must be an array of strings")
    return [text(entry, f"{where}[{index}]") for index, entry in enumerate(value)]


def _close_code(value: Any, where: str) -> int:
    if whole(value, where) not in _CLOSE_CODES:
        raise bad_request(f"{where} must be from {_CLOSE_CODES[0]} to {_CLOSE_CODES[-1]}")
    return whole(value, where)


_TOKEN = {
    "client_id": optional(text),
    "user_id": optional(text),
    "permissions": optional(_permissions),
    "lifetime": optional(_lifetime),
}
_PRESENCE = {
    "definition_id": text,
    "system_presence": _system_presence,
    "source": _filled,
    "message": text,
    "primary": flag,
}
