"""System presences, `/api/v2/systempresences`: the built-in categories."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import attrs

from presence_async import converter, routes
from presence_async.errors import NotFoundError, PermissionDeniedError
from presence_async.models import SystemPresence, SystemPresenceName
from presence_async.resources._base import Listing, Resource, Send, check_text, decoded
from presence_async.resources.definitions import Definitions
from presence_async.resources.legacy_definitions import LegacyDefinitions

if TYPE_CHECKING:
    from presence_async.errors import RowFailure


@attrs.frozen(kw_only=True)
class SystemPresencesPage:
    """The one page of system presences; the vendor answers a bare array."""

    entities: tuple[SystemPresence, ...] = ()
    failures: tuple[RowFailure, ...] = ()


@attrs.define(eq=False)
class BuiltinIds:
    """Ids of built-in definitions looked up so far; the lock keeps it to one look-up."""

    ids: dict[SystemPresenceName, str] = attrs.field(factory=dict)
    complete: bool = False
    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock)


class SystemPresences(Resource):
    """The built-in presences every definition maps to."""

    __slots__ = ("builtin_ids",)

    def __init__(self, send: Send, builtin_ids: BuiltinIds) -> None:
        """`builtin_ids` is what a client and those derived from it have learned so far."""
        super().__init__(send)
        self.builtin_ids = builtin_ids

    def list(self) -> Listing[SystemPresence, SystemPresencesPage]:
        """List the system presences. No permission needed.

        Returns:
            A listing: iterate it or await it. Only `name` is dependable in its items.
        """
        request = routes.LIST_SYSTEM_PRESENCES.request()

        async def fetch(_: int) -> SystemPresencesPage:
            response = await self._send(request)
            rows = decoded(request, response, converter.structure_rows, SystemPresence)
            return SystemPresencesPage(entities=tuple(rows.decoded), failures=rows.failures)

        return Listing(fetch, request.route)

    async def definition_id(self, system_presence: str) -> str:
        """The id of the built-in definition of a system presence.

        The vendor does not promise that ids are the same everywhere, so they are looked up:
        one request (two where the token may not see the current definitions) with a `timeout`
        of its own, kept for the life of the client.

        Args:
            system_presence: In any spelling: "On Queue", "OnQueue", "ON_QUEUE".

        Returns:
            The id.

        Raises:
            NotFoundError: The organization has no built-in definition for it.
            InvalidRequestError: Empty or not a str.
        """
        name = SystemPresenceName(check_text("system_presence", system_presence))
        known = self.builtin_ids
        async with known.lock:
            if not known.complete:
                known.ids.update(await self._look_up())
                known.complete = bool(known.ids)
        found = known.ids.get(name)
        if found is None:
            raise NotFoundError(f"no built-in definition for system presence {str(name)!r}")
        return found

    async def _look_up(self) -> dict[SystemPresenceName, str]:
        """Built-in definitions by system presence: `type` System, or legacy `primary` true."""
        found: dict[Any, Any] = {}
        # By pages: a bad row of another definition is no reason to fail.
        try:
            async for page in Definitions(self._send).list().pages():
                found |= {d.system_presence: d.id for d in page.entities if d.type == "System"}
        except PermissionDeniedError:
            found = {}
        if not found:
            async for older in LegacyDefinitions(self._send).list().pages():
                found |= {d.system_presence: d.id for d in older.entities if d.primary}
        return {name: id_ for name, id_ in found.items() if name and id_}
