"""The pytest plugin: a simulator, and a client on it, for each test that asks for them.

pytest loads it wherever the package is installed, so it imports nothing but pytest before a
fixture is used. The fixtures are plain functions that hand over to async ones, one per event loop
a test can run on: a simulator on any other loop would never answer.

PYTEST_DONT_REWRITE: there is no assertion here to be rewritten.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from presence_async.client import PresenceClient
    from presence_async.simulator import Simulator

_ALONE: Final = "or run `python -m presence_async simulate` in a subprocess"
_LOOP_SCOPES: Final = ("function", "class", "module", "package", "session")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and the async fixtures with the async plugins that are there."""
    for marker, taker in (
        ("presence_simulator", "Simulator"),
        ("presence_client", "PresenceClient"),
    ):
        config.addinivalue_line(
            "markers", f"{marker}(**options): keyword arguments of {taker} for the fixture {marker}"
        )
    fixtures = ModuleType("presence_async.pytest_plugin.fixtures")
    _add_fixtures(fixtures, "anyio", pytest.fixture)
    asyncio_plugin = _asyncio_plugin(config)
    if asyncio_plugin is not None:
        for scope in _LOOP_SCOPES:
            _add_fixtures(fixtures, scope, partial(asyncio_plugin.fixture, loop_scope=scope))
    config.pluginmanager.register(fixtures, fixtures.__name__)


@pytest.fixture
def presence_simulator(request: pytest.FixtureRequest) -> Simulator:
    """A running `Simulator` on the event loop of the test, closed after it.

    `@pytest.mark.presence_simulator(users=50)` gives keyword arguments of `Simulator`; the
    closest marker wins: the test's, its class's, its module's.
    """
    simulator: Simulator = request.getfixturevalue(f"_presence_simulator_{_loop_of(request)}")
    return simulator


@pytest.fixture
def presence_client(request: pytest.FixtureRequest) -> PresenceClient:
    """An open `PresenceClient` on `presence_simulator`, closed after the test.

    `@pytest.mark.presence_client(retries=0)` gives keyword arguments of `PresenceClient`, as
    with `presence_simulator`.
    """
    client: PresenceClient = request.getfixturevalue(f"_presence_client_{_loop_of(request)}")
    return client


def _add_fixtures(module: ModuleType, loop: str, fixture: Callable[..., Any]) -> None:
    """Add the async fixtures of one kind of loop, made by the plugin that runs it."""

    async def simulator(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
        from presence_async.simulator import Simulator  # noqa: PLC0415  only who uses it pays

        async with _made(Simulator, request, "presence_simulator", {}) as running:
            yield running

    async def client(
        request: pytest.FixtureRequest, presence_simulator: Simulator
    ) -> AsyncIterator[PresenceClient]:
        from presence_async.client import PresenceClient  # noqa: PLC0415  likewise
        from presence_async.grants import ClientCredentials  # noqa: PLC0415  likewise

        sim = presence_simulator
        usual = {
            "base_url": sim.base_url,
            "login_url": sim.login_url,
            "allow_loopback_http": True,
            "auth": ClientCredentials(sim.client_id, sim.client_secret),
        }
        async with _made(PresenceClient, request, "presence_client", usual) as opened:
            yield opened

    setattr(module, f"_presence_simulator_{loop}", fixture(simulator))
    setattr(module, f"_presence_client_{loop}", fixture(client))


def _made(
    maker: Callable[..., Any], request: pytest.FixtureRequest, marker: str, usual: dict[str, Any]
) -> Any:
    """Make a simulator or a client; what the closest marker says comes last and wins."""
    given: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers(marker))):
        if mark.args:
            raise _failure(
                f"@pytest.mark.{marker} takes keyword arguments only, not {mark.args[0]!r}"
            )
        given |= mark.kwargs
    unknown = given.keys() - inspect.signature(maker).parameters.keys()
    if unknown:
        raise _failure(f"@pytest.mark.{marker} has no argument {', '.join(sorted(unknown))}")
    try:
        return maker(**(usual | given))
    except (AttributeError, TypeError, ValueError) as error:
        named = ", ".join(f"{name}=..." for name in given)
        raise _failure(f"@pytest.mark.{marker}({named}): {error}") from None


def _loop_of(request: pytest.FixtureRequest) -> str:
    """Name the loop a test runs on: `anyio`, or the loop scope of pytest-asyncio."""
    name = f"{request.fixturename}: {request.node.name}"
    function = request.function
    function = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    if not inspect.iscoroutinefunction(function):
        raise _failure(f"{name} is no async test; make it one, {_ALONE}")
    mark = request.node.get_closest_marker("asyncio")
    by_anyio = "anyio_backend" in request.fixturenames
    if mark is not None and by_anyio:
        raise _failure(f"{name} is for both pytest-asyncio and anyio; set asyncio_mode = strict")
    if by_anyio:
        if request.getfixturevalue("anyio_backend_name") != "asyncio":
            raise _failure(f"{name} runs on trio; let the fixture anyio_backend return 'asyncio'")
        return "anyio"
    if mark is None or _asyncio_plugin(request.config) is None:
        raise _failure(f"{name} is run by no async plugin; use pytest-asyncio or anyio, {_ALONE}")
    return _loop_scope(mark, request.config)


def _loop_scope(mark: pytest.Mark, config: pytest.Config) -> str:
    """Return the loop scope of a test of pytest-asyncio, as pytest-asyncio works it out."""
    chosen = mark.kwargs.get("loop_scope") or mark.kwargs.get("scope")
    with suppress(ValueError):  # the option is unknown before pytest-asyncio 0.26
        chosen = chosen or config.getini("asyncio_default_test_loop_scope")
    return chosen or "function"


def _asyncio_plugin(config: pytest.Config) -> Any:
    """Return pytest-asyncio, under the name of its entry point or that of `-p`."""
    manager = config.pluginmanager
    return manager.get_plugin("asyncio") or manager.get_plugin("pytest_asyncio.plugin")


def _failure(message: str) -> BaseException:
    """One line in the report, without a traceback."""
    return pytest.fail.Exception(message, pytrace=False)
