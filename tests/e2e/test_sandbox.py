"""A person without keys: `up --sandbox`, and what is stored in the end is what the twin did, to the last digit."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from e2e.product import Product, log_of, services, until
from sparktrends.bus.codec import decode
from sparktrends.model import MINUTE
from sparktrends.ops import jars
from sparktrends.sandbox.ledger import Ledger, Made, read

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PLAY_S = 20.0
CANARY = "tiger-canary-31337"
SECRETS = ("FINNHUB_API_KEY", "TWELVE_DATA_API_KEY", "ALPHA_VANTAGE_API_KEY")
"""Keys that a person has set: with the sandbox nobody ever uses them, and nowhere may they be seen."""
BARS = """
SELECT (extract(epoch FROM start) * 1000000)::bigint, open, high, low, close, volume, turnover, trades
FROM market.bars_all WHERE source = 'binance~sim' AND symbol = %s AND interval = '1m' AND origin = 'trades'
AND trades > 0 ORDER BY 1
"""
WARM = """
SELECT count(*) FILTER (WHERE interval = '1m'), count(*) FILTER (WHERE interval = '1d')
FROM market.bars WHERE source = 'binance~sim' AND symbol = %s AND origin = 'provider'
"""
FIRST = """
SELECT m.warm FROM market.metrics m JOIN market.bars b USING (source, symbol, interval, start)
WHERE m.source = 'binance~sim' AND m.symbol = %s AND m.interval = '1m' AND b.origin = 'trades' ORDER BY m.start LIMIT 1
"""
SENT = "SELECT count(*) FROM core.deliveries WHERE channel <> 'console'"
STORED = "SELECT count(*) FROM core.bars b JOIN core.series s ON s.id = b.series WHERE s.symbol = %s AND b.trades > 0"


@pytest.fixture(scope="module")
def played(resolver: jars.Resolver) -> Iterator[tuple[Product, Ledger]]:
    """Twenty seconds of play, ended in order; broker and database run again for those who look."""
    with Product.fresh(dict.fromkeys(SECRETS, CANARY)) as product:
        ledger = product.folder / "ledger.jsonl"
        with (product.folder / "sparktrends.toml").open("a") as settings:
            settings.write(f'[sandbox]\nrate = 300\nledger = "{ledger}"\nsymbols = "BTC,ETH,AAPL,MSFT"\n')
        words = ("--source", "binance", "--source", "finnhub", "--symbols", "BTC/USDT,ETH/USDT,AAPL,MSFT")
        command = product.up("--sandbox", *words)
        until(lambda: product.ask(STORED, "ETH/USDT"), 90, lambda: product.log("ingest"))
        time.sleep(PLAY_S)  # the length of the play
        arguments = [word for process in product.processes() for word in process.cmdline()]
        assert arguments
        assert not [word for word in arguments if CANARY in word]
        assert command.stop() == 0, command.err
        with services(product, resolver):
            yield product, read(Path(ledger))


def test_what_is_stored_is_what_the_twin_did(played: tuple[Product, Ledger]) -> None:
    product, ledger = played
    ids = published(product)
    for symbol in ("BTC/USDT", "ETH/USDT"):
        made = ledger.made[symbol.partition("/")[0]]
        assert len(ids[symbol]) == len(set(ids[symbol])) > 200
        told = {i: made[i] for i in range(min(ids[symbol]), max(ids[symbol]) + 1)}
        assert product.sql(BARS, symbol) == folded(told)


def test_it_began_with_its_past_and_alerted_nobody(played: tuple[Product, Ledger]) -> None:
    product, _ = played
    minutes, days = product.sql(WARM, "BTC/USDT")[0]
    assert minutes >= 300
    assert days >= 250
    assert product.sql(FIRST, "BTC/USDT") == [(True,)]
    assert product.ask(SENT) == 0


def test_the_audit_is_clean(played: tuple[Product, Ledger]) -> None:
    product, _ = played
    found = product.audit()
    assert found["counts"]["trades"] > 1_000
    assert (found["repeated_ids"], found["findings"]) == (0, [])


def test_no_key_is_in_any_file(played: tuple[Product, Ledger]) -> None:
    product, _ = played
    files = [file for file in product.home.rglob("*") if file.is_file()]
    assert len(files) > 100
    assert not [file for file in files if CANARY.encode() in file.read_bytes()]


def test_a_day_of_it_is_judged(played: tuple[Product, Ledger]) -> None:
    product, _ = played
    today = str(product.ask("SELECT (now() AT TIME ZONE 'UTC')::date"))
    judged = product.run("batch", "quality", "--date", today, "--json").json()
    assert {series["source"] for series in judged["series"]} <= {"binance~sim", "finnhub~sim"}


def published(product: Product) -> Mapping[str, list[int]]:
    """Ids of the Binance trades in the log, by symbol."""
    found = defaultdict(list)
    for _, record in log_of(product):
        row = decode(record.value)
        if row["source"] == "binance~sim" and row.get("kind", "trade") == "trade":
            found[row["symbol"]].append(int(row["id"]))
    return found


def folded(trades: Mapping[int, Made]) -> list[tuple[Any, ...]]:
    """Bars of these trades, by hand."""
    minutes: dict[int, list[Made]] = defaultdict(list)
    for _, trade in sorted(trades.items()):
        minutes[trade.ts - trade.ts % MINUTE].append(trade)
    return [
        (
            start,
            of[0].price,
            max(t.price for t in of),
            min(t.price for t in of),
            of[-1].price,
            sum((t.size for t in of), Decimal()),
            sum((t.price * t.size for t in of), Decimal()),
            len(of),
        )
        for start, of in sorted(minutes.items())
    ]
