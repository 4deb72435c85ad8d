"""`simulate`: a simulated organization served until somebody interrupts it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from presence_async.cli.report import Report
from presence_async.cli.values import PORTS, latency, seconds, switch, whole
from presence_async.errors import ConfigurationError
from presence_async.simulator import ApiError, Fault, Simulator, Switches
from presence_async.simulator.control import Control
from presence_async.simulator.exchange import parse_json
from presence_async.simulator.fault_json import read_faults
from presence_async.simulator.latency import uniform

if TYPE_CHECKING:
    from collections.abc import Collection

_DESCRIPTION = """\
Serves a simulated Genesys Cloud organization until it is interrupted.

The first line on standard output is JSON with base_url, login_url, streaming_url, client_id,
client_secret, the first 100 user_ids and, if there is a control endpoint, control_url. A summary
of the requests goes to standard error at the end.
"""
_EPILOG = """\
The control endpoint scripts and shows the running simulator, in JSON. It has no credentials.
  GET /                         the announcement
  GET, POST, DELETE /faults     the armed faults; arm one or an array; disarm all
  GET, DELETE /requests         the last requests, newest last (?limit=100); forget them
  GET /counts                   requests and statuses of every route
  POST /tokens, /tokens/revoke  issue an access token; make all worthless
  GET /users                    the users and their presences (?limit=100)
  PUT /users/{userId}/presence  move a user, as {"system_presence": "Meal"}
  GET /channels                 the ids of the notification channels with a socket
  POST /channels/{channelId}/{notice, close, drop, freeze or expire}
                                disturb that socket, or with * all of them
  GET /switches                 the switches in force
"""
_COMMENT = """\
faults are JSON objects with the fields of presence_async.simulator.Fault, for example
[{"route": "GET /api/v2/systempresences", "times": 3, "status": 503, "retry_after": 2}]"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `simulate` and its options to the commands."""
    parser = commands.add_parser(
        "simulate",
        help="serve a simulated organization until interrupted",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_addresses(parser.add_argument_group("addresses"))
    _add_organization(parser.add_argument_group("organization"))
    _add_trouble(parser.add_argument_group("trouble", _COMMENT))
    parser.add_argument(
        "--log", action="store_true", help="a line on standard error for every request"
    )


_COUNT: Final[Any] = {"type": whole(), "metavar": "NUMBER"}
_DEFAULT: Final = "(default: %(default)s)"


def _add_addresses(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default="127.0.0.1", help=f"address to listen on {_DEFAULT}")
    for name, default, what in (
        ("--port", 0, "the API (default: any)"),
        ("--login-port", 0, "the login server (default: any)"),
        ("--streaming-port", 0, "the sockets of notification channels (default: any)"),
        ("--control-port", None, "the control endpoint, 0 for any (default: there is none)"),
    ):
        group.add_argument(
            name, type=whole(PORTS), default=default, metavar="PORT", help=f"port of {what}"
        )
    group.add_argument(
        "--one-port", action="store_true", help="the login server shares the API's port"
    )


def _add_organization(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--users", **_COUNT, default=50, help=f"users in the organization {_DEFAULT}")
    add("--seed", type=int, default=0, help="makes ids, names and chances repeatable (default: 0)")
    add("--client-id", metavar="ID", help="OAuth client (default: from the seed)")
    add(
        "--token-lifetime",
        type=seconds,
        default=86400,
        metavar="SECONDS",
        help="how long an access token lives (default: a day)",
    )
    what = f"requests a minute of one token, 0 for no limit {_DEFAULT}"
    add("--rate-limit", **_COUNT, default=300, help=what)
    add(
        "--rate-window",
        choices=("rolling", "fixed"),
        default="rolling",
        help=f"how a minute is counted {_DEFAULT}",
    )
    add(
        "--switch",
        type=switch,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="switches",
        help="one of the vendor's unknown habits; a wrong name lists them all (repeatable)",
    )


def _add_trouble(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--faults", metavar="FILE", help="JSON array of faults to begin with")
    group.add_argument(
        "--latency",
        type=latency,
        metavar="SECONDS|LOW-HIGH",
        help="delay of every answer that no other fault strikes",
    )


_TAKEN_OVER: Final = (
    *("users", "seed", "rate_window", "token_lifetime", "client_id"),
    *("host", "port", "login_port", "streaming_port", "one_port"),
)


def _simulator(options: argparse.Namespace) -> Simulator:
    try:
        return Simulator(
            **{name: getattr(options, name) for name in _TAKEN_OVER},
            rate_limit=options.rate_limit or None,
            switches=Switches(**dict(options.switches)),
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


async def run(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code."""
    stopped = _interruption()
    simulator = _simulator(options)
    if options.faults is not None:
        simulator.faults.add(*_faults(options.faults, simulator.routes))
    usual = None
    if options.latency is not None:
        low, high = options.latency
        usual = Fault(times=None, delay=uniform(low, high, options.seed))
        simulator.faults.otherwise = usual
    report = Report(simulator, log=options.log, usual=usual)
    async with contextlib.AsyncExitStack() as stack:
        sys.stdout.write(json.dumps(await _open(stack, simulator, options)) + "\n")
        sys.stdout.flush()
        await stopped.wait()
    sys.stderr.write(report.summary())
    return 0


def _interruption() -> asyncio.Event:
    """Return the event that SIGINT and SIGTERM set."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        # Windows has no signal handlers on the loop; Ctrl-C raises there instead.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(name, stopped.set)
    return stopped


def _faults(name: str, routes: Collection[str]) -> list[Fault]:
    """Return the faults of a file, in the form of the control endpoint."""
    try:
        return read_faults(parse_json(Path(name).read_bytes()), routes)
    except ApiError as error:
        raise ConfigurationError(f"--faults {name}: {error.message}") from None


async def _open(
    stack: contextlib.AsyncExitStack, simulator: Simulator, options: argparse.Namespace
) -> dict[str, Any]:
    """Open the ports and return the announcement."""
    try:
        await stack.enter_async_context(simulator)
        if options.control_port is None:
            return simulator.announcement()
        control = Control(simulator, host=options.host, port=options.control_port)
        await stack.enter_async_context(control)
    except OSError as error:
        raise OSError(f"cannot listen: {error.strerror or error}") from None
    return control.announcement()
