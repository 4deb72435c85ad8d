"""The simulator as a server: reads a second, memory, and events a second.

Its peer is the bare aiohttp server it stands on, answering one canned presence. Both run in
processes of their own; the load comes from here.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.figures import ratios, spread

CONNECTIONS = 16
ROOT = Path(__file__).parent.parent

_BARE = """
import asyncio
from aiohttp import web
from benchmarks.server import SINGLE

async def answer(request):
    return web.Response(body=SINGLE, content_type="application/json")

async def main():
    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print('{"base_url": "http://127.0.0.1:%d"}' % runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def start(*arguments: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """A server process and its announcement."""
    process = subprocess.Popen(  # noqa: S603  our own code
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None  # noqa: S101  stdout=PIPE
    announcement: dict[str, Any] = json.loads(process.stdout.readline())
    return process, announcement


def megabytes(process: subprocess.Popen[str]) -> float:
    """Resident memory of a process (Linux)."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


class _Load(asyncio.Protocol):
    """Asks again as soon as it is answered; all answers are equally long."""

    answers = 0

    def __init__(self, request: bytes, size: int) -> None:
        self._request = request
        self._size = size
        self._missing = size

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._missing -= len(data)
        if self._missing == 0:
            _Load.answers += 1
            self._missing = self._size
            self._transport.write(self._request)


async def reads_a_second(base: str, path: str, token: str, seconds: float) -> float:
    """How many single reads a server answers a second, 16 in flight."""
    host, port = base.removeprefix("http://").split(":")
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
    request = f"{head}Accept: application/json\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    answer_head = await reader.readuntil(b"\r\n\r\n")
    if not answer_head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer_head.decode())
    length = int(answer_head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    writer.close()
    loop = asyncio.get_running_loop()
    size = len(answer_head) + length
    pairs = [
        await loop.create_connection(lambda: _Load(request, size), host, int(port))
        for _ in range(CONNECTIONS)
    ]
    _Load.answers, started = 0, time.perf_counter()
    await asyncio.sleep(seconds)
    rate = _Load.answers / (time.perf_counter() - started)
    for transport, _ in pairs:
        transport.close()
    return rate


async def token_of(announcement: dict[str, Any]) -> str:
    """A token from the simulator's login server."""
    pair = f"{announcement['client_id']}:{announcement['client_secret']}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    form = {"grant_type": "client_credentials"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{announcement['login_url']}/oauth/token", data=form, headers=headers) as got,
    ):
        token: str = (await got.json())["access_token"]
        return token


async def events_a_second(base: str, user_ids: list[str], token: str, seconds: float) -> float:
    """How many events arrive a second while bulk updates come as fast as they are answered."""
    api = f"{base}/api/v2"
    headers = {"Authorization": f"Bearer {token}"}
    items = [{"id": user_id, "message": "m"} for user_id in user_ids[:50]]
    received = 0
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{api}/notifications/channels") as answer:
            channel = await answer.json()
        topics = [{"id": f"v2.users.{item['id']}.presence"} for item in items]
        subscriptions = f"{api}/notifications/channels/{channel['id']}/subscriptions"
        async with session.put(subscriptions, json=topics) as answer:
            answer.raise_for_status()

        async def update() -> None:
            while True:
                async with session.put(f"{api}/users/presences/bulk", json=items) as answer:
                    await answer.read()

        async with session.ws_connect(channel["connectUri"]) as socket:
            updating = asyncio.create_task(update())
            started = time.perf_counter()
            while time.perf_counter() - started < seconds:
                await socket.receive_str()
                received += 1
            elapsed = time.perf_counter() - started
            updating.cancel()
            await asyncio.wait({updating})
    return received / elapsed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.simulator", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round")
    parser.add_argument("--users", type=int, default=100_000)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}, loopback.")
    bare, its = start("-c", _BARE)
    simulator, ours = start(
        "-m", "presence_async", "simulate", "--users", str(options.users), "--rate-limit", "0"
    )
    try:
        print(f"Memory with {options.users:,} users: {megabytes(simulator):.0f} MB")
        token = asyncio.run(token_of(ours))
        path = f"/api/v2/users/{ours['user_ids'][0]}/presences/purecloud"
        rates: list[float] = []
        floor: list[float] = []
        for _ in range(options.rounds):
            floor.append(asyncio.run(reads_a_second(its["base_url"], path, "t", options.seconds)))
            rates.append(
                asyncio.run(reads_a_second(ours["base_url"], path, token, options.seconds))
            )
        print(f"Single reads a second: {spread(rates, 0)}; bare aiohttp {spread(floor, 0)}")
        print(f"  ratio {spread(ratios(rates, floor))}")
        events = [
            asyncio.run(events_a_second(ours["base_url"], ours["user_ids"], token, options.seconds))
            for _ in range(options.rounds)
        ]
        print(f"Events a second, raised by bulk updates of 50, one socket: {spread(events, 0)}")
        print(f"Memory after that: {megabytes(simulator):.0f} MB")
    finally:
        for process in (bare, simulator):
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
