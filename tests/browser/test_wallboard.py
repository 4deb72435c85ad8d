"""The wallboard example in a real browser: `make browser`. It needs Debian's chromium."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from playwright.async_api import async_playwright, expect
from support import client_for

from examples.wallboard.__main__ import application
from presence_async.simulator import BUILT_IN_IDS, Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

    from presence_async.simulator import Simulator

pytestmark = pytest.mark.real_loop

# What the page calls them; the simulator has them without the blank.
NAMES = {id_: re.sub("(?<=n)Q", " Q", name) for name, id_ in BUILT_IN_IDS.items()}
LIVE, STALE = re.compile("^Live: 120 users"), re.compile("^Stale: ")
SECONDS = 20_000  # until something has gone wrong, in milliseconds


class Board:
    """The page in one tab, and what its console complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.state = page.locator("#state")
        self.errors: list[str] = []
        page.on("console", lambda said: said.type == "error" and self.errors.append(said.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    async def shows(self, simulator: Simulator) -> None:
        """Every count and every tile is as in the simulator, within seconds."""
        where = {
            one: NAMES[simulator.organization.presence(one).definition_id]
            for one in simulator.user_ids
        }
        for name, count in Counter(where.values()).items():
            number = self.page.locator(f'#counts button[data-presence="{name}"] b')
            await expect(number).to_have_text(str(count), timeout=SECONDS)
            tiles = self.page.locator(f'#users li[data-presence="{name}"]')
            await expect(tiles).to_have_count(count, timeout=SECONDS)
        await expect(self.page.locator("#users li")).to_have_count(len(where))


@asynccontextmanager
async def served(simulator: Simulator) -> AsyncIterator[str]:
    """The address of a wallboard of the simulator's organization."""
    runner = web.AppRunner(application(client_for(simulator)))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "http://{}:{}/".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium."""
    path = shutil.which("chromium")
    assert path, "apt-get install chromium"
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        await opened.close()


async def opened(browser: Browser, url: str) -> Board:
    """The wallboard in a new tab, as soon as it is live."""
    board = Board(await browser.new_page())
    await board.page.goto(url)
    await expect(board.state).to_have_text(LIVE, timeout=SECONDS)
    return board


async def test_the_page_follows_the_organization(browser: Browser, sim: Simulator) -> None:
    """In every tab: everyone, then each change, stale while the vendor is away, then all again."""
    ids = sim.user_ids
    for user_id, name in zip(ids, ("OnQueue", "Meal", "Busy", "OnQueue"), strict=False):
        sim.organization.set_presence(user_id, BUILT_IN_IDS[name])
    async with served(sim) as url:
        boards = [await opened(browser, url) for _ in range(2)]
        for board in boards:
            await board.shows(sim)

        sim.organization.set_presence(ids[7], BUILT_IN_IDS["Break"], message="<b>tea</b>")
        for board in boards:
            await board.shows(sim)
            latest = board.page.locator("#latest li").first
            await expect(latest).to_contain_text(sim.organization.users[ids[7]].name)
            tile = board.page.locator('#users li[data-presence="Break"]')
            await expect(tile).to_contain_text("Break · <b>tea</b>")

        away = Fault(route="GET /channels/{channelId}", times=None, status=503)
        sim.faults.add(away)
        sim.sockets.drop()
        for board in boards:
            await expect(board.state).to_have_text(STALE, timeout=SECONDS)
        sim.organization.set_presence(ids[8], BUILT_IN_IDS["Training"])
        sim.faults.clear()
        for board in boards:
            await expect(board.state).to_have_text(LIVE, timeout=SECONDS)
            await board.shows(sim)
            assert board.errors == []


async def test_a_presence_can_be_shown_alone(browser: Browser, sim: Simulator) -> None:
    """A count is a button that hides the others, and shows them again."""
    sim.organization.set_presence(sim.user_ids[0], BUILT_IN_IDS["Meal"])
    async with served(sim) as url:
        board = await opened(browser, url)
        shown = board.page.locator("#users li:visible")
        button = board.page.get_by_role("button", name="Meal")
        await button.click()
        await expect(shown).to_have_count(1)
        await expect(button).to_have_attribute("aria-pressed", "true")
        await button.click()
        await expect(shown).to_have_count(120)
    await expect(board.state).to_have_text("Stale: no connection to the wallboard; trying again")
