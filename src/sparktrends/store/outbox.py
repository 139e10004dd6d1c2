"""The outbox: alerts and their deliveries, from the transaction of a signal to the mark "sent". Times are µs UTC.

`insert_alerts` and `retract_alerts` run inside the sink's transaction. `Outbox` is the dispatcher's side: it claims
what is due under a lease, and settles the claim when the channel has spoken. A claim whose owner died is claimed
again when its lease ends, and then counts as an unknown outcome.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sparktrends.errors import NotFound
from sparktrends.model import HOUR, INTERVALS, SECOND, Alert, is_replayed, is_simulated
from sparktrends.store.connect import Connection, Cursor, connect, translated

CONSOLE = "console"
"""The channel that every alert is shown on, whatever keeps it from being sent."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert to tell on one channel; ``kind`` is alert, retraction, reinstatement or resolution."""

    alert: str
    kind: str
    rule: str
    source: str
    symbol: str
    interval: str
    start: int
    severity: str
    title: str
    values: Mapping[str, Any]
    attempts: int
    unknown_outcomes: int


@dataclass(frozen=True, slots=True)
class Lease:
    """Deliveries that one dispatcher may send until ``until``; ``failures`` in a row preceded it on this channel."""

    token: str
    channel: str
    deliveries: tuple[Delivery, ...]
    until: int
    failures: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What a claim obeys: seconds of lease and between messages, tries, and the cool-down of each rule in seconds."""

    lease_s: float = 120.0
    spacing_s: float = 1.0
    max_attempts: int = 60
    max_unknown: int = 5
    cooldown_s: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a lease.

    ``state``: ``sent``; ``again`` (nothing arrived); ``limited`` (as again, but no attempt is counted);
    ``unknown`` (the lease runs out, then it is sent again); ``alone`` (refused: each by itself); ``dead``.
    ``wait_s``: how long the channel rests.
    """

    state: str
    message: str = ""
    error: str = ""
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Condition:
    """An operational state that holds now: ``rule`` is ``ops.<name>``, ``subject`` what it is about.

    ``since`` is when it began; a condition of one series names it in ``source`` and ``symbol``.
    """

    rule: str
    subject: str
    title: str
    since: int
    severity: str = "warning"
    source: str = ""
    symbol: str = ""
    values: Mapping[str, Any] | None = None

    def alert(self, channels: Sequence[str]) -> Alert:
        """The alert it raises; its id depends on when it began, so every alerts process makes the same one."""
        words = {**(self.values or {}), "subject": self.subject}
        name = self.symbol or self.subject
        return Alert(self.rule, self.source, name, "", self.since, self.severity, self.title, tuple(channels), (), words)


def silence_reason(alert: Alert, now: int, filled: Collection[str] = frozenset()) -> str | None:
    """Why an alert is stored and shown but not sent (law 8): simulated, replayed, fill or old; None = it is sent.

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
    """Put alerts and one delivery a channel into the outbox, in the caller's transaction.

    ``filled`` holds the ids of alerts made from fills. An alert that is there already stays as it is, unless it was
    retracted: then it stands again, and who heard the retraction hears that. Raises the driver's errors.
    """
    if not alerts:
        return
    _insert(cursor, [_row(a, series_ids.get((a.source, a.symbol)), silence_reason(a, now, filled)) for a in alerts], now)
    cursor.execute(_REINSTATE, {"ids": [a.id for a in alerts], "now": now})


def retract_alerts(cursor: Cursor, ids: Sequence[str], now: int) -> None:
    """Take alerts back, in the caller's transaction: what is unsent is cancelled, who heard it hears the retraction.

    A message in flight counts as heard; the claim decides when its outcome is known. Raises the driver's errors.
    """
    if ids:
        cursor.execute(_RETRACT, {"ids": list(ids), "now": now})


def _insert(cursor: Cursor, rows: list[dict[str, Any]], now: int) -> list[str]:
    cursor.execute(_INSERT, {"rows": json.dumps(rows, allow_nan=False), "now": now})
    return [str(found[0]) for found in cursor.fetchall()]


def _row(alert: Alert, series: int | None, silent: str | None, subject: str | None = None) -> dict[str, Any]:
    outside = alert.channels if silent is None else ()
    return {
        "id": alert.id,
        "rule": alert.rule,
        "series": series,
        "interval": alert.interval or None,
        "start": alert.start,
        "severity": alert.severity,
        "title": alert.title,
        "channels": list(alert.channels),
        "signals": list(alert.signals),
        "values": {key: _plain(value) for key, value in alert.values.items()},
        "silent": silent,
        "subject": subject,
        "told": list(dict.fromkeys((CONSOLE, *outside))),
    }


def _plain(value: object) -> object:
    """JSON has no NaN and no infinity, and a Decimal keeps its digits only as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


class Outbox:
    """The dispatcher's side. It connects when first used, and again after an error; one instance a thread.

    Every method raises Unavailable or Retryable while the database is away.
    """

    def __init__(self, conninfo: str, application: str = "alerts") -> None:
        self._conninfo = conninfo
        self._application = application
        self._connection: Connection | None = None

    def claim(self, channel: str, token: str, limit: int, now: int, limits: Limits) -> Lease | float:
        """Lease up to ``limit`` due deliveries, oldest first; or the seconds until the channel may speak (0: idle)."""
        words = _claim_words(channel, token, now, limits)
        with self._transaction() as cursor:
            next_at, failures = cursor.execute(_PACE, words).fetchone() or (now, 0)
            if next_at > now:
                return (next_at - now) / SECOND
            for statement in (_EXPIRE, _DROP, _COOL):
                cursor.execute(statement, words)
            # While it fails, ever smaller messages probe the channel; one success opens it again.
            rows = cursor.execute(_LEASE, {**words, "limit": max(1, limit >> min(failures, 16))}).fetchall()
            if not rows:
                return 0.0
            cursor.execute(_SPACE, words)
        return Lease(token, channel, tuple(Delivery(*row) for row in rows), words["until"], failures)

    def settle(self, lease: Lease, settlement: Settlement, now: int, limits: Limits) -> None:
        """Write down what became of a lease; does nothing where the lease was lost to another."""
        words = {
            "channel": lease.channel,
            "token": lease.token,
            "now": now,
            "max_attempts": limits.max_attempts,
            "message": settlement.message or None,
            "error": settlement.error[:500] or None,
            "next_at": now + int(settlement.wait_s * SECOND),
            "failed": settlement.state in ("again", "unknown"),
            "works": settlement.state in ("sent", "alone"),
        }
        with self._transaction() as cursor:
            cursor.execute(_SETTLE[settlement.state], words)
            cursor.execute(_REST, words)

    def drop_unknown_channels(self, known: Sequence[str]) -> int:
        """Cancel what waits for channels that are not set up, so that setting one up later sends no old alerts."""
        with self._transaction() as cursor:
            return cursor.execute(_DROP_CHANNELS, {"known": list(known)}).rowcount

    def dead_letters(self, since: int) -> list[tuple[str, int]]:
        """(channel, how many deliveries were given up) among alerts created after ``since``."""
        with self._transaction() as cursor:
            return [(str(c), int(n)) for c, n in cursor.execute(_DEAD, {"since": since}).fetchall()]

    def stale_series(self, older_than: Mapping[str, int]) -> list[tuple[str, str, int]]:
        """(source, symbol, clock) of the series whose clock is before their source's limit (µs UTC)."""
        with self._transaction() as cursor:
            rows = cursor.execute(_STALE, {"limits": json.dumps(dict(older_than))}).fetchall()
        return [(str(source), str(symbol), int(clock)) for source, symbol, clock in rows]

    def progress(self) -> list[tuple[str, int, int]]:
        """(topic, append time of the newest folded record, time of that commit) of every topic in the ledger."""
        with self._transaction() as cursor:
            return [(str(t), int(a), int(u)) for t, a, u in cursor.execute(_PROGRESS).fetchall()]

    def fire(self, condition: Condition, channels: Sequence[str], now: int) -> str | None:
        """Raise a condition's alert; None when it is firing already."""
        with self._transaction() as cursor:
            key = (condition.source, condition.symbol)
            found = cursor.execute("SELECT id FROM core.series WHERE source = %s AND symbol = %s", key).fetchone()
            alert = condition.alert(channels)
            row = _row(alert, found[0] if found else None, silence_reason(alert, now), condition.subject)
            return next(iter(_insert(cursor, [row], now)), None)

    def firing(self, rule: str) -> list[str]:
        """The subjects for which this condition fires."""
        with self._transaction() as cursor:
            rows = cursor.execute(
                "SELECT subject FROM core.alerts WHERE rule = %s AND subject IS NOT NULL AND status = 'firing'", (rule,)
            )
            return [str(row[0]) for row in rows.fetchall()]

    def resolve(self, rule: str, subject: str, now: int) -> bool:
        """End a condition: who heard of it hears that it is over. False when it was not firing."""
        with self._transaction() as cursor:
            return bool(cursor.execute(_RESOLVE, {"rule": rule, "subject": subject, "now": now}).fetchall())

    def acknowledge(self, alert: str, who: str, now: int) -> None:
        """Write down who has seen an alert; raises NotFound."""
        with self._transaction() as cursor:
            words = {"id": alert, "who": who, "now": now}
            if not cursor.execute(_ACKNOWLEDGE, words).rowcount:
                raise NotFound(f"no alert has the id {alert}", hint="`sparktrends psql` and market.alerts list them")

    def silence(self, until: int, now: int, *, rule: str | None, source: str | None, symbol: str | None, who: str) -> int:
        """Keep matching alerts (None matches all) from being sent until then; the id of the silence."""
        words = {"rule": rule, "source": source, "symbol": symbol, "now": now, "until": until, "who": who}
        with self._transaction() as cursor:
            (made,) = cursor.execute(_SILENCE, words).fetchone() or (0,)
        return int(made)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._conninfo, timeout_s=10, application=self._application)
        with translated(), self._connection as connection, connection.cursor() as cursor:
            yield cursor
