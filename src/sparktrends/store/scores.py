"""Stories that wait for a score, and the scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sparktrends.store.connect import Cursor


class Unscored(NamedTuple):
    """A story and the symbols that it mentions, each with the name of its company (empty when unknown)."""

    source: str
    id: str
    headline: str
    summary: str
    companies: dict[str, str]


class Scored(NamedTuple):
    """The sentiment of a story and of what it says of each symbol; a sentiment is (score, label, evidence)."""

    source: str
    id: str
    sentiment: tuple[float, str, list[dict[str, Any]]]
    companies: dict[str, tuple[float, str, list[dict[str, Any]]]]
    topics: list[str]


_UNSCORED = """
SELECT n.source, n.id, n.headline, n.summary, coalesce((
    SELECT jsonb_object_agg(m.symbol, coalesce(c.name, '')) FROM core.mentions m
    LEFT JOIN LATERAL (
        SELECT name FROM core.companies WHERE symbol = m.symbol ORDER BY day DESC, source LIMIT 1) c ON true
    WHERE m.source = n.source AND m.story = n.id), '{}')
FROM core.news n
WHERE n.model IS DISTINCT FROM %s AND (n.source, n.id) > (%s, %s) ORDER BY n.source, n.id LIMIT %s
"""


def unscored(cursor: Cursor, model: str, after: tuple[str, str], most: int) -> list[Unscored]:
    """Stories that this model has not scored, in the order of their keys, behind the key given."""
    cursor.execute(_UNSCORED, (model, *after, most))
    return [Unscored(*row) for row in cursor]


_ROWS = """
CREATE TEMPORARY TABLE new_scores ON COMMIT DROP AS
SELECT * FROM jsonb_to_recordset(%s::jsonb) AS r(source text, id text, symbol text, score float8, label text,
    evidence jsonb, topics text[])
"""
_NEWS = """
UPDATE core.news n SET score = s.score, label = s.label, evidence = s.evidence, topics = s.topics, model = %s,
    updated_at = now()
FROM new_scores s WHERE s.symbol IS NULL AND n.source = s.source AND n.id = s.id
"""
_MENTIONS = """
UPDATE core.mentions m SET score = s.score, label = s.label, evidence = s.evidence
FROM new_scores s WHERE m.source = s.source AND m.story = s.id AND m.symbol = s.symbol
  AND (m.score, m.label, m.evidence) IS DISTINCT FROM (s.score, s.label, s.evidence)
"""


def save(cursor: Cursor, model: str, stories: Sequence[Scored]) -> None:
    """Write the scores of stories and of their mentions."""
    rows = [row for story in stories for row in _rows(story)]
    cursor.execute(_ROWS, (json.dumps(rows),))
    cursor.execute(_NEWS, (model,))
    cursor.execute(_MENTIONS)
    cursor.execute("DROP TABLE new_scores")


def _rows(story: Scored) -> list[dict[str, Any]]:
    told = [(None, story.sentiment), *story.companies.items()]
    return [
        {"source": story.source, "id": story.id, "symbol": symbol, "score": score, "label": label}
        | {"evidence": evidence, "topics": story.topics}
        for symbol, (score, label, evidence) in told
    ]
