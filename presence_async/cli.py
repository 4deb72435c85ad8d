"""The command line: `simulate` and `demo`. The only place that prints.

Exit codes: 0 done, 1 the run failed, 2 the command line or the environment is wrong,
130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from typing import TYPE_CHECKING

from presence_async.demo import real_demo, simulated_demo
from presence_async.errors import ConfigurationError, PresenceError
from presence_async.simulator import Simulator

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
        print(f"presence_async: {error}", file=sys.stderr)
        return 2
    except (PresenceError, OSError) as error:
        print(f"presence_async: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="presence_async", description="Client and simulator for Genesys Cloud presence."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    simulate = commands.add_parser(
        "simulate",
        help="serve a simulated organization until interrupted",
        description="Serves a simulated Genesys Cloud organization. Prints one line of JSON "
        "with base_url, login_url, client_id, client_secret and the first 100 user_ids.",
    )
    simulate.add_argument("--host", default="127.0.0.1", help="address to listen on")
    simulate.add_argument("--port", type=_port, default=0, help="API port; 0 picks a free one")
    simulate.add_argument("--users", type=_count, default=50, help="users in the organization")
    simulate.add_argument("--seed", type=int, default=0, help="makes ids and names repeatable")
    simulate.add_argument(
        "--rate-limit", type=_count, default=300, help="requests a minute per token; 0 is none"
    )

    demo = commands.add_parser(
        "demo",
        help="read and move everyone's presence on a simulated organization",
        description="Runs the main job against the embedded simulator, or with --real its "
        "reading part against the organization of the GENESYSCLOUD_* variables. "
        "It never writes to a real organization.",
    )
    demo.add_argument("--users", type=_count, default=5000, help="users of the simulator")
    demo.add_argument("--real", action="store_true", help="read from the real organization")
    demo.add_argument(
        "--ids", metavar="FILE", help="with --real: user ids, one a line; - is standard input"
    )
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:  # the range of TCP ports
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return value


async def _simulate(options: argparse.Namespace) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        # Windows has no signal handlers on the loop; Ctrl-C raises there instead.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(name, stopped.set)
    async with Simulator(
        users=options.users,
        seed=options.seed,
        host=options.host,
        port=options.port,
        rate_limit=options.rate_limit or None,
    ) as simulator:
        print(json.dumps(simulator.announcement()), flush=True)
        await stopped.wait()
        print(f"served {simulator.count()} requests", file=sys.stderr)
    return 0


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


_COMMANDS = {"simulate": _simulate, "demo": _demo}
