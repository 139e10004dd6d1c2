"""The DAGs call the command line and nothing else; in a real Airflow they import, run, fail and tell as they should.

The slow ones need the environment of `make airflow` (or its `bin` in SPARKTRENDS_AIRFLOW) and a stub for the product:
what the commands do is tested elsewhere.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from ops.test_jobs import PARTS
from sparktrends.ops import compose
from sparktrends.ops.cli import main
from sparktrends.sources import PROVIDERS

ROOT = Path(__file__).resolve().parents[2]
DAGS = ROOT / "deploy" / "airflow" / "dags"
FILES = sorted(DAGS.glob("*.py"))
NAMES = [file.stem for file in FILES if file.stem != "sparktrends_steps"]
AIRFLOW = Path(os.environ.get("SPARKTRENDS_AIRFLOW", ROOT / ".venv-airflow" / "bin")) / "airflow"
DAY = "2024-11-21"
PAUSED = "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"

needs_airflow = pytest.mark.skipif(not AIRFLOW.exists(), reason="no Airflow here: `make airflow` installs one")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dag_imports_nothing_of_ours(file: Path) -> None:
    nodes = list(ast.walk(ast.parse(file.read_text())))
    named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in named} <= {*sys.stdlib_module_names, "airflow", "sparktrends_steps"}


def test_every_task_calls_a_command_that_there_is() -> None:
    called = {words for file in FILES for words in _commands(file)}
    assert ("check",) in {words[:1] for words in called}
    assert {words for words in called if not _exists(words)} == set()


def test_airflow_does_every_part_of_the_daily_work() -> None:
    called = {words[1] for file in FILES for words in _commands(file) if words[:1] == ("batch",)}
    assert {*PARTS} - called == set()


def test_each_provider_is_asked_by_one_task_at_a_time() -> None:
    daily = (DAGS / "sparktrends_daily.py").read_text()
    asked = re.findall(r'"SPARKTRENDS_DAILY_SOURCES", "([^"]+)"', daily)
    assert [set(names.split()) for names in asked] == [set(PROVIDERS)]
    pools = json.loads((DAGS.parent / "pools.json").read_text())
    places = {name: pool["slots"] for name, pool in pools.items()}
    assert places == {f"sparktrends_{name}": 1 for name in (*PROVIDERS, "spark")}


@pytest.mark.parametrize("asked", ["", "True"])
def test_a_new_dag_runs_by_itself_unless_a_person_says_that_it_shall_not(tmp_path: Path, asked: str) -> None:
    script = tmp_path / "deploy" / "airflow" / "standalone"
    script.parent.mkdir(parents=True)
    script.write_text((DAGS.parent / "standalone").read_text())
    airflow = tmp_path / ".venv-airflow" / "bin" / "airflow"
    airflow.parent.mkdir(parents=True)
    airflow.write_text(f'#!/bin/sh\necho "$1 ${PAUSED}"\n')
    airflow.chmod(0o755)
    env = {"PATH": os.environ["PATH"], **({PAUSED: asked} if asked else {})}
    said = subprocess.run(["sh", script], env=env, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[-1] == f"standalone {asked or 'False'}"
    assert compose.base()["services"]["airflow"]["environment"][PAUSED] == f"${{{PAUSED}:-False}}"
    assert f"#{PAUSED}=True\n" in compose.files()[".env.example"]


def test_every_option_of_a_task_is_one_of_its_command() -> None:
    for file in FILES:
        for words, options in _options(file):
            known = {name for option in _command(words).params for name in option.opts}
            assert options - known == set(), (file.name, words)


def _options(file: Path) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """The fixed words of each step, and the options in what is written out of its command and of what it is put in."""
    tree = ast.parse(file.read_text())
    texts = {
        target.id: ast.unparse(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "step":
            fields = [field.id for field in ast.walk(node.args[1]) if isinstance(field, ast.Name)]
            written = " ".join([ast.unparse(node.args[1]), *(texts.get(field, "") for field in fields)])
            yield _words(node.args[1]), set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", written))


def _commands(file: Path) -> Iterator[tuple[str, ...]]:
    """The fixed words before the first option or field of each ``step(name, command)``."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "step":
            yield _words(node.args[1])


def _words(command: ast.expr) -> tuple[str, ...]:
    fixed = command.values[0] if isinstance(command, ast.JoinedStr) else command
    assert isinstance(fixed, ast.Constant)
    words = str(fixed.value).split()
    return tuple(words[: next((n for n, word in enumerate(words) if word.startswith("-")), len(words))])


def _exists(words: Sequence[str]) -> bool:
    try:
        return _command(words) is not None
    except LookupError:
        return False


def _command(words: Sequence[str]) -> click.Command:
    """The command that these words call; raises LookupError when there is none."""
    command: click.Command = main
    for word in words:
        if not isinstance(command, click.Group):
            break  # an argument
        found = command.get_command(click.Context(command), word)
        if found is None:
            raise LookupError(word)
        command = found
    return command


def _as_standalone_has_it(name: str) -> str:
    """What `make airflow` sets it to for who says nothing."""
    (value,) = re.findall(rf"\b{name}=\"\$\{{{name}:-(\w+)\}}\"", (DAGS.parent / "standalone").read_text())
    return str(value)


@dataclass(frozen=True)
class Scheduler:
    """A real Airflow with a home of its own, and what the stub of the product was called with."""

    folder: Path
    dags: Path = DAGS

    @property
    def log(self) -> Path:
        return self.folder / "called"

    @property
    def env(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{AIRFLOW.parent}:{os.environ['PATH']}",
            "AIRFLOW_HOME": str(self.folder / "home"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            PAUSED: _as_standalone_has_it(PAUSED),
            "SPARKTRENDS": str(self.folder / "sparktrends"),
            "SPARKTRENDS_FOLDER": str(self.folder),
        }

    def stub(self, failing: str = "nothing") -> None:
        """A product that writes down how it is called, fails where it should, and is slow when told so."""
        script = self.folder / "sparktrends"
        script.write_text(
            f'#!/bin/sh\necho "$*" >> {self.log}\n'
            f'[ "$PWD" = {self.folder} ] || exit 9\n'  # where a project has its settings
            f'case "$*" in slowly*) sleep 30;; "{failing}"*) exit 1;; esac\n'
        )
        script.chmod(0o755)

    def airflow(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([AIRFLOW, *words], env=self.env, capture_output=True, text=True, timeout=800)

    def called(self) -> list[str]:
        """What the product was called with since the last time."""
        said = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return said


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Scheduler:
    made = Scheduler(tmp_path_factory.mktemp("airflow"))
    made.stub()
    assert made.airflow("db", "migrate").returncode == 0
    imported = made.airflow("pools", "import", str(DAGS.parent / "pools.json"))
    assert "Uploaded 6 pool(s)" in imported.stdout + imported.stderr
    return made


@needs_airflow
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_dag_imports_in_a_real_airflow(scheduler: Scheduler) -> None:
    scheduler.airflow("dags", "reserialize")
    listed = scheduler.airflow("dags", "list", "-o", "plain").stdout
    assert [name for name in NAMES if name not in listed] == []
    assert "No data found" in scheduler.airflow("dags", "list-import-errors").stdout


@needs_airflow
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_goes_well_ends_its_alerts(scheduler: Scheduler, name: str) -> None:
    scheduler.stub()
    done = scheduler.airflow("dags", "test", name, DAY)
    assert done.returncode == 0, done.stderr[-2000:]
    called = scheduler.called()
    assert f"alerts resolve --subject {name} --rule ops.airflow" in called
    assert not [words for words in called if words.startswith(("restart", "alerts raise"))]


@needs_airflow
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_daily_run_fills_its_logical_date_in_order(scheduler: Scheduler) -> None:
    scheduler.stub()
    scheduler.airflow("dags", "test", "sparktrends_daily", DAY)
    called = scheduler.called()
    fetches = {f"batch fetch --if-key --source {s} --date {DAY}" for s in ("yahoo", "binance", "finnhub")}
    assert fetches <= set(called[:5])
    assert [words.split()[1] for words in called[5:12]] == [
        "load", "flatten", "sentiment", "trends", "profiles", "quality", "report",
    ]  # fmt: skip


@needs_airflow
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_is_down_is_started_again_and_told(scheduler: Scheduler) -> None:
    scheduler.stub(failing="check stream")
    scheduler.airflow("dags", "test", "sparktrends_watch", DAY)
    called = scheduler.called()
    assert called.count("restart stream") == 1
    assert not [words for words in called if words in ("restart kafka", "restart ingest")]
    assert [words for words in called if "stream did not do its work and was started again" in words]
    assert [words for words in called if words.startswith("alerts raise sparktrends_watch failed")]


_PLANTED = """
from datetime import UTC, datetime, timedelta
from airflow.sdk import DAG
from sparktrends_steps import common, step

for name, limit in (("planted_late", 5), ("planted_in_time", 3600)):
    options = {**common(name, timedelta(seconds=limit)), "dagrun_timeout": None}
    with DAG(**options, schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC)) as globals()[name]:
        step("work", "slowly")
"""


@needs_airflow
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_late_run_fires_one_alert_and_one_in_time_none(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "sparktrends_steps.py").write_text((DAGS / "sparktrends_steps.py").read_text())
    (dags / "planted.py").write_text(_PLANTED)
    made = Scheduler(tmp_path, dags)
    made.stub()
    with _standalone(made):
        for name in ("planted_late", "planted_in_time"):
            _until(lambda name=name: made.airflow("dags", "trigger", name).returncode == 0, 240)  # type: ignore[misc]
        over = "alerts resolve --subject planted_in_time late --rule ops.airflow"
        _until(lambda: made.log.exists() and over in made.log.read_text(), 300)
        _until(lambda: "alerts raise planted_late" in made.log.read_text(), 60)
    raised = [words for words in made.called() if words.startswith("alerts raise")]
    assert len(raised) == 1
    assert "planted_late is not done" in raised[0]


class _standalone:
    """`airflow standalone` for a while; the whole group of processes ends with it."""

    def __init__(self, made: Scheduler) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._env = {
            **made.env,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        }
        self._log = made.folder / "standalone.log"

    def __enter__(self) -> None:
        """Start it, and wait for the server that tasks report to."""
        with open(self._log, "w") as log:
            self._process = subprocess.Popen(
                [AIRFLOW, "standalone"], env=self._env, stdout=log, stderr=log, start_new_session=True
            )
        _until(self._answers, 240)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._env['AIRFLOW__API__PORT']}/api/v2/version") as said:
                return bool(said.status == 200)
        except OSError:
            return False

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _until(holds: object, seconds: float) -> None:
    """Ask until it is so; AssertionError when it is not within that time."""
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(1)
