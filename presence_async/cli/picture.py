"""The table of `watch`, up to date until nobody looks any more. It needs rich."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from presence_async.cli.output import Output, printable
from presence_async.cli.records import change_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import NoReturn

    from presence_async.client import PresenceClient
    from presence_async.limiter import RateLimitStatus
    from presence_async.live.rows import StoreStatistics
    from presence_async.live.store import PresenceStore

_PAUSE: Final = 0.25  # seconds from one picture to the next
_LATEST: Final = 10  # changes in the picture
_BAR: Final = 40


async def draw(live: PresenceStore, client: PresenceClient, names: Mapping[str, str]) -> NoReturn:
    """Show the table until cancelled; what the library warns of is told above it."""
    changes = live.changes()
    latest: deque[str] = deque(maxlen=_LATEST)
    with (
        Live(console=Console(), auto_refresh=False, vertical_overflow="crop") as screen,
        Output(""),
    ):
        while True:
            screen.update(_picture(live, client.rate_limit, latest), refresh=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE):
                    while True:
                        change = await anext(changes)
                        if change.kind != "first" and change.fields:
                            latest.appendleft(change_line(change, names.get(change.user_id)))


def _picture(live: PresenceStore, budget: RateLimitStatus, latest: Iterable[str]) -> Group:
    table = Table("Presence", "Users", "", box=None, padding=(0, 2, 0, 0))
    for name, count in sorted(live.counts().items(), key=lambda one: -one[1]):
        bar = ProgressBar(len(live), count, _BAR, complete_style="cyan", finished_style="cyan")
        table.add_row(_text(name.rest if name else "no presence"), f"{count:,}", bar)
    state = map(_text, _state(live.statistics, budget))
    return Group(table, "", Text("Latest changes", "bold"), *map(_text, latest), "", *state)


def _text(line: str) -> Text:
    return Text(printable(line, sys.stdout), overflow="ellipsis", no_wrap=True)


def _state(now: StoreStatistics, budget: RateLimitStatus) -> Iterator[str]:
    """How it goes, and what it costs."""
    yield f"{now.users:,} users, {now.unread:,} not read yet, {now.stale:,} stale"
    if now.mode == "polling":
        yield f"polling: {now.sweeps:,} sweeps"
    else:
        lag = "" if now.lag is None else f", lag {now.lag:.1f} s"
        yield (
            f"notifications: {now.live_channels} of {now.channels} channels live, "
            f"{now.gaps:,} gaps, {now.events:,} events{lag}"
        )
    pause = f", paused for {budget.paused_for:.0f} s" if budget.paused_for else ""
    yield (
        f"budget: {budget.remaining} of {budget.limit} requests left for this minute, "
        f"{now.requests:,} spent{pause}"
    )
