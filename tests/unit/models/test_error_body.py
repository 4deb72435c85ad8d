"""Bodies of the vendor's errors."""

from presence_async.models import Detail, ErrorBody, Limit


def test_bodies_nest():
    """An error body can hold further ones, details and the limit that was hit."""
    inner = ErrorBody(code="invalid.value", details=(Detail(field_name="id"),))
    outer = ErrorBody(code="bad.request", errors=(inner,), limit=Limit(value=300))
    assert outer.errors == (inner,)
    assert "errors=(ErrorBody(code='invalid.value'" in repr(outer)


def test_bodies_are_hashable_though_parameters_are_not():
    """Message parameters take no part in the hash."""
    assert hash(ErrorBody(message_params={"a": "b"})) == hash(ErrorBody())
