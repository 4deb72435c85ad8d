"""Topics, bodies and frames of events, and how they get to sockets."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from unit.simulator.lab import Ear, Lab, OpenLab, Pick

from presence_async.simulator import BUILT_IN_IDS
from presence_async.simulator.errors import ApiError
from presence_async.simulator.events import (
    EXPANSIONS,
    HEARTBEAT,
    PONG,
    Topic,
    available_topics,
    body_of,
    frame,
    read_topics,
    suffixes_of,
    system_message,
    topic_key,
    topic_name,
)
from presence_async.simulator.organization import Organization
from presence_async.simulator.records import Change, PrimarySource, SourceDraft
from presence_async.simulator.services import PRESENCE_VIEW
from presence_async.simulator.switches import Switches

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


SUFFIXES = {
    "presence", "activity", "integrationpresence", "outofoffice", "routingStatus", "station",
    "tokens",
}  # fmt: skip


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_a_name_is_read_in_any_case(suffix: str):
    """Each suffix of a user is a topic, however it is spelled; the user's id stays as written."""
    name = topic_name("aB-1", suffix)
    assert read_topics(name) == (Topic("aB-1", suffix),)
    (topic,) = read_topics(name.upper())
    assert topic.suffix == suffix
    assert topic.key == topic_key("aB-1", suffix)


def test_a_combined_name_stands_for_several_topics():
    """The combined form is read in any case; what is named twice counts once."""
    topics = read_topics("V2.Users.a.b?Presence&routingstatus&PRESENCE")
    assert topics == (Topic("a.b", "presence"), Topic("a.b", "routingStatus"))
    assert read_topics("v2.users.a?activity") == read_topics("v2.users.a.activity")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "v2.users.",
        "v2.users..presence",
        "v2.users.?presence",
        "v2.users.presence",
        "v2.users.a",
        "v2.users.a?",
        "v2.users.a?presence&",
        "v2.users.a?presence&nonsense",
        "v2.users.a.primarypresence",
        "v2.groups.a.presence",
        "channel.metadata",
        "v2.system.socket_closing",
    ],
)
def test_anything_else_is_no_topic(name: str):
    """Unknown suffixes, missing ids, and what comes without being asked are a 400."""
    with pytest.raises(ApiError) as caught:
        read_topics(name)
    assert (caught.value.status, caught.value.code) == (400, "notification.invalid.topic")


def test_names_are_shorter_than_200_characters():
    """199 characters are a name, 200 are none, and the refusal does not repeat them all."""
    room = 200 - len(topic_name("", "presence"))
    assert read_topics(topic_name("a" * (room - 1), "presence"))
    with pytest.raises(ApiError) as caught:
        read_topics(topic_name("a" * room, "presence"))
    assert caught.value.code == "notification.invalid.topic"
    assert len(caught.value.message) < 200


def test_whom_a_topic_is_about():
    """A topic is about a user in any case of the id, and about nobody without one."""
    topic = Topic("Ab", "presence")
    assert topic.is_about("aB")
    assert not topic.is_about("b")
    assert not topic.is_about(None)


def test_the_published_list():
    """Without expansions each topic has its id only, the user being a parameter."""
    topics = available_topics(frozenset(), permission_needed=False)
    assert topics == [{"id": f"v2.users.{{id}}.{name}"} for name in [
        "presence", "activity", "integrationpresence", "outofoffice", "routingStatus", "station",
        "tokens",
    ]]  # fmt: skip


def test_expansions_show_what_is_asked_for():
    """Every expansion adds its field to every topic, and no other."""
    for field in EXPANSIONS:
        for topic in available_topics(frozenset([field]), permission_needed=False):
            assert set(topic) == {"id", field}
    everything = available_topics(frozenset(EXPANSIONS), permission_needed=False)
    assert everything[0] == {
        "id": "v2.users.{id}.presence",
        "description": "The presence of a user",
        "enforced": False,
        "schema": {"type": "object"},
        "visibility": "Public",
        "transports": ["All"],
        "publicApiTemplateUriPaths": ["/api/v2/users/{id}/presences/purecloud"],
        "requiresPermissions": [],
        "permissionDetails": [],
        "topicParameters": ["id"],
    }


def test_a_needed_permission_is_published():
    """Where watching others needs a permission, the presence topics say so, the others not."""
    fields = frozenset({"enforced", "requiresPermissions", "permissionDetails"})
    topics = {one["id"]: one for one in available_topics(fields, permission_needed=True)}
    for suffix in ("presence", "activity", "integrationpresence"):
        topic = topics[f"v2.users.{{id}}.{suffix}"]
        assert topic["enforced"] is True
        assert topic["requiresPermissions"] == [PRESENCE_VIEW]
        assert topic["permissionDetails"] == [
            {
                "type": "requiresPermissions",
                "permissions": [PRESENCE_VIEW],
                "allowsCurrentUser": True,
                "enforced": True,
            }
        ]
    assert topics["v2.users.{id}.station"]["requiresPermissions"] == []
    assert topics["v2.users.{id}.station"]["enforced"] is False


BUSY, AWAY = BUILT_IN_IDS["Busy"], BUILT_IN_IDS["Away"]
RAISED = ("presence", "activity", "integrationpresence")


def busy(**fields: Any) -> dict[str, Any]:
    """Return a body that makes somebody Busy."""
    return {"presenceDefinition": {"id": BUSY}, **fields}


def topics(user: str) -> list[str]:
    """Return the topics of a user that events are raised for."""
    return [f"v2.users.{user}.{suffix}" for suffix in RAISED]


async def patch(lab: Lab, source: str = "purecloud", **fields: Any) -> None:
    """Change the first user's presence."""
    target = f"/api/v2/users/{lab.user}/presences/{source}"
    assert (await lab.call("PATCH", target, json=busy(**fields))).status == 200


async def bulk(lab: Lab) -> None:
    """Change two users at once, one of them twice."""
    items = [busy(id=user) for user in (lab.user, lab.sim.user_ids[1])]
    items.append({"id": lab.user, "source": "Teams", **busy()})
    assert (await lab.call("PUT", "/api/v2/users/presences/bulk", json=items)).status == 200


async def inject(lab: Lab) -> None:
    """Send an event of a registered source."""
    reply = await lab.call("POST", "/api/v2/presence/sources", json={"name": "Desk"})
    event = {
        "eventId": "e",
        "eventDateTime": "2026-01-01T00:00:00Z",
        "userId": lab.user,
        "sourceId": reply.json["id"],
        "presenceDefinitionId": BUSY,
    }
    body = {"userPresenceEvents": [event]}
    reply = await lab.call("POST", "/api/v2/events/users/presence", json=body)
    assert (reply.status, reply.json) == (200, {"errors": []})


async def report(lab: Lab) -> None:
    """Report a presence as an integration does."""
    target = "/api/v2/integrations/unifiedcommunications/teams/thirdpartypresences"
    email = lab.sim.organization.user(lab.user).email
    body = [{"email": email, "presence": "BUSY"}]
    assert (await lab.call("PUT", target, json=body)).status == 202


async def switch(lab: Lab) -> None:
    """Choose another primary source."""
    target = f"/api/v2/presence/users/{lab.user}/primarysource"
    reply = await lab.call("PUT", target, json={"sourceId": "Teams", "registered": False})
    assert reply.status == 200


async def ad_hoc(lab: Lab) -> None:
    """Write another source and make it the primary one."""
    await patch(lab, "Teams", primary=True)


async def direct(lab: Lab) -> None:
    """Change the state itself."""
    lab.sim.organization.set_presence(lab.user, BUSY)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (patch, ("presence", "activity")),
        (bulk, ("presence", "activity", *RAISED)),
        (inject, RAISED),
        (report, RAISED),
        (switch, RAISED),
        (ad_hoc, RAISED),
        (direct, ("presence", "activity")),
    ],
)
async def test_every_accepted_change_raises_its_events(
    open_lab: OpenLab, change: Callable[[Lab], Awaitable[None]], expected: tuple[str, ...]
):
    """However a change came, its user's topics hear of it in order, and nobody else's."""
    lab = await open_lab()
    ear, other = await lab.listen(*topics(lab.user)), await lab.listen(*topics("nobody"))
    await change(lab)
    frames = await ear.hear()
    names = [frame["topicName"] for frame in frames]
    assert names == [f"v2.users.{lab.user}.{suffix}" for suffix in expected]
    assert await other.hear() == []
    assert len({frame["metadata"]["CorrelationId"] for frame in frames}) == len(frames)
    assert (lab.sim.broadcast.delivered, lab.sim.broadcast.lost) == (len(frames), 0)


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 200), ({"presenceDefinition": {"id": "unknown"}}, 400), ({"message": 7}, 400)],
)
async def test_what_changes_nothing_raises_nothing(open_lab: OpenLab, body: Any, status: int):
    """Empty and refused changes are not told."""
    lab = await open_lab()
    ear = await lab.listen(*topics(lab.user))
    target = f"/api/v2/users/{lab.user}/presences/purecloud"
    assert (await lab.call("PATCH", target, json=body)).status == status
    assert await ear.hear() == []


async def test_without_subscriptions_nothing_is_raised(open_lab: OpenLab):
    """A change that nobody watches costs nothing, whoever is connected."""
    lab = await open_lab()
    ear = await lab.listen()
    await direct(lab)
    assert lab.sim.broadcast._timer is None
    assert await ear.hear() == []
    assert lab.sim.broadcast.lost == 0


async def test_events_carry_the_usual_spelling(open_lab: OpenLab):
    """Topics subscribed in any case and form arrive under the individual, usual name, once."""
    lab = await open_lab()
    ear = await lab.listen(
        f"V2.USERS.{lab.user.upper()}.PRESENCE", f"v2.users.{lab.user}?presence&station"
    )
    await patch(lab)
    assert [frame["topicName"] for frame in await ear.hear()] == [f"v2.users.{lab.user}.presence"]


async def test_each_channel_hears_what_it_subscribed(open_lab: OpenLab):
    """Several channels hear the same event with the same correlation id."""
    lab = await open_lab()
    one = await lab.listen(f"v2.users.{lab.user}.presence")
    two = await lab.listen(f"v2.users.{lab.user}?presence&activity")
    await patch(lab)
    heard, more = await one.hear(), await two.hear()
    assert heard == more[:1]
    assert [frame["topicName"][-9:] for frame in more] == [".presence", ".activity"]


async def test_events_are_lost_while_disconnected(open_lab: OpenLab):
    """There is no replay: who was not connected reads again."""
    lab = await open_lab()
    channel = await lab.channel(f"v2.users.{lab.user}.presence")
    await patch(lab, message="lost")
    await asyncio.sleep(1)
    ear = await lab.connect(channel)
    await patch(lab, message="heard")
    assert [body["message"] for body in await ear.events("presence")] == ["heard"]
    await ear.socket.close()
    await patch(lab, message="lost too")
    await asyncio.sleep(1)
    ear = await lab.connect(channel)
    assert await ear.hear() == []
    assert (lab.sim.broadcast.delivered, lab.sim.broadcast.lost) == (1, 2)


async def test_a_socket_counts_at_delivery(open_lab: OpenLab):
    """An event goes to whatever socket the channel has when it is delivered."""
    lab = await open_lab(event_delay=5)
    channel = await lab.channel(f"v2.users.{lab.user}.presence")
    await patch(lab)
    ear = await lab.connect(channel)
    assert len(await ear.hear(6)) == 1


async def test_a_subscription_counts_when_the_change_is_made(open_lab: OpenLab):
    """What was not subscribed then is not delivered, what was dropped since still is."""
    lab = await open_lab(event_delay=5)
    name = f"v2.users.{lab.user}.presence"
    ear, late = await lab.listen(name), await lab.listen()
    await patch(lab)
    await lab.subscribe(ear.id, [], "PUT")
    await lab.subscribe(late.id, [name])
    assert [len(heard) for heard in await asyncio.gather(ear.hear(6), late.hear(6))] == [1, 0]


async def test_the_body_shows_things_as_they_were(open_lab: OpenLab):
    """A later change does not show in an event that is still on its way."""
    lab = await open_lab(event_delay=5)
    ear = await lab.listen(f"v2.users.{lab.user}.presence")
    await patch(lab, message="one")
    await patch(lab, message="two")
    assert [body["message"] for body in await ear.events("presence", 6)] == ["one", "two"]


@pytest.mark.parametrize("delay", [0, 0.05, 2.5])
async def test_delay(open_lab: OpenLab, delay: float):
    """Events come the given time after the change."""
    lab = await open_lab(event_delay=delay)
    ear = await lab.listen(f"v2.users.{lab.user}.presence")
    await direct(lab)
    start = lab.loop.time()
    await ear.socket.receive()
    assert lab.loop.time() - start == pytest.approx(delay)


async def test_events_never_overtake_each_other(open_lab: OpenLab):
    """A callable gives each event its delay; a quick one waits for a slow one before it."""
    delays = [5.0, 0.0, 3.0, 10.0]
    lab = await open_lab(event_delay=lambda: delays.pop(0))
    organization = lab.sim.organization
    ear = await lab.listen(*(f"v2.users.{user}.presence" for user in lab.sim.user_ids))
    start = lab.loop.time()
    for number, user in enumerate((*lab.sim.user_ids, lab.user)):
        organization.set_presence(user, message=str(number))
    heard = []
    for _ in range(4):
        frame = orjson.loads((await ear.socket.receive()).data)
        heard.append((frame["eventBody"]["message"], round(lab.loop.time() - start, 2)))
    assert heard == [("0", 5.0), ("1", 5.0), ("2", 5.0), ("3", 10.0)]


async def lossy(open_lab: OpenLab, seed: int) -> list[list[str]]:
    """Return what two channels hear of a hundred events, each of which is lost at even chance."""
    lab = await open_lab(event_loss=0.5, seed=seed)
    name = f"v2.users.{lab.user}.presence"
    ears: list[Ear] = [await lab.listen(name), await lab.listen(name)]
    for number in range(100):
        lab.sim.organization.set_presence(lab.user, message=str(number))
    heard = [[body["message"] for body in await ear.events("presence")] for ear in ears]
    assert lab.sim.broadcast.delivered == sum(map(len, heard))
    assert lab.sim.broadcast.delivered + lab.sim.broadcast.lost == 200
    return heard


async def test_loss_is_drawn_by_seed(open_lab: OpenLab):
    """Each channel loses events of its own, in order, and the same ones for the same seed."""
    one, again, other = [await lossy(open_lab, seed) for seed in (1, 1, 2)]
    assert one == again != other
    assert one[0] != one[1]
    for heard in one:
        assert 25 < len(heard) < 75
        assert heard == sorted(heard, key=int)


async def test_everything_can_be_lost(open_lab: OpenLab):
    """With a chance of one nothing arrives."""
    lab = await open_lab(event_loss=1.0)
    ear = await lab.listen(f"v2.users.{lab.user}.presence")
    await patch(lab)
    assert await ear.hear() == []
    assert lab.sim.broadcast.lost == 1


async def test_a_silent_socket_loses_events(open_lab: OpenLab):
    """What a frozen or closing socket does not send counts as lost."""
    lab = await open_lab()
    ears = [await lab.listen(f"v2.users.{lab.user}.presence") for _ in range(2)]
    lab.sim.sockets.freeze(ears[0].id)
    await direct(lab)
    await asyncio.sleep(0.04)
    lab.sim.sockets.close(ears[1].id)
    for ear in ears:
        assert await ear.hear() == []
    assert (lab.sim.broadcast.delivered, lab.sim.broadcast.lost) == (0, 2)


async def test_a_closed_simulator_tells_nothing(open_lab: OpenLab, definition: Pick):
    """What is on its way is forgotten, changes start no timers, and opening again works."""
    lab = await open_lab(event_delay=5)
    channel = await lab.channel(f"v2.users.{lab.user}.presence")
    await direct(lab)
    await lab.sim.aclose()
    lab.sim.organization.set_presence(lab.user, definition("Away"))
    await lab.sim.aclose()
    await lab.sim.start()
    channel["connectUri"] = f"{lab.sim.streaming_url}/channels/{channel['id']}"
    ear = await lab.connect(channel)
    lab.sim.organization.set_presence(lab.user, definition("Meal"))
    bodies = await ear.events("presence", 100)
    assert [body["presenceDefinition"]["systemPresence"] for body in bodies] == ["MEAL"]
