"""The older definitions, `/api/v2/presencedefinitions`. Deprecated by the vendor since 2024."""

from __future__ import annotations

import attrs

from presence_async import converter, routes
from presence_async.models import (
    OrganizationPresence,
    OrganizationPresenceEntityListing,
    SystemPresenceName,
)
from presence_async.resources._base import (
    Listing,
    Resource,
    check_flag,
    check_whole,
    decoded,
    write_body,
)
from presence_async.resources.definitions import locale_query

__all__ = ["LegacyDefinitions"]

# The vendor documents no highest page size; 100 is what it takes elsewhere.
_LARGEST_PAGE = 500


class LegacyDefinitions(Resource):
    """The five operations under `/presencedefinitions`.

    Deprecated by the vendor in February 2024 in favour of `client.definitions`; presumed to
    show the same records in an older shape.
    """

    __slots__ = ()

    def list(
        self,
        *,
        page_size: int = 100,
        deleted: bool | str = False,
        locale_code: str | None = None,
    ) -> Listing[OrganizationPresence, OrganizationPresenceEntityListing]:
        """List definitions, page by page.

        Args:
            page_size: From 1 to 500. The vendor documents a default of 25 and no highest;
                it may answer with smaller pages than asked for.
            deleted: True for the deactivated ones only, "all" for all.
            locale_code: Labels of this locale, or "ALL".

        Returns:
            A listing: iterate it, await it, or take its `pages()`.

        Raises:
            InvalidRequestError: An argument that is none of these.
        """
        fixed = [("pageSize", str(check_whole("page_size", page_size, 1, _LARGEST_PAGE)))]
        if deleted:
            fixed.append(("deleted", check_flag("deleted", deleted)))
        fixed += locale_query(locale_code)

        async def fetch(number: int) -> OrganizationPresenceEntityListing:
            request = routes.LIST_LEGACY_DEFINITIONS.request(
                query=[("pageNumber", str(number)), *fixed]
            )
            response = await self._send(request)
            return decoded(
                request,
                response,
                lambda body: converter.structure_listing(body, OrganizationPresenceEntityListing),
            )

        return Listing(fetch, paged=True)

    async def get(
        self, presence_id: str, *, locale_code: str | None = None
    ) -> OrganizationPresence:
        """Get one definition, deactivated ones included.

        Permission `presence:presenceDefinition:view`.
        """
        query = locale_query(locale_code)
        request = routes.GET_LEGACY_DEFINITION.request(presence_id, query=query)
        return await self._one(request, OrganizationPresence)

    async def create(self, definition: OrganizationPresence) -> OrganizationPresence:
        """Create a definition. Permission `presence:presenceDefinition:add`."""
        request = routes.CREATE_LEGACY_DEFINITION.request(body=_body(definition))
        return await self._one(request, OrganizationPresence)

    async def replace(
        self, presence_id: str, definition: OrganizationPresence
    ) -> OrganizationPresence:
        """Replace a definition. Permission `presence:presenceDefinition:edit`.

        Repeated after a lost answer: the second writes what the first wrote.
        """
        request = routes.REPLACE_LEGACY_DEFINITION.request(presence_id, body=_body(definition))
        return await self._one(request, OrganizationPresence)

    async def delete(self, presence_id: str) -> OrganizationPresence | None:
        """Deactivate a definition. Permission `presence:presenceDefinition:delete`.

        Returns:
            The deactivated definition where the vendor answers with it, as its oldest
            document says; None where the answer is empty, as it is documented today.
        """
        request = routes.DELETE_LEGACY_DEFINITION.request(presence_id)
        response = await self._send(request)
        if not response.body.strip():
            return None
        return decoded(
            request, response, lambda body: converter.structure(body, OrganizationPresence)
        )


def _body(definition: OrganizationPresence) -> bytes:
    """The body, with the system presence in this family's spelling ("On Queue")."""
    if isinstance(definition, OrganizationPresence) and definition.system_presence:
        name = SystemPresenceName(definition.system_presence)
        definition = attrs.evolve(definition, system_presence=SystemPresenceName(name.rest))
    return write_body("definition", definition, OrganizationPresence)
