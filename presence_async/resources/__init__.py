"""One module per area of the API: arguments in, models out.

Resources receive a `send` and know nothing of the session behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from presence_async.resources.bulk import Bulk
from presence_async.resources.channels import Channels
from presence_async.resources.definitions import Definitions
from presence_async.resources.events import Events
from presence_async.resources.legacy_definitions import LegacyDefinitions
from presence_async.resources.settings import Settings
from presence_async.resources.sources import Sources
from presence_async.resources.system_presences import BuiltinIds, SystemPresences
from presence_async.resources.user_presences import UserPresences
from presence_async.resources.users import Users

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async.fanout import FanOut
    from presence_async.resources._base import Send

__all__ = ["Resources", "build"]


class Resources(NamedTuple):
    """One of each."""

    definitions: Definitions
    legacy_definitions: LegacyDefinitions
    system_presences: SystemPresences
    user_presences: UserPresences
    bulk: Bulk
    sources: Sources
    settings: Settings
    users: Users
    events: Events
    channels: Channels


def build(
    send: Send,
    send_in_turn: Send,
    builtin_ids: BuiltinIds | None,
    adopt: Callable[[FanOut[Any]], None],
) -> Resources:
    """Every resource over one way out; `send_in_turn` waits for the budget as long as needed.

    `builtin_ids` is what a client that shares the session knows; `adopt` ends a fan-out with it.
    """
    system_presences = SystemPresences(send, builtin_ids or BuiltinIds())
    user_presences = UserPresences(send, send_in_turn, system_presences, adopt)
    return Resources(
        definitions=Definitions(send),
        legacy_definitions=LegacyDefinitions(send),
        system_presences=system_presences,
        user_presences=user_presences,
        bulk=Bulk(send_in_turn, system_presences, user_presences, adopt),
        sources=Sources(send),
        settings=Settings(send),
        users=Users(send),
        events=Events(send_in_turn, adopt),
        channels=Channels(send),
    )
