"""The outbox: alerts and their deliveries, written in the transaction of the signals that made them (law 8)."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sparktrends.model import EVERY_CHANNEL, HOUR, INTERVALS, Alert, Resolution, is_replayed, is_simulated
from sparktrends.store.connect import Cursor
from sparktrends.store.inhibition import WAIT
from sparktrends.telemetry import correlation

CONSOLE = "console"
"""The channel that every alert is shown on, whatever keeps it from being sent."""

_log = logging.getLogger(__name__)
_INSERT = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS g(
        id text, rule text, series integer, interval text, start bigint, severity text, title text, channels text[],
        signals text[], "values" jsonb, silent text, subject text, unless_market boolean, correlation text, told text[])
), made AS (
    INSERT INTO core.alerts
        (id, rule, series, interval, start, severity, title, channels, signals, "values", silent, subject,
         unless_market, correlation, created_at)
    SELECT id, rule, series, interval, core.at(start), severity, title, channels, signals, "values", silent, subject,
           unless_market, correlation, core.at(%(now)s)
    FROM given ORDER BY id
    ON CONFLICT DO NOTHING
    RETURNING id
), told AS (
    INSERT INTO core.deliveries (alert, channel, due_at)
    SELECT id, t.channel, core.at(%(now)s + CASE WHEN unless_market THEN %(wait)s ELSE 0 END)
    FROM given JOIN made USING (id), LATERAL (
        SELECT unnest(told) EXCEPT SELECT %(every)s
        UNION SELECT channel FROM core.channels WHERE in_use AND %(every)s = ANY(told)
    ) AS t(channel)
)
SELECT id FROM made
"""

# Retracted, then true again by a later revision. Whoever never heard of it hears it now, as an alert.
_REINSTATE = """
WITH back AS (
    UPDATE core.alerts SET status = 'firing', retracted_at = NULL, resolved_at = NULL, ended = NULL
    WHERE id = ANY(%(ids)s) AND status = 'retracted'
    RETURNING id
), unheard AS (
    UPDATE core.deliveries SET state = 'due', due_at = core.at(%(now)s), error = NULL
    FROM back WHERE alert = back.id AND kind = 'alert' AND state = 'cancelled' AND error = 'retracted'
), unsaid AS (
    UPDATE core.deliveries SET state = 'cancelled', error = 'reinstated'
    FROM back WHERE alert = back.id AND kind = 'retraction' AND state = 'due'
)
INSERT INTO core.deliveries (alert, channel, kind, due_at)
SELECT alert, channel, 'reinstatement', core.at(%(now)s)
FROM core.deliveries JOIN back ON alert = back.id
WHERE kind = 'retraction' AND state IN ('leased', 'sent')
ON CONFLICT DO NOTHING
"""

# A message in flight (leased) or of unknown outcome may have been heard: the claim decides when it is known.
_RETRACT = """
WITH gone AS (
    UPDATE core.alerts SET status = 'retracted', retracted_at = core.at(%(now)s), resolved_at = NULL, ended = NULL
    WHERE id = ANY(%(ids)s) AND status <> 'retracted'
    RETURNING id
), heard AS (
    SELECT alert, channel FROM core.deliveries JOIN gone ON alert = gone.id
    WHERE kind = 'alert' AND (state IN ('leased', 'sent') OR unknown_outcomes > 0)
), unsent AS (
    UPDATE core.deliveries SET state = 'cancelled', error = 'retracted'
    FROM gone WHERE alert = gone.id AND kind IN ('alert', 'reinstatement', 'resolution') AND state = 'due'
)
INSERT INTO core.deliveries (alert, channel, kind, due_at)
SELECT alert, channel, 'retraction', core.at(%(now)s) FROM heard
ON CONFLICT (alert, channel, kind) DO UPDATE SET state = 'due', due_at = excluded.due_at, error = NULL
    WHERE deliveries.state = 'cancelled'
"""

# Over by the verdict of before, and not by the present one. Who heard that it was over hears that it is not. What ended
# because its rule is gone stays so: the present rules know nothing of it.
_REOPEN = """
WITH given AS (SELECT * FROM unnest(%(series)s::integer[], %(since)s::bigint[]) AS k(series, since)
), open AS (
    UPDATE core.alerts a SET status = 'firing', resolved_at = NULL FROM given k
    WHERE a.series = k.series AND a.interval = %(interval)s AND a.status = 'resolved'
      AND a.resolved_at >= core.at(k.since) AND a.id <> ALL(%(over)s) AND a.ended IS NULL
    RETURNING a.id
), unsaid AS (
    UPDATE core.deliveries SET state = 'cancelled', error = 'open again'
    FROM open WHERE alert = open.id AND kind = 'resolution' AND state = 'due'
)
INSERT INTO core.deliveries (alert, channel, kind, due_at)
SELECT alert, channel, 'reinstatement', core.at(%(now)s)
FROM core.deliveries JOIN open ON alert = open.id
WHERE kind = 'resolution' AND (state IN ('leased', 'sent') OR unknown_outcomes > 0)
ON CONFLICT DO NOTHING
"""

# What was over already may be over at another bar: that is no news. An alert that waits is told first, then its end.
_RESOLVE = """
WITH given AS (SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS g(id text, at bigint, tell boolean)
), over AS (
    UPDATE core.alerts a SET status = 'resolved', resolved_at = core.at(g.at), ended = NULL
    FROM given g JOIN core.alerts before ON before.id = g.id
    WHERE a.id = g.id AND a.status <> 'retracted' AND a.resolved_at IS DISTINCT FROM core.at(g.at)
    RETURNING a.id, g.tell AND before.status = 'firing' AS told
)
INSERT INTO core.deliveries (alert, channel, kind, due_at)
SELECT alert, channel, 'resolution', core.at(%(now)s)
FROM core.deliveries JOIN over ON alert = over.id AND over.told
WHERE kind = 'alert' AND (state IN ('due', 'leased', 'sent') OR unknown_outcomes > 0)
ON CONFLICT (alert, channel, kind) DO UPDATE SET state = 'due', due_at = excluded.due_at, error = NULL
    WHERE deliveries.state = 'cancelled'
"""

# What an older text of the rule raised, and the present one knows nothing of, is over with what came after it.
_SWEEP = """
UPDATE core.alerts a SET status = 'resolved', resolved_at = e.resolved_at
FROM core.alerts e
WHERE e.id = ANY(%(ids)s) AND e.status = 'resolved' AND a.rule = e.rule AND a.series = e.series
  AND a.interval = e.interval AND a.start < e.start AND a.status = 'firing'
"""


def silence_reason(alert: Alert, now: int, filled: Collection[str] = frozenset()) -> str | None:
    """Why an alert is stored and shown but not sent: simulated, replayed, fill or old; None means it is sent.

    >>> silence_reason(Alert("r", "random~sim", "X", "1m", 0, "info", "t"), now=0)
    'simulated'
    """
    if alert.history:
        return None
    if is_simulated(alert.source):
        return "simulated"
    if is_replayed(alert.source):
        return "replayed"
    if alert.id in filled:
        return "fill"
    length = INTERVALS.get(alert.interval)
    return "old" if length is not None and now - (alert.start + length) > HOUR else None


def insert_alerts(
    cursor: Cursor,
    alerts: Sequence[Alert],
    series_ids: Mapping[tuple[str, str], int],
    now: int,
    filled: Collection[str] = frozenset(),
) -> None:
    """Put alerts and one delivery a channel into the outbox, in the caller's transaction at ``now`` (µs UTC).

    ``filled`` holds the ids of alerts made from fills. An alert that is there already stays as it is, unless it was
    retracted: then it stands again, and who heard the retraction hears that. Raises the driver's errors.
    """
    if not alerts:
        return
    rows = [row_of(a, series_ids[a.source, a.symbol], silence_reason(a, now, filled)) for a in alerts]
    insert_again(cursor, rows, now)


def retract_alerts(cursor: Cursor, ids: Sequence[str], now: int) -> None:
    """Take alerts back, in the caller's transaction: what is unsent is cancelled, who heard it hears the retraction.

    A message in flight counts as heard until its outcome is known. Raises the driver's errors.
    """
    if ids:
        cursor.execute(_RETRACT, {"ids": list(ids), "now": now})


def resolve_alerts(
    cursor: Cursor, interval: str, over: Sequence[Resolution], again: Mapping[int, int], now: int
) -> None:
    """Write down which alerts are over, in the caller's transaction at ``now`` (µs UTC), after they were inserted.

    Series (by id) in ``again`` were judged again: an alert that was over at that time (µs UTC) or later is so only if
    ``over`` says it, else it is open again. Who heard of an alert hears of its end if the resolution says so.
    Raises the driver's errors.
    """
    if again:
        words = {"series": list(again), "since": list(again.values()), "interval": interval, "now": now}
        cursor.execute(_REOPEN, {**words, "over": [end.id for end in over]})
    if over:
        rows = [{"id": end.id, "at": end.at, "tell": end.tell} for end in over]
        cursor.execute(_RESOLVE, {"rows": json.dumps(rows), "now": now})
        cursor.execute(_SWEEP, {"ids": [end.id for end in over]})


def insert_again(cursor: Cursor, rows: Sequence[Mapping[str, Any]], now: int) -> None:
    """Insert what `row_of` made; what is there and was retracted stands again."""
    insert_rows(cursor, rows, now)
    cursor.execute(_REINSTATE, {"ids": [row["id"] for row in rows], "now": now})


def insert_rows(cursor: Cursor, rows: Sequence[Mapping[str, Any]], now: int) -> list[str]:
    """Insert what `row_of` made; the ids that were not there before."""
    words = {"rows": json.dumps(rows, allow_nan=False), "now": now, "wait": WAIT, "every": EVERY_CHANNEL}
    cursor.execute(_INSERT, words)
    made = {str(found[0]) for found in cursor.fetchall()}
    new = [row for row in rows if row["id"] in made]
    for row in new:
        _log.info("alert %s of rule %s: %s", row["id"], row["rule"], row["silent"] or "to be sent")
    return [row["id"] for row in new]


def row_of(alert: Alert, series: int | None, silent: str | None, subject: str | None = None) -> dict[str, Any]:
    """The row of ``core.alerts``, and in ``told`` the channels that get a delivery (or `EVERY_CHANNEL`)."""
    outside = alert.channels if silent is None else ()
    return {
        "id": alert.id,
        "rule": alert.rule,
        "series": series,
        "interval": alert.interval or None,
        "start": alert.start,
        "severity": alert.severity,
        "title": _plain(alert.title),
        "channels": list(alert.channels),
        "signals": list(alert.signals),
        "values": _plain(alert.values),
        "silent": silent,
        "subject": subject,
        "unless_market": alert.unless_market,
        "correlation": correlation(),
        "told": list(dict.fromkeys((CONSOLE, *outside))),
    }


def _plain(value: object) -> object:
    """As JSON can hold it: no NaN, no infinity, no NUL; a Decimal keeps its digits as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, int | float | None):
        return value
    return (str(value) if not isinstance(value, Decimal) else f"{value:f}").replace("\x00", "\ufffd")
