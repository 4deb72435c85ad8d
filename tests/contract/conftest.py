"""A bench for each test. This folder is not part of a plain `pytest`: it needs the SDK."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest
from contract.vendor import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def open_bench() -> Iterator[Callable[..., Bench]]:
    """Open simulators with any options; the SDK, which knows no timeout, gets one."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(10.0)
    with contextlib.ExitStack() as stack:

        def open_one(**options: Any) -> Bench:
            return stack.enter_context(Bench(**options))

        yield open_one
    socket.setdefaulttimeout(before)


@pytest.fixture
def bench(open_bench: Callable[..., Bench]) -> Bench:
    """A simulator with four users and the SDK signed in as the built-in client."""
    opened = open_bench()
    opened.client.get_client_credentials_token(opened.sim.client_id, opened.sim.client_secret)
    return opened
