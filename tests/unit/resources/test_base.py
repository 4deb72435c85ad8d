"""What the resources share: listings, argument checks, decoding with context."""

from __future__ import annotations

import asyncio
from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import attrs
import clock
import pytest
from hypothesis import given as any_of
from hypothesis import settings
from hypothesis import strategies as st

from presence_async import routes
from presence_async.errors import DecodeError, InvalidRequestError, RowFailure, ServerError
from presence_async.models import (
    UNSET,
    OrganizationPresence,
    OrganizationPresenceEntityListing,
    UserPresence,
)
from presence_async.resources._base import (
    Listing,
    check_ids,
    check_text,
    check_texts,
    check_whole,
    counted,
    flag_query,
    given,
    locale_query,
    write_body,
)
from presence_async.wire import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ROUTE = routes.LIST_LEGACY_DEFINITIONS


def row(name: str) -> OrganizationPresence:
    """A row that can be told from others."""
    return OrganizationPresence(language_labels=UNSET, id=name)


def failure(number: int, row_id: str | None = None) -> RowFailure:
    """A row that could not be understood."""
    return RowFailure(number, "deactivated", "expected boolean, got string", row_id)


class Pages:
    """Serves pages and remembers which were asked for."""

    def __init__(self, *pages: OrganizationPresenceEntityListing, again: bool = False) -> None:
        self.pages = pages
        self.again = again
        self.asked: list[int] = []

    async def __call__(self, number: int) -> OrganizationPresenceEntityListing:
        """Serve one page."""
        self.asked.append(number)
        await asyncio.sleep(0.1)
        if self.again:
            return self.pages[min(number, len(self.pages)) - 1]
        return self.pages[number - 1]

    def listing(self, *, paged: bool = True) -> Listing[Any, Any]:
        """The listing over them."""
        return Listing(self, ROUTE, paged=paged)


def page(*names: str, **fields: Any) -> OrganizationPresenceEntityListing:
    """One page."""
    return OrganizationPresenceEntityListing(entities=tuple(map(row, names)), **fields)


async def ids(listing: Listing[Any, Any], seen: list[str] | None = None) -> list[str]:
    """Ids of all rows, by iteration; those before an error are in `seen`."""
    seen = [] if seen is None else seen
    async for item in listing:
        seen.append(item.id)  # what was seen before an error counts
    return seen


async def test_pages_are_counted_by_page_count() -> None:
    """Page after page until pageCount; a short page in between ends nothing."""
    pages = Pages(
        page("a", "b", page_count=3, page_size=2),
        page("c", page_count=3, page_size=2),
        page("d", page_count=3, page_size=2),
    )
    assert await ids(pages.listing()) == ["a", "b", "c", "d"]
    assert pages.asked == [1, 2, 3]


@pytest.mark.parametrize("count", [UNSET, None])
async def test_without_page_count_a_short_page_is_the_last(count: Any) -> None:
    """The size the server tells counts, not the one that was asked for."""
    pages = Pages(
        page("a", "b", page_size=2, page_count=count), page("c", page_size=2, page_count=count)
    )
    assert [item.id for item in await pages.listing()] == ["a", "b", "c"]
    assert pages.asked == [1, 2]


async def test_without_any_count_an_empty_page_is_the_last() -> None:
    """A server that tells neither count nor size is asked until it has nothing more."""
    pages = Pages(page("a"), page("b"), page())
    assert await ids(pages.listing()) == ["a", "b"]
    assert pages.asked == [1, 2, 3]


async def test_a_page_count_of_zero_is_one_empty_page() -> None:
    """No rows are no pages."""
    pages = Pages(page(page_count=0))
    assert await pages.listing() == []
    assert pages.asked == [1]


@pytest.mark.parametrize("count", [UNSET, 5])
async def test_a_server_that_ignores_paging_is_noticed(count: Any) -> None:
    """The same rows again are not repeated and not asked for for ever."""
    pages = Pages(page("a", "b", page_count=count), again=True)
    assert await ids(pages.listing()) == ["a", "b"]
    assert pages.asked == [1, 2]


async def test_a_list_that_is_not_paged_is_one_request() -> None:
    """Whatever it says about pages."""
    pages = Pages(page("a", page_count=9))
    assert await ids(pages.listing(paged=False)) == ["a"]
    assert pages.asked == [1]


async def test_iteration_raises_after_the_last_good_row() -> None:
    """Bad rows cost no good ones; the error names them all and the operation."""
    bad = failure(0, "x"), failure(3)
    pages = Pages(
        page("a", page_count=2, failures=bad[:1]), page("b", page_count=2, failures=bad[1:])
    )
    seen: list[str] = []
    with pytest.raises(DecodeError) as caught:
        await ids(pages.listing(), seen)
    assert seen == ["a", "b"]
    error = caught.value
    assert error.failures == bad
    assert (error.row, error.field, error.decoded) == (0, "deactivated", ())
    assert (error.method, error.path_template) == ("GET", "/api/v2/presencedefinitions")
    assert "2 row(s)" in str(error)


async def test_awaiting_keeps_the_good_rows_in_the_error() -> None:
    """Awaited for all, the good rows are in `decoded`."""
    whole = RowFailure(1, "", "expected object, got null")
    pages = Pages(page("a", "b", page_count=1, failures=(whole,)))
    with pytest.raises(DecodeError, match="row 1: the row expected object") as caught:
        await pages.listing()
    assert [item.id for item in caught.value.decoded] == ["a", "b"]


async def test_pages_carry_their_failures() -> None:
    """Taken page by page nothing is raised."""
    pages = Pages(page("a", page_count=1, failures=(failure(1),)))
    assert [len(one.failures) async for one in pages.listing().pages()] == [1]


async def test_pages_of_bad_rows_only_end_nothing() -> None:
    """Two different pages without one good row are not the same page twice."""
    pages = Pages(
        page(page_size=1, failures=(failure(0, "x"),)),
        page(page_size=1, failures=(failure(0, "y"),)),
        page("c", page_size=1),
        page(page_size=1),
    )
    with pytest.raises(DecodeError) as caught:
        await pages.listing()
    assert [item.id for item in caught.value.decoded] == ["c"]
    assert len(caught.value.failures) == 2


async def test_a_page_that_fails_ends_the_iteration_there() -> None:
    """An error of a request comes out as it is, after the rows before it."""

    async def fetch(number: int) -> OrganizationPresenceEntityListing:
        if number == 2:
            raise DecodeError("no JSON")
        return page("a", page_count=3)

    seen: list[str] = []
    with pytest.raises(DecodeError, match="no JSON"):
        await ids(Listing(fetch, ROUTE, paged=True), seen)
    assert seen == ["a"]


async def test_leaving_early_asks_for_no_further_page() -> None:
    """A broken-off iteration costs the pages it saw."""
    pages = Pages(page("a", "b", page_count=9), page("c", page_count=9))
    async for item in pages.listing():
        assert item.id == "a"
        break
    assert pages.asked == [1]
    await asyncio.sleep(1)  # generators left behind end in the next turns of the loop


@settings(max_examples=60, deadline=None)
@any_of(st.integers(0, 60), st.integers(1, 7), st.booleans(), st.booleans())
def test_every_row_comes_once_however_pages_are_counted(
    total: int, size: int, counted: Any, sized: Any
) -> None:
    """Iterated, awaited or by pages: all rows, each once, in order."""
    names = [f"r{number}" for number in range(total)]
    fields: dict[str, Any] = {"page_count": -(-total // size)} if counted else {}
    if sized:
        fields["page_size"] = size
    chunks = [names[start : start + size] for start in range(0, total, size)]
    pages = [page(*chunk, **fields) for chunk in chunks] + [page(**fields)]

    async def everything() -> list[list[str]]:
        by_pages = [
            item.id async for one in Pages(*pages).listing().pages() for item in one.entities
        ]
        awaited = [item.id for item in await Pages(*pages).listing()]
        return [by_pages, awaited, await ids(Pages(*pages).listing())]

    assert clock.run(everything()) == [names] * 3


@pytest.mark.parametrize(
    ("value", "query"),
    [(False, []), (True, [("f", "TRUE")]), ("false", [("f", "FALSE")]), ("All", [("f", "ALL")])],
)
def test_flag_query(value: Any, query: Any) -> None:
    """False is the vendor's default and is left out; text is spelled as it is today."""
    assert flag_query("f", value) == query


@pytest.mark.parametrize("value", [None, 0, 1, "", "yes", b"true", [], UNSET])
def test_flag_query_refuses(value: Any) -> None:
    """Anything but the documented three is refused."""
    with pytest.raises(InvalidRequestError) as caught:
        flag_query("deleted", value)
    assert caught.value.field == "deleted"


def test_locale_query() -> None:
    """A locale goes out as given, none goes out as nothing."""
    assert locale_query(None) == []
    assert locale_query("pt_BR") == [("localeCode", "pt_BR")]
    with pytest.raises(InvalidRequestError) as caught:
        locale_query("")
    assert caught.value.field == "locale_code"


@pytest.mark.parametrize("value", ["a", " ", "\U0001f600", "../..", "a\r\nb"])
def test_check_text_takes(value: str) -> None:
    """Any text that can be written; encoding is not its business."""
    assert check_text("name", value) is value


@pytest.mark.parametrize("value", ["", None, 0, b"id", UNSET, ["id"], "ok\udfff", "\ud800é"])
def test_check_text_refuses(value: Any) -> None:
    """Empty, no str, or half a surrogate pair."""
    with pytest.raises(InvalidRequestError) as caught:
        check_text("name", value)
    assert caught.value.field == "name"


@pytest.mark.parametrize("value", [0, 501, -1, True, "5", 5.0, None])
def test_check_whole_refuses(value: Any) -> None:
    """Out of range, or no whole number."""
    with pytest.raises(InvalidRequestError, match="from 1 to 500") as caught:
        check_whole("page_size", value, 1, 500)
    assert caught.value.field == "page_size"


def test_check_whole_takes_its_bounds() -> None:
    """Both ends belong to the range."""
    assert [check_whole("n", value, 1, 500) for value in (1, 500)] == [1, 500]


@pytest.mark.parametrize(
    "make",
    [list, tuple, deque, dict.fromkeys, lambda values: dict.fromkeys(values).keys()],
)
def test_check_ids_looks_into_every_collection(make: Callable[[Any], Any]) -> None:
    """What can be looked at without using it up is checked at once, and the id named."""
    check_ids("ids", make(["a", "b"]))
    with pytest.raises(InvalidRequestError) as caught:
        check_ids("ids", make(["a", "b", ""]))
    assert caught.value.field == "ids[2]"


def test_check_ids_names_the_bad_one_wherever_it_is() -> None:
    """Ids of other alphabets are fine; one that is none is named by its place among thousands."""
    ids = ["å", *(f"id{number}" for number in range(2500))]
    check_ids("ids", ids)
    with pytest.raises(InvalidRequestError) as caught:
        check_ids("ids", [*ids, "\ud800"])
    assert caught.value.field == "ids[2501]"


def test_check_ids_leaves_iterators_alone() -> None:
    """A generator is not used up by the check."""
    source = iter(["", "b"])
    check_ids("ids", source)
    assert list(source) == ["", "b"]


@attrs.define
class Both:
    """Iterable both ways, and sized."""

    def __aiter__(self) -> AsyncIterator[str]:
        raise NotImplementedError

    def __iter__(self) -> Any:
        raise AssertionError("a collection that can be awaited is not walked")

    def __len__(self) -> int:
        return 1

    def __contains__(self, item: object) -> bool:
        return False


def test_check_ids_prefers_the_async_side() -> None:
    """Who iterates asynchronously is not walked synchronously."""
    check_ids("ids", Both())


@pytest.mark.parametrize("value", ["abc", b"abc", 5, None, object()])
def test_check_ids_refuses(value: Any) -> None:
    """A str is an iterable of ids by mistake only."""
    with pytest.raises(InvalidRequestError) as caught:
        check_ids("ids", value)
    assert caught.value.field == "ids"


def test_check_texts() -> None:
    """Items of any iterable, and the index of a bad one."""
    assert check_texts("names", (name for name in ("a", "b"))) == ["a", "b"]
    for bad, field in ((["a", 5], "names[1]"), ("ab", "names"), (None, "names")):
        with pytest.raises(InvalidRequestError) as caught:
            check_texts("names", bad)
        assert caught.value.field == field


def test_given() -> None:
    """Only what was left out is not given."""
    assert [given(value) for value in (UNSET, None, False, "")] == [False, True, True, True]


def test_write_body() -> None:
    """The JSON of a model of exactly this family."""
    assert write_body("presence", UserPresence(message=None), UserPresence) == b'{"message":null}'
    with pytest.raises(InvalidRequestError, match="must be a UserPresence, not dict") as caught:
        write_body("presence", {}, UserPresence)
    assert caught.value.field == "presence"


async def test_the_attempts_of_a_request_are_counted_however_it_ends() -> None:
    """Repeated requests count, those of a call that failed as well."""
    counter = SimpleNamespace(requests=0)
    ends = deque([Response(200, {}, b"", attempts=2), ServerError("down", attempts=3)])

    async def send(_: object) -> Response:
        end = ends.popleft()
        if isinstance(end, Response):
            return end
        raise end

    request = ROUTE.request()
    assert (await counted(counter, send, request)).attempts == 2
    with pytest.raises(ServerError):
        await counted(counter, send, request)
    assert counter.requests == 5
