"""Readers and writers of the values in fields: dates, names, secrets, objects, arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from operator import eq
from typing import TYPE_CHECKING, Any, Final, TypeAlias, get_args, get_origin

from presence_async.converter._mismatch import Mismatch, each, misfit, place, wrong
from presence_async.models import SystemPresenceName
from presence_async.secret import Secret

if TYPE_CHECKING:
    import cattrs

# Names seen, as they are spelled. They are few, but how few is up to the network.
_NAMES: Final[dict[str, SystemPresenceName]] = {}
_NAMES_AT_MOST: Final = 256

Reader: TypeAlias = Callable[[Any, Any], Any]
Writer: TypeAlias = Callable[[Any], Any]

TOGETHER: Final[dict[Reader, Callable[[list[Any]], list[Any] | None]]] = {}
"""Faster readers of many objects: their models, or None for objects to be read one by one."""


def register(converter: cattrs.Converter) -> None:
    """Teach the converter every value type that occurs in a field."""
    converter.register_structure_hook(float, _read_float)
    hooks: list[tuple[Any, Reader, Writer]] = [
        (str, _read_text, _write_text),
        (Secret, _read_secret, _write_secret),
        (SystemPresenceName, _read_name, _write_text),
        (datetime, _read_datetime, write_datetime),
    ]
    for hint, read, write in hooks:
        converter.register_structure_hook(hint, read)
        converter.register_unstructure_hook(hint, write)
    for hint, read in ((Mapping[str, str], _read_strings), (Mapping[str, Any], _read_object)):
        converter.register_structure_hook_func(partial(eq, hint), read)
        converter.register_unstructure_hook_func(partial(eq, hint), _write_object)
    converter.register_structure_hook_factory(_is_array, _array_reader)
    converter.register_unstructure_hook_factory(_is_array, _array_writer)


def _read_float(value: Any, _: Any) -> float:
    if type(value) is float or type(value) is int:
        return value
    raise wrong("number", value)


def _read_text(value: Any, _: Any) -> str:
    if type(value) is str:
        return value
    raise wrong("string", value)


def _write_text(value: Any) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    raise misfit(str, value)


def _read_secret(value: Any, _: Any) -> Secret:
    return Secret(_read_text(value, None))


def _write_secret(value: Any) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise misfit(Secret, value)


def _read_name(value: Any, _: Any) -> SystemPresenceName:
    if type(value) is not str:
        raise wrong("string", value)
    name = _NAMES.get(value)
    if name is None:
        name = SystemPresenceName(value)
        if len(_NAMES) < _NAMES_AT_MOST:
            _NAMES[value] = name
    return name


def _read_datetime(value: Any, _: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is UTC:
            return moment
        # The vendor documents UTC, so a time without an offset can only be that.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except TypeError:
        raise wrong("string", value) from None
    except (ValueError, OverflowError):
        raise Mismatch("not an ISO-8601 date-time") from None


def write_datetime(value: Any) -> str:
    """ISO-8601 in UTC with milliseconds and Z, as the vendor writes it."""
    if not isinstance(value, datetime):
        raise misfit(datetime, value)
    if value.utcoffset() is None:
        raise Mismatch("naive datetime; give it a time zone")
    try:
        moment = value.astimezone(UTC)
    except OverflowError:
        raise Mismatch("outside the years 1 to 9999 in UTC") from None
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _read_strings(value: Any, _: Any) -> dict[str, str]:
    if type(value) is not dict:
        raise wrong("object", value)
    for text in value.values():  # a handful: quicker than what goes over them at once
        if text.__class__ is not str:
            raise Mismatch("expected an object of strings")
    return value


def _read_object(value: Any, _: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise wrong("object", value)
    return value


def _write_object(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise misfit(Mapping, value)


def _is_array(hint: Any) -> bool:
    return get_origin(hint) is tuple


def _array_reader(hint: Any, converter: cattrs.Converter) -> Reader:
    item = get_args(hint)[0]
    read = converter.get_structure_hook(item)
    together = TOGETHER.get(read)

    def read_array(value: Any, _: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise wrong("array", value)
        if together is not None and (models := together(value)) is not None:
            return tuple(models)
        left = iter(value)
        try:
            return tuple([read(row, item) for row in left])
        except Mismatch as mismatch:
            mismatch.under(place(value, left))
            raise

    return read_array


def _array_writer(hint: Any, converter: cattrs.Converter) -> Writer:
    write = converter.get_unstructure_hook(get_args(hint)[0])

    def write_array(value: Any) -> list[Any]:
        if not isinstance(value, (tuple, list)):
            raise misfit(tuple, value)
        return each(write, value)

    return write_array
