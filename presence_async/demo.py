"""The main job, shown: read everyone's presence, move some users, read again, follow some live.

On the embedded simulator all of it fits into one minute's budget of 300 requests. Against a
real organization only the reading part runs.
"""

from __future__ import annotations

import asyncio
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

    from presence_async.live.rows import StoreStatistics
    from presence_async.models import SystemPresenceName
    from presence_async.resources.reading import PresenceOutcome

_MOVED: Final = 500
_READ_ROUTES: Final = 50
_HICCUPS: Final = 3
_NAMES: Final = ("Available", "OnQueue", "Busy", "Away", "Meal", "Offline")
_WEIGHTS: Final = (40, 30, 10, 8, 7, 5)
_COME_BACK: Final = 12  # changes that are shown live
_PAUSE: Final = 0.3  # seconds between them


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
    """The whole job on a simulated organization; the exit code is 0 if all went as intended."""
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
        for user_id in simulator.user_ids:
            _move_somewhere(simulator, user_id, chance)
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
            followed, live = await _follow(client, simulator, ids[:_MOVED], chance, out)
            left = client.rate_limit.remaining
    changed = sum(before.presences.get(id_) != name for id_, name in after.presences.items())
    out.write("\n")
    _say(out, "users read", f"{len(ids):,} twice; {_pace(len(ids), before, after)}")
    _say(out, "before", before.counts())
    _say(out, "after", after.counts())
    _say(out, "changes seen", f"{changed:,} of {moved:,} users moved in bulk")
    lag = "" if live.lag_max is None else f", {live.lag_max:.2f} s at most after they happened"
    _say(out, "seen live", f"{followed} changes of {live.users:,} users{lag}")
    # List pages, two reads a user, one write each.
    one_by_one = -(-len(ids) // 100) + 2 * len(ids) + moved
    _say(out, "requests spent", f"{tally.requests:,}; one by one it takes {one_by_one:,}")
    _say(out, "budget left", f"{left} of 300 for this minute")
    _say(out, "waits and retries", _troubles(tally))
    _say(out, "time", f"{time.perf_counter() - started:.1f} s in all")
    complete = len(before.presences) == len(after.presences) == len(ids) == users
    complete = complete and followed == min(_COME_BACK, users)
    return 0 if complete and changed == moved == min(_MOVED, users) else 1


def _move_somewhere(simulator: Simulator, user_id: str, chance: random.Random) -> None:
    """Into some presence, but not into Meeting."""
    (name,) = chance.choices(_NAMES, weights=_WEIGHTS)
    simulator.organization.set_presence(user_id, BUILT_IN_IDS[name])


async def _follow(
    client: PresenceClient,
    simulator: Simulator,
    ids: list[str],
    chance: random.Random,
    out: TextIO,
) -> tuple[int, StoreStatistics]:
    """Those who were moved, live, while one by one some come back from their meeting."""
    out.write(f"  following {len(ids):,} users live, over notification channels\n")
    seen = 0
    async with client.live(ids, reconcile=None) as live:
        await live.ready()
        changes = live.changes()
        for user_id in chance.sample(ids, min(_COME_BACK, len(ids))):
            await asyncio.sleep(_PAUSE)
            before = live[user_id].system_presence
            _move_somewhere(simulator, user_id, chance)
            change = await anext(changes)
            seen += change.user_id == user_id and change.kind == "changed"
            after = live[user_id].system_presence
            name = simulator.organization.users[user_id].name
            out.write(f"    {name:<32} {before and before.rest} -> {after and after.rest}\n")
            out.flush()
        return seen, live.statistics


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

    `ids` of None is everyone; the exit code is 0 when everyone could be read, else 1.
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
    kinds = (f"{type(one.error).__name__}: {one.error}" for one in sweep.failures)
    for kind, count in Counter(kinds).items():
        _say(out, "", f"{count:,} x {kind}")
    _say(out, "requests spent", f"{tally.requests:,}")
    _say(out, "budget left", f"{status.remaining} of {status.limit} for this minute")
    _say(out, "waits and retries", _troubles(tally))
    return 1 if sweep.failures else 0


def _say(out: TextIO, title: str, text: str) -> None:
    out.write(f"{title:<18} {text}\n")


def _pace(users: int, *sweeps: _Sweep) -> str:
    return " and ".join(f"{users / max(sweep.seconds, 1e-9):,.0f}" for sweep in sweeps) + (
        " users a second"
    )


def _troubles(tally: _Tally) -> str:
    waited = f" of {tally.waited:.1f} s in all" if tally.waits else ""
    return f"{tally.waits} waits for the budget{waited}, {tally.retries} retries"
