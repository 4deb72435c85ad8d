"""A local stand-in for the vendor: the Presence API, its neighbours and its login server.

An independent witness. It is written from the vendor's published facts alone and imports
nothing from the rest of the package, so a misreading in the client does not repeat here.
"""

from presence_async.simulator.control import Control
from presence_async.simulator.definitions import BUILT_IN_IDS, Definition
from presence_async.simulator.errors import ApiError
from presence_async.simulator.faults import Fault
from presence_async.simulator.latency import exponential, lognormal, uniform
from presence_async.simulator.organization import Organization
from presence_async.simulator.recorder import RecordedRequest, RouteCount
from presence_async.simulator.records import (
    PURECLOUD,
    Presence,
    PrimarySource,
    Settings,
    Source,
    User,
)
from presence_async.simulator.server import Simulator
from presence_async.simulator.services import ALL_PERMISSIONS
from presence_async.simulator.switches import Switches

__all__ = [
    "ALL_PERMISSIONS",
    "BUILT_IN_IDS",
    "PURECLOUD",
    "ApiError",
    "Control",
    "Definition",
    "Fault",
    "Organization",
    "Presence",
    "PrimarySource",
    "RecordedRequest",
    "RouteCount",
    "Settings",
    "Simulator",
    "Source",
    "Switches",
    "User",
    "exponential",
    "lognormal",
    "uniform",
]
