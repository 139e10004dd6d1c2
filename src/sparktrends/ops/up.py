"""`sparktrends up`: everything on this machine, from the first jar to the last process, and the way back down."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sparktrends.bus.admin import Admin
from sparktrends.bus.connection import wait_ready
from sparktrends.errors import BadSetting, Retryable, SparkTrendsError, Terminal, Unavailable
from sparktrends.ops import endpoints, jars, java, ports, troubles
from sparktrends.ops.compiling import Compiling
from sparktrends.ops.exposition import Look, expose
from sparktrends.ops.home import Home
from sparktrends.ops.settings import Settings
from sparktrends.ops.stack import Stack
from sparktrends.ops.status import Collector, Status
from sparktrends.ops.supervise import Keeper, Process
from sparktrends.ops.workers import Worker

_TICK_S = 0.25
_LOOK_S = 0.5
_SOON_S = 60.0
_DRAIN_S = 5.0
_PATIENCE_S = 3.0
_SLOW_END = {"stream": "ends the batch under way; the first time Java also keeps its classes, up to 20 s"}
RESTARTS = "restart-"
PARTS = ("stream", "ingest", "alerts", "batch", "api", "dashboard")
"""What runs beside broker and database."""
PAGES = ("api", "dashboard")
"""Those of them that only show what is stored."""
_FIRST = ("sandbox", "stream", "ingest")
_OTHERS_AFTER_S = 20.0
"""The others begin when the first trades are stored, or after this long: a small machine has few cores."""
_SENTENCE = "sparktrends: "


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person asked `up` for; ``for_s`` 0 = until stopped.

    ``ingest`` are the arguments of the ingest process, ``daily`` those of the daily run (None: nobody is asked).
    """

    ingest: Sequence[str] = ()
    exit_when_done: bool = False
    for_s: float = 0.0
    parts: Sequence[str] = PARTS
    accept_gap: bool = False
    seed: int = 7
    daily: Sequence[str] | None = None

    def arguments(self, part: str) -> list[str]:
        """What the process of a part is started with."""
        if part == "batch":
            return ["follow", *(() if self.daily is None else ("--daily", *self.daily))]
        return list(self.ingest) if part == "ingest" else []


@dataclass(slots=True)
class Up:
    """One run of `up`. ``say`` gets a sentence for every event, ``show`` the figures about twice a second."""

    settings: Settings
    plan: Plan
    say: Callable[[str], None]
    show: Callable[[Status], None]
    progress: Callable[[jars.Progress], None]
    stopping: Callable[[], bool]
    folder: Path = field(default_factory=Path.cwd)
    keepers: dict[str, Keeper] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    rates: dict[str, float] = field(default_factory=dict)
    """What this run stored, when it is over: see `rates_of`."""
    _collector: Collector | None = None
    _unrecorded: bool = False

    def run(self) -> Status | None:
        """Start, watch, stop; the last figures, None when it was stopped before its own parts were started. Raises the
        errors of the parts, with everything stopped."""
        home = Home.open(self.settings.home)
        # Two runs of one home would start two brokers on one log.
        with home.owned(), ExitStack() as open_:
            troubles.forget_recorded(home.run)
            resolver = self._resolver()
            compiling = open_.enter_context(Compiling(self.settings, home, self.say))
            try:
                # While Numba compiles: both take long only on a new machine, and neither needs the other.
                resolver.ensure()
                self.say(f"home {home.path}; logs in {home.logs}")
                stack = open_.enter_context(self._stack(home, resolver))
                self._prepare(home, stack)
            except Unavailable:
                # What is waited for is given up when the end is asked for.
                if self.stopping():
                    return None
                raise
            # Before the stream: it would compile the same beside it, on the same two cores.
            compiling.wait(self.stopping)
            return None if self.stopping() else self._work(home, stack)

    def _work(self, home: Home, stack: Stack) -> Status:
        try:
            look = Look(home.path)
            expose(self.settings, "up", {"home": look.figures}, port=stack.ports["metrics_up"].number)
            self._start_workers(home, stack, [part for part in self.plan.parts if part in _FIRST])
            before, began = self._collect(home, stack, anew=True), time.monotonic()
            status = self._watch(home, stack, before, look)
            self._drain(home, stack)
            last = self._collect(home, stack, anew=True) or status
            self.rates = rates_of(before or Status(), last, time.monotonic() - began)
            return last
        finally:
            self._forget_collector()
            self._stop_workers()

    def _resolver(self) -> jars.Resolver:
        found = java.find(self.settings.env, self.settings.cache)
        self.say(f"Java {found.version}" + (" (bundled)" if found.bundled else f" at {found.home}"))
        place = (self.settings.cache, self.settings.env)
        return jars.Resolver(found, *place, self.progress, stopping=self.stopping)

    def _stack(self, home: Home, resolver: jars.Resolver) -> Stack:
        there = endpoints.external(self.settings)
        wanted = self.settings.wanted_ports(ports.WANTED)
        self.say("starting broker and database" if not there.kafka and not there.database else "connecting")
        return Stack(home, resolver, external=there, wanted=wanted, on_event=self.say, stopping=self.stopping)

    def _prepare(self, home: Home, stack: Stack) -> None:
        for port in stack.ports.values():
            if port.replaced:
                self.say(f"port {port.wanted} is taken: {port.name} listens on {port.number}")
        for sentence in endpoints.outdated(self.settings, stack):
            self.say(sentence)
        connection = endpoints.reached(self.settings, stack)
        if "kafka" not in stack.keepers:  # an embedded broker has answered already
            self.say(f"asking the broker at {stack.kafka}")
            # Ten seconds: nobody starts somebody else's broker while we wait.
            wait_ready(connection, 10)
        Admin(connection).ensure()
        for name in endpoints.bring_up_to_date(stack.database):
            self.say(f"database: {name}")
        self._record(home, stack)

    def _start_workers(self, home: Home, stack: Stack, names: Sequence[str]) -> None:
        # The Java that was found and tried here, not what each process would find for itself.
        env = dict(self.settings.env) | {"JAVA_HOME": str(stack.java.home), **_listening(stack)}
        # The environment wins over a `.env`, which may name an address that this home had before.
        env |= endpoints.addresses_of(stack)
        for name in names:
            arguments = self.plan.arguments(name)
            if name == "sandbox":
                arguments += ["--port", str(stack.ports["sandbox"].number), "--seed", str(self.plan.seed)]
            worker = Worker(name, [name, *arguments], home, env, self.folder)
            keeper = Keeper(worker, self.say)
            self.keepers[name] = keeper
            if name == "stream" and self.plan.accept_gap:
                keeper.server = replace(worker, command=[*worker.command, "--accept-gap"])
            keeper.start()
            # What is lost later is not accepted by a restart.
            keeper.server = worker
        self._record(home, stack)

    def _drain(self, home: Home, stack: Stack) -> None:
        """No new data, and a moment for what was taken in to be stored: the figures then say what there is.

        A run that ends when all is stored has waited for that already, however long it took.
        """
        self._stop("ingest")
        deadline = time.monotonic() + _DRAIN_S
        while time.monotonic() < deadline and (status := self._collect(home, stack)) and status.behind:
            time.sleep(_TICK_S)

    def _stop(self, name: str) -> None:
        if (keeper := self.keepers.get(name)) is not None and keeper.process is not None:
            self.say(f"stopping {name}")
            patience = threading.Timer(_PATIENCE_S, self.say, [f"{name} {_SLOW_END.get(name, 'still ends')}"])
            patience.daemon = True
            patience.start()
            keeper.stop()
            patience.cancel()

    def _stop_workers(self) -> None:
        # From the source to the sink: what was taken in is still folded by those that stop later.
        for name in ("ingest", "batch", "stream", "alerts", "api", "dashboard", "sandbox"):
            self._stop(name)

    def _watch(self, home: Home, stack: Stack, before: Status | None, look: Look) -> Status:
        looked, status, began = 0.0, None, time.monotonic()
        others = [part for part in self.plan.parts if part not in _FIRST]
        while True:
            for keeper in self.keepers.values():
                self._tend(keeper)
            self._serve_restarts(home, stack)
            done = False
            if time.monotonic() - looked > _LOOK_S:
                # Asked before the look: only figures taken after the end of ingest hold all that it published.
                published = self._published()
                fresh = self._collect(home, stack)
                status, looked = fresh or status, time.monotonic()
                if status is not None:
                    look.tell(status)
                    self.show(status)
                done = published and fresh is not None and fresh.behind == 0
            if others and (_stored_more(before, status) or time.monotonic() - began > _OTHERS_AFTER_S):
                self._start_workers(home, stack, others)
                others = []
            if done or self.stopping() or self._time_is_up():
                return status or Status()
            time.sleep(_TICK_S)

    def _tend(self, keeper: Keeper) -> None:
        """Restart what died; a worker that is done (exit 0) or cannot go on (a Terminal error) stays down."""
        process = keeper.process
        if process is None or process.exit_code is None:
            return
        # Recordings end; everything else is to run until it is stopped.
        if process.exit_code == 0 and keeper.server.name == "ingest":
            return
        if keeper.server.name in ("stream", "ingest") and self._is_final(process):
            # At once and with everything stopped: its own sentence says what to do, and restarts would bury it.
            raise _refusal(process)
        restarts = keeper.restarts
        keeper.tick()
        if keeper.restarts != restarts:
            self.say(f"{keeper.server.name} runs again")

    def _is_final(self, process: Process) -> bool:
        """Whether no restart mends the end of a part: by its own word, and soon after its start a setting is wrong."""
        if process.exit_code not in (1, 2):
            return False
        # Where the end is waited for, what it refuses once it will refuse for ever, and so would the wait last.
        return process.uptime < _SOON_S or (self.plan.exit_when_done and bool(_sentences(process)))

    def _published(self) -> bool:
        """Whether the end is waited for, and ingest has ended: nothing more comes into the log."""
        process = self.keepers["ingest"].process if self.plan.exit_when_done else None
        return process is not None and process.exit_code == 0

    def _time_is_up(self) -> bool:
        return bool(self.plan.for_s) and time.monotonic() - self.began > self.plan.for_s

    def _collect(self, home: Home, stack: Stack, *, anew: bool = False) -> Status | None:
        """The figures; None for a moment in which a service does not answer (the keepers are at it)."""
        try:
            if self._collector is None:
                kafka = endpoints.reached(self.settings, stack)
                self._collector = Collector(endpoints.Endpoints(kafka, stack.database), home)
            return self._collector.figures(self._processes(stack), anew=anew)
        # A connection that broke stays broken: the next look makes new ones.
        except Retryable:
            self._forget_collector()
            return None

    def _forget_collector(self) -> None:
        collector, self._collector = self._collector, None
        if collector is not None:
            collector.close()

    def _processes(self, stack: Stack) -> list[dict[str, Any]]:
        keepers = {**stack.keepers, **self.keepers}
        return [
            {
                "name": name,
                "pid": keeper.process.pid,
                "uptime_s": round(keeper.process.uptime, 1),
                "restarts": keeper.restarts,
                "running": keeper.process.exit_code is None,
            }
            for name, keeper in keepers.items()
            if keeper.process is not None
        ]

    def _record(self, home: Home, stack: Stack) -> None:
        addresses = {name: port.number for name, port in stack.ports.items()}
        pids = {item["name"]: item["pid"] for item in self._processes(stack)}
        values = {"pid": os.getpid(), "ports": addresses, "processes": pids, **endpoints.stack_record(stack)}
        endpoints.write_record(home, values)

    def _serve_restarts(self, home: Home, stack: Stack) -> None:
        """A file ``run/restart-NAME`` is a person's (or Airflow's) request; it goes when it has been done."""
        for request in home.run.glob(f"{RESTARTS}*"):
            self._restart(request.name.removeprefix(RESTARTS), stack)
            # Before the file goes: who asked waits for that, and then looks up what runs.
            self._keep_record(home, stack)
            with suppress(OSError):  # a disk that cannot be written ends nothing: the next turn tries again
                request.unlink(missing_ok=True)
        self._keep_record(home, stack)

    def _keep_record(self, home: Home, stack: Stack) -> None:
        """Keepers start parts again without asking: `status` and `restart` go by what is recorded."""
        pids = {item["name"]: item["pid"] for item in self._processes(stack)}
        if pids == endpoints.record(home.path).get("processes"):
            return
        try:
            self._record(home, stack)
            self._unrecorded = False
        except OSError as error:
            # Full, most likely; what the parts do about it is theirs, and the next turn tries again.
            if not self._unrecorded:
                self.say(f"what runs cannot be written down in {home.run} ({error.strerror})")
            self._unrecorded = True

    def _restart(self, name: str, stack: Stack) -> None:
        """As asked for. What cannot be started now is tried again with patience, as what dies by itself is."""
        keeper = stack.keepers.get(name) or self.keepers.get(name)
        if keeper is None:
            return
        self.say(f"restarting {name} as asked")
        try:
            stack.restart(name) if name in stack.keepers else keeper.restart()
        except (SparkTrendsError, OSError) as error:
            if not self.stopping():
                self.say(f"{name} cannot be started: {error}")


def _refusal(process: Process) -> SparkTrendsError:
    """Why a process of ours gave up: its own last sentence and exit code, which say what to do."""
    name, log = process.spec.name, process.spec.output
    said = _sentences(process)
    if not said:
        return process.failure(f"{name} cannot go on")
    kind = BadSetting if process.exit_code == BadSetting.exit_code else Terminal
    # The exit code is the child's: 2 means that the call was wrong, for whoever called `up` too.
    return kind(f"{name} cannot go on: {said[-1]}", hint=f"see {log}")


def _sentences(process: Process) -> list[str]:
    """What it said of itself, as the command line says an error of ours."""
    return [line.removeprefix(_SENTENCE) for line in process.said() if line.startswith(_SENTENCE)]


def rates_of(before: Status, last: Status, seconds: float) -> dict[str, float]:
    """The trades and bars that were stored between two looks, in how many seconds, and how many trades a second."""
    trades, bars = last.trades - before.trades, last.bars - before.bars
    return {
        "new_trades": trades,
        "new_bars": bars,
        "storing_s": round(seconds, 1),
        "trades_per_s": round(trades / seconds, 1) if seconds > 0 else 0.0,
    }


def _stored_more(before: Status | None, now: Status | None) -> bool:
    return before is not None and now is not None and now.trades > before.trades


def _listening(stack: Stack) -> dict[str, str]:
    return {f"SPARKTRENDS_PORT_{name.upper()}": str(port.number) for name, port in stack.ports.items()}
