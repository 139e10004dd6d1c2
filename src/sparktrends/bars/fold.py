"""Judged records to partial bars, marks and ledgers: exact, one record at a time. The definition of a fold.

A fold is the merge of what each record comes to alone, so it has no rule of its own but where a verdict goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sparktrends.bars.conditions import moves_prices
from sparktrends.bars.intervals import end_of, minute_of
from sparktrends.bars.judge import Accepted, Beat, Judged, PriceUpdate, judge
from sparktrends.bars.limits import PAYLOAD_BYTES, Limits
from sparktrends.bars.merge import FoldResult, merge_bars, merge_marks, merge_results
from sparktrends.bars.numbers import units_of
from sparktrends.model import (
    MINUTE,
    Coordinates,
    LateTrade,
    PartialBar,
    PartitionCounts,
    Quarantined,
    SeriesMark,
    Status,
    Statuses,
    StoredProviderBar,
)

Record = tuple[bytes | None, Coordinates]
Whole = tuple[int, bytes]
"""Size and SHA-256 of a record that was cut."""


def bar_of(accepted: Accepted) -> PartialBar:
    """The partial bar of one trade alone."""
    trade, price, at = accepted.trade, accepted.price, accepted.at
    sums = PartialBar(
        source=trade.source,
        symbol=trade.symbol,
        start=minute_of(trade.ts),
        volume=accepted.size,
        turnover=price * accepted.size,
        trades=1,
        after_final=int(accepted.after_final),
        fills=int(trade.fill),
    )
    if not accepted.pricing:
        return sums
    # Law 5: several trades of one microsecond need an order that every cut of the log agrees on.
    position = (trade.ts, at.partition, at.offset)
    prices = PartialBar(trade.source, trade.symbol, sums.start, price, position, price, price, price, position)
    return merge_bars(sums, prices)


def late_bar(late: LateTrade, limits: Limits) -> PartialBar:
    """The partial bar of a late trade alone, as repair folds it in: as a fill, which is never late."""
    # A fill: alerts of what is repaired are stored and shown, not sent (law 8).
    trade = replace(late.trade, fill=True)
    price, size = units_of(f"{trade.price:f}", "price"), units_of(f"{trade.size:f}", "size")
    after_final = late.arrival > end_of(minute_of(trade.ts)) + limits.settle
    pricing = moves_prices(trade.source, trade.conditions, limits.volume_only)
    return bar_of(Accepted(trade, price, size, late.arrival, after_final, pricing, late.at))


def too_large(value: bytes | None, at: Coordinates, whole: Whole) -> Quarantined:
    """What `judge` would have said of the whole record."""
    size, digest = whole
    return Quarantined("too_large", at, (value or b"")[:PAYLOAD_BYTES], digest, size)


class Fold:
    """Takes records one by one, of any topics and partitions, offsets rising within a partition."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bars: dict[tuple[str, str, int], PartialBar] = {}
        self._marks: dict[tuple[str, str], SeriesMark] = {}
        self._late: list[LateTrade] = []
        self._quarantined: list[Quarantined] = []
        self._provider_bars: list[StoredProviderBar] = []
        self._counts: dict[tuple[str, int], dict[str, int]] = {}
        self._newest: dict[tuple[str, int], int] = {}
        self._payloads: dict[tuple[str, int], int] = {}

    def add(self, value: bytes | None, at: Coordinates, whole: Whole | None = None) -> None:
        """Judge one record and put it where it belongs; ``value`` None is a tombstone.

        ``whole`` is the size and SHA-256 of a record beyond `record.MAX_BYTES` of which ``value`` is the beginning.
        """
        verdict = judge(value, at, self._limits) if whole is None else too_large(value, at, whole)
        place = (at.topic, at.partition)
        counts = self._counts.setdefault(place, {})
        kind = self._place(verdict)
        counts[kind] = counts.get(kind, 0) + 1
        # Every record counts here, bad ones too: `status` tells from it how far behind the stream is.
        self._newest[place] = max(self._newest.get(place, 0), at.appended)

    def _place(self, verdict: Judged) -> str:
        match verdict:
            case Accepted():
                self._add_bar(bar_of(verdict))
                self._move_clock(SeriesMark(verdict.trade.source, verdict.trade.symbol, verdict.arrival))
                return "trades"
            case PriceUpdate():
                self._move_clock(SeriesMark(verdict.trade.source, verdict.trade.symbol, verdict.arrival))
                return "prices"
            case Beat():
                self._add_beat(verdict)
                return "heartbeats"
            case LateTrade():
                self._late.append(verdict)
                return "late"
            case StoredProviderBar():
                self._provider_bars.append(verdict)
                self._move_clock(SeriesMark(verdict.bar.source, verdict.bar.symbol, verdict.arrival))
                return "bars"
            case Quarantined():
                self._keep(verdict)
                return "quarantined"

    def _add_bar(self, bar: PartialBar) -> None:
        key = (bar.source, bar.symbol, bar.start)
        known = self._bars.get(key)
        self._bars[key] = bar if known is None else merge_bars(known, bar)

    def _move_clock(self, mark: SeriesMark) -> None:
        key = (mark.source, mark.symbol)
        known = self._marks.get(key)
        self._marks[key] = mark if known is None else merge_marks(known, mark)

    def _add_beat(self, beat: Beat) -> None:
        source, symbol, status = beat.heartbeat.source, beat.heartbeat.symbol, beat.heartbeat.status
        minute = minute_of(beat.heartbeat.ts)
        closed: tuple[tuple[int, int], ...] = ()
        if not beat.late and status is Status.CLOSED:
            closed = ((minute, minute + MINUTE),)  # a closed exchange has spans, not rows
        elif not beat.late:
            self._add_bar(PartialBar(source, symbol, minute, statuses=int(Statuses[status.name])))
        self._move_clock(SeriesMark(source, symbol, beat.arrival, closed))

    def _keep(self, record: Quarantined) -> None:
        # Payloads beyond the room are dropped here already, or a flood of bad records would fill the memory.
        where = (record.at.topic, record.at.partition)
        self._payloads[where] = self._payloads.get(where, 0) + min(record.size, PAYLOAD_BYTES)
        if self._payloads[where] > self._limits.payloads:
            record = Quarantined(record.reason, record.at, b"", record.sha256, record.size)
        self._quarantined.append(record)

    def result(self) -> FoldResult:
        """What all records so far come to."""
        counts = (
            PartitionCounts(topic, part, records=sum(kinds.values()), newest=self._newest[topic, part], **kinds)
            for (topic, part), kinds in self._counts.items()
        )
        folded = FoldResult(
            bars=tuple(self._bars.values()),
            marks=tuple(self._marks.values()),
            late=tuple(self._late),
            quarantined=tuple(self._quarantined),
            provider_bars=tuple(self._provider_bars),
            counts=tuple(counts),
        )
        # Merging one result sorts it and bounds its payloads, by the same code as merging many.
        return merge_results([folded], self._limits.payloads)


def fold_records(records: Iterable[Record], limits: Limits) -> FoldResult:
    """The result of some records by the exact way alone."""
    fold = Fold(limits)
    for value, at in records:
        fold.add(value, at)
    return fold.result()
