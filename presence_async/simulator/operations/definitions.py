"""Both definition families, over the same store, and the system presences.

The legacy family was deprecated in February 2024.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from presence_async.simulator.definitions import (
    ALL_DIVISIONS,
    BUILT_IN_IDS,
    LOCALES,
    Definition,
    DefinitionDraft,
    Family,
    canonical,
    current_json,
    legacy_json,
    shouted,
)
from presence_async.simulator.exchange import Answer, Call, json_answer
from presence_async.simulator.services import Route, missing_division, needs_all, needs_any

if TYPE_CHECKING:
    from presence_async.simulator.exchange import Fields
    from presence_async.simulator.services import Need

_CURRENT = "/api/v2/presence/definitions"
_LEGACY = "/api/v2/presencedefinitions"
_VIEW, _ADD, _EDIT, _DELETE = (
    f"presence:presenceDefinition:{verb}" for verb in ("view", "add", "edit", "delete")
)
_SHAPES = {"current": current_json, "legacy": legacy_json}


def _granted(call: Call, division_id: str) -> bool:
    divisions = call.token.divisions
    return division_id == ALL_DIVISIONS or divisions is None or division_id in divisions


def _check_division(call: Call, permission: str, division_id: str | None) -> None:
    """Refuse a definition in a division where the permission is not granted."""
    if not _granted(call, division_id or ALL_DIVISIONS):
        raise missing_division(permission, division_id or ALL_DIVISIONS)


def _record(call: Call, permission: str, family: Family) -> Definition:
    """The definition of the path, if the token's permissions reach into its division."""
    record = call.organization.definition_store.get(call.path[0], family)
    _check_division(call, permission, record.division_id)
    return record


def read_draft(fields: Fields) -> DefinitionDraft:
    """What a body of either family says about a definition; ApiError 400 for wrong ones."""
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


def _draft(call: Call, permission: str, family: Family) -> DefinitionDraft:
    fields = call.fields()
    if family == "legacy":
        fields.flag("primary")
    draft = read_draft(fields)
    _check_division(call, permission, draft.division_id)
    return draft


def _list_current(call: Call) -> dict[str, Any]:
    query = call.query()
    deactivated = query.flag("deactivated", knows_all=call.switches.deactivated_all)
    locale = query.choice("localeCode", LOCALES)
    wanted = set(query.array("divisionId"))
    may_view = _VIEW in call.token.permissions
    for division_id in wanted - {ALL_DIVISIONS}:
        if not may_view or not _granted(call, division_id):
            raise missing_division(_VIEW, division_id)
    entities = []
    listing = call.organization.definition_store.listing
    for record in listing(deactivated=deactivated, family="current"):
        bound = record.division_id != ALL_DIVISIONS
        # The view permission is enforced for records bound to a division only (July 2026).
        if bound and not (may_view and _granted(call, record.division_id)):
            continue
        if not wanted or record.division_id in wanted or ALL_DIVISIONS in wanted:
            entities.append(current_json(record, locale))
    return {"total": len(entities), "entities": entities, "selfUri": _CURRENT}


def _list_legacy(call: Call) -> dict[str, Any]:
    query, switches = call.query(), call.switches
    size = query.integer(
        "pageSize", switches.legacy_default_page_size, switches.legacy_max_page_size
    )
    deleted = query.flag("deleted", knows_all=True)
    shape = partial(legacy_json, locale=query.text("localeCode"))
    records = call.organization.definition_store.listing(deactivated=deleted, family="legacy")
    # The recorded page had no links at all.
    return query.page(records, shape, size, _LEGACY if switches.legacy_links else None)


def _get(call: Call, family: Family) -> dict[str, Any]:
    query = call.query()
    current = family == "current"
    locale = query.choice("localeCode", LOCALES) if current else query.text("localeCode")
    return _SHAPES[family](_record(call, _VIEW, family), locale)


def _post(call: Call, family: Family) -> Answer:
    draft = _draft(call, _ADD, family)
    record = call.organization.definition_store.add(draft, family)
    status = call.switches.definition_created_status if family == "current" else 200
    return json_answer(_SHAPES[family](record, "ALL"), status)


def _put(call: Call, family: Family) -> dict[str, Any]:
    record = _record(call, _EDIT, family)
    draft = _draft(call, _EDIT, family)
    changed = call.organization.definition_store.replace(record.id, draft)
    return _SHAPES[family](changed, "ALL")


def _delete(call: Call, family: Family) -> Any:
    record = _record(call, _DELETE, family)
    changed = call.organization.definition_store.deactivate(record.id)
    style = call.switches.legacy_delete if family == "legacy" else "no_content"
    if style == "body":
        return legacy_json(changed, "ALL")
    return Answer(200 if style == "empty" else 204)


def _system_presences(call: Call) -> list[dict[str, str]]:
    answer = []
    by_name = call.switches.system_presence_order == "by_name"
    for name in sorted(BUILT_IN_IDS) if by_name else BUILT_IN_IDS:
        # Only the name is dependable; the other two fields are a switch.
        shape = {"name": shouted(name)}
        if call.switches.system_presence_ids:
            shape["id"] = call.organization.definition_store.built_in(name).id
            shape["selfUri"] = f"/api/v2/systempresences/{shape['id']}"
        answer.append(shape)
    return answer


def _crud(family: Family, path: str, one: str, listing: Any, may_delete: Need) -> list[Route]:
    return [
        Route("GET", path, listing),
        Route("POST", path, partial(_post, family=family), needs_all(_ADD)),
        Route("GET", one, partial(_get, family=family), needs_all(_VIEW)),
        Route("PUT", one, partial(_put, family=family), needs_all(_EDIT)),
        Route("DELETE", one, partial(_delete, family=family), may_delete),
    ]


_ONE_CURRENT = f"{_CURRENT}/{{definitionId}}"
_ONE_LEGACY = f"{_LEGACY}/{{presenceId}}"

ROUTES = (
    *_crud("current", _CURRENT, _ONE_CURRENT, _list_current, needs_any(_DELETE, _EDIT)),
    *_crud("legacy", _LEGACY, _ONE_LEGACY, _list_legacy, needs_all(_DELETE)),
    Route("GET", "/api/v2/systempresences", _system_presences),
)
