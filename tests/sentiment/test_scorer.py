"""What constructions of business English mean. No sentence here was taken from a labelled collection."""

from __future__ import annotations

import pytest

from sparktrends.sentiment import Scorer

SCORER = Scorer()

POSITIVE = """
Acme beats estimates and raises its outlook
Loss narrows as costs fall
Retailer cuts losses
Quarterly loss smaller than feared
Results less bad than feared
Not as bad as feared: quarter at Acme
Lower-than-expected loss
Shares fell less than feared
Decline in sales slows
No signs of slowing demand
Acme will not cut its dividend
Acme raises dividend by 5%
Acme announces $10 billion share buyback
House upgrades Acme to buy
Judge dismisses lawsuit against Acme
Shares up 5% after report
Acme swings to profit
Jobless claims fall to lowest since 1969
Inflation eases
Shares rise despite weak results
Revenue misses but outlook raised
Strike ends
Acme avoids bankruptcy
Regulators lift ban
Jobless claims fall to lowest since 1969
Unemployment at record low
Acme pares losses
Acme to build plant
Acme cuts risk of default
"""
NEGATIVE = """
Acme misses revenue estimates
Acme cuts full-year forecast
Acme beats on earnings but guides lower
Acme fails to beat estimates
Acme unable to raise guidance
House downgrades Acme to sell
Acme faces lawsuit over defects
Acme to lay off 500 workers
Acme slashes dividend by half
Acme recalls 1 million vehicles
Merger called off
Profit falls 20%
Loss widens
Acme widens loss forecast
Higher-than-expected costs
Lower-than-expected sales
Unemployment rises
Growth slows
No signs of recovery
Shares fall despite strong results
Shares fall 3% in early trading
Stocks close lower
Acme may cut 1,000 jobs
Investigation launched into accounting at Acme
Guidance withdrawn amid uncertainty
Why Acme shares are falling
Inflation hits 40-year high
Acme pares gains
Acme to close 1,200 stores
Acme loses bid to dismiss lawsuit
Fed signals more rate hikes
"""
NEUTRAL = """
Is Acme a buy?
Will Acme cut prices?
Acme to hold annual meeting in May
Acme names new finance chief
What to watch at Acme this week
Shares unchanged ahead of decision
Third quarter revenue in line with estimates
Acme to report results on Tuesday
Fed leaves rates unchanged
Acme to add firms to index
Hold rating on Acme
"""
LABELLED = [
    (label, text)
    for label, texts in (("positive", POSITIVE), ("negative", NEGATIVE), ("neutral", NEUTRAL))
    for text in texts.strip().splitlines()
]


@pytest.mark.parametrize(("label", "text"), LABELLED)
def test_a_construction_means_what_it_says(label: str, text: str) -> None:
    assert SCORER.score(text).label == label, SCORER.score(text)


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        ("Acme may cut guidance", "Acme cuts guidance"),
        ("Will Acme cut guidance?", "Acme cuts guidance"),
        ("Profit slips slightly", "Profit slips sharply"),
        ("Shares fall 0.2%", "Shares fall 12%"),
        ("Shares fall", "Shares plunge"),
        ("Profit falls less than expected", "Profit falls more than expected"),
    ],
)
def test_hedges_questions_and_degrees_change_the_size(weaker: str, stronger: str) -> None:
    assert abs(SCORER.score(weaker).score) < abs(SCORER.score(stronger).score)


def test_what_comes_after_but_counts_three_times_what_came_before() -> None:
    first, second = SCORER.score("Profit rises but revenue falls").evidence
    assert second.weight == pytest.approx(-3 * first.weight)


def test_evidence_are_the_words_of_the_text_and_add_up_to_the_score() -> None:
    said = SCORER.score("Acme's loss narrows sharply, shares jump 6%")
    assert [part.words for part in said.evidence] == ["loss narrows sharply", "shares jump"]
    total = sum(part.weight for part in said.evidence)
    assert said.score == pytest.approx(total / (total**2 + 15) ** 0.5, abs=1e-4)


@pytest.mark.parametrize(
    "text", ["", " ", "?", "…", "a", "\x00", "\ud800", "%", "+%", "-1%", "no", "but", "up", "🚀" * 50]
)
def test_odd_texts_are_scored(text: str) -> None:
    assert -1 <= SCORER.score(text).score <= 1


def test_work_is_bounded() -> None:
    rest = " shares fall" * 200_000
    whole = SCORER.score("Profit rises" + rest)
    assert len(whole.evidence) < 60
    assert whole == SCORER.score("Profit rises" + rest[:2_000])


def test_capitals_and_curly_quotes_change_nothing() -> None:
    assert SCORER.score("PROFIT FALLS").score == SCORER.score("profit falls").score
    assert SCORER.score("Acme isn’t cutting guidance").score == SCORER.score("Acme isn't cutting guidance").score
