"""Calls and answers."""

from presence_async.simulator.exchange import Exchange, json_answer


def test_json_answers():
    """A value becomes compact JSON with status 200 unless told otherwise."""
    assert json_answer({"a": [1]}).body == b'{"a":[1]}'
    assert (json_answer({}).status, json_answer({}, 201).status) == (200, 201)


def test_exchanges_hide_what_may_be_secret():
    """Headers and body stay out of the repr."""
    exchange = Exchange("GET", "/", "", {"Authorization": "canary"}, b"canary", False, "c")
    assert "canary" not in repr(exchange)
