"""Presence definitions: one store, shown in the shapes of two API families.

The built-in records, their ids and the life cycle are those of the vendor's Terraform provider
and the answer captured in its tests; the spellings of a system presence those of that answer, of
the enum in the Python SDK 269.0.0 and of the vendor's event sample.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import attrs

from presence_async.simulator.errors import ApiError, bad_request, invalid_value, not_found
from presence_async.simulator.identity import uuid_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from presence_async.simulator.switches import Switches

Family = Literal["current", "legacy"]

ALL_DIVISIONS = "*"
AVAILABLE = "Available"
OFFLINE = "Offline"
ON_QUEUE = "OnQueue"

BUILT_IN_IDS = {
    "Available": "6a3af858-942f-489d-9700-5f9bcdcdae9b",
    "Busy": "31fe3bac-dea6-44b7-bed7-47f91660a1a0",
    "Idle": "7ffa01cd-7866-4ad7-8faa-31e11b42f51f",
    "Away": "5e5c5c66-ea97-4e7f-ac41-6424784829f2",
    "Meeting": "bbdff279-7ae1-48ea-bade-7831d7234c64",
    "Meal": "3fd96123-badb-4f69-bc03-1b1ccc6d8014",
    "Training": "d2390a99-8546-bad9-8f0a-219548e8aeb0",
    "OnQueue": "e08eaf1b-ee47-4fa9-a231-1200e284798f",
    "Break": "227b37e2-f1d0-4dd0-8f50-badd7cf6d158",
    "Offline": "ccf3c10a-aa2c-4845-8e8d-f59fa48c58e5",
}
_FRENCH = {"Available": "Disponible", "Busy": "Occupé", "OnQueue": "En file d'attente"}

LOCALES = frozenset(
    (
        "ALL", "he", "fr", "en_US", "da", "de", "it", "cs", "es", "fi", "ar", "ja", "ko",
        "nl", "no", "pl", "pt_BR", "pt_PT", "ru", "sv", "th", "tr", "uk", "zh_CN", "zh_TW",
    )
)  # fmt: skip


def spaced(system_presence: str) -> str:
    """The spelling of legacy definitions and user presences: `On Queue`."""
    return "On Queue" if system_presence == ON_QUEUE else system_presence


def shouted(system_presence: str) -> str:
    """The spelling of events and system presences: `ON_QUEUE`."""
    return "ON_QUEUE" if system_presence == ON_QUEUE else system_presence.upper()


_CANONICAL = {name.lower(): name for name in BUILT_IN_IDS}


def canonical(text: str) -> str:
    """A system presence as the current enum spells it; ApiError 400 for anything else."""
    name = _CANONICAL.get(text.replace(" ", "").replace("_", "").lower())
    if name is None:
        raise invalid_value("systemPresence", text)
    return name


@attrs.frozen
class Definition:
    """A presence definition; `system_presence` is spelled as in the current enum.

    `family` is the only one that shows it, None for both.
    """

    id: str
    system_presence: str
    labels: Mapping[str, str]
    type: Literal["System", "User"] = "User"
    division_id: str = ALL_DIVISIONS
    deactivated: bool = False
    name: str | None = None
    readable_from: float = 0.0
    family: Family | None = None


@attrs.frozen(kw_only=True)
class DefinitionDraft:
    """What a client may say about a definition; None keeps what is there."""

    labels: Mapping[str, str]
    system_presence: str | None = None
    division_id: str | None = None
    deactivated: bool | None = None
    name: str | None = None
    type: str | None = None


class Definitions:
    """All definitions of the organization, built-in ones first."""

    def __init__(self, seed: int, switches: Switches, monotonic: Callable[[], float]) -> None:
        self._seed = seed
        self._switches = switches
        self._monotonic = monotonic
        self._built_in = dict(BUILT_IN_IDS)
        if not switches.fixed_builtin_ids:
            names = enumerate(BUILT_IN_IDS)
            self._built_in = {name: uuid_for(seed, "builtin", i) for i, name in names}
        built_in = (_built_in_record(name, id_) for name, id_ in self._built_in.items())
        self._records = {record.id: record for record in built_in}
        self.by_id: Mapping[str, Definition] = MappingProxyType(self._records)

    def built_in(self, system_presence: str) -> Definition:
        """The built-in definition of a system presence, spelled as in the enum."""
        return self._records[self._built_in[system_presence]]

    def get(self, definition_id: str, family: Family | None = None) -> Definition:
        """A definition as seen from a family or from anywhere; ApiError 404 for none."""
        record = self._records.get(definition_id)
        if record is None or self._too_new(record) or not _seen(record, family):
            raise not_found("presence definition", definition_id)
        return record

    def shown(self, definition_id: str) -> Definition:
        """What users on a definition show, which a deactivation may change."""
        record = self._records[definition_id]
        if record.deactivated and not self._switches.deactivated_stays:
            return self.built_in(record.system_presence)
        return record

    def listing(
        self, *, deactivated: bool | None, family: Family | None = None
    ) -> list[Definition]:
        """The active ones, the deactivated ones, or (None) all, as a family shows them."""
        return [
            record
            for record in self._records.values()
            if deactivated in (None, record.deactivated)
            and not self._too_new(record)
            and _seen(record, family)
        ]

    def add(self, draft: DefinitionDraft, family: Family | None = None) -> Definition:
        """Create a definition of type User; ApiError 400, or 409 by switch."""
        if draft.system_presence is None:
            raise bad_request("systemPresence is required")
        if draft.type not in (None, "User"):
            raise invalid_value("type", draft.type)
        self._check_labels(draft)
        # The monotonic clock is only asked when there is a lag to measure.
        lag = self._switches.definition_read_lag
        record = Definition(
            id=uuid_for(self._seed, "definition", len(self._records)),
            system_presence=canonical(draft.system_presence),
            labels=draft.labels,
            division_id=draft.division_id or ALL_DIVISIONS,
            deactivated=bool(draft.deactivated),
            name=draft.name,
            readable_from=self._monotonic() + lag if lag else 0.0,
            family=None if self._switches.shared_definitions else family,
        )
        self._records[record.id] = record
        return record

    def replace(self, definition_id: str, draft: DefinitionDraft) -> Definition:
        """Change a definition; what the draft leaves out stays. ApiError 404 or 400."""
        record = self._editable(definition_id)
        if draft.type not in (None, record.type):
            raise invalid_value("type", draft.type)
        wanted = draft.system_presence
        if (
            wanted is not None
            and canonical(wanted) != record.system_presence
            and self._switches.system_presence_change == "reject"
        ):
            raise bad_request("systemPresence cannot be changed")
        deactivated = record.deactivated if draft.deactivated is None else draft.deactivated
        if record.deactivated and not deactivated and not self._switches.reactivation:
            raise bad_request("A deactivated definition cannot be activated again")
        changed = attrs.evolve(
            record,
            labels=draft.labels,
            division_id=draft.division_id or record.division_id,
            deactivated=deactivated,
            name=draft.name or record.name,
        )
        self._records[definition_id] = changed
        return changed

    def deactivate(self, definition_id: str) -> Definition:
        """Deactivate a definition, which is all that deleting does; ApiError 404 or 400."""
        changed = attrs.evolve(self._editable(definition_id), deactivated=True)
        self._records[definition_id] = changed
        return changed

    def _editable(self, definition_id: str) -> Definition:
        record = self.get(definition_id)
        if record.type == "System" and self._switches.system_definition_edit == "reject":
            raise bad_request("A System presence definition cannot be changed")
        return record

    def _check_labels(self, draft: DefinitionDraft) -> None:
        if not self._switches.duplicate_label_conflict:
            return
        labels = set(draft.labels.items())
        if any(labels & set(record.labels.items()) for record in self._records.values()):
            raise ApiError(409, "general.conflict", "A definition with this label exists")

    def _too_new(self, record: Definition) -> bool:
        return record.readable_from > 0 and self._monotonic() < record.readable_from


def _seen(record: Definition, family: Family | None) -> bool:
    return family is None or record.family in (None, family)


def _built_in_record(name: str, definition_id: str) -> Definition:
    labels = {"en_US": spaced(name)}
    if name in _FRENCH:
        labels["fr"] = _FRENCH[name]
    return Definition(definition_id, name, labels, type="System")


def narrow_labels(labels: Mapping[str, str], locale: str | None) -> dict[str, str]:
    """The labels of one locale, of `ALL`, or by default of `en_US`; else all there are.

    The field is required, and the recorded list shows "mostly" `en_US`.
    """
    if locale != "ALL":
        for wanted in (locale or "en_US", "en_US"):
            if wanted in labels:
                return {wanted: labels[wanted]}
    return dict(labels)


def current_json(record: Definition, locale: str | None) -> dict[str, Any]:
    """The shape of `/api/v2/presence/definitions` (OrganizationPresenceDefinition)."""
    shape: dict[str, Any] = {"id": record.id}
    if record.name is not None:
        shape["name"] = record.name
    shape["type"] = record.type
    shape["languageLabels"] = narrow_labels(record.labels, locale)
    shape["systemPresence"] = record.system_presence
    shape["divisionId"] = record.division_id
    shape["deactivated"] = record.deactivated
    shape["selfUri"] = f"/api/v2/presence/definitions/{record.id}"
    return shape


def legacy_json(record: Definition, locale: str | None) -> dict[str, Any]:
    """The recorded shape of `/api/v2/presencedefinitions`: these fields and no more."""
    return {
        "id": record.id,
        "languageLabels": narrow_labels(record.labels, locale),
        "systemPresence": spaced(record.system_presence),
        "deactivated": record.deactivated,
        "primary": record.type == "System",
    }


def reference_json(record: Definition) -> dict[str, Any]:
    """The reference inside a user presence (PresenceDefinition)."""
    return {
        "id": record.id,
        "systemPresence": spaced(record.system_presence),
        "selfUri": f"/api/v2/presencedefinitions/{record.id}",
    }
