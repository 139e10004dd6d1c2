"""Checks over the prices of many minutes: jumps that come back at once, and moves that one source alone saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import log
from statistics import median

from sparktrends.model import MINUTE
from sparktrends.quality.checks import Minute, Prices

_JUMP = 0.02
_MOVE = 0.005
_RARE = 12.0
"""So many typical moves of a minute: a jump that the series' own day makes improbable, whatever its volatility."""
_SEEN = 0.25


def jumps(minutes: Sequence[Minute]) -> set[int]:
    """Starts of minutes whose high or low stands far off both the close before and the close after."""
    priced = [(m.start, m.shown) for m in minutes if m.shown is not None]
    limit = max(_JUMP, _RARE * _typical([bar for _, bar in priced]))
    found = set()
    for (_, before), (start, bar), (_, after) in zip(priced, priced[1:], priced[2:], strict=False):
        above = log(bar.high / max(before.close, after.close))
        below = log(min(before.close, after.close) / bar.low)
        if max(above, below) > limit:
            found.add(start)
    return found


def uncorroborated(sources: Mapping[str, Sequence[Minute]]) -> dict[str, set[int]]:
    """Per source of one market the starts of minutes whose move no other source saw that has prices there.

    A source that is alone is never doubted: nobody can say.
    """
    moves = {source: dict(_moves(minutes)) for source, minutes in sources.items()}
    limits = {source: max(_MOVE, _RARE * _middle(list(of.values()))) for source, of in moves.items()}
    doubted: dict[str, set[int]] = {source: set() for source in sources}
    for source, of in moves.items():
        for start, move in of.items():
            if abs(move) > limits[source]:
                others = [moves[o][start] for o in moves if o != source and start in moves[o]]
                # With its sign: a move the other way is no witness.
                if others and all(other * move < _SEEN * move * move for other in others):
                    doubted[source].add(start)
    return doubted


def market_of(symbol: str) -> str:
    """What sources are compared about, and what news speak of: the dollar's coins follow it within the tolerance of
    `uncorroborated`. The queries of `store.trends` and `store.known_news` say the same in SQL.

    >>> market_of("BTC/USDT"), market_of("AAPL")
    ('BTC/USD', 'AAPL')
    """
    base, slash, quote = symbol.partition("/")
    return f"{base}/USD" if slash and quote in ("USDT", "USDC") else symbol


def _moves(minutes: Sequence[Minute]) -> Iterator[tuple[int, float]]:
    """Of each minute that follows its neighbour without a gap, the logarithm of its close to the one before."""
    for before, minute in pairwise(minutes):
        if before.shown and minute.shown and minute.start - before.start == MINUTE:
            yield minute.start, log(minute.shown.close / before.shown.close)


def _typical(bars: Sequence[Prices]) -> float:
    return _middle([log(bar.high / bar.low) for bar in bars])


def _middle(values: Sequence[float]) -> float:
    return median(map(abs, values)) if values else 0.0
