"""The two calls of the Users API that feed a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from presence_async.simulator.definitions import ALL_DIVISIONS, current_json, legacy_json
from presence_async.simulator.errors import ApiError, bad_request
from presence_async.simulator.exchange import Answer, Call, json_answer
from presence_async.simulator.paging import page_json
from presence_async.simulator.people import user_json
from presence_async.simulator.routes import Route

if TYPE_CHECKING:
    from presence_async.simulator.people import User
    from presence_async.simulator.queries import Query

INTEGRATION_SOURCES = ("MicrosoftTeams", "ZoomPhone", "EightByEight", "RingCentral")
_STATES = ("active", "inactive", "deleted", "any")
_WITH_INTEGRATION = 100


@attrs.frozen
class _Expansion:
    """What the caller wants to see beside the plain user."""

    names: frozenset[str]
    integration: str | None

    @property
    def integrated(self) -> bool:
        """Whether integration presences are asked for in either documented way."""
        asked = self.names & {"presence", "integrationPresence"}
        return self.integration is not None and bool(asked)


def _expansion(query: Query) -> _Expansion:
    integration = query.choice("integrationPresenceSource", INTEGRATION_SOURCES)
    return _Expansion(frozenset(query.array("expand")), integration)


def _shape(call: Call, user: User, expansion: _Expansion) -> dict[str, Any]:
    organization = call.organization
    shape = user_json(user, organization.division_json())
    if "presence" in expansion.names:
        visible = organization.visible_presence(user.id)
        shape["presence"] = organization.presence_json(user.id, visible)
    if expansion.integrated and expansion.integration is not None:
        presence = organization.find_presence(user.id, expansion.integration)
        if presence is not None:
            shape["integrationPresence"] = organization.presence_json(user.id, presence)
    return shape


def _list(call: Call) -> Answer:
    query = call.query()
    expansion = _expansion(query)
    number = query.integer("pageNumber", 1)
    size = query.integer("pageSize", 25, call.switches.users_max_page_size)
    if expansion.integrated and size > _WITH_INTEGRATION:
        raise bad_request(f"pageSize is at most {_WITH_INTEGRATION} with integration presences")
    state = query.choice("state", _STATES) or "active"
    order = query.order()
    users = _selected(call, query.array("id"), state)
    if order == "descending":
        users = users[::-1]
    shown = users[(number - 1) * size : number * size]
    entities = [_shape(call, user, expansion) for user in shown]
    return json_answer(page_json(entities, len(users), number, size, "/api/v2/users"))


def _selected(call: Call, ids: list[str], state: str) -> list[User]:
    if not ids:
        return call.organization.user_listing(state)
    known = call.organization.users
    found = [known[user_id] for user_id in dict.fromkeys(ids) if user_id in known]
    matching = [user for user in found if state in ("any", user.state)]
    return sorted(matching, key=lambda user: (user.name, user.id))


def _me(call: Call) -> Answer:
    if call.token.user_id is None:
        raise ApiError(
            400, "not.a.user", "This request requires a user context. Client credentials cannot."
        )
    expansion = _expansion(call.query())
    user = call.organization.user(call.token.user_id)
    shape = _shape(call, user, expansion)
    listing = call.organization.definition_store.listing
    if "presencedefinitions" in expansion.names:
        records = listing(deactivated=False, family="legacy")
        shape["presenceDefinitions"] = [legacy_json(record, None) for record in records]
    if "divisionedpresencedefinitions" in expansion.names:
        records = listing(deactivated=False, family="current")
        visible = (ALL_DIVISIONS, call.organization.division_id)
        shape["divisionedPresenceDefinitions"] = [
            current_json(record, None) for record in records if record.division_id in visible
        ]
    return json_answer(shape)


ROUTES = (
    Route("GET", "/api/v2/users", _list),
    Route("GET", "/api/v2/users/me", _me),
)
