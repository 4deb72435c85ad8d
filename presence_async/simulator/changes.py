"""What the organization tells its listeners: one accepted change of one user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from presence_async.simulator.presences import source_key

if TYPE_CHECKING:
    from presence_async.simulator.presences import Presence
    from presence_async.simulator.sources import PrimarySource


@attrs.frozen(kw_only=True)
class Change:
    """One accepted change, however it came: PATCH, bulk PUT, injected event, primary source.

    Attributes:
        user_id: Whose.
        presence: The presence that was written, None when only the primary source changed.
        primary_before: The source others saw.
        primary: The source others see now.
    """

    user_id: str
    presence: Presence | None
    primary_before: PrimarySource
    primary: PrimarySource

    @property
    def switches_primary(self) -> bool:
        """Whether others see another source than before."""
        return source_key(self.primary.source_id) != source_key(self.primary_before.source_id)
