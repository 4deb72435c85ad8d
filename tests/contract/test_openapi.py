"""The OpenAPI file of the Presence API, run against the simulator by schemathesis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import requests
import schemathesis
from contract.vendor import Bench
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.generation.meta import CoveragePhaseData, CoverageScenario

from presence_async.simulator import BUILT_IN_IDS, Simulator, Switches
from presence_async.simulator.records import SourceDraft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILE = Path(__file__).parents[1] / "data" / "presence-openapi.json"
SPEC: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
for schema in SPEC["components"]["schemas"].values():
    if "properties" in schema:  # the simulator makes up no fields
        schema.setdefault("additionalProperties", False)
OPERATIONS = [
    (method, path, operation)
    for path, methods in SPEC["paths"].items()
    for method, operation in methods.items()
    if method != "servers"
]
WITH_BODY = [
    pytest.param(method, path, id=f"{method} {path}")
    for method, path, operation in OPERATIONS
    if "requestBody" in operation and path != "/oauth/token"
]
TOKEN = "POST /oauth/token"

# How many examples per operation, how many histories, and how long each one is.
EXAMPLES, HISTORIES, STEPS = 15, 15, 15
SECONDS = 5.0  # no answer takes this long

# What schemathesis checks by itself and what does not hold here, with the reason.
LEFT_OUT = {
    # Not every input that fits the schema is good: ids have to exist, for one.
    "positive_data_acceptance",
    # The vendor's own SDKs send lenient forms, and the vendor ignores what it does not know.
    "negative_data_rejection",
    # Deleting deactivates: the record can still be read. Deleting all subscriptions of a
    # channel leaves the channel.
    "use_after_free",
    # A definition just made may be deactivated by the next step, which is no surprise.
    "ensure_resource_availability",
    # Two templates may fit one path: `PATCH .../presences/microsoftteams` is an ad hoc source.
    "allow_header_conformance",
}


# An organization of the same seed has the same ids.
TWIN = Simulator(users=4)
SOURCE = SourceDraft(name="Badge reader")
SOURCE_ID = TWIN.organization.source_store.add(SOURCE).id
KNOWN = {
    "users": TWIN.user_ids,
    "definitions": tuple(BUILT_IN_IDS.values()),
    "items": (*TWIN.user_ids, f"v2.users.{TWIN.user_ids[0]}.presence"),
    "names": ("On Queue", "OnQueue", "BUSY"),
    "registered": (SOURCE_ID,),
    "sources": ("PURECLOUD", "purecloud", "Lync", SOURCE_ID),
}
# Where ids that exist are usually put, so that more than a 404 is seen.
PLACES = {
    "path.userId": "users",
    "path.presenceId": "definitions",
    "path.definitionId": "definitions",
    "path.sourceId": "sources",
    "body.systemPresence": "names",
    "body.sourceId": "sources",
    "body.presenceDefinition.id": "definitions",
    "body.[*].id": "items",
    "body.[*].presenceDefinition.id": "definitions",
    "body.userPresenceEvents.[*].userId": "users",
    "body.userPresenceEvents.[*].sourceId": "registered",
    "body.userPresenceEvents.[*].presenceDefinitionId": "definitions",
}
# Required fields that may not be empty, whatever their schema says.
FILLED = {"languageLabels": {"en_US": "Coaching"}, "systemPresence": "Busy", "name": "Door"}
CONFIG = SchemathesisConfig.from_dict(
    {
        "seed": 2026,
        "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
        "checks": {name: {"enabled": False} for name in LEFT_OUT},
        "dictionaries": {name: {"values": list(values)} for name, values in KNOWN.items()},
        "parameters": {
            place: {"dictionary": name, "probability": 0.8} for place, name in PLACES.items()
        },
    }
)
API = schemathesis.openapi.from_dict(SPEC, config=CONFIG)


@schemathesis.check
def errors_are_whole(ctx: Any, response: Any, case: Any) -> None:
    """An answer from 400 on is an ErrorBody, and at the token endpoint an OAuthError."""
    if response.status_code < 400 or response.request.method == "HEAD":
        return
    body = orjson.loads(response.content)
    if case.operation.label == TOKEN and response.status_code != 405:
        assert body["error"]
        assert body["description"] == body["error_description"]
        return
    assert body["status"] == response.status_code
    assert [body["contextId"]] == response.headers["inin-correlation-id"]
    assert body["code"]
    assert body["message"]


@schemathesis.check
def required_fields_are_required(ctx: Any, response: Any, case: Any) -> None:
    """A body without a required field is refused."""
    data = case.meta.phase.data
    if (
        isinstance(data, CoveragePhaseData)
        and data.scenario == CoverageScenario.OBJECT_MISSING_REQUIRED_PROPERTY
    ):
        assert 400 <= response.status_code < 500


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """A simulator with all 41 operations, the removed one included."""
    with Bench(switches=Switches(microsoft_teams_route=True)) as opened:
        opened.sim.organization.source_store.add(SOURCE)
        yield opened


@pytest.fixture(scope="module")
def caller(bench: Bench) -> dict[str, Any]:
    """Where calls go, and as whom: a user who may do everything."""
    token = bench.inside(bench.sim.issue_token, None, bench.user)
    return {
        "base_url": bench.sim.base_url,
        "headers": {"Authorization": f"Bearer {token}"},
        "timeout": SECONDS,
    }


@pytest.fixture(scope="module")
def existing(caller: dict[str, Any]) -> Callable[[str], dict[str, str]]:
    """For a template, a value that exists for each of its parameters."""

    def made(path: str, body: object = None) -> str:
        url = caller["base_url"] + path
        answer = requests.post(url, json=body, headers=caller["headers"], timeout=SECONDS)
        identity: str = answer.json()["id"]
        return identity

    definition = made(
        "/api/v2/presence/definitions",
        {"languageLabels": {"en_US": "Coaching"}, "systemPresence": "Busy"},
    )
    channel = made("/api/v2/notifications/channels")

    def values(path: str) -> dict[str, str]:
        registered = path.startswith("/api/v2/presence/sources/")
        return {
            "userId": TWIN.user_ids[0],
            "presenceId": definition,
            "definitionId": definition,
            "sourceId": SOURCE_ID if registered else "PURECLOUD",
            "channelId": channel,
            "ucIntegrationId": "ZoomPhone",
        }

    return values


def settle(case: Any, existing: dict[str, str]) -> None:
    """Point a systematic case at what exists, where that is not what it is about.

    Only the random cases know of `PLACES`; the others would see little more than 404.
    """
    data = case.meta.phase.data
    if isinstance(data, CoveragePhaseData) and data.parameter_location != ParameterLocation.PATH:
        case.path_parameters.update(
            {name: existing[name] for name in case.path_parameters if name in existing}
        )
        if isinstance(case.body, dict) and case.meta.generation.mode == GenerationMode.POSITIVE:
            case.body.update({name: FILLED[name] for name in case.body if name in FILLED})


@API.parametrize()
def test_every_operation_answers_as_documented(
    case: Any, caller: dict[str, Any], existing: Callable[[str], dict[str, str]]
):
    """Documented statuses, schemas, content types and headers; no 500, no hang."""
    settle(case, existing(case.operation.path))
    case.call_and_validate(**caller)


def test_histories_answer_as_documented(caller: dict[str, Any]):
    """The same for operations that feed on each other's answers."""

    class Histories(API.as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return caller

    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],  # what the simulator holds by then cannot be replayed
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_malformed_bodies_are_refused(
    caller: dict[str, Any], existing: Callable[[str], dict[str, str]], method: str, path: str
):
    """What is no JSON of the right kind is a 400 with an ErrorBody, whatever it is."""
    url = caller["base_url"] + path.format_map(existing(path))
    headers = caller["headers"] | {"Content-Type": "application/json"}
    for body in (b"", b"{", b"\xff\xfe", b"nul", b"1", b'"text"', b"[" * 100_000, b"[1]", b"null"):
        answer = requests.request(method, url, data=body, headers=headers, timeout=SECONDS)
        error = answer.json()
        assert (answer.status_code, error["status"]) == (400, 400), body
        assert error["code"] == "bad.request"
        assert error["contextId"] == answer.headers["ININ-Correlation-Id"]


def test_all_operations_are_run():
    """The file has 41 operations; none is left out."""
    assert len(OPERATIONS) == len(list(API.get_all_operations())) == 41
