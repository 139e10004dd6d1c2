"""`batch backfill` as a person types it, from the log and from the archive: killed in the middle, and completed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from e2e.product import TRADES, Product, services, until
from sparktrends.bus.kafka import Producer
from sparktrends.ops import jars
from sparktrends.store.archive import TABLES

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

SECOND = 1_000_000
DAY = 86_400 * SECOND
FIRST = int(datetime(2023, 11, 29, tzinfo=UTC).timestamp()) * SECOND
SYMBOLS = "ABCD"
ALL = ",".join(SYMBOLS)
LOST = ("--symbols", ALL, "--from", "2023-11-30", "--to", "2023-12-01")
"""Two days of four symbols, on both sides of a month's end: eight pieces of work."""
STRETCH = "start >= '2023-11-30Z' AND start < '2023-12-02Z'"
VIEWS = {"bars": ("updated_at", "true"), "metrics": ("updated_at", "true"), "signals": ("detected_at", "true")}


@pytest.fixture(scope="module")
def product(resolver: jars.Resolver) -> Iterator[Product]:
    """Three days of a market that is older than minutes are kept, in the log and folded."""
    with Product.fresh() as made, services(made, resolver):
        producer = Producer(made.where().kafka)
        for row in market():
            producer.send(TRADES, row["symbol"], json.dumps(row).encode())
        producer.close()
        stream = made.start("stream")
        made.wait_folded(300)
        assert stream.stop() == 0, stream.err[-2000:]
        yield made


def market() -> Iterator[dict[str, Any]]:
    """A trade every forty seconds, with jumps that make signals, and the quarter of an hour that settles the last."""
    for symbol in SYMBOLS:
        for number in range(3 * 86_400 // 40):
            ts = FIRST + number * 40 * SECOND
            price = 100 + number % 97 / 10 + (9 if number % 1_500 > 1_495 else 0)
            yield {"source": "exchange", "symbol": symbol, "ts": ts, "received": ts, "id": f"{symbol}{number}",
                   "price": f"{price:.2f}", "size": f"{1 + number % 13}.5"}  # fmt: skip
        for minute in range(20):
            ts = FIRST + 3 * DAY + minute * 60 * SECOND
            yield {
                "source": "exchange",
                "symbol": symbol,
                "ts": ts,
                "received": ts,
                "kind": "heartbeat",
                "status": "ok",
            }


def stored(product: Product) -> dict[str, list[str]]:
    """All that a person can ask of bars, metrics and signals."""
    found = {}
    for view, (apart, where) in VIEWS.items():
        rows = product.sql(f"SELECT (to_jsonb(v) - %s)::text FROM market.{view} v WHERE {where} ORDER BY 1", apart)  # noqa: S608
        found[view] = [str(row[0]) for row in rows]
    return found


def minutes(product: Product) -> int:
    """How many minutes of the two days are stored."""
    return int(product.ask(f"SELECT count(*) FROM core.bars WHERE interval = '1m' AND {STRETCH}"))  # noqa: S608


def kill_in_the_middle(product: Product, parts: int, *words: str) -> None:
    """Type the command and kill it when it has said that the first of its parts is done."""
    command = product.start("batch", "backfill", *words)
    until(lambda: f"  1/{parts} " in command.err or command.process.poll() is not None, 180, lambda: command.err)
    command.process.kill()
    assert command.wait() == -9, command.out + command.err


def test_days_are_rebuilt_from_the_log(product: Product) -> None:
    before = stored(product)
    assert all(before.values())
    whole = minutes(product)
    assert whole == 4 * 2 * 1440
    for table in ("bars", "metrics", "signals"):
        product.sql(f"DELETE FROM core.{table} WHERE {STRETCH}")  # noqa: S608
    assert minutes(product) == 0

    kill_in_the_middle(product, 8, "--via", "log", *LOST)
    assert 0 < minutes(product) < whole
    told = product.run("batch", "backfill", "--via", "log", *LOST, seconds=300)
    assert "records of the log read" in told.err
    assert "  8/8 2023-12 exchange D: " in told.err
    assert f"of {whole:,} minutes written, in 8 months of series" in told.out
    assert stored(product) == before
    again = product.run("batch", "backfill", "--via", "log", *LOST, "--json", seconds=300).json()
    assert again == {"months": 8, "minutes": whole, "written": 0, "missing": []}


def test_days_are_brought_back_from_the_archive(product: Product) -> None:
    before, whole = stored(product), minutes(product)
    gone = product.run("batch", "retention", "--json", seconds=300).json()
    tables = {month["table"] for month in gone["months"]}
    assert {"bars", "metrics", "signals"} <= tables
    assert minutes(product) == 0

    # Bars, metrics and signals of 1m, 5m and 15m, of two months: the longer ones stay for ever.
    parts = sum(TABLES[month["table"]].dated for month in gone["months"])
    assert parts > 12
    kill_in_the_middle(product, parts, "--via", "archive", *LOST)
    assert len(stored(product)["metrics"]) < len(before["metrics"])
    told = product.run("batch", "backfill", "--via", "archive", *LOST, seconds=300)
    assert f"  {parts}/{parts} 2023-12 " in told.err
    assert minutes(product) == whole
    # The first of the three days is still in the archive alone.
    assert product.ask("SELECT count(*) FROM core.bars WHERE interval = '1m'") == whole
    product.run("batch", "backfill", "--via", "archive", "--from", "2023-11-29", "--to", "2023-12-31", seconds=300)
    assert stored(product) == before


def test_what_nobody_has_is_named(product: Product) -> None:
    unknown = ("--symbols", "A,NOBODY", "--from", "2023-11-30", "--to", "2023-11-30")
    told = product.run("batch", "backfill", "--via", "log", *unknown, code=1, seconds=300)
    assert "missing: no trade of NOBODY is known" in told.out
    assert product.run("batch", "backfill", "--via", "archive", *unknown, code=1).out.count("NOBODY") == 1
    none = product.run("batch", "backfill", "--via", "archive", "--from", "2020-01-01", "--to", "2020-01-31", code=1)
    assert "missing: the archive has nothing from 2020-01-01 to 2020-01-31" in none.out
    assert (
        "--from is after --to"
        in product.run("batch", "backfill", "--via", "log", "--from", "2023-12-02", "--to", "2023-12-01", code=2).err
    )
