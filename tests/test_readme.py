"""The README's examples run as they stand there."""

from __future__ import annotations

import asyncio
import re
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from support import client_for

import presence_async
from presence_async.simulator import BUILT_IN_IDS

if TYPE_CHECKING:
    from typing import Self

    from presence_async import PresenceClient
    from presence_async.simulator import Simulator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def block_with(words: str) -> str:
    """The one example that has these words in it."""
    (found,) = [block for block in BLOCKS if words in block]
    return str(found)


async def run_lines(source: str, result: str, **names: Any) -> Any:
    """Run the lines of an example inside a coroutine; what they assign to `result`."""
    body = textwrap.indent(source, "    ")
    namespace: dict[str, Any] = {"asyncio": asyncio}
    code = f"async def lines({', '.join(names)}):\n{body}\n    return {result}\n"
    exec(compile(code, "README.md", "exec"), namespace)  # noqa: S102  # our own text
    return await namespace["lines"](**names)


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
    first = sim.user_ids[0]
    outcomes, definitions = await run_lines(
        BLOCKS[1], "(outcomes, definitions)", client=client, user_id=first, user_ids=sim.user_ids
    )
    assert {outcome.status for outcome in outcomes} == {"applied"}
    assert len(definitions) == 10
    stored = sim.organization.presence(first, "PURECLOUD")
    assert stored.definition_id == BUILT_IN_IDS["Meeting"]
    assert stored.message == "back at 2"


async def test_a_file_of_moves_is_made(
    sim: Simulator, client: PresenceClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example that reads a file moves who is in it, and says so line by line."""
    users = [sim.organization.users[user_id] for user_id in sim.user_ids[:3]]
    path = tmp_path / "moves.csv"
    lines = ["email,definition_label", *(f"{user.email},Meal" for user in users)]
    path.write_text("\r\n".join(lines), encoding="utf-8-sig", newline="")
    namespace: dict[str, Any] = {}
    exec(compile(block_with("parse_csv"), "README.md", "exec"), namespace)  # noqa: S102  # our own text
    await namespace["move"](client, namespace["read"](str(path)))
    assert capsys.readouterr().out.splitlines() == [f"{line} applied " for line in (2, 3, 4)]
    stored = {sim.organization.presence(user.id).definition_id for user in users}
    assert stored == {BUILT_IN_IDS["Meal"]}


@pytest.mark.real_loop
async def test_the_job_example_runs(
    sim: Simulator,
    client: PresenceClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It says what would change, changes it, and finds nothing to do the next time."""
    monkeypatch.chdir(tmp_path)
    items = [(user_id, "Meal") for user_id in sim.user_ids]
    for shown in (120, 0):
        summary = await run_lines(
            block_with("BulkUpdateJob"), "summary", client=client, items=items
        )
        assert summary.applied == 120
        *planned, counts = capsys.readouterr().out.splitlines()
        assert [line.endswith(" change") for line in planned] == [True] * shown
        assert counts == "120 0 0 0"


async def test_the_loader_example_runs(sim: Simulator, client: PresenceClient) -> None:
    """Everyone is read, fifty to a request."""
    source = block_with("client.coalesced()")
    presences = await run_lines(source, "presences", client=client, user_ids=sim.user_ids)
    assert [presence.user_id for presence in presences] == list(sim.user_ids)
    assert sim.count("GET /api/v2/users/presences/purecloud/bulk") == 3


async def test_the_poll_example_runs(
    sim: Simulator, client: PresenceClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everybody first, and then the one who goes to lunch."""
    source = block_with("client.poll(")
    example = asyncio.create_task(run_lines(source, "change", client=client, user_ids=sim.user_ids))
    await asyncio.sleep(60)
    sim.organization.set_presence(sim.user_ids[7], message="lunch")
    change = await example
    assert (change.user_id, change.kind) == (sim.user_ids[7], "changed")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["first"] * 120 + ["changed", "unread=0,"]


class Bar:
    """As much of tqdm, and of rich's progress bars, as the examples use."""

    def __init__(self, unit: str = "") -> None:
        self.n = 0
        self.total: int | None = None

    def __enter__(self) -> Self:
        bars.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        """Both draw the last state here."""

    def add_task(self, description: str, total: int | None) -> int:
        """Rich: a line of its own."""
        self.total = total
        return 7

    def update(self, step: int, completed: int | None = None, total: int | None = None) -> None:
        """Of tqdm: by so much. Of rich: the task, to so much of so much."""
        if completed is None:
            self.n += step
        else:
            assert step == 7
            self.n, self.total = completed, total


bars: list[Bar] = []


@pytest.mark.parametrize("library", ["tqdm", "rich.progress"])
async def test_the_progress_examples_run(
    sim: Simulator, client: PresenceClient, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    """The bar is full at the end, the total known."""
    monkeypatch.setitem(sys.modules, library.partition(".")[0], SimpleNamespace(tqdm=Bar))
    if "." in library:
        monkeypatch.setitem(sys.modules, library, SimpleNamespace(Progress=Bar))
    source = block_with(f"from {library} import")
    outcomes = await run_lines(source, "outcomes", client=client, user_ids=sim.user_ids)
    assert len(outcomes) == 120
    assert (bars[-1].n, bars[-1].total) == (120, 120)


@pytest.mark.real_loop
async def test_the_simulator_example_passes() -> None:
    """The test that the README proposes passes in real time, two failures included."""
    namespace: dict[str, Any] = {}
    exec(compile(block_with("def test_my_service"), "README.md", "exec"), namespace)  # noqa: S102  # our own text
    async with asyncio.timeout(30):
        await namespace["test_my_service"]()


def test_local_links_lead_somewhere() -> None:
    """Every relative link of the README and the docs is a file."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
