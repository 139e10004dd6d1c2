"""The fast road of the fold: plain records by compiled code, odd ones in the same pass by `bars`; equal results.

Why not Spark's SQL: its JSON reader rounds, and forgives what is not JSON; this one refuses, and hands what it does
not know to the one place that defines what is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sparktrends.bars import RAW_BARS, Fold, FoldResult, Limits, merge_results
from sparktrends.bars.fold import Whole
from sparktrends.model import MINUTE, Coordinates, PartialBar, PartitionCounts, SeriesMark
from sparktrends.streaming import scan_table as t
from sparktrends.streaming.scan_doors import fill_slots, fold_rows
from sparktrends.streaming.scan_record import MAX_NAME

Ints = npt.NDArray[np.int64]
# The scanner counts in 10**-9, everything else in 10**-18.
_UNIT = 10**9
_EMPTY_BYTES = np.frombuffer(b"\0", np.uint8)


class Scanner:
    """Takes batches of Kafka records (columns as `fold` names them), gives one `FoldResult`."""

    def __init__(self, limits: Limits, series: int = 1024, bars: int = 2048) -> None:
        self._limits = limits
        self._bounds = bounds_of(limits)
        self._tables = t.new_tables(series, bars)
        self._row = np.zeros(t.ROW_WIDTH, np.int64)
        # Odd records and plain ones end in two results of the same kind; merging is associative, so which road was
        # taken shows nowhere.
        self._exact = Fold(limits)
        self._counts: dict[tuple[str, int], list[int]] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Fold every record of one batch."""
        rows = rows_of(batch)
        done = 0
        # Compiled code cannot make arrays: it stops when a table is full, and goes on in a larger one.
        while done < batch.num_rows:
            done = fold_rows(rows, self._tables, self._bounds, self._row, done)
            if done < batch.num_rows:
                self._tables = enlarge(self._tables)
        # Odd records are counted by the exact fold.
        self._count(batch, rows)
        odd = np.flatnonzero(rows.fate == t.PRESET)
        if len(odd):
            for record in records_of(batch, rows, odd):
                self._exact.add(*record)

    def _count(self, batch: pa.RecordBatch, rows: t.Rows) -> None:
        plain = rows.fate != t.PRESET
        topics = batch.column("topic").unique().to_pylist()
        for topic in topics:
            mine = plain if len(topics) == 1 else plain & np.asarray(pc.equal(batch.column("topic"), topic))
            for partition in np.unique(rows.partition[mine]).tolist():
                here = mine & (rows.partition == partition)
                counts = self._counts.setdefault((topic, partition), [0, 0, 0, 0])
                for fate, count in enumerate(np.bincount(rows.fate[here], minlength=3).tolist()):
                    counts[fate] += count
                counts[3] = max(counts[3], int(rows.appended[here].max()))

    def result(self) -> FoldResult:
        """What all records so far come to."""
        counts = (
            PartitionCounts(*place, trades + prices + beats, trades, prices, beats, newest=newest)
            for place, (trades, prices, beats, newest) in self._counts.items()
        )
        names = series_names(self._tables)
        plain = FoldResult(
            bars=tuple(partial_bars(self._tables, names)),
            marks=tuple(marks(self._tables, names)),
            counts=tuple(counts),
        )
        return merge_results([plain, self._exact.result()], self._limits.payloads)


def warm_scanner() -> None:
    """Load or compile the machine code now, so that no first batch waits for it."""
    values = pa.array([b"{}"], pa.binary())
    # One record that is odd is enough: what is compiled depends on types, not on values.
    columns = [pa.array(["warm"]), pa.array([0], pa.int32()), pa.array([0]), pa.array([0]), values]
    Scanner(Limits()).add(pa.RecordBatch.from_arrays(columns, ["topic", "partition", "offset", "timestamp", "value"]))


def bounds_of(limits: Limits) -> t.Bounds:
    """The limits as arrays. A source that is no ASCII name is odd anyway and needs no row."""
    special = [(s.encode("ascii"), g) for s, g in limits.graces if s.isascii() and 0 < len(s) <= MAX_NAME]
    sources = np.zeros((len(special), MAX_NAME), np.uint8)
    for index, (source, _) in enumerate(special):
        sources[index, : len(source)] = np.frombuffer(source, np.uint8)
    graces = np.array([(len(source), grace) for source, grace in special], np.int64).reshape(len(special), 2)
    return t.Bounds(np.array([limits.grace, limits.settle, limits.future], np.int64), sources, graces)


def rows_of(batch: pa.RecordBatch) -> t.Rows:
    """The columns of a batch as arrays, without copying values. Rows that compiled code must not see are PRESET."""
    values = batch.column("value")
    if values.type not in (pa.binary(), pa.large_binary()):
        values = values.cast(pa.large_binary())
    width = np.int32 if values.type == pa.binary() else np.int64
    _, ends, data = values.buffers()
    fate = np.asarray(pc.equal(batch.column("topic"), RAW_BARS)).astype(np.uint8) * np.uint8(t.PRESET)
    if values.null_count:
        fate[np.asarray(values.is_null())] = t.PRESET
    if "size" in batch.schema.names:
        fate[np.asarray(batch.column("size").is_valid())] = t.PRESET
    characters = np.frombuffer(data, np.uint8) if data is not None and data.size else _EMPTY_BYTES
    # To Numba a writable array is another type, compiled apart: what Spark hands over is read-only, so everything is.
    characters.setflags(write=False)
    return t.Rows(
        data=characters,
        # A slice shares its parent's buffers: its offsets begin somewhere in the middle.
        ends=np.frombuffer(ends, width)[values.offset : values.offset + len(values) + 1].astype(np.int64),
        partition=np.asarray(batch.column("partition")).astype(np.int64),
        offset=np.asarray(batch.column("offset")).astype(np.int64),
        appended=micros_of(batch.column("timestamp")),
        fate=fate,
    )


def micros_of(times: pa.Array) -> Ints:
    """Append times as integers, microseconds since 1970 UTC."""
    if pa.types.is_timestamp(times.type):
        times = times.cast(pa.timestamp("us", times.type.tz)).view(pa.int64())
    return np.asarray(times).astype(np.int64)


def records_of(
    batch: pa.RecordBatch, rows: t.Rows, chosen: Ints
) -> Iterator[tuple[bytes | None, Coordinates, Whole | None]]:
    """Some rows of a batch as the exact fold takes them."""
    some = batch.take(pa.array(chosen))
    places = zip(
        some.column("topic").to_pylist(),
        rows.partition[chosen].tolist(),
        rows.offset[chosen].tolist(),
        rows.appended[chosen].tolist(),
        strict=True,
    )
    cut = "size" in some.schema.names
    sizes = some.column("size").to_pylist() if cut else repeat(None, len(chosen))
    digests = some.column("sha256").to_pylist() if cut else repeat(None, len(chosen))
    for value, place, size, digest in zip(some.column("value"), places, sizes, digests, strict=True):
        yield value.as_py(), Coordinates(*place), None if size is None else (size, digest)


# Doubled, so that growing costs a constant share of folding however many series come.
def enlarge(tables: t.Tables) -> t.Tables:
    """Twice the room for whichever of series and bars is full; indices stay, slots are found anew."""
    series, bars = tables.series.shape[0], tables.bars.shape[0]
    larger = t.new_tables(
        2 * series if tables.used[0] >= series else series, 2 * bars if tables.used[1] >= bars else bars
    )
    s, b = tables.used.tolist()
    larger.used[:] = tables.used
    larger.series[:s], larger.names[:s], larger.bars[:b] = tables.series[:s], tables.names[:s], tables.bars[:b]
    fill_slots(larger)
    return larger


def series_names(tables: t.Tables) -> list[tuple[str, str]]:
    """(source, symbol) of every series, in the order of their indices."""
    names = []
    for index in range(int(tables.used[0])):
        raw = tables.names[index].tobytes()
        source, symbol = tables.series[index, t.S_SOURCE], tables.series[index, t.S_SYMBOL]
        names.append((raw[:source].decode("ascii"), raw[MAX_NAME : MAX_NAME + symbol].decode("ascii")))
    return names


def marks(tables: t.Tables, names: list[tuple[str, str]]) -> Iterator[SeriesMark]:
    """The clock of every series of which a record was accepted."""
    clocks = tables.series[: len(names), t.S_CLOCK].tolist()
    for (source, symbol), clock in zip(names, clocks, strict=True):
        # A series of which only late records came has a row here and no clock yet.
        if clock != t.NEVER:
            yield SeriesMark(source, symbol, clock)


def partial_bars(tables: t.Tables, names: list[tuple[str, str]]) -> Iterator[PartialBar]:
    """The bars so far, in the units of `PartialBar`."""
    for bar in tables.bars[: int(tables.used[1])].tolist():
        source, symbol = names[bar[t.B_SERIES]]
        start, statuses = bar[t.B_MINUTE] * MINUTE, bar[t.B_STATUSES]
        if not bar[t.B_TRADES]:
            yield PartialBar(source, symbol, start, statuses=statuses)
            continue
        yield PartialBar(
            source=source,
            symbol=symbol,
            start=start,
            open=bar[t.B_OPEN] * _UNIT,
            open_at=(bar[t.B_OPEN_TS], bar[t.B_OPEN_PART], bar[t.B_OPEN_OFF]),
            high=bar[t.B_HIGH] * _UNIT,
            low=bar[t.B_LOW] * _UNIT,
            close=bar[t.B_CLOSE] * _UNIT,
            close_at=(bar[t.B_CLOSE_TS], bar[t.B_CLOSE_PART], bar[t.B_CLOSE_OFF]),
            volume=joined(bar[t.B_VOLUME : t.B_TURNOVER]) * _UNIT,
            turnover=joined(bar[t.B_TURNOVER : t.B_WIDTH]) * _UNIT * _UNIT,
            trades=bar[t.B_TRADES],
            after_final=bar[t.B_AFTER],
            statuses=statuses,
            fills=bar[t.B_FILLS],
        )


def joined(limbs: list[int]) -> int:
    """The number that sums of limbs make, the lowest first."""
    total = 0
    for index, limb in enumerate(limbs):
        total += limb << (t.LIMB * index)
    return total
