"""The live sources, unchanged, against the offline twin and its ledger: every trade once, in order, whatever fails."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from fault_seed import SEED
from ingest.rig import (
    CRYPTO,
    STOCKS,
    assert_delivered,
    assert_in_order,
    assert_no_canary,
    assert_past,
    assert_whole,
    assert_within_quota,
    fault,
    trades_of,
    until,
    world,
)

pytestmark = pytest.mark.e2e

ROUGH = "".join(
    (
        fault("disconnect", at=3, every=5, code=1006),
        fault("gap", at=1, every=4, lasts=1, share=0.1),
        fault("out_of_order", at=2, every=6, lasts=1),
        fault("duplicate", at=5, every=6, lasts=1),
        fault("half_frame", at=4, every=6, lasts=0.5, share=0.1),
        fault("wrong_types", at=6, every=7, lasts=0.5, share=0.2),
        fault("status", provider="binance", at=7, every=9, lasts=1.5, status=503),
        fault("half_answer", provider="binance", at=12, lasts=1),
        fault("shutdown", at=10),
        fault("huge", at=9, lasts=0.5, size=1_000_000),
    )
)


def test_twenty_rough_seconds_of_every_source(tmp_path: Path) -> None:
    with world(tmp_path, ROUGH, symbols="BTC,ETH,SOL,AAPL,MSFT,TSLA", rate=1500) as w:
        child = w.ingest(binance=CRYPTO, finnhub=STOCKS, twelve_data=STOCKS, yahoo=STOCKS, alpha_vantage=("AAPL",))
        w.play(20)
        assert_whole(w)
        words = w.end(child)
        assert assert_in_order(w) == 0
        assert_delivered(w, "finnhub")
        assert_delivered(w, "twelve_data", first_ones=20)
        seen = w.published()
        prices = [row for s in STOCKS for row in seen["yahoo~sim", s] if row.get("kind") == "price"]
        assert len(prices) > 30
        assert {row["size"] for row in prices} == {"0"}
        assert not [line for line in words if line.startswith("END") and not line.endswith(" 0]")]
        assert_past(w, "binance", CRYPTO)
        assert_past(w, "yahoo", STOCKS)
        assert_within_quota(w)
        assert_no_canary(w, tmp_path)


def test_a_gap_is_found_and_counted_exactly(tmp_path: Path) -> None:
    with world(tmp_path, fault("gap", at=1, every=3, lasts=1.0, share=0.05), rate=600) as w:
        child = w.ingest(binance=CRYPTO)
        w.play(8)
        assert_whole(w)
        found = next(line for line in w.end(child) if line.startswith("END"))
        withheld, log = w.ledger().withheld("binance"), w.published()
        rows = [row for symbol in CRYPTO for row in trades_of(log["binance~sim", symbol])]
        seen = {(row["symbol"].replace("/", ""), row["id"]): row for row in rows}
        wanted = {key for key in withheld if key in seen}
        runs = sum((wire, str(int(i) - 1)) not in wanted for wire, i in wanted)
        assert found == f"END binance~sim [{runs}, {len(wanted)}, 0]"
        assert {key for key, row in seen.items() if row.get("fill")} == wanted


@pytest.mark.slow
def test_while_the_broker_is_away_records_wait_on_disk_and_then_go_in_order(tmp_path: Path) -> None:
    with world(tmp_path, "none", rate=1500) as w:
        child = w.ingest(binance=CRYPTO)
        w.play(2)
        w.broker.send_signal(signal.SIGSTOP)
        try:
            # More than may be in memory, so that the disk is needed.
            until(lambda: (tmp_path / "run" / "ingest.spool").stat().st_size > 200_000, 30)
        finally:
            w.broker.send_signal(signal.SIGCONT)
        until(lambda: (tmp_path / "run" / "ingest.spool").stat().st_size == 0, 30)
        assert_whole(w)
        w.end(child)
        assert assert_in_order(w) == 0


@pytest.mark.slow
def test_ended_while_the_broker_is_away_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    with world(tmp_path, "none", rate=600, symbols="AAPL,MSFT,TSLA") as w:
        child = w.ingest(finnhub=STOCKS)
        w.play(2)
        w.broker.send_signal(signal.SIGSTOP)
        time.sleep(2)
        child.send_signal(signal.SIGTERM)
        child.wait(60)
        w.broker.send_signal(signal.SIGCONT)
        assert (tmp_path / "run" / "ingest.spool").stat().st_size > 0
        again = w.ingest(finnhub=STOCKS)
        time.sleep(2)
        w.end(again)
        assert_delivered(w, "finnhub")


@pytest.mark.slow
def test_killed_again_and_again_each_trade_is_there_once(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    with world(tmp_path, "none", rate=1000) as w:
        for _ in range(3):
            child = w.ingest(binance=CRYPTO)
            time.sleep(rng.uniform(1.5, 3.5))  # the moment of the accident
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        began = time.monotonic()
        child = w.ingest(binance=CRYPTO)
        assert time.monotonic() - began < 10
        time.sleep(2)
        assert_whole(w)
        w.end(child)
