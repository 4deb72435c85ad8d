"""The vendor's SDK on both families of definitions: section 8.2 of the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from contract.vendor import SDK, ApiException, Bench, built_in, error_of

from presence_async.simulator import BUILT_IN_IDS

if TYPE_CHECKING:
    from collections.abc import Callable

LABELS = {"en_US": "Coaching", "de": "Schulung"}


def draft(model: str, system_presence: str = "Busy", **labels: str):
    """A body for POST and PUT of either family."""
    body = getattr(SDK, model)()
    body.language_labels = labels or LABELS
    body.system_presence = system_presence
    return body


def old(operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a deprecated operation; the SDK says so."""
    with pytest.deprecated_call():
        return operation(*arguments, **options)


def current(system_presence: str = "Busy", **labels: str):
    """A body of the current family."""
    return draft("OrganizationPresenceDefinition", system_presence, **labels)


def legacy(system_presence: str = "Busy", **labels: str):
    """A body of the deprecated family."""
    return draft("OrganizationPresence", system_presence, **labels)


def test_get_presence_definitions(bench: Bench):
    """The ten built-in ones in today's shape; the SDK knows every value of their enums."""
    listing = bench.presence.get_presence_definitions()
    assert isinstance(listing, SDK.OrganizationPresenceDefinitionEntityListing)
    assert (listing.total, len(listing.entities)) == (10, 10)
    assert listing.self_uri == "/api/v2/presence/definitions"
    by_id = {one.id: one for one in listing.entities}
    assert set(by_id) == set(BUILT_IN_IDS.values())
    on_queue = by_id[built_in("On Queue")]
    assert on_queue.system_presence == "OnQueue"
    assert (on_queue.type, on_queue.deactivated) == ("System", False)
    assert on_queue.division_id == "*"
    assert on_queue.language_labels
    spelled = {one.system_presence for one in listing.entities}
    assert "outdated_sdk_version" not in spelled
    assert len(spelled) == 10


def test_get_presence_definitions_by_filter(bench: Bench):
    """Flags in any case, arrays with encoded commas, and one locale's labels."""
    one = bench.presence.post_presence_definitions(current())
    bench.presence.delete_presence_definition(one.id)
    for flag in ("true", "TRUE", "True"):
        listing = bench.presence.get_presence_definitions(deactivated=flag, locale_code="de")
        assert [(e.id, e.language_labels) for e in listing.entities] == [
            (one.id, {"de": "Schulung"})
        ]
    listing = bench.presence.get_presence_definitions(
        division_id=[bench.sim.organization.division_id, "*"], locale_code="ALL"
    )
    assert bench.last.target.count("%2C%2A") == 1
    assert listing.total == 10
    with pytest.raises(ApiException) as caught:
        bench.presence.get_presence_definitions(deactivated="maybe")
    assert error_of(caught) == (400, "invalid.value")


def test_post_presence_definitions(bench: Bench):
    """A definition is made with status 201, of type User, with all its labels."""
    made = bench.presence.post_presence_definitions(current("OnQueue"))
    assert bench.last.status == 201
    assert isinstance(made, SDK.OrganizationPresenceDefinition)
    assert (made.type, made.system_presence, made.deactivated) == ("User", "OnQueue", False)
    assert made.language_labels == LABELS
    assert old(bench.presence.get_presencedefinition, made.id).system_presence == "On Queue"


def test_post_presence_definitions_without_labels(bench: Bench):
    """The labels are the one required field."""
    with pytest.raises(ApiException) as caught:
        bench.presence.post_presence_definitions(SDK.OrganizationPresenceDefinition())
    assert error_of(caught) == (400, "bad.request")
    bench.sign_in(None, "presence:presenceDefinition:view")
    with pytest.raises(ApiException) as caught:
        bench.presence.post_presence_definitions(current())
    assert error_of(caught) == (403, "missing.permissions")


def test_get_presence_definition(bench: Bench):
    """One definition in today's shape; an unknown id is a 404."""
    found = bench.presence.get_presence_definition(built_in("On Queue"), locale_code="en_US")
    assert (found.system_presence, found.type) == ("OnQueue", "System")
    assert found.language_labels == {"en_US": "On Queue"}
    with pytest.raises(ApiException) as caught:
        bench.presence.get_presence_definition("nothing")
    assert error_of(caught) == (404, "not.found")


def test_put_presence_definition(bench: Bench):
    """What was read, changed and sent back whole is accepted, read-only fields included."""
    made = bench.presence.post_presence_definitions(current())
    made.language_labels = {"en_US": "Mentoring"}
    changed = bench.presence.put_presence_definition(made.id, made)
    assert changed.language_labels == {"en_US": "Mentoring"}
    assert bench.sent["id"] == made.id
    found = bench.presence.get_presence_definition(made.id, locale_code="ALL")
    assert found.to_dict() == changed.to_dict()


def test_delete_presence_definition(bench: Bench):
    """Deleting deactivates: 204, gone from the list, still there by id, and revivable."""
    made = bench.presence.post_presence_definitions(current())
    assert bench.presence.delete_presence_definition(made.id) is None
    assert bench.last.status == 204
    assert bench.presence.get_presence_definition(made.id).deactivated is True
    assert bench.presence.get_presence_definitions().total == 10
    made.deactivated = False
    assert bench.presence.put_presence_definition(made.id, made).deactivated is False
    with pytest.raises(ApiException) as caught:
        bench.presence.delete_presence_definition(built_in("Busy"))
    assert error_of(caught) == (400, "bad.request")


def test_get_systempresences(bench: Bench):
    """The ten categories by name, in upper snake case."""
    found = bench.presence.get_systempresences()
    assert all(isinstance(one, SDK.SystemPresence) for one in found)
    assert {"AVAILABLE", "ON_QUEUE", "OFFLINE"} <= {one.name for one in found}
    assert len(found) == 10


def test_get_presencedefinitions(bench: Bench):
    """The deprecated list is paged and spells On Queue with a space."""
    page = old(bench.presence.get_presencedefinitions, page_number=2, page_size=4)
    assert bench.last.target.endswith("?pageNumber=2&pageSize=4")
    assert isinstance(page, SDK.OrganizationPresenceEntityListing)
    assert (page.page_number, page.page_size, page.page_count, page.total) == (2, 4, 3, 10)
    whole = old(bench.presence.get_presencedefinitions)
    assert (whole.page_number, whole.page_size, whole.page_count) == (1, 25, 1)
    assert [one.id for one in page.entities] == [one.id for one in whole.entities][4:8]
    on_queue = next(one for one in whole.entities if one.id == built_in("On Queue"))
    assert (on_queue.system_presence, on_queue.primary) == ("On Queue", True)
    assert (on_queue.name, on_queue.created_by, on_queue.created_date) == (None, None, None)


def test_get_presencedefinitions_by_filter(bench: Bench):
    """Active, deactivated or all of them, in any case of the flag."""
    made = old(bench.presence.post_presencedefinitions, legacy())
    old(bench.presence.delete_presencedefinition, made.id)
    totals = {
        flag: old(bench.presence.get_presencedefinitions, deleted=flag).total
        for flag in ("false", "FALSE", "true", "TRUE", "all", "ALL")
    }
    assert list(totals.values()) == [10, 10, 1, 1, 11, 11]


def test_post_presencedefinitions(bench: Bench):
    """The deprecated family answers 200 and writes to the same store."""
    made = old(bench.presence.post_presencedefinitions, legacy("On Queue"))
    assert bench.last.status == 200
    assert isinstance(made, SDK.OrganizationPresence)
    assert (made.system_presence, made.primary, made.deactivated) == ("On Queue", False, False)
    assert made.language_labels == LABELS
    assert bench.presence.get_presence_definition(made.id).system_presence == "OnQueue"


def test_get_presencedefinition(bench: Bench):
    """One underscore less than its successor, and the other shape."""
    found = old(bench.presence.get_presencedefinition, built_in("On Queue"), locale_code="en_US")
    assert isinstance(found, SDK.OrganizationPresence)
    assert (found.system_presence, found.primary) == ("On Queue", True)
    assert found.language_labels == {"en_US": "On Queue"}


def test_put_presencedefinition(bench: Bench):
    """Labels change; the system presence cannot."""
    made = old(bench.presence.post_presencedefinitions, legacy())
    changed = old(bench.presence.put_presencedefinition, made.id, legacy(en_US="Mentoring"))
    assert (changed.id, changed.language_labels) == (made.id, {"en_US": "Mentoring"})
    with pytest.raises(ApiException) as caught:
        old(bench.presence.put_presencedefinition, made.id, legacy("Away"))
    assert error_of(caught)[0] == 400


def test_delete_presencedefinition(bench: Bench):
    """Deleting deactivates in both families."""
    made = old(bench.presence.post_presencedefinitions, legacy())
    assert old(bench.presence.delete_presencedefinition, made.id) is None
    assert old(bench.presence.get_presencedefinition, made.id).deactivated is True
    assert bench.presence.get_presence_definition(made.id).deactivated is True
