"""aioresponses, made to work with aiohttp 3.14, that also keeps the exact request lines."""

from __future__ import annotations

import contextlib
import json as json_module
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs
from aioresponses import aioresponses

from presence_async import PresenceClient, StaticToken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "https://api.mypurecloud.com"
TOKEN = "canary-token"
_ANY = re.compile("")


class _Response(aiohttp.ClientResponse):
    """aiohttp 3.14 wants a stream writer, which aioresponses 0.7.9 does not give."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, stream_writer=SimpleNamespace(output_size=0), **kwargs)


@attrs.frozen
class Sent:
    """One request as it was handed to aiohttp."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None

    @property
    def json(self) -> Any:
        """The body, decoded."""
        assert self.body is not None
        return json_module.loads(self.body)

    @property
    def line(self) -> str:
        """Method and target."""
        return f"{self.method} {self.target}"


class FakeApi(aioresponses):
    """Answers in the order they were given, whatever the URL; the test looks at `sent`."""

    client: PresenceClient

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Sent] = []

    def answer(
        self,
        method: str,
        json: Any = None,
        *,
        status: int = 200,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """The next answer to a request of `method`."""
        if body is None:
            body = json_module.dumps(json).encode()
        self.add(_ANY, method, status=status, body=body, headers=headers, response_class=_Response)

    async def _request_mock(self, orig_self: Any, method: str, url: Any, **kwargs: Any) -> Any:
        data = kwargs.get("data")
        body = None if data is None else bytes(data._value)
        target = str(url).removeprefix(HOST)
        self.sent.append(Sent(method, target, dict(kwargs["headers"]), body))
        return await super()._request_mock(orig_self, method, url, **kwargs)

    @property
    def lines(self) -> list[str]:
        """Method and target of every request."""
        return [sent.line for sent in self.sent]

    @property
    def last(self) -> Sent:
        """The latest request."""
        return self.sent[-1]


@contextlib.asynccontextmanager
async def fake_api() -> AsyncIterator[FakeApi]:
    """An open client whose requests are answered by `answer`."""
    with FakeApi() as api:
        async with PresenceClient(base_url=HOST, auth=StaticToken(TOKEN)) as client:
            api.client = client
            yield api
