"""The state of the simulated organization. No HTTP, no asyncio; clocks come in as callables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from presence_async.simulator.definitions import (
    AVAILABLE,
    OFFLINE,
    ON_QUEUE,
    Definition,
    Definitions,
    reference_json,
)
from presence_async.simulator.errors import DEFAULT_CODES, ApiError, not_found
from presence_async.simulator.identity import uuid_for
from presence_async.simulator.records import (
    PURECLOUD,
    Change,
    People,
    Presence,
    Presences,
    PrimarySource,
    Settings,
    Source,
    Sources,
    User,
    presence_json,
    source_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from presence_async.simulator.records import UserState
    from presence_async.simulator.switches import Switches

_QUEUE_KEY = source_key(PURECLOUD)


class Organization:
    """Users, definitions, presences, sources and settings of one tenant.

    Tests may read and change it directly; nothing here checks permissions. What does not exist
    is an `ApiError`: 404, or 400 where a switch says so.

    Attributes:
        definition_store: The definitions with the rules of their life cycle.
        source_store: The registered sources likewise.
        settings: The presence settings; replace them at will.
        division_id: The home division, which every user belongs to.
        listeners: Called, at once, with every accepted change of a user.
    """

    def __init__(
        self,
        *,
        users: int,
        seed: int,
        switches: Switches,
        wall_clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._seed = seed
        self._switches = switches
        self._wall_clock = wall_clock
        self._people = People(users, seed)
        self.definition_store = Definitions(seed, switches, monotonic)
        self.source_store = Sources(seed, reactivation=switches.reactivation)
        self.settings = Settings()
        self.division_id = uuid_for(seed, "division", 0)
        available = self.definition_store.built_in(AVAILABLE)
        self._presences = Presences(Presence(PURECLOUD, available.id, "", wall_clock()))
        self._primary: dict[str, PrimarySource] = {}
        self.listeners: list[Callable[[Change], None]] = []

    @property
    def users(self) -> Mapping[str, User]:
        """All users by id, also inactive and deleted ones."""
        return self._people.by_id

    @property
    def definitions(self) -> Mapping[str, Definition]:
        """All definitions by id, also deactivated ones."""
        return self.definition_store.by_id

    @property
    def sources(self) -> Mapping[str, Source]:
        """All registered sources by id, also deactivated ones."""
        return self.source_store.by_id

    def user(self, user_id: str) -> User:
        """A user, or ApiError."""
        user = self.users.get(user_id)
        if user is None:
            status = self._switches.unknown_user_status
            raise ApiError(status, DEFAULT_CODES[status], f"Unable to find user [{user_id}]")
        return user

    def user_by_email(self, email: str) -> User:
        """A user by email address in any case, or ApiError."""
        return self._people.by_email(email)

    def user_listing(self, state: str) -> list[User]:
        """The users of a state (or `any`) in order of name."""
        return self._people.listing(state)

    def add_user(
        self, user_id: str | None = None, name: str = "Zoe Added", email: str | None = None
    ) -> User:
        """Add a user, by default with an id of the usual form, and return it."""
        number = len(self.users)
        chosen = uuid_for(self._seed, "user", number) if user_id is None else user_id
        user = User(chosen, name, email or f"added.{number}@example.com")
        self._people.put(user)
        return user

    def set_user_state(self, user_id: str, state: UserState) -> User:
        """Make a user active, inactive or deleted, and return it."""
        user = self.user(user_id)
        changed = attrs.evolve(user, state=state, version=user.version + 1)
        self._people.put(changed)
        return changed

    def division_json(self) -> dict[str, Any]:
        """The home division as it appears inside users."""
        uri = f"/api/v2/authorization/divisions/{self.division_id}"
        return {"id": self.division_id, "name": "Home", "selfUri": uri}

    def find_presence(self, user_id: str, source: str = PURECLOUD) -> Presence | None:
        """The presence of a known user, None for a source never written."""
        presence = self._presences.get(user_id, source)
        if presence is None and self._switches.unwritten_source == "offline":
            offline = self.definition_store.built_in(OFFLINE)
            modified = self._presences.default.modified
            return Presence(source, offline.id, "", modified, registered=source in self.sources)
        return presence

    def presence(self, user_id: str, source: str = PURECLOUD) -> Presence:
        """The presence of a user on a source, whose name is in any case; or ApiError."""
        self.user(user_id)
        presence = self.find_presence(user_id, source)
        if presence is None:
            raise not_found("presence source", source)
        return presence

    def set_presence(
        self,
        user_id: str,
        definition_id: str | None = None,
        *,
        source: str = PURECLOUD,
        message: str | None = None,
        primary: bool = False,
        future_definition_id: str | None = None,
    ) -> Presence:
        """Change a presence and return it; what is left out stays, the date moves on.

        A change of definition settles what the user waited for. A source never written needs one.
        """
        self.user(user_id)
        for wanted in (definition_id, future_definition_id):
            if wanted is not None and wanted not in self.definitions:
                raise not_found("presence definition", wanted)
        before = self.find_presence(user_id, source)
        if before is None:
            if definition_id is None:
                raise not_found("presence source", source)
            before = Presence(source, definition_id, "", 0.0, registered=source in self.sources)
        if message is None:
            changed = definition_id not in (None, before.definition_id)
            message = "" if changed and not self._switches.message_kept else before.message
        if definition_id is None and future_definition_id is None:
            future_definition_id = before.future_definition_id
        after = attrs.evolve(
            before,
            definition_id=definition_id or before.definition_id,
            message=message,
            modified=self._wall_clock(),
            future_definition_id=future_definition_id,
        )
        primary_before = self.primary_source(user_id)
        self._presences.put(user_id, after)
        if primary:
            self._primary[user_id] = PrimarySource(after.source, after.registered)
        self._tell(user_id, after, primary_before)
        return after

    def must_ask(self, user_id: str, definition_id: str, source: str) -> bool:
        """Whether a user who wants a definition has to ask to leave the queue."""
        if self._switches.leaving_queue == "at_once":
            return False
        if not self.settings.requesting_off_queue_enabled or source_key(source) != _QUEUE_KEY:
            return False
        now = self.definitions[self.presence(user_id).definition_id]
        wanted = self.definitions[definition_id]
        return now.system_presence == ON_QUEUE != wanted.system_presence

    def primary_source(self, user_id: str) -> PrimarySource:
        """The source of a user that others see."""
        self.user(user_id)
        default = self.settings.default_source_id
        chosen = self._primary.get(user_id)
        if chosen is not None:
            return chosen
        return PrimarySource(PURECLOUD) if default is None else PrimarySource(default, True)

    def set_primary_source(self, user_id: str, primary: PrimarySource) -> None:
        """Choose the source of a user that others see."""
        primary_before = self.primary_source(user_id)
        self._primary[user_id] = primary
        self._tell(user_id, None, primary_before)

    def _tell(self, user_id: str, presence: Presence | None, before: PrimarySource) -> None:
        change = Change(
            user_id=user_id,
            presence=presence,
            primary_before=before,
            primary=self.primary_source(user_id),
        )
        for listener in self.listeners:
            listener(change)

    def presence_json(self, user_id: str, presence: Presence) -> dict[str, Any]:
        """A presence as the API shows it."""
        store = self.definition_store
        shape = presence_json(user_id, presence, store.shown(presence.definition_id))
        if presence.future_definition_id is not None:
            future = store.shown(presence.future_definition_id)
            shape["futurePresenceDefinition"] = reference_json(future)
        if self._switches.presence_extras:
            primary = source_key(self.primary_source(user_id).source_id)
            shape["id"] = user_id
            shape["primary"] = primary == source_key(presence.source)
            shape["sourceId"] = presence.source
        return shape

    def presences_json(self, user_id: str) -> list[dict[str, Any]]:
        """All presences of a user as the API shows them."""
        return [self.presence_json(user_id, one) for one in self._presences.of_user(user_id)]

    def visible_presence(self, user_id: str) -> Presence:
        """The presence of the primary source, PURECLOUD if that has none."""
        primary = self.primary_source(user_id)
        presence = self._presences.get(user_id, primary.source_id)
        return self.presence(user_id) if presence is None else presence

    def usable_definition(self, definition_id: str) -> Definition:
        """A definition a user can be put on: neither unknown nor deactivated."""
        record = self.definitions.get(definition_id)
        if record is None or record.deactivated:
            status = self._switches.unknown_definition_status
            message = f"Unable to find presence definition [{definition_id}]"
            raise ApiError(status, DEFAULT_CODES[status], message)
        return record
