"""Where a command connects to, and whom it is about."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from presence_async import ConfigurationError
from presence_async.cli.connection import add_connected, add_users, connect, everyone, ids_of

if TYPE_CHECKING:
    from pathlib import Path

    from presence_async import PresenceClient
    from presence_async.simulator import Simulator


def parser() -> argparse.ArgumentParser:
    """Of a command about users."""
    commands = argparse.ArgumentParser().add_subparsers()
    made = add_connected(commands, "do", what="does it", description="It does it.")
    add_users(made)
    return made


def options(*words: str) -> argparse.Namespace:
    """Parsed options."""
    return parser().parse_args(words)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of our variables is set."""
    for name in list(os.environ):
        if name.startswith("GENESYSCLOUD_"):
            monkeypatch.delenv(name)


async def test_the_line_of_a_simulator_is_enough(sim: Simulator, tmp_path: Path):
    """Addresses and credentials come from the file; what follows the line is not read."""
    file = tmp_path / "sim.json"
    file.write_text(f"{json.dumps(sim.announcement())}\nmore\n", encoding="utf-8")
    async with connect(options("--simulator", str(file))) as client:
        assert len(await client.users.list()) == 120


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", json.dumps(dict.fromkeys(("base_url", "login_url"), "x"))]
)
def test_another_file_is_refused(text: str, tmp_path: Path):
    """The message names the file and not what is in it."""
    file = tmp_path / "sim.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"sim\.json: not the line `simulate` prints"):
        connect(options("--simulator", str(file)))


def test_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch):
    """Without the option the variables count, and a missing one is named."""
    with pytest.raises(ConfigurationError, match="GENESYSCLOUD_OAUTHCLIENT_ID is not set"):
        connect(options())
    values: dict[str, Any] = {
        "GENESYSCLOUD_REGION": "eu-central-1",
        "GENESYSCLOUD_OAUTHCLIENT_ID": "id",
        "GENESYSCLOUD_OAUTHCLIENT_SECRET": "secret",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
        assert name in parser().format_help()
    assert "api.mypurecloud.de" in repr(connect(options()))


async def test_everyone_is_by_name(sim: Simulator, client: PresenceClient):
    """Whoever gives no ids means everybody there is."""
    assert ids_of(options()) is None
    names = {user.id: user.name for user in sim.organization.users.values()}
    assert await everyone(client) == names


def test_ids_are_words_or_lines(tmp_path: Path):
    """A few are typed, many are in a file; both at once is a mistake."""
    (tmp_path / "ids").write_text("a\n\n b \n", encoding="utf-8")
    assert ids_of(options("--ids", str(tmp_path / "ids"))) == ["a", "b"]
    assert ids_of(options("a", "b")) == ["a", "b"]
    with pytest.raises(ConfigurationError, match="USER_ID and --ids"):
        ids_of(options("a", "--ids", "x"))
    with pytest.raises(ConfigurationError, match="standard input"):
        ids_of(options("--ids", "-", "--simulator", "-"))
