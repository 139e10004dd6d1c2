"""The dispatcher's side of the outbox: claim what is due under a lease, then settle the claim. Times are µs UTC.

A claim whose owner died is claimed again when its lease ends, and then counts as an unknown outcome. The row of a
channel in ``core.channels`` is locked by every claim: it keeps the pace, whoever and however many dispatch. When the
clock was set back, what it said is moved along: else a channel would be mute for as long.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sparktrends.model import SECOND
from sparktrends.store.connect import Cursor
from sparktrends.store.session import Session


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert to tell on one channel; ``kind`` is alert, retraction, reinstatement or resolution.

    ``correlation`` is the id under which the process that made it logged.
    """

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
    unknown_outcomes: int
    correlation: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """Deliveries that one dispatcher may send; ``failures`` in a row preceded it on this channel."""

    token: str
    channel: str
    deliveries: tuple[Delivery, ...]
    failures: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What a claim obeys: seconds of lease and between messages, tries, and each rule's cool-down in seconds.

    A delivery is given up after ``max_attempts`` tries that surely failed, or ``max_unknown`` of unknown outcome, each
    followed by a longer wait (0, 1, 3, 7 … leases).
    """

    lease_s: float = 120.0
    spacing_s: float = 1.0
    max_attempts: int = 60
    max_unknown: int = 5
    cooldown_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a lease, and how long the channel rests (``wait_s``).

    ``state``: ``sent`` · ``again`` (nothing arrived) · ``limited`` (as again, but no try is counted) · ``unknown``
    (the lease runs out, then it is sent again) · ``alone`` (refused: each by itself) · ``dead`` (given up).
    """

    state: str
    message: str = ""
    error: str = ""
    wait_s: float = 0.0


class Outbox:
    """Claims and settlements; one instance a thread. Methods raise Retryable while the database is away."""

    def __init__(self, conninfo: str, application: str = "alerts") -> None:
        self._session = Session(conninfo, application)

    def claim(self, channel: str, token: str, limit: int, now: int, limits: Limits) -> Lease | float:
        """Lease up to ``limit`` due deliveries, oldest first; or the seconds until the channel may speak (0: idle)."""
        words = {
            "channel": channel,
            "token": token,
            "now": now,
            "until": now + int(limits.lease_s * SECOND),
            "next_at": now + int(limits.spacing_s * SECOND),
            "lease_s": limits.lease_s,
            "max_unknown": limits.max_unknown,
            "cooldowns": json.dumps(dict(limits.cooldown_s)),
        }
        with self._session.transaction() as cursor:
            cursor.execute(_CHANNEL, words)
            next_at, failures = _pace(cursor, words)
            if next_at > now:
                return float((next_at - now) / SECOND)
            for statement in (_EXPIRE, _DROP, _COOL):
                cursor.execute(statement, words)
            # While it fails, ever smaller messages probe the channel; the first success opens it again.
            rows = cursor.execute(_LEASE, {**words, "limit": max(1, limit >> min(failures, 16))}).fetchall()
            if not rows:
                return 0.0
            cursor.execute(_REST, {**words, "failed": False, "works": False})
        return Lease(token, channel, tuple(Delivery(*row) for row in rows), failures)

    def settle(self, lease: Lease, settlement: Settlement, now: int, limits: Limits) -> None:
        """Write down what became of a lease; deliveries lost to another dispatcher are left to it."""
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
        with self._session.transaction() as cursor:
            _pace(cursor, words)
            cursor.execute(_SETTLE[settlement.state], words)
            cursor.execute(_REST, words)

    def set_up(self, channels: Sequence[str]) -> int:
        """Say which channels there are; how many messages to others were cancelled.

        Else setting one up later would send old alerts.
        """
        words = {"known": list(channels)}
        with self._session.transaction() as cursor:
            cursor.execute(_SET_UP, words)
            return cursor.execute(_DROP_OTHERS, words).rowcount

    def close(self) -> None:
        """Close the connection."""
        self._session.close()


# By so much (µs) the clocks of two dispatchers may differ.
_SKEW = 5 * SECOND


def _pace(cursor: Cursor, words: Mapping[str, Any]) -> tuple[int, int]:
    """Lock a channel: when it may speak (µs; 0 at any time) and its failures in a row.

    Where the clock stands before what it last said, it was set back, and what was to last until then moves with it.
    """
    next_at, failures, said_at = cursor.execute(_PACE, words).fetchone() or (0, 0, 0)
    ahead = said_at - words["now"]
    if ahead <= _SKEW:
        return next_at, failures
    for statement in (_SET_BACK, _MOVE_ALONG):
        cursor.execute(statement, {**words, "ahead": timedelta(microseconds=ahead)})
    return next_at - ahead, failures


_CHANNEL = "INSERT INTO core.channels (channel) VALUES (%(channel)s) ON CONFLICT DO NOTHING"

_PACE = """
SELECT CASE WHEN next_at = '-infinity' THEN 0 ELSE (extract(epoch FROM next_at) * 1000000)::bigint END, failures,
    coalesce((extract(epoch FROM said_at) * 1000000)::bigint, 0)
FROM core.channels WHERE channel = %(channel)s FOR UPDATE
"""

_SET_BACK = """
UPDATE core.channels SET next_at = next_at - %(ahead)s::interval, said_at = core.at(%(now)s) WHERE channel = %(channel)s
"""

# Cool-downs too, which begin when something was sent.
_MOVE_ALONG = """
UPDATE core.deliveries
SET due_at = due_at - %(ahead)s::interval, leased_until = leased_until - %(ahead)s::interval,
    sent_at = sent_at - %(ahead)s::interval
WHERE channel = %(channel)s
  AND (state = 'due' AND due_at > core.at(%(now)s) OR state = 'leased' AND leased_until > core.at(%(now)s)
    OR sent_at > core.at(%(now)s))
"""

_REST = """
UPDATE core.channels
SET next_at = greatest(next_at, core.at(%(next_at)s)), said_at = greatest(said_at, core.at(%(now)s)),
    failures = CASE WHEN %(works)s THEN 0 WHEN %(failed)s THEN failures + 1 ELSE failures END
WHERE channel = %(channel)s
"""

# After the first unknown outcome at once, then a lease, three, seven later: five tries span sixteen leases, so that a
# receiver that hangs for ten minutes loses nothing, and one that has each message and never says so hears five at most.
_EXPIRE = """
UPDATE core.deliveries
SET unknown_outcomes = unknown_outcomes + 1, leased_by = NULL, leased_until = NULL,
    due_at = leased_until + (2 ^ unknown_outcomes - 1) * %(lease_s)s::float * interval '1 second',
    state = CASE WHEN unknown_outcomes + 1 >= %(max_unknown)s THEN 'dead' ELSE 'due' END,
    error = 'unknown outcome' || coalesce(': ' || error, '')
WHERE channel = %(channel)s AND state = 'leased' AND leased_until <= core.at(%(now)s)
"""

# What need not be told any more. A stale feed inhibits what was raised after its last word; a retraction or a
# resolution is told only to those who heard, or may have heard, the alert. A condition of the operation that is over is
# nobody's business any more; what a market did is news however short it was.
_DROP = """
UPDATE core.deliveries d SET state = 'cancelled', error = w.why
FROM (
    SELECT d.alert, d.kind,
        CASE WHEN d.kind IN ('alert', 'reinstatement') THEN CASE
            WHEN a.status = 'retracted' THEN 'retracted'
            WHEN a.status = 'resolved' AND a.rule LIKE 'ops.%%' THEN 'resolved'
            WHEN EXISTS (
                SELECT FROM core.silences z
                WHERE (z.rule IS NULL OR z.rule = a.rule) AND (z.source IS NULL OR z.source = s.source)
                  AND (z.symbol IS NULL OR z.symbol = s.symbol)
                  AND z.from_at <= core.at(%(now)s) AND core.at(%(now)s) < z.until_at) THEN 'silenced'
            WHEN a.subject IS NULL AND EXISTS (
                SELECT FROM core.alerts o
                WHERE o.status = 'firing' AND o.start < a.created_at
                  AND (o.rule = 'ops.stale_feed' AND o.series = a.series
                    OR o.rule = 'ops.feed' AND o.subject = s.source AND o."values" -> 'symbols' ? s.symbol)
                ) THEN 'inhibited: its feed is stale'
            END
        WHEN f.state IN ('cancelled', 'dead') AND f.unknown_outcomes = 0 THEN 'never told' END AS why
    FROM core.deliveries d
    JOIN core.alerts a ON a.id = d.alert
    LEFT JOIN core.series s ON s.id = a.series
    LEFT JOIN core.deliveries f ON f.alert = d.alert AND f.channel = d.channel AND f.kind = 'alert'
    WHERE d.channel = %(channel)s AND d.state = 'due'
) w
WHERE w.why IS NOT NULL AND d.alert = w.alert AND d.kind = w.kind AND d.channel = %(channel)s
"""

# Neighbours: alerts of the same rule about the same thing, closer in event time than the rule's cool-down. The
# cool-down is measured in event time, so that catching up after an outage tells what would have been told without it.
_NEIGHBOURS = """
    core.alerts b JOIN core.deliveries e ON e.alert = b.id AND e.channel = d.channel AND e.kind = 'alert'
    WHERE b.rule = a.rule AND b.series IS NOT DISTINCT FROM a.series AND b.subject IS NOT DISTINCT FROM a.subject
      AND b.interval IS NOT DISTINCT FROM a.interval AND b.id <> a.id
      AND b.start > a.start - c.value::float * interval '1 second'
      AND b.start < a.start + c.value::float * interval '1 second'
"""

# Told within the cool-down: wait for its end. What is still true then is told, what was taken back never was.
_COOL = f"""
UPDATE core.deliveries d SET due_at = w.until
FROM (
    SELECT d.alert, (
        SELECT max(e.sent_at) + c.value::float * interval '1 second' FROM {_NEIGHBOURS} AND e.state = 'sent') AS until
    FROM core.deliveries d
    JOIN core.alerts a ON a.id = d.alert
    JOIN jsonb_each_text(%(cooldowns)s::jsonb) c ON c.key = a.rule
    WHERE d.channel = %(channel)s AND d.state = 'due' AND d.kind = 'alert' AND d.due_at <= core.at(%(now)s)
) w
WHERE w.until > core.at(%(now)s) AND d.alert = w.alert AND d.kind = 'alert' AND d.channel = %(channel)s
"""  # noqa: S608 - put together from constants of this file

# The oldest first. One that was refused together with others goes alone, and a follower waits for its alert.
_LEASE = f"""
WITH open AS (
    SELECT d.alert, d.kind, d.alone, a.created_at, a.start
    FROM core.deliveries d
    JOIN core.alerts a ON a.id = d.alert
    LEFT JOIN core.deliveries f
        ON d.kind <> 'alert' AND f.alert = d.alert AND f.channel = d.channel AND f.kind = 'alert'
    LEFT JOIN jsonb_each_text(%(cooldowns)s::jsonb) c ON c.key = a.rule AND d.kind = 'alert'
    WHERE d.channel = %(channel)s AND d.state = 'due' AND d.due_at <= core.at(%(now)s)
      AND (f.state IS NULL OR f.state = 'sent' OR f.state <> 'leased' AND f.state <> 'due' AND f.unknown_outcomes > 0)
      AND (c.key IS NULL OR NOT EXISTS (
          SELECT FROM {_NEIGHBOURS} AND e.state IN ('due', 'leased') AND (b.start, b.id) < (a.start, a.id)))
    ORDER BY a.created_at, a.start, a.id LIMIT %(limit)s
), first AS (
    SELECT alone, alert, kind FROM open ORDER BY created_at, start, alert LIMIT 1
), chosen AS (
    SELECT d.alert, d.kind FROM core.deliveries d JOIN open o USING (alert, kind), first
    WHERE d.channel = %(channel)s AND d.state = 'due'
      AND CASE WHEN first.alone THEN (d.alert, d.kind) = (first.alert, first.kind) ELSE NOT d.alone END
    FOR UPDATE OF d SKIP LOCKED
), leased AS (
    UPDATE core.deliveries d
    SET state = 'leased', leased_by = %(token)s, leased_until = core.at(%(until)s), attempts = attempts + 1
    FROM chosen WHERE d.alert = chosen.alert AND d.kind = chosen.kind AND d.channel = %(channel)s
    RETURNING d.alert, d.kind, d.unknown_outcomes
)
SELECT a.id, l.kind, a.rule, coalesce(s.source, ''), coalesce(s.symbol, a.subject, ''), coalesce(a.interval, ''),
       (extract(epoch FROM a.start) * 1000000)::bigint, a.severity, a.title, a."values", l.unknown_outcomes,
       a.correlation
FROM leased l JOIN core.alerts a ON a.id = l.alert LEFT JOIN core.series s ON s.id = a.series
ORDER BY a.created_at, a.start, a.id, l.kind
"""  # noqa: S608 - put together from constants of this file


def _settled(what: str) -> str:
    return f"""
    UPDATE core.deliveries SET {what}, leased_by = NULL, leased_until = NULL, error = %(error)s
    WHERE channel = %(channel)s AND leased_by = %(token)s AND state = 'leased'
    """  # noqa: S608 - put together from constants of this file


_SETTLE = {
    "sent": _settled("state = 'sent', sent_at = core.at(%(now)s), message = %(message)s"),
    "again": _settled("state = CASE WHEN attempts >= %(max_attempts)s THEN 'dead' ELSE 'due' END"),
    "limited": _settled("state = 'due', attempts = attempts - 1"),
    "alone": _settled("state = 'due', alone = true"),
    "dead": _settled("state = 'dead'"),
    "unknown": """
    UPDATE core.deliveries SET error = %(error)s
    WHERE channel = %(channel)s AND leased_by = %(token)s AND state = 'leased'
    """,
}

_SET_UP = """
WITH others AS (UPDATE core.channels SET in_use = false WHERE in_use AND channel <> ALL(%(known)s))
INSERT INTO core.channels (channel) SELECT unnest(%(known)s::text[])
ON CONFLICT (channel) DO UPDATE SET in_use = true WHERE NOT channels.in_use
"""

_DROP_OTHERS = """
UPDATE core.deliveries SET state = 'cancelled', error = 'this channel is not set up'
WHERE state IN ('due', 'leased') AND channel <> ALL(%(known)s)
"""
