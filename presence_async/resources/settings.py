"""Presence settings of the organization, `/api/v2/presence/settings`."""

from __future__ import annotations

from presence_async import routes
from presence_async.models import PresenceSettings
from presence_async.resources._base import Resource, write_body


class Settings(Resource):
    """What the organization has set for presence as a whole."""

    __slots__ = ()

    async def get(self) -> PresenceSettings:
        """Get the settings. Permission `presence:settings:view`."""
        return await self._one(routes.GET_SETTINGS.request(), PresenceSettings)

    async def replace(self, settings: PresenceSettings) -> PresenceSettings:
        """Replace the settings. Permission `presence:settings:edit`.

        Read, `attrs.evolve`, replace keeps what this version does not know. Repeated after a
        lost answer.

        Args:
            settings: What they are to be; read-only fields are not sent.

        Returns:
            The settings as they are now.

        Raises:
            InvalidRequestError: `settings` is not a PresenceSettings.
        """
        body = write_body("settings", settings, PresenceSettings)
        return await self._one(routes.REPLACE_SETTINGS.request(body=body), PresenceSettings)
