"""The vendor's own SDK (`PureCloudPlatformClientV2`), and a simulator for it to talk to."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import orjson

from presence_async.simulator import BUILT_IN_IDS, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

# Dates of a test stand still at the instant of a recorded answer.
NOW = 1646640903.625
WIRE_NOW = "2022-03-07T08:15:03.625Z"
_PATIENCE = 10.0


def _import_sdk() -> Any:
    """Import the SDK without its watch over the home directory, by its own config file."""
    with tempfile.TemporaryDirectory() as home, mock.patch.dict(os.environ, HOME=home):
        config = Path(home, ".genesyscloudpython", "config")
        config.parent.mkdir()
        config.write_text("[general]\nlive_reload_config = false\n", encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of code that is not ours
            import PureCloudPlatformClientV2 as sdk  # noqa: N813, PLC0415
    return sdk


SDK = _import_sdk()
ApiException = SDK.rest.ApiException


class Bench:
    """A simulator on a thread of its own, and the SDK pointed at it.

    Args:
        options: Options of the simulator. By default it has one port and no rate limit.
    """

    def __init__(self, **options: Any) -> None:
        usual = {"users": 4, "rate_limit": None, "one_port": True, "wall_clock": lambda: NOW}
        self.sim = Simulator(**(usual | options))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self.sim.start())
        self.client = self.new_client()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._wait(self.sim.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    def new_client(self) -> Any:
        """A client of the SDK without a token; it has one host, as its users have."""
        return SDK.ApiClient(host=self.sim.base_url)

    def inside(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function on the simulator's thread, where its clock can be read."""

        async def call() -> Any:
            return function(*args)

        return self._wait(call())

    def sign_in(self, user_id: str | None, *permissions: str) -> None:
        """Go on as a user with these permissions and no others."""
        self.client.access_token = self.inside(
            self.sim.issue_token, None, user_id, permissions or None
        )

    @cached_property
    def presence(self) -> Any:
        """The SDK's presence operations."""
        return SDK.PresenceApi(self.client)

    @cached_property
    def notifications(self) -> Any:
        """The SDK's notification operations."""
        return SDK.NotificationsApi(self.client)

    @property
    def user(self) -> str:
        """Some user."""
        return self.sim.user_ids[0]

    @property
    def last(self) -> Any:
        """The last request as it arrived."""
        return self.sim.requests[-1]

    @property
    def sent(self) -> Any:
        """The last body, decoded."""
        return orjson.loads(self.last.body)


def built_in(name: str) -> str:
    """The id of a built-in definition, by either spelling of its system presence."""
    return BUILT_IN_IDS[name.replace(" ", "")]


def reference(name: str) -> Any:
    """The SDK's reference to a built-in definition by its system presence."""
    found = SDK.PresenceDefinition()
    found.id = built_in(name)
    return found


def error_of(caught: Any) -> tuple[int, str]:
    """Status and code of an `ApiException`, once its body is seen to be a whole ErrorBody."""
    error = caught.value
    body = orjson.loads(error.body)
    assert body["status"] == error.status
    assert body["contextId"] == error.headers["ININ-Correlation-Id"]
    assert body["message"]
    return error.status, body["code"]
