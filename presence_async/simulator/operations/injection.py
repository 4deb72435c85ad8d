"""Presences from outside: events of registered sources, and what integrations report.

The two operations, their limits and their fields are those of the vendor's SDKs. How the
vendor treats late events and unknown presence texts is documented nowhere; here changes count
in the order they arrive, `modifiedDate` is the time of arrival, and the dates in the bodies
have to be dates and are not used.
"""

from __future__ import annotations

import contextlib
from typing import Any

from presence_async.simulator.definitions import canonical
from presence_async.simulator.errors import ApiError, bad_request, not_found
from presence_async.simulator.exchange import Answer, Call, Fields, json_answer
from presence_async.simulator.operations.presences import check_message
from presence_async.simulator.records import PURECLOUD, source_key
from presence_async.simulator.services import Route, needs_any

EVENTS_PER_CALL = 100


def _events(call: Call) -> list[Fields]:
    body = call.json()
    values = body.get("userPresenceEvents") if isinstance(body, dict) else None
    if not isinstance(values, list):
        raise bad_request("body.userPresenceEvents must be an array")
    if len(values) > EVENTS_PER_CALL:
        raise bad_request(f"At most {EVENTS_PER_CALL} events are allowed, got {len(values)}")
    return [_checked(call, value) for value in values]


def _checked(call: Call, value: Any) -> Fields:
    """An event whose fields are of the right types, and there if they are required."""
    fields = Fields(value, call.switches, "event")
    fields.check_date("eventDateTime")
    for name in ("eventDateTime", "eventId", "userId", "sourceId"):
        fields.required_text(name)
    fields.check_texts("presenceDefinitionId", "message")
    return fields


def _post_events(call: Call) -> dict[str, Any]:
    # All events are read before the first one changes anything; after that each one is
    # applied or refused by itself.
    errors = []
    for event in _events(call):
        try:
            _apply(call, event)
        except ApiError as error:
            # None of the refusals goes away by sending the event again.
            refusal = {"eventId": event.text("eventId"), "message": error.message}
            errors.append(refusal | {"retryable": False})
    return {"errors": errors}


def _apply(call: Call, event: Fields) -> None:
    organization = call.organization
    user_id = call.user_id(event.required_text("userId"))
    source_id = event.required_text("sourceId")
    definition_id, message = event.text("presenceDefinitionId"), event.text("message")
    organization.user(user_id)
    organization.source_store.usable(source_id)
    if definition_id is not None:
        organization.usable_definition(definition_id)
    check_message(call, message)
    if definition_id is not None or message is not None:
        organization.set_presence(user_id, definition_id, source=source_id, message=message)


def _put_third_party(call: Call) -> Answer:
    integration_id = call.path[0]
    registered = integration_id in call.organization.sources
    # Any other name stands for an integration, and for an ad hoc source of that name.
    if registered or source_key(integration_id) == source_key(PURECLOUD):
        raise not_found("integration", integration_id)
    for report in [_report(call, item) for item in call.items()]:
        # The answer promises nothing: unknown addresses, texts that are no system presence
        # and messages too long change nothing, and nobody is told.
        with contextlib.suppress(ApiError):
            _ingest(call, integration_id, report)
    return json_answer("Accepted", 202)


def _report(call: Call, value: Any) -> Fields:
    """An integration's word about the person with an email address, checked."""
    fields = Fields(value, call.switches, "item")
    fields.check_date("dateModified")
    fields.required_text("email")
    fields.required_text("presence")
    fields.check_texts("message")
    return fields


def _ingest(call: Call, integration_id: str, report: Fields) -> None:
    organization = call.organization
    user = organization.user_by_email(report.required_text("email"))
    system_presence = canonical(report.required_text("presence"))
    built_in = organization.definition_store.built_in(system_presence)
    definition = organization.usable_definition(built_in.id)
    message = report.text("message")
    check_message(call, message)
    organization.set_presence(user.id, definition.id, source=integration_id, message=message)


_EVENTS = "/api/v2/events/users/presence"
_THIRD_PARTY = "/api/v2/integrations/unifiedcommunications/{ucIntegrationId}/thirdpartypresences"

ROUTES = (
    Route("POST", _EVENTS, _post_events, needs_any("presence:userPresence:inject")),
    Route("PUT", _THIRD_PARTY, _put_third_party, needs_any("integration:presence:edit")),
)
