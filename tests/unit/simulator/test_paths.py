"""Route matching on raw paths."""

import pytest

from presence_async.simulator.errors import ApiError
from presence_async.simulator.paths import Match, PathTable, decode, encode


@pytest.fixture
def table() -> PathTable[str]:
    """A table with a literal beside a parameter."""
    table: PathTable[str] = PathTable()
    table.add("GET", "/users/{userId}/presences/{sourceId}", "any")
    table.add("PATCH", "/users/{userId}/presences/{sourceId}", "change any")
    table.add("GET", "/users/{userId}/presences/purecloud", "purecloud")
    table.add("GET", "/users/me", "me")
    return table


def test_literals_win(table: PathTable[str]):
    """The literal purecloud is matched before the parameter beside it."""
    assert table.match("GET", "/users/1/presences/purecloud") == Match("purecloud", ("1",))
    assert table.match("GET", "/users/1/presences/lync") == Match("any", ("1", "lync"))


def test_literals_give_way(table: PathTable[str]):
    """A literal that leads nowhere, or lacks the method, gives way to the parameter."""
    assert table.match("GET", "/users/me/presences/x") == Match("any", ("me", "x"))
    assert table.match("PATCH", "/users/1/presences/purecloud") == Match(
        "change any", ("1", "purecloud")
    )


def test_raw_segments_stay_whole(table: PathTable[str]):
    """An encoded slash does not split a segment, a dot segment is a value."""
    assert table.match("GET", "/users/a%2Fb/presences/..") == Match("any", ("a%2Fb", ".."))


@pytest.mark.parametrize(
    "path", ["/users", "/users//presences/x", "/users/1/presences/x/", "/x", ""]
)
def test_no_match(table: PathTable[str], path: str):
    """Empty segments, missing ones and spare slashes match nothing."""
    assert table.match("GET", path) is None
    assert table.methods(path) == []


def test_methods_of_a_path(table: PathTable[str]):
    """All methods of all routes of a path are known."""
    assert table.methods("/users/1/presences/purecloud") == ["GET", "PATCH"]


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        ("plain", "plain"),
        ("a%2Fb", "a/b"),
        ("100%25", "100%"),
        ("%2E%2E", ".."),
        ("%C3%BC", "ü"),
        ("ü", "ü"),
        (b"\xc3\xbc".decode("ascii", "surrogateescape"), "ü"),
        ("a+b", "a+b"),
    ],
)
def test_decoding(raw: str, decoded: str):
    """Escapes and bare UTF-8 become the same text; a plus stays one."""
    assert decode(raw) == decoded


@pytest.mark.parametrize("raw", ["%", "%2", "%zz", "%ff", "a%C3", "\udcff"])
def test_malformed_escapes_are_400(raw: str):
    """What cannot be decoded is a 400, never a guess."""
    with pytest.raises(ApiError) as caught:
        decode(raw)
    assert caught.value.status == 400


@pytest.mark.parametrize("text", ["plain-1", "a/b", "100%", "..", "ü", "²", "", "a b"])
def test_encoding_is_undone_by_decoding(text: str):
    """An encoded value is one ASCII segment, and decoding gives it back."""
    encoded = encode(text)
    assert encoded.isascii()
    assert "/" not in encoded
    assert decode(encoded) == text
