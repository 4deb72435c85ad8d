"""JSON in and out: every byte string gives a value or DecodeError, and nothing is lost."""

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import attrs
import orjson
import pytest

from presence_async import converter, models
from presence_async.converter import (
    Rows,
    dumps,
    from_dict,
    from_json,
    loads,
    structure,
    structure_listing,
    structure_rows,
    to_dict,
    to_json,
)
from presence_async.errors import DecodeError, InvalidRequestError, RowFailure
from presence_async.models import (
    UNSET,
    BatchEventResponse,
    ErrorBody,
    EventError,
    Model,
    MutableUserPresence,
    OrganizationPresence,
    OrganizationPresenceEntityListing,
    PresenceDefinition,
    RestorePresenceSettings,
    Source,
    SourceEntityListing,
    SystemPresence,
    SystemPresenceName,
    UcUserPresence,
    User,
    UserEntityListing,
    UserPresence,
)

MODELS = [
    value
    for name in models.__all__
    if isinstance(value := getattr(models, name), type)
    and issubclass(value, Model)
    and value is not Model
]
LISTINGS = [cls for cls in MODELS if cls.__name__.endswith("EntityListing")]
ROWLESS = {cls: {"entities": []} for cls in LISTINGS} | {BatchEventResponse: {"errors": []}}

# A recorded answer of the single read, ids shortened.
RECORDED = b"""{
    "source": "PURECLOUD",
    "presenceDefinition": {
        "id": "e08eaf1b",
        "systemPresence": "On Queue",
        "selfUri": "/api/v2/presencedefinitions/e08eaf1b"
    },
    "message": "",
    "modifiedDate": "2022-03-07T08:15:03.625Z",
    "selfUri": "/api/v2/users/u1/presences"
}"""
CANARY = "canary-of-personal-data"

# --- there and back ----------------------------------------------------------------------


@pytest.mark.parametrize("cls", MODELS)
def test_every_model_can_be_read_from_nothing(cls: type[Any]):
    """An empty object is a model of any kind: even required fields may be missing."""
    model = structure(b"{}", cls)
    assert type(model) is cls
    assert to_dict(model) == ROWLESS.get(cls, {})


def test_recorded_answer_is_read():
    """A recorded presence becomes the model one would expect."""
    assert structure(RECORDED, UserPresence) == UserPresence(
        source="PURECLOUD",
        presence_definition=PresenceDefinition(
            id="e08eaf1b",
            system_presence=SystemPresenceName.ON_QUEUE,
            self_uri="/api/v2/presencedefinitions/e08eaf1b",
        ),
        message="",
        modified_date=datetime(2022, 3, 7, 8, 15, 3, 625_000, tzinfo=UTC),
        self_uri="/api/v2/users/u1/presences",
    )


def test_reading_and_writing_back_changes_nothing():
    """Spellings, nulls and unknown fields of an answer survive a read, a change and a write."""
    answer = {"id": "x", "systemPresence": "OnQueue", "primary": None, "new": [{"deep": None}]}
    record = from_json(orjson.dumps(answer), OrganizationPresence)
    assert record.language_labels is UNSET
    assert to_dict(record) == answer
    changed = attrs.evolve(record, language_labels={"en_US": "Queue"})
    assert to_dict(changed) == answer | {"languageLabels": {"en_US": "Queue"}}


def test_from_json_is_structure():
    """Users and resources call the same function."""
    assert from_json is structure


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: data.decode()])
def test_documents_may_be_any_kind_of_bytes_or_text(kind: Any):
    """Bytes, byte arrays, memory views and text are all read."""
    assert structure(kind(b'{"id":"x"}'), PresenceDefinition).id == "x"


def test_dicts_are_judged_like_json():
    """A dict goes through JSON: read-only mappings are fine, other types are refused."""
    data = {"id": "d", "systemPresence": SystemPresenceName("ON_QUEUE")}
    model = from_dict(MappingProxyType(data), PresenceDefinition)
    assert to_dict(model) == {"id": "d", "systemPresence": "ON_QUEUE"}
    assert type(to_dict(model)["systemPresence"]) is str
    with pytest.raises(DecodeError) as caught:
        from_dict({"id": 1}, PresenceDefinition)
    assert caught.value.field == "id"
    with pytest.raises(InvalidRequestError):
        from_dict({"id": object()}, PresenceDefinition)


def test_models_do_not_follow_the_dict_they_came_from():
    """Changing the dict afterwards leaves the model alone, and the other way round."""
    data = {"languageLabels": {"en_US": "Lunch"}, "new": [1]}
    model = from_dict(data, OrganizationPresence)
    data["languageLabels"]["en_US"] = "Dinner"
    to_dict(model)["languageLabels"]["en_US"] = "Supper"
    assert model.language_labels == {"en_US": "Lunch"}
    assert model.extra == {"new": [1]}


# --- rows and listings -------------------------------------------------------------------


def test_good_rows_are_all_decoded():
    """A list without bad rows has no failures."""
    assert structure_rows(b"[]", UcUserPresence) == Rows([], ())
    rows = structure_rows(b'[{"userId":"u1"},{"userId":"u2"}]', UcUserPresence)
    assert rows == Rows([UcUserPresence(user_id="u1"), UcUserPresence(user_id="u2")])


@pytest.mark.parametrize("cls", [UcUserPresence, PresenceDefinition])
@pytest.mark.parametrize(
    "last",
    [
        {"id": "c", "selfUri": "/c"},
        {"id": "c", "selfUri": 3},
        {"id": "c", "other": 1},
        {"id": "c"},
        "id",
        ["id", "selfUri"],
    ],
)
def test_rows_all_alike_or_but_for_the_last(cls: Any, last: Any):
    """What is read together comes to the same as what is read one by one."""
    alike = [{"id": f"a{number}", "selfUri": "/"} for number in range(4)]
    expected = [structure(dumps(row), cls) for row in alike]
    failures = 0
    try:
        alone = [structure(dumps(last), cls)]
    except DecodeError:
        alone, failures = [], 1
    assert structure_rows(dumps(alike), cls) == Rows(expected)
    rows = structure_rows(dumps([*alike, last]), cls)
    assert rows.decoded == expected + alone
    assert len(rows.failures) == failures


def test_bad_rows_cost_no_other_row():
    """Each bad row is a failure with its index, field and id; the others are decoded."""
    answer = [
        {"userId": "u1"},
        {"userId": "u2", "modifiedDate": CANARY},
        {"id": "u3", "userId": 3, "message": "m"},
        {"presenceDefinition": {"systemPresence": 4}},
        CANARY,
        None,
        {"userId": "u7"},
    ]
    rows = structure_rows(orjson.dumps(answer), UcUserPresence)
    assert [row.user_id for row in rows.decoded] == ["u1", "u7"]
    assert rows.failures == (
        RowFailure(1, "modifiedDate", "not an ISO-8601 date-time", "u2"),
        RowFailure(2, "userId", "expected string, got integer", "u3"),
        RowFailure(3, "presenceDefinition.systemPresence", "expected string, got integer"),
        RowFailure(4, "", "expected object, got string"),
        RowFailure(5, "", "expected object, got null"),
    )
    assert CANARY not in repr(rows.failures)


@pytest.mark.parametrize(
    ("data", "name"), [(b"{}", "object"), (b"null", "null"), (b"1", "integer")]
)
def test_rows_need_an_array(data: bytes, name: str):
    """Where an array is documented, anything else is an error."""
    with pytest.raises(DecodeError, match=f"expected an array of SystemPresence, got {name}"):
        structure_rows(data, SystemPresence)


def test_listing_is_read_whole():
    """A good listing has its rows, its envelope and no failures."""
    answer = {"entities": [{"name": "a"}], "total": 1, "new": True}
    assert structure_listing(orjson.dumps(answer), SourceEntityListing) == SourceEntityListing(
        entities=(Source(name="a"),), total=1, extra={"new": True}
    )


def test_bad_rows_of_a_listing_end_up_in_its_failures():
    """A listing keeps its good rows and tells the bad ones."""
    answer = {"entities": [{"id": "a", "version": "1"}, {"id": "b"}, 7], "pageCount": 1}
    listing = structure_listing(orjson.dumps(answer), UserEntityListing)
    assert listing == UserEntityListing(
        entities=(User(id="b"),),
        page_count=1,
        failures=(
            RowFailure(0, "version", "expected integer, got string", "a"),
            RowFailure(2, "", "expected object, got integer"),
        ),
    )


def test_a_listing_may_call_its_rows_otherwise():
    """Rows under another name are read alike, and a bad one is known by its event."""
    rows = [{"eventId": "a", "retryable": True}, {"eventId": "b", "retryable": 1}]
    answer = orjson.dumps({"errors": rows})
    assert structure_listing(answer, BatchEventResponse, "errors") == BatchEventResponse(
        errors=(EventError(event_id="a", retryable=True),),
        failures=(RowFailure(1, "retryable", "expected boolean, got integer", "b"),),
    )
    with pytest.raises(DecodeError) as caught:
        structure_listing(b'{"errors":{}}', BatchEventResponse, "errors")
    assert caught.value.field == "errors"


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        ([], None),
        ({"entities": {}}, "entities"),
        ({"entities": [], "total": "1"}, "total"),
        ({"entities": [1], "total": "1"}, "total"),
        ({"total": True}, "total"),
    ],
)
def test_broken_envelopes_are_errors(answer: object, field: str | None):
    """What is wrong outside of the rows is wrong with the whole listing."""
    with pytest.raises(DecodeError) as caught:
        structure_listing(orjson.dumps(answer), OrganizationPresenceEntityListing)
    assert caught.value.field == field


def test_strict_reading_names_the_row_in_the_path():
    """Read as a single model, a listing with a bad row is an error with the whole path."""
    with pytest.raises(DecodeError) as caught:
        structure(b'{"entities":[{"name":"a"},{"name":1}]}', SourceEntityListing)
    assert caught.value.field == "entities[1].name"


# --- hazards -----------------------------------------------------------------------------

NESTED = b'{"errors":[' * 400 + b"{}" + b"]}" * 400


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"id":NaN}',
        b'{"id":Infinity}',
        b'{"id":"\\ud800"}',
        b'{"id":"\xed\xa0\x80"}',
        b"{'id':1}",
        b"[" * 2000 + b"]" * 2000,
        b"<html>canary-of-personal-data</html>",
        b'{"id":"canary-of-personal-data"',
    ],
)
def test_what_is_no_json_is_a_decode_error(data: bytes):
    """Broken documents give DecodeError without the document, and without a context."""
    for read in (loads, lambda data: structure(data, User)):
        with pytest.raises(DecodeError, match="not valid JSON: line 1, column") as caught:
            read(data)
        assert_silent(caught.value)


def assert_silent(error: BaseException) -> None:
    """Nothing an error drags along shows the answer."""
    assert error.__cause__ is None
    assert error.__context__ is None
    assert CANARY not in f"{error}{error!r}{error.args}{vars(error)}"


@pytest.mark.parametrize(
    ("data", "message", "field"),
    [
        (b"null", "User: expected object, got null", None),
        (b"[]", "User: expected object, got array", None),
        (b'"canary-of-personal-data"', "User: expected object, got string", None),
        (b'{"version":"canary-of-personal-data"}', "User.version: expected integer", "version"),
        (b'{"version":1e3}', "User.version: expected integer, got number", "version"),
        (b'{"version":' + b"9" * 30 + b"}", "User.version: expected integer, got", "version"),
        (b'{"presence":{"modifiedDate":"canary-of-personal-data"}}', "not an ISO", None),
    ],
)
def test_what_does_not_fit_is_a_decode_error(data: bytes, message: str, field: str | None):
    """Values of another type give DecodeError naming the field, never the value."""
    with pytest.raises(DecodeError, match=message) as caught:
        structure(data, User)
    assert_silent(caught.value)
    assert field is None or caught.value.field == field


def test_endless_nesting_is_a_decode_error():
    """A document deeper than the interpreter can follow is told as such."""
    with pytest.raises(DecodeError, match="nested too deeply") as caught:
        structure(NESTED, ErrorBody)
    assert_silent(caught.value)
    rows = structure_rows(b"[{}," + NESTED + b"]", ErrorBody)
    assert rows.decoded == [ErrorBody()]
    assert rows.failures == (RowFailure(1, "", "nested too deeply"),)


def test_last_of_duplicate_keys_counts():
    """A key given twice is not an error; the later value wins."""
    assert structure(b'{"id":"a","id":"b"}', User).id == "b"


# --- writing -----------------------------------------------------------------------------


def test_several_models_are_an_array():
    """A sequence of models, of one kind or several, is written as an array."""
    row = MutableUserPresence(id="u", presence_definition=PresenceDefinition(id="d"))
    assert to_json([]) == b"[]"
    assert to_json((row, Source(name="a"))) == (
        b'[{"id":"u","presenceDefinition":{"id":"d"}},{"name":"a"}]'
    )


def test_settings_are_written_with_wire_names():
    """Long names get their camel case right."""
    model = RestorePresenceSettings(
        enabled=True, restore_time_milliseconds=60_000, restore_on_queue_enabled=False
    )
    assert to_json(model) == (
        b'{"enabled":true,"restoreTimeMilliseconds":60000,"restoreOnQueueEnabled":false}'
    )


NAIVE = datetime(2022, 3, 7)  # noqa: DTZ001  # the case under test


def test_naive_datetimes_are_refused_by_name():
    """A datetime without a zone is not sent; the error names the field, and the row."""
    good, bad = UserPresence(), UserPresence(modified_date=NAIVE)
    with pytest.raises(InvalidRequestError, match=r"^UserPresence\.modified_date: naive") as caught:
        to_dict(bad)
    assert caught.value.field == "modified_date"
    assert_silent(caught.value)
    with pytest.raises(InvalidRequestError, match=r"^\[1\].modified_date: naive") as caught:
        to_json([good, bad])
    assert caught.value.field == "[1].modified_date"
    with pytest.raises(InvalidRequestError) as caught:
        to_json(models.PresenceExpand(presences=(good, good, bad)))
    assert caught.value.field == "presences[2].modified_date"


def test_plain_data_may_hold_models_and_dates():
    """A body made by hand can hold models, names, aware datetimes and read-only mappings."""
    body = MappingProxyType(
        {
            "presence": PresenceDefinition(id="d"),
            "name": SystemPresenceName("ON_QUEUE"),
            "date": datetime(2022, 3, 7, tzinfo=UTC),
        }
    )
    assert dumps(body) == (
        b'{"presence":{"id":"d"},"name":"ON_QUEUE","date":"2022-03-07T00:00:00.000Z"}'
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"message": UNSET}, "not JSON serializable"),
        ({"date": NAIVE}, "naive datetime"),
        ({"presence": UserPresence(modified_date=NAIVE)}, "UserPresence.modified_date: naive"),
        ({"message": b"canary-of-personal-data"}, "not JSON serializable: bytes"),
        ({1: 2}, "key must be str"),
        ({"total": 2**64}, "64-bit"),
        ({"message": "\ud800"}, "not valid UTF-8"),
    ],
)
def test_what_json_cannot_hold_is_refused(body: object, reason: str):
    """Anything without a JSON form is an error of the call, told without the value."""
    with pytest.raises(InvalidRequestError, match=reason) as caught:
        dumps(body)
    assert_silent(caught.value)


def test_bodies_that_contain_themselves_are_refused():
    """A body without an end is an error of the call too."""
    body: list[Any] = []
    body.append(body)
    with pytest.raises(InvalidRequestError, match="cannot be written as JSON"):
        dumps(body)


def test_everything_exported_exists():
    """The list of exports has no stale names."""
    assert all(hasattr(converter, name) for name in converter.__all__)
