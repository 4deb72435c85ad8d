"""Requests and answers as values, and how their parts are written."""

from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yarl import URL

from presence_async.errors import InvalidRequestError
from presence_async.routes import BULK_GET_PURECLOUD, GET_PRESENCE, LIST_USERS
from presence_async.secret import Secret
from presence_async.wire import (
    Request,
    Response,
    path_value,
    query_string,
    repeated,
    retry_after_seconds,
)

USER = "6a3af858-942f-489d-9700-5f9bcdcdae9b"
# What an address may hold without being written as %XX (RFC 3986, unreserved).
UNRESERVED = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)
HOSTILE = st.text("./\\?#%@:;&=+ \r\n\t\0é€\U0001f600a", min_size=1, max_size=20)


def test_ids_of_the_vendor_go_out_as_they_are():
    """A UUID and a source name need no encoding and get none."""
    assert path_value("user_id", USER) == USER
    assert path_value("source_id", "PURECLOUD_2") == "PURECLOUD_2"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("../", "..%2F"),
        ("../../v1/admin", "..%2F..%2Fv1%2Fadmin"),
        ("/", "%2F"),
        ("\\", "%5C"),
        ("a?b=c", "a%3Fb%3Dc"),
        ("a#b", "a%23b"),
        ("50%", "50%25"),
        ("%2e%2e", "%252e%252e"),
        ("%2F", "%252F"),
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("a;b", "a%3Bb"),
        ("a@b:c", "a%40b%3Ac"),
        ("a\r\nHost: evil", "a%0D%0AHost%3A%20evil"),
        ("\t\0", "%09%00"),
        ("zoë", "zo%C3%AB"),
        ("\U0001f600", "%F0%9F%98%80"),
        ("\uff0e\uff0e", "%EF%BC%8E%EF%BC%8E"),
        ("...", "..."),
        (".a", ".a"),
        ("~", "~"),
    ],
)
def test_path_values_are_encoded_strictly(value: str, expected: str):
    """Every character with a meaning in an address loses it, percent signs included."""
    assert path_value("user_id", value) == expected


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_empty_values_and_dot_segments_are_refused(value: str):
    """What a proxy would resolve, even encoded, never leaves; the error names the argument."""
    with pytest.raises(InvalidRequestError, match=r"^user_id must not be '\.*'$") as caught:
        path_value("user_id", value)
    assert caught.value.field == "user_id"


@pytest.mark.parametrize("value", [None, 5, b"bytes", ["u"], True, object()])
def test_values_that_are_no_text_are_refused(value: Any):
    """Nothing is turned into text by accident: None is not a user named None."""
    with pytest.raises(InvalidRequestError, match=r"^source_id must be a str, not ") as caught:
        path_value("source_id", value)
    assert caught.value.field == "source_id"
    assert caught.value.__cause__ is None


def test_a_secret_does_not_become_part_of_an_address():
    """A Secret in place of an id is refused, unseen."""
    with pytest.raises(InvalidRequestError, match="not Secret") as caught:
        path_value("user_id", Secret("canary"))
    assert "canary" not in repr(caught.value)


@pytest.mark.parametrize("value", ["\ud800", "a\udcffb"])
def test_lone_surrogates_are_refused(value: str):
    """What UTF-8 cannot write is an argument error here, not an encoding error later."""
    for encode in (
        lambda: path_value("user_id", value),
        lambda: query_string([("user_id", value)]),
        lambda: repeated("user_id", ["plain", value]),
    ):
        with pytest.raises(InvalidRequestError, match="not encodable as UTF-8") as caught:
            encode()
        assert caught.value.field == "user_id"
        assert caught.value.__context__ is None


def test_very_long_values_are_encoded_whole():
    """Length is the server's business: nothing is cut, and nothing takes long."""
    assert path_value("user_id", "é" * 100_000) == "%C3%A9" * 100_000
    assert path_value("user_id", "a" * 1_000_000) == "a" * 1_000_000


@given(value=ANY_TEXT | HOSTILE)
@example("..;/")
@example("//evil.test")
@settings(max_examples=300)
def test_any_path_value_stays_one_segment(value: str):
    """Whatever is accepted reads back as itself, is unreserved or %XX, and stays one segment."""
    try:
        written = path_value("user_id", value)
    except InvalidRequestError:
        assert value in {".", ".."}
        return
    assert unquote(written) == value
    assert set(written.replace("%", "")) <= UNRESERVED
    assert written not in {"", ".", ".."}


@given(user=ANY_TEXT | HOSTILE, source=ANY_TEXT | HOSTILE, query=ANY_TEXT | HOSTILE)
@example(user="@evil.test", source="//evil.test/", query="#@evil.test")
@settings(max_examples=200)
def test_no_value_can_change_host_or_path(user: str, source: str, query: str):
    """A target put behind any base keeps its host, its four segments and its one parameter."""
    try:
        target = GET_PRESENCE.request(user, source, query=[("expand", query)]).target
    except InvalidRequestError:
        assert {user, source} & {".", ".."}
        return
    assert target.startswith("/api/v2/users/")
    assert target.isascii()
    assert target.isprintable()
    for base in ("https://api.mypurecloud.com", "https://gw.test:8443/genesys"):
        url = URL(base + target, encoded=True)
        assert url.origin() == URL(base).origin()
        assert (url.user, url.fragment) == (None, "")
        path = url.raw_path.removeprefix(URL(base).raw_path.rstrip("/"))
        prefix, segments = path[:14], path[14:].split("/")
        assert prefix == "/api/v2/users/"
        assert [unquote(segment) for segment in segments] == [user, "presences", source]
        assert parse_qsl(url.raw_query_string, keep_blank_values=True) == [("expand", query)]


def test_arrays_are_repeated_parameters():
    """Many ids are written id=a&id=b, in order, and none at all as nothing."""
    assert repeated("id", ["a", "b", "c"]) == "?id=a&id=b&id=c"
    assert repeated("id", [USER]) == f"?id={USER}"
    assert repeated("id", ()) == ""


def test_one_odd_value_among_plain_ones_is_encoded():
    """The check that covers all values at once does not let one slip through."""
    assert repeated("id", ["a", "b&id=c", "d"]) == "?id=a&id=b%26id%3Dc&id=d"
    assert repeated("id", ["a\r\n", "b"]) == "?id=a%0D%0A&id=b"
    assert repeated("id", ["a", "b\n"]) == "?id=a&id=b%0A"


@given(st.lists(ANY_TEXT | HOSTILE, max_size=60))
@settings(max_examples=150)
def test_both_ways_to_write_arrays_agree_and_read_back(values: list[str]):
    """Fast and careful writing give the same bytes, and a server reads the same values."""
    written = repeated("id", values)
    assert written == query_string(("id", value) for value in values)
    assert parse_qsl(written[1:], keep_blank_values=True) == [("id", value) for value in values]


def test_query_strings_keep_their_order():
    """Pairs go out in the order given; no pairs give no question mark."""
    assert query_string([("b", "1"), ("a", "x y"), ("b", "2")]) == "?b=1&a=x%20y&b=2"
    assert query_string([]) == ""
    assert query_string([("a", "")]) == "?a="


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0.0),
        ("1", 1.0),
        ("57", 57.0),
        (" 57 ", 57.0),
        ("007", 7.0),
        ("86400", 86400.0),
        ("999999999", 999999999.0),
        ("1000000000", None),
        ("9" * 5000, None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1e3", None),
        ("0x10", None),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("٣", None),
        ("²", None),
        ("5 5", None),
        ("5, 5", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_whole_seconds_or_nothing(text: str, expected: float | None):
    """The vendor sends whole seconds; whatever else stands there cannot stop the client."""
    assert retry_after_seconds({"Retry-After": text}) == expected


def test_no_retry_after_is_none():
    """An answer without the header asks for no pause, which is not the same as 0."""
    assert retry_after_seconds({}) is None


@given(st.text(max_size=30))
@settings(max_examples=150)
def test_retry_after_survives_anything(text: str):
    """No header value raises, and what comes out is a finite pause of some years at most."""
    seconds = retry_after_seconds({"Retry-After": text})
    assert seconds is None or 0 <= seconds < 10**9


def test_request_repr_hides_the_body():
    """A body may hold personal data and is not shown."""
    request = Request(LIST_USERS, "/api/v2/users", b'{"message":"at the doctor"}')
    assert "doctor" not in repr(request)
    assert "/api/v2/users" in repr(request)
    assert Request(LIST_USERS, "/x").body is None


def test_response_repr_hides_headers_and_body():
    """Of an answer only the status is shown."""
    response = Response(200, {"Set-Cookie": "canary"}, b"canary")
    assert repr(response) == "Response(status=200)"


def test_correlation_id_comes_from_the_header():
    """The vendor's id of the exchange, or None when something else answered."""
    assert Response(200, {"ININ-Correlation-Id": "5f0a"}, b"").correlation_id == "5f0a"
    assert Response(200, {}, b"").correlation_id is None


def test_fifty_ids_make_one_bulk_target():
    """The bulk read of fifty users is one path with fifty parameters."""
    ids = [f"{n:08d}{USER[8:]}" for n in range(50)]
    target = BULK_GET_PURECLOUD.request().target + repeated("id", ids)
    assert target.startswith("/api/v2/users/presences/purecloud/bulk?id=00000000-")
    assert target.count("id=") == 50
