"""JSON to models and back: the only module that knows wire names, cattrs and orjson.

Reading is strict about types: a field of the wrong JSON type is an error that names it, nothing
is coerced. Missing and null are kept apart, unknown fields go to `extra`, and one bad row of a
list does not cost the others. Whatever the bytes are, the outcome is a value or `DecodeError`,
and no error holds a value of the answer, which may be personal data.

Wire names are the models' field names in camel case. Readers and writers are generated on first
use (`_models`), because decoding is in the path of every sweep; cattrs does the dispatch.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Generic, TypeAlias, TypeVar, get_args, get_type_hints

import attrs
import cattrs
import orjson

from presence_async.converter import _models, _values
from presence_async.converter._mismatch import Mismatch, attempt, each, wrong
from presence_async.errors import DecodeError, InvalidRequestError, RowFailure
from presence_async.models import Channel, Model

__all__ = [
    "Rows",
    "dumps",
    "from_dict",
    "from_json",
    "loads",
    "structure",
    "structure_listing",
    "structure_rows",
    "structure_value",
    "to_dict",
    "to_json",
]

M = TypeVar("M", bound=Model)
T = TypeVar("T")
_Json: TypeAlias = bytes | bytearray | memoryview | str

_converter: Final = cattrs.Converter()
_values.register(_converter)
_models.register(_converter)
# The same as cattrs' own look-up, at a fifth of its cost.
_reader: Final[Callable[[Any], Callable[[Any, Any], Any]]] = functools.cache(
    _converter.get_structure_hook
)


@attrs.frozen
class Rows(Generic[M]):
    """What could be read of a list answer, in its order, and the rows that could not."""

    decoded: list[M]
    failures: tuple[RowFailure, ...] = ()


def structure(data: _Json, cls: type[M]) -> M:
    """Make a model from a JSON object, in UTF-8 without a byte order mark.

    Returns:
        The model. Datetimes are aware and UTC; without an offset they are taken as UTC.

    Raises:
        DecodeError: When it is not JSON, not an object, or a field is of the wrong type.
    """
    return structure_value(loads(data), cls)


# The same function under the name users know it by, next to `from_dict`.
from_json = structure


def structure_value(value: Any, cls: type[M]) -> M:
    """As `structure`, from what `loads` returned, or from a part of that."""
    try:
        model: M = _reader(cls)(value, cls)
    except Mismatch as mismatch:
        failure = mismatch.with_traceback(None)
    except RecursionError:
        failure = Mismatch("nested too deeply")
    else:
        return model
    # As in `attempt`: raised out here, so that it drags nothing along.
    raise _decode_error(failure, cls)


def from_dict(data: Mapping[str, Any], cls: type[M]) -> M:
    """Make a model from a plain dict with wire names, as `to_dict` returns it.

    The way goes through JSON: the same rules, and nothing shared with a dict that may change.

    Raises:
        DecodeError: When a field is of the wrong type.
        InvalidRequestError: When `data` cannot be written as JSON.
    """
    return structure(dumps(data), cls)


def structure_rows(data: _Json, cls: type[M]) -> Rows[M]:
    """Make models from a bare JSON array, with a failure for each row that cannot be read.

    Raises:
        DecodeError: When it is not JSON or not an array.
    """
    value = loads(data)
    if type(value) is not list:
        raise DecodeError(wrong(f"an array of {cls.__name__}", value).reason)
    return _rows(value, cls)


def structure_listing(data: _Json, cls: type[M], rows: str = "entities") -> M:
    """Make an entity listing; bad rows of its field `rows` end up in its `failures`.

    Raises:
        DecodeError: When it is not JSON, not an object, or any other field is wrong.
    """
    value = loads(data)
    whole: M | Mismatch = attempt(_converter.get_structure_hook(cls), value, cls)
    if not isinstance(whole, Mismatch):
        return whole
    if type(value) is not dict or type(value.get(rows)) is not list:
        raise _decode_error(whole, cls)
    shell = structure_value(value | {rows: []}, cls)
    read = _rows(value[rows], get_args(get_type_hints(cls)[rows])[0])
    changes: dict[str, Any] = {rows: tuple(read.decoded), "failures": read.failures}
    return attrs.evolve(shell, **changes)


def to_dict(model: Model) -> dict[str, Any]:
    """Make a plain dict with wire names, ready to be written as JSON.

    Returns:
        Its fields in order, then those of `extra` that no field of the model has set.
        `UNSET` fields are left out, None is kept. Datetimes are ISO-8601 strings in UTC
        with milliseconds, which is all the vendor's have.

    Raises:
        InvalidRequestError: When a field cannot be written, e.g. a naive datetime.
    """
    return _unstructured(_write, model)


def to_json(value: Model | Sequence[Model]) -> bytes:
    """Write a model as a JSON object, or several as an array, in UTF-8, made as by `to_dict`.

    Raises:
        InvalidRequestError: When a field cannot be written, e.g. a naive datetime.
    """
    return dumps(_unstructured(_write if isinstance(value, Model) else _write_all, value))


def loads(data: _Json) -> Any:
    """Read JSON. The last of duplicate keys counts; integers beyond 64 bits become floats.

    Raises:
        DecodeError: When it is not JSON. NaN, Infinity, a byte order mark, lone surrogates
            and more than 1024 levels are not JSON here.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
    # Raised out here because the error above holds the whole document.
    raise DecodeError(f"not valid JSON: {place}")


def dumps(obj: Any) -> bytes:
    """Write plain data, models and aware datetimes as JSON. NaN and infinities become null.

    Raises:
        InvalidRequestError: When something in it has no JSON form.
    """
    try:
        return orjson.dumps(obj, default=_jsonable, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except orjson.JSONEncodeError as error:
        cause = error.__cause__
        reason = f"cannot be written as JSON: {error}"
    raise cause if isinstance(cause, InvalidRequestError) else InvalidRequestError(reason)


def _jsonable(obj: Any) -> Any:
    if isinstance(obj, Mapping):
        return dict(obj)
    if isinstance(obj, Model):
        return to_dict(obj)
    if not isinstance(obj, datetime):
        raise TypeError
    text = attempt(_values.write_datetime, obj)
    if isinstance(text, Mismatch):
        raise InvalidRequestError(text.reason)
    return text


def _write(model: Model) -> dict[str, Any]:
    out: dict[str, Any] = _converter.get_unstructure_hook(type(model))(model)
    return out


def _write_all(models: Sequence[Model]) -> list[dict[str, Any]]:
    write = {cls: _converter.get_unstructure_hook(cls) for cls in set(map(type, models))}
    return each(lambda model: write[type(model)](model), models)


def _unstructured(write: Callable[[Any], T], value: Model | Sequence[Model]) -> T:
    result = attempt(write, value)
    if isinstance(result, Mismatch):
        subject = type(value).__name__ if isinstance(value, Model) else ""
        raise InvalidRequestError(result.of(subject), field=result.field or None)
    return result


def _rows(rows: list[Any], cls: type[M]) -> Rows[M]:
    read = _reader(cls)
    # Almost always every row is good, and these are the fastest ways to find out.
    together = _values.TOGETHER.get(read)
    if together is not None and (models := together(rows)) is not None:
        return Rows(models)
    with contextlib.suppress(Mismatch, RecursionError):
        return Rows([read(row, cls) for row in rows])
    decoded: list[M] = []
    failures: list[RowFailure] = []
    for index, row in enumerate(rows):
        result = attempt(read, row, cls)
        if isinstance(result, Mismatch):
            row_id = None if cls is Channel else _row_id(row)  # that one opens its socket
            failures.append(RowFailure(index, result.field, result.reason, row_id))
        else:
            decoded.append(result)
    return Rows(decoded, tuple(failures))


def _row_id(row: Any) -> str | None:
    ids = [row.get(name) for name in ("userId", "id", "eventId")] if type(row) is dict else []
    return next((id_ for id_ in ids if type(id_) is str), None)


def _decode_error(mismatch: Mismatch, cls: type[Model]) -> DecodeError:
    return DecodeError(mismatch.of(cls.__name__), field=mismatch.field or None)
