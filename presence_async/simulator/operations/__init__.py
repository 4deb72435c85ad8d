"""The operations of the simulated API, one module per area."""

from __future__ import annotations

from typing import TYPE_CHECKING

from presence_async.simulator.operations import (
    channels,
    definitions,
    injection,
    presences,
    sources,
    users,
)

if TYPE_CHECKING:
    from presence_async.simulator.services import Route
    from presence_async.simulator.switches import Switches


def all_routes(switches: Switches) -> tuple[Route, ...]:
    """Every operation; the removed Teams path only when its switch is on."""
    areas = (presences, definitions, sources, injection, users, channels)
    routes = tuple(route for area in areas for route in area.ROUTES)
    return (*routes, presences.TEAMS) if switches.microsoft_teams_route else routes
