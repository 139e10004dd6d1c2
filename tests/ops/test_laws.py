"""A home is judged by one set of limits: whoever looks at its log with others is refused."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from sparktrends.batch.repair import Wanted
from sparktrends.errors import BadSetting
from sparktrends.ops import doctor, refilling
from sparktrends.ops.cli import main
from sparktrends.ops.commands import inspecting, repairing
from sparktrends.ops.home import Home
from sparktrends.ops.settings import Settings
from sparktrends.store.ledger import PartitionLog, open_ledger
from sparktrends.store.limits import Times, agree
from sparktrends.telemetry import system_clock

pytestmark = pytest.mark.e2e
SAID = "judged by grace = 900, and [limits] now say grace = 5400: set them back"


@pytest.fixture
def judged(database: str) -> str:
    """A database of which a record was judged by the limits that hold where nobody says anything."""
    agree(database, Times(900_000_000, 5_000_000, 60_000_000), begins=True)
    open_ledger(database, "1/1", [PartitionLog("raw.trades", 0, "t", 0, 1)])
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE core.ledger SET next_offset = 1, records = 1, trades = 1")
    return database


@pytest.mark.parametrize("words", [["audit"], ["batch", "repair"]])
def test_audit_and_repair_are_refused(
    judged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    where = SimpleNamespace(owner_dsn=judged, kafka=None)
    for module in (inspecting, repairing):
        monkeypatch.setattr(module, "started", lambda _: nullcontext(where))
        monkeypatch.setattr(module, "Reader", lambda _: nullcontext())
    (tmp_path / "sparktrends.toml").write_text("[limits]\ngrace = 5400\n")
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(main, ["--home", str(tmp_path / "home"), *words])
    assert found.exit_code == BadSetting.exit_code
    assert SAID in found.output


def other(folder: Path) -> Settings:
    return Settings(folder, folder, {}, {"limits": {"grace": 5400}}, {})


def test_a_backfill_from_the_log_is_refused(judged: str, tmp_path: Path) -> None:
    jobs: Any = SimpleNamespace(settings=other(tmp_path), where=SimpleNamespace(owner_dsn=judged))
    with pytest.raises(BadSetting, match="set them back"):
        refilling.from_log(jobs, Wanted(), lambda *_: None)


def test_doctor_tells_of_it(judged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = SimpleNamespace(owner_dsn=judged, kafka=None)
    monkeypatch.setattr(doctor, "endpoints", lambda _: where)
    monkeypatch.setattr(doctor, "wait_ready", lambda *_: None)
    monkeypatch.setattr(doctor, "collect", lambda *_: SimpleNamespace(lag_s=0))
    monkeypatch.setattr(Home, "running", lambda _: True)
    monkeypatch.setattr(doctor, "CHECKS", {"services": doctor.CHECKS["services"]})
    (found,) = doctor.examine(other(tmp_path), system_clock)
    assert SAID in found.what
    assert found.do == "set them back, or begin a new home (--home DIR) with others"
