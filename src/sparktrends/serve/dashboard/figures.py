"""Rows to Plotly figures. Pure: no Streamlit, no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import plotly.graph_objects as go

from sparktrends.serve.dashboard.words import REASONS, mark, percent, untagged

Rows = Sequence[Mapping[str, Any]]
UP, DOWN, SOFT = "#0f9d7a", "#d64550", "#8193a5"
STILL = {"displayModeBar": False}
"""Plotly's settings for figures without a tool bar."""
HUES = ("#3b82f6", "#f59e0b", "#a855f7", "#ec4899", "#14b8a6", "#84cc16", "#f97316", "#6366f1")
_REASON_HUES = {None: "#0f9d7a", "no_trade": "#9fb3c8", "feed_stale": "#d64550", "throttled": "#f59e0b"}
_HOUR = 3_240_000
"""The width of a bar of an hour, in milliseconds as Plotly wants it, with a little air."""
_NONE = "rgba(0,0,0,0)"
_PAD = {"t": 20, "l": 1, "r": 1, "b": 1}
_HALF_A_DAY = timedelta(hours=12)
_CLEAR = {"paper_bgcolor": _NONE, "plot_bgcolor": _NONE}


def heat_map(rows: Rows) -> go.Figure:
    """One tile a series, by kind of data and sector; its colour the change of a day, full at ±5 %."""
    groups = [(mark(row["source"]).capitalize() or "Live", sector(row)) for row in rows]
    kinds, sectors = sorted({kind for kind, _ in groups}), sorted(set(groups))
    changes = [row["change"] or 0.0 for row in rows]
    branches = len(kinds) + len(sectors)
    tile = go.Treemap(
        # Ids must differ where labels do not: joined by a sign that no name may hold.
        ids=[*kinds, *map("\n".join, sectors), *(f"{row['source']}\n{row['symbol']}" for row in rows)],
        labels=[*kinds, *(untagged(name) for _, name in sectors), *(untagged(row["symbol"]) for row in rows)],
        parents=[*("" for _ in kinds), *(kind for kind, _ in sectors), *map("\n".join, groups)],
        values=[0] * branches + [1] * len(rows),
        text=[""] * branches + [percent(row["change"]) for row in rows],
        textinfo="label+text",
        hoverinfo="label+text",
        marker={"colors": [*([_NONE] * branches), *map(shade, changes)], "cornerradius": 3, "pad": _PAD},
        textfont={"color": [SOFT] * branches + ["white"] * len(rows)},
        root={"color": _NONE},
        pathbar={"visible": False},
        tiling={"pad": 2},
    )
    return go.Figure(tile, {**_layout(230), "margin": {"l": 0, "r": 0, "t": 0, "b": 0}})


def sector(row: Mapping[str, Any]) -> str:
    """The company's sector; pairs have none, they are named by what they are quoted in.

    >>> sector({"symbol": "AAPL", "sector": "Technology"}), sector({"symbol": "BTC/USD", "sector": None})
    ('Technology', 'Pairs in USD')
    """
    _, slash, quote = row["symbol"].rpartition("/")
    return row.get("sector") or (f"Pairs in {quote}" if slash else "No sector known")


def sentiments(rows: Rows) -> go.Figure:
    """A point for each scored story over time, green above and red below neutral."""
    scored = [row for row in rows if row["score"] is not None]
    figure = go.Figure(layout=_layout(180))
    figure.add_scatter(
        x=[row["published_at"] for row in scored],
        y=[row["score"] for row in scored],
        text=[untagged(f"{', '.join(row['symbols'])}: {row['headline'][:90]}") for row in scored],
        mode="markers",
        marker={"color": [shade(row["score"], 1.0) for row in scored], "size": 9},
        hovertemplate="%{text}<br>%{y:+.2f}<extra></extra>",
    )
    figure.update_layout(yaxis={"range": [-1.05, 1.05], "nticks": 5, "side": "right"}, showlegend=False)
    return figure


def scores(rows: Rows) -> go.Figure:
    """Quality scores of each series, day by day."""
    figure = go.Figure(layout=_layout(260))
    names = sorted({(row["symbol"], row["source"]) for row in rows})
    for n, (symbol, source) in enumerate(names):
        of = sorted((row["day"], row["score"]) for row in rows if (row["symbol"], row["source"]) == (symbol, source))
        hue = HUES[n % len(HUES)]
        x, y = [day for day, _ in of], [score for _, score in of]
        figure.add_scatter(x=x, y=y, name=untagged(f"{symbol} · {source}"), mode="lines+markers", line={"color": hue})
    figure.update_layout(yaxis={"range": [0, 102], "title": "score", "side": "right"}, showlegend=len(names) <= 12)
    figure.update_layout(legend=_ABOVE)
    if days := sorted({row["day"] for row in rows}):
        figure.update_xaxes(type="date", tickformat="%-d %b %Y", range=_around(days))
        if len(days) < 10:
            figure.update_xaxes(tickvals=days)
    return figure


def _around(days: Sequence[date]) -> list[datetime]:
    """From half a day before the first to half a day after the last: one day alone is no span."""
    first, last = (datetime.combine(day, time(), UTC) for day in (days[0], days[-1]))
    return [first - _HALF_A_DAY, last + _HALF_A_DAY]


def shade(change: float, full: float = 0.05) -> str:
    """Grey at no change, towards green or red as it grows; full at ``full``.

    >>> shade(0.0), shade(0.05), shade(-9.0)
    ('rgb(93,109,124)', 'rgb(15,157,122)', 'rgb(214,69,80)')
    """
    share = min(abs(change) / full, 1.0)
    end = (15, 157, 122) if change > 0 else (214, 69, 80)
    mixed = (round(grey + (color - grey) * share) for grey, color in zip((93, 109, 124), end, strict=True))
    return f"rgb({','.join(map(str, mixed))})"


def candles(bars: Rows, marked: Any = None) -> go.Figure:
    """Candles and volume; ``marked`` is the start of the bar to point at."""
    x = [bar["start"] for bar in bars]
    prices = {name: [bar[name] for bar in bars] for name in ("open", "high", "low", "close")}
    figure = go.Figure(layout=_layout(360))
    figure.add_candlestick(x=x, **prices, increasing_line_color=UP, decreasing_line_color=DOWN, name="price")
    colors = [UP if bar["close"] >= bar["open"] else DOWN for bar in bars]
    figure.add_bar(x=x, y=[bar["volume"] for bar in bars], yaxis="y2", marker_color=colors, opacity=0.5, name="volume")
    figure.update_layout(
        xaxis_rangeslider_visible=False,
        xaxis_anchor="y2",
        yaxis={"domain": [0.25, 1], "side": "right"},
        yaxis2={"domain": [0, 0.2], "side": "right", "nticks": 3},
        showlegend=False,
        hovermode="x",
    )
    if marked is not None:
        figure.add_vline(x=marked, line_dash="dot", line_color=HUES[1])
    return figure


def lines(frame_x: Sequence[Any], named: Mapping[str, Sequence[float | None]], height: int = 220) -> go.Figure:
    """Some named columns over time, in one picture."""
    figure = go.Figure(layout=_layout(height))
    for n, (name, values) in enumerate(named.items()):
        style = {"color": HUES[n % len(HUES)], "width": 1.5}
        figure.add_scatter(x=list(frame_x), y=list(values), name=untagged(name), mode="lines", line=style)
    figure.update_layout(hovermode="x unified", yaxis_side="right", showlegend=True, legend=_ABOVE)
    return figure


def minutes_by_reason(rows: Rows) -> go.Figure:
    """Minutes that lack something, an hour, by reason."""
    figure = go.Figure(layout=_layout(260))
    for reason, title in REASONS.items():
        chosen = _summed(rows, "hour", "minutes", lambda row, reason=reason: row["reason"] == reason)
        if chosen:
            hue = _REASON_HUES.get(reason, HUES[2])
            figure.add_bar(x=list(chosen), y=list(chosen.values()), name=title, marker_color=hue, width=_HOUR)
    figure.update_layout(barmode="stack", yaxis_title="minutes", showlegend=True, legend=_ABOVE, hovermode="x unified")
    return figure


def counts(rows: Rows, value: str, by: str, title: str) -> go.Figure:
    """Bars an hour, stacked by a column."""
    figure = go.Figure(layout=_layout(220))
    for n, name in enumerate(sorted({row[by] for row in rows})):
        chosen = _summed(rows, "hour", value, lambda row, name=name: row[by] == name)
        hue = HUES[n % len(HUES)]
        figure.add_bar(x=list(chosen), y=list(chosen.values()), name=untagged(name), marker_color=hue, width=_HOUR)
    figure.update_layout(barmode="stack", yaxis_title=title, showlegend=True, legend=_ABOVE)
    return figure


def pulse(rows: Rows) -> go.Figure:
    """Commits a second and the bars they changed."""
    figure = go.Figure(layout=_layout(220))
    x = [row["at"] for row in rows]
    figure.add_bar(x=x, y=[row["bars"] for row in rows], name="bars changed", marker_color=HUES[0], opacity=0.6)
    commits = [row["commits"] for row in rows]
    step = max(1, -(-max(commits, default=0) // 4))  # whole numbers at four lines, not halves rounded
    figure.add_scatter(x=x, y=commits, name="commits", mode="lines", line_color=HUES[1], yaxis="y2")
    figure.update_layout(
        yaxis={"title": "bars a second", "rangemode": "tozero"},
        yaxis2={"title": "commits a second", "overlaying": "y", "side": "right", "rangemode": "tozero"},
        yaxis2_showgrid=False,
        yaxis2_dtick=step,
        showlegend=True,
        legend=_ABOVE,
        hovermode="x unified",
    )
    return figure


_ABOVE = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}


def _summed(rows: Rows, at: str, value: str, fits: Any) -> dict[Any, float]:
    total: dict[Any, float] = {}
    for row in rows:
        if fits(row):
            total[row[at]] = total.get(row[at], 0) + (row[value] or 0)
    return dict(sorted(total.items()))


def _layout(height: int) -> dict[str, Any]:
    return {"height": height, "margin": {"l": 8, "r": 8, "t": 26, "b": 8}, **_CLEAR}
