"""Presence definitions, `/api/v2/presence/definitions`: what users pick from."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from presence_async import routes
from presence_async.errors import InvalidRequestError
from presence_async.models import (
    OrganizationPresenceDefinition,
    OrganizationPresenceDefinitionEntityListing,
    SystemPresenceName,
)
from presence_async.resources._base import (
    Listing,
    Resource,
    check_text,
    check_texts,
    definition_body,
    flag_query,
    locale_query,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_Listing = Listing[OrganizationPresenceDefinition, OrganizationPresenceDefinitionEntityListing]


class Definitions(Resource):
    """The organization's presence definitions, each mapped to one system presence.

    Ten are built in (`type` System), the others are the organization's (`type` User). A
    deleted definition is deactivated, never gone: `get` still returns it.
    """

    __slots__ = ()

    def list(
        self,
        *,
        deactivated: bool | str = False,
        division_ids: Iterable[str] = (),
        locale_code: str | None = None,
    ) -> _Listing:
        """List definitions. Permission `presence:presenceDefinition:view`, division-bound only.

        Args:
            deactivated: True for the deactivated ones instead; "all" is passed on, though
                the vendor does not document it here.
            division_ids: Only definitions of these divisions.
            locale_code: Labels of this locale, e.g. "en_US", or "ALL". Without it the
                vendor returns mostly en_US.

        Returns:
            A listing, never paged.

        Raises:
            InvalidRequestError: A bad argument.
        """
        query = flag_query("deactivated", deactivated)
        query += [("divisionId", id_) for id_ in check_texts("division_ids", division_ids)]
        query += locale_query(locale_code)
        request = routes.LIST_DEFINITIONS.request(query=query)
        return self._listing(lambda _: request, OrganizationPresenceDefinitionEntityListing)

    async def get(
        self, definition_id: str, *, locale_code: str | None = None
    ) -> OrganizationPresenceDefinition:
        """Get one definition, deactivated ones included.

        Permission `presence:presenceDefinition:view`. A definition just created may
        answer 404 for a moment (the vendor's Terraform provider retries that read).

        Args:
            definition_id: Its id.
            locale_code: As for `list`.

        Raises:
            NotFoundError: There is no such definition.
        """
        query = locale_query(locale_code)
        request = routes.GET_DEFINITION.request(definition_id, query=query)
        return await self._one(request, OrganizationPresenceDefinition)

    async def create(
        self, definition: OrganizationPresenceDefinition
    ) -> OrganizationPresenceDefinition:
        """Create a definition. Permission `presence:presenceDefinition:add`.

        Args:
            definition: `language_labels` is required; `system_presence` is fixed from then
                on. Only definitions of `type` User can be created.

        Returns:
            The definition, with its id.

        Raises:
            InvalidRequestError: Not a definition, or refused by the vendor.
            ConflictError: The vendor has one like it.
        """
        request = routes.CREATE_DEFINITION.request(body=_body(definition))
        return await self._one(request, OrganizationPresenceDefinition)

    async def replace(
        self, definition_id: str, definition: OrganizationPresenceDefinition
    ) -> OrganizationPresenceDefinition:
        """Replace a definition. Permission `presence:presenceDefinition:edit`.

        Read, `attrs.evolve`, replace keeps what this version does not know;
        `deactivated=False` revives a deleted one. Repeated after a lost answer.

        Args:
            definition_id: Id of the definition.
            definition: What it is to be; read-only fields are not sent.

        Returns:
            The definition as it is now.

        Raises:
            NotFoundError: There is no such definition.
        """
        request = routes.REPLACE_DEFINITION.request(definition_id, body=_body(definition))
        return await self._one(request, OrganizationPresenceDefinition)

    async def delete(self, definition_id: str) -> None:
        """Deactivate a definition.

        Any of `presence:presenceDefinition:delete`, `presence:presenceDefinition:edit`.
        Repeated after a lost answer; a 404 to the repetition is success.

        Raises:
            NotFoundError: There is no such definition.
            InvalidRequestError: It is a built-in one.
        """
        await self._send(routes.DELETE_DEFINITION.request(definition_id))

    async def find(
        self,
        label: str | None = None,
        *,
        system_presence: str | None = None,
        deactivated: bool | str = False,
    ) -> tuple[OrganizationPresenceDefinition, ...]:
        """Look definitions up by label, by system presence, or by both. One request.

        Args:
            label: A label in any language, compared whole and without regard to case.
            system_presence: In any spelling: "On Queue", "OnQueue", "ON_QUEUE".
            deactivated: As for `list`.

        Returns:
            Every match, built-in or not; empty for none.

        Raises:
            InvalidRequestError: Neither is given.
            DecodeError: A row could not be understood: it might have been the one.
        """
        if label is None and system_presence is None:
            raise InvalidRequestError("give a label or a system_presence", field="label")
        wanted = None if label is None else check_text("label", label).casefold()
        name = None
        if system_presence is not None:
            name = SystemPresenceName(check_text("system_presence", system_presence))
        definitions = await self.list(deactivated=deactivated, locale_code="ALL")
        return tuple(
            definition
            for definition in definitions
            if (name is None or definition.system_presence == name)
            and (wanted is None or wanted in _labels(definition))
        )


def _labels(definition: OrganizationPresenceDefinition) -> set[str]:
    return {label.casefold() for label in (definition.language_labels or {}).values()}


def _body(definition: OrganizationPresenceDefinition) -> bytes:
    """The body, with the system presence in this family's spelling ("OnQueue")."""
    return definition_body(definition, OrganizationPresenceDefinition, attrgetter("definition"))
