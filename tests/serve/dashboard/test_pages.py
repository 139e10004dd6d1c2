"""Every page, run by Streamlit's own test harness on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
import streamlit as st

from serve.api.world import World, stand
from serve.dashboard import hostile
from serve.dashboard.harness import Seen, opened, text_of
from sparktrends.batch.reporting import write_report
from sparktrends.errors import BadSetting
from sparktrends.model import stable_id
from sparktrends.ops.commands.dashboarding import ByOwner
from sparktrends.ops.stack import Stack
from sparktrends.rules import Names, Rules
from sparktrends.serve.dashboard import config as config_module
from sparktrends.serve.dashboard.app import PAGES
from sparktrends.serve.dashboard.config import DashboardConfig, configure
from sparktrends.store import board, board_health
from sparktrends.store.session import Session
from sparktrends.store.sessions import Sessions

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("page", [page.name for page in PAGES])
def test_every_page_draws_without_an_error(configured: DashboardConfig, page: str) -> None:
    app = opened(page)
    assert not app.exception
    assert not app.error
    assert not [one for one in app.warning if "Waiting" in one.value]


def test_the_url_chooses_the_view(configured: DashboardConfig) -> None:
    app = opened("market", symbol="ETH/USD", source="binance", overlays="ema_50,vwap_session", panes="macd", log="1")
    assert app.selectbox(key="series_choice").value == ("binance", "ETH/USD")
    assert app.multiselect(key="some_overlays").value == ["ema_50", "vwap_session"]
    assert app.multiselect(key="some_panes").value == ["macd"]
    assert app.toggle(key="switch_log").value is True


def test_the_url_holds_tabs_and_numbers(configured: DashboardConfig) -> None:
    app = opened("explore", symbol="BTC/USD", source="binance", bars="2000")
    assert app.select_slider(key="step_bars").value == 2000
    assert opened("explore", bars="3").select_slider(key="step_bars").value == 500
    tabs = opened("signals", tab="Signals")
    assert tabs.query_params["tab"] in ("Signals", ["Signals"])
    assert opened("signals", tab="Nonsense").query_params["tab"] in ("Alerts", ["Alerts"])


def test_averages_of_the_settings_are_offered_as_overlays(configured: DashboardConfig, filled: World) -> None:
    filled.run("""UPDATE core.metrics SET extra = '{"sma_100": 110.25, "cci_20": 1, "sma_30": 5}' WHERE series = 1""")
    st.cache_data.clear()
    overlays = opened("market", symbol="BTC/USD", overlays="sma_100").multiselect(key="some_overlays")
    assert overlays.options[-3:] == ["Volume profile", "SMA 30", "SMA 100"]
    assert overlays.value == ["sma_100"]
    filled.run("UPDATE core.metrics SET extra = NULL")
    st.cache_data.clear()


def test_a_choice_is_written_into_the_url(configured: DashboardConfig) -> None:
    app = opened("market", symbol="ETH/USD")
    app.multiselect(key="some_panes").set_value(["roc"]).run()
    # One value comes as text from some releases of the harness and as a list from others.
    assert app.query_params["panes"] in ("roc", ["roc"])
    assert app.query_params["symbol"] in ("ETH/USD", ["ETH/USD"])


def test_nonsense_in_the_url_is_passed_over(configured: DashboardConfig) -> None:
    app = opened("market", symbol="NO/SUCH", interval="3y", overlays="nothing,sma_50", zone="Mars")
    assert not app.exception
    assert app.multiselect(key="some_overlays").value == ["sma_50"]


@pytest.mark.parametrize("window", ["ten", "0", "99999", "²", "-3"])
def test_a_window_that_cannot_be_is_passed_over(configured: DashboardConfig, window: str) -> None:
    app = opened("explore", symbol="BTC/USD", source="binance", indicators="sma", n_sma=window)
    assert not app.exception
    assert app.number_input(key="window_sma").value == 50


@pytest.mark.parametrize(
    ("symbol", "zone"), [("AAPL", "America/New_York"), ("7203.T", "Asia/Tokyo"), ("BTC/USD", "UTC")]
)
def test_times_can_be_those_of_the_symbols_exchange(configured: DashboardConfig, symbol: str, zone: str) -> None:
    said = text_of(opened("signals", signal=stable_id("price_move"), zone="Exchange", symbol=symbol))
    assert f"({zone})" in said


def test_a_choice_is_kept_from_page_to_page(configured: DashboardConfig) -> None:
    app = opened("market", symbol="ETH/USD", source="binance")
    app.button(key="to_explore").click().run()
    assert app.title[0].value == "Explore"
    assert app.selectbox(key="series_choice").value == ("binance", "ETH/USD")


def test_news_can_be_narrowed(configured: DashboardConfig) -> None:
    assert len(opened("news").dataframe[0].value) == 40
    assert "No story fits" in text_of(opened("news", label="Positive"))
    shown = opened("news", of=hostile.SYMBOLS[0]).dataframe[0].value
    assert len(shown) == 8
    assert set(shown["evidence"].str.contains("-0.5")) == {True}


def test_a_day_is_shown_with_its_movers(configured: DashboardConfig) -> None:
    app = opened("daily", day="2024-05-01")
    assert list(app.dataframe[0].value["rank"]) == [1, 2, 3, 4, 5]
    assert app.selectbox(key="day_choice").value == "2024-05-01"


def test_a_day_without_a_report_says_how_to_make_it(configured: DashboardConfig, tmp_path: Path) -> None:
    configure(replace(configured, reports=str(tmp_path)))
    assert "`sparktrends batch report --date 2024-05-01` writes it" in text_of(opened("daily", day="2024-05-01"))


def test_the_report_of_a_day_is_shown_as_text_and_offered_as_files(
    configured: DashboardConfig, filled: World, tmp_path: Path
) -> None:
    headline = {"what": "headline", "text": "<script>window.hurt=1</script> http://evil.example :red[r]", "value": -0.5}
    filled.run("UPDATE core.daily_trends SET tag = 'surge', evidence = %s::jsonb", json.dumps([headline]))
    session = Session(filled.owner, "test")
    files = write_report(session, date(2024, 5, 1), tmp_path, [], ["console"], 0)
    session.close()
    assert sorted(file.name for file in files) == ["2024-05-01.html", "2024-05-01.md"]
    configure(replace(configured, reports=str(tmp_path)))
    app = opened("daily", day="2024-05-01")
    assert not app.exception
    (report,) = [one.value for one in app.text if one.value.startswith("# Trends of 2024-05-01")]
    assert report == files[0].read_text().strip()
    assert report.count("hurt=1") >= 9
    assert not [one for one in app.markdown if "hurt=1" in one.value or "evil.example" in one.value]
    assert [one.proto.label for one in app.get("download_button")] == ["Download md", "Download html"]


def test_scores_say_what_took_the_points(configured: DashboardConfig) -> None:
    (shown,) = (table.value for table in opened("quality").dataframe if "score" in table.value)
    assert list(shown["why"]) == ["late −2.5 (3 min)"]


def test_scores_and_refused_records_are_shown_where_there_is_no_minute_to_judge(
    configured: DashboardConfig, database: tuple[Stack, Callable[[], World]]
) -> None:
    world = database[1]()
    world.run("TRUNCATE core.bars, core.metrics")
    world.run("INSERT INTO core.quality VALUES (1, '2024-05-01', 97.5, 30, '{\"late\": 2.5}', '{\"late\": 3}', now())")
    configure(DashboardConfig(world.reader, ""))
    app = opened("quality")
    assert not app.exception
    assert [table.value["score"].tolist() for table in app.dataframe if "score" in table.value] == [[97.5]]
    assert "Nothing to judge yet" in text_of(app)
    for tab in ("Missing minutes", "By series", "Quarantined"):
        assert not opened("quality", tab=tab).exception, tab


def test_an_expression_is_drawn_and_a_wrong_one_explained(configured: DashboardConfig) -> None:
    app = opened("explore", symbol="BTC/USD", source="binance", indicators="", expression="close / open - 1")
    assert not app.exception
    assert not app.warning
    app.text_input(key="expression").set_value("nonsense").run()
    assert "does not work" in app.warning[0].value


def test_a_backtest_is_run_when_asked_for(configured: DashboardConfig, filled: World) -> None:
    asked: list[int] = []

    def run(days: int) -> Any:
        asked.append(days)
        after = {str(minutes): {"mean": 0.01} for minutes in (5, 15, 60)}
        rule = {"rule": "jump", "when": "x > 1", "interval": "1m", "severity": "info", "alerts": 3}
        rule |= {"per_symbol_and_day": 0.5, "lasted": {"median_s": 60.0}, "after": after, "best": [], "worst": []}
        return {"bars": 10, "symbols": 1, "from": "2024-05-01", "to": "2024-05-02", "alerts": 3, "rules": [rule]}

    configure(replace(configured, backtest=run))
    app = opened("signals", history="30 days")
    assert "Nothing was tried yet" in text_of(app)
    app.button[[one.label for one in app.button].index("Run the backtest")].click().run()
    assert asked == [30]
    assert "3 alerts" in text_of(app)


def test_the_rules_in_use_are_listed_before_anything_is_tried(configured: DashboardConfig) -> None:
    text = """
[[rule]]
name = "dip"
when = "rsi_14 < 30"
for = 3
interval = "5m"
severity = "critical"
channels = ["console", "slack"]
cooldown = "2h"
[[rule]]
name = "any"
when = "close > 1"
cooldown = "0s"
"""
    rules = Rules.parse(text, Names(("rsi_14",))).rules
    configure(replace(configured, rules=lambda: rules))
    (shown,) = [table.value for table in opened("signals").dataframe if "cooldown" in table.value]
    assert shown.to_dict("records") == [
        {"rule": "dip", "when": "rsi_14 < 30, for 3 bars", "interval": "5m", "severity": "critical",
         "channels": "console, slack", "cooldown": "2 h"},
        {"rule": "any", "when": "close > 1", "interval": "1m", "severity": "warning",
         "channels": "every channel", "cooldown": "–"},
    ]  # fmt: skip


def test_a_rules_file_with_faults_is_told_and_the_backtest_stays(configured: DashboardConfig) -> None:
    def rules() -> Any:
        raise BadSetting("dip: unknown key wen")

    configure(replace(configured, rules=rules, backtest=lambda _: {}))
    app = opened("signals")
    assert "unknown key wen" in text_of(app)
    assert "Run the backtest" in [one.label for one in app.button]


def test_overview_marks_what_is_made_up(configured: DashboardConfig) -> None:
    shown = opened("overview").dataframe[0].value
    kinds = dict(zip(shown["source"], shown["kind"], strict=True))
    assert kinds["demo~sim"] == "Simulated"
    assert kinds["binance"] == "Live"


def test_a_dead_feed_and_a_closed_exchange_are_named_where_freshness_is_shown(
    configured: DashboardConfig, filled: World
) -> None:
    stand(filled)
    st.cache_data.clear()
    for page in ("overview", "system"):
        tables = [one.value for one in opened(page, tab="Freshness").dataframe]
        (shown,) = [table for table in tables if "feed" in table]
        said = dict(zip(zip(shown["source"], shown["symbol"], strict=True), shown["feed"], strict=True))
        assert said["binance", "BTC/USD"] == "dead feed", page
        assert said["binance", "ETH/USD"] == "exchange closed", page
        assert said["demo~sim", "BTC/USD"] == "quiet market", page
    filled.run("UPDATE core.bars SET reason = NULL")
    filled.run("DELETE FROM core.gaps")
    filled.run("UPDATE core.series_state SET clock = 1, last_minute = 1")
    st.cache_data.clear()


def test_a_change_that_rounds_to_nothing_has_neither_sign_nor_arrow(configured: DashboardConfig, filled: World) -> None:
    newest = "WHERE series = 3 AND start = timestamptz '2024-05-01Z' + interval '29 minutes'"
    filled.run(f"UPDATE core.bars SET close = 100.499 {newest}")  # noqa: S608 - a constant
    st.cache_data.clear()
    app = opened("overview", data="Simulated")
    (card,) = app.metric
    assert (card.delta, card.proto.color) == ("0.00%", card.proto.GRAY)
    (change,) = app.dataframe[0].value["change"]
    assert str(change) == "0.0"
    filled.run(f"UPDATE core.bars SET close = 129 {newest}")  # noqa: S608 - a constant
    st.cache_data.clear()


def test_an_industry_stands_in_where_a_provider_names_no_sector(filled: World) -> None:
    company = "INSERT INTO core.companies VALUES (%s, 'BTC/USD', %s, 'B', '', 'USD', %s, %s, '', 1, 1, 1, now())"

    def sector() -> Any:
        with psycopg.connect(filled.reader) as connection, connection.cursor() as cursor:
            return next(row["sector"] for row in board.overview(cursor) if row["symbol"] == "BTC/USD")

    filled.run(company, "finnhub", "2100-01-01", "", "Banking")
    assert sector() == "Banking"
    filled.run(company, "alpha_vantage", "2100-01-02", "FINANCE", "BANKS")
    assert sector() == "FINANCE"
    filled.run("DELETE FROM core.companies WHERE day >= '2100-01-01'")


def test_one_signal_has_a_page_that_says_why(configured: DashboardConfig) -> None:
    app = opened("signals", signal=stable_id("price_move"))
    assert "Why: score 6.5" in text_of(app)
    assert "bars that followed" in text_of(app)


def test_a_signal_that_was_taken_back_says_so(configured: DashboardConfig) -> None:
    assert "Taken back" in text_of(opened("signals", signal=stable_id("gone")))


def test_an_unknown_signal_is_no_crash(configured: DashboardConfig) -> None:
    assert "no signal of this id" in text_of(opened("signals", signal="'; DROP TABLE--"))


def test_an_alert_is_acknowledged_and_a_rule_silenced(configured: DashboardConfig) -> None:
    app = opened("signals")
    app.selectbox[0].select(stable_id("alert"))
    app.button[[one.label for one in app.button].index("Acknowledge")].click().run()
    app.selectbox[1].select("jump")
    app.button[[one.label for one in app.button].index("Silence")].click().run()
    seen = configured.actions
    assert isinstance(seen, Seen)
    assert seen.done == [("acknowledge", stable_id("alert")), ("silence", {"rule": "jump"}, 1.0)]


def test_the_owner_writes_down_who_has_seen_an_alert(filled: World) -> None:
    by_owner = ByOwner(filled.owner)
    by_owner.acknowledge("evil0")
    assert filled.run("SELECT acknowledged_by IS NOT NULL FROM market.alerts WHERE id = 'evil0'") == [(True,)]
    number = by_owner.silence({"rule": "jump"}, 2.0)
    (found,) = filled.run("SELECT rule, until_at > now() FROM core.silences WHERE id = %s", number)
    assert found == ("jump", True)


def test_without_the_owners_rights_it_says_how(filled: World) -> None:
    configure(DashboardConfig(filled.reader, ""))
    assert "sparktrends alerts ack" in text_of(opened("signals"))


@pytest.mark.parametrize("number", range(len(hostile.SYMBOLS)))
def test_a_hostile_name_is_escaped_wherever_markdown_is_read(configured: DashboardConfig, number: int) -> None:
    app = opened("signals", signal=f"evil{number}")
    (heading,) = [one.value for one in app.subheader]
    assert "http://" not in heading
    assert "<" not in heading.replace("\\<", "")
    assert hostile.SYMBOLS[number].split("]")[0].split(" ")[0] in text_of(app)


@pytest.mark.parametrize("page", ["signals", "news", "overview"])
def test_a_table_that_is_downloaded_runs_nothing_in_a_spreadsheet(configured: DashboardConfig, page: str) -> None:
    tables = [table.value for table in opened(page).dataframe]
    texts = [value for table in tables for value in table.to_numpy().ravel() if isinstance(value, str)]
    assert texts
    assert not [text for text in texts if text.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_a_database_that_is_away_is_said_and_shown_when_it_is_back(filled: World) -> None:
    configure(DashboardConfig("host=127.0.0.1 port=1 user=x dbname=x password=x", ""))
    for page in PAGES:
        app = opened(page.name)
        assert not app.exception
        assert "Waiting for the database" in text_of(app), page.name
        assert not app.dataframe, "old data must not show as new"
    configure(DashboardConfig(filled.reader, ""))
    assert not app.run().warning


def test_before_the_first_trade_pages_wait_and_go_on_by_themselves(
    database: tuple[Stack, Callable[[], World]],
) -> None:
    world = database[1]()
    configure(DashboardConfig(world.reader, ""))
    world.run("TRUNCATE core.series, core.bars, core.metrics, core.signals, core.alerts RESTART IDENTITY CASCADE")
    apps = {page.name: opened(page.name) for page in PAGES}
    assert not [name for name, app in apps.items() if app.exception]
    for page in ("market", "explore"):
        assert "No data yet" in text_of(apps[page])
        assert "sparktrends up" in text_of(apps[page])
    world.market()
    st.cache_data.clear()  # an answer is kept for a second: this one is over
    assert opened("explore").selectbox(key="series_choice").value == ("binance", "BTC/USD")


def test_nothing_running_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config_module._given.clear()
    monkeypatch.setenv("SPARKTRENDS_HOME", str(tmp_path / "empty"))
    said = text_of(opened("market"))
    assert "nothing runs in" in said
    assert "sparktrends up" in said


def test_the_questions_are_answered_to_the_reader(filled: World) -> None:
    sessions = Sessions(filled.reader, "test")
    questions: list[Callable[..., Any]] = [
        board.series, board.feeds, board.overview, board.signals, board.alerts, board_health.late,
        board_health.quarantined, board_health.quarantine_counts, board_health.gaps, board_health.progress,
        board_health.commits, board_health.sizes,
    ]  # fmt: skip
    for question in questions:
        assert isinstance(sessions.read(question), list), question.__name__
    assert sessions.read(lambda c: board.intervals(c, 1)) == ["1m"]
    bars = sessions.read(lambda c: board.bars(c, 1, "1m", 5))
    assert [bar["close"] for bar in bars] == [125.0, 126.0, 127.0, 128.0, 129.0]
    (found,) = {
        row["minutes"]
        for row in sessions.read(lambda c: board_health.completeness(c, 24))
        if row["source"] == "demo~sim"
    }
    assert found == 30
    sessions.close()
