"""Reads the log, partition by partition, beside the stored late ledger and quarantine of the same partition."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from sparktrends.audit.numbers import digits
from sparktrends.audit.records import BARS_TOPIC, TRADES_TOPIC, Bar, Event, Laws, read_bar, read_event
from sparktrends.audit.repeats import Repeats
from sparktrends.audit.report import CheckedSpan, Findings
from sparktrends.audit.series import Series
from sparktrends.audit.shelf import Shelf
from sparktrends.bus.log import LogReader, LogRecord, ends_of
from sparktrends.errors import BadRecord
from sparktrends.model import MINUTE
from sparktrends.store.audit_queries import (
    FIRST,
    LAST,
    LATE_COLUMNS,
    QUARANTINE_COLUMNS,
    GapRow,
    LedgerRow,
    Row,
    SetAside,
)
from sparktrends.store.ledger import is_lost_end

PLACES = ("trades", "prices", "heartbeats", "bars", "late", "quarantined")
"""Where a record can end, named as the ledger's columns are."""
BATCH_PAYLOADS = 64 * 1024 * 1024
"""So many bytes of bad records one batch may keep at most, shared by its partitions."""
_KEPT_BYTES = 64 * 1024
_NOTHING = hashlib.sha256(b"").digest()
_TICK = 50_000

BarKey = tuple[str, str, str, int, str]
Advance = Callable[[int], None]


class LogAudit:
    """What the log says: series, provider bars, counts; and what of late ledger and quarantine does not fit it.

    ``removed`` are the places of repeated records that repair left out of their bars, ``partitions`` how many the
    ledger has. ``horizon`` is, per topic, the start from which on no minute can hold a record that was trimmed from
    the log.
    """

    def __init__(self, laws: Laws, findings: Findings) -> None:
        self.series: dict[tuple[str, str], Series] = {}
        self.provider_bars: dict[BarKey, tuple[tuple[bool, int, int, int], Bar]] = {}
        self.repeats = Repeats()
        self.removed: set[tuple[str, int, int]] = set()
        self.partitions = 1
        self.counts = dict.fromkeys(PLACES, 0)
        self.horizon = {TRADES_TOPIC: 0, BARS_TOPIC: 0}
        self.unchecked: dict[str, int] = {}
        self._laws = laws
        self.findings = findings
        self._walks: dict[tuple[str, int], _Walk] = {}

    def ahead(self, place: LedgerRow, gaps: list[GapRow], reader: LogReader, stored: SetAside, tick: Advance) -> None:
        """Read one partition to where the ledger stands, and compare late ledger and quarantine so far."""
        self._read(place, gaps, reader, stored, tick, to_the_end=False)

    def partition(
        self, place: LedgerRow, gaps: list[GapRow], reader: LogReader, stored: SetAside, tick: Advance
    ) -> CheckedSpan:
        """Read what the ledger says was folded of one partition, and compare counts, late ledger and quarantine.

        What `ahead` has read is not read again: the gaps, and what is stored of those offsets, must be the same.
        """
        walk, high = self._read(place, gaps, reader, stored, tick, to_the_end=True)
        accepted = _of_this_topic(place, gaps)
        trimmed = _size(list(_pieces(place.first_offset, min(walk.start, place.next_offset), accepted)))
        # The ledger is ahead of the log: another log, or an older copy of it.
        if high < place.next_offset:
            self.findings.add("log", walk.name, f"next offset {place.next_offset}", f"the log ends at {high}")
        # Another topic of the same name was folded before: its records are gone like trimmed ones. Where nothing was
        # ever stored nothing is.
        if place.appended is not None and (trimmed or len(accepted) < len(gaps)):
            self._lose_before(place.topic, walk.first_appended or place.appended)
        walk.finish(trimmed > 0)
        skipped = _size([(first, last) for first, last in _overlaps(place, accepted)])
        return CheckedSpan(
            place.topic,
            place.partition,
            place.topic_id,
            place.first_offset,
            place.next_offset,
            walk.records,
            trimmed,
            skipped,
            max(0, high - place.next_offset),
        )

    def _read(
        self,
        place: LedgerRow,
        gaps: list[GapRow],
        reader: LogReader,
        stored: SetAside,
        tick: Advance,
        *,
        to_the_end: bool,
    ) -> tuple[_Walk, int]:
        """Read on in a partition; its walk, and where the log ends. ``to_the_end``: nothing may be stored behind."""
        low, high = ends_of(reader, place.topic, place.partition, place.next_offset)
        # No further than the ledger: the stream goes on meanwhile.
        end = min(place.next_offset, high)
        walk = self._walks.get((place.topic, place.partition))
        if walk is None:
            # Where an end of this log was lost the ledger begins anew behind what was folded before it.
            anew = any(is_lost_end(gap.topic_id, place.topic_id) for gap in gaps)
            walk = _Walk(self, place, 0 if anew else place.first_offset, max(place.first_offset, low))
            self._walks[place.topic, place.partition] = walk
        pieces = _pieces(max(walk.start, walk.compared_to), end, _of_this_topic(place, gaps))
        walk.open(place, stored, LAST if to_the_end else end)
        read = 0
        for first, last in pieces:
            for record in reader.range(place.topic, place.partition, first, last):
                walk.take(record)
                read += 1
                if read % _TICK == 0:
                    tick(_TICK)
        tick(read % _TICK)
        walk.close()
        return walk, high

    def count_unchecked(self, kind: str, count: int = 1) -> None:
        """Rows whose records the log no longer holds."""
        if count:
            self.unchecked[kind] = self.unchecked.get(kind, 0) + count

    def of(self, source: str, symbol: str) -> Series:
        """The series of this name, made when it is new."""
        found = self.series.get((source, symbol))
        if found is None:
            found = self.series[source, symbol] = Series(source, symbol)
        return found

    def _lose_before(self, topic: str, appended: int) -> None:
        """Records appended up to this moment are gone: no minute they could touch is checked."""
        # A record's arrival is at most `future` after its append time, and its time at most that after its arrival.
        reach = appended + 2 * self._laws.future
        self.horizon[topic] = max(self.horizon[topic], reach - reach % MINUTE + MINUTE)

    def keep_bar(self, bar: Bar, partition: int, offset: int) -> None:
        """A provider's bar: of two for one key the larger (closed, arrival, partition, offset) wins."""
        key = (bar.source, bar.symbol, bar.interval, bar.start, bar.adjustment)
        rank = (bool(bar.values[-1]), bar.arrival, partition, offset)
        if key not in self.provider_bars or self.provider_bars[key][0] < rank:
            self.provider_bars[key] = (rank, bar)


class _Walk:
    """One partition from its first record to its last."""

    def __init__(self, audit: LogAudit, place: LedgerRow, folded_from: int, start: int) -> None:
        self.name = f"{place.topic}[{place.partition}]"
        self.records = 0
        self.start = start
        # Rows of the late ledger and the quarantine before this offset are dealt with.
        self.compared_to = FIRST
        self._audit, self._place, self._folded_from = audit, place, folded_from
        self._findings, self._laws = audit.findings, audit._laws
        self._counts = dict.fromkeys(PLACES, 0)
        self.first_appended: int | None = None
        self._payloads = 0

    def open(self, place: LedgerRow, stored: SetAside, until: int) -> None:
        """The records that follow are held against what is stored, before ``until``, of offsets not compared yet."""
        self._place = place
        self._late = Shelf(stored.late_trades(place, self.compared_to, until), 1, self._extra_late)
        self._quarantine = Shelf(stored.quarantine(place, self.compared_to, until), 1, self._extra_quarantined)
        self.compared_to = until
        self._audit.repeats.begin(place.topic, place.partition)

    def close(self) -> None:
        """Rows of the offsets since `open` that nobody asked for are too many."""
        self._late.finish()
        self._quarantine.finish()

    def take(self, record: LogRecord) -> None:
        """Judge a record and put it where it ends."""
        self.records += 1
        if self.first_appended is None:
            self.first_appended = record.appended
        try:
            if self._place.topic == BARS_TOPIC:
                bar = read_bar(record.value, record.appended, self._laws)
                self._audit.of(bar.source, bar.symbol).move_clock(bar.arrival)
                self._audit.keep_bar(bar, self._place.partition, record.offset)
                self._counts["bars"] += 1
            else:
                self._put(read_event(record.value, record.appended, self._laws), record)
        except BadRecord as bad:
            self._counts["quarantined"] += 1
            self._set_aside(bad.reason, record)

    def _put(self, event: Event, record: LogRecord) -> None:
        self._counts[event.place] += 1
        series = self._audit.of(event.source, event.symbol)
        if event.id:
            self._audit.repeats.add(event.source, event.symbol, event.id, record.offset)
        # Judged and counted like any other: repair left it out of its bar, not out of the log.
        removed = (self._place.topic, self._place.partition, record.offset) in self._audit.removed
        if event.place == "trades":
            self._accept(series, event, record.offset, removed=removed)
        elif event.place == "heartbeats":
            series.beat(event)
        elif event.place == "prices":
            series.move_clock(event.arrival)
        else:
            self._set_late(series, event, record, removed=removed)

    def _accept(self, series: Series, event: Event, offset: int, *, removed: bool) -> None:
        series.move_clock(event.arrival)
        self._add(series, event, offset, removed=removed)

    def _add(self, series: Series, event: Event, offset: int, *, removed: bool) -> None:
        """Into its minute, which is known also where repair left the record out."""
        start = event.ts - event.ts % MINUTE
        minute = series.minute(start)
        if not removed:
            minute.take(event, start, self._place.partition, offset, self._laws.settle)

    def _set_late(self, series: Series, event: Event, record: LogRecord, *, removed: bool) -> None:
        said = (*event[1:5], record.appended, event.price, event.size, event.id, list(event.conditions))
        row = self._late.take((record.offset,))
        where = f"{self.name}@{record.offset}"
        if row is None:
            self._findings.add("late trade", where, _late_words(said), "no row")
            return
        for column, expected, found in zip(LATE_COLUMNS, said, row[1:-1], strict=True):
            if expected != found:
                self._findings.add("late trade", f"{where} {column}", expected, found)
        if row[-1]:  # repair folded it in: it is in its bar now
            self._add(series, event, record.offset, removed=removed)

    def _set_aside(self, reason: str, record: LogRecord) -> None:
        value = record.value or b""
        whole = hashlib.sha256(value).digest()
        kept = whole if len(value) <= _KEPT_BYTES else hashlib.sha256(value[:_KEPT_BYTES]).digest()
        row = self._quarantine.take((record.offset,))
        self._payloads += min(len(value), _KEPT_BYTES)
        where = f"{self.name}@{record.offset}"
        if row is None:
            self._findings.add("quarantine", where, f"a record set aside ({reason})", "no row")
            return
        # A flood of bad records keeps hash and size only. Where batches began nobody knows any more, but none had used
        # more room than all bad records up to here. A stream gives each partition its share of a batch's room, never
        # less than this: the ledger forgets no partition, and a shard has some of them.
        if row[4] == _NOTHING and self._payloads > BATCH_PAYLOADS // self._audit.partitions:
            kept = _NOTHING
        said = (record.appended, len(value), whole, kept)
        for column, expected, found in zip(QUARANTINE_COLUMNS, said, row[1:], strict=True):
            if expected != found:
                self._findings.add("quarantine", f"{where} {column}", _shown(expected), _shown(found))

    def _extra_late(self, row: Row) -> None:
        if not self._is_trimmed(row[0], "late trades"):
            self._findings.add("late trade", f"{self.name}@{row[0]}", "no such row", _late_words(row[1:-1]))

    def _extra_quarantined(self, row: Row) -> None:
        if self._is_trimmed(row[0], "quarantined records"):
            # Perhaps of one batch with the first that are left.
            self._payloads += min(row[2], _KEPT_BYTES)
        else:
            self._findings.add("quarantine", f"{self.name}@{row[0]}", "no such row", f"{row[2]} bytes set aside")

    def _is_trimmed(self, offset: int, kind: str) -> bool:
        """Whether the record lies before what is read of the log; then it is counted as unchecked."""
        trimmed = self._folded_from <= offset < self.start
        if trimmed:
            self._audit.count_unchecked(kind)
        return trimmed

    def finish(self, trimmed: bool) -> None:
        """Compare the counts; not when some of what was counted is no longer there."""
        for kind, count in self._counts.items():
            self._audit.counts[kind] += count
        if trimmed:
            self._audit.count_unchecked("counts of partitions")
            return
        for kind, count in {"records": self.records, **self._counts}.items():
            found = getattr(self._place, kind)
            if found != count:
                self._findings.add("ledger", f"{self.name} {kind}", count, found)


def _of_this_topic(place: LedgerRow, gaps: list[GapRow]) -> list[GapRow]:
    """Gaps of a former topic of this name say nothing of these offsets."""
    return [gap for gap in gaps if gap.topic_id == place.topic_id]


def _overlaps(place: LedgerRow, gaps: list[GapRow]) -> Iterator[tuple[int, int]]:
    for gap in gaps:
        first, last = max(place.first_offset, gap.from_offset), min(place.next_offset, gap.to_offset)
        if first < last:
            yield first, last


def _pieces(start: int, end: int, gaps: list[GapRow]) -> Iterator[tuple[int, int]]:
    """[start, end) without the accepted gaps (which come in order)."""
    for gap in gaps:
        if start < min(gap.from_offset, end):
            yield start, min(gap.from_offset, end)
        start = max(start, gap.to_offset)
    if start < end:
        yield start, end


def _size(pieces: list[tuple[int, int]]) -> int:
    return sum(last - first for first, last in pieces)


def _late_words(row: Row) -> str:
    source, symbol, ts, arrival, _, price, size, id_, _ = row
    return f"{source} {symbol} {digits(size)} at {digits(price)}, ts {ts}, arrived {arrival}, id {id_!r}"


def _shown(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value
