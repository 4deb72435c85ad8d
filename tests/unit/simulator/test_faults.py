"""Scripted failures and broken answers."""

import gzip
import itertools
import math
import re
from typing import Any

import orjson
import pytest

from presence_async.simulator.faults import (
    BAD_GATEWAY,
    Delivery,
    Fault,
    FaultPlan,
    delivery,
    gzip_bomb,
)
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


def test_otherwise():
    """What no armed fault strikes can have a fault of its own, which is never used up."""
    usual, armed = Fault(delay=1), Fault(route="PUT /a")
    faults = plan()
    faults.otherwise = usual
    faults.add(armed)
    assert faults.pending == (armed,)
    assert [faults.take(request(verb)) for verb in ("GET", "PUT", "PUT")] == [usual, armed, usual]
    faults.clear()
    assert faults.take(request()) is usual


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


def test_limits():
    """A 429 that says how long to wait names a limit, per day when the wait is long."""

    def limit(**fields: Any):
        body = Fault(status=429, **fields).answer("c", login=False).body
        return orjson.loads(body).get("limit")

    assert limit() is None
    assert limit(retry_after=60)["key"] == "token.rate.per.minute"
    assert limit(retry_after="soon")["key"] == "token.rate.per.minute"
    day = limit(retry_after=43200)
    assert (day["key"], day["namespace"]) == ("token.rate.per.day", "presence")
    assert limit(retry_after=43200, code="too.many.requests") is None
    own = {"key": "mine", "namespace": "presence", "value": 1}
    assert limit(limit=own) == limit(limit=own, retry_after=43200) == own


def test_bad_gateway_is_html():
    """A 502 has no JSON body, unless the fault says something of one."""
    answer = Fault(status=502).answer("c", login=False)
    assert (answer.body, answer.headers["Content-Type"]) == (BAD_GATEWAY, "text/html")
    coded = Fault(status=502, code="x").answer("c", login=False)
    assert orjson.loads(coded.body)["code"] == "x"
    worded = Fault(status=502, message="m").answer("c", login=False)
    assert orjson.loads(worded.body)["message"] == "m"


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


def test_which_faults_are_chosen_before_the_body():
    """Only a reset does not want the body, and only when no callable may want to see it."""
    reset, callable_ = Fault(drop="before"), Fault(route=lambda r: False)
    assert plan(reset, Fault(status=503)).by_head
    assert not plan().by_head
    assert not plan(Fault(drop="after"), Fault(status=503)).by_head
    assert not plan(reset, callable_).by_head


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("times", [0, -1]),
        ("skip", [-1]),
        ("probability", [-0.1, 1.1, math.nan]),
        ("delay", [-1, math.nan, math.inf]),
        ("status", [0, 101, 199, 600]),
        ("retry_after", [-1, math.nan, math.inf]),
        ("gzip_bomb", [-1]),
        ("slow_body", [-1, math.nan, math.inf]),
        ("drop", ["between", ""]),
    ],
)
def test_values_out_of_range(name: str, values: list[Any]):
    """A value no fault can have is refused by the name of its field."""
    for value in values:
        with pytest.raises(ValueError, match=f"^{name} must be"):
            Fault(**({"status": 429} | {name: value}))


def test_values_at_the_edge():
    """The ends of each range are in it."""
    Fault(times=1, skip=0, probability=0, delay=0, status=200, gzip_bomb=None)
    Fault(times=None, probability=1, status=599, retry_after=0, slow_body=0, wrong_length=-1)
    Fault(status=429, retry_after="-5")
    Fault(gzip_bomb=0)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"stall": True, "drop": "before"}, "drop does not go together with stall"),
        ({"stall": True, "status": 503}, "status does not go together with stall"),
        ({"stall": True, "half_open": True}, "half_open does not go together with stall"),
        ({"raw_answer": b"", "body": b""}, "body does not go together with raw_answer"),
        ({"raw_answer": b"", "slow_body": 1}, "slow_body does not go together with raw_answer"),
        ({"gzip_bomb": 0, "status": 200}, "status does not go together with gzip_bomb"),
        ({"drop": "mid_body", "wrong_length": 1}, "wrong_length does not go together with drop"),
        ({"drop": "before", "status": 503}, "status does not go together with drop"),
        ({"drop": "after", "gzip_bomb": 9}, "gzip_bomb does not go together with drop"),
        (
            {"drop": "after", "after_effect": True, "stall": False},
            "after_effect does not go together with drop",
        ),
        ({"body": b"", "status": 503, "code": "x"}, "code does not go together with body"),
        ({"code": "x"}, "code needs the status of an error"),
        ({"message": "x", "status": 204}, "message needs the status of an error"),
        ({"limit": {}, "status": 302}, "limit needs the status of an error"),
        ({"retry_after": 1}, "retry_after needs status or body"),
        ({"headers": {"X": "y"}, "delay": 1}, "headers needs status or body"),
        ({"content_type": "text/html"}, "content_type needs status or body"),
        ({"after_effect": True}, "after_effect needs status or body or gzip_bomb or raw_answer"),
        ({"after_effect": True, "slow_body": 1}, "after_effect needs status"),
    ],
)
def test_contradictions(fields: dict[str, Any], text: str):
    """Fields that exclude each other, or do nothing together, are refused by name."""
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        Fault(**fields)


def test_what_goes_together():
    """Combinations that have a meaning are left alone."""
    Fault(stall=True, after_effect=True, raw_answer=b"HTTP/1.1 200 OK\r\n", delay=1)
    Fault(drop="mid_body", status=503, after_effect=True)
    Fault(gzip_bomb=9, after_effect=True, slow_body=1, wrong_length=2, half_open=True)
    Fault(status=302, headers={"Location": "/"}, body=b"", retry_after=3, content_type="a/b")
    Fault(status=400, code="a", message="b", limit={}, half_open=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"times": 1.5}, {"status": 200.5}, {"gzip_bomb": 1.5}, {"wrong_length": 1.5},
        {"skip": None}, {"stall": "no"}, {"half_open": 1}, {"after_effect": None},
        {"body": "text"}, {"raw_answer": "text"}, {"status": 400, "code": b"x"},
        {"status": 400, "limit": 5}, {"status": 200, "headers": [("a", "b")]},
        {"status": 200, "headers": {"A": "b\r\nc"}}, {"status": 200, "content_type": "a\nb"},
        {"route": ("a",)}, {"status": 429, "retry_after": [1]},
    ],
)  # fmt: skip
def test_wrong_kinds(wrong: dict[str, Any]):
    """A field of the wrong kind is refused with its name when the fault is made."""
    name = list(wrong)[-1]
    said = "headers" if name == "content_type" else name
    with pytest.raises((TypeError, ValueError), match=f"^{said} "):
        Fault(**wrong)


def test_faults_are_armed_together():
    """A misspelt route arms none of the faults it came with."""
    faults = plan()
    with pytest.raises(ValueError, match="no such route"):
        faults.add(Fault(status=503), Fault(route="GET /b", status=503))
    assert faults.pending == ()


@pytest.mark.parametrize("size", [0, 10, 1 << 20, 3_500_000])
def test_bombs_are_valid_gzip(size: int):
    """A bomb unpacks, checksum included, to exactly the size asked for."""
    bomb = gzip_bomb(size)
    assert bomb.headers == {"Content-Encoding": "gzip"}
    assert gzip.decompress(bomb.body) == b" " * size
    assert len(bomb.body) < 20_000


@pytest.mark.parametrize(
    ("fault", "expected", "complete"),
    [
        (Fault(), Delivery(10, (b"0123456789",)), True),
        (Fault(drop="mid_body"), Delivery(11, (b"01234",)), False),
        (Fault(wrong_length=3), Delivery(13, (b"0123456789",)), False),
        (Fault(wrong_length=-3), Delivery(7, (b"0123456",), 0, b"789"), True),
        (Fault(wrong_length=-30), Delivery(0, (b"",), 0, b"0123456789"), True),
        (Fault(slow_body=10), Delivery(10, (b"01", b"23", b"45", b"67", b"89"), 2), True),
        (Fault(slow_body=6, wrong_length=-7), Delivery(3, (b"0", b"1", b"2"), 2, b"3456789"), True),
    ],
)
def test_deliveries(fault: Fault, expected: Delivery, complete: bool):
    """A fault decides what is declared, what is sent, in which pieces, and what follows."""
    plan = delivery(b"0123456789", fault)
    assert plan == expected
    assert plan.complete is complete


def test_a_slow_body_comes_in_eight_pieces_at_most():
    """Long bodies have eight pieces, and a body of nothing has none."""
    plan = delivery(bytes(1000), Fault(slow_body=8))
    assert [len(piece) for piece in plan.pieces] == [125] * 8
    assert plan.pause == 1
    assert delivery(b"", Fault(slow_body=8)).pieces == ()
    assert delivery(b"", Fault(drop="mid_body")) == Delivery(1, (b"",))
