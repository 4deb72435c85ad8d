"""What `simulate` tells a person about its requests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs
import pytest
import pytest_asyncio
from unit.simulator.lab import Lab

from presence_async.cli.report import Report
from presence_async.simulator import Fault, RecordedRequest, Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SYSTEM = "/api/v2/systempresences"
ENDED = RecordedRequest(
    method="GET",
    target=f"{SYSTEM}?a=b",
    path_template=SYSTEM,
    headers={},
    body=b"",
    token_label="token-1",
    received_at=1.0,
    status=200,
    ended_at=1.0125,
)


@pytest_asyncio.fixture
async def lab(sim: Simulator) -> AsyncIterator[Lab]:
    """A simulator, a session and a token."""
    async with aiohttp.ClientSession() as http:
        yield Lab(sim, http, sim.issue_token())


def feed(sim: Simulator, status: int | None, fault: Fault | None, **changed: Any) -> None:
    """Let a request arrive and end, without a wire."""
    recorder = sim._recorder
    recorder._clock = lambda: 0.0
    number = recorder.arrive(attrs.evolve(ENDED, status=None, ended_at=None, **changed))
    recorder.finish(number, status, fault)
    recorder.end(number)


def said(capsys: pytest.CaptureFixture[str], report: Report, **changed: Any) -> str:
    """The line about a request, without the time of day."""
    report._hear(attrs.evolve(ENDED, **changed))
    clock, _, line = capsys.readouterr().err.partition(" ")
    assert re.fullmatch(r"\d\d:\d\d:\d\d", clock)
    assert line.endswith("\n")
    return line.removesuffix("\n")


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({}, f"GET {SYSTEM}?a=b 200 12.5 ms token-1"),
        ({"status": 401, "token_label": None}, f"GET {SYSTEM}?a=b 401 12.5 ms no token"),
        (
            {"status": 503, "fault": Fault(route=f"GET {SYSTEM}", times=2, status=503)},
            f"GET {SYSTEM}?a=b 503 (fault: status=503) 12.5 ms token-1",
        ),
        (
            {"status": None, "fault": Fault(delay=2, drop="after")},
            f'GET {SYSTEM}?a=b no answer (fault: delay=2, drop="after") 12.5 ms token-1',
        ),
        ({"status": None}, f"GET {SYSTEM}?a=b no answer 12.5 ms token-1"),
        ({"fault": Fault(skip=1)}, f"GET {SYSTEM}?a=b 200 (fault: nothing) 12.5 ms token-1"),
        (
            {"fault": Fault(body=b"\x1b[31m" + b"x" * 50)},
            f'GET {SYSTEM}?a=b 200 (fault: body="\\u001b[31m{"x" * 29}...) 12.5 ms token-1',
        ),
        ({"target": "/\x1b[31m"}, "GET '/\\x1b[31m' 200 12.5 ms token-1"),
        ({"target": "/\udcff"}, "GET '/\\udcff' 200 12.5 ms token-1"),
        ({"target": "/" + "x" * 300}, f"GET /{'x' * 199}... 200 12.5 ms token-1"),
    ],
)
def test_lines(capsys: pytest.CaptureFixture[str], changed: dict[str, Any], line: str):
    """A request is one readable line: method, target, outcome, duration, token."""
    report = Report(Simulator(users=0), log=True, usual=None)
    assert said(capsys, report, **changed) == line


async def test_the_log_follows_the_simulator(lab: Lab, capsys: pytest.CaptureFixture[str]):
    """Requests to both ports are told when they have ended; no secret is."""
    Report(lab.sim, log=True, usual=None)
    await lab.call("GET", SYSTEM)
    await lab.login({"grant_type": "client_credentials"})
    told = capsys.readouterr().err
    assert re.findall(r"(\w+) (\S+) (\d+) [\d.]+ ms (.*)", told) == [
        ("GET", SYSTEM, "200", "token-1"),
        ("POST", "/oauth/token", "200", "no token"),
    ]
    assert lab.token not in told
    assert lab.sim.client_secret not in told


def test_the_summary(capsys: pytest.CaptureFixture[str]):
    """It has the requests of each route by status, and the faults that struck, most first."""
    sim = Simulator(users=0)
    usual = Fault(times=None, delay=0.01)
    report = Report(sim, log=False, usual=usual)
    ends = [(200, None)] * 1100 + [(401, usual)] * 97
    ends += [(429, Fault(status=429, retry_after=1)), (None, Fault(stall=True))]
    ends += [(503, Fault(status=503, times=2)), (503, Fault(status=503))]
    for status, fault in ends:
        feed(sim, status, fault)
    feed(sim, 404, None, method="PATCH", path_template=None)
    seconds, *lines = report.summary().splitlines()
    assert re.fullmatch(r"served 1,202 requests in \d+\.\d s", seconds)
    assert lines == [
        f"    1,201  GET {SYSTEM}: 1,100 x 200, 97 x 401, 1 x 429, 2 x 503, 1 x no answer",
        "        1  PATCH (no such route): 1 x 404",
        "faults that struck",
        f"        2  status=503 on GET {SYSTEM}",
        f"        1  status=429, retry_after=1 on GET {SYSTEM}",
        f"        1  stall=true on GET {SYSTEM}",
    ]
    assert report.summary().endswith("\n")
    assert capsys.readouterr().err == ""


def test_nothing_happened():
    """Without requests the summary is one line."""
    report = Report(Simulator(users=0), log=False, usual=None)
    assert report.summary().startswith("served 0 requests in ")
    assert report.summary().count("\n") == 1


def test_a_reader_that_left(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """When nobody reads the log any more, the requests go on without it."""
    sim = Simulator(users=0)
    report = Report(sim, log=True, usual=None)

    def broken(_: str) -> int:
        raise BrokenPipeError

    monkeypatch.setattr("sys.stderr.write", broken)
    feed(sim, 200, None)
    monkeypatch.undo()
    feed(sim, 200, None)
    assert capsys.readouterr().err == ""
    assert "2 x 200" in report.summary()


def test_channels_are_masked(capsys: pytest.CaptureFixture[str]):
    """The id of a channel is the credential of its socket, and stays out of the log."""
    report = Report(Simulator(users=0), log=True, usual=None)
    target = "/channels/streaming-4-canary0123/subscriptions"
    assert " /channels/streaming-***/subscriptions 200" in said(capsys, report, target=target)
