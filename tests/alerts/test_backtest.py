"""Rules on history: the alerts are those of the live road, the prices afterwards are the right ones."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from commit.world import BOTH, Pen, Road, T, chain, random_log, rows
from sparktrends.alerts.backtest import History, Load, Outcome, backtest, with_ids
from sparktrends.alerts.backtest_page import page
from sparktrends.alerts.backtest_report import report, table
from sparktrends.model import DAY, MINUTE
from sparktrends.ops.cli import main
from sparktrends.ops.histories import from_store
from sparktrends.store.connect import connect

KEY = ("demo", "A")
UP = '[[rule]]\nname = "up"\nwhen = "return > 0"\ncooldown = "0s"\ntitle = "x"'


def history(closes: Sequence[float], minutes: Sequence[int] | None = None, key: tuple[str, str] = KEY) -> History:
    """Bars at these minutes after T (one after the other by default)."""
    starts = T + np.array(minutes or range(len(closes)), dtype=np.int64) * MINUTE
    return History(key, starts, np.array([[close, close, close, close, 1.0, close, 0.0, 0.0] for close in closes]))


def loading(*histories: History) -> Load:
    return lambda interval: iter(histories if interval == "1m" else ())


def tried(*histories: History, rules: str = UP, since: int = T, until: int = T + DAY) -> Outcome:
    return backtest([chain(rules)], loading(*histories), since, until)


def test_what_the_price_did_afterwards() -> None:
    closes = [100.0, 200.0, *[190.0] * 4, 210.0, *[150.0] * 10, *[100.0] * 45]
    first, *_ = with_ids(tried(history(closes)).fired)
    assert (first["start"], first["close"]) == (T + MINUTE, 200.0)
    # The alert is known at the end of minute 1; five minutes later minute 6 has just ended.
    assert first["after_5"] == pytest.approx(210 / 200 - 1)
    assert first["after_15"] == pytest.approx(150 / 200 - 1)
    assert first["after_60"] == pytest.approx(100 / 200 - 1)


def test_how_long_an_alert_lasted() -> None:
    rules = UP.replace("return > 0", "close > 100")
    found = tried(history([100.0, 101.0, 102.0, 99.0, 101.0, 90.0, 101.0]), rules=rules)
    assert [row["lasted"] for row in with_ids(found.fired)] == [2 * MINUTE, MINUTE, None]
    (rule,) = report(found, T, T + DAY)["rules"]
    assert rule["lasted"] == {"ended": 2, "median_s": 90.0, "longest_s": 120.0}
    assert "1.5 min" in "\n".join(table(report(found, T, T + DAY)))


@pytest.mark.parametrize(("minutes", "known"), [([0, 1, 4, 5], True), ([0, 1, 3], False), ([0, 1, 90], False)])
def test_where_nobody_traded_by_then_nothing_is_known(minutes: list[int], known: bool) -> None:
    first, *_ = with_ids(tried(history([100, 101, 90, 90][: len(minutes)], minutes)).fired)
    assert (first["after_5"] is not None) == known


def test_only_bars_of_the_span_count_but_all_before_are_seen() -> None:
    closes = [100.0 + n for n in range(30)]
    whole = list(with_ids(tried(history(closes), rules=UP.replace("return", "roc_10")).fired))
    cut = tried(history(closes), rules=UP.replace("return", "roc_10"), since=T + 10 * MINUTE, until=T + 12 * MINUTE)
    assert cut.bars == 2
    assert cut.days == {"up": {KEY: 1}}
    assert list(with_ids(cut.fired)) == [row for row in whole if row["start"] in (T + 10 * MINUTE, T + 11 * MINUTE)]
    assert len(whole) == 1  # it stays true, so it fires once; stepped from minute 10 on it would not know ten bars
    assert whole[0]["start"] == T + 10 * MINUTE


def test_the_report_counts_by_rule_day_and_symbol() -> None:
    closes = [100.0, 101.0, 100.0, 103.0]
    two = [history(closes), history(closes, [0, 1, 1440, 1441], ("demo", "B"))]
    found = report(tried(*two, until=T + 2 * DAY), T, T + 2 * DAY)
    (rule,) = found["rules"]
    assert (found["bars"], found["symbols"], rule["alerts"]) == (8, 2, 4)
    assert rule["per_symbol_and_day"] == pytest.approx(4 / 3)
    assert rule["by_day"] == [["2024-01-01", 3], ["2024-01-02", 1]]
    assert rule["by_symbol"] == [["demo", "A", 2], ["demo", "B", 2]]
    json.dumps(found, allow_nan=False)
    assert "up" in "\n".join(table(found))


def test_best_and_worst_are_those_with_the_largest_changes() -> None:
    closes = [100.0, 110.0, *[100.0] * 14, 110.0, *[150.0] * 12]
    (rule,) = report(tried(history(closes)), T, T + DAY)["rules"]
    assert [example["after_15"] for example in rule["best"]] == pytest.approx([150 / 110 - 1, 0.0])
    assert rule["worst"][0]["start"] == "2024-01-01T00:01:00+00:00"


def test_a_rule_that_never_fired_and_no_history_at_all_are_reported() -> None:
    found = report(tried(history([100.0, 99.0, 98.0])), T, T + DAY)
    assert found["rules"][0]["alerts"] == 0
    assert "would not have fired" in page(found)
    nothing = report(tried(), T, T + DAY)
    assert (nothing["bars"], nothing["rules"][0]["best"]) == (0, [])
    assert list(table(nothing))
    assert page(nothing)


def test_the_page_loads_nothing_and_hostile_names_are_text() -> None:
    name = "<img src=x onerror=alert(1)>"
    made = page(report(tried(history([100.0, 101.0, 99.0, 105.0], key=("demo", name))), T, T + DAY))
    assert name not in made
    assert "default-src 'none'" in made
    assert not re.search(r"""(src|href)=|@import|url\(""", re.sub(r"<script.*?</script>", "", made, flags=re.DOTALL))


@pytest.mark.e2e
def test_the_ids_are_those_of_the_live_road(database: str) -> None:
    road = Road(database, random_log(3, 300), laws=BOTH)
    while road.left:
        road.commit(road.ranges(dict.fromkeys(road.log, 7)))
    road.close()
    chains = [analysis._chain for analysis in BOTH.analyses]
    with connect(database) as connection:
        outcome = backtest(chains, from_store(connection), 0, T + 400 * DAY)
    live = {row[0] for row in rows(database, "SELECT id FROM core.alerts WHERE status <> 'retracted'")}
    assert len(live) > 20
    assert {row["id"] for row in with_ids(outcome.fired)} == live


@pytest.mark.e2e
def test_symbols_limit_what_is_read(database: str) -> None:
    pen = Pen()
    for symbol in "AB":
        for n in range(5):
            pen.trade(symbol, T + n * MINUTE, 100 + n)
    road = Road(database, pen.log)
    road.all()
    road.close()
    with connect(database) as connection:
        (found,) = from_store(connection, ["B"])("1m")
        assert list(from_store(connection, ["B"])("1h")) == []
    assert found.key == ("demo", "B")
    assert found.starts.tolist() == [T + n * MINUTE for n in range(3)]
    assert found.rows[:, 3].tolist() == [100.0, 101.0, 102.0]


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    lines = [
        f"2024-01-01T{n // 60:02}:{n % 60:02}:00Z,XYZ,{c:.2f},{c:.2f},{c:.2f},{c:.2f},5"
        for n, c in ((n, 100 + 10 * math.sin(n / 5)) for n in range(200))
    ]
    file = tmp_path / "bars.csv"
    file.write_text("\n".join(["start,symbol,open,high,low,close,volume", *lines]))
    return file


def test_a_file_of_bars_needs_no_stack(bars: Path, tmp_path: Path) -> None:
    rules, html = tmp_path / "rules.toml", tmp_path / "page.html"
    rules.write_text(UP.replace("return > 0", "crosses_above(close, 100)"))
    words = ["--home", str(tmp_path), "alerts", "backtest", str(rules), "--bars", str(bars), "--html", str(html)]
    done = CliRunner().invoke(main, [*words, "--from", "2024-01-01", "--to", "2024-01-02", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert (found["bars"], found["rules"][0]["alerts"]) == (200, 7)
    assert "crosses_above" in html.read_text()
