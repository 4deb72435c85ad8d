"""Each module of the package has its test file, at the same place under tests/unit."""

import ast
from pathlib import Path

import pytest

import presence_async

ROOT = Path(presence_async.__file__).parent
UNIT = Path(__file__).parent / "unit"
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))

# Modules whose tests are elsewhere, with the reason.
ELSEWHERE = {
    "__init__.py": "../test_exports.py",  # the public surface is a test of its own
    "__main__.py": "test_cli.py",  # two lines that hand over to the command line
    "resources/__init__.py": "test_client.py",  # one of each: the client's attributes
    "simulator/operations/__init__.py": "simulator/test_api.py",  # the routes the API answers
}
# Tests of a whole sub-package at once, as properties.
WHOLE = {
    Path("converter/test_round_trip.py"),
    Path("simulator/test_robustness.py"),
    Path("simulator/test_stateful.py"),
}


def places(module: Path) -> list[Path]:
    """Where the tests of a module may be; a leading underscore is not part of its name."""
    if str(module) in ELSEWHERE:
        return [UNIT / ELSEWHERE[str(module)]]
    if module.name == "__init__.py":
        folder = UNIT / module.parent
        return [folder / "test_init.py", folder.parent / f"test_{folder.name}.py"]
    return [UNIT / module.parent / f"test_{module.name.lstrip('_')}"]


def only_collects(module: Path) -> bool:
    """Whether a file is an `__init__` that has nothing of its own, only names of others."""
    body = ast.parse((ROOT / module).read_text(encoding="utf-8")).body
    own = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return module.name == "__init__.py" and not any(isinstance(node, own) for node in body)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_each_module_has_its_tests(module: Path):
    """There is a test file at the mirrored path, and it holds tests."""
    if str(module) not in ELSEWHERE and only_collects(module):
        return
    found = [place for place in places(module) if place.is_file()]
    assert found, f"no tests for {module}: expected {' or '.join(map(str, places(module)))}"
    assert any("def test_" in place.read_text(encoding="utf-8") for place in found)


def test_each_unit_test_mirrors_a_module():
    """No test file is left behind by a module that was renamed or removed."""
    known = {place.resolve() for module in MODULES for place in places(module)}
    stray = {path.relative_to(UNIT) for path in UNIT.rglob("test_*.py")} - {
        path.relative_to(UNIT) for path in known if path.is_relative_to(UNIT)
    }
    assert stray == WHOLE


def test_the_exceptions_are_still_needed():
    """Whatever is listed as tested elsewhere exists, and so does the other place."""
    for module, place in ELSEWHERE.items():
        assert (ROOT / module).is_file()
        assert (UNIT / place).resolve().is_file()
