"""The operations of the simulated API, one module per area."""

from __future__ import annotations

from typing import TYPE_CHECKING

from presence_async.simulator.operations import (
    bulk,
    channels,
    definitions,
    injection,
    legacy_definitions,
    presences,
    primary_source,
    settings,
    sources,
    teams,
    users,
)

if TYPE_CHECKING:
    from presence_async.simulator.routes import Route
    from presence_async.simulator.switches import Switches


def all_routes(switches: Switches) -> tuple[Route, ...]:
    """Return every operation; the removed Teams path only when its switch is on."""
    routes = (
        *presences.ROUTES,
        *bulk.ROUTES,
        *primary_source.ROUTES,
        *definitions.ROUTES,
        *legacy_definitions.ROUTES,
        *sources.ROUTES,
        *settings.ROUTES,
        *injection.ROUTES,
        *users.ROUTES,
        *channels.ROUTES,
    )
    return (*routes, *teams.ROUTES) if switches.microsoft_teams_route else routes
