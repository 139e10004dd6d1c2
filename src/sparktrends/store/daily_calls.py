"""The calls of the daily run and what became of them; which days of a symbol are stored."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import NamedTuple

from sparktrends.store.connect import Cursor


class CallRow(NamedTuple):
    """One call as it is stored; ``symbols`` in the order of the call, ``until`` the last day of a backfill's."""

    day: date
    source: str
    call: str
    what: str
    endpoint: str
    interval: str
    symbols: list[str]
    until: date | None = None


EARLY = "asked before the day was over"
"""The reason of a call that was done while its day lasted: there may be more."""
TOO_LATE = "the provider tells only what holds now"
"""The reason of a call that was not made in time."""


def plan(cursor: Cursor, calls: Sequence[CallRow]) -> None:
    """Write down calls that have to be made; those known before stay as they are."""
    cursor.executemany(
        "INSERT INTO core.daily_calls (day, source, call, what, endpoint, interval, symbols, until, state, updated_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'waiting', now()) ON CONFLICT DO NOTHING",
        calls,
    )


def open_calls(cursor: Cursor, source: str, since: date, until: date) -> list[CallRow]:
    """The calls of a source for these days (both inclusive) that wait or failed: newest day first, of a day
    news, which nothing that comes later brings.

    Then whoever was answered longest ago: a quota that never suffices must not leave out the same symbols each time.
    """
    cursor.execute(
        "SELECT day, source, call, what, endpoint, interval, symbols FROM core.daily_calls "
        "LEFT JOIN (SELECT call, max(day) AS answered FROM core.daily_calls WHERE source = %s AND state = 'done' "
        "GROUP BY call) before USING (call) "
        "WHERE source = %s AND day BETWEEN %s AND %s AND until IS NULL AND state IN ('waiting', 'failed') "
        "ORDER BY day DESC, what <> 'news', answered NULLS FIRST, what, call",
        (source, source, since, until),
    )
    return [CallRow(*row) for row in cursor]


def reopen_early(cursor: Cursor, source: str, since: date, until: date, but: Collection[str]) -> None:
    """Let what was asked of these days (both inclusive) while they lasted be asked again, ``but`` for these kinds."""
    cursor.execute(
        "UPDATE core.daily_calls SET state = 'waiting', updated_at = now() WHERE source = %s "
        "AND day BETWEEN %s AND %s AND until IS NULL AND state = 'done' AND reason = %s AND what <> ALL(%s)",
        (source, since, until, EARLY, list(but)),
    )


def reopen_refused(cursor: Cursor, source: str, day: date, symbols: Sequence[str] | None) -> None:
    """Let the calls of a day that were refused be made again, of these symbols only when given: plans are extended."""
    cursor.execute(
        "UPDATE core.daily_calls SET state = 'waiting', updated_at = now() WHERE source = %s AND day = %s "
        "AND until IS NULL AND state = 'refused' AND (%s::text[] IS NULL OR symbols <@ %s::text[])",
        (source, day, *[symbols if symbols is None else list(symbols)] * 2),
    )


def refused(cursor: Cursor, sources: Sequence[str], day: date) -> int:
    """How many calls of a day these sources refused; those that came too late are none of them."""
    cursor.execute(
        "SELECT count(*) FROM core.daily_calls WHERE source = ANY(%s) AND day = %s AND until IS NULL "
        "AND state = 'refused' AND reason IS DISTINCT FROM %s",
        (list(sources), day, TOO_LATE),
    )
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def still_open(cursor: Cursor, rows: Sequence[CallRow], *, again: bool = False) -> set[str]:
    """Which of these calls wait, failed, or were asked before their last day was over; ``again``: or were refused."""
    cursor.execute(
        "SELECT c.call FROM core.daily_calls c JOIN unnest(%s::date[], %s::text[], %s::text[]) AS k(day, source, call) "
        "ON k.day = c.day AND k.source = c.source AND k.call = c.call "
        "WHERE c.state = ANY(%s) OR c.reason = %s",
        (
            *([row.day for row in rows], [row.source for row in rows], [row.call for row in rows]),
            ["waiting", "failed", *(["refused"] if again else [])],
            EARLY,
        ),
    )
    return {str(call) for (call,) in cursor}


def mark(cursor: Cursor, row: CallRow, state: str, reason: str | None) -> None:
    """Say what became of a call."""
    cursor.execute(
        "UPDATE core.daily_calls SET state = %s, reason = %s, updated_at = now() "
        "WHERE day = %s AND source = %s AND call = %s",
        (state, reason, row.day, row.source, row.call),
    )


def mark_older(cursor: Cursor, row: CallRow, since: date, state: str, reason: str | None) -> None:
    """Say the same of the calls with the same question for the days from ``since`` to before the row's, as far as they
    wait or failed: its answer is theirs too."""
    cursor.execute(
        "UPDATE core.daily_calls SET state = %s, reason = %s, updated_at = now() WHERE source = %s AND call = %s "
        "AND day >= %s AND day < %s AND until IS NULL AND state IN ('waiting', 'failed')",
        (state, reason, row.source, row.call, since, row.day),
    )


def missing(cursor: Cursor, day: date) -> list[tuple[str, str, str, str, str]]:
    """(source, what, symbols, state, reason) of the calls of a day that brought nothing yet."""
    cursor.execute(
        "SELECT source, what, array_to_string(symbols, ', '), state, coalesce(reason, '') FROM core.daily_calls "
        "WHERE day = %s AND until IS NULL AND state IN ('waiting', 'failed') ORDER BY source, what, 3",
        (day,),
    )
    return [(str(a), str(b), str(c), str(d), str(e)) for a, b, c, d, e in cursor]


def unpriced(cursor: Cursor, day: date) -> list[tuple[str, str]]:
    """(source, symbol) of every call for daily bars of a day that was done and brought none of that day."""
    cursor.execute(
        "SELECT DISTINCT c.source, k.symbol FROM core.daily_calls c CROSS JOIN unnest(c.symbols) AS k(symbol) "
        "WHERE c.day = %(day)s AND c.until IS NULL AND c.what = 'bars' AND c.interval = '1d' AND c.state = 'done' "
        "AND NOT EXISTS (SELECT FROM core.series s JOIN core.provider_bars p ON p.series = s.id AND p.interval = '1d' "
        "AND p.closed AND p.start = %(day)s::date::timestamp AT TIME ZONE 'UTC' "
        "WHERE s.source = c.source AND s.symbol = k.symbol) ORDER BY 1, 2",
        {"day": day},
    )
    return [(str(source), str(symbol)) for source, symbol in cursor]


def reopen(cursor: Cursor, day: date, lacking: Sequence[tuple[str, str]], reason: str) -> None:
    """Let the next run ask again for the daily bars of these (source, symbol)."""
    cursor.executemany(
        "UPDATE core.daily_calls SET state = 'failed', reason = %s, updated_at = now() WHERE day = %s "
        "AND until IS NULL AND what = 'bars' AND interval = '1d' AND state = 'done' AND source = %s "
        "AND %s = ANY(symbols)",
        [(reason, day, source, symbol) for source, symbol in lacking],
    )


def daily_bars(
    cursor: Cursor, source: str, symbols: Sequence[str], since: date, until: date
) -> dict[str, tuple[int, int]]:
    """Per symbol of a source that has any from ``since`` to ``until`` (both inclusive): how many of these days have a
    provider's bar, and the start of the newest (µs)."""
    cursor.execute(
        "SELECT s.symbol, count(DISTINCT p.start), (extract(epoch FROM max(p.start)) * 1000000)::bigint "
        "FROM core.series s JOIN core.provider_bars p ON p.series = s.id AND p.interval = '1d' AND p.closed "
        "AND p.start >= %s::date::timestamp AT TIME ZONE 'UTC' AND p.start <= %s::date::timestamp AT TIME ZONE 'UTC' "
        "WHERE s.source = %s AND s.symbol = ANY(%s) GROUP BY 1",
        (since, until, source, list(symbols)),
    )
    return {str(symbol): (int(count), int(newest)) for symbol, count, newest in cursor}
