"""The control endpoint."""

from __future__ import annotations

import asyncio
import base64
import logging
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs
import clock
import orjson
import pytest
import pytest_asyncio
import yarl
from hypothesis import given
from hypothesis import strategies as st
from unit.simulator.lab import UNSET, Lab, Reply

from presence_async.simulator import BUILT_IN_IDS, Fault, Simulator, Switches
from presence_async.simulator.control import DEFAULT_LIMIT, Control, _Service
from presence_async.simulator.exchange import MAX_BODY_BYTES, Exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from unit.simulator.lab import OpenLab

SYSTEM = "/api/v2/systempresences"
NOBODY = "/users/nobody/presence"


@attrs.frozen
class Desk:
    """A lab with a control endpoint."""

    lab: Lab
    control: Control

    async def call(
        self, method: str, target: str, json: Any = UNSET, *, body: bytes | None = None
    ) -> Reply:
        """Send one control request; the target goes out as it is."""
        data = body if json is UNSET else orjson.dumps(json)
        url = yarl.URL(self.control.url + target, encoded=True)
        async with self.lab.http.request(method, url, data=data) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    async def refused(self, method: str, target: str, json: Any = UNSET, **options: Any) -> str:
        """The error text of a request that is answered with 400."""
        reply = await self.call(method, target, json, **options)
        assert (reply.status, reply.code) == (400, "bad.request")
        text: str = reply.json["message"]
        return text


@pytest_asyncio.fixture
async def desk(open_lab: OpenLab) -> AsyncIterator[Desk]:
    """A lab of three users with a control endpoint."""
    lab = await open_lab()
    async with Control(lab.sim) as control:
        yield Desk(lab, control)


async def test_the_announcement(desk: Desk):
    """The root tells all that is needed to use the simulator."""
    reply = await desk.call("GET", "/")
    assert reply.status == 200
    assert reply.json == desk.control.announcement()
    assert reply.json == {**desk.lab.sim.announcement(), "control_url": desk.control.url}


async def test_it_is_no_part_of_the_api(desk: Desk):
    """It has a port of its own, and what happens there is neither recorded nor spoilt."""
    assert desk.control.url not in (desk.lab.sim.base_url, desk.lab.sim.login_url)
    desk.lab.sim.faults.add(Fault(status=500))
    assert (await desk.call("GET", "/faults")).status == 200
    assert desk.lab.sim.count() == 0
    assert (await desk.lab.call("GET", "/faults")).status == 500


async def test_the_switches(open_lab: OpenLab):
    """The switches in force can be read."""
    lab = await open_lab(switches=Switches(user_me=True))
    async with Control(lab.sim) as control:
        reply = await Desk(lab, control).call("GET", "/switches")
    assert reply.json == {**attrs.asdict(Switches()), "user_me": True}


async def test_faults_are_armed_listed_and_disarmed(desk: Desk):
    """One fault or several strike as if armed in Python."""
    one, more = {"route": f"GET {SYSTEM}", "status": 503}, [{"body": "é"}, {"status": 418}]
    reply = await desk.call("POST", "/faults", one)
    assert (reply.status, reply.json) == (201, [one])
    assert (await desk.call("POST", "/faults", more)).json == more
    assert (await desk.call("GET", "/faults")).json == [one, *more]
    assert desk.lab.sim.faults.pending[0] == Fault(route=f"GET {SYSTEM}", status=503)
    assert (await desk.lab.call("GET", SYSTEM)).status == 503
    assert (await desk.lab.call("GET", SYSTEM)).body == "é".encode()
    assert (await desk.call("DELETE", "/faults")).status == 204
    assert (await desk.call("GET", "/faults")).json == []
    assert (await desk.lab.call("GET", SYSTEM)).status == 200


async def test_faults_are_armed_all_or_none(desk: Desk):
    """A bad fault among good ones arms nothing, and is named."""
    text = await desk.refused("POST", "/faults", [{"status": 503}, {"route": "GET /nowhere"}])
    assert text.startswith("[1].route is unknown; there are: ")
    assert f"GET {SYSTEM}" in text
    assert "POST /oauth/token" in text
    assert desk.lab.sim.faults.pending == ()


async def test_faults_of_python_are_shown(desk: Desk):
    """A callable has no JSON; the list names it."""
    desk.lab.sim.faults.add(Fault(route=lambda _: False))
    assert "lambda" in (await desk.call("GET", "/faults")).json[0]["route"]


async def test_the_requests(desk: Desk):
    """The last requests are shown with target, headers without secrets, body and outcome."""
    desk.lab.sim.faults.add(Fault(status=503))
    target = f"/api/v2/users/{desk.lab.user}/presences/purecloud?a=%2F"
    await desk.lab.call("PATCH", target, json={"message": "é"}, headers={"X-A": "b"})
    await desk.lab.call("GET", SYSTEM)
    first, last = (await desk.call("GET", "/requests")).json
    assert first["headers"].pop("Authorization") == "Bearer ***"
    assert first["headers"]["X-A"] == "b"
    assert first["ended_at"] >= first["received_at"]
    for name in ("headers", "received_at", "ended_at"):
        del first[name]
    assert first == {
        "method": "PATCH",
        "target": target,
        "path_template": "/api/v2/users/{userId}/presences/purecloud",
        "body": '{"message":"é"}',
        "token_label": "token-1",
        "status": 503,
        "fault": {"status": 503},
    }
    assert (last["target"], last["status"], last["fault"]) == (SYSTEM, 200, None)
    assert desk.lab.token not in (await desk.call("GET", "/requests")).body.decode()


async def test_the_number_of_requests(desk: Desk):
    """The newest are shown, a hundred unless asked otherwise, until they are forgotten."""
    for _ in range(DEFAULT_LIMIT + 1):
        await desk.lab.call("GET", SYSTEM)
    await desk.lab.call("GET", "/newest")
    everything = (await desk.call("GET", "/requests?limit=1000")).json
    assert len(everything) == DEFAULT_LIMIT + 2
    assert (await desk.call("GET", "/requests")).json == everything[2:]
    assert [one["target"] for one in (await desk.call("GET", "/requests?limit=1")).json] == [
        "/newest"
    ]
    assert (await desk.call("GET", "/requests?limit=0")).json == []
    assert (await desk.call("DELETE", "/requests")).status == 204
    assert (await desk.call("GET", "/requests")).json == []
    assert (await desk.call("GET", "/counts")).json[0]["requests"] == DEFAULT_LIMIT + 1


@pytest.mark.parametrize("resource", ["/requests", "/users"])
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=-1", "limit must be a whole number"),
        ("limit=1e3", "limit must be a whole number"),
        ("limit=", "limit must be a whole number"),
        ("limit=9999999999", "limit must be a whole number"),
        ("limit=%D9%A1", "limit must be a whole number"),
        ("limt=1", "limt is unknown"),
        ("limit", "limit must be a whole number"),
        ("limit=%zz", "malformed escape"),
        ("limit=%FF", "not UTF-8"),
        ("%FF=1", "not UTF-8"),
    ],
)
async def test_bad_queries(desk: Desk, resource: str, query: str, words: str):
    """Whatever is wrong in a query, the error says what."""
    assert words in await desk.refused("GET", f"{resource}?{query}")


async def test_requests_of_any_bytes(desk: Desk):
    """Bodies that are no text are in base64; repeated headers and odd bytes are shown, too."""
    host, port = desk.lab.sim.base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"PUT /a HTTP/1.1\r\nHost: a\r\nX-A: one\r\nX-A: \xff\r\nContent-Length: 1\r\n\r\n\xfe"
    )
    await reader.readline()
    writer.close()
    await writer.wait_closed()
    [shown] = (await desk.call("GET", "/requests")).json
    assert shown["body"] == {"base64": base64.b64encode(b"\xfe").decode()}
    assert shown["headers"]["X-A"] == "one, \N{REPLACEMENT CHARACTER}"
    assert shown["target"] == "/a"
    assert shown["path_template"] is None


async def test_the_counts(desk: Desk):
    """Each route that was asked has its statuses, and how many requests have no answer."""
    desk.lab.sim.faults.add(Fault(status=503), Fault(drop="after"))
    await desk.lab.call("GET", SYSTEM)
    with pytest.raises(aiohttp.ClientError):
        await desk.lab.call("PATCH", NOBODY)
    await desk.lab.call("GET", SYSTEM)
    assert (await desk.call("GET", "/counts")).json == [
        {
            "method": "GET",
            "path_template": SYSTEM,
            "requests": 2,
            "statuses": {"200": 1, "503": 1},
            "unanswered": 0,
        },
        {
            "method": "PATCH",
            "path_template": None,
            "requests": 1,
            "statuses": {},
            "unanswered": 1,
        },
    ]


async def test_tokens_are_revoked(desk: Desk):
    """From then on every token is a 401."""
    assert (await desk.call("POST", "/tokens/revoke")).status == 204
    assert (await desk.lab.call("GET", SYSTEM)).code == "bad.credentials"


async def test_tokens_are_issued(desk: Desk):
    """A token needs no login, and may be a user's, short-lived, or of few permissions."""

    async def issue(**wanted: Any) -> str:
        reply = await desk.call("POST", "/tokens", wanted)
        assert reply.status == 201
        token: str = reply.json["access_token"]
        return token

    plain = (await desk.call("POST", "/tokens")).json["access_token"]
    assert (await desk.lab.call("GET", SYSTEM, token=plain)).status == 200
    users = await issue(user_id=desk.lab.user, client_id=desk.lab.sim.client_id)
    assert (await desk.lab.call("GET", "/api/v2/users/me", token=users)).status == 200
    poor = await issue(permissions=["presence:source:view"], lifetime=None)
    settings_path = "/api/v2/presence/settings"
    assert (await desk.lab.call("GET", settings_path, token=poor)).status == 403
    short = await issue(lifetime=1.5)
    desk.lab.loop.advance(2)
    assert (await desk.lab.call("GET", SYSTEM, token=short)).code == "bad.credentials"


async def test_the_users(desk: Desk):
    """Users are shown in order of creation with the presence that others see."""
    user = desk.lab.sim.organization.user(desk.lab.user)
    everyone = (await desk.call("GET", "/users")).json
    assert [one["id"] for one in everyone] == list(desk.lab.sim.user_ids)
    assert everyone[0] == {
        **attrs.asdict(user),
        "presence": {
            "source": "PURECLOUD",
            "definition_id": BUILT_IN_IDS["Available"],
            "system_presence": "Available",
            "message": "",
        },
    }
    assert (await desk.call("GET", "/users?limit=1")).json == everyone[:1]


@pytest.mark.parametrize(
    "wanted", [{"definition_id": BUILT_IN_IDS["OnQueue"]}, {"system_presence": "on queue"}]
)
async def test_presences_are_set(desk: Desk, wanted: dict[str, Any]):
    """An agent moves: the state changes, and listeners are told."""
    changes: list[Any] = []
    desk.lab.sim.organization.listeners.append(changes.append)
    reply = await desk.call("PUT", f"/users/{desk.lab.user}/presence", wanted)
    assert reply.status == 200
    assert reply.json["system_presence"] == "OnQueue"
    assert [change.user_id for change in changes] == [desk.lab.user]
    assert (await desk.call("GET", "/users?limit=1")).json[0]["presence"] == reply.json
    read = await desk.lab.call("GET", f"/api/v2/users/{desk.lab.user}/presences/purecloud")
    assert read.json["presenceDefinition"]["id"] == BUILT_IN_IDS["OnQueue"]


async def test_presences_of_another_source(desk: Desk):
    """A source can be written and made the one that others see."""
    wanted = {"system_presence": "Meal", "source": "Teams", "message": "soup", "primary": True}
    reply = await desk.call("PUT", f"/users/{desk.lab.user}/presence", wanted)
    assert (reply.json["source"], reply.json["message"]) == ("Teams", "soup")
    assert (await desk.call("GET", "/users")).json[0]["presence"] == reply.json


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "one of definition_id and system_presence is required"),
        ({"definition_id": "a", "system_presence": "Meal"}, "one of definition_id and"),
        ({"definition_id": "a"}, "definition_id names no definition in use"),
        ({"definition_id": None}, "definition_id must be a string"),
        ({"system_presence": "Lunch"}, "system_presence must be a system presence"),
        ({"system_presence": 1}, "system_presence must be a string"),
        ({"system_presence": "Meal", "source": ""}, "source must not be empty"),
        ({"system_presence": "Meal", "primary": "yes"}, "primary must be true or false"),
        ({"system_presence": "Meal", "message": 1}, "message must be a string"),
        ({"systemPresence": "Meal"}, "systemPresence is unknown; there are: definition_id, "),
        ([], "body must be an object"),
    ],
)
async def test_presences_that_are_refused(desk: Desk, body: Any, words: str):
    """What an agent could not do is refused and changes nothing."""
    assert words in await desk.refused("PUT", f"/users/{desk.lab.user}/presence", body)
    presence = (await desk.call("GET", "/users")).json[0]["presence"]
    assert presence["system_presence"] == "Available"


async def test_deactivated_definitions_are_refused(desk: Desk):
    """An agent cannot choose one."""
    body = {"systemPresence": "Meal", "languageLabels": {"en_US": "Soup"}}
    made = await desk.lab.call("POST", "/api/v2/presence/definitions", json=body)
    id_ = made.json["id"]
    await desk.lab.call("DELETE", f"/api/v2/presence/definitions/{id_}")
    path = f"/users/{desk.lab.user}/presence"
    assert "no definition in use" in await desk.refused("PUT", path, {"definition_id": id_})


async def test_unknown_users(desk: Desk):
    """A user who does not exist is a 404."""
    reply = await desk.call("PUT", NOBODY, {"system_presence": "Meal"})
    assert (reply.status, reply.code) == (404, "not.found")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"client_id": "x"}, "client_id names no client"),
        ({"user_id": "x"}, "user_id names no user"),
        ({"user_id": 1}, "user_id must be a string"),
        ({"lifetime": -1}, "lifetime must not be negative"),
        ({"lifetime": "1"}, "lifetime must be a number"),
        ({"permissions": "all"}, "permissions must be an array"),
        ({"permissions": ["a", 1]}, "permissions[1] must be a string"),
        ({"scope": "x"}, "scope is unknown"),
    ],
)
async def test_tokens_that_are_refused(desk: Desk, body: Any, words: str):
    """Whatever is wrong, the error says where."""
    assert words in await desk.refused("POST", "/tokens", body)


async def test_channels_are_disturbed(desk: Desk):
    """The connected channels are listed; one of them, or all, can be closed."""
    lab = desk.lab
    made = (await lab.call("POST", "/api/v2/notifications/channels")).json
    other = (await lab.call("POST", "/api/v2/notifications/channels")).json
    async with (
        lab.http.ws_connect(made["connectUri"]) as one,
        lab.http.ws_connect(other["connectUri"]) as two,
    ):
        assert (await desk.call("GET", "/channels")).json == [made["id"], other["id"]]
        reply = await desk.call("POST", f"/channels/{made['id']}/notice")
        assert (reply.status, reply.json) == (200, {"struck": 1})
        assert "socket_closing" in (await one.receive()).data
        reply = await desk.call("POST", f"/channels/{made['id']}/close", {"code": 1012})
        assert reply.json == {"struck": 1}
        await one.receive()
        assert one.close_code == 1012
        assert (await desk.call("POST", "/channels/*/close")).json == {"struck": 1}
        await two.receive()
        assert two.close_code == Switches().socket_close_code
    assert (await desk.call("POST", "/channels/*/expire")).json == {"struck": 2}
    assert (await desk.call("GET", "/channels")).json == []


@pytest.mark.parametrize("action", ["notice", "close", "drop", "freeze", "expire"])
async def test_channels_that_are_not_there(desk: Desk, action: str):
    """A channel without a socket, or none at all, is a 404; all of no channels are none."""
    reply = await desk.call("POST", f"/channels/nothing/{action}")
    assert (reply.status, reply.code) == (404, "not.found")
    assert (await desk.call("POST", f"/channels/*/{action}")).json == {"struck": 0}


@pytest.mark.parametrize("code", [999, 5000, "1000", 1000.0])
async def test_close_codes(desk: Desk, code: Any):
    """A close code is one that may be sent."""
    assert "code must be" in await desk.refused("POST", "/channels/*/close", {"code": code})


async def test_unknown_addresses(desk: Desk):
    """Another path is a 404, another method a 405 that says which there are."""
    assert (await desk.call("GET", "/fault")).code == "not.found"
    assert (await desk.call("POST", "/channels/a/tickle")).code == "not.found"
    reply = await desk.call("PATCH", "/faults")
    assert (reply.status, reply.code) == (405, "method.not.allowed")
    assert reply.headers["Allow"] == "DELETE, GET, POST"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"status":NaN}', b'{"body":"\\ud800"}', b"[" * 100_000]
)
@pytest.mark.parametrize(("method", "target"), [("POST", "/faults"), ("PUT", "/users/{}/presence")])
async def test_what_is_no_json(desk: Desk, method: str, target: str, body: bytes):
    """A body that is no JSON in UTF-8 is a 400."""
    target = target.format(desk.lab.user)
    assert "malformed JSON" in await desk.refused(method, target, body=body)


async def test_huge_input(desk: Desk):
    """A body beyond the limit is a 413, a large one within it no problem."""
    reply = await desk.call("POST", "/faults", body=b" " * (MAX_BODY_BYTES + 1))
    assert (reply.status, reply.code) == (413, "request.entity.too.large")
    assert "1000 faults at once" in await desk.refused("POST", "/faults", [{}] * 100_000)
    body = "x" * (MAX_BODY_BYTES - 100)
    assert (await desk.call("POST", "/faults", [{"body": body}])).json == [{"body": body}]
    assert (await desk.call("GET", f"/{'a' * 60_000}")).status == 404


async def test_what_is_no_http(desk: Desk):
    """Bytes that are no request get a 400."""
    host, port = desk.control.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"hello\r\n\r\n")
    assert b" 400 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_closing_while_a_call_runs(desk: Desk):
    """A request that is still coming in does not hold the end up."""
    host, port = desk.control.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /faults HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{")
    await asyncio.sleep(1)
    before = desk.lab.loop.time()
    await desk.control.aclose()
    assert desk.lab.loop.time() - before < 1
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    assert desk.lab.sim.faults.pending == ()
    await desk.control.aclose()


async def test_the_address_needs_a_running_endpoint(open_lab: OpenLab):
    """Before the start and after the end there is no address; a taken port is an OSError."""
    lab = await open_lab()
    control = Control(lab.sim)
    with pytest.raises(RuntimeError, match="not running"):
        _ = control.url
    async with control:
        taken = Control(lab.sim, port=int(control.url.rpartition(":")[2]))
        with pytest.raises(OSError, match="in use"):
            await taken.start()
    with pytest.raises(RuntimeError, match="not running"):
        _ = control.url


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104  # nothing is opened
async def test_warning_beyond_loopback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, host: str
):
    """Listening beyond this machine is said loudly."""
    control = Control(Simulator(users=0), host=host)

    async def opened():
        """Open nothing: this test is about the words."""

    monkeypatch.setattr(control._listener, "start", opened)
    with caplog.at_level(logging.WARNING):
        async with control:
            pass
    assert (f"CONTROL ENDPOINT LISTENS ON {host}" in caplog.text) is (host != "127.0.0.1")


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
FIELDS = (
    "status", "body", "delay", "headers", "user_id", "lifetime", "permissions", "message",
    "definition_id", "system_presence", "source", "primary", "code",
)  # fmt: skip
BODIES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    ),
    max_leaves=6,
)


@given(
    body=BODIES.map(orjson.dumps) | st.binary(max_size=20),
    query=st.text("limit=09&%\udcff", max_size=9),
)
def test_nothing_ends_in_a_500(body: bytes, query: str):
    """Whatever is sent to whichever resource, the service has an answer."""
    simulator = Simulator(users=1)
    service = _Service(simulator, dict)
    user = f"/users/{simulator.user_ids[0]}/presence"

    async def ask():
        for method in ("GET", "POST", "PUT"):
            for path in ("/faults", "/requests", "/users", "/tokens", "/channels/*/close", user):
                match = service.match(method, path)
                exchange = Exchange(method, path, query, {}, body, False, "id")
                assert service.answer(exchange, match).status < 500

    clock.run(ask())
