"""Presences of single users, and of many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from presence_async import converter, routes
from presence_async.errors import InvalidRequestError
from presence_async.fanout import FanOut, check_concurrency
from presence_async.models import (
    UNSET,
    Maybe,
    PresenceExpand,
    UserPresence,
    UserPrimarySource,
)
from presence_async.outcomes import OnProgress, tally_of
from presence_async.resources._base import Resource, Send, check_text, given, write_body
from presence_async.resources._chunking import (
    LINGER,
    Dedupe,
    check_dedupe,
    check_linger,
    chunked,
)
from presence_async.resources.reading import (
    PURECLOUD,
    PresenceOutcome,
    PresenceReader,
    check_source,
    is_purecloud,
    presence_request,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable

    from presence_async.resources.system_presences import SystemPresences
    from presence_async.wire import Request


class UserPresences(Resource):
    """What users' presences are, on each source, and which source counts."""

    __slots__ = ("_adopt", "_send_in_turn", "_system_presences")

    def __init__(
        self,
        send: Send,
        send_in_turn: Send,
        system_presences: SystemPresences,
        adopt: Callable[[FanOut[Any]], None],
    ) -> None:
        """`adopt` ends a fan-out together with the session."""
        super().__init__(send)
        self._send_in_turn = send_in_turn
        self._system_presences = system_presences
        self._adopt = adopt

    async def get(self, user_id: str, source: str = PURECLOUD) -> UserPresence:
        """Get one user's presence on one source. No permission needed.

        Args:
            user_id: Id of the user.
            source: "purecloud" for Genesys Cloud itself, or an ad hoc source name, in any
                case. Registered sources cannot be read this way.

        Raises:
            NotFoundError: No such user, or nothing was ever written on that source.
        """
        return await self._one(presence_request(user_id, source), UserPresence)

    async def get_teams(self, user_id: str) -> PresenceExpand:
        """Get a user's Microsoft Teams presence, by the operation of the older documents.

        The vendor removed it in April 2022. Today's way is
        `client.users.list(expand=["integrationPresence"],
        integration_presence_source="MicrosoftTeams")`. Permissions
        `integration:microsoftTeams:view` and `integrations:integration:view`.

        Raises:
            NotFoundError: The operation is gone, as is to be expected, or there is no such user.
        """
        return await self._one(routes.GET_TEAMS_PRESENCE.request(user_id), PresenceExpand)

    async def update(
        self,
        user_id: str,
        presence: UserPresence | None = None,
        *,
        source: str = PURECLOUD,
        primary: Maybe[bool] = UNSET,
        definition_id: Maybe[str] = UNSET,
        system_presence: Maybe[str] = UNSET,
        message: Maybe[str] = UNSET,
    ) -> UserPresence:
        """Change a user's presence on one source (PATCH), by at least one of the keywords.

        Another user's presence needs `presence:userPresence:edit` (since 20 July 2025); one's
        own needs nothing. Never sent twice unless the first certainly took no effect:
        `outcome_unknown` of the error says when that could not be told.

        Args:
            user_id: Id of the user.
            presence: A body instead of the keywords below.
            source: "purecloud" or an ad hoc source name.
            primary: True makes it the user's primary source. (False is not documented.)
            definition_id: Id of the definition to change to.
            system_presence: Its built-in definition instead, in any spelling: "On Queue",
                "OnQueue", "ON_QUEUE".
            message: Free text; the empty string is stored as such, None sends a null.

        Returns:
            The presence as it is now.

        Raises:
            InvalidRequestError: Nothing to change, a definition given twice, or both a
                body and keywords.
            PermissionDeniedError: With the missing permission.
        """
        changes = _changes(primary, definition_id, system_presence, message)
        if presence is not None:
            if changes:
                raise InvalidRequestError("give a presence or keywords, not both", field="presence")
            body = write_body("presence", presence, UserPresence)
            if body == b"{}":
                raise InvalidRequestError("the presence changes nothing", field="presence")
        else:
            if not changes or changes == {"primary": False}:
                raise InvalidRequestError(
                    "nothing to change: give primary=True, definition_id, system_presence "
                    "or message",
                    field="definition_id",
                )
            body = b""
        request = _update_request(user_id, source)
        request.body = body or converter.dumps(await self._resolved(changes))
        return await self._one(request, UserPresence)

    async def _resolved(self, changes: dict[str, Any]) -> dict[str, Any]:
        """The body, with a system presence turned into its built-in definition's id."""
        name = changes.pop("systemPresence", None)
        if name is not None:
            id_ = await self._system_presences.definition_id(name)
            changes["presenceDefinition"] = {"id": id_}
        return changes

    async def get_primary_source(self, user_id: str) -> UserPrimarySource:
        """Get the source that counts for a user. Permission `presence:userPrimarySource:view`.

        Raises:
            NotFoundError: There is no such user.
        """
        return await self._one(routes.GET_PRIMARY_SOURCE.request(user_id), UserPrimarySource)

    async def set_primary_source(
        self,
        user_id: str,
        source_id: str | UserPrimarySource,
        *,
        registered: Maybe[bool] = UNSET,
    ) -> UserPrimarySource:
        """Set the source that counts for a user. Permission `presence:userPrimarySource:edit`.

        Args:
            user_id: Id of the user.
            source_id: Id of a registered source, name of an ad hoc one, or a whole body.
            registered: Which of the two `source_id` is.

        Returns:
            The primary source as it is now.

        Raises:
            InvalidRequestError: Not a source, or a body and `registered` both given.
            NotFoundError: There is no such user.
        """
        if given(registered) and not isinstance(registered, bool):
            raise InvalidRequestError("registered must be a bool", field="registered")
        if not isinstance(source_id, UserPrimarySource):
            id_ = check_text("source_id", source_id)
            source_id = UserPrimarySource(source_id=id_, registered=registered)
        elif given(registered):
            raise InvalidRequestError("give a body or registered, not both", field="registered")
        body = write_body("source_id", source_id, UserPrimarySource)
        request = routes.SET_PRIMARY_SOURCE.request(user_id, body=body)
        return await self._one(request, UserPrimarySource)

    def get_many(
        self,
        ids: Iterable[str] | AsyncIterable[str],
        *,
        source: str = PURECLOUD,
        concurrency: int = 16,
        ordered: bool = False,
        dedupe: Dedupe = "window",
        linger: float = LINGER,
        on_progress: OnProgress | None = None,
    ) -> FanOut[PresenceOutcome]:
        """Read the presences of any number of users: fifty to a request, many at a time.

            async for outcome in client.user_presences.get_many(ids):
                print(outcome.user_id, outcome.status)

        Args:
            ids: User ids: a list, a generator, an async iterator. Pulled only as fast as
                outcomes are taken (an async iterator up to a chunk ahead).
            source: "purecloud" or an ad hoc source name. A source without a bulk read is
                read user by user.
            concurrency: Requests in flight at most.
            ordered: Outcomes in the order of the ids instead of as they come.
            dedupe: "window" reads an id once within at least 10,000 others, "all" once
                altogether, at its price in memory.
            linger: Seconds for which a request that is not full waits for an async iterator.
            on_progress: Called with a `Progress` at the start and after every request.
                What it raises is logged.

        Returns:
            An async iterator of one `PresenceOutcome` per distinct id; await it for a list.
            One that fails disturbs no other. Leave it early and what is in flight is
            cancelled; `async with` also waits for that.

        Raises:
            InvalidRequestError: A bad argument, before any request; of a generator's ids, a
                bad one is a failed outcome.
        """
        reader = PresenceReader(self._send_in_turn, source)
        tally = tally_of(on_progress, ids)
        return FanOut(
            reader.read,
            chunked(ids, check_dedupe(dedupe), linger=check_linger(linger), tally=tally),
            concurrency=check_concurrency(concurrency),
            ordered=ordered,
            on_start=self._adopt,
            tally=tally,
        )


def _update_request(user_id: str, source: str) -> Request:
    if is_purecloud(check_source(source)):
        return routes.UPDATE_PURECLOUD_PRESENCE.request(user_id)
    return routes.UPDATE_PRESENCE.request(user_id, source)


def _changes(
    primary: Maybe[bool],
    definition_id: Maybe[str],
    system_presence: Maybe[str],
    message: Maybe[str],
) -> dict[str, Any]:
    """The changes that were asked for, checked, under their wire names."""
    changes: dict[str, Any] = {}
    if given(primary):
        if not isinstance(primary, bool):
            raise InvalidRequestError("primary must be a bool", field="primary")
        changes["primary"] = primary
    if given(definition_id) and given(system_presence):
        raise InvalidRequestError(
            "give definition_id or system_presence, not both", field="system_presence"
        )
    if given(definition_id):
        changes["presenceDefinition"] = {"id": check_text("definition_id", definition_id)}
    if given(system_presence):
        changes["systemPresence"] = check_text("system_presence", system_presence)
    if given(message):
        if message is not None and not isinstance(message, str):
            raise InvalidRequestError("message must be a str or None", field="message")
        if message:
            check_text("message", message)
        changes["message"] = message
    return changes
