"""Words are read piece by piece and remembered; what comes out is what the plain way gives, whatever came before."""

from __future__ import annotations

import hashlib
import random

from hypothesis import given
from hypothesis import strategies as st

from sparktrends.sentiment import Scorer
from sparktrends.sentiment.reading import _TOKEN, LONGEST, words_of
from sparktrends.sentiment.remembered import Remembered

_PIECES = [
    "-",
    "--",
    "-5%",
    "+2%",
    "a-b",
    "U.S.",
    "Inc.",
    "it’s",
    ",",
    "…",
    "$5bn",
    "3.5%",
    "3..5",
    ".5",
    "rises",
    "—",
    "x" * 50,
]
_SPACES = st.sampled_from(["", " ", "  ", "\t", "\n", "\u00a0", "\u2028", "\x1c"])
_TEXTS = st.lists(st.tuples(st.sampled_from(_PIECES), _SPACES), max_size=20).map(lambda x: "".join(a + b for a, b in x))

_WORDS = """
Acme Bolt shares stocks profit loss losses revenue costs guidance outlook dividend jobs lawsuit deal merger strike
sales margins debt bankruptcy rises falls fell jumps slump cuts raises raise misses beats upgrades downgrades sues sued
recalls widens narrows slows eases higher lower up down record weak strong good terrible great love war risk fraud probe
not no never may could unlikely despite but although while and after on in of to by for than expected feared less more
sharply slightly fails halts avoids 5% 12% -3% +0.2% $4bn , ; : . ? ! — May 5 U.S. kind very at least so
"""


@given(_TEXTS | st.text(max_size=40) | st.text("-ab. \n", max_size=30))
def test_pieces_have_the_words_of_the_whole(text: str) -> None:
    assert words_of(text) == _TOKEN.findall(text[:LONGEST].replace("’", "'"))


@given(st.lists(_TEXTS, max_size=4), _TEXTS)
def test_what_came_before_changes_nothing(before: list[str], text: str) -> None:
    used = Scorer()
    for other in before:
        used.score(other)
    assert used.score(text) == Scorer().score(text)


def test_scores_are_what_they_were() -> None:
    """Making the scorer quicker must not change it; who changes what it says on purpose writes down the new sum."""
    dice, scorer, words = random.Random(7), Scorer(), _WORDS.split()
    told = hashlib.sha256()
    for _ in range(3_000):
        text = " ".join(dice.choice(words) for _ in range(dice.randint(1, 12)))
        opinion = scorer.about(text, {"A": ["Acme"], "B": ["Bolt"]})
        told.update(repr((text, opinion.sentiment, sorted(opinion.companies.items()))).encode())
    assert told.hexdigest()[:16] == "1f252e9983837ddb"


def test_what_is_remembered_is_bounded() -> None:
    lengths: Remembered[int] = Remembered(len)
    assert all(lengths[str(number)] == len(str(number)) for number in range(20_005))
    assert len(lengths) == 5
