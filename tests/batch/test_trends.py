"""A day against its own history, figured by hand."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.batch.trends import HISTORY, Day, Story, Trend, ranked, score, trend_of

FIRST = date(2024, 1, 1)


def days(*last: Day, before: int = 80) -> list[Day]:
    """Closes that swing by 1 % around 100, volumes by a tenth around 1,000; then the given days."""
    usual = [
        Day(FIRST + timedelta(n), 100.0 + n % 2, 1000.0 + 100 * (n % 3 - 1), 0.01, 0.1 * (n % 3 - 1), 2)
        for n in range(before)
    ]
    return [*usual, *last]


def today(close: float = 100.0, volume: float = 1000.0, volatility: float = 0.01) -> Day:
    return Day(FIRST + timedelta(80), close, volume, volatility)


def stories(*scores: float, topics: tuple[str, ...] = ("earnings",)) -> list[Story]:
    return [
        Story(f"Headline {n}", s, "positive" if s > 0.15 else "negative" if s < -0.15 else "neutral", topics)
        for n, s in enumerate(scores)
    ]


def made(*args: Day, told: list[Story] | None = None, before: int = 80) -> Trend:
    found = trend_of("yahoo", "ACME", days(*args, before=before), told or [])
    assert found is not None
    return found


def test_the_sentence_of_the_issue() -> None:
    trend = made(today(107.262, 3100.0), told=stories(*[0.5] * 10, -0.4, 0.0, 0.1, 0.2))
    assert trend.summary == (
        "up 6.2 %, volume 3.1×, 14 headlines mostly positive about earnings, highest close in 60 days"
    )
    assert trend.tag == "surge"
    assert trend.changes[:2] == ("price_jump", "volume_spike")
    assert trend.topics == ("earnings",)


def test_numbers_by_hand() -> None:
    trend = made(today(99.99, 2000.0, 0.02))
    assert trend.return_ == pytest.approx(99.99 / 101 - 1)
    assert trend.volume_ratio == 2.0
    assert trend.volatility_ratio == 2.0
    assert trend.momentum == pytest.approx(100 * (99.99 / 100 - 1))
    assert trend.sentiment is None
    assert trend.headlines == 0


def test_a_quiet_day_is_quiet() -> None:
    trend = made(today(100.0))
    assert (trend.tag, trend.changes) == ("quiet", ())
    assert trend.summary == "down 1.0 %, volume 1.0×"


def test_a_wild_day_yesterday_does_not_hide_today() -> None:
    calm, wild = made(today(95.0)), trend_of("yahoo", "ACME", [*days()[:-1], Day(FIRST, 150.0, 9e5), today(142.5)], [])
    assert wild is not None
    assert calm.return_z is not None
    assert wild.return_z is not None
    assert wild.return_z < -3
    assert abs(wild.volume_z or 0) < 1


def test_the_price_may_move_against_the_news() -> None:
    assert "against_the_news" in made(today(95.0), told=stories(0.6, 0.7)).changes
    assert "against_the_news" not in made(today(95.0), told=stories(-0.6, -0.7)).changes


def test_news_without_a_move_is_news() -> None:
    trend = made(today(100.0), told=stories(0.9, 0.8))
    assert (trend.tag, trend.changes) == ("news", ("sentiment_brightens",))


def test_a_short_history_gives_no_scores() -> None:
    trend = made(today(150.0), before=10)
    assert (trend.return_z, trend.volume_z, trend.volume_ratio, trend.tag) == (None, None, None, "new")
    assert made(before=1).summary == "first day"
    assert trend_of("yahoo", "ACME", [], []) is None


def test_topics_are_those_of_a_fifth_of_the_stories() -> None:
    told = [*stories(*[0.0] * 9, topics=("merger", "merger")), *stories(0.1, topics=("macro",))]
    assert made(today(), told=told).topics == ("merger",)


def test_the_biggest_mover_is_first_and_unknown_ones_last() -> None:
    trends = [made(today(100.0)), made(today(50.0)), made(today(500.0), before=3), made(today(103.0))]
    found = ranked(trends)
    assert [trend.close for trend in found] == [50.0, 103.0, 100.0, 500.0]
    assert [trend.rank for trend in found] == [1, 2, 3, 4]


def test_the_row_has_the_columns_of_the_table() -> None:
    row = made(today(107.0), told=stories(0.4)).row()
    assert row["return"] == pytest.approx(107 / 101 - 1)
    assert row["topics"] == ["earnings"]
    assert [part["what"] for part in row["evidence"]][-1] == "headline"


@given(st.lists(st.floats(-1e300, 1e300), max_size=HISTORY))
def test_a_score_is_bounded_whatever_the_values(values: list[float]) -> None:
    found = score(values, 1e-4)
    assert found is None or -100 <= found <= 100


@given(
    st.lists(
        st.builds(Day, st.just(FIRST), st.floats(0, 1e12), st.floats(0, 1e15), st.none() | st.floats(0, 10)), min_size=1
    )
)
def test_any_history_gives_a_trend(history: list[Day]) -> None:
    assert trend_of("s", "X", history, []) is not None
