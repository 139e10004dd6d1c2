"""The same story under several ids is one story; equal headlines that are two stories stay two."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sparktrends.batch.stories import headline_key, merge
from sparktrends.model import NewsItem

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def item(id_: str, headline: str = "Apple beats", *, minutes: float = 0, url: str = "u", **more: object) -> NewsItem:
    told = NewsItem("finnhub", id_, NOON + timedelta(minutes=minutes), headline, url=url, symbols=("AAPL",))
    return NewsItem(**{name: getattr(told, name) for name in told.__dataclass_fields__} | more)  # type: ignore[arg-type]


def test_several_ids_of_one_story() -> None:
    (story,) = merge([(2, item("2", minutes=1, symbols=("MSFT",))), (1, item("1"))])
    assert story.item.id == "1"
    assert story.ids == ["1", "2"]
    assert story.mentions == {"AAPL": None, "MSFT": None}


def test_the_same_words_in_another_dress() -> None:
    assert len(merge([(1, item("1", "Apple  BEATS!", url="a")), (2, item("2", "apple beats", url="b"))])) == 1


def test_the_column_of_every_week_is_a_new_story() -> None:
    assert len(merge([(1, item("1")), (2, item("2", minutes=7 * 1440))])) == 2


def test_equal_headlines_at_other_addresses_are_one_story_for_an_hour() -> None:
    near, far = item("2", minutes=59, url="other"), item("3", minutes=180, url="third")
    assert [story.ids for story in merge([(1, item("1")), (1, near), (1, far)])] == [["1", "2"], ["3"]]


def test_sources_keep_their_own_stories() -> None:
    assert len(merge([(1, item("1")), (2, item("1", source="alpha_vantage"))])) == 2


def test_a_score_of_a_mention_is_not_lost() -> None:
    (story,) = merge([(1, item("1")), (2, item("2", symbol_scores={"AAPL": 0.3}))])
    assert story.mentions == {"AAPL": 0.3}


def test_headlines_without_words_have_keys_of_their_own() -> None:
    assert headline_key("!!!") != headline_key("???")


@given(st.permutations(range(6)))
def test_the_order_of_arrival_does_not_matter(order: list[int]) -> None:
    items = [
        item(str(n), headline, minutes=n * 25, url=url)
        for n, (headline, url) in enumerate([("a", "1"), ("a", "2"), ("b", "1"), ("a", "1"), ("b", "9"), ("a", "2")])
    ]
    told = [(s.item.id, s.ids) for s in merge([(1, items[n]) for n in order])]
    assert told == [(s.item.id, s.ids) for s in merge([(1, each) for each in items])]
