"""The event stream equals the state: after any history, the last event is the last read.

An independent check of the simulator, over HTTP and a socket, with nothing but what a client
sees: whoever keeps the last event per user and source knows what a read would answer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs
from clock import ClockLoop, check_no_leftovers, run
from hypothesis import example, given, settings
from hypothesis import strategies as st
from unit.simulator.lab import Lab

from presence_async.simulator import BUILT_IN_IDS, Simulator

if TYPE_CHECKING:
    from unit.simulator.lab import Ear

USERS = 3
SUFFIXES = ("presence", "activity", "integrationpresence")
DEFINITIONS = ["Available", "Busy", "OnQueue", "Meal", "own one", "own two", "unknown"]
SOURCES = ["purecloud", "PURECLOUD", "Teams", "teams", "Zoom"]


def folded(text: str) -> str:
    """Return a system presence without what its three spellings differ in."""
    return text.replace(" ", "").replace("_", "").lower()


@attrs.define
class World:
    """A running simulator, what a client made there, and what it hears."""

    lab: Lab
    ear: Ear
    definitions: dict[str, str]
    desk: str

    def user(self, number: int) -> str:
        """Return a user's id."""
        return self.lab.sim.user_ids[number]

    def presence(self, name: str | None, message: str | None) -> dict[str, Any]:
        """Return the fields of a presence that are to change."""
        fields: dict[str, Any] = {}
        if name is not None:
            fields["presenceDefinition"] = {"id": self.definitions[name]}
        if message is not None:
            fields["message"] = message
        return fields

    async def call(self, *arguments: Any, **options: Any) -> Any:
        """Send a request; changes may be refused, and reads never are."""
        reply = await self.lab.call(*arguments, **options)
        assert reply.status < 500
        return reply.json if reply.body else None


# -- what may happen


@attrs.frozen
class Patch:
    """Somebody's presence is changed by a PATCH, by himself or by somebody else."""

    number: int
    source: str
    name: str | None
    message: str | None
    primary: bool
    own: bool

    async def __call__(self, world: World) -> None:
        """Send it."""
        user = world.user(self.number)
        body = world.presence(self.name, self.message) | {"primary": self.primary}
        token = world.lab.sim.issue_token(user_id=user) if self.own else world.lab.token
        await world.call("PATCH", f"/api/v2/users/{user}/presences/{self.source}", json=body,
                         token=token)  # fmt: skip


@attrs.frozen
class Bulk:
    """Several presences are changed at once, or none because of a bad one."""

    items: list[tuple[int, str, str, str | None]]

    async def __call__(self, world: World) -> None:
        """Send it."""
        body = []
        for number, source, name, message in self.items:
            where = {"sourceId": world.desk} if source == "desk" else {"source": source}
            body.append({"id": world.user(number), **where} | world.presence(name, message))
        await world.call("PUT", "/api/v2/users/presences/bulk", json=body)


@attrs.frozen
class Inject:
    """Events of the registered source arrive."""

    events: list[tuple[int, str | None, str | None]]

    async def __call__(self, world: World) -> None:
        """Send them."""
        body = []
        for number, name, message in self.events:
            event = {
                "eventId": "e",
                "eventDateTime": "2026-01-01T00:00:00Z",
                "userId": world.user(number),
                "sourceId": world.desk,
                "presenceDefinitionId": None if name is None else world.definitions[name],
                "message": message,
            }
            body.append({key: value for key, value in event.items() if value is not None})
        target = "/api/v2/events/users/presence"
        await world.call("POST", target, json={"userPresenceEvents": body})


@attrs.frozen
class Report:
    """An integration reports what it sees."""

    number: int
    name: str

    async def __call__(self, world: World) -> None:
        """Send it."""
        target = "/api/v2/integrations/unifiedcommunications/Zoom/thirdpartypresences"
        email = world.lab.sim.organization.user(world.user(self.number)).email
        await world.call("PUT", target, json=[{"email": email, "presence": self.name}])


@attrs.frozen
class Switch:
    """Another primary source is chosen, written by then or not."""

    number: int
    source: str

    async def __call__(self, world: World) -> None:
        """Choose it."""
        source = world.desk if self.source == "desk" else self.source
        body = {"sourceId": source, "registered": source == world.desk}
        target = f"/api/v2/presence/users/{world.user(self.number)}/primarysource"
        await world.call("PUT", target, json=body)


@attrs.frozen
class Deactivate:
    """A definition is deactivated; whoever is on it stays there."""

    name: str

    async def __call__(self, world: World) -> None:
        """Delete it."""
        await world.call("DELETE", f"/api/v2/presence/definitions/{world.definitions[self.name]}")


@attrs.frozen
class Ask:
    """Leaving the queue becomes a matter of asking, or not any more."""

    enabled: bool

    async def __call__(self, world: World) -> None:
        """Change the settings."""
        body = {"requestingOffQueueEnabled": self.enabled}
        await world.call("PUT", "/api/v2/presence/settings", json=body)


@attrs.frozen
class Wait:
    """Time passes."""

    seconds: float

    async def __call__(self, world: World) -> None:
        """Let it pass."""
        await asyncio.sleep(self.seconds)


number = st.integers(0, USERS - 1)
name = st.sampled_from(DEFINITIONS)
message = st.sampled_from([None, "", "hi", "bye"])
STEPS = st.lists(
    st.one_of(
        st.builds(Patch, number, st.sampled_from(SOURCES), st.none() | name, message,
                  st.booleans(), st.booleans()),
        st.builds(Bulk, st.lists(
            st.tuples(number, st.sampled_from([*SOURCES, "desk"]), name, message), max_size=5)),
        st.builds(Inject, st.lists(st.tuples(number, st.none() | name, message), max_size=4)),
        st.builds(Report, number, st.sampled_from(["Busy", "ON_QUEUE", "On Queue", "nonsense"])),
        st.builds(Switch, number, st.sampled_from([*SOURCES, "desk", "Nowhere"])),
        st.builds(Deactivate, st.sampled_from(["own one", "own two"])),
        st.builds(Ask, st.booleans()),
        st.builds(Wait, st.sampled_from([0.001, 1.0, 100.0])),
    ),
    max_size=30,
)  # fmt: skip


# -- reading


async def opened(sim: Simulator, http: aiohttp.ClientSession) -> World:
    """Make what histories need, and listen."""
    lab = Lab(sim, http, sim.issue_token())
    definitions = {key: BUILT_IN_IDS.get(key, "unknown") for key in DEFINITIONS}
    for own in ("own one", "own two"):
        body = {"languageLabels": {"en_US": own}, "systemPresence": "Busy"}
        reply = await lab.call("POST", "/api/v2/presence/definitions", json=body)
        definitions[own] = reply.json["id"]
    desk = (await lab.call("POST", "/api/v2/presence/sources", json={"name": "Desk"})).json["id"]
    names = [f"v2.users.{user}?{'&'.join(SUFFIXES)}" for user in sim.user_ids]
    return World(lab, await lab.listen(*names), definitions, desk)


async def read(world: World, source: str) -> dict[str, Any]:
    """Return the presences of a source by user, as the API shows them."""
    ids = "&".join(f"id={user}" for user in world.lab.sim.user_ids)
    rows = await world.call("GET", f"/api/v2/users/presences/{source}/bulk?{ids}")
    return {row["userId"]: row for row in rows}


def same(body: dict[str, Any], row: dict[str, Any], text: str = "message") -> bool:
    """Return whether an event and a read say the same."""

    def told(reference: dict[str, Any] | None) -> tuple[str, str] | None:
        return reference and (reference["id"], folded(reference["systemPresence"]))

    future = "futurePresenceDefinition"
    return (
        told(body["presenceDefinition"]) == told(row["presenceDefinition"])
        and (text != "message" or told(body.get(future)) == told(row.get(future)))
        and (body[text], body["modifiedDate"]) == (row["message"], row["modifiedDate"])
    )


async def compare(world: World, frames: list[dict[str, Any]]) -> None:
    """Check that the last events of each user are what reads answer."""
    last: dict[tuple[str, str], dict[str, Any]] = {}
    by_source: dict[tuple[str, str], dict[str, Any]] = {}
    for frame in frames:
        assert set(frame) == {"topicName", "version", "eventBody", "metadata"}
        _, _, user, suffix = frame["topicName"].split(".")
        body = last[user, suffix] = frame["eventBody"]
        if suffix == "presence":
            by_source[user, body["source"].lower()] = body
    rows = {one: await read(world, one) for one in ("purecloud", "teams", "zoom", world.desk)}
    for user in world.lab.sim.user_ids:
        for source, users in rows.items():
            if (user, source) in by_source:
                assert same(by_source[user, source], users[user])
            elif source == "purecloud":
                assert users[user]["presenceDefinition"]["id"] == BUILT_IN_IDS["Available"]
                assert users[user]["message"] == ""
            else:
                assert user not in users
        await compare_primary(world, user, rows, last)


async def compare_primary(
    world: World, user: str, rows: dict[str, Any], last: dict[tuple[str, str], dict[str, Any]]
) -> None:
    """Check what events say of the source others see."""
    target = f"/api/v2/presence/users/{user}/primarysource"
    primary = (await world.call("GET", target))["sourceId"].lower()
    if (user, "integrationpresence") in last:
        assert last[user, "integrationpresence"]["currentDisplaySourceId"].lower() == primary
    else:
        assert primary == "purecloud"
    if (user, "presence") in last:
        body = last[user, "presence"]
        assert body["primary"] is (body["source"].lower() == primary)
        visible = rows.get(primary, {}).get(user) or rows["purecloud"][user]
        activity = last[user, "activity"]
        assert activity["id"] == user
        assert same(activity["presence"], visible, "presenceMessage")
    else:
        assert (user, "activity") not in last


async def live(steps: list[Any], delay: float) -> None:
    """Live through a history and compare."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    options: dict[str, Any] = {"wall_clock": loop.wall, "event_delay": delay}
    async with (
        Simulator(users=USERS, rate_limit=None, **options) as sim,
        aiohttp.ClientSession() as http,
    ):
        world = await opened(sim, http)
        heard = asyncio.create_task(world.ear.hear(1e6))
        for step in steps:
            await step(world)
        await asyncio.sleep(delay + 1)
        sim.sockets.close()
        frames = [frame for frame in await heard if frame["topicName"] != "channel.metadata"]
        assert sim.broadcast.delivered == len(frames)
        assert sim.broadcast.lost == 0
        await compare(world, frames)
    await asyncio.sleep(0)
    check_no_leftovers(loop)


# Leaving the queue is asked for: the wish shows in the event as in the read.
_WISH = [
    Ask(True),
    *(Patch(0, "purecloud", name, None, False, True) for name in ("OnQueue", "Meal")),
]


@given(steps=STEPS, delay=st.sampled_from([0.0, 0.05, 30.0]))
@example(steps=_WISH, delay=0.05)
@settings(max_examples=60)
def test_the_last_event_is_the_last_read(steps: list[Any], delay: float) -> None:
    """Per user and source, and for what others see, however the changes came."""
    run(live(steps, delay))
