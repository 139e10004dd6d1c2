"""What the log says of series, minutes and provider bars, against every stored row: equality to the last digit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from sparktrends.audit.log import LogAudit
from sparktrends.audit.numbers import digits
from sparktrends.audit.records import BARS_TOPIC, TRADES_TOPIC, Bar, Laws
from sparktrends.audit.report import Findings
from sparktrends.audit.series import Minute, Series, holes, is_final, longer, rows
from sparktrends.audit.shelf import Shelf
from sparktrends.model import INTERVALS, MINUTE, is_replayed
from sparktrends.store.audit_queries import BAR_COLUMNS, PROVIDER_COLUMNS, Row, Snapshot, SpanRow, StateRow

Known = Sequence[tuple[int, Series]]
"""Series with their ids, in order of id."""

_EMPTY = Minute()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACES_OF = {"turnover": 36}
_NUMERIC = frozenset(("open", "high", "low", "close", "volume", "turnover", "vwap"))


class Comparison:
    """One pass an interval over what is stored of all series; ``…rows_checked`` count what was compared."""

    def __init__(self, log: LogAudit, laws: Laws, findings: Findings, stored: Snapshot) -> None:
        self.rows_checked = 0
        self.longer_rows_checked = 0
        self.provider_rows_checked = 0
        self._log, self._laws, self._findings, self._stored = log, laws, findings, stored
        self._states = {state.id: state for state in stored.states()}
        self._ids = {(state.source, state.symbol): state.id for state in self._states.values()}
        self._spans: dict[int, list[SpanRow]] = {}
        for span in stored.spans():
            self._spans.setdefault(span.series, []).append(span)
        self._archived, self._restored = stored.archived(), stored.restored()
        self._horizon = log.horizon[TRADES_TOPIC]
        self._reached: dict[int, int] = {}
        self._since: dict[int, int | None] = {}

    def run(self, step: Callable[[], None]) -> None:
        """Compare everything; ``step`` is called once a series."""
        # In order of id, as the database gives its rows: those are walked once and never held.
        known = self._known_series()
        self._compare_minutes(known, step)
        for interval, length in INTERVALS.items():
            if length > MINUTE:
                self._compare_longer(known, interval, length)
        self._find_unheard()
        self._compare_provider_bars()

    def _bars(self, interval: str) -> Shelf:
        """What is stored of an interval from the horizon on; what lies before is counted, and mostly is far more."""
        if self._horizon:
            for id_, count, newest in self._stored.bars_before(interval, self._horizon):
                self._log.count_unchecked("minutes" if interval == "1m" else "longer bars", count)
                if interval == "1m":
                    self._reached[id_] = newest + MINUTE
        return Shelf(self._stored.bars(interval, self._horizon or None), 2, partial(self._extra_bar, interval))

    def _compare_minutes(self, known: Known, step: Callable[[], None]) -> None:
        bars = self._bars("1m")
        for id_, series in known:
            since = self._since[id_] = self._known_until(id_)
            self._compare_state(id_, series)
            self._compare_spans(id_, series, since)
            for start, minute in rows(series, since):
                if start >= self._horizon:
                    self._compare_minute(bars, id_, series, start, minute)
            step()
        bars.finish()

    def _compare_longer(self, known: Known, interval: str, length: int) -> None:
        bars = self._bars(interval)
        settle = self._laws.settle
        for id_, series in known:
            for start, bar in longer(series, length, settle, self._since[id_]):
                # Its first minutes may lie in the time that was trimmed.
                if start < self._horizon:
                    continue
                self.longer_rows_checked += 1
                key, row = f"{series.source} {series.symbol} {interval} {_at(start)}", bars.take((id_, start))
                if row is None:
                    self._miss(series.source, "bars", interval, start, key, _bar_words(bar))
                else:
                    said = bar.values(start, series.clock, settle, length)
                    self._compare_columns("bar", key, BAR_COLUMNS, said, row[2:])
        bars.finish()

    def _known_series(self) -> Known:
        """The series of the log with their ids, in order of id; one without an id is a finding."""
        known = []
        for key, series in self._log.series.items():
            if key in self._ids:
                known.append((self._ids[key], series))
            elif series.heard:
                minutes = f"a series of {len(series.minutes)} minutes"
                self._findings.add("series", f"{series.source} {series.symbol}", minutes, "no such series")
        return sorted(known, key=lambda pair: pair[0])

    def _known_until(self, id_: int) -> int | None:
        """Up to where something is stored of the time that was trimmed; None when nothing was, or nothing is."""
        ends = [span.end for span in self._spans.get(id_, ()) if span.start < self._horizon]
        ends += [self._reached[id_]] if id_ in self._reached else []
        return max(ends, default=None)

    def _compare_state(self, id_: int, series: Series) -> None:
        state = self._states[id_]
        newest = max(self._log.horizon.values())
        if series.clock < newest:
            # A trimmed record may have moved the clock further, or begun the series earlier.
            self._log.count_unchecked("clocks")
            # Else minutes that are final in the store would be expected to form still.
            series.clock = max(series.clock, state.clock or 0)
            return
        first, last = series.ends()
        said = {"clock": series.clock, "first_minute": first, "last_minute": last}
        # What came first was perhaps in a record that is gone.
        if newest:
            said = {"clock": series.clock}
        if state.clock is None and not series.heard:
            return
        for column, expected in said.items():
            found = getattr(state, column)
            if found != expected:
                self._findings.add("state", f"{_named(state)} {column}", expected, found)

    def _compare_spans(self, id_: int, series: Series, since: int | None) -> None:
        expected = {(start, end, "closed") for start, end in series.closed()}
        expected |= {(start, end, "hole") for start, end in holes(series, since)}
        found = {(span.start, span.end, span.reason) for span in self._spans.pop(id_, [])}
        if self._horizon:
            self._log.count_unchecked("gaps", sum(span[0] < self._horizon for span in found))
            expected, found = ({s for s in spans if s[0] >= self._horizon} for spans in (expected, found))
        name = _named(self._states[id_])
        for span in sorted(expected - found):
            self._findings.add("gap", f"{name} {_span(span)}", span[2], "no such span")
        for span in sorted(found - expected):
            self._findings.add("gap", f"{name} {_span(span)}", "no such span", span[2])

    def _compare_minute(self, bars: Shelf, id_: int, series: Series, start: int, minute: Minute | None) -> None:
        self.rows_checked += 1
        row = bars.take((id_, start))
        settle = self._laws.settle
        key = f"{series.source} {series.symbol} 1m {_at(start)}"
        if row is None:
            # An empty minute need not be there before it is final: no view shows it.
            if minute is not None or is_final(start, series.clock, settle):
                self._miss(series.source, "bars", "1m", start, key, _bar_words(minute or _EMPTY))
            return
        said = (minute or _EMPTY).values(start, series.clock, settle)
        self._compare_columns("bar", key, BAR_COLUMNS, said, row[2:])

    def _miss(self, source: str, table: str, interval: str, start: int, key: str, expected: str) -> None:
        """No row where there should be one: a finding, unless retention has its month in the archive."""
        # What somebody plays back stays, whatever its month.
        archived = (table, interval, _month(start)) in self._archived
        if archived and not is_replayed(source):
            self._log.count_unchecked("archived bars")
        else:
            self._findings.add(table.removesuffix("s").replace("_", " "), key, expected, "no row")

    def _compare_columns(self, kind: str, key: str, columns: Iterable[str], said: Row, found: Row) -> None:
        # Nearly always: columns are looked at one by one only where something differs.
        if said == found:
            return
        for column, expected, stored in zip(columns, said, found, strict=True):
            if expected != stored:
                words = (digits(v, _PLACES_OF.get(column, 18)) if column in _NUMERIC else v for v in (expected, stored))
                self._findings.add(kind, f"{key} {column}", *words)

    def _is_restored(self, table: str, id_: int, interval: str, start: int) -> bool:
        """Whether a row too many may be out of an archive, perhaps another home's; then it is counted as unchecked."""
        replayed = id_ in self._states and is_replayed(self._states[id_].source)
        restored = not replayed and (table, interval, _month(start)) in self._restored
        self._log.count_unchecked("restored rows", restored)
        return restored

    def _extra_bar(self, interval: str, row: Row) -> None:
        id_, start = row[0], row[1]
        if self._is_restored("bars", id_, interval, start):
            return
        name = _named(self._states[id_]) if id_ in self._states else f"series {id_}"
        words = f"{row[9]} trades, volume {digits(row[6])}"
        self._findings.add("bar", f"{name} {interval} {_at(start)}", "no such row, or only one", words)

    def _find_unheard(self) -> None:
        """States and spans of series of which the log says nothing."""
        heard = {key for key, series in self._log.series.items() if series.heard}
        trimmed = any(self._log.horizon.values())
        for state in self._states.values():
            if (state.source, state.symbol) in heard or not state.clock:
                continue
            if trimmed:
                self._log.count_unchecked("clocks")
            else:
                self._findings.add("state", _named(state), "nothing", f"clock {state.clock}")
        for id_, spans in self._spans.items():
            for span in spans:
                if span.start < self._horizon:
                    self._log.count_unchecked("gaps")
                else:
                    self._findings.add("gap", f"{_named(self._states[id_])} {_span(span[1:])}", "no such span", span[3])

    def _compare_provider_bars(self) -> None:
        horizon = self._log.horizon[BARS_TOPIC]
        if horizon:
            for _, count in self._stored.provider_bars_before(horizon):
                self._log.count_unchecked("provider bars", count)
        shelf = Shelf(self._stored.provider_bars(horizon or None), 4, self._extra_provider_bar)
        for key, rank, bar in self._provider_bars():
            if bar.start < horizon:
                continue
            self.provider_rows_checked += 1
            row = shelf.take(key)
            name = f"{bar.source} {bar.symbol} {bar.interval} {_at(bar.start)} {bar.adjustment}"
            if row is None:
                close = f"close {digits(bar.values[3])}"
                self._miss(bar.source, "provider_bars", bar.interval, bar.start, name, close)
            else:
                said = (*bar.values, *rank[1:])
                self._compare_columns("provider bar", name, PROVIDER_COLUMNS, said, row[4:])
        shelf.finish()

    def _provider_bars(self) -> list[tuple[Row, tuple[bool, int, int, int], Bar]]:
        found = [
            ((self._ids[bar.source, bar.symbol], bar.interval, bar.start, bar.adjustment), rank, bar)
            for rank, bar in self._log.provider_bars.values()
            if (bar.source, bar.symbol) in self._ids
        ]
        return sorted(found, key=lambda item: item[0])

    def _extra_provider_bar(self, row: Row) -> None:
        id_, interval, start, adjustment = row[:4]
        if self._is_restored("provider_bars", id_, interval, start):
            return
        name = _named(self._states[id_]) if id_ in self._states else f"series {id_}"
        key = f"{name} {interval} {_at(start)} {adjustment}"
        self._findings.add("provider bar", key, "no such row, or only one", f"close {digits(row[7])}")


def _named(state: StateRow) -> str:
    return f"{state.source} {state.symbol}"


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _month(micros: int) -> date:
    return _moment(micros).date().replace(day=1)


def _at(micros: int) -> str:
    return _moment(micros).isoformat()


def _span(span: tuple[Any, ...]) -> str:
    return f"{_at(span[0])} to {_at(span[1])}"


def _bar_words(minute: Minute) -> str:
    prices = ", ".join(map(digits, minute.prices()))
    return f"open, high, low, close {prices}; volume {digits(minute.volume)}; {minute.trades} trades"
