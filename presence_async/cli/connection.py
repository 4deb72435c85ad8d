"""Where a command connects to: the organization of the environment, or a simulator.

Credentials come from the environment or from a file. A command line is no place for them:
every user of the machine can read it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from presence_async.cli.files import first_line
from presence_async.client import PresenceClient
from presence_async.errors import ConfigurationError
from presence_async.grants import ClientCredentials

if TYPE_CHECKING:
    import argparse

__all__ = ["ENVIRONMENT", "add_connection", "connect"]

ENVIRONMENT: Final = """\
environment:
  GENESYSCLOUD_REGION, GENESYSCLOUD_OAUTHCLIENT_ID and GENESYSCLOUD_OAUTHCLIENT_SECRET, or
  GENESYSCLOUD_ACCESS_TOKEN instead of the last two; GENESYSCLOUD_PROXY_... and
  GENESYSCLOUD_GATEWAY_... as with the vendor's Terraform provider.
"""
_NEEDED: Final = ("base_url", "login_url", "client_id", "client_secret")


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add the options of `connect`."""
    parser.add_argument(
        "--simulator",
        metavar="FILE",
        help="connect to the simulator whose first line is in this file, - for standard "
        "input (default: the organization of the environment)",
    )


def connect(options: argparse.Namespace) -> PresenceClient:
    """Return the client, not open yet.

    Raises:
        ConfigurationError: A variable is missing or unusable, or the file is not what
            `simulate` prints.
        OSError: The file cannot be read.
    """
    if options.simulator is None:
        return PresenceClient.from_env()
    announced = _announced(first_line(options.simulator))
    if announced is None:
        raise ConfigurationError(f"--simulator {options.simulator}: not the line `simulate` prints")
    return PresenceClient(
        base_url=announced["base_url"],
        login_url=announced["login_url"],
        allow_loopback_http=True,
        auth=ClientCredentials(announced["client_id"], announced["client_secret"]),
    )


def _announced(line: str) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if isinstance(fields, dict) and all(isinstance(fields.get(name), str) for name in _NEEDED):
        return fields
    return None
