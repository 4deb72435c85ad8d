"""One channel's machine with its socket, its requests and its timer: all that touches the world.

The machine decides, the shell does. A reader task has the socket from opening to closing, and
never waits for who takes the events. There is one request at a time: one that the machine has
given up is cancelled, and gone, before the next is sent, so that what was decided last is what
the vendor hears last.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs

from presence_async.errors import ClosedError, ConfigurationError, DecodeError, PresenceError
from presence_async.live.link import Timing
from presence_async.live.machine import ChannelMachine
from presence_async.live.outputs import (
    CloseSocket,
    CreateChannel,
    OpenSocket,
    SendText,
    Subscribe,
)
from presence_async.live.rejections import rejected_topics
from presence_async.notifications import PLAIN
from presence_async.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence

    from presence_async.live.outputs import Command, Event, Output
    from presence_async.resources.channels import Channels
    from presence_async.transport import Socket

_COMMANDS: Final = (CreateChannel, Subscribe, OpenSocket, SendText, CloseSocket)
_LIFE: Final = Timing().life


@attrs.frozen
class Outside:
    """What the shells of a stream share; `gate` lets a few requests through at a time."""

    channels: Channels
    open_socket: Callable[[Secret], Awaitable[Socket]]
    gate: asyncio.Semaphore
    chance: Callable[[], float]


class ChannelShell:
    """A channel from `start` to `stop`, on the running loop.

    Args:
        topics: What to subscribe to.
        outside: The world.
        tell: Gets each event at once; it must not raise.
        fail: Gets why it cannot go on: nothing helps, a task was cancelled, or a bug of ours.
    """

    def __init__(
        self,
        topics: Iterable[str],
        outside: Outside,
        *,
        tell: Callable[[Event], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._outside = outside
        self._tell = tell
        self._fail = fail
        self._loop = asyncio.get_running_loop()
        self._machine = ChannelMachine(topics, chance=outside.chance)
        self._due: deque[Output] = deque()
        self._busy = False
        self._request: asyncio.Task[None] | None = None
        self._readers: dict[int, asyncio.Task[None]] = {}
        self._sockets: dict[int, Socket] = {}
        self._timer: asyncio.TimerHandle | None = None
        # What is done here for long keeps nobody's context variables.
        self._context = contextvars.Context()
        self.tasks: set[asyncio.Task[None]] = set()
        """Those that have not ended yet."""

    @property
    def live(self) -> bool:
        """Whether there is a socket that is proven to be alive."""
        return self._machine.live

    @property
    def uncovered(self) -> tuple[str, ...]:
        """The topics that are in a gap."""
        return self._machine.uncovered

    def start(self) -> None:
        """Begin."""
        self._do(self._machine.start(self._loop.time()))

    def set_topics(self, topics: Iterable[str], again: Iterable[str] = ()) -> None:
        """Subscribe to these and to no others; nobody has heard those that come again."""
        self._do(self._machine.set_topics(self._loop.time(), topics, again))

    def stop(self) -> None:
        """End; `tasks` are cancelled, and over a moment later. Safe to repeat."""
        self._machine.close(self._loop.time())
        self._due.clear()
        self._request = None
        self._readers.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self.tasks:
            task.cancel()

    # -- commands and events

    def _do(self, outputs: Sequence[Output]) -> None:
        """Carry out and tell, one after the other, also what follows from that."""
        self._due.extend(outputs)
        if self._busy:
            return
        self._busy = True
        try:
            while self._due:
                output = self._due.popleft()
                if isinstance(output, _COMMANDS):
                    self._carry_out(output)
                else:
                    self._tell(output)
        finally:
            self._busy = False
        self._set_timer()

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, CreateChannel):
            self._ask(partial(self._create, command))
        elif isinstance(command, Subscribe):
            self._ask(partial(self._subscribe, command))
        elif isinstance(command, OpenSocket):
            self._readers[command.socket] = self._spawn(self._read(command))
        elif isinstance(command, SendText):
            if command.socket in self._sockets:
                self._spawn(self._sockets[command.socket].send(command.text))
        else:
            reader = self._readers.pop(command.socket, None)
            # The reader itself sees that it is not among them any more.
            if reader is not None and reader is not asyncio.current_task():
                reader.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(
            work, name="presence_async channel", context=contextvars.Context()
        )
        self.tasks.add(task)
        task.add_done_callback(self._ended, context=self._context)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self._fail(error)
        elif task is self._request or task in self._readers.values():
            self._fail(ClosedError("a task of the stream was cancelled"))

    # -- time

    def _set_timer(self) -> None:
        """Be there at the deadline. A timer that comes too early is left: mostly it gets later."""
        deadline, timer = self._machine.deadline, self._timer
        if timer is not None and (deadline is None or deadline < timer.when()):
            timer.cancel()
            self._timer = timer = None
        if timer is None and deadline is not None:
            self._timer = self._loop.call_at(deadline, self._tick, context=self._context)

    def _tick(self) -> None:
        self._timer = None
        try:
            self._do(self._machine.tick(self._loop.time()))
        except Exception as error:  # noqa: BLE001  # a bug of ours; better heard than waited for
            self._fail(error)

    # -- requests

    def _ask(self, request: Callable[[], Coroutine[Any, Any, list[Output]]]) -> None:
        before, self._request = self._request, None
        if before is not None:
            before.cancel()
        self._request = self._spawn(self._answer(before, request))

    async def _answer(
        self,
        before: asyncio.Task[None] | None,
        request: Callable[[], Coroutine[Any, Any, list[Output]]],
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        async with self._outside.gate:
            outputs = await request()
        if self._request is asyncio.current_task():
            self._request = None
        self._do(outputs)

    async def _create(self, command: CreateChannel) -> list[Output]:
        try:
            channel = await self._outside.channels.create()
            uri, channel_id = channel.connect_uri, channel.id
            if not isinstance(uri, Secret) or not isinstance(channel_id, str):
                raise DecodeError("a channel without id or address")
        except PresenceError as error:
            return self._failed(command.request, error)
        return self._machine.channel_created(
            self._loop.time(), command.request, channel_id, uri, _LIFE
        )

    async def _subscribe(self, command: Subscribe) -> list[Output]:
        channels = self._outside.channels
        call = channels.replace_subscriptions if command.replace else channels.add_subscriptions
        try:
            answer = await call(command.channel_id, command.topics, ignore_errors=True)
        except PresenceError as error:
            return self._failed(command.request, error)
        rejected = rejected_topics(command.topics, answer)
        return self._machine.subscribed(self._loop.time(), command.request, rejected)

    def _failed(self, request: int, error: PresenceError) -> list[Output]:
        # It is kept for long; what it was raised from is not.
        return self._machine.request_failed(self._loop.time(), request, error.with_traceback(None))

    # -- the socket

    async def _read(self, command: OpenSocket) -> None:
        number, now = command.socket, self._loop.time
        try:
            socket = await self._outside.open_socket(command.connect_uri)
        except (ClosedError, ConfigurationError) as error:
            self._fail(error)  # it would be so for ever
            return
        except PresenceError as error:
            self._readers.pop(number, None)
            self._do(self._machine.socket_refused(now(), number, error.status))
            return
        self._sockets[number] = socket
        try:
            self._do(self._machine.socket_opened(now(), number))
            while number in self._readers and (text := await socket.receive()) is not None:
                self._hear(number, text)
        finally:
            del self._sockets[number]
            await socket.aclose()
        self._readers.pop(number, None)
        self._do(self._machine.socket_closed(now(), number))

    def _hear(self, number: int, text: bytes) -> None:
        outputs = self._machine.received(self._loop.time(), number, text)
        if len(outputs) == 1 and type(outputs[0]) in PLAIN:
            self._tell(outputs[0])  # type: ignore[arg-type]  # no command
        elif outputs:
            self._do(outputs)
