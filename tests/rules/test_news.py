"""What a rule knows of news: what was known before the bar began, the same however the bars come."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.conftest import MINUTE, tables_of
from sparktrends.errors import BadSetting
from sparktrends.model import DAY, HOUR
from sparktrends.rules import Names, Rules
from sparktrends.rules.news import NEVER, Stories, news_rows

T = 1_700_000_000_000_000
NAMES = Names(("rsi_14",), {"anomaly.move": 4.0})


def stories(*told: tuple[int, int | None, float]) -> Stories:
    """Stories as (known, scored, score), times in minutes after T."""
    known = np.array([T + at * MINUTE for at, _, _ in told], dtype=np.int64)
    scored = np.array([NEVER if at is None else T + at * MINUTE for _, at, _ in told], dtype=np.int64)
    return Stories(known, scored, np.array([score for *_, score in told], dtype=np.float64))


def expected(start: int, told: Stories) -> list[float]:
    """By the words of the definition."""
    all_of_them = list(zip(told.known.tolist(), told.scored.tolist(), told.scores.tolist(), strict=True))
    hour = sum(start - HOUR <= known < start for known, _, _ in all_of_them)
    day = [(scored, score) for known, scored, score in all_of_them if start - DAY <= known < start]
    scores = [score for scored, score in day if scored < start]
    return [hour, len(day), math.fsum(scores) / len(scores) if scores else math.nan]


story = st.integers(0, 3000).flatmap(
    lambda at: st.tuples(st.just(at), st.none() | st.integers(at, at + 400), st.floats(-1, 1))
)


@given(st.lists(story, max_size=12), st.lists(st.integers(0, 4600), min_size=1, max_size=25), st.integers(0, 25))
def test_rows_are_those_of_the_definition_however_the_bars_are_cut(told, minutes, cut):
    known = stories(*told)
    starts = T + np.array(sorted(minutes), dtype=np.int64) * MINUTE
    rows = news_rows(starts, known)
    wanted = np.array([expected(start, known) for start in starts.tolist()])
    np.testing.assert_array_equal(rows, wanted)
    assert np.concatenate([news_rows(starts[:cut], known), news_rows(starts[cut:], known)]).tobytes() == rows.tobytes()


def test_a_story_known_at_the_start_of_the_bar_comes_too_late_for_it():
    told = stories((10, 10, 0.5))
    starts = T + np.array([10, 11, 70, 71], dtype=np.int64) * MINUTE
    assert news_rows(starts, told)[:, 0].tolist() == [0, 1, 1, 0]


def rules_of(when: str, more: str = "") -> Rules:
    return Rules.parse(f"[[rule]]\nname = 'it'\ncooldown = '0s'\nwhen = '{when}'\n{more}", NAMES)


def fired(rules: Rules, closes: list[float], news: list[list[float]] | None) -> list[int]:
    starts = T + np.arange(len(closes)) * MINUTE
    bars, _, scores = tables_of(closes)
    rows = None if news is None else np.array(news, dtype=float)
    made = rules.run(rules.new(1)[0], starts, bars, np.full((len(closes), 1), 50.0), scores[:, :1], news=rows)
    return np.flatnonzero(made[:, 0]).tolist()


NONE, ONE, BAD = [0, 0, math.nan], [1, 1, 0.4], [1, 2, -0.6]


@pytest.mark.parametrize(
    ("when", "bars"),
    [
        ("news_1h > 0", [1]),
        ("news_1h == 0", [0]),
        ("news_24h > prev(news_24h)", [1]),
        ("sentiment_24h < 0", [2]),
        ("not sentiment_24h > 0", [2]),  # a score that nobody has is not known: neither this nor its opposite
        ("crosses_below(sentiment_24h, 0)", [2]),
    ],
)
def test_conditions_over_news(when, bars):
    rules = rules_of(when, "until = 'close < 0.5'" if bars == [1] else "")
    assert fired(rules, [5, 5, 5], [NONE, ONE, BAD]) == bars


@pytest.mark.parametrize("when", ["news_1h == 0", "news_1h > 0", "not news_24h > 3"])
def test_where_nothing_is_known_of_news_nothing_fires(when):
    assert fired(rules_of(when), [5, 5], None) == []


@pytest.mark.parametrize(("news", "bars"), [([NONE, NONE, ONE], [2]), ([ONE, NONE, NONE], []), (None, [])])
def test_a_sequence_without_news_before_it(news, bars):
    then = "then = [{ when = 'close > 8', within = 5 }]\nunless = [{ when = 'news_1h > 0', before = '0s' }]"
    assert fired(rules_of("close > 5", then), [6, 3, 9], news) == bars


def test_the_title_and_the_values_say_what_was_known():
    rules = rules_of("close > 5 and sentiment_24h < 0", "title = '{news_24h:.0f} stories, {sentiment_24h:.1f}'")
    bars, _, scores = tables_of([6])
    rows = (bars, np.full((1, 1), 50.0), scores[:, :1])
    (alert,) = rules.alerts([("x", "A", "1m", T)], np.array([[True]]), *rows, news=np.array([BAD]))
    assert alert.title == "2 stories, -0.6"
    assert alert.values["sentiment_24h"] == -0.6


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("news_2h > 0", "did you mean news_24h|did you mean news_1h"),
        ("news > 0", "unknown name news"),
        ("news_1h < 0", "never true"),
        ("sentiment_24h > 1", "never true"),
    ],
)
def test_what_can_be_no_news_is_refused(when, message):
    with pytest.raises(BadSetting, match=message):
        rules_of(when)


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("when = 'close > 5'", False),
        ("when = 'news_1h > 0'", True),
        ("when = 'close > 5'\nuntil = 'sentiment_24h > 0.5'", True),
        ("when = 'close > 5'\ntitle = '{symbol}: {news_24h:.0f}'", True),
        ("when = 'close > 5'\nthen = [{ when = 'close > 6', within = 2 }]\n"
         "unless = [{ when = 'news_1h > 0', before = '1h' }]", True),
    ],
)  # fmt: skip
def test_a_rule_says_whether_it_reads_news(text, reads):
    assert Rules.parse(f"[[rule]]\nname = 'it'\n{text}", NAMES).reads_news.tolist() == [reads]
