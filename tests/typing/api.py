"""Typical user code, never run: `mypy --strict` must accept it and infer what it says.

What must be refused carries the error code it is refused with; a comment that is not
needed is an error itself (warn_unused_ignores).
"""

import io
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any, Literal, assert_never, assert_type

from presence_async import (
    UNSET,
    ActivityNotification,
    AttemptFinished,
    AuthorizationCode,
    AuthorizationCodePKCE,
    AvailableTopic,
    BadRow,
    BulkUpdateJob,
    Channel,
    ChannelTopic,
    ChannelTopicEntityListing,
    ClientCredentials,
    ClosingNotice,
    CoalescedReads,
    Connected,
    DecodeError,
    Disconnected,
    DryRunOutcome,
    EventError,
    EventOutcome,
    FanOut,
    Folded,
    Gap,
    Hook,
    IntegrationPresenceNotification,
    JobOutcome,
    JobSummary,
    KnownPresence,
    LimiterWaited,
    LiveChanges,
    LivePresence,
    Maybe,
    MutableUserPresence,
    Notification,
    OrganizationPresence,
    OrganizationPresenceDefinition,
    OtherNotification,
    Outcome,
    PermissionDeniedError,
    PKCEPair,
    PollStatistics,
    PresenceChange,
    PresenceClient,
    PresenceDefinition,
    PresenceError,
    PresenceNotification,
    PresenceOutcome,
    PresencePoll,
    PresenceSettings,
    PresenceStore,
    PresenceStream,
    Progress,
    ProxySettings,
    RateLimitStatus,
    Record,
    RefreshToken,
    Rejected,
    RequestFinished,
    RequestStarted,
    RowFailure,
    RowsError,
    Saml2Bearer,
    Secret,
    Source,
    StaticToken,
    StoreStatistics,
    StreamEvent,
    StreamStatistics,
    SystemNotification,
    SystemPresence,
    SystemPresenceName,
    ThirdPartyOutcome,
    TokenRefreshed,
    UCThirdPartyPresence,
    UcUserPresence,
    UndecodableFrame,
    Unset,
    UpdateItem,
    UpdateOutcome,
    UpdateRow,
    User,
    UserEntityListing,
    UserPresence,
    UserPresenceEvent,
    UserPrimarySource,
    authorize_url,
    check_state,
    fan_out,
    from_json,
    parse_csv,
    parse_json_lines,
    to_dict,
    to_json,
    user_topic,
)


def every_grant() -> None:
    """Secrets may be given as str or as Secret; nothing else is a grant."""
    PresenceClient(region="us_east_1", auth=ClientCredentials("id", "secret"))
    PresenceClient(region="us_east_1", auth=ClientCredentials("id", Secret("secret")))
    PresenceClient(base_url="https://gw.test", auth=StaticToken("token"))
    PresenceClient(region="us_east_1", auth=AuthorizationCode("id", "secret", "code", "https://r"))
    PresenceClient(region="us_east_1", auth=RefreshToken("id", "refresh"))
    PresenceClient(region="us_east_1", auth=Saml2Bearer("id", "secret", "assertion", "org"))
    pair = PKCEPair.generate()
    assert_type(pair.challenge, str)
    url = authorize_url(
        client_id="id",
        redirect_uri="https://r",
        state="s",
        code_challenge=pair.challenge,
        region="us_east_1",
    )
    assert_type(url, str)
    assert_type(check_state("s", None), bool)
    PresenceClient(
        region="us_east_1",
        auth=AuthorizationCodePKCE("id", "code", "https://r", pair.verifier),
        on_refresh_token=store,
    )
    PresenceClient(region="us_east_1", auth="token")  # type: ignore[arg-type]
    PresenceClient(region="us_east_1")  # type: ignore[call-arg]
    ClientCredentials("id", b"secret")  # type: ignore[arg-type]


async def store(refresh_token: str) -> None:
    """Keep a rotated refresh token; a plain function would do as well."""


def every_option(context: ssl.SSLContext, hook: Hook) -> PresenceClient:
    """Constructor options are keywords with plain types."""
    client = PresenceClient(
        auth=StaticToken("token"),
        base_url="https://gw.test",
        timeout=30,
        max_wait=0.5,
        retries=0,
        pool_size=50,
        rate_limit=300,
        proxy=ProxySettings("http://proxy:3128", "user", "password"),
        ssl=context,
        hook=hook,
    )
    assert_type(client.rate_limit, RateLimitStatus)
    assert_type(client.rate_limit.next_free, float)
    assert_type(client.with_options(timeout=5, retries=0), PresenceClient)
    assert_type(PresenceClient.from_env(max_wait=10), PresenceClient)
    client.with_options(rate_limit=5)  # type: ignore[call-arg]
    return client


async def lifetime(client: PresenceClient) -> None:
    """The client is its own context manager's value."""
    async with client as opened:
        assert_type(opened, PresenceClient)
    await client.aclose()


async def narrowing(client: PresenceClient) -> str:
    """A field is a value, null or missing, and type checkers tell the three apart."""
    presence = await client.user_presences.get("user", source="purecloud")
    assert_type(presence, UserPresence)
    assert_type(presence.message, Maybe[str])
    assert_type(presence.modified_date, datetime | Unset | None)
    presence.message.upper()  # type: ignore[union-attr]
    if presence.message is UNSET:
        return "missing"
    if presence.message is None:
        return "null"
    assert_type(presence.message, str)
    definition = presence.presence_definition
    if definition:  # UNSET and None are both false
        assert_type(definition, PresenceDefinition)
        name = definition.system_presence
        if not isinstance(name, Unset) and name is not None:
            assert_type(name, SystemPresenceName)
            assert_type(name == SystemPresenceName.ON_QUEUE, bool)
            assert_type(name.event, str)
    if presence.modified_date:
        assert_type(presence.modified_date.isoformat(), str)
    presence.message = "frozen"  # type: ignore[misc]
    return presence.message or ""


async def sweep(client: PresenceClient, ids: AsyncIterator[str], more: Iterator[str]) -> None:
    """The fan-out is iterated, awaited, or used as a block; its outcomes are typed."""
    async for outcome in client.user_presences.get_many(ids, concurrency=8, dedupe="all"):
        assert_type(outcome, PresenceOutcome)
        match outcome.status:
            case "present":
                assert_type(outcome.presence, UcUserPresence | None)
            case "missing":
                assert_type(outcome.user_id, str)
            case "failed":
                assert_type(outcome.error, PresenceError | None)
            case _:
                assert_never(outcome.status)
    assert_type(await client.user_presences.get_many(["a", "b"]), list[PresenceOutcome])
    async with client.user_presences.get_many(more, ordered=True) as outcomes:
        assert_type(outcomes, FanOut[PresenceOutcome])
        async for outcome in outcomes:
            assert_type(outcome.presence, UcUserPresence | None)
            break
    assert_type(await client.bulk.get(ids), list[PresenceOutcome])
    client.user_presences.get_many([1, 2])  # type: ignore[list-item]
    client.user_presences.get_many(["a"], dedupe="none")  # type: ignore[arg-type]


async def poller(client: PresenceClient, ids: list[str], more: AsyncIterator[str]) -> None:
    """Changes without end; what is known of whom, and how it goes, at any time."""
    async with client.poll(ids, interval=120, source="purecloud", concurrency=4) as poll:
        assert_type(poll, PresencePoll)
        async for change in poll:
            assert_type(change, PresenceChange)
            match change.kind:
                case "first" | "changed" | "fresh":
                    assert_type(change.after, UcUserPresence | None)
                case "stale":
                    assert_type(change.error, PresenceError | None)
                case _:
                    assert_never(change.kind)
            assert_type((change.seen_at, change.age), tuple[datetime, float | None])
            assert_type(change.fields, tuple[str, ...])
        poll.add(iter(ids))
        poll.remove({"a"})
        assert_type(poll["a"], KnownPresence)
        assert_type(poll["a"].checked_at, datetime | None)
        assert_type(poll.snapshot(), dict[str, KnownPresence])
        assert_type(poll.statistics, PollStatistics)
        assert_type(poll.statistics.lag, float)
        poll.add(more)  # type: ignore[arg-type]
    async for change in client.poll(more, interval=0.5):
        assert_type(change.user_id, str)
    client.poll(ids)  # type: ignore[call-arg]
    client.poll([1], interval=60)  # type: ignore[list-item]


async def streamer(client: PresenceClient, ids: list[str]) -> None:
    """Events of a stream, told apart to the last one."""
    async with client.stream(ids, topics=[user_topic("a", "activity")]) as stream:
        assert_type(stream, PresenceStream)
        async for event in stream:
            assert_type(event, StreamEvent)
            match event:
                case PresenceNotification():
                    assert_type(event.user_id, str)
                case Gap():
                    assert_type(event.users, tuple[str, ...])
                    assert_type(stream.when(event.since), datetime)
                case Folded():
                    assert_type(event.count, int)
                case Connected() | Disconnected():
                    assert_type(event.channel, int)
                case Rejected():
                    assert_type(event.topics, tuple[ChannelTopic, ...])
                case _:
                    assert_type(event.topic, str)
        stream.add(["b"])
        stream.remove(topics=[user_topic("a", "activity")])
        assert_type(stream.statistics, StreamStatistics)
    client.stream([1])  # type: ignore[list-item]


async def follower(client: PresenceClient, ids: list[str]) -> None:
    """A map that keeps itself right, and everything that can be asked of it."""
    async with client.live(ids, interval=None, reconcile=None) as live:
        assert_type(live, PresenceStore)
        await live.ready()
        assert_type(live["a"], LivePresence)
        assert_type(live["a"].presence, UcUserPresence | None)
        assert_type(live["a"].as_of, datetime | None)
        assert_type(live["a"].origin, Literal["event", "read"] | None)
        assert_type(live["a"].system_presence, SystemPresenceName | None)
        assert_type(live.snapshot(), dict[str, LivePresence])
        assert_type(live.where(system_presence="AVAILABLE", stale=False), list[LivePresence])
        assert_type(live.counts(), dict[SystemPresenceName | None, int])
        changes = live.changes(snapshot=True)
        assert_type(changes, LiveChanges)
        async for change in changes:
            assert_type(change, PresenceChange)
            assert_type(change.stale, bool)
        row = await live.wait_for("a", lambda row: row.system_presence == "BUSY")
        assert_type(row, LivePresence)
        live.add(iter(ids))
        live.remove({"a"})
        assert_type(live.statistics, StoreStatistics)
        assert_type(live.statistics.mode, Literal["notifications", "polling"])
    client.live([1])  # type: ignore[list-item]


async def loader_and_progress(client: PresenceClient, ids: list[str]) -> None:
    """Single reads that share requests; a callback that sees how far a sweep is."""
    async with client.coalesced(linger=0.01) as reads:
        assert_type(reads, CoalescedReads)
        assert_type(await reads.get("a"), UcUserPresence)

    def show(progress: Progress) -> None:
        assert_type(progress.total, int | None)
        assert_type((progress.done, progress.failed, progress.seconds), tuple[int, int, float])

    await client.bulk.get(ids, on_progress=show)
    await client.user_presences.get_many(ids, linger=2, on_progress=show)
    client.user_presences.get_many(ids, on_progress="show")  # type: ignore[arg-type]


async def any_fan_out(numbers: list[int]) -> None:
    """Any coroutine function can be fanned out; items and values keep their types."""

    async def half(number: int) -> float:
        return number / 2

    async for outcome in fan_out(half, numbers, concurrency=4):
        assert_type(outcome, Outcome[int, float])
        assert_type(outcome.item, int)
        assert_type(outcome.unwrap(), float)
        assert_type(outcome.error, BaseException | None)
    assert_type(await fan_out(half, iter(numbers)), list[Outcome[int, float]])


async def writes(client: PresenceClient) -> None:
    """Updates by keyword or by body; bulk items as models or as pairs."""
    update = client.user_presences.update
    assert_type(await update("user", system_presence="On Queue"), UserPresence)
    await update("user", definition_id="definition", message="", primary=True)
    await update("user", UserPresence(message=None), source="LYNC")
    await update("user", message=5)  # type: ignore[arg-type]
    rows = [MutableUserPresence(id="a", message="m"), MutableUserPresence(id="b", primary=True)]
    for outcome in await client.bulk.update(rows):
        assert_type(outcome, UpdateOutcome)
        assert_type(outcome.status, Literal["applied", "rejected", "superseded", "unknown"])
        assert_type(outcome.presence, UserPresence | None)
    pairs = [("a", "Busy"), ("b", "31fe3bac-dea6-44b7-bed7-47f91660a1a0")]
    await client.bulk.update(pairs)
    await client.bulk.update((user, SystemPresenceName.AWAY) for user in ("a", "b"))
    await client.bulk.update([("a", PresenceDefinition(id="d")), ("b", UserPresence(message="m"))])
    primary = await client.user_presences.set_primary_source("user", "source", registered=True)
    assert_type(primary, UserPrimarySource)
    assert_type(await client.user_presences.get_primary_source("user"), UserPrimarySource)


async def from_files(client: PresenceClient, later: AsyncIterator[UpdateItem]) -> None:
    """Rows come from text or lines of either kind; items from any iterable."""
    rows = parse_csv("user_id,message\nu,m\n") + parse_json_lines([b"{}"]) + parse_csv(["a"])
    assert_type(rows, list[UpdateRow])
    items = await client.bulk.resolve(iter(rows))
    assert_type(items, list[MutableUserPresence])
    await client.bulk.update(items, settle=False)
    outcomes: list[UpdateOutcome] = []
    await client.bulk.update(later, settling_time=5, on_outcome=outcomes.append)
    try:
        parse_csv(io.StringIO("", newline=""))
    except RowsError as error:
        assert_type(error.failures, tuple[BadRow, ...])
    parse_csv(5)  # type: ignore[arg-type]


async def from_outside(
    client: PresenceClient, events: AsyncIterator[UserPresenceEvent], now: datetime
) -> None:
    """Events and third-party presences from any iterable; each kind has its own outcomes."""
    for outcome in await client.events.inject(events, event_date_time=now, concurrency=2):
        assert_type(outcome, EventOutcome)
        assert_type(outcome.event, UserPresenceEvent)
        assert_type(outcome.status, Literal["applied", "rejected", "unknown"])
        assert_type(outcome.reason, EventError | None)
        if outcome.reason:
            assert_type(outcome.reason.retryable, Maybe[bool])
    event = UserPresenceEvent(user_id="user", source_id="source", message="m")
    await client.events.inject(iter([event]))
    await client.events.inject([("user", "source")])  # type: ignore[list-item]
    UserPresenceEvent(user_id="user")  # type: ignore[call-arg]
    presence = UCThirdPartyPresence(email="ann@example.com", presence=SystemPresenceName.BUSY)
    for accepted in await client.events.ingest_third_party("integration", (presence,)):
        assert_type(accepted, ThirdPartyOutcome)
        assert_type(accepted.presence, UCThirdPartyPresence)
        assert_type(accepted.status, Literal["accepted", "rejected", "unknown"])
        assert_type(accepted.error, PresenceError | None)
    await client.events.inject([presence])  # type: ignore[list-item]


async def definitions(client: PresenceClient) -> None:
    """Listings are awaited for all items, iterated, or taken page by page."""
    everything = await client.definitions.list(deactivated=True, division_ids=["*"])
    assert_type(everything, list[OrganizationPresenceDefinition])
    async for legacy in client.legacy_definitions.list(deleted="all"):
        assert_type(legacy, OrganizationPresence)
    labels = {"en_US": "Coffee"}
    created = await client.definitions.create(
        OrganizationPresenceDefinition(
            language_labels=labels, system_presence=SystemPresenceName.BREAK
        )
    )
    assert_type(created, OrganizationPresenceDefinition)
    await client.definitions.delete("definition")
    deleted = await client.legacy_definitions.delete("definition")
    assert_type(deleted, OrganizationPresence | None)
    found = await client.definitions.find(label="Coffee")
    assert_type(found, tuple[OrganizationPresenceDefinition, ...])
    assert_type(await client.system_presences.list(), list[SystemPresence])
    assert_type(await client.system_presences.definition_id("ON_QUEUE"), str)


async def channels(client: PresenceClient) -> str:
    """Channels and their topics; the address is a secret and no str."""
    channel = await client.channels.create()
    assert_type(channel, Channel)
    assert_type(channel.connect_uri, Secret | Unset | None)
    assert_type(await client.channels.exists("channel"), bool)
    topics = [user_topic("user", "presence", "activity")]
    listing = await client.channels.add_subscriptions("channel", topics, ignore_errors=True)
    assert_type(listing, ChannelTopicEntityListing)
    await client.channels.replace_subscriptions("channel", [1])  # type: ignore[list-item]
    assert_type(await client.channels.list_available_topics(), list[AvailableTopic])
    return channel.connect_uri  # type: ignore[return-value]


def said(notification: Notification) -> str | None:
    """What comes over a socket is told apart by its class."""
    match notification:
        case PresenceNotification() | ActivityNotification() | IntegrationPresenceNotification():
            assert_type(notification.user_id, str)
            return notification.correlation_id
        case ClosingNotice() | SystemNotification():
            return notification.kind
        case OtherNotification() | UndecodableFrame():
            return notification.user_id
    return notification.topic


async def the_rest(client: PresenceClient) -> None:
    """Sources, settings and users."""
    assert_type(await client.sources.list(), list[Source])
    assert_type(await client.sources.create(Source(name="door")), Source)
    assert_type(await client.settings.get(), PresenceSettings)
    async for user in client.users.list(expand=["presence"]):
        assert_type(user, User)
        if user.presence:
            assert_type(user.presence, UserPresence)
    async for page in client.users.list(page_size=100).pages():
        assert_type(page, UserEntityListing)
        assert_type(page.failures, tuple[RowFailure, ...])
    assert_type(await client.users.me(), User)


async def jobs(client: PresenceClient, items: list[UpdateItem]) -> None:
    """A job is started with items or without, and its outcomes are typed."""
    async with BulkUpdateJob(client, "moves.journal", items, settle=False) as job:
        assert_type(await job.run(on_outcome=print), JobSummary)
        assert_type(await job.retry_failed(), JobSummary)
        assert_type([one async for one in job.outcomes()], list[JobOutcome])
        assert_type(await job.dry_run(), list[DryRunOutcome])
        assert_type(await job.export(io.StringIO(), "jsonl"), int)
    BulkUpdateJob(client, None, undo="moves.journal")


async def failures(client: PresenceClient) -> float | None:
    """Errors are caught by what to do about them; each knows what it knows, typed."""
    try:
        await client.settings.get()
    except PermissionDeniedError as error:
        assert_type(error.missing_permissions, tuple[str, ...])
        assert_type(error.needs_all, bool)
    except DecodeError as error:
        assert_type(error.failures, tuple[RowFailure, ...])
    except PresenceError as error:
        assert_type(error.status, int | None)
        assert_type(error.outcome_unknown, bool)
        return error.retry_after
    except ConnectionError:
        return None
    return 0.0


def observer(record: Record) -> str:
    """A hook that handles every record there is."""
    match record:
        case RequestStarted(call=number) | LimiterWaited(call=number):
            assert_type(number, int)
            return record.path_template
        case AttemptFinished():
            assert_type(record.status, int | None)
            return record.method
        case RequestFinished():
            return f"{record.attempts}"
        case TokenRefreshed():
            return f"{record.expires_in}"
        case _:
            assert_never(record)


class Counting:
    """Any object that can be called with a record is a hook, whatever it returns."""

    def __init__(self) -> None:
        self.records = 0

    def __call__(self, record: Record) -> int:
        """Count."""
        self.records += 1
        return self.records


HOOKS: list[Hook] = [observer, Counting(), print]
NO_HOOK: Hook = len  # type: ignore[assignment]


def conversion(body: bytes) -> None:
    """JSON to models and back, by class."""
    presence = from_json(body, UserPresence)
    assert_type(presence, UserPresence)
    assert_type(to_json(presence), bytes)
    assert_type(to_dict(presence), dict[str, Any])
