"""The same story under several ids is one story. Pure.

One provider, the same headline, and either the same address within a day or (a story that several papers print) any
address within an hour. Equal headlines further apart are two stories: some columns have the same one every week.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from sparktrends.model import NewsItem, stable_id

SAME_ADDRESS = timedelta(hours=24)
SAME_HEADLINE = timedelta(hours=1)
_WORDS = re.compile(r"\w+")


@dataclass(slots=True)
class Story:
    """A story with everything that its items say: the first one's text, all ids, all symbols with their scores."""

    item: NewsItem
    headline_key: str
    payload: int
    ids: list[str] = field(default_factory=list)
    mentions: dict[str, float | None] = field(default_factory=dict)


def headline_key(headline: str) -> str:
    """Equal for headlines that differ in case, blanks and punctuation only.

    >>> headline_key("Apple — beats!") == headline_key("apple beats"), headline_key("A") == headline_key("B")
    (True, False)
    """
    return stable_id(*(_WORDS.findall(headline.casefold()) or [headline]))


def merge(items: Iterable[tuple[int, NewsItem]]) -> list[Story]:
    """Stories out of (payload, item) pairs, the oldest first; the earliest item of a story gives its id and text."""
    by_id: dict[tuple[str, str], Story] = {}
    by_headline: dict[tuple[str, str], Story] = {}
    by_address: dict[tuple[str, str, str], Story] = {}
    found: list[Story] = []
    for payload, item in sorted(items, key=lambda pair: (pair[1].published_at, pair[1].source, pair[1].id, pair[0])):
        key = headline_key(item.headline)
        headline, address = (item.source, key), (item.source, key, item.url)
        story = (
            by_id.get((item.source, item.id))
            or _near(by_address.get(address), item, SAME_ADDRESS)
            or _near(by_headline.get(headline), item, SAME_HEADLINE)
        )
        if story is None:
            story = by_headline[headline] = by_address[address] = Story(item, key, payload)
            found.append(story)
        by_id[item.source, item.id] = story
        _add(story, item)
    return found


def _near(story: Story | None, item: NewsItem, within: timedelta) -> Story | None:
    return story if story and item.published_at - story.item.published_at <= within else None


def _add(story: Story, item: NewsItem) -> None:
    if item.id not in story.ids:
        story.ids.append(item.id)
    for symbol in item.symbols:
        if story.mentions.get(symbol) is None:
            story.mentions[symbol] = item.symbol_scores.get(symbol)
