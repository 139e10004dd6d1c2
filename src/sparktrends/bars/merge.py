"""Adding what was folded apart. Every function here is associative and commutative: any cut, any order, the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sparktrends.bars.intervals import merge_spans
from sparktrends.bars.limits import BATCH_PAYLOADS, PAYLOAD_BYTES
from sparktrends.model import (
    Coordinates,
    LateTrade,
    PartialBar,
    PartitionCounts,
    Quarantined,
    SeriesMark,
    StoredProviderBar,
)


@dataclass(frozen=True, slots=True)
class FoldResult:
    """What some records come to. Bars and marks sorted by series (and start), the rest by place in the log.

    ``bars`` has one `PartialBar` per series and minute, ``marks`` one `SeriesMark` per series, ``counts`` one entry
    per (topic, partition): law 1 in numbers.
    """

    bars: tuple[PartialBar, ...] = ()
    marks: tuple[SeriesMark, ...] = ()
    late: tuple[LateTrade, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    provider_bars: tuple[StoredProviderBar, ...] = ()
    counts: tuple[PartitionCounts, ...] = ()


def merge_bars(a: PartialBar, b: PartialBar) -> PartialBar:
    """The bar of all records of both; they must be of the same series and minute."""
    first, last = _first(a, b), _last(a, b)
    return PartialBar(
        source=a.source,
        symbol=a.symbol,
        start=a.start,
        open=first.open,
        open_at=first.open_at,
        high=_largest(a.high, b.high),
        low=_least(a.low, b.low),
        close=last.close,
        close_at=last.close_at,
        volume=a.volume + b.volume,
        turnover=a.turnover + b.turnover,
        trades=a.trades + b.trades,
        after_final=a.after_final + b.after_final,
        statuses=a.statuses | b.statuses,
        fills=a.fills + b.fills,
    )


def _first(a: PartialBar, b: PartialBar) -> PartialBar:
    if a.open_at is None or b.open_at is None:
        return b if a.open_at is None else a
    # Positions are unique in a log, so which of two equal ones is taken never matters.
    return a if a.open_at <= b.open_at else b


def _last(a: PartialBar, b: PartialBar) -> PartialBar:
    if a.close_at is None or b.close_at is None:
        return b if a.close_at is None else a
    return a if a.close_at >= b.close_at else b


def _largest(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None or a > b else b


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None or a < b else b


def merge_marks(a: SeriesMark, b: SeriesMark) -> SeriesMark:
    """The mark of both, of one series: the later clock, and every closed minute."""
    return SeriesMark(a.source, a.symbol, max(a.clock, b.clock), merge_spans(a.closed, b.closed))


def merge_counts(a: PartitionCounts, b: PartitionCounts) -> PartitionCounts:
    """Both together, of one topic and partition."""
    return PartitionCounts(
        a.topic,
        a.partition,
        records=a.records + b.records,
        trades=a.trades + b.trades,
        prices=a.prices + b.prices,
        heartbeats=a.heartbeats + b.heartbeats,
        bars=a.bars + b.bars,
        late=a.late + b.late,
        quarantined=a.quarantined + b.quarantined,
        newest=max(a.newest, b.newest),
    )


def merge_results(results: Iterable[FoldResult], payloads: int = BATCH_PAYLOADS) -> FoldResult:
    """One result of several over different records; ``payloads`` as in `Limits`."""
    bars: dict[tuple[str, str, int], PartialBar] = {}
    marks: dict[tuple[str, str], SeriesMark] = {}
    counts: dict[tuple[str, int], PartitionCounts] = {}
    late: list[LateTrade] = []
    quarantined: list[Quarantined] = []
    provider_bars: list[StoredProviderBar] = []
    for result in results:
        for bar in result.bars:
            key = (bar.source, bar.symbol, bar.start)
            # A symbol may lie in two partitions (another producer's key), so one minute may come from several tasks.
            bars[key] = merge_bars(bars[key], bar) if key in bars else bar
        for mark in result.marks:
            series = (mark.source, mark.symbol)
            marks[series] = merge_marks(marks[series], mark) if series in marks else mark
        for count in result.counts:
            where = (count.topic, count.partition)
            counts[where] = merge_counts(counts[where], count) if where in counts else count
        late.extend(result.late)
        quarantined.extend(result.quarantined)
        provider_bars.extend(result.provider_bars)
    return FoldResult(
        # Sorted, because equal results must be equal values: tests of any cut compare whole results with ==.
        bars=tuple(bars[key] for key in sorted(bars)),
        marks=tuple(marks[key] for key in sorted(marks)),
        late=tuple(sorted(late, key=lambda item: place_of(item.at))),
        quarantined=bound_payloads(quarantined, payloads),
        provider_bars=tuple(sorted(provider_bars, key=lambda item: place_of(item.at))),
        counts=tuple(counts[key] for key in sorted(counts)),
    )


def place_of(at: Coordinates) -> tuple[str, int, int]:
    """What records are sorted by: (topic, partition, offset)."""
    return (at.topic, at.partition, at.offset)


def bound_payloads(records: Iterable[Quarantined], room: int) -> tuple[Quarantined, ...]:
    """Sort by place, and keep payloads until each partition has used ``room`` bytes; of the rest hash and size.

    What is used counts by the sizes sent, kept or not: so bounding in parts and again in whole gives the same.
    """
    kept: list[Quarantined] = []
    used: dict[tuple[str, int], int] = {}
    for record in sorted(records, key=lambda item: place_of(item.at)):
        where = (record.at.topic, record.at.partition)
        used[where] = used.get(where, 0) + min(record.size, PAYLOAD_BYTES)
        # By offset, not by what came first: which payloads stay must not depend on how the batch was cut.
        kept.append(record if used[where] <= room or not record.payload else replace(record, payload=b""))
    return tuple(kept)
