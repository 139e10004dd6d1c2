"""The sentiment job: every story that the present model has not scored, by Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sparktrends.sentiment import SHIPPED, Chosen, Scores, Sentiment, names_of, topics
from sparktrends.store import known_news, scores
from sparktrends.store.scores import Scored, Unscored
from sparktrends.store.session import Session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CHUNK = 50_000
MODEL = SHIPPED.scorer().name

Score = Callable[[Sequence[Unscored]], Iterable[Scored]]


def by_spark(session: SparkSession, chosen: Chosen = SHIPPED) -> Score:
    """Scores made by Spark's workers; each loads what was chosen once a partition (from its own disk, on a cluster)."""
    from sparktrends.spark import working  # here: a worker that imports this module needs no session

    def score(stories: Sequence[Unscored]) -> Iterable[Scored]:
        # A part has to be worth the lexicons that its worker loads.
        parts = min(1 + len(stories) // 1000, 4 * session.sparkContext.defaultParallelism)
        with working():
            return (
                session.sparkContext.parallelize(stories, parts)
                .mapPartitions(partial(score_all, chosen=chosen))
                .collect()
            )

    return score


def score_all(stories: Iterable[Unscored], chosen: Chosen = SHIPPED) -> Iterator[Scored]:
    """The scores of stories, one after the other: what a worker does."""
    scorer = chosen.scorer()
    return (_scored(scorer, Unscored(*story)) for story in stories)


def _scored(scorer: Scores, story: Unscored) -> Scored:
    names = {symbol: names_of(symbol, name) for symbol, name in story.companies.items()}
    # Pairs of one coin are called alike (BTC/USD, BTC/USDT): what is said of one of them is said of all.
    spokesmen = {called: symbol for symbol, called in reversed(names.items())}
    opinion = scorer.about(story.headline, {symbol: called for called, symbol in spokesmen.items()})
    # What a story says of a symbol that its headline does not name is what it says at all.
    about = {
        symbol: _plain(opinion.companies.get(spokesmen[called], opinion.sentiment)) for symbol, called in names.items()
    }
    return Scored(story.source, story.id, _plain(opinion.sentiment), about, list(topics(story.headline, story.summary)))


def _plain(sentiment: Sentiment) -> tuple[float, str, list[dict[str, Any]]]:
    evidence = [{"words": e.words, "weight": e.weight} for e in sentiment.evidence]
    return sentiment.score, sentiment.label, evidence


def waiting(session: Session, model: str = MODEL) -> bool:
    """Whether any story is not scored by the model."""
    with session.transaction() as cursor:
        return bool(scores.unscored(cursor, model, ("", ""), 1))


def score_news(session: Session, score: Score, told: Callable[[int], None] = lambda _: None, model: str = MODEL) -> int:
    """Score what the model has not scored; how many stories. ``score`` must be by the model of that name.

    ``told`` hears the running total.
    """
    after, total = ("", ""), 0
    while True:
        with session.transaction() as cursor:
            found = scores.unscored(cursor, model, after, _CHUNK)
        if not found:
            with session.transaction() as cursor:
                known_news.publish(cursor)
            return total
        made = list(score(found))
        with session.transaction() as cursor:
            scores.save(cursor, model, made)
        after, total = (found[-1].source, found[-1].id), total + len(found)
        told(total)
