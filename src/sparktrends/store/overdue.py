"""Whether the daily work is done in time, by what is stored: whoever runs it, and whether or not anybody does."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from sparktrends.model import HOUR
from sparktrends.store.connect import Cursor

AFTER = 7 * HOUR
"""How long after midnight UTC (µs) the work of a day must be done: it begins at half past, and is tried each hour."""


class Work(NamedTuple):
    """The newest day that must be done by now, and what is stored of the daily work.

    ``called`` is the newest day until today for which providers were asked, ``tagged`` the newest with trends; None
    when there is none. ``open_calls`` failed or were never made though their day is due; a call that a quota keeps for
    another day is none of them. ``unread`` payloads and ``unscored`` stories have waited for too long; ``priced`` says
    whether the due day has daily prices.
    """

    due: date
    called: date | None
    tagged: date | None
    priced: bool
    open_calls: int
    unread: int
    unscored: int

    @property
    def problems(self) -> list[str]:
        """What is overdue, in sentences; nothing where daily work was never done."""
        if self.called is None:
            return []
        late = self.called < self.due
        untagged = not late and self.priced and (self.tagged is None or self.tagged < self.due)
        told = (
            (late, f"providers were last asked for {self.called}: the daily work of {self.due} has not run"),
            (self.open_calls, f"{self.open_calls:,} calls up to {self.due} failed or were not made"),
            (self.unread, f"{self.unread:,} payloads wait to be read"),
            (self.unscored, f"{self.unscored:,} stories wait for a score"),
            (untagged, f"{self.due} has prices and no trends"),
        )
        return [words for holds, words in told if holds]


def daily_work(cursor: Cursor, now: int, after: int = AFTER) -> Work:
    """How the daily work stands at ``now``, when a day must be done ``after`` its midnight (both µs)."""
    cursor.execute(_WORK, {"now": now, "since": now - after})
    row = cursor.fetchone()
    assert row is not None
    return Work(*row)


# Calls of the last seven days: so long a fetch makes up for them. A day that has not come is of a clock that was ahead.
_WORK = """
WITH due AS (SELECT (core.at(%(since)s) AT TIME ZONE 'UTC')::date - 1 AS day,
    (core.at(%(now)s) AT TIME ZONE 'UTC')::date AS today)
SELECT due.day,
    (SELECT max(c.day) FROM core.daily_calls c WHERE c.until IS NULL AND c.day <= due.today),
    (SELECT max(t.day) FROM core.daily_trends t WHERE t.day <= due.today),
    EXISTS (SELECT FROM market.daily_prices p WHERE p.interval = '1d' AND p.state <> 'forming'
        AND p.start = due.day::timestamp AT TIME ZONE 'UTC'),
    (SELECT count(*) FROM core.daily_calls c WHERE c.until IS NULL AND c.day BETWEEN due.day - 6 AND due.day
        AND (c.state = 'failed' OR c.state = 'waiting' AND c.reason IS NULL)),
    (SELECT count(*) FROM raw.payloads p WHERE p.fetched_at < core.at(%(since)s)
        AND NOT EXISTS (SELECT FROM core.readings r WHERE r.payload = p.id)),
    (SELECT count(*) FROM core.news n WHERE n.score IS NULL AND n.updated_at < core.at(%(since)s))
FROM due
"""
