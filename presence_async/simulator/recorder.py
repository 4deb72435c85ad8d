"""What arrived on the wire, in a bounded ring, and how often each route was asked."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from presence_async.simulator.faults import Fault


@attrs.frozen(kw_only=True)
class RecordedRequest:
    """One request as it arrived.

    Attributes:
        method: HTTP method.
        target: Path and query exactly as sent, undecoded.
        path_template: The route it matched, None for none.
        headers: Case-insensitive; the credentials of `Authorization` are masked.
        body: The body, empty if it was too large to be read.
        token_label: Label of the bearer token, None without a known one.
        received_at: Loop time.
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


class Recorder:
    """Keeps the last requests and counts all of them.

    Args:
        history: How many requests are kept.
    """

    def __init__(self, history: int) -> None:
        self.requests: deque[RecordedRequest] = deque(maxlen=history)
        self._counts: Counter[tuple[str | None, str]] = Counter()
        self._arrived = 0

    def arrive(self, request: RecordedRequest) -> int:
        """Keep a request that just arrived and return its number for `finish`."""
        self.requests.append(request)
        self._counts[(request.path_template, request.method)] += 1
        self._arrived += 1
        return self._arrived

    def finish(self, number: int, status: int | None, fault: Fault | None) -> None:
        """Note how a request ended, unless the ring has dropped it already."""
        index = number - self._arrived - 1
        if -index <= len(self.requests):
            self.requests[index] = attrs.evolve(self.requests[index], status=status, fault=fault)

    def count(self, template: str | None, method: str | None) -> int:
        """Return how many requests arrived; None stands for any template or method."""
        return sum(
            count
            for (path_template, verb), count in self._counts.items()
            if template in (None, path_template) and method in (None, verb)
        )
