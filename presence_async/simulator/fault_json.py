"""Faults as JSON: read strictly, and written the same way.

An object has those fields of `Fault` that differ from their defaults. Bytes are text, which
stands for its UTF-8, or `{"base64": "..."}`. A delay is a number, or a distribution:
`{"distribution": "uniform", "low": 0.01, "high": 0.06, "seed": 0}`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from presence_async.simulator.errors import bad_request
from presence_async.simulator.faults import Fault
from presence_async.simulator.latency import exponential, lognormal, uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Reader = Callable[[Any, str], Any]

# What the simulator can still read, and pack, without making everyone else wait for long.
MAX_FAULTS = 1000
MAX_BOMB = 1 << 30
# A delay beyond it is no number any more: e ** (10 * 70).
_MAX_SIGMA = 10
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
# aiohttp takes them literally and fails; `wrong_length` is how a length is made wrong.
_FRAMING = frozenset(("content-length", "transfer-encoding"))


def read_faults(value: Any, routes: Collection[str]) -> list[Fault]:
    """The faults of a JSON object or array; ApiError 400 names the field at fault."""
    if not isinstance(value, list):
        return [_read_fault(value, routes, "")]
    if len(value) > MAX_FAULTS:
        raise bad_request(f"there must not be more than {MAX_FAULTS} faults at once")
    return [_read_fault(entry, routes, f"[{index}]") for index, entry in enumerate(value)]


def fault_json(fault: Fault) -> dict[str, Any]:
    """The JSON form of a fault; a callable is named, and cannot be read again."""
    return {
        field.name: _shown(getattr(fault, field.name))
        for field in attrs.fields(Fault)
        if getattr(fault, field.name) != getattr(_DEFAULTS, field.name)
    }


def bytes_json(data: bytes) -> str | dict[str, str]:
    """Bytes as text, or in base64 where they are no UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def read_object(value: Any, readers: Mapping[str, Reader], where: str = "") -> dict[str, Any]:
    """The fields of a JSON object, each read by its reader; ApiError 400 for others."""
    if not isinstance(value, dict):
        raise bad_request(f"{where or 'body'} must be an object")
    for name in value:
        if name not in readers:
            known = ", ".join(sorted(readers))
            raise bad_request(f"{_inside(where, name[:100])} is unknown; there are: {known}")
    return {name: readers[name](field, _inside(where, name)) for name, field in value.items()}


def text(value: Any, where: str) -> str:
    """Read a string."""
    if not isinstance(value, str):
        raise bad_request(f"{where} must be a string")
    return value


def flag(value: Any, where: str) -> bool:
    """Read a boolean."""
    if not isinstance(value, bool):
        raise bad_request(f"{where} must be true or false")
    return value


def number(value: Any, where: str) -> float:
    """Read a number."""
    # bool is a subclass of int, and JSON tells them apart.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad_request(f"{where} must be a number")
    return value


def whole(value: Any, where: str) -> int:
    """Read a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad_request(f"{where} must be a whole number")
    return value


def optional(reader: Reader) -> Reader:
    """A reader that takes null, too."""
    return lambda value, where: None if value is None else reader(value, where)


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _read_fault(value: Any, routes: Collection[str], where: str) -> Fault:
    fields = read_object(value, READERS, where)
    try:
        fault = Fault(**fields)
    except ValueError as error:  # its text begins with the field's name
        raise bad_request(_inside(where, str(error))) from None
    if fault.route is not None and fault.route not in routes:
        known = ", ".join(sorted(routes))
        raise bad_request(f"{_inside(where, 'route')} is unknown; there are: {known}")
    return fault


def _bytes(value: Any, where: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    encoded = read_object(value, {"base64": text}, where)
    try:
        return base64.b64decode(encoded["base64"], validate=True)
    except (KeyError, ValueError):
        raise bad_request(f'{where} must be a string or {{"base64": "..."}}') from None


def _header_value(value: Any, where: str) -> str:
    # aiohttp refuses to write a control character, which would end in a 500.
    if not text(value, where).isprintable():
        raise bad_request(f"{where} must be printable")
    return text(value, where)


def _headers(value: Any, where: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise bad_request(f"{where} must be an object")
    for name in value:
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _FRAMING:
            raise bad_request(f"{where} must not have the name {name[:100]!r}")
    return {name: _header_value(field, f"{where}.{name}") for name, field in value.items()}


def _limit(value: Any, where: str) -> dict[str, str | int]:
    """Read the `limit` object of an error body."""
    return read_object(value, {"key": text, "namespace": text, "value": whole}, where)


def _retry_after(value: Any, where: str) -> float | str:
    return _header_value(value, where) if isinstance(value, str) else number(value, where)


def _bomb(value: Any, where: str) -> int:
    if whole(value, where) > MAX_BOMB:
        raise bad_request(f"{where} must not be above {MAX_BOMB}")
    return whole(value, where)


def _sigma(value: Any, where: str) -> float:
    if number(value, where) > _MAX_SIGMA:
        raise bad_request(f"{where} must not be above {_MAX_SIGMA}")
    return number(value, where)


def _delay(value: Any, where: str) -> float | Callable[[], float]:
    if not isinstance(value, dict):
        return number(value, where)
    parameters = dict(value)
    name = text(parameters.pop("distribution", ""), f"{where}.distribution")
    if name not in _DISTRIBUTIONS:
        known = ", ".join(_DISTRIBUTIONS)
        raise bad_request(f"{where}.distribution must be one of: {known}")
    make, readers = _DISTRIBUTIONS[name]
    fields = read_object(parameters, {**readers, "seed": whole}, where)
    missing = [parameter for parameter in readers if parameter not in fields]
    if missing:
        raise bad_request(f"{where}.{missing[0]} is required")
    try:
        delay: Callable[[], float] = make(**fields)
    except ValueError as error:  # its text begins with the parameter's name
        raise bad_request(f"{where}.{error}") from None
    return delay


def _shown(value: Any) -> Any:
    if callable(value):
        return repr(value)
    if isinstance(value, Mapping):
        return dict(value)
    return bytes_json(value) if isinstance(value, bytes) else value


_DEFAULTS = Fault()
_DISTRIBUTIONS: dict[str, tuple[Callable[..., Callable[[], float]], dict[str, Reader]]] = {
    "uniform": (uniform, {"low": number, "high": number}),
    "exponential": (exponential, {"mean": number}),
    "lognormal": (lognormal, {"median": number, "sigma": _sigma}),
}
# What reads each field of a fault. Ranges, and what goes together, are judged by `Fault`.
READERS: dict[str, Reader] = {
    "route": optional(text),
    "times": optional(whole),
    "skip": whole,
    "probability": number,
    "delay": _delay,
    "status": optional(whole),
    "code": optional(text),
    "message": optional(text),
    "limit": optional(_limit),
    "body": optional(_bytes),
    "content_type": _header_value,
    "retry_after": optional(_retry_after),
    "headers": _headers,
    "drop": optional(text),
    "stall": flag,
    "after_effect": flag,
    "gzip_bomb": optional(_bomb),
    "raw_answer": optional(_bytes),
    "slow_body": number,
    "wrong_length": whole,
    "half_open": flag,
}
