"""Bars to step, with what was known of news before each: read only where a rule names news."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparktrends.analysis.chain import Chain
from sparktrends.analysis.work import Floats, Ints, Work
from sparktrends.rules.news import LONGEST, NEVER, Stories, news_rows
from sparktrends.store.connect import Cursor
from sparktrends.store.known_news import KnownStory, hold, known_stories
from sparktrends.store.writer import SeriesKey


def with_news(cursor: Cursor, chain: Chain, works: Sequence[Work]) -> list[Work]:
    """The same works, those with news whose rules name some."""
    spans = {work.key: _span(work.starts) for work in works if work.starts and chain.reads_news(work.key)}
    if not spans:
        return list(works)
    # Before it is read, and until the commit: what is published meanwhile gets a time after these bars.
    hold(cursor)
    found = known_stories(cursor, spans)
    return [
        work._replace(news=news_rows(np.array(work.starts, dtype=np.int64), stories_of(found[work.key])))
        if work.key in spans
        else work
        for work in works
    ]


def rows_of(cursor: Cursor, key: SeriesKey, starts: Ints) -> Floats:
    """What was known before each of one series' bars, oldest first (µs UTC)."""
    found = known_stories(cursor, {key: _span(starts.tolist())})
    return news_rows(starts, stories_of(found[key]))


def stories_of(found: Sequence[KnownStory]) -> Stories:
    """Stored stories as columns."""
    scored = [NEVER if story.scored is None else story.scored for story in found]
    scores = [np.nan if story.score is None else story.score for story in found]
    known = np.array([story.known for story in found], dtype=np.int64)
    return Stories(known, np.array(scored, dtype=np.int64), np.array(scores, dtype=np.float64))


def _span(starts: Sequence[int]) -> tuple[int, int]:
    return starts[0] - LONGEST, starts[-1]
