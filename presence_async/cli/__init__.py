"""The command line: `simulate`, `demo`, `poll`, `watch`, `bulk-update`. The only place that prints.

What the exit codes mean: `exit_codes`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import TYPE_CHECKING

from presence_async.cli import bulk_updating, polling, simulate, watching
from presence_async.cli.exit_codes import DONE, INTERRUPTED, exit_code_of
from presence_async.cli.files import read_ids
from presence_async.cli.output import abandon, printable
from presence_async.cli.values import whole
from presence_async.demo import real_demo, simulated_demo
from presence_async.errors import ConfigurationError, PresenceError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, by default that of `sys.argv`; returns the exit code."""
    _open_streams()
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_COMMANDS[options.command](options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except BrokenPipeError:  # whoever read it has seen enough, as `head` has
        abandon(sys.stdout)
        return DONE
    except (PresenceError, OSError) as error:
        _complain(error)
        return exit_code_of(error)


def _open_streams() -> None:
    """Put nothing in the place of standard streams that were closed (`>&-`)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  # for as long as the process lives


def _complain(error: Exception) -> None:
    try:
        for line in f"presence_async: {error}".splitlines():
            sys.stderr.write(f"{printable(line, sys.stderr)}\n")
    except OSError:  # the exit code says it, too
        abandon(sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="presence_async",
        description="Client and simulator for Genesys Cloud presence.",
        epilog="`presence_async COMMAND --help` tells what a command needs and what its exit "
        "codes say. To try one without an organization, start `simulate`.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (simulate, polling, watching, bulk_updating):
        command.add_command(commands)
    demo = commands.add_parser(
        "demo",
        help="read and move everyone's presence on a simulated organization",
        description="Runs the main job against the embedded simulator, or with --real its "
        "reading part against the organization of the GENESYSCLOUD_* variables. "
        "It never writes to a real organization.",
    )
    demo.add_argument("--users", type=whole(), default=5000, help="users of the simulator")
    demo.add_argument("--real", action="store_true", help="read from the real organization")
    demo.add_argument(
        "--ids", metavar="FILE", help="with --real: user ids, one a line; - is standard input"
    )
    return parser


async def _demo(options: argparse.Namespace) -> int:
    if options.real:
        return await real_demo(None if options.ids is None else read_ids(options.ids))
    if options.ids is not None:
        raise ConfigurationError("--ids goes with --real; the simulator has users of its own")
    return await simulated_demo(options.users)


_COMMANDS = {
    "simulate": simulate.run,
    "demo": _demo,
    "poll": polling.run,
    "watch": watching.run,
    "bulk-update": bulk_updating.run,
}
