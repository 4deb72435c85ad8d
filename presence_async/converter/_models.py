"""Generates the reader and the writer of each model, as one would write them by hand.

Two more things make reading fast: frozen instances are filled before they are frozen
(`_twin`), and presence definitions, which repeat in every row, are made once (`_sharing`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from operator import itemgetter
from textwrap import indent
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, get_args, get_type_hints

import attrs

from presence_async.converter._mismatch import JSON_TYPES, Mismatch, misfit, wrong
from presence_async.converter._values import TOGETHER
from presence_async.models import UNSET, Model, PresenceDefinition, Unset
from presence_async.models._base import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import cattrs

    from presence_async.converter._values import Reader, Writer

_Names: TypeAlias = dict[str, Any]
_Together: TypeAlias = "Callable[[Sequence[dict[str, Any]]], list[Any]]"

# Checked by an inlined comparison of types and written as they are. Not by isinstance: a
# bool is an int to Python and not to JSON.
_PLAIN: Final = (str, bool, int)
# Fields of models that are not fields on the wire, and what a reader stores in them.
_NOT_ON_WIRE: Final = {"extra": "extra", "failures": "()"}
# No model has as many; what is larger is read field by field.
_FIELDS_AT_MOST: Final = 64
# Definitions are few, but how few is up to the network.
_SHARED_AT_MOST: Final = 1024

# What is done with the value of a field that is there.
_PLAIN_VALUE: Final = """
    if v_{name}.__class__ is not t_{name} and v_{name} is not None:
        raise wrong({json!r}, v_{name}, {wire!r})
"""
_OTHER_VALUE: Final = """
    if v_{name} is None:
        v_{name} = null_{name}
    else:
        try:
            v_{name} = read_{name}(v_{name}, t_{name})
        except Mismatch as mismatch:
            mismatch.under({wire!r})
            raise
"""
# As _OTHER_VALUE; but what the vendor sends, UTC with a Z, needs no call of a hook.
_TIME_VALUE: Final = """
    if v_{name} is None:
        v_{name} = null_{name}
    else:
        try:
            moment = fromisoformat(v_{name})
        except (TypeError, ValueError, OverflowError):
            moment = None
        if moment is None or moment.tzinfo is not UTC:
            try:
                moment = read_{name}(v_{name}, t_{name})
            except Mismatch as mismatch:
                mismatch.under({wire!r})
                raise
        v_{name} = moment
"""
# Any object. Unknown fields cost nothing to notice: an object has some when it holds more
# than those fields of the model that it was not missing.
_READ_HEAD: Final = """
def read(obj, _):
    if type(obj) is not dict:
        raise wrong("object", obj)
    missing = 0
"""
_READ_FIELD: Final = """
    if {wire!r} in obj:
        v_{name} = obj[{wire!r}]
{value}
    else:
        v_{name} = absent_{name}
        missing += 1
"""
_READ_EXTRA: Final = """
    extra = EMPTY
    if len(obj) + missing != len(known):
        extra = {name: value for name, value in obj.items() if name not in known}
"""
# Objects whose fields are known in advance, which is less to look for, and in one loop.
_USUAL_HEAD: Final = """
def read(objs):
  models = []
  for obj in objs:
    {targets} = pick(obj)
    extra = {extra}
"""
_USUAL_TAIL: Final = """
    models.append(model)
  return models
"""
_WRITE_HEAD: Final = """
def write(model):
    if not isinstance(model, cls):
        raise misfit(cls, model)
    out = {}
"""
_WRITE_PLAIN: Final = """
    if (value := model.{name}) is not UNSET:
        out[{wire!r}] = value
"""
_WRITE_OTHER: Final = """
    if (value := model.{name}) is not UNSET:
        if value is not None:
            try:
                value = write_{name}(value)
            except Mismatch as mismatch:
                mismatch.under({name!r})
                raise
        out[{wire!r}] = value
"""
_WRITE_EXTRA: Final = """
    if model.extra is not EMPTY:
        for name, value in model.extra.items():
            out.setdefault(name, value)
    return out
"""


def register(converter: cattrs.Converter) -> None:
    """Teach the converter all models; each is generated when it is first used."""
    converter.register_structure_hook_factory(_is_model, _model_reader)
    converter.register_unstructure_hook_factory(_is_model, _model_writer)


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Model)


@attrs.frozen
class _Field:
    """A field of a model as the generators need it."""

    name: str
    wire: str
    hint: Any  # without None and Unset
    absent: Any  # its value when it is missing
    null: Any  # its value when it is null

    @property
    def plain(self) -> bool:
        return self.hint in _PLAIN

    def lines(self, template: str) -> str:
        json = JSON_TYPES.get(self.hint)
        return template.format(name=self.name, wire=self.wire, json=json)


def _fields(cls: type[Model]) -> list[_Field]:
    hints = get_type_hints(cls)
    fields = [field for field in attrs.fields(cls) if field.name not in _NOT_ON_WIRE]
    return [_field(field, hints[field.name]) for field in fields]


def _field(field: attrs.Attribute[Any], hint: Any) -> _Field:
    head, *tail = field.name.split("_")
    wire = head + "".join(map(str.capitalize, tail))
    if Unset not in get_args(hint):  # the entities of a listing, empty rather than missing
        return _Field(field.name, wire, hint, absent=field.default, null=field.default)
    inner = next(arg for arg in get_args(hint) if arg not in (NoneType, Unset))
    return _Field(field.name, wire, inner, absent=UNSET, null=None)


def _compiled(function: str, source: list[str], names: _Names) -> Any:
    # The source holds names of our own classes' fields only, never anything received.
    exec("".join(source), names)  # noqa: S102
    return names[function]


def _value(field: _Field) -> str:
    if field.plain:
        return field.lines(_PLAIN_VALUE)
    return field.lines(_TIME_VALUE if field.hint is datetime else _OTHER_VALUE)


def _model_reader(cls: type[Model], converter: cattrs.Converter) -> Reader:
    fields = _fields(cls)
    names: _Names = {"wrong": wrong, "Mismatch": Mismatch, "EMPTY": EMPTY}
    names |= {"fromisoformat": datetime.fromisoformat, "UTC": UTC}
    names |= {"cls": cls, "Twin": _twin(cls), "known": frozenset(field.wire for field in fields)}
    source = [_READ_HEAD]
    for field in fields:
        value = indent(_value(field), "    ")
        source.append(_READ_FIELD.format(name=field.name, wire=field.wire, value=value))
        names[f"t_{field.name}"] = field.hint
        names[f"absent_{field.name}"] = field.absent
        names[f"null_{field.name}"] = field.null
        if not field.plain:
            names[f"read_{field.name}"] = _hook(converter.get_structure_hook, field, cls)
    source += [_READ_EXTRA, _construction(cls, names, {}), "    return model\n"]
    read: Reader = _compiled("read", source, names)
    read = _learning(read, lambda keys: _usual_reader(cls, fields, keys, names))
    return _sharing(read) if cls is PresenceDefinition else read


def _usual_reader(
    cls: type[Model], fields: list[_Field], keys: list[str], names: _Names
) -> _Together:
    """A reader of objects with exactly these keys; any other of their number is a KeyError."""
    here = [field for field in fields if field.wire in keys]
    unknown = [key for key in keys if key not in names["known"]]
    extras = [f"u_{number}" for number in range(len(unknown))]
    targets = ", ".join([f"v_{field.name}" for field in here] + extras)
    extra = f"dict(zip(unknown, ({', '.join(extras)},)))" if extras else "EMPTY"
    absent = {field.name: f"absent_{field.name}" for field in fields if field not in here}
    source = [_USUAL_HEAD.format(targets=targets, extra=extra), *map(_value, here)]
    source += [_construction(cls, names, absent), _USUAL_TAIL]
    pick = itemgetter(*(field.wire for field in here), *unknown)
    read: _Together = _compiled("read", source, names | {"pick": pick, "unknown": unknown})
    return read


def _learning(read: Reader, usual_reader: Callable[[list[str]], _Together]) -> Reader:
    """Of each size of an object, those like the first to come twice are read the faster way.

    Rows are mostly alike, and sizes are few, whatever the network sends.
    """
    usual: dict[int, _Together] = {}
    once: set[int] = set()

    def read_learning(obj: Any, hint: Any) -> Any:
        size = len(obj) if obj.__class__ is dict else 0
        if size in usual:
            try:
                return usual[size]((obj,))[0]
            except KeyError:
                return read(obj, hint)
        model = read(obj, hint)
        if size in once:
            usual[size] = usual_reader(list(obj))
        elif 1 < size <= _FIELDS_AT_MOST:
            once.add(size)
        return model

    def read_alike(objs: list[Any]) -> list[Any] | None:
        try:
            (size,) = set(map(len, objs))
            return usual[size](objs)
        except (KeyError, TypeError, ValueError, Mismatch, RecursionError):
            return None

    TOGETHER[read_learning] = read_alike
    return read_learning


def _model_writer(cls: type[Model], converter: cattrs.Converter) -> Writer:
    names: _Names = {"misfit": misfit, "Mismatch": Mismatch, "cls": cls}
    names |= {"UNSET": UNSET, "EMPTY": EMPTY}
    source = [_WRITE_HEAD]
    for field in _fields(cls):
        source.append(field.lines(_WRITE_PLAIN if field.plain else _WRITE_OTHER))
        if not field.plain:
            names[f"write_{field.name}"] = _hook(converter.get_unstructure_hook, field, cls)
    source.append(_WRITE_EXTRA)
    write: Writer = _compiled("write", source, names)
    return write


def _hook(get_hook: Callable[[Any], Any], field: _Field, owner: type[Model]) -> Any:
    """The hook for a field's type; looked up late where a model contains itself."""
    if owner not in (field.hint, *get_args(field.hint)):
        return get_hook(field.hint)

    def late(*args: Any) -> Any:
        return get_hook(field.hint)(*args)

    return late


def _construction(cls: type[Model], names: _Names, absent: dict[str, str]) -> str:
    """Lines that make the model out of the values read.

    The ``__init__`` of a frozen class costs more than all of the reading. So an instance of
    an unfrozen twin is filled instead, and made one of `cls` when it is complete.
    """
    values = {field.name: f"v_{field.name}" for field in attrs.fields(cls)}
    values |= {name: value for name, value in (_NOT_ON_WIRE | absent).items() if name in values}
    if names["Twin"] is None:
        arguments = ", ".join(f"{name}={value}" for name, value in values.items())
        return f"    model = cls({arguments})\n"
    stores = "".join(f"    model.{name} = {value}\n" for name, value in values.items())
    return f"    model = Twin()\n{stores}    model.__class__ = cls\n"


def _twin(cls: type[Model]) -> type | None:
    """A class of the same layout that is not frozen, or None when that is not safe.

    Safe: ``__init__`` only stores the values, and a trial shows that they stay in their places.
    """
    fields = attrs.fields(cls)
    if hasattr(cls, "__attrs_post_init__") or any(f.validator or f.converter for f in fields):
        return None
    # The last two come as a pair: Python stores directly only where neither is overridden.
    plain = {name: getattr(object, name) for name in ("__init__", "__setattr__", "__delattr__")}
    twin = type("Twin", cls.__bases__, {"__slots__": vars(cls).get("__slots__", ()), **plain})
    trial: Any = twin()
    try:
        for field in fields:
            setattr(trial, field.name, field.name)
        trial.__class__ = cls
    except (AttributeError, TypeError):
        return None
    return twin if all(getattr(trial, field.name) == field.name for field in fields) else None


def _sharing(read: Reader) -> Reader:
    """Give out one instance for equal objects; only for models small, frozen and few."""
    seen: dict[str, tuple[dict[str, Any], Model]] = {}

    def read_shared(value: Any, cls: Any) -> Any:
        try:
            known, model = seen[value["id"]]
            if known == value:
                return model
        except (KeyError, TypeError):  # not seen yet; or not an object, or an id that is none
            pass
        model = read(value, cls)
        # Strings and nulls are equal only to themselves; unknown fields may hold a 1 and
        # a true, which Python takes for equal.
        if type(value.get("id")) is str and not model.extra:
            if len(seen) >= _SHARED_AT_MOST:
                seen.clear()
            seen[value["id"]] = (dict(value), model)
        return model

    return read_shared
