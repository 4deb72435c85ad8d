"""A client on fake answers, for the resource modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fake_http import FakeApi, fake_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    """Answers to give, requests to look at, and `api.client`."""
    async with fake_api() as api:
        yield api
