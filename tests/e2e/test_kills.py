"""Whatever dies by kill -9, nothing is lost and nothing is counted twice."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections import defaultdict
from collections.abc import Iterator

import psycopg
import pytest

from e2e.product import Command, Product, log_of, services, until
from fault_seed import SEED
from sparktrends.bus.admin import Admin
from sparktrends.bus.kafka import Producer
from sparktrends.errors import SparkTrendsError
from sparktrends.ops import jars

pytestmark = pytest.mark.e2e

LOAD = ("--source", "simulator", "--symbols", "50", "--rate", "2000")
KILLS = 24
RUBBISH = b"rubbish"
"""The key of what a test itself writes into the log."""
BACK_S = {"kafka": 5.0, "stream": 30.0, "postgres": 15.0}
"""Within this time of its kill a part works again: it leads its partitions, or a transaction is committed again."""
START_S = 150.0  # a Spark session on a machine that does other things too


@pytest.fixture
def product() -> Iterator[Product]:
    with Product.fresh() as made:
        yield made


def kill_and_see_it_go_on(product: Product, *names: str, seconds: float = 150.0) -> None:
    """Kill parts; return when other processes have their names and the ledger has moved on."""
    for name, before in {name: product.kill(name) for name in names}.items():
        until(lambda name=name, before=before: product.pid(name) not in (None, before), seconds, f"{name} stays away")
    # What the ledger says now, not before the kill: a batch that was under way may have come through.
    stands: int = until(product.folded, seconds, "the database does not answer")
    until(lambda: product.folded() > stands, seconds, lambda: f"after {names}: {product.log('stream')[-2000:]}")


def works(product: Product, part: str, stands: int) -> bool:
    """Whether the broker leads its partitions, or what is committed to the database is more than it was."""
    if part != "kafka":
        return product.folded() > stands
    try:
        return bool(Admin(product.where().kafka, timeout_s=0.5).watermarks("raw.trades"))
    except SparkTrendsError:
        return False


def seconds_back(product: Product, part: str) -> float:
    """Kill a part; from the kill on, how long until another process has its name and it works again."""
    # Nothing that was on its way before the kill may look like work after it.
    before, began = product.kill(part), time.monotonic()
    until(lambda: product.pid(part) not in (None, before), START_S, f"{part} stays away")
    stands: int = until(product.folded, START_S, "the database does not answer")
    until(lambda: works(product, part, stands), START_S, lambda: f"{part}: {product.log('stream')[-2000:]}")
    return time.monotonic() - began


def settle(product: Product) -> None:
    """End the source in order, then wait until everything it published is folded."""
    product.kill("ingest", signal.SIGTERM)
    until(lambda: product.pid("ingest") is None, 120, "ingest does not end")
    product.wait_folded()


def check_nothing_lost_or_doubled(product: Product) -> None:
    """Every number that the simulator gave out is in the log once, and in a bar once; the audit agrees."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for _, record in log_of(product):
        if record.key == RUBBISH:
            continue
        row = json.loads(record.value or b"")
        if row.get("kind", "trade") == "trade":
            numbers[row["symbol"]].append(int(row["id"].rpartition("-")[2]))
    gaps = {s: found for s, found in numbers.items() if sorted(found) != list(range(min(found), max(found) + 1))}
    assert not gaps
    assert len({min(found) for found in numbers.values()}) == 1
    stored = product.sql("SELECT symbol, sum(trades)::bigint FROM market.bars WHERE interval = '1m' GROUP BY symbol")
    assert dict(stored) == {symbol: len(found) for symbol, found in numbers.items()}
    assert product.audit()["counts"]["trades"] == sum(map(len, numbers.values()))


def end(product: Product, up: Command) -> None:
    assert up.stop() == 0, up.err[-3000:]
    assert not product.processes()


def test_stream_broker_and_database_killed_at_once_lose_and_double_nothing(product: Product) -> None:
    up = product.up(*LOAD)
    until(lambda: product.folded() > 2_000, START_S, lambda: product.log("stream")[-2000:])
    kill_and_see_it_go_on(product, "stream", "kafka", "postgres")
    settle(product)
    check_nothing_lost_or_doubled(product)
    end(product, up)


@pytest.mark.slow
def test_three_kills_under_load_lose_and_double_nothing(product: Product) -> None:
    up = product.up(*LOAD)
    until(lambda: product.folded() > 2_000, START_S, lambda: product.log("stream")[-2000:])
    for name in ("stream", "kafka", "postgres"):
        kill_and_see_it_go_on(product, name)
    settle(product)
    check_nothing_lost_or_doubled(product)
    end(product, up)


@pytest.mark.slow
def test_a_killed_part_works_again_within_its_time(product: Product) -> None:
    up = product.up(*LOAD)
    until(lambda: product.folded() > 2_000, START_S, lambda: product.log("stream")[-2000:])
    took = {}
    for part in BACK_S:
        # The one before must have caught up: a stream that is still starting is no measure of a database.
        stands = product.folded()
        until(lambda stands=stands: product.folded() > stands + 10_000, START_S, lambda: product.log("stream")[-2000:])
        took[part] = round(seconds_back(product, part), 1)
    settle(product)
    check_nothing_lost_or_doubled(product)
    end(product, up)
    assert {part: s for part, s in took.items() if s > BACK_S[part]} == {}, f"seconds {took}, wanted {BACK_S}"


@pytest.mark.slow
def test_nothing_outlives_a_killed_up_and_the_next_one_goes_on(product: Product) -> None:
    up = product.up(*LOAD)
    until(lambda: product.folded() > 1_000, START_S, lambda: product.log("stream")[-2000:])
    parts = product.processes()
    assert len(parts) >= 6  # up, broker, database, stream and its JVM, ingest
    up.process.kill()
    up.wait()
    until(lambda: not product.processes(), 60, lambda: [process.cmdline() for process in product.processes()])
    again = product.up(*LOAD)
    stands: int = until(product.folded, 60, "the database does not answer")
    until(lambda: product.folded() > stands, START_S, lambda: product.log("stream")[-2000:])
    settle(product)
    check_nothing_lost_or_doubled(product)
    end(product, again)


def kill_around_a_commit(product: Product) -> bool:
    """Kill the stream when a transaction has just been committed; whether the ledger and Spark then disagree.

    A batch is committed while Spark folds the next one, so either of them may be ahead at that moment.
    """
    stream: int = until(lambda: product.pid("stream"), 60, "the stream does not run")
    where = product.where()
    with psycopg.connect(where.owner_dsn, autocommit=True) as connection:
        ask = "SELECT coalesce(sum(commit), 0) FROM core.shards"
        before = connection.execute(ask).fetchone()
        deadline = time.monotonic() + 60
        while connection.execute(ask).fetchone() == before:
            assert time.monotonic() < deadline, product.log("stream")[-2000:]
        os.kill(stream, signal.SIGKILL)
    checkpoint = product.home / "scratch" / "stream-1-of-1" / "checkpoint"
    done = [int(file.name) for file in (checkpoint / "commits").glob("[0-9]*")]
    believed = {}  # of a query that has not ended its first batch
    if done:
        believed = json.loads((checkpoint / "offsets" / str(max(done))).read_text().splitlines()[2])["raw.trades"]
    ledger = dict(product.sql("SELECT partition::text, next_offset FROM core.ledger WHERE topic = 'raw.trades'"))
    until(lambda: product.pid("stream") not in (None, stream), START_S, "the stream does not come back")
    return bool(believed != ledger)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_many_kills_at_random_moments(product: Product) -> None:
    dice = random.Random(SEED)
    names = ["stream"] * 8 + ["ingest"] * 5 + ["kafka"] * 5 + ["postgres"] * 6
    dice.shuffle(names)
    assert len(names) == KILLS
    up = product.up(*LOAD)
    until(lambda: product.folded() > 1_000, START_S, lambda: product.log("stream")[-2000:])
    for name in names:
        moment = product.folded() + dice.randrange(4_000)
        until(lambda moment=moment: product.folded() > moment, 120, lambda: product.log("stream")[-2000:])
        product.kill(name)
    until(lambda: all(map(product.pid, set(names))), START_S, "a part does not come back")
    settle(product)
    check_nothing_lost_or_doubled(product)
    end(product, up)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_when_ledger_and_spark_disagree(product: Product) -> None:
    up = product.up(*LOAD)
    until(lambda: product.folded() > 1_000, START_S, lambda: product.log("stream")[-2000:])
    disagreed = [kill_around_a_commit(product) for _ in range(6)]
    assert any(disagreed), "Spark and the ledger agreed at every kill"
    settle(product)
    check_nothing_lost_or_doubled(product)
    end(product, up)


@pytest.mark.slow
def test_a_checkpoint_may_vanish_while_running_and_before_a_start(product: Product) -> None:
    scratch = product.home / "scratch"
    up = product.up(*LOAD)
    for _ in range(3):
        stands = product.folded()
        until(lambda stands=stands: product.folded() > stands + 1_000, START_S, lambda: product.log("stream")[-2000:])
        shutil.rmtree(scratch / "stream-1-of-1" / "checkpoint", ignore_errors=True)
    end(product, up)
    shutil.rmtree(scratch)
    again = product.up(*LOAD)
    stands = until(product.folded, 60, "the database does not answer")
    until(lambda: product.folded() > stands, START_S, lambda: product.log("stream")[-2000:])
    settle(product)
    check_nothing_lost_or_doubled(product)
    end(product, again)


@pytest.mark.slow
def test_of_two_writers_started_at_once_one_is_fenced(product: Product, resolver: jars.Resolver) -> None:
    with services(product, resolver) as stack:
        producer = Producer(product.where().kafka)
        writers = [product.start("stream"), product.start("stream")]
        for number in range(20_000):
            ts = 1_700_000_000_000_000 + number * 1_000
            row = {"source": "t", "symbol": "A", "ts": ts, "price": "1", "size": "1", "id": str(number), "received": ts}
            producer.send("raw.trades", "A", json.dumps(row).encode())
        producer.close()
        loser = until(lambda: next((w for w in writers if w.process.poll() is not None), None), 90, "nobody is fenced")
        assert loser.process.returncode == 1
        assert "sparktrends: another process writes shard 1/1" in loser.err
        product.wait_folded()
        assert product.sql("SELECT sum(trades)::bigint FROM market.bars WHERE interval = '1m'") == [(20_000,)]
        product.audit()
        (winner,) = (writer for writer in writers if writer is not loser)
        assert winner.stop() == 0
        assert stack.keepers["kafka"].restarts == 0


@pytest.mark.slow
def test_a_stream_whose_shards_are_cut_otherwise_is_fenced_and_takes_nothing(
    product: Product, resolver: jars.Resolver
) -> None:
    """Else each would take the rows of the ledger from the other, and both would end."""
    with services(product, resolver):
        half = product.start("stream", "--shard", "1/2")
        mine = "SELECT count(*) FROM core.ledger WHERE shard = '1/2'"
        until(lambda: product.sql(mine)[0][0] > 0, 90, "the first has no share")
        whole = product.start("stream")
        until(lambda: whole.process.poll() is not None, 90, "nobody is fenced")
        assert whole.process.returncode == 1
        assert "is read by shard 1/2" in whole.err
        assert product.sql("SELECT DISTINCT shard FROM core.ledger") == [("1/2",)]
        rest = product.start("stream", "--shard", "2/2")
        until(lambda: product.sql("SELECT count(DISTINCT shard) FROM core.ledger") == [(2,)], 90, "it is fenced too")
        assert (half.stop(), rest.stop()) == (0, 0)
