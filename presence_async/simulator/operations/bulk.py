"""Presences of many users: the two bulk reads and the bulk write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from presence_async.simulator.bodies import Fields
from presence_async.simulator.errors import ApiError, bad_request, not_found
from presence_async.simulator.exchange import Answer, Call, json_answer
from presence_async.simulator.operations.presences import PresenceDraft, apply_change, read_change
from presence_async.simulator.permissions import PRESENCE_EDIT, needs_any
from presence_async.simulator.presences import PURECLOUD
from presence_async.simulator.routes import Route

if TYPE_CHECKING:
    from collections.abc import Iterable

BULK_GET_IDS = 50


def _ids(call: Call) -> list[str]:
    ids = call.query().array("id")
    switches = call.switches
    if not ids and switches.bulk_get_no_ids == "reject":
        raise bad_request("id is required")
    if len(ids) > BULK_GET_IDS and switches.bulk_get_over_limit == "reject":
        raise bad_request(f"At most {BULK_GET_IDS} ids are allowed, got {len(ids)}")
    if switches.bulk_get_over_limit == "truncate":
        ids = ids[:BULK_GET_IDS]
    return list(dict.fromkeys(ids))


def _read(call: Call, user_ids: Iterable[str], source: str) -> list[dict[str, Any]]:
    organization = call.organization
    answer = []
    for user_id in user_ids:
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


def _get_purecloud(call: Call) -> Answer:
    return json_answer(_read(call, _ids(call), PURECLOUD))


def _get_source(call: Call) -> Answer:
    source = call.path[0]
    if not call.switches.bulk_other_sources and source.casefold() != "purecloud":
        raise not_found("path", call.exchange.path)
    return json_answer(_read(call, _ids(call), source))


def _put(call: Call) -> Answer:
    items = call.json()
    if not isinstance(items, list):
        raise bad_request("body must be an array")
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
    return json_answer([_apply(call, *change) for change in changes])


def _item(call: Call, value: Any) -> tuple[str, str, PresenceDraft]:
    """Return user, source and change of one item; ApiError for a bad one."""
    fields = Fields(value, call.switches, "item")
    fields.check_read_only("selfUri", "futurePresenceDefinition")
    user_id = fields.text("id") or call.token.user_id
    if user_id is None or (fields.text("id") is None and call.switches.bulk_put_id_required):
        raise bad_request("item.id is required")
    user_id = call.user_id(user_id)
    organization = call.organization
    organization.user(user_id)
    registered = fields.text("sourceId")
    source = registered or fields.text("source") or PURECLOUD
    known = organization.sources.get(source)
    if known is not None and known.deactivated:
        raise bad_request(f"The presence source [{source}] is deactivated")
    change = read_change(call, fields)
    if change.definition_id is None:
        organization.presence(user_id, source)
    return user_id, source, change


def _apply(call: Call, user_id: str, source: str, change: PresenceDraft) -> dict[str, Any]:
    organization = call.organization
    if change.empty:
        presence = organization.presence(user_id, source)
    else:
        presence = apply_change(call, user_id, source, change)
    return organization.presence_json(user_id, presence)


ROUTES = (
    Route("GET", "/api/v2/users/presences/purecloud/bulk", _get_purecloud),
    Route("GET", "/api/v2/users/presences/{sourceId}/bulk", _get_source),
    Route("PUT", "/api/v2/users/presences/bulk", _put, needs_any(PRESENCE_EDIT)),
)
