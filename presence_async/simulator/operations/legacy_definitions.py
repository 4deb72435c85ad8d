"""The definition family deprecated in February 2024, over the same store."""

from __future__ import annotations

from presence_async.simulator.definitions import legacy_json
from presence_async.simulator.exchange import Answer, Call, json_answer
from presence_async.simulator.operations.definitions import check_division, check_draft, read_draft
from presence_async.simulator.paging import page_json
from presence_async.simulator.permissions import (
    DEFINITION_ADD,
    DEFINITION_DELETE,
    DEFINITION_EDIT,
    DEFINITION_VIEW,
    needs_all,
)
from presence_async.simulator.routes import Route


def _list(call: Call) -> Answer:
    query = call.query()
    switches = call.switches
    number = query.integer("pageNumber", 1)
    size = query.integer(
        "pageSize", switches.legacy_default_page_size, switches.legacy_max_page_size
    )
    deleted = query.flag("deleted", knows_all=True)
    locale = query.text("localeCode")
    records = call.organization.definition_store.listing(deactivated=deleted, family="legacy")
    shown = records[(number - 1) * size : number * size]
    entities = [legacy_json(record, locale) for record in shown]
    # The recorded page had no links at all.
    links = _LIST if switches.legacy_links else None
    return json_answer(page_json(entities, len(records), number, size, links))


def _get(call: Call) -> Answer:
    locale = call.query().text("localeCode")
    record = call.organization.definition_store.get(call.path[0], "legacy")
    return json_answer(legacy_json(check_division(call, DEFINITION_VIEW, record), locale))


def _post(call: Call) -> Answer:
    fields = call.fields()
    fields.flag("primary")
    draft = read_draft(fields)
    check_draft(call, DEFINITION_ADD, draft)
    record = call.organization.definition_store.add(draft, "legacy")
    return json_answer(legacy_json(record, "ALL"))


def _put(call: Call) -> Answer:
    store = call.organization.definition_store
    check_division(call, DEFINITION_EDIT, store.get(call.path[0], "legacy"))
    fields = call.fields()
    fields.flag("primary")
    draft = read_draft(fields)
    check_draft(call, DEFINITION_EDIT, draft)
    record = store.replace(call.path[0], draft)
    return json_answer(legacy_json(record, "ALL"))


def _delete(call: Call) -> Answer:
    store = call.organization.definition_store
    check_division(call, DEFINITION_DELETE, store.get(call.path[0], "legacy"))
    record = store.deactivate(call.path[0])
    style = call.switches.legacy_delete
    if style == "body":
        return json_answer(legacy_json(record, "ALL"))
    return Answer(200 if style == "empty" else 204)


_LIST = "/api/v2/presencedefinitions"
_ONE = "/api/v2/presencedefinitions/{presenceId}"

ROUTES = (
    Route("GET", _LIST, _list),
    Route("POST", _LIST, _post, needs_all(DEFINITION_ADD)),
    Route("GET", _ONE, _get, needs_all(DEFINITION_VIEW)),
    Route("PUT", _ONE, _put, needs_all(DEFINITION_EDIT)),
    Route("DELETE", _ONE, _delete, needs_all(DEFINITION_DELETE)),
)
