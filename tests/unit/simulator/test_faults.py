"""Which fault strikes which request, and what it answers."""

import itertools

import orjson
import pytest

from presence_async.simulator.faults import BAD_GATEWAY, Fault, FaultPlan
from presence_async.simulator.recorder import RecordedRequest


def request(method: str = "GET", template: str | None = "/a"):
    """Return a request."""
    return RecordedRequest(
        method=method,
        target="/a?x=1",
        path_template=template,
        headers={},
        body=b"",
        token_label=None,
        received_at=0.0,
    )


def plan(*faults: Fault):
    """Return a plan that knows two routes."""
    plan = FaultPlan(0, ["GET /a", "PUT /a"])
    plan.add(*faults)
    return plan


def test_faults_are_used_up():
    """A fault strikes as often as it says and is pending until then."""
    fault = Fault(times=2)
    faults = plan(fault)
    assert faults.pending == (fault,)
    assert [faults.take(request()) for _ in range(3)] == [fault, fault, None]
    assert faults.pending == ()


def test_faults_without_end():
    """None times means for ever, until cleared."""
    faults = plan(Fault(times=None))
    assert all(faults.take(request()) for _ in range(20))
    faults.clear()
    assert faults.take(request()) is None


def test_skipping():
    """The first requests pass."""
    faults = plan(Fault(skip=2))
    assert [faults.take(request()) is None for _ in range(4)] == [True, True, False, True]


def test_routes():
    """A fault is for one route, for what a callable likes, or for everything."""
    by_name, by_call = Fault(route="PUT /a"), Fault(route=lambda r: "x=1" in r.target)
    assert plan(by_name).take(request()) is None
    assert plan(by_name).take(request("PUT")) is by_name
    assert plan(by_call).take(request()) is by_call
    assert plan(Fault(route=lambda r: False)).take(request()) is None
    assert plan(Fault()).take(request(template=None)) is not None


def test_misspelt_routes_are_noticed():
    """A route no request can match is an error at once."""
    with pytest.raises(ValueError, match="no such route: 'GET /b'"):
        plan(Fault(route="GET /b"))


def test_first_fault_wins():
    """Faults are tried in the order they were added."""
    first, second = Fault(status=500), Fault(status=503)
    faults = plan(first, second)
    assert [faults.take(request()) for _ in range(2)] == [first, second]


def test_probability_repeats():
    """A probability strikes some requests, and the same ones for the same seed."""
    runs = [
        [plan_.take(request()) is not None for _ in range(200)]
        for plan_ in (plan(Fault(times=None, probability=0.25)) for _ in range(2))
    ]
    assert runs[0] == runs[1]
    assert 25 < sum(runs[0]) < 75


def test_delays():
    """A delay is a number or asked for each time."""
    numbers = itertools.count()
    fault = Fault(delay=lambda: next(numbers))
    assert (fault.seconds, fault.seconds, Fault(delay=2).seconds) == (0, 1, 2)


def test_error_answers():
    """A status brings the usual code, headers, and an ErrorBody."""
    answer = Fault(status=429, retry_after=7, headers={"X": "y"}).answer("c", login=False)
    assert answer.headers == {"Content-Type": "application/json", "Retry-After": "7", "X": "y"}
    assert orjson.loads(answer.body)["code"] == "too.many.requests.retry.after"
    bare = Fault(status=429).answer("c", login=False)
    assert orjson.loads(bare.body)["code"] == "too.many.requests"
    odd = Fault(status=599, message="m").answer("c", login=False)
    assert orjson.loads(odd.body)["code"] == "internal.server.error"
    assert orjson.loads(odd.body)["message"] == "m"


def test_bad_gateway_is_html():
    """A 502 has no JSON body, unless a code or body asks for one."""
    answer = Fault(status=502).answer("c", login=False)
    assert (answer.body, answer.headers["Content-Type"]) == (BAD_GATEWAY, "text/html")
    coded = Fault(status=502, code="x").answer("c", login=False)
    assert orjson.loads(coded.body)["code"] == "x"


def test_own_bodies():
    """A body goes out as it is, with status 200 by default; success has none."""
    answer = Fault(body=b"{", content_type="text/plain").answer("c", login=False)
    assert (answer.status, answer.body) == (200, b"{")
    assert answer.headers["Content-Type"] == "text/plain"
    assert Fault(status=204).answer("c", login=False).body == b""


def test_login_errors():
    """The login server words the same fault its own way."""
    answer = Fault(status=400, code="invalid_grant", message="m").answer("c", login=True)
    assert orjson.loads(answer.body) == {
        "error": "invalid_grant",
        "description": "m",
        "error_description": "m",
    }
