"""Presence definitions: the store and its two projections."""

from collections.abc import Callable
from typing import Any

import pytest

from presence_async.simulator.definitions import (
    BUILT_IN_IDS,
    DefinitionDraft,
    Definitions,
    canonical,
    current_json,
    legacy_json,
    narrow_labels,
    reference_json,
    shouted,
    spaced,
)
from presence_async.simulator.errors import ApiError
from presence_async.simulator.switches import Switches

NOW = [0.0]


def store(**switches: Any):
    """Return a store under some switches."""
    return Definitions(0, Switches(**switches), lambda: NOW[0])


def draft(**values: Any):
    """Return a draft with a label."""
    return DefinitionDraft(**{"labels": {"en_US": "Lunch"}, **values})


def refused(attempt: Callable[[], object]):
    """Return the status of the refusal."""
    with pytest.raises(ApiError) as caught:
        attempt()
    return caught.value.status


def test_three_spellings():
    """On Queue has three spellings, and each is understood."""
    assert (spaced("OnQueue"), shouted("OnQueue")) == ("On Queue", "ON_QUEUE")
    assert (spaced("Meal"), shouted("Meal")) == ("Meal", "MEAL")
    for text in ("On Queue", "OnQueue", "ON_QUEUE", "on queue"):
        assert canonical(text) == "OnQueue"
    assert refused(lambda: canonical("Sleeping")) == 400


def test_built_in_records():
    """There are ten, with the well-known ids, of type System and for all divisions."""
    records = store().listing(deactivated=None)
    assert [record.id for record in records] == list(BUILT_IN_IDS.values())
    assert {record.type for record in records} == {"System"}
    assert store().built_in("OnQueue").id == "e08eaf1b-ee47-4fa9-a231-1200e284798f"


def test_built_in_ids_may_differ():
    """By switch the built-in ids are not the well-known ones."""
    ids = {record.id for record in store(fixed_builtin_ids=False).listing(deactivated=None)}
    assert len(ids) == 10
    assert ids.isdisjoint(BUILT_IN_IDS.values())


def test_current_shape():
    """The current family spells OnQueue and names type and division."""
    assert current_json(store().built_in("OnQueue"), "ALL") == {
        "id": "e08eaf1b-ee47-4fa9-a231-1200e284798f",
        "type": "System",
        "languageLabels": {"en_US": "On Queue", "fr": "En file d'attente"},
        "systemPresence": "OnQueue",
        "divisionId": "*",
        "deactivated": False,
        "selfUri": "/api/v2/presence/definitions/e08eaf1b-ee47-4fa9-a231-1200e284798f",
    }


def test_legacy_shape():
    """The legacy family has exactly the recorded fields."""
    assert legacy_json(store().built_in("OnQueue"), None) == {
        "id": "e08eaf1b-ee47-4fa9-a231-1200e284798f",
        "languageLabels": {"en_US": "On Queue"},
        "systemPresence": "On Queue",
        "deactivated": False,
        "primary": True,
    }


def test_reference_shape():
    """Inside a presence a definition is three fields, linked to the legacy family."""
    assert reference_json(store().built_in("OnQueue")) == {
        "id": "e08eaf1b-ee47-4fa9-a231-1200e284798f",
        "systemPresence": "On Queue",
        "selfUri": "/api/v2/presencedefinitions/e08eaf1b-ee47-4fa9-a231-1200e284798f",
    }


def test_labels_are_narrowed():
    """One locale is shown, en_US by default and as a fallback, all on demand or at need."""
    labels = {"en_US": "Lunch", "fr": "Repas"}
    assert narrow_labels(labels, None) == {"en_US": "Lunch"}
    assert narrow_labels(labels, "fr") == {"fr": "Repas"}
    assert narrow_labels(labels, "de") == {"en_US": "Lunch"}
    assert narrow_labels(labels, "ALL") == labels
    assert narrow_labels({"hi": "x", "pt": "y"}, None) == {"hi": "x", "pt": "y"}


def test_adding():
    """A new record is of type User, with a fresh id and what the draft says."""
    definitions = store()
    record = definitions.add(draft(system_presence="Meal", division_id="d", name="n"))
    assert (record.type, record.division_id, record.deactivated) == ("User", "d", False)
    assert current_json(record, None)["name"] == "n"
    assert definitions.get(record.id) == record
    assert definitions.add(draft(system_presence="Meal")).id != record.id


def test_adding_is_refused():
    """No system presence and type System are 400; labels in use are 409 by switch."""
    assert refused(lambda: store().add(draft())) == 400
    assert refused(lambda: store().add(draft(system_presence="Meal", type="System"))) == 400
    strict = store(duplicate_label_conflict=True)
    strict.add(draft(system_presence="Meal", type="User"))
    assert refused(lambda: strict.add(draft(system_presence="Away"))) == 409


def test_new_records_may_lag():
    """With a lag a new record is a 404 for a moment, in reads and lists."""
    definitions = store(definition_read_lag=2.0)
    NOW[0] = 10.0
    record = definitions.add(draft(system_presence="Meal"))
    assert refused(lambda: definitions.get(record.id)) == 404
    assert record not in definitions.listing(deactivated=None)
    NOW[0] = 12.0
    assert definitions.get(record.id) == record


def test_replacing():
    """A change keeps what the draft leaves out."""
    definitions = store()
    old = definitions.add(draft(system_presence="Meal", division_id="d", name="n"))
    new = definitions.replace(old.id, draft(labels={"de": "Essen"}, system_presence="Meal"))
    assert new.labels == {"de": "Essen"}
    assert (new.division_id, new.name) == ("d", "n")
    changed = definitions.replace(
        old.id, draft(division_id="e", name="m", deactivated=True, type="User")
    )
    assert (changed.division_id, changed.name, changed.deactivated) == ("e", "m", True)


def test_replacing_is_refused():
    """Another system presence or type, built-in records and unknown ids are refused."""
    definitions = store()
    record = definitions.add(draft(system_presence="Meal"))
    assert refused(lambda: definitions.replace(record.id, draft(system_presence="Away"))) == 400
    assert refused(lambda: definitions.replace(record.id, draft(type="System"))) == 400
    assert refused(lambda: definitions.replace(BUILT_IN_IDS["Meal"], draft())) == 400
    assert refused(lambda: definitions.deactivate(BUILT_IN_IDS["Meal"])) == 400
    assert refused(lambda: definitions.replace("nope", draft())) == 404


def test_lenient_switches():
    """By switch a new system presence is ignored and built-in records can be changed."""
    definitions = store(system_presence_change="ignore", system_definition_edit="allow")
    meal = BUILT_IN_IDS["Meal"]
    changed = definitions.replace(meal, draft(system_presence="Away"))
    assert (changed.system_presence, changed.labels) == ("Meal", {"en_US": "Lunch"})
    assert definitions.deactivate(meal).deactivated


def test_deactivating_and_reviving():
    """Deleting hides a record from lists only, and a change revives it unless forbidden."""
    for reactivation in (True, False):
        definitions = store(reactivation=reactivation)
        record = definitions.add(draft(system_presence="Meal"))
        definitions.deactivate(record.id)
        assert definitions.get(record.id).deactivated
        assert record.id not in [one.id for one in definitions.listing(deactivated=False)]
        assert [one.id for one in definitions.listing(deactivated=True)] == [record.id]
        if reactivation:
            assert not definitions.replace(record.id, draft(deactivated=False)).deactivated
        else:
            revive = draft(deactivated=False)
            assert refused(lambda d=definitions, r=record, v=revive: d.replace(r.id, v)) == 400


def test_what_users_on_a_deactivated_definition_show():
    """The definition stays on its users, or by switch the built-in one takes over."""
    for stays in (True, False):
        definitions = store(deactivated_stays=stays)
        record = definitions.add(draft(system_presence="Meal"))
        assert definitions.shown(record.id) == record
        definitions.deactivate(record.id)
        expected = record.id if stays else BUILT_IN_IDS["Meal"]
        assert definitions.shown(record.id).id == expected
