"""The OAuth grants: what each posts, what it shows, what it refuses."""

import base64
import copy
import pickle
import traceback
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async import grants
from presence_async.errors import ConfigurationError
from presence_async.grants import (
    Auth,
    AuthorizationCode,
    AuthorizationCodePKCE,
    ClientCredentials,
    PKCEPair,
    RefreshToken,
    Saml2Bearer,
    StaticToken,
    TokenRequest,
    authorize_url,
    check_state,
)
from presence_async.secret import MASK, Secret

CANARY = "canary-5e5c5c66"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
REDIRECT = "http://localhost:8085/oauth2/callback?a=b&c=d"

ARGUMENTS: dict[type, dict[str, Any]] = {
    ClientCredentials: {"client_id": "id", "client_secret": f"{CANARY}-1"},
    StaticToken: {"access_token": f"{CANARY}-2"},
    AuthorizationCode: {
        "client_id": "id",
        "client_secret": f"{CANARY}-3",
        "code": f"{CANARY}-4",
        "redirect_uri": REDIRECT,
    },
    AuthorizationCodePKCE: {
        "client_id": "id",
        "code": f"{CANARY}-5",
        "redirect_uri": REDIRECT,
        "code_verifier": f"{CANARY}-6",
    },
    RefreshToken: {
        "client_id": "id",
        "refresh_token": f"{CANARY}-7",
        "client_secret": f"{CANARY}-8",
    },
    Saml2Bearer: {
        "client_id": "id",
        "client_secret": f"{CANARY}-9",
        "assertion": f"{CANARY}-10",
        "org_name": "acme",
    },
}
ASKING = [kind for kind in ARGUMENTS if kind is not StaticToken]
FIELDS = [(kind, name) for kind, arguments in ARGUMENTS.items() for name in arguments]


def make(kind: type, **changes: Any) -> Any:
    """A grant of that kind with canaries for secrets."""
    return kind(**(ARGUMENTS[kind] | changes))


def form(request: TokenRequest | None) -> list[tuple[str, str]]:
    """The form fields as the login host reads them."""
    assert request is not None
    return parse_qsl(request.body().decode(), keep_blank_values=True, strict_parsing=True)


def basic(request: TokenRequest) -> str | None:
    """What the Basic header says, decoded."""
    header = request.headers().get("Authorization")
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    assert scheme == "Basic"
    return base64.b64decode(value, validate=True).decode()


def test_the_grants_are_the_six_tested_here():
    """Everything the client accepts as auth is tested here."""
    assert set(Auth.__args__) == set(ARGUMENTS)


# -- what is posted: the forms of the vendor's Python SDK 269.0.0


def test_client_credentials():
    """One form field, id and secret in the header, and harmless to post again."""
    request = make(ClientCredentials).first_request()
    assert form(request) == [("grant_type", "client_credentials")]
    assert basic(request) == f"id:{CANARY}-1"
    assert request.repeatable
    for refresh in (None, Secret("r")):
        assert make(ClientCredentials).renewal(refresh) == request


def test_authorization_code():
    """Code and redirect URI in the form, Basic header, posted once only."""
    request = make(AuthorizationCode).first_request()
    assert form(request) == [
        ("grant_type", "authorization_code"),
        ("code", f"{CANARY}-4"),
        ("redirect_uri", REDIRECT),
    ]
    assert basic(request) == f"id:{CANARY}-3"
    assert not request.repeatable


def test_authorization_code_with_pkce():
    """Verifier and client id in the form, and no Basic header."""
    request = make(AuthorizationCodePKCE).first_request()
    assert form(request) == [
        ("grant_type", "authorization_code"),
        ("code", f"{CANARY}-5"),
        ("redirect_uri", REDIRECT),
        ("code_verifier", f"{CANARY}-6"),
        ("client_id", "id"),
    ]
    assert basic(request) is None
    assert not request.repeatable


def test_refresh_token():
    """The token in the form; the header when there is a secret, else the id in the form."""
    request = make(RefreshToken).first_request()
    assert form(request) == [("grant_type", "refresh_token"), ("refresh_token", f"{CANARY}-7")]
    assert basic(request) == f"id:{CANARY}-8"
    assert not request.repeatable
    public = make(RefreshToken, client_secret=None).first_request()
    assert form(public)[2:] == [("client_id", "id")]
    assert basic(public) is None


def test_saml2_bearer():
    """Assertion and organization name in the form, Basic header."""
    request = make(Saml2Bearer).first_request()
    assert form(request) == [
        ("grant_type", "urn:ietf:params:oauth:grant-type:saml2-bearer"),
        ("assertion", f"{CANARY}-10"),
        ("orgName", "acme"),
    ]
    assert basic(request) == f"id:{CANARY}-9"
    assert not request.repeatable


@pytest.mark.parametrize("kind", ASKING)
def test_headers_of_every_token_request(kind: type):
    """Form in, JSON out; nothing else but the credentials."""
    headers = dict(make(kind).first_request().headers())
    headers.pop("Authorization", None)
    assert headers == {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
    }


@pytest.mark.parametrize(
    ("kind", "secret", "extra"),
    [
        (AuthorizationCode, f"id:{CANARY}-3", []),
        (AuthorizationCodePKCE, None, [("client_id", "id")]),
        (RefreshToken, f"id:{CANARY}-8", []),
        (Saml2Bearer, f"id:{CANARY}-9", []),
    ],
)
def test_renewal_uses_the_newest_refresh_token(
    kind: type,
    secret: str | None,
    extra: list[tuple[str, str]],
):
    """Whatever refresh token came along last is presented, the way the first request was."""
    request = make(kind).renewal(Secret("newest"))
    expected = [("grant_type", "refresh_token"), ("refresh_token", "newest"), *extra]
    assert form(request) == expected
    assert basic(request) == secret
    assert not request.repeatable


def test_renewal_without_a_refresh_token():
    """A used code cannot be used again; an assertion and a given refresh token can."""
    assert make(AuthorizationCode).renewal(None) is None
    assert make(AuthorizationCodePKCE).renewal(None) is None
    assert make(Saml2Bearer).renewal(None) == make(Saml2Bearer).first_request()
    assert make(RefreshToken).renewal(None) == make(RefreshToken).first_request()


@given(
    secret=st.text(st.characters(exclude_categories=("Cs",)), min_size=1),
    code=st.text(st.characters(exclude_categories=("Cs",)), min_size=1),
)
@settings(max_examples=100)
def test_any_text_arrives_as_it_was_given(secret: str, code: str):
    """Ampersands, line breaks, non-ASCII: form and header read back exactly, in clean bytes."""
    request = AuthorizationCode("id", secret, code, REDIRECT).first_request()
    assert ("code", code) in form(request)
    assert basic(request) == f"id:{secret}"
    assert request.body().isascii()
    assert request.headers()["Authorization"].isprintable()


# -- what is refused


@pytest.mark.parametrize(("kind", "name"), FIELDS)
@pytest.mark.parametrize(
    "value",
    ["", Secret(""), 5, b"canary-bytes", ["canary"], True, "canary\udc80", Secret("\ud800")],
)
def test_unusable_values_are_refused_by_name(kind: type, name: str, value: Any):
    """Empty, no text, or text that UTF-8 cannot write: the field is named, the value is not."""
    with pytest.raises(ConfigurationError, match=rf"^{kind.__name__}: {name} must be") as caught:
        make(kind, **{name: value})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_none_is_refused_but_for_the_optional_secret(kind: type, name: str):
    """Only the refresh token's client secret may be left out."""
    if (kind, name) == (RefreshToken, "client_secret"):
        assert make(kind, client_secret=None).client_secret is None
    else:
        with pytest.raises(ConfigurationError, match=rf"^{kind.__name__}: {name} must be"):
            make(kind, **{name: None})


@pytest.mark.parametrize(
    "token",
    ["a b", "a\r\nX-Evil: 1", "a\n", "\ta", "tök", "a\x7f", "a\0", "bearer x"],
)
def test_a_token_that_no_header_can_carry_is_refused(token: str):
    """Spaces, control characters and non-ASCII cannot be in a token, and are not shown."""
    with pytest.raises(ConfigurationError, match="characters no token has") as caught:
        StaticToken(token)
    assert token not in str(caught.value)


def test_an_ordinary_token_is_accepted():
    """Every visible ASCII character may be in a token."""
    token = "".join(map(chr, range(0x21, 0x7F)))
    assert StaticToken(token).access_token == Secret(token)


# -- what is shown


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_no_grant_shows_a_secret(kind: type):
    """Repr, text and format of a grant and of its request hold none of its secrets."""
    grant = make(kind)
    shown = f"{grant} {grant!r} {attrs.asdict(grant)}"
    if kind is not StaticToken:
        for request in (grant.first_request(), grant.renewal(Secret(f"{CANARY}-r"))):
            shown += f"{request} {request!r} {request.headers()!r} {request.body()!r}"
            assert repr(request.body()) == f"b'{MASK}'"
    assert CANARY not in shown
    assert MASK in shown


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_no_grant_is_pickled_or_copied_with_its_secrets(kind: type):
    """A grant does not end up in a cache or a queue; a shallow copy shares the secrets."""
    grant = make(kind)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(grant)
    with pytest.raises(TypeError, match="not pickled"):
        copy.deepcopy(grant)
    assert copy.copy(grant) == grant


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_secrets_given_as_secrets_are_in_no_local_variable(kind: type):
    """With Secret arguments a traceback that prints local variables shows none of them."""
    arguments = {
        name: Secret(value) if CANARY in value else value for name, value in ARGUMENTS[kind].items()
    }
    for name in arguments:
        with pytest.raises(ConfigurationError) as caught:
            kind(**(arguments | {name: Secret("")}))
        shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        inner = [frame.locals for frame in shown.stack[1:]]
        assert inner
        assert CANARY not in repr(inner)


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_grants_are_frozen_values(kind: type):
    """Equal arguments make equal grants; nobody swaps a secret afterwards."""
    assert make(kind) == make(kind)
    assert hash(make(kind)) == hash(make(kind))
    for field in attrs.fields(kind):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(make(kind), field.name, "other")


# -- PKCE and the authorize address


def test_challenge_of_the_rfc():
    """The example of RFC 7636, appendix B."""
    pair = PKCEPair(VERIFIER)
    assert pair.challenge == CHALLENGE
    assert pair.verifier == Secret(VERIFIER)
    assert VERIFIER not in repr(pair)


def test_generated_pairs_are_fresh_and_in_form():
    """43 to 128 unreserved characters, and never the same twice."""
    pairs = [PKCEPair.generate() for _ in range(50)]
    for pair in pairs:
        assert 43 <= len(pair.verifier.reveal()) <= 128
        assert len(pair.challenge) == 43
    assert len({pair.challenge for pair in pairs}) == 50
    # The pair's verifier is what the grant takes.
    grant = make(AuthorizationCodePKCE, code_verifier=pairs[0].verifier)
    assert ("code_verifier", pairs[0].verifier.reveal()) in form(grant.first_request())


@pytest.mark.parametrize("verifier", ["a" * 43, "a" * 128, "._~-" * 11])
def test_verifiers_of_any_allowed_form(verifier: str):
    """Shortest, longest, and every special character."""
    assert len(PKCEPair(verifier).challenge) == 43


@pytest.mark.parametrize("verifier", ["", "a" * 42, "a" * 129, "a" * 42 + "+", "é" * 43, 5, None])
def test_verifiers_out_of_form_are_refused(verifier: Any):
    """Length and characters are checked before a login is started with it."""
    with pytest.raises(ConfigurationError, match=r"^PKCEPair: verifier must be") as caught:
        PKCEPair(verifier)
    assert "aaa" not in str(caught.value)


USUAL: dict[str, Any] = {"client_id": "id", "redirect_uri": REDIRECT, "state": "s-1"}


def test_authorize_address():
    """The login host's authorize page with every value encoded."""
    url = authorize_url(**USUAL, region="us-east-1")
    parts = urlsplit(url)
    assert url.startswith("https://login.mypurecloud.com/oauth/authorize?")
    assert parse_qs(parts.query, strict_parsing=True) == {
        "response_type": ["code"],
        "client_id": ["id"],
        "redirect_uri": [REDIRECT],
        "state": ["s-1"],
    }
    assert parts.fragment == ""


def test_authorize_address_with_pkce():
    """The challenge and its method, never the verifier."""
    pair = PKCEPair(VERIFIER)
    url = authorize_url(**USUAL, region="mypurecloud.ie", code_challenge=pair.challenge)
    query = parse_qs(urlsplit(url).query)
    assert query["code_challenge"] == [CHALLENGE]
    assert query["code_challenge_method"] == ["S256"]
    assert VERIFIER not in url


def test_authorize_address_behind_a_gateway():
    """An explicit login address, with the same care as everywhere."""
    url = authorize_url(**USUAL, login_url="https://gw.test/login/")
    assert url.startswith("https://gw.test/login/oauth/authorize?")
    local = authorize_url(**USUAL, login_url="http://127.0.0.1:1", allow_loopback_http=True)
    assert local.startswith("http://127.0.0.1:1/oauth/authorize?")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"client_id": ""}, "client_id must be"),
        ({"redirect_uri": None}, "redirect_uri must be"),
        ({"state": ""}, "state must be"),
        ({"state": Secret("s")}, "state must be"),
        ({"state": "\udc80"}, "state must be"),
        ({"code_challenge": ""}, "code_challenge must be"),
        ({"code_challenge": PKCEPair(VERIFIER)}, "code_challenge must be"),
        ({"code_challenge": VERIFIER + "="}, "code_challenge must be"),
        ({"code_challenge": "a&b" + "c" * 40}, "code_challenge must be"),
        ({"region": None}, "give either region or login_url"),
        ({"region": "mars"}, "unknown region"),
        ({"login_url": "https://gw.test"}, "give either region or login_url"),
        ({"region": None, "login_url": "http://gw.test"}, "in the clear"),
        ({"region": None, "login_url": "http://localhost"}, "allow_loopback_http"),
    ],
)
def test_authorize_addresses_that_would_not_work(changes: dict[str, Any], message: str):
    """Empty values, a pair in place of its challenge, an unsafe host: refused by name."""
    with pytest.raises(ConfigurationError, match=message):
        authorize_url(**(USUAL | {"region": "us_east_1"} | changes))


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30))
@settings(max_examples=100)
def test_no_value_escapes_its_parameter(value: str):
    """Any state comes back as itself and adds no parameter and no fragment."""
    url = authorize_url(**(USUAL | {"state": value}), region="us_east_1")
    parts = urlsplit(url)
    assert parts.netloc == "login.mypurecloud.com"
    assert dict(parse_qsl(parts.query))["state"] == value
    assert len(parse_qsl(parts.query)) == 4
    assert url.isascii()


def test_state_must_be_ours():
    """Only the very same state counts; missing or empty ones never do, on either side."""
    assert check_state("s-1", "s-1")
    assert check_state("zoë", "zoë")
    for expected, received in [
        ("s-1", "s-2"),
        ("s-1", "s-1 "),
        ("s-1", ""),
        ("s-1", None),
        ("", ""),
        ("", "s-1"),
        ("s-1", "s-1\udc80"),
    ]:
        assert check_state(expected, received) is False


def test_public_names():
    """All grants and their helpers are offered by the module."""
    assert set(grants.__all__) >= {kind.__name__ for kind in ARGUMENTS}
