"""The presence settings of the organization."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from presence_async.simulator.errors import invalid_value
from presence_async.simulator.exchange import Answer, Call, json_answer
from presence_async.simulator.permissions import SETTINGS_EDIT, SETTINGS_VIEW, needs_all
from presence_async.simulator.routes import Route
from presence_async.simulator.sources import (
    MINUTE_MILLISECONDS,
    RestoreSettings,
    Settings,
    settings_json,
)

if TYPE_CHECKING:
    from presence_async.simulator.bodies import Fields

# The admin screen offers 1 to 1440 minutes.
_LONGEST = 1440 * MINUTE_MILLISECONDS


def _get(call: Call) -> Answer:
    return json_answer(settings_json(call.organization.settings))


def _put(call: Call) -> Answer:
    fields = call.fields()
    fields.check_texts("id", "name", "selfUri")
    fields.check_read_only("id", "selfUri")
    settings = call.organization.settings
    restore = fields.object("restorePresenceSettings")
    off_queue = fields.flag("requestingOffQueueEnabled")
    changed = attrs.evolve(
        settings,
        restore=settings.restore if restore is None else _restore(restore),
        requesting_off_queue_enabled=(
            settings.requesting_off_queue_enabled if off_queue is None else off_queue
        ),
        default_source_id=_default_source(call, fields, settings),
    )
    call.organization.settings = changed
    return json_answer(settings_json(changed))


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


_PATH = "/api/v2/presence/settings"

ROUTES = (
    Route("GET", _PATH, _get, needs_all(SETTINGS_VIEW)),
    Route("PUT", _PATH, _put, needs_all(SETTINGS_EDIT)),
)
