"""`batch quality`: judge a day of every series by what is stored and what the log still holds of it."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date

from sparktrends.batch.minutes import Span, minutes_of
from sparktrends.batch.told import told_by
from sparktrends.bus.codec import decode
from sparktrends.bus.kafka import Connection, Reader
from sparktrends.bus.topics import RAW_TRADES
from sparktrends.errors import BadRecord, BadSetting
from sparktrends.model import DAY, MINUTE, kind_of, provider_of
from sparktrends.quality import Coverage, Day, Judged, Tally, coverage, day_of, judged, market_of, uncorroborated
from sparktrends.sources import PROVIDERS, make_source
from sparktrends.store import quality_rows as rows
from sparktrends.store.archive import archived_months
from sparktrends.store.connect import Cursor
from sparktrends.store.session import Session

_log = logging.getLogger(__name__)
_SLACK = 15 * MINUTE
"""What belongs to a day may be appended so much later: the grace."""
# A string to its end, and the quote that ends it: linear on anything.
_WORD = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)("?)', re.DOTALL)
_MOST = 5_000_000
"""Records of the log that are read, about a minute's work: of a busier day the newest ones."""
_GIVEN_UP = 7 * DAY
"""A live series that says nothing for longer is not missed any more: somebody ended it."""


@dataclass(frozen=True, slots=True)
class Quality:
    """One judged day of one series; ``points`` were lost, by check. ``coverage`` is its part of the volume that the
    source ``against`` has; None where no other source has any."""

    source: str
    symbol: str
    score: float
    minutes: int
    points: Mapping[str, float]
    coverage: float | None = None
    against: str = ""


@dataclass(frozen=True, slots=True)
class _Series:
    """One series of the day: its minutes as judged, and how it stands beside the other sources of its market."""

    row: rows.SeriesRow
    minutes: Sequence[Judged]
    beside: Coverage

    @property
    def day(self) -> Day:
        return day_of(self.minutes)


def run(
    dsn: str, kafka: Connection, day: date, now: int, symbols: Collection[str] = (), tapeless: Collection[str] = ()
) -> list[Quality]:
    """Judge the day (UTC) and store the scores; run twice it changes nothing. Worst first.

    ``symbols``: only these, all when empty. ``tapeless`` are providers that carry no trades. A series that was judged
    when the day was over keeps its score once the log no longer has all of the day: less is known of it by then. Of a
    day whose minutes are in the archive nobody is judged. Raises Unavailable.
    """
    span = Span.of(day, now)
    session = Session(dsn, "quality", timeout_s=60.0)
    try:
        with session.transaction() as cursor, Reader(kafka) as reader:
            if archived_months(cursor, "bars", "1m", day, day):
                hint = f"sparktrends batch restore --month {day:%Y-%m}"
                _log.warning("the minutes of %s are in the archive, and nobody is judged: %s", day, hint)
                return []
            settled = set() if _is_whole(reader, span) else rows.judged(cursor, day, span.end)
            if settled:
                _log.info("%s series keep their scores of %s: the log no longer has all of the day", len(settled), day)
            known = rows.series_known(cursor)
            tally = _tally(cursor, reader, span, known)
            wanted = {s.id for s in known if (not symbols or s.symbol in symbols) and s.id not in settled}
            # With all that they are compared with: judged alone, a move that nobody else saw would be one like any.
            markets = {_market(s) for s in known if s.id in wanted}
            beside = [s for s in known if _market(s) in markets]
            found = [s for s in _judged(cursor, tally, span, beside, tapeless) if s.row.id in wanted]
            for series in found:
                rows.save(cursor, _score(series, span), span.start, span.end, now)
    finally:
        session.close()
    return sorted(map(_told, found), key=lambda quality: quality.score)


def _told(series: _Series) -> Quality:
    row, day, beside = series.row, series.day, series.beside
    return Quality(row.source, row.symbol, day.score, day.minutes, day.points, beside.share, beside.against)


def _judged(
    cursor: Cursor, tally: Tally, span: Span, wanted: Iterable[rows.SeriesRow], tapeless: Collection[str]
) -> list[_Series]:
    known = [s for s in wanted if s.first < span.end and s.clock >= span.start - _missed_for(s.source)]
    # The first move of a day is one from the last minute of the day before.
    earlier = replace(span, start=span.start - MINUTE)
    minutes = {series: list(minutes_of(cursor, series, earlier, tally.minutes)) for series in known}
    found = []
    for market in _markets(minutes):
        names = {f"{series.source} {series.symbol}": series for series in market}
        untaped = {name for name, series in names.items() if provider_of(series.source) in tapeless}
        doubted = uncorroborated({name: minutes[series] for name, series in names.items()}, untaped)
        of = {name: [m for m in minutes[series] if m.start >= span.start] for name, series in names.items()}
        beside = coverage(of, untaped)
        for name, series in names.items():
            if of[name]:
                one = beside[name]
                lost = judged(of[name], doubted[name], one.lacking, tape=name not in untaped)
                found.append(_Series(series, lost, one))
    return found


def _missed_for(source: str) -> int:
    """How long a series that fell silent is still expected (µs): what is made up or recorded ends where it ends."""
    return 0 if kind_of(source) else _GIVEN_UP


def _markets(minutes: Iterable[rows.SeriesRow]) -> Iterable[Sequence[rows.SeriesRow]]:
    """The series of each market side by side; what is made up is compared with what is made up alike."""
    markets: dict[tuple[str, str], list[rows.SeriesRow]] = defaultdict(list)
    for series in minutes:
        markets[_market(series)].append(series)
    return markets.values()


def _market(series: rows.SeriesRow) -> tuple[str, str]:
    return kind_of(series.source), market_of(series.symbol)


def _is_whole(reader: Reader, span: Span) -> bool:
    """Whether the log still has every record that was appended since the day began."""
    for partition in reader.partitions(RAW_TRADES):
        low, high = reader.watermarks(RAW_TRADES, partition)
        oldest = next(reader.range(RAW_TRADES, partition, low, min(low + 1, high)), None)
        if low and (oldest is None or oldest.appended > span.start):
            return False
    return True


def _tally(cursor: Cursor, reader: Reader, span: Span, known: Iterable[rows.SeriesRow]) -> Tally:
    tally, refused = Tally(), set()
    spelled = _spelled(known)
    for row in rows.refused(cursor, span.start, span.end + _SLACK):
        for name, symbol in _accused(row.source, row.payload, spelled.get(row.source, {})):
            tally.at(name, symbol, row.appended).impossible += 1
        if row.topic == RAW_TRADES:
            refused.add((row.partition, row.offset))
    for partition, start, end in _parts(reader, span):
        for record in reader.range(RAW_TRADES, partition, start, end):
            # Counted above; and of a time that is far ahead every later trade would be out of order.
            if (partition, record.offset) not in refused:
                tally.add(partition, told_by(record.value))
    for source, symbol, ts in rows.late(cursor, span.start, span.end):
        tally.at(source, symbol, ts).late += 1
    return tally


def _parts(reader: Reader, span: Span) -> Iterable[tuple[int, int, int]]:
    """(partition, first offset, the one behind the last) of what is read of the day: all, or the newest `_MOST`."""
    held = []
    for partition in reader.partitions(RAW_TRADES):
        low, high = (reader.offset_at(RAW_TRADES, partition, at) for at in (span.start, span.end + _SLACK))
        held.append((high - low, partition, high))
    left = _MOST
    # What a quiet partition leaves is for the busier ones.
    for done, (count, partition, high) in enumerate(sorted(held)):
        part = min(count, left // (len(held) - done))
        left -= part
        yield partition, high - part, high


def _spelled(series: Iterable[rows.SeriesRow]) -> Mapping[str, Mapping[str, str]]:
    """Of each source: how its provider spells its symbols, and what they are."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for one in series:
        provider = provider_of(one.source)
        # A name that no provider can have: anyone may write to raw.trades.
        with suppress(BadSetting):
            if provider in PROVIDERS:
                found[one.source][make_source(provider).spell(one.symbol)] = one.symbol
    return found


def _accused(source: str, payload: bytes, spelled: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Source and symbol of the series against which a refused record counts: the one that it names as its own; of a
    provider's answer those that it names, or every one of that source, for nobody knows whose it was."""
    if source:
        # By its words, since it may be half an answer.
        words = _WORD.findall(payload.decode("utf-8", "replace"))
        named = {spelled[word] for word, closed in words if closed and word in spelled}
        return [(source, symbol) for symbol in named or spelled.values()]
    try:
        row = decode(payload)
    except BadRecord:
        return []
    own = row.get("source"), row.get("symbol")
    return [(own[0], own[1])] if isinstance(own[0], str) and isinstance(own[1], str) else []


def _score(series: _Series, span: Span) -> rows.Score:
    day, beside = series.day, series.beside
    worst = [(minute.start, minute.score, minute.points) for minute in series.minutes if minute.points]
    of_day = (series.row.id, span.day, day.score, day.minutes, day.points, day.faulty)
    return rows.Score(*of_day, worst, beside.share, beside.against)
