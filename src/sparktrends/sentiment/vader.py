"""Plain VADER (Hutto & Gilbert 2014) with the words and constants of its library, and its rules written for speed.

The score is equal to `SentimentIntensityAnalyzer().polarity_scores(text)["compound"]` for every text, oddities
included: a property test holds the two together. The library itself compares every word sixty times.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from vaderSentiment.vaderSentiment import (
    BOOSTER_DICT,
    C_INCR,
    N_SCALAR,
    NEGATE,
    SPECIAL_CASES,
    SentimentIntensityAnalyzer,
    normalize,
    scalar_inc_dec,
)

from sparktrends.sentiment.remembered import Remembered
from sparktrends.sentiment.result import SILENT, Evidence, Sentiment, label_of

_NEGATIONS = frozenset(NEGATE)
_PHRASES = (*SPECIAL_CASES, *(booster for booster in BOOSTER_DICT if " " in booster))
_OF_PHRASES = frozenset(word for phrase in _PHRASES for word in phrase.split())
_NEGATED: float = N_SCALAR
_DAMPING = (1.0, 0.95, 0.9)


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
    told = [_WORDS[piece] for piece in text.split()]
    places = [place for place, word in enumerate(told) if word.weighs]
    if not places:
        return SILENT
    words, lowered = [word.bare for word in told], [word.lowered for word in told]
    shouted = sum(word.shouted for word in told)
    read = _Words(words, lowered, valences(), 0 < shouted < len(words))
    weights = [0.0] * len(words)
    for place in places:
        weights[place] = read.weight(place)
    if "but" in lowered:
        weights = analyzer()._but_check(words, weights)
    score = _compound(weights, text)
    found = tuple(Evidence(word, round(weight, 3)) for word, weight in zip(words, weights, strict=True) if weight)
    return Sentiment(score, label_of(score), found)


def _compound(weights: Sequence[float], text: str) -> float:
    total = float(sum(weights))
    if total and ("!" in text or "?" in text):
        emphasis = analyzer()._punctuation_emphasis(text)
        total += emphasis if total > 0 else -emphasis
    return round(float(normalize(total)), 4)


class _Word(NamedTuple):
    bare: str
    lowered: str
    weighs: bool
    shouted: bool


def _word(piece: str) -> _Word:
    """What stands between two spaces, without the punctuation around it."""
    bare = _bare(piece)
    lowered = bare.lower()
    return _Word(bare, lowered, lowered in valences(), bare.isupper())


_WORDS = Remembered(_word)


class _Words:
    """The words of a text, as written and in lower case; ``shouting`` when some but not all are in capitals."""

    def __init__(self, words: list[str], lowered: list[str], lexicon: Mapping[str, float], shouting: bool) -> None:
        self._words = words
        self._lowered = lowered
        self._lexicon = lexicon
        self._shouting = shouting

    def weight(self, place: int) -> float:
        """What the word adds to the sum, with what its three neighbours before it do to it."""
        words, lowered = self._words, self._lowered
        word = lowered[place]
        if word in BOOSTER_DICT or (word == "kind" and lowered[place + 1 : place + 2] == ["of"]):
            return 0.0
        valence = self._at_no(place)
        if self._shouting and words[place].isupper():
            valence += C_INCR if valence > 0 else -C_INCR
        for back in range(min(place, 3)):
            before = lowered[place - back - 1]
            if before in self._lexicon:
                continue
            if before in BOOSTER_DICT:
                valence += scalar_inc_dec(words[place - back - 1], valence, self._shouting) * _DAMPING[back]
            valence = self._negated(valence, place, back)
            if back == 2 and not _OF_PHRASES.isdisjoint(lowered[place - 3 : place + 3]):
                valence = analyzer()._special_idioms_check(valence, words, place)
        return self._at_least(valence, place)

    def _at_no(self, place: int) -> float:
        """ "no" beside a word of the lexicon negates it and weighs nothing itself."""
        lowered = self._lowered
        word, valence = lowered[place], self._lexicon[lowered[place]]
        before = lowered[max(0, place - 3) : place][::-1]
        if "no" in before[:2] or (before[2:] == ["no"] and before[0] in ("or", "nor")):
            return valence * _NEGATED
        if word == "no" and place < len(lowered) - 1 and lowered[place + 1] in self._lexicon:
            return 0.0
        return valence

    def _negated(self, valence: float, place: int, back: int) -> float:
        lowered = self._lowered
        before = lowered[place - back - 1]
        between = lowered[place - back : place]
        if back == 1 and before == "never" and between[0] in ("so", "this"):
            return valence * 1.25
        if back == 2 and ((before == "never" and between[0] in ("so", "this")) or between[1] in ("so", "this")):
            return valence * 1.25
        if back and before == "without" and "doubt" in between:
            return valence
        return valence * _NEGATED if before in _NEGATIONS or "n't" in before else valence

    def _at_least(self, valence: float, place: int) -> float:
        """ "least" negates, but not in "at least" and "very least"."""
        lowered = self._lowered
        if place < 1 or lowered[place - 1] != "least" or (place > 1 and lowered[place - 2] in ("at", "very")):
            return valence
        return valence * _NEGATED


def _bare(word: str) -> str:
    """Without punctuation around it, unless so little remains that it was an emoticon."""
    stripped = word.strip(string.punctuation)
    return word if len(stripped) <= 2 else stripped


def _described(text: str) -> str:
    """Emojis replaced by their descriptions, as VADER does it."""
    emojis, parts, after_space = analyzer().emojis, [], True
    for sign in text:
        if sign in emojis:
            parts.append(emojis[sign] if after_space else f" {emojis[sign]}")
            after_space = False
        else:
            parts.append(sign)
            after_space = sign == " "
    return "".join(parts).strip()
