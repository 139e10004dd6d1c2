"""Checks over the prices of many minutes: jumps that come back at once, and moves that one source alone saw."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
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
    """Starts of minutes whose high or low stands far off both the close before and the close after; at either end,
    where there is none, off the minute's own open or close."""
    priced = [(m.start, m.shown) for m in minutes if m.shown is not None]
    limit = max(_JUMP, _RARE * _typical([bar for _, bar in priced]))
    befores = [bar.open for _, bar in priced[:1]] + [bar.close for _, bar in priced[:-1]]
    afters = [bar.close for _, bar in priced[1:] + priced[-1:]]
    found = set()
    for before, (start, bar), after in zip(befores, priced, afters, strict=True):
        above = log(bar.high / max(before, after))
        below = log(min(before, after) / bar.low)
        if max(above, below) > limit:
            found.add(start)
    return found


def uncorroborated(sources: Mapping[str, Sequence[Minute]], tapeless: Collection[str] = ()) -> dict[str, set[int]]:
    """Per source of one market the starts of minutes whose move no other source saw that has prices there.

    A source that is alone is never doubted: nobody can say. ``tapeless`` are those that carry no trades.
    """
    moves = {source: dict(_moves(minutes, tape=source not in tapeless)) for source, minutes in sources.items()}
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


def _moves(minutes: Sequence[Minute], *, tape: bool) -> Iterator[tuple[int, float]]:
    """Of each minute that follows its neighbour without a gap, the logarithm of its close to the one before."""
    # The last price of who looked away may be from before the move.
    seen = [minute for minute in minutes if not minute.is_partial(tape=tape)]
    for before, minute in pairwise(seen):
        if before.shown and minute.shown and minute.start - before.start == MINUTE:
            yield minute.start, log(minute.shown.close / before.shown.close)


def _typical(bars: Sequence[Prices]) -> float:
    return _middle([log(bar.high / bar.low) for bar in bars])


def _middle(values: Sequence[float]) -> float:
    return median(map(abs, values)) if values else 0.0
