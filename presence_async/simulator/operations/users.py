"""The two calls of the Users API that feed a sweep."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from presence_async.simulator.definitions import ALL_DIVISIONS, current_json, legacy_json
from presence_async.simulator.errors import ApiError, bad_request
from presence_async.simulator.records import user_json
from presence_async.simulator.services import Route

if TYPE_CHECKING:
    from presence_async.simulator.exchange import Call, Query
    from presence_async.simulator.records import User

INTEGRATION_SOURCES = ("MicrosoftTeams", "ZoomPhone", "EightByEight", "RingCentral")
_STATES = ("active", "inactive", "deleted", "any")
_WITH_INTEGRATION = 100


def _expansion(query: Query) -> tuple[frozenset[str], str | None]:
    """What is wanted beside the plain user; integration presences in either documented way."""
    names = frozenset(query.array("expand"))
    integration = query.choice("integrationPresenceSource", INTEGRATION_SOURCES)
    asked = names & {"presence", "integrationPresence"}
    return names, integration if asked else None


def _shape(
    call: Call, user: User, names: frozenset[str], integration: str | None
) -> dict[str, Any]:
    organization = call.organization
    shape = user_json(user, organization.division_json())
    if "presence" in names:
        visible = organization.visible_presence(user.id)
        shape["presence"] = organization.presence_json(user.id, visible)
    if integration is not None:
        presence = organization.find_presence(user.id, integration)
        if presence is not None:
            shape["integrationPresence"] = organization.presence_json(user.id, presence)
    return shape


def _list(call: Call) -> dict[str, Any]:
    query = call.query()
    names, integration = _expansion(query)
    size = query.integer("pageSize", 25, call.switches.users_max_page_size)
    if integration is not None and size > _WITH_INTEGRATION:
        raise bad_request(f"pageSize is at most {_WITH_INTEGRATION} with integration presences")
    users = _selected(call, query.array("id"), query.choice("state", _STATES) or "active")
    if query.order() == "descending":
        users = users[::-1]
    shape = partial(_shape, call, names=names, integration=integration)
    return query.page(users, shape, size, "/api/v2/users")


def _selected(call: Call, ids: list[str], state: str) -> list[User]:
    if not ids:
        return call.organization.user_listing(state)
    known = call.organization.users
    found = [known[user_id] for user_id in dict.fromkeys(ids) if user_id in known]
    matching = [user for user in found if state in ("any", user.state)]
    return sorted(matching, key=lambda user: (user.name, user.id))


def _me(call: Call) -> dict[str, Any]:
    if call.token.user_id is None:
        message = "This request requires a user context. Client credentials cannot."
        raise ApiError(400, "not.a.user", message)
    names, integration = _expansion(call.query())
    user = call.organization.user(call.token.user_id)
    shape = _shape(call, user, names, integration)
    listing = call.organization.definition_store.listing
    if "presencedefinitions" in names:
        records = listing(deactivated=False, family="legacy")
        shape["presenceDefinitions"] = [legacy_json(record, None) for record in records]
    if "divisionedpresencedefinitions" in names:
        records = listing(deactivated=False, family="current")
        visible = (ALL_DIVISIONS, call.organization.division_id)
        shape["divisionedPresenceDefinitions"] = [
            current_json(record, None) for record in records if record.division_id in visible
        ]
    return shape


ROUTES = (
    Route("GET", "/api/v2/users", _list),
    Route("GET", "/api/v2/users/me", _me),
)
