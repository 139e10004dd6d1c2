"""Reading and writing what the analysis needs and makes, inside a `writer.Transaction`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from sparktrends.model import Signal
from sparktrends.store.blocks import binary_rows
from sparktrends.store.writer import SeriesKey, Transaction

FinalBar = tuple[int, int, float, float, float, float, float, float, float]
"""Start (microseconds), revision, open, high, low, close, volume, turnover, and 1.0 for a provider's bar."""


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """The state of the analysis after the bar at ``start``, and which layout it has."""

    start: int
    state: bytes
    layout: str


def snapshots_before(
    tx: Transaction, interval: str, layout: str, before: Mapping[int, int]
) -> dict[int, StoredSnapshot]:
    """Per series the newest snapshot that is older than the time given with it, of this layout or of one that differs
    in its last 16 characters only: by other rules."""
    if not before:
        return {}
    tx.cursor.execute(
        "SELECT k.series, n.start, n.state, n.layout FROM unnest(%s::integer[], %s::bigint[]) AS k(series, before) "
        "CROSS JOIN LATERAL (SELECT start, state, layout FROM core.snapshots s WHERE s.series = k.series "
        "AND s.interval = %s AND left(s.layout, 16) = left(%s, 16) AND length(s.layout) = 32 AND s.start < k.before "
        "ORDER BY s.start DESC LIMIT 1) n",
        (list(before), list(before.values()), interval, layout),
        binary=True,
    )
    return {series: StoredSnapshot(start, bytes(state), name) for series, start, state, name in tx.cursor.fetchall()}


def final_bars(tx: Transaction, interval: str, after: Mapping[int, int]) -> dict[int, list[FinalBar]]:
    """Per series the final bars that show (`market.bars`) and have prices, after the time given, oldest first."""
    found: dict[int, list[FinalBar]] = {series: [] for series in after}
    if after:
        tx.cursor.execute(
            FINAL_BARS, {"series": list(after), "after": list(after.values()), "interval": interval}, binary=True
        )
        for series, *bar in tx.cursor:
            found[series].append(tuple(bar))
    return found


FINAL_BARS = """
WITH k AS (SELECT * FROM unnest(%(series)s::integer[], %(after)s::bigint[]) AS k(series, after))
SELECT k.series, (extract(epoch FROM b.start) * 1000000)::bigint AS start, b.after_final, b.open::float8,
    b.high::float8, b.low::float8, b.close::float8, b.volume::float8, b.turnover::float8, 0::float8
FROM k JOIN core.bars b ON b.series = k.series AND b.interval = %(interval)s AND b.start > core.at(k.after)
WHERE b.state <> 'forming' AND b.open IS NOT NULL AND (b.reason IS NULL OR NOT EXISTS (
    SELECT FROM core.provider_bars p WHERE p.series = b.series AND p.interval = b.interval AND p.start = b.start
       AND p.adjustment = 'raw' AND p.closed))
UNION ALL
SELECT k.series, (extract(epoch FROM p.start) * 1000000)::bigint,
    coalesce((SELECT b.after_final FROM core.bars b
        WHERE b.series = p.series AND b.interval = p.interval AND b.start = p.start), 0),
    p.open::float8, p.high::float8, p.low::float8, p.close::float8, p.volume::float8, coalesce(p.turnover, 0)::float8,
    1::float8
FROM k JOIN core.provider_bars p ON p.series = k.series AND p.interval = %(interval)s AND p.start > core.at(k.after)
WHERE p.adjustment = 'raw' AND p.closed AND NOT EXISTS (
    SELECT FROM core.bars b WHERE b.series = p.series AND b.interval = p.interval AND b.start = p.start
       AND (b.trades > 0 OR b.state <> 'forming')
       AND (b.state = 'forming' OR b.reason IS NULL OR b.reason = 'no_trade'))
ORDER BY 1, 2
"""


METRIC_NAMES = (
    *("return", "log_return", "volatility_20", "volatility_ewma", "sma_20", "sma_50", "sma_200"),
    *("ema_12", "ema_20", "ema_26", "ema_50", "ema_200", "rsi_14", "macd", "macd_signal", "macd_hist"),
    *("bb_upper", "bb_middle", "bb_lower", "atr_14", "adx_14", "stoch_k", "stoch_d", "obv", "mfi_14", "roc_10"),
    *("vwap_session", "volume_sma_20", "volume_ratio", "volume_z"),
)
"""The named columns of `core.metrics`, in the order of `MetricsTable.values`."""
_COLUMNS = ", ".join(f'"{name}"' for name in METRIC_NAMES)
TEMPORARY_METRICS = f"""
CREATE TEMPORARY TABLE new_metrics (series integer, start bigint, {", ".join(f'"{n}" float8' for n in METRIC_NAMES)},
    warm boolean, revision bigint, final boolean, extra jsonb) ON COMMIT DELETE ROWS
"""
_KNOWN = ", ".join(f"nullif(\"{name}\", 'NaN')" for name in METRIC_NAMES)
_UPSERT_METRICS = f"""
INSERT INTO core.metrics (series, interval, start, {_COLUMNS}, warm, revision, final, extra, updated_at)
SELECT series, %s, core.at(start), {_KNOWN}, warm, revision, final, extra, now() FROM new_metrics
ON CONFLICT (series, interval, start) DO UPDATE SET
    {", ".join(f'"{name}" = excluded."{name}"' for name in METRIC_NAMES)}, warm = excluded.warm,
    revision = excluded.revision, final = excluded.final, extra = excluded.extra, updated_at = excluded.updated_at
"""  # noqa: S608 - constants of this file


@dataclass(frozen=True, slots=True)
class MetricsTable:
    """Rows of `core.metrics`, one for each (series, start), as columns.

    ``values`` (n, as `METRIC_NAMES`) and ``extra`` (n, as ``extra_names``) hold NaN or an infinity for null.
    """

    series: Sequence[int]
    starts: Sequence[int]
    values: NDArray[np.float64]
    warm: NDArray[np.bool_]
    extra_names: Sequence[str]
    extra: NDArray[np.float64]
    revisions: Sequence[int]
    final: Sequence[bool]


def save_metrics(tx: Transaction, interval: str, table: MetricsTable) -> None:
    """Insert or replace rows of metrics."""
    if not table.series:
        return
    tx.ensure_months("metrics", table.starts)
    with tx.cursor.copy("COPY new_metrics FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(_block(table))
    tx.cursor.execute(_UPSERT_METRICS, (interval,))
    # The next interval of this transaction comes through the same table.
    tx.cursor.execute("DELETE FROM new_metrics")


def _block(table: MetricsTable) -> bytes:
    values = np.where(np.isfinite(table.values), table.values, np.nan)
    columns = [("int4", np.array(table.series)), ("int8", np.array(table.starts))]
    columns += [("float8", column) for column in values.T]
    columns += [("bool", table.warm), ("int8", np.array(table.revisions)), ("bool", np.array(table.final))]
    extra = [
        # PostgreSQL's binary jsonb is its version and the text.
        b"\x01" + orjson.dumps({n: v for n, v in zip(table.extra_names, row, strict=True) if isfinite(v)})
        for row in table.extra.tolist()
    ]
    return binary_rows(columns, extra)


def delete_metrics(tx: Transaction, interval: str, since: Mapping[int, int], kept: Iterable[tuple[int, int]]) -> None:
    """Delete rows from ``since`` on of each series but those at ``kept`` (series, start): their bar is gone."""
    keep = list(kept)
    tx.cursor.execute(
        "DELETE FROM core.metrics m USING unnest(%s::integer[], %s::bigint[]) AS k(series, since) "
        "WHERE m.series = k.series AND m.interval = %s AND m.start >= core.at(k.since) AND m.final "
        "AND NOT EXISTS (SELECT FROM unnest(%s::integer[], %s::bigint[]) AS n(series, start) "
        "WHERE n.series = m.series AND core.at(n.start) = m.start)",
        (list(since), list(since.values()), interval, [series for series, _ in keep], [start for _, start in keep]),
    )


def save_snapshots(
    tx: Transaction,
    interval: str,
    layout: str,
    snapshots: Sequence[tuple[int, int, bytes, bool]],
    since: Mapping[int, int],
) -> None:
    """Replace the snapshots of each series from ``since`` on: rows of (series, start, state, daily)."""
    tx.cursor.execute(
        "DELETE FROM core.snapshots s USING unnest(%s::integer[], %s::bigint[]) AS k(series, since) "
        "WHERE s.series = k.series AND s.interval = %s AND s.start >= k.since",
        (list(since), list(since.values()), interval),
    )
    with tx.cursor.copy(
        "COPY core.snapshots (series, interval, start, layout, daily, state) FROM STDIN (FORMAT BINARY)"
    ) as copy:
        copy.set_types(["int4", "text", "int8", "text", "bool", "bytea"])
        for series, start, state, daily in snapshots:
            copy.write_row((series, interval, start, layout, daily, state))


def prune_snapshots(tx: Transaction, interval: str, before: Mapping[int, int]) -> None:
    """Delete what no revision within the grace can need: not daily, older than given, and not the newest."""
    tx.cursor.execute(
        "DELETE FROM core.snapshots s USING unnest(%s::integer[], %s::bigint[]) AS k(series, before) "
        "WHERE s.series = k.series AND s.interval = %s AND s.start < k.before AND NOT s.daily "
        "AND s.start < (SELECT max(start) FROM core.snapshots n WHERE n.series = s.series AND n.interval = s.interval)",
        (list(before), list(before.values()), interval),
    )


def replace_signals(
    tx: Transaction,
    series: Mapping[SeriesKey, int],
    interval: str,
    judged: Sequence[tuple[int, int]],
    signals: Sequence[Signal],
    *,
    feed: bool = False,
) -> list[str]:
    """Make ``signals`` the ones that stand at the ``judged`` bars (series, start), or that forming bars show early.

    What stood at a judged bar and is not among them is retracted; only signals of kind ``feed``, or only the others,
    as ``feed`` says. Returns the ids of what changed.
    """
    changed: list[str] = []
    ids = [signal.id for signal in signals]
    if judged:
        tx.cursor.execute(
            "UPDATE core.signals g SET retracted_at = now() "
            "FROM unnest(%s::integer[], %s::bigint[]) AS k(series, start) "
            "WHERE g.series = k.series AND g.interval = %s AND g.start = core.at(k.start) AND g.retracted_at IS NULL "
            "AND (g.kind = 'feed') = %s AND g.id <> ALL(%s) RETURNING g.id",
            ([s for s, _ in judged], [start for _, start in judged], interval, feed, ids),
        )
        changed += [row[0] for row in tx.cursor.fetchall()]
    if signals:
        tx.cursor.execute(_UPSERT_SIGNALS, (json.dumps([_signal_row(s, series) for s in signals]),))
        changed += [row[0] for row in tx.cursor.fetchall()]
    return changed


# Rows that say the same stay untouched and are not returned: what is, readers are told of as changed.
_UPSERT_SIGNALS = """
INSERT INTO core.signals AS g (id, series, interval, start, kind, name, direction, score, severity, detail, detected_at)
SELECT id, series, interval, core.at(start), kind, name, direction, score, severity, detail, now()
FROM jsonb_to_recordset(%s::jsonb) AS r(id text, series integer, interval text, start bigint, kind text, name text,
    direction text, score float8, severity text, detail jsonb)
ON CONFLICT (id) DO UPDATE SET score = excluded.score, severity = excluded.severity, detail = excluded.detail,
    retracted_at = NULL
WHERE (g.score, g.severity, g.detail) IS DISTINCT FROM (excluded.score, excluded.severity, excluded.detail)
   OR g.retracted_at IS NOT NULL
RETURNING id
"""


def _signal_row(signal: Signal, series: Mapping[SeriesKey, int]) -> dict[str, Any]:
    return {
        "id": signal.id,
        "series": series[signal.source, signal.symbol],
        "interval": signal.interval,
        "start": signal.start,
        "kind": signal.kind,
        "name": signal.name,
        "direction": signal.direction,
        "score": signal.score,
        "severity": signal.severity,
        "detail": dict(signal.detail),
    }


def retract_signals_since(tx: Transaction, interval: str, since: Mapping[int, int], kept: Sequence[str]) -> list[str]:
    """Retract what stands from ``since`` on of each series but ``kept``; returns the ids of what was retracted."""
    tx.cursor.execute(
        "UPDATE core.signals g SET retracted_at = now() FROM unnest(%s::integer[], %s::bigint[]) AS k(series, since) "
        "WHERE g.series = k.series AND g.interval = %s AND g.start >= core.at(k.since) AND g.retracted_at IS NULL "
        "AND g.kind <> 'feed' AND g.id <> ALL(%s) RETURNING g.id",
        (list(since), list(since.values()), interval, list(kept)),
    )
    return [row[0] for row in tx.cursor.fetchall()]


def standing_alerts(tx: Transaction, interval: str, since: Mapping[int, int]) -> list[str]:
    """Ids of alerts of bars that stand from the time given on of each series."""
    tx.cursor.execute(
        "SELECT a.id FROM core.alerts a JOIN unnest(%s::integer[], %s::bigint[]) AS k(series, since) "
        "ON a.series = k.series AND a.start >= core.at(k.since) "
        "WHERE a.interval = %s AND a.status <> 'retracted' AND a.rule NOT LIKE 'ops.%%'",
        (list(since), list(since.values()), interval),
    )
    return [row[0] for row in tx.cursor.fetchall()]
