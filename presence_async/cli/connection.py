"""Where a command connects to, and for whom. Everybody can read a command line: no credentials."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final

from presence_async.cli.exit_codes import EXIT_CODES
from presence_async.cli.files import STANDARD_INPUT, first_line, read_ids
from presence_async.cli.values import whole
from presence_async.client import PresenceClient
from presence_async.errors import ConfigurationError
from presence_async.grants import ClientCredentials

_ENVIRONMENT: Final = """\
environment:
  GENESYSCLOUD_REGION, GENESYSCLOUD_OAUTHCLIENT_ID and GENESYSCLOUD_OAUTHCLIENT_SECRET, or
  GENESYSCLOUD_ACCESS_TOKEN instead of the last two; GENESYSCLOUD_PROXY_... and
  GENESYSCLOUD_GATEWAY_... as with the vendor's Terraform provider.
"""
_NEEDED: Final = ("base_url", "login_url", "client_id", "client_secret")


def add_connected(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    *,
    what: str,
    description: str,
    epilog: str = "",
    concurrency: int = 16,
) -> argparse.ArgumentParser:
    """Add a command that connects, with the options that all of these have."""
    parser = commands.add_parser(
        name,
        help=what,
        description=description,
        epilog=f"{epilog}{_ENVIRONMENT}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--concurrency",
        type=whole(least=1),
        default=concurrency,
        metavar="NUMBER",
        help="requests in flight at most (default: %(default)s)",
    )
    parser.add_argument(
        "--simulator",
        metavar="FILE",
        help="connect to the simulator whose first line is in this file, - for standard "
        "input (default: the organization of the environment)",
    )
    return parser


def add_users(parser: argparse.ArgumentParser) -> None:
    """Add the ways to say who it is about: those of `ids_of`."""
    add = parser.add_argument
    add("user_ids", nargs="*", metavar="USER_ID", help="whom (default: everyone there is)")
    add("--ids", metavar="FILE", help="user ids, one a line; - is standard input")


def ids_of(options: argparse.Namespace) -> list[str] | None:
    """Return the ids that the command line gives; None for everyone."""
    if options.ids is None:
        return options.user_ids or None
    if options.user_ids:
        raise ConfigurationError("USER_ID and --ids cannot both be given")
    if options.ids == options.simulator == STANDARD_INPUT:
        raise ConfigurationError("--ids and --simulator cannot both be standard input")
    return read_ids(options.ids)


async def everyone(client: PresenceClient) -> dict[str, str]:
    """Return the names of all users by their ids."""
    # By pages: somebody's row that cannot be understood is no reason to know nobody.
    pages = client.users.list().pages()
    return {user.id: user.name or "" async for page in pages for user in page.entities if user.id}


def connect(options: argparse.Namespace) -> PresenceClient:
    """Return the client, not open yet."""
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
