"""Rows in words: numbers, ages, marks, and why a signal fired. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sparktrends.model import is_replayed, is_simulated
from sparktrends.sessions import calendar

_JOINER = "\u2060"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
STALE_S = 120.0
"""A live series that was silent for longer is shown as stale."""
REASONS: Mapping[str, str] = {
    "no_trade": "nobody traded",
    "feed_stale": "the feed was silent",
    "throttled": "the provider held us back",
    "partial_start": "we began in the middle of it",
}
"""Why a minute is empty or incomplete."""
FEEDS: Mapping[str | None, str] = {
    None: "trades",
    "no_trade": "quiet market",
    "feed_stale": "dead feed",
    "throttled": "held back by the provider",
    "partial_start": "just connected",
}
"""How a series stands, by the reason of its newest minute."""


def literal(text: object) -> str:
    """Text from outside, made harmless where Streamlit reads Markdown.

    >>> literal("[x](http://y) <b>")
    '\\\\[x\\\\]\\\\(http\\\\:\\u2060\\\\/\\\\/y\\\\) \\\\<b\\\\>'
    """
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(str(text).split()))
    # Bare addresses become links even so, because Markdown looks for them when the backslashes are gone: an invisible
    # joiner behind what they are known by stops that.
    return re.sub(r"\\[:.@]", lambda found: found.group() + _JOINER, escaped)


def cell(text: str) -> str:
    """Text from outside, made harmless where a spreadsheet reads formulas: a table of ours can be downloaded.

    >>> cell("=1+1"), cell("AAPL")
    ('\\u2060=1+1', 'AAPL')
    """
    return _JOINER + text if text.startswith(_FORMULA) else text


def untagged(text: object) -> str:
    """Text from outside, made harmless where Plotly reads tags."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def number(value: float | None, digits: int = 4) -> str:
    """A figure in as many digits as it needs.

    >>> number(1163.5), number(0.00012345), number(None)
    ('1,163.5', '0.0001234', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    return f"{value:.{digits}g}"


def percent(value: float | None) -> str:
    """A ratio as a signed percentage; – when it is not known.

    >>> percent(0.0123), percent(-0.00001), percent(None)
    ('+1.23%', '0.00%', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    shown = unsigned_zero(value, 4)
    return f"{shown:+.2%}" if shown else "0.00%"


def unsigned_zero(value: float, places: int) -> float:
    """The value; 0 where so many decimal places would show no more of it than a sign.

    >>> unsigned_zero(-0.004, 2), unsigned_zero(-0.006, 2)
    (0.0, -0.006)
    """
    return value if round(value, places) else 0.0


def size(count: float) -> str:
    """Bytes as people read them.

    >>> size(44_000_000)
    '44.0 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def age(seconds: float | None) -> str:
    """A length of time in its largest fitting unit.

    >>> age(0.4), age(75), age(7300), age(400_000)
    ('0 s', '75 s', '2 h', '5 days')
    """
    if seconds is None:
        return "never"
    for limit, unit, length in ((90, "s", 1), (5400, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def mark(source: str) -> str:
    """What must never be mistaken: ``simulated``, ``replayed``, or nothing for a live series (law 9)."""
    return "simulated" if is_simulated(source) else "replayed" if is_replayed(source) else ""


def freshness(row: Mapping[str, Any]) -> str:
    """How a series stands, from `board.series`: a recording is as fresh as its player, a live one as its clock."""
    seconds = _silence(row)
    if seconds is None:
        return "no data yet"
    return f"{'stale, ' if seconds > STALE_S else ''}{age(seconds)} ago"


def _silence(row: Mapping[str, Any]) -> float | None:
    # A recording's clock is of its own day, years ago.
    if mark(row["source"]):
        silent: float | None = row["silent_s"]
        return silent
    return max(row["age_s"] or 0.0, row["silent_s"] or 0.0)


def feed(row: Mapping[str, Any]) -> str:
    """What the newest word about a series is, from `board.feeds`: its clock's age says only that there was one.

    >>> row = {"source": "yahoo", "age_s": 2.0, "silent_s": 1.0, "exchange_closed": False, "reason": "feed_stale"}
    >>> feed(row), feed({**row, "exchange_closed": True}), feed({**row, "silent_s": 900.0})
    ('dead feed', 'exchange closed', 'nothing is taken in')
    """
    silence = _silence(row)
    if silence is None:
        return "no data yet"
    if silence > STALE_S:
        # Whatever was said last is no longer known to be so.
        return "nothing is taken in"
    return "exchange closed" if row["exchange_closed"] else FEEDS.get(row["reason"], str(row["reason"]))


def price_age(row: Mapping[str, Any]) -> str:
    """How long ago the newest price is, from `board.feeds`: for a recording by its own clock."""
    if row["last_price_at"] is None:
        return "none yet"
    seconds = row["price_age_s"]
    if mark(row["source"]):
        seconds = (row["clock_at"] - row["last_price_at"]).total_seconds()
    return f"{age(max(0.0, seconds))} ago"


def zone_of(name: str) -> tzinfo:
    """The zone of that name; UTC when there is none."""
    try:
        return ZoneInfo(name) if name and name != "UTC" else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def exchange_zone(symbol: str) -> str:
    """The zone of the exchange whose hours hold for a symbol; pairs are traded around the clock, in UTC.

    >>> exchange_zone("AAPL"), exchange_zone("7203.T"), exchange_zone("BTC/USD")
    ('America/New_York', 'Asia/Tokyo', 'UTC')
    """
    from sparktrends.sources.symbols import exchange_of  # here: it loads every provider, and few ask for this zone

    return calendar(exchange_of(symbol)).zone if symbol else "UTC"


def moment(at: datetime | None, zone: tzinfo = UTC) -> str:
    """A time of the zone, to the minute (to the second where it has any)."""
    if at is None:
        return "–"
    local = at.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S}" if local.second else f"{local:%Y-%m-%d %H:%M}"


def localised(rows: Sequence[Mapping[str, Any]], zone: tzinfo) -> list[dict[str, Any]]:
    """Rows whose times are the wall clock of a zone, without one: what Plotly draws as it is."""
    return [
        {name: v.astimezone(zone).replace(tzinfo=None) if isinstance(v, datetime) else v for name, v in row.items()}
        for row in rows
    ]


def why(row: Mapping[str, Any]) -> str:
    """Why a signal fired, from its ``detail``, in one sentence."""
    detail = row.get("detail") or {}
    figures = [
        f"{name} {number(detail[name])}" for name in ("value", "baseline", "scale") if detail.get(name) is not None
    ]
    if detail.get("bars"):
        figures.append(f"after {detail['bars']:,.0f} bars")
    score = f"score {number(abs(row['score']), 3)}, fires from {number(detail.get('threshold'), 3)}"
    measure = detail.get("measure") or str(row["name"]).replace("_", " ")
    return "; ".join(filter(None, (", ".join(figures), score, f"measured: {measure}")))


def evidence(found: object) -> str:
    """What made a score, as words: ``beats +0.4, misses -0.6``.

    >>> evidence([{"word": "beats", "weight": 0.4}]), evidence({"beats": 0.4}), evidence(None)
    ('beats 0.4', 'beats 0.4', '')
    """
    if isinstance(found, Mapping):
        parts = [" ".join(map(_plain, pair)) for pair in found.items()]
    elif isinstance(found, Sequence) and not isinstance(found, str):
        parts = [" ".join(map(_plain, one.values())) if isinstance(one, Mapping) else _plain(one) for one in found]
    else:
        return "" if found is None else str(found)
    return ", ".join(parts)


def _plain(value: object) -> str:
    return number(value, 3) if isinstance(value, float) else str(value)


def followed(bars: list[dict[str, Any]], start: datetime) -> str:
    """What happened after a signal, from the bars around it: change from its close, best and worst."""
    at = next((bar for bar in bars if bar["start"] >= start), None)
    after = [bar for bar in bars if bar["start"] > start]
    if at is None or not after:
        return "Nothing has followed yet."
    base = at["close"]
    top, bottom = max(bar["high"] for bar in after), min(bar["low"] for bar in after)
    return (
        f"In the {len(after)} bars that followed: {percent(after[-1]['close'] / base - 1)} at their end, "
        f"at best {percent(top / base - 1)}, at worst {percent(bottom / base - 1)}."
    )


def link(page: str, **words: str) -> str:
    """The address of a view of ours, relative to the dashboard.

    >>> link("market", symbol="BTC/USD")
    '/?page=market&symbol=BTC%2FUSD'
    """
    return f"/?{urlencode({'page': page, **words})}"
