"""Writing what the flatten job reads: each kind of row by its natural key, and only where something changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from sparktrends.model import Company, CorporateAction, ProviderBar
from sparktrends.store.connect import Cursor


class StoryRow(NamedTuple):
    """A story to store; ``mentions`` are symbols with the provider's score of what it says of them."""

    source: str
    id: str
    published_at: str
    headline: str
    headline_key: str
    summary: str
    url: str
    publisher: str
    provider_score: float | None
    provider_label: str
    payload: int
    ids: list[str]
    mentions: Mapping[str, float | None]


class ReadingRow(NamedTuple):
    """What was made of one payload."""

    payload: int
    outcome: str
    news: int
    bars: int
    prices: int
    companies: int
    actions: int
    rejects: list[tuple[str, str]]
    unknown: Mapping[str, int]
    missing: Mapping[str, int]


# A story that is stored under one of its ids is that story; so is one that `batch.stories` would call the same.
# Each id by itself: of a table that nobody has analysed yet the planner would compare all ids with all.
_RESOLVE = """
SELECT k.n, coalesce(i.story, h.id)
FROM jsonb_to_recordset(%s::jsonb)
    AS k(n integer, source text, ids text[], headline_key text, published_at timestamptz, url text)
LEFT JOIN LATERAL (
    SELECT min(i.story) AS story FROM unnest(k.ids) AS o(id)
    JOIN core.story_ids i ON i.source = k.source AND i.provider_id = o.id) i ON true
LEFT JOIN LATERAL (
    SELECT n.id FROM core.news n WHERE n.source = k.source AND n.headline_key = k.headline_key
    AND n.published_at BETWEEN k.published_at - interval '24 hours' AND k.published_at + interval '24 hours'
    AND (n.url = k.url
         OR n.published_at BETWEEN k.published_at - interval '1 hour' AND k.published_at + interval '1 hour')
    ORDER BY n.published_at, n.id LIMIT 1) h ON true
"""
_STORIES = """
CREATE TEMPORARY TABLE new_stories ON COMMIT DROP AS
SELECT * FROM jsonb_to_recordset(%s::jsonb) AS r(story text, source text, id text, published_at timestamptz,
    headline text, headline_key text, summary text, url text, publisher text, provider_score float8,
    provider_label text, payload bigint, ids text[], mentions jsonb)
"""
# Only the item that gave a story its id may correct its text: two ids would else take turns.
_UPSERT_NEWS = """
INSERT INTO core.news AS n (source, id, published_at, headline, headline_key, summary, url, publisher,
    provider_score, provider_label, payload, updated_at)
SELECT DISTINCT ON (source, story) source, story, published_at, headline, headline_key, summary, url, publisher,
    provider_score, provider_label, payload, now()
FROM new_stories ORDER BY source, story, id <> story, published_at
ON CONFLICT (source, id) DO UPDATE SET headline = excluded.headline, headline_key = excluded.headline_key,
    summary = excluded.summary, url = excluded.url, publisher = excluded.publisher,
    provider_score = excluded.provider_score, provider_label = excluded.provider_label, payload = excluded.payload,
    updated_at = excluded.updated_at,
    model = CASE WHEN (n.headline, n.summary) = (excluded.headline, excluded.summary) THEN n.model END
WHERE (n.headline, n.summary, n.url, n.publisher, n.provider_score, n.provider_label)
    IS DISTINCT FROM (excluded.headline, excluded.summary, excluded.url, excluded.publisher,
        excluded.provider_score, excluded.provider_label)
  AND EXISTS (SELECT FROM new_stories s WHERE s.source = n.source AND s.story = n.id AND s.id = n.id)
"""
_STORY_IDS = """
INSERT INTO core.story_ids (source, provider_id, story)
SELECT s.source, i.id, s.story FROM new_stories s CROSS JOIN unnest(s.ids) AS i(id) ON CONFLICT DO NOTHING
"""
_MENTIONS = """
INSERT INTO core.mentions AS m (source, story, symbol, provider_score)
SELECT s.source, s.story, e.key, max((e.value #>> '{}')::float8)
FROM new_stories s CROSS JOIN jsonb_each(s.mentions) AS e GROUP BY 1, 2, 3
ON CONFLICT (source, story, symbol) DO UPDATE SET provider_score = excluded.provider_score
WHERE m.provider_score IS DISTINCT FROM excluded.provider_score AND excluded.provider_score IS NOT NULL
"""
# Nobody scored a mention that came later: the whole story is scored again.
_UNSCORED = """
UPDATE core.news n SET model = NULL FROM new_stories s
WHERE s.source = n.source AND s.story = n.id AND n.model IS NOT NULL AND EXISTS (
    SELECT FROM core.mentions m WHERE m.source = n.source AND m.story = n.id AND m.label IS NULL)
"""


def save_stories(cursor: Cursor, stories: Sequence[StoryRow]) -> None:
    """Insert new stories, correct known ones, and add ids and mentions that came since."""
    if not stories:
        return
    keys = [
        {"n": n} | {name: getattr(s, name) for name in ("source", "ids", "headline_key", "published_at", "url")}
        for n, s in enumerate(stories)
    ]
    cursor.execute(_RESOLVE, (json.dumps(keys),))
    known: dict[int, str | None] = dict(cursor.fetchall())
    rows = [s._asdict() | {"story": known[n] or s.id} for n, s in enumerate(stories)]
    cursor.execute(_STORIES, (json.dumps(rows),))
    for statement in (_UPSERT_NEWS, _STORY_IDS, _MENTIONS, _UNSCORED):
        cursor.execute(statement)
    cursor.execute("DROP TABLE new_stories")


def save_companies(cursor: Cursor, companies: Sequence[tuple[int, Company]]) -> None:
    """Insert or correct what (payload, company) pairs say of a company on a day."""
    cursor.executemany(
        "INSERT INTO core.companies AS c (source, symbol, day, name, exchange, currency, sector, industry, country, "
        "shares, market_cap, payload, updated_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now()) "
        "ON CONFLICT (source, symbol, day) DO UPDATE SET name = excluded.name, exchange = excluded.exchange, "
        "currency = excluded.currency, sector = excluded.sector, industry = excluded.industry, "
        "country = excluded.country, shares = excluded.shares, market_cap = excluded.market_cap, "
        "payload = excluded.payload, updated_at = excluded.updated_at "
        "WHERE (c.name, c.exchange, c.currency, c.sector, c.industry, c.country, c.shares, c.market_cap) "
        "IS DISTINCT FROM (excluded.name, excluded.exchange, excluded.currency, excluded.sector, excluded.industry, "
        "excluded.country, excluded.shares, excluded.market_cap)",
        [
            (c.source, c.symbol, c.day, c.name, c.exchange, c.currency, c.sector, c.industry, c.country)
            + (c.shares, c.market_cap, payload)
            for payload, c in companies
        ],
    )


def save_actions(cursor: Cursor, actions: Sequence[tuple[int, CorporateAction]]) -> None:
    """Insert or correct splits and dividends of (payload, action) pairs."""
    cursor.executemany(
        "INSERT INTO core.corporate_actions AS a (source, symbol, day, kind, value, payload, updated_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, now()) ON CONFLICT (source, symbol, day, kind) DO UPDATE SET "
        "value = excluded.value, payload = excluded.payload, updated_at = excluded.updated_at "
        "WHERE a.value <> excluded.value",
        [(a.source, a.symbol, a.day, a.kind, a.value, payload) for payload, a in actions],
    )


def save_readings(cursor: Cursor, readings: Sequence[ReadingRow]) -> None:
    """Write down what was made of payloads, and keep what could not be used of them."""
    cursor.executemany(
        "INSERT INTO core.readings (payload, outcome, news, bars, prices, companies, actions, rejects, unknown, "
        "missing, updated_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now()) ON CONFLICT DO NOTHING",
        [(*r[:7], len(r.rejects), json.dumps(dict(r.unknown)), json.dumps(dict(r.missing))) for r in readings],
    )
    cursor.executemany(
        "INSERT INTO core.payload_rejects (payload, number, reason, record) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT DO NOTHING",
        [(r.payload, n, reason, record) for r in readings for n, (reason, record) in enumerate(r.rejects)],
    )


_KNOWN_BARS = """
SELECT k.n, p.arrival, p.open, p.high, p.low, p.close, p.volume, p.closed
FROM unnest(%s::integer[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[])
    AS k(n, source, symbol, interval, start, adjustment)
JOIN core.series s ON s.source = k.source AND s.symbol = k.symbol
JOIN core.provider_bars p ON p.series = s.id AND p.interval = k.interval AND p.start = core.at(k.start)
    AND p.adjustment = k.adjustment
"""


def new_bars(cursor: Cursor, bars: Sequence[ProviderBar]) -> list[ProviderBar]:
    """Those that are not stored as they are, and not corrected by a later answer either."""
    keys = [(n, b.source, b.symbol, b.interval, b.start, b.adjustment) for n, b in enumerate(bars)]
    if not keys:
        return []
    cursor.execute(_KNOWN_BARS, [list(column) for column in zip(*keys, strict=True)])
    stored: dict[int, tuple[Any, ...]] = {row[0]: row[1:] for row in cursor}
    return [bar for n, bar in enumerate(bars) if n not in stored or _says_more(bar, *stored[n])]


def _says_more(bar: ProviderBar, arrival: int, *values: Decimal | bool) -> bool:
    if values == (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.closed):
        return False
    return (bar.received or 0) > arrival
