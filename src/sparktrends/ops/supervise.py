"""Child processes: they die with their parent, say why they failed, and are started again with growing patience.

On Linux the kernel ends every child when the parent goes, even by ``kill -9``. That tie is to the *thread* that
forked, so one long-lived thread forks for everybody. Elsewhere children end only when they are stopped.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from sparktrends.errors import DiskFull, SparkTrendsError, Unavailable

_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
_LAUNCH = Path(__file__).with_name("launch.py")
# A list of what is kept and not of what is left out: nobody has to think of each new secret.
_KEPT = ("HOME", "JAVA_TOOL_OPTIONS", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")
_ROLL_BYTES = 16 * 1024**2
_LOOK_BYTES = 64 * 1024
_POLL = 0.02
_SLOW_S = 20.0
_TROUBLE = re.compile(r"ERROR|FATAL|PANIC|Exception|Error|error:")

User = tuple[int, int]
"""A user and a group id."""


@dataclass(frozen=True)
class Spec:
    """What to run: ``argv``, where its output goes, and how it is ended.

    ``env`` is the whole environment (see `bare_env`). ``user`` is who it runs as, None for the same.
    ``death_signal`` is what the kernel sends when the parent dies, ``stop_signal`` what `Process.stop` sends, and
    ``grace`` how many seconds it then has. ``log`` is the file that errors quote, when it is not ``output``.
    """

    name: str
    argv: Sequence[str]
    output: Path
    env: Mapping[str, str] = field(repr=False)
    cwd: Path = Path("/")
    user: User | None = None
    death_signal: int = signal.SIGKILL
    stop_signal: int = signal.SIGTERM
    grace: float = 10.0
    log: Path | None = None


class Process:
    """A running `Spec`."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        # Only between runs: a program that holds the file goes on writing into the renamed one.
        _roll(spec.output)
        # Logs are appended to: what earlier runs said stands before.
        self._before = {log: _size(log) for log in (spec.output, spec.log) if log}
        self._popen = _SPAWNER.submit(_spawn, spec).result()
        self._started = time.monotonic()

    @property
    def pid(self) -> int:
        """The process id; the launcher becomes the program, so it stays the same."""
        return self._popen.pid

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._popen.poll()

    def stop(self) -> None:
        """Ask it to end, give it its grace, then end it and whatever it left in its group."""
        if self.exit_code is None:
            self._popen.send_signal(self.spec.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(self.spec.grace)
        # Also when it ended by itself: children of a shell or of Spark may live on in its group.
        self.kill()

    def kill(self) -> None:
        """End it and its group at once."""
        # It may be gone, or another user's process may have taken its number.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()

    def wait_ready(
        self,
        ready: Callable[[], bool],
        timeout: float,
        say: Callable[[str], None] = lambda _: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Return when ``ready`` says so; raises Unavailable when it ends before, takes longer (seconds), or when
        ``stopping`` says that nobody waits for it any more.

        ``say`` hears once that it takes long.
        """
        deadline, slow = time.monotonic() + timeout, time.monotonic() + _SLOW_S
        while not ready():
            if stopping():
                raise _interrupted(self.spec.name)
            if time.monotonic() > slow:
                log = self.spec.log or self.spec.output
                say(f"{self.spec.name} still starts, which takes a while after a power cut; see {log}")
                slow = deadline + 1
            # Before the time is looked at: who is dead will not answer, however long one waits.
            if self.exit_code is not None:
                raise self.failure(f"{self.spec.name} ended with code {self.exit_code} while starting")
            if time.monotonic() > deadline:
                raise self.failure(f"{self.spec.name} did not answer within {timeout:.0f} s")
            time.sleep(_POLL)

    def said(self) -> list[str]:
        """The lines of its output, the newest 64 KiB of them; not those of earlier runs."""
        return _lines(self.spec.output, self._before[self.spec.output])

    def failure(self, sentence: str) -> SparkTrendsError:
        """The error for it: the sentence, what its log says last, and where the log is."""
        log = self.spec.log if self.spec.log and self.spec.log.exists() else self.spec.output
        said = tail(log, since=self._before[log]) or tail(self.spec.output, since=self._before[self.spec.output])
        # Told apart from other failures, because a start anew cannot mend it.
        if "No space left on device" in said:
            return DiskFull(f"{self.spec.name} found the disk full", hint=f"free space and start again; see {log}")
        if re.search("address already in use|could not bind|could not create any TCP/IP sockets", said, re.IGNORECASE):
            return Unavailable(f"the port of {self.spec.name} is taken", hint=f"start again to get another; see {log}")
        return Unavailable(sentence, hint=f"it said: {said or 'nothing'}; see {log}")


class Server(Protocol):
    """Something that is kept running: the broker, the database, or one of our own processes."""

    @property
    def name(self) -> str:
        """What people call it."""

    def prepare(self) -> None:
        """Everything that must be there before a start; called before each one, so it must be quick when done."""

    def spec(self) -> Spec:
        """What to run."""

    def ready(self) -> bool:
        """Whether it really answers; must not block for long."""


class Keeper:
    """Keeps one `Server` running: `start`, then `tick` now and then, then `stop`.

    A part that dies is started again at once; one that dies again soon waits 0.5, 1, 2 … up to 30 seconds. One thread
    may ``start`` or ``tick`` while another calls ``stop``. Once ``stopping`` says that the end was asked for, nothing
    is started any more, and what is about to start is not waited for.
    """

    # The first time at once: most deaths are accidents, and each second without the broker fills a spool.
    _PATIENCE = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
    _HEALTHY = 60.0  # seconds up after which earlier deaths are forgotten

    def __init__(
        self,
        server: Server,
        on_event: Callable[[str], None] = lambda _: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.server = server
        self.process: Process | None = None
        self.restarts = 0
        self._on_event = on_event
        self._stopping = stopping
        self._deaths = 0
        self._due: float | None = None
        # Held by a whole look, and by each launch: what is stopped meanwhile must not be started by it, and so outlive
        # its stop. Never held while its answer is waited for.
        self._lock = threading.Lock()

    def start(self, timeout: float = 300.0) -> None:
        """Start it and wait until it answers; raises its error, with the process gone, when it does not, and
        Unavailable when the end is asked for meanwhile.

        After a power cut a database or a broker goes through its log first: ended before it is done, it would begin
        from there each time.
        """
        self.server.prepare()
        with self._lock:
            process = self._launch()
        try:
            process.wait_ready(self.server.ready, timeout, self._on_event, self._stopping)
        except BaseException:
            process.stop()
            raise

    def _launch(self) -> Process:
        # Under the lock with the look at the end: a stop either finds this process, or comes before it is made.
        if self._stopping():
            raise _interrupted(self.server.name)
        self._due = None
        self.process = Process(self.server.spec())
        return self.process

    def restart(self) -> None:
        """Stop it and start it; raises as `start`, and then `tick` tries again."""
        before = self.process
        self.stop()
        try:
            self.start()
        finally:
            self.process = self.process or before

    def tick(self) -> None:
        """Notice a death, and start again when its wait is over."""
        with self._lock:
            if self.process is not None:
                self._look(self.process)

    def _look(self, process: Process) -> None:
        if process.exit_code is None:
            _cut(process.spec.output)
            return
        if self._stopping():
            return
        if self._due is None:
            # Due, not slept: the other parts are looked after by the same thread.
            self._due = time.monotonic() + self._delay(process)
            self._on_event(str(process.failure(f"{self.server.name} ended with code {process.exit_code}")))
        if time.monotonic() >= self._due:
            self._again(process)

    def _delay(self, process: Process) -> float:
        self._deaths = 1 if process.uptime > self._HEALTHY else self._deaths + 1
        return self._PATIENCE[min(self._deaths, len(self._PATIENCE)) - 1]

    def _again(self, dead: Process) -> None:
        dead.kill()  # what is left of its group
        try:
            self.server.prepare()
            process = self._launch()
        except (SparkTrendsError, OSError) as error:
            # Not swallowed: said, and tried again later with more patience.
            self._deaths += 1
            self._due = time.monotonic() + self._PATIENCE[min(self._deaths, len(self._PATIENCE)) - 1]
            self._on_event(f"{self.server.name} cannot be started: {error}")
            return
        self.restarts += 1
        self._on_event(f"{self.server.name} was started again as process {process.pid}")

    def stop(self) -> None:
        """Stop it; it is not started again."""
        with self._lock:
            process, self.process = self.process, None
        if process:
            process.stop()


def run(spec: Spec, text: str = "", timeout: float = 120.0) -> str:
    """Run ``spec`` to its end with ``text`` as its input; what it said. Raises Unavailable on any other end than 0."""
    _roll(spec.output)
    before = _size(spec.output)
    try:
        done = subprocess.run(
            tied(spec.argv, spec.death_signal, spec.user),
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=spec.cwd,
            env=spec.env,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{spec.name} did not end within {timeout:.0f} s") from error
    said = done.stdout + done.stderr
    with spec.output.open("a") as out:
        out.write(said)
    if done.returncode != 0:
        if "No space left on device" in said:
            raise DiskFull(f"{spec.name} found the disk full", hint=f"free space and start again; see {spec.output}")
        raise Unavailable(
            f"{spec.name} failed", hint=f"it said: {tail(spec.output, since=before) or 'nothing'}; see {spec.output}"
        )
    return said


def evict(folder: Path, word: str, grace: float = 8.0) -> None:
    """See to it that no process of an earlier, killed run is left in ``folder``.

    A left-over is one that works in that folder and has ``word`` in its command line. It gets ``grace`` seconds to
    end by itself (the database is doing just that), then it is ended. Call it only while owning the home.
    """
    left = _working_in(folder, word)
    _, stubborn = psutil.wait_procs(left, timeout=grace) if left else ([], [])
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=grace)


def works_in(pid: int, folder: Path) -> bool:
    """Whether that process lives and works below that folder; a number may be given out again."""
    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(folder.resolve())
    return False


def tied(argv: Sequence[str], death_signal: int = signal.SIGKILL, user: User | None = None) -> list[str]:
    """The command that runs ``argv`` tied to the life of the thread that starts it."""
    tie = [str(number) for number in (os.getpid(), int(death_signal), *(user or (-1, -1)))]
    # Isolated and without site packages: it starts in milliseconds, and nothing of the environment steps in.
    return [sys.executable, "-I", "-S", str(_LAUNCH), *tie, *argv]


def bare_env(env: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that a foreign program needs: no key or webhook is among it."""
    return {name: env[name] for name in _KEPT if name in env}


def tail(log: Path, lines: int = 3, since: int = 0) -> str:
    """The last telling lines of a log from the byte ``since`` on, on one line; empty when there is none."""
    said = [line.strip() for line in _lines(log, since) if line.strip()]
    # The last lines of a Java log are often its orderly end: what went wrong stands before.
    telling = [line for line in said if _TROUBLE.search(line)] or said
    return " | ".join(line[:300] for line in telling[-lines:])


def _lines(log: Path, since: int) -> list[str]:
    size = _size(log)
    try:
        with log.open("rb") as content:
            # A log that is shorter now was cut or renamed meanwhile: all of it is new.
            content.seek(max(since if since <= size else 0, size - _LOOK_BYTES))
            return content.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0


def _spawn(spec: Spec) -> subprocess.Popen[bytes]:
    # Appending, so that the file may be cut while the process holds it.
    with spec.output.open("ab") as out:
        return subprocess.Popen(
            tied(spec.argv, spec.death_signal, spec.user),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            # A group of its own: Ctrl-C in the terminal reaches `up` alone, which stops its parts in order.
            start_new_session=True,
            cwd=spec.cwd,
            env=spec.env,
        )


def _interrupted(name: str) -> Unavailable:
    return Unavailable(f"the start of {name} was interrupted", hint="the next start goes on from there")


def _working_in(folder: Path, word: str) -> list[psutil.Process]:
    found, real = [], str(folder.resolve())  # the kernel knows no links
    for process in psutil.process_iter():
        # Processes end while they are listed, and some belong to others.
        with contextlib.suppress(psutil.Error, OSError):
            # By folder and word, for a process id may have been given to somebody else since.
            if process.cwd() == real and word in " ".join(process.cmdline()):
                found.append(process)
    return found


def _roll(output: Path) -> None:
    """Keep one older log beside the current one, so that logs cannot fill a disk."""
    with contextlib.suppress(FileNotFoundError):
        if output.stat().st_size > _ROLL_BYTES:
            output.replace(output.with_suffix(output.suffix + ".1"))


def _cut(output: Path) -> None:
    """The same for a program that holds the file: what it says goes to the end, which is then the beginning."""
    with contextlib.suppress(OSError):  # a full disk: it is cut when there is room for the older one
        if output.stat().st_size > _ROLL_BYTES:
            shutil.copyfile(output, output.with_suffix(output.suffix + ".1"))
            os.truncate(output, 0)
