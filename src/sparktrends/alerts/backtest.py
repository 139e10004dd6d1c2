"""Rules tried on history: by the same chain as live, so every alert they would have made has its live id.

A series is stepped from its first bar, whatever the span that is asked about: what rules remember and indicators
know at its beginning is then what they knew live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sparktrends.analysis.chain import Chain
from sparktrends.analysis.work import Floats, Ints, SeriesKey, SessionOf, Work
from sparktrends.commit import Sessions
from sparktrends.model import DAY, INTERVALS, MINUTE, alert_id
from sparktrends.rules import Rule

HORIZONS = (5, 15, 60)
"""Minutes after an alert at which the price is looked at."""
_CLOSE, _SESSION = 3, 6
_SCHEMA = {
    **dict.fromkeys(("rule", "source", "symbol", "interval"), pl.String),
    "start": pl.Int64,
    "close": pl.Float64,
    "lasted": pl.Int64,
    **{f"after_{minutes}": pl.Float64 for minutes in HORIZONS},
}


@dataclass(frozen=True, slots=True)
class History:
    """The final bars of one series that people see, oldest first: ``starts`` in µs UTC, ``rows`` (m, bar columns).

    The column of the session need not be filled.
    """

    key: SeriesKey
    starts: Ints
    rows: Floats


Load = Callable[[str], Iterable[History]]
"""The histories of one interval."""
NewsOf = Callable[[SeriesKey, Ints], Floats]
"""What was known of news (`rules.news.NEWS_NAMES`) before each of a series' bars, given their starts (µs UTC)."""


@dataclass(slots=True)
class Outcome:
    """What rules did on history.

    ``fired``: rule, source, symbol, interval, start (µs UTC), close, lasted (µs of event time until its condition
    ended, null where it never did), and after_5, after_15, after_60: the change of the price so many minutes later
    (0.01 = 1 %), null where nobody traded by then. ``days``: by rule, on how many days each series it watches had bars.
    ``bars`` counts those inside the span, of every interval.
    """

    rules: Sequence[Rule]
    fired: pl.DataFrame
    days: dict[str, dict[SeriesKey, int]] = field(default_factory=dict)
    bars: int = 0


def backtest(
    chains: Sequence[Chain],
    load: Load,
    since: int,
    until: int,
    news: NewsOf | None = None,
) -> Outcome:
    """Try the rules of each chain on the bars of its interval that start in [since, until), µs UTC.

    ``load`` is asked for each interval that has rules, and once for minutes, which the prices afterwards come from
    (where there are none, from the interval's own bars). ``news`` is asked for series whose rules name them; without
    it such rules do not fire.
    """
    used = [chain for chain in chains if chain.rules.rules]
    outcome = Outcome([rule for chain in used for rule in chain.rules.rules], pl.DataFrame(schema=_SCHEMA))
    prices: dict[SeriesKey, tuple[Ints, Floats]] = {}
    if all(chain.interval != "1m" for chain in used):
        prices = {history.key: _prices(history, MINUTE) for history in load("1m")}
    frames = [outcome.fired]
    # Minutes first: the prices after an alert of any interval come from them.
    for chain in sorted(used, key=lambda chain: INTERVALS[chain.interval]):
        session_of = Sessions(chain.interval)
        for history in load(chain.interval):
            if chain.interval == "1m":
                prices[history.key] = _prices(history, MINUTE)
            _count(outcome, chain, history, since, until)
            after = prices.get(history.key) or _prices(history, INTERVALS[chain.interval])
            frames += _firings(chain, _work(chain, history, session_of, news), after, since, until)
    outcome.fired = pl.concat(frames).sort("start", "rule", "source", "symbol")
    return outcome


def with_ids(fired: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows of ``Outcome.fired``, each with the ``id`` of its alert."""
    for row in fired.iter_rows(named=True):
        key = (row["rule"], row["source"], row["symbol"], row["interval"], row["start"])
        yield {"id": alert_id(*key), **row}


def _work(chain: Chain, history: History, session_of: SessionOf, news: NewsOf | None) -> Work:
    """All bars of a series, from the first one on."""
    starts, rows = tuple(history.starts.tolist()), history.rows.copy()
    rows[:, _SESSION] = [session_of(history.key, start) for start in starts]
    known = news(history.key, history.starts) if news and chain.reads_news(history.key) else None
    return Work(history.key, chain.new(), -1, starts, rows, news=known)


def _firings(chain: Chain, work: Work, after: tuple[Ints, Floats], since: int, until: int) -> Iterator[pl.DataFrame]:
    fired, ends = chain.fire(work)
    over = {(end.rule, end.start): work.starts[end.row] - end.start for end in ends}
    starts = np.array(work.starts, dtype=np.int64)
    fired &= ((starts >= since) & (starts < until))[:, None]
    for number, (rule, column) in enumerate(zip(chain.rules.rules, fired.T, strict=True)):
        if column.any():
            lasted = [over.get((number, start)) for start in starts[column].tolist()]
            yield _frame(rule, work, column, lasted, after)


def _frame(
    rule: Rule, work: Work, column: NDArray[np.bool_], lasted: list[int | None], after: tuple[Ints, Floats]
) -> pl.DataFrame:
    starts, closes = np.array(work.starts, dtype=np.int64)[column], work.rows[column, _CLOSE]
    ends = starts + INTERVALS[rule.interval]
    columns = {"start": starts, "close": closes}
    for minutes in HORIZONS:
        columns[f"after_{minutes}"] = _later(after, ends, minutes * MINUTE) / closes - 1
    source, symbol = work.key
    names = {"rule": rule.name, "source": source, "symbol": symbol, "interval": rule.interval}
    frame = pl.DataFrame(columns).with_columns(pl.lit(text).alias(name) for name, text in names.items())
    known = pl.Series("lasted", lasted, dtype=pl.Int64)
    return frame.fill_nan(None).with_columns(known).select(list(_SCHEMA))


def _later(prices: tuple[Ints, Floats], ends: Ints, later: int) -> Floats:
    """The close of the last bar that ended by then; NaN where none ended in the second half of that time."""
    known, closes = prices
    at = np.searchsorted(known, ends + later, side="right") - 1
    there = (at >= 0) & (known[at] > ends + later // 2)
    found: Floats = np.where(there, closes[at], np.nan)
    return found


def _prices(history: History, length: int) -> tuple[Ints, Floats]:
    return history.starts + length, history.rows[:, _CLOSE].copy()


def _count(outcome: Outcome, chain: Chain, history: History, since: int, until: int) -> None:
    inside = history.starts[(history.starts >= since) & (history.starts < until)]
    outcome.bars += len(inside)
    days = len(np.unique(inside // DAY))
    for rule, watched in zip(chain.rules.rules, chain.watches(history.key), strict=True):
        if watched and days:
            outcome.days.setdefault(rule.name, {})[history.key] = days
