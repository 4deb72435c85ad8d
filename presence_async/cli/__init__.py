"""The command line: `simulate` and `demo`. The only place that prints.

Exit codes: 0 done, 1 the run failed, 2 the command line or the environment is wrong,
130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from presence_async.cli import simulate
from presence_async.cli.values import whole
from presence_async.demo import real_demo, simulated_demo
from presence_async.errors import ConfigurationError, PresenceError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The command line without the program's name; `sys.argv` by default.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_COMMANDS[options.command](options))
    except KeyboardInterrupt:
        return 130
    except ConfigurationError as error:
        _complain(error)
        return 2
    except (PresenceError, OSError) as error:
        _complain(error)
        return 1


def _complain(error: Exception) -> None:
    sys.stderr.write(f"presence_async: {error}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="presence_async", description="Client and simulator for Genesys Cloud presence."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    simulate.add_command(commands)
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
        return await real_demo(_ids(options.ids))
    if options.ids is not None:
        raise ConfigurationError("--ids goes with --real; the simulator has users of its own")
    return await simulated_demo(options.users)


def _ids(name: str | None) -> list[str] | None:
    """The ids of a file or of standard input; None for everyone."""
    if name is None:
        return None
    if name == "-":
        lines = sys.stdin.readlines()
    else:
        with open(name, encoding="utf-8") as file:  # noqa: PTH123  # a name as typed
            lines = file.readlines()
    return [line.strip() for line in lines if line.strip()]


_COMMANDS = {"simulate": simulate.run, "demo": _demo}
