"""The vendor's records as frozen values: its names in snake case, its gaps kept as gaps.

A model knows nothing of the network or of JSON. Fields missing on the wire are `UNSET`,
fields that are null are None, fields this version does not know are in `extra`.
"""

from presence_async.models._base import Model
from presence_async.models._unset import UNSET, Maybe, Unset
from presence_async.models.channels import (
    AvailableTopic,
    AvailableTopicEntityListing,
    Channel,
    ChannelEntityListing,
    ChannelTopic,
    ChannelTopicEntityListing,
    PermissionDetails,
)
from presence_async.models.definitions import (
    OrganizationPresence,
    OrganizationPresenceDefinition,
    OrganizationPresenceDefinitionEntityListing,
    OrganizationPresenceEntityListing,
)
from presence_async.models.error_body import Detail, ErrorBody, Limit
from presence_async.models.events import (
    BatchEventResponse,
    EventError,
    UCThirdPartyPresence,
    UserPresenceEvent,
)
from presence_async.models.notifications import (
    AgentActivityEvent,
    AgentActivityPresence,
    IntegrationPresenceEvent,
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
    PresenceSettings,
    RestorePresenceSettings,
    Source,
    SourceEntityListing,
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
