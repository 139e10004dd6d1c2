"""Words and numbers of a report, the same in every form of it."""

from __future__ import annotations

from collections.abc import Sequence

from sparktrends.batch.trends import Trend
from sparktrends.model import is_replayed, is_simulated

_MOVING = frozenset(("surge", "plunge", "rise", "fall"))
_LONG = 200
MOVERS = 10
"""Movers that a report explains."""


def movers(trends: Sequence[Trend]) -> list[Trend]:
    """Whose price moved more than usual, the biggest first; of the series of one market (they share a rank) one."""
    return _one_each([trend for trend in trends if trend.tag in _MOVING])[:MOVERS]


def _one_each(trends: Sequence[Trend]) -> list[Trend]:
    """The first series of each market by rank; whoever has no rank stands alone, at the end."""
    first: dict[int, Trend] = {}
    for trend in trends:
        if trend.rank is not None:
            first.setdefault(trend.rank, trend)
    return [first[rank] for rank in sorted(first)] + [trend for trend in trends if trend.rank is None]


def sentence(trends: Sequence[Trend]) -> str:
    """The day in one line.

    >>> sentence([])
    'no symbol has a bar of this day'
    """
    if not trends:
        return "no symbol has a bar of this day"
    markets = _one_each(trends)
    known = [trend.return_ for trend in markets if trend.return_ is not None]
    up, down = sum(share > 0 for share in known), sum(share < 0 for share in known)
    moved = len(_one_each([trend for trend in trends if trend.tag in _MOVING]))
    symbols = f"{len(markets)} {'symbol' if len(markets) == 1 else 'symbols'}"
    return f"{symbols}, {up} up and {down} down, {moved or 'none'} moved more than usual"


def headlines_of(trend: Trend) -> list[tuple[str, float]]:
    """The headlines among a trend's evidence, made plain, with their scores."""
    told = [part for part in trend.evidence if part.get("what") == "headline"]
    return [(plain(str(part.get("text", ""))), float(part.get("value") or 0.0)) for part in told]


def made_up(source: str) -> bool:
    """Whether the series is simulated or replayed."""
    return is_simulated(source) or is_replayed(source)


def plain(text: str, most: int = _LONG) -> str:
    """One line without control characters (also those that turn the direction of text), cut where it is long.

    >>> plain("up\\x1b[2J\\n5 %\\u202e evil")
    'up [2J 5 % evil'
    """
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text[: 4 * most]).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def share(value: float | None) -> str:
    """A share as per cent with its sign: +6.2 %."""
    return "" if value is None else f"{100 * value:+.1f} %".replace("-0.0 %", "+0.0 %")


def number(value: float | None, places: int | None = None) -> str:
    """A number as people read it; a price keeps its significant digits.

    >>> number(1234.5), number(0.000123), number(-0.04, 1), number(None)
    ('1,234.50', '0.000123', '0.0', '')
    """
    if value is None:
        return ""
    if places is None:
        return f"{value:,.2f}" if abs(value) >= 1 or value == 0 else f"{value:.4g}"
    return f"{value:.{places}f}".replace("-0." + "0" * places, "0." + "0" * places)
