"""Plain VADER (Hutto & Gilbert 2014): its own rules and numbers, asked only about words that it knows.

The score is equal to `SentimentIntensityAnalyzer().polarity_scores(text)["compound"]` for every text; what is left out
is the work on words that cannot change it.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from functools import cache

from vaderSentiment.vaderSentiment import BOOSTER_DICT, SentimentIntensityAnalyzer, SentiText

from sparktrends.sentiment.result import SILENT, Evidence, Sentiment, label_of


@cache
def analyzer() -> SentimentIntensityAnalyzer:
    """The analyzer with its lexicon, read once."""
    return SentimentIntensityAnalyzer()


def valences() -> Mapping[str, float]:
    """VADER's words with their valence, -4 to 4."""
    found: Mapping[str, float] = analyzer().lexicon
    return found


def vader(text: str) -> Sentiment:
    """Score a text by VADER alone.

    >>> vader("A great day!").score
    0.6588
    """
    if not text.isascii():
        text = _described(text)
    if not _known(text):
        return SILENT
    read = SentiText(text)
    words = read.words_and_emoticons
    weights = analyzer()._but_check(words, [_weight(read, place, word) for place, word in enumerate(words)])
    score = float(analyzer().score_valence(weights, text)["compound"])
    found = [Evidence(word, round(weight, 3)) for word, weight in zip(words, weights, strict=True) if weight]
    return Sentiment(score, label_of(score), tuple(found))


def _known(text: str) -> bool:
    """Whether any word can weigh something; a text without one sums up to 0."""
    lexicon = valences()
    return any(word in lexicon or word.strip(string.punctuation) in lexicon for word in text.lower().split())


def _weight(read: SentiText, place: int, word: str) -> float:
    lowered, words = word.lower(), read.words_and_emoticons
    if lowered in BOOSTER_DICT or lowered not in valences():
        return 0
    if lowered == "kind" and place < len(words) - 1 and words[place + 1].lower() == "of":
        return 0
    (weight,) = analyzer().sentiment_valence(0, read, word, place, [])
    return float(weight)


def _described(text: str) -> str:
    """Emojis replaced by their descriptions, as VADER does it."""
    emojis, parts, after_space = analyzer().emojis, [], True
    for sign in text:
        if sign in emojis:
            parts.append(emojis[sign] if after_space else f" {emojis[sign]}")
        else:
            parts.append(sign)
        after_space = sign == " "
    return "".join(parts).strip()
