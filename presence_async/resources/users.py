"""The organization's users, `/api/v2/users`: where a sweep over everyone starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from presence_async import routes
from presence_async.errors import InvalidRequestError
from presence_async.models import User, UserEntityListing
from presence_async.resources._base import (
    Listing,
    Resource,
    check_text,
    check_texts,
    check_whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

# 100 is safe; 500 is said to be the highest the vendor takes.
_LARGEST_PAGE: Final = 500
# With an expanded integration presence the vendor answers 100 users at most.
_LARGEST_INTEGRATION_PAGE: Final = 100
_STATES: Final = ("active", "inactive", "deleted", "any")
_ORDERS: Final = ("ascending", "descending")


class Users(Resource):
    """Users of the organization. No permission needed."""

    __slots__ = ()

    def list(
        self,
        *,
        page_size: int = 100,
        state: str = "active",
        ids: Iterable[str] = (),
        sort_order: str | None = None,
        expand: Iterable[str] = (),
        integration_presence_source: str | None = None,
    ) -> Listing[User, UserEntityListing]:
        """List users, page by page.

        Args:
            page_size: From 1 to 500 (100 with an integration presence).
            state: "active", "inactive", "deleted" or "any".
            ids: Only these users.
            sort_order: "ascending" (the vendor's default) or "descending".
            expand: Fields to add, such as "presence" or "integrationPresence": best effort at
                the vendor, and no substitute for `client.user_presences.get_many`.
            integration_presence_source: "MicrosoftTeams", "ZoomPhone", "EightByEight" or
                "RingCentral"; the way to read Teams presence today. Needs "presence" or
                "integrationPresence" in `expand`.

        Returns:
            A listing: iterate its users, await it for all, or take its `pages()`.

        Raises:
            InvalidRequestError: A bad argument, before any request.
        """
        if state not in _STATES:
            raise InvalidRequestError(
                f"state must be one of {', '.join(_STATES)}, not {state!r}", field="state"
            )
        extra = _expansion(expand, integration_presence_source)
        largest = _LARGEST_INTEGRATION_PAGE if integration_presence_source else _LARGEST_PAGE
        fixed = [
            ("pageSize", str(check_whole("page_size", page_size, 1, largest))),
            ("state", state),
        ]
        fixed += [("id", user_id) for user_id in check_texts("ids", ids)]
        if sort_order is not None:
            if sort_order not in _ORDERS:
                raise InvalidRequestError(
                    "sort_order must be 'ascending' or 'descending'", field="sort_order"
                )
            fixed.append(("sortOrder", sort_order))
        fixed += extra

        return self._listing(
            lambda number: routes.LIST_USERS.request(query=[("pageNumber", str(number)), *fixed]),
            UserEntityListing,
            paged=True,
        )

    async def me(
        self, *, expand: Iterable[str] = (), integration_presence_source: str | None = None
    ) -> User:
        """Get the user behind the token.

        Args:
            expand: As for `list`.
            integration_presence_source: As for `list`.

        Raises:
            InvalidRequestError: With code ``not.a.user`` for a client-credentials token.
        """
        query = _expansion(expand, integration_presence_source)
        return await self._one(routes.GET_ME.request(query=query), User)


def _expansion(
    expand: Iterable[str], integration_presence_source: str | None
) -> list[tuple[str, str]]:
    names = check_texts("expand", expand)
    query = [("expand", name) for name in names]
    if integration_presence_source is not None:
        if not {"presence", "integrationPresence"} & set(names):
            raise InvalidRequestError(
                "integration_presence_source needs 'presence' or 'integrationPresence' in expand",
                field="integration_presence_source",
            )
        source = check_text("integration_presence_source", integration_presence_source)
        query.append(("integrationPresenceSource", source))
    return query
