"""A twin, a broker and ingest as processes, and what must hold between the twin's ledger and what was published.

The broker is Kafka itself, in a home of its own, so that it can be stopped and go on; ingest is a process that can be
killed. What was published is read while it comes: at the end there is not time for a million records.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any

import psutil

from embedded import resolver_of, temporary_home
from sparktrends.bus.admin import Admin
from sparktrends.bus.codec import decode
from sparktrends.bus.connection import wait_ready
from sparktrends.bus.kafka import Connection, Reader
from sparktrends.errors import NotFound, Retryable
from sparktrends.ingest.warm import WANTED
from sparktrends.model import MINUTE, SECOND
from sparktrends.ops.home import default_cache
from sparktrends.ops.jars import BROKER
from sparktrends.ops.kafka_server import KafkaServer
from sparktrends.ops.ports import any_free
from sparktrends.ops.supervise import Keeper
from sparktrends.sandbox.ledger import Delivered, Ledger, read
from sparktrends.sources import make_source
from sparktrends.telemetry import system_clock

_INGEST = """
import json, random, signal, sys, threading
from pathlib import Path
from sparktrends import telemetry
from sparktrends.bus.kafka import Connection
from sparktrends.ingest import fill
from sparktrends.ingest.run import Config, Feeder, Ingest
from sparktrends.net import Redactor, Secret
from sparktrends.ops.feeding import source_of
from sparktrends.ops.settings import load
from sparktrends.sessions import keep_in
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
# Order is asked for here: on a busy machine a gap may be filled late, and live trades would not wait for it.
fill.HOLD = 60_000_000
kafka, port, run, feeds = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])
keep_in(run / "calendars", telemetry.system_clock)
key = Secret(sys.stdin.readline().strip())
telemetry.configure_logging(Redactor([key]))
feeders = []
for name, symbols in feeds.items():
    source = source_of(name, load({}, Path("/nowhere"), Path("/nowhere")), port)
    feeders.append(Feeder(source, tuple(symbols), key if source.auth else None))
config = Config(Connection(kafka), run, feeders, ("127.0.0.1",))
ingest = Ingest(config, telemetry.system_clock, random.Random(5), lambda text: print(text, flush=True))
ingest.run(stop)
for live in ingest.lives:
    print("END", live.source.name, json.dumps([live.gaps.found, live.gaps.trades, live.gaps.lost]), flush=True)
"""
CANARY = "tiger-canary-31337"
PREMIUM = CANARY + "-premium"
"""A key whose plan has everything: the bars of Finnhub too."""
CRYPTO = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
STOCKS = ("AAPL", "MSFT", "TSLA")
NEVER = 2**62
UNITS = {"finnhub": 1000, "twelve_data": SECOND}
"""In what (µs) the time is told with which the id of a trade begins."""
Seen = dict[tuple[str, str], list[dict[str, Any]]]


class Log:
    """Everything that was published, in the order of each partition."""

    TOPICS = ("raw.trades", "raw.bars", "ops.quarantine")

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._values: dict[tuple[str, int], list[bytes]] = defaultdict(list)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Read no more."""
        self._over.set()
        self._thread.join()

    def values(self, topic: str) -> list[bytes]:
        """What lies in the topic now, partition by partition."""
        with Reader(Connection(self._kafka)) as reader:
            self._take(reader, topic)
        return [value for (of, _), values in sorted(self._values.items()) if of == topic for value in values]

    def parts(self, topic: str) -> dict[int, list[bytes]]:
        """The same by partition: lists that only grow."""
        self.values(topic)
        return {partition: values for (of, partition), values in self._values.items() if of == topic}

    def _follow(self) -> None:
        with Reader(Connection(self._kafka), patience_s=5) as reader:
            while not self._over.wait(0.5):
                with suppress(Retryable, NotFound):  # the broker is away, or has not heard of all partitions yet
                    for topic in self.TOPICS:
                        self._take(reader, topic)

    def _take(self, reader: Reader, topic: str) -> None:
        with self._lock:
            for partition in reader.partitions(topic):
                known = self._values[topic, partition]
                end = reader.watermarks(topic, partition)[1]
                known += [record.value or b"" for record in reader.range(topic, partition, len(known), end)]


@dataclass
class World:
    """A twin, a broker and the processes of ingest that a test starts."""

    folder: Path
    kafka: str
    broker: psutil.Process
    written: Log
    port: int
    children: list[subprocess.Popen[str]] = field(default_factory=list)
    key: str = CANARY
    ended: int = NEVER
    _final: dict[str, Any] = field(default_factory=dict)
    _rows: dict[str, Seen] = field(default_factory=dict)
    _decoded: Counter[tuple[str, int]] = field(default_factory=Counter)

    def ingest(self, **feeds: Sequence[str]) -> subprocess.Popen[str]:
        """Start ingest; returns when its sources have begun."""
        argv = [sys.executable, "-c", _INGEST, self.kafka, str(self.port), str(self.folder / "run"), json.dumps(feeds)]
        with (self.folder / "ingest.err").open("a") as err:
            child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, text=True)
        self.children.append(child)
        assert child.stdin
        child.stdin.write(self.key + "\n")
        child.stdin.flush()
        assert child.stdout
        for _ in range(1 + len(feeds)):
            assert child.stdout.readline(), self.log()
        return child

    def play(self, seconds: float) -> None:
        """Let it run for so long from the moment on at which trades are taken in."""
        until(lambda: len(self.written.values("raw.trades")) > 500, 120)
        time.sleep(seconds)  # the length of the run is what is tried

    def log(self) -> str:
        """What the processes of ingest said."""
        return (self.folder / "ingest.err").read_text()

    def end(self, child: subprocess.Popen[str]) -> list[str]:
        """Ask it to end; its last words. It has ten seconds."""
        # What a socket was handed in the last moments may still have been on its way.
        ended = system_clock() - 2 * SECOND
        child.send_signal(signal.SIGTERM)
        out, _ = child.communicate(timeout=60)
        self.ended = ended
        assert child.returncode == 0, self.log()[-3000:]
        return out.splitlines()

    def ledger(self) -> Ledger:
        """What the twin did so far; when ingest has ended, what it had done until then."""
        return self._kept("ledger", lambda: read(self.folder / "ledger"))

    def published(self, topic: str = "raw.trades") -> Seen:
        """The records of a topic by series, in the order of the log."""
        return self._kept(topic, lambda: self._read(topic))

    def _kept(self, what: str, reading: Callable[[], Any]) -> Any:
        if self.ended == NEVER:
            return reading()
        if what not in self._final:
            self._final[what] = reading()
        return self._final[what]

    def _read(self, topic: str) -> Seen:
        # Each record once: after ten minutes a million lie there, and they are looked at again and again.
        found = self._rows.setdefault(topic, defaultdict(list))
        for partition, values in self.written.parts(topic).items():
            known, end = self._decoded[topic, partition], len(values)  # it grows meanwhile
            self._decoded[topic, partition] = end
            for row in map(decode, values[known:end]):
                found[row["source"], row["symbol"]].append(row)
        return found


@contextmanager
def world(
    folder: Path, faults: str, *, seed: int = 7, rate: int = 2000, symbols: str = "BTC,ETH,SOL", key: str = CANARY
) -> Iterator[World]:
    """A twin whose faults are ``random``, ``none`` or the text of a TOML file."""
    if faults not in ("random", "none"):
        (folder / "faults.toml").write_text(faults)
        faults = str(folder / "faults.toml")
    options = ("--port-file", folder / "port", "--ledger", folder / "ledger", "--faults", faults, "--seed", seed)
    argv = [sys.executable, "-m", "sparktrends.ops.cli", "sandbox", "--rate", str(rate), "--symbols", symbols]
    children: list[subprocess.Popen[str]] = []
    try:
        with real_broker() as (address, broker):
            # After the broker: the times of failures count from the twin's first moment.
            children.append(subprocess.Popen([*argv, *map(str, options)], stderr=subprocess.DEVNULL, text=True))
            until(lambda: (folder / "port").exists(), 90)
            made = World(folder, address, broker, Log(address), int((folder / "port").read_text()), children, key)
            try:
                yield made
            finally:
                broker.resume()
                made.written.close()
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
            child.communicate()


@contextmanager
def real_broker() -> Iterator[tuple[str, psutil.Process]]:
    """The address of a broker with its topics, in a home of its own, and its process."""
    jars = resolver_of(default_cache(os.environ))
    with temporary_home() as home:
        port = any_free()
        server = KafkaServer(jars.java, jars.ensure([BROKER])[BROKER], home.kafka, home.logs, port, os.environ)
        keeper = Keeper(server)
        keeper.start()
        try:
            connection = Connection(server.address)
            wait_ready(connection, 60)
            Admin(connection).ensure()
            assert keeper.process
            yield server.address, psutil.Process(keeper.process.pid)
        finally:
            keeper.stop()


def until(done: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def trades_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row.get("kind", "trade") == "trade"]


def missing_of(seen: Seen, ledger: Ledger, symbol: str) -> set[int]:
    """Ids that only the ledger or only the log has, from the first published to the last.

    The twin writes its ledger a moment after a trade was sent, so the log may be ahead.
    """
    ids = {int(row["id"]) for row in trades_of(seen["binance~sim", symbol])}
    made = ledger.made[symbol.partition("/")[0]]
    first, last = min(ids), max(ids)
    return {i for i in made if first <= i <= last} ^ ids


def assert_whole(w: World, seconds: float = 120) -> None:
    """Binance: every emitted trade is published once, with its values, at the latest after so long."""
    deadline = time.monotonic() + seconds
    owed: dict[str, set[int]] = {}
    while True:
        seen, ledger = w.published(), w.ledger()
        missing = {symbol: missing_of(seen, ledger, symbol) for symbol in CRYPTO}
        # What failures of after the first look cost is not looked at: there may be one at any time.
        owed = {symbol: ids & owed.get(symbol, ids) for symbol, ids in missing.items()}
        if not any(owed.values()):
            break
        assert time.monotonic() < deadline, {symbol: len(ids) for symbol, ids in owed.items()}
    for symbol in CRYPTO:
        rows, made = trades_of(seen["binance~sim", symbol]), ledger.made[symbol.partition("/")[0]]
        assert len(rows) > 100
        assert set(Counter(row["id"] for row in rows).values()) == {1}
        told = {(int(row["id"]), row["ts"], Decimal(row["price"]), Decimal(row["size"])) for row in rows}
        # The newest may be in the log and not in the ledger yet (`missing_of`).
        assert {trade for trade in told if trade[0] in made} <= {(i, *trade) for i, trade in made.items()}


def assert_in_order(w: World) -> int:
    """What sockets brought is in order. What was missing is fetched, and in its place too, unless the provider took
    longer to give it than live trades wait (decision 0007). Returns how many came after that."""
    seen, late = w.published(), 0
    for symbol in CRYPTO:
        # What stands before the very first trade is not known: a shuffled start is told from there on.
        rows = trades_of(seen["binance~sim", symbol])[100:]
        live = [row for row in rows if not row.get("fill", False)]
        back = [n for n in range(1, len(live)) if int(live[n]["id"]) < int(live[n - 1]["id"])]
        assert not back, (len(back), [_around(live, n) for n in back[:3]], w.log()[-4000:])
        late += _behind(rows)
    return late


def _behind(rows: list[dict[str, Any]]) -> int:
    """How many records stand behind one with a higher id."""
    highest = list(accumulate((int(row["id"]) for row in rows), max))
    return sum(int(row["id"]) < most for row, most in zip(rows[1:], highest, strict=False))


def _around(rows: list[dict[str, Any]], at: int) -> list[tuple[Any, ...]]:
    """What stands before and behind a place: id, when it happened, when it came."""
    return [(row["id"], row["ts"], row["received"]) for row in rows[max(0, at - 3) : at + 3]]


def assert_gaps_told(w: World) -> None:
    """What a fault kept from the socket was fetched and says so."""
    ledger, seen = w.ledger(), w.published()
    # Of what was sent twice, one copy may have come through.
    twice = {(wire, id_) for f in ledger.faults if f["fault"] == "duplicate" for wire, id_ in f["items"]}
    withheld = ledger.withheld("binance") - twice
    rows = [row for symbol in CRYPTO for row in trades_of(seen["binance~sim", symbol])]
    fills = {(row["symbol"].replace("/", ""), row["id"]): row.get("fill", False) for row in rows}
    injected = withheld & fills.keys()
    assert injected
    assert [key for key in injected if not fills[key]] == []


def fault(kind: str, **fields: Any) -> str:
    """One table of a schedule."""
    rows = "".join(f"{name} = {value!r}\n" for name, value in fields.items())
    return f'[[fault]]\nkind = "{kind}"\n{rows}'


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
        delivered = [d for d in ledger.delivered if (d.provider, d.wire) == (provider, source.spell(symbol))]
        short += len({d.id for d in delivered if d.at < w.ended} - plain)
        assert len(plain) > 5
    assert short <= first_ones


def assert_no_canary(w: World, folder: Path) -> None:
    for file in [p for p in folder.rglob("*") if p.is_file()]:
        assert CANARY.encode() not in file.read_bytes(), file
    for rows in w.published().values():
        assert not any(CANARY in str(row) for row in rows)


def assert_past(w: World, provider: str, symbols: Sequence[str]) -> None:
    """Each symbol began with its history: 300 minutes and 250 days that follow each other, all told as fills."""
    bars = w.published("raw.bars")
    for symbol in symbols:
        first = next(row["received"] for row in w.published()[f"{provider}~sim", symbol] if "price" in row)
        for interval, wanted in WANTED.items():
            past = [row for row in bars[f"{provider}~sim", symbol] if row["interval"] == interval and row.get("fill")]
            assert len({row["start"] for row in past if row["received"] < first}) >= wanted
            assert all(row["closed"] for row in past)


def assert_within_quota(w: World) -> None:
    """No window of any provider holds more calls than its plan allows: windows of the clock, as providers count.

    Their answers say what is spent in the window, and overrule a count of ours that would be more careful.
    """
    calls = w.ledger().calls
    assert calls
    for provider in {call["provider"] for call in calls}:
        for window in make_source(provider).allowances:
            spent: Counter[int] = Counter()
            for call in calls:
                if call["provider"] == provider:
                    spent[call["at"] // (window.window * SECOND)] += call["weight"]
            # Two calls a second apart may arrive closer together.
            assert max(spent.values()) <= window.units + (window.window == 1), (provider, window)


def minute_of(lost: Delivered) -> int:
    """The minute (µs) whose bar a trade belongs to: a trade without an id is known by its content, its time first."""
    at = int(lost.id.partition(":")[0]) * UNITS[lost.provider]
    return at - at % MINUTE


def lost_of(w: World, provider: str) -> list[tuple[str, Delivered]]:
    """Every trade that was delivered and is not published, with its symbol."""
    source, ledger, seen = make_source(provider), w.ledger(), w.published()
    found = []
    for symbol in STOCKS:
        plain = {row["id"].partition("#")[0] for row in trades_of(seen[f"{provider}~sim", symbol])}
        mine = [d for d in ledger.delivered if d.provider == provider and d.wire == source.spell(symbol)]
        # What a socket still held at the end was sent after everything that was read, however late that was.
        read_until = max((d.at for d in mine if d.id in plain), default=0)
        found += [(symbol, d) for d in mine if d.id not in plain and d.at < min(w.ended, read_until)]
    return found


def assert_labelled(w: World, provider: str) -> int:
    """Each minute that lost a trade says so, by a heartbeat or by nothing at all; how many trades were lost."""
    seen, lost = w.published(), lost_of(w, provider)
    for symbol in STOCKS:
        rows = seen[f"{provider}~sim", symbol]
        broken = {row["ts"] // MINUTE for row in rows if row.get("status") in ("start", "stale", "throttled")}
        silent = {d.at // MINUTE for _, d in lost} - {row["ts"] // MINUTE for row in rows}
        bare = [
            d for of, d in lost if of == symbol and not {minute_of(d) // MINUTE, d.at // MINUTE} & (broken | silent)
        ]
        assert not bare, (symbol, len(bare), bare[:3], sorted(broken))
    return len(lost)


def assert_filled(w: World, provider: str, seconds: float = 150) -> int:
    """Each minute that lost a trade gets the provider's bar, which shows in its place; how many minutes these are.

    It is asked for when the minute is over, as the quota allows.
    """
    deadline = time.monotonic() + seconds
    while True:
        minutes = {(symbol, minute_of(d)) for symbol, d in lost_of(w, provider)}
        bars = w.published("raw.bars")
        closed = {
            (symbol, row["start"])
            for symbol in STOCKS
            for row in bars[f"{provider}~sim", symbol]
            if row["closed"] and row["interval"] == "1m"
        }
        if minutes <= closed:
            return len(minutes)
        assert time.monotonic() < deadline, (provider, sorted(minutes - closed), w.log()[-3000:])
        time.sleep(2)  # a ledger of many megabytes is read each time
