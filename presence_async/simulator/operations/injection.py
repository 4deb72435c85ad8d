"""Presences from outside: events of registered sources, and what integrations report.

The two operations, their limits and their fields are those of the vendor's SDKs. How the
vendor treats late events and unknown presence texts is documented nowhere; here changes count
in the order they arrive, `modifiedDate` is the time of arrival, and the dates in the bodies
have to be dates and are not used.
"""

from __future__ import annotations

import contextlib
from typing import Any

import attrs

from presence_async.simulator.bodies import Fields
from presence_async.simulator.definitions import canonical
from presence_async.simulator.errors import ApiError, bad_request, not_found
from presence_async.simulator.exchange import Answer, Call, json_answer
from presence_async.simulator.operations.presences import check_message
from presence_async.simulator.permissions import (
    INTEGRATION_PRESENCE_EDIT,
    PRESENCE_INJECT,
    needs_any,
)
from presence_async.simulator.presences import PURECLOUD, source_key
from presence_async.simulator.routes import Route

EVENTS_PER_CALL = 100


@attrs.frozen(kw_only=True)
class _Event:
    """One presence event of a registered source."""

    event_id: str
    user_id: str
    source_id: str
    definition_id: str | None
    message: str | None


@attrs.frozen(kw_only=True)
class _Report:
    """What an integration says about the person with an email address."""

    email: str
    presence: str
    message: str | None


def _events(call: Call) -> list[_Event]:
    body = call.json()
    values = body.get("userPresenceEvents") if isinstance(body, dict) else None
    if not isinstance(values, list):
        raise bad_request("body.userPresenceEvents must be an array")
    if len(values) > EVENTS_PER_CALL:
        raise bad_request(f"At most {EVENTS_PER_CALL} events are allowed, got {len(values)}")
    return [_event(call, value) for value in values]


def _event(call: Call, value: Any) -> _Event:
    fields = Fields(value, call.switches, "event")
    fields.check_date("eventDateTime")
    fields.required_text("eventDateTime")
    return _Event(
        event_id=fields.required_text("eventId"),
        user_id=call.user_id(fields.required_text("userId")),
        source_id=fields.required_text("sourceId"),
        definition_id=fields.text("presenceDefinitionId"),
        message=fields.text("message"),
    )


def _post_events(call: Call) -> Answer:
    # All events are read before the first one changes anything; after that each one is
    # applied or refused by itself.
    errors = []
    for event in _events(call):
        try:
            _apply(call, event)
        except ApiError as error:
            # None of the refusals goes away by sending the event again.
            refusal = {"eventId": event.event_id, "message": error.message, "retryable": False}
            errors.append(refusal)
    return json_answer({"errors": errors})


def _apply(call: Call, event: _Event) -> None:
    organization = call.organization
    organization.user(event.user_id)
    organization.source_store.usable(event.source_id)
    if event.definition_id is not None:
        organization.usable_definition(event.definition_id)
    check_message(call, event.message)
    if event.definition_id is None and event.message is None:
        return
    organization.set_presence(
        event.user_id, event.definition_id, source=event.source_id, message=event.message
    )


def _put_third_party(call: Call) -> Answer:
    integration_id = call.path[0]
    registered = integration_id in call.organization.sources
    # Any other name stands for an integration, and for an ad hoc source of that name.
    if registered or source_key(integration_id) == source_key(PURECLOUD):
        raise not_found("integration", integration_id)
    items = call.json()
    if not isinstance(items, list):
        raise bad_request("body must be an array")
    for report in [_report(call, item) for item in items]:
        # The answer promises nothing: unknown addresses, texts that are no system presence
        # and messages too long change nothing, and nobody is told.
        with contextlib.suppress(ApiError):
            _ingest(call, integration_id, report)
    return json_answer("Accepted", 202)


def _report(call: Call, value: Any) -> _Report:
    fields = Fields(value, call.switches, "item")
    fields.check_date("dateModified")
    return _Report(
        email=fields.required_text("email"),
        presence=fields.required_text("presence"),
        message=fields.text("message"),
    )


def _ingest(call: Call, integration_id: str, report: _Report) -> None:
    organization = call.organization
    user = organization.user_by_email(report.email)
    built_in = organization.definition_store.built_in(canonical(report.presence))
    definition = organization.usable_definition(built_in.id)
    check_message(call, report.message)
    organization.set_presence(user.id, definition.id, source=integration_id, message=report.message)


ROUTES = (
    Route(
        "POST",
        "/api/v2/events/users/presence",
        _post_events,
        needs_any(PRESENCE_INJECT),
    ),
    Route(
        "PUT",
        "/api/v2/integrations/unifiedcommunications/{ucIntegrationId}/thirdpartypresences",
        _put_third_party,
        needs_any(INTEGRATION_PRESENCE_EDIT),
    ),
)
