"""Operational conditions: what the alerts process reads to find them, and how they are raised and ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparktrends.errors import NotFound
from sparktrends.model import Alert
from sparktrends.store import figures, followers, lasting, overdue, quality_rows
from sparktrends.store.outbox import insert_rows, row_of, silence_reason
from sparktrends.store.quality_rows import PoorDay
from sparktrends.store.session import Session


@dataclass(frozen=True, slots=True)
class Condition:
    """An operational state that holds now: ``rule`` is ``ops.<name>``, ``subject`` what it is about.

    ``since`` is when it began (µs UTC); a condition of one series names it in ``source`` and ``symbol``.
    """

    rule: str
    subject: str
    title: str
    since: int
    severity: str = "warning"
    source: str = ""
    symbol: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def alert(self, channels: Sequence[str]) -> Alert:
        """The alert it raises: its id hashes the beginning, so that every alerts process makes the same one."""
        name = self.symbol or self.subject
        return Alert(
            self.rule, self.source, name, "", self.since, self.severity, self.title, tuple(channels), (), self.values
        )


class Conditions:
    """Reads and writes of the operational side; one instance a thread. Raises Retryable while the database is away."""

    def __init__(self, conninfo: str, application: str = "alerts") -> None:
        self._session = Session(conninfo, application)

    def fire(self, condition: Condition, channels: Sequence[str], now: int) -> str | None:
        """Raise a condition's alert and return its id; None when it fires already."""
        alert = condition.alert(channels)
        with self._session.transaction() as cursor:
            found = cursor.execute(_SERIES, (condition.source, condition.symbol)).fetchone()
            row = row_of(alert, found[0] if found else None, silence_reason(alert, now), condition.subject)
            return next(iter(insert_rows(cursor, [row], now)), None)

    def resolve(self, rule: str, subject: str, now: int) -> bool:
        """End a condition: who heard of it hears that it is over. False when it was not firing."""
        with self._session.transaction() as cursor:
            words = {"rule": rule, "subject": subject, "now": now}
            return bool(cursor.execute(_RESOLVE, words).fetchall())

    def firing(self) -> set[tuple[str, str]]:
        """(rule, subject) of every condition that fires."""
        with self._session.transaction() as cursor:
            return {(str(rule), str(subject)) for rule, subject in cursor.execute(_FIRING).fetchall()}

    def stale_series(self, limits: Mapping[str, int]) -> list[tuple[str, str, int]]:
        """(source, symbol, clock) of the series whose clock is before the limit of their source (µs UTC)."""
        with self._session.transaction() as cursor:
            rows = cursor.execute(_STALE, {"limits": json.dumps(dict(limits))}).fetchall()
        return [(str(source), str(symbol), int(clock)) for source, symbol, clock in rows]

    def next_offsets(self) -> dict[tuple[str, int], int]:
        """The next offset to be stored, by topic and partition."""
        with self._session.transaction() as cursor:
            return figures.next_offsets(cursor)

    def dead_letters(self, since: int) -> list[tuple[str, int]]:
        """(channel, deliveries given up) among the alerts raised after ``since``."""
        with self._session.transaction() as cursor:
            return [(str(c), int(n)) for c, n in cursor.execute(_DEAD, {"since": since}).fetchall()]

    def poor_quality(self, below: float, since: int) -> list[PoorDay]:
        """Series whose newest judged day scored less and was judged after ``since`` (µs UTC)."""
        with self._session.transaction() as cursor:
            return quality_rows.poor(cursor, below, since)

    def readers_away(self, before: int) -> list[followers.Away]:
        """The readers that have not dealt with commits from before ``before`` (µs UTC)."""
        with self._session.transaction() as cursor:
            return followers.away(cursor, before)

    def daily_work(self, now: int) -> overdue.Work:
        """How the daily work stands at ``now`` (µs UTC)."""
        with self._session.transaction() as cursor:
            return overdue.daily_work(cursor, now)

    def acknowledge(self, alert: str, who: str, now: int) -> None:
        """Write down who has seen an alert; raises NotFound."""
        with self._session.transaction() as cursor:
            if not cursor.execute(_ACKNOWLEDGE, {"id": alert, "who": who, "now": now}).rowcount:
                raise NotFound(f"no alert has the id {alert}", hint="market.alerts lists them")

    def silence(self, match: Mapping[str, str], until: int, now: int, who: str, reason: str = "") -> int:
        """Send no alert that matches ``rule``, ``source``, ``symbol`` (a missing one matches all) until then."""
        words = {"rule": None, "source": None, "symbol": None, **match}
        with self._session.transaction() as cursor:
            made = cursor.execute(_SILENCE, {**words, "until": until, "now": now, "who": who, "reason": reason})
            (number,) = made.fetchone() or (0,)
        return int(number)

    def lasting(self) -> list[lasting.Lasting]:
        """The alerts of rules that are firing."""
        with self._session.transaction() as cursor:
            return lasting.lasting(cursor)

    def end(self, reasons: Mapping[str, str]) -> int:
        """End alerts of rules (by id), each for a reason; how many."""
        with self._session.transaction() as cursor:
            return lasting.end(cursor, reasons)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()


_SERIES = "SELECT id FROM core.series WHERE source = %s AND symbol = %s"

_FIRING = "SELECT rule, subject FROM core.alerts WHERE rule LIKE 'ops.%' AND subject IS NOT NULL AND status = 'firing'"

_RESOLVE = """
WITH over AS (
    UPDATE core.alerts SET status = 'resolved', resolved_at = core.at(%(now)s)
    WHERE rule = %(rule)s AND subject = %(subject)s AND status = 'firing'
    RETURNING id
), told AS (
    INSERT INTO core.deliveries (alert, channel, kind, due_at)
    SELECT alert, channel, 'resolution', core.at(%(now)s)
    FROM core.deliveries JOIN over ON alert = over.id
    WHERE kind = 'alert' AND (state IN ('leased', 'sent') OR unknown_outcomes > 0)
    ON CONFLICT DO NOTHING
)
SELECT id FROM over
"""

_STALE = """
SELECT s.source, s.symbol, t.clock
FROM core.series_state t
JOIN core.series s ON s.id = t.series
JOIN jsonb_each_text(%(limits)s::jsonb) l ON l.key = s.source
WHERE t.clock < l.value::bigint
ORDER BY s.source, s.symbol
"""

_DEAD = """
SELECT d.channel, count(*) FROM core.deliveries d JOIN core.alerts a ON a.id = d.alert
WHERE d.state = 'dead' AND a.created_at > core.at(%(since)s) GROUP BY d.channel ORDER BY d.channel
"""

_ACKNOWLEDGE = """
UPDATE core.alerts SET acknowledged_at = core.at(%(now)s), acknowledged_by = %(who)s WHERE id = %(id)s
"""

_SILENCE = """
INSERT INTO core.silences (rule, source, symbol, from_at, until_at, reason, created_by)
VALUES (%(rule)s, %(source)s, %(symbol)s, core.at(%(now)s), core.at(%(until)s), %(reason)s, %(who)s)
RETURNING id
"""
