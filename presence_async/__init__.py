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
from typing import TYPE_CHECKING, Any

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
    "presence_async.limiter": ("RateLimitStatus",),
    "presence_async.models": (
        "UNSET",
        "BatchEventResponse",
        "Detail",
        "Division",
        "ErrorBody",
        "EventError",
        "Limit",
        "Maybe",
        "MutableUserPresence",
        "OrganizationPresence",
        "OrganizationPresenceDefinition",
        "OrganizationPresenceDefinitionEntityListing",
        "OrganizationPresenceEntityListing",
        "OutOfOffice",
        "PresenceDefinition",
        "PresenceExpand",
        "PresenceSettings",
        "RestorePresenceSettings",
        "Source",
        "SourceEntityListing",
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
    "presence_async.outcomes": ("Progress",),
    "presence_async.resources._base": ("Listing",),
    "presence_async.resources.coalescing": ("CoalescedReads",),
    "presence_async.resources.events": ("EventOutcome", "ThirdPartyOutcome"),
    "presence_async.resources.reading": ("PresenceOutcome",),
    "presence_async.resources.updating": ("UpdateItem", "UpdateOutcome"),
    "presence_async.rows": ("BadRow", "RowsError", "UpdateRow", "parse_csv", "parse_json_lines"),
    "presence_async.secret": ("Secret",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

if TYPE_CHECKING:
    from presence_async.client import (
        PresenceClient,
    )
    from presence_async.config import (
        REGIONS,
        Lane,
        Pacing,
        ProxySettings,
    )
    from presence_async.converter import (
        from_dict,
        from_json,
        to_dict,
        to_json,
    )
    from presence_async.errors import (
        AuthenticationError,
        ClosedError,
        ConfigurationError,
        ConflictError,
        DecodeError,
        InvalidRequestError,
        NotFoundError,
        PermissionDeniedError,
        PresenceConnectionError,
        PresenceError,
        PresenceTimeoutError,
        RateLimitedError,
        RowFailure,
        ServerError,
    )
    from presence_async.fanout import (
        FanOut,
        Outcome,
        fan_out,
    )
    from presence_async.forecast import (
        SweepForecast,
    )
    from presence_async.grants import (
        Auth,
        AuthorizationCode,
        AuthorizationCodePKCE,
        ClientCredentials,
        PKCEPair,
        RefreshToken,
        Saml2Bearer,
        StaticToken,
        authorize_url,
        check_state,
    )
    from presence_async.hooks import (
        AttemptFinished,
        Hook,
        LimiterWaited,
        Record,
        RequestFinished,
        RequestStarted,
        TokenRefreshed,
    )
    from presence_async.limiter import (
        RateLimitStatus,
    )
    from presence_async.models import (
        UNSET,
        BatchEventResponse,
        Detail,
        Division,
        ErrorBody,
        EventError,
        Limit,
        Maybe,
        MutableUserPresence,
        OrganizationPresence,
        OrganizationPresenceDefinition,
        OrganizationPresenceDefinitionEntityListing,
        OrganizationPresenceEntityListing,
        OutOfOffice,
        PresenceDefinition,
        PresenceExpand,
        PresenceSettings,
        RestorePresenceSettings,
        Source,
        SourceEntityListing,
        SystemPresence,
        SystemPresenceName,
        UCThirdPartyPresence,
        UcUserPresence,
        Unset,
        User,
        UserEntityListing,
        UserPresence,
        UserPresenceEvent,
        UserPrimarySource,
    )
    from presence_async.outcomes import (
        Progress,
    )
    from presence_async.resources._base import (
        Listing,
    )
    from presence_async.resources.coalescing import (
        CoalescedReads,
    )
    from presence_async.resources.events import (
        EventOutcome,
        ThirdPartyOutcome,
    )
    from presence_async.resources.reading import (
        PresenceOutcome,
    )
    from presence_async.resources.updating import (
        UpdateItem,
        UpdateOutcome,
    )
    from presence_async.rows import (
        BadRow,
        RowsError,
        UpdateRow,
        parse_csv,
        parse_json_lines,
    )
    from presence_async.secret import (
        Secret,
    )

__all__ = [
    "REGIONS",
    "UNSET",
    "AttemptFinished",
    "Auth",
    "AuthenticationError",
    "AuthorizationCode",
    "AuthorizationCodePKCE",
    "BadRow",
    "BatchEventResponse",
    "ClientCredentials",
    "ClosedError",
    "CoalescedReads",
    "ConfigurationError",
    "ConflictError",
    "DecodeError",
    "Detail",
    "Division",
    "ErrorBody",
    "EventError",
    "EventOutcome",
    "FanOut",
    "Hook",
    "InvalidRequestError",
    "Lane",
    "Limit",
    "LimiterWaited",
    "Listing",
    "Maybe",
    "MutableUserPresence",
    "NotFoundError",
    "OrganizationPresence",
    "OrganizationPresenceDefinition",
    "OrganizationPresenceDefinitionEntityListing",
    "OrganizationPresenceEntityListing",
    "OutOfOffice",
    "Outcome",
    "PKCEPair",
    "Pacing",
    "PermissionDeniedError",
    "PresenceClient",
    "PresenceConnectionError",
    "PresenceDefinition",
    "PresenceError",
    "PresenceExpand",
    "PresenceOutcome",
    "PresenceSettings",
    "PresenceTimeoutError",
    "Progress",
    "ProxySettings",
    "RateLimitStatus",
    "RateLimitedError",
    "Record",
    "RefreshToken",
    "RequestFinished",
    "RequestStarted",
    "RestorePresenceSettings",
    "RowFailure",
    "RowsError",
    "Saml2Bearer",
    "Secret",
    "ServerError",
    "Source",
    "SourceEntityListing",
    "StaticToken",
    "SweepForecast",
    "SystemPresence",
    "SystemPresenceName",
    "ThirdPartyOutcome",
    "TokenRefreshed",
    "UCThirdPartyPresence",
    "UcUserPresence",
    "Unset",
    "UpdateItem",
    "UpdateOutcome",
    "UpdateRow",
    "User",
    "UserEntityListing",
    "UserPresence",
    "UserPresenceEvent",
    "UserPrimarySource",
    "authorize_url",
    "check_state",
    "fan_out",
    "from_dict",
    "from_json",
    "parse_csv",
    "parse_json_lines",
    "to_dict",
    "to_json",
]


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
