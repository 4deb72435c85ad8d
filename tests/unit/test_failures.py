"""Answers that are no success, as errors: each status and code the vendor documents."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async import errors, routes
from presence_async.errors import (
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PresenceError,
    PresenceTimeoutError,
    RateLimitedError,
    ServerError,
)
from presence_async.failures import api_error, item_error, token_error
from presence_async.routes import ALL_ROUTES, TOKEN, Route
from presence_async.secret import MASK
from presence_async.wire import Response

GET = routes.GET_PURECLOUD_PRESENCE
CANARY = "canary-XvN9~tok.en/with+every=char"
HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def answer(status: int, body: Any = None, **headers: str) -> Response:
    """An answer with a JSON body, or with bytes as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, raw)


# The codes of the vendor's swagger of March 2018 and of today's generated documentation.
DOCUMENTED = [
    (400, "bad.request", InvalidRequestError),
    (400, "invalid.date", InvalidRequestError),
    (400, "invalid.value", InvalidRequestError),
    (400, "response.entity.too.large", InvalidRequestError),
    (400, "not.a.user", InvalidRequestError),
    (401, "authentication.required", AuthenticationError),
    (401, "bad.credentials", AuthenticationError),
    (401, "credentials.expired", AuthenticationError),
    (401, "ip.not.authorized", AuthenticationError),
    (403, "missing.permissions", PermissionDeniedError),
    (403, "missing.any.permissions", PermissionDeniedError),
    (403, "missing.division.permission", PermissionDeniedError),
    (403, "not.authorized", PermissionDeniedError),
    (404, "not.found", NotFoundError),
    (408, "client.timeout", PresenceTimeoutError),
    (409, "general.conflict", ConflictError),
    (409, "general.resource.conflict", ConflictError),
    (413, "request.entity.too.large", InvalidRequestError),
    (415, "unsupported.media.type", InvalidRequestError),
    (429, "too.many.requests", RateLimitedError),
    (429, "too.many.requests.retry.after", RateLimitedError),
    (500, "internal.server.error", ServerError),
    (502, None, ServerError),
    (503, "service.unavailable", ServerError),
    (504, "request.timeout", ServerError),
    (504, "authentication.request.timeout", ServerError),
]


@pytest.mark.parametrize(("status", "code", "kind"), DOCUMENTED)
@pytest.mark.parametrize("route", [GET, routes.BULK_UPDATE, routes.DELETE_SOURCE], ids=repr)
def test_every_documented_answer_has_its_class(
    route: Route,
    status: int,
    code: str | None,
    kind: type[PresenceError],
):
    """Status decides the class; code, message, correlation id and operation are kept."""
    body = {"message": "what happened", "code": code, "status": status}
    error = api_error(route, answer(status, body, ININ_Correlation_Id="5f0a", Retry_After="7"))
    assert type(error) is kind
    assert error.message.startswith("what happened")
    assert (error.status, error.code, error.correlation_id) == (status, code, "5f0a")
    assert (error.method, error.path_template) == (route.method, route.template)
    assert (error.retry_after, error.outcome_unknown, error.attempts) == (7.0, False, 0)


@pytest.mark.parametrize(("retryable", "kind"), [(True, ServerError), (False, InvalidRequestError)])
def test_an_item_refused_in_a_success(retryable: bool, kind: type[PresenceError]):
    """Worth another try or not decides the class; it was refused, so nothing is unknown."""
    response = answer(200, {}, ININ_Correlation_Id="5f0a")
    response.attempts = 2
    reason = f"no such user\nBearer {CANARY}"
    error = item_error(routes.INJECT_EVENTS, response, reason, retryable=retryable)
    assert type(error) is kind
    assert error.message == f"no such user Bearer {MASK}"
    assert (error.status, error.correlation_id, error.attempts) == (200, "5f0a", 2)
    assert error.path_template == routes.INJECT_EVENTS.template
    assert error.outcome_unknown is False


@pytest.mark.parametrize("reason", [None, "", " ", errors])
def test_an_item_refused_without_a_reason(reason: Any):
    """The message says that there is none."""
    error = item_error(GET, answer(200), reason, retryable=False)
    assert "without a reason" in error.message


def test_every_status_has_a_class_whatever_the_body():
    """Undocumented statuses too: 4xx is the request, 5xx and redirects are the server."""
    special = {status: kind for status, _, kind in DOCUMENTED if 400 < status < 500}
    for status in range(300, 600):
        refused = 400 <= status < 500
        expected = special.get(status, InvalidRequestError if refused else ServerError)
        assert type(api_error(GET, answer(status, HTML))) is expected, status


@pytest.mark.parametrize("status", [101, 301, 302, 307, 308, 304])
def test_redirects_are_not_followed_and_not_hidden(status: int):
    """An answer below 400 is a server's failure; where it points is not repeated."""
    error = api_error(GET, answer(status, b"", Location=f"https://evil.test/?t={CANARY}"))
    assert type(error) is ServerError
    assert "evil" not in str(error)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_says_so(status: int):
    """Without an error body the message tells what came instead."""
    assert "redirect" in api_error(GET, answer(status, b"")).message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        HTML,
        b"null",
        b"true",
        b"5",
        b'"text"',
        b"[]",
        b'[{"message":"in a list"}]',
        b"{",
        b'{"message": ',
        b"\xff\xfe",
        b"\x00\x00\x00",
        b'{"message":"\xff"}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"status":' + b"9" * 5000 + b"}",
        b'{"message":null,"code":null,"details":null,"contextId":null}',
        b'{"message":5,"code":["x"],"details":{"fieldName":"f"},"contextId":true}',
        b'{"message":"","code":"  ","details":[],"contextId":"\\u0000"}',
        b'{"details":[null,5,"x",{},{"fieldName":null},{"fieldName":""}]}',
    ],
    ids=lambda body: repr(body[:24]),
)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 502])
def test_bodies_of_any_kind_are_survived(status: int, body: bytes):
    """Not JSON, not an object, wrong types, endless nesting: an error without those details."""
    error = api_error(GET, answer(status, body))
    assert error.status == status
    assert error.message == "the answer carries no error body"
    assert error.code is None
    assert getattr(error, "field", None) is None
    assert token_error(TOKEN, answer(status, body)).status == status


@given(status=st.integers(100, 999), body=st.binary(max_size=80))
@settings(max_examples=150)
def test_no_answer_breaks_the_translation(status: int, body: bytes):
    """Whatever a server sends, exactly one of our errors comes out."""
    for error in (api_error(GET, answer(status, body)), token_error(TOKEN, answer(status, body))):
        assert isinstance(error, PresenceError)
        assert error.status == status


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["message", "code", "contextId", "details", "error", "error_description", "description"]
)


@given(
    status=st.sampled_from([200, 302, 400, 401, 403, 404, 408, 429, 500]),
    body=st.dictionaries(FIELDS, JSON | st.text(max_size=800)),
)
@settings(max_examples=200)
def test_errors_are_always_short_and_printable(status: int, body: dict[str, Any]):
    """Any values in the known fields give one line of bounded length, and text or None."""
    for error in (api_error(GET, answer(status, body)), token_error(TOKEN, answer(status, body))):
        assert str(error).isprintable()
        assert len(str(error)) < 2500
        assert error.code is None or isinstance(error.code, str)


def test_huge_bodies_cost_little_and_are_cut():
    """Megabytes of text, or of what looks almost like permissions, are dealt with at once."""
    for text in ("x" * 4_000_000, "a:" * 2_000_000, "a-" * 2_000_000, "Bearer " * 500_000):
        started = time.process_time()
        error = api_error(GET, answer(403, {"message": text, "code": text}))
        assert time.process_time() - started < 1.0
        assert len(str(error)) < 2500


def test_smallest_recorded_body():
    """Message, code and status alone are enough; the rest stays empty."""
    error = api_error(GET, answer(404, {"message": "gone", "code": "not.found", "status": 404}))
    assert str(error) == f"GET {GET.template}: 404 not.found: gone"


def test_correlation_id_falls_back_to_the_body():
    """Without the header the body's contextId names the exchange; the header wins."""
    body = {"message": "m", "contextId": "from-body"}
    assert api_error(GET, answer(500, body)).correlation_id == "from-body"
    both = answer(500, body, ININ_Correlation_Id="from-header")
    assert api_error(GET, both).correlation_id == "from-header"


def test_field_at_fault_comes_from_the_details():
    """The first detail that names a field does; the others and the odd ones are passed over."""
    details = [{"errorCode": "x"}, {"fieldName": "  "}, {"fieldName": "pageSize"}, {"fieldName": 1}]
    error = api_error(GET, answer(400, {"message": "bad", "details": details}))
    assert isinstance(error, InvalidRequestError)
    assert error.field == "pageSize"


@pytest.mark.parametrize(("text", "expected"), [("57", 57.0), ("soon", None), (None, None)])
@pytest.mark.parametrize("status", [429, 503, 404])
def test_retry_after_is_kept(status: int, text: str | None, expected: float | None):
    """When to come back is on every error whose answer said it in whole seconds."""
    headers = {} if text is None else {"Retry_After": text}
    assert api_error(GET, answer(status, {}, **headers)).retry_after == expected
    assert token_error(TOKEN, answer(status, {}, **headers)).retry_after == expected


# -- permissions


@pytest.mark.parametrize(
    ("code", "message", "named", "needs_all"),
    [
        (
            "missing.permissions",
            "You are missing the following permission(s): presence:userPresence:edit",
            ("presence:userPresence:edit",),
            True,
        ),
        (
            "missing.any.permissions",
            "You must have at least one of: [presence:source:delete, presence:source:edit]",
            ("presence:source:delete", "presence:source:edit"),
            False,
        ),
        (
            "missing.permissions",
            "a:microsoftTeams:view,b:integration:view and a:microsoftTeams:view",
            ("a:microsoftTeams:view", "b:integration:view"),
            True,
        ),
        ("not.authorized", '"presence:*:view"', ("presence:*:view",), True),
        (
            None,
            "missing presence:presenceDefinition:add.",
            ("presence:presenceDefinition:add",),
            True,
        ),
    ],
)
def test_missing_permissions_are_read_from_the_text(
    code: str | None,
    message: str,
    named: tuple[str, ...],
    needs_all: bool,
):
    """What the vendor names wins, each once, in order; the code says whether any one would do."""
    error = api_error(routes.DELETE_SOURCE, answer(403, {"code": code, "message": message}))
    assert isinstance(error, PermissionDeniedError)
    assert error.missing_permissions == named
    assert error.needs_all is needs_all
    assert error.message == message


@pytest.mark.parametrize("route", ALL_ROUTES, ids=lambda route: f"{route.method} {route.template}")
@pytest.mark.parametrize("body", [HTML, {"code": "not.authorized", "message": "no: at 12:30:45"}])
def test_documented_permissions_stand_in_for_unnamed_ones(route: Route, body: Any):
    """When the text names none, the documentation of the operation does, with ALL or ANY."""
    error = api_error(route, answer(403, body))
    assert isinstance(error, PermissionDeniedError)
    assert error.missing_permissions == route.permissions
    assert error.needs_all is route.needs_all
    for permission in route.permissions:
        assert permission in str(error)
    if route.permissions:
        assert ("all of" if route.needs_all else "any of") in str(error)
    else:
        assert "documented" not in str(error)


def test_long_lists_of_permissions_are_named_whole():
    """The text is cut for showing only: no permission is lost or cut in half."""
    wanted = tuple(f"presence:thing{n}:view" for n in range(100))
    message = "You are missing: " + ", ".join(wanted)
    error = api_error(GET, answer(403, {"code": "missing.permissions", "message": message}))
    assert isinstance(error, PermissionDeniedError)
    assert error.missing_permissions == wanted
    assert len(error.message) == 500


def test_what_is_no_permission_is_not_taken_for_one():
    """Addresses, times and halves of words are not permissions."""
    message = "see https://help.test:443/a:b at 10:20:30, 1x:y:z, a:b, :c:d:e"
    error = api_error(routes.LIST_USERS, answer(403, {"message": message}))
    assert isinstance(error, PermissionDeniedError)
    assert error.missing_permissions == ()


def test_a_token_that_looks_like_a_permission_is_not_named():
    """A credential echoed by a gateway does not come back as a missing permission."""
    error = api_error(GET, answer(403, {"message": "refused: Bearer canary:to:ken"}))
    assert isinstance(error, PermissionDeniedError)
    assert error.missing_permissions == ()
    assert "canary" not in repr(vars(error))


# -- what must not be repeated


ECHOES = [
    "Authorization: Bearer {}",
    "authorization: bearer {}",
    "BEARER  {}",
    "Bearer\t{}",
    "Bearer\r\n {}",
    "Bearer\u200b{}",
    "Bearer: {}",
    "Bearer%20{}",
    'Bearer "{}"',
    "Bearer+{}",
    "got (Bearer {}) here",
    '{{"Authorization":"Bearer {}"}}',
    "Basic {}",
    "access_token={}",
    "GET /x?access_token={}&a=b",
    "grant_type=refresh_token&refresh_token={}",
    '{{"refresh_token": "{}"}}',
    "client_secret={}",
    "client_secret : '{}'",
    "code=abc&code_verifier={}",
    "grant_type=authorization_code&code={}&redirect_uri=x",
    "assertion={}",
    "x" * 470 + " Bearer {}",
]


def test_channels_named_by_the_vendor_are_masked():
    """The id of a channel opens its socket; a 404 of the vendor's names it."""
    error = api_error(GET, answer(404, {"message": "no channel [streaming-4-canary1x] here"}))
    assert error.message == f"no channel [streaming-4- {MASK}] here"


@pytest.mark.parametrize("echo", ECHOES)
def test_credentials_echoed_by_a_gateway_are_masked(echo: str):
    """A request repeated in an error body puts no token into message, code, id or field."""
    text = echo.format(CANARY)
    body = {
        "message": text,
        "code": text,
        "contextId": text,
        "details": [{"fieldName": text}],
        "error": text,
        "error_description": text,
        "description": text,
    }
    for status in (200, 302, 400, 401, 403, 404, 408, 429, 500):
        for headers in ({}, {"ININ_Correlation_Id": text}):
            response = answer(status, body, **headers)
            for error in (api_error(GET, response), token_error(TOKEN, response)):
                assert "canary" not in str(error) + repr(error) + repr(vars(error))
                assert "canary" not in repr(error.args)
                assert MASK[:6] in error.message


@given(cut=st.integers(0, 40), token=st.text("abcXYZ019-._~+/=:;,\"'", min_size=20, max_size=60))
@settings(max_examples=150)
def test_no_part_of_a_token_survives_where_the_text_is_cut(cut: int, token: str):
    """Wherever the limit of the message falls, no piece of the token stands before it."""
    message = "x" * (470 + cut) + f" Bearer {token}"
    head = "x" * (470 + cut) + " Bearer "
    shown = api_error(GET, answer(400, {"message": message})).message
    assert shown == (head + MASK if len(head) < 500 else head[:500])


def test_harmless_text_is_left_alone():
    """Words that only resemble credentials stay readable."""
    message = "status code: 42, codes=7, the bearer, the basics of access tokens"
    shown = api_error(GET, answer(400, {"message": message})).message
    assert shown.startswith("status code: 42, codes=7, the bearer")


def test_control_characters_do_not_reach_a_log():
    """Line breaks and escape sequences become spaces: one error is one line."""
    error = api_error(GET, answer(400, {"message": "a\r\nb\x1b[31mc\u2028d", "code": "x\ny"}))
    assert error.message == "a  b [31mc d"
    assert error.code == "x y"


# -- notes


def test_404_of_the_removed_operation_explains_itself():
    """Teams presence answers 404 today, and the error says since when and what to use."""
    body = {"code": "not.found", "message": "nothing here"}
    error = api_error(routes.GET_TEAMS_PRESENCE, answer(404, body))
    assert isinstance(error, NotFoundError)
    assert error.message == f"nothing here; {routes.GET_TEAMS_PRESENCE.note}"
    assert "April 2022" not in api_error(routes.GET_TEAMS_PRESENCE, answer(500, body)).message


# -- the token endpoint


@pytest.mark.parametrize("status", [400, 401, 403, 422, 200])
@pytest.mark.parametrize("text", ["client not found", "authentication failed"])
def test_invalid_client_names_the_three_suspects(status: int, text: str):
    """Id, secret or region: the vendor does not tell, so the error names all; any 4xx counts."""
    body = {"error": "invalid_client", "description": text, "error_description": text}
    error = token_error(TOKEN, answer(status, body, ININ_Correlation_Id="5f0a"))
    assert type(error) is AuthenticationError
    assert error.message == f"unknown client id, wrong secret, or wrong region ({text})"
    assert (error.status, error.code) == (status, "invalid_client")
    assert (error.method, error.path_template) == ("POST", "/oauth/token")
    assert error.correlation_id == "5f0a"
    assert error.outcome_unknown is False


@pytest.mark.parametrize("status", [400, 401])
def test_invalid_grant_is_about_the_code(status: int):
    """A used or expired code, refresh token or assertion is said to be that."""
    error = token_error(TOKEN, answer(status, {"error": "invalid_grant"}))
    assert type(error) is AuthenticationError
    assert "used or expired" in error.message


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, {}),
        (429, HTML),
        (429, {"error": "invalid_client"}),
        (400, {"error": "invalid_request", "description": "rate limit exceeded; try later"}),
        (400, {"error": "invalid_request", "error_description": "Rate Limit Exceeded"}),
        (400, {"code": "bad.request", "message": "rate limit exceeded"}),
    ],
)
def test_throttled_logins_are_a_rate_limit(status: int, body: Any):
    """A 429, and the 400 that means the same, are no wrong credentials."""
    error = token_error(TOKEN, answer(status, body, Retry_After="30"))
    assert type(error) is RateLimitedError
    assert error.retry_after == 30.0
    assert "throttles" in error.message


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
@pytest.mark.parametrize("body", [HTML, {"error": "invalid_client"}, b""])
def test_a_failing_login_host_may_have_used_the_code_up(status: int, body: Any):
    """5xx is the server's failure whatever it says, and the grant may be spent."""
    error = token_error(TOKEN, answer(status, body))
    assert type(error) is ServerError
    assert error.outcome_unknown is True


def test_408_of_the_login_host():
    """A timeout without an OAuth error is the server's; with one, that decides."""
    assert type(token_error(TOKEN, answer(408, HTML))) is ServerError
    slow = token_error(TOKEN, answer(408, {"error": "client.timeout"}))
    assert type(slow) is ServerError
    refused = token_error(TOKEN, answer(408, {"error": "invalid_client"}))
    assert type(refused) is AuthenticationError


@pytest.mark.parametrize("body", [b"", HTML, {}, {"access_token": CANARY}, {"error": 5}, []])
def test_success_without_a_usable_token(body: Any):
    """A 2xx that could not be used says so and shows nothing of it."""
    error = token_error(TOKEN, answer(200, body))
    assert type(error) is AuthenticationError
    assert error.message == "the login host answered without a token"
    assert "canary" not in repr(vars(error))


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, {"error": "unsupported_grant_type", "description": "no"}, "(no)"),
        (403, {"code": "blocked", "message": "by the gateway"}, "(by the gateway)"),
        (404, HTML, "refused to issue a token"),
        (302, b"", "refused to issue a token"),
        (200, {"error": "server_error"}, "refused to issue a token"),
    ],
)
def test_any_other_refusal_is_an_authentication_error(status: int, body: Any, message: str):
    """What is neither throttling nor a server's failure is a login that did not work."""
    error = token_error(TOKEN, answer(status, body))
    assert type(error) is AuthenticationError
    assert message in error.message


def test_every_answer_class_of_the_tree_is_reached():
    """Between the two functions, each class that stands for an answer is produced."""
    made = {
        type(api_error(GET, answer(status, body)))
        for status in range(300, 600)
        for body in (HTML, {"code": "x"})
    }
    never = {"ConfigurationError", "ClosedError", "PresenceConnectionError", "DecodeError"}
    never |= {"JournalError", "JournalLockedError"}
    classes = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, PresenceError) and kind is not PresenceError
    }
    assert {kind.__name__ for kind in classes - made} == never
