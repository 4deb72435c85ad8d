"""Notification channels: the eight operations. No permission is needed for a channel.

The operations are those of the vendor's Python SDK 269.0.0 (`notifications_api.py`); fields of a
channel and of a listed topic are as recorded in March 2022.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from presence_async.simulator.errors import bad_request
from presence_async.simulator.events import EXPANSIONS, available_topics
from presence_async.simulator.exchange import Answer, Call, Fields
from presence_async.simulator.records import wire_date
from presence_async.simulator.services import Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from presence_async.simulator.channels import Channel, Rejection


def _connect_uri(call: Call, channel: Channel) -> str:
    """The address of a socket, on the host the client knows if we listen on all."""
    uri = call.channels.connect_uri(channel)
    host, colon, port = call.exchange.headers.get("Host", "").rpartition(":")
    known = host if colon and port.isdigit() else host + colon + port
    for everywhere in ("//0.0.0.0:", "//[::]:"):
        if everywhere in uri and known:
            return uri.replace(everywhere, f"//{known}:")
    return uri


def _shape(call: Call, channel: Channel) -> dict[str, Any]:
    return {
        "connectUri": _connect_uri(call, channel),
        "id": channel.id,
        "expires": wire_date(channel.expires),
    }


def _create(call: Call) -> dict[str, Any]:
    return _shape(call, call.channels.create(call.token))


def _list(call: Call) -> dict[str, Any]:
    """Show the channels of the token, or of all tokens of its user and application.

    "Channel Ids for other access tokens will not be shown, but will be presented to show their
    existence" (docstring of the Python SDK); the address of the socket holds the id.
    """
    whose = call.query().choice("includechannels", ("token", "oauthclient"))
    entities = []
    for channel in call.channels.of_owner(call.token):
        if channel.token is call.token:
            entities.append(_shape(call, channel))
        elif whose == "oauthclient":
            entities.append({"expires": wire_date(channel.expires)})
    return {"entities": entities}


def _channel(call: Call) -> Channel:
    return call.channels.get(call.path[0], call.token)


def _head(call: Call) -> Answer:
    _channel(call)
    return Answer(200)


def _rejected_json(rejection: Rejection) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "id": rejection.topic,
        "state": "Rejected",
        "rejectionReason": rejection.reason,
    }
    if rejection.missing_permissions:
        shape["missingPermissions"] = list(rejection.missing_permissions)
    return shape


def _get_subscriptions(call: Call) -> dict[str, Any]:
    return {"entities": [{"id": name} for name in _channel(call).topics]}


def _names(call: Call) -> Iterator[str]:
    for item in call.items():
        fields = Fields(item, call.switches, "item")
        fields.check_texts("state", "rejectionReason", "selfUri")
        yield fields.required_text("id")


def _subscribe(call: Call, *, replace: bool) -> dict[str, Any]:
    channel = _channel(call)
    ignore_errors = call.query().boolean("ignoreErrors", default=False)
    rejections = call.channels.subscribe(
        channel, list(_names(call)), call.token, replace=replace, ignore_errors=ignore_errors
    )
    # Recorded entries have their `id` only.
    state = {"state": "Permitted"} if ignore_errors else {}
    entities = [{"id": name} | state for name in channel.topics]
    return {"entities": entities + [_rejected_json(one) for one in rejections]}


def _delete_subscriptions(call: Call) -> Answer:
    call.channels.clear(_channel(call))
    return Answer(call.switches.subscriptions_delete_status)


def _available(call: Call) -> dict[str, Any]:
    query = call.query()
    expansions = query.array("expand")
    for name in expansions:
        if name not in EXPANSIONS:
            raise bad_request(f"expand does not know [{name[:100]}]")
    query.boolean("includePreview", default=True)  # none of the topics is a preview
    topics = available_topics(
        frozenset(expansions), permission_needed=call.switches.presence_topic_permission
    )
    return {"entities": topics}


_LIST = "/api/v2/notifications/channels"
_ONE = f"{_LIST}/{{channelId}}"
_SUBSCRIPTIONS = f"{_ONE}/subscriptions"

ROUTES = (
    Route("POST", _LIST, _create, bodyless=True),
    Route("GET", _LIST, _list),
    Route("HEAD", _ONE, _head),
    Route("GET", _SUBSCRIPTIONS, _get_subscriptions),
    Route("POST", _SUBSCRIPTIONS, partial(_subscribe, replace=False)),
    Route("PUT", _SUBSCRIPTIONS, partial(_subscribe, replace=True)),
    Route("DELETE", _SUBSCRIPTIONS, _delete_subscriptions),
    Route("GET", "/api/v2/notifications/availabletopics", _available),
)
