"""The public surface: what is public, that it is documented, and that importing it is lazy."""

import ast
import importlib
import importlib.util
import inspect
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

import presence_async

ROOT = Path(presence_async.__file__).parent
HEAVY = ("aiohttp", "attrs", "attr", "cattrs", "orjson", "yarl", "asyncio")
STUB = ast.parse((ROOT / "__init__.pyi").read_text(encoding="utf-8"))


def homes() -> dict[str, set[str]]:
    """The table of homes in the package: module to its public names."""
    return {home: set(names) for home, names in presence_async._HOMES.items()}


def imported_after(statements: str) -> set[str]:
    """Which heavy modules are loaded in a fresh interpreter after `statements`."""
    code = f"import sys\n{statements}\nprint(*(set(sys.modules) & {set(HEAVY)!r}))"
    done = subprocess.run(  # noqa: S603  # this interpreter, our own code
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT.parent)!r})\n{code}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_all_is_the_table_of_homes():
    """Each public name is in __all__ and has one home, sorted, none twice."""
    names = [name for _, group in presence_async._HOMES.items() for name in group]
    assert len(names) == len(set(names))
    assert set(presence_async.__all__) == set(names)
    assert len(presence_async.__all__) == len(names)


def test_type_checkers_see_the_same_names():
    """The stub re-exports the table of homes, module by module."""
    seen: dict[str, set[str]] = {}
    for node in STUB.body:
        assert isinstance(node, ast.ImportFrom)
        assert all(alias.asname == alias.name for alias in node.names)
        seen[str(node.module)] = {alias.name for alias in node.names}
    assert seen == homes()


@pytest.mark.parametrize("name", presence_async.__all__)
def test_every_name_is_the_one_of_its_home(name: str):
    """A public name can be imported, and is public in its home as well."""
    home = importlib.import_module(presence_async._HOME_OF[name])
    assert getattr(presence_async, name) is getattr(home, name)
    assert name in home.__all__


def test_nothing_that_should_be_public_is_forgotten():
    """Errors, grants, hooks, models and the converter are public whole, but for what is ours."""
    ours = {
        "presence_async.errors": set(),
        "presence_async.grants": {"TokenRequest"},
        "presence_async.hooks": set(),
        "presence_async.models": {"Model"},
        "presence_async.secret": {"MASK", "MaskedBytes", "MaskedStr", "encodable"},
    }
    for home, internal in ours.items():
        module = importlib.import_module(home)
        assert set(module.__all__) - internal == homes()[home]


def documented(name: str) -> bool:
    """Whether a name has a docstring of its own: in it, or right behind its assignment."""
    value = getattr(presence_async, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        return bool(vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__)
    module = importlib.import_module(presence_async._HOME_OF[name])
    return any(_documents(module_file, name) for module_file in _files(module))


def _files(module: ModuleType) -> list[Path]:
    """The files a constant may be defined in: the module's, or its package's."""
    path = Path(str(module.__file__))
    return list(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]


def _documents(path: Path, name: str) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(
        isinstance(node, ast.AnnAssign)
        and ast.unparse(node.target) == name
        and isinstance(follower, ast.Expr)
        and isinstance(follower.value, ast.Constant)
        and isinstance(follower.value.value, str)
        for node, follower in pairwise(body)
    )


@pytest.mark.parametrize("name", presence_async.__all__)
def test_every_public_name_is_documented(name: str):
    """Classes, functions, constants and aliases alike say what they are."""
    assert documented(name)


def public_methods() -> list[tuple[str, str]]:
    """Public methods and properties that public classes define themselves."""
    return [
        (name, member)
        for name in presence_async.__all__
        if inspect.isclass(cls := getattr(presence_async, name))
        for member, value in vars(cls).items()
        if not member.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod))
    ]


@pytest.mark.parametrize(("name", "member"), public_methods())
def test_every_public_method_is_documented(name: str, member: str):
    """What a user can call or read on a public class has a docstring."""
    value = inspect.getattr_static(getattr(presence_async, name), member)
    value = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    assert value.__doc__


def test_star_import_gives_all_of_it_and_nothing_else():
    """A star import works, gives each public name, and none of the machinery."""
    names: dict[str, object] = {}
    exec("from presence_async import *", names)  # noqa: S102  # only a module has it
    del names["__builtins__"]
    assert set(names) == set(presence_async.__all__)


def test_dir_lists_the_public_names():
    """Completion in a shell shows names that have not been imported yet."""
    assert set(presence_async.__all__) <= set(dir(presence_async))
    assert dir(presence_async) == sorted(dir(presence_async))


def test_an_unknown_name_is_an_attribute_error():
    """A misspelt name fails as any module's does."""
    with pytest.raises(AttributeError, match="'presence_async' has no attribute 'PresenceKlient'"):
        _ = presence_async.PresenceKlient
    with pytest.raises(ImportError, match="cannot import name 'PresenceKlient'"):
        exec("from presence_async import PresenceKlient", {})  # noqa: S102  # our own text


def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch):
    """After its first use a public name is an ordinary attribute of the package."""
    monkeypatch.delitem(vars(presence_async), "UNSET", raising=False)
    first = presence_async.UNSET
    assert vars(presence_async)["UNSET"] is first


def test_importing_the_package_imports_nothing_heavy():
    """`import presence_async` loads none of the dependencies, nor asyncio."""
    assert imported_after("import presence_async") == set()


def test_models_and_errors_do_not_pay_for_the_network():
    """Users of the models or of the errors never load aiohttp, cattrs or asyncio."""
    for statement in (
        "from presence_async import UNSET, UserPresence",
        "from presence_async import PresenceError, ClientCredentials, Secret",
    ):
        assert imported_after(statement) == {"attrs", "attr"}


def test_the_converter_does_not_pay_for_the_network():
    """JSON to models and back works without aiohttp."""
    assert not {"aiohttp", "yarl"} & imported_after("from presence_async import from_json")


def test_the_client_loads_what_it_needs():
    """The class brings aiohttp along, the first client the converter; neither the simulator."""
    alone = "from presence_async import ClientCredentials, PresenceClient\n"
    assert {"aiohttp", "attrs"} <= imported_after(alone)
    made = alone + (
        "PresenceClient(region='us_east_1', auth=ClientCredentials('id', 'secret'))\n"
        "assert not [n for n in sys.modules if 'simulator' in n or 'uvloop' in n], sys.modules"
    )
    assert {"aiohttp", "attrs", "cattrs", "orjson"} <= imported_after(made)


def test_the_package_is_typed():
    """The marker that tells type checkers to look is there."""
    assert (ROOT / "py.typed").is_file()
