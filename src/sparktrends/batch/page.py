"""The report as one HTML page: styles and plots inside, no script, nothing from any other host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from html import escape

from sparktrends.batch.plots import move_bars, spark_line
from sparktrends.batch.trends import HISTORY, Trend
from sparktrends.batch.wording import headlines_of, made_up, movers, number, plain, sentence, share
from sparktrends.model import is_simulated

Closes = Mapping[tuple[str, str], Sequence[tuple[date, float]]]
"""By source and symbol, the closes up to the day, oldest first."""

# The page may run nothing and load nothing, whatever a headline says.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --ink: #16202b; --soft: #5c6b7a; --line: #dde3ea; --page: #f6f8fa; --card: #fff;
  --up: #0b7d61; --down: #c23540; --note: #fff6df }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa7b4; --line: #2c3640; --page: #0f151b;
  --card: #172029; --up: #35c79c; --down: #ff7b80; --note: #3a3117 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 17px; margin: 32px 0 12px }
.lead, small, .source { color: var(--soft) } .lead { margin: 4px 0 0 }
.note { background: var(--note); border-radius: 8px; padding: 8px 14px; margin: 12px 0 }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 16px; overflow-x: auto }
.movers { display: grid; grid-template-columns: repeat(auto-fill, minmax(310px, 1fr)); gap: 14px; margin-top: 14px }
.movers h3 { margin: 0; font-size: 16px; display: flex; justify-content: space-between; align-items: center; gap: 8px }
.movers p { margin: 6px 0 } .movers ul { margin: 8px 0 0; padding: 0; list-style: none; font-size: 13.5px }
.movers li { padding: 5px 0; border-top: 1px solid var(--line); overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: 13px } th, td { padding: 7px 10px }
td { border-top: 1px solid var(--line); vertical-align: middle } .n { text-align: right; white-space: nowrap }
.up { color: var(--up) } .down { color: var(--down) } .tag { font-size: 13px; white-space: nowrap }
.made { border: 1px solid var(--line); border-radius: 6px; padding: 0 6px; font-size: 12px; color: var(--soft) }
svg { display: block; max-width: 100% } svg text { fill: var(--ink); font-size: 13px } .axis { stroke: var(--line) }
.bars { max-width: 640px } rect.up { fill: var(--up) } rect.down { fill: var(--down) }
.spark { fill: none; stroke-width: 1.6; flex: none }
.spark.up { stroke: var(--up) } .spark.down { stroke: var(--down) }
.spark.up circle { fill: var(--up) } .spark.down circle { fill: var(--down) }
"""
_HEAD = (
    ("#", "n"), ("symbol", ""), ("close", "n"), ("day", "n"), ("unusual", "n"), ("10 days", "n"), ("volume", "n"),
    ("stories", "n"), ("mood", "n"), ("tag", ""), (f"{HISTORY} days", ""),
)  # fmt: skip


def html(day: date, trends: Sequence[Trend], closes: Closes, notes: Sequence[str] = ()) -> str:
    """The page; ``closes`` are what the plots show, ``notes`` what is missing or odd about the day."""
    told = movers(trends)
    moves = sorted(((t.symbol, t.return_) for t in told if t.return_ is not None), key=lambda move: -move[1])
    body = [
        f"<h1>Trends of {day}</h1>",
        f'<p class="lead">{escape(sentence(trends))}</p>',
        *(f'<p class="note">{escape(plain(note))}</p>' for note in notes),
    ]
    if told:
        body += [f'<h2>Movers</h2><div class="card">{move_bars(moves)}</div><div class="movers">']
        body += [_card(trend, closes) for trend in told] + ["</div>"]
    if trends:
        body.append(f'<h2>Every symbol</h2><div class="card"><table>{_head()}')
        body += [_line(trend, closes) for trend in trends] + ["</table></div>", _legend()]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Trends of {day}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _card(trend: Trend, closes: Closes) -> str:
    told = "".join(
        f'<li>{escape(text)} <small class="{_kind(value)}">{value:+.2f}</small></li>'
        for text, value in headlines_of(trend)
    )
    return (
        f'<article class="card"><h3><span>{escape(trend.symbol)} {_series(trend)}</span>{_spark(trend, closes)}</h3>'
        f"<p>{escape(plain(trend.summary))}</p>"
        f"{f'<ul>{told}</ul>' if told else ''}</article>"
    )


def _head() -> str:
    return "<tr>" + "".join(f'<th class="{kind}">{name}</th>' for name, kind in _HEAD) + "</tr>"


def _line(trend: Trend, closes: Closes) -> str:
    momentum = trend.momentum / 100 if trend.momentum is not None else None
    cells = (
        str(trend.rank or ""),
        f"{escape(trend.symbol)} {_series(trend)}",
        number(trend.close),
        f'<span class="{_kind(trend.return_)}">{share(trend.return_)}</span>',
        number(trend.return_z, 1),
        share(momentum),
        f"{number(trend.volume_ratio, 1)}×" if trend.volume_ratio is not None else "",
        str(trend.headlines or ""),
        f'<span class="{_kind(trend.sentiment)}">{number(trend.sentiment, 2)}</span>',
        f'<span class="tag">{escape(plain(trend.tag))}</span>',
        _spark(trend, closes),
    )
    return "<tr>" + "".join(f'<td class="{k}">{c}</td>' for c, (_, k) in zip(cells, _HEAD, strict=True)) + "</tr>"


def _legend() -> str:
    return (
        "<p><small>unusual: the day's return in robust deviations of the days before (median, 1.4826 · MAD); "
        "volume: a multiple of its usual; mood: mean sentiment of the stories, −1 to 1.</small></p>"
    )


def _series(trend: Trend) -> str:
    if not made_up(trend.source):
        return f'<small class="source">{escape(plain(trend.source))}</small>'
    return f'<span class="made">{"simulated" if is_simulated(trend.source) else "replayed"}</span>'


def _spark(trend: Trend, closes: Closes) -> str:
    return spark_line([close for _, close in closes.get((trend.source, trend.symbol), ())][-HISTORY:])


def _kind(value: float | None) -> str:
    return "" if not value else "up" if value > 0 else "down"
