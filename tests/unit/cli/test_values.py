"""What words of the command line are read as."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from presence_async.cli.values import latency, seconds, switch, whole
from presence_async.simulator import Switches

if TYPE_CHECKING:
    from collections.abc import Callable


def refused(read: Callable[[str], Any], word: str) -> str:
    """The text with which a word is refused."""
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        read(word)
    return str(caught.value)


def test_whole_numbers():
    """Digits and nothing else, from one limit to the other if there is one."""
    assert (whole()("0"), whole()("70000"), whole(9)("9")) == (0, 70000, 9)
    for word in ("", "-1", "1.0", "1_0", " 1", "x", "9" * 19, "\N{ARABIC-INDIC DIGIT ONE}"):
        assert refused(whole(), word) == "must be a whole number from 0 on"
    assert refused(whole(9), "10") == "must be a whole number from 0 to 9"
    assert whole(9, least=1)("1") == 1
    for word in ("0", "", "10"):
        assert refused(whole(9, least=1), word) == "must be a whole number from 1 to 9"


def test_seconds():
    """A finite number that is not negative."""
    assert (seconds("0"), seconds("1.5"), seconds("1e3")) == (0, 1.5, 1000)
    for word in ("", "-1", "nan", "inf", "x"):
        assert refused(seconds, word) == "must be a number of seconds"


def test_latencies():
    """One number, or the lower and the higher one."""
    assert latency("0.05") == latency("0.05-.05") == (0.05, 0.05)
    assert latency("0-1.5") == (0, 1.5)
    for word in ("", "-1", "1-", "2-1", "1-2-3", "1e3", "x"):
        assert "SECONDS or LOW-HIGH" in refused(latency, word)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("user_me=true", True),
        ("message_kept=false", False),
        ("bulk_put_limit=none", None),
        ("bulk_put_limit=0", 0),
        ("legacy_default_page_size=7", 7),
        ("definition_read_lag=0.5", 0.5),
        ("bulk_get_over_limit=truncate", "truncate"),
        ("definition_created_status=200", 200),
    ],
)
def test_switches(word: str, value: Any):
    """A value is read as what the switch is."""
    name, read = switch(word)
    assert (name, read) == (word.partition("=")[0], value)
    assert type(read) is type(value)
    assert getattr(Switches(**{name: read}), name) == value


@pytest.mark.parametrize("field", attrs.fields(Switches), ids=lambda field: field.name)
def test_every_switch_can_be_set(field: Any):
    """Each default can be written as a word."""
    word = {True: "true", False: "false", None: "none"}.get(field.default, str(field.default))
    if field.default in (0, 1) and not isinstance(field.default, bool):
        word = str(field.default)
    assert switch(f"{field.name}={word}") == (field.name, field.default)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("user_me=yes", "user_me must be true or false"),
        ("user_me", "user_me must be true or false"),
        ("user_me=none", "user_me must be true or false"),
        ("bulk_put_limit=-1", "bulk_put_limit must be a whole number or none"),
        ("bulk_put_limit=1.5", "bulk_put_limit must be a whole number or none"),
        ("definition_read_lag=inf", "definition_read_lag must be a number"),
        ("bulk_get_over_limit=drop", "bulk_get_over_limit must be reject or truncate or accept"),
        ("definition_created_status=204", "definition_created_status must be 200 or 201"),
    ],
)
def test_bad_values_of_switches(word: str, text: str):
    """A refusal says what is accepted."""
    assert refused(switch, word) == text


def test_unknown_switches():
    """A refusal lists every switch with what it accepts."""
    text = refused(switch, "speed=1")
    assert "there is no switch 'speed'; there are:\n" in text
    assert "\n  bulk_put_limit: a whole number or none\n" in text
    assert text.count("\n") == len(attrs.fields(Switches))
