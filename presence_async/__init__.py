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
    "presence_async.config": ("REGIONS", "ProxySettings"),
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
        "Detail",
        "Division",
        "ErrorBody",
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
        "UcUserPresence",
        "Unset",
        "User",
        "UserEntityListing",
        "UserPresence",
        "UserPrimarySource",
    ),
    "presence_async.resources._base": ("Listing",),
    "presence_async.resources.bulk": ("UpdateItem", "UpdateOutcome"),
    "presence_async.resources.reading": ("PresenceOutcome",),
    "presence_async.secret": ("Secret",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

if TYPE_CHECKING:
    from presence_async.client import (
        PresenceClient,
    )
    from presence_async.config import (
        REGIONS,
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
        Detail,
        Division,
        ErrorBody,
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
        UcUserPresence,
        Unset,
        User,
        UserEntityListing,
        UserPresence,
        UserPrimarySource,
    )
    from presence_async.resources._base import (
        Listing,
    )
    from presence_async.resources.bulk import (
        UpdateItem,
        UpdateOutcome,
    )
    from presence_async.resources.reading import (
        PresenceOutcome,
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
    "ClientCredentials",
    "ClosedError",
    "ConfigurationError",
    "ConflictError",
    "DecodeError",
    "Detail",
    "Division",
    "ErrorBody",
    "FanOut",
    "Hook",
    "InvalidRequestError",
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
    "PermissionDeniedError",
    "PresenceClient",
    "PresenceConnectionError",
    "PresenceDefinition",
    "PresenceError",
    "PresenceExpand",
    "PresenceOutcome",
    "PresenceSettings",
    "PresenceTimeoutError",
    "ProxySettings",
    "RateLimitStatus",
    "RateLimitedError",
    "Record",
    "RefreshToken",
    "RequestFinished",
    "RequestStarted",
    "RestorePresenceSettings",
    "RowFailure",
    "Saml2Bearer",
    "Secret",
    "ServerError",
    "Source",
    "SourceEntityListing",
    "StaticToken",
    "SystemPresence",
    "SystemPresenceName",
    "TokenRefreshed",
    "UcUserPresence",
    "Unset",
    "UpdateItem",
    "UpdateOutcome",
    "User",
    "UserEntityListing",
    "UserPresence",
    "UserPrimarySource",
    "authorize_url",
    "check_state",
    "fan_out",
    "from_dict",
    "from_json",
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
