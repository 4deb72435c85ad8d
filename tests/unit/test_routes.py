"""The route table against the vendor's OpenAPI document, and requests made from it."""

import json
import re
from collections import Counter
from pathlib import Path

import attrs
import pytest

from presence_async import routes
from presence_async.errors import InvalidRequestError
from presence_async.routes import ALL_ROUTES, TOKEN, Route

DOCUMENT = json.loads(
    (Path(__file__).parent.parent / "data" / "presence-openapi.json").read_text(encoding="utf-8")
)
METHODS = {"get", "put", "post", "patch", "delete", "head", "options"}
OPERATIONS = {
    (method.upper(), path): operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method in METHODS and path != "/oauth/token"  # no API route
}
# The users operations carry no x-permissions: the vendor's Python SDK 269.0.0 names none.
NO_PERMISSIONS = {"mode": "NONE", "permissions": []}


def name(route: Route) -> str:
    """An operation as the id of a test."""
    return f"{route.method} {route.template}"


def test_every_operation_is_there_exactly_once():
    """27 presence operations, Teams of the older documents, four neighbours, eight of channels."""
    table = Counter((route.method, route.template) for route in ALL_ROUTES)
    assert set(table) == set(OPERATIONS)
    assert set(table.values()) == {1}
    statuses = Counter(operation.get("x-status", "users") for operation in OPERATIONS.values())
    assert statuses == {"current": 32, "deprecated": 5, "removed": 1, "users": 2}


def test_the_table_is_every_route_of_the_module():
    """No route is left out of ALL_ROUTES but the token endpoint, which is no API route."""
    defined = {value for value in vars(routes).values() if isinstance(value, Route)}
    assert defined == set(ALL_ROUTES) | {TOKEN}
    assert TOKEN not in ALL_ROUTES
    assert (TOKEN.method, TOKEN.template) == ("POST", "/oauth/token")
    assert "post" in DOCUMENT["paths"][TOKEN.template]


@pytest.mark.parametrize("route", ALL_ROUTES, ids=name)
def test_permissions_and_their_mode_are_the_documented_ones(route: Route):
    """Which permissions, and whether all are needed or any one: as the document has them.

    CONDITIONAL (another user's presence) counts as ALL: where it is refused, it was needed.
    """
    documented = OPERATIONS[route.method, route.template].get("x-permissions", NO_PERMISSIONS)
    assert route.permissions == tuple(documented["permissions"])
    assert (documented["mode"] == "NONE") is (route.permissions == ())
    assert route.needs_all is (documented["mode"] != "ANY")


def test_only_the_removed_operation_has_a_note():
    """A 404 is explained where the vendor took the operation away, and nowhere else."""
    removed = {key for key, value in OPERATIONS.items() if value.get("x-status") == "removed"}
    assert removed == {(route.method, route.template) for route in ALL_ROUTES if route.note}
    assert "April 2022" in routes.GET_TEAMS_PRESENCE.note
    assert "integration_presence_source='MicrosoftTeams'" in routes.GET_TEAMS_PRESENCE.note


@pytest.mark.parametrize("route", ALL_ROUTES, ids=name)
def test_reads_are_get_or_head_and_everything_else_writes(route: Route):
    """Whether an operation changes something follows from its method."""
    assert route.writes is (route.method not in ("GET", "HEAD"))


@pytest.mark.parametrize("route", ALL_ROUTES, ids=name)
def test_placeholders_are_filled_in_order(route: Route):
    """Each value lands in its own placeholder, encoded; the rest of the path is untouched."""
    placeholders = re.findall(r"\{(\w+)\}", route.template)
    values = [f"{placeholder}/?" for placeholder in placeholders]
    expected = route.template
    for placeholder in placeholders:
        expected = expected.replace(f"{{{placeholder}}}", f"{placeholder}%2F%3F")
    request = route.request(*values)
    assert request.target == expected
    assert request.route is route
    assert request.body is None


@pytest.mark.parametrize("route", ALL_ROUTES, ids=name)
def test_bad_values_are_named_as_the_caller_knows_them(route: Route):
    """An error about a path value names the argument in snake case, as the methods spell it."""
    placeholders = re.findall(r"\{(\w+)\}", route.template)
    for index, placeholder in enumerate(placeholders):
        values: list[object] = ["good"] * len(placeholders)
        values[index] = None
        with pytest.raises(InvalidRequestError) as caught:
            route.request(*values)
        assert caught.value.field == re.sub("([A-Z])", r"_\1", placeholder).lower()


def test_query_and_body_are_carried_along():
    """A query goes behind the path, an empty one leaves no trace, a body is kept as it is."""
    request = routes.REPLACE_SOURCE.request("s", query=[("a", "1"), ("a", "2")], body=b"{}")
    assert (request.target, request.body) == ("/api/v2/presence/sources/s?a=1&a=2", b"{}")
    assert routes.LIST_USERS.request(query=[]).target == "/api/v2/users"


def test_a_placeholder_without_a_snake_name_keeps_its_own():
    """A new route needs no entry in the table of names to work."""
    route = Route("GET", "/api/v2/things/{thing}", repeatable=True)
    assert route.request("a b").target == "/api/v2/things/a%20b"
    with pytest.raises(InvalidRequestError, match=r"^thing must"):
        route.request("")


def test_routes_are_frozen_and_compared_by_identity():
    """A table row cannot be changed, and works as a key."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        TOKEN.repeatable = True  # type: ignore[misc]
    assert attrs.evolve(TOKEN) != TOKEN
    assert len(set(ALL_ROUTES)) == len(ALL_ROUTES) == 40
