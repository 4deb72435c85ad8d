"""Fixtures of the command line's tests: a simulator that commands can be pointed at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from pathlib import Path

    from presence_async.simulator import Simulator


@pytest_asyncio.fixture
async def sim_file(sim: Simulator, tmp_path: Path) -> str:
    """The file for `--simulator`: what `simulate` would have printed of `sim`."""
    file = tmp_path / "sim.json"
    file.write_text(json.dumps(sim.announcement()) + "\n", encoding="utf-8")
    return str(file)
