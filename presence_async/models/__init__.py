"""The vendor's records as frozen values: its names in snake case, its gaps kept as gaps.

A model knows nothing of the network or of JSON. Fields missing on the wire are `UNSET`,
fields that are null are None, fields this version does not know are in `extra`.
"""

from presence_async.models._base import UNSET, Maybe, Model, Unset
from presence_async.models.definitions import (
    OrganizationPresence,
    OrganizationPresenceDefinition,
    OrganizationPresenceDefinitionEntityListing,
    OrganizationPresenceEntityListing,
)
from presence_async.models.error_body import Detail, ErrorBody, Limit
from presence_async.models.notifications import (
    AgentActivityEvent,
    AgentActivityPresence,
    AvailableTopic,
    AvailableTopicEntityListing,
    Channel,
    ChannelEntityListing,
    ChannelTopic,
    ChannelTopicEntityListing,
    IntegrationPresenceEvent,
    PermissionDetails,
    PresenceEventUserPresence,
    SystemMessageEvent,
)
from presence_async.models.presences import (
    MutableUserPresence,
    PresenceDefinition,
    UcUserPresence,
    UserPresence,
)
from presence_async.models.sources import (
    BatchEventResponse,
    EventError,
    PresenceSettings,
    RestorePresenceSettings,
    Source,
    SourceEntityListing,
    UCThirdPartyPresence,
    UserPresenceEvent,
    UserPrimarySource,
)
from presence_async.models.system_presence import SystemPresence, SystemPresenceName
from presence_async.models.users import (
    Division,
    OutOfOffice,
    PresenceExpand,
    User,
    UserEntityListing,
)

__all__ = [
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
    "Model",
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
]
