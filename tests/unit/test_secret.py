"""Secrets: nothing prints, formats, logs, pickles or copies them by accident."""

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import attrs
import orjson
import pytest

from presence_async.secret import MASK, MaskedBytes, MaskedStr, Secret, encodable

CANARY = "canary-5e5c5c66"
LONE_SURROGATE = "canary\udc80"


@attrs.frozen
class Holder:
    """A value with a secret in it."""

    secret: Secret


def test_reveal_is_the_only_way_out():
    """The value comes back from reveal, and a Secret of a Secret is the same secret."""
    assert Secret(CANARY).reveal() == CANARY
    assert Secret(Secret(CANARY)).reveal() == CANARY


@pytest.mark.parametrize(
    "shown",
    [
        repr(Secret(CANARY)),
        str(Secret(CANARY)),
        f"{Secret(CANARY)}",
        f"{Secret(CANARY)!r}",
        f"{Secret(CANARY):>40}",
        "{}".format(Secret(CANARY)),  # noqa: UP032  # this way too
        "%s %r" % (Secret(CANARY), Secret(CANARY)),  # noqa: UP031  # this way too
        repr([Secret(CANARY)]),
        repr({"key": Secret(CANARY)}),
        repr(Holder(Secret(CANARY))),
        repr(attrs.asdict(Holder(Secret(CANARY)))),
        repr(attrs.astuple(Holder(Secret(CANARY)))),
    ],
)
def test_every_way_of_showing_it_shows_the_mask(shown: str):
    """No conversion to text holds the secret, and all of them say that something is there."""
    assert CANARY not in shown
    assert MASK in shown


def test_format_spec_applies_to_the_mask():
    """Width and alignment work, so that a table of settings does not break."""
    assert f"{Secret(CANARY):>12}" == "  " + MASK


def test_logging_shows_the_mask(caplog: pytest.LogCaptureFixture):
    """A log record with a secret among its arguments shows the mask."""
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("login with %s and %r", Secret(CANARY), Secret(CANARY))
    assert CANARY not in caplog.text
    assert MASK in caplog.text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_is_refused(protocol: int):
    """Pickling fails with every protocol, and the error does not show the secret."""
    with pytest.raises(TypeError, match="not pickled") as caught:
        pickle.dumps(Holder(Secret(CANARY)), protocol)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_copies_are_refused(duplicate: Callable[[Any], Any]):
    """Neither kind of copy is made of a secret."""
    with pytest.raises(TypeError, match="not pickled or copied"):
        duplicate(Secret(CANARY))
    with pytest.raises(TypeError, match="not pickled or copied"):
        copy.deepcopy({"nested": [Secret(CANARY)]})


@pytest.mark.parametrize("write", [json.dumps, orjson.dumps])
def test_json_writers_refuse_it(write: Callable[[Any], Any]):
    """No JSON writer knows what to do with a secret, so none leaks it."""
    with pytest.raises(TypeError) as caught:
        write({"secret": Secret(CANARY)})
    assert CANARY not in str(caught.value)


def test_it_does_not_behave_like_text():
    """It cannot be measured, iterated, joined or searched, and has no attribute dict."""
    secret = Secret(CANARY)
    for misuse in (len, iter, list, vars, "".join, bytes):
        with pytest.raises(TypeError):
            misuse(secret)
    assert not hasattr(secret, "__dict__")


def test_equality_is_between_secrets_only():
    """Equal secrets are equal and hash alike; a plain str with the same text is another thing."""
    assert Secret(CANARY) == Secret(CANARY)
    assert Secret(CANARY) != Secret(CANARY + "x")
    assert Secret(CANARY) != CANARY
    assert len({Secret(CANARY), Secret(CANARY), Secret("other")}) == 2


def test_equality_holds_for_what_cannot_be_encoded():
    """Lone surrogates compare like any text; no UnicodeEncodeError carries the secret away."""
    assert Secret(LONE_SURROGATE) == Secret(LONE_SURROGATE)
    assert Secret(LONE_SURROGATE) != Secret("canary?")
    assert Secret("zoë") == Secret("zoë")


def test_truth_is_whether_there_is_anything():
    """An empty secret is false, so that validators can tell."""
    assert Secret(CANARY)
    assert not Secret("")


@pytest.mark.parametrize("value", [CANARY.encode(), None, 5, [CANARY], bytearray(b"canary")])
def test_only_text_can_be_a_secret(value: Any):
    """Anything but str is refused by type, without its value in message or local variables."""
    with pytest.raises(TypeError, match="a secret must be a str, not") as caught:
        Secret(value)
    assert "canary" not in str(caught.value)
    innermost = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "canary" not in str(innermost.stack[-1].locals)


def test_masked_text_is_sent_as_it_is_and_shown_as_a_mask():
    """A header value equals its text and encodes to it; its repr is the mask."""
    value = MaskedStr(f"Bearer {CANARY}")
    assert value == f"Bearer {CANARY}"
    assert value.encode() == f"Bearer {CANARY}".encode()
    assert repr({"Authorization": value}) == f"{{'Authorization': '{MASK}'}}"


def test_masked_bytes_are_sent_as_they_are_and_shown_as_a_mask():
    """A form body equals its bytes; its repr is the mask."""
    value = MaskedBytes(CANARY.encode())
    assert value == CANARY.encode()
    assert b"".join([value, b"!"]) == CANARY.encode() + b"!"
    assert repr([value]) == f"[b'{MASK}']"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("zoë", True), ("", True), (LONE_SURROGATE, False), ("\ud800", False)],
)
def test_encodable_tells_what_can_be_sent(value: str, expected: bool):
    """Lone surrogates, which os.environ makes of stray bytes, are told apart; secrets too."""
    assert encodable(value) is expected
    assert encodable(Secret(value)) is expected
