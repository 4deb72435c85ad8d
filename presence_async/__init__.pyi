# What type checkers see: the names of the table in __init__.py, which imports on first use.

from presence_async.client import (
    PresenceClient as PresenceClient,
)
from presence_async.config import (
    REGIONS as REGIONS,
    Lane as Lane,
    Pacing as Pacing,
    ProxySettings as ProxySettings,
)
from presence_async.converter import (
    from_dict as from_dict,
    from_json as from_json,
    to_dict as to_dict,
    to_json as to_json,
)
from presence_async.errors import (
    AuthenticationError as AuthenticationError,
    ClosedError as ClosedError,
    ConfigurationError as ConfigurationError,
    ConflictError as ConflictError,
    DecodeError as DecodeError,
    InvalidRequestError as InvalidRequestError,
    JournalError as JournalError,
    JournalLockedError as JournalLockedError,
    NotFoundError as NotFoundError,
    PermissionDeniedError as PermissionDeniedError,
    PresenceConnectionError as PresenceConnectionError,
    PresenceError as PresenceError,
    PresenceTimeoutError as PresenceTimeoutError,
    RateLimitedError as RateLimitedError,
    RowFailure as RowFailure,
    ServerError as ServerError,
)
from presence_async.fanout import (
    FanOut as FanOut,
    Outcome as Outcome,
    fan_out as fan_out,
)
from presence_async.forecast import (
    SweepForecast as SweepForecast,
)
from presence_async.grants import (
    Auth as Auth,
    AuthorizationCode as AuthorizationCode,
    AuthorizationCodePKCE as AuthorizationCodePKCE,
    ClientCredentials as ClientCredentials,
    PKCEPair as PKCEPair,
    RefreshToken as RefreshToken,
    Saml2Bearer as Saml2Bearer,
    StaticToken as StaticToken,
    authorize_url as authorize_url,
    check_state as check_state,
)
from presence_async.hooks import (
    AttemptFinished as AttemptFinished,
    Hook as Hook,
    LimiterWaited as LimiterWaited,
    Record as Record,
    RequestFinished as RequestFinished,
    RequestStarted as RequestStarted,
    TokenRefreshed as TokenRefreshed,
)
from presence_async.jobs.entries import (
    DryRunOutcome as DryRunOutcome,
    JobOutcome as JobOutcome,
    JobSummary as JobSummary,
)
from presence_async.jobs.job import (
    BulkUpdateJob as BulkUpdateJob,
)
from presence_async.limiter import (
    RateLimitStatus as RateLimitStatus,
)
from presence_async.live.listeners import (
    LiveChanges as LiveChanges,
)
from presence_async.live.outputs import (
    Connected as Connected,
    Disconnected as Disconnected,
    Folded as Folded,
    Gap as Gap,
    Rejected as Rejected,
    StreamEvent as StreamEvent,
)
from presence_async.live.rows import (
    LivePresence as LivePresence,
    StoreStatistics as StoreStatistics,
)
from presence_async.live.store import (
    PresenceStore as PresenceStore,
)
from presence_async.live.stream import (
    PresenceStream as PresenceStream,
    StreamStatistics as StreamStatistics,
)
from presence_async.models import (
    UNSET as UNSET,
    AgentActivityEvent as AgentActivityEvent,
    AgentActivityPresence as AgentActivityPresence,
    AvailableTopic as AvailableTopic,
    AvailableTopicEntityListing as AvailableTopicEntityListing,
    BatchEventResponse as BatchEventResponse,
    Channel as Channel,
    ChannelEntityListing as ChannelEntityListing,
    ChannelTopic as ChannelTopic,
    ChannelTopicEntityListing as ChannelTopicEntityListing,
    Detail as Detail,
    Division as Division,
    ErrorBody as ErrorBody,
    EventError as EventError,
    IntegrationPresenceEvent as IntegrationPresenceEvent,
    Limit as Limit,
    Maybe as Maybe,
    MutableUserPresence as MutableUserPresence,
    OrganizationPresence as OrganizationPresence,
    OrganizationPresenceDefinition as OrganizationPresenceDefinition,
    OrganizationPresenceDefinitionEntityListing as OrganizationPresenceDefinitionEntityListing,
    OrganizationPresenceEntityListing as OrganizationPresenceEntityListing,
    OutOfOffice as OutOfOffice,
    PermissionDetails as PermissionDetails,
    PresenceDefinition as PresenceDefinition,
    PresenceEventUserPresence as PresenceEventUserPresence,
    PresenceExpand as PresenceExpand,
    PresenceSettings as PresenceSettings,
    RestorePresenceSettings as RestorePresenceSettings,
    Source as Source,
    SourceEntityListing as SourceEntityListing,
    SystemMessageEvent as SystemMessageEvent,
    SystemPresence as SystemPresence,
    SystemPresenceName as SystemPresenceName,
    UCThirdPartyPresence as UCThirdPartyPresence,
    UcUserPresence as UcUserPresence,
    Unset as Unset,
    User as User,
    UserEntityListing as UserEntityListing,
    UserPresence as UserPresence,
    UserPresenceEvent as UserPresenceEvent,
    UserPrimarySource as UserPrimarySource,
)
from presence_async.notifications import (
    ActivityNotification as ActivityNotification,
    ClosingNotice as ClosingNotice,
    IntegrationPresenceNotification as IntegrationPresenceNotification,
    Notification as Notification,
    OtherNotification as OtherNotification,
    PresenceNotification as PresenceNotification,
    SystemNotification as SystemNotification,
    UndecodableFrame as UndecodableFrame,
    user_topic as user_topic,
)
from presence_async.outcomes import (
    Progress as Progress,
)
from presence_async.resources._base import (
    Listing as Listing,
)
from presence_async.resources.changes import (
    KnownPresence as KnownPresence,
    PresenceChange as PresenceChange,
)
from presence_async.resources.coalescing import (
    CoalescedReads as CoalescedReads,
)
from presence_async.resources.events import (
    EventOutcome as EventOutcome,
    ThirdPartyOutcome as ThirdPartyOutcome,
)
from presence_async.resources.polling import (
    PollStatistics as PollStatistics,
    PresencePoll as PresencePoll,
)
from presence_async.resources.reading import (
    PresenceOutcome as PresenceOutcome,
)
from presence_async.resources.updating import (
    UpdateItem as UpdateItem,
    UpdateOutcome as UpdateOutcome,
)
from presence_async.rows import (
    BadRow as BadRow,
    RowsError as RowsError,
    UpdateRow as UpdateRow,
    parse_csv as parse_csv,
    parse_json_lines as parse_json_lines,
)
from presence_async.secret import (
    Secret as Secret,
)
