"""A wallboard: everyone's presence in a web page, live.

    python -m examples.wallboard          # a simulated organization where people come and go
    python -m examples.wallboard --real   # the organization of the GENESYSCLOUD_* variables

One live store feeds any number of browsers, each over server-sent events. The page is
wallboard.html. There is no log-in: whoever reaches the port sees the names. Put it behind a
proxy that knows who may.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from presence_async import ClientCredentials, ClosedError, PresenceClient
from presence_async.simulator import BUILT_IN_IDS, Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from presence_async import PresenceChange, PresenceStore

PAGE = Path(__file__).with_name("wallboard.html").read_text(encoding="utf-8")
PAUSE = 0.25  # seconds for which changes are collected, so that browsers get few messages
HEARTBEAT = 15.0  # seconds of silence after which proxies and browsers want a sign of life
LIVE: web.AppKey[PresenceStore] = web.AppKey("live")
NAMES: web.AppKey[Mapping[str, str]] = web.AppKey("names")


def application(connected: AbstractAsyncContextManager[PresenceClient]) -> web.Application:
    """The web application; the client is opened with it, and closed."""

    async def follow(app: web.Application) -> AsyncIterator[None]:
        async with connected as client:
            names = {user.id: user.name or user.id async for user in client.users.list() if user.id}
            async with client.live(names) as live:
                app[LIVE], app[NAMES] = live, names
                yield

    async def end(app: web.Application) -> None:
        await app[LIVE].aclose()  # it ends the events of all browsers; else the server waits

    app = web.Application()
    app.cleanup_ctx.append(follow)
    app.on_shutdown.append(end)
    app.add_routes([web.get("/", page), web.get("/events", events)])
    return app


async def page(_: web.Request) -> web.Response:
    """The page itself."""
    return web.Response(text=PAGE, content_type="text/html")


async def events(request: web.Request) -> web.StreamResponse:
    """Everyone as they are, and from then on what changes, until the browser goes away."""
    live, names = request.app[LIVE], request.app[NAMES]
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    changes = live.changes(snapshot=True)
    told: dict[str, Any] = {}
    silent = 0.0
    # Both are the ordinary end: the wallboard closes, or the browser is gone.
    with suppress(ClosedError, ConnectionResetError):
        while True:
            rows = [row(change, names) for change in await collected(changes)]
            state = state_of(live)
            if rows or state != told:
                data = json.dumps({"rows": rows, "state": state})
                await response.write(f"data: {data}\n\n".encode())
                told, silent = state, 0.0
            elif (silent := silent + PAUSE) >= HEARTBEAT:
                await response.write(b": still here\n\n")
                silent = 0.0
    return response


async def collected(changes: AsyncIterator[PresenceChange]) -> list[PresenceChange]:
    """What changes in one pause."""
    found: list[PresenceChange] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(PAUSE):
            while True:
                found.append(await anext(changes))
    return found


def row(change: PresenceChange, names: Mapping[str, str]) -> dict[str, Any]:
    """One user, as the page wants it."""
    definition = change.after.presence_definition if change.after else None
    presence = definition.system_presence if definition else None
    return {
        "id": change.user_id,
        "name": names[change.user_id],
        "presence": presence.rest if presence else None,
        "message": (change.after.message if change.after else None) or "",
        "stale": change.stale,
        "changed": change.seen_at.isoformat() if change.kind != "first" and change.fields else None,
    }


def state_of(live: PresenceStore) -> dict[str, Any]:
    """How everyone is, and how far that can be relied on."""
    now = live.statistics
    return {
        "counts": {name.rest if name else "": n for name, n in live.counts().items()},
        "users": now.users,
        "unread": now.unread,
        "stale": now.stale,
        "mode": now.mode,
        "connected": now.live_channels == now.channels,
    }


@asynccontextmanager
async def simulated(users: int) -> AsyncIterator[PresenceClient]:
    """A client of a simulated organization where people come and go."""
    async with (
        Simulator(users=users) as simulator,
        PresenceClient(
            base_url=simulator.base_url,
            login_url=simulator.login_url,
            allow_loopback_http=True,
            auth=ClientCredentials(simulator.client_id, simulator.client_secret),
        ) as client,
    ):
        moving = asyncio.create_task(come_and_go(simulator))
        try:
            yield client
        finally:
            moving.cancel()


async def come_and_go(simulator: Simulator) -> None:
    """First everyone takes up something, then now and then something else."""
    names = ("Available", "OnQueue", "Busy", "Meeting", "Break", "Meal", "Away", "Offline")
    definitions = [BUILT_IN_IDS[name] for name in names]
    chance = random.Random(1)  # noqa: S311  # for show, not a secret

    def move(user_id: str) -> None:
        (definition_id,) = chance.choices(definitions, weights=(30, 35, 8, 6, 5, 5, 6, 5))
        simulator.organization.set_presence(user_id, definition_id)

    for user_id in simulator.user_ids:
        move(user_id)
    while True:
        await asyncio.sleep(chance.uniform(0, 0.4))
        move(chance.choice(simulator.user_ids))


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="wallboard", description="Everyone's presence, live.")
    parser.add_argument("--real", action="store_true", help="the organization of GENESYSCLOUD_*")
    parser.add_argument("--users", type=int, default=500, help="users of the simulated one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on")
    options = parser.parse_args()
    connected = PresenceClient.from_env() if options.real else simulated(options.users)
    # A browser that reads nothing is not waited for when it ends.
    app = application(connected)
    web.run_app(app, host=options.host, port=options.port, shutdown_timeout=2.0)


if __name__ == "__main__":
    main()
