"""One user's presence: the purecloud path and the ad hoc source path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from presence_async.simulator.definitions import ON_QUEUE
from presence_async.simulator.errors import DEFAULT_CODES, ApiError, bad_request
from presence_async.simulator.exchange import Answer, Call, json_answer
from presence_async.simulator.permissions import ON_QUEUE as ON_QUEUE_PERMISSION
from presence_async.simulator.permissions import PRESENCE_EDIT, needs_all, needs_any
from presence_async.simulator.presences import PURECLOUD, source_key
from presence_async.simulator.routes import Route

if TYPE_CHECKING:
    from presence_async.simulator.bodies import Fields
    from presence_async.simulator.presences import Presence

_OTHERS = needs_any(PRESENCE_EDIT)
_ON_QUEUE = needs_all(ON_QUEUE_PERMISSION)


@attrs.frozen(kw_only=True)
class PresenceDraft:
    """What a body asks for: any of a definition, a message and the primary flag."""

    definition_id: str | None
    message: str | None
    primary: bool

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for."""
        return self.definition_id is None and self.message is None and not self.primary


def read_change(call: Call, fields: Fields) -> PresenceDraft:
    """Return the change a UserPresence or MutableUserPresence body asks for.

    Raises:
        ApiError: 400 for wrong types, an unusable definition or a message too long; 403 for
            On Queue without its permission, by switch.
    """
    fields.check_texts("id", "name", "source", "sourceId", "selfUri")
    fields.check_date("modifiedDate")
    primary = fields.flag("primary")
    if primary is False and call.switches.primary_false == "reject":
        raise bad_request("primary can only be set to true")
    message = fields.text("message")
    check_message(call, message)
    return PresenceDraft(
        definition_id=_definition_id(call, fields), message=message, primary=bool(primary)
    )


def check_message(call: Call, message: str | None) -> None:
    """Refuse a message that is too long with 400; there is a limit by switch only."""
    limit = call.switches.message_limit
    if message is not None and limit is not None and len(message) > limit:
        raise bad_request(f"message is longer than {limit} characters")


def _definition_id(call: Call, fields: Fields) -> str | None:
    reference = fields.object("presenceDefinition")
    if reference is None:
        return None
    reference.check_texts("systemPresence", "selfUri")
    definition_id = reference.required_text("id")
    definition = call.organization.usable_definition(definition_id)
    if definition.system_presence == ON_QUEUE and call.switches.on_queue_needs_permission:
        _ON_QUEUE.check(call.token.permissions)
    return definition_id


def check_ad_hoc(call: Call, source: str) -> None:
    """Refuse a registered source: since December 2022 the path is for ad hoc names only."""
    if source_key(source) in call.organization.sources:  # their ids are in lower case
        status = call.switches.registered_source_status
        message = f"Registered sources are not supported here [{source}]"
        raise ApiError(status, DEFAULT_CODES[status], message)


def apply_change(call: Call, user_id: str, source: str, change: PresenceDraft) -> Presence:
    """Return a presence after a change that is not empty.

    Users cannot grant themselves what the settings make a matter of asking: leaving the queue.
    """
    organization, definition_id, future = call.organization, change.definition_id, None
    own = user_id == call.token.user_id
    if own and definition_id and organization.must_ask(user_id, definition_id, source):
        definition_id, future = None, definition_id
    return organization.set_presence(
        user_id,
        definition_id,
        source=source,
        message=change.message,
        primary=change.primary,
        future_definition_id=future,
    )


def _get(call: Call, source: str) -> Answer:
    user_id = call.user_id(call.path[0])
    presence = call.organization.presence(user_id, source)
    return json_answer(call.organization.presence_json(user_id, presence))


def _patch(call: Call, source: str) -> Answer:
    user_id = call.user_id(call.path[0])
    # Since 20 July 2025 changing somebody else's presence needs the permission (PURE-4184).
    if user_id != call.token.user_id:
        _OTHERS.check(call.token.permissions)
    organization = call.organization
    organization.user(user_id)
    fields = call.fields()
    fields.check_read_only("id", "selfUri", "futurePresenceDefinition")
    change = read_change(call, fields)
    if change.empty:
        if call.switches.empty_patch == "reject":
            raise bad_request("At least one change is required")
        return _get(call, source)
    presence = apply_change(call, user_id, source, change)
    return json_answer(organization.presence_json(user_id, presence))


def _get_purecloud(call: Call) -> Answer:
    return _get(call, PURECLOUD)


def _patch_purecloud(call: Call) -> Answer:
    return _patch(call, PURECLOUD)


def _get_source(call: Call) -> Answer:
    check_ad_hoc(call, call.path[1])
    return _get(call, call.path[1])


def _patch_source(call: Call) -> Answer:
    check_ad_hoc(call, call.path[1])
    return _patch(call, call.path[1])


_PURECLOUD_PATH = "/api/v2/users/{userId}/presences/purecloud"
_SOURCE_PATH = "/api/v2/users/{userId}/presences/{sourceId}"

ROUTES = (
    Route("GET", _PURECLOUD_PATH, _get_purecloud),
    Route("PATCH", _PURECLOUD_PATH, _patch_purecloud),
    Route("GET", _SOURCE_PATH, _get_source),
    Route("PATCH", _SOURCE_PATH, _patch_source),
)
