"""Text → sentiment: one call for a headline and for each company in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sparktrends.sentiment.companies import Mention, mentions_in, shares
from sparktrends.sentiment.composing import Finding, compose
from sparktrends.sentiment.lexicon import Lexicon, finance
from sparktrends.sentiment.reading import LONGEST, Reader, Reading, words_of
from sparktrends.sentiment.result import SILENT, Evidence, Sentiment, label_of, squash
from sparktrends.sentiment.vader import vader

# A question that can be answered by yes or no says nothing; "why" and "how" take for granted what they ask about.
_ASKED = 0.2
_GRANTED = frozenset(("why", "how", "what"))


class Opinion(NamedTuple):
    """What a headline says, and what it says about each company in it (by the key it was given under)."""

    sentiment: Sentiment
    companies: Mapping[str, Sentiment]


class Scorer:
    """Scores headlines by VADER and the finance lexicon: the same text, the same score, whatever came before.

    A text without any word of finance is VADER's alone; else words of finance count in full and VADER's other words
    for 0.6 of their weight.

    >>> Scorer().score("Loss narrows more than expected").label
    'positive'
    >>> Scorer().score("Acme beats estimates but guides lower").evidence[-1].words
    'guides lower'
    """

    def __init__(self, lexicon: Lexicon | None = None, name: str = "lexicon-2") -> None:
        self.name = name
        self._reader = Reader((lexicon or finance()).entries)

    def score(self, text: str) -> Sentiment:
        """What a text says as a whole. Work is bounded: 600 characters are read."""
        return self.about(text, {}).sentiment

    def about(self, text: str, companies: Mapping[str, Sequence[str]]) -> Opinion:
        """What a text says as a whole and about each company; ``companies`` holds the names each may be called by.

        Companies that are not mentioned are left out.
        """
        mentions = mentions_in(words_of(text), companies) if companies else []
        reading = self._reader.read(text, [(mention.start, mention.end) for mention in mentions])
        if not reading.special:
            return _by_vader(text, mentions)
        asked = _asked(reading)
        found = [(clause, compose(clause, reading.words)) for clause in reading.clauses if clause.items or mentions]
        whole = _sentiment(reading, [finding for _, inside in found for finding in inside], asked)
        parts = shares(found, mentions, reading.words) if mentions else {}
        return Opinion(whole, {key: _sentiment(reading, said, asked) for key, said in parts.items()})


def _by_vader(text: str, mentions: Sequence[Mention]) -> Opinion:
    said = vader(text[:LONGEST])
    return Opinion(said, {mention.key: said for mention in mentions})


def _sentiment(reading: Reading, found: Sequence[Finding], asked: float) -> Sentiment:
    if not found:
        return SILENT
    evidence = tuple([Evidence(_quote(reading, finding), round(finding.value * asked, 3)) for finding in found])
    score = squash(sum([part.weight for part in evidence]))
    return Sentiment(score, label_of(score), evidence)


def _quote(reading: Reading, finding: Finding) -> str:
    if len(finding.items) == 1:
        start, end = finding.anchor.start, finding.anchor.end
        return reading.written[start] if end == start + 1 else " ".join(reading.written[start:end])
    spans = sorted({(item.start, item.end) for item in finding.items})
    return " ".join([word for start, end in spans for word in reading.written[start:end]])


def _asked(reading: Reading) -> float:
    words = reading.words
    return _ASKED if words and words[-1] == "?" and words[0] not in _GRANTED else 1.0
