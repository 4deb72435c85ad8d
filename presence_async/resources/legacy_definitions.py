"""The older definitions, `/api/v2/presencedefinitions`. Deprecated by the vendor since 2024."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from presence_async import converter, routes
from presence_async.models import (
    OrganizationPresence,
    OrganizationPresenceEntityListing,
)
from presence_async.resources._base import (
    Listing,
    Resource,
    check_whole,
    decoded,
    definition_body,
    flag_query,
    locale_query,
)

# The vendor documents a default of 25 and no highest; 500 is said of the list of users.
_USUAL_PAGE: Final = 25
_LARGEST_PAGE: Final = 500


class LegacyDefinitions(Resource):
    """The five operations under `/presencedefinitions`: presumably the same, in an older shape.

    Deprecated by the vendor in February 2024 in favour of `client.definitions`.
    """

    __slots__ = ()

    def list(
        self,
        *,
        page_size: int = _USUAL_PAGE,
        deleted: bool | str = False,
        locale_code: str | None = None,
    ) -> Listing[OrganizationPresence, OrganizationPresenceEntityListing]:
        """List definitions, page by page.

        Args:
            page_size: From 1 to 500. 25 is the vendor's default; it may refuse larger ones,
                or answer with smaller pages than asked for.
            deleted: True for the deactivated ones only, "all" for all.
            locale_code: Labels of this locale, or "ALL".

        Returns:
            A listing: iterate it, await it, or take its `pages()`.

        Raises:
            InvalidRequestError: A bad argument.
        """
        fixed = [("pageSize", str(check_whole("page_size", page_size, 1, _LARGEST_PAGE)))]
        fixed += flag_query("deleted", deleted)
        fixed += locale_query(locale_code)
        return self._listing(
            lambda number: routes.LIST_LEGACY_DEFINITIONS.request(
                query=[("pageNumber", str(number)), *fixed]
            ),
            OrganizationPresenceEntityListing,
            paged=True,
        )

    async def get(
        self, presence_id: str, *, locale_code: str | None = None
    ) -> OrganizationPresence:
        """Get one definition, deactivated ones included; `locale_code` is as for `list`.

        Permission `presence:presenceDefinition:view`.

        Raises:
            NotFoundError: There is no such definition.
        """
        query = locale_query(locale_code)
        request = routes.GET_LEGACY_DEFINITION.request(presence_id, query=query)
        return await self._one(request, OrganizationPresence)

    async def create(self, definition: OrganizationPresence) -> OrganizationPresence:
        """Create a definition. Permission `presence:presenceDefinition:add`.

        Takes, returns and raises what `client.definitions.create` does, in the older shape.
        """
        request = routes.CREATE_LEGACY_DEFINITION.request(body=_body(definition))
        return await self._one(request, OrganizationPresence)

    async def replace(
        self, presence_id: str, definition: OrganizationPresence
    ) -> OrganizationPresence:
        """Replace a definition. Permission `presence:presenceDefinition:edit`.

        As `client.definitions.replace`, in the older shape.
        """
        request = routes.REPLACE_LEGACY_DEFINITION.request(presence_id, body=_body(definition))
        return await self._one(request, OrganizationPresence)

    async def delete(self, presence_id: str) -> OrganizationPresence | None:
        """Deactivate a definition. Permission `presence:presenceDefinition:delete`.

        Returns:
            The definition where the vendor answers with it, as its oldest document says; None
            where the answer is empty, as it is documented today.

        Raises:
            NotFoundError: There is no such definition.
        """
        request = routes.DELETE_LEGACY_DEFINITION.request(presence_id)
        response = await self._send(request)
        if not response.body.strip():
            return None
        return decoded(request, response, converter.structure, OrganizationPresence)


def _body(definition: OrganizationPresence) -> bytes:
    """The body, with the system presence in this family's spelling ("On Queue")."""
    return definition_body(definition, OrganizationPresence, attrgetter("rest"))
