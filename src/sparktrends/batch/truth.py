"""`batch truth`: a day of streamed bars against the bars of providers: price error, volume, missing minutes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date

from sparktrends.batch.minutes import Span, minutes_of
from sparktrends.model import kind_of, provider_of
from sparktrends.quality import Minute, Prices, Truth, truth_of
from sparktrends.store import quality_rows, truth_rows
from sparktrends.store.connect import Cursor
from sparktrends.store.quality_rows import SeriesRow
from sparktrends.store.session import Session


@dataclass(frozen=True, slots=True)
class Compared:
    """One series' day, ``against`` whose bars; None when nobody has bars of these minutes."""

    source: str
    symbol: str
    against: str | None
    truth: Truth

    @property
    def wrong(self) -> bool:
        """Whether its own provider contradicts it: another exchange's feed may differ and be right too."""
        return self.against == self.source and self.truth.contradictions > 0


def run(
    session: Session, day: date, now: int, symbols: Collection[str] = (), tapeless: Collection[str] = ()
) -> list[Compared]:
    """Compare the day (UTC) of every streamed series and store the result; run twice it changes nothing.

    ``symbols``: only these, all when empty. ``tapeless`` are providers that carry no trades. Raises Retryable while
    the database is away.
    """
    span = Span.of(day, now)
    found = []
    with session.transaction() as cursor:
        for series in quality_rows.series_known(cursor):
            alive = series.first < span.end and series.clock >= span.start
            if not alive or (symbols and series.symbol not in symbols) or provider_of(series.source) in tapeless:
                continue
            minutes = list(minutes_of(cursor, series, span, {}))
            if any(minute.own or minute.reason not in ("", "hole") for minute in minutes):
                against, beside = _beside(cursor, series, minutes, span)
                truth = truth_of(beside)
                truth_rows.save(cursor, truth_rows.TruthRow(series.id, day, against, **asdict(truth)), now)
                found.append(Compared(series.source, series.symbol, against, truth))
    return found


def _beside(
    cursor: Cursor, series: SeriesRow, minutes: Sequence[Minute], span: Span
) -> tuple[str | None, Sequence[Minute]]:
    """Whose bars the minutes are held against: its own provider's, else of those who have the symbol who has most."""
    if any(minute.provider for minute in minutes):
        return series.source, minutes
    given = truth_rows.provided(cursor, series.symbol, span.start, span.end)
    others = [source for source in given if kind_of(source) == kind_of(series.source)]
    other = max(others, key=lambda source: (len(given[source]), source), default=None)
    if other is None:
        return None, minutes
    theirs = {start: Prices(*prices) for start, prices in given[other].items()}
    return other, [replace(minute, provider=theirs.get(minute.start)) for minute in minutes]
