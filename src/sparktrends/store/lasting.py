"""Alerts of rules that last, and their end for another reason than that of their condition."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from sparktrends.model import INTERVALS
from sparktrends.store.connect import Cursor


class Lasting(NamedTuple):
    """An alert of a rule that is firing."""

    id: str
    rule: str
    interval: str
    symbol: str


def lasting(cursor: Cursor) -> list[Lasting]:
    """Every alert of a bar that is firing: not those of the operation, nor of markets."""
    cursor.execute(_LASTING)
    return [Lasting(*row) for row in cursor.fetchall()]


def end(cursor: Cursor, reasons: Mapping[str, str]) -> int:
    """End alerts (by id) for a reason, at the clock of their series; how many. Nobody is told: their rule, which would
    say so, is gone."""
    if not reasons:
        return 0
    lengths = {name: f"{length} microseconds" for name, length in INTERVALS.items()}
    words = {"reasons": json.dumps(dict(reasons)), "lengths": json.dumps(lengths)}
    return cursor.execute(_END, words).rowcount


_LASTING = """
SELECT a.id, a.rule, a.interval, s.symbol FROM core.alerts a JOIN core.series s ON s.id = a.series
WHERE a.status = 'firing' AND a.series IS NOT NULL AND a.interval IS NOT NULL ORDER BY a.id
"""
# Event time, as of every alert of a rule: the clock of the series, and never before the end of its bar.
_END = """
UPDATE core.alerts a SET status = 'resolved', ended = r.value,
    resolved_at = greatest(
        (SELECT core.at(t.clock) FROM core.series_state t WHERE t.series = a.series),
        a.start + (%(lengths)s::jsonb ->> a.interval)::interval)
FROM jsonb_each_text(%(reasons)s::jsonb) r
WHERE a.id = r.key AND a.status = 'firing'
"""
