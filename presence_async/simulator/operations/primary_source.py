"""The primary source of a user: the one whose presence others see."""

from __future__ import annotations

from presence_async.simulator.errors import bad_request
from presence_async.simulator.exchange import Answer, Call, json_answer
from presence_async.simulator.permissions import (
    PRIMARY_SOURCE_EDIT,
    PRIMARY_SOURCE_VIEW,
    needs_all,
)
from presence_async.simulator.routes import Route
from presence_async.simulator.sources import PrimarySource, primary_source_json


def _get(call: Call) -> Answer:
    user_id = call.user_id(call.path[0])
    primary = call.organization.primary_source(user_id)
    return json_answer(primary_source_json(user_id, primary))


def _put(call: Call) -> Answer:
    user_id = call.user_id(call.path[0])
    call.organization.user(user_id)
    fields = call.fields()
    fields.check_texts("id", "name", "selfUri")
    fields.check_read_only("id", "selfUri")
    source_id = fields.required_text("sourceId")
    wanted = fields.flag("registered")
    record = call.organization.sources.get(source_id)
    registered = record is not None
    if wanted is not None and wanted is not registered:
        raise bad_request("registered does not fit sourceId")
    if record is not None and record.deactivated:
        raise bad_request(f"The presence source [{source_id}] is deactivated")
    call.organization.set_primary_source(user_id, PrimarySource(source_id, registered))
    return _get(call)


_PATH = "/api/v2/presence/users/{userId}/primarysource"

ROUTES = (
    Route("GET", _PATH, _get, needs_all(PRIMARY_SOURCE_VIEW)),
    Route("PUT", _PATH, _put, needs_all(PRIMARY_SOURCE_EDIT)),
)
