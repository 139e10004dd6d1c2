"""Rows to figures: what is drawn is what the rows say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from sparktrends.serve.dashboard import figures
from sparktrends.serve.dashboard.screens import explore, quality

AT = datetime(2024, 5, 1, tzinfo=UTC)


def _series(symbol: str, source: str = "binance", change: float | None = 0.01) -> dict[str, Any]:
    return {"symbol": symbol, "source": source, "change": change, "signals": 0}


def test_heat_map_has_a_tile_for_each_series_below_its_kind() -> None:
    (tile,) = figures.heat_map([_series("A"), _series("B", "demo~sim", None)]).data
    assert list(tile.labels) == ["Live", "Simulated", "A", "B"]
    assert list(tile.parents) == ["", "", "Live", "Simulated"]
    assert tile.text[2:] == ("+1.00%", "+0.00%")


def test_two_sources_of_one_symbol_are_two_tiles() -> None:
    (tile,) = figures.heat_map([_series("A", "x"), _series("A", "y")]).data
    assert len(set(tile.ids)) == len(tile.ids) == 3


def test_a_name_with_tags_shows_as_text() -> None:
    (tile,) = figures.heat_map([_series("<b>x</b>")]).data
    assert tile.labels[1] == "&lt;b&gt;x&lt;/b&gt;"


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
    frame = explore.metrics_of(bars, {"sma": [10]})
    (name,) = explore.columns_of(frame, "sma", 10)
    assert frame[name].to_list()[-1] == sum(closes[-10:]) / 10


def test_bollinger_of_another_window_is_found_by_its_name() -> None:
    frame = pl.DataFrame({"bb_upper": [1.0], "bb_lower": [0.0], "bb_upper_50": [2.0], "bb_lower_50": [1.0]})
    assert explore.columns_of(frame, "bb", 50) == ["bb_upper_50", "bb_lower_50"]
    assert explore.columns_of(frame, "bb", 20) == ["bb_upper", "bb_lower"]
