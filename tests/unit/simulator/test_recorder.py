"""The ring of requests and the counts."""

from presence_async.simulator.faults import Fault
from presence_async.simulator.recorder import RecordedRequest, Recorder


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


def test_ends_are_noted_in_place():
    """A request is there as soon as it arrives, its end is added later."""
    recorder = Recorder(10)
    first = recorder.arrive(request())
    second = recorder.arrive(request())
    fault = Fault(status=503)
    recorder.finish(first, 503, fault)
    assert [(one.status, one.fault) for one in recorder.requests] == [(503, fault), (None, None)]
    recorder.finish(second, 200, None)
    assert recorder.requests[1].status == 200


def test_the_ring_is_bounded():
    """Old requests fall out, their late ends are dropped, the counts go on."""
    recorder = Recorder(2)
    first = recorder.arrive(request())
    recorder.arrive(request("/b"))
    recorder.arrive(request("/c"))
    recorder.finish(first, 200, None)
    assert [one.path_template for one in recorder.requests] == ["/b", "/c"]
    assert [one.status for one in recorder.requests] == [None, None]
    assert recorder.count(None, None) == 3


def test_counts():
    """Requests are counted by template, by method and by both."""
    recorder = Recorder(10)
    for template, method in (("/a", "GET"), ("/a", "PUT"), ("/b", "GET"), (None, "GET")):
        recorder.arrive(request(template, method))
    assert recorder.count("/a", None) == 2
    assert recorder.count(None, "GET") == 3
    assert recorder.count("/a", "PUT") == 1


def test_bodies_stay_out_of_reprs():
    """A body may hold secrets and is not shown."""
    assert "canary" not in repr(request())
