"""Rows of a file, as items of a bulk update: e-mail addresses and names become ids."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from presence_async.errors import InvalidRequestError, NotFoundError
from presence_async.models import UNSET, MutableUserPresence, PresenceDefinition
from presence_async.resources._base import check_iterable
from presence_async.rows import BadRows, UpdateRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from presence_async.resources.definitions import Definitions
    from presence_async.resources.system_presences import SystemPresences
    from presence_async.resources.users import Users

# Rows in a row, about a millisecond of work: many must not hold up the loop.
_TOGETHER: Final = 100


async def resolved(
    rows: Iterable[UpdateRow],
    users: Users,
    definitions: Definitions,
    system_presences: SystemPresences,
) -> list[MutableUserPresence]:
    """One item per row; the errors are those of `client.bulk.resolve`."""
    rows = _checked(rows)
    emails = {row.email.casefold() for row in rows if row.email is not None}
    labels = {row.definition_label.casefold() for row in rows if row.definition_label is not None}
    names = {row.system_presence for row in rows if row.system_presence is not None}
    user_ids = await _users_by_email(users, emails)
    by_label = await _definitions_by_label(definitions, labels)
    by_name = await _definitions_by_name(system_presences, names)
    bad = BadRows()
    items = []
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        user_id = row.user_id or _only(row, "email", user_ids, bad)
        definition_id = row.definition_id or _only(row, "definition_label", by_label, bad)
        if row.system_presence is not None:
            definition_id = _only(row, "system_presence", by_name, bad)
        key = (user_id, (row.source or "").casefold())
        if user_id and seen.setdefault(key, row.line) != row.line:
            bad.add(row.line, "", f"line {seen[key]} is about the same user and source")
        items.append(_item(row, user_id, definition_id))
        if not len(items) % _TOGETHER:
            await asyncio.sleep(0)
    bad.check()
    return items


def _checked(rows: Any) -> list[UpdateRow]:
    checked = list(check_iterable("rows", rows))
    for index, row in enumerate(checked):
        if not isinstance(row, UpdateRow):
            name = f"rows[{index}]"
            raise InvalidRequestError(
                f"{name} must be an UpdateRow, not {type(row).__name__}", field=name
            )
    return checked


def _item(row: UpdateRow, user_id: str, definition_id: str) -> MutableUserPresence:
    return MutableUserPresence(
        id=user_id,
        source=row.source or UNSET,
        primary=row.primary or UNSET,
        presence_definition=PresenceDefinition(id=definition_id) if definition_id else UNSET,
        message=UNSET if row.message is None else row.message,
    )


_Ids = dict[str, set[str]]
_NOBODY = {
    "email": "no active user has this address",
    "definition_label": "no active definition has this label",
    "system_presence": "the organization has no built-in definition for it",
}
_SEVERAL = {
    "email": "more than one active user has this address",
    "definition_label": "more than one active definition has this label",
}


def _only(row: UpdateRow, field: str, ids: Mapping[str, set[str]], bad: BadRows) -> str:
    """The one id for what the row has in a field; "" for none, which `bad` hears of."""
    value = getattr(row, field)
    if value is None:
        return ""
    found = ids.get(value.casefold(), set())
    if len(found) == 1:
        return next(iter(found))
    bad.add(row.line, field, _SEVERAL[field] if found else _NOBODY[field])
    return ""


async def _users_by_email(users: Users, emails: set[str]) -> _Ids:
    found: _Ids = {}
    if emails:
        # By pages: somebody else's row that cannot be understood is no reason to fail.
        async for page in users.list().pages():
            for user in page.entities:
                if user.id and user.email and user.email.casefold() in emails:
                    found.setdefault(user.email.casefold(), set()).add(user.id)
    return found


async def _definitions_by_label(definitions: Definitions, labels: set[str]) -> _Ids:
    found: _Ids = {}
    if labels:
        async for page in definitions.list(locale_code="ALL").pages():
            for definition in page.entities:
                for label in (definition.language_labels or {}).values():
                    if definition.id and label.casefold() in labels:
                        found.setdefault(label.casefold(), set()).add(definition.id)
    return found


async def _definitions_by_name(system_presences: SystemPresences, names: set[str]) -> _Ids:
    found: _Ids = {}
    for name in names:
        try:
            found[name.casefold()] = {await system_presences.definition_id(name)}
        except NotFoundError:
            found[name.casefold()] = set()
    return found
