"""Whatever is sent, the answer is never a 500."""

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.simulator.lab import OpenLab

from presence_async.simulator import BUILT_IN_IDS, Organization, Switches
from presence_async.simulator.api import Api, RateLimiter
from presence_async.simulator.channels import Channels
from presence_async.simulator.exchange import Exchange
from presence_async.simulator.login import Login
from presence_async.simulator.oauth import Authority, OAuthClient
from presence_async.simulator.operations import all_routes
from presence_async.simulator.records import SourceDraft
from presence_async.simulator.services import Route

SWITCHES = Switches(microsoft_teams_route=True)
FIELDS = (
    "id", "name", "source", "sourceId", "primary", "presenceDefinition", "message",
    "modifiedDate", "languageLabels", "systemPresence", "divisionId", "deactivated", "type",
    "description", "registered", "restorePresenceSettings", "enabled",
    "restoreTimeMilliseconds", "restoreOnQueueEnabled", "requestingOffQueueEnabled",
    "defaultPrimaryPresenceRegisteredSourceId", "selfUri", "userPresenceEvents", "eventId",
    "eventDateTime", "userId", "presenceDefinitionId", "email", "presence", "dateModified",
)  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["Meal", "On Queue", "User", BUILT_IN_IDS["Busy"], "2022-03-07T08:15:03Z"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    ),
    max_leaves=8,
)
ROUTES = [route for route in all_routes(SWITCHES) if route.takes_body]


class World:
    """An API without HTTP, with a known user and token."""

    def __init__(self) -> None:
        self.organization = Organization(
            users=1, seed=0, switches=SWITCHES, wall_clock=lambda: 0.0, monotonic=lambda: 0.0
        )
        self.user = next(iter(self.organization.users))
        self.source = self.organization.source_store.add(SourceDraft(name="PBX")).id
        self.channels = Channels(
            seed=0,
            switches=SWITCHES,
            clock=lambda: 0.0,
            wall_clock=lambda: 0.0,
            address=lambda: "ws://127.0.0.1",
        )
        authority = Authority(0, 100, SWITCHES, lambda: 0.0)
        client = OAuthClient("c", "s")
        authority.clients[client.id] = client
        token = authority.issue_token(client, self.user)
        self.token = token.value
        self.channel = self.channels.create(token).id
        self.login = Login(authority, "")
        self.api = Api(
            organization=self.organization,
            channels=self.channels,
            authority=authority,
            limiter=RateLimiter("rolling", lambda: 0.0),
            rate_limit=None,
            day_limit=None,
            prefix="",
            switches=SWITCHES,
        )

    def send(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes = b"",
        *,
        to: Any = None,
        headers: dict[str, str] | None = None,
    ):
        """Return the answer to a request."""
        service = to or self.api
        sent = headers or {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
        }
        exchange = Exchange(method, path, query, sent, body, False, "c")
        answer = service.answer(exchange, service.match(method, path))
        assert answer.status < 500
        if answer.body:
            orjson.loads(answer.body)
        return answer

    def target(self, route: Route):
        """Return a path of a route, naming records that exist."""
        registered = route.template.startswith("/api/v2/presence/sources")
        known = {
            "{userId}": self.user,
            "{sourceId}": self.source if registered else "lync",
            "{definitionId}": list(self.organization.definitions)[-1],
            "{presenceId}": list(self.organization.definitions)[-1],
            "{channelId}": self.channel,
        }
        return "/".join(known.get(part, part) for part in route.template.split("/"))


@pytest.mark.parametrize("route", ROUTES, ids=[route.key for route in ROUTES])
@given(data=st.data())
@settings(max_examples=30, deadline=None, derandomize=True, database=None)
def test_random_json_bodies(route: Route, data: st.DataObject):
    """JSON of any shape is answered, or refused with a 4xx."""
    world = World()
    label = {"languageLabels": {"en_US": "x"}, "systemPresence": "Meal"}
    world.send("POST", "/api/v2/presence/definitions", body=orjson.dumps(label))
    body = orjson.dumps(data.draw(VALUES))
    answer = world.send(route.method, world.target(route), body=body)
    assert answer.status in {200, 201, 202, 400, 404}


@pytest.mark.parametrize("route", ROUTES, ids=[route.key for route in ROUTES])
@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"[" * 2000 + b"]" * 2000, b'{"a":' * 2000, b'{"id":"\\ud800"}',
     b'{"primary":%s}' % (b"9" * 400), b"nul", b'{"a":1}{"b":2}'],
)  # fmt: skip
def test_hostile_bodies(route: Route, body: bytes):
    """Bad encodings, deep nesting, huge numbers and rubbish are 400."""
    world = World()
    assert world.send(route.method, world.target(route), body=body).status == 400


@given(query=st.text(st.sampled_from("id=&%,+25aé*/\x00\udcff"), max_size=20))
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_random_queries(query: str):
    """Queries of any shape are answered, or refused with a 4xx."""
    world = World()
    for route in all_routes(SWITCHES):
        if route.method == "GET":
            world.send("GET", world.target(route), query)
    world.send("GET", "/oauth/authorize", query, to=world.login)


@given(path=st.text(st.sampled_from("/%25aé.\x00\udcffmeusers"), max_size=30))
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_random_paths(path: str):
    """Paths of any shape are answered, or refused with a 4xx."""
    world = World()
    for template in ("{}", "/api/v2/users/{}/presences/purecloud", "/api/v2/presence/sources/{}"):
        world.send("GET", template.format(path))


@given(body=st.binary(max_size=40))
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_random_forms(body: bytes):
    """Forms of any shape are answered, or refused with a 4xx."""
    world = World()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    world.send("POST", "/oauth/token", body=body, to=world.login, headers=headers)
    form = b"grant_type=authorization_code&code=" + body
    world.send("POST", "/oauth/token", body=form, to=world.login, headers=headers)


async def test_random_bodies_over_the_wire(open_lab: OpenLab):
    """The same holds with sockets in between."""
    lab = await open_lab(rate_limit=None)
    bodies = [b"", b"\xff", b"[" * 3000, b'{"message":1e999}', b"[[]]", b'{"primary":[]}']
    replies = await asyncio.gather(
        *(
            lab.call("PATCH", f"/api/v2/users/{lab.user}/presences/purecloud", body=body)
            for body in bodies
        )
    )
    assert {reply.status for reply in replies} == {400}
    assert {reply.code for reply in replies} == {"bad.request"}
