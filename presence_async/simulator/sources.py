"""Registered sources, the primary source of each user, and the presence settings."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import attrs

from presence_async.simulator.errors import bad_request, invalid_value, not_found
from presence_async.simulator.identity import uuid_for
from presence_async.simulator.paths import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """All registered sources, in order of creation.

    Args:
        seed: Which ids new records get.
        reactivation: Whether a deactivated source can be revived.
    """

    def __init__(self, seed: int, *, reactivation: bool) -> None:
        self._seed = seed
        self._reactivation = reactivation
        self._records: dict[str, Source] = {}
        self.by_id: Mapping[str, Source] = MappingProxyType(self._records)

    def get(self, source_id: str) -> Source:
        """Return a source, deactivated or not.

        Raises:
            ApiError: 404 for an unknown id.
        """
        record = self._records.get(source_id)
        if record is None:
            raise not_found("presence source", source_id)
        return record

    def usable(self, source_id: str) -> Source:
        """Return a source that presences can come from.

        Raises:
            ApiError: 404 for an unknown id, 400 for a deactivated source.
        """
        record = self.get(source_id)
        if record.deactivated:
            raise bad_request(f"The presence source [{source_id}] is deactivated")
        return record

    def listing(self, *, deactivated: bool | None) -> list[Source]:
        """Return the active ones, the deactivated ones, or (None) all."""
        records = self._records.values()
        return [record for record in records if deactivated in (None, record.deactivated)]

    def add(self, draft: SourceDraft) -> Source:
        """Register a source of type User.

        Raises:
            ApiError: 400 for type System.
        """
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
        """Change a source; fields the draft leaves out stay as they are.

        Raises:
            ApiError: 404 for an unknown id, 400 for a change that is not allowed.
        """
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
        """Deactivate a source, which is all that deleting does.

        Raises:
            ApiError: 404 for an unknown id.
        """
        self._records[source_id] = attrs.evolve(self.get(source_id), deactivated=True)


def source_json(record: Source) -> dict[str, Any]:
    """Return a source as the API shows it, without fields that have no value."""
    shape: dict[str, Any] = {"id": record.id, "name": record.name}
    if record.description is not None:
        shape["description"] = record.description
    shape["type"] = record.type
    shape["deactivated"] = record.deactivated
    shape["selfUri"] = f"/api/v2/presence/sources/{record.id}"
    return shape


@attrs.frozen
class PrimarySource:
    """The source of a user that others see."""

    source_id: str
    registered: bool = False


def primary_source_json(user_id: str, primary: PrimarySource) -> dict[str, Any]:
    """Return the primary source of a user as the API shows it."""
    return {
        "sourceId": primary.source_id,
        "registered": primary.registered,
        "selfUri": f"/api/v2/presence/users/{encode(user_id)}/primarysource",
    }


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
    """Return the settings as the API shows them, without fields that have no value."""
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
