"""What a fan-out is told and tells: the outcome of each item, and how far all have come."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Sized
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import attrs

from presence_async.errors import InvalidRequestError

if TYPE_CHECKING:
    import asyncio

__all__ = ["OnProgress", "Outcome", "Progress", "Tally", "check_concurrency", "tally_of"]

_LOGGER: Final = logging.getLogger("presence_async.fanout")

ItemT = TypeVar("ItemT")
ValueT = TypeVar("ValueT")


@attrs.frozen
class Outcome(Generic[ItemT, ValueT]):
    """What became of one item.

    Attributes:
        item: The item as it was given.
        value: What the function returned; None when it failed.
        error: What it raised, or None.
    """

    item: ItemT
    value: ValueT | None = None
    error: BaseException | None = None

    @property
    def ok(self) -> bool:
        """True when the function returned."""
        return self.error is None

    def unwrap(self) -> ValueT:
        """The value; raises the error of an item that failed."""
        if self.error is not None:
            raise self.error
        return cast("ValueT", self.value)


@attrs.frozen
class Progress:
    """How far a fan-out has come.

    Attributes:
        done: Items that have their outcome.
        total: All items, without ids that turn out to be repeated; None where they cannot be
            counted before (a generator).
        failed: Those of `done` whose outcome has an error.
        seconds: Since the fan-out began, on the clock of the event loop.
    """

    done: int
    total: int | None
    failed: int
    seconds: float


OnProgress = Callable[[Progress], object]


class Tally:
    """Counts outcomes as they are made and shows every count to a callback."""

    def __init__(self, on_progress: OnProgress, total: int | None) -> None:
        self._on_progress = on_progress
        self._total = total
        self._done = 0
        self._failed = 0
        self._started: float | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to count; the callback sees the total."""
        self._clock = loop.time
        self._started = loop.time()
        self._show()

    def counted(self, done: int, failed: int) -> None:
        """Somebody else has counted; before the start this is where it begins."""
        self._done, self._failed = done, failed
        if self._started is not None:
            self._show()

    def fewer(self, count: int) -> None:
        """So many of the total will have no outcome of their own."""
        if self._total is not None:
            self._total -= count

    def add(self, outcomes: Iterable[Any]) -> None:
        """Outcomes that were made together; each has an `error`."""
        for outcome in outcomes:
            self._done += 1
            self._failed += outcome.error is not None
        self._show()

    def _show(self) -> None:
        seconds = self._clock() - (self._started or 0.0)
        try:
            self._on_progress(Progress(self._done, self._total, self._failed, seconds))
        except Exception:
            _LOGGER.exception("on_progress failed at %d of %s", self._done, self._total)


def check_concurrency(concurrency: Any) -> int:
    """`concurrency` if it is a whole number from 1, else InvalidRequestError."""
    if not isinstance(concurrency, int) or isinstance(concurrency, bool) or concurrency < 1:
        raise InvalidRequestError(
            f"concurrency must be a whole number from 1, not {concurrency!r}", field="concurrency"
        )
    return concurrency


def tally_of(on_progress: OnProgress | None, items: object) -> Tally | None:
    """A tally of `items` for a callback, which is a plain function; None without one."""
    if on_progress is None:
        return None
    if not callable(on_progress) or inspect.iscoroutinefunction(on_progress):
        raise InvalidRequestError(
            f"on_progress must be a plain function, not {on_progress!r}: nobody awaits it",
            field="on_progress",
        )
    return Tally(on_progress, len(items) if isinstance(items, Sized) else None)
