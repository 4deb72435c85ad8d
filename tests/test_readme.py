"""The README's examples run as they stand there."""

from __future__ import annotations

import asyncio
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import client_for

import presence_async
from presence_async.simulator import BUILT_IN_IDS

if TYPE_CHECKING:
    from presence_async import PresenceClient
    from presence_async.simulator import Simulator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_first_screen_holds_both_commands() -> None:
    """`make demo` and `make test` stand before the first heading after the title."""
    first_screen = README.split("\n## ")[0]
    assert "make demo" in first_screen
    assert "make test" in first_screen


async def test_the_first_example_prints_every_user(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ten-line example, pointed at the simulator, reads everyone."""

    def connect(*, region: str, auth: Any) -> PresenceClient:
        assert region == "eu_central_1"
        assert isinstance(auth, presence_async.ClientCredentials)
        return client_for(sim)

    monkeypatch.setattr(presence_async, "PresenceClient", connect)
    source = BLOCKS[0].replace("asyncio.run(main())", "")
    namespace: dict[str, Any] = {}
    exec(compile(source, "README.md", "exec"), namespace)  # noqa: S102  # our own text
    await namespace["main"]()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 120
    assert all(" present UcUserPresence(" in line for line in lines)


async def test_the_short_calls_run(sim: Simulator, client: PresenceClient) -> None:
    """Each call of the second block does what its comment says."""
    body = textwrap.indent(BLOCKS[1], "    ")
    source = (
        f"async def calls(client, user_id, user_ids):\n{body}    return outcomes, definitions\n"
    )
    namespace: dict[str, Any] = {}
    exec(compile(source, "README.md", "exec"), namespace)  # noqa: S102  # our own text
    first = sim.user_ids[0]
    outcomes, definitions = await namespace["calls"](client, first, sim.user_ids)
    assert {outcome.status for outcome in outcomes} == {"applied"}
    assert len(definitions) == 10
    stored = sim.organization.presence(first, "PURECLOUD")
    assert stored.definition_id == BUILT_IN_IDS["Meeting"]
    assert stored.message == "back at 2"


@pytest.mark.real_loop
async def test_the_simulator_example_passes() -> None:
    """The test that the README proposes passes in real time, two failures included."""
    namespace: dict[str, Any] = {}
    exec(compile(BLOCKS[2], "README.md", "exec"), namespace)  # noqa: S102  # our own text
    async with asyncio.timeout(30):
        await namespace["test_my_service"]()


def test_local_links_lead_somewhere() -> None:
    """Every relative link of the README and the docs is a file."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
