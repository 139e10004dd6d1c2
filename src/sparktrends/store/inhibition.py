"""Alerts of single symbols that a move of their whole market explains: they wait until it is judged, and are not sent.

A delivery of such an alert is due only `WAIT` after it was made, by the clock of whoever sends. Within that time the
step over markets (`batch.market`) cancels it or lets it go. Where nobody judges markets it is sent late, never lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sparktrends.model import HOUR, INTERVALS, SECOND
from sparktrends.store.connect import Cursor

WAIT = 30 * SECOND
"""Longest that an alert of a rule with ``unless_market`` waits for its market (µs)."""
PATIENCE = 4 * SECOND
"""How long the other symbols of a minute may take to be committed (µs): a market is not judged by the first of them."""


def waiting(cursor: Cursor, now: int) -> list[str]:
    """Alerts that still wait, and have waited for `PATIENCE` (µs UTC): judge what is committed, then `release` them."""
    cursor.execute(_WAITING, {"since": now - 2 * WAIT, "until": now - PATIENCE, "now": now})
    return [str(row[0]) for row in cursor.fetchall()]


def release(cursor: Cursor, ids: Sequence[str], now: int) -> None:
    """Send now what waits of these alerts."""
    if ids:
        cursor.execute(_RELEASE, {"ids": list(ids), "now": now})


def inhibit(cursor: Cursor, series: Sequence[int], moves: Mapping[int, str]) -> None:
    """Keep back the alerts of these series whose bars hold a minute in which their market moved (its start, µs UTC, to
    the id of the market's alert): on channels that hear of the market, where nothing was sent yet. A series that moved
    apart from its peers within its bar is news of its own."""
    if moves:
        words = {"series": list(series), "starts": list(moves), "alerts": list(moves.values())}
        cursor.execute(_INHIBIT, {**words, "lengths": _lengths()})


def forgive(cursor: Cursor, moves: Mapping[int, str], now: int) -> None:
    """These minutes (start, µs UTC) are no longer of the event of that alert of a market (its id): what it kept back of
    bars that hold them is sent after all, if it is not an hour old."""
    if moves:
        words = {"starts": list(moves), "alerts": list(moves.values()), "lengths": _lengths()}
        cursor.execute(_FORGIVE, {**words, "now": now, "since": now - HOUR})


def _lengths() -> str:
    return json.dumps({name: f"{length} microseconds" for name, length in INTERVALS.items()})


_WAITING = """
SELECT DISTINCT d.alert FROM core.deliveries d JOIN core.alerts a ON a.id = d.alert
WHERE d.state = 'due' AND d.kind = 'alert' AND d.due_at > core.at(%(now)s) AND a.unless_market
  AND a.created_at BETWEEN core.at(%(since)s) AND core.at(%(until)s)
ORDER BY 1
"""
_RELEASE = """
UPDATE core.deliveries SET due_at = core.at(%(now)s)
WHERE alert = ANY(%(ids)s) AND kind = 'alert' AND state = 'due' AND due_at > core.at(%(now)s)
"""
_INHIBIT = """
WITH bars AS (
    SELECT a.id, a.series, a.start, a.start + (%(lengths)s::jsonb ->> a.interval)::interval AS until
    FROM core.alerts a
    WHERE a.unless_market AND a.series = ANY(%(series)s) AND a.inhibited_by IS NULL AND a.status <> 'retracted'
      AND a.start > core.at((SELECT min(m) FROM unnest(%(starts)s::bigint[]) AS m)) - interval '1 day'
      AND NOT EXISTS (
          SELECT FROM core.deliveries d
          WHERE d.alert = a.id AND (d.state IN ('leased', 'sent') OR d.unknown_outcomes > 0))
), covered AS (
    SELECT DISTINCT ON (b.id) b.id, m.alert
    FROM bars b JOIN unnest(%(starts)s::bigint[], %(alerts)s::text[]) AS m(start, alert)
        ON core.at(m.start) >= b.start AND core.at(m.start) < b.until
    WHERE NOT EXISTS (
        SELECT FROM core.peer_moves p WHERE p.series = b.series AND p.start >= b.start AND p.start < b.until)
    ORDER BY b.id, m.start
), kept AS (
    UPDATE core.alerts a SET inhibited_by = c.alert FROM covered c WHERE a.id = c.id RETURNING a.id, c.alert
)
UPDATE core.deliveries d SET state = 'cancelled', error = 'inhibited: the market moved'
FROM kept WHERE d.alert = kept.id AND d.kind = 'alert' AND d.state = 'due'
  AND EXISTS (SELECT FROM core.deliveries m WHERE m.alert = kept.alert AND m.channel = d.channel AND m.kind = 'alert')
"""
_FORGIVE = """
WITH free AS (
    UPDATE core.alerts a SET inhibited_by = NULL
    FROM unnest(%(starts)s::bigint[], %(alerts)s::text[]) AS m(start, alert)
    WHERE a.inhibited_by = m.alert AND core.at(m.start) >= a.start
      AND core.at(m.start) < a.start + (%(lengths)s::jsonb ->> a.interval)::interval
    RETURNING a.id, a.status, a.created_at
)
UPDATE core.deliveries d SET state = 'due', due_at = core.at(%(now)s), error = NULL
FROM free WHERE d.alert = free.id AND free.status <> 'retracted' AND free.created_at > core.at(%(since)s)
  AND d.kind = 'alert' AND d.state = 'cancelled' AND d.error = 'inhibited: the market moved'
"""
