"""The vendor's error body."""

import orjson

from presence_async.simulator.errors import (
    ApiError,
    TokenError,
    bad_request,
    invalid_value,
    not_found,
)


def test_plain_body():
    """An error without extras leaves the optional fields out."""
    body = orjson.loads(bad_request("no").body("c-1"))
    assert body == {
        "message": "no",
        "code": "bad.request",
        "status": 400,
        "contextId": "c-1",
        "details": [],
        "errors": [],
    }


def test_smallest_recorded_body():
    """On request nothing but message, code and status is shown."""
    error = ApiError(429, "x", "y", params={"a": "b"}, limit={"key": "k"})
    assert orjson.loads(error.body("c", smallest=True)) == {
        "message": "y",
        "code": "x",
        "status": 429,
    }


def test_full_body():
    """Parameters and the exceeded limit are shown when there are any."""
    error = ApiError(429, "x", "y", params={"a": "b"}, limit={"key": "k"})
    body = orjson.loads(error.body("c"))
    assert body["messageParams"] == {"a": "b"}
    assert body["limit"] == {"key": "k"}


def test_ready_made_errors():
    """The usual refusals carry the documented codes, and cut long values."""
    assert not_found("user", "1").code == "not.found"
    error = invalid_value("state", "x" * 500)
    assert error.code == "invalid.value"
    assert len(error.message) < 200


def test_token_error_body():
    """Both description fields are there and equal."""
    assert orjson.loads(TokenError(401, "invalid_client", "client not found").body("c")) == {
        "error": "invalid_client",
        "description": "client not found",
        "error_description": "client not found",
    }
