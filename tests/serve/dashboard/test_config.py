"""Where the dashboard gets its addresses from, and the chart's files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest

from sparktrends.errors import Unavailable
from sparktrends.model import SECOND
from sparktrends.serve.dashboard import config, machine
from sparktrends.serve.dashboard.live_chart import FONT, OVERLAYS, PANES, assemble

BROWSER = Path(config.__file__).with_name("browser")
VENDORED = Path(config.__file__).with_name("vendored")


def test_the_lines_of_env_become_a_connection_string() -> None:
    text = "POSTGRES_HOST=h\nPOSTGRES_PORT=1\nPOSTGRES_DB=d\nPOSTGRES_USER=u\nPOSTGRES_PASSWORD=it's \\ p=1\n"
    made = config.from_env(text + "KAFKA_BOOTSTRAP=k:9\n")
    known = psycopg.conninfo.conninfo_to_dict(made.reader)
    proved = {"require_auth": "scram-sha-256"}
    assert known == {"host": "h", "port": "1", "dbname": "d", "user": "u", "password": "it's \\ p=1", **proved}
    assert made.kafka is not None
    assert made.kafka.bootstrap == "k:9"


def test_the_lines_of_env_name_where_parts_show_their_metrics() -> None:
    text = "SPARKTRENDS_API_URL=http://h:1\nSPARKTRENDS_STREAM_METRICS=http://h:2/metrics\nSPARKTRENDS_API_METRICS=http://h:3/metrics"
    assert config.from_env(text).metrics() == {"stream": "http://h:2/metrics", "api": "http://h:3/metrics"}


def test_who_starts_the_script_by_hand_can_try_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []

    def answer(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        called.append(command[3:])
        said = '{"alerts": 3}' if "backtest" in command else "SPARKTRENDS_API_URL=http://h:1\n"
        return subprocess.CompletedProcess(command, 0, said, "")

    monkeypatch.setattr(subprocess, "run", answer)
    run = replace(config.Backtests(), clock=lambda: 1714608000 * SECOND)
    assert run(30) == {"alerts": 3}
    assert run(0) == {"alerts": 3}
    assert called == [["alerts", "backtest", "--json", "--from", day] for day in ("2024-04-02", "1990-01-01")]
    assert isinstance(config.discover().backtest, config.Backtests)


def test_a_home_that_is_not_there_has_no_disk_to_tell_of(tmp_path: Path) -> None:
    assert machine.disk(str(tmp_path / "no home yet")) is None
    assert machine.disk(str(tmp_path)) is not None


def test_the_password_does_not_show() -> None:
    assert "secret" not in repr(config.from_env("POSTGRES_PASSWORD=secret"))


def test_nothing_running_is_said_in_the_words_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 3, "", "sparktrends: nothing runs in /x: start it\n")

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(Unavailable, match=r"^nothing runs in /x: start it$"):
        config.discover()


def test_the_chart_is_laid_out_with_the_plotly_of_the_package(tmp_path: Path) -> None:
    assemble(tmp_path)
    (entry,) = json.loads((VENDORED / "vendored.json").read_text())
    assert {file.name for file in BROWSER.iterdir()} | {entry["file"], FONT} == {
        file.name for file in tmp_path.iterdir()
    }
    laid = (tmp_path / entry["file"]).read_bytes()
    assert hashlib.sha512(laid).hexdigest() == entry["sha512"]
    assert f"v{entry['version']}".encode() in laid[:100]
    assert f'src="{entry["file"]}"' in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize("file", sorted(BROWSER.iterdir()), ids=lambda file: file.name)
def test_no_file_of_the_chart_names_another_host_or_makes_html_of_text(file: Path) -> None:
    text = file.read_text()
    assert "https://" not in text
    assert "http://" not in text
    assert "innerHTML" not in text


def test_browser_and_page_know_the_same_overlays_and_panes() -> None:
    drawn = (BROWSER / "figure.js").read_text()
    missing = [name for name in (*OVERLAYS, *PANES) if f"{name}: [" not in drawn and f'"{name}"' not in drawn]
    assert not missing


def test_a_process_that_is_gone_is_said_to_be() -> None:
    mine, gone = machine.processes({"me": os.getpid(), "gone": 2**22 + 1}, now_s=4e9)
    assert mine["state"] == "runs"
    assert mine["memory"] > 1e6
    assert gone["state"] == "does not run"


def test_a_child_that_ends_meanwhile_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    ended = psutil.Process(child.pid)
    child.wait()
    monkeypatch.setattr(psutil.Process, "children", lambda *_, **__: [ended])
    (mine,) = machine.processes({"me": os.getpid()}, now_s=4e9)
    assert mine["state"] == "runs"
    assert mine["memory"] > 1e6


@pytest.mark.parametrize(
    ("raw", "shown"),
    [(None, "(null)"), (b'{"a":  1}', '{"a": 1}'), (b"\xff\xfe", "\ufffd\ufffd"), (b"two\nlines", "two lines")],
)
def test_a_record_is_one_line_whatever_it_holds(raw: bytes | None, shown: str) -> None:
    assert machine._text(raw) == shown
