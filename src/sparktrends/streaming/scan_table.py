"""The compiled fold of plain records: a hash table of series, one of bars, and sums that cannot overflow.

Sums are kept in limbs of 30 bits (price and size are below 2**60 in units of 10**-9), so 2**33 records fit.
Tables are arrays that `scan.Scanner` makes and enlarges; `fold_rows` stops before a row for which there may be no room.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sparktrends.bars.record import MAX_BYTES
from sparktrends.model import MINUTE, Statuses
from sparktrends.streaming.scan_jit import compiled
from sparktrends.streaming.scan_record import (
    BIT_PRICE,
    BIT_RECEIVED,
    BIT_SIZE,
    BIT_SOURCE,
    BIT_STATUS,
    BIT_SYMBOL,
    BIT_TS,
    FILL,
    KIND,
    MAX_NAME,
    PRICE,
    RECEIVED,
    SEEN,
    SIZE,
    SOURCE,
    SOURCE_END,
    STATUS,
    SYMBOL,
    SYMBOL_END,
    TS,
    W_HEARTBEAT,
    W_OK,
    W_PRICE,
    W_STALE,
    W_START,
    W_THROTTLED,
    W_TRADE,
    WIDTH,
    scan_record,
)

Array = Any  # of int64 unless said: Numba's own types are beyond mypy

# What became of a row. PRESET is what the caller marks as odd beforehand.
TRADE, UPDATE, BEAT, PRESET = range(4)

# Beyond the fields of `scan_record`, the row holds what is known of the record's place.
PARTITION, OFFSET, ARRIVAL = range(WIDTH, WIDTH + 3)
# One row is used for all records: arrays made inside compiled code would need counting of references.
ROW_WIDTH = WIDTH + 3

# A series.
S_HASH, S_SOURCE, S_SYMBOL, S_CLOCK, S_GRACE, S_MINUTE, S_BAR = range(7)
# Below every arrival, and far enough from the end of 64 bits that nothing added to it wraps.
NEVER = -(1 << 62)

# A bar. Columns of a position stand together: price, ts, partition, offset.
B_SERIES, B_MINUTE, B_OPEN, B_OPEN_TS, B_OPEN_PART, B_OPEN_OFF, B_HIGH, B_LOW = range(8)
B_CLOSE, B_CLOSE_TS, B_CLOSE_PART, B_CLOSE_OFF, B_TRADES, B_AFTER, B_STATUSES, B_FILLS = range(8, 16)
B_VOLUME, B_TURNOVER, B_WIDTH = 16, 18, 22

# Two limbs make a price or size, and the product of two limbs stays below 2**60.
LIMB = 30
LOW_LIMB = (1 << LIMB) - 1
# Far enough below 2**63 that a limit can be added without wrapping; what is beyond goes the exact way.
LATEST = 1 << 60
_REQUIRED = BIT_SOURCE | BIT_SYMBOL | BIT_TS
_ST_OK, _ST_STALE = int(Statuses.OK), int(Statuses.STALE)
_ST_THROTTLED, _ST_START = int(Statuses.THROTTLED), int(Statuses.START)


class Tables(NamedTuple):
    """What has been folded so far. ``used`` counts series and bars; slots hold an index + 1, 0 is free."""

    used: Array
    series_slots: Array
    series: Array
    names: Array
    bar_slots: Array
    bars: Array


class Rows(NamedTuple):
    """One batch: ``data[ends[i]:ends[i + 1]]`` is the value of row i; ``fate`` (uint8) says what became of it."""

    data: Array
    ends: Array
    partition: Array
    offset: Array
    appended: Array
    fate: Array


class Bounds(NamedTuple):
    """The limits: ``times`` is grace, settle, future; ``graces`` has name length and grace per special source."""

    times: Array
    sources: Array
    graces: Array


@compiled
def fold_rows(rows: Rows, tables: Tables, bounds: Bounds, row: Array, first: int) -> int:
    """Fold rows from ``first`` on; the first row that was not looked at, for want of room, or their number."""
    most_series, most_bars = tables.series.shape[0], tables.bars.shape[0]
    for i in range(first, rows.fate.shape[0]):
        if tables.used[0] >= most_series or tables.used[1] >= most_bars:
            return i
        if rows.fate[i] == PRESET:
            continue
        # Odd until it has been folded: whichever way the row is left, the exact way will see it.
        rows.fate[i] = PRESET
        start, end = rows.ends[i], rows.ends[i + 1]
        if end - start > MAX_BYTES or not scan_record(rows.data, start, end, row):
            continue
        row[PARTITION], row[OFFSET] = rows.partition[i], rows.offset[i]
        if in_time(row, rows.appended[i], bounds.times):
            rows.fate[i] = fold_row(rows.data, row, tables, bounds)
    return int(rows.fate.shape[0])


@compiled
def in_time(row: Array, appended: int, times: Array) -> bool:
    """Whether what every record needs is there, and not from the future; sets the row's arrival."""
    if row[SEEN] & _REQUIRED != _REQUIRED or appended < 0 or appended > LATEST:
        return False
    arrival = row[RECEIVED] if row[SEEN] & BIT_RECEIVED else appended
    row[ARRIVAL] = arrival
    return bool(arrival <= appended + times[2] and row[TS] <= arrival + times[2])


@compiled
def fold_row(data: Array, row: Array, tables: Tables, bounds: Bounds) -> int:
    """Put a plain record where it belongs; TRADE, UPDATE, BEAT, or PRESET when it is odd after all."""
    fate = fate_of(row)
    if fate == PRESET:
        return fate
    s = find_series(data, row, tables, bounds)
    series = tables.series[s]
    late = row[ARRIVAL] > row[TS] + series[S_GRACE] and row[FILL] == 0
    # The late ledger keeps the whole record, with id and digits as sent: the exact way makes that.
    if late and fate != UPDATE:
        return PRESET
    series[S_CLOCK] = max(series[S_CLOCK], row[ARRIVAL])
    if fate == TRADE:
        minute = row[TS] // MINUTE
        # Most trades fall in the minute of their series' last one.
        b = series[S_BAR] if series[S_MINUTE] == minute else find_bar(s, minute, tables)
        bar = tables.bars[b]
        add_prices(bar, row)
        add_sums(bar, row[PRICE], row[SIZE])
        bar[B_FILLS] += row[FILL]
        bar[B_AFTER] += row[ARRIVAL] > (minute + 1) * MINUTE + bounds.times[1]
    elif fate == BEAT:
        tables.bars[find_bar(s, row[TS] // MINUTE, tables)][B_STATUSES] |= status_of(row)
    return fate


@compiled
def fate_of(row: Array) -> int:
    """What the record is by its kind and size, when all that this kind needs is there and good; else PRESET."""
    kind = row[KIND]
    # Before price and size: what else a heartbeat holds is not looked at, as in `bars.judge`.
    if kind == W_HEARTBEAT:
        return BEAT if status_of(row) > 0 else PRESET
    # A price of zero is refused by `bars`, with a word of its own.
    if row[PRICE] == 0 or row[SEEN] & BIT_PRICE == 0:
        return PRESET
    if kind == W_PRICE:
        return UPDATE
    if kind != W_TRADE or row[SEEN] & BIT_SIZE == 0:
        return PRESET
    return TRADE if row[SIZE] > 0 else UPDATE


@compiled
def status_of(row: Array) -> int:
    """The bit of a heartbeat's status; 0 for ``closed`` and unknown words, which are odd."""
    status = row[STATUS]
    if row[SEEN] & BIT_STATUS == 0 or status == W_OK:
        return _ST_OK
    if status == W_STALE:
        return _ST_STALE
    if status == W_THROTTLED:
        return _ST_THROTTLED
    return _ST_START if status == W_START else 0


@compiled
def find_series(data: Array, row: Array, tables: Tables, bounds: Bounds) -> int:
    """The index of the record's series, made if it is new (there is room: `fold_rows` saw to it)."""
    code = hash_name(data, row[SOURCE], row[SOURCE_END], 2166136261)
    code = hash_name(data, row[SYMBOL], row[SYMBOL_END], code)
    # Sizes are powers of two, so a mask does what a slow division would.
    mask = tables.series_slots.shape[0] - 1
    slot = code & mask
    while tables.series_slots[slot] > 0:
        s = tables.series_slots[slot] - 1
        if tables.series[s, S_HASH] == code and is_series(data, row, tables.series[s], tables.names[s]):
            return int(s)
        slot = (slot + 1) & mask
    s = tables.used[0]
    tables.used[0] = s + 1
    tables.series_slots[slot] = s + 1
    start_series(data, row, tables.series[s], tables.names[s])
    tables.series[s, S_HASH] = code
    # Once a series, so that no record compares names with the table of graces.
    tables.series[s, S_GRACE] = grace_of(tables.names[s], tables.series[s, S_SOURCE], bounds)
    return int(s)


@compiled
def hash_name(data: Array, start: int, end: int, code: int) -> int:
    """FNV-1a, 32 bits, of data[start:end], going on from ``code``."""
    for k in range(start, end):
        code = ((code ^ int(data[k])) * 16777619) & 0xFFFFFFFF
    # Of FNV the lowest bits depend on the lowest bits alone, and slots are chosen by them.
    return (code ^ (code >> 15)) & 0xFFFFFFFF


@compiled
def is_series(data: Array, row: Array, series: Array, names: Array) -> bool:
    """Whether the record's names are those of this series."""
    source, symbol = row[SOURCE_END] - row[SOURCE], row[SYMBOL_END] - row[SYMBOL]
    if series[S_SOURCE] != source or series[S_SYMBOL] != symbol:
        return False
    return same(names, 0, data, row[SOURCE], source) and same(names, MAX_NAME, data, row[SYMBOL], symbol)


@compiled
def same(names: Array, at: int, data: Array, start: int, length: int) -> bool:
    """Whether ``length`` bytes of ``names`` from ``at`` on are those of ``data`` from ``start`` on."""
    equal = True
    for k in range(length):
        equal &= names[at + k] == data[start + k]
    return equal


@compiled
def start_series(data: Array, row: Array, series: Array, names: Array) -> None:
    """Write the names of a new series, and that it has no clock and no bar yet."""
    series[S_SOURCE], series[S_SYMBOL] = row[SOURCE_END] - row[SOURCE], row[SYMBOL_END] - row[SYMBOL]
    series[S_CLOCK], series[S_MINUTE], series[S_BAR] = NEVER, -1, -1
    for k in range(series[S_SOURCE]):
        names[k] = data[row[SOURCE] + k]
    for k in range(series[S_SYMBOL]):
        names[MAX_NAME + k] = data[row[SYMBOL] + k]


@compiled
def grace_of(names: Array, length: int, bounds: Bounds) -> int:
    """The grace of the source whose name begins ``names``."""
    for g in range(bounds.graces.shape[0]):
        if bounds.graces[g, 0] == length and same(names, 0, bounds.sources[g], 0, length):
            return int(bounds.graces[g, 1])
    return int(bounds.times[0])


@compiled
def find_bar(s: int, minute: int, tables: Tables) -> int:
    """The index of the bar of series ``s`` and ``minute``, made if it is new; the series remembers it."""
    series = tables.series[s]
    mask = tables.bar_slots.shape[0] - 1
    slot = hash_bar(s, minute) & mask
    while tables.bar_slots[slot] > 0:
        b = tables.bar_slots[slot] - 1
        if tables.bars[b, B_SERIES] == s and tables.bars[b, B_MINUTE] == minute:
            series[S_MINUTE], series[S_BAR] = minute, b
            return int(b)
        slot = (slot + 1) & mask
    b = tables.used[1]
    tables.used[1] = b + 1
    tables.bar_slots[slot] = b + 1
    tables.bars[b, B_SERIES], tables.bars[b, B_MINUTE] = s, minute
    series[S_MINUTE], series[S_BAR] = minute, b
    return int(b)


@compiled
def hash_bar(s: int, minute: int) -> int:
    """A number below 2**31 that spreads (series, minute); no product reaches 2**63."""
    code = (s * 2654435761 + minute) & 0xFFFFFFFF
    code = (code ^ (code >> 16)) * 73244475 & 0xFFFFFFFF
    return (code ^ (code >> 16)) & 0x7FFFFFFF


@compiled
def add_prices(bar: Array, row: Array) -> None:
    """Let one trade move open, high, low and close."""
    price = row[PRICE]
    if bar[B_TRADES] == 0:
        bar[B_HIGH] = bar[B_LOW] = price
    else:
        bar[B_HIGH], bar[B_LOW] = max(bar[B_HIGH], price), min(bar[B_LOW], price)
    if bar[B_TRADES] == 0 or is_before(row, bar, B_OPEN):
        set_position(bar, B_OPEN, row)
    if bar[B_TRADES] == 0 or not is_before(row, bar, B_CLOSE):
        set_position(bar, B_CLOSE, row)
    bar[B_TRADES] += 1


@compiled
def is_before(row: Array, bar: Array, at: int) -> bool:
    """Whether the record's (ts, partition, offset) is less than the one kept at column ``at``."""
    if row[TS] != bar[at + 1]:
        return bool(row[TS] < bar[at + 1])
    # A symbol may lie in two partitions, when another producer chose the key.
    if row[PARTITION] != bar[at + 2]:
        return bool(row[PARTITION] < bar[at + 2])
    return bool(row[OFFSET] < bar[at + 3])


@compiled
def set_position(bar: Array, at: int, row: Array) -> None:
    """Keep the record's price and position at column ``at``."""
    bar[at], bar[at + 1], bar[at + 2], bar[at + 3] = row[PRICE], row[TS], row[PARTITION], row[OFFSET]


@compiled
def add_sums(bar: Array, price: int, size: int) -> None:
    """Add size to the volume, and price · size (below 2**120) to the turnover, limb by limb."""
    p0, p1, s0, s1 = price & LOW_LIMB, price >> LIMB, size & LOW_LIMB, size >> LIMB
    bar[B_VOLUME] += s0
    bar[B_VOLUME + 1] += s1
    # Each product is below 2**60; carries go up one limb at a time, and none is lost.
    low = p0 * s0
    middle = p1 * s0 + p0 * s1 + (low >> LIMB)
    top = p1 * s1 + (middle >> LIMB)
    bar[B_TURNOVER] += low & LOW_LIMB
    bar[B_TURNOVER + 1] += middle & LOW_LIMB
    bar[B_TURNOVER + 2] += top & LOW_LIMB
    bar[B_TURNOVER + 3] += top >> LIMB


def new_tables(series: int, bars: int) -> Tables:
    """Empty tables with room for so many series and bars, powers of two."""
    return Tables(
        used=np.zeros(2, np.int64),
        # Four slots a row: at most a quarter is taken, so nearly every look finds its row at once.
        series_slots=np.zeros(4 * series, np.int64),
        series=np.zeros((series, 7), np.int64),
        names=np.zeros((series, 2 * MAX_NAME), np.uint8),
        bar_slots=np.zeros(4 * bars, np.int64),
        bars=np.zeros((bars, B_WIDTH), np.int64),
    )


@compiled
def fill_slots(tables: Tables) -> None:
    """Enter every series and bar into empty slots, after the tables grew."""
    mask = tables.series_slots.shape[0] - 1
    for s in range(tables.used[0]):
        slot = tables.series[s, S_HASH] & mask
        while tables.series_slots[slot] > 0:
            slot = (slot + 1) & mask
        tables.series_slots[slot] = s + 1
    mask = tables.bar_slots.shape[0] - 1
    for b in range(tables.used[1]):
        slot = hash_bar(tables.bars[b, B_SERIES], tables.bars[b, B_MINUTE]) & mask
        while tables.bar_slots[slot] > 0:
            slot = (slot + 1) & mask
        tables.bar_slots[slot] = b + 1
