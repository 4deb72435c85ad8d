"""Which permissions the vendor's operations need, and the three ways to be refused.

The names are those the vendor's JavaScript and iOS SDKs document for the presence operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from presence_async.simulator.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

DEFINITION_VIEW = "presence:presenceDefinition:view"
DEFINITION_ADD = "presence:presenceDefinition:add"
DEFINITION_EDIT = "presence:presenceDefinition:edit"
DEFINITION_DELETE = "presence:presenceDefinition:delete"
SOURCE_VIEW = "presence:source:view"
SOURCE_ADD = "presence:source:add"
SOURCE_EDIT = "presence:source:edit"
SOURCE_DELETE = "presence:source:delete"
SETTINGS_VIEW = "presence:settings:view"
SETTINGS_EDIT = "presence:settings:edit"
PRIMARY_SOURCE_VIEW = "presence:userPrimarySource:view"
PRIMARY_SOURCE_EDIT = "presence:userPrimarySource:edit"
PRESENCE_EDIT = "presence:userPresence:edit"
PRESENCE_INJECT = "presence:userPresence:inject"
INTEGRATION_PRESENCE_EDIT = "integration:presence:edit"
# Invented: no permission is documented for watching another user's presence.
PRESENCE_VIEW = "presence:userPresence:view"
TEAMS_VIEW = "integration:microsoftTeams:view"
INTEGRATION_VIEW = "integrations:integration:view"
ON_QUEUE = "routing:agent:onqueue"

ALL_PERMISSIONS = frozenset(
    {
        DEFINITION_VIEW,
        DEFINITION_ADD,
        DEFINITION_EDIT,
        DEFINITION_DELETE,
        SOURCE_VIEW,
        SOURCE_ADD,
        SOURCE_EDIT,
        SOURCE_DELETE,
        SETTINGS_VIEW,
        SETTINGS_EDIT,
        PRIMARY_SOURCE_VIEW,
        PRIMARY_SOURCE_EDIT,
        PRESENCE_EDIT,
        PRESENCE_INJECT,
        INTEGRATION_PRESENCE_EDIT,
        PRESENCE_VIEW,
        TEAMS_VIEW,
        INTEGRATION_VIEW,
        ON_QUEUE,
    }
)


@attrs.frozen
class Need:
    """The permissions of an operation: `all` of them, or `any` one."""

    mode: Literal["all", "any"]
    permissions: tuple[str, ...]

    def check(self, granted: AbstractSet[str]) -> None:
        """Refuse a token that lacks them.

        Raises:
            ApiError: 403 `missing.permissions` or `missing.any.permissions`.
        """
        missing = [name for name in self.permissions if name not in granted]
        if self.mode == "all" and missing:
            names = ", ".join(missing)
            raise ApiError(
                403,
                "missing.permissions",
                "Unable to perform the requested action. "
                f"You are missing the following permission(s): {names}",
                params={"permissions": names},
            )
        if self.mode == "any" and len(missing) == len(self.permissions):
            names = ", ".join(self.permissions)
            raise ApiError(
                403,
                "missing.any.permissions",
                "Unable to perform the requested action. You must have at least one of the "
                f"following permissions assigned: [{names}]",
                params={"permissions": names},
            )


def needs_all(*permissions: str) -> Need:
    """Return the need for every one of the permissions."""
    return Need("all", permissions)


def needs_any(*permissions: str) -> Need:
    """Return the need for at least one of the permissions."""
    return Need("any", permissions)


def missing_division(permission: str, division_id: str) -> ApiError:
    """Return the 403 for a permission that is not granted in a division."""
    return ApiError(
        403,
        "missing.division.permission",
        f"You are missing the following permission(s) in division [{division_id}]: {permission}",
        params={"permissions": permission, "divisionId": division_id},
    )
