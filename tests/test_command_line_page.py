"""The page about the command line: its tables are the code's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from unit.cli.test_records import outcome

from presence_async import cli
from presence_async.cli.exit_codes import EXIT_CODES
from presence_async.cli.records import change_json, outcome_json

if TYPE_CHECKING:
    from presence_async import PresenceClient
    from presence_async.simulator import Simulator

PAGE = (Path(__file__).parent.parent / "docs" / "command-line.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text under one heading, up to the next of its kind."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def parser_of(command: str) -> Any:
    """The parser of one command."""
    commands = next(one for one in cli._parser()._actions if one.dest == "command")
    assert isinstance(commands.choices, dict)
    return commands.choices[command]


@pytest.mark.parametrize("command", ["poll", "bulk-update"])
def test_every_option_is_in_the_page(command: str) -> None:
    """The table has each option with its real default, and no other."""
    options = parser_of(command)._option_string_actions
    real = {name: one.default for name, one in options.items() if name.startswith("--")}
    del real["--help"]
    found = re.findall(r"^\| `(--[a-z-]+)` \| (.*?) \|", section(command), re.MULTILINE)
    assert len(found) == len(dict(found))
    assert dict(found) == {
        name: {"False": "off", "None": "none"}.get(str(value), f"`{value!r}`".replace("'", '"'))
        for name, value in real.items()
    }


def test_every_command_is_in_the_page() -> None:
    """The first lines show each of them."""
    commands = next(one for one in cli._parser()._actions if one.dest == "command")
    shown = re.findall(r"^python -m presence_async ([a-z-]+)", PAGE.split("\n## ")[0], re.MULTILINE)
    assert sorted(shown) == sorted(commands.choices or ())


def test_every_exit_code_is_in_the_page() -> None:
    """The table has the codes of the help, and no other."""
    page = re.findall(r"^\| (\d+) \|", section("Exit codes"), re.MULTILINE)
    assert page == re.findall(r"^  (\d+) ", EXIT_CODES, re.MULTILINE)


async def test_the_fields_of_a_change_are_in_the_page(
    sim: Simulator, client: PresenceClient
) -> None:
    """The example has them all, in their order."""
    async with client.poll(sim.user_ids[:1], interval=60) as poll:
        fields = list(json.loads(change_json(await anext(poll))))
    (example,) = re.findall(r"```json\n(.*)\n", section("poll"))
    assert re.findall(r'"([a-z_]+)":', example) == fields


def test_the_fields_of_an_outcome_are_in_the_page() -> None:
    """All that an export has."""
    named = re.findall(r"`([a-z_]+)`", section("bulk-update").split("Each outcome is")[1])
    fields = list(json.loads(outcome_json(outcome())))
    assert named[: len(fields)] == fields
