"""Headlines a second of processor time (so on one core to itself), and how often a scorer meets given labels."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparktrends.sentiment import Chosen, Scores
from sparktrends.sentiment.measure import agreement, read_labelled
from sparktrends.sentiment.vader import analyzer

# A third of what is news says something in words of finance, a third in general words, a third nothing.
_FINANCE = (
    "{} beats third-quarter profit estimates and raises its full-year outlook on strong demand in {}",
    "{} shares fall {}% in premarket trading after revenue misses expectations, guidance cut",
    "Analyst upgrades {} to buy, lifts price target to ${} despite weak consumer spending",
    "{} to lay off {} workers as rising costs squeeze margins, but reaffirms dividend",
    "Regulators fine {} ${} million over disclosure failures, shares slip",
)
_GENERAL = (
    "The people of {} love their new bridge, which opened to great applause on Monday, day {}",
    "Storm near {} leaves {} families without power in a terrible night for the coast",
    "{} school wins praise for its kind and honest answer to pupil number {}",
)
_SILENT = (
    "{} to hold its annual meeting with shareholders in Geneva on Tuesday, room {}",
    "What we know about the next phone of {} and its {} cameras",
    "{} names a new head of its office in Oslo, the {}th since the beginning",
    "A walk through the museum of {} in {} pictures",
)
_NAMES = (
    "Acme",
    "Bolt Energy",
    "Cedar",
    "Dune Motors",
    "Elm Bank",
    "Fjord",
    "Grove Foods",
    "Harbor",
    "Iris",
    "Juno Air",
)
_ROUNDS, _SLICE = 5, 500


def run(scorer: Scores, count: int) -> dict[str, Any]:
    """``count`` different headlines; VADER itself over a part of them beside it."""
    texts = headlines(count)
    rate = _rate(scorer.score, texts)
    library = _rate(analyzer().polarity_scores, texts[: max(1, count // 10)])
    return {
        "scorer": scorer.name,
        "headlines": count,
        "headlines_per_s": round(rate),
        "vader_per_s": round(library),
        "words_per_headline": round(sum(len(text.split()) for text in texts) / count, 1),
    }


def labelled(scorer: Scores, file: Path) -> dict[str, Any]:
    """How often the scorer meets the labels of the file; raises BadFile."""
    rows = read_labelled(file)
    guesses = [scorer.score(text).label for text, _ in rows]
    return {"scorer": scorer.name, **agreement([label for _, label in rows], guesses).figures()}


def table(figures: dict[str, Any]) -> str:
    """The confusion as a person reads it: labels down, guesses across."""
    confusion = figures["confusion"]
    lines = [f"{'':>10}" + "".join(f"{guess:>10}" for guess in confusion)]
    lines += [f"{label:>10}" + "".join(f"{n:>10}" for n in row.values()) for label, row in confusion.items()]
    return "\n".join(lines)


def headlines(count: int, seed: int = 1) -> list[str]:
    """Made-up headlines, all different; a third each of finance, general words, and nothing that weighs."""
    dice = random.Random(seed)
    kinds: Sequence[Sequence[str]] = (_FINANCE, _GENERAL, _SILENT)
    return [
        dice.choice(kinds[number % len(kinds)]).format(dice.choice(_NAMES), 2 * number + 1) for number in range(count)
    ]


def new_scorer(model: Path | None, words: Path | None) -> Scores:
    """The product's scorer, or one with a transformer's folder or a user's Loughran–McDonald file."""
    return Chosen(model, words).scorer()


def _rate(score: Any, texts: Sequence[str]) -> float:
    """Texts a second: of each slice the best of some rounds over all, for who else wants the core makes both slower."""
    slices = [texts[begin : begin + _SLICE] for begin in range(0, len(texts), _SLICE)]
    best = [float("inf")] * len(slices)
    for _ in range(_ROUNDS):
        for place, part in enumerate(slices):
            begin = time.process_time()
            for text in part:
                score(text)
            best[place] = min(best[place], time.process_time() - begin)
    return len(texts) / sum(best)
