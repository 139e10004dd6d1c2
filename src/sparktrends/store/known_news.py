"""What was known of news at which time: written once, so that a bar judged again sees what it saw the first time.

Who writes holds a lock while the clock is read and the rows are committed, and who reads takes it too: whatever was
known before the moment of reading is there, and what comes later says a later time. So a bar that is over sees every
story known before its start, at the first look and at any other, as long as the database's clock is not behind the
bar's start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sparktrends.store.connect import Cursor

# "STKN": advisory locks are numbers, one space of them for all of a database.
_LOCK = 0x53_54_4B_4E
SeriesKey = tuple[str, str]


class KnownStory(NamedTuple):
    """When a story was known (µs UTC), and its first score with the time when that was known; None without one."""

    known: int
    scored: int | None
    score: float | None


def publish(cursor: Cursor) -> None:
    """Let rules know the stories and scores that are stored by now, in the caller's short transaction: others wait."""
    # Before the lock, which commits wait for: looking takes long, writing it down does not.
    cursor.execute(_NEW)
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    cursor.execute(_KNOW)
    cursor.execute(_SCORE)
    cursor.execute("DROP TABLE new_known")


def hold(cursor: Cursor) -> None:
    """Until the caller's transaction ends nobody publishes, and what was published is there to be read."""
    cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (_LOCK,))


def known_stories(cursor: Cursor, spans: Mapping[SeriesKey, tuple[int, int]]) -> dict[SeriesKey, list[KnownStory]]:
    """Stories about the symbol of each series (source, symbol) known in its span [since, until), µs UTC.

    Simulated series hear simulated stories only, all others those of the world. A story that was two days old when it
    came is history, and no news. Complete up to the moment of `hold`.
    """
    found: dict[SeriesKey, list[KnownStory]] = {key: [] for key in spans}
    if not spans:
        return found
    columns = zip(*((*key, *span) for key, span in spans.items()), strict=True)
    cursor.execute(_FIND, [list(column) for column in columns])
    for source, symbol, *story in cursor.fetchall():
        found[source, symbol].append(KnownStory(*story))
    return found


_NEW = """
CREATE TEMPORARY TABLE new_known ON COMMIT DROP AS
SELECT DISTINCT ON (kind, symbol, day, n.headline_key)
    coalesce(substring(n.source FROM '~.*$'), '') AS kind, regexp_replace(m.symbol, '/USD[TC]$', '/USD') AS symbol,
    (n.published_at AT TIME ZONE 'UTC')::date AS day, n.headline_key, n.source, n.id AS story, n.published_at
FROM core.news n JOIN core.mentions m ON m.source = n.source AND m.story = n.id
WHERE NOT EXISTS (
    SELECT FROM core.known_news k WHERE k.source = n.source AND k.story = n.id
    AND k.symbol = regexp_replace(m.symbol, '/USD[TC]$', '/USD'))
ORDER BY kind, symbol, day, n.headline_key, n.published_at, n.source, n.id
"""
# Not now(): that is when the transaction began, before it had the lock. Another provider's story changes no row.
_KNOW = """
INSERT INTO core.known_news (kind, symbol, day, headline_key, source, story, published_at, known_at)
SELECT kind, symbol, day, headline_key, source, story, published_at, (SELECT clock_timestamp()) FROM new_known
ON CONFLICT DO NOTHING
"""
_SCORE = """
UPDATE core.known_news k SET score = s.score, scored_at = s.at
FROM (
    SELECT u.kind, u.symbol, u.day, u.headline_key, avg(coalesce(m.score, n.score)::numeric)::float8 AS score,
        (SELECT clock_timestamp()) AS at
    FROM core.known_news u
    JOIN core.news n ON n.source = u.source AND n.id = u.story
    JOIN core.mentions m ON m.source = u.source AND m.story = u.story
        AND regexp_replace(m.symbol, '/USD[TC]$', '/USD') = u.symbol
    WHERE u.scored_at IS NULL AND coalesce(m.score, n.score) IS NOT NULL
    GROUP BY 1, 2, 3, 4
) s
WHERE (k.kind, k.symbol, k.day, k.headline_key) = (s.kind, s.symbol, s.day, s.headline_key)
"""
# Symbol by symbol, by the index (OFFSET 0 keeps the planner to it): the days of long ago are not even looked at.
_FIND = """
SELECT s.source, s.symbol, (extract(epoch FROM k.known_at) * 1000000)::bigint,
    (extract(epoch FROM k.scored_at) * 1000000)::bigint, k.score
FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[]) AS s(source, symbol, since, until)
CROSS JOIN LATERAL (
    SELECT * FROM core.known_news
    WHERE symbol = regexp_replace(s.symbol, '/USD[TC]$', '/USD')
      AND kind = CASE WHEN s.source LIKE '%%~sim' THEN '~sim' ELSE '' END
      AND known_at >= core.at(s.since) AND known_at < core.at(s.until)
      AND published_at > known_at - interval '2 days'
    OFFSET 0) k
"""
