"""The ring of requests and the counts."""

import itertools

import attrs

from presence_async.simulator.faults import Fault
from presence_async.simulator.recorder import (
    BODY_BYTES,
    RecordedRequest,
    Recorder,
    RouteCount,
)


def request(template: str | None = "/a", method: str = "GET"):
    """Return a request."""
    return RecordedRequest(
        method=method,
        target="/a",
        path_template=template,
        headers={},
        body=b"canary",
        token_label=None,
        received_at=0.0,
    )


def recorder(history: int = 10):
    """Return a recorder whose clock moves one second each time it is asked."""
    return Recorder(history, itertools.count(1).__next__)


def test_ends_are_noted_in_place():
    """A request is there as soon as it arrives; the fault and the end are added later."""
    log = recorder()
    first, second = log.arrive(request()), log.arrive(request())
    fault = Fault(status=503)
    log.finish(first, None, fault)
    assert [(one.status, one.fault, one.ended_at) for one in log.requests] == [
        (None, fault, None),
        (None, None, None),
    ]
    log.finish(first, 503, fault)
    log.finish(second, 200, None)
    assert [(one.status, one.fault, one.ended_at) for one in log.requests] == [
        (503, fault, 1),
        (200, None, 2),
    ]


def test_the_ring_is_bounded():
    """Old requests fall out of the ring; the counts go on, and so do late ends."""
    log = recorder(2)
    first = log.arrive(request())
    log.arrive(request("/b"))
    log.arrive(request("/c"))
    log.finish(first, 200, None)
    assert [one.path_template for one in log.requests] == ["/b", "/c"]
    assert [one.status for one in log.requests] == [None, None]
    assert log.count(None, None) == 3
    assert log.counts()[0].statuses == {200: 1}


def test_the_ring_can_be_emptied():
    """Emptied while a request is under way, the ring takes the end of none but later ones."""
    log = recorder()
    before = log.arrive(request("/a"))
    log.requests.clear()
    log.finish(before, 200, None)
    assert not log.requests
    after = log.arrive(request("/b"))
    log.finish(after, 404, None)
    assert [(one.path_template, one.status) for one in log.requests] == [("/b", 404)]


def test_counts():
    """Requests are counted by template, by method and by both."""
    log = recorder()
    for template, method in (("/a", "GET"), ("/a", "PUT"), ("/b", "GET"), (None, "GET")):
        log.arrive(request(template, method))
    assert log.count("/a", None) == 2
    assert log.count(None, "GET") == 3
    assert log.count("/a", "PUT") == 1


def test_outcomes_are_counted_by_route():
    """Each route has its statuses, and how many requests have no answer."""
    log = recorder()
    for status in (503, 200, 200):
        log.finish(log.arrive(request("/a")), status, None)
    log.arrive(request("/a"))
    log.finish(log.arrive(request(None, "PUT")), 404, None)
    assert log.counts() == [
        RouteCount("GET", "/a", 4, {200: 2, 503: 1}),
        RouteCount("PUT", None, 1, {404: 1}),
    ]
    assert list(log.counts()[0].statuses) == [200, 503]
    assert [route.unanswered for route in log.counts()] == [1, 0]


def test_listeners_hear_each_end_once():
    """A request ends with its answer or with the news that there is none, and only once."""
    log, heard = recorder(0), []
    log.listeners.append(heard.append)
    answered, dropped = log.arrive(request("/a")), log.arrive(request("/b"))
    fault = Fault(drop="before")
    log.finish(dropped, None, fault)
    assert heard == []
    log.finish(answered, 200, None)
    log.end(dropped)
    for number in (answered, dropped):
        log.finish(number, 500, None)
        log.end(number)
    assert [(one.path_template, one.status, one.fault, one.ended_at) for one in heard] == [
        ("/a", 200, None, 1),
        ("/b", None, fault, 2),
    ]


def test_bodies_stay_out_of_reprs():
    """A body may hold secrets and is not shown."""
    assert "canary" not in repr(request())


def test_bodies_are_bounded():
    """Large bodies push old requests out, before the ring is full by number."""
    log = recorder(100_000)
    large = attrs.evolve(request(), body=bytes(BODY_BYTES // 8))
    for _ in range(40):
        log.arrive(large)
        assert sum(len(one.body) for one in log.requests) <= 1.5 * BODY_BYTES
    assert log.count(None, None) == 40
    assert log.requests
