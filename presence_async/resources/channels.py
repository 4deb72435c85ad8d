"""Notification channels, `/api/v2/notifications`: the operations around the sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from presence_async import converter, routes
from presence_async.errors import InvalidRequestError, NotFoundError
from presence_async.models import (
    AvailableTopic,
    AvailableTopicEntityListing,
    Channel,
    ChannelEntityListing,
    ChannelTopic,
    ChannelTopicEntityListing,
)
from presence_async.notifications import check_topics
from presence_async.resources._base import (
    Listing,
    Resource,
    check_iterable,
    check_texts,
    decoded,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_INCLUDED: Final = ("token", "oauthclient")


class Channels(Resource):
    """Channels that events come over, each with its own WebSocket. No permission needed.

    A user has 20 of them at most through one OAuth client; one more evicts the least recently
    used, those without a socket first. A channel takes 1,000 topics and lives for 24 hours
    from the last subscribe call. The vendor has no operation to delete one.
    """

    __slots__ = ()

    def list(self, *, include_channels: str = "token") -> Listing[Channel, ChannelEntityListing]:
        """List the channels.

        Args:
            include_channels: "token" for those of this token; "oauthclient" for those of the
                OAuth client, where those of other tokens come without id and address.

        Returns:
            A listing, never paged.

        Raises:
            InvalidRequestError: `include_channels` is neither.
        """
        if include_channels not in _INCLUDED:
            raise InvalidRequestError(
                "include_channels must be 'token' or 'oauthclient'", field="include_channels"
            )
        # Left out for the vendor's default.
        query = [("includechannels", include_channels)] if include_channels != "token" else []
        request = routes.LIST_CHANNELS.request(query=query)
        return self._listing(lambda _: request, ChannelEntityListing)

    async def create(self) -> Channel:
        """Create a channel; too many evict the least recently used one.

        Returns:
            The channel. Its `connect_uri` is a credential and a `Secret`.
        """
        return await self._one(routes.CREATE_CHANNEL.request(), Channel)

    async def exists(self, channel_id: str) -> bool:
        """Whether a channel is alive."""
        try:
            await self._send(routes.CHECK_CHANNEL.request(channel_id))
        except NotFoundError:
            return False
        return True

    def list_subscriptions(
        self, channel_id: str
    ) -> Listing[ChannelTopic, ChannelTopicEntityListing]:
        """List the topics of a channel.

        Returns:
            A listing, never paged.

        Raises:
            NotFoundError: When it is sent: there is no such channel, or not any more.
        """
        request = routes.LIST_SUBSCRIPTIONS.request(channel_id)
        return self._listing(lambda _: request, ChannelTopicEntityListing)

    async def add_subscriptions(
        self, channel_id: str, topics: Iterable[str], *, ignore_errors: bool = False
    ) -> ChannelTopicEntityListing:
        """Add topics to a channel, which then lives for 24 hours from now.

        Repeated after a lost answer: a topic that is there already is not added twice.

        Args:
            channel_id: Id of the channel.
            topics: Names, such as ``v2.users.{id}.presence``, 1,000 at most and each shorter
                than 200 characters. What differs in case only is sent once.
            ignore_errors: Leave out topics that are not allowed instead of refusing all.

        Returns:
            The topics of the channel, with `state` where `ignore_errors` was asked for.

        Raises:
            InvalidRequestError: A bad argument, or a topic that comes by itself
                (``channel.metadata``, ``v2.system.…``), before any request; `field` names it.
                Or the vendor refuses: no such topic, too many on the channel.
            PermissionDeniedError: A topic is not allowed; none has been added.
            NotFoundError: There is no such channel, or not any more.
        """
        return await self._subscribe(routes.ADD_SUBSCRIPTIONS, channel_id, topics, ignore_errors)

    async def replace_subscriptions(
        self, channel_id: str, topics: Iterable[str], *, ignore_errors: bool = False
    ) -> ChannelTopicEntityListing:
        """Replace the topics of a channel; all else is as for `add_subscriptions`.

        After an error nothing has changed. Repeated after a lost answer: it writes the same.
        """
        return await self._subscribe(
            routes.REPLACE_SUBSCRIPTIONS, channel_id, topics, ignore_errors
        )

    async def delete_subscriptions(self, channel_id: str) -> None:
        """Remove all topics of a channel; the channel itself stays.

        Repeated after a lost answer; a 404 to the repetition is success.

        Raises:
            NotFoundError: There is no such channel, or not any more.
        """
        await self._send(routes.DELETE_SUBSCRIPTIONS.request(channel_id))

    def list_available_topics(
        self, *, expand: Iterable[str] = (), include_preview: bool = True
    ) -> Listing[AvailableTopic, AvailableTopicEntityListing]:
        """List the kinds of topics, and with "permissionDetails" who may have them.

        Args:
            expand: Fields to add: "description", "enforced", "schema", "visibility",
                "transports", "publicApiTemplateUriPaths", "requiresPermissions",
                "permissionDetails", "topicParameters".
            include_preview: Whether topics still in preview are listed.

        Returns:
            A listing, never paged.
        """
        query = [("expand", name) for name in check_texts("expand", expand)]
        if not _flag("include_preview", include_preview):
            query.append(("includePreview", "false"))
        request = routes.LIST_AVAILABLE_TOPICS.request(query=query)
        return self._listing(lambda _: request, AvailableTopicEntityListing)

    async def _subscribe(
        self,
        route: routes.Route,
        channel_id: str,
        topics: Iterable[str],
        ignore_errors: bool,  # noqa: FBT001  # both callers have it as a keyword
    ) -> ChannelTopicEntityListing:
        names = check_topics("topics", check_iterable("topics", topics, " of str"))
        query = [("ignoreErrors", "true")] if _flag("ignore_errors", ignore_errors) else []
        body = converter.dumps([{"id": name} for name in names])
        request = route.request(channel_id, query=query, body=body)
        response = await self._send(request)
        return decoded(request, response, converter.structure_listing, ChannelTopicEntityListing)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequestError(f"{name} must be True or False", field=name)
    return value
