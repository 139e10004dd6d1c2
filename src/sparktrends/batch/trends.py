"""A symbol's day against its own history: numbers, sudden changes, a tag, and a sentence that says why. Pure.

Scores are robust: distance from the median of the days before in units of 1.4826 · MAD (the standard deviation of a
Gaussian), so that one wild day neither hides the next one nor is hidden by the last.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import pairwise
from statistics import fmean, median
from typing import Any, NamedTuple

HISTORY = 60
"""Days before that a day is held against: a quarter, long enough for a spread and short enough to follow a market."""
ENOUGH = 20
"""Fewer days before than this give no score."""
MOMENTUM = 10
"""Days over which momentum is taken, as ROC 10."""

_GAUSS = 1.4826
_SUDDEN, _NOTABLE = 3.0, 1.5
_MOST_SCORE = 100.0
# No spread is taken to be smaller: a series that stood still would make anything an event.
_LEAST_RETURN, _LEAST_LOG_VOLUME, _LEAST_SENTIMENT = 0.0005, 0.05, 0.05


class Day(NamedTuple):
    """A daily bar and what news said that day; ``volatility`` of 20 daily log returns, ``sentiment`` the mean score."""

    day: date
    close: float
    volume: float
    volatility: float | None = None
    sentiment: float | None = None
    headlines: int = 0


class Story(NamedTuple):
    """A story about the symbol; the headline is hostile text."""

    headline: str
    score: float
    label: str
    topics: tuple[str, ...] = ()


class Trend(NamedTuple):
    """One row of `market.daily_trends`; ``return_`` is a share (0.062), ``momentum`` per cent over ten days."""

    source: str
    symbol: str
    day: date
    close: float
    return_: float | None
    return_z: float | None
    volatility: float | None
    volatility_ratio: float | None
    volume: float
    volume_ratio: float | None
    volume_z: float | None
    momentum: float | None
    headlines: int
    sentiment: float | None
    sentiment_z: float | None
    topics: tuple[str, ...]
    changes: tuple[str, ...]
    tag: str
    summary: str
    rank: int | None
    evidence: tuple[dict[str, Any], ...]

    def row(self) -> dict[str, Any]:
        """By column name, lists instead of tuples."""
        named = {name.rstrip("_"): value for name, value in self._asdict().items()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in named.items()}


def trend_of(source: str, symbol: str, days: Sequence[Day], stories: Sequence[Story]) -> Trend | None:
    """The last of ``days`` (ascending) against up to 60 before it, with that day's stories; None without a day."""
    if not days:
        return None
    today, before = days[-1], days[-1 - HISTORY : -1]
    returns = [_share(a.close, b.close) for a, b in pairwise(days[-2 - HISTORY :])]
    mood = fmean(story.score for story in stories) if stories else today.sentiment
    trend = Trend(
        source, symbol, today.day, today.close,
        returns[-1] if returns else None,
        score(returns, _LEAST_RETURN),
        today.volatility,
        _against(today.volatility, [day.volatility for day in before]),
        today.volume,
        _against(today.volume, [day.volume for day in before]),
        score([_log(day.volume) for day in (*before, today)], _LEAST_LOG_VOLUME),
        _momentum(days),
        len(stories) or today.headlines,
        mood,
        score([*(day.sentiment for day in before), mood], _LEAST_SENTIMENT),
        topics=_topics(stories), changes=(), tag="", summary="", rank=None, evidence=(),
    )  # fmt: skip
    trend = trend._replace(changes=_changes(trend, before))
    trend = trend._replace(tag=_tag(trend))
    return trend._replace(summary=_summary(trend, stories), evidence=_evidence(trend, stories))


def ranked(trends: Iterable[Trend], market: Callable[[Trend], object] = id) -> list[Trend]:
    """The movers of the day: the most unusual return first, those without a score last; ranks count from 1.

    Series of one ``market`` (each their own by default) share the place of the one that moved most.
    """
    ordered = sorted(
        trends, key=lambda t: (t.return_z is None, -abs(t.return_z or t.return_ or 0.0), t.symbol, t.source)
    )
    places: dict[object, int] = {}
    for trend in ordered:
        places.setdefault(market(trend), len(places) + 1)
    return sorted((trend._replace(rank=places[market(trend)]) for trend in ordered), key=lambda t: t.rank or 0)


def score(values: Sequence[float | None], least: float) -> float | None:
    """How far the last value is from the median of those before it, in robust deviations of at least ``least``.

    None when it is missing or fewer than 20 before it are known.

    >>> score([0.01, -0.01] * 15 + [0.0741], 0.0005)
    5.0
    """
    known = [value for value in values[:-1] if value is not None]
    if not values or values[-1] is None or len(known) < ENOUGH:
        return None
    centre = median(known)
    spread = max(_GAUSS * median(abs(value - centre) for value in known), least)
    return round(max(-_MOST_SCORE, min(_MOST_SCORE, (values[-1] - centre) / spread)), 2)


def _share(before: float, after: float) -> float | None:
    share = after / before - 1 if before > 0 else math.nan
    return share if math.isfinite(share) else None


def _log(volume: float) -> float | None:
    return math.log(volume) if volume > 0 else None


def _against(value: float | None, before: Iterable[float | None]) -> float | None:
    """The value as a multiple of the median before it."""
    known = [one for one in before if one is not None and one > 0]
    return round(value / median(known), 3) if value is not None and len(known) >= ENOUGH else None


def _momentum(days: Sequence[Day]) -> float | None:
    share = _share(days[-1 - MOMENTUM].close, days[-1].close) if len(days) > MOMENTUM else None
    return None if share is None else round(100 * share, 4)


def _topics(stories: Sequence[Story]) -> tuple[str, ...]:
    """What at least a fifth of the stories are about, the commonest first, at most three."""
    counted = Counter(topic for story in stories for topic in dict.fromkeys(story.topics))
    common = sorted((topic for topic in counted if 5 * counted[topic] >= len(stories)), key=lambda t: (-counted[t], t))
    return tuple(common[:3])


_RULES: tuple[tuple[str, Callable[[Trend], bool]], ...] = (
    ("price_jump", lambda t: (t.return_z or 0) >= _SUDDEN),
    ("price_drop", lambda t: (t.return_z or 0) <= -_SUDDEN),
    ("volume_spike", lambda t: (t.volume_z or 0) >= _SUDDEN and (t.volume_ratio or 0) >= 1.5),
    ("volume_dries_up", lambda t: (t.volume_z or 0) <= -_SUDDEN and (t.volume_ratio or 1) <= 0.5),
    ("volatility_rises", lambda t: (t.volatility_ratio or 0) >= 1.5),
    ("volatility_falls", lambda t: 0 < (t.volatility_ratio or 0) <= 0.6),
    ("sentiment_brightens", lambda t: (t.sentiment_z or 0) >= 2),
    ("sentiment_darkens", lambda t: (t.sentiment_z or 0) <= -2),
    ("against_the_news", lambda t: abs(t.return_z or 0) >= _NOTABLE and (t.return_z or 0) * (t.sentiment or 0) < -0.2),
)
"""Sudden changes and when they hold."""


def _changes(trend: Trend, before: Sequence[Day]) -> tuple[str, ...]:
    found = [name for name, holds in _RULES if holds(trend)]
    if len(before) == HISTORY:
        closes = [day.close for day in before]
        found += ["highest_close"] * (trend.close > max(closes)) + ["lowest_close"] * (trend.close < min(closes))
    return tuple(found)


def _tag(trend: Trend) -> str:
    """The day in a word: how the price moved, else what else was unusual."""
    z = trend.return_z
    if z is None:
        return "new"
    if abs(z) >= _SUDDEN:
        return "surge" if z > 0 else "plunge"
    if abs(z) >= _NOTABLE:
        return "rise" if z > 0 else "fall"
    if "volume_spike" in trend.changes:
        return "busy"
    return "news" if {"sentiment_brightens", "sentiment_darkens"} & set(trend.changes) else "quiet"


def _summary(trend: Trend, stories: Sequence[Story]) -> str:
    """ "up 6.2 %, volume 3.1×, 14 headlines mostly positive about earnings"."""
    parts = [_move(trend.return_)]
    if trend.volume_ratio is not None:
        parts.append(f"volume {trend.volume_ratio:.1f}×")
    if stories:
        about = f" about {', '.join(trend.topics)}" if trend.topics else ""
        parts.append(f"{len(stories)} {'headline' if len(stories) == 1 else 'headlines'} {_mood(stories)}{about}")
    parts += [name.replace("_", " ") + f" in {HISTORY} days" for name in trend.changes if name.endswith("_close")]
    return ", ".join(parts)


def _move(share: float | None) -> str:
    if share is None:
        return "first day"
    if abs(share) < 0.0005:
        return "unchanged"
    return f"{'up' if share > 0 else 'down'} {abs(100 * share):.1f} %"


def _mood(stories: Sequence[Story]) -> str:
    label, times = Counter(story.label for story in stories).most_common(1)[0]
    if times == len(stories):
        return label
    return f"mostly {label}" if 2 * times > len(stories) else "of mixed mood"


def _evidence(trend: Trend, stories: Sequence[Story]) -> tuple[dict[str, Any], ...]:
    """The numbers behind the sentence, and the three headlines that say most."""
    numbers = (
        ("return", trend.return_, trend.return_z),
        ("volume_ratio", trend.volume_ratio, trend.volume_z),
        ("volatility_ratio", trend.volatility_ratio, None),
        ("sentiment", trend.sentiment, trend.sentiment_z),
    )
    said = [{"what": what, "value": value, "z": z} for what, value, z in numbers if value is not None]
    loudest = sorted(stories, key=lambda story: (-abs(story.score), story.headline))[:3]
    told = [{"what": "headline", "text": s.headline, "value": s.score, "topics": list(s.topics)} for s in loudest]
    return (*said, *told)
