"""Which scorer is used: the product's, or one of a user's own files; a value, so that Spark's workers can be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sparktrends.sentiment.result import Sentiment
from sparktrends.sentiment.scorer import Opinion, Scorer


class Scores(Protocol):
    """Every scorer: ``name`` is stored with what it said."""

    name: str

    def score(self, text: str) -> Sentiment:
        """What a text says."""
        ...

    def about(self, text: str, companies: Mapping[str, Sequence[str]]) -> Opinion:
        """What a text says, as a whole and for each company named in it."""
        ...


@dataclass(frozen=True, slots=True)
class Chosen:
    """The folder of a transformer, or a Loughran–McDonald file; neither: the product's own lexicon."""

    transformer: Path | None = None
    words: Path | None = None

    def scorer(self) -> Scores:
        """Load it; raises NotFound or BadFile for what is not there or is none."""
        if self.transformer:
            from sparktrends.sentiment.transformer import Transformer

            return Transformer(self.transformer)
        if self.words:
            from sparktrends.sentiment.loughran import loughran_scorer

            return loughran_scorer(self.words)
        return Scorer()


SHIPPED = Chosen()
