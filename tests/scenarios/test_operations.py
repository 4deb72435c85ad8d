"""Every operation against the simulator, under every answer the vendor might give."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import attrs
import pytest
from support import client_for

from presence_async import (
    ConflictError,
    InvalidRequestError,
    MutableUserPresence,
    NotFoundError,
    OrganizationPresence,
    OrganizationPresenceDefinition,
    PermissionDeniedError,
    PresenceClient,
    PresenceError,
    PresenceSettings,
    RestorePresenceSettings,
    Source,
    StaticToken,
    SystemPresenceName,
    UCThirdPartyPresence,
    UserPresence,
    UserPresenceEvent,
    routes,
)
from presence_async.simulator import Simulator, Switches
from presence_async.simulator.services import ALL_PERMISSIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from presence_async.routes import Route

# Every value of every switch that is not the working assumption, but for those that only
# speak about tokens, which test_tokens.py goes through.
ALTERNATIVES: list[dict[str, Any]] = [
    {},
    {"bulk_put_limit": 10},
    {"bulk_put_limit": None},
    {"bulk_put_id_required": False},
    {"bulk_put_partial": True},
    {"bulk_get_over_limit": "truncate"},
    {"bulk_get_over_limit": "accept"},
    {"bulk_get_no_ids": "empty"},
    {"bulk_get_unknown": "reject"},
    {"bulk_other_sources": False},
    {"array_style": "repeated"},
    {"legacy_default_page_size": 20},
    {"legacy_max_page_size": 25},
    {"legacy_links": True},
    {"legacy_delete": "body"},
    {"legacy_delete": "empty"},
    {"definition_created_status": 200},
    {"empty_patch": "reject"},
    {"primary_false": "reject"},
    {"nulls": "reject"},
    {"unknown_definition_status": 404},
    {"message_limit": 20},
    {"message_kept": False},
    {"unwritten_source": "offline"},
    {"registered_source_status": 400},
    {"duplicate_label_conflict": True},
    {"system_presence_change": "ignore"},
    {"system_definition_edit": "allow"},
    {"reactivation": False},
    {"deactivated_all": True},
    {"flags_any_case": False},
    {"deactivated_stays": False},
    {"system_presence_ids": True},
    {"presence_extras": True},
    {"microsoft_teams_route": True},
    {"on_queue_needs_permission": True},
    {"user_me": True},
    {"fixed_builtin_ids": False},
    {"read_only_fields": "reject"},
    {"users_max_page_size": 100},
    {"unknown_user_status": 400},
    {"unknown_user_status": 400, "bulk_other_sources": False},
    {"leaving_queue": "at_once"},
    {"system_presence_order": "by_name"},
    {"error_body": "smallest"},
    {"shared_definitions": False},
]
TOKEN_SWITCHES = {
    "token_grant_error_status",
    "token_client_error_status",
    "refresh_rotates",
    "saml_refresh",
    "org_app_user_rate_limit",
    "token_limit",
}
# Told apart below, each by a test of its own.
OWN_TEST = {"definition_read_lag"}
# They say what happens on notification channels: test_channels.py.
NOTIFICATION_SWITCHES = {
    "combined_topics_count",
    "heartbeat_seconds",
    "closing_notice",
    "socket_close_code",
    "in_band_subscribe",
    "refused_upgrade_status",
    "presence_topic_permission",
    "subscriptions_delete_status",
}


@pytest.fixture(params=ALTERNATIVES, ids=str)
async def switched(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    """A simulator for each alternative."""
    async with Simulator(users=60, switches=Switches(**request.param)) as simulator:
        yield simulator


@pytest.fixture
async def opened(switched: Simulator) -> AsyncIterator[PresenceClient]:
    """A client on it whose token has a user and every permission."""
    token = switched.issue_token(user_id=switched.user_ids[0])
    async with client_for(switched, auth=StaticToken(token)) as client:
        yield client


def test_no_switch_is_forgotten() -> None:
    """A new switch needs a new alternative here."""
    covered = {name for chosen in ALTERNATIVES for name in chosen}
    names = {field.name for field in attrs.fields(Switches)}
    elsewhere = TOKEN_SWITCHES | OWN_TEST | NOTIFICATION_SWITCHES
    assert covered | elsewhere == names
    for name in covered:
        hint = get_type_hints(Switches)[name]
        if hint is bool or get_origin(hint) is Literal:
            tried = {chosen[name] for chosen in ALTERNATIVES if name in chosen}
            assert tried | {getattr(Switches(), name)} == set(get_args(hint) or (True, False)), name


async def refused(call: Coroutine[Any, Any, Any], kind: type[PresenceError], status: int) -> None:
    """The call fails so, with the vendor's context."""
    with pytest.raises(kind) as caught:
        await call
    assert caught.value.status == status
    assert caught.value.code
    assert caught.value.correlation_id
    assert caught.value.outcome_unknown is False


# How a user nobody knows is refused, by the status of the switch.
UNKNOWN_USER: dict[int, tuple[type[PresenceError], int]] = {
    400: (InvalidRequestError, 400),
    404: (NotFoundError, 404),
}


async def test_definitions(switched: Simulator, opened: PresenceClient) -> None:
    """List, find, create, get, replace, delete and revive."""
    switches = switched.switches
    definitions = opened.definitions
    assert len(await definitions.list(locale_code="ALL")) == 10
    lunch = OrganizationPresenceDefinition(
        language_labels={"en_US": "Lunch", "de": "Mittag"},
        system_presence=SystemPresenceName.ON_QUEUE,
    )
    created = await definitions.create(lunch)
    assert isinstance(created.id, str)
    assert str(created.system_presence) == "OnQueue"
    assert (await definitions.get(created.id, locale_code="de")).language_labels == {"de": "Mittag"}
    assert [d.id for d in await definitions.find("mittag")] == [created.id]
    if switches.duplicate_label_conflict:
        await refused(definitions.create(lunch), ConflictError, 409)
    renamed = attrs.evolve(created, language_labels={"en_US": "Long lunch"})
    assert (await definitions.replace(created.id, renamed)).language_labels == {
        "en_US": "Long lunch"
    }
    busy = attrs.evolve(renamed, system_presence=SystemPresenceName.BUSY)
    if switches.system_presence_change == "reject":
        await refused(definitions.replace(created.id, busy), InvalidRequestError, 400)
    else:
        assert (await definitions.replace(created.id, busy)).system_presence == "On Queue"
    await definitions.delete(created.id)
    assert (await definitions.get(created.id)).deactivated is True
    if switches.flags_any_case:
        assert [d.id for d in await definitions.list(deactivated=True)] == [created.id]
    if switches.deactivated_all:
        assert len(await definitions.list(deactivated="all")) == 11
    revived = definitions.replace(created.id, attrs.evolve(renamed, deactivated=False))
    if switches.reactivation:
        assert (await revived).deactivated is False
    else:
        await refused(revived, InvalidRequestError, 400)
    (built_in, *_) = [d for d in await definitions.list() if d.type == "System"]
    assert isinstance(built_in.id, str)
    if switches.system_definition_edit == "allow":
        await definitions.delete(built_in.id)
        assert (await definitions.get(built_in.id)).deactivated is True
    else:
        await refused(definitions.delete(built_in.id), InvalidRequestError, 400)
    await refused(definitions.get("nobody"), NotFoundError, 404)


async def test_flags(switched: Simulator, opened: PresenceClient) -> None:
    """Flags go out as they are documented today, in upper case; the vendor may not take them."""
    listings: list[Awaitable[Any]] = [
        opened.definitions.list(deactivated=True),
        opened.sources.list(deactivated=True),
        opened.legacy_definitions.list(deleted=True),
    ]
    for listing in listings:
        if switched.switches.flags_any_case:
            assert await listing == []
        else:
            with pytest.raises(InvalidRequestError) as caught:
                await listing
            assert caught.value.code == "invalid.value"
    assert len(await opened.legacy_definitions.list(deleted="all")) == 10
    for listing in (
        opened.definitions.list(deactivated="ALL"),
        opened.sources.list(deactivated="all"),
    ):
        if switched.switches.deactivated_all:
            assert isinstance(await listing, list)
        else:
            with pytest.raises(InvalidRequestError):
                await listing


async def test_legacy_definitions(switched: Simulator, opened: PresenceClient) -> None:
    """The older family over the same records."""
    legacy = opened.legacy_definitions
    created = await legacy.create(
        OrganizationPresence(
            language_labels={"en_US": "Lunch"}, system_presence=SystemPresenceName("ON_QUEUE")
        )
    )
    assert isinstance(created.id, str)
    assert str(created.system_presence) == "On Queue"
    assert created.primary is False
    pages = [page async for page in legacy.list(page_size=4, locale_code="en_US").pages()]
    assert [len(page.entities) for page in pages] == [4, 4, 3]
    assert bool(pages[0].next_uri) is switched.switches.legacy_links
    current = [d.id for d in await opened.definitions.list()]
    unseen = [] if switched.switches.shared_definitions else [created.id]
    assert [one.id async for one in legacy.list()] == current + unseen
    got = await legacy.get(created.id, locale_code="ALL")
    changed = await legacy.replace(created.id, attrs.evolve(got, language_labels={"fr": "Midi"}))
    assert changed.language_labels == {"fr": "Midi"}
    deleted = await legacy.delete(created.id)
    assert (deleted is not None) is (switched.switches.legacy_delete == "body")
    assert (await legacy.get(created.id)).deactivated is True


async def test_system_presences(switched: Simulator, opened: PresenceClient) -> None:
    """The list, and built-in ids wherever they differ."""
    listed = await opened.system_presences.list()
    assert [str(one.name) for one in listed if one.name == "On Queue"] == ["ON_QUEUE"]
    assert all(bool(one.id) is switched.switches.system_presence_ids for one in listed)
    found = await opened.system_presences.definition_id("OnQueue")
    assert found == switched.organization.definition_store.built_in("OnQueue").id


async def test_user_presences(switched: Simulator, opened: PresenceClient) -> None:
    """Get and update on the own and on another source."""
    switches, users = switched.switches, opened.user_presences
    unknown_user = UNKNOWN_USER[switches.unknown_user_status]
    me, other = switched.user_ids[:2]
    assert str((await users.get(me)).source) == "PURECLOUD"
    set_ = await users.update(other, system_presence="ON_QUEUE", message="back", primary=True)
    assert set_.presence_definition
    assert str(set_.presence_definition.system_presence) == "On Queue"
    moved = await users.update(other, system_presence="busy")
    assert moved.message == ("back" if switches.message_kept else "")
    assert bool(moved.id) is switches.presence_extras
    same = await users.update(other, attrs.evolve(moved, message="m"))
    assert same.message == "m"
    if switches.unwritten_source == "offline":
        unwritten = await users.get(other, "Outlook")
        assert unwritten.presence_definition
        assert unwritten.presence_definition.system_presence == "Offline"
    else:
        await refused(users.get(other, "Outlook"), NotFoundError, 404)
    written = await users.update(other, source="Outlook", system_presence="Away", primary=True)
    assert written.source == "Outlook"
    assert (await users.get(other, "outLOOK")).source == "Outlook"
    null = users.update(other, message=None)
    if switches.nulls == "reject" or switches.empty_patch == "reject":
        await refused(null, InvalidRequestError, 400)
    else:
        assert (await null).message == "m"
    not_primary = users.update(other, message="m", primary=False)
    if switches.primary_false == "reject":
        await refused(not_primary, InvalidRequestError, 400)
    else:
        assert (await not_primary).message == "m"
    long = users.update(other, message="x" * 21)
    if switches.message_limit:
        await refused(long, InvalidRequestError, 400)
    else:
        assert (await long).message == "x" * 21
    unknown = users.update(other, definition_id="nothing")
    if switches.unknown_definition_status == 404:
        await refused(unknown, NotFoundError, 404)
    else:
        await refused(unknown, InvalidRequestError, 400)
    if switches.user_me:
        assert (await users.get("me")).source == "PURECLOUD"
    else:
        await refused(users.get("me"), *unknown_user)
    await refused(users.get("nobody"), *unknown_user)
    await refused(users.update("nobody", message="x"), *unknown_user)


async def test_leaving_the_queue(switched: Simulator, opened: PresenceClient) -> None:
    """Where leaving is a matter of asking, the answer says where the user wants to go."""
    users, me = opened.user_presences, switched.user_ids[0]
    settings = await opened.settings.get()
    await opened.settings.replace(attrs.evolve(settings, requesting_off_queue_enabled=True))
    await users.update(me, system_presence="On Queue")
    asked = await users.update(me, system_presence="Meal", message="hungry")
    assert asked.presence_definition
    assert asked.message == "hungry"
    if switched.switches.leaving_queue == "at_once":
        assert asked.presence_definition.system_presence == "Meal"
        assert not asked.future_presence_definition
        return
    assert asked.presence_definition.system_presence == "On Queue"
    assert asked.future_presence_definition
    assert asked.future_presence_definition.system_presence == "Meal"
    async with client_for(switched) as supervisor:
        granted = await supervisor.user_presences.update(me, system_presence="Meal")
    assert granted.presence_definition
    assert granted.presence_definition.system_presence == "Meal"
    assert not granted.future_presence_definition


async def test_users_on_a_deactivated_definition(
    switched: Simulator, opened: PresenceClient
) -> None:
    """They stay on it, or show the built-in one; either is read as it comes."""
    definition = await opened.definitions.create(
        OrganizationPresenceDefinition(
            language_labels={"en_US": "Lunch"}, system_presence=SystemPresenceName.MEAL
        )
    )
    assert isinstance(definition.id, str)
    user_id = switched.user_ids[3]
    await opened.user_presences.update(user_id, definition_id=definition.id)
    await opened.definitions.delete(definition.id)
    presence = await opened.user_presences.get(user_id)
    assert presence.presence_definition
    assert presence.presence_definition.system_presence == "Meal"
    stays = presence.presence_definition.id == definition.id
    assert stays is switched.switches.deactivated_stays


async def test_teams(switched: Simulator, opened: PresenceClient) -> None:
    """The removed operation: an explained 404, or the answer of the old documents."""
    call = opened.user_presences.get_teams(switched.user_ids[0])
    if switched.switches.microsoft_teams_route:
        assert (await call).id == switched.user_ids[0]
    elif switched.switches.unwritten_source == "offline":
        # The path is that of any source: what comes is one presence, and kept as unknown.
        assert (await call).extra["source"] == "microsoftteams"
    else:
        with pytest.raises(NotFoundError, match="removed this operation in April 2022"):
            await call


async def test_primary_source_and_sources(switched: Simulator, opened: PresenceClient) -> None:
    """Register a source, make it primary, read it, deactivate it."""
    users, sources = opened.user_presences, opened.sources
    user_id = switched.user_ids[1]
    assert (await users.get_primary_source(user_id)).source_id == "PURECLOUD"
    source = await sources.create(Source(name="Calendar"))
    assert isinstance(source.id, str)
    primary = await users.set_primary_source(user_id, source.id, registered=True)
    assert (primary.source_id, primary.registered) == (source.id, True)
    back = await users.set_primary_source(user_id, attrs.evolve(primary, registered=True))
    assert back == primary
    status = switched.switches.registered_source_status
    kind = NotFoundError if status == 404 else InvalidRequestError
    await refused(users.get(user_id, source.id), kind, status)
    assert [one.id for one in await sources.list()] == [source.id]
    changed = await sources.replace(source.id, attrs.evolve(source, description="d"))
    assert changed.description == "d"
    await sources.delete(source.id)
    assert (await sources.get(source.id)).deactivated is True
    assert [one async for one in sources.list()] == []


async def test_settings(opened: PresenceClient) -> None:
    """Read, change, write, read."""
    settings = await opened.settings.get()
    restore = RestorePresenceSettings(
        enabled=False, restore_time_milliseconds=120_000, restore_on_queue_enabled=True
    )
    changed = attrs.evolve(settings, restore_presence_settings=restore)
    assert await opened.settings.replace(changed) == await opened.settings.get()
    assert (await opened.settings.get()).restore_presence_settings == restore


async def test_bulk(switched: Simulator, opened: PresenceClient) -> None:
    """Fifty-five writes with two bad ones among them, and all of them read back."""
    ids = list(switched.user_ids[:55])
    ids[7] = ids[44] = "nobody"
    items: list[Any] = [(user_id, "On Queue") for user_id in ids[:44]]
    items += [
        MutableUserPresence(id="nobody else", message="m"),
        *((user_id, UserPresence(message="m")) for user_id in ids[45:]),
    ]
    outcomes = await opened.bulk.update(items)
    expected = ["applied"] * 55
    expected[7] = expected[44] = "rejected"
    assert [outcome.status for outcome in outcomes] == expected
    read = await opened.bulk.get(ids)
    assert [outcome.status for outcome in read] == [
        "missing" if user_id == "nobody" else "present" for user_id in dict.fromkeys(ids)
    ]
    on_queue = [
        outcome.user_id
        for outcome in read
        if outcome.presence
        and outcome.presence.presence_definition
        and outcome.presence.presence_definition.system_presence == "ON_QUEUE"
    ]
    assert on_queue == [user_id for user_id in ids[:44] if user_id != "nobody"]


async def test_get_many_on_another_source(switched: Simulator, opened: PresenceClient) -> None:
    """With a bulk read or without one, the same outcomes."""
    first, second, third = switched.user_ids[:3]
    for user_id in (first, third):
        await opened.user_presences.update(user_id, source="Outlook", system_presence="Away")
    asked = [first, second, third, "nobody"]
    many = opened.user_presences.get_many(asked, source="outlook", ordered=True)
    switches = switched.switches
    unwritten = "present" if switches.unwritten_source == "offline" else "missing"
    # One at a time, a user nobody knows may be a 400, which does not say that he is missing.
    vague = not switches.bulk_other_sources and switches.unknown_user_status == 400
    assert [outcome.status for outcome in await many] == [
        "present",
        unwritten,
        "present",
        "failed" if vague else "missing",
    ]


async def test_events(switched: Simulator, opened: PresenceClient) -> None:
    """Events of a registered source: the bad ones are named, the others show on that source."""
    source = await opened.sources.create(Source(name="Phones"))
    busy = await opened.system_presences.definition_id("Busy")
    users = [*switched.user_ids[:3], "nobody", *switched.user_ids[4:7]]
    outcomes = await opened.events.inject(
        UserPresenceEvent(
            user_id=user_id, source_id=source.id, presence_definition_id=busy, message="call"
        )
        for user_id in users
    )
    stranger = users.index("nobody")
    expected = ["applied"] * len(users)
    expected[stranger] = "rejected"
    assert [outcome.status for outcome in outcomes] == expected
    assert isinstance(outcomes[stranger].error, InvalidRequestError | NotFoundError)
    for user_id in users:
        if user_id != "nobody":
            stored = switched.organization.presence(user_id, str(source.id))
            assert (stored.definition_id, stored.message) == (busy, "call")


async def test_third_party_presences(switched: Simulator, opened: PresenceClient) -> None:
    """Whoever has the address shows it; an address that nobody has is accepted all the same."""
    known = [str(user.email) async for user in opened.users.list(ids=switched.user_ids[:2])]
    outcomes = await opened.events.ingest_third_party(
        "Teams",
        (
            UCThirdPartyPresence(email=email, presence="Busy")
            for email in [*known, "nobody@example.com"]
        ),
    )
    assert [outcome.status for outcome in outcomes] == ["accepted"] * 3
    busy = await opened.system_presences.definition_id("Busy")
    for user_id in switched.user_ids[:2]:
        assert switched.organization.presence(user_id, "Teams").definition_id == busy


async def test_users(switched: Simulator, opened: PresenceClient) -> None:
    """Everyone in pages, some of them expanded, and the user of the token."""
    everyone = [str(user.id) async for user in opened.users.list(page_size=25)]
    assert sorted(everyone) == sorted(switched.user_ids)
    some = await opened.users.list(ids=switched.user_ids[:2], expand=["presence"], state="any")
    assert [bool(user.presence) for user in some] == [True, True]
    await opened.user_presences.update(everyone[0], source="MicrosoftTeams", system_presence="Busy")
    teams = opened.users.list(
        expand=["integrationPresence"], integration_presence_source="MicrosoftTeams"
    )
    shown = [user.id async for user in teams if user.integration_presence]
    assert everyone[0] in shown
    me = await opened.users.me(expand=["presence"])
    assert me.id == switched.user_ids[0]


# What the simulator has and this client does not call as an operation.
WITHOUT_CLIENT = {
    "POST /oauth/token",
    "GET /oauth/authorize",
    "GET /channels/{channelId}",
}


def test_routes_and_simulator_name_the_same_operations() -> None:
    """The two were written apart; they agree on every method and path."""
    known = set(Simulator().faults._routes)
    named = {f"{route.method} {route.template}" for route in routes.ALL_ROUTES}
    teams = "GET /api/v2/users/{userId}/presences/microsoftteams"
    assert named - known <= {teams}
    assert known - named == WITHOUT_CLIENT


async def test_a_new_definition_may_lag(sim: Simulator) -> None:
    """For a moment it is 404, then it is there."""
    async with (
        Simulator(users=1, switches=Switches(definition_read_lag=2.0)) as slow,
        client_for(slow) as client,
    ):
        created = await client.definitions.create(
            OrganizationPresenceDefinition(
                language_labels={"en_US": "x"}, system_presence=SystemPresenceName.BUSY
            )
        )
        assert isinstance(created.id, str)
        await refused(client.definitions.get(created.id), NotFoundError, 404)
        await asyncio.sleep(2)
        assert (await client.definitions.get(created.id)).id == created.id


DEFINITION = OrganizationPresenceDefinition(
    language_labels={"en_US": "x"}, system_presence=SystemPresenceName.BUSY
)
OLDER = OrganizationPresence(
    language_labels={"en_US": "x"}, system_presence=SystemPresenceName.BUSY
)


async def of_one_item(call: Awaitable[list[Any]]) -> None:
    """A write of one item, whose refusal is its outcome."""
    (outcome,) = await call
    assert outcome.status == "rejected"
    assert outcome.error
    raise outcome.error


# A call of every operation that needs a permission. What it names need not exist: the vendor
# looks at the permissions first.
DENIED: dict[Route, Callable[[PresenceClient], Awaitable[Any]]] = {
    # The list itself is open to everyone; the definitions of a division are not.
    routes.LIST_DEFINITIONS: lambda client: client.definitions.list(division_ids=["a division"]),
    routes.CREATE_DEFINITION: lambda client: client.definitions.create(DEFINITION),
    routes.GET_DEFINITION: lambda client: client.definitions.get("d"),
    routes.REPLACE_DEFINITION: lambda client: client.definitions.replace("d", DEFINITION),
    routes.DELETE_DEFINITION: lambda client: client.definitions.delete("d"),
    routes.CREATE_LEGACY_DEFINITION: lambda client: client.legacy_definitions.create(OLDER),
    routes.GET_LEGACY_DEFINITION: lambda client: client.legacy_definitions.get("d"),
    routes.REPLACE_LEGACY_DEFINITION: lambda client: client.legacy_definitions.replace("d", OLDER),
    routes.DELETE_LEGACY_DEFINITION: lambda client: client.legacy_definitions.delete("d"),
    # The token is of no user, so whoever is named here is another one.
    routes.UPDATE_PURECLOUD_PRESENCE: lambda client: client.user_presences.update("u", message=""),
    routes.UPDATE_PRESENCE: lambda client: client.user_presences.update(
        "u", message="", source="Outlook"
    ),
    routes.GET_TEAMS_PRESENCE: lambda client: client.user_presences.get_teams("u"),
    routes.BULK_UPDATE: lambda client: of_one_item(client.bulk.update([("u", "some-id")])),
    routes.INJECT_EVENTS: lambda client: of_one_item(
        client.events.inject([UserPresenceEvent(user_id="u", source_id="s")])
    ),
    routes.INGEST_THIRD_PARTY: lambda client: of_one_item(
        client.events.ingest_third_party("i", [UCThirdPartyPresence(email="e", presence="Busy")])
    ),
    routes.GET_PRIMARY_SOURCE: lambda client: client.user_presences.get_primary_source("u"),
    routes.SET_PRIMARY_SOURCE: lambda client: client.user_presences.set_primary_source("u", "s"),
    routes.LIST_SOURCES: lambda client: client.sources.list(),
    routes.CREATE_SOURCE: lambda client: client.sources.create(Source(name="x")),
    routes.GET_SOURCE: lambda client: client.sources.get("s"),
    routes.REPLACE_SOURCE: lambda client: client.sources.replace("s", Source(name="x")),
    routes.DELETE_SOURCE: lambda client: client.sources.delete("s"),
    routes.GET_SETTINGS: lambda client: client.settings.get(),
    routes.REPLACE_SETTINGS: lambda client: client.settings.replace(PresenceSettings()),
}
# The simulator words the refusal of another user's PATCH as "any one of" this one permission.
ANY_OF_ONE = {routes.UPDATE_PURECLOUD_PRESENCE, routes.UPDATE_PRESENCE}


def test_no_operation_that_needs_a_permission_is_forgotten() -> None:
    """A new one needs a new call above."""
    assert DENIED.keys() == {route for route in routes.ALL_ROUTES if route.permissions}


@pytest.mark.parametrize("route", DENIED, ids=lambda route: f"{route.method} {route.template}")
async def test_without_permissions(route: Route) -> None:
    """With every permission but its own an operation is denied, and the error names those."""
    async with Simulator(users=1, switches=Switches(microsoft_teams_route=True)) as sim:
        token = sim.issue_token(permissions=ALL_PERMISSIONS.difference(route.permissions))
        async with client_for(sim, auth=StaticToken(token)) as client:
            with pytest.raises(PermissionDeniedError) as caught:
                await DENIED[route](client)
        (request,) = sim.requests
    assert (request.method, request.path_template) == (route.method, route.template)
    assert caught.value.status == 403
    assert caught.value.missing_permissions == route.permissions
    assert caught.value.needs_all is (route.needs_all and route not in ANY_OF_ONE)


@pytest.mark.parametrize(
    ("route", "held"),
    [(route, held) for route in DENIED for held in route.permissions if len(route.permissions) > 1],
    ids=lambda value: value if isinstance(value, str) else f"{value.method} {value.template}",
)
async def test_with_one_of_two_permissions(route: Route, held: str) -> None:
    """Where all are needed the other one is missed; where any one will do, it does."""
    async with Simulator(users=1, switches=Switches(microsoft_teams_route=True)) as sim:
        token = sim.issue_token(permissions=[held])
        async with client_for(sim, auth=StaticToken(token)) as client:
            with pytest.raises(PresenceError) as caught:
                await DENIED[route](client)
    if route.needs_all:
        assert isinstance(caught.value, PermissionDeniedError)
        assert caught.value.missing_permissions == tuple({*route.permissions} - {held})
    else:
        assert isinstance(caught.value, NotFoundError)


async def test_what_needs_no_permission() -> None:
    """Both lists of definitions, any user's presence, and a change of one's own."""
    async with Simulator(users=2) as sim:
        own, other = sim.user_ids
        token = sim.issue_token(user_id=own, permissions=())
        async with client_for(sim, auth=StaticToken(token)) as client:
            assert len(await client.definitions.list()) == 10
            assert len(await client.legacy_definitions.list()) == 10
            assert (await client.user_presences.get(other)).source == "PURECLOUD"
            for source in ("PURECLOUD", "Outlook"):
                changed = await client.user_presences.update(
                    own, system_presence="Away", source=source
                )
                assert changed.source == source


async def test_on_queue_by_permission() -> None:
    """Where On Queue needs a permission of its own, the error names it."""
    async with (
        Simulator(
            users=1,
            switches=Switches(on_queue_needs_permission=True),
            permissions=["presence:userPresence:edit"],
        ) as sim,
        client_for(sim) as client,
    ):
        with pytest.raises(PermissionDeniedError) as caught:
            await client.user_presences.update(sim.user_ids[0], system_presence="On Queue")
        assert caught.value.missing_permissions == ("routing:agent:onqueue",)
