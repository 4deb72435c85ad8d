"""The pytest plugin, in suites of other people: with each async plugin, and without any.

The suites name their plugins, for nothing is installed here. Most run in this process, where
coverage is counted; what the plugin imports is asked of a fresh one.
"""

from __future__ import annotations

import re
import textwrap
import tomllib
from pathlib import Path
from typing import Protocol

import pytest

import presence_async
from presence_async import pytest_plugin

ROOT = Path(presence_async.__file__).parent.parent
ASYNCIO, ANYIO = "pytest_asyncio.plugin", "anyio.pytest_plugin"
# The body of a test that reads one presence, and is the only one to ask for a token.
READS = """
            presence = await presence_client.user_presences.get(presence_simulator.user_ids[0])
            assert presence.source == "PURECLOUD"
            assert presence_simulator.token_requests == 1
"""


class Suite(Protocol):
    """Runs one test file with some plugins; `options` are of the ini file."""

    def __call__(self, source: str, *plugins: str, **options: str) -> pytest.RunResult:
        """Run it."""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A foreign suite with strict markers, where warnings are errors."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(source: str, *plugins: str, **options: str) -> pytest.RunResult:
        if ASYNCIO in plugins:
            options.setdefault("asyncio_default_fixture_loop_scope", "function")
        pytester.makepyfile(test_foreign=source)
        pytester.makeini("\n".join(["[pytest]", *(f"{k} = {v}" for k, v in options.items())]))
        named = [f"-p{name}" for name in (pytest_plugin.__name__, *plugins)]
        return pytester.runpytest("--strict-markers", "-Werror", *named)

    return run


def said(result: pytest.RunResult) -> str:
    """What a report says of the only failure, in one line."""
    result.assert_outcomes(errors=1)
    report = result.stdout.str()
    found = re.search(r"(?m)^_+ ERROR at setup of .*\n(.*)\n=+ short test summary", report)
    assert found is not None
    return found[1]


def test_auto_mode_needs_no_mark(suite: Suite) -> None:
    """In the auto mode of pytest-asyncio both fixtures work in a bare async test."""
    source = f"""
        async def test_it(presence_simulator, presence_client):{READS}
    """
    suite(source, ASYNCIO, asyncio_mode="auto").assert_outcomes(passed=1)


def test_strict_mode_needs_the_mark_of_pytest_asyncio(suite: Suite) -> None:
    """In strict mode the mark of a test is enough; the fixtures need nothing besides."""
    source = f"""
        import pytest

        @pytest.mark.asyncio
        async def test_it(presence_simulator, presence_client):{READS}
    """
    suite(source, ASYNCIO, asyncio_mode="strict").assert_outcomes(passed=1)


def test_the_fixtures_run_on_the_loop_that_the_mark_names(suite: Suite) -> None:
    """Whichever scope the loop of a test has, simulator and client are on it."""
    source = """
        import pytest
"""
    for scope in ("function", "class", "module", "package", "session"):
        source += f"""
        @pytest.mark.asyncio(loop_scope="{scope}")
        async def test_{scope}(presence_simulator, presence_client):{READS}
        """
    suite(textwrap.dedent(source), ASYNCIO).assert_outcomes(passed=5)


def test_the_fixtures_run_on_the_default_loop(suite: Suite) -> None:
    """Likewise when the scope comes from the options of pytest-asyncio."""
    source = f"""
        async def test_it(presence_simulator, presence_client):{READS}
    """
    options = {"asyncio_mode": "auto", "asyncio_default_test_loop_scope": "session"}
    suite(source, ASYNCIO, **options).assert_outcomes(passed=1)


@pytest.mark.parametrize("plugins", [(ANYIO,), (ANYIO, ASYNCIO), (ASYNCIO, ANYIO)])
def test_a_test_of_anyio_runs_on_asyncio(suite: Suite, plugins: tuple[str, ...]) -> None:
    """The mark of anyio works alone, and beside the strict mode of pytest-asyncio."""
    source = f"""
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_it(presence_simulator, presence_client):{READS}
    """
    suite(source, *plugins).assert_outcomes(passed=1)


def test_both_plugins_serve_their_own_tests(suite: Suite) -> None:
    """A suite may hold tests of both plugins; each has its simulator on its own loop."""
    source = f"""
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_one(presence_simulator, presence_client):{READS}

        @pytest.mark.asyncio
        async def test_other(presence_simulator, presence_client):{READS}
    """
    suite(source, ANYIO, ASYNCIO).assert_outcomes(passed=2)


def test_fixtures_of_others_build_on_ours(suite: Suite) -> None:
    """An async fixture of the suite may talk to the simulator, before and after its test."""
    source = """
        import pytest

        @pytest.fixture
        async def names(presence_client):
            yield [user.name async for user in presence_client.users.list()]
            await presence_client.definitions.list()

        async def test_it(names):
            assert len(names) == 50
    """
    suite(source, ASYNCIO, asyncio_mode="auto").assert_outcomes(passed=1)


def test_a_property_test_may_use_them(suite: Suite) -> None:
    """Hypothesis hides the async function of a test; it is found all the same."""
    source = """
        from hypothesis import HealthCheck, given, settings, strategies

        @given(number=strategies.integers(0, 49))
        @settings(max_examples=3, deadline=None, database=None,
                  suppress_health_check=[HealthCheck.function_scoped_fixture])
        async def test_it(presence_client, presence_simulator, number):
            await presence_client.user_presences.get(presence_simulator.user_ids[number])
    """
    suite(source, ASYNCIO, asyncio_mode="auto").assert_outcomes(passed=1)


def test_the_closest_marker_wins(suite: Suite) -> None:
    """Arguments of the test win over its class's, those over the module's; the rest is kept."""
    source = """
        import pytest

        pytestmark = [
            pytest.mark.presence_simulator(users=7, seed=1, client_id="module"),
            pytest.mark.presence_client(timeout=5, retries=1),
        ]

        @pytest.mark.presence_simulator(users=8, seed=2)
        class TestThem:
            @pytest.mark.presence_simulator(users=9)
            @pytest.mark.presence_client(retries=0)
            async def test_it(self, presence_simulator, presence_client):
                from presence_async.simulator import Simulator

                like = Simulator(users=9, seed=2)
                assert presence_simulator.user_ids == like.user_ids
                assert presence_simulator.client_id == "module"
                assert presence_client._options.timeout == 5
                assert presence_client._options.retries == 0
    """
    suite(source, ASYNCIO, asyncio_mode="auto").assert_outcomes(passed=1)


def test_a_marker_may_replace_what_the_client_gets_from_the_simulator(suite: Suite) -> None:
    """Credentials of the marker are used instead of the simulator's own."""
    source = """
        import pytest
        from presence_async import AuthenticationError, ClientCredentials

        @pytest.mark.presence_client(auth=ClientCredentials("nobody", "nothing"))
        async def test_it(presence_client):
            with pytest.raises(AuthenticationError):
                await presence_client.definitions.list()
    """
    suite(source, ASYNCIO, asyncio_mode="auto").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "line"),
    [
        ("presence_simulator(user=5, hots='')", "presence_simulator has no argument hots, user"),
        ("presence_simulator(50)", "presence_simulator takes keyword arguments only, not 50"),
        (
            "presence_simulator(users='x')",
            "presence_simulator(users=...): users must be a number from 0 on",
        ),
        (
            "presence_simulator(switches={})",
            "presence_simulator(switches=...): switches must be Switches, not dict",
        ),
        ("presence_client(retry=0)", "presence_client has no argument retry"),
        ("presence_client(retries=-1)", "presence_client(retries=...): retries must be a whole"),
    ],
)
def test_a_wrong_marker_is_told_with_its_argument(suite: Suite, marker: str, line: str) -> None:
    """An argument that does not exist or cannot work is named, in one line."""
    source = f"""
        import pytest

        @pytest.mark.{marker}
        async def test_it(presence_client):
            pass
    """
    assert said(suite(source, ASYNCIO, asyncio_mode="auto")).startswith(f"@pytest.mark.{line}")


def test_a_marker_never_shows_values(suite: Suite) -> None:
    """A proxy with a password in a wrong marker is named and not shown."""
    source = """
        import pytest

        @pytest.mark.presence_client(proxy="http://me:canary@127.0.0.1", pool_size=0)
        async def test_it(presence_client):
            pass
    """
    line = said(suite(source, ASYNCIO, asyncio_mode="auto"))
    assert line.startswith("@pytest.mark.presence_client(proxy=..., pool_size=...): ")
    assert "canary" not in line


@pytest.mark.parametrize("fixture", ["presence_simulator", "presence_client"])
@pytest.mark.parametrize("plugins", [(), (ASYNCIO,), (ANYIO,)])
def test_a_synchronous_test_is_told_what_to_do(
    suite: Suite, fixture: str, plugins: tuple[str, ...]
) -> None:
    """Without an event loop in the test the simulator could not answer it."""
    line = said(suite(f"def test_it({fixture}): pass", *plugins))
    assert line == (
        f"{fixture}: test_it is no async test; make it one, "
        "or run `python -m presence_async simulate` in a subprocess"
    )


@pytest.mark.parametrize("plugins", [(), (ASYNCIO,), (ANYIO,)])
def test_an_async_test_that_nobody_runs_is_told_what_to_do(
    suite: Suite, plugins: tuple[str, ...]
) -> None:
    """No async plugin, or one that leaves unmarked tests alone."""
    line = said(suite("async def test_it(presence_client): pass", *plugins))
    assert line == (
        "presence_client: test_it is run by no async plugin; use pytest-asyncio or anyio, "
        "or run `python -m presence_async simulate` in a subprocess"
    )


ON_ANYIO = """
    import pytest

    @pytest.fixture
    def anyio_backend():
        return "{backend}"

    @pytest.mark.anyio
    async def test_it(presence_client):
        pass
"""


def test_two_plugins_for_one_test_are_refused(suite: Suite) -> None:
    """The auto mode of pytest-asyncio takes the tests of anyio too, on another loop."""
    source = ON_ANYIO.format(backend="asyncio")
    line = said(suite(source, ANYIO, ASYNCIO, asyncio_mode="auto"))
    assert line == (
        "presence_client: test_it is for both pytest-asyncio and anyio; set asyncio_mode = strict"
    )


def test_trio_is_refused(suite: Suite) -> None:
    """Simulator and client need asyncio."""
    line = said(suite(ON_ANYIO.format(backend="trio"), ANYIO))
    assert line == (
        "presence_client: test_it runs on trio; let the fixture anyio_backend return 'asyncio'"
    )


def test_nothing_is_left_after_the_test(suite: Suite, pytester: pytest.Pytester) -> None:
    """Client and simulator are closed, also after a failure; no task, socket or timer is left."""
    clock = Path(__file__).parent.parent / "clock.py"
    pytester.makepyfile(foreign_clock=clock.read_text(encoding="utf-8"))
    source = """
        import asyncio
        import pytest
        from foreign_clock import check_no_leftovers
        from presence_async import ClosedError

        kept = []

        @pytest.fixture(autouse=True)
        async def nothing_left():
            yield
            for simulator, client in kept:
                with pytest.raises(RuntimeError, match="not running"):
                    simulator.base_url
                with pytest.raises(ClosedError):
                    await client.definitions.list()
            await asyncio.sleep(0)
            check_no_leftovers(asyncio.get_running_loop())

        @pytest.mark.parametrize("fails", [False, True])
        async def test_it(presence_simulator, presence_client, fails):
            kept.append((presence_simulator, presence_client))
            await presence_client.definitions.list()
            assert not fails
    """
    suite(source, ASYNCIO, asyncio_mode="auto").assert_outcomes(passed=1, failed=1)


def test_both_markers_are_registered(suite: Suite, pytester: pytest.Pytester) -> None:
    """`pytest --markers` lists them with what they take."""
    result = pytester.runpytest(f"-p{pytest_plugin.__name__}", "--markers")
    for name, taker in (("simulator", "Simulator"), ("client", "PresenceClient")):
        result.stdout.fnmatch_lines(
            f"@pytest.mark.presence_{name}(**options): keyword arguments of {taker} *"
        )


def test_a_suite_that_uses_no_fixture_imports_nothing(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    """In a fresh process the plugin brings neither the client nor a dependency of ours."""
    pytester.makepyfile(
        test_imports="""
        import sys

        def test_it():
            ours = {name for name in sys.modules if name.startswith("presence_async")}
            assert ours == {"presence_async", "presence_async.pytest_plugin"}
            assert not {"aiohttp", "attr", "attrs", "cattrs", "orjson", "yarl"} & set(sys.modules)
        """
    )
    result = pytester.runpytest_subprocess(f"-p{pytest_plugin.__name__}", timeout=60)
    result.assert_outcomes(passed=1)


def test_a_suite_in_a_fresh_process_passes(suite: Suite, pytester: pytest.Pytester) -> None:
    """Nothing of this process helps: the imports of the fixtures are enough."""
    pytester.makepyfile(
        test_alone=f"""
        async def test_it(presence_simulator, presence_client):{READS}
        """
    )
    words = ["asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function"]
    options = [f"-o{word}" for word in words]
    names = [f"-p{name}" for name in (pytest_plugin.__name__, ASYNCIO)]
    result = pytester.runpytest_subprocess("-Werror", *names, *options, timeout=60)
    result.assert_outcomes(passed=1)


def test_the_entry_point_names_the_plugin() -> None:
    """Installed, pytest finds it without `-p`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"presence_async": pytest_plugin.__name__}
