"""Writing what a batch came to, inside a `writer.Transaction`: one function for each kind of row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sparktrends.model import Bar, Coordinates, LateTrade, Quarantined, SeriesState, Span, StoredProviderBar
from sparktrends.store import rows
from sparktrends.store.writer import SeriesKey, Transaction

TopicIds = Mapping[str, str]
"""The id of each topic of the batch, by name."""
CHANNEL = "sparktrends_changes"
"""Who listens here is told ``shard:commit`` of every commit."""
_MANY = 10_000


def bars(tx: Transaction, changed: Sequence[tuple[int, Bar, int | None]], interval: str = "1m") -> None:
    """Insert or replace bars of one interval: (series, bar, vwap in units of 10**-18)."""
    if not changed:
        return
    tx.ensure_months("bars", (bar.fold.start for _, bar, _ in changed))
    with tx.cursor.copy("COPY new_bars FROM STDIN") as copy:
        copy.write("".join(rows.bar_line(*item) for item in changed))
    tx.cursor.execute(rows.UPSERT_BARS, (interval,))
    # What comes next in this transaction comes through the same table. Deleted rows are read again by each of the next
    # statements, and another file for the table is work for the catalogue.
    tx.cursor.execute(rows.EMPTY_BARS if len(changed) < _MANY else rows.TRUNCATE_BARS)


def deleted_bars(tx: Transaction, deleted: Sequence[tuple[int, int]], interval: str = "1m") -> None:
    """Delete empty rows (series, start) that turned out to lie in a closed session."""
    if deleted:
        tx.cursor.execute(
            "DELETE FROM core.bars b USING unnest(%s::integer[], %s::bigint[]) AS k(series, start) "
            "WHERE b.series = k.series AND b.interval = %s AND b.start = core.at(k.start) AND b.trades = 0",
            ([series for series, _ in deleted], [start for _, start in deleted], interval),
        )


def states(tx: Transaction, changed: Iterable[SeriesState]) -> None:
    """Write the states of series that `Transaction.lock_series` locked."""
    with tx.cursor.copy("COPY new_states FROM STDIN") as copy:
        copy.write("".join(map(rows.state_line, changed)))
    tx.cursor.execute(rows.UPDATE_STATES)


def spans(tx: Transaction, added: Sequence[tuple[int, Span]], deleted: Sequence[tuple[int, Span]]) -> None:
    """Replace spans of closed sessions and long holes."""
    tx.cursor.executemany(
        "DELETE FROM core.gaps WHERE series = %s AND reason = %s AND from_at = core.at(%s)",
        [(series, span.reason, span.start) for series, span in deleted],
    )
    tx.cursor.executemany(
        "INSERT INTO core.gaps (series, from_at, to_at, reason) VALUES (%s, core.at(%s), core.at(%s), %s)",
        [(series, span.start, span.end, span.reason) for series, span in added],
    )


def late_trades(tx: Transaction, late: Sequence[LateTrade], series: Mapping[SeriesKey, int], ids: TopicIds) -> None:
    """Append to the late ledger."""
    tx.cursor.executemany(
        "INSERT INTO core.late_trades (topic, topic_id, partition, log_offset, appended, series, ts, arrival, price, "
        "size, trade_id, conditions) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (*_place(item.at, ids), series[item.trade.source, item.trade.symbol], item.trade.ts, item.arrival)
            + (item.trade.price, item.trade.size, item.trade.id, list(item.trade.conditions))
            for item in late
        ],
    )


def quarantined(tx: Transaction, records: Sequence[Quarantined], ids: TopicIds) -> None:
    """Set records aside, with their place in the log."""
    if not records:
        return
    with tx.cursor.copy(
        "COPY core.quarantine (topic, topic_id, partition, log_offset, appended, reason, size, sha256, payload, "
        "source) FROM STDIN (FORMAT BINARY)"
    ) as copy:
        copy.set_types(["text", "text", "int4", "int8", "int8", "text", "int4", "bytea", "bytea", "text"])
        for r in records:
            copy.write_row((*_place(r.at, ids), r.reason, r.size, r.sha256, r.payload, r.source))


def provider_bars(tx: Transaction, items: Sequence[StoredProviderBar], series: Mapping[SeriesKey, int]) -> None:
    """Insert or replace providers' bars; of two for one key the one of larger rank stays (law 6)."""
    best: dict[tuple[int, str, int, str], StoredProviderBar] = {}
    for item in items:
        key = (series[item.bar.source, item.bar.symbol], item.bar.interval, item.bar.start, item.bar.adjustment)
        if key not in best or best[key].rank < item.rank:
            best[key] = item
    tx.ensure_months("provider_bars", (start for _, _, start, _ in best))
    tx.cursor.executemany(_UPSERT_PROVIDER_BAR, [(*key, *_provider_values(item)) for key, item in best.items()])


_UPSERT_PROVIDER_BAR = """
INSERT INTO core.provider_bars AS p (series, interval, start, adjustment, open, high, low, close, volume, turnover,
    trades, closed, arrival, log_partition, log_offset, updated_at)
VALUES (%s, %s, core.at(%s), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
    statement_timestamp())
ON CONFLICT (series, interval, start, adjustment) DO UPDATE SET
    open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
    volume = excluded.volume, turnover = excluded.turnover, trades = excluded.trades, closed = excluded.closed,
    arrival = excluded.arrival, log_partition = excluded.log_partition, log_offset = excluded.log_offset,
    updated_at = greatest(excluded.updated_at, p.updated_at)
WHERE (p.closed, p.arrival, p.log_partition, p.log_offset)
    < (excluded.closed, excluded.arrival, excluded.log_partition, excluded.log_offset)
"""


def _provider_values(item: StoredProviderBar) -> tuple[object, ...]:
    b = item.bar
    values = (b.open, b.high, b.low, b.close, b.volume, b.turnover, b.trades, b.closed)
    return (*values, item.arrival, item.at.partition, item.at.offset)


def changes(
    tx: Transaction, commit: int, at: int, keys: Sequence[tuple[int, str, int]], signals: Sequence[str]
) -> None:
    """Say in one row, and to listeners of `CHANNEL`, what this transaction changed: (series, interval, start) of
    bars, and ids of signals."""
    tx.cursor.execute(
        "INSERT INTO core.changes (shard, commit, at, series, intervals, starts, signals) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (tx.shard, commit, datetime.fromtimestamp(at / 1_000_000, UTC))
        + ([k[0] for k in keys], [k[1] for k in keys], [k[2] for k in keys], list(signals)),
    )
    # Heard when the transaction has committed, and only then.
    tx.cursor.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f"{tx.shard}:{commit}"))


def _place(at: Coordinates, ids: TopicIds) -> tuple[str, str, int, int, int]:
    return (at.topic, ids[at.topic], at.partition, at.offset, at.appended)
