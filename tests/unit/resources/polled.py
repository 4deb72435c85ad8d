"""A vendor made of thin air for polls: it answers after a while, and fails on demand."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from presence_async import forecast
from presence_async.errors import NotFoundError, PresenceError
from presence_async.resources.polling import PresencePoll
from presence_async.wire import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from presence_async import PresenceChange

LATENCY = 0.5
# What rows of recorded answers have in common.
ROW = {
    "source": "PURECLOUD",
    "presenceDefinition": {
        "id": "6a3af858-942f-489d-9700-5f9bcdcdae9b",
        "systemPresence": "Available",
        "selfUri": "/api/v2/presence/definitions/6a3af858-942f-489d-9700-5f9bcdcdae9b",
    },
    "modifiedDate": "2026-01-01T00:00:00.000Z",
}


class Vendor:
    """Shows everybody a message, "" unless set; ghosts are nobody."""

    def __init__(self, *, bulk: bool = True) -> None:
        self.bulk = bulk
        self.latency = LATENCY
        self.messages: dict[str, str] = {}
        # Called with the ids of a request; what it returns is raised.
        self.fails: Callable[[list[str]], PresenceError | None] = lambda ids: None
        self.asked: list[list[str]] = []
        self.times: list[float] = []
        self.adopted: list[Any] = []
        self.attempts = 1
        self.in_flight = self.peak = self.cancelled = 0
        self.budget = 300

    def poll(self, ids: Any, interval: float = 60, **options: Any) -> PresencePoll:
        """A poll of this vendor."""
        usual: dict[str, Any] = {"source": "purecloud", "concurrency": 4}
        return PresencePoll(
            self.send,
            self.adopted.append,
            ids=ids,
            interval=interval,
            forecast=self.forecast,
            **(usual | options),
        )

    def forecast(self, users: int, interval: float) -> Any:
        """What the client would say."""
        return forecast.forecast(
            users,
            interval,
            budget=self.budget,
            latency=self.latency,
            concurrency=4,
            pacing="even",
        )

    async def send(self, request: Request) -> Response:
        """One request in, one 2xx response out."""
        parts = urlsplit(request.target)
        is_bulk = parts.path.endswith("/bulk")
        ids = [v for _, v in parse_qsl(parts.query)] if is_bulk else [parts.path.split("/")[4]]
        self.asked.append(ids)
        self.times.append(asyncio.get_running_loop().time())
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await asyncio.sleep(self.latency)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1
        error = self.fails(ids)
        if error is not None:
            error.attempts = self.attempts
            raise error
        if is_bulk and not self.bulk:
            raise NotFoundError("no such path", status=404)
        rows = list(self._rows(ids))
        if not rows and not is_bulk:
            raise NotFoundError("nobody", status=404)
        body = json.dumps(rows if is_bulk else rows[0]).encode()
        return Response(200, {}, body, self.attempts)

    def _rows(self, ids: list[str]) -> Iterator[dict[str, Any]]:
        for user_id in ids:
            if not user_id.startswith("ghost"):
                yield ROW | {
                    "userId": user_id,
                    "message": self.messages.get(user_id, ""),
                    "selfUri": f"/api/v2/users/{user_id}/presences/purecloud",
                }


def users(count: int) -> list[str]:
    """That many ids."""
    return [f"u{number}" for number in range(count)]


async def take(poll: PresencePoll, count: int) -> list[PresenceChange]:
    """The next changes."""
    return [await anext(poll) for _ in range(count)]


async def quiet(poll: PresencePoll, seconds: float) -> None:
    """Check that nothing is told for so long."""
    try:
        async with asyncio.timeout(seconds):
            raise AssertionError(await anext(poll))
    except TimeoutError:
        pass
