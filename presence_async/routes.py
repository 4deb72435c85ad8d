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

__all__ = ["ALL_ROUTES", "Route"]

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
        method: HTTP method.
        template: Path with placeholders, the vendor's spelling.
        repeatable: True when sending it twice does no more than sending it once, so
            that it may be sent again although the first may have taken effect.
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


def _get(template: str, *permissions: str, note: str = "") -> Route:
    return Route("GET", template, repeatable=True, permissions=permissions, note=note)


LIST_DEFINITIONS: Final = _get("/api/v2/presence/definitions", "presence:presenceDefinition:view")
CREATE_DEFINITION: Final = Route(
    "POST", "/api/v2/presence/definitions", False, ("presence:presenceDefinition:add",)
)
GET_DEFINITION: Final = _get(
    "/api/v2/presence/definitions/{definitionId}", "presence:presenceDefinition:view"
)
REPLACE_DEFINITION: Final = Route(
    "PUT",
    "/api/v2/presence/definitions/{definitionId}",
    True,
    ("presence:presenceDefinition:edit",),
)
DELETE_DEFINITION: Final = Route(
    "DELETE",
    "/api/v2/presence/definitions/{definitionId}",
    True,
    ("presence:presenceDefinition:delete", "presence:presenceDefinition:edit"),
    needs_all=False,
)

LIST_LEGACY_DEFINITIONS: Final = _get("/api/v2/presencedefinitions")
CREATE_LEGACY_DEFINITION: Final = Route(
    "POST", "/api/v2/presencedefinitions", False, ("presence:presenceDefinition:add",)
)
GET_LEGACY_DEFINITION: Final = _get(
    "/api/v2/presencedefinitions/{presenceId}", "presence:presenceDefinition:view"
)
REPLACE_LEGACY_DEFINITION: Final = Route(
    "PUT",
    "/api/v2/presencedefinitions/{presenceId}",
    True,
    ("presence:presenceDefinition:edit",),
)
DELETE_LEGACY_DEFINITION: Final = Route(
    "DELETE",
    "/api/v2/presencedefinitions/{presenceId}",
    True,
    ("presence:presenceDefinition:delete",),
)

LIST_SYSTEM_PRESENCES: Final = _get("/api/v2/systempresences")

GET_PURECLOUD_PRESENCE: Final = _get("/api/v2/users/{userId}/presences/purecloud")
UPDATE_PURECLOUD_PRESENCE: Final = Route(
    "PATCH", "/api/v2/users/{userId}/presences/purecloud", False, (_EDIT,)
)
GET_PRESENCE: Final = _get("/api/v2/users/{userId}/presences/{sourceId}")
UPDATE_PRESENCE: Final = Route(
    "PATCH", "/api/v2/users/{userId}/presences/{sourceId}", False, (_EDIT,)
)
GET_TEAMS_PRESENCE: Final = _get(
    "/api/v2/users/{userId}/presences/microsoftteams",
    "integration:microsoftTeams:view",
    "integrations:integration:view",
    note=(
        "the vendor removed this operation in April 2022; read Teams presence through "
        "client.users.list(expand=['integrationPresence'], "
        "integration_presence_source='MicrosoftTeams')"
    ),
)
BULK_GET_PURECLOUD: Final = _get("/api/v2/users/presences/purecloud/bulk")
BULK_GET: Final = _get("/api/v2/users/presences/{sourceId}/bulk")
BULK_UPDATE: Final = Route("PUT", "/api/v2/users/presences/bulk", False, (_EDIT,), needs_all=False)
GET_PRIMARY_SOURCE: Final = _get(
    "/api/v2/presence/users/{userId}/primarysource", "presence:userPrimarySource:view"
)
SET_PRIMARY_SOURCE: Final = Route(
    "PUT",
    "/api/v2/presence/users/{userId}/primarysource",
    True,
    ("presence:userPrimarySource:edit",),
)

LIST_SOURCES: Final = _get("/api/v2/presence/sources", "presence:source:view")
CREATE_SOURCE: Final = Route("POST", "/api/v2/presence/sources", False, ("presence:source:add",))
GET_SOURCE: Final = _get("/api/v2/presence/sources/{sourceId}", "presence:source:view")
REPLACE_SOURCE: Final = Route(
    "PUT", "/api/v2/presence/sources/{sourceId}", True, ("presence:source:edit",)
)
DELETE_SOURCE: Final = Route(
    "DELETE",
    "/api/v2/presence/sources/{sourceId}",
    True,
    ("presence:source:delete", "presence:source:edit"),
    needs_all=False,
)

GET_SETTINGS: Final = _get("/api/v2/presence/settings", "presence:settings:view")
REPLACE_SETTINGS: Final = Route(
    "PUT", "/api/v2/presence/settings", True, ("presence:settings:edit",)
)

LIST_USERS: Final = _get("/api/v2/users")
GET_ME: Final = _get("/api/v2/users/me")

# Not repeatable: events have ids, but nobody documents that the vendor ignores a repeat, and
# an older presence must not follow a newer one.
INJECT_EVENTS: Final = Route(
    "POST",
    "/api/v2/events/users/presence",
    False,
    ("presence:userPresence:inject",),
    needs_all=False,
)
INGEST_THIRD_PARTY: Final = Route(
    "PUT",
    "/api/v2/integrations/unifiedcommunications/{ucIntegrationId}/thirdpartypresences",
    False,
    ("integration:presence:edit",),
    needs_all=False,
)

LIST_CHANNELS: Final = _get("/api/v2/notifications/channels")
# Not repeatable: one more channel may push another one out.
CREATE_CHANNEL: Final = Route("POST", "/api/v2/notifications/channels", False)
CHECK_CHANNEL: Final = Route("HEAD", "/api/v2/notifications/channels/{channelId}", True)
LIST_SUBSCRIPTIONS: Final = _get("/api/v2/notifications/channels/{channelId}/subscriptions")
# Adding is repeatable: a topic that is there already is not there twice.
ADD_SUBSCRIPTIONS: Final = Route(
    "POST", "/api/v2/notifications/channels/{channelId}/subscriptions", True
)
REPLACE_SUBSCRIPTIONS: Final = Route(
    "PUT", "/api/v2/notifications/channels/{channelId}/subscriptions", True
)
DELETE_SUBSCRIPTIONS: Final = Route(
    "DELETE", "/api/v2/notifications/channels/{channelId}/subscriptions", True
)
LIST_AVAILABLE_TOPICS: Final = _get("/api/v2/notifications/availabletopics")

TOKEN: Final = Route("POST", "/oauth/token", repeatable=False)
"""The login host's token endpoint; not an API route, so not in `ALL_ROUTES`."""

ALL_ROUTES: Final[tuple[Route, ...]] = tuple(
    route for route in list(globals().values()) if isinstance(route, Route) and route is not TOKEN
)
"""Every API operation of this library."""
