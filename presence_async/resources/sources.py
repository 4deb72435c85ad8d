"""Registered presence sources, `/api/v2/presence/sources`."""

from __future__ import annotations

from presence_async import routes
from presence_async.models import Source, SourceEntityListing
from presence_async.resources._base import Listing, Resource, flag_query, write_body


class Sources(Resource):
    """Sources registered with the organization, such as another vendor's calendar.

    A deleted source is deactivated, never gone.
    """

    __slots__ = ()

    def list(self, *, deactivated: bool | str = False) -> Listing[Source, SourceEntityListing]:
        """List the sources. Permission `presence:source:view`.

        Args:
            deactivated: True for the deactivated ones instead; "all" is passed on, though
                the vendor does not document it here.

        Returns:
            A listing, never paged.

        Raises:
            InvalidRequestError: `deactivated` is no such flag.
        """
        request = routes.LIST_SOURCES.request(query=flag_query("deactivated", deactivated))
        return self._listing(lambda _: request, SourceEntityListing)

    async def get(self, source_id: str) -> Source:
        """Get one source, deactivated ones included. Permission `presence:source:view`.

        Raises:
            NotFoundError: There is no such source.
        """
        return await self._one(routes.GET_SOURCE.request(source_id), Source)

    async def create(self, source: Source) -> Source:
        """Register a source, whose `name` is required. Permission `presence:source:add`.

        Returns:
            The source, with its id.

        Raises:
            InvalidRequestError: Not a source, or refused by the vendor.
        """
        body = write_body("source", source, Source)
        return await self._one(routes.CREATE_SOURCE.request(body=body), Source)

    async def replace(self, source_id: str, source: Source) -> Source:
        """Replace a source; `deactivated=False` revives one. Permission `presence:source:edit`.

        Repeated after a lost answer. Read-only fields are not sent.

        Returns:
            The source as it is now.

        Raises:
            NotFoundError: There is no such source.
        """
        body = write_body("source", source, Source)
        return await self._one(routes.REPLACE_SOURCE.request(source_id, body=body), Source)

    async def delete(self, source_id: str) -> None:
        """Deactivate a source. Any of `presence:source:delete`, `presence:source:edit`.

        Repeated after a lost answer; a 404 to the repetition is success.

        Raises:
            NotFoundError: There is no such source.
        """
        await self._send(routes.DELETE_SOURCE.request(source_id))
