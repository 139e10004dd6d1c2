"""More than usual: half an hour that waits, ten times as much for a minute, more than the machine can take."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from e2e.product import Product, until
from e2e.test_kills import LOAD, START_S, check_nothing_lost_or_doubled, end, settle
from faults.test_soak import RATE, pss_mb
from sparktrends.bus.kafka import Producer
from sparktrends.ops.cli import main
from sparktrends.telemetry import system_clock

BACKLOG_S = 1_800
DRAIN = 3
"""Times real time."""
BURST, BURST_S, SYMBOLS = 10 * RATE, 60, 50
TOO_MUCH = 150_000
TOO_LONG_S = 60
MOST_MB = 3_000

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def product() -> Iterator[Product]:
    with Product.fresh() as made:
        yield made


def test_half_an_hour_that_waits_is_folded_in_a_third_of_it() -> None:
    arguments = ["bench", "throughput", "--trades", str(BACKLOG_S * RATE), "--symbols", "500"]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    found = json.loads(done.stdout.splitlines()[-1])
    print({name: found[name] for name in ("with_startup_s", "trades_per_s")})
    assert found["equal"] is True
    assert found["with_startup_s"] * DRAIN < BACKLOG_S


def test_ten_times_as_much_for_a_minute_costs_nothing(product: Product) -> None:
    up = product.up(*LOAD)
    until(lambda: product.folded() > RATE, START_S, lambda: product.log("stream")[-2000:])
    sent = burst(product)
    caught_up = time.monotonic()
    product.wait_folded(300)
    print({"burst": sent, "caught_up_s": round(time.monotonic() - caught_up, 1), "pss_mb": pss_mb(product)})
    stored = "SELECT sum(trades)::bigint FROM market.bars WHERE interval = '1m' AND source = 'burst'"
    assert product.sql(stored) == [(sent,)]
    settle(product)
    product.audit()
    end(product, up)


def burst(product: Product) -> int:
    """Publish many trades, each second's at once; returns how many."""
    producer, began = Producer(product.where().kafka), time.monotonic()
    for second in range(BURST_S):
        time.sleep(max(0.0, began + second - time.monotonic()))
        now = system_clock()
        for number in range(BURST):
            symbol, name = f"B{number % SYMBOLS:02}", f"{second}-{number}"
            row = f'{{"source":"burst","symbol":"{symbol}","ts":{now + number},"price":"{100 + number % 7}","size":"1",'
            producer.send("raw.trades", symbol, f'{row}"id":"{name}","received":{now + number}}}'.encode())
    producer.flush(120)
    producer.close()
    return BURST * BURST_S


def test_more_than_the_machine_can_take_is_taken_more_slowly(product: Product) -> None:
    up = product.up("--source", "simulator", "--symbols", "1000", "--rate", str(TOO_MUCH))
    until(lambda: product.folded() > TOO_MUCH, START_S, lambda: product.log("stream")[-2000:])
    began, before, most = time.monotonic(), product.published(), 0
    while (span := time.monotonic() - began) < TOO_LONG_S:
        most = max(most, pss_mb(product))
        time.sleep(1)
    rate = (product.published() - before) / span
    settle(product)
    print({"published_per_s": round(rate), "most_mb": most})
    check_nothing_lost_or_doubled(product)
    end(product, up)
    assert RATE < rate < TOO_MUCH
    assert most < MOST_MB
