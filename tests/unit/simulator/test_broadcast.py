"""From changes to frames: every way a change can come, delay, order and loss."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from unit.simulator.lab import Ear, Lab, OpenLab, Pick

from presence_async.simulator import BUILT_IN_IDS

BUSY, AWAY = BUILT_IN_IDS["Busy"], BUILT_IN_IDS["Away"]
SUFFIXES = ("presence", "activity", "integrationpresence")


def busy(**fields: Any) -> dict[str, Any]:
    """Return a body that makes somebody Busy."""
    return {"presenceDefinition": {"id": BUSY}, **fields}


def topics(user: str) -> list[str]:
    """Return the topics of a user that events are raised for."""
    return [f"v2.users.{user}.{suffix}" for suffix in SUFFIXES]


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
        (bulk, ("presence", "activity", *SUFFIXES)),
        (inject, SUFFIXES),
        (report, SUFFIXES),
        (switch, SUFFIXES),
        (ad_hoc, SUFFIXES),
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
