"""The page envelope."""

from presence_async.simulator.paging import page_json


def test_without_links():
    """The recorded envelope has no links at all."""
    assert page_json([{}], 3, 1, 2, None) == {
        "entities": [{}],
        "pageSize": 2,
        "pageNumber": 1,
        "total": 3,
        "pageCount": 2,
    }


def test_links_are_relative_and_absent_at_the_ends():
    """The first page has no previous link, the last one no next link."""
    first, middle, last = (page_json([], 3, number, 1, "/a") for number in (1, 2, 3))
    assert first["nextUri"] == "/a?pageSize=1&pageNumber=2"
    assert "previousUri" not in first
    assert middle["previousUri"] == "/a?pageSize=1&pageNumber=1"
    assert middle["nextUri"] == last["selfUri"] == last["lastUri"]
    assert "nextUri" not in last
    assert first["firstUri"] == first["selfUri"]


def test_empty_listing():
    """A listing without records has one empty page as its last."""
    page = page_json([], 0, 1, 25, "/a")
    assert (page["pageCount"], page["lastUri"]) == (0, "/a?pageSize=25&pageNumber=1")
