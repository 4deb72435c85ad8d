"""The table of operations."""

from presence_async.simulator.operations import all_routes
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
