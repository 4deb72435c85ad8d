"""Which module may import which: the plan of the package as a table, read from the source."""

import ast
import statistics
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import presence_async

ROOT = Path(presence_async.__file__).parent
SELF = ROOT.name
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


class Row(NamedTuple):
    """What one unit (a module, or a sub-package as a whole) may import, apart from itself."""

    package: str = ""  # units of the package, at run time
    third_party: str = ""
    for_types: str = ""  # units and third parties besides, for type checkers only


# From the bottom up. "." is the package's own __init__, which imports on first use only.
TABLE = {
    "errors": Row("", "attrs"),
    "secret": Row(),
    "models": Row("errors secret", "attrs"),
    "config": Row("errors secret", "attrs"),
    "wire": Row("errors", "attrs", "routes"),
    "routes": Row("wire", "attrs"),
    "retry": Row("", "attrs", "routes"),
    "hooks": Row("", "attrs", "errors"),
    "failures": Row("errors secret wire", "", "routes"),
    "grants": Row("config errors secret", "attrs"),
    "environment": Row("config errors grants secret"),
    "ledger": Row(),
    "limiter": Row("errors ledger", "attrs", "config"),
    "pacing": Row("", "", "config limiter"),
    "forecast": Row("errors ledger", "attrs", "config"),
    "calls": Row("errors", "", "auth config pacing wire"),
    "outcomes": Row("errors", "attrs"),
    "fanout": Row("errors outcomes"),
    "converter": Row("errors models secret", "attrs cattrs orjson"),
    "notifications": Row("converter errors models secret", "attrs"),
    "rows": Row("converter errors models", "attrs"),
    "auth": Row("errors failures grants hooks retry routes secret", "attrs", "wire"),
    "silence": Row(),
    "transport": Row("errors secret silence wire", "aiohttp multidict yarl", "config routes"),
    "sending": Row("errors failures hooks retry transport wire", "", "auth calls limiter"),
    "session": Row(
        "auth calls errors fanout forecast grants hooks ledger limiter pacing routes sending "
        "transport",
        "",
        "config secret wire aiohttp",
    ),
    "resources": Row(
        "converter errors failures fanout forecast models notifications outcomes routes rows wire",
        "attrs",
    ),
    "live": Row(
        "errors fanout forecast models notifications resources retry secret",
        "attrs",
        "transport",
    ),
    "many": Row("live resources", "attrs", "config forecast session"),
    "client": Row(
        "config environment many resources session", "attrs", "auth grants hooks limiter aiohttp"
    ),
    "jobs": Row("converter errors fanout models outcomes resources", "aiosqlite attrs", "client"),
    "simulator": Row("", "aiohttp attrs orjson"),
    "progress": Row(),
    "demo": Row("client grants hooks progress simulator", "attrs", "live models resources"),
    "cli": Row(
        "client converter demo errors grants jobs progress rows simulator",
        "attrs rich",
        "limiter live models resources",
    ),
    "__main__": Row("cli"),
    "pytest_plugin": Row("client grants simulator", "pytest"),
    ".": Row(),
}
# No await, no event loop, no clock, no chance, no environment: all of it comes in from outside.
PURE = [
    "errors",
    "secret",
    "models",
    "config",
    "wire",
    "routes",
    "retry",
    "hooks",
    "failures",
    "grants",
    "environment",
    "ledger",
    "forecast",
    "converter",
    "notifications",
    "rows",
]
# The pure part of a unit that is not pure as a whole.
PURE_MODULES = [
    f"live/{name}.py"
    for name in (
        *("coverage", "inbox", "link", "machine", "outputs", "rejections", "rows", "sharding"),
        "table",
    )
]
IMPURE_MODULES = {"asyncio", "time", "random", "os", "socket", "threading", "secrets"}
# A fresh PKCE verifier is the one thing made of chance, and made on request only.
MAY_DRAW = {"grants": {"secrets"}}


def unit_of(module: Path) -> str:
    """The unit a file belongs to."""
    first = module.parts[0].removesuffix(".py")
    return "." if first == "__init__" else first


def files_of(unit: str) -> list[Path]:
    """The files of a unit."""
    return [module for module in MODULES if unit_of(module) == unit]


@cache
def tree_of(module: Path) -> ast.Module:
    """The source of a file, parsed."""
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), str(module))


@cache
def imports_of(module: Path) -> tuple[set[str], set[str]]:
    """Dotted names imported at run time, functions included, and those for type checkers."""
    tree = tree_of(module)
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
        for node in ast.walk(statement)
    }
    found: tuple[set[str], set[str]] = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found[id(node) in typing_only].update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names = {str(node.module)}
            if node.module == SELF:  # a unit, or a public name of the package itself
                names = {f"{SELF}.{alias.name}" for alias in node.names}
            found[id(node) in typing_only].update(names)
    return found


def named(dotted: str) -> str:
    """The unit or the third party that a dotted name belongs to; "" for the standard library."""
    first, _, rest = dotted.partition(".")
    if first == SELF:
        unit = rest.partition(".")[0]
        return unit if unit in TABLE else "."
    return "" if first in sys.stdlib_module_names else first


def units(names: set[str], unit: str) -> set[str]:
    """What a unit imports apart from itself and the standard library."""
    return {named(name) for name in names} - {"", unit}


def functions_of(module: Path) -> dict[str, int]:
    """Each function's length in lines, without its docstring."""
    lengths = {}
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = int(node.end_lineno or 0) - node.lineno + 1
            if ast.get_docstring(node) is not None:
                docstring = node.body[0]
                length -= int(docstring.end_lineno or 0) - docstring.lineno + 1
            lengths[f"{module}:{node.lineno} {node.name}"] = length
    return lengths


def test_the_table_is_complete():
    """Each file belongs to a row, and each row has files."""
    assert {unit_of(module) for module in MODULES} == set(TABLE)


@pytest.mark.parametrize("unit", TABLE)
def test_imports_follow_the_table(unit: str):
    """A unit imports at run time what its row allows; for types, what its row adds."""
    row = TABLE[unit]
    allowed = set(row.package.split()) | set(row.third_party.split())
    for module in files_of(unit):
        run_time, for_types = imports_of(module)
        assert units(run_time, unit) <= allowed, module
        assert units(for_types, unit) <= allowed | set(row.for_types.split()), module


@pytest.mark.parametrize("unit", TABLE)
def test_the_table_allows_nothing_unused(unit: str):
    """An import that went away goes from the table too, so that it stays the plan."""
    row = TABLE[unit]
    imports = [imports_of(module) for module in files_of(unit)]
    run_time = set().union(*(units(found, unit) for found, _ in imports))
    for_types = set().union(*(units(found, unit) for _, found in imports))
    assert set(row.package.split()) | set(row.third_party.split()) == run_time
    assert set(row.for_types.split()) == for_types - run_time


def test_run_time_imports_have_a_direction():
    """Read from the bottom, each row needs only rows above it: there is no cycle."""
    order = list(TABLE)
    above = {"."}  # lazy: importing it imports nothing
    for unit in order:
        assert set(TABLE[unit].package.split()) <= above, unit
        above.add(unit)


def users_of(third_party: str) -> set[str]:
    """The units that import a third party at run time."""
    return {
        unit
        for unit in TABLE
        for module in files_of(unit)
        if third_party in {named(name) for name in imports_of(module)[0]}
    }


@pytest.mark.parametrize(
    ("third_party", "expected"),
    [
        ("aiohttp", {"transport", "simulator"}),
        ("aiosqlite", {"jobs"}),
        ("multidict", {"transport"}),
        ("yarl", {"transport"}),
        ("cattrs", {"converter"}),
        ("orjson", {"converter", "simulator"}),
        ("pytest", {"pytest_plugin"}),
        ("rich", {"cli"}),
    ],
)
def test_each_third_party_has_one_door(third_party: str, expected: set[str]):
    """HTTP is the transport's and JSON the converter's; the simulator has its own of both."""
    assert users_of(third_party) == expected


def test_only_the_dependencies_are_imported():
    """The four core dependencies, those of aiohttp that its types are made of, and three more.

    aiosqlite and rich are extras, of jobs and of the command line. pytest is there whenever its
    plugin is loaded, and no dependency.
    """
    declared = {"aiohttp", "attrs", "cattrs", "orjson"}
    used = {word for row in TABLE.values() for word in row.third_party.split()}
    assert used == declared | {"multidict", "yarl", "pytest", "aiosqlite", "rich"}


def test_the_simulator_is_an_independent_witness():
    """It imports nothing of the rest; of that, the command line and the plugin know it."""
    for module in files_of("simulator"):
        for name in set().union(*imports_of(module)):
            assert name.split(".")[0] != SELF or name.startswith(f"{SELF}.simulator"), module
    knowing = {
        unit
        for unit in TABLE
        for module in files_of(unit)
        if unit != "simulator" and "simulator" in units(set().union(*imports_of(module)), unit)
    }
    assert knowing == {"cli", "demo", "pytest_plugin"}


def test_the_plugin_imports_at_first_use():
    """It is loaded into every suite; at its head there are only pytest and the library."""
    head = tree_of(Path("pytest_plugin.py")).body
    imports = [node for node in head if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {str(getattr(node, "module", node.names[0].name)) for node in imports}
    assert {named(name) for name in names} == {"", "pytest"}


@pytest.mark.parametrize("unit", [*PURE, *PURE_MODULES])
def test_pure_units_are_pure(unit: str):
    """Facts and decisions never await, never look at a clock, and never draw lots."""
    for module in [Path(unit)] if unit in PURE_MODULES else files_of(unit):
        for node in ast.walk(tree_of(module)):
            assert not isinstance(
                node,
                ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith,
            ), module
        used = {name.split(".")[0] for name in imports_of(module)[0]}
        assert used & IMPURE_MODULES <= MAY_DRAW.get(unit, set()), module


def test_the_environment_is_read_in_one_place():
    """Only the client, for from_env, and the command line look at environment variables."""
    reading = {
        unit_of(module)
        for module in MODULES
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}
    }
    assert reading <= {"client", "cli", "demo"}
    assert "client" in reading


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_modules_are_small(module: Path):
    """A module that outgrows 400 lines becomes a folder."""
    assert len((ROOT / module).read_text(encoding="utf-8").splitlines()) < 400


def test_functions_are_small():
    """At most 60 lines without the docstring, and the usual one is far shorter."""
    lengths = {name: n for module in MODULES for name, n in functions_of(module).items()}
    assert {name: n for name, n in lengths.items() if n > 60} == {}
    assert statistics.median(lengths.values()) < 10


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_modules_open_with_their_rules(module: Path):
    """Each file says what it is for before anything else."""
    assert ast.get_docstring(tree_of(module))
