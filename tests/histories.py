"""Random histories of an organization: what is changed, what is disturbed, what was true when."""

from __future__ import annotations

import asyncio
import itertools
import math
from typing import TYPE_CHECKING, Any

from presence_async.simulator import Fault, Simulator, Switches

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

CREATE = "POST /api/v2/notifications/channels"
ADD = "POST /api/v2/notifications/channels/{channelId}/subscriptions"
UPGRADE = "GET /channels/{channelId}"
READ = "GET /api/v2/users/presences/purecloud/bulk"
# Until a socket that says nothing any more is noticed: silence, the pong, and the jitter of timers.
UNNOTICED = 52.0


class Stranger:
    """The socket of somebody else's channel."""

    def send(self, text: bytes) -> bool:
        """Take a frame."""
        return True

    def close(self, code: int | None = None) -> None:
        """Nobody hears it."""


def evict(sim: Simulator) -> None:
    """Other processes of the same user open twenty channels, and use them: ours are gone."""
    mine = sim.channels.all()
    for _ in range(20 if mine else 0):
        other = sim.channels.create(mine[0].token)
        other.sink = Stranger()


class World:
    """A simulated organization with habits by chance, which remembers what it was.

    Args:
        random: The chance.
        users: How many there are.
        options: Of the simulator; they win.

    Attributes:
        sim: The simulator.
        changed: When each user's value was changed last.
        frozen: When events were last lost without a sign.
    """

    def __init__(self, random: Random, *, users: int, **options: Any) -> None:
        self.random = random
        self.loop: Any = asyncio.get_running_loop()
        usual = {
            "seed": random.randrange(1000),
            "switches": Switches(
                combined_topics_count=random.choice(["once", "each"]),
                closing_notice=random.choice(["empty", "full"]),
                refused_upgrade_status=random.choice([401, 404]),
                heartbeat_seconds=random.choice([10.0, 30.0]),
                bulk_get_unknown=random.choice(["omit", "reject"]),
            ),
            "token_lifetime": random.choice([600, 86_400]),
            "socket_lifetime": random.choice([None, 900.0]),
        }
        self.sim = Simulator(users=users, wall_clock=self.loop.wall, **(usual | options))
        self.changed: dict[str, float] = {}
        self.frozen = -math.inf
        self._numbers = itertools.count(1)
        # From when to when a user had a message.
        self._spans: dict[tuple[str, str], list[float]] = {}
        self._last: dict[str, str] = {}

    def truth(self, user_id: str) -> str | None:
        """The user's message, as a read would say now; no two changes give the same."""
        return self.sim.organization.presence(user_id).message

    def change(self, user_id: str) -> str:
        """Give a user another presence; return its message."""
        now, message = self.loop.time(), str(next(self._numbers))
        self._spans.setdefault((user_id, self._last.get(user_id, "")), [-math.inf, now])[1] = now
        self._spans[user_id, message] = [now, math.inf]
        self._last[user_id], self.changed[user_id] = message, now
        definition = self.random.choice([None, *self.sim.organization.definitions])
        self.sim.organization.set_presence(user_id, definition, message=message)
        return message

    def until(self, user_id: str, message: str) -> float:
        """Until when a user had a message; KeyError for one the user never had."""
        if message == self._last.get(user_id, ""):
            return math.inf
        return self._spans[user_id, message][1]

    def disturb(self) -> None:
        """Something happens to the sockets, the channels or the next requests."""
        self.random.choice(self.disturbances())()

    def disturbances(self) -> list[Callable[[], object]]:
        """What may happen."""
        random, sockets, fault = self.random, self.sim.sockets, self.fault
        return [
            sockets.drop,
            self.freeze,
            sockets.notice,
            sockets.close,
            sockets.expire,
            lambda: evict(self.sim),
            lambda: sockets.send("{"),
            lambda: fault(UPGRADE, status=random.choice([404, 429, 503])),
            lambda: fault(UPGRADE, half_open=True),
            lambda: fault(UPGRADE, stall=True),
            lambda: fault(CREATE, status=429, retry_after=20),
            lambda: fault(ADD, drop=random.choice(["before", "after"])),
            lambda: fault(ADD, status=503, times=3),
        ]

    def freeze(self) -> None:
        """The sockets go silent, and nobody is told."""
        self.frozen = self.loop.time()
        self.sim.sockets.freeze()

    def fault(self, route: str, **fields: Any) -> None:
        """Arm a fault for the next request at a route."""
        self.sim.faults.add(Fault(route=route, **fields))
