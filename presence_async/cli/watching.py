"""`watch`: everyone's presence, live: a table on a terminal, JSON Lines elsewhere."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from presence_async.cli.connection import add_connected, add_users, connect, everyone, ids_of
from presence_async.cli.exit_codes import DONE, PARTLY
from presence_async.cli.interruption import interruptible
from presence_async.cli.output import Output
from presence_async.cli.polling import tell
from presence_async.cli.values import seconds
from presence_async.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable
    from typing import NoReturn

_DESCRIPTION = """\
Follows the presences of users live. The vendor pushes each change over notification channels, of
20,000 users at most; where it refuses that, they are polled. It only reads.

On a terminal it is a table that is always up to date (pip install presence_async[cli]). Elsewhere
first everyone, and then each change, is a JSON object on a line of its own, as of `poll`.
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `watch` and its options to the commands."""
    parser = add_connected(
        commands, "watch", what="everyone's presence, live", description=_DESCRIPTION
    )
    add_users(parser)
    add = parser.add_argument
    add("--no-notifications", action="store_true", help="poll in any case")
    add(
        "--interval",
        type=seconds,
        metavar="SECONDS",
        help="where it polls, from one sweep to the next (default: as short as can be had)",
    )
    add(
        "--for",
        type=seconds,
        metavar="SECONDS",
        dest="duration",
        help="end after so long (default: never)",
    )


async def run(options: argparse.Namespace) -> int:
    """Watch until interrupted, or for as long as `--for` says; returns the exit code."""
    ids = ids_of(options)
    draw = _table() if sys.stdout.isatty() else None
    client = connect(options)
    with interruptible():
        async with client:
            names = await everyone(client) if ids is None else dict.fromkeys(ids, "")
            if not names:
                raise ConfigurationError("there is nobody to follow")
            async with client.live(
                names,
                notifications=not options.no_notifications,
                interval=options.interval,
                concurrency=options.concurrency,
            ) as live:
                with suppress(TimeoutError):
                    async with asyncio.timeout(options.duration):
                        if draw is not None:
                            await draw(live, client, names)
                        with Output("reading presences") as output:
                            return await tell(live.changes(snapshot=True), len(live), output)
                now = live.statistics
                return PARTLY if now.stale or now.unread else DONE


def _table() -> Callable[..., Awaitable[NoReturn]]:
    try:
        from presence_async.cli.picture import draw  # noqa: PLC0415  # of an extra
    except ImportError:
        raise ConfigurationError(
            "the table needs rich: pip install presence_async[cli]; `watch | cat` does without"
        ) from None
    return draw
