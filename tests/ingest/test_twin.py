"""The live sources, unchanged, against the offline twin and its ledger: every trade once, in order, whatever fails.

The broker is librdkafka's own in a process of its own, so that it can be stopped and go on; ingest is a process that
can be killed. What is published is compared with what the twin wrote down.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sparktrends.bus.codec import decode
from sparktrends.bus.kafka import Connection, Reader
from sparktrends.sandbox.ledger import Ledger, read
from sparktrends.sources import make_source

pytestmark = pytest.mark.e2e

_BROKER = """
import confluent_kafka as ck, sys
owner = ck.Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
found = next(iter(owner.list_topics(timeout=10).brokers.values()))
for topic in ("raw.trades", "raw.bars", "ops.quarantine"):
    owner.list_topics(topic, timeout=10)
print(f"{found.host}:{found.port}", flush=True)
sys.stdin.read()
"""
_INGEST = """
import json, random, signal, sys, threading
from pathlib import Path
from sparktrends import telemetry
from sparktrends.bus.kafka import Connection
from sparktrends.ingest.run import Config, Feeder, Ingest
from sparktrends.net import Redactor, Secret
from sparktrends.ops.feeding import source_of
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
kafka, port, run, feeds = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])
key = Secret(sys.stdin.readline().strip())
telemetry.configure_logging(Redactor([key]))
feeders = []
for name, symbols in feeds.items():
    source = source_of(name, port)
    feeders.append(Feeder(source, tuple(symbols), key if source.auth else None))
config = Config(Connection(kafka), run, feeders, ("127.0.0.1",))
ingest = Ingest(config, telemetry.system_clock, random.Random(5), lambda text: print(text, flush=True))
ingest.run(stop)
for live in ingest.lives:
    print("END", live.source.name, json.dumps([live.gaps.found, live.gaps.trades, live.gaps.lost]), flush=True)
"""
CANARY = "tiger-canary-31337"
CRYPTO = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
STOCKS = ("AAPL", "MSFT", "TSLA")
Seen = dict[tuple[str, str], list[dict[str, Any]]]


@dataclass
class World:
    """A twin, a broker and the processes of ingest that a test starts."""

    folder: Path
    kafka: str
    broker: subprocess.Popen[str]
    port: int
    children: list[subprocess.Popen[str]] = field(default_factory=list)

    def ingest(self, **feeds: Sequence[str]) -> subprocess.Popen[str]:
        """Start ingest; returns when its sources have begun."""
        import json

        argv = [sys.executable, "-c", _INGEST, self.kafka, str(self.port), str(self.folder / "run"), json.dumps(feeds)]
        with (self.folder / "ingest.err").open("a") as err:
            child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, text=True)
        self.children.append(child)
        assert child.stdin
        child.stdin.write(CANARY + "\n")
        child.stdin.flush()
        assert child.stdout
        for _ in range(1 + len(feeds)):
            assert child.stdout.readline(), self.log()
        return child

    def log(self) -> str:
        """What the processes of ingest said."""
        return (self.folder / "ingest.err").read_text()

    def end(self, child: subprocess.Popen[str]) -> list[str]:
        """Ask it to end; its last words. It has ten seconds."""
        child.send_signal(signal.SIGTERM)
        out, _ = child.communicate(timeout=10)
        assert child.returncode == 0, self.log()[-3000:]
        return out.splitlines()

    def ledger(self) -> Ledger:
        """What the twin did so far."""
        return read(self.folder / "ledger")

    def published(self) -> Seen:
        """The records of `raw.trades` by series, in the order of the log."""
        found: Seen = defaultdict(list)
        with Reader(Connection(self.kafka)) as reader:
            for partition in reader.partitions("raw.trades"):
                for record in reader.tail("raw.trades", partition, 10**8):
                    row = decode(record.value)
                    found[row["source"], row["symbol"]].append(row)
        return found


@contextmanager
def world(
    folder: Path, faults: str, *, seed: int = 7, rate: int = 2000, symbols: str = "BTC,ETH,SOL"
) -> Iterator[World]:
    """A twin whose faults are ``random``, ``none`` or the text of a TOML file."""
    if faults not in ("random", "none"):
        (folder / "faults.toml").write_text(faults)
        faults = str(folder / "faults.toml")
    options = ("--port-file", folder / "port", "--ledger", folder / "ledger", "--faults", faults, "--seed", seed)
    argv = [sys.executable, "-m", "sparktrends.ops.cli", "sandbox", "--rate", str(rate), "--symbols", symbols]
    twin = subprocess.Popen([*argv, *map(str, options)], stderr=subprocess.DEVNULL)
    broker = subprocess.Popen(
        [sys.executable, "-c", _BROKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert broker.stdout
    kafka = broker.stdout.readline().strip()
    made = World(folder, kafka, broker, 0)
    try:
        until(lambda: (folder / "port").exists(), 30)
        made.port = int((folder / "port").read_text())
        yield made
    finally:
        for child in (*made.children, twin, broker):
            if child.poll() is None:
                child.kill()
            child.communicate()


def until(done: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def trades_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row.get("kind", "trade") == "trade"]


def missing_of(seen: Seen, ledger: Ledger, symbol: str) -> set[int]:
    """Ids of the twin's trades that should be in the log and are not: from the first published to the last."""
    ids = {int(row["id"]) for row in trades_of(seen["binance~sim", symbol])}
    made = ledger.made[symbol.partition("/")[0]]
    return {i for i in range(min(ids), max(ids)) if i in made} - ids


def assert_whole(w: World) -> None:
    """Binance: every emitted trade is published once, with its values."""
    deadline = time.monotonic() + 40
    while True:
        seen, ledger = w.published(), w.ledger()
        missing = {symbol: missing_of(seen, ledger, symbol) for symbol in CRYPTO}
        if not any(missing.values()):
            break
        assert time.monotonic() < deadline, missing
    for symbol in CRYPTO:
        rows, made = trades_of(seen["binance~sim", symbol]), ledger.made[symbol.partition("/")[0]]
        assert len(rows) > 100
        assert set(Counter(row["id"] for row in rows).values()) == {1}
        told = {(int(row["id"]), row["ts"], Decimal(row["price"]), Decimal(row["size"])) for row in rows}
        assert told <= {(i, *trade) for i, trade in made.items()}


def assert_in_order(w: World) -> None:
    seen = w.published()
    for symbol in CRYPTO:
        ids = [int(row["id"]) for row in trades_of(seen["binance~sim", symbol])]
        # What stands before the very first trade is not known: a shuffled start is told from there on.
        assert ids[100:] == sorted(ids[100:])


def fault(kind: str, **fields: Any) -> str:
    """One table of a schedule."""
    rows = "".join(f"{name} = {value!r}\n" for name, value in fields.items())
    return f'[[fault]]\nkind = "{kind}"\n{rows}'


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
        time.sleep(20)  # the length of the run is what is tried
        assert_whole(w)
        words = w.end(child)
        assert_in_order(w)
        assert_delivered(w, "finnhub")
        assert_delivered(w, "twelve_data", first_ones=20)
        seen = w.published()
        prices = [row for s in STOCKS for row in seen["yahoo~sim", s] if row.get("kind") == "price"]
        assert len(prices) > 30
        assert {row["size"] for row in prices} == {"0"}
        assert not [line for line in words if line.startswith("END") and not line.endswith(" 0]")]
        assert_no_canary(w, tmp_path)


def assert_delivered(w: World, provider: str, first_ones: int = 0) -> None:
    """Every trade that was handed to a socket is published once.

    ``first_ones``: how many the first records of a connection may be, which have a volume but no difference yet.
    """
    source, ledger, seen = make_source(provider), w.ledger(), w.published()
    short = 0
    for symbol in STOCKS:
        rows = trades_of(seen[f"{provider}~sim", symbol])
        assert len({row["id"] for row in rows}) == len(rows)
        plain = {row["id"].partition("#")[0] for row in rows}
        delivered = {i for wire, i in ledger.delivered_ids(provider) if wire == source.spell(symbol)}
        short += len(delivered - plain)
        assert len(plain) > 5
    assert short <= first_ones


def assert_no_canary(w: World, folder: Path) -> None:
    for file in [p for p in folder.rglob("*") if p.is_file()]:
        assert CANARY.encode() not in file.read_bytes(), file
    for rows in w.published().values():
        assert not any(CANARY in str(row) for row in rows)


def test_a_gap_is_found_and_counted_exactly(tmp_path: Path) -> None:
    with world(tmp_path, fault("gap", at=1, every=3, lasts=1.0, share=0.05), rate=600) as w:
        child = w.ingest(binance=CRYPTO)
        time.sleep(9)
        assert_whole(w)
        found = next(line for line in w.end(child) if line.startswith("END"))
        withheld, log = w.ledger().withheld("binance"), w.published()
        rows = [row for symbol in CRYPTO for row in trades_of(log["binance~sim", symbol])]
        seen = {(row["symbol"].replace("/", ""), row["id"]): row for row in rows}
        wanted = {key for key in withheld if key in seen}
        runs = sum((wire, str(int(i) - 1)) not in wanted for wire, i in wanted)
        assert found == f"END binance~sim [{runs}, {len(wanted)}, 0]"
        assert {key for key, row in seen.items() if row.get("fill")} == wanted


def test_while_the_broker_is_away_records_wait_on_disk_and_then_go_in_order(tmp_path: Path) -> None:
    with world(tmp_path, "none", rate=1500) as w:
        child = w.ingest(binance=CRYPTO)
        time.sleep(2)
        w.broker.send_signal(signal.SIGSTOP)
        try:
            # More than may be in memory, so that the disk is needed.
            until(lambda: (tmp_path / "run" / "ingest.spool").stat().st_size > 200_000, 30)
        finally:
            w.broker.send_signal(signal.SIGCONT)
        until(lambda: (tmp_path / "run" / "ingest.spool").stat().st_size == 0, 30)
        assert_whole(w)
        w.end(child)
        assert_in_order(w)


def test_ended_while_the_broker_is_away_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    with world(tmp_path, "none", rate=600, symbols="AAPL,MSFT,TSLA") as w:
        child = w.ingest(finnhub=STOCKS)
        time.sleep(2)
        w.broker.send_signal(signal.SIGSTOP)
        time.sleep(2)
        child.send_signal(signal.SIGTERM)
        child.wait(15)
        w.broker.send_signal(signal.SIGCONT)
        assert (tmp_path / "run" / "ingest.spool").stat().st_size > 0
        again = w.ingest(finnhub=STOCKS)
        time.sleep(2)
        w.end(again)
        assert_delivered(w, "finnhub")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_minutes_of_random_failures(tmp_path: Path, seed: int) -> None:
    with world(tmp_path, "random", seed=seed, symbols="BTC,ETH,SOL,AAPL,MSFT,TSLA") as w:
        child = w.ingest(binance=CRYPTO, finnhub=STOCKS, twelve_data=STOCKS, yahoo=STOCKS)
        time.sleep(120)
        assert_whole(w)
        w.end(child)
        assert_delivered(w, "finnhub")


def test_killed_again_and_again_each_trade_is_there_once(tmp_path: Path) -> None:
    rng = random.Random(11)
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
