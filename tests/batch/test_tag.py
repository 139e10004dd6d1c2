"""The trends of a day: prices and news put together, stored once, made again without a change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import psycopg
import pytest

from batch.test_flatten import run
from batch.test_score import scored
from batch.world import NOW, ask_rows, finnhub_story, news_request, store_payloads
from sparktrends.batch.plan import day_of, day_start
from sparktrends.batch.tag import (
    Subject,
    archived_news,
    ask_again,
    news_hours,
    prices_expected,
    stale_days,
    subjects_of,
    tag_day,
    tagged,
    trades_on,
)
from sparktrends.batch.trends import Trend
from sparktrends.model import DAY
from sparktrends.quality import market_of
from sparktrends.store import daily_calls
from sparktrends.store import trends as rows
from sparktrends.store.daily_calls import CallRow
from sparktrends.store.session import Session
from sparktrends.store.trends import MoodDay, PriceDay, StoryDay

YESTERDAY = day_of(NOW) - timedelta(days=1)
NOON_S = (day_start(YESTERDAY) + DAY // 2) // 1_000_000


def price(source: str, symbol: str, day: date = YESTERDAY, close: float = 1.0) -> PriceDay:
    return PriceDay(source, symbol, day, close, 100.0, None)


def test_made_up_news_never_stands_beside_real_prices() -> None:
    prices = [price("yahoo", "AAPL"), price("yahoo~sim", "AAPL")]
    stories = [StoryDay("~sim", "AAPL", "h", 0.5, "positive", [])]
    moods = [MoodDay("~sim", "AAPL", YESTERDAY, 0.5, 1)]
    real, simulated = subjects_of(prices, moods, stories)
    assert real[3] == []
    assert real[2][-1].headlines == 0
    assert [story.score for story in simulated[3]] == [0.5]
    assert simulated[2][-1].sentiment == 0.5


def test_news_of_bitcoin_is_news_of_bitcoin_in_tether() -> None:
    (subject,) = subjects_of(
        [price("binance", "BTC/USDT")], [], [StoryDay("", market_of("BTC/USD"), "h", 0.1, "neutral", [])]
    )
    assert len(subject[3]) == 1


def tag_here(subjects: Sequence[Subject]) -> list[Trend | None]:
    return [tagged(subject) for subject in subjects]


def trends(dsn: str, day: date = YESTERDAY) -> list[Trend]:
    session = Session(dsn, "test", 60)
    try:
        return tag_day(session, day, tag_here)
    finally:
        session.close()


def add_prices(dsn: str, source: str, symbol: str, closes: Sequence[float]) -> None:
    """Daily bars of which the last is yesterday's."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "INSERT INTO core.series (source, symbol) VALUES (%s, %s) RETURNING id", (source, symbol)
        ).fetchone()
        assert row is not None
        for back, close in enumerate(reversed(closes)):
            day = YESTERDAY - timedelta(days=back)
            connection.execute("SELECT core.ensure_month('provider_bars', %s)", (day.replace(day=1),))
            connection.execute(
                "INSERT INTO core.provider_bars VALUES (%s, '1d', %s::date::timestamp AT TIME ZONE 'UTC', 'raw', "
                "%s, %s, %s, %s, 1000, NULL, NULL, true, 0, 0, 0, now())",
                (row[0], day, close, close, close, close),
            )


@pytest.mark.e2e
def test_a_day_is_tagged_with_its_news_and_tagged_again_without_a_change(database: str) -> None:
    add_prices(database, "yahoo", "AAPL", [100 + n % 3 for n in range(40)] + [120])
    add_prices(database, "yahoo", "MSFT", [50.0 + n % 2 for n in range(41)])
    story = finnhub_story(1, "Apple jumps on record profit", NOON_S)
    store_payloads(
        database, ("finnhub", news_request("AAPL"), [story, finnhub_story(2, "Apple jumps on record profit", NOON_S)])
    )
    store_payloads(database, ("alpha_vantage", {"symbol": "AAPL"}, {"feed": [alpha_story()]}))
    run(database)
    scored(database)
    first, second = trends(database)
    assert (first.symbol, first.tag, first.rank) == ("AAPL", "surge", 1)
    assert first.headlines == 1  # three ids, two providers, one story
    assert "earnings" in first.topics
    assert (second.symbol, second.headlines) == ("MSFT", 0)
    before = ask_rows(database, "SELECT t::text FROM core.daily_trends t ORDER BY 1")
    trends(database)
    assert ask_rows(database, "SELECT t::text FROM core.daily_trends t ORDER BY 1") == before
    assert ask_rows(database, "SELECT symbol, tag FROM market.daily_trends ORDER BY rank")[0] == ("AAPL", "surge")


def alpha_story(
    stamp: str = f"{YESTERDAY:%Y%m%d}T123000", title: str = "Apple jumps on record profit", ticker: str = "AAPL"
) -> dict[str, object]:
    told = {"overall_sentiment_score": 0.3, "ticker_sentiment": [{"ticker": ticker, "ticker_sentiment_score": "0.4"}]}
    return told | {"title": title, "url": title, "time_published": stamp}


FRIDAY = YESTERDAY - timedelta(days=7)
MONDAY, TUESDAY = FRIDAY + timedelta(days=3), FRIDAY + timedelta(days=4)


def told(dsn: str, *found: tuple[str, str, str]) -> None:
    """Store and score stories: (time, headline, ticker)."""
    for stamp, title, ticker in found:
        symbol = "BTC/USD" if ":" in ticker else ticker
        store_payloads(dsn, ("alpha_vantage", news_request(symbol), {"feed": [alpha_story(stamp, title, ticker)]}))
    run(dsn)
    scored(dsn)


def headlines(dsn: str, day: date) -> dict[str, set[str]]:
    """By symbol the headlines among the evidence of a day's trends."""
    return {
        trend.symbol: {str(item["text"]) for item in trend.evidence if item["what"] == "headline"}
        for trend in trends(dsn, day)
    }


@pytest.mark.e2e
def test_news_after_a_close_and_of_a_weekend_belong_to_the_next_session(database: str) -> None:
    add_prices(database, "yahoo", "AAPL", [100 + n % 3 for n in range(40)])
    add_prices(database, "yahoo", "BTC/USD", [100 + n % 3 for n in range(40)])
    told(
        database,
        ("20261113T205959", "Apple sees record profit", "AAPL"),
        ("20261113T210000", "Apple faces lawsuit", "AAPL"),
        ("20261114T120000", "Apple buys a rival", "AAPL"),
        ("20261114T120000", "Bitcoin soars", "CRYPTO:BTC"),
        ("20261116T205959", "Apple cuts guidance", "AAPL"),
        ("20261116T210000", "Apple names a new chief", "AAPL"),
    )
    assert headlines(database, FRIDAY) == {"AAPL": {"Apple sees record profit"}, "BTC/USD": set()}
    # The bar of a stock on a Saturday is none of a session: crypto alone has its news then.
    assert headlines(database, FRIDAY + timedelta(days=1)) == {"AAPL": set(), "BTC/USD": {"Bitcoin soars"}}
    assert headlines(database, MONDAY) == {
        "AAPL": {"Apple faces lawsuit", "Apple buys a rival", "Apple cuts guidance"},
        "BTC/USD": set(),
    }
    assert headlines(database, TUESDAY)["AAPL"] == {"Apple names a new chief"}
    before = ask_rows(database, "SELECT t::text FROM core.daily_trends t ORDER BY 1")
    for day in (TUESDAY, MONDAY, FRIDAY):
        trends(database, day)
    assert ask_rows(database, "SELECT t::text FROM core.daily_trends t ORDER BY 1") == before


@pytest.mark.e2e
def test_the_mood_of_the_days_before_is_that_of_their_sessions(database: str) -> None:
    add_prices(database, "yahoo", "AAPL", [100 + n % 3 for n in range(40)])
    told(database, ("20261114T120000", "Apple sees record profit", "AAPL"))
    hours = news_hours(["AAPL", "BTC/USDT"], YESTERDAY)
    session = Session(database, "test", 60)
    with session.transaction() as cursor:
        assert [(mood.symbol, mood.day, mood.headlines) for mood in rows.moods(cursor, hours)] == [("AAPL", MONDAY, 1)]
    session.close()


@pytest.mark.e2e
def test_a_weekend_s_news_that_come_late_tell_the_monday_again(database: str) -> None:
    add_prices(database, "yahoo", "AAPL", [100 + n % 3 for n in range(40)])
    for back in (7, 4):
        trends(database, YESTERDAY - timedelta(days=back))
    told(database, ("20261114T120000", "Apple sees record profit", "AAPL"))
    session = Session(database, "test", 60)
    assert stale_days(session, YESTERDAY) == [MONDAY]
    session.close()


@pytest.mark.e2e
def test_a_day_that_was_told_knows_of_news_that_went_to_the_archive(database: str) -> None:
    session = Session(database, "test", 60)
    add_prices(database, "yahoo", "AAPL", [100 + n % 3 for n in range(40)])
    gone = "INSERT INTO core.archived SELECT 'news', '', m, now() FROM unnest('{}'::date[]) m RETURNING 1"
    ask_rows(database, gone.format("{2026-06-01,2026-09-01,2026-12-01}"))
    assert archived_news(session, YESTERDAY) == []  # nobody has told it: it is made of what is there
    trends(database)
    assert archived_news(session, YESTERDAY) == [date(2026, 9, 1)]
    session.close()


@pytest.mark.e2e
def test_a_series_that_loses_its_day_loses_its_trend(database: str) -> None:
    add_prices(database, "yahoo", "AAPL", [100.0] * 30)
    assert len(trends(database)) == 1
    ask_rows(database, "DELETE FROM core.provider_bars RETURNING 1")
    assert trends(database) == []
    assert ask_rows(database, "SELECT * FROM core.daily_trends") == []


@pytest.mark.parametrize("symbol", ["EUR/USD", "BHP.AX"])
def test_a_session_that_begins_on_sunday_evening_is_mondays(symbol: str) -> None:
    sunday = date(2026, 11, 22)
    days = [trades_on(symbol, sunday + timedelta(days=n)) for n in range(7)]
    assert days == [False, *[True] * 5, False]


@pytest.mark.e2e
def test_a_day_on_which_every_market_was_closed_lacks_nothing(database: str) -> None:
    session = Session(database, "test", 60)
    saturday = YESTERDAY + timedelta(days=1)
    assert saturday.weekday() == 5
    assert prices_expected(session, saturday)  # nobody knows of any symbol yet
    add_prices(database, "yahoo", "AAPL", [100.0])
    assert not prices_expected(session, saturday)
    assert prices_expected(session, saturday + timedelta(days=2))
    add_prices(database, "yahoo", "BTC/USD", [100.0])
    assert prices_expected(session, saturday)
    session.close()


@pytest.mark.e2e
def test_an_answer_without_a_price_of_the_day_is_asked_for_again(database: str) -> None:
    session = Session(database, "test", 60)
    add_prices(database, "yahoo", "AAPL", [100.0] * 3)
    add_prices(database, "yahoo", "MSFT", [100.0] * 3)
    add_prices(database, "yahoo", "GONE", [100.0] * 30)
    stale = (
        "DELETE FROM core.provider_bars p USING core.series s WHERE s.id = p.series AND symbol = '{}' AND start >= '{}'"
    )
    ask_rows(database, stale.format("MSFT", YESTERDAY) + " RETURNING 1")
    ask_rows(database, stale.format("GONE", YESTERDAY - timedelta(days=15)) + " RETURNING 1")
    asked = ("AAPL", "MSFT", "GONE", "NEW")
    calls = [CallRow(YESTERDAY, "yahoo", s, "bars", "chart", "1d", [s]) for s in asked]
    with session.transaction() as cursor:
        daily_calls.plan(cursor, calls)
        for call in calls:
            daily_calls.mark(cursor, call, "done", None)
    assert ask_again(session, YESTERDAY) == [("yahoo", "MSFT"), ("yahoo", "NEW")]
    with session.transaction() as cursor:
        assert [c.call for c in daily_calls.open_calls(cursor, "yahoo", YESTERDAY, YESTERDAY)] == ["MSFT", "NEW"]
    assert ask_again(session, YESTERDAY) == []  # it waits: said once a run
    session.close()


@pytest.mark.e2e
def test_stored_trends_come_back_as_they_were(database: str) -> None:
    from sparktrends.batch.reporting import trend_of_row

    add_prices(database, "yahoo", "AAPL", [100 + n % 3 for n in range(40)] + [120])
    made = trends(database)
    session = Session(database, "test", 60)
    with session.transaction() as cursor:
        assert [trend_of_row(row) for row in rows.of_day(cursor, YESTERDAY)] == made
    session.close()


@pytest.mark.e2e
def test_providers_of_one_market_share_its_place(database: str) -> None:
    add_prices(database, "yahoo", "AAPL", [100 + n % 3 for n in range(40)] + [120])
    add_prices(database, "twelve_data", "AAPL", [100 + n % 3 for n in range(40)] + [121])
    add_prices(database, "yahoo", "BTC/USD", [100 + n % 5 for n in range(40)] + [110])
    add_prices(database, "binance", "BTC/USDT", [100 + n % 5 for n in range(40)] + [109])
    trends(database)
    found = ask_rows(database, "SELECT symbol, rank FROM market.daily_trends ORDER BY rank, symbol")
    assert found == [("AAPL", 1), ("AAPL", 1), ("BTC/USD", 2), ("BTC/USDT", 2)]


@pytest.mark.e2e
def test_a_day_of_which_something_came_later_is_told_again(database: str) -> None:
    def stale() -> list[date]:
        session = Session(database, "test", 60)
        try:
            return stale_days(session, YESTERDAY + timedelta(days=1))
        finally:
            session.close()

    add_prices(database, "yahoo", "AAPL", [100 + n % 3 for n in range(40)] + [120])
    assert stale() == []  # nobody has told it at all
    trends(database)
    assert stale() == []
    # The quota kept the news back until the next day's run.
    story = finnhub_story(1, "Apple jumps on record profit", NOON_S)
    store_payloads(database, ("finnhub", news_request("AAPL"), [story]))
    run(database)
    scored(database)
    assert stale() == [YESTERDAY]
    assert [trend.headlines for trend in trends(database)] == [1]
    assert stale() == []
    add_prices(database, "twelve_data", "AAPL", [100 + n % 3 for n in range(40)] + [120])
    assert stale() == [YESTERDAY]
