"""The report of a backtest as one HTML file: charts by Plotly, whose code is inside; nothing is loaded from afar."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from sparktrends.alerts.backtest import HORIZONS
from sparktrends.alerts.backtest_report import length

_SYMBOLS = 40  # the bars of more are too thin to be read
_INK, _FILL, _GRID = "#1f2937", "#2563eb", "#e5e7eb"
_NO_OUTSIDE = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
_STYLE = f"""
:root {{ color-scheme: light; }}
body {{ font: 15px/1.5 system-ui, sans-serif; color: {_INK}; background: #fff; max-width: 1100px; margin: 2rem auto;
       padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; margin: 0; }} h2 {{ font-size: 1.15rem; margin: 2.5rem 0 0; }}
code {{ background: #f3f4f6; padding: .1em .35em; border-radius: 4px; overflow-wrap: anywhere; }}
.quiet {{ color: #6b7280; }} .charts {{ display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); }}
.charts > div {{ min-width: 0; }} .scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; margin: .75rem 0; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: right; padding: .3rem .6rem; border-bottom: 1px solid {_GRID}; white-space: nowrap; }}
th:first-child, td:first-child {{ text-align: left; }} th {{ font-weight: 600; }}
"""


def page(found: Mapping[str, Any]) -> str:
    """The whole page of a `backtest_report.report`."""
    span = f"{found['from'][:10]} to {found['to'][:10]}, UTC"
    body = [
        "<h1>Alert rules on history</h1>",
        f'<p class="quiet">{found["bars"]:,} bars of {found["symbols"]} symbols, {span}. '
        f"{found['alerts']:,} alerts. Changes of the price are from the close of the bar that fired.</p>",
        _overview(found["rules"]),
        *(_section(rule) for rule in found["rules"]),
    ]
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_NO_OUTSIDE}">'
        '<meta name="viewport" content="width=device-width"><title>Alert rules on history</title>'
        f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script>"
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'


def _overview(rules: Sequence[Mapping[str, Any]]) -> str:
    later = (f"{minutes} min later" for minutes in HORIZONS)
    heads = ("Rule", "Interval", "Alerts", "A symbol and day", "Lasts (median)", *later)
    rows = (
        (
            rule["rule"],
            rule["interval"],
            f"{rule['alerts']:,}",
            f"{rule['per_symbol_and_day']:.3f}",
            length(rule["lasted"]["median_s"]),
            *(_move(rule["after"][str(minutes)]) for minutes in HORIZONS),
        )
        for rule in rules
    )
    return _table(heads, rows)


def _section(rule: Mapping[str, Any]) -> str:
    title = f"<h2>{escape(rule['rule'])}</h2><p><code>{escape(rule['when'])}</code></p>"
    if not rule["alerts"]:
        return f'{title}<p class="quiet">It would not have fired.</p>'
    charts = "".join(map(_chart, (_by_day(rule), _by_symbol(rule), _afterwards(rule))))
    examples = "".join(f"<h3>{word.title()}</h3>{_examples(rule[word])}" for word in ("best", "worst"))
    return f'{title}<div class="charts">{charts}</div>{examples}'


def _by_day(rule: Mapping[str, Any]) -> go.Figure:
    days, numbers = zip(*rule["by_day"], strict=True)
    return _figure("Alerts a day", go.Bar(x=days, y=numbers, marker_color=_FILL))


def _by_symbol(rule: Mapping[str, Any]) -> go.Figure:
    shown = rule["by_symbol"][:_SYMBOLS]
    names = [escape(f"{symbol} {source}") for source, symbol, _ in shown]
    more = len(rule["by_symbol"]) - len(shown)
    title = f"Alerts a symbol (the {_SYMBOLS} with most)" if more else "Alerts a symbol"
    return _figure(title, go.Bar(x=names, y=[number for *_, number in shown], marker_color=_FILL))


def _afterwards(rule: Mapping[str, Any]) -> go.Figure:
    """The median change, and the middle 80 % as its whiskers."""
    known = [(f"{minutes} min", rule["after"][str(minutes)]) for minutes in HORIZONS]
    known = [(name, after) for name, after in known if after["known"]]
    medians = [after["median"] for _, after in known]
    whiskers = {
        "type": "data",
        "symmetric": False,
        "array": [after["high"] - after["median"] for _, after in known],
        "arrayminus": [after["median"] - after["low"] for _, after in known],
        "color": _FILL,
    }
    marks = go.Scatter(
        x=[name for name, _ in known], y=medians, error_y=whiskers, mode="markers", marker={"size": 10, "color": _FILL}
    )
    figure = _figure("Change of the price: median and middle 80 %", marks)
    return figure.update_yaxes(tickformat="+.2%", zeroline=True, zerolinecolor=_INK)


def _figure(title: str, trace: Any) -> go.Figure:
    figure = go.Figure(trace)
    figure.update_layout(
        title={"text": title, "font": {"size": 14}},
        font={"family": "system-ui, sans-serif", "color": _INK},
        plot_bgcolor="#fff",
        paper_bgcolor="#fff",
        height=300,
        margin={"l": 50, "r": 15, "t": 45, "b": 40},
    )
    return figure.update_yaxes(gridcolor=_GRID, rangemode="tozero").update_xaxes(showgrid=False)


def _chart(figure: go.Figure) -> str:
    config = {"displayModeBar": False, "responsive": True, "plotlyServerURL": ""}
    drawn: str = to_html(figure, full_html=False, include_plotlyjs=False, config=config)
    return drawn


def _examples(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = ("Symbol", "Bar, UTC", "Close", "Lasted", *(f"{minutes} min later" for minutes in HORIZONS), "Id")
    cells = (
        (
            f"{row['symbol']} ({row['source']})",
            row["start"][:16].replace("T", " "),
            f"{row['close']:,.6g}",
            length(row["lasted_s"]),
            *(_share(row[f"after_{minutes}"]) for minutes in HORIZONS),
            row["id"],
        )
        for row in rows
    )
    return _table(heads, cells)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _move(after: Mapping[str, Any]) -> str:
    return "–" if after["mean"] is None else f"{after['mean']:+.2%}, {after['up']:.0%} up"


def _share(change: float | None) -> str:
    return "–" if change is None else f"{change:+.2%}"
