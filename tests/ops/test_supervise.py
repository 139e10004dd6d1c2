"""Children: they end with their parent, say why they failed, and come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import psutil
import pytest

from sparktrends.errors import DiskFull, Unavailable
from sparktrends.ops import supervise
from sparktrends.ops.supervise import Keeper, Process, Spec, bare_env, evict, run, tail, works_in

SH = "/bin/sh"

PARENT = """
import sys, threading, time
from pathlib import Path
from sparktrends.ops.supervise import Process, Spec
def start():
    print(Process(Spec("child", ["/bin/sleep", "600"], Path(sys.argv[1]), {})).pid, flush=True)
thread = threading.Thread(target=start)  # a short-lived thread must not take its children with it
thread.start()
thread.join()
time.sleep(600)
"""


def shell(folder: Path, script: str, **more: object) -> Spec:
    return Spec("part", [SH, "-c", script], folder / "out", bare_env(os.environ), **more)  # type: ignore[arg-type]


def until(what: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def sleeps(process: Process) -> bool:
    # Not by its name: the kernel sets that a moment before the command line, by which left-overs are known.
    return psutil.Process(process.pid).cmdline()[:1] == ["sleep"]


def gone(pid: int) -> bool:
    # A zombie is: who takes notice of it is the business of the first process of the machine.
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Script:
    """A server that is a shell script."""

    name = "part"

    def __init__(self, folder: Path, script: str) -> None:
        self.folder, self.script = folder, script

    def prepare(self) -> None:
        pass

    def spec(self) -> Spec:
        return shell(self.folder, self.script)

    def ready(self) -> bool:
        return (self.folder / "ready").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_a_child_ends_with_its_killed_parent_and_not_with_its_thread(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        until(lambda: child.name() == "sleep")
        parent.kill()
    until(lambda: gone(child.pid))


def test_the_launcher_becomes_the_program(tmp_path: Path) -> None:
    process = Process(shell(tmp_path, "echo $$; exec sleep 600"))
    until(lambda: (tmp_path / "out").read_text() != "")
    assert int((tmp_path / "out").read_text()) == process.pid
    process.stop()
    assert process.exit_code == -signal.SIGTERM


def test_a_stubborn_child_and_its_group_are_ended(tmp_path: Path) -> None:
    process = Process(shell(tmp_path, "trap '' TERM; sleep 600 & echo $!; wait; wait; sleep 600", grace=0.2))
    until(lambda: (tmp_path / "out").read_text() != "")
    grandchild = int((tmp_path / "out").read_text())
    process.stop()
    assert process.exit_code == -signal.SIGKILL
    until(lambda: gone(grandchild))


def test_an_early_end_quotes_the_log_and_names_it(tmp_path: Path) -> None:
    process = Process(shell(tmp_path, "echo fine; echo 'ERROR: the moon is missing'; exit 7"))
    with pytest.raises(Unavailable, match=r"ended with code 7.*ERROR: the moon is missing; see .*/out"):
        process.wait_ready(lambda: False, 60)


def test_what_an_earlier_run_said_is_nobodys_reason(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("FATAL: could not bind IPv4 address\nwrite: No space left on device\n")
    process = Process(shell(tmp_path, "echo 'ERROR: the moon is missing'; exit 7"))
    with pytest.raises(Unavailable, match=r"it said: ERROR: the moon is missing; see"):
        process.wait_ready(lambda: False, 60)
    assert process.said() == ["ERROR: the moon is missing"]
    silent = Process(shell(tmp_path, "exit 7"))
    with pytest.raises(Unavailable, match="it said: nothing; see"):
        silent.wait_ready(lambda: False, 60)


def test_a_log_that_was_cut_meanwhile_is_all_new(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old\n" * 100)
    process = Process(shell(tmp_path, "exec sleep 600"))
    (tmp_path / "out").write_text("new\n")
    assert process.said() == ["new"]
    process.stop()


def test_a_slow_start_is_given_up(tmp_path: Path) -> None:
    process = Process(shell(tmp_path, "sleep 600"))
    with pytest.raises(Unavailable, match="did not answer within 0 s"):
        process.wait_ready(lambda: False, 0.05)
    process.stop()


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("write: No space left on device", DiskFull, "found the disk full: free space"),
        ("FATAL: could not bind IPv4 address", Unavailable, "port of part is taken"),
        ("Address already in use.", Unavailable, "port of part is taken"),
    ],
)
def test_known_troubles_get_their_own_sentence(said: str, kind: type[Exception], words: str, tmp_path: Path) -> None:
    process = Process(shell(tmp_path, f"echo '{said}'; exit 1"))
    with pytest.raises(kind, match=words):
        process.wait_ready(lambda: False, 60)


def test_a_part_that_dies_comes_back(tmp_path: Path) -> None:
    events: list[str] = []
    keeper = Keeper(Script(tmp_path, f"touch {tmp_path}/ready; exec sleep 600"), events.append)
    keeper.start(60)
    assert keeper.process
    first = keeper.process.pid
    os.kill(first, signal.SIGKILL)
    until(lambda: bool(keeper.tick() or keeper.restarts))
    assert keeper.process.pid != first
    assert ["ended with code -9" in events[0], "started again" in events[1]] == [True, True]
    keeper.stop()


def test_what_is_stopped_while_it_is_started_again_is_gone(tmp_path: Path) -> None:
    again, go_on = threading.Event(), threading.Event()

    class Slow(Script):
        def prepare(self) -> None:
            if (tmp_path / "ready").exists():
                again.set()
                assert go_on.wait(60)

    said: list[str] = []
    keeper = Keeper(Slow(tmp_path, f"touch {tmp_path}/ready; exec sleep 600"), said.append)
    keeper.start(60)
    assert keeper.process
    os.kill(keeper.process.pid, signal.SIGKILL)
    until(lambda: keeper.process is not None and keeper.process.exit_code is not None)
    with ThreadPoolExecutor(2) as pool:
        ticked = pool.submit(keeper.tick)
        assert again.wait(60)
        stopped = pool.submit(keeper.stop)
        wait([stopped], 0.2)  # it may not be done before the look is; where it is, the look leaves a process behind
        go_on.set()
        ticked.result(60)
        stopped.result(60)
    second = int(said[-1].rpartition(" ")[2])
    assert not psutil.pid_exists(second)
    assert keeper.process is None


def test_a_start_ends_when_the_end_is_asked_for(tmp_path: Path) -> None:
    over = threading.Event()

    class Asked(Script):
        def ready(self) -> bool:
            over.set()
            return False

    keeper = Keeper(Asked(tmp_path, "exec sleep 600"), stopping=over.is_set)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="start of part was interrupted"):
        keeper.start(60)
    assert time.monotonic() - began < 30
    assert keeper.process
    assert keeper.process.exit_code is not None


def test_what_is_stopped_while_it_is_prepared_is_never_started(tmp_path: Path) -> None:
    over = threading.Event()

    class Ended(Script):
        def prepare(self) -> None:
            over.set()
            keeper.stop()

    keeper = Keeper(Ended(tmp_path, "exec sleep 600"), stopping=over.is_set)
    with pytest.raises(Unavailable, match="interrupted"):
        keeper.start(60)
    assert keeper.process is None


def test_what_dies_after_the_end_was_asked_for_stays_down(tmp_path: Path) -> None:
    said, over = list[str](), threading.Event()
    keeper = Keeper(Script(tmp_path, f"touch {tmp_path}/ready; exec sleep 600"), said.append, over.is_set)
    keeper.start(10)
    process = keeper.process
    assert process
    process.kill()
    over.set()
    keeper.tick()
    assert keeper.process is process
    assert (keeper.restarts, said) == (0, [])


def test_a_part_that_keeps_dying_is_tried_less_and_less(tmp_path: Path) -> None:
    (tmp_path / "ready").touch()
    keeper = Keeper(Script(tmp_path, "exit 1"))
    keeper.start(60)
    began = time.monotonic()
    while keeper.restarts < 3:
        keeper.tick()
        time.sleep(0.005)
    assert time.monotonic() - began >= 1.5  # at once, after 0.5 s and after another 1 s
    keeper.stop()


def test_what_fails_to_start_is_gone(tmp_path: Path) -> None:
    keeper = Keeper(Script(tmp_path, "exec sleep 600"))
    with pytest.raises(Unavailable):
        keeper.start(0.3)
    assert keeper.process
    assert not psutil.pid_exists(keeper.process.pid)


def test_what_cannot_be_restarted_now_is_tried_again(tmp_path: Path) -> None:
    class Moody(Script):
        well = True

        def prepare(self) -> None:
            if not self.well:
                raise Unavailable("not now")

    server = Moody(tmp_path, f"touch {tmp_path}/ready; exec sleep 600")
    keeper = Keeper(server)
    keeper.start(60)
    server.well = False
    with pytest.raises(Unavailable, match="not now"):
        keeper.restart()
    server.well = True
    until(lambda: bool(keeper.tick() or keeper.restarts))
    keeper.stop()


def test_a_start_that_takes_long_is_said_once_and_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "_SLOW_S", 0.1)
    said: list[str] = []

    def hear(sentence: str) -> None:
        said.append(sentence)
        (tmp_path / "said").touch()

    script = f"while [ ! -e {tmp_path}/said ]; do sleep 0.02; done; touch {tmp_path}/ready; exec sleep 600"
    keeper = Keeper(Script(tmp_path, script), hear)
    keeper.start(60)
    keeper.stop()
    assert len(said) == 1
    assert "part still starts" in said[0]


def test_run_feeds_input_and_returns_what_was_said(tmp_path: Path) -> None:
    assert run(shell(tmp_path, "cat; echo done"), text="hello\n") == "hello\ndone\n"


def test_run_refuses_a_bad_end(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="part failed: it said: Error: no; see"):
        run(shell(tmp_path, "echo Error: no; exit 3"))


@pytest.mark.parametrize("spelled", ["link", "inner/.."])
def test_left_overs_are_found_whatever_the_home_is_called(tmp_path: Path, spelled: str) -> None:
    folder = tmp_path / "real"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder)
    called = tmp_path / "link" if spelled == "link" else folder / spelled
    left = Process(shell(tmp_path, "exec sleep 603", cwd=called))
    until(lambda: sleeps(left))
    assert works_in(left.pid, called)
    evict(called, "sleep 603", grace=0.1)
    until(lambda: left.exit_code is not None)


def test_only_left_overs_are_evicted(tmp_path: Path) -> None:
    left = Process(shell(tmp_path, "exec sleep 601", cwd=tmp_path))
    guest = Process(shell(tmp_path, "exec sleep 602", cwd=tmp_path))
    until(lambda: sleeps(left) and sleeps(guest))
    evict(tmp_path, "sleep 601", grace=0.1)
    until(lambda: left.exit_code is not None)
    assert guest.exit_code is None
    guest.stop()


def test_no_secret_is_handed_to_foreign_programs() -> None:
    assert bare_env({"PATH": "/bin", "SLACK_WEBHOOK": "s", "FINNHUB_API_KEY": "k"}) == {"PATH": "/bin"}


def test_the_tail_prefers_trouble(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("FATAL: one\n" + "chatter\n" * 50)
    assert tail(tmp_path / "log") == "FATAL: one"
    assert tail(tmp_path / "none") == ""


def test_a_large_log_is_rolled_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"x" * (17 * 1024**2))
    process = Process(shell(tmp_path, "echo new; exec sleep 600"))
    process.wait_ready(lambda: "new" in (tmp_path / "out").read_text(), 60)
    process.stop()
    assert (tmp_path / "out.1").stat().st_size == 17 * 1024**2
    assert process.said() == ["new"]


def test_a_log_that_grows_large_while_its_program_runs_is_cut(tmp_path: Path) -> None:
    out = tmp_path / "out"
    keeper = Keeper(Script(tmp_path, f"touch {tmp_path}/ready; while sleep 0.05; do echo new; done"))
    keeper.start(60)
    with out.open("ab") as content:
        content.write(b"x" * (17 * 1024**2))
    keeper.tick()
    assert (tmp_path / "out.1").stat().st_size >= 17 * 1024**2
    until(lambda: out.read_text().endswith("new\nnew\n"))
    assert out.stat().st_size < 1000
    keeper.stop()
