"""Requests, read as typed values, and answers: whatever a client sends, it is never a 500."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import attrs
import orjson

from presence_async.simulator.errors import ApiError, bad_request, invalid_value
from presence_async.simulator.paths import decode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from aiohttp import web

    from presence_async.simulator.channels import Channels
    from presence_async.simulator.oauth import AccessToken
    from presence_async.simulator.organization import Organization
    from presence_async.simulator.switches import Switches

_INT32_MAX = 2**31 - 1
_INTEGER = re.compile(r"-?[0-9]{1,10}", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


def parse_json(body: bytes) -> Any:
    """The JSON value of a body; ApiError 400 for anything else."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise bad_request("The request could not be understood: malformed JSON.") from None


def is_date(text: str) -> bool:
    """Whether the vendor would read `text` as a date."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return "T" in text


class Fields:
    """One JSON object, read field by field.

    A field of a wrong type is a 400; unknown fields are ignored; an explicit null counts as
    absent or is refused, by switch. `where` names the object in error texts.
    """

    def __init__(self, value: Any, switches: Switches, where: str = "body") -> None:
        if not isinstance(value, dict):
            raise bad_request(f"{where} must be an object")
        self._value: dict[str, Any] = value
        self._switches = switches
        self._where = where

    def _get(self, name: str, kind: type) -> Any:
        value = self._value.get(name)
        if value is None:
            if name in self._value and self._switches.nulls == "reject":
                raise bad_request(f"{self._where}.{name} must not be null")
            return None
        # bool is a subclass of int, and JSON tells them apart.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise bad_request(f"{self._where}.{name} has the wrong type")
        return value

    def _required(self, name: str, kind: type) -> Any:
        value = self._get(name, kind)
        if value in (None, {}) or (isinstance(value, str) and not value.strip()):
            raise bad_request(f"{self._where}.{name} is required")
        return value

    def text(self, name: str) -> str | None:
        """A string field or None."""
        value: str | None = self._get(name, str)
        return value

    def required_text(self, name: str) -> str:
        """A string field that must be there and not blank."""
        value: str = self._required(name, str)
        return value

    def flag(self, name: str) -> bool | None:
        """A boolean field or None."""
        value: bool | None = self._get(name, bool)
        return value

    def required_flag(self, name: str) -> bool:
        """A boolean field that must be there."""
        value: bool = self._required(name, bool)
        return value

    def required_integer(self, name: str, least: int, most: int = _INT32_MAX) -> int:
        """An integer field that must be there and within its range."""
        value: int = self._required(name, int)
        if not least <= value <= most:
            raise invalid_value(name, value)
        return value

    def object(self, name: str) -> Fields | None:
        """An object field or None."""
        value = self._get(name, dict)
        return None if value is None else Fields(value, self._switches, name)

    def labels(self, name: str) -> dict[str, str]:
        """A required, non-empty map of strings."""
        value: dict[str, Any] = self._required(name, dict)
        if not all(isinstance(label, str) for label in value.values()):
            raise bad_request(f"{self._where}.{name} must map strings to strings")
        return dict(value)

    def check_texts(self, *names: str) -> None:
        """Refuse wrong types in string fields that are otherwise not used."""
        for name in names:
            self.text(name)

    def check_date(self, name: str) -> None:
        """Refuse a date field that is no ISO-8601 date, with the vendor's own code."""
        text = self.text(name)
        if text is not None and not is_date(text):
            raise ApiError(400, "invalid.date", f"Value [{text[:100]}] is not a valid date.")

    def check_read_only(self, *names: str) -> None:
        """Refuse read-only fields if the switch says so; they are ignored otherwise."""
        if self._switches.read_only_fields == "reject":
            for name in names:
                if self._value.get(name) is not None:
                    raise bad_request(f"{self._where}.{name} is read-only")


class Query:
    """The decoded parameters of one request, from its query string without the question mark.

    Whatever cannot be decoded or understood is an ApiError 400.
    """

    def __init__(self, raw: str, switches: Switches) -> None:
        self._switches = switches
        self._values: dict[str, list[str]] = {}
        if not raw:
            return
        for pair in raw.split("&"):
            name, _, value = pair.partition("=")
            decoded = decode(value.replace("+", " "))
            self._values.setdefault(decode(name.replace("+", " ")), []).append(decoded)

    def text(self, name: str) -> str | None:
        """The first value, None when the parameter is absent or empty."""
        values = self._values.get(name)
        return (values[0] or None) if values else None

    def array(self, name: str) -> list[str]:
        """An array written as repeated parameters, as a comma list, or both."""
        values = self._values.get(name, [])
        if self._switches.array_style != "repeated":
            values = [part for value in values for part in value.split(",")]
        return [value for value in values if value]

    def integer(self, name: str, default: int, most: int = _INT32_MAX) -> int:
        """A number from 1 to `most`."""
        text = self.text(name)
        if text is None:
            return default
        if not _INTEGER.fullmatch(text):
            raise bad_request(f"{name} must be a number")
        value = int(text)
        if not 1 <= value <= most:
            raise invalid_value(name, text)
        return value

    def flag(self, name: str, *, knows_all: bool) -> bool | None:
        """A tri-state list filter: False by default, None for ALL."""
        text = self.text(name)
        if text is None:
            return False
        folded = text.lower() if self._switches.flags_any_case else text
        if knows_all and folded.lower() == "all":
            return None
        return _boolean(name, text, folded)

    def boolean(self, name: str, *, default: bool) -> bool:
        """A boolean, `true` or `True` (the Python SDK's form)."""
        text = self.text(name)
        if text is None:
            return default
        return _boolean(name, text, text.lower())

    def choice(self, name: str, allowed: Collection[str]) -> str | None:
        """One of `allowed`, None when absent."""
        text = self.text(name)
        if text is not None and text not in allowed:
            raise invalid_value(name, text)
        return text

    def order(self) -> Literal["ascending", "descending"]:
        """The sort order; the vendor's default is ascending."""
        text = (self.text("sortOrder") or "ascending").lower()
        if text in {"ascending", "asc"}:
            return "ascending"
        if text in {"descending", "desc"}:
            return "descending"
        raise invalid_value("sortOrder", text)

    def page(
        self,
        records: Sequence[Any],
        shape: Callable[[Any], Any],
        size: int,
        path: str | None,
    ) -> dict[str, Any]:
        """The asked-for page of `records` in the vendor's envelope, as recorded in 2022.

        The links to the path (None for none) are relative and carry both paging parameters;
        `nextUri` and `previousUri` are absent at the ends.
        """
        number = self.integer("pageNumber", 1)
        shown = records[(number - 1) * size : number * size]
        count = -(-len(records) // size)
        page: dict[str, Any] = {
            "entities": [shape(record) for record in shown],
            "pageSize": size,
            "pageNumber": number,
            "total": len(records),
        }
        if path is not None:
            numbers = {"firstUri": 1, "selfUri": number, "lastUri": max(count, 1)}
            if number < count:
                numbers["nextUri"] = number + 1
            if number > 1:
                numbers["previousUri"] = number - 1
            for name, target in numbers.items():
                page[name] = f"{path}?pageSize={size}&pageNumber={target}"
        page["pageCount"] = count
        return page


def _boolean(name: str, text: str, folded: str) -> bool:
    if folded not in _BOOLEANS:
        raise invalid_value(name, text)
    return _BOOLEANS[folded]


# The default of `request.bytes.max` on the vendor's limits page.
MAX_BODY_BYTES = 512_000


@attrs.frozen
class Exchange:
    """One request as it came: the target is raw, the body whole or known to be too large."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    too_large: bool
    correlation_id: str

    @property
    def media_type(self) -> str:
        """The media type of the body in lower case, without its parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


@attrs.frozen
class Call:
    """What an operation gets: decoded path values, lazily read query and body."""

    organization: Organization
    channels: Channels
    switches: Switches
    token: AccessToken
    path: tuple[str, ...]
    exchange: Exchange

    def query(self) -> Query:
        """The query; ApiError 400 if it cannot be decoded."""
        return Query(self.exchange.query, self.switches)

    def json(self) -> Any:
        """The JSON body; ApiError 400 if it is not JSON."""
        return parse_json(self.exchange.body)

    def items(self) -> list[Any]:
        """The JSON body, which must be an array; ApiError 400 otherwise."""
        items = self.json()
        if not isinstance(items, list):
            raise bad_request("body must be an array")
        return items

    def fields(self) -> Fields:
        """The JSON body, which must be an object; ApiError 400 otherwise."""
        return Fields(self.json(), self.switches)

    def user_id(self, raw: str) -> str:
        """A user id of a request, `me` resolved if the switch allows it."""
        if raw == "me" and self.switches.user_me and self.token.user_id is not None:
            return self.token.user_id
        return raw


@attrs.frozen
class Answer:
    """One response: a status, a body and what goes beyond the usual headers, or replaces them.

    `upgrade`, with status 101, turns the request into a WebSocket and serves it to its end; its
    second argument says that the socket is to be silent. It returns None for a connection that
    is to stay as it is until the client leaves.
    """

    status: int
    body: bytes = attrs.field(default=b"", repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict)
    upgrade: Callable[[web.BaseRequest, bool], Awaitable[web.StreamResponse | None]] | None = None


def json_answer(value: Any, status: int = 200) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, orjson.dumps(value))
