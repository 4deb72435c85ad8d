"""Registered presence sources, the primary source of a user, and the presence settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from presence_async.simulator.errors import bad_request, invalid_value
from presence_async.simulator.records import (
    MINUTE_MILLISECONDS,
    PrimarySource,
    RestoreSettings,
    Settings,
    SourceDraft,
    primary_source_json,
    settings_json,
    source_json,
)
from presence_async.simulator.services import Route, needs_all, needs_any

if TYPE_CHECKING:
    from presence_async.simulator.exchange import Call, Fields

# The admin screen offers 1 to 1440 minutes.
_LONGEST = 1440 * MINUTE_MILLISECONDS
_LIST = "/api/v2/presence/sources"
_ONE = "/api/v2/presence/sources/{sourceId}"
_PRIMARY = "/api/v2/presence/users/{userId}/primarysource"
_SETTINGS = "/api/v2/presence/settings"


def _draft(fields: Fields) -> SourceDraft:
    fields.check_texts("id", "selfUri")
    fields.check_read_only("id", "selfUri")
    return SourceDraft(
        name=fields.required_text("name"),
        description=fields.text("description"),
        type=fields.text("type"),
        deactivated=fields.flag("deactivated"),
    )


def _list(call: Call) -> dict[str, Any]:
    deactivated = call.query().flag("deactivated", knows_all=call.switches.deactivated_all)
    records = call.organization.source_store.listing(deactivated=deactivated)
    entities = [source_json(record) for record in records]
    return {"total": len(entities), "entities": entities, "selfUri": _LIST}


def _post(call: Call) -> dict[str, Any]:
    return source_json(call.organization.source_store.add(_draft(call.fields())))


def _get(call: Call) -> dict[str, Any]:
    return source_json(call.organization.source_store.get(call.path[0]))


def _put(call: Call) -> dict[str, Any]:
    store = call.organization.source_store
    record = store.get(call.path[0])
    return source_json(store.replace(record.id, _draft(call.fields())))


def _delete(call: Call) -> None:
    call.organization.source_store.deactivate(call.path[0])


def _get_primary(call: Call) -> dict[str, Any]:
    user_id = call.user_id(call.path[0])
    return primary_source_json(user_id, call.organization.primary_source(user_id))


def _put_primary(call: Call) -> dict[str, Any]:
    user_id = call.user_id(call.path[0])
    call.organization.user(user_id)
    fields = call.fields()
    fields.check_texts("id", "name", "selfUri")
    fields.check_read_only("id", "selfUri")
    source_id = fields.required_text("sourceId")
    registered = source_id in call.organization.sources
    if fields.flag("registered") not in (None, registered):
        raise bad_request("registered does not fit sourceId")
    if registered:
        call.organization.source_store.usable(source_id)
    call.organization.set_primary_source(user_id, PrimarySource(source_id, registered))
    return _get_primary(call)


def _get_settings(call: Call) -> dict[str, Any]:
    return settings_json(call.organization.settings)


def _put_settings(call: Call) -> dict[str, Any]:
    fields = call.fields()
    fields.check_texts("id", "name", "selfUri")
    fields.check_read_only("id", "selfUri")
    settings = call.organization.settings
    restore = fields.object("restorePresenceSettings")
    off_queue = fields.flag("requestingOffQueueEnabled")
    call.organization.settings = attrs.evolve(
        settings,
        restore=settings.restore if restore is None else _restore(restore),
        requesting_off_queue_enabled=(
            settings.requesting_off_queue_enabled if off_queue is None else off_queue
        ),
        default_source_id=_default_source(call, fields, settings),
    )
    return _get_settings(call)


def _restore(fields: Fields) -> RestoreSettings:
    return RestoreSettings(
        enabled=fields.required_flag("enabled"),
        restore_time_milliseconds=fields.required_integer(
            "restoreTimeMilliseconds", MINUTE_MILLISECONDS, _LONGEST
        ),
        restore_on_queue_enabled=fields.required_flag("restoreOnQueueEnabled"),
    )


def _default_source(call: Call, fields: Fields, settings: Settings) -> str | None:
    source_id = fields.text("defaultPrimaryPresenceRegisteredSourceId")
    if source_id is None:
        return settings.default_source_id
    if not source_id:
        return None
    record = call.organization.sources.get(source_id)
    if record is None or record.deactivated:
        raise invalid_value("defaultPrimaryPresenceRegisteredSourceId", source_id)
    return source_id


ROUTES = (
    Route("GET", _LIST, _list, needs_all("presence:source:view")),
    Route("POST", _LIST, _post, needs_all("presence:source:add")),
    Route("GET", _ONE, _get, needs_all("presence:source:view")),
    Route("PUT", _ONE, _put, needs_all("presence:source:edit")),
    Route("DELETE", _ONE, _delete, needs_any("presence:source:delete", "presence:source:edit")),
    Route("GET", _PRIMARY, _get_primary, needs_all("presence:userPrimarySource:view")),
    Route("PUT", _PRIMARY, _put_primary, needs_all("presence:userPrimarySource:edit")),
    Route("GET", _SETTINGS, _get_settings, needs_all("presence:settings:view")),
    Route("PUT", _SETTINGS, _put_settings, needs_all("presence:settings:edit")),
)
