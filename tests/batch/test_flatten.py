"""Payloads to rows: by natural key, once, and again without a change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from batch.test_reading import RECORDED, split_chart
from batch.world import NOW, Log, ask_rows, finnhub_story, news_request, store_payloads
from sparktrends.batch.flatten import Flattened, flatten
from sparktrends.batch.reading import Reading, read_payload
from sparktrends.model import DAY
from sparktrends.store.payloads import StoredPayload
from sparktrends.store.session import Session

pytestmark = pytest.mark.e2e
DAY_MS = DAY // 1000
TODAY_MS = NOW // 1000 // DAY_MS * DAY_MS


def here(rows: Sequence[StoredPayload]) -> Iterable[Reading]:
    return map(read_payload, rows)


def run(dsn: str, log: Log | None = None) -> Flattened:
    session = Session(dsn, "test", 60)
    try:
        return flatten(session, log or Log(), here)
    finally:
        session.close()


def kline(day: int, close: str) -> list[Any]:
    start = TODAY_MS + day * DAY_MS
    return [start, "9", "12", "8", close, "100", start + DAY_MS - 1, "1000", 7, "1", "1", "0"]


def company(**more: Any) -> dict[str, Any]:
    return {"name": "Apple Inc", "exchange": "NASDAQ", "currency": "USD", "marketCapitalization": 3000.5, **more}


COMPANY = {"what": "company", "symbols": ["AAPL"], "interval": "1m"}


def test_one_story_under_several_ids_from_several_symbols(database: str) -> None:
    apple = [finnhub_story(1, "Both beat"), finnhub_story(2, "Both beat")]
    store_payloads(database, ("finnhub", news_request("AAPL"), apple))
    store_payloads(database, ("finnhub", news_request("MSFT"), [finnhub_story(2, "Both beat")]))
    assert run(database).news == 3
    assert ask_rows(database, "SELECT id, headline, symbols FROM market.news") == [("1", "Both beat", ["AAPL", "MSFT"])]


def test_a_story_that_comes_again_later_is_the_stored_one(database: str) -> None:
    store_payloads(database, ("finnhub", news_request("AAPL"), [finnhub_story(5, "Old news")]))
    run(database)
    store_payloads(database, ("finnhub", news_request("MSFT"), [finnhub_story(9, "OLD news!", NOW // 1_000_000 + 60)]))
    run(database)
    assert ask_rows(database, "SELECT id, headline, symbols FROM market.news") == [("5", "Old news", ["AAPL", "MSFT"])]
    assert ask_rows(database, "SELECT count(*) FROM core.story_ids") == [(2,)]


def test_a_corrected_headline_is_scored_again_and_a_repeated_one_is_not(database: str) -> None:
    store_payloads(database, ("finnhub", news_request("AAPL"), [finnhub_story(1, "Apple lose"), finnhub_story(2, "x")]))
    run(database)
    ask_rows(database, "UPDATE core.news SET model = 'm', label = 'neutral' RETURNING 1")
    ask_rows(database, "UPDATE core.mentions SET label = 'neutral' RETURNING 1")
    store_payloads(
        database, ("finnhub", news_request("AAPL"), [finnhub_story(1, "Apple loses"), finnhub_story(2, "x")])
    )
    run(database)
    assert ask_rows(database, "SELECT id, headline, model FROM market.news ORDER BY id") == [
        ("1", "Apple loses", None),
        ("2", "x", "m"),
    ]


def test_companies_have_a_row_a_day_and_a_history_of_changes(database: str) -> None:
    store_payloads(database, ("finnhub", COMPANY, company()), ("alpha_vantage", {"symbol": "A"}, {"Note": "per day"}))
    run(database)
    ask_rows(database, "UPDATE core.companies SET day = day - 2, market_cap = 1 RETURNING 1")
    store_payloads(database, ("finnhub", COMPANY, company()))
    run(database)
    assert ask_rows(database, "SELECT symbol, market_cap::text FROM market.companies") == [("AAPL", "3000500000.0")]
    assert ask_rows(database, "SELECT count(*) FROM market.company_history") == [(2,)]


def test_closed_bars_go_to_the_log_as_history(database: str) -> None:
    log = Log()
    rows = [kline(-2, "10"), kline(-1, "11"), kline(0, "11.5")]
    store_payloads(database, ("binance", {"symbol": "BTC/USDT"}, rows))
    assert run(database, log).sent == 2
    sent = log.values("raw.bars")
    assert [(b["close"], b["interval"], b["closed"], b["fill"]) for b in sent] == [
        ("10", "1d", True, True),
        ("11", "1d", True, True),
    ]
    assert sent[0]["received"] == NOW


def test_a_split_that_a_chart_told_makes_the_days_around_it_level(database: str) -> None:
    days = {"what": "bars", "symbols": ["AAPL"], "interval": "1d"}
    store_payloads(database, ("yahoo", days, split_chart(10, 11)))
    assert run(database).actions == 2
    store_payloads(database, ("yahoo", days, split_chart(10, 11)))  # as the next day tells it again
    run(database)
    assert ask_rows(database, "SELECT symbol, kind, value FROM market.corporate_actions ORDER BY kind") == [
        ("AAPL", "dividend", Decimal("0.25")),
        ("AAPL", "split", Decimal(10)),
    ]
    # The day before as it was told on that day, and the day of the split.
    ask_rows(database, "SELECT core.ensure_month('provider_bars', '2024-11-01')")
    ask_rows(
        database,
        "WITH series AS (INSERT INTO core.series (source, symbol) VALUES ('yahoo', 'AAPL') RETURNING id) "
        "INSERT INTO core.provider_bars (series, interval, start, adjustment, open, high, low, close, volume, closed, "
        "arrival, log_partition, log_offset, updated_at) SELECT id, '1d', at::timestamptz, 'raw', price, price, price, "
        "price, 7, true, 1732147200000000, 0, 0, now() FROM series, "
        "(VALUES ('2024-11-20 00:00+00', 100), ('2024-11-21 00:00+00', 10)) AS days (at, price) RETURNING 1",
    )
    level = "SELECT close FROM market.bars_adjusted WHERE symbol = 'AAPL' ORDER BY start"
    assert ask_rows(database, level) == [(10,), (10,)]


def test_what_cannot_be_used_is_kept_with_its_payload(database: str) -> None:
    store_payloads(
        database,
        ("finnhub", news_request("AAPL"), [finnhub_story(1, "ok"), {"id": 3}]),
        ("finnhub", news_request("AAPL"), {"error": "API limit reached."}),
    )
    found = run(database)
    assert found.outcomes == {"flattened": 1, "rate_limited": 1}
    assert found.errors == 1
    assert ask_rows(database, "SELECT payload, number, reason FROM market.payload_rejects ORDER BY 1") == [
        (1, 0, "bad_headline"),
        (2, 0, "rate_limited"),
    ]
    assert ask_rows(database, "SELECT id, outcome, news, unknown, missing FROM market.payloads ORDER BY 1")[0] == (
        1, "flattened", 1, {"image": 1}, {"url": 1, "source": 1, "summary": 1, "datetime": 1, "headline": 1},
    )  # fmt: skip


def test_a_second_run_reads_and_changes_nothing(database: str, shared_data: Path) -> None:
    for file in (shared_data / "payloads" / name for name in sorted(RECORDED)):
        text = file.read_text()
        body = json.loads(text) if text.lstrip().startswith("{") else text
        symbol = "BTC/CNY" if "crypto" in file.name else "IBM"
        store_payloads(database, ("alpha_vantage~replay", {"symbol": symbol}, body))
    log = Log()
    first = run(database, log)
    assert first.outcomes == {"flattened": 6}
    assert (first.bars, first.prices, first.companies) == (11_291, 923, 11)
    before = snapshot(database)
    again = Log()
    assert run(database, again).payloads == 0
    assert again.records == []
    assert snapshot(database) == before


def test_payloads_that_are_read_again_change_nothing(database: str) -> None:
    store_payloads(database, ("finnhub", news_request("AAPL"), [finnhub_story(1, "a"), finnhub_story(2, "b")]))
    store_payloads(database, ("finnhub", COMPANY, company()))
    run(database)
    before = snapshot(database)
    ask_rows(database, "DELETE FROM core.readings RETURNING 1")  # as if killed before the transaction was done
    run(database)
    assert snapshot(database) == before


def snapshot(dsn: str) -> list[list[tuple[Any, ...]]]:
    tables = ("news", "mentions", "story_ids", "companies", "corporate_actions", "payload_rejects")
    return [sorted(ask_rows(dsn, f"SELECT t::text FROM core.{table} t")) for table in tables]  # noqa: S608
