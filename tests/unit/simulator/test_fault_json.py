"""The JSON form of faults."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presence_async.simulator import Fault
from presence_async.simulator.errors import ApiError
from presence_async.simulator.fault_json import (
    MAX_BOMB,
    MAX_FAULTS,
    READERS,
    bytes_json,
    fault_json,
    read_faults,
)
from presence_async.simulator.latency import exponential, lognormal, uniform

ROUTES = ("GET /a", "PUT /a")
FAULTS = (
    Fault(),
    Fault(route="GET /a", times=None, skip=2, probability=0.5, delay=1.5),
    Fault(status=429, retry_after=30, limit={"key": "k", "namespace": "n", "value": 1}),
    Fault(status=503, code="c", message="m", retry_after="soon", headers={"X-A": "b"}),
    Fault(body="é".encode(), content_type="text/plain", after_effect=True),
    Fault(body=b"", drop="mid_body"),
    Fault(raw_answer=b"HTTP/1.1 \xff", stall=True),
    Fault(gzip_bomb=MAX_BOMB),
    Fault(slow_body=3, wrong_length=-1, half_open=True),
)


def refused(value: Any) -> str:
    """The error text of a JSON value that is refused with 400."""
    with pytest.raises(ApiError) as caught:
        read_faults(value, ROUTES)
    assert (caught.value.status, caught.value.code) == (400, "bad.request")
    return caught.value.message


def test_every_field_has_a_reader():
    """A field that `Fault` gets must get a reader, too."""
    assert list(READERS) == [field.name for field in attrs.fields(Fault)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: ",".join(fault_json(fault)))
def test_what_is_written_can_be_read(fault: Fault):
    """The JSON form holds what differs from the defaults, and reads back as the same fault."""
    form = orjson.loads(orjson.dumps(fault_json(fault)))
    assert read_faults(form, ROUTES) == [fault]


def test_every_field_is_written():
    """Among the faults above, every field differs from its default once."""
    assert set().union(*(fault_json(fault) for fault in FAULTS)) == set(READERS)


def test_one_or_several():
    """An object is one fault, an array many of them, though not any number."""
    assert read_faults([], ROUTES) == []
    assert read_faults([{"status": 500}, {}], ROUTES) == [Fault(status=500), Fault()]
    assert "more than 1000 faults" in refused([{}] * (MAX_FAULTS + 1))


def test_null_is_the_default_where_python_has_none():
    """A field that may be None in Python may be null."""
    optional = [field.name for field in attrs.fields(Fault) if field.default is None]
    assert read_faults(dict.fromkeys(optional), ROUTES) == [Fault()]
    assert read_faults({"times": None}, ROUTES) == [Fault(times=None)]
    assert refused({"skip": None}) == "skip must be a whole number"


@pytest.mark.parametrize(
    ("form", "same"),
    [
        ({"distribution": "uniform", "low": 1, "high": 2}, uniform(1, 2)),
        ({"distribution": "exponential", "mean": 0.5, "seed": 7}, exponential(0.5, 7)),
        ({"distribution": "lognormal", "median": 0.1, "sigma": 1}, lognormal(0.1, 1)),
    ],
)
def test_delays_can_follow_a_distribution(form: dict[str, Any], same: Any):
    """A distribution is named with its numbers; shown is the call that makes it."""
    [fault] = read_faults({"delay": form}, ROUTES)
    assert [fault.seconds for _ in range(5)] == [same() for _ in range(5)]
    assert fault_json(fault) == {"delay": repr(same)}


def test_callables_are_named():
    """A route or delay that only Python can say is shown and cannot be read."""
    form = fault_json(Fault(route=ROUTES.__contains__, delay=int))
    assert form["delay"] == "<class 'int'>"
    assert "must be a number" in refused({"delay": form["delay"]})
    assert "route is unknown" in refused({"route": form["route"]})


def test_bytes():
    """Bytes are text where they can be, else base64; both forms are read."""
    assert bytes_json("é".encode()) == "é"
    assert bytes_json(b"\xff") == {"base64": "/w=="}
    assert read_faults({"body": {"base64": "YQ=="}}, ROUTES) == [Fault(body=b"a")]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "body must be an object"),
        ("x", "body must be an object"),
        ([{}, 1], "[1] must be an object"),
        ({"statsu": 503}, "statsu is unknown; there are: after_effect, body,"),
        ({"x" * 1000: 1}, "x" * 100 + " is unknown"),
        ([{"status": "503"}], "[0].status must be a whole number"),
        ({"status": True}, "status must be a whole number"),
        ({"status": 503.0}, "status must be a whole number"),
        ({"status": 99}, "status must be a number from 200 to 599"),
        ([{}, {"times": 0}], "[1].times must be a number from 1"),
        ({"probability": False}, "probability must be a number"),
        ({"probability": 2}, "probability must be a number from 0 to 1"),
        ({"code": "c"}, "code needs the status of an error"),
        ({"status": 500, "code": 5}, "code must be a string"),
        ({"stall": 1}, "stall must be true or false"),
        ({"drop": "sideways"}, "drop must be None or 'before'"),
        ({"drop": []}, "drop must be a string"),
        ({"route": "GET /b"}, "route is unknown; there are: GET /a, PUT /a"),
        ([{"route": "GET /b"}], "[0].route is unknown"),
        ({"body": 1}, "body must be an object"),
        ({"body": {}}, 'body must be a string or {"base64": "..."}'),
        ({"body": {"base64": "a"}}, "body must be a string or"),
        ({"body": {"base64": "é"}}, "body must be a string or"),
        ({"body": {"base64": 1}}, "body.base64 must be a string"),
        ({"body": {"hex": "00"}}, "body.hex is unknown; there are: base64"),
        ({"body": "", "content_type": "a\r\nb: c"}, "content_type must be printable"),
        ({"body": "", "headers": 1}, "headers must be an object"),
        ({"body": "", "headers": {"a b": "c"}}, "headers must not have the name 'a b'"),
        ({"body": "", "headers": {"Content-Length": "1"}}, "must not have the name 'Content-"),
        ({"body": "", "headers": {"A": 1}}, "headers.A must be a string"),
        ({"status": 429, "retry_after": "1\n"}, "retry_after must be printable"),
        ({"status": 429, "retry_after": -1}, "retry_after must be a number from 0"),
        ({"status": 429, "retry_after": []}, "retry_after must be a number"),
        ({"status": 429, "limit": {"value": "1"}}, "limit.value must be a whole number"),
        ({"status": 429, "limit": {"deep": {}}}, "limit.deep is unknown"),
        ({"gzip_bomb": MAX_BOMB + 1}, f"gzip_bomb must not be above {MAX_BOMB}"),
        ({"delay": -1}, "delay must be a number from 0"),
        ({"delay": {}}, "delay.distribution must be one of: uniform, exponential, lognormal"),
        ({"delay": {"distribution": []}}, "delay.distribution must be a string"),
        ({"delay": {"distribution": "uniform", "low": 1}}, "delay.high is required"),
        ({"delay": {"distribution": "uniform", "low": 2, "high": 1}}, "delay.high must not be"),
        ({"delay": {"distribution": "exponential", "mean": -1}}, "delay.mean must be a finite"),
        ({"delay": {"distribution": "exponential", "mean": "1"}}, "delay.mean must be a number"),
        ({"delay": {"distribution": "exponential", "sigma": 1}}, "delay.sigma is unknown"),
        (
            {"delay": {"distribution": "lognormal", "median": 1, "sigma": 11}},
            "delay.sigma must not be above 10",
        ),
    ],
)
def test_refusals_name_the_field(value: Any, words: str):
    """Whatever is wrong, the error says where."""
    assert words in refused(value)


def test_any_mapping_is_written():
    """Headers of Python's own making need not be a dict."""
    fault = Fault(body=b"", headers=MappingProxyType({"A": "b"}))
    assert fault_json(fault) == {"body": "", "headers": {"A": "b"}}
    assert orjson.dumps(fault_json(fault))


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["before", "GET /a", "uniform"]),
)
INNER = st.dictionaries(
    st.sampled_from(["distribution", "low", "high", "mean", "base64", "key", "A"]), SCALARS
)


@given(st.dictionaries(st.sampled_from([*READERS, "other"]), SCALARS | INNER, max_size=4))
def test_no_json_breaks_the_reader(value: dict[str, Any]):
    """Any JSON is a fault that can be written, or a 400."""
    try:
        [fault] = read_faults(value, ROUTES)
    except ApiError as error:
        assert error.status == 400  # noqa: PT017  # the other outcome is no error at all
    else:
        assert orjson.dumps(fault_json(fault))
