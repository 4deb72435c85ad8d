"""Events as they go over a socket, field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from presence_async.simulator import BUILT_IN_IDS
from presence_async.simulator.events import (
    HEARTBEAT,
    PONG,
    body_of,
    frame,
    suffixes_of,
    system_message,
)
from presence_async.simulator.organization import Organization
from presence_async.simulator.sources import PrimarySource, SourceDraft
from presence_async.simulator.switches import Switches

if TYPE_CHECKING:
    from presence_async.simulator.changes import Change

BUSY, ON_QUEUE = BUILT_IN_IDS["Busy"], BUILT_IN_IDS["OnQueue"]
DATE = "2022-03-07T08:15:03.625Z"


class Told:
    """An organization whose last change is remembered."""

    def __init__(self) -> None:
        self.organization = Organization(
            users=1,
            seed=0,
            switches=Switches(),
            wall_clock=lambda: 1646640903.625,
            monotonic=lambda: 0.0,
        )
        (self.user,) = self.organization.users
        self.changes: list[Change] = []
        self.organization.listeners.append(self.changes.append)

    def body(self, suffix: str) -> dict[str, Any]:
        """Return the body of the last change's event."""
        return body_of(self.organization, self.changes[-1], suffix)


@pytest.fixture
def told() -> Told:
    """An organization of one user at a fixed time."""
    return Told()


def test_frame():
    """A frame has the recorded fields; the correlation id is spelled with a capital C."""
    assert orjson.loads(frame("v2.users.a.presence", {"source": "X"}, "c-1")) == {
        "topicName": "v2.users.a.presence",
        "version": "2",
        "eventBody": {"source": "X"},
        "metadata": {"CorrelationId": "c-1"},
    }


def test_what_comes_without_being_asked():
    """Heartbeat and pong are messages of `channel.metadata`; others have their topic and body."""
    assert orjson.loads(HEARTBEAT) == {
        "topicName": "channel.metadata",
        "eventBody": {"message": "WebSocket Heartbeat"},
    }
    assert orjson.loads(PONG) == {
        "topicName": "channel.metadata",
        "eventBody": {"message": "pong"},
    }
    assert orjson.loads(system_message("t", {})) == {"topicName": "t", "eventBody": {}}


def test_presence_body(told: Told):
    """`.presence` names the source and shouts the system presence; its text is `message`."""
    told.organization.set_presence(told.user, ON_QUEUE, message="hi")
    assert told.body("presence") == {
        "source": "PURECLOUD",
        "presenceDefinition": {"id": ON_QUEUE, "systemPresence": "ON_QUEUE"},
        "primary": True,
        "message": "hi",
        "modifiedDate": DATE,
    }


def test_presence_body_of_another_source(told: Told):
    """A source that is not the primary one says so; without a text the message is empty."""
    told.organization.set_presence(told.user, BUSY, source="Teams")
    assert told.body("presence") == {
        "source": "Teams",
        "presenceDefinition": {"id": BUSY, "systemPresence": "BUSY"},
        "primary": False,
        "message": "",
        "modifiedDate": DATE,
    }


def test_presence_body_of_a_registered_source(told: Told):
    """A registered source is named by its id."""
    source = told.organization.source_store.add(SourceDraft(name="Desk"))
    told.organization.set_presence(told.user, BUSY, source=source.id, primary=True)
    body = told.body("presence")
    assert (body["source"], body["primary"]) == (source.id, True)


def test_a_pending_wish_is_in_the_body(told: Told):
    """`futurePresenceDefinition` is there while a request to leave the queue is pending."""
    told.organization.set_presence(told.user, ON_QUEUE)
    told.organization.set_presence(told.user, future_definition_id=BUSY)
    future = {"id": BUSY, "systemPresence": "BUSY"}
    assert told.body("presence")["futurePresenceDefinition"] == future
    assert told.body("integrationpresence")["futurePresenceDefinition"] == future
    assert "futurePresenceDefinition" not in told.body("activity")["presence"]


@pytest.mark.parametrize(
    ("definition", "shouted", "status"),
    [(BUSY, "BUSY", "OFF_QUEUE"), (ON_QUEUE, "ON_QUEUE", "IDLE")],
)
def test_activity_body(told: Told, definition: str, shouted: str, status: str):
    """`.activity` has the visible presence, whose text is `presenceMessage`, and the routing."""
    told.organization.set_presence(told.user, definition, message="hi")
    assert told.body("activity") == {
        "id": told.user,
        "routingStatus": {"userId": told.user, "status": status, "startTime": DATE},
        "presence": {
            "presenceDefinition": {"id": definition, "systemPresence": shouted},
            "presenceMessage": "hi",
            "modifiedDate": DATE,
        },
        "outOfOffice": {"active": False, "modifiedDate": DATE},
        "activeQueueIds": [],
        "dateActiveQueuesChanged": DATE,
    }


def test_activity_shows_what_others_see(told: Told):
    """A change of a source that is not the primary one leaves `.activity` as it was."""
    told.organization.set_presence(told.user, BUSY, source="Teams", message="hidden")
    assert told.body("activity")["presence"]["presenceMessage"] == ""
    told.organization.set_primary_source(told.user, PrimarySource("teams"))
    assert told.body("activity")["presence"]["presenceMessage"] == "hidden"


def test_integration_body_of_a_status(told: Told):
    """A change of another source is a UserPresenceStatusChanged."""
    told.organization.set_presence(told.user, BUSY, source="Teams", message="hi")
    assert told.body("integrationpresence") == {
        "userId": told.user,
        "eventType": "UserPresenceStatusChanged",
        "source": "Teams",
        "presenceDefinition": {"id": BUSY, "systemPresence": "BUSY"},
        "message": "hi",
        "modifiedDate": DATE,
        "currentDisplaySourceId": "PURECLOUD",
        "previousDisplaySourceId": "PURECLOUD",
    }


def test_integration_body_of_a_switch(told: Told):
    """A switch of the primary source is a UserPrimaryPresenceSourceChanged with both sources."""
    told.organization.set_presence(told.user, BUSY, source="Teams")
    told.organization.set_primary_source(told.user, PrimarySource("Teams"))
    body = told.body("integrationpresence")
    assert body["eventType"] == "UserPrimaryPresenceSourceChanged"
    assert (body["previousDisplaySourceId"], body["currentDisplaySourceId"]) == (
        "PURECLOUD",
        "Teams",
    )
    assert (body["source"], body["message"]) == ("Teams", "")
    assert told.body("presence")["primary"] is True


def test_a_primary_source_without_a_presence(told: Told):
    """A switch to a source never written shows PURECLOUD, which is not the primary one then."""
    told.organization.set_primary_source(told.user, PrimarySource("Teams"))
    body = told.body("presence")
    assert (body["source"], body["primary"]) == ("PURECLOUD", False)


def test_which_topics_a_change_raises(told: Told):
    """Always `.presence` and `.activity`; `.integrationpresence` for other sources and switches."""
    organization, user = told.organization, told.user
    usual = ("presence", "activity")
    organization.set_presence(user, BUSY)
    assert suffixes_of(told.changes[-1]) == usual
    organization.set_presence(user, BUSY, source="Teams")
    assert suffixes_of(told.changes[-1]) == (*usual, "integrationpresence")
    organization.set_primary_source(user, PrimarySource("purecloud"))
    assert suffixes_of(told.changes[-1]) == usual
    organization.set_primary_source(user, PrimarySource("Teams"))
    assert suffixes_of(told.changes[-1]) == (*usual, "integrationpresence")
    organization.set_presence(user, BUSY, primary=True)
    assert suffixes_of(told.changes[-1]) == (*usual, "integrationpresence")
