"""Presence updates from CSV and JSON Lines: what is read, and what is told of bad rows."""

from __future__ import annotations

import copy
import csv
import io
import json
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_async.errors import InvalidRequestError
from presence_async.rows import BadRow, RowsError, UpdateRow, parse_csv, parse_json_lines

COLUMNS = [field.name for field in attrs.fields(UpdateRow) if field.name != "line"]
HEAD = ",".join(COLUMNS) + "\n"
GOOD = "u1,,d1,,,,,\n"


def failures(parse: Any, source: Any) -> tuple[BadRow, ...]:
    """What is wrong with some input."""
    with pytest.raises(RowsError) as caught:
        parse(source)
    return caught.value.failures


# -- what is read


def test_a_csv_file() -> None:
    """Columns in any order, those not needed left out, empty cells no values."""
    text = (
        "message,email,system_presence,primary\r\n"
        '"back at 2, ""sharp""", ada@example.com ,On Queue,\r\n'
        "\r\n"
        '"two\r\nlines",bob@example.com,, TRUE \r\n'
        ",eve@example.com,away,false\r\n"
    )
    assert parse_csv(text) == [
        UpdateRow(
            line=2,
            email="ada@example.com",
            system_presence="On Queue",
            message='back at 2, "sharp"',
        ),
        UpdateRow(line=4, email="bob@example.com", message="two\r\nlines", primary=True),
        UpdateRow(line=6, email="eve@example.com", system_presence="away"),
    ]


def test_a_json_lines_file() -> None:
    """One object a line; null is no value, and a message may be empty."""
    text = (
        '{"user_id": "u1", "definition_id": " d1 ", "primary": null, "email": null}\r\n'
        "\n   \n"
        '{"email": "a@b", "message": "", "primary": false}\n'
        '{"user_id": "u2", "primary": true, "source": "Lync", "message": "a\\nb\u2028c"}'
    )
    assert parse_json_lines(text) == [
        UpdateRow(line=1, user_id="u1", definition_id="d1"),
        UpdateRow(line=4, email="a@b", message=""),
        UpdateRow(line=5, user_id="u2", primary=True, source="Lync", message="a\nb\u2028c"),
    ]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_way_to_give_csv(newline: str, mark: str) -> None:
    """Text, bytes, a file, lines of either; with a byte order mark and with every line end."""
    text = mark + newline.join(["user_id,message", "u1,é☃", '"u2","a""b"', ""])
    expected = [
        UpdateRow(line=2, user_id="u1", message="é☃"),
        UpdateRow(line=3, user_id="u2", message='a"b'),
    ]
    lines = io.StringIO(text, newline="").readlines()
    for source in (
        text,
        text.encode(),
        io.StringIO(text, newline=""),
        lines,
        iter([line.encode() for line in lines]),
        text.splitlines(),
    ):
        assert parse_csv(source) == expected


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_way_to_give_json_lines(mark: str) -> None:
    """The same, from files opened as text or as bytes."""
    text = mark + '{"user_id":"u1","message":"é"}\r\n{"user_id":"u2","message":"x"}'
    expected = [
        UpdateRow(line=1, user_id="u1", message="é"),
        UpdateRow(line=2, user_id="u2", message="x"),
    ]
    for source in (text, text.encode(), io.BytesIO(text.encode()), io.StringIO(text)):
        assert parse_json_lines(source) == expected


def test_no_rows() -> None:
    """A file of empty lines has none; a CSV file has its column names at least."""
    assert parse_json_lines("") == parse_json_lines("\n\n") == []
    assert parse_csv(HEAD) == parse_csv("\n\nuser_id\n\n") == []


# -- what is told of bad input


@pytest.mark.parametrize(
    ("text", "line", "field", "reason"),
    [
        ("", 1, "", "the first line must name the columns, user_id or email among them"),
        ("\n\n", 1, "", "the first line must name the columns, user_id or email among them"),
        ("message\nx\n", 1, "", "the first line must name the columns, user_id or email among"),
        ("\nuser_id,mesage\nu,x\n", 2, "", "column 2 has an unknown name: it must be one of user"),
        ("user_id;message\nu;x\n", 1, "", "column 1 has an unknown name"),
        ("user_id,\nu,x\n", 1, "", "column 2 has an unknown name"),
        ("user_id,message,user_id\n", 1, "user_id", "there are two columns of this name"),
        ("user_id,message\nu1,x,y\n", 2, "", "it has 3 cells, and there are 2 columns"),
        ("user_id,message\n\nu1\n", 3, "", "it has 1 cells, and there are 2 columns"),
        ('user_id,message\nu1,"x"y\n', 2, "", "not CSV from here on: "),
        ('user_id,message\nu1,x\nu2,"x\n\n', 3, "", "not CSV from here on: "),
        (f"{HEAD},,d,,,,,\n", 2, "user_id", "give either a user_id or an email"),
        (f"{HEAD} ,,d,,,,,\n", 2, "user_id", "give either a user_id or an email"),
        (f"{HEAD}u,e@x,d,,,,,\n", 2, "user_id", "give either a user_id or an email"),
        (f"{HEAD},ada,d,,,,,\n", 2, "email", "it is not an e-mail address"),
        (f"{HEAD}u,,d,l,,,,\n", 2, "definition_id", "give one of definition_id, definition_label"),
        (f"{HEAD}u,,,l,Busy,,,\n", 2, "definition_id", "give one of definition_id, definition_la"),
        (f"{HEAD}u,,,,,,,\n", 2, "", "it changes nothing: no definition, no message, no primary"),
        (f"{HEAD}u,,,,,,false,Lync\n", 2, "", "it changes nothing: no definition, no message"),
        (f"{HEAD}u,,,,Bussy,,,\n", 2, "system_presence", "there is no such system presence"),
        (f"{HEAD}u,,,,,,yes,\n", 2, "primary", "it must be true or false"),
        (f"{HEAD}u,,,,,\ud800,,\n", 2, "message", "it is not UTF-8"),
    ],
)
def test_bad_csv(text: str, line: int, field: str, reason: str) -> None:
    """The line it begins on, the column, and what is wrong."""
    (failure,) = failures(parse_csv, text)
    assert (failure.line, failure.field) == (line, field)
    assert failure.reason.startswith(reason)


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ("{", "", "it is not valid JSON"),
        ('{"user_id": "u", "message": NaN}', "", "it is not valid JSON"),
        ("[]", "", "it is not an object"),
        ("null", "", "it is not an object"),
        ('{"userId": "u", "message": "m"}', "", "it has an unknown name: it must be one of us"),
        ('{"user_id": 5, "message": "m"}', "user_id", "it must be a string"),
        ('{"user_id": "u", "message": ["m"]}', "message", "it must be a string"),
        ('{"user_id": "u", "primary": "true"}', "primary", "it must be true or false"),
        ('{"user_id": "u", "primary": 1}', "primary", "it must be true or false"),
        ('{"user_id": "", "message": "m"}', "user_id", "give either a user_id or an email"),
        ('{"user_id": "u", "message": "\ud800"}', "", "it is not UTF-8"),
        ('{"user_id": "u", "message": "\\ud800"}', "", "it is not valid JSON"),
    ],
)
def test_bad_json_lines(text: str, field: str, reason: str) -> None:
    """Bad lines among good ones."""
    good = '{"user_id": "u", "message": "m"}'
    (failure,) = failures(parse_json_lines, f"{good}\n\n{text}\n{good}")
    assert (failure.line, failure.field) == (3, field)
    assert failure.reason.startswith(reason)


def test_bytes_that_are_no_utf8() -> None:
    """They are told by line and column, and cost no other line."""
    latin = "u2,,,,,caf\xe9,,\n".encode("latin-1")
    assert failures(parse_csv, HEAD.encode() + GOOD.encode() + latin + b"u3,,,,,,,\n") == (
        BadRow(3, "message", "it is not UTF-8"),
        BadRow(4, "", "it changes nothing: no definition, no message, no primary"),
    )
    assert failures(parse_json_lines, [b'{"user_id":"\xff"}\n', b"[]"]) == (
        BadRow(1, "", "it is not UTF-8"),
        BadRow(2, "", "it is not an object"),
    )


def test_all_bad_rows_are_told_at_once() -> None:
    """Several of one row too; the first is in the message, and no value is anywhere."""
    text = f"{HEAD},secret,,,nonsense,,maybe,\n{GOOD},secret,,x,nonsense,,,\n"
    with pytest.raises(RowsError) as caught:
        parse_csv(text)
    assert [(failure.line, failure.field) for failure in caught.value.failures] == [
        (2, "primary"),
        (4, "email"),
        (4, "definition_id"),
        (4, "system_presence"),
    ]
    error = caught.value
    assert isinstance(error, InvalidRequestError)
    assert (error.total, error.field) == (4, "primary")
    assert str(error) == (
        "line 2, primary: it must be true or false (4 failures, this is the first)"
    )
    assert "secret" not in repr(error) + repr(error.failures)
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301  # our own
        assert (other.failures, other.total, str(other)) == (error.failures, 4, str(error))


def test_a_file_that_is_all_wrong_is_told_in_bounds() -> None:
    """The first hundred are kept, the others are counted."""
    with pytest.raises(RowsError) as caught:
        parse_json_lines("[]\n" * 5000)
    assert [failure.line for failure in caught.value.failures] == list(range(1, 101))
    assert caught.value.total == 5000
    assert caught.value.message.startswith("line 1: ")


@pytest.mark.parametrize("parse", [parse_csv, parse_json_lines])
@pytest.mark.parametrize("source", [5, None, [1], [None]])
def test_what_is_no_text(parse: Any, source: Any) -> None:
    """It is refused as the argument it is."""
    with pytest.raises(InvalidRequestError) as caught:
        parse(source)
    assert caught.value.field == "source"
    assert not isinstance(caught.value, RowsError)


# -- any rows

_words = st.text(st.characters(codec="utf-8"), min_size=1).map(str.strip).filter(bool)
_emails = _words.map(lambda word: f"{word}@example.com".strip())
_definitions = st.one_of(
    st.builds(lambda word: {"definition_id": word}, _words),
    st.builds(lambda word: {"definition_label": word}, _words),
    st.sampled_from(["On Queue", "busy", "MEAL"]).map(lambda name: {"system_presence": name}),
)
_users = st.one_of(
    st.builds(lambda word: {"user_id": word}, _words),
    st.builds(lambda email: {"email": email}, _emails),
)
_others = st.fixed_dictionaries(
    {},
    optional={
        "message": st.text(st.characters(codec="utf-8"), min_size=1),
        "primary": st.booleans(),
        "source": _words,
    },
)
_rows = st.lists(
    st.builds(lambda user, what, other: user | what | other, _users, _definitions, _others)
)


def given_back(rows: list[UpdateRow]) -> list[dict[str, Any]]:
    """Rows without their lines and without what is not in them."""
    plain = [attrs.asdict(row) for row in rows]
    return [
        {
            name: value
            for name, value in row.items()
            if name != "line" and value not in (None, False)
        }
        for row in plain
    ]


def expected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, without what is false."""
    return [{name: value for name, value in row.items() if value is not False} for row in rows]


@settings(max_examples=150)
@given(_rows, st.permutations(COLUMNS), st.sampled_from(["\r\n", "\n"]), st.booleans())
def test_csv_round_trip(
    rows: list[dict[str, Any]], columns: list[str], newline: str, quoted: bool
) -> None:
    """Whatever the csv module writes is read back, and each row knows its line."""
    out = io.StringIO(newline="")
    # Before 3.13 the csv module leaves a lone carriage return unquoted.
    quoted = quoted or any("\r" in str(value) for row in rows for value in row.values())
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    writer = csv.DictWriter(out, columns, lineterminator=newline, quoting=quoting)
    writer.writeheader()
    begins = []
    for row in rows:
        begins.append(len(io.StringIO(out.getvalue(), newline="").readlines()) + 1)
        writer.writerow({k: str(v).lower() if isinstance(v, bool) else v for k, v in row.items()})
    for source in (out.getvalue(), ("\ufeff" + out.getvalue()).encode()):
        read = parse_csv(source)
        assert given_back(read) == expected(rows)
        assert [row.line for row in read] == begins


@settings(max_examples=150)
@given(_rows, st.booleans())
def test_json_lines_round_trip(rows: list[dict[str, Any]], ascii_only: bool) -> None:
    """Whatever the json module writes is read back, and each row knows its line."""
    text = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)
    for source in (text, text.encode("utf-8-sig")):
        read = parse_json_lines(source)
        assert given_back(read) == expected(rows)
        assert [row.line for row in read] == list(range(1, len(rows) + 1))


@given(st.binary() | st.text(st.characters()))
@settings(max_examples=200)
def test_any_input_is_rows_or_a_rows_error(source: Any) -> None:
    """Nothing else is ever raised, whatever the file is."""
    head = HEAD if isinstance(source, str) else HEAD.encode()
    for parse, text in (
        (parse_csv, source),
        (parse_csv, head + source),
        (parse_json_lines, source),
    ):
        found: list[Any] = []
        try:
            found += parse(text)
        except RowsError as error:
            found += error.failures or [None]
        assert {type(one) for one in found} <= {UpdateRow} or {type(one) for one in found} == {
            BadRow
        }
