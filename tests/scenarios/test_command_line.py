"""The command line as a job runner has it, against a simulator on a thread of its own.

Whatever is ended, killed, piped or run beside another is a process; where only what a command
says and its exit code count, it runs in this one.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import pytest

from presence_async import cli
from presence_async.simulator import BUILT_IN_IDS, Simulator
from presence_async.simulator.control import Control

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence

ROOT = Path(__file__).parents[2]
USERS = 600
PUT = "PUT /api/v2/users/presences/bulk"
PATIENCE = 60  # seconds of real time until something has gone wrong

pytestmark = pytest.mark.real_loop


class Command(subprocess.Popen[str]):
    """A command of ours, under way."""

    def __init__(self, *words: str, cwd: Path, out: IO[str] | None = None) -> None:
        """Standard error is a pipe, and standard output where it goes to no file."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GENESYSCLOUD_")
        }
        super().__init__(
            [sys.executable, "-m", "presence_async", *words],
            stdout=out or subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=environment | {"PYTHONPATH": str(ROOT)},
        )

    @property
    def out(self) -> IO[str]:
        """Its standard output."""
        return cast("IO[str]", self.stdout)

    def end(self) -> tuple[int, list[str], list[str]]:
        """Its exit code, and the rest of what it says."""
        out, err = self.communicate(timeout=PATIENCE)
        assert "Traceback" not in err, err
        return self.returncode, (out or "").splitlines(), err.splitlines()


class Site:
    """A running simulator and a folder with a file that moves everyone."""

    def __init__(
        self, announcement: dict[str, Any], folder: Path, said: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self._said = said
        self._control = http.client.HTTPConnection(
            announcement["control_url"].removeprefix("http://"), timeout=PATIENCE
        )
        self.announcement = announcement
        (folder / "sim.json").write_text(json.dumps(announcement), encoding="utf-8")
        self.user_ids = [user["id"] for user in self.control("GET", f"/users?limit={USERS}")]
        self.write("moves.csv", "Meal")

    def write(self, name: str, presence: str) -> None:
        """A file that moves everyone."""
        rows = [f"{user_id},{presence}\n" for user_id in self.user_ids]
        text = f"user_id,system_presence\n{''.join(rows)}"
        (self.folder / name).write_text(text, encoding="utf-8")

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of the control endpoint."""
        self._control.request(method, path, None if body is None else json.dumps(body))
        answer = self._control.getresponse().read()
        return json.loads(answer) if answer else None

    def slow(self, seconds: float) -> None:
        """From now on updates take so long."""
        self.control("POST", "/faults", {"route": PUT, "times": None, "delay": seconds})

    def updates(self) -> int:
        """How many updates have been asked for."""
        counts = self.control("GET", "/counts")
        return sum(
            one["requests"] for one in counts if f"{one['method']} {one['path_template']}" == PUT
        )

    def wait_for_updates(self, count: int) -> None:
        """Until so many have been asked for."""
        deadline = time.monotonic() + PATIENCE
        while self.updates() < count:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def showing(self, presence: str) -> int:
        """How many users show a presence."""
        users = self.control("GET", f"/users?limit={USERS}")
        return sum(
            BUILT_IN_IDS[presence] in json.dumps(user) or f'"{presence}"' in json.dumps(user)
            for user in users
        )

    @contextmanager
    def command(
        self, *words: str, simulator: str = "sim.json", out: IO[str] | None = None
    ) -> Iterator[Command]:
        """A command under way; killed if it is still there at the end."""
        with Command(*words, "--simulator", simulator, cwd=self.folder, out=out) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *words: str, simulator: str = "sim.json") -> tuple[int, list[str], list[str]]:
        """Exit code, lines of standard output, lines of standard error; in this process."""
        self._said.readouterr()
        code = cli.main([*words, "--simulator", simulator])
        out, err = self._said.readouterr()
        return code, out.splitlines(), err.splitlines()


JOB = ("bulk-update", "moves.csv", "--journal", "moves.journal", "--settling-time", "0.5")


@pytest.fixture
def site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Site]:
    """A simulator on a thread of its own, without a rate limit."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def there(work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE)

    simulator = Simulator(users=USERS, rate_limit=None)
    control = Control(simulator)
    there(simulator.start())
    there(control.start())
    monkeypatch.chdir(tmp_path)
    site = Site(control.announcement(), tmp_path, capsys)
    yield site
    site._control.close()
    there(control.aclose())
    there(simulator.aclose())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def statuses(lines: Sequence[str]) -> dict[str, int]:
    """How many results have which status."""
    found = [json.loads(line)["status"] for line in lines]
    return {status: found.count(status) for status in sorted(set(found))}


def test_poll_tells_everyone_and_then_what_changes(site: Site):
    """A change is on standard output as soon as it is seen; Ctrl-C is 130."""
    with site.command("poll", "--interval", "0.5") as process:
        first = [json.loads(process.out.readline()) for _ in range(USERS)]
        assert {one["user_id"] for one in first} == set(site.user_ids)
        user_id = site.user_ids[5]
        site.control("PUT", f"/users/{user_id}/presence", {"system_presence": "Meal"})
        change = json.loads(process.out.readline())
        assert (change["user_id"], change["kind"]) == (user_id, "changed")
        assert change["after"]["presenceDefinition"]["systemPresence"] == "Meal"
        process.send_signal(signal.SIGINT)
        assert process.end()[0] == 130


def test_watch_tells_each_change_as_it_comes(site: Site):
    """Over a notification channel, within seconds; Ctrl-C is 130."""
    with site.command("watch") as process:
        known: dict[str, Any] = {}
        while len(known) < USERS or any(one["stale"] for one in known.values()):
            told = json.loads(process.out.readline())
            known[told["user_id"]] = told
        user_id = site.user_ids[5]
        site.control("PUT", f"/users/{user_id}/presence", {"system_presence": "Meal"})
        change = json.loads(process.out.readline())
        assert (change["user_id"], change["kind"], change["stale"]) == (user_id, "changed", False)
        process.send_signal(signal.SIGINT)
        assert process.end()[0] == 130


def test_poll_ends_quietly_with_its_reader(site: Site):
    """As `poll | head -1` does: nothing on standard error but the progress."""
    with site.command("poll", "--interval", "0.2") as process:
        assert json.loads(process.out.readline())["kind"] == "first"
        process.out.close()
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert "rror" not in process.stderr.read()


def test_the_second_interrupt_ends_at_once(site: Site):
    """Also where the first cannot: nobody reads the output, and the pipe is full."""
    with site.command("poll") as process:
        process.out.readline()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == -signal.SIGINT


def test_a_job_from_its_dry_run_to_its_undo(site: Site):
    """Each step says what it did, and a job that is done is not done again."""
    assert site.run("bulk-update", "moves.csv", "--dry-run")[0] == 0
    assert site.showing("Meal") == 0
    code, out, err = site.run(*JOB, "--export", "outcomes.csv")
    assert (code, statuses(out), site.showing("Meal")) == (0, {"applied": USERS}, USERS)
    assert err[-1] == "600 items: 600 applied"
    assert len((site.folder / "outcomes.csv").read_text("utf-8").splitlines()) == USERS + 1
    code, out, err = site.run(*JOB)
    assert (code, out) == (4, [])
    assert err[-1].startswith("presence_async: the job of the journal moves.journal is finished")
    code, out, _ = site.run("bulk-update", "--undo", "--journal", "moves.journal")
    assert (code, statuses(out), site.showing("Meal")) == (0, {"applied": USERS}, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_job_that_was_ended_goes_on(site: Site, number: signal.Signals):
    """The same command line finishes it, whatever ended it; nobody is forgotten."""
    site.slow(1)
    with (site.folder / "first.jsonl").open("w") as file, site.command(*JOB, out=file) as process:
        site.wait_for_updates(6)
        process.send_signal(number)
        code, _, err = process.end()
    if number == signal.SIGKILL:
        assert code == -signal.SIGKILL
    else:
        assert code == 130
        assert err[-1].endswith("The same command goes on from there")
    site.control("DELETE", "/faults")
    assert site.showing("Meal") < USERS
    code, out, err = site.run(*JOB)
    assert (code, site.showing("Meal")) == (0, USERS)
    assert 0 < len(out) < USERS
    assert err[-1].startswith("600 items: 600 applied")
    assert site.run("bulk-update", "--journal", "moves.journal", "--resume")[0] == 0


def test_two_processes_and_two_plans(site: Site):
    """A journal that is in use, or of another file, is exit code 4; the first job finishes."""
    site.slow(2)
    with site.command(*JOB) as process:
        site.wait_for_updates(1)
        code, _, err = site.run(*JOB)
        assert (code, "in use" in err[-1]) == (4, True)
        assert process.end()[0] == 0
    site.write("moves.csv", "Busy")
    code, out, err = site.run(*JOB, "--resume")
    assert (code, out) == (4, [])
    assert "other items" in err[-1]
    assert site.showing("Meal") == USERS


def test_what_a_job_runner_has_to_look_at(site: Site):
    """Refused credentials are 1, bad rows and a bad environment 2, failed items 3."""
    wrong = json.dumps(site.announcement | {"client_secret": "not-the-secret"})
    (site.folder / "wrong.json").write_text(wrong, encoding="utf-8")
    code, out, err = site.run(*JOB, simulator="wrong.json")
    assert (code, out) == (1, [])
    assert err[-1].startswith("presence_async: ")
    assert "not-the-secret" not in " ".join(err)
    with Command(*JOB, cwd=site.folder) as process:
        code, out, err = process.end()
    assert (code, err[-1].startswith("presence_async: GENESYSCLOUD_")) == (2, True)
    assert site.run("bulk-update", "none.csv", "--dry-run")[0] == 1
    (site.folder / "bad.csv").write_text("email,system_presence\nx,Meal\n", encoding="utf-8")
    code, out, err = site.run("bulk-update", "bad.csv", "--journal", "bad.journal")
    assert (code, err[0]) == (2, "bad.csv:2: email: it is not an e-mail address")
    assert not (site.folder / "bad.journal").exists()
    site.control("POST", "/faults", {"route": PUT, "times": 1, "status": 403})
    code, out, err = site.run(*JOB)
    assert (code, statuses(out)) == (3, {"applied": USERS - 50, "rejected": 50})
    code, out, err = site.run("bulk-update", "--journal", "moves.journal", "--retry-failed")
    assert (code, statuses(out), site.showing("Meal")) == (0, {"applied": 50}, USERS)
