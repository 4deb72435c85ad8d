"""A simulator with a plain aiohttp session beside it, on a clock moved by hand."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs
import orjson
import pytest
import pytest_asyncio
import yarl

from presence_async.simulator import Simulator
from tests.clock import ClockLoop, leftovers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

UNSET: Any = object()


def pytest_asyncio_loop_factories(config, item):
    """Run every test here on the hand-moved clock."""
    return {"clock": ClockLoop}


@attrs.frozen
class Reply:
    """One answer, read whole."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        """The error code, after checking that the error body is complete and consistent."""
        error = self.json
        assert error["status"] == self.status
        assert error["contextId"] == self.headers["ININ-Correlation-Id"]
        assert isinstance(error["message"], str)
        code: str = error["code"]
        return code


@attrs.frozen
class Lab:
    """A running simulator, a session and a token."""

    sim: Simulator
    http: aiohttp.ClientSession
    token: str

    @property
    def user(self) -> str:
        """Some user."""
        return self.sim.user_ids[0]

    @property
    def loop(self) -> ClockLoop:
        """The clock."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ClockLoop)
        return loop

    async def call(
        self,
        method: str,
        target: str,
        *,
        json: Any = UNSET,
        body: bytes | None = None,
        token: str | None = UNSET,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send one API request; the target goes out as it is."""
        sent = {} if headers is None else dict(headers)
        bearer = self.token if token is UNSET else token
        if bearer is not None:
            sent.setdefault("Authorization", f"Bearer {bearer}")
        if json is not UNSET:
            body = orjson.dumps(json)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        url = yarl.URL(self.sim.base_url + target, encoded=True)
        return await self._send(method, url, body, sent)

    async def login(
        self, form: dict[str, str], basic: tuple[str, str] | None = UNSET, **options: Any
    ) -> Reply:
        """Ask for a token, by default as the built-in client."""
        headers = options.pop("headers", {})
        if basic is UNSET:
            basic = (self.sim.client_id, self.sim.client_secret)
        if basic is not None:
            encoded = base64.b64encode(":".join(basic).encode()).decode()
            headers["Authorization"] = f"Basic {encoded}"
        url = f"{self.sim.login_url}/oauth/token"
        async with self.http.post(url, data=form, headers=headers, **options) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    async def _send(self, method: str, url: yarl.URL, body: Any, headers: Any) -> Reply:
        async with self.http.request(
            method, url, data=body, headers=headers, allow_redirects=False
        ) as answer:
            return Reply(answer.status, answer.headers, await answer.read())


@pytest_asyncio.fixture
async def open_lab() -> AsyncIterator[Callable[..., Awaitable[Lab]]]:
    """Open simulators with any options; close them and check that nothing is left."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    async with contextlib.AsyncExitStack() as stack:

        async def open_one(**options: Any) -> Lab:
            options.setdefault("users", 3)
            options.setdefault("wall_clock", loop.wall)
            sim = await stack.enter_async_context(Simulator(**options))
            http = await stack.enter_async_context(aiohttp.ClientSession())
            return Lab(sim, http, sim.issue_token())

        yield open_one
    # The session's own transports need a turn to close.
    await asyncio.sleep(0)
    assert leftovers() == []


@pytest.fixture
def definition() -> Callable[[str], str]:
    """Return the id of a built-in definition by the name of its system presence."""
    from presence_async.simulator import BUILT_IN_IDS  # noqa: PLC0415  test helper

    return BUILT_IN_IDS.__getitem__
