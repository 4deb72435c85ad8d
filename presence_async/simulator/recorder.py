"""What arrived on the wire, in a bounded ring, and how often each route was asked."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from presence_async.simulator.faults import Fault


@attrs.frozen(kw_only=True)
class RecordedRequest:
    """One request as it arrived.

    Attributes:
        target: Path and query exactly as sent, undecoded.
        path_template: The route it matched, None for none.
        headers: Case-insensitive; credentials are masked.
        body: The body; empty if it was too large, came too slowly, or was cut off unread.
        token_label: Label of the bearer token, None without a known one.
        received_at, ended_at: Loop time; the latter of its answer, or of giving up on one.
        status: Status of the answer; None while there is none, or when it was dropped.
        fault: The fault that struck it.
    """

    method: str
    target: str
    path_template: str | None
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)
    token_label: str | None
    received_at: float
    status: int | None = None
    fault: Fault | None = None
    ended_at: float | None = None


@attrs.frozen
class RouteCount:
    """How often a route was asked, and how many were answered with which status.

    `path_template` is None for requests that matched no route.
    """

    method: str
    path_template: str | None
    requests: int
    statuses: Mapping[int, int]

    @property
    def unanswered(self) -> int:
        """How many have no answer, or none yet."""
        return self.requests - sum(self.statuses.values())


# Bodies in the ring, at most half as much again: requests can be large, and memory is not.
BODY_BYTES = 64_000_000


class Recorder:
    """Keeps the last requests and counts all of them.

    Attributes:
        requests: The ring, oldest first.
        listeners: Called, at once, with every request that has ended. They must not raise.
    """

    def __init__(self, history: int, clock: Callable[[], float]) -> None:
        self.requests: deque[RecordedRequest] = deque(maxlen=history)
        self.listeners: list[Callable[[RecordedRequest], None]] = []
        self._clock = clock
        self._arrivals: Counter[tuple[str | None, str]] = Counter()
        self._statuses: Counter[tuple[str | None, str, int]] = Counter()
        self._arrived = 0
        self._unweighed = 0  # bytes of bodies that came since the ring was last weighed
        # The requests that have not ended. The ring may drop one before its end.
        self._open: dict[int, RecordedRequest] = {}

    def arrive(self, request: RecordedRequest) -> int:
        """Keep a request that just arrived and return its number for `finish` and `end`."""
        self.requests.append(request)
        self._unweighed += len(request.body)
        if self._unweighed > BODY_BYTES:
            self._shed()
        self._arrivals[(request.path_template, request.method)] += 1
        self._arrived += 1
        self._open[self._arrived] = request
        return self._arrived

    def _shed(self) -> None:
        """Let the oldest requests go until the bodies of the ring are not too large in all."""
        size = sum(len(request.body) for request in self.requests)
        while size > BODY_BYTES:
            size -= len(self.requests.popleft().body)
        self._unweighed = size // 2

    def finish(self, number: int, status: int | None, fault: Fault | None) -> None:
        """Note the answer of a request, which ends it, or the fault that just struck it."""
        request = self._open.get(number)
        if request is None:
            return
        if status is None:
            self._open[number] = self._keep(number, _evolved(request, None, fault, None))
            return
        self._statuses[(request.path_template, request.method, status)] += 1
        self._end(number, _evolved(request, status, fault, self._clock()))

    def end(self, number: int) -> None:
        """Note that a request will have no answer, unless it has had one."""
        request = self._open.get(number)
        if request is not None:
            self._end(number, _evolved(request, None, request.fault, self._clock()))

    def count(self, template: str | None, method: str | None) -> int:
        """How many requests arrived; None stands for any template or method."""
        return sum(
            count
            for (path_template, verb), count in self._arrivals.items()
            if template in (None, path_template) and method in (None, verb)
        )

    def counts(self) -> list[RouteCount]:
        """The counts of every route that was asked, in order of its first request."""
        statuses: dict[tuple[str | None, str], dict[int, int]] = {}
        for (template, method, status), count in sorted(
            self._statuses.items(), key=lambda item: item[0][2]
        ):
            statuses.setdefault((template, method), {})[status] = count
        return [
            RouteCount(method, template, count, statuses.get((template, method), {}))
            for (template, method), count in self._arrivals.items()
        ]

    def _end(self, number: int, request: RecordedRequest) -> None:
        del self._open[number]
        self._keep(number, request)
        for listener in self.listeners:
            listener(request)

    def _keep(self, number: int, request: RecordedRequest) -> RecordedRequest:
        """Put what is now known of a request into the ring, if that still holds it."""
        index = number - self._arrived - 1
        if -index <= len(self.requests):
            self.requests[index] = request
        return request


def _evolved(
    request: RecordedRequest, status: int | None, fault: Fault | None, ended_at: float | None
) -> RecordedRequest:
    """Do what `attrs.evolve` does, in a fraction of its time: this is for every request."""
    return RecordedRequest(
        method=request.method,
        target=request.target,
        path_template=request.path_template,
        headers=request.headers,
        body=request.body,
        token_label=request.token_label,
        received_at=request.received_at,
        status=status,
        fault=fault,
        ended_at=ended_at,
    )
