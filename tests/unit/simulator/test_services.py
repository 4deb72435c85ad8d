"""Routes, what they need, and the services that answer by them."""

import pytest

from presence_async.simulator.errors import ApiError
from presence_async.simulator.operations import all_routes
from presence_async.simulator.services import (
    ALL_PERMISSIONS,
    Need,
    missing_division,
    needs_all,
    needs_any,
)
from presence_async.simulator.switches import Switches


def test_operations():
    """Presence 27, users 2, injection 2, notifications 8, and Teams by switch."""
    routes = all_routes(Switches())
    assert len(routes) == len({route.key for route in routes}) == 39
    teams = {route.key for route in all_routes(Switches(microsoft_teams_route=True))}
    assert teams - {route.key for route in routes} == {
        "GET /api/v2/users/{userId}/presences/microsoftteams"
    }


def test_bodies():
    """Only methods that write a record take a body, and of those not the one for channels."""
    routes = all_routes(Switches())
    taking = {route.method for route in routes if route.takes_body}
    assert taking == {"PATCH", "POST", "PUT"}
    without = {route.key for route in routes if route.method in taking and not route.takes_body}
    assert without == {"POST /api/v2/notifications/channels"}


def test_permissions():
    """What operations need is in the list of permissions."""
    routes = all_routes(Switches(microsoft_teams_route=True))
    needed = {name for route in routes if route.need for name in route.need.permissions}
    assert needed < ALL_PERMISSIONS


def refusal(need: Need, granted: set[str]):
    """Return the refusal of a need."""
    with pytest.raises(ApiError) as caught:
        need.check(granted)
    assert caught.value.status == 403
    return caught.value


def test_all_permissions():
    """Every permission is needed, and the missing ones are named."""
    need = needs_all("a:b:view", "a:b:edit")
    need.check({"a:b:view", "a:b:edit", "c"})
    error = refusal(need, {"a:b:view"})
    assert error.code == "missing.permissions"
    assert "following permission(s): a:b:edit" in error.message


def test_any_permission():
    """One permission is enough, and all are named when none is there."""
    need = needs_any("a:b:delete", "a:b:edit")
    need.check({"a:b:edit"})
    error = refusal(need, set())
    assert error.code == "missing.any.permissions"
    assert error.message.endswith("permissions assigned: [a:b:delete, a:b:edit]")


def test_division():
    """A division without the permission has a code of its own."""
    error = missing_division("a:b:view", "d-1")
    assert (error.status, error.code) == (403, "missing.division.permission")
    assert error.params == {"permissions": "a:b:view", "divisionId": "d-1"}
