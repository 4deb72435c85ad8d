"""Notification topics of users: their names, the combined form, and the published list.

Names and bodies follow the vendor's iOS SDK 201.0.0 (`notificationMappings.json`) and .NET SDK
270.0.0 (`NotificationTopics.cs`), which compares topic names in any case. The combined form and
the bound on a name are those of the vendor's streaming client.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from presence_async.simulator.errors import ApiError
from presence_async.simulator.permissions import PRESENCE_VIEW

PRESENCE: Final = "presence"
ACTIVITY: Final = "activity"
INTEGRATION: Final = "integrationpresence"
# What the simulator raises events for; the neighbours can be subscribed to and stay silent.
PRESENCE_SUFFIXES = (PRESENCE, ACTIVITY, INTEGRATION)
_NEIGHBOURS = ("outofoffice", "routingStatus", "station", "tokens")
_SUFFIXES = {name.casefold(): name for name in (*PRESENCE_SUFFIXES, *_NEIGHBOURS)}
_PREFIX = "v2.users."
# Names are shorter than this.
NAME_LENGTH = 200


@attrs.frozen
class Topic:
    """One topic of one user; a combined name stands for several."""

    user_id: str
    suffix: str

    @property
    def key(self) -> str:
        """What makes two spellings of a topic one."""
        return topic_key(self.user_id, self.suffix)

    def is_about(self, user_id: str | None) -> bool:
        """Return whether it is a topic of a user, in any case of the id; never of None."""
        return user_id is not None and self.user_id.casefold() == user_id.casefold()


def topic_key(user_id: str, suffix: str) -> str:
    """Return what makes two spellings of a user's topic one."""
    return f"{user_id}.{suffix}".casefold()


def topic_name(user_id: str, suffix: str) -> str:
    """Return the name events carry."""
    return f"{_PREFIX}{user_id}.{suffix}"


def read_topics(name: str) -> tuple[Topic, ...]:
    """Return the topics a name subscribes: one, or several for the combined form.

    Args:
        name: `v2.users.{id}.presence` or `v2.users.{id}?presence&routingStatus`, in any case.

    Raises:
        ApiError: 400 `notification.invalid.topic` for anything else, for 200 characters or
            more, and for what comes without being asked (`channel.metadata`, `v2.system.*`).
    """
    head, rest = name[: len(_PREFIX)], name[len(_PREFIX) :]
    user_id, combined, listed = rest.partition("?")
    suffixes = listed.split("&")
    if not combined:
        user_id, _, suffix = rest.rpartition(".")
        suffixes = [suffix]
    known = [_SUFFIXES.get(suffix.casefold()) for suffix in suffixes]
    good = [suffix for suffix in known if suffix is not None]
    if (
        len(name) >= NAME_LENGTH
        or head.casefold() != _PREFIX
        or not user_id
        or len(good) != len(known)
    ):
        raise ApiError(
            400, "notification.invalid.topic", f"Invalid notification topic [{name[:100]}]"
        )
    return tuple(Topic(user_id, suffix) for suffix in dict.fromkeys(good))


def available_topics(
    expansions: frozenset[str], *, permission_needed: bool
) -> list[dict[str, Any]]:
    """Return the published list of topics, each with `id` and the fields asked for.

    Args:
        expansions: Fields to show.
        permission_needed: Whether other users' presence needs a permission.
    """
    return [
        {"id": topic_name("{id}", suffix)}
        | {
            field: value
            for field, value in _details(suffix, permission_needed=permission_needed).items()
            if field in expansions
        }
        for suffix in _SUFFIXES.values()
    ]


EXPANSIONS = (
    "description", "enforced", "schema", "visibility", "transports",
    "publicApiTemplateUriPaths", "requiresPermissions", "permissionDetails", "topicParameters",
)  # fmt: skip


def _details(suffix: str, *, permission_needed: bool) -> dict[str, Any]:
    needed = [PRESENCE_VIEW] if permission_needed and suffix in PRESENCE_SUFFIXES else []
    paths = {
        PRESENCE: ["/api/v2/users/{id}/presences/purecloud"],
        INTEGRATION: ["/api/v2/users/{id}/presences/{sourceId}"],
    }
    return {
        "description": f"The {suffix} of a user",
        "enforced": bool(needed),
        "schema": {"type": "object"},
        "visibility": "Public",
        "transports": ["All"],
        "publicApiTemplateUriPaths": paths.get(suffix, []),
        "requiresPermissions": needed,
        "permissionDetails": [
            {
                "type": "requiresPermissions",
                "permissions": needed,
                "allowsCurrentUser": True,
                "enforced": True,
            }
        ]
        if needed
        else [],
        "topicParameters": ["id"],
    }
