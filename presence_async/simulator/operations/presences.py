"""Presences of one user (the purecloud and the ad hoc path) and of many (the bulk operations)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from presence_async.simulator.definitions import ON_QUEUE
from presence_async.simulator.errors import DEFAULT_CODES, ApiError, bad_request, not_found
from presence_async.simulator.exchange import Fields
from presence_async.simulator.paths import encode
from presence_async.simulator.records import PURECLOUD, source_key
from presence_async.simulator.services import Route, needs_all, needs_any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from presence_async.simulator.exchange import Call

BULK_GET_IDS = 50
_EDITS = needs_any("presence:userPresence:edit")
_SEES_TEAMS = needs_all("integration:microsoftTeams:view", "integrations:integration:view")
_ON_QUEUE = needs_all("routing:agent:onqueue")


@attrs.frozen(kw_only=True)
class _Draft:
    """What a body asks for: any of a definition, a message and the primary flag."""

    definition_id: str | None
    message: str | None
    primary: bool

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for."""
        return self.definition_id is None and self.message is None and not self.primary


def _read_draft(call: Call, fields: Fields) -> _Draft:
    """The change a UserPresence or MutableUserPresence body asks for; or ApiError."""
    fields.check_texts("id", "name", "source", "sourceId", "selfUri")
    fields.check_date("modifiedDate")
    primary = fields.flag("primary")
    if primary is False and call.switches.primary_false == "reject":
        raise bad_request("primary can only be set to true")
    message = fields.text("message")
    check_message(call, message)
    definition_id = _definition_id(call, fields)
    return _Draft(definition_id=definition_id, message=message, primary=bool(primary))


def check_message(call: Call, message: str | None) -> None:
    """Refuse a message that is too long with 400; there is a limit by switch only."""
    limit = call.switches.message_limit
    if message is not None and limit is not None and len(message) > limit:
        raise bad_request(f"message is longer than {limit} characters")


def _definition_id(call: Call, fields: Fields) -> str | None:
    reference = fields.object("presenceDefinition")
    if reference is None:
        return None
    reference.check_texts("systemPresence", "selfUri")
    definition_id = reference.required_text("id")
    definition = call.organization.usable_definition(definition_id)
    if definition.system_presence == ON_QUEUE and call.switches.on_queue_needs_permission:
        _ON_QUEUE.check(call.token.permissions)
    return definition_id


def _apply(call: Call, user_id: str, source: str, change: _Draft) -> dict[str, Any]:
    """A presence after a change, if there is any.

    Users cannot grant themselves what the settings make a matter of asking: leaving the queue.
    """
    organization, definition_id, future = call.organization, change.definition_id, None
    if change.empty:
        return organization.presence_json(user_id, organization.presence(user_id, source))
    own = user_id == call.token.user_id
    if own and definition_id and organization.must_ask(user_id, definition_id, source):
        definition_id, future = None, definition_id
    presence = organization.set_presence(
        user_id,
        definition_id,
        source=source,
        message=change.message,
        primary=change.primary,
        future_definition_id=future,
    )
    return organization.presence_json(user_id, presence)


def _source(call: Call) -> str:
    """The source of the path: since December 2022 no registered one, for ad hoc names."""
    source = call.path[1] if len(call.path) > 1 else PURECLOUD
    if source_key(source) in call.organization.sources:  # their ids are in lower case
        status = call.switches.registered_source_status
        message = f"Registered sources are not supported here [{source}]"
        raise ApiError(status, DEFAULT_CODES[status], message)
    return source


def _get(call: Call) -> dict[str, Any]:
    source, user_id = _source(call), call.user_id(call.path[0])
    return call.organization.presence_json(user_id, call.organization.presence(user_id, source))


def _patch(call: Call) -> dict[str, Any]:
    source, user_id = _source(call), call.user_id(call.path[0])
    # Since 20 July 2025 changing somebody else's presence needs the permission (PURE-4184).
    if user_id != call.token.user_id:
        _EDITS.check(call.token.permissions)
    call.organization.user(user_id)
    fields = call.fields()
    fields.check_read_only("id", "selfUri", "futurePresenceDefinition")
    change = _read_draft(call, fields)
    if change.empty and call.switches.empty_patch == "reject":
        raise bad_request("At least one change is required")
    return _apply(call, user_id, source, change)


def _bulk_ids(call: Call) -> Iterable[str]:
    ids = call.query().array("id")
    switches = call.switches
    if not ids and switches.bulk_get_no_ids == "reject":
        raise bad_request("id is required")
    if len(ids) > BULK_GET_IDS and switches.bulk_get_over_limit == "reject":
        raise bad_request(f"At most {BULK_GET_IDS} ids are allowed, got {len(ids)}")
    if switches.bulk_get_over_limit == "truncate":
        ids = ids[:BULK_GET_IDS]
    return dict.fromkeys(ids)


def _get_bulk(call: Call) -> list[dict[str, Any]]:
    organization = call.organization
    source = call.path[0] if call.path else PURECLOUD
    if not call.switches.bulk_other_sources and source.casefold() != "purecloud":
        raise not_found("path", call.exchange.path)
    answer = []
    for user_id in _bulk_ids(call):
        if user_id not in organization.users:
            if call.switches.bulk_get_unknown == "reject":
                raise not_found("user", user_id)
            continue
        presence = organization.find_presence(user_id, source)
        if presence is not None:
            shape = organization.presence_json(user_id, presence)
            shape["userId"] = user_id
            answer.append(shape)
    return answer


def _put_bulk(call: Call) -> list[dict[str, Any]]:
    items = call.items()
    limit = call.switches.bulk_put_limit
    if limit is not None and len(items) > limit:
        raise bad_request(f"At most {limit} items are allowed, got {len(items)}")
    # All items are judged before the first one changes anything.
    changes = []
    for item in items:
        try:
            changes.append(_item(call, item))
        except ApiError:
            if not call.switches.bulk_put_partial:
                raise
    return [_apply(call, *change) for change in changes]


def _item(call: Call, value: Any) -> tuple[str, str, _Draft]:
    """User, source and change of one item; ApiError for a bad one."""
    fields = Fields(value, call.switches, "item")
    fields.check_read_only("selfUri", "futurePresenceDefinition")
    user_id = fields.text("id") or call.token.user_id
    if user_id is None or (fields.text("id") is None and call.switches.bulk_put_id_required):
        raise bad_request("item.id is required")
    user_id = call.user_id(user_id)
    organization = call.organization
    organization.user(user_id)
    source = fields.text("sourceId") or fields.text("source") or PURECLOUD
    if source in organization.sources:
        organization.source_store.usable(source)
    change = _read_draft(call, fields)
    if change.definition_id is None:
        organization.presence(user_id, source)
    return user_id, source, change


def _get_teams(call: Call) -> dict[str, Any]:
    user_id = call.user_id(call.path[0])
    call.organization.user(user_id)
    return {
        "id": user_id,
        "presences": call.organization.presences_json(user_id),
        "outOfOffices": [],
        "selfUri": f"/api/v2/users/{encode(user_id)}/presences/microsoftteams",
    }


_PURECLOUD = "/api/v2/users/{userId}/presences/purecloud"
_AD_HOC = "/api/v2/users/{userId}/presences/{sourceId}"
_TEAMS = "/api/v2/users/{userId}/presences/microsoftteams"

ROUTES = (
    Route("GET", _PURECLOUD, _get),
    Route("PATCH", _PURECLOUD, _patch),
    Route("GET", _AD_HOC, _get),
    Route("PATCH", _AD_HOC, _patch),
    Route("GET", "/api/v2/users/presences/purecloud/bulk", _get_bulk),
    Route("GET", "/api/v2/users/presences/{sourceId}/bulk", _get_bulk),
    Route("PUT", "/api/v2/users/presences/bulk", _put_bulk, _EDITS),
)
# Added in August 2020, removed in April 2022 (SDK 140.0.0).
TEAMS = Route("GET", _TEAMS, _get_teams, _SEES_TEAMS)
