"""Registered presence sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from presence_async.simulator.exchange import Answer, Call, json_answer
from presence_async.simulator.permissions import (
    SOURCE_ADD,
    SOURCE_DELETE,
    SOURCE_EDIT,
    SOURCE_VIEW,
    needs_all,
    needs_any,
)
from presence_async.simulator.routes import Route
from presence_async.simulator.sources import SourceDraft, source_json

if TYPE_CHECKING:
    from presence_async.simulator.bodies import Fields


def _draft(fields: Fields) -> SourceDraft:
    fields.check_texts("id", "selfUri")
    fields.check_read_only("id", "selfUri")
    return SourceDraft(
        name=fields.required_text("name"),
        description=fields.text("description"),
        type=fields.text("type"),
        deactivated=fields.flag("deactivated"),
    )


def _list(call: Call) -> Answer:
    deactivated = call.query().flag("deactivated", knows_all=call.switches.deactivated_all)
    records = call.organization.source_store.listing(deactivated=deactivated)
    entities = [source_json(record) for record in records]
    return json_answer({"total": len(entities), "entities": entities, "selfUri": _LIST})


def _post(call: Call) -> Answer:
    return json_answer(source_json(call.organization.source_store.add(_draft(call.fields()))))


def _get(call: Call) -> Answer:
    return json_answer(source_json(call.organization.source_store.get(call.path[0])))


def _put(call: Call) -> Answer:
    store = call.organization.source_store
    store.get(call.path[0])
    return json_answer(source_json(store.replace(call.path[0], _draft(call.fields()))))


def _delete(call: Call) -> Answer:
    call.organization.source_store.deactivate(call.path[0])
    return Answer(204)


_LIST = "/api/v2/presence/sources"
_ONE = "/api/v2/presence/sources/{sourceId}"

ROUTES = (
    Route("GET", _LIST, _list, needs_all(SOURCE_VIEW)),
    Route("POST", _LIST, _post, needs_all(SOURCE_ADD)),
    Route("GET", _ONE, _get, needs_all(SOURCE_VIEW)),
    Route("PUT", _ONE, _put, needs_all(SOURCE_EDIT)),
    Route("DELETE", _ONE, _delete, needs_any(SOURCE_DELETE, SOURCE_EDIT)),
)
