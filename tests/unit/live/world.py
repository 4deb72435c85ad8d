"""A session made of thin air for streams: channels, and sockets that tests write into."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from presence_async.errors import PresenceConnectionError
from presence_async.wire import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async.errors import PresenceError
    from presence_async.secret import Secret

LATENCY = 0.5
PONG = b'{"topicName":"channel.metadata","eventBody":{"message":"pong"}}'


def frame(topic: str, body: Any = None) -> bytes:
    """A frame as it comes."""
    return json.dumps({"topicName": topic, "eventBody": {} if body is None else body}).encode()


class FakeSocket:
    """Answers pings at once unless it is mute; `end` makes it end."""

    def __init__(self, address: str, *, mute: bool) -> None:
        self.address = address
        self.mute = mute
        self.sent: list[str] = []
        self.closed = False
        self.closing = 0.0
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()

    def say(self, *frames: bytes) -> None:
        """Let frames arrive."""
        for one in frames:
            self._frames.put_nowait(one)

    def end(self) -> None:
        """End it after what was said."""
        self._frames.put_nowait(None)

    async def receive(self) -> bytes | None:
        """As a socket does."""
        return await self._frames.get()

    async def send(self, text: str) -> None:
        """As a socket does."""
        self.sent.append(text)
        if not self.mute:
            self.say(PONG)

    async def aclose(self) -> None:
        """As a socket does."""
        await asyncio.sleep(self.closing)
        self.closed = True


class World:
    """What a stream sees of the world; everything takes `LATENCY`, requests may take longer."""

    def __init__(self) -> None:
        self.adopted: list[Any] = []
        self.sockets: list[FakeSocket] = []
        self.requests: list[Request] = []
        self.cancelled = self.in_flight = self.peak = 0
        self.mute = self.stubborn = False
        self.latency = LATENCY
        self.opens: Callable[[], None] = lambda: None
        # What they return is the answer's body, what they raise is raised.
        self.channel: Callable[[int], Any] = lambda number: {
            "id": f"c{number}",
            "connectUri": f"wss://host/c{number}",
        }
        self.answer: Callable[[list[str]], Any] = lambda topics: {
            "entities": [{"id": topic, "state": "Permitted"} for topic in topics]
        }
        self._channels = 0

    def adopt(self, closable: Any) -> None:
        """As a session does."""
        self.adopted.append(closable)

    async def open_socket(self, connect_uri: Secret) -> FakeSocket:
        """As a session does."""
        await asyncio.sleep(LATENCY)
        self.opens()
        socket = FakeSocket(connect_uri.reveal(), mute=self.mute)
        self.sockets.append(socket)
        return socket

    async def send(self, request: Request) -> Response:
        """As a session does."""
        self.requests.append(request)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await asyncio.sleep(self.latency)
        except asyncio.CancelledError:
            self.cancelled += 1
            if not self.stubborn:
                raise
            await asyncio.sleep(LATENCY)
        finally:
            self.in_flight -= 1
        if request.body is None:
            self._channels += 1
            body = self.channel(self._channels)
        else:
            body = self.answer(topics_of(request))
        return Response(200, {}, json.dumps(body).encode(), attempts=2)

    @property
    def asked(self) -> list[tuple[str, list[str]]]:
        """Method and topics of each subscribe call."""
        calls = [request for request in self.requests if request.body is not None]
        return [(request.route.method, topics_of(request)) for request in calls]


def topics_of(request: Request) -> list[str]:
    """Those of a subscribe call."""
    return [topic["id"] for topic in json.loads(request.body or b"[]")]


def failing(error: PresenceError, times: int = 1) -> Callable[..., Any]:
    """Raises so many times, then answers that everything went well."""
    left = [error] * times

    def answer(topics: Any = ()) -> Any:
        if left:
            error = left.pop()
            error.attempts = 3
            raise error
        return {"entities": [{"id": topic} for topic in topics]}

    return answer


LOST = PresenceConnectionError("the connection broke")
