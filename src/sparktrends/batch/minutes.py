"""The minutes of a day of one series as they are stored: what quality and truth judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain

from sparktrends.batch.plan import day_start
from sparktrends.model import DAY, MINUTE, SECOND, is_replayed, is_simulated
from sparktrends.quality import Counts, Minute, Prices
from sparktrends.sessions import ALWAYS, calendar
from sparktrends.sources.symbols import exchange_of
from sparktrends.store import quality_rows as rows
from sparktrends.store.connect import Cursor

_SETTLED = 30 * SECOND


@dataclass(frozen=True, slots=True)
class Span:
    """A day from ``start`` to ``end`` (µs); it ends at ``now`` if it is not over."""

    day: date
    start: int
    end: int

    @classmethod
    def of(cls, day: date, now: int) -> Span:
        """The span of a UTC day."""
        start = day_start(day)
        return cls(day, start, min(start + DAY, _last_final(now)))


def minutes_of(
    cursor: Cursor, series: rows.SeriesRow, span: Span, counts: Mapping[tuple[str, str, int], Counts]
) -> Iterator[Minute]:
    """Every minute of the day in which the market was open or there were trades, from the first that was known of the
    series on: the bars with which a new symbol begins lie before it, and one in whose midst it began is not counted.

    ``counts`` by source, symbol and minute is what the log says of a minute's records; it may be empty.
    """
    stored = {row.start: row for row in rows.minutes(cursor, series.id, span.start, span.end)}
    closed = set(
        chain.from_iterable(_each(a, b) for a, b in rows.closed_spans(cursor, series.id, span.start, span.end))
    )
    # Made-up and recorded markets end where they end, and trade at any hour.
    real = not is_simulated(series.source) and not is_replayed(series.source)
    hours = calendar(exchange_of(series.symbol) if real else ALWAYS)
    for start in _each(max(series.first, span.start), span.end if real else min(span.end, _last_final(series.clock))):
        row = stored.get(start)
        counted = counts.get((series.source, series.symbol, start), Counts())
        if row is not None and start == series.first and row.reason == "partial_start":
            continue
        # Providers have bars from before the bell, which nobody listened for: only trades show that a minute counts.
        if row is not None and (row.own or hours.at(start).trading):
            yield Minute(start, row.reason, _prices(row.own), _prices(row.provider), counted, row.trades)
        elif row is None and start not in closed and hours.at(start).trading:
            yield Minute(start, "hole", counts=counted)


def _prices(cells: Sequence[float] | None) -> Prices | None:
    return None if cells is None else Prices(*cells)


def _last_final(clock: int) -> int:
    """The end of the minutes that are final at a time: of newer ones nobody can say what they lack."""
    return (clock - _SETTLED) // MINUTE * MINUTE


def _each(start: int, end: int) -> Iterable[int]:
    return range(start, end, MINUTE)
