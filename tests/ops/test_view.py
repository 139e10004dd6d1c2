"""What a person sees while it runs: sentences and figures, with made-up prices named as such."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from sparktrends.ops.settings import load
from sparktrends.ops.status import Status
from sparktrends.ops.view import View
from sparktrends.store.queries import NewestBar

BAR = NewestBar("demo~sim", "A", datetime(2024, 1, 1, tzinfo=UTC), Decimal("1E+2"), Decimal("0.5"), 3, "forming", 0.5)
STATUS = Status(trades=1234567, bars=5, behind=8, lag_s=2, disk_used_bytes=312_000_000, newest=(BAR,))


def quiet_view(folder: Path) -> View:
    return View(load({}, folder, folder / "home"), live=False)


def test_without_a_terminal_there_is_a_line_now_and_then(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with quiet_view(tmp_path) as view:
        view.show(STATUS)
        view.show(STATUS)
        view.say("[bold]not markup[/]")
    written = capsys.readouterr().err
    assert written.count("1,234,567 trades") == 1
    assert "8 behind (2 s) · newest A 2024-01-01 00:00 100" in written
    assert "[bold]not markup[/]" in written


@pytest.mark.parametrize("live", [True, False])
def test_a_minute_whose_trades_move_no_price_has_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], live: bool
) -> None:
    unpriced = replace(STATUS, newest=(replace(BAR, close=None),))
    view = View(load({}, tmp_path, tmp_path / "home"), live=live)
    view._console.width = 200
    with view:
        view.show(unpriced)
        if view._live:
            view._console.print(view._live.get_renderable())
    written = capsys.readouterr()
    assert re.search(r"A +2024-01-01 00:00 +–", written.out + written.err)
    assert unpriced.to_json()["newest"][0]["close"] is None


def test_nothing_yet_is_a_line_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with quiet_view(tmp_path) as view:
        view.show(Status())
    assert "0 trades · 0 bars" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "kind"), [("demo~sim", "simulated"), ("x~replay", "recorded"), ("binance", "binance")]
)
def test_the_table_says_where_each_price_comes_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, kind: str
) -> None:
    live = View(load({}, tmp_path, tmp_path / "home"), live=True)
    live._console.width = 200
    with live:
        live.show(replace(STATUS, newest=(replace(BAR, source=source),)))
        live._live.refresh()  # type: ignore[union-attr]
        live._console.print(live._live.get_renderable())  # type: ignore[union-attr]
    shown = capsys.readouterr().out
    assert f"forming · {kind}" in shown
    assert "disk 312 MB" in shown


@pytest.mark.parametrize("live", [True, False])
def test_a_name_that_looks_like_markup_is_shown_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], live: bool
) -> None:
    view = View(load({}, tmp_path, tmp_path / "home"), live=live)
    view._console.width = 200
    with view:
        view.show(replace(STATUS, newest=(replace(BAR, source="[bold]", symbol="[/x]"),)))
        if view._live:
            view._console.print(view._live.get_renderable())
    written = capsys.readouterr()
    assert "[/x]" in written.out + written.err


def test_the_addresses_of_what_others_run_are_theirs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = {"KAFKA_BOOTSTRAP": "k.example:9092", "POSTGRES_HOST": "db.example", "POSTGRES_SSLMODE": "require"}
    live = View(load(env, tmp_path, tmp_path / "home"), live=True)
    with live:
        live.show(STATUS)
        live._console.print(live._live.get_renderable())  # type: ignore[union-attr]
    assert "Kafka k.example:9092   PostgreSQL db.example:5432" in capsys.readouterr().out


def test_status_is_plain_json() -> None:
    document = STATUS.to_json()
    assert (document["trades"], document["lag_s"], document["processes"]) == (1234567, 2, 0)
    assert document["newest"][0]["start"] == "2024-01-01T00:00:00+00:00"
    assert (document["newest"][0]["close"], document["newest"][0]["volume"]) == ("1E+2", "0.5")


def test_a_trouble_is_said_once_and_again_when_it_comes_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "finnhub: the market of AAPL is closed until Mon 2026-11-23 14:30 UTC; prices come then"
    with quiet_view(tmp_path) as view:
        for troubles in ((words,), (words,), (), (words,)):
            view.show(replace(STATUS, troubles=troubles))
    assert capsys.readouterr().err.count(words) == 2


def test_on_a_terminal_a_trouble_stays_below_the_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = View(load({}, tmp_path, tmp_path / "home"), live=True)
    with live:
        live.show(replace(STATUS, troubles=("finnhub refuses the key",)))
        capsys.readouterr()
        live._console.print(live._live.get_renderable())  # type: ignore[union-attr]
    assert "finnhub refuses the key" in capsys.readouterr().out
