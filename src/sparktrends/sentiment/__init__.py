"""Text → score, label, evidence; and what a story is about. Pure: the same text gives the same answer anywhere."""

from sparktrends.sentiment.chosen import SHIPPED, Chosen, Scores
from sparktrends.sentiment.companies import names_of
from sparktrends.sentiment.result import LABELS, Evidence, Sentiment
from sparktrends.sentiment.scorer import Opinion, Scorer
from sparktrends.sentiment.topics import topics

__all__ = [
    "LABELS",
    "SHIPPED",
    "Chosen",
    "Evidence",
    "Opinion",
    "Scorer",
    "Scores",
    "Sentiment",
    "names_of",
    "topics",
]
