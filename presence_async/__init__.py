"""Asyncio-native client for the Genesys Cloud Presence API.

    from presence_async import ClientCredentials, PresenceClient

    async with PresenceClient(region="us_east_1", auth=ClientCredentials(id, secret)) as client:
        async for outcome in client.user_presences.get_many(user_ids):
            ...

Everything public is here and imported on first use (PEP 562): who needs only the models
never pays for aiohttp.

PYTEST_DONT_REWRITE: pytest may find the package of its plugin imported already, and would warn.
"""

import importlib
from typing import Any

# Where each public name lives; also the test of what is public.
_HOMES = {
    "presence_async.client": ("PresenceClient",),
    "presence_async.config": ("REGIONS", "Lane", "Pacing", "ProxySettings"),
    "presence_async.converter": ("from_dict", "from_json", "to_dict", "to_json"),
    "presence_async.errors": (
        "AuthenticationError",
        "ClosedError",
        "ConfigurationError",
        "ConflictError",
        "DecodeError",
        "InvalidRequestError",
        "JournalError",
        "JournalLockedError",
        "NotFoundError",
        "PermissionDeniedError",
        "PresenceConnectionError",
        "PresenceError",
        "PresenceTimeoutError",
        "RateLimitedError",
        "RowFailure",
        "ServerError",
    ),
    "presence_async.fanout": ("FanOut", "Outcome", "fan_out"),
    "presence_async.forecast": ("SweepForecast",),
    "presence_async.grants": (
        "Auth",
        "AuthorizationCode",
        "AuthorizationCodePKCE",
        "ClientCredentials",
        "PKCEPair",
        "RefreshToken",
        "Saml2Bearer",
        "StaticToken",
        "authorize_url",
        "check_state",
    ),
    "presence_async.hooks": (
        "AttemptFinished",
        "Hook",
        "LimiterWaited",
        "Record",
        "RequestFinished",
        "RequestStarted",
        "TokenRefreshed",
    ),
    "presence_async.jobs.entries": ("DryRunOutcome", "JobOutcome", "JobSummary"),
    "presence_async.jobs.job": ("BulkUpdateJob",),
    "presence_async.limiter": ("RateLimitStatus",),
    "presence_async.live.listeners": ("LiveChanges",),
    "presence_async.live.outputs": (
        "Connected",
        "Disconnected",
        "Folded",
        "Gap",
        "Rejected",
        "StreamEvent",
    ),
    "presence_async.live.rows": ("LivePresence", "StoreStatistics"),
    "presence_async.live.store": ("PresenceStore",),
    "presence_async.live.stream": ("PresenceStream", "StreamStatistics"),
    "presence_async.models": (
        "UNSET",
        "AgentActivityEvent",
        "AgentActivityPresence",
        "AvailableTopic",
        "AvailableTopicEntityListing",
        "BatchEventResponse",
        "Channel",
        "ChannelEntityListing",
        "ChannelTopic",
        "ChannelTopicEntityListing",
        "Detail",
        "Division",
        "ErrorBody",
        "EventError",
        "IntegrationPresenceEvent",
        "Limit",
        "Maybe",
        "MutableUserPresence",
        "OrganizationPresence",
        "OrganizationPresenceDefinition",
        "OrganizationPresenceDefinitionEntityListing",
        "OrganizationPresenceEntityListing",
        "OutOfOffice",
        "PermissionDetails",
        "PresenceDefinition",
        "PresenceEventUserPresence",
        "PresenceExpand",
        "PresenceSettings",
        "RestorePresenceSettings",
        "Source",
        "SourceEntityListing",
        "SystemMessageEvent",
        "SystemPresence",
        "SystemPresenceName",
        "UCThirdPartyPresence",
        "UcUserPresence",
        "Unset",
        "User",
        "UserEntityListing",
        "UserPresence",
        "UserPresenceEvent",
        "UserPrimarySource",
    ),
    "presence_async.notifications": (
        "ActivityNotification",
        "ClosingNotice",
        "IntegrationPresenceNotification",
        "Notification",
        "OtherNotification",
        "PresenceNotification",
        "SystemNotification",
        "UndecodableFrame",
        "user_topic",
    ),
    "presence_async.outcomes": ("Progress",),
    "presence_async.resources._base": ("Listing",),
    "presence_async.resources.changes": ("KnownPresence", "PresenceChange"),
    "presence_async.resources.coalescing": ("CoalescedReads",),
    "presence_async.resources.events": ("EventOutcome", "ThirdPartyOutcome"),
    "presence_async.resources.polling": ("PollStatistics", "PresencePoll"),
    "presence_async.resources.reading": ("PresenceOutcome",),
    "presence_async.resources.updating": ("UpdateItem", "UpdateOutcome"),
    "presence_async.rows": ("BadRow", "RowsError", "UpdateRow", "parse_csv", "parse_json_lines"),
    "presence_async.secret": ("Secret",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = list(_HOME_OF)


def __getattr__(name: str) -> Any:
    """Import a public name on first use; afterwards it is an ordinary attribute."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
