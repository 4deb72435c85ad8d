"""User presences: who is on which definition, per source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from presence_async.simulator.dates import wire_date
from presence_async.simulator.definitions import Definition, reference_json
from presence_async.simulator.paths import encode

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    """Return what makes two spellings of a source name one."""
    return source.casefold()


class Presences:
    """The written presences; users nobody wrote share one default on PURECLOUD.

    Keeping only what was written lets an organization have 100,000 users.

    Args:
        default: The PURECLOUD presence of a user nobody wrote.
    """

    def __init__(self, default: Presence) -> None:
        self.default = default
        self._written: dict[str, dict[str, Presence]] = {}

    def get(self, user_id: str, source: str) -> Presence | None:
        """Return a presence, None for a source this user never had."""
        key = source_key(source)
        presence = self._written.get(user_id, {}).get(key)
        if presence is None and key == "purecloud":
            return self.default
        return presence

    def put(self, user_id: str, presence: Presence) -> None:
        """Store a presence under its source."""
        self._written.setdefault(user_id, {})[source_key(presence.source)] = presence

    def of_user(self, user_id: str) -> Iterable[Presence]:
        """Return all presences of a user, PURECLOUD first."""
        written = self._written.get(user_id, {})
        return {"purecloud": self.default, **written}.values()


def presence_json(user_id: str, presence: Presence, definition: Definition) -> dict[str, Any]:
    """Return a user presence in the shape of the recorded answers of 2022.

    `message` is always there, `selfUri` lacks the source, and there is no `id`, `name` or
    `primary`.
    """
    shape: dict[str, Any] = {"sourceId" if presence.registered else "source": presence.source}
    shape["presenceDefinition"] = reference_json(definition)
    shape["message"] = presence.message
    shape["modifiedDate"] = wire_date(presence.modified)
    shape["selfUri"] = f"/api/v2/users/{encode(user_id)}/presences"
    return shape
