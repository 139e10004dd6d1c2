"""Anyone may write to `raw.trades`: the stream goes on, and every record is found again where it belongs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest

from e2e.product import TRADES, Command, Product, log_of, services, until
from embedded import delete_topic
from fault_seed import SEED
from sparktrends.bus.admin import Admin
from sparktrends.bus.kafka import Producer
from sparktrends.bus.topics import TABLE
from sparktrends.ops import jars
from sparktrends.ops.stack import Stack

pytestmark = pytest.mark.e2e

MINUTE = 60_000_000
START = 1_700_000_040_000_000  # a whole minute


def good(number: int) -> bytes:
    """A trade that must end in a bar: ten a second of recorded time."""
    ts = START + number * 100_000
    row = {"source": "t", "symbol": "A", "ts": ts, "price": "1.5", "size": "2", "id": str(number), "received": ts}
    return json.dumps(row).encode()


AHEAD = (61_000_000, 50 * MINUTE, 2 * 60 * MINUTE)
"""How far (µs) a clock may be ahead that is refused: more than a minute."""


def told(symbol: str, ts: int, received: int) -> bytes:
    """A trade by somebody's clock."""
    row = {"source": "t", "symbol": symbol, "ts": ts, "price": "1.5", "size": "2", "received": received}
    return json.dumps(row).encode()


def changed(**fields: object) -> bytes:
    """A trade with one thing wrong."""
    row = {"source": "t", "symbol": "A", "ts": START, "price": "1.5", "size": "2", "received": START, **fields}
    return json.dumps(row).encode()


NAMED: dict[str, bytes | None] = {
    "tombstone": None,
    "nothing": b"",
    "raw bytes": bytes(range(256)),
    "half JSON": good(1)[:40],
    "half a character": '{"source": "é'.encode()[:-1],
    "byte order mark": b"\xef\xbb\xbf" + good(1),
    "UTF-16": good(1).decode().encode("utf-16"),
    "a list": b"[" + good(1) + b"]",
    "a number": b"1",
    "null": b"null",
    "two objects": good(1) + good(1),
    "trailing comma": good(1)[:-1] + b",}",
    "single quotes": good(1).replace(b'"', b"'"),
    "price NaN": changed(price=float("nan")),
    "price infinite": changed(price=float("inf")),
    "price NaN as text": changed(price="NaN"),
    "price 1e400": good(1).replace(b'"1.5"', b"1e400"),
    "price negative": changed(price="-1"),
    "price zero": changed(price="0"),
    "price with a comma": changed(price="1,5"),
    "price of 19 decimals": changed(price="0.1234567890123456789"),
    "price of 21 digits": changed(price="123456789012345678901"),
    "price true": changed(price=True),
    "price a list": changed(price=[1]),
    "price null": changed(price=None),
    "size negative": changed(size="-0.1"),
    "size an object": changed(size={}),
    "ts a text": changed(ts="2024-01-01"),
    "ts a fraction": changed(ts=1.5),
    "ts before 1970": changed(ts=-1),
    "ts beyond 64 bits": changed(ts=2**70),
    "ts in the far future": changed(ts=START * 3, received=None),
    "symbol NUL": changed(symbol="A\x00"),
    "symbol a lone surrogate": good(1).replace(b'"A"', b'"\\ud800"'),
    "symbol raw surrogate bytes": good(1).replace(b'"A"', b'"\xed\xa0\x80"'),
    "symbol empty": changed(symbol=""),
    "symbol of a thousand letters": changed(symbol="A" * 1000),
    "symbol a number": changed(symbol=5),
    "source missing": changed(source=None),
    "id of an object": changed(id={"a": 1}),
    "id NUL": changed(id="\x00"),
    "kind unknown": changed(kind="quote"),
    "heartbeat of unknown status": changed(kind="heartbeat", status="tired"),
    "conditions a text": changed(conditions="x"),
    "nested 10,000 deep": b"[" * 10_000,
    "nested in a field": changed(extra=0).replace(b": 0}", b": " + b'{"a":' * 200 + b"1" + b"}" * 201),
    "a megabyte": b"x" * (2**20 - 500),
    "a megabyte of JSON": changed(note="x" * (2**20 - 600)),
}


REASONS = {
    *("empty", "not_utf8", "not_json", "not_object", "too_deep", "too_large", "too_many_digits"),
    *("bad_price", "bad_size", "bad_ts", "bad_symbol", "bad_source", "bad_kind", "bad_status", "future_ts"),
}


def mutated(dice: random.Random) -> bytes | None:
    """A good record with bytes flipped, cut, doubled, or replaced: perhaps still good, most often not."""
    value = bytearray(good(dice.randrange(1_000)))
    way = dice.randrange(6)
    if way == 0:
        return bytes(value[: dice.randrange(len(value))])
    if way == 1:
        for _ in range(dice.randrange(1, 4)):
            value[dice.randrange(len(value))] = dice.randrange(256)
    elif way == 2:
        place = dice.randrange(len(value))
        value[place:place] = dice.randbytes(dice.randrange(1, 20))
    elif way == 3:
        place = dice.randrange(len(value))
        del value[place : place + dice.randrange(1, 6)]
    elif way == 4:
        odd = ["NaN", "-1", '"1e5"', '"1e-400"', "1e400", "null", "[]", '"\\u0000"', '"\\udfff"', '"0x1"', "1.", ".5"]
        name = dice.choice(["price", "size", "ts", "received", "id", "symbol"])
        row = {**json.loads(bytes(value)), name: "@"}
        return json.dumps(row).replace('"@"', dice.choice(odd)).encode()
    else:
        return dice.choice(list(NAMED.values()))
    return bytes(value)


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with Product.fresh() as made:
        yield made


@pytest.fixture(scope="module")
def stack(product: Product, resolver: jars.Resolver) -> Iterator[Stack]:
    with services(product, resolver) as running:
        yield running


@pytest.fixture(scope="class")
def stream(product: Product, stack: Stack) -> Iterator[Command]:
    """A running stream that must still be the same process at the end."""
    command = product.start("stream")
    yield command
    assert command.process.poll() is None, command.err[-3000:]
    assert command.stop() == 0, command.err[-3000:]


def send(product: Product, values: list[bytes | None]) -> None:
    """Publish in order, to one partition; ours never writes tombstones, but anyone may."""
    producer = Producer(product.where().kafka)
    for value in values:
        producer.send(TRADES, "A", value)  # type: ignore[arg-type]
    producer.close()


def check_quarantine(product: Product, *, flood: bool = False) -> Counter[str]:
    """What the log holds and no bar does is in `market.quarantine` with place, size, hash and payload; reasons."""
    stored = product.sql(
        'SELECT partition, "offset", size, sha256, payload, reason FROM market.quarantine ORDER BY 1, 2'
    )
    lying = {(partition, record.offset): record.value or b"" for partition, record in log_of(product)}
    for partition, offset, size, sha256, payload, _ in stored:
        value = lying[partition, offset]
        assert (size, sha256) == (len(value), hashlib.sha256(value).hexdigest())
        # Of a flood (64 MiB a batch) only hash, size and place are kept.
        assert payload in (value[: 64 * 1024], *([b""] if flood else []))
    trades, late, prices, beats = product.sql(
        "SELECT sum(trades)::bigint, sum(late)::bigint, sum(prices)::bigint, sum(heartbeats)::bigint FROM core.ledger"
    )[0]
    assert len(stored) + trades + late + prices + beats == len(lying)
    return Counter(row[5] for row in stored)


class TestOneStream:
    """One stream lives through all of these."""

    def test_rubbish_is_found_in_quarantine_and_the_good_records_in_bars(
        self, product: Product, stream: Command
    ) -> None:
        dice = random.Random(SEED)
        bad = list(NAMED.values())
        # No mutation here that may turn out good: counts can then be demanded exactly.
        bad += [b"\xff" + dice.randbytes(dice.randrange(200)) for _ in range(2_000 - len(bad))]
        fine: list[bytes | None] = [good(number) for number in range(2_000)]
        mixed = bad + fine
        dice.shuffle(mixed)
        send(product, mixed)
        product.wait_folded()
        aside = product.sql("SELECT count(*), sum(size)::bigint FROM market.quarantine")
        assert aside == [(2_000, sum(len(value or b"") for value in bad))]
        assert product.sql("SELECT sum(trades)::bigint, sum(volume) FROM market.bars WHERE interval = '1m'") == [
            (2_000, 4_000)
        ]
        assert set(check_quarantine(product)) >= REASONS
        product.audit()

    def test_the_database_is_away_and_comes_back(self, product: Product, stack: Stack, stream: Command) -> None:
        send(product, [good(10_000)])
        product.wait_folded()
        keeper = stack.keepers["postgres"]
        keeper.stop()
        send(product, [good(number) for number in range(10_001, 11_000)])
        try:
            until(lambda: "the store does not take the batch" in stream.err, 60, lambda: stream.err[-2000:])
        finally:
            keeper.start()
        product.wait_folded()
        assert product.ask("SELECT sum(trades)::bigint FROM market.bars WHERE interval = '1m'") == 3_000

    def test_the_broker_is_away_and_comes_back(self, product: Product, stack: Stack, stream: Command) -> None:
        keeper = stack.keepers["kafka"]
        keeper.stop()
        try:
            # In the words of Spark's client, which asks again and again.
            until(lambda: "could not be established. Node may not be available" in stream.err, 90, lambda: stream.err)
            # Which of its two sentences depends on what the client noticed first.
            assert re.match("sparktrends: (Kafka|no Kafka broker answers)", product.run("status", code=3).err)
        finally:
            keeper.start()
        send(product, [good(20_001)])
        product.wait_folded()
        product.audit()

    def test_a_minute_without_a_price_stops_nobody_who_looks(self, product: Product, stream: Command) -> None:
        # An average price: it counts for the volume, and open to close stay empty until another trade comes.
        row = {"source": "tape", "symbol": "W", "ts": START, "price": "1", "size": "1", "conditions": ["W"]}
        send(product, [json.dumps({**row, "received": START}).encode()])
        product.wait_folded()
        assert re.search(r"tape +W +2023-11-14 22:14 – forming", product.run("status").out)
        newest = {bar["symbol"]: bar for bar in product.run("status", "--json").json()["newest"]}
        assert (newest["W"]["close"], newest["W"]["trades"]) == (None, 1)

    def test_clocks_that_are_wrong_are_counted_and_touch_no_other_symbol(
        self, product: Product, stream: Command
    ) -> None:
        values: list[bytes | None] = []
        for at in range(START, START + 50 * 100_000, 100_000):
            values += [told("RIGHT", at, at), told("WRONG", at, at), told("WRONG", at, START * 3)]
            values += [told("WRONG", at + ahead, at) for ahead in AHEAD]
            values.append(told("WRONG", at - 3 * 24 * 60 * MINUTE, at))
        random.Random(SEED).shuffle(values)
        send(product, values)
        product.wait_folded()
        bars = "SELECT sum(trades)::bigint, sum(volume) FROM market.bars WHERE interval = '1m' AND symbol = %s"
        late = "SELECT count(*) FROM market.late_trades WHERE symbol = %s"
        aside = "SELECT reason, count(*) FROM market.quarantine WHERE position(%s::bytea IN payload) > 0 GROUP BY 1"
        refused = {"future_ts": 50 * len(AHEAD), "future_arrival": 50}
        for symbol, late_ones, reasons in (("RIGHT", 0, {}), ("WRONG", 50, refused)):
            assert product.sql(bars, symbol) == [(50, 100)]
            assert product.sql(late, symbol) == [(late_ones,)]
            assert dict(product.sql(aside, symbol.encode())) == reasons
        product.audit()

    @pytest.mark.slow
    def test_a_database_that_hangs_is_waited_for(self, product: Product, stack: Stack, stream: Command) -> None:
        send(product, [good(30_000)])
        product.wait_folded()
        keeper = stack.keepers["postgres"]
        assert keeper.process
        everyone = [psutil.Process(keeper.process.pid), *psutil.Process(keeper.process.pid).children(recursive=True)]

        def tell(number: signal.Signals) -> None:
            for one in everyone:
                # A worker of its own accord may be on its way out.
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.send_signal(number)

        tell(signal.SIGSTOP)
        try:
            send(product, [good(number) for number in range(30_001, 30_100)])
            with pytest.raises(subprocess.TimeoutExpired):
                stream.process.wait(20)
        finally:
            tell(signal.SIGCONT)
        product.wait_folded()
        product.audit()

    @pytest.mark.slow
    @pytest.mark.timeout(600)
    def test_a_hundred_thousand_fuzzed_records_stop_nothing(self, product: Product, stream: Command) -> None:
        dice = random.Random(SEED)
        before = product.published()
        # The megabytes would be gigabytes in this number: the test above has them.
        send(product, [value for value in (mutated(dice) for _ in range(100_000)) if len(value or b"") < 100_000])
        sent = product.wait_folded(300) - before
        assert sent > 95_000
        assert sum(check_quarantine(product, flood=True).values()) > 0.4 * sent
        # Copies of one good record repeat its id, which is the writer's fault; nothing else may be found.
        report = product.run("audit", "--json", code=None, seconds=240).json()
        assert report["findings"] == []


def stopped_at_a_gap(product: Product) -> str:
    """Start the stream, which must refuse; what it says."""
    refused = product.run("stream", code=1, seconds=120)
    (sentence,) = (line for line in refused.err.splitlines() if line.startswith("sparktrends: "))
    assert "--accept-gap" in sentence
    return sentence


def accept(product: Product, more: bytes) -> None:
    """Start with --accept-gap; it must fold what comes now."""
    command = product.start("stream", "--accept-gap")
    send(product, [more])
    product.wait_folded()
    assert command.stop() == 0, command.err[-3000:]


@pytest.fixture
def folded_before(product: Product, stack: Stack) -> None:
    """A gap is one only behind what was folded."""
    if not product.folded():
        send(product, [good(number) for number in range(10)])
        command = product.start("stream")
        product.wait_folded()
        assert command.stop() == 0, command.err[-3000:]


@pytest.mark.slow
@pytest.mark.usefixtures("folded_before")
def test_a_trimmed_log_is_refused_until_the_gap_is_accepted(product: Product) -> None:
    admin = Admin(product.where().kafka)
    ends = {p: high for p, (_, high) in admin.watermarks(TRADES).items()}
    send(product, [good(number) for number in range(40_000, 40_100)])
    (partition,) = (p for p, (_, high) in admin.watermarks(TRADES).items() if high > ends[p])
    admin.delete_records(TRADES, {partition: ends[partition] + 60})
    last = ends[partition] + 59
    assert f"raw.trades[{partition}]: records {ends[partition]} to {last} are no longer in the log" in stopped_at_a_gap(
        product
    )
    assert product.sql("SELECT count(*) FROM core.log_gaps") == [(0,)]
    accept(product, good(40_100))
    found = product.sql("SELECT topic, partition, from_offset, to_offset FROM core.log_gaps")
    assert found == [(TRADES, partition, ends[partition], last + 1)]
    report = product.audit()
    assert sum(span["accepted"] + span["trimmed"] for span in report["spans"]) > 0


@pytest.mark.slow
@pytest.mark.usefixtures("folded_before")
def test_a_topic_that_was_made_anew_is_refused_until_accepted(product: Product) -> None:
    admin = Admin(product.where().kafka)
    was = str(admin.topic_id(TRADES))
    # Only what was stored can be lost: of a partition that never gave anything there is no gap.
    stored = product.sql(
        "SELECT partition FROM core.ledger WHERE topic = %s AND appended_at IS NOT NULL ORDER BY 1", TRADES
    )
    gaps = product.sql("SELECT count(*) FROM core.log_gaps")[0][0]
    delete_topic(product.where().kafka, TRADES)
    admin.create(next(topic for topic in TABLE if topic.name == TRADES))
    assert "raw.trades[0] is another topic than the ledger's" in stopped_at_a_gap(product)
    accept(product, good(50_000))
    found = product.sql("SELECT partition FROM core.log_gaps WHERE topic_id = %s AND from_offset = to_offset", was)
    assert sorted(found) == stored
    assert product.sql("SELECT count(*) FROM core.log_gaps")[0][0] == gaps + len(stored)
    product.audit()


@pytest.mark.slow
@pytest.mark.usefixtures("folded_before")
def test_a_gap_is_accepted_once(product: Product) -> None:
    """What is lost while a stream runs that accepted a gap at its start is refused again."""
    stream = product.start("stream", "--accept-gap")
    send(product, [good(number) for number in range(60_000, 60_100)])
    product.wait_folded()
    gaps = product.sql("SELECT count(*) FROM core.log_gaps")
    asleep = [psutil.Process(stream.process.pid), *psutil.Process(stream.process.pid).children(recursive=True)]
    for process in asleep:
        process.suspend()
    send(product, [good(number) for number in range(60_100, 60_200)])
    admin = Admin(product.where().kafka)
    admin.delete_records(TRADES, {p: high for p, (_, high) in admin.watermarks(TRADES).items()})
    for process in asleep:
        process.resume()
    assert stream.wait(180) == 1
    # Spark's own words stand before it: its query failed.
    (said,) = (line for line in stream.err.splitlines() if line.startswith("sparktrends: "))
    assert "are no longer in the log" in said
    assert product.sql("SELECT count(*) FROM core.log_gaps") == gaps
    accept(product, good(60_200))


@pytest.mark.slow
def test_up_says_what_its_stream_refuses(resolver: jars.Resolver) -> None:
    with Product.fresh() as product:
        file = product.folder / "few.csv"
        file.write_text("ts,price,size,symbol\n" + "".join(f"{1700000000 + n},1.5,2,A\n" for n in range(50)))
        words = ("--source", "few.csv", "--speed", "max", "--exit-when-done")
        product.run("up", *words)
        with services(product, resolver):
            send(product, [good(number) for number in range(100)])
            admin = Admin(product.where().kafka)
            admin.delete_records(TRADES, {p: high for p, (_, high) in admin.watermarks(TRADES).items()})
        refused = product.run("up", *words, code=1)
        said = [line for line in refused.err.splitlines() if line.startswith("sparktrends: ")]
        assert len(said) == 1
        assert said[0].startswith("sparktrends: stream cannot go on: raw.trades[")
        assert "--accept-gap" in said[0]
        assert not product.processes()
        assert product.run("up", *words, "--accept-gap", "--json").json()["trades"] == 50
        assert product.audit()["ok"]
        # What `up` starts again after an accident is not asked to accept another gap.
        again = product.up("--source", "simulator", "--accept-gap")
        for accepts in (True, False):
            pid: int = until(lambda: product.pid("stream"), 60, "no stream")
            assert ("--accept-gap" in psutil.Process(pid).cmdline()) is accepts
            product.kill("stream")
            until(lambda pid=pid: product.pid("stream") not in (None, pid), 60, "the stream stays away")
        assert again.stop() == 0, again.err
