"""The current definition family and the system presences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from presence_async.simulator.definitions import (
    ALL_DIVISIONS,
    BUILT_IN_IDS,
    LOCALES,
    Definition,
    DefinitionDraft,
    canonical,
    current_json,
    shouted,
)
from presence_async.simulator.exchange import Answer, Call, json_answer
from presence_async.simulator.permissions import (
    DEFINITION_ADD,
    DEFINITION_DELETE,
    DEFINITION_EDIT,
    DEFINITION_VIEW,
    missing_division,
    needs_all,
    needs_any,
)
from presence_async.simulator.routes import Route

if TYPE_CHECKING:
    from presence_async.simulator.bodies import Fields


def _granted(call: Call, division_id: str) -> bool:
    divisions = call.token.divisions
    return division_id == ALL_DIVISIONS or divisions is None or division_id in divisions


def check_division(call: Call, permission: str, record: Definition) -> Definition:
    """Return the definition if the token's permissions reach into its division.

    Raises:
        ApiError: 403 `missing.division.permission`.
    """
    if not _granted(call, record.division_id):
        raise missing_division(permission, record.division_id)
    return record


def read_draft(fields: Fields) -> DefinitionDraft:
    """Return what a body of either family says about a definition.

    Raises:
        ApiError: 400 for wrong types, no labels or an unknown system presence.
    """
    fields.check_texts("id", "selfUri")
    fields.check_read_only("id", "selfUri")
    system_presence = fields.text("systemPresence")
    return DefinitionDraft(
        labels=fields.labels("languageLabels"),
        system_presence=None if system_presence is None else canonical(system_presence),
        division_id=fields.text("divisionId"),
        deactivated=fields.flag("deactivated"),
        name=fields.text("name"),
        type=fields.text("type"),
    )


def check_draft(call: Call, permission: str, draft: DefinitionDraft) -> None:
    """Refuse to put a definition into a division where the permission is not granted."""
    division_id = draft.division_id or ALL_DIVISIONS
    if not _granted(call, division_id):
        raise missing_division(permission, division_id)


def _list(call: Call) -> Answer:
    query = call.query()
    deactivated = query.flag("deactivated", knows_all=call.switches.deactivated_all)
    locale = query.choice("localeCode", LOCALES)
    wanted = set(query.array("divisionId"))
    may_view = DEFINITION_VIEW in call.token.permissions
    for division_id in wanted - {ALL_DIVISIONS}:
        if not may_view or not _granted(call, division_id):
            raise missing_division(DEFINITION_VIEW, division_id)
    entities = []
    for record in call.organization.definition_store.listing(
        deactivated=deactivated, family="current"
    ):
        bound = record.division_id != ALL_DIVISIONS
        # The view permission is enforced for records bound to a division only (July 2026).
        if bound and not (may_view and _granted(call, record.division_id)):
            continue
        if wanted and record.division_id not in wanted and ALL_DIVISIONS not in wanted:
            continue
        entities.append(current_json(record, locale))
    return json_answer(
        {
            "total": len(entities),
            "entities": entities,
            "selfUri": "/api/v2/presence/definitions",
        }
    )


def _get(call: Call) -> Answer:
    locale = call.query().choice("localeCode", LOCALES)
    record = call.organization.definition_store.get(call.path[0], "current")
    return json_answer(current_json(check_division(call, DEFINITION_VIEW, record), locale))


def _post(call: Call) -> Answer:
    draft = read_draft(call.fields())
    check_draft(call, DEFINITION_ADD, draft)
    record = call.organization.definition_store.add(draft, "current")
    return json_answer(current_json(record, "ALL"), call.switches.definition_created_status)


def _put(call: Call) -> Answer:
    store = call.organization.definition_store
    check_division(call, DEFINITION_EDIT, store.get(call.path[0], "current"))
    draft = read_draft(call.fields())
    check_draft(call, DEFINITION_EDIT, draft)
    record = store.replace(call.path[0], draft)
    return json_answer(current_json(record, "ALL"))


def _delete(call: Call) -> Answer:
    store = call.organization.definition_store
    check_division(call, DEFINITION_DELETE, store.get(call.path[0], "current"))
    store.deactivate(call.path[0])
    return Answer(204)


def _system_presences(call: Call) -> Answer:
    answer = []
    by_name = call.switches.system_presence_order == "by_name"
    for name in sorted(BUILT_IN_IDS) if by_name else BUILT_IN_IDS:
        # Only the name is dependable; the other two fields are a switch.
        shape = {"name": shouted(name)}
        if call.switches.system_presence_ids:
            shape["id"] = call.organization.definition_store.built_in(name).id
            shape["selfUri"] = f"/api/v2/systempresences/{shape['id']}"
        answer.append(shape)
    return json_answer(answer)


_LIST = "/api/v2/presence/definitions"
_ONE = "/api/v2/presence/definitions/{definitionId}"

ROUTES = (
    Route("GET", _LIST, _list),
    Route("POST", _LIST, _post, needs_all(DEFINITION_ADD)),
    Route("GET", _ONE, _get, needs_all(DEFINITION_VIEW)),
    Route("PUT", _ONE, _put, needs_all(DEFINITION_EDIT)),
    Route("DELETE", _ONE, _delete, needs_any(DEFINITION_DELETE, DEFINITION_EDIT)),
    Route("GET", "/api/v2/systempresences", _system_presences),
)
