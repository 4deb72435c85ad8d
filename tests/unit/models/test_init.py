"""The models against the vendor's description of them."""

import json
from pathlib import Path

import attrs
import pytest

from presence_async import models

DATA = Path(__file__).parents[2] / "data" / "presence-openapi.json"
SCHEMAS = json.loads(DATA.read_bytes())["components"]["schemas"]
MODELS = {
    name: value
    for name in models.__all__
    if isinstance(value := getattr(models, name), type)
    and issubclass(value, models.Model)
    and value is not models.Model
}
NO_MODEL = {  # forms and frames that other modules write and read themselves
    "AuthorizationCodeGrant",
    "BatchUserPresenceEventRequest",  # a list under one name, written by client.events
    "ClientCredentialsGrant",
    "ClientPing",
    "HeartbeatBody",
    "NotificationFrame",
    "OAuthError",
    "PresenceEventDefinition",  # a PresenceDefinition that never has a self_uri
    "RefreshTokenGrant",
    "Saml2BearerGrant",
    "TokenResponse",
}


# What `client.events.inject` fills in where it is left out.
FILLED_IN = {"UserPresenceEvent": {"eventId", "eventDateTime"}}


def wire_names(cls: type) -> set[str]:
    """Camel case, spelled out here independently of the converter."""
    ours = {"extra", "failures"}
    names = [field.name for field in attrs.fields(cls) if field.name not in ours]
    return {name[0] + name.title().replace("_", "")[1:] for name in names}


def test_every_schema_has_a_model_or_needs_none():
    """No schema of the vendor's description is forgotten."""
    assert SCHEMAS.keys() - MODELS.keys() == NO_MODEL
    assert MODELS.keys() - SCHEMAS.keys() == {"AgentActivityPresence", "Division"}


@pytest.mark.parametrize("name", sorted(MODELS.keys() & SCHEMAS.keys()))
def test_fields_are_those_of_the_schema(name: str):
    """A model has exactly the fields of the schema of the same name."""
    assert wire_names(MODELS[name]) == SCHEMAS[name]["properties"].keys()


def test_nested_models_have_the_fields_of_their_place():
    """The two models without a schema of their own match where they are used."""
    division = SCHEMAS["User"]["properties"]["division"]
    assert wire_names(models.Division) == division["properties"].keys()
    presence = SCHEMAS["AgentActivityEvent"]["properties"]["presence"]
    assert wire_names(models.AgentActivityPresence) == presence["properties"].keys()


def test_the_definition_of_an_event_is_that_of_a_presence():
    """A part of it: one model does for both."""
    names = SCHEMAS["PresenceEventDefinition"]["properties"].keys()
    assert names < wire_names(models.PresenceDefinition)


@pytest.mark.parametrize("name", sorted(MODELS.keys() & SCHEMAS.keys()))
def test_required_fields_are_those_of_the_schema(name: str):
    """Arguments without a default are what the schema requires, but for what is filled in."""
    required = {f.name for f in attrs.fields(MODELS[name]) if f.default is attrs.NOTHING}
    names = {name[0] + name.title().replace("_", "")[1:] for name in required}
    assert names == set(SCHEMAS[name].get("required", ())) - FILLED_IN.get(name, set())


def test_everything_exported_exists():
    """The list of exports is sorted like the linter wants it and free of stale names."""
    assert all(hasattr(models, name) for name in models.__all__)
