"""What the resources share: decoding with context, argument checks, listings."""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
)
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import attrs

from presence_async import converter
from presence_async.errors import DecodeError, InvalidRequestError, PresenceError, RowFailure
from presence_async.models import UNSET, Maybe, Model, SystemPresenceName, Unset

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from presence_async.routes import Route
    from presence_async.wire import Request, Response

__all__ = ["Listing"]

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=Model)
ItemT_co = TypeVar("ItemT_co", covariant=True)

Send = Callable[["Request"], Awaitable["Response"]]
"""How a resource reaches the network: one request in, one 2xx response out."""


class Counter(Protocol):
    """What counts the attempts of its requests."""

    requests: int


async def counted(counter: Counter, send: Send, request: Request) -> Response:
    """Send, and add the attempts to `counter.requests`."""
    try:
        response = await send(request)
    except PresenceError as error:
        counter.requests += error.attempts
        raise
    counter.requests += response.attempts
    return response


class Resource:
    """One area of the API; all it holds is the way out."""

    __slots__ = ("_send",)

    def __init__(self, send: Send) -> None:
        self._send = send

    async def _one(self, request: Request, cls: type[ModelT]) -> ModelT:
        """Send, and structure the answer as one `cls`."""
        response = await self._send(request)
        return decoded(request, response, converter.structure, cls)

    def _listing(
        self, request_page: Callable[[int], Request], cls: type[Model], *, paged: bool = False
    ) -> Listing[Any, Any]:
        """A listing whose pages, numbered from 1, are structured as `cls`."""

        async def fetch(number: int) -> Any:
            request = request_page(number)
            response = await self._send(request)
            return decoded(request, response, converter.structure_listing, cls)

        return Listing(fetch, request_page(1).route, paged=paged)


def decoded(
    request: Request,
    response: Response,
    structure: Callable[[bytes, type[ModelT]], T],
    cls: type[ModelT],
) -> T:
    """`structure(response.body, cls)`; a DecodeError learns which exchange it is about."""
    try:
        return structure(response.body, cls)
    except DecodeError as error:
        failure = error
    for name, value in context(request, response).items():
        setattr(failure, name, value)
    raise failure


def context(request: Request, response: Response) -> dict[str, Any]:
    """What an error about the body of a success knows of its exchange."""
    route = request.route
    return {
        "status": response.status,
        "correlation_id": response.correlation_id,
        "method": route.method,
        "path_template": route.template,
        "attempts": response.attempts,
        # The answer was a success, so a write has taken effect, whatever the answer says.
        "outcome_unknown": route.writes,
    }


def write_body(name: str, value: Any, cls: type[Any]) -> bytes:
    """The JSON body for a model argument, checked to be of its class."""
    return converter.to_json(writable(check_is(name, value, cls)))


_READ_ONLY: Final = ("id", "self_uri", "future_presence_definition")


def writable(model: ModelT, *, keep: str = "") -> ModelT:
    """The model without read-only fields (the vendor's own SDK sends them), but for `keep`."""
    names = [name for name in _READ_ONLY if name != keep and hasattr(model, name)]
    changes: dict[str, Any] = dict.fromkeys(names, UNSET)
    return attrs.evolve(model, **changes)


def definition_body(
    definition: Any, cls: type[Any], spelling: Callable[[SystemPresenceName], str]
) -> bytes:
    """The JSON body of a definition, its system presence in the `spelling` of the family."""
    name = getattr(definition, "system_presence", None)
    if isinstance(name, str) and isinstance(definition, cls):
        spelled = SystemPresenceName(spelling(SystemPresenceName(name)))
        definition = attrs.evolve(definition, system_presence=spelled)
    return write_body("definition", definition, cls)


class Page(Protocol[ItemT_co]):
    """What every entity listing has."""

    @property
    def entities(self) -> tuple[ItemT_co, ...]:
        """The rows that could be understood."""
        ...

    @property
    def failures(self) -> tuple[RowFailure, ...]:
        """The rows that could not."""
        ...


ItemT = TypeVar("ItemT")
PageT = TypeVar("PageT", bound=Page[Any])


class Listing(Generic[ItemT, PageT]):
    """A list of the API: iterate its items, await it for all of them, or take its pages.

        async for user in client.users.list(): ...
        definitions = await client.definitions.list()
        async for page in client.users.list().pages(): ...

    Nothing is sent before the first item is asked for. A row that cannot be understood does
    not lose the others: DecodeError comes after the last good row, with `failures` and, when
    awaited, the good rows in `decoded`; a page has `failures`.
    """

    def __init__(
        self, fetch: Callable[[int], Awaitable[PageT]], route: Route, *, paged: bool = False
    ) -> None:
        self._fetch = fetch
        self._route = route
        self._paged = paged

    async def pages(self) -> AsyncIterator[PageT]:
        """The pages, one request each. A list that is not paged is one page."""
        number = 1
        previous: tuple[Any, Any] | None = None
        while True:
            page = await self._fetch(number)
            rows = page.entities, page.failures
            if rows == previous:
                # The same rows again: the server does not page. Ending beats repeating.
                return
            yield page
            if not self._paged or _is_last(page, number):
                return
            previous = rows
            number += 1

    async def __aiter__(self) -> AsyncIterator[ItemT]:
        failures: list[RowFailure] = []
        async for page in self.pages():
            failures += page.failures
            for item in page.entities:
                yield item
        if failures:
            raise self._rows_error(failures, ())

    async def _collect(self) -> list[ItemT]:
        items: list[ItemT] = []
        failures: list[RowFailure] = []
        async for page in self.pages():
            items += page.entities
            failures += page.failures
        if failures:
            raise self._rows_error(failures, items)
        return items

    def __await__(self) -> Generator[Any, None, list[ItemT]]:
        return self._collect().__await__()

    def _rows_error(self, failures: list[RowFailure], items: Sequence[Any]) -> DecodeError:
        first = failures[0]
        return DecodeError(
            f"{len(failures)} row(s) could not be understood, the first is row {first.row}: "
            f"{first.field or 'the row'} {first.reason}",
            row=first.row,
            field=first.field,
            failures=tuple(failures),
            decoded=items,
            method=self._route.method,
            path_template=self._route.template,
        )


def _is_last(page: Any, number: int) -> bool:
    """By number until `pageCount`: links are missing from recorded pages, counts are not."""
    if page.page_count or page.page_count == 0:
        return bool(number >= page.page_count)
    rows = len(page.entities) + len(page.failures)
    return rows == 0 or bool(page.page_size and rows < page.page_size)


_FLAGS: Final = frozenset({"true", "false", "all"})


def flag_query(name: str, value: Any) -> list[tuple[str, str]]:
    """A three-way filter as the vendor spells it today: TRUE, FALSE or ALL.

    Left out for False, which is its default: nobody knows in which case it is read.
    """
    if value is False:
        return []
    text = str(value).lower() if isinstance(value, bool | str) else ""
    if text not in _FLAGS:
        raise InvalidRequestError(
            f"{name} must be True, False or 'true', 'false', 'all', not {value!r}", field=name
        )
    return [(name, text.upper())]


def locale_query(locale_code: str | None) -> list[tuple[str, str]]:
    """The `localeCode` parameter, when one is given."""
    if locale_code is None:
        return []
    return [("localeCode", check_text("locale_code", locale_code))]


def check_text(name: str, value: Any) -> str:
    """A non-empty str that has a UTF-8 form (lone surrogates have none)."""
    if not isinstance(value, str) or not value:
        what = "empty" if value == "" else type(value).__name__
        raise InvalidRequestError(f"{name} must be a non-empty str, not {what}", field=name)
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise InvalidRequestError(f"{name} is not encodable as UTF-8", field=name)
    return value


def check_is(name: str, value: Any, cls: type[T]) -> T:
    """An instance of a class."""
    if isinstance(value, cls):
        return value
    raise InvalidRequestError(
        f"{name} must be a {cls.__name__}, not {type(value).__name__}", field=name
    )


def check_iterable(name: str, values: Any, of: str = "") -> Any:
    """An iterable, but no str by mistake."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidRequestError(
            f"{name} must be an iterable{of}, not {type(values).__name__}", field=name
        )
    return values


def check_texts(name: str, values: Any) -> list[str]:
    """The items of an iterable, each a non-empty str."""
    check_iterable(name, values, " of str")
    return [check_text(f"{name}[{index}]", value) for index, value in enumerate(values)]


def check_whole(name: str, value: Any, lowest: int, highest: int) -> int:
    """A whole number within bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise InvalidRequestError(
            f"{name} must be a whole number from {lowest} to {highest}, not {value!r}", field=name
        )
    return value


# Enough to be fast, and few enough that what it takes to look at them is nothing.
_CHECKED_TOGETHER: Final = 1000


def check_ids(name: str, values: Any) -> None:
    """An iterable of ids, no single str; those of a collection are checked here, others later."""
    is_list = isinstance(values, (list, tuple))  # to ask for the others takes ten times as long
    if not is_list and (
        isinstance(values, str | bytes) or not isinstance(values, Iterable | AsyncIterable)
    ):
        raise InvalidRequestError(
            f"{name} must be an iterable of ids, not {type(values).__name__}", field=name
        )
    if is_list or (isinstance(values, Collection) and not isinstance(values, AsyncIterable)):
        left = iter(values)
        count = 0
        while batch := list(islice(left, _CHECKED_TOGETHER)):
            if not are_plain(batch):
                for index, value in enumerate(batch, count):
                    check_text(f"{name}[{index}]", value)
            count += len(batch)


def are_plain(ids: Sequence[str]) -> bool:
    """True when all are what ids usually are; one look at all of them together."""
    try:
        return "".join(ids).isascii() and all(ids)
    except TypeError:
        return False


def given(value: Maybe[Any]) -> bool:
    """True unless the argument was left out."""
    return not isinstance(value, Unset)
