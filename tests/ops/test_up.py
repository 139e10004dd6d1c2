"""What `up` decides while it watches its parts: whose sentence it quotes, and when everything is stored."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sparktrends.errors import BadSetting, Terminal, Unavailable
from sparktrends.ops import endpoints
from sparktrends.ops import up as module
from sparktrends.ops.exposition import Look
from sparktrends.ops.home import Home
from sparktrends.ops.settings import load
from sparktrends.ops.stack import Stack
from sparktrends.ops.status import Status
from sparktrends.ops.supervise import Keeper, Process, Spec, bare_env
from sparktrends.ops.up import Plan, Up, _refusal


def ended(folder: Path, script: str) -> Process:
    """A part that has ended, after an earlier run of last week."""
    (folder / "stream.log").write_text("sparktrends: last week's reason\n")
    process = Process(Spec("stream", ["/bin/sh", "-c", script], folder / "stream.log", bare_env(os.environ)))
    process._popen.wait(30)
    return process


@pytest.mark.parametrize(("code", "kind"), [(1, Terminal), (2, BadSetting)])
def test_a_part_that_gives_up_is_quoted(tmp_path: Path, code: int, kind: type[Exception]) -> None:
    refusal = _refusal(ended(tmp_path, f"echo noise; echo 'sparktrends: no such rule'; exit {code}"))
    assert type(refusal) is kind
    assert str(refusal) == f"stream cannot go on: no such rule: see {tmp_path / 'stream.log'}"


def test_a_traceback_is_not_explained_by_an_old_sentence(tmp_path: Path) -> None:
    refusal = _refusal(ended(tmp_path, "echo 'Traceback (most recent call last):'; echo 'KeyError: 7'; exit 1"))
    assert isinstance(refusal, Unavailable)
    assert "last week" not in str(refusal)
    assert "it said: KeyError: 7; see" in str(refusal)


def test_processes_are_given_the_addresses_that_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Keeper, "start", lambda *_: None)
    home = Home.open(tmp_path / "home")
    settings = load({"KAFKA_BOOTSTRAP": "127.0.0.1:9094", "POSTGRES_HOST": "db", "A": "b"}, tmp_path, home.path)
    stack = SimpleNamespace(
        java=SimpleNamespace(home="/java"),
        ports={},
        keepers={"kafka": SimpleNamespace(process=None)},
        kafka="127.0.0.1:9095",
    )
    run = Up(settings, Plan(), lambda _: None, lambda _: None, lambda _: None, lambda: False)
    run._start_workers(home, cast(Stack, stack), ["stream"])
    env = run.keepers["stream"].server.spec().env
    assert (env["KAFKA_BOOTSTRAP"], env["POSTGRES_HOST"], env["A"]) == ("127.0.0.1:9095", "db", "b")


@dataclass
class Part:
    """A process as `up` sees it."""

    name: str
    exit_code: int | None = None
    uptime: float = 1.0
    pid: int = 4711
    sentences: list[str] = field(default_factory=list)

    @property
    def spec(self) -> Spec:
        return Spec(self.name, [], Path("/logs") / f"{self.name}.log", {})

    def said(self) -> list[str]:
        return ["Traceback", *self.sentences]

    def failure(self, sentence: str) -> Unavailable:
        return Unavailable(sentence)


@dataclass
class Keeping:
    """A keeper that only counts what it was asked for."""

    process: Part
    restarts: int = 0

    @property
    def server(self) -> Part:
        return self.process

    def tick(self) -> None:
        self.restarts += 1


NOTHING = cast(Stack, SimpleNamespace(keepers={}, ports={}))


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time passes where `up` sleeps, and only there; a run that does not end is ended."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert sum(slept) < 600, "it does not end"

    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: 1000 + sum(slept)))
    return slept


def watching(
    folder: Path, parts: list[Part], looks: Callable[[], Status | None], monkeypatch: pytest.MonkeyPatch, **plan: Any
) -> Status:
    """What `up` returns from watching these parts, with such figures."""
    home = Home.open(folder / "home")
    settings = load({}, folder, home.path)
    plan = {"exit_when_done": True, "parts": ("stream", "ingest"), **plan}
    run = Up(settings, Plan(**plan), lambda _: None, lambda _: None, lambda _: None, lambda: False, began=1000.0)
    run.keepers = {part.name: cast(Keeper, Keeping(part)) for part in parts}
    monkeypatch.setattr(Up, "_collect", lambda *_, **__: looks())
    return run._watch(home, NOTHING, Status(), Look(home.path))


def test_only_figures_taken_after_the_end_of_ingest_say_that_all_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ticks: list[float]
) -> None:
    ingest = Part("ingest")
    taken = iter((Status(behind=50), None, Status(behind=50), None, Status(behind=20, trades=30), Status(trades=50)))

    def look() -> Status | None:
        if ingest.exit_code is None:
            # Published and ended right behind a look that saw an empty log.
            ingest.exit_code = 0
            return Status(behind=0)
        return next(taken)

    assert watching(tmp_path, [Part("stream"), ingest], look, monkeypatch).trades == 50


def test_a_stream_that_takes_its_time_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ticks: list[float]
) -> None:
    def look() -> Status:
        return Status(behind=50) if sum(ticks) < 300 else Status(trades=50)

    parts = [Part("stream"), Part("ingest", exit_code=0)]
    assert watching(tmp_path, parts, look, monkeypatch).trades == 50


def test_a_run_with_a_time_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ticks: list[float]) -> None:
    parts = [Part("stream"), Part("ingest", exit_code=0)]
    assert watching(tmp_path, parts, lambda: Status(behind=50), monkeypatch, for_s=20.0).behind == 50
    assert 20 < sum(ticks) < 21


@pytest.mark.parametrize("uptime", [5.0, 300.0])
def test_what_the_stream_refuses_ends_a_run_that_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ticks: list[float], uptime: float
) -> None:
    stream = Part("stream", exit_code=1, uptime=uptime, sentences=["sparktrends: raw.trades[0] is trimmed"])
    with pytest.raises(Terminal, match=r"stream cannot go on: raw\.trades\[0\] is trimmed: see /logs/stream\.log"):
        watching(tmp_path, [stream, Part("ingest", exit_code=0)], lambda: Status(behind=50), monkeypatch)


@pytest.mark.parametrize("sentences", [[], ["sparktrends: raw.trades[0] is trimmed"]])
def test_a_stream_that_ran_for_long_is_started_again_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ticks: list[float], sentences: list[str]
) -> None:
    stream = Part("stream", exit_code=1, uptime=300.0, sentences=sentences)
    plan = {"for_s": 5.0, "exit_when_done": not sentences}
    watching(tmp_path, [stream, Part("ingest", exit_code=0)], lambda: Status(behind=50), monkeypatch, **plan)


@pytest.mark.parametrize("when", ["while it starts", "when it has started"])
def test_an_end_that_is_asked_for_before_its_parts_are_started_starts_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    home, over, ended = Home.open(tmp_path / "home"), threading.Event(), list[str]()

    @contextmanager
    def starting(*_: object) -> Iterator[Stack]:
        over.set()
        try:
            if when == "while it starts":
                raise Unavailable("the start of postgres was interrupted")
            yield NOTHING
        finally:
            ended.append("stack")

    @contextmanager
    def compiling(*_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(wait=lambda _: None)
        ended.append("compiling")

    monkeypatch.setattr(Up, "_resolver", lambda _: SimpleNamespace(ensure=lambda: None))
    monkeypatch.setattr(module, "Compiling", compiling)
    monkeypatch.setattr(Up, "_stack", starting)
    monkeypatch.setattr(Up, "_prepare", lambda *_: None)
    settings = load({}, tmp_path, home.path)
    run = Up(settings, Plan(), lambda _: None, lambda _: None, lambda _: None, over.is_set)
    assert run.run() is None
    assert not run.keepers
    assert ended == ["stack", "compiling"]


def test_a_part_that_cannot_be_restarted_because_all_of_it_ends_is_no_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, over = list[str](), threading.Event()
    run = Up(load({}, tmp_path, tmp_path), Plan(), said.append, lambda _: None, lambda _: None, over.is_set)

    def restart(_: str) -> None:
        over.set()
        raise Unavailable("the start of kafka was interrupted")

    run._restart("kafka", cast(Stack, SimpleNamespace(keepers={"kafka": object()}, restart=restart)))
    assert said == ["restarting kafka as asked"]


def test_a_disk_that_is_full_ends_nothing_while_what_runs_cannot_be_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, said, full = Home.open(tmp_path / "home"), list[str](), True
    run = Up(load({}, tmp_path, home.path), Plan(), said.append, lambda _: None, lambda _: None, lambda: False)
    part = Keeping(Part("stream"))
    run.keepers = {"stream": cast(Keeper, part)}
    whole = endpoints.write_record

    def write(*values: Any) -> None:
        if full:
            raise OSError(28, "No space left on device")
        whole(*values)

    monkeypatch.setattr(endpoints, "write_record", write)
    monkeypatch.setattr(endpoints, "stack_record", lambda _: {})
    for _ in range(3):
        run._serve_restarts(home, NOTHING)
    assert len(said) == 1
    assert "No space left" in said[0]
    full = False
    run._serve_restarts(home, NOTHING)
    assert endpoints.record(home.path)["processes"] == {"stream": 4711}


def test_who_asked_for_a_restart_finds_the_new_process_recorded_when_the_request_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.open(tmp_path / "home")
    run = Up(load({}, tmp_path, home.path), Plan(), print, lambda _: None, lambda _: None, lambda: False)
    request, there = home.run / "restart-nobody", list[bool]()
    request.touch()
    run.keepers = {"nobody": cast(Keeper, Keeping(Part("nobody")))}
    monkeypatch.setattr(Up, "_restart", lambda *_: None)
    monkeypatch.setattr(Up, "_record", lambda *_: there.append(request.exists()))
    run._serve_restarts(home, NOTHING)
    assert there[0]
    assert not request.exists()
