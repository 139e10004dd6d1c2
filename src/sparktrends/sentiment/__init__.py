"""Text → score, label, evidence; and what a story is about. Pure: the same text gives the same answer anywhere."""

from sparktrends.sentiment.companies import names_of
from sparktrends.sentiment.result import LABELS, Evidence, Sentiment
from sparktrends.sentiment.scorer import Opinion, Scorer
from sparktrends.sentiment.topics import topics

__all__ = ["LABELS", "Evidence", "Opinion", "Scorer", "Sentiment", "names_of", "topics"]
