"""What an organization has: users, presences, registered sources and settings."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from presence_async.simulator.definitions import Definition, reference_json
from presence_async.simulator.errors import bad_request, invalid_value, not_found
from presence_async.simulator.identity import uuid_for
from presence_async.simulator.paths import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UserState = Literal["active", "inactive", "deleted"]

_FIRST = (
    "Ada", "Bela", "Chloe", "David", "Elif", "Femi", "Grace", "Hugo", "Ines", "Jonas",
    "Karin", "Liam", "Mina", "Noor", "Olga", "Pavel", "Quinn", "Rosa", "Sven", "Tara",
)  # fmt: skip
_LAST = (
    "Abe", "Brand", "Costa", "Diaz", "Eze", "Fischer", "Garcia", "Haddad", "Ito", "Jensen",
    "Kaya", "Lopez", "Moreau", "Nowak", "Okafor", "Popov", "Rossi", "Silva", "Tanaka",
)  # fmt: skip


@attrs.frozen
class User:
    """One user; `email` doubles as the user name."""

    id: str
    name: str
    email: str
    state: UserState = "active"
    version: int = 1


def generate_user(seed: int, number: int) -> User:
    """The `number`-th user of an organization, the same for the same seed."""
    first = _FIRST[number % len(_FIRST)]
    last = _LAST[number // len(_FIRST) % len(_LAST)]
    email = f"{first}.{last}.{number}@example.com".lower()
    return User(id=uuid_for(seed, "user", number), name=f"{first} {last}", email=email)


class People:
    """All users by id, and their listing in order of name."""

    def __init__(self, count: int, seed: int) -> None:
        generated = (generate_user(seed, number) for number in range(count))
        self._users = {user.id: user for user in generated}
        self.by_id: Mapping[str, User] = MappingProxyType(self._users)
        self._listings: dict[str, list[User]] = {}
        self._by_email: dict[str, User] = {}

    def put(self, user: User) -> None:
        """Add a user or replace the one of the same id."""
        self._users[user.id] = user
        self._listings.clear()
        self._by_email.clear()

    def by_email(self, email: str) -> User:
        """The last user with an email address, in any case; or ApiError 404."""
        # The index is built when it is first needed: most organizations never need it.
        if not self._by_email:
            self._by_email = {user.email.casefold(): user for user in self._users.values()}
        user = self._by_email.get(email.casefold())
        if user is None:
            raise not_found("user", email)
        return user

    def listing(self, state: str) -> list[User]:
        """The users of a state (or `any`) by name, then id."""
        listing = self._listings.get(state)
        if listing is None:
            users = [user for user in self._users.values() if state in ("any", user.state)]
            listing = sorted(users, key=lambda user: (user.name, user.id))
            self._listings[state] = listing
        return listing


def user_json(user: User, division: Mapping[str, Any]) -> dict[str, Any]:
    """A user as the Users API shows it, without expansions."""
    return {
        "id": user.id,
        "name": user.name,
        "division": division,
        "email": user.email,
        "username": user.email,
        "state": user.state,
        "version": user.version,
        "selfUri": f"/api/v2/users/{encode(user.id)}",
    }


PURECLOUD: Final = "PURECLOUD"


@attrs.frozen
class Presence:
    """The presence of one user on one source.

    Attributes:
        source: Name of the source as first written, or the id of a registered one.
        definition_id: The presence definition.
        message: Free text, empty if none.
        modified: Last change, in seconds since 1970.
        registered: Whether `source` is the id of a registered source.
        future_definition_id: Where the user goes once a request to leave the queue is
            granted (presumed meaning of `futurePresenceDefinition`).
    """

    source: str
    definition_id: str
    message: str
    modified: float
    registered: bool = False
    future_definition_id: str | None = None


def source_key(source: str) -> str:
    """What makes two spellings of a source name one."""
    return source.casefold()


@attrs.frozen
class PrimarySource:
    """The source of a user that others see."""

    source_id: str
    registered: bool = False


def primary_source_json(user_id: str, primary: PrimarySource) -> dict[str, Any]:
    """The primary source of a user as the API shows it."""
    return {
        "sourceId": primary.source_id,
        "registered": primary.registered,
        "selfUri": f"/api/v2/presence/users/{encode(user_id)}/primarysource",
    }


@attrs.frozen(kw_only=True)
class Change:
    """One accepted change, however it came: PATCH, bulk PUT, injected event, primary source.

    `presence` is what was written, None when only the primary source changed.
    """

    user_id: str
    presence: Presence | None
    primary_before: PrimarySource
    primary: PrimarySource

    @property
    def switches_primary(self) -> bool:
        """Whether others see another source than before."""
        return source_key(self.primary.source_id) != source_key(self.primary_before.source_id)


class Presences:
    """The written presences; users nobody wrote share one default on PURECLOUD."""

    def __init__(self, default: Presence) -> None:
        self.default = default
        self._written: dict[str, dict[str, Presence]] = {}

    def get(self, user_id: str, source: str) -> Presence | None:
        """A presence, None for a source this user never had."""
        key = source_key(source)
        presence = self._written.get(user_id, {}).get(key)
        if presence is None and key == "purecloud":
            return self.default
        return presence

    def put(self, user_id: str, presence: Presence) -> None:
        """Store a presence under its source."""
        self._written.setdefault(user_id, {})[source_key(presence.source)] = presence

    def of_user(self, user_id: str) -> Iterable[Presence]:
        """All presences of a user, PURECLOUD first."""
        written = self._written.get(user_id, {})
        return {"purecloud": self.default, **written}.values()


def presence_json(user_id: str, presence: Presence, definition: Definition) -> dict[str, Any]:
    """A user presence in the shape of the recorded answers of 2022."""
    shape: dict[str, Any] = {"sourceId" if presence.registered else "source": presence.source}
    shape["presenceDefinition"] = reference_json(definition)
    shape["message"] = presence.message
    shape["modifiedDate"] = wire_date(presence.modified)
    shape["selfUri"] = f"/api/v2/users/{encode(user_id)}/presences"
    return shape


# Presences nobody has written share one date, so most dates are asked for again.
@lru_cache(maxsize=4096)
def wire_date(epoch_seconds: float) -> str:
    """E.g. `2022-03-07T08:15:03.625Z` for seconds since 1970."""
    text = datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="milliseconds")
    return f"{text.removesuffix('+00:00')}Z"


MINUTE_MILLISECONDS = 60_000


@attrs.frozen
class Source:
    """A registered source of presences."""

    id: str
    name: str
    description: str | None = None
    type: Literal["System", "User"] = "User"
    deactivated: bool = False


@attrs.frozen(kw_only=True)
class SourceDraft:
    """What a client may say about a source; None keeps what is there."""

    name: str
    description: str | None = None
    type: str | None = None
    deactivated: bool | None = None


class Sources:
    """All registered sources, in order of creation."""

    def __init__(self, seed: int, *, reactivation: bool) -> None:
        self._seed = seed
        self._reactivation = reactivation
        self._records: dict[str, Source] = {}
        self.by_id: Mapping[str, Source] = MappingProxyType(self._records)

    def get(self, source_id: str) -> Source:
        """A source, deactivated or not; ApiError 404 for an unknown id."""
        record = self._records.get(source_id)
        if record is None:
            raise not_found("presence source", source_id)
        return record

    def usable(self, source_id: str) -> Source:
        """A source that presences can come from; ApiError 404, or 400 for a deactivated one."""
        record = self.get(source_id)
        if record.deactivated:
            raise bad_request(f"The presence source [{source_id}] is deactivated")
        return record

    def listing(self, *, deactivated: bool | None) -> list[Source]:
        """The active ones, the deactivated ones, or (None) all."""
        records = self._records.values()
        return [record for record in records if deactivated in (None, record.deactivated)]

    def add(self, draft: SourceDraft) -> Source:
        """Register a source of type User; ApiError 400 for type System."""
        if draft.type not in (None, "User"):
            raise invalid_value("type", draft.type)
        record = Source(
            id=uuid_for(self._seed, "source", len(self._records)),
            name=draft.name,
            description=draft.description,
            deactivated=bool(draft.deactivated),
        )
        self._records[record.id] = record
        return record

    def replace(self, source_id: str, draft: SourceDraft) -> Source:
        """Change a source; what the draft leaves out stays. ApiError 404 or 400."""
        record = self.get(source_id)
        if draft.type not in (None, record.type):
            raise invalid_value("type", draft.type)
        deactivated = record.deactivated if draft.deactivated is None else draft.deactivated
        if record.deactivated and not deactivated and not self._reactivation:
            raise bad_request("A deactivated source cannot be activated again")
        description = record.description if draft.description is None else draft.description
        changed = attrs.evolve(
            record, name=draft.name, description=description, deactivated=deactivated
        )
        self._records[source_id] = changed
        return changed

    def deactivate(self, source_id: str) -> None:
        """Deactivate a source, which is all that deleting does; ApiError 404 for an unknown id."""
        self._records[source_id] = attrs.evolve(self.get(source_id), deactivated=True)


def source_json(record: Source) -> dict[str, Any]:
    """A source as the API shows it, without fields that have no value."""
    shape: dict[str, Any] = {"id": record.id, "name": record.name}
    if record.description is not None:
        shape["description"] = record.description
    shape["type"] = record.type
    shape["deactivated"] = record.deactivated
    shape["selfUri"] = f"/api/v2/presence/sources/{record.id}"
    return shape


@attrs.frozen(kw_only=True)
class RestoreSettings:
    """How long an unexpected disconnect keeps the last presence: a minute unless set."""

    enabled: bool = True
    restore_time_milliseconds: int = MINUTE_MILLISECONDS
    restore_on_queue_enabled: bool = False


@attrs.frozen(kw_only=True)
class Settings:
    """The presence settings of the organization."""

    restore: RestoreSettings = RestoreSettings()
    requesting_off_queue_enabled: bool = False
    default_source_id: str | None = None


def settings_json(settings: Settings) -> dict[str, Any]:
    """The settings as the API shows them, without fields that have no value."""
    restore = settings.restore
    shape: dict[str, Any] = {
        "restorePresenceSettings": {
            "enabled": restore.enabled,
            "restoreTimeMilliseconds": restore.restore_time_milliseconds,
            "restoreOnQueueEnabled": restore.restore_on_queue_enabled,
        },
        "requestingOffQueueEnabled": settings.requesting_off_queue_enabled,
    }
    if settings.default_source_id is not None:
        shape["defaultPrimaryPresenceRegisteredSourceId"] = settings.default_source_id
    shape["selfUri"] = "/api/v2/presence/settings"
    return shape
