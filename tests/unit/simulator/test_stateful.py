"""The organization and its tokens against small models of them, whatever happens in what order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from presence_async.simulator import BUILT_IN_IDS, ApiError, PrimarySource, Switches
from presence_async.simulator.definitions import current_json, legacy_json, shouted
from presence_async.simulator.exchange import Fields
from presence_async.simulator.oauth import Authority, OAuthClient
from presence_async.simulator.operations.definitions import read_draft
from presence_async.simulator.organization import Organization
from presence_async.simulator.records import Settings, SourceDraft, source_json, wire_date

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async.simulator.definitions import Definition
    from presence_async.simulator.records import Change

SETTINGS = settings(
    max_examples=25, stateful_step_count=40, deadline=None, derandomize=True, database=None
)
# Legacy and user presence, current, events: the three spellings of the vendor's documents.
SPELLINGS = {
    "Available": ("Available", "AVAILABLE"),
    "Busy": ("Busy", "BUSY"),
    "Idle": ("Idle", "IDLE"),
    "Away": ("Away", "AWAY"),
    "Meeting": ("Meeting", "MEETING"),
    "Meal": ("Meal", "MEAL"),
    "Training": ("Training", "TRAINING"),
    "OnQueue": ("On Queue", "ON_QUEUE"),
    "Break": ("Break", "BREAK"),
    "Offline": ("Offline", "OFFLINE"),
}
SYSTEM = st.sampled_from(sorted(SPELLINGS))
LABELS = st.dictionaries(st.sampled_from(["en_US", "fr", "de"]), st.text(max_size=4), min_size=1)
# Stand for a record that is there by then. Few numbers: the same record is to be met often.
INDEX = st.integers(0, 3)
NAME = st.integers(0, 5)
MAYBE = st.none() | st.booleans()
MAYBE_INDEX = st.none() | INDEX
AD_HOC = ["PURECLOUD", "PureCloud", "Lync", "LYNC"]
START = 1_767_225_600.0


def refused(attempt: Callable[[], object]) -> int:
    """Return the status of the refusal."""
    with pytest.raises(ApiError) as caught:
        attempt()
    return caught.value.status


@attrs.define
class Kind:
    """What the model knows of a definition."""

    system: str
    labels: dict[str, str]
    built_in: bool = False
    off: bool = False


@attrs.define
class Origin:
    """What the model knows of a registered source."""

    name: str
    off: bool = False


@attrs.define
class State:
    """What the model knows of a user on a source."""

    source: str
    kind: str
    message: str = ""
    at: float = START
    wish: str | None = None


class OrganizationMachine(RuleBasedStateMachine):
    """Definitions, presences, primary sources, registered sources and settings."""

    kept = stays = revive = True

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.real = Organization(
            users=2,
            seed=0,
            switches=Switches(
                presence_extras=True,
                system_definition_edit="allow",
                message_kept=self.kept,
                deactivated_stays=self.stays,
                reactivation=self.revive,
            ),
            wall_clock=lambda: self.now,
            monotonic=lambda: 0.0,
        )
        self.users = list(self.real.users)
        self.kinds = {id_: Kind(name, {}, built_in=True) for name, id_ in BUILT_IN_IDS.items()}
        self.origins: dict[str, Origin] = {}
        self.states: dict[tuple[str, str], State] = {}
        self.chosen: dict[str, str] = {}
        self.default: str | None = None
        self.seen: dict[tuple[str, str], float] = {}
        self.told: list[tuple[Change, Any]] = []
        self.real.listeners.append(self._listen)

    def _listen(self, change: Change) -> None:
        read = None
        if change.presence is not None:
            there = self.real.presence(change.user_id, change.presence.source)
            read = self.real.presence_json(change.user_id, there)
        self.told.append((change, read))

    # --- the model -----------------------------------------------------------------------

    def primary(self, user: str) -> str:
        """The source others see, by the model."""
        return self.chosen.get(user, self.default or "PURECLOUD")

    def state(self, user: str, source: str) -> State | None:
        """The presence of a user on a source, by the model."""
        found = self.states.get((user, source.lower()))
        if found is None and source.lower() == "purecloud":
            return State("PURECLOUD", BUILT_IN_IDS["Available"])
        return found

    def shape(self, user: str, state: State) -> dict[str, Any]:
        """A presence as it should read."""
        shape = {
            "sourceId": state.source,
            "presenceDefinition": self.reference(state.kind),
            "message": state.message,
            "modifiedDate": wire_date(state.at),
            "selfUri": f"/api/v2/users/{user}/presences",
            "id": user,
            "primary": self.primary(user).lower() == state.source.lower(),
        }
        if state.source not in self.origins:
            shape["source"] = state.source
        if state.wish is not None:
            shape["futurePresenceDefinition"] = self.reference(state.wish)
        return shape

    def reference(self, id_: str) -> dict[str, str]:
        """A definition as it should read inside a presence."""
        kind = self.kinds[id_]
        shown = id_ if self.stays or not kind.off else BUILT_IN_IDS[kind.system]
        return {
            "id": shown,
            "systemPresence": SPELLINGS[kind.system][0],
            "selfUri": f"/api/v2/presencedefinitions/{shown}",
        }

    def a_kind(self, index: int) -> str:
        """One of the newest definitions."""
        return list(self.kinds)[-1 - index]

    def a_source(self, index: int) -> str:
        """An ad hoc name in some case, or one of the registered sources there are."""
        names = [*AD_HOC, *self.origins]
        return names[index % len(names)]

    def nothing_told(self) -> None:
        """No listener heard of what was refused, or of what is no change of a user."""
        assert self.told == []

    def told_once(self, user: str, before: str, state: State | None) -> None:
        """Every listener heard of it once, and a read showed the same at that moment."""
        ((change, read),) = self.told
        self.told.clear()
        assert change.user_id == user
        assert change.primary_before.source_id == before
        assert change.primary.source_id == self.primary(user)
        assert change.switches_primary == (before.lower() != self.primary(user).lower())
        if state is None:
            assert change.presence is None
            return
        assert change.presence is not None
        assert read == self.real.presence_json(user, change.presence) == self.shape(user, state)

    # --- what may happen -----------------------------------------------------------------

    @rule(seconds=st.floats(0.001, 90_000))
    def time_passes(self, seconds: float) -> None:
        """Nothing but the clock moves."""
        self.now += seconds

    @rule(
        system=SYSTEM,
        labels=LABELS,
        family=st.sampled_from(["current", "legacy", "events"]),
        off=MAYBE,
    )
    def create_definition(
        self, system: str, labels: dict[str, str], family: str, off: bool | None
    ) -> None:
        """A definition comes from either family, its system presence in any spelling."""
        spelling = dict(zip(("legacy", "events"), SPELLINGS[system], strict=True))
        body = {"languageLabels": labels, "systemPresence": spelling.get(family, system)}
        record = self.real.definition_store.add(
            self.draft(body if off is None else {**body, "deactivated": off})
        )
        assert record.id not in self.kinds
        self.kinds[record.id] = Kind(system, labels, off=bool(off))

    def draft(self, body: dict[str, Any]) -> Any:
        """A body of either family as the operations read it."""
        return read_draft(Fields(body, Switches()))

    @rule(index=INDEX, labels=LABELS, off=MAYBE)
    def replace_definition(self, index: int, labels: dict[str, str], off: bool | None) -> None:
        """Labels and life change; a deactivated one comes back if that is allowed."""
        id_ = self.a_kind(index)
        kind = self.kinds[id_]
        draft = self.draft({"languageLabels": labels, "deactivated": off})
        if kind.off and off is False and not self.revive:
            assert refused(lambda: self.real.definition_store.replace(id_, draft)) == 400
            return
        self.real.definition_store.replace(id_, draft)
        kind.labels = labels
        kind.off = kind.off if off is None else off

    @rule(index=INDEX, legacy=st.booleans())
    def put_back(self, index: int, *, legacy: bool) -> None:
        """Writing what was read in either family changes nothing."""
        id_ = self.a_kind(index)
        before = self.real.definitions[id_]
        shape = (legacy_json if legacy else current_json)(before, "ALL")
        assert self.real.definition_store.replace(id_, self.draft(shape)) == before

    @rule(index=INDEX)
    def delete_definition(self, index: int) -> None:
        """Deleting deactivates, once or twice."""
        id_ = self.a_kind(index)
        self.real.definition_store.deactivate(id_)
        self.kinds[id_].off = True

    @rule(user=st.integers(0, 1), source=NAME)
    def delete_what_is_used(self, user: int, source: int) -> None:
        """A definition is deleted while a user is on it."""
        state = self.state(self.users[user], self.a_source(source))
        if state is not None:
            self.real.definition_store.deactivate(state.kind)
            self.kinds[state.kind].off = True

    @rule(index=INDEX, system=SYSTEM, labels=LABELS)
    def move_definition(self, index: int, system: str, labels: dict[str, str]) -> None:
        """The system presence of a definition never changes."""
        id_ = self.a_kind(index)
        if self.kinds[id_].system != system:
            draft = self.draft({"languageLabels": labels, "systemPresence": system})
            assert refused(lambda: self.real.definition_store.replace(id_, draft)) == 400

    @rule(
        user=st.integers(0, 1),
        index=MAYBE_INDEX,
        source=NAME,
        message=st.none() | st.text(max_size=3),
        primary=st.booleans(),
        wish=MAYBE_INDEX,
    )
    def set_presence(
        self,
        user: int,
        index: int | None,
        source: int,
        message: str | None,
        *,
        primary: bool,
        wish: int | None,
    ) -> None:
        """A user is put on a definition, or keeps it, on any source."""
        id_, name = self.users[user], self.a_source(source)
        wanted = None if index is None else self.a_kind(index)
        future = None if wish is None else self.a_kind(wish)
        before, seen_before = self.state(id_, name), self.primary(id_)
        if wanted is not None and self.kinds[wanted].off:
            assert refused(lambda: self.real.usable_definition(wanted)) == 400
            return
        options = {"message": message, "primary": primary, "future_definition_id": future}
        if wanted is None and before is None:
            assert refused(lambda: self.real.set_presence(id_, source=name, **options)) == 404
            return
        self.real.set_presence(id_, wanted, source=name, **options)
        after = State(name, wanted or "") if before is None else attrs.evolve(before)
        if wanted is not None:
            if before is not None and wanted != before.kind and not self.kept:
                after.message = ""
            after.kind, after.wish = wanted, None
        if message is not None:
            after.message = message
        if future is not None:
            after.wish = future
        after.at = self.now
        self.states[(id_, name.lower())] = after
        if primary:
            self.chosen[id_] = after.source
        self.told_once(id_, seen_before, after)

    @rule(user=st.integers(0, 1), first=INDEX, second=INDEX, source=NAME)
    def speak_and_move_on(self, user: int, first: int, second: int, source: int) -> None:
        """A message is set, and the next definition comes without one."""
        self.set_presence(user, first, source, "back at noon", primary=False, wish=None)
        self.set_presence(user, second, source, None, primary=False, wish=None)

    @rule(user=st.integers(0, 1), source=NAME)
    def choose_primary(self, user: int, source: int) -> None:
        """A user shows another source, or the same one again."""
        id_, name = self.users[user], self.a_source(source)
        before = self.primary(id_)
        self.real.set_primary_source(id_, PrimarySource(name, name in self.origins))
        self.chosen[id_] = name
        self.told_once(id_, before, None)

    @rule(name=st.text(min_size=1, max_size=4), off=MAYBE)
    def register_source(self, name: str, off: bool | None) -> None:
        """A source is registered, perhaps deactivated from the start."""
        record = self.real.source_store.add(SourceDraft(name=name, deactivated=off))
        assert record.id not in self.origins
        self.origins[record.id] = Origin(name, bool(off))

    @rule(index=INDEX, name=st.text(min_size=1, max_size=4), off=MAYBE)
    def replace_source(self, index: int, name: str, off: bool | None) -> None:
        """Name and life of a source change; a deactivated one may come back."""
        if not self.origins:
            return
        id_ = list(self.origins)[index % len(self.origins)]
        origin = self.origins[id_]
        draft = SourceDraft(name=name, deactivated=off)
        if origin.off and off is False and not self.revive:
            assert refused(lambda: self.real.source_store.replace(id_, draft)) == 400
            return
        self.real.source_store.replace(id_, draft)
        origin.name, origin.off = name, origin.off if off is None else off

    @rule(index=INDEX)
    def delete_source(self, index: int) -> None:
        """Deleting deactivates, once or twice."""
        if self.origins:
            id_ = list(self.origins)[index % len(self.origins)]
            self.real.source_store.deactivate(id_)
            self.origins[id_].off = True

    @rule(index=MAYBE_INDEX)
    def choose_default(self, index: int | None) -> None:
        """The settings name the source of everybody who chose none, or none."""
        ids = [*self.origins]
        self.default = ids[index % len(ids)] if ids and index is not None else None
        self.real.settings = Settings(default_source_id=self.default)

    @rule(source=NAME)
    def name_strangers(self, source: int) -> None:
        """Users, definitions and sources nobody knows are refused everywhere."""
        real, user, name = self.real, self.users[0], self.a_source(source)
        assert refused(lambda: real.set_presence("x", self.a_kind(0), source=name)) == 404
        assert refused(lambda: real.set_presence(user, "x", source=name)) == 404
        assert refused(lambda: real.set_primary_source("x", PrimarySource(name))) == 404
        assert refused(lambda: real.usable_definition("x")) == 400
        assert refused(lambda: real.definition_store.deactivate("x")) == 404
        assert refused(lambda: real.source_store.deactivate("x")) == 404

    # --- what always holds ---------------------------------------------------------------

    @invariant()
    def nobody_hears_of_anything_else(self) -> None:
        """Each rule has taken what its own change told, so nothing more was said."""
        self.nothing_told()

    @invariant()
    def definitions_agree(self) -> None:
        """Nothing is ever gone, ids stay, and both families show the same record."""
        real = self.real.definitions
        assert list(real) == list(self.kinds)
        for id_, kind in self.kinds.items():
            record = real[id_]
            current, legacy = current_json(record, "ALL"), legacy_json(record, "ALL")
            assert current["id"] == legacy["id"] == record.id == id_
            assert self.spelt(record) == (kind.system, *SPELLINGS[kind.system])
            assert current["deactivated"] is legacy["deactivated"] is kind.off
            assert current["languageLabels"] == legacy["languageLabels"]
            if kind.labels:
                assert legacy["languageLabels"] == kind.labels
            assert legacy["primary"] is (current["type"] == "System") is kind.built_in

    def spelt(self, record: Definition) -> tuple[str, str, str]:
        """The system presence of a definition in its three spellings."""
        return (
            current_json(record, None)["systemPresence"],
            legacy_json(record, None)["systemPresence"],
            shouted(record.system_presence),
        )

    @invariant()
    def lists_filter(self) -> None:
        """A list shows the active ones, the deactivated ones or all, of either kind of record."""
        for wanted in (False, True, None):
            listed = self.real.definition_store.listing(deactivated=wanted)
            assert [record.id for record in listed] == [
                id_ for id_, kind in self.kinds.items() if wanted in (None, kind.off)
            ]
            sources = self.real.source_store.listing(deactivated=wanted)
            assert [record.id for record in sources] == [
                id_ for id_, origin in self.origins.items() if wanted in (None, origin.off)
            ]

    @invariant()
    def sources_agree(self) -> None:
        """Every source ever registered is there under its id."""
        assert set(self.real.sources) == set(self.origins)
        for id_, origin in self.origins.items():
            shape = source_json(self.real.source_store.get(id_))
            assert (shape["id"], shape["name"], shape["deactivated"]) == (
                id_,
                origin.name,
                origin.off,
            )

    @invariant()
    def presences_agree(self) -> None:
        """Every presence reads as the model has it, in any case of its source."""
        for user in self.users:
            for name in (*AD_HOC, *self.origins):
                state = self.state(user, name)
                if state is None:
                    assert refused(lambda u=user, n=name: self.real.presence(u, n)) == 404
                    continue
                read = self.real.presence(user, name)
                assert self.real.presence_json(user, read) == self.shape(user, state)
                key = (user, name.lower())
                assert read.modified >= self.seen.get(key, START)
                self.seen[key] = read.modified

    @invariant()
    def one_primary_source(self) -> None:
        """Others see one source of each user: the primary one, or purecloud if that is empty."""
        for user in self.users:
            primary = self.real.primary_source(user)
            name = self.primary(user)
            assert primary == PrimarySource(name, name in self.origins)
            written = self.state(user, name)
            shown = [one for one in self.real.presences_json(user) if one["primary"]]
            assert shown == ([] if written is None else [self.shape(user, written)])
            fallback = written or self.state(user, "PURECLOUD")
            assert fallback is not None
            visible = self.real.visible_presence(user)
            assert self.real.presence_json(user, visible) == self.shape(user, fallback)


class OtherMachine(OrganizationMachine):
    """The same under the other answers of the vendor."""

    kept = stays = revive = False


LIMIT = 3


class TokenMachine(RuleBasedStateMachine):
    """Tokens of two clients and two users, three of which live at once for each pair."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.real = Authority(0, 100.0, Switches(token_limit=LIMIT), lambda: self.now)
        self.clients = [OAuthClient("a", "s", frozenset({"p"})), OAuthClient("b", "s")]
        self.issued: dict[str, tuple[tuple[str, str | None], float]] = {}
        self.dead: set[str] = set()

    def refusal(self, value: str) -> str | None:
        """Return the code a token is refused with, None if a request gets through with it."""
        header = f"Bearer {value}"
        try:
            self.real.check(self.real.find(header), header)
        except ApiError as error:
            return error.code
        return None

    def accepted(self) -> list[str]:
        """The tokens a request gets through with, in order of issue."""
        codes = {value: self.refusal(value) for value in self.issued}
        assert set(codes.values()) <= {None, "bad.credentials"}
        return [value for value, code in codes.items() if code is None]

    @rule(seconds=st.sampled_from([1.0, 7.0, 49.5, 100.0]))
    def time_passes(self, seconds: float) -> None:
        """Nothing but the clock moves."""
        self.now += seconds

    @rule(
        client=st.integers(0, 1),
        user=st.sampled_from([None, "u", "v"]),
        lifetime=st.sampled_from([None, 1.0, 8.0, 1000.0]),
    )
    def issue(self, client: int, user: str | None, lifetime: float | None) -> None:
        """One token too many ends the oldest live one of the same client and user, no other."""
        owner = (self.clients[client].id, user)
        before = self.accepted()
        token = self.real.issue_token(self.clients[client], user, lifetime=lifetime)
        assert token.value not in self.issued
        self.issued[token.value] = (owner, self.now + (lifetime or 100.0))
        same = [value for value in before if self.issued[value][0] == owner]
        if len(same) == LIMIT:
            self.dead.add(same[0])
        assert self.accepted() == [one for one in before if one not in self.dead] + [token.value]

    @rule()
    def revoke(self) -> None:
        """All tokens die together."""
        self.real.revoke_tokens()
        self.dead.update(self.issued)

    @invariant()
    def expired_tokens_are_refused(self) -> None:
        """A token is good until it expires, is revoked or crowded out, and never again."""
        assert self.accepted() == [
            value
            for value, (_, end) in self.issued.items()
            if self.now < end and value not in self.dead
        ]

    @invariant()
    def few_tokens_live(self) -> None:
        """No client and user have more live tokens than the limit."""
        owners = [self.issued[value][0] for value in self.accepted()]
        assert all(owners.count(owner) <= LIMIT for owner in owners)


@pytest.mark.parametrize("machine", [OrganizationMachine, OtherMachine])
def test_the_organization_is_as_its_model(machine: type[OrganizationMachine]):
    """Whatever happens in what order, reads, lists and listeners agree with the model."""
    run_state_machine_as_test(machine, settings=SETTINGS)


def test_tokens_are_as_their_model():
    """Whatever is issued, revoked or left to expire, a token is good exactly as long as told."""
    run_state_machine_as_test(TokenMachine, settings=SETTINGS)
