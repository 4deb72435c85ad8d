"""`poll`: everyone's presence now, and from then on what changes, until it is interrupted."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from presence_async.cli.connection import ENVIRONMENT, add_connection, connect
from presence_async.cli.exit_codes import DONE, EXIT_CODES, PARTLY
from presence_async.cli.files import STANDARD_INPUT, read_ids
from presence_async.cli.interruption import interruptible
from presence_async.cli.output import Output
from presence_async.cli.records import change_json, change_line
from presence_async.cli.values import seconds, whole
from presence_async.errors import ConfigurationError

if TYPE_CHECKING:
    from presence_async.client import PresenceClient
    from presence_async.resources.polling import PresencePoll

_DESCRIPTION = """\
Reads the presences of users again and again, and tells what changes: first everyone as they are,
then only what differs. It only reads.

On a terminal each change is a line for people, elsewhere a JSON object on a line of its own.
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `poll` and its options to the commands."""
    parser = commands.add_parser(
        "poll",
        help="tell everyone's presence, and what changes from then on",
        description=_DESCRIPTION,
        epilog=f"{ENVIRONMENT}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--ids",
        metavar="FILE",
        help="user ids, one a line; - is standard input (default: everyone there is at the start)",
    )
    parser.add_argument(
        "--interval",
        type=seconds,
        default=120.0,
        metavar="SECONDS",
        help="from the start of one sweep to that of the next (default: %(default)g)",
    )
    parser.add_argument("--once", action="store_true", help="end when everyone has been read once")
    parser.add_argument(
        "--source", default="purecloud", metavar="NAME", help="presence source (default: purecloud)"
    )
    parser.add_argument(
        "--concurrency",
        type=whole(least=1),
        default=16,
        metavar="NUMBER",
        help="requests in flight at most (default: %(default)s)",
    )
    add_connection(parser)


async def run(options: argparse.Namespace) -> int:
    """Poll until SIGINT or SIGTERM, or with `--once` until everyone has been read.

    Returns:
        The exit code.

    Raises:
        PresenceError: The connection, the credentials or an id are no good.
        OSError: A file cannot be read.
    """
    if options.ids == options.simulator == STANDARD_INPUT:
        raise ConfigurationError("--ids and --simulator cannot both be standard input")
    client = connect(options)
    ids = None if options.ids is None else read_ids(options.ids)
    with interruptible(), Output("reading presences") as output:
        async with (
            client,
            client.poll(
                await _everyone(client) if ids is None else ids,
                interval=options.interval,
                source=options.source,
                concurrency=options.concurrency,
            ) as poll,
        ):
            return await _tell(poll, output, once=options.once)


async def _everyone(client: PresenceClient) -> list[str]:
    # By pages: somebody's row that cannot be understood is no reason to read nobody.
    pages = client.users.list().pages()
    return [user.id async for page in pages for user in page.entities if user.id]


async def _tell(poll: PresencePoll, output: Output, *, once: bool) -> int:
    """Tell the changes for as long as there is somebody to read them."""
    users = poll.statistics.users
    if not users and not once:
        raise ConfigurationError("there is nobody to poll")
    read = failed = 0
    while not once or read < users:
        change = await anext(poll)
        output.result(partial(change_json, change), partial(change_line, change))
        if output.gone:
            break
        if change.kind == "first":
            read += 1
            failed += change.stale
            output.progress(read, users, failed)
    return PARTLY if once and failed else DONE
