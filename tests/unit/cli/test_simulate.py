"""`simulate`: a simulator for people and other programs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import aiohttp
import pytest
from clock import ClockLoop

from presence_async import cli
from presence_async.cli import simulate
from presence_async.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

SYSTEM = "/api/v2/systempresences"
ANNOUNCED = {"base_url", "login_url", "streaming_url", "client_id", "client_secret", "user_ids"}


def options(*words: str) -> Any:
    """Parsed options of a command line."""
    return cli._parser().parse_args(["simulate", *words])


class Served:
    """A running `simulate` and a session to ask it."""

    def __init__(self, announcement: Any, session: aiohttp.ClientSession) -> None:
        self.announcement = announcement
        self._session = session
        self.token = "none"

    async def login(self) -> Any:
        """Take a token, and return what came with it."""
        pair = f"{self.announcement['client_id']}:{self.announcement['client_secret']}"
        headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        url = f"{self.announcement['login_url']}/oauth/token"
        form = {"grant_type": "client_credentials"}
        async with self._session.post(url, data=form, headers=headers) as answer:
            fields = await answer.json()
        self.token = fields["access_token"]
        return fields

    async def get(self, path: str = SYSTEM) -> int:
        """The status of a GET."""
        url = self.announcement["base_url"] + path
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self._session.get(url, headers=headers) as answer:
            return answer.status

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of the control endpoint."""
        url = self.announcement["control_url"] + path
        async with self._session.request(method, url, json=body) as answer:
            assert answer.status < 300
            return await answer.json()


Serve: TypeAlias = "Callable[..., contextlib.AbstractAsyncContextManager[Served]]"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Serve:
    """Run `simulate` with some options; interrupt it at the end without a signal."""

    @contextlib.asynccontextmanager
    async def running(*words: str) -> AsyncIterator[Served]:
        interrupted = asyncio.Event()
        monkeypatch.setattr(simulate, "_interruption", lambda: interrupted)
        serving = asyncio.create_task(simulate.run(options(*words)))
        printed = ""
        while "\n" not in printed:
            await asyncio.sleep(0.01)
            printed += capsys.readouterr().out
        try:
            async with aiohttp.ClientSession() as session:
                yield Served(json.loads(printed), session)
        finally:
            interrupted.set()
            assert await serving == 0

    return running


async def test_it_announces_itself(serve: Serve):
    """The one line on standard output is JSON with all that is needed; no control endpoint."""
    async with serve("--users", "250") as served:
        assert set(served.announcement) == ANNOUNCED
        assert len(served.announcement["user_ids"]) == 100
        assert "control_url" not in served.announcement


async def test_the_organization(serve: Serve):
    """Size, seed and client are as chosen, and the same seed is the same organization."""
    words = ("--users", "7", "--seed", "3", "--client-id", "my client")
    async with serve(*words) as served:
        same = Simulator(users=7, seed=3)
        assert served.announcement["user_ids"] == list(same.user_ids)
        assert served.announcement["client_id"] == "my client"
        assert served.announcement["client_secret"] == same.client_secret
        await served.login()
        assert await served.get() == 200


async def test_ports(serve: Serve):
    """Each of the ports can be chosen."""
    free = []
    for _ in range(3):
        with socket.create_server(("127.0.0.1", 0)) as unused:
            free.append(unused.getsockname()[1])
    api, login, control = free
    async with serve(
        *("--port", str(api), "--login-port", str(login), "--control-port", str(control))
    ) as served:
        assert served.announcement["base_url"] == f"http://127.0.0.1:{api}"
        assert served.announcement["login_url"] == f"http://127.0.0.1:{login}"
        assert served.announcement["control_url"] == f"http://127.0.0.1:{control}"


async def test_tokens_and_limits(serve: Serve):
    """Lifetime of tokens, rate limit and the kind of window are as chosen."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    words = ("--token-lifetime", "90", "--rate-limit", "1", "--rate-window", "fixed")
    async with serve(*words) as served:
        loop.advance(59 - loop.time() % 60)
        assert (await served.login())["expires_in"] == 90
        assert [await served.get(), await served.get()] == [200, 429]
        loop.advance(2)
        assert await served.get() == 200
        loop.advance(90)
        assert await served.get() == 401


async def test_no_limit(serve: Serve):
    """A rate limit of 0 is none."""
    async with serve("--rate-limit", "0") as served:
        await served.login()
        assert {await served.get() for _ in range(301)} == {200}


async def test_switches(serve: Serve):
    """Switches are set, several of them."""
    words = ("--switch", "bulk_get_no_ids=empty", "--switch", "unknown_user_status=400")
    async with serve(*words, "--control-port", "0") as served:
        switches = await served.control("GET", "/switches")
        assert switches["bulk_get_no_ids"] == "empty"
        await served.login()
        assert await served.get("/api/v2/users/presences/purecloud/bulk") == 200


async def test_faults_and_latency(serve: Serve, tmp_path: Path):
    """Faults strike first, whenever they were armed; every other answer takes its time."""
    file = tmp_path / "faults.json"
    fault = {"route": f"GET {SYSTEM}", "status": 503}
    file.write_text(json.dumps([fault]), encoding="utf-8")
    loop = asyncio.get_running_loop()
    async with serve("--faults", str(file), "--latency", "2-3", "--control-port", "0") as served:
        before = loop.time()
        assert await served.get() == 503
        assert loop.time() - before < 1
        await served.login()
        assert 2 <= loop.time() - before <= 3
        assert await served.get() == 200
        assert 4 <= loop.time() - before <= 6
        assert await served.control("GET", "/faults") == []
        await served.control("POST", "/faults", {"status": 418})
        assert [await served.get(), await served.get()] == [418, 200]


async def test_the_control_endpoint(serve: Serve, capsys: pytest.CaptureFixture[str]):
    """It is opened on request, scripts the simulator, and is no part of the summary."""
    async with serve("--control-port", "0") as served:
        assert await served.control("GET", "/") == served.announcement
        await served.control("POST", "/faults", {"status": 503, "times": 2})
        assert await served.get() == 503
        capsys.readouterr()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("served 1 requests in ")
    assert lines[1:] == [
        f"        1  GET {SYSTEM}: 1 x 503",
        "faults that struck",
        f"        1  status=503 on GET {SYSTEM}",
    ]


async def test_the_log(serve: Serve, capsys: pytest.CaptureFixture[str]):
    """With --log each request is a line on standard error, else none is."""
    async with serve() as served:
        await served.get()
        assert capsys.readouterr().err == ""
    async with serve("--log", "--latency", "1") as served:
        await served.get()
        assert f" GET {SYSTEM} 401 1000.0 ms no token\n" in capsys.readouterr().err
    assert "faults" not in capsys.readouterr().err


@pytest.mark.real_loop
@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
async def test_signals(name: signal.Signals, capsys: pytest.CaptureFixture[str]):
    """SIGINT and SIGTERM end it cleanly, with the summary."""
    serving = asyncio.create_task(simulate.run(options()))
    printed = ""
    while "\n" not in printed:
        await asyncio.sleep(0.01)
        printed += capsys.readouterr().out
    os.kill(os.getpid(), name)
    assert await serving == 0
    assert "served 0 requests in " in capsys.readouterr().err
    for handled in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(handled)


def test_it_runs_as_a_program(tmp_path: Path):
    """Ctrl-C ends the process with its summary and 0, whatever its requests are doing."""
    file = tmp_path / "faults.json"
    file.write_text('{"stall": true, "skip": 1}', encoding="utf-8")
    words = ["simulate", "--users", "1", "--log", "--control-port", "0", "--faults", str(file)]
    with subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", "presence_async", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdout is not None
        announcement = json.loads(process.stdout.readline())
        api = http.client.HTTPConnection(announcement["base_url"].removeprefix("http://"))
        api.request("GET", SYSTEM)
        assert api.getresponse().read()
        api.request("GET", SYSTEM)
        control = http.client.HTTPConnection(
            announcement["control_url"].removeprefix("http://"), timeout=30
        )
        counts = [{"unanswered": 0}]
        while not counts[0]["unanswered"]:
            control.request("GET", "/counts")
            counts = json.loads(control.getresponse().read())
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
        api.close()
        control.close()
    assert process.returncode == 0
    assert rest == ""
    assert f" GET {SYSTEM} 401 " in errors
    assert f" GET {SYSTEM} no answer (fault: stall=true) " in errors
    assert f"        1  stall=true on GET {SYSTEM}\n" in errors
    assert "served 2 requests in " in errors
    assert f"        2  GET {SYSTEM}: 1 x 401, 1 x no answer\n" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("option", ["--port", "--login-port", "--streaming-port", "--control-port"])
def test_a_port_in_use(option: str, capsys: pytest.CaptureFixture[str]):
    """A port that is taken is one clear line and exit code 1; no announcement is made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["simulate", option, str(port)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("presence_async: cannot listen: ")
    assert str(port) in said.err
    assert "address already in use" in said.err
    assert said.err.count("\n") == 1


def test_an_unknown_host(capsys: pytest.CaptureFixture[str]):
    """A host that does not exist is one clear line and exit code 1."""
    assert cli.main(["simulate", "--host", "256.0.0.1"]) == 1
    assert "presence_async: cannot listen: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[", "malformed JSON"),
        ('[{"status": 503}, {"statsu": 503}]', "[1].statsu is unknown"),
        ('{"route": "GET /"}', "route is unknown"),
        ('{"times": 0}', "times must be"),
    ],
)
def test_bad_faults(content: str, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """A file that holds no faults is exit code 2, with the file's name and what is wrong."""
    file = tmp_path / "faults.json"
    file.write_text(content, encoding="utf-8")
    assert cli.main(["simulate", "--faults", str(file)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"presence_async: --faults {file}: ")
    assert words in said


def test_a_missing_file_of_faults(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """A file that cannot be read is said, not traced."""
    assert cli.main(["simulate", "--faults", str(tmp_path / "none")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_the_options_that_are_not_given():
    """Without options there are 50 users, 300 requests a minute, and no trouble."""
    chosen = vars(options())
    assert chosen == {
        "command": "simulate",
        "host": "127.0.0.1",
        "port": 0,
        "login_port": 0,
        "streaming_port": 0,
        "one_port": False,
        "control_port": None,
        "users": 50,
        "seed": 0,
        "client_id": None,
        "token_lifetime": 86400,
        "rate_limit": 300,
        "rate_window": "rolling",
        "switches": [],
        "faults": None,
        "latency": None,
        "log": False,
    }


def test_the_help_names_everything(capsys: pytest.CaptureFixture[str]):
    """`simulate --help` has every option, and every resource of the control endpoint."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name in vars(options()).keys() - {"command", "switches"}:
        assert f"--{name.replace('_', '-')}" in text
    for resource in ("/faults", "/requests", "/counts", "/tokens", "/users", "/channels"):
        assert resource in text


async def test_one_port(serve: Serve):
    """The login server can share the API's port."""
    async with serve("--one-port") as served:
        assert served.announcement["login_url"] == served.announcement["base_url"]
        await served.login()
        assert await served.get() == 200


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--one-port", "--login-port", "1"], "login_port"),
        (["--switch", "heartbeat_seconds=0"], "heartbeat_seconds must be"),
    ],
)
def test_options_that_cannot_be(words: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    """What the simulator refuses is exit code 2 and one clear line."""
    assert cli.main(["simulate", *words]) == 2
    assert said in capsys.readouterr().err


async def test_the_control_endpoint_listens_where_the_others_do(
    serve: Serve, caplog: pytest.LogCaptureFixture
):
    """It has no credentials, so beyond this machine it warns for itself."""
    async with serve("--host", "0.0.0.0", "--control-port", "0") as served:  # noqa: S104
        assert served.announcement["control_url"].startswith("http://0.0.0.0:")
    assert caplog.text.count("0.0.0.0") >= 2  # noqa: S104
