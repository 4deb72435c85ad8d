"""Polling: everybody's presence now, and from then on what changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from presence_async.errors import ClosedError
from presence_async.resources._sweeping import Sweeps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from presence_async.resources._base import Send
    from presence_async.resources.changes import KnownPresence, PresenceChange

__all__ = ["PollStatistics", "PresencePoll"]


@attrs.frozen(kw_only=True)
class PollStatistics:
    """A poll at one moment; `reads`, `failures` and `changes` are those of all sweeps.

    Attributes:
        users: Users in it.
        unread: Those who have never been read.
        stale: Those whose last read failed.
        sweeps: Sweeps that have ended.
        requests: Requests sent, repeated ones included.
        reads: Users read, missing ones included.
        failures: Users who could not be read.
        changes: Changes seen.
        waiting: Changes not taken yet: one for each user at most.
        sweep_seconds: How long the last sweep took, or None.
        lag: Seconds by which the last sweep was started too late.
        stretched: Sweeps that took longer than the interval.
        oldest: Age in seconds of the oldest presence that is known, or None.
    """

    users: int
    unread: int
    stale: int
    sweeps: int
    requests: int
    reads: int
    failures: int
    changes: int
    waiting: int
    sweep_seconds: float | None
    lag: float
    stretched: int
    oldest: float | None


class PresencePoll:
    """What `client.poll()` gives: an async iterator of changes that never ends by itself.

        async with client.poll(ids, interval=120) as poll:
            async for change in poll:
                print(change.user_id, change.kind, change.after)

    The first sweep tells of every user ("first"), later ones only of what differs. One task
    at a time iterates; leaving the loop and coming back, or a timeout around one step, loses
    nothing. Changes that wait are folded into one for each user. Behind the `async with`
    nothing is left running; a plain `async for` that is left early ends the poll when dropped.
    """

    def __init__(self, send: Send, adopt: Callable[[Sweeps], None], **options: Any) -> None:
        """Use `client.poll`; the arguments are those of `Sweeps`."""
        self._sweeps = Sweeps(send, adopt, **options)

    def __aiter__(self) -> PresencePoll:
        return self

    async def __anext__(self) -> PresenceChange:
        self._sweeps.start()
        return await self._sweeps.news.take()

    def add(self, ids: Iterable[str]) -> None:
        """Poll these users too, from the next sweep on. Who is in the poll already stays.

        Raises:
            InvalidRequestError: One of them is no id, or they are too many; none is added.
        """
        self._sweeps.add(ids)

    def remove(self, ids: Iterable[str]) -> None:
        """Forget these users at once; who is not in the poll is passed over."""
        self._sweeps.remove(ids)

    def __contains__(self, user_id: object) -> bool:
        return user_id in self._sweeps.table

    def __getitem__(self, user_id: str) -> KnownPresence:
        return self._sweeps.table.known(user_id, self._sweeps.now())

    def snapshot(self) -> dict[str, KnownPresence]:
        """What is known of every user right now, also of changes that wait to be taken."""
        table, now = self._sweeps.table, self._sweeps.now()
        return {user_id: table.known(user_id, now) for user_id in table.user_ids}

    @property
    def statistics(self) -> PollStatistics:
        """How it goes, at any time; for `oldest` every user is looked at."""
        sweeps = self._sweeps
        table, oldest = sweeps.table, sweeps.table.oldest()
        return PollStatistics(
            users=len(table),
            unread=table.unread,
            stale=table.stale,
            sweeps=sweeps.sweeps,
            requests=sweeps.requests,
            reads=sweeps.reads,
            failures=sweeps.failures,
            changes=sweeps.changes,
            waiting=len(sweeps.news),
            sweep_seconds=sweeps.sweep_seconds,
            lag=sweeps.lag,
            stretched=sweeps.stretched,
            oldest=None if oldest is None else oldest.seconds_until(sweeps.now()),
        )

    async def __aenter__(self) -> Self:
        self._sweeps.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the sweep under way and the task, and wait for that; safe to repeat."""
        await self._sweeps.abort(ClosedError("the poll is closed"))

    def __del__(self) -> None:
        if "_sweeps" in vars(self):  # not if its arguments were refused
            self._sweeps.cancel(ClosedError("the poll is closed"))
