"""Matching of raw, still-encoded paths against route templates.

Segments are compared before decoding, so an encoded slash does not part an id. Literals win over
parameters, and a literal that leads nowhere gives way to the parameter beside it.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar
from urllib.parse import quote, unquote_to_bytes

import attrs

from presence_async.simulator.errors import bad_request

_HEX = frozenset("0123456789abcdefABCDEF")
METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
T = TypeVar("T")


def encode(text: str) -> str:
    """The form of one path segment on the wire; nothing in it separates segments."""
    # The usual UUIDs need no encoding, and asking costs less than encoding them.
    if text.isascii() and text.replace("-", "").isalnum():
        return text
    return quote(text, safe="")


def decode(raw: str) -> str:
    """The decoded form of one raw path segment or query value; ApiError 400 for bad ones."""
    if "%" not in raw and raw.isascii():
        return raw
    for piece in raw.split("%")[1:]:
        if len(piece) < 2 or not _HEX.issuperset(piece[:2]):  # two hex digits
            raise bad_request("The request address holds a malformed escape.")
    try:
        # The HTTP parser hands bytes outside ASCII over as surrogates.
        return unquote_to_bytes(raw.encode("utf-8", "surrogateescape")).decode()
    except UnicodeError:
        raise bad_request("The request address is not UTF-8.") from None


@attrs.frozen
class Match(Generic[T]):
    """A matched route and the raw values of its parameters, in order."""

    route: T
    raw_values: tuple[str, ...]


@attrs.define
class _Node:
    literals: dict[str, _Node] = attrs.field(factory=dict)
    parameter: _Node | None = None
    routes: dict[str, Any] = attrs.field(factory=dict)


class PathTable(Generic[T]):
    """Routes by method and template, e.g. `GET /api/v2/users/{userId}/presences/{sourceId}`."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, method: str, template: str, route: T) -> None:
        """Add a route under its method and template."""
        node = self._root
        for segment in template.split("/")[1:]:
            if segment.startswith("{"):
                if node.parameter is None:
                    node.parameter = _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        node.routes[method] = route

    def match(self, method: str, raw_path: str) -> Match[T] | None:
        """The most literal route for a method and raw path, or None."""
        return _first(self._root, method, raw_path.split("/"), 1, ())

    def methods(self, raw_path: str) -> list[str]:
        """The methods some route knows for a raw path."""
        segments = raw_path.split("/")
        return [method for method in METHODS if _first(self._root, method, segments, 1, ())]


def _first(
    node: _Node, method: str, segments: list[str], index: int, values: tuple[str, ...]
) -> Match[Any] | None:
    if index == len(segments):
        route = node.routes.get(method)
        return None if route is None else Match(route, values)
    segment = segments[index]
    literal = node.literals.get(segment)
    if literal is not None:
        match = _first(literal, method, segments, index + 1, values)
        if match is not None:
            return match
    if node.parameter is not None and segment:
        return _first(node.parameter, method, segments, index + 1, (*values, segment))
    return None
