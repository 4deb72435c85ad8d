"""The Microsoft Teams path, added in August 2020 and removed in April 2022 (SDK 140.0.0)."""

from __future__ import annotations

from presence_async.simulator.exchange import Answer, Call, json_answer
from presence_async.simulator.paths import encode
from presence_async.simulator.permissions import INTEGRATION_VIEW, TEAMS_VIEW, needs_all
from presence_async.simulator.routes import Route


def _get(call: Call) -> Answer:
    user_id = call.user_id(call.path[0])
    call.organization.user(user_id)
    return json_answer(
        {
            "id": user_id,
            "presences": call.organization.presences_json(user_id),
            "outOfOffices": [],
            "selfUri": f"/api/v2/users/{encode(user_id)}/presences/microsoftteams",
        }
    )


ROUTES = (
    Route(
        "GET",
        "/api/v2/users/{userId}/presences/microsoftteams",
        _get,
        needs_all(TEAMS_VIEW, INTEGRATION_VIEW),
    ),
)
