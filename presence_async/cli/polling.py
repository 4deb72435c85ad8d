"""`poll`: everyone's presence now, and from then on what changes, until it is interrupted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from presence_async.cli.connection import add_connected, add_users, connect, everyone, ids_of
from presence_async.cli.exit_codes import DONE, PARTLY
from presence_async.cli.interruption import interruptible
from presence_async.cli.output import Output
from presence_async.cli.records import change_json, change_line
from presence_async.cli.values import seconds
from presence_async.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator

    from presence_async.resources.changes import PresenceChange

_DESCRIPTION = """\
Reads the presences of users again and again, and tells what changes: first everyone as they are,
then only what differs. It only reads.

On a terminal each change is a line for people, elsewhere a JSON object on a line of its own.
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `poll` and its options to the commands."""
    parser = add_connected(
        commands,
        "poll",
        what="tell everyone's presence, and what changes from then on",
        description=_DESCRIPTION,
    )
    add_users(parser)
    add = parser.add_argument
    add(
        "--interval",
        type=seconds,
        default=120.0,
        metavar="SECONDS",
        help="from the start of one sweep to that of the next (default: %(default)g)",
    )
    add("--once", action="store_true", help="end when everyone has been read once")
    add(
        "--source", default="purecloud", metavar="NAME", help="presence source (default: purecloud)"
    )


async def run(options: argparse.Namespace) -> int:
    """Poll until interrupted, or with `--once` all have been read; returns the exit code."""
    ids = ids_of(options)
    client = connect(options)
    with interruptible(), Output("reading presences") as output:
        async with (
            client,
            client.poll(
                await everyone(client) if ids is None else ids,
                interval=options.interval,
                source=options.source,
                concurrency=options.concurrency,
            ) as poll,
        ):
            return await tell(poll, poll.statistics.users, output, once=options.once)


async def tell(
    changes: AsyncIterator[PresenceChange], users: int, output: Output, *, once: bool = False
) -> int:
    """Tell changes until nobody reads them, or only everyone once; returns the exit code."""
    if not users and not once:
        raise ConfigurationError("there is nobody to follow")
    read = failed = 0
    while not once or read < users:
        change = await anext(changes)
        output.result(partial(change_json, change), partial(change_line, change))
        if output.gone:
            break
        if change.kind == "first":
            read += 1
            failed += change.stale
            output.progress(read, users, failed)
    return PARTLY if once and failed else DONE
