"""The operations as data: method, path, whether they may be repeated, permissions. Pure.

Facts from the vendor's SDK metadata (Python SDK 269.0.0, JavaScript and iOS docs) and the
announcement PURE-4184 (other users' presence needs `presence:userPresence:edit`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from presence_async.wire import Request, path_value, query_string

if TYPE_CHECKING:
    from collections.abc import Iterable

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


_SNAKE: Final = {
    "userId": "user_id",
    "sourceId": "source_id",
    "definitionId": "definition_id",
    "presenceId": "presence_id",
    "ucIntegrationId": "uc_integration_id",
    "channelId": "channel_id",
}


@attrs.frozen(eq=False)
class Route:
    """One operation of the API.

    Attributes:
        template: Path with placeholders, the vendor's spelling.
        repeatable: Whether it may be sent again although the first may have taken effect.
        permissions: Permissions the vendor documents for it.
        needs_all: All of them, or any one.
        note: A fact a caller should hear when the operation answers 404.
    """

    method: Method
    template: str
    repeatable: bool
    permissions: tuple[str, ...] = ()
    needs_all: bool = True
    note: str = ""
    # The template as a format, and the argument name of each of its placeholders.
    _format: str = attrs.field(init=False, repr=False)
    _names: tuple[str, ...] = attrs.field(init=False, repr=False)

    @_format.default
    def _formatted(self) -> str:
        return _PLACEHOLDER.sub("%s", self.template)

    @_names.default
    def _named(self) -> tuple[str, ...]:
        return tuple(_SNAKE.get(name, name) for name in _PLACEHOLDER.findall(self.template))

    @property
    def writes(self) -> bool:
        """True when the operation changes something."""
        return self.method not in {"GET", "HEAD"}

    def request(
        self,
        *values: Any,
        query: Iterable[tuple[str, str]] | None = None,
        body: bytes | None = None,
    ) -> Request:
        """The request with `values` in place of the placeholders, in their order.

        Raises:
            InvalidRequestError: A value that cannot stand in a path; `field` names it.
        """
        target = self._format % tuple(map(path_value, self._names, values))
        if query is not None:
            target += query_string(query)
        return Request(self, target, body)


_EDIT: Final = "presence:userPresence:edit"
# Sent twice they do no more than sent once, unless a route says otherwise.
_REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})


def _route(
    method: Method,
    path: str,
    *permissions: str,
    repeatable: bool | None = None,
    needs_all: bool = True,
    note: str = "",
) -> Route:
    if repeatable is None:
        repeatable = method in _REPEATABLE
    return Route(method, f"/api/v2{path}", repeatable, permissions, needs_all, note)


_DEFINITIONS: Final = "/presence/definitions"
_DEFINITION: Final = "/presence/definitions/{definitionId}"
LIST_DEFINITIONS: Final = _route("GET", _DEFINITIONS, "presence:presenceDefinition:view")
CREATE_DEFINITION: Final = _route("POST", _DEFINITIONS, "presence:presenceDefinition:add")
GET_DEFINITION: Final = _route("GET", _DEFINITION, "presence:presenceDefinition:view")
REPLACE_DEFINITION: Final = _route("PUT", _DEFINITION, "presence:presenceDefinition:edit")
DELETE_DEFINITION: Final = _route(
    "DELETE",
    _DEFINITION,
    "presence:presenceDefinition:delete",
    "presence:presenceDefinition:edit",
    needs_all=False,
)

_LEGACY: Final = "/presencedefinitions/{presenceId}"
LIST_LEGACY_DEFINITIONS: Final = _route("GET", "/presencedefinitions")
CREATE_LEGACY_DEFINITION: Final = _route(
    "POST", "/presencedefinitions", "presence:presenceDefinition:add"
)
GET_LEGACY_DEFINITION: Final = _route("GET", _LEGACY, "presence:presenceDefinition:view")
REPLACE_LEGACY_DEFINITION: Final = _route("PUT", _LEGACY, "presence:presenceDefinition:edit")
DELETE_LEGACY_DEFINITION: Final = _route("DELETE", _LEGACY, "presence:presenceDefinition:delete")

LIST_SYSTEM_PRESENCES: Final = _route("GET", "/systempresences")

_PURECLOUD: Final = "/users/{userId}/presences/purecloud"
_PRESENCE: Final = "/users/{userId}/presences/{sourceId}"
GET_PURECLOUD_PRESENCE: Final = _route("GET", _PURECLOUD)
UPDATE_PURECLOUD_PRESENCE: Final = _route("PATCH", _PURECLOUD, _EDIT)
GET_PRESENCE: Final = _route("GET", _PRESENCE)
UPDATE_PRESENCE: Final = _route("PATCH", _PRESENCE, _EDIT)
GET_TEAMS_PRESENCE: Final = _route(
    "GET",
    "/users/{userId}/presences/microsoftteams",
    "integration:microsoftTeams:view",
    "integrations:integration:view",
    note=(
        "the vendor removed this operation in April 2022; read Teams presence through "
        "client.users.list(expand=['integrationPresence'], "
        "integration_presence_source='MicrosoftTeams')"
    ),
)
BULK_GET_PURECLOUD: Final = _route("GET", "/users/presences/purecloud/bulk")
BULK_GET: Final = _route("GET", "/users/presences/{sourceId}/bulk")
BULK_UPDATE: Final = _route(
    "PUT", "/users/presences/bulk", _EDIT, repeatable=False, needs_all=False
)
_PRIMARY: Final = "/presence/users/{userId}/primarysource"
GET_PRIMARY_SOURCE: Final = _route("GET", _PRIMARY, "presence:userPrimarySource:view")
SET_PRIMARY_SOURCE: Final = _route("PUT", _PRIMARY, "presence:userPrimarySource:edit")

_SOURCE: Final = "/presence/sources/{sourceId}"
LIST_SOURCES: Final = _route("GET", "/presence/sources", "presence:source:view")
CREATE_SOURCE: Final = _route("POST", "/presence/sources", "presence:source:add")
GET_SOURCE: Final = _route("GET", _SOURCE, "presence:source:view")
REPLACE_SOURCE: Final = _route("PUT", _SOURCE, "presence:source:edit")
DELETE_SOURCE: Final = _route(
    "DELETE", _SOURCE, "presence:source:delete", "presence:source:edit", needs_all=False
)

GET_SETTINGS: Final = _route("GET", "/presence/settings", "presence:settings:view")
REPLACE_SETTINGS: Final = _route("PUT", "/presence/settings", "presence:settings:edit")

LIST_USERS: Final = _route("GET", "/users")
GET_ME: Final = _route("GET", "/users/me")

# Not repeatable: events have ids, but nobody documents that the vendor ignores a repeat, and
# an older presence must not follow a newer one.
INJECT_EVENTS: Final = _route(
    "POST", "/events/users/presence", "presence:userPresence:inject", needs_all=False
)
INGEST_THIRD_PARTY: Final = _route(
    "PUT",
    "/integrations/unifiedcommunications/{ucIntegrationId}/thirdpartypresences",
    "integration:presence:edit",
    repeatable=False,
    needs_all=False,
)

_CHANNELS: Final = "/notifications/channels"
_SUBSCRIPTIONS: Final = "/notifications/channels/{channelId}/subscriptions"
LIST_CHANNELS: Final = _route("GET", _CHANNELS)
# Not repeatable: one more channel may push another one out.
CREATE_CHANNEL: Final = _route("POST", _CHANNELS)
CHECK_CHANNEL: Final = _route("HEAD", "/notifications/channels/{channelId}")
LIST_SUBSCRIPTIONS: Final = _route("GET", _SUBSCRIPTIONS)
# Repeatable: a topic that is there already is not there twice.
ADD_SUBSCRIPTIONS: Final = _route("POST", _SUBSCRIPTIONS, repeatable=True)
REPLACE_SUBSCRIPTIONS: Final = _route("PUT", _SUBSCRIPTIONS)
DELETE_SUBSCRIPTIONS: Final = _route("DELETE", _SUBSCRIPTIONS)
LIST_AVAILABLE_TOPICS: Final = _route("GET", "/notifications/availabletopics")

TOKEN: Final = Route("POST", "/oauth/token", repeatable=False)
"""The login host's token endpoint; not an API route, so not in `ALL_ROUTES`."""

ALL_ROUTES: Final[tuple[Route, ...]] = tuple(
    route for route in list(globals().values()) if isinstance(route, Route) and route is not TOKEN
)
"""Every API operation of this library."""
