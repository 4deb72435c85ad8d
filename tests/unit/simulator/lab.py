"""A running simulator with a plain aiohttp session and a token, for tests."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import aiohttp
import attrs
import orjson
import yarl
from clock import ClockLoop

from presence_async.simulator import Simulator

UNSET: Any = object()


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


OpenLab: TypeAlias = Callable[..., Awaitable[Lab]]
Pick: TypeAlias = Callable[[str], str]
