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

from presence_async.simulator.definitions import canonical
from presence_async.simulator.errors import ApiError, bad_request, not_found
from presence_async.simulator.exchange import Answer, Exchange, json_answer, parse_json
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
from presence_async.simulator.paths import decode
from presence_async.simulator.ports import Listener, is_loopback
from presence_async.simulator.recorder import Recorder
from presence_async.simulator.services import Route, Service

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from presence_async.simulator.recorder import RecordedRequest, RouteCount
    from presence_async.simulator.records import Presence
    from presence_async.simulator.server import Simulator

_log = logging.getLogger("presence_async.simulator")
# Entries of a list, unless more are asked for.
DEFAULT_LIMIT = 100
_LIMIT = re.compile(r"[0-9]{1,9}", re.ASCII)
# Close codes a server may send (RFC 6455, 7.4).
_CLOSE_CODES = range(1000, 5000)
_EVERY = "*"


class Control:
    """The control endpoint of a simulator, an async context manager inside its own.

    There are no credentials: whoever reaches the port may do everything. Beyond loopback it warns.
    """

    def __init__(self, simulator: Simulator, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._simulator = simulator
        self._host = host
        gate = Gate(
            service=_Service(simulator, self.announcement),
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
        """What the simulator announces, and `control_url`."""
        return {**self._simulator.announcement(), "control_url": self.url}

    async def start(self) -> None:
        """Open the port; OSError if it cannot be opened."""
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


class _Service(Service):
    """What answers behind the port, through the public face of the simulator only."""

    def __init__(self, simulator: Simulator, announcement: Callable[[], dict[str, Any]]) -> None:
        self._simulator = simulator
        sockets, faults, requests = simulator.sockets, simulator.faults, simulator.requests
        routes = [
            Route("GET", "/", lambda _: announcement()),
            Route("GET", "/switches", lambda _: attrs.asdict(simulator.switches)),
            Route("GET", "/faults", lambda _: [fault_json(fault) for fault in faults.pending]),
            Route("POST", "/faults", self._arm),
            Route("DELETE", "/faults", lambda _: faults.clear()),
            Route("GET", "/requests", self._requests),
            Route("DELETE", "/requests", lambda _: requests.clear()),
            Route("GET", "/counts", lambda _: [_count_json(one) for one in simulator.counts()]),
            Route("POST", "/tokens", self._issue),
            Route("POST", "/tokens/revoke", lambda _: simulator.revoke_tokens()),
            Route("GET", "/users", self._users),
            Route("PUT", "/users/{userId}/presence", self._put_presence),
            Route("GET", "/channels", lambda _: sockets.connected),
            Route("POST", "/channels/{channelId}/close", self._close),
        ]
        for disturb in (sockets.notice, sockets.drop, sockets.freeze, sockets.expire):
            template = f"/channels/{{channelId}}/{disturb.__name__}"
            routes.append(Route("POST", template, partial(_disturb, disturb)))
        super().__init__(routes)

    def _arm(self, exchange: Exchange) -> Answer:
        faults = read_faults(parse_json(exchange.body), self._simulator.routes)
        self._simulator.faults.add(*faults)
        return json_answer([fault_json(fault) for fault in faults], 201)

    def _requests(self, exchange: Exchange) -> list[dict[str, Any]]:
        kept = self._simulator.requests
        first = max(0, len(kept) - _limit(exchange))
        return [_request_json(request) for request in islice(kept, first, None)]

    def _issue(self, exchange: Exchange) -> Answer:
        fields = read_object(parse_json(exchange.body or b"{}"), _TOKEN)
        user_id = fields.get("user_id")
        if user_id is not None and user_id not in self._simulator.organization.users:
            raise bad_request("user_id names no user")
        try:
            token = self._simulator.issue_token(**fields)
        except ValueError:
            raise bad_request("client_id names no client") from None
        return json_answer({"access_token": token}, 201)

    def _users(self, exchange: Exchange) -> list[dict[str, Any]]:
        organization = self._simulator.organization
        return [
            attrs.asdict(user)
            | {"presence": self._presence_json(organization.visible_presence(user.id))}
            for user in islice(organization.users.values(), _limit(exchange))
        ]

    def _put_presence(self, exchange: Exchange, user_id: str) -> dict[str, Any]:
        organization = self._simulator.organization
        organization.user(user_id)
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
        return self._presence_json(organization.set_presence(user_id, definition_id, **fields))

    def _close(self, exchange: Exchange, channel_id: str) -> dict[str, int]:
        fields = read_object(parse_json(exchange.body or b"{}"), {"code": _close_code})
        return _disturb(partial(self._simulator.sockets.close, **fields), exchange, channel_id)

    def _presence_json(self, presence: Presence) -> dict[str, Any]:
        definition = self._simulator.organization.definitions[presence.definition_id]
        return {
            "source": presence.source,
            "definition_id": definition.id,
            "system_presence": definition.system_presence,
            "message": presence.message,
        }


def _disturb(disturb: Callable[[str | None], int], _: Exchange, channel_id: str) -> dict[str, int]:
    every = channel_id == _EVERY
    struck = disturb(None if every else channel_id)
    if not every and not struck:
        raise not_found("channel", channel_id)
    return {"struck": struck}


def _limit(exchange: Exchange) -> int:
    """The `limit` of a query, which may hold nothing else."""
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
    return attrs.asdict(request, recurse=False) | {
        "target": _clean(request.target),
        "headers": headers,
        "body": bytes_json(request.body),
        "fault": None if request.fault is None else fault_json(request.fault),
    }


def _count_json(route: RouteCount) -> dict[str, Any]:
    statuses = {str(status): count for status, count in route.statuses.items()}
    shape = attrs.asdict(route, recurse=False)
    return shape | {"statuses": statuses, "unanswered": route.unanswered}


def _clean(wire: str) -> str:
    """Text without the surrogates that the HTTP parser makes of bytes outside UTF-8."""
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
