"""The main job, shown: read everyone's presence, move some users, read again.

On the embedded simulator all of it fits into one minute's budget of 300 requests. Against a
real organization only the reading part runs.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, TextIO

import attrs

from presence_async.client import PresenceClient
from presence_async.grants import ClientCredentials
from presence_async.hooks import AttemptFinished, LimiterWaited, Record
from presence_async.progress import ProgressLine
from presence_async.simulator import BUILT_IN_IDS, Fault, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from presence_async.errors import PresenceError
    from presence_async.models import SystemPresenceName
    from presence_async.resources.reading import PresenceOutcome

__all__ = ["real_demo", "simulated_demo"]

_MOVED: Final = 500
_READ_ROUTES: Final = 50
_HICCUPS: Final = 3


@attrs.define
class _Tally:
    """Counts what the client's hook tells: every wire request, retry and wait."""

    requests: int = 0
    retries: int = 0
    waits: int = 0
    waited: float = 0.0

    def __call__(self, record: Record) -> None:
        if isinstance(record, AttemptFinished):
            self.requests += 1
            self.retries += record.attempt > 1
        elif isinstance(record, LimiterWaited):
            self.waits += 1
            self.waited += record.seconds


@attrs.define
class _Sweep:
    """One reading of everyone."""

    presences: dict[str, SystemPresenceName | None] = attrs.field(factory=dict)
    missing: int = 0
    failures: list[PresenceOutcome] = attrs.field(factory=list)
    seconds: float = 0.0

    def add(self, outcome: PresenceOutcome) -> None:
        """Book one user's outcome."""
        if outcome.status == "failed":
            self.failures.append(outcome)
        elif outcome.presence is None:
            self.missing += 1
        else:
            definition = outcome.presence.presence_definition
            name = definition.system_presence if definition else None
            self.presences[outcome.user_id] = name or None

    def counts(self) -> str:
        """How many users are in which presence, most first."""
        counted = Counter(str(name or "unknown") for name in self.presences.values())
        return ", ".join(f"{name} {count:,}" for name, count in counted.most_common())


async def _read(client: PresenceClient, ids: list[str], title: str, out: TextIO) -> _Sweep:
    sweep = _Sweep()
    progress = ProgressLine(title, out)
    started = time.perf_counter()
    done = 0
    async with client.user_presences.get_many(ids) as outcomes:
        async for outcome in outcomes:
            sweep.add(outcome)
            done += 1
            progress.show(done, len(ids), len(sweep.failures))
    progress.finish()
    sweep.seconds = time.perf_counter() - started
    return sweep


async def _everyone(client: PresenceClient, out: TextIO) -> list[str]:
    ids: list[str] = []
    progress = ProgressLine("listing users", out)
    async for page in client.users.list().pages():
        ids += [user.id for user in page.entities if user.id]
        progress.show(len(ids), page.total or None)
    progress.finish()
    return ids


async def simulated_demo(users: int, out: TextIO | None = None) -> int:
    """The whole job on a simulated organization of `users` users.

    Returns:
        Exit code: 0 when every user was read and moved as intended, else 1.
    """
    out = out or sys.stdout
    started = time.perf_counter()
    async with Simulator(users=users) as simulator:
        chance = random.Random(1)  # noqa: S311  # latency for show, not a secret
        hiccups = Fault(
            route="GET /api/v2/users/presences/purecloud/bulk",
            skip=_READ_ROUTES,
            times=_HICCUPS,
            status=503,
        )
        latency = Fault(times=None, delay=lambda: chance.uniform(0.01, 0.06))
        simulator.faults.add(hiccups, latency)
        _scatter(simulator, chance)
        out.write(
            f"A simulated Genesys Cloud organization with {users:,} users, 10 to 60 ms away, "
            f"300 requests a minute.\nIt will fail {_HICCUPS} requests with 503, to show what "
            "happens then.\n\n"
        )
        tally = _Tally()
        async with PresenceClient(
            base_url=simulator.base_url,
            login_url=simulator.login_url,
            allow_loopback_http=True,
            auth=ClientCredentials(simulator.client_id, simulator.client_secret),
            hook=tally,
        ) as client:
            ids = await _everyone(client, out)
            before = await _read(client, ids, "reading every presence", out)
            moved = await _move(client, ids[:_MOVED], out)
            after = await _read(client, ids, "reading every presence again", out)
            left = client.rate_limit.remaining
    changed = sum(before.presences.get(id_) != name for id_, name in after.presences.items())
    out.write("\n")
    _say(out, "users read", f"{len(ids):,} twice; {_pace(len(ids), before, after)}")
    _say(out, "before", before.counts())
    _say(out, "after", after.counts())
    _say(out, "changes seen", f"{changed:,} of {moved:,} users moved in bulk")
    one_by_one = _one_by_one(len(ids), moved)
    _say(out, "requests spent", f"{tally.requests:,}; one by one it takes {one_by_one:,}")
    _say(out, "budget left", f"{left} of 300 for this minute")
    _say(out, "waits and retries", _troubles(tally))
    _say(out, "time", f"{time.perf_counter() - started:.1f} s in all")
    complete = len(before.presences) == len(after.presences) == len(ids) == users
    return 0 if complete and changed == moved == min(_MOVED, users) else 1


def _scatter(simulator: Simulator, chance: random.Random) -> None:
    """Put everyone into some presence, nobody into Meeting yet."""
    names = ("Available", "OnQueue", "Busy", "Away", "Meal", "Offline")
    ids = [BUILT_IN_IDS[name] for name in names]
    for user_id in simulator.user_ids:
        definition_id = chance.choices(ids, weights=(40, 30, 10, 8, 7, 5))[0]
        simulator.organization.set_presence(user_id, definition_id)


def _one_by_one(users: int, moved: int) -> int:
    """Requests of the same job without bulk: list pages, two reads a user, one write each."""
    pages = -(-users // 100)
    return pages + 2 * users + moved


async def _move(client: PresenceClient, ids: list[str], out: TextIO) -> int:
    progress = ProgressLine("moving users to Meeting, in bulk", out)
    outcomes = await client.bulk.update(
        [(user_id, "Meeting") for user_id in ids],
        on_progress=lambda now: progress.show(now.done, now.total, now.failed),
    )
    progress.finish()
    return sum(outcome.status == "applied" for outcome in outcomes)


async def real_demo(
    ids: list[str] | None,
    out: TextIO | None = None,
    connect: Callable[..., PresenceClient] = PresenceClient.from_env,
) -> int:
    """The reading part against the organization of the `GENESYSCLOUD_*` variables.

    Args:
        ids: Whom to read; None for everyone.
        out: Where the summary goes; standard output by default.
        connect: Makes the client; takes its `hook`.

    Returns:
        Exit code: 0 when every user could be read, else 1.
    """
    out = out or sys.stdout
    tally = _Tally()
    async with connect(hook=tally) as client:
        out.write(f"Reading from {client!r}; nothing is written.\n\n")
        if ids is None:
            ids = await _everyone(client, out)
        sweep = await _read(client, ids, "reading every presence", out)
        status = client.rate_limit
    out.write("\n")
    _say(out, "users read", f"{len(sweep.presences):,}; {_pace(len(ids), sweep)}")
    _say(out, "presences", sweep.counts() or "none")
    _say(out, "without a presence", f"{sweep.missing:,}")
    _say(out, "failed", f"{len(sweep.failures):,}")
    for kind, count in Counter(_kind(outcome.error) for outcome in sweep.failures).items():
        _say(out, "", f"{count:,} x {kind}")
    _say(out, "requests spent", f"{tally.requests:,}")
    _say(out, "budget left", f"{status.remaining} of {status.limit} for this minute")
    _say(out, "waits and retries", _troubles(tally))
    return 1 if sweep.failures else 0


def _kind(error: PresenceError | None) -> str:
    return f"{type(error).__name__}: {error}"


def _say(out: TextIO, title: str, text: str) -> None:
    out.write(f"{title:<18} {text}\n")


def _pace(users: int, *sweeps: _Sweep) -> str:
    return " and ".join(f"{users / max(sweep.seconds, 1e-9):,.0f}" for sweep in sweeps) + (
        " users a second"
    )


def _troubles(tally: _Tally) -> str:
    waited = f" of {tally.waited:.1f} s in all" if tally.waits else ""
    return f"{tally.waits} waits for the budget{waited}, {tally.retries} retries"
