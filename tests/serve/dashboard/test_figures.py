"""Rows to figures: what is drawn is what the rows say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from sparktrends.errors import BadSetting
from sparktrends.serve.dashboard import figures
from sparktrends.serve.dashboard.screens import explore, machinery, quality

AT = datetime(2024, 5, 1, tzinfo=UTC)


def _series(symbol: str, source: str = "binance", change: float | None = 0.01) -> dict[str, Any]:
    return {"symbol": symbol, "source": source, "change": change, "signals": 0}


def test_heat_map_has_a_tile_for_each_series_below_its_kind_and_sector() -> None:
    (tile,) = figures.heat_map(
        [{**_series("A"), "sector": "Energy"}, _series("B/USD", "demo~sim", None), _series("C")]
    ).data
    below = dict(zip(tile.ids, tile.parents, strict=True))
    labels = dict(zip(tile.ids, tile.labels, strict=True))
    found = {labels[one]: (labels[below[one]], labels[below[below[one]]]) for one in tile.ids[5:]}
    assert found == {
        "A": ("Energy", "Live"),
        "B/USD": ("Pairs in USD", "Simulated"),
        "C": ("No sector known", "Live"),
    }
    assert tile.text[5:] == ("+1.00%", "–", "+1.00%")


def test_two_sources_of_one_symbol_are_two_tiles() -> None:
    (tile,) = figures.heat_map([_series("A", "x"), _series("A", "y")]).data
    assert len(set(tile.ids)) == len(tile.ids) == 4


def test_a_name_with_tags_shows_as_text() -> None:
    (tile,) = figures.heat_map([_series("<b>x</b>")]).data
    assert tile.labels[2] == "&lt;b&gt;x&lt;/b&gt;"


def test_candles_point_at_the_marked_bar() -> None:
    bar = {"start": AT, "open": 1.0, "high": 3.0, "low": 0.5, "close": 2.0, "volume": 9.0}
    figure = figures.candles([bar], marked=AT)
    assert figure.data[0].close == (2.0,)
    assert figure.data[1].y == (9.0,)
    assert figure.layout.shapes[0].x0 == AT


def _minutes(hour: int, reason: str | None, minutes: int, symbol: str = "A") -> dict[str, Any]:
    at = AT + timedelta(hours=hour)
    return {"source": "s", "symbol": symbol, "hour": at, "reason": reason, "minutes": minutes, "revised": 1}


def test_minutes_are_summed_over_series_and_split_by_reason() -> None:
    rows = [
        _minutes(0, None, 40),
        _minutes(0, "no_trade", 5),
        _minutes(0, "no_trade", 7, "B"),
        _minutes(1, "throttled", 3),
    ]
    traces = {trace.name: trace.y for trace in figures.minutes_by_reason(rows).data}
    assert traces == {"nobody traded": (12,), "the provider held us back": (3,)}


def test_counts_are_stacked_by_the_column_asked_for() -> None:
    rows = [{"hour": AT, "reason": "bad_price", "records": 2}, {"hour": AT, "reason": "not_json", "records": 3}]
    figure = figures.counts(rows, "records", "reason", "records")
    assert [(trace.name, trace.y) for trace in figure.data] == [("bad_price", (2,)), ("not_json", (3,))]


def test_pulse_draws_commits_and_bars() -> None:
    bars, commits = figures.pulse([{"at": AT, "commits": 4, "bars": 46, "signals": 0}]).data
    assert bars.y == (46,)
    assert commits.y == (4,)


def test_lines_keep_what_is_not_known_empty() -> None:
    (trace,) = figures.lines([AT, AT], {"sma_2": [None, 1.5]}).data
    assert trace.y == (None, 1.5)


def test_quality_by_series_counts_an_empty_minute_as_well_and_a_silent_feed_as_not() -> None:
    rows = [_minutes(0, None, 80), _minutes(0, "no_trade", 10), _minutes(0, "feed_stale", 10)]
    late = [{"source": "s", "symbol": "A", "trades": 4}, {"source": "s", "symbol": "gone", "trades": 1}]
    (one,) = quality.by_series(rows, late)
    assert (one["minutes"], one["complete"], one["feed_stale"], one["late"]) == (100, 0.9, 10, 4)


def test_explore_computes_what_the_kernel_computes() -> None:
    closes = [float(n) for n in range(1, 31)]
    bars = [
        {"start": AT + timedelta(minutes=n), **dict.fromkeys(("open", "high", "low", "close"), c), "volume": 1.0}
        | {"turnover": c, "origin": "trades"}
        for n, c in enumerate(closes)
    ]
    frame = explore.metrics_of(bars, {"sma": [10]}, ("binance", "BTC/USDT"), "1m")
    (name,) = explore.columns_of(frame, "sma", 10)
    assert frame[name].to_list()[-1] == sum(closes[-10:]) / 10


def test_a_session_of_explore_begins_when_the_exchange_opens() -> None:
    opening = datetime(2024, 1, 3, 14, 30, tzinfo=UTC)
    bars = [
        {"start": opening + timedelta(minutes=n), "open": 1.0, "high": 9.0, "low": 1.0, "close": 5.0, "volume": 1.0}
        | {"turnover": float(5 + n), "origin": "trades"}
        for n in (-1, 0, 1)
    ]
    frame = explore.metrics_of(bars, {}, ("finnhub", "AAPL"), "1m")
    assert frame["vwap_session"].to_list()[1:] == [5.0, 5.5]


def test_bollinger_of_another_window_is_found_by_its_name() -> None:
    frame = pl.DataFrame({"bb_upper": [1.0], "bb_lower": [0.0], "bb_upper_50": [2.0], "bb_lower_50": [1.0]})
    assert explore.columns_of(frame, "bb", 50) == ["bb_upper_50", "bb_lower_50"]
    assert explore.columns_of(frame, "bb", 20) == ["bb_upper", "bb_lower"]


def test_a_story_is_a_point_and_one_without_a_score_is_none() -> None:
    story = {"published_at": AT, "score": -0.5, "symbols": ["A"], "headline": "<b>bad</b>"}
    (points,) = figures.sentiments([story, {**story, "score": None}]).data
    assert (list(points.y), points.marker.color) == ([-0.5], (figures.shade(-0.5, 1.0),))
    assert points.text == ("A: &lt;b&gt;bad&lt;/b&gt;",)


def test_scores_are_a_line_for_each_series() -> None:
    rows = [{"symbol": s, "source": "x", "day": AT.date(), "score": 90.0 + n} for n, s in enumerate("AB")]
    assert [line.y for line in figures.scores(rows).data] == [(90.0,), (91.0,)]


FRAME = pl.DataFrame({"start": [AT, AT + timedelta(minutes=1)], "close": [2.0, 4.0], "sma_2": [None, 3.0]})


def test_an_expression_of_a_persons_own_is_a_column() -> None:
    assert explore.evaluated("close / sma_2 - 1", FRAME).to_list() == [None, pytest.approx(1 / 3)]
    assert explore.evaluated("close - lag(close) OVER (ORDER BY start)", FRAME).to_list() == [None, 2.0]
    assert explore.evaluated("max(close)", FRAME).to_list() == [4.0, 4.0]


@pytest.mark.parametrize(
    "text", ["nothing", "close +", "select 1", "close; drop", "'a'", "read_csv('/etc/passwd')", "((((", "💥"]
)
def test_an_expression_that_does_not_work_says_why(text: str) -> None:
    with pytest.raises(BadSetting):
        explore.evaluated(text, FRAME)


def test_measured_figures_are_rows() -> None:
    found = {
        "api_seconds_sum": [({"route": "bars"}, 3.0)],
        "api_seconds_count": [({"route": "bars"}, 4.0), ({"route": "idle"}, 0.0)],
        "spark_heap_bytes": [({}, 5e6)],
    }
    rows = {row["what"]: (row["of"], row["value"]) for row in machinery.measured(found)}  # type: ignore[arg-type]
    assert rows == {"Answer of the API": ("bars", "750 ms on average"), "Spark": ("", "5.0 MB")}
