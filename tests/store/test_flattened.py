"""Writing what the flatten job reads, at the size of a backlog."""

from __future__ import annotations

import psycopg
import pytest

from sparktrends.store.flattened import StoryRow, save_stories

pytestmark = pytest.mark.e2e


def story(number: int) -> StoryRow:
    at = f"2026-11-20T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"
    words, url = f"Note {number} of a wire", f"https://wire.example/{number}"
    return StoryRow(
        "wire", str(number), at, words, words, "", url, "Wire", None, "", 1, [str(number), f"again {number}"], {}
    )


def test_a_backlog_of_stories_is_compared_by_index_before_anybody_has_analysed_the_tables(database: str) -> None:
    with psycopg.connect(database) as session, session.cursor() as cursor:
        # Without statistics PostgreSQL compared each id with each, and a backlog of a million never ended: 1.8 s now.
        cursor.execute("SET statement_timeout = '60s'")
        save_stories(cursor, [story(number) for number in range(15_000)])
        save_stories(cursor, [story(number) for number in range(10_000, 25_000)])
        cursor.execute("SELECT count(*), count(DISTINCT id) FROM core.news")
        assert cursor.fetchone() == (25_000, 25_000)
