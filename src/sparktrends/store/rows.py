"""Rows of the writer's tables and the SQL that moves them: integers of the fold to numeric and back, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any

from sparktrends.model import PRICE_SCALE, Bar, PartialBar, SeriesState
from sparktrends.model.bars import Position
from sparktrends.store.blocks import NULL, decimal

# Wide enough for a sum of products of 38-digit numbers: nothing is ever rounded here.
_EXACT = Context(prec=200)
_NOWHERE = "\t".join([NULL] * 3)
_TURNOVER_SCALE = PRICE_SCALE * PRICE_SCALE

TEMPORARY_TABLES = """
CREATE TEMPORARY TABLE new_bars (
    series integer, start bigint, open numeric, high numeric, low numeric, close numeric, volume numeric,
    turnover numeric, vwap numeric, trades bigint, after_final bigint, statuses smallint, state text, reason text,
    fills bigint, open_ts bigint, open_partition integer, open_offset bigint,
    close_ts bigint, close_partition integer, close_offset bigint
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE new_states (
    series integer, version bigint, clock bigint, first_minute bigint, last_minute bigint
) ON COMMIT DELETE ROWS;
"""

# Dated while the lock of the series is held, not when the transaction began: one that waited for it would date its row
# before what it replaces. Never backwards, though the machine's clock may be set so: readers of out.bars go by it.
UPSERT_BARS = """
INSERT INTO core.bars AS b (series, interval, start, open, high, low, close, volume, turnover, vwap, trades,
    after_final, statuses, state, reason, fills, open_ts, open_partition, open_offset, close_ts, close_partition,
    close_offset, updated_at)
SELECT series, %s, core.at(start), open, high, low, close, volume, turnover, vwap, trades, after_final, statuses,
    state, reason, fills, open_ts, open_partition, open_offset, close_ts, close_partition, close_offset,
    statement_timestamp()
FROM new_bars
ON CONFLICT (series, interval, start) DO UPDATE SET
    open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
    volume = excluded.volume, turnover = excluded.turnover, vwap = excluded.vwap, trades = excluded.trades,
    after_final = excluded.after_final, statuses = excluded.statuses, state = excluded.state,
    reason = excluded.reason, fills = excluded.fills, open_ts = excluded.open_ts,
    open_partition = excluded.open_partition, open_offset = excluded.open_offset, close_ts = excluded.close_ts,
    close_partition = excluded.close_partition, close_offset = excluded.close_offset,
    updated_at = greatest(excluded.updated_at, b.updated_at)
"""
EMPTY_BARS = "DELETE FROM new_bars"
TRUNCATE_BARS = "TRUNCATE new_bars"
# The same series may come again in this transaction.
UPDATE_STATES = """
WITH n AS (DELETE FROM new_states RETURNING *)
UPDATE core.series_state s SET version = n.version, clock = n.clock, first_minute = n.first_minute,
    last_minute = n.last_minute, updated_at = now()
FROM n WHERE n.series = s.series
"""
# Two writers may meet a new symbol in the same moment: the second finds what the first has made.
NEW_SERIES = """
INSERT INTO core.series (source, symbol) SELECT * FROM unnest(%s::text[], %s::text[]) ON CONFLICT DO NOTHING
"""
NEW_STATES = """
INSERT INTO core.series_state (series, version, clock)
SELECT s.id, 0, 0 FROM core.series s JOIN unnest(%s::text[], %s::text[]) AS k(source, symbol) USING (source, symbol)
ON CONFLICT DO NOTHING
"""
# Locked in the order of ids, whatever the order asked for: two writers wait for each other in one direction only.
LOCK_STATES = """
SELECT s.source, s.symbol, t.series, t.version, t.clock, t.first_minute, t.last_minute
FROM core.series_state t JOIN core.series s ON s.id = t.series
JOIN unnest(%s::text[], %s::text[]) AS k(source, symbol) ON k.source = s.source AND k.symbol = s.symbol
ORDER BY t.series FOR UPDATE OF t
"""
_BAR_COLUMNS = """
    b.series, (extract(epoch FROM b.start) * 1000000)::bigint, s.source, s.symbol, b.open, b.high, b.low, b.close,
    b.volume, b.turnover, b.trades, b.after_final, b.statuses, b.fills, b.open_ts, b.open_partition, b.open_offset,
    b.close_ts, b.close_partition, b.close_offset
"""
SELECT_BARS = f"""
SELECT {_BAR_COLUMNS} FROM unnest(%s::integer[], %s::bigint[]) AS k(series, start)
JOIN core.bars b ON b.series = k.series AND b.interval = '1m' AND b.start = core.at(k.start)
JOIN core.series s ON s.id = b.series
"""  # noqa: S608 - constants of this file
SELECT_OPEN_BARS = f"""
SELECT {_BAR_COLUMNS} FROM unnest(%s::integer[], %s::bigint[]) AS k(series, since)
JOIN core.bars b ON b.series = k.series AND b.interval = '1m' AND b.start >= core.at(k.since)
JOIN core.series s ON s.id = b.series
"""  # noqa: S608 - constants of this file
SELECT_LONGER_BARS = f"""
SELECT {_BAR_COLUMNS}, b.interval FROM unnest(%s::integer[], %s::bigint[]) AS k(series, since)
JOIN core.bars b ON b.series = k.series AND b.interval = ANY(%s) AND b.start >= core.at(k.since)
    AND b.state = 'forming'
JOIN core.series s ON s.id = b.series
"""  # noqa: S608 - constants of this file
SELECT_FINAL_MINUTES = f"""
SELECT {_BAR_COLUMNS}, b.state, b.reason FROM unnest(%s::integer[], %s::bigint[], %s::bigint[]) AS k(series, a, b)
JOIN core.bars b ON b.series = k.series AND b.interval = '1m' AND b.start >= core.at(k.a) AND b.start < core.at(k.b)
    AND b.state <> 'forming'
JOIN core.series s ON s.id = b.series
ORDER BY b.start
"""  # noqa: S608 - constants of this file
SELECT_SPANS = """
SELECT g.series, (extract(epoch FROM g.from_at) * 1000000)::bigint,
    (extract(epoch FROM g.to_at) * 1000000)::bigint, g.reason
FROM unnest(%s::integer[], %s::bigint[], %s::bigint[]) AS k(series, a, b)
JOIN core.gaps g ON g.series = k.series AND g.from_at <= core.at(k.b) AND g.to_at >= core.at(k.a)
"""
# A batch may hold no record of a partition: then the time of its newest one stays.
ADVANCE_LEDGER = """
UPDATE core.ledger SET next_offset = %s, records = records + %s, trades = trades + %s, prices = prices + %s,
    heartbeats = heartbeats + %s, bars = bars + %s, late = late + %s, quarantined = quarantined + %s,
    appended_at = coalesce(core.at(%s), appended_at), updated_at = now()
WHERE topic = %s AND partition = %s
"""
NEXT_COMMIT = """
INSERT INTO core.shards (shard, commit) VALUES (%s, 1)
ON CONFLICT (shard) DO UPDATE SET commit = core.shards.commit + 1, updated_at = now() RETURNING commit
"""


def bar_line(series: int, bar: Bar, vwap: int | None) -> str:
    """A bar as a line of text COPY for `new_bars`; ``vwap`` in units of 10**-18."""
    f = bar.fold
    prices = f"{decimal(f.open)}\t{decimal(f.high)}\t{decimal(f.low)}\t{decimal(f.close)}"
    sums = f"{decimal(f.volume)}\t{decimal(f.turnover, 36)}\t{decimal(vwap)}\t{f.trades}\t{f.after_final}"
    what = f"{f.statuses}\t{bar.state.value}\t{bar.reason or NULL}\t{f.fills}"
    return f"{series}\t{f.start}\t{prices}\t{sums}\t{what}\t{_position(f.open_at)}\t{_position(f.close_at)}\n"


def _position(at: Position | None) -> str:
    return _NOWHERE if at is None else f"{at[0]}\t{at[1]}\t{at[2]}"


def state_line(state: SeriesState) -> str:
    """A series' state as a line of text COPY for `new_states`."""
    first = NULL if state.first_minute is None else state.first_minute
    last = NULL if state.last_minute is None else state.last_minute
    return f"{state.id}\t{state.version}\t{state.clock}\t{first}\t{last}\n"


def partial_bar(row: Sequence[Any]) -> PartialBar:
    """The fold that a row of `SELECT_BARS` holds."""
    _, start, source, symbol, open_, high, low, close, volume, turnover, trades = row[:11]
    after_final, statuses, fills, *at = row[11:20]
    return PartialBar(
        source,
        symbol,
        start,
        units(open_),
        None if at[0] is None else (at[0], at[1], at[2]),
        units(high),
        units(low),
        units(close),
        None if at[3] is None else (at[3], at[4], at[5]),
        units(volume) or 0,
        int(_EXACT.multiply(turnover, _TURNOVER_SCALE)),
        trades,
        after_final,
        statuses,
        fills,
    )


def units(value: Decimal | None) -> int | None:
    """A stored price in units of 10**-18.

    >>> units(Decimal("1.5"))
    1500000000000000000
    """
    return None if value is None else int(_EXACT.multiply(value, PRICE_SCALE))


def month_of(micros: int) -> tuple[int, int]:
    """Year and month, UTC, of a time in microseconds."""
    day = datetime.fromtimestamp(micros // 1_000_000, UTC)
    return day.year, day.month
