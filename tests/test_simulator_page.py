"""The page about the simulator: its tables are the code's, and its examples pass."""

from __future__ import annotations

import inspect
import re
import time
import typing
from pathlib import Path
from typing import Any

import attrs
import pytest

from presence_async import cli, pytest_plugin
from presence_async.simulator import Fault, Simulator, Switches, control

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
EXAMPLES = _BLOCK.findall(PAGE)
# Whole test files; the README has one too.
TESTS = [text for text in EXAMPLES + _BLOCK.findall(README) if "import pytest\n" in text]
_CODE = re.compile(r"`([^`]+)`")


def section(title: str) -> str:
    """The text under one heading."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def table(title: str) -> dict[str, list[str]]:
    """The cells behind each name in the first column of a section's table."""
    found: dict[str, list[str]] = {}
    for line in re.findall(r"^\| (`.*) \|$", section(title), re.MULTILINE):
        first, *cells = line.split(" | ")
        for name in _CODE.findall(first):
            assert name not in found, f"{name} is there twice"
            found[name] = cells
    return found


def switch_values(name: str) -> set[Any] | None:
    """Every value a switch can have, None where its type is open."""
    kind = typing.get_type_hints(Switches)[name]
    if kind is bool:
        return {True, False}
    return set(typing.get_args(kind)) if typing.get_origin(kind) is typing.Literal else None


def shown(value: Any) -> str:
    """A default as the page shows it."""
    return "time.time" if value is time.time else repr(value).replace("'", '"')


def defaults_of(cls: type) -> dict[str, Any]:
    """Each field of a class with its default."""
    made = cls()
    return {name: getattr(made, name) for name in attrs.fields_dict(cls)}


def test_every_switch_is_in_the_page() -> None:
    """The table has each switch with its real default, and no other."""
    page = {name: cells[1] for name, cells in table("Switches").items()}
    assert page == {name: f"`{shown(value)}`" for name, value in defaults_of(Switches).items()}


def test_the_values_of_every_switch_are_in_the_page() -> None:
    """Where the values of a switch can be listed, all of them are, and no others."""
    for name, (values, *_) in table("Switches").items():
        expected = switch_values(name)
        if expected is not None:
            assert {shown(value) for value in expected} == set(_CODE.findall(values)), name


def test_every_open_question_is_in_the_page() -> None:
    """Each row of the list has a switch, or says why it has none; 33 rows, in order."""
    rows = dict(re.findall(r"^(\d+)\. (.*)$", section("Switches"), re.MULTILINE))
    assert list(rows) == [str(number) for number in range(1, 34)]
    answered = {cells[3] for cells in table("Switches").values()} - {"none"}
    assert answered == {number for number, text in rows.items() if "no switch" not in text}


def test_every_fault_is_in_the_page() -> None:
    """The table has each field of a fault with its real default, and no other."""
    page = {name: cells[0] for name, cells in table("Faults").items()}
    assert page == {name: f"`{shown(value)}`" for name, value in defaults_of(Fault).items()}


def test_every_argument_is_in_the_page() -> None:
    """The table has each argument of the simulator with its real default, and no other."""
    page = {name: cells[0] for name, cells in table("Arguments").items()}
    parameters = inspect.signature(Simulator).parameters.values()
    assert page == {one.name: f"`{shown(one.default)}`" for one in parameters}


def test_every_option_of_the_command_is_in_the_page() -> None:
    """The table has each option of `simulate` with its real default, and no other."""
    commands = next(one for one in cli._parser()._actions if one.dest == "command")
    assert isinstance(commands.choices, dict)
    options = commands.choices["simulate"]._option_string_actions
    real = {name: one.default for name, one in options.items() if name.startswith("--")}
    del real["--help"]
    page = {name: cells[0] for name, cells in table("On its own").items()}
    assert page == {
        name: "off" if default is False else "none" if default in (None, []) else f"`{default}`"
        for name, default in real.items()
    }


def operations(node: Any) -> set[str]:
    """Every operation below a node of a path table."""
    below = [*node.literals.values(), *filter(None, [node.parameter])]
    own = {f"{one.method} {one.template}" for one in node.routes.values()}
    return own.union(*map(operations, below))


def test_every_operation_of_the_control_endpoint_is_in_the_page() -> None:
    """The table has each of them, and no other."""
    service = control._Service(Simulator(users=1), dict)
    assert set(table("The control endpoint")) == operations(service._table._root)


async def test_every_attribute_in_the_page_exists(sim: Simulator) -> None:
    """What the page names of a simulator, and of its organization, is there."""
    for path in re.findall(r"(?<![.\w])(?:presence_)?simulator\.([a-z_.]*[a-z])", PAGE):
        found: Any = sim
        for name in path.split("."):
            found = getattr(found, name)
    title = "What it has seen, and its state"
    (changes,) = re.findall(r"may be changed at will:([^.]*)", section(title))
    named = table(title)["simulator.organization"][0] + changes
    names = [name.partition("(")[0] for name in _CODE.findall(named)]
    assert [name for name in names if not hasattr(sim.organization, name)] == []


@pytest.mark.parametrize("example", TESTS)
def test_the_tests_of_the_page_pass(
    example: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each example is a whole test file, for the strict mode of pytest-asyncio."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(test_page=example)
    plugins = [f"-p{name}" for name in (pytest_plugin.__name__, "pytest_asyncio.plugin")]
    options = ["--strict-markers", "-Werror", "-oasyncio_default_fixture_loop_scope=function"]
    pytester.runpytest(*plugins, *options).assert_outcomes(passed=1)


@pytest.mark.real_loop
async def test_the_example_without_pytest_runs() -> None:
    """It reads everyone of a large organization."""
    (example,) = (example for example in EXAMPLES if example not in TESTS)
    namespace: dict[str, Any] = {}
    exec(compile(example, "simulator.md", "exec"), namespace)  # noqa: S102  # our own text
    await namespace["main"]()


def test_the_first_example_is_short() -> None:
    """Ten lines are ten lines: those with code, imports and constants apart."""
    body = EXAMPLES[0].partition("@pytest")[2].splitlines()
    assert len(body) <= 10
