"""What `simulate` tells a person about its requests: a line for each, and a summary."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from presence_async.simulator.fault_json import fault_json

if TYPE_CHECKING:
    from presence_async.simulator import Fault, RecordedRequest, Simulator

# Longest target and longest value of a fault that are shown in full.
_TARGET = 200
_VALUE = 40
_CHANNEL = re.compile(r"streaming-[0-9a-z-]+")
# What says which request a fault strikes, not what it does.
_AIM = frozenset(("route", "times", "skip", "probability"))


class Report:
    """Listens to a simulator; `usual` is the fault behind `--latency`, not worth a word."""

    def __init__(self, simulator: Simulator, *, log: bool, usual: Fault | None) -> None:
        self._simulator = simulator
        self._log = log
        self._usual = usual
        self._struck: Counter[str] = Counter()
        self._started = time.monotonic()
        simulator.listeners.append(self._hear)

    def summary(self) -> str:
        """Return how long it took, the requests of each route, and the faults that struck."""
        seconds = time.monotonic() - self._started
        lines = [f"served {self._simulator.count():,} requests in {seconds:.1f} s"]
        for route in self._simulator.counts():
            outcomes = [f"{count:,} x {status}" for status, count in route.statuses.items()]
            if route.unanswered:
                outcomes.append(f"{route.unanswered:,} x no answer")
            name = _route(route.method, route.path_template)
            lines.append(f"{route.requests:>9,}  {name}: {', '.join(outcomes)}")
        if self._struck:
            lines.append("faults that struck")
            lines += [f"{count:>9,}  {fault}" for fault, count in self._struck.most_common()]
        return "\n".join([*lines, ""])

    def _hear(self, request: RecordedRequest) -> None:
        fault = None
        if request.fault is not None and request.fault is not self._usual:
            fault = _effect(request.fault)
            self._struck[f"{fault} on {_route(request.method, request.path_template)}"] += 1
        if self._log:
            try:
                sys.stderr.write(_line(request, fault))
            except OSError:  # whoever read it is gone; the service goes on
                self._log = False


def _line(request: RecordedRequest, fault: str | None) -> str:
    outcome = "no answer" if request.status is None else str(request.status)
    if fault is not None:
        outcome += f" (fault: {fault})"
    milliseconds = ((request.ended_at or 0.0) - request.received_at) * 1000
    clock = time.strftime("%H:%M:%S")
    token = request.token_label or "no token"
    target = _target(request.target)
    return f"{clock} {request.method} {target} {outcome} {milliseconds:.1f} ms {token}\n"


def _target(target: str) -> str:
    # The id of a channel is the credential of its socket.
    target = _CHANNEL.sub("streaming-***", target)
    shown = target if len(target) <= _TARGET else f"{target[:_TARGET]}..."
    # The wire may bring anything that a terminal should not see.
    return shown if shown.isascii() and shown.isprintable() else ascii(shown)


def _route(method: str, template: str | None) -> str:
    return f"{method} {template or '(no such route)'}"


def _effect(fault: Fault) -> str:
    """Return what a fault does, such as `status=503, retry_after=2`."""
    parts = []
    for name, value in fault_json(fault).items():
        if name not in _AIM:
            text = json.dumps(value)
            parts.append(f"{name}={text if len(text) <= _VALUE else f'{text[:_VALUE]}...'}")
    return ", ".join(parts) or "nothing"
