"""The simulator in a process of its own, with changes at a rate on demand.

`python -m benchmarks.pusher` prints a JSON line about itself. A line `rate seconds` on its
`push_port` has presences changed so many times a second; when that is done, it answers with the
number. Each message is the time of its change, by the clock that all processes share.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks.simulator import start
from presence_async.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# Users change one after the other, far apart in their order.
_STRIDE = 7919


@attrs.frozen
class Pusher:
    """Where it is."""

    base_url: str
    login_url: str
    client_id: str
    client_secret: str
    push_port: int
    user_ids: list[str]

    async def push(self, rate: int, seconds: float) -> int:
        """Have changes made; return how many, when they are."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.push_port)
        writer.write(f"{rate} {seconds}\n".encode())
        done = int(await reader.readline())
        writer.close()
        return done


@contextmanager
def pushing(users: int) -> Iterator[Pusher]:
    """The process, as long as the block lasts."""
    process, announcement = start("-m", "benchmarks.pusher", "--users", str(users))
    try:
        yield Pusher(**announcement)
    finally:
        process.kill()
        process.wait()


def stamp() -> str:
    """This moment, as a message."""
    return f"{time.monotonic():.6f}"


async def _change(sim: Simulator, rate: int, seconds: float) -> int:
    """Change presences at a steady pace, catching up where the machine was late."""
    ids = sim.user_ids
    total, started = int(rate * seconds), time.monotonic()
    for number in range(total):
        ahead = started + number / rate - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        user_id = ids[next(_NUMBERS) * _STRIDE % len(ids)]
        sim.organization.set_presence(user_id, message=stamp())
    return total


_NUMBERS = itertools.count()


@asynccontextmanager
async def _open_port(sim: Simulator) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rate, seconds = (await reader.readline()).split()
        done = await _change(sim, int(rate), float(seconds))
        writer.write(b"%d\n" % done)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def _serve(users: int) -> None:
    async with (
        Simulator(users=users, rate_limit=None, history=0, event_delay=0.0) as sim,
        _open_port(sim) as port,
    ):
        # Nobody's presence is like the others'.
        for user_id in sim.user_ids:
            sim.organization.set_presence(user_id, message=stamp())
        about: dict[str, Any] = {
            "base_url": sim.base_url,
            "login_url": sim.login_url,
            "client_id": sim.client_id,
            "client_secret": sim.client_secret,
            "push_port": port,
            "user_ids": list(sim.user_ids),
        }
        print(json.dumps(about), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.pusher", description=__doc__)
    parser.add_argument("--users", type=int, default=20_000)
    asyncio.run(_serve(parser.parse_args().users))
