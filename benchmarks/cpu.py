"""Client CPU of each kind of request, and how long the event loop is kept busy at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import aiohttp

from benchmarks import peers
from benchmarks.figures import table

if TYPE_CHECKING:
    from presence_async import PresenceClient

Measure: TypeAlias = Callable[[int], Awaitable[float]]


class Question(NamedTuple):
    """One kind of request; `weight` is about how many single reads it is worth."""

    title: str
    weight: int
    raw: Measure
    ours: Measure
    theirs: Callable[[], object] | None


def questions(
    session: aiohttp.ClientSession, client: PresenceClient, base: str, *, vendor: bool
) -> list[Question]:
    """What is measured: raw aiohttp, us, and the vendor's SDK where it is wanted."""
    raw = peers.raw_calls(session, base)
    ours = peers.our_calls(client)
    theirs = peers.vendor_calls(base) if vendor else peers.Calls(None, None, None, None)

    def question(
        title: str, weight: int, name: str, our_measure: Measure | None = None
    ) -> Question:
        return Question(
            title,
            weight,
            partial(peers.cpu_per_request, getattr(raw, name)),
            our_measure or partial(peers.cpu_per_request, getattr(ours, name)),
            getattr(theirs, name),
        )

    sweep = partial(peers.our_sweep, client)
    return [
        question("Read one presence: client.user_presences.get", 1, "single"),
        question("Update one presence: client.user_presences.update", 1, "update"),
        question("Read 50 presences: client.bulk.get of 50 ids, one request", 2, "bulk"),
        question("Read many: user_presences.get_many, per request of 50", 2, "bulk", sweep),
        question("A page of 100 definitions: client.definitions.list", 4, "definitions"),
    ]


async def _ask(asked: Question, rounds: int, requests: int) -> None:
    """Every round takes everyone in turn."""
    ours: list[float] = []
    raw: list[float] = []
    theirs: list[float] = []
    for round_ in range(-1, rounds):  # the first is for warming up
        count = (requests if round_ >= 0 else requests // 10) // asked.weight
        figures = await asked.raw(count), await asked.ours(count)
        if round_ < 0:
            continue
        raw.append(figures[0])
        ours.append(figures[1])
        if asked.theirs is not None:
            few = max(count // 20, 20)
            theirs.append(await asyncio.to_thread(peers.vendor_cpu, asked.theirs, few))
    others = {"raw aiohttp + orjson.loads": raw}
    if theirs:
        others["vendor's SDK, 16 threads"] = theirs
    table(asked.title, "us CPU", ours, others)


async def _lag(asked: Question, rounds: int, requests: int, answers: str) -> None:
    """The 99th percentile of how late a timer comes, in each round."""
    ours: list[float] = []
    raw: list[float] = []
    for _ in range(rounds):
        for measure, figures in ((asked.raw, raw), (asked.ours, ours)):
            lags = await peers.loop_lags(measure, requests // asked.weight)
            figures.append(lags[int(len(lags) * 0.99)])
    title = f"Event-loop lag, p99, with 16 bulk reads in flight, answers {answers}"
    table(title, "ms", ours, {"raw aiohttp + orjson.loads": raw}, digits=2)


async def measure(base: str, rounds: int, requests: int, *, vendor: bool) -> None:
    """Print the CPU of every kind of request, and the lag under bulk reads."""
    async with aiohttp.ClientSession() as session, peers.our_client(base) as client:
        asked = questions(session, client, base, vendor=vendor)
        for question in asked:
            await _ask(question, rounds, requests)
        await _lag(asked[2], rounds, requests, "at once: no idle moment")


async def measure_lag(base: str, rounds: int, requests: int, latency: float) -> None:
    """Print the lag where answers are late, as the vendor's are."""
    async with aiohttp.ClientSession() as session, peers.our_client(base) as client:
        asked = questions(session, client, base, vendor=False)
        await _lag(asked[2], rounds, requests, f"{latency * 1000:.0f} ms late")
