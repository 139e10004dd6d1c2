"""The whole product on providers that fail at random, its parts killed: what is stored is what was done, and the audit
is clean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.product import Product, services, until
from e2e.test_sandbox import BARS, STORED, folded, published
from sparktrends.model import SECOND
from sparktrends.ops import jars
from sparktrends.sandbox.ledger import Ledger, read

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

PLAY_S = 15.0
COINS = ("BTC/USDT", "ETH/USDT")
LAST = 15 * SECOND
"""What was missed so shortly before the end may still have been owed."""


@pytest.fixture(scope="module")
def rough(resolver: jars.Resolver) -> Iterator[tuple[Product, Ledger]]:
    """A minute or so with a kill of ingest and one of the stream; broker and database run again for those who look."""
    with Product.fresh() as product:
        ledger = product.folder / "ledger.jsonl"
        with (product.folder / "sparktrends.toml").open("a") as settings:
            settings.write(f'[sandbox]\nrate = 1000\nfaults = "random"\nseed = 90\nledger = "{ledger}"\n')
            settings.write('symbols = "BTC,ETH,AAPL,MSFT"\n')
        words = ("--source", "binance", "--source", "finnhub", "--symbols", ",".join((*COINS, "AAPL", "MSFT")))
        command = product.up("--sandbox", *words)
        until(lambda: product.ask(STORED, "ETH/USDT"), 120, lambda: product.log("ingest"))
        for part in ("ingest", "stream"):
            time.sleep(PLAY_S)  # the length of the play
            product.kill(part)
        time.sleep(PLAY_S)
        product.wait_folded()
        assert command.stop() == 0, command.err
        with services(product, resolver):
            yield product, read(Path(ledger))


def test_it_was_rough(rough: tuple[Product, Ledger]) -> None:
    _, ledger = rough
    kinds = {str(fault["fault"]) for fault in ledger.faults}
    assert len(kinds) >= 4, kinds
    assert ledger.withheld("binance")


@pytest.mark.parametrize("symbol", COINS)
def test_every_trade_is_in_the_log_once_and_in_its_bar(rough: tuple[Product, Ledger], symbol: str) -> None:
    product, ledger = rough
    ids, made = published(product)[symbol], ledger.made[symbol.partition("/")[0]]
    there = set(ids)
    assert len(ids) == len(there) > 1_000
    missing = set(range(min(there), max(there))) - there
    assert [i for i in missing if made[i].ts < made[max(there)].ts - LAST] == []
    assert product.sql(BARS, symbol) == folded({i: made[i] for i in there})


def test_the_audit_is_clean(rough: tuple[Product, Ledger]) -> None:
    product, _ = rough
    found = product.audit()
    assert found["counts"]["trades"] > 1_000
    assert (found["repeated_ids"], found["findings"]) == (0, [])
