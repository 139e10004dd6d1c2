"""Law 4: the same log gives the same bits, however it is cut into batches or shards and whatever dies on the way."""

# ruff: noqa: S608 - statements of this file, put together from its own constants
from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest

from e2e.product import TRADES, Command, Product, services, until
from fault_seed import SEED
from sparktrends.bus.kafka import Producer
from sparktrends.ops import jars
from sparktrends.store.migrate import migrate

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MINUTE, SECOND = 60_000_000, 1_000_000
START = 1_700_000_040_000_000
VIEWS = {
    "bars": ("updated_at", "TRUE"),
    "metrics": ("updated_at", "TRUE"),
    "signals": ("detected_at", "retracted_at IS NULL"),
    "late_trades": ("folded_at", "TRUE"),
    "gaps": ("", "TRUE"),
}


@pytest.fixture(scope="module")
def product(resolver: jars.Resolver) -> Iterator[Product]:
    """A home whose log holds the recorded week and a wild market beside it, and nothing folded yet."""
    with Product.fresh() as made, services(made, resolver):
        made.run("ingest", "--source", "demo", "--speed", "max")
        producer = Producer(made.where().kafka)
        for row in wild_market(random.Random(SEED)):
            producer.send(TRADES, row["symbol"], json.dumps(row).encode())
        producer.close()
        yield made


def wild_market(dice: random.Random) -> Iterator[dict[str, Any]]:
    """Two hours of three symbols: out of order, after final, late, with stale minutes and jumps; settled at its end."""
    clock, price = START, 100.0
    for number in range(12_000):
        clock += dice.randrange(2 * 7200 * SECOND // 12_000)
        symbol = dice.choice("XYZ")
        price *= 1 + dice.gauss(0, 0.0005) + (0.08 if number % 2_500 == 2_499 else 0)
        behind = dice.choice((0, 0, 0, 3, 20, 90, 600, 1200)) * SECOND
        yield {"source": "wild", "symbol": symbol, "ts": clock - behind, "received": clock, "id": str(number),
               "price": f"{price:.4f}", "size": f"{dice.expovariate(1):.6f}"}  # fmt: skip
        if number % 20 == 0:
            status = dice.choice(("ok", "ok", "stale", "throttled"))
            yield {
                "source": "wild",
                "symbol": symbol,
                "ts": clock,
                "received": clock,
                "kind": "heartbeat",
                "status": status,
            }
    for minute in range(1, 20):
        for symbol in "XYZ":
            ts = clock + minute * MINUTE
            yield {"source": "wild", "symbol": symbol, "ts": ts, "received": ts, "kind": "heartbeat", "status": "ok"}


def start_over(product: Product) -> None:
    """An empty database beside the same log."""
    with psycopg.connect(product.where().owner_dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA core, market, raw CASCADE; DROP TABLE public.sparktrends_migrations")
    migrate(product.where().owner_dsn)


def fold(product: Product, most: int, kills: int = 0, shards: int = 1) -> Mapping[str, tuple[int, str]]:
    """Fold the log in batches of at most ``most`` records; rows and hash of everything that is settled."""
    wanted = product.published()

    def begun(shard: int) -> Command:
        return product.start("stream", "--max-records", str(most), "--shard", f"{shard + 1}/{shards}")

    streams = [begun(shard) for shard in range(shards)]
    for number in range(kills):
        mark = wanted * (number + 1) // (kills + 1)
        until(lambda mark=mark: product.folded() > mark, 200, f"{mark} of {wanted} records folded")
        victim = number % shards
        streams[victim].process.kill()
        streams[victim].wait()
        streams[victim] = begun(victim)
    product.wait_folded(300)
    for stream in streams:
        assert stream.stop() == 0, stream.err[-2000:]
    product.audit()
    return {name: dump(product, name) for name in (*VIEWS, "alerts")}


def dump(product: Product, view: str) -> tuple[int, str]:
    """How many rows, and the hash of all of them in the order of their text; floats in full."""
    if view == "alerts":
        rows = product.sql("SELECT id FROM core.alerts ORDER BY id")
    else:
        left_out, where = VIEWS[view]
        found = product.sql(f"SELECT to_jsonb(v) - %s - 'series' FROM market.{view} v WHERE {where}", left_out)
        rows = sorted((json.dumps(row[0], sort_keys=True),) for row in found)
    return len(rows), hashlib.sha256(json.dumps(rows).encode()).hexdigest()


@pytest.mark.timeout(1200)
def test_any_cut_and_any_death_gives_the_same_bits(product: Product) -> None:
    whole = fold(product, 1_000_000)
    assert whole["bars"][0] > 9_603 + 3 * 120
    assert whole["metrics"][0] > 9_000
    assert min(whole[name][0] for name in ("signals", "late_trades")) > 0
    assert product.sql("SELECT count(*) > 20 FROM market.bars WHERE state = 'revised'") == [(True,)]
    start_over(product)
    cut = fold(product, 500, kills=2)
    assert cut == whole
    start_over(product)
    assert fold(product, 7_919, kills=1) == whole
    start_over(product)
    assert fold(product, 20_000, kills=2, shards=2) == whole
